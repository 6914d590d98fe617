//! Assignments: those that stay, and those that stand before a command.

use crate::arith::eval::ArithError;
use crate::assoc::Assoc;
use crate::compile::word::Mode;
use crate::ir::{Assign, AssignValue, Element, Part};
use crate::shell::{Flow, Run, Shell};
use crate::symbols::Sym;
use crate::vars::{self, Key, Target, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;

impl Shell {
    /// Runs `f` with assignments that last only as long, and are exported.
    pub(super) fn with_assigns<'a>(
        &mut self,
        assigns: impl IntoIterator<Item = &'a Assign>,
        f: impl FnOnce(&mut Self) -> Run,
    ) -> Run {
        let mut assigns = assigns.into_iter().peekable();
        let some = assigns.peek().is_some();
        if some {
            self.push_assigns(&mut assigns)?;
            if let Some(text) = self.trace_later.take() {
                self.trace_text(|| text);
            }
        }
        let result = f(self);
        if some {
            self.vars.pop_scope();
        }
        result
    }

    /// Makes assignments in a scope of their own, which is gone again if one fails.
    #[inline(never)]
    fn push_assigns(&mut self, assigns: &mut dyn Iterator<Item = &Assign>) -> Run {
        self.vars.push_temporary();
        for assign in assigns {
            let result = self.assign_temporary(assign);
            if result.is_err() {
                self.vars.pop_scope();
                return result;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn assign_temporary(&mut self, assign: &Assign) -> Run {
        let mut value = match &assign.value {
            AssignValue::Scalar(word) => self.expand_string(word)?,
            // An array cannot be passed on: the command sees its text.
            AssignValue::Array(elements) => crate::print::array(elements),
        };
        let mut name = assign.name;
        if self.vars.flags(name) & vars::NAMEREF != 0 {
            name = match self.vars.target(name) {
                Target::Var(target) => target,
                _ => name,
            };
        }
        if self.vars.flags(name) & vars::READONLY != 0 {
            // Bash runs the command without the assignment; in POSIX mode it gives the line up.
            return match self.check_writable(name) {
                Err(Flow::Exit) if self.session.leaving => Err(Flow::Exit),
                _ if self.opts.posix => {
                    self.status = 1;
                    Err(Flow::Discard)
                }
                _ => Ok(()),
            };
        }
        if assign.index.is_some() {
            // An element cannot be passed on.
            return Ok(());
        }
        let flags = self.vars.flags(name);
        if assign.append {
            let old = self.get(name).map(Cow::into_owned).unwrap_or_default();
            value = if flags & vars::INTEGER != 0 { format!("{old}+({value})") } else { old + &value };
        }
        self.trace_text(|| format!("{}={}", name.name(), super::trace::shown(&value)));
        // Of the attributes only the integer counts, and that for what is appended.
        if assign.append {
            value = self.with_attributes(flags & vars::INTEGER, value)?;
        }
        self.vars.make_temporary(name);
        self.set(name, value)?;
        self.vars.set_flags(name, vars::EXPORT, 0);
        Ok(())
    }

    /// Carries an assignment out.
    pub(crate) fn assign(&mut self, assign: &Assign) -> Run {
        let name = assign.name;
        if let (Some(index), AssignValue::Array(_)) = (&assign.index, &assign.value) {
            self.error(&format!("{}[{}]: cannot assign list to array member", name.name(), index.word.raw));
            return Err(self.fatal());
        }
        match &assign.value {
            AssignValue::Scalar(word) => {
                if let [Part::Arith(arith, _)] = word.parts.as_slice()
                    && assign.index.is_none()
                    && !assign.append
                    && !self.opts.xtrace
                {
                    // The number need not become text before somebody asks for it.
                    let n = self.arith(arith)?;
                    return self.set_integer(name, n);
                }
                let value = self.expand_string(word)?;
                self.trace_text(|| {
                    let index =
                        assign.index.as_ref().map(|i| format!("[{}]", i.word.raw)).unwrap_or_default();
                    let sign = if assign.append { "+=" } else { "=" };
                    format!("{}{index}{sign}{}", name.name(), super::trace::shown(&value))
                });
                if let Some(index) = &assign.index {
                    return match self.element_key(name, index) {
                        Ok(Key::Text(key)) if key.is_empty() => {
                            let error = "bad array subscript".to_owned();
                            self.subscript_failed(name, &index.word.raw, ArithError::Message(error))
                        }
                        Ok(key) => self.set_element(name, key, value, assign.append),
                        Err(error) => self.subscript_failed(name, &index.word.raw, error),
                    };
                }
                if !assign.append {
                    return self.set_owned(name, value);
                }
                self.append(name, value)
            }
            AssignValue::Array(elements) => {
                self.trace_text(|| crate::print::assign(assign));
                self.assign_array(name, elements, assign.append)
            }
        }
    }

    /// `name+=value`.
    pub(crate) fn append(&mut self, name: Sym, value: String) -> Run {
        if self.vars.is_array(name) {
            return self.set_element(name, Key::Number(0), value, true);
        }
        if self.vars.flags(name) & vars::NAMEREF != 0
            && let Target::Element(text) = self.vars.target(name)
            && let Some((array, key)) = text.split_once('[')
        {
            let (array, key) = (crate::symbols::sym(array), key.strip_suffix(']').unwrap_or(key));
            let index = crate::compile::index(key, self.line);
            let Ok(index) = index else { return Err(self.fatal()) };
            return match self.element_key(array, &index) {
                Ok(key) => self.set_element(array, key, value, true),
                Err(error) => self.arith_failed(error),
            };
        }
        let target = self.vars.resolve(name);
        if self.vars.flags(target) & vars::INTEGER != 0 {
            let old = self.get(name).map(Cow::into_owned).unwrap_or_default();
            return self.set(name, format!("{}+({value})", if old.is_empty() { "0" } else { &old }));
        }
        // Appending in place keeps loops that build a string linear.
        if self.vars.flags(target) & !vars::EXPORT == 0
            && target > crate::symbols::OPTIND
            && !self.opts.allexport
        {
            let slot = self.vars.slot_mut(target);
            if let Value::Str(text) = &mut slot.value {
                text.push_str(&value);
                self.spare.give(value);
                return Ok(());
            }
        }
        let old = self.get(name).map(Cow::into_owned).unwrap_or_default();
        self.set(name, old + &value)
    }

    /// `name=(…)` and `name+=(…)`.
    #[inline(never)]
    pub(crate) fn assign_array(&mut self, name: Sym, elements: &[Element], append: bool) -> Run {
        let name = self.array_target(name)?;
        self.check_writable(name)?;
        if name == crate::symbols::NOWHERE {
            self.status = 1;
            return Err(Flow::Discard);
        }
        if self.vars.is_assoc(name) {
            return self.assign_assoc(name, elements, append);
        }
        // The elements are expanded before the old value goes: they may refer to it.
        let mut items: Vec<(Option<&Element>, String)> = Vec::new();
        for element in elements {
            match &element.key {
                Some(_) => items.push((Some(element), self.expand_string(&element.word)?)),
                None => {
                    let mut fields = Vec::new();
                    self.expand_fields(&element.word, &mut fields)?;
                    items.extend(fields.into_iter().map(|f| (None, f)));
                }
            }
        }
        let flags = self.vars.flags(name);
        let mut keyed: Vec<(Option<&crate::ir::Index>, bool, String)> = Vec::with_capacity(items.len());
        for (element, mut value) in items {
            let append = element.is_some_and(|e| e.append);
            if flags & !(vars::EXPORT | vars::NOVALUE) != 0 && !(append && flags & vars::INTEGER != 0) {
                value = self.with_attributes(flags, value)?;
            }
            let Some((element, index)) = element.and_then(|e| e.key.as_ref().map(|k| (e, k))) else {
                keyed.push((None, false, value));
                continue;
            };
            if index.word.raw.is_empty() {
                self.bad_subscript(element);
                continue;
            }
            keyed.push((Some(index), append, value));
        }
        // Appending works on the array itself: a copy would make loops that collect into one quadratic.
        let slot = self.vars.slot_mut(name);
        slot.flags &= !vars::NOVALUE;
        let old = if append { std::mem::take(&mut slot.value) } else { Value::Unset };
        let mut array = match old {
            Value::Array(old) => old,
            Value::Str(old) => BTreeMap::from([(0, old)]),
            Value::Int(old) => BTreeMap::from([(0, old.to_string())]),
            Value::Unset | Value::Assoc(_) => BTreeMap::new(),
        };
        let mut next = array.keys().next_back().map_or(0, |n: &i64| n.saturating_add(1));
        for (key, add, value) in keyed {
            // A subscript sees the elements that stand before it in the list.
            let mut at = next;
            if let Some(index) = key {
                self.vars.put(name, Value::Array(array));
                let result = self.try_arith(&index.arith);
                array = match std::mem::take(&mut self.vars.slot_mut(name).value) {
                    Value::Array(array) => array,
                    _ => BTreeMap::new(),
                };
                at = match result {
                    Ok(n) => n,
                    Err(error) => {
                        self.vars.put(name, Value::Array(array));
                        return self.arith_failed(error);
                    }
                };
            }
            let given = at;
            if at < 0 {
                at += array.keys().next_back().map_or(0, |n: &i64| n.saturating_add(1));
            }
            if at < 0 {
                self.error(&format!("[{}]={value}: bad array subscript", given));
                continue;
            }
            if add {
                let old = array.get(&at).cloned().unwrap_or_default();
                let new = if flags & vars::INTEGER != 0 {
                    self.with_attributes(flags, format!("{old}+({value})"))
                } else {
                    Ok(old + &value)
                };
                match new {
                    Ok(new) => drop(array.insert(at, new)),
                    Err(flow) => {
                        self.vars.put(name, Value::Array(array));
                        return Err(flow);
                    }
                }
            } else {
                array.insert(at, value);
            }
            next = at.saturating_add(1);
        }
        self.vars.put(name, Value::Array(array));
        Ok(())
    }

    fn bad_subscript(&mut self, element: &Element) {
        let key = element.key.as_ref().map_or("", |k| &*k.word.raw);
        self.error(&format!("[{key}]={}: bad array subscript", element.word.raw));
    }

    #[inline(never)]
    fn assign_assoc(&mut self, name: Sym, elements: &[Element], append: bool) -> Run {
        let mut pairs: Vec<(String, bool, String)> = Vec::new();
        // `m=(key value …)`: the first element decides.
        if elements.first().is_some_and(|e| e.key.is_none()) {
            let mut plain = Vec::new();
            for element in elements {
                match &element.key {
                    // Here braces are text.
                    None if element.word.raw.is_empty() => {}
                    None if element.word.raw.contains('{') => {
                        let word = crate::compile::word::parse(&element.word.raw, self.line, Mode::Word);
                        let Ok(word) = word else { return Err(self.fatal()) };
                        self.expand_fields(&word, &mut plain)?;
                    }
                    None => self.expand_fields(&element.word, &mut plain)?,
                    Some(index) => {
                        let sign = if element.append { "+=" } else { "=" };
                        let value = self.expand_string(&element.word)?;
                        plain.push(format!("[{}]{sign}{value}", self.expand_string(&index.word)?));
                    }
                }
            }
            let mut plain = plain.into_iter();
            while let Some(key) = plain.next() {
                pairs.push((key, false, plain.next().unwrap_or_default()));
            }
        } else {
            for element in elements.iter().filter(|e| e.key.is_some() || !e.word.raw.is_empty()) {
                let value = self.expand_string(&element.word)?;
                let Some(index) = &element.key else {
                    let text = &element.word.raw;
                    let name = name.name();
                    let quote = if self.assigns_for.is_some() { "'" } else { "" };
                    self.error(&format!(
                        "{name}: {quote}{text}{quote}: must use subscript when assigning associative array"
                    ));
                    continue;
                };
                let key = self.expand_string(&index.word)?;
                if key.is_empty() {
                    self.bad_subscript(element);
                    continue;
                }
                pairs.push((key, element.append, value));
            }
        }
        let flags = self.vars.flags(name);
        let slot = self.vars.slot_mut(name);
        slot.flags &= !vars::NOVALUE;
        let (mut items, old) = match std::mem::take(&mut slot.value) {
            Value::Assoc(old) if append => (old, None),
            Value::Assoc(old) => (Assoc::default(), Some(old)),
            _ => (Assoc::default(), Some(Assoc::default())),
        };
        let mut result = Ok(());
        for (key, add, value) in pairs {
            // What is appended to is what the array had, not what the list has given it.
            let before = if add { old.as_ref().unwrap_or(&items).get(&key) } else { None };
            let value = match add {
                true if flags & vars::INTEGER != 0 => {
                    format!("{}+({value})", before.map_or("0", String::as_str))
                }
                true => before.cloned().unwrap_or_default() + &value,
                false => value,
            };
            match self.with_attributes(flags, value) {
                Ok(value) => items.insert(key, value),
                Err(flow) => {
                    result = Err(flow);
                    break;
                }
            }
        }
        self.vars.put(name, Value::Assoc(items));
        result
    }

    /// Reports an error of a subscript that an assignment has.
    fn subscript_failed(&mut self, name: Sym, raw: &str, error: ArithError) -> Run {
        match error {
            ArithError::Message(m) if m.ends_with("bad array subscript") => {
                self.error(&format!("{}[{raw}]: bad array subscript", name.name()));
                Err(self.serious())
            }
            error => self.arith_failed(error),
        }
    }
}
