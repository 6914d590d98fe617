//! JSON values: shared, copied on write, ordered as jq orders them. Nothing here reads or prints JSON.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use indexmap::IndexMap;

/// The members of an object, in the order of insertion.
pub(crate) type Map = IndexMap<Rc<str>, Value, foldhash::fast::FixedState>;

/// How deep a comparison looks; deeper values count as equal, so that no value can exhaust the stack.
const COMPARE_DEPTH: u32 = 2000;

/// A JSON value.
#[derive(Clone, Debug, Default)]
pub(crate) enum Value {
    #[default]
    Null,
    Bool(bool),
    Num(f64),
    Str(Rc<str>),
    Arr(Rc<List>),
    Obj(Rc<Object>),
}

/// The elements of an array.
#[derive(Clone, Debug, Default)]
pub(crate) struct List(pub(crate) Vec<Value>);

/// An object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object(pub(crate) Map);

impl Deref for List {
    type Target = Vec<Value>;
    fn deref(&self) -> &Vec<Value> {
        &self.0
    }
}
impl DerefMut for List {
    fn deref_mut(&mut self) -> &mut Vec<Value> {
        &mut self.0
    }
}
impl Deref for Object {
    type Target = Map;
    fn deref(&self) -> &Map {
        &self.0
    }
}
impl DerefMut for Object {
    fn deref_mut(&mut self) -> &mut Map {
        &mut self.0
    }
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static LATER: RefCell<Vec<Box<dyn std::any::Any>>> = const { RefCell::new(Vec::new()) };
}

/// Drops what may own a chain of any length without using as much stack: beyond some depth it is put aside, and the
/// outermost call drops it.
pub(crate) fn drop_deep<T: 'static>(what: T) {
    let depth = DEPTH.get();
    if depth >= 100 {
        LATER.with_borrow_mut(|later| later.push(Box::new(what)));
        return;
    }
    DEPTH.set(depth + 1);
    drop(what);
    if depth == 0 {
        while let Some(next) = LATER.with_borrow_mut(Vec::pop) {
            drop(next);
        }
    }
    DEPTH.set(depth);
}

impl Drop for List {
    fn drop(&mut self) {
        if self.0.iter().any(Value::is_container) {
            drop_deep(std::mem::take(&mut self.0));
        }
    }
}
impl Drop for Object {
    fn drop(&mut self) {
        if self.0.values().any(Value::is_container) {
            drop_deep(std::mem::take(&mut self.0));
        }
    }
}

impl From<f64> for Value {
    fn from(n: f64) -> Self {
        Value::Num(n)
    }
}
impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}
impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Value::Str(s.into())
    }
}
impl From<String> for Value {
    fn from(s: String) -> Self {
        Value::Str(s.into())
    }
}
impl From<Vec<Value>> for Value {
    fn from(v: Vec<Value>) -> Self {
        Value::Arr(Rc::new(List(v)))
    }
}
impl From<Map> for Value {
    fn from(m: Map) -> Self {
        Value::Obj(Rc::new(Object(m)))
    }
}
impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        items.into_iter().collect::<Vec<_>>().into()
    }
}

impl Value {
    /// A number that counts something.
    #[allow(clippy::cast_precision_loss, reason = "jq's numbers are doubles")]
    pub(crate) fn count(n: usize) -> Value {
        Value::Num(n as f64)
    }

    fn is_container(&self) -> bool {
        matches!(self, Value::Arr(_) | Value::Obj(_))
    }

    /// Neither null nor false.
    pub(crate) fn truthy(&self) -> bool {
        !matches!(self, Value::Null | Value::Bool(false))
    }

    /// What `type` says.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Num(_) => "number",
            Value::Str(_) => "string",
            Value::Arr(_) => "array",
            Value::Obj(_) => "object",
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Bool(false) => 1,
            Value::Bool(true) => 2,
            Value::Num(_) => 3,
            Value::Str(_) => 4,
            Value::Arr(_) => 5,
            Value::Obj(_) => 6,
        }
    }

    /// The elements of an array, which become our own to change.
    pub(crate) fn into_vec(self) -> Option<Vec<Value>> {
        match self {
            Value::Arr(list) => Some(match Rc::try_unwrap(list) {
                Ok(mut list) => std::mem::take(&mut list.0),
                Err(list) => list.0.clone(),
            }),
            _ => None,
        }
    }

    /// Whether both are the very same value, as the check of paths asks: containers and strings by identity.
    pub(crate) fn identical(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Arr(a), Value::Arr(b)) => Rc::ptr_eq(a, b),
            (Value::Obj(a), Value::Obj(b)) => Rc::ptr_eq(a, b),
            (Value::Str(a), Value::Str(b)) => Rc::ptr_eq(a, b) || a == b,
            (Value::Num(a), Value::Num(b)) => a.to_bits() == b.to_bits(),
            _ => self.rank() == other.rank() && !self.is_container(),
        }
    }

    fn compare(&self, other: &Value, depth: u32) -> Ordering {
        if depth > COMPARE_DEPTH {
            return Ordering::Equal;
        }
        match (self, other) {
            // NaN is less than any number, itself included.
            (Value::Num(a), Value::Num(b)) => {
                a.partial_cmp(b).unwrap_or(if a.is_nan() { Ordering::Less } else { Ordering::Greater })
            }
            (Value::Str(a), Value::Str(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Value::Arr(a), Value::Arr(b)) => {
                for (x, y) in a.iter().zip(b.iter()) {
                    match x.compare(y, depth + 1) {
                        Ordering::Equal => {}
                        unequal => return unequal,
                    }
                }
                a.len().cmp(&b.len())
            }
            (Value::Obj(a), Value::Obj(b)) => {
                let (ka, kb) = (sorted_keys(a), sorted_keys(b));
                match ka.cmp(&kb) {
                    Ordering::Equal => {}
                    unequal => return unequal,
                }
                for key in ka {
                    match (a.get(key), b.get(key)) {
                        (Some(x), Some(y)) => match x.compare(y, depth + 1) {
                            Ordering::Equal => {}
                            unequal => return unequal,
                        },
                        _ => return Ordering::Equal,
                    }
                }
                Ordering::Equal
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// jq's order of all values.
    pub(crate) fn order(&self, other: &Value) -> Ordering {
        self.compare(other, 0)
    }

    /// The same as [`Value::order`] of `Equal`, but objects are not sorted for it.
    pub(crate) fn equals(&self, other: &Value) -> bool {
        self.equals_at(other, 0)
    }

    fn equals_at(&self, other: &Value, depth: u32) -> bool {
        if depth > COMPARE_DEPTH {
            return true;
        }
        match (self, other) {
            (Value::Num(a), Value::Num(b)) => a == b,
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Arr(a), Value::Arr(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(x, y)| x.equals_at(y, depth + 1))
            }
            (Value::Obj(a), Value::Obj(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(k, x)| b.get(k).is_some_and(|y| x.equals_at(y, depth + 1)))
            }
            _ => self.rank() == other.rank(),
        }
    }
}

/// The keys of an object in the order of their code points.
pub(crate) fn sorted_keys(map: &Map) -> Vec<&Rc<str>> {
    let mut keys: Vec<&Rc<str>> = map.keys().collect();
    keys.sort_unstable();
    keys
}

/// Sorts stably by jq's order. NaN makes that order no total one, which the standard sort may refuse with a panic: it is
/// taken as equal to itself here.
pub(crate) fn sort(values: &mut [Value]) {
    values.sort_by(total);
}

/// A total order that is jq's but for NaN beside NaN.
pub(crate) fn total(a: &Value, b: &Value) -> Ordering {
    if let (Value::Num(x), Value::Num(y)) = (a, b)
        && x.is_nan()
        && y.is_nan()
    {
        return Ordering::Equal;
    }
    a.order(b)
}
