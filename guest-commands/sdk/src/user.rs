//! User and group ids of this process. Names of users are in `/etc/passwd`, which any program can read.

use crate::sys;
use std::io;

/// The real user id.
#[must_use]
pub fn getuid() -> u32 {
    sys::getuid()
}

/// The effective user id.
#[must_use]
pub fn geteuid() -> u32 {
    sys::geteuid()
}

/// The real group id.
#[must_use]
pub fn getgid() -> u32 {
    sys::getgid()
}

/// The effective group id.
#[must_use]
pub fn getegid() -> u32 {
    sys::getegid()
}

/// The supplementary groups.
///
/// # Errors
/// None in a VM.
pub fn getgroups() -> io::Result<Vec<u32>> {
    sys::getgroups()
}

/// Becomes another user.
///
/// # Errors
/// `EPERM`: the VM does not allow it.
pub fn setuid(uid: u32) -> io::Result<()> {
    sys::setuid(uid)
}

/// Becomes a member of another group.
///
/// # Errors
/// `EPERM`: the VM does not allow it.
pub fn setgid(gid: u32) -> io::Result<()> {
    sys::setgid(gid)
}
