//! Attributes of the host as the guest sees them: types, modes and times are the host's, the owner is a setting.

use rustix::fs::{FileType as HostType, Mode, Stat, Timespec as HostTime, Timestamps, UTIME_NOW, UTIME_OMIT};

use super::table::{Identity, Stamp};
use crate::{Attr, Errno, FileType, Ino, Result, SetAttr, SetTime, Timespec};

/// Who owns everything in the mount.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Owner {
    /// Refuses to give files away (EPERM); to the same owner is fine. Also what no host call would refuse alike.
    pub(crate) fn check(self, change: &SetAttr) -> Result<()> {
        if change.uid.is_some_and(|uid| uid != self.uid) || change.gid.is_some_and(|gid| gid != self.gid) {
            return Err(Errno::EPERM);
        }
        Ok(())
    }
}

pub(crate) fn kind(host: HostType) -> Option<FileType> {
    Some(match host {
        HostType::RegularFile => FileType::Regular,
        HostType::Directory => FileType::Directory,
        HostType::Symlink => FileType::Symlink,
        HostType::CharacterDevice => FileType::CharDevice,
        HostType::BlockDevice => FileType::BlockDevice,
        HostType::Fifo => FileType::Fifo,
        HostType::Socket => FileType::Socket,
        HostType::Unknown => return None,
    })
}

pub(crate) fn identity(stat: &Stat) -> Identity {
    Identity { dev: stat.st_dev, ino: stat.st_ino }
}

pub(crate) fn stamp(stat: &Stat) -> Stamp {
    Stamp { mode: stat.st_mode, ctime: (stat.st_ctime, stat.st_ctime_nsec) }
}

fn time(secs: i64, nanos: u64) -> Timespec {
    Timespec { secs, nanos: u32::try_from(nanos).unwrap_or(0) }
}

pub(crate) fn from_stat(stat: &Stat, ino: Ino, owner: &Owner) -> Attr {
    let mtime = time(stat.st_mtime, stat.st_mtime_nsec);
    let ctime = time(stat.st_ctime, stat.st_ctime_nsec);
    Attr {
        ino,
        kind: kind(HostType::from_raw_mode(stat.st_mode)).unwrap_or(FileType::Regular),
        perm: stat.st_mode & 0o7777,
        nlink: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
        uid: owner.uid,
        gid: owner.gid,
        // Devices of the host have no number here: nobody may open them.
        rdev: 0,
        size: stat.st_size.cast_unsigned(),
        blocks: stat.st_blocks.cast_unsigned(),
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime,
        ctime,
        // stat(2) has no time of creation; it was not after either.
        btime: mtime.min(ctime),
    }
}

/// The mode of a file. Set-id bits never reach the host: its files belong to the user of the sidecar.
pub(crate) fn file_mode(perm: u32) -> Mode {
    Mode::from_raw_mode(perm & 0o1777)
}

/// The times to set, if any.
pub(crate) fn timestamps(change: &SetAttr) -> Option<Timestamps> {
    if change.atime.is_none() && change.mtime.is_none() {
        return None;
    }
    let time = |time: Option<SetTime>| match time {
        None => HostTime { tv_sec: 0, tv_nsec: UTIME_OMIT },
        Some(SetTime::Now) => HostTime { tv_sec: 0, tv_nsec: UTIME_NOW },
        Some(SetTime::At(at)) => HostTime { tv_sec: at.secs, tv_nsec: i64::from(at.nanos) },
    };
    Some(Timestamps { last_access: time(change.atime), last_modification: time(change.mtime) })
}
