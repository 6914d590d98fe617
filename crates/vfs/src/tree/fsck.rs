//! The invariants of a tree, counted anew: link counts, homes, charges. For tests; it changes nothing.

use std::collections::HashMap;

use super::inode::{Body, Inode, entry_charge};
use super::state::{ROOT, State};
use crate::{FileType, Ino};

pub(crate) fn check(state: &State) -> Result<(), String> {
    let table = &state.tree.table;
    let all = || {
        let linked = table.iter().map(|(ino, node)| (*ino, &*node.0));
        linked.chain(state.orphans.iter().map(|(ino, inode)| (*ino, &**inode)))
    };
    let mut names: HashMap<Ino, u32> = HashMap::new();
    let mut bytes = 0;
    for (ino, inode) in all() {
        bytes += charge(ino, inode)?;
        let Body::Directory(dir) = &inode.body else { continue };
        let subdirs = dir.entries.values().filter(|entry| entry.kind == FileType::Directory).count();
        if subdirs != dir.subdirs as usize {
            return Err(format!("directory {ino} counts {} subdirectories, has {subdirs}", dir.subdirs));
        }
        for (name, entry) in &dir.entries {
            bytes += entry_charge(name);
            *names.entry(entry.ino).or_default() += 1;
            let child = table.get(&entry.ino).ok_or(format!("entry of {ino} leads to a missing inode"))?;
            if child.0.kind() != entry.kind {
                return Err(format!("entry of {ino} has another type than inode {}", entry.ino));
            }
            if !child.0.homes.iter().any(|home| home == ino) {
                return Err(format!("inode {} does not know its directory {ino}", entry.ino));
            }
            if let Body::Directory(own) = &child.0.body
                && own.name != *name
            {
                return Err(format!("directory {} does not know its name", entry.ino));
            }
        }
    }
    for (ino, inode) in all() {
        let names = names.get(&ino).copied().unwrap_or(0);
        let expected = match &inode.body {
            Body::Directory(dir) if names > 0 || ino == ROOT => 2 + dir.subdirs,
            Body::Directory(_) => 0,
            _ => names,
        };
        if inode.nlink != expected {
            return Err(format!("inode {ino} has nlink {}, should be {expected}", inode.nlink));
        }
        if names == 0 && ino != ROOT && !state.orphans.contains_key(&ino) {
            return Err(format!("inode {ino} has no name and is no orphan"));
        }
    }
    if bytes != state.tree.usage.bytes {
        return Err(format!("{} bytes are charged, {bytes} in use", state.tree.usage.bytes));
    }
    let inodes = all().count() as u64;
    if inodes != state.tree.usage.inodes {
        return Err(format!("{} inodes are charged, {inodes} in use", state.tree.usage.inodes));
    }
    Ok(())
}

fn charge(ino: Ino, inode: &Inode) -> Result<u64, String> {
    if let Body::Regular(content) = &inode.body
        && content.charge() != content.recount()
    {
        return Err(format!("file {ino} is charged {}, uses {}", content.charge(), content.recount()));
    }
    Ok(inode.charge())
}
