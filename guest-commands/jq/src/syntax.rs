//! The tree that a program is parsed into. Names are still names here.

use crate::ops::Op;
use crate::value::Value;

/// An expression. Numbers beside names are where they stand in the program, for messages.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Identity,
    Literal(Value),
    /// `@name` alone.
    Format(String, usize),
    /// A string with interpolations, through a format.
    Text(Option<(String, usize)>, Vec<Part>),
    Var(String, usize),
    Call(String, Vec<Expr>, usize),
    Index(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, Option<Box<Expr>>, Option<Box<Expr>>),
    Each(Box<Expr>),
    Try(Box<Expr>, Option<Box<Expr>>),
    Neg(Box<Expr>),
    Pipe(Box<Expr>, Box<Expr>),
    Comma(Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Alternative(Box<Expr>, Box<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
    Assign(Assignment, Box<Expr>, Box<Expr>),
    /// `source as pattern ?// pattern | body`
    As(Box<Expr>, Vec<Pattern>, Box<Expr>),
    Reduce(Box<Expr>, Vec<Pattern>, Box<Expr>, Box<Expr>),
    Foreach(Box<Expr>, Vec<Pattern>, Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    Label(String, Box<Expr>),
    Break(String, usize),
    Def(Box<Def>, Box<Expr>),
    Array(Option<Box<Expr>>),
    Object(Vec<(Expr, Expr)>),
}

/// Kinds of assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assignment {
    Set,
    Update,
    Op(Op),
    Alternative,
}

/// A part of a string.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Text(String),
    Value(Expr),
}

/// What values are taken apart by.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Var(String),
    Array(Vec<Pattern>),
    /// A variable that the member goes into, the key, and a pattern for the member.
    Object(Vec<(Option<String>, Expr, Option<Pattern>)>),
}

/// A function definition. A parameter that begins with `$` is a variable too.
#[derive(Clone, Debug)]
pub(crate) struct Def {
    pub(crate) name: String,
    pub(crate) params: Vec<String>,
    pub(crate) body: Expr,
}

/// `import` and `include`.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) path: String,
    /// The name it goes by; none for `include`. Data begins with `$`.
    pub(crate) name: Option<String>,
    /// The directory that its metadata has it searched in.
    pub(crate) search: Option<String>,
}

/// A whole program or module.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) imports: Vec<Import>,
    /// Definitions of a module; those of a program are part of its body.
    pub(crate) defs: Vec<Def>,
    pub(crate) body: Expr,
}

/// What is wrong with a program, and where.
#[derive(Clone, Debug)]
pub(crate) struct Wrong {
    pub(crate) message: String,
    pub(crate) at: usize,
}
