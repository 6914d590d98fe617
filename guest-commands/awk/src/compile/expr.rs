//! Expressions to instructions.

use super::Compiler;
use crate::ast::{Arith, Expr, Source, Var};
use crate::builtins::Builtin;
use crate::op::{Op, Place};
use crate::regex::Regex;
use crate::value::Value;
use std::rc::Rc;

impl Compiler {
    pub(super) fn constant(&mut self, value: Value) {
        let consts = &mut self.code.consts;
        consts.push(value);
        let index = consts.len() as u32 - 1;
        self.emit(Op::Const(index));
    }

    pub(super) fn constant_uninit(&mut self) {
        self.constant(Value::Uninit);
    }

    fn regex_index(&mut self, regex: &Rc<Regex>) -> u32 {
        self.code.regexes.push(regex.clone());
        self.code.regexes.len() as u32 - 1
    }

    /// Pushes an expression's value.
    pub(super) fn value(&mut self, expr: &Expr) {
        match expr {
            Expr::Num(n) => self.constant(Value::Num(*n)),
            Expr::Str(text) => self.constant(Value::Str(text.clone())),
            Expr::Regex(regex) => {
                let index = self.regex_index(regex);
                self.emit(Op::MatchRecord(index));
            }
            Expr::TypedRegex(regex) => self.constant(Value::Regex(regex.clone())),
            Expr::Var(var) => {
                self.emit(Op::Load(*var));
            }
            Expr::Field(index) => match **index {
                Expr::Num(n) if (0.0..1e6).contains(&n) => {
                    self.emit(Op::FieldAt(n as u32));
                }
                _ => {
                    self.value(index);
                    self.emit(Op::Field);
                }
            },
            Expr::Index(base, keys) => {
                self.array(base);
                self.key(keys);
                self.emit(Op::Elem);
            }
            Expr::Group(inside) => self.value(inside),
            // The parser lets lists through only before `in`, which takes them apart.
            Expr::List(list) => self.key(list),
            Expr::Not(operand) => {
                self.value(operand);
                self.emit(Op::Not);
            }
            Expr::Neg(operand) => {
                if let Expr::Num(n) = **operand {
                    return self.constant(Value::Num(-n));
                }
                self.number(operand);
                self.emit(Op::Neg);
            }
            Expr::Plus(operand) => {
                self.number(operand);
                self.emit(Op::ToNum);
            }
            Expr::Chain(first, rest) => {
                self.number(first);
                for (op, operand) in rest {
                    self.number(operand);
                    self.emit(Op::Arith(*op));
                }
            }
            Expr::Concat(parts) => {
                for part in parts {
                    self.value(part);
                }
                self.emit(Op::Concat(parts.len() as u32));
            }
            Expr::Compare(compare, left, right) => {
                self.value(left);
                self.value(right);
                self.emit(Op::Compare(*compare));
            }
            Expr::Match(negated, left, right) => {
                self.value(left);
                match &**right {
                    Expr::Regex(regex) => {
                        let index = self.regex_index(regex);
                        self.emit(Op::MatchConst(index, *negated));
                    }
                    right => {
                        self.value(right);
                        self.emit(Op::Match(*negated));
                    }
                }
            }
            Expr::In(keys, array) => {
                self.key(keys);
                self.array(array);
                self.emit(Op::In);
            }
            Expr::And(_) | Expr::Or(_) => {
                let no = self.jump_if(expr, false);
                self.constant(Value::Num(1.0));
                let end = self.emit(Op::Jump(0));
                self.lead_here(&no);
                self.constant(Value::Num(0.0));
                self.lead_here(&[end]);
            }
            Expr::Cond(condition, yes, no) => {
                let otherwise = self.jump_if(condition, false);
                self.value(yes);
                let end = self.emit(Op::Jump(0));
                self.lead_here(&otherwise);
                self.value(no);
                self.lead_here(&[end]);
            }
            Expr::Assign(place, op, value) => self.assign(place, *op, value, true),
            Expr::Step(place, pre, by) => self.step(place, *pre, *by, true),
            Expr::Call(function, args) => self.call(*function, args),
            Expr::Indirect(name, args) => {
                self.emit(Op::Load(*name));
                for arg in args {
                    self.raw(arg);
                }
                self.emit(Op::Indirect(args.len() as u32));
            }
            Expr::Builtin(builtin, args) => self.builtin(*builtin, args),
            Expr::Getline(source, from, place) => {
                if let Some(from) = from {
                    self.value(from);
                }
                match place {
                    Some(place) => {
                        let place = self.place(place);
                        self.emit(Op::GetlineTo(*source, place));
                    }
                    None => {
                        self.emit(Op::Getline(*source));
                    }
                }
                debug_assert!(from.is_some() || *source == Source::Main);
            }
        }
    }

    /// Pushes a value that is only used as a number.
    fn number(&mut self, expr: &Expr) {
        if let Expr::Field(index) = expr
            && let Expr::Num(n) = **index
            && (1.0..1e6).contains(&n)
        {
            self.emit(Op::FieldNum(n as u32));
            return;
        }
        self.value(expr);
    }

    /// Evaluates for the effect alone.
    pub(super) fn discard(&mut self, expr: &Expr) {
        match expr {
            Expr::Assign(place, op, value) => self.assign(place, *op, value, false),
            Expr::Step(place, pre, by) => self.step(place, *pre, *by, false),
            Expr::Group(inside) => self.discard(inside),
            _ => {
                self.value(expr);
                self.emit(Op::Pop);
            }
        }
    }

    /// Jumps when the expression's truth is `sense`; returns the jumps to be completed.
    pub(super) fn jump_if(&mut self, expr: &Expr, sense: bool) -> Vec<u32> {
        match expr {
            Expr::Group(inside) => self.jump_if(inside, sense),
            Expr::Not(inside) => self.jump_if(inside, !sense),
            Expr::And(parts) | Expr::Or(parts) => {
                // The outcome of a part that settles the whole.
                let settles = matches!(expr, Expr::Or(_));
                let mut jumps = Vec::new();
                if sense == settles {
                    for part in parts {
                        jumps.extend(self.jump_if(part, sense));
                    }
                    return jumps;
                }
                let mut past = Vec::new();
                for (at, part) in parts.iter().enumerate() {
                    if at + 1 < parts.len() {
                        past.extend(self.jump_if(part, settles));
                    } else {
                        jumps = self.jump_if(part, sense);
                    }
                }
                self.lead_here(&past);
                jumps
            }
            Expr::Compare(compare, left, right) => {
                self.value(left);
                self.value(right);
                vec![self.emit(Op::JumpCompare(*compare, sense, 0))]
            }
            _ => {
                self.value(expr);
                vec![self.emit(if sense { Op::JumpTrue(0) } else { Op::JumpFalse(0) })]
            }
        }
    }

    /// Pushes an array.
    pub(super) fn array(&mut self, expr: &Expr) {
        match expr {
            Expr::Var(var) => {
                self.emit(Op::Array(*var));
            }
            Expr::Index(base, keys) => {
                self.array(base);
                self.key(keys);
                self.emit(Op::SubArray);
            }
            // What the parser takes for an array is one of the two.
            other => self.value(other),
        }
    }

    /// Pushes one key.
    pub(super) fn key(&mut self, keys: &[Expr]) {
        for key in keys {
            self.value(key);
        }
        if keys.len() > 1 {
            self.emit(Op::Join(keys.len() as u32));
        }
    }

    /// Pushes what a place needs on the stack.
    fn place(&mut self, place: &Expr) -> Place {
        match place {
            Expr::Var(var) => Place::Var(*var),
            Expr::Field(index) => {
                self.value(index);
                Place::Field
            }
            Expr::Index(base, keys) => {
                self.array(base);
                self.key(keys);
                Place::Elem
            }
            Expr::Group(inside) => self.place(inside),
            // Whoever asks has checked that it is one.
            _ => Place::Field,
        }
    }

    fn assign(&mut self, place: &Expr, op: Option<Arith>, value: &Expr, want: bool) {
        if let (Expr::Var(var @ (Var::Global(_) | Var::Local(_))), None, Expr::Concat(parts)) =
            (place, op, value)
        {
            // `s = s t` grows in place.
            if let [Expr::Var(first), rest @ ..] = &parts[..]
                && first == var
                && rest.iter().all(is_plain)
            {
                for part in rest {
                    self.value(part);
                }
                if rest.len() > 1 {
                    self.emit(Op::Concat(rest.len() as u32));
                }
                self.emit(Op::Append(*var, want));
                return;
            }
        }
        match op {
            Some(op) => {
                self.number(value);
                let place = self.place(place);
                self.emit(Op::Update(place, op, want));
            }
            None => {
                self.value(value);
                let place = self.place(place);
                self.emit(Op::Assign(place, want));
            }
        }
    }

    fn step(&mut self, place: &Expr, pre: bool, by: f64, want: bool) {
        let place = self.place(place);
        self.emit(Op::Step { place, pre, by: if by < 0.0 { -1 } else { 1 }, want });
    }

    /// Pushes what may be an array.
    fn raw(&mut self, arg: &Expr) {
        match arg {
            Expr::Var(var) => {
                self.emit(Op::LoadRaw(*var));
            }
            Expr::Index(base, keys) => {
                self.array(base);
                self.key(keys);
                self.emit(Op::ElemRaw);
            }
            Expr::Group(inside) => self.raw(inside),
            other => self.value(other),
        }
    }

    fn call(&mut self, function: u32, args: &[Expr]) {
        for (position, arg) in args.iter().enumerate() {
            let array = self.params[function as usize].get(position).copied().unwrap_or(false);
            match arg {
                Expr::Var(_) | Expr::Index(..) if array => self.array(arg),
                other => self.raw(other),
            }
        }
        self.emit(Op::Call(function, args.len() as u32));
    }

    /// Pushes a value, a regular expression staying one.
    pub(super) fn operand(&mut self, expr: &Expr) {
        match expr {
            Expr::Regex(regex) => self.constant(Value::Regex(regex.clone())),
            other => self.value(other),
        }
    }

    fn builtin(&mut self, builtin: Builtin, args: &[Expr]) {
        if matches!(builtin, Builtin::Sub | Builtin::Gsub) {
            let all = builtin == Builtin::Gsub;
            self.operand(&args[0]);
            self.value(&args[1]);
            let mut target = args.get(2);
            while let Some(Expr::Group(inside)) = target {
                target = Some(inside);
            }
            match target {
                None => {
                    self.constant(Value::Num(0.0));
                    self.emit(Op::Substitute(Place::Field, all));
                }
                Some(place @ (Expr::Var(_) | Expr::Field(_) | Expr::Index(..))) => {
                    let place = self.place(place);
                    self.emit(Op::Substitute(place, all));
                }
                Some(other) => {
                    self.value(other);
                    self.emit(Op::SubstituteValue(all));
                }
            }
            return;
        }
        for (at, arg) in args.iter().enumerate() {
            if builtin.arrays().contains(&at) {
                self.array(arg);
            } else if matches!(builtin, Builtin::Length | Builtin::Isarray | Builtin::Typeof) {
                self.raw(arg);
            } else {
                self.operand_of(builtin, at, arg);
            }
        }
        self.emit(Op::Builtin(builtin, args.len() as u32));
    }

    fn operand_of(&mut self, builtin: Builtin, at: usize, arg: &Expr) {
        if builtin.regex() == Some(at) { self.operand(arg) } else { self.value(arg) }
    }
}

/// Whether evaluating it changes nothing.
fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::Num(_) | Expr::Str(_) | Expr::Var(_) => true,
        Expr::Field(index) => is_plain(index),
        Expr::Group(inside) => is_plain(inside),
        Expr::Index(_, keys) => keys.iter().all(is_plain),
        Expr::Concat(parts) => parts.iter().all(is_plain),
        _ => false,
    }
}
