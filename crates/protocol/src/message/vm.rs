//! VMs and the sidecar itself: creating, describing, ending.
//! A VM belongs to the connection that made it and ends with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EgressSpec, MountSpec, Permissions, PermissionsMode, Secret, ToolsSpec, WirePath};

/// Asks who the sidecar is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeSidecar {}

/// Asks for a sign of life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {}

/// Ends the sidecar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ShutdownSidecar {
    /// End VMs of other connections too; without it the call fails with `busy` while there are any.
    pub force: bool,
}

/// What a sidecar is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SidecarState {
    /// Takes requests.
    #[default]
    Ready,
    /// Ends its VMs.
    Disposing,
    /// Gone.
    Disposed,
}

/// A sidecar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SidecarInfo {
    /// Its id, unique on the machine.
    pub sidecar_id: String,
    /// What it is doing.
    pub state: SidecarState,
    /// VMs of all connections.
    pub active_vm_count: u32,
    /// Package version.
    pub version: String,
    /// Host process.
    pub pid: u32,
    /// Its own limits.
    pub limits: SidecarLimits,
}

/// Limits of a sidecar over all VMs; 0: no limit told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SidecarLimits {
    /// VMs.
    pub vms: u64,
    /// Live processes.
    pub processes: u64,
}

/// Makes a VM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateVm {
    /// Its configuration.
    #[serde(default)]
    pub config: VmConfig,
}

/// Makes a VM that starts with the files, mounts and configuration of another one. It has none of its processes and sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForkVm {
    /// The VM that is copied.
    pub vm_id: String,
}

/// Describes a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeVm {
    /// The VM.
    pub vm_id: String,
}

/// Ends a VM: sessions, processes, then its file system. Ending one that is gone succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DisposeVm {
    /// The VM.
    pub vm_id: String,
}

/// Asks for the VMs of this connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListVms {}

/// VMs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmList {
    /// The VMs.
    #[serde(default)]
    pub vms: Vec<VmInfo>,
}

/// A VM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VmInfo {
    /// Its id.
    pub vm_id: String,
    /// Host name.
    pub hostname: String,
    /// Working directory of its processes.
    pub cwd: String,
    /// Made, milliseconds since 1970 UTC.
    pub created_ms: u64,
    /// Live processes.
    pub processes: u32,
    /// Sessions.
    pub sessions: u32,
    /// Labels of its configuration.
    pub labels: BTreeMap<String, String>,
}

/// Configuration of a VM. What the sidecar cannot honour it refuses with `invalid_config` and the path of the field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VmConfig {
    /// Added to the default environment of every process.
    pub env: BTreeMap<String, String>,
    /// Host name; `agentos`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The user that processes run as; `agentos`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserConfig>,
    /// Working directory; `/workspace`. Made if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<WirePath>,
    /// Limits.
    pub limits: VmLimits,
    /// The root file system.
    pub root: RootFilesystem,
    /// Mounted in this order.
    pub mounts: Vec<MountSpec>,
    /// Appended to `/etc/agentos/instructions.md`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_instructions: Option<String>,
    /// Free text for listings.
    pub labels: BTreeMap<String, String>,
    /// The permission tree; absent allows all inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
    /// How the tree is meant.
    pub permissions_mode: PermissionsMode,
    /// What may leave; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<EgressSpec>,
    /// What credentials of egress name.
    pub secrets: BTreeMap<String, Secret>,
    /// Host loopback ports that guests may reach.
    pub loopback_exempt_ports: Vec<u16>,
    /// Directories of wasm binaries, mounted at `/__agentos/commands/{index}/`.
    pub software: Vec<SoftwareSpec>,
    /// Tools of the client that guests may call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<ToolsSpec>,
    /// Make a checkpoint before each turn of an agent.
    pub turn_checkpoints: bool,
    /// Where the files of the root are kept; absent: they end with the VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistence: Option<PersistenceSpec>,
}

/// Where the files of a root are kept on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PersistenceSpec {
    /// In a directory of its own; made if it is missing.
    Directory {
        /// Absolute path on the host.
        path: WirePath,
    },
    /// In an SQLite file; made if it is missing.
    Sqlite {
        /// Absolute path on the host.
        path: WirePath,
    },
}

/// A user of the VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserConfig {
    /// Name; `agentos`.
    pub name: String,
    /// User id; 1000.
    pub uid: u32,
    /// Group id; 1000.
    pub gid: u32,
    /// Home directory; `/home/{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
}

impl Default for UserConfig {
    fn default() -> Self {
        UserConfig { name: "agentos".to_owned(), uid: 1000, gid: 1000, home: None }
    }
}

/// The root file system: an overlay of lower layers below an empty upper one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RootFilesystem {
    /// Every change fails with EROFS.
    pub read_only: bool,
    /// Leave the bundled base out.
    pub disable_default_base_layer: bool,
    /// Further lower layers, uppermost first.
    pub lowers: Vec<RootLower>,
}

/// A lower layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RootLower {
    /// The base that comes with the sidecar.
    Bundled,
    /// A layer that was read before.
    #[serde(rename_all = "camelCase")]
    Layer {
        /// Its id.
        layer_id: String,
    },
}

/// Software to mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SoftwareSpec {
    /// Directory on the host, or the name of a package.
    pub package: String,
    /// Version, for a package.
    #[serde(default)]
    pub version: Option<String>,
    /// `wasm-commands`, `agent` or `tool`.
    pub kind: String,
}

/// Limits of a VM, each enforced, with an event at 80 %. At a limit the guest gets an errno and the host an error with
/// code `limit`.
///
/// ```
/// use agentos_protocol::message::VmLimits;
/// let limits = VmLimits { processes: 64, ..VmLimits::default() };
/// assert_eq!(limits.pipe_bytes, 64 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VmLimits {
    /// Memory of a process beyond its initial image, bytes; 256 MiB.
    pub process_memory: u64,
    /// The same for runtimes of agents; 1 GiB.
    pub agent_memory: u64,
    /// Memory of all processes, bytes; 2 GiB.
    pub vm_memory: u64,
    /// CPU time of a process, milliseconds; 0: no limit. At it the process gets SIGXCPU, a second of CPU time later SIGKILL.
    pub cpu_time_ms: u64,
    /// CPU time of all processes together since the VM was made, milliseconds; 0: no limit. Then they end, and no new
    /// ones start.
    pub vm_cpu_time_ms: u64,
    /// Processes; 1024.
    pub processes: u32,
    /// Open descriptors of a process; 1024.
    pub fds_per_process: u32,
    /// Pipes; 1024.
    pub pipes: u32,
    /// Pseudo terminals; 1024.
    pub ptys: u32,
    /// Sockets; 1024.
    pub sockets: u32,
    /// Capacity of a pipe, bytes; 64 KiB.
    pub pipe_bytes: u32,
    /// argv and environment of an exec together, bytes; 2 MiB.
    pub argv_env_bytes: u32,
    /// Bytes of all files in memory; 1 GiB.
    pub filesystem_bytes: u64,
    /// Inodes; 262,144.
    pub inodes: u64,
    /// Checkpoints; 2048. Of automatic ones the oldest goes.
    pub checkpoints: u32,
    /// Bytes that checkpoints keep beyond the files as they are now, the last checkpoint not counted; 1 GiB.
    pub checkpoint_bytes: u64,
    /// Bytes of a path; 4096.
    pub path_bytes: u32,
    /// Bytes of a name; 255.
    pub name_bytes: u32,
    /// Symbolic links followed in one look-up; 40.
    pub symlink_depth: u32,
    /// Output kept of a spawned process for each of stdout and stderr, bytes; 1 MiB.
    pub process_output_bytes: u32,
    /// Entries of a page of a directory listing; 1024.
    pub readdir_page: u32,
    /// Watches of files; 64.
    pub watches: u32,
    /// Bytes of changes that wait for one watcher; 1 MiB. Beyond it the watcher is told to look anew.
    pub watch_queue_bytes: u32,
    /// Columns of a new terminal; 80.
    pub pty_cols: u16,
    /// Rows of a new terminal; 24.
    pub pty_rows: u16,
}

impl Default for VmLimits {
    fn default() -> Self {
        VmLimits {
            process_memory: 256 << 20,
            agent_memory: 1 << 30,
            vm_memory: 2 << 30,
            cpu_time_ms: 0,
            vm_cpu_time_ms: 0,
            processes: 1024,
            fds_per_process: 1024,
            pipes: 1024,
            ptys: 1024,
            sockets: 1024,
            pipe_bytes: 64 << 10,
            argv_env_bytes: 2 << 20,
            filesystem_bytes: 1 << 30,
            inodes: 262_144,
            checkpoints: 2048,
            checkpoint_bytes: 1 << 30,
            path_bytes: 4096,
            name_bytes: 255,
            symlink_depth: 40,
            process_output_bytes: 1 << 20,
            readdir_page: 1024,
            watches: 64,
            watch_queue_bytes: 1 << 20,
            pty_cols: 80,
            pty_rows: 24,
        }
    }
}
