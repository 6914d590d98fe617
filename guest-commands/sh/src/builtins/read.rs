//! `read` and `mapfile`. Input is taken byte by byte where the descriptor may be shared with other programs.

use crate::input::Input;
use crate::shell::{Flow, Shell};
use crate::symbols::{self, sym};
use crate::vars::Value;
use agentos_guest::{Errno, errno_of, fd};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

struct Options {
    raw: bool,
    delimiter: u8,
    count: Option<usize>,
    exact: bool,
    array: Option<String>,
    timeout: Option<f64>,
    from: u32,
}

enum End {
    Delimiter,
    Count,
    File,
    TimedOut,
    Signal(i32),
}

impl Shell {
    /// A line of standard input without its newline, for `select`.
    pub(crate) fn read_line(&mut self) -> Option<String> {
        let mut input = Input::new(0);
        let mut bytes = Vec::new();
        loop {
            match input.next() {
                Ok(None) => {
                    return if bytes.is_empty() { None } else { Some(crate::text::from_bytes(bytes)) };
                }
                Ok(Some(b'\n')) => return Some(crate::text::from_bytes(bytes)),
                Ok(Some(byte)) => bytes.push(byte),
                Err(error) if errno_of(&error) == Some(Errno::EINTR) => {}
                Err(_) => return None,
            }
        }
    }
}

pub(super) fn read(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut o = Options {
        raw: false,
        delimiter: b'\n',
        count: None,
        exact: false,
        array: None,
        timeout: None,
        from: 0,
    };
    let mut words = args[1..].iter();
    let mut names: Vec<&String> = Vec::new();
    while let Some(word) = words.next() {
        if word == "--" {
            names.extend(words.by_ref());
            break;
        }
        let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) else {
            names.push(word);
            names.extend(words.by_ref());
            break;
        };
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            match letter {
                'r' => o.raw = true,
                's' | 'e' => {}
                'd' | 'n' | 'N' | 'a' | 'p' | 't' | 'u' | 'i' => {
                    let tail: String = rest.by_ref().collect();
                    let value = if tail.is_empty() { words.next().cloned() } else { Some(tail) };
                    let Some(value) = value else {
                        sh.complain("read", &format!("-{letter}: option requires an argument"));
                        return Ok(2);
                    };
                    if !option(sh, &mut o, letter, value) {
                        return Ok(1);
                    }
                }
                other => {
                    sh.complain("read", &format!("-{other}: invalid option"));
                    return Ok(2);
                }
            }
        }
    }
    if let Some(bad) = names
        .iter()
        .copied()
        .chain(&o.array)
        .find(|n| !crate::text::is_name(n.split('[').next().unwrap_or("")))
    {
        sh.complain("read", &format!("`{bad}': not a valid identifier"));
        return Ok(1);
    }
    if o.timeout == Some(0.0) {
        return Ok(i32::from(!fd::wait_readable(o.from, 0).unwrap_or(false)));
    }
    let (chars, end) = input(sh, &o);
    if super::assigned(assign(sh, &o, &names, chars))? != 0 {
        return Ok(1);
    }
    Ok(match end {
        End::Delimiter | End::Count => 0,
        End::File => 1,
        End::TimedOut => 142,
        End::Signal(n) => 128 + n,
    })
}

fn option(sh: &mut Shell, o: &mut Options, letter: char, value: String) -> bool {
    match letter {
        'd' => o.delimiter = value.bytes().next().unwrap_or(0),
        'n' | 'N' => {
            o.exact = letter == 'N';
            match value.parse() {
                Ok(n) => o.count = Some(n),
                Err(_) => {
                    sh.complain("read", &format!("{value}: invalid number"));
                    return false;
                }
            }
        }
        'a' => o.array = Some(value),
        't' => match value.parse::<f64>() {
            Ok(t) if t >= 0.0 => o.timeout = Some(t),
            _ => {
                sh.complain("read", &format!("{value}: invalid timeout specification"));
                return false;
            }
        },
        'u' => match value.parse() {
            Ok(n) if fd::is_open(n) => o.from = n,
            _ => {
                sh.complain("read", &format!("{value}: invalid file descriptor: Bad file descriptor"));
                return false;
            }
        },
        'p' if fd::isatty(o.from) => sh.write_error(&value),
        _ => {}
    }
    true
}

/// Reads; each byte comes with whether a backslash quoted it.
fn input(sh: &mut Shell, o: &Options) -> (Vec<(u8, bool)>, End) {
    let deadline = o.timeout.map(|t| Instant::now() + Duration::from_secs_f64(t.min(1e9)));
    let mut out: Vec<(u8, bool)> = Vec::new();
    let mut escaped = false;
    let mut chars = 0;
    let mut source = Input::new(o.from);
    loop {
        if o.count.is_some_and(|n| chars >= n) {
            return (out, End::Count);
        }
        if let Some(deadline) = deadline
            && !source.holds()
        {
            let left = deadline.saturating_duration_since(Instant::now());
            match fd::wait_readable(o.from, i32::try_from(left.as_millis()).unwrap_or(i32::MAX)) {
                Ok(true) => {}
                Ok(false) => return (out, End::TimedOut),
                Err(_) => {
                    if let Some(signal) = sh.caught() {
                        return (out, End::Signal(i32::from(signal.raw())));
                    }
                    continue;
                }
            }
        }
        let b = match source.next() {
            Ok(None) => return (out, End::File),
            Ok(Some(byte)) => byte,
            Err(error) if errno_of(&error) == Some(Errno::EINTR) => {
                if let Some(signal) = sh.caught() {
                    return (out, End::Signal(i32::from(signal.raw())));
                }
                continue;
            }
            Err(error) => {
                sh.complain("read", &format!("read error: {}: {}", o.from, agentos_guest::strerror(&error)));
                return (out, End::File);
            }
        };
        if escaped {
            escaped = false;
            if b != b'\n' {
                out.push((b, true));
                chars += 1;
            }
            continue;
        }
        if b == b'\\' && !o.raw && !o.exact {
            escaped = true;
            continue;
        }
        if b == o.delimiter && !o.exact {
            return (out, End::Delimiter);
        }
        if b != 0 {
            // Only the first byte of a character counts.
            chars += usize::from(b & 0xc0 != 0x80);
            out.push((b, false));
        }
        if o.count.is_some_and(|n| chars >= n) && b >= 0xc0 {
            // The rest of the last character.
            let more = match b {
                0xc0..=0xdf => 1,
                0xe0..=0xef => 2,
                _ => 3,
            };
            for _ in 0..more {
                if let Ok(Some(byte)) = source.next() {
                    out.push((byte, false));
                }
            }
        }
    }
}

fn assign(sh: &mut Shell, o: &Options, names: &[&String], input: Vec<(u8, bool)>) -> Result<(), Flow> {
    let whole = |bytes: &[(u8, bool)]| crate::text::from_bytes(bytes.iter().map(|(b, _)| *b).collect());
    let ifs = sh.ifs();
    if o.array.is_none() && names.is_empty() {
        return sh.set(symbols::REPLY, whole(&input));
    }
    if o.exact && o.array.is_none() {
        for (i, name) in names.iter().enumerate() {
            let value = if i == 0 { whole(&input) } else { String::new() };
            sh.assign_text(name, value)?;
        }
        return Ok(());
    }
    let is_sep = |(b, quoted): &(u8, bool)| !quoted && ifs.has_byte(*b);
    let is_blank = |c: &(u8, bool)| is_sep(c) && matches!(c.0, b' ' | b'\t' | b'\n');
    let mut rest: &[(u8, bool)] = &input;
    let skip_blanks = |rest: &mut &[(u8, bool)]| {
        while rest.first().is_some_and(is_blank) {
            *rest = &rest[1..];
        }
    };
    let next_field = |rest: &mut &[(u8, bool)]| {
        let len = rest.iter().position(is_sep).unwrap_or(rest.len());
        let field = whole(&rest[..len]);
        *rest = &rest[len..];
        skip_blanks(rest);
        if rest.first().is_some_and(|c| is_sep(c) && !is_blank(c)) {
            *rest = &rest[1..];
            skip_blanks(rest);
        }
        field
    };
    skip_blanks(&mut rest);
    if let Some(array) = &o.array {
        let mut items = BTreeMap::new();
        while !rest.is_empty() {
            let field = next_field(&mut rest);
            items.insert(items.len() as i64, field);
        }
        let name = sh.vars.resolve(sym(array));
        sh.vars.put(name, Value::Array(items));
        return Ok(());
    }
    for (i, name) in names.iter().enumerate() {
        let value = if i + 1 < names.len() {
            next_field(&mut rest)
        } else {
            // The last name takes what is left; one trailing separator goes if the rest is a single field.
            let mut end = rest.len();
            while end > 0 && is_blank(&rest[end - 1]) {
                end -= 1;
            }
            let mut left = &rest[..end];
            if let Some(last) = left.last().filter(|c| is_sep(c) && !is_blank(c)) {
                let body = &left[..left.len() - 1];
                let _ = last;
                if !body.iter().any(|c| is_sep(c) && !is_blank(c)) {
                    left = body;
                    while left.last().is_some_and(is_blank) {
                        left = &left[..left.len() - 1];
                    }
                }
            }
            whole(left)
        };
        sh.assign_text(name, value)?;
    }
    Ok(())
}

pub(super) fn mapfile(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (mut strip, mut delimiter, mut max, mut skip, mut origin, mut from) =
        (false, b'\n', usize::MAX, 0usize, None, 0u32);
    let mut words = args[1..].iter();
    let mut array = "MAPFILE".to_owned();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) else {
            array = word.clone();
            continue;
        };
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            if letter == 't' {
                strip = true;
                continue;
            }
            let tail: String = rest.by_ref().collect();
            let value = if tail.is_empty() { words.next().cloned().unwrap_or_default() } else { tail };
            match letter {
                'd' => delimiter = value.bytes().next().unwrap_or(0),
                'n' => max = value.parse().ok().filter(|n| *n > 0).unwrap_or(usize::MAX),
                's' => skip = value.parse().unwrap_or(0),
                'O' => origin = value.parse::<i64>().ok(),
                'u' => from = value.parse().unwrap_or(0),
                'C' | 'c' => {}
                other => {
                    sh.complain(&args[0], &format!("-{other}: invalid option"));
                    return Ok(2);
                }
            }
        }
    }
    let name = sh.vars.resolve(sym(&array));
    let bytes = if max == usize::MAX {
        fd::read_to_end(from).unwrap_or_default()
    } else {
        some_lines(from, delimiter, skip.saturating_add(max))
    };
    let lines = bytes.split_inclusive(|b| *b == delimiter).skip(skip).take(max);
    let lines = (origin.unwrap_or(0)..).zip(lines).map(|(at, line)| {
        let mut line = if strip { line.strip_suffix(&[delimiter]).unwrap_or(line) } else { line }.to_vec();
        if line.contains(&0) {
            line.retain(|b| *b != 0);
        }
        (at, crate::text::from_bytes(line))
    });
    let items = match (origin, std::mem::take(&mut sh.vars.slot_mut(name).value)) {
        (Some(_), Value::Array(mut old)) => {
            old.extend(lines);
            old
        }
        // Made at once, which is faster than line by line.
        _ => lines.collect(),
    };
    sh.vars.put(name, Value::Array(items));
    Ok(0)
}

/// So many lines of a descriptor, and not a byte more.
fn some_lines(from: u32, delimiter: u8, mut count: usize) -> Vec<u8> {
    let mut input = Input::new(from);
    let mut out = Vec::new();
    while count > 0 {
        match input.next() {
            Ok(None) => break,
            Ok(Some(byte)) => {
                out.push(byte);
                count -= usize::from(byte == delimiter);
            }
            Err(error) if errno_of(&error) == Some(Errno::EINTR) => {}
            Err(_) => break,
        }
    }
    out
}
