//! From a directory back to its path, by the parents it has now; so it is right after any rename. Files have no way
//! back: their path is that of their directory and the name they were found under.

use super::{Location, Namespace};
use crate::{Errno, Result};

/// The longest path that is built, in bytes. Beyond [`super::PATH_MAX`], since a relative walk may go deeper.
const LONGEST: usize = 64 << 10;

impl Namespace {
    /// The absolute path of a directory. ENOENT when it was removed, ENAMETOOLONG above 64 KiB.
    pub async fn path_of(&self, location: &Location) -> Result<Vec<u8>> {
        let mut path = Vec::with_capacity(64);
        self.climb(None, location, &mut path).await?;
        Ok(finish(path))
    }

    /// The path of a directory as a process with this root sees it. ENOENT also when it is outside of `root`.
    pub async fn path_from(&self, root: &Location, location: &Location) -> Result<Vec<u8>> {
        let mut path = Vec::with_capacity(64);
        self.climb(Some(root), location, &mut path).await?;
        Ok(finish(path))
    }

    /// The absolute path of `name` in the directory `dir`.
    pub async fn path_of_entry(&self, dir: &Location, name: &[u8]) -> Result<Vec<u8>> {
        let mut path = Vec::with_capacity(64);
        push(&mut path, name)?;
        self.climb(None, dir, &mut path).await?;
        Ok(finish(path))
    }

    /// Adds the components from `location` up, each reversed.
    async fn climb(&self, root: Option<&Location>, location: &Location, path: &mut Vec<u8>) -> Result<()> {
        let mut mount = &location.mount;
        let mut ino = location.ino;
        loop {
            if root.is_some_and(|root| root.ino == ino && root.mount.id == mount.id) {
                return Ok(());
            }
            match mount.fs.name_of(ino).await? {
                Some((parent, name)) => {
                    push(path, &name)?;
                    ino = parent;
                }
                None => match &mount.at {
                    Some((at, _)) => {
                        ino = at.ino;
                        mount = &at.mount;
                    }
                    None if root.is_some() => return Err(Errno::ENOENT),
                    None => return Ok(()),
                },
            }
        }
    }
}

fn push(path: &mut Vec<u8>, name: &[u8]) -> Result<()> {
    if path.len() + name.len() >= LONGEST {
        return Err(Errno::ENAMETOOLONG);
    }
    path.extend(name.iter().rev());
    path.push(b'/');
    Ok(())
}

fn finish(mut path: Vec<u8>) -> Vec<u8> {
    if path.is_empty() {
        path.push(b'/');
    }
    path.reverse();
    path
}
