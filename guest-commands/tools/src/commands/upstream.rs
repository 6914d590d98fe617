//! Calls an upstream uutils command as its own program would. It changes how a command behaves only where upstream, built
//! for wasip1, takes an option and does nothing, or makes a file that others can read.

use crate::os::OsStrExt;
use agentos_guest::{Signal, fs, signal};
use std::ffi::OsString;
use std::io::Write;

/// Options that upstream takes without doing what they say: command, long name, letter, and why.
const REFUSED: &[(&str, &str, Option<u8>, &str)] = &[
    ("date", "set", Some(b's'), "cannot set date: Operation not permitted"),
    ("rm", "one-file-system", None, "--one-file-system is not supported"),
    ("sort", "compress-program", None, "--compress-program is not supported: no command can be run for it"),
    ("split", "filter", None, "--filter is not supported: no command can be run for it"),
];
/// Letters with an argument, after which the rest of a word is no letter.
const WITH_ARGUMENT: &[(&str, &[u8])] = &[("date", b"dfrsI"), ("tee", b"")];

/// Sets the messages of `key` up, runs `main` and flushes standard output.
pub(crate) fn run(key: &str, main: fn(Vec<OsString>) -> i32, argv: Vec<OsString>) -> i32 {
    if let Err(message) = prepare(key, &argv) {
        eprintln!("{key}: {message}");
        return 1;
    }
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

fn prepare(key: &str, argv: &[OsString]) -> Result<(), &'static str> {
    for (_, long, letter, why) in REFUSED.iter().filter(|(command, ..)| *command == key) {
        if given(key, argv, long, *letter) {
            return Err(why);
        }
    }
    match key {
        // Upstream sets modes on Unix only: nobody else may read what is made.
        "mktemp" => {
            fs::umask(0o077);
        }
        "tee" => {
            if given(key, argv, "ignore-interrupts", Some(b'i')) {
                let _ = signal::ignore(Signal::SIGINT);
            }
            // Then a broken pipe is an error that upstream treats as the option says, and not the end.
            if given(key, argv, "output-error", Some(b'p')) {
                let _ = signal::ignore(Signal::SIGPIPE);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether an option is among the arguments, whole, abbreviated to three letters or more, or as a letter among letters.
fn given(key: &str, argv: &[OsString], long: &str, letter: Option<u8>) -> bool {
    let valued =
        WITH_ARGUMENT.iter().find(|(command, _)| *command == key).map_or(&b""[..], |(_, letters)| letters);
    argv.iter().skip(1).take_while(|arg| *arg != "--").any(|arg| {
        let bytes = arg.as_bytes();
        if let Some(rest) = bytes.strip_prefix(b"--") {
            let name = rest.split(|b| *b == b'=').next().unwrap_or(rest);
            return name.len() > 2 && long.as_bytes().starts_with(name);
        }
        let Some(letters) = bytes.strip_prefix(b"-") else { return false };
        let end = letters.iter().position(|b| valued.contains(b)).map_or(letters.len(), |i| i + 1);
        letter.is_some_and(|letter| letters[..end].contains(&letter))
    })
}

#[cfg(test)]
mod tests {
    use super::given;
    use std::ffi::OsString;

    #[test]
    fn options_are_found_where_they_are() {
        let has = |key, words: &[&str], long, letter| {
            let argv: Vec<OsString> = [key].iter().chain(words).map(OsString::from).collect();
            given(key, &argv, long, letter)
        };
        assert!(has("date", &["-us", "now"], "set", Some(b's')));
        assert!(has("date", &["--set=now"], "set", Some(b's')));
        assert!(!has("date", &["-d", "yes", "+%s"], "set", Some(b's')));
        assert!(!has("date", &["-Iseconds"], "set", Some(b's')));
        assert!(!has("date", &["--", "-s"], "set", Some(b's')));
        assert!(has("rm", &["-r", "--one-file", "x"], "one-file-system", None));
        assert!(has("tee", &["-ai"], "ignore-interrupts", Some(b'i')));
    }
}
