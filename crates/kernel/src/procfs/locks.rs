//! `/proc/locks` (proc(5)): who has locked what with flock(2) and fcntl(2), and who waits for records. Who waits for flock(2) is
//! not shown: nothing keeps it.

use std::fmt::Write;

use crate::lock::{FileId, LAST, Owner};
use crate::{Errno, Kernel, Result};

/// Lines of the file; beyond, opening it is ENOMEM. There is one for each open file that is locked.
const LINES: usize = 65_536;

/// A device is a mount, as in `mountinfo`.
fn line(out: &mut String, start: &str, kind: &str, exclusive: bool, pid: i64, file: FileId, range: &str) {
    let access = if exclusive { "WRITE" } else { "READ" };
    let (mount, ino) = file;
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{start} {kind:<6} ADVISORY  {access} {pid} 00:{mount:02x}:{ino} {range}");
}

pub(super) fn locks(kernel: &Kernel) -> Result<Vec<u8>> {
    let (mut out, mut lines, mut number) = (String::new(), 0, 0);
    kernel.locks.each(|file, pid, exclusive, count| {
        for _ in 0..count.min(LINES as u32) {
            (lines, number) = (lines + 1, number + 1);
            if lines <= LINES {
                let start = format!("{number}:");
                line(&mut out, &start, "FLOCK", exclusive, i64::from(pid.0), file, "0 EOF");
            }
        }
    });
    kernel.records.each(|lock, waits| {
        lines += 1;
        number += usize::from(!waits);
        if lines > LINES {
            return;
        }
        let start = format!("{number}:{}", if waits { " ->" } else { "" });
        let (kind, pid) = match lock.owner {
            Owner::Process(pid) => ("POSIX", i64::from(pid.0)),
            Owner::Description(_) => ("OFDLCK", -1),
        };
        let range = match lock.range.end {
            LAST => format!("{} EOF", lock.range.start),
            end => format!("{} {end}", lock.range.start),
        };
        line(&mut out, &start, kind, lock.exclusive, pid, lock.file, &range);
    });
    if lines > LINES { Err(Errno::ENOMEM) } else { Ok(out.into_bytes()) }
}
