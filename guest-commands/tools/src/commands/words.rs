//! What upstream's commands do not do as GNU's with their command line: what is wrong with options and operands is said in
//! GNU's words, `cut` counts bytes whatever they are called, and a number after a time of day is a zone. It runs nothing.

use crate::options::{Order, Parsed, parse};
use crate::os::OsStrExt;
use crate::quote::quote;
use std::ffi::{OsStr, OsString};

/// The options of GNU's commands, for which upstream's parser has words of its own; and how many operands they take.
const KNOWN: &[(&str, usize, usize, &[&str])] = &[
    (
        "comm",
        2,
        2,
        &["1", "2", "3", "check-order", "nocheck-order", "output-delimiter=", "total", "z,zero-terminated"],
    ),
    (
        "cut",
        0,
        MANY,
        &[
            "b,bytes=",
            "c,characters=",
            "d,delimiter=",
            "f,fields=",
            "n",
            "complement",
            "s,only-delimited",
            "output-delimiter=",
            "z,zero-terminated",
        ],
    ),
    (
        "join",
        2,
        // Fields of -o may be words of their own.
        MANY,
        &[
            "a=",
            "e=",
            "i,ignore-case",
            "j=",
            "1=",
            "2=",
            "o=",
            "t=",
            "v=",
            "check-order",
            "nocheck-order",
            "header",
            "z,zero-terminated",
        ],
    ),
    ("paste", 0, MANY, &["d,delimiters=", "s,serial", "z,zero-terminated"]),
    (
        "shuf",
        0,
        MANY,
        &[
            "e,echo",
            "i,input-range=",
            "n,head-count=",
            "o,output=",
            "random-source=",
            "r,repeat",
            "z,zero-terminated",
        ],
    ),
    ("tee", 0, MANY, &["a,append", "i,ignore-interrupts", "p", "output-error=?"]),
    ("base32", 0, 1, &["d,decode", "i,ignore-garbage", "w,wrap="]),
    ("base64", 0, 1, &["d,decode", "i,ignore-garbage", "w,wrap="]),
    (
        "sort",
        0,
        MANY,
        &[
            "b,ignore-leading-blanks",
            "d,dictionary-order",
            "f,ignore-case",
            "g,general-numeric-sort",
            "i,ignore-nonprinting",
            "M,month-sort",
            "h,human-numeric-sort",
            "n,numeric-sort",
            "R,random-sort",
            "random-source=",
            "r,reverse",
            "sort=",
            "V,version-sort",
            "batch-size=",
            "c",
            "C",
            "check=?",
            "compress-program=",
            "debug",
            "files0-from=",
            "k,key=",
            "m,merge",
            "o,output=",
            "s,stable",
            "S,buffer-size=",
            "t,field-separator=",
            "T,temporary-directory=",
            "parallel=",
            "u,unique",
            "z,zero-terminated",
            "y=?",
        ],
    ),
    ("tr", 0, MANY, &["c", "C", "complement", "d,delete", "s,squeeze-repeats", "t,truncate-set1"]),
    (
        "date",
        0,
        MANY,
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

/// The message of what is wrong with a command line, without the command's name; nothing if upstream may have it.
pub(crate) fn wrong(key: &str, argv: &[OsString]) -> Option<String> {
    let (_, least, most, spec) = KNOWN.iter().find(|(name, ..)| *name == key)?;
    let words = argv.get(1..).unwrap_or_default();
    // What looks like an option may be a set for `tr`, and a key of old for `sort`.
    let order = if key == "tr" { Order::StopAtOperand } else { Order::Permute };
    if key == "sort" && words.iter().any(|word| matches!(word.as_bytes(), [b'-' | b'+', b'0'..=b'9', ..])) {
        return None;
    }
    let parsed = match parse(spec, words, order) {
        Ok(parsed) => parsed,
        Err(message) if asks(&message) => return None,
        Err(message) => return Some(message),
    };
    let Parsed { operands, .. } = parsed;
    match &operands[..] {
        [] if *least > 0 => Some("missing operand".to_owned()),
        [.., last] if operands.len() < *least => Some(format!("missing operand after {}", quote(last))),
        _ => operands.get(*most).map(|extra| format!("extra operand {}", quote(extra))),
    }
}

/// Whether what is unknown asks for help or the version.
fn asks(message: &str) -> bool {
    let word = message.strip_prefix("unrecognized option '--").map(|rest| rest.trim_end_matches('\''));
    word.is_some_and(|word| word.len() > 1 && ("help".starts_with(word) || "version".starts_with(word)))
        || matches!(message, "invalid option -- 'h'" | "invalid option -- 'V'")
}

/// `cut -c` is `cut -b`, as in GNU's, whatever the locale.
pub(crate) fn count_bytes(argv: &mut Vec<OsString>) {
    let Some((.., spec)) = KNOWN.iter().find(|(name, ..)| *name == "cut") else { return };
    let Ok(parsed) = parse(spec, argv.get(1..).unwrap_or_default(), Order::Permute) else { return };
    if !parsed.opts.iter().any(|opt| opt.id == "characters") {
        return;
    }
    argv.truncate(1);
    for opt in parsed.opts {
        let name = if opt.id == "characters" { "bytes" } else { opt.id };
        let mut word = OsString::from(if name.len() == 1 { "-" } else { "--" });
        word.push(name);
        if let Some(value) = opt.value {
            word.push("=");
            word.push(value);
        }
        argv.push(word);
    }
    argv.push("--".into());
    argv.extend(parsed.operands);
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
        match zone_after_time(&text[start..]) {
            Zoned::No => {}
            Zoned::As(new) => argv[i] = format!("{}{new}", &text[..start]).into(),
            Zoned::Invalid => return Err(format!("invalid date {}", quote(OsStr::new(&text[start..])))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Zoned, count_bytes, zone_after_time, zones_of_dates};
    use std::ffi::{OsStr, OsString};

    fn words(text: &str) -> Vec<OsString> {
        text.split('|').map(OsString::from).collect()
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

    #[test]
    fn characters_are_bytes() {
        let mut argv = words("cut|-sc1-2|f|-z");
        count_bytes(&mut argv);
        assert_eq!(argv.join(OsStr::new("|")), "cut|--only-delimited|--bytes=1-2|--zero-terminated|--|f");
    }
}
