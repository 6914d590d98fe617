//! `mv`: renames files, and between file systems copies and removes them. The copying is that of `cp`.

use super::cp::backup::{self, Backup, back_up};
use super::cp::copy::Copy;
use super::cp::one_target;
use super::cp::operands::{Target, divide, trimmed};
use super::cp::policy::{Follow, Update, ask};
use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, base_name, join, os};
use crate::quote::quoteaf;
use crate::walk;
use agentos_guest::fs::{self, FileType, Stat, file_type};
use agentos_guest::{Errno, errno_of, fd, strerror};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;

const SPEC: &[&str] = &[
    "b",
    "backup=?",
    "f,force",
    "i,interactive",
    "n,no-clobber",
    "strip-trailing-slashes",
    "S,suffix=",
    "t,target-directory=",
    "T,no-target-directory",
    "u",
    "update=?",
    "v,verbose",
];
const HELP: &str = "{} [OPTION]... SOURCE... DEST
Rename SOURCE to DEST, or move SOURCE(s) to DIRECTORY. Of -f, -i, -n the last one counts.
  -f, --force                  do not prompt before overwriting
  -i, --interactive            prompt before overwrite
  -n, --no-clobber             do not overwrite an existing file
      --strip-trailing-slashes remove any trailing slashes from each SOURCE
  -t, --target-directory=DIR   move all SOURCE arguments into DIR
  -T, --no-target-directory    treat DEST as a normal file
  -u, --update[=UPDATE]        which existing files are replaced: all, none, none-fail, older (without UPDATE)
  -v, --verbose                explain what is being done";

/// When the user is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// For files that may not be written, at a terminal.
    Unset,
    Never,
    Always,
}

struct Move {
    ask: Ask,
    update: Update,
    verbose: bool,
    backup: Option<Backup>,
    /// There are several operands, which must not overwrite each other.
    many: bool,
    written: HashSet<OsString>,
    copy: Copy,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = format!("{HELP}{}", backup::HELP);
    let parsed = cx.parse(SPEC, args, Order::Permute, &help)?;
    let mut m = Move::new();
    let (mut strip, mut no_target, mut target, mut no_clobber) = (false, false, None, false);
    for opt in &parsed.opts {
        match opt.id {
            "force" => (m.ask, no_clobber) = (Ask::Never, false),
            "interactive" => (m.ask, no_clobber) = (Ask::Always, false),
            "no-clobber" => (m.ask, no_clobber) = (Ask::Never, true),
            "strip-trailing-slashes" => strip = true,
            "target-directory" => target = Some(one_target(target, opt)?),
            "no-target-directory" => no_target = true,
            "u" | "update" => m.update = Update::from_option(cx, opt)?,
            "verbose" => (m.verbose, m.copy.verbose) = (true, true),
            _ => {}
        }
    }
    m.backup = Backup::from_options(cx, &parsed.opts)?;
    if no_clobber {
        m.update = Update::None;
        if m.backup.is_some() {
            return Err(cx.usage("options --backup and --no-clobber are mutually exclusive"));
        }
    }
    let (sources, target) = divide(cx, parsed.operands, target, no_target)?;
    m.many = sources.len() > 1;
    for source in &sources {
        let source = if strip { trimmed(source) } else { source.clone() };
        let dest = match &target {
            Target::Into(dir) => join(dir, base_name(&source)),
            Target::As(dest) => dest.clone(),
        };
        m.one(cx, &source, &dest)?;
    }
    Ok(0)
}

impl Move {
    fn new() -> Move {
        let mut copy = Copy::new();
        (copy.follow, copy.recursive, copy.moving) = (Follow::Never, true, true);
        (copy.mode, copy.owner, copy.times, copy.links) = (true, true, true, true);
        Move {
            ask: Ask::Unset,
            update: Update::All,
            verbose: false,
            backup: None,
            many: false,
            written: HashSet::new(),
            copy,
        }
    }

    fn one(&mut self, cx: &mut Cx, source: &OsStr, dest: &OsStr) -> Result<(), End> {
        let from = match fs::lstat(source) {
            Ok(from) => from,
            Err(error) => {
                cx.warn(format_args!("cannot stat {}: {}", quoteaf(source), strerror(&error)));
                return Ok(());
            }
        };
        let mut saved = None;
        if let Ok(to) = fs::lstat(dest) {
            if same_file(source, dest, &from, &to, self.backup.is_some()) {
                cx.warn(format_args!("{} and {} are the same file", quoteaf(source), quoteaf(dest)));
                return Ok(());
            }
            if !self.may_replace(cx, source, dest, &from, &to)? {
                return Ok(());
            }
            if let Some(backup) = &self.backup {
                match back_up(cx, backup, source, dest, &from) {
                    Some(name) => saved = Some(name),
                    None => return Ok(()),
                }
            }
        }
        let moved = self.rename(cx, source, dest, &from, saved.as_deref())?;
        if moved && self.many {
            self.written.insert(dest.to_owned());
        }
        if let Some(name) = saved.filter(|_| !moved && fs::lstat(dest).is_err())
            && let Err(error) = std::fs::rename(&name, dest)
        {
            cx.warn(format_args!("cannot un-backup {}: {}", quoteaf(dest), strerror(&error)));
        }
        Ok(())
    }

    fn may_replace(
        &self,
        cx: &mut Cx,
        source: &OsStr,
        dest: &OsStr,
        from: &Stat,
        to: &Stat,
    ) -> Result<bool, End> {
        let is_dir = |s: &Stat| file_type(s.mode) == FileType::Dir;
        match self.update {
            Update::All => {}
            Update::None => return Ok(false),
            Update::NoneFail => {
                cx.warn(format_args!("not replacing {}", quoteaf(dest)));
                return Ok(false);
            }
            Update::Older => {
                if !is_dir(from) && (to.mtime, to.mtime_nsec) >= (from.mtime, from.mtime_nsec) {
                    return Ok(false);
                }
            }
        }
        let asks = match self.ask {
            Ask::Always => true,
            Ask::Never => false,
            Ask::Unset => {
                file_type(to.mode) != FileType::Symlink
                    && fd::isatty(0)
                    && fs::access(dest, fs::W_OK).is_err()
            }
        };
        if asks && !ask(cx, "overwrite", dest)? {
            return Ok(false);
        }
        if self.backup.is_none() && is_dir(from) != is_dir(to) {
            if is_dir(to) {
                cx.warn(format_args!("cannot overwrite directory {} with non-directory", quoteaf(dest)));
            } else {
                let (source, dest) = (quoteaf(source), quoteaf(dest));
                cx.warn(format_args!("cannot overwrite non-directory {dest} with directory {source}"));
            }
            return Ok(false);
        }
        if self.written.contains(dest) && !is_dir(from) {
            let (source, dest) = (quoteaf(source), quoteaf(dest));
            cx.warn(format_args!("will not overwrite just-created {dest} with {source}"));
            return Ok(false);
        }
        Ok(true)
    }

    /// Renames, or does what it takes between file systems; false when it could not be done, which has been said.
    fn rename(
        &mut self,
        cx: &mut Cx,
        source: &OsStr,
        dest: &OsStr,
        from: &Stat,
        saved: Option<&OsStr>,
    ) -> Result<bool, End> {
        let error = match std::fs::rename(source, dest) {
            Ok(()) => {
                if self.verbose {
                    let saved = saved.map_or(String::new(), |name| format!(" (backup: {})", quoteaf(name)));
                    cx.print(format_args!("renamed {} -> {}{saved}\n", quoteaf(source), quoteaf(dest)))?;
                }
                return Ok(true);
            }
            Err(error) => error,
        };
        match errno_of(&error) {
            Some(Errno::EXDEV) => self.across(cx, source, dest, from),
            Some(Errno::EINVAL) => {
                let (source, dest) = (quoteaf(source), quoteaf(dest));
                cx.warn(format_args!("cannot move {source} to a subdirectory of itself, {dest}"));
                Ok(false)
            }
            _ => {
                let (source, dest) = (quoteaf(source), quoteaf(dest));
                cx.warn(format_args!("cannot move {source} to {dest}: {}", strerror(&error)));
                Ok(false)
            }
        }
    }

    /// Moves to another file system: makes room, copies, and only if all was copied removes the original.
    fn across(&mut self, cx: &mut Cx, source: &OsStr, dest: &OsStr, from: &Stat) -> Result<bool, End> {
        let is_dir = file_type(from.mode) == FileType::Dir;
        let cleared = if is_dir { std::fs::remove_dir(dest) } else { std::fs::remove_file(dest) };
        if let Err(error) = cleared
            && errno_of(&error) != Some(Errno::ENOENT)
        {
            cx.warn(format_args!(
                "inter-device move failed: {} to {}; unable to remove target: {}",
                quoteaf(source),
                quoteaf(dest),
                strerror(&error)
            ));
            return Ok(false);
        }
        if !self.copy.copy(cx, source, dest, 0)? {
            return Ok(false);
        }
        self.remove(cx, source, is_dir, 0)?;
        Ok(true)
    }

    /// Removes the original, as `rm -rf` does.
    fn remove(&self, cx: &mut Cx, path: &OsStr, is_dir: bool, depth: usize) -> Result<bool, End> {
        let mut all = true;
        if is_dir {
            let names = if depth < walk::MAX_DEPTH { walk::names(path) } else { Err(walk::too_deep()) };
            match names {
                Ok(names) => {
                    for name in names {
                        let path = join(path, &name);
                        let is_dir = fs::lstat(&path).is_ok_and(|s| file_type(s.mode) == FileType::Dir);
                        all &= self.remove(cx, &path, is_dir, depth + 1)?;
                    }
                }
                Err(error) => {
                    self.not_removed(cx, path, &error);
                    return Ok(false);
                }
            }
        }
        if !all {
            return Ok(false);
        }
        match if is_dir { std::fs::remove_dir(path) } else { std::fs::remove_file(path) } {
            Ok(()) if self.verbose => {
                let what = if is_dir { "directory " } else { "" };
                cx.print(format_args!("removed {what}{}\n", quoteaf(path)))?;
                Ok(true)
            }
            Ok(()) => Ok(true),
            Err(error) => {
                self.not_removed(cx, path, &error);
                Ok(false)
            }
        }
    }

    fn not_removed(&self, cx: &mut Cx, path: &OsStr, error: &io::Error) {
        cx.warn(format_args!("cannot remove {}: {}", quoteaf(path), strerror(error)));
    }
}

/// Whether the move would lose the file: GNU's `same_file_ok` for mv, where no symbolic link is followed.
fn same_file(source: &OsStr, dest: &OsStr, from: &Stat, to: &Stat, backup: bool) -> bool {
    let link = |s: &Stat| file_type(s.mode) == FileType::Symlink;
    if (from.dev, from.ino) == (to.dev, to.ino) {
        // rename(2) does nothing between two names of one file; with the second out of the way it does.
        return !backup || same_name(source, dest);
    }
    // A symbolic link moved onto what it leads to would lead nowhere, and the file be gone.
    link(from)
        && !link(to)
        && fs::stat(source).is_ok_and(|s| (s.dev, s.ino) == (to.dev, to.ino))
        && (to.nlink < 2 || std::fs::canonicalize(source).is_ok_and(|real| same_name(real.as_os_str(), dest)))
}

/// Whether two paths name the same entry of the same directory.
fn same_name(a: &OsStr, b: &OsStr) -> bool {
    let place = |path: &OsStr| {
        let path = trimmed(path);
        let bytes = path.as_bytes();
        let dir = match bytes.iter().rposition(|b| *b == b'/') {
            Some(at) => os(&bytes[..=at]).to_owned(),
            None => ".".into(),
        };
        fs::stat(&dir).ok().map(|s| (s.dev, s.ino))
    };
    base_name(a) == base_name(b) && place(a) == place(b)
}

#[cfg(test)]
mod tests {
    use super::Move;
    use crate::context::Cx;
    use agentos_guest::fs::{chmod, lstat, mkfifo, utimens};
    use std::ffi::OsStr;

    #[test]
    fn across_file_systems_everything_comes_along_and_nothing_stays() {
        let root = std::env::temp_dir().join(format!("agentos-mv-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        let (from, to) = (root.join("from"), root.join("to"));
        std::fs::create_dir_all(from.join("sub")).unwrap();
        std::fs::write(from.join("a"), "text").unwrap();
        std::fs::hard_link(from.join("a"), from.join("sub/b")).unwrap();
        super::super::cp::copy::symlink(OsStr::new("nowhere"), from.join("link").as_os_str()).unwrap();
        mkfifo(from.join("fifo"), 0o620).unwrap();
        chmod(from.join("a"), 0o4751).unwrap();
        chmod(from.join("sub"), 0o1750).unwrap();
        utimens(from.join("a"), (1, 2), (3, 4), true).unwrap();
        utimens(from.join("sub"), (5, 6), (7, 8), true).unwrap();
        let before = |name: &str| lstat(from.join(name)).unwrap();
        let (a, sub, fifo) = (before("a"), before("sub"), before("fifo"));
        let stat = lstat(&from).unwrap();
        let mut cx = Cx::new("mv");
        let done = Move::new().across(&mut cx, from.as_os_str(), to.as_os_str(), &stat).unwrap();
        assert!(done && cx.status == 0 && lstat(&from).is_err());
        let after = |name: &str| lstat(to.join(name)).unwrap();
        let kept = |s: agentos_guest::fs::Stat| (s.mode, s.uid, s.gid, s.mtime, s.mtime_nsec, s.nlink);
        assert_eq!(kept(after("a")), kept(a));
        assert_eq!(kept(after("sub")), kept(sub));
        assert_eq!(after("a").ino, after("sub/b").ino);
        assert_eq!(kept(after("fifo")), kept(fifo));
        assert_eq!(std::fs::read_link(to.join("link")).unwrap().as_os_str(), "nowhere");
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn what_is_not_copied_is_not_removed() {
        let root = std::env::temp_dir().join(format!("agentos-mv-kept-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(root.join("from")).unwrap();
        std::fs::write(root.join("from/a"), "text").unwrap();
        let from = root.join("from");
        let stat = lstat(&from).unwrap();
        let mut cx = Cx::new("mv");
        let to = root.join("missing/to");
        let done = Move::new().across(&mut cx, from.as_os_str(), to.as_os_str(), &stat).unwrap();
        assert!(!done && cx.status == 1);
        assert_eq!(std::fs::read(from.join("a")).unwrap(), b"text");
        std::fs::remove_dir_all(&root).unwrap();
    }
}
