//! Operations on the values of parameters: prefixes, suffixes, replacement, substrings, case, quoting. It looks nothing up.

use super::param::Val;
use crate::compile::word::Mode;
use crate::ir::{Anchor, CaseChange, Name, Op, Param, Subscript, Word};
use crate::pattern::{self, Rules};
use crate::shell::{Flow, Shell};
use crate::vars::{self, Value};

impl Shell {
    /// Applies the operation of a parameter to its value.
    #[inline(never)]
    pub(super) fn apply(&mut self, param: &Param, value: Val, quoted: bool) -> Result<Val, Flow> {
        // Nothing is left to do, and the pattern is not even expanded.
        let nothing = match &value {
            Val::Unset => true,
            Val::One(text) => text.is_empty(),
            Val::Many(..) => false,
        };
        if nothing && matches!(param.op, Op::RemovePrefix { .. } | Op::RemoveSuffix { .. } | Op::Case { .. })
        {
            return Ok(value);
        }
        if self.bytes_count() && !matches!(param.op, Op::Transform(_)) {
            let value = self.operate(param, map(value, crate::text::bytewise), quoted, true)?;
            return Ok(map(value, crate::text::whole));
        }
        self.operate(param, value, quoted, false)
    }

    /// The pattern of an operation on text; `bytes`: on [`crate::text::bytewise`] text.
    fn pattern_for(&mut self, word: &Word, bytes: bool) -> Result<String, Flow> {
        let p = self.expand_pattern(word)?;
        Ok(if bytes { crate::text::bytewise(&p) } else { p })
    }

    fn operate(&mut self, param: &Param, value: Val, quoted: bool, bytes: bool) -> Result<Val, Flow> {
        let how = Rules { bytes: false, ..self.pattern_rules(false) };
        let nocase = Rules { bytes: false, ..self.pattern_rules(true) };
        Ok(match &param.op {
            Op::RemovePrefix { longest, pattern } => {
                let p = self.pattern_for(pattern, bytes)?;
                map(value, |text| match pattern::prefix(&p, text, *longest, how) {
                    Some(len) => text[len..].to_owned(),
                    None => text.to_owned(),
                })
            }
            Op::RemoveSuffix { longest, pattern } => {
                let p = self.pattern_for(pattern, bytes)?;
                map(value, |text| match pattern::suffix(&p, text, *longest, how) {
                    Some(at) => text[..at].to_owned(),
                    None => text.to_owned(),
                })
            }
            Op::Replace { all, anchor, pattern, with } => {
                let p = self.pattern_for(pattern, bytes)?;
                let with = if quoted && self.compat <= 42 {
                    // Quotes within double quotes were text.
                    let word = crate::compile::word::parse(&with.raw, self.line, Mode::Prompt);
                    self.expand_replacement(word.as_ref().unwrap_or(with))?
                } else {
                    self.expand_replacement(with)?
                };
                let with = if bytes { crate::text::bytewise(&with) } else { with };
                let with = if self.shopts.patsub_replacement { with } else { literal_replacement(&with) };
                map(value, |text| replace(text, &p, &with, *all, *anchor, nocase))
            }
            // Nothing is evaluated for what has no value.
            Op::Substring { .. } if value == Val::Unset => value,
            Op::Substring { offset, length } => {
                let offset = self.bound(param, offset)?;
                let length = length.as_ref().map(|l| self.bound(param, l)).transpose()?;
                self.substring(param, value, offset, length)?
            }
            Op::Case { upper, all, pattern } => {
                let p = pattern.as_ref().map(|p| self.pattern_for(p, bytes)).transpose()?;
                map(value, |text| change_case(text, *upper, *all, p.as_deref(), how))
            }
            Op::Transform(kind) => self.transform(param, value, *kind)?,
            _ => value,
        })
    }

    /// An expression of a substring; its errors name the parameter.
    fn bound(&mut self, param: &Param, arith: &crate::arith::Arith) -> Result<i64, Flow> {
        match self.try_arith(arith) {
            Ok(n) => Ok(n),
            Err(crate::arith::eval::ArithError::Flow(flow)) => Err(flow),
            Err(crate::arith::eval::ArithError::Message(message)) => {
                let name = super::param::shown(param);
                self.error(&format!("{name}: {message}"));
                Err(self.fatal())
            }
        }
    }

    /// Start and end of a substring of `count` characters; `None` if it lies outside.
    fn bounds(
        &mut self,
        count: i64,
        offset: i64,
        length: Option<i64>,
    ) -> Result<Option<(usize, usize)>, Flow> {
        let start = if offset < 0 { offset + count } else { offset };
        if start < 0 || start > count {
            return Ok(None);
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
        Ok(Some((start as usize, end as usize)))
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
                let Some((start, end)) = self.bounds(count, offset, length)? else {
                    return Ok(Val::One(String::new()));
                };
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
                let end = keyed.last().map_or(0, |(k, _)| k.wrapping_add(1));
                let start = if offset < 0 { offset.wrapping_add(end) } else { offset };
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
        self.note_locale();
        Ok(match kind {
            b'Q' => map(value, quote),
            b'U' | b'L' if self.bytes_count() => {
                map(
                    value,
                    |text| {
                        if kind == b'U' { text.to_ascii_uppercase() } else { text.to_ascii_lowercase() }
                    },
                )
            }
            b'U' => map(value, crate::text::upper),
            b'L' => map(value, crate::text::lower),
            b'u' => map(value, |text| change_case(text, CaseChange::Upper, false, None, Rules::default())),
            b'E' => map(value, crate::compile::word::ansi),
            b'P' => match value {
                Val::Unset => Val::Unset,
                Val::One(text) => Val::One(self.prompt(&text)),
                Val::Many(items, star) => Val::Many(items.iter().map(|i| self.prompt(i)).collect(), star),
            },
            b'a' | b'A' | b'K' | b'k' => {
                let list = matches!(param.index, Some(Subscript::At | Subscript::Star));
                let name = match param.name {
                    Name::Var(name) if param.indirect => match self.indirect_name(name) {
                        Some(name) => name,
                        None => return Ok(value),
                    },
                    Name::Positional(_) if param.indirect => {
                        let Val::One(target) = self.lookup(param.name, None)? else { return Ok(value) };
                        let target = target.split('[').next().unwrap_or_default();
                        if !crate::text::is_name(target) {
                            return Ok(value);
                        }
                        self.vars.resolve(crate::symbols::sym(target))
                    }
                    Name::Var(name) => self.vars.resolve(name),
                    Name::At | Name::Star if kind == b'A' && value != Val::Many(Vec::new(), false) => {
                        let Val::Many(items, _) = value else { return Ok(value) };
                        let items: Vec<String> = items.iter().map(|i| quote(i)).collect();
                        if param.name == Name::At && self.ifs().has(' ') {
                            let start = ["set", "--"].map(str::to_owned);
                            return Ok(Val::Many(start.into_iter().chain(items).collect(), false));
                        }
                        return Ok(Val::One(format!("set -- {}", items.join(" "))));
                    }
                    _ if kind == b'a' => return Ok(map(value, |_| String::new())),
                    _ => return Ok(map(value, quote)),
                };
                match kind {
                    b'a' => {
                        let letters = self.attributes(name);
                        match value {
                            Val::Unset if letters.is_empty() => Val::Unset,
                            Val::Many(items, star) => Val::Many(vec![letters; items.len()], star),
                            _ => Val::One(letters),
                        }
                    }
                    b'A' => {
                        let each = matches!(param.index, Some(Subscript::At));
                        self.apart(self.assignment_form(name, value, list), each)
                    }
                    _ => self.pairs(name, value, list, kind == b'K'),
                }
            }
            _ => value,
        })
    }

    /// The words of a declaration that `[@]` asked for: quotes do not hold together the command and its options.
    fn apart(&self, declaration: Val, each: bool) -> Val {
        match declaration {
            Val::One(text) if each && text.starts_with("declare -") && self.ifs().has(' ') => {
                Val::Many(text.splitn(3, ' ').map(str::to_owned).collect(), false)
            }
            other => other,
        }
    }

    /// `${x@A}`: an assignment that makes the variable what it is.
    fn assignment_form(&self, name: crate::symbols::Sym, value: Val, list: bool) -> Val {
        let letters = self.attributes(name);
        let array = self.vars.is_array(name);
        match value {
            Val::Unset if letters.is_empty() => Val::Unset,
            Val::Unset if array && list => Val::One(self.declaration(name)),
            Val::Unset => Val::One(format!("declare -{letters} {}", name.name())),
            Val::Many(items, _) if !array => match items.first() {
                Some(text) => self.assignment_form(name, Val::One(text.clone()), false),
                None => Val::Unset,
            },
            Val::Many(..) => Val::One(self.declaration(name)),
            Val::One(text) => {
                let head = if letters.is_empty() { String::new() } else { format!("declare -{letters} ") };
                Val::One(format!("{head}{}={}", name.name(), quote(&text)))
            }
        }
    }

    /// `${a[@]@K}` and `${a[@]@k}`: keys with their values.
    fn pairs(&self, name: crate::symbols::Sym, value: Val, list: bool, quoted: bool) -> Val {
        let (true, Val::Many(_, star)) = (list && self.vars.is_array(name), &value) else {
            return map(value, quote);
        };
        let pairs = self.vars.keys(name).into_iter().zip(self.vars.elements(name));
        if !quoted {
            return Val::Many(pairs.flat_map(|(k, v)| [k, v]).collect(), *star);
        }
        if pairs.len() == 0 {
            return Val::Many(Vec::new(), *star);
        }
        let assoc = self.vars.is_assoc(name);
        let text: Vec<String> = pairs
            .map(|(k, v)| {
                let key = if assoc { quoted_key(k) } else { k };
                format!("{key} {}", double_quote(&v))
            })
            .collect();
        // Bash leaves a blank after the last pair of an associative array.
        let end = if assoc && !text.is_empty() { " " } else { "" };
        Val::One(text.join(" ") + end)
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

fn replace(text: &str, p: &str, with: &str, all: bool, anchor: Anchor, how: Rules) -> String {
    if p.is_empty() {
        return match anchor {
            Anchor::Start => substitute(with, "") + text,
            Anchor::End => text.to_owned() + &substitute(with, ""),
            Anchor::Anywhere => text.to_owned(),
        };
    }
    if text.is_empty() {
        // Bash looks for nothing in nothing only when a star leads.
        let hit = (anchor == Anchor::End || p.starts_with('*')) && pattern::matches(p, "", how);
        return if hit { substitute(with, "") } else { String::new() };
    }
    let found = match anchor {
        Anchor::Start => pattern::prefix(p, text, true, how).map(|len| (0, len)).into_iter().collect(),
        Anchor::End => {
            pattern::suffix(p, text, true, how).map(|from| (from, text.len())).into_iter().collect()
        }
        Anchor::Anywhere => pattern::find_all(p, text, all, how),
    };
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (start, end) in found {
        out.push_str(&text[at..start]);
        out.push_str(&substitute(with, &text[start..end]));
        at = end;
    }
    out.push_str(&text[at..]);
    out
}

/// The replacement when `&` stands for itself: quoting goes.
fn literal_replacement(with: &str) -> String {
    let mark = crate::regex::MARK;
    with.chars()
        .filter(|c| *c != mark)
        .flat_map(|c| matches!(c, '&' | '\\').then_some(mark).into_iter().chain([c]))
        .collect()
}

/// The replacement with `&` standing for what matched.
fn substitute(with: &str, matched: &str) -> String {
    if !with.contains(['&', '\\', crate::regex::MARK]) {
        return with.to_owned();
    }
    let mut out = String::new();
    let mut chars = with.chars();
    while let Some(c) = chars.next() {
        match c {
            '&' => out.push_str(matched),
            crate::regex::MARK => out.extend(chars.next()),
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

fn change_case(text: &str, change: CaseChange, all: bool, p: Option<&str>, how: Rules) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, c) in text.chars().enumerate() {
        let chosen =
            (all || i == 0) && p.is_none_or(|p| pattern::matches(p, c.encode_utf8(&mut [0; 4]), how));
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

/// Whether a character cannot be shown: control characters, what is no character, bytes that are not UTF-8.
pub(crate) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || !c.is_ascii() && crate::text::bytes_count()
        || c as u32 & 0xfffe == 0xfffe
        || matches!(c, '\u{10ff80}'..='\u{10ffff}' | '\u{2028}' | '\u{2029}')
}

/// Text in single quotes, or `$'…'` if it holds control characters, as `${x@Q}` and `set` print it.
pub(crate) fn quote(text: &str) -> String {
    if text.chars().any(is_unprintable) {
        return ansi_quote(text);
    }
    if text == "'" {
        return "\\'".into();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A name in a message: as it is, or as `$'…'` if it holds control characters.
pub(crate) fn printable(name: &str) -> std::borrow::Cow<'_, str> {
    if name.chars().any(is_unprintable) { ansi_quote(name).into() } else { name.into() }
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
            c if is_unprintable(c) => {
                for byte in crate::text::to_bytes(c.encode_utf8(&mut [0; 4])).iter() {
                    out.push_str(&format!("\\{byte:03o}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// The key of an associative array as `declare -p` prints it: in quotes if the shell would take it for more than text.
pub(crate) fn quoted_key(key: String) -> String {
    let mut before = None;
    let special = key.chars().any(|c| {
        let last = before.replace(c);
        match c {
            '~' => matches!(last, None | Some('=' | ':')),
            '#' => last.is_none(),
            c => is_unprintable(c) || " \t\n'\"\\|&;()<>!{}*[]?^$`".contains(c),
        }
    });
    if special || key == "@" { double_quote(&key) } else { key }
}

/// Text in double quotes, as `declare -p` prints it.
pub(crate) fn double_quote(text: &str) -> String {
    if text.chars().any(is_unprintable) {
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
