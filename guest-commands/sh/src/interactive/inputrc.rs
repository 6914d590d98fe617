//! The init file of the line editor, and the lines that `bind` takes in the same form.

use super::bindings::{Action, Keymap, decode, function_names};
use crate::builtins::keys::VARIABLES;
use crate::shell::Shell;
use crate::symbols::sym;

/// How deep files include one another, how deep conditions nest, and how much of a file is read.
const MAX_INCLUDES: usize = 8;
const MAX_CONDITIONS: usize = 64;
const MAX_FILE: usize = 1 << 20;
/// The version of the line editor that conditions are compared with.
const VERSION: f64 = 8.2;

/// What reading lines has come to.
pub(crate) struct Reader {
    keymap: Keymap,
    /// For each open `$if`: whether its lines count now, and whether any part of it has counted.
    conditions: Vec<(bool, bool)>,
    includes: usize,
}

impl Reader {
    pub(crate) fn new(keymap: Keymap) -> Self {
        Reader { keymap, conditions: Vec::new(), includes: 0 }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Those of opening and reading it.
    pub(crate) fn file(&mut self, sh: &mut Shell, path: &str) -> std::io::Result<()> {
        let mut bytes = std::fs::read(&*crate::text::os(path))?;
        bytes.truncate(MAX_FILE);
        let outer = std::mem::take(&mut self.conditions);
        for line in crate::text::from_bytes(bytes).lines() {
            self.line(sh, line);
        }
        self.conditions = outer;
        if self.includes == 0 {
            sh.session.inputrc = Some(path.to_owned());
        }
        Ok(())
    }

    /// Reads a line: `set name value`, a directive, or a key, a colon and what it does.
    pub(crate) fn line(&mut self, sh: &mut Shell, line: &str) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        if let Some(directive) = line.strip_prefix('$') {
            return self.directive(sh, directive);
        }
        if self.conditions.iter().any(|(counts, _)| !counts) {
            return;
        }
        if let Some(setting) = line.strip_prefix("set ") {
            let (name, value) = setting.trim_start().split_once([' ', '\t']).unwrap_or((setting.trim(), ""));
            return match VARIABLES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                Some((known, initial)) => self.set_variable(sh, known, initial, value.trim()),
                None => complain(sh, &format!("{name}: unknown variable name")),
            };
        }
        let (sequence, rest) = if let Some(quoted) = line.strip_prefix('"') {
            let Some(end) = closing(quoted) else {
                return complain(sh, &format!("{line}: no closing `\"' in key binding"));
            };
            (decode(&quoted[..end]), &quoted[end + 1..])
        } else {
            let Some(end) = line.find(':') else {
                return complain(sh, &format!("{line}: no key sequence terminator"));
            };
            (named_key(line[..end].trim()), &line[end..])
        };
        let Some(action) = rest.trim_start().strip_prefix(':').map(str::trim) else {
            return complain(sh, &format!("{line}: no key sequence terminator"));
        };
        if let Some(quoted) = action.strip_prefix(['"', '\'']) {
            let text = quoted.strip_suffix(['"', '\'']).unwrap_or(quoted);
            sh.bindings.set(self.keymap, sequence, Action::Macro(decode(text)));
            return;
        }
        let name = action.split_whitespace().next().unwrap_or_default();
        // An unknown function is silently none, as in an init file for a newer editor.
        let found = function_names().find(|known| known.eq_ignore_ascii_case(name));
        sh.bindings.set(self.keymap, sequence, found.map_or(Action::Nothing, Action::Function));
    }

    fn directive(&mut self, sh: &mut Shell, text: &str) {
        let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let active = self.conditions.iter().all(|(counts, _)| *counts);
        match word.to_ascii_lowercase().as_str() {
            "if" if self.conditions.len() >= MAX_CONDITIONS => complain(sh, "$if: nested too deep"),
            "if" => {
                let counts = active && holds(sh, rest.trim());
                // Within what does not count, `$else` does not either.
                self.conditions.push((counts, counts || !active));
            }
            "else" => match self.conditions.last_mut() {
                Some((counts, counted)) => (*counts, *counted) = (!*counted, true),
                None => complain(sh, "$else found without matching $if"),
            },
            "endif" => {
                if self.conditions.pop().is_none() {
                    complain(sh, "$endif without matching $if");
                }
            }
            "include" if active => {
                if self.includes >= MAX_INCLUDES {
                    return complain(sh, &format!("{}: included too deep", rest.trim()));
                }
                self.includes += 1;
                let path = match rest.trim().strip_prefix("~/") {
                    Some(rest) => format!("{}/{rest}", sh.tilde("")),
                    None => rest.trim().to_owned(),
                };
                // As in readline, a file that is not there is passed over.
                let _ = self.file(sh, &path);
                self.includes -= 1;
            }
            "include" => {}
            _ => complain(sh, &format!("{word}: unknown parser directive")),
        }
    }

    fn set_variable(&mut self, sh: &mut Shell, name: &'static str, initial: &str, value: &str) {
        match name {
            "editing-mode" => match value {
                "vi" => (sh.opts.vi, sh.opts.emacs, self.keymap) = (true, false, Keymap::ViInsert),
                "emacs" => (sh.opts.vi, sh.opts.emacs, self.keymap) = (false, true, Keymap::Emacs),
                _ => return complain(sh, &format!("{name}: could not set value to `{value}'")),
            },
            "keymap" => match Keymap::new(value) {
                Some(keymap) => self.keymap = keymap,
                None => return complain(sh, &format!("{name}: could not set value to `{value}'")),
            },
            "bell-style" if !matches!(value, "none" | "off" | "audible" | "on" | "visible" | "") => {
                return complain(sh, &format!("{name}: could not set value to `{value}'"));
            }
            _ => {}
        }
        if let ("history-size", Ok(most)) = (name, value.parse::<usize>()) {
            sh.history.limit(most);
        }
        let value = if matches!(initial, "on" | "off") {
            let on = value.is_empty() || value.eq_ignore_ascii_case("on") || value == "1";
            if on { "on" } else { "off" }.to_owned()
        } else {
            match (name, value) {
                ("bell-style", "off") => "none",
                ("bell-style", "on" | "") => "audible",
                (_, value) => value.trim_matches('"'),
            }
            .to_owned()
        };
        sh.bindings.set_variable(name, value);
    }
}

impl Shell {
    /// Reads the init file that was read last, or at first the one that `INPUTRC` names, or the one of the home directory, or
    /// the one of the system.
    pub(crate) fn read_inputrc(&mut self) {
        let mut reader = Reader::new(self.current_keymap());
        let named = self.vars.get(sym("INPUTRC")).filter(|path| !path.is_empty());
        let path = match (&self.session.inputrc, named) {
            (Some(last), _) => last.clone(),
            (None, Some(path)) => path.into_owned(),
            (None, None) => format!("{}/.inputrc", self.tilde("")),
        };
        if reader.file(self, &path).is_err() {
            // There may be none at all.
            let _ = reader.file(self, "/etc/inputrc");
        }
    }

    /// The keymap that the next key begins in, and that `bind` changes.
    pub(crate) fn current_keymap(&self) -> Keymap {
        if self.opts.vi { Keymap::ViInsert } else { Keymap::Emacs }
    }
}

fn complain(sh: &mut Shell, message: &str) {
    sh.flush();
    sh.write_error(&format!("readline: {message}\n"));
}

/// Whether the test of a `$if` holds.
fn holds(sh: &Shell, test: &str) -> bool {
    let text = test.split('#').next().unwrap_or_default().trim();
    if text.eq_ignore_ascii_case("bash") {
        return true;
    }
    let Some(at) = text.find(['=', '<', '>', '!']) else { return false };
    let name = text[..at].trim();
    let operator: String = text[at..].chars().take_while(|c| "=<>!".contains(*c)).collect();
    let value = text[at + operator.len()..].trim().trim_matches('"');
    let found = match name {
        "mode" => value == if sh.opts.vi { "vi" } else { "emacs" },
        "term" => {
            let term = sh.vars.get(sym("TERM")).unwrap_or_default();
            value == term || term.split('-').next() == Some(value)
        }
        "version" => {
            let Ok(wanted) = value.parse::<f64>() else { return false };
            return match operator.as_str() {
                "=" | "==" => VERSION == wanted,
                "!=" => VERSION != wanted,
                "<=" => VERSION <= wanted,
                ">=" => VERSION >= wanted,
                "<" => VERSION < wanted,
                ">" => VERSION > wanted,
                _ => false,
            };
        }
        _ => VARIABLES.iter().any(|(known, _)| *known == name) && sh.bindings.variable(name) == value,
    };
    match operator.as_str() {
        "=" | "==" => found,
        "!=" => !found,
        _ => false,
    }
}

/// Where the text ends that a quote closes.
pub(crate) fn closing(text: &str) -> Option<usize> {
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '"' => return Some(i),
            _ => {}
        }
    }
    None
}

/// The sequence of a key by name: `Control-x`, `Meta-Rubout`, `a`.
fn named_key(text: &str) -> Vec<u8> {
    let (mut control, mut meta, mut rest) = (false, false, text);
    while let Some((modifier, after)) = rest.split_once('-').filter(|(_, after)| !after.is_empty()) {
        match modifier.to_ascii_lowercase().as_str() {
            "c" | "ctrl" | "control" => control = true,
            "m" | "meta" => meta = true,
            _ => break,
        }
        rest = after;
    }
    let key = match rest.to_ascii_lowercase().as_str() {
        "del" | "rubout" => 0x7f,
        "esc" | "escape" => 0x1b,
        "lfd" | "newline" => b'\n',
        "ret" | "return" => b'\r',
        "spc" | "space" => b' ',
        "tab" => b'\t',
        _ => rest.bytes().next().unwrap_or(0),
    };
    let key = if control { key.to_ascii_uppercase() & 0x1f } else { key };
    if meta { vec![0x1b, key] } else { vec![key] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_by_name() {
        assert_eq!(named_key("Control-u"), b"\x15");
        assert_eq!(named_key("Meta-Rubout"), b"\x1b\x7f");
        assert_eq!(named_key("TAB"), b"\t");
    }
}
