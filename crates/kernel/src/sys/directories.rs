//! Reading directories.

use std::sync::Arc;

use agentos_vfs::{DirEntry, FileType, Location};

use super::permit::Object;
use super::walk::At;
use crate::description::{FileKind, Listing};
use crate::permissions::{Operation, Operations};
use crate::{Description, Errno, Kernel, Process, Result};

/// Directories of `/` that a program without our ABI is shown.
const MOST_PREOPENS: usize = 256;

/// Bytes of an entry beside its name.
const ENTRY: usize = 48;

impl Kernel {
    /// The listing that cookies of an open directory count in, `.` and `..` first. It is taken anew when `cookie` is 0, so
    /// every cookie given later stays valid while entries come and go. `process` is who reads, the host
    /// otherwise.
    pub async fn read_directory(
        &self,
        process: Option<&Process>,
        file: &Description,
        cookie: u64,
    ) -> Result<Arc<Vec<DirEntry>>> {
        let FileKind::Directory(directory) = file.kind() else { return Err(Errno::ENOTDIR) };
        if cookie != 0
            && let Some(listing) = &*directory.listing.lock()
        {
            return Ok(listing.entries());
        }
        // Not every directory was opened: a program is given some when it starts.
        if let Some(process) = process.filter(|_| self.gate.is_some()) {
            let who = self.who(process);
            let operations = Operations::of(Operation::Readdir);
            self.permit(&who, At::Cwd(b""), Object::Open(file), operations).await?;
        }
        let location = &directory.location;
        let parent = self.parent_ino(location).await;
        let dot = |name: &[u8], ino| DirEntry { ino, kind: FileType::Directory, name: name.into() };
        let mut entries = vec![dot(b".", location.ino), dot(b"..", parent)];
        entries.extend(location.mount.fs.readdir(location.ino).await?);
        let listing = Arc::new(entries);
        let bytes = listing.iter().map(|e| e.name.len() + ENTRY).sum::<usize>() as u64;
        // Without room in the account every read lists anew: cookies are then good only while nothing changes.
        *directory.listing.lock() = self.listings.try_take(bytes).map(|held| Listing::new(&listing, held));
        Ok(listing)
    }

    async fn parent_ino(&self, location: &Location) -> u64 {
        location.mount.fs.parent(location.ino).await.unwrap_or(location.ino)
    }

    /// Names and places of the directories in `/`, mounts included.
    pub async fn directories_in_root(&self) -> Result<Vec<(Vec<u8>, Location)>> {
        let host = self.host();
        let root = self.namespace.root();
        let mut found = Vec::new();
        for entry in root.mount.fs.readdir(root.ino).await? {
            if entry.kind == FileType::Directory {
                let mut path = b"/".to_vec();
                path.extend_from_slice(&entry.name);
                // One that went meanwhile, or a mount that fails, is not there.
                if let Ok(location) = self.resolve_directory(&host, At::Cwd(&path)).await {
                    found.push((entry.name.to_vec(), location));
                }
                if found.len() >= MOST_PREOPENS {
                    break;
                }
            }
        }
        Ok(found)
    }
}
