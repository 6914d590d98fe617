//! Questions about the permission tree of a machine.

use std::sync::Arc;

use agentos_kernel::permissions::Domain;
use agentos_protocol::WireError;
use agentos_protocol::message::{
    ExplainPermission, LearnedPermissions, LearnedPermissionsReply, PermissionExplanation, code,
};

use crate::vm::Vm;
use crate::{errors, permissions};

pub(super) async fn explain(
    vm: Arc<Vm>,
    request: ExplainPermission,
) -> Result<PermissionExplanation, WireError> {
    let invalid = |message: String| WireError::new(code::INVALID_REQUEST, message);
    let ExplainPermission { domain, operation, resource, .. } = request;
    let domain = Domain::parse(&domain).ok_or_else(|| {
        let known: Vec<_> = Domain::ALL.iter().map(|domain| domain.name()).collect();
        invalid(format!("{domain:?} is no domain of permissions; they are: {}", known.join(", ")))
    })?;
    let operation = domain.operation(&operation).ok_or_else(|| {
        let known: Vec<_> = domain.operations().iter().map(|operation| operation.name()).collect();
        invalid(format!("{operation:?} is no operation of {}; they are: {}", domain.name(), known.join(", ")))
    })?;
    if matches!(domain, Domain::Fs | Domain::ChildProcess | Domain::Process) && !resource.starts_with('/') {
        return Err(WireError::path(code::PATH_NOT_ABSOLUTE, resource));
    }
    let (decision, resource) = vm.kernel().explain(operation, resource.as_bytes()).await;
    Ok(permissions::explanation(operation, decision, resource))
}

pub(super) async fn learned(
    vm: Arc<Vm>,
    request: LearnedPermissions,
) -> Result<LearnedPermissionsReply, WireError> {
    // With thousands of resources it is real work.
    let kernel = Arc::clone(vm.kernel());
    let learned = tokio::task::spawn_blocking(move || kernel.learned_permissions(request.generalise));
    match learned.await {
        Ok(Some(Ok(tree))) => Ok(LearnedPermissionsReply { permissions: permissions::tree_back(tree) }),
        Ok(Some(Err(hit))) => Err(errors::kernel(&hit.into())),
        Ok(None) => Err(WireError::new(
            code::INVALID_REQUEST,
            "this machine does not learn; create it with `permissionsMode: learn`",
        )),
        Err(error) => Err(WireError::new(code::INTERNAL, error.to_string())),
    }
}
