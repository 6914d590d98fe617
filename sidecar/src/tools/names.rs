//! The commands of toolkits on PATH: links in the root of each VM, so that they go with it into its forks and its store, and no
//! other VM sees them.

use agentos_base_snapshot::TOOLS_PROGRAM;
use agentos_vfs::{FileSystem, Link, Reply, Tree};

use super::Toolkits;

/// Where the links are.
const DIRECTORY: &str = "/usr/local/bin";

/// The command of a toolkit.
pub(crate) fn command(kit: &str) -> String {
    format!("{TOOLS_PROGRAM}-{kit}")
}

fn target() -> Vec<u8> {
    format!("/bin/{TOOLS_PROGRAM}").into_bytes()
}

/// The links of these toolkits, as text that can be kept and compared.
pub(crate) fn links(kits: &Toolkits) -> String {
    kits.names().collect::<Vec<_>>().join(" ")
}

/// Makes the links of these toolkits, and removes those that an earlier configuration left. What the guest has put in the place
/// of one stays, and so does a VM in which it has made something else of the directory: these are its files.
pub(crate) fn link(tree: &Tree, kits: Option<&Toolkits>) {
    let ours = |ino| matches!(tree.readlink(ino, 0), Reply::Now(Ok(Link::Path(to))) if to == target());
    let prefix = command("");
    if let Ok(directory) = tree.ino_at(DIRECTORY)
        && let Reply::Now(Ok(entries)) = tree.readdir(directory)
    {
        for entry in entries {
            let name = String::from_utf8_lossy(&entry.name);
            let stale = name
                .strip_prefix(&prefix)
                .is_some_and(|kit| !kits.is_some_and(|kits| kits.names().any(|name| name == kit)));
            if stale && ours(entry.ino) {
                // A tree answers at once, and there is nobody else yet who could have removed it.
                let _ = tree.unlink(directory, &entry.name);
            }
        }
    }
    for kit in kits.into_iter().flat_map(Toolkits::names) {
        let path = format!("{DIRECTORY}/{}", command(kit));
        if tree.ino_at(&path).is_err() {
            let _ = tree.put_symlink(&path, target());
        }
    }
}

#[cfg(test)]
mod tests {
    use agentos_protocol::message::{ToolKitSpec, ToolSpec, ToolsSpec};

    use super::*;

    fn kits(names: &[&str]) -> std::sync::Arc<Toolkits> {
        let tool = ToolSpec {
            name: "t".into(),
            input_schema: agentos_protocol::message::JsonText("{}".into()),
            ..ToolSpec::default()
        };
        let kit = |name: &&str| ToolKitSpec {
            name: (*name).to_owned(),
            tools: vec![tool.clone()],
            ..ToolKitSpec::default()
        };
        let spec = ToolsSpec { kits: names.iter().map(kit).collect(), ..ToolsSpec::default() };
        Toolkits::compile(&spec).unwrap()
    }

    #[test]
    fn links_follow_the_configuration_and_spare_files_of_the_guest() {
        let tree = Tree::new();
        let has = |name: &str| tree.ino_at(format!("{DIRECTORY}/{name}")).is_ok();
        link(&tree, Some(&kits(&["a", "b"])));
        assert!(has("agentos-a") && has("agentos-b"));
        tree.put_file("/usr/local/bin/agentos-mine", 0o755, 0, 0, "").unwrap();
        tree.put_symlink("/usr/local/bin/agentos-other", "/bin/other").unwrap();
        link(&tree, Some(&kits(&["b", "c", "mine"])));
        assert!(!has("agentos-a") && has("agentos-b") && has("agentos-c") && has("agentos-other"));
        assert_eq!(tree.read_file("/usr/local/bin/agentos-mine"), Ok(vec![]));
        link(&tree, None);
        assert!(!has("agentos-b") && !has("agentos-c") && has("agentos-mine") && has("agentos-other"));
        let other = Tree::new();
        other.put_symlink("/usr/local", "/elsewhere").unwrap();
        link(&other, Some(&kits(&["a"])));
    }
}
