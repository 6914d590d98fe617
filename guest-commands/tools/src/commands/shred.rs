//! `shred`: overwrites files, and removes them if asked. A VM keeps files in memory, so what is overwritten is gone.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, base_name, join, os};
use crate::quote::{quote, quotef};
use crate::size::parse_size;
use agentos_guest::fs::{FileType, file_type};
use agentos_guest::{Errno, fs, io_error, strerror};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

const SPEC: &[&str] = &[
    "f,force",
    "n,iterations=",
    "random-source=",
    "s,size=",
    "u",
    "remove=?",
    "v,verbose",
    "x,exact",
    "z,zero",
];
const HELP: &str = "{} [OPTION]... FILE...
Overwrite the specified FILE(s) repeatedly.
  -f, --force            change permissions to allow writing if necessary
  -n, --iterations=N     overwrite N times instead of the default (3)
      --random-source=FILE  get random bytes from FILE
  -s, --size=N           shred this many bytes (suffixes like K, M, G accepted)
  -u                     deallocate and remove file after overwriting
      --remove[=HOW]     like -u but give control on HOW to delete: unlink, wipe or wipesync
  -v, --verbose          show progress
  -x, --exact            do not round file sizes up to the next full block
  -z, --zero             add a final overwrite with zeros to hide shredding";

/// The unit that sizes are rounded up to.
const BLOCK: u64 = 4096;
/// More passes than anybody waits for.
const MOST_PASSES: u64 = 10_000;

struct Config {
    force: bool,
    passes: u64,
    source: OsString,
    size: Option<u64>,
    remove: bool,
    wipe: bool,
    verbose: bool,
    exact: bool,
    zero: bool,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let mut c = Config {
        force: false,
        passes: 3,
        source: "/dev/urandom".into(),
        size: None,
        remove: false,
        wipe: true,
        verbose: false,
        exact: false,
        zero: false,
    };
    for opt in &parsed.opts {
        match opt.id {
            "force" => c.force = true,
            "iterations" => {
                let bad = || End::Failure(1, format!("invalid number of passes: {}", quote(opt.arg())));
                c.passes = opt.text().parse().ok().filter(|n| *n <= MOST_PASSES).ok_or_else(bad)?;
            }
            "random-source" => c.source = opt.arg().to_owned(),
            "size" => {
                let bad = || End::Failure(1, format!("invalid file size: {}", quote(opt.arg())));
                c.size = Some(parse_size(&opt.text()).ok_or_else(bad)?);
            }
            "u" => c.remove = true,
            "remove" => {
                c.remove = true;
                if opt.value.is_some() {
                    c.wipe = cx.keyword("--remove", opt.arg(), &[&["unlink"], &["wipe"], &["wipesync"]])? > 0;
                }
            }
            "verbose" => c.verbose = true,
            "exact" => c.exact = true,
            _ => c.zero = true,
        }
    }
    if parsed.operands.is_empty() {
        return Err(cx.usage("missing file operand"));
    }
    for path in &parsed.operands {
        match shred(cx, &c, path) {
            Ok(()) => {}
            Err((what, error)) => cx.warn(format_args!("{}: {what}{}", quotef(path), strerror(&error))),
        }
    }
    Ok(0)
}

type Trouble = (&'static str, io::Error);

fn open(c: &Config, path: &OsStr) -> io::Result<File> {
    let again = || std::fs::OpenOptions::new().write(true).open(path);
    match again() {
        Err(error) if c.force && error.kind() == io::ErrorKind::PermissionDenied => {
            fs::chmod(path, 0o600)?;
            again()
        }
        other => other,
    }
}

fn shred(cx: &mut Cx, c: &Config, path: &OsStr) -> Result<(), Trouble> {
    let failed = |error| ("failed to open for writing: ", error);
    if std::fs::metadata(path).is_ok_and(|m| m.is_dir()) {
        return Err(failed(io_error(Errno::EISDIR)));
    }
    let mut file = open(c, path).map_err(failed)?;
    let stat = fs::stat(path).map_err(|e| ("fstat: ", e))?;
    if file_type(stat.mode) != FileType::File {
        return Err(("invalid file type", io_error(Errno::EINVAL)));
    }
    let size = match c.size {
        Some(size) => size,
        None if c.exact => stat.size,
        None => stat.size.div_ceil(BLOCK) * BLOCK,
    };
    let all = c.passes + u64::from(c.zero);
    let mut source = File::open(&c.source).map_err(|e| ("failed to open random source: ", e))?;
    for pass in 1..=all {
        let zero = pass > c.passes;
        if c.verbose {
            let kind = if zero { "000000" } else { "random" };
            cx.say(format_args!("{}: pass {pass}/{all} ({kind})...", quotef(path)));
        }
        overwrite(&mut file, size, (!zero).then_some(&mut source)).map_err(|e| ("error writing: ", e))?;
    }
    if c.remove {
        file.set_len(0).map_err(|e| ("error truncating: ", e))?;
        drop(file);
        remove(cx, c, path).map_err(|e| ("failed to remove: ", e))?;
    }
    Ok(())
}

fn overwrite(file: &mut File, size: u64, mut source: Option<&mut File>) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut piece = vec![0; 64 << 10];
    let mut left = size;
    while left > 0 {
        let n = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if let Some(source) = &mut source {
            source.read_exact(&mut piece[..n])?;
        }
        file.write_all(&piece[..n])?;
        left -= n as u64;
    }
    Ok(())
}

/// Removes the file, by default after its name has been worn down to one character.
fn remove(cx: &mut Cx, c: &Config, path: &OsStr) -> io::Result<()> {
    if c.verbose {
        cx.say(format_args!("{}: removing", quotef(path)));
    }
    let mut now = path.to_owned();
    if c.wipe {
        let bytes = path.as_bytes();
        let base = base_name(path);
        let dir = bytes.len() - base.len();
        for length in (1..=base.len()).rev() {
            let name = "0".repeat(length);
            let next =
                if dir == 0 { OsString::from(&name) } else { join(os(&bytes[..dir]), OsStr::new(&name)) };
            if std::fs::symlink_metadata(&next).is_ok() || std::fs::rename(&now, &next).is_err() {
                continue;
            }
            if c.verbose {
                cx.say(format_args!("{}: renamed to {}", quotef(&now), quotef(&next)));
            }
            now = next;
        }
    }
    std::fs::remove_file(&now)?;
    if c.verbose {
        cx.say(format_args!("{}: removed", quotef(path)));
    }
    Ok(())
}
