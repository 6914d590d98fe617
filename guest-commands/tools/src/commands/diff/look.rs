//! What lines look like in the formats of `diff`: tabs, marks, colours and the headings of functions. Which lines are shown
//! is the formats' business.

use crate::context::{Cx, End};
use crate::os::OsStrExt;
use crate::regex::{Flags, Regex, Syntax};
use std::ffi::OsStr;

/// What the parts of the output are, for colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Plain,
    Header,
    Range,
    Added,
    Deleted,
}

/// The colours, as `--palette` names them.
#[derive(Clone, Debug)]
pub(crate) struct Palette {
    reset: String,
    header: String,
    added: String,
    deleted: String,
    range: String,
}

impl Default for Palette {
    fn default() -> Palette {
        let [reset, header, added, deleted, range] = ["0", "1", "32", "31", "36"].map(str::to_owned);
        Palette { reset, header, added, deleted, range }
    }
}

impl Palette {
    /// Takes the argument of `--palette`. What is wrong with it is said, and there are no colours then.
    pub(crate) fn read(cx: &mut Cx, text: &str) -> Option<Palette> {
        let mut palette = Palette::default();
        for entry in text.split(':').filter(|entry| !entry.is_empty()) {
            let Some((key, value)) = entry.split_once('=') else {
                cx.say("unparsable value for --palette");
                return None;
            };
            let place = match key {
                "rs" => &mut palette.reset,
                "hd" => &mut palette.header,
                "ad" => &mut palette.added,
                "de" => &mut palette.deleted,
                "ln" => &mut palette.range,
                _ => {
                    cx.say(format_args!("unrecognized prefix: {key}"));
                    cx.say("unparsable value for --palette");
                    return None;
                }
            };
            *place = value.to_owned();
        }
        Some(palette)
    }
}

/// How lines are written.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) palette: Option<Palette>,
    /// `-t`
    pub(crate) expand: bool,
    /// Columns of a tab.
    pub(crate) tab: usize,
    /// `-T`
    pub(crate) initial_tab: bool,
    pub(crate) suppress_blank: bool,
    /// Columns of `-y`.
    pub(crate) width: usize,
    pub(crate) left_column: bool,
    pub(crate) suppress_common: bool,
}

impl Default for Look {
    fn default() -> Look {
        Look {
            palette: None,
            expand: false,
            tab: 8,
            initial_tab: false,
            suppress_blank: false,
            width: 130,
            left_column: false,
            suppress_common: false,
        }
    }
}

impl Look {
    pub(crate) fn begin(&self, cx: &mut Cx, part: Part) -> Result<(), End> {
        let Some(palette) = &self.palette else { return Ok(()) };
        let code = match part {
            Part::Plain => return Ok(()),
            Part::Header => &palette.header,
            Part::Range => &palette.range,
            Part::Added => &palette.added,
            Part::Deleted => &palette.deleted,
        };
        cx.print(format_args!("\x1b[{code}m"))
    }

    pub(crate) fn end(&self, cx: &mut Cx, part: Part) -> Result<(), End> {
        match &self.palette {
            Some(palette) if part != Part::Plain => cx.print(format_args!("\x1b[{}m", palette.reset)),
            _ => Ok(()),
        }
    }

    /// Text of one colour, without a newline.
    pub(crate) fn put(&self, cx: &mut Cx, part: Part, text: std::fmt::Arguments<'_>) -> Result<(), End> {
        self.begin(cx, part)?;
        cx.print(text)?;
        self.end(cx, part)
    }

    /// A line behind its mark and `gap`, which stands for a blank where there is one (`"< "`, not `"+"`).
    pub(crate) fn line(
        &self,
        cx: &mut Cx,
        part: Part,
        mark: &str,
        gap: &str,
        line: &[u8],
    ) -> Result<(), End> {
        let text = line.strip_suffix(b"\n");
        self.begin(cx, part)?;
        if self.suppress_blank && line == b"\n" {
            cx.put(mark.trim_end().as_bytes())?;
        } else {
            // In the unified format the tab stands for the mark of a line that is in both.
            let alone = self.initial_tab && mark == " " && gap.is_empty();
            cx.put(if alone { b"" } else { mark.as_bytes() })?;
            cx.put(if self.initial_tab { b"\t" } else { gap.as_bytes() })?;
        }
        self.text(cx, text.unwrap_or(line))?;
        self.end(cx, part)?;
        cx.put(if text.is_some() { b"\n" } else { b"\n\\ No newline at end of file\n" })
    }

    /// Text as it is, or with its tabs as blanks.
    pub(crate) fn text(&self, cx: &mut Cx, text: &[u8]) -> Result<(), End> {
        if self.expand { cx.put(&expanded(text, self.tab)) } else { cx.put(text) }
    }
}

/// Text with blanks for its tabs, which stand every `tab` columns.
pub(crate) fn expanded(text: &[u8], tab: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut column = 0;
    for b in text {
        match b {
            b'\t' => {
                let blanks = tab - column % tab;
                out.resize(out.len() + blanks, b' ');
                column += blanks;
                continue;
            }
            b'\r' => column = 0,
            8 => column = column.saturating_sub(1),
            b if b.is_ascii_graphic() || *b == b' ' => column += 1,
            _ => {}
        }
        out.push(*b);
    }
    out
}

/// Expressions of which one has to match.
#[derive(Default)]
pub(crate) struct Patterns(Vec<Regex>);

impl Patterns {
    pub(crate) fn add(&mut self, text: &OsStr) -> Result<(), End> {
        let regex = Regex::new(text.as_bytes(), Syntax::Basic, Flags::default()).map_err(|why| {
            // GNU's matcher has no better word for a list that does not even begin.
            let open = why.starts_with("Unmatched [") && text.as_bytes().ends_with(b"[");
            let why = if open { "Invalid regular expression" } else { &why };
            End::Failure(2, format!("{}: {why}", text.to_string_lossy()))
        })?;
        self.0.push(regex);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is found in the line. A search that is given up finds nothing.
    pub(crate) fn fit(&self, line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        self.0.iter().any(|regex| regex.is_match(line).unwrap_or(false))
    }
}

/// Finds the heading before a hunk; hunks come in order, so each line is looked at once.
pub(crate) struct Headings<'a> {
    patterns: &'a Patterns,
    lines: &'a [&'a [u8]],
    seen: usize,
    last: Option<usize>,
}

impl<'a> Headings<'a> {
    pub(crate) fn new(patterns: &'a Patterns, lines: &'a [&'a [u8]]) -> Headings<'a> {
        Headings { patterns, lines, seen: 0, last: None }
    }

    /// The last line before `at` that fits, at most 40 bytes of it, after a blank.
    pub(crate) fn before(&mut self, at: usize) -> String {
        if self.patterns.is_empty() {
            return String::new();
        }
        if let Some(found) = (self.seen..at).rev().find(|i| self.patterns.fit(self.lines[*i])) {
            self.last = Some(found);
        }
        self.seen = self.seen.max(at);
        let Some(found) = self.last else { return String::new() };
        let line = self.lines[found].trim_ascii_start();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        format!(" {}", String::from_utf8_lossy(line[..line.len().min(40)].trim_ascii_end()))
    }
}
