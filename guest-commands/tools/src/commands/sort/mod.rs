//! `sort`: sorts, merges or checks lines, byte by byte whatever the language: the locales of the VM have no other order. It is
//! one thread, and runs no program for its temporary files.

mod debug;
mod files;
mod key;
mod number;
mod run;
mod version;

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, os_owned};
use crate::quote::{quote, quoteaf};
use crate::size::parse_size;
pub(super) use number::float;

use key::{Ignore, Key, Manner, Rules};
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &[
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
];
const HELP: &str = "{} [OPTION]... [FILE]...
  or:  {} [OPTION]... --files0-from=F
Write sorted concatenation of all FILE(s) to standard output.
  -b, --ignore-leading-blanks  ignore leading blanks
  -d, --dictionary-order       consider only blanks and alphanumeric characters
  -f, --ignore-case            fold lower case to upper case characters
  -g, --general-numeric-sort   compare according to general numerical value
  -i, --ignore-nonprinting     consider only printable characters
  -M, --month-sort             compare (unknown) < 'JAN' < ... < 'DEC'
  -h, --human-numeric-sort     compare human readable numbers (e.g., 2K 1G)
  -n, --numeric-sort           compare according to string numerical value
  -R, --random-sort            shuffle, but group identical keys
      --random-source=FILE     get random bytes from FILE
  -r, --reverse                reverse the result of comparisons
      --sort=WORD              sort according to WORD: general-numeric -g, human-numeric -h, month -M,
                               numeric -n, random -R, version -V
  -V, --version-sort           natural sort of (version) numbers within text
      --batch-size=NMERGE      merge at most NMERGE inputs at once
  -c, --check, --check=diagnose-first  check for sorted input; do not sort
  -C, --check=quiet, --check=silent    like -c, but do not report first bad line
      --debug                  annotate the part of the line used to sort
      --files0-from=F          read input from the files named by NUL-terminated names in file F
  -k, --key=KEYDEF             sort via a key: F[.C][OPTS][,F[.C][OPTS]]
  -m, --merge                  merge already sorted files; do not sort
  -o, --output=FILE            write result to FILE instead of standard output
  -s, --stable                 disable last-resort comparison
  -S, --buffer-size=SIZE       use SIZE for main memory buffer
  -t, --field-separator=SEP    use SEP instead of non-blank to blank transition
  -T, --temporary-directory=DIR  use DIR for temporaries, not $TMPDIR or /tmp
      --parallel=N             taken as it is: there is one thread
  -u, --unique                 output only the first of an equal run
  -z, --zero-terminated        line delimiter is NUL, not newline";

/// What is held in memory at most, and what no `-S` lowers it under.
const MOST_MEMORY: usize = 64 << 20;
const LEAST_MEMORY: usize = 1 << 20;
const BATCH: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    No,
    Loud,
    Quiet,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let args = modern(args);
    let parsed = cx.parse(SPEC, &args, Order::Permute, HELP)?;
    let mut global = Manner::default();
    let mut rules = Rules {
        keys: Vec::new(),
        reverse: false,
        unique: false,
        stable: false,
        tab: None,
        salt: [0; 16],
        localized: localized(),
    };
    let mut limits = run::Limits { memory: MOST_MEMORY, batch: BATCH, dirs: Vec::new() };
    let (mut check, mut merge, mut debug, mut end) = (Check::No, false, false, b'\n');
    let (mut output, mut source, mut list): (Option<OsString>, Option<OsString>, Option<OsString>) =
        (None, None, None);
    for opt in &parsed.opts {
        match opt.id {
            "check" if opt.value.is_some() => {
                let words: &[&[&str]] = &[&["quiet", "silent"], &["diagnose-first"]];
                // The word of an option that is none ends with 1, other wrong uses with 2.
                cx.usage_status = 1;
                let new = [Check::Quiet, Check::Loud][cx.keyword("--check", opt.arg(), words)?];
                cx.usage_status = 2;
                set_check(&mut check, new)?;
            }
            "c" | "check" => set_check(&mut check, Check::Loud)?,
            "C" => set_check(&mut check, Check::Quiet)?,
            "sort" => {
                let words: &[&[&str]] = &[
                    &["general-numeric"],
                    &["human-numeric"],
                    &["month"],
                    &["numeric"],
                    &["random"],
                    &["version"],
                ];
                cx.usage_status = 1;
                let letter = b"ghMnRV"[cx.keyword("--sort", opt.arg(), words)?];
                cx.usage_status = 2;
                set_letter(&mut global, letter, true, true);
            }
            "random-source" => set_once(&mut source, opt.arg(), "multiple random sources specified")?,
            "output" => set_once(&mut output, opt.arg(), "multiple output files specified")?,
            "files0-from" => list = Some(opt.arg().to_owned()),
            "compress-program" => {
                return Err(fail("--compress-program is not supported: no command can be run for it"));
            }
            "batch-size" => limits.batch = batch_size(opt.arg())?,
            "parallel" => match opt.text().parse::<u64>() {
                Ok(0) => return Err(fail("number in parallel must be nonzero")),
                Ok(_) => {}
                Err(_) => return Err(invalid_number("--parallel", opt.arg())),
            },
            "buffer-size" => limits.memory = memory(opt.arg())?,
            "temporary-directory" => limits.dirs.push(opt.arg().to_owned()),
            "field-separator" => {
                let tab = separator(opt.arg())?;
                if rules.tab.is_some_and(|old| old != tab) {
                    return Err(fail("incompatible tabs"));
                }
                rules.tab = Some(tab);
            }
            "key" => rules.keys.push(parse_key(opt.arg())?),
            "merge" => merge = true,
            "debug" => debug = true,
            "stable" => rules.stable = true,
            "unique" => rules.unique = true,
            "zero-terminated" => end = 0,
            option => {
                if let Some((_, letter)) = LETTERS.iter().find(|(name, _)| *name == option) {
                    set_letter(&mut global, *letter, true, true);
                }
            }
        }
    }
    let mut inputs = parsed.operands.clone();
    if let Some(list) = &list {
        if let Some(extra) = inputs.first() {
            let extra = quoteaf(extra);
            let message =
                format!("extra operand {extra}\nfile operands cannot be combined with --files0-from");
            return Err(cx.usage(message));
        }
        inputs = files::names_from(list)?;
    }
    if inputs.is_empty() {
        inputs.push("-".into());
    }
    for key in &mut rules.keys {
        if key.order == Manner::default() {
            key.order = global;
        }
    }
    rules.reverse = global.reverse;
    let gkey = rules.keys.is_empty() && !global.is_default();
    if gkey {
        rules.keys.push(Key::whole(global));
    }
    for key in &rules.keys {
        if key.order.kinds() > 1 {
            let shown =
                Manner { start_blanks: false, end_blanks: false, reverse: false, ..key.order }.letters();
            return Err(fail(format!("options '-{shown}' are incompatible")));
        }
    }
    let check_letter = match check {
        Check::No => None,
        Check::Loud => Some('c'),
        Check::Quiet => Some('C'),
    };
    if debug {
        if let Some(letter) = check_letter {
            return Err(fail(format!("options '-{letter} --debug' are incompatible")));
        }
        if output.is_some() {
            return Err(fail("options '-o --debug' are incompatible"));
        }
        debug::warn(cx, &rules, &global, gkey);
    }
    if rules.keys.iter().any(|key| key.order.random) {
        rules.salt = files::salt(source.as_deref())?;
    }
    if limits.dirs.is_empty() {
        limits.dirs.push(agentos_guest::env::temp_dir().into_os_string());
    }
    if let Some(letter) = check_letter {
        if let Some(extra) = inputs.get(1) {
            return Err(fail(format!("extra operand {} not allowed with -{letter}", quoteaf(extra))));
        }
        if output.is_some() {
            return Err(fail(format!("options '-{letter}o' are incompatible")));
        }
        let name = &inputs[0];
        let Some((number, line)) = run::disorder(&rules, name, end)? else { return Ok(0) };
        if check == Check::Loud {
            let mut message =
                format!("sort: {}:{number}: disorder: ", crate::quote::quotef(name)).into_bytes();
            message.extend_from_slice(&line);
            message.push(end);
            // A failing standard error cannot be reported.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), &message);
        }
        return Ok(1);
    }
    for name in &inputs {
        files::check_readable(name)?;
    }
    let name = output;
    let mut output = files::Output::open(cx, name.as_deref())?;
    let mut underlining;
    let sink: &mut dyn files::Sink = if debug {
        underlining = debug::Underlining { output: &mut output, rules: &rules };
        &mut underlining
    } else {
        &mut output
    };
    if merge {
        run::merge_files(&rules, &limits, &inputs, end, name.as_deref(), sink)?;
    } else {
        run::sort(&rules, &limits, &inputs, end, sink)?;
    }
    output.finish()?;
    Ok(0)
}

fn fail(message: impl Into<String>) -> End {
    End::Failure(2, message.into())
}

fn set_check(check: &mut Check, new: Check) -> Result<(), End> {
    if *check != Check::No && *check != new {
        return Err(fail("options '-cC' are incompatible"));
    }
    *check = new;
    Ok(())
}

fn set_once(place: &mut Option<OsString>, value: &OsStr, message: &str) -> Result<(), End> {
    if place.as_deref().is_some_and(|old| old != value) {
        return Err(fail(message));
    }
    *place = Some(value.to_owned());
    Ok(())
}

/// Options that are letters of keys too.
const LETTERS: &[(&str, u8)] = &[
    ("ignore-leading-blanks", b'b'),
    ("dictionary-order", b'd'),
    ("ignore-case", b'f'),
    ("general-numeric-sort", b'g'),
    ("ignore-nonprinting", b'i'),
    ("month-sort", b'M'),
    ("human-numeric-sort", b'h'),
    ("numeric-sort", b'n'),
    ("random-sort", b'R'),
    ("reverse", b'r'),
    ("version-sort", b'V'),
];

/// Takes one letter; whether it is one.
fn set_letter(manner: &mut Manner, letter: u8, start: bool, end: bool) -> bool {
    match letter {
        b'b' => {
            manner.start_blanks |= start;
            manner.end_blanks |= end;
        }
        b'd' => manner.ignore = Ignore::Punctuation,
        b'f' => manner.fold = true,
        b'g' => manner.general = true,
        b'h' => manner.human = true,
        // What leaves out more wins.
        b'i' if manner.ignore == Ignore::Nothing => manner.ignore = Ignore::Control,
        b'i' => {}
        b'M' => manner.month = true,
        b'n' => manner.numeric = true,
        b'R' => manner.random = true,
        b'r' => manner.reverse = true,
        b'V' => manner.version = true,
        _ => return false,
    }
    true
}

/// Reads `F[.C][OPTS][,F[.C][OPTS]]`.
fn parse_key(text: &OsStr) -> Result<Key, End> {
    let whole = text;
    let bad = |why: &str| fail(format!("{why}: invalid field specification {}", quote(whole)));
    let mut rest = text.as_bytes();
    let mut key = Key::whole(Manner::default());
    let field = count(&mut rest, "invalid number at field start")?;
    key.start_field = field.checked_sub(1).ok_or_else(|| bad("field number is zero"))?;
    if let Some(after) = rest.strip_prefix(b".") {
        rest = after;
        let byte = count(&mut rest, "invalid number after '.'")?;
        key.start_byte = byte.checked_sub(1).ok_or_else(|| bad("character offset is zero"))?;
    }
    rest = letters(rest, &mut key.order, true);
    if let Some(after) = rest.strip_prefix(b",") {
        rest = after;
        let field = count(&mut rest, "invalid number after ','")?;
        key.end_field = Some(field.checked_sub(1).ok_or_else(|| bad("field number is zero"))?);
        if let Some(after) = rest.strip_prefix(b".") {
            rest = after;
            key.end_byte = count(&mut rest, "invalid number after '.'")?;
        }
        rest = letters(rest, &mut key.order, false);
    }
    if rest.is_empty() { Ok(key) } else { Err(bad("stray character in field spec")) }
}

fn letters<'a>(mut rest: &'a [u8], manner: &mut Manner, start: bool) -> &'a [u8] {
    while let Some((letter, after)) = rest.split_first() {
        if !set_letter(manner, *letter, start, !start) {
            break;
        }
        rest = after;
    }
    rest
}

/// A decimal number; one that is too large is as large as there is.
fn count(rest: &mut &[u8], why: &str) -> Result<usize, End> {
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        let text = quote(crate::os::os(rest));
        return Err(fail(format!("{why}: invalid count at start of {text}")));
    }
    let number = rest[..digits]
        .iter()
        .fold(0_usize, |n, b| n.saturating_mul(10).saturating_add(usize::from(b - b'0')));
    *rest = &rest[digits..];
    Ok(number)
}

fn separator(text: &OsStr) -> Result<u8, End> {
    match text.as_bytes() {
        [] => Err(fail("empty tab")),
        [tab] => Ok(*tab),
        b"\\0" => Ok(0),
        _ => Err(fail(format!("multi-character tab {}", quote(text)))),
    }
}

fn invalid_number(option: &str, text: &OsStr) -> End {
    fail(format!("invalid {option} argument {}", quoteaf(text)))
}

fn batch_size(text: &OsStr) -> Result<usize, End> {
    match text.to_string_lossy().parse::<usize>() {
        Ok(number @ 2..) => Ok(number.min(64)),
        Ok(_) => {
            let message = format!("invalid --batch-size argument {}", quote(text));
            Err(fail(format!("{message}\nsort: minimum --batch-size argument is {}", quote(OsStr::new("2")))))
        }
        Err(_) => Err(invalid_number("--batch-size", text)),
    }
}

/// The size of `-S`: kibibytes without a unit, `b` bytes, `%` of what there is.
fn memory(text: &OsStr) -> Result<usize, End> {
    let shown = text.to_string_lossy();
    let digits = shown.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(invalid_number("-S", text));
    }
    let bytes = match &shown[digits..] {
        "" => parse_size(&format!("{shown}K")),
        "b" => shown[..digits].parse().ok(),
        "%" => {
            shown[..digits].parse::<u64>().ok().map(|share| (MOST_MEMORY as u64 / 100).saturating_mul(share))
        }
        unit if crate::size::multiplier(unit).is_some() => parse_size(&shown),
        _ => return Err(fail(format!("invalid suffix in -S argument {}", quoteaf(text)))),
    };
    let Some(bytes) = bytes else { return Err(fail(format!("-S argument {} too large", quoteaf(text)))) };
    Ok(usize::try_from(bytes).unwrap_or(MOST_MEMORY).clamp(LEAST_MEMORY, MOST_MEMORY))
}

/// Whether the locale is another than C: GNU's `-R` then gives another order.
fn localized() -> bool {
    ["LC_ALL", "LC_COLLATE", "LANG"]
        .iter()
        .filter_map(std::env::var_os)
        .find(|value| !value.is_empty())
        .is_some_and(|value| value != "C" && value != "POSIX")
}

/// `+1 -2` of old as `-k 2,2`, and `-y[N]` of old as nothing.
fn modern(args: &[OsString]) -> Vec<OsString> {
    let mut out = Vec::with_capacity(args.len());
    let mut rest = args.iter().peekable();
    while let Some(arg) = rest.next() {
        let bytes = arg.as_bytes();
        if bytes == b"--" {
            out.push(arg.clone());
            break;
        }
        if let Some(start) = bytes.strip_prefix(b"+").and_then(|text| old_position(text, false)) {
            let end = rest.peek().and_then(|next| next.as_bytes().strip_prefix(b"-"));
            let end = end.and_then(|text| old_position(text, true));
            let mut key = format!("-k{start}");
            if let Some(end) = end {
                rest.next();
                key += &format!(",{end}");
            }
            out.push(key.into());
            continue;
        }
        if let Some(size) = bytes.strip_prefix(b"-y")
            && size.iter().all(u8::is_ascii_digit)
        {
            continue;
        }
        out.push(os_owned(bytes.to_vec()));
        // The argument of an option is what it is.
        let takes = |b: &u8| b"koStT".contains(b);
        let letters = bytes.strip_prefix(b"-").filter(|letters| !letters.starts_with(b"-"));
        if let Some(letters) = letters
            && letters.iter().position(takes).is_some_and(|at| at + 1 == letters.len())
        {
            out.extend(rest.next().cloned());
        }
    }
    out.extend(rest.cloned());
    out
}

/// A position that counts from 0 as one that counts from 1; nothing if it is none.
fn old_position(text: &[u8], last: bool) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (field, mut rest) = text.split_at(digits(text));
    let field: u64 = field.parse().ok()?;
    let mut byte = 0;
    if let Some(after) = rest.strip_prefix('.') {
        let (number, after) = after.split_at(digits(after));
        byte = number.parse::<u64>().ok()?;
        rest = after;
    }
    if !rest.bytes().all(|b| b"bdfghiMnRrV".contains(&b)) {
        return None;
    }
    Some(match (last, byte) {
        // The end without a byte is that of the field before.
        (true, 0) => format!("{}{rest}", field.max(1)),
        (true, _) => format!("{}.{byte}{rest}", field.checked_add(1)?),
        (false, 0) => format!("{}{rest}", field.checked_add(1)?),
        (false, _) => format!("{}.{}{rest}", field.checked_add(1)?, byte.checked_add(1)?),
    })
}

#[cfg(test)]
mod tests {
    use super::{modern, parse_key};
    use std::ffi::{OsStr, OsString};

    #[test]
    fn keys_of_old_are_those_of_today() {
        for (words, wanted) in [
            ("+1", "-k2"),
            ("+1 -2 f", "-k2,2 f"),
            ("+0.2nr -1.3b", "-k1.3nr,2.3b"),
            ("-t + +x -- +1", "-t + +x -- +1"),
            ("-y5 f", "f"),
        ] {
            let args: Vec<OsString> = words.split(' ').map(OsString::from).collect();
            assert_eq!(modern(&args).join(OsStr::new(" ")), wanted);
        }
    }

    #[test]
    fn keys_are_read() {
        let key = parse_key(OsStr::new("2.3bn,4.5r")).expect("a key");
        assert_eq!((key.start_field, key.start_byte, key.end_field, key.end_byte), (1, 2, Some(3), 5));
        assert!(key.order.start_blanks && !key.order.end_blanks && key.order.numeric && key.order.reverse);
        for bad in ["", "0", "1.0", "1,", "1,0", "1x", "1,2x"] {
            assert!(parse_key(OsStr::new(bad)).is_err(), "{bad}");
        }
    }
}
