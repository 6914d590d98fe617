//! A handle of an open file, and what happens when the last one goes without having been flushed.

use std::sync::Arc;

use agentos_vfs::{DriverHandle, Result, VirtualStat};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use crate::mount::may_pass;
use crate::node::{Node, Window};
use crate::version::Version;

pub(crate) struct Handle {
    node: Arc<Node>,
    window: Mutex<Window>,
}

impl Handle {
    /// Counted in the node's state already.
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Handle { node, window: Mutex::default() }
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }
}

impl DriverHandle for Handle {
    fn stat(&self) -> BoxFuture<'_, Result<VirtualStat>> {
        Box::pin(async move {
            let state = self.node.state.lock();
            let version = Version { size: state.size, modified: state.modified, etag: None };
            Ok(self.node.shared.file_stat(&version))
        })
    }

    fn read(&self, offset: u64, len: usize) -> BoxFuture<'_, Result<Vec<u8>>> {
        Box::pin(self.node.read(&self.window, offset, len))
    }

    fn write(&self, offset: Option<u64>, data: Vec<u8>) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move { self.node.write(offset, &data).await })
    }

    fn truncate(&self, size: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.node.truncate(size))
    }

    fn flush(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.node.flush())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let last = {
            let mut state = self.node.state.lock();
            state.handles -= 1;
            state.handles == 0 && state.dirty && state.path.is_some()
        };
        if !last {
            return;
        }
        // Nobody waits any more; the node stays known until this ends, and what looks at the file sees what was written.
        let node = self.node.clone();
        self.node.shared.runtime.spawn(async move {
            let Err(error) = node.flush().await else { return };
            let path = node.state.lock().path.clone();
            // The store may come back: the next sync tries again.
            if may_pass(error) && node.shared.keep_unsaved(&node) {
                tracing::warn!(?path, ?error, "a closed file is not in its object store yet");
            } else if node.discard().await {
                tracing::error!(?path, ?error, "a closed file is lost: its object store does not take it");
            }
        });
    }
}
