//! The command line: how a command or a pattern is typed in the last row. It runs nothing.

use crate::chars;
use crate::editor::{Editor, Res, Stop};
use crate::key::Key;

impl Editor {
    /// Reads a line behind `first`; none if it is given up.
    pub(crate) fn prompt(&mut self, first: char, start: &str) -> Res<Option<String>> {
        let mut text: Vec<char> = start.chars().collect();
        let mut at = text.len();
        let mut back: Option<usize> = None;
        let mut typed = String::new();
        let show = |e: &mut Editor, text: &[char], at: usize| {
            e.prompt = Some((first.to_string(), text.iter().collect(), at));
        };
        let result = loop {
            show(self, &text, at);
            let key = match self.key() {
                Ok(key) => key,
                Err(stop) => break Err(stop),
            };
            match key {
                Key::Char('\r' | '\n') => break Ok(Some(text.iter().collect::<String>())),
                Key::Char('\x1b' | '\x03') => break Ok(None),
                Key::Char('\x08' | '\x7f') => {
                    if text.is_empty() {
                        break Ok(None);
                    }
                    if at > 0 {
                        at -= 1;
                        text.remove(at);
                    }
                }
                Key::Delete if at < text.len() => {
                    text.remove(at);
                }
                Key::Char('\x17') => {
                    let kind = |c: char| chars::class(Some(c), false);
                    let end = at;
                    while at > 0 && kind(text[at - 1]) == 0 {
                        at -= 1;
                    }
                    let word = if at > 0 { kind(text[at - 1]) } else { 0 };
                    while at > 0 && kind(text[at - 1]) == word {
                        at -= 1;
                    }
                    text.drain(at..end);
                }
                Key::Char('\x15') => {
                    text.drain(..at);
                    at = 0;
                }
                Key::Char('\x02') | Key::Home => at = 0,
                Key::Char('\x05') | Key::End => at = text.len(),
                Key::Left => at = at.saturating_sub(1),
                Key::Right => at = (at + 1).min(text.len()),
                Key::Up | Key::Down | Key::Char('\x10' | '\x0e') => {
                    let up = matches!(key, Key::Up | Key::Char('\x10'));
                    let list = if first == ':' { &self.history } else { &self.searches };
                    if back.is_none() {
                        typed = text.iter().collect();
                    }
                    // Arrows find what begins as the line that was typed.
                    let fits = |i: &usize| matches!(key, Key::Char(_)) || list[*i].starts_with(&typed);
                    let from = back.unwrap_or(list.len());
                    let found =
                        if up { (0..from).rev().find(fits) } else { (from + 1..list.len()).find(fits) };
                    let line = match found {
                        Some(i) => {
                            back = Some(i);
                            list[i].clone()
                        }
                        None if up => continue,
                        None => {
                            back = None;
                            typed.clone()
                        }
                    };
                    text = line.chars().collect();
                    at = text.len();
                }
                Key::Char('\x12') => match self.key() {
                    Ok(Key::Char('\x17')) => {
                        let line = self.line();
                        let mut from = self.cursor.col.min(line.len());
                        let kind = |at: usize| chars::class(chars::decode(line, at).map(|c| c.0), false);
                        while from > 0 && kind(chars::previous(line, from)) == 1 {
                            from = chars::previous(line, from);
                        }
                        let end = line[from..].len() + from;
                        let word: Vec<char> = chars::iterate(&line[from..end])
                            .map(|c| c.1)
                            .take_while(|c| chars::class(Some(*c), false) == 1)
                            .collect();
                        at += word.len();
                        text.splice(at - word.len()..at - word.len(), word);
                    }
                    Ok(Key::Char(name)) => {
                        if let Some(found) = self.register(name) {
                            let all = chars::text(&found.lines.join(&b'\r'));
                            let new: Vec<char> = all.chars().take(100_000).collect();
                            let n = new.len();
                            text.splice(at..at, new);
                            at += n;
                        }
                    }
                    Ok(_) => {}
                    Err(stop) => break Err(stop),
                },
                Key::Char('\x16' | '\x11') => match self.verbatim() {
                    Ok(c) => {
                        text.insert(at, c);
                        at += 1;
                    }
                    Err(Stop::Bell) => {}
                    Err(stop) => break Err(stop),
                },
                Key::Char('\t') if first == ':' => {
                    if let Some(done) = complete(&text[..at].iter().collect::<String>()) {
                        let rest = text.split_off(at);
                        text = done.chars().collect();
                        at = text.len();
                        text.extend(rest);
                    } else if let Some(host) = &mut self.host {
                        host.bell();
                    }
                }
                Key::Char(c) if text.len() < 1 << 20 => {
                    text.insert(at, c);
                    at += 1;
                }
                _ => {}
            }
        };
        self.prompt = None;
        // What was typed stands there until there is something to say.
        self.message = match &result {
            Ok(Some(line)) if !self.line_mode => format!("{first}{line}"),
            _ => String::new(),
        };
        if let Ok(Some(line)) = &result
            && !line.is_empty()
        {
            let list = if first == ':' { &mut self.history } else { &mut self.searches };
            list.retain(|l| l != line);
            list.push(line.clone());
            if list.len() > 500 {
                list.remove(0);
            }
        }
        result
    }
}

/// Completes the name of a file at the end of a command, as far as only one way goes on.
fn complete(text: &str) -> Option<String> {
    let (before, word) = text.rsplit_once(' ')?;
    let (dir, start) = word.rsplit_once('/').map_or(("", word), |(d, s)| (d, s));
    let shown = match (dir, word.starts_with('/')) {
        ("", true) => "/",
        ("", false) => ".",
        (dir, _) => dir,
    };
    let mut names: Vec<String> = std::fs::read_dir(shown)
        .ok()?
        .flatten()
        .take(100_000)
        .filter_map(|e| {
            let name = e.file_name().to_str()?.to_owned();
            let folder = e.file_type().ok()?.is_dir();
            Some(if folder { name + "/" } else { name })
        })
        .filter(|n| n.starts_with(start) && (start.starts_with('.') || !n.starts_with('.')))
        .collect();
    names.sort();
    let first = names.first()?.clone();
    let common = names.iter().fold(first, |common, n| {
        let len = common
            .char_indices()
            .zip(n.chars())
            .take_while(|((_, a), b)| a == b)
            .map(|((i, a), _)| i + a.len_utf8())
            .last();
        common[..len.unwrap_or(0)].to_owned()
    });
    if common == start {
        return None;
    }
    let head = &word[..word.len() - start.len()];
    Some(format!("{before} {head}{common}"))
}
