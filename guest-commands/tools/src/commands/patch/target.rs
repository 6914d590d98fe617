//! The files that a patch is about: which one a heading means, reading it, and writing the result, its backup and its
//! rejects. What a hunk does is `place`'s business.

use super::names::{is_safe, stripped};
use super::source::Header;
use super::{Applied, Meeting, Run, bytes, fatal, path};
use crate::commands::cp::backup::highest;
use crate::commands::cp::copy::symlink;
use crate::context::{Cx, End};
use crate::os::{OsStrExt, base_name, os, os_owned};
use crate::quote::quotef;
use agentos_guest::fs::{self, FileType, file_type};
use agentos_guest::{Errno, errno_of, strerror};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;

/// The files of one diff.
pub(super) struct Names {
    /// What is read.
    pub(super) input: OsString,
    /// What is written.
    pub(super) output: OsString,
    /// A rename has been done before: the name it had before that is `before`.
    pub(super) moved_already: bool,
    pub(super) before: OsString,
}

impl Names {
    pub(super) fn one(name: OsString) -> Names {
        Names { input: name.clone(), output: name.clone(), moved_already: false, before: name }
    }
}

/// A file as it was.
pub(super) struct Old {
    pub(super) data: Vec<u8>,
    mode: u32,
    /// It is no link and no device.
    pub(super) regular: bool,
    /// It is of the kind that the diff is about.
    pub(super) patchable: bool,
    pub(super) read_only: bool,
}

/// How backups are named, and when they are made.
pub(super) struct Backup {
    pub(super) always: bool,
    pub(super) if_mismatch: bool,
    style: Style,
    pub(super) prefix: Option<OsString>,
    pub(super) base_prefix: Option<OsString>,
    pub(super) suffix: Option<OsString>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Simple,
    Existing,
    Numbered,
}

const STYLES: &[&[&str]] = &[&["simple", "never"], &["existing", "nil"], &["numbered", "t"]];

impl Backup {
    /// As the environment has it.
    pub(super) fn from_environment() -> Backup {
        let suffix = std::env::var_os("SIMPLE_BACKUP_SUFFIX").filter(|s| !s.is_empty());
        let control = std::env::var("PATCH_VERSION_CONTROL").or_else(|_| std::env::var("VERSION_CONTROL"));
        let style = match control.as_deref() {
            Ok("numbered" | "t") => Style::Numbered,
            Ok("simple" | "never") => Style::Simple,
            _ => Style::Existing,
        };
        Backup { always: false, if_mismatch: true, style, prefix: None, base_prefix: None, suffix }
    }

    pub(super) fn set_style(&mut self, cx: &Cx, word: &OsStr) -> Result<(), End> {
        let styles = [Style::Simple, Style::Existing, Style::Numbered];
        self.style = styles[cx.keyword("version control type", word, STYLES)?];
        Ok(())
    }

    fn name(&self, file: &OsStr) -> OsString {
        let named = self.prefix.is_some() || self.base_prefix.is_some() || self.suffix.is_some();
        let last = if self.style == Style::Simple { 0 } else { highest(file) };
        if self.style == Style::Numbered || (self.style == Style::Existing && last > 0) {
            return os_owned([bytes(file), format!(".~{}~", last.saturating_add(1)).as_bytes()].concat());
        }
        let base = base_name(file).as_bytes();
        let dir = bytes(file).strip_suffix(base).unwrap_or_default();
        let part = |p: &Option<OsString>| p.as_ref().map_or_else(Vec::new, |p| bytes(p).to_vec());
        let suffix = if named { part(&self.suffix) } else { b".orig".to_vec() };
        os_owned([&part(&self.prefix)[..], dir, &part(&self.base_prefix), base, &suffix].concat())
    }
}

/// The parents of a path, the outermost first.
fn parents(name: &OsStr) -> Vec<&OsStr> {
    let b = bytes(name);
    (1..b.len()).filter(|i| b[*i] == b'/' && b[*i - 1] != b'/').map(|i| os(&b[..i])).collect()
}

/// Makes the directories that a file needs.
fn make_parents(name: &OsStr) {
    for dir in parents(name) {
        // What is wrong is told by the opening of the file.
        let _ = fs::mkdir(dir, 0o777);
    }
}

/// Whether a directory on the way is a symbolic link, which may lead anywhere.
fn through_link(name: &[u8]) -> bool {
    parents(os(name)).iter().any(|dir| fs::lstat(dir).is_ok_and(|s| file_type(s.mode) == FileType::Symlink))
}

fn exists(name: &[u8]) -> bool {
    fs::lstat(os(name)).is_ok()
}

/// The name with the fewest components, then the shortest base name, then the shortest, then the first.
fn best(names: &[Vec<u8>]) -> Option<&Vec<u8>> {
    names.iter().min_by_key(|name| {
        let components = name.split(|b| *b == b'/').filter(|c| !c.is_empty()).count();
        (components, base_name(os(name)).len(), name.len())
    })
}

impl Run<'_> {
    /// The file that the headings mean.
    pub(super) fn choose(&mut self, header: &Header, reverse: bool) -> Result<Option<Names>, End> {
        let strip = |name: &Option<Vec<u8>>| name.as_ref().and_then(|n| stripped(n, self.c.strip));
        let (old, new) = (strip(&header.old.name), strip(&header.new.name));
        if let (Some(git), Some(old), Some(new)) = (&header.git, &old, &new)
            && (git.renamed || git.copied)
        {
            for name in [old, new] {
                if !is_safe(name) {
                    self.ignore(name)?;
                    return Ok(None);
                }
            }
            let (from, to) = if reverse { (new, old) } else { (old, new) };
            let moved = git.renamed && !exists(from) && exists(to);
            let input = path(if moved { to } else { from });
            return Ok(Some(Names { input, output: path(to), moved_already: moved, before: path(from) }));
        }
        let creates = header.absent[0] > 0 || header.absent[1] > 0;
        let mut names: Vec<Vec<u8>> = Vec::new();
        // The index counts where the diff itself has no names.
        let index = if old.is_none() && new.is_none() { strip(&header.index) } else { None };
        for name in [old, new, index].into_iter().flatten() {
            if names.contains(&name) {
                continue;
            }
            if is_safe(&name) && !through_link(&name) {
                names.push(name);
            } else if name.starts_with(b"/") || creates {
                self.ignore(&name)?;
            }
        }
        let there: Vec<Vec<u8>> = names.iter().filter(|name| exists(name)).cloned().collect();
        if let Some(name) = best(&there) {
            return Ok(Some(Names::one(path(name))));
        }
        if !creates {
            return Ok(None);
        }
        // A new file: where the fewest directories have to be made.
        let missing = |name: &[u8]| parents(os(name)).iter().filter(|dir| !exists(bytes(dir))).count();
        let least = names.iter().map(|name| missing(name)).min();
        let names: Vec<Vec<u8>> = names.into_iter().filter(|name| Some(missing(name)) == least).collect();
        Ok(best(&names).map(|name| Names::one(path(name))))
    }

    fn ignore(&mut self, name: &[u8]) -> Result<(), End> {
        self.say(&format!("Ignoring potentially dangerous file name {}\n", quotef(os(name))))
    }

    /// The file, if it exists.
    pub(super) fn load(&mut self, name: &OsStr, link: bool) -> Result<Option<Old>, End> {
        let found = if self.c.follow { fs::stat(name) } else { fs::lstat(name) };
        let stat = match found {
            Ok(stat) => stat,
            Err(error) if matches!(errno_of(&error), Some(Errno::ENOENT | Errno::ENOTDIR)) => {
                return Ok(None);
            }
            Err(error) => {
                return Err(fatal(format_args!(
                    "Can't get file attributes of file {} : {}",
                    quotef(name),
                    strerror(&error)
                )));
            }
        };
        let kind = file_type(stat.mode);
        let regular = kind == FileType::File;
        let patchable = kind == if link { FileType::Symlink } else { FileType::File };
        let mut old =
            Old { data: Vec::new(), mode: stat.mode & 0o7777, regular, patchable, read_only: false };
        if patchable && link {
            let target = std::fs::read_link(name).map_err(|e| cannot("read", "file", name, &e))?;
            old.data = target.as_os_str().as_bytes().to_vec();
        } else if patchable {
            old.data = std::fs::read(name).map_err(|e| cannot("open", "file", name, &e))?;
            old.read_only = fs::access(name, WRITE).is_err();
        }
        Ok(Some(old))
    }

    pub(super) fn reject_name(&self, output: &OsStr) -> OsString {
        self.c.reject.clone().unwrap_or_else(|| {
            let mut name = self.c.output.as_deref().unwrap_or(output).to_owned();
            name.push(".rej");
            name
        })
    }

    /// Writes the rejected hunks below the headings they had.
    pub(super) fn write_rejects(
        &mut self,
        name: &OsString,
        header: &Header,
        m: &Meeting,
        names: &Names,
        result: &Applied,
    ) -> Result<(), End> {
        let mut sides = [&header.old, &header.new];
        if m.reverse {
            sides.swap(0, 1);
        }
        let marks = if result.in_context { ["*** ", "--- "] } else { ["--- ", "+++ "] };
        let mut text = Vec::new();
        for (side, mark) in sides.into_iter().zip(marks) {
            text.extend_from_slice(mark.as_bytes());
            let shown = match &side.name {
                Some(name) => stripped(name, self.c.strip),
                None if header.git.is_some() => Some(bytes(&names.output).to_vec()),
                None => None,
            };
            text.extend_from_slice(shown.as_deref().unwrap_or(b"/dev/null"));
            if side.name.is_some() {
                text.extend_from_slice(&side.stamp);
            }
            text.push(b'\n');
        }
        text.extend_from_slice(&result.rejects);
        let again = !self.written.insert(name.clone());
        let mut options = std::fs::OpenOptions::new();
        options.create(true).write(true).append(again).truncate(!again);
        make_parents(name);
        options
            .open(name)
            .and_then(|mut file| file.write_all(&text))
            .map_err(|e| cannot("create", "file", name, &e))
    }

    /// Puts the result where it belongs.
    pub(super) fn store(
        &mut self,
        header: &Header,
        names: &Names,
        old: Option<&Old>,
        reverse: bool,
        result: &Applied,
    ) -> Result<(), End> {
        let data = &result.data;
        if let Some(output) = self.c.output.clone() {
            if output == "-" {
                return self.cx.put(data);
            }
            let again = !self.written.insert(output.clone());
            let mut options = std::fs::OpenOptions::new();
            options.create(true).write(true).append(again).truncate(!again);
            let written = options.open(&output).and_then(|mut file| file.write_all(data));
            return written.map_err(|e| cannot("create", "file", &output, &e));
        }
        let (link, mode) = match &header.git {
            Some(git) => (git.link, if reverse { git.old_mode } else { git.new_mode }),
            None => (false, None),
        };
        let gone = header.absent[usize::from(!reverse)] == 2;
        let remove = data.is_empty() && (gone || self.c.remove_empty);
        if gone && !data.is_empty() {
            self.say(&format!(
                "Not deleting file {} as content differs from patch\n",
                quotef(&names.output)
            ))?;
            self.failed = true;
        }
        let bad = result.bad > 0 || result.mismatch;
        let backup = self.c.backup.always || (self.c.backup.if_mismatch && bad);
        if backup && self.written.insert(names.output.clone()) {
            self.back_up(&names.output, old)?;
        } else {
            self.written.insert(names.output.clone());
        }
        let moved = header.git.as_ref().is_some_and(|g| g.renamed) && names.input != names.output;
        if remove {
            if old.is_some() {
                unlink(&names.output)?;
            }
        } else {
            make_parents(&names.output);
            let name = &names.output;
            if link {
                let _ = std::fs::remove_file(name);
                symlink(os(data), name).map_err(|e| cannot("create", "symbolic link", name, &e))?;
            } else {
                replace(name, data, self.c.follow).map_err(|e| cannot("create", "file", name, &e))?;
                let wanted = mode.map(|m| m & 0o777).or(old.map(|old| old.mode));
                if let Some(mode) = wanted {
                    fs::chmod(name, mode).map_err(|e| cannot("set permissions on", "file", name, &e))?;
                }
            }
        }
        if moved {
            unlink(&names.input)?;
        }
        Ok(())
    }

    fn back_up(&mut self, name: &OsStr, old: Option<&Old>) -> Result<(), End> {
        let backup = self.c.backup.name(name);
        if old.is_none() && !self.c.backup.always {
            return Ok(());
        }
        make_parents(&backup);
        let there = fs::lstat(name).is_ok();
        // A file that did not exist has an empty backup.
        let done = if there { std::fs::rename(name, &backup) } else { std::fs::write(&backup, b"") };
        done.map_err(|e| cannot("create", "file", &backup, &e))
    }
}

/// `access` asks whether a file may be written.
const WRITE: u32 = 2;

fn cannot(verb: &str, kind: &str, name: &OsStr, error: &io::Error) -> End {
    fatal(format_args!("Can't {verb} {kind} {} : {}", quotef(name), strerror(error)))
}

/// Removes a file, and the directories that it leaves empty.
fn unlink(name: &OsStr) -> Result<(), End> {
    match std::fs::remove_file(name) {
        Ok(()) => {}
        Err(error) if errno_of(&error) == Some(Errno::ENOENT) => {}
        Err(error) => return Err(cannot("remove", "file", name, &error)),
    }
    for dir in parents(name).into_iter().rev() {
        if std::fs::remove_dir(Path::new(dir)).is_err() {
            break;
        }
    }
    Ok(())
}

/// Writes a file anew beside the old one, and then in its place: whoever reads it sees the one or the other.
fn replace(name: &OsStr, data: &[u8], follow: bool) -> io::Result<()> {
    if follow {
        return std::fs::write(name, data);
    }
    let base = base_name(name).as_bytes();
    let dir = bytes(name).strip_suffix(base).unwrap_or_default();
    let new = os_owned([dir, format!(".patch-{}", agentos_guest::process::id()).as_bytes()].concat());
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&new)?;
    let done = file.write_all(data).and_then(|()| std::fs::rename(&new, name));
    if done.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    done
}
