//! Signals of `agentos_v1`.

use std::sync::Arc;
use std::time::Duration;

use agentos_abi::process::ITIMER_REAL;
use agentos_abi::signal::{SIG_BLOCK, SIG_CATCH, SIG_DFL, SIG_IGN, SIG_SETMASK, SIG_UNBLOCK};
use agentos_abi::{MODULE, Signal};
use agentos_kernel::{Disposition, Errno, Result};
use wasmtime::{Caller, Linker};

use super::{quick, waiting};
use crate::guest::{Guest, parts};
use crate::memory::{bytes, get_u32, put_u32_if, put_u64, put_u64_if};

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    quick!(linker, MODULE, kill(pid: i32, signal: i32));
    quick!(linker, MODULE, sigaction(signal: i32, disposition: i32, out_old: i32));
    quick!(linker, MODULE, sigmask(how: i32, mask: i64, out_old: i32));
    quick!(linker, MODULE, sigpending(out: i32));
    quick!(linker, MODULE, pending_word(address: i32));
    quick!(linker, MODULE, alarm(ms: i64, out_left: i32));
    quick!(linker, MODULE, setitimer(which: i32, interval_us: i64, value_us: i64, out_old: i32));
    quick!(linker, MODULE, getitimer(which: i32, out: i32));
    waiting!(linker, MODULE, pause());
    linker.func_wrap(MODULE, "next_signal", |mut caller: Caller<'_, Guest>| -> wasmtime::Result<i32> {
        let signal = caller.data().process.take_caught();
        // Tells again if more wait, and ends the process if it must.
        crate::guest::finish(&mut caller, Ok(()))?;
        Ok(signal.map_or(0, |s| i32::from(s.raw())))
    })?;
    Ok(())
}

fn signal_of(raw: i32) -> Result<Signal> {
    u8::try_from(raw).ok().and_then(Signal::from_raw).ok_or(Errno::EINVAL)
}

fn kill(caller: &mut Caller<'_, Guest>, pid: i32, signal: i32) -> Result<()> {
    let guest = caller.data();
    let signal = if signal == 0 { None } else { Some(signal_of(signal)?) };
    guest.machine.kernel.kill(&guest.process, pid, signal)
}

fn sigaction(caller: &mut Caller<'_, Guest>, signal: i32, disposition: i32, out_old: i32) -> Result<()> {
    let signal = signal_of(signal)?;
    let disposition = match disposition.cast_unsigned() {
        SIG_DFL => Disposition::Default,
        SIG_IGN => Disposition::Ignore,
        SIG_CATCH => Disposition::Catch,
        _ => return Err(Errno::EINVAL),
    };
    let (memory, guest) = parts(caller)?;
    let old = guest.machine.kernel.sigaction(&guest.process, signal, disposition).ok_or(Errno::EINVAL)?;
    let old = match old {
        Disposition::Default => SIG_DFL,
        Disposition::Ignore => SIG_IGN,
        Disposition::Catch => SIG_CATCH,
    };
    put_u32_if(memory, out_old, old)
}

fn sigmask(caller: &mut Caller<'_, Guest>, how: i32, mask: i64, out_old: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let old = guest.process.signal_state().blocked();
    let mask = mask.cast_unsigned();
    let new = match how.cast_unsigned() {
        SIG_BLOCK => old | mask,
        SIG_UNBLOCK => old & !mask,
        SIG_SETMASK => mask,
        _ => return Err(Errno::EINVAL),
    };
    put_u64_if(memory, out_old, old)?;
    guest.machine.kernel.set_sigmask(&guest.process, new);
    Ok(())
}

fn sigpending(caller: &mut Caller<'_, Guest>, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let pending = guest.process.signal_state().pending();
    put_u64(memory, out, pending)
}

fn pending_word(caller: &mut Caller<'_, Guest>, address: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    if address != 0 {
        get_u32(memory, address.cast_unsigned())?;
    }
    guest.pending_word = address.cast_unsigned();
    Ok(())
}

fn alarm(caller: &mut Caller<'_, Guest>, ms: i64, out_left: i32) -> Result<()> {
    let ms = u64::try_from(ms).map_err(|_| Errno::EINVAL)?;
    let (memory, guest) = parts(caller)?;
    let left = guest.machine.kernel.alarm(&guest.process, ms);
    put_u64_if(memory, out_left, left)
}

/// A time in microseconds that a guest gave.
fn micros(value: i64) -> Result<Duration> {
    u64::try_from(value).map(Duration::from_micros).map_err(|_| Errno::EINVAL)
}

fn put_timer(memory: &mut [u8], out: i32, (interval, left): (Duration, Duration)) -> Result<()> {
    // What is left is never shown as nothing: that would mean that no timer is set.
    let us = |d: Duration| u64::try_from(d.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
    put_u64(memory, out, us(interval))?;
    put_u64(memory, out.wrapping_add(8), us(left))
}

fn setitimer(
    caller: &mut Caller<'_, Guest>,
    which: i32,
    interval_us: i64,
    value_us: i64,
    out_old: i32,
) -> Result<()> {
    let (interval, value) = (micros(interval_us)?, micros(value_us)?);
    if which.cast_unsigned() != ITIMER_REAL {
        return Err(Errno::EINVAL);
    }
    let (memory, guest) = parts(caller)?;
    if out_old != 0 {
        bytes(memory, out_old, 16)?;
    }
    let old = guest.machine.kernel.setitimer(&guest.process, interval, value);
    if out_old == 0 { Ok(()) } else { put_timer(memory, out_old, old) }
}

fn getitimer(caller: &mut Caller<'_, Guest>, which: i32, out: i32) -> Result<()> {
    if which.cast_unsigned() != ITIMER_REAL {
        return Err(Errno::EINVAL);
    }
    let (memory, guest) = parts(caller)?;
    put_timer(memory, out, guest.machine.kernel.getitimer(&guest.process))
}

async fn pause(caller: &mut Caller<'_, Guest>) -> Result<()> {
    let guest = caller.data();
    let (kernel, process) = (Arc::clone(&guest.machine.kernel), Arc::clone(&guest.process));
    Err(kernel.pause(&process).await)
}
