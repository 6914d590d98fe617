//! Commands that come line by line from standard input: `ex`, silent or not, and keys without a terminal. It shows no screen.

use crate::chars;
use crate::editor::{Editor, Stop};
use crate::host::{Event, Host};
use crate::key::{self, Key};
use crate::screen::Screen;
use agentos_guest::fd;
use std::collections::VecDeque;
use std::io::Write;

/// How long a line of commands may be.
const MOST_LINE: usize = 64 << 20;

/// Standard input and output.
pub(crate) struct Script {
    bytes: VecDeque<u8>,
    ended: bool,
    keys: VecDeque<Key>,
}

impl Script {
    pub(crate) fn new() -> Script {
        Script { bytes: VecDeque::new(), ended: false, keys: VecDeque::new() }
    }

    fn fill(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match fd::read(0, &mut buffer) {
                Ok(0) => self.ended = true,
                Ok(n) => self.bytes.extend(&buffer[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => self.ended = true,
            }
            return !self.ended;
        }
    }
}

impl Host for Script {
    fn event(&mut self, _screen: Option<&Screen>) -> Event {
        while self.keys.is_empty() {
            // Keys come in lines or not; what is there is taken, up to the last whole character.
            if self.bytes.is_empty() && !self.fill() {
                return Event::End {
                    status: 1,
                    note: "Vim: Error reading input, exiting...\nVim: Finished.",
                    keep: true,
                };
            }
            let all: Vec<u8> = self.bytes.drain(..).collect();
            let cut = match std::str::from_utf8(&all) {
                Err(e) if e.error_len().is_none() && !self.ended => e.valid_up_to(),
                _ => all.len(),
            };
            self.bytes.extend(&all[cut..]);
            self.keys = key::of_text(&chars::text(&all[..cut]));
            if cut == 0 && !self.fill() {
                self.keys = key::of_text(&chars::text(&all));
                self.bytes.clear();
            }
        }
        self.keys.pop_front().map_or(Event::End { status: 1, note: "", keep: true }, Event::Key)
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            while let Some(b) = self.bytes.pop_front() {
                if b == b'\n' {
                    return Some(line);
                }
                if line.len() < MOST_LINE {
                    line.push(b);
                }
            }
            if self.ended || !self.fill() {
                return (!line.is_empty()).then_some(line);
            }
        }
    }

    fn print(&mut self, text: &str) {
        let mut bytes = chars::bytes(text);
        bytes.push(b'\n');
        let mut out = std::io::stdout().lock();
        if out.write_all(&bytes).and_then(|()| out.flush()).is_err() {
            // Whoever reads is gone.
            std::process::exit(1);
        }
    }
}

/// Runs commands until the end of the input; the status.
pub(crate) fn run(editor: &mut Editor) -> i32 {
    let prompt = !editor.silent && fd::isatty(0);
    loop {
        if let Some(status) = editor.quit {
            return status;
        }
        if prompt {
            print!(":");
            let _ = std::io::stdout().flush();
        }
        let Some(line) = editor.host.as_mut().and_then(|h| h.line()) else {
            return editor.status();
        };
        let text = chars::text(&line);
        editor.last_typed(&text);
        editor.buf.begin(editor.cursor);
        let result = editor.ex(&text);
        if editor.buf.void && editor.buf.changed_now() && result.is_ok() {
            editor.complain(Stop::Say("E749: Empty buffer".into()));
        }
        editor.buf.end();
        editor.clamp();
        match result {
            Ok(()) => {}
            Err(Stop::End) => return editor.quit.unwrap_or(1),
            Err(stop) => editor.complain(stop),
        }
    }
}
