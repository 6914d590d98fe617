//! An upload in parts, step by step. What is not finished is taken back, also when it is dropped.

use std::sync::Arc;

use agentos_vfs::{Errno, Result};
use bytes::Bytes;
use opendal::Writer;

use crate::errors::errno;
use crate::mount::Shared;
use crate::remote::{Condition, Remote, refused};
use crate::version::Version;

/// Parts that are under way at a time.
pub(crate) const CONCURRENT: usize = 3;

pub(crate) struct Parts {
    shared: Arc<Shared>,
    path: Arc<str>,
    condition: Condition,
    /// `None` once it is finished.
    writer: Option<Writer>,
    sent: u64,
}

impl Parts {
    /// Begins an upload whose parts have `part` bytes.
    pub(crate) async fn begin(
        shared: &Arc<Shared>,
        path: &Arc<str>,
        part: usize,
        condition: Condition,
    ) -> Result<Self> {
        let writer = shared.remote.writer(path, part, CONCURRENT, &condition).await?;
        Ok(Parts { shared: shared.clone(), path: path.clone(), condition, writer: Some(writer), sent: 0 })
    }

    /// Bytes sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Where it goes.
    pub(crate) fn path(&self) -> &Arc<str> {
        &self.path
    }

    fn remote(&self) -> &Remote {
        &self.shared.remote
    }

    /// Sends the next bytes; waits only while as many parts as allowed are under way.
    pub(crate) async fn send(&mut self, data: Bytes) -> Result<()> {
        let timeout = self.remote().timeout;
        let writer = self.writer.as_mut().ok_or(Errno::EIO)?;
        self.sent += data.len() as u64;
        let sent = tokio::time::timeout(timeout, writer.write(data)).await;
        sent.map_err(|_| Errno::ETIMEDOUT)?.map_err(|error| errno(&error))
    }

    /// Makes an object of it.
    pub(crate) async fn finish(mut self) -> Result<Version> {
        // Closing waits for all parts that are under way.
        let limit = self.remote().timeout * u32::try_from(CONCURRENT).unwrap_or(1);
        let writer = self.writer.as_mut().ok_or(Errno::EIO)?;
        let closed = tokio::time::timeout(limit, writer.close()).await;
        let closed = closed.map_err(|_| Errno::ETIMEDOUT)?;
        let metadata = closed.map_err(|error| refused(errno(&error), &self.condition))?;
        self.writer = None;
        self.remote().written(&self.path, &metadata, self.sent).await
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let Some(mut writer) = self.writer.take() else { return };
        let timeout = self.remote().timeout;
        // If this fails too, the store's own rules throw away what was sent.
        self.shared.runtime.spawn(async move {
            let _ = tokio::time::timeout(timeout, writer.abort()).await;
        });
    }
}
