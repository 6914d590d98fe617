//! Terminals of a VM: a program in a session of its own, on a pseudo terminal whose other end the client has.
//! What the program writes is kept in a ring with offsets, as that of spawned processes; what the bytes mean is the business
//! of whoever draws them.

use serde::{Deserialize, Serialize};

use super::{ProcessOptions, StreamId};

/// Opens a terminal and starts a program on it, in a new session whose controlling terminal it is. Output is kept in a ring
/// (`VmLimits::process_output_bytes`); read it with [`ReadShell`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenShell {
    /// The VM.
    pub vm_id: String,
    /// The program, found through PATH unless it contains `/`; the VM's `SHELL` as an interactive login shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// How. `TERM` is `xterm-256color` unless the environment has one; time-outs are not for terminals.
    #[serde(default)]
    pub options: ProcessOptions,
    /// Columns; `VmLimits::pty_cols`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cols: Option<u16>,
    /// Rows; `VmLimits::pty_rows`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u16>,
    /// What is typed, client → sidecar; begins right after the request. Its FIN types nothing: an end of file is typed as
    /// the terminal has it, ^D. It is stopped when the terminal is gone.
    pub input: StreamId,
}

/// A terminal was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OpenShellReply {
    /// Its id, unique in its VM.
    pub shell_id: String,
    /// The program, which leads the session.
    pub pid: u32,
}

/// Sends kept output of a terminal on `stream`, and with `follow` what comes further until its end. A slow reader stops the
/// terminal at a full ring; see the reply for what was dropped before. Answered by [`super::ReadOutputReply`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadShell {
    /// The VM.
    pub vm_id: String,
    /// The terminal.
    pub shell_id: String,
    /// First byte wanted, counted from the opening.
    #[serde(default)]
    pub from_offset: u64,
    /// Go on until the end.
    #[serde(default)]
    pub follow: bool,
    /// Sidecar → client.
    pub stream: StreamId,
}

/// Sets the window size; the foreground process group gets SIGWINCH if it differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResizeShell {
    /// The VM.
    pub vm_id: String,
    /// The terminal.
    pub shell_id: String,
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

/// Hangs up, as POSIX has it: the session leader and the foreground group get SIGHUP; what is left of the session after a
/// grace, SIGKILL. The reply comes when no process of the session is left; the terminal is forgotten at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloseShell {
    /// The VM.
    pub vm_id: String,
    /// The terminal.
    pub shell_id: String,
}

/// Waits for the end of the program of a terminal; at once if it has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitShell {
    /// The VM.
    pub vm_id: String,
    /// The terminal.
    pub shell_id: String,
}

/// Asks for the terminals that were opened and not closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListShells {
    /// The VM.
    pub vm_id: String,
}

/// The terminals of a VM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShellList {
    /// In the order they were opened.
    #[serde(default)]
    pub shells: Vec<ShellInfo>,
}

/// A terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ShellInfo {
    /// Its id.
    pub shell_id: String,
    /// The program, which leads the session.
    pub pid: u32,
    /// Program.
    pub command: String,
    /// Arguments, without the program.
    pub args: Vec<String>,
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
    /// The program has not ended.
    pub running: bool,
    /// Status, once it has.
    pub exit_code: Option<i32>,
}
