//! Calls an upstream uutils command as its own program would. It changes nothing about how the command behaves.

use std::ffi::OsString;
use std::io::Write;

/// Sets the messages of `key` up, runs `main` and flushes standard output.
pub(crate) fn run(key: &str, main: fn(Vec<OsString>) -> i32, argv: Vec<OsString>) -> i32 {
    if let Err(error) = uucore::locale::setup_localization(key) {
        eprintln!("{key}: no messages: {error}");
        return 99;
    }
    let status = main(argv);
    match std::io::stdout().flush() {
        Ok(()) => status,
        Err(error) => {
            eprintln!("{key}: write error: {}", agentos_guest::strerror(&error));
            status.max(1)
        }
    }
}
