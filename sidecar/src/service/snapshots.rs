//! Snapshots of roots, out and in. Archives are written and read on threads that may wait, a bounded number of them.

use std::io::{self, BufWriter, Read, Write};

use agentos_protocol::WireError;
use agentos_protocol::message::{
    DropLayer, Empty, ExportSnapshot, ImportLayer, ImportLayerReply, LimitInfo, SnapshotFormat, code,
};
use agentos_protocol::mux::{RecvStream, Responder, SendStream};
use agentos_snapshot::{ExportError, Format, ImportError, Limits};
use agentos_vfs::layer::{self, TooLong};
use agentos_vfs::{FileContent, Layer};
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use crate::connection::{Client, answer_later};
use crate::host::Host;

/// Bytes that are written to a stream at a time.
const PIECE: usize = 256 << 10;

fn format(format: SnapshotFormat) -> Format {
    match format {
        SnapshotFormat::Tar => Format::Tar,
        SnapshotFormat::Json => Format::Json,
        SnapshotFormat::Oci => Format::Oci,
    }
}

/// One of the threads for archives.
fn permit(host: &Host) -> Result<OwnedSemaphorePermit, WireError> {
    host.archives.clone().try_acquire_owned().map_err(|_| {
        WireError::new(code::BUSY, "too many snapshots are being written or read; try again when one is done")
    })
}

/// Runs `work` on such a thread.
async fn blocking<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: impl FnOnce() -> Result<T, WireError> + Send + 'static,
) -> Result<T, WireError> {
    let work = move || {
        let _permit = permit;
        work()
    };
    let ended = |error: tokio::task::JoinError| WireError::new(code::INTERNAL, error.to_string());
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}

pub(super) fn export(client: &Client, request: &ExportSnapshot, responder: Responder) {
    let begin = || {
        let vm = client.vm(&request.vm_id)?;
        let stream = responder.connection().accept_send(request.stream);
        let stream = stream.map_err(|error| WireError::new(code::INVALID_REQUEST, error.to_string()))?;
        // Now: what is changed after the call came is not in it.
        let (base, top) = vm.root_layers()?;
        Ok((base, top, stream, permit(&client.host)?))
    };
    let (base, top, stream, permit) = match begin() {
        Ok(begun) => begun,
        Err(error) => return responder.error(&error),
    };
    let base = base.filter(|_| !request.flatten).unwrap_or_default();
    let format = format(request.format);
    answer_later::<ExportSnapshot>(responder, async move {
        let handle = Handle::current();
        blocking(permit, move || write(&base, &top, format, ToStream { handle, stream })).await
    });
}

fn write(base: &Layer, top: &Layer, format: Format, to: ToStream) -> Result<Empty, WireError> {
    let most = usize::try_from(agentos_snapshot::ALL_PATHS).unwrap_or(usize::MAX);
    let diff = layer::diff_within(base, top, most).map_err(|TooLong { most, path }| {
        let limit = LimitInfo {
            name: "snapshotPathBytes".into(),
            configured: most as u64,
            used: most as u64,
            requested: path.len() as u64,
        };
        WireError::limit(limit)
    })?;
    let mut to = BufWriter::with_capacity(PIECE, to);
    let written = agentos_snapshot::write(&diff, format, &mut to).and_then(|()| Ok(to.flush()?));
    written.map_err(|error| {
        let code = match &error {
            ExportError::Path { .. } => code::INVALID_REQUEST,
            ExportError::Write(_) => code::CANCELLED,
        };
        WireError::new(code, format!("snapshot: {error}"))
    })?;
    to.get_ref().stream.finish();
    Ok(Empty {})
}

pub(super) fn import(client: &Client, request: ImportLayer, responder: Responder) {
    let begin = || {
        let stream = responder.connection().accept_recv(request.stream);
        let stream = stream.map_err(|error| WireError::new(code::INVALID_REQUEST, error.to_string()))?;
        let place = client.layers.reserve(format!("layer-{}", client.host.next_id()))?;
        Ok((stream, place, permit(&client.host)?))
    };
    let (stream, place, permit) = match begin() {
        Ok(begun) => begun,
        Err(error) => return responder.error(&error),
    };
    let host = std::sync::Arc::clone(&client.host);
    answer_later::<ImportLayer>(responder, async move {
        let base = host.base().await.map_err(|reason| WireError::new(code::INTERNAL, reason))?.usage();
        let known = agentos_base_snapshot::PROGRAMS.iter().filter(|program| !program.wasm.is_empty());
        let limits = Limits {
            // What takes the place of something in the base is not more than was there; what is left is counted by the VM.
            bytes: request.filesystem_bytes.saturating_add(base.bytes),
            inodes: request.inodes.saturating_add(base.inodes),
            known: known.map(|program| FileContent::from(Bytes::from_static(program.wasm))).collect(),
        };
        let handle = Handle::current();
        let layers = blocking(permit, move || {
            let from = FromStream { handle, stream, piece: Bytes::new() };
            agentos_snapshot::read(from, request.format.map(format), &limits).map_err(refused)
        })
        .await?;
        // Not before: a caller that no longer waits would never drop it.
        let gone = || WireError::new(code::CANCELLED, "the client went");
        place.fill(layers).map(|layer_id| ImportLayerReply { layer_id }).ok_or_else(gone)
    });
}

fn refused(error: ImportError) -> WireError {
    match error {
        ImportError::Limit { name, configured, used, requested } => {
            WireError::limit(LimitInfo { name: name.to_owned(), configured, used, requested })
        }
        other => WireError::new(code::INVALID_REQUEST, format!("snapshot: {other}")),
    }
}

pub(super) fn drop_layer(client: &Client, request: &DropLayer, responder: Responder) {
    client.layers.remove(&request.layer_id);
    responder.reply::<DropLayer>(Ok(Empty {}));
}

/// A stream, written from a thread that may wait.
struct ToStream {
    handle: Handle,
    stream: SendStream,
}

impl Write for ToStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.handle.block_on(self.stream.write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream, read from a thread that may wait.
struct FromStream {
    handle: Handle,
    stream: RecvStream,
    piece: Bytes,
}

impl Read for FromStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            match self.handle.block_on(self.stream.next_chunk())? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let n = self.piece.len().min(buf.len());
        buf[..n].copy_from_slice(&self.piece.split_to(n));
        Ok(n)
    }
}
