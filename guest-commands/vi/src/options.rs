//! The options of `:set`. What has no effect here is not among them, except what scripts switch off or on out of habit.

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    On(bool),
    Number(usize),
    Text(String),
}

/// Name, short name, default.
const BOOLEANS: [(&str, &str, bool); 18] = [
    ("autoindent", "ai", false),
    ("autowrite", "aw", false),
    ("errorbells", "eb", false),
    ("expandtab", "et", false),
    ("fixendofline", "fixeol", true),
    ("gdefault", "gd", false),
    ("hlsearch", "hls", false),
    ("ignorecase", "ic", false),
    ("joinspaces", "js", true),
    ("list", "list", false),
    ("magic", "magic", true),
    ("number", "nu", false),
    ("relativenumber", "rnu", false),
    ("ruler", "ru", true),
    ("shiftround", "sr", false),
    ("showmode", "smd", true),
    ("smartcase", "scs", false),
    ("wrap", "wrap", true),
];
const MORE: [(&str, &str, bool); 3] =
    [("wrapscan", "ws", true), ("readonly", "ro", false), ("tildeop", "top", false)];
const NUMBERS: [(&str, &str, usize); 6] = [
    ("report", "report", 2),
    ("scroll", "scr", 0),
    ("scrolloff", "so", 0),
    ("shiftwidth", "sw", 8),
    ("softtabstop", "sts", 0),
    ("tabstop", "ts", 8),
];

/// Options.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    values: Vec<(&'static str, &'static str, Value, Value)>,
}

impl Options {
    pub(crate) fn new() -> Options {
        let mut values = Vec::new();
        for (name, short, on) in BOOLEANS.into_iter().chain(MORE) {
            values.push((name, short, Value::On(on), Value::On(on)));
        }
        for (name, short, n) in NUMBERS {
            values.push((name, short, Value::Number(n), Value::Number(n)));
        }
        let shell = std::env::var("SHELL").ok().filter(|s| !s.is_empty()).unwrap_or_else(|| "/bin/sh".into());
        values.push(("shell", "sh", Value::Text(shell.clone()), Value::Text(shell)));
        values.sort_by_key(|v| v.0);
        Options { values }
    }

    /// Whether an option of yes and no is on.
    pub(crate) fn on(&self, name: &str) -> bool {
        self.get(name) == Some(&Value::On(true))
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> usize {
        match self.get(name) {
            Some(Value::Number(n)) => *n,
            _ => 0,
        }
    }

    /// How far tab stops are apart.
    pub(crate) fn tab(&self) -> usize {
        self.number("tabstop").clamp(1, 9999)
    }

    /// How far a shift goes.
    pub(crate) fn shift(&self) -> usize {
        match self.number("shiftwidth") {
            0 => self.tab(),
            n => n.min(9999),
        }
    }

    /// A value.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(long, short, _, _)| *long == name || *short == name).map(|v| &v.2)
    }

    /// The full name.
    pub(crate) fn full(&self, name: &str) -> Option<&'static str> {
        self.values.iter().find(|(long, short, _, _)| *long == name || *short == name).map(|v| v.0)
    }

    /// Sets a value of the same kind.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        if let Some(found) =
            self.values.iter_mut().find(|(long, short, _, _)| *long == name || *short == name)
        {
            found.2 = value;
        }
    }

    /// The default value.
    pub(crate) fn default(&self, name: &str) -> Option<Value> {
        self.values.iter().find(|(long, short, _, _)| *long == name || *short == name).map(|v| v.3.clone())
    }

    /// How a value is shown.
    pub(crate) fn show(&self, name: &str) -> String {
        let full = self.full(name).unwrap_or_default();
        match self.get(name) {
            Some(Value::On(true)) => format!("  {full}"),
            Some(Value::On(false)) => format!("no{full}"),
            Some(Value::Number(n)) => format!("  {full}={n}"),
            Some(Value::Text(s)) => format!("  {full}={s}"),
            None => String::new(),
        }
    }

    /// All of them, or those that were changed.
    pub(crate) fn list(&self, all: bool) -> Vec<String> {
        self.values.iter().filter(|v| all || v.2 != v.3).map(|v| self.show(v.0)).collect()
    }
}
