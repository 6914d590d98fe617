//! Waiting for several descriptors at once. It reads nothing.

use std::{io, time::Duration};

/// A time in the unit of poll(2), rounded up so that a wait does not end just before what it waits for.
#[must_use]
pub fn milliseconds(time: Duration) -> i32 {
    i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

/// Waits until one of `fds` can be read or is at its end, at most `timeout_ms` milliseconds (negative: without end).
/// Tells for each whether it can; a caught signal counts as a timeout.
///
/// # Errors
/// Those of poll(2), except `EINTR`.
#[allow(unsafe_code, reason = "poll(2) has no safe binding that also builds for WASI")]
pub fn readable<const N: usize>(fds: [u32; N], timeout_ms: i32) -> io::Result<[bool; N]> {
    let mut set = fds.map(|fd| libc::pollfd { fd: fd.cast_signed(), events: libc::POLLIN, revents: 0 });
    // SAFETY: `set` is an array of N initialised pollfd that outlives the call.
    let ready = unsafe { libc::poll(set.as_mut_ptr(), N as libc::nfds_t, timeout_ms) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
        return Ok([false; N]);
    }
    // Hang-ups and errors show at the read.
    Ok(set.map(|entry| entry.revents != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_no_wait_and_a_part_of_a_millisecond_is_a_whole_one() {
        for (micros, want) in [(0, 0), (1, 1), (1000, 1), (1001, 2), (u64::MAX, i32::MAX)] {
            assert_eq!(milliseconds(Duration::from_micros(micros)), want);
        }
    }
}
