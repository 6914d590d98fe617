//! Reading directories.

use agentos_vfs::{FileType, Ino, Listing, Location, Name, NameBuf};

use super::permit::Object;
use super::walk::At;
use crate::description::{DirectoryHandle, FileKind, Kept};
use crate::permissions::{Operation, Operations};
use crate::{Description, Errno, Kernel, Process, Result};

/// Directories of `/` that a program without our ABI is shown.
const MOST_PREOPENS: usize = 256;

/// Entries that are not in a listing: `.` and `..`.
const DOTS: usize = 2;

/// The entries of an open directory from a cookie on.
pub struct Reading<'a> {
    directory: &'a DirectoryHandle,
    listing: Listing,
    /// Which listing of the directory that is.
    number: u64,
    parent: Ino,
    at: usize,
    /// The name of the entry before, if it is one and known.
    after: Option<NameBuf>,
}

impl Reading<'_> {
    /// Shows entries, `.` and `..` first, each with the cookie of the next one, until `take` has no room for one.
    pub fn each(self, mut take: impl FnMut(u64, Ino, FileType, &Name) -> bool) {
        let dots = [(&b"."[..], self.directory.location.ino), (&b".."[..], self.parent)];
        for (at, (name, ino)) in dots.into_iter().enumerate().skip(self.at) {
            if !take(at as u64 + 1, ino, FileType::Directory, name) {
                return;
            }
        }
        let mut at = self.at.saturating_sub(DOTS);
        let mut last = None;
        self.listing.visit(at, self.after.as_deref(), |ino, kind, name| {
            let taken = take((at + DOTS) as u64 + 1, ino, kind, name);
            if taken {
                last = NameBuf::new(name).ok().map(|name| (at, name));
                at += 1;
            }
            taken
        });
        // Whoever shares the directory may have begun another listing meanwhile.
        if let (Some(last), Some(kept)) = (last, &mut *self.directory.kept.lock())
            && kept.number == self.number
        {
            kept.last = Some(last);
        }
    }
}

impl Kernel {
    /// The entries of an open directory from `cookie` on. What cookies count in is taken anew when one is 0, so every cookie
    /// given later stays valid while entries come and go. `process` is who reads, the host otherwise.
    pub async fn read_directory<'a>(
        &self,
        process: Option<&Process>,
        file: &'a Description,
        cookie: u64,
    ) -> Result<Reading<'a>> {
        let FileKind::Directory(directory) = file.kind() else { return Err(Errno::ENOTDIR) };
        let at = usize::try_from(cookie).map_err(|_| Errno::EINVAL)?;
        let parent = if at < DOTS { self.parent_ino(&directory.location).await } else { 0 };
        if at != 0
            && let Some(kept) = &*directory.kept.lock()
        {
            let before = kept.last.as_ref().filter(|(last, _)| last + 1 + DOTS == at);
            let after = before.map(|(_, name)| name.clone());
            let (listing, number) = (kept.listing.clone(), kept.number);
            return Ok(Reading { directory, listing, number, parent, at, after });
        }
        // Not every directory was opened: a program is given some when it starts.
        if let Some(who) = process.map(|process| self.who(process)).filter(|who| self.is_guarded(who)) {
            let operations = Operations::of(Operation::Readdir);
            self.permit(&who, At::Cwd(b""), Object::Open(file), operations).await?;
        }
        let listing = directory.location.mount.fs.listing(directory.location.ino).await?;
        let held = self.listings.try_take(listing.bytes());
        // Without room in the account every read lists anew: cookies are then good only while nothing changes.
        let number = self.next_id();
        *directory.kept.lock() =
            held.map(|_held| Kept { listing: listing.clone(), number, last: None, _held });
        Ok(Reading { directory, listing, number, parent, at, after: None })
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
