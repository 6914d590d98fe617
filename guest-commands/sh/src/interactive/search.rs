//! Incremental search through earlier lines: `^R` and `^S`.

use super::editor::{Editor, Outcome, Past};
use super::keys::Key;

/// How long a text that is looked for may become.
const MAX_SOUGHT: usize = 1000;

/// A search that is going on.
#[derive(Debug)]
pub(crate) struct Search {
    forward: bool,
    text: Vec<char>,
    failed: bool,
    /// Where it began.
    line: usize,
    former: Vec<char>,
    point: usize,
}

impl Search {
    /// What stands in place of the prompt.
    pub(super) fn message(&self) -> String {
        let failed = if self.failed { "failed " } else { "" };
        let way = if self.forward { "" } else { "reverse-" };
        format!("({failed}{way}i-search)`{}': ", self.text.iter().collect::<String>())
    }
}

impl Editor {
    pub(super) fn begin_search(&mut self, forward: bool) {
        self.search = Some(Search {
            forward,
            text: Vec::new(),
            failed: false,
            line: self.at,
            former: self.buffer.text.clone(),
            point: self.buffer.point,
        });
    }

    /// Handles a key of a search; `None` when it ended the search and still has its own meaning.
    pub(super) fn search_key(&mut self, key: &Key, past: &dyn Past) -> Option<Outcome> {
        let search = self.search.as_mut()?;
        let c = key.char().filter(|c| !c.is_control());
        match (key.function(), c) {
            (name @ ("reverse-search-history" | "forward-search-history"), _) => {
                search.forward = name == "forward-search-history";
                if search.text.is_empty() {
                    search.text = self.sought.clone();
                    return Some(self.seek(past, false));
                }
                Some(self.seek(past, true))
            }
            ("self-insert" | "vi-search-again" | "", Some(c)) => {
                if search.text.len() < MAX_SOUGHT {
                    search.text.push(c);
                }
                Some(self.seek(past, false))
            }
            ("backward-delete-char", _) => {
                if search.text.pop().is_none() {
                    return Some(Outcome::Bell);
                }
                self.back(past);
                Some(if self.search.as_ref().is_some_and(|s| s.text.is_empty()) {
                    Outcome::Edited
                } else {
                    self.seek(past, false)
                })
            }
            ("abort", _) => {
                self.back(past);
                self.search = None;
                Some(Outcome::Bell)
            }
            _ => {
                if let Key::Paste(text) = key {
                    let room = MAX_SOUGHT.saturating_sub(search.text.len());
                    search.text.extend(text.chars().filter(|c| !c.is_control()).take(room));
                    return Some(self.seek(past, false));
                }
                if !search.text.is_empty() {
                    self.sought = std::mem::take(&mut search.text);
                }
                self.search = None;
                (*key == Key::Unbound('\x1b')).then_some(Outcome::Edited)
            }
        }
    }

    /// Asks for a text to look for at once.
    pub(super) fn ask(&mut self, forward: bool) {
        self.asked = Some((forward, Vec::new()));
    }

    /// Handles a key while a text is asked for.
    pub(super) fn asked_key(&mut self, key: &Key, past: &dyn Past) -> Outcome {
        let Some((forward, mut text)) = self.asked.take() else { return Outcome::Bell };
        match (key.function(), key.char()) {
            ("accept-line", _) => return self.seek_line(forward, text, past),
            ("abort", _) => return Outcome::Bell,
            ("backward-delete-char", _) if text.is_empty() => return Outcome::Edited,
            ("backward-delete-char", _) => drop(text.pop()),
            (_, Some(c)) if !c.is_control() && text.len() < MAX_SOUGHT => text.push(c),
            _ => {}
        }
        self.asked = Some((forward, text));
        Outcome::Edited
    }

    /// Shows the next line of the history that holds a text; without one, the text that was looked for before.
    pub(super) fn seek_line(&mut self, forward: bool, text: Vec<char>, past: &dyn Past) -> Outcome {
        if !text.is_empty() {
            self.sought = text;
        }
        let wanted = self.sought.clone();
        let mut at = self.at;
        while !wanted.is_empty() {
            at = if forward { at + 1 } else { at.wrapping_sub(1) };
            if at >= past.count() {
                break;
            }
            let text = self.text_at(past, at);
            let found = match wanted.split_first() {
                Some(('^', rest)) => text.starts_with(rest).then_some(0),
                _ => find(&text, &wanted, 0, true),
            };
            if let Some(found) = found {
                let outcome = self.go(past, Some(at));
                self.buffer.point = if self.vi.is_some() { 0 } else { found };
                return outcome;
            }
        }
        Outcome::Bell
    }

    /// Shows the next line that begins with, or holds, what stood before the cursor when the row of searches began.
    pub(super) fn prefix_search(
        &mut self,
        forward: bool,
        within: bool,
        again: bool,
        past: &dyn Past,
    ) -> Outcome {
        if !again {
            self.prefix = self.buffer.text[..self.buffer.point].to_vec();
        }
        let wanted = self.prefix.clone();
        let current = self.buffer.text.clone();
        let mut at = self.at;
        loop {
            at = if forward { at + 1 } else { at.wrapping_sub(1) };
            if at > past.count() || at == past.count() && !again {
                return Outcome::Bell;
            }
            let text = self.text_at(past, at);
            let found = match within {
                true => find(&text, &wanted, 0, true).is_some(),
                false => text.starts_with(&wanted),
            };
            if found && (text != current || at == past.count()) {
                self.show(past, at);
                if !wanted.is_empty() && !within {
                    self.buffer.point = wanted.len().min(self.buffer.text.len());
                }
                return Outcome::Edited;
            }
        }
    }

    /// Goes back to where the search began.
    fn back(&mut self, past: &dyn Past) {
        let Some(search) = &mut self.search else { return };
        search.failed = false;
        let (line, point, former) = (search.line, search.point, search.former.clone());
        if self.at != line {
            self.show(past, line);
            self.buffer.reset(former);
        }
        self.buffer.point = point.min(self.buffer.text.len());
    }

    /// Looks for the text from the cursor on; with `next` beyond it.
    fn seek(&mut self, past: &dyn Past, next: bool) -> Outcome {
        let Some(search) = &self.search else { return Outcome::Bell };
        let (forward, wanted) = (search.forward, search.text.clone());
        let current = self.buffer.text.clone();
        let mut line = self.at;
        let mut from = Some(match (forward, next) {
            (_, false) => Some(self.buffer.point),
            (true, true) => Some(self.buffer.point + 1),
            (false, true) => self.buffer.point.checked_sub(1),
        });
        loop {
            let text = self.text_at(past, line);
            let found = match from {
                Some(None) => None,
                Some(Some(from)) => find(&text, &wanted, from, forward),
                None if text == current => None,
                None => find(&text, &wanted, if forward { 0 } else { text.len() }, forward),
            };
            if let Some(at) = found {
                if line != self.at {
                    self.show(past, line);
                }
                self.buffer.point = at;
                if let Some(search) = &mut self.search {
                    search.failed = false;
                }
                return Outcome::Edited;
            }
            from = None;
            let following = if forward { line + 1 } else { line.wrapping_sub(1) };
            if following > past.count() {
                if let Some(search) = &mut self.search {
                    search.failed = true;
                }
                return Outcome::Bell;
            }
            line = following;
        }
    }
}

/// Where `wanted` is in `text`: at `from` or beyond it in the direction.
pub(super) fn find(text: &[char], wanted: &[char], from: usize, forward: bool) -> Option<usize> {
    let last = text.len().checked_sub(wanted.len())?;
    let here = |at: &usize| text[*at..].starts_with(wanted);
    if forward { (from..=last).find(here) } else { (0..=from.min(last)).rev().find(here) }
}
