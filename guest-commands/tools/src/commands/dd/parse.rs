//! The operands of `dd`: `NAME=VALUE` words, numbers with their suffixes, lists of symbols. It opens no file.

use super::value;
use crate::context::{Cx, End};
use crate::os::os;
use crate::quote::quote;
use std::ffi::{OsStr, OsString};

/// What is told at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    All,
    NoTransfer,
    None,
    Progress,
}

/// Conversions, and how the output is opened and written.
#[derive(Debug, Default)]
pub(super) struct Conv {
    pub(super) lcase: bool,
    pub(super) ucase: bool,
    pub(super) swab: bool,
    pub(super) sync: bool,
    pub(super) noerror: bool,
    pub(super) notrunc: bool,
    pub(super) nocreat: bool,
    pub(super) excl: bool,
    pub(super) sparse: bool,
    /// At the end wait until the output is kept; whether its data suffices.
    pub(super) sync_file: Option<bool>,
}

/// What is to be done, in bytes.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) input: Option<OsString>,
    pub(super) output: Option<OsString>,
    pub(super) ibs: usize,
    pub(super) obs: usize,
    /// `bs=` and no conversion: every block that is read is written as it is.
    pub(super) same_blocks: bool,
    /// Blocks, or bytes with `count_bytes`.
    pub(super) count: Option<u64>,
    pub(super) count_bytes: bool,
    pub(super) skip: u64,
    pub(super) seek: u64,
    pub(super) append: bool,
    pub(super) fullblock: bool,
    pub(super) conv: Conv,
    pub(super) status: Status,
    /// The warning about partial reads has been given.
    pub(super) warned: bool,
}

impl Job {
    /// Whether partial reads change how much is copied, so that the user should hear of them.
    pub(super) fn warns_partial(&self) -> bool {
        self.same_blocks
            && !self.fullblock
            && !self.warned
            && (self.skip > 0 || self.count.is_some_and(|n| n > 0))
    }
}

/// The largest block: as much memory as a process of a VM may sensibly ask for at once.
const MAX_BLOCK: u64 = 1 << 30;

/// A number, and whether it counts bytes rather than blocks.
#[derive(Clone, Copy)]
struct Number {
    value: u64,
    bytes: bool,
}

/// Reads all operands; the last of each name counts.
pub(super) fn parse(cx: &Cx, args: &[OsString]) -> Result<Job, End> {
    let mut job = Job {
        input: None,
        output: None,
        ibs: 512,
        obs: 512,
        same_blocks: false,
        count: None,
        count_bytes: false,
        skip: 0,
        seek: 0,
        append: false,
        fullblock: false,
        conv: Conv::default(),
        status: Status::All,
        warned: false,
    };
    let (mut bs, mut count, mut skip, mut seek) = (None, None, None, None);
    let (mut skip_bytes, mut seek_bytes) = (false, false);
    for word in args.iter().filter(|w| *w != "--") {
        let found = |names: &[&str]| names.iter().find_map(|name| value(word, name));
        if let Some(file) = found(&["if"]) {
            job.input = Some(os(file).to_owned());
        } else if let Some(file) = found(&["of"]) {
            job.output = Some(os(file).to_owned());
        } else if let Some(text) = found(&["ibs"]) {
            job.ibs = block(text)?;
        } else if let Some(text) = found(&["obs"]) {
            job.obs = block(text)?;
        } else if let Some(text) = found(&["bs"]) {
            bs = Some(block(text)?);
        } else if let Some(text) = found(&["count"]) {
            count = Some(number(text)?);
        } else if let Some(text) = found(&["skip", "iseek"]) {
            skip = Some(number(text)?);
        } else if let Some(text) = found(&["seek", "oseek"]) {
            seek = Some(number(text)?);
        } else if let Some(text) = found(&["conv"]) {
            for symbol in text.split(|b| *b == b',') {
                conversion(cx, &mut job.conv, symbol)?;
            }
        } else if let Some(text) = found(&["iflag"]) {
            for symbol in text.split(|b| *b == b',') {
                match symbol {
                    b"fullblock" => job.fullblock = true,
                    b"count_bytes" => job.count_bytes = true,
                    b"skip_bytes" => skip_bytes = true,
                    _ => return Err(unknown(cx, "input flag", symbol)),
                }
            }
        } else if let Some(text) = found(&["oflag"]) {
            for symbol in text.split(|b| *b == b',') {
                match symbol {
                    b"append" => job.append = true,
                    b"seek_bytes" => seek_bytes = true,
                    _ => return Err(unknown(cx, "output flag", symbol)),
                }
            }
        } else if let Some(text) = found(&["status"]) {
            job.status = match text {
                b"none" => Status::None,
                b"noxfer" => Status::NoTransfer,
                b"progress" => Status::Progress,
                _ => return Err(unknown(cx, "status level", text)),
            };
        } else {
            return Err(cx.usage(format!("unrecognized operand {}", quote(word))));
        }
    }
    if let Some(bs) = bs {
        (job.ibs, job.obs) = (bs, bs);
    }
    let c = &job.conv;
    job.same_blocks = bs.is_some() && !(c.lcase || c.ucase || c.swab);
    if c.lcase && c.ucase {
        return Err(End::Failure(1, "cannot combine lcase and ucase".to_owned()));
    }
    if c.excl && c.nocreat {
        return Err(End::Failure(1, "cannot combine excl and nocreat".to_owned()));
    }
    let bytes = |n: Option<Number>, in_bytes: bool, block: usize| match n {
        Some(n) if n.bytes || in_bytes => n.value,
        Some(n) => n.value.saturating_mul(block as u64),
        None => 0,
    };
    job.skip = bytes(skip, skip_bytes, job.ibs);
    job.seek = bytes(seek, seek_bytes, job.obs);
    job.count = count.map(|n| n.value);
    job.count_bytes |= count.is_some_and(|n| n.bytes);
    Ok(job)
}

fn unknown(cx: &Cx, what: &str, symbol: &[u8]) -> End {
    cx.usage(format!("invalid {what}: {}", quote(os(symbol))))
}

fn conversion(cx: &Cx, conv: &mut Conv, symbol: &[u8]) -> Result<(), End> {
    match symbol {
        b"lcase" => conv.lcase = true,
        b"ucase" => conv.ucase = true,
        b"swab" => conv.swab = true,
        b"sync" => conv.sync = true,
        b"noerror" => conv.noerror = true,
        b"notrunc" => conv.notrunc = true,
        b"nocreat" => conv.nocreat = true,
        b"excl" => conv.excl = true,
        b"sparse" => conv.sparse = true,
        b"fsync" => conv.sync_file = Some(false),
        b"fdatasync" => conv.sync_file = conv.sync_file.or(Some(true)),
        b"ascii" | b"ebcdic" | b"ibm" | b"block" | b"unblock" => {
            let symbol = quote(os(symbol));
            return Err(End::Failure(1, format!("conversion {symbol} is not supported")));
        }
        _ => return Err(unknown(cx, "conversion", symbol)),
    }
    Ok(())
}

fn block(text: &[u8]) -> Result<usize, End> {
    let number = number(text)?;
    if number.value == 0 {
        return Err(End::Failure(1, format!("invalid number: {}", quote(os(text)))));
    }
    match usize::try_from(number.value) {
        Ok(bytes) if number.value <= MAX_BLOCK => Ok(bytes),
        _ => Err(End::Failure(1, format!("memory exhausted by a block of {} bytes", number.value))),
    }
}

fn number(text: &[u8]) -> Result<Number, End> {
    let lossy = String::from_utf8_lossy(text);
    parse_number(&lossy).map_err(|why| {
        let name = quote(OsStr::new(&*lossy));
        End::Failure(1, format!("invalid number: {name}{why}"))
    })
}

/// `2x512`, `4K`, `10B`: a product of numbers with suffixes.
fn parse_number(text: &str) -> Result<Number, &'static str> {
    let mut product = Number { value: 1, bytes: false };
    let mut parts = text.split('x').peekable();
    while let Some(part) = parts.next() {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, suffix) = part.split_at(digits);
        if number.is_empty() {
            return Err("");
        }
        let value: u64 = number.parse().map_err(|_| ": Value too large for defined data type")?;
        let (scale, bytes) = scale(suffix).ok_or("")?;
        // Only the last factor can say that bytes are counted.
        product.bytes = bytes && parts.peek().is_none();
        product.value = value
            .checked_mul(scale)
            .and_then(|v| product.value.checked_mul(v))
            .ok_or(": Value too large for defined data type")?;
    }
    Ok(product)
}

fn scale(suffix: &str) -> Option<(u64, bool)> {
    Some(match suffix {
        "" | "c" => (1, false),
        "w" => (2, false),
        "b" => (512, false),
        "B" => (1, true),
        _ => {
            let letter = suffix.chars().next()?;
            let power = "KMGTPE".find(letter.to_ascii_uppercase())? as u32 + 1;
            if letter.is_lowercase() && letter != 'k' {
                return None;
            }
            match &suffix[1..] {
                "" if letter != 'k' => (1024_u64.checked_pow(power)?, false),
                "" => (1024, false),
                "iB" => (1024_u64.checked_pow(power)?, true),
                "B" => (1000_u64.checked_pow(power)?, true),
                _ => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::parse_number;

    #[test]
    fn numbers() {
        for (text, want) in [
            ("512", Some((512, false))),
            ("2x512", Some((1024, false))),
            ("1K", Some((1024, false))),
            ("1kB", Some((1000, true))),
            ("3MiB", Some((3 << 20, true))),
            ("10B", Some((10, true))),
            ("2b", Some((1024, false))),
            ("3w", Some((6, false))),
            ("", None),
            ("x", None),
            ("1x", None),
            ("1Z", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse_number(text).ok().map(|n| (n.value, n.bytes)), want, "{text}");
        }
    }
}
