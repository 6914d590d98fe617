//! What upstream's commands do not do as GNU's with their command line: what is wrong with options and operands is said in
//! GNU's words, and a number after a time of day is a zone. It runs nothing.

use crate::options::{Order, Parsed, parse};
use crate::os::OsStrExt;
use crate::quote::quote;
use crate::time;
use std::ffi::{OsStr, OsString};

/// The options of GNU's commands, for which upstream's parser has words of its own; and how many operands they take.
const KNOWN: &[(&str, usize, usize, &[&str])] = &[
    (
        "b2sum",
        0,
        MANY,
        &[
            "l,length=",
            "b,binary",
            "c,check",
            "ignore-missing",
            "quiet",
            "status",
            "tag",
            "t,text",
            "strict",
            "w,warn",
            "z,zero",
        ],
    ),
    ("md5sum", 0, MANY, SUM),
    ("sha1sum", 0, MANY, SUM),
    ("sha224sum", 0, MANY, SUM),
    ("sha256sum", 0, MANY, SUM),
    ("sha384sum", 0, MANY, SUM),
    ("sha512sum", 0, MANY, SUM),
    (
        "cksum",
        0,
        MANY,
        &[
            "a,algorithm=",
            "c,check",
            "debug",
            "ignore-missing",
            "l,length=",
            "quiet",
            "status",
            "strict",
            "tag",
            "untagged",
            "w,warn",
            "z,zero",
        ],
    ),
    ("sum", 0, MANY, &["r", "s,sysv"]),
    ("tsort", 0, 1, &[]),
    (
        "od",
        0,
        MANY,
        &[
            "A,address-radix=",
            "endian=",
            "j,skip-bytes=",
            "N,read-bytes=",
            "S,strings=?",
            "t,format=",
            "v,output-duplicates",
            "w,width=?",
            "traditional",
            "a",
            "b",
            "c",
            "d",
            "f",
            "i",
            "l",
            "o",
            "s",
            "x",
            "D",
            "F",
            "H",
            "I",
            "L",
            "O",
            "X",
            "e",
            "h",
            "B",
        ],
    ),
    (
        "ptx",
        0,
        MANY,
        &[
            "A,auto-reference",
            "b,break-file=",
            "F,flag-truncation=",
            "f,ignore-case",
            "g,gap-size=",
            "i,ignore-file=",
            "M,macro-name=",
            "o,only-file=",
            "R,right-side-refs",
            "r,references",
            "S,sentence-regexp=",
            "t,typeset-mode",
            "G,traditional",
            "O",
            "T",
            "format=",
            "W,word-regexp=",
            "w,width=",
        ],
    ),
    (
        "csplit",
        2,
        MANY,
        &[
            "b,suffix-format=",
            "f,prefix=",
            "k,keep-files",
            "suppress-matched",
            "n,digits=",
            "s,quiet",
            "silent",
            "z,elide-empty-files",
        ],
    ),
    (
        "date",
        0,
        1,
        &[
            "d,date=",
            "debug",
            "f,file=",
            "I=?",
            "iso-8601=?",
            "R,rfc-email",
            "rfc-2822",
            "rfc-3339=",
            "r,reference=",
            "resolution",
            "s,set=",
            "u,utc",
            "universal",
            "uct",
        ],
    ),
];
const MANY: usize = usize::MAX;
const SUM: &[&str] = &[
    "b,binary",
    "c,check",
    "ignore-missing",
    "quiet",
    "status",
    "tag",
    "t,text",
    "strict",
    "w,warn",
    "z,zero",
];

/// The message of what is wrong with a command line, without the command's name; nothing if upstream may have it.
pub(crate) fn wrong(key: &str, argv: &[OsString]) -> Option<String> {
    let (_, least, most, spec) = KNOWN.iter().find(|(name, ..)| *name == key)?;
    let words = argv.get(1..).unwrap_or_default();
    let parsed = match parse(spec, words, Order::Permute) {
        Ok(parsed) => parsed,
        Err(message) if asks(&message) => return None,
        Err(message) => return Some(message),
    };
    if key.ends_with("sum")
        && let Some(message) = checking(key, &parsed)
    {
        return Some(message);
    }
    let Parsed { operands, .. } = parsed;
    match &operands[..] {
        [] if *least > 0 => Some("missing operand".to_owned()),
        [.., last] if operands.len() < *least => Some(format!("missing operand after {}", quote(last))),
        _ => operands.get(*most).map(|extra| format!("extra operand {}", quote(extra))),
    }
}

/// Options of the checksums that belong to `-c`, or do not.
fn checking(key: &str, parsed: &Parsed) -> Option<String> {
    let has = |id: &str| parsed.opts.iter().any(|opt| opt.id == id);
    let meaningless = "meaningless when verifying checksums";
    if !has("check") {
        let only = ["ignore-missing", "status", "warn", "quiet", "strict"];
        if let Some(option) = only.iter().find(|option| has(option)) {
            return Some(format!("the --{option} option is meaningful only when verifying checksums"));
        }
        return (key != "cksum" && has("tag") && has("text"))
            .then(|| "--tag does not support --text mode".to_owned());
    }
    if key == "cksum" {
        return None;
    }
    if has("zero") {
        return Some("the --zero option is not supported when verifying checksums".to_owned());
    }
    if has("tag") {
        return Some(format!("the --tag option is {meaningless}"));
    }
    (has("binary") || has("text")).then(|| format!("the --binary and --text options are {meaningless}"))
}

/// Whether what is unknown asks for help or the version.
fn asks(message: &str) -> bool {
    let word = message.strip_prefix("unrecognized option '--").map(|rest| rest.trim_end_matches('\''));
    word.is_some_and(|word| word.len() > 1 && ("help".starts_with(word) || "version".starts_with(word)))
        || matches!(message, "invalid option -- 'h'" | "invalid option -- 'V'")
}

/// What GNU makes of a date in which a signed number follows the time of day.
#[derive(Debug, PartialEq, Eq)]
enum Zoned {
    /// None does, or none that upstream would take for something else.
    No,
    /// The same with a zone and a number before the unit.
    As(String),
    /// There is no such zone.
    Invalid,
}

/// GNU takes the number for the zone, and the unit after it for one of it: `10:00 + 2 days` is a day after ten o'clock two
/// hours east.
fn zone_after_time(date: &str) -> Zoned {
    let bytes = date.as_bytes();
    let digits = |at: usize| bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
    let blanks = |at: usize| bytes[at..].iter().take_while(|b| b.is_ascii_whitespace()).count();
    let Some(colon) = bytes.iter().position(|b| *b == b':') else { return Zoned::No };
    let mut at = colon + 1;
    if digits(at) != 2 || colon == 0 || !bytes[colon - 1].is_ascii_digit() {
        return Zoned::No;
    }
    at += 2;
    while bytes.get(at).is_some_and(|b| matches!(b, b':' | b'.' | b',')) && digits(at + 1) > 0 {
        at += 1 + digits(at + 1);
    }
    let end = at;
    at += blanks(at);
    let Some(sign) = bytes.get(at).filter(|b| matches!(b, b'+' | b'-')) else { return Zoned::No };
    at += 1;
    at += blanks(at);
    let (number, length) = (at, digits(at));
    at += length;
    let rest = date[at..].trim_start();
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    let unit = word.to_ascii_lowercase();
    let unit = unit.trim_end_matches('s');
    let units = ["year", "month", "fortnight", "week", "day", "hour", "minute", "min", "second", "sec"];
    if length == 0 || !units.contains(&unit) {
        return Zoned::No;
    }
    let value: u32 = date[number..number + length].parse().unwrap_or(u32::MAX);
    let (hours, minutes) = if length <= 2 { (value, 0) } else { (value / 100, value % 100) };
    if hours > 24 || hours * 60 + minutes > 24 * 60 {
        return Zoned::Invalid;
    }
    Zoned::As(format!("{} {}{hours:02}:{minutes:02} 1 {rest}", &date[..end], char::from(*sign)))
}

/// The text without a day of the week, and the number of such days before it, if there is a date in digits: GNU takes the
/// date then, whatever the day is called.
fn without_weekday(date: &str) -> Option<String> {
    const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    let lower = |word: &str| word.trim_end_matches([',', '.']).to_ascii_lowercase();
    let is_day = |word: &str| {
        let word = lower(word);
        word.len() >= 3 && DAYS.iter().any(|day| *day == word || day[..3] == word)
    };
    let is_date = |word: &str| {
        let digits: Vec<&str> = word.split(['T', 't']).next().unwrap_or(word).split(['-', '/']).collect();
        matches!(digits.len(), 2 | 3)
            && digits.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let words: Vec<&str> = date.split_ascii_whitespace().collect();
    let at = words.iter().position(|word| is_day(word)).filter(|_| words.iter().any(|word| is_date(word)))?;
    let ordinals = [
        "last", "this", "next", "first", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
        "tenth", "eleventh", "twelfth",
    ];
    let from = if at > 0 && ordinals.contains(&lower(words[at - 1]).as_str()) { at - 1 } else { at };
    Some([&words[..from], &words[at + 1..]].concat().join(" "))
}

/// Replaces the dates of `date -d` that need it; the error is one that there cannot be.
pub(crate) fn zones_of_dates(argv: &mut [OsString]) -> Result<(), String> {
    for i in 1..argv.len() {
        let Some(text) = argv[i].to_str().map(str::to_owned) else { continue };
        let before = argv[i - 1].as_bytes();
        let letters = before.first() == Some(&b'-') && before.get(1) != Some(&b'-') && before.ends_with(b"d");
        let start = if i > 1 && (before == b"--date" || letters) {
            0
        } else if text.starts_with("--date=") {
            "--date=".len()
        } else if text.starts_with("-d") {
            2
        } else {
            continue;
        };
        let invalid = || Err(format!("invalid date {}", quote(OsStr::new(&text[start..]))));
        let date = without_weekday(&text[start..]);
        if let Some(new) = &date {
            argv[i] = format!("{}{new}", &text[..start]).into();
        }
        let date = date.as_deref().unwrap_or(&text[start..]);
        match zone_after_time(date) {
            // A zone of its own is upstream's business, as is nothing at all.
            Zoned::No if date.contains("TZ=") || date.trim().is_empty() => {}
            Zoned::No if time::parse(date).is_none() => return invalid(),
            Zoned::No => {}
            Zoned::As(new) => argv[i] = format!("{}{new}", &text[..start]).into(),
            Zoned::Invalid => return invalid(),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Zoned, without_weekday, zone_after_time, zones_of_dates};
    use std::ffi::{OsStr, OsString};

    fn words(text: &str) -> Vec<OsString> {
        text.split('|').map(OsString::from).collect()
    }

    #[test]
    fn a_date_says_more_than_a_day_of_the_week() {
        for (date, wanted) in [
            ("Mon 2024-05-15", Some("2024-05-15")),
            ("next monday 3/10 10:00", Some("3/10 10:00")),
            ("Sun, 10 Mar 2024", None),
            ("next monday", None),
            ("2024-05-15", None),
        ] {
            assert_eq!(without_weekday(date).as_deref(), wanted, "{date}");
        }
    }

    #[test]
    fn a_number_after_a_time_is_a_zone() {
        for (date, wanted) in [
            ("2024-02-28 23:30:00 + 2 days", Some("2024-02-28 23:30:00 +02:00 1 days")),
            ("10:00 -1 hour", Some("10:00 -01:00 1 hour")),
            ("10:00 +130min", Some("10:00 +01:30 1 min")),
            ("10:00 2 days", None),
            ("10:00 +0200", None),
            ("2024-01-01 + 2 days", None),
            ("10:00 UTC + 2 days", None),
        ] {
            let wanted = wanted.map_or(Zoned::No, |w| Zoned::As(w.to_owned()));
            assert_eq!(zone_after_time(date), wanted, "{date}");
        }
        assert_eq!(zone_after_time("10:00 + 30 minutes"), Zoned::Invalid);
        let mut argv = words("date|-ud|10:00 +1 day|+%s");
        assert_eq!(zones_of_dates(&mut argv), Ok(()));
        assert_eq!(argv.join(OsStr::new("|")), "date|-ud|10:00 +01:00 1 day|+%s");
    }
}
