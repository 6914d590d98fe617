//! Evaluates arithmetic against the variables of a shell.

use super::parse::integer;
use super::{Arith, BinOp, Expr, Target, parse};
use crate::ir::{Index, Name};
use crate::shell::{Flow, Shell};
use crate::symbols::Sym;
use std::rc::Rc;

/// Why there is no value.
#[derive(Debug)]
pub(crate) enum ArithError {
    /// The expression is wrong; the message.
    Message(String),
    /// An expansion within it ended the command.
    Flow(Flow),
}

impl From<Flow> for ArithError {
    fn from(flow: Flow) -> Self {
        ArithError::Flow(flow)
    }
}

impl From<String> for ArithError {
    fn from(message: String) -> Self {
        ArithError::Message(message)
    }
}

type Result<T> = std::result::Result<T, ArithError>;

/// How far values of variables are evaluated as expressions themselves.
const MAX_DEPTH: u32 = 128;
/// Parsed expressions that are kept.
const CACHE: usize = 256;

impl Shell {
    /// The value of an expression; a wrong one is reported and ends the command.
    pub(crate) fn arith(&mut self, arith: &Arith) -> std::result::Result<i64, Flow> {
        match self.try_arith(arith) {
            Ok(n) => Ok(n),
            Err(ArithError::Flow(flow)) => Err(flow),
            Err(ArithError::Message(message)) => {
                self.error(&message);
                Err(self.fatal())
            }
        }
    }

    /// The value of an expression.
    pub(crate) fn try_arith(&mut self, arith: &Arith) -> Result<i64> {
        if let Some(expr) = &arith.fast
            && arith.dollars.iter().all(|name| self.dollar(*name).is_some())
        {
            return self.value_of(expr, 0).map_err(|e| annotate(e, &arith.text));
        }
        let word = match arith.word() {
            Ok(word) => word,
            Err(error) => return Err(ArithError::Message(crate::shell::syntax_message(&error))),
        };
        let text = self.expand_string(word)?;
        self.eval_text(&text, 0)
    }

    /// The value of text that is already expanded.
    pub(crate) fn eval_text(&mut self, text: &str, depth: u32) -> Result<i64> {
        if let Some(n) = plain_integer(text) {
            return Ok(n);
        }
        if depth > MAX_DEPTH || crate::stack::used() > super::MAX_STACK {
            return Err(ArithError::Message(format!(
                "{text}: expression recursion level exceeded (error token is \"{text}\")"
            )));
        }
        let expr = match self.arith_cache.get(text) {
            Some(expr) => expr.clone(),
            None => {
                let expr = Rc::new(parse(text).map_err(|e| with_text(text, e))?);
                if self.arith_cache.len() >= CACHE {
                    self.arith_cache.clear();
                }
                self.arith_cache.insert(text.to_owned(), expr.clone());
                expr
            }
        };
        self.value_of(&expr, depth).map_err(|e| annotate(e, text))
    }

    /// The integer that a `$` parameter holds; `None` if it is anything but a plain one.
    fn dollar(&self, name: Name) -> Option<i64> {
        match name {
            Name::Var(sym) => self.vars.integer(sym),
            Name::Positional(n) => plain_integer(self.args.get(n - 1)?).filter(|n| *n >= 0),
            Name::Count => Some(self.args.len() as i64),
            Name::Status => Some(i64::from(self.status)),
            Name::Pid => Some(i64::from(self.pid)),
            _ => None,
        }
    }

    fn value_of(&mut self, expr: &Expr, depth: u32) -> Result<i64> {
        Ok(match expr {
            Expr::Num(n) => *n,
            Expr::Read(target) => self.read_target(target, depth)?,
            Expr::Dollar(name) => self.dollar(*name).unwrap_or(0),
            Expr::Neg(e) => self.value_of(e, depth)?.wrapping_neg(),
            Expr::Not(e) => i64::from(self.value_of(e, depth)? == 0),
            Expr::BitNot(e) => !self.value_of(e, depth)?,
            Expr::Binary(_, left, ..) if matches!(**left, Expr::Binary(..)) => self.chain(expr, depth)?,
            Expr::Binary(op, a, b, token) => {
                let a = self.value_of(a, depth)?;
                let b = self.value_of(b, depth)?;
                binary(*op, a, b, token)?
            }
            Expr::And(a, b) => i64::from(self.value_of(a, depth)? != 0 && self.value_of(b, depth)? != 0),
            Expr::Or(a, b) => i64::from(self.value_of(a, depth)? != 0 || self.value_of(b, depth)? != 0),
            Expr::Ternary(c, a, b) => {
                if self.value_of(c, depth)? != 0 {
                    self.value_of(a, depth)?
                } else {
                    self.value_of(b, depth)?
                }
            }
            Expr::Assign(target, value) => {
                let value = self.value_of(value, depth)?;
                self.write_target(target, value)?;
                value
            }
            Expr::Update(op, target, value, token) => {
                let old = self.read_target(target, depth)?;
                let value = self.value_of(value, depth)?;
                let new = binary(*op, old, value, token)?;
                self.write_target(target, new)?;
                new
            }
            Expr::Step { target, delta, after } => {
                let old = self.read_target(target, depth)?;
                let new = old.wrapping_add(*delta);
                self.write_target(target, new)?;
                if *after { old } else { new }
            }
            Expr::Comma(a, b) => {
                self.value_of(a, depth)?;
                self.value_of(b, depth)?
            }
        })
    }

    /// A sum of thousands leans to the left as deep: it is walked down to its first term and up again.
    #[inline(never)]
    fn chain(&mut self, expr: &Expr, depth: u32) -> Result<i64> {
        let mut terms = Vec::new();
        let mut first = expr;
        while let Expr::Binary(op, left, right, token) = first {
            terms.push((*op, right, token));
            first = left;
        }
        let mut value = self.value_of(first, depth)?;
        for (op, right, token) in terms.into_iter().rev() {
            let right = self.value_of(right, depth)?;
            value = binary(op, value, right, token)?;
        }
        Ok(value)
    }

    fn read_target(&mut self, target: &Target, depth: u32) -> Result<i64> {
        let text = match target {
            Target::Var(sym) => {
                if let Some(n) = self.vars.integer(*sym) {
                    return Ok(n);
                }
                self.get(*sym).map(std::borrow::Cow::into_owned).or_else(|| self.unset_in_arith(*sym))
            }
            Target::Element(sym, index) => match self.element_key(*sym, index) {
                Ok(key) => self.get_element(*sym, &key),
                // There is no such element, which counts as unset.
                Err(ArithError::Message(message)) if message.ends_with("bad array subscript") => {
                    self.error(&message);
                    return Ok(0);
                }
                Err(error) => return Err(error),
            },
        };
        match text {
            None if self.opts.nounset => {
                let (Target::Var(sym) | Target::Element(sym, _)) = target;
                self.error(&format!("{}: unbound variable", sym.name()));
                self.status = self.status_at_exit();
                Err(ArithError::Flow(Flow::Exit))
            }
            None => Ok(0),
            Some(text) if text.is_empty() => Ok(0),
            Some(text) => self.eval_text(&text, depth + 1),
        }
    }

    /// The first element of an array stands for the array.
    fn unset_in_arith(&self, sym: Sym) -> Option<String> {
        self.get_element(sym, &crate::vars::Key::Number(0))
    }

    fn write_target(&mut self, target: &Target, value: i64) -> Result<()> {
        match target {
            Target::Var(sym) => self.set_integer(*sym, value)?,
            Target::Element(sym, index) => {
                let key = self.element_key(*sym, index)?;
                self.set_element(*sym, key, value.to_string(), false)?;
            }
        }
        Ok(())
    }

    /// The key that a subscript means for this variable.
    pub(crate) fn element_key(&mut self, sym: Sym, index: &Index) -> Result<crate::vars::Key> {
        if self.vars.is_assoc(sym) {
            if self.verbatim {
                return Ok(crate::vars::Key::Text(index.word.raw.to_string()));
            }
            return Ok(crate::vars::Key::Text(self.expand_string(&index.word)?));
        }
        if index.arith.text.trim().is_empty() {
            return Err(ArithError::Message(format!(
                "{}[{}]: bad array subscript",
                sym.name(),
                index.arith.text
            )));
        }
        let mut n = self.try_arith(&index.arith)?;
        if n < 0 {
            n += self.vars.array_end(sym);
            if n < 0 {
                return Err(ArithError::Message(format!("{}: bad array subscript", sym.name())));
            }
        }
        Ok(crate::vars::Key::Number(n))
    }
}

/// The message of a wrong expression; one about a number names that already.
fn with_text(text: &str, error: String) -> String {
    let text = text.trim_start();
    match error.split_once(": ") {
        Some((number, what)) if number.starts_with(|c: char| c.is_ascii_digit()) => {
            // Bash has cut the expression off after the number by then.
            let cut = text.find(number).map_or(text, |at| &text[..at + number.len()]);
            format!("{cut}: {what}")
        }
        _ => format!("{text}: {error}"),
    }
}

fn annotate(error: ArithError, text: &str) -> ArithError {
    match error {
        ArithError::Message(m) if m.starts_with("division by 0") || m.starts_with("exponent") => {
            ArithError::Message(format!("{}: {m}", text.trim_start()))
        }
        other => other,
    }
}

/// The value of text that is an integer constant and nothing else, as most values are.
pub(crate) fn plain_integer(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    match b {
        [b'1'..=b'9', rest @ ..] if rest.len() < 18 && rest.iter().all(u8::is_ascii_digit) => {
            Some(b.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
        }
        [b'0'] => Some(0),
        [b'-', rest @ ..] => {
            let rest = std::str::from_utf8(rest).ok()?;
            if rest.starts_with('-') { None } else { plain_integer(rest).map(i64::wrapping_neg) }
        }
        [b'0', ..] if b.iter().all(u8::is_ascii_alphanumeric) => integer(text),
        _ => None,
    }
}

fn binary(op: BinOp, a: i64, b: i64, token: &str) -> Result<i64> {
    Ok(match op {
        BinOp::Mul => a.wrapping_mul(b),
        BinOp::Div | BinOp::Rem if b == 0 => {
            return Err(ArithError::Message(format!("division by 0 (error token is \"{token}\")")));
        }
        BinOp::Div => a.wrapping_div(b),
        BinOp::Rem => a.wrapping_rem(b),
        BinOp::Add => a.wrapping_add(b),
        BinOp::Sub => a.wrapping_sub(b),
        BinOp::Shl => a.wrapping_shl(b as u32),
        BinOp::Shr => a.wrapping_shr(b as u32),
        BinOp::Lt => i64::from(a < b),
        BinOp::Le => i64::from(a <= b),
        BinOp::Gt => i64::from(a > b),
        BinOp::Ge => i64::from(a >= b),
        BinOp::Eq => i64::from(a == b),
        BinOp::Ne => i64::from(a != b),
        BinOp::BitAnd => a & b,
        BinOp::BitXor => a ^ b,
        BinOp::BitOr => a | b,
        BinOp::Pow if b < 0 => {
            return Err(ArithError::Message(format!("exponent less than 0 (error token is \"{token}\")")));
        }
        BinOp::Pow => {
            let (mut result, mut base, mut n) = (1i64, a, b);
            while n > 0 {
                if n & 1 == 1 {
                    result = result.wrapping_mul(base);
                }
                base = base.wrapping_mul(base);
                n >>= 1;
            }
            result
        }
    })
}
