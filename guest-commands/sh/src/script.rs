//! Reading scripts: the next command of one, and what becomes of a script that is wrong. It parses nothing itself.

use crate::ir::List;
use crate::shell::{Flow, Run, Shell};
use crate::source::units::{Next, Units};
use crate::source::{Dialect, Effect, Report, SyntaxError};
use std::rc::Rc;

impl Shell {
    /// What influences how a script is read.
    pub(crate) fn dialect(&self) -> Dialect {
        self.note_locale();
        let aliases = (self.shopts.expand_aliases && !self.aliases.is_empty()).then(|| self.aliases.clone());
        Dialect {
            extglob: self.shopts.extglob,
            posix: self.opts.posix,
            no_braces: !self.opts.braceexpand,
            aliases,
        }
    }

    /// The next command of a script; wrong text is reported.
    pub(crate) fn next_unit(&mut self, units: &mut Units) -> Result<Option<Rc<List>>, Effect> {
        let next = units.next(self.dialect());
        self.read_unit(units, next)
    }

    /// What was read of a script; wrong text and warnings are reported.
    pub(crate) fn read_unit(
        &mut self,
        units: &mut Units,
        next: Result<Next, SyntaxError>,
    ) -> Result<Option<Rc<List>>, Effect> {
        self.show_warnings(units);
        match next {
            Ok(Next::Unit(unit)) => Ok(Some(unit)),
            Ok(Next::End | Next::More) => Ok(None),
            Err(error) => Err(self.syntax_error(units.name, units.line(), error)),
        }
    }

    /// What is strange about the text that was read, and not wrong.
    pub(crate) fn show_warnings(&mut self, units: &mut Units) {
        for (line, warning) in std::mem::take(&mut units.warnings) {
            let before = std::mem::replace(&mut self.line, line);
            self.error(&format!("warning: {warning}"));
            self.line = before;
        }
    }

    /// Reports why a script is wrong.
    pub(crate) fn syntax_error(&mut self, name: &str, line: u32, error: SyntaxError) -> Effect {
        let report = match error {
            SyntaxError::Report(report) => *report,
            SyntaxError::Incomplete(message) => {
                Report { messages: vec![message], line, effect: Effect::Ends }
            }
            SyntaxError::Wrong(message, at) => {
                let line = if at == 0 { line } else { at };
                Report { messages: vec![message], line, effect: Effect::Ends }
            }
            SyntaxError::More => return Effect::Ends,
        };
        self.flush();
        let before = std::mem::replace(&mut self.line, report.line);
        for message in &report.messages {
            if self.interactive && self.sources_active > 0 {
                // Of a file a person wants to know the place.
                self.write_error(&format!("{}: line {}: {message}\n", self.source, self.line));
                continue;
            }
            // A person has just typed the line.
            if !self.interactive || !message.starts_with('`') {
                self.error_in(name, message);
            }
        }
        self.line = before;
        report.effect
    }

    /// How a script goes on that `eval`, `.` or a trap reads and that is wrong: with a status, or not at all.
    pub(crate) fn after_syntax_error(&mut self, effect: Effect, builtin: bool) -> Run {
        match effect {
            Effect::Ends => {
                self.status = 2;
                if builtin && self.opts.posix && !self.tolerant { Err(Flow::Exit) } else { Ok(()) }
            }
            Effect::Unclosed | Effect::EndsQuietly => {
                self.status = 2;
                Ok(())
            }
            Effect::Discards => {
                self.status = 1;
                if builtin && self.opts.posix { Err(Flow::Exit) } else { Ok(()) }
            }
            Effect::Substitution => {
                self.status = if self.command_string { 127 } else { 1 };
                Err(Flow::Exit)
            }
        }
    }

    /// How the script of the shell goes on after wrong text.
    pub(crate) fn after_script_error(&mut self, effect: Effect) -> Run {
        match effect {
            Effect::Ends | Effect::Unclosed => self.status = 2,
            Effect::EndsQuietly => {}
            Effect::Substitution => self.status = if self.command_string { 127 } else { 2 },
            Effect::Discards => {
                self.status = 1;
                if !self.opts.posix {
                    return Ok(());
                }
            }
        }
        Err(Flow::Exit)
    }
}
