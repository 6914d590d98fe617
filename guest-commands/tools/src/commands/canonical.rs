//! `readlink` and `realpath`, and what they rest on: a path without `.`, `..` and symbolic links. The kernel is asked for
//! one link at a time, because a path may be wanted that does not exist to its end.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, os_owned};
use crate::quote::quotef;
use agentos_guest::fs::{self, FileType, file_type};
use agentos_guest::{Errno, env, errno_of, io_error, strerror};
use std::ffi::{OsStr, OsString};
use std::io;

/// Which components must exist.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exists {
    All,
    AllButLast,
    None,
}

/// So many links are followed before they are a loop.
const MAX_LINKS: usize = 40;

/// The absolute path of `path`; with `links` every symbolic link is followed, else they are names like others.
pub(crate) fn canonical(path: &OsStr, exists: Exists, links: bool) -> io::Result<OsString> {
    if path.is_empty() {
        return Err(io_error(Errno::ENOENT));
    }
    let mut done = if path.as_bytes()[0] == b'/' {
        b"/".to_vec()
    } else {
        env::current_dir()?.into_os_string().as_bytes().to_vec()
    };
    // What is left to walk, as the kernel would.
    let mut rest = path.as_bytes().to_vec();
    let mut followed = 0;
    loop {
        let start = rest.iter().position(|b| *b != b'/').unwrap_or(rest.len());
        let end = rest[start..].iter().position(|b| *b == b'/').map_or(rest.len(), |n| start + n);
        let (name, after) = (rest[start..end].to_vec(), rest[end..].to_vec());
        match &name[..] {
            b"" => break,
            b"." => {}
            b".." => done.truncate(done.iter().rposition(|b| *b == b'/').unwrap_or(0).max(1)),
            _ => {
                let before = done.len();
                if done.last() != Some(&b'/') {
                    done.push(b'/');
                }
                done.extend_from_slice(&name);
                let here = os_owned(done.clone());
                let target = if links { std::fs::read_link(&here) } else { Err(io_error(Errno::EINVAL)) };
                match target {
                    Ok(target) if followed < MAX_LINKS => {
                        followed += 1;
                        let target = target.into_os_string();
                        rest = [target.as_bytes(), &after].concat();
                        done.truncate(if target.as_bytes().first() == Some(&b'/') { 1 } else { before });
                        continue;
                    }
                    Ok(_) if exists == Exists::None => {}
                    Ok(_) => return Err(io_error(Errno::ELOOP)),
                    Err(error) if exists != Exists::None => check(&here, &after, error, exists, links)?,
                    Err(_) => {}
                }
            }
        }
        rest = after;
    }
    Ok(os_owned(done))
}

/// Whether the walk may go on over `path`, which is no link, or not looked at as one; `after` is what comes then.
fn check(path: &OsStr, after: &[u8], error: io::Error, exists: Exists, links: bool) -> io::Result<()> {
    let only_slashes = after.iter().all(|b| *b == b'/');
    let found = if wants_directory(after) {
        fs::stat(path).and_then(|s| match file_type(s.mode) {
            FileType::Dir => Ok(()),
            _ => Err(io_error(Errno::ENOTDIR)),
        })
    } else if links {
        if errno_of(&error) == Some(Errno::EINVAL) { Ok(()) } else { Err(error) }
    } else if !after.is_empty() {
        Ok(())
    } else {
        fs::stat(path).map(drop)
    };
    match found {
        Err(e) if exists == Exists::AllButLast && errno_of(&e) == Some(Errno::ENOENT) && only_slashes => {
            Ok(())
        }
        other => other,
    }
}

/// Whether what comes after a component can only come after a directory: a slash at the end, `.` or `..`.
fn wants_directory(after: &[u8]) -> bool {
    let mut rest = after;
    while rest.first() == Some(&b'/') {
        let start = rest.iter().position(|b| *b != b'/').unwrap_or(rest.len());
        match &rest[start..] {
            [] | [b'.'] | [b'.', b'.'] | [b'.', b'.', b'/', ..] => return true,
            [b'.', after @ ..] => rest = after,
            _ => return false,
        }
    }
    false
}

pub(crate) fn readlink(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]... FILE...
Print value of a symbolic link or canonical file name.
  -f, --canonicalize           follow every symlink in every component; all but the last component must exist
  -e, --canonicalize-existing  the same; all components must exist
  -m, --canonicalize-missing   the same, without requirements on components existence
  -n, --no-newline             do not output the trailing delimiter
  -q, --quiet, -s, --silent    suppress most error messages (on by default)
  -v, --verbose                report error messages
  -z, --zero                   end each output line with NUL, not newline";
    const SPEC: &[&str] = &[
        "f,canonicalize",
        "e,canonicalize-existing",
        "m,canonicalize-missing",
        "n,no-newline",
        "q,quiet",
        "s,silent",
        "v,verbose",
        "z,zero",
    ];
    let parsed = cx.parse(SPEC, args, Order::Permute, help)?;
    let (mut exists, mut newline, mut verbose, mut end) = (None, true, false, b'\n');
    for opt in &parsed.opts {
        match opt.id {
            "canonicalize" => exists = Some(Exists::AllButLast),
            "canonicalize-existing" => exists = Some(Exists::All),
            "canonicalize-missing" => exists = Some(Exists::None),
            "no-newline" => newline = false,
            "verbose" => verbose = true,
            "zero" => end = 0,
            _ => verbose = false,
        }
    }
    if parsed.operands.is_empty() {
        return Err(cx.missing_operand());
    }
    if parsed.operands.len() > 1 && !newline {
        cx.say("ignoring --no-newline with multiple arguments");
        newline = true;
    }
    for path in &parsed.operands {
        let found = match exists {
            Some(exists) => canonical(path, exists, true),
            None => std::fs::read_link(path).map(|p| p.into_os_string()),
        };
        match found {
            Ok(target) => {
                cx.put(target.as_bytes())?;
                if newline {
                    cx.put(&[end])?;
                }
            }
            Err(error) if verbose => cx.warn_path(path, &error),
            Err(_) => cx.status = 1,
        }
    }
    Ok(0)
}

struct Resolve {
    exists: Exists,
    links: bool,
    /// `..` is taken from the text before links are followed.
    logical: bool,
}

impl Resolve {
    fn path(&self, path: &OsStr) -> io::Result<OsString> {
        let found = canonical(path, self.exists, self.links && !self.logical)?;
        if self.logical { canonical(&found, self.exists, true) } else { Ok(found) }
    }

    /// The place that paths are told relative to.
    fn place(&self, path: &OsStr) -> Result<OsString, End> {
        let fail = |error| End::Failure(1, format!("{}: {}", quotef(path), strerror(&error)));
        let found = self.path(path).map_err(fail)?;
        let is_dir = fs::stat(&found).is_ok_and(|s| file_type(s.mode) == FileType::Dir);
        if self.exists == Exists::All && !is_dir {
            return Err(fail(io_error(Errno::ENOTDIR)));
        }
        Ok(found)
    }
}

pub(crate) fn realpath(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]... FILE...
Print the resolved absolute file name; all but the last component must exist.
  -e, --canonicalize-existing  all components of the path must exist
  -m, --canonicalize-missing   no path components need exist or be a directory
  -L, --logical                resolve '..' components before symlinks
  -P, --physical               resolve symlinks as encountered (default)
  -q, --quiet                  suppress most error messages
      --relative-to=DIR        print the resolved path relative to DIR
      --relative-base=DIR      print absolute paths unless paths below DIR
  -s, --strip, --no-symlinks   don't expand symlinks
  -z, --zero                   end each output line with NUL, not newline";
    const SPEC: &[&str] = &[
        "e,canonicalize-existing",
        "m,canonicalize-missing",
        "L,logical",
        "P,physical",
        "q,quiet",
        "relative-to=",
        "relative-base=",
        "s,strip",
        "no-symlinks",
        "z,zero",
    ];
    let parsed = cx.parse(SPEC, args, Order::Permute, help)?;
    let mut resolve = Resolve { exists: Exists::AllButLast, links: true, logical: false };
    let (mut verbose, mut end, mut to, mut base) = (true, b'\n', None, None);
    for opt in &parsed.opts {
        match opt.id {
            "canonicalize-existing" => resolve.exists = Exists::All,
            "canonicalize-missing" => resolve.exists = Exists::None,
            "logical" => (resolve.links, resolve.logical) = (true, true),
            "physical" => (resolve.links, resolve.logical) = (true, false),
            "quiet" => verbose = false,
            "relative-to" => to = Some(opt.arg()),
            "relative-base" => base = Some(opt.arg()),
            "zero" => end = 0,
            _ => (resolve.links, resolve.logical) = (false, false),
        }
    }
    if parsed.operands.is_empty() {
        return Err(cx.missing_operand());
    }
    let mut to = to.or(base).map(|path| resolve.place(path)).transpose()?;
    let base = base.map(|path| resolve.place(path)).transpose()?;
    if let (Some(base), Some(place)) = (&base, &to)
        && !below(base, place)
    {
        to = None;
    }
    for path in &parsed.operands {
        match resolve.path(path) {
            Ok(found) => {
                let shown = match &to {
                    Some(to) if base.as_ref().is_none_or(|base| below(base, &found)) => relative(&found, to),
                    _ => found,
                };
                cx.put(shown.as_bytes())?;
                cx.put(&[end])?;
            }
            Err(error) if verbose => cx.warn_path(path, &error),
            Err(_) => cx.status = 1,
        }
    }
    Ok(0)
}

/// Whether `path` is `dir` or lies in it; both are canonical.
fn below(dir: &OsStr, path: &OsStr) -> bool {
    let rest = path.as_bytes().strip_prefix(dir.as_bytes());
    dir == "/" || rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// How `path` is written from `dir`; both are canonical.
pub(crate) fn relative(path: &OsStr, dir: &OsStr) -> OsString {
    let parts = |path: &'_ OsStr| -> Vec<Vec<u8>> {
        path.as_bytes().split(|b| *b == b'/').filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let (path, dir) = (parts(path), parts(dir));
    let common = path.iter().zip(&dir).take_while(|(a, b)| a == b).count();
    let mut shown = vec![b"..".to_vec(); dir.len() - common];
    shown.extend_from_slice(&path[common..]);
    if shown.is_empty() { ".".into() } else { os_owned(shown.join(&b'/')) }
}
