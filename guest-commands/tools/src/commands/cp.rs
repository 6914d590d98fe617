//! `cp`: copies files and trees with their modes, and on request owners, times and links. It clones no blocks and keeps
//! no extended attributes.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, base_name, join, os};
use crate::quote::quoteaf;
use crate::walk;
use agentos_guest::fs::{self, FileType, Stat, file_type};
use agentos_guest::{Errno, errno_of, strerror};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;

const SPEC: &[&str] = &[
    "a,archive",
    "b",
    "d",
    "f,force",
    "i,interactive",
    "H",
    "l,link",
    "L,dereference",
    "n,no-clobber",
    "P,no-dereference",
    "p",
    "preserve=?",
    "no-preserve=",
    "parents",
    "R,recursive",
    "r",
    "reflink=?",
    "remove-destination",
    "s,symbolic-link",
    "sparse=",
    "strip-trailing-slashes",
    "t,target-directory=",
    "T,no-target-directory",
    "u,update",
    "v,verbose",
    "x,one-file-system",
    "attributes-only",
];
const HELP: &str = "{} [OPTION]... SOURCE... DEST
Copy SOURCE to DEST, or multiple SOURCE(s) to DIRECTORY.
  -a, --archive                same as -dR --preserve=all
      --attributes-only        don't copy the file data, just the attributes
  -d                           same as --no-dereference --preserve=links
  -f, --force                  if a destination cannot be opened, remove it and try again
  -i, --interactive            prompt before overwrite
  -H                           follow command-line symbolic links in SOURCE
  -l, --link                   hard link files instead of copying
  -L, --dereference            always follow symbolic links in SOURCE
  -n, --no-clobber             do not overwrite an existing file
  -P, --no-dereference         never follow symbolic links in SOURCE
  -p                           same as --preserve=mode,ownership,timestamps
      --preserve[=ATTR_LIST]   mode, ownership, timestamps, links, all
      --no-preserve=ATTR_LIST  don't preserve the specified attributes
      --parents                use full source file name under DIRECTORY
  -R, -r, --recursive          copy directories recursively
      --remove-destination     remove each existing destination file before opening it
  -s, --symbolic-link          make symbolic links instead of copying
      --strip-trailing-slashes remove any trailing slashes from each SOURCE
  -t, --target-directory=DIR   copy all SOURCE arguments into DIR
  -T, --no-target-directory    treat DEST as a normal file
  -u, --update                 copy only when the SOURCE file is newer or DEST is missing
  -v, --verbose                explain what is being done
  -x, --one-file-system        stay on this file system";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// As -r does: not, except without -r.
    Unset,
    Never,
    Operands,
    Always,
}

struct Copy {
    follow: Follow,
    recursive: bool,
    force: bool,
    interactive: bool,
    no_clobber: bool,
    remove: bool,
    link: bool,
    symlink: bool,
    update: bool,
    verbose: bool,
    one_system: bool,
    attributes_only: bool,
    mode: bool,
    owner: bool,
    times: bool,
    links: bool,
    /// Copies of files with several names, by device and inode.
    copied: HashMap<(u64, u64), OsString>,
    /// Directories that this run made: never copied into themselves.
    made: Vec<(u64, u64)>,
    /// The operand that is being copied, and where to.
    root: (OsString, OsString),
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let mut c = Copy {
        follow: Follow::Unset,
        recursive: false,
        force: false,
        interactive: false,
        no_clobber: false,
        remove: false,
        link: false,
        symlink: false,
        update: false,
        verbose: false,
        one_system: false,
        attributes_only: false,
        mode: false,
        owner: false,
        times: false,
        links: false,
        copied: HashMap::new(),
        made: Vec::new(),
        root: Default::default(),
    };
    let (mut parents, mut strip, mut no_target, mut target) = (false, false, false, None);
    for opt in &parsed.opts {
        match opt.id {
            "archive" => {
                (c.follow, c.recursive, c.mode, c.owner, c.times, c.links) =
                    (Follow::Never, true, true, true, true, true);
            }
            "d" => (c.follow, c.links) = (Follow::Never, true),
            "force" => c.force = true,
            "interactive" => (c.interactive, c.no_clobber) = (true, false),
            "no-clobber" => (c.no_clobber, c.interactive) = (true, false),
            "H" => c.follow = Follow::Operands,
            "dereference" => c.follow = Follow::Always,
            "no-dereference" => c.follow = Follow::Never,
            "link" => c.link = true,
            "symbolic-link" => c.symlink = true,
            "p" => (c.mode, c.owner, c.times) = (true, true, true),
            "preserve" | "no-preserve" => {
                let yes = opt.id == "preserve";
                let list =
                    if opt.value.is_none() { "mode,ownership,timestamps".to_owned() } else { opt.text() };
                for word in list.split(',') {
                    match word {
                        "mode" => c.mode = yes,
                        "ownership" => c.owner = yes,
                        "timestamps" => c.times = yes,
                        "links" => c.links = yes,
                        "all" => (c.mode, c.owner, c.times, c.links) = (yes, yes, yes, yes),
                        "context" | "xattr" => {}
                        _ => {
                            let word = quoteaf(OsStr::new(word));
                            return Err(cx.usage(format!("invalid argument {word} for '--{}'", opt.id)));
                        }
                    }
                }
            }
            "parents" => parents = true,
            "recursive" | "r" => c.recursive = true,
            "remove-destination" => c.remove = true,
            "reflink" if opt.text() == "always" => {
                return Err(End::Failure(1, "--reflink=always is not supported".to_owned()));
            }
            "strip-trailing-slashes" => strip = true,
            "target-directory" => target = Some(opt.arg().to_owned()),
            "no-target-directory" => no_target = true,
            "update" => c.update = true,
            "verbose" => c.verbose = true,
            "one-file-system" => c.one_system = true,
            "attributes-only" => c.attributes_only = true,
            "b" => return Err(cx.usage("backups (-b) are not supported")),
            _ => {}
        }
    }
    let mut sources = parsed.operands.clone();
    if sources.is_empty() {
        return Err(cx.usage("missing file operand"));
    }
    let is_dir = |path: &OsStr| fs::stat(path).is_ok_and(|s| file_type(s.mode) == FileType::Dir);
    let target = match target {
        Some(dir) => match fs::stat(&dir) {
            Ok(s) if file_type(s.mode) == FileType::Dir => Some(dir),
            Ok(_) => {
                return Err(End::Failure(1, format!("target directory {}: Not a directory", quoteaf(&dir))));
            }
            Err(error) => {
                return Err(End::Failure(
                    1,
                    format!("target directory {}: {}", quoteaf(&dir), strerror(&error)),
                ));
            }
        },
        None if sources.len() == 1 => {
            return Err(cx.usage(format!("missing destination file operand after {}", quoteaf(&sources[0]))));
        }
        None => {
            let last = sources.last().cloned().unwrap_or_default();
            let into = !no_target && is_dir(&last);
            if !into && sources.len() > 2 {
                if no_target {
                    return Err(cx.usage(format!("extra operand {}", quoteaf(&sources[2]))));
                }
                let why = match fs::stat(&last) {
                    Err(error) => strerror(&error),
                    Ok(_) => "Not a directory".to_owned(),
                };
                return Err(End::Failure(1, format!("target {}: {why}", quoteaf(&last))));
            }
            into.then(|| {
                sources.pop();
                last
            })
        }
    };
    match target {
        Some(dir) => {
            for source in &sources {
                let source = if strip { trimmed(source) } else { source.clone() };
                let name = if parents {
                    let inside = source
                        .as_bytes()
                        .iter()
                        .position(|b| *b != b'/')
                        .map_or(&[][..], |i| &source.as_bytes()[i..]);
                    make_parents(&dir, os(inside))?;
                    os(inside).to_owned()
                } else if base_name(&source) == ".." || base_name(&source) == "." {
                    ".".into()
                } else {
                    base_name(&source).to_owned()
                };
                let dest = if name == "." { dir.clone() } else { join(&dir, &name) };
                c.copy(cx, &source, &dest, 0)?;
            }
        }
        None => {
            let dest = sources[1].clone();
            let source = if strip { trimmed(&sources[0]) } else { sources[0].clone() };
            c.copy(cx, &source, &dest, 0)?;
        }
    }
    Ok(0)
}

fn trimmed(path: &OsStr) -> OsString {
    let bytes = path.as_bytes();
    let end = bytes.iter().rposition(|b| *b != b'/').map_or(1, |i| i + 1);
    os(&bytes[..end.min(bytes.len())]).to_owned()
}

fn make_parents(dir: &OsStr, inside: &OsStr) -> Result<(), End> {
    let Some(at) = inside.as_bytes().iter().rposition(|b| *b == b'/') else { return Ok(()) };
    let path = join(dir, os(&inside.as_bytes()[..at]));
    super::mkdir::make_all(&path, &mut Vec::new()).map_err(|(at, error)| {
        End::Failure(1, format!("cannot make directory {}: {}", quoteaf(&at), strerror(&error)))
    })
}

impl Copy {
    fn copy(&mut self, cx: &mut Cx, source: &OsStr, dest: &OsStr, depth: usize) -> Result<(), End> {
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
                return Ok(());
            }
        };
        if file_type(from.mode) == FileType::Dir {
            return self.directory(cx, source, dest, &from, depth);
        }
        let to = fs::lstat(dest).ok();
        if let Some(to) = &to
            && !self.may_replace(cx, source, dest, &from, to)?
        {
            return Ok(());
        }
        let id = (from.dev, from.ino);
        let earlier = self.copied.get(&id).filter(|_| self.links && from.nlink > 1).cloned();
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
            (None, FileType::File) | (None, _)
                if !self.recursive || file_type(from.mode) == FileType::File =>
            {
                return self.contents(cx, source, dest, &from, to.is_some());
            }
            _ => ("copy special file", Err(agentos_guest::io_error(Errno::ENOTSUP))),
        };
        match done {
            Ok(()) => {
                self.verbose(cx, source, dest)?;
                if !self.link && !self.symlink {
                    self.copied.insert(id, dest.to_owned());
                    self.attributes(cx, dest, &from, to.is_none())?;
                }
            }
            Err(error) => {
                let why = strerror(&error);
                cx.warn(format_args!("cannot {what} {}: {why}", quoteaf(dest)));
            }
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
        let real = fs::stat(dest).ok();
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
        if self.no_clobber {
            return Ok(false);
        }
        if self.update {
            let to = real.unwrap_or(*to);
            if (to.mtime, to.mtime_nsec) >= (from.mtime, from.mtime_nsec) {
                return Ok(false);
            }
        }
        if real.is_none() && file_type(from.mode) == FileType::File && !self.remove && !self.force {
            cx.warn(format_args!("not writing through dangling symlink {}", quoteaf(dest)));
            return Ok(false);
        }
        if self.interactive {
            cx.flush()?;
            eprint!("{}: overwrite {}? ", cx.name, quoteaf(dest));
            let mut answer = String::new();
            let _ = io::stdin().read_line(&mut answer);
            return Ok(answer.starts_with(['y', 'Y']));
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
    ) -> Result<(), End> {
        let mut input = match std::fs::File::open(source) {
            Ok(input) => input,
            Err(error) => {
                cx.warn(format_args!("cannot open {} for reading: {}", quoteaf(source), strerror(&error)));
                return Ok(());
            }
        };
        let create = || {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(!self.attributes_only).open(dest)
        };
        let mut fresh = !existed || self.remove;
        let mut output = create();
        if output.is_err() && self.force && existed {
            let _ = std::fs::remove_file(dest);
            fresh = true;
            output = create();
        }
        let mut output = match output {
            Ok(output) => output,
            Err(error) => {
                cx.warn(format_args!("cannot create regular file {}: {}", quoteaf(dest), strerror(&error)));
                return Ok(());
            }
        };
        if !self.attributes_only
            && let Err(error) = io::copy(&mut input, &mut output)
        {
            let (name, verb) = match errno_of(&error) {
                Some(Errno::EISDIR) => (source, "reading"),
                _ => (dest, "writing"),
            };
            cx.warn(format_args!("error {verb} {}: {}", quoteaf(name), strerror(&error)));
            return Ok(());
        }
        drop(output);
        self.verbose(cx, source, dest)?;
        if from.nlink > 1 && self.links {
            self.copied.insert((from.dev, from.ino), dest.to_owned());
        }
        self.attributes(cx, dest, from, fresh)
    }

    /// Sets what the copy keeps of the original; a fresh file gets its permissions less the umask.
    fn attributes(&self, cx: &mut Cx, dest: &OsStr, from: &Stat, fresh: bool) -> Result<(), End> {
        let link = file_type(from.mode) == FileType::Symlink;
        let mut result = Ok(());
        if self.times {
            let at = |sec, nsec: u32| (sec, i64::from(nsec));
            result =
                fs::utimens(dest, at(from.atime, from.atime_nsec), at(from.mtime, from.mtime_nsec), !link);
        }
        if self.owner {
            // Only root may give files away; cp -p does not insist.
            let _ = if link {
                fs::lchown(dest, Some(from.uid), Some(from.gid))
            } else {
                fs::chown(dest, Some(from.uid), Some(from.gid))
            };
        }
        if !link && (fresh || self.mode) {
            let mode = if self.mode { from.mode & 0o7777 } else { from.mode & 0o777 & !umask() };
            result = result.and(fs::chmod(dest, mode));
        }
        if let Err(error) = result {
            cx.warn(format_args!("preserving attributes for {}: {}", quoteaf(dest), strerror(&error)));
        }
        Ok(())
    }

    fn verbose(&self, cx: &mut Cx, source: &OsStr, dest: &OsStr) -> Result<(), End> {
        if self.verbose {
            cx.print(format_args!("{} -> {}\n", quoteaf(source), quoteaf(dest)))
        } else {
            Ok(())
        }
    }

    fn directory(
        &mut self,
        cx: &mut Cx,
        source: &OsStr,
        dest: &OsStr,
        from: &Stat,
        depth: usize,
    ) -> Result<(), End> {
        if !self.recursive {
            cx.warn(format_args!("-r not specified; omitting directory {}", quoteaf(source)));
            return Ok(());
        }
        if self.made.contains(&(from.dev, from.ino)) {
            cx.warn(format_args!(
                "cannot copy a directory, {}, into itself, {}",
                quoteaf(&self.root.0),
                quoteaf(&self.root.1)
            ));
            return Ok(());
        }
        let mut fresh = false;
        match fs::stat(dest) {
            Ok(to) if file_type(to.mode) == FileType::Dir => {}
            Ok(_) => {
                cx.warn(format_args!(
                    "cannot overwrite non-directory {} with directory {}",
                    quoteaf(dest),
                    quoteaf(source)
                ));
                return Ok(());
            }
            Err(_) => {
                // Writable while it is filled.
                if let Err(error) = fs::mkdir(dest, from.mode & 0o777 | 0o700) {
                    cx.warn(format_args!("cannot create directory {}: {}", quoteaf(dest), strerror(&error)));
                    return Ok(());
                }
                fresh = true;
                self.verbose(cx, source, dest)?;
            }
        }
        if let Ok(to) = fs::stat(dest) {
            self.made.push((to.dev, to.ino));
        }
        let names = if depth < walk::MAX_DEPTH { walk::names(source) } else { Err(walk::too_deep()) };
        let names = match names {
            Ok(names) => names,
            Err(error) => {
                cx.warn(format_args!("cannot access {}: {}", quoteaf(source), strerror(&error)));
                return Ok(());
            }
        };
        for name in names {
            let path = join(source, &name);
            if self.one_system && fs::lstat(&path).is_ok_and(|s| s.dev != from.dev) {
                continue;
            }
            self.copy(cx, &path, &join(dest, &name), depth + 1)?;
        }
        if fresh || self.mode || self.times || self.owner {
            self.attributes(cx, dest, from, fresh)?;
        }
        Ok(())
    }
}

fn umask() -> u32 {
    let mask = fs::umask(0o77);
    fs::umask(mask);
    mask
}

fn symlink(target: &OsStr, path: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::symlink(target, path)?)
}
