//! The editor at a terminal.

use crate::host::{Event, Host};
use crate::key::Key;
use crate::screen::Screen;
use crate::terminal::{self, Terminal};

/// Somebody sits here.
pub(crate) struct Session {
    terminal: Terminal,
}

impl Session {
    /// Takes the terminal.
    pub(crate) fn new() -> std::io::Result<Session> {
        Ok(Session { terminal: Terminal::open(true)? })
    }

    fn next(&mut self) -> Event {
        loop {
            return match self.terminal.event(-1) {
                terminal::Event::Key(key) => Event::Key(key),
                terminal::Event::Resize => Event::Resize,
                terminal::Event::Interrupt => Event::Key(Key::Char('\x03')),
                terminal::Event::Timeout => continue,
                terminal::Event::Hangup => {
                    Event::End { status: 1, note: "Vim: Caught deadly signal", keep: true }
                }
            };
        }
    }
}

impl Host for Session {
    fn draws(&self) -> bool {
        true
    }

    fn size(&self) -> (usize, usize) {
        (self.terminal.rows, self.terminal.cols)
    }

    fn event(&mut self, screen: Option<&Screen>) -> Event {
        // What is typed ahead, or pasted, is drawn when it has come to an end.
        if let Some(screen) = screen.filter(|_| !self.terminal.waiting())
            && self.terminal.draw(&screen.rows, screen.cursor).is_err()
        {
            return Event::End { status: 1, note: "", keep: true };
        }
        self.next()
    }

    fn bell(&mut self) {
        self.terminal.bell();
    }

    fn interrupted(&mut self) -> bool {
        self.terminal.interrupted()
    }

    fn leave(&mut self) {
        self.terminal.leave();
    }

    fn enter(&mut self, wait: bool) {
        if wait {
            print!("\nPress ENTER or type command to continue");
            let _ = std::io::Write::flush(&mut std::io::stdout());
            self.terminal.wait_key();
        }
        if self.terminal.enter().is_err() {
            self.terminal.refresh();
        }
    }

    fn suspend(&mut self) {
        self.terminal.suspend();
    }
}
