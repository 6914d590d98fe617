//! `bind`: the table of keys of the line editor. It decodes key sequences and knows no terminal.

use super::getopt::Options;
use super::keys::{FUNCTIONS, VARIABLES};
use crate::shell::{Flow, Shell};
use std::collections::BTreeMap;

/// How many bindings of the script's own are kept, and how long a sequence is.
const MAX_BINDINGS: usize = 4096;
const MAX_SEQUENCE: usize = 256;

/// What a key sequence does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// A function of the line editor.
    Function(&'static str),
    /// Keys that are read instead.
    Macro(Vec<u8>),
    /// A command of the shell.
    Command(String),
    /// Nothing: what was bound is not any more.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Keymap {
    Emacs,
    EmacsMeta,
    EmacsCtlx,
    ViInsert,
    ViCommand,
}

impl Keymap {
    fn new(name: &str) -> Option<Keymap> {
        Some(match name {
            "emacs" | "emacs-standard" => Keymap::Emacs,
            "emacs-meta" => Keymap::EmacsMeta,
            "emacs-ctlx" => Keymap::EmacsCtlx,
            "vi" | "vi-command" | "vi-move" => Keymap::ViCommand,
            "vi-insert" => Keymap::ViInsert,
            _ => return None,
        })
    }

    /// The keymap that holds the keys, and what goes before them.
    fn root(self) -> (Keymap, &'static [u8]) {
        match self {
            Keymap::EmacsMeta => (Keymap::Emacs, b"\x1b"),
            Keymap::EmacsCtlx => (Keymap::Emacs, b"\x18"),
            other => (other, b""),
        }
    }
}

/// What was changed about the keys of the line editor.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    keys: BTreeMap<(Keymap, Vec<u8>), Action>,
    variables: BTreeMap<&'static str, String>,
}

impl Bindings {
    /// The value of a variable of the line editor.
    fn variable(&self, name: &str) -> &str {
        let initial = VARIABLES.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        self.variables.get(name).map_or(initial, String::as_str)
    }

    fn set(&mut self, keymap: Keymap, sequence: Vec<u8>, action: Action) {
        let (root, before) = keymap.root();
        let key = (root, [before, &sequence].concat());
        if self.keys.len() < MAX_BINDINGS || self.keys.contains_key(&key) {
            self.keys.insert(key, action);
        }
    }

    /// All bound sequences of a keymap with what they do, in order.
    fn all(&self, keymap: Keymap) -> BTreeMap<Vec<u8>, Action> {
        let (root, before) = keymap.root();
        let mut all = BTreeMap::new();
        if root == Keymap::ViInsert {
            all.extend((1..b' ').map(|b| (vec![b], Action::Function("self-insert"))));
        }
        for (name, emacs, vi_insert, vi_command) in FUNCTIONS {
            let keys = match root {
                Keymap::ViInsert => vi_insert,
                Keymap::ViCommand => vi_command,
                _ => emacs,
            };
            all.extend(keys.iter().map(|key| (decode(key), Action::Function(name))));
        }
        if root != Keymap::ViCommand {
            let inserted = (b' '..=b'~').chain(0x80..=0xff).map(|b| vec![b]);
            all.extend(inserted.map(|key| (key, Action::Function("self-insert"))));
        }
        if root == Keymap::Emacs {
            let upper = (b'A'..=b'Z').flat_map(|b| [vec![0x18, b], vec![0x1b, b]]);
            let lowered = upper.filter(|key| key != b"\x1bO");
            all.extend(lowered.map(|key| (key, Action::Function("do-lowercase-version"))));
        }
        for ((of, key), action) in &self.keys {
            if *of == root {
                all.insert(key.clone(), action.clone());
            }
        }
        all.into_iter()
            .filter(|(_, action)| *action != Action::Nothing)
            .filter_map(|(key, action)| Some((key.strip_prefix(before)?.to_vec(), action)))
            .collect()
    }
}

/// The names of all functions of the line editor.
pub(crate) fn function_names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, ..)| *name)
}

/// The bytes of a sequence that is written with escapes.
fn decode(text: &str) -> Vec<u8> {
    let bytes = crate::text::to_bytes(text);
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() && out.len() < MAX_SEQUENCE {
        if bytes[at] != b'\\' || at + 1 == bytes.len() {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        at += 1;
        let (mut control, mut meta) = (false, false);
        let rest = |at: usize| bytes.get(at..at + 2).unwrap_or_default();
        let mut prefixed = false;
        let mut from = at;
        while matches!(rest(from), b"C-" | b"M-") {
            control |= bytes[from] == b'C';
            meta |= bytes[from] == b'M';
            prefixed = true;
            from += 2;
            // `\C-\M-x` and `\C-M-x` are the same.
            if bytes.get(from) == Some(&b'\\') && matches!(rest(from + 1), b"C-" | b"M-") {
                from += 1;
            }
        }
        if meta {
            out.push(0x1b);
        }
        if prefixed {
            let c = bytes.get(from).copied().unwrap_or(b'@');
            out.push(match c {
                b'?' if control => 0x7f,
                c if control => c.to_ascii_uppercase() & 0x1f,
                c => c,
            });
            at = from + 1;
            continue;
        }
        let c = bytes[at];
        at += 1;
        match c {
            b'e' => out.push(0x1b),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'd' => out.push(0x7f),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let mut n = u32::from(c - b'0');
                for _ in 0..2 {
                    if let Some(digit @ b'0'..=b'7') = bytes.get(at) {
                        n = n * 8 + u32::from(digit - b'0');
                        at += 1;
                    }
                }
                out.push(n as u8);
            }
            b'x' => {
                let mut n = 0;
                let start = at;
                while at < start + 2
                    && let Some(digit) = bytes.get(at).and_then(|b| char::from(*b).to_digit(16))
                {
                    n = n * 16 + digit;
                    at += 1;
                }
                out.push(if at == start { b'x' } else { n as u8 });
            }
            other => out.push(other),
        }
    }
    out
}

/// A sequence written with escapes.
fn encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for b in bytes {
        match b {
            0x1b => out.push_str("\\e"),
            0x7f => out.push_str("\\C-?"),
            b'"' | b'\\' => out.extend(['\\', char::from(*b)]),
            0 if bytes.len() > 1 => out.push_str("\\000"),
            0..=0x1f => {
                out.push_str("\\C-");
                let c = char::from(b | 0x40).to_ascii_lowercase();
                if c == '\\' {
                    out.push('\\');
                }
                out.push(c);
            }
            0x20..=0x7e => out.push(char::from(*b)),
            _ => out.push_str(&format!("\\{b:o}")),
        }
    }
    out
}

pub(super) fn bind(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    if !sh.session.edits {
        sh.complain("bind", "warning: line editing not enabled");
    }
    let mut flags = String::new();
    let mut values: Vec<(char, String)> = Vec::new();
    let mut options = Options::new(args);
    loop {
        match options.next(sh, "lpsvPSVXm:f:q:u:r:x:") {
            Ok(Some((letter, Some(value)))) => values.push((letter, value.to_owned())),
            Ok(Some((letter, None))) => flags.push(letter),
            Ok(None) => break,
            Err(status) => return Ok(status),
        }
    }
    let mut keymap = match sh.bindings.variable("editing-mode") {
        "vi" => Keymap::ViInsert,
        _ => Keymap::Emacs,
    };
    let value = |letter: char| values.iter().rev().find(|(l, _)| *l == letter).map(|(_, v)| v.as_str());
    if let Some(name) = value('m') {
        match Keymap::new(name) {
            Some(found) => keymap = found,
            None => return Ok(sh.complain("bind", &format!("`{name}': invalid keymap name"))),
        }
    }
    let mut status = 0;
    let text: String = flags.chars().map(|flag| list(&sh.bindings, flag, keymap)).collect();
    sh.print(&text);
    if let Some(file) = value('f') {
        match std::fs::read(&*crate::text::os(file)) {
            Ok(bytes) => {
                for line in crate::text::from_bytes(bytes).lines() {
                    read_line(sh, keymap, line);
                }
            }
            Err(error) => {
                let message = format!("{file}: cannot read: {}", agentos_guest::strerror(&error));
                return Ok(sh.complain("bind", &message));
            }
        }
    }
    if let Some(name) = value('q') {
        status = query(sh, keymap, name);
    }
    if let Some(name) = value('u') {
        match function_names().find(|known| *known == name) {
            Some(known) => {
                for (key, action) in sh.bindings.all(keymap) {
                    if action == Action::Function(known) {
                        sh.bindings.set(keymap, key, Action::Nothing);
                    }
                }
            }
            None => status = sh.complain("bind", &format!("`{name}': unknown function name")),
        }
    }
    if let Some(sequence) = value('r') {
        sh.bindings.set(keymap, decode(sequence), Action::Nothing);
    }
    if let Some(text) = value('x') {
        status = bind_command(sh, keymap, text);
    }
    for word in options.rest() {
        read_line(sh, keymap, word);
    }
    Ok(status)
}

/// `-x`: a sequence in quotes, a colon and a command.
fn bind_command(sh: &mut Shell, keymap: Keymap, text: &str) -> i32 {
    let text = text.trim_start();
    let Some(rest) = text.strip_prefix('"') else {
        return sh.complain("bind", &format!("{text}: first non-whitespace character is not `\"'"));
    };
    let Some(end) = closing(rest) else {
        return sh.complain("bind", &format!("no closing `\"' in {text}"));
    };
    let Some(command) = rest[end + 1..].trim_start().strip_prefix(':') else {
        return sh.complain("bind", &format!("{text}: missing colon separator"));
    };
    let command = command.trim_start();
    let command = match command.strip_prefix(['"', '\'']) {
        Some(quoted) => quoted.strip_suffix(['"', '\'']).unwrap_or(quoted),
        None => command,
    };
    sh.bindings.set(keymap, decode(&rest[..end]), Action::Command(command.to_owned()));
    0
}

/// Where the text ends that a quote closes.
fn closing(text: &str) -> Option<usize> {
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

/// A line as in an init file: `set name value`, or a key, a colon and what it does.
fn read_line(sh: &mut Shell, keymap: Keymap, line: &str) {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', '$']) {
        return;
    }
    let complain = |sh: &mut Shell, message: String| {
        sh.flush();
        sh.write_error(&format!("readline: {message}\n"));
    };
    if let Some(setting) = line.strip_prefix("set ") {
        let (name, value) = setting.trim_start().split_once([' ', '\t']).unwrap_or((setting.trim(), ""));
        match VARIABLES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((known, initial)) => set_variable(sh, known, initial, value.trim()),
            None => complain(sh, format!("{name}: unknown variable name")),
        }
        return;
    }
    let (sequence, rest) = if let Some(quoted) = line.strip_prefix('"') {
        let Some(end) = closing(quoted) else {
            return complain(sh, format!("{line}: no closing `\"' in key binding"));
        };
        (decode(&quoted[..end]), &quoted[end + 1..])
    } else {
        let Some(end) = line.find(':') else {
            return complain(sh, format!("{line}: no key sequence terminator"));
        };
        (named_key(line[..end].trim()), &line[end..])
    };
    let Some(action) = rest.trim_start().strip_prefix(':').map(str::trim) else {
        return complain(sh, format!("{line}: no key sequence terminator"));
    };
    if let Some(quoted) = action.strip_prefix(['"', '\'']) {
        let text = quoted.strip_suffix(['"', '\'']).unwrap_or(quoted);
        sh.bindings.set(keymap, sequence, Action::Macro(decode(text)));
        return;
    }
    let name = action.split_whitespace().next().unwrap_or_default();
    // An unknown function is silently none, as in an init file for a newer editor.
    let found = function_names().find(|known| known.eq_ignore_ascii_case(name));
    sh.bindings.set(keymap, sequence, found.map_or(Action::Nothing, Action::Function));
}

fn set_variable(sh: &mut Shell, name: &'static str, initial: &str, value: &str) {
    let value = if matches!(initial, "on" | "off") {
        let on = value.is_empty() || value.eq_ignore_ascii_case("on") || value == "1";
        if on { "on" } else { "off" }.to_owned()
    } else {
        value.to_owned()
    };
    sh.bindings.variables.insert(name, value);
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

fn query(sh: &mut Shell, keymap: Keymap, name: &str) -> i32 {
    let Some(known) = function_names().find(|known| *known == name) else {
        return sh.complain("bind", &format!("`{name}': unknown function name"));
    };
    let all = sh.bindings.all(keymap);
    let keys: Vec<String> = all
        .iter()
        .filter(|(_, action)| **action == Action::Function(known))
        .take(6)
        .map(|(key, _)| format!("\"{}\"", encode(key)))
        .collect();
    if keys.is_empty() {
        sh.print(&format!("{name} is not bound to any keys.\n"));
        return 1;
    }
    let text = shortened(keys);
    sh.print(&format!("{name} can be invoked via {text}\n"));
    0
}

/// Up to five sequences.
fn shortened(mut keys: Vec<String>) -> String {
    let more = keys.len() > 5;
    keys.truncate(5);
    format!("{}{}", keys.join(", "), if more { ", ..." } else { "." })
}

/// One of the listings.
fn list(bindings: &Bindings, flag: char, keymap: Keymap) -> String {
    let mut out = String::new();
    match flag {
        'l' => out.extend(function_names().map(|name| format!("{name}\n"))),
        'v' => {
            for (name, _) in VARIABLES {
                out.push_str(&format!("set {name} {}\n", bindings.variable(name)));
            }
        }
        'V' => {
            for (name, _) in VARIABLES {
                out.push_str(&format!("{name} is set to `{}'\n", bindings.variable(name)));
            }
        }
        'p' | 'P' => {
            let mut by_function: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for (key, action) in bindings.all(keymap) {
                if let Action::Function(name) = action {
                    by_function.entry(name).or_default().push(encode(&key));
                }
            }
            out.push('\n');
            for name in function_names() {
                let keys = by_function.remove(name).unwrap_or_default();
                match (flag, keys.is_empty()) {
                    ('p', true) => out.push_str(&format!("# {name} (not bound)\n")),
                    ('p', false) => out.extend(keys.iter().map(|key| format!("\"{key}\": {name}\n"))),
                    (_, true) => out.push_str(&format!("{name} is not bound to any keys\n")),
                    (_, false) => {
                        let keys = shortened(keys.iter().map(|key| format!("\"{key}\"")).collect());
                        out.push_str(&format!("{name} can be found on {keys}\n"));
                    }
                }
            }
        }
        _ => {
            for (key, action) in bindings.all(keymap) {
                let key = encode(&key);
                match (flag, action) {
                    ('s', Action::Macro(text)) => {
                        out.push_str(&format!("\"{key}\": \"{}\"\n", encode(&text)));
                    }
                    ('S', Action::Macro(text)) => {
                        out.push_str(&format!("{key} outputs {}\n", encode(&text)));
                    }
                    ('X', Action::Command(command)) => {
                        out.push_str(&format!("\"{key}\": \"{command}\"\n"));
                    }
                    _ => {}
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_written_as_they_are_read() {
        for text in ["\\C-a", "\\e[A", "a\\\"b", "\\C-x\\C-r", "\\C-?"] {
            assert_eq!(encode(&decode(text)), text);
        }
        assert_eq!(decode("\\M-x"), b"\x1bx");
        assert_eq!(named_key("Control-u"), b"\x15");
    }
}
