//! `:sort`.

use super::Command;
use crate::buffer::place;
use crate::editor::{Editor, Res, say};
use crate::searching::{split_pattern, too_hard};

impl Editor {
    pub(super) fn ex_sort(&mut self, c: &Command) -> Res<()> {
        let (mut numbers, mut fold, mut unique, mut inside) = (false, false, false, false);
        let mut pattern = None;
        let mut rest = c.argument.trim_start();
        while let Some(flag) = rest.chars().next() {
            match flag {
                'n' => numbers = true,
                'i' => fold = true,
                'u' => unique = true,
                'r' => inside = true,
                ' ' => {}
                '"' => break,
                '/' => {
                    let (text, after) = split_pattern(&rest[1..], '/');
                    pattern = Some(self.pattern(&text)?);
                    rest = after.unwrap_or("");
                    continue;
                }
                _ => return say(format!("E474: Invalid argument: {rest}")),
            }
            rest = &rest[flag.len_utf8()..];
        }
        let (from, to) = if c.given == 0 { (0, self.buf.len()) } else { (c.from.max(1) - 1, c.to) };
        let mut keyed: Vec<(Option<i64>, Vec<u8>, Vec<u8>)> = Vec::with_capacity(to - from);
        for i in from..to {
            let line = self.buf.line(i).to_vec();
            let mut key = line.clone();
            if let Some(pattern) = &pattern {
                match pattern.find(&self.buf, i, 0).map_err(too_hard)? {
                    Some(m) if inside => {
                        key = line[m.start.col..m.end.col.max(m.start.col).min(line.len())].to_vec()
                    }
                    Some(m) => key = line[m.end.col.min(line.len())..].to_vec(),
                    None if inside => key = Vec::new(),
                    None => {}
                }
            }
            if fold {
                key = String::from_utf8_lossy(&key).to_lowercase().into_bytes();
            }
            keyed.push((numbers.then(|| first_number(&key)).flatten(), key, line));
        }
        if numbers {
            keyed.sort_by_key(|k| k.0);
        } else {
            keyed.sort_by(|a, b| a.1.cmp(&b.1));
        }
        if c.bang {
            // Equal lines keep their order this way, too.
            keyed.reverse();
            if numbers {
                keyed.sort_by_key(|k| std::cmp::Reverse(k.0));
            }
        }
        if unique {
            keyed.dedup_by(|a, b| if numbers { a.0 == b.0 } else { a.1 == b.1 });
        }
        let before = self.buf.len();
        let lines = keyed.into_iter().map(|k| k.2).collect();
        self.buf.replace(from, to - from, lines);
        self.mark_change(place(from, 0), place(from, 0));
        self.go_line(from);
        self.report(before);
        Ok(())
    }
}

/// The first number of a text; none comes before all numbers.
fn first_number(text: &[u8]) -> Option<i64> {
    let at = text.iter().position(u8::is_ascii_digit)?;
    let end = text[at..].iter().position(|c| !c.is_ascii_digit()).map_or(text.len(), |n| at + n);
    let n: i64 = String::from_utf8_lossy(&text[at..end]).parse().unwrap_or(i64::MAX);
    Some(if at > 0 && text[at - 1] == b'-' { -n } else { n })
}
