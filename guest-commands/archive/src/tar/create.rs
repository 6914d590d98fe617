//! Adds files to an archive: walks the operands, makes a member of each file and writes its data.

use super::config::{Compression, Config, Operation, fatal, usage};
use super::header::{Dialect, Kind, Member};
use super::list::{self, List};
use super::names::{Safety, escaped};
use super::transform::{self, Target};
use super::writer::Writer;
use crate::codec::{Finish, Plain};
use crate::context::{Cx, End};
use crate::files;
use crate::names::Names as Accounts;
use crate::os::{OsStrExt, join, os};
use crate::walk;
use agentos_guest::fd::{self, Owned};
use agentos_guest::fs::{self, FileType, Stat, file_type};
use agentos_guest::strerror;
use std::collections::HashMap;
use std::io::{self, BufWriter, Read};

/// Levels that the compressors have when tar calls them.
fn default_level(format: crate::codec::Format) -> i32 {
    match format {
        crate::codec::Format::Bzip2 => 9,
        crate::codec::Format::Zstd => 3,
        _ => 6,
    }
}

pub(super) fn run(cx: &mut Cx, config: &mut Config) -> Result<(), End> {
    if config.names.operands.is_empty() && !config.names.from_file {
        return Err(usage(cx, 2, "Cowardly refusing to create an empty archive"));
    }
    let name = escaped(config.archive.as_encoded_bytes());
    let opened = if config.archive == "-" {
        if fd::isatty(1) {
            return Err(fatal(cx, "Refusing to write archive contents to terminal (missing -f option?)"));
        }
        files::stdout()
    } else {
        let flags = fd::O_WRONLY | fd::O_CREAT | fd::O_TRUNC | fd::O_CLOEXEC;
        fd::open(&config.archive, flags, 0o666).map(Owned::from_raw)
    };
    let file = match opened {
        Ok(file) => file,
        Err(error) => return Err(super::cannot_open(cx, config, &name, &error)),
    };
    let own = fs::fstat(file.raw()).ok();
    let plain = BufWriter::with_capacity(64 << 10, file);
    let out: Box<dyn Finish> = match config.compression {
        Compression::Unset => Box::new(Plain(plain)),
        Compression::By(format) => match format.encoder(default_level(format), Box::new(plain)) {
            Ok(out) => out,
            Err(error) => return Err(write_failed(cx, config, &error)),
        },
    };
    let writer = Writer::new(out, config.dialect, config.record, 0);
    let mut adder = Adder::new(writer, own);
    adder.operands(cx, config)?;
    adder.finish(cx, config)
}

/// The end by an archive that cannot be written.
pub(super) fn write_failed(cx: &mut Cx, config: &Config, error: &io::Error) -> End {
    let name = escaped(config.archive.as_encoded_bytes());
    fatal(cx, &format!("{name}: Cannot write: {}", strerror(error)))
}

/// Files on their way into an archive.
pub(super) struct Adder {
    pub(super) writer: Writer,
    accounts: Accounts,
    safety: Safety,
    list: List,
    /// The archive itself, which is left out.
    own: Option<(u64, u64)>,
    /// Names under which files with several were added.
    links: HashMap<(u64, u64), Vec<u8>>,
    /// Directories to be removed once all in them is.
    emptied: Vec<std::ffi::OsString>,
    /// Times of members that the archive has already, for `-u`.
    pub(super) newest: Option<HashMap<Vec<u8>, (i64, u32)>>,
}

/// Files with several names that are remembered.
const MAX_LINKS: usize = 1 << 20;

impl Adder {
    pub(super) fn new(writer: Writer, own: Option<Stat>) -> Adder {
        Adder {
            writer,
            accounts: Accounts::default(),
            safety: Safety::default(),
            list: List::default(),
            own: own.filter(|s| file_type(s.mode) == FileType::File).map(|s| (s.dev, s.ino)),
            links: HashMap::new(),
            emptied: Vec::new(),
            newest: None,
        }
    }

    pub(super) fn operands(&mut self, cx: &mut Cx, config: &Config) -> Result<(), End> {
        for operand in &config.names.operands {
            if config.names.excluded(&operand.name) {
                continue;
            }
            self.add(cx, config, &operand.name, operand.dir, None, 0)?;
        }
        Ok(())
    }

    pub(super) fn finish(self, cx: &mut Cx, config: &Config) -> Result<(), End> {
        let record = config.record;
        let total = (self.writer.written() + 1024).div_ceil(record) * record;
        self.writer.finish().map_err(|error| write_failed(cx, config, &error))?;
        for directory in self.emptied {
            let _ = std::fs::remove_dir(directory);
        }
        if config.totals {
            let _ = cx.flush();
            eprintln!("Total bytes written: {total} ({}, ?/s)", short(total));
        }
        cx.flush()
    }

    fn failed(&self, cx: &mut Cx, config: &Config, name: &[u8], what: &str, error: &io::Error) {
        if config.ignore_failed_read && what != "Cannot stat" {
            return cx.say(format_args!("{}: Warning: {what}: {}", escaped(name), strerror(error)));
        }
        cx.say(format_args!("{}: {what}: {}", escaped(name), strerror(error)));
        cx.status = 2;
    }

    /// Adds a file or a tree. `device`: that of the operand.
    fn add(
        &mut self,
        cx: &mut Cx,
        config: &Config,
        name: &[u8],
        dir: usize,
        device: Option<u64>,
        depth: usize,
    ) -> Result<(), End> {
        let path = join(&config.dirs[dir], os(name));
        let path = if config.dirs[dir].is_empty() { os(name).to_owned() } else { path };
        let found = if config.dereference { fs::stat(&path) } else { fs::lstat(&path) };
        let stat = match found {
            Ok(stat) => stat,
            Err(error) => {
                self.failed(cx, config, name, "Cannot stat", &error);
                return Ok(());
            }
        };
        let kind = file_type(stat.mode);
        if self.own == Some((stat.dev, stat.ino)) {
            cx.say(format_args!("{}: file is the archive; not dumped", escaped(name)));
            return Ok(());
        }
        if kind == FileType::Dir {
            return self.directory(cx, config, name, &path, dir, &stat, device, depth);
        }
        let shown = name.to_vec();
        let mut member = self.member(cx, config, name, &stat);
        if self.is_old(&member) {
            return Ok(());
        }
        match kind {
            FileType::File => {}
            FileType::Symlink => match std::fs::read_link(&path) {
                Ok(target) => {
                    member.kind = Kind::Symlink;
                    member.link =
                        transform::apply(&config.rules, target.as_os_str().as_bytes(), Target::Symlink);
                }
                Err(error) => {
                    self.failed(cx, config, name, "Cannot readlink", &error);
                    return Ok(());
                }
            },
            FileType::Fifo => member.kind = Kind::Fifo,
            FileType::CharDevice | FileType::BlockDevice => {
                member.kind = if kind == FileType::CharDevice { Kind::CharDevice } else { Kind::BlockDevice };
                (member.major, member.minor) = ((stat.rdev >> 8) as u32 & 0xfff, stat.rdev as u32 & 0xff);
            }
            FileType::Socket => {
                cx.say(format_args!("{}: socket ignored", escaped(name)));
                return Ok(());
            }
            _ => {
                cx.say(format_args!("{}: Unknown file type; file ignored", escaped(name)));
                cx.status = 2;
                return Ok(());
            }
        }
        let several = stat.nlink > 1 || config.names.operands.len() > 1;
        let id = (stat.dev, stat.ino);
        if let (true, Some(earlier)) = (!config.hard_dereference, self.links.get(&id)) {
            member.kind = Kind::HardLink;
            member.link = self.safety.suffix(cx, config, &earlier.clone(), true).to_vec();
        } else if several && self.links.len() < MAX_LINKS {
            self.links.insert(id, transform::apply(&config.rules, name, Target::HardLink));
        }
        let mut input = None;
        if member.kind == Kind::File {
            match files::open(&path, if config.dereference { 0 } else { fd::O_NOFOLLOW }) {
                Ok(file) => input = Some(file),
                Err(error) => {
                    self.failed(cx, config, name, "Cannot open", &error);
                    return Ok(());
                }
            }
            (member.size, member.stored) = (stat.size, stat.size);
        }
        self.show(cx, config, &member, &shown)?;
        if !self.headers(cx, config, &member)? {
            return Ok(());
        }
        if let Some(input) = input {
            self.contents(cx, config, name, input, member.stored)?;
        }
        if config.remove && std::fs::remove_file(&path).is_err() {
            cx.say(format_args!("{}: Cannot unlink", escaped(name)));
            cx.status = 2;
        }
        Ok(())
    }

    fn is_old(&self, member: &Member) -> bool {
        let Some(newest) = &self.newest else { return false };
        newest.get(&member.name).is_some_and(|time| *time >= (member.mtime, 0))
    }

    #[allow(clippy::too_many_arguments, reason = "one call of a recursion")]
    fn directory(
        &mut self,
        cx: &mut Cx,
        config: &Config,
        name: &[u8],
        path: &std::ffi::OsStr,
        dir: usize,
        stat: &Stat,
        device: Option<u64>,
        depth: usize,
    ) -> Result<(), End> {
        let mut whole = name.to_vec();
        if !whole.ends_with(b"/") {
            whole.push(b'/');
        }
        let names = if !config.recursion {
            Ok(Vec::new())
        } else if depth < walk::MAX_DEPTH {
            walk::names(path)
        } else {
            Err(walk::too_deep())
        };
        let names = match names {
            Ok(names) => names,
            Err(error) => {
                self.failed(cx, config, name, "Cannot open", &error);
                return Ok(());
            }
        };
        let mut member = self.member(cx, config, &whole, stat);
        member.kind = Kind::Dir;
        if !self.is_old(&member) {
            self.show(cx, config, &member, &whole)?;
            if !self.headers(cx, config, &member)? {
                return Ok(());
            }
        }
        if config.one_system && device.is_some_and(|d| d != stat.dev) {
            return Ok(());
        }
        for child in names {
            let mut inner = whole.clone();
            inner.extend_from_slice(child.as_bytes());
            if !config.names.excluded(&inner) {
                self.add(cx, config, &inner, dir, device.or(Some(stat.dev)), depth + 1)?;
            }
        }
        if config.remove {
            self.emptied.push(path.to_owned());
            if depth > 0 {
                let _ = std::fs::remove_dir(path);
            }
        }
        Ok(())
    }

    /// What all kinds of members have.
    fn member(&mut self, cx: &mut Cx, config: &Config, name: &[u8], stat: &Stat) -> Member {
        let directory = name.ends_with(b"/");
        let bare = if name.len() > 1 { name.strip_suffix(b"/").unwrap_or(name) } else { name };
        let name = transform::apply(&config.rules, bare, Target::Name);
        let mut safe = self.safety.suffix(cx, config, &name, false).to_vec();
        if directory && !safe.ends_with(b"/") {
            safe.push(b'/');
        }
        let mut member = Member::new(Kind::File, safe);
        member.mode = stat.mode & 0o7777;
        if let Some(mode) = &config.mode {
            member.mode = mode.apply(member.mode, file_type(stat.mode) == FileType::Dir, files::umask());
        }
        (member.uid, member.gid) = (stat.uid.into(), stat.gid.into());
        if !config.numeric {
            member.user = self.accounts.user(stat.uid).unwrap_or_default();
            member.group = self.accounts.group(stat.gid).unwrap_or_default();
        }
        if let Some((id, name)) = &config.owner {
            member.uid = id.map_or(member.uid, u64::from);
            member.user =
                if config.numeric { String::new() } else { given(name, *id, |n| self.accounts.user(n)) };
        }
        if let Some((id, name)) = &config.group {
            member.gid = id.map_or(member.gid, u64::from);
            member.group =
                if config.numeric { String::new() } else { given(name, *id, |n| self.accounts.group(n)) };
        }
        (member.mtime, member.mtime_nsec) = config.mtime.unwrap_or((stat.mtime, stat.mtime_nsec));
        if config.dialect != Dialect::Pax {
            member.mtime_nsec = 0;
        }
        member
    }

    fn show(&mut self, cx: &mut Cx, config: &Config, member: &Member, name: &[u8]) -> Result<(), End> {
        if config.verbose == 0 {
            return Ok(());
        }
        let mut shown = member.clone();
        if !config.shown_transformed {
            shown.name = name.to_vec();
        }
        if config.verbose > 1 {
            if shown.kind == Kind::HardLink {
                shown.size = 0;
            }
            return self.list.long(cx, config, &shown);
        }
        list::short(cx, config, &shown)
    }

    fn headers(&mut self, cx: &mut Cx, config: &Config, member: &Member) -> Result<bool, End> {
        match self.writer.member(member) {
            Ok(true) => Ok(true),
            Ok(false) => {
                if member.link.len() > 100 {
                    cx.say(format_args!("{}: link name is too long; not dumped", escaped(&member.link)));
                } else {
                    let why = "file name is too long (cannot be split); not dumped";
                    cx.say(format_args!("{}: {why}", escaped(&member.name)));
                }
                cx.status = 2;
                Ok(false)
            }
            Err(error) => Err(write_failed(cx, config, &error)),
        }
    }

    /// Writes as many bytes as the header says, whatever becomes of the file meanwhile.
    fn contents(
        &mut self,
        cx: &mut Cx,
        config: &Config,
        name: &[u8],
        mut input: Owned,
        size: u64,
    ) -> Result<(), End> {
        let mut buf = vec![0; files::PIECE.min(usize::try_from(size).unwrap_or(files::PIECE).max(1))];
        let mut left = size;
        while left > 0 {
            let most = buf.len().min(usize::try_from(left).unwrap_or(buf.len()));
            let n = match input.read(&mut buf[..most]) {
                Ok(0) => {
                    cx.say(format_args!(
                        "{}: File shrank by {left} bytes; padding with zeros",
                        escaped(name)
                    ));
                    cx.status = cx.status.max(1);
                    0
                }
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let at = size - left;
                    let why = format!("Read error at byte {at}, while reading {most} bytes");
                    self.failed(cx, config, name, &why, &error);
                    0
                }
            };
            if n == 0 {
                buf.fill(0);
                while left > 0 {
                    let n = buf.len().min(usize::try_from(left).unwrap_or(buf.len()));
                    self.writer.raw(&buf[..n]).map_err(|error| write_failed(cx, config, &error))?;
                    left -= n as u64;
                }
                break;
            }
            self.writer.raw(&buf[..n]).map_err(|error| write_failed(cx, config, &error))?;
            left -= n as u64;
        }
        self.writer.pad().map_err(|error| write_failed(cx, config, &error))
    }
}

/// The name that `--owner` gives, or that of the number it gives.
fn given(name: &str, id: Option<u32>, find: impl FnOnce(u32) -> Option<String>) -> String {
    if !name.is_empty() {
        return name.to_owned();
    }
    id.and_then(find).unwrap_or_default()
}

/// Bytes in a unit, as the summary shows them.
fn short(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if value < 10.0 && unit != "B" {
                format!("{value:.1}{unit}")
            } else {
                format!("{value:.0}{unit}")
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1}TiB")
}

/// Whether what is asked for adds files of the tree.
pub(super) fn adds_files(operation: Operation) -> bool {
    matches!(operation, Operation::Append | Operation::Update)
}
