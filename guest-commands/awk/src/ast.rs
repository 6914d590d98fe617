//! The tree of a program, names already resolved to places.

use crate::builtins::Builtin;
use crate::regex::Regex;
use crate::value::Str;
use std::rc::Rc;

/// A variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Var {
    /// A global one, by slot.
    Global(u32),
    /// A parameter of the function, by position.
    Local(u32),
    /// A predefined one that acts when it is read or set, by slot.
    Special(u32),
}

/// A binary arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arith {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Less,
    LessEqual,
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
}

/// Where getline reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The main input.
    Main,
    /// A file.
    File,
    /// The output of a command.
    Command,
    /// A coprocess.
    Coprocess,
}

/// Where print writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// Standard output.
    None,
    /// A file, emptied first.
    File,
    /// A file, at its end.
    Append,
    /// A command.
    Pipe,
    /// A coprocess.
    Coprocess,
}

/// An expression.
#[derive(Debug)]
pub(crate) enum Expr {
    Num(f64),
    Str(Str),
    /// A regular expression, matched against `$0` where a value is wanted.
    Regex(Rc<Regex>),
    /// `@/re/`.
    TypedRegex(Rc<Regex>),
    Var(Var),
    Field(Box<Expr>),
    /// An element: the array (a variable or an element), the subscripts.
    Index(Box<Expr>, Vec<Expr>),
    Group(Box<Expr>),
    /// `(a, b)`, which only `in` and print can use.
    List(Vec<Expr>),
    Not(Box<Expr>),
    Neg(Box<Expr>),
    Plus(Box<Expr>),
    /// Operators of one precedence, from left to right.
    Chain(Box<Expr>, Vec<(Arith, Expr)>),
    Concat(Vec<Expr>),
    Compare(Compare, Box<Expr>, Box<Expr>),
    /// `~`, or `!~`.
    Match(bool, Box<Expr>, Box<Expr>),
    In(Vec<Expr>, Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Cond(Box<Expr>, Box<Expr>, Box<Expr>),
    Assign(Box<Expr>, Option<Arith>, Box<Expr>),
    /// `++` and `--`: the place, whether the new value is the result, what is added.
    Step(Box<Expr>, bool, f64),
    Call(u32, Vec<Expr>),
    /// A call by name at run time: `@name(…)`.
    Indirect(Var, Vec<Expr>),
    Builtin(Builtin, Vec<Expr>),
    Getline(Source, Option<Box<Expr>>, Option<Box<Expr>>),
}

/// A statement and the line it begins in.
#[derive(Debug)]
pub(crate) struct Stmt {
    pub(crate) line: Line,
    pub(crate) kind: StmtKind,
}

/// A line of a source.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    /// Which source.
    pub(crate) source: u16,
    /// Its line, from 1.
    pub(crate) line: u32,
}

/// What a statement does.
#[derive(Debug)]
pub(crate) enum StmtKind {
    Expr(Expr),
    /// print or printf (`true`), its values, where to.
    Print(bool, Vec<Expr>, Redirect, Option<Expr>),
    Block(Vec<Stmt>),
    If(Vec<(Expr, Vec<Stmt>)>, Vec<Stmt>),
    While(Expr, Vec<Stmt>),
    Do(Vec<Stmt>, Expr),
    For(Option<Box<Stmt>>, Option<Expr>, Option<Box<Stmt>>, Vec<Stmt>),
    ForIn(Expr, Expr, Vec<Stmt>),
    /// The value, and the cases in order; none is the default.
    Switch(Expr, Vec<(Option<Expr>, Vec<Stmt>)>),
    Break,
    Continue,
    Next,
    NextFile,
    Exit(Option<Expr>),
    Return(Option<Expr>),
    Delete(Expr),
}

/// When a rule runs.
#[derive(Debug)]
pub(crate) enum Pattern {
    Begin,
    End,
    BeginFile,
    EndFile,
    Always,
    When(Expr),
    Range(Expr, Expr),
}

/// A rule; without a body it prints the record.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) line: Line,
    pub(crate) pattern: Pattern,
    pub(crate) body: Option<Vec<Stmt>>,
}

/// A function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) params: usize,
    /// Parameters used as arrays.
    pub(crate) arrays: Vec<bool>,
    /// None until it is defined.
    pub(crate) body: Option<Vec<Stmt>>,
    pub(crate) line: Line,
}

/// A program.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) rules: Vec<Rule>,
    pub(crate) functions: Vec<Function>,
    /// Names of globals, by slot.
    pub(crate) globals: Vec<String>,
    /// What the sources are called in messages.
    pub(crate) sources: Vec<String>,
}
