//! From the grammar's tree to what the shell executes. Words are taken apart here, once; nothing is expanded.

mod braces;
mod cond;
mod param;
pub(crate) mod word;

use crate::arith::Arith;
use crate::ir::{
    Arg, Arm, Assign, AssignValue, Command, Element, Index, Item, Kind, List, Pipeline, Redirect, RedirectFd,
    RedirectKind, Simple, Then, Timed, Word,
};
use crate::source::SyntaxError;
use crate::source::mask::{Masked, NAMED_FD, SELECT_MARK, Segment};
use crate::symbols::sym;
use brush_parser::ast;
use std::rc::Rc;

pub(crate) use braces::expand as expand_braces;

type Result<T> = std::result::Result<T, SyntaxError>;

/// How deeply commands may nest: the guest's stack is small.
const MAX_DEPTH: u32 = 100;

struct Compiler<'a> {
    masked: &'a Masked,
    line: u32,
    depth: u32,
}

/// The commands of a unit.
pub(crate) fn program(program: &ast::Program, masked: &Masked) -> Result<List> {
    let mut compiler = Compiler { masked, line: masked.lines.first().copied().unwrap_or(1), depth: 0 };
    let mut items = Vec::new();
    for list in &program.complete_commands {
        items.append(&mut compiler.list(list)?.items);
    }
    Ok(List { items })
}

/// The elements of an array literal, from the text between its parentheses.
pub(crate) fn elements(text: &str, line: u32) -> Result<Vec<Element>> {
    let mut out = Vec::new();
    for raw in word::split(text)? {
        if raw.starts_with('[') {
            let skip = crate::source::skip::Skipper::new(raw);
            if let Ok(end) = skip.balanced(1, b'[', b']') {
                let rest = &raw[end..];
                let (append, value) = match rest.strip_prefix("+=") {
                    Some(value) => (true, Some(value)),
                    None => (false, rest.strip_prefix('=')),
                };
                if let Some(value) = value {
                    let key = Some(index(&raw[1..end - 1], line)?);
                    out.push(Element { key, append, word: word::parse(value, line, word::Mode::Assign)? });
                    continue;
                }
            }
        }
        for one in expand_braces(raw) {
            out.push(Element { key: None, append: false, word: word::parse(&one, line, word::Mode::Word)? });
        }
    }
    Ok(out)
}

/// A subscript.
pub(crate) fn index(text: &str, line: u32) -> Result<Index> {
    Ok(Index { arith: Arith::new(text, line)?, word: word::parse(text, line, word::Mode::Assign)? })
}

/// An assignment to an element that is text, as the arguments of `declare` are at run time: its value stands for itself.
pub(crate) fn literal_assignment(text: &str, line: u32) -> Result<Option<Assign>> {
    let name_len = crate::text::name_len(text.as_bytes());
    if name_len == 0 {
        return Ok(None);
    }
    let mut rest = &text[name_len..];
    let mut subscript = None;
    if rest.starts_with('[') {
        match crate::source::skip::Skipper::new(rest).balanced(1, b'[', b']') {
            Ok(end) => {
                subscript = Some(&rest[1..end - 1]);
                rest = &rest[end..];
            }
            Err(_) => return Ok(None),
        }
    }
    let (append, value) = match (rest.strip_prefix("+="), rest.strip_prefix('=')) {
        (Some(value), _) => (true, value),
        (_, Some(value)) => (false, value),
        _ => return Ok(None),
    };
    Ok(Some(Assign {
        name: sym(&text[..name_len]),
        index: subscript.map(|s| index(s, line)).transpose()?,
        append,
        value: AssignValue::Scalar(word::parse(value, line, word::Mode::Literal)?),
    }))
}

impl Compiler<'_> {
    /// The text that a masked word stands for, and the array elements at its end if it has some.
    fn raw(&self, text: &str) -> (String, Option<&str>) {
        let mut out = String::with_capacity(text.len());
        let mut array = None;
        for c in text.chars() {
            match self.masked.segment(c) {
                Some(Segment::Raw(raw) | Segment::Arith(raw) | Segment::Cond(raw)) => out.push_str(raw),
                Some(Segment::Array(raw)) => array = Some(raw.as_str()),
                Some(Segment::Here { .. }) | None => out.push(c),
            }
        }
        (out, array)
    }

    fn at(&mut self, word: &ast::Word) {
        if let Some(loc) = &word.loc {
            self.at_line(loc.start.line);
        }
    }

    fn at_line(&mut self, line: usize) {
        if let Some(line) = self.masked.lines.get(line.saturating_sub(1)) {
            self.line = *line;
        }
    }

    fn word(&mut self, word: &ast::Word) -> Result<Word> {
        self.at(word);
        word::parse(&self.raw(&word.value).0, self.line, word::Mode::Word)
    }

    /// The words that one written word stands for, after brace expansion.
    fn words(&mut self, word: &ast::Word, out: &mut Vec<Word>) -> Result<()> {
        self.at(word);
        let raw = self.raw(&word.value).0;
        for one in expand_braces(&raw) {
            out.push(word::parse(&one, self.line, word::Mode::Word)?);
        }
        Ok(())
    }

    fn list(&mut self, list: &ast::CompoundList) -> Result<List> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SyntaxError::Wrong("commands nest too deeply".into(), self.line));
        }
        let mut items = Vec::with_capacity(list.0.len());
        for ast::CompoundListItem(and_or, separator) in &list.0 {
            let first = self.pipeline(&and_or.first)?;
            let mut rest = Vec::with_capacity(and_or.additional.len());
            for more in &and_or.additional {
                rest.push(match more {
                    ast::AndOr::And(p) => (true, self.pipeline(p)?),
                    ast::AndOr::Or(p) => (false, self.pipeline(p)?),
                });
            }
            items.push(Item { first, rest, background: matches!(separator, ast::SeparatorOperator::Async) });
        }
        self.depth -= 1;
        Ok(List { items })
    }

    fn pipeline(&mut self, pipeline: &ast::Pipeline) -> Result<Pipeline> {
        let timed =
            pipeline.timed.as_ref().map(|t| if t.is_posix_output() { Timed::Posix } else { Timed::Bash });
        let stages = pipeline.seq.iter().map(|c| self.command(c).map(Rc::new)).collect::<Result<_>>()?;
        Ok(Pipeline { negate: pipeline.bang, timed, stages })
    }

    fn command(&mut self, command: &ast::Command) -> Result<Command> {
        match command {
            ast::Command::Simple(simple) => self.simple(simple),
            ast::Command::Compound(compound, redirects) => self.compound(compound, redirects.as_ref()),
            ast::Command::Function(function) => {
                self.at(&function.fname);
                let line = self.line;
                let name = Rc::from(self.raw(&function.fname.value).0);
                let body = Rc::new(self.compound(&function.body.0, function.body.1.as_ref())?);
                Ok(Command { kind: Kind::Function { name, body }, redirects: Vec::new(), line })
            }
            ast::Command::ExtendedTest(test, redirects) => {
                self.at_line(test.loc.start.line);
                let line = self.line;
                let ast::ExtendedTestExpr::UnaryTest(_, word) = &test.expr else {
                    return Err(SyntaxError::Wrong("syntax error in conditional expression".into(), line));
                };
                let text = self.raw(&word.value).0;
                let kind = Kind::Cond(cond::parse(&text, line)?);
                Ok(Command { kind, redirects: self.redirects(redirects.as_ref())?, line })
            }
        }
    }

    fn simple(&mut self, simple: &ast::SimpleCommand) -> Result<Command> {
        let mut out = Simple::default();
        let mut redirects = Vec::new();
        let mut line = None;
        for item in simple.prefix.iter().flat_map(|p| &p.0) {
            match item {
                ast::CommandPrefixOrSuffixItem::IoRedirect(r) => self.redirect(r, &mut redirects)?,
                ast::CommandPrefixOrSuffixItem::AssignmentWord(assign, _) => {
                    self.at_line(assign.loc.start.line);
                    line = line.or(Some(self.line));
                    out.assigns.push(self.assign(assign)?);
                }
                ast::CommandPrefixOrSuffixItem::Word(_)
                | ast::CommandPrefixOrSuffixItem::ProcessSubstitution(..) => {}
            }
        }
        let mut words = Vec::new();
        if let Some(name) = &simple.word_or_name {
            self.words(name, &mut words)?;
            line = line.or(Some(self.line));
        }
        out.args.extend(words.drain(..).map(|word| Arg { word, assign: None }));
        for item in simple.suffix.iter().flat_map(|s| &s.0) {
            match item {
                ast::CommandPrefixOrSuffixItem::IoRedirect(r) => self.redirect(r, &mut redirects)?,
                ast::CommandPrefixOrSuffixItem::Word(word) => {
                    self.words(word, &mut words)?;
                    out.args.extend(words.drain(..).map(|word| Arg { word, assign: None }));
                }
                ast::CommandPrefixOrSuffixItem::AssignmentWord(assign, word) => {
                    let (raw, array) = self.raw(&word.value);
                    if array.is_some() || !raw.contains('{') {
                        let assign = Some(Box::new(self.assign(assign)?));
                        self.at(word);
                        let word = word::parse(&raw, self.line, word::Mode::NameAndValue)?;
                        out.args.push(Arg { word, assign });
                    } else {
                        self.words(word, &mut words)?;
                        let assign = Some(Box::new(self.assign(assign)?));
                        let mut all = words.drain(..);
                        out.args.extend(all.next().map(|word| Arg { word, assign }));
                        out.args.extend(all.map(|word| Arg { word, assign: None }));
                    }
                }
                ast::CommandPrefixOrSuffixItem::ProcessSubstitution(..) => {}
            }
        }
        Ok(Command { kind: Kind::Simple(out), redirects, line: line.unwrap_or(self.line) })
    }

    fn assign(&mut self, assign: &ast::Assignment) -> Result<Assign> {
        let line = self.line;
        let (name, subscript) = match &assign.name {
            ast::AssignmentName::VariableName(name) => (name, None),
            ast::AssignmentName::ArrayElementName(name, at) => (name, Some(index(&self.raw(at).0, line)?)),
        };
        let value = match &assign.value {
            ast::AssignmentValue::Scalar(word) => match self.raw(&word.value) {
                (_, Some(array)) => AssignValue::Array(elements(array, line)?),
                (raw, None) => AssignValue::Scalar(word::parse(&raw, line, word::Mode::Assign)?),
            },
            ast::AssignmentValue::Array(_) => {
                return Err(SyntaxError::Wrong("syntax error near unexpected token `('".into(), line));
            }
        };
        Ok(Assign { name: sym(name), index: subscript, append: assign.append, value })
    }

    fn redirects(&mut self, redirects: Option<&ast::RedirectList>) -> Result<Vec<Redirect>> {
        let mut out = Vec::new();
        for redirect in redirects.iter().flat_map(|r| &r.0) {
            self.redirect(redirect, &mut out)?;
        }
        Ok(out)
    }

    fn redirect(&mut self, redirect: &ast::IoRedirect, out: &mut Vec<Redirect>) -> Result<()> {
        let line = self.line;
        let named = |n: i32| match self.masked.named_fds.get((n - NAMED_FD).max(0) as usize) {
            Some(name) if n >= NAMED_FD => RedirectFd::Named(sym(name)),
            _ => RedirectFd::Number(n.max(0) as u32),
        };
        let (fd, kind, target) = match redirect {
            ast::IoRedirect::File(fd, kind, target) => {
                let (kind, default) = match kind {
                    ast::IoFileRedirectKind::Read => (RedirectKind::Read, 0),
                    ast::IoFileRedirectKind::Write => (RedirectKind::Write, 1),
                    ast::IoFileRedirectKind::Append => (RedirectKind::Append, 1),
                    ast::IoFileRedirectKind::ReadAndWrite => (RedirectKind::ReadWrite, 0),
                    ast::IoFileRedirectKind::Clobber => (RedirectKind::Clobber, 1),
                    ast::IoFileRedirectKind::DuplicateInput => (RedirectKind::Dup { output: false }, 0),
                    ast::IoFileRedirectKind::DuplicateOutput => (RedirectKind::Dup { output: true }, 1),
                };
                let fd = named(fd.unwrap_or(default));
                match target {
                    ast::IoFileRedirectTarget::Filename(word)
                    | ast::IoFileRedirectTarget::Duplicate(word) => {
                        let mut chars = word.value.chars();
                        let here = match (chars.next().and_then(|c| self.masked.segment(c)), chars.next()) {
                            (Some(Segment::Here { body, expand }), None) => Some((body, *expand)),
                            _ => None,
                        };
                        match here {
                            Some((body, expand)) => {
                                let mode = if expand { word::Mode::HereDoc } else { word::Mode::Literal };
                                (fd, RedirectKind::Here { newline: false }, word::parse(body, line, mode)?)
                            }
                            // `>&word` that is no number means `&>word`.
                            None => (fd, kind, self.word(word)?),
                        }
                    }
                    ast::IoFileRedirectTarget::Fd(n) => {
                        (fd, kind, word::parse(&n.to_string(), line, word::Mode::Word)?)
                    }
                    ast::IoFileRedirectTarget::ProcessSubstitution(..) => {
                        return Err(SyntaxError::Wrong(
                            "syntax error near unexpected token `('".into(),
                            line,
                        ));
                    }
                }
            }
            ast::IoRedirect::OutputAndError(word, append) => {
                (RedirectFd::Number(1), RedirectKind::Both { append: *append }, self.word(word)?)
            }
            ast::IoRedirect::HereString(fd, word) => {
                let raw = self.raw(&word.value).0;
                let word = word::parse(&raw, line, word::Mode::Assign)?;
                (named(fd.unwrap_or(0)), RedirectKind::Here { newline: true }, word)
            }
            ast::IoRedirect::HereDocument(..) => {
                return Err(SyntaxError::Wrong("syntax error near unexpected token `<<'".into(), line));
            }
        };
        out.push(Redirect { fd, kind, target });
        Ok(())
    }

    fn arith(&mut self, text: &str) -> Result<Arith> {
        Arith::new(&self.raw(text).0, self.line)
    }

    fn optional(&mut self, expr: Option<&ast::UnexpandedArithmeticExpr>) -> Result<Option<Box<Arith>>> {
        expr.filter(|e| !e.value.trim().is_empty()).map(|e| self.arith(&e.value).map(Box::new)).transpose()
    }

    fn compound(
        &mut self,
        compound: &ast::CompoundCommand,
        redirects: Option<&ast::RedirectList>,
    ) -> Result<Command> {
        use ast::CompoundCommand as C;
        let start = match compound {
            C::Arithmetic(c) => c.loc.start.line,
            C::ArithmeticForClause(c) => c.loc.start.line,
            C::BraceGroup(c) => c.loc.start.line,
            C::Subshell(c) => c.loc.start.line,
            C::ForClause(c) => c.loc.start.line,
            C::CaseClause(c) => c.loc.start.line,
            C::IfClause(c) => c.loc.start.line,
            C::WhileClause(c) | C::UntilClause(c) => c.2.start.line,
            C::Coprocess(c) => c.loc.start.line,
        };
        self.at_line(start);
        let line = self.line;
        let kind = match compound {
            C::Arithmetic(c) => Kind::Arith(self.arith(&c.expr.value)?),
            C::BraceGroup(c) => Kind::Brace(self.list(&c.list)?),
            C::Subshell(c) => Kind::Subshell(self.list(&c.list)?),
            C::ArithmeticForClause(c) => Kind::ForArith {
                init: self.optional(c.initializer.as_ref())?,
                condition: self.optional(c.condition.as_ref())?,
                step: self.optional(c.updater.as_ref())?,
                body: self.list(&c.body.list)?,
            },
            C::ForClause(c) => {
                let mut words = None;
                if let Some(values) = &c.values {
                    let mut out = Vec::new();
                    for value in values {
                        self.words(value, &mut out)?;
                    }
                    words = Some(out);
                } else if self.for_has_in(c) {
                    words = Some(Vec::new());
                }
                let body = self.list(&c.body.list)?;
                match c.variable_name.strip_prefix(SELECT_MARK) {
                    Some(name) => Kind::Select { var: self.variable(name)?, words, body },
                    None => Kind::For { var: self.variable(&c.variable_name)?, words, body },
                }
            }
            C::CaseClause(c) => {
                let word = self.word(&c.value)?;
                let mut arms = Vec::new();
                for case in &c.cases {
                    arms.push(Arm {
                        patterns: case.patterns.iter().map(|p| self.word(p)).collect::<Result<_>>()?,
                        body: case.cmd.as_ref().map(|list| self.list(list)).transpose()?.unwrap_or_default(),
                        then: match case.post_action {
                            ast::CaseItemPostAction::ExitCase => Then::Leave,
                            ast::CaseItemPostAction::UnconditionallyExecuteNextCaseItem => Then::FallThrough,
                            ast::CaseItemPostAction::ContinueEvaluatingCases => Then::TestNext,
                        },
                    });
                }
                Kind::Case { word, arms }
            }
            C::IfClause(c) => {
                let mut arms = vec![(self.list(&c.condition)?, self.list(&c.then)?)];
                let mut otherwise = None;
                for part in c.elses.iter().flatten() {
                    match &part.condition {
                        Some(condition) => arms.push((self.list(condition)?, self.list(&part.body)?)),
                        None => otherwise = Some(self.list(&part.body)?),
                    }
                }
                Kind::If { arms, otherwise }
            }
            C::WhileClause(c) => {
                Kind::While { until: false, condition: self.list(&c.0)?, body: self.list(&c.1.list)? }
            }
            C::UntilClause(c) => {
                Kind::While { until: true, condition: self.list(&c.0)?, body: self.list(&c.1.list)? }
            }
            C::Coprocess(_) => return Err(SyntaxError::Wrong("coproc: not supported".into(), line)),
        };
        Ok(Command { kind, redirects: self.redirects(redirects)?, line })
    }

    fn variable(&self, name: &str) -> Result<crate::symbols::Sym> {
        if crate::text::is_name(name) {
            Ok(sym(name))
        } else {
            Err(SyntaxError::Wrong(format!("`{}': not a valid identifier", self.raw(name).0), self.line))
        }
    }

    /// Whether a `for` without values was written with `in`: the tree does not tell.
    fn for_has_in(&self, clause: &ast::ForClauseCommand) -> bool {
        let start = clause.loc.start.index;
        let mut words = self.masked.text.chars().skip(start).collect::<String>();
        words.truncate(words.find("do").unwrap_or(words.len()).max(words.find('\n').unwrap_or(0)));
        words.split_whitespace().nth(2).is_some_and(|w| w.trim_end_matches(';') == "in")
    }
}
