//! Tab stops as `expand` and `unexpand` take them: `-t 4`, `-t 2,8`, `-t 2,/4`, `-t 2,+4`. It moves no text.

use crate::context::End;
use crate::os::{OsStrExt, os, os_owned};
use crate::quote::quote;
use std::ffi::{OsStr, OsString};

/// Where tabs end.
#[derive(Debug, Default)]
pub(crate) struct Tabs {
    stops: Vec<u64>,
    /// After the stops, at multiples of this.
    every: u64,
    /// After the stops, so far from each other.
    step: u64,
}

fn fail(message: impl Into<String>) -> End {
    End::Failure(1, message.into())
}

impl Tabs {
    /// Takes one more list.
    pub(crate) fn add(&mut self, list: &OsStr) -> Result<(), End> {
        let text = list.as_bytes();
        let (mut value, mut start, mut kind) = (None, 0, None);
        let mut i = 0;
        loop {
            match text.get(i) {
                None | Some(b',' | b' ' | b'\t') => {
                    if let Some(value) = value.take() {
                        self.stop(value, kind)?;
                    }
                    kind = None;
                    if i == text.len() {
                        return Ok(());
                    }
                }
                Some(mark @ (b'/' | b'+')) => {
                    if value.is_some() {
                        let rest = quote(os(&text[i..]));
                        let mark = char::from(*mark);
                        return Err(fail(format!("'{mark}' specifier not at start of number: {rest}")));
                    }
                    kind = Some(*mark);
                }
                Some(digit @ b'0'..=b'9') => {
                    if value.is_none() {
                        start = i;
                    }
                    let digit = u64::from(digit - b'0');
                    let Some(new) = value.unwrap_or(0_u64).checked_mul(10).and_then(|n| n.checked_add(digit))
                    else {
                        let digits = text[start..].iter().take_while(|b| b.is_ascii_digit()).count();
                        let number = quote(os(&text[start..start + digits]));
                        return Err(fail(format!("tab stop is too large {number}")));
                    };
                    value = Some(new);
                }
                Some(_) => {
                    let rest = quote(os(&text[i..]));
                    return Err(fail(format!("tab size contains invalid character(s): {rest}")));
                }
            }
            i += 1;
        }
    }

    fn stop(&mut self, value: u64, kind: Option<u8>) -> Result<(), End> {
        let place = match kind {
            Some(b'/') => &mut self.every,
            Some(_) => &mut self.step,
            None => {
                for (set, mark) in [(self.every, '/'), (self.step, '+')] {
                    if set != 0 {
                        return Err(fail(format!("'{mark}' specifier only allowed with the last value")));
                    }
                }
                self.stops.push(value);
                return Ok(());
            }
        };
        if *place != 0 {
            let mark = if kind == Some(b'/') { '/' } else { '+' };
            return Err(fail(format!("'{mark}' specifier only allowed with the last value")));
        }
        *place = value;
        Ok(())
    }

    /// Looks whether all lists together make sense.
    pub(crate) fn check(mut self) -> Result<Tabs, End> {
        let mut last = 0;
        for stop in &self.stops {
            if *stop == 0 {
                return Err(fail("tab size cannot be 0"));
            }
            if *stop <= last {
                return Err(fail("tab sizes must be ascending"));
            }
            last = *stop;
        }
        if self.every != 0 && self.step != 0 {
            return Err(fail("'/' specifier is mutually exclusive with '+'"));
        }
        if let ([], 0, 0) = (&self.stops[..], self.every, self.step) {
            self.every = 8;
        } else if let ([one], 0, 0) = (&self.stops[..], self.every, self.step) {
            self.every = *one;
            self.stops.clear();
        } else if self.stops.is_empty() && self.step != 0 {
            self.every = self.step;
            self.step = 0;
        }
        Ok(self)
    }

    /// The next stop after a column, none behind the last.
    pub(crate) fn next(&self, column: u64) -> Option<u64> {
        if let Some(stop) = self.stops.iter().find(|stop| **stop > column) {
            return Some(*stop);
        }
        if self.every != 0 {
            return Some(column + (self.every - column % self.every));
        }
        if self.step != 0 {
            let end = self.stops.last().copied().unwrap_or(0);
            return Some(column + (self.step - (column - end) % self.step));
        }
        None
    }
}

/// Takes `-N` and `-N,M` of old out of the arguments: what is left, and the lists.
pub(crate) fn modern(args: &[OsString], lists: bool) -> (Vec<OsString>, Vec<OsString>) {
    let mut out = Vec::with_capacity(args.len());
    let mut old_lists = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let bytes = arg.as_bytes();
        if bytes == b"--" {
            out.push(arg.clone());
            break;
        }
        let inner = bytes.iter().skip(1).take_while(|b| b"ai".contains(b)).count();
        let digits = bytes.get(1 + inner..).unwrap_or_default();
        let old = bytes.first() == Some(&b'-') && digits.first().is_some_and(u8::is_ascii_digit);
        let length = if lists {
            digits.len()
        } else {
            digits.iter().take_while(|b| b.is_ascii_digit() || **b == b',').count()
        };
        if !old {
            out.push(arg.clone());
            if bytes == b"-t" || bytes == b"--tabs" {
                out.extend(rest.next().cloned());
            }
            continue;
        }
        if inner > 0 {
            out.push(os_owned(bytes[..=inner].to_vec()));
        }
        old_lists.push(os_owned(digits[..length].to_vec()));
        if length < digits.len() {
            out.push(os_owned([b"-", &digits[length..]].concat()));
        }
    }
    out.extend(rest.cloned());
    (out, old_lists)
}
