//! What is shown: through the filter, then to a thread that writes, since a terminal that is stopped must block nothing else.
//! The thread also has the last word: what the guest left switched on is switched off, if the terminal takes it or not.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, fstat, makedev};
use rustix::termios::{QueueSelector, isatty, tcflush};
use tokio::sync::{mpsc, oneshot};

use super::{PATIENCE, PAUSE, failed, give_time, thread};
use crate::error::Result;
use crate::shells::{TerminalFilter, TerminalPolicy};

/// Pieces of output that wait for the terminal.
const WAITING: usize = 4;
/// Bytes that are written at once where a write may block: few, so that it does not when there is any room.
const BLOCKING: usize = 128;
/// Ends a sequence that was cut off.
const CAN: u8 = 0x18;

/// What is written when the guest is gone.
#[derive(Default)]
struct Last {
    /// After all output.
    undo: Vec<u8>,
    /// Instead of output that the terminal does not take.
    instead: Vec<u8>,
}

/// The screen side of a terminal, until this is dropped: then what the guest left switched on is switched off. If the
/// terminal takes nothing, what waits in it is thrown away to make room for that; where there is none even so, it is
/// written when the terminal goes on, if this program still lives.
pub(in crate::shells) struct Screen {
    filter: TerminalFilter,
    pieces: Option<mpsc::Sender<Vec<u8>>>,
    last: Arc<Mutex<Last>>,
    /// Closed, it tells the thread to give up the output.
    patience: Option<PipeWriter>,
    written: Option<oneshot::Receiver<io::Result<()>>>,
    thread: JoinHandle<()>,
}

impl Screen {
    /// Standard output.
    pub(super) fn open(policy: TerminalPolicy) -> Result<Screen> {
        let output = Output::of(io::stdout().as_fd()).map_err(|e| failed("standard output", e))?;
        Screen::on(output, policy)
    }

    fn on(output: Output, policy: TerminalPolicy) -> Result<Screen> {
        let (given_up, patience) = io::pipe().map_err(|e| failed("make a pipe", e))?;
        let (pieces, waiting) = mpsc::channel(WAITING);
        let (done, written) = oneshot::channel();
        let last = Arc::<Mutex<Last>>::default();
        let of_thread = Arc::clone(&last);
        let thread = thread("agentos-screen", move || {
            let _ = done.send(write_all(&output, waiting, &given_up, &of_thread));
        })?;
        Ok(Screen {
            filter: TerminalFilter::new(policy),
            pieces: Some(pieces),
            last,
            patience: Some(patience),
            written: Some(written),
            thread,
        })
    }

    /// Shows output of the guest; waits while the terminal takes nothing. Returns whether the terminal will answer.
    pub(in crate::shells) async fn show(&mut self, data: &[u8]) -> Result<bool> {
        let mut shown = Vec::with_capacity(data.len());
        self.filter.feed(data, &mut shown);
        if let Some(pieces) = &self.pieces
            && !shown.is_empty()
            && pieces.send(shown).await.is_err()
        {
            self.pieces = None;
            self.end().await?;
        }
        Ok(self.filter.take_asked())
    }

    /// Undoes what the guest left switched on, and waits until everything is written.
    pub(in crate::shells) async fn finish(&mut self) -> Result<()> {
        self.undo();
        self.end().await
    }

    /// Has what the guest left switched on undone after all that waits.
    fn undo(&mut self) {
        self.filter.finish(&mut self.last.lock().undo);
        self.pieces = None;
    }

    /// The end of the thread.
    async fn end(&mut self) -> Result<()> {
        let Some(written) = self.written.take() else { return Ok(()) };
        match written.await {
            Ok(Err(error)) => Err(failed("write to the terminal", error)),
            _ => Ok(()),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.undo();
        give_time(&self.thread, Instant::now() + PATIENCE);
        if self.thread.is_finished() {
            return;
        }
        self.filter.undo_all(&mut self.last.lock().instead);
        self.patience = None;
        give_time(&self.thread, Instant::now() + PATIENCE);
    }
}

/// Where it is written to.
struct Output {
    file: OwnedFd,
    /// Bytes of a write.
    most: usize,
}

impl Output {
    /// A terminal is opened anew where that is allowed: the mode of not blocking is then not that of everybody who shares
    /// the descriptor.
    fn of(shared: BorrowedFd<'_>) -> io::Result<Output> {
        // Opened anew, this one would be another terminal.
        let is_ptmx = || fstat(shared).is_ok_and(|stat| stat.st_rdev == makedev(5, 2));
        if isatty(shared) && !is_ptmx() {
            let own = format!("/proc/self/fd/{}", shared.as_raw_fd());
            let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            if let Ok(file) = rustix::fs::open(own, flags, Mode::empty()) {
                return Ok(Output { file, most: usize::MAX });
            }
        }
        Output::shared(shared)
    }

    /// The descriptor of others, which may block.
    fn shared(file: BorrowedFd<'_>) -> io::Result<Output> {
        Ok(Output { file: file.try_clone_to_owned()?, most: BLOCKING })
    }

    /// Writes all; false if it is given up before.
    fn write(&self, data: &[u8], given_up: Option<&PipeReader>) -> io::Result<bool> {
        let mut rest = data;
        while !rest.is_empty() {
            if !self.ready(given_up)? {
                return Ok(false);
            }
            match rustix::io::write(&self.file, &rest[..rest.len().min(self.most)]) {
                Ok(n) => rest = &rest[n..],
                Err(rustix::io::Errno::INTR) => {}
                // Another writer was faster.
                Err(rustix::io::Errno::AGAIN) => std::thread::sleep(PAUSE),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Waits until there is room; false if it is given up before.
    fn ready(&self, given_up: Option<&PipeReader>) -> io::Result<bool> {
        let mut both = vec![PollFd::new(&self.file, PollFlags::OUT)];
        both.extend(given_up.map(|given_up| PollFd::new(given_up, PollFlags::IN)));
        match poll(&mut both, None) {
            Err(error) if error != rustix::io::Errno::INTR => Err(error.into()),
            _ => Ok(both.get(1).is_none_or(|given_up| given_up.revents().is_empty())),
        }
    }
}

fn write_all(
    to: &Output,
    mut pieces: mpsc::Receiver<Vec<u8>>,
    given_up: &PipeReader,
    last: &Mutex<Last>,
) -> io::Result<()> {
    let mut taken = true;
    while taken && let Some(piece) = pieces.blocking_recv() {
        taken = to.write(&piece, Some(given_up))?;
    }
    if taken {
        let undo = std::mem::take(&mut last.lock().undo);
        taken = to.write(&undo, Some(given_up))?;
    }
    if !taken {
        let _ = tcflush(&to.file, QueueSelector::OFlush);
        // It may have been in the middle of something, and what it did not see may have undone what it saw.
        let mut instead = vec![CAN];
        instead.append(&mut last.lock().instead);
        to.write(&instead, None)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

    use super::*;

    /// A terminal: its other end, and the one that programs have.
    fn pair() -> (OwnedFd, OwnedFd) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let mut raw = tcgetattr(&slave).unwrap();
        raw.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &raw).unwrap();
        (master, slave)
    }

    /// What has been shown by now.
    fn shown(master: &OwnedFd) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        let time = rustix::time::Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        while poll(&mut [PollFd::new(master, PollFlags::IN)], Some(&time)).unwrap() > 0 {
            let n = rustix::io::read(master, &mut buffer).unwrap();
            all.extend_from_slice(&buffer[..n]);
        }
        all
    }

    async fn until_stuck(screen: &mut Screen) {
        let fill = async {
            loop {
                screen.show(&[b'x'; 16 << 10]).await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_millis(300), fill).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_terminal_that_takes_nothing_finds_the_undoing_when_it_goes_on() {
        for output in [Output::of, Output::shared] {
            let (master, slave) = pair();
            let mut screen = Screen::on(output(slave.as_fd()).unwrap(), TerminalPolicy::default()).unwrap();
            screen.show(b"\x1b[?1049h\x1b[?25l").await.unwrap();
            assert_eq!(shown(&master), b"\x1b[?1049h\x1b[?25l");
            until_stuck(&mut screen).await;
            // It is undone in what the terminal never sees.
            screen.filter.feed(b"\x1b[?1049l", &mut Vec::new());
            let begin = Instant::now();
            drop(screen);
            assert!(begin.elapsed() < Duration::from_secs(2));
            assert!(shown(&master).ends_with(b"\x18\x1b[?1049l\x1b[?25h"));
        }
    }

    #[tokio::test]
    async fn a_regular_end_that_is_given_up_is_undone_too() {
        let (master, slave) = pair();
        let mut screen = Screen::on(Output::of(slave.as_fd()).unwrap(), TerminalPolicy::default()).unwrap();
        screen.show(b"\x1b[31m").await.unwrap();
        until_stuck(&mut screen).await;
        tokio::time::timeout(Duration::from_millis(20), screen.finish()).await.unwrap_err();
        let reads = std::thread::spawn(move || shown(&master));
        drop(screen);
        assert!(reads.join().unwrap().ends_with(b"x\x1b[m"), "all is still shown");
    }

    #[tokio::test]
    async fn a_pipe_that_nobody_reads_holds_nothing_up() {
        let (_reader, writer) = io::pipe().unwrap();
        let mut screen = Screen::on(Output::of(writer.as_fd()).unwrap(), TerminalPolicy::default()).unwrap();
        until_stuck(&mut screen).await;
        let begin = Instant::now();
        drop(screen);
        assert!(begin.elapsed() < Duration::from_secs(2));
    }
}
