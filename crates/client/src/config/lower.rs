//! From the configuration to the message: checks every field and refuses what this version cannot honour.
//! The sidecar checks again what only it can know.

use std::collections::BTreeSet;
use std::sync::Arc;

use agentos_protocol::message::{
    MountSource, MountSpec, PersistenceSpec, RootFilesystem, RootLower, ToolsSpec, VmConfig, WirePath,
};

use super::mounts::{node_modules, overlay_source, plugin_source};
use super::tool::specs;
use super::{
    AgentOsConfig, MountConfig, PersistenceConfig, RootFilesystemConfig, RootFilesystemMode, RootLowerInput,
    egress,
};
use crate::error::{Error, Result};
use crate::mounts::VirtualFileSystem;
use crate::path::guest_path;
use crate::snapshots::Source;
use crate::tools::ToolHost;

/// What is sent, and the drivers that stay here: the n-th belongs to the mount at that index.
pub(crate) struct Lowered {
    pub(crate) config: VmConfig,
    pub(crate) drivers: Vec<(usize, Arc<dyn VirtualFileSystem>)>,
    /// The callbacks of the tools.
    pub(crate) tools: Option<Arc<ToolHost>>,
    /// Which mount comes from `moduleAccessCwd`.
    pub(crate) modules: Option<usize>,
    /// Snapshots that are to be sent before: the n-th becomes the lower at that index.
    pub(crate) snapshots: Vec<(usize, Source)>,
}

/// What the sidecar says of a mount that the configuration does not have as one, told of the field it comes from.
pub(crate) fn named_by_field(error: Error, modules: Option<usize>) -> Error {
    match (error, modules) {
        (Error::InvalidConfig { path, reason }, Some(n)) if path.starts_with(&format!("mounts[{n}]")) => {
            Error::config("moduleAccessCwd", reason)
        }
        (error, _) => error,
    }
}

/// How long an answer to `on_tool_request` may take, milliseconds.
const ASK_MS: u64 = 60_000;
const LATER: &str = "is not supported by this version";

pub(crate) fn lower(config: AgentOsConfig) -> Result<Lowered> {
    refuse_unsupported(&config)?;
    for (i, name) in config.env.keys().enumerate() {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Error::config("env", format!("name {i} ({name:?}) is empty or contains `=` or NUL")));
        }
    }
    let hostname_ok = |name: &String| {
        !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
    };
    if config.hostname.as_ref().is_some_and(|name| !hostname_ok(name)) {
        return Err(Error::config("hostname", "must be 1 to 64 letters, digits, `-` and `.`"));
    }
    let cwd = config.cwd.map(|cwd| config_path("cwd", &cwd)).transpose()?;
    let mut drivers = Vec::new();
    let mut mounts = Vec::new();
    let mut places = BTreeSet::new();
    for (i, mount) in config.mounts.into_iter().enumerate() {
        let at = format!("mounts[{i}]");
        let spec = match mount {
            MountConfig::Plain { path, driver, read_only } => {
                drivers.push((i, driver));
                let path = config_path(&format!("{at}.path"), &path)?;
                MountSpec { path, source: MountSource::Driver { driver_id: 0 }, read_only }
            }
            MountConfig::Native { path, plugin, read_only } => {
                let path = config_path(&format!("{at}.path"), &path)?;
                let (source, by_plugin) = plugin_source(&format!("{at}.plugin"), plugin)?;
                MountSpec { path, source, read_only: read_only || by_plugin }
            }
            MountConfig::Overlay { path, filesystem } => {
                let path = config_path(&format!("{at}.path"), &path)?;
                let (source, read_only) = overlay_source(&format!("{at}.filesystem"), filesystem)?;
                MountSpec { path, source, read_only }
            }
        };
        if !places.insert(spec.path.clone()) {
            return Err(Error::config(format!("{at}.path"), "another mount has the same path"));
        }
        mounts.push(spec);
    }
    let mut modules = None;
    if let Some(cwd) = &config.module_access_cwd {
        let spec = node_modules(cwd)?;
        if !places.insert(spec.path.clone()) {
            return Err(Error::config("moduleAccessCwd", format!("another mount is at {}", spec.path)));
        }
        modules = Some(mounts.len());
        mounts.push(spec);
    }
    if config.persistence.is_some() && config.root_filesystem.mode == Some(RootFilesystemMode::Ephemeral) {
        return Err(Error::config(
            "rootFilesystem.mode",
            "`persistence` keeps what changes; leave one of both out",
        ));
    }
    let (root, snapshots) = root(config.root_filesystem)?;
    let asks = config.on_tool_request.is_some();
    if asks && config.tool_kits.is_empty() {
        return Err(Error::config("onToolRequest", "is never called: there are no `tool_kits`"));
    }
    if config.tool_request_timeout_ms.is_some() && !asks {
        return Err(Error::config("toolRequestTimeoutMs", "has no effect without `on_tool_request`"));
    }
    let (mut tools, mut host) = (None, None);
    if !config.tool_kits.is_empty() {
        let ask_timeout_ms = config.tool_request_timeout_ms.unwrap_or(ASK_MS);
        tools = Some(ToolsSpec { tools_id: 0, kits: specs(&config.tool_kits)?, asks, ask_timeout_ms });
        host = Some(ToolHost::new(config.tool_kits, config.on_tool_request));
    }
    let config = VmConfig {
        env: config.env,
        hostname: config.hostname,
        user: config.user,
        cwd,
        limits: config.limits,
        root,
        mounts,
        additional_instructions: config.additional_instructions,
        labels: config.labels,
        turn_checkpoints: config.turn_checkpoints,
        permissions: config.permissions,
        permissions_mode: config.permissions_mode,
        persistence: config.persistence.map(persistence).transpose()?,
        egress: config.egress.map(egress::spec),
        secrets: config.secrets,
        loopback_exempt_ports: config.loopback_exempt_ports,
        tools,
        ..VmConfig::default()
    };
    Ok(Lowered { config, drivers, tools: host, modules, snapshots })
}

fn refuse_unsupported(config: &AgentOsConfig) -> Result<()> {
    let refused = [
        ("software", !config.software.is_empty()),
        ("allowedNodeBuiltins", config.allowed_node_builtins.is_some()),
        ("clock", config.clock.is_some()),
        ("random", config.random.is_some()),
    ];
    match refused.iter().find(|(_, set)| *set) {
        Some((path, _)) => Err(Error::config(*path, LATER)),
        None => Ok(()),
    }
}

fn config_path(at: &str, path: &str) -> Result<WirePath> {
    guest_path(path).map_err(|error| Error::config(at, error.to_string()))
}

fn persistence(config: PersistenceConfig) -> Result<PersistenceSpec> {
    let (at, path) = match &config {
        PersistenceConfig::Directory { path } => ("persistence.directory.path", path),
        PersistenceConfig::Sqlite { path } => ("persistence.sqlite.path", path),
    };
    if !path.starts_with('/') {
        return Err(Error::config(at, "must be an absolute path of the host"));
    }
    let path = WirePath::from(path.as_str());
    Ok(match config {
        PersistenceConfig::Directory { .. } => PersistenceSpec::Directory { path },
        PersistenceConfig::Sqlite { .. } => PersistenceSpec::Sqlite { path },
    })
}

fn root(config: RootFilesystemConfig) -> Result<(RootFilesystem, Vec<(usize, Source)>)> {
    let (mut lowers, mut snapshots) = (Vec::new(), Vec::new());
    for (i, lower) in config.lowers.into_iter().enumerate() {
        match lower {
            RootLowerInput::BundledBaseFilesystem => lowers.push(RootLower::Bundled),
            RootLowerInput::SnapshotExport { source } => {
                snapshots.push((i, Source::of(&format!("rootFilesystem.lowers[{i}].source"), source)?));
                lowers.push(RootLower::Layer { layer_id: String::new() });
            }
        }
    }
    let root = RootFilesystem {
        read_only: config.mode == Some(RootFilesystemMode::ReadOnly),
        disable_default_base_layer: config.disable_default_base_layer,
        lowers,
    };
    Ok((root, snapshots))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::*;

    fn path_of(config: AgentOsConfig) -> String {
        match lower(config).map(|_| ()).unwrap_err() {
            Error::InvalidConfig { path, .. } => path,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_has_no_effect_is_refused() {
        let b = AgentOsConfig::builder;
        let kit = ToolKit { name: "k".into(), description: String::new(), tools: vec![] };
        let long = ToolKit { description: "x".repeat(5 << 20), ..kit.clone() };
        let yes: ToolRequestCallback = Arc::new(|_| Box::pin(async { true }));
        let snapshot = RootLowerInput::SnapshotExport { source: Value::Null };
        let native = |id: &str, config: Value| MountConfig::Native {
            path: "/m".into(),
            plugin: MountPlugin { id: id.into(), config },
            read_only: false,
        };
        let bundled = || json!({"kind": "bundled-base-filesystem"});
        let overlay = |filesystem: Value| MountConfig::Overlay {
            path: "/m".into(),
            filesystem: serde_json::from_value(filesystem).unwrap(),
        };
        let cases = [
            (b().on_tool_request(yes.clone()).build(), "onToolRequest"),
            (b().tool_kits(vec![kit.clone()]).tool_request_timeout_ms(1).build(), "toolRequestTimeoutMs"),
            (b().tool_kits(vec![long]).build(), "toolKits"),
            (b().module_access_cwd("/no/such/directory").build(), "moduleAccessCwd"),
            (b().random(RandomConfig::Seeded { seed: 1 }).build(), "random"),
            (b().clock(ClockConfig::Seeded { start_ms: 1 }).build(), "clock"),
            (b().mount(native("s4", Value::Null)).build(), "mounts[0].plugin.id"),
            (b().mount(native("host_dir", Value::Null)).build(), "mounts[0].plugin.config.hostPath"),
            (b().mount(native("memory", json!({"sise": 1}))).build(), "mounts[0].plugin.config.sise"),
            (b().mount(native("memory", json!({"mode": 4096}))).build(), "mounts[0].plugin.config.mode"),
            (b().mount(native("memory", json!({"uid": -1}))).build(), "mounts[0].plugin.config.uid"),
            (
                b().mount(native("memory", json!({"inodes": "many"}))).build(),
                "mounts[0].plugin.config.inodes",
            ),
            (
                b().mount(native("memory", json!({"size": 1, "sizeBytes": 1}))).build(),
                "mounts[0].plugin.config.size",
            ),
            (b().mount(native("memory", json!([]))).build(), "mounts[0].plugin.config"),
            (
                b().mount(native("host_dir", json!({"hostPath": "/", "readonly": true}))).build(),
                "mounts[0].plugin.config.readonly",
            ),
            (
                b().mount(native("host_dir", json!({"hostPath": "/", "readOnly": 1}))).build(),
                "mounts[0].plugin.config.readOnly",
            ),
            (
                b().mount(native("host_dir", json!({"hostPath": "relative"}))).build(),
                "mounts[0].plugin.config.hostPath",
            ),
            (b().mount(overlay(json!({}))).build(), "mounts[0].filesystem.lowers"),
            (
                b().mount(overlay(json!({"store": "x", "lowers": [bundled()]}))).build(),
                "mounts[0].filesystem.store",
            ),
            (
                b().mount(overlay(json!({"lowers": [bundled(), {"kind": "zip"}]}))).build(),
                "mounts[0].filesystem.lowers[1].kind",
            ),
            (
                b().mount(overlay(json!({"lowers": [{"kind": "host-dir"}]}))).build(),
                "mounts[0].filesystem.lowers[0].hostPath",
            ),
            (
                b().mount(overlay(json!({"lowers": [{"kind": "bundled-base-filesystem", "x": 1}]}))).build(),
                "mounts[0].filesystem.lowers[0].x",
            ),
            (b().mount(MountConfig::memory("relative")).build(), "mounts[0].path"),
            (b().mount(MountConfig::memory("/m")).mount(MountConfig::memory("/m")).build(), "mounts[1].path"),
            (
                b().root_filesystem(RootFilesystemConfig { lowers: vec![snapshot], ..Default::default() })
                    .build(),
                "rootFilesystem.lowers[0].source",
            ),
            (
                b().persistence(PersistenceConfig::Directory { path: "here".into() }).build(),
                "persistence.directory.path",
            ),
            (
                b().persistence(PersistenceConfig::Sqlite { path: "x.db".into() }).build(),
                "persistence.sqlite.path",
            ),
            (b().cwd("here").build(), "cwd"),
            (b().env("A=B", "c").build(), "env"),
            (b().hostname("").build(), "hostname"),
        ];
        for (config, path) in cases {
            assert_eq!(path_of(config), path);
        }
    }

    #[test]
    fn what_may_leave_is_sent_and_no_secret_is_shown() {
        let api = "https://a.example";
        let egress = EgressPolicy::new([api]).credential(api, "x-key", "{key}");
        let built = AgentOsConfig::builder()
            .egress(egress)
            .secret("key", "hunter2")
            .loopback_exempt_ports(vec![443])
            .build();
        let file = AgentOsConfig::from_json(
            r#"{"egress": {"allow": ["https://a.example"], "credentials": [
                    {"origin": "https://a.example", "header": "x-key", "value": "{key}"}]},
                "secrets": {"key": "hunter2"}, "loopbackExemptPorts": [443]}"#,
        )
        .unwrap();
        assert!(!format!("{built:?}").contains("hunter2"));
        let (built, file) = (lower(built).unwrap().config, lower(file).unwrap().config);
        assert_eq!(built, file);
        assert_eq!(built.secrets["key"].reveal(), "hunter2");
        assert_eq!(built.egress.unwrap().credentials[0].value, "{key}");
        assert_eq!(built.loopback_exempt_ports, [443]);
    }

    #[test]
    fn files_are_strict_and_know_where() {
        let path = |text: &str| match AgentOsConfig::from_json(text).unwrap_err() {
            Error::InvalidConfig { path, .. } => path,
            other => panic!("{other:?}"),
        };
        assert_eq!(path(r#"{"hostnam": "x"}"#), "hostnam");
        assert_eq!(path(r#"{"limits": {"processes": "many"}}"#), "limits");
        assert_eq!(path(r#"{"user": {"shell": "x"}}"#), "user.shell");
        assert_eq!(path(r#"{"toolKits": []}"#), "toolKits");
        assert_eq!(path(r#"{"egress": {"credentials": [{"origin": "x"}]}}"#), "egress");
        let error = AgentOsConfig::from_json(r#"{"secrets": {"key": 12345}}"#).unwrap_err().to_string();
        assert!(error.contains("secrets") && !error.contains("12345"), "{error}");
        assert_eq!(path(r#"{"mounts": [{"path": "/a"}]}"#), "mounts[0]");
        assert_eq!(
            path(r#"{"mounts": [{"path": "/a", "plugin": {"id": "memory", "cfg": 1}}]}"#),
            "mounts[0]"
        );
        assert_eq!(path(r#"{"rootFilesystem": {"lowers": [{"kind": "zip"}]}}"#), "rootFilesystem");
        let config = AgentOsConfig::from_json(
            r#"{"user": {"name": "me", "home": "/h"}, "sidecar": {"shared": {"pool": "p"}},
                "rootFilesystem": {"type": "overlay", "mode": "read-only", "lowers": [{"kind": "bundled-base-filesystem"}]},
                "software": [{"package": "/x"}], "mounts": [{"path": "/m", "plugin": {"id": "memory"}, "readOnly": true}]}"#,
        )
        .unwrap();
        assert_eq!(config.user.as_ref().unwrap().uid, 1000);
        assert_eq!(config.software[0].kind, SoftwareKind::WasmCommands);
        assert_eq!(config.root_filesystem.mode, Some(RootFilesystemMode::ReadOnly));
        assert!(matches!(&config.sidecar, Some(AgentOsSidecarConfig::Shared { pool: Some(p) }) if p == "p"));
    }
}
