//! poll_oneoff: clocks and descriptors at once.

use std::sync::Arc;
use std::time::Duration;

use agentos_kernel::poll::PollTarget;
use agentos_kernel::{Errno, Interest, Result};
use wasmtime::{Caller, Linker};

use super::{WASI, clocks, waiting};
use crate::guest::{Guest, parts};
use crate::memory::{bytes, put, put_u32};

const SUBSCRIPTION: i32 = 48;
const EVENT: usize = 32;
/// Subscriptions at once: as many as a process can have descriptors, and some clocks.
const MOST: u32 = 4096;
const EVENTTYPE_CLOCK: u8 = 0;
const EVENTTYPE_FD_READ: u8 = 1;
const EVENTTYPE_FD_WRITE: u8 = 2;
const CLOCK_ABSTIME: u16 = 1;
const EVENT_HANGUP: u16 = 1;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    waiting!(linker, WASI, poll_oneoff(subscriptions: i32, events: i32, count: i32, out: i32));
    Ok(())
}

/// What a subscription became.
enum Watched {
    /// A clock that is due after this time from now.
    Clock(Duration),
    /// An index into the targets.
    Target(usize, u8),
    /// A descriptor that cannot be watched.
    Failed(Errno, u8),
}

fn u64_at(raw: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&raw[at..at + 8]);
    u64::from_le_bytes(word)
}

fn subscription(guest: &Guest, raw: &[u8], targets: &mut Vec<PollTarget>) -> Result<Watched> {
    match raw[8] {
        EVENTTYPE_CLOCK => {
            let clock = u32::from_le_bytes([raw[16], raw[17], raw[18], raw[19]]);
            let timeout = Duration::from_nanos(u64_at(raw, 24));
            let flags = u16::from_le_bytes([raw[40], raw[41]]);
            let now = clocks::time_of(guest, clock)?;
            if !matches!(clock, clocks::REALTIME | clocks::MONOTONIC) {
                return Err(Errno::EINVAL);
            }
            let left = if flags & CLOCK_ABSTIME != 0 { timeout.saturating_sub(now) } else { timeout };
            Ok(Watched::Clock(left))
        }
        kind @ (EVENTTYPE_FD_READ | EVENTTYPE_FD_WRITE) => {
            let fd = i32::from_le_bytes([raw[16], raw[17], raw[18], raw[19]]);
            match guest.file(fd) {
                Ok(file) => {
                    let interest = if kind == EVENTTYPE_FD_READ { Interest::Read } else { Interest::Write };
                    targets.push(PollTarget { file, interest });
                    Ok(Watched::Target(targets.len() - 1, kind))
                }
                Err(errno) => Ok(Watched::Failed(errno, kind)),
            }
        }
        _ => Err(Errno::EINVAL),
    }
}

async fn poll_oneoff(
    caller: &mut Caller<'_, Guest>,
    subscriptions: i32,
    events: i32,
    count: i32,
    out: i32,
) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    if count <= 0 || count.cast_unsigned() > MOST {
        return Err(Errno::EINVAL);
    }
    let raw = bytes(memory, subscriptions, count.checked_mul(SUBSCRIPTION).ok_or(Errno::EINVAL)?)?;
    let mut targets = Vec::new();
    let mut watched = Vec::new();
    for raw in raw.chunks_exact(SUBSCRIPTION as usize) {
        watched.push((u64_at(raw, 0), subscription(guest, raw, &mut targets)?));
    }
    let failed = watched.iter().any(|(_, w)| matches!(w, Watched::Failed(..)));
    let first = watched
        .iter()
        .filter_map(|(_, w)| match w {
            Watched::Clock(left) => Some(*left),
            _ => None,
        })
        .min();
    let timeout = if failed { Some(Duration::ZERO) } else { first };
    let (kernel, process) = (Arc::clone(&guest.machine.kernel), Arc::clone(&guest.process));
    let outcome = kernel.poll(&process, &targets, timeout).await?;
    let mut stored: u32 = 0;
    for (userdata, watched) in &watched {
        let (errno, kind, bytes, flags) = match watched {
            Watched::Failed(errno, kind) => (errno.raw(), *kind, 0, 0),
            Watched::Clock(left) if outcome.timed_out && !failed && Some(*left) == first => {
                (0, EVENTTYPE_CLOCK, 0, 0)
            }
            Watched::Clock(_) => continue,
            Watched::Target(index, kind) => match outcome.ready.get(*index).copied().flatten() {
                Some((bytes, hung_up)) => (0, *kind, bytes as u64, if hung_up { EVENT_HANGUP } else { 0 }),
                None => continue,
            },
        };
        let mut event = [0; EVENT];
        event[..8].copy_from_slice(&userdata.to_le_bytes());
        event[8..10].copy_from_slice(&errno.to_le_bytes());
        event[10] = kind;
        event[16..24].copy_from_slice(&bytes.to_le_bytes());
        event[24..26].copy_from_slice(&flags.to_le_bytes());
        let at = events.checked_add((stored as usize * EVENT) as i32).ok_or(Errno::EFAULT)?;
        put(memory, at, &event)?;
        stored += 1;
    }
    put_u32(memory, out, stored)
}
