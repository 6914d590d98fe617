//! `/dev/pts`: the slaves as device nodes, there while their pair is. Nothing can be made or removed.

use std::sync::{Arc, Weak};

use agentos_vfs::{
    Access, Attr, DirEntry, FileSystem, FileType, FsStat, Ino, Link, Name, NewNode, OpenFile, RenameFlags,
    Reply, SetAttr, Timespec,
};

use super::pts_number;
use crate::{Errno, Kernel, Result};

const ROOT: Ino = 1;
/// The inode number of slave 0, as on Linux.
const FIRST: Ino = 3;
const REFUSED: Errno = Errno::EPERM;

/// The file system type `devpts` of one VM.
pub(crate) struct DevPts(Weak<Kernel>);

/// The attributes of a slave, whether it was found in `/dev/pts` or not.
pub(crate) fn attr_of(kernel: &Kernel, index: u32) -> Result<Attr> {
    let owner = kernel.terminals.get(index).ok_or(Errno::ENOENT)?.ownership();
    Ok(Attr {
        ino: FIRST + u64::from(index),
        kind: FileType::CharDevice,
        perm: owner.perm,
        nlink: 1,
        uid: owner.uid,
        gid: owner.gid,
        rdev: pts_number(index),
        ..directory(kernel)
    })
}

fn directory(kernel: &Kernel) -> Attr {
    let boot = kernel.clock.boot_time();
    let time = Timespec { secs: boot.as_secs().cast_signed(), nanos: boot.subsec_nanos() };
    Attr {
        ino: ROOT,
        kind: FileType::Directory,
        perm: 0o755,
        nlink: 2,
        uid: 0,
        gid: 0,
        rdev: 0,
        size: 0,
        blocks: 0,
        atime: time,
        mtime: time,
        ctime: time,
        btime: time,
    }
}

fn index_of(ino: Ino) -> Result<u32> {
    ino.checked_sub(FIRST).and_then(|index| u32::try_from(index).ok()).ok_or(Errno::ESTALE)
}

impl DevPts {
    pub(crate) fn new(kernel: Weak<Kernel>) -> Self {
        Self(kernel)
    }

    fn kernel(&self) -> Result<Arc<Kernel>> {
        self.0.upgrade().ok_or(Errno::EIO)
    }

    fn attr(&self, ino: Ino) -> Result<Attr> {
        let kernel = self.kernel()?;
        if ino == ROOT { Ok(directory(&kernel)) } else { attr_of(&kernel, index_of(ino)?) }
    }

    fn change(&self, ino: Ino, change: &SetAttr) -> Result<Attr> {
        let pty = self.kernel()?.terminals.get(index_of(ino)?).ok_or(Errno::ENOENT)?;
        let mut owner = pty.ownership();
        owner.perm = change.perm.unwrap_or(owner.perm) & 0o7777;
        owner.uid = change.uid.unwrap_or(owner.uid);
        owner.gid = change.gid.unwrap_or(owner.gid);
        pty.set_ownership(owner);
        self.attr(ino)
    }
}

impl FileSystem for DevPts {
    fn type_name(&self) -> &str {
        "devpts"
    }

    fn root(&self) -> Ino {
        ROOT
    }

    fn lookup(&self, dir: Ino, name: &Name) -> Reply<'_, Attr> {
        let index = std::str::from_utf8(name).ok().and_then(|text| {
            let index: u32 = text.parse().ok()?;
            // "007" and "+7" are no names of slave 7.
            (index.to_string() == text).then_some(index)
        });
        Reply::Now(match index {
            _ if dir != ROOT => Err(Errno::ENOTDIR),
            Some(index) => self.attr(FIRST + u64::from(index)),
            None => Err(Errno::ENOENT),
        })
    }

    fn parent(&self, _dir: Ino) -> Reply<'_, Ino> {
        Reply::Now(Ok(ROOT))
    }

    fn getattr(&self, ino: Ino) -> Reply<'_, Attr> {
        Reply::Now(self.attr(ino))
    }

    fn setattr(&self, ino: Ino, change: &SetAttr) -> Reply<'_, Attr> {
        Reply::Now(self.change(ino, change))
    }

    fn readlink(&self, _ino: Ino, _caller: u32) -> Reply<'_, Link> {
        Reply::Now(Err(Errno::EINVAL))
    }

    fn create(&self, _dir: Ino, _name: &Name, _node: &NewNode) -> Reply<'_, Attr> {
        Reply::Now(Err(REFUSED))
    }

    fn link(&self, _ino: Ino, _dir: Ino, _name: &Name) -> Reply<'_, Attr> {
        Reply::Now(Err(REFUSED))
    }

    fn unlink(&self, _dir: Ino, _name: &Name) -> Reply<'_, ()> {
        Reply::Now(Err(REFUSED))
    }

    fn rmdir(&self, _dir: Ino, _name: &Name) -> Reply<'_, ()> {
        Reply::Now(Err(REFUSED))
    }

    fn rename(
        &self,
        _from_dir: Ino,
        _from: &Name,
        _to_dir: Ino,
        _to: &Name,
        _flags: RenameFlags,
    ) -> Reply<'_, ()> {
        Reply::Now(Err(REFUSED))
    }

    fn readdir(&self, dir: Ino) -> Reply<'_, Vec<DirEntry>> {
        if dir != ROOT {
            return Reply::Now(Err(Errno::ENOTDIR));
        }
        Reply::Now(self.kernel().map(|kernel| {
            let entry = |index: u32| DirEntry {
                ino: FIRST + u64::from(index),
                kind: FileType::CharDevice,
                name: index.to_string().into_bytes().into_boxed_slice(),
            };
            kernel.terminals.indices().into_iter().map(entry).collect()
        }))
    }

    fn open(&self, _ino: Ino, _access: Access) -> Reply<'_, Arc<dyn OpenFile>> {
        // The kernel opens devices by their number.
        Reply::Now(Err(Errno::ENXIO))
    }

    fn statfs(&self) -> Reply<'_, FsStat> {
        Reply::Now(Ok(FsStat { block_size: 4096, ..FsStat::default() }))
    }
}
