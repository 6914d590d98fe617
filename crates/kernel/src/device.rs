//! Character devices: what `/dev/null`, `zero`, `full`, `random`, `urandom` and `tty` do.

use rand::RngCore;

use crate::{Errno, Result};

/// Makes a device number, as `Attr::rdev` holds it.
#[must_use]
pub const fn rdev(major: u32, minor: u32) -> u64 {
    ((major as u64) << 8) | minor as u64
}

/// A device that the kernel drives. Numbers are those of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Swallows all, gives nothing.
    Null,
    /// Swallows all, gives zeros.
    Zero,
    /// Always full: writes fail with ENOSPC; gives zeros.
    Full,
    /// Random bytes (`random` and `urandom` alike).
    Random,
}

impl Device {
    /// The device of this number; ENXIO if there is none.
    pub fn of(number: u64) -> Result<Device> {
        match number {
            n if n == rdev(1, 3) => Ok(Device::Null),
            n if n == rdev(1, 5) => Ok(Device::Zero),
            n if n == rdev(1, 7) => Ok(Device::Full),
            n if n == rdev(1, 8) || n == rdev(1, 9) => Ok(Device::Random),
            _ => Err(Errno::ENXIO),
        }
    }

    /// Reads.
    pub fn read(self, buf: &mut [u8]) -> usize {
        match self {
            Device::Null => 0,
            Device::Zero | Device::Full => {
                buf.fill(0);
                buf.len()
            }
            Device::Random => {
                rand::rng().fill_bytes(buf);
                buf.len()
            }
        }
    }

    /// Writes.
    pub fn write(self, data: &[u8]) -> Result<usize> {
        match self {
            Device::Full if !data.is_empty() => Err(Errno::ENOSPC),
            _ => Ok(data.len()),
        }
    }
}
