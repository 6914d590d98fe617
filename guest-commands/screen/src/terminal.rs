//! The terminal: raw mode, keys, rows drawn where they changed, and the terminal given back at every end. It knows nothing of texts.

use agentos_guest::tty::{self, Termios, VDISABLE, When, cc, lflag};
use agentos_guest::{Signal, fd, process, signal};
use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;

/// How long the rest of an escape sequence may take, milliseconds.
const ESCAPE_MS: i32 = 50;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A character, control characters as they are.
    Char(char),
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    Delete,
    Insert,
    /// A sequence that means nothing here.
    Unknown,
}

/// What happens at a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Key(Key),
    /// The window has another size, or the screen must be drawn anew.
    Resize,
    /// ^C.
    Interrupt,
    /// Nothing came in time.
    Timeout,
    /// The terminal is gone, or the program is to end.
    Hangup,
}

/// What a panic has to give back: the descriptor and its attributes.
static TAKEN: Mutex<Option<(u32, Termios, bool)>> = Mutex::new(None);

/// The terminal, taken.
pub(crate) struct Terminal {
    fd: u32,
    saved: Termios,
    /// Whether the alternate screen is used.
    alternate: bool,
    inside: bool,
    /// Whether rows were drawn since the screen was taken.
    drawn: bool,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    frame: Vec<String>,
    bytes: VecDeque<u8>,
    /// Signals that came while somebody asked only for ^C.
    signals: VecDeque<Signal>,
}

fn give_back(fd: u32, saved: &Termios, alternate: bool) {
    let end = if alternate { "\x1b[?25h\x1b[0m\x1b[?1049l" } else { "\x1b[?25h\x1b[0m" };
    // Nothing is left to be done if the terminal is gone.
    let _ = fd::write_all(fd, end.as_bytes());
    let _ = tty::tcsetattr(fd, When::Drain, saved);
}

impl Terminal {
    /// Takes the terminal of this process.
    pub(crate) fn open(alternate: bool) -> io::Result<Terminal> {
        let fd = match tty::controlling() {
            Ok(owned) => owned.into_raw(),
            Err(_) => [0, 2, 1].into_iter().find(|fd| tty::isatty(*fd)).ok_or(io::ErrorKind::NotFound)?,
        };
        let saved = tty::tcgetattr(fd)?;
        for s in [
            Signal::SIGWINCH,
            Signal::SIGINT,
            Signal::SIGTSTP,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
        ] {
            signal::catch(s)?;
        }
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let taken = TAKEN.lock().ok().and_then(|mut t| t.take());
            if let Some((fd, saved, alternate)) = taken {
                give_back(fd, &saved, alternate);
            }
            before(info);
        }));
        let mut t = Terminal {
            fd,
            saved,
            alternate,
            inside: false,
            drawn: false,
            rows: 24,
            cols: 80,
            frame: Vec::new(),
            bytes: VecDeque::new(),
            signals: VecDeque::new(),
        };
        t.enter()?;
        Ok(t)
    }

    /// Takes the screen.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        let raw = self.raw();
        tty::tcsetattr(self.fd, When::Drain, &raw)?;
        if let Ok(mut taken) = TAKEN.lock() {
            *taken = Some((self.fd, self.saved, self.alternate));
        }
        self.inside = true;
        self.drawn = false;
        if self.alternate {
            fd::write_all(self.fd, b"\x1b[?1049h")?;
        }
        self.measure();
        Ok(())
    }

    /// Takes the alternate screen, for a terminal that was opened without.
    pub(crate) fn alternate(&mut self) -> io::Result<()> {
        self.alternate = true;
        if let Ok(mut taken) = TAKEN.lock() {
            *taken = Some((self.fd, self.saved, true));
        }
        fd::write_all(self.fd, b"\x1b[?1049h")
    }

    /// Shows a line and waits for a key, before the screen is taken again.
    pub(crate) fn wait_key(&mut self, line: &str) {
        // A ^C was for the program that ran.
        while let Some(s) = signal::next() {
            if !matches!(s, Signal::SIGINT | Signal::SIGTSTP) {
                self.signals.push_back(s);
            }
        }
        let raw = self.raw();
        if tty::tcsetattr(self.fd, When::Drain, &raw).is_ok()
            && fd::write_all(self.fd, line.as_bytes()).is_ok()
        {
            // Whatever it is, it ends the wait.
            let _ = self.byte(-1);
        }
    }

    /// Gives the screen back.
    pub(crate) fn leave(&mut self) {
        if self.inside {
            self.inside = false;
            if let Ok(mut taken) = TAKEN.lock() {
                *taken = None;
            }
            if !self.alternate && self.drawn {
                let _ = fd::write_all(self.fd, format!("\x1b[{};1H\x1b[K", self.rows).as_bytes());
            }
            give_back(self.fd, &self.saved, self.alternate);
        }
    }

    /// Looks how large the window is; everything is drawn anew.
    pub(crate) fn measure(&mut self) {
        if let Ok(size) = tty::tcgetwinsize(self.fd)
            && size.rows > 0
            && size.cols > 0
        {
            (self.rows, self.cols) = (usize::from(size.rows).max(2), usize::from(size.cols).max(2));
        }
        self.frame.clear();
    }

    /// Forgets what is on the screen.
    pub(crate) fn refresh(&mut self) {
        self.frame.clear();
    }

    pub(crate) fn bell(&self) {
        let _ = fd::write_all(self.fd, b"\x07");
    }

    /// Shows the rows, none wider than the window, and the cursor.
    pub(crate) fn draw(&mut self, rows: &[String], cursor: (usize, usize)) -> io::Result<()> {
        self.drawn = true;
        let mut out = String::from("\x1b[?25l");
        let fresh = self.frame.len() != self.rows;
        if fresh {
            out.push_str("\x1b[0m\x1b[H\x1b[2J");
            self.frame = vec![String::new(); self.rows];
        }
        for (i, row) in rows.iter().take(self.rows).enumerate() {
            if self.frame[i] != *row {
                out.push_str(&format!("\x1b[{};1H\x1b[K{row}", i + 1));
                if row.contains('\x1b') {
                    out.push_str("\x1b[0m");
                }
                self.frame[i].clone_from(row);
            }
        }
        out.push_str(&format!("\x1b[{};{}H\x1b[?25h", cursor.0 + 1, cursor.1.min(self.cols - 1) + 1));
        fd::write_all(self.fd, out.as_bytes())
    }

    /// Stops this program until it is continued.
    pub(crate) fn suspend(&mut self) {
        self.leave();
        // What cannot be set leaves the signal caught, and the program goes on.
        let _ = signal::default(Signal::SIGTSTP);
        let _ = signal::kill(process::id().cast_signed(), Some(Signal::SIGTSTP));
        let _ = signal::catch(Signal::SIGTSTP);
        let _ = self.enter();
    }

    /// What a caught signal means; `None`: nothing that the caller has to know.
    fn signal(&mut self) -> Option<Event> {
        let mut event = None;
        while let Some(s) = self.signals.pop_front().or_else(signal::next) {
            match s {
                Signal::SIGWINCH => {
                    self.measure();
                    event = event.or(Some(Event::Resize));
                }
                Signal::SIGINT => event = Some(Event::Interrupt),
                Signal::SIGTSTP => {
                    self.suspend();
                    event = event.or(Some(Event::Resize));
                }
                Signal::SIGTERM | Signal::SIGHUP | Signal::SIGQUIT => return Some(Event::Hangup),
                _ => {}
            }
        }
        event
    }

    /// Whether ^C was typed, or the program is to end; for loops that take long.
    pub(crate) fn interrupted(&mut self) -> bool {
        match signal::take_pending() {
            Some(Signal::SIGINT) => true,
            Some(other) => {
                self.signals.push_back(other);
                matches!(other, Signal::SIGTERM | Signal::SIGHUP | Signal::SIGQUIT)
            }
            None => false,
        }
    }

    fn raw(&self) -> Termios {
        let mut raw = self.saved;
        raw.make_raw();
        raw.lflag |= lflag::ISIG;
        raw.cc[cc::VQUIT] = VDISABLE;
        raw
    }

    fn byte(&mut self, wait_ms: i32) -> Result<u8, Event> {
        loop {
            if let Some(b) = self.bytes.pop_front() {
                return Ok(b);
            }
            if let Some(event) = self.signal() {
                return Err(event);
            }
            if wait_ms >= 0 {
                match fd::wait_readable(self.fd, wait_ms) {
                    Ok(true) => {}
                    Ok(false) => return Err(Event::Timeout),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    Err(_) => return Err(Event::Hangup),
                }
            }
            let mut buffer = [0; 256];
            match fd::read(self.fd, &mut buffer) {
                Ok(0) => return Err(Event::Hangup),
                Ok(n) => self.bytes.extend(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Event::Hangup),
            }
        }
    }

    /// The next thing that happens, within so many milliseconds; negative: whenever.
    pub(crate) fn event(&mut self, wait_ms: i32) -> Event {
        let first = match self.byte(wait_ms) {
            Ok(b) => b,
            Err(event) => return event,
        };
        match first {
            0x1b => Event::Key(self.escape()),
            b if b < 0x80 => Event::Key(Key::Char(char::from(b))),
            b => {
                let more = match b {
                    0xc2..=0xdf => 1,
                    0xe0..=0xef => 2,
                    0xf0..=0xf4 => 3,
                    _ => 0,
                };
                let mut bytes = vec![b];
                for _ in 0..more {
                    match self.byte(ESCAPE_MS) {
                        Ok(b) => bytes.push(b),
                        Err(_) => break,
                    }
                }
                let c = std::str::from_utf8(&bytes).ok().and_then(|s| s.chars().next());
                Event::Key(c.map_or(Key::Unknown, Key::Char))
            }
        }
    }

    fn escape(&mut self) -> Key {
        let Ok(second) = self.byte(ESCAPE_MS) else { return Key::Char('\x1b') };
        if second != b'[' && second != b'O' {
            self.bytes.push_front(second);
            return Key::Char('\x1b');
        }
        let mut number = String::new();
        let last = loop {
            match self.byte(ESCAPE_MS) {
                Ok(b @ (b'0'..=b'9' | b';' | b'?')) if number.len() < 16 => number.push(char::from(b)),
                Ok(b) => break b,
                Err(_) => {
                    // It was typed: Escape and a letter.
                    self.bytes.push_front(second);
                    return Key::Char('\x1b');
                }
            }
        };
        match (last, number.split(';').next().unwrap_or("")) {
            (b'A', _) => Key::Up,
            (b'B', _) => Key::Down,
            (b'C', _) => Key::Right,
            (b'D', _) => Key::Left,
            (b'H', _) | (b'~', "1" | "7") => Key::Home,
            (b'F', _) | (b'~', "4" | "8") => Key::End,
            (b'~', "2") => Key::Insert,
            (b'~', "3") => Key::Delete,
            (b'~', "5") => Key::PageUp,
            (b'~', "6") => Key::PageDown,
            _ => Key::Unknown,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.leave();
    }
}
