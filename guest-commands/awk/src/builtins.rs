//! The functions that awk has, by name, and those that only compute. Substitution, sorting and times are elsewhere.

use crate::array::Array;
use crate::error::{Result, fatal};
use crate::format;
use crate::number;
use crate::special;
use crate::splitting::{Kind, Splitter};
use crate::text;
use crate::times;
use crate::value::{ArrayRef, Str, Value};
use crate::vm::Vm;

/// A function that awk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Builtin {
    And,
    Asort,
    Asorti,
    Atan2,
    Close,
    Compl,
    Cos,
    Exp,
    Fflush,
    Gensub,
    Gsub,
    Index,
    Int,
    Isarray,
    Length,
    Log,
    Lshift,
    Match,
    Mktime,
    Or,
    Patsplit,
    Rand,
    Rshift,
    Sin,
    Split,
    Sprintf,
    Sqrt,
    Srand,
    Strftime,
    Strtonum,
    Sub,
    Substr,
    System,
    Systime,
    Tolower,
    Toupper,
    Typeof,
    Xor,
}

/// Name, function, fewest and most arguments.
const TABLE: [(&str, Builtin, usize, usize); 38] = [
    ("and", Builtin::And, 2, 1000),
    ("asort", Builtin::Asort, 1, 3),
    ("asorti", Builtin::Asorti, 1, 3),
    ("atan2", Builtin::Atan2, 2, 2),
    ("close", Builtin::Close, 1, 2),
    ("compl", Builtin::Compl, 1, 1),
    ("cos", Builtin::Cos, 1, 1),
    ("exp", Builtin::Exp, 1, 1),
    ("fflush", Builtin::Fflush, 0, 1),
    ("gensub", Builtin::Gensub, 3, 4),
    ("gsub", Builtin::Gsub, 2, 3),
    ("index", Builtin::Index, 2, 2),
    ("int", Builtin::Int, 1, 1),
    ("isarray", Builtin::Isarray, 1, 1),
    ("length", Builtin::Length, 0, 1),
    ("log", Builtin::Log, 1, 1),
    ("lshift", Builtin::Lshift, 2, 2),
    ("match", Builtin::Match, 2, 3),
    ("mktime", Builtin::Mktime, 1, 2),
    ("or", Builtin::Or, 2, 1000),
    ("patsplit", Builtin::Patsplit, 2, 4),
    ("rand", Builtin::Rand, 0, 0),
    ("rshift", Builtin::Rshift, 2, 2),
    ("sin", Builtin::Sin, 1, 1),
    ("split", Builtin::Split, 2, 4),
    ("sprintf", Builtin::Sprintf, 1, 1000),
    ("sqrt", Builtin::Sqrt, 1, 1),
    ("srand", Builtin::Srand, 0, 1),
    ("strftime", Builtin::Strftime, 0, 3),
    ("strtonum", Builtin::Strtonum, 1, 1),
    ("sub", Builtin::Sub, 2, 3),
    ("substr", Builtin::Substr, 2, 3),
    ("system", Builtin::System, 1, 1),
    ("systime", Builtin::Systime, 0, 0),
    ("tolower", Builtin::Tolower, 1, 1),
    ("toupper", Builtin::Toupper, 1, 1),
    ("typeof", Builtin::Typeof, 1, 1),
    ("xor", Builtin::Xor, 2, 1000),
];

/// The function of a name.
pub(crate) fn by_name(name: &str) -> Option<Builtin> {
    TABLE.binary_search_by(|(known, ..)| (*known).cmp(name)).ok().map(|at| TABLE[at].1)
}

impl Builtin {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        TABLE[self as usize].0
    }

    /// The fewest and the most arguments.
    pub(crate) fn arity(self) -> (usize, usize) {
        (TABLE[self as usize].2, TABLE[self as usize].3)
    }

    /// Which arguments are arrays, counted from 0.
    pub(crate) fn arrays(self) -> &'static [usize] {
        match self {
            Builtin::Split | Builtin::Patsplit => &[1, 3],
            Builtin::Asort | Builtin::Asorti => &[0, 1],
            Builtin::Match => &[2],
            _ => &[],
        }
    }

    /// Which argument is a regular expression.
    pub(crate) fn regex(self) -> Option<usize> {
        match self {
            Builtin::Match => Some(1),
            Builtin::Split | Builtin::Patsplit => Some(2),
            Builtin::Gensub => Some(0),
            _ => None,
        }
    }
}

/// An argument that has to be an array.
pub(crate) fn array_of(value: Option<&Value>) -> Result<Option<ArrayRef>> {
    match value {
        None => Ok(None),
        Some(Value::Array(array)) => Ok(Some(array.clone())),
        Some(_) => fatal("attempt to use a scalar value as array"),
    }
}

/// A number as the bits that and, or and their like work on.
fn bits(name: &str, n: f64) -> Result<u64> {
    if n < 0.0 {
        return fatal(format!(
            "{name}: argument has negative value {}",
            String::from_utf8_lossy(&number::text(n, b"%g"))
        ));
    }
    Ok(n as u64)
}

impl Vm {
    /// Calls a function with its arguments.
    pub(crate) fn builtin(&mut self, builtin: Builtin, args: &[Value]) -> Result<Value> {
        let num = |at: usize| args.get(at).map_or(0.0, Value::num);
        let number = match builtin {
            Builtin::Length => self.length(args.first())?,
            Builtin::Substr => return Ok(self.substr(args)),
            Builtin::Index => self.index(&args[0], &args[1]),
            Builtin::Int => num(0).trunc() + 0.0,
            Builtin::Sin => num(0).sin(),
            Builtin::Cos => num(0).cos(),
            Builtin::Atan2 => num(0).atan2(num(1)),
            Builtin::Exp => num(0).exp(),
            Builtin::Log | Builtin::Sqrt => {
                let n = num(0);
                if n < 0.0 {
                    self.warn(&format!(
                        "{}: received negative argument {}",
                        if builtin == Builtin::Log { "log" } else { "sqrt" },
                        String::from_utf8_lossy(&format::number(b"%g", n))
                    ));
                    return Ok(Value::Num(-f64::NAN.abs()));
                }
                if builtin == Builtin::Log { n.ln() } else { n.sqrt() }
            }
            Builtin::Rand => self.random.next(),
            Builtin::Srand => match args.first() {
                Some(seed) => self.random.seed(seed.num()),
                None => self.random.seed(times::now()),
            },
            Builtin::Split => return self.split(args, false),
            Builtin::Patsplit => return self.split(args, true),
            Builtin::Match => self.matched(args)?,
            Builtin::Gensub => return self.gensub(args),
            Builtin::Sub | Builtin::Gsub => 0.0,
            Builtin::Sprintf => {
                let mut out = Vec::new();
                let format = self.str(&args[0]);
                let context = format::Context { conv: &self.conv, utf8: self.utf8 };
                format::printf(&mut out, &format, &args[1..], &context)?;
                return Ok(Value::Str(Str::from_vec(out)));
            }
            Builtin::Tolower => {
                return Ok(Value::Str(Str::from_vec(text::lower(&self.str(&args[0]), self.utf8))));
            }
            Builtin::Toupper => {
                return Ok(Value::Str(Str::from_vec(text::upper(&self.str(&args[0]), self.utf8))));
            }
            Builtin::System => {
                let command = self.str(&args[0]);
                self.streams.system(&command)?
            }
            Builtin::Close => {
                let (which, side) = (self.str(&args[0]), args.get(1).map(|side| self.str(side)));
                self.streams.close(&which, side.as_deref())
            }
            Builtin::Fflush => match args.first().map(|which| self.str(which)) {
                Some(which) if !which.is_empty() => self.streams.flush(&which)?,
                _ => {
                    self.streams.flush_all()?;
                    0.0
                }
            },
            Builtin::Systime => times::now().floor(),
            Builtin::Mktime => {
                let utc = args.get(1).is_some_and(Value::truth);
                let date = self.str(&args[0]);
                self.mktime(&date, utc)
            }
            Builtin::Strftime => return self.strftime(args),
            Builtin::And | Builtin::Or | Builtin::Xor => {
                let mut all = bits(builtin.name(), num(0))?;
                for value in &args[1..] {
                    let more = bits(builtin.name(), value.num())?;
                    match builtin {
                        Builtin::And => all &= more,
                        Builtin::Or => all |= more,
                        _ => all ^= more,
                    }
                }
                all as f64
            }
            Builtin::Lshift | Builtin::Rshift => {
                let (n, by) = (bits(builtin.name(), num(0))?, bits(builtin.name(), num(1))?.min(64) as u32);
                let shifted = if builtin == Builtin::Lshift { n.checked_shl(by) } else { n.checked_shr(by) };
                shifted.unwrap_or(0) as f64
            }
            // The 53 bits that a number holds exactly.
            Builtin::Compl => (!bits("compl", num(0))? & ((1 << 53) - 1)) as f64,
            Builtin::Strtonum => match &args[0] {
                Value::Str(s) | Value::Input(s) => strtonum(s),
                other => other.num(),
            },
            Builtin::Asort | Builtin::Asorti => self.sorted_into(args, builtin == Builtin::Asorti)?,
            Builtin::Isarray => f64::from(u8::from(matches!(args[0], Value::Array(_)))),
            Builtin::Typeof => {
                return Ok(Value::text(match &args[0] {
                    Value::Uninit => b"untyped",
                    Value::Num(_) => b"number",
                    Value::Str(_) => b"string",
                    Value::Input(s) if number::whole(s).is_some() => b"strnum",
                    Value::Input(_) => b"string",
                    Value::Regex(_) => b"regexp",
                    Value::Array(_) => b"array",
                }));
            }
        };
        Ok(Value::Num(number))
    }

    fn length(&mut self, arg: Option<&Value>) -> Result<f64> {
        Ok(match arg {
            None => {
                let (ofs, conv, utf8) = (&self.ofs, &self.conv, self.utf8);
                text::length(self.record.text(ofs, conv), utf8)
            }
            Some(Value::Array(array)) => array.borrow().len(),
            Some(value) => value.with_bytes(&self.conv, |bytes| text::length(bytes, self.utf8)),
        } as f64)
    }

    fn index(&self, within: &Value, what: &Value) -> f64 {
        if self.mode().fold {
            let lower = |value: &Value| Value::Str(Str::from_vec(text::lower(&self.str(value), self.utf8)));
            return self.find(&lower(within), &lower(what));
        }
        self.find(within, what)
    }

    fn find(&self, within: &Value, what: &Value) -> f64 {
        within.with_bytes(&self.conv, |within| {
            what.with_bytes(&self.conv, |what| match memchr::memmem::find(within, what) {
                Some(at) => text::length(&within[..at], self.utf8) as f64 + 1.0,
                None => 0.0,
            })
        })
    }

    fn substr(&self, args: &[Value]) -> Value {
        // A start before the text is its start; fractions do not count.
        let start = args[1].num().trunc().max(1.0);
        let length = args.get(2).map_or(f64::INFINITY, |length| length.num().trunc());
        if start.is_nan() || length.is_nan() || length <= 0.0 {
            return Value::Str(Str::EMPTY);
        }
        args[0].with_bytes(&self.conv, |bytes| {
            let from = text::offset(bytes, (start - 1.0) as usize, self.utf8);
            let len = text::offset(&bytes[from..], length as usize, self.utf8);
            Value::text(&bytes[from..from + len])
        })
    }

    fn matched(&mut self, args: &[Value]) -> Result<f64> {
        let regex = self.regex(&args[1])?;
        let target = self.str(&args[0]);
        let found = regex.find(&target, 0);
        let array = array_of(args.get(2))?;
        let utf8 = self.utf8;
        let place = |at: usize| text::length(&target[..at], utf8) as f64 + 1.0;
        let length = |from: usize, to: usize| text::length(&target[from..to], utf8) as f64;
        if let Some(array) = array {
            let mut array = array.borrow_mut();
            array.clear();
            if let Some((start, end)) = found {
                let all = std::iter::once(Some((start, end))).chain(regex.groups(&target, (start, end)));
                for (i, group) in all.enumerate() {
                    let Some((from, to)) = group else { continue };
                    array.set_number(i, Value::Input(Str::new(&target[from..to])));
                    for (what, n) in [("start", place(from)), ("length", length(from, to))] {
                        let key = [i.to_string().as_bytes(), &self.subsep, what.as_bytes()].concat();
                        array.set(&Str::from_vec(key), Value::Num(n));
                    }
                }
            }
        }
        let (start, len) = found.map_or((0.0, -1.0), |(from, to)| (place(from), length(from, to)));
        self.globals[special::RSTART as usize] = Value::Num(start);
        self.globals[special::RLENGTH as usize] = Value::Num(len);
        Ok(start)
    }

    fn split(&mut self, args: &[Value], by_pattern: bool) -> Result<Value> {
        let text = self.str(&args[0]);
        let mode = self.mode();
        let splitter = if by_pattern {
            let regex = match args.get(2) {
                Some(regex) => self.regex(regex)?,
                None => self.fpat()?,
            };
            Splitter::new(Kind::Pattern(regex), self.utf8)
        } else {
            match args.get(2) {
                None => self.field_separator()?,
                Some(Value::Regex(regex)) if regex.source().is_empty() => {
                    Splitter::new(Kind::Chars, self.utf8)
                }
                Some(Value::Regex(regex)) if regex.source() == b" " => {
                    Splitter::new(Kind::Byte(b' '), self.utf8)
                }
                Some(regex @ Value::Regex(_)) => Splitter::new(Kind::Regex(self.regex(regex)?), self.utf8),
                Some(fs) => {
                    let fs = self.str(fs);
                    Splitter::by_fs(&fs, false, mode, &mut self.store)?
                }
            }
        };
        let into = array_of(args.get(1))?.unwrap_or_default();
        let separators = array_of(args.get(3))?;
        let (mut fields, mut between) = (Array::default(), Array::default());
        let (mut count, mut last) = (0, 0);
        splitter.split_all(&text, &mut |from, to, next| {
            if by_pattern || count == 0 && matches!(splitter.kind, Kind::Blank) && from > 0 {
                between.set_number(count, Value::text(&text[last..from]));
            }
            count += 1;
            fields.set_number(count, Value::Input(Str::new(&text[from..to])));
            if !by_pattern && to < next {
                between.set_number(count, Value::text(&text[to..next]));
            }
            last = to;
        });
        if by_pattern && last < text.len() {
            between.set_number(count, Value::text(&text[last..]));
        }
        *into.borrow_mut() = fields;
        if let Some(separators) = separators {
            *separators.borrow_mut() = between;
        }
        Ok(Value::Num(count as f64))
    }
}

/// Text as C writes numbers: also hexadecimal and octal.
fn strtonum(text: &[u8]) -> f64 {
    let negative = text.first() == Some(&b'-');
    let digits = if negative || text.first() == Some(&b'+') { &text[1..] } else { text };
    let (radix, digits) = match digits {
        [b'0', b'x' | b'X', rest @ ..] => (16, rest),
        [b'0', rest @ ..] if !digits.iter().any(|b| matches!(b, b'.' | b'e' | b'E' | b'8' | b'9')) => {
            (8, rest)
        }
        _ => return number::prefix(text),
    };
    let n = digits
        .iter()
        .map_while(|b| char::from(*b).to_digit(radix))
        .fold(0.0, |n, digit| n * f64::from(radix) + f64::from(digit));
    if negative { -n } else { n }
}
