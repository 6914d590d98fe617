//! From the mounts of the configuration to the messages: every field is checked, unknown ones are refused with their path.
//! What only the sidecar can know (is the directory there?) it checks there.

use std::path::Path;

use agentos_protocol::message::{JsonText, MountSource, MountSpec, OverlayLower, WirePath};
use serde_json::{Map, Value};

use super::{MountPlugin, OverlayMountConfig, RootFilesystemMode};
use crate::error::{Error, Result};

/// Where the host's `node_modules` are for guests: the last place in which every script, wherever it is, looks for modules.
pub(crate) const NODE_MODULES: &str = "/node_modules";

/// The fields of an object in the configuration, taken one by one.
struct Fields<'a> {
    at: &'a str,
    left: Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn new(at: &'a str, value: Value) -> Result<Self> {
        match value {
            Value::Null => Ok(Fields { at, left: Map::new() }),
            Value::Object(left) => Ok(Fields { at, left }),
            _ => Err(Error::config(at, "must be an object")),
        }
    }

    fn path(&self, name: &str) -> String {
        format!("{}.{name}", self.at)
    }

    /// A whole number up to `most`; `what` says what it is.
    fn number(&mut self, name: &str, most: u64, what: &str) -> Result<Option<u64>> {
        match self.left.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64().filter(|n| *n <= most) {
                Some(number) => Ok(Some(number)),
                None => Err(Error::config(self.path(name), format!("must be {what}"))),
            },
        }
    }

    fn id(&mut self, name: &str) -> Result<Option<u32>> {
        // The highest number means "none" in many system calls.
        let id = self.number(name, u64::from(u32::MAX - 1), "the number of a user or group")?;
        Ok(id.and_then(|id| u32::try_from(id).ok()))
    }

    fn flag(&mut self, name: &str) -> Result<bool> {
        match self.left.remove(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(Error::config(self.path(name), "must be true or false")),
        }
    }

    fn host_path(&mut self) -> Result<WirePath> {
        let path = self.left.remove("hostPath");
        match path.as_ref().and_then(Value::as_str).filter(|path| path.starts_with('/')) {
            Some(path) if path.contains('\0') => Err(Error::config(self.path("hostPath"), "holds a NUL")),
            Some(path) => Ok(path.into()),
            None => Err(Error::config(self.path("hostPath"), "must be an absolute path of the host")),
        }
    }

    /// Nothing is left.
    fn end(self) -> Result<()> {
        match self.left.keys().next() {
            Some(key) => Err(Error::config(self.path(key), "unknown field")),
            None => Ok(()),
        }
    }
}

/// The source of a plugin mount and whether its own configuration makes it read-only; `at` is where the plugin stands.
pub(crate) fn plugin_source(at: &str, plugin: MountPlugin) -> Result<(MountSource, bool)> {
    let config = format!("{at}.config");
    if ["fs", "google_drive", "s3", "webdav"].contains(&plugin.id.as_str()) {
        // The sidecar knows their fields.
        let fields = if plugin.config.is_null() { Value::Object(Map::new()) } else { plugin.config };
        return Ok((MountSource::Plugin { id: plugin.id, config: JsonText::new(&fields) }, false));
    }
    let mut fields = Fields::new(&config, plugin.config)?;
    match plugin.id.as_str() {
        "memory" => {
            let bytes = "a number of bytes";
            let (old, size) =
                (fields.number("size", u64::MAX, bytes)?, fields.number("sizeBytes", u64::MAX, bytes)?);
            if old.is_some() && size.is_some() {
                return Err(Error::config(fields.path("size"), "is the same as `sizeBytes`; leave one out"));
            }
            let inodes = fields.number("inodes", u64::MAX, "a number of files")?;
            let mode = fields.number("mode", 0o7777, "permission bits, at most 4095 (0o7777)")?;
            let (uid, gid) = (fields.id("uid")?, fields.id("gid")?);
            fields.end()?;
            let mode = mode.and_then(|mode| u32::try_from(mode).ok());
            Ok((MountSource::Memory { size: size.or(old), inodes, mode, uid, gid }, false))
        }
        "host_dir" => {
            let (host_path, read_only) = (fields.host_path()?, fields.flag("readOnly")?);
            let (uid, gid) = (fields.id("uid")?, fields.id("gid")?);
            fields.end()?;
            Ok((MountSource::HostDir { host_path, uid, gid }, read_only))
        }
        id => {
            let reason =
                format!("unknown plugin {id:?}; there are memory, host_dir, fs, google_drive, s3 and webdav");
            Err(Error::config(format!("{at}.id"), reason))
        }
    }
}

/// The source of an overlay and whether it is read-only; `at` is where the overlay stands.
pub(crate) fn overlay_source(at: &str, overlay: OverlayMountConfig) -> Result<(MountSource, bool)> {
    if !overlay.store.is_null() {
        let reason = "changes of an overlay are in memory and end with the VM; leave it out";
        return Err(Error::config(format!("{at}.store"), reason));
    }
    if overlay.lowers.is_empty() {
        let reason = "an overlay needs a lower layer; an empty file system is the plugin `memory`";
        return Err(Error::config(format!("{at}.lowers"), reason));
    }
    let lower = |(n, value)| lower_layer(&format!("{at}.lowers[{n}]"), value);
    let lowers = overlay.lowers.into_iter().enumerate().map(lower).collect::<Result<_>>()?;
    Ok((MountSource::Overlay { lowers }, overlay.mode == Some(RootFilesystemMode::ReadOnly)))
}

fn lower_layer(at: &str, value: Value) -> Result<OverlayLower> {
    let mut fields = Fields::new(at, value)?;
    let kind = fields.left.remove("kind");
    let lower = match kind.as_ref().and_then(Value::as_str) {
        Some("bundled-base-filesystem") => OverlayLower::Bundled,
        Some("host-dir") => OverlayLower::HostDir { host_path: fields.host_path()? },
        Some(kind) => {
            let reason = format!(
                "{kind:?} is not supported by this version; it has bundled-base-filesystem and host-dir"
            );
            return Err(Error::config(fields.path("kind"), reason));
        }
        None => return Err(Error::config(fields.path("kind"), "must be a text")),
    };
    fields.end()?;
    Ok(lower)
}

/// The mount of the host's `node_modules`, read-only.
pub(crate) fn node_modules(cwd: &str) -> Result<MountSpec> {
    let refuse = |reason: String| Error::config("moduleAccessCwd", reason);
    let folder =
        std::path::absolute(cwd).map_err(|error| refuse(format!("{cwd:?}: {error}")))?.join("node_modules");
    if !folder.is_dir() {
        return Err(refuse(format!("there is no directory {}", folder.display())));
    }
    let host_path = WirePath::from(Path::as_os_str(&folder).as_encoded_bytes().to_vec());
    let source = MountSource::HostDir { host_path, uid: None, gid: None };
    Ok(MountSpec { path: NODE_MODULES.into(), source, read_only: true })
}
