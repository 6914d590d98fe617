//! The machine that runs a compiled program: its state and the instructions. Values of places are in `vm/places`, input
//! and output in `vm/io`, what the predefined variables do in `vm/settings`.

mod io;
mod places;
mod settings;

use crate::ast::{Arith, Compare, Line, Var};
use crate::builtins::array_of;
use crate::error::{Error, Result, fatal};
use crate::input::Ending;
use crate::op::{Code, Op};
use crate::posix::Mode;
use crate::random::Random;
use crate::record::{MAX_FIELD, Record};
use crate::regex::{Regex, Store};
use crate::special;
use crate::splitting::{Kind, Splitter};
use crate::streams::Streams;
use crate::value::{Str, Value};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::rc::Rc;

pub(crate) use io::{MainInput, assignment};

/// Calls inside one another.
const MAX_CALLS: usize = 100_000;
/// Programs run from within a function of awk's own: a comparison that sorts and compares.
const MAX_RUNS: usize = 8;

/// How running some code ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Done,
    Next,
    NextFile,
    Exit,
}

/// A call under way.
#[derive(Debug)]
struct Frame {
    back: usize,
    base: usize,
    iterations: usize,
    stack: usize,
}

/// A loop over keys under way.
#[derive(Debug)]
struct Iteration {
    keys: Vec<Str>,
    at: usize,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Vm {
    pub(crate) code: Rc<Code>,
    pub(crate) globals: Vec<Value>,
    stack: Vec<Value>,
    locals: Vec<Value>,
    frames: Vec<Frame>,
    iterations: Vec<Iteration>,
    /// Where the parameters of the present function are.
    base: usize,
    ranges: Vec<bool>,
    /// The instruction under way, for messages.
    at: usize,
    runs: usize,
    pub(crate) record: Record,
    pub(crate) splitter: Splitter,
    pub(crate) ofs: Str,
    pub(crate) ors: Str,
    pub(crate) subsep: Str,
    pub(crate) conv: Str,
    pub(crate) ofmt: Str,
    pub(crate) ending: Ending,
    fold: bool,
    nr: f64,
    fnr: f64,
    pub(crate) utf8: bool,
    pub(crate) store: Store,
    pub(crate) streams: Streams,
    pub(crate) random: Random,
    pub(crate) status: i32,
    input: MainInput,
    keeps_rt: bool,
    /// Not only BEGIN is to be run.
    pub(crate) reads_input: bool,
    /// Files of the main input are edited in place.
    pub(crate) in_place: bool,
    /// In BEGINFILE or ENDFILE.
    between_files: bool,
}

impl Vm {
    /// For a program.
    pub(crate) fn new(code: Code, utf8: bool) -> Vm {
        let rt = Var::Global(special::RT);
        let keeps_rt = code.ops.iter().any(|op| matches!(op, Op::Load(v) | Op::LoadRaw(v) if *v == rt));
        let mut globals = vec![Value::Uninit; code.globals.len()];
        for (slot, text) in [
            (special::FS, " "),
            (special::OFS, " "),
            (special::ORS, "\n"),
            (special::RS, "\n"),
            (special::SUBSEP, "\x1c"),
            (special::CONVFMT, "%.6g"),
            (special::OFMT, "%.6g"),
            (special::FPAT, "[^[:space:]]+"),
            (special::RT, ""),
            (special::FILENAME, ""),
        ] {
            globals[slot as usize] = Value::Str(Str::from(text));
        }
        globals[special::RSTART as usize] = Value::Num(0.0);
        globals[special::RLENGTH as usize] = Value::Num(-1.0);
        for slot in [special::ENVIRON, special::ARGV, special::PROCINFO] {
            globals[slot as usize] = Value::Array(Rc::default());
        }
        Vm {
            ranges: vec![false; code.ranges],
            code: Rc::new(code),
            globals,
            stack: Vec::new(),
            locals: Vec::new(),
            frames: Vec::new(),
            iterations: Vec::new(),
            base: 0,
            at: 0,
            runs: 0,
            record: Record::default(),
            splitter: Splitter::new(Kind::Blank, utf8),
            ofs: Str::from(" "),
            ors: Str::from("\n"),
            subsep: Str::from("\x1c"),
            conv: Str::from("%.6g"),
            ofmt: Str::from("%.6g"),
            ending: Ending::Byte(b'\n'),
            fold: false,
            nr: 0.0,
            fnr: 0.0,
            utf8,
            store: Store::default(),
            streams: Streams::new(),
            random: Random::new(),
            status: 0,
            input: MainInput::default(),
            keeps_rt,
            reads_input: true,
            in_place: false,
            between_files: false,
        }
    }

    /// Where the program is: source, line, and the record, as messages begin.
    pub(crate) fn place_of_error(&self) -> String {
        let Line { source, line } = self.code.lines.get(self.at).copied().unwrap_or_default();
        let source = self.code.sources.get(source as usize).map_or("", String::as_str);
        if self.fnr > 0.0 {
            let file = self.str(&self.globals[special::FILENAME as usize]);
            return format!(
                "{source}:{line}: (FILENAME={} FNR={}) ",
                String::from_utf8_lossy(if file.is_empty() { b"-" } else { &file }),
                self.fnr
            );
        }
        format!("{source}:{line}: ")
    }

    /// A warning on standard error, output written before coming first.
    pub(crate) fn warn(&mut self, text: &str) {
        let _ = self.streams.stdout.flush();
        crate::cli::say(&format!("{}warning: {text}", self.place_of_error()));
    }

    /// The text of a value.
    #[inline]
    pub(crate) fn str(&self, value: &Value) -> Str {
        value.str(&self.conv)
    }

    /// How patterns are read at present.
    pub(crate) fn mode(&self) -> Mode {
        Mode { utf8: self.utf8, fold: self.fold }
    }

    /// The regular expression that a value is.
    pub(crate) fn regex(&mut self, value: &Value) -> Result<Rc<Regex>> {
        let mode = self.mode();
        match value {
            Value::Regex(regex) if !self.fold => Ok(regex.clone()),
            Value::Regex(regex) => self.store.get(regex.source(), mode),
            value => {
                let source = value.str(&self.conv);
                self.store.get(&source, mode)
            }
        }
    }

    fn constant_regex(&mut self, index: u32) -> Result<Rc<Regex>> {
        let regex = self.code.regexes[index as usize].clone();
        if self.fold { self.regex(&Value::Regex(regex)) } else { Ok(regex) }
    }

    fn pop(&mut self) -> Value {
        self.stack.pop().unwrap_or_default()
    }

    fn push_num(&mut self, n: f64) {
        self.stack.push(Value::Num(n));
    }

    fn push_bool(&mut self, yes: bool) {
        self.push_num(f64::from(u8::from(yes)));
    }

    fn pop_array(&mut self) -> Result<Rc<RefCell<crate::array::Array>>> {
        let value = self.pop();
        array_of(Some(&value)).map(Option::unwrap_or_default)
    }

    fn pop_key(&mut self) -> Result<Str> {
        match self.stack.pop() {
            Some(Value::Str(s) | Value::Input(s)) => Ok(s),
            Some(Value::Array(_)) => fatal("attempt to use an array in a scalar context"),
            Some(other) => Ok(self.str(&other)),
            None => Ok(Str::EMPTY),
        }
    }

    /// Calls a function of the program from outside its code.
    pub(crate) fn call_function(&mut self, function: u32, args: &[Value]) -> Result<Value> {
        let depth = self.stack.len();
        self.stack.extend_from_slice(args);
        let (frames, at) = (self.frames.len(), self.at);
        self.enter(function, args.len(), usize::MAX)?;
        let flow = self.run_until(self.code.functions[function as usize].at as usize, frames)?;
        self.at = at;
        if flow != Flow::Done {
            return fatal("a comparison function must return a value");
        }
        let result = self.pop();
        self.stack.truncate(depth);
        Ok(result)
    }

    fn enter(&mut self, function: u32, count: usize, back: usize) -> Result<()> {
        if self.frames.len() >= MAX_CALLS {
            return fatal(format!(
                "function `{}': too many calls inside one another",
                self.code.functions[function as usize].name
            ));
        }
        let params = self.code.functions[function as usize].params;
        if count > params {
            return fatal(format!(
                "function `{}' called with more arguments than declared",
                self.code.functions[function as usize].name
            ));
        }
        let first = self.stack.len() - count;
        self.frames.push(Frame { back, base: self.base, iterations: self.iterations.len(), stack: first });
        self.base = self.locals.len();
        self.locals.extend(self.stack.drain(first..));
        self.locals.resize(self.base + params, Value::Uninit);
        Ok(())
    }

    /// Runs code from `start` to its end.
    pub(crate) fn run(&mut self, start: u32) -> Result<Flow> {
        let frames = self.frames.len();
        self.run_until(start as usize, frames)
    }

    /// Runs until the code halts or the call above `frames` returns; what was under way when it ends early is undone.
    fn run_until(&mut self, start: usize, frames: usize) -> Result<Flow> {
        if self.runs >= MAX_RUNS {
            return fatal("functions call one another through sorting too deeply");
        }
        self.runs += 1;
        let (stack, iterations, locals, base) =
            (self.stack.len(), self.iterations.len(), self.locals.len(), self.base);
        let flow = self.execute(start, frames);
        self.runs -= 1;
        if let Ok(Flow::Next | Flow::NextFile | Flow::Exit) = flow {
            self.frames.truncate(frames);
            self.stack.truncate(stack);
            self.iterations.truncate(iterations);
            self.locals.truncate(locals);
            self.base = base;
        }
        flow
    }

    fn execute(&mut self, start: usize, frames: usize) -> Result<Flow> {
        let code = self.code.clone();
        let mut pc = start;
        loop {
            self.at = pc;
            let op = code.ops[pc];
            pc += 1;
            match op {
                Op::Const(index) => self.stack.push(code.consts[index as usize].clone()),
                Op::Load(var) => {
                    let value = self.load(var);
                    if let Value::Array(_) = value {
                        return fatal(format!(
                            "attempt to use array `{}' in a scalar context",
                            self.name_of(var)
                        ));
                    }
                    self.stack.push(value);
                }
                Op::LoadRaw(var) => {
                    let value = self.load(var);
                    self.stack.push(value);
                }
                Op::Array(var) => {
                    let array = self.array_in(var)?;
                    self.stack.push(Value::Array(array));
                }
                Op::SubArray => {
                    let key = self.pop_key()?;
                    let array = self.pop_array()?;
                    let mut array = array.borrow_mut();
                    let element = array.at(&key);
                    if let Value::Uninit = element {
                        *element = Value::Array(Rc::default());
                    }
                    if !matches!(element, Value::Array(_)) {
                        return fatal("attempt to use a scalar element as array");
                    }
                    let value = element.clone();
                    self.stack.push(value);
                }
                Op::Join(count) => self.join(count as usize),
                Op::Elem | Op::ElemRaw => {
                    let key = self.pop_key()?;
                    let array = self.pop_array()?;
                    let value = array.borrow_mut().at(&key).clone();
                    if matches!((&value, op), (Value::Array(_), Op::Elem)) {
                        return fatal("attempt to use an array element that is an array in a scalar context");
                    }
                    self.stack.push(value);
                }
                Op::Field => {
                    let index = self.pop().num();
                    let value = self.field(index)?;
                    self.stack.push(value);
                }
                Op::FieldAt(0) => {
                    let text = Str::new(self.record.text(&self.ofs, &self.conv));
                    self.stack.push(Value::Input(text));
                }
                Op::FieldAt(n) => {
                    let value = self.record.field(n as usize, &self.splitter);
                    self.stack.push(value);
                }
                Op::FieldNum(n) => {
                    let n = match self.record.bytes(n as usize, &self.splitter) {
                        Some(bytes) => crate::number::prefix(bytes),
                        None => self.record.field(n as usize, &self.splitter).num(),
                    };
                    self.push_num(n);
                }
                Op::Assign(place, want) => self.assign(place, want)?,
                Op::Update(place, op, want) => self.update(place, op, want)?,
                Op::Step { place, pre, by, want } => self.step(place, pre, f64::from(by), want)?,
                Op::Append(var, want) => self.append(var, want)?,
                Op::Arith(op) => {
                    let right = self.pop().num();
                    let left = self.pop().num();
                    let n = arith(op, left, right)?;
                    self.push_num(n);
                }
                Op::Neg => {
                    let n = self.pop().num();
                    self.push_num(-n);
                }
                Op::ToNum => {
                    let n = self.pop().num();
                    self.push_num(n);
                }
                Op::Not => {
                    let yes = self.pop().truth();
                    self.push_bool(!yes);
                }
                Op::Compare(compare) => {
                    let yes = self.compare(compare);
                    self.push_bool(yes);
                }
                Op::JumpCompare(compare, sense, to) => {
                    if self.compare(compare) == sense {
                        pc = to as usize;
                    }
                }
                Op::Concat(count) => self.concat(count as usize),
                Op::MatchRecord(index) => {
                    let yes = if self.fold {
                        let regex = self.constant_regex(index)?;
                        regex.is_match(self.record.text(&self.ofs, &self.conv))
                    } else {
                        code.regexes[index as usize].is_match(self.record.text(&self.ofs, &self.conv))
                    };
                    self.push_bool(yes);
                }
                Op::MatchConst(index, negated) => {
                    let regex = self.constant_regex(index)?;
                    let value = self.pop();
                    let yes = value.with_bytes(&self.conv, |bytes| regex.is_match(bytes));
                    self.push_bool(yes != negated);
                }
                Op::Match(negated) => {
                    let value = self.pop();
                    let regex = self.regex(&value)?;
                    let value = self.pop();
                    let yes = value.with_bytes(&self.conv, |bytes| regex.is_match(bytes));
                    self.push_bool(yes != negated);
                }
                Op::In => {
                    let array = self.pop_array()?;
                    let key = self.pop_key()?;
                    let yes = array.borrow().has(&key);
                    self.push_bool(yes);
                }
                Op::Jump(to) => pc = to as usize,
                Op::JumpTrue(to) => {
                    if self.pop().truth() {
                        pc = to as usize;
                    }
                }
                Op::JumpFalse(to) => {
                    if !self.pop().truth() {
                        pc = to as usize;
                    }
                }
                Op::Pop => {
                    self.stack.pop();
                }
                Op::Iterate => {
                    let array = self.pop_array()?;
                    let keys = self.loop_keys(&array)?;
                    self.iterations.push(Iteration { keys, at: 0 });
                }
                Op::NextKey(end) => match self.iterations.last_mut() {
                    Some(iteration) if iteration.at < iteration.keys.len() => {
                        let key = std::mem::replace(&mut iteration.keys[iteration.at], Str::EMPTY);
                        iteration.at += 1;
                        self.stack.push(Value::Str(key));
                    }
                    _ => pc = end as usize,
                },
                Op::EndIterate => {
                    self.iterations.pop();
                }
                Op::InRange(range) => {
                    let yes = self.ranges[range as usize];
                    self.push_bool(yes);
                }
                Op::SetRange(range, yes) => self.ranges[range as usize] = yes,
                Op::Case => {
                    let case = self.pop();
                    let yes = self.case(&case)?;
                    self.push_bool(yes);
                }
                Op::Call(function, count) => {
                    self.enter(function, count as usize, pc)?;
                    pc = code.functions[function as usize].at as usize;
                }
                Op::Indirect(count) => {
                    let at = self.stack.len() - count as usize - 1;
                    let name = self.stack.remove(at);
                    let name = String::from_utf8_lossy(&self.str(&name)).into_owned();
                    let Some(function) = code.by_name.get(&name).copied() else {
                        return fatal(format!("function called indirectly through `{name}' does not exist"));
                    };
                    self.enter(function, count as usize, pc)?;
                    pc = code.functions[function as usize].at as usize;
                }
                Op::Return => {
                    let value = self.pop();
                    let Some(frame) = self.frames.pop() else { return Ok(Flow::Done) };
                    self.stack.truncate(frame.stack);
                    self.iterations.truncate(frame.iterations);
                    self.locals.truncate(self.base);
                    self.base = frame.base;
                    self.stack.push(value);
                    if self.frames.len() == frames && frame.back == usize::MAX {
                        return Ok(Flow::Done);
                    }
                    pc = frame.back;
                }
                Op::Builtin(builtin, count) => {
                    let from = self.stack.len() - count as usize;
                    let args: Vec<Value> = self.stack.drain(from..).collect();
                    let value = self.builtin(builtin, &args)?;
                    self.stack.push(value);
                }
                Op::Substitute(place, all) => self.substitute_place(place, all)?,
                Op::SubstituteValue(all) => {
                    let (target, by, regex) = (self.pop(), self.pop(), self.pop());
                    let target = self.str(&target);
                    let count = self.substitute(&regex, &by, &target, all)?.map_or(0, |(_, count)| count);
                    self.push_num(count as f64);
                }
                Op::Print(count, redirect) => self.print(count as usize, redirect)?,
                Op::PrintRecord => self.print_record()?,
                Op::PrintField(n) => self.print_field(n as usize)?,
                Op::Printf(count, redirect) => self.printf(count as usize, redirect)?,
                Op::Getline(source) => {
                    let n = self.getline(source, None)?;
                    self.push_num(n);
                }
                Op::GetlineTo(source, place) => {
                    let spot = self.take_spot(place)?;
                    let n = self.getline(source, Some(&spot))?;
                    self.push_num(n);
                }
                Op::Delete => {
                    let key = self.pop_key()?;
                    let array = self.pop_array()?;
                    array.borrow_mut().remove(&key);
                }
                Op::DeleteAll => {
                    let array = self.pop_array()?;
                    array.borrow_mut().clear();
                }
                Op::Next => {
                    if self.between_files {
                        return fatal("`next' used in BEGINFILE or ENDFILE action");
                    }
                    return Ok(Flow::Next);
                }
                Op::NextFile => return Ok(Flow::NextFile),
                Op::Exit(with_status) => {
                    if with_status {
                        self.status = self.pop().num() as i64 as i32 & 0xff;
                    }
                    return Ok(Flow::Exit);
                }
                Op::Halt => return Ok(Flow::Done),
            }
        }
    }

    fn join(&mut self, count: usize) {
        let from = self.stack.len() - count;
        let mut key = Vec::new();
        for (i, value) in self.stack[from..].iter().enumerate() {
            if i > 0 {
                key.extend_from_slice(&self.subsep);
            }
            value.with_bytes(&self.conv, |bytes| key.extend_from_slice(bytes));
        }
        self.stack.truncate(from);
        self.stack.push(Value::Str(Str::from_vec(key)));
    }

    fn concat(&mut self, count: usize) {
        let from = self.stack.len() - count;
        let mut text = match &mut self.stack[from] {
            Value::Str(s) | Value::Input(s) => std::mem::replace(s, Str::EMPTY),
            other => other.str(&self.conv),
        };
        for value in &self.stack[from + 1..] {
            value.with_bytes(&self.conv, |bytes| text.push(bytes));
        }
        self.stack.truncate(from);
        self.stack.push(Value::Str(text));
    }

    #[inline]
    fn compare(&mut self, compare: Compare) -> bool {
        let right = self.pop();
        let left = self.pop();
        let order = match (left.strict_num(), right.strict_num()) {
            (Some(a), Some(b)) => match a.partial_cmp(&b) {
                Some(order) => order,
                // Not a number is unlike everything.
                None => return compare == Compare::NotEqual,
            },
            _ => self.compare_text(&left, &right),
        };
        match compare {
            Compare::Less => order == Ordering::Less,
            Compare::LessEqual => order != Ordering::Greater,
            Compare::Equal => order == Ordering::Equal,
            Compare::NotEqual => order != Ordering::Equal,
            Compare::Greater => order == Ordering::Greater,
            Compare::GreaterEqual => order != Ordering::Less,
        }
    }

    fn compare_text(&self, left: &Value, right: &Value) -> Ordering {
        left.with_bytes(&self.conv, |a| {
            right.with_bytes(&self.conv, |b| {
                if self.fold {
                    crate::text::lower(a, self.utf8).cmp(&crate::text::lower(b, self.utf8))
                } else {
                    a.cmp(b)
                }
            })
        })
    }

    /// Whether the value on the stack fits a case.
    fn case(&mut self, case: &Value) -> Result<bool> {
        let value = self.stack.last().cloned().unwrap_or_default();
        if let Value::Regex(_) = case {
            let regex = self.regex(case)?;
            return Ok(value.with_bytes(&self.conv, |bytes| regex.is_match(bytes)));
        }
        // A constant that is a number is equal only to numbers, text only to text.
        Ok(match (case, value.strict_num()) {
            (Value::Num(n), Some(m)) => *n == m,
            (Value::Num(_), None) => false,
            _ => self.compare_text(&value, case) == Ordering::Equal,
        })
    }

    /// The field of a number.
    pub(crate) fn field(&mut self, index: f64) -> Result<Value> {
        Ok(match self.field_index(index)? {
            0 => Value::Input(Str::new(self.record.text(&self.ofs, &self.conv))),
            n => self.record.field(n, &self.splitter),
        })
    }

    fn field_index(&self, index: f64) -> Result<usize> {
        let whole = index.trunc();
        if whole < 0.0 {
            return fatal(format!("attempt to access field {whole}"));
        }
        Ok(whole as usize)
    }

    fn writable_field(&self, index: usize) -> Result<usize> {
        if index > MAX_FIELD {
            return fatal(format!("field {index} is beyond the limit of {MAX_FIELD}"));
        }
        Ok(index)
    }
}

/// Computes.
#[inline]
fn arith(op: Arith, a: f64, b: f64) -> Result<f64> {
    Ok(match op {
        Arith::Add => a + b,
        Arith::Sub => a - b,
        Arith::Mul => a * b,
        Arith::Div if b == 0.0 => return Err(Error::Fatal("division by zero attempted".to_owned())),
        Arith::Div => a / b,
        Arith::Mod if b == 0.0 => {
            return Err(Error::Fatal("division by zero attempted in `%'".to_owned()));
        }
        Arith::Mod => a % b,
        Arith::Pow => a.powf(b),
    })
}
