//! Run coding agents, and anything else, in small isolated machines: this is the client library.
//! It contains no machine: those live in a sidecar process, which it starts, finds and talks to.
//!
//! ```no_run
//! use agentos::{AgentOs, AgentOsConfig, ExecOptions};
//!
//! # async fn f() -> Result<(), agentos::Error> {
//! let os = AgentOs::create(AgentOsConfig::default()).await?;
//! os.write_file("/workspace/hello.txt", "hello\n").await?;
//! let result = os.exec("wc -c < hello.txt", ExecOptions::default()).await?;
//! assert_eq!((result.exit_code, result.stdout.trim()), (0, "6"));
//! os.dispose().await?;
//! # Ok(()) }
//! ```
//!
//! Everything hangs on [`AgentOs`]; its methods are grouped in files by area: `cron`, `files`, `layers`, `mounts`, `processes`,
//! `sessions`, `shells`, `snapshots`.
//! Futures may be polled on any executor: the wire runs on a thread of its own.
#![forbid(unsafe_code)]

mod agents;
mod callbacks;
pub mod config;
pub mod cron;
mod error;
mod files;
mod layers;
mod mounts;
mod path;
mod permissions;
mod processes;
mod sessions;
mod shells;
pub mod sidecar;
mod snapshots;
#[cfg(test)]
mod tests;
mod text_files;
mod tools;
mod vm;
mod wire;

pub use self::cron::{
    CronAction, CronActionInfo, CronCallback, CronEvent, CronEventStream, CronJobHandle, CronJobInfo,
    CronJobOptions, CronOverlap, TimerScheduleDriver, VirtualScheduleDriver,
};
pub use agentos_abi::{Errno, Signal};
pub use agents::{AgentConfig, AgentRegistryEntry};
pub use config::{
    AgentOsConfig, AgentOsConfigBuilder, AgentOsSidecarConfig, ClockConfig, EgressCredential, EgressPolicy,
    HostTool, ModelAccess, ModelApi, MountConfig, MountPlugin, OnToolRequest, OverlayMountConfig,
    PermissionMode, PermissionRule, PermissionRules, PermissionScope, Permissions, PermissionsMode,
    PersistenceConfig, RandomConfig, RootFilesystemConfig, RootFilesystemKind, RootFilesystemMode,
    RootLowerInput, ScheduleDriver, ScheduleEntry, ScheduleHandle, Secret, SoftwareInput, SoftwareKind,
    ToolCallback, ToolKit, ToolRequest, ToolRequestCallback, UserConfig, VmLimits,
};
pub use error::{AgentFailure, Error, LimitInfo, PermissionDenial, Result};
pub use files::{
    BatchReadResult, BatchWriteEntry, BatchWriteResult, DeleteOptions, DirEntry, FileReader, FileType,
    FileWriter, MkdirOptions, OpenReadOptions, OpenWriteOptions, ReaddirRecursiveOptions, VirtualStat,
    WatchEvent, WatchEventKind, WatchOptions, WatchStream,
};
pub use layers::{ChangeKind, CheckpointInfo, DiffOptions, FileChange, Moment};
pub use mounts::{
    DriverDirEntry, DriverFuture, DriverStat, MountFsOptions, MountInfo, UnmountOptions, VirtualFileSystem,
};
pub use permissions::PermissionExplanation;
pub use processes::{
    ExecOptions, ExecResult, ExitStatus, OutputCallback, OutputChunk, ProcessHandle, ProcessInfo,
    ProcessOutput, ProcessStatus, ProcessTreeNode, SpawnOptions, SpawnStdin, SpawnedProcessInfo,
};
pub use sessions::{
    AgentCapabilities, AgentInfo, CreateSessionOptions, GetSessionEventsOptions, JsonRpcError,
    JsonRpcNotification, JsonRpcRequest, JsonRpcResponse, McpServerConfig, PermissionOption, PermissionReply,
    PermissionRequest, PermissionRequests, PromptInput, PromptOptions, PromptResult, ResumeSessionOptions,
    Session, SessionConfigOption, SessionEvent, SessionEventStream, SessionInfo, SessionInitData,
    SessionMode, SessionModeState,
};
pub use shells::{
    ConnectTerminalOptions, OpenShellOptions, ShellHandle, ShellInfo, TerminalFilter, TerminalPolicy,
};
pub use sidecar::{
    AgentOsSidecar, CreateSidecarOptions, SharedSidecarOptions, SidecarDescription, SidecarPlacement,
    SidecarState,
};
pub use snapshots::{RootSnapshotExport, SnapshotFormat, SnapshotOptions, SnapshotReader};
pub use text_files::{ClientFiles, SessionFiles, TextFile, TextFuture, TextLines};
pub use vm::{AgentOs, Event, EventStream, PermissionDenied, VmInfo};
