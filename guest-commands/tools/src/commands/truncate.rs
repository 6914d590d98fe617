//! `truncate`: makes files as long as is said. What it adds is a hole.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::quote::{quote, quoteaf};
use agentos_guest::{Errno, errno_of, fd, fs, strerror};
use std::ffi::{OsStr, OsString};

/// What a size is to the length that a file has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    Exact,
    Sum,
    AtLeast,
    AtMost,
    RoundDown,
    RoundUp,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} OPTION... FILE...
Shrink or extend the size of each FILE to the specified size. A FILE argument that does not exist is created.
  -c, --no-create        do not create any files
  -o, --io-blocks        treat SIZE as number of IO blocks instead of bytes
  -r, --reference=RFILE  base size on RFILE
  -s, --size=SIZE        set or adjust the file size by SIZE bytes; a SIZE may begin with + (extend by), - (reduce
                         by), < (at most), > (at least), / (round down to multiple of), % (round up to multiple of)";
    let spec = &["c,no-create", "o,io-blocks", "r,reference=", "s,size="];
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let (mut create, mut blocks, mut reference, mut size) = (true, false, None, None);
    for opt in &parsed.opts {
        match opt.id {
            "no-create" => create = false,
            "io-blocks" => blocks = true,
            "reference" => reference = Some(opt.arg()),
            _ => size = Some(parse(cx, &opt.text())?),
        }
    }
    let (size_name, reference_name) = (quote(OsStr::new("--size")), quote(OsStr::new("--reference")));
    match (&size, &reference) {
        (None, None) => {
            return Err(cx.usage(format!("you must specify either {size_name} or {reference_name}")));
        }
        (Some((Relation::Exact, _)), Some(_)) => {
            return Err(cx.usage(format!("you must specify a relative {size_name} with {reference_name}")));
        }
        (None, _) if blocks => {
            let name = quote(OsStr::new("--io-blocks"));
            return Err(cx.usage(format!("{name} was specified but {size_name} was not")));
        }
        _ => {}
    }
    if parsed.operands.is_empty() {
        return Err(cx.usage("missing file operand"));
    }
    let mut base = None;
    if let Some(path) = reference {
        let stat = fs::stat(path).map_err(|error| {
            End::Failure(1, format!("cannot stat {}: {}", quoteaf(path), strerror(&error)))
        })?;
        base = i64::try_from(stat.size).ok();
    }
    // Without a size the reference is the size.
    let (relation, size) = size.unwrap_or((Relation::Exact, base.unwrap_or(0)));
    for path in &parsed.operands {
        let flags = fd::O_WRONLY | fd::O_NONBLOCK | if create { fd::O_CREAT } else { 0 };
        let file = match fd::open(path, flags, 0o666) {
            Ok(raw) => fd::Owned::from_raw(raw),
            Err(error) if !create && errno_of(&error) == Some(Errno::ENOENT) => continue,
            Err(error) => {
                cx.warn(format_args!("cannot open {} for writing: {}", quoteaf(path), strerror(&error)));
                continue;
            }
        };
        let stat = match fs::fstat(file.raw()) {
            Ok(stat) => stat,
            Err(error) => {
                cx.warn(format_args!("cannot fstat {}: {}", quoteaf(path), strerror(&error)));
                continue;
            }
        };
        let unit = if blocks { i64::from(stat.blksize) } else { 1 };
        let Some(wanted) = size.checked_mul(unit) else {
            let path = quoteaf(path);
            cx.warn(format_args!("overflow in {size} * {unit} byte blocks for file {path}"));
            continue;
        };
        let now = base.or_else(|| i64::try_from(stat.size).ok()).unwrap_or(i64::MAX);
        let (length, doing) = match relation {
            Relation::Exact => (Some(wanted), ""),
            Relation::AtLeast => (Some(now.max(wanted)), ""),
            Relation::AtMost => (Some(now.min(wanted)), ""),
            Relation::RoundDown => (now.checked_div(wanted).map(|n| n * wanted), "rounding up"),
            Relation::RoundUp => {
                let over = now.checked_rem(wanted);
                let more = over.and_then(|over| if over == 0 { Some(0) } else { wanted.checked_sub(over) });
                (more.and_then(|more| now.checked_add(more)), "rounding up")
            }
            Relation::Sum => (now.checked_add(wanted), "extending"),
        };
        let Some(length) = length else {
            cx.warn(format_args!("overflow {doing} size of file {}", quoteaf(path)));
            continue;
        };
        let length = length.max(0);
        if let Err(error) = fd::set_len(file.raw(), length.unsigned_abs()) {
            let (path, why) = (quoteaf(path), strerror(&error));
            cx.warn(format_args!("failed to truncate {path} at {length} bytes: {why}"));
        }
    }
    Ok(0)
}

/// The argument of `-s`.
fn parse(cx: &Cx, text: &str) -> Result<(Relation, i64), End> {
    let rest = text.trim_start();
    let mut relation = match rest.as_bytes().first() {
        Some(b'<') => Relation::AtMost,
        Some(b'>') => Relation::AtLeast,
        Some(b'/') => Relation::RoundDown,
        Some(b'%') => Relation::RoundUp,
        _ => Relation::Exact,
    };
    let rest = if relation == Relation::Exact { rest } else { rest[1..].trim_start() };
    if rest.starts_with(['+', '-']) {
        if relation != Relation::Exact {
            return Err(cx.usage("multiple relative modifiers specified"));
        }
        relation = Relation::Sum;
    }
    let size = number(rest)
        .map_err(|why| End::Failure(1, format!("Invalid number: {}{why}", quote(OsStr::new(rest)))))?;
    if size == 0 && matches!(relation, Relation::RoundDown | Relation::RoundUp) {
        return Err(End::Failure(1, "division by zero".to_owned()));
    }
    Ok((relation, size))
}

/// A number with a sign and a suffix; the error is what is said after it.
fn number(text: &str) -> Result<i64, &'static str> {
    let large = ": Value too large for defined data type";
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, suffix) = digits.split_at(end);
    // A suffix alone is one of it, but not after a sign.
    if digits.is_empty() && (suffix.is_empty() || text.starts_with(['+', '-'])) {
        return Err("");
    }
    let mut letters = suffix.chars();
    let power = match letters.next() {
        None => 0,
        Some('k' | 'K') => 1,
        Some('m' | 'M') => 2,
        Some('g' | 'G') => 3,
        Some('t' | 'T') => 4,
        Some('P') => 5,
        Some('E') => 6,
        Some('Z') => 7,
        Some('Y') => 8,
        Some(_) => return Err(""),
    };
    let base: i128 = match letters.as_str() {
        "" | "iB" => 1024,
        "B" | "D" => 1000,
        _ => return Err(""),
    };
    let value = if digits.is_empty() { Ok(1) } else { digits.parse::<i128>() }.map_err(|_| large)?;
    let value = value.checked_mul(base.pow(power)).ok_or(large)?;
    i64::try_from(if negative { -value } else { value }).map_err(|_| large)
}
