//! A pair of terminals: the state that master and slave share, and who waits for it.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use agentos_abi::tty::{Termios, Winsize};
use parking_lot::Mutex;

use super::discipline::{Discipline, Typed};
use super::registry::Registry;
use super::typeahead::Typeahead;
use super::{INPUT_BYTES, OUTPUT_BYTES, output};
use crate::{Errno, Kernel, Pid, Result, Signal, Waiters};

/// Bytes that are typed before others get their turn: one may cost as much as a line is long.
const PIECE: usize = 256;
/// How far a signal is looked for in what a program types into a terminal that is full.
const LOOK: usize = 64 << 10;

/// Owner and permission bits of `/dev/pts/N`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ownership {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) perm: u32,
}

struct State {
    discipline: Discipline,
    /// What programs wrote, for the master.
    output: VecDeque<u8>,
    /// Echo while the output is held.
    held_echo: Vec<u8>,
    size: Winsize,
    /// The session whose controlling terminal it is.
    session: Option<Pid>,
    /// The process group that may read.
    foreground: Option<Pid>,
    /// The group that made it that, and takes the terminal back when all of it has ended.
    giver: Option<Pid>,
    master: bool,
    /// Open descriptions of the slave.
    slaves: u32,
    /// The slave was open once: without one the master has nobody to talk to.
    opened: bool,
    /// Grows with each hang-up: descriptions of an earlier one are dead.
    generation: u64,
    ownership: Ownership,
}

impl State {
    fn deserted(&self) -> bool {
        self.opened && self.slaves == 0
    }

    /// Puts an echo out. It may pass the bound of the output a little; beyond that it is lost.
    fn echo(&mut self, echo: &[u8]) {
        if self.discipline.held() {
            let room = INPUT_BYTES - self.held_echo.len().min(INPUT_BYTES);
            self.held_echo.extend_from_slice(&echo[..echo.len().min(room)]);
        } else if self.output.len() + self.held_echo.len() + echo.len() <= OUTPUT_BYTES + INPUT_BYTES {
            self.output.extend(self.held_echo.drain(..));
            self.output.extend(echo);
        }
    }
}

/// A pair of terminals.
pub(crate) struct Pty {
    index: u32,
    state: Mutex<State>,
    /// The slave may have become readable or writable, the master likewise.
    slave_changed: Waiters,
    master_changed: Waiters,
    registry: Arc<Registry>,
    kernel: Weak<Kernel>,
}

/// The master: what it writes is typed, what it reads is shown. There is one; dropped, it hangs the terminal up.
pub struct PtyMaster(Arc<Pty>);

/// An open slave.
pub struct PtySlave {
    pty: Arc<Pty>,
    generation: u64,
}

impl Pty {
    pub(super) fn new(
        index: u32,
        registry: Arc<Registry>,
        kernel: Weak<Kernel>,
        size: Winsize,
        ownership: Ownership,
    ) -> Self {
        Self {
            index,
            state: Mutex::new(State {
                discipline: Discipline::new(),
                output: VecDeque::new(),
                held_echo: Vec::new(),
                size,
                session: None,
                foreground: None,
                giver: None,
                master: true,
                slaves: 0,
                opened: false,
                generation: 0,
                ownership,
            }),
            slave_changed: Waiters::new(),
            master_changed: Waiters::new(),
            registry,
            kernel,
        }
    }

    /// N of `/dev/pts/N`.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    pub(super) fn ownership(&self) -> Ownership {
        self.state.lock().ownership
    }

    pub(super) fn set_ownership(&self, ownership: Ownership) {
        self.state.lock().ownership = ownership;
    }

    /// Opens the slave. EIO when the master is gone.
    pub(crate) fn slave(self: &Arc<Self>) -> Result<PtySlave> {
        let mut state = self.state.lock();
        if !state.master {
            return Err(Errno::EIO);
        }
        state.slaves += 1;
        state.opened = true;
        Ok(PtySlave { pty: Arc::clone(self), generation: state.generation })
    }

    /// The session whose controlling terminal it is, and the group in the foreground.
    pub(crate) fn control(&self) -> (Option<Pid>, Option<Pid>) {
        let state = self.state.lock();
        (state.session, state.foreground)
    }

    /// Makes it the controlling terminal of a session; false if it is that of another one.
    pub(super) fn take_session(&self, session: Pid, foreground: Pid) -> bool {
        let mut state = self.state.lock();
        if !state.master || state.session.is_some_and(|s| s != session) {
            return false;
        }
        (state.session, state.foreground, state.giver) = (Some(session), Some(foreground), None);
        true
    }

    /// Makes a group the foreground one on behalf of the group `giver`.
    pub(crate) fn set_foreground(&self, group: Pid, giver: Pid) {
        {
            let mut state = self.state.lock();
            (state.foreground, state.giver) = (Some(group), Some(giver));
        }
        // Readers that are no longer in the foreground have to look.
        self.slave_changed.wake();
    }

    pub(crate) fn termios(&self) -> Termios {
        *self.state.lock().discipline.termios()
    }

    pub(crate) fn set_termios(&self, termios: &Termios, flush: bool) {
        {
            let mut state = self.state.lock();
            if flush {
                state.discipline.flush();
            }
            state.discipline.set_termios(termios);
            state.echo(b"");
        }
        self.changed();
    }

    pub(crate) fn flush(&self, input: bool, output: bool) {
        {
            let mut state = self.state.lock();
            if input {
                state.discipline.flush();
            }
            if output {
                state.output.clear();
                state.held_echo.clear();
            }
        }
        self.changed();
    }

    /// Holds or releases the output.
    pub(crate) fn hold(&self, yes: bool) {
        {
            let mut state = self.state.lock();
            state.discipline.hold(yes);
            state.echo(b"");
        }
        self.changed();
    }

    /// Sends a control character to the master.
    pub(crate) fn send_to_master(&self, which: usize) {
        {
            let mut state = self.state.lock();
            let byte = state.discipline.termios().cc[which];
            if byte != agentos_abi::tty::VDISABLE {
                state.echo(&[byte]);
            }
        }
        self.changed();
    }

    pub(crate) fn size(&self) -> Winsize {
        self.state.lock().size
    }

    /// Sets the size of the window and tells the foreground group if it changed.
    pub(crate) fn resize(&self, size: Winsize) {
        let group = {
            let mut state = self.state.lock();
            if state.size == size {
                return;
            }
            state.size = size;
            state.foreground
        };
        self.signal_group(group, &[Signal::SIGWINCH]);
    }

    fn signal_group(&self, group: Option<Pid>, signals: &[Signal]) {
        if let (Some(group), Some(kernel)) = (group, self.kernel.upgrade()) {
            for signal in signals {
                kernel.signal_group(group, *signal);
            }
        }
    }

    /// Signals of keys. Where all of the foreground has ended, the group that put it there has not noticed yet and gets
    /// them: a person who stops a loop of short programs may press between two of them.
    fn signal_keys(&self, group: Pid, giver: Option<Pid>, signals: &[Signal]) {
        let Some(kernel) = self.kernel.upgrade() else { return };
        for signal in signals {
            if !kernel.signal_group(group, *signal)
                && let Some(giver) = giver.filter(|giver| *giver != group)
            {
                kernel.signal_group(giver, *signal);
            }
        }
    }

    fn changed(&self) {
        self.slave_changed.wake();
        self.master_changed.wake();
    }

    /// Hangs up: open slaves are dead, the session has no terminal, its leader and the foreground group are told.
    pub(crate) fn hang_up(&self) {
        let (session, foreground) = {
            let mut state = self.state.lock();
            state.generation += 1;
            state.slaves = 0;
            state.discipline.flush();
            state.discipline.hold(false);
            state.echo(b"");
            state.giver = None;
            (state.session.take(), state.foreground.take())
        };
        self.changed();
        let Some(session) = session else { return };
        self.registry.forget_session(session, self.index);
        let hang_up = [Signal::SIGHUP, Signal::SIGCONT];
        // The group of the leader has its number, and holds it.
        if foreground != Some(session)
            && let Some(kernel) = self.kernel.upgrade()
        {
            kernel.signal_process(session, &hang_up);
        }
        self.signal_group(foreground, &hang_up);
    }

    /// Takes `waker` out of every list.
    pub(crate) fn leave(&self, waker: &Waker) {
        self.slave_changed.unregister(waker);
        self.master_changed.unregister(waker);
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.registry.remove(self.index);
    }
}

impl PtyMaster {
    pub(super) fn new(pty: Arc<Pty>) -> Self {
        Self(pty)
    }

    /// The pair.
    pub(crate) fn pty(&self) -> &Arc<Pty> {
        &self.0
    }

    /// Types bytes; how many were taken. EAGAIN when the input is full, EIO when no slave is open any more.
    pub(crate) fn try_write(&self, data: &[u8]) -> Result<usize> {
        let find = |discipline: &Discipline, taken: usize| {
            // Out of turn none can be taken.
            if !discipline.signal_flushes() {
                return None;
            }
            let rest = data[taken..].iter().take(LOOK).copied();
            let found = discipline.find_signal(rest, &mut discipline.literal());
            found.map(|(distance, signal)| (taken + distance, signal))
        };
        self.receive(data, find).map(|(taken, _)| taken)
    }

    /// Types from the front of what waits, and a signal in it at once. EAGAIN when nothing could be, EIO when no slave is
    /// open any more.
    pub(crate) fn try_type(&self, ahead: &mut Typeahead) -> Result<()> {
        let data = ahead.first(PIECE);
        let (taken, early) = self.receive(&data, |discipline, taken| ahead.signal(discipline, taken))?;
        ahead.forget(taken, early);
        Ok(())
    }

    /// Types bytes: how many were taken from the front, and which one out of turn, because it raises a signal that leaves
    /// the input alone (NOFLSH). `find` says where behind some bytes, of `data` or beyond, a signal is.
    fn receive(
        &self,
        data: &[u8],
        mut find: impl FnMut(&Discipline, usize) -> Option<(usize, Signal)>,
    ) -> Result<(usize, Option<usize>)> {
        let mut signals = Vec::new();
        let (taken, early, foreground) = {
            let mut state = self.0.state.lock();
            if state.deserted() {
                return Err(Errno::EIO);
            }
            let (mut taken, mut early) = (0, None);
            let mut echo = Vec::new();
            while taken < data.len().min(PIECE) && early.is_none() {
                let mut typed = state.discipline.receive(data[taken], &mut echo);
                if typed == Typed::Full {
                    match find(&state.discipline, taken) {
                        // A signal discards what was typed before it, so what finds no room need not wait for it.
                        Some((at, _)) if state.discipline.signal_flushes() => {
                            taken = at;
                            // Beyond the piece it is the first byte of the next one.
                            state.discipline.flush();
                            continue;
                        }
                        Some((at, signal)) => {
                            early = Some(at);
                            typed = state.discipline.raise(signal, &mut echo);
                        }
                        None => break,
                    }
                } else {
                    taken += 1;
                }
                if let Typed::Signal { signal, flush } = typed {
                    if flush {
                        state.output.clear();
                        state.held_echo.clear();
                    }
                    if !signals.contains(&signal) {
                        signals.push(signal);
                    }
                }
                state.echo(&echo);
                echo.clear();
            }
            (taken, early, state.foreground.zip(Some(state.giver)))
        };
        if taken == 0 && early.is_none() && !data.is_empty() {
            // A byte that found no room may still have let the output go on (IXANY).
            self.0.slave_changed.wake();
            return Err(Errno::EAGAIN);
        }
        if let Some((group, giver)) = foreground {
            self.0.signal_keys(group, giver, &signals);
        }
        self.0.changed();
        Ok((taken, early))
    }

    /// Takes output. EAGAIN when there is none, EIO when there is none and no slave is open any more.
    pub(crate) fn try_read(&self, buf: &mut [u8]) -> Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let n = {
            let mut state = self.0.state.lock();
            if state.output.is_empty() {
                return Err(if state.deserted() { Errno::EIO } else { Errno::EAGAIN });
            }
            let n = state.output.len().min(buf.len());
            for (slot, byte) in buf.iter_mut().zip(state.output.drain(..n)) {
                *slot = byte;
            }
            n
        };
        self.0.slave_changed.wake();
        Ok(n)
    }

    /// As [`PtyMaster::try_read`], pending instead of EAGAIN.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize>> {
        self.0.master_changed.register(cx.waker());
        pending(self.try_read(buf))
    }

    /// As [`PtyMaster::try_write`], pending instead of EAGAIN.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize>> {
        self.0.master_changed.register(cx.waker());
        pending(self.try_write(data))
    }

    /// As [`PtyMaster::try_type`], pending instead of EAGAIN.
    pub(crate) fn poll_type(&self, cx: &mut Context<'_>, ahead: &mut Typeahead) -> Poll<Result<()>> {
        self.0.master_changed.register(cx.waker());
        pending(self.try_type(ahead))
    }

    /// Ready when a read would not wait.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<usize> {
        self.0.master_changed.register(cx.waker());
        let state = self.0.state.lock();
        if state.output.is_empty() && !state.deserted() {
            Poll::Pending
        } else {
            Poll::Ready(state.output.len())
        }
    }

    /// Ready when a write would not wait.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<usize> {
        self.0.master_changed.register(cx.waker());
        let state = self.0.state.lock();
        if state.deserted() || state.discipline.has_room() { Poll::Ready(1) } else { Poll::Pending }
    }

    /// Whether no slave is open any more.
    pub(crate) fn hung_up(&self) -> bool {
        self.0.state.lock().deserted()
    }
}

fn pending<T>(result: Result<T>) -> Poll<Result<T>> {
    match result {
        Err(Errno::EAGAIN) => Poll::Pending,
        done => Poll::Ready(done),
    }
}

impl Drop for PtyMaster {
    fn drop(&mut self) {
        self.0.state.lock().master = false;
        self.0.hang_up();
    }
}

impl PtySlave {
    /// The pair.
    pub(crate) fn pty(&self) -> &Arc<Pty> {
        &self.pty
    }

    /// Registers for changes of input and output.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.pty.slave_changed.register(cx.waker());
    }

    /// Whether this description is dead.
    pub(crate) fn hung_up(&self) -> bool {
        self.pty.state.lock().generation != self.generation
    }

    /// VMIN and VTIME when not in canonical mode.
    pub(crate) fn timing(&self) -> Option<(usize, u8)> {
        self.pty.state.lock().discipline.timing()
    }

    /// Whether a read would find something. In canonical mode a line.
    pub(crate) fn readable(&self) -> bool {
        self.pty.state.lock().discipline.readable().is_some()
    }

    /// Takes input: 0 bytes are the end. EAGAIN when there is none.
    pub(crate) fn try_read(&self, buf: &mut [u8]) -> Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let n = {
            let mut state = self.pty.state.lock();
            if state.generation != self.generation {
                return Ok(0);
            }
            state.discipline.read(buf).ok_or(Errno::EAGAIN)?
        };
        self.pty.master_changed.wake();
        Ok(n)
    }

    /// Writes what finds room. EAGAIN when nothing does or the output is held, EIO after a hang-up.
    pub(crate) fn try_write(&self, data: &[u8]) -> Result<usize> {
        let n = {
            let mut state = self.pty.state.lock();
            if state.generation != self.generation {
                return Err(Errno::EIO);
            }
            if data.is_empty() {
                return Ok(0);
            }
            if state.discipline.held() {
                return Err(Errno::EAGAIN);
            }
            let State { discipline, output, .. } = &mut *state;
            let termios = *discipline.termios();
            let mut n = 0;
            for byte in data {
                if output.len() + output::MOST > OUTPUT_BYTES {
                    break;
                }
                discipline.column.put(&termios, *byte, output);
                n += 1;
            }
            n
        };
        if n == 0 {
            return Err(Errno::EAGAIN);
        }
        self.pty.master_changed.wake();
        Ok(n)
    }

    /// Ready when a read would not wait; then how much is there.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<usize> {
        self.register(cx);
        let state = self.pty.state.lock();
        if state.generation != self.generation {
            return Poll::Ready(0);
        }
        state.discipline.ready().map_or(Poll::Pending, Poll::Ready)
    }

    /// Ready when a write would not wait.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<usize> {
        self.register(cx);
        let state = self.pty.state.lock();
        let room = OUTPUT_BYTES.saturating_sub(state.output.len());
        if state.generation != self.generation || (!state.discipline.held() && room >= output::MOST) {
            Poll::Ready(room)
        } else {
            Poll::Pending
        }
    }
}

impl Drop for PtySlave {
    fn drop(&mut self) {
        let last = {
            let mut state = self.pty.state.lock();
            if state.generation != self.generation {
                return;
            }
            state.slaves -= 1;
            state.slaves == 0
        };
        if last {
            self.pty.master_changed.wake();
        }
    }
}
