//! Where a file is that somebody else reads or writes for a process: an editor that has it open, perhaps with changes
//! that are not saved. What open(2) would refuse the process is refused; nothing is opened or made.

use std::sync::Arc;

use agentos_abi::fd::{O_RDONLY, O_TRUNC, O_WRONLY};
use agentos_vfs::{FileType, Ino, Location, Mount, Resolved};

use super::open::{access_of, operations};
use super::permit::Object;
use super::walk::{At, Who, writable};
use crate::cred::{WANT_EXEC, WANT_READ, WANT_WRITE};
use crate::permissions::{Operation, Operations};
use crate::{Errno, Kernel, Result};

/// What a file is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacedFor {
    /// To be read.
    Reading,
    /// To be written; it may have to be made.
    Writing,
}

/// A regular file, or the place for one.
#[derive(Debug)]
pub struct Placed {
    /// The mount that it is in.
    pub mount: Arc<Mount>,
    /// Where it is there: absolute, without links and `..`; names are bytes.
    pub beneath: Vec<u8>,
    /// Whether it is there.
    pub exists: bool,
}

impl Kernel {
    /// Where a path leads for a process, and whether it may do there what it wants.
    ///
    /// ENOENT without the directory, EISDIR and ENXIO for what is no regular file, EACCES, EROFS.
    pub async fn placed(&self, who: &Who, path: &[u8], wanted: PlacedFor) -> Result<Placed> {
        let at = At::Cwd(path);
        let (flags, want) = match wanted {
            PlacedFor::Reading => (O_RDONLY, WANT_READ),
            // All of it is replaced.
            PlacedFor::Writing => (O_WRONLY | O_TRUNC, WANT_WRITE),
        };
        match self.walk(who, at, true).await? {
            Resolved::Found(found) => {
                if self.is_guarded(who) {
                    let operations = operations(found.attr.kind, flags, access_of(flags)?);
                    self.permit(who, at, Object::Found(&found), operations).await?;
                }
                match found.attr.kind {
                    FileType::Regular => {}
                    FileType::Directory => return Err(Errno::EISDIR),
                    _ => return Err(Errno::ENXIO),
                }
                who.cred.check(&found.attr, want)?;
                if wanted == PlacedFor::Writing {
                    writable(&found.location)?;
                }
                let (parent, name) = found.parent.ok_or(Errno::EISDIR)?;
                // A file that something is mounted on is in that mount, and has no directory there.
                if parent.mount.id != found.location.mount.id {
                    return Err(Errno::ENXIO);
                }
                let beneath = beneath(&parent, &name, Some(found.location.ino)).await?;
                Ok(Placed { mount: found.location.mount, beneath, exists: true })
            }
            Resolved::Missing(missing) => {
                if missing.trailing_slash {
                    return Err(Errno::EISDIR);
                }
                if wanted == PlacedFor::Writing {
                    writable(&missing.parent)?;
                    who.cred.check(&missing.parent_attr, WANT_WRITE | WANT_EXEC)?;
                }
                if self.is_guarded(who) {
                    let operation = match wanted {
                        PlacedFor::Reading => Operation::Read,
                        PlacedFor::Writing => Operation::Write,
                    };
                    self.permit(who, at, Object::Missing(&missing), Operations::of(operation)).await?;
                }
                let beneath = beneath(&missing.parent, &missing.name, None).await?;
                Ok(Placed { mount: missing.parent.mount, beneath, exists: false })
            }
            // What is open is read by whoever has it open.
            Resolved::Descriptor(_) => Err(Errno::ENXIO),
        }
    }
}

/// The path of a name in its mount, by which it is found: a directory that was removed or moved away may still know where it was, and
/// something else may be there by now. ENOENT then.
async fn beneath(directory: &Location, name: &[u8], file: Option<Ino>) -> Result<Vec<u8>> {
    let fs = &directory.mount.fs;
    let mut up = Vec::new();
    let mut ino = directory.ino;
    while let Some((parent, name)) = fs.name_of(ino).await? {
        up.push((name, ino));
        ino = parent;
    }
    let mut path = Vec::new();
    let mut at = fs.root();
    for (name, ino) in up.iter().rev() {
        let attr = fs.lookup(at, name).await?;
        if attr.kind != FileType::Directory || attr.ino != *ino {
            return Err(Errno::ENOENT);
        }
        at = *ino;
        path.push(b'/');
        path.extend_from_slice(name);
    }
    match (fs.lookup(at, name).await, file) {
        (Ok(attr), Some(file)) if attr.ino == file => {}
        (Err(Errno::ENOENT), None) => {}
        (Err(errno), Some(_)) => return Err(errno),
        _ => return Err(Errno::ENOENT),
    }
    path.push(b'/');
    path.extend_from_slice(name);
    Ok(path)
}
