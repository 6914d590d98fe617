//! The orders of `PROCINFO["sorted_in"]`, and asort and asorti.

use crate::array::Array;
use crate::builtins::array_of;
use crate::error::{Error, Result, fatal};
use crate::special;
use crate::value::{ArrayRef, Str, Value};
use crate::vm::Vm;
use std::cmp::Ordering;

/// The order of numbers, text, arrays by kind.
fn rank(value: &Value) -> u8 {
    match value {
        Value::Array(_) => 2,
        value if value.strict_num().is_some() => 0,
        _ => 1,
    }
}

fn numbers(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

impl Vm {
    fn by_type(&self, a: &Value, b: &Value) -> Ordering {
        rank(a).cmp(&rank(b)).then_with(|| match (a.strict_num(), b.strict_num()) {
            (Some(x), Some(y)) => numbers(x, y),
            _ => self.by_text(a, b),
        })
    }

    fn by_text(&self, a: &Value, b: &Value) -> Ordering {
        a.with_bytes(&self.conv, |a| b.with_bytes(&self.conv, |b| a.cmp(b)))
    }

    /// Sorts keys and values by the name of an order or of a function of the program.
    fn sort_pairs(&mut self, pairs: &mut Vec<(Str, Value)>, order: &str) -> Result<()> {
        let (base, descending) = match order {
            _ if order.ends_with("_desc") => (order.trim_end_matches("_desc"), true),
            _ => (order.trim_end_matches("_asc"), false),
        };
        let known = match base {
            "@unsorted" => return Ok(()),
            "@ind_str" | "@ind_num" | "@val_type" | "@val_str" | "@val_num" => true,
            _ => false,
        };
        if !known || base == order {
            return self.sort_by_function(pairs, order);
        }
        let compare = |a: &(Str, Value), b: &(Str, Value)| {
            let keys = a.0[..].cmp(&b.0[..]);
            match base {
                "@ind_str" => keys,
                "@ind_num" => {
                    numbers(Value::Str(a.0.clone()).num(), Value::Str(b.0.clone()).num()).then(keys)
                }
                "@val_str" => self.by_text(&a.1, &b.1).then(keys),
                "@val_num" => {
                    let arrays = (rank(&a.1) == 2).cmp(&(rank(&b.1) == 2));
                    arrays
                        .then(numbers(a.1.num(), b.1.num()))
                        .then_with(|| self.by_text(&a.1, &b.1))
                        .then(keys)
                }
                _ => self.by_type(&a.1, &b.1).then(keys),
            }
        };
        pairs.sort_by(|a, b| if descending { compare(b, a) } else { compare(a, b) });
        Ok(())
    }

    fn sort_by_function(&mut self, pairs: &mut Vec<(Str, Value)>, name: &str) -> Result<()> {
        let Some(function) = self.code.by_name.get(name).copied() else {
            return fatal(format!("sort comparison function `{name}' is not defined"));
        };
        // A merge sort of our own: what a function answers may contradict itself, and it may fail.
        let mut from = std::mem::take(pairs);
        let mut width = 1;
        while width < from.len() {
            let mut to = Vec::with_capacity(from.len());
            let mut chunks = from.chunks(2 * width);
            for chunk in &mut chunks {
                let (left, right) = chunk.split_at(width.min(chunk.len()));
                let (mut i, mut j) = (0, 0);
                while i < left.len() && j < right.len() {
                    let (a, b) = (&left[i], &right[j]);
                    let args = [Value::Str(a.0.clone()), a.1.clone(), Value::Str(b.0.clone()), b.1.clone()];
                    if self.call_function(function, &args)?.num() <= 0.0 {
                        to.push(a.clone());
                        i += 1;
                    } else {
                        to.push(b.clone());
                        j += 1;
                    }
                }
                to.extend_from_slice(&left[i..]);
                to.extend_from_slice(&right[j..]);
            }
            from = to;
            width *= 2;
        }
        *pairs = from;
        Ok(())
    }

    /// The keys for a loop over an array.
    pub(crate) fn loop_keys(&mut self, array: &ArrayRef) -> Result<Vec<Str>> {
        let order = match &self.globals[special::PROCINFO as usize] {
            Value::Array(info) => info.borrow().get(b"sorted_in").map(|order| self.str(order)),
            _ => None,
        };
        match order {
            Some(order) if !order.is_empty() => {
                let mut pairs = array.borrow().pairs();
                self.sort_pairs(&mut pairs, &String::from_utf8_lossy(&order))?;
                Ok(pairs.into_iter().map(|(key, _)| key).collect())
            }
            _ => Ok(array.borrow().keys()),
        }
    }

    /// asort, or asorti with `keys`: the array [, the array for the result [, the order]].
    pub(crate) fn sorted_into(&mut self, args: &[Value], keys: bool) -> Result<f64> {
        let source = array_of(args.first())?.ok_or_else(|| Error::Fatal("asort: no array".to_owned()))?;
        let target = array_of(args.get(1))?.unwrap_or_else(|| source.clone());
        let order = match args.get(2) {
            Some(order) => String::from_utf8_lossy(&self.str(order)).into_owned(),
            None if keys => "@ind_str_asc".to_owned(),
            None => "@val_type_asc".to_owned(),
        };
        let mut pairs = source.borrow().pairs();
        self.sort_pairs(&mut pairs, &order)?;
        let mut sorted = Array::default();
        for (i, (key, value)) in pairs.into_iter().enumerate() {
            sorted.set_number(i + 1, if keys { Value::Str(key) } else { value });
        }
        let count = sorted.len() as f64;
        *target.borrow_mut() = sorted;
        Ok(count)
    }
}
