//! Sending a layer to the sidecar, which reads it as it comes.

use std::sync::Arc;

use agentos_protocol::SendStream;
use agentos_protocol::message::{DropLayer, ImportLayer, ImportLayerReply, VmLimits};
use tokio::io::AsyncReadExt;

use super::source::{Bytes, Source};
use crate::error::{Error, Result};
use crate::sidecar::{Link, Making};
use crate::wire;

/// Bytes of a file that are read at a time.
const PIECE: usize = 256 << 10;

/// A layer in the sidecar; forgotten there when dropped.
pub(crate) struct LayerLease {
    id: String,
    link: Arc<Link>,
}

impl LayerLease {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for LayerLease {
    fn drop(&mut self) {
        // If it cannot be sent, the layer goes with the connection.
        let Ok(pending) = self.link.connection().start_call(&DropLayer { layer_id: self.id.clone() }) else {
            return;
        };
        let link = Arc::clone(&self.link);
        if let Ok(handle) = wire::wire() {
            handle.spawn(async move {
                let _ = pending.await;
                // Only now may the last handle close the connection.
                drop(link);
            });
        }
    }
}

/// Sends the lower at `index`.
pub(crate) async fn send(
    link: &Arc<Link>,
    index: usize,
    source: Source,
    limits: &VmLimits,
) -> Result<LayerLease> {
    let stream = link.open_send().await?;
    let call = ImportLayer {
        stream: stream.id(),
        format: source.format,
        filesystem_bytes: limits.filesystem_bytes,
        inodes: limits.inodes,
    };
    let at = format!("rootFilesystem.lowers[{index}].source");
    let pending = link.start(&call).await?;
    let named = match &source.bytes {
        Bytes::File(path) => format!("{}: ", path.display()),
        Bytes::Here(_) => String::new(),
    };
    let making = Making::new(link, pending, |made: ImportLayerReply| DropLayer { layer_id: made.layer_id });
    // Files are read on the wire's runtime: the caller may have none. The reading ends with the answer, whatever it is, and
    // with this call.
    let (answered, ends) = tokio::sync::oneshot::channel::<()>();
    let sending = wire::on_wire(async move {
        tokio::select! {
            biased;
            sent = copy(&at, source.bytes, stream) => sent,
            _ = ends => Ok(()),
        }
    });
    let making = async {
        let made = making.await;
        drop(answered);
        made
    };
    let (sent, made) = futures_util::future::join(sending, making).await;
    // The file that could not be read is the reason why the archive is cut off.
    sent?;
    match made {
        Ok(made) => Ok(LayerLease { id: made.layer_id, link: Arc::clone(link) }),
        Err(error) => match link.error(error).await {
            Error::InvalidRequest { message } => Err(Error::config(
                format!("rootFilesystem.lowers[{index}].source"),
                format!("{named}{message}"),
            )),
            other => Err(other),
        },
    }
}

/// Copies to the stream until it has all, or the sidecar wants no more: its answer says why.
async fn copy(at: &str, bytes: Bytes, stream: SendStream) -> Result<()> {
    let path = match bytes {
        Bytes::Here(bytes) => {
            if stream.write_all(&bytes).await.is_ok() {
                stream.finish();
            }
            return Ok(());
        }
        Bytes::File(path) => path,
    };
    let refuse = |error: std::io::Error| Error::config(at, format!("{}: {error}", path.display()));
    let mut file = tokio::fs::File::open(&path).await.map_err(refuse)?;
    if file.metadata().await.map_err(refuse)?.is_dir() {
        return Err(Error::config(at, format!("{}: is a directory", path.display())));
    }
    let mut piece = vec![0; PIECE];
    loop {
        let n = tokio::select! {
            read = file.read(&mut piece) => read.map_err(refuse)?,
            // A pipe that nobody writes to must not hold what has ended.
            _ = stream.closed() => return Ok(()),
        };
        if n == 0 {
            stream.finish();
            return Ok(());
        }
        if stream.write_all(&piece[..n]).await.is_err() {
            return Ok(());
        }
    }
}
