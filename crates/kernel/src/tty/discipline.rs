//! The line discipline (POSIX 11.1, 11.2): what becomes of typed bytes. A pure state machine: bytes and attributes in,
//! input, echo and signals out. It knows no processes and never waits.

use std::collections::VecDeque;

use agentos_abi::Signal;
use agentos_abi::tty::cc::{
    VEOF, VEOL, VEOL2, VERASE, VINTR, VKILL, VLNEXT, VMIN, VQUIT, VREPRINT, VSTART, VSTOP, VSUSP, VTIME,
    VWERASE,
};
use agentos_abi::tty::cflag::{CREAD, CS8, CSIZE, PARENB};
use agentos_abi::tty::iflag::{ICRNL, IGNCR, INLCR, ISTRIP, IUCLC, IXANY, IXON};
use agentos_abi::tty::lflag::{ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHONL, ICANON, IEXTEN, ISIG, NOFLSH};
use agentos_abi::tty::{Termios, VDISABLE};

use super::INPUT_BYTES;
use super::output::{Column, continues};

/// Which characters raise which signals.
const RAISES: [(usize, Signal); 3] =
    [(VINTR, Signal::SIGINT), (VQUIT, Signal::SIGQUIT), (VSUSP, Signal::SIGTSTP)];

/// A finished line of canonical input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    /// Bytes of it that are in the queue.
    len: usize,
    /// Ended by VEOF, which is not in the queue.
    eof: bool,
}

/// What a typed byte did besides input and echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// It was taken.
    Taken,
    /// It finds no room until something is read.
    Full,
    /// It raises this signal in the foreground group; with `flush` the queues were and the output is to be discarded.
    Signal { signal: Signal, flush: bool },
}

/// The state of a terminal's input.
pub(super) struct Discipline {
    termios: Termios,
    /// Input that can be read, then (in canonical mode) the line that is being edited.
    queue: VecDeque<u8>,
    /// Finished lines at the front of the queue, in canonical mode.
    lines: VecDeque<Line>,
    /// Bytes of the queue in finished lines.
    finished: usize,
    /// Finished lines that were ended by VEOF: each counts as a byte.
    ends: usize,
    /// The next byte is taken as it is.
    literal: bool,
    /// Output is held (VSTOP, TCOOFF).
    held: bool,
    pub(super) column: Column,
}

impl Discipline {
    pub(super) fn new() -> Self {
        Self {
            termios: Termios::default(),
            queue: VecDeque::new(),
            lines: VecDeque::new(),
            finished: 0,
            ends: 0,
            literal: false,
            held: false,
            column: Column::default(),
        }
    }

    pub(super) fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Sets the attributes. What was typed ahead and is not read yet is taken as if it were typed in the new mode, as BSD does
    /// it, though without an echo and without signals: whoever types before a program is ready means the program.
    pub(super) fn set_termios(&mut self, termios: &Termios) {
        let was = self.local(ICANON);
        let end_of_file = self.termios.cc[VEOF];
        self.termios = *termios;
        // There is no line that could have other ones.
        self.termios.cflag = termios.cflag & !(CSIZE | PARENB) | CS8 | CREAD;
        match (was, self.local(ICANON)) {
            (true, false) => self.make_lines_bytes(end_of_file),
            (false, true) => self.make_bytes_lines(),
            _ => {}
        }
        if termios.iflag & IXON == 0 {
            self.held = false;
        }
    }

    /// Leaving canonical mode: all is readable, and an end of file is the character that it was typed with.
    fn make_lines_bytes(&mut self, end_of_file: u8) {
        let mut queue = VecDeque::with_capacity(self.used());
        for line in std::mem::take(&mut self.lines) {
            queue.extend(self.queue.drain(..line.len));
            if line.eof {
                queue.push_back(end_of_file);
            }
        }
        queue.append(&mut self.queue);
        self.flush();
        self.queue = queue;
    }

    /// Entering canonical mode: what was typed is edited to lines, the last of which may have no end yet.
    fn make_bytes_lines(&mut self) {
        let typed = std::mem::take(&mut self.queue);
        self.flush();
        let local = self.termios.lflag;
        self.termios.lflag &= !(ECHO | ECHONL);
        for byte in typed {
            let Some(byte) = self.mapped(byte) else { continue };
            if self.lines.is_empty() && !self.line_fits(2) {
                // A line that could only be ended is rather ended here than shortened.
                self.finish_line(false);
            }
            if std::mem::take(&mut self.literal) || self.edit(byte, &mut Vec::new()) == Typed::Full {
                // It had a place before.
                self.queue.push_back(byte);
            }
        }
        self.termios.lflag = local;
    }

    /// What a carriage return or newline is taken for; `None`: for nothing.
    fn mapped(&self, byte: u8) -> Option<u8> {
        match byte {
            b'\r' if self.input(IGNCR) => None,
            b'\r' if self.input(ICRNL) => Some(b'\n'),
            b'\n' if self.input(INLCR) => Some(b'\r'),
            _ => Some(byte),
        }
    }

    fn input(&self, bit: u32) -> bool {
        self.termios.iflag & bit != 0
    }

    fn local(&self, bit: u32) -> bool {
        self.termios.lflag & bit != 0
    }

    fn is(&self, byte: u8, which: usize) -> bool {
        self.termios.cc[which] != VDISABLE && self.termios.cc[which] == byte
    }

    /// Whether output is held.
    pub(super) fn held(&self) -> bool {
        self.held
    }

    /// Holds or releases the output.
    pub(super) fn hold(&mut self, yes: bool) {
        self.held = yes;
    }

    /// Bytes of the line that is being edited.
    fn editing(&self) -> usize {
        self.queue.len() - self.finished
    }

    fn used(&self) -> usize {
        self.queue.len() + self.ends
    }

    /// Whether a byte that is nothing special finds room, or would only ring the bell.
    pub(super) fn has_room(&self) -> bool {
        self.used() < INPUT_BYTES || (self.local(ICANON) && self.lines.is_empty())
    }

    /// Discards all input.
    pub(super) fn flush(&mut self) {
        self.queue.clear();
        self.lines.clear();
        (self.finished, self.ends) = (0, 0);
        self.literal = false;
    }

    /// The signal that `byte` raises, unless it is taken as it is.
    fn signal_of(&self, byte: u8) -> Option<Signal> {
        if !self.local(ISIG) {
            return None;
        }
        let byte = if self.input(ISTRIP) { byte & 0x7f } else { byte };
        RAISES.iter().find(|(which, _)| self.is(byte, *which)).map(|(_, signal)| *signal)
    }

    /// The first of `bytes` that would raise a signal if it were typed now. `literal` is whether the first is taken as it
    /// is, and then whether the next one is.
    pub(super) fn find_signal(
        &self,
        bytes: impl Iterator<Item = u8>,
        literal: &mut bool,
    ) -> Option<(usize, Signal)> {
        let quotes = self.local(ICANON) && self.local(IEXTEN);
        for (at, byte) in bytes.enumerate() {
            if std::mem::take(literal) {
                continue;
            }
            if let Some(signal) = self.signal_of(byte) {
                return Some((at, signal));
            }
            *literal = quotes && self.is(byte, VLNEXT);
        }
        None
    }

    /// Whether the next byte is taken as it is.
    pub(super) fn literal(&self) -> bool {
        self.literal
    }

    /// Its byte raises a signal, be it its turn or not.
    pub(super) fn raise(&mut self, signal: Signal, out: &mut Vec<u8>) -> Typed {
        let flush = self.signal_flushes();
        if flush {
            self.flush();
        }
        self.held = self.held && !self.input(IXON);
        if self.local(ECHO)
            && let Some((which, _)) = RAISES.iter().find(|(_, raised)| *raised == signal)
        {
            self.echo(self.termios.cc[*which], out);
        }
        Typed::Signal { signal, flush }
    }

    /// Whether a signal discards what was typed before it.
    pub(super) fn signal_flushes(&self) -> bool {
        !self.local(NOFLSH)
    }

    /// Takes a typed byte; its echo is put at the end of `out`.
    pub(super) fn receive(&mut self, byte: u8, out: &mut Vec<u8>) -> Typed {
        let mut byte = if self.input(ISTRIP) { byte & 0x7f } else { byte };
        if std::mem::take(&mut self.literal) {
            let typed = self.ordinary(byte, out);
            self.literal = typed == Typed::Full;
            return typed;
        }
        if self.input(IUCLC) && self.local(IEXTEN) {
            byte = byte.to_ascii_lowercase();
        }
        if self.input(IXON) {
            if self.is(byte, VSTART) {
                self.held = false;
                return Typed::Taken;
            }
            if self.is(byte, VSTOP) {
                self.held = true;
                return Typed::Taken;
            }
            if self.input(IXANY) {
                self.held = false;
            }
        }
        if let Some(signal) = self.signal_of(byte) {
            return self.raise(signal, out);
        }
        let Some(byte) = self.mapped(byte) else { return Typed::Taken };
        if self.local(ICANON) { self.edit(byte, out) } else { self.ordinary(byte, out) }
    }

    /// Canonical mode: the characters that edit or end a line.
    fn edit(&mut self, byte: u8, out: &mut Vec<u8>) -> Typed {
        let extended = self.local(IEXTEN);
        if self.is(byte, VERASE) {
            self.erase_character(out);
        } else if self.is(byte, VKILL) {
            self.kill(out);
        } else if extended && self.is(byte, VWERASE) {
            self.erase_word(out);
        } else if extended && self.is(byte, VLNEXT) {
            self.literal = true;
            if self.local(ECHO) && self.local(ECHOCTL) {
                // The mark goes when the next character is echoed over it.
                self.put(b"^\x08", out);
            }
        } else if extended && self.local(ECHO) && self.is(byte, VREPRINT) {
            self.echo(byte, out);
            self.put(b"\n", out);
            let line: Vec<u8> = self.queue.range(self.finished..).copied().collect();
            for byte in line {
                self.echo(byte, out);
            }
        } else if byte == b'\n' {
            if !self.line_fits(1) {
                return Typed::Full;
            }
            if self.local(ECHO | ECHONL) {
                self.put(b"\n", out);
            }
            self.queue.push_back(byte);
            self.finish_line(false);
        } else if self.is(byte, VEOF) {
            if !self.line_fits(1) {
                return Typed::Full;
            }
            self.finish_line(true);
        } else if self.is(byte, VEOL) || extended && self.is(byte, VEOL2) {
            if !self.line_fits(1) {
                return Typed::Full;
            }
            if self.local(ECHO) {
                self.begin_echo();
                self.echo(byte, out);
            }
            self.queue.push_back(byte);
            self.finish_line(false);
        } else {
            return self.ordinary(byte, out);
        }
        Typed::Taken
    }

    fn line_fits(&self, more: usize) -> bool {
        self.used() + more <= INPUT_BYTES
    }

    fn finish_line(&mut self, eof: bool) {
        let len = self.editing();
        self.finished += len;
        self.ends += usize::from(eof);
        self.lines.push_back(Line { len, eof });
    }

    /// A byte that is input as it is.
    fn ordinary(&mut self, byte: u8, out: &mut Vec<u8>) -> Typed {
        let canonical = self.local(ICANON);
        // A line that is being edited keeps a place for its end.
        let keep = usize::from(canonical);
        if !self.line_fits(1 + keep) {
            if canonical && self.lines.is_empty() {
                // Nobody can read to make room for more of a line without end.
                out.push(0x07);
                return Typed::Taken;
            }
            return Typed::Full;
        }
        if self.local(ECHO) {
            if byte == b'\n' && !canonical {
                self.put(b"\n", out);
            } else {
                self.begin_echo();
                self.echo(byte, out);
            }
        }
        self.queue.push_back(byte);
        Typed::Taken
    }

    fn begin_echo(&mut self) {
        if self.editing() == 0 {
            self.column.line = self.column.now;
        }
    }

    /// Whether `byte` is shown as `^X`.
    fn shown_as_control(&self, byte: u8) -> bool {
        self.local(ECHOCTL) && byte.is_ascii_control() && byte != b'\t'
    }

    fn echo(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.shown_as_control(byte) {
            self.put(&[b'^', byte ^ 0x40], out);
        } else {
            self.put(&[byte], out);
        }
    }

    fn put(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            self.column.put(&self.termios, *byte, out);
        }
    }

    /// Takes the last character of the line that is being edited off; its first byte.
    fn pop_character(&mut self) -> Option<u8> {
        let mut length = 1;
        loop {
            let at = self.editing().checked_sub(length)?;
            let byte = *self.queue.get(self.finished + at)?;
            if !continues(&self.termios, byte) || at == 0 {
                self.queue.truncate(self.finished + at);
                return Some(byte);
            }
            length += 1;
        }
    }

    fn last_character(&self) -> Option<u8> {
        self.queue.range(self.finished..).rev().copied().find(|b| !continues(&self.termios, *b))
    }

    fn erase_character(&mut self, out: &mut Vec<u8>) {
        let Some(byte) = self.pop_character() else { return };
        if self.local(ECHO) {
            if self.local(ECHOE) {
                self.rub_out(byte, out);
            } else {
                self.echo(self.termios.cc[VERASE], out);
            }
        }
    }

    fn erase_word(&mut self, out: &mut Vec<u8>) {
        let of_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80;
        let mut in_word = false;
        while let Some(byte) = self.last_character() {
            if in_word && !of_word(byte) {
                break;
            }
            in_word |= of_word(byte);
            self.pop_character();
            if self.local(ECHO) {
                self.rub_out(byte, out);
            }
        }
    }

    fn kill(&mut self, out: &mut Vec<u8>) {
        if self.editing() == 0 {
            return;
        }
        if self.local(ECHO) && self.local(ECHOK) && self.local(ECHOKE) && self.local(ECHOE) {
            while let Some(byte) = self.pop_character() {
                self.rub_out(byte, out);
            }
            return;
        }
        self.queue.truncate(self.finished);
        if self.local(ECHO) {
            self.echo(self.termios.cc[VKILL], out);
            if self.local(ECHOK) {
                self.put(b"\n", out);
            }
        }
    }

    /// Makes an erased character vanish from the screen.
    fn rub_out(&mut self, byte: u8, out: &mut Vec<u8>) {
        if byte == b'\t' {
            for _ in 0..self.width_of_tab() {
                self.put(b"\x08", out);
            }
        } else if self.shown_as_control(byte) {
            self.put(b"\x08 \x08\x08 \x08", out);
        } else if !byte.is_ascii_control() {
            self.put(b"\x08 \x08", out);
        }
    }

    /// Columns that a tab at the end of the line took: back to the column where what is left of the line ends.
    fn width_of_tab(&self) -> usize {
        let mut column = self.column.line;
        for byte in self.queue.range(self.finished..) {
            if *byte == b'\t' {
                column += 8 - column % 8;
            } else if self.shown_as_control(*byte) {
                column += 2;
            } else if !byte.is_ascii_control() && !continues(&self.termios, *byte) {
                column += 1;
            }
        }
        8 - column % 8
    }

    // --- reading

    /// VMIN and VTIME (tenths of a second) of a terminal that is not in canonical mode.
    pub(super) fn timing(&self) -> Option<(usize, u8)> {
        (!self.local(ICANON)).then_some((usize::from(self.termios.cc[VMIN]), self.termios.cc[VTIME]))
    }

    /// Bytes that a read can take at once; `None`: it would wait. An end of file is 0 bytes.
    pub(super) fn readable(&self) -> Option<usize> {
        if self.local(ICANON) {
            self.lines.front().map(|line| line.len)
        } else {
            (!self.queue.is_empty()).then_some(self.queue.len())
        }
    }

    /// Bytes for poll(2): the first line, or what satisfies VMIN where no timer does; `None`: not ready.
    pub(super) fn ready(&self) -> Option<usize> {
        let least = match self.timing() {
            Some((min, 0)) => min.max(1),
            _ => 0,
        };
        self.readable().filter(|n| *n >= least)
    }

    /// Takes what is there: at most one line in canonical mode. `None`: it would wait.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Option<usize> {
        let there = self.readable()?;
        let n = there.min(buf.len());
        for (slot, byte) in buf.iter_mut().zip(self.queue.drain(..n)) {
            *slot = byte;
        }
        if let Some(line) = self.lines.front_mut() {
            line.len -= n;
            self.finished -= n;
            if line.len == 0 {
                self.ends -= usize::from(line.eof);
                self.lines.pop_front();
            }
        }
        Some(n)
    }
}
