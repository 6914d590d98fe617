//! Terminals on a Linux host.

use super::unix::{check, check_u32};
use super::{close, open};
use agentos_abi::fd::{O_CLOEXEC, O_NOCTTY, O_RDWR};
use agentos_abi::tty::{
    NCCS, TCIFLUSH, TCIOFF, TCOFLUSH, TCOOFF, TCOON, TCSADRAIN, TCSANOW, Termios, Winsize,
};
use std::io;

fn raw_attr(fd: u32) -> io::Result<libc::termios> {
    // SAFETY: an all-zero termios is valid.
    let mut raw: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: the out-pointer is a live local.
    check(unsafe { libc::tcgetattr(fd as i32, &raw mut raw) })?;
    Ok(raw)
}

pub(crate) fn tcgetattr(fd: u32) -> io::Result<Termios> {
    let raw = raw_attr(fd)?;
    let mut cc = [0; NCCS];
    cc.copy_from_slice(&raw.c_cc[..NCCS]);
    Ok(Termios { iflag: raw.c_iflag, oflag: raw.c_oflag, cflag: raw.c_cflag, lflag: raw.c_lflag, cc })
}

pub(crate) fn tcsetattr(fd: u32, when: u32, termios: &Termios) -> io::Result<()> {
    let mut raw = raw_attr(fd)?;
    (raw.c_iflag, raw.c_oflag, raw.c_cflag, raw.c_lflag) =
        (termios.iflag, termios.oflag, termios.cflag, termios.lflag);
    raw.c_cc[..NCCS].copy_from_slice(&termios.cc);
    let when = match when {
        TCSANOW => libc::TCSANOW,
        TCSADRAIN => libc::TCSADRAIN,
        _ => libc::TCSAFLUSH,
    };
    // SAFETY: the pointer is to a live local.
    check(unsafe { libc::tcsetattr(fd as i32, when, &raw const raw) })
}

pub(crate) fn tcdrain(fd: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::tcdrain(fd as i32) })
}

pub(crate) fn tcflush(fd: u32, queue: u32) -> io::Result<()> {
    let queue = match queue {
        TCIFLUSH => libc::TCIFLUSH,
        TCOFLUSH => libc::TCOFLUSH,
        _ => libc::TCIOFLUSH,
    };
    // SAFETY: takes numbers only.
    check(unsafe { libc::tcflush(fd as i32, queue) })
}

pub(crate) fn tcflow(fd: u32, action: u32) -> io::Result<()> {
    let action = match action {
        TCOOFF => libc::TCOOFF,
        TCOON => libc::TCOON,
        TCIOFF => libc::TCIOFF,
        _ => libc::TCION,
    };
    // SAFETY: takes numbers only.
    check(unsafe { libc::tcflow(fd as i32, action) })
}

pub(crate) fn tcgetwinsize(fd: u32) -> io::Result<Winsize> {
    let mut raw = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request stores a winsize at the live out-pointer.
    check(unsafe { libc::ioctl(fd as i32, libc::TIOCGWINSZ, &raw mut raw) })?;
    Ok(Winsize { rows: raw.ws_row, cols: raw.ws_col, xpixel: raw.ws_xpixel, ypixel: raw.ws_ypixel })
}

pub(crate) fn tcsetwinsize(fd: u32, size: Winsize) -> io::Result<()> {
    let raw = libc::winsize {
        ws_row: size.rows,
        ws_col: size.cols,
        ws_xpixel: size.xpixel,
        ws_ypixel: size.ypixel,
    };
    // SAFETY: the request reads a winsize at the live pointer.
    check(unsafe { libc::ioctl(fd as i32, libc::TIOCSWINSZ, &raw const raw) })
}

pub(crate) fn tcgetpgrp(fd: u32) -> io::Result<u32> {
    // SAFETY: takes and returns numbers only.
    check_u32(unsafe { libc::tcgetpgrp(fd as i32) })
}

pub(crate) fn tcsetpgrp(fd: u32, pgid: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::tcsetpgrp(fd as i32, pgid as i32) })
}

pub(crate) fn tcgetsid(fd: u32) -> io::Result<u32> {
    // SAFETY: takes and returns numbers only.
    check_u32(unsafe { libc::tcgetsid(fd as i32) })
}

pub(crate) fn tcsetctty(fd: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::ioctl(fd as i32, libc::TIOCSCTTY, 0) })
}

fn slave_name(master: u32) -> io::Result<Vec<u8>> {
    let mut name = [0 as libc::c_char; 64];
    // SAFETY: the buffer is live and as long as stated.
    match unsafe { libc::ptsname_r(master as i32, name.as_mut_ptr(), name.len()) } {
        0 => Ok(text(&name)),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

fn text(name: &[libc::c_char]) -> Vec<u8> {
    name.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect()
}

pub(crate) fn openpty() -> io::Result<(u32, u32)> {
    // SAFETY: takes and returns numbers only.
    let master = check_u32(unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) })?;
    let slave = || {
        // SAFETY: takes numbers only.
        check(unsafe { libc::grantpt(master as i32) })?;
        // SAFETY: takes numbers only.
        check(unsafe { libc::unlockpt(master as i32) })?;
        let flags = O_RDWR | O_CLOEXEC | O_NOCTTY;
        open(agentos_abi::fd::AT_FDCWD, &slave_name(master)?, flags, 0)
    };
    match slave() {
        Ok(slave) => Ok((master, slave)),
        Err(error) => {
            let _ = close(master);
            Err(error)
        }
    }
}

pub(crate) fn ttyname(fd: u32) -> io::Result<Vec<u8>> {
    if let Ok(name) = slave_name(fd) {
        return Ok(name);
    }
    let mut name = [0 as libc::c_char; 256];
    // SAFETY: the buffer is live and as long as stated.
    match unsafe { libc::ttyname_r(fd as i32, name.as_mut_ptr(), name.len()) } {
        0 => Ok(text(&name)),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// What `SPAWN_FOREGROUND` does, in the child: its group becomes the foreground one if that of the parent was.
pub(super) fn take_foreground(parents_group: u32) {
    let Ok(tty) = open(agentos_abi::fd::AT_FDCWD, b"/dev/tty", O_RDWR | O_CLOEXEC, 0) else { return };
    if tcgetpgrp(tty).is_ok_and(|group| group == parents_group) {
        // The child is in the background already when its parent moved it: SIGTTOU must not stop it here.
        let ttou = agentos_abi::Signal::SIGTTOU.bit();
        let old = super::sigmask(agentos_abi::signal::SIG_BLOCK, ttou);
        let _ = super::getpgid(0).and_then(|group| tcsetpgrp(tty, group));
        if let Ok(old) = old {
            let _ = super::sigmask(agentos_abi::signal::SIG_SETMASK, old);
        }
    }
    let _ = close(tty);
}
