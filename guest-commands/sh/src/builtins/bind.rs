//! `bind`: lists and changes the keys and settings of the line editor. The table itself is in `interactive::bindings`.

use super::getopt::Options;
use super::keys::VARIABLES;
use crate::interactive::bindings::{Action, Bindings, Keymap, decode, encode, function_names};
use crate::interactive::inputrc::{Reader, closing};
use crate::shell::{Flow, Shell};
use std::collections::BTreeMap;

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
    let mut keymap = sh.current_keymap();
    let mode = if sh.opts.vi { ("vi", "vi-insert") } else { ("emacs", "emacs") };
    sh.bindings.set_variable("editing-mode", mode.0.to_owned());
    sh.bindings.set_variable("keymap", mode.1.to_owned());
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
    if let Some(file) = value('f')
        && let Err(error) = Reader::new(keymap).file(sh, file)
    {
        let message = format!("{file}: cannot read: {}", agentos_guest::strerror(&error));
        return Ok(sh.complain("bind", &message));
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
    let mut reader = Reader::new(keymap);
    for word in options.rest() {
        reader.line(sh, word);
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
