//! The messages: what may be asked, answered and told, one file per area.
//! They carry data only; what a message does is the business of the side that gets it.
//!
//! Every call is a struct that implements [`Call`]; [`Request`] (client → sidecar) and [`Callback`] (sidecar → client) are
//! the enums of all of them, as a handler receives them. Lists of a reply are always inside a struct, so that fields can
//! be added. Field names are camelCase on the wire.

mod callback;
mod codec;
mod egress;
mod error;
mod event;
mod file;
mod layer;
mod macros;
mod mount;
mod path;
mod permission;
mod process;
mod session;
mod shell;
mod snapshot;
mod text_file;
mod tool;
mod vm;
mod watch;

pub use callback::*;
pub(crate) use codec::encode_into;
pub use codec::{Call, DecodeError, EncodeError, decode, decode_named, encode, encode_named};
pub use egress::*;
pub use error::*;
pub use event::*;
pub use file::*;
pub use layer::*;
pub use mount::*;
pub use path::{JsonText, WirePath};
pub use permission::*;
pub use process::*;
pub use session::*;
pub use shell::*;
pub use snapshot::*;
pub use text_file::*;
pub use tool::*;
pub use vm::*;
pub use watch::*;

use macros::calls;
use serde::{Deserialize, Serialize};

/// A reply without content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// Most bytes of a file, of stdin or of a callback that travel inside a control frame; more goes by stream.
pub const INLINE_LIMIT: usize = 256 << 10;

/// Most bytes of captured output that travel inside the reply to [`Exec`]; more goes by stream.
pub const OUTPUT_INLINE_LIMIT: u32 = 64 << 10;

/// The name of a stream inside a request; the frame id of its Data and Credit frames. Never 0.
pub type StreamId = u32;

calls! {
    /// A call of the client.
    pub enum Request {
        DescribeSidecar = "sidecar.describe" -> SidecarInfo,
        ShutdownSidecar = "sidecar.shutdown" -> Empty,
        Ping = "sidecar.ping" -> Empty,
        CreateVm = "vm.create" -> VmInfo,
        ForkVm = "vm.fork" -> VmInfo,
        DescribeVm = "vm.describe" -> VmInfo,
        DisposeVm = "vm.dispose" -> Empty,
        ListVms = "vm.list" -> VmList,

        ExportSnapshot = "snapshot.export" -> Empty,
        ImportLayer = "layers.import" -> ImportLayerReply,
        DropLayer = "layers.drop" -> Empty,

        ReadFile = "fs.read" -> ReadFileReply,
        WriteFile = "fs.write" -> WriteFileReply,
        Mkdir = "fs.mkdir" -> Empty,
        Readdir = "fs.readdir" -> ReaddirReply,
        ReaddirRecursive = "fs.readdirRecursive" -> ReaddirRecursiveReply,
        Stat = "fs.stat" -> VirtualStat,
        Exists = "fs.exists" -> ExistsReply,
        MovePath = "fs.move" -> Empty,
        Delete = "fs.delete" -> Empty,
        Symlink = "fs.symlink" -> Empty,
        ReadLink = "fs.readlink" -> ReadLinkReply,
        Link = "fs.link" -> Empty,
        Chmod = "fs.chmod" -> Empty,
        Chown = "fs.chown" -> Empty,
        Truncate = "fs.truncate" -> Empty,
        Utimes = "fs.utimes" -> Empty,
        Watch = "fs.watch" -> WatchReply,

        Mount = "mount.add" -> Empty,
        Unmount = "mount.remove" -> Empty,
        ListMounts = "mount.list" -> MountList,

        MakeCheckpoint = "layer.checkpoint" -> CheckpointInfo,
        ListCheckpoints = "layer.checkpoints" -> CheckpointList,
        DeleteCheckpoint = "layer.deleteCheckpoint" -> Empty,
        Rollback = "layer.rollback" -> Empty,
        DiffMoments = "layer.diff" -> DiffReply,

        ExplainPermission = "permission.explain" -> PermissionExplanation,
        LearnedPermissions = "permission.learned" -> LearnedPermissionsReply,

        Exec = "process.exec" -> ExecReply,
        Spawn = "process.spawn" -> SpawnReply,
        ReadOutput = "process.readOutput" -> ReadOutputReply,
        WaitProcess = "process.wait" -> ExitStatus,
        ListProcesses = "process.list" -> SpawnedProcessList,
        AllProcesses = "process.all" -> ProcessList,
        SignalProcess = "process.signal" -> Empty,

        OpenShell = "shell.open" -> OpenShellReply,
        ReadShell = "shell.read" -> ReadOutputReply,
        ResizeShell = "shell.resize" -> Empty,
        CloseShell = "shell.close" -> Empty,
        WaitShell = "shell.wait" -> ExitStatus,
        ListShells = "shell.list" -> ShellList,

        RegisterAgent = "agent.register" -> Empty,
        ListAgents = "agent.list" -> AgentList,
        CreateSession = "session.create" -> SessionInitData,
        Prompt = "session.prompt" -> PromptReply,
        CancelSession = "session.cancel" -> Empty,
        CloseSession = "session.close" -> Empty,
        DestroySession = "session.destroy" -> Empty,
        ResumeSession = "session.resume" -> SessionInitData,
        ListSessions = "session.list" -> SessionList,
        DescribeSession = "session.describe" -> SessionInitData,
        SessionEvents = "session.events" -> SessionEventsReply,
        GetSessionEvents = "session.getEvents" -> SessionEventPage,
        RespondPermission = "session.respondPermission" -> Empty,
        SetSessionMode = "session.setMode" -> Empty,
        SetSessionModel = "session.setModel" -> Empty,
        SetSessionConfigOption = "session.setConfigOption" -> SessionConfigReply,
        RawSend = "session.rawSend" -> RawSendReply,
        RawNotify = "session.rawNotify" -> Empty,
    }
}

calls! {
    /// A call of the sidecar.
    pub enum Callback {
        DriverStat = "driver.stat" -> DriverAttr,
        DriverReadDir = "driver.readdir" -> DriverEntries,
        DriverRead = "driver.read" -> DriverData,
        DriverWrite = "driver.write" -> DriverWritten,
        DriverCreate = "driver.create" -> DriverAttr,
        DriverMkdir = "driver.mkdir" -> DriverAttr,
        DriverUnlink = "driver.unlink" -> Empty,
        DriverRmdir = "driver.rmdir" -> Empty,
        DriverRename = "driver.rename" -> Empty,
        DriverLink = "driver.link" -> Empty,
        DriverSymlink = "driver.symlink" -> DriverAttr,
        DriverReadLink = "driver.readlink" -> DriverTarget,
        DriverTruncate = "driver.truncate" -> Empty,
        DriverChmod = "driver.chmod" -> Empty,
        DriverChown = "driver.chown" -> Empty,
        DriverUtimes = "driver.utimes" -> Empty,

        CallTool = "tool.call" -> ToolResult,
        AskTool = "tool.ask" -> AskToolReply,

        ReadTextFile = "file.readText" -> TextFileReply,
        WriteTextFile = "file.writeText" -> TextFileWritten,
    }
}
