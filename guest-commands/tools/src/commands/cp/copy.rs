//! The copying of `cp`, and of `mv` between file systems: one file or tree after the other, with what is kept of each. It
//! parses no options and chooses no destination.

use super::backup::{Backup, back_up};
use super::policy::{Follow, Sparse, Update, ask};
use super::transfer::{Failure, Transfer};
use crate::context::{Cx, End};
use crate::os::join;
use crate::quote::quoteaf;
use crate::walk;
use agentos_guest::fd;
use agentos_guest::fs::{self, FileType, Stat, file_type};
use agentos_guest::{Errno, errno_of, io_error, strerror};
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;

type Id = (u64, u64);

/// How files are copied, and what has been.
pub(crate) struct Copy {
    pub(crate) follow: Follow,
    pub(crate) recursive: bool,
    pub(crate) force: bool,
    pub(crate) interactive: bool,
    pub(crate) remove: bool,
    pub(crate) link: bool,
    pub(crate) symlink: bool,
    pub(crate) update: Update,
    pub(crate) verbose: bool,
    pub(crate) one_system: bool,
    pub(crate) attributes_only: bool,
    pub(crate) sparse: Sparse,
    pub(crate) mode: bool,
    pub(crate) owner: bool,
    pub(crate) times: bool,
    pub(crate) links: bool,
    pub(crate) backup: Option<Backup>,
    /// The originals are removed afterwards: messages say so, and ids of links are remembered beyond that.
    pub(crate) moving: bool,
    /// There are several operands, which must not overwrite each other.
    pub(crate) many: bool,
    umask: u32,
    transfer: Transfer,
    /// Copies of files with several names.
    copied: HashMap<Id, OsString>,
    /// Directories that this run made: never copied into themselves.
    made: HashSet<Id>,
    /// Operands so far, and destinations that were written.
    sources: HashSet<(OsString, Id)>,
    written: HashSet<OsString>,
    /// The operand that is being copied, and where to.
    root: (OsString, OsString),
}

impl Copy {
    /// Copies one file over what is there, without preserving anything.
    pub(crate) fn new() -> Copy {
        Copy {
            follow: Follow::Unset,
            recursive: false,
            force: false,
            interactive: false,
            remove: false,
            link: false,
            symlink: false,
            update: Update::All,
            verbose: false,
            one_system: false,
            attributes_only: false,
            sparse: Sparse::Auto,
            mode: false,
            owner: false,
            times: false,
            links: false,
            backup: None,
            moving: false,
            many: false,
            umask: umask(),
            transfer: Transfer::default(),
            copied: HashMap::new(),
            made: HashSet::new(),
            sources: HashSet::new(),
            written: HashSet::new(),
            root: Default::default(),
        }
    }

    /// Copies a file or tree; false when not all of it was.
    pub(crate) fn copy(
        &mut self,
        cx: &mut Cx,
        source: &OsStr,
        dest: &OsStr,
        depth: usize,
    ) -> Result<bool, End> {
        if depth == 0 {
            self.root = (source.to_owned(), dest.to_owned());
        }
        let follow = match self.follow {
            Follow::Always => true,
            Follow::Operands => depth == 0,
            Follow::Never => false,
            Follow::Unset => !self.recursive,
        };
        let found = if follow { fs::stat(source) } else { fs::lstat(source) };
        let from = match found {
            Ok(from) => from,
            Err(error) => {
                cx.warn(format_args!("cannot stat {}: {}", quoteaf(source), strerror(&error)));
                return Ok(false);
            }
        };
        if file_type(from.mode) == FileType::Dir {
            return self.directory(cx, source, dest, &from, depth);
        }
        let id = (from.dev, from.ino);
        if depth == 0 && self.many && !self.sources.insert((dest.to_owned(), id)) {
            cx.say(format_args!("warning: source file {} specified more than once", quoteaf(source)));
            return Ok(true);
        }
        let mut to = fs::lstat(dest).ok();
        let mut saved = None;
        if let Some(existing) = &to {
            if !self.may_replace(cx, source, dest, &from, existing)? {
                return Ok(false);
            }
            if let Some(backup) = &self.backup {
                saved = Some(match back_up(cx, backup, source, dest, &from) {
                    Some(name) => name,
                    None => return Ok(false),
                });
                to = None;
            }
        }
        if self.many {
            self.written.insert(dest.to_owned());
        }
        let earlier = self.copied.get(&id).filter(|_| self.links && (from.nlink > 1 || self.moving)).cloned();
        if (self.remove || earlier.is_some() || (to.is_some() && (self.link || self.symlink) && self.force))
            && to.is_some()
        {
            let _ = std::fs::remove_file(dest);
        }
        let (what, done) = match (earlier, file_type(from.mode)) {
            (Some(earlier), _) => ("create hard link", std::fs::hard_link(earlier, dest)),
            _ if self.link => ("create hard link", std::fs::hard_link(source, dest)),
            _ if self.symlink => ("create symbolic link", symlink(source, dest)),
            (None, FileType::Symlink) => {
                if to.is_some() {
                    let _ = std::fs::remove_file(dest);
                }
                let copied = std::fs::read_link(source).and_then(|target| symlink(target.as_os_str(), dest));
                ("create symbolic link", copied)
            }
            (None, FileType::Fifo) if self.recursive => ("create fifo", fs::mkfifo(dest, from.mode & 0o7777)),
            (None, kind) if !self.recursive || kind == FileType::File => {
                return self.contents(cx, source, dest, &from, to.is_some(), saved.as_deref());
            }
            _ => ("copy special file", Err(io_error(Errno::ENOTSUP))),
        };
        match done {
            Ok(()) => {
                self.tell(cx, source, dest, saved.as_deref())?;
                if !self.link && !self.symlink {
                    self.copied.insert(id, dest.to_owned());
                    return self.attributes(cx, dest, &from, None);
                }
                Ok(true)
            }
            Err(error) => {
                let why = strerror(&error);
                cx.warn(format_args!("cannot {what} {}: {why}", quoteaf(dest)));
                Ok(false)
            }
        }
    }

    fn may_replace(
        &self,
        cx: &mut Cx,
        source: &OsStr,
        dest: &OsStr,
        from: &Stat,
        to: &Stat,
    ) -> Result<bool, End> {
        // Of a file that is no link stat says what lstat does.
        let real = if file_type(to.mode) == FileType::Symlink { fs::stat(dest).ok() } else { Some(*to) };
        if file_type(to.mode) == FileType::Dir || real.is_some_and(|s| file_type(s.mode) == FileType::Dir) {
            cx.warn(format_args!("cannot overwrite directory {} with non-directory", quoteaf(dest)));
            return Ok(false);
        }
        let same = real.is_some_and(|s| (s.dev, s.ino) == (from.dev, from.ino))
            || (to.dev, to.ino) == (from.dev, from.ino);
        if same && !(self.remove || self.symlink || self.link) {
            cx.warn(format_args!("{} and {} are the same file", quoteaf(source), quoteaf(dest)));
            return Ok(false);
        }
        match self.update {
            Update::All => {}
            Update::None => return Ok(false),
            Update::NoneFail => {
                cx.warn(format_args!("not replacing {}", quoteaf(dest)));
                return Ok(false);
            }
            Update::Older => {
                let to = real.unwrap_or(*to);
                if (to.mtime, to.mtime_nsec) >= (from.mtime, from.mtime_nsec) {
                    return Ok(false);
                }
            }
        }
        if self.interactive && !ask(cx, "overwrite", dest)? {
            return Ok(false);
        }
        if self.written.contains(dest) {
            let (source, dest) = (quoteaf(source), quoteaf(dest));
            cx.warn(format_args!("will not overwrite just-created {dest} with {source}"));
            return Ok(false);
        }
        if real.is_none() && file_type(from.mode) == FileType::File && !self.remove && !self.force {
            cx.warn(format_args!("not writing through dangling symlink {}", quoteaf(dest)));
            return Ok(false);
        }
        Ok(true)
    }

    fn contents(
        &mut self,
        cx: &mut Cx,
        source: &OsStr,
        dest: &OsStr,
        from: &Stat,
        existed: bool,
        saved: Option<&OsStr>,
    ) -> Result<bool, End> {
        let input = match fd::open(source, fd::O_RDONLY, 0) {
            Ok(input) => fd::Owned::from_raw(input),
            Err(error) => {
                cx.warn(format_args!("cannot open {} for reading: {}", quoteaf(source), strerror(&error)));
                return Ok(false);
            }
        };
        // Nobody else reads what will belong to another before it does.
        let mode = from.mode & if self.owner { 0o700 } else { 0o777 };
        let truncate = if self.attributes_only { 0 } else { fd::O_TRUNC };
        let create = || fd::open(dest, fd::O_WRONLY | fd::O_CREAT | truncate, mode).map(fd::Owned::from_raw);
        let mut fresh = !existed || self.remove;
        let mut output = create();
        if output.is_err() && self.force && existed {
            let _ = std::fs::remove_file(dest);
            fresh = true;
            output = create();
        }
        let output = match output {
            Ok(output) => output,
            Err(error) => {
                cx.warn(format_args!("cannot create regular file {}: {}", quoteaf(dest), strerror(&error)));
                return Ok(false);
            }
        };
        if !self.attributes_only {
            let holes = match self.sparse {
                Sparse::Never => false,
                Sparse::Always => true,
                Sparse::Auto => {
                    file_type(from.mode) == FileType::File && from.blocks.saturating_mul(512) < from.size
                }
            };
            if let Err(failure) = self.transfer.copy(input.raw(), output.raw(), from.size, holes) {
                match failure {
                    Failure::Read(error) => {
                        cx.warn(format_args!("error reading {}: {}", quoteaf(source), strerror(&error)))
                    }
                    Failure::Write(error) => {
                        cx.warn(format_args!("error writing {}: {}", quoteaf(dest), strerror(&error)))
                    }
                }
                return Ok(false);
            }
        }
        if let Err(error) = output.close() {
            cx.warn(format_args!("failed to close {}: {}", quoteaf(dest), strerror(&error)));
            return Ok(false);
        }
        self.tell(cx, source, dest, saved)?;
        if from.nlink > 1 && self.links {
            self.copied.insert((from.dev, from.ino), dest.to_owned());
        }
        self.attributes(cx, dest, from, fresh.then_some(mode & !self.umask))
    }

    /// Sets what the copy keeps of the original. `made` is the mode that a file of this run was made with.
    fn attributes(&self, cx: &mut Cx, dest: &OsStr, from: &Stat, made: Option<u32>) -> Result<bool, End> {
        let link = file_type(from.mode) == FileType::Symlink;
        let mut result = Ok(());
        if self.times {
            let at = |sec, nsec: u32| (sec, i64::from(nsec));
            result =
                fs::utimens(dest, at(from.atime, from.atime_nsec), at(from.mtime, from.mtime_nsec), !link);
        }
        let mut given = true;
        if self.owner {
            // Only root may give files away; neither cp -p nor mv insists.
            let done = if link {
                fs::lchown(dest, Some(from.uid), Some(from.gid))
            } else {
                fs::chown(dest, Some(from.uid), Some(from.gid))
            };
            given = done.is_ok();
        }
        let wanted = if self.mode {
            // Set-id bits would serve another user than they were meant for.
            Some(from.mode & if given { 0o7777 } else { 0o1777 })
        } else {
            // Directories keep what their other bits say of the files in them.
            let bits = if file_type(from.mode) == FileType::Dir { 0o7777 } else { 0o777 };
            made.map(|_| from.mode & bits & !self.umask)
        };
        // Giving a file away may have taken bits from it, so then its mode is set whatever it was made with.
        if let Some(mode) = wanted.filter(|mode| !link && (self.owner || made != Some(*mode))) {
            result = result.and(fs::chmod(dest, mode));
        }
        if let Err(error) = result {
            cx.warn(format_args!("preserving attributes for {}: {}", quoteaf(dest), strerror(&error)));
            return Ok(false);
        }
        Ok(true)
    }

    fn tell(&self, cx: &mut Cx, source: &OsStr, dest: &OsStr, saved: Option<&OsStr>) -> Result<(), End> {
        if !self.verbose {
            return Ok(());
        }
        let saved = saved.map_or(String::new(), |name| format!(" (backup: {})", quoteaf(name)));
        let what = if self.moving { "copied " } else { "" };
        cx.print(format_args!("{what}{} -> {}{saved}\n", quoteaf(source), quoteaf(dest)))
    }

    fn directory(
        &mut self,
        cx: &mut Cx,
        source: &OsStr,
        dest: &OsStr,
        from: &Stat,
        depth: usize,
    ) -> Result<bool, End> {
        if !self.recursive {
            cx.warn(format_args!("-r not specified; omitting directory {}", quoteaf(source)));
            return Ok(false);
        }
        if self.made.contains(&(from.dev, from.ino)) {
            cx.warn(format_args!(
                "cannot copy a directory, {}, into itself, {}",
                quoteaf(&self.root.0),
                quoteaf(&self.root.1)
            ));
            return Ok(false);
        }
        // Writable while it is filled.
        let mode = from.mode & 0o777 | 0o700;
        let made = match fs::mkdir(dest, mode) {
            Ok(()) => Some(mode & !self.umask),
            Err(error) if errno_of(&error) == Some(Errno::EEXIST) => None,
            Err(error) => {
                cx.warn(format_args!("cannot create directory {}: {}", quoteaf(dest), strerror(&error)));
                return Ok(false);
            }
        };
        match fs::stat(dest) {
            Ok(to) if file_type(to.mode) == FileType::Dir => {
                self.made.insert((to.dev, to.ino));
            }
            _ => {
                let (source, dest) = (quoteaf(source), quoteaf(dest));
                cx.warn(format_args!("cannot overwrite non-directory {dest} with directory {source}"));
                return Ok(false);
            }
        }
        if made.is_some() && self.verbose {
            if self.moving {
                cx.print(format_args!("created directory {}\n", quoteaf(dest)))?;
            } else {
                self.tell(cx, source, dest, None)?;
            }
        }
        let names = if depth < walk::MAX_DEPTH { walk::names(source) } else { Err(walk::too_deep()) };
        let names = match names {
            Ok(names) => names,
            Err(error) => {
                cx.warn(format_args!("cannot access {}: {}", quoteaf(source), strerror(&error)));
                return Ok(false);
            }
        };
        let mut all = true;
        for name in names {
            let path = join(source, &name);
            if self.one_system && fs::lstat(&path).is_ok_and(|s| s.dev != from.dev) {
                continue;
            }
            all &= self.copy(cx, &path, &join(dest, &name), depth + 1)?;
        }
        if made.is_some() || self.mode || self.times || self.owner {
            all &= self.attributes(cx, dest, from, made)?;
        }
        Ok(all)
    }
}

/// The mask of permission bits that new files do not get.
pub(crate) fn umask() -> u32 {
    let mask = fs::umask(0o77);
    fs::umask(mask);
    mask
}

/// Makes a symbolic link.
pub(crate) fn symlink(target: &OsStr, path: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::symlink(target, path)?)
}
