//! Regular expressions: matches as jq describes them, with offsets in characters, and what is made of matches.
//!
//! The engine is not Oniguruma, so its rarer constructs (absent operators, callouts) are errors here.

use super::Table;
use crate::ops::{Outcome, Stop, described, fail};
use crate::value::{Map, Value};
use fancy_regex::{Regex, RegexBuilder};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Steps of a search that backtracks, before it is given up.
const STEPS: usize = 10_000_000;
/// Compiled expressions that are kept.
const KEPT: usize = 64;

pub(super) const TABLE: Table = &[
    ("_match", 3, |_, v, args| matches(&v, &args[0], &args[1], args[2].truthy())),
    ("_split_at", 2, |_, _, args| {
        let (Value::Str(text), Value::Arr(found)) = (&args[0], &args[1]) else {
            return fail("split: no string");
        };
        let mut places = Places::new(text);
        let mut parts = Vec::new();
        let mut from = 0;
        for m in found.iter() {
            let (start, end) = bounds(m);
            parts.push(Value::from(&text[from..places.byte(start).max(from)]));
            from = places.byte(end).max(from);
        }
        parts.push(Value::from(&text[from..]));
        Ok(parts.into())
    }),
    ("_splice", 3, |_, _, args| {
        let (Value::Str(text), Value::Arr(found), Value::Arr(new)) = (&args[0], &args[1], &args[2]) else {
            return fail(format!("{} cannot be matched, as it is not a string", described(&args[0])));
        };
        let mut places = Places::new(text);
        let mut out = String::new();
        let mut from = 0;
        for (m, new) in found.iter().zip(new.iter()) {
            let Value::Str(new) = new else {
                return fail(format!("{} cannot be added to a string", described(new)));
            };
            let (start, end) = bounds(m);
            out.push_str(&text[from..places.byte(start).max(from)]);
            out.push_str(new);
            from = places.byte(end).max(from);
        }
        out.push_str(&text[from..]);
        Ok(out.into())
    }),
];

/// Offset and end of a match, in characters.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they are places in a string")]
fn bounds(m: &Value) -> (usize, usize) {
    let number = |key: &str| match crate::ops::index(m, &key.into()) {
        Ok(Value::Num(n)) => n as usize,
        _ => 0,
    };
    let start = number("offset");
    (start, start + number("length"))
}

/// Bytes of places that are asked for in ascending order.
struct Places<'a> {
    text: &'a str,
    chars: usize,
    byte: usize,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        Places { text, chars: 0, byte: 0 }
    }

    fn byte(&mut self, chars: usize) -> usize {
        while self.chars < chars {
            let Some(c) = self.text[self.byte..].chars().next() else { break };
            self.byte += c.len_utf8();
            self.chars += 1;
        }
        self.byte
    }

    fn char(&mut self, byte: usize) -> usize {
        if byte < self.byte {
            return self.text[..byte].chars().count();
        }
        self.chars += self.text[self.byte..byte].chars().count();
        self.byte = byte;
        self.chars
    }
}

/// Expressions by their text and flags.
type Compiled = HashMap<(Rc<str>, Rc<str>), Rc<Regex>>;

thread_local! {
    static COMPILED: RefCell<Compiled> = RefCell::new(HashMap::new());
}

fn compiled(pattern: &Rc<str>, flags: &Rc<str>) -> Result<Rc<Regex>, Stop> {
    let key = (pattern.clone(), flags.clone());
    if let Some(regex) = COMPILED.with_borrow(|c| c.get(&key).cloned()) {
        return Ok(regex);
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.backtrack_limit(STEPS).delegate_size_limit(10 << 20);
    for flag in flags.chars() {
        match flag {
            // `^` and `$` are those of a single line anyway.
            'g' | 'n' | 's' => {}
            'l' => return fail("the modifier l (longest match) is not supported"),
            'i' => {
                builder.case_insensitive(true);
            }
            'x' => {
                builder.ignore_whitespace(true);
            }
            'p' => {
                builder.dot_matches_new_line(true);
            }
            _ => return fail(format!("{flags} is not a valid modifier string")),
        }
    }
    builder.find_not_empty(flags.contains('n'));
    match builder.build() {
        Ok(regex) => {
            let regex = Rc::new(regex);
            COMPILED.with_borrow_mut(|kept| {
                if kept.len() >= KEPT {
                    kept.clear();
                }
                kept.insert(key, regex.clone());
            });
            Ok(regex)
        }
        Err(e) => fail(format!("{pattern} (at offset 0) is not a valid regex: {e}")),
    }
}

fn matches(v: &Value, pattern: &Value, flags: &Value, test: bool) -> Outcome {
    let Value::Str(text) = v else {
        return fail(format!("{} cannot be matched, as it is not a string", described(v)));
    };
    let Value::Str(pattern) = pattern else {
        // The words of the definition that looks at the kind of the argument first.
        return fail(format!("{} not a string or array", pattern.kind()));
    };
    let flags: Rc<str> = match flags {
        Value::Null => "".into(),
        Value::Str(flags) => flags.clone(),
        flags => return fail(format!("{} is not a string", described(flags))),
    };
    let regex = compiled(pattern, &flags)?;
    let text: &str = text;
    let broken = |e: fancy_regex::Error| Stop::Error(format!("regex: {e}").into());
    if test {
        return Ok(regex.is_match(text).map_err(broken)?.into());
    }
    let names: Vec<Option<&str>> = regex.capture_names().collect();
    let mut places = Places::new(text);
    let mut found = Vec::new();
    for captures in regex.captures_iter(text) {
        let captures = captures.map_err(broken)?;
        let Some(whole) = captures.get(0) else { continue };
        let offset = places.char(whole.start());
        let mut groups = Vec::new();
        for (i, name) in names.iter().enumerate().skip(1) {
            let group = captures.get(i);
            let mut map = Map::default();
            let (offset, length, string) = match group {
                Some(m) => (
                    Value::count(offset + text[whole.start()..m.start().max(whole.start())].chars().count()),
                    m.as_str().chars().count(),
                    Value::from(m.as_str()),
                ),
                None => (Value::Num(-1.0), 0, Value::Null),
            };
            // The order of keys is jq's too.
            let absent = group.is_none();
            map.insert("offset".into(), offset);
            if absent {
                map.insert("string".into(), Value::Null);
            }
            map.insert("length".into(), Value::count(length));
            if !absent {
                map.insert("string".into(), string);
            }
            map.insert("name".into(), name.map_or(Value::Null, Value::from));
            groups.push(map.into());
        }
        let mut map = Map::default();
        map.insert("offset".into(), Value::count(offset));
        map.insert("length".into(), Value::count(whole.as_str().chars().count()));
        map.insert("string".into(), whole.as_str().into());
        map.insert("captures".into(), groups.into());
        found.push(map.into());
        if !flags.contains('g') {
            break;
        }
    }
    Ok(found.into())
}
