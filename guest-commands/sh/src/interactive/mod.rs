//! The shell at a terminal. What a prompt means is in `prompt`, what commands do in the rooms of a shell that runs scripts.

pub(crate) mod bindings;
mod buffer;
mod complete;
pub(crate) mod control;
mod editor;
mod functions;
pub(crate) mod inputrc;
mod jobs;
mod keys;
mod mail;
#[cfg(test)]
#[path = "../../tests/terminal/model.rs"]
mod model;
mod offer;
pub(crate) mod repl;
mod screen;
mod search;
pub(crate) mod spell;
pub(crate) mod startup;
pub(crate) mod terminal;
mod vi;
mod width;

use crate::shell::Shell;
use crate::symbols::sym;
use agentos_guest::fd;

/// How a shell is used by a person.
#[derive(Debug)]
pub(crate) struct Session {
    /// This is an interactive shell, and no subshell of one: an error ends the command only.
    pub(crate) active: bool,
    /// Commands come from standard input.
    pub(crate) stdin: bool,
    /// The name that the shell was called by.
    pub(crate) name: String,
    /// Lines are edited: prompts mark what takes no room on the screen.
    pub(crate) edits: bool,
    /// The number of the command that is being read.
    pub(crate) command_number: u32,
    /// The number of the command that was last told of stopped jobs instead of ending the shell.
    pub(crate) warned: Option<u32>,
    /// Something asked for the end, which is more than an error.
    pub(crate) leaving: bool,
    /// The number that the next entry of the history gets.
    pub(crate) history_number: usize,
    /// The init file of the line editor was read.
    editing: bool,
    /// The init file of the line editor that was read last.
    inputrc: Option<String>,
    /// The text that the next line begins with, for `histverify` and `histreedit`.
    pub(crate) reedit: String,
    /// What is known of the files that `MAIL` and `MAILPATH` name.
    mail: mail::Mail,
}

impl Default for Session {
    fn default() -> Self {
        Session {
            active: false,
            stdin: false,
            name: String::new(),
            edits: false,
            command_number: 1,
            warned: None,
            leaving: false,
            history_number: 1,
            editing: false,
            inputrc: None,
            reedit: String::new(),
            mail: mail::Mail::default(),
        }
    }
}

impl Shell {
    /// Before the first line that is edited the init file of the line editor is read.
    pub(crate) fn begin_editing(&mut self) {
        if !std::mem::replace(&mut self.session.editing, true) {
            self.read_inputrc();
        }
    }

    /// Whether a person edits the lines that the shell reads.
    pub(crate) fn edits_lines(&self) -> bool {
        self.session.active && self.session.edits && fd::isatty(0) && fd::isatty(2)
    }

    /// Makes this an interactive shell.
    pub(crate) fn become_interactive(&mut self, editing: bool) {
        self.interactive = true;
        self.session.active = true;
        self.shopts.expand_aliases = true;
        self.shopts.checkwinsize = true;
        self.opts.histexpand = true;
        self.opts.history = true;
        self.opts.emacs = editing;
        self.session.edits = editing;
        self.begin_job_control();
        if let Some(home) = self.vars.get(crate::symbols::HOME).map(std::borrow::Cow::into_owned)
            && !self.vars.is_set(sym("HISTFILE"))
        {
            self.vars.put_str(sym("HISTFILE"), format!("{home}/.bash_history"));
        }
        let prompt = "\\s-\\v\\$ ";
        for (name, value) in [("PS1", prompt), ("PS2", "> "), ("MAILCHECK", "60")] {
            if !self.vars.is_set(sym(name)) {
                self.vars.put_str(sym(name), value);
            }
        }
    }
}
