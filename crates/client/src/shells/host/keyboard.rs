//! What is typed: a thread that waits for it. It reads nothing that nobody asked for after it was stopped.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use tokio::sync::mpsc;

use super::{PATIENCE, failed, give_time, thread};
use crate::error::Result;

/// Bytes of a read; a longer paste comes in several.
const PIECE: usize = 4096;
const TYPED: Token = Token(0);
const STOP: Token = Token(1);

/// The keyboard side of a terminal in raw mode, until this is dropped.
pub(in crate::shells) struct Keyboard {
    pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
    stop: Waker,
    thread: JoinHandle<()>,
}

impl Keyboard {
    /// Of a terminal whose reads do not block.
    pub(super) fn open(input: &Arc<OwnedFd>) -> Result<Keyboard> {
        let watch = || {
            let poll = Poll::new()?;
            poll.registry().register(&mut SourceFd(&input.as_raw_fd()), TYPED, Interest::READABLE)?;
            let stop = Waker::new(poll.registry(), STOP)?;
            Ok((poll, stop))
        };
        let (poll, stop) = watch().map_err(|e: io::Error| failed("watch the terminal", e))?;
        let (typed, pieces) = mpsc::channel(1);
        let input = Arc::clone(input);
        let thread = thread("agentos-keyboard", move || {
            if let Err(error) = read_all(&input, poll, &typed) {
                let _ = typed.blocking_send(Err(error));
            }
        })?;
        Ok(Keyboard { pieces, stop, thread })
    }

    /// What was typed next; `None` when the terminal is gone.
    pub(in crate::shells) async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        self.pieces.recv().await.transpose().map_err(|e| failed("read the terminal", e))
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.pieces.close();
        if self.stop.wake().is_ok() {
            give_time(&self.thread, Instant::now() + PATIENCE);
        }
    }
}

fn read_all(from: &OwnedFd, mut poll: Poll, typed: &mpsc::Sender<io::Result<Vec<u8>>>) -> io::Result<()> {
    let mut events = Events::with_capacity(2);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            done => done?,
        }
        if events.iter().any(|event| event.token() == STOP) {
            return Ok(());
        }
        let gone = events.iter().any(mio::event::Event::is_read_closed);
        // The event comes once for all that there is.
        loop {
            let mut buffer = vec![0; PIECE];
            match rustix::io::read(from, &mut buffer) {
                Ok(0) if gone => return Ok(()),
                Ok(0) | Err(rustix::io::Errno::AGAIN) => break,
                // Linux has EIO for a terminal that is hung up.
                Err(rustix::io::Errno::IO) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(n) => {
                    buffer.truncate(n);
                    if typed.blocking_send(Ok(buffer)).is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}
