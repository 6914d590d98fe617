//! Terminals: attributes, window size, foreground group (POSIX 11). No descriptor is a terminal yet.

use agentos_abi::tty::{Termios, Winsize};

use crate::{Description, Errno, Fd, Kernel, Pid, Process, Result};

impl Kernel {
    /// isatty(3). ENOTTY.
    pub fn isatty(&self, _file: &Description) -> Result<()> {
        Err(Errno::ENOTTY)
    }

    /// tcgetattr(3). ENOTTY.
    pub fn tcgetattr(&self, _file: &Description) -> Result<Termios> {
        Err(Errno::ENOTTY)
    }

    /// tcsetattr(3). ENOTTY.
    pub async fn tcsetattr(
        &self,
        _process: &Process,
        _file: &Description,
        _when: u32,
        _termios: &Termios,
    ) -> Result<()> {
        Err(Errno::ENOTTY)
    }

    /// tcdrain(3). ENOTTY.
    pub async fn tcdrain(&self, _process: &Process, _file: &Description) -> Result<()> {
        Err(Errno::ENOTTY)
    }

    /// tcflush(3). ENOTTY.
    pub async fn tcflush(&self, _process: &Process, _file: &Description, _queue: u32) -> Result<()> {
        Err(Errno::ENOTTY)
    }

    /// tcflow(3). ENOTTY.
    pub async fn tcflow(&self, _process: &Process, _file: &Description, _action: u32) -> Result<()> {
        Err(Errno::ENOTTY)
    }

    /// tcgetwinsize(3). ENOTTY.
    pub fn tcgetwinsize(&self, _file: &Description) -> Result<Winsize> {
        Err(Errno::ENOTTY)
    }

    /// tcsetwinsize(3). ENOTTY.
    pub fn tcsetwinsize(&self, _file: &Description, _size: Winsize) -> Result<()> {
        Err(Errno::ENOTTY)
    }

    /// tcgetpgrp(3). ENOTTY.
    pub fn tcgetpgrp(&self, _process: &Process, _file: &Description) -> Result<Pid> {
        Err(Errno::ENOTTY)
    }

    /// tcsetpgrp(3). ENOTTY.
    pub async fn tcsetpgrp(&self, _process: &Process, _file: &Description, _pgid: Pid) -> Result<()> {
        Err(Errno::ENOTTY)
    }

    /// tcgetsid(3). ENOTTY.
    pub fn tcgetsid(&self, _process: &Process, _file: &Description) -> Result<Pid> {
        Err(Errno::ENOTTY)
    }

    /// `TIOCSCTTY`. ENOTTY.
    pub fn tcsetctty(&self, _process: &Process, _file: &Description) -> Result<()> {
        Err(Errno::ENOTTY)
    }

    /// openpty(3). ENOSYS.
    pub fn openpty(&self, _process: &Process, _cloexec: bool) -> Result<(Fd, Fd)> {
        Err(Errno::ENOSYS)
    }

    /// ttyname(3). ENOTTY.
    pub fn ttyname(&self, _file: &Description) -> Result<Vec<u8>> {
        Err(Errno::ENOTTY)
    }
}
