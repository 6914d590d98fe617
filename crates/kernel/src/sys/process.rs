//! exit, wait, groups and sessions (POSIX 2.11, waitpid(), setpgid(), setsid()).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use agentos_abi::process::{WCONTINUED, WNOHANG, WUNTRACED};

use crate::permissions::Operation;
use crate::process::Image;
use crate::signals::Posted;
use crate::table::Table;
use crate::{
    Disposition, Errno, ExitInfo, Kernel, Notice, Pid, Process, ProcessInfo, ProcessState, Result, Signal,
    WaitStatus,
};

/// Bytes of the name of a process that has ended.
const ZOMBIE_NAME: usize = 256;

/// Which children a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitTarget {
    /// Any child.
    Any,
    /// This child.
    Child(Pid),
    /// A child in this group.
    Group(Pid),
}

impl WaitTarget {
    /// The meaning of the first argument of waitpid(2).
    #[must_use]
    pub fn from_raw(pid: i32, own_group: Pid) -> Self {
        match pid {
            -1 => WaitTarget::Any,
            0 => WaitTarget::Group(own_group),
            p if p > 0 => WaitTarget::Child(Pid(p.unsigned_abs())),
            p => WaitTarget::Group(Pid(p.unsigned_abs())),
        }
    }
}

impl Kernel {
    /// A process of this VM, zombies included.
    #[must_use]
    pub fn process(&self, pid: Pid) -> Option<Arc<Process>> {
        self.table.lock().get(pid).map(|e| Arc::clone(&e.process))
    }

    /// Ends a process: closes its descriptors, gives its children to init, tells its parent. Called once, by whoever ran
    /// it, after its last instruction. A signal that should have ended it and came before this has done so.
    pub fn exit(&self, process: &Process, status: WaitStatus) {
        let status = match (status, process.with_signals(crate::SignalState::end)) {
            (WaitStatus::Exited(_), Some(signal)) => WaitStatus::Signaled(signal.raw()),
            (status, _) => status,
        };
        // Dropping descriptions wakes others; no lock of ours may be held meanwhile.
        let files = process.fds.lock().take_all();
        self.unlock_records(process);
        drop(files);
        process.stop_alarm();
        // Whoever still asks for an ended process must not keep a mount busy or an environment in memory.
        process.set_cwd(self.namespace.root());
        {
            // A zombie shows its name; more would be kept for nobody, and uncharged.
            let mut image = process.image.write();
            let name = image.argv.first().map(|name| name[..name.len().min(ZOMBIE_NAME)].to_vec());
            (image.argv, image.env) = (Arc::new(name.into_iter().collect()), Arc::default());
        }
        let (_, max_rss) = process.memory();
        process.release_memory();
        let own = u64::try_from(process.cpu().as_nanos()).unwrap_or(u64::MAX);
        self.ended_cpu_ns.fetch_add(own, Ordering::Relaxed);
        let info = ExitInfo {
            status,
            cpu: process.cpu() + process.children_cpu(),
            max_rss,
            at: self.clock.realtime(),
            limit: process.blamed(status),
        };
        if let (Some(limit), Some(observer)) = (info.limit, &process.observer) {
            observer.notice(Notice::Killed { pid: process.pid, limit });
        }
        let (parent, leader, orphaned) = {
            let mut table = self.table.lock();
            let leader = table.get(process.pid).is_some_and(|e| e.sid == process.pid);
            let connected = table.groups_connected_by(process.pid);
            table.orphan_children(process.pid);
            let ppid = match table.get_mut(process.pid) {
                Some(entry) => {
                    entry.exit = Some(info);
                    entry.ppid
                }
                None => Pid::INIT,
            };
            let parent = table.get(ppid).filter(|e| e.exit.is_none()).map(|e| Arc::clone(&e.process));
            let reaps_itself = parent.as_ref().is_none_or(|p| {
                p.pid == Pid::INIT || p.signal_state().disposition(Signal::SIGCHLD) == Disposition::Ignore
            });
            if reaps_itself {
                table.remove(process.pid);
            }
            let stuck = |group: &Pid| table.is_orphaned(*group) && table.has_stopped(*group);
            (parent, leader, connected.into_iter().filter(stuck).collect::<Vec<_>>())
        };
        process.set_exit(info);
        if leader {
            self.terminals.end_session(process.pid);
        }
        // POSIX exit(): nobody can continue them any more.
        for group in orphaned {
            self.signal_group(group, Signal::SIGHUP);
            self.signal_group(group, Signal::SIGCONT);
        }
        if let Some(parent) = parent {
            parent.children_changed.wake();
            parent.raise(Signal::SIGCHLD);
        }
        self.table_changed();
    }

    /// waitpid(2). `None` with WNOHANG when no child changed. ECHILD, EINTR.
    pub async fn waitpid(
        &self,
        process: &Process,
        target: WaitTarget,
        flags: u32,
    ) -> Result<Option<(Pid, ExitInfo)>> {
        if flags & !(WNOHANG | WUNTRACED | WCONTINUED) != 0 {
            return Err(Errno::EINVAL);
        }
        process
            .interruptible(
                |cx| {
                    process.children_changed.register(cx.waker());
                    match self.reap(process, target, flags) {
                        Ok(None) if flags & WNOHANG == 0 => Poll::Pending,
                        done => Poll::Ready(done),
                    }
                },
                |waker| process.children_changed.unregister(waker),
            )
            .await
    }

    fn reap(&self, process: &Process, target: WaitTarget, flags: u32) -> Result<Option<(Pid, ExitInfo)>> {
        let mut table = self.table.lock();
        let children = &table.get(process.pid).ok_or(Errno::ECHILD)?.children;
        let matches = |table: &Table, pid: Pid| match target {
            WaitTarget::Any => true,
            WaitTarget::Child(wanted) => pid == wanted,
            WaitTarget::Group(group) => table.get(pid).is_some_and(|e| e.pgid == group),
        };
        let mut any = false;
        let mut found = None;
        for pid in children.iter().copied().filter(|pid| matches(&table, *pid)) {
            any = true;
            let Some(entry) = table.get(pid) else { continue };
            if entry.exit.is_some() {
                found = Some((pid, true));
                break;
            }
            let reported = match entry.changed {
                Some(WaitStatus::Stopped(_)) => flags & WUNTRACED != 0,
                Some(WaitStatus::Continued) => flags & WCONTINUED != 0,
                _ => false,
            };
            if reported && found.is_none() {
                found = Some((pid, false));
            }
        }
        match found {
            Some((pid, true)) => {
                let entry = table.remove(pid).ok_or(Errno::ECHILD)?;
                let info = entry.exit.ok_or(Errno::ECHILD)?;
                let cpu = u64::try_from(info.cpu.as_nanos()).unwrap_or(u64::MAX);
                process.children_cpu_ns.fetch_add(cpu, Ordering::Relaxed);
                let max_rss = info.max_rss.max(entry.process.children_max_rss());
                process.children_max_rss.fetch_max(max_rss, Ordering::Relaxed);
                Ok(Some((pid, info)))
            }
            Some((pid, false)) => {
                let entry = table.get_mut(pid).ok_or(Errno::ECHILD)?;
                let status = entry.changed.take().ok_or(Errno::ECHILD)?;
                let (_, max_rss) = entry.process.memory();
                Ok(Some((
                    pid,
                    ExitInfo {
                        status,
                        cpu: entry.process.cpu(),
                        max_rss,
                        at: self.clock.realtime(),
                        limit: None,
                    },
                )))
            }
            None if any => Ok(None),
            None => Err(Errno::ECHILD),
        }
    }

    /// Sends a signal to a process and tells its parent of a stop or continuation. `false` if the process has ended.
    pub fn deliver(&self, target: &Process, signal: Signal) -> bool {
        if self.stop_is_lost(target, signal) {
            return true;
        }
        let change = match target.post(signal) {
            Posted::Stopped => WaitStatus::Stopped(signal.raw()),
            Posted::Continued => WaitStatus::Continued,
            posted => return posted != Posted::Gone,
        };
        self.tell_parent(target, change);
        true
    }

    /// POSIX 2.4.3: the stops of a terminal do nothing by default where nobody could continue the process.
    fn stop_is_lost(&self, target: &Process, signal: Signal) -> bool {
        if !matches!(signal, Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU)
            || target.signal_state().disposition(signal) != Disposition::Default
        {
            return false;
        }
        self.is_orphaned(target)
    }

    /// Whether stops of a terminal wait that are to do nothing, since nobody could continue the process.
    pub(crate) fn loses_stops(&self, process: &Process) -> bool {
        process.signal_state().pending() & crate::signals::TERMINAL_STOPS != 0 && self.is_orphaned(process)
    }

    /// Whether nobody could continue a process if it were stopped.
    fn is_orphaned(&self, process: &Process) -> bool {
        let table = self.table.lock();
        table.get(process.pid).is_some_and(|e| table.is_orphaned(e.pgid))
    }

    /// Tells the parent of a stop or continuation.
    pub(crate) fn tell_parent(&self, target: &Process, change: WaitStatus) {
        let parent = {
            let mut table = self.table.lock();
            let Some(entry) = table.get_mut(target.pid) else { return };
            entry.changed = Some(change);
            let ppid = entry.ppid;
            table.get(ppid).map(|e| Arc::clone(&e.process))
        };
        if let Some(parent) = parent {
            parent.children_changed.wake();
            parent.raise(Signal::SIGCHLD);
        }
    }

    /// The parent.
    #[must_use]
    pub fn getppid(&self, process: &Process) -> Pid {
        self.table.lock().get(process.pid).map_or(Pid::INIT, |e| e.ppid)
    }

    /// The group of `pid` (0: the caller). ESRCH, EACCES.
    pub fn getpgid(&self, process: &Process, pid: u32) -> Result<Pid> {
        let pid = if pid == 0 { process.pid } else { Pid(pid) };
        self.may_touch(process.pid.0, pid.0, Operation::Inspect)?;
        Ok(self.table.lock().get(pid).ok_or(Errno::ESRCH)?.pgid)
    }

    /// The session of `pid` (0: the caller). ESRCH, EACCES.
    pub fn getsid(&self, process: &Process, pid: u32) -> Result<Pid> {
        let pid = if pid == 0 { process.pid } else { Pid(pid) };
        self.may_touch(process.pid.0, pid.0, Operation::Inspect)?;
        Ok(self.table.lock().get(pid).ok_or(Errno::ESRCH)?.sid)
    }

    /// setpgid(2). ESRCH, EPERM, EACCES after exec.
    pub fn setpgid(&self, process: &Process, pid: u32, pgid: u32) -> Result<()> {
        let pid = if pid == 0 { process.pid } else { Pid(pid) };
        let pgid = if pgid == 0 { pid } else { Pid(pgid) };
        let mut table = self.table.lock();
        let own_sid = table.get(process.pid).ok_or(Errno::ESRCH)?.sid;
        let target = table.get(pid).ok_or(Errno::ESRCH)?;
        if pid != process.pid {
            if target.ppid != process.pid {
                return Err(Errno::ESRCH);
            }
            if target.process.execed.load(Ordering::Relaxed) {
                return Err(Errno::EACCES);
            }
        }
        if target.sid != own_sid || target.sid == pid {
            return Err(Errno::EPERM);
        }
        if pgid != pid && !table.iter().any(|e| e.pgid == pgid && e.sid == own_sid) {
            return Err(Errno::EPERM);
        }
        table.get_mut(pid).ok_or(Errno::ESRCH)?.pgid = pgid;
        Ok(())
    }

    /// setsid(2). EPERM for a group leader.
    pub fn setsid(&self, process: &Process) -> Result<Pid> {
        let mut table = self.table.lock();
        if table.iter().any(|e| e.pgid == process.pid) {
            return Err(Errno::EPERM);
        }
        let entry = table.get_mut(process.pid).ok_or(Errno::ESRCH)?;
        entry.pgid = process.pid;
        entry.sid = process.pid;
        Ok(process.pid)
    }

    /// The process becomes another program: caught signals and close-on-exec descriptors go, memory is given back. ENOMEM,
    /// with nothing changed, when its arguments and environment find no room.
    pub fn exec(&self, process: &Process, image: Image) -> Result<()> {
        let image = self.with_permitted_env(image, Some(process));
        if !process.recharge_memory(image.bytes()) {
            return Err(Errno::ENOMEM);
        }
        let closed = {
            let mut fds = process.fds.lock();
            let kept = fds.for_exec();
            let closed = fds.take_all();
            *fds = kept;
            closed
        };
        for entry in closed.iter().flatten().filter(|entry| entry.cloexec) {
            self.unlock_closed(process, &entry.description);
        }
        drop(closed);
        let orphaned = self.loses_stops(process);
        let acted = process.with_signals(|s| s.on_exec(orphaned));
        self.tell_of_stops(process, acted);
        *process.image.write() = image;
        process.execed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// All processes but init, by pid.
    #[must_use]
    pub fn processes(&self) -> Vec<Pid> {
        let table = self.table.lock();
        let mut pids: Vec<_> = table.iter().map(|e| e.process.pid).filter(|p| *p != Pid::INIT).collect();
        pids.sort_unstable();
        pids
    }

    /// Processes, zombies included, without init.
    #[must_use]
    pub fn process_count(&self) -> usize {
        self.table.lock().len() - 1
    }

    /// Processes of a session that have not ended.
    #[must_use]
    pub fn session_count(&self, session: Pid) -> usize {
        self.table.lock().iter().filter(|e| e.sid == session && e.exit.is_none()).count()
    }

    /// What is known of a process. The working directory may need the file system, hence async.
    pub async fn process_info(&self, pid: Pid) -> Option<ProcessInfo> {
        let (mut info, cwd) = self.process_info_without_cwd(pid)?;
        if info.state != ProcessState::Zombie {
            info.cwd = self.namespace.path_of(&cwd).await.unwrap_or_default();
        }
        Some(info)
    }

    pub(crate) fn process_info_without_cwd(&self, pid: Pid) -> Option<(ProcessInfo, agentos_vfs::Location)> {
        let table = self.table.lock();
        let entry = table.get(pid)?;
        let process = &entry.process;
        let image = process.image.read().clone();
        let cred = process.cred();
        let state = if entry.exit.is_some() {
            ProcessState::Zombie
        } else if process.signal_state().is_stopped() {
            ProcessState::Stopped
        } else {
            ProcessState::Running
        };
        let info = ProcessInfo {
            pid,
            ppid: entry.ppid,
            pgid: entry.pgid,
            sid: entry.sid,
            state,
            exe: image.exe.to_vec(),
            argv: Arc::clone(&image.argv),
            cwd: Vec::new(),
            uid: cred.uid,
            gid: cred.gid,
            started: process.started(),
            cpu: process.cpu(),
            memory: process.memory().0,
            exit: entry.exit,
        };
        Some((info, process.cwd()))
    }
}
