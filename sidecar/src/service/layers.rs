//! Requests about checkpoints and differences.

use std::sync::Arc;

use agentos_protocol::WireError;
use agentos_protocol::message::{
    CheckpointInfo, CheckpointList, DeleteCheckpoint, DiffForm, DiffMoments, DiffReply, Empty,
    ListCheckpoints, MakeCheckpoint, Rollback, code,
};
use agentos_protocol::mux::{RecordWriter, Responder, SendStream};

use super::files::guest_path;
use crate::connection::{Client, answer_later};
use crate::layers::{Changed, changes, write_patch};
use crate::vm::Vm;

/// Bytes of a patch that are made before they are sent.
const PIECE: usize = 256 << 10;

/// Runs what may look at many files where it holds nobody up.
async fn aside<T: Send + 'static>(
    vm: &Arc<Vm>,
    work: impl FnOnce(&Vm) -> T + Send + 'static,
) -> Result<T, WireError> {
    let vm = Arc::clone(vm);
    let done = tokio::task::spawn_blocking(move || work(&vm)).await;
    done.map_err(|error| WireError::new(code::INTERNAL, error.to_string()))
}

pub(super) async fn make(vm: Arc<Vm>, request: MakeCheckpoint) -> Result<CheckpointInfo, WireError> {
    aside(&vm, |vm| vm.checkpoints.make(&vm.kernel().namespace, request.name, false)).await?
}

pub(super) async fn list(vm: Arc<Vm>, _request: ListCheckpoints) -> Result<CheckpointList, WireError> {
    // A checkpoint that is being made may hold the list for a while.
    aside(&vm, |vm| CheckpointList { checkpoints: vm.checkpoints.list() }).await
}

pub(super) async fn delete(vm: Arc<Vm>, request: DeleteCheckpoint) -> Result<Empty, WireError> {
    aside(&vm, move |vm| vm.checkpoints.delete(&request.name)).await?.map(|()| Empty {})
}

pub(super) async fn rollback(vm: Arc<Vm>, request: Rollback) -> Result<Empty, WireError> {
    let done = aside(&vm, move |vm| vm.checkpoints.rollback(&vm.kernel().namespace, &request.name));
    done.await??;
    vm.kernel().rescan(b"/");
    Ok(Empty {})
}

pub(super) fn diff(client: &Client, request: DiffMoments, responder: Responder) {
    let vm = match client.vm(&request.vm_id) {
        Ok(vm) => vm,
        Err(error) => return responder.error(&error),
    };
    match responder.connection().accept_send(request.stream) {
        Ok(stream) => answer_later::<DiffMoments>(responder, tell(vm, request, stream)),
        Err(error) => responder.error(&WireError::new(code::INVALID_REQUEST, error.to_string())),
    }
}

async fn tell(vm: Arc<Vm>, request: DiffMoments, stream: SendStream) -> Result<DiffReply, WireError> {
    let within = request.within.as_ref().map(guest_path).transpose()?;
    let DiffMoments { from, to, .. } = request;
    let found = aside(&vm, move |vm| {
        let namespace = &vm.kernel().namespace;
        // Both moments first: what a guest does meanwhile is in neither.
        let (from, to) = (vm.checkpoints.at(&from, namespace)?, vm.checkpoints.at(&to, namespace)?);
        changes(namespace, &from, &to, within.as_ref())
    });
    let found = found.await??;
    let reply = DiffReply { changes: found.len() as u64 };
    match request.form {
        DiffForm::Changes => {
            let records = RecordWriter::new(stream);
            for changed in &found {
                if records.send(&changed.record()).await.is_err() {
                    return Ok(reply);
                }
            }
            records.stream().finish();
        }
        DiffForm::Patch => patch(&vm, found, &stream).await?,
    }
    Ok(reply)
}

async fn patch(vm: &Arc<Vm>, found: Vec<Changed>, stream: &SendStream) -> Result<(), WireError> {
    let mut left = found.into_iter().peekable();
    while left.peek().is_some() {
        let (piece, rest) = aside(vm, move |_| {
            let mut piece = Vec::new();
            while piece.len() < PIECE
                && let Some(changed) = left.next()
            {
                // A vector takes everything.
                let _ = write_patch(&changed, &mut piece);
            }
            (piece, left)
        })
        .await?;
        left = rest;
        if stream.write_all(&piece).await.is_err() {
            return Ok(());
        }
    }
    stream.finish();
    Ok(())
}
