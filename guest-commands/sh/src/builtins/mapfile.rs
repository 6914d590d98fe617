//! `mapfile`, also called `readarray`.

use super::getopt::{Options, number};
use crate::input::Input;
use crate::shell::{Flow, Shell};
use crate::symbols::{self, sym};
use crate::vars::{Key, READONLY, Value};
use agentos_guest::{Errno, errno_of, fd};
use std::collections::BTreeMap;

struct Wanted<'a> {
    strip: bool,
    delimiter: u8,
    /// How many lines; 0 is all.
    max: usize,
    skip: usize,
    origin: Option<i64>,
    from: u32,
    callback: Option<&'a str>,
    quantum: usize,
}

impl<'a> Wanted<'a> {
    /// Takes an option that has a value; what is wrong with it.
    fn take(&mut self, letter: char, value: &'a str) -> Result<(), &'static str> {
        let count = || number(value).and_then(|n| usize::try_from(n).ok());
        match letter {
            'd' => self.delimiter = crate::text::to_bytes(value).first().copied().unwrap_or(0),
            'n' => self.max = count().ok_or("invalid line count")?,
            's' => self.skip = count().ok_or("invalid line count")?,
            'O' => {
                self.origin = Some(
                    number(value)
                        .filter(|n| (0..=i64::from(u32::MAX)).contains(n))
                        .ok_or("invalid array origin")?,
                )
            }
            'u' => {
                let from = count().and_then(|n| u32::try_from(n).ok());
                self.from = from.ok_or("invalid file descriptor specification")?;
                if !fd::is_open(self.from) {
                    return Err("invalid file descriptor: Bad file descriptor");
                }
            }
            'C' => self.callback = Some(value),
            _ => self.quantum = count().filter(|n| *n > 0).ok_or("invalid callback quantum")?,
        }
        Ok(())
    }

    fn text(&self, line: &[u8]) -> String {
        let line = if self.strip { line.strip_suffix(&[self.delimiter]).unwrap_or(line) } else { line };
        // As in bash, a line ends where a text of C would.
        let text = line.split(|b| *b == 0).next().unwrap_or_default();
        crate::text::from_bytes(text.to_vec())
    }
}

pub(super) fn mapfile(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut wanted = Wanted {
        strip: false,
        delimiter: b'\n',
        max: 0,
        skip: 0,
        origin: None,
        from: 0,
        callback: None,
        quantum: 5000,
    };
    let mut options = Options::new(args);
    loop {
        match options.next(sh, "d:u:n:O:tC:c:s:") {
            Ok(Some((letter, Some(value)))) => {
                if let Err(wrong) = wanted.take(letter, value) {
                    return Ok(sh.complain(&args[0], &format!("{value}: {wrong}")));
                }
            }
            Ok(Some(_)) => wanted.strip = true,
            Ok(None) => break,
            Err(status) => return Ok(status),
        }
    }
    let array = options.rest().first().map_or("MAPFILE", String::as_str);
    if array.is_empty() {
        sh.complain(&args[0], "empty array variable name");
        return Ok(2);
    }
    if !crate::text::is_name(array) {
        return Ok(sh.complain(&args[0], &format!("`{array}': not a valid identifier")));
    }
    let name = sh.vars.resolve(sym(array));
    let reserved = matches!(
        name,
        symbols::FUNCNAME
            | symbols::GROUPS
            | symbols::BASH_SOURCE
            | symbols::BASH_LINENO
            | symbols::BASH_ARGC
            | symbols::BASH_ARGV
    );
    if reserved && !sh.vars.is_ordinary(name) {
        // Bash does not say why.
        return Ok(1);
    }
    if sh.vars.flags(name) & READONLY != 0 {
        sh.error(&format!("{array}: readonly variable"));
        return Ok(1);
    }
    if sh.vars.is_assoc(name) {
        return Ok(sh.complain(&args[0], &format!("{array}: not an indexed array")));
    }
    let bytes = if wanted.max == 0 {
        fd::read_to_end(wanted.from).unwrap_or_default()
    } else {
        some_lines(wanted.from, wanted.delimiter, wanted.skip.saturating_add(wanted.max))
    };
    let max = if wanted.max == 0 { usize::MAX } else { wanted.max };
    let lines = bytes.split_inclusive(|b| *b == wanted.delimiter).skip(wanted.skip).take(max);
    let lines = (wanted.origin.unwrap_or(0)..).zip(lines.map(|line| wanted.text(line)));
    let old = match std::mem::take(&mut sh.vars.slot_mut(name).value) {
        _ if wanted.origin.is_none() => BTreeMap::new(),
        Value::Array(old) => old,
        Value::Str(old) => BTreeMap::from([(0, old)]),
        Value::Int(old) => BTreeMap::from([(0, old.to_string())]),
        Value::Unset | Value::Assoc(_) => BTreeMap::new(),
    };
    if wanted.callback.is_none() && sh.vars.flags(name) == 0 {
        // Made at once, which is faster than line by line.
        let items = if old.is_empty() {
            lines.collect()
        } else {
            let mut old = old;
            old.extend(lines);
            old
        };
        sh.vars.put(name, Value::Array(items));
        return Ok(0);
    }
    sh.vars.put(name, Value::Array(old));
    for (count, (at, line)) in lines.enumerate() {
        if let Some(callback) = wanted.callback
            && (count + 1) % wanted.quantum == 0
        {
            let quoted = line.replace('\'', "'\\''");
            sh.eval(&format!("{callback} {at} '{quoted}'"))?;
            sh.flush();
        }
        if super::assigned(sh.set_element(name, Key::Number(at), line, false))? != 0 {
            return Ok(1);
        }
    }
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
