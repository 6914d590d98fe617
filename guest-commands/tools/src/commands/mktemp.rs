//! `mktemp`: makes a file or directory of a name that nobody has, and that nobody else can read.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, join, os, os_owned};
use crate::quote::quote;
use agentos_guest::{Errno, errno_of, fd, fs, io_error, strerror};
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::io;

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/// How often another name is tried.
const TRIES: usize = 1000;

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]... [TEMPLATE]
Create a temporary file or directory, safely, and print its name. TEMPLATE must contain at least 3 consecutive 'X's in
its last component; it is tmp.XXXXXXXXXX with --tmpdir if not given.
  -d, --directory        create a directory, not a file
  -u, --dry-run          do not create anything; merely print a name (unsafe)
  -q, --quiet            suppress diagnostics about file/dir-creation failure
      --suffix=SUFF      append SUFF to TEMPLATE, which must end in X
  -p DIR, --tmpdir[=DIR] interpret TEMPLATE relative to DIR; if DIR is not given, to $TMPDIR or else /tmp
  -t                     interpret TEMPLATE as a single file name component, relative to $TMPDIR, -p or /tmp";
    const SPEC: &[&str] = &["d,directory", "q,quiet", "u,dry-run", "suffix=", "p=", "tmpdir=?", "t"];
    let parsed = cx.parse(SPEC, args, Order::Permute, help)?;
    let (mut directory, mut quiet, mut dry, mut old, mut placed) = (false, false, false, false, false);
    let (mut suffix, mut dir) = (None, None);
    for opt in parsed.opts {
        match opt.id {
            "directory" => directory = true,
            "quiet" => quiet = true,
            "dry-run" => dry = true,
            "suffix" => suffix = opt.value,
            "t" => (old, placed) = (true, true),
            _ => (dir, placed) = (opt.value, true),
        }
    }
    let template = match &parsed.operands[..] {
        [] => {
            placed = true;
            OsString::from("tmp.XXXXXXXXXX")
        }
        [one] => one.clone(),
        _ => return Err(cx.usage("too many templates")),
    };
    let fail = |message: String| Err(End::Failure(1, message));
    let bytes = template.as_bytes();
    let end = match &suffix {
        Some(_) if bytes.last() != Some(&b'X') => {
            return fail(format!("with --suffix, template {} must end in X", quote(&template)));
        }
        Some(_) => bytes.len(),
        None => bytes.iter().rposition(|b| *b == b'X').map_or(bytes.len(), |i| i + 1),
    };
    let tail = suffix.unwrap_or_else(|| os(&bytes[end..]).to_owned());
    if tail.as_bytes().contains(&b'/') {
        return fail(format!("invalid suffix {}, contains directory separator", quote(&tail)));
    }
    let full = os_owned([&bytes[..end], tail.as_bytes()].concat());
    let count = bytes[..end].iter().rev().take_while(|b| **b == b'X').count();
    if count < 3 {
        return fail(format!("too few X's in template {}", quote(&full)));
    }
    let mut path = full;
    if placed {
        let environment = std::env::var_os("TMPDIR").filter(|d| !d.is_empty());
        let given = dir.filter(|d| !d.is_empty());
        let dir = if old { environment.or(given) } else { given.or(environment) };
        if old && path.as_bytes().contains(&b'/') {
            return fail(format!("invalid template, {}, contains directory separator", quote(&path)));
        }
        if !old && path.as_bytes()[0] == b'/' {
            return fail(format!(
                "invalid template, {}; with --tmpdir, it may not be absolute",
                quote(&path)
            ));
        }
        path = join(&dir.unwrap_or_else(|| "/tmp".into()), &path);
    }
    let end = path.len() - tail.len();
    match make(&path, end - count..end, directory, dry) {
        Ok(made) => {
            cx.put(made.as_bytes())?;
            cx.put(b"\n")?;
            // A name that nobody learns is of no use.
            if let Err(error) = cx.flush() {
                if !dry {
                    let _ = if directory { std::fs::remove_dir(&made) } else { std::fs::remove_file(&made) };
                }
                return Err(error);
            }
            Ok(0)
        }
        Err(_) if quiet => Ok(1),
        Err(error) => {
            let what = if directory { "directory" } else { "file" };
            fail(format!("failed to create {what} via template {}: {}", quote(&path), strerror(&error)))
        }
    }
}

fn make(path: &OsStr, at: std::ops::Range<usize>, directory: bool, dry: bool) -> io::Result<OsString> {
    let mut name = path.as_bytes().to_vec();
    for _ in 0..TRIES {
        for letters in name[at.clone()].chunks_mut(10) {
            // std seeds it from the system; ten letters of 62 fit into 64 bits.
            let mut random = RandomState::new().hash_one(letters.len());
            for letter in letters {
                *letter = LETTERS[(random % 62) as usize];
                random /= 62;
            }
        }
        let path = os(&name);
        let made = if dry {
            match fs::lstat(path) {
                Ok(_) => Err(io_error(Errno::EEXIST)),
                Err(error) if errno_of(&error) == Some(Errno::ENOENT) => Ok(()),
                Err(error) => Err(error),
            }
        } else if directory {
            fs::mkdir(path, 0o700)
        } else {
            fd::open(path, fd::O_RDWR | fd::O_CREAT | fd::O_EXCL, 0o600).and_then(fd::close)
        };
        match made {
            Ok(()) => return Ok(os_owned(name)),
            Err(error) if errno_of(&error) == Some(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io_error(Errno::EEXIST))
}
