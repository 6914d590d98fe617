//! The script of `sed` as it is executed: addresses, commands, replacements. Reading it is `parse`'s business.

use crate::regex::Regex;
use std::cell::Cell;
use std::rc::Rc;

/// A pattern of the script; an empty one stands for the last that was used.
pub(super) type Pattern = Option<Rc<Regex>>;

/// What selects a line.
pub(super) enum Address {
    Line(u64),
    /// `first~step`.
    Step(u64, u64),
    Last,
    Pattern(Pattern),
    /// `0`, before the first line.
    Zero,
}

/// Where a range ends.
pub(super) enum Until {
    Address(Address),
    /// `addr1,+N`.
    Lines(u64),
    /// `addr1,~N`.
    Multiple(u64),
}

/// How far a range has got.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    Inactive,
    /// Up to this line, or until the second address matches.
    Active(Option<u64>),
    Closed,
}

/// One command with its addresses.
pub(super) struct Command {
    pub(super) from: Option<Address>,
    pub(super) until: Option<Until>,
    pub(super) negated: bool,
    pub(super) range: Cell<Range>,
    pub(super) verb: Verb,
}

/// What a command does.
pub(super) enum Verb {
    /// `{`: where its `}` is.
    Block(usize),
    /// `}`, `:label`, `#`.
    Nothing,
    Equals,
    Append(Vec<u8>),
    Insert(Vec<u8>),
    Change(Vec<u8>),
    /// `b`, and where to.
    Branch(usize),
    BranchIf(usize),
    BranchUnless(usize),
    Delete,
    DeleteFirst,
    Execute(Vec<u8>),
    FileName,
    Get,
    GetAppend,
    Hold,
    HoldAppend,
    /// `l` with its line length.
    List(Option<usize>),
    Next,
    NextAppend,
    Print,
    PrintFirst,
    Quit(i32),
    QuitSilently(i32),
    Read(Vec<u8>),
    /// `R`, and which of the files it reads.
    ReadLine(usize),
    Substitute(Box<Substitute>),
    Write(usize),
    WriteFirst(usize),
    Exchange,
    Transliterate(Box<Transliterate>),
    Zap,
}

/// What `y` puts for which character.
pub(super) enum Transliterate {
    Bytes(Box<[u8; 256]>),
    Characters(std::collections::HashMap<char, char>),
}

/// An `s` command.
pub(super) struct Substitute {
    pub(super) pattern: Pattern,
    pub(super) replacement: Vec<Part>,
    /// The replacement uses groups.
    pub(super) grouped: bool,
    pub(super) global: bool,
    pub(super) print: bool,
    pub(super) evaluate: bool,
    /// The match that is replaced first.
    pub(super) number: u64,
    pub(super) write: Option<usize>,
}

/// How letters of a replacement are changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Lower,
    /// `\u`, `\l`: the next character only.
    UpperOne,
    LowerOne,
    /// `\E`.
    End,
}

/// A part of a replacement.
pub(super) enum Part {
    Text(Vec<u8>),
    /// `&` is 0.
    Group(usize),
    Case(Case),
}

/// A whole script.
#[derive(Default)]
pub(super) struct Script {
    pub(super) commands: Vec<Command>,
    /// Files that are written to, each once.
    pub(super) writes: Vec<Vec<u8>>,
    /// Files that `R` reads, each once.
    pub(super) reads: Vec<Vec<u8>>,
    /// The script begins with `#n`.
    pub(super) quiet: bool,
}
