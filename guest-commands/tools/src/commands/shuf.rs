//! `shuf`: lines, words or numbers in a chance order. With the same file of `--random-source` the order is that of GNU's.

use crate::context::{Cx, End, Outcome, open_input};
use crate::lines::Lines;
use crate::options::Order;
use crate::os::{OsStrExt, os};
use crate::quote::{quote, quotef};
use agentos_guest::fs::{FileType, file_type, fstat, stat};
use agentos_guest::strerror;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{BufReader, BufWriter, Read, Write};

const SPEC: &[&str] = &[
    "e,echo",
    "i,input-range=",
    "n,head-count=",
    "o,output=",
    "random-source=",
    "r,repeat",
    "z,zero-terminated",
];
const HELP: &str = "{} [OPTION]... [FILE]
  or:  {} -e [OPTION]... [ARG]...
  or:  {} -i LO-HI [OPTION]...
Write a random permutation of the input lines to standard output.
  -e, --echo                treat each ARG as an input line
  -i, --input-range=LO-HI   treat each number LO through HI as an input line
  -n, --head-count=COUNT    output at most COUNT lines
  -o, --output=FILE         write result to FILE instead of standard output
      --random-source=FILE  get random bytes from FILE
  -r, --repeat              output lines can be repeated
  -z, --zero-terminated     line delimiter is NUL, not newline";

/// A larger input is not held whole if only some of its lines are wanted.
const LARGE: u64 = 8192 * 1024;

fn fail(message: impl Into<String>) -> End {
    End::Failure(1, message.into())
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let (mut echo, mut repeat, mut end, mut count) = (false, false, b'\n', u64::MAX);
    let (mut range, mut output, mut source): (Option<(u64, u64)>, Option<OsString>, Option<OsString>) =
        (None, None, None);
    for opt in &parsed.opts {
        match opt.id {
            "echo" => echo = true,
            "repeat" => repeat = true,
            "zero-terminated" => end = 0,
            "input-range" => {
                if range.is_some() {
                    return Err(fail("multiple -i options specified"));
                }
                range = Some(read_range(opt.arg())?);
            }
            "head-count" => {
                let text = opt.text();
                let digits = text.strip_prefix('+').unwrap_or(&text);
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(fail(format!("invalid line count: {}", quote(opt.arg()))));
                }
                count = count.min(digits.parse().unwrap_or(u64::MAX));
            }
            "output" => {
                if output.as_deref().is_some_and(|old| old != opt.arg()) {
                    return Err(fail("multiple output files specified"));
                }
                output = Some(opt.arg().to_owned());
            }
            _ => {
                if source.as_deref().is_some_and(|old| old != opt.arg()) {
                    return Err(fail("multiple random sources specified"));
                }
                source = Some(opt.arg().to_owned());
            }
        }
    }
    if echo && range.is_some() {
        return Err(cx.usage("cannot combine -e and -i options"));
    }
    let most = usize::from(range.is_none());
    if let (false, Some(extra)) = (echo, parsed.operands.get(most)) {
        return Err(cx.usage(format!("extra operand {}", quote(extra))));
    }
    let mut chance = Chance::new(source)?;
    let (lines, numbers) = if echo {
        (parsed.operands.iter().map(|arg| arg.as_bytes().to_vec()).collect(), None)
    } else if let Some(range) = range {
        (Vec::new(), Some(range))
    } else {
        let name = parsed.operands.first().map_or(OsStr::new("-"), |name| name.as_os_str());
        (read(name, end, (!repeat).then_some(count), &mut chance)?, None)
    };
    let total = numbers.map_or(lines.len() as u64, |(low, high)| high.wrapping_sub(low).wrapping_add(1));
    let mut writer: Box<dyn Write + '_> = match &output {
        Some(name) => {
            let file = File::create(name)
                .map_err(|error| fail(format!("{}: {}", quotef(name), strerror(&error))))?;
            Box::new(BufWriter::with_capacity(64 * 1024, file))
        }
        None => Box::new(&mut cx.out),
    };
    let mut put = |at: u64| -> Result<(), End> {
        let written = match numbers {
            Some((low, _)) => write!(writer, "{}", low.wrapping_add(at)),
            None => writer.write_all(&lines[at as usize]),
        };
        written.and_then(|()| writer.write_all(&[end])).map_err(End::Output)
    };
    if repeat {
        if count > 0 && total == 0 {
            return Err(fail("no lines to repeat"));
        }
        for _ in 0..count {
            put(chance.below(total)?)?;
        }
    } else {
        // Only places that are not what they were at first are kept.
        let mut moved: HashMap<u64, u64> = HashMap::new();
        for i in 0..count.min(total) {
            let j = i + chance.below(total - i)?;
            let here = moved.remove(&i).unwrap_or(i);
            let chosen = if j == i { here } else { moved.insert(j, here).unwrap_or(j) };
            put(chosen)?;
        }
    }
    writer.flush().map_err(End::Output)?;
    Ok(0)
}

fn read_range(text: &OsStr) -> Result<(u64, u64), End> {
    let bytes = text.as_bytes();
    let invalid = |part: &[u8], why: &str| fail(format!("invalid input range: {}{why}", quote(os(part))));
    let dash = bytes.iter().position(|b| *b == b'-').ok_or_else(|| invalid(bytes, ""))?;
    let number = |part: &[u8]| {
        if part.is_empty() || !part.iter().all(u8::is_ascii_digit) {
            return Err(invalid(part, ""));
        }
        let value = part.iter().try_fold(0_u64, |n, b| n.checked_mul(10)?.checked_add(u64::from(b - b'0')));
        value.ok_or_else(|| invalid(part, ": Value too large for defined data type"))
    };
    let (low, high) = (number(&bytes[..dash])?, number(&bytes[dash + 1..])?);
    // An empty range is one, but not one that is turned around, nor one with more numbers than can be counted.
    let many = u128::from(high) + 1 < u128::from(low)
        || u128::from(high) - u128::from(low.min(high)) == u128::from(u64::MAX);
    if many { Err(invalid(bytes, "")) } else { Ok((low, high)) }
}

/// Reads the lines; of a large input only as many as are wanted, each with the same chance.
fn read(name: &OsStr, end: u8, wanted: Option<u64>, chance: &mut Chance) -> Result<Vec<Vec<u8>>, End> {
    let input = open_input(name).map_err(|error| fail(format!("{}: {}", quotef(name), strerror(&error))))?;
    let found = if name == "-" { fstat(0) } else { stat(name) };
    let size = found.ok().filter(|s| file_type(s.mode) == FileType::File).map(|s| s.size);
    let some = wanted.filter(|wanted| *wanted < u64::MAX && size.is_none_or(|size| size > LARGE));
    let mut lines = Lines::new(input, end);
    let mut out: Vec<Vec<u8>> = Vec::new();
    let mut number = 0;
    while lines.advance().map_err(|error| fail(format!("read error: {}", strerror(&error))))? {
        number += 1;
        match some {
            Some(wanted) if number > wanted => {
                let place = chance.below(number)?;
                if place < wanted {
                    out[place as usize] = lines.line().to_vec();
                }
            }
            _ => out.push(lines.line().to_vec()),
        }
    }
    Ok(out)
}

/// Numbers by chance, out of bytes: what a number does not use is kept for the next.
struct Chance {
    source: Option<(BufReader<File>, OsString)>,
    seed: RandomState,
    turn: u64,
    left: Vec<u8>,
    number: u64,
    /// The largest that `number` could have been.
    most: u64,
}

impl Chance {
    fn new(source: Option<OsString>) -> Result<Chance, End> {
        let source = match source {
            Some(name) => {
                let file = File::open(&name)
                    .map_err(|error| fail(format!("{}: {}", quotef(&name), strerror(&error))))?;
                Some((BufReader::new(file), name))
            }
            None => None,
        };
        Ok(Chance { source, seed: RandomState::new(), turn: 0, left: Vec::new(), number: 0, most: 0 })
    }

    fn byte(&mut self) -> Result<u8, End> {
        if let Some((file, name)) = &mut self.source {
            let mut byte = [0];
            return match file.read(&mut byte) {
                Ok(0) => Err(fail(format!("{}: end of file", quote(name)))),
                Ok(_) => Ok(byte[0]),
                Err(error) => Err(fail(format!("{}: read error: {}", quote(name), strerror(&error)))),
            };
        }
        if self.left.is_empty() {
            self.turn += 1;
            self.left.extend(self.seed.hash_one(self.turn).to_ne_bytes());
        }
        Ok(self.left.pop().unwrap_or(0))
    }

    /// A number below `choices`, each with the same chance.
    fn below(&mut self, choices: u64) -> Result<u64, End> {
        let largest = choices.wrapping_sub(1);
        loop {
            while self.most < largest {
                self.number = (self.number << 8) + u64::from(self.byte()?);
                self.most = (self.most << 8) + 255;
            }
            if self.most == largest {
                let number = self.number;
                (self.number, self.most) = (0, 0);
                return Ok(number);
            }
            let excess = self.most - largest;
            let unusable = excess % choices;
            let last = self.most - unusable;
            if self.number <= last {
                let chosen = self.number % choices;
                self.number /= choices;
                self.most = excess / choices;
                return Ok(chosen);
            }
            self.number -= last + 1;
            self.most = unusable - 1;
        }
    }
}
