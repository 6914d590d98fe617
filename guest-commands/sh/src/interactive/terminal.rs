//! Edits lines on the terminal: raw mode around each line, bytes in, updates of the screen out. What keys do is in `editor`.

use super::complete::{self, Completion};
use super::editor::{Editor, Outcome, Past};
use super::keys::{Decoder, Key};
use super::repl::Line;
use super::screen::Screen;
use crate::shell::Shell;
use crate::symbols::sym;
use agentos_guest::tty::{self, Termios, When, cc, iflag, lflag};
use agentos_guest::{Errno, Signal, errno_of, fd, signal};
use std::time::{Duration, Instant};

const INPUT: u32 = 0;
const OUTPUT: u32 = 2;
/// How long the rest of an escape sequence may take, milliseconds.
const ESCAPE_MS: i32 = 100;
/// More candidates than this are only listed after a question.
const ASK_FROM: usize = 100;

/// A terminal on which lines are edited.
pub(super) struct Terminal {
    editor: Editor,
    decoder: Decoder,
    /// Signals that arrived while a line was read.
    caught: Vec<Signal>,
    /// How the terminal was before a program that did not end well may have changed it.
    good: Option<Termios>,
}

/// What arrived.
enum Input {
    Key(Key),
    /// The window has another size.
    Resized,
    TimedOut,
    End,
}

/// Restores the terminal however the reading of a line ends.
struct Raw(Termios);

impl Raw {
    fn enter() -> Option<Self> {
        let former = tty::tcgetattr(INPUT).ok()?;
        let mut raw = former;
        raw.iflag &= !(iflag::ICRNL | iflag::INLCR | iflag::IGNCR | iflag::IXON | iflag::ISTRIP);
        // The interrupt key stays a signal: typed ahead, it would be no key for the program that the line starts.
        raw.lflag &= !(lflag::ICANON | lflag::ECHO | lflag::IEXTEN);
        raw.cc[cc::VQUIT] = 0;
        raw.cc[cc::VSUSP] = 0;
        raw.cc[cc::VMIN] = 1;
        raw.cc[cc::VTIME] = 0;
        tty::tcsetattr(INPUT, When::Drain, &raw).ok()?;
        Some(Raw(former))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tty::tcsetattr(INPUT, When::Drain, &self.0);
    }
}

/// The size of the window: columns and rows.
fn size() -> (usize, usize) {
    match tty::tcgetwinsize(OUTPUT) {
        Ok(size) if size.cols > 0 && size.rows > 0 => (size.cols.into(), size.rows.into()),
        _ => (80, 24),
    }
}

/// Sets `LINES` and `COLUMNS` as `checkwinsize` wants.
pub(super) fn update_size(sh: &mut Shell) {
    if !sh.shopts.checkwinsize || !fd::isatty(OUTPUT) {
        return;
    }
    if let Ok(size) = tty::tcgetwinsize(OUTPUT)
        && size.cols > 0
        && size.rows > 0
    {
        for (name, value) in [("LINES", size.rows), ("COLUMNS", size.cols)] {
            // A constant of that name keeps its value.
            let _ = sh.vars.flags(sym(name)) & crate::vars::READONLY == 0
                && sh.set(sym(name), value.to_string()).is_ok();
        }
    }
}

impl Terminal {
    /// The terminal of standard input, if lines can be edited on it.
    pub(super) fn open(sh: &mut Shell) -> Option<Self> {
        if !(sh.session.edits && fd::isatty(INPUT) && fd::isatty(OUTPUT)) {
            return None;
        }
        let _ = signal::catch(Signal::SIGWINCH);
        update_size(sh);
        Some(Terminal {
            editor: Editor::default(),
            decoder: Decoder::default(),
            caught: Vec::new(),
            good: None,
        })
    }

    /// Reads a line.
    pub(super) fn read_line(&mut self, sh: &mut Shell, prompt: &str) -> Line {
        // A program that was killed or stopped could not put things right.
        if let (Some(good), 129..) = (&self.good, sh.status) {
            let _ = tty::tcsetattr(INPUT, When::Drain, good);
        }
        let Some(raw) = Raw::enter() else { return Line::End };
        self.good = Some(raw.0);
        let line = self.edit(sh, prompt);
        drop(raw);
        for caught in self.caught.drain(..) {
            // Without a trap, an interrupt has done what it does: the line is given up.
            if caught != Signal::SIGINT || !sh.interrupts(Signal::SIGINT) {
                sh.traps.note(caught);
            }
        }
        line
    }

    fn edit(&mut self, sh: &mut Shell, prompt: &str) -> Line {
        let dumb = sh.vars.get(sym("TERM")).is_none_or(|term| term.is_empty() || term == "dumb");
        let (columns, rows) = size();
        let mut screen = Screen::new(columns, rows, dumb);
        let deadline = sh.vars.get(sym("TMOUT")).and_then(|text| text.trim().parse::<u64>().ok());
        let deadline = deadline.filter(|s| *s > 0).map(|s| Instant::now() + Duration::from_secs(s));
        let vi = sh.opts.vi;
        self.editor.begin(&Lines(sh), vi);
        if !dumb {
            show("\x1b[?2004h");
        } else if let Some((head, _)) = prompt.rsplit_once('\n') {
            show(&format!("{head}\r\n"));
        }
        let end =
            |screen: &mut Screen| show(&(if dumb { "" } else { "\x1b[?2004l" }.to_owned() + &screen.leave()));
        let mut quote = false;
        loop {
            self.draw(&mut screen, prompt);
            let key = match self.input(deadline, quote) {
                Input::Key(key) => key,
                Input::Resized => {
                    let (columns, rows) = size();
                    let text = &self.editor.buffer;
                    show(&screen.resize(columns, rows, prompt, &text.text, text.point));
                    update_size(sh);
                    continue;
                }
                Input::TimedOut => {
                    end(&mut screen);
                    return Line::TimedOut;
                }
                Input::End => {
                    end(&mut screen);
                    return Line::End;
                }
            };
            if std::mem::take(&mut quote) {
                match key {
                    Key::Char(c) => self.editor.typed(c),
                    _ => show("\x07"),
                }
                continue;
            }
            let outcome = self.editor.key(key, &Lines(sh));
            match outcome {
                Outcome::Edited => {}
                Outcome::Bell => show("\x07"),
                Outcome::Quote => quote = true,
                Outcome::Accept => {
                    self.editor.search = None;
                    self.draw(&mut screen, prompt);
                    end(&mut screen);
                    return Line::Text(self.editor.buffer.string() + "\n");
                }
                Outcome::Interrupt => {
                    self.draw(&mut screen, prompt);
                    show("^C");
                    end(&mut screen);
                    return Line::Interrupted;
                }
                Outcome::End => {
                    end(&mut screen);
                    return Line::End;
                }
                Outcome::Clear => {
                    screen.restart();
                    show(if dumb { "\r\n" } else { "\x1b[H\x1b[2J" });
                }
                Outcome::Complete { again } => self.complete(sh, &mut screen, again, false),
                Outcome::List => self.complete(sh, &mut screen, true, true),
            }
        }
    }

    fn draw(&self, screen: &mut Screen, prompt: &str) {
        let message = self.editor.message();
        let own;
        let prompt = match &message {
            Some(message) => {
                let head = prompt.rfind('\n').map_or("", |at| &prompt[..=at]);
                own = format!("{head}{message}");
                &own
            }
            None => prompt,
        };
        show(&screen.draw(prompt, &self.editor.buffer.text, self.editor.buffer.point));
    }

    /// The next key, once it is there; with `quote` a control character is a character.
    fn input(&mut self, deadline: Option<Instant>, quote: bool) -> Input {
        loop {
            if quote && let Some(byte) = self.decoder.control() {
                return Input::Key(Key::Char(char::from(byte)));
            }
            if let Some(key) = self.decoder.next(false) {
                return Input::Key(key);
            }
            if self.decoder.waits() && self.editor.escape_is_key() {
                match fd::wait_readable(INPUT, ESCAPE_MS) {
                    Ok(false) => {
                        if let Some(key) = self.decoder.next(true) {
                            return Input::Key(key);
                        }
                    }
                    Ok(true) => {}
                    Err(_) => continue,
                }
            }
            if let Some(deadline) = deadline {
                let left = deadline.saturating_duration_since(Instant::now()).as_millis();
                match fd::wait_readable(INPUT, i32::try_from(left).unwrap_or(i32::MAX)) {
                    Ok(false) => return Input::TimedOut,
                    Ok(true) => {}
                    Err(error) => match self.interrupted(&error) {
                        Some(input) => return input,
                        None => continue,
                    },
                }
            }
            // One byte at a time, unless text is pasted: what follows a line is for the program that it starts.
            let mut bytes = [0; 4096];
            let want = if self.decoder.pastes() { bytes.len() } else { 1 };
            match fd::read(INPUT, &mut bytes[..want]) {
                Ok(0) => return Input::End,
                Ok(n) => self.decoder.feed(&bytes[..n]),
                Err(error) => {
                    if let Some(input) = self.interrupted(&error) {
                        return input;
                    }
                }
            }
        }
    }

    /// What a reading that failed means; `None`: it goes on.
    fn interrupted(&mut self, error: &std::io::Error) -> Option<Input> {
        if errno_of(error) != Some(Errno::EINTR) {
            return Some(Input::End);
        }
        let mut found = None;
        while let Some(caught) = signal::next() {
            match caught {
                Signal::SIGWINCH => found = found.or(Some(Input::Resized)),
                Signal::SIGHUP => found = Some(Input::End),
                Signal::SIGINT => found = found.or(Some(Input::Key(Key::Ctrl('c')))),
                _ => {}
            }
            // Traps run when the line is finished.
            self.caught.push(caught);
        }
        found
    }

    fn complete(&mut self, sh: &mut Shell, screen: &mut Screen, list: bool, only_list: bool) {
        let buffer = &mut self.editor.buffer;
        let line: String = buffer.text[..buffer.point].iter().collect();
        let Completion { start, common, shown, ends } = complete::complete(sh, &line);
        let from = line[..start].chars().count();
        let word: String = buffer.text[from..buffer.point].iter().collect();
        if shown.is_empty() {
            show("\x07");
            return;
        }
        if !only_list {
            let full = common.clone() + &ends;
            if full != word
                && (shown.len() == 1 || common.len() >= word.len())
                && (common != word || shown.len() == 1)
            {
                let text: Vec<char> = full.chars().collect();
                buffer.replace(from, buffer.point, &text);
                self.editor.completed();
                if shown.len() == 1 {
                    return;
                }
                if !list {
                    show("\x07");
                    return;
                }
            } else if shown.len() == 1 {
                return;
            }
        }
        if !list {
            show("\x07");
            return;
        }
        show(&screen.leave());
        if shown.len() > ASK_FROM {
            show(&format!("Display all {} possibilities? (y or n)", shown.len()));
            loop {
                match self.input(None, false) {
                    Input::Key(Key::Char('y' | 'Y' | ' ')) => break,
                    Input::Key(Key::Char('n' | 'N') | Key::Backspace | Key::Ctrl('g' | 'c')) | Input::End => {
                        show("\r\n");
                        return;
                    }
                    _ => {}
                }
            }
            show("\r\n");
        }
        self.list(&complete::columns(&shown, screen.columns()), screen.height());
    }

    /// Shows lines, and stops when the window is full.
    fn list(&mut self, text: &str, height: usize) {
        let page = height.saturating_sub(1).max(1);
        let mut room = page;
        for line in text.lines() {
            if room == 0 {
                show("--More--");
                room = loop {
                    match self.input(None, false) {
                        Input::Key(Key::Char(' ' | 'y' | 'Y')) => break page,
                        Input::Key(Key::Ctrl('m' | 'j')) => break 1,
                        Input::Key(
                            Key::Char('q' | 'Q' | 'n' | 'N') | Key::Backspace | Key::Ctrl('g' | 'c'),
                        )
                        | Input::End => {
                            show("\r\x1b[K");
                            return;
                        }
                        _ => {}
                    }
                };
                show("\r\x1b[K");
            }
            room -= 1;
            show(&format!("{line}\r\n"));
        }
    }
}

fn show(text: &str) {
    if !text.is_empty() {
        let _ = fd::write_all(OUTPUT, &crate::text::to_bytes(text));
    }
}

/// The history as the editor sees it.
struct Lines<'a>(&'a Shell);

impl Past for Lines<'_> {
    fn count(&self) -> usize {
        self.0.history.len()
    }
    fn line(&self, index: usize) -> Option<&str> {
        self.0.history.get(index).map(|entry| entry.line.as_str())
    }
}
