//! What the shell executes: commands with their words already taken apart. It is built once per command and shared.

use crate::arith::Arith;
use crate::builtins::Builtin;
use crate::shell::Function;
use crate::symbols::Sym;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

/// Commands in sequence.
#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) items: Vec<Item>,
}

/// Pipelines joined by `&&` and `||`.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) first: Pipeline,
    /// True for `&&`.
    pub(crate) rest: Vec<(bool, Pipeline)>,
    pub(crate) background: bool,
}

/// Commands joined by `|`.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) negate: bool,
    pub(crate) timed: Option<Timed>,
    pub(crate) stages: Vec<Rc<Command>>,
}

/// How `time` reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timed {
    Bash,
    Posix,
}

/// One command with its redirections.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) kind: Kind,
    pub(crate) redirects: Vec<Redirect>,
    pub(crate) line: u32,
}

/// What a command is.
#[derive(Debug)]
pub(crate) enum Kind {
    Simple(Simple),
    Brace(List),
    Subshell(List),
    If { arms: Vec<(List, List)>, otherwise: Option<List> },
    While { until: bool, condition: List, body: List },
    For { var: Sym, words: Option<Vec<Word>>, body: List },
    Select { var: Sym, words: Option<Vec<Word>>, body: List },
    ForArith { init: Option<Box<Arith>>, condition: Option<Box<Arith>>, step: Option<Box<Arith>>, body: List },
    Case { word: Word, arms: Vec<Arm> },
    Arith(Arith),
    Cond(Cond),
    Function { name: Rc<str>, body: Rc<Command> },
    Coproc { name: Option<Rc<str>>, body: Rc<Command> },
}

/// An item of `case`.
#[derive(Debug)]
pub(crate) struct Arm {
    pub(crate) patterns: Vec<Word>,
    pub(crate) body: List,
    pub(crate) then: Then,
}

/// What follows an item of `case`: `;;`, `;&`, `;;&`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Leave,
    FallThrough,
    TestNext,
}

/// Assignments, a name and arguments.
#[derive(Debug, Default)]
pub(crate) struct Simple {
    pub(crate) assigns: Vec<Assign>,
    pub(crate) args: Vec<Arg>,
    /// What the first word names, once looked up, for a generation of functions.
    pub(crate) meaning: RefCell<Option<(u32, Meaning)>>,
}

/// What the name of a command means.
#[derive(Debug, Clone)]
pub(crate) enum Meaning {
    Function(Rc<Function>),
    /// A builtin whose arguments may be assignments.
    Declaration(Builtin),
    Exec,
    Builtin(Builtin),
    Program,
}

/// A word of a command; `assign` if a declaration builtin would take it as an assignment.
#[derive(Debug)]
pub(crate) struct Arg {
    pub(crate) word: Word,
    pub(crate) assign: Option<Box<Assign>>,
}

/// An assignment.
#[derive(Debug)]
pub(crate) struct Assign {
    pub(crate) name: Sym,
    pub(crate) index: Option<Index>,
    pub(crate) append: bool,
    pub(crate) value: AssignValue,
}

/// The right side of an assignment.
#[derive(Debug)]
pub(crate) enum AssignValue {
    Scalar(Word),
    Array(Vec<Element>),
}

/// An element of an array literal.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) key: Option<Index>,
    pub(crate) append: bool,
    pub(crate) word: Word,
}

/// A subscript: arithmetic for indexed arrays, a string for associative ones.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) arith: Arith,
    pub(crate) word: Word,
}

/// A word.
#[derive(Debug, Default)]
pub(crate) struct Word {
    pub(crate) parts: Vec<Part>,
    /// The word as written. Of the words that braces made the first has the text, and the others have none.
    pub(crate) raw: Rc<str>,
}

impl Word {
    /// The text of a word without expansions.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Lit(text) | Part::Quoted(text)] => Some(text),
            _ => None,
        }
    }
}

/// A part of a word.
#[derive(Debug)]
pub(crate) enum Part {
    /// Unquoted text.
    Lit(Rc<str>),
    /// Quoted text.
    Quoted(Rc<str>),
    /// `~user`; the user's name.
    Tilde(Rc<str>),
    Param(Box<Param>, bool),
    Subst(Rc<Subst>, bool),
    Arith(Box<Arith>, bool),
    /// `<( )` if true, `>( )` otherwise.
    Process(Rc<Subst>, bool),
}

/// Commands within a word.
#[derive(Debug)]
pub(crate) struct Subst {
    pub(crate) text: Rc<str>,
    pub(crate) list: OnceCell<Rc<List>>,
    /// Whether it may run in this process, for a generation of functions.
    pub(crate) in_process: Cell<Option<(u32, bool)>>,
}

/// A parameter expansion.
#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) name: Name,
    pub(crate) index: Option<Subscript>,
    pub(crate) indirect: bool,
    /// Written with braces.
    pub(crate) braced: bool,
    pub(crate) op: Op,
    /// As written, for messages.
    pub(crate) raw: Rc<str>,
}

/// A subscript within an expansion.
#[derive(Debug)]
pub(crate) enum Subscript {
    At,
    Star,
    Index(Index),
}

/// What is expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Var(Sym),
    Positional(usize),
    At,
    Star,
    Count,
    Status,
    Flags,
    Pid,
    LastBackground,
    Zero,
}

/// What is done with the value.
#[derive(Debug)]
pub(crate) enum Op {
    None,
    Length,
    /// `-`, `=`, `?`, `+`; with a colon also for empty values.
    Test {
        colon: bool,
        kind: u8,
        word: Word,
    },
    RemovePrefix {
        longest: bool,
        pattern: Word,
    },
    RemoveSuffix {
        longest: bool,
        pattern: Word,
    },
    Replace {
        all: bool,
        anchor: Anchor,
        pattern: Word,
        with: Word,
    },
    Substring {
        offset: Arith,
        length: Option<Arith>,
    },
    Case {
        upper: CaseChange,
        all: bool,
        pattern: Option<Word>,
    },
    /// `${!prefix*}`, `${!prefix@}`.
    Names {
        star: bool,
    },
    /// `${!a[@]}`.
    Keys,
    Transform(u8),
}

/// Where `${x/…}` matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Anywhere,
    Start,
    End,
}

/// What `^`, `,`, `~` do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CaseChange {
    Upper,
    Lower,
    Toggle,
}

/// A redirection.
#[derive(Debug)]
pub(crate) struct Redirect {
    pub(crate) fd: RedirectFd,
    pub(crate) kind: RedirectKind,
    pub(crate) target: Word,
    /// Whether braces make several words of the target, which is then none.
    pub(crate) several: bool,
    /// What the target of a here-document is.
    pub(crate) here: Option<Rc<Here>>,
}

impl Redirect {
    /// The target, or the text of a here-document.
    pub(crate) fn word(&self) -> &Word {
        self.here.as_ref().and_then(|here| here.body.get()).unwrap_or(&self.target)
    }
}

/// A here-document. Its text comes after the line that announces it.
#[derive(Debug)]
pub(crate) struct Here {
    /// The delimiter as written.
    pub(crate) delimiter: Rc<str>,
    /// `<<-`.
    pub(crate) strip: bool,
    pub(crate) body: OnceCell<Word>,
}

impl Here {
    /// Whether nothing is expanded in the text.
    pub(crate) fn quoted(&self) -> bool {
        self.delimiter.contains(['\\', '\'', '"'])
    }
}

/// Which descriptor is redirected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedirectFd {
    Number(u32),
    /// `{name}`.
    Named(Sym),
}

/// What a redirection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedirectKind {
    Read,
    Write,
    Append,
    ReadWrite,
    Clobber,
    /// `<&` and `>&` with a number, `-` or `n-`.
    Dup {
        output: bool,
    },
    /// `&>`, or `&>>`.
    Both {
        append: bool,
    },
    /// A here-document or here-string; a here-string gets a newline.
    Here {
        newline: bool,
    },
}

/// The inside of `[[ ]]`.
#[derive(Debug)]
pub(crate) enum Cond {
    Not(Box<Cond>),
    /// In parentheses.
    Group(Box<Cond>),
    /// Terms between `&&`: there may be thousands.
    And(Vec<Cond>),
    Or(Vec<Cond>),
    Unary(u8, Word),
    /// The operator as written; the right side of `==`, `!=`, `=~` is a pattern.
    Binary(CondOp, Word, Word),
    NonEmpty(Word),
}

/// A binary test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CondOp {
    Match,
    NoMatch,
    Regex,
    Before,
    After,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Newer,
    Older,
    SameFile,
}
