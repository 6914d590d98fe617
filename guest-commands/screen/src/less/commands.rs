//! The keys of the pager. Where they lead is known by the pager itself.

use super::open;
use super::pager::{Next, Pager};
use super::source::Source;
use crate::terminal::{Event, Key};
use agentos_guest::process::Command;
use agentos_guest::strerror;
use std::ffi::OsString;

const HELP: &str = "\
                   SUMMARY OF COMMANDS

  h  H                 This help.
  q  :q  Q             Leave.
  e  j  ^N  RETURN     Forward one line, or N.
  y  k  ^P             Backward one line, or N.
  SPACE  f  ^F         Forward one window.
  b  ^B                Backward one window.
  d  ^D    u  ^U       Forward, backward half a window.
  g  <     G  >        First line, last line; line N.
  p  %                 N percent into the file.
  LEFT  RIGHT          Half a screen to the side.
  F                    Forward for ever, as tail -f.
  /pattern ?pattern    Search forward, backward.
  n  N                 The same again, in the other direction.
  &pattern             Only lines that match.
  m<letter> '<letter>  Mark a place, go there; '' goes back.
  :n  :p               The next, the previous file.
  =  ^G                Where we are.
  -N -S -i -I -R -s -M Turn an option over.
  v                    Edit the file.
  !command             Run a command.
  r  ^L                Draw the screen anew.
";

impl Pager {
    /// Does what a key, or several, ask for.
    pub(super) fn command(&mut self, key: Key) -> Next {
        let mut key = key;
        let mut digits = String::new();
        while let Key::Char(c @ '0'..='9') = key {
            if digits.len() < 15 {
                digits.push(c);
            }
            self.draw_prompt(&format!(":{digits}"));
            key = match self.t.event(-1) {
                Event::Key(key) => key,
                _ => return Next::Go,
            };
        }
        let count: Option<usize> = digits.parse().ok();
        if let Some(next) = self.simple(key, count) {
            return next;
        }
        match key {
            Key::Char('/') => {
                if let Some(text) = self.ask("/") {
                    self.search_for(&text, false, count.unwrap_or(1).max(1));
                }
            }
            Key::Char('?') => {
                if let Some(text) = self.ask("?") {
                    self.search_for(&text, true, count.unwrap_or(1).max(1));
                }
            }
            Key::Char('&') => {
                if let Some(text) = self.ask("&/") {
                    self.filter = if text.is_empty() { None } else { self.compile(&text) };
                    self.top = (0, 0);
                }
            }
            Key::Char('-') => {
                self.draw_prompt("-");
                if let Event::Key(Key::Char(c)) = self.t.event(-1) {
                    self.message = self.o.toggle(c);
                    self.top.1 = 0;
                    self.shift = 0;
                }
            }
            Key::Char('m') => {
                self.draw_prompt("set mark: ");
                if let Event::Key(Key::Char(c)) = self.t.event(-1)
                    && c.is_ascii_alphabetic()
                {
                    self.marks.insert(c, self.top);
                }
            }
            Key::Char('\'') => {
                self.draw_prompt("goto mark: ");
                match self.t.event(-1) {
                    Event::Key(Key::Char('\'')) => self.jump(self.last_place),
                    Event::Key(Key::Char('^')) => self.jump((0, 0)),
                    Event::Key(Key::Char('$')) => self.go_to_end(),
                    Event::Key(Key::Char(c)) => match self.marks.get(&c) {
                        Some(place) => self.jump(*place),
                        None => self.message = "Mark not set".into(),
                    },
                    _ => {}
                }
            }
            Key::Char(':') => {
                self.draw_prompt(" :");
                match self.t.event(-1) {
                    Event::Key(Key::Char('q' | 'Q')) => return Next::Quit,
                    Event::Key(Key::Char('n')) => self.other_file(true),
                    Event::Key(Key::Char('p')) => self.other_file(false),
                    Event::Key(Key::Char('x')) => self.open_file(0),
                    Event::Key(Key::Char('e')) => {
                        if let Some(name) = self.ask("Examine: ").filter(|n| !n.trim().is_empty()) {
                            let before = self.current;
                            self.files.insert(before + 1, OsString::from(name.trim()));
                            self.open_file(before + 1);
                            if self.current == before {
                                self.files.remove(before + 1);
                            }
                        }
                    }
                    Event::Key(Key::Char('f')) => self.tell(),
                    _ => {}
                }
            }
            Key::Char('!') => {
                if let Some(command) = self.ask("!") {
                    self.shell(&["sh".into(), "-c".into(), command], true);
                }
            }
            Key::Char('v') => {
                let editor = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR"));
                let name = self.name();
                if name.is_empty() {
                    self.message = "Cannot edit standard input".into();
                } else {
                    let line = format!("+{}", self.source.number(self.top.0));
                    self.shell(&[editor.unwrap_or_else(|_| "vi".into()), line, name], false);
                }
            }
            Key::Char('F') => self.follow(),
            Key::Char('h' | 'H') => return self.help(),
            Key::Char('=' | '\x07') => self.tell(),
            _ if self.o.quiet => {}
            _ => self.t.bell(),
        }
        Next::Go
    }

    /// The keys that ask for nothing more.
    pub(super) fn simple(&mut self, key: Key, count: Option<usize>) -> Option<Next> {
        let n = count.unwrap_or(1);
        let window = self.o.window.unwrap_or_else(|| self.height()).min(self.height());
        match key {
            Key::Char('q' | 'Q') => return Some(Next::Quit),
            Key::Char(
                '\r' | '\n' | 'e' | 'j' | '\x05' | '\x0e' | ' ' | 'f' | '\x06' | '\x16' | 'z' | 'd' | '\x04',
            )
            | Key::Down
            | Key::PageDown
                if self.at_end && self.o.quit_at_end > 0 && self.current + 1 < self.files.len() =>
            {
                self.other_file(true);
            }
            Key::Char('s') if self.o.more => self.down(n),
            Key::Char('f') if self.o.more => self.down(window * 2),
            Key::Char('z') => {
                self.o.window = count.or(self.o.window);
                self.down(count.unwrap_or(window));
            }
            Key::Char('w') => {
                self.o.window = count.or(self.o.window);
                self.up(count.unwrap_or(window));
            }
            Key::Char('\r' | '\n' | 'e' | 'j' | '\x05' | '\x0e') | Key::Down => self.down(n),
            Key::Char('y' | 'k' | '\x19' | '\x10') | Key::Up => self.up(n),
            Key::Char(' ' | 'f' | '\x06' | '\x16') | Key::PageDown => self.down(count.unwrap_or(window)),
            Key::Char('b' | '\x02') | Key::PageUp => self.up(count.unwrap_or(window)),
            Key::Char('d' | '\x04') => {
                self.half = count.or(self.half);
                self.down(self.half.unwrap_or(window / 2));
            }
            Key::Char('u' | '\x15') => {
                self.half = count.or(self.half);
                self.up(self.half.unwrap_or(window / 2));
            }
            Key::Char('g' | '<') | Key::Home => {
                let at = self.source.find_number(n as u64);
                self.put(at);
            }
            Key::Char('G' | '>') | Key::End => {
                self.last_place = self.top;
                match count {
                    Some(n) => self.top = (self.source.find_number(n as u64), 0),
                    None => self.go_to_end(),
                }
            }
            Key::Char('p' | '%') => {
                let size = self.source.read_all();
                let at = size / 100 * n.min(100) as u64;
                let at = self.source.before(at + 1).unwrap_or(0);
                self.jump((at, 0));
            }
            Key::Right => {
                self.shift =
                    (self.shift + count.unwrap_or(self.o.step.unwrap_or(self.t.cols / 2))).min(1 << 20)
            }
            Key::Left => {
                self.shift =
                    self.shift.saturating_sub(count.unwrap_or(self.o.step.unwrap_or(self.t.cols / 2)))
            }
            Key::Char('n') => self.search(self.backward, n.max(1), false),
            Key::Char('N') => self.search(!self.backward, n.max(1), false),
            Key::Char('r' | '\x0c' | 'R') => {
                self.source.forget();
                self.t.refresh();
            }
            _ => return None,
        }
        Some(Next::Go)
    }

    fn tell(&mut self) {
        let size = self.source.known();
        let span = self.span();
        let bottom = self.bottom.unwrap_or(size);
        let percent = (bottom * 100).checked_div(size).unwrap_or(100);
        let end = if self.at_end { "(END)".to_owned() } else { format!("{percent}%") };
        self.message = format!("{} lines {span} byte {bottom}/{size} {end}", self.name());
    }

    fn other_file(&mut self, forward: bool) {
        let before = self.current;
        let mut at = before;
        loop {
            at = if forward { at + 1 } else { at.wrapping_sub(1) };
            if self.files.get(at).is_none() {
                if self.message.is_empty() {
                    self.message = if forward { "No next file" } else { "No previous file" }.into();
                }
                return;
            }
            self.open_file(at);
            if self.current != before {
                return;
            }
        }
    }

    /// Shows another file of the list; what is wrong with it is told.
    fn open_file(&mut self, at: usize) {
        let source = match self.files.get(at) {
            None => return,
            // What was read of a pipe is gone when another file is shown.
            Some(file) if file == "-" => Err("Standard input was read".to_owned()),
            Some(file) => open(file).map(Source::file),
        };
        match source {
            Ok(source) => {
                let before = std::mem::replace(&mut self.current, at);
                let text = std::mem::replace(&mut self.source, source);
                if !self.accepts_binary() {
                    (self.current, self.source) = (before, text);
                    return;
                }
                self.top = (0, 0);
                self.marks.clear();
                self.fresh = true;
                self.ends_seen = 0;
            }
            Err(message) => self.message = message,
        }
    }

    fn shell(&mut self, words: &[String], wait: bool) {
        self.t.leave();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).search_path(true);
        let result = command.spawn().and_then(|mut child| {
            loop {
                match child.wait() {
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    other => break other,
                }
            }
        });
        if let Err(error) = result {
            self.message = format!("{}: {}", words[0], strerror(&error));
        }
        if wait {
            self.t.wait_key("!done  (press RETURN)");
        }
        self.source.forget();
        // A terminal that is gone shows itself at the next key.
        let _ = self.t.enter();
    }

    /// Shows what a file grows by until ^C.
    pub(super) fn follow(&mut self) {
        loop {
            self.source.forget();
            self.go_to_end();
            self.message = "Waiting for data... (interrupt to abort)".into();
            if self.show().is_err() {
                return;
            }
            match self.t.event(500) {
                Event::Timeout | Event::Resize => {}
                _ => break,
            }
        }
        self.message.clear();
    }

    fn help(&mut self) -> Next {
        let text = Source::text(HELP);
        let source = std::mem::replace(&mut self.source, text);
        let (top, filter) = (std::mem::take(&mut self.top), self.filter.take());
        loop {
            self.message = "HELP -- Press q when done".into();
            if self.show().is_err() {
                break;
            }
            match self.t.event(-1) {
                Event::Key(key) => {
                    if matches!(self.simple(key, None), Some(Next::Quit)) {
                        break;
                    }
                }
                Event::Interrupt | Event::Hangup => break,
                _ => {}
            }
        }
        self.message.clear();
        (self.source, self.top, self.filter) = (source, top, filter);
        Next::Go
    }
}
