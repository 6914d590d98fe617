//! The terminals of a VM: by number, and by the session that one controls.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use agentos_abi::tty::Winsize;
use parking_lot::Mutex;

use super::pty::{Ownership, Pty, PtyMaster};
use crate::{Errno, Kernel, Pid, Result, Warning};

/// Group `tty` of `/etc/group`, and the permission bits of a slave.
const TTY_GROUP: u32 = 5;
const SLAVE_PERM: u32 = 0o620;

#[derive(Default)]
struct Tables {
    ptys: BTreeMap<u32, Weak<Pty>>,
    sessions: HashMap<Pid, Weak<Pty>>,
}

/// All terminals of a VM; at most `limit`.
///
/// Its lock is taken before that of a terminal, and neither is held while a terminal may be dropped.
pub(crate) struct Registry {
    tables: Mutex<Tables>,
    limit: u32,
    warning: Warning,
}

impl Registry {
    pub(crate) fn new(limit: u32, warning: Warning) -> Arc<Self> {
        Arc::new(Self { tables: Mutex::default(), limit, warning })
    }

    /// A new pair with the lowest free number. ENOSPC at the limit.
    pub(crate) fn create(
        self: &Arc<Self>,
        kernel: Weak<Kernel>,
        size: Winsize,
        uid: u32,
    ) -> Result<PtyMaster> {
        let mut tables = self.tables.lock();
        if tables.ptys.len() >= self.limit as usize {
            return Err(Errno::ENOSPC);
        }
        let index = (0..).zip(tables.ptys.keys()).find(|(free, used)| free != *used).map(|(free, _)| free);
        let index = index.unwrap_or(tables.ptys.len() as u32);
        let ownership = Ownership { uid, gid: TTY_GROUP, perm: SLAVE_PERM };
        let pty = Arc::new(Pty::new(index, Arc::clone(self), kernel, size, ownership));
        tables.ptys.insert(index, Arc::downgrade(&pty));
        self.warning.uses(tables.ptys.len() as u64);
        Ok(PtyMaster::new(pty))
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// Pairs that exist.
    pub(crate) fn count(&self) -> usize {
        self.tables.lock().ptys.len()
    }

    pub(super) fn remove(&self, index: u32) {
        let mut tables = self.tables.lock();
        tables.ptys.remove(&index);
        self.warning.uses(tables.ptys.len() as u64);
    }

    /// The pair of this number.
    pub(crate) fn get(&self, index: u32) -> Option<Arc<Pty>> {
        let pty = self.tables.lock().ptys.get(&index).cloned();
        pty.and_then(|pty| pty.upgrade())
    }

    pub(super) fn indices(&self) -> Vec<u32> {
        self.tables.lock().ptys.keys().copied().collect()
    }

    /// The controlling terminal of a session.
    pub(crate) fn of_session(&self, session: Pid) -> Option<Arc<Pty>> {
        let pty = self.tables.lock().sessions.get(&session).cloned();
        pty.and_then(|pty| pty.upgrade())
    }

    /// Makes `pty` the controlling terminal of a session that has none. EPERM if it is that of another one.
    pub(crate) fn give(&self, pty: &Arc<Pty>, session: Pid, foreground: Pid) -> Result<()> {
        let mut tables = self.tables.lock();
        if tables.sessions.contains_key(&session) || !pty.take_session(session, foreground) {
            return Err(Errno::EPERM);
        }
        tables.sessions.insert(session, Arc::downgrade(pty));
        Ok(())
    }

    pub(super) fn forget_session(&self, session: Pid, index: u32) {
        let mut tables = self.tables.lock();
        let Tables { ptys, sessions } = &mut *tables;
        if let (Some(held), Some(pty)) = (sessions.get(&session), ptys.get(&index))
            && held.ptr_eq(pty)
        {
            sessions.remove(&session);
        }
    }

    /// The leader of a session ended: its terminal is hung up.
    pub(crate) fn end_session(&self, session: Pid) {
        if let Some(pty) = self.of_session(session) {
            pty.hang_up();
        }
        self.tables.lock().sessions.remove(&session);
    }
}
