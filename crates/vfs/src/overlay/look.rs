//! Looking: which layers have a name, what a merged directory holds, attributes. Nothing is copied up here.

use std::collections::{HashMap, HashSet};

use super::Shared;
use super::table::Source;
use crate::tree::is_whiteout;
use crate::{Attr, DirEntry, Errno, FileSystem, FileType, Ino, NAME_MAX, Result};

/// What a name leads to.
pub(crate) struct Seen {
    pub(crate) attr: Attr,
    /// The upper directory has an entry of this name that is no whiteout.
    pub(crate) in_upper: bool,
    /// A lower directory has the name too: removing it needs a whiteout.
    pub(crate) in_lower: bool,
}

impl Shared {
    pub(crate) async fn see(&self, dir: Ino, name: &[u8]) -> Result<Seen> {
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let node = self.table.lock().node(dir)?;
        if node.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        if node.removed {
            return Err(Errno::ENOENT);
        }
        let upper = match node.upper {
            Some(upper) => absent(self.upper.lookup(upper, name).await)?,
            None => None,
        };
        if upper.is_some_and(|attr| is_whiteout(&attr)) {
            return Err(Errno::ENOENT);
        }
        let (mut found, mut lowers, mut in_lower) = (upper, Vec::new(), false);
        let hides = |attr: &Attr| {
            attr.kind != FileType::Directory || upper.is_some_and(|attr| self.upper.is_opaque(attr.ino))
        };
        let mut covered = upper.as_ref().is_some_and(hides);
        for source in &node.lowers {
            let Some(attr) = absent(self.fs(source.layer).lookup(source.ino, name).await)? else { continue };
            in_lower = true;
            if covered {
                break;
            }
            let is_dir = attr.kind == FileType::Directory;
            if found.is_some() && !is_dir {
                break;
            }
            lowers.push(Source { layer: source.layer, ino: attr.ino });
            found.get_or_insert(attr);
            covered = !is_dir;
        }
        let attr = found.ok_or(Errno::ENOENT)?;
        let in_upper = upper.is_some();
        let ino = self.table.lock().seen(dir, name, attr.kind, upper.map(|attr| attr.ino), lowers)?;
        Ok(Seen { attr: self.attr(ino).await?, in_upper, in_lower })
    }

    pub(crate) async fn attr(&self, ino: Ino) -> Result<Attr> {
        let node = self.table.lock().node(ino)?;
        let source = match node.upper {
            Some(ino) => Source { layer: 0, ino },
            None => *node.lowers.first().ok_or(Errno::ENOENT)?,
        };
        let mut attr = self.fs(source.layer).getattr(source.ino).await?;
        attr.ino = ino;
        if node.kind != FileType::Directory {
            attr.nlink = self.table.lock().links(ino).unwrap_or(attr.nlink);
        } else if node.removed {
            attr.nlink = 0;
        } else if let (Some(_), [_, ..]) | (None, [_, _, ..]) = (node.upper, &node.lowers[..]) {
            attr.nlink = self.subdirs(ino, node.upper).await?.saturating_add(2);
        }
        Ok(attr)
    }

    /// The subdirectories of a merged directory. Those of the lowers are counted once: the lowers do not change.
    async fn subdirs(&self, ino: Ino, upper: Option<Ino>) -> Result<u32> {
        let own = match upper {
            Some(upper) => self.upper.getattr(upper).await?.nlink.saturating_sub(2),
            None => 0,
        };
        let known = self.table.lock().node_mut(ino)?.lower_subdirs;
        let lower = match known {
            Some(known) => known,
            None => {
                let entries = self.entries(ino).await?;
                let is_subdir =
                    |(_, kind, source): &(_, _, Source)| *kind == FileType::Directory && source.layer > 0;
                let count =
                    u32::try_from(entries.iter().filter(|e| is_subdir(e)).count()).unwrap_or(u32::MAX);
                self.table.lock().node_mut(ino)?.lower_subdirs = Some(count);
                count
            }
        };
        Ok(own.saturating_add(lower))
    }

    /// What a directory shows: name, type, and the topmost layer that has it.
    pub(crate) async fn entries(&self, dir: Ino) -> Result<Vec<(Box<[u8]>, FileType, Source)>> {
        let node = self.table.lock().node(dir)?;
        if node.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        if node.removed {
            return Ok(Vec::new());
        }
        let mut hidden: HashSet<Box<[u8]>> = HashSet::new();
        let mut shown = HashMap::new();
        if let Some(upper) = node.upper {
            for entry in self.upper.readdir(upper).await? {
                if entry.kind == FileType::CharDevice && is_whiteout(&self.upper.getattr(entry.ino).await?) {
                    hidden.insert(entry.name);
                } else {
                    shown.insert(entry.name, (entry.kind, Source { layer: 0, ino: entry.ino }));
                }
            }
        }
        for source in &node.lowers {
            for entry in self.fs(source.layer).readdir(source.ino).await? {
                if !hidden.contains(&entry.name) {
                    let from = Source { layer: source.layer, ino: entry.ino };
                    shown.entry(entry.name).or_insert((entry.kind, from));
                }
            }
        }
        let mut entries: Vec<_> =
            shown.into_iter().map(|(name, (kind, source))| (name, kind, source)).collect();
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    pub(crate) async fn readdir(&self, dir: Ino) -> Result<Vec<DirEntry>> {
        let entries = self.entries(dir).await?;
        let table = self.table.lock();
        let entry = |(name, kind, source)| DirEntry { ino: table.number(source), kind, name };
        Ok(entries.into_iter().map(entry).collect())
    }
}

/// A name that is not there is no error here.
fn absent(result: Result<Attr>) -> Result<Option<Attr>> {
    match result {
        Ok(attr) => Ok(Some(attr)),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}
