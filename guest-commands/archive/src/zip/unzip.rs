//! `unzip` and `zipinfo`: lists, tests and extracts, in Info-ZIP's words. Nothing is written outside of the directory: names lose what
//! leads up, and symbolic links are made last of all. There are no passwords.

use super::format::{Bad, Directory, ENCRYPTED, Entry, unpack};
use super::list;
use crate::context::{Cx, End, Outcome};
use crate::files::{self, CopyError};
use crate::glob;
use crate::os::{OsStrExt, join, os, os_owned};
use agentos_guest::fd::Owned;
use agentos_guest::fs::{self, FileType, UTIME_NOW, file_type};
use agentos_guest::{Errno, errno_of, strerror};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Extract,
    List,
    Long,
    Test,
    /// To standard output: bare, or with names.
    Pipe,
    Show,
    Info,
    Names,
}

struct Config {
    action: Action,
    quiet: u32,
    overwrite: Option<bool>,
    junk: bool,
    fold: bool,
    /// Only files that are older, and with `fresh` only those that exist.
    update: bool,
    fresh: bool,
    directory: OsString,
    wanted: Vec<(Vec<u8>, bool)>,
    unwanted: Vec<(Vec<u8>, bool)>,
}

const HELP: &str = "unzip [-Z] [-cflpqtuvCjno1] file[.zip] [list] [-x xlist] [-d exdir]
List, test or extract the files of a ZIP archive.
  -d DIR  extract into DIR
  -l      list files (short); -v lists verbosely
  -t      test compressed archive data
  -p      extract files to pipe, no messages; -c with names
  -f      freshen existing files; -u also create new ones
  -n      never overwrite existing files; -o overwrite without prompting
  -j      junk paths (do not make directories)
  -C      match names case-insensitively
  -x      exclude files that follow
  -q      quiet mode (-qq: quieter)
  -Z      list as zipinfo does; -Z1: names only\n";

const END_MISSING: &str = "  End-of-central-directory signature not found.  Either this file is not
  a zipfile, or it constitutes one disk of a multi-part archive.  In the
  latter case the central directory and zipfile comment will be found on
  the last disk(s) of this archive.\n";

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let mut c = Config {
        action: if cx.name == "zipinfo" { Action::Info } else { Action::Extract },
        quiet: 0,
        overwrite: None,
        junk: false,
        fold: false,
        update: false,
        fresh: false,
        directory: OsString::new(),
        wanted: Vec::new(),
        unwanted: Vec::new(),
    };
    let mut archive = None;
    let mut excluding = false;
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if word == "--help" || word == "-h" || word == "-hh" {
            cx.print(format_args!("Usage: {HELP}"))?;
            return Ok(0);
        }
        if bytes.len() < 2 || bytes[0] != b'-' {
            match (&archive, excluding) {
                (None, _) => archive = Some(word.clone()),
                (_, true) => c.unwanted.push((bytes.to_vec(), false)),
                _ => c.wanted.push((bytes.to_vec(), false)),
            }
            continue;
        }
        let mut letters = bytes[1..].iter();
        while let Some(letter) = letters.next() {
            match letter {
                b'd' => {
                    let rest: Vec<u8> = letters.by_ref().copied().collect();
                    c.directory = match (rest.is_empty(), words.next()) {
                        (true, Some(dir)) => dir.clone(),
                        (true, None) => {
                            return Err(End::Failure(
                                10,
                                "error:  must specify directory to which to extract with -d option".into(),
                            ));
                        }
                        (false, next) => {
                            if next.is_some() {
                                // The word belongs to what follows.
                                words = args[args.len() - words.len() - 1..].iter();
                            }
                            os_owned(rest)
                        }
                    };
                }
                b'x' => excluding = true,
                b'l' if c.action != Action::Info => c.action = Action::List,
                b'v' if c.action != Action::Info => c.action = Action::Long,
                b't' if c.action != Action::Info => c.action = Action::Test,
                b'p' => c.action = Action::Pipe,
                b'c' => c.action = Action::Show,
                b'Z' => c.action = Action::Info,
                b'1' if matches!(c.action, Action::Info | Action::Names) => c.action = Action::Names,
                b's' | b'm' if c.action == Action::Info => {}
                b'q' => c.quiet += 1,
                b'o' => c.overwrite = Some(true),
                b'n' => c.overwrite = Some(false),
                b'j' => c.junk = true,
                b'C' => c.fold = true,
                b'u' => c.update = true,
                b'f' => (c.update, c.fresh) = (true, true),
                other => {
                    let letter = char::from(*other);
                    eprintln!("{}:  unknown option -{letter}\nUsage: {HELP}", cx.name);
                    return Ok(10);
                }
            }
        }
    }
    let Some(archive) = archive else {
        cx.print(format_args!("Usage: {HELP}"))?;
        return Ok(if args.is_empty() { 0 } else { 10 });
    };
    run(cx, &mut c, &archive)
}

/// Opens the archive, also with the suffix added. The name it was found by.
fn open(archive: &OsStr) -> Option<(Owned, OsString)> {
    [&b""[..], b".zip", b".ZIP"].iter().find_map(|suffix| {
        let name = os_owned([archive.as_bytes(), suffix].concat());
        let regular = fs::stat(&name).is_ok_and(|s| file_type(s.mode) != FileType::Dir);
        if !regular {
            return None;
        }
        files::open(&name, 0).ok().map(|file| (file, name))
    })
}

fn run(cx: &mut Cx, c: &mut Config, archive: &OsStr) -> Outcome {
    let shown = archive.to_string_lossy().into_owned();
    let me = cx.name;
    let Some((file, name)) = open(archive) else {
        let _ = cx.flush();
        eprintln!("{me}:  cannot find or open {shown}, {shown}.zip or {shown}.ZIP.");
        return Ok(9);
    };
    let title = name.to_string_lossy().into_owned();
    let titled = match c.action {
        Action::Pipe | Action::Names => false,
        Action::Extract | Action::Test => c.quiet == 0,
        Action::Show => c.quiet == 0,
        Action::List | Action::Long => c.quiet == 0,
        Action::Info => true,
    };
    if titled && c.action != Action::Info {
        cx.print(format_args!("Archive:  {title}\n"))?;
    }
    let directory = match Directory::read(&file) {
        Ok(directory) => directory,
        Err(Bad::System(error)) => return Err(End::Failure(9, format!("{title}: {}", strerror(&error)))),
        Err(Bad::NoEnd) => {
            cx.flush()?;
            if !titled || c.action == Action::Info {
                eprint!("[{title}]\n{END_MISSING}");
            } else {
                eprint!("{END_MISSING}");
            }
            eprintln!(
                "{me}:  cannot find zipfile directory in one of {shown} or\n        {shown}.zip, and cannot find {shown}.ZIP, period."
            );
            return Ok(9);
        }
        Err(Bad::Directory) => {
            cx.flush()?;
            eprintln!("error [{title}]:  the central directory is damaged");
            return Ok(3);
        }
    };
    let mut chosen = Vec::new();
    for entry in &directory.entries {
        let hit = |list: &mut Vec<(Vec<u8>, bool)>| {
            let mut any = false;
            for (pattern, found) in list.iter_mut() {
                if glob::matches(pattern, &entry.name, c.fold) {
                    (*found, any) = (true, true);
                }
            }
            any
        };
        let wanted = c.wanted.is_empty() || hit(&mut c.wanted);
        if wanted && !hit(&mut c.unwanted) {
            chosen.push(entry.clone());
        }
    }
    let mut status = match c.action {
        Action::List => list::short(cx, &chosen, c.quiet)?,
        Action::Long => list::long(cx, &chosen, c.quiet)?,
        Action::Info => {
            list::info(cx, &chosen, &directory, &title, !c.wanted.is_empty() || !c.unwanted.is_empty())?
        }
        Action::Names => {
            for entry in &chosen {
                cx.put(&entry.name)?;
                cx.put(b"\n")?;
            }
            0
        }
        Action::Test => test(cx, c, &file, &chosen, &title)?,
        _ => extract(cx, c, &file, &chosen)?,
    };
    for (pattern, found) in c.wanted.iter().chain(&c.unwanted) {
        if !found {
            let pattern = String::from_utf8_lossy(pattern).into_owned();
            let excluded = c.unwanted.iter().any(|(p, _)| p.as_slice() == pattern.as_bytes());
            cx.flush()?;
            if excluded {
                eprintln!("caution: excluded filename not matched:  {pattern}");
            } else {
                if !matches!(c.action, Action::List | Action::Long) {
                    eprintln!("caution: filename not matched:  {pattern}");
                }
                status = status.max(11);
            }
        }
    }
    Ok(status)
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Copies the data of a member and checks them. `Err` is what is wrong with it, in unzip's words.
fn copy(file: &Owned, entry: &Entry, out: &mut dyn Write) -> Result<Result<(), String>, End> {
    if entry.flags & ENCRYPTED != 0 {
        return Ok(Err("unable to get password".to_owned()));
    }
    let reader = match unpack(file, entry) {
        Ok(Some(reader)) => reader,
        Ok(None) => return Ok(Err(format!("unsupported compression method {}", entry.method))),
        Err(_) => return Ok(Err("bad zipfile offset (local header sig)".to_owned())),
    };
    let mut checked = Checked { inner: reader, crc: crc32fast::Hasher::new() };
    // No more than the directory says: what is more is no data of this member.
    let copied = files::copy(&mut (&mut checked).take(entry.size.saturating_add(1)), out);
    Ok(match copied {
        Ok(_) => {
            let crc = checked.crc.finalize();
            if crc == entry.crc {
                Ok(())
            } else {
                Err(format!("bad CRC {crc:08x}  (should be {:08x})", entry.crc))
            }
        }
        Err(CopyError::Read(error)) if error.raw_os_error().is_some() => Err(strerror(&error)),
        Err(CopyError::Read(_)) => Err("invalid compressed data to inflate".to_owned()),
        Err(CopyError::Write(error)) => Err(format!("write error: {}", strerror(&error))),
    })
}

struct Checked<R> {
    inner: R,
    crc: crc32fast::Hasher,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.crc.update(&buf[..n]);
        Ok(n)
    }
}

fn test(cx: &mut Cx, c: &Config, file: &Owned, entries: &[Entry], title: &str) -> Result<i32, End> {
    let (mut status, mut bad) = (0, 0);
    for entry in entries {
        let name = text(&entry.name);
        let result = copy(file, entry, &mut io::sink())?;
        if c.quiet == 0 {
            cx.print(format_args!("    testing: {name:<22}  "))?;
        }
        match result {
            Ok(()) if c.quiet == 0 => cx.print(format_args!(" OK\n"))?,
            Ok(()) => {}
            Err(why) => {
                if c.quiet > 0 {
                    cx.print(format_args!("{name:<22}  "))?;
                }
                cx.print(format_args!(" {why}\n"))?;
                bad += 1;
                status = 2;
            }
        }
    }
    if bad > 0 {
        cx.print(format_args!("At least one error was detected in {title}.\n"))?;
    } else if entries.is_empty() {
        status = 11;
    } else if c.quiet < 2 {
        let n = entries.len();
        if c.wanted.is_empty() && c.unwanted.is_empty() {
            cx.print(format_args!("No errors detected in compressed data of {title}.\n"))?;
        } else {
            let s = if n == 1 { "" } else { "s" };
            cx.print(format_args!("No errors detected in {title} for the {n} file{s} tested.\n"))?;
        }
    }
    Ok(status)
}

/// Whether a member can be read and is what the directory says.
pub(super) fn is_whole(file: &Owned, entry: &Entry) -> bool {
    matches!(copy(file, entry, &mut io::sink()), Ok(Ok(())))
}

/// A name that leads nowhere else, and what was taken away.
fn safe(name: &[u8]) -> (Vec<u8>, bool, bool) {
    let absolute = name.starts_with(b"/");
    let mut up = false;
    let parts: Vec<&[u8]> = name
        .split(|b| *b == b'/')
        .filter(|part| {
            up |= *part == b"..";
            !part.is_empty() && *part != b"." && *part != b".."
        })
        .collect();
    (parts.join(&b'/'), absolute, up)
}

/// A link that waits for all other members.
struct Waiting {
    path: OsString,
    name: String,
    target: Vec<u8>,
}

fn extract(cx: &mut Cx, c: &mut Config, file: &Owned, entries: &[Entry]) -> Result<i32, End> {
    if matches!(c.action, Action::Pipe | Action::Show) {
        return pipe(cx, c, file, entries);
    }
    if !c.directory.is_empty()
        && fs::stat(&c.directory).is_err()
        && let Err(error) = fs::mkdir(&c.directory, 0o777)
    {
        let dir = c.directory.to_string_lossy().into_owned();
        cx.flush()?;
        eprintln!("checkdir:  cannot create extraction directory: {dir}\n           {}", strerror(&error));
        return Ok(2);
    }
    let (mut status, mut waiting, mut directories) = (0, Vec::new(), Vec::new());
    let umask = files::umask();
    for entry in entries {
        let (mut name, absolute, up) = safe(&entry.name);
        let original = text(&entry.name);
        if absolute {
            cx.flush()?;
            eprintln!("warning:  stripped absolute path spec from {original}");
            status = status.max(1);
        }
        if up {
            cx.flush()?;
            eprintln!("warning:  skipped \"../\" path component(s) in {original}");
            status = status.max(1);
        }
        if c.junk {
            if entry.is_dir() {
                continue;
            }
            name = name.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec();
        }
        if name.is_empty() {
            continue;
        }
        let path = if c.directory.is_empty() { os(&name).to_owned() } else { join(&c.directory, os(&name)) };
        let mut shown =
            path.to_string_lossy().chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>();
        if entry.is_dir() {
            if fs::stat(&path).is_ok_and(|s| file_type(s.mode) == FileType::Dir) {
                continue;
            }
            shown.push('/');
            match make_directories(&path) {
                Ok(()) => {
                    if c.quiet == 0 {
                        cx.print(format_args!("   creating: {shown}\n"))?;
                    }
                    directories.push((path, entry.clone()));
                }
                Err(error) => {
                    cx.flush()?;
                    eprintln!(
                        "checkdir error:  cannot create {shown}\n                 {}",
                        strerror(&error)
                    );
                    status = status.max(2);
                }
            }
            continue;
        }
        if !replaceable(cx, c, entry, &path, &shown)? {
            continue;
        }
        if let Some(parent) = path.as_bytes().iter().rposition(|b| *b == b'/').filter(|i| *i > 0) {
            let _ = make_directories(os(&path.as_bytes()[..parent]));
        }
        let _ = std::fs::remove_file(&path);
        let made = match files::create_new(&path, 0o600) {
            Ok(made) => made,
            Err(error) => {
                cx.flush()?;
                eprintln!("error:  cannot create {shown}\n        {}", strerror(&error));
                status = status.max(50);
                continue;
            }
        };
        let word = match entry.method {
            _ if entry.is_link() => "    linking",
            0 => " extracting",
            12 => "  unbzip2ing",
            _ => "  inflating",
        };
        if c.quiet == 0 {
            cx.print(format_args!("{word}: {shown:<22}  "))?;
        }
        let mut out = made;
        let result = if entry.is_link() {
            let mut target = Limited(Vec::new());
            let result = copy(file, entry, &mut target)?;
            if result.is_ok() {
                if c.quiet == 0 {
                    cx.print(format_args!("-> {} ", text(&target.0)))?;
                }
                waiting.push(Waiting { path: path.clone(), name: shown.clone(), target: target.0 });
            }
            result
        } else {
            copy(file, entry, &mut out)?
        };
        drop(out);
        match result {
            Ok(()) => {
                if c.quiet == 0 {
                    cx.put(b"\n")?;
                }
            }
            Err(why) => {
                if c.quiet > 0 {
                    cx.print(format_args!("{shown:<22}  "))?;
                }
                cx.print(format_args!(" {why}\n"))?;
                status = status.max(if why.contains("method") || why.contains("password") { 81 } else { 2 });
            }
        }
        if !entry.is_link() {
            attributes(&path, entry, umask);
        }
    }
    for (path, entry) in directories.iter().rev() {
        attributes(path, entry, umask);
    }
    if !waiting.is_empty() && c.quiet == 0 {
        cx.print(format_args!("finishing deferred symbolic links:\n"))?;
    }
    for link in waiting {
        if c.quiet == 0 {
            cx.print(format_args!("  {:<22} -> {}\n", link.name, text(&link.target)))?;
        }
        // Only in place of the empty file that kept its place.
        let there = fs::lstat(&link.path).is_ok_and(|s| file_type(s.mode) == FileType::File && s.size == 0);
        if there {
            let made =
                std::fs::remove_file(&link.path).and_then(|()| files::symlink(os(&link.target), &link.path));
            if let Err(error) = made {
                cx.flush()?;
                eprintln!("symlink error: {}", strerror(&error));
                status = status.max(1);
            }
        }
    }
    Ok(status)
}

/// The target of a link: longer than a path it is none.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.0.len() + buf.len() > 4096 {
            return Err(agentos_guest::io_error(Errno::ENAMETOOLONG));
        }
        self.0.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pipe(cx: &mut Cx, c: &Config, file: &Owned, entries: &[Entry]) -> Result<i32, End> {
    let mut status = 0;
    for entry in entries.iter().filter(|e| !e.is_dir()) {
        if c.action == Action::Show && c.quiet == 0 {
            let word = if entry.method == 0 { " extracting" } else { "  inflating" };
            cx.print(format_args!("{word}: {:<22}  \n", text(&entry.name)))?;
        }
        cx.flush()?;
        let mut out = files::stdout().map_err(End::Output)?;
        if let Err(why) = copy(file, entry, &mut out)? {
            eprintln!("{:<22}   {why}", text(&entry.name));
            status = 2;
        } else if c.action == Action::Show && c.quiet == 0 {
            cx.put(b"\n")?;
        }
    }
    Ok(status)
}

fn make_directories(path: &OsStr) -> io::Result<()> {
    let bytes = path.as_bytes();
    let ends = (1..bytes.len()).filter(|i| bytes[*i] == b'/').chain([bytes.len()]);
    for end in ends {
        match fs::mkdir(os(&bytes[..end]), 0o777) {
            Ok(()) => {}
            Err(error) if errno_of(&error) == Some(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether what is there may go, asking if nothing was said.
fn replaceable(cx: &mut Cx, c: &mut Config, entry: &Entry, path: &OsStr, shown: &str) -> Result<bool, End> {
    let Ok(stat) = fs::lstat(path) else { return Ok(!c.fresh) };
    if file_type(stat.mode) == FileType::Dir {
        return Ok(true);
    }
    if c.update && list::seconds(entry) <= stat.mtime {
        return Ok(false);
    }
    if let Some(overwrite) = c.overwrite {
        return Ok(overwrite);
    }
    loop {
        cx.flush()?;
        eprint!("replace {shown}? [y]es, [n]o, [A]ll, [N]one, [r]ename: ");
        let mut answer = String::new();
        if io::stdin().read_line(&mut answer).unwrap_or(0) == 0 {
            eprintln!(" NULL\n(EOF or read error, treating as \"[N]one\" ...)");
            c.overwrite = Some(false);
            cx.status = cx.status.max(1);
            return Ok(false);
        }
        match answer.trim() {
            "y" | "Y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            "A" => {
                c.overwrite = Some(true);
                return Ok(true);
            }
            "N" => {
                c.overwrite = Some(false);
                return Ok(false);
            }
            other => eprintln!("error:  invalid response [{other}]"),
        }
    }
}

fn attributes(path: &OsStr, entry: &Entry, umask: u32) {
    let mode = entry.mode() & 0o777;
    let unix = entry.made_by >> 8 == 3;
    let _ = fs::chmod(path, if unix { mode } else { mode & !umask });
    let _ = fs::utimens(path, (0, UTIME_NOW), (list::seconds(entry), 0), false);
}
