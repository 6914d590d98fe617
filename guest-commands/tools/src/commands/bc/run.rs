//! The machine that runs the code of bc: a stack of numbers, variables, arrays, and calls of functions. Its depth is that
//! of a list and not of the program's own stack.

use super::lex::Lexer;
use super::library;
use super::number::{Fault, Number};
use super::parse::{Function, Interner, Local, Op, Place};
use crate::context::{Cx, End};
use num_bigint::BigInt;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Calls inside each other.
const MOST_CALLS: usize = 100_000;
/// The greatest subscript, as GNU has it.
const LAST_ELEMENT: i64 = 16_777_215;

type Array = Rc<RefCell<BTreeMap<u32, Number>>>;

/// A value on the stack: a number, or an array that is an argument.
#[derive(Clone)]
enum Value {
    Number(Number),
    Array(Array),
}

/// What a call must restore.
struct Frame {
    code: Rc<Vec<Op>>,
    at: usize,
    saved: Vec<(Local, Value)>,
    void: bool,
    function: Option<usize>,
}

/// Why the code of a line ends before its end.
pub(super) enum Stop {
    /// It has been told.
    Fault,
    Halt,
    End(End),
}

impl From<End> for Stop {
    fn from(end: End) -> Stop {
        Stop::End(end)
    }
}

pub(super) struct Machine {
    pub(super) scale: usize,
    pub(super) functions: HashMap<usize, Function>,
    /// The functions of the library that there are, by name.
    pub(super) library: HashMap<usize, u8>,
    ibase: u32,
    obase: BigInt,
    last: Number,
    variables: HashMap<usize, Number>,
    arrays: HashMap<usize, Array>,
    stack: Vec<Value>,
    /// Where the line of output is, and how long one is; 0 is without end.
    column: usize,
    width: usize,
    random: u64,
}

impl Machine {
    pub(super) fn new() -> Machine {
        let width = std::env::var("BC_LINE_LENGTH").ok().and_then(|w| w.parse::<usize>().ok());
        Machine {
            scale: 0,
            functions: HashMap::new(),
            library: HashMap::new(),
            ibase: 10,
            obase: BigInt::from(10),
            last: Number::zero(),
            variables: HashMap::new(),
            arrays: HashMap::new(),
            stack: Vec::new(),
            column: 0,
            width: width.filter(|w| *w == 0 || *w > 2).unwrap_or(70),
            random: 0,
        }
    }

    /// Writes text, broken where the line is full.
    fn put(&mut self, cx: &mut Cx, text: &[u8]) -> Result<(), End> {
        for byte in text {
            if *byte == b'\n' {
                self.column = 0;
            } else {
                self.column += 1;
                if self.width > 0 && self.column == self.width - 1 {
                    cx.put(b"\\\n")?;
                    self.column = 1;
                }
            }
            cx.put(&[*byte])?;
        }
        Ok(())
    }

    fn pop(&mut self) -> Number {
        match self.stack.pop() {
            Some(Value::Number(number)) => number,
            _ => Number::zero(),
        }
    }

    fn push(&mut self, number: Number) {
        self.stack.push(Value::Number(number));
    }

    fn array(&mut self, id: usize) -> Array {
        Rc::clone(self.arrays.entry(id).or_default())
    }

    /// Runs a line.
    pub(super) fn run(
        &mut self,
        cx: &mut Cx,
        lexer: &mut Lexer,
        names: &Interner,
        code: Vec<Op>,
    ) -> Result<(), Stop> {
        self.stack.clear();
        let mut frames: Vec<Frame> = Vec::new();
        let mut code = Rc::new(code);
        let (mut at, mut function, mut void) = (0, None, false);
        let result = loop {
            let Some(op) = code.get(at) else { break Ok(()) };
            at += 1;
            let step = match op {
                Op::Jump(to) => {
                    at = *to;
                    Ok(())
                }
                Op::JumpIfZero(to) => {
                    if self.pop().is_zero() {
                        at = *to;
                    }
                    Ok(())
                }
                Op::Call(id, arguments) => match self.library.get(id).copied() {
                    Some(letter) if !self.functions.contains_key(id) => self.of_library(letter, arguments),
                    _ => match self.functions.get(id) {
                        None => Err(format!("Function {} not defined.", names.name(*id))),
                        Some(_) if frames.len() >= MOST_CALLS => Err("Function calls too deep.".to_owned()),
                        Some(f) if !matches(&f.parameters, arguments) => {
                            Err("Parameter number mismatch".to_owned())
                        }
                        Some(f) => {
                            let (next, is_void) = (Rc::clone(&f.code), f.void);
                            let locals = (f.parameters.clone(), f.autos.clone());
                            let saved = self.enter(&locals.0, &locals.1);
                            let callee = Some(*id);
                            let back = std::mem::replace(&mut code, next);
                            frames.push(Frame { code: back, at, saved, void, function });
                            (at, function, void) = (0, callee, is_void);
                            Ok(())
                        }
                    },
                },
                Op::Return => match frames.pop() {
                    None => break Ok(()),
                    Some(frame) => {
                        let was_void = void;
                        self.leave(frame.saved);
                        (code, at, void, function) = (frame.code, frame.at, frame.void, frame.function);
                        // A void function has no value to print.
                        if was_void && matches!(code.get(at), Some(Op::Print(true) | Op::Pop)) {
                            self.pop();
                            at += 1;
                        }
                        Ok(())
                    }
                },
                Op::Halt => break Err(Stop::Halt),
                Op::Read => {
                    let text = lexer.read_number(cx)?;
                    let number = Number::read(text.strip_prefix(b"-").unwrap_or(&text), self.ibase);
                    self.push(if text.starts_with(b"-") { number.negated() } else { number });
                    Ok(())
                }
                op => self.step(cx, op, at, function.map(|f| names.name(f)))?,
            };
            if let Err(message) = step {
                let name = function.map_or("(main)", |f| names.name(f));
                cx.flush()?;
                eprintln!("Runtime error (func={name}, adr={at}): {message}");
                break Err(Stop::Fault);
            }
        };
        // Whatever ended the line: variables get back what the calls took.
        while let Some(frame) = frames.pop() {
            self.leave(frame.saved);
        }
        result
    }

    /// Puts the arguments on the stack into the parameters, and returns what these were.
    fn enter(&mut self, parameters: &[Local], autos: &[Local]) -> Vec<(Local, Value)> {
        let arguments = self.stack.split_off(self.stack.len().saturating_sub(parameters.len()));
        let given = arguments.into_iter().map(Some).chain(autos.iter().map(|_| None));
        let mut saved = Vec::with_capacity(parameters.len() + autos.len());
        for (local, value) in parameters.iter().chain(autos).zip(given) {
            if local.array {
                let new = match value {
                    Some(Value::Array(array)) if local.by_name => array,
                    Some(Value::Array(array)) => Rc::new(RefCell::new(array.borrow().clone())),
                    _ => Array::default(),
                };
                let old = self.arrays.insert(local.id, new).unwrap_or_default();
                saved.push((*local, Value::Array(old)));
            } else {
                let new = match value {
                    Some(Value::Number(number)) => number,
                    _ => Number::zero(),
                };
                let old = self.variables.insert(local.id, new).unwrap_or_default();
                saved.push((*local, Value::Number(old)));
            }
        }
        saved
    }

    fn leave(&mut self, saved: Vec<(Local, Value)>) {
        for (local, value) in saved.into_iter().rev() {
            match value {
                Value::Number(number) => drop(self.variables.insert(local.id, number)),
                Value::Array(array) => drop(self.arrays.insert(local.id, array)),
            }
        }
    }

    fn of_library(&mut self, letter: u8, arguments: &[bool]) -> Result<(), String> {
        if arguments.len() != 1 + usize::from(letter == b'j') || arguments.contains(&true) {
            return Err("Parameter number mismatch".to_owned());
        }
        let x = self.pop();
        let result = match letter {
            b'e' => library::exp(&x, self.scale),
            b'l' => Ok(library::ln(&x, self.scale)),
            b's' => Ok(library::sin(&x, self.scale)),
            b'c' => Ok(library::cos(&x, self.scale)),
            b'a' => Ok(library::atan(&x, self.scale)),
            _ => library::bessel(&self.pop(), &x, self.scale),
        };
        self.push(result.map_err(words)?);
        Ok(())
    }

    /// A step that stays in its function. The inner error is the message of a fault.
    fn step(
        &mut self,
        cx: &mut Cx,
        op: &Op,
        at: usize,
        function: Option<&str>,
    ) -> Result<Result<(), String>, End> {
        let warn = |cx: &mut Cx, message: &str| {
            let _ = cx.flush();
            eprintln!("Runtime warning (func={}, adr={at}): {message}", function.unwrap_or("(main)"));
        };
        match op {
            Op::Push(digits) => self.push(Number::read(digits, self.ibase)),
            Op::Load(place) => match self.load(*place) {
                Ok(number) => self.push(number),
                Err(message) => return Ok(Err(message)),
            },
            Op::Store(place) => {
                let value = self.pop();
                match self.store(*place, value.clone()) {
                    Ok(warning) => {
                        if let Some(warning) = warning {
                            warn(cx, warning);
                        }
                        self.push(value);
                    }
                    Err(message) => return Ok(Err(message)),
                }
            }
            Op::Step(place, change, before) => {
                if let Place::Element(_) = place
                    && let Some(top) = self.stack.last().cloned()
                {
                    self.stack.push(top);
                }
                let old = match self.load(*place) {
                    Ok(old) => old,
                    Err(message) => return Ok(Err(message)),
                };
                let new = old.add(&Number::from(*change));
                match self.store(*place, new.clone()) {
                    Ok(warning) => {
                        if let Some(warning) = warning {
                            warn(cx, warning);
                        }
                    }
                    Err(message) => return Ok(Err(message)),
                }
                self.push(if *before { old } else { new });
            }
            Op::Binary(operator) => {
                let b = self.pop();
                let a = self.pop();
                if *operator == "^" && b.scale > 0 && !b.subtract(&b.with_scale(0)).is_zero() {
                    warn(cx, "non-zero scale in exponent");
                }
                match binary(operator, &a, &b, self.scale) {
                    Ok(number) => self.push(number),
                    Err(fault) => return Ok(Err(words(fault))),
                }
            }
            Op::Negate => {
                let number = self.pop().negated();
                self.push(number);
            }
            Op::Not | Op::Truth => {
                let zero = self.pop().is_zero();
                self.push(Number::from(i64::from(zero == matches!(op, Op::Not))));
            }
            Op::Sqrt => match self.pop().root(self.scale) {
                Ok(number) => self.push(number),
                Err(fault) => return Ok(Err(words(fault))),
            },
            Op::Length => {
                let digits = self.pop().digits();
                self.push(Number { value: BigInt::from(digits), scale: 0 });
            }
            Op::ScaleOf => {
                let scale = self.pop().scale;
                self.push(Number { value: BigInt::from(scale), scale: 0 });
            }
            Op::Random => {
                // A generator of Knuth's; the same numbers in every run, as bc has them.
                self.random = self
                    .random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                self.push(Number { value: BigInt::from(self.random >> 33), scale: 0 });
            }
            Op::ArrayArgument(id) => {
                let array = self.array(*id);
                self.stack.push(Value::Array(array));
            }
            Op::Pop => drop(self.stack.pop()),
            Op::Double => {
                if let Some(top) = self.stack.last().cloned() {
                    self.stack.push(top);
                }
            }
            Op::Print(newline) => {
                let number = self.pop();
                let text = number.text(&self.obase);
                self.put(cx, text.as_bytes())?;
                if *newline {
                    self.put(cx, b"\n")?;
                }
                self.last = number;
            }
            Op::Text(text) => self.put(cx, text)?,
            Op::Escaped(text) => {
                let text = escaped(text);
                self.put(cx, &text)?;
            }
            Op::Jump(_) | Op::JumpIfZero(_) | Op::Call(..) | Op::Return | Op::Halt | Op::Read => {}
        }
        Ok(Ok(()))
    }

    fn subscript(&mut self) -> Result<u32, String> {
        let index = self.pop().to_i64().filter(|i| (0..=LAST_ELEMENT).contains(i));
        index.and_then(|i| u32::try_from(i).ok()).ok_or_else(|| "Array subscript out of bounds.".to_owned())
    }

    fn load(&mut self, place: Place) -> Result<Number, String> {
        Ok(match place {
            Place::Variable(id) => self.variables.get(&id).cloned().unwrap_or_default(),
            Place::Element(id) => {
                let index = self.subscript()?;
                self.array(id).borrow().get(&index).cloned().unwrap_or_default()
            }
            Place::Scale => Number { value: BigInt::from(self.scale), scale: 0 },
            Place::Ibase => Number::from(i64::from(self.ibase)),
            Place::Obase => Number { value: self.obase.clone(), scale: 0 },
            Place::Last => self.last.clone(),
        })
    }

    /// Stores the number; the result is a warning.
    fn store(&mut self, place: Place, number: Number) -> Result<Option<&'static str>, String> {
        let whole = number.to_i64();
        let negative = number.value.sign() == num_bigint::Sign::Minus;
        match place {
            Place::Variable(id) => drop(self.variables.insert(id, number)),
            Place::Element(id) => {
                let index = self.subscript()?;
                drop(self.array(id).borrow_mut().insert(index, number));
            }
            Place::Last => self.last = number,
            Place::Scale if negative => {
                self.scale = 0;
                return Ok(Some("negative scale, set to 0"));
            }
            Place::Scale => match whole.and_then(|s| usize::try_from(s).ok()).filter(|s| *s <= MOST_SCALE) {
                Some(scale) => self.scale = scale,
                None => {
                    self.scale = MOST_SCALE;
                    return Ok(Some("scale too large, set to 10000000"));
                }
            },
            Place::Ibase => match whole {
                Some(base @ 2..=16) => self.ibase = u32::try_from(base).unwrap_or(10),
                Some(..2) => {
                    self.ibase = 2;
                    return Ok(Some("ibase too small, set to 2"));
                }
                _ => {
                    self.ibase = 16;
                    return Ok(Some("ibase too large, set to 16"));
                }
            },
            Place::Obase => {
                self.obase = number.at(0);
                if self.obase < BigInt::from(2) {
                    self.obase = BigInt::from(2);
                    return Ok(Some("obase too small, set to 2"));
                }
            }
        }
        Ok(None)
    }
}

/// More digits behind the point are not reckoned.
const MOST_SCALE: usize = 10_000_000;

fn matches(parameters: &[Local], arguments: &[bool]) -> bool {
    parameters.len() == arguments.len()
        && parameters.iter().zip(arguments).all(|(p, array)| p.array == *array)
}

fn words(fault: Fault) -> String {
    match fault {
        Fault::DivideByZero => "Divide by zero",
        Fault::NegativeRoot => "Square root of a negative number",
        Fault::ExponentTooLarge => "exponent too large in raise",
    }
    .to_owned()
}

fn binary(operator: &str, a: &Number, b: &Number, scale: usize) -> Result<Number, Fault> {
    let order = || a.compare(b);
    let truth = match operator {
        "+" => return Ok(a.add(b)),
        "-" => return Ok(a.subtract(b)),
        "*" => return Ok(a.multiply(b, scale)),
        "/" => return a.divide(b, scale),
        "%" => return a.remainder(b, scale),
        "^" => return a.power(b, scale),
        "==" => order() == Ordering::Equal,
        "!=" => order() != Ordering::Equal,
        "<" => order() == Ordering::Less,
        "<=" => order() != Ordering::Greater,
        ">" => order() == Ordering::Greater,
        _ => order() != Ordering::Less,
    };
    Ok(Number::from(i64::from(truth)))
}

/// The escapes of `print`.
fn escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        match bytes.next() {
            Some(b'a') => out.push(7),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'n') => out.push(b'\n'),
            Some(b'q') => out.push(b'"'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'\\') => out.push(b'\\'),
            _ => {}
        }
    }
    out
}
