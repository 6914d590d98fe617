//! The error of a call: a code, a text, and the details that the client's error enum needs.
//! It does not decide which error an operation gives.

use serde::{Deserialize, Serialize};

/// Codes of [`WireError::code`]. A code of a later version is treated as `internal`, with its message kept.
pub mod code {
    /// The other side does not know this method, or cannot do it.
    pub const UNSUPPORTED: &str = "unsupported";
    /// The parameters are wrong; `message` says how.
    pub const INVALID_REQUEST: &str = "invalid_request";
    /// A field of the configuration is wrong or cannot be honoured: `config`.
    pub const INVALID_CONFIG: &str = "invalid_config";
    /// A path that is not absolute: `path`.
    pub const PATH_NOT_ABSOLUTE: &str = "path_not_absolute";
    /// A path that contains `..`, NUL or the like: `path`.
    pub const PATH_NOT_NORMALIZED: &str = "path_not_normalized";
    /// The path lies on something read-only: `path`.
    pub const READ_ONLY: &str = "read_only";
    /// The VM is gone or never was: `resource` = its id.
    pub const VM_NOT_FOUND: &str = "vm_not_found";
    /// No such process: `resource` = its pid.
    pub const PROCESS_NOT_FOUND: &str = "process_not_found";
    /// No such shell: `resource` = its id.
    pub const SHELL_NOT_FOUND: &str = "shell_not_found";
    /// No such session: `resource` = its id.
    pub const SESSION_NOT_FOUND: &str = "session_not_found";
    /// No such agent is registered: `resource` = its id.
    pub const AGENT_NOT_FOUND: &str = "agent_not_found";
    /// No such checkpoint: `resource` = its name.
    pub const CHECKPOINT_NOT_FOUND: &str = "checkpoint_not_found";
    /// Nothing is mounted there: `path`.
    pub const MOUNT_NOT_FOUND: &str = "mount_not_found";
    /// A mount is in use: `path`, and `users` who have it so.
    pub const MOUNT_BUSY: &str = "mount_busy";
    /// No such permission request is open: `resource` = its id.
    pub const PERMISSION_REQUEST_NOT_FOUND: &str = "permission_request_not_found";
    /// A system call failed: `errno`, `operation`, `path`.
    pub const KERNEL: &str = "kernel";
    /// A rule of the permission tree said no: `permission`.
    pub const PERMISSION_DENIED: &str = "permission_denied";
    /// A limit was reached: `limit`.
    pub const LIMIT: &str = "limit";
    /// It took longer than allowed.
    pub const TIMEOUT: &str = "timeout";
    /// The caller cancelled it.
    pub const CANCELLED: &str = "cancelled";
    /// A tool of the client failed; `message` is what the guest is told.
    pub const TOOL: &str = "tool";
    /// The agent failed: `agent`.
    pub const AGENT: &str = "agent";
    /// Too many requests are under way on this connection; try later.
    pub const BUSY: &str = "busy";
    /// The sidecar is shutting down.
    pub const SHUTTING_DOWN: &str = "shutting_down";
    /// The two sides speak different protocols; only in Goodbye.
    pub const VERSION_MISMATCH: &str = "version_mismatch";
    /// Bytes that are no frame or message; only in Goodbye.
    pub const PROTOCOL: &str = "protocol";
    /// A bug of the other side.
    pub const INTERNAL: &str = "internal";
}

/// Why a call failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase", default)]
#[error("{message}")]
pub struct WireError {
    /// One of [`code`].
    pub code: String,
    /// One sentence for a person.
    pub message: String,
    /// What the code says is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<ErrorDetails>>,
}

/// Details of a [`WireError`]; which are there depends on the code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ErrorDetails {
    /// POSIX name of the error, such as `ENOENT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
    /// The system call or operation, such as `open`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The guest path it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The id (VM, process, session, agent…) it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The limit that was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitInfo>,
    /// The field of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigIssue>,
    /// The denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<PermissionDenial>,
    /// The agent's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentFailure>,
    /// Who uses it, each a sentence for a person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
}

/// A limit and its use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LimitInfo {
    /// Field of `VmLimits`, such as `processes`.
    pub name: String,
    /// The configured value.
    pub configured: u64,
    /// In use before the request.
    pub used: u64,
    /// What was asked for on top.
    pub requested: u64,
}

/// A field of the configuration that is wrong or cannot be honoured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigIssue {
    /// Where, such as `mounts[1].plugin.id`.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A denial and how to lift it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PermissionDenial {
    /// Domain of the tree, such as `fs`.
    pub domain: String,
    /// Operation, such as `write`.
    pub operation: String,
    /// The resolved resource.
    pub resource: String,
    /// What decided, as a path into the tree such as `fs.rules[2]`, or the name of a domain that is the same for all; `None`:
    /// the default of the domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// JSON of the smallest rule that would allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_that_would_allow: Option<String>,
}

/// How an agent failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentFailure {
    /// Exit status, if it exited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Signal name, if a signal ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Its last lines on stderr.
    pub last_stderr: String,
    /// JSON-RPC code of the agent's own error answer, if that is what failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpc_code: Option<i64>,
    /// JSON of the error's `data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpc_data: Option<super::JsonText>,
}

impl WireError {
    /// An error of this code.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        WireError { code: code.to_owned(), message: message.into(), details: None }
    }

    /// With details.
    #[must_use]
    pub fn with(mut self, details: ErrorDetails) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// A failed system call.
    ///
    /// ```
    /// use agentos_protocol::WireError;
    /// let error = WireError::kernel("ENOENT", "open", Some("/a".into()));
    /// assert_eq!(error.to_string(), "open /a: ENOENT");
    /// ```
    #[must_use]
    pub fn kernel(errno: &str, operation: &str, path: Option<String>) -> Self {
        let message = match &path {
            Some(path) => format!("{operation} {path}: {errno}"),
            None => format!("{operation}: {errno}"),
        };
        WireError::new(code::KERNEL, message).with(ErrorDetails {
            errno: Some(errno.to_owned()),
            operation: Some(operation.to_owned()),
            path,
            ..ErrorDetails::default()
        })
    }

    /// A path that is refused, by one of the `PATH_*` codes, `READ_ONLY` or `MOUNT_NOT_FOUND`.
    #[must_use]
    pub fn path(code: &str, path: impl Into<String>) -> Self {
        let path = path.into();
        WireError::new(code, format!("{path}: {}", code.replace('_', " ")))
            .with(ErrorDetails { path: Some(path), ..ErrorDetails::default() })
    }

    /// A mount that is in use.
    #[must_use]
    pub fn mount_busy(path: impl Into<String>, users: Vec<String>) -> Self {
        let path = path.into();
        WireError::new(code::MOUNT_BUSY, format!("{path} is in use: {}", users.join("; ")))
            .with(ErrorDetails { path: Some(path), users, ..ErrorDetails::default() })
    }

    /// Something that does not exist, by one of the `*_NOT_FOUND` codes.
    #[must_use]
    pub fn not_found(code: &str, id: impl std::fmt::Display) -> Self {
        let what = code.trim_end_matches("_not_found").replace('_', " ");
        WireError::new(code, format!("no {what} {id}"))
            .with(ErrorDetails { resource: Some(id.to_string()), ..ErrorDetails::default() })
    }

    /// A limit that was reached.
    #[must_use]
    pub fn limit(limit: LimitInfo) -> Self {
        let LimitInfo { name, configured, used, requested } = &limit;
        let message = format!("limit {name}: {used} of {configured} in use, {requested} more asked for");
        WireError::new(code::LIMIT, message)
            .with(ErrorDetails { limit: Some(limit), ..ErrorDetails::default() })
    }

    /// A field of the configuration.
    #[must_use]
    pub fn invalid_config(path: impl Into<String>, reason: impl Into<String>) -> Self {
        let issue = ConfigIssue { path: path.into(), reason: reason.into() };
        WireError::new(code::INVALID_CONFIG, format!("{}: {}", issue.path, issue.reason))
            .with(ErrorDetails { config: Some(issue), ..ErrorDetails::default() })
    }

    /// Something that the permission tree forbids.
    #[must_use]
    pub fn denied(denial: PermissionDenial) -> Self {
        let PermissionDenial { domain, operation, resource, .. } = &denial;
        let message = format!("permission denied: {domain} {operation} on {resource}");
        WireError::new(code::PERMISSION_DENIED, message)
            .with(ErrorDetails { permission: Some(denial), ..ErrorDetails::default() })
    }

    /// A failed agent.
    #[must_use]
    pub fn agent(message: impl Into<String>, failure: AgentFailure) -> Self {
        WireError::new(code::AGENT, message)
            .with(ErrorDetails { agent: Some(failure), ..ErrorDetails::default() })
    }

    /// The errno, if there is one.
    #[must_use]
    pub fn errno(&self) -> Option<&str> {
        self.details.as_ref()?.errno.as_deref()
    }
}
