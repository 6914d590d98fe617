//! Variables: values, attributes, function scopes, and the journal that undoes what a substitution changed. It computes no
//! special variables.

use crate::arith::eval::plain_integer;
use crate::symbols::{Sym, sym};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::rc::Rc;

pub(crate) const EXPORT: u8 = 1;
pub(crate) const READONLY: u8 = 2;
pub(crate) const INTEGER: u8 = 4;
pub(crate) const LOWER: u8 = 8;
pub(crate) const UPPER: u8 = 16;
pub(crate) const NAMEREF: u8 = 32;

/// What a variable holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Value {
    #[default]
    Unset,
    Str(String),
    /// A number that nobody has asked for as text yet.
    Int(i64),
    Array(BTreeMap<i64, String>),
    Assoc(BTreeMap<String, String>),
}

/// Which element of an array.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Key {
    Number(i64),
    Text(String),
}

/// A variable.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot {
    pub(crate) value: Value,
    pub(crate) flags: u8,
    /// The substitution that has already noted the former value.
    epoch: u32,
}

/// All variables.
#[derive(Default)]
pub(crate) struct Vars {
    slots: Vec<Slot>,
    /// What each scope replaced.
    scopes: Vec<Vec<(Sym, Slot)>>,
    journal: Vec<(Sym, Slot)>,
    epoch: u32,
    epochs: u32,
    env: Option<Rc<Vec<OsString>>>,
    /// The definitions of exported functions.
    functions: BTreeMap<String, String>,
}

impl Vars {
    pub(crate) fn slot(&self, sym: Sym) -> Option<&Slot> {
        self.slots.get(sym.index())
    }

    /// The variable that a name reference stands for.
    pub(crate) fn resolve(&self, mut name: Sym) -> Sym {
        for _ in 0..10 {
            match self.slots.get(name.index()) {
                Some(Slot { flags, value: Value::Str(target), .. }) if flags & NAMEREF != 0 => {
                    if !crate::text::is_name(target) {
                        return name;
                    }
                    name = sym(target);
                }
                _ => return name,
            }
        }
        name
    }

    /// A variable that is going to change.
    pub(crate) fn slot_mut(&mut self, sym: Sym) -> &mut Slot {
        let i = sym.index();
        if i >= self.slots.len() {
            self.slots.resize_with(i + 1, Slot::default);
        }
        if self.slots[i].flags & EXPORT != 0 {
            self.env = None;
        }
        if self.epoch > self.slots[i].epoch {
            self.journal.push((sym, self.slots[i].clone()));
            self.slots[i].epoch = self.epoch;
        }
        &mut self.slots[i]
    }

    pub(crate) fn flags(&self, sym: Sym) -> u8 {
        self.slot(sym).map_or(0, |s| s.flags)
    }

    pub(crate) fn set_flags(&mut self, sym: Sym, on: u8, off: u8) {
        let slot = self.slot_mut(sym);
        slot.flags = (slot.flags | on) & !off;
        if (on | off) & EXPORT != 0 {
            self.env = None;
        }
    }

    /// The value as text; of an array, its first element.
    pub(crate) fn get(&self, sym: Sym) -> Option<Cow<'_, str>> {
        match &self.slot(sym)?.value {
            Value::Unset => None,
            Value::Str(text) => Some(Cow::Borrowed(text)),
            Value::Int(n) => Some(Cow::Owned(n.to_string())),
            Value::Array(items) => items.get(&0).map(|s| Cow::Borrowed(s.as_str())),
            Value::Assoc(items) => items.get("0").map(|s| Cow::Borrowed(s.as_str())),
        }
    }

    /// The value if it is held as text.
    #[inline]
    pub(crate) fn text(&self, sym: Sym) -> Option<&str> {
        match self.slots.get(sym.index()) {
            Some(Slot { value: Value::Str(text), .. }) => Some(text),
            _ => None,
        }
    }

    /// The value if it is a plain integer.
    pub(crate) fn integer(&self, sym: Sym) -> Option<i64> {
        if sym <= crate::symbols::LAST_DYNAMIC {
            return None;
        }
        match self.slots.get(sym.index())? {
            Slot { flags, .. } if flags & NAMEREF != 0 => None,
            Slot { value: Value::Int(n), .. } => Some(*n),
            Slot { value: Value::Str(text), .. } => plain_integer(text),
            _ => None,
        }
    }

    pub(crate) fn is_set(&self, sym: Sym) -> bool {
        self.slot(sym).is_some_and(|s| s.value != Value::Unset)
    }

    pub(crate) fn is_assoc(&self, sym: Sym) -> bool {
        matches!(self.slot(self.resolve(sym)), Some(Slot { value: Value::Assoc(_), .. }))
    }

    pub(crate) fn is_array(&self, sym: Sym) -> bool {
        matches!(self.slot(self.resolve(sym)), Some(Slot { value: Value::Array(_) | Value::Assoc(_), .. }))
    }

    /// One past the largest index of an indexed array.
    pub(crate) fn array_end(&self, sym: Sym) -> i64 {
        match self.slot(self.resolve(sym)).map(|s| &s.value) {
            Some(Value::Array(items)) => items.keys().next_back().map_or(0, |n| n.saturating_add(1)),
            Some(Value::Str(_) | Value::Int(_)) => 1,
            _ => 0,
        }
    }

    /// How many elements there are.
    pub(crate) fn count(&self, sym: Sym) -> usize {
        match self.slot(sym).map(|s| &s.value) {
            Some(Value::Array(items)) => items.len(),
            Some(Value::Assoc(items)) => items.len(),
            Some(Value::Str(_) | Value::Int(_)) => 1,
            Some(Value::Unset) | None => 0,
        }
    }

    pub(crate) fn element(&self, sym: Sym, key: &Key) -> Option<Cow<'_, str>> {
        match (&self.slot(sym)?.value, key) {
            (Value::Array(items), Key::Number(n)) => items.get(n).map(|s| Cow::Borrowed(s.as_str())),
            (Value::Assoc(items), Key::Text(k)) => items.get(k).map(|s| Cow::Borrowed(s.as_str())),
            (Value::Assoc(items), Key::Number(n)) => {
                items.get(&n.to_string()).map(|s| Cow::Borrowed(s.as_str()))
            }
            (Value::Array(_), Key::Text(_)) => None,
            (_, Key::Number(0)) => self.get(sym),
            _ => None,
        }
    }

    /// The elements in order.
    pub(crate) fn elements(&self, sym: Sym) -> Vec<String> {
        match self.slot(sym).map(|s| &s.value) {
            Some(Value::Array(items)) => items.values().cloned().collect(),
            Some(Value::Assoc(items)) => items.values().cloned().collect(),
            _ => self.get(sym).map(|v| vec![v.into_owned()]).unwrap_or_default(),
        }
    }

    /// The keys in order.
    pub(crate) fn keys(&self, sym: Sym) -> Vec<String> {
        match self.slot(sym).map(|s| &s.value) {
            Some(Value::Array(items)) => items.keys().map(i64::to_string).collect(),
            Some(Value::Assoc(items)) => items.keys().cloned().collect(),
            Some(Value::Unset) | None => Vec::new(),
            _ => vec!["0".to_owned()],
        }
    }

    /// Sets a value without asking for attributes.
    pub(crate) fn put(&mut self, sym: Sym, value: Value) {
        self.slot_mut(sym).value = value;
    }

    pub(crate) fn put_str(&mut self, sym: Sym, text: impl Into<String>) {
        self.put(sym, Value::Str(text.into()));
    }

    pub(crate) fn remove(&mut self, sym: Sym) {
        let slot = self.slot_mut(sym);
        slot.value = Value::Unset;
        slot.flags = 0;
    }

    // --- scopes

    pub(crate) fn push_scope(&mut self) {
        self.scopes.push(Vec::new());
    }

    pub(crate) fn pop_scope(&mut self) {
        for (sym, slot) in self.scopes.pop().unwrap_or_default().into_iter().rev() {
            let now = &mut self.slots[sym.index()];
            if (now.flags | slot.flags) & EXPORT != 0 {
                self.env = None;
            }
            *now = slot;
        }
    }

    pub(crate) fn is_local(&self, sym: Sym) -> bool {
        self.scopes.last().is_some_and(|scope| scope.iter().any(|(s, _)| *s == sym))
    }

    /// Whether no scope has a variable of that name.
    pub(crate) fn is_global(&self, sym: Sym) -> bool {
        !self.scopes.iter().flatten().any(|(s, _)| *s == sym)
    }

    /// Makes a variable of the innermost scope.
    pub(crate) fn make_local(&mut self, sym: Sym) {
        if self.scopes.is_empty() || self.is_local(sym) {
            return;
        }
        let i = sym.index();
        if i >= self.slots.len() {
            self.slots.resize_with(i + 1, Slot::default);
        }
        // The new variable counts as noted: the scope ends before the substitution does.
        let fresh = Slot { epoch: self.epoch, ..Slot::default() };
        let old = std::mem::replace(&mut self.slots[i], fresh);
        if old.flags & EXPORT != 0 {
            self.env = None;
        }
        if let Some(scope) = self.scopes.last_mut() {
            scope.push((sym, old));
        }
    }

    // --- the journal

    /// From here on former values are kept; returns what [`Vars::undo`] needs.
    pub(crate) fn begin(&mut self) -> (usize, u32) {
        let mark = (self.journal.len(), self.epoch);
        self.epochs += 1;
        self.epoch = self.epochs;
        mark
    }

    /// Brings back every value of the time of [`Vars::begin`].
    pub(crate) fn undo(&mut self, mark: (usize, u32)) {
        while self.journal.len() > mark.0 {
            let Some((sym, slot)) = self.journal.pop() else { break };
            let now = &mut self.slots[sym.index()];
            if (now.flags | slot.flags) & EXPORT != 0 {
                self.env = None;
            }
            *now = slot;
        }
        self.epoch = mark.1;
    }

    // --- the environment

    /// `KEY=value` of every exported variable.
    pub(crate) fn environment(&mut self) -> Rc<Vec<OsString>> {
        if let Some(env) = &self.env {
            return env.clone();
        }
        let mut list = Vec::new();
        for (i, slot) in self.slots.iter().enumerate() {
            if slot.flags & EXPORT == 0 {
                continue;
            }
            let sym = Sym(i as u32);
            if let (Value::Str(_) | Value::Int(_), Some(value)) = (&slot.value, self.get(sym)) {
                list.push(crate::text::to_os(&format!("{}={value}", sym.name())));
            }
        }
        // As bash passes functions on, so that either shell understands the other.
        for (name, text) in &self.functions {
            let body = text.find('{').map_or("", |at| &text[at..]);
            list.push(crate::text::to_os(&format!("BASH_FUNC_{name}%%=() {body}")));
        }
        let env = Rc::new(list);
        self.env = Some(env.clone());
        env
    }

    /// Puts the definition of a function into the environment, or takes it out.
    pub(crate) fn export_function(&mut self, name: &str, text: Option<String>) {
        match text {
            Some(text) => drop(self.functions.insert(name.to_owned(), text)),
            None if self.functions.remove(name).is_none() => return,
            None => {}
        }
        self.env = None;
    }

    /// Whether a function is exported.
    pub(crate) fn exports_function(&self, name: &str) -> bool {
        self.functions.contains_key(name)
    }

    /// Every variable that has a value or an attribute, by name.
    pub(crate) fn all(&self) -> Vec<(Rc<str>, Sym)> {
        let mut all: Vec<_> = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, s)| s.value != Value::Unset || s.flags != 0)
            .map(|(i, _)| (Sym(i as u32).name(), Sym(i as u32)))
            .collect();
        all.sort();
        all
    }
}
