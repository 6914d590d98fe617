//! Terminals: pairs of a master, which types and sees, and a slave, which programs use, with the line discipline of
//! POSIX 11 between them. Who may read and write when (job control) is in `sys/terminals`.
//!
//! Both queues are bounded. Input that finds no room waits at its writer, output that finds none at its writer.

mod devpts;
mod discipline;
mod host;
mod output;
mod pty;
mod registry;
#[cfg(test)]
mod tests;
mod typeahead;

pub use host::Terminal;
pub use pty::{PtyMaster, PtySlave};
pub use typeahead::Typeahead;

pub(crate) use devpts::{DevPts, attr_of};
pub(crate) use pty::Pty;
pub(crate) use registry::Registry;

pub use agentos_abi::tty::{Termios, Winsize};

/// Bytes of input that wait to be read, an unfinished line included (MAX_INPUT and MAX_CANON).
pub(crate) const INPUT_BYTES: usize = 4096;

/// Bytes of output that wait to be taken.
pub(crate) const OUTPUT_BYTES: usize = 64 << 10;

/// Device number of `/dev/tty`, the controlling terminal of who opens it.
pub const TTY: u64 = crate::device::rdev(5, 0);
/// Device number of `/dev/console`: here the same.
pub const CONSOLE: u64 = crate::device::rdev(5, 1);
/// Device number of `/dev/ptmx`, which makes pairs.
pub const PTMX: u64 = crate::device::rdev(5, 2);

/// Major number of the slaves.
const PTS_MAJOR: u64 = 136;

/// The device number of slave `index`: the low byte of the minor number below the major one, the rest above.
pub(crate) const fn pts_number(index: u32) -> u64 {
    let index = index as u64;
    (index & !0xff) << 12 | PTS_MAJOR << 8 | index & 0xff
}

/// The slave that a device number means.
pub(crate) const fn pts_index(number: u64) -> Option<u32> {
    if (number >> 8) & 0xfff == PTS_MAJOR {
        Some(((number & 0xff) | (number >> 12) & 0xf_ff00) as u32)
    } else {
        None
    }
}
