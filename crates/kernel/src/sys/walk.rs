//! Paths on behalf of a process or of the host.

use std::sync::Arc;

use agentos_vfs::{Attr, FileType, Found, Last, Location, Resolved, WalkContext, WalkFlags};

use super::permit::Object;
use crate::cred::WANT_EXEC;
use crate::permissions::{Operation, Operations};
use crate::{Cred, Errno, Kernel, Process, Result};

/// Links through `/proc/<pid>/fd` within one path.
pub(super) const LINK_HOPS: u32 = 8;

/// On whose behalf a system call acts.
#[derive(Clone)]
pub struct Who {
    /// Rights.
    pub cred: Arc<Cred>,
    /// Owner and group of what it creates.
    pub owner: (u32, u32),
    /// Where relative paths begin.
    pub cwd: Location,
    /// The process; 0 is the host.
    pub pid: u32,
    /// File mode creation mask.
    pub umask: u32,
}

/// A path and where it starts.
#[derive(Clone, Copy)]
pub enum At<'a> {
    /// From the working directory.
    Cwd(&'a [u8]),
    /// From this directory, unless absolute.
    Directory(&'a Location, &'a [u8]),
    /// From this directory and never out of it (WASI preview 1).
    Beneath(&'a Location, &'a [u8]),
}

impl<'a> At<'a> {
    pub(crate) fn path(&self) -> &'a [u8] {
        match self {
            At::Cwd(path) | At::Directory(_, path) | At::Beneath(_, path) => path,
        }
    }
}

impl Kernel {
    /// A process as the author of system calls.
    #[must_use]
    pub fn who(&self, process: &Process) -> Who {
        let cred = process.cred();
        Who {
            owner: (cred.uid, cred.gid),
            cwd: process.cwd(),
            pid: process.pid.0,
            umask: process.umask(),
            cred,
        }
    }

    /// The host: it may all, and what it creates belongs to the VM's user.
    #[must_use]
    pub fn host(&self) -> Who {
        let user = self.cred();
        Who {
            cred: Arc::new(Cred::root()),
            owner: (user.uid, user.gid),
            cwd: self.namespace.root(),
            pid: 0,
            umask: 0o022,
        }
    }

    pub(crate) async fn walk(&self, who: &Who, at: At<'_>, follow_last: bool) -> Result<Resolved> {
        self.walk_with(who, at, WalkFlags { follow_last, ..WalkFlags::NO_FOLLOW }, false).await
    }

    /// Like [`Kernel::walk`], with the choice to wait for no file system (EAGAIN).
    pub(super) async fn walk_with(
        &self,
        who: &Who,
        at: At<'_>,
        flags: WalkFlags,
        now_only: bool,
    ) -> Result<Resolved> {
        let (start, beneath) = match at {
            At::Cwd(_) => (&who.cwd, false),
            At::Directory(start, _) => (start, false),
            At::Beneath(start, _) => (start, true),
        };
        let may_search = |attr: &Attr| who.cred.check(attr, WANT_EXEC);
        let cx = WalkContext { root: None, cwd: start, pid: who.pid, now_only, may_search: &may_search };
        self.namespace.resolve(&cx, at.path(), WalkFlags { beneath, ..flags }).await
    }

    /// The inode at a path. A link to a descriptor leads to the file that is open there; ELOOP for one that is no file.
    pub(crate) async fn found(&self, who: &Who, at: At<'_>, follow_last: bool) -> Result<Found> {
        let mut resolved = self.walk(who, at, follow_last).await?;
        for _ in 0..LINK_HOPS {
            let Resolved::Descriptor(link) = resolved else { return resolved.found() };
            self.may_inspect(who, link.pid)?;
            let file = self.descriptor(link.pid, link.fd)?;
            let location = file.location().ok_or(Errno::ELOOP)?;
            if link.rest.is_empty() {
                let attr = location.getattr().await?;
                return Ok(Found {
                    location: location.clone(),
                    attr,
                    parent: file.entry().cloned(),
                    last: Last::Name,
                    trailing_slash: link.trailing_slash,
                    straight: false,
                });
            }
            resolved = self.walk(who, At::Directory(location, &link.rest), follow_last).await?;
        }
        Err(Errno::ELOOP)
    }

    /// The directory at a path. ENOENT, ENOTDIR, EACCES without search permission.
    pub async fn resolve_directory(&self, who: &Who, at: At<'_>) -> Result<Location> {
        let found = self.found(who, at, true).await?;
        if self.is_guarded(who) {
            self.permit(who, at, Object::Found(&found), Operations::of(Operation::Exists)).await?;
        }
        if found.attr.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        who.cred.check(&found.attr, WANT_EXEC)?;
        Ok(found.location)
    }

    /// Walks to a name, whatever it is and whatever slash comes after it.
    pub(super) async fn walk_to_name(&self, who: &Who, at: At<'_>) -> Result<Resolved> {
        self.walk_with(who, at, WalkFlags { name_only: true, ..WalkFlags::NO_FOLLOW }, false).await
    }
}

/// EROFS if the mount is read-only.
pub(crate) fn writable(location: &Location) -> Result<()> {
    if location.mount.is_read_only() { Err(Errno::EROFS) } else { Ok(()) }
}
