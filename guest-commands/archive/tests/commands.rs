//! Replays the recorded cases of `tests/cases` with the native build of the multicall program; other commands are the host's.

#[test]
fn commands_do_what_the_reference_tools_do() {
    let names: Vec<_> = agentos_archive::command_names().collect();
    agentos_cases::replay(
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"),
        &[(env!("CARGO_BIN_EXE_agentos-archive"), &names)],
        agentos_cases::Others::Host,
    );
}
