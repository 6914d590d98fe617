//! History expansion: `!` and `^` in a line that was read, before the shell's grammar sees it. It changes no list.

use super::History;
use crate::shell::Shell;

/// How long a line may become.
const MAX_LINE: usize = 1 << 20;

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expanded {
    /// Nothing was to be expanded.
    Same,
    /// The new line.
    Changed(String),
    /// The new line, which `:p` asks to print and not to run.
    Print(String),
    /// What is wrong.
    Wrong(String),
}

/// What a line is expanded with.
pub(crate) struct Expansion<'a> {
    history: &'a mut History,
    /// The quote that the line begins in.
    pub(crate) quote: Option<char>,
    /// A terminal's shell leaves `[!x]`, `${!x}` and `!(x)` alone.
    pub(crate) lenient: bool,
    extglob: bool,
    print: bool,
}

type Step<T> = Result<T, String>;

impl Shell {
    /// Expands a line; `quote` is the quote that an earlier line of the command left open.
    pub(crate) fn expand_history(&mut self, line: &str, quote: Option<char>) -> Expanded {
        let (lenient, extglob) = (self.interactive, self.shopts.extglob);
        let history = &mut self.history;
        Expansion { history, quote, lenient, extglob, print: false }.run(line)
    }

    /// Expands a line that is read and says what it became, as bash does on standard error; `None` if it is not to be run.
    pub(crate) fn expand_read_line(&mut self, before: &str, line: String) -> Option<String> {
        if !(self.opts.histexpand && self.remembers() && line.contains(['!', '^'])) {
            return Some(line);
        }
        let place = super::join::open_quote(before);
        let text = line.strip_suffix('\n').unwrap_or(&line);
        match self.expand_history(text, place) {
            Expanded::Same => Some(line),
            Expanded::Changed(new) if self.shopts.histverify && self.edits_lines() => {
                self.session.reedit = new;
                None
            }
            Expanded::Changed(new) => {
                self.write_error(&format!("{new}\n"));
                Some(new + "\n")
            }
            Expanded::Print(new) => {
                self.write_error(&format!("{new}\n"));
                self.note_line(before, &new);
                None
            }
            Expanded::Wrong(message) => {
                self.error(&message);
                if self.shopts.histreedit && self.edits_lines() {
                    self.session.reedit = text.to_owned();
                }
                None
            }
        }
    }
}

impl Expansion<'_> {
    fn run(mut self, line: &str) -> Expanded {
        match self.expand(line) {
            Ok(None) => Expanded::Same,
            Ok(Some(new)) if self.print => Expanded::Print(new),
            Ok(Some(new)) => Expanded::Changed(new),
            Err(message) => Expanded::Wrong(message),
        }
    }

    fn expand(&mut self, line: &str) -> Step<Option<String>> {
        let owned;
        let mut line = line;
        if self.quote.is_none() && line.starts_with('^') {
            owned = format!("!!:s{line}");
            line = &owned;
        }
        let chars: Vec<char> = line.chars().collect();
        let mut out = String::new();
        let mut quote = self.quote;
        let mut changed = false;
        let mut at = 0;
        while let Some(&c) = chars.get(at) {
            match (quote, c) {
                (Some('\''), '\'') | (Some('"'), '"') => quote = None,
                (Some('\''), _) => {}
                (_, '\\') => {
                    out.push(c);
                    at += 1;
                    out.extend(chars.get(at));
                    at += 1;
                    continue;
                }
                (None, '\'') => quote = Some('\''),
                (None, '"') => quote = Some('"'),
                (_, '!') if self.expands(&chars, at, quote) => {
                    let (text, next) = self.reference(&chars, at, quote, &out)?;
                    out.push_str(&text);
                    if out.len() > MAX_LINE {
                        return Err("the line becomes too long".into());
                    }
                    changed = true;
                    at = next;
                    continue;
                }
                _ => {}
            }
            out.push(c);
            at += 1;
        }
        Ok(changed.then_some(out))
    }

    /// Whether a `!` begins a reference.
    fn expands(&self, chars: &[char], at: usize, quote: Option<char>) -> bool {
        let Some(&next) = chars.get(at + 1) else { return false };
        if matches!(next, ' ' | '\t' | '\n' | '\r' | '=') || quote == Some('"') && next == '"' {
            return false;
        }
        if next == '(' && (self.extglob || self.lenient) {
            return false;
        }
        if !self.lenient {
            return true;
        }
        let before = |n: usize| at.checked_sub(n).and_then(|i| chars.get(i)).copied();
        let closed = |close| chars[at + 1..].contains(&close);
        !(before(1) == Some('[') && closed(']')
            || before(1) == Some('{') && before(2) == Some('$') && closed('}')
            || before(1) == Some('$'))
    }

    /// The text of the reference at `!`, and where it ends.
    fn reference(
        &mut self,
        chars: &[char],
        start: usize,
        quote: Option<char>,
        so_far: &str,
    ) -> Step<(String, usize)> {
        let mut at = start + 1;
        let (line, mut word_needs_colon) = match chars[at] {
            '#' => {
                at += 1;
                (so_far.to_owned(), true)
            }
            ':' | '^' | '$' | '*' | '%' => (self.back(1, chars, start, at)?, true),
            _ => {
                let (line, next) = self.event(chars, start, quote)?;
                at = next;
                (line, true)
            }
        };
        if chars.get(at).is_some_and(|c| "^$*-%".contains(*c)) {
            word_needs_colon = false;
        }
        let mut text = line;
        if let Some((words, next)) = self.designator(chars, at, word_needs_colon, &text)? {
            text = words;
            at = next;
        }
        self.modifiers(chars, at, text)
    }

    /// The line `n` entries ago.
    fn back(&self, n: usize, chars: &[char], start: usize, end: usize) -> Step<String> {
        let index = self.history.len().checked_sub(n);
        index
            .and_then(|index| self.history.get(index))
            .map(|entry| entry.line.clone())
            .ok_or_else(|| not_found(chars, start, end))
    }

    /// The line that an event names, and where the name ends.
    fn event(&mut self, chars: &[char], start: usize, quote: Option<char>) -> Step<(String, usize)> {
        let mut at = start + 1;
        if chars[at] == '!' {
            return Ok((self.back(1, chars, start, at + 1)?, at + 1));
        }
        let negative = chars[at] == '-' && chars.get(at + 1).is_some_and(char::is_ascii_digit);
        if negative || chars[at].is_ascii_digit() {
            at += usize::from(negative);
            let from = at;
            while chars.get(at).is_some_and(char::is_ascii_digit) {
                at += 1;
            }
            let number: usize = chars[from..at].iter().collect::<String>().parse().unwrap_or(usize::MAX);
            if negative {
                return Ok((self.back(number, chars, start, at)?, at));
            }
            let entry = number.checked_sub(self.history.base()).and_then(|index| self.history.get(index));
            return match entry {
                Some(entry) => Ok((entry.line.clone(), at)),
                None => Err(not_found(chars, start, at)),
            };
        }
        let anywhere = chars[at] == '?';
        at += usize::from(anywhere);
        let from = at;
        while let Some(&c) = chars.get(at) {
            let ends = if anywhere {
                c == '?' || c == '\n'
            } else {
                c.is_whitespace() || ":^$*%;&()|<>".contains(c) || quote == Some(c)
            };
            if ends {
                break;
            }
            at += 1;
        }
        let mut text: String = chars[from..at].iter().collect();
        let end = at;
        if anywhere {
            at += usize::from(chars.get(at) == Some(&'?'));
            if text.is_empty() {
                text = self.history.sought.clone().unwrap_or_default();
            }
            self.history.sought = Some(text.clone());
        }
        if text.is_empty() {
            return Err(not_found(chars, start, at));
        }
        let found =
            self.history.iter().rev().find(|entry| {
                if anywhere { entry.line.contains(&text) } else { entry.line.starts_with(&text) }
            });
        let Some(line) = found.map(|entry| entry.line.clone()) else {
            let end = if anywhere { at } else { end };
            return Err(not_found(chars, start, end));
        };
        if anywhere {
            self.history.found = words(&line).into_iter().find(|word| word.contains(&text));
        }
        Ok((line, at))
    }

    /// The words that a designator takes, and where it ends; `None` if there is no designator.
    fn designator(
        &self,
        chars: &[char],
        at: usize,
        colon: bool,
        line: &str,
    ) -> Step<Option<(String, usize)>> {
        let start = at;
        let mut at = at;
        if chars.get(at) == Some(&':') {
            at += 1;
        } else if colon {
            return Ok(None);
        }
        let words = words(line);
        let last = words.len().saturating_sub(1);
        let wrong = |end: usize| {
            let text: String = chars[start..end.min(chars.len())].iter().collect();
            format!("{text}: bad word specifier")
        };
        let Some(&c) = chars.get(at) else { return Ok(None) };
        if c == '%' {
            return match &self.history.found {
                Some(word) => Ok(Some((word.clone(), at + 1))),
                None => Err(wrong(at + 1)),
            };
        }
        if c == '*' {
            return Ok(Some((words.get(1..).unwrap_or_default().join(" "), at + 1)));
        }
        let (first, next) = match c {
            '-' => (Some(0), at),
            '^' => (Some(1), at + 1),
            '$' => (Some(last), at + 1),
            c if c.is_ascii_digit() => number(chars, at),
            _ => return Ok(None),
        };
        at = next;
        let first = first.unwrap_or(usize::MAX);
        let mut end = first;
        match chars.get(at) {
            Some('*') => {
                at += 1;
                end = last;
            }
            Some('-') => {
                at += 1;
                match chars.get(at) {
                    Some('$') => {
                        at += 1;
                        end = last;
                    }
                    Some('^') => {
                        at += 1;
                        end = 1;
                    }
                    Some(c) if c.is_ascii_digit() => {
                        let (n, next) = number(chars, at);
                        at = next;
                        end = n.unwrap_or(usize::MAX);
                    }
                    // `x-` is all but the last word.
                    _ => end = last.saturating_sub(1),
                }
            }
            _ => {}
        }
        let taken = if first == last + 1 && end == last {
            Some(String::new())
        } else {
            (first <= end).then(|| words.get(first..=end)).flatten().map(|words| words.join(" "))
        };
        match taken {
            Some(text) => Ok(Some((text, at))),
            None => Err(wrong(at)),
        }
    }

    /// Applies `:h`, `:s` and the like.
    fn modifiers(&mut self, chars: &[char], mut at: usize, mut text: String) -> Step<(String, usize)> {
        let mut quoting = None;
        while chars.get(at) == Some(&':') {
            let start = at;
            let Some(&first) = chars.get(at + 1) else { break };
            let (mut global, mut each_word, mut c) = (false, false, first);
            at += 1;
            while matches!(c, 'g' | 'a' | 'G') {
                global |= c != 'G';
                each_word |= c == 'G';
                at += 1;
                c = chars.get(at).copied().unwrap_or('\0');
            }
            at += 1;
            match c {
                'h' => text.truncate(text.rfind('/').unwrap_or(text.len())),
                't' => text = text.rsplit('/').next().unwrap_or_default().to_owned(),
                'r' => text.truncate(text.rfind('.').unwrap_or(text.len())),
                'e' => text = text.rfind('.').map(|i| text[i..].to_owned()).unwrap_or(text),
                'p' => self.print = true,
                'q' | 'x' => quoting = Some(c),
                's' | '&' => {
                    if c == 's' {
                        at = self.pair(chars, at)?;
                    }
                    let Some((old, new)) = self.history.replaced.clone() else {
                        let shown: String = chars[start..at.min(chars.len())].iter().collect();
                        return Err(format!("{shown}: no previous substitution"));
                    };
                    let new = insert(&new, &old);
                    let replaced = if each_word {
                        let words: Vec<String> =
                            words(&text).iter().map(|word| word.replacen(&old, &new, 1)).collect();
                        words.join(" ")
                    } else if global {
                        text.replace(&old, &new)
                    } else {
                        text.replacen(&old, &new, 1)
                    };
                    if old.is_empty() || !text.contains(&old) || replaced.len() > MAX_LINE {
                        let shown: String = chars[start..at.min(chars.len())].iter().collect();
                        return Err(format!("{shown}: substitution failed"));
                    }
                    text = replaced;
                }
                _ => {
                    let shown: String = chars.get(at - 1).map(char::to_string).unwrap_or_default();
                    return Err(format!("{shown}: unrecognized history modifier"));
                }
            }
        }
        match quoting {
            Some('q') => text = format!("'{}'", text.replace('\'', "'\\''")),
            Some(_) => {
                let words: Vec<String> = text
                    .split([' ', '\t', '\n'])
                    .map(|word| format!("'{}'", word.replace('\'', "'\\''")))
                    .collect();
                text = words.join(" ");
            }
            None => {}
        }
        Ok((text, at))
    }

    /// Reads `/old/new/` and keeps it.
    fn pair(&mut self, chars: &[char], mut at: usize) -> Step<usize> {
        let Some(&mark) = chars.get(at) else { return Ok(at) };
        at += 1;
        let mut parts = [String::new(), String::new()];
        for (i, part) in parts.iter_mut().enumerate() {
            while let Some(&c) = chars.get(at) {
                at += 1;
                if c == mark {
                    break;
                }
                if c == '\\' && chars.get(at) == Some(&mark) {
                    part.push(mark);
                    at += 1;
                } else if c == '\\' && i == 1 && chars.get(at) == Some(&'&') {
                    part.push_str("\\&");
                    at += 1;
                } else {
                    part.push(c);
                }
            }
        }
        let [mut old, new] = parts;
        if old.is_empty() {
            let former = self.history.replaced.take().map(|(old, _)| old);
            old = former.or_else(|| self.history.sought.clone()).unwrap_or_default();
        }
        self.history.replaced = Some((old, new));
        Ok(at)
    }
}

/// The replacement with `&` for what was found.
fn insert(new: &str, old: &str) -> String {
    let mut out = String::new();
    let mut chars = new.chars();
    while let Some(c) = chars.next() {
        match c {
            '&' => out.push_str(old),
            '\\' => match chars.next() {
                Some('&') => out.push('&'),
                other => {
                    out.push('\\');
                    out.extend(other);
                }
            },
            c => out.push(c),
        }
    }
    out
}

fn number(chars: &[char], mut at: usize) -> (Option<usize>, usize) {
    let from = at;
    while chars.get(at).is_some_and(char::is_ascii_digit) {
        at += 1;
    }
    (chars[from..at].iter().collect::<String>().parse().ok(), at)
}

fn not_found(chars: &[char], start: usize, end: usize) -> String {
    let shown: String = chars[start..end.min(chars.len())].iter().collect();
    format!("{shown}: event not found")
}

/// The words of a line, roughly as the shell's grammar has them.
fn words(line: &str) -> Vec<String> {
    let chars: Vec<char> = line.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let start = at;
        if ";&|<>()".contains(c) {
            let two = chars.get(at + 1).copied();
            let double = two == Some(c) && !"()".contains(c)
                || matches!((c, two), ('<' | '>', Some('&')) | ('>', Some('|')) | ('&', Some('>')))
                || matches!((c, two), ('<' | '>', Some('(')));
            at += 1 + usize::from(double);
            if double && c == '<' && matches!(chars.get(at), Some('-' | '<')) {
                at += 1;
            }
            if !(double && two == Some('(')) {
                out.push(chars[start..at].iter().collect());
                continue;
            }
            at = close(&chars, at);
        }
        let mut quote = None;
        while let Some(&c) = chars.get(at) {
            match (quote, c) {
                (Some('\''), c) if c != '\'' => {}
                (_, '\\') => at += 1,
                (Some(q), c) if q == c => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"' | '`') => quote = Some(c),
                (None, '$') if chars.get(at + 1) == Some(&'(') => at = close(&chars, at + 2) - 1,
                (None, c) if c.is_whitespace() || ";&|<>()".contains(c) => break,
                _ => {}
            }
            at += 1;
        }
        at = at.min(chars.len());
        out.push(chars[start..at].iter().collect());
    }
    out
}

/// Behind the parenthesis that closes the one before `at`.
fn close(chars: &[char], mut at: usize) -> usize {
    let mut depth = 1;
    while let Some(&c) = chars.get(at) {
        at += 1;
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        let mut history = History::default();
        for entry in ["echo a/b.c 'd e' f", "ls -l|cat"] {
            history.push(entry.into(), None);
        }
        let expansion =
            Expansion { history: &mut history, quote: None, lenient: true, extglob: false, print: false };
        let got = match expansion.run(line) {
            Expanded::Same => line.to_owned(),
            Expanded::Changed(text) | Expanded::Print(text) | Expanded::Wrong(text) => text,
        };
        assert_eq!(got, expected, "{line}");
    }

    #[test]
    fn references() {
        check("!!", "ls -l|cat");
        check("x !1:1:h y", "x a y");
        check("!e:1:t:r", "b");
        check("!echo:2-$", "'d e' f");
        check("!?b.c?:% z", "a/b.c z");
        check("^ls^dir^", "dir -l|cat");
        check("!-2:s/a/x/:p", "echo x/b.c 'd e' f");
        check("!ls:*", "-l | cat");
        check("echo '!!' \\!! ${!x} [!a] a! != ", "echo '!!' \\!! ${!x} [!a] a! != ");
        check("!nope", "!nope: event not found");
        check("!!:9", ":9: bad word specifier");
        check("!!:s/q/r/", ":s/q/r/: substitution failed");
    }
}
