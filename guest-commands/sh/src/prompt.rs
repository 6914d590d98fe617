//! Prompts: the escapes of `PS1` and its like, and `${x@P}`. It writes nothing to a terminal.

use crate::compile::word;
use crate::shell::Shell;
use crate::symbols::{self, sym};
use crate::vars;
use std::time::{SystemTime, UNIX_EPOCH};

/// Around text of a prompt that takes no room on the screen, if lines are edited.
pub(crate) const INVISIBLE: char = '\x01';
pub(crate) const VISIBLE: char = '\x02';

impl Shell {
    /// The text of a prompt: escapes are decoded, then it is expanded as if within double quotes.
    #[inline(never)]
    pub(crate) fn prompt(&mut self, text: &str) -> String {
        let decoded = self.decode_prompt(text);
        if !self.shopts.promptvars && !self.opts.posix {
            return decoded;
        }
        let (status, of_subst) = (self.status, self.subst_status);
        let traced = std::mem::take(&mut self.opts.xtrace);
        let word = word::parse(&decoded, self.line, word::Mode::Prompt);
        let expanded = word.ok().and_then(|word| self.expand_string(&word).ok());
        self.opts.xtrace = traced;
        (self.status, self.subst_status) = (status, of_subst);
        expanded.unwrap_or(decoded)
    }

    fn decode_prompt(&self, text: &str) -> String {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['\\', '!']) {
            out.extend_from_slice(&rest.as_bytes()[..at]);
            rest = &rest[at..];
            let used =
                if rest.starts_with('!') { self.bang(rest, &mut out) } else { self.escape(rest, &mut out) };
            rest = &rest[used..];
        }
        out.extend_from_slice(rest.as_bytes());
        crate::text::from_bytes(out)
    }

    /// An exclamation mark, which is the number of the next entry of the history for POSIX; returns its length.
    fn bang(&self, rest: &str, out: &mut Vec<u8>) -> usize {
        match rest.strip_prefix("!!") {
            Some(_) if self.opts.posix => {
                out.push(b'!');
                2
            }
            None if self.opts.posix => {
                out.extend_from_slice(self.session.history_number.to_string().as_bytes());
                1
            }
            _ => {
                out.push(b'!');
                1
            }
        }
    }

    /// Decodes the escape at the start; returns its length.
    fn escape(&self, rest: &str, out: &mut Vec<u8>) -> usize {
        let Some(letter) = rest[1..].chars().next() else {
            out.push(b'\\');
            return 1;
        };
        let mut used = 1 + letter.len_utf8();
        match letter {
            'a' => out.push(7),
            'e' => out.push(27),
            'r' => out.push(b'\r'),
            'n' if self.session.edits => out.extend_from_slice(b"\r\n"),
            'n' => out.push(b'\n'),
            '\\' => out.push(b'\\'),
            '[' | ']' if !self.session.edits => {}
            '[' => out.push(INVISIBLE as u8),
            ']' => out.push(VISIBLE as u8),
            '0'..='7' => match octal(&rest.as_bytes()[1..]) {
                Some(byte) => {
                    out.extend((byte != 0).then_some(byte));
                    used = 4;
                }
                None => out.extend([b'\\', letter as u8]),
            },
            'D' if rest[2..].starts_with('{') => {
                let format = &rest[3..];
                let end = format.find('}');
                used = end.map_or(rest.len(), |end| 3 + end + 1);
                let format = &format[..end.unwrap_or(format.len())];
                out.extend_from_slice(self.now(if format.is_empty() { "%X" } else { format }).as_bytes());
            }
            letter => match self.fact(letter) {
                Some(text) => out.extend_from_slice(text.as_bytes()),
                None => out.extend_from_slice(&rest.as_bytes()[..used]),
            },
        }
        used
    }

    /// What a letter stands for that names something outside of the prompt.
    fn fact(&self, letter: char) -> Option<String> {
        Some(match letter {
            'd' => self.now("%a %b %d"),
            't' => self.now("%H:%M:%S"),
            'T' => self.now("%I:%M:%S"),
            '@' => self.now("%I:%M %p"),
            'A' => self.now("%H:%M"),
            'h' => {
                let host = host_name();
                host.split('.').next().unwrap_or_default().to_owned()
            }
            'H' => host_name(),
            'u' => user_name(),
            's' => self.session.name.rsplit('/').next().unwrap_or_default().to_owned(),
            'v' => self.version(2),
            'V' => self.version(3),
            'j' => self.jobs.list.len().to_string(),
            'l' => terminal_name(),
            'w' | 'W' => self.directory(letter == 'W'),
            '!' => self.session.history_number.to_string(),
            '#' => self.session.command_number.to_string(),
            '$' if agentos_guest::user::geteuid() == 0 => "#".to_owned(),
            '$' if self.shopts.promptvars || self.opts.posix => "\\$".to_owned(),
            '$' => "$".to_owned(),
            _ => return None,
        })
    }

    fn now(&self, format: &str) -> String {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.date(format, since.as_secs() as i64)
    }

    /// A moment as strftime(3) writes it, in the time zone of `TZ` of the environment.
    pub(crate) fn date(&self, format: &str, seconds: i64) -> String {
        let exported = |name: &str| {
            let name = sym(name);
            self.vars.get(name).filter(|_| self.vars.flags(name) & vars::EXPORT != 0)
        };
        let zone = agentos_tz::Zone::kept(exported("TZ").as_deref(), exported("TZDIR").as_deref());
        agentos_tz::format(format, seconds, None, &zone)
    }

    /// The first numbers of the version.
    fn version(&self, numbers: usize) -> String {
        let version = self.vars.get(symbols::BASH_VERSION).unwrap_or_default();
        let version = version.split('(').next().unwrap_or_default();
        version.split('.').take(numbers).collect::<Vec<_>>().join(".")
    }

    /// The working directory, or its last part.
    fn directory(&self, last: bool) -> String {
        let here = self.vars.get(symbols::PWD).unwrap_or_default();
        let home = self.vars.get(symbols::HOME).unwrap_or_default();
        let trim = self.vars.integer(sym("PROMPT_DIRTRIM")).unwrap_or(0);
        let shown = if last { last_part(&here, &home) } else { shorten(&here, &home, trim) };
        if self.shopts.promptvars || self.opts.posix { quote(&shown) } else { shown }
    }
}

/// The byte of three octal digits.
fn octal(digits: &[u8]) -> Option<u8> {
    let digits = digits.get(..3)?;
    digits
        .iter()
        .try_fold(0u32, |n, d| matches!(d, b'0'..=b'7').then(|| n * 8 + u32::from(d - b'0')))
        .map(|n| n as u8)
}

fn last_part(path: &str, home: &str) -> String {
    if path == home && path.len() > 1 {
        return "~".into();
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() { path.to_owned() } else { name.to_owned() }
}

/// A path with `~` for the home directory, and at most the last `trim` parts if that is positive.
fn shorten(path: &str, home: &str, trim: i64) -> String {
    let below =
        path.strip_prefix(home).filter(|rest| home.len() > 1 && (rest.is_empty() || rest.starts_with('/')));
    let (head, rest) = match below {
        Some(rest) if rest.len() > 1 => ("~/", &rest[1..]),
        Some(rest) => return format!("~{rest}"),
        None => ("", path),
    };
    let tail =
        usize::try_from(trim).ok().filter(|n| *n > 0).and_then(|n| rest.rmatch_indices('/').nth(n - 1));
    match tail {
        // Dots in place of no more than they take would hide and not shorten.
        Some((at, _)) if at > 3 => format!("{head}...{}", &rest[at..]),
        _ => format!("{head}{rest}"),
    }
}

/// Text that expansion within double quotes leaves as it is.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '$' | '`' | '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn host_name() -> String {
    agentos_guest::system::uname().map(|names| names.nodename).unwrap_or_default()
}

/// The name of the user in `/etc/passwd`.
fn user_name() -> String {
    let uid = agentos_guest::user::geteuid().to_string();
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut users = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    users
        .find_map(|fields| fields.first().copied().filter(|_| fields.get(2) == Some(&uid.as_str())))
        .map_or_else(|| "I have no name!".to_owned(), str::to_owned)
}

/// The last part of the name of the terminal.
fn terminal_name() -> String {
    let path = agentos_guest::tty::ttyname(0).ok();
    let name =
        path.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "tty".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, home, trim, wanted) in [
            ("/usr/share/doc/bash", "/none", 2, ".../doc/bash"),
            ("/usr/share/doc/bash", "/usr/share", 2, "~/doc/bash"),
            ("/usr/share/doc/bash", "/usr", 2, "~/.../doc/bash"),
            ("/usr/share/doc/bash", "/usr", 0, "~/share/doc/bash"),
            ("/usr/share/doc/bash", "/us", -1, "/usr/share/doc/bash"),
            ("/usr/share/doc/bash", "/usr/", 9, "/usr/share/doc/bash"),
            ("/d/a/b/c", "/d", 1, "~/a/b/c"),
            ("/tmp/e/a", "/none", 3, "/tmp/e/a"),
            ("/", "/", 1, "/"),
            ("/d", "/d", 1, "~"),
            ("", "", 1, ""),
        ] {
            assert_eq!(shorten(path, home, trim), wanted, "{path} {home} {trim}");
        }
        assert_eq!(last_part("/", "/"), "/");
        assert_eq!(last_part("/a/b", "/a"), "b");
        assert_eq!(last_part("/a", "/a"), "~");
    }

    #[test]
    fn numbers() {
        for (text, wanted) in [("045", Some(0o45)), ("555", Some(0o155)), ("18x", None), ("7", None)] {
            assert_eq!(octal(text.as_bytes()), wanted, "{text}");
        }
    }
}
