//! The list of earlier commands: which lines get into it, under which numbers, and how lines become one entry. It prints
//! nothing.

mod expand;
mod file;
mod join;

use crate::pattern;
use crate::shell::Shell;
use crate::symbols;
use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use expand::Expanded;

/// How many entries are kept whatever `HISTSIZE` says, and how long one is.
const MAX_ENTRIES: usize = 100_000;
const MAX_LINE: usize = 1 << 20;
/// Up to which length further lines of a command join its entry.
const MAX_SCAN: usize = 64 << 10;

/// An earlier command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) line: String,
    /// Seconds since the epoch, if they were noted.
    pub(crate) time: Option<u64>,
    /// The line editor left a change in it.
    pub(crate) edited: bool,
}

/// Earlier commands, oldest first.
#[derive(Debug)]
pub(crate) struct History {
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    base: usize,
    /// Entries that are in no file yet.
    pub(crate) session: usize,
    /// Lines of the file that were read or written.
    pub(crate) in_file: usize,
    /// The last line that was read became an entry.
    pub(crate) last_added: bool,
    /// The first line of the command being read became an entry, so its further lines join it.
    first_saved: bool,
    /// The line before was a comment.
    after_comment: bool,
    /// The last string that `!?string?` looked for.
    pub(crate) sought: Option<String>,
    /// The word that it found.
    pub(crate) found: Option<String>,
    /// Old and new of the last `:s`.
    pub(crate) replaced: Option<(String, String)>,
    /// A file has been read when history was switched on.
    loaded: bool,
}

impl Default for History {
    fn default() -> Self {
        History {
            entries: VecDeque::new(),
            base: 1,
            session: 0,
            in_file: 0,
            last_added: false,
            first_saved: false,
            after_comment: false,
            sought: None,
            found: None,
            replaced: None,
            loaded: false,
        }
    }
}

impl History {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The number of the first entry.
    pub(crate) fn base(&self) -> usize {
        self.base
    }

    /// The entry at an index from 0, not by its number.
    pub(crate) fn get(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Entry> {
        self.entries.get_mut(index)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Adds an entry as it is.
    pub(crate) fn push(&mut self, mut line: String, time: Option<u64>) {
        if line.len() > MAX_LINE {
            line.truncate(line.floor_char_boundary(MAX_LINE));
        }
        self.entries.push_back(Entry { line, time, edited: false });
        self.limit(MAX_ENTRIES);
    }

    /// Drops the oldest entries beyond `most`.
    pub(crate) fn limit(&mut self, most: usize) {
        let over = self.entries.len().saturating_sub(most);
        self.entries.drain(..over);
        self.base += over;
    }

    pub(crate) fn remove(&mut self, index: usize) -> Option<Entry> {
        self.entries.remove(index)
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.base = 1;
        self.session = 0;
        self.last_added = false;
        self.first_saved = false;
    }
}

/// What `HISTCONTROL` asks for.
#[derive(Debug, Clone, Copy, Default)]
struct Control {
    ignore_space: bool,
    ignore_dups: bool,
    erase_dups: bool,
}

impl Control {
    fn new(text: &str) -> Self {
        let mut control = Control::default();
        for word in text.split(':') {
            match word {
                "ignorespace" => control.ignore_space = true,
                "ignoredups" => control.ignore_dups = true,
                "ignoreboth" => (control.ignore_space, control.ignore_dups) = (true, true),
                "erasedups" => control.erase_dups = true,
                _ => {}
            }
        }
        control
    }
}

impl Shell {
    /// Whether lines that are read become history.
    pub(crate) fn remembers(&self) -> bool {
        self.opts.history && self.subshell == 0
    }

    /// Applies `set -o history`: the first time the history file is read.
    pub(crate) fn history_switched(&mut self) {
        if !self.opts.history || self.history.loaded {
            return;
        }
        self.history.loaded = true;
        if self.history.session == 0 {
            self.load_history();
        }
    }

    /// Notes a line of a script or a terminal; `before` is what was read of the same command before it.
    pub(crate) fn note_line(&mut self, before: &str, line: &str) {
        if !self.remembers() {
            return;
        }
        let text = line.strip_suffix('\n').unwrap_or(line);
        self.history.last_added = false;
        let comment = text.trim_start().starts_with('#');
        let commented = join::has_comment(text);
        if before.is_empty() {
            if !text.is_empty() {
                self.history.first_saved = self.note_command(text);
                self.history.after_comment = commented;
            }
            return;
        }
        if !self.shopts.cmdhist {
            if !text.is_empty() {
                self.note_command(text);
            }
            return;
        }
        if before.len() > MAX_SCAN {
            return;
        }
        let place = join::Place::after(before);
        if self.history.first_saved && (place.literal() || self.shopts.lithist || !comment) {
            self.join_line(place, text);
        }
        self.history.after_comment = commented;
    }

    /// Adds a further line of a command to its entry.
    fn join_line(&mut self, place: join::Place, text: &str) {
        let mut between = match place.between(text) {
            Some(between) => between,
            None => return,
        };
        if !place.in_document() && (self.history.after_comment || self.shopts.lithist) {
            between = "\n";
        }
        let Some(entry) = self.history.entries.back_mut() else { return };
        if entry.line.len() + text.len() > MAX_LINE {
            return;
        }
        if !place.quoted() {
            let slashes = entry.line.len() - entry.line.trim_end_matches('\\').len();
            if slashes % 2 == 1 && !place.in_document() {
                entry.line.pop();
                between = "";
            }
            if entry.line.ends_with('\n') {
                between = between.trim_start_matches(';');
            }
        }
        if place.in_document() && entry.line.ends_with('\n') {
            between = "";
        }
        entry.line.push_str(between);
        entry.line.push_str(text);
        if place.in_document() {
            entry.line.push('\n');
        }
        self.history.last_added = true;
    }

    /// Adds a command unless `HISTCONTROL` or `HISTIGNORE` say no; returns whether it was added.
    pub(crate) fn note_command(&mut self, line: &str) -> bool {
        self.stifle();
        let control = Control::new(&self.vars.get(symbols::HISTCONTROL).unwrap_or_default());
        let last = self.history.entries.back().map(|entry| entry.line.as_str());
        if control.ignore_space && line.starts_with([' ', '\t'])
            || control.ignore_dups && last == Some(line)
            || self.is_ignored(line)
        {
            return false;
        }
        if control.erase_dups {
            self.history.entries.retain(|entry| entry.line != line);
        }
        self.remember(line.to_owned());
        true
    }

    /// Takes the newest entry away, such as the command that asks for it.
    pub(crate) fn forget_last(&mut self) {
        if self.history.entries.pop_back().is_some() {
            self.history.session = self.history.session.saturating_sub(1);
        }
        self.history.last_added = false;
    }

    /// Adds an entry without asking.
    pub(crate) fn remember(&mut self, line: String) {
        let time = self.entry_time();
        self.history.push(line, time);
        self.history.last_added = true;
        self.history.session += 1;
        self.stifle();
    }

    /// The time of a new entry: noted always at a terminal, otherwise once times are to be shown.
    fn entry_time(&self) -> Option<u64> {
        let keeps = self.interactive || self.vars.is_set(symbols::HISTTIMEFORMAT);
        keeps.then(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()))
    }

    fn is_ignored(&self, line: &str) -> bool {
        let Some(patterns) = self.vars.get(symbols::HISTIGNORE) else { return false };
        let last = self.history.entries.back().map_or("", |entry| entry.line.as_str());
        split_patterns(&patterns).iter().any(|text| {
            // `&` is the line before.
            let mut full = String::new();
            let mut chars = text.chars();
            while let Some(c) = chars.next() {
                match c {
                    '\\' => {
                        full.push(c);
                        full.extend(chars.next());
                    }
                    '&' => pattern::push_quoted(last, &mut full),
                    c => full.push(c),
                }
            }
            pattern::matches(&full, line, self.pattern_rules(false))
        })
    }

    /// Applies `HISTSIZE`.
    pub(crate) fn stifle(&mut self) {
        if let Some(size) = self.vars.get(symbols::HISTSIZE).and_then(|size| size.trim().parse().ok()) {
            self.history.limit(size);
        }
    }

    /// Applies a new value of `HISTSIZE`; what is no number that is 0 or more sets no limit.
    pub(crate) fn limit_history(&mut self, size: &str) {
        let Ok(size) = size.trim().parse() else { return };
        let over = self.history.len().saturating_sub(size);
        if over > 0 {
            self.history.limit(size);
            // As bash: what is left is numbered from how many went.
            self.history.base = over;
        }
    }

    /// The number of the command being run, as `HISTCMD`.
    pub(crate) fn history_number(&self) -> usize {
        if !self.opts.history && !self.interactive {
            return 1;
        }
        (self.history.base + self.history.len()).saturating_sub(1)
    }
}

/// Whether text ends within a word, which the next line continues.
pub(crate) fn is_open(text: &str) -> bool {
    text.ends_with("\\\n")
        || text.len() <= MAX_SCAN && !matches!(join::Place::after(text), join::Place::Code { .. })
}

/// The patterns of `HISTIGNORE`: between colons that are not quoted.
fn split_patterns(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let Some(last) = all.last_mut() else { break };
        match c {
            ':' => all.push(String::new()),
            '\\' => {
                last.push(c);
                last.extend(chars.next());
            }
            c => last.push(c),
        }
    }
    all.retain(|p| !p.is_empty());
    all
}
