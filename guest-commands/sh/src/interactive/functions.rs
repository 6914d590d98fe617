//! The functions of the line editor that want the shell or the terminal besides the line. Those of the line alone are in `editor`.

use super::bindings::{Action, encode};
use super::complete::Kind;
use super::editor::Outcome;
use super::screen::Screen;
use super::terminal::{Raw, Terminal, show};
use crate::builtins::keys::VARIABLES;
use crate::compile::word::{self, Mode};
use crate::history::Expanded;
use crate::shell::{Run, Shell};
use crate::symbols::sym;

/// Their names.
pub(super) const NAMES: &[&str] = &[
    "alias-expand-line",
    "call-last-kbd-macro",
    "complete-command",
    "complete-filename",
    "complete-hostname",
    "complete-into-braces",
    "complete-username",
    "complete-variable",
    "dabbrev-expand",
    "display-shell-version",
    "dump-functions",
    "dump-macros",
    "dump-variables",
    "dynamic-complete-history",
    "edit-and-execute-command",
    "end-kbd-macro",
    "glob-complete-word",
    "glob-expand-word",
    "glob-list-expansions",
    "history-and-alias-expand-line",
    "history-expand-line",
    "insert-comment",
    "insert-completions",
    "magic-space",
    "possible-command-completions",
    "possible-filename-completions",
    "possible-hostname-completions",
    "possible-username-completions",
    "possible-variable-completions",
    "print-last-kbd-macro",
    "re-read-init-file",
    "shell-expand-line",
    "spell-correct-word",
    "start-kbd-macro",
    "tilde-expand",
    "vi-complete",
    "vi-edit-and-execute-command",
    "vi-tilde-expand",
];

impl Terminal {
    /// Does one of these functions.
    pub(super) fn shell_function(
        &mut self,
        sh: &mut Shell,
        screen: &mut Screen,
        raw: &mut Option<Raw>,
        name: &'static str,
    ) -> Outcome {
        let kind = match name.rsplit_once('-').map_or(name, |(_, last)| last) {
            _ if name.contains("command") => Kind::Command,
            _ if name.contains("filename") => Kind::File,
            _ if name.contains("hostname") => Kind::Host,
            _ if name.contains("username") => Kind::User,
            _ if name.contains("variable") => Kind::Variable,
            _ => Kind::Any,
        };
        match name {
            "vi-editing-mode" | "emacs-editing-mode" => {
                let vi = name == "vi-editing-mode";
                (sh.opts.vi, sh.opts.emacs) = (vi, !vi);
                self.editor.set_mode(vi);
            }
            "re-read-init-file" => sh.read_inputrc(),
            "insert-comment" => return self.comment(sh),
            "insert-completions" => return self.insert_candidates(sh),
            "complete-into-braces" => return self.insert_braces(sh),
            "complete-in-place" => self.complete(sh, screen, false),
            "possible-completions" => self.list_candidates(sh, screen),
            _ if name.starts_with("complete-") => self.complete_as(sh, screen, false, kind),
            _ if name.starts_with("possible-") => self.list_as(sh, screen, kind),
            "tilde-expand" | "vi-tilde-expand" | "spell-correct-word" => return self.change_word(sh, name),
            "glob-complete-word" | "glob-expand-word" | "glob-list-expansions" => {
                return self.expand_glob(sh, screen, name);
            }
            "dabbrev-expand" | "dynamic-complete-history" => return self.complete_from_history(sh),
            "magic-space" => {
                let outcome = self.expand_history(sh, true);
                self.editor.typed(' ');
                return outcome;
            }
            "history-expand-line" => return self.expand_history(sh, false),
            "alias-expand-line" => self.expand_alias(sh),
            "history-and-alias-expand-line" => {
                let outcome = self.expand_history(sh, false);
                self.expand_alias(sh);
                return outcome;
            }
            "shell-expand-line" => {
                let outcome = self.expand_history(sh, false);
                self.expand_alias(sh);
                self.expand_words(sh);
                return outcome;
            }
            "edit-and-execute-command" | "vi-edit-and-execute-command" => {
                let editor = if name.starts_with("vi") { "vi" } else { "emacs" };
                let line = self.editor.buffer.string();
                show(&screen.leave());
                raw.take();
                sh.note_line("", &line);
                let command = format!("fc -e \"${{VISUAL:-${{EDITOR:-{editor}}}}}\"");
                // What it comes to is in `$?`.
                let _ = sh.eval_at(&command, "", sh.line);
                sh.flush();
                self.editor.buffer.reset(Vec::new());
                *raw = self.enter();
            }
            "display-shell-version" => {
                let version = sh.vars.get(sym("BASH_VERSION")).unwrap_or_default().into_owned();
                self.tell(screen, &format!("GNU bash, version {version}\n"));
            }
            "dump-functions" => {
                let all = sh.bindings.all(self.editor.keymap());
                let lines = all.iter().filter_map(|(key, action)| match action {
                    Action::Function(name) => Some(format!("\"{}\": {name}\n", encode(key))),
                    _ => None,
                });
                self.tell(screen, &lines.collect::<String>());
            }
            "dump-macros" => {
                let all = sh.bindings.all(self.editor.keymap());
                let lines = all.iter().filter_map(|(key, action)| match action {
                    Action::Macro(keys) => Some(format!("{} outputs {}\n", encode(key), encode(keys))),
                    _ => None,
                });
                self.tell(screen, &lines.collect::<String>());
            }
            "dump-variables" => {
                let line = |name: &str| format!("{name} is set to `{}'\n", sh.bindings.variable(name));
                let text: String = VARIABLES.iter().map(|(name, _)| line(name)).collect();
                self.tell(screen, &text);
            }
            "start-kbd-macro" if self.decoder.record(true) => {}
            "end-kbd-macro" if self.decoder.record(false) => {}
            "call-last-kbd-macro" => {
                let keys = self.decoder.recorded.clone();
                if keys.is_empty() || !self.decoder.insert(&keys) {
                    return Outcome::Bell;
                }
            }
            "print-last-kbd-macro" => {
                let text = encode(&self.decoder.recorded);
                self.tell(screen, &format!("\"{text}\"\n"));
            }
            _ => return Outcome::Bell,
        }
        Outcome::Edited
    }

    /// Shows a text below the line.
    fn tell(&self, screen: &mut Screen, text: &str) {
        show(&(screen.leave() + &text.replace('\n', "\r\n")));
    }

    /// Makes the line a comment and finishes it; with a number, a comment becomes a line again.
    fn comment(&mut self, sh: &Shell) -> Outcome {
        let mark: Vec<char> = sh.bindings.variable("comment-begin").chars().collect();
        let buffer = &mut self.editor.buffer;
        buffer.point = 0;
        if self.editor.given().is_some() && self.editor.buffer.text.starts_with(&mark) {
            self.editor.buffer.remove(0, mark.len());
        } else {
            self.editor.buffer.insert(&mark);
        }
        Outcome::Accept
    }

    /// Where the blank-separated word begins and ends that the cursor is in or behind.
    fn word(&self) -> (usize, usize) {
        let text = &self.editor.buffer.text;
        let point = self.editor.buffer.point;
        let from = text[..point].iter().rposition(|c| c.is_whitespace()).map_or(0, |at| at + 1);
        let to = text[point..].iter().position(|c| c.is_whitespace()).map_or(text.len(), |at| point + at);
        (from, to)
    }

    fn change_word(&mut self, sh: &Shell, name: &str) -> Outcome {
        let (from, to) = self.word();
        let word: String = self.editor.buffer.text[from..to].iter().collect();
        let changed = match (name, word.strip_prefix('~')) {
            ("spell-correct-word", _) => super::spell::correct(&word),
            (_, Some(rest)) => {
                let (user, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                Some(sh.tilde(user) + rest)
            }
            _ => None,
        };
        let Some(changed) = changed else { return Outcome::Bell };
        self.editor.buffer.replace(from, to, &changed.chars().collect::<Vec<_>>());
        Outcome::Edited
    }

    /// The names that the word before the cursor matches as a pattern: inserted, listed, or the one that there is.
    fn expand_glob(&mut self, sh: &mut Shell, screen: &mut Screen, name: &str) -> Outcome {
        let (from, _) = self.word();
        let point = self.editor.buffer.point;
        let mut pattern: String = self.editor.buffer.text[from..point].iter().collect();
        if name == "glob-complete-word" && !pattern.ends_with('*') {
            pattern.push('*');
        }
        let Some(names) = expanded(sh, &pattern).filter(|names| names.as_slice() != [pattern.clone()]) else {
            return Outcome::Bell;
        };
        match name {
            "glob-list-expansions" => self.show_candidates(sh, screen, &names),
            _ if name == "glob-complete-word" && names.len() > 1 => self.show_candidates(sh, screen, &names),
            _ => {
                let text: Vec<char> = (names.join(" ") + " ").chars().collect();
                self.editor.buffer.replace(from, point, &text);
            }
        }
        Outcome::Edited
    }

    /// Completes the word from those of earlier lines, the latest first.
    fn complete_from_history(&mut self, sh: &Shell) -> Outcome {
        let (from, _) = self.word();
        let point = self.editor.buffer.point;
        let word: String = self.editor.buffer.text[from..point].iter().collect();
        let lines = sh.history.iter().rev().map(|entry| entry.line.as_str());
        let mut words = lines.flat_map(|line| line.split_whitespace().rev());
        let found = words.find(|known| known.len() > word.len() && known.starts_with(&word));
        let Some(found) = found.filter(|_| !word.is_empty()) else { return Outcome::Bell };
        self.editor.buffer.replace(from, point, &found.chars().collect::<Vec<_>>());
        Outcome::Edited
    }

    /// Expands what names earlier commands, in the whole line or only up to the cursor.
    fn expand_history(&mut self, sh: &mut Shell, to_point: bool) -> Outcome {
        let len = self.editor.buffer.text.len();
        let to = if to_point { self.editor.buffer.point } else { len };
        let text: String = self.editor.buffer.text[..to].iter().collect();
        match sh.expand_history(&text, None) {
            Expanded::Same => Outcome::Edited,
            Expanded::Changed(new) | Expanded::Print(new) => {
                self.editor.buffer.replace(0, to, &new.chars().collect::<Vec<_>>());
                Outcome::Edited
            }
            Expanded::Wrong(_) => Outcome::Bell,
        }
    }

    fn expand_alias(&mut self, sh: &Shell) {
        let text = self.editor.buffer.string();
        let start = text.len() - text.trim_start().len();
        let end = text[start..].find(char::is_whitespace).map_or(text.len(), |at| start + at);
        if let Some(value) = sh.aliases.get(&text[start..end]) {
            let (from, to) = (text[..start].chars().count(), text[..end].chars().count());
            let value: Vec<char> = value.chars().collect();
            self.editor.buffer.replace(from, to, &value);
            self.editor.buffer.point = self.editor.buffer.text.len();
        }
    }

    /// Expands all words as for a command.
    fn expand_words(&mut self, sh: &mut Shell) {
        let line = self.editor.buffer.string();
        let Some(words) = expanded(sh, &line) else { return };
        let text: Vec<char> = words.join(" ").chars().collect();
        let len = self.editor.buffer.text.len();
        self.editor.buffer.replace(0, len, &text);
    }

    /// Runs a command that a key is bound to; it sees the line and may change it.
    pub(super) fn run_command(&mut self, sh: &mut Shell, command: &str) -> Run {
        let (line, point) = (sym("READLINE_LINE"), sym("READLINE_POINT"));
        let (mark, argument) = (sym("READLINE_MARK"), sym("READLINE_ARGUMENT"));
        sh.vars.put_str(line, self.editor.buffer.string());
        sh.vars.put_str(point, self.editor.buffer.point.to_string());
        sh.vars.put_str(mark, self.editor.buffer.mark.to_string());
        if let Some(given) = self.editor.take_count() {
            sh.vars.put_str(argument, given.to_string());
        }
        let (status, pipestatus) = (sh.status, sh.pipestatus.clone());
        let result = sh.eval_at(command, "bind", sh.line);
        sh.flush();
        if sh.session.leaving {
            return result;
        }
        (sh.status, sh.pipestatus) = (status, pipestatus);
        let text: Vec<char> = sh.vars.get(line).unwrap_or_default().chars().collect();
        let number = |name| sh.vars.get(name).and_then(|text| text.trim().parse::<usize>().ok());
        let len = text.len();
        let (to, marked) = (number(point).unwrap_or(len).min(len), number(mark).unwrap_or(0).min(len));
        let buffer = &mut self.editor.buffer;
        if buffer.text != text {
            let old = buffer.text.len();
            buffer.replace(0, old, &text);
        }
        (buffer.point, buffer.mark) = (to, marked);
        for name in [line, point, mark, argument] {
            sh.vars.unset(name);
        }
        Ok(())
    }
}

/// The words that a text expands to.
fn expanded(sh: &mut Shell, text: &str) -> Option<Vec<String>> {
    let mut out = Vec::new();
    for part in super::editor::words(text) {
        let word = word::parse(&part, 1, Mode::Word).ok()?;
        sh.expand_fields(&word, &mut out).ok()?;
    }
    Some(out)
}
