//! `-d`: says where files differ from the members of an archive.

use super::config::Config;
use super::header::{Kind, Member};
use super::names::{Safety, escaped};
use super::reader::Reader;
use super::transform::Target;
use super::{each, list, read_failed, target_name};
use crate::context::{Cx, End};
use crate::files;
use crate::os::{OsStrExt, join, os};
use agentos_guest::fs::{self, FileType, Stat, file_type};
use agentos_guest::strerror;
use std::ffi::OsStr;
use std::io::Read;

pub(super) fn run(cx: &mut Cx, config: &mut Config) -> Result<(), End> {
    let mut safety = Safety::default();
    let mut listing = list::List::default();
    each(cx, config, |cx, config, member, reader, dir| {
        if config.verbose > 1 {
            listing.long(cx, config, member)?;
        } else if config.verbose > 0 {
            list::short(cx, config, member)?;
        }
        let Some(name) = target_name(cx, config, &mut safety, &member.name, Target::Name) else {
            return Ok(());
        };
        let path = if config.dirs[dir].is_empty() {
            os(&name).to_owned()
        } else {
            join(&config.dirs[dir], os(&name))
        };
        let stat = match if config.dereference { fs::stat(&path) } else { fs::lstat(&path) } {
            Ok(stat) => stat,
            Err(error) => {
                let what = if member.kind == Kind::Symlink { "readlink" } else { "stat" };
                cx.say(format_args!("{}: Warning: Cannot {what}: {}", escaped(&name), strerror(&error)));
                cx.status = cx.status.max(1);
                return Ok(());
            }
        };
        one(cx, config, member, reader, &path, &name, &stat)
    })
}

fn differs(cx: &mut Cx, name: &[u8], what: &str) -> Result<(), End> {
    cx.status = cx.status.max(1);
    cx.print(format_args!("{}: {what}\n", escaped(name)))
}

fn one(
    cx: &mut Cx,
    config: &Config,
    member: &Member,
    reader: &mut Reader,
    path: &OsStr,
    name: &[u8],
    stat: &Stat,
) -> Result<(), End> {
    let kind = match file_type(stat.mode) {
        FileType::File => Kind::File,
        FileType::Dir => Kind::Dir,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::CharDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        _ => Kind::Other(b'?'),
    };
    if member.kind == Kind::HardLink {
        let target = if config.absolute { &member.link[..] } else { member.link.trim_ascii_start() };
        let other = fs::lstat(os(target)).ok();
        if other.is_none_or(|o| (o.dev, o.ino) != (stat.dev, stat.ino)) {
            return differs(cx, name, &format!("Not linked to {}", escaped(&member.link)));
        }
        return Ok(());
    }
    if kind != member.kind {
        return differs(cx, name, "File type differs");
    }
    if kind == Kind::Symlink {
        let target = std::fs::read_link(path).map(|t| t.as_os_str().as_bytes().to_vec());
        if target.ok().as_ref() != Some(&member.link) {
            differs(cx, name, "Symlink differs")?;
        }
        return Ok(());
    }
    if stat.mode & 0o7777 != member.mode {
        differs(cx, name, "Mode differs")?;
    }
    if kind == Kind::Dir {
        return Ok(());
    }
    if u64::from(stat.uid) != member.uid {
        differs(cx, name, "Uid differs")?;
    }
    if u64::from(stat.gid) != member.gid {
        differs(cx, name, "Gid differs")?;
    }
    if kind != Kind::File {
        return Ok(());
    }
    if stat.mtime != member.mtime || (member.mtime_nsec != 0 && stat.mtime_nsec != member.mtime_nsec) {
        differs(cx, name, "Mod time differs")?;
    }
    if stat.size != member.size {
        return differs(cx, name, "Size differs");
    }
    let mut file = match files::open(path, 0) {
        Ok(file) => file,
        Err(error) => {
            cx.say(format_args!("{}: Cannot open: {}", escaped(name), strerror(&error)));
            cx.status = 2;
            return Ok(());
        }
    };
    // Holes are compared by what is between them; the sizes are equal.
    let whole = [(0, member.stored)];
    for (offset, length) in member.map.as_deref().unwrap_or(&whole) {
        let mut left = *length;
        if member.map.is_some()
            && agentos_guest::fd::seek(file.raw(), std::io::SeekFrom::Start(*offset)).is_err()
        {
            return differs(cx, name, "Contents differ");
        }
        let (mut ours, mut theirs) = (vec![0; 32 << 10], vec![0; 32 << 10]);
        while left > 0 {
            let most = ours.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = reader.data(&mut ours[..most]).map_err(|error| read_failed(cx, config, &error))?;
            if n == 0 {
                break;
            }
            if file.read_exact(&mut theirs[..n]).is_err() || ours[..n] != theirs[..n] {
                return differs(cx, name, "Contents differ");
            }
            left -= n as u64;
        }
    }
    Ok(())
}
