//! Watching files: from the changes that the kernel tells of to records on a stream. The sidecar keeps none of its own.

use agentos_kernel::sys::At;
use agentos_kernel::{Change, ChangeKind, Watch};
use agentos_protocol::WireError;
use agentos_protocol::message::{self as m, WatchKind, WatchRecord, WatchReply, WirePath, code};
use agentos_protocol::mux::{RecordWriter, Responder};

use super::files::guest_path;
use crate::connection::{Client, answer};
use crate::errors;

/// Changes sent in one write.
const BATCH: usize = 256;
/// Code of a stream whose VM has ended.
const ENDED: u32 = 1;

pub(super) fn watch(client: &Client, request: m::Watch, responder: Responder) {
    let vm = match client.vm(&request.vm_id) {
        Ok(vm) => vm,
        Err(error) => return responder.error(&error),
    };
    let stream = match responder.connection().accept_send(request.stream) {
        Ok(stream) => stream,
        Err(error) => return responder.error(&WireError::new(code::INVALID_REQUEST, error.to_string())),
    };
    answer::<m::Watch>(responder, async move {
        let path = guest_path(&request.path)?;
        let kernel = vm.kernel();
        let watch = kernel
            .watch(&kernel.host(), At::Cwd(path.as_bytes()), request.recursive)
            .await
            .map_err(|error| errors::kernel(&error))?;
        let path = WirePath(watch.path().to_vec());
        tokio::spawn(follow(watch, RecordWriter::new(stream)));
        Ok(WatchReply { path })
    });
}

fn record(change: Change) -> WatchRecord {
    let path = |path: &[u8]| WirePath(path.to_vec());
    let (kind, from) = match change.kind {
        ChangeKind::Created => (WatchKind::Created, None),
        ChangeKind::Modified => (WatchKind::Modified, None),
        ChangeKind::Removed => (WatchKind::Removed, None),
        ChangeKind::Renamed { from } => (WatchKind::Renamed, Some(path(&from))),
        ChangeKind::Attributes => (WatchKind::Attributes, None),
        ChangeKind::Overflow => (WatchKind::Overflow, None),
    };
    WatchRecord { path: path(&change.path), kind, from, is_directory: change.is_dir }
}

/// Sends changes until the VM ends or the client looks away. Those that are there go out in one write.
async fn follow(mut watch: Watch, records: RecordWriter<WatchRecord>) {
    let mut changes = Vec::new();
    loop {
        let more = tokio::select! {
            more = watch.next(BATCH, &mut changes) => more,
            _ = records.stream().closed() => return,
        };
        if !more {
            return records.stream().reset(ENDED);
        }
        let batch: Vec<_> = changes.drain(..).map(record).collect();
        if records.send_all(&batch).await.is_err() {
            return;
        }
    }
}
