//! Variables: values, attributes, function scopes, and the journal that undoes what a substitution changed. It computes no
//! special variables.

use crate::arith::eval::plain_integer;
use crate::assoc::Assoc;
use crate::symbols::{self, Sym, sym};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::rc::Rc;

/// Attributes of a variable.
pub(crate) type Flags = u16;

pub(crate) const EXPORT: Flags = 1;
pub(crate) const READONLY: Flags = 2;
pub(crate) const INTEGER: Flags = 4;
pub(crate) const LOWER: Flags = 8;
pub(crate) const UPPER: Flags = 16;
pub(crate) const NAMEREF: Flags = 32;
/// An array that was declared and never assigned.
pub(crate) const NOVALUE: Flags = 64;
/// The first letter becomes a capital.
pub(crate) const CAPITAL: Flags = 128;
pub(crate) const TRACE: Flags = 256;
/// Declared without a value.
pub(crate) const DECLARED: Flags = 512;
/// A variable with a computed value that was unset or made local, and so computes nothing any more.
pub(crate) const ORDINARY: Flags = 1024;

/// How many name references may lead from one to the next.
const MAX_REFERENCES: usize = 8;

/// What a name stands for once references are followed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    Var(Sym),
    /// An element of an array, as written.
    Element(String),
    /// The global variable of a name whose local one refers to itself.
    Global(Sym),
    /// Nothing: the references lead in a circle, or are too many.
    Nothing,
}

/// What a variable holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Value {
    #[default]
    Unset,
    Str(String),
    /// A number that nobody has asked for as text yet.
    Int(i64),
    Array(BTreeMap<i64, String>),
    Assoc(Assoc),
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
    pub(crate) flags: Flags,
    /// The substitution that has already noted the former value.
    epoch: u32,
}

/// The variables of a call, or those that stand before a command.
#[derive(Default)]
struct Scope {
    /// Made for the assignments before a command.
    temporary: bool,
    /// Of a call whose own assignments are in the scope below.
    assigned: bool,
    /// What was replaced.
    outer: Vec<(Sym, Slot)>,
}

impl Scope {
    fn has(&self, sym: Sym) -> bool {
        self.outer.iter().any(|(s, _)| *s == sym)
    }
}

/// What a note of the journal brings back.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// The value of a variable.
    Value,
    /// What a scope replaced, which was brought back early.
    Outer(usize),
    /// What a scope replaced, which was changed.
    Hidden(usize),
}

/// All variables.
#[derive(Default)]
pub(crate) struct Vars {
    slots: Vec<Slot>,
    scopes: Vec<Scope>,
    journal: Vec<(Change, Sym, Slot)>,
    /// The first name of a circle of references that somebody has to report.
    circle: Cell<Option<Sym>>,
    epoch: u32,
    epochs: u32,
    env: Option<Rc<Vec<OsString>>>,
    /// What the environment holds that is no variable, as `KEY=value`.
    foreign: Vec<String>,
    /// The definitions of exported functions.
    functions: BTreeMap<String, String>,
}

impl Vars {
    pub(crate) fn slot(&self, sym: Sym) -> Option<&Slot> {
        self.slots.get(sym.index())
    }

    /// What a name stands for.
    pub(crate) fn target(&self, name: Sym) -> Target {
        let mut at = name;
        for _ in 0..=MAX_REFERENCES {
            match self.slots.get(at.index()) {
                Some(Slot { flags, value: Value::Str(target), .. })
                    if flags & NAMEREF != 0 && !target.is_empty() =>
                {
                    if !crate::text::is_name(target) {
                        return if target.ends_with(']') {
                            Target::Element(target.clone())
                        } else {
                            Target::Nothing
                        };
                    }
                    let next = sym(target);
                    if next == name || next == at {
                        self.circle.set(Some(name));
                        if next == at && !self.is_global(at) {
                            return Target::Global(at);
                        }
                        return Target::Nothing;
                    }
                    at = next;
                }
                _ => return Target::Var(at),
            }
        }
        Target::Nothing
    }

    /// The variable that a name stands for; [`symbols::NOWHERE`], which is never set, if it is none.
    pub(crate) fn resolve(&self, name: Sym) -> Sym {
        match self.slots.get(name.index()) {
            Some(slot) if slot.flags & NAMEREF != 0 => match self.target(name) {
                Target::Var(name) => name,
                Target::Element(_) | Target::Global(_) | Target::Nothing => symbols::NOWHERE,
            },
            _ => name,
        }
    }

    /// The last reference that a name leads to; `None` if the name is no reference.
    pub(crate) fn last_reference(&self, name: Sym) -> Option<Sym> {
        let mut last = None;
        let mut at = name;
        for _ in 0..=MAX_REFERENCES {
            match self.slots.get(at.index()) {
                Some(slot) if slot.flags & NAMEREF != 0 => {
                    last = Some(at);
                    match &slot.value {
                        Value::Str(target) if crate::text::is_name(target) => at = sym(target),
                        _ => break,
                    }
                }
                _ => break,
            }
        }
        last
    }

    /// The name at which references were found to lead in a circle, once.
    pub(crate) fn take_circle(&self) -> Option<Sym> {
        self.circle.take()
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
            self.journal.push((Change::Value, sym, self.slots[i].clone()));
            self.slots[i].epoch = self.epoch;
        }
        &mut self.slots[i]
    }

    pub(crate) fn flags(&self, sym: Sym) -> Flags {
        self.slot(sym).map_or(0, |s| s.flags)
    }

    pub(crate) fn set_flags(&mut self, sym: Sym, on: Flags, off: Flags) {
        let slot = self.slot_mut(sym);
        // What is written to `_` lasts for one command; only `readonly` does more.
        let on = if sym == symbols::UNDERSCORE { on & READONLY } else { on };
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

    /// Whether the variable is there, be it without a value.
    pub(crate) fn is_declared(&self, sym: Sym) -> bool {
        self.slot(sym).is_some_and(|s| s.value != Value::Unset || s.flags != 0)
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
            Some(Value::Assoc(items)) => items.iter().map(|(_, value)| value.clone()).collect(),
            _ => self.get(sym).map(|v| vec![v.into_owned()]).unwrap_or_default(),
        }
    }

    /// The keys in order.
    pub(crate) fn keys(&self, sym: Sym) -> Vec<String> {
        match self.slot(sym).map(|s| &s.value) {
            Some(Value::Array(items)) => items.keys().map(i64::to_string).collect(),
            Some(Value::Assoc(items)) => items.iter().map(|(key, _)| key.clone()).collect(),
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
        slot.flags = if symbols::may_be_ordinary(sym) { ORDINARY } else { 0 };
    }

    /// Whether a variable with a computed value has become one like others.
    pub(crate) fn is_ordinary(&self, sym: Sym) -> bool {
        self.flags(sym) & ORDINARY != 0
    }

    // --- scopes

    /// A scope for a call; `assigned`: the scope below is of the assignments before the function's name.
    pub(crate) fn push_scope(&mut self, assigned: bool) {
        self.scopes.push(Scope { assigned, ..Scope::default() });
    }

    /// A scope for the assignments before a command.
    pub(crate) fn push_temporary(&mut self) {
        self.scopes.push(Scope { temporary: true, ..Scope::default() });
    }

    pub(crate) fn pop_scope(&mut self) {
        for (sym, slot) in self.scopes.pop().unwrap_or_default().outer.into_iter().rev() {
            self.restore(sym, slot);
        }
    }

    fn restore(&mut self, sym: Sym, slot: Slot) {
        let now = &mut self.slots[sym.index()];
        if (now.flags | slot.flags) & EXPORT != 0 {
            self.env = None;
        }
        *now = slot;
    }

    /// Takes a variable away. One of a caller, or one that stands before a command, brings back what it hid; one of this
    /// very call stays local.
    pub(crate) fn unset(&mut self, name: Sym) {
        let scope = self.scopes.iter().rposition(|scope| scope.has(name));
        if let Some(scope) = scope
            && Some(scope) != self.call_scope()
        {
            self.bring_back(name, scope);
            // What stood before the name of the function was the same variable.
            if self.scopes[scope].assigned && scope > 0 && self.scopes[scope - 1].has(name) {
                self.bring_back(name, scope - 1);
            }
            return;
        }
        self.remove(name);
    }

    /// As [`Vars::unset`], but a variable of a caller stays, unset, until that has ended: `localvar_unset`.
    pub(crate) fn unset_here(&mut self, name: Sym) {
        match self.scopes.iter().rposition(|scope| scope.has(name)) {
            Some(scope) if !self.scopes[scope].temporary => self.remove(name),
            _ => self.unset(name),
        }
    }

    /// Puts what a scope hides of a name in its place again.
    fn bring_back(&mut self, name: Sym, scope: usize) {
        let Some(at) = self.scopes[scope].outer.iter().rposition(|(s, _)| *s == name) else { return };
        self.slot_mut(name);
        let (_, slot) = self.scopes[scope].outer.remove(at);
        if self.epoch > 0 {
            self.journal.push((Change::Outer(scope), name, slot.clone()));
        }
        self.restore(name, slot);
    }

    /// Puts the global variable of a name in the place of the local one that hides it, or back; false if none does.
    pub(crate) fn swap_global(&mut self, name: Sym) -> bool {
        let Some(scope) = self.scopes.iter().position(|scope| scope.has(name)) else {
            return false;
        };
        self.slot_mut(name);
        if let Some(at) = self.scopes[scope].outer.iter().position(|(s, _)| *s == name) {
            if self.epoch > 0 {
                let hidden = self.scopes[scope].outer[at].1.clone();
                self.journal.push((Change::Hidden(scope), name, hidden));
            }
            std::mem::swap(&mut self.slots[name.index()], &mut self.scopes[scope].outer[at].1);
            self.env = None;
        }
        true
    }

    /// The scope of the innermost call.
    fn call_scope(&self) -> Option<usize> {
        self.scopes.iter().rposition(|scope| !scope.temporary)
    }

    pub(crate) fn is_local(&self, sym: Sym) -> bool {
        self.call_scope().is_some_and(|scope| self.scopes[scope].has(sym))
    }

    /// The variables of the innermost call, by name.
    pub(crate) fn locals(&self) -> Vec<Sym> {
        let scope = self.call_scope().map(|scope| &self.scopes[scope].outer);
        let mut all: Vec<_> = scope.into_iter().flatten().map(|(sym, _)| (sym.name(), *sym)).collect();
        all.sort();
        all.into_iter().map(|(_, sym)| sym).collect()
    }

    /// Whether no scope has a variable of that name.
    pub(crate) fn is_global(&self, sym: Sym) -> bool {
        !self.scopes.iter().any(|scope| scope.has(sym))
    }

    /// The global variable of a name that scopes may hide.
    pub(crate) fn global(&self, sym: Sym) -> Option<&Slot> {
        let hidden = self.scopes.iter().flat_map(|scope| &scope.outer).find(|(s, _)| *s == sym);
        hidden.map(|(_, slot)| slot).or_else(|| self.slot(sym))
    }

    /// Whether a variable stands before the command that called the function.
    pub(crate) fn is_temporary(&self, sym: Sym) -> bool {
        let Some(at) = self.scopes.iter().rposition(|scope| scope.has(sym)) else { return false };
        let scope = &self.scopes[at];
        scope.temporary || scope.assigned && at > 0 && self.scopes[at - 1].has(sym)
    }

    /// What an assignment before the command at hand made stays.
    pub(crate) fn keep_temporary(&mut self, sym: Sym) {
        if let Some(scope) = self.scopes.last_mut().filter(|scope| scope.temporary) {
            scope.outer.retain(|(s, _)| *s != sym);
        }
    }

    /// Makes a variable of the innermost call.
    pub(crate) fn make_local(&mut self, sym: Sym) {
        let Some(call) = self.call_scope() else { return };
        if self.scopes[call].has(sym) {
            return;
        }
        // One that stands before this very command gives its place up.
        for scope in call + 1..self.scopes.len() {
            if let Some(at) = self.scopes[scope].outer.iter().position(|(s, _)| *s == sym) {
                let outer = self.scopes[scope].outer.remove(at);
                self.scopes[call].outer.push(outer);
                return;
            }
        }
        let exported = self.flags(sym) & EXPORT;
        self.hide(sym, call);
        self.slots[sym.index()].flags |= exported;
    }

    /// Makes a variable for the command that follows.
    pub(crate) fn make_temporary(&mut self, sym: Sym) {
        if let Some(last) = self.scopes.len().checked_sub(1)
            && !self.scopes[last].has(sym)
        {
            self.hide(sym, last);
        }
    }

    fn hide(&mut self, sym: Sym, scope: usize) {
        let i = sym.index();
        if i >= self.slots.len() {
            self.slots.resize_with(i + 1, Slot::default);
        }
        // The new variable counts as noted: the scope ends before the substitution does.
        let flags = if symbols::may_be_ordinary(sym) { ORDINARY } else { 0 };
        let fresh = Slot { epoch: self.epoch, flags, ..Slot::default() };
        let old = std::mem::replace(&mut self.slots[i], fresh);
        if old.flags & EXPORT != 0 {
            self.env = None;
        }
        self.scopes[scope].outer.push((sym, old));
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
            let Some((change, sym, slot)) = self.journal.pop() else { break };
            match change {
                Change::Value => self.restore(sym, slot),
                Change::Outer(scope) => {
                    if let Some(scope) = self.scopes.get_mut(scope) {
                        scope.outer.push((sym, slot));
                    }
                }
                Change::Hidden(scope) => {
                    let hidden = self.scopes.get_mut(scope).map(|scope| scope.outer.iter_mut());
                    if let Some((_, old)) = hidden.and_then(|mut all| all.find(|(s, _)| *s == sym)) {
                        *old = slot;
                    }
                }
            }
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
        for sym in self.in_order() {
            if let (Value::Str(_) | Value::Int(_), Some(value)) =
                (&self.slots[sym.index()].value, self.get(sym))
            {
                list.push(crate::text::to_os(&format!("{}={value}", sym.name())));
            }
        }
        list.extend(self.foreign.iter().map(|text| crate::text::to_os(text)));
        // As bash passes functions on, so that either shell understands the other.
        for (name, text) in &self.functions {
            let body = text.find('{').map_or("", |at| &text[at..]);
            list.push(crate::text::to_os(&format!("BASH_FUNC_{name}%%=() {body}")));
        }
        let env = Rc::new(list);
        self.env = Some(env.clone());
        env
    }

    /// The exported variables as bash passes them on: those of the innermost scope first, and each scope by its table.
    fn in_order(&self) -> Vec<Sym> {
        /// The rows of the table of a scope, and of the global one.
        const ROWS: (u32, u32) = (4, 1024);
        let exported = |sym: &Sym| self.slots[sym.index()].flags & EXPORT != 0;
        let mut order: Vec<Sym> = Vec::new();
        let mut add = |found: Vec<Sym>, rows: u32| {
            // In a row the newest comes first.
            let mut found: Vec<_> =
                found.into_iter().filter(|sym| !order.contains(sym)).enumerate().collect();
            let place = |sym: &Sym| crate::assoc::hash(&sym.name()) & (rows - 1);
            found.sort_by_cached_key(|(age, sym)| (place(sym), std::cmp::Reverse(*age)));
            order.extend(found.into_iter().map(|(_, sym)| sym));
        };
        for scope in self.scopes.iter().rev() {
            add(scope.outer.iter().map(|(sym, _)| *sym).filter(exported).collect(), ROWS.0);
        }
        add((0..self.slots.len()).map(|i| Sym(i as u32)).filter(exported).collect(), ROWS.1);
        order
    }

    /// Passes on an entry of the environment that cannot be a variable.
    pub(crate) fn pass_on(&mut self, key: &str, value: &str) {
        self.foreign.push(format!("{key}={value}"));
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
            .filter(|(i, s)| {
                let computed = *i <= symbols::LAST_DYNAMIC.index() && s.flags & ORDINARY == 0;
                computed || s.value != Value::Unset || s.flags & !ORDINARY != 0
            })
            .map(|(i, _)| (Sym(i as u32).name(), Sym(i as u32)))
            .collect();
        all.sort();
        all
    }
}
