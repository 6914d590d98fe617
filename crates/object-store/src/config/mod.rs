//! What a mount configures: every field is checked, unknown ones are refused, and no error shows a value that may be secret.

mod fields;
mod google_drive;
mod s3;
mod webdav;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use agentos_vfs::{DriverFs, Errno};
use opendal::Operator;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::mount::StoreOptions;
use crate::remote::Traits;
use fields::Fields;

/// The plugins there are.
pub const IDS: [&str; 3] = ["google_drive", "s3", "webdav"];

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct ConfigError {
    /// Its path in the plugin, such as `config.bucket`.
    pub field: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl ConfigError {
    fn new(field: &str, reason: impl Into<String>) -> Self {
        ConfigError { field: field.to_owned(), reason: reason.into() }
    }
}

/// What the mount decides, not its configuration.
#[derive(Clone, Debug)]
pub struct MountOptions {
    /// Refuse changes with EROFS.
    pub read_only: bool,
    /// Owner of everything.
    pub uid: u32,
    /// Group of everything.
    pub gid: u32,
    /// A directory of the host for files that are being written.
    pub staging_dir: PathBuf,
    /// Where requests and timers run.
    pub runtime: Handle,
}

/// What all stores have.
#[derive(Clone, Copy, Debug)]
struct Common {
    timeout: Duration,
    cache_ttl: Duration,
    cache_bytes: usize,
    staging_bytes: u64,
    file_mode: u32,
    directory_mode: u32,
}

/// A store that is configured, and not yet mounted.
pub struct ObjectStore {
    id: &'static str,
    source: String,
    pub(crate) operator: Operator,
    pub(crate) traits: Traits,
    common: Common,
}

impl ObjectStore {
    /// Reads the configuration of plugin `id`; docs/object-stores.md has the fields. Nothing is connected yet.
    ///
    /// ```
    /// use agentos_object_store::ObjectStore;
    ///
    /// let config = serde_json::json!({ "bucket": "data", "region": "eu-central-1", "prefix": "run/7" });
    /// let store = ObjectStore::new("s3", &config)?;
    /// assert_eq!(store.source(), "s3://data/run/7");
    ///
    /// let error = ObjectStore::new("s3", &serde_json::json!({ "bucket": "data" })).unwrap_err();
    /// assert_eq!(error.to_string(), "config.region: is needed without `endpoint`");
    /// # Ok::<(), agentos_object_store::ConfigError>(())
    /// ```
    pub fn new(id: &str, config: &Value) -> Result<Self, ConfigError> {
        let mut fields = Fields::new(config)?;
        let read = match id {
            "s3" => s3::read,
            "google_drive" => google_drive::read,
            "webdav" => webdav::read,
            _ => {
                let reason =
                    format!("unknown plugin `{id}`; there are memory, host_dir, fs, {}", IDS.join(", "));
                return Err(ConfigError::new("id", reason));
            }
        };
        let common = Common {
            timeout: Duration::from_millis(fields.number("timeoutMs", 30_000, 100..=600_000)?),
            cache_ttl: Duration::from_millis(fields.number("cacheTtlMs", 1_000, 0..=3_600_000)?),
            cache_bytes: usize::try_from(fields.number("cacheBytes", 64 << 20, 0..=(4 << 30))?)
                .unwrap_or(usize::MAX),
            staging_bytes: fields.number("stagingBytes", 1 << 30, (1 << 20)..=(1 << 44))?,
            file_mode: fields.mode("fileMode", 0o644)?,
            directory_mode: fields.mode("directoryMode", 0o755)?,
        };
        let store = read(&mut fields, common)?;
        fields.finish()?;
        Ok(store)
    }

    /// What `/proc/mounts` and `list_mounts` show: where it is, and nothing secret.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The file system. EINVAL for options that cannot be.
    pub fn mount(&self, mount: MountOptions) -> Result<DriverFs, Errno> {
        let common = self.common;
        let options = StoreOptions {
            type_name: self.id.to_owned(),
            read_only: mount.read_only,
            uid: mount.uid,
            gid: mount.gid,
            file_mode: common.file_mode,
            directory_mode: common.directory_mode,
            timeout: common.timeout,
            cache_ttl: common.cache_ttl,
            cache_bytes: common.cache_bytes,
            staging_bytes: common.staging_bytes,
            staging_dir: mount.staging_dir,
            runtime: mount.runtime,
        };
        crate::mount::mount(self.operator.clone(), self.traits, options)
    }
}

impl fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStore").field("source", &self.source).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(id: &str, config: &Value) -> String {
        let error = ObjectStore::new(id, config).map(|_| ()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        error.field
    }

    #[test]
    fn every_field_is_checked_and_named() {
        for (id, config, field) in [
            ("s4", json!({}), "id"),
            ("s3", json!([]), "config"),
            ("s3", json!({}), "config.bucket"),
            ("s3", json!({"bucket": 7}), "config.bucket"),
            ("s3", json!({"bucket": "b"}), "config.region"),
            ("s3", json!({"bucket": "b", "region": "r", "accessKeyId": "hunter2"}), "config.secretAccessKey"),
            ("s3", json!({"bucket": "b", "region": "r", "secretAccessKey": "hunter2"}), "config.accessKeyId"),
            ("s3", json!({"bucket": "b", "region": "r", "sessionToken": "hunter2"}), "config.accessKeyId"),
            (
                "s3",
                json!({"bucket": "b", "region": "r", "sessionToken": {"a": "hunter2"}}),
                "config.sessionToken",
            ),
            ("s3", json!({"bucket": "b", "endpoint": "ftp://x"}), "config.endpoint"),
            ("s3", json!({"bucket": "b", "endpoint": "http://a:hunter2@x"}), "config.endpoint"),
            ("s3", json!({"bucket": "b", "endpoint": "http://x/?key=hunter2"}), "config.endpoint"),
            ("s3", json!({"bucket": "b", "region": "r", "prefix": "a/../b"}), "config.prefix"),
            (
                "s3",
                json!({"bucket": "b", "region": "r", "virtualHostStyle": "yes"}),
                "config.virtualHostStyle",
            ),
            ("s3", json!({"bucket": "b", "region": "r", "timeoutMs": 0}), "config.timeoutMs"),
            ("s3", json!({"bucket": "b", "region": "r", "cacheTtlMs": -1}), "config.cacheTtlMs"),
            ("s3", json!({"bucket": "b", "region": "r", "fileMode": "0999"}), "config.fileMode"),
            ("s3", json!({"bucket": "b", "region": "r", "fileMode": 644}), "config.fileMode"),
            ("s3", json!({"bucket": "b", "region": "r", "hunter": 1}), "config.hunter"),
            ("webdav", json!({}), "config.endpoint"),
            ("webdav", json!({"endpoint": "http://x", "username": "u"}), "config.password"),
            ("webdav", json!({"endpoint": "http://x", "password": "hunter2"}), "config.username"),
            (
                "webdav",
                json!({"endpoint": "http://x", "username": "a:b", "password": "hunter2"}),
                "config.username",
            ),
            ("webdav", json!({"endpoint": "http://x", "conditionalWrites": 1}), "config.conditionalWrites"),
            ("webdav", json!({"endpoint": "http://x/%FF", "token": "hunter2"}), "config.endpoint"),
            (
                "webdav",
                json!({"endpoint": "http://x", "username": "u", "password": "hunter2", "token": "t"}),
                "config.token",
            ),
            ("google_drive", json!({}), "config.accessToken"),
            (
                "google_drive",
                json!({"accessToken": "hunter2", "refreshToken": "hunter2"}),
                "config.accessToken",
            ),
            ("google_drive", json!({"refreshToken": "hunter2", "clientId": "c"}), "config.clientSecret"),
            ("google_drive", json!({"accessToken": "hunter2", "bucket": "b"}), "config.bucket"),
        ] {
            assert_eq!(refused(id, &config), field, "{id} {config}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        for (id, config, source) in [
            (
                "s3",
                json!({"bucket": "b", "region": "r", "accessKeyId": "hunter2", "secretAccessKey": "hunter2",
                       "sessionToken": "hunter2"}),
                "s3://b/",
            ),
            (
                "webdav",
                json!({"endpoint": "https://dav.example/files/", "root": "/in/", "username": "u", "password": "hunter2"}),
                "https://dav.example/files/in",
            ),
            ("google_drive", json!({"accessToken": "hunter2", "root": "docs"}), "google_drive:/docs"),
        ] {
            let store = ObjectStore::new(id, &config).unwrap();
            assert_eq!(store.source(), source);
            assert!(!format!("{store:?} {:?}", store.operator).contains("hunter2"));
        }
    }
}
