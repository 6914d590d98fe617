//! Numbers and structures of WASI preview 1.

use agentos_kernel::{Errno, FileKind, Result};
use agentos_vfs::{Attr, FileType, Timespec};

pub(super) const FDFLAG_APPEND: u32 = 1;
pub(super) const FDFLAG_DSYNC: u32 = 2;
pub(super) const FDFLAG_NONBLOCK: u32 = 4;
pub(super) const FDFLAG_RSYNC: u32 = 8;
pub(super) const FDFLAG_SYNC: u32 = 16;

pub(super) const OFLAG_CREAT: u32 = 1;
pub(super) const OFLAG_DIRECTORY: u32 = 2;
pub(super) const OFLAG_EXCL: u32 = 4;
pub(super) const OFLAG_TRUNC: u32 = 8;

pub(super) const LOOKUP_SYMLINK_FOLLOW: u32 = 1;

pub(super) const FSTFLAG_ATIM: u32 = 1;
pub(super) const FSTFLAG_ATIM_NOW: u32 = 2;
pub(super) const FSTFLAG_MTIM: u32 = 4;
pub(super) const FSTFLAG_MTIM_NOW: u32 = 8;

/// `filetype` of preview 1.
pub(super) fn filetype(kind: FileType) -> u8 {
    match kind {
        FileType::BlockDevice => 1,
        FileType::CharDevice => 2,
        FileType::Directory => 3,
        FileType::Regular => 4,
        FileType::Socket => 6,
        FileType::Symlink => 7,
        // Preview 1 has no number for pipes.
        FileType::Fifo => 0,
    }
}

/// `filetype` of what a description is open on.
pub(super) fn filetype_of(kind: &FileKind) -> u8 {
    match kind {
        FileKind::Regular { .. } => 4,
        FileKind::Directory(_) => 3,
        FileKind::Device(..) | FileKind::PtyMaster(_) | FileKind::PtySlave(_) => 2,
        FileKind::PipeReader(_) | FileKind::PipeWriter(_) | FileKind::PipeBoth(..) | FileKind::Host(_) => 0,
    }
}

fn nanoseconds(time: Timespec) -> u64 {
    u64::try_from(time.secs).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(u64::from(time.nanos))
}

/// `filestat` of preview 1, 64 bytes.
pub(super) fn filestat(dev: u64, attr: &Attr) -> [u8; 64] {
    let mut out = [0; 64];
    let words = [
        (0, dev),
        (8, attr.ino),
        (16, u64::from(filetype(attr.kind))),
        (24, u64::from(attr.nlink)),
        (32, attr.size),
        (40, nanoseconds(attr.atime)),
        (48, nanoseconds(attr.mtime)),
        (56, nanoseconds(attr.ctime)),
    ];
    for (at, word) in words {
        out[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    out
}

/// The times that `*_filestat_set_times` asks for. EINVAL when a time is both given and "now".
pub(super) fn set_times(
    atime: i64,
    mtime: i64,
    flags: i32,
) -> Result<(Option<agentos_vfs::SetTime>, Option<agentos_vfs::SetTime>)> {
    let flags = flags.cast_unsigned();
    let one = |value: i64, given: u32, now: u32| {
        let value = value.cast_unsigned();
        match (flags & given != 0, flags & now != 0) {
            (true, true) => Err(Errno::EINVAL),
            (false, true) => Ok(Some(agentos_vfs::SetTime::Now)),
            (true, false) => Ok(Some(agentos_vfs::SetTime::At(Timespec {
                secs: i64::try_from(value / 1_000_000_000).map_err(|_| Errno::EINVAL)?,
                nanos: u32::try_from(value % 1_000_000_000).map_err(|_| Errno::EINVAL)?,
            }))),
            (false, false) => Ok(None),
        }
    };
    if flags & !(FSTFLAG_ATIM | FSTFLAG_ATIM_NOW | FSTFLAG_MTIM | FSTFLAG_MTIM_NOW) != 0 {
        return Err(Errno::EINVAL);
    }
    Ok((one(atime, FSTFLAG_ATIM, FSTFLAG_ATIM_NOW)?, one(mtime, FSTFLAG_MTIM, FSTFLAG_MTIM_NOW)?))
}
