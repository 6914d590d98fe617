//! Names and attributes of files: directories, links, moves, owners, modes and times.
//! Contents are in `read` and `write`.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use agentos_protocol::message::{
    Chmod, Chown, Delete, Exists, Link, Mkdir, MovePath, ReadLink, Stat, Symlink, Truncate, Utimes,
    VirtualStat, WirePath,
};

use crate::error::Result;
use crate::path::guest_path;
use crate::vm::AgentOs;

/// Options of [`AgentOs::mkdir`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MkdirOptions {
    /// Make parents too, and succeed if it is there already.
    pub recursive: bool,
}

/// Options of [`AgentOs::delete`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// With everything in it.
    pub recursive: bool,
}

/// Milliseconds since 1970 UTC, negative before.
fn millis(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_secs_f64() * 1000.0,
        Err(before) => before.duration().as_secs_f64() * -1000.0,
    }
}

impl AgentOs {
    /// Makes a directory, 0755.
    ///
    /// # Errors
    /// [`crate::Error::Kernel`] (EEXIST, ENOENT…), path errors; so do all methods of this file.
    pub async fn mkdir(&self, path: impl AsRef<Path>, options: MkdirOptions) -> Result<()> {
        let path = guest_path(path)?;
        self.vm.call(&Mkdir { vm_id: self.vm.id(), path, recursive: options.recursive, mode: None }).await?;
        Ok(())
    }

    /// Attributes; symbolic links are followed.
    ///
    /// # Errors
    /// As [`AgentOs::mkdir`].
    pub async fn stat(&self, path: impl AsRef<Path>) -> Result<VirtualStat> {
        self.vm.call(&Stat { vm_id: self.vm.id(), path: guest_path(path)?, follow: true }).await
    }

    /// Attributes; a symbolic link is not followed.
    ///
    /// # Errors
    /// As [`AgentOs::mkdir`].
    pub async fn lstat(&self, path: impl AsRef<Path>) -> Result<VirtualStat> {
        self.vm.call(&Stat { vm_id: self.vm.id(), path: guest_path(path)?, follow: false }).await
    }

    /// Whether there is something; a dangling link does not exist.
    ///
    /// # Errors
    /// As [`AgentOs::mkdir`].
    pub async fn exists(&self, path: impl AsRef<Path>) -> Result<bool> {
        Ok(self.vm.call(&Exists { vm_id: self.vm.id(), path: guest_path(path)? }).await?.exists)
    }

    /// Moves a file or directory, replacing a file that is there; across mounts by copy and delete.
    ///
    /// # Errors
    /// As [`AgentOs::mkdir`].
    pub async fn move_path(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
        let (from, to) = (guest_path(from)?, guest_path(to)?);
        self.vm.call(&MovePath { vm_id: self.vm.id(), from, to }).await?;
        Ok(())
    }

    /// Removes a file, a symbolic link itself, or a directory (ENOTEMPTY unless recursive).
    ///
    /// # Errors
    /// As [`AgentOs::mkdir`].
    pub async fn delete(&self, path: impl AsRef<Path>, options: DeleteOptions) -> Result<()> {
        let path = guest_path(path)?;
        self.vm.call(&Delete { vm_id: self.vm.id(), path, recursive: options.recursive }).await?;
        Ok(())
    }

    /// Makes a symbolic link at `path` that holds `target`, which may be relative or dangle.
    ///
    /// # Errors
    /// As [`AgentOs::mkdir`].
    pub async fn symlink(&self, target: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<()> {
        let target = WirePath::from(target.as_ref().as_os_str().as_bytes());
        self.vm.call(&Symlink { vm_id: self.vm.id(), target, path: guest_path(path)? }).await?;
        Ok(())
    }

    /// What a symbolic link holds; EINVAL if it is none.
    ///
    /// # Errors
    /// As [`AgentOs::mkdir`].
    pub async fn read_link(&self, path: impl AsRef<Path>) -> Result<String> {
        Ok(self.vm.call(&ReadLink { vm_id: self.vm.id(), path: guest_path(path)? }).await?.target.to_text())
    }

    /// Gives a file a further name.
    ///
    /// # Errors
    /// As [`AgentOs::mkdir`]; EXDEV across mounts.
    pub async fn link(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
        let (from, to) = (guest_path(from)?, guest_path(to)?);
        self.vm.call(&Link { vm_id: self.vm.id(), from, to }).await?;
        Ok(())
    }

    /// Sets the permission bits, `0o7777`.
    ///
    /// # Errors
    /// As [`AgentOs::mkdir`].
    pub async fn chmod(&self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        self.vm.call(&Chmod { vm_id: self.vm.id(), path: guest_path(path)?, mode }).await?;
        Ok(())
    }

    /// Sets owner and group; symbolic links are followed.
    ///
    /// # Errors
    /// As [`AgentOs::mkdir`].
    pub async fn chown(&self, path: impl AsRef<Path>, uid: u32, gid: u32) -> Result<()> {
        self.vm.call(&Chown { vm_id: self.vm.id(), path: guest_path(path)?, uid, gid, follow: true }).await?;
        Ok(())
    }

    /// Sets the length: cuts, or extends with zeros.
    ///
    /// # Errors
    /// As [`AgentOs::mkdir`].
    pub async fn truncate(&self, path: impl AsRef<Path>, size: u64) -> Result<()> {
        self.vm.call(&Truncate { vm_id: self.vm.id(), path: guest_path(path)?, size }).await?;
        Ok(())
    }

    /// Sets the times of last access and last change; symbolic links are followed.
    ///
    /// # Errors
    /// As [`AgentOs::mkdir`].
    pub async fn utimes(&self, path: impl AsRef<Path>, atime: SystemTime, mtime: SystemTime) -> Result<()> {
        let (atime_ms, mtime_ms) = (Some(millis(atime)), Some(millis(mtime)));
        let path = guest_path(path)?;
        self.vm.call(&Utimes { vm_id: self.vm.id(), path, atime_ms, mtime_ms, follow: true }).await?;
        Ok(())
    }
}
