//! Completion at the terminal: what is put into the line, and how candidates are shown. What they are is in `complete`.

use super::complete::{self, Completion, Kind};
use super::editor::Outcome;
use super::screen::Screen;
use super::terminal::{Menu, Terminal, show};
use crate::shell::Shell;

impl Terminal {
    fn candidates(&self, sh: &mut Shell, kind: Kind) -> Completion {
        let buffer = &self.editor.buffer;
        let line: String = buffer.text[..buffer.point].iter().collect();
        let kind = if kind == Kind::Any && self.wishes.plain { Kind::File } else { kind };
        complete::complete(sh, &line, kind)
    }

    /// Completes the word before the cursor as what it looks like.
    pub(super) fn complete(&mut self, sh: &mut Shell, screen: &mut Screen, again: bool) {
        self.complete_as(sh, screen, again, Kind::Any);
    }

    /// Completes the word before the cursor.
    pub(super) fn complete_as(&mut self, sh: &mut Shell, screen: &mut Screen, again: bool, kind: Kind) {
        let found = self.candidates(sh, kind);
        if found.shown.is_empty() {
            self.ring();
            return;
        }
        let buffer = &mut self.editor.buffer;
        let line: String = buffer.text[..buffer.point].iter().collect();
        let from = line[..found.start].chars().count();
        let word: String = buffer.text[from..buffer.point].iter().collect();
        let only = found.shown.len() == 1;
        let full = found.common.clone() + &found.ends;
        let longer = found.common.chars().count() >= word.chars().count();
        let changes = full != word && (only || longer && found.common != word);
        if changes {
            let mut text: Vec<char> = full.chars().collect();
            let rest = &buffer.text[buffer.point..];
            let typed = buffer.point - from;
            let same = text.iter().skip(typed).zip(rest).take_while(|(a, b)| a == b).count();
            if sh.bindings.on("skip-completed-text") && only && same > 0 {
                // What is behind the cursor already is not put there again.
                text.drain(typed..typed + same);
                let tail = text.split_off(typed);
                buffer.replace(from, buffer.point, &text);
                buffer.point += same;
                buffer.insert(&tail);
            } else {
                buffer.replace(from, buffer.point, &text);
            }
            self.editor.completed();
        }
        if only {
            return;
        }
        let at_once =
            sh.bindings.on("show-all-if-ambiguous") || !changes && sh.bindings.on("show-all-if-unmodified");
        if again || at_once {
            self.show_candidates(sh, screen, &found.shown);
        } else {
            self.ring();
        }
    }

    /// Shows what the word before the cursor could become.
    pub(super) fn list_candidates(&mut self, sh: &mut Shell, screen: &mut Screen) {
        self.list_as(sh, screen, Kind::Any);
    }

    pub(super) fn list_as(&mut self, sh: &mut Shell, screen: &mut Screen, kind: Kind) {
        let found = self.candidates(sh, kind);
        if found.shown.is_empty() {
            self.ring();
        } else {
            self.show_candidates(sh, screen, &found.shown);
        }
    }

    /// Puts the next candidate, or the one before, in place of the word.
    pub(super) fn complete_in_turn(&mut self, sh: &mut Shell, again: bool, back: bool) {
        if !again || self.menu.is_none() {
            let found = self.candidates(sh, Kind::Any);
            // What all candidates have in common may come first.
            let common = (found.shown.len() > 1 && sh.bindings.on("menu-complete-display-prefix"))
                .then(|| found.common.clone());
            self.menu = self.menu_of(found);
            if let Some(menu) = self.menu.as_mut().filter(|_| back) {
                menu.at = menu.choices.len().saturating_sub(2);
            }
            if let (Some(common), Some(menu)) = (common, &mut self.menu) {
                menu.choices.push(common);
                menu.at = menu.choices.len() - 1;
            }
        } else if let Some(menu) = &mut self.menu {
            let count = menu.choices.len();
            menu.at = (menu.at + if back { count - 1 } else { 1 }) % count;
        }
        let Some(menu) = &mut self.menu else { return self.ring() };
        let text: Vec<char> = menu.choices[menu.at].chars().collect();
        let buffer = &mut self.editor.buffer;
        buffer.replace(menu.from, menu.from + menu.len, &text);
        menu.len = text.len();
    }

    fn menu_of(&self, found: Completion) -> Option<Menu> {
        if found.choices.is_empty() {
            return None;
        }
        let buffer = &self.editor.buffer;
        let line: String = buffer.text[..buffer.point].iter().collect();
        let from = line[..found.start].chars().count();
        let mut choices = found.choices;
        match choices.as_mut_slice() {
            [only] => only.push_str(&found.ends),
            _ => {
                for (choice, shown) in choices.iter_mut().zip(&found.shown) {
                    choice.push(if shown.ends_with('/') { '/' } else { ' ' });
                }
                // After the last candidate the word is as it was.
                choices.push(buffer.text[from..buffer.point].iter().collect());
            }
        }
        Some(Menu { from, len: buffer.point - from, choices, at: 0 })
    }

    /// Puts all candidates in place of the word.
    pub(super) fn insert_candidates(&mut self, sh: &mut Shell) -> Outcome {
        let found = self.candidates(sh, Kind::Any);
        if found.choices.is_empty() {
            return Outcome::Bell;
        }
        let buffer = &mut self.editor.buffer;
        let line: String = buffer.text[..buffer.point].iter().collect();
        let from = line[..found.start].chars().count();
        let text: Vec<char> = (found.choices.join(" ") + " ").chars().collect();
        buffer.replace(from, buffer.point, &text);
        Outcome::Edited
    }

    /// Puts the candidates in place of the word, what they have in common before braces.
    pub(super) fn insert_braces(&mut self, sh: &mut Shell) -> Outcome {
        let found = self.candidates(sh, Kind::File);
        if found.choices.is_empty() {
            return Outcome::Bell;
        }
        let buffer = &mut self.editor.buffer;
        let line: String = buffer.text[..buffer.point].iter().collect();
        let from = line[..found.start].chars().count();
        let names: Vec<&str> = found.choices.iter().map(String::as_str).collect();
        let text: Vec<char> =
            (braces(&names) + if names.len() > 1 { " " } else { &found.ends }).chars().collect();
        buffer.replace(from, buffer.point, &text);
        Outcome::Edited
    }

    /// Shows candidates below the line.
    pub(super) fn show_candidates(&mut self, sh: &Shell, screen: &mut Screen, shown: &[String]) {
        show(&screen.leave());
        let most = sh.bindings.number("completion-query-items");
        if usize::try_from(most).is_ok_and(|most| most > 0 && shown.len() >= most) {
            show(&format!("Display all {} possibilities? (y or n)", shown.len()));
            loop {
                match self.answer() {
                    Some('y' | 'Y' | ' ') => break,
                    Some('n' | 'N' | '\x7f' | '\x07') | None => {
                        show("\r\n");
                        return;
                    }
                    Some(_) => self.ring(),
                }
            }
            show("\r\n");
        }
        let width = match usize::try_from(sh.bindings.number("completion-display-width")) {
            Ok(width) => width.min(screen.columns()),
            Err(_) => screen.columns(),
        };
        let shown = &shortened(sh, shown);
        let text = complete::columns(shown, width, sh.bindings.on("print-completions-horizontally"));
        let page = if sh.bindings.on("page-completions") { screen.height() } else { usize::MAX };
        self.list(&text, page);
    }

    /// Shows lines, and stops when the window is full.
    fn list(&mut self, text: &str, height: usize) {
        let page = height.saturating_sub(1).max(1);
        let mut room = page;
        for line in text.lines() {
            if room == 0 {
                show("--More--");
                room = loop {
                    match self.answer() {
                        Some(' ' | 'y' | 'Y') => break page,
                        Some('\r' | '\n') => break 1,
                        Some('q' | 'Q' | 'n' | 'N' | '\x7f' | '\x07') | None => {
                            show("\r\x1b[K");
                            return;
                        }
                        Some(_) => {}
                    }
                };
                show("\r\x1b[K");
            }
            room -= 1;
            show(&format!("{line}\r\n"));
        }
    }
}

/// Candidates whose common beginning is longer than `completion-prefix-display-length` show an ellipsis in its place.
fn shortened(sh: &Shell, shown: &[String]) -> Vec<String> {
    let most = usize::try_from(sh.bindings.number("completion-prefix-display-length")).unwrap_or(0);
    let Some(first) = shown.first().filter(|_| most > 0 && shown.len() > 1) else { return shown.to_vec() };
    let common = shown.iter().fold(first.as_str(), |common, name| {
        let pairs = common.chars().zip(name.chars());
        &common[..pairs.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()]
    });
    if common.chars().count() <= most {
        return shown.to_vec();
    }
    shown.iter().map(|name| format!("...{}", &name[common.len()..])).collect()
}

/// Sorted names with braces around what differs.
fn braces(names: &[&str]) -> String {
    let groups = names.chunk_by(|a, b| a.chars().next() == b.chars().next());
    let parts: Vec<String> = groups
        .map(|group| {
            let first = group[0];
            let common = group[1..].iter().fold(first, |common, name| {
                let pairs = common.chars().zip(name.chars());
                &common[..pairs.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()]
            });
            if group.len() == 1 || common.is_empty() {
                return first.to_owned();
            }
            let rest: Vec<&str> = group.iter().map(|name| &name[common.len()..]).collect();
            format!("{common}{}", braces(&rest))
        })
        .collect();
    if parts.len() > 1 { format!("{{{}}}", parts.join(",")) } else { parts.concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_parts_stand_before_braces() {
        assert_eq!(braces(&["a.c", "a.o", "b", "rc", "rc2"]), "{a.{c,o},b,rc{,2}}");
        assert_eq!(braces(&["one"]), "one");
        assert_eq!(braces(&["", ""]), "");
    }
}
