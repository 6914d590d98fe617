//! Signals to this program while its terminal is lent: those that would end it with the terminal in disorder, and those
//! that say that the terminal has changed.
//! What follows from a signal is decided in `connect`.

use std::task::Poll;

use agentos_abi::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use crate::error::{Error, Result};
use crate::wire;

/// What has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// The window has another size.
    Resized,
    /// This program is to stop, or goes on after it was stopped.
    Stop,
    Continued,
    /// This program is to end.
    End(Signal),
}

/// The watched signals. Their default actions do not come back when this is dropped: the runtime keeps its handlers.
pub(super) struct Signals(Vec<(Stream, Came)>);

impl Signals {
    pub(super) fn watch() -> Result<Signals> {
        let _context = wire::wire()?.enter();
        let host = |signal: rustix::process::Signal| SignalKind::from_raw(signal.as_raw());
        let all = [
            (SignalKind::terminate(), Came::End(Signal::SIGTERM)),
            (SignalKind::hangup(), Came::End(Signal::SIGHUP)),
            (SignalKind::interrupt(), Came::End(Signal::SIGINT)),
            (SignalKind::quit(), Came::End(Signal::SIGQUIT)),
            (SignalKind::window_change(), Came::Resized),
            (host(rustix::process::Signal::TSTP), Came::Stop),
            (host(rustix::process::Signal::CONT), Came::Continued),
        ];
        let watched: std::io::Result<Vec<_>> =
            all.into_iter().map(|(kind, came)| Ok((signal(kind)?, came))).collect();
        let watched = watched.map_err(|e| Error::Transport { message: format!("watch for signals: {e}") })?;
        Ok(Signals(watched))
    }

    pub(super) async fn next(&mut self) -> Came {
        std::future::poll_fn(|cx| {
            for (stream, came) in &mut self.0 {
                if stream.poll_recv(cx).is_ready() {
                    return Poll::Ready(*came);
                }
            }
            Poll::Pending
        })
        .await
    }
}
