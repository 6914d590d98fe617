//! `rm`: removes files, and with `-r` what is in directories. It follows no symbolic link, and asks where it is told to.

use super::cp::policy::yes;
use super::stat::type_name;
use crate::context::{Cx, End, Outcome};
use crate::options::{Opt, Order};
use crate::os::{OsStrExt, base_name, join};
use crate::quote::quoteaf;
use crate::walk::{self, Listed};
use agentos_guest::fs::{self, FileType, file_type};
use agentos_guest::{Errno, errno_of, fd, io_error, strerror};
use std::ffi::{OsStr, OsString};
use std::io;

const SPEC: &[&str] = &[
    "d,dir",
    "f,force",
    "i",
    "I",
    "interactive=?",
    "one-file-system",
    "no-preserve-root",
    "preserve-root=?",
    "r,recursive",
    "R",
    "v,verbose",
];
const HELP: &str = "{} [OPTION]... [FILE]...
Remove (unlink) the FILE(s).
  -f, --force           ignore nonexistent files and arguments, never prompt
  -i                    prompt before every removal
  -I                    prompt once before removing more than three files, or when removing recursively
      --interactive[=WHEN]  prompt according to WHEN: never, once (-I), or always (-i); without WHEN, always
      --one-file-system  skip any directory that is on another file system than its command line argument
      --no-preserve-root  do not treat '/' specially
      --preserve-root[=all]  do not remove '/' (default); with 'all', no argument on another device than its parent
  -r, -R, --recursive   remove directories and their contents recursively
  -d, --dir             remove empty directories
  -v, --verbose         explain what is being done";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    Never,
    /// For files that may not be written, at a terminal.
    Sometimes,
    Always,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Nothing was asked.
    Unasked,
    Yes,
    /// It stays, or cannot be removed, which has been said.
    No,
}

struct Remove {
    ask: Ask,
    once: bool,
    force: bool,
    recursive: bool,
    empty: bool,
    one_device: bool,
    keep_root: bool,
    keep_mounts: bool,
    verbose: bool,
    terminal: bool,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP).map_err(|end| hint(end, args))?;
    let mut c = Remove {
        ask: Ask::Sometimes,
        once: false,
        force: false,
        recursive: false,
        empty: false,
        one_device: false,
        keep_root: true,
        keep_mounts: false,
        verbose: false,
        terminal: fd::isatty(0),
    };
    for opt in &parsed.opts {
        match opt.id {
            "force" => (c.ask, c.force, c.once) = (Ask::Never, true, false),
            "i" => (c.ask, c.force, c.once) = (Ask::Always, false, false),
            "I" => (c.ask, c.force, c.once) = (Ask::Sometimes, false, true),
            "interactive" => c.interactive(cx, opt)?,
            "one-file-system" => c.one_device = true,
            "no-preserve-root" => {
                // It must be meant.
                if !args.iter().any(|arg| arg == "--no-preserve-root") {
                    let message = "you may not abbreviate the --no-preserve-root option";
                    return Err(End::Failure(1, message.to_owned()));
                }
                c.keep_root = false;
            }
            "preserve-root" => match &opt.value {
                None => c.keep_root = true,
                Some(all) if all == "all" => (c.keep_root, c.keep_mounts) = (true, true),
                Some(word) => {
                    let message = format!("unrecognized --preserve-root argument: {}", quoteaf(word));
                    return Err(End::Failure(1, message));
                }
            },
            "dir" => c.empty = true,
            "verbose" => c.verbose = true,
            _ => c.recursive = true,
        }
    }
    let paths = &parsed.operands;
    if paths.is_empty() {
        return if c.force { Ok(0) } else { Err(cx.missing_operand()) };
    }
    if c.once && (c.recursive || paths.len() > 3) {
        let (count, s) = (paths.len(), if paths.len() == 1 { "" } else { "s" });
        let how = if c.recursive { " recursively" } else { "" };
        if !yes(cx, &format!("remove {count} argument{s}{how}?"))? {
            return Ok(0);
        }
    }
    for path in paths {
        c.operand(cx, path)?;
    }
    Ok(0)
}

/// A file whose name was taken for an option is probably what was meant.
fn hint(end: End, args: &[OsString]) -> End {
    let End::Usage(status, message) = end else { return end };
    let file = args.iter().find(|arg| {
        let bytes = arg.as_bytes();
        bytes.len() > 1 && bytes[0] == b'-' && fs::lstat(arg).is_ok()
    });
    let Some(file) = file else { return End::Usage(status, message) };
    let dotted = crate::quote::quotef(&join(OsStr::new("."), file));
    End::Usage(status, format!("{message}\nTry 'rm {dotted}' to remove the file {}.", quoteaf(file)))
}

impl Remove {
    fn interactive(&mut self, cx: &Cx, opt: &Opt) -> Result<(), End> {
        let groups: &[&[&str]] = &[&["never", "no", "none"], &["once"], &["always", "yes"]];
        let when = match &opt.value {
            Some(word) => cx.keyword("--interactive", word, groups)?,
            None => 2,
        };
        match when {
            0 => (self.ask, self.once) = (Ask::Never, false),
            1 => (self.ask, self.force, self.once) = (Ask::Sometimes, false, true),
            _ => (self.ask, self.force, self.once) = (Ask::Always, false, false),
        }
        Ok(())
    }

    fn operand(&self, cx: &mut Cx, path: &OsStr) -> Result<(), End> {
        let stat = match fs::lstat(path) {
            Ok(stat) => stat,
            Err(error) if self.ask == Ask::Always => {
                self.failed(cx, path, &error);
                return Ok(());
            }
            // The call that removes it knows better what is wrong.
            Err(_) => return self.unlink(cx, path, None).map(drop),
        };
        let kind = file_type(stat.mode);
        if kind == FileType::Dir && self.recursive {
            if matches!(base_name(path).as_bytes(), b"." | b"..") {
                cx.warn(format_args!("refusing to remove '.' or '..' directory: skipping {}", quoteaf(path)));
                return Ok(());
            }
            if self.keep_root && walk::refuse_root(cx, path) {
                return Ok(());
            }
            if self.keep_mounts {
                let parent = fs::lstat(join(path, OsStr::new("..")));
                if parent.is_ok_and(|parent| parent.dev != stat.dev) {
                    cx.warn(format_args!("skipping {}, since it's on a different device", quoteaf(path)));
                    cx.say("and --preserve-root=all is in effect");
                    return Ok(());
                }
            }
        }
        self.entry(cx, path, kind, stat.dev, 0)?;
        Ok(())
    }

    /// Removes an entry of the tree that begins on device `dev`; whether the directory above may go too, for all that is
    /// known: a file that the user keeps is found when that is tried.
    fn entry(&self, cx: &mut Cx, path: &OsStr, kind: FileType, dev: u64, depth: usize) -> Result<bool, End> {
        if kind != FileType::Dir {
            return Ok(self.ask(cx, path, kind, None)? == Answer::No || self.unlink(cx, path, None)?);
        }
        let asks = self.ask != Ask::Never && (self.ask == Ask::Always || self.terminal);
        let is_empty = (asks || !self.recursive) && walk::names(path).is_ok_and(|names| names.is_empty());
        if !(self.recursive || self.empty && is_empty) {
            let why = if self.empty { Errno::ENOTEMPTY } else { Errno::EISDIR };
            self.failed(cx, path, &io_error(why));
            return Ok(false);
        }
        match self.ask(cx, path, kind, Some(is_empty))? {
            Answer::No => return Ok(false),
            // Once is enough for one that is empty.
            Answer::Yes if is_empty => return self.unlink(cx, path, Some(None)),
            _ => {}
        }
        if self.one_device && depth > 0 && fs::lstat(path).is_ok_and(|s| s.dev != dev) {
            cx.warn(format_args!("skipping {}, since it's on a different device", quoteaf(path)));
            return Ok(false);
        }
        let listed = if depth < walk::MAX_DEPTH { walk::listed(path) } else { Err(walk::too_deep()) };
        let (listed, unread) = match listed {
            Ok(listed) => (listed, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let mut all = true;
        for Listed { name, kind } in listed {
            let path = join(path, &name);
            let kind = match kind {
                Some(kind) => kind,
                None => fs::lstat(&path).map_or(FileType::Other, |s| file_type(s.mode)),
            };
            all &= self.entry(cx, &path, kind, dev, depth + 1)?;
        }
        // What is not empty stays, and why has been said.
        Ok(all && (self.ask(cx, path, kind, None)? == Answer::No || self.unlink(cx, path, Some(unread))?))
    }

    /// Asks where it is to be asked. `descend` is for a directory that is not read yet: whether it is empty.
    fn ask(&self, cx: &mut Cx, path: &OsStr, kind: FileType, descend: Option<bool>) -> Result<Answer, End> {
        if self.ask == Ask::Never {
            return Ok(Answer::Unasked);
        }
        let looks = !self.force && (self.ask == Ask::Always || self.terminal) && kind != FileType::Symlink;
        let mut protected = false;
        if looks && let Err(error) = fs::access(path, fs::W_OK) {
            protected = errno_of(&error) == Some(Errno::EACCES);
            if !protected {
                self.failed(cx, path, &error);
                return Ok(Answer::No);
            }
        }
        if !protected && self.ask != Ask::Always {
            return Ok(Answer::Unasked);
        }
        let protected = if protected { "write-protected " } else { "" };
        let shown = quoteaf(path);
        let question = if kind == FileType::Dir && descend == Some(false) {
            format!("descend into {protected}directory {shown}?")
        } else {
            match fs::lstat(path) {
                Ok(stat) => format!("remove {protected}{} {shown}?", type_name(&stat)),
                Err(error) => {
                    self.failed(cx, path, &error);
                    return Ok(Answer::No);
                }
            }
        };
        Ok(if yes(cx, &question)? { Answer::Yes } else { Answer::No })
    }

    /// Removes one entry. `dir` is for a directory: why it could not be read, if so.
    fn unlink(&self, cx: &mut Cx, path: &OsStr, dir: Option<Option<io::Error>>) -> Result<bool, End> {
        let is_dir = dir.is_some();
        match if is_dir { std::fs::remove_dir(path) } else { std::fs::remove_file(path) } {
            Ok(()) => {
                if self.verbose {
                    let what = if is_dir { "directory " } else { "" };
                    cx.print(format_args!("removed {what}{}\n", quoteaf(path)))?;
                }
                Ok(true)
            }
            Err(error) => {
                // That it could not be read is why it is not empty.
                let full = matches!(errno_of(&error), Some(Errno::ENOTEMPTY | Errno::EEXIST));
                let error = dir.flatten().filter(|_| full).unwrap_or(error);
                Ok(self.failed(cx, path, &error))
            }
        }
    }

    /// Says that something cannot be removed. With -f what is not there is as good as removed.
    fn failed(&self, cx: &mut Cx, path: &OsStr, error: &io::Error) -> bool {
        let missing = [Errno::ENOENT, Errno::ENOTDIR, Errno::EINVAL, Errno::EILSEQ];
        if self.force && errno_of(error).is_some_and(|e| missing.contains(&e)) {
            return true;
        }
        cx.warn(format_args!("cannot remove {}: {}", quoteaf(path), strerror(error)));
        false
    }
}
