//! Reads commands from a person and runs them, one after the other, until there are no more. How a line is edited is not
//! its business.

use super::terminal::{Terminal, Wishes};
use crate::shell::{Flow, Run, Shell};
use crate::source::units::{Next, Units};
use crate::symbols::sym;
use std::borrow::Cow;

/// How much of one command is read: more is no command that a person typed.
const MAX_COMMAND: usize = 16 << 20;

/// What reading a line came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line with its newline.
    Text(String),
    /// It was given up.
    Interrupted,
    /// There are no more.
    End,
    /// Nothing came for as long as `TMOUT` says.
    TimedOut,
}

/// Where lines come from.
enum Source {
    Terminal(Box<Terminal>),
    /// Standard input as it is; prompts are shown, though.
    Plain,
}

/// Runs what a person types until the end.
pub(crate) fn run(sh: &mut Shell) -> Run {
    let mut source = match Terminal::open(sh) {
        Some(terminal) => Source::Terminal(Box::new(terminal)),
        None => Source::Plain,
    };
    let mut units = fresh(1);
    let mut ends = 0;
    // What was read of the command that is not complete yet.
    let mut pending = String::new();
    sh.history_switched();
    loop {
        let next = units.next(sh.dialect());
        sh.show_warnings(&mut units);
        match next {
            Ok(Next::Unit(unit)) => {
                sh.show_before_command();
                let result = if sh.opts.noexec { Ok(()) } else { sh.run_list(&unit, false) };
                let result = result.and_then(|()| sh.poll_traps());
                sh.session.command_number += 1;
                if sh.after_command(result)? {
                    units = fresh(units.line());
                    pending.clear();
                }
            }
            Ok(Next::End) if units.complete => return sh.poll_traps(),
            Ok(next) => {
                let first = matches!(next, Next::End);
                if first {
                    pending.clear();
                }
                match read(sh, &mut source, first) {
                    Line::Text(text) => {
                        ends = 0;
                        if sh.opts.verbose {
                            sh.write_error(&text);
                        }
                        if units.pending() + text.len() > MAX_COMMAND {
                            sh.error("the command is too long");
                            units = fresh(units.line());
                            pending.clear();
                            continue;
                        }
                        let text = match sh.expand_read_line(&pending, text) {
                            Some(text) => text,
                            None if first || !sh.session.reedit.is_empty() => continue,
                            None => "\n".to_owned(),
                        };
                        sh.note_line(&pending, &text);
                        units.push(&text);
                        pending.push_str(&text);
                    }
                    Line::Interrupted => {
                        units = fresh(units.line());
                        pending.clear();
                        sh.status = 130;
                        // A trap of the interrupt runs at once.
                        let result = if sh.session.leaving { Err(Flow::Exit) } else { sh.poll_traps() };
                        sh.after_command(result)?;
                    }
                    Line::End if first && matches!(source, Source::Terminal(_)) => {
                        ends += 1;
                        if sh.may_end(ends) {
                            return Ok(());
                        }
                    }
                    Line::End => {
                        units.complete = true;
                        sh.write_error("exit\n");
                    }
                    Line::TimedOut => {
                        sh.write_error("\x07timed out waiting for input: auto-logout\n");
                        return Ok(());
                    }
                }
            }
            Err(error) => {
                let effect = sh.syntax_error("", units.line(), error);
                // Giving up the line is all that a wrong script comes to here.
                let _ = sh.after_script_error(effect);
                if units.complete {
                    return Ok(());
                }
                units = fresh(units.line());
                pending.clear();
            }
        }
    }
}

/// Text that grows line by line.
fn fresh(line: u32) -> Units {
    let mut units = Units::new(String::new(), line);
    units.complete = false;
    units
}

fn read(sh: &mut Shell, source: &mut Source, first: bool) -> Line {
    if first {
        sh.before_prompt();
    }
    let prompt = sh.prompt_of(if first { "PS1" } else { "PS2" });
    let line = match source {
        Source::Terminal(terminal) => {
            let text = std::mem::take(&mut sh.session.reedit);
            terminal.read_wished(sh, &prompt, Wishes { text, ..Wishes::default() })
        }
        Source::Plain => {
            let shown: String = prompt
                .chars()
                .filter(|c| !matches!(*c, crate::prompt::INVISIBLE | crate::prompt::VISIBLE))
                .collect();
            sh.write_error(&shown);
            match crate::invocation::line() {
                Some(text) => {
                    // As on a terminal, which echoes what is typed.
                    sh.write_error(&text);
                    Line::Text(text)
                }
                None => Line::End,
            }
        }
    };
    match line {
        // A line that goes on in the next one is not complete, whatever it parses as.
        Line::Text(text) if crate::invocation::continues(&text) => match read(sh, source, false) {
            Line::Text(more) => Line::Text(text + &more),
            Line::End => Line::Text(text),
            other => other,
        },
        line => line,
    }
}

impl Shell {
    fn prompt_of(&mut self, name: &str) -> String {
        let text = self.vars.get(sym(name)).map(Cow::into_owned).unwrap_or_default();
        self.prompt(&text)
    }

    /// What happens before a new command is asked for: news of jobs and mail, `PROMPT_COMMAND`.
    fn before_prompt(&mut self) {
        self.tell_of_jobs();
        self.check_mail();
        self.session.history_number = self.next_history_number();
        for command in self.get_elements(sym("PROMPT_COMMAND")) {
            let (status, pipestatus) = (self.status, self.pipestatus.clone());
            let result = self.eval_at(&command, "PROMPT_COMMAND", self.line);
            self.flush();
            if result == Err(Flow::Exit) && self.session.leaving {
                self.session.leaving = false;
            }
            (self.status, self.pipestatus) = (status, pipestatus);
        }
    }

    /// Shows `PS0`.
    fn show_before_command(&mut self) {
        if self.vars.is_set(sym("PS0")) {
            let text = self.prompt_of("PS0");
            let shown: String = text
                .chars()
                .filter(|c| !matches!(*c, crate::prompt::INVISIBLE | crate::prompt::VISIBLE))
                .collect();
            self.write_error(&shown);
        }
    }

    /// Whether the rest of the line is given up after a command; an error is when the shell ends.
    fn after_command(&mut self, result: Run) -> Result<bool, Flow> {
        let result = match result {
            Err(Flow::Exit) if !self.session.leaving => Err(Flow::Discard),
            other => other,
        };
        self.flush();
        super::terminal::update_size(self);
        match result {
            Ok(()) => Ok(false),
            Err(Flow::Exit) => Err(Flow::Exit),
            Err(_) => {
                if self.status == 0 {
                    self.status = 1;
                }
                self.abandon();
                Ok(true)
            }
        }
    }

    /// What an error in a sourced file comes to: for a person only the command of the file ends.
    pub(crate) fn goes_on(&self, result: Run) -> Run {
        match result {
            Err(Flow::Discard | Flow::Abandon | Flow::Exit)
                if self.session.active && !self.session.leaving =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// A command was given up wherever it was: nothing of it is active any more.
    fn abandon(&mut self) {
        self.loops = 0;
        self.tested = 0;
        self.depth = 0;
    }

    /// Whether an end of input ends the shell; says what it says otherwise.
    fn may_end(&mut self, ends: u32) -> bool {
        let patience = match self.vars.get(sym("IGNOREEOF")) {
            Some(text) => Some(text.trim().parse::<u32>().unwrap_or(10)),
            None if self.opts.ignoreeof => Some(10),
            None => None,
        };
        let login = self.shopts.login_shell;
        if patience.is_some_and(|most| ends <= most) {
            self.write_error(if login {
                "Use \"logout\" to leave the shell.\n"
            } else {
                "Use \"exit\" to leave the shell.\n"
            });
            return false;
        }
        self.write_error(if login { "logout\n" } else { "exit\n" });
        self.may_leave()
    }
}
