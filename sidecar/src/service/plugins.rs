//! Plugins by name: object stores, and a directory of the host under the name that other products give it. What a
//! configuration means is known to the crate of each.

use std::path::{Path, PathBuf};

use agentos_kernel::Cred;
use agentos_object_store::{MountOptions, ObjectStore};
use agentos_protocol::message::{JsonText, WirePath};
use serde_json::Value;

/// What a plugin makes.
pub(super) enum Plugin {
    /// `fs`: opened as `host_dir` is, so that no link leads out of it.
    Directory(WirePath),
    /// An object store.
    Store(Box<ObjectStore>),
}

/// Reads a configuration; what is wrong, by field and reason.
pub(super) fn read(id: &str, config: &JsonText) -> Result<Plugin, (String, String)> {
    let config: Value =
        serde_json::from_str(&config.0).map_err(|_| ("config".to_owned(), "is not JSON".to_owned()))?;
    if id == "fs" {
        return directory(&config).map(Plugin::Directory);
    }
    match ObjectStore::new(id, &config) {
        Ok(store) => Ok(Plugin::Store(Box::new(store))),
        Err(error) => Err((error.field, error.reason)),
    }
}

fn directory(config: &Value) -> Result<WirePath, (String, String)> {
    let fields = config.as_object().ok_or_else(|| ("config".to_owned(), "must be an object".to_owned()))?;
    if let Some(name) = fields.keys().find(|name| *name != "root") {
        return Err((format!("config.{name}"), "unknown field".to_owned()));
    }
    let root = fields.get("root").and_then(Value::as_str).filter(|root| root.starts_with('/'));
    let root =
        root.ok_or_else(|| ("config.root".to_owned(), "must be an absolute path of the host".to_owned()))?;
    Ok(root.into())
}

/// Whether a mount of this type is an object store.
pub(super) fn is_store(fs_type: &str) -> bool {
    agentos_object_store::IDS.contains(&fs_type)
}

/// How a store is mounted for a user of a VM.
pub(super) fn options(user: &Cred, read_only: bool) -> MountOptions {
    MountOptions {
        read_only,
        uid: user.uid,
        gid: user.gid,
        staging_dir: staging_dir(),
        runtime: tokio::runtime::Handle::current(),
    }
}

/// Where files wait that are too large for memory: on a disk, which `/tmp` often is not (Filesystem Hierarchy Standard 5.15).
fn staging_dir() -> PathBuf {
    let disk = Path::new("/var/tmp");
    if disk.is_dir() { disk.to_owned() } else { std::env::temp_dir() }
}
