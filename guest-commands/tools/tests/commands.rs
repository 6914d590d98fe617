//! Replays the recorded cases of `tests/cases` with the native build of the multicall program. `PATH` holds our commands
//! only. Parts of a system that natively cannot be the same everywhere (times, pids, owners) are not asked.

#[test]
fn commands_do_what_gnu_does() {
    let names: Vec<_> = agentos_tools::command_names().collect();
    agentos_cases::replay(
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"),
        &[(env!("CARGO_BIN_EXE_agentos-tools"), &names)],
        agentos_cases::Others::None,
    );
}
