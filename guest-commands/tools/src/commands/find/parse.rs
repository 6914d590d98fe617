//! The expression of `find`: tests, actions and operators. Evaluating it is `eval`'s business.

use super::Options;
use super::format::{self, Piece};
use crate::mode::Mode;
use crate::names;
use crate::os::OsStrExt;
use crate::quote::quote;
use crate::regex::{Flags, Regex, Syntax, translate};
use crate::time;
use agentos_guest::fs::{Stat, lstat, stat};
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};

pub(crate) const HELP: &str = "Usage: find [-H] [-L] [-P] [path...] [expression]
operators: ( EXPR ) ! EXPR -not EXPR EXPR1 -a EXPR2 EXPR1 -o EXPR2 EXPR1 , EXPR2
options: -daystart -depth -files0-from FILE -maxdepth LEVELS -mindepth LEVELS -xdev -mount -follow -regextype TYPE
tests: -amin N -atime N -cmin N -ctime N -empty -executable -false -fstype TYPE -gid N -group NAME -iname PATTERN -inum N
      -ilname PATTERN -ipath PATTERN -iregex PATTERN -iwholename PATTERN -links N -lname PATTERN -mmin N -mtime N -name PATTERN -newer FILE -newerXY REFERENCE
      -nogroup -nouser -path PATTERN -perm [-/]MODE -readable -regex PATTERN -samefile FILE -size N[bcwkMG] -true -type [bcdpfls]
      -uid N -used N -user NAME -wholename PATTERN -writable -xtype [bcdpfls]
actions: -delete -exec COMMAND ; -exec COMMAND {} + -execdir COMMAND ; -execdir COMMAND {} + -ok COMMAND ;
      -okdir COMMAND ; -ls -fls FILE -print -fprint FILE -print0 -fprint0 FILE -printf FORMAT -fprintf FILE FORMAT
      -prune -quit
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
pub(crate) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    List(Vec<Expr>),
    Not(Box<Expr>),
    True,
    False,
    Name {
        pattern: Vec<u8>,
        fold: bool,
    },
    Path {
        pattern: Vec<u8>,
        fold: bool,
    },
    Type(Vec<u8>),
    Size {
        number: Number,
        unit: u64,
    },
    Empty,
    Newer {
        clock: Clock,
        sec: i64,
        nsec: u32,
    },
    /// `from`: where days are counted from, if not now.
    Age {
        clock: Clock,
        number: Number,
        seconds: i64,
        from: Option<i64>,
    },
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
    Regex(Regex),
    LinkName {
        pattern: Vec<u8>,
        fold: bool,
    },
    /// The kind of what a link leads to, or with links followed of the link.
    OtherType(Vec<u8>),
    /// Days between the last change and the last access.
    Used(Number),
    FileSystem(Vec<u8>),
    /// `to` is one of the files of `-fprint`; standard output without one.
    Print {
        end: u8,
        to: Option<usize>,
    },
    Printf {
        format: Vec<Piece>,
        to: Option<usize>,
    },
    Ls {
        to: Option<usize>,
    },
    Prune,
    Quit,
    Delete,
    /// `in_dir`: in the directory of the file; `ask`: only when told to.
    Exec {
        argv: Vec<OsString>,
        in_dir: bool,
        ask: bool,
    },
    ExecMany {
        argv: Vec<OsString>,
        at: usize,
        in_dir: bool,
    },
}

struct Parser<'a, 'o> {
    words: std::iter::Peekable<std::slice::Iter<'a, OsString>>,
    options: &'o mut Options,
    acts: bool,
    many: usize,
    depth: usize,
    /// The last word that was read as a predicate.
    last: String,
    syntax: Regextype,
    /// The end of the day, with `-daystart`.
    day_end: Option<i64>,
    prunes: bool,
    deletes: bool,
    depth_given: bool,
}

/// How patterns of `-regex` are written.
#[derive(Clone, Copy)]
enum Regextype {
    /// Basic, but with `+` and `?` as operators.
    Emacs,
    Basic,
    Extended,
}

const REGEXTYPES: &[(&str, Regextype)] = &[
    ("findutils-default", Regextype::Emacs),
    ("ed", Regextype::Basic),
    ("emacs", Regextype::Emacs),
    ("gnu-awk", Regextype::Extended),
    ("grep", Regextype::Basic),
    ("posix-awk", Regextype::Extended),
    ("awk", Regextype::Extended),
    ("posix-basic", Regextype::Basic),
    ("posix-egrep", Regextype::Extended),
    ("egrep", Regextype::Extended),
    ("posix-extended", Regextype::Extended),
    ("posix-minimal-basic", Regextype::Basic),
    ("sed", Regextype::Basic),
];

/// A file that an action writes to.
pub(crate) struct Target {
    name: OsString,
    /// None: standard output.
    pub(crate) file: Option<std::io::BufWriter<std::fs::File>>,
}

/// Parses an expression; without an action, `-print` is added.
pub(crate) fn parse(words: &[OsString], options: &mut Options) -> Result<Expr, String> {
    let mut parser = Parser {
        words: words.iter().peekable(),
        options,
        acts: false,
        many: 0,
        depth: 0,
        last: String::new(),
        syntax: Regextype::Emacs,
        day_end: None,
        prunes: false,
        deletes: false,
        depth_given: false,
    };
    let expression = if words.is_empty() { Expr::True } else { parser.list()? };
    if let Some(extra) = parser.words.next() {
        return Err(match extra.as_bytes() {
            b")" => "you have too many ')'".to_owned(),
            b"-o" | b"-or" | b"-a" | b"-and" => {
                let extra = extra.to_string_lossy();
                format!(
                    "invalid expression; you have used a binary operator '{extra}' with nothing before it."
                )
            }
            _ => format!("paths must precede expression: `{}'", extra.to_string_lossy()),
        });
    }
    if parser.deletes && parser.prunes && !parser.depth_given {
        return Err(
            "The -delete action automatically turns on -depth, but -prune does nothing when -depth is in \
                    effect.  If you want to carry on anyway, just explicitly use the -depth option."
                .to_owned(),
        );
    }
    let acts = parser.acts;
    Ok(if acts { expression } else { Expr::And(vec![expression, Expr::Print { end: b'\n', to: None }]) })
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
            self.operand_of("-o")?;
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
            if explicit {
                self.operand_of("-a")?;
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
        if self.words.peek().is_some_and(|w| matches!(w.as_bytes(), b"-o" | b"-or" | b"-a" | b"-and")) {
            // It says so.
            self.operand_of("")?;
        }
        let negation = self.words.peek().map(|w| w.to_string_lossy().into_owned());
        let result = if self.take(&["!", "-not"]) {
            if self.words.peek().is_none() {
                return Err(format!("expected an expression after '{}'", negation.unwrap_or_default()));
            }
            self.not().map(|e| Expr::Not(Box::new(e)))
        } else if self.take(&["("]) {
            if self.words.peek().is_some_and(|w| *w == ")") {
                return Err("invalid expression; empty parentheses are not allowed.".to_owned());
            }
            if self.words.peek().is_none() {
                return Err("invalid expression; expected to find a ')' but didn't see one. Perhaps you need an extra \
                            predicate after '('"
                    .to_owned());
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

    /// There must be something after a binary operator.
    fn operand_of(&mut self, operator: &str) -> Result<(), String> {
        match self.words.peek().map(|w| w.as_bytes()) {
            None => Err(format!("expected an expression after '{operator}'")),
            Some(b"-o" | b"-or" | b"-a" | b"-and") => {
                let next = self.words.next().map(|w| w.to_string_lossy().into_owned()).unwrap_or_default();
                Err(format!(
                    "invalid expression; you have used a binary operator '{next}' with nothing before it."
                ))
            }
            Some(_) => Ok(()),
        }
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
        let before = std::mem::replace(&mut self.last, text.clone());
        Ok(match name {
            "-name" | "-iname" => Expr::Name { pattern: self.argument(name)?.as_bytes().to_vec(), fold },
            "-path" | "-wholename" | "-ipath" | "-iwholename" => {
                Expr::Path { pattern: self.argument(name)?.as_bytes().to_vec(), fold }
            }
            "-type" => Expr::Type(self.kinds(name)?),
            "-xtype" => Expr::OtherType(self.kinds(name)?),
            "-lname" | "-ilname" => {
                Expr::LinkName { pattern: self.argument(name)?.as_bytes().to_vec(), fold }
            }
            "-regex" | "-iregex" => self.regex(name, fold)?,
            "-regextype" => {
                let kind = self.argument(name)?;
                let Some((_, syntax)) = REGEXTYPES.iter().find(|(known, _)| kind == *known) else {
                    let known: Vec<String> = REGEXTYPES.iter().map(|(k, _)| quote(OsStr::new(k))).collect();
                    return Err(format!(
                        "Unknown regular expression type {}; valid types are {}.",
                        quote(&kind),
                        known.join(", ")
                    ));
                };
                self.syntax = *syntax;
                Expr::True
            }
            "-used" => {
                let text = self.argument(name)?.to_string_lossy().into_owned();
                Expr::Used(Number::parse(&text).ok_or_else(|| format!("Invalid argument {text} to -used"))?)
            }
            "-fstype" => Expr::FileSystem(self.argument(name)?.as_bytes().to_vec()),
            "-daystart" => {
                let now = time::now();
                let clock = time::format(now, 0, "%H %M %S");
                let mut parts = clock.split(' ').map(|p| p.parse::<i64>().unwrap_or(0));
                let mut part = || parts.next().unwrap_or(0);
                let since = part() * 3600 + part() * 60 + part();
                self.day_end = Some(now - since + 86_400);
                Expr::True
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
            "-mtime" => self.age(name, Clock::Modified, 86_400)?,
            "-atime" => self.age(name, Clock::Accessed, 86_400)?,
            "-ctime" => self.age(name, Clock::Changed, 86_400)?,
            "-mmin" => self.age(name, Clock::Modified, 60)?,
            "-amin" => self.age(name, Clock::Accessed, 60)?,
            "-cmin" => self.age(name, Clock::Changed, 60)?,
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
            "-print" => self.action(Expr::Print { end: b'\n', to: None }),
            "-print0" => self.action(Expr::Print { end: 0, to: None }),
            "-fprint" | "-fprint0" => {
                let to = Some(self.target(name)?);
                self.action(Expr::Print { end: if name == "-fprint" { b'\n' } else { 0 }, to })
            }
            "-printf" | "-fprintf" => {
                let to = if name == "-fprintf" { Some(self.target(name)?) } else { None };
                let format = format::parse(self.argument(name)?.as_bytes(), &mut self.options.warnings)?;
                self.action(Expr::Printf { format, to })
            }
            "-ls" => self.action(Expr::Ls { to: None }),
            "-fls" => {
                let to = Some(self.target(name)?);
                self.action(Expr::Ls { to })
            }
            "-prune" => {
                self.prunes = true;
                Expr::Prune
            }
            "-quit" => self.action(Expr::Quit),
            "-delete" => {
                (self.options.depth_first, self.deletes) = (true, true);
                self.action(Expr::Delete)
            }
            "-exec" | "-execdir" | "-ok" | "-okdir" => self.exec(name)?,
            "-depth" | "-d" => {
                (self.options.depth_first, self.depth_given) = (true, true);
                Expr::True
            }
            "-files0-from" => {
                let file = self.argument(name)?;
                self.options.roots_from = Some(file);
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
            _ => {
                let mut message = format!("paths must precede expression: `{name}'");
                if lstat(word).is_ok() && !before.is_empty() {
                    message += &format!("\nfind: possible unquoted pattern after predicate `{before}'?");
                }
                return Err(message);
            }
        })
    }

    fn age(&mut self, name: &str, clock: Clock, seconds: i64) -> Result<Expr, String> {
        Ok(Expr::Age { clock, number: self.number(name)?, seconds, from: self.day_end })
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
            None => Err(format!("invalid -size type `{}'", text.chars().last().unwrap_or_default())),
        }
    }

    fn perm(&mut self) -> Result<Expr, String> {
        let text = self.argument("-perm")?.to_string_lossy().into_owned();
        let bad = || format!("invalid mode {}", quote(OsStr::new(&text)));
        let (kind, mode): (fn(u32) -> Bits, &str) = match text.as_bytes().first() {
            Some(b'-') => (Bits::All, &text[1..]),
            Some(b'/') => (Bits::Any, &text[1..]),
            // What it once meant is written with a slash.
            Some(b'+') if text[1..].starts_with(|c: char| c.is_ascii_digit()) => return Err(bad()),
            _ => (Bits::Exactly, &text),
        };
        Ok(Expr::Perm(kind(Mode::parse(mode).ok_or_else(bad)?.apply(0, false, 0))))
    }

    fn kinds(&mut self, word: &str) -> Result<Vec<u8>, String> {
        let argument = self.argument(word)?;
        let mut letters = Vec::new();
        let mut rest = argument.as_bytes();
        loop {
            let Some((&letter, tail)) = rest.split_first() else {
                return Err(if letters.is_empty() {
                    format!("Arguments to {word} should contain at least one letter")
                } else {
                    format!(
                        "Last file type in list argument to {word} is missing, i.e., list is ending on: ','"
                    )
                });
            };
            if !b"bcdpfls".contains(&letter) {
                return Err(format!("Unknown argument to {word}: {}", char::from(letter)));
            }
            letters.push(letter);
            match tail.split_first() {
                None => return Ok(letters),
                Some((b',', tail)) => rest = tail,
                Some(_) => return Err(format!("Must separate multiple arguments to {word} using: ','")),
            }
        }
    }

    fn regex(&mut self, word: &str, fold: bool) -> Result<Expr, String> {
        let argument = self.argument(word)?;
        let (pattern, syntax) = match self.syntax {
            Regextype::Emacs => (crate::regex::from_emacs(argument.as_bytes()), Syntax::Basic),
            Regextype::Basic => (argument.as_bytes().to_vec(), Syntax::Basic),
            Regextype::Extended => (argument.as_bytes().to_vec(), Syntax::Extended),
        };
        let flags = Flags { fold, lines: false, newlines: true };
        let compiled = translate(&pattern, syntax, true).and_then(|mut translated| {
            // The whole path, not a part of it.
            translated.text = format!("\\A(?:{})\\z", translated.text);
            translated.ambiguous = false;
            Regex::compile(&translated, flags)
        });
        compiled.map(Expr::Regex).map_err(|why| {
            format!("failed to compile regular expression '{}': {why}", argument.to_string_lossy())
        })
    }

    /// The file that an action writes to, opened once however many do.
    fn target(&mut self, word: &str) -> Result<usize, String> {
        let name = self.argument(word)?;
        if let Some(at) = self.options.targets.iter().position(|target| target.name == name) {
            return Ok(at);
        }
        let file = if name == "/dev/stdout" {
            None
        } else {
            let file = std::fs::File::create(&name)
                .map_err(|error| format!("{}: {}", quote(&name), strerror(&error)))?;
            Some(std::io::BufWriter::new(file))
        };
        self.options.targets.push(Target { name, file });
        Ok(self.options.targets.len() - 1)
    }

    fn exec(&mut self, name: &str) -> Result<Expr, String> {
        let (in_dir, ask) = (name.ends_with("dir"), name.starts_with("-ok"));
        let mut argv: Vec<OsString> = Vec::new();
        let at = self.many;
        self.acts = true;
        loop {
            let Some(word) = self.words.next() else { return Err(format!("missing argument to `{name}'")) };
            match word.as_bytes() {
                b";" if argv.is_empty() => return Err(format!("invalid argument `;' to `{name}'")),
                b";" => return Ok(Expr::Exec { argv, in_dir, ask }),
                b"+" if !ask && argv.last().is_some_and(|w| w == "{}") => {
                    argv.pop();
                    if argv.is_empty() || argv.iter().any(|w| w == "{}") {
                        return Err(format!("Only one instance of {{}} is supported with {name} ... +"));
                    }
                    self.many += 1;
                    return Ok(Expr::ExecMany { argv, at, in_dir });
                }
                _ => argv.push(word.clone()),
            }
        }
    }
}
