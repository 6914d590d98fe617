//! What the file system promises, over a store in memory, a directory, and servers that lie and die.

mod contents;
mod fake_dav;
mod fake_drive;
mod fake_s3;
mod faults;
mod names;
mod unsaved;

use std::sync::Arc;

use agentos_vfs::{
    Access, Attr, DriverFs, Errno, FileSystem, Ino, NewKind, NewNode, OpenFile, RenameFlags, Result, SetAttr,
};
use opendal::Operator;
use opendal::services::{Fs, Memory};
use tempfile::TempDir;

use crate::mount::{StoreOptions, mount};
use crate::remote::Traits;

pub(super) const PREFIXES: Traits = Traits {
    prefixes: true,
    conditional_writes: true,
    conditions_overlooked: false,
    listing_has_attributes: true,
    exclusive_directories: false,
    unmovable: &[],
};
pub(super) const DIRECTORIES: Traits =
    Traits { prefixes: false, conditional_writes: false, listing_has_attributes: false, ..PREFIXES };

/// A mount, by path.
pub(super) struct Mounted {
    pub(super) fs: DriverFs,
    _folder: Option<TempDir>,
}

pub(super) fn options() -> StoreOptions {
    let mut options = StoreOptions::new("test", tokio::runtime::Handle::current());
    options.timeout = std::time::Duration::from_secs(5);
    options
}

pub(super) fn over(operator: Operator, traits: Traits, options: StoreOptions) -> Mounted {
    Mounted { fs: mount(operator, traits, options).unwrap(), _folder: None }
}

/// A store of prefixes without copies, and one of directories with renames.
pub(super) fn both() -> Vec<Mounted> {
    let memory = Operator::new(Memory::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let directory = Operator::new(Fs::default().root(folder.path().to_str().unwrap())).unwrap();
    vec![
        over(memory, PREFIXES, options()),
        Mounted { _folder: Some(folder), ..over(directory, DIRECTORIES, options()) },
    ]
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl Mounted {
    pub(super) async fn ino(&self, path: &str) -> Result<Ino> {
        let mut ino = self.fs.root();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            ino = self.fs.lookup(ino, name.as_bytes()).await?.ino;
        }
        Ok(ino)
    }

    pub(super) async fn stat(&self, path: &str) -> Result<Attr> {
        self.fs.getattr(self.ino(path).await?).await
    }

    async fn make(&self, path: &str, kind: NewKind) -> Result<Attr> {
        let (dir, name) = split(path);
        let node = NewNode { kind, perm: 0o600, uid: 0, gid: 0 };
        self.fs.create(self.ino(dir).await?, name.as_bytes(), &node).await
    }

    pub(super) async fn mkdir(&self, path: &str) -> Result<Attr> {
        self.make(path, NewKind::Directory).await
    }

    pub(super) async fn create(&self, path: &str) -> Result<Attr> {
        self.make(path, NewKind::Regular).await
    }

    pub(super) async fn open(&self, path: &str) -> Result<Arc<dyn OpenFile>> {
        self.fs.open(self.ino(path).await?, Access { read: true, write: true }).await
    }

    /// As `>` of a shell.
    pub(super) async fn write(&self, path: &str, data: &[u8]) -> Result<()> {
        match self.create(path).await {
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
        let file = self.open(path).await?;
        file.setattr(&SetAttr { size: Some(0), ..SetAttr::default() }).await?;
        file.write_at(data, 0).await?;
        file.flush().await
    }

    pub(super) async fn read(&self, path: &str) -> Result<Vec<u8>> {
        let file = self.open(path).await?;
        read_all(&*file).await
    }

    pub(super) async fn list(&self, path: &str) -> Result<Vec<String>> {
        let entries = self.fs.readdir(self.ino(path).await?).await?;
        Ok(entries.iter().map(|entry| String::from_utf8(entry.name.to_vec()).unwrap()).collect())
    }

    pub(super) async fn unlink(&self, path: &str) -> Result<()> {
        let (dir, name) = split(path);
        self.fs.unlink(self.ino(dir).await?, name.as_bytes()).await
    }

    pub(super) async fn rmdir(&self, path: &str) -> Result<()> {
        let (dir, name) = split(path);
        self.fs.rmdir(self.ino(dir).await?, name.as_bytes()).await
    }

    pub(super) async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let ((from_dir, from), (to_dir, to)) = (split(from), split(to));
        let (from_dir, to_dir) = (self.ino(from_dir).await?, self.ino(to_dir).await?);
        let flags = RenameFlags::default();
        self.fs.rename(from_dir, from.as_bytes(), to_dir, to.as_bytes(), flags).await
    }
}

pub(super) async fn read_all(file: &dyn OpenFile) -> Result<Vec<u8>> {
    let (mut data, mut buf) = (Vec::new(), vec![0; 300_000]);
    loop {
        match file.read_at(&mut buf, data.len() as u64).await? {
            0 => return Ok(data),
            n => data.extend_from_slice(&buf[..n]),
        }
    }
}

/// Bytes that differ wherever blocks are confused.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8 ^ (n >> 16) as u8).collect()
}
