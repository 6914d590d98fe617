//! Functions of values in general: lengths, keys, sorting, grouping, paths.

use super::Table;
use crate::ops::{self, Outcome, Stop, described, fail};
use crate::value::{Map, Value, sort, sorted_keys, total};

/// How deep containment is looked for.
const CONTAINS_DEPTH: u32 = 1000;

pub(super) const TABLE: Table = &[
    ("length", 0, |_, v, _| {
        Ok(match &v {
            Value::Null => Value::Num(0.0),
            Value::Bool(_) => return fail(format!("{} has no length", described(&v))),
            Value::Num(n) => Value::Num(n.abs()),
            Value::Str(s) => Value::count(s.chars().count()),
            Value::Arr(list) => Value::count(list.len()),
            Value::Obj(map) => Value::count(map.len()),
        })
    }),
    ("type", 0, |_, v, _| Ok(v.kind().into())),
    ("keys", 0, |_, v, _| keys(&v, true)),
    ("keys_unsorted", 0, |_, v, _| keys(&v, false)),
    ("has", 1, |_, v, args| match (&v, &args[0]) {
        (Value::Obj(map), Value::Str(key)) => Ok(map.contains_key(key).into()),
        #[allow(clippy::cast_precision_loss, reason = "lengths are small")]
        (Value::Arr(list), Value::Num(n)) => Ok((*n >= 0.0 && *n < list.len() as f64).into()),
        (Value::Null, Value::Str(_) | Value::Num(_)) => Ok(false.into()),
        (v, key) => fail(format!("Cannot check whether {} has a {} key", v.kind(), key.kind())),
    }),
    ("contains", 1, |_, v, args| contains(&v, &args[0], 0).map(Value::Bool)),
    ("add", 0, |_, v, _| match v {
        Value::Arr(list) => sum(list.iter()),
        Value::Obj(map) => sum(map.values()),
        v => fail(format!("Cannot iterate over {}", described(&v))),
    }),
    ("sort", 0, |_, v, _| match v.into_vec_or() {
        Ok(mut list) => {
            sort(&mut list);
            Ok(list.into())
        }
        Err(v) => fail(format!("{} cannot be sorted, as it is not an array", described(&v))),
    }),
    ("_sort_by", 1, |_, v, args| Ok(keyed(v, &mut args[0])?.into_iter().map(|(_, v)| v).collect())),
    ("_group_by", 1, |_, v, args| {
        let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
        for (key, v) in keyed(v, &mut args[0])? {
            match groups.last_mut() {
                Some((last, group)) if last.equals(&key) => group.push(v),
                _ => groups.push((key, vec![v])),
            }
        }
        Ok(groups.into_iter().map(|(_, group)| Value::from(group)).collect())
    }),
    ("unique", 0, |_, v, _| match v.into_vec_or() {
        Ok(mut list) => {
            sort(&mut list);
            list.dedup_by(|a, b| a.equals(b));
            Ok(list.into())
        }
        Err(v) => fail(format!("Cannot iterate over {}", described(&v))),
    }),
    ("min", 0, |_, v, _| extreme(&v, &v, true)),
    ("max", 0, |_, v, _| extreme(&v, &v, false)),
    ("_min_by", 1, |_, v, args| extreme(&v, &args[0], true)),
    ("_max_by", 1, |_, v, args| extreme(&v, &args[0], false)),
    ("reverse", 0, |_, v, _| match v {
        Value::Null => Ok(Vec::new().into()),
        Value::Str(s) => Ok(s.chars().rev().collect::<String>().into()),
        Value::Obj(map) if map.is_empty() => Ok(Vec::new().into()),
        v => match v.into_vec_or() {
            Ok(mut list) => {
                list.reverse();
                Ok(list.into())
            }
            Err(v) => fail(format!("Cannot index {} with number", v.kind())),
        },
    }),
    ("flatten", 0, |_, v, _| flatten(&v, 1e9)),
    ("flatten", 1, |_, v, args| match &args[0] {
        Value::Num(n) if *n < 0.0 => fail("flatten depth must not be negative"),
        Value::Num(n) => flatten(&v, *n),
        _ => fail("flatten depth must not be negative"),
    }),
    ("setpath", 2, |_, v, args| match &args[0] {
        Value::Arr(path) => ops::set_path(v, path, args[1].clone()),
        _ => fail("Path must be specified as an array"),
    }),
    ("delpaths", 1, |_, v, args| match std::mem::take(&mut args[0]).into_vec() {
        Some(paths) => ops::delete_paths(v, paths),
        None => fail("Paths must be specified as an array"),
    }),
    ("bsearch", 1, |_, v, args| match &v {
        Value::Arr(list) => Ok(match list.binary_search_by(|x| total(x, &args[0])) {
            Ok(at) => Value::count(at),
            #[allow(clippy::cast_precision_loss, reason = "lengths are small")]
            Err(at) => Value::Num(-1.0 - at as f64),
        }),
        v => fail(format!("{} cannot be searched from", described(v))),
    }),
    ("_indices", 1, |_, v, args| match (&v, &args[0]) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::Arr(list), Value::Arr(part)) => Ok(ops::indices(list, part)),
        (Value::Arr(list), one) => Ok(ops::indices(list, std::slice::from_ref(one))),
        (Value::Str(text), Value::Str(part)) => Ok(super::strings::indices(text, part)),
        (v, key) => ops::index(v, key),
    }),
    ("_entry", 1, |_, _, args| entry(&args[0])),
];

impl Value {
    fn into_vec_or(self) -> Result<Vec<Value>, Value> {
        match self {
            v @ Value::Arr(_) => Ok(v.into_vec().unwrap_or_default()),
            v => Err(v),
        }
    }
}

fn keys(v: &Value, sorted: bool) -> Outcome {
    match v {
        Value::Obj(map) if sorted => {
            Ok(sorted_keys(map).into_iter().map(|k| Value::Str(k.clone())).collect())
        }
        Value::Obj(map) => Ok(map.keys().map(|k| Value::Str(k.clone())).collect()),
        Value::Arr(list) => Ok((0..list.len()).map(Value::count).collect()),
        v => fail(format!("{} has no keys", described(v))),
    }
}

fn sum<'a>(items: impl Iterator<Item = &'a Value>) -> Outcome {
    let mut text: Option<String> = None;
    let mut total = Value::Null;
    for item in items {
        // Strings are put together in one buffer: adding them pairwise takes the square of the length.
        match (&mut text, item) {
            (Some(text), Value::Str(s)) => text.push_str(s),
            (Some(_), Value::Null) => {}
            (None, Value::Str(s)) if matches!(total, Value::Null) => text = Some(s.to_string()),
            _ => {
                if let Some(text) = text.take() {
                    total = text.into();
                }
                total = ops::add(total, item.clone())?;
            }
        }
    }
    Ok(text.map_or(total, Value::from))
}

/// Values with the keys they are sorted by, sorted.
fn keyed(v: Value, keys: &mut Value) -> Result<Vec<(Value, Value)>, Stop> {
    let keys = std::mem::take(keys);
    match v.into_vec_or() {
        Ok(list) => {
            let keys = keys.into_vec().unwrap_or_default();
            let mut pairs: Vec<_> = keys.into_iter().zip(list).collect();
            pairs.sort_by(|a, b| total(&a.0, &b.0));
            Ok(pairs)
        }
        Err(v) => fail(format!(
            "{} and {} cannot be sorted, as they are not both arrays",
            described(&v),
            described(&keys)
        )),
    }
}

fn extreme(v: &Value, keys: &Value, least: bool) -> Outcome {
    let (Value::Arr(list), Value::Arr(keys)) = (v, keys) else {
        return fail(format!("{} and {} cannot be iterated over", described(v), described(keys)));
    };
    let mut best: Option<(&Value, &Value)> = None;
    for (key, item) in keys.iter().zip(list.iter()) {
        let better = best.is_none_or(|(k, _)| (key.order(k) == std::cmp::Ordering::Less) == least);
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map(|(_, item)| item.clone()).unwrap_or_default())
}

fn flatten(v: &Value, depth: f64) -> Outcome {
    if !matches!(v, Value::Arr(_) | Value::Obj(_)) {
        return fail(format!("Cannot iterate over {}", described(v)));
    }
    let mut out = Vec::new();
    // What is still to be flattened, the next on top: arrays of any depth need no stack of the process.
    let mut todo: Vec<(Value, f64)> = Vec::new();
    let open = |v: &Value, depth: f64, todo: &mut Vec<(Value, f64)>| match v {
        Value::Arr(list) => todo.extend(list.iter().rev().map(|v| (v.clone(), depth))),
        Value::Obj(map) => todo.extend(map.values().rev().map(|v| (v.clone(), depth))),
        _ => {}
    };
    open(v, depth, &mut todo);
    while let Some((v, depth)) = todo.pop() {
        if matches!(v, Value::Arr(_)) && depth > 0.0 {
            open(&v, depth - 1.0, &mut todo);
        } else {
            out.push(v);
        }
    }
    Ok(out.into())
}

fn contains(a: &Value, b: &Value, depth: u32) -> Result<bool, Stop> {
    if depth > CONTAINS_DEPTH {
        return fail("Containment check too deep");
    }
    match (a, b) {
        (Value::Obj(a), Value::Obj(b)) => {
            for (key, inner) in b.iter() {
                match a.get(key) {
                    Some(outer) if inside(outer, inner, depth)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (Value::Arr(a), Value::Arr(b)) => {
            for inner in b.iter() {
                let mut found = false;
                for outer in a.iter() {
                    if inside(outer, inner, depth)? {
                        found = true;
                        break;
                    }
                }
                if !found {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Str(a), Value::Str(b)) => Ok(a.contains(&**b)),
        _ if a.kind() == b.kind() => Ok(a.equals(b)),
        _ => fail(format!("{} and {} cannot have their containment checked", described(a), described(b))),
    }
}

fn inside(a: &Value, b: &Value, depth: u32) -> Result<bool, Stop> {
    if a.kind() == b.kind() { contains(a, b, depth + 1) } else { Ok(a.equals(b)) }
}

/// One entry of `from_entries` as an object.
fn entry(e: &Value) -> Outcome {
    // False is a key and a value like any other; only null is looked for under the next name.
    let member = |names: &[&str]| -> Outcome {
        for name in names {
            let found = ops::index(e, &Value::from(*name))?;
            if !matches!(found, Value::Null) {
                return Ok(found);
            }
        }
        Ok(Value::Null)
    };
    let key = match member(&["key", "k", "name", "Name", "K", "Key"])? {
        Value::Str(key) => key,
        key @ (Value::Num(_) | Value::Bool(_) | Value::Null) => crate::json::print::compact(&key).into(),
        key => return fail(format!("Cannot use {} as object key", described(&key))),
    };
    let mut map = Map::default();
    map.insert(key, member(&["value", "v", "Value", "V"])?);
    Ok(map.into())
}
