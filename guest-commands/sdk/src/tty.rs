//! Terminals: attributes, window size, foreground group, and pairs of one's own. Lines are not edited here.
//!
//! ```
//! use agentos_guest::{fd, tty};
//! let (_master, slave) = tty::openpty()?;
//! let mut raw = tty::tcgetattr(slave.raw())?;
//! raw.make_raw();
//! tty::tcsetattr(slave.raw(), tty::When::Drain, &raw)?;
//! assert!(fd::isatty(slave.raw()));
//! # Ok::<(), std::io::Error>(())
//! ```

pub use crate::fd::isatty;
use crate::fd::{self, Owned};
use crate::process::Pid;
use crate::sys;
pub use agentos_abi::tty::{NCCS, Termios, VDISABLE, Winsize, cc, cflag, iflag, lflag, oflag};
use agentos_abi::tty::{
    TCIFLUSH, TCIOFF, TCIOFLUSH, TCION, TCOFLUSH, TCOOFF, TCOON, TCSADRAIN, TCSAFLUSH, TCSANOW,
};
use std::io;
use std::path::PathBuf;

/// When [`tcsetattr`] acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At once.
    Now,
    /// After all output was taken.
    Drain,
    /// After all output was taken; input that was not read is discarded.
    Flush,
}

/// What [`tcflush`] discards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Input that was not read.
    Input,
    /// Output that was not taken.
    Output,
    /// Both.
    Both,
}

/// What [`tcflow`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Holds the output.
    HoldOutput,
    /// Releases the output.
    ReleaseOutput,
    /// Asks the other side to send no more.
    HoldInput,
    /// Asks the other side to go on.
    ReleaseInput,
}

/// The attributes of the terminal.
///
/// # Errors
/// `ENOTTY`, `EBADF`, `EIO` after a hang-up.
pub fn tcgetattr(fd: u32) -> io::Result<Termios> {
    sys::tcgetattr(fd)
}

/// Sets the attributes of the terminal.
///
/// # Errors
/// As [`tcgetattr`]; `EINTR`: a caught signal arrived first. A process in the background is stopped by SIGTTOU unless
/// it ignores or blocks that.
pub fn tcsetattr(fd: u32, when: When, termios: &Termios) -> io::Result<()> {
    let when = match when {
        When::Now => TCSANOW,
        When::Drain => TCSADRAIN,
        When::Flush => TCSAFLUSH,
    };
    sys::tcsetattr(fd, when, termios)
}

/// Waits until all output was taken.
///
/// # Errors
/// As [`tcsetattr`].
pub fn tcdrain(fd: u32) -> io::Result<()> {
    sys::tcdrain(fd)
}

/// Discards what is in a queue.
///
/// # Errors
/// As [`tcsetattr`].
pub fn tcflush(fd: u32, queue: Queue) -> io::Result<()> {
    let queue = match queue {
        Queue::Input => TCIFLUSH,
        Queue::Output => TCOFLUSH,
        Queue::Both => TCIOFLUSH,
    };
    sys::tcflush(fd, queue)
}

/// Holds or releases input or output.
///
/// # Errors
/// As [`tcsetattr`].
pub fn tcflow(fd: u32, flow: Flow) -> io::Result<()> {
    let action = match flow {
        Flow::HoldOutput => TCOOFF,
        Flow::ReleaseOutput => TCOON,
        Flow::HoldInput => TCIOFF,
        Flow::ReleaseInput => TCION,
    };
    sys::tcflow(fd, action)
}

/// The size of the window.
///
/// # Errors
/// As [`tcgetattr`].
pub fn tcgetwinsize(fd: u32) -> io::Result<Winsize> {
    sys::tcgetwinsize(fd)
}

/// Sets the size of the window; the foreground group gets SIGWINCH if it changed.
///
/// # Errors
/// As [`tcgetattr`].
pub fn tcsetwinsize(fd: u32, size: Winsize) -> io::Result<()> {
    sys::tcsetwinsize(fd, size)
}

/// The foreground process group of the controlling terminal.
///
/// # Errors
/// `ENOTTY`: it is not the controlling terminal of this process.
pub fn tcgetpgrp(fd: u32) -> io::Result<Pid> {
    sys::tcgetpgrp(fd)
}

/// Makes a process group of this session the foreground one.
///
/// # Errors
/// `ENOTTY` as [`tcgetpgrp`]; `EPERM`: the group is not of this session. A process in the background is stopped by
/// SIGTTOU unless it ignores or blocks that.
pub fn tcsetpgrp(fd: u32, pgid: Pid) -> io::Result<()> {
    sys::tcsetpgrp(fd, pgid)
}

/// The session whose controlling terminal it is.
///
/// # Errors
/// `ENOTTY` as [`tcgetpgrp`].
pub fn tcgetsid(fd: u32) -> io::Result<Pid> {
    sys::tcgetsid(fd)
}

/// Makes the terminal the controlling one of the session that this process leads.
///
/// # Errors
/// `EPERM`: this process leads no session, or has such a terminal already, or another session has this one.
pub fn tcsetctty(fd: u32) -> io::Result<()> {
    sys::tcsetctty(fd)
}

/// A new pair of terminals: the master, which types and sees, and the slave, which programs use. Neither becomes the
/// controlling terminal; both close on exec.
///
/// # Errors
/// `ENOSPC`: too many pairs. `EMFILE`: too many descriptors.
pub fn openpty() -> io::Result<(Owned, Owned)> {
    let (master, slave) = sys::openpty()?;
    Ok((Owned::from_raw(master), Owned::from_raw(slave)))
}

/// The path of a terminal; of a master, that of its slave.
///
/// # Errors
/// `ENOTTY`, `EBADF`.
pub fn ttyname(fd: u32) -> io::Result<PathBuf> {
    Ok(PathBuf::from(String::from_utf8_lossy(&sys::ttyname(fd)?).into_owned()))
}

/// The controlling terminal of this process, opened for reading and writing; it closes on exec.
///
/// # Errors
/// `ENXIO`: there is none.
pub fn controlling() -> io::Result<Owned> {
    fd::open("/dev/tty", fd::O_RDWR | fd::O_CLOEXEC, 0).map(Owned::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Errno, errno_of};

    #[test]
    fn a_pair_carries_lines_and_attributes() {
        let (master, slave) = openpty().unwrap();
        let (master, slave) = (master.raw(), slave.raw());
        assert!(isatty(slave));
        assert_eq!(ttyname(master).unwrap(), ttyname(slave).unwrap());
        tcsetwinsize(master, Winsize { rows: 30, cols: 90, ..Winsize::default() }).unwrap();
        assert_eq!(tcgetwinsize(slave).unwrap().cols, 90);
        fd::write_all(master, b"hi\r").unwrap();
        let mut line = [0; 16];
        let n = fd::read(slave, &mut line).unwrap();
        assert_eq!(&line[..n], b"hi\n");
        let n = fd::read(master, &mut line).unwrap();
        assert_eq!(&line[..n], b"hi\r\n");
        let mut raw = tcgetattr(slave).unwrap();
        raw.make_raw();
        tcsetattr(slave, When::Now, &raw).unwrap();
        assert_eq!(tcgetattr(slave).unwrap(), raw);
        fd::write_all(master, b"\x03\r").unwrap();
        let n = fd::read(slave, &mut line).unwrap();
        assert_eq!(&line[..n], b"\x03\r");
        fd::write_all(master, b"gone").unwrap();
        tcflush(slave, Queue::Input).unwrap();
        assert!(!fd::wait_readable(slave, 0).unwrap());
    }

    #[test]
    fn what_is_no_terminal_says_so() {
        let (reader, _writer) = fd::pipe(true).unwrap();
        let errno = tcgetattr(reader.raw()).map_err(|e| errno_of(&e));
        assert_eq!(errno, Err(Some(Errno::ENOTTY)));
        assert!(!isatty(reader.raw()));
    }
}
