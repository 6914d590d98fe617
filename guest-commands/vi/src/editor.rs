//! The state of the editor, where its keys come from, and its main loop. What keys and commands do is in `normal`, `insert`, `visual`
//! and `ex`; how it looks is in `screen`.

use crate::buffer::{Buffer, Place, place};
use crate::chars;
use crate::ex::Substituted;
use crate::host::{Event, Host};
use crate::key::{self, Key};
use crate::options::Options;
use crate::register::{Registers, Text};
use std::collections::VecDeque;

/// How many keys may wait, and how deep registers may run one another.
const MOST_KEYS: usize = 4 << 20;
const DEEPEST: usize = 200;

/// Why a command ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It cannot be done; a bell says so.
    Bell,
    /// It cannot be done, and this is why.
    Say(String),
    /// There are no more keys, or the editor ends.
    End,
}

/// What a command gives.
pub(crate) type Res<T> = Result<T, Stop>;

/// An error with a message.
pub(crate) fn say<T>(text: impl Into<String>) -> Res<T> {
    Err(Stop::Say(text.into()))
}

/// What keys mean now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Normal,
    Insert,
    Replace,
    /// The other end of the selection, and whether it is whole lines.
    Visual {
        from: Place,
        lines: bool,
    },
}

/// How the last change is done again.
#[derive(Clone, Debug)]
pub(crate) struct Again {
    pub(crate) keys: Vec<Key>,
    pub(crate) count: Option<usize>,
    pub(crate) register: Option<char>,
    /// It was made on a selection: so many lines more, so many columns, whole lines.
    pub(crate) selection: Option<(usize, usize, bool)>,
}

/// Keys that come from a register or a command.
struct Feed {
    keys: VecDeque<Key>,
    /// What lies below is not for the commands of these keys.
    last: bool,
}

/// The part of the text that is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) top: usize,
    /// Rows of the top line that are above the screen.
    pub(crate) skip: usize,
    /// Columns left of the screen, without wrapping.
    pub(crate) left: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

/// The last search.
#[derive(Clone, Debug, Default)]
pub(crate) struct Search {
    pub(crate) pattern: Option<String>,
    pub(crate) backward: bool,
    pub(crate) offset: String,
}

/// The file of the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) name: Option<String>,
    pub(crate) alternate: Option<(String, usize)>,
    /// It was not there when it was read.
    pub(crate) new: bool,
    /// Its name was changed, so what is there was never read.
    pub(crate) other: bool,
    /// When and how large it was when it was read.
    pub(crate) stamp: Option<(i64, u32, u64)>,
}

/// An editor.
pub(crate) struct Editor {
    pub(crate) buf: Buffer,
    pub(crate) file: File,
    pub(crate) cursor: Place,
    /// The column that vertical motions aim at; the largest number is the end of each line.
    pub(crate) want: usize,
    pub(crate) view: View,
    pub(crate) mode: Mode,
    pub(crate) registers: Registers,
    pub(crate) options: Options,
    pub(crate) search: Search,
    pub(crate) highlight: bool,
    pub(crate) find: Option<(char, char)>,
    pub(crate) substituted: Option<Substituted>,
    pub(crate) inserted: Vec<u8>,
    pub(crate) last_command: Option<String>,
    pub(crate) last_shell: Option<String>,
    pub(crate) history: Vec<String>,
    pub(crate) searches: Vec<String>,
    pub(crate) selected: Option<(Place, Place, bool)>,
    pub(crate) again: Option<Again>,
    pub(crate) repeating: bool,
    /// The command that runs can be done again with `.`.
    pub(crate) changes: bool,
    pub(crate) recent: Vec<Key>,
    pub(crate) recording: Option<(char, Vec<Key>)>,
    pub(crate) last_register: Option<char>,
    /// A line as it was before the changes to it, and the column where they began.
    pub(crate) whole_line: Option<(usize, Vec<u8>, usize)>,
    pub(crate) jumps: Vec<Place>,
    pub(crate) jump_at: usize,
    pub(crate) arguments: Vec<String>,
    pub(crate) argument: usize,
    pub(crate) global: bool,
    pub(crate) nested: usize,
    /// Lines that commands print.
    pub(crate) output: Vec<String>,
    pub(crate) message: String,
    /// The command line that is typed: its first character, text, and the cursor in characters.
    pub(crate) prompt: Option<(String, String, usize)>,
    /// The keys of a command that is not complete, as they are shown.
    pub(crate) failed: bool,
    pub(crate) quit: Option<i32>,
    /// Commands come line by line, and their output is text.
    pub(crate) line_mode: bool,
    /// In that mode, only what is asked for is printed.
    pub(crate) silent: bool,
    /// Some things are as in old vi, as scripts have it that do not ask for `-N`.
    pub(crate) compatible: bool,
    pub(crate) scroll_by: Option<usize>,
    /// It was said that there are more files to edit.
    pub(crate) warned_of_more: bool,
    /// The selection goes up to the end of its lines, which is part of it.
    pub(crate) behind: bool,
    /// It is a block of columns.
    pub(crate) block: bool,
    /// All files are only looked at (`-R`).
    pub(crate) only_view: bool,
    feeds: Vec<Feed>,
    fed: usize,
    pub(crate) host: Option<Box<dyn Host>>,
}

impl Editor {
    /// An editor of an empty text.
    pub(crate) fn new(host: Box<dyn Host>) -> Editor {
        let (rows, cols) = host.size();
        Editor {
            buf: Buffer::of(b""),
            file: File::default(),
            cursor: Place::default(),
            want: 0,
            view: View { top: 0, skip: 0, left: 0, rows, cols },
            mode: Mode::Normal,
            registers: Registers::default(),
            options: Options::new(),
            search: Search::default(),
            highlight: true,
            find: None,
            substituted: None,
            inserted: Vec::new(),
            last_command: None,
            last_shell: None,
            history: Vec::new(),
            searches: Vec::new(),
            selected: None,
            again: None,
            repeating: false,
            changes: false,
            recent: Vec::new(),
            recording: None,
            last_register: None,
            whole_line: None,
            jumps: Vec::new(),
            jump_at: 0,
            arguments: Vec::new(),
            argument: 0,
            global: false,
            nested: 0,
            output: Vec::new(),
            message: String::new(),
            prompt: None,
            failed: false,
            quit: None,
            line_mode: false,
            silent: false,
            compatible: false,
            scroll_by: None,
            warned_of_more: false,
            behind: false,
            block: false,
            only_view: false,
            feeds: Vec::new(),
            fed: 0,
            host: Some(host),
        }
    }

    /// The line of the cursor.
    pub(crate) fn line(&self) -> &[u8] {
        self.buf.line(self.cursor.line)
    }

    pub(crate) fn tab(&self) -> usize {
        self.options.tab()
    }

    /// Where the cursor may stand: on a character, behind the last one only while text is typed.
    pub(crate) fn clamp(&mut self) {
        self.cursor.line = self.cursor.line.min(self.buf.last());
        let line = self.buf.line(self.cursor.line);
        let behind = matches!(self.mode, Mode::Insert | Mode::Replace);
        let most = if behind { line.len() } else { chars::last(line) };
        self.cursor.col = chars::floor(line, self.cursor.col.min(most));
    }

    /// A place as far as it is in the text.
    pub(crate) fn inside(&self, p: Place) -> Place {
        let line = p.line.min(self.buf.last());
        let bytes = self.buf.line(line);
        place(line, chars::floor(bytes, p.col.min(chars::last(bytes))))
    }

    /// Vertical motions aim at this column from now on.
    pub(crate) fn aim(&mut self) {
        self.want = chars::column(self.line(), self.cursor.col, self.tab());
    }

    /// Goes to a place.
    pub(crate) fn go(&mut self, to: Place) {
        self.cursor = to;
        self.clamp();
        self.aim();
    }

    /// Goes to a line, to its first character that is no blank.
    pub(crate) fn go_line(&mut self, line: usize) {
        let line = line.min(self.buf.last());
        self.go(place(line, crate::motion::first(&self.buf, line)));
    }

    /// Remembers where the cursor was before it went far.
    pub(crate) fn jumped(&mut self, from: Place) {
        self.buf.mark('\'', from);
        self.jumps.truncate(self.jump_at);
        self.jumps.retain(|p| p.line != from.line);
        self.jumps.push(from);
        if self.jumps.len() > 100 {
            self.jumps.remove(0);
        }
        self.jump_at = self.jumps.len();
    }

    /// Says something in the last row.
    pub(crate) fn tell(&mut self, text: impl Into<String>) {
        self.message = text.into();
        if self.line_mode && !self.silent {
            let text = std::mem::take(&mut self.message);
            self.print(text);
        }
    }

    /// Prints a line.
    pub(crate) fn print(&mut self, text: impl Into<String>) {
        let text = text.into();
        if self.line_mode {
            if let Some(host) = &mut self.host {
                host.print(&text);
            }
        } else if self.output.len() < 100_000 {
            self.output.push(text);
        }
    }

    /// Says why something failed.
    pub(crate) fn complain(&mut self, stop: Stop) {
        self.failed |= matches!(stop, Stop::Say(_));
        match stop {
            Stop::Bell => {
                if let Some(host) = &mut self.host {
                    host.bell();
                }
            }
            Stop::Say(text) => self.tell(text),
            Stop::End => {}
        }
    }

    /// The next key: from a register that runs, or typed.
    pub(crate) fn key(&mut self) -> Res<Key> {
        while let Some(feed) = self.feeds.last_mut() {
            if let Some(key) = feed.keys.pop_front() {
                self.fed += 1;
                if self.fed.is_multiple_of(256) && self.interrupted() {
                    return self.stop_feeds();
                }
                return Ok(self.took(key));
            }
            if feed.last {
                return Err(Stop::End);
            }
            self.feeds.pop();
        }
        let key = self.typed()?;
        if let Some((_, keys)) = &mut self.recording {
            keys.push(key);
            if keys.len() > MOST_KEYS {
                self.recording = None;
            }
        }
        Ok(self.took(key))
    }

    fn stop_feeds<T>(&mut self) -> Res<T> {
        self.feeds.iter_mut().for_each(|f| f.keys.clear());
        say("Interrupted")
    }

    fn took(&mut self, key: Key) -> Key {
        if self.recent.len() < MOST_KEYS {
            self.recent.push(key);
        }
        key
    }

    /// A key that somebody types; the screen shows how things stand.
    fn typed(&mut self) -> Res<Key> {
        loop {
            let Some(mut host) = self.host.take() else { return Err(Stop::End) };
            let event = if host.draws() {
                (self.view.rows, self.view.cols) = host.size();
                let screen = self.screen();
                host.event(Some(&screen))
            } else {
                host.event(None)
            };
            self.host = Some(host);
            match event {
                Event::Key(key) => return Ok(key),
                Event::Resize => {}
                Event::End { status, note, keep } => {
                    if keep {
                        self.preserve(note);
                    }
                    self.quit = Some(status);
                    return Err(Stop::End);
                }
            }
        }
    }

    /// Whether ^C was typed.
    pub(crate) fn interrupted(&mut self) -> bool {
        self.host.as_mut().is_some_and(|h| h.interrupted())
    }

    /// Keys that come before those that are typed.
    pub(crate) fn feed(&mut self, keys: VecDeque<Key>) -> Res<()> {
        while self.feeds.last().is_some_and(|f| !f.last && f.keys.is_empty()) {
            self.feeds.pop();
        }
        let waiting: usize = self.feeds.iter().map(|f| f.keys.len()).sum();
        if self.feeds.len() >= DEEPEST || waiting + keys.len() > MOST_KEYS {
            let _: Res<()> = self.stop_feeds();
            return say("E169: Command too recursive");
        }
        self.feeds.push(Feed { keys, last: false });
        Ok(())
    }

    /// Runs commands of these keys only; what is not complete at their end is given up.
    pub(crate) fn with_keys<T>(
        &mut self,
        keys: VecDeque<Key>,
        run: impl FnOnce(&mut Self) -> Res<T>,
    ) -> Res<T> {
        if self.nested >= DEEPEST / 10 {
            return say("E169: Command too recursive");
        }
        self.nested += 1;
        let depth = self.feeds.len();
        self.feeds.push(Feed { keys, last: true });
        let result = run(self);
        self.feeds.truncate(depth);
        self.nested -= 1;
        result
    }

    /// Whether keys wait in a register that runs.
    pub(crate) fn fed(&mut self) -> bool {
        while self.feeds.last().is_some_and(|f| !f.last && f.keys.is_empty()) {
            self.feeds.pop();
        }
        self.feeds.last().is_some_and(|f| !f.keys.is_empty())
    }

    /// Runs all commands of these keys, as `:normal` does.
    pub(crate) fn run_keys(&mut self, text: &str) -> Res<()> {
        let recent = std::mem::take(&mut self.recent);
        let result = self.with_keys(key::of_text(text), |e| {
            while e.quit.is_none() && e.fed() {
                e.one()?;
            }
            Ok(())
        });
        if matches!(self.mode, Mode::Visual { .. }) {
            self.end_visual();
        }
        self.mode = Mode::Normal;
        self.clamp();
        self.recent = recent;
        // A dot does again what the keys did, not the command that had them.
        self.changes = false;
        match result {
            Err(Stop::End) | Ok(()) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// One command, from its first key; a failure takes the rest of the registers that run away.
    pub(crate) fn one(&mut self) -> Res<()> {
        self.recent.clear();
        self.changes = false;
        self.buf.begin(self.cursor);
        let same = self
            .whole_line
            .as_ref()
            .is_some_and(|(line, text, _)| *line == self.cursor.line && text != self.line());
        if !same && self.line().len() < 1 << 20 {
            self.whole_line = Some((self.cursor.line, self.line().to_vec(), self.cursor.col));
        }
        let result = self.command();
        self.buf.end();
        self.clamp();
        if let Err(stop) = &result {
            // What lies below the keys that run now is for whoever runs them.
            while self.feeds.pop_if(|f| !f.last).is_some() {}
            if let Some(feed) = self.feeds.last_mut() {
                feed.keys.clear();
            }
            if *stop == Stop::End {
                return result;
            }
        }
        result
    }

    /// Commands until the end; the status.
    pub(crate) fn run(&mut self) -> i32 {
        loop {
            if let Some(status) = self.quit {
                return status;
            }
            match self.one() {
                Ok(()) => {}
                Err(Stop::End) if self.quit.is_none() && self.host.is_none() => return 1,
                Err(Stop::End) => self.feeds.clear(),
                Err(stop) => self.complain(stop),
            }
            if self.quit.is_none() {
                let _ = self.show_output();
            }
        }
    }

    /// Shows what commands printed, until a key is typed.
    pub(crate) fn show_output(&mut self) -> Res<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        if self.output.len() == 1 && self.message.is_empty() {
            let only = self.output.remove(0);
            if chars::column(only.as_bytes(), only.len(), 8) < self.view.cols {
                self.message = only;
                return Ok(());
            }
            self.output.push(only);
        }
        if !self.message.is_empty() {
            let last = std::mem::take(&mut self.message);
            self.output.push(last);
        }
        // Lines that are wider than the window take more rows.
        let cols = self.view.cols.max(1);
        let lines = std::mem::take(&mut self.output);
        for line in lines {
            let mut rest = line.as_str();
            while rest.chars().count() > cols {
                let cut = rest.char_indices().nth(cols).map_or(rest.len(), |(i, _)| i);
                self.output.push(rest[..cut].to_owned());
                rest = &rest[cut..];
            }
            self.output.push(rest.to_owned());
        }
        loop {
            let rows = self.view.rows.max(2) - 1;
            let key = self.typed()?;
            let more = self.output.len() > rows;
            match key {
                _ if !more => {
                    self.output.clear();
                    if !matches!(key, Key::Char('\r' | '\n' | ' ' | '\x1b' | '\x03')) {
                        return self.feed(VecDeque::from([key]));
                    }
                    return Ok(());
                }
                Key::Char(' ' | 'f' | '\x06') | Key::PageDown => {
                    let gone = rows.min(self.output.len() - 1);
                    self.output.drain(..gone);
                }
                Key::Char('\r' | '\n' | 'j') | Key::Down => {
                    self.output.remove(0);
                }
                Key::Char('G') => {
                    let gone = self.output.len() - rows;
                    self.output.drain(..gone);
                }
                Key::Char('q' | '\x1b' | '\x03') => {
                    self.output.clear();
                    return Ok(());
                }
                Key::Char(':') => {
                    self.output.clear();
                    return self.feed(VecDeque::from([key]));
                }
                _ => {}
            }
        }
    }

    /// The text of a register, those that are read only included.
    pub(crate) fn register(&self, name: char) -> Option<Text> {
        let line = |s: &str| Some(Text { lines: vec![chars::bytes(s)], whole: false, block: false });
        match name {
            '%' => self.file.name.as_deref().and_then(line),
            '#' => self.file.alternate.as_ref().and_then(|(n, _)| line(n)),
            ':' => self.last_command.as_deref().and_then(line),
            '/' => self.search.pattern.as_deref().and_then(line),
            '.' => Some(Text {
                lines: self.inserted.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect(),
                whole: false,
                block: false,
            }),
            name => self.registers.get(name).cloned(),
        }
    }
}
