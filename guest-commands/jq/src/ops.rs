//! What operators and paths do to values: arithmetic, indexing, slices, and setting and deleting at paths, with jq's
//! messages. Evaluation order is the machine's.

use crate::json::print::compact;
use crate::value::{List, Map, Object, Value, total};
use std::rc::Rc;

/// The largest array that setting an element may make: 64 Mi elements of 16 bytes.
const MAX_INDEX: f64 = 67_108_864.0;
/// The longest string that repetition may make.
const MAX_STRING: usize = 1 << 30;
/// How deep objects are merged.
const MERGE_DEPTH: u32 = 1000;

/// Why evaluation stops.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// An error with its value, which `try` catches.
    Error(Value),
    /// `break` to the label of this number.
    Break(u64),
    /// `halt` and `halt_error`: the status, and what is to be printed.
    Halt(i32, Option<Value>),
}

/// A value or why there is none.
pub(crate) type Outcome = Result<Value, Stop>;

/// An error with a message.
pub(crate) fn fail<T>(message: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Error(message.into().into()))
}

/// A value as messages show it: beyond 14 bytes it is cut.
pub(crate) fn shown(value: &Value) -> String {
    let text = compact(value);
    if text.len() <= 14 {
        return text;
    }
    let cut =
        text.char_indices().map(|(i, c)| i + c.len_utf8()).take_while(|end| *end <= 11).last().unwrap_or(0);
    format!("{}...", &text[..cut])
}

/// `type (value)`.
pub(crate) fn described(value: &Value) -> String {
    format!("{} ({})", value.kind(), shown(value))
}

/// Operators of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// Applies an operator.
pub(crate) fn binary(op: Op, l: Value, r: Value) -> Outcome {
    use std::cmp::Ordering::{Equal, Greater, Less};
    Ok(Value::Bool(match op {
        Op::Add => return add(l, r),
        Op::Sub => return subtract(l, r),
        Op::Mul => return multiply(l, r),
        Op::Div => return divide(&l, &r),
        Op::Rem => return remainder(&l, &r),
        Op::Eq => l.equals(&r),
        Op::Ne => !l.equals(&r),
        Op::Lt => l.order(&r) == Less,
        Op::Le => matches!(l.order(&r), Less | Equal),
        Op::Gt => l.order(&r) == Greater,
        Op::Ge => matches!(l.order(&r), Greater | Equal),
    }))
}

pub(crate) fn add(l: Value, r: Value) -> Outcome {
    Ok(match (l, r) {
        (Value::Null, other) | (other, Value::Null) => other,
        (Value::Num(a), Value::Num(b)) => Value::Num(a + b),
        (Value::Str(a), Value::Str(b)) => {
            let mut text = String::with_capacity(a.len() + b.len());
            text.push_str(&a);
            text.push_str(&b);
            text.into()
        }
        (Value::Arr(mut a), Value::Arr(b)) => {
            Rc::make_mut(&mut a).extend(b.iter().cloned());
            Value::Arr(a)
        }
        (Value::Obj(mut a), Value::Obj(b)) => {
            let map = Rc::make_mut(&mut a);
            for (key, value) in b.iter() {
                map.insert(key.clone(), value.clone());
            }
            Value::Obj(a)
        }
        (l, r) => return fail(format!("{} and {} cannot be added", described(&l), described(&r))),
    })
}

fn subtract(l: Value, r: Value) -> Outcome {
    match (l, r) {
        (Value::Num(a), Value::Num(b)) => Ok(Value::Num(a - b)),
        (Value::Arr(a), Value::Arr(b)) => {
            // Sorted, so that two long arrays do not take the product of their lengths.
            let mut out: Vec<&Value> = b.iter().collect();
            out.sort_by(|x, y| total(x, y));
            let stays = |v: &&Value| out.binary_search_by(|x| total(x, v)).is_err();
            Ok(a.iter().filter(stays).cloned().collect())
        }
        (l, r) => fail(format!("{} and {} cannot be subtracted", described(&l), described(&r))),
    }
}

fn multiply(l: Value, r: Value) -> Outcome {
    match (l, r) {
        (Value::Num(a), Value::Num(b)) => Ok(Value::Num(a * b)),
        (Value::Str(s), Value::Num(n)) | (Value::Num(n), Value::Str(s)) => {
            if n <= 0.0 || n.is_nan() {
                return Ok(Value::Null);
            }
            // A part of a repetition counts as one.
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive; it saturates"
            )]
            let times = if n < 1.0 { 1 } else { n as usize };
            if s.len().saturating_mul(times) > MAX_STRING {
                return fail("Repeat string result too long");
            }
            Ok(s.repeat(times).into())
        }
        (Value::Obj(a), Value::Obj(b)) => Ok(Value::Obj(merge(a, &b, 0))),
        (l, r) => fail(format!("{} and {} cannot be multiplied", described(&l), described(&r))),
    }
}

fn merge(mut a: Rc<Object>, b: &Rc<Object>, depth: u32) -> Rc<Object> {
    let map = Rc::make_mut(&mut a);
    for (key, value) in b.iter() {
        match (map.get_mut(key), value) {
            (Some(Value::Obj(old)), Value::Obj(new)) if depth < MERGE_DEPTH => {
                *old = merge(std::mem::take(old), new, depth + 1);
            }
            _ => {
                map.insert(key.clone(), value.clone());
            }
        }
    }
    a
}

fn divide(l: &Value, r: &Value) -> Outcome {
    match (l, r) {
        (Value::Num(_), Value::Num(0.0)) => fail(format!(
            "{} and {} cannot be divided because the divisor is zero",
            described(l),
            described(r)
        )),
        (Value::Num(a), Value::Num(b)) => Ok(Value::Num(a / b)),
        (Value::Str(a), Value::Str(b)) => Ok(split(a, b)),
        _ => fail(format!("{} and {} cannot be divided", described(l), described(r))),
    }
}

/// The parts of a string between separators; its characters if the separator is empty.
pub(crate) fn split(text: &str, separator: &str) -> Value {
    if text.is_empty() {
        return Vec::new().into();
    }
    if separator.is_empty() {
        return text.chars().map(|c| Value::from(&*c.encode_utf8(&mut [0; 4]))).collect();
    }
    text.split(separator).map(Value::from).collect()
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "jq takes whole numbers, saturated"
)]
fn remainder(l: &Value, r: &Value) -> Outcome {
    let (Value::Num(a), Value::Num(b)) = (l, r) else {
        return fail(format!("{} and {} cannot be divided (remainder)", described(l), described(r)));
    };
    if a.is_nan() || b.is_nan() {
        return Ok(Value::Num(f64::NAN));
    }
    let (x, y) = (*a as i64, *b as i64);
    if y == 0 {
        return fail(format!(
            "{} and {} cannot be divided (remainder) because the divisor is zero",
            described(l),
            described(r)
        ));
    }
    let rest = x.unsigned_abs() % y.unsigned_abs();
    Ok(Value::Num(if x < 0 { -(rest as f64) } else { rest as f64 }))
}

/// An index as a place in an array of `length`; below the first element it is none.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped"
)]
fn place(n: f64, length: usize) -> Option<usize> {
    let n = n.floor();
    let n = if n < 0.0 { n + length as f64 } else { n };
    (n >= 0.0).then_some(n as usize)
}

/// `t[k]`.
pub(crate) fn index(t: &Value, k: &Value) -> Outcome {
    match (t, k) {
        (Value::Obj(map), Value::Str(key)) => Ok(map.get(key).cloned().unwrap_or_default()),
        (Value::Arr(list), Value::Num(n)) => {
            Ok(place(*n, list.len()).and_then(|i| list.get(i)).cloned().unwrap_or_default())
        }
        (Value::Null, Value::Str(_) | Value::Num(_) | Value::Null) => Ok(Value::Null),
        (Value::Arr(_) | Value::Null | Value::Str(_), Value::Obj(bounds)) => {
            match (bounds.get("start"), bounds.get("end")) {
                (Some(start), Some(end)) => slice(t, start, end),
                _ => fail("Start and end indices of an array slice must be numbers"),
            }
        }
        (Value::Arr(list), Value::Arr(part)) => Ok(indices(list, part)),
        (_, Value::Str(key)) if !matches!(t, Value::Obj(_)) => {
            fail(format!("Cannot index {} with string \"{key}\"", t.kind()))
        }
        _ => fail(format!("Cannot index {} with {}", t.kind(), k.kind())),
    }
}

/// Where `part` begins in `list`.
pub(crate) fn indices(list: &[Value], part: &[Value]) -> Value {
    if part.is_empty() {
        return Value::Null;
    }
    let same = |window: &[Value]| window.iter().zip(part).all(|(a, b)| a.equals(b));
    list.windows(part.len()).enumerate().filter(|(_, w)| same(w)).map(|(i, _)| Value::count(i)).collect()
}

/// The bounds of a slice in something of `length`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped"
)]
fn bounds(from: &Value, to: &Value, length: usize) -> Result<(usize, usize), Stop> {
    let len = length as f64;
    let of = |v: &Value, default: f64| match v {
        Value::Null => Ok(default),
        Value::Num(n) => Ok(if *n < 0.0 { n + len } else { *n }.clamp(0.0, len)),
        _ => fail("Start and end indices of an array slice must be numbers"),
    };
    let start = of(from, 0.0)?.floor();
    let end = of(to, len)?.ceil().max(start);
    Ok((start as usize, end as usize))
}

/// `t[from:to]`.
pub(crate) fn slice(t: &Value, from: &Value, to: &Value) -> Outcome {
    match t {
        Value::Null => Ok(Value::Null),
        Value::Arr(list) => {
            let (start, end) = bounds(from, to, list.len())?;
            Ok(list[start..end].to_vec().into())
        }
        Value::Str(text) => {
            // Strings are counted in characters.
            let (start, end) = bounds(from, to, text.chars().count())?;
            let byte = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(i, _)| i);
            Ok(text[byte(start)..byte(end)].into())
        }
        _ => fail(format!("Cannot index {} with object", t.kind())),
    }
}

/// The value at a path; null where there is nothing.
pub(crate) fn get_path(value: &Value, path: &[Value]) -> Outcome {
    let mut at = value.clone();
    for key in path {
        if matches!(at, Value::Null) {
            return Ok(Value::Null);
        }
        at = index(&at, key)?;
    }
    Ok(at)
}

/// The value with `new` at a path.
pub(crate) fn set_path(value: Value, path: &[Value], new: Value) -> Outcome {
    update_path(value, path, &mut |_| Ok(new.clone()))
}

/// The value with another one at a path, made of the one that is there. Recursion is as deep as the path, which is bounded.
pub(crate) fn update_path(value: Value, path: &[Value], change: &mut dyn FnMut(Value) -> Outcome) -> Outcome {
    let Some((key, rest)) = path.split_first() else { return change(value) };
    if path.len() > 2000 {
        return fail("Path too deep");
    }
    match (value, key) {
        (Value::Obj(mut map), Value::Str(k)) => {
            let object = Rc::make_mut(&mut map);
            // Taken out, so that what is inside is not shared while it changes.
            let old = object.get_mut(k).map(std::mem::take).unwrap_or_default();
            let new = update_path(old, rest, change)?;
            object.insert(k.clone(), new);
            Ok(Value::Obj(map))
        }
        (Value::Null, Value::Str(k)) => {
            let mut map = Map::default();
            map.insert(k.clone(), update_path(Value::Null, rest, change)?);
            Ok(map.into())
        }
        (value @ (Value::Arr(_) | Value::Null), Value::Num(n)) => {
            let mut list = match value {
                Value::Arr(list) => list,
                _ => Rc::new(List::default()),
            };
            let length = list.len();
            if *n > MAX_INDEX {
                return fail("Array index too large");
            }
            let Some(i) = place(*n, length) else { return fail("Out of bounds negative array index") };
            let items = Rc::make_mut(&mut list);
            let old = items.get_mut(i).map(std::mem::take).unwrap_or_default();
            let new = update_path(old, rest, change)?;
            if i >= items.len() {
                items.resize(i + 1, Value::Null);
            }
            items[i] = new;
            Ok(Value::Arr(list))
        }
        (value @ (Value::Arr(_) | Value::Null), Value::Obj(range)) => {
            let (from, to) =
                (range.get("start").unwrap_or(&Value::Null), range.get("end").unwrap_or(&Value::Null));
            let old = slice(&value, from, to)?;
            let mut items = value.into_vec().unwrap_or_default();
            let (start, end) = bounds(from, to, items.len())?;
            let Some(new) = update_path(old, rest, change)?.into_vec() else {
                return fail("A slice of an array can only be assigned another array");
            };
            items.splice(start..end, new);
            Ok(items.into())
        }
        (Value::Arr(_), Value::Arr(_)) => fail("Cannot update field at array index of array"),
        (value, Value::Obj(_)) if !matches!(value, Value::Obj(_)) => {
            fail(format!("Cannot update field at object index of {}", value.kind()))
        }
        (value, key) => index(&value, key).and_then(|_| fail("Invalid path")),
    }
}

/// The value without what is at the paths.
pub(crate) fn delete_paths(mut value: Value, paths: Vec<Value>) -> Outcome {
    let mut paths = paths;
    paths.sort_by(total);
    // From the last one on, so that deleting does not move what is still to be deleted.
    for path in paths.iter().rev() {
        let Value::Arr(path) = path else { return fail("Path must be specified as an array") };
        value = delete_path(value, path)?;
    }
    Ok(value)
}

fn delete_path(value: Value, path: &[Value]) -> Outcome {
    let Some((last, parents)) = path.split_last() else { return Ok(Value::Null) };
    if matches!(get_path(&value, parents)?, Value::Null) {
        return Ok(value);
    }
    update_path(value, parents, &mut |parent| delete_key(parent, last))
}

fn delete_key(parent: Value, key: &Value) -> Outcome {
    match (parent, key) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::Obj(mut map), Value::Str(k)) => {
            if map.contains_key(k) {
                Rc::make_mut(&mut map).shift_remove(k);
            }
            Ok(Value::Obj(map))
        }
        (Value::Arr(mut list), Value::Num(n)) => {
            if let Some(i) = place(*n, list.len()).filter(|i| *i < list.len()) {
                Rc::make_mut(&mut list).remove(i);
            }
            Ok(Value::Arr(list))
        }
        (value @ Value::Arr(_), Value::Obj(range)) => {
            let mut items = value.into_vec().unwrap_or_default();
            let (from, to) =
                (range.get("start").unwrap_or(&Value::Null), range.get("end").unwrap_or(&Value::Null));
            let (start, end) = bounds(from, to, items.len())?;
            items.drain(start..end);
            Ok(items.into())
        }
        (Value::Obj(_), key) => fail(format!("Cannot delete field at object index of {}", key.kind())),
        (Value::Arr(_), key) => fail(format!("Cannot delete field at array index of {}", key.kind())),
        (value, key) => fail(format!(
            "Cannot delete field at {} index of {}",
            if matches!(key, Value::Str(_)) { "object" } else { "array" },
            value.kind()
        )),
    }
}
