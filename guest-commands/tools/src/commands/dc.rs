//! `dc`: the calculator with a stack. Its numbers are those of `bc`.

use super::bc::number::{Fault, Number, ten};
use crate::context::{Cx, Descriptor, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, os};
use agentos_guest::process::Command;
use agentos_guest::strerror;
use num_bigint::{BigInt, Sign};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::rc::Rc;

const HELP: &str = "{} [OPTION] [file ...]
  -e, --expression=EXPR    evaluate expression
  -f, --file=FILE          evaluate contents of file
  -h, --help               display this help and exit
  -V, --version            output version information and exit";

/// Columns of a number that is longer than a line.
const WIDTH: usize = 70;
/// How deep strings call each other.
const MOST_DEPTH: usize = 1 << 20;
/// Values that a stack or a register holds.
const MOST_VALUES: usize = 1 << 24;

#[derive(Clone)]
enum Value {
    Number(Number),
    Text(Rc<[u8]>),
}

/// Text that is being run.
enum Frame {
    Text(Rc<[u8]>, usize),
    /// Standard input, line by line.
    Input(Vec<u8>, usize),
}

#[derive(Default)]
struct Register {
    values: Vec<Value>,
    /// The array of each value, by index; made when something is put into it.
    arrays: Vec<HashMap<u64, Value>>,
}

struct Dc {
    stack: Vec<Value>,
    registers: HashMap<u8, Register>,
    frames: Vec<Frame>,
    scale: usize,
    input_base: u32,
    output_base: BigInt,
    input: BufReader<Descriptor>,
}

/// Why a command did nothing.
enum Stop {
    Message(String),
    Quit,
    End(End),
}

impl From<End> for Stop {
    fn from(end: End) -> Stop {
        Stop::End(end)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Message(
            match fault {
                Fault::DivideByZero => "divide by zero",
                Fault::NegativeRoot => "square root of negative number",
                Fault::ExponentTooLarge => "exponent too large",
            }
            .to_owned(),
        )
    }
}

fn stop<T>(message: &str) -> Result<T, Stop> {
    Err(Stop::Message(message.to_owned()))
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &["e,expression=", "f,file=", "h,help", "V,version"];
    let parsed = cx.parse(spec, args, Order::Permute, HELP)?;
    let mut dc = Dc {
        stack: Vec::new(),
        registers: HashMap::new(),
        frames: Vec::new(),
        scale: 0,
        input_base: 10,
        output_base: BigInt::from(10),
        input: BufReader::new(Descriptor(0)),
    };
    let mut any = false;
    for opt in &parsed.opts {
        let ended = match opt.id {
            "expression" => dc.run(cx, Frame::Text(opt.arg().as_bytes().into(), 0))?,
            "file" => dc.file(cx, opt.arg())?,
            "help" => {
                cx.print(format_args!("Usage: {}\n", HELP.replace("{}", "dc")))?;
                return Ok(0);
            }
            _ => return Err(cx.version()),
        };
        if ended {
            return Ok(0);
        }
        any = true;
    }
    for file in &parsed.operands {
        any = true;
        if dc.file(cx, file)? {
            return Ok(0);
        }
    }
    if !any {
        dc.run(cx, Frame::Input(Vec::new(), 0))?;
    }
    Ok(0)
}

impl Dc {
    /// Runs a file; whether it ended the program.
    fn file(&mut self, cx: &mut Cx, path: &std::ffi::OsStr) -> Result<bool, End> {
        if path == "-" {
            return self.run(cx, Frame::Input(Vec::new(), 0));
        }
        match std::fs::read(path) {
            Ok(text) => self.run(cx, Frame::Text(text.into(), 0)),
            Err(_) => {
                cx.say(format_args!("Could not open file {}", path.to_string_lossy()));
                Ok(false)
            }
        }
    }

    /// Runs a text to its end; whether it ended the program.
    fn run(&mut self, cx: &mut Cx, frame: Frame) -> Result<bool, End> {
        self.frames = vec![frame];
        while let Some(command) = self.next(cx)? {
            match self.execute(cx, command) {
                Ok(()) => {}
                Err(Stop::Message(message)) => cx.say(message),
                Err(Stop::Quit) => return Ok(true),
                Err(Stop::End(end)) => return Err(end),
            }
        }
        Ok(false)
    }

    /// The next byte of what runs now. Texts that are at their end are left, so that the last call of a text costs nothing.
    fn next(&mut self, cx: &mut Cx) -> Result<Option<u8>, End> {
        while let Some(frame) = self.frames.last_mut() {
            let (text, at): (&[u8], &mut usize) = match frame {
                Frame::Text(text, at) => (text, at),
                Frame::Input(line, at) => {
                    if *at >= line.len() {
                        cx.flush()?;
                        line.clear();
                        *at = 0;
                        let read = self.input.read_until(b'\n', line);
                        read.map_err(|error| End::Failure(1, strerror(&error)))?;
                    }
                    (line, at)
                }
            };
            if let Some(byte) = text.get(*at).copied() {
                *at += 1;
                return Ok(Some(byte));
            }
            self.frames.pop();
        }
        Ok(None)
    }

    /// The next byte without taking it, within the text that runs.
    fn peek(&self) -> Option<u8> {
        match self.frames.last()? {
            Frame::Text(text, at) => text.get(*at).copied(),
            Frame::Input(line, at) => line.get(*at).copied(),
        }
    }

    fn skip(&mut self) {
        if let Some(Frame::Text(_, at) | Frame::Input(_, at)) = self.frames.last_mut() {
            *at += 1;
        }
    }

    fn push(&mut self, value: Value) -> Result<(), Stop> {
        if self.stack.len() >= MOST_VALUES {
            return stop("stack overflow");
        }
        self.stack.push(value);
        Ok(())
    }

    fn put(&mut self, number: Number) -> Result<(), Stop> {
        self.push(Value::Number(number))
    }

    fn pop(&mut self) -> Result<Value, Stop> {
        self.stack.pop().map_or_else(|| stop("stack empty"), Ok)
    }

    fn top(&self) -> Result<&Value, Stop> {
        self.stack.last().map_or_else(|| stop("stack empty"), Ok)
    }

    fn number(&mut self) -> Result<Number, Stop> {
        match self.pop()? {
            Value::Number(number) => Ok(number),
            Value::Text(_) => stop("non-numeric value"),
        }
    }

    /// The two numbers on top, the lower first; they stay if they are none, or if nothing comes of them.
    fn two(&self) -> Result<(Number, Number), Stop> {
        match &self.stack[..] {
            [.., Value::Number(a), Value::Number(b)] => Ok((a.clone(), b.clone())),
            [.., _, _] => stop("non-numeric value"),
            _ => stop("stack empty"),
        }
    }

    fn binary(
        &mut self,
        work: impl FnOnce(&Number, &Number, usize) -> Result<Number, Stop>,
    ) -> Result<(), Stop> {
        let (a, b) = self.two()?;
        let result = work(&a, &b, self.scale)?;
        self.stack.truncate(self.stack.len() - 2);
        self.put(result)
    }

    /// The name of a register, which follows its command.
    fn name(&mut self, cx: &mut Cx) -> Result<u8, Stop> {
        match self.peek() {
            Some(name) => {
                self.skip();
                Ok(name)
            }
            None => match self.next(cx)? {
                Some(name) => Ok(name),
                None => stop("unexpected end of input"),
            },
        }
    }

    fn execute(&mut self, cx: &mut Cx, command: u8) -> Result<(), Stop> {
        match command {
            b' ' | b'\t' | b'\n' | b'\r' | 0 => Ok(()),
            b'0'..=b'9' | b'A'..=b'F' | b'_' | b'.' => {
                let number = self.literal(command);
                self.put(number)
            }
            b'[' => self.text(cx),
            b'+' => self.binary(|a, b, _| Ok(a.add(b))),
            b'-' => self.binary(|a, b, _| Ok(a.subtract(b))),
            b'*' => self.binary(|a, b, scale| Ok(a.multiply(b, scale))),
            b'/' => self.binary(|a, b, scale| Ok(a.divide(b, scale)?)),
            b'%' => self.binary(|a, b, scale| match a.remainder(b, scale) {
                Ok(rest) => Ok(rest),
                Err(_) => stop("remainder by zero"),
            }),
            b'^' => self.power(cx),
            b'~' => {
                let (a, b) = self.two()?;
                let (quotient, rest) = a.divide_with_remainder(&b, self.scale)?;
                self.stack.truncate(self.stack.len() - 2);
                self.put(quotient)?;
                self.put(rest)
            }
            b'|' => self.modular(cx),
            b'v' => {
                let root = self.number()?.root(self.scale)?;
                self.put(root)
            }
            b'p' | b'n' | b'f' | b'P' => self.print(cx, command),
            b'c' => {
                self.stack.clear();
                Ok(())
            }
            b'd' => {
                let top = self.top()?.clone();
                self.push(top)
            }
            // With less than two values there is nothing to do, and nothing is said.
            b'r' => {
                if let [.., a, b] = &mut self.stack[..] {
                    std::mem::swap(a, b);
                }
                Ok(())
            }
            b'R' => {
                let count = self.number()?.to_i64().unwrap_or(0);
                let n = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX).min(self.stack.len());
                let from = self.stack.len() - n;
                if n > 1 && count > 0 {
                    self.stack[from..].rotate_left(1);
                } else if n > 1 {
                    self.stack[from..].rotate_right(1);
                }
                Ok(())
            }
            b's' | b'l' | b'S' | b'L' | b':' | b';' => self.register(cx, command),
            b'i' => match self.pop()? {
                Value::Number(n) if n.to_i64().is_some_and(|base| (2..=16).contains(&base)) => {
                    self.input_base = n.to_i64().and_then(|base| u32::try_from(base).ok()).unwrap_or(10);
                    Ok(())
                }
                _ => stop("input base must be a number between 2 and 16 (inclusive)"),
            },
            b'o' => {
                match self.pop()? {
                    Value::Number(n) if n.at(0) >= BigInt::from(2) => self.output_base = n.at(0),
                    _ => return stop("output base must be a number greater than 1"),
                }
                Ok(())
            }
            b'k' => match self.pop()? {
                Value::Number(n)
                    if n.value.sign() != Sign::Minus && n.to_i64().is_some_and(|k| k < 1 << 24) =>
                {
                    self.scale = n.to_i64().unwrap_or(0) as usize;
                    Ok(())
                }
                _ => stop("scale must be a nonnegative number"),
            },
            b'I' => self.put(Number::from(i64::from(self.input_base))),
            b'O' => self.put(Number { value: self.output_base.clone(), scale: 0 }),
            b'K' => self.put(Number::from(self.scale as i64)),
            b'z' => self.put(Number::from(self.stack.len() as i64)),
            b'Z' => {
                let length = match self.pop()? {
                    Value::Number(n) if n.is_zero() => 1,
                    Value::Number(n) => n.value.magnitude().to_string().len(),
                    Value::Text(text) => text.len(),
                };
                self.put(Number::from(length as i64))
            }
            b'X' => {
                let scale = match self.pop()? {
                    Value::Number(n) => n.scale,
                    Value::Text(_) => 0,
                };
                self.put(Number::from(scale as i64))
            }
            b'a' => {
                let text: Rc<[u8]> = match self.pop()? {
                    Value::Number(n) => [low_byte(&n)].into(),
                    Value::Text(text) => text[..text.len().min(1)].into(),
                };
                self.push(Value::Text(text))
            }
            b'x' => match self.pop()? {
                Value::Text(text) => self.call(text),
                number => self.push(number),
            },
            b'<' | b'>' | b'=' => self.compare(cx, command, false),
            b'!' => match self.peek() {
                Some(test @ (b'<' | b'>' | b'=')) => {
                    self.skip();
                    self.compare(cx, test, true)
                }
                _ => self.shell(cx),
            },
            b'?' => {
                cx.flush()?;
                // Where the commands come from standard input too, that is the rest of their line.
                let mut line = Vec::new();
                if let Some(Frame::Input(text, at)) = self.frames.first_mut()
                    && *at < text.len()
                {
                    line.extend(text.drain(*at..));
                } else {
                    let read = self.input.read_until(b'\n', &mut line);
                    read.map_err(|error| End::Failure(1, strerror(&error)))?;
                }
                self.call(line.into())
            }
            b'q' => self.leave(2),
            b'Q' => match self.number().map_err(|stop| match stop {
                Stop::Message(why) if why.starts_with("non-numeric") => {
                    Stop::Message("Q command requires a number >= 1".to_owned())
                }
                other => other,
            })? {
                n if n.to_i64().is_some_and(|n| n >= 1) => {
                    let levels = usize::try_from(n.to_i64().unwrap_or(1)).unwrap_or(usize::MAX);
                    if levels >= self.frames.len() {
                        return stop("Q command argument exceeded string execution depth");
                    }
                    self.leave(levels)
                }
                _ => stop("Q command requires a number >= 1"),
            },
            b'#' => {
                while let Some(byte) = self.peek() {
                    if byte == b'\n' {
                        break;
                    }
                    self.skip();
                }
                Ok(())
            }
            other => {
                // As GNU has it, half of the message is output.
                cx.flush()?;
                eprint!("dc: ");
                if other.is_ascii_graphic() {
                    cx.print(format_args!("'{}' (0{other:o}) unimplemented\n", char::from(other)))?;
                } else {
                    cx.print(format_args!("0{other:o} unimplemented\n"))?;
                }
                Ok(())
            }
        }
    }

    /// A number whose first byte has been read. Digits may be greater than the base allows.
    fn literal(&mut self, first: u8) -> Number {
        let negative = first == b'_';
        let (mut value, mut scale, mut point) = (BigInt::ZERO, 0usize, false);
        let mut below = BigInt::from(1);
        let mut take = |byte: u8| -> bool {
            match byte {
                b'.' if !point => point = true,
                b'0'..=b'9' | b'A'..=b'F' => {
                    let digit = char::from(byte).to_digit(16).unwrap_or(0);
                    value = &value * self.input_base + digit;
                    if point {
                        scale += 1;
                        below *= self.input_base;
                    }
                }
                _ => return false,
            }
            true
        };
        if !negative {
            take(first);
        }
        // The frames are looked at one byte at a time; the digits are gathered first, as both borrow this.
        let mut digits = Vec::new();
        let (text, at): (&[u8], usize) = match self.frames.last() {
            Some(Frame::Text(text, at)) => (text, *at),
            Some(Frame::Input(line, at)) => (line, *at),
            None => (&[], 0),
        };
        for byte in &text[at.min(text.len())..] {
            if !take(*byte) {
                break;
            }
            digits.push(*byte);
        }
        for _ in digits {
            self.skip();
        }
        // What is behind the point is cut to as many decimal digits as it has digits.
        let value = if scale > 0 { value * ten(scale) / below } else { value };
        Number { value: if negative { -value } else { value }, scale }
    }

    fn text(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        let (mut text, mut open) = (Vec::new(), 1usize);
        while let Some(byte) = self.next(cx)? {
            match byte {
                b'[' => open += 1,
                b']' => open -= 1,
                _ => {}
            }
            if open == 0 {
                break;
            }
            text.push(byte);
        }
        self.push(Value::Text(text.into()))
    }

    fn call(&mut self, text: Rc<[u8]>) -> Result<(), Stop> {
        // A text that has nothing left to do needs no way back; the first is kept, for `q` counts it.
        while self.frames.len() > 1
            && let Some(Frame::Text(last, at)) = self.frames.last()
            && *at >= last.len()
        {
            self.frames.pop();
        }
        if self.frames.len() >= MOST_DEPTH {
            return stop("string execution too deep");
        }
        self.frames.push(Frame::Text(text, 0));
        Ok(())
    }

    /// Leaves so many texts; where there are not that many the program ends.
    fn leave(&mut self, levels: usize) -> Result<(), Stop> {
        if levels > self.frames.len() {
            return Err(Stop::Quit);
        }
        self.frames.truncate(self.frames.len() - levels);
        Ok(())
    }

    fn compare(&mut self, cx: &mut Cx, test: u8, negated: bool) -> Result<(), Stop> {
        let name = self.name(cx)?;
        let (lower, upper) = self.two()?;
        self.stack.truncate(self.stack.len() - 2);
        let order = upper.compare(&lower);
        let holds = match test {
            b'<' => order == Ordering::Less,
            b'>' => order == Ordering::Greater,
            _ => order == Ordering::Equal,
        };
        if holds == negated {
            return Ok(());
        }
        match self.registers.get(&name).and_then(|r| r.values.last()).cloned() {
            Some(Value::Text(text)) => self.call(text),
            Some(number) => self.push(number),
            None => Ok(()),
        }
    }

    fn shell(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        let mut line = Vec::new();
        while let Some(byte) = self.peek() {
            self.skip();
            if byte == b'\n' {
                break;
            }
            line.push(byte);
        }
        cx.flush()?;
        match Command::new("/bin/sh").arg("-c").arg(os(&line)).status() {
            Ok(_) => Ok(()),
            Err(error) => Err(Stop::Message(strerror(&error))),
        }
    }

    fn register(&mut self, cx: &mut Cx, command: u8) -> Result<(), Stop> {
        let name = self.name(cx)?;
        match command {
            b'l' => {
                let value = self.registers.get(&name).and_then(|r| r.values.last()).cloned();
                self.push(value.unwrap_or(Value::Number(Number::zero())))
            }
            b's' | b'S' => {
                let value = self.pop()?;
                let register = self.registers.entry(name).or_default();
                if command == b's'
                    && let Some(last) = register.values.last_mut()
                {
                    *last = value;
                    return Ok(());
                }
                if register.values.len() >= MOST_VALUES {
                    return stop("register overflow");
                }
                register.values.push(value);
                // An array that was made without a value is that of the first one.
                let depth = register.values.len();
                register.arrays.resize_with(depth, HashMap::new);
                Ok(())
            }
            b'L' => {
                let register = self.registers.entry(name).or_default();
                let Some(value) = register.values.pop() else {
                    let shown = if name.is_ascii_graphic() {
                        format!("'{}' ", char::from(name))
                    } else {
                        String::new()
                    };
                    return Err(Stop::Message(format!("stack register {shown}(0{name:o}) is empty")));
                };
                register.arrays.truncate(register.values.len());
                self.push(value)
            }
            _ => {
                let index = self.number()?.to_i64().and_then(|n| u64::try_from(n).ok());
                let value = if command == b':' { Some(self.pop()?) } else { None };
                let Some(index) = index else {
                    return stop("array index must be a nonnegative integer");
                };
                let arrays = &mut self.registers.entry(name).or_default().arrays;
                if arrays.is_empty() {
                    arrays.push(HashMap::new());
                }
                let Some(array) = arrays.last_mut() else { return Ok(()) };
                match value {
                    Some(_) if array.len() >= MOST_VALUES => stop("array overflow"),
                    Some(value) => {
                        array.insert(index, value);
                        Ok(())
                    }
                    None => {
                        let found = array.get(&index).cloned();
                        self.push(found.unwrap_or(Value::Number(Number::zero())))
                    }
                }
            }
        }
    }

    fn power(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        let (base, exponent) = self.two()?;
        if exponent.with_scale(0).compare(&exponent) != Ordering::Equal {
            cx.flush()?;
            eprintln!("Runtime warning: non-zero scale in exponent");
        }
        let exponent = exponent.with_scale(0);
        // As GNU has it, a negative power of 0 is 0.
        let result = if base.is_zero() && exponent.value.sign() == Sign::Minus {
            Number::zero()
        } else {
            base.power(&exponent, self.scale)?
        };
        self.stack.truncate(self.stack.len() - 2);
        self.put(result)
    }

    /// `|`: a power of whole numbers, and what remains of it.
    fn modular(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        let [.., a, b, c] = &self.stack[..] else { return stop("stack empty") };
        let (Value::Number(base), Value::Number(exponent), Value::Number(modulus)) = (a, b, c) else {
            return stop("non-numeric value");
        };
        let whole = |n: &Number| n.with_scale(0).compare(n) == Ordering::Equal;
        for (number, what) in [(base, "base"), (exponent, "exponent"), (modulus, "modulus")] {
            if !whole(number) {
                cx.flush()?;
                eprintln!("Runtime warning: non-zero scale in {what}");
            }
        }
        let (base, exponent, modulus) = (base.at(0), exponent.at(0), modulus.at(0));
        if modulus.sign() == Sign::NoSign {
            return stop("remainder by zero");
        }
        if exponent.sign() == Sign::Minus {
            return stop("negative exponent");
        }
        let positive = BigInt::from(modulus.magnitude().clone());
        let mut value = BigInt::from(base.magnitude().clone()).modpow(&exponent, &positive);
        if base.sign() == Sign::Minus && exponent.bit(0) {
            value = -value;
        }
        self.stack.truncate(self.stack.len() - 3);
        self.put(Number { value, scale: 0 })
    }

    fn print(&mut self, cx: &mut Cx, command: u8) -> Result<(), Stop> {
        let mut out = Vec::new();
        match command {
            b'p' => {
                self.show(self.top()?, &mut out);
                out.push(b'\n');
            }
            b'n' => {
                let value = self.pop()?;
                self.show(&value, &mut out);
            }
            b'f' => {
                for value in self.stack.iter().rev() {
                    self.show(value, &mut out);
                    out.push(b'\n');
                }
            }
            // A number is written as the bytes that it has to the base of 256.
            _ => match self.pop()? {
                Value::Number(n) => out.extend(n.at(0).magnitude().to_bytes_be()),
                Value::Text(text) => out.extend(&*text),
            },
        }
        Ok(cx.put(&out)?)
    }

    fn show(&self, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Text(text) => out.extend(&**text),
            Value::Number(number) => {
                let text = number.text(&self.output_base);
                let mut rest = text.as_bytes();
                while rest.len() >= WIDTH {
                    out.extend(&rest[..WIDTH - 1]);
                    out.extend(b"\\\n");
                    rest = &rest[WIDTH - 1..];
                }
                out.extend(rest);
            }
        }
    }
}

fn low_byte(n: &Number) -> u8 {
    n.at(0).magnitude().to_bytes_le().first().copied().unwrap_or(0)
}
