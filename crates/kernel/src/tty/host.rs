//! A terminal whose master is on the host: what `open_shell` of the API stands on.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use agentos_abi::tty::Winsize;
use agentos_vfs::Access;

use super::pty::PtyMaster;
use super::typeahead::Typeahead;
use crate::description::FileKind;
use crate::{Description, Errno, Kernel, KernelError, LimitHit, Result};

/// A terminal of a VM whose master the host holds. Dropped, it is hung up: its session gets SIGHUP.
///
/// To start a program on it, pass [`Terminal::stdio`] and `controlling: true` to
/// [`host_spawn`](Kernel::host_spawn): the program leads a session of its own in the foreground.
///
/// One reader and one writer at a time; both may be in different tasks.
pub struct Terminal {
    master: PtyMaster,
}

impl Kernel {
    /// A new terminal. The limit is `ptys`.
    pub fn open_terminal(&self, size: Winsize) -> std::result::Result<Terminal, KernelError> {
        if self.is_disposed() {
            return Err(KernelError::Disposed);
        }
        let master = self.terminals.create(self.weak(), size, self.cred().uid).map_err(|_| {
            KernelError::Limit(LimitHit {
                name: "ptys",
                configured: u64::from(self.terminals.limit()),
                used: self.terminals.count() as u64,
                requested: 1,
            })
        })?;
        Ok(Terminal { master })
    }
}

impl Terminal {
    /// Standard input, output and error of a program on this terminal: one description. EIO after a hang-up.
    pub fn stdio(&self) -> Result<[Arc<Description>; 3]> {
        let slave = self.master.pty().slave()?;
        let slave = Description::new(FileKind::PtySlave(slave), Access { read: true, write: true }, 0, None);
        Ok([Arc::clone(&slave), Arc::clone(&slave), slave])
    }

    /// N of `/dev/pts/N`.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.master.pty().index()
    }

    /// Takes some of what programs wrote; what nobody takes is bounded, and then makes them wait. 0 when every program has
    /// closed the terminal (never before the first one opened it).
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<usize> {
        self.master.poll_read(cx, buf).map(|n| n.unwrap_or(0))
    }

    /// As [`Terminal::poll_read`].
    pub async fn read(&self, buf: &mut [u8]) -> usize {
        poll_fn(|cx| self.poll_read(cx, buf)).await
    }

    /// Types some bytes; how many were taken. Pending while the input is full, but for bytes that raise a signal. EIO when
    /// every program has closed the terminal.
    pub fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize>> {
        self.master.poll_write(cx, data)
    }

    /// Types all of `data`. EIO when every program has closed the terminal.
    pub async fn write(&self, data: &[u8]) -> Result<()> {
        let mut rest = data;
        while !rest.is_empty() {
            let n = poll_fn(|cx| self.poll_write(cx, rest)).await?;
            rest = rest.get(n..).ok_or(Errno::EIO)?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Types from the front of what waits; if there is no room, a signal among it takes effect at once all the
    /// same. Ready when something was taken. EIO when every program has closed the terminal.
    pub fn poll_type(&self, cx: &mut Context<'_>, ahead: &mut Typeahead) -> Poll<Result<()>> {
        self.master.poll_type(cx, ahead)
    }

    /// Takes `waker` out again, of a poll that is given up.
    pub fn leave(&self, waker: &Waker) {
        self.master.pty().leave(waker);
    }

    /// Sets the size of the window; the foreground group gets SIGWINCH if it changed.
    pub fn resize(&self, size: Winsize) {
        self.master.pty().resize(size);
    }

    /// The size of the window.
    #[must_use]
    pub fn size(&self) -> Winsize {
        self.master.pty().size()
    }

    /// Hangs up without waiting for the drop: reads of programs end, their writes fail, the session leader and the
    /// foreground group get SIGHUP and SIGCONT.
    pub fn hang_up(&self) {
        self.master.pty().hang_up();
    }
}
