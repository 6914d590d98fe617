//! `join`: pairs the lines of two sorted files by a field. Fields are ordered by their bytes.

use crate::context::{Cx, End, Outcome, open_input};
use crate::lines::Lines;
use crate::options::Order;
use crate::os::{OsStrExt, os, os_owned};
use crate::quote::{quote, quoteaf, quotef};
use agentos_guest::strerror;
use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::ops::Range;

const SPEC: &[&str] = &[
    "a=",
    "e=",
    "i,ignore-case",
    "j=",
    "1=",
    "2=",
    "o=",
    "t=",
    "v=",
    "check-order",
    "nocheck-order",
    "header",
    "z,zero-terminated",
];
const HELP: &str = "{} [OPTION]... FILE1 FILE2
For each pair of input lines with identical join fields, write a line to standard output.
  -a FILENUM             also print unpairable lines from file FILENUM, where FILENUM is 1 or 2
  -e STRING              replace missing (empty) input fields with STRING
  -i, --ignore-case      ignore differences in case when comparing fields
  -j FIELD               equivalent to '-1 FIELD -2 FIELD'
  -o FORMAT              obey FORMAT while constructing output line: FIELDs or 'auto'
  -t CHAR                use CHAR as input and output field separator
  -v FILENUM             like -a FILENUM, but suppress joined output lines
  -1 FIELD               join on this FIELD of file 1
  -2 FIELD               join on this FIELD of file 2
      --check-order      check that the input is correctly sorted, even if all input lines are pairable
      --nocheck-order    do not check that the input is correctly sorted
      --header           treat the first line in each file as field headers
  -z, --zero-terminated  line delimiter is NUL, not newline";

/// What separates fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tab {
    Blanks,
    Byte(u8),
    /// The line is one field.
    None,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    Never,
    Default,
    Always,
}

/// A field of the output: of a file, counted from 0, or the one that joins.
#[derive(Clone, Copy)]
enum Field {
    Join,
    Of(usize, usize),
}

enum Format {
    Default,
    /// As many fields of each file as its first line has.
    Auto,
    List(Vec<Field>),
}

struct Options {
    unpaired: [bool; 2],
    paired: bool,
    empty: Vec<u8>,
    fold: bool,
    keys: [usize; 2],
    format: Format,
    tab: Tab,
    check: Check,
    header: bool,
    end: u8,
}

fn fail(message: impl Into<String>) -> End {
    End::Failure(1, message.into())
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, &formats(args), Order::Permute, HELP)?;
    let mut o = Options {
        unpaired: [false; 2],
        paired: true,
        empty: Vec::new(),
        fold: false,
        keys: [0; 2],
        format: Format::Default,
        tab: Tab::Blanks,
        check: Check::Default,
        header: false,
        end: b'\n',
    };
    let (mut keys, mut empty, mut tab): ([Option<usize>; 2], Option<OsString>, Option<Tab>) =
        ([None; 2], None, None);
    for opt in &parsed.opts {
        match opt.id {
            "a" | "v" => {
                o.paired &= opt.id == "a";
                match opt.arg().as_bytes() {
                    b"1" => o.unpaired[0] = true,
                    b"2" => o.unpaired[1] = true,
                    _ => return Err(fail(format!("invalid field number: {}", quote(opt.arg())))),
                }
            }
            "e" => {
                if empty.as_deref().is_some_and(|old| old != opt.arg()) {
                    return Err(fail("conflicting empty-field replacement strings"));
                }
                empty = Some(opt.arg().to_owned());
            }
            "ignore-case" => o.fold = true,
            "1" => set_key(&mut keys[0], field_number(opt.arg())?)?,
            "2" => set_key(&mut keys[1], field_number(opt.arg())?)?,
            "j" => {
                let field = field_number(opt.arg())?;
                set_key(&mut keys[0], field)?;
                set_key(&mut keys[1], field)?;
            }
            "o" if opt.arg() == "auto" => o.format = Format::Auto,
            "o" => {
                let mut list = match o.format {
                    Format::List(list) => list,
                    _ => Vec::new(),
                };
                for word in opt.arg().as_bytes().split(|b| matches!(b, b',' | b' ' | b'\t')) {
                    list.push(field(word)?);
                }
                o.format = Format::List(list);
            }
            "t" => {
                let new = match opt.arg().as_bytes() {
                    [] => Tab::None,
                    [b] => Tab::Byte(*b),
                    b"\\0" => Tab::Byte(0),
                    _ => return Err(fail(format!("multi-character tab {}", quote(opt.arg())))),
                };
                if tab.is_some_and(|old| old != new) {
                    return Err(fail("incompatible tabs"));
                }
                tab = Some(new);
            }
            "check-order" => o.check = Check::Always,
            "nocheck-order" => o.check = Check::Never,
            "header" => o.header = true,
            _ => o.end = 0,
        }
    }
    o.keys = keys.map(|key| key.unwrap_or(0));
    o.empty = empty.unwrap_or_default().as_bytes().to_vec();
    o.tab = tab.unwrap_or(Tab::Blanks);
    let (first, second) = match &parsed.operands[..] {
        [] => return Err(cx.missing_operand()),
        [last] => return Err(cx.usage(format!("missing operand after {}", quote(last)))),
        [first, second] => (first, second),
        [_, _, extra, ..] => return Err(cx.usage(format!("extra operand {}", quoteaf(extra)))),
    };
    let mut sides = [Side::open(first, 0, &o)?, Side::open(second, 1, &o)?];
    if first == "-" && second == "-" {
        return Err(fail("both files cannot be standard input: No such file or directory"));
    }
    join(cx, &o, &mut sides)?;
    if sides.iter().any(|side| side.told) {
        return Err(fail("input is not in sorted order"));
    }
    Ok(0)
}

/// Puts the fields of `-o` that are words of their own into the one word.
fn formats(args: &[OsString]) -> Vec<OsString> {
    let mut out: Vec<OsString> = Vec::with_capacity(args.len());
    let mut open = false;
    for (i, arg) in args.iter().enumerate() {
        let bytes = arg.as_bytes();
        let value = i > 0 && args[i - 1] == "-o";
        // Two words at the end are the files, whatever they look like.
        if open && !value && args.len() - i > 2 && field(bytes).is_ok() {
            if let Some(last) = out.last_mut() {
                last.push(" ");
                last.push(arg);
            }
            continue;
        }
        open = value || (bytes.starts_with(b"-o") && bytes.len() > 2);
        if value {
            if let Some(last) = out.last_mut() {
                *last = os_owned([b"-o", bytes].concat());
            }
            // An empty list is still an argument.
            if bytes.is_empty() {
                out.push(arg.clone());
            }
        } else {
            out.push(arg.clone());
        }
    }
    out
}

fn set_key(key: &mut Option<usize>, new: usize) -> Result<(), End> {
    if let Some(old) = key.filter(|old| *old != new) {
        return Err(fail(format!("incompatible join fields {}, {}", old + 1, new + 1)));
    }
    *key = Some(new);
    Ok(())
}

fn field_number(text: &OsStr) -> Result<usize, End> {
    let digits = text.as_bytes();
    let number = digits.iter().try_fold(0_usize, |n, b| {
        b.is_ascii_digit().then(|| n.saturating_mul(10).saturating_add(usize::from(b - b'0')))
    });
    match number {
        Some(number @ 1..) => Ok(number - 1),
        _ => Err(fail(format!("invalid field number: {}", quote(text)))),
    }
}

fn field(word: &[u8]) -> Result<Field, End> {
    let shown = quote(os(word));
    match word {
        b"0" => Ok(Field::Join),
        [b'0', ..] => Err(fail(format!("invalid field specifier: {shown}"))),
        [file @ (b'1' | b'2'), b'.', number @ ..] => {
            Ok(Field::Of(usize::from(file - b'1'), field_number(os(number))?))
        }
        [b'1' | b'2', ..] => Err(fail(format!("invalid field specifier: {shown}"))),
        _ => Err(fail(format!("invalid file number in field spec: {shown}"))),
    }
}

/// A line with its fields.
#[derive(Clone, Debug, Default)]
struct Row {
    text: Vec<u8>,
    fields: Vec<Range<usize>>,
}

impl Row {
    fn new(text: &[u8], tab: Tab) -> Row {
        let mut fields = Vec::new();
        match tab {
            Tab::None => fields.push(0..text.len()),
            Tab::Byte(tab) => {
                let mut start = 0;
                for at in memchr::memchr_iter(tab, text) {
                    fields.push(start..at);
                    start = at + 1;
                }
                if !text.is_empty() {
                    fields.push(start..text.len());
                }
            }
            Tab::Blanks => {
                let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\n');
                let mut at = text.iter().take_while(|b| blank(b)).count();
                while at < text.len() {
                    let end = at + text[at..].iter().take_while(|b| !blank(b)).count();
                    fields.push(at..end);
                    let next = end + text[end..].iter().take_while(|b| blank(b)).count();
                    // Blanks at the end begin one more field.
                    if next == text.len() && next > end {
                        fields.push(next..next);
                    }
                    at = next;
                }
            }
        }
        Row { text: text.to_vec(), fields }
    }

    fn field(&self, at: usize) -> &[u8] {
        self.fields.get(at).map_or(b"", |range| &self.text[range.clone()])
    }
}

struct Side {
    lines: Lines,
    name: OsString,
    place: usize,
    /// The lines with the current key, and the one after them.
    group: Vec<Row>,
    next: Option<Row>,
    last: Option<Row>,
    number: u64,
    told: bool,
    auto: usize,
}

impl Side {
    fn open(name: &OsStr, place: usize, o: &Options) -> Result<Side, End> {
        let input =
            open_input(name).map_err(|error| fail(format!("{}: {}", quotef(name), strerror(&error))))?;
        let lines = Lines::new(input, o.end);
        Ok(Side {
            lines,
            name: name.to_owned(),
            place,
            group: Vec::new(),
            next: None,
            last: None,
            number: 0,
            told: false,
            auto: 0,
        })
    }

    /// Reads a line into `next`.
    fn read(&mut self, o: &Options) -> Result<(), End> {
        let more = self.lines.advance().map_err(|error| fail(format!("read error: {}", strerror(&error))))?;
        self.last = self.next.take();
        if more {
            self.number += 1;
            self.next = Some(Row::new(self.lines.line(), o.tab));
        }
        Ok(())
    }

    /// Looks whether `next` comes after the line before it.
    fn check(&mut self, cx: &mut Cx, o: &Options, unpaired: bool) -> Result<(), End> {
        let wanted = o.check == Check::Always || (o.check == Check::Default && unpaired);
        if !wanted || self.told {
            return Ok(());
        }
        let (Some(last), Some(next)) = (&self.last, &self.next) else { return Ok(()) };
        let key = o.keys[self.place];
        if compare(last.field(key), next.field(key), o.fold) != Ordering::Greater {
            return Ok(());
        }
        self.told = true;
        let text = String::from_utf8_lossy(&next.text).into_owned();
        let message = format!("{}:{}: is not sorted: {text}", quotef(&self.name), self.number);
        if o.check == Check::Always {
            return Err(fail(message));
        }
        cx.say(message);
        Ok(())
    }

    fn advance(&mut self, cx: &mut Cx, o: &Options, unpaired: bool) -> Result<(), End> {
        self.read(o)?;
        self.check(cx, o, unpaired)
    }
}

fn compare(a: &[u8], b: &[u8], fold: bool) -> Ordering {
    if fold {
        a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase))
    } else {
        a.cmp(b)
    }
}

fn join(cx: &mut Cx, o: &Options, sides: &mut [Side; 2]) -> Result<(), End> {
    let mut unpaired = false;
    for side in &mut *sides {
        side.read(o)?;
        side.auto = side.next.as_ref().map_or(0, |row| row.fields.len());
    }
    let [left, right] = sides;
    let autos = [left.auto, right.auto];
    let print = |cx: &mut Cx, a: Option<&Row>, b: Option<&Row>| put(cx, o, autos, a, b);
    if o.header && (left.next.is_some() || right.next.is_some()) {
        print(cx, left.next.as_ref(), right.next.as_ref())?;
        for side in [&mut *left, &mut *right] {
            if side.next.is_some() {
                side.next = None;
                side.read(o)?;
            }
        }
    }
    while let (Some(a), Some(b)) = (&left.next, &right.next) {
        match compare(a.field(o.keys[0]), b.field(o.keys[1]), o.fold) {
            Ordering::Less => {
                if o.unpaired[0] {
                    print(cx, Some(a), None)?;
                }
                unpaired = true;
                left.advance(cx, o, true)?;
            }
            Ordering::Greater => {
                if o.unpaired[1] {
                    print(cx, None, Some(b))?;
                }
                unpaired = true;
                right.advance(cx, o, true)?;
            }
            Ordering::Equal => {
                let key = a.field(o.keys[0]).to_vec();
                for side in [&mut *left, &mut *right] {
                    side.group.clear();
                    while let Some(row) = &side.next {
                        if compare(row.field(o.keys[side.place]), &key, o.fold).is_ne() {
                            break;
                        }
                        let row = row.clone();
                        side.group.push(row);
                        side.advance(cx, o, unpaired)?;
                    }
                }
                if o.paired {
                    for a in &left.group {
                        for b in &right.group {
                            print(cx, Some(a), Some(b))?;
                        }
                    }
                }
            }
        }
    }
    for side in [left, right] {
        // What is left has no partner; its order matters if anything does.
        let watched = o.check != Check::Never && !side.told;
        while let Some(row) = &side.next {
            if o.unpaired[side.place] {
                match side.place {
                    0 => print(cx, Some(row), None)?,
                    _ => print(cx, None, Some(row))?,
                }
            } else if !watched || side.told {
                break;
            }
            side.advance(cx, o, true)?;
        }
    }
    Ok(())
}

/// Writes the line of a pair, or of a line without a partner.
fn put(cx: &mut Cx, o: &Options, autos: [usize; 2], a: Option<&Row>, b: Option<&Row>) -> Result<(), End> {
    let between = if let Tab::Byte(tab) = o.tab { tab } else { b' ' };
    let rows = [a, b];
    let mut out = Vec::new();
    let key = |rows: [Option<&Row>; 2]| -> Vec<u8> {
        match rows {
            [Some(a), _] => a.field(o.keys[0]).to_vec(),
            [None, Some(b)] => b.field(o.keys[1]).to_vec(),
            _ => Vec::new(),
        }
    };
    let filled = |text: &[u8]| if text.is_empty() { o.empty.clone() } else { text.to_vec() };
    let of = |side: usize, at: usize| filled(rows[side].map_or(b"", |row| row.field(at)));
    match &o.format {
        Format::List(list) => {
            for (i, field) in list.iter().enumerate() {
                if i > 0 {
                    out.push(between);
                }
                out.extend(match field {
                    Field::Join => filled(&key(rows)),
                    Field::Of(side, at) => of(*side, *at),
                });
            }
        }
        format => {
            out.extend(filled(&key(rows)));
            for (side, auto) in autos.into_iter().enumerate() {
                let count = match format {
                    Format::Auto => auto,
                    _ => rows[side].map_or(0, |row| row.fields.len()),
                };
                for at in (0..count).filter(|at| *at != o.keys[side]) {
                    out.push(between);
                    out.extend(of(side, at));
                }
            }
        }
    }
    out.push(o.end);
    cx.put(&out)
}
