//! Replays the recorded cases of `tests/cases` with the native build.

#[test]
fn results_are_those_that_were_recorded() {
    agentos_cases::replay(
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"),
        &[(env!("CARGO_BIN_EXE_vi"), &["vi", "view", "ex"])],
        agentos_cases::Others::Host,
    );
}
