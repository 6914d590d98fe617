//! Questions about the permission tree of a machine. The tree itself is part of the configuration.

pub use agentos_protocol::message::PermissionExplanation;
use agentos_protocol::message::{ExplainPermission, LearnedPermissions};

use crate::config::Permissions;
use crate::error::Result;
use crate::vm::AgentOs;

impl AgentOs {
    /// What the permission tree says of an operation of a guest, without doing it: which rule decides, and the smallest rule
    /// that would allow what is denied. `resource` is a path (resolved as the operation would resolve it), the name of a
    /// variable, or what else the domain has.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`](crate::Error::InvalidRequest) for a domain or operation that does not exist;
    /// [`Error::PathNotAbsolute`](crate::Error::PathNotAbsolute); [`Error::Disposed`](crate::Error::Disposed).
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// let answer = os.explain_permission("fs", "write", "/etc/passwd").await?;
    /// println!("{:?} by {:?}; to allow it: {:?}", answer.mode, answer.rule, answer.grant_that_would_allow);
    /// # Ok(()) }
    /// ```
    pub async fn explain_permission(
        &self,
        domain: impl Into<String>,
        operation: impl Into<String>,
        resource: impl Into<String>,
    ) -> Result<PermissionExplanation> {
        let (domain, operation, resource) = (domain.into(), operation.into(), resource.into());
        self.vm.call(&ExplainPermission { vm_id: self.vm.id(), domain, operation, resource }).await
    }

    /// The smallest tree that allows what guests did so far, in a machine created with
    /// [`PermissionsMode::Learn`](crate::PermissionsMode::Learn). Numbers of processes and terminals become `*`; after 4,096
    /// resources, further files are noted as `directory/*`.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`](crate::Error::InvalidRequest) in a machine that does not learn;
    /// [`Error::Limit`](crate::Error::Limit) if more was used than can be noted; [`Error::Disposed`](crate::Error::Disposed).
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), agentos::Error> {
    /// use agentos::{AgentOs, AgentOsConfig, ExecOptions, PermissionsMode};
    /// let os = AgentOs::create(AgentOsConfig::builder().permissions_mode(PermissionsMode::Learn).build()).await?;
    /// os.exec("make test", ExecOptions::default()).await?;
    /// let tree = os.learned_permissions().await?;
    /// println!("{}", serde_json::to_string_pretty(&tree).unwrap_or_default());
    /// # Ok(()) }
    /// ```
    pub async fn learned_permissions(&self) -> Result<Permissions> {
        self.learned(false).await
    }

    /// [`AgentOs::learned_permissions`], a little wider: eight and more files of one directory that were used in the same way
    /// become `directory/*`.
    ///
    /// # Errors
    /// As [`AgentOs::learned_permissions`].
    pub async fn learned_permissions_generalised(&self) -> Result<Permissions> {
        self.learned(true).await
    }

    async fn learned(&self, generalise: bool) -> Result<Permissions> {
        let reply = self.vm.call(&LearnedPermissions { vm_id: self.vm.id(), generalise }).await?;
        Ok(reply.permissions)
    }
}
