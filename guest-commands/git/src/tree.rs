//! Trees from the index, and the index from trees.

use crate::bytes;
use crate::changes::Files;
use crate::error::{Res, failed, say};
use crate::index::{Entry, Index};
use crate::oid::{Kind, MODE_DIR, Oid, TreeEntry, write_tree};
use crate::repo::Repo;

/// Stores the trees of an index; fails while there are conflicts.
pub(crate) fn from_index(repo: &Repo, index: &Index) -> Res<Oid> {
    let unmerged = index.unmerged();
    if !unmerged.is_empty() {
        for path in &unmerged {
            say!("{}: unmerged", bytes::text(path));
        }
        failed!("error building trees");
    }
    let entries: Vec<&Entry> = index.entries.iter().filter(|e| !e.intent_to_add).collect();
    write_level(repo, &entries, 0)
}

fn write_level(repo: &Repo, entries: &[&Entry], skip: usize) -> Res<Oid> {
    let mut tree = Vec::new();
    let mut at = 0;
    while at < entries.len() {
        let rest = &entries[at].path[skip..];
        match rest.iter().position(|b| *b == b'/') {
            None => {
                tree.push(TreeEntry { mode: entries[at].mode, name: rest.to_vec(), oid: entries[at].oid });
                at += 1;
            }
            Some(slash) => {
                let dir = &entries[at].path[..skip + slash + 1];
                let len = entries[at..].iter().take_while(|e| e.path.starts_with(dir)).count();
                let oid = write_level(repo, &entries[at..at + len], dir.len())?;
                tree.push(TreeEntry { mode: MODE_DIR, name: rest[..slash].to_vec(), oid });
                at += len;
            }
        }
    }
    repo.odb.write(Kind::Tree, &write_tree(tree))
}

/// Stores the trees of these files.
pub(crate) fn from_files(repo: &Repo, files: &Files) -> Res<Oid> {
    let entries: Vec<Entry> =
        files.iter().map(|(p, (mode, oid))| Entry::new(p.clone(), *mode, *oid, 0)).collect();
    write_level(repo, &entries.iter().collect::<Vec<_>>(), 0)
}

/// Makes the index hold exactly these files; what was there stays with its stat data.
pub(crate) fn into_index(index: &mut Index, files: &Files) {
    let old = std::mem::take(&mut index.entries);
    let old: std::collections::HashMap<Vec<u8>, Entry> =
        old.into_iter().filter(|e| e.stage == 0).map(|e| (e.path.clone(), e)).collect();
    index.entries = files
        .iter()
        .map(|(path, (mode, oid))| match old.get(path) {
            Some(entry) if entry.mode == *mode && entry.oid == *oid && !entry.intent_to_add => entry.clone(),
            _ => Entry::new(path.clone(), *mode, *oid, 0),
        })
        .collect();
}
