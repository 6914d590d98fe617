//! Root file system and mounts, as the configuration writes them.
//! It does not mount anything.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mounts::VirtualFileSystem;

/// The root file system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RootFilesystemConfig {
    /// Always an overlay.
    #[serde(rename = "type")]
    pub kind: RootFilesystemKind,
    /// `ephemeral` (default): changes are lost with the VM; `read-only`: all changes of it are EROFS, for guests and for this
    /// API. Mounts stay as they are: a memory file system at `/tmp` is what most programs then need.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<RootFilesystemMode>,
    /// Leave the bundled base out: the root is only what the lowers hold, with `/proc`, `/dev` and the working directory.
    /// Where the lowers name the bundled base it still stands.
    pub disable_default_base_layer: bool,
    /// Lower layers, uppermost first, at most 64. The bundled base is below them all, or where it is named. What they hold
    /// counts against `filesystemBytes` and `inodes`, but for the bundled base.
    pub lowers: Vec<RootLowerInput>,
}

/// How the root file system is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootFilesystemKind {
    /// An overlay.
    #[default]
    Overlay,
}

/// What happens to changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootFilesystemMode {
    /// Lost with the VM.
    #[default]
    Ephemeral,
    /// Refused with EROFS.
    ReadOnly,
}

/// A lower layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RootLowerInput {
    /// The base that comes with the sidecar.
    #[serde(deserialize_with = "nothing_more")]
    BundledBaseFilesystem,
    /// A snapshot: what `AgentOs::snapshot_root_filesystem` gave, or an archive of another program.
    SnapshotExport {
        /// `{"entries": [...]}`, the snapshot itself; or `{"path": "/file/of/the/host"}`, or `{"data": "base64"}`, both with an
        /// optional `"format"` of `tar`, `json` or `oci`. Without it the format is found out by looking: tar, tar.gz, a tar
        /// of an OCI image layout, JSON.
        source: Value,
    },
}

/// A unit variant with a tag takes any further field without a word; this one does not.
fn nothing_more<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    Nothing::deserialize(deserializer).map(|Nothing {}| ())
}

impl RootLowerInput {
    /// A snapshot in a file of the host.
    ///
    /// ```
    /// use agentos::{AgentOsConfig, RootFilesystemConfig, RootLowerInput};
    /// let lowers = vec![RootLowerInput::snapshot_file("/srv/images/tools.tar.gz")];
    /// let config = AgentOsConfig::builder().root_filesystem(RootFilesystemConfig { lowers, ..Default::default() }).build();
    /// # drop(config);
    /// ```
    #[must_use]
    pub fn snapshot_file(path: impl Into<String>) -> Self {
        RootLowerInput::SnapshotExport { source: serde_json::json!({ "path": path.into() }) }
    }

    /// A snapshot in memory.
    #[must_use]
    pub fn snapshot_bytes(data: impl AsRef<[u8]>) -> Self {
        RootLowerInput::SnapshotExport { source: serde_json::json!({ "data": STANDARD.encode(data) }) }
    }
}

/// A plugin of the sidecar that makes a file system. `Debug` shows the names of the fields only, since some are secret.
///
/// ```
/// use agentos::{MountConfig, MountPlugin};
///
/// let bucket = MountConfig::Native {
///     path: "/data".into(),
///     plugin: MountPlugin {
///         id: "s3".into(),
///         config: serde_json::json!({
///             "bucket": "results", "region": "eu-central-1", "prefix": "run/7",
///             "accessKeyId": "AKIA…", "secretAccessKey": "…",
///         }),
///     },
///     read_only: false,
/// };
/// assert!(format!("{bucket:?}").contains("secretAccessKey") && !format!("{bucket:?}").contains("AKIA"));
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MountPlugin {
    /// `memory`, `host_dir`, `fs` (config `{root}`: the same by another name), or an object store: `s3`, `google_drive`,
    /// `webdav`, whose fields are in `docs/object-stores.md`.
    pub id: String,
    /// Its configuration. `memory`: `{sizeBytes, inodes, mode, uid, gid}`, the last three those of its root. `host_dir`:
    /// `{hostPath, readOnly, uid, gid}`, the last two those of all it holds, as programs see it. All but `hostPath` may be left out: limits
    /// are those of the VM, the owner is its user, the mode 0755.
    #[serde(default)]
    pub config: Value,
}

impl fmt::Debug for MountPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.config.as_object().into_iter().flat_map(|fields| fields.keys()).collect();
        f.debug_struct("MountPlugin").field("id", &self.id).field("config", &fields).finish()
    }
}

/// An overlay to mount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OverlayMountConfig {
    /// Always an overlay.
    #[serde(rename = "type", default)]
    pub kind: RootFilesystemKind,
    /// Where changes are kept. Only `null`, in memory, is supported by this version.
    #[serde(default)]
    pub store: Value,
    /// What happens to changes.
    #[serde(default)]
    pub mode: Option<RootFilesystemMode>,
    /// Lower layers, uppermost first, at least one: `{"kind": "host-dir", "hostPath": …}` or
    /// `{"kind": "bundled-base-filesystem"}`. They stay as they are.
    #[serde(default)]
    pub lowers: Vec<Value>,
}

/// A mount.
#[derive(Clone)]
pub enum MountConfig {
    /// A driver that runs in this program.
    Plain {
        /// Guest path.
        path: String,
        /// The driver.
        driver: Arc<dyn VirtualFileSystem>,
        /// Refuse changes with EROFS.
        read_only: bool,
    },
    /// A plugin of the sidecar.
    Native {
        /// Guest path.
        path: String,
        /// The plugin.
        plugin: MountPlugin,
        /// Refuse changes with EROFS.
        read_only: bool,
    },
    /// An overlay.
    Overlay {
        /// Guest path.
        path: String,
        /// The overlay.
        filesystem: OverlayMountConfig,
    },
}

impl MountConfig {
    /// A directory of the host.
    #[must_use]
    pub fn host_dir(path: impl Into<String>, host_path: impl Into<String>, read_only: bool) -> Self {
        let config = serde_json::json!({ "hostPath": host_path.into() });
        MountConfig::Native {
            path: path.into(),
            plugin: MountPlugin { id: "host_dir".to_owned(), config },
            read_only,
        }
    }

    /// A directory of the host that stays as it is: changes are kept in memory and end with the VM.
    ///
    /// ```
    /// use agentos::{AgentOsConfig, MountConfig};
    /// let project = MountConfig::overlay("/workspace", "/home/me/project");
    /// let config = AgentOsConfig::builder().mount(project).build();
    /// # assert_eq!(config.mounts.len(), 1);
    /// ```
    #[must_use]
    pub fn overlay(path: impl Into<String>, host_path: impl Into<String>) -> Self {
        let lower = serde_json::json!({ "kind": "host-dir", "hostPath": host_path.into() });
        let filesystem = OverlayMountConfig {
            kind: RootFilesystemKind::Overlay,
            store: Value::Null,
            mode: None,
            lowers: vec![lower],
        };
        MountConfig::Overlay { path: path.into(), filesystem }
    }

    /// An empty file system in memory.
    #[must_use]
    pub fn memory(path: impl Into<String>) -> Self {
        let plugin = MountPlugin { id: "memory".to_owned(), config: Value::Null };
        MountConfig::Native { path: path.into(), plugin, read_only: false }
    }
}

impl fmt::Debug for MountConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MountConfig::Plain { path, read_only, .. } => f
                .debug_struct("Plain")
                .field("path", path)
                .field("read_only", read_only)
                .finish_non_exhaustive(),
            MountConfig::Native { path, plugin, read_only } => {
                let mut out = f.debug_struct("Native");
                out.field("path", path).field("plugin", plugin).field("read_only", read_only).finish()
            }
            MountConfig::Overlay { path, filesystem } => {
                f.debug_struct("Overlay").field("path", path).field("filesystem", filesystem).finish()
            }
        }
    }
}
