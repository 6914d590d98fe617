//! Reads scripts of `sed`, with GNU's words for what is wrong and where. It executes nothing and opens only the files that
//! hold scripts.

use super::script::{Address, Command, Pattern, Range, Script, Substitute, Transliterate, Until, Verb};
use super::text::{self, Source};
use crate::regex::{Flags, Regex, Syntax};
use std::cell::Cell;
use std::rc::Rc;

/// More nested blocks than anybody writes.
const MAX_BLOCKS: usize = 1000;

/// What the command line says of the script.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    pub(super) extended: bool,
    pub(super) posix: bool,
    pub(super) sandbox: bool,
}

/// A piece of the script: an `-e` or a file.
pub(super) enum Piece {
    Expression(Vec<u8>),
    /// A file's name and its content.
    File(String, Vec<u8>),
}

/// Why a script is refused: the message and the exit status.
pub(super) type Refusal = (String, i32);

pub(super) fn parse(pieces: Vec<Piece>, dialect: Dialect) -> Result<Script, Refusal> {
    let mut parser = Parser {
        dialect,
        script: Script::default(),
        blocks: Vec::new(),
        labels: Vec::new(),
        jumps: Vec::new(),
        pending: false,
    };
    let mut expressions = 0;
    for (number, piece) in pieces.into_iter().enumerate() {
        let first = number == 0;
        match piece {
            Piece::Expression(text) => {
                expressions += 1;
                let mut source = Source::new(&text);
                parser.piece(&mut source, first).map_err(|message| {
                    (format!("-e expression #{expressions}, char {}: {message}", source.position()), 1)
                })?;
                if parser.blocks.is_empty() {
                    continue;
                }
            }
            Piece::File(name, text) => {
                let mut source = Source::new(&text);
                parser
                    .piece(&mut source, first)
                    .map_err(|message| (format!("file {name} line {}: {message}", source.line()), 1))?;
            }
        }
    }
    parser.finish(expressions)
}

struct Parser {
    dialect: Dialect,
    script: Script,
    /// The open blocks.
    blocks: Vec<usize>,
    labels: Vec<(Vec<u8>, usize)>,
    jumps: Vec<(Vec<u8>, usize)>,
    /// The last piece ended in `a\`: its text is the next one.
    pending: bool,
}

fn blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

fn space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

impl Parser {
    fn piece(&mut self, s: &mut Source<'_>, first: bool) -> Result<(), String> {
        if std::mem::take(&mut self.pending) {
            let text = self.text_lines(s);
            if let Some(Command { verb: Verb::Append(t) | Verb::Insert(t) | Verb::Change(t), .. }) =
                self.script.commands.last_mut()
            {
                t.extend(text);
            }
        }
        if first && s.rest().starts_with(b"#n") && matches!(s.rest().get(2), None | Some(b'\n')) {
            self.script.quiet = true;
        }
        loop {
            s.skip(|b| b == b';' || space(b));
            if s.peek().is_none() {
                return Ok(());
            }
            self.command(s)?;
        }
    }

    fn command(&mut self, s: &mut Source<'_>) -> Result<(), String> {
        let mut from = self.address(s)?;
        let mut until = None;
        if let Some(at) = from.as_ref() {
            if matches!(at, Found::Lines(_) | Found::Multiple(_)) {
                return Err("invalid usage of +N or ~N as first address".to_owned());
            }
            s.skip(blank);
            if s.peek() == Some(b',') {
                s.next();
                s.skip(blank);
                let Some(second) = self.address(s)? else {
                    s.next();
                    return Err("unexpected `,'".to_owned());
                };
                until = Some(match second {
                    Found::Address(Address::Zero) => Until::Address(Address::Line(0)),
                    Found::Address(address) => Until::Address(address),
                    Found::Lines(n) => Until::Lines(n),
                    Found::Multiple(n) => Until::Multiple(n),
                });
            }
            let zero_is_wrong = matches!(at, Found::Address(Address::Zero))
                && (!matches!(until, Some(Until::Address(Address::Pattern(_)))) || self.dialect.posix);
            let reads = until.is_none() && s.clone().command_letter() == Some(b'r');
            if zero_is_wrong && !reads {
                s.next();
                return Err("invalid usage of line address 0".to_owned());
            }
        }
        s.skip(space);
        let mut negated = false;
        if s.peek() == Some(b'!') {
            s.next();
            negated = true;
            s.skip(blank);
            if s.peek() == Some(b'!') {
                s.next();
                return Err("multiple `!'s".to_owned());
            }
        }
        let Some(letter) = s.next() else { return Err("missing command".to_owned()) };
        let addresses = usize::from(from.is_some()) + usize::from(until.is_some());
        let from = from.take().map(|found| match found {
            Found::Address(address) => address,
            // Refused above.
            Found::Lines(_) | Found::Multiple(_) => Address::Zero,
        });
        let range = if matches!(from, Some(Address::Zero)) { Range::Active(None) } else { Range::Inactive };
        let at = self.script.commands.len();
        self.script.commands.push(Command {
            from,
            until,
            negated,
            range: Cell::new(range),
            verb: Verb::Nothing,
        });
        let verb = self.verb(s, letter, addresses, at)?;
        self.script.commands[at].verb = verb;
        Ok(())
    }

    fn verb(&mut self, s: &mut Source<'_>, letter: u8, addresses: usize, at: usize) -> Result<Verb, String> {
        let simple = match letter {
            b'=' => Some(Verb::Equals),
            b'd' => Some(Verb::Delete),
            b'D' => Some(Verb::DeleteFirst),
            b'F' => Some(Verb::FileName),
            b'g' => Some(Verb::Get),
            b'G' => Some(Verb::GetAppend),
            b'h' => Some(Verb::Hold),
            b'H' => Some(Verb::HoldAppend),
            b'n' => Some(Verb::Next),
            b'N' => Some(Verb::NextAppend),
            b'p' => Some(Verb::Print),
            b'P' => Some(Verb::PrintFirst),
            b'x' => Some(Verb::Exchange),
            b'z' => Some(Verb::Zap),
            _ => None,
        };
        if let Some(verb) = simple {
            self.end(s)?;
            return Ok(verb);
        }
        match letter {
            b'#' => {
                if addresses > 0 {
                    return Err("comments don't accept any addresses".to_owned());
                }
                s.skip(|b| b != b'\n');
                Ok(Verb::Nothing)
            }
            b'{' => {
                if self.blocks.len() >= MAX_BLOCKS {
                    return Err("too many nested blocks".to_owned());
                }
                self.blocks.push(at);
                Ok(Verb::Block(at))
            }
            b'}' => {
                let Some(begin) = self.blocks.pop() else { return Err("unexpected `}'".to_owned()) };
                if addresses > 0 {
                    return Err("} doesn't want any addresses".to_owned());
                }
                self.script.commands[begin].verb = Verb::Block(at);
                self.end(s)?;
                Ok(Verb::Nothing)
            }
            b':' => {
                if addresses > 0 {
                    return Err(": doesn't want any addresses".to_owned());
                }
                let label = word(s);
                if label.is_empty() {
                    return Err("\":\" lacks a label".to_owned());
                }
                self.labels.push((label, at));
                Ok(Verb::Nothing)
            }
            b'b' | b't' | b'T' => {
                let label = word(s);
                self.jumps.push((label, at));
                Ok(match letter {
                    b'b' => Verb::Branch(at),
                    b't' => Verb::BranchIf(at),
                    _ => Verb::BranchUnless(at),
                })
            }
            b'a' | b'i' | b'c' => {
                let text = self.text(s)?;
                Ok(match letter {
                    b'a' => Verb::Append(text),
                    b'i' => Verb::Insert(text),
                    _ => Verb::Change(text),
                })
            }
            b'e' => {
                self.guard()?;
                s.skip(blank);
                let command = s.take_while(|b| b != b'\n').to_vec();
                Ok(Verb::Execute(command))
            }
            b'l' | b'L' | b'q' | b'Q' => {
                if letter != b'l' && addresses > 1 {
                    return Err("command only uses one address".to_owned());
                }
                if letter == b'L' {
                    return Err("unknown command: `L'".to_owned());
                }
                s.skip(blank);
                let digits = s.take_while(|b| b.is_ascii_digit());
                let number = std::str::from_utf8(digits).ok().and_then(|d| d.parse::<u32>().ok());
                self.end(s)?;
                Ok(match letter {
                    b'l' => Verb::List(number.map(|n| n as usize)),
                    b'q' => Verb::Quit((number.unwrap_or(0) & 0xff) as i32),
                    _ => Verb::QuitSilently((number.unwrap_or(0) & 0xff) as i32),
                })
            }
            b'r' => Ok(Verb::Read(self.file_name(s)?)),
            b'R' => {
                let name = self.file_name(s)?;
                Ok(Verb::ReadLine(index(&mut self.script.reads, name)))
            }
            b'w' => Ok(Verb::Write(self.write_file(s)?)),
            b'W' => Ok(Verb::WriteFirst(self.write_file(s)?)),
            b's' => self.substitute(s),
            b'y' => self.transliterate(s),
            b'v' => {
                let version = word(s);
                let version = String::from_utf8_lossy(&version).into_owned();
                let mut numbers = version.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
                let asked = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
                if asked > (4, 8) {
                    return Err("expected newer version of sed".to_owned());
                }
                Ok(Verb::Nothing)
            }
            b'\n' | b';' => Err("missing command".to_owned()),
            other => {
                let shown = String::from_utf8_lossy(s.character_from(other)).into_owned();
                Err(format!("unknown command: `{shown}'"))
            }
        }
    }

    /// What may follow a command.
    fn end(&self, s: &mut Source<'_>) -> Result<(), String> {
        s.skip(blank);
        if matches!(s.peek(), Some(b'\r')) && matches!(s.rest().get(1), None | Some(b'\n')) {
            s.next();
        }
        match s.peek() {
            None | Some(b'}' | b'#') => Ok(()),
            Some(b'\n' | b';') => {
                s.next();
                Ok(())
            }
            Some(_) => {
                s.next();
                Err("extra characters after command".to_owned())
            }
        }
    }

    fn guard(&self) -> Result<(), String> {
        if self.dialect.sandbox {
            return Err("e/r/w commands disabled in sandbox mode".to_owned());
        }
        Ok(())
    }

    fn file_name(&self, s: &mut Source<'_>) -> Result<Vec<u8>, String> {
        self.guard()?;
        s.skip(blank);
        let name = s.take_while(|b| b != b'\n').to_vec();
        if name.is_empty() {
            return Err("missing filename in r/R/w/W commands".to_owned());
        }
        s.next();
        Ok(name)
    }

    fn write_file(&mut self, s: &mut Source<'_>) -> Result<usize, String> {
        let name = self.file_name(s)?;
        Ok(index(&mut self.script.writes, name))
    }

    fn text(&mut self, s: &mut Source<'_>) -> Result<Vec<u8>, String> {
        const EXPECTED: &str = "expected \\ after `a', `c' or `i'";
        s.skip(blank);
        match s.peek() {
            None => return Err(EXPECTED.to_owned()),
            Some(b'\\') => {
                s.next();
                let after = s.clone();
                s.skip(blank);
                match s.peek() {
                    Some(b'\n') => {
                        s.next();
                    }
                    None => {
                        self.pending = true;
                        return Ok(Vec::new());
                    }
                    // `a\text`: the blanks belong to the text, and its first character is taken as it is.
                    Some(_) if self.dialect.posix => return Err(EXPECTED.to_owned()),
                    Some(_) => {
                        *s = after;
                        let first = s.next().filter(|b| *b != b'\\');
                        let mut text: Vec<u8> = first.into_iter().collect();
                        if first.is_none() {
                            s.back();
                        }
                        text.extend(self.text_lines(s));
                        return Ok(text);
                    }
                }
            }
            Some(_) if self.dialect.posix => return Err(EXPECTED.to_owned()),
            Some(_) => {}
        }
        if s.peek().is_none() {
            self.pending = true;
            return Ok(Vec::new());
        }
        Ok(self.text_lines(s))
    }

    /// The text of `a`, `i`, `c` up to a newline without a backslash before it; always ends in a newline.
    fn text_lines(&self, s: &mut Source<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(b) = s.next() {
            match b {
                b'\n' => break,
                b'\\' => match s.peek() {
                    None => {}
                    Some(b'\n') => {
                        s.next();
                        out.push(b'\n');
                    }
                    Some(_) => match crate::regex::escaped_byte(s.rest()) {
                        Some((byte, used)) => {
                            out.push(byte);
                            s.advance(used);
                        }
                        None => out.extend(s.next()),
                    },
                },
                _ => out.push(b),
            }
        }
        out.push(b'\n');
        out
    }

    fn address(&mut self, s: &mut Source<'_>) -> Result<Option<Found>, String> {
        let number = |s: &mut Source<'_>| {
            let digits = s.take_while(|b| b.is_ascii_digit());
            digits.iter().fold(0u64, |n, d| n.saturating_mul(10).saturating_add(u64::from(d - b'0')))
        };
        Ok(Some(match s.peek() {
            Some(b'0'..=b'9') => {
                let first = number(s);
                s.skip(blank);
                if s.peek() == Some(b'~') {
                    s.next();
                    s.skip(blank);
                    return Ok(Some(Found::Address(match number(s) {
                        0 => Address::Line(first),
                        step => Address::Step(first, step),
                    })));
                }
                Found::Address(if first == 0 { Address::Zero } else { Address::Line(first) })
            }
            Some(sign @ (b'+' | b'~')) => {
                s.next();
                s.skip(blank);
                let n = number(s);
                if sign == b'+' { Found::Lines(n) } else { Found::Multiple(n) }
            }
            Some(b'$') => {
                s.next();
                Found::Address(Address::Last)
            }
            Some(mark @ (b'/' | b'\\')) => {
                s.next();
                let mark = if mark == b'/' { Some(mark) } else { s.next() };
                let Some(text) = mark.and_then(|mark| text::pattern(s, mark)) else {
                    return Err("unterminated address regex".to_owned());
                };
                let mut flags = Flags { newlines: true, ..Flags::default() };
                loop {
                    s.skip(blank);
                    match s.peek() {
                        Some(b'I') => flags.fold = true,
                        Some(b'M') => flags.lines = true,
                        _ => break,
                    }
                    s.next();
                }
                Found::Address(Address::Pattern(self.pattern(&text, flags)?))
            }
            _ => return Ok(None),
        }))
    }

    fn pattern(&self, text: &[u8], flags: Flags) -> Result<Pattern, String> {
        if text.is_empty() {
            if flags.fold || flags.lines {
                return Err("cannot specify modifiers on empty regexp".to_owned());
            }
            return Ok(None);
        }
        let syntax = if self.dialect.extended { Syntax::Extended } else { Syntax::Basic };
        Regex::new(text, syntax, flags).map(|regex| Some(Rc::new(regex)))
    }

    fn substitute(&mut self, s: &mut Source<'_>) -> Result<Verb, String> {
        const UNTERMINATED: &str = "unterminated `s' command";
        let Some(mark) = s.next().filter(|b| !matches!(b, b'\n' | b'\\')) else {
            return Err(UNTERMINATED.to_owned());
        };
        let text = text::pattern(s, mark).ok_or(UNTERMINATED)?;
        let replacement = text::raw(s, mark).ok_or(UNTERMINATED)?;
        let mut flags = Flags { newlines: true, ..Flags::default() };
        let (mut global, mut print, mut evaluate, mut number, mut write) = (false, false, false, None, None);
        loop {
            match s.peek() {
                Some(b'i' | b'I') => flags.fold = true,
                Some(b'm' | b'M') => flags.lines = true,
                Some(b'e') => {
                    s.next();
                    self.guard()?;
                    evaluate = true;
                    continue;
                }
                Some(b'p') => {
                    if print {
                        s.next();
                        return Err("multiple `p' options to `s' command".to_owned());
                    }
                    print = true;
                }
                Some(b'g') => {
                    if global {
                        s.next();
                        return Err("multiple `g' options to `s' command".to_owned());
                    }
                    global = true;
                }
                Some(b'0'..=b'9') => {
                    if number.is_some() {
                        s.next();
                        return Err("multiple number options to `s' command".to_owned());
                    }
                    let digits = s.take_while(|b| b.is_ascii_digit());
                    let n = digits
                        .iter()
                        .fold(0u64, |n, d| n.saturating_mul(10).saturating_add(u64::from(d - b'0')));
                    if n == 0 {
                        return Err("number option to `s' command may not be zero".to_owned());
                    }
                    number = Some(n);
                    continue;
                }
                Some(b'w') => {
                    s.next();
                    write = Some(self.write_file(s)?);
                    break;
                }
                Some(b' ' | b'\t' | b'\r') => {}
                None | Some(b'}' | b'#') => break,
                Some(b'\n' | b';') => {
                    s.next();
                    break;
                }
                Some(_) => {
                    s.next();
                    return Err("unknown option to `s'".to_owned());
                }
            }
            s.next();
        }
        let pattern = self.pattern(&text, flags)?;
        let (replacement, most) = text::replacement(&replacement);
        if let Some(pattern) = &pattern
            && most > pattern.groups()
        {
            return Err(format!("invalid reference \\{most} on `s' command's RHS"));
        }
        Ok(Verb::Substitute(Box::new(Substitute {
            pattern,
            replacement,
            grouped: most > 0,
            global,
            print,
            evaluate,
            number: number.unwrap_or(1),
            write,
        })))
    }

    fn transliterate(&mut self, s: &mut Source<'_>) -> Result<Verb, String> {
        const UNTERMINATED: &str = "unterminated `y' command";
        let mark = s.next().filter(|b| !matches!(b, b'\n' | b'\\')).ok_or(UNTERMINATED)?;
        let from = text::raw(s, mark).ok_or(UNTERMINATED)?;
        let to = text::raw(s, mark).ok_or(UNTERMINATED)?;
        let (from, to) = (text::characters(&from, mark), text::characters(&to, mark));
        let lengths = "strings for `y' command are different lengths";
        let verb = match (String::from_utf8(from), String::from_utf8(to)) {
            (Ok(from), Ok(to)) if !(from.is_ascii() && to.is_ascii()) => {
                if from.chars().count() != to.chars().count() {
                    return Err(lengths.to_owned());
                }
                let mut map = std::collections::HashMap::new();
                for (a, b) in from.chars().zip(to.chars()) {
                    map.entry(a).or_insert(b);
                }
                Transliterate::Characters(map)
            }
            (from, to) => {
                let from = from.map_or_else(|e| e.into_bytes(), String::into_bytes);
                let to = to.map_or_else(|e| e.into_bytes(), String::into_bytes);
                if from.len() != to.len() {
                    return Err(lengths.to_owned());
                }
                let mut table: [u8; 256] = std::array::from_fn(|i| i as u8);
                for (a, b) in from.iter().zip(&to).rev() {
                    table[usize::from(*a)] = *b;
                }
                Transliterate::Bytes(Box::new(table))
            }
        };
        self.end(s)?;
        Ok(Verb::Transliterate(Box::new(verb)))
    }

    fn finish(mut self, expressions: usize) -> Result<Script, Refusal> {
        if !self.blocks.is_empty() {
            return Err((format!("-e expression #{}, char 0: unmatched `{{'", expressions.max(1)), 1));
        }
        let end = self.script.commands.len();
        for (label, at) in self.jumps {
            let to = if label.is_empty() {
                end
            } else {
                match self.labels.iter().find(|(name, _)| *name == label) {
                    Some((_, to)) => *to,
                    None => {
                        let label = String::from_utf8_lossy(&label);
                        return Err((format!("can't find label for jump to `{label}'"), 4));
                    }
                }
            };
            match &mut self.script.commands[at].verb {
                Verb::Branch(target) | Verb::BranchIf(target) | Verb::BranchUnless(target) => *target = to,
                _ => {}
            }
        }
        Ok(self.script)
    }
}

/// What stands where an address may.
enum Found {
    Address(Address),
    Lines(u64),
    Multiple(u64),
}

/// A label: up to a blank or a semicolon.
fn word(s: &mut Source<'_>) -> Vec<u8> {
    s.skip(blank);
    s.take_while(|b| !space(b) && b != b';').to_vec()
}

fn index(list: &mut Vec<Vec<u8>>, name: Vec<u8>) -> usize {
    list.iter().position(|known| *known == name).unwrap_or_else(|| {
        list.push(name);
        list.len() - 1
    })
}
