//! Arithmetic: parsed once where its text allows, evaluated in wrapping 64-bit integers. It prints no messages.

pub(crate) mod eval;
mod parse;

use crate::compile::word::{self, Mode};
use crate::ir::{Index, Name, Word};
use crate::source::SyntaxError;
use crate::symbols::Sym;
use std::cell::OnceCell;
use std::rc::Rc;

pub(crate) use parse::parse;

/// Bytes of the stack that may be in use when an expression goes deeper; a guest has 1 MiB.
const MAX_STACK: usize = if cfg!(target_family = "wasm") { 640 << 10 } else { 4 << 20 };

/// An arithmetic expression of the script.
#[derive(Debug)]
pub(crate) struct Arith {
    pub(crate) text: Rc<str>,
    line: u32,
    /// The expression, if its text is one before expansion.
    fast: Option<Expr>,
    /// The `$` parameters of `fast`: it holds while their values are plain integers.
    dollars: Vec<Name>,
    word: OnceCell<Word>,
}

impl Arith {
    /// Prepares an expression. Text that is no expression is reported when it is evaluated, as bash does.
    pub(crate) fn new(text: &str, line: u32) -> Result<Self, SyntaxError> {
        let mut dollars = Vec::new();
        let fast = parse::parse_with(text, &mut dollars).ok();
        Ok(Arith { text: Rc::from(text), line, fast, dollars, word: OnceCell::new() })
    }

    /// The text as a word to expand.
    pub(crate) fn word(&self) -> Result<&Word, SyntaxError> {
        if let Some(word) = self.word.get() {
            return Ok(word);
        }
        let word = word::parse(&self.text, self.line, Mode::Double)?;
        Ok(self.word.get_or_init(|| word))
    }
}

/// An operator with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinOp {
    Mul,
    Div,
    Rem,
    Add,
    Sub,
    Shl,
    Shr,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    BitAnd,
    BitXor,
    BitOr,
    Pow,
}

/// What can be assigned to.
#[derive(Debug)]
pub(crate) enum Target {
    Var(Sym),
    Element(Sym, Box<Index>),
}

/// An expression.
#[derive(Debug)]
pub(crate) enum Expr {
    Num(i64),
    Read(Target),
    Dollar(Name),
    Neg(Box<Expr>),
    Not(Box<Expr>),
    BitNot(Box<Expr>),
    /// The text is what an error of the operator names.
    Binary(BinOp, Box<Expr>, Box<Expr>, Box<str>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Ternary(Box<Expr>, Box<Expr>, Box<Expr>),
    Assign(Target, Box<Expr>),
    Update(BinOp, Target, Box<Expr>, Box<str>),
    Step {
        target: Target,
        delta: i64,
        after: bool,
    },
    Comma(Box<Expr>, Box<Expr>),
}
