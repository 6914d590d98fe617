//! The process table: who is whose parent, group and session, and who waits to be reaped.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::{Errno, ExitInfo, Pid, Process, Result, WaitStatus, Warning};

/// Highest pid before numbers start again.
pub(crate) const PID_MAX: u32 = 4_194_303;

/// A process and its relations.
pub(crate) struct Entry {
    pub(crate) process: Arc<Process>,
    pub(crate) ppid: Pid,
    pub(crate) pgid: Pid,
    pub(crate) sid: Pid,
    pub(crate) children: Vec<Pid>,
    pub(crate) exit: Option<ExitInfo>,
    /// A stop or continuation that the parent has not seen.
    pub(crate) changed: Option<WaitStatus>,
    /// The group that had the terminal before it was started in the foreground.
    pub(crate) took_from: Option<Pid>,
}

/// All processes of a VM, zombies included; at most `limit`.
pub(crate) struct Table {
    entries: HashMap<Pid, Entry>,
    next: u32,
    wrapped: bool,
    limit: u32,
    warning: Warning,
}

impl Table {
    pub(crate) fn new(limit: u32, warning: Warning) -> Self {
        Self { entries: HashMap::new(), next: 1, wrapped: false, limit, warning }
    }

    /// A free pid. EAGAIN at the limit.
    pub(crate) fn reserve(&mut self) -> Result<Pid> {
        // init is not counted.
        if self.entries.len() > self.limit as usize {
            return Err(Errno::EAGAIN);
        }
        loop {
            let pid = Pid(self.next);
            if self.next >= PID_MAX {
                self.next = 2;
                self.wrapped = true;
            } else {
                self.next += 1;
            }
            if !self.entries.contains_key(&pid) && !self.group_exists(pid) {
                return Ok(pid);
            }
        }
    }

    pub(crate) fn insert(&mut self, entry: Entry) {
        let pid = entry.process.pid;
        if let Some(parent) = self.entries.get_mut(&entry.ppid)
            && entry.ppid != pid
        {
            parent.children.push(pid);
        }
        self.entries.insert(pid, entry);
        self.booked();
    }

    /// Tells how many there are now; init is not counted.
    fn booked(&self) {
        self.warning.uses(self.entries.len().saturating_sub(1) as u64);
    }

    pub(crate) fn get(&self, pid: Pid) -> Option<&Entry> {
        self.entries.get(&pid)
    }

    pub(crate) fn get_mut(&mut self, pid: Pid) -> Option<&mut Entry> {
        self.entries.get_mut(&pid)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The pid that was given last.
    pub(crate) fn last_pid(&self) -> Pid {
        Pid(self.next.saturating_sub(1).max(1))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn group_exists(&self, pgid: Pid) -> bool {
        // Only a pid that wrapped around can meet a group that outlived its leader.
        self.wrapped && self.entries.values().any(|e| e.pgid == pgid || e.sid == pgid)
    }

    /// Whether no live member of the group has a parent in another group of its session (POSIX 3.264): nobody can
    /// continue it.
    pub(crate) fn is_orphaned(&self, pgid: Pid) -> bool {
        !self.entries.values().filter(|e| e.pgid == pgid && e.exit.is_none()).any(|e| {
            self.entries.get(&e.ppid).is_some_and(|parent| parent.sid == e.sid && parent.pgid != pgid)
        })
    }

    /// Whether a live member of the group is stopped.
    pub(crate) fn has_stopped(&self, pgid: Pid) -> bool {
        let mut members = self.entries.values().filter(|e| e.pgid == pgid && e.exit.is_none());
        members.any(|e| e.process.signal_state().is_stopped())
    }

    /// The groups with stopped members that are not orphaned, but may be without `pid`: its own and those of its children.
    pub(crate) fn groups_connected_by(&self, pid: Pid) -> HashSet<Pid> {
        let Some(entry) = self.entries.get(&pid) else { return HashSet::new() };
        let connects = |parent: Option<&Entry>, child: &Entry| {
            parent.is_some_and(|parent| parent.sid == child.sid && parent.pgid != child.pgid)
        };
        let mut groups = HashSet::new();
        if connects(self.entries.get(&entry.ppid), entry) {
            groups.insert(entry.pgid);
        }
        for child in entry.children.iter().filter_map(|child| self.entries.get(child)) {
            if connects(Some(entry), child) {
                groups.insert(child.pgid);
            }
        }
        if groups.is_empty() {
            return groups;
        }
        let live = self.entries.values().filter(|e| e.exit.is_none() && groups.contains(&e.pgid));
        live.filter(|e| e.process.signal_state().is_stopped()).map(|e| e.pgid).collect()
    }

    /// Takes an ended process out.
    pub(crate) fn remove(&mut self, pid: Pid) -> Option<Entry> {
        let entry = self.entries.remove(&pid)?;
        if let Some(parent) = self.entries.get_mut(&entry.ppid) {
            parent.children.retain(|c| *c != pid);
        }
        self.booked();
        Some(entry)
    }

    /// Gives the children of `pid` to init; those that ended already are gone.
    pub(crate) fn orphan_children(&mut self, pid: Pid) {
        let children = match self.entries.get_mut(&pid) {
            Some(entry) => std::mem::take(&mut entry.children),
            None => return,
        };
        for child in children {
            let Some(entry) = self.entries.get_mut(&child) else { continue };
            entry.ppid = Pid::INIT;
            if entry.exit.is_some() {
                self.entries.remove(&child);
            } else if let Some(init) = self.entries.get_mut(&Pid::INIT) {
                init.children.push(child);
            }
        }
    }
}
