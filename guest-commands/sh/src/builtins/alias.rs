//! `alias` and `unalias`. Where aliases are expanded is the parser's business.

use super::getopt;
use crate::shell::{Flow, Shell};
use crate::symbols;
use crate::vars::Value;
use std::rc::Rc;

/// An alias as a command that defines it, or in POSIX mode as an argument of one.
pub(super) fn definition(posix: bool, name: &str, value: &str) -> String {
    let command = match (posix, name.starts_with('-')) {
        (true, _) => "",
        (false, true) => "alias -- ",
        (false, false) => "alias ",
    };
    format!("{command}{name}='{}'", value.replace('\'', "'\\''"))
}

/// Whether a word can be an alias: nothing in it means something to the grammar.
fn is_alias_name(name: &str) -> bool {
    !name.is_empty()
        && !name
            .contains(['(', ')', '<', '>', ';', '&', '|', ' ', '\t', '\n', '\\', '\'', '"', '`', '$', '/'])
}

impl Shell {
    /// Makes `BASH_ALIASES` show the aliases.
    fn show_aliases(&mut self) {
        let items = self.aliases.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        self.vars.put(symbols::BASH_ALIASES, Value::Assoc(items));
    }
}

pub(super) fn alias(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (flags, words) = match getopt::flags(sh, args, "p") {
        Ok(found) => found,
        Err(status) => return Ok(status),
    };
    let short = sh.opts.posix && flags.is_empty();
    if words.is_empty() || !flags.is_empty() {
        if sh.aliases.is_empty() {
            return Ok(0);
        }
        let mut all: Vec<_> = sh.aliases.iter().collect();
        all.sort();
        let lines: String = all.iter().map(|(name, value)| definition(short, name, value) + "\n").collect();
        sh.print(&lines);
    }
    let mut status = 0;
    for word in words {
        match word.split_once('=') {
            Some((name, _)) if !name.is_empty() && !is_alias_name(name) => {
                status = sh.complain("alias", &format!("`{name}': invalid alias name"));
            }
            Some((name, value)) if !name.is_empty() => {
                Rc::make_mut(&mut sh.aliases).insert(name.to_owned(), value.to_owned());
                sh.show_aliases();
            }
            _ => match sh.aliases.get(word) {
                Some(value) => {
                    let line = definition(short, word, value) + "\n";
                    sh.print(&line);
                }
                None => status = sh.complain("alias", &format!("{word}: not found")),
            },
        }
    }
    Ok(status)
}

pub(super) fn unalias(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (flags, words) = match getopt::flags(sh, args, "a") {
        Ok(found) => found,
        Err(status) => return Ok(status),
    };
    if !flags.is_empty() {
        Rc::make_mut(&mut sh.aliases).clear();
        sh.show_aliases();
        return Ok(0);
    }
    if words.is_empty() {
        return Ok(sh.usage("unalias"));
    }
    let mut status = 0;
    for word in words {
        if Rc::make_mut(&mut sh.aliases).remove(word).is_none() {
            status = sh.complain("unalias", &format!("{word}: not found"));
        }
    }
    sh.show_aliases();
    Ok(status)
}
