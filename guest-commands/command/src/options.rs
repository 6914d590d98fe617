//! GNU option parsing: bundled short options, long options with abbreviation, `--`, and GNU's words for what is wrong.
//!
//! It does not know what an option means; a command walks the parsed list in order.

use crate::os::{OsStrExt, os};
use std::ffi::{OsStr, OsString};

/// One parsed option: the long name if it has one, else the short letter, and its argument.
#[derive(Debug, PartialEq, Eq)]
pub struct Opt {
    /// Long name, or the letter of an option without one.
    pub id: &'static str,
    /// The argument, for options that take one.
    pub value: Option<OsString>,
}

impl Opt {
    /// The argument of an option that always has one.
    pub fn arg(&self) -> &OsStr {
        self.value.as_deref().unwrap_or_else(|| OsStr::new(""))
    }

    /// The same, lossy text: for arguments that are numbers or keywords.
    pub fn text(&self) -> String {
        self.arg().to_string_lossy().into_owned()
    }
}

/// What the command line says.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Options in their order.
    pub opts: Vec<Opt>,
    /// Everything that is not an option.
    pub operands: Vec<OsString>,
}

/// Where options end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Anywhere among the operands, as GNU programs take them.
    Permute,
    /// At the first operand: for commands that run another command.
    StopAtOperand,
}

/// Parses `args` by `spec`.
///
/// An entry of `spec` is `"s,long"`, `"s"` or `"long"`; a `=` at its end means a required argument, `=?` an optional
/// one. The error is the message without the program's name.
pub fn parse(spec: &'static [&'static str], args: &[OsString], order: Order) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let bytes = arg.as_bytes();
        if bytes == b"--" {
            parsed.operands.extend(rest.cloned());
            break;
        }
        if let Some(long) = bytes.strip_prefix(b"--") {
            parse_long(spec, long, &mut rest, &mut parsed.opts)?;
        } else if bytes.len() > 1 && bytes[0] == b'-' {
            parse_short(spec, &bytes[1..], &mut rest, &mut parsed.opts)?;
        } else {
            parsed.operands.push(arg.clone());
            if order == Order::StopAtOperand {
                parsed.operands.extend(rest.cloned());
                break;
            }
        }
    }
    Ok(parsed)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Required,
    Optional,
}

struct Entry {
    short: Option<u8>,
    long: Option<&'static str>,
    takes: Takes,
}

impl Entry {
    fn read(text: &'static str) -> Entry {
        let (names, takes) = if let Some(names) = text.strip_suffix("=?") {
            (names, Takes::Optional)
        } else if let Some(names) = text.strip_suffix('=') {
            (names, Takes::Required)
        } else {
            (text, Takes::Nothing)
        };
        let (short, long) = match names.split_once(',') {
            Some((short, long)) => (Some(short), Some(long)),
            None if names.len() == 1 => (Some(names), None),
            None => (None, Some(names)),
        };
        Entry { short: short.map(|s| s.as_bytes()[0]), long, takes }
    }
}

fn id(text: &'static str) -> &'static str {
    let names = text.trim_end_matches(['?', '=']);
    names.split_once(',').map_or(names, |(_, long)| long)
}

fn parse_long(
    spec: &'static [&'static str],
    arg: &[u8],
    rest: &mut std::slice::Iter<'_, OsString>,
    opts: &mut Vec<Opt>,
) -> Result<(), String> {
    let (name, value) = match arg.iter().position(|b| *b == b'=') {
        Some(i) => (&arg[..i], Some(&arg[i + 1..])),
        None => (arg, None),
    };
    let mut found: Vec<(&'static str, Entry)> = Vec::new();
    for text in spec {
        let entry = Entry::read(text);
        let Some(long) = entry.long else { continue };
        if long.as_bytes() == name {
            found = vec![(text, entry)];
            break;
        }
        if long.as_bytes().starts_with(name) {
            found.push((text, entry));
        }
    }
    if found.len() > 1 {
        let list: Vec<String> =
            found.iter().filter_map(|(_, e)| e.long).map(|long| format!("'--{long}'")).collect();
        let shown = String::from_utf8_lossy(arg);
        return Err(format!("option '--{shown}' is ambiguous; possibilities: {}", list.join(" ")));
    }
    let Some((text, entry)) = found.pop() else {
        return Err(format!("unrecognized option '--{}'", String::from_utf8_lossy(arg)));
    };
    let long = entry.long.unwrap_or_default();
    let value = match (entry.takes, value) {
        (Takes::Nothing, Some(_)) => return Err(format!("option '--{long}' doesn't allow an argument")),
        (Takes::Nothing, None) | (Takes::Optional, None) => None,
        (_, Some(value)) => Some(os(value).to_owned()),
        (Takes::Required, None) => match rest.next() {
            Some(value) => Some(value.clone()),
            None => return Err(format!("option '--{long}' requires an argument")),
        },
    };
    opts.push(Opt { id: id(text), value });
    Ok(())
}

fn parse_short(
    spec: &'static [&'static str],
    letters: &[u8],
    rest: &mut std::slice::Iter<'_, OsString>,
    opts: &mut Vec<Opt>,
) -> Result<(), String> {
    let mut i = 0;
    while i < letters.len() {
        let letter = letters[i];
        i += 1;
        let found = spec.iter().map(|text| (*text, Entry::read(text))).find(|(_, e)| e.short == Some(letter));
        let Some((text, entry)) = found else {
            return Err(format!("invalid option -- '{}'", char::from(letter)));
        };
        let value = match entry.takes {
            Takes::Nothing => None,
            _ if i < letters.len() => {
                let value = os(&letters[i..]).to_owned();
                i = letters.len();
                Some(value)
            }
            Takes::Optional => None,
            Takes::Required => match rest.next() {
                Some(value) => Some(value.clone()),
                None => return Err(format!("option requires an argument -- '{}'", char::from(letter))),
            },
        };
        opts.push(Opt { id: id(text), value });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Order, parse};
    use std::ffi::OsString;

    const SPEC: &[&str] = &["n,lines=", "q,quiet", "q2,quite", "s", "color=?"];

    fn check(args: &[&str], want: &str) {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let got = match parse(SPEC, &args, Order::Permute) {
            Err(message) => message,
            Ok(parsed) => {
                let mut words: Vec<String> = parsed
                    .opts
                    .iter()
                    .map(|o| match &o.value {
                        Some(v) => format!("{}={}", o.id, v.to_string_lossy()),
                        None => o.id.to_owned(),
                    })
                    .collect();
                words.extend(parsed.operands.iter().map(|o| format!("[{}]", o.to_string_lossy())));
                words.join(" ")
            }
        };
        assert_eq!(got, want);
    }

    #[test]
    fn parses_as_getopt_long_does() {
        check(&["-qn5", "a", "-s", "b"], "quiet lines=5 s [a] [b]");
        check(&["-n", "5", "--", "-s"], "lines=5 [-s]");
        check(&["--lines=5", "--lin", "6", "--color", "--color=no"], "lines=5 lines=6 color color=no");
        check(&["-", "-s"], "s [-]");
        check(&["--qui"], "option '--qui' is ambiguous; possibilities: '--quiet' '--quite'");
        check(&["--bad=1"], "unrecognized option '--bad=1'");
        check(&["--quiet=1"], "option '--quiet' doesn't allow an argument");
        check(&["--lines"], "option '--lines' requires an argument");
        check(&["-n"], "option requires an argument -- 'n'");
        check(&["-sz"], "invalid option -- 'z'");
    }
}
