//! What is shown: through the filter, then to a thread that writes, since a terminal that is stopped must block nothing else.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::{PATIENCE, PAUSE, failed, give_time, thread};
use crate::error::Result;
use crate::shells::{TerminalFilter, TerminalPolicy};

/// Pieces of output that wait for the terminal.
const WAITING: usize = 4;

/// The screen side of a terminal, until this is dropped: then what the guest left switched on is switched off.
pub(in crate::shells) struct Screen {
    filter: TerminalFilter,
    pieces: Option<mpsc::Sender<Vec<u8>>>,
    written: Option<oneshot::Receiver<io::Result<()>>>,
    thread: JoinHandle<()>,
}

impl Screen {
    /// Standard output.
    pub(super) fn open(policy: TerminalPolicy) -> Result<Screen> {
        let output = io::stdout().as_fd().try_clone_to_owned().map_err(|e| failed("standard output", e))?;
        let (pieces, waiting) = mpsc::channel(WAITING);
        let (done, written) = oneshot::channel();
        let thread = thread("agentos-screen", move || {
            let _ = done.send(write_all(&output, waiting));
        })?;
        let filter = TerminalFilter::new(policy);
        Ok(Screen { filter, pieces: Some(pieces), written: Some(written), thread })
    }

    /// Shows output of the guest; waits while the terminal takes nothing. Returns whether the terminal will answer.
    pub(in crate::shells) async fn show(&mut self, data: &[u8]) -> Result<bool> {
        let mut shown = Vec::with_capacity(data.len());
        self.filter.feed(data, &mut shown);
        if let Some(pieces) = &self.pieces
            && !shown.is_empty()
            && pieces.send(shown).await.is_err()
        {
            self.pieces = None;
            self.end().await?;
        }
        Ok(self.filter.take_asked())
    }

    /// Undoes what the guest left switched on, and waits until everything is written.
    pub(in crate::shells) async fn finish(&mut self) -> Result<()> {
        let mut undo = Vec::new();
        self.filter.finish(&mut undo);
        if let Some(pieces) = self.pieces.take() {
            // If it fails, the end of the thread says why.
            let _ = pieces.send(undo).await;
        }
        self.end().await
    }

    /// The end of the thread.
    async fn end(&mut self) -> Result<()> {
        let Some(written) = self.written.take() else { return Ok(()) };
        match written.await {
            Ok(Err(error)) => Err(failed("write to the terminal", error)),
            _ => Ok(()),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let until = Instant::now() + PATIENCE;
        if let Some(pieces) = self.pieces.take() {
            let mut undo = Vec::new();
            self.filter.finish(&mut undo);
            while let Err(TrySendError::Full(back)) = pieces.try_send(undo)
                && Instant::now() < until
            {
                undo = back;
                std::thread::sleep(PAUSE);
            }
        }
        // A terminal that takes nothing is given up.
        give_time(&self.thread, until);
    }
}

fn write_all(to: &OwnedFd, mut pieces: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(piece) = pieces.blocking_recv() {
        let mut rest = &piece[..];
        while !rest.is_empty() {
            match rustix::io::write(to, rest) {
                Ok(n) => rest = &rest[n..],
                Err(rustix::io::Errno::INTR) => {}
                // Somebody else made it non-blocking.
                Err(rustix::io::Errno::AGAIN) => std::thread::sleep(PAUSE),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
