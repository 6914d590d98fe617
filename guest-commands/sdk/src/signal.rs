//! Signals: dispositions, the mask, sending, and taking those that were caught. Handlers run where the program asks, never
//! in between.

use crate::sys;
pub use agentos_abi::Signal;
use agentos_abi::signal::{SIG_BLOCK, SIG_CATCH, SIG_DFL, SIG_IGN, SIG_SETMASK, SIG_UNBLOCK};
use std::io;

/// What a signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Its default action.
    Default,
    /// Nothing.
    Ignore,
    /// It waits until [`take_pending`] takes it.
    Catch,
}

/// Sets what a signal does and returns what it did.
///
/// # Errors
/// `EINVAL`: SIGKILL and SIGSTOP cannot be changed.
pub fn set(signal: Signal, disposition: Disposition) -> io::Result<Disposition> {
    let raw = match disposition {
        Disposition::Default => SIG_DFL,
        Disposition::Ignore => SIG_IGN,
        Disposition::Catch => SIG_CATCH,
    };
    Ok(match sys::sigaction(u32::from(signal.raw()), raw)? {
        SIG_DFL => Disposition::Default,
        SIG_IGN => Disposition::Ignore,
        _ => Disposition::Catch,
    })
}

/// Catches a signal: see [`take_pending`].
///
/// # Errors
/// As [`set`].
pub fn catch(signal: Signal) -> io::Result<Disposition> {
    set(signal, Disposition::Catch)
}

/// Ignores a signal.
///
/// # Errors
/// As [`set`].
pub fn ignore(signal: Signal) -> io::Result<Disposition> {
    set(signal, Disposition::Ignore)
}

/// Gives a signal its default action.
///
/// # Errors
/// As [`set`].
pub fn default(signal: Signal) -> io::Result<Disposition> {
    set(signal, Disposition::Default)
}

/// The next caught signal, if one waits. Costs one memory read when none does, so loops may ask at every turn.
///
/// ```
/// use agentos_guest::{process, signal::{self, Signal}};
/// signal::catch(Signal::SIGUSR1)?;
/// assert_eq!(signal::take_pending(), None);
/// signal::kill(process::id() as i32, Some(Signal::SIGUSR1))?;
/// assert_eq!(signal::take_pending(), Some(Signal::SIGUSR1));
/// assert_eq!(signal::take_pending(), None);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
#[inline]
pub fn take_pending() -> Option<Signal> {
    if sys::signal_waits() { next() } else { None }
}

/// As [`take_pending`], but asks the kernel even if the pending word is clear: for use after `EINTR`.
#[must_use]
pub fn next() -> Option<Signal> {
    Signal::from_raw(sys::next_signal())
}

/// Sends a signal as kill(2): a process, 0 the own group, -1 all, below -1 a group. `None` only checks.
///
/// # Errors
/// `ESRCH`: nobody there. `EPERM`: not allowed.
pub fn kill(pid: i32, signal: Option<Signal>) -> io::Result<()> {
    sys::kill(pid, signal.map_or(0, |s| u32::from(s.raw())))
}

/// Adds the signals of `mask` ([`Signal::bit`]) to the blocked ones; returns the old mask.
///
/// # Errors
/// None in a VM.
pub fn block(mask: u64) -> io::Result<u64> {
    sys::sigmask(SIG_BLOCK, mask)
}

/// Removes the signals of `mask` from the blocked ones; returns the old mask.
///
/// # Errors
/// None in a VM.
pub fn unblock(mask: u64) -> io::Result<u64> {
    sys::sigmask(SIG_UNBLOCK, mask)
}

/// Blocks exactly the signals of `mask`; returns the old mask.
///
/// # Errors
/// None in a VM.
pub fn set_mask(mask: u64) -> io::Result<u64> {
    sys::sigmask(SIG_SETMASK, mask)
}

/// The signals that wait, blocked or caught, as a mask.
///
/// # Errors
/// None in a VM.
pub fn pending() -> io::Result<u64> {
    sys::sigpending()
}

/// Sends SIGALRM after `ms` milliseconds; 0: no more. Returns what was left of the former alarm.
///
/// # Errors
/// None in a VM.
pub fn alarm(ms: u64) -> io::Result<u64> {
    sys::alarm(ms)
}

/// A timer of real time: the first SIGALRM comes after `value_us` microseconds, then one every `interval_us`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timer {
    /// Microseconds between signals; 0: only one.
    pub interval_us: u64,
    /// Microseconds until the next signal; 0: none.
    pub value_us: u64,
}

/// Sets the timer of this process, in place of an [`alarm`]; returns the former one.
///
/// # Errors
/// `EINVAL`: too long.
pub fn set_timer(timer: Timer) -> io::Result<Timer> {
    let (interval_us, value_us) = sys::setitimer(timer.interval_us, timer.value_us)?;
    Ok(Timer { interval_us, value_us })
}

/// The timer of this process.
///
/// # Errors
/// None in a VM.
pub fn timer() -> io::Result<Timer> {
    let (interval_us, value_us) = sys::getitimer()?;
    Ok(Timer { interval_us, value_us })
}

/// Waits for a caught signal.
///
/// # Errors
/// `EINTR`, always.
pub fn pause() -> io::Result<()> {
    sys::pause()
}
