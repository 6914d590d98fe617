//! Puts members into the tree. Nothing is written outside of it: names lead nowhere up, no link that the archive made is written
//! through, and links that lead out are made last of all.

use super::config::{Config, Existing};
use super::header::{Kind, Member};
use super::list::{self, List};
use super::names::{Safety, escaped, leads_up};
use super::reader::Reader;
use super::transform::{self, Target};
use super::{each, read_failed, target_name};
use crate::context::{Cx, End};
use crate::files;
use crate::names as accounts;
use crate::os::{OsStrExt, join, os};
use agentos_guest::fd::{self, Owned};
use agentos_guest::fs::{self, FileType, Stat, UTIME_NOW, file_type};
use agentos_guest::{Errno, errno_of, io_error, strerror};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, SeekFrom, Write};

/// A directory whose attributes are set once everything is in it.
struct Delayed {
    path: OsString,
    member: Member,
    /// It was there before, and keeps its mode unless told otherwise.
    mode: Option<u32>,
}

/// A link that leads out of the tree: an empty file stands in its place until the end.
struct Placeholder {
    path: OsString,
    id: (u64, u64),
    target: Vec<u8>,
    member: Member,
}

struct Extractor {
    safety: Safety,
    list: List,
    umask: u32,
    directories: Vec<Delayed>,
    placeholders: Vec<Placeholder>,
    /// Ids by name, looked up once for each name.
    users: HashMap<String, Option<u32>>,
    groups: HashMap<String, Option<u32>>,
}

/// Links that wait, and directories that do: beyond it they are refused or set at once.
const MAX_DELAYED: usize = 1 << 20;

pub(super) fn run(cx: &mut Cx, config: &mut Config) -> Result<(), End> {
    let mut extractor = Extractor {
        safety: Safety::default(),
        list: List::default(),
        umask: files::umask(),
        directories: Vec::new(),
        placeholders: Vec::new(),
        users: HashMap::new(),
        groups: HashMap::new(),
    };
    let end =
        each(cx, config, |cx, config, member, reader, dir| extractor.member(cx, config, member, reader, dir));
    extractor.finish(cx, config);
    end
}

fn error_of(errno: Errno) -> io::Error {
    io_error(errno)
}

impl Extractor {
    fn fail(&self, cx: &mut Cx, name: &[u8], what: &str, error: &io::Error) {
        cx.say(format_args!("{}: {what}: {}", escaped(name), strerror(error)));
        cx.status = 2;
    }

    fn member(
        &mut self,
        cx: &mut Cx,
        config: &Config,
        member: &Member,
        reader: &mut Reader,
        dir: usize,
    ) -> Result<(), End> {
        let Some(mut name) = target_name(cx, config, &mut self.safety, &member.name, Target::Name) else {
            return Ok(());
        };
        if !config.absolute && leads_up(&member.name) {
            cx.say(format_args!("{}: Member name contains '..'", escaped(&member.name)));
            cx.status = 2;
            return Ok(());
        }
        while name.len() > 1 && name.ends_with(b"/") {
            name.pop();
        }
        if config.verbose > 1 {
            self.list.long(cx, config, member)?;
        } else if config.verbose > 0 {
            list::short(cx, config, member)?;
        }
        if config.to_stdout {
            if member.kind == Kind::File {
                cx.flush()?;
                let out = files::stdout().map_err(End::Output)?;
                return self.data(cx, config, member, reader, &mut Sink::Stream(out), &name);
            }
            return Ok(());
        }
        let path = if config.dirs[dir].is_empty() {
            os(&name).to_owned()
        } else {
            join(&config.dirs[dir], os(&name))
        };
        match member.kind {
            Kind::Dir => self.directory(cx, config, member, &path, &name),
            Kind::File | Kind::Other(_) => {
                if let Kind::Other(letter) = member.kind {
                    let letter = char::from(letter);
                    let what = "Unknown file type";
                    cx.say(format_args!("{}: {what} '{letter}', extracted as normal file", escaped(&name)));
                }
                self.file(cx, config, member, reader, &path, &name)
            }
            Kind::Symlink => self.symlink(cx, config, member, &path, &name),
            Kind::HardLink => self.hard_link(cx, config, member, dir, &path, &name),
            Kind::Fifo => {
                let mode = self.mode(config, member);
                match self.make(config, member, &path, |path| fs::mkfifo(path, mode & 0o777)) {
                    Ok(true) => self.attributes(cx, config, member, &path, &name, false),
                    Ok(false) => {}
                    Err(error) => self.skipped(cx, config, member, &path, &name, "Cannot mkfifo", &error),
                }
                Ok(())
            }
            Kind::CharDevice | Kind::BlockDevice => {
                self.fail(cx, &name, "Cannot mknod", &error_of(Errno::EPERM));
                Ok(())
            }
        }
    }

    /// The mode that a member gets: as it is, or without what the user's mask takes.
    fn mode(&self, config: &Config, member: &Member) -> u32 {
        if config.permissions { member.mode & 0o7777 } else { member.mode & 0o777 & !self.umask }
    }

    /// Makes something with `make`, with the directories above it, in place of what is there if that may go. `Ok(false)`: what is
    /// there stays, quietly.
    fn make(
        &self,
        config: &Config,
        member: &Member,
        path: &OsStr,
        mut make: impl FnMut(&OsStr) -> io::Result<()>,
    ) -> io::Result<bool> {
        if config.existing == Existing::Unlink {
            let _ = std::fs::remove_file(path);
        }
        let (mut above, mut removed) = (false, false);
        loop {
            let Err(error) = make(path) else { return Ok(true) };
            match errno_of(&error) {
                Some(Errno::ENOENT) if !above => {
                    above = true;
                    self.directories_above(path)?;
                }
                Some(Errno::EEXIST) if !removed => {
                    let there = fs::lstat(path)?;
                    match config.existing {
                        Existing::KeepWithError => return Err(error),
                        Existing::Skip => return Ok(false),
                        Existing::KeepNewer
                            if (there.mtime, there.mtime_nsec) >= (member.mtime, member.mtime_nsec) =>
                        {
                            return Err(error);
                        }
                        _ => {}
                    }
                    removed = true;
                    if file_type(there.mode) == FileType::Dir {
                        // Only an empty one gives way.
                        std::fs::remove_dir(path).map_err(|_| error)?;
                    } else {
                        std::fs::remove_file(path)?;
                    }
                }
                _ => return Err(error),
            }
        }
    }

    /// Why something was not made, unless that is what was asked for.
    #[allow(clippy::too_many_arguments, reason = "all of it is in the message")]
    fn skipped(
        &self,
        cx: &mut Cx,
        config: &Config,
        member: &Member,
        path: &OsStr,
        name: &[u8],
        what: &str,
        error: &io::Error,
    ) {
        if config.existing == Existing::KeepNewer
            && errno_of(error) == Some(Errno::EEXIST)
            && fs::lstat(path).is_ok_and(|s| (s.mtime, s.mtime_nsec) >= (member.mtime, member.mtime_nsec))
        {
            return cx.say(format_args!("Current ‘{}’ is newer or same age", escaped(name)));
        }
        self.fail(cx, name, what, error);
    }

    fn directories_above(&self, path: &OsStr) -> io::Result<()> {
        let bytes = path.as_bytes();
        for (i, _) in bytes.iter().enumerate().filter(|(i, b)| **b == b'/' && *i > 0) {
            match fs::mkdir(os(&bytes[..i]), 0o777) {
                Ok(()) => {}
                Err(error) if errno_of(&error) == Some(Errno::EEXIST) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn directory(
        &mut self,
        cx: &mut Cx,
        config: &Config,
        member: &Member,
        path: &OsStr,
        name: &[u8],
    ) -> Result<(), End> {
        if name == b"." || name == b"/" {
            // What it is put into exists.
            self.delay(config, member, path, None);
            return Ok(());
        }
        let mode = self.mode(config, member);
        let mut tried = false;
        loop {
            // Writable while it is filled.
            let error = match fs::mkdir(path, mode & 0o777 | 0o700) {
                Ok(()) => {
                    self.delay(config, member, path, Some(mode));
                    return Ok(());
                }
                Err(error) => error,
            };
            match errno_of(&error) {
                Some(Errno::ENOENT) if !tried => {
                    tried = true;
                    if let Err(error) = self.directories_above(path) {
                        self.fail(cx, name, "Cannot mkdir", &error);
                        return Ok(());
                    }
                }
                Some(Errno::EEXIST) => {
                    let there = fs::lstat(path);
                    let kind = there.as_ref().map_or(FileType::Other, |s| file_type(s.mode));
                    let linked = kind == FileType::Symlink
                        && config.keep_directory_symlink
                        && fs::stat(path).is_ok_and(|s| file_type(s.mode) == FileType::Dir);
                    if kind == FileType::Dir || linked {
                        if matches!(
                            config.existing,
                            Existing::KeepWithError | Existing::Skip | Existing::KeepNewer
                        ) || config.no_overwrite_dir
                        {
                            return Ok(());
                        }
                        self.delay(config, member, path, Some(mode));
                        return Ok(());
                    }
                    let keeps = matches!(config.existing, Existing::KeepWithError | Existing::Skip);
                    if keeps || tried || std::fs::remove_file(path).is_err() {
                        if config.existing != Existing::Skip {
                            self.fail(cx, name, "Cannot mkdir", &error);
                        }
                        return Ok(());
                    }
                    tried = true;
                }
                _ => {
                    self.fail(cx, name, "Cannot mkdir", &error);
                    return Ok(());
                }
            }
        }
    }

    fn delay(&mut self, _: &Config, member: &Member, path: &OsStr, mode: Option<u32>) {
        if self.directories.len() < MAX_DELAYED {
            self.directories.push(Delayed { path: path.to_owned(), member: member.clone(), mode });
        }
    }

    fn file(
        &mut self,
        cx: &mut Cx,
        config: &Config,
        member: &Member,
        reader: &mut Reader,
        path: &OsStr,
        name: &[u8],
    ) -> Result<(), End> {
        let mode = self.mode(config, member);
        // Nobody else reads what will belong to another before it does.
        let first = if config.same_owner { mode & 0o700 } else { mode & 0o777 };
        let mut file = None;
        let made = if config.existing == Existing::Overwrite && overwritable(path) {
            let flags = fd::O_WRONLY | fd::O_TRUNC | fd::O_NOFOLLOW | fd::O_CLOEXEC;
            fd::open(path, flags, 0).map(|raw| {
                file = Some(Owned::from_raw(raw));
                true
            })
        } else {
            self.make(config, member, path, |path| {
                file = Some(files::create_new(path, first | 0o200)?);
                Ok(())
            })
        };
        match (made, file) {
            (Ok(true), Some(file)) => {
                let sparse = member.map.is_some();
                let mut sink = Sink::File { file, sparse };
                self.data(cx, config, member, reader, &mut sink, name)?;
                drop(sink);
                self.attributes(cx, config, member, path, name, true);
            }
            (Ok(_), _) => {}
            (Err(error), _) => self.skipped(cx, config, member, path, name, "Cannot open", &error),
        }
        Ok(())
    }

    /// Copies the data of a member, holes included.
    fn data(
        &self,
        cx: &mut Cx,
        config: &Config,
        member: &Member,
        reader: &mut Reader,
        sink: &mut Sink,
        name: &[u8],
    ) -> Result<(), End> {
        let mut buf =
            vec![0; files::PIECE.min(usize::try_from(member.stored).unwrap_or(files::PIECE).max(1))];
        let whole = [(0, member.stored)];
        let runs = member.map.as_deref().unwrap_or(&whole);
        let mut at = 0;
        let mut result = Ok(());
        for (offset, length) in runs {
            if result.is_ok() {
                result = sink.hole(at, *offset);
            }
            let mut left = *length;
            while left > 0 {
                let most = buf.len().min(usize::try_from(left).unwrap_or(buf.len()));
                let n = match reader.data(&mut buf[..most]) {
                    Ok(0) => break,
                    Ok(n) => n,
                    Err(error) => {
                        if error.kind() == io::ErrorKind::UnexpectedEof {
                            // GNU tar says it of the member, and then of the archive.
                            cx.say("Unexpected EOF in archive");
                        }
                        return Err(read_failed(cx, config, &error));
                    }
                };
                // Once the disk is full the rest is read all the same: other members may be smaller.
                if result.is_ok() {
                    result = sink.write(&buf[..n]);
                }
                left -= n as u64;
            }
            at = offset + length;
        }
        if result.is_ok() {
            result = sink.end(at, member.size);
        }
        if !reader.end_data().map_err(|error| read_failed(cx, config, &error))? {
            cx.say("Unexpected EOF in archive");
            return Err(read_failed(cx, config, &io::ErrorKind::UnexpectedEof.into()));
        }
        match result {
            Ok(()) => Ok(()),
            Err(error) if matches!(sink, Sink::Stream(_)) => Err(End::Output(error)),
            Err(error) => {
                self.fail(cx, name, "Cannot write", &error);
                Ok(())
            }
        }
    }

    fn symlink(
        &mut self,
        cx: &mut Cx,
        config: &Config,
        member: &Member,
        path: &OsStr,
        name: &[u8],
    ) -> Result<(), End> {
        let target = transform::apply(&config.rules, &member.link, Target::Symlink);
        let what = format!("Cannot create symlink to ‘{}’", escaped(&target));
        if !config.absolute && (target.starts_with(b"/") || leads_up(&target)) {
            return self.placeholder(cx, config, member, path, name, target, &what);
        }
        match self.make(config, member, path, |path| files::symlink(os(&target), path)) {
            Ok(true) => self.attributes(cx, config, member, path, name, false),
            Ok(false) => {}
            Err(error) => self.skipped(cx, config, member, path, name, &what, &error),
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "all of it is kept")]
    fn placeholder(
        &mut self,
        cx: &mut Cx,
        config: &Config,
        member: &Member,
        path: &OsStr,
        name: &[u8],
        target: Vec<u8>,
        what: &str,
    ) -> Result<(), End> {
        let mut file = None;
        let made = if self.placeholders.len() < MAX_DELAYED {
            self.make(config, member, path, |path| {
                file = Some(files::create_new(path, 0)?);
                Ok(())
            })
        } else {
            Err(error_of(Errno::ENOMEM))
        };
        match (made, file.and_then(|file| fs::fstat(file.raw()).ok())) {
            (Ok(_), Some(stat)) => self.placeholders.push(Placeholder {
                path: path.to_owned(),
                id: (stat.dev, stat.ino),
                target,
                member: member.clone(),
            }),
            (Ok(_), None) => {}
            (Err(error), _) => self.skipped(cx, config, member, path, name, what, &error),
        }
        Ok(())
    }

    fn hard_link(
        &mut self,
        cx: &mut Cx,
        config: &Config,
        member: &Member,
        dir: usize,
        path: &OsStr,
        name: &[u8],
    ) -> Result<(), End> {
        let Some(target) = target_name(cx, config, &mut self.safety, &member.link, Target::HardLink) else {
            return Ok(());
        };
        let what = format!("Cannot hard link to ‘{}’", escaped(&target));
        if !config.absolute && leads_up(&member.link) {
            cx.say(format_args!("{}: Member name contains '..'", escaped(&member.link)));
            cx.status = 2;
            return Ok(());
        }
        let source = if config.dirs[dir].is_empty() {
            os(&target).to_owned()
        } else {
            join(&config.dirs[dir], os(&target))
        };
        let stat = fs::lstat(&source);
        // It is that file already.
        if let (Ok(a), Ok(b)) = (&stat, fs::lstat(path))
            && (a.dev, a.ino) == (b.dev, b.ino)
        {
            return Ok(());
        }
        if let Ok(stat) = &stat
            && let Some(waiting) = self.placeholders.iter().find(|p| p.id == (stat.dev, stat.ino))
        {
            let (target, member) = (waiting.target.clone(), waiting.member.clone());
            return self.placeholder(cx, config, &member, path, name, target, &what);
        }
        match self.make(config, member, path, |path| std::fs::hard_link(&source, path)) {
            Ok(_) => {}
            Err(error) => self.skipped(cx, config, member, path, name, &what, &error),
        }
        Ok(())
    }

    fn id(
        kept: &mut HashMap<String, Option<u32>>,
        name: &str,
        find: impl FnOnce(&str) -> Option<u32>,
    ) -> Option<u32> {
        if name.is_empty() {
            return None;
        }
        if let Some(id) = kept.get(name) {
            return *id;
        }
        let id = find(name);
        if kept.len() < 4096 {
            kept.insert(name.to_owned(), id);
        }
        id
    }

    /// Owner, mode and time of what was made.
    fn attributes(
        &mut self,
        cx: &mut Cx,
        config: &Config,
        member: &Member,
        path: &OsStr,
        name: &[u8],
        file: bool,
    ) {
        let link = member.kind == Kind::Symlink;
        if config.same_owner {
            let number = |id: u64| u32::try_from(id).unwrap_or(u32::MAX - 1);
            let (mut uid, mut gid) = (number(member.uid), number(member.gid));
            if !config.numeric {
                uid = Self::id(&mut self.users, &member.user, |n| accounts::account(n).map(|a| a.uid))
                    .unwrap_or(uid);
                gid = Self::id(&mut self.groups, &member.group, accounts::group_id).unwrap_or(gid);
            }
            if let Err(error) = fs::lchown(path, Some(uid), Some(gid)) {
                self.fail(cx, name, &format!("Cannot change ownership to uid {uid}, gid {gid}"), &error);
            }
        }
        if !link && (file || config.permissions || member.kind == Kind::Fifo) {
            let mode = self.mode(config, member);
            if let Err(error) = fs::chmod(path, mode) {
                self.fail(
                    cx,
                    name,
                    &format!("Cannot change mode to {}", crate::mode::permission_letters(mode)),
                    &error,
                );
            }
        }
        if !config.touch {
            let time = (member.mtime, i64::from(member.mtime_nsec));
            if let Err(error) = fs::utimens(path, (0, UTIME_NOW), time, false) {
                self.fail(cx, name, "Cannot utime", &error);
            }
        }
    }

    /// What had to wait for the last member: directories, the deepest first, and then links that lead out, so that nothing is
    /// set through one.
    fn finish(&mut self, cx: &mut Cx, config: &Config) {
        for delayed in std::mem::take(&mut self.directories).into_iter().rev() {
            // Only what is still a directory: a member may have replaced it.
            if !fs::lstat(&delayed.path).is_ok_and(|s| file_type(s.mode) == FileType::Dir) {
                continue;
            }
            let name = delayed.path.as_bytes().to_vec();
            let mut config_mode = delayed.mode;
            if config.permissions {
                config_mode = Some(delayed.member.mode & 0o7777);
            }
            self.attributes(cx, config, &delayed.member, &delayed.path, &name, config_mode.is_some());
        }
        for waiting in std::mem::take(&mut self.placeholders) {
            let still = fs::lstat(&waiting.path).is_ok_and(|s: Stat| (s.dev, s.ino) == waiting.id);
            if !still {
                continue;
            }
            let name = waiting.path.as_bytes().to_vec();
            // Putting the link there is no change of the directory.
            let parent =
                name.iter().rposition(|b| *b == b'/').map_or(&b"."[..], |i| &name[..i.max(1)]).to_vec();
            let before = fs::lstat(os(&parent));
            let made = std::fs::remove_file(&waiting.path)
                .and_then(|()| files::symlink(os(&waiting.target), &waiting.path));
            match made {
                Ok(()) => self.attributes(cx, config, &waiting.member, &waiting.path, &name, false),
                Err(error) => {
                    let what = format!("Cannot create symlink to ‘{}’", escaped(&waiting.target));
                    self.fail(cx, &name, &what, &error);
                }
            }
            if let Ok(before) = before {
                let _ = files::copy_times(os(&parent), &before);
            }
        }
    }
}

/// A regular file of one's own, which `--overwrite` writes into.
fn overwritable(path: &OsStr) -> bool {
    fs::lstat(path).is_ok_and(|s| file_type(s.mode) == FileType::File)
}

/// Where data go.
enum Sink {
    File { file: Owned, sparse: bool },
    Stream(Owned),
}

impl Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Sink::File { file, .. } | Sink::Stream(file) => file.write_all(data),
        }
    }

    /// Zeros from one offset to another.
    fn hole(&mut self, from: u64, to: u64) -> io::Result<()> {
        if from == to {
            return Ok(());
        }
        match self {
            Sink::File { file, .. } => fd::seek(file.raw(), SeekFrom::Start(to)).map(drop),
            Sink::Stream(file) => {
                let zeros = [0; 4096];
                let mut left = to - from;
                while left > 0 {
                    let n = zeros.len().min(usize::try_from(left).unwrap_or(zeros.len()));
                    file.write_all(&zeros[..n])?;
                    left -= n as u64;
                }
                Ok(())
            }
        }
    }

    /// The end of the file: a hole at its end has to be told.
    fn end(&mut self, at: u64, size: u64) -> io::Result<()> {
        match self {
            Sink::File { file, sparse: true } => fd::set_len(file.raw(), size),
            Sink::File { .. } => Ok(()),
            Sink::Stream(_) => self.hole(at, size.max(at)),
        }
    }
}
