//! Replays the recorded cases of `tests/cases` with the native build of git; other commands are the host's.

#[test]
fn commands_do_what_git_does() {
    agentos_cases::replay(
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"),
        &[(env!("CARGO_BIN_EXE_git"), &["git"])],
        agentos_cases::Others::Host,
    );
}
