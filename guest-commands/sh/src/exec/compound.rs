//! Loops, conditions, groups and function definitions.

use crate::arith::Arith;
use crate::ir::{Arm, Command, Cond, CondOp, Kind, List, Then, Word};
use crate::pattern;
use crate::regex::Regex;
use crate::shell::{Flow, Function, Run, Shell};
use crate::symbols;
use crate::vars::Value;
use std::rc::Rc;

/// How many compiled regular expressions are kept.
const REGEXES: usize = 32;

impl Shell {
    /// Runs a compound command without its redirections.
    pub(super) fn run_compound(&mut self, command: &Rc<Command>, tail: bool) -> Run {
        match &command.kind {
            Kind::Simple(simple) => self.run_simple(command, simple, tail),
            Kind::Brace(list) => self.run_list(list, tail),
            Kind::Subshell(list) => {
                self.line = self.line_of(command.line);
                self.run_subshell(command, list)
            }
            Kind::If { arms, otherwise } => {
                for (condition, body) in arms {
                    self.run_tested(condition)?;
                    if self.status == 0 {
                        return self.run_list(body, tail);
                    }
                }
                match otherwise {
                    Some(body) => self.run_list(body, tail),
                    None => {
                        self.status = 0;
                        Ok(())
                    }
                }
            }
            Kind::While { until, condition, body } => self.run_while(*until, condition, body),
            Kind::For { var, words, body } => {
                self.line = self.line_of(command.line);
                if !crate::text::is_name(&var.name()) {
                    return self.invalid_name(&var.name());
                }
                let list = self.loop_words(words.as_deref())?;
                self.run_for(command, *var, list, body)
            }
            Kind::Select { var, words, body } => {
                if !crate::text::is_name(&var.name()) {
                    return self.invalid_name(&var.name());
                }
                self.line = self.line_of(command.line);
                let words = self.loop_words(words.as_deref())?;
                self.run_select(command, *var, &words, body)
            }
            Kind::ForArith { init, condition, step, body } => self.run_for_arith(
                command.line,
                [init.as_deref(), condition.as_deref(), step.as_deref()],
                body,
            ),
            Kind::Case { word, arms } => {
                self.line = self.line_of(command.line);
                if !self.announce(command)? {
                    self.status = 0;
                    return Ok(());
                }
                self.trace_text(|| format!("case {} in", word.raw));
                self.run_case(word, arms)
            }
            Kind::Arith(arith) => {
                self.line = self.line_of(command.line);
                if !self.announce(command)? {
                    self.status = 0;
                    return Ok(());
                }
                let tolerant = std::mem::replace(&mut self.tolerant, true);
                let result = self.run_arith(arith);
                self.tolerant = tolerant;
                result
            }
            Kind::Cond(cond) => {
                self.line = self.line_of(command.line);
                if !self.announce(command)? {
                    self.status = 0;
                    return Ok(());
                }
                self.status = match self.test_cond(cond)? {
                    Some(true) => 0,
                    Some(false) => 1,
                    None => 2,
                };
                Ok(())
            }
            Kind::Coproc { name, body } => {
                self.line = self.line_of(command.line);
                self.run_coproc(name.as_deref().unwrap_or("COPROC"), body)
            }
            Kind::Function { name, body } => {
                self.line = self.line_of(command.line);
                self.define(name, body, command.line)
            }
        }
    }

    #[inline(never)]
    fn define(&mut self, name: &Rc<str>, body: &Rc<Command>, line: u32) -> Run {
        let wrong = name.contains(['$', '\'', '"', '\\', '`', '<', '>'])
            || self.opts.posix && !crate::text::is_name(name);
        if wrong {
            return self.invalid_name(name);
        }
        if self.opts.posix && crate::builtins::is_special(name) {
            self.error(&format!("`{name}': is a special builtin"));
            self.status = 2;
            return Err(Flow::Exit);
        }
        if self.fixed_functions.contains(&**name) {
            self.error(&format!("{name}: readonly function"));
            self.status = 1;
            return Ok(());
        }
        let function = Function { name: name.clone(), body: body.clone(), source: self.source_name(), line };
        self.functions.insert(name.clone(), Rc::new(function));
        self.generation = self.generation.wrapping_add(1);
        if self.vars.exports_function(name) {
            self.vars.export_function(name, self.function_text(name));
        }
        self.status = 0;
        Ok(())
    }

    /// A name that nothing can have; that ends a shell in POSIX mode.
    fn invalid_name(&mut self, name: &str) -> Run {
        self.error(&format!("`{name}': not a valid identifier"));
        self.status = if self.opts.posix { 2 } else { 1 };
        if self.opts.posix { Err(Flow::Exit) } else { Ok(()) }
    }

    #[inline(never)]
    fn run_arith(&mut self, arith: &Arith) -> Run {
        self.trace_text(|| format!("(( {} ))", arith.text));
        match self.try_arith(arith) {
            Ok(n) => self.status = i32::from(n == 0),
            Err(crate::arith::eval::ArithError::Flow(Flow::Discard)) => self.status = 1,
            Err(crate::arith::eval::ArithError::Flow(flow)) => return Err(flow),
            Err(crate::arith::eval::ArithError::Message(message)) => {
                self.error(&format!("((: {message}"));
                self.status = 1;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn run_for_arith(&mut self, line: u32, [init, condition, step]: [Option<&Arith>; 3], body: &List) -> Run {
        if let Some(init) = init
            && self.loop_arith(init, line)?.is_none()
        {
            return Ok(());
        }
        let mut status = 0;
        self.loops += 1;
        let result = loop {
            if let Some(condition) = condition {
                match self.loop_arith(condition, line) {
                    Ok(Some(0)) => break Ok(()),
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        status = 1;
                        break Ok(());
                    }
                    Err(flow) => break Err(flow),
                }
            }
            match self.turn(body) {
                Ok(true) => status = self.status,
                Ok(false) => {
                    status = self.status;
                    break Ok(());
                }
                Err(flow) => break Err(flow),
            }
            if let Some(step) = step {
                match self.loop_arith(step, line) {
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        status = 1;
                        break Ok(());
                    }
                    Err(flow) => break Err(flow),
                }
            }
        };
        self.loops -= 1;
        result?;
        self.status = status;
        Ok(())
    }

    /// One of the three expressions of `for ((…))`; `None` and a status of 1 if it is wrong, which is reported.
    fn loop_arith(&mut self, arith: &Arith, line: u32) -> Result<Option<i64>, Flow> {
        self.line = self.line_of(line);
        if !self.announce_text(|| format!("(({}))", arith.text))? {
            return Ok(Some(0));
        }
        self.trace_text(|| format!("(( {} ))", arith.text.trim()));
        match self.try_arith(arith) {
            Ok(n) => return Ok(Some(n)),
            Err(crate::arith::eval::ArithError::Flow(Flow::Discard)) => {}
            Err(crate::arith::eval::ArithError::Flow(flow)) => return Err(flow),
            Err(crate::arith::eval::ArithError::Message(message)) => self.error(&format!("((: {message}")),
        }
        self.status = 1;
        Ok(None)
    }

    /// Runs the body of a loop once; false when the loop ends.
    fn turn(&mut self, body: &List) -> Result<bool, Flow> {
        self.poll_traps()?;
        match self.run_list(body, false) {
            Ok(()) | Err(Flow::Continue(1)) => Ok(true),
            Err(Flow::Break(1)) => Ok(false),
            Err(Flow::Break(n)) => Err(Flow::Break(n - 1)),
            Err(Flow::Continue(n)) => Err(Flow::Continue(n - 1)),
            Err(flow) => Err(flow),
        }
    }

    #[inline(never)]
    fn run_while(&mut self, until: bool, condition: &List, body: &List) -> Run {
        let mut status = 0;
        self.loops += 1;
        let result = loop {
            // `break` in the condition ends the loop as in the body.
            match self.run_tested(condition) {
                Ok(()) => {}
                Err(Flow::Break(1)) => break Ok(()),
                // As bash has it: the condition counts as true.
                Err(Flow::Continue(1)) if until => break Ok(()),
                Err(Flow::Continue(1)) => continue,
                Err(Flow::Break(n)) => break Err(Flow::Break(n - 1)),
                Err(Flow::Continue(n)) => break Err(Flow::Continue(n - 1)),
                Err(flow) => break Err(flow),
            }
            if (self.status == 0) == until {
                break Ok(());
            }
            match self.turn(body) {
                Ok(true) => status = self.status,
                Ok(false) => {
                    status = self.status;
                    break Ok(());
                }
                Err(flow) => break Err(flow),
            }
        };
        self.loops -= 1;
        result?;
        self.status = status;
        Ok(())
    }

    #[inline(never)]
    fn loop_words(&mut self, words: Option<&[Word]>) -> Result<Vec<String>, Flow> {
        match words {
            None => Ok(self.args.clone()),
            Some(words) => {
                let mut out = Vec::new();
                for word in words {
                    self.expand_fields(word, &mut out)?;
                }
                Ok(out)
            }
        }
    }

    #[inline(never)]
    fn run_for(&mut self, command: &Rc<Command>, var: symbols::Sym, words: Vec<String>, body: &List) -> Run {
        self.status = 0;
        self.loops += 1;
        let mut result = Ok(());
        for word in words {
            self.line = self.line_of(command.line);
            self.trace_text(|| crate::print::head(command));
            match self.announce(command) {
                Ok(true) => {}
                Ok(false) | Err(Flow::Continue(1)) => continue,
                // Of a DEBUG trap.
                Err(Flow::Break(1)) => break,
                Err(flow) => {
                    result = Err(match flow {
                        Flow::Break(n) => Flow::Break(n - 1),
                        Flow::Continue(n) => Flow::Continue(n - 1),
                        flow => flow,
                    });
                    break;
                }
            }
            // A reference goes from one variable to the next.
            let set = match self.vars.last_reference(var) {
                Some(reference) => match crate::text::is_reference(&word) {
                    true => self.set_reference(reference, word),
                    false => {
                        self.error(&format!("`{word}': not a valid identifier"));
                        self.status = 1;
                        Err(Flow::Discard)
                    }
                },
                None => self.set(var, word),
            };
            match set {
                Ok(()) => {}
                // A constant: the loop fails.
                Err(Flow::Discard) => break,
                Err(flow) => {
                    result = Err(flow);
                    break;
                }
            }
            match self.turn(body) {
                Ok(true) => {}
                Ok(false) => break,
                Err(flow) => {
                    result = Err(flow);
                    break;
                }
            }
        }
        self.loops -= 1;
        result
    }

    #[inline(never)]
    fn run_select(&mut self, command: &Rc<Command>, var: symbols::Sym, words: &[String], body: &List) -> Run {
        self.trace_text(|| crate::print::head(command));
        if !self.announce(command)? || words.is_empty() {
            self.status = 0;
            return Ok(());
        }
        self.loops += 1;
        let mut shows = true;
        let result = loop {
            if std::mem::take(&mut shows) {
                let width = self.vars.integer(symbols::sym("COLUMNS")).unwrap_or(80);
                self.write_error(&menu(words, usize::try_from(width).unwrap_or(80)));
            }
            let prompt = self.vars.get(symbols::PS3).map_or_else(|| "#? ".to_owned(), |p| p.into_owned());
            self.write_error(&prompt);
            let Some(line) = self.read_line() else {
                self.print("\n");
                self.flush();
                self.status = 1;
                break Ok(());
            };
            if line.is_empty() {
                shows = true;
                continue;
            }
            let choice = line.trim().parse::<usize>().ok().and_then(|n| words.get(n.wrapping_sub(1)));
            let choice = choice.cloned().unwrap_or_default();
            if let Err(flow) = self.set(symbols::REPLY, line).and_then(|()| self.set(var, choice)) {
                break Err(flow);
            }
            match self.turn(body) {
                Ok(true) => shows = self.vars.get(symbols::REPLY).is_some_and(|reply| reply.is_empty()),
                Ok(false) => break Ok(()),
                Err(flow) => break Err(flow),
            }
        };
        self.loops -= 1;
        result
    }

    #[inline(never)]
    fn run_case(&mut self, word: &Word, arms: &[Arm]) -> Run {
        let text = self.expand_string(word)?;
        let how = self.pattern_rules(true);
        let mut fall = false;
        // Whether the last item that was chosen has no commands; until there are some, the status stays as it was.
        let mut empty = true;
        for arm in arms {
            let mut hit = fall;
            for p in &arm.patterns {
                if hit {
                    break;
                }
                hit = match p.literal() {
                    Some(literal) if !how.nocase && !pattern::is_special(literal) => literal == text,
                    _ => {
                        let p = self.expand_pattern(p)?;
                        let hit = pattern::matches(&p, &text, how);
                        self.spare.give(p);
                        hit
                    }
                };
            }
            if !hit {
                continue;
            }
            empty = arm.body.items.is_empty();
            self.run_list(&arm.body, false)?;
            match arm.then {
                Then::Leave => break,
                Then::FallThrough => fall = true,
                Then::TestNext => fall = false,
            }
        }
        if empty {
            self.status = 0;
        }
        self.spare.give(text);
        Ok(())
    }

    /// The result of `[[ ]]`; `None` if it is wrong.
    #[inline(never)]
    fn test_cond(&mut self, cond: &Cond) -> Result<Option<bool>, Flow> {
        Ok(match cond {
            Cond::Not(inner) => {
                self.negated = !self.negated;
                let result = self.test_cond(inner);
                self.negated = false;
                result?.map(|b| !b)
            }
            Cond::Group(inner) => self.test_cond(inner)?,
            Cond::And(terms) | Cond::Or(terms) => {
                let goes_on = Some(matches!(cond, Cond::And(_)));
                let mut result = goes_on;
                for term in terms {
                    result = self.test_cond(term)?;
                    if result != goes_on {
                        break;
                    }
                }
                result
            }
            Cond::NonEmpty(word) => {
                let text = self.expand_string(word)?;
                self.trace_cond(|| format!("-n {}", super::trace::or_empty(&text)));
                Some(!text.is_empty())
            }
            // With this option the subscript is expanded once, and that is when it is looked up.
            Cond::Unary(b'v', word)
                if self.shopts.assoc_expand_once && word.raw.ends_with([']', '"', '\'']) =>
            {
                Some(self.is_set_text(word.raw.trim_matches(['"', '\'']))?)
            }
            Cond::Unary(op, word) => {
                let text = self.expand_string(word)?;
                self.trace_cond(|| format!("-{} {}", *op as char, super::trace::or_empty(&text)));
                Some(self.unary_test(*op, &text)?)
            }
            Cond::Binary(op, left, right) => {
                let left = self.expand_string(left)?;
                let result = self.binary_cond(*op, &left, right)?;
                self.spare.give(left);
                result
            }
        })
    }

    #[inline(never)]
    fn binary_cond(&mut self, op: CondOp, left: &str, right: &Word) -> Result<Option<bool>, Flow> {
        let nocase = self.shopts.nocasematch;
        match op {
            CondOp::Match | CondOp::NoMatch => {
                let p = self.expand_pattern(right)?;
                let sign = if op == CondOp::Match { "==" } else { "!=" };
                self.trace_cond(|| {
                    format!("{} {sign} {}", super::trace::or_empty(left), super::trace::or_empty(&p))
                });
                let hit = pattern::matches(
                    &p,
                    left,
                    pattern::Rules { nocase, groups: true, bytes: self.bytes_count() },
                );
                self.spare.give(p);
                return Ok(Some(hit == (op == CondOp::Match)));
            }
            CondOp::Regex => {
                // Before bash 3.2 quotes took no meaning away.
                let source =
                    if self.compat < 32 { self.expand_string(right)? } else { self.expand_regex(right)? };
                let shown = source.replace(crate::regex::MARK, "\\");
                self.trace_cond(|| {
                    format!("{} =~ {}", super::trace::or_empty(left), super::trace::or_empty(&shown))
                });
                return Ok(self.match_regex(&source, left, nocase));
            }
            _ => {}
        }
        let right = self.expand_string(right)?;
        self.trace_cond(|| {
            let [left, right] = [left, &right].map(super::trace::or_empty);
            format!("{left} {} {right}", crate::print::operator(op))
        });
        match op {
            CondOp::Eq | CondOp::Ne | CondOp::Lt | CondOp::Le | CondOp::Gt | CondOp::Ge => {}
            CondOp::Before => return Ok(Some(left < right.as_str())),
            CondOp::After => return Ok(Some(left > right.as_str())),
            CondOp::Newer => return Ok(Some(crate::builtins::test::newer(left, &right))),
            CondOp::Older => return Ok(Some(crate::builtins::test::newer(&right, left))),
            _ => return Ok(Some(crate::shell::same_directory(left, &right))),
        }
        let mut values = [0i64; 2];
        for (value, text) in values.iter_mut().zip([left, right.as_str()]) {
            *value = match self.eval_text(text, 0) {
                Ok(n) => n,
                Err(crate::arith::eval::ArithError::Flow(flow)) => return Err(flow),
                Err(crate::arith::eval::ArithError::Message(message)) => {
                    self.error(&format!("[[: {message}"));
                    return Ok(Some(false));
                }
            };
        }
        let [a, b] = values;
        Ok(Some(match op {
            CondOp::Eq => a == b,
            CondOp::Ne => a != b,
            CondOp::Lt => a < b,
            CondOp::Le => a <= b,
            CondOp::Gt => a > b,
            _ => a >= b,
        }))
    }

    #[inline(never)]
    fn match_regex(&mut self, source: &str, text: &str, nocase: bool) -> Option<bool> {
        let bytes = self.bytes_count();
        let taken = bytes.then(|| [source, text].map(crate::text::bytewise));
        let (source, text) = taken.as_ref().map_or((source, text), |[source, text]| (source, text));
        let key = format!("{}{source}", if nocase { 'i' } else { ' ' });
        let regex = match self.regexes.get(&key) {
            Some(regex) => regex.clone(),
            None => {
                let regex = Rc::new(Regex::new(source, nocase)?);
                if self.regexes.len() >= REGEXES {
                    self.regexes.clear();
                }
                self.regexes.insert(key, regex.clone());
                regex
            }
        };
        let mut captures = regex.captures(text);
        if bytes {
            for group in captures.iter_mut().flatten().flatten() {
                *group = crate::text::whole(group);
            }
        }
        let found = captures.is_some();
        let mut groups = std::collections::BTreeMap::new();
        for (i, group) in captures.unwrap_or_default().into_iter().enumerate() {
            groups.insert(i as i64, group.unwrap_or_default());
        }
        self.vars.put(symbols::BASH_REMATCH, Value::Array(groups));
        Some(found)
    }
}

/// The menu of `select`: numbered words in columns.
fn menu(words: &[String], width: usize) -> String {
    let digits = |n: usize| n.to_string().len();
    let longest = words.iter().map(|w| w.chars().count()).max().unwrap_or(0);
    let cell = longest + digits(words.len()) + 4;
    let columns = (width / cell).max(1);
    let mut rows = words.len().div_ceil(columns);
    let columns = words.len().div_ceil(rows.max(1));
    if rows == 1 {
        rows = columns;
    }
    let mut out = String::new();
    for row in 0..rows {
        let mut at = 0;
        for i in (row..words.len()).step_by(rows) {
            let own = digits(if at == 0 { rows } else { words.len() });
            out += &format!("{:>own$}) {}", i + 1, words[i]);
            if i + rows < words.len() {
                let mut from = at + own + 2 + words[i].chars().count();
                at += cell;
                while from < at {
                    if at / 8 > from / 8 {
                        out.push('\t');
                        from += 8 - from % 8;
                    } else {
                        out.push(' ');
                        from += 1;
                    }
                }
            }
        }
        out.push('\n');
    }
    out
}
