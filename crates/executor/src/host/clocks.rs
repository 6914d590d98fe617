//! Clocks and yielding.

use std::time::Duration;

use agentos_kernel::{Errno, Result};
use wasmtime::{Caller, Linker};

use super::{WASI, quick, waiting};
use crate::guest::{Guest, parts};
use crate::memory::put_u64;

/// Clock numbers of preview 1.
pub(super) const REALTIME: u32 = 0;
pub(super) const MONOTONIC: u32 = 1;
const PROCESS_CPU: u32 = 2;
const THREAD_CPU: u32 = 3;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    quick!(linker, WASI, clock_res_get(clock: i32, out: i32));
    quick!(linker, WASI, clock_time_get(clock: i32, precision: i64, out: i32));
    waiting!(linker, WASI, sched_yield());
    Ok(())
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The time that a clock shows.
pub(super) fn time_of(guest: &Guest, clock: u32) -> Result<Duration> {
    let clocks = &guest.machine.kernel.clock;
    match clock {
        REALTIME => Ok(clocks.realtime()),
        MONOTONIC => Ok(clocks.monotonic()),
        PROCESS_CPU | THREAD_CPU => Ok(guest.process.cpu()),
        _ => Err(Errno::EINVAL),
    }
}

fn clock_res_get(caller: &mut Caller<'_, Guest>, clock: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    time_of(guest, clock.cast_unsigned())?;
    put_u64(memory, out, 1)
}

fn clock_time_get(caller: &mut Caller<'_, Guest>, clock: i32, _precision: i64, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let now = time_of(guest, clock.cast_unsigned())?;
    put_u64(memory, out, nanoseconds(now))
}

async fn sched_yield(_caller: &mut Caller<'_, Guest>) -> Result<()> {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if yielded {
            return std::task::Poll::Ready(Ok(()));
        }
        yielded = true;
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await
}
