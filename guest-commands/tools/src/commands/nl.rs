//! `nl`: numbers the lines of files, which are pages with a header, a body and a footer. It numbers one text, however many files.

use crate::context::{Cx, End, Outcome, open_input};
use crate::lines::Lines;
use crate::options::Order;
use crate::os::OsStrExt;
use crate::quote::quote;
use crate::regex::{Flags, Regex, Syntax};
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &[
    "h,header-numbering=",
    "b,body-numbering=",
    "f,footer-numbering=",
    "v,starting-line-number=",
    "i,line-increment=",
    "p,no-renumber",
    "l,join-blank-lines=",
    "s,number-separator=",
    "w,number-width=",
    "n,number-format=",
    "d,section-delimiter=",
];
const HELP: &str = "{} [OPTION]... [FILE]...
Write each FILE to standard output, with line numbers added.
  -b, --body-numbering=STYLE       use STYLE for numbering body lines
  -d, --section-delimiter=CC       use CC for logical page delimiters
  -f, --footer-numbering=STYLE     use STYLE for numbering footer lines
  -h, --header-numbering=STYLE     use STYLE for numbering header lines
  -i, --line-increment=NUMBER      line number increment at each line
  -l, --join-blank-lines=NUMBER    group of NUMBER empty lines counted as one
  -n, --number-format=FORMAT       insert line numbers according to FORMAT: ln, rn, rz
  -p, --no-renumber                do not reset line numbers for each section
  -s, --number-separator=STRING    add STRING after (possible) line number
  -v, --starting-line-number=NUMBER  first line number for each section
  -w, --number-width=NUMBER        use NUMBER columns for line numbers
STYLE is a (all lines), t (nonempty lines), n (no lines) or pBRE (lines that match BRE).";

enum Style {
    All,
    Filled,
    None,
    Matching(Regex),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Left,
    Right,
    Zeros,
}

struct Numbering {
    /// Of header, body and footer.
    styles: [Style; 3],
    section: usize,
    start: i64,
    step: i64,
    renumber: bool,
    join: i64,
    separator: Vec<u8>,
    width: usize,
    format: Format,
    delimiter: Vec<u8>,
    /// The next number; none after the largest.
    number: Option<i64>,
    blank: i64,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let mut nl = Numbering {
        styles: [Style::None, Style::Filled, Style::None],
        section: 1,
        start: 1,
        step: 1,
        renumber: true,
        join: 1,
        separator: b"\t".to_vec(),
        width: 6,
        format: Format::Right,
        delimiter: b"\\:".to_vec(),
        number: None,
        blank: 0,
    };
    for opt in &parsed.opts {
        match opt.id {
            "header-numbering" => nl.styles[0] = style(cx, opt.arg(), "header")?,
            "body-numbering" => nl.styles[1] = style(cx, opt.arg(), "body")?,
            "footer-numbering" => nl.styles[2] = style(cx, opt.arg(), "footer")?,
            "starting-line-number" => {
                nl.start = number(opt.arg(), i64::MIN, i64::MAX, "starting line number")?
            }
            "line-increment" => nl.step = number(opt.arg(), i64::MIN, i64::MAX, "line number increment")?,
            "no-renumber" => nl.renumber = false,
            "join-blank-lines" => nl.join = number(opt.arg(), 1, i64::MAX, "line number of blank lines")?,
            "number-separator" => nl.separator = opt.arg().as_bytes().to_vec(),
            "number-width" => {
                let width = number(opt.arg(), 1, i64::from(i32::MAX), "line number field width")?;
                // Wider than this is no column of a page, and more than a machine need hold.
                nl.width = usize::try_from(width.min(1 << 20)).unwrap_or(6);
            }
            "number-format" => {
                nl.format = match opt.arg().as_bytes() {
                    b"ln" => Format::Left,
                    b"rn" => Format::Right,
                    b"rz" => Format::Zeros,
                    _ => {
                        let message = format!("invalid line numbering format: {}", quote(opt.arg()));
                        return Err(cx.usage(message));
                    }
                };
            }
            _ => match opt.arg().as_bytes() {
                [one] => nl.delimiter = vec![*one, b':'],
                text => nl.delimiter = text.to_vec(),
            },
        }
    }
    nl.number = Some(nl.start);
    let stdin = [OsString::from("-")];
    let files = if parsed.operands.is_empty() { &stdin[..] } else { &parsed.operands[..] };
    for file in files {
        let mut lines = match open_input(file) {
            Ok(input) => Lines::new(input, b'\n'),
            Err(error) => {
                cx.warn_path(file, &error);
                continue;
            }
        };
        loop {
            match lines.advance() {
                Ok(true) => nl.line(cx, lines.line())?,
                Ok(false) => break,
                Err(error) => {
                    cx.warn_path(file, &error);
                    break;
                }
            }
        }
    }
    Ok(0)
}

fn style(cx: &Cx, text: &OsStr, what: &str) -> Result<Style, End> {
    match text.as_bytes() {
        b"a" => Ok(Style::All),
        b"t" => Ok(Style::Filled),
        b"n" => Ok(Style::None),
        [b'p', pattern @ ..] => Regex::new(pattern, Syntax::Basic, Flags::default())
            .map(Style::Matching)
            .map_err(|message| End::Failure(1, message)),
        _ => Err(cx.usage(format!("invalid {what} numbering style: {}", quote(text)))),
    }
}

fn number(text: &OsStr, least: i64, most: i64, what: &str) -> Result<i64, End> {
    let shown = text.to_string_lossy();
    let invalid = |why: &str| End::Failure(1, format!("invalid {what}: {}{why}", quote(text)));
    let digits = shown.trim_start_matches(['-', '+']);
    let signs = shown.len() - digits.len();
    if digits.is_empty() || signs > 1 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(""));
    }
    match shown.parse::<i64>() {
        Ok(number) if number < least => Err(invalid(": Numerical result out of range")),
        Ok(number) if number <= most => Ok(number),
        _ => Err(invalid(": Value too large for defined data type")),
    }
}

impl Numbering {
    fn line(&mut self, cx: &mut Cx, line: &[u8]) -> Result<(), End> {
        if let Some(section) = self.section_of(line) {
            self.section = section;
            if self.renumber {
                self.number = Some(self.start);
            }
            self.blank = 0;
            return cx.put(b"\n");
        }
        let numbered = match &self.styles[self.section] {
            Style::All if self.join > 1 && line.is_empty() => {
                self.blank += 1;
                self.blank == self.join
            }
            Style::All => true,
            Style::Filled => !line.is_empty(),
            Style::None => false,
            Style::Matching(regex) => regex
                .is_match(line)
                .map_err(|_| End::Failure(1, "error in regular expression search".to_owned()))?,
        };
        if numbered {
            self.blank = 0;
            let Some(number) = self.number else {
                return Err(End::Failure(1, "line number overflow".to_owned()));
            };
            let width = self.width;
            match self.format {
                Format::Left => cx.print(format_args!("{number:<width$}"))?,
                Format::Right => cx.print(format_args!("{number:width$}"))?,
                Format::Zeros => cx.print(format_args!("{number:0width$}"))?,
            }
            cx.put(&self.separator)?;
            self.number = number.checked_add(self.step);
        } else {
            let width = self.width + self.separator.len();
            cx.print(format_args!("{:width$}", ""))?;
        }
        cx.put(line)?;
        cx.put(b"\n")
    }

    /// The section that a line begins, if it is one of the delimiters.
    fn section_of(&self, line: &[u8]) -> Option<usize> {
        let mark = &self.delimiter[..];
        if mark.is_empty()
            || !line.len().is_multiple_of(mark.len())
            || !line.chunks(mark.len()).all(|part| part == mark)
        {
            return None;
        }
        match line.len() / mark.len() {
            1 => Some(2),
            2 => Some(1),
            3 => Some(0),
            _ => None,
        }
    }
}
