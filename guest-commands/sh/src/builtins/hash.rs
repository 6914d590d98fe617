//! `hash`: where programs were found. The search itself is in `exec`.

use super::getopt::Options;
use crate::shell::{Flow, Shell};
use crate::symbols::{self, Sym};
use crate::vars::Value;

/// How many programs are remembered.
const MAX_HASHED: usize = 4096;
/// How many rows the table has whose order is shown.
const ROWS: u32 = 256;

impl Shell {
    /// Remembers where a program is, and how often it was asked for.
    pub(crate) fn remember_program(&mut self, name: &str, path: String, hits: u32) {
        if self.hashed.len() < MAX_HASHED {
            self.hashed.insert(name.to_owned(), (path, hits));
            self.show_hashed();
        }
    }

    /// Makes `BASH_CMDS` show what is remembered.
    pub(crate) fn show_hashed(&mut self) {
        let items = self.hashed.iter().map(|(name, (path, _))| (name.clone(), path.clone())).collect();
        self.vars.put(symbols::BASH_CMDS, Value::Assoc(items));
    }

    /// Takes over what a script wrote into `BASH_ALIASES` or `BASH_CMDS`.
    pub(crate) fn table_written(&mut self, table: Sym) {
        let Some(Value::Assoc(items)) = self.vars.slot(table).map(|slot| &slot.value) else { return };
        let items = items.iter().map(|(name, value)| (name.clone(), value.clone()));
        if table == symbols::BASH_ALIASES {
            self.aliases = std::rc::Rc::new(items.collect());
        } else {
            let items: Vec<_> = items.take(MAX_HASHED).collect();
            let hits = |name: &str| self.hashed.get(name).map_or(0, |(_, hits)| *hits);
            self.hashed = items.into_iter().map(|(name, path)| (name.clone(), (path, hits(&name)))).collect();
        }
    }

    /// Where a program was found before, which counts.
    pub(crate) fn hashed_path(&mut self, name: &str) -> Option<String> {
        let (path, hits) = self.hashed.get_mut(name)?;
        *hits = hits.saturating_add(1);
        Some(path.clone())
    }

    fn print_hashed(&mut self, reusable: bool) {
        if self.hashed.is_empty() {
            if self.opts.posix && !reusable {
                return;
            }
            self.print("hash: hash table empty\n");
            return;
        }
        let mut all: Vec<_> = self.hashed.iter().collect();
        all.sort_by_key(|(name, _)| crate::assoc::hash(name) % ROWS);
        let mut text = if reusable { String::new() } else { "hits\tcommand\n".to_owned() };
        for (name, (path, hits)) in all {
            if reusable {
                text += &format!("builtin hash -p {path} {name}\n");
            } else {
                text += &format!("{hits:4}\t{path}\n");
            }
        }
        self.print(&text);
    }
}

pub(super) fn hash(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    if !sh.opts.hashall {
        return Ok(sh.complain("hash", "hashing disabled"));
    }
    let (mut clear, mut delete, mut list, mut show, mut path) = (false, false, false, false, None);
    let mut options = Options::new(args);
    loop {
        match options.next(sh, "dlp:rt") {
            Ok(Some(('d', _))) => delete = true,
            Ok(Some(('l', _))) => list = true,
            Ok(Some(('p', value))) => path = value,
            Ok(Some(('r', _))) => clear = true,
            Ok(Some(_)) => show = true,
            Ok(None) => break,
            Err(status) => return Ok(status),
        }
    }
    let names = options.rest();
    if names.is_empty() {
        if show || delete {
            let letter = if delete { 'd' } else { 't' };
            return Ok(sh.complain("hash", &format!("-{letter}: option requires an argument")));
        }
        if clear {
            sh.hashed.clear();
            sh.show_hashed();
        } else {
            sh.print_hashed(list);
        }
        return Ok(0);
    }
    if clear {
        sh.hashed.clear();
        sh.show_hashed();
    }
    let mut status = 0;
    for name in names {
        let known = if show {
            match sh.hashed_path(name) {
                Some(path) => {
                    let line = match (list, names.len()) {
                        (true, _) => format!("builtin hash -p {path} {name}\n"),
                        (_, 1) => format!("{path}\n"),
                        _ => format!("{name}\t{path}\n"),
                    };
                    sh.print(&line);
                    true
                }
                None => false,
            }
        } else if let Some(path) = path {
            if super::test::is_dir(path) {
                status = sh.complain("hash", &format!("{path}: Is a directory"));
            } else {
                sh.remember_program(name, path.to_owned(), 0);
            }
            true
        } else if delete {
            let known = sh.hashed.is_empty() || sh.hashed.remove(name).is_some();
            sh.show_hashed();
            known
        } else if name.contains('/') || sh.builtin(name).is_some() || sh.functions.contains_key(name.as_str())
        {
            true
        } else if let Some(path) = sh.find_program(name) {
            sh.remember_program(name, path, 0);
            true
        } else {
            sh.hashed.remove(name);
            false
        };
        if !known {
            status = sh.complain("hash", &format!("{name}: not found"));
        }
    }
    Ok(status)
}
