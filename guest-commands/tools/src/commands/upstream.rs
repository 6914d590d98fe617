//! Calls an upstream uutils command as its own program would. It changes how a command behaves only where upstream, built
//! for wasip1, takes an option and does nothing, makes a file that others can read, or takes a date for one of UTC; for
//! the words of a command line see `words`.

use super::words;
use crate::os::OsStrExt;
use crate::time;
use std::ffi::OsString;
use std::io::Write;

/// Options that upstream takes without doing what they say: command, long name, letter, and why.
const REFUSED: &[(&str, &str, Option<u8>, &str)] =
    &[("date", "set", Some(b's'), "cannot set date: Operation not permitted")];
/// Letters with an argument, after which the rest of a word is no letter.
const WITH_ARGUMENT: &[(&str, &[u8])] = &[("date", b"dfrsI")];

/// Sets the messages of `key` up, runs `main` and flushes standard output.
pub(crate) fn run(key: &str, main: fn(Vec<OsString>) -> i32, mut argv: Vec<OsString>) -> i32 {
    if let Some(message) = words::wrong(key, &argv) {
        eprintln!("{key}: {message}\nTry '{key} --help' for more information.");
        return 1;
    }
    if key == "date"
        && let Err(message) = words::zones_of_dates(&mut argv)
    {
        eprintln!("date: {message}");
        return 1;
    }
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
        "date" | "pr" => time::prepare_environment(),
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
        assert!(has("split", &["-n", "--filt", "x"], "filter", None));
    }
}
