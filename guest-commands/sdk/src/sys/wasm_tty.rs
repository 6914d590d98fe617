//! Terminals inside a VM.

use super::wasm::{addr, check, out_buffer, out_bytes, out_u32, raw};
use agentos_abi::fd::CLOEXEC;
use agentos_abi::tty::{TERMIOS_SIZE, Termios, WINSIZE_SIZE, Winsize};
use std::io;

pub(crate) fn tcgetattr(fd: u32) -> io::Result<Termios> {
    // SAFETY: `out` is a live buffer of the size of a Termios.
    let bytes = out_bytes::<TERMIOS_SIZE>(|out| unsafe { raw::tcgetattr(fd as i32, out) })?;
    Ok(Termios::decode(&bytes))
}

pub(crate) fn tcsetattr(fd: u32, when: u32, termios: &Termios) -> io::Result<()> {
    let bytes = termios.encode();
    // SAFETY: the bytes are live for the call.
    check(unsafe { raw::tcsetattr(fd as i32, when as i32, addr(bytes.as_ptr())) })
}

pub(crate) fn tcdrain(fd: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { raw::tcdrain(fd as i32) })
}

pub(crate) fn tcflush(fd: u32, queue: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { raw::tcflush(fd as i32, queue as i32) })
}

pub(crate) fn tcflow(fd: u32, action: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { raw::tcflow(fd as i32, action as i32) })
}

pub(crate) fn tcgetwinsize(fd: u32) -> io::Result<Winsize> {
    // SAFETY: `out` is a live buffer of the size of a Winsize.
    let bytes = out_bytes::<WINSIZE_SIZE>(|out| unsafe { raw::tcgetwinsize(fd as i32, out) })?;
    Ok(Winsize::decode(&bytes))
}

pub(crate) fn tcsetwinsize(fd: u32, size: Winsize) -> io::Result<()> {
    let bytes = size.encode();
    // SAFETY: the bytes are live for the call.
    check(unsafe { raw::tcsetwinsize(fd as i32, addr(bytes.as_ptr())) })
}

pub(crate) fn tcgetpgrp(fd: u32) -> io::Result<u32> {
    // SAFETY: `out` is a live u32.
    out_u32(|out| unsafe { raw::tcgetpgrp(fd as i32, out) })
}

pub(crate) fn tcsetpgrp(fd: u32, pgid: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { raw::tcsetpgrp(fd as i32, pgid as i32) })
}

pub(crate) fn tcgetsid(fd: u32) -> io::Result<u32> {
    // SAFETY: `out` is a live u32.
    out_u32(|out| unsafe { raw::tcgetsid(fd as i32, out) })
}

pub(crate) fn tcsetctty(fd: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { raw::tcsetctty(fd as i32) })
}

pub(crate) fn openpty() -> io::Result<(u32, u32)> {
    // SAFETY: `out` is a live buffer of two u32.
    let bytes = out_bytes::<8>(|out| unsafe { raw::openpty(CLOEXEC as i32, out) })?;
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Ok((word(0), word(4)))
}

pub(crate) fn ttyname(fd: u32) -> io::Result<Vec<u8>> {
    // SAFETY: the buffer is live and as long as stated, the length a live u32.
    out_buffer(|buf, len, out| unsafe { raw::ttyname(fd as i32, buf, len, out) })
}
