//! The rights of preview 1: what a descriptor may still be used for. Only programs that do not know our ABI are held to
//! them; users and modes decide for everybody.
//!
//! A right that its kind of file never has is not listed; what was not asked for at `path_open`, or given away by
//! `fd_fdstat_set_rights`, is withheld for that number until it is closed.

use agentos_kernel::{Description, Errno, FileKind, Result};
use wasmtime::Caller;

use super::{WASI, quick};
use crate::guest::Guest;
use wasmtime::Linker;

pub(super) const FD_DATASYNC: u64 = 1 << 0;
pub(super) const FD_READ: u64 = 1 << 1;
pub(super) const FD_SEEK: u64 = 1 << 2;
pub(super) const FD_TELL: u64 = 1 << 5;
pub(super) const FD_WRITE: u64 = 1 << 6;
const FD_ALLOCATE: u64 = 1 << 8;
/// A program that only lists asks for this and not for `FD_READ`.
pub(super) const FD_READDIR: u64 = 1 << 14;
const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;
const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
const ALL: u64 = (1 << 30) - 1;

/// Rights of a descriptor, and those that descriptors opened beneath it can get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) base: u64,
    pub(crate) inheriting: u64,
}

/// What a file of this kind and access mode can have.
fn of(file: &Description) -> Rights {
    let access = file.access();
    let mut base = ALL & !(FD_READ | FD_WRITE);
    if access.read {
        base |= FD_READ;
    }
    if access.write {
        base |= FD_WRITE;
    }
    base &= match file.kind() {
        FileKind::Regular { .. } | FileKind::Device(..) => ALL,
        FileKind::Directory(_) => {
            !(FD_DATASYNC | FD_SEEK | FD_TELL | FD_ALLOCATE | FD_FILESTAT_SET_SIZE | PATH_FILESTAT_SET_SIZE)
        }
        _ => !(FD_SEEK | FD_TELL),
    };
    Rights { base, inheriting: ALL }
}

/// The rights of `fd`, which is open on `file`.
pub(super) fn get(guest: &Guest, fd: i32, file: &Description) -> Rights {
    let all = of(file);
    match guest.withheld.get(&fd) {
        None => all,
        Some(without) => {
            Rights { base: all.base & !without.base, inheriting: all.inheriting & !without.inheriting }
        }
    }
}

/// Fails unless `fd` has `right`. EBADF, or EISDIR where a directory has no position.
pub(super) fn demand(guest: &Guest, fd: i32, file: &Description, right: u64) -> Result<()> {
    if guest.program.native_abi {
        return Ok(());
    }
    if matches!(file.kind(), FileKind::Directory(_)) && right & (FD_SEEK | FD_TELL) != 0 {
        return Err(Errno::EISDIR);
    }
    match guest.withheld.get(&fd) {
        Some(without) if without.base & right != 0 => Err(Errno::EBADF),
        _ => Ok(()),
    }
}

/// What `path_open` may give: nothing that the directory cannot pass on (ENOTCAPABLE), and no directory for writing (EISDIR).
pub(super) fn may_open(directory: Rights, asked: Rights, as_directory: bool) -> Result<()> {
    if (asked.base | asked.inheriting) & ALL & !directory.inheriting != 0 {
        return Err(Errno::ENOTCAPABLE);
    }
    if as_directory && asked.base & FD_WRITE != 0 {
        return Err(Errno::EISDIR);
    }
    Ok(())
}

/// Remembers what a new descriptor was not opened with.
pub(super) fn opened(guest: &mut Guest, fd: i32, file: &Description, directory: Rights, asked: Rights) {
    let unreadable = match file.kind() {
        FileKind::Directory(_) => 0,
        _ => FD_READ & !asked.base,
    };
    let withheld = !directory.inheriting & ALL;
    if unreadable | withheld != 0 {
        guest.withheld.insert(fd, Rights { base: unreadable | withheld, inheriting: withheld });
    }
}

/// Moves what is withheld along with a renumbered descriptor.
pub(super) fn renumbered(guest: &mut Guest, from: i32, to: i32) {
    match guest.withheld.remove(&from) {
        Some(rights) => guest.withheld.insert(to, rights),
        None => guest.withheld.remove(&to),
    };
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    quick!(linker, WASI, fd_fdstat_set_rights(fd: i32, base: i64, inheriting: i64));
    Ok(())
}

/// Rights can be given away and never be got back: ENOTCAPABLE.
fn fd_fdstat_set_rights(caller: &mut Caller<'_, Guest>, fd: i32, base: i64, inheriting: i64) -> Result<()> {
    let guest = caller.data_mut();
    let file = guest.file(fd)?;
    if guest.program.native_abi {
        return Ok(());
    }
    let now = get(guest, fd, &file);
    let (base, inheriting) = (base.cast_unsigned(), inheriting.cast_unsigned());
    if base & !now.base != 0 || inheriting & !now.inheriting != 0 {
        return Err(Errno::ENOTCAPABLE);
    }
    let without = Rights { base: ALL & !base, inheriting: ALL & !inheriting };
    guest.withheld.insert(fd, without);
    Ok(())
}
