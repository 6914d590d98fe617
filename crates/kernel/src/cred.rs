//! Whose rights a process has, and the permission bits rule of POSIX.

use agentos_vfs::Attr;

use crate::{Errno, Result};

/// User, group and supplementary groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cred {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// Wanted: search or execute.
pub(crate) const WANT_EXEC: u32 = 1;
/// Wanted: write.
pub(crate) const WANT_WRITE: u32 = 2;
/// Wanted: read.
pub(crate) const WANT_READ: u32 = 4;

impl Cred {
    /// The superuser.
    #[must_use]
    pub const fn root() -> Self {
        Self { uid: 0, gid: 0, groups: Vec::new() }
    }

    /// Whether `gid` is one of the groups.
    #[must_use]
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    /// Checks the permission bits for `want` (a sum of `WANT_*`); EACCES if they do not grant it.
    pub fn check(&self, attr: &Attr, want: u32) -> Result<()> {
        if self.uid == 0 {
            // The superuser may all, but execute only what somebody may execute (POSIX access()).
            let any_exec = attr.perm & 0o111 != 0 || attr.kind == agentos_vfs::FileType::Directory;
            return if want & WANT_EXEC != 0 && !any_exec { Err(Errno::EACCES) } else { Ok(()) };
        }
        let bits = if attr.uid == self.uid {
            attr.perm >> 6
        } else if self.in_group(attr.gid) {
            attr.perm >> 3
        } else {
            attr.perm
        };
        if bits & want == want { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// Whether this user may change mode, owner or times: the owner or the superuser.
    #[must_use]
    pub fn owns(&self, attr: &Attr) -> bool {
        self.uid == 0 || self.uid == attr.uid
    }
}
