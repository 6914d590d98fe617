//! Terminals of `agentos_v1`.

use std::sync::Arc;

use agentos_abi::MODULE;
use agentos_abi::fd::CLOEXEC;
use agentos_abi::tty::{TERMIOS_SIZE, Termios, WINSIZE_SIZE, Winsize};
use agentos_kernel::{Description, Errno, Kernel, Pid, Process, Result};
use wasmtime::{Caller, Linker};

use super::{fd_number, quick, waiting};
use crate::guest::{Guest, parts};
use crate::memory::{bytes, put, put_u32};

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    quick!(linker, MODULE, isatty(fd: i32));
    quick!(linker, MODULE, tcgetattr(fd: i32, out: i32));
    waiting!(linker, MODULE, tcsetattr(fd: i32, when: i32, termios: i32));
    waiting!(linker, MODULE, tcdrain(fd: i32));
    waiting!(linker, MODULE, tcflush(fd: i32, queue: i32));
    waiting!(linker, MODULE, tcflow(fd: i32, action: i32));
    quick!(linker, MODULE, tcgetwinsize(fd: i32, out: i32));
    waiting!(linker, MODULE, tcsetwinsize(fd: i32, size: i32));
    quick!(linker, MODULE, tcgetpgrp(fd: i32, out: i32));
    waiting!(linker, MODULE, tcsetpgrp(fd: i32, pgid: i32));
    quick!(linker, MODULE, tcgetsid(fd: i32, out: i32));
    quick!(linker, MODULE, tcsetctty(fd: i32));
    quick!(linker, MODULE, openpty(flags: i32, out: i32));
    quick!(linker, MODULE, ttyname(fd: i32, buffer: i32, len: i32, out_len: i32));
    Ok(())
}

/// The description of a number, and on whose behalf the kernel acts on it.
struct Call {
    kernel: Arc<Kernel>,
    process: Arc<Process>,
    file: Arc<Description>,
}

fn call(guest: &Guest, fd: i32) -> Result<Call> {
    let process = Arc::clone(&guest.process);
    let file = guest.machine.kernel.description(&process, fd_number(fd)?)?;
    Ok(Call { kernel: Arc::clone(&guest.machine.kernel), process, file })
}

fn isatty(caller: &mut Caller<'_, Guest>, fd: i32) -> Result<()> {
    let call = call(caller.data(), fd)?;
    call.kernel.isatty(&call.file)
}

fn tcgetattr(caller: &mut Caller<'_, Guest>, fd: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let call = call(guest, fd)?;
    put(memory, out, &call.kernel.tcgetattr(&call.file)?.encode())
}

async fn tcsetattr(caller: &mut Caller<'_, Guest>, fd: i32, when: i32, termios: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let call = call(guest, fd)?;
    let raw = bytes(memory, termios, TERMIOS_SIZE as i32)?;
    let termios = Termios::decode(raw.first_chunk().ok_or(Errno::EFAULT)?);
    call.kernel.tcsetattr(&call.process, &call.file, when.cast_unsigned(), &termios).await
}

async fn tcdrain(caller: &mut Caller<'_, Guest>, fd: i32) -> Result<()> {
    let call = call(caller.data(), fd)?;
    call.kernel.tcdrain(&call.process, &call.file).await
}

async fn tcflush(caller: &mut Caller<'_, Guest>, fd: i32, queue: i32) -> Result<()> {
    let call = call(caller.data(), fd)?;
    call.kernel.tcflush(&call.process, &call.file, queue.cast_unsigned()).await
}

async fn tcflow(caller: &mut Caller<'_, Guest>, fd: i32, action: i32) -> Result<()> {
    let call = call(caller.data(), fd)?;
    call.kernel.tcflow(&call.process, &call.file, action.cast_unsigned()).await
}

fn tcgetwinsize(caller: &mut Caller<'_, Guest>, fd: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let call = call(guest, fd)?;
    put(memory, out, &call.kernel.tcgetwinsize(&call.file)?.encode())
}

async fn tcsetwinsize(caller: &mut Caller<'_, Guest>, fd: i32, size: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let call = call(guest, fd)?;
    let raw = bytes(memory, size, WINSIZE_SIZE as i32)?;
    let size = Winsize::decode(raw.first_chunk().ok_or(Errno::EFAULT)?);
    call.kernel.tcsetwinsize(&call.file, size)
}

fn tcgetpgrp(caller: &mut Caller<'_, Guest>, fd: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let call = call(guest, fd)?;
    put_u32(memory, out, call.kernel.tcgetpgrp(&call.process, &call.file)?.0)
}

async fn tcsetpgrp(caller: &mut Caller<'_, Guest>, fd: i32, pgid: i32) -> Result<()> {
    let call = call(caller.data(), fd)?;
    let pgid = Pid(u32::try_from(pgid).map_err(|_| Errno::EINVAL)?);
    call.kernel.tcsetpgrp(&call.process, &call.file, pgid).await
}

fn tcgetsid(caller: &mut Caller<'_, Guest>, fd: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let call = call(guest, fd)?;
    put_u32(memory, out, call.kernel.tcgetsid(&call.process, &call.file)?.0)
}

fn tcsetctty(caller: &mut Caller<'_, Guest>, fd: i32) -> Result<()> {
    let call = call(caller.data(), fd)?;
    call.kernel.tcsetctty(&call.process, &call.file)
}

fn openpty(caller: &mut Caller<'_, Guest>, flags: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    bytes(memory, out, 8)?;
    let flags = flags.cast_unsigned();
    if flags & !CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    let (master, slave) = guest.machine.kernel.openpty(&guest.process, flags & CLOEXEC != 0)?;
    put_u32(memory, out, master.0)?;
    put_u32(memory, out.wrapping_add(4), slave.0)
}

fn ttyname(caller: &mut Caller<'_, Guest>, fd: i32, buffer: i32, len: i32, out_len: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let call = call(guest, fd)?;
    let name = call.kernel.ttyname(&call.file)?;
    put_u32(memory, out_len, name.len() as u32)?;
    if name.len() > len.cast_unsigned() as usize {
        return Err(Errno::ERANGE);
    }
    put(memory, buffer, &name)
}
