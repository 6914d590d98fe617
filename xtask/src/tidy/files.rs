//! The text files of the repository. What is built is left out.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Folders that are not ours to check.
const SKIPPED: [&str; 3] = [".git", "target", "corpus"];
/// What we read: sources, manifests, documents.
const ENDINGS: [&str; 6] = ["rs", "toml", "md", "run", "txt", "sh"];

/// Path from the root, with `/`, to content.
pub(crate) fn all(root: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    collect(root, "", &mut files)?;
    Ok(files)
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let kind = entry.file_type()?;
        let path = format!("{prefix}{name}");
        if kind.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                collect(&entry.path(), &format!("{path}/"), files)?;
            }
        } else if kind.is_file()
            && ENDINGS.iter().any(|end| name == *end || name.ends_with(&format!(".{end}")))
        {
            files.insert(path, String::from_utf8_lossy(&std::fs::read(entry.path())?).into_owned());
        }
    }
    Ok(())
}
