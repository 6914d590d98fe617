//! The grammar of bc, and the code that it becomes for the machine in `run`. It evaluates nothing.

use super::lex::{Lexer, Token};
use crate::context::{Cx, End};
use std::collections::HashMap;
use std::rc::Rc;

/// Parentheses, blocks and the like inside each other: deeper ones are refused.
const DEEPEST: usize = 200;

/// A step of the machine, which has a stack of numbers.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Push(Rc<[u8]>),
    Load(Place),
    /// Stores the top and leaves it.
    Store(Place),
    /// Calls of operators on the two topmost.
    Binary(&'static str),
    Negate,
    Not,
    /// `++` or `--` of a place: the change, and whether the value before counts.
    Step(Place, i64, bool),
    Sqrt,
    Length,
    ScaleOf,
    Read,
    Random,
    Call(usize, Vec<bool>),
    /// Pushes an array as an argument.
    ArrayArgument(usize),
    Pop,
    /// Pushes the top once more.
    Double,
    /// Prints the top with or without a newline.
    Print(bool),
    Text(Rc<[u8]>),
    /// A string of `print`, with its escapes.
    Escaped(Rc<[u8]>),
    Jump(usize),
    JumpIfZero(usize),
    /// Makes the top 0 or 1.
    Truth,
    Return,
    Halt,
}

/// Where a number is kept. Subscripts are on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Variable(usize),
    Element(usize),
    Scale,
    Ibase,
    Obase,
    Last,
}

/// A parameter or an `auto` variable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    pub(super) id: usize,
    pub(super) array: bool,
    /// The array itself is passed and not a copy.
    pub(super) by_name: bool,
}

/// A function.
#[derive(Debug, Default)]
pub(super) struct Function {
    pub(super) parameters: Vec<Local>,
    pub(super) autos: Vec<Local>,
    pub(super) code: Rc<Vec<Op>>,
    pub(super) void: bool,
}

/// Names, numbered in the order that they are met.
#[derive(Default)]
pub(super) struct Interner(HashMap<String, usize>, Vec<String>);

impl Interner {
    pub(super) fn id(&mut self, name: &str) -> usize {
        if let Some(id) = self.0.get(name) {
            return *id;
        }
        self.1.push(name.to_owned());
        self.0.insert(name.to_owned(), self.1.len() - 1);
        self.1.len() - 1
    }

    pub(super) fn name(&self, id: usize) -> &str {
        self.1.get(id).map_or("", String::as_str)
    }
}

/// What a line is.
pub(super) enum Item {
    Code(Vec<Op>),
    Define(usize, Function),
    Quit,
}

/// Why a line is nothing.
pub(super) enum Trouble {
    /// It has been told.
    Syntax,
    End(End),
}

impl From<End> for Trouble {
    fn from(end: End) -> Trouble {
        Trouble::End(end)
    }
}

/// How nonstandard constructs are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    Gnu,
    Warn,
    Standard,
}

type Parsed<T> = Result<T, Trouble>;

pub(super) struct Parser<'a> {
    pub(super) cx: &'a mut Cx,
    pub(super) lexer: &'a mut Lexer,
    pub(super) names: &'a mut Interner,
    pub(super) strictness: Strictness,
    token: Token,
    code: Vec<Op>,
    /// Jumps out of the loops that are open, and where `continue` goes.
    loops: Vec<(Vec<usize>, Vec<usize>)>,
    depth: usize,
    in_function: bool,
    void: bool,
    faulty: bool,
}

impl<'a> Parser<'a> {
    pub(super) fn new(
        cx: &'a mut Cx,
        lexer: &'a mut Lexer,
        names: &'a mut Interner,
        strictness: Strictness,
    ) -> Parser<'a> {
        Parser {
            cx,
            lexer,
            names,
            strictness,
            token: Token::End,
            code: Vec::new(),
            loops: Vec::new(),
            depth: 0,
            in_function: false,
            void: false,
            faulty: false,
        }
    }

    /// The next line, or block, or function. `None` at the end.
    pub(super) fn item(mut self) -> Parsed<Option<Item>> {
        self.advance()?;
        match self.token {
            Token::End => return Ok(None),
            Token::Newline => return Ok(Some(Item::Code(Vec::new()))),
            Token::Sign("define") => return self.define().map(Some),
            Token::Sign("quit") => return Ok(Some(Item::Quit)),
            _ => {}
        }
        loop {
            if !matches!(self.token, Token::Sign(";") | Token::Newline | Token::End) {
                self.statement()?;
            }
            match self.token {
                Token::Newline | Token::End => break,
                Token::Sign(";") => self.advance()?,
                _ => return Err(self.syntax()),
            }
        }
        Ok(Some(Item::Code(if self.faulty { Vec::new() } else { self.code })))
    }

    fn advance(&mut self) -> Parsed<()> {
        self.token = self.lexer.next(self.cx)?;
        if self.token == Token::Sign("quit") {
            // As soon as it is read: nothing of its line is run.
            return Err(Trouble::End(End::Status(self.cx.status)));
        }
        if let Some(complaint) = self.lexer.complaint.take() {
            self.complain(&complaint);
        }
        Ok(())
    }

    fn complain(&mut self, message: &str) {
        let _ = self.cx.flush();
        eprintln!("{} {}: {message}", self.lexer.name, self.lexer.line_number);
    }

    fn syntax(&mut self) -> Trouble {
        self.complain("syntax error");
        if self.token != Token::Newline {
            self.lexer.skip_line();
        }
        Trouble::Syntax
    }

    /// An error that leaves the grammar as it is.
    fn fault(&mut self, message: &str) {
        self.complain(message);
        self.faulty = true;
    }

    fn extension(&mut self, what: &str) {
        match self.strictness {
            Strictness::Gnu => {}
            Strictness::Warn => self.complain(&format!("(Warning) {what}")),
            Strictness::Standard => self.fault(&format!("Error: {what}")),
        }
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.token, Token::Sign(s) if s == sign)
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if !self.is(sign) {
            return Err(self.syntax());
        }
        self.advance()
    }

    fn newlines(&mut self) -> Parsed<()> {
        while self.token == Token::Newline {
            self.advance()?;
        }
        Ok(())
    }

    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > DEEPEST { Err(self.syntax()) } else { Ok(()) }
    }

    fn name(&mut self) -> Parsed<String> {
        let Token::Name(name) = &self.token else { return Err(self.syntax()) };
        let name = name.clone();
        if name.len() > 1 {
            self.extension(&format!("multiple letter name - {name}"));
        }
        self.advance()?;
        Ok(name)
    }

    fn define(mut self) -> Parsed<Item> {
        self.in_function = true;
        self.advance()?;
        if self.is("void") {
            self.extension("void functions");
            self.void = true;
            self.advance()?;
        }
        let name = self.name()?;
        self.expect("(")?;
        let parameters = if self.is(")") { Vec::new() } else { self.locals()? };
        self.expect(")")?;
        self.newlines()?;
        self.expect("{")?;
        let mut autos = Vec::new();
        while self.token == Token::Newline || self.is(";") {
            self.advance()?;
        }
        if self.is("auto") {
            self.advance()?;
            autos = self.locals()?;
        }
        self.statements()?;
        // The closing bracket ends the line too, as far as the next word tells.
        let zero: Rc<[u8]> = Rc::from(&b"0"[..]);
        self.code.extend([Op::Push(zero), Op::Return]);
        let id = self.names.id(&name);
        let function = Function { parameters, autos, code: Rc::new(self.code), void: self.void };
        Ok(if self.faulty { Item::Code(Vec::new()) } else { Item::Define(id, function) })
    }

    fn locals(&mut self) -> Parsed<Vec<Local>> {
        let mut list = Vec::new();
        loop {
            let by_name = self.is("*");
            if by_name {
                self.extension("Call by variable arrays");
                self.advance()?;
            }
            let name = self.name()?;
            let array = self.is("[");
            if array {
                self.advance()?;
                self.expect("]")?;
            }
            list.push(Local { id: self.names.id(&name), array, by_name });
            if !self.is(",") {
                return Ok(list);
            }
            self.advance()?;
        }
    }

    /// Statements up to the closing bracket, which stays the current word.
    fn statements(&mut self) -> Parsed<()> {
        loop {
            while self.token == Token::Newline || self.is(";") {
                self.advance()?;
            }
            if self.is("}") {
                return Ok(());
            }
            self.statement()?;
            if !(self.token == Token::Newline || self.is(";") || self.is("}")) {
                return Err(self.syntax());
            }
        }
    }

    fn jump(&mut self, op: fn(usize) -> Op) -> usize {
        self.code.push(op(0));
        self.code.len() - 1
    }

    /// Lets the jump at `at` go to what comes next.
    fn land(&mut self, at: usize) {
        let end = self.code.len();
        self.code[at] = match self.code[at] {
            Op::JumpIfZero(_) => Op::JumpIfZero(end),
            _ => Op::Jump(end),
        };
    }

    fn condition(&mut self) -> Parsed<()> {
        self.expect("(")?;
        self.expression(0)?;
        self.expect(")")
    }

    fn body(&mut self) -> Parsed<()> {
        self.newlines()?;
        self.statement()
    }

    fn statement(&mut self) -> Parsed<()> {
        self.deeper()?;
        match self.token.clone() {
            Token::Text(text) => {
                self.advance()?;
                self.code.push(Op::Text(text.into()));
            }
            Token::Sign("{") => {
                self.advance()?;
                self.statements()?;
                self.advance()?;
            }
            Token::Sign("print") => self.print()?,
            Token::Sign("if") => self.condition_statement()?,
            Token::Sign("while") => {
                self.advance()?;
                let start = self.code.len();
                self.condition()?;
                let out = self.jump(Op::JumpIfZero);
                self.loops.push((vec![out], Vec::new()));
                self.body()?;
                self.code.push(Op::Jump(start));
                self.end_loop(start);
            }
            Token::Sign("for") => self.for_statement()?,
            Token::Sign(word @ ("break" | "continue")) => {
                if word == "continue" {
                    self.extension("Continue statement");
                }
                let open = !self.loops.is_empty();
                if !open {
                    let shown = if word == "break" { "Break" } else { "Continue" };
                    self.fault(&format!("{shown} outside a for/while"));
                }
                self.advance()?;
                if open {
                    let at = self.jump(Op::Jump);
                    if let Some(open) = self.loops.last_mut() {
                        if word == "break" { open.0.push(at) } else { open.1.push(at) }
                    }
                }
            }
            Token::Sign("halt") => {
                self.extension("halt statement");
                self.advance()?;
                self.code.push(Op::Halt);
            }
            Token::Sign("return") => {
                self.advance()?;
                if matches!(self.token, Token::Newline | Token::End) || self.is(";") || self.is("}") {
                    self.code.push(Op::Push(Rc::from(&b"0"[..])));
                } else {
                    self.expression(0)?;
                    if self.void {
                        self.fault("Return expression in a void function.");
                    }
                }
                if !self.in_function {
                    self.fault("Return outside of a function.");
                }
                self.code.push(Op::Return);
            }
            Token::Sign(word @ ("limits" | "warranty")) => {
                self.advance()?;
                let text = if word == "limits" {
                    "BC_BASE_MAX     = 2147483647\nBC_DIM_MAX      = 16777215\nBC_SCALE_MAX    = 2147483647\n\
                     BC_STRING_MAX   = 2147483647\nMAX Exponent    = 2147483647\n"
                } else {
                    "There is no warranty: see the licence of AgentOs.\n"
                };
                self.code.push(Op::Text(Rc::from(text.as_bytes())));
            }
            _ => {
                let assigned = self.expression(0)?;
                self.code.push(if assigned { Op::Pop } else { Op::Print(true) });
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn print(&mut self) -> Parsed<()> {
        self.extension("print statement");
        self.advance()?;
        loop {
            if let Token::Text(text) = self.token.clone() {
                self.advance()?;
                self.code.push(Op::Escaped(text.into()));
            } else {
                self.expression(0)?;
                self.code.push(Op::Print(false));
            }
            if !self.is(",") {
                return Ok(());
            }
            self.advance()?;
        }
    }

    fn condition_statement(&mut self) -> Parsed<()> {
        self.advance()?;
        self.condition()?;
        let over = self.jump(Op::JumpIfZero);
        self.body()?;
        if self.is("else") {
            self.extension("else clause in if statement");
            self.advance()?;
            let end = self.jump(Op::Jump);
            self.land(over);
            self.body()?;
            self.land(end);
        } else {
            self.land(over);
        }
        Ok(())
    }

    fn for_statement(&mut self) -> Parsed<()> {
        self.advance()?;
        self.expect("(")?;
        if !self.is(";") {
            self.expression(0)?;
            self.code.push(Op::Pop);
        }
        self.expect(";")?;
        let test = self.code.len();
        let mut exits = Vec::new();
        if !self.is(";") {
            self.expression(0)?;
            exits.push(self.jump(Op::JumpIfZero));
        }
        self.expect(";")?;
        let enter = self.jump(Op::Jump);
        let step = self.code.len();
        if !self.is(")") {
            self.expression(0)?;
            self.code.push(Op::Pop);
        }
        self.expect(")")?;
        self.code.push(Op::Jump(test));
        self.land(enter);
        self.loops.push((exits, Vec::new()));
        self.body()?;
        self.code.push(Op::Jump(step));
        self.end_loop(step);
        Ok(())
    }

    fn end_loop(&mut self, again: usize) {
        let (exits, repeats) = self.loops.pop().unwrap_or_default();
        for at in exits {
            self.land(at);
        }
        for at in repeats {
            self.code[at] = Op::Jump(again);
        }
    }

    /// An expression of operators that bind as `level` or tighter. True when it is an assignment.
    fn expression(&mut self, level: u8) -> Parsed<bool> {
        self.deeper()?;
        let mut assigned = if self.is("!") {
            self.extension("! operator");
            self.advance()?;
            self.expression(3)?;
            self.code.push(Op::Not);
            false
        } else if self.is("-") {
            self.advance()?;
            self.expression(9)?;
            self.code.push(Op::Negate);
            false
        } else {
            self.primary()?
        };
        assigned &= !self.operators(level)?;
        self.depth -= 1;
        Ok(assigned)
    }

    /// The operators behind an operand, and their right sides. True when there are any.
    fn operators(&mut self, level: u8) -> Parsed<bool> {
        let mut any = false;
        while let Token::Sign(sign) = self.token {
            let (binds, next) = match sign {
                "||" => (1, 2),
                "&&" => (2, 3),
                "==" | "!=" | "<" | "<=" | ">" | ">=" => (4, 5),
                "+" | "-" => (6, 7),
                "*" | "/" | "%" => (7, 8),
                "^" => (8, 8),
                _ => break,
            };
            if binds < level {
                break;
            }
            if binds < 3 {
                self.extension(&format!("{sign} operator"));
            }
            self.advance()?;
            match sign {
                // The right side is not reckoned when the left one decides.
                "||" => {
                    self.code.push(Op::Truth);
                    self.code.push(Op::Not);
                    let right = self.jump(Op::JumpIfZero);
                    self.expression(next)?;
                    self.code.push(Op::Truth);
                    let end = self.jump(Op::Jump);
                    self.land(right);
                    self.code.push(Op::Push(Rc::from(&b"1"[..])));
                    self.land(end);
                }
                "&&" => {
                    let wrong = self.jump(Op::JumpIfZero);
                    self.expression(next)?;
                    self.code.push(Op::Truth);
                    let end = self.jump(Op::Jump);
                    self.land(wrong);
                    self.code.push(Op::Push(Rc::from(&b"0"[..])));
                    self.land(end);
                }
                _ => {
                    self.expression(next)?;
                    self.code.push(Op::Binary(sign));
                }
            }
            any = true;
        }
        Ok(any)
    }

    /// An operand. True when it is an assignment.
    fn primary(&mut self) -> Parsed<bool> {
        match self.token.clone() {
            Token::Number(digits) => {
                self.advance()?;
                self.code.push(Op::Push(digits.into()));
            }
            Token::Sign("(") => {
                self.advance()?;
                self.expression(0)?;
                self.expect(")")?;
            }
            Token::Sign(word @ ("sqrt" | "length")) => {
                self.advance()?;
                self.expect("(")?;
                self.expression(0)?;
                self.expect(")")?;
                self.code.push(if word == "sqrt" { Op::Sqrt } else { Op::Length });
            }
            Token::Sign(word @ ("read" | "random")) => {
                self.extension(&format!("{word} function"));
                self.advance()?;
                self.expect("(")?;
                self.expect(")")?;
                self.code.push(if word == "read" { Op::Read } else { Op::Random });
            }
            Token::Sign(sign @ ("++" | "--")) => {
                self.advance()?;
                match self.place()? {
                    Some(place) => self.code.push(Op::Step(place, if sign == "++" { 1 } else { -1 }, false)),
                    None => return Err(self.syntax()),
                }
            }
            _ => {
                if let Some(place) = self.place()? {
                    return self.rest_of_operand(place);
                }
            }
        }
        Ok(false)
    }

    /// A place that can be assigned to, if the words are one. Its subscript gets onto the stack.
    fn place(&mut self) -> Parsed<Option<Place>> {
        let place = match self.token.clone() {
            Token::Sign("scale") => {
                self.advance()?;
                if self.is("(") {
                    self.advance()?;
                    self.expression(0)?;
                    self.expect(")")?;
                    self.code.push(Op::ScaleOf);
                    return Ok(None);
                }
                return Ok(Some(Place::Scale));
            }
            Token::Sign("ibase") => Place::Ibase,
            Token::Sign("obase") => Place::Obase,
            Token::Sign("last") => {
                self.extension("last variable");
                Place::Last
            }
            Token::Name(_) => {
                let name = self.name()?;
                let id = self.names.id(&name);
                if self.is("(") {
                    self.call(id)?;
                    return Ok(None);
                }
                if !self.is("[") {
                    return Ok(Some(Place::Variable(id)));
                }
                self.advance()?;
                self.expression(0)?;
                self.expect("]")?;
                return Ok(Some(Place::Element(id)));
            }
            _ => return Err(self.syntax()),
        };
        self.advance()?;
        Ok(Some(place))
    }

    fn call(&mut self, id: usize) -> Parsed<()> {
        self.advance()?;
        let mut arguments = Vec::new();
        while !self.is(")") {
            if !arguments.is_empty() {
                self.expect(",")?;
            }
            // `name[]` is a whole array: that shows only behind the bracket.
            if let Token::Name(name) = self.token.clone() {
                self.advance()?;
                if self.is("[") {
                    self.advance()?;
                    if self.is("]") {
                        self.advance()?;
                        let id = self.names.id(&name);
                        self.code.push(Op::ArrayArgument(id));
                        arguments.push(true);
                        continue;
                    }
                    self.expression(0)?;
                    self.expect("]")?;
                    let id = self.names.id(&name);
                    self.rest_of_operand(Place::Element(id))?;
                } else if self.is("(") {
                    let id = self.names.id(&name);
                    self.call(id)?;
                } else {
                    let id = self.names.id(&name);
                    self.rest_of_operand(Place::Variable(id))?;
                }
                self.operators(0)?;
            } else {
                self.expression(0)?;
            }
            arguments.push(false);
        }
        self.advance()?;
        self.code.push(Op::Call(id, arguments));
        Ok(())
    }

    /// What may follow a place: it is changed, or its value is taken.
    fn rest_of_operand(&mut self, place: Place) -> Parsed<bool> {
        if let Token::Sign(sign) = self.token {
            match sign {
                "++" | "--" => {
                    self.advance()?;
                    self.code.push(Op::Step(place, if sign == "++" { 1 } else { -1 }, true));
                    return Ok(false);
                }
                "=" => {
                    self.advance()?;
                    self.expression(5)?;
                    self.code.push(Op::Store(place));
                    return Ok(true);
                }
                "+=" | "-=" | "*=" | "/=" | "%=" | "^=" => {
                    self.advance()?;
                    let operator = ["+", "-", "*", "/", "%", "^"].into_iter().find(|o| sign.starts_with(o));
                    if let Place::Element(_) = place {
                        // The subscript is still needed for the storing.
                        self.code.push(Op::Double);
                    }
                    self.code.push(Op::Load(place));
                    self.expression(5)?;
                    self.code.push(Op::Binary(operator.unwrap_or("+")));
                    self.code.push(Op::Store(place));
                    return Ok(true);
                }
                _ => {}
            }
        }
        self.code.push(Op::Load(place));
        Ok(false)
    }
}
