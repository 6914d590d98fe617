//! Copies linear memory into a new instance of the same module. Most of what it costs is that the kernel makes pages, so it
//! touches no page of the copy that need not differ, has the others made in runs, and the longest run in huge pages.

use std::ops::Range;

use agentos_kernel::{Errno, Result};
use rustix::mm::{Advice, madvise};

use crate::huge::{self, Fill, Moved};

const PAGE: usize = 4096;

/// Which pages of a new instance hold something else than zeros, a bit each.
pub(crate) struct Pristine(Box<[u64]>);

impl Pristine {
    /// Of the memory of an instance that never ran.
    pub(crate) fn of(memory: &[u8]) -> Self {
        let mut bits = vec![0; memory.len().div_ceil(PAGE * 64)];
        for (page, bytes) in memory.chunks(PAGE).enumerate() {
            if !is_zero(bytes) {
                bits[page / 64] |= 1 << (page % 64);
            }
        }
        Self(bits.into())
    }

    fn holds(&self, page: usize) -> bool {
        self.0.get(page / 64).is_some_and(|bits| bits & (1 << (page % 64)) != 0)
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    // In pieces, so that each is a few vector instructions and the first other byte ends it.
    bytes.chunks(256).all(|piece| piece.iter().fold(0, |all, byte| all | byte) == 0)
}

/// Makes `target`, the memory of a new instance, equal to `source`, which is at most as long. The instance had `fresh` bytes
/// when it was made. ENOMEM: the instance must not be used, nor ever given back.
///
/// # Safety
///
/// `target` begins at a page, nothing but its instance uses it, and from `fresh` on it is anonymous memory. What is returned
/// is dropped before the memory serves anything else.
#[allow(unsafe_code, reason = "replaces mappings")]
pub(crate) unsafe fn pages(
    source: &[u8],
    target: &mut [u8],
    fresh: usize,
    pristine: &Pristine,
) -> Result<Option<Moved>> {
    let runs = runs(source, target, pristine);
    // Where the module brings nothing: what it brings is mapped from its image, and must stay so.
    let of_heap = |run: &Range<usize>| run.start.max(fresh.next_multiple_of(PAGE))..run.end / PAGE * PAGE;
    let longest = runs.iter().map(of_heap).filter(|run| run.len() >= huge::LEAST).max_by_key(Range::len);
    let moved = match longest.clone() {
        // SAFETY: the run is whole pages behind `fresh`; the rest is the caller's word.
        Some(run) => match unsafe { huge::fill(&source[run.clone()], &mut target[run]) } {
            Fill::Moved(moved) => Some(moved),
            Fill::Unchanged => None,
            Fill::Lost => return Err(Errno::ENOMEM),
        },
        None => None,
    };
    let done = longest.filter(|_| moved.is_some()).unwrap_or(0..0);
    for run in runs {
        let rest = if done.is_empty() || run.end <= done.start || done.end <= run.start {
            [run, 0..0]
        } else {
            [run.start..done.start, done.end..run.end]
        };
        for part in rest.into_iter().filter(|part| !part.is_empty()) {
            let into = &mut target[part.clone()];
            populate(into);
            into.copy_from_slice(&source[part]);
        }
    }
    Ok(moved)
}

/// The ranges of bytes that differ, in whole pages but for the end of the memory.
fn runs(source: &[u8], target: &[u8], pristine: &Pristine) -> Vec<Range<usize>> {
    let differs = |page: usize| {
        let range = page * PAGE..source.len().min((page + 1) * PAGE);
        let from = &source[range.clone()];
        // Only what the module brings is read in the copy: elsewhere it is zeros, and reading would make a page of them.
        if pristine.holds(page) { from != &target[range] } else { !is_zero(from) }
    };
    let mut runs: Vec<Range<usize>> = Vec::new();
    for page in (0..source.len().div_ceil(PAGE)).filter(|page| differs(*page)) {
        let end = source.len().min((page + 1) * PAGE);
        match runs.last_mut() {
            Some(last) if last.end == page * PAGE => last.end = end,
            _ => runs.push(page * PAGE..end),
        }
    }
    runs
}

/// Has the pages made at once instead of by a fault each. Where the kernel cannot, the faults happen.
#[allow(unsafe_code, reason = "madvise(2) takes an address")]
fn populate(pages: &mut [u8]) {
    // SAFETY: the range is borrowed mutably, and populating changes neither content nor mapping of it (Linux 5.14; older
    // kernels refuse it with EINVAL).
    let _ = unsafe { madvise(pages.as_mut_ptr().cast(), pages.len(), Advice::LinuxPopulateWrite) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_equal_whatever_the_module_brings() {
        const PAGES: usize = 70;
        let mut fresh = vec![0; PAGES * PAGE];
        fresh[3 * PAGE + 5] = 1;
        fresh[66 * PAGE] = 2;
        let pristine = Pristine::of(&fresh);
        // Every other page changed; one that the module brings was cleared, one kept.
        let mut source = fresh.clone();
        for page in (10..60).step_by(2).chain(30..45) {
            source[page * PAGE + page] = 7;
        }
        source[3 * PAGE + 5] = 0;
        source.truncate(source.len() - 100);
        let mut target = fresh.clone();
        // SAFETY: all of `target` is fresh, so that nothing is replaced.
        #[allow(unsafe_code)]
        let moved = unsafe { pages(&source, &mut target, fresh.len(), &pristine) };
        assert!(moved.unwrap().is_none());
        assert!(target[..source.len()] == source[..]);
        assert_eq!(target[66 * PAGE], 2);
    }

    #[test]
    fn pages_without_content_are_told_apart() {
        let mut bytes = vec![0; PAGE];
        assert!(is_zero(&bytes));
        for at in [0, 255, 256, PAGE - 1] {
            bytes[at] = 1;
            assert!(!is_zero(&bytes), "{at}");
            bytes[at] = 0;
        }
    }
}
