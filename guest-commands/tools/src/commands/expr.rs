//! `expr`: evaluates an expression of words. Numbers have any size; characters are those of UTF-8 where the locale says so.

use crate::context::{Cx, End, Outcome};
use crate::os::{OsStrExt, os};
use crate::quote::{is_utf8, quote};
use crate::regex::{Flags, Regex, Syntax};
use num_bigint::BigInt;
use std::cmp::Ordering;
use std::ffi::OsString;

const HELP: &str = "{} EXPRESSION
  or:  {} OPTION
Print the value of EXPRESSION to standard output, by increasing precedence:
  ARG1 | ARG2          ARG1 if it is neither null nor 0, otherwise ARG2
  ARG1 & ARG2          ARG1 if neither argument is null or 0, otherwise 0
  ARG1 < ARG2          and <=, =, !=, >=, >: comparison, of numbers or of text
  ARG1 + ARG2          and -
  ARG1 * ARG2          and /, %
  STRING : REGEXP      anchored pattern match of REGEXP in STRING
  match STRING REGEXP  same as STRING : REGEXP
  substr STRING POS LENGTH   substring of STRING, POS counted from 1
  index STRING CHARS   index in STRING where any CHARS is found, or 0
  length STRING        length of STRING
  + TOKEN              interpret TOKEN as a string, even if it is a keyword
  ( EXPRESSION )       value of EXPRESSION";

/// How deep brackets may stand in one another.
const MOST_DEPTH: usize = 200;

#[derive(Clone)]
enum Value {
    Number(BigInt),
    Text(Vec<u8>),
}

impl Value {
    fn number(&self) -> Result<BigInt, End> {
        match self {
            Value::Number(number) => Ok(number.clone()),
            Value::Text(text) => integer(text).ok_or_else(|| fail("non-integer argument")),
        }
    }

    fn text(&self) -> Vec<u8> {
        match self {
            Value::Number(number) => number.to_string().into_bytes(),
            Value::Text(text) => text.clone(),
        }
    }

    fn is_null(&self) -> bool {
        let text = self.text();
        let digits = text.strip_prefix(b"-").unwrap_or(&text);
        text.is_empty() || (!digits.is_empty() && digits.iter().all(|b| *b == b'0'))
    }
}

fn integer(text: &[u8]) -> Option<BigInt> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn fail(message: impl Into<String>) -> End {
    End::Failure(2, message.into())
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    // Words of an expression may look like options, so only one that stands alone is.
    if let [one] = args
        && one.len() > 2
        && ["--help", "--version"].iter().any(|known| known.as_bytes().starts_with(one.as_bytes()))
    {
        cx.parse(&[], args, crate::options::Order::Permute, HELP)?;
    }
    let words: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
    let words = match &words[..] {
        [b"--", rest @ ..] => rest,
        all => all,
    };
    if words.is_empty() {
        return Err(cx.missing_operand());
    }
    let mut expression = Expression { words, at: 0, depth: 0 };
    let value = expression.or(true)?;
    if let Some(extra) = words.get(expression.at) {
        return Err(fail(format!("syntax error: unexpected argument {}", quote(os(extra)))));
    }
    cx.put(&value.text())?;
    cx.put(b"\n")?;
    Ok(i32::from(value.is_null()))
}

struct Expression<'a> {
    words: &'a [&'a [u8]],
    at: usize,
    depth: usize,
}

impl Expression<'_> {
    /// Takes the next word if it is one of these.
    fn take(&mut self, known: &[&'static str]) -> Option<&'static str> {
        let word = self.words.get(self.at)?;
        let found = known.iter().find(|known| known.as_bytes() == *word)?;
        self.at += 1;
        Some(found)
    }

    fn need(&self) -> Result<(), End> {
        if self.at < self.words.len() {
            return Ok(());
        }
        let last = self.words.last().copied().unwrap_or_default();
        Err(fail(format!("syntax error: missing argument after {}", quote(os(last)))))
    }

    fn or(&mut self, run: bool) -> Result<Value, End> {
        let mut left = self.and(run)?;
        while self.take(&["|"]).is_some() {
            let right = self.and(run && left.is_null())?;
            if left.is_null() {
                left = if right.is_null() { Value::Number(BigInt::ZERO) } else { right };
            }
        }
        Ok(left)
    }

    fn and(&mut self, run: bool) -> Result<Value, End> {
        let mut left = self.comparison(run)?;
        while self.take(&["&"]).is_some() {
            let right = self.comparison(run && !left.is_null())?;
            if left.is_null() || right.is_null() {
                left = Value::Number(BigInt::ZERO);
            }
        }
        Ok(left)
    }

    fn comparison(&mut self, run: bool) -> Result<Value, End> {
        let mut left = self.sum(run)?;
        while let Some(sign) = self.take(&["<", "<=", "=", "==", "!=", ">=", ">"]) {
            let right = self.sum(run)?;
            let order = match (integer(&left.text()), integer(&right.text())) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => left.text().cmp(&right.text()),
            };
            let holds = match sign {
                "<" => order == Ordering::Less,
                "<=" => order != Ordering::Greater,
                "!=" => order != Ordering::Equal,
                ">=" => order != Ordering::Less,
                ">" => order == Ordering::Greater,
                _ => order == Ordering::Equal,
            };
            left = Value::Number(u8::from(holds).into());
        }
        Ok(left)
    }

    fn sum(&mut self, run: bool) -> Result<Value, End> {
        let mut left = self.product(run)?;
        while let Some(sign) = self.take(&["+", "-"]) {
            let right = self.product(run)?;
            if run {
                let (a, b) = (left.number()?, right.number()?);
                left = Value::Number(if sign == "+" { a + b } else { a - b });
            }
        }
        Ok(left)
    }

    fn product(&mut self, run: bool) -> Result<Value, End> {
        let mut left = self.pattern(run)?;
        while let Some(sign) = self.take(&["*", "/", "%"]) {
            let right = self.pattern(run)?;
            if run {
                let (a, b) = (left.number()?, right.number()?);
                if sign != "*" && b == BigInt::ZERO {
                    return Err(fail("division by zero"));
                }
                left = Value::Number(match sign {
                    "*" => a * b,
                    "/" => a / b,
                    _ => a % b,
                });
            }
        }
        Ok(left)
    }

    fn pattern(&mut self, run: bool) -> Result<Value, End> {
        let mut left = self.function(run)?;
        while self.take(&[":"]).is_some() {
            let right = self.function(run)?;
            if run {
                left = matched(&left.text(), &right.text())?;
            }
        }
        Ok(left)
    }

    fn function(&mut self, run: bool) -> Result<Value, End> {
        self.need()?;
        let name = self.take(&["+", "length", "match", "index", "substr"]);
        if name.is_some_and(|name| name != "+") {
            self.deeper()?;
        }
        let value = match name {
            Some("+") => {
                self.need()?;
                self.at += 1;
                return Ok(Value::Text(self.words[self.at - 1].to_vec()));
            }
            Some("length") => Value::Number(characters(&self.function(run)?.text()).len().into()),
            Some("match") => {
                let (text, pattern) = (self.function(run)?, self.function(run)?);
                if run { matched(&text.text(), &pattern.text())? } else { text }
            }
            Some("index") => {
                let (text, wanted) = (self.function(run)?.text(), self.function(run)?.text());
                let wanted = characters(&wanted);
                let found = characters(&text).iter().position(|c| wanted.contains(c));
                Value::Number(found.map_or(0, |at| at + 1).into())
            }
            Some(_) => {
                let (text, from, count) = (self.function(run)?, self.function(run)?, self.function(run)?);
                let place = |value: &Value| value.number().ok().map(|n| usize::try_from(n).unwrap_or(0));
                let text = text.text();
                let all = characters(&text);
                let part = match (place(&from), place(&count)) {
                    (Some(from @ 1..), Some(count)) if from <= all.len() => {
                        let end = (from - 1).saturating_add(count).min(all.len());
                        all[from - 1..end].concat()
                    }
                    _ => Vec::new(),
                };
                Value::Text(part)
            }
            None => return self.word(run),
        };
        self.depth -= 1;
        Ok(value)
    }

    fn deeper(&mut self) -> Result<(), End> {
        self.depth += 1;
        if self.depth > MOST_DEPTH { Err(fail("expression too deep")) } else { Ok(()) }
    }

    fn word(&mut self, run: bool) -> Result<Value, End> {
        if self.take(&["("]).is_some() {
            self.deeper()?;
            let value = self.or(run)?;
            self.depth -= 1;
            match self.words.get(self.at).copied() {
                Some(b")") => self.at += 1,
                Some(other) => {
                    let other = quote(os(other));
                    return Err(fail(format!("syntax error: expecting ')' instead of {other}")));
                }
                None => {
                    let last = quote(os(self.words[self.at - 1]));
                    return Err(fail(format!("syntax error: expecting ')' after {last}")));
                }
            }
            return Ok(value);
        }
        if self.take(&[")"]).is_some() {
            return Err(fail("syntax error: unexpected ')'"));
        }
        self.at += 1;
        Ok(Value::Text(self.words[self.at - 1].to_vec()))
    }
}

/// The characters of a text; a byte that is none stands for itself.
fn characters(text: &[u8]) -> Vec<&[u8]> {
    if !is_utf8() {
        return text.chunks(1).collect();
    }
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let length = (1..=4)
            .take_while(|n| at + n <= text.len())
            .find(|n| std::str::from_utf8(&text[at..at + n]).is_ok())
            .unwrap_or(1);
        out.push(&text[at..at + length]);
        at += length;
    }
    out
}

/// What a pattern matches at the beginning: the text of its first group, or how many characters.
fn matched(text: &[u8], pattern: &[u8]) -> Result<Value, End> {
    let flags = Flags { newlines: true, ..Flags::default() };
    let regex = Regex::new(pattern, Syntax::Basic, flags).map_err(fail)?;
    let groups = regex.groups();
    let mut places = Vec::new();
    let found =
        regex.groups_at(text, 0, &mut places).map_err(|_| fail("error in regular expression matcher"))?;
    let whole = found.then(|| places.first().copied().flatten()).flatten().filter(|(start, _)| *start == 0);
    Ok(match whole {
        Some(_) if groups > 0 => {
            let part = places.get(1).copied().flatten();
            Value::Text(part.map_or(Vec::new(), |(from, to)| text[from..to].to_vec()))
        }
        None if groups > 0 => Value::Text(Vec::new()),
        Some((_, end)) => Value::Number(characters(&text[..end]).len().into()),
        None => Value::Number(BigInt::ZERO),
    })
}
