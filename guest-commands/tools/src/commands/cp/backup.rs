//! Backups of files that are about to be replaced (`-b`, `--backup`, `-S`): their kind, their names, and the
//! renaming.

use crate::context::{Cx, End};
use crate::options::Opt;
use crate::os::{OsStrExt, base_name, os, os_owned};
use crate::quote::quoteaf;
use crate::walk;
use agentos_guest::fs::{self, Stat};
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};

/// What `cp`, `mv` and their like add to their options for backups.
pub(crate) const HELP: &str = "
      --backup[=CONTROL], -b   make a backup of each existing destination file: none, off, simple, never,
                               existing, nil, numbered, t
  -S, --suffix=SUFFIX          override the usual backup suffix, ~";

const CONTROLS: &[&[&str]] =
    &[&["none", "off"], &["simple", "never"], &["existing", "nil"], &["numbered", "t"]];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Simple,
    /// Numbered where there is a numbered one already.
    Existing,
    Numbered,
}

/// How backups are named.
#[derive(Clone, Debug)]
pub(crate) struct Backup {
    kind: Kind,
    suffix: Vec<u8>,
}

impl Backup {
    /// What the options `b`, `backup` and `suffix` and the environment say; `None`: no backups.
    pub(crate) fn from_options(cx: &Cx, opts: &[Opt]) -> Result<Option<Backup>, End> {
        let mut wanted = false;
        let mut control: Option<OsString> = None;
        let mut suffix = std::env::var_os("SIMPLE_BACKUP_SUFFIX");
        for opt in opts {
            match opt.id {
                "b" => wanted = true,
                "backup" => {
                    wanted = true;
                    control = opt.value.clone().or(control);
                }
                "suffix" => (wanted, suffix) = (true, opt.value.clone()),
                _ => {}
            }
        }
        if !wanted {
            return Ok(None);
        }
        let (what, word) = match control {
            Some(word) => ("backup type", Some(word)),
            None => ("$VERSION_CONTROL", std::env::var_os("VERSION_CONTROL")),
        };
        let kind = match word.filter(|w| !w.is_empty()) {
            None => Kind::Existing,
            Some(word) => match cx.keyword(what, &word, CONTROLS)? {
                0 => return Ok(None),
                1 => Kind::Simple,
                2 => Kind::Existing,
                _ => Kind::Numbered,
            },
        };
        // A suffix with a slash would name a file elsewhere.
        let suffix = suffix.filter(|s| !s.is_empty() && !s.as_bytes().contains(&b'/'));
        Ok(Some(Backup { kind, suffix: suffix.map_or(b"~".to_vec(), |s| s.as_bytes().to_vec()) }))
    }

    /// The name that the backup of `path` gets.
    pub(crate) fn name(&self, path: &OsStr) -> OsString {
        let bytes = path.as_bytes();
        let bytes = &bytes[..bytes.iter().rposition(|b| *b != b'/').map_or(bytes.len(), |i| i + 1)];
        let last = if self.kind == Kind::Simple { 0 } else { highest(os(bytes)) };
        if self.kind == Kind::Simple || (self.kind == Kind::Existing && last == 0) {
            return os_owned([bytes, &self.suffix].concat());
        }
        os_owned([bytes, format!(".~{}~", last.saturating_add(1)).as_bytes()].concat())
    }
}

/// Renames `dest` to its backup's name and returns that; `None` when it cannot be, which is said.
pub(crate) fn back_up(
    cx: &mut Cx,
    backup: &Backup,
    source: &OsStr,
    dest: &OsStr,
    from: &Stat,
) -> Option<OsString> {
    let name = backup.name(dest);
    let is_source = base_name(&name) == base_name(source)
        && fs::stat(&name).is_ok_and(|s| (s.dev, s.ino) == (from.dev, from.ino));
    if is_source {
        let done = if cx.name == "mv" { "moved" } else { "copied" };
        let (source, dest) = (quoteaf(source), quoteaf(dest));
        cx.warn(format_args!("backing up {dest} might destroy source;  {source} not {done}"));
        return None;
    }
    match std::fs::rename(dest, &name) {
        Ok(()) => Some(name),
        Err(error) => {
            cx.warn(format_args!("cannot backup {}: {}", quoteaf(dest), strerror(&error)));
            None
        }
    }
}

/// The highest number of the numbered backups of `path`, 0 if there are none.
pub(crate) fn highest(path: &OsStr) -> u64 {
    let bytes = path.as_bytes();
    let dir = match bytes.iter().rposition(|b| *b == b'/') {
        Some(0) => os(b"/"),
        Some(at) => os(&bytes[..at]),
        None => os(b"."),
    };
    let base = base_name(path).as_bytes();
    let number = |name: &OsString| -> Option<u64> {
        let digits = name.as_bytes().strip_prefix(base)?.strip_prefix(b".~")?.strip_suffix(b"~")?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    walk::names(dir).unwrap_or_default().iter().filter_map(number).max().unwrap_or(0)
}
