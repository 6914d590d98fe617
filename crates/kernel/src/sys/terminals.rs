//! Terminals: opening them, attributes, window size, sessions and job control (POSIX 11).

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use agentos_abi::fd::O_NOCTTY;
use agentos_abi::tty::cc::{VSTART, VSTOP};
use agentos_abi::tty::lflag::TOSTOP;
use agentos_abi::tty::{
    TCIFLUSH, TCIOFF, TCIOFLUSH, TCION, TCOFLUSH, TCOOFF, TCOON, TCSADRAIN, TCSAFLUSH, TCSANOW, Termios,
    Winsize,
};
use agentos_vfs::{Access, Location, NameBuf};

use crate::description::FileKind;
use crate::tty::{CONSOLE, PTMX, Pty, PtySlave, TTY, pts_index};
use crate::{Description, Disposition, Errno, Fd, Interrupt, Kernel, Pid, Process, Result, Signal};

/// A descriptor that is a terminal.
struct Ends<'a> {
    pty: &'a Arc<Pty>,
    /// Not the master, on which job control does not act.
    slave: bool,
}

/// ENOTTY if it is none, EIO after a hang-up.
fn ends(file: &Description) -> Result<Ends<'_>> {
    match file.kind() {
        FileKind::PtyMaster(master) => Ok(Ends { pty: master.pty(), slave: false }),
        FileKind::PtySlave(slave) if slave.hung_up() => Err(Errno::EIO),
        FileKind::PtySlave(slave) => Ok(Ends { pty: slave.pty(), slave: true }),
        _ => Err(Errno::ENOTTY),
    }
}

/// What a look at a waiting terminal found.
enum Looked<T> {
    Done(T),
    /// The process is no longer in the foreground.
    Background,
}

impl Kernel {
    /// Opens a terminal by its device number; `None` if it is the number of none. `process` is who may get it as its
    /// controlling terminal.
    pub(crate) fn open_terminal_device(
        &self,
        process: Option<&Process>,
        number: u64,
        flags: u32,
        access: Access,
        entry: Option<(Location, NameBuf)>,
    ) -> Result<Option<Arc<Description>>> {
        let kind = match number {
            PTMX => {
                let uid = process.map_or(self.cred().uid, |p| p.cred().uid);
                FileKind::PtyMaster(self.terminals.create(self.weak(), Winsize::default(), uid)?)
            }
            TTY | CONSOLE => {
                let session = process.and_then(|p| self.session_and_group(p)).map(|(session, _)| session);
                let pty = session.and_then(|s| self.terminals.of_session(s)).ok_or(Errno::ENXIO)?;
                FileKind::PtySlave(pty.slave()?)
            }
            number => {
                let Some(index) = pts_index(number) else { return Ok(None) };
                let pty = self.terminals.get(index).ok_or(Errno::ENXIO)?;
                let slave = pty.slave()?;
                if let Some(process) = process.filter(|_| flags & O_NOCTTY == 0) {
                    // POSIX 11.1.3: a session leader without one gets it, if no other session has it.
                    let _ = self.acquire(process, &pty);
                }
                FileKind::PtySlave(slave)
            }
        };
        Ok(Some(Description::new(kind, access, flags, entry)))
    }

    /// Makes `pty` the controlling terminal of the session that `process` leads. EPERM.
    fn acquire(&self, process: &Process, pty: &Arc<Pty>) -> Result<()> {
        let (session, group) = self.session_and_group(process).ok_or(Errno::ESRCH)?;
        if session != process.pid {
            return Err(Errno::EPERM);
        }
        self.terminals.give(pty, session, group)
    }

    /// Makes the terminal that `file` is the controlling one of a new session.
    pub(crate) fn control_by(&self, leader: Pid, file: &Description) -> Result<()> {
        self.terminals.give(ends(file)?.pty, leader, leader)
    }

    pub(crate) fn session_and_group(&self, process: &Process) -> Option<(Pid, Pid)> {
        self.table.lock().get(process.pid).map(|e| (e.sid, e.pgid))
    }

    /// Whether `process` may use the terminal now. `false`: its group was sent `signal` since it is in the background.
    /// EIO when that cannot stop it.
    fn in_foreground(&self, process: &Process, pty: &Pty, signal: Signal) -> Result<bool> {
        {
            let table = self.table.lock();
            let entry = table.get(process.pid).ok_or(Errno::EIO)?;
            if !is_background(pty, entry.sid, entry.pgid) {
                return Ok(true);
            }
            let signals = process.signal_state();
            let deaf =
                signals.disposition(signal) == Disposition::Ignore || signals.blocked() & signal.bit() != 0;
            match (deaf, signal) {
                (true, Signal::SIGTTIN) => return Err(Errno::EIO),
                (true, _) => return Ok(true),
                (false, _) if table.is_orphaned(entry.pgid) => return Err(Errno::EIO),
                (false, _) => {}
            }
        }
        if let Some((_, group)) = self.session_and_group(process) {
            self.signal_group(group, signal);
        }
        Ok(false)
    }

    /// Waits until `process` may use the terminal: it is stopped by `signal` meanwhile. EINTR, EIO.
    async fn until_foreground(&self, process: &Process, pty: &Pty, signal: Signal) -> Result<()> {
        while !self.in_foreground(process, pty, signal)? {
            process.while_stopped().await;
            if let Some(Interrupt::Terminate(_) | Interrupt::Caught) = process.pending_interrupt() {
                return Err(Errno::EINTR);
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Changes of a terminal need the foreground.
    async fn may_change(&self, process: &Process, file: &Description) -> Result<()> {
        let ends = ends(file)?;
        if ends.slave { self.until_foreground(process, ends.pty, Signal::SIGTTOU).await } else { Ok(()) }
    }

    fn is_background(&self, process: &Process, pty: &Pty) -> bool {
        self.session_and_group(process).is_some_and(|(session, group)| is_background(pty, session, group))
    }

    // --- reading and writing

    /// One look at the input of a terminal on behalf of a process that waits for it.
    fn look<T>(
        &self,
        process: &Process,
        slave: &PtySlave,
        cx: &std::task::Context<'_>,
        look: impl FnOnce() -> Result<T>,
    ) -> Poll<Result<Looked<T>>> {
        slave.register(cx);
        // A stopped process takes nothing from the one that has the terminal now.
        if process.pending_interrupt() == Some(Interrupt::Stopped) {
            return Poll::Pending;
        }
        if self.is_background(process, slave.pty()) {
            return Poll::Ready(Ok(Looked::Background));
        }
        match look() {
            Err(Errno::EAGAIN) => Poll::Pending,
            done => Poll::Ready(done.map(Looked::Done)),
        }
    }

    /// read(2) on a terminal (POSIX 11.1.6, 11.1.7).
    pub(super) async fn read_slave(
        &self,
        process: &Process,
        file: &Description,
        slave: &PtySlave,
        buf: &mut [u8],
    ) -> Result<usize> {
        let mut filled = 0;
        loop {
            if !slave.hung_up() {
                self.until_foreground(process, slave.pty(), Signal::SIGTTIN).await?;
            }
            let rest = &mut buf[filled..];
            let (least, tenths) = match slave.timing() {
                None => (1, 0),
                Some((min, tenths)) => (min.min(filled + rest.len()), tenths),
            };
            let now = match slave.try_read(rest) {
                Ok(0) => return Ok(filled),
                Ok(n) => {
                    filled += n;
                    if filled >= least {
                        return Ok(filled);
                    }
                    continue;
                }
                Err(Errno::EAGAIN) if file.nonblocking() => {
                    return if filled > 0 { Ok(filled) } else { Err(Errno::EAGAIN) };
                }
                Err(Errno::EAGAIN) => slave.timing(),
                Err(errno) => return Err(errno),
            };
            // VMIN 0 without a timer never waits. VTIME counts from the first byte, or with VMIN 0 from the call.
            let timer = match now {
                Some((0, 0)) => return Ok(filled),
                Some((0, _)) => Some(tenths),
                Some((_, tenths)) if tenths > 0 && filled > 0 => Some(tenths),
                _ => None,
            };
            let wait = process.interruptible(
                |cx| {
                    self.look(process, slave, cx, || {
                        if slave.hung_up() || slave.readable() { Ok(()) } else { Err(Errno::EAGAIN) }
                    })
                },
                |waker| file.leave(waker),
            );
            let waited = match timer {
                None => wait.await,
                Some(tenths) => {
                    let time = Duration::from_millis(u64::from(tenths) * 100);
                    match tokio::time::timeout(time, wait).await {
                        Ok(waited) => waited,
                        Err(_) => return Ok(filled),
                    }
                }
            };
            match waited {
                Ok(Looked::Done(()) | Looked::Background) => {}
                Err(_) if filled > 0 => return Ok(filled),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// write(2) on a terminal: as much as finds room, at least one byte. EIO after a hang-up.
    pub(super) async fn write_slave(
        &self,
        process: &Process,
        file: &Description,
        slave: &PtySlave,
        data: &[u8],
    ) -> Result<usize> {
        loop {
            let stops = || slave.pty().termios().lflag & TOSTOP != 0;
            if stops() && !slave.hung_up() {
                self.until_foreground(process, slave.pty(), Signal::SIGTTOU).await?;
            }
            match slave.try_write(data) {
                Err(Errno::EAGAIN) if !file.nonblocking() => {}
                done => return done,
            }
            process
                .interruptible(
                    |cx| {
                        slave.register(cx);
                        if process.pending_interrupt() == Some(Interrupt::Stopped) {
                            return Poll::Pending;
                        }
                        slave.poll_writable(cx).map(|_| Ok(()))
                    },
                    |waker| file.leave(waker),
                )
                .await?;
        }
    }

    // --- attributes

    /// isatty(3). ENOTTY.
    pub fn isatty(&self, file: &Description) -> Result<()> {
        ends(file).map(|_| ())
    }

    /// tcgetattr(3). ENOTTY, EIO.
    pub fn tcgetattr(&self, file: &Description) -> Result<Termios> {
        Ok(ends(file)?.pty.termios())
    }

    /// tcsetattr(3). Output counts as sent once it is in the queue, as for pseudo-terminals of Linux: a master that does
    /// not read holds nobody up. ENOTTY, EIO, EINVAL, EINTR.
    pub async fn tcsetattr(
        &self,
        process: &Process,
        file: &Description,
        when: u32,
        termios: &Termios,
    ) -> Result<()> {
        if !matches!(when, TCSANOW | TCSADRAIN | TCSAFLUSH) {
            return Err(Errno::EINVAL);
        }
        self.may_change(process, file).await?;
        ends(file)?.pty.set_termios(termios, when == TCSAFLUSH);
        Ok(())
    }

    /// tcdrain(3), see [`Kernel::tcsetattr`]. ENOTTY, EIO, EINTR.
    pub async fn tcdrain(&self, process: &Process, file: &Description) -> Result<()> {
        self.may_change(process, file).await
    }

    /// tcflush(3). ENOTTY, EIO, EINVAL, EINTR.
    pub async fn tcflush(&self, process: &Process, file: &Description, queue: u32) -> Result<()> {
        if !matches!(queue, TCIFLUSH | TCOFLUSH | TCIOFLUSH) {
            return Err(Errno::EINVAL);
        }
        self.may_change(process, file).await?;
        ends(file)?.pty.flush(queue != TCOFLUSH, queue != TCIFLUSH);
        Ok(())
    }

    /// tcflow(3). ENOTTY, EIO, EINVAL, EINTR.
    pub async fn tcflow(&self, process: &Process, file: &Description, action: u32) -> Result<()> {
        if !matches!(action, TCOOFF | TCOON | TCIOFF | TCION) {
            return Err(Errno::EINVAL);
        }
        self.may_change(process, file).await?;
        let pty = ends(file)?.pty;
        match action {
            TCOOFF => pty.hold(true),
            TCOON => pty.hold(false),
            TCIOFF => pty.send_to_master(VSTOP),
            _ => pty.send_to_master(VSTART),
        }
        Ok(())
    }

    /// tcgetwinsize(3). ENOTTY, EIO.
    pub fn tcgetwinsize(&self, file: &Description) -> Result<Winsize> {
        Ok(ends(file)?.pty.size())
    }

    /// tcsetwinsize(3): SIGWINCH to the foreground group if it changed. ENOTTY, EIO.
    pub fn tcsetwinsize(&self, file: &Description, size: Winsize) -> Result<()> {
        ends(file)?.pty.resize(size);
        Ok(())
    }

    // --- sessions and groups

    /// The controlling terminal of `process`, if `file` is it. ENOTTY, EIO.
    fn controlling<'a>(&self, process: &Process, file: &'a Description) -> Result<(Ends<'a>, Pid)> {
        let ends = ends(file)?;
        let (session, _) = self.session_and_group(process).ok_or(Errno::ESRCH)?;
        if ends.slave && ends.pty.control().0 != Some(session) {
            return Err(Errno::ENOTTY);
        }
        Ok((ends, session))
    }

    /// tcgetpgrp(3). On a master, of its slave. ENOTTY, EIO.
    pub fn tcgetpgrp(&self, process: &Process, file: &Description) -> Result<Pid> {
        let (ends, _) = self.controlling(process, file)?;
        Ok(ends.pty.control().1.unwrap_or(Pid(0)))
    }

    /// tcgetsid(3). On a master, of its slave. ENOTTY, EIO.
    pub fn tcgetsid(&self, process: &Process, file: &Description) -> Result<Pid> {
        let (ends, _) = self.controlling(process, file)?;
        ends.pty.control().0.ok_or(Errno::ENOTTY)
    }

    /// tcsetpgrp(3). ENOTTY, EIO, EINTR; ESRCH without such a group, EPERM if it is of another session.
    pub async fn tcsetpgrp(&self, process: &Process, file: &Description, group: Pid) -> Result<()> {
        self.controlling(process, file)?;
        self.may_change(process, file).await?;
        let (ends, session) = self.controlling(process, file)?;
        let table = self.table.lock();
        if ends.pty.control().0 != Some(session) {
            return Err(Errno::ENOTTY);
        }
        let of_group = table.iter().find(|e| e.pgid == group).ok_or(Errno::ESRCH)?;
        if of_group.sid != session {
            return Err(Errno::EPERM);
        }
        let own = table.get(process.pid).map_or(group, |entry| entry.pgid);
        ends.pty.set_foreground(group, own);
        Ok(())
    }

    /// `TIOCSCTTY` of Linux: the controlling terminal of the session that the caller leads. ENOTTY, EIO, EPERM.
    pub fn tcsetctty(&self, process: &Process, file: &Description) -> Result<()> {
        let ends = ends(file)?;
        let (session, _) = self.session_and_group(process).ok_or(Errno::ESRCH)?;
        if session == process.pid && ends.pty.control().0 == Some(session) {
            return Ok(());
        }
        self.acquire(process, ends.pty)
    }

    /// openpty(3): master and slave; neither becomes the controlling terminal. ENOSPC at the limit, EMFILE.
    pub fn openpty(&self, process: &Process, cloexec: bool) -> Result<(Fd, Fd)> {
        let master = self.terminals.create(self.weak(), Winsize::default(), process.cred().uid)?;
        let slave = FileKind::PtySlave(master.pty().slave()?);
        let both = Access { read: true, write: true };
        let ends = [FileKind::PtyMaster(master), slave].map(|kind| Description::new(kind, both, 0, None));
        let [master, slave] = ends;
        let mut fds = process.fds.lock();
        let master = fds.insert(master, 0, cloexec)?;
        match fds.insert(slave, 0, cloexec) {
            Ok(slave) => Ok((master, slave)),
            Err(errno) => {
                let undone = fds.remove(master);
                drop(fds);
                drop(undone);
                Err(errno)
            }
        }
    }

    /// ttyname(3); of a master, the name of its slave. ENOTTY, EIO.
    pub fn ttyname(&self, file: &Description) -> Result<Vec<u8>> {
        Ok(format!("/dev/pts/{}", ends(file)?.pty.index()).into_bytes())
    }
}

/// Whether a group is in the background of a terminal. One that is no controlling terminal has no background.
fn is_background(pty: &Pty, session: Pid, group: Pid) -> bool {
    match pty.control() {
        (Some(owner), Some(foreground)) => owner == session && foreground != group,
        _ => false,
    }
}
