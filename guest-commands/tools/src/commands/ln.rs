//! `ln`: makes links, hard ones and with `-s` symbolic ones. It copies nothing.

use super::basename::directory;
use super::canonical::{Exists, canonical, relative};
use super::cp::backup::{self, Backup};
use super::cp::copy::symlink;
use super::cp::operands::trimmed;
use super::cp::policy::yes;
use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::os::{base_name, join, os_owned};
use crate::quote::{quoteaf, quotef};
use agentos_guest::fs::{self, FileType, file_type};
use agentos_guest::{Errno, errno_of, io_error, strerror};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::io;

const SPEC: &[&str] = &[
    "b",
    "backup=?",
    "d,directory",
    "F",
    "f,force",
    "i,interactive",
    "L,logical",
    "n,no-dereference",
    "P,physical",
    "r,relative",
    "s,symbolic",
    "S,suffix=",
    "t,target-directory=",
    "T,no-target-directory",
    "v,verbose",
];
const HELP: &str = "{} [OPTION]... [-T] TARGET LINK_NAME
  or:  {} [OPTION]... TARGET
  or:  {} [OPTION]... TARGET... DIRECTORY
  or:  {} [OPTION]... -t DIRECTORY TARGET...
Create links to TARGETs, hard links by default.
  -d, -F, --directory          allow the superuser to attempt to hard link directories
  -f, --force                  remove existing destination files
  -i, --interactive            prompt whether to remove destinations
  -L, --logical                dereference TARGETs that are symbolic links
  -n, --no-dereference         treat LINK_NAME as a normal file if it is a symbolic link to a directory
  -P, --physical               make hard links directly to symbolic links
  -r, --relative               with -s, create links relative to link location
  -s, --symbolic               make symbolic links instead of hard links
  -t, --target-directory=DIRECTORY  specify the DIRECTORY in which to create the links
  -T, --no-target-directory    treat LINK_NAME as a normal file always
  -v, --verbose                print name of each linked file";

struct Link {
    symbolic: bool,
    directories: bool,
    force: bool,
    interactive: bool,
    logical: bool,
    relative: bool,
    verbose: bool,
    backup: Option<Backup>,
    /// What was made, if there are several operands, which must not replace each other.
    made: Option<HashSet<OsString>>,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = format!("{HELP}{}", backup::HELP);
    let parsed = cx.parse(SPEC, args, Order::Permute, &help)?;
    let mut c = Link {
        symbolic: false,
        directories: false,
        force: false,
        interactive: false,
        logical: false,
        relative: false,
        verbose: false,
        backup: None,
        made: None,
    };
    let (mut follow, mut no_target, mut target) = (true, false, None);
    for opt in &parsed.opts {
        match opt.id {
            "directory" | "F" => c.directories = true,
            "force" => (c.force, c.interactive) = (true, false),
            "interactive" => (c.force, c.interactive) = (false, true),
            "logical" => c.logical = true,
            "physical" => c.logical = false,
            "no-dereference" => follow = false,
            "relative" => c.relative = true,
            "symbolic" => c.symbolic = true,
            "target-directory" => target = opt.value.clone(),
            "no-target-directory" => no_target = true,
            "verbose" => c.verbose = true,
            _ => {}
        }
    }
    let mut files = parsed.operands;
    if files.is_empty() {
        return Err(cx.usage("missing file operand"));
    }
    if c.relative && !c.symbolic {
        return Err(End::Failure(1, "cannot do --relative without --symbolic".to_owned()));
    }
    c.backup = Backup::from_options(cx, &parsed.opts)?;
    let mut into = None;
    if no_target {
        if target.is_some() {
            let message = "cannot combine --target-directory and --no-target-directory";
            return Err(End::Failure(1, message.to_owned()));
        }
        match &files[..] {
            [one] => return Err(cx.usage(format!("missing destination file operand after {}", quoteaf(one)))),
            [_, _, extra, ..] => return Err(cx.usage(format!("extra operand {}", quoteaf(extra)))),
            _ => {}
        }
    } else if let Some(dir) = target {
        is_directory(&dir, follow).map_err(|error| match errno_of(&error) {
            Some(Errno::ENOTDIR) if fs::stat(&dir).is_ok() => {
                End::Failure(1, format!("target {} is not a directory", quoteaf(&dir)))
            }
            _ => End::Failure(1, format!("failed to access {}: {}", quoteaf(&dir), strerror(&error))),
        })?;
        into = Some(dir);
    } else if files.len() == 1 {
        into = Some(".".into());
    } else if let Some(last) = files.last().cloned() {
        match is_directory(&last, follow) {
            Ok(()) => {
                files.pop();
                into = Some(last);
            }
            Err(error) if files.len() > 2 => return Err(not_a_target(&last, &error)),
            Err(_) => {}
        }
    }
    match into {
        Some(dir) => {
            if files.len() > 1 && (c.force || c.interactive) && c.backup.is_none() {
                c.made = Some(HashSet::new());
            }
            for source in &files {
                let name = if source.as_encoded_bytes().iter().all(|b| *b == b'/') {
                    OsStr::new("")
                } else {
                    base_name(source)
                };
                let dest = join(&dir, name);
                c.link(cx, source, &dest)?;
            }
        }
        None => c.link(cx, &files[0], &files[1])?,
    }
    Ok(0)
}

fn is_directory(path: &OsStr, follow: bool) -> io::Result<()> {
    let stat = if follow { fs::stat(path) } else { fs::lstat(path) }?;
    if file_type(stat.mode) == FileType::Dir { Ok(()) } else { Err(io_error(Errno::ENOTDIR)) }
}

fn not_a_target(dir: &OsStr, error: &io::Error) -> End {
    End::Failure(1, format!("target {}: {}", quoteaf(dir), strerror(error)))
}

impl Link {
    fn link(&mut self, cx: &mut Cx, source: &OsStr, dest: &OsStr) -> Result<(), End> {
        if !self.symbolic {
            match if self.logical { fs::stat(source) } else { fs::lstat(source) } {
                Err(error) => {
                    cx.warn(format_args!("failed to access {}: {}", quoteaf(source), strerror(&error)));
                    return Ok(());
                }
                Ok(s) if file_type(s.mode) == FileType::Dir && !self.directories => {
                    cx.warn(format_args!("{}: hard link not allowed for directory", quotef(source)));
                    return Ok(());
                }
                Ok(_) => {}
            }
        }
        let source = if self.relative { from_place(source, dest) } else { source.to_owned() };
        let mut replaces = self.force || self.interactive || self.backup.is_some();
        let mut saved = None;
        if replaces {
            match fs::lstat(dest) {
                Ok(stat) => {
                    if file_type(stat.mode) == FileType::Dir {
                        cx.warn(format_args!("{}: cannot overwrite directory", quotef(dest)));
                        return Ok(());
                    }
                    if self.made.as_ref().is_some_and(|made| made.contains(dest)) {
                        let (source, dest) = (quoteaf(&source), quoteaf(dest));
                        cx.warn(format_args!("will not overwrite just-created {dest} with {source}"));
                        return Ok(());
                    }
                    if self.is_same(&source, dest, (stat.dev, stat.ino)) {
                        let (source, dest) = (quoteaf(&source), quoteaf(dest));
                        cx.warn(format_args!("{source} and {dest} are the same file"));
                        return Ok(());
                    }
                    if self.interactive && !yes(cx, &format!("replace {}?", quoteaf(dest)))? {
                        return Ok(());
                    }
                    if let Some(backup) = &self.backup {
                        let name = backup.name(dest);
                        if let Err(error) = std::fs::rename(dest, &name) {
                            cx.warn(format_args!("cannot backup {}: {}", quoteaf(dest), strerror(&error)));
                            return Ok(());
                        }
                        saved = Some(name);
                        replaces = false;
                    }
                }
                Err(error) if errno_of(&error) == Some(Errno::ENOENT) => replaces = false,
                Err(error) => {
                    cx.warn(format_args!("failed to access {}: {}", quoteaf(dest), strerror(&error)));
                    return Ok(());
                }
            }
        }
        match if replaces { self.replace(&source, dest) } else { self.make(&source, dest) } {
            Ok(()) => {
                if let Some(made) = &mut self.made {
                    made.insert(dest.to_owned());
                }
                if self.verbose {
                    if let Some(saved) = &saved {
                        cx.print(format_args!("{} ~ ", quoteaf(saved)))?;
                    }
                    let arrow = if self.symbolic { "->" } else { "=>" };
                    cx.print(format_args!("{} {arrow} {}\n", quoteaf(dest), quoteaf(&source)))?;
                }
            }
            Err(error) => {
                self.failed(cx, &source, dest, &error);
                if let Some(saved) = saved
                    && let Err(error) = std::fs::rename(&saved, dest)
                {
                    cx.warn(format_args!("cannot un-backup {}: {}", quoteaf(dest), strerror(&error)));
                }
            }
        }
        Ok(())
    }

    /// Whether the link would replace what it leads to: the only name of the file.
    fn is_same(&self, source: &OsStr, dest: &OsStr, id: (u64, u64)) -> bool {
        // With its backup the file is not lost, only a symbolic link to itself made.
        if self.symbolic && self.backup.is_some() {
            return false;
        }
        let found = if self.symbolic || self.logical { fs::stat(source) } else { fs::lstat(source) };
        found.is_ok_and(|s| {
            (s.dev, s.ino) == id
                && (s.nlink == 1
                    || (base_name(source) == base_name(dest)
                        && match (fs::stat(directory(source)), fs::stat(directory(dest))) {
                            (Ok(a), Ok(b)) => (a.dev, a.ino) == (b.dev, b.ino),
                            _ => false,
                        }))
        })
    }

    fn make(&self, source: &OsStr, dest: &OsStr) -> io::Result<()> {
        if self.symbolic {
            symlink(source, dest)
        } else if self.logical {
            std::fs::hard_link(canonical(source, Exists::All, true)?, dest)
        } else {
            std::fs::hard_link(source, dest)
        }
    }

    /// Makes the link under another name and renames it, so that there is never none.
    fn replace(&self, source: &OsStr, dest: &OsStr) -> io::Result<()> {
        let name = format!("Cu{:06x}", RandomState::new().hash_one(dest) & 0xff_ffff);
        let other = match directory(dest) {
            dir if dir == "." => OsString::from(name),
            dir => join(dir, &os_owned(name.into_bytes())),
        };
        self.make(source, &other)?;
        let renamed = std::fs::rename(&other, dest);
        // Between two names of one file rename(2) does nothing.
        if renamed.is_err() || fs::lstat(&other).is_ok() {
            let _ = std::fs::remove_file(&other);
        }
        renamed
    }

    fn failed(&self, cx: &mut Cx, source: &OsStr, dest: &OsStr, error: &io::Error) {
        let errno = errno_of(error);
        let short = [Errno::EDQUOT, Errno::EEXIST, Errno::ENOSPC, Errno::EROFS];
        let (from, to, why) = (quoteaf(source), quoteaf(dest), strerror(error));
        match errno {
            Some(Errno::ENAMETOOLONG) if self.symbolic => {
                cx.warn(format_args!("failed to create symbolic link {to} -> {from}: {why}"));
            }
            _ if self.symbolic && source.is_empty() => {
                cx.warn(format_args!("failed to create symbolic link {to} -> {from}: {why}"));
            }
            _ if self.symbolic => cx.warn(format_args!("failed to create symbolic link {to}: {why}")),
            Some(Errno::EMLINK) => cx.warn(format_args!("failed to create hard link to {from}: {why}")),
            Some(e) if short.contains(&e) => {
                cx.warn(format_args!("failed to create hard link {to}: {why}"));
            }
            _ => cx.warn(format_args!("failed to create hard link {to} => {from}: {why}")),
        }
    }
}

/// `source` as it is called from where `dest` is; as it was where that cannot be told.
fn from_place(source: &OsStr, dest: &OsStr) -> OsString {
    let dest = trimmed(dest);
    let place = canonical(directory(&dest), Exists::None, true);
    match (canonical(source, Exists::None, true), place) {
        (Ok(source), Ok(place)) => relative(&source, &place),
        _ => source.to_owned(),
    }
}
