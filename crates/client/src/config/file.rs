//! The configuration as JSON: what of it is data can be read from a file. Unknown fields are refused with their path.
//! Drivers and tools are code and cannot come from a file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    AgentOsConfig, AgentOsSidecarConfig, ClockConfig, EgressPolicy, MountConfig, MountPlugin,
    OverlayMountConfig, Permissions, PersistenceConfig, RandomConfig, RootFilesystemConfig, SoftwareInput,
    UserConfig, VmLimits,
};
use crate::error::{Error, Result};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum SidecarFile {
    #[default]
    #[serde(skip)]
    Absent,
    #[serde(rename_all = "camelCase")]
    Shared {
        #[serde(default)]
        pool: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MountFile {
    path: String,
    plugin: Option<MountPlugin>,
    filesystem: Option<OverlayMountConfig>,
    #[serde(default)]
    read_only: bool,
}

/// Reads each field by itself, so that an error knows where it is.
struct Fields(Map<String, Value>);

impl Fields {
    fn take<T: for<'de> Deserialize<'de> + Default>(&mut self, name: &str) -> Result<T> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(T::default()),
            Some(value) => parse(name, value),
        }
    }

    fn take_list<T: for<'de> Deserialize<'de>>(&mut self, name: &str) -> Result<Vec<T>> {
        let items: Vec<Value> = self.take(name)?;
        items.into_iter().enumerate().map(|(i, item)| parse(&format!("{name}[{i}]"), item)).collect()
    }

    /// For types of the wire, which ignore unknown fields there.
    fn take_known<T>(&mut self, name: &str) -> Result<Option<T>>
    where
        T: for<'de> Deserialize<'de> + Serialize + Default,
    {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        let mut known = serde_json::to_value(T::default()).unwrap_or_default();
        if let (Some(known), "user") = (known.as_object_mut(), name) {
            known.insert("home".to_owned(), Value::Null);
        }
        for key in value.as_object().into_iter().flat_map(Map::keys) {
            if known.get(key).is_none() {
                return Err(Error::config(format!("{name}.{key}"), "unknown field"));
            }
        }
        parse(name, value).map(Some)
    }
}

fn parse<T: for<'de> Deserialize<'de>>(path: &str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|e| Error::config(path, e.to_string()))
}

/// What is code, or is nothing without it.
const CODE: [&str; 4] = ["onToolRequest", "scheduleDriver", "toolKits", "toolRequestTimeoutMs"];

impl AgentOsConfig {
    /// Reads a JSON object with the fields of [`AgentOsConfig`] in camelCase. Mounts are `{path, plugin, readOnly}` or
    /// `{path, filesystem}`; `sidecar` is `{"shared": {"pool": …}}`.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] with the path of the field.
    ///
    /// ```
    /// use agentos::AgentOsConfig;
    /// let config = AgentOsConfig::from_json(r#"{"limits": {"processes": 64}, "hostname": "box"}"#).unwrap();
    /// assert_eq!(config.limits.processes, 64);
    /// let error = AgentOsConfig::from_json(r#"{"limits": {"procs": 64}}"#).unwrap_err();
    /// assert_eq!(error.to_string(), "configuration: limits.procs: unknown field");
    /// ```
    pub fn from_json(text: &str) -> Result<Self> {
        let value: Map<String, Value> =
            serde_json::from_str(text).map_err(|e| Error::config("", e.to_string()))?;
        let mut fields = Fields(value);
        let f = &mut fields;
        let config = AgentOsConfig {
            software: f.take_list::<SoftwareInput>("software")?,
            loopback_exempt_ports: f.take("loopbackExemptPorts")?,
            allowed_node_builtins: f.take("allowedNodeBuiltins")?,
            module_access_cwd: f.take("moduleAccessCwd")?,
            root_filesystem: f.take::<RootFilesystemConfig>("rootFilesystem")?,
            mounts: mounts(f.take_list::<MountFile>("mounts")?)?,
            additional_instructions: f.take("additionalInstructions")?,
            schedule_driver: None,
            tool_kits: Vec::new(),
            on_tool_request: None,
            tool_request_timeout_ms: None,
            permissions: f.take::<Option<Permissions>>("permissions")?,
            permissions_mode: f.take("permissionsMode")?,
            sidecar: match f.take("sidecar")? {
                SidecarFile::Absent => None,
                SidecarFile::Shared { pool } => Some(AgentOsSidecarConfig::Shared { pool }),
            },
            limits: f.take_known::<VmLimits>("limits")?.unwrap_or_default(),
            egress: f.take::<Option<EgressPolicy>>("egress")?,
            // What is wrong with a value would show it.
            secrets: f
                .take("secrets")
                .map_err(|_| Error::config("secrets", "must be an object whose values are texts"))?,
            env: f.take::<BTreeMap<String, String>>("env")?,
            hostname: f.take("hostname")?,
            user: f.take_known::<UserConfig>("user")?,
            cwd: f.take("cwd")?,
            clock: f.take::<Option<ClockConfig>>("clock")?,
            random: f.take::<Option<RandomConfig>>("random")?,
            labels: f.take("labels")?,
            persistence: f.take::<Option<PersistenceConfig>>("persistence")?,
            turn_checkpoints: f.take("turnCheckpoints")?,
        };
        match fields.0.keys().next() {
            None => Ok(config),
            Some(key) if CODE.contains(&key.as_str()) => {
                Err(Error::config(key, "is code and cannot come from a file"))
            }
            Some(key) => Err(Error::config(key, "unknown field")),
        }
    }
}

fn mounts(files: Vec<MountFile>) -> Result<Vec<MountConfig>> {
    let one = |(i, file): (usize, MountFile)| match (file.plugin, file.filesystem) {
        (Some(plugin), None) => {
            Ok(MountConfig::Native { path: file.path, plugin, read_only: file.read_only })
        }
        (None, Some(_)) if file.read_only => {
            Err(Error::config(format!("mounts[{i}].readOnly"), "an overlay has `filesystem.mode` instead"))
        }
        (None, Some(filesystem)) => Ok(MountConfig::Overlay { path: file.path, filesystem }),
        _ => Err(Error::config(format!("mounts[{i}]"), "needs either `plugin` or `filesystem`")),
    };
    files.into_iter().enumerate().map(one).collect()
}
