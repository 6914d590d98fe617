//! Operations on the values of parameters: prefixes, suffixes, replacement, substrings, case, quoting. It looks nothing up.

use super::param::Val;
use crate::ir::{Anchor, CaseChange, Name, Op, Param, Subscript};
use crate::pattern;
use crate::shell::{Flow, Shell};
use crate::vars::{self, Value};

impl Shell {
    /// Applies the operation of a parameter to its value.
    #[inline(never)]
    pub(super) fn apply(&mut self, param: &Param, value: Val) -> Result<Val, Flow> {
        let nocase = self.shopts.nocasematch;
        Ok(match &param.op {
            Op::RemovePrefix { longest, pattern } => {
                let p = self.expand_pattern(pattern)?;
                map(value, |text| match pattern::prefix(&p, text, *longest, false) {
                    Some(len) => text[len..].to_owned(),
                    None => text.to_owned(),
                })
            }
            Op::RemoveSuffix { longest, pattern } => {
                let p = self.expand_pattern(pattern)?;
                map(value, |text| match pattern::suffix(&p, text, *longest, false) {
                    Some(at) => text[..at].to_owned(),
                    None => text.to_owned(),
                })
            }
            Op::Replace { all, anchor, pattern, with } => {
                let p = self.expand_pattern(pattern)?;
                let with = self.expand_replacement(with)?;
                map(value, |text| replace(text, &p, &with, *all, *anchor, nocase))
            }
            Op::Substring { offset, length } => {
                let offset = self.arith(offset)?;
                let length = length.as_ref().map(|l| self.arith(l)).transpose()?;
                self.substring(param, value, offset, length)?
            }
            Op::Case { upper, all, pattern } => {
                let p = pattern.as_ref().map(|p| self.expand_pattern(p)).transpose()?;
                map(value, |text| change_case(text, *upper, *all, p.as_deref()))
            }
            Op::Transform(kind) => self.transform(param, value, *kind)?,
            _ => value,
        })
    }

    fn substring(
        &mut self,
        param: &Param,
        value: Val,
        offset: i64,
        length: Option<i64>,
    ) -> Result<Val, Flow> {
        match value {
            Val::Unset => Ok(Val::Unset),
            Val::One(text) => {
                let ascii = text.is_ascii();
                let count = if ascii { text.len() } else { text.chars().count() } as i64;
                let start = if offset < 0 { offset + count } else { offset };
                if start < 0 || start > count {
                    return Ok(Val::One(String::new()));
                }
                let end = match length {
                    None => count,
                    Some(n) if n < 0 => count + n,
                    Some(n) => start.saturating_add(n).min(count),
                };
                if end < start {
                    self.error(&format!("{}: substring expression < 0", length.unwrap_or(0)));
                    self.status = 1;
                    return Err(Flow::Discard);
                }
                let (start, end) = (start as usize, end as usize);
                Ok(Val::One(if ascii {
                    text[start..end].to_owned()
                } else {
                    text.chars().skip(start).take(end - start).collect()
                }))
            }
            Val::Many(items, star) => {
                let keyed = match param.name {
                    Name::At | Name::Star => {
                        let all = std::iter::once(self.zero.clone()).chain(items);
                        all.enumerate().map(|(i, v)| (i as i64, v)).collect()
                    }
                    Name::Var(name) if matches!(param.index, Some(Subscript::At | Subscript::Star)) => {
                        self.keyed_elements(name)
                    }
                    _ => items.into_iter().enumerate().map(|(i, v)| (i as i64, v)).collect::<Vec<_>>(),
                };
                let end = keyed.last().map_or(0, |(k, _)| k + 1);
                let start = if offset < 0 { offset + end } else { offset };
                if start < 0 {
                    return Ok(Val::Many(Vec::new(), star));
                }
                let take = match length {
                    None => usize::MAX,
                    Some(n) if n < 0 => {
                        self.error(&format!("{n}: substring expression < 0"));
                        self.status = 1;
                        return Err(Flow::Discard);
                    }
                    Some(n) => n as usize,
                };
                let items =
                    keyed.into_iter().filter(|(k, _)| *k >= start).take(take).map(|(_, v)| v).collect();
                Ok(Val::Many(items, star))
            }
        }
    }

    fn transform(&mut self, param: &Param, value: Val, kind: u8) -> Result<Val, Flow> {
        Ok(match kind {
            b'Q' => map(value, quote),
            b'U' => map(value, crate::text::upper),
            b'L' => map(value, crate::text::lower),
            b'u' => map(value, |text| change_case(text, CaseChange::Upper, false, None)),
            b'E' => map(value, crate::compile::word::ansi),
            b'P' => match value {
                Val::Unset => Val::Unset,
                Val::One(text) => Val::One(self.prompt(&text)),
                Val::Many(items, star) => Val::Many(items.iter().map(|i| self.prompt(i)).collect(), star),
            },
            b'a' | b'A' => {
                let Name::Var(name) = param.name else { return Ok(value) };
                let letters = self.attributes(self.vars.resolve(name));
                if kind == b'a' {
                    return Ok(if letters.is_empty() && value == Val::Unset {
                        Val::Unset
                    } else {
                        Val::One(letters)
                    });
                }
                match (param.index.is_some(), value) {
                    (false, Val::Unset) if letters.is_empty() => Val::Unset,
                    (true, _) | (_, Val::Unset | Val::Many(..)) => Val::One(self.declaration(name)),
                    (false, Val::One(text)) => {
                        let head =
                            if letters.is_empty() { String::new() } else { format!("declare -{letters} ") };
                        Val::One(format!("{head}{}={}", name.name(), quote(&text)))
                    }
                }
            }
            b'K' | b'k' => {
                let Name::Var(name) = param.name else { return Ok(map(value, quote)) };
                if !self.vars.is_array(name) {
                    return Ok(map(value, quote));
                }
                let name = self.vars.resolve(name);
                let pairs = self.vars.keys(name).into_iter().zip(self.vars.elements(name));
                if kind == b'k' {
                    return Ok(Val::Many(pairs.flat_map(|(k, v)| [k, v]).collect(), false));
                }
                let text: Vec<String> = pairs.map(|(k, v)| format!("{k} {}", double_quote(&v))).collect();
                Val::One(text.join(" "))
            }
            _ => value,
        })
    }

    /// The letters of a variable's attributes.
    pub(crate) fn attributes(&self, name: crate::symbols::Sym) -> String {
        let mut out = String::new();
        let Some(slot) = self.vars.slot(name) else { return out };
        match slot.value {
            Value::Array(_) => out.push('a'),
            Value::Assoc(_) => out.push('A'),
            _ => {}
        }
        let flags = [
            (vars::INTEGER, 'i'),
            (vars::NAMEREF, 'n'),
            (vars::READONLY, 'r'),
            (vars::TRACE, 't'),
            (vars::EXPORT, 'x'),
            (vars::CAPITAL, 'c'),
            (vars::LOWER, 'l'),
            (vars::UPPER, 'u'),
        ];
        out.extend(flags.iter().filter(|(flag, _)| slot.flags & flag != 0).map(|(_, letter)| *letter));
        out
    }
}

fn map(value: Val, f: impl Fn(&str) -> String) -> Val {
    match value {
        Val::Unset => Val::Unset,
        Val::One(text) => Val::One(f(&text)),
        Val::Many(items, star) => Val::Many(items.iter().map(|i| f(i)).collect(), star),
    }
}

fn replace(text: &str, p: &str, with: &str, all: bool, anchor: Anchor, nocase: bool) -> String {
    if p.is_empty() {
        return match anchor {
            Anchor::Start => substitute(with, "") + text,
            Anchor::End => text.to_owned() + &substitute(with, ""),
            Anchor::Anywhere => text.to_owned(),
        };
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    loop {
        let found = match anchor {
            Anchor::Start => pattern::prefix(p, text, true, nocase).map(|len| (0, len)),
            Anchor::End => pattern::suffix(p, text, true, nocase).map(|from| (from, text.len())),
            Anchor::Anywhere => pattern::find(p, text, at, nocase),
        };
        let Some((start, end)) = found else { break };
        out.push_str(&text[at..start]);
        out.push_str(&substitute(with, &text[start..end]));
        at = end;
        if start == end {
            // An empty match: go on after the next character.
            match text[at..].chars().next() {
                Some(c) => {
                    out.push(c);
                    at += c.len_utf8();
                }
                None => break,
            }
        }
        if !all || at >= text.len() {
            break;
        }
    }
    out.push_str(&text[at.min(text.len())..]);
    out
}

/// The replacement with `&` standing for what matched.
fn substitute(with: &str, matched: &str) -> String {
    if !with.contains(['&', '\\']) {
        return with.to_owned();
    }
    let mut out = String::new();
    let mut chars = with.chars();
    while let Some(c) = chars.next() {
        match c {
            '&' => out.push_str(matched),
            '\\' => match chars.next() {
                Some(c @ ('&' | '\\')) => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}

fn change_case(text: &str, change: CaseChange, all: bool, p: Option<&str>) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, c) in text.chars().enumerate() {
        let chosen =
            (all || i == 0) && p.is_none_or(|p| pattern::matches(p, c.encode_utf8(&mut [0; 4]), false));
        match change {
            _ if !chosen => out.push(c),
            CaseChange::Upper => out.push(crate::text::upper_char(c)),
            CaseChange::Lower => out.push(crate::text::lower_char(c)),
            CaseChange::Toggle if c.is_uppercase() => out.push(crate::text::lower_char(c)),
            CaseChange::Toggle => out.push(crate::text::upper_char(c)),
        }
    }
    out
}

/// Text in single quotes, or `$'…'` if it holds control characters, as `${x@Q}` and `set` print it.
pub(crate) fn quote(text: &str) -> String {
    if text.chars().any(char::is_control) {
        return ansi_quote(text);
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Text as `$'…'`.
pub(crate) fn ansi_quote(text: &str) -> String {
    let mut out = String::from("$'");
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x1b' => out.push_str("\\E"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\{:03o}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// Text in double quotes, as `declare -p` prints it.
pub(crate) fn double_quote(text: &str) -> String {
    if text.chars().any(char::is_control) {
        return ansi_quote(text);
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}
