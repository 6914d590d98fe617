//! Calls an upstream uutils command as its own program would. It changes how a command behaves only where upstream, built
//! for wasip1, takes an option and does nothing, makes a file that others can read, or takes a date for one of UTC; for
//! the words of a command line see `words`.

use super::words;
use crate::os::OsStrExt;
use crate::time;
use agentos_guest::{Signal, fs, signal};
use std::ffi::OsString;
use std::io::Write;

/// Options that upstream takes without doing what they say: command, long name, letter, and why.
const REFUSED: &[(&str, &str, Option<u8>, &str)] = &[
    ("date", "set", Some(b's'), "cannot set date: Operation not permitted"),
    ("rm", "one-file-system", None, "--one-file-system is not supported"),
];
/// Letters with an argument, after which the rest of a word is no letter.
const WITH_ARGUMENT: &[(&str, &[u8])] = &[("date", b"dfrsI"), ("tee", b"")];

/// Sets the messages of `key` up, runs `main` and flushes standard output.
pub(crate) fn run(key: &str, main: fn(Vec<OsString>) -> i32, mut argv: Vec<OsString>) -> i32 {
    if let Some(message) = words::wrong(key, &argv) {
        eprintln!("{key}: {message}\nTry '{key} --help' for more information.");
        return 1;
    }
    match key {
        "date" => {
            if let Err(message) = words::zones_of_dates(&mut argv) {
                eprintln!("date: {message}");
                return 1;
            }
        }
        "touch" => resolve_date(&mut argv),
        _ => {}
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
        "date" | "pr" | "touch" => time::prepare_environment(),
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

/// Replaces the date of `touch -d` by seconds since 1970: upstream takes `2024-07-01 12:00:00` for UTC whatever the zone, and
/// overlooks offsets. Dates that are relative to those of `-r` stay.
fn resolve_date(argv: &mut [OsString]) {
    let mut i = 1;
    while i < argv.len() && argv[i] != "--" {
        let word = argv[i].to_string_lossy().into_owned();
        let (before, value) = if let Some(long) = word.strip_prefix("--") {
            match long.split_once('=') {
                Some((name, value)) if !name.is_empty() && "date".starts_with(name) => {
                    (format!("--{name}="), value.to_owned())
                }
                None if !long.is_empty() && "date".starts_with(long) => (String::new(), String::new()),
                _ => {
                    i += 1;
                    continue;
                }
            }
        } else {
            let at = word.find(['d', 'r', 't']).filter(|_| word.starts_with('-'));
            let Some(at) = at else {
                i += 1;
                continue;
            };
            if word.as_bytes()[at] != b'd' {
                i += if at + 1 == word.len() { 2 } else { 1 };
                continue;
            }
            (word[..=at].to_owned(), word[at + 1..].to_owned())
        };
        // The value is the next word if it is not in this one.
        let (at, before, value) = if value.is_empty() && !before.ends_with('=') {
            let Some(next) = argv.get(i + 1) else { return };
            (i + 1, String::new(), next.to_string_lossy().into_owned())
        } else {
            (i, before, value)
        };
        if let Some(moment) = Some(value).filter(|text| names_a_day(text)).and_then(|text| time::parse(&text))
        {
            argv[at] = format!("{before}@{}", decimal(moment)).into();
        }
        i = at + 1;
    }
}

/// Whether a text has a year and a time of day, and so depends on no other date.
fn names_a_day(text: &str) -> bool {
    let year = |word: &str| {
        let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        digits == 4 && (word.len() == 4 || word[4..].starts_with('-'))
    };
    text.contains(':') && text.split_whitespace().any(year)
}

/// Seconds with their fraction, which counts forward also before 1970.
fn decimal((sec, nsec): (i64, u32)) -> String {
    match (sec, nsec) {
        (_, 0) => sec.to_string(),
        (0.., _) => format!("{sec}.{nsec:09}"),
        _ => format!("-{}.{:09}", -(sec + 1), 1_000_000_000 - nsec),
    }
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
    use super::{decimal, given, resolve_date};
    use std::ffi::OsString;

    #[test]
    fn dates_of_touch_are_resolved_wherever_they_stand() {
        for (words, wanted) in [
            ("touch|-d|1970-01-02 00:00 +0000|f", "touch|-d|@86400|f"),
            ("touch|-cd1970-01-01T00:01:00Z|f", "touch|-cd@60|f"),
            ("touch|--date=1970-01-01 00:00:00.5 UTC", "touch|--date=@0.500000000"),
            ("touch|--dat|1970-01-01 00:00:01 UTC", "touch|--dat|@1"),
            ("touch|-r|-d|-d|+1 day", "touch|-r|-d|-d|+1 day"),
            ("touch|-d|no 2024-01-01 00:00", "touch|-d|no 2024-01-01 00:00"),
            ("touch|-d", "touch|-d"),
            ("touch|--|-d|1970-01-02 00:00 UTC", "touch|--|-d|1970-01-02 00:00 UTC"),
        ] {
            let mut argv: Vec<OsString> = words.split('|').map(OsString::from).collect();
            resolve_date(&mut argv);
            assert_eq!(argv.join(std::ffi::OsStr::new("|")), wanted);
        }
        assert_eq!(decimal((-1, 500_000_000)), "-0.500000000");
        assert_eq!(decimal((-2, 250_000_000)), "-1.750000000");
    }

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
