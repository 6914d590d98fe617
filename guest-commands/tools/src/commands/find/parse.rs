//! The expression of `find`: tests, actions and operators. Evaluating it is `eval`'s business.

use super::Options;
use crate::mode::Mode;
use crate::names;
use crate::os::OsStrExt;
use crate::quote::quote;
use crate::time;
use agentos_guest::fs::{Stat, stat};
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};

pub(crate) const HELP: &str = "Usage: find [-H] [-L] [-P] [path...] [expression]
operators: ( EXPR ) ! EXPR -not EXPR EXPR1 -a EXPR2 EXPR1 -o EXPR2 EXPR1 , EXPR2
options: -depth -maxdepth LEVELS -mindepth LEVELS -xdev -mount -follow
tests: -amin N -atime N -cmin N -ctime N -empty -executable -false -gid N -group NAME -iname PATTERN -inum N
      -ipath PATTERN -iwholename PATTERN -links N -mmin N -mtime N -name PATTERN -newer FILE -newerXY REFERENCE
      -nogroup -nouser -path PATTERN -perm [-/]MODE -readable -samefile FILE -size N[bcwkMG] -true -type [bcdpfls]
      -uid N -user NAME -wholename PATTERN -writable
actions: -delete -exec COMMAND ; -exec COMMAND {} + -ls -print -print0 -printf FORMAT -prune -quit
";

/// Deeper nesting than anybody writes.
const MAX_DEPTH: usize = 200;

/// A number as `find` compares it: `+N` more, `-N` less, `N` exactly.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    More(u64),
    Less(u64),
    Exactly(u64),
}

impl Number {
    pub(crate) fn holds(self, value: u64) -> bool {
        match self {
            Number::More(n) => value > n,
            Number::Less(n) => value < n,
            Number::Exactly(n) => value == n,
        }
    }

    fn parse(text: &str) -> Option<Number> {
        Some(match text.as_bytes().first()? {
            b'+' => Number::More(text[1..].parse().ok()?),
            b'-' => Number::Less(text[1..].parse().ok()?),
            _ => Number::Exactly(text.parse().ok()?),
        })
    }
}

/// Which time of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    Modified,
    Accessed,
    Changed,
    Born,
}

impl Clock {
    /// This time of a file: seconds and nanoseconds.
    pub(crate) fn of(self, s: &Stat) -> (i64, u32) {
        match self {
            Clock::Modified => (s.mtime, s.mtime_nsec),
            Clock::Accessed => (s.atime, s.atime_nsec),
            Clock::Changed => (s.ctime, s.ctime_nsec),
            Clock::Born => (s.btime, s.btime_nsec),
        }
    }
}

/// How `-perm` compares.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bits {
    Exactly(u32),
    All(u32),
    Any(u32),
}

/// A parsed expression.
#[derive(Debug)]
pub(crate) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    List(Vec<Expr>),
    Not(Box<Expr>),
    True,
    False,
    Name { pattern: Vec<u8>, fold: bool },
    Path { pattern: Vec<u8>, fold: bool },
    Type(Vec<u8>),
    Size { number: Number, unit: u64 },
    Empty,
    Newer { clock: Clock, sec: i64, nsec: u32 },
    Age { clock: Clock, number: Number, seconds: i64 },
    Perm(Bits),
    Links(Number),
    Inode(Number),
    User(u32),
    Group(u32),
    Uid(Number),
    Gid(Number),
    NoUser,
    NoGroup,
    SameFile(u64, u64),
    Access(u32),
    Print { end: u8 },
    Printf(String),
    Ls,
    Prune,
    Quit,
    Delete,
    Exec { argv: Vec<OsString> },
    ExecMany { argv: Vec<OsString>, at: usize },
}

struct Parser<'a, 'o> {
    words: std::iter::Peekable<std::slice::Iter<'a, OsString>>,
    options: &'o mut Options,
    acts: bool,
    many: usize,
    depth: usize,
}

/// Parses an expression; without an action, `-print` is added.
pub(crate) fn parse(words: &[OsString], options: &mut Options) -> Result<Expr, String> {
    let mut parser = Parser { words: words.iter().peekable(), options, acts: false, many: 0, depth: 0 };
    let expression = if words.is_empty() { Expr::True } else { parser.list()? };
    if let Some(extra) = parser.words.next() {
        return Err(match extra.as_bytes() {
            b")" => "you have too many ')'".to_owned(),
            _ => format!("paths must precede expression: `{}'", extra.to_string_lossy()),
        });
    }
    let acts = parser.acts;
    Ok(if acts { expression } else { Expr::And(vec![expression, Expr::Print { end: b'\n' }]) })
}

impl Parser<'_, '_> {
    fn take(&mut self, words: &[&str]) -> bool {
        self.words.next_if(|w| words.iter().any(|word| *w == word)).is_some()
    }

    fn list(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.or()?];
        while self.take(&[","]) {
            parts.push(self.or()?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Expr::List(parts) })
    }

    fn or(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.and()?];
        while self.take(&["-o", "-or"]) {
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Expr::Or(parts) })
    }

    fn and(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.not()?];
        loop {
            let explicit = self.take(&["-a", "-and"]);
            let ends = self.words.peek().is_none_or(|w| *w == ")" || *w == "-o" || *w == "-or" || *w == ",");
            if ends && !explicit {
                break;
            }
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Expr::And(parts) })
    }

    fn not(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("expression is nested too deeply".to_owned());
        }
        let result = if self.take(&["!", "-not"]) {
            self.not().map(|e| Expr::Not(Box::new(e)))
        } else if self.take(&["("]) {
            if self.words.peek().is_some_and(|w| *w == ")") {
                return Err("invalid expression; empty parentheses are not allowed.".to_owned());
            }
            let inner = self.list()?;
            if self.take(&[")"]) {
                Ok(inner)
            } else {
                Err("invalid expression; I was expecting to find a ')' somewhere but did not see one."
                    .to_owned())
            }
        } else {
            self.primary()
        };
        self.depth -= 1;
        result
    }

    fn argument(&mut self, word: &str) -> Result<OsString, String> {
        self.words.next().cloned().ok_or_else(|| format!("missing argument to `{word}'"))
    }

    fn number(&mut self, word: &str) -> Result<Number, String> {
        let text = self.argument(word)?;
        let number = text.to_str().and_then(Number::parse);
        number.ok_or_else(|| format!("invalid argument `{}' to `{word}'", text.to_string_lossy()))
    }

    fn primary(&mut self) -> Result<Expr, String> {
        let Some(word) = self.words.next() else { return Err("expected an expression".to_owned()) };
        let text = word.to_string_lossy().into_owned();
        let name = text.as_str();
        let fold = name.starts_with("-i");
        Ok(match name {
            "-name" | "-iname" => Expr::Name { pattern: self.argument(name)?.as_bytes().to_vec(), fold },
            "-path" | "-wholename" | "-ipath" | "-iwholename" => {
                Expr::Path { pattern: self.argument(name)?.as_bytes().to_vec(), fold }
            }
            "-type" => {
                let kinds = self.argument(name)?;
                let letters: Vec<u8> = kinds.as_bytes().iter().copied().filter(|b| *b != b',').collect();
                match letters.iter().find(|b| !b"bcdpfls".contains(b)) {
                    Some(bad) => return Err(format!("Unknown argument to -type: {}", char::from(*bad))),
                    None if letters.is_empty() => {
                        return Err("Arguments to -type should contain at least one letter".to_owned());
                    }
                    None => Expr::Type(letters),
                }
            }
            "-size" => self.size()?,
            "-empty" => Expr::Empty,
            "-newer" => self.newer("-newermm")?,
            "-anewer" => self.newer("-neweram")?,
            "-cnewer" => self.newer("-newercm")?,
            _ if name.len() == 8 && name.starts_with("-newer") => {
                if self.words.peek().is_none() {
                    return Err(format!("The {} test needs an argument", quote(OsStr::new(name))));
                }
                self.newer(name)?
            }
            "-mtime" => Expr::Age { clock: Clock::Modified, number: self.number(name)?, seconds: 86_400 },
            "-atime" => Expr::Age { clock: Clock::Accessed, number: self.number(name)?, seconds: 86_400 },
            "-ctime" => Expr::Age { clock: Clock::Changed, number: self.number(name)?, seconds: 86_400 },
            "-mmin" => Expr::Age { clock: Clock::Modified, number: self.number(name)?, seconds: 60 },
            "-amin" => Expr::Age { clock: Clock::Accessed, number: self.number(name)?, seconds: 60 },
            "-cmin" => Expr::Age { clock: Clock::Changed, number: self.number(name)?, seconds: 60 },
            "-perm" => self.perm()?,
            "-links" => Expr::Links(self.number(name)?),
            "-inum" => Expr::Inode(self.number(name)?),
            "-uid" => Expr::Uid(self.number(name)?),
            "-gid" => Expr::Gid(self.number(name)?),
            "-user" => {
                let user = self.argument(name)?.to_string_lossy().into_owned();
                Expr::User(
                    names::user_operand(&user).ok_or_else(|| {
                        format!("{} is not the name of a known user", quote(OsStr::new(&user)))
                    })?,
                )
            }
            "-group" => {
                let group = self.argument(name)?.to_string_lossy().into_owned();
                Expr::Group(names::group_operand(&group).ok_or_else(|| {
                    format!("{} is not the name of an existing group", quote(OsStr::new(&group)))
                })?)
            }
            "-nouser" => Expr::NoUser,
            "-nogroup" => Expr::NoGroup,
            "-samefile" => {
                let path = self.argument(name)?;
                let s = self.reference(&path)?;
                Expr::SameFile(s.dev, s.ino)
            }
            "-readable" => Expr::Access(agentos_guest::fs::R_OK),
            "-writable" => Expr::Access(agentos_guest::fs::W_OK),
            "-executable" => Expr::Access(agentos_guest::fs::X_OK),
            "-true" => Expr::True,
            "-false" => Expr::False,
            "-print" => self.action(Expr::Print { end: b'\n' }),
            "-print0" => self.action(Expr::Print { end: 0 }),
            "-printf" => {
                let format = self.argument(name)?.to_string_lossy().into_owned();
                self.action(Expr::Printf(format))
            }
            "-ls" => self.action(Expr::Ls),
            "-prune" => Expr::Prune,
            "-quit" => self.action(Expr::Quit),
            "-delete" => {
                self.options.depth_first = true;
                self.action(Expr::Delete)
            }
            "-exec" => self.exec()?,
            "-depth" | "-d" => {
                self.options.depth_first = true;
                Expr::True
            }
            "-maxdepth" | "-mindepth" => {
                let value = self.argument(name)?;
                let Some(depth) = value.to_str().and_then(|v| v.parse().ok()) else {
                    let value = quote(&value);
                    return Err(format!(
                        "Expected a positive decimal integer argument to {name}, but got {value}"
                    ));
                };
                if name == "-maxdepth" {
                    self.options.max_depth = depth
                } else {
                    self.options.min_depth = depth
                }
                Expr::True
            }
            "-xdev" | "-mount" => {
                self.options.one_system = true;
                Expr::True
            }
            "-follow" => {
                (self.options.follow, self.options.follow_operands) = (true, true);
                Expr::True
            }
            "-warn" | "-nowarn" | "-noleaf" | "-ignore_readdir_race" | "-noignore_readdir_race" => Expr::True,
            ")" => return Err("invalid expression; you have too many ')'".to_owned()),
            _ if name.starts_with('-') => return Err(format!("unknown predicate `{name}'")),
            _ => return Err(format!("paths must precede expression: `{name}'")),
        })
    }

    fn action(&mut self, expression: Expr) -> Expr {
        self.acts = true;
        expression
    }

    fn reference(&self, path: &OsStr) -> Result<Stat, String> {
        stat(path).map_err(|error| format!("{}: {}", quote(path), strerror(&error)))
    }

    /// `-newerXY`: time X of a file against time Y of another, or against a date if Y is `t`.
    fn newer(&mut self, name: &str) -> Result<Expr, String> {
        let clock = |letter: u8| {
            Some(match letter {
                b'a' => Clock::Accessed,
                b'B' => Clock::Born,
                b'c' => Clock::Changed,
                b'm' => Clock::Modified,
                _ => return None,
            })
        };
        let invalid = || format!("invalid predicate `{name}'");
        let [.., file, than] = name.as_bytes() else { return Err(invalid()) };
        let file = clock(*file).ok_or_else(invalid)?;
        let (sec, nsec) = if *than == b't' {
            let text = self.argument(name)?;
            time::parse(&text.to_string_lossy()).ok_or_else(|| {
                format!("I cannot figure out how to interpret {} as a date or time", quote(&text))
            })?
        } else {
            let than = clock(*than).ok_or_else(invalid)?;
            let path = self.argument(name)?;
            than.of(&self.reference(&path)?)
        };
        Ok(Expr::Newer { clock: file, sec, nsec })
    }

    fn size(&mut self) -> Result<Expr, String> {
        let text = self.argument("-size")?.to_string_lossy().into_owned();
        let (digits, unit) = match text.as_bytes().last() {
            Some(b'b') => (&text[..text.len() - 1], 512),
            Some(b'c') => (&text[..text.len() - 1], 1),
            Some(b'w') => (&text[..text.len() - 1], 2),
            Some(b'k') => (&text[..text.len() - 1], 1024),
            Some(b'M') => (&text[..text.len() - 1], 1 << 20),
            Some(b'G') => (&text[..text.len() - 1], 1 << 30),
            _ => (text.as_str(), 512),
        };
        match Number::parse(digits) {
            Some(number) => Ok(Expr::Size { number, unit }),
            None => Err(format!("Invalid argument `{text}' to -size")),
        }
    }

    fn perm(&mut self) -> Result<Expr, String> {
        let text = self.argument("-perm")?.to_string_lossy().into_owned();
        let bad = || format!("invalid mode {}", quote(OsStr::new(&text)));
        let (kind, mode): (fn(u32) -> Bits, &str) = match text.as_bytes().first() {
            Some(b'-') => (Bits::All, &text[1..]),
            Some(b'/') => (Bits::Any, &text[1..]),
            _ => (Bits::Exactly, &text),
        };
        Ok(Expr::Perm(kind(Mode::parse(mode).ok_or_else(bad)?.apply(0, false, 0))))
    }

    fn exec(&mut self) -> Result<Expr, String> {
        let mut argv: Vec<OsString> = Vec::new();
        let at = self.many;
        self.acts = true;
        loop {
            let Some(word) = self.words.next() else { return Err("missing argument to `-exec'".to_owned()) };
            match word.as_bytes() {
                b";" if argv.is_empty() => return Err("invalid argument `;' to `-exec'".to_owned()),
                b";" => return Ok(Expr::Exec { argv }),
                b"+" if argv.last().is_some_and(|w| w == "{}") => {
                    argv.pop();
                    if argv.is_empty() || argv.iter().any(|w| w == "{}") {
                        return Err("only one instance of {} is supported with -exec ... +".to_owned());
                    }
                    self.many += 1;
                    return Ok(Expr::ExecMany { argv, at });
                }
                _ => argv.push(word.clone()),
            }
        }
    }
}
