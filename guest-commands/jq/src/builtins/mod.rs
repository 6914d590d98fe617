//! The functions that are not written in jq itself (`prelude.jq`), by subject. A native function has one result.

mod formats;
mod math;
mod regex;
mod strings;
mod time;
mod values;

pub(crate) use formats::Format;

use crate::ops::{Outcome, Stop, fail};
use crate::value::{Map, Value};

/// What a program may ask of the one who runs it.
pub(crate) trait Host {
    /// The next input; none at the end.
    fn input(&mut self) -> Result<Option<Value>, Stop>;
    /// The file that the last input came from.
    fn file_name(&self) -> Value;
    /// Lines read so far.
    fn line(&self) -> usize;
    /// Writes to standard error.
    fn message(&mut self, bytes: &[u8]);
}

type Function = fn(&mut dyn Host, Value, &mut [Value]) -> Outcome;

/// A native function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Native(pub(crate) Function);

/// The functions of one subject: name, number of parameters.
type Table = &'static [(&'static str, usize, Function)];

const TABLES: [Table; 6] = [CONTROL, values::TABLE, strings::TABLE, math::TABLE, time::TABLE, regex::TABLE];

const CONTROL: Table = &[
    ("error", 0, |_, v, _| Err(Stop::Error(v))),
    ("not", 0, |_, v, _| Ok((!v.truthy()).into())),
    ("input", 0, |host, _, _| match host.input()? {
        Some(v) => Ok(v),
        None => fail("No more inputs"),
    }),
    ("debug", 0, |host, v, _| {
        host.message(format!("[\"DEBUG:\",{}]\n", crate::json::print::compact(&v)).as_bytes());
        Ok(v)
    }),
    ("stderr", 0, |host, v, _| {
        host.message(crate::json::print::compact(&v).as_bytes());
        Ok(v)
    }),
    ("input_filename", 0, |host, _, _| Ok(host.file_name())),
    ("input_line_number", 0, |host, _, _| Ok(Value::count(host.line()))),
    ("halt", 0, |_, _, _| Err(Stop::Halt(0, None))),
    ("halt_error", 1, |_, v, args| match args[0] {
        #[allow(clippy::cast_possible_truncation, reason = "a status is a small number")]
        Value::Num(n) => Err(Stop::Halt(n as i32, Some(v))),
        _ => fail("halt_error/1: number required"),
    }),
    ("builtins", 0, |_, _, _| Ok(names())),
];

/// The native function of this name.
pub(crate) fn native(name: &str, arity: usize) -> Option<Native> {
    TABLES
        .iter()
        .flat_map(|table| table.iter())
        .find(|(n, a, _)| *n == name && *a == arity)
        .map(|(.., function)| Native(*function))
}

fn names() -> Value {
    let defs = crate::parse::parse(crate::PRELUDE, true).map(|p| p.defs).unwrap_or_default();
    let written = defs.iter().map(|d| (d.name.as_str(), d.params.len()));
    let natives = TABLES.iter().flat_map(|t| t.iter()).map(|(n, a, _)| (*n, *a));
    let special = [("empty", 0), ("path", 1), ("getpath", 1), ("range", 1), ("range", 2), ("range", 3)];
    let mut all: Vec<String> = natives
        .chain(written)
        .chain(special)
        .filter(|(name, _)| !name.starts_with('_'))
        .map(|(name, arity)| format!("{name}/{arity}"))
        .collect();
    all.sort();
    all.into_iter().map(Value::from).collect()
}

/// `$ENV`.
pub(crate) fn environment() -> Value {
    let mut map = Map::default();
    for (key, value) in std::env::vars_os() {
        map.insert(key.to_string_lossy().into(), (&*value.to_string_lossy()).into());
    }
    map.into()
}
