//! Parameters: looking them up, tests for unset and empty, lists. Operations on text are in `ops`.

use super::sink::Sink;
use crate::arith::eval::ArithError;
use crate::ir::{Name, Op, Param, Subscript, Word};
use crate::shell::{Flow, Run, Shell};
use crate::symbols::{self, sym};
use crate::vars::{self, Key, Target, Value};
use std::borrow::Cow;
use std::rc::Rc;

/// What a parameter holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Val {
    Unset,
    One(String),
    /// A list; true for `*`.
    Many(Vec<String>, bool),
}

impl Shell {
    /// Expands a parameter.
    #[inline(never)]
    pub(super) fn param(&mut self, param: &Param, quoted: bool, sink: &mut Sink) -> Run {
        if let (Op::None, None, false) = (&param.op, &param.index, param.indirect)
            && self.plain_param(param, quoted, sink)
        {
            return Ok(());
        }
        match &param.op {
            Op::Transform(0) => {
                return self.bad_substitution(param);
            }
            // Bash looks at the letter only if there is something to transform, and then ends.
            Op::Transform(1) => {
                let value = self.param_value(param)?;
                if matches!(&value, Val::Unset) || matches!(&value, Val::Many(items, _) if items.is_empty()) {
                    self.push(value, quoted, sink);
                    return Ok(());
                }
                let _ = self.bad_substitution(param);
                self.status = self.status_at_exit();
                return Err(Flow::Exit);
            }
            Op::Names { star } => {
                let Name::Var(prefix) = param.name else { return Ok(()) };
                let prefix = prefix.name();
                let names: Vec<String> = self
                    .vars
                    .all()
                    .into_iter()
                    .filter(|(name, sym)| name.starts_with(&*prefix) && self.vars.is_set(*sym))
                    .map(|(name, _)| name.to_string())
                    .collect();
                // Unquoted they are one word when nothing separates.
                let names = match *star && !quoted && self.joiner().is_empty() {
                    true => Val::One(names.concat()),
                    false => Val::Many(names, *star),
                };
                self.push(names, quoted, sink);
                return Ok(());
            }
            Op::Keys => {
                let Name::Var(name) = param.name else { return Ok(()) };
                let name = self.vars.resolve(name);
                let keys = match self.computed_array(name) {
                    Some(items) => (0..items.len()).map(|i| i.to_string()).collect(),
                    None => self.vars.keys(name),
                };
                let star = matches!(param.index, Some(Subscript::Star));
                let keys = match star && !quoted && self.joiner().is_empty() {
                    true => Val::One(keys.join(" ")),
                    false => Val::Many(keys, star),
                };
                self.push(keys, quoted, sink);
                return Ok(());
            }
            // Counted where they are: a loop up to `${#a[@]}` would copy the array at every turn.
            Op::Length if !param.indirect => {
                // What refers to an element has no length.
                if let (Name::Var(name), None) = (param.name, &param.index)
                    && self.vars.flags(name) & vars::NAMEREF != 0
                    && matches!(self.vars.target(name), Target::Element(_))
                {
                    sink.value("0", quoted, &self.ifs());
                    return Ok(());
                }
                if let (Name::Var(name), Some(Subscript::At | Subscript::Star)) = (param.name, &param.index)
                    && name > symbols::LAST_DYNAMIC
                    && self.vars.is_array(name)
                {
                    let mut digits = [0u8; 20];
                    let n = self.vars.count(self.vars.resolve(name));
                    sink.value(super::decimal(n as i64, &mut digits), quoted, &self.ifs());
                    return Ok(());
                }
            }
            _ => {}
        }
        let value = self.param_value(param)?;
        self.warn_circle();
        if let Op::Test { colon, kind, word } = &param.op {
            return self.test_param(param, value, (*colon, *kind, word), quoted, sink);
        }
        if value == Val::Unset && self.opts.nounset && !self.refers_to_element(param) {
            let element = matches!(param.index, Some(Subscript::Index(_)));
            if !(element && matches!(param.op, Op::Length)) {
                return self.unbound(&shown(param));
            }
        }
        if let Op::Length = param.op {
            let n = match &value {
                Val::Unset => 0,
                Val::One(text) if self.bytes_count() => crate::text::to_bytes(text).len(),
                Val::One(text) => text.chars().count(),
                Val::Many(items, _) => items.len(),
            };
            sink.value(&n.to_string(), quoted, &self.ifs());
            return Ok(());
        }
        if let Op::Substring { offset, .. } = &param.op
            && offset.text.is_empty()
            && param.raw.ends_with(':')
            && !param.raw.ends_with("::")
        {
            return self.bad_substitution(param);
        }
        let value = self.apply(param, value, quoted)?;
        self.push(value, quoted, sink);
        Ok(())
    }

    /// The most common word: one plain parameter whose value is one field as it is. False: not that.
    pub(super) fn whole_param(&mut self, param: &Param, quoted: bool, out: &mut Vec<String>) -> bool {
        if !matches!((&param.op, &param.index, param.indirect), (Op::None, None, false)) {
            return false;
        }
        let mut digits = [0u8; 20];
        let text = match param.name {
            Name::Var(name) if name > symbols::LAST_DYNAMIC => match self.vars.slot(name) {
                Some(vars::Slot { value: Value::Str(text), flags, .. }) if flags & vars::NAMEREF == 0 => text,
                Some(vars::Slot { value: Value::Int(n), .. }) => super::decimal(*n, &mut digits),
                _ => return false,
            },
            Name::Positional(n) if n > 0 => match self.args.get(n - 1) {
                Some(text) => text,
                None => return false,
            },
            Name::Count => super::decimal(self.args.len() as i64, &mut digits),
            Name::Status => super::decimal(i64::from(self.status), &mut digits),
            _ => return false,
        };
        if !quoted && (text.is_empty() || self.ifs().splits(text) || super::sink::has_glob(text)) {
            return false;
        }
        out.push(self.spare.text(text));
        true
    }

    /// The common case without copies: a plain variable or parameter that is set. False: not that.
    fn plain_param(&mut self, param: &Param, quoted: bool, sink: &mut Sink) -> bool {
        match param.name {
            Name::Var(name) if name > symbols::LAST_DYNAMIC => {
                let Some(slot) = self.vars.slot(name) else { return false };
                match &slot.value {
                    Value::Str(text) if slot.flags & vars::NAMEREF == 0 => {
                        if quoted {
                            sink.quoted(text);
                        } else {
                            sink.value(text, false, &self.ifs());
                        }
                        true
                    }
                    Value::Int(n) => {
                        let mut digits = [0u8; 20];
                        sink.value(super::decimal(*n, &mut digits), quoted, &self.ifs());
                        true
                    }
                    _ => false,
                }
            }
            Name::Positional(n) if n > 0 => match self.args.get(n - 1) {
                Some(text) => {
                    sink.value(text, quoted, &self.ifs());
                    true
                }
                None => false,
            },
            Name::At | Name::Star => {
                let star = param.name == Name::Star;
                let joiner = if star { self.joiner() } else { String::new() };
                sink.list(&self.args, star, quoted, &self.ifs(), &joiner);
                true
            }
            _ => false,
        }
    }

    fn push(&mut self, value: Val, quoted: bool, sink: &mut Sink) {
        match value {
            Val::Unset if quoted => sink.quoted(""),
            Val::Unset => {}
            Val::One(text) => sink.value(&text, quoted, &self.ifs()),
            Val::Many(items, star) => {
                let joiner = if star { self.joiner() } else { String::new() };
                sink.list(&items, star, quoted, &self.ifs(), &joiner);
            }
        }
    }

    fn bad_substitution(&mut self, param: &Param) -> Run {
        self.error(&format!("${{{}}}: bad substitution", param.raw));
        Err(self.serious())
    }

    /// What `${x?}` names in its message: of an indirect parameter, what it leads to.
    fn subject(&mut self, param: &Param) -> String {
        match param.name {
            Name::Var(name) if param.indirect => {
                self.get(name).map_or_else(|| name.name().to_string(), Cow::into_owned)
            }
            _ => shown(param),
        }
    }

    /// The array or variable that the value of an indirect parameter names.
    pub(super) fn indirect_name(&self, name: crate::symbols::Sym) -> Option<crate::symbols::Sym> {
        let target = self.get(name)?;
        let name = target.split('[').next().filter(|name| crate::text::is_name(name))?;
        Some(self.vars.resolve(sym(name)))
    }

    /// Whether a plain name is a reference to an element, which `set -u` lets pass.
    fn refers_to_element(&self, param: &Param) -> bool {
        match (param.name, &param.index, param.indirect) {
            (Name::Var(name), None, false) => matches!(self.vars.target(name), Target::Element(_)),
            _ => false,
        }
    }

    /// Whether strings count as bytes: the locale is `C`.
    pub(crate) fn bytes_count(&self) -> bool {
        let known = [symbols::LC_ALL, symbols::LC_CTYPE, symbols::LANG];
        let deciding = known.into_iter().find_map(|name| self.vars.get(name).filter(|v| !v.is_empty()));
        deciding.is_some_and(|v| matches!(&*v, "C" | "POSIX"))
    }

    /// Tells the locale to what has no shell to ask.
    pub(crate) fn note_locale(&self) {
        crate::text::note_bytes(self.bytes_count());
    }

    pub(super) fn unbound(&mut self, what: &str) -> Run {
        self.error(&format!("{what}: unbound variable"));
        self.status = self.status_at_exit();
        Err(Flow::Exit)
    }

    /// The value of a parameter before its operation.
    fn param_value(&mut self, param: &Param) -> Result<Val, Flow> {
        let value = self.lookup(param.name, param.index.as_ref())?;
        if !param.indirect {
            return Ok(value);
        }
        if let Name::Var(name) = param.name
            && self.vars.flags(name) & vars::NAMEREF != 0
        {
            return Ok(match self.vars.target(name) {
                Target::Var(target) if target == name => Val::Unset,
                Target::Var(target) => Val::One(target.name().to_string()),
                Target::Element(text) => Val::One(text),
                Target::Global(_) | Target::Nothing => Val::Unset,
            });
        }
        match value {
            Val::One(target) if !target.is_empty() => self.lookup_text(&target),
            Val::Many(items, _) if items.len() == 1 => self.lookup_text(&items[0]),
            Val::One(_) => self.lookup_text(""),
            // A variable that is there, but has no value or not this element.
            Val::Unset
                if matches!((param.name, &param.index), (Name::Var(name), None | Some(Subscript::Index(_)))
                    if self.vars.is_declared(self.vars.resolve(name))) =>
            {
                Ok(Val::Unset)
            }
            _ => {
                let name = shown(param);
                Err(self.give_up(&format!("{name}: invalid indirect expansion")))
            }
        }
    }

    /// The value of what text names.
    pub(crate) fn lookup_text(&mut self, target: &str) -> Result<Val, Flow> {
        if let Some((name, rest)) = target.split_once('[')
            && let Some(index) = rest.strip_suffix(']')
            && crate::text::is_name(name)
        {
            let index = match index {
                "@" => Subscript::At,
                "*" => Subscript::Star,
                _ => match crate::compile::index(index, self.line) {
                    Ok(index) => Subscript::Index(index),
                    Err(_) => return Ok(Val::Unset),
                },
            };
            return self.lookup(Name::Var(sym(name)), Some(&index));
        }
        let name = match target {
            "@" => Name::At,
            "*" => Name::Star,
            "#" => Name::Count,
            "?" => Name::Status,
            "-" => Name::Flags,
            "$" => Name::Pid,
            "!" => Name::LastBackground,
            "0" => Name::Zero,
            text => match text.parse() {
                Ok(n) => Name::Positional(n),
                Err(_) if crate::text::is_name(text) => Name::Var(sym(text)),
                Err(_) => return Err(self.give_up(&format!("{text}: invalid variable name"))),
            },
        };
        self.lookup(name, None)
    }

    pub(super) fn lookup(&mut self, name: Name, index: Option<&Subscript>) -> Result<Val, Flow> {
        Ok(match name {
            Name::Var(name) => match index {
                None if self.vars.flags(name) & vars::NAMEREF != 0 => match self.vars.target(name) {
                    Target::Element(text) => return self.lookup_text(&text),
                    _ => self.get(name).map_or(Val::Unset, |v| Val::One(v.into_owned())),
                },
                None => self.get(name).map_or(Val::Unset, |v| Val::One(v.into_owned())),
                Some(Subscript::At) => Val::Many(self.get_elements(name), false),
                Some(Subscript::Star) => Val::Many(self.get_elements(name), true),
                Some(Subscript::Index(index)) => match self.element_key(name, index) {
                    Ok(key) => self.get_element(name, &key).map_or(Val::Unset, Val::One),
                    // There is no such element, which is no reason to give up.
                    Err(ArithError::Message(message)) if message.ends_with("bad array subscript") => {
                        if let Flow::Exit = self.give_up(&message) {
                            return Err(Flow::Exit);
                        }
                        Val::Unset
                    }
                    Err(error) => {
                        self.arith_failed(error)?;
                        Val::Unset
                    }
                },
            },
            Name::Positional(0) | Name::Zero => Val::One(self.zero.clone()),
            Name::Positional(n) => self.args.get(n - 1).map_or(Val::Unset, |v| Val::One(v.clone())),
            Name::At => Val::Many(self.args.clone(), false),
            Name::Star => Val::Many(self.args.clone(), true),
            Name::Count => Val::One(self.args.len().to_string()),
            Name::Status => Val::One(self.status.to_string()),
            Name::Flags => Val::One(self.flags()),
            Name::Pid => Val::One(self.pid.to_string()),
            Name::LastBackground => self.jobs.last.map_or(Val::Unset, |p| Val::One(p.to_string())),
        })
    }

    fn flags(&self) -> String {
        let mut flags = self.opts.letters(self.interactive, self.restricted);
        if self.command_string {
            flags.push('c');
        }
        if self.session.stdin {
            flags.push('s');
        }
        flags
    }

    /// `${x:-…}` and its kin.
    #[inline(never)]
    fn test_param(
        &mut self,
        param: &Param,
        value: Val,
        (colon, kind, word): (bool, u8, &Word),
        quoted: bool,
        sink: &mut Sink,
    ) -> Run {
        let missing = match &value {
            Val::Unset => true,
            Val::One(text) => colon && text.is_empty(),
            Val::Many(items, true) if quoted => {
                items.is_empty() || colon && items.join(&self.joiner()).is_empty()
            }
            Val::Many(items, _) => match items.as_slice() {
                [] => true,
                [one] => colon && one.is_empty(),
                _ => false,
            },
        };
        match (kind, missing) {
            (b'-', true) | (b'+', false) => {
                if quoted {
                    sink.open();
                }
                for part in &word.parts {
                    self.part(part, sink, sink.splits())?;
                }
            }
            (b'+', true) if quoted && !matches!(value, Val::Many(..)) => sink.open(),
            (b'+', true) => {}
            (b'=', true) => {
                let text = self.expand_string(word)?;
                match (param.name, &param.index) {
                    (Name::Var(name), None) if param.indirect => {
                        let target = self.get(name).map(Cow::into_owned).unwrap_or_default();
                        self.assign_text(&target, text.clone())?;
                    }
                    (Name::Var(name), None) => self.set(name, text.clone())?,
                    (Name::Var(name), Some(Subscript::Index(index))) => match self.element_key(name, index) {
                        Ok(key) => self.set_element(name, key, text.clone(), false)?,
                        Err(error) => self.arith_failed(error)?,
                    },
                    _ => {
                        return Err(self.give_up(&format!("${}: cannot assign in this way", shown(param))));
                    }
                }
                sink.value(&text, quoted, &self.ifs());
            }
            (b'?', true) => {
                let mut message = self.expand_string(word)?;
                if message.is_empty() {
                    message =
                        if colon { "parameter null or not set".into() } else { "parameter not set".into() };
                }
                let name = self.subject(param);
                self.error(&format!("{name}: {message}"));
                self.status = self.status_at_exit();
                return Err(Flow::Exit);
            }
            _ => self.push(value, quoted, sink),
        }
        Ok(())
    }

    /// The elements of a list with their keys, for slices of sparse arrays.
    pub(super) fn keyed_elements(&self, name: crate::symbols::Sym) -> Vec<(i64, String)> {
        let name = self.vars.resolve(name);
        match self.vars.slot(name).map(|s| &s.value) {
            Some(Value::Array(items)) => items.iter().map(|(k, v)| (*k, v.clone())).collect(),
            // The elements of an associative array count from one.
            Some(Value::Assoc(items)) => {
                items.iter().enumerate().map(|(i, (_, v))| (i as i64 + 1, v.clone())).collect()
            }
            _ => self.get_elements(name).into_iter().enumerate().map(|(i, v)| (i as i64, v)).collect(),
        }
    }

    /// Whether what `[[ -v name ]]` names is set.
    pub(crate) fn is_set_text(&mut self, target: &str) -> Result<bool, Flow> {
        if let Some((name, rest)) = target.split_once('[')
            && let Some(key) = rest.strip_suffix(']')
            && crate::text::is_name(name)
        {
            let name = sym(name);
            if matches!(key, "@" | "*") && (!self.vars.is_assoc(name) || self.compat <= 51) {
                return Ok(!self.get_elements(name).is_empty());
            }
            if self.vars.is_assoc(name) {
                // Bash expands the subscript, even if it has been before.
                let key =
                    match crate::compile::index(key, self.line).map(|index| self.element_key(name, &index)) {
                        Ok(Ok(key)) => key,
                        _ => Key::Text(key.to_owned()),
                    };
                return Ok(self.get_element(name, &key).is_some());
            }
        }
        match target.parse::<usize>() {
            Ok(0) => Ok(true),
            Ok(n) => Ok(n <= self.args.len()),
            Err(_) if !crate::text::is_name(target.split('[').next().unwrap_or("")) => Ok(false),
            Err(_) if target.contains('[') && !target.ends_with(']') => Ok(false),
            Err(_)
                if crate::text::is_name(target)
                    && matches!(self.vars.target(sym(target)), Target::Element(_)) =>
            {
                Ok(false)
            }
            Err(_) => Ok(self.lookup_text(target)? != Val::Unset),
        }
    }

    /// What `BASH_SOURCE` names for a function that is defined now.
    pub(crate) fn source_name(&self) -> Rc<str> {
        match &*self.source {
            "" if self.command_string => Rc::from("environment"),
            "" => Rc::from("main"),
            _ => self.source.clone(),
        }
    }
}

/// How a message names a parameter.
pub(super) fn shown(param: &Param) -> String {
    let raw = &*param.raw;
    let len = match param.name {
        Name::Var(_) => crate::text::name_len(raw.trim_start_matches(['#', '!']).as_bytes()),
        Name::Positional(_) => raw.bytes().take_while(u8::is_ascii_digit).count(),
        _ => 1,
    };
    let head = match param.name {
        Name::Count | Name::LastBackground if !param.indirect => 0,
        _ => raw.len() - raw.trim_start_matches(['#', '!']).len(),
    };
    let subscript = match (&param.index, raw.get(head + len..)) {
        (Some(_), Some(rest)) => rest.find(']').map_or(0, |end| end + 1),
        _ => 0,
    };
    let name = raw.get(head..head + len + subscript).unwrap_or(raw);
    match param.name {
        Name::Positional(_) | Name::LastBackground if !param.braced => format!("${name}"),
        _ => name.to_owned(),
    }
}
