//! `test` and `[`: conditions as POSIX and GNU evaluate them. String order (`<`, `>`) is by bytes.

use crate::context::{Cx, End, Outcome};
use crate::os::OsStrExt;
use crate::quote::quote;
use agentos_guest::fd;
use agentos_guest::fs::{self, FileType, R_OK, Stat, W_OK, X_OK, file_type};
use agentos_guest::user::{getegid, geteuid};
use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};

/// Deeper nesting of parentheses and `!` than anybody writes.
const MAX_DEPTH: usize = 200;

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let mut args = args;
    if cx.name == "[" {
        match args.split_last() {
            Some((last, rest)) if last == "]" => args = rest,
            _ => return Err(End::Failure(2, format!("missing {}", quote(OsStr::new("]"))))),
        }
    }
    let value = posix(args).map_err(|message| End::Failure(2, message))?;
    Ok(i32::from(!value))
}

type Value = Result<bool, String>;

/// POSIX says what up to four arguments mean, whatever they look like.
fn posix(args: &[OsString]) -> Value {
    match args {
        [] => Ok(false),
        [one] => Ok(!one.is_empty()),
        [not, one] if not == "!" => Ok(one.is_empty()),
        [op, one] => match unary(op, one) {
            Some(value) => value,
            None if op.as_bytes().starts_with(b"-") => Err(format!("{}: unary operator expected", quote(op))),
            None => Err(format!("missing argument after {}", quote(one))),
        },
        [left, op, right] => match binary(left, op, right) {
            Some(value) => value,
            None if left == "!" => posix(&args[1..]).map(|value| !value),
            None if left == "(" && right == ")" => Ok(!op.is_empty()),
            None if op == "-a" => Ok(!left.is_empty() && !right.is_empty()),
            None if op == "-o" => Ok(!left.is_empty() || !right.is_empty()),
            None => Err(format!("{}: binary operator expected", quote(op))),
        },
        [not, rest @ ..] if rest.len() == 3 && not == "!" => posix(rest).map(|value| !value),
        [open, middle @ .., close] if middle.len() == 2 && open == "(" && close == ")" => posix(middle),
        _ => {
            let mut parser = Parser { args, at: 0, depth: 0 };
            let value = parser.or()?;
            match args.get(parser.at) {
                None => Ok(value),
                Some(extra) => Err(format!("extra argument {}", quote(extra))),
            }
        }
    }
}

struct Parser<'a> {
    args: &'a [OsString],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn or(&mut self) -> Value {
        let mut value = self.and()?;
        while self.take("-o") {
            value |= self.and()?;
        }
        Ok(value)
    }

    fn and(&mut self) -> Value {
        let mut value = self.term()?;
        while self.take("-a") {
            value &= self.term()?;
        }
        Ok(value)
    }

    fn take(&mut self, word: &str) -> bool {
        let hit = self.args.get(self.at).is_some_and(|a| a == word);
        self.at += usize::from(hit);
        hit
    }

    fn term(&mut self) -> Value {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("expression is nested too deeply".to_owned());
        }
        let value = self.primary();
        self.depth -= 1;
        value
    }

    fn primary(&mut self) -> Value {
        if self.take("!") {
            return self.term().map(|value| !value);
        }
        let rest = &self.args[self.at..];
        if let [left, op, right, ..] = rest
            && let Some(value) = binary(left, op, right)
        {
            self.at += 3;
            return value;
        }
        if self.take("(") {
            let value = self.or()?;
            return if self.take(")") { Ok(value) } else { Err("')' expected".to_owned()) };
        }
        if let [op, one, ..] = rest
            && let Some(value) = unary(op, one)
        {
            self.at += 2;
            return value;
        }
        match rest {
            [one, ..] => {
                self.at += 1;
                Ok(!one.is_empty())
            }
            [] => {
                let last = self.args.last().map_or(OsStr::new(""), |a| a);
                Err(format!("missing argument after {}", quote(last)))
            }
        }
    }
}

fn unary(op: &OsStr, operand: &OsStr) -> Option<Value> {
    let [b'-', letter] = op.as_bytes() else { return None };
    let kind = |wanted: FileType| fs::stat(operand).is_ok_and(|s| file_type(s.mode) == wanted);
    let with = |test: &dyn Fn(&Stat) -> bool| fs::stat(operand).is_ok_and(|s| test(&s));
    Some(Ok(match letter {
        b'n' => !operand.is_empty(),
        b'z' => operand.is_empty(),
        b'e' => fs::stat(operand).is_ok(),
        b'f' => kind(FileType::File),
        b'd' => kind(FileType::Dir),
        b'p' => kind(FileType::Fifo),
        b'b' => kind(FileType::BlockDevice),
        b'c' => kind(FileType::CharDevice),
        b'S' => kind(FileType::Socket),
        b'h' | b'L' => fs::lstat(operand).is_ok_and(|s| file_type(s.mode) == FileType::Symlink),
        b's' => with(&|s| s.size > 0),
        b'u' => with(&|s| s.mode & 0o4000 != 0),
        b'g' => with(&|s| s.mode & 0o2000 != 0),
        b'k' => with(&|s| s.mode & 0o1000 != 0),
        b'O' => with(&|s| s.uid == geteuid()),
        b'G' => with(&|s| s.gid == getegid()),
        b'N' => with(&|s| (s.mtime, s.mtime_nsec) > (s.atime, s.atime_nsec)),
        b'r' => fs::access(operand, R_OK).is_ok(),
        b'w' => fs::access(operand, W_OK).is_ok(),
        b'x' => fs::access(operand, X_OK).is_ok(),
        b't' => match operand.to_str().and_then(|t| t.trim().parse().ok()) {
            Some(number) => fd::isatty(number),
            None => return Some(Err(format!("invalid integer {}", quote(operand)))),
        },
        _ => return None,
    }))
}

fn binary(left: &OsStr, op: &OsStr, right: &OsStr) -> Option<Value> {
    let newer = |a: &OsStr, b: &OsStr| match (fs::stat(a), fs::stat(b)) {
        (Ok(a), Ok(b)) => (a.mtime, a.mtime_nsec) > (b.mtime, b.mtime_nsec),
        (Ok(_), Err(_)) => true,
        _ => false,
    };
    let number = |test: &dyn Fn(Ordering) -> bool| -> Value { Ok(test(compare(left, right)?)) };
    Some(match op.to_str()? {
        "=" | "==" => Ok(left == right),
        "!=" => Ok(left != right),
        "<" => Ok(left.as_bytes() < right.as_bytes()),
        ">" => Ok(left.as_bytes() > right.as_bytes()),
        "-eq" => number(&|o| o == Ordering::Equal),
        "-ne" => number(&|o| o != Ordering::Equal),
        "-lt" => number(&|o| o == Ordering::Less),
        "-le" => number(&|o| o != Ordering::Greater),
        "-gt" => number(&|o| o == Ordering::Greater),
        "-ge" => number(&|o| o != Ordering::Less),
        "-nt" => Ok(newer(left, right)),
        "-ot" => Ok(newer(right, left)),
        "-ef" => Ok(
            matches!((fs::stat(left), fs::stat(right)), (Ok(a), Ok(b)) if (a.dev, a.ino) == (b.dev, b.ino)),
        ),
        _ => return None,
    })
}

/// Compares decimal integers of any length.
fn compare(left: &OsStr, right: &OsStr) -> Result<Ordering, String> {
    let (a, b) = (integer(left)?, integer(right)?);
    Ok(match (a.0, b.0) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (negative, _) => {
            let order = a.1.len().cmp(&b.1.len()).then_with(|| a.1.cmp(b.1));
            if negative { order.reverse() } else { order }
        }
    })
}

/// Sign and digits without leading zeros; zero has no digits and no sign.
fn integer(word: &OsStr) -> Result<(bool, &str), String> {
    let invalid = || format!("invalid integer {}", quote(word));
    let text = word.to_str().ok_or_else(invalid)?.trim_matches([' ', '\t']);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid());
    }
    let digits = digits.trim_start_matches('0');
    Ok((negative && !digits.is_empty(), digits))
}
