//! The terminal of this program while a guest has it: taken in raw mode, given back as it was, whatever happens.
//! It does not know what is at the other end. What is typed comes from `keyboard`, what is shown goes to `screen`.

mod keyboard;
mod screen;

pub(super) use keyboard::Keyboard;
pub(super) use screen::Screen;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::termios::{
    OptionalActions, QueueSelector, SpecialCodeIndex, Termios, isatty, tcflush, tcgetattr, tcgetwinsize,
    tcsetattr,
};

use super::TerminalPolicy;
use crate::error::{Error, Result};

/// How long a terminal that takes nothing is waited for when it is given back.
const PATIENCE: Duration = Duration::from_millis(300);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(2);

fn failed(what: &str, error: impl std::fmt::Display) -> Error {
    Error::Transport { message: format!("{what}: {error}") }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map_err(|e| failed("start a thread", e))
}

/// Waits for a thread, where nothing can be awaited; not for one that does not come back.
fn give_time(thread: &JoinHandle<()>, until: Instant) {
    while !thread.is_finished() && Instant::now() < until {
        std::thread::sleep(PAUSE);
    }
}

/// The terminal, in raw mode until this is dropped.
pub(super) struct HostTerminal {
    // In this order they are dropped: the thread that reads ends before the mode changes under it.
    pub(super) keyboard: Keyboard,
    pub(super) screen: Screen,
    pub(super) tty: Tty,
}

impl HostTerminal {
    /// Takes standard input, which must be a terminal, and standard output.
    pub(super) fn take(policy: TerminalPolicy) -> Result<HostTerminal> {
        let tty = Tty::open()?;
        tty.raw()?;
        let keyboard = Keyboard::open(&tty.input)?;
        let screen = Screen::open(policy)?;
        Ok(HostTerminal { keyboard, screen, tty })
    }

    /// Columns and rows of standard input, which must be a terminal; `None` if it does not know them.
    pub(super) fn size() -> Result<Option<(u16, u16)>> {
        let stdin = io::stdin();
        if isatty(&stdin) {
            Ok(size(stdin))
        } else {
            Err(Error::InvalidRequest { message: "standard input is not a terminal".to_owned() })
        }
    }
}

fn size(of: impl AsFd) -> Option<(u16, u16)> {
    let size = tcgetwinsize(of).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// Its mode and size.
pub(super) struct Tty {
    input: Arc<OwnedFd>,
    saved: Termios,
}

impl Tty {
    fn open() -> Result<Tty> {
        let input = io::stdin().as_fd().try_clone_to_owned().map_err(|e| failed("standard input", e))?;
        let saved = tcgetattr(&input).map_err(|e| failed("read the terminal's attributes", e))?;
        Ok(Tty { input: Arc::new(input), saved })
    }

    /// Puts it in raw mode (again).
    pub(super) fn raw(&self) -> Result<()> {
        let mut raw = self.saved.clone();
        raw.make_raw();
        // A read returns what there is, nothing included: it never blocks. The descriptor is not ours alone to make
        // non-blocking.
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&*self.input, OptionalActions::Now, &raw)
            .map_err(|e| failed("set the terminal's attributes", e))
    }

    /// Gives it back, perhaps for a while.
    pub(super) fn cooked(&self) {
        // Not after output was drained: a stopped terminal never is.
        if let Err(error) = tcsetattr(&*self.input, OptionalActions::Now, &self.saved) {
            tracing::warn!(%error, "the terminal cannot be restored");
        }
    }

    /// Columns and rows; `None` if it does not know them.
    pub(super) fn size(&self) -> Option<(u16, u16)> {
        size(&*self.input)
    }

    /// Throws away what was typed and not read.
    pub(super) fn discard_input(&self) {
        let _ = tcflush(&*self.input, QueueSelector::IFlush);
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        self.cooked();
    }
}
