//! `mkdir` and `install`: make directories, and copy files with a mode. `install` strips nothing and makes no backups.

use super::chmod::mode_option;
use super::cp::copy::umask;
use super::cp::transfer::{Failure, Transfer};
use crate::context::{Cx, End, Outcome};
use crate::mode::Mode;
use crate::names;
use crate::options::Order;
use crate::os::{OsStrExt, base_name, join, os};
use crate::quote::{quote, quoteaf};
use agentos_guest::fs::{self, FileType, file_type};
use agentos_guest::{Errno, errno_of, fd, strerror};
use std::ffi::{OsStr, OsString};
use std::io;

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]... DIRECTORY...\nCreate the DIRECTORY(ies), if they do not already exist.
  -m, --mode=MODE  set file mode (as in chmod), not a=rwx - umask
  -p, --parents    no error if existing, make parent directories as needed
  -v, --verbose    print a message for each created directory";
    let parsed = cx.parse(&["m,mode=", "p,parents", "v,verbose"], args, Order::Permute, help)?;
    let mode = mode_option(cx, &parsed.opts)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    if parsed.operands.is_empty() {
        return Err(cx.missing_operand());
    }
    for dir in &parsed.operands {
        let mut made = Vec::new();
        let result = if has("parents") { make_all(dir, &mut made) } else { make_one(dir, &mut made) };
        if has("verbose") {
            let name = cx.name;
            for dir in &made {
                cx.print(format_args!("{name}: created directory {}\n", quoteaf(dir)))?;
            }
        }
        let set = |()| match &mode {
            Some(mode) if made.iter().any(|m| m == dir) => fs::chmod(dir, mode.apply(0o777, true, umask())),
            _ => Ok(()),
        };
        if let Err((at, error)) = result.and_then(|()| set(()).map_err(|e| (dir.clone(), e))) {
            cx.warn(format_args!("cannot create directory {}: {}", quote(&at), strerror(&error)));
        }
    }
    Ok(0)
}

type Made = Result<(), (OsString, io::Error)>;

fn make_one(dir: &OsStr, made: &mut Vec<OsString>) -> Made {
    fs::mkdir(dir, 0o777).map_err(|e| (dir.to_owned(), e))?;
    made.push(dir.to_owned());
    Ok(())
}

/// Makes a directory and those above it; directories that exist are fine.
pub(crate) fn make_all(dir: &OsStr, made: &mut Vec<OsString>) -> Made {
    let bytes = dir.as_bytes();
    let ends = (1..bytes.len()).filter(|i| bytes[*i] == b'/' && bytes[*i - 1] != b'/').chain([bytes.len()]);
    for end in ends {
        let part = os(&bytes[..end]);
        if end < bytes.len() && fs::stat(part).is_ok_and(|s| file_type(s.mode) == FileType::Dir) {
            continue;
        }
        match make_one(part, made) {
            Err((at, error)) if errno_of(&error) == Some(Errno::EEXIST) => {
                if !fs::stat(part).is_ok_and(|s| file_type(s.mode) == FileType::Dir) {
                    let last = bytes[end..].iter().all(|b| *b == b'/');
                    let error = if last { error } else { agentos_guest::io_error(Errno::ENOTDIR) };
                    return Err((at, error));
                }
            }
            other => other?,
        }
    }
    Ok(())
}

const INSTALL: &[&str] = &[
    "d,directory",
    "D",
    "m,mode=",
    "o,owner=",
    "g,group=",
    "p,preserve-timestamps",
    "t,target-directory=",
    "T,no-target-directory",
    "v,verbose",
    "c",
    "C,compare",
];
const INSTALL_HELP: &str = "{} [OPTION]... SOURCE... DEST
Copy files while setting attributes, or create directories (-d).
  -c                         (ignored)
  -C, --compare              do not copy when content and mode are already the same
  -d, --directory            treat all arguments as directory names
  -D                         create all leading components of DEST
  -g, --group=GROUP          set group ownership
  -m, --mode=MODE            set permission mode (as in chmod), instead of rwxr-xr-x
  -o, --owner=OWNER          set ownership
  -p, --preserve-timestamps  apply access/modification times of SOURCE files
  -t, --target-directory=D   copy all SOURCE arguments into D
  -T, --no-target-directory  treat DEST as a normal file
  -v, --verbose              print the name of each created file or directory";

struct Install {
    mode: Mode,
    owner: Option<u32>,
    group: Option<u32>,
    times: bool,
    verbose: bool,
    parents: bool,
    compare: bool,
}

/// `install`.
pub(crate) fn install(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(INSTALL, args, Order::Permute, INSTALL_HELP)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    let value = |id: &str| parsed.opts.iter().rfind(|o| o.id == id).map(|o| o.arg().to_owned());
    let mode = match mode_option(cx, &parsed.opts)? {
        Some(mode) => mode,
        None => Mode::parse("755").ok_or_else(|| cx.usage("invalid mode"))?,
    };
    let id = |what: &str, find: fn(&str) -> Option<u32>| match value(what) {
        None => Ok(None),
        Some(name) => match find(&name.to_string_lossy()) {
            Some(id) => Ok(Some(id)),
            None => Err(End::Failure(
                1,
                format!("invalid {}: {}", if what == "owner" { "user" } else { what }, quote(&name)),
            )),
        },
    };
    let job = Install {
        mode,
        owner: id("owner", names::user_operand)?,
        group: id("group", names::group_operand)?,
        times: has("preserve-timestamps"),
        verbose: has("verbose"),
        parents: has("D"),
        compare: has("compare"),
    };
    let mut operands = parsed.operands.clone();
    if operands.is_empty() {
        return Err(cx.usage("missing file operand"));
    }
    if has("directory") {
        for dir in &operands {
            install_dir(cx, &job, dir)?;
        }
        return Ok(0);
    }
    let target = match value("target-directory") {
        Some(dir) => {
            if job.parents {
                install_parents(cx, job.verbose, &dir)?;
            }
            Some(dir)
        }
        None if operands.len() == 1 => {
            return Err(cx.usage(format!("missing destination file operand after {}", quoteaf(&operands[0]))));
        }
        None => {
            let last = operands.last().cloned().unwrap_or_default();
            let is_dir = fs::stat(&last).is_ok_and(|s| file_type(s.mode) == FileType::Dir);
            if operands.len() > 2 && !is_dir {
                return Err(End::Failure(1, format!("target {}: Not a directory", quoteaf(&last))));
            }
            (is_dir && !has("no-target-directory")).then(|| {
                operands.pop();
                last
            })
        }
    };
    match target {
        Some(dir) => {
            for source in &operands {
                install_file(cx, &job, source, &join(&dir, base_name(source)))?;
            }
        }
        None => {
            let dest = operands[1].clone();
            if job.parents {
                let parent = parent(&dest);
                install_parents(cx, job.verbose, &parent)?;
            }
            install_file(cx, &job, &operands[0], &dest)?;
        }
    }
    Ok(0)
}

fn parent(path: &OsStr) -> OsString {
    let bytes = path.as_bytes();
    match bytes.iter().rposition(|b| *b == b'/') {
        Some(0) => "/".into(),
        Some(at) => os(&bytes[..at]).to_owned(),
        None => ".".into(),
    }
}

fn install_parents(cx: &mut Cx, verbose: bool, dir: &OsStr) -> Result<(), End> {
    let mut made = Vec::new();
    let result = make_all(dir, &mut made);
    if verbose {
        for dir in &made {
            cx.print(format_args!("install: creating directory {}\n", quoteaf(dir)))?;
        }
    }
    result.map_err(|(at, error)| {
        End::Failure(1, format!("cannot create directory {}: {}", quote(&at), strerror(&error)))
    })
}

fn install_dir(cx: &mut Cx, job: &Install, dir: &OsStr) -> Result<(), End> {
    let mut made = Vec::new();
    let result = make_all(dir, &mut made);
    if job.verbose {
        for dir in &made {
            cx.print(format_args!("install: creating directory {}\n", quoteaf(dir)))?;
        }
    }
    let set = || {
        fs::chmod(dir, job.mode.apply(0, true, 0))?;
        set_owner(job, dir)
    };
    if let Err((at, error)) = result.and_then(|()| set().map_err(|e| (dir.to_owned(), e))) {
        cx.warn(format_args!("cannot create directory {}: {}", quote(&at), strerror(&error)));
    }
    Ok(())
}

fn set_owner(job: &Install, path: &OsStr) -> io::Result<()> {
    if job.owner.is_none() && job.group.is_none() { Ok(()) } else { fs::chown(path, job.owner, job.group) }
}

fn install_file(cx: &mut Cx, job: &Install, source: &OsStr, dest: &OsStr) -> Result<(), End> {
    let from = match fs::stat(source) {
        Ok(from) if file_type(from.mode) == FileType::Dir => {
            cx.warn(format_args!("omitting directory {}", quoteaf(source)));
            return Ok(());
        }
        Ok(from) => from,
        Err(error) => {
            cx.warn(format_args!("cannot stat {}: {}", quoteaf(source), strerror(&error)));
            return Ok(());
        }
    };
    let mode = job.mode.apply(0, false, 0);
    if job.compare {
        let same = fs::lstat(dest).is_ok_and(|to| to.mode & 0o7777 == mode && to.size == from.size)
            && std::fs::read(source).ok() == std::fs::read(dest).ok();
        if same {
            return Ok(());
        }
    }
    // The old file may be running: a new one takes its name.
    let _ = std::fs::remove_file(dest);
    let copy = || {
        let input = fd::Owned::from_raw(fd::open(source, fd::O_RDONLY, 0)?);
        // Nobody else reads or runs it before it has its mode.
        let flags = fd::O_WRONLY | fd::O_CREAT | fd::O_TRUNC;
        let output = fd::Owned::from_raw(fd::open(dest, flags, 0o600)?);
        match Transfer::default().copy(input.raw(), output.raw(), from.size, false) {
            Ok(()) => output.close(),
            Err(Failure::Read(error) | Failure::Write(error)) => Err(error),
        }
    };
    if let Err(error) = copy() {
        cx.warn(format_args!("cannot create regular file {}: {}", quoteaf(dest), strerror(&error)));
        return Ok(());
    }
    let finish = || {
        set_owner(job, dest)?;
        fs::chmod(dest, mode)?;
        if job.times {
            let at = |sec, nsec: u32| (sec, i64::from(nsec));
            fs::utimens(dest, at(from.atime, from.atime_nsec), at(from.mtime, from.mtime_nsec), true)?;
        }
        Ok(())
    };
    let done: io::Result<()> = finish();
    if let Err(error) = done {
        cx.warn(format_args!("cannot set attributes of {}: {}", quoteaf(dest), strerror(&error)));
    }
    if job.verbose {
        cx.print(format_args!("{} -> {}\n", quoteaf(source), quoteaf(dest)))?;
    }
    Ok(())
}
