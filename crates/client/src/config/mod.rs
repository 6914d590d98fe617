//! The configuration of a VM: every field, its default, and the builder.
//! What of it this version honours is decided in `lower`; the rest is refused at `create`, never ignored.

mod egress;
mod file;
mod filesystem;
mod lower;
mod model;
mod mounts;
mod schedule;
mod software;
mod tool;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use agentos_protocol::message::{
    PermissionMode, PermissionRule, PermissionRules, PermissionScope, Permissions, PermissionsMode, Secret,
    UserConfig, VmLimits,
};
pub use egress::{EgressCredential, EgressPolicy};
pub use filesystem::{
    MountConfig, MountPlugin, OverlayMountConfig, RootFilesystemConfig, RootFilesystemKind,
    RootFilesystemMode, RootLowerInput,
};
pub(crate) use lower::{lower, named_by_field};
pub use model::{ModelAccess, ModelApi};
pub(crate) use mounts::{overlay_source, plugin_source};
pub use schedule::{ScheduleCallback, ScheduleDriver, ScheduleEntry, ScheduleHandle};
pub use software::{SoftwareInput, SoftwareKind};
pub use tool::{HostTool, OnToolRequest, ToolCallback, ToolKit, ToolRequest, ToolRequestCallback};

use crate::sidecar::AgentOsSidecar;

/// Where the sidecar comes from.
#[derive(Clone, Debug)]
pub enum AgentOsSidecarConfig {
    /// One that programs of this user share.
    Shared {
        /// Name of the pool; `default`.
        pool: Option<String>,
    },
    /// This one.
    Explicit {
        /// From [`crate::AgentOs::create_sidecar`] or [`crate::AgentOs::get_shared_sidecar`].
        handle: Arc<AgentOsSidecar>,
    },
}

impl Default for AgentOsSidecarConfig {
    fn default() -> Self {
        AgentOsSidecarConfig::Shared { pool: None }
    }
}

/// Where a VM's clock and random numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum ClockConfig {
    /// A clock that begins here, milliseconds since 1970 UTC, for runs that can be repeated.
    Seeded {
        /// The begin.
        start_ms: u64,
    },
}

/// Where random numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum RandomConfig {
    /// A generator with this seed, for runs that can be repeated.
    Seeded {
        /// The seed.
        seed: u64,
    },
}

/// What of a VM outlives it: the files of its root. A VM with the same persistence goes on with them; only one at a time can. A
/// fork is not kept.
///
/// What a guest synced is on the disk, whatever happens next; anything else at most 2 seconds later, and when the VM is disposed.
///
/// ```no_run
/// # async fn f() -> Result<(), agentos::Error> {
/// use agentos::{AgentOs, AgentOsConfig, PersistenceConfig};
/// let kept = PersistenceConfig::Directory { path: "/var/lib/me/machine".into() };
/// let os = AgentOs::create(AgentOsConfig::builder().persistence(kept).build()).await?;
/// os.write_file("/workspace/notes", "these are there the next time").await?;
/// os.dispose().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum PersistenceConfig {
    /// The files of the root are kept in this host directory, which holds nothing else. It is made if it is missing.
    Directory {
        /// The directory, an absolute path.
        path: String,
    },
    /// The files of the root are kept in this SQLite file, which is made if it is missing.
    Sqlite {
        /// The file, an absolute path; its directory must be there.
        path: String,
    },
}

/// Configuration of a VM; every field is optional.
///
/// ```
/// use agentos::{AgentOsConfig, MountConfig};
/// let config = AgentOsConfig::builder()
///     .env("LANG", "de_DE.UTF-8")
///     .mount(MountConfig::host_dir("/workspace/src", "/home/me/project", true))
///     .build();
/// assert_eq!(config.mounts.len(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct AgentOsConfig {
    /// Software to mount; none.
    pub software: Vec<SoftwareInput>,
    /// Host loopback ports that origins of [`egress`](Self::egress) and MCP servers of sessions may lead to; none.
    pub loopback_exempt_ports: Vec<u16>,
    /// Builtin modules for guest JavaScript; the hardened set.
    pub allowed_node_builtins: Option<Vec<String>>,
    /// Host directory whose `node_modules` programs find, read-only, at `/node_modules`: the last place in which a script looks,
    /// wherever it is, so modules that are installed in the VM go first. Links inside of it (pnpm) work, those that lead out
    /// do not. Relative to the working directory of this program; none is mounted unless it is set.
    pub module_access_cwd: Option<String>,
    /// The root file system; an overlay over the bundled base.
    pub root_filesystem: RootFilesystemConfig,
    /// Mounts; none.
    pub mounts: Vec<MountConfig>,
    /// Appended to every session's OS instructions, in `/etc/agentos/instructions.md`.
    pub additional_instructions: Option<String>,
    /// What runs schedules; a timer.
    pub schedule_driver: Option<Arc<dyn ScheduleDriver>>,
    /// Tools of the host for guests; none.
    pub tool_kits: Vec<ToolKit>,
    /// Answers where `permissions.tool` says `ask`; needed there.
    pub on_tool_request: Option<OnToolRequest>,
    /// How long that answer may take, milliseconds; 60,000. Then it is no.
    pub tool_request_timeout_ms: Option<u64>,
    /// What guests may do; everything inside the VM.
    pub permissions: Option<Permissions>,
    /// How `permissions` is meant: enforced.
    pub permissions_mode: PermissionsMode,
    /// The sidecar; the shared one of pool `default`.
    pub sidecar: Option<AgentOsSidecarConfig>,
    /// Limits.
    pub limits: VmLimits,
    /// What may leave the VM; nothing.
    pub egress: Option<EgressPolicy>,
    /// Secrets that credentials of [`egress`](Self::egress) name; none. No guest sees them, and `Debug` does not show them.
    pub secrets: BTreeMap<String, Secret>,
    /// Added to the environment of every process.
    pub env: BTreeMap<String, String>,
    /// Host name; `agentos`.
    pub hostname: Option<String>,
    /// The user; `agentos` (1000:1000).
    pub user: Option<UserConfig>,
    /// Working directory; `/workspace`.
    pub cwd: Option<String>,
    /// The clock; the host's.
    pub clock: Option<ClockConfig>,
    /// Random numbers; the host's.
    pub random: Option<RandomConfig>,
    /// Free text for listings.
    pub labels: BTreeMap<String, String>,
    /// What outlives the VM; nothing.
    pub persistence: Option<PersistenceConfig>,
    /// Make a checkpoint before each turn of an agent, named `{session id}/turn-{n}`; no. At the limits of checkpoints the
    /// oldest of these goes.
    pub turn_checkpoints: bool,
}

impl AgentOsConfig {
    /// A builder.
    pub fn builder() -> AgentOsConfigBuilder {
        AgentOsConfigBuilder::default()
    }
}

/// Builds an [`AgentOsConfig`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct AgentOsConfigBuilder {
    config: AgentOsConfig,
}

macro_rules! setters {
    ($($(#[$meta:meta])* $name:ident: $ty:ty => $config:ident, $value:ident, $set:expr;)*) => {
        impl AgentOsConfigBuilder {
            $(
                $(#[$meta])*
                pub fn $name(mut self, $value: $ty) -> Self {
                    let $config = &mut self.config;
                    $set;
                    self
                }
            )*
        }
    };
}

setters! {
    /// Sets [`AgentOsConfig::software`].
    software: Vec<SoftwareInput> => c, v, c.software = v;
    /// Sets [`AgentOsConfig::loopback_exempt_ports`].
    loopback_exempt_ports: Vec<u16> => c, v, c.loopback_exempt_ports = v;
    /// Sets [`AgentOsConfig::allowed_node_builtins`].
    allowed_node_builtins: Vec<String> => c, v, c.allowed_node_builtins = Some(v);
    /// Sets [`AgentOsConfig::module_access_cwd`].
    module_access_cwd: impl Into<String> => c, v, c.module_access_cwd = Some(v.into());
    /// Sets [`AgentOsConfig::root_filesystem`].
    root_filesystem: RootFilesystemConfig => c, v, c.root_filesystem = v;
    /// Sets [`AgentOsConfig::mounts`].
    mounts: Vec<MountConfig> => c, v, c.mounts = v;
    /// Adds to [`AgentOsConfig::mounts`].
    mount: MountConfig => c, v, c.mounts.push(v);
    /// Sets [`AgentOsConfig::additional_instructions`].
    additional_instructions: impl Into<String> => c, v, c.additional_instructions = Some(v.into());
    /// Sets [`AgentOsConfig::schedule_driver`].
    schedule_driver: Arc<dyn ScheduleDriver> => c, v, c.schedule_driver = Some(v);
    /// Sets [`AgentOsConfig::tool_kits`].
    tool_kits: Vec<ToolKit> => c, v, c.tool_kits = v;
    /// Answers whether a tool may be called, where the permission tree says `ask` for it.
    on_tool_request: ToolRequestCallback => c, v, c.on_tool_request = Some(OnToolRequest(v));
    /// Sets [`AgentOsConfig::tool_request_timeout_ms`].
    tool_request_timeout_ms: u64 => c, v, c.tool_request_timeout_ms = Some(v);
    /// Sets [`AgentOsConfig::permissions`].
    permissions: Permissions => c, v, c.permissions = Some(v);
    /// Sets [`AgentOsConfig::permissions_mode`].
    permissions_mode: PermissionsMode => c, v, c.permissions_mode = v;
    /// Sets [`AgentOsConfig::sidecar`].
    sidecar: AgentOsSidecarConfig => c, v, c.sidecar = Some(v);
    /// Sets [`AgentOsConfig::limits`].
    limits: VmLimits => c, v, c.limits = v;
    /// Sets [`AgentOsConfig::egress`].
    egress: EgressPolicy => c, v, c.egress = Some(v);
    /// Sets [`AgentOsConfig::secrets`].
    secrets: BTreeMap<String, String> => c, v, c.secrets = v.into_iter().map(|(k, v)| (k, v.into())).collect();
    /// Sets [`AgentOsConfig::env`].
    envs: BTreeMap<String, String> => c, v, c.env = v;
    /// Sets [`AgentOsConfig::hostname`].
    hostname: impl Into<String> => c, v, c.hostname = Some(v.into());
    /// Sets [`AgentOsConfig::user`].
    user: UserConfig => c, v, c.user = Some(v);
    /// Sets [`AgentOsConfig::cwd`].
    cwd: impl Into<String> => c, v, c.cwd = Some(v.into());
    /// Sets [`AgentOsConfig::clock`].
    clock: ClockConfig => c, v, c.clock = Some(v);
    /// Sets [`AgentOsConfig::random`].
    random: RandomConfig => c, v, c.random = Some(v);
    /// Sets [`AgentOsConfig::labels`].
    labels: BTreeMap<String, String> => c, v, c.labels = v;
    /// Sets [`AgentOsConfig::persistence`].
    persistence: PersistenceConfig => c, v, c.persistence = Some(v);
    /// Sets [`AgentOsConfig::turn_checkpoints`].
    turn_checkpoints: bool => c, v, c.turn_checkpoints = v;
}

impl AgentOsConfigBuilder {
    /// Adds to [`AgentOsConfig::env`].
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.env.insert(name.into(), value.into());
        self
    }

    /// Adds to [`AgentOsConfig::secrets`].
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.secrets.insert(name.into(), value.into().into());
        self
    }

    /// The configuration.
    #[must_use]
    pub fn build(self) -> AgentOsConfig {
        self.config
    }
}
