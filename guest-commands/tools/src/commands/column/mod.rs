//! `column`: lists in columns, tables, and tables as JSON. Long cells are cut or wrapped only where told. Trees of rows are
//! not made.

mod table;

use crate::context::{Cx, Descriptor, End, Outcome};
use crate::options::Order;
use agentos_guest::{strerror, tty};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use unicode_width::UnicodeWidthStr;

const SPEC: &[&str] = &[
    "t,table",
    "n,table-name=",
    "O,table-order=",
    "N,table-columns=",
    "l,table-columns-limit=",
    "E,table-noextreme=",
    "d,table-noheadings",
    "e,table-header-repeat",
    "H,table-hide=",
    "R,table-right=",
    "T,table-truncate=",
    "W,table-wrap=",
    "L,keep-empty-lines",
    "J,json",
    "c,output-width=",
    "o,output-separator=",
    "s,separator=",
    "x,fillrows",
];

const HELP: &str = "
 {} [options] [<file>...]

Columnate lists.

Options:
 -t, --table                      create a table
 -n, --table-name <name>          table name for JSON output
 -O, --table-order <columns>      specify order of output columns
 -N, --table-columns <names>      comma separated columns names
 -l, --table-columns-limit <num>  maximal number of input columns
 -E, --table-noextreme <columns>  don't count long text from the columns to column width
 -d, --table-noheadings           don't print header
 -e, --table-header-repeat        repeat header for each page
 -H, --table-hide <columns>       don't print the columns
 -R, --table-right <columns>      right align text in these columns
 -T, --table-truncate <columns>   truncate text in the columns when necessary
 -W, --table-wrap <columns>       wrap text in the columns when necessary
 -L, --keep-empty-lines           don't ignore empty lines
 -J, --json                       use JSON output format for table
 -c, --output-width <width>       width of output in number of characters
 -o, --output-separator <string>  columns separator for table output (default is two spaces)
 -s, --separator <string>         possible table delimiters
 -x, --fillrows                   fill rows before columns
 -h, --help                       display this help
 -V, --version                    display version";

struct Options {
    table: bool,
    json: bool,
    name: String,
    order: Option<String>,
    columns: Option<Vec<String>>,
    limit: usize,
    no_extreme: Option<String>,
    no_headings: bool,
    /// After how many lines the header comes again.
    page: Option<usize>,
    hide: Option<String>,
    right: Option<String>,
    truncate: Option<String>,
    wrap: Option<String>,
    keep_empty: bool,
    width: usize,
    between: String,
    separators: Option<Vec<char>>,
    rows_first: bool,
}

/// The lines of a page: those of the terminal.
fn height() -> usize {
    let lines = std::env::var("LINES").ok().and_then(|lines| lines.parse().ok());
    let rows = || tty::tcgetwinsize(1).ok().map(|size| usize::from(size.rows));
    lines.or_else(rows).filter(|n| *n > 0).unwrap_or(24)
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let words: Vec<OsString> = args
        .iter()
        .map(|arg| match arg.to_str() {
            Some("-h") => "--help".into(),
            Some("-V") => "--version".into(),
            _ => arg.clone(),
        })
        .collect();
    let parsed = cx.parse(SPEC, &words, Order::Permute, HELP)?;
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let width = columns.or_else(|| tty::tcgetwinsize(1).ok().map(|s| usize::from(s.cols)).filter(|c| *c > 0));
    let mut o = Options {
        table: false,
        json: false,
        name: "table".into(),
        order: None,
        columns: None,
        limit: 0,
        no_extreme: None,
        no_headings: false,
        page: None,
        hide: None,
        right: None,
        truncate: None,
        wrap: None,
        keep_empty: false,
        width: width.unwrap_or(80),
        between: "  ".into(),
        separators: None,
        rows_first: false,
    };
    for opt in &parsed.opts {
        let text = opt.text();
        match opt.id {
            "table" => o.table = true,
            "table-name" => o.name = text,
            "table-order" => o.order = Some(text),
            "table-columns" => o.columns = Some(text.split(',').map(str::to_owned).collect()),
            "table-columns-limit" => {
                o.limit =
                    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| {
                        End::Failure(1, format!("invalid columns limit argument: '{text}'"))
                    })?;
            }
            "table-noextreme" => o.no_extreme = Some(text),
            "table-noheadings" => o.no_headings = true,
            "table-header-repeat" => o.page = Some(height()),
            "table-hide" => o.hide = Some(text),
            "table-right" => o.right = Some(text),
            "table-truncate" => o.truncate = Some(text),
            "table-wrap" => o.wrap = Some(text),
            "keep-empty-lines" => o.keep_empty = true,
            "json" => (o.json, o.table) = (true, true),
            "output-width" => {
                o.width = text
                    .parse()
                    .map_err(|_| End::Failure(1, format!("invalid columns argument: '{text}'")))?;
            }
            "output-separator" => o.between = text,
            "separator" => o.separators = Some(text.chars().collect()),
            _ => o.rows_first = true,
        }
    }
    if o.json && o.columns.is_none() {
        return Err(End::Failure(1, "option --table-columns required for --json".into()));
    }
    let table_only = [
        (o.order.is_some(), "--table-order"),
        (o.columns.is_some(), "--table-columns"),
        (o.hide.is_some(), "--table-hide"),
        (o.right.is_some(), "--table-right"),
        (o.truncate.is_some(), "--table-truncate"),
        (o.wrap.is_some(), "--table-wrap"),
        (o.no_extreme.is_some(), "--table-noextreme"),
    ];
    if !o.table && table_only.iter().any(|(set, _)| *set) {
        return Err(End::Failure(1, "option --table required for all --table-*".into()));
    }
    let mut lines = Vec::new();
    let mut status = 0;
    if parsed.operands.is_empty() {
        read(&o, &mut Descriptor(0), &mut lines);
    }
    for file in &parsed.operands {
        match File::open(file) {
            Ok(mut input) => read(&o, &mut input, &mut lines),
            Err(error) => {
                cx.say(format_args!("{}: {}", file.to_string_lossy(), strerror(&error)));
                status = 1;
            }
        }
    }
    if lines.is_empty() {
        return Ok(status);
    }
    if o.table {
        table::show(cx, &o, &lines)?;
        return Ok(status);
    }
    let widest = lines.iter().map(|l| l.width()).max().unwrap_or(0);
    if widest >= o.width {
        for line in &lines {
            cx.print(format_args!("{line}\n"))?;
        }
    } else {
        fill(cx, &o, &lines, widest)?;
    }
    Ok(status)
}

fn read(o: &Options, input: &mut dyn Read, lines: &mut Vec<String>) {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    while {
        line.clear();
        input.read_until(b'\n', &mut line).unwrap_or(0) > 0
    } {
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        let text = String::from_utf8_lossy(&line);
        let blank = text.trim().is_empty();
        if blank && !o.keep_empty {
            continue;
        }
        lines.push(text.into_owned());
    }
}

const TAB: usize = 8;

/// The lines in as many columns as fit, with tabs between them.
fn fill(cx: &mut Cx, o: &Options, lines: &[String], widest: usize) -> Result<(), End> {
    let cell = (widest + TAB) & !(TAB - 1);
    let across = (o.width / cell).max(1);
    let down = lines.len().div_ceil(across);
    let rows = if o.rows_first { lines.len().div_ceil(across) } else { down };
    for row in 0..rows {
        let at = |column: usize| if o.rows_first { row * across + column } else { column * down + row };
        let mut text = String::new();
        let mut place = 0;
        for column in 0..across {
            let Some(line) = lines.get(at(column)).filter(|_| !o.rows_first || column < across) else {
                break;
            };
            // Tabs lead to the next column only if there is something in it.
            while column > 0 && place < column * cell {
                text.push('\t');
                place = (place + TAB) & !(TAB - 1);
            }
            text.push_str(line);
            place += line.width();
        }
        cx.print(format_args!("{text}\n"))?;
    }
    Ok(())
}
