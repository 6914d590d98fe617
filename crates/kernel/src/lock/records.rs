//! Record locks (fcntl F_SETLK): who holds which bytes of which file, and who waits for them. Ranges of one owner are in
//! `ranges`; when an owner gives up its locks is said by `sys::locks`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Weak;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::FileId;
use super::ranges::{LAST, Range, Ranges};
use crate::{Errno, Pid, Result};

/// Ranges that all owners of a VM may hold together; one more is ENOLCK.
pub const RECORD_LOCKS: usize = 4096;

/// Whose a lock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// A process: F_SETLK.
    Process(Pid),
    /// An open file description, by a number of its own: F_OFD_SETLK.
    Description(u64),
}

/// A lock that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) file: FileId,
    pub(crate) owner: Owner,
    pub(crate) range: Range,
    pub(crate) exclusive: bool,
}

/// A wait for a lock, under a ticket that its waiter has for itself.
struct Wait {
    request: Request,
    waker: Waker,
}

#[derive(Default)]
struct State {
    /// Owners in the order in which they came to the file; a file is here only while it is locked.
    files: HashMap<FileId, Vec<(Owner, Ranges)>>,
    /// Ranges in all.
    held: usize,
    waiting: BTreeMap<u64, Wait>,
}

/// All record locks of a VM.
#[derive(Default)]
pub(crate) struct RecordTable(Mutex<State>);

/// Those of an open file description; dropping it unlocks.
pub(crate) struct DescriptionLocks {
    pub(crate) table: Weak<RecordTable>,
    pub(crate) file: FileId,
    pub(crate) id: u64,
}

impl Drop for DescriptionLocks {
    fn drop(&mut self) {
        if let Some(table) = self.table.upgrade() {
            table.release(self.file, Owner::Description(self.id));
        }
    }
}

impl RecordTable {
    /// The first lock of another owner that is in the way.
    pub(crate) fn conflict(&self, request: &Request) -> Option<(Owner, Range, bool)> {
        self.0.lock().conflict(request)
    }

    /// Takes a lock. EAGAIN if another owner is in the way, ENOLCK at the limit.
    pub(crate) fn try_lock(&self, request: &Request) -> Result<()> {
        let woken = self.0.lock().take(request)?;
        woken.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// The same, pending while others are in the way. EDEADLK if one of them waits, over however many steps, for this owner.
    pub(crate) fn poll_lock(&self, cx: &mut Context<'_>, ticket: u64, request: &Request) -> Poll<Result<()>> {
        let woken = {
            let mut state = self.0.lock();
            match state.take(request) {
                Err(Errno::EAGAIN) if state.closes_circle(request) => {
                    state.waiting.remove(&ticket);
                    return Poll::Ready(Err(Errno::EDEADLK));
                }
                Err(Errno::EAGAIN) => {
                    state.waiting.insert(ticket, Wait { request: *request, waker: cx.waker().clone() });
                    return Poll::Pending;
                }
                Err(errno) => {
                    state.waiting.remove(&ticket);
                    return Poll::Ready(Err(errno));
                }
                Ok(woken) => {
                    state.waiting.remove(&ticket);
                    woken
                }
            }
        };
        woken.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }

    /// Ends a wait that was to wake `waker`.
    pub(crate) fn leave(&self, ticket: u64, waker: &Waker) {
        let mut state = self.0.lock();
        if state.waiting.get(&ticket).is_some_and(|wait| wait.waker.will_wake(waker)) {
            state.waiting.remove(&ticket);
        }
    }

    /// Gives up a range. ENOLCK if two would be left of one, at the limit.
    pub(crate) fn unlock(&self, file: FileId, owner: Owner, range: Range) -> Result<()> {
        let woken = self.0.lock().change(file, owner, range, None)?;
        woken.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Gives up all that an owner has of a file.
    pub(crate) fn release(&self, file: FileId, owner: Owner) {
        let woken = self.0.lock().release(file, owner);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Gives up all that an owner has.
    pub(crate) fn release_all(&self, owner: Owner) {
        let woken: Vec<Waker> = {
            let mut state = self.0.lock();
            let locked = state.files.iter().filter(|(_, owners)| owners.iter().any(|(of, _)| *of == owner));
            let files: Vec<FileId> = locked.map(|(file, _)| *file).collect();
            files.into_iter().flat_map(|file| state.release(file, owner)).collect()
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// Ranges that are held, and waits.
    pub(crate) fn len(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.held, state.waiting.len())
    }

    /// Tells each lock, then each wait for one, file by file.
    pub(crate) fn each(&self, mut tell: impl FnMut(&Request, bool)) {
        let state = self.0.lock();
        let mut files: Vec<_> = state.files.iter().collect();
        files.sort_unstable_by_key(|(file, _)| **file);
        for (file, owners) in files {
            for (owner, ranges) in owners {
                for (range, exclusive) in ranges.iter() {
                    tell(&Request { file: *file, owner: *owner, range, exclusive }, false);
                }
            }
            for wait in state.waiting.values().filter(|wait| wait.request.file == *file) {
                tell(&wait.request, true);
            }
        }
    }
}

impl State {
    fn others<'a>(&'a self, request: &'a Request) -> impl Iterator<Item = (Owner, Range, bool)> + 'a {
        let owners = self.files.get(&request.file).into_iter().flatten();
        owners.filter(|(owner, _)| *owner != request.owner).filter_map(|(owner, ranges)| {
            let (range, exclusive) = ranges.conflict(request.range, request.exclusive)?;
            Some((*owner, range, exclusive))
        })
    }

    fn conflict(&self, request: &Request) -> Option<(Owner, Range, bool)> {
        self.others(request).next()
    }

    fn take(&mut self, request: &Request) -> Result<Vec<Waker>> {
        if self.conflict(request).is_some() {
            return Err(Errno::EAGAIN);
        }
        self.change(request.file, request.owner, request.range, Some(request.exclusive))
    }

    /// Changes what an owner has, and says whom to wake; nobody if only more was taken.
    fn change(&mut self, file: FileId, owner: Owner, range: Range, kind: Option<bool>) -> Result<Vec<Waker>> {
        let room = RECORD_LOCKS.saturating_sub(self.held);
        let owners = self.files.entry(file).or_default();
        let at = owners.iter().position(|(of, _)| *of == owner).unwrap_or_else(|| {
            owners.push((owner, Ranges::default()));
            owners.len() - 1
        });
        let changed = owners[at].1.change(range, kind, room);
        if owners[at].1.is_empty() {
            owners.remove(at);
        }
        if owners.is_empty() {
            self.files.remove(&file);
        }
        self.held = self.held.saturating_add_signed(changed.map_err(|_| Errno::ENOLCK)?);
        Ok(if kind == Some(true) { Vec::new() } else { self.waiting_for(file, range) })
    }

    fn release(&mut self, file: FileId, owner: Owner) -> Vec<Waker> {
        let Some(owners) = self.files.get_mut(&file) else { return Vec::new() };
        let Some(at) = owners.iter().position(|(of, _)| *of == owner) else { return Vec::new() };
        let (_, ranges) = owners.remove(at);
        if owners.is_empty() {
            self.files.remove(&file);
        }
        self.held -= ranges.len();
        self.waiting_for(file, Range { start: 0, end: LAST })
    }

    /// Whom to wake: only those who may go on, since each of the others would look for circles again.
    fn waiting_for(&self, file: FileId, range: Range) -> Vec<Waker> {
        let waits = |asked: &Request| {
            asked.file == file && asked.range.start <= range.end && asked.range.end >= range.start
        };
        let of_file = self.waiting.values().filter(|wait| waits(&wait.request));
        of_file.filter(|wait| self.conflict(&wait.request).is_none()).map(|wait| wait.waker.clone()).collect()
    }

    /// Whether a wait for this would have no end: who is in the way waits for who is in the way of that, and so on to the
    /// owner who asks. As in Linux only processes count: a description may be unlocked by whoever has it open.
    fn closes_circle(&self, request: &Request) -> bool {
        if !matches!(request.owner, Owner::Process(_)) || self.waiting.is_empty() {
            return false;
        }
        let mut waits: HashMap<Owner, Vec<&Request>> = HashMap::new();
        for wait in self.waiting.values() {
            waits.entry(wait.request.owner).or_default().push(&wait.request);
        }
        let (mut next, mut seen) = (vec![request], HashSet::new());
        while let Some(blocked) = next.pop() {
            for (owner, ..) in self.others(blocked) {
                if owner == request.owner {
                    return true;
                }
                if matches!(owner, Owner::Process(_)) && seen.insert(owner) {
                    next.extend(waits.get(&owner).into_iter().flatten());
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(pid: u32, ino: u64, start: u64, exclusive: bool) -> Request {
        let range = Range { start, end: start };
        Request { file: (1, ino), owner: Owner::Process(Pid(pid)), range, exclusive }
    }

    #[test]
    fn the_number_of_ranges_is_bounded_and_comes_back() {
        let table = RecordTable::default();
        for n in 0..RECORD_LOCKS as u64 {
            table.try_lock(&request(2, n % 2, n / 2 * 2, n % 3 == 0)).unwrap();
        }
        assert_eq!(table.len(), (RECORD_LOCKS, 0));
        assert_eq!(table.try_lock(&request(3, 9, 0, true)), Err(Errno::ENOLCK));
        assert_eq!(table.len(), (RECORD_LOCKS, 0));
        // What takes no more of them goes on, also where it takes fewer.
        table.try_lock(&request(2, 0, 0, false)).unwrap();
        let owner = Owner::Process(Pid(2));
        table.unlock((1, 0), owner, Range { start: 0, end: 3 }).unwrap();
        table.try_lock(&request(3, 9, 0, true)).unwrap();
        table.release_all(owner);
        assert_eq!(table.len(), (1, 0));
        table.release((1, 9), Owner::Process(Pid(3)));
        assert!(table.0.lock().files.is_empty() && table.len() == (0, 0));
    }

    #[test]
    fn circles_of_any_length_are_found() {
        let table = RecordTable::default();
        let mut cx = Context::from_waker(Waker::noop());
        for pid in 2..10 {
            table.try_lock(&request(pid, 0, u64::from(pid), true)).unwrap();
        }
        for pid in 2..9 {
            let asked = request(pid, 0, u64::from(pid) + 1, false);
            assert_eq!(table.poll_lock(&mut cx, u64::from(pid), &asked), Poll::Pending);
        }
        let last = request(9, 0, 2, true);
        assert_eq!(table.poll_lock(&mut cx, 9, &last), Poll::Ready(Err(Errno::EDEADLK)));
        assert_eq!(table.len(), (8, 7));
        // Without the last link it is none.
        table.leave(8, Waker::noop());
        assert_eq!(table.poll_lock(&mut cx, 9, &last), Poll::Pending);
    }
}
