//! Instructions of the stack machine that runs programs, and a compiled program.

use crate::ast::{Arith, Compare, Line, Redirect, Source, Var};
use crate::builtins::Builtin;
use crate::regex::Regex;
use crate::value::Value;
use std::collections::HashMap;
use std::rc::Rc;

/// Something to assign to. A field has its number on the stack, an element its array and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Var(Var),
    Field,
    Elem,
}

/// An instruction. Values come from the stack, in the order in which they were pushed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Const(u32),
    Load(Var),
    /// Loads what may be an array.
    LoadRaw(Var),
    /// The array of a variable, made if it has no value.
    Array(Var),
    /// The array that is an element.
    SubArray,
    /// One key of so many subscripts.
    Join(u32),
    Elem,
    /// An element that may be an array.
    ElemRaw,
    Field,
    FieldAt(u32),
    /// The number of a field.
    FieldNum(u32),
    /// The value below becomes that of the place; `true`: and stays.
    Assign(Place, bool),
    Update(Place, Arith, bool),
    /// Adds -1 or 1; the result is the new value if `pre`.
    Step {
        place: Place,
        pre: bool,
        by: i8,
        want: bool,
    },
    Append(Var, bool),
    Arith(Arith),
    Neg,
    ToNum,
    Not,
    Compare(Compare),
    Concat(u32),
    /// Whether the record matches.
    MatchRecord(u32),
    /// Whether a value matches a constant expression; `true`: does not.
    MatchConst(u32, bool),
    /// Whether a value matches another.
    Match(bool),
    In,
    Jump(u32),
    JumpTrue(u32),
    JumpFalse(u32),
    /// Jumps if the comparison's outcome is this.
    JumpCompare(Compare, bool, u32),
    Pop,
    Iterate,
    /// The next key, or the jump at the end.
    NextKey(u32),
    EndIterate,
    InRange(u32),
    SetRange(u32, bool),
    /// For switch: whether the value below equals or matches, that value staying.
    Case,
    Call(u32, u32),
    Indirect(u32),
    Return,
    Builtin(Builtin, u32),
    /// sub and gsub: expression, text, then the place.
    Substitute(Place, bool),
    /// The same for what is no place.
    SubstituteValue(bool),
    Print(u32, Redirect),
    PrintRecord,
    PrintField(u32),
    Printf(u32, Redirect),
    Getline(Source),
    GetlineTo(Source, Place),
    Delete,
    DeleteAll,
    Next,
    NextFile,
    /// With a status on the stack if `true`.
    Exit(bool),
    Halt,
}

/// A function to call.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) at: u32,
    pub(crate) params: usize,
}

/// A program to run.
#[derive(Debug, Default)]
pub(crate) struct Code {
    pub(crate) ops: Vec<Op>,
    /// The line of each instruction.
    pub(crate) lines: Vec<Line>,
    pub(crate) consts: Vec<Value>,
    pub(crate) regexes: Vec<Rc<Regex>>,
    pub(crate) functions: Vec<Entry>,
    pub(crate) by_name: HashMap<String, u32>,
    pub(crate) globals: Vec<String>,
    pub(crate) sources: Vec<String>,
    pub(crate) ranges: usize,
    pub(crate) begin: Option<u32>,
    pub(crate) main: Option<u32>,
    pub(crate) end: Option<u32>,
    pub(crate) begin_file: Option<u32>,
    pub(crate) end_file: Option<u32>,
}
