//! Random work on a tree, the same for the same number, and what a tree holds to the eye.

#![allow(dead_code, reason = "two test programs use it, each a part")]

use agentos_vfs::layer::{Row, RowChange, changed_rows};
use agentos_vfs::{Access, FileSystem, FileType, Layer, NewKind, NewNode, RenameFlags, Reply, SetAttr, Tree};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub fn now<T>(reply: Reply<'_, T>) -> agentos_vfs::Result<T> {
    match reply {
        Reply::Now(result) => result,
        Reply::Later(_) => panic!("a tree answers at once"),
    }
}

/// A base with directories, links and a file of several chunks.
pub fn base() -> Layer {
    let tree = Tree::new();
    tree.put_file("/bin/tool", 0o755, 0, 0, vec![7; 200_000]).unwrap();
    tree.put_link("/bin/alias", "/bin/tool").unwrap();
    tree.put_file("/etc/motd", 0o644, 0, 0, "hello\n").unwrap();
    tree.put_symlink("/etc/link", "motd").unwrap();
    tree.put_dir("/home/user", 0o750, 1000, 1000).unwrap();
    tree.freeze()
}

fn directory(rng: &mut StdRng, tree: &Tree) -> u64 {
    let paths = ["/", "/bin", "/etc", "/home/user", "/home/user/a", "/home/user/b", "/home/user/a/c"];
    tree.ino_at(paths[rng.random_range(0..paths.len())]).unwrap_or(tree.root())
}

fn name(rng: &mut StdRng) -> &'static [u8] {
    let names: [&[u8]; 9] =
        [b"a", b"b", b"c", b"log", b"tool", b"motd", b"alias", b"\xff\x01", b"a name with spaces"];
    names[rng.random_range(0..names.len())]
}

/// One change of the tree, or none: the one of this number. It is one call, so no commit sees half of it.
pub fn step(tree: &Tree, number: u64) {
    let rng = &mut StdRng::seed_from_u64(number);
    let (dir, name) = (directory(rng, tree), name(rng));
    let other = (directory(rng, tree), self::name(rng));
    let found = now(tree.lookup(dir, name)).ok();
    let node = |kind, perm| NewNode { kind, perm, uid: 1000, gid: 1000 };
    // What fails changes nothing; the point is what is there afterwards.
    let _ = match (rng.random_range(0..20), found) {
        (0..=3, None) => now(tree.create(dir, name, &node(NewKind::Regular, 0o644))).map(drop),
        (4..=5, None) => now(tree.create(dir, name, &node(NewKind::Directory, 0o755))).map(drop),
        (6, None) => now(tree.create(dir, name, &node(NewKind::Symlink(b"../x".to_vec()), 0o777))).map(drop),
        (7, None) => now(tree.create(dir, name, &node(NewKind::Fifo, 0o600))).map(drop),
        (8, None) => now(tree.create(dir, name, &node(NewKind::CharDevice(0x103), 0o666))).map(drop),
        (0..=9, Some(attr)) if attr.kind == FileType::Regular => {
            let file = now(tree.open(attr.ino, Access { read: true, write: true })).unwrap();
            let data = vec![rng.random::<u8>(); rng.random_range(1..3000)];
            let offset = if rng.random_range(0..8) == 0 { rng.random_range(0..200_000) } else { 0 };
            if rng.random() {
                now(file.append(&data)).map(drop)
            } else {
                now(file.write_at(&data, offset)).map(drop)
            }
        }
        (10..=11, Some(attr)) => {
            let size = (attr.kind == FileType::Regular).then(|| rng.random_range(0..150_000));
            now(tree.setattr(attr.ino, &SetAttr { size, ..SetAttr::default() })).map(drop)
        }
        (12, Some(attr)) => {
            let change = SetAttr {
                perm: Some(rng.random_range(0..0o10000)),
                uid: Some(rng.random_range(0..2000)),
                ..SetAttr::default()
            };
            now(tree.setattr(attr.ino, &change)).map(drop)
        }
        (13, Some(attr)) => now(tree.link(attr.ino, other.0, other.1)).map(drop),
        (14..=15, Some(_)) => {
            let flags = RenameFlags { exchange: rng.random_range(0..4) == 0, no_replace: false };
            now(tree.rename(dir, name, other.0, other.1, flags))
        }
        (16..=18, Some(attr)) if attr.kind == FileType::Directory => now(tree.rmdir(dir, name)),
        (16..=17, Some(_)) => now(tree.unlink(dir, name)),
        _ => Ok(()),
    };
}

/// All rows of a layer, in order: equal when the layers are, numbers and times included.
pub fn rows(base: &Layer, layer: &Layer) -> Vec<Row<'static>> {
    let mut rows = Vec::new();
    let own = |row: Row<'_>| match row {
        Row::Inode(ino, inode) => Row::Inode(ino, inode),
        Row::Entry(dir, name, entry) => Row::Entry(dir, name.into_owned().into(), entry),
        Row::Chunk(ino, index, bytes) => Row::Chunk(ino, index, bytes.into_owned().into()),
    };
    changed_rows(base, base, layer, &mut |change| {
        if let RowChange::Put(row) = change {
            rows.push(own(row));
        }
        Ok::<(), ()>(())
    })
    .unwrap();
    rows
}

/// What a tree holds but times and numbers, a line per name.
pub fn listing(tree: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = vec![(tree.root(), String::new())];
    while let Some((dir, path)) = todo.pop() {
        for entry in now(tree.readdir(dir)).unwrap() {
            let attr = now(tree.getattr(entry.ino)).unwrap();
            let path = format!("{path}/{}", entry.name.escape_ascii());
            let what = match attr.kind {
                FileType::Directory => String::new(),
                FileType::Symlink => format!("{:?}", now(tree.readlink(entry.ino, 0))),
                FileType::Regular => {
                    let content = tree.content(entry.ino).unwrap();
                    let mut bytes = vec![0; content.len() as usize];
                    content.read_at(&mut bytes, 0);
                    blake3::hash(&bytes).to_string()
                }
                _ => attr.rdev.to_string(),
            };
            lines.push(format!(
                "{path} {:?} {:o} {}:{} {} {} {what}",
                attr.kind, attr.perm, attr.uid, attr.gid, attr.nlink, attr.size
            ));
            if attr.kind == FileType::Directory {
                todo.push((entry.ino, path));
            }
        }
    }
    lines.sort();
    lines
}
