//! Memory made in huge pages: a long run of pages is filled elsewhere, where Linux can make it in pages of 2 MiB, and moved to
//! its place, which need not be aligned. It costs a fifth of making small pages.
//!
//! What moves in replaces plain anonymous memory, and plain anonymous memory takes its place again when the guest ends: a
//! slot of the pool must not be split into more and more mappings.

#![allow(unsafe_code, reason = "mmap(2), mremap(2) and madvise(2) take addresses")]

use std::ffi::c_void;
use std::sync::OnceLock;

use rustix::mm::{Advice, MapFlags, MremapFlags, ProtFlags, madvise, mmap_anonymous, mremap_fixed, munmap};

const HUGE_PAGE: usize = 2 << 20;
/// Runs from this size on are worth it, bytes; at most half of the last huge page is wasted.
pub(crate) const LEAST: usize = HUGE_PAGE / 2;

/// A run of a guest's memory that was moved in.
#[derive(Debug)]
pub(crate) struct Moved {
    start: *mut c_void,
    len: usize,
}

// SAFETY: the address is only given to the kernel, and the guest that owns the memory owns this too.
unsafe impl Send for Moved {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl Sync for Moved {}

impl Drop for Moved {
    fn drop(&mut self) {
        // SAFETY: the guest is over, and its slot is not given back before this (a store drops its data first). If it fails,
        // the pages stay until the slot is cleared, which empties them all the same.
        let _ = unsafe { plain(self.start, self.len) };
    }
}

/// Maps empty memory over a range, as the pool of instances maps it.
unsafe fn plain(start: *mut c_void, len: usize) -> rustix::io::Result<*mut c_void> {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
    // SAFETY: the caller owns the range, which is whole pages.
    unsafe { mmap_anonymous(start, len, protection, flags) }
}

/// Whether the kernel makes huge pages for who asks for them.
fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled")
            .is_ok_and(|modes| !modes.contains("[never]"))
    })
}

/// What became of a run.
pub(crate) enum Fill {
    Moved(Moved),
    /// There are no huge pages here: nothing was done.
    Unchanged,
    /// The place of the run may be unmapped; the memory must not be touched again.
    Lost,
}

/// Makes `target` equal to `source` (as long, at least [`LEAST`]).
///
/// # Safety
///
/// `target` is whole pages of anonymous memory that nothing but its guest uses, and what is returned is dropped before the
/// memory serves anything else.
pub(crate) unsafe fn fill(source: &[u8], target: &mut [u8]) -> Fill {
    debug_assert_eq!(source.len(), target.len());
    if !available() {
        return Fill::Unchanged;
    }
    let (len, place) = (source.len(), target.as_mut_ptr().cast::<c_void>());
    // Room for the run and for finding an aligned address in it.
    let room = len.next_multiple_of(HUGE_PAGE) + HUGE_PAGE;
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: new memory anywhere.
    let mapped = unsafe {
        mmap_anonymous(std::ptr::null_mut(), room, protection, MapFlags::PRIVATE | MapFlags::NORESERVE)
    };
    let Ok(begin) = mapped else { return Fill::Unchanged };
    let skip = begin.addr().next_multiple_of(HUGE_PAGE) - begin.addr();
    // SAFETY: `begin..begin + room` was mapped above and is nobody else's; the run and its last huge page lie in it.
    // `target` is the caller's to replace.
    unsafe {
        let run = begin.byte_add(skip);
        let _ = madvise(run, len.next_multiple_of(HUGE_PAGE), Advice::LinuxHugepage);
        let _ = madvise(run, len, Advice::LinuxPopulateWrite);
        run.cast::<u8>().copy_from_nonoverlapping(source.as_ptr(), len);
        let moved = mremap_fixed(run, len, len, MremapFlags::MAYMOVE, place);
        let _ = munmap(begin, skip);
        let _ = munmap(run.byte_add(len), room - skip - len);
        if moved.is_ok() {
            return Fill::Moved(Moved { start: place, len });
        }
        // It failed before or after the place was cleared, which cannot be told.
        let _ = munmap(run, len);
        if plain(place, len).is_ok() { Fill::Unchanged } else { Fill::Lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mappings of this process that touch a range.
    fn mappings(start: usize, end: usize) -> usize {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines()
            .filter_map(|line| line.split_once(' ')?.0.split_once('-'))
            .filter(|(from, to)| {
                let hex = |text| usize::from_str_radix(text, 16).unwrap();
                hex(from) < end && start < hex(to)
            })
            .count()
    }

    #[test]
    fn what_moved_in_is_equal_and_leaves_one_plain_mapping() {
        let len = 8 << 20;
        // SAFETY: new memory anywhere, of which nothing else knows.
        let memory = unsafe {
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
            // Nothing accessible beside it, so that no neighbour joins the mapping.
            let room = mmap_anonymous(std::ptr::null_mut(), len + 8192, ProtFlags::empty(), flags).unwrap();
            plain(room.byte_add(4096), len).unwrap();
            std::slice::from_raw_parts_mut(room.byte_add(4096).cast::<u8>(), len)
        };
        let (start, end) = (memory.as_ptr().addr(), memory.as_ptr().addr() + len);
        memory[0] = 7;
        let source: Vec<u8> = (0..3 << 20).map(|at: usize| (at / 4096 + at % 251) as u8).collect();
        for at in [4096, 1 << 20, (1 << 20) + 8192] {
            let place = &mut memory[at..at + source.len()];
            // SAFETY: whole pages of the memory above, and it is dropped below.
            match unsafe { fill(&source, place) } {
                Fill::Moved(moved) => {
                    assert!(place == source, "at {at}");
                    drop(moved);
                    assert!(memory[1..].iter().all(|byte| *byte == 0), "at {at}");
                }
                Fill::Unchanged => assert!(!available(), "at {at}"),
                Fill::Lost => panic!("the place is lost"),
            }
            assert_eq!(mappings(start, end), 1, "at {at}");
        }
        assert_eq!(memory[0], 7);
    }
}
