//! Edits lines on the terminal: raw mode around each line, bytes in, updates of the screen out. What keys do is in `editor`.

use super::bindings::{Keymap, Table};
use super::editor::{Editor, Outcome, Past};
use super::keys::{Decoder, Key, Next};
use super::repl::Line;
use super::screen::Screen;
use crate::shell::Shell;
use crate::symbols::sym;
use agentos_guest::tty::{self, Termios, When, cc, iflag, lflag};
use agentos_guest::{Errno, Signal, errno_of, fd, signal};
use std::time::{Duration, Instant};

const OUTPUT: u32 = 2;

/// A terminal on which lines are edited.
pub(crate) struct Terminal {
    pub(super) editor: Editor,
    pub(super) decoder: Decoder,
    table: Table,
    input: u32,
    pub(super) wishes: Wishes,
    /// Signals that arrived while a line was read.
    caught: Vec<Signal>,
    /// How the terminal was before a program that did not end well may have changed it.
    good: Option<Termios>,
    /// The candidates that are put into the line one after the other.
    pub(super) menu: Option<Menu>,
    pub(super) bell: Bell,
}

/// What whoever wants a line may want of it.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// The text that it begins with.
    pub(crate) text: String,
    /// How many characters finish it.
    pub(crate) count: Option<usize>,
    /// The character that finishes it instead of the return key.
    pub(crate) delimiter: Option<u8>,
    /// When there is no more waiting for it.
    pub(crate) deadline: Option<Instant>,
    /// Nothing but the count finishes it.
    pub(crate) exact: bool,
    /// It is not the shell that reads a command: only names of files are completed.
    pub(crate) plain: bool,
    /// What is typed is not shown.
    pub(crate) hidden: bool,
}

/// What a word can be replaced with.
pub(super) struct Menu {
    pub(super) from: usize,
    pub(super) len: usize,
    pub(super) choices: Vec<String>,
    pub(super) at: usize,
}

/// How what cannot be done is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bell {
    None,
    Audible,
    Visible,
}

/// What arrived.
enum Input {
    Key(Key),
    /// The window has another size.
    Resized,
    /// A signal that gives the line up.
    Interrupt,
    TimedOut,
    End,
}

/// Restores the terminal however the reading of a line ends.
pub(super) struct Raw(u32, Termios);

impl Raw {
    fn enter(input: u32) -> Option<Self> {
        let former = tty::tcgetattr(input).ok()?;
        let mut raw = former;
        raw.iflag &= !(iflag::ICRNL | iflag::INLCR | iflag::IGNCR | iflag::IXON | iflag::ISTRIP);
        // The interrupt key stays a signal: typed ahead, it would be no key for the program that the line starts.
        raw.lflag &= !(lflag::ICANON | lflag::ECHO | lflag::IEXTEN);
        raw.cc[cc::VQUIT] = 0;
        raw.cc[cc::VSUSP] = 0;
        raw.cc[cc::VMIN] = 1;
        raw.cc[cc::VTIME] = 0;
        tty::tcsetattr(input, When::Drain, &raw).ok()?;
        Some(Raw(input, former))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tty::tcsetattr(self.0, When::Drain, &self.1);
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
        if !(sh.session.edits && fd::isatty(0) && fd::isatty(OUTPUT)) {
            return None;
        }
        let _ = signal::catch(Signal::SIGWINCH);
        update_size(sh);
        sh.begin_editing();
        Some(Terminal::on(0))
    }

    /// A terminal for lines that a program of the shell reads.
    pub(crate) fn on(input: u32) -> Self {
        Terminal {
            editor: Editor::default(),
            decoder: Decoder::default(),
            table: Table::default(),
            input,
            wishes: Wishes::default(),
            caught: Vec::new(),
            good: None,
            menu: None,
            bell: Bell::Audible,
        }
    }

    /// Reads one line as it is wished for.
    pub(crate) fn read_wished(&mut self, sh: &mut Shell, prompt: &str, wishes: Wishes) -> Line {
        self.wishes = wishes;
        self.read_line(sh, prompt)
    }

    /// Reads a line.
    fn read_line(&mut self, sh: &mut Shell, prompt: &str) -> Line {
        // A program that was killed or stopped could not put things right.
        if let (Some(good), 129..) = (&self.good, sh.status) {
            let _ = tty::tcsetattr(self.input, When::Drain, good);
        }
        let Some(raw) = Raw::enter(self.input) else { return Line::End };
        self.good = Some(raw.1);
        let mut raw = Some(raw);
        let line = self.edit(sh, prompt, &mut raw);
        drop(raw);
        for caught in self.caught.drain(..) {
            // Without a trap, an interrupt has done what it does: the line is given up.
            if caught != Signal::SIGINT || !sh.interrupts(Signal::SIGINT) {
                sh.traps.note(caught);
            }
        }
        line
    }

    /// Makes the terminal ready for editing, until what is returned goes.
    pub(super) fn enter(&self) -> Option<Raw> {
        Raw::enter(self.input)
    }

    fn screen(sh: &Shell) -> (Screen, bool) {
        let dumb = sh.vars.get(sym("TERM")).is_none_or(|term| term.is_empty() || term == "dumb");
        let (columns, rows) = size();
        (Screen::new(columns, rows, dumb || sh.bindings.on("horizontal-scroll-mode")), dumb)
    }

    fn edit(&mut self, sh: &mut Shell, prompt: &str, raw: &mut Option<Raw>) -> Line {
        let (mut screen, dumb) = Self::screen(sh);
        let row = dumb || sh.bindings.on("horizontal-scroll-mode");
        let deadline = match self.wishes.plain {
            true => self.wishes.deadline,
            false => {
                let limit = sh.vars.get(sym("TMOUT")).and_then(|text| text.trim().parse::<u64>().ok());
                limit.filter(|s| *s > 0).map(|s| Instant::now() + Duration::from_secs(s))
            }
        };
        let vi = sh.opts.vi;
        self.editor.begin(&Lines(sh), vi);
        self.menu = None;
        let given = std::mem::take(&mut self.wishes.text);
        if !given.is_empty() {
            self.editor.buffer.reset(given.chars().collect());
        }
        let paste = !dumb && sh.bindings.on("enable-bracketed-paste");
        if paste {
            show("\x1b[?2004h");
        }
        if row && let Some((head, _)) = prompt.rsplit_once('\n') {
            show(&format!("{head}\r\n"));
        }
        let end = |screen: &mut Screen| {
            show(&(if paste { "\x1b[?2004l" } else { "" }.to_owned() + &screen.leave()));
        };
        let mut quote = false;
        loop {
            self.settings(sh, &screen);
            self.draw(sh, &mut screen, prompt);
            let counted = self.wishes.count.is_some_and(|most| self.editor.buffer.text.len() >= most);
            let key = match if counted { Input::End } else { self.input(sh, deadline, quote) } {
                Input::Key(key) => key,
                Input::Resized => {
                    let (columns, rows) = size();
                    let text = &self.editor.buffer;
                    show(&screen.resize(columns, rows, prompt, &text.text, text.point));
                    update_size(sh);
                    if sh.traps.signals.get(&Signal::SIGWINCH).is_some_and(|action| !action.is_empty()) {
                        show(&screen.erase());
                        sh.traps.note(Signal::SIGWINCH);
                        if sh.poll_traps().is_err() {
                            end(&mut screen);
                            return Line::Interrupted;
                        }
                    }
                    continue;
                }
                Input::Interrupt => {
                    self.editor.search = None;
                    self.draw(sh, &mut screen, prompt);
                    show(if sh.bindings.on("echo-control-characters") { "^C" } else { "" });
                    end(&mut screen);
                    return Line::Interrupted;
                }
                Input::TimedOut if self.wishes.plain => {
                    show(if paste { "\x1b[?2004l\r" } else { "\r" });
                    return Line::TimedOut;
                }
                Input::TimedOut => {
                    end(&mut screen);
                    return Line::TimedOut;
                }
                Input::End if counted => {
                    end(&mut screen);
                    return Line::Text(self.editor.buffer.string());
                }
                Input::End => {
                    end(&mut screen);
                    return Line::End;
                }
            };
            if std::mem::take(&mut quote) {
                match key.char() {
                    Some(c) => self.editor.typed(c),
                    None => self.ring(),
                }
                continue;
            }
            if let Key::Command(command) = key {
                show(&screen.erase());
                drop(raw.take());
                if self.run_command(sh, &command).is_err() {
                    return Line::Interrupted;
                }
                *raw = Raw::enter(self.input);
                continue;
            }
            let outcome = self.editor.key(key, &Lines(sh));
            if !matches!(outcome, Outcome::Menu { .. }) {
                self.menu = None;
            }
            match outcome {
                Outcome::Edited | Outcome::Done => {}
                Outcome::Bell => self.ring(),
                Outcome::Quote => quote = true,
                Outcome::Accept => return self.accept(sh, &mut screen, prompt, &end),
                Outcome::End => {
                    end(&mut screen);
                    return Line::End;
                }
                Outcome::Clear => {
                    screen.restart();
                    show(if dumb { "\r\n" } else { "\x1b[H\x1b[2J" });
                }
                Outcome::Redraw => show(&screen.erase()),
                Outcome::Complete { .. } if sh.bindings.on("disable-completion") => self.editor.typed('\t'),
                Outcome::Complete { again } => self.complete(sh, &mut screen, again),
                Outcome::Menu { again, back } => self.complete_in_turn(sh, again, back),
                Outcome::List => self.list_candidates(sh, &mut screen),
                Outcome::Shell(name) => match self.shell_function(sh, &mut screen, raw, name) {
                    Outcome::Accept => return self.accept(sh, &mut screen, prompt, &end),
                    Outcome::Bell => self.ring(),
                    _ => {}
                },
            }
        }
    }

    /// The line is finished.
    fn accept(
        &mut self,
        sh: &mut Shell,
        screen: &mut Screen,
        prompt: &str,
        end: &dyn Fn(&mut Screen),
    ) -> Line {
        self.editor.search = None;
        self.draw(sh, screen, prompt);
        end(screen);
        if !sh.bindings.on("revert-all-at-newline") {
            for (index, text) in self.editor.changed_lines(&Lines(sh)) {
                if let Some(entry) = sh.history.get_mut(index) {
                    (entry.line, entry.edited) = (text, true);
                }
            }
        }
        Line::Text(self.editor.buffer.string() + "\n")
    }

    /// Makes the settings of the line editor act.
    fn settings(&mut self, sh: &Shell, screen: &Screen) {
        self.bell = match sh.bindings.variable("bell-style") {
            "none" => Bell::None,
            "visible" => Bell::Visible,
            _ => Bell::Audible,
        };
        self.editor.preserves = sh.bindings.on("history-preserve-point");
        self.editor.columns = screen.columns();
    }

    pub(super) fn ring(&self) {
        match self.bell {
            Bell::None => {}
            Bell::Audible => show("\x07"),
            Bell::Visible => show("\x1b[?5h\x1b[?5l"),
        }
    }

    fn draw(&self, sh: &Shell, screen: &mut Screen, prompt: &str) {
        let mode = match (sh.bindings.on("show-mode-in-prompt"), self.editor.keymap()) {
            (false, _) => None,
            (true, Keymap::ViInsert) => Some("vi-ins-mode-string"),
            (true, Keymap::ViCommand) => Some("vi-cmd-mode-string"),
            (true, _) => Some("emacs-mode-string"),
        };
        let marked = sh.bindings.on("mark-modified-lines") && self.editor.is_modified(&Lines(sh));
        let message = self.editor.message();
        let own;
        let prompt = if message.is_some() || mode.is_some() || marked {
            let (head, last) = prompt.split_at(prompt.rfind('\n').map_or(0, |at| at + 1));
            let mode = mode.map(|name| sh.bindings.variable(name)).unwrap_or_default();
            let mark = if marked { "*" } else { "" };
            own = format!("{head}{mark}{mode}{}", message.as_deref().unwrap_or(last));
            &own
        } else {
            prompt
        };
        let buffer = &self.editor.buffer;
        let (text, point) = if self.wishes.hidden { (&[][..], 0) } else { (&buffer.text[..], buffer.point) };
        show(&screen.draw(prompt, text, point));
    }

    /// Brings the table of keys up to date.
    fn look_up_keys(&mut self, sh: &Shell) {
        if sh.bindings.fill(&mut self.table, self.editor.keymap()) {
            if self.wishes.exact || self.wishes.delimiter.is_some() {
                self.table.bind(vec![b'\r'], "self-insert");
            }
            if let Some(delimiter) = self.wishes.delimiter {
                self.table.bind(vec![delimiter], "accept-line");
            }
        }
    }

    /// The next key, once it is there; with `quote` it is a character whatever it is bound to.
    fn input(&mut self, sh: &Shell, deadline: Option<Instant>, quote: bool) -> Input {
        self.look_up_keys(sh);
        let patience = i32::try_from(sh.bindings.number("keyseq-timeout")).unwrap_or(0);
        loop {
            if quote {
                if let Some(c) = self.decoder.character() {
                    return Input::Key(Key::Unbound(c));
                }
            } else {
                match self.decoder.next(&self.table, false) {
                    Next::Key(key) => return Input::Key(key),
                    Next::More { timed } if (timed || self.editor.escape_is_key()) && patience > 0 => {
                        match self.decoder.waits().then(|| fd::wait_readable(self.input, patience)) {
                            Some(Ok(false)) => {
                                if let Next::Key(key) = self.decoder.next(&self.table, true) {
                                    return Input::Key(key);
                                }
                            }
                            Some(Err(_)) => continue,
                            Some(Ok(true)) | None => {}
                        }
                    }
                    Next::More { .. } => {}
                }
            }
            if let Some(input) = self.more(deadline) {
                return input;
            }
        }
    }

    /// A character that answers a question.
    pub(super) fn answer(&mut self) -> Option<char> {
        loop {
            if let Some(c) = self.decoder.character() {
                return Some(c);
            }
            if let Some(Input::End | Input::Interrupt | Input::TimedOut) = self.more(None) {
                return None;
            }
        }
    }

    /// Waits for bytes; what else came is returned.
    fn more(&mut self, deadline: Option<Instant>) -> Option<Input> {
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now()).as_millis();
            match fd::wait_readable(self.input, i32::try_from(left).unwrap_or(i32::MAX)) {
                Ok(false) => return Some(Input::TimedOut),
                Ok(true) => {}
                Err(error) => return self.interrupted(&error),
            }
        }
        // One byte at a time, unless text is pasted: what follows a line is for the program that it starts.
        let mut bytes = [0; 4096];
        let want = if self.decoder.pastes() { bytes.len() } else { 1 };
        match fd::read(self.input, &mut bytes[..want]) {
            Ok(0) => Some(Input::End),
            Ok(n) => {
                self.decoder.feed(&bytes[..n]);
                None
            }
            Err(error) => self.interrupted(&error),
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
                // Its trap runs as soon as the line is drawn for the new size.
                Signal::SIGWINCH => {
                    found = found.or(Some(Input::Resized));
                    continue;
                }
                Signal::SIGHUP => found = Some(Input::End),
                Signal::SIGINT => found = found.or(Some(Input::Interrupt)),
                _ => {}
            }
            // Other traps run when the line is finished, as in bash.
            self.caught.push(caught);
        }
        found
    }
}

/// Writes to the terminal.
pub(super) fn show(text: &str) {
    if !text.is_empty() {
        let _ = fd::write_all(OUTPUT, &crate::text::to_bytes(text));
    }
}

/// The history as the editor sees it.
pub(super) struct Lines<'a>(pub(super) &'a Shell);

impl Past for Lines<'_> {
    fn count(&self) -> usize {
        self.0.history.len()
    }
    fn line(&self, index: usize) -> Option<&str> {
        self.0.history.get(index).map(|entry| entry.line.as_str())
    }
}
