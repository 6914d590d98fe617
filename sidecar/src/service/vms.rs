//! Requests about VMs and the sidecar itself.

use std::sync::Arc;

use agentos_protocol::WireError;
use agentos_protocol::message::{
    Call, CreateVm, DescribeSidecar, DescribeVm, DisposeVm, Empty, ForkVm, LimitInfo, ListVms,
    ShutdownSidecar, SidecarInfo, SidecarLimits, SidecarState, VmInfo, VmList, code,
};
use agentos_protocol::mux::Responder;

use crate::connection::Client;
use crate::host::{Host, MOST_VMS};
use crate::vm::Vm;

pub(super) fn describe_sidecar(client: &Client, responder: Responder) {
    let host = &client.host;
    let (_, slots) = host.executor().slot_usage();
    let state = if host.shutdown.is_cancelled() { SidecarState::Disposing } else { SidecarState::Ready };
    responder.reply::<DescribeSidecar>(Ok(SidecarInfo {
        sidecar_id: host.sidecar_id.clone(),
        state,
        active_vm_count: u32::try_from(host.vm_count()).unwrap_or(u32::MAX),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        limits: SidecarLimits { vms: MOST_VMS as u64, processes: u64::from(slots) },
    }));
}

pub(super) fn shutdown(client: &Client, request: ShutdownSidecar, responder: Responder) {
    let others = client.host.vm_count().saturating_sub(client.vms().len());
    if others > 0 && !request.force {
        let message = format!("{others} VMs of other clients are running; ask with force to end them");
        responder.error(&WireError::new(code::BUSY, message));
        return;
    }
    responder.reply::<ShutdownSidecar>(Ok(Empty {}));
    client.host.shutdown.cancel();
}

/// Whether one more VM may come.
fn room(host: &Host) -> Result<(), WireError> {
    if host.shutdown.is_cancelled() {
        return Err(WireError::new(code::SHUTTING_DOWN, "the sidecar is shutting down"));
    }
    let used = host.vm_count();
    if used >= MOST_VMS {
        return Err(WireError::limit(LimitInfo {
            name: "sidecarVms".into(),
            configured: MOST_VMS as u64,
            used: used as u64,
            requested: 1,
        }));
    }
    Ok(())
}

pub(super) fn create(client: &Client, request: CreateVm, responder: Responder) {
    let host = Arc::clone(&client.host);
    let connection = responder.connection();
    let lowers = match client.layers.of(&request.config.root) {
        Ok(lowers) => lowers,
        Err(error) => return responder.error(&error),
    };
    made::<CreateVm>(client, responder, async move {
        Vm::create(&host, &connection, request.config, lowers).await
    });
}

pub(super) fn fork(client: &Client, request: &ForkVm, responder: Responder) {
    let connection = responder.connection();
    match client.vm(&request.vm_id) {
        Ok(vm) => made::<ForkVm>(client, responder, async move { vm.fork(&connection).await }),
        Err(error) => responder.error(&error),
    }
}

/// Answers with a new VM, which belongs to the client from then on.
fn made<C: Call<Reply = VmInfo>>(
    client: &Client,
    responder: Responder,
    making: impl Future<Output = Result<Arc<Vm>, WireError>> + Send + 'static,
) {
    if let Err(error) = room(&client.host) {
        return responder.error(&error);
    }
    let client = client.handle();
    tokio::spawn(async move {
        let vm = match making.await {
            Ok(vm) => vm,
            Err(error) => return responder.error(&error),
        };
        // A client that went or lost interest would never dispose it.
        let wanted = !responder.cancelled().is_cancelled();
        if wanted && client.upgrade().is_some_and(|client| client.add_vm(&vm)) {
            responder.reply::<C>(Ok(vm.info()));
        } else {
            if let Err(error) = vm.dispose().await {
                tracing::error!(vm = %vm.id, %error, "disposed of, as nobody wants it");
            }
            responder.error(&WireError::new(code::CANCELLED, "the caller cancelled it"));
        }
    });
}

pub(super) fn describe(client: &Client, request: &DescribeVm, responder: Responder) {
    responder.reply::<DescribeVm>(client.vm(&request.vm_id).map(|vm| vm.info()));
}

pub(super) fn dispose(client: &Client, request: &DisposeVm, responder: Responder) {
    let Some(vm) = client.remove_vm(&request.vm_id) else {
        // Disposing twice is no error.
        return responder.reply::<DisposeVm>(Ok(Empty {}));
    };
    tokio::spawn(async move {
        responder.reply::<DisposeVm>(vm.dispose().await.map(|()| Empty {}));
    });
}

pub(super) fn list(client: &Client, responder: Responder) {
    let vms = client.vms().iter().map(|vm| vm.info()).collect();
    responder.reply::<ListVms>(Ok(VmList { vms }));
}
