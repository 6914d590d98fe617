//! One command as a child in a process group of its own. It decides nothing about permissions or reports.

use std::{
    io,
    time::{Duration, Instant},
};

use agentos_guest::{
    Signal, fd,
    process::{Child, Command, Stdio, WaitStatus},
    signal,
};

/// From SIGTERM to SIGKILL.
const TERM_TO_KILL: Duration = Duration::from_millis(500);

/// How long output is still read after the command ended, while something it left behind holds the pipe.
const LINGER: Duration = Duration::from_millis(100);

/// How often, at the least, the end of a command is looked for that has closed its output, or left it to others.
const LOOK: Duration = Duration::from_millis(20);

/// How soon the first time: most commands end as they close their output.
const LOOK_SOON: Duration = Duration::from_millis(1);

/// A command that was started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pipe: Option<fd::Owned>,
    /// When its output ended.
    silent: Option<Instant>,
    ended: Option<(WaitStatus, Instant)>,
    /// When SIGKILL is due, once SIGTERM was sent.
    kill_at: Option<Instant>,
    killed: bool,
}

impl Running {
    /// `/bin/sh -c COMMAND` with stdout and stderr in one pipe, so that their order is kept, and nothing to read.
    ///
    /// # Errors
    /// There is no such directory, or too many processes.
    pub fn start(command: &str, cwd: &str) -> io::Result<Self> {
        let (pipe, theirs) = fd::pipe(true)?;
        let child = Command::new("/bin/sh")
            .args(["-c", command])
            .current_dir(cwd)
            .process_group(0)
            .reset_signals(true)
            .stdin(Stdio::Null)
            .stdout(Stdio::Fd(theirs.raw()))
            .stderr(Stdio::Fd(theirs.raw()))
            .spawn()?;
        Ok(Self { child, pipe: Some(pipe), silent: None, ended: None, kill_at: None, killed: false })
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn wants(&self) -> Option<u32> {
        self.pipe.as_ref().map(fd::Owned::raw)
    }

    /// When [`step`](Self::step) is due at the latest, whatever happens.
    #[must_use]
    pub fn due(&self) -> Duration {
        let now = Instant::now();
        let soon = match self.silent {
            // The longer it has been silent, the rarer.
            Some(since) => now.duration_since(since).clamp(LOOK_SOON, LOOK),
            None if self.kill_at.is_some() || self.ended.is_some() => LOOK,
            None => LINGER,
        };
        self.kill_at.filter(|_| !self.killed).map_or(soon, |at| soon.min(at.saturating_duration_since(now)))
    }

    /// The process group, which is the id of the command too.
    #[must_use]
    pub fn group(&self) -> u32 {
        self.child.id()
    }

    /// Reads once; called when the pipe can be read. True if there was something, which `take` was given.
    pub fn read(&mut self, take: impl FnOnce(&[u8])) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        let mut chunk = [0; 64 << 10];
        match fd::read(pipe.raw(), &mut chunk) {
            Ok(n) if n > 0 => {
                take(&chunk[..n]);
                true
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                false
            }
            _ => {
                self.pipe = None;
                self.silent = Some(Instant::now());
                false
            }
        }
    }

    /// SIGTERM to the whole group; SIGKILL follows from [`step`](Self::step).
    pub fn stop(&mut self) {
        if self.kill_at.is_none() {
            self.kill_at = Some(Instant::now() + TERM_TO_KILL);
            self.signal(Some(Signal::SIGTERM));
        }
    }

    /// Looks for the end; `Some` when the command is over and its output read.
    pub fn step(&mut self) -> Option<WaitStatus> {
        let now = Instant::now();
        if self.ended.is_none() {
            let status = match self.child.try_wait() {
                Ok(status) => status.map(|status| status.0),
                // Somebody else reaped it: there is no status to be had.
                Err(_) => Some(WaitStatus::Signaled(Signal::SIGKILL.raw())),
            };
            self.ended = status.map(|status| (status, now));
        }
        if let Some(at) = self.kill_at {
            if now >= at && !self.killed {
                self.killed = true;
                self.signal(Some(Signal::SIGKILL));
            }
            // Over when the group is empty, or nothing more can be done to it.
            let (status, _) = self.ended?;
            return (self.killed || !self.signal(None)).then_some(status);
        }
        let (status, at) = self.ended?;
        (self.pipe.is_none() || now.duration_since(at) >= LINGER).then_some(status)
    }

    /// False if nobody is left in the group.
    fn signal(&self, what: Option<Signal>) -> bool {
        i32::try_from(self.child.id()).is_ok_and(|pgid| signal::kill(-pgid, what).is_ok())
    }
}

impl Drop for Running {
    /// A command that was not seen to its end is killed: nothing outlives the agent's interest in it.
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.signal(Some(Signal::SIGKILL));
            let _ = self.child.wait();
        }
    }
}
