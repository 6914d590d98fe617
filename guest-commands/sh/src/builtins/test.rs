//! `test` and `[`, and the file tests that `[[ ]]` shares.

use crate::shell::{Flow, Shell};
use agentos_guest::fs::{self, FileType, Stat};

pub(super) fn test(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut words = &args[1..];
    if args[0] == "[" {
        match words.split_last() {
            Some((last, rest)) if last == "]" => words = rest,
            _ => {
                sh.complain("[", "missing `]'");
                return Ok(2);
            }
        }
    }
    let result = match words {
        [] => Ok(false),
        [one] => Ok(!one.is_empty()),
        // The form that nearly all tests have needs no list of its own.
        [left, op, right] if is_binary(op) => binary(left, op, right),
        _ => {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            Parser { words: &words, at: 0, depth: 0 }.evaluate(sh)
        }
    };
    match result {
        Ok(yes) => Ok(i32::from(!yes)),
        Err(Wrong::Flow(flow)) => Err(flow),
        Err(Wrong::Message(message)) => {
            sh.complain(&args[0], &message);
            Ok(2)
        }
    }
}

enum Wrong {
    Message(String),
    Flow(Flow),
}

impl From<Flow> for Wrong {
    fn from(flow: Flow) -> Self {
        Wrong::Flow(flow)
    }
}

/// How deeply parentheses and `!` nest.
const MAX_DEPTH: u32 = 200;

struct Parser<'a> {
    words: &'a [&'a str],
    at: usize,
    depth: u32,
}

impl Parser<'_> {
    /// By the number of arguments first, as POSIX orders.
    fn evaluate(&mut self, sh: &mut Shell) -> Result<bool, Wrong> {
        match self.words {
            [_, _] => self.two(sh, self.words),
            [_, _, _] => self.three(sh, self.words),
            ["!", rest @ ..] if rest.len() == 3 => self.three(sh, rest).map(|b| !b),
            ["(", a, b, ")"] => self.two(sh, &[a, b]),
            _ => {
                let value = self.or(sh)?;
                match self.words.get(self.at) {
                    None => Ok(value),
                    Some(word) if word.starts_with('-') => {
                        Err(Wrong::Message(format!("syntax error: `{word}' unexpected")))
                    }
                    Some(_) => Err(Wrong::Message("too many arguments".into())),
                }
            }
        }
    }

    fn two(&self, sh: &mut Shell, words: &[&str]) -> Result<bool, Wrong> {
        match words {
            ["!", one] => Ok(one.is_empty()),
            [op, operand] if is_unary(op) => Ok(sh.unary_test(op.as_bytes()[1], operand)?),
            [op, ..] => Err(Wrong::Message(format!("{op}: unary operator expected"))),
            [] => Ok(false),
        }
    }

    fn three(&self, sh: &mut Shell, words: &[&str]) -> Result<bool, Wrong> {
        match words {
            [left, op, right] if is_binary(op) => binary(left, op, right),
            [left, "-a", right] => Ok(!left.is_empty() && !right.is_empty()),
            [left, "-o", right] => Ok(!left.is_empty() || !right.is_empty()),
            ["!", rest @ ..] => self.two(sh, rest).map(|b| !b),
            ["(", one, ")"] => Ok(!one.is_empty()),
            [_, op, ..] => Err(Wrong::Message(format!("{op}: binary operator expected"))),
            _ => Ok(false),
        }
    }

    fn or(&mut self, sh: &mut Shell) -> Result<bool, Wrong> {
        let mut value = self.and(sh)?;
        while self.words.get(self.at) == Some(&"-o") {
            self.at += 1;
            value |= self.and(sh)?;
        }
        Ok(value)
    }

    fn and(&mut self, sh: &mut Shell) -> Result<bool, Wrong> {
        let mut value = self.primary(sh)?;
        while self.words.get(self.at) == Some(&"-a") {
            self.at += 1;
            value &= self.primary(sh)?;
        }
        Ok(value)
    }

    fn primary(&mut self, sh: &mut Shell) -> Result<bool, Wrong> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Wrong::Message("too many arguments".into()));
        }
        let result = self.inner(sh);
        self.depth -= 1;
        result
    }

    fn inner(&mut self, sh: &mut Shell) -> Result<bool, Wrong> {
        match &self.words[self.at.min(self.words.len())..] {
            [] => Err(Wrong::Message("argument expected".into())),
            ["!", ..] => {
                self.at += 1;
                self.primary(sh).map(|b| !b)
            }
            ["(", ..] => {
                self.at += 1;
                let value = self.or(sh)?;
                match self.words.get(self.at) {
                    Some(&")") => {}
                    Some(word) => return Err(Wrong::Message(format!("`)' expected, found {word}"))),
                    None => return Err(Wrong::Message("`)' expected".into())),
                }
                self.at += 1;
                Ok(value)
            }
            [left, op, right, ..] if is_binary(op) => {
                self.at += 3;
                binary(left, op, right)
            }
            ["-t", rest @ ..] => {
                let given = rest.first().filter(|word| super::getopt::number(word).is_some());
                self.at += 1 + usize::from(given.is_some());
                match given {
                    Some(fd) => Ok(sh.unary_test(b't', fd)?),
                    None => Ok(rest.is_empty() && sh.unary_test(b't', "1")?),
                }
            }
            [op, operand, ..] if is_unary(op) => {
                self.at += 2;
                Ok(sh.unary_test(op.as_bytes()[1], operand)?)
            }
            [word, ..] => {
                self.at += 1;
                Ok(!word.is_empty())
            }
        }
    }
}

fn is_unary(op: &str) -> bool {
    matches!(op.as_bytes(), [b'-', c] if b"abcdefghknoprstuvwxzGLNORS".contains(c))
}

fn is_binary(op: &str) -> bool {
    matches!(
        op,
        "=" | "==" | "!=" | "<" | ">" | "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge" | "-nt" | "-ot" | "-ef"
    )
}

/// An operand of `-eq` and its kin: decimal, between blanks.
fn number(text: &str) -> Result<i64, Wrong> {
    let digits = text.as_bytes();
    if (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) {
        return Ok(digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')));
    }
    super::getopt::number(text).ok_or_else(|| Wrong::Message(format!("{text}: integer expression expected")))
}

fn binary(left: &str, op: &str, right: &str) -> Result<bool, Wrong> {
    Ok(match op {
        "=" | "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        ">" => left > right,
        "-nt" => newer(left, right),
        "-ot" => newer(right, left),
        "-ef" => crate::shell::same_directory(left, right),
        _ => {
            let (a, b) = (number(left)?, number(right)?);
            match op {
                "-eq" => a == b,
                "-ne" => a != b,
                "-lt" => a < b,
                "-le" => a <= b,
                "-gt" => a > b,
                _ => a >= b,
            }
        }
    })
}

fn stat(path: &str) -> Option<Stat> {
    if path.is_empty() { None } else { fs::stat(&*crate::text::os(path)).ok() }
}

fn is_type(path: &str, wanted: FileType) -> bool {
    stat(path).is_some_and(|s| fs::file_type(s.mode) == wanted)
}

pub(crate) fn is_dir(path: &str) -> bool {
    is_type(path, FileType::Dir)
}

pub(crate) fn is_file(path: &str) -> bool {
    is_type(path, FileType::File)
}

pub(crate) fn is_fifo(path: &str) -> bool {
    is_type(path, FileType::Fifo)
}

/// Whether a file can be executed.
pub(crate) fn is_program(path: &str) -> bool {
    is_file(path) && fs::access(&*crate::text::os(path), fs::X_OK).is_ok()
}

/// Whether `a` is newer than `b`, or exists while `b` does not.
pub(crate) fn newer(a: &str, b: &str) -> bool {
    match (stat(a), stat(b)) {
        (Some(a), Some(b)) => (a.mtime, a.mtime_nsec) > (b.mtime, b.mtime_nsec),
        (Some(_), None) => true,
        _ => false,
    }
}

impl Shell {
    /// A test with one operand.
    pub(crate) fn unary_test(&mut self, op: u8, text: &str) -> Result<bool, Flow> {
        let may = |mode| !text.is_empty() && fs::access(&*crate::text::os(text), mode).is_ok();
        let has = |f: fn(&Stat) -> bool| stat(text).is_some_and(|s| f(&s));
        Ok(match op {
            b'n' => !text.is_empty(),
            b'z' => text.is_empty(),
            b'a' | b'e' => stat(text).is_some(),
            b'f' => is_file(text),
            b'd' => is_dir(text),
            b'b' => is_type(text, FileType::BlockDevice),
            b'c' => is_type(text, FileType::CharDevice),
            b'p' => is_type(text, FileType::Fifo),
            b'S' => is_type(text, FileType::Socket),
            b'h' | b'L' => {
                fs::lstat(&*crate::text::os(text)).is_ok_and(|s| fs::file_type(s.mode) == FileType::Symlink)
            }
            b's' => has(|s| s.size > 0),
            b'g' => has(|s| s.mode & 0o2000 != 0),
            b'u' => has(|s| s.mode & 0o4000 != 0),
            b'k' => has(|s| s.mode & 0o1000 != 0),
            b'r' => may(fs::R_OK),
            b'w' => may(fs::W_OK),
            b'x' => may(fs::X_OK),
            b'O' => has(|s| s.uid == agentos_guest::user::geteuid()),
            b'G' => has(|s| s.gid == agentos_guest::user::getegid()),
            b'N' => has(|s| (s.mtime, s.mtime_nsec) > (s.atime, s.atime_nsec)),
            b't' => super::getopt::number(text)
                .and_then(|n| u32::try_from(n).ok())
                .is_some_and(agentos_guest::fd::isatty),
            b'o' => self.opts.by_name(text).unwrap_or(false),
            b'v' => self.is_set_text(text)?,
            b'R' => {
                let name = crate::symbols::sym(text);
                self.vars.flags(name) & crate::vars::NAMEREF != 0 && self.vars.is_set(name)
            }
            _ => false,
        })
    }
}
