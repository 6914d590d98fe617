//! `expand` and `unexpand`: tabs to blanks and blanks to tabs. Columns are bytes.

use crate::context::{Cx, End, Outcome, open_input};
use crate::options::Order;
use crate::tabs::{Tabs, modern};
use std::ffi::OsString;
use std::io::{self, Read};

const SPEC: &[&str] = &["i,initial", "t,tabs="];
const HELP: &str = "{} [OPTION]... [FILE]...
Convert tabs in each FILE to spaces, writing to standard output.
  -i, --initial    do not convert tabs after non blanks
  -t, --tabs=N     have tabs N characters apart, not 8
  -t, --tabs=LIST  use comma separated list of tab positions; the last may be /N (multiples of N) or +N
                   (N after the last)";
const UN_SPEC: &[&str] = &["a,all", "first-only", "t,tabs="];
const UN_HELP: &str = "{} [OPTION]... [FILE]...
Convert blanks in each FILE to tabs, writing to standard output.
  -a, --all        convert all blanks, instead of just initial blanks
      --first-only convert only leading sequences of blanks (overrides -a)
  -t, --tabs=N     have tabs N characters apart instead of 8 (enables -a)
  -t, --tabs=LIST  use comma separated list of tab positions; the last may be /N (multiples of N) or +N
                   (N after the last)";

pub(crate) fn expand(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let (args, lists) = modern(args, true);
    let parsed = cx.parse(SPEC, &args, Order::Permute, HELP)?;
    let (mut tabs, mut initial) = (Tabs::default(), false);
    for list in &lists {
        tabs.add(list)?;
    }
    for opt in &parsed.opts {
        match opt.id {
            "initial" => initial = true,
            _ => tabs.add(opt.arg())?,
        }
    }
    let tabs = tabs.check()?;
    let mut line = Expander { tabs, initial, column: 0, converting: true };
    files(cx, &parsed.operands, &mut |bytes, out| line.feed(bytes, out), &mut |_| {})
}

pub(crate) fn unexpand(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let (args, lists) = modern(args, false);
    let parsed = cx.parse(UN_SPEC, &args, Order::Permute, UN_HELP)?;
    let (mut tabs, mut all, mut first) = (Tabs::default(), false, false);
    for list in &lists {
        tabs.add(list)?;
    }
    for opt in &parsed.opts {
        match opt.id {
            "all" => all = true,
            "first-only" => first = true,
            _ => {
                all = true;
                tabs.add(opt.arg())?;
            }
        }
    }
    let line = Unexpander {
        tabs: tabs.check()?,
        all: all && !first,
        column: 0,
        one_before: false,
        before_tab: true,
        converting: true,
        pending: Vec::new(),
    };
    let line = std::cell::RefCell::new(line);
    files(cx, &parsed.operands, &mut |bytes, out| line.borrow_mut().feed(bytes, out), &mut |out| {
        line.borrow_mut().flush(out)
    })
}

type Feed<'a> = &'a mut dyn FnMut(&[u8], &mut Vec<u8>) -> Result<(), End>;

/// Feeds all files, which are one text, and writes what comes out.
fn files(
    cx: &mut Cx,
    operands: &[OsString],
    feed: Feed<'_>,
    finish: &mut dyn FnMut(&mut Vec<u8>),
) -> Outcome {
    let stdin = [OsString::from("-")];
    let files = if operands.is_empty() { &stdin[..] } else { operands };
    let mut out = Vec::new();
    let mut buf = vec![0; 32 * 1024];
    for file in files {
        let mut input = match open_input(file) {
            Ok(input) => input,
            Err(error) => {
                cx.warn_path(file, &error);
                continue;
            }
        };
        loop {
            match input.read(&mut buf) {
                Ok(0) => break,
                Ok(n) => {
                    let fed = feed(&buf[..n], &mut out);
                    cx.put(&out)?;
                    out.clear();
                    fed?;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    cx.warn_path(file, &error);
                    break;
                }
            }
        }
    }
    finish(&mut out);
    cx.put(&out)?;
    Ok(0)
}

/// A tab that ends beyond this is more than any screen or memory has.
const MOST_COLUMN: u64 = 1 << 28;

struct Expander {
    tabs: Tabs,
    initial: bool,
    column: u64,
    converting: bool,
}

impl Expander {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), End> {
        for b in bytes {
            if self.converting {
                match b {
                    b'\t' => {
                        let next = self.tabs.next(self.column).unwrap_or(self.column + 1);
                        if next > MOST_COLUMN {
                            return Err(End::Failure(1, "input line is too long".to_owned()));
                        }
                        out.resize(out.len() + (next - self.column) as usize, b' ');
                        self.column = next;
                        continue;
                    }
                    b'\x08' => self.column = self.column.saturating_sub(1),
                    b'\n' => {}
                    _ => self.column += 1,
                }
                self.converting &= !self.initial || matches!(b, b' ' | b'\t');
            }
            out.push(*b);
            if *b == b'\n' {
                self.column = 0;
                self.converting = true;
            }
        }
        Ok(())
    }
}

struct Unexpander {
    tabs: Tabs,
    all: bool,
    column: u64,
    /// One blank before a tab stop may stay a blank.
    one_before: bool,
    /// What came before was a blank.
    before_tab: bool,
    converting: bool,
    /// Blanks that are not written yet.
    pending: Vec<u8>,
}

impl Unexpander {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), End> {
        for b in bytes {
            self.byte(*b, out);
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        // The blank that stood where a tab ended is that tab now.
        if self.pending.len() > 1 && self.one_before {
            self.pending[0] = b'\t';
        }
        out.append(&mut self.pending);
        self.one_before = false;
    }

    fn byte(&mut self, mut b: u8, out: &mut Vec<u8>) {
        if self.converting {
            let blank = matches!(b, b' ' | b'\t');
            if blank {
                match self.tabs.next(self.column) {
                    None => self.converting = false,
                    Some(next) => {
                        if b == b'\t' {
                            self.column = next;
                            if !self.pending.is_empty() {
                                self.pending[0] = b'\t';
                            }
                        } else {
                            self.column += 1;
                            if !(self.before_tab && self.column == next) {
                                // A tab stop that is reached by one blank alone is none yet.
                                if self.column == next {
                                    self.one_before = true;
                                }
                                self.pending.push(b' ');
                                self.before_tab = true;
                                return;
                            }
                            // So many blanks are one tab.
                            self.pending.clear();
                            self.pending.push(b'\t');
                            b = b'\t';
                        }
                        // What was held before the tab is part of it.
                        self.pending.truncate(usize::from(self.one_before));
                    }
                }
            } else if b == b'\x08' {
                self.column = self.column.saturating_sub(1);
            } else {
                self.column += 1;
            }
            if !self.pending.is_empty() {
                self.flush(out);
            }
            self.before_tab = blank;
            self.converting &= self.all || blank;
        }
        out.push(b);
        if b == b'\n' {
            self.column = 0;
            self.one_before = false;
            self.before_tab = true;
            self.converting = true;
        }
    }
}
