//! Processes of a VM. A short exec is one request and one reply: small input and output travel inside them.
//! Terminals are not here: see `shell`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{StreamId, WirePath};

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Program {
    /// A line for `/bin/sh -c`.
    Shell(String),
    /// A program, found through PATH unless it contains `/`, and its arguments; never empty.
    Argv(Vec<String>),
}

/// Where stdin comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stdin {
    /// At its end from the beginning.
    #[default]
    None,
    /// These bytes, at most [`super::INLINE_LIMIT`], then its end.
    Inline(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A stream client → sidecar that begins right after the request; its FIN is the end of stdin. It is stopped when the
    /// process no longer reads.
    Stream(StreamId),
}

/// Where an output of [`Exec`] goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Output {
    /// Nowhere.
    #[default]
    Discard,
    /// Into the reply if it is not more than `inline_limit` bytes in all; else everything, from the first byte, on
    /// `stream`, which ends with FIN, and [`Captured::streamed`] is set.
    #[serde(rename_all = "camelCase")]
    Capture {
        /// At most [`super::OUTPUT_INLINE_LIMIT`] bytes.
        inline_limit: u32,
        /// Sidecar → client; opened by the client, used only if it must be.
        stream: StreamId,
    },
    /// On this stream, sidecar → client, as it comes; FIN at the end.
    Live(StreamId),
}

/// How to start a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProcessOptions {
    /// Added to the environment of the VM.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Exactly `env`, without the VM's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub clear_env: bool,
    /// Working directory; the VM's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<WirePath>,
    /// After this long the process group is killed, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// After this much CPU time the process gets SIGXCPU, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_time_limit_ms: Option<u64>,
}

/// Runs a program to its end. The reply comes when it has ended and its outputs are complete. Cancelling the call kills
/// the process group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exec {
    /// The VM.
    pub vm_id: String,
    /// What to run.
    pub program: Program,
    /// How.
    #[serde(default)]
    pub options: ProcessOptions,
    /// Input.
    #[serde(default)]
    pub stdin: Stdin,
    /// Output.
    #[serde(default)]
    pub stdout: Output,
    /// Error output.
    #[serde(default)]
    pub stderr: Output,
}

/// An output of a finished [`Exec`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Captured {
    /// The bytes, if they are not on the stream.
    #[serde(with = "serde_bytes", skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<u8>,
    /// The bytes were sent on the stream.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub streamed: bool,
}

/// How a process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExitStatus {
    /// Status 0-255; 128 + n after signal n (Linux numbers).
    pub exit_code: i32,
    /// Name of the signal that ended it, such as `SIGKILL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// `timeout_ms` ended it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub timed_out: bool,
    /// The limit of the VM that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<super::LimitInfo>,
}

/// End of an [`Exec`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecReply {
    /// The process it was.
    pub pid: u32,
    /// How it ended.
    pub status: ExitStatus,
    /// Output.
    pub stdout: Captured,
    /// Error output.
    pub stderr: Captured,
}

/// Starts a program and leaves it running. Its output is kept in rings with offsets (`VmLimits::process_output_bytes`
/// each); read it with [`ReadOutput`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spawn {
    /// The VM.
    pub vm_id: String,
    /// What to run.
    pub program: Program,
    /// How.
    #[serde(default)]
    pub options: ProcessOptions,
    /// Input.
    #[serde(default)]
    pub stdin: Stdin,
}

/// A process was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnReply {
    /// Its pid.
    #[serde(default)]
    pub pid: u32,
}

/// Which output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutputKind {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// Sends kept output of a spawned process on `stream`, and with `follow` what comes further until its end. A reader
/// that is slow stops the process at a full ring only as far as it has not been read by anyone; see the reply for what
/// was dropped before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadOutput {
    /// The VM.
    pub vm_id: String,
    /// The process.
    pub pid: u32,
    /// Which output.
    pub output: OutputKind,
    /// First byte wanted, counted from the start of the process.
    #[serde(default)]
    pub from_offset: u64,
    /// Go on until the output is closed.
    #[serde(default)]
    pub follow: bool,
    /// Sidecar → client.
    pub stream: StreamId,
}

/// Where the stream begins; comes at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReadOutputReply {
    /// Offset of its first byte; above `from_offset` if the ring no longer has it.
    pub start_offset: u64,
}

/// Waits for the end of a spawned process; at once if it has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitProcess {
    /// The VM.
    pub vm_id: String,
    /// The process.
    pub pid: u32,
}

/// Asks for the processes made by [`Spawn`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListProcesses {
    /// The VM.
    pub vm_id: String,
}

/// Processes made by [`Spawn`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnedProcessList {
    /// In the order they were made.
    #[serde(default)]
    pub processes: Vec<SpawnedProcessInfo>,
}

/// A process made by [`Spawn`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpawnedProcessInfo {
    /// Its pid.
    pub pid: u32,
    /// Program.
    pub command: String,
    /// Arguments, without the program.
    pub args: Vec<String>,
    /// It has not ended.
    pub running: bool,
    /// Status, once it has.
    pub exit_code: Option<i32>,
}

/// Asks for all processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllProcesses {
    /// The VM.
    pub vm_id: String,
}

/// All processes of a VM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessList {
    /// By pid.
    #[serde(default)]
    pub processes: Vec<ProcessInfo>,
}

/// State of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProcessStatus {
    /// Runs or waits.
    #[default]
    Running,
    /// Stopped by a signal.
    Stopped,
    /// Ended, not yet waited for or kept for the listing.
    Exited,
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProcessInfo {
    /// Its pid.
    pub pid: u32,
    /// Parent.
    pub ppid: u32,
    /// Process group.
    pub pgid: u32,
    /// Session.
    pub sid: u32,
    /// What runs it: `wasm`.
    pub driver: String,
    /// Program.
    pub command: String,
    /// Arguments, without the program.
    pub args: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// State.
    pub status: ProcessStatus,
    /// Status, once it has ended.
    pub exit_code: Option<i32>,
    /// Start, milliseconds since 1970 UTC.
    pub start_time: f64,
    /// End.
    pub exit_time: Option<f64>,
}

/// Sends a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignalProcess {
    /// The VM.
    pub vm_id: String,
    /// The process.
    pub pid: u32,
    /// Name, such as `SIGTERM`.
    pub signal: String,
    /// To its whole process group.
    #[serde(default)]
    pub group: bool,
}
