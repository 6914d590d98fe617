//! Tables of `column -t`: cells, widths, and the output as lines or JSON.

use super::Options;
use crate::context::{Cx, End};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

struct Column {
    name: String,
    width: usize,
    right: bool,
    hidden: bool,
    no_extreme: bool,
    truncate: bool,
    wrap: bool,
}

fn cells(o: &Options, line: &str) -> Vec<String> {
    let limit = if o.limit > 0 { o.limit } else { usize::MAX };
    let mut list: Vec<String> = Vec::new();
    match &o.separators {
        None => {
            let mut rest = line.trim_start();
            while !rest.is_empty() {
                if list.len() + 1 == limit {
                    list.push(rest.to_owned());
                    break;
                }
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                list.push(rest[..end].to_owned());
                rest = rest[end..].trim_start();
            }
        }
        Some(separators) => {
            let mut rest = line;
            loop {
                match rest.find(|c| separators.contains(&c)).filter(|_| list.len() + 1 < limit) {
                    Some(end) => {
                        list.push(rest[..end].to_owned());
                        let step = rest[end..].chars().next().map_or(1, char::len_utf8);
                        rest = &rest[end + step..];
                    }
                    None => {
                        list.push(rest.to_owned());
                        break;
                    }
                }
            }
        }
    }
    list
}

/// The columns that a list of names or numbers means; `-` is those without a name, 0 all.
fn chosen(columns: &[Column], list: &str, named: usize) -> Result<Vec<usize>, End> {
    let mut found = Vec::new();
    for word in list.split(',') {
        if word == "-" {
            found.extend(named..columns.len());
        } else if word == "0" {
            found.extend(0..columns.len());
        } else if let Some(at) = columns.iter().position(|c| c.name == word) {
            found.push(at);
        } else {
            match word.parse::<usize>() {
                Ok(n) if n > 0 && n <= columns.len() => found.push(n - 1),
                _ => return Err(End::Failure(1, format!("undefined column name '{word}'"))),
            }
        }
    }
    Ok(found)
}

pub(super) fn show(cx: &mut Cx, o: &Options, lines: &[String]) -> Result<(), End> {
    let rows: Vec<Vec<String>> = lines.iter().map(|l| cells(o, l)).collect();
    let names = o.columns.clone().unwrap_or_default();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0).max(names.len());
    if o.json
        && let Some(line) = rows.iter().position(|r| r.len() > names.len())
    {
        let message =
            format!("line {}: for JSON the name of the column {} is required", line + 2, names.len() + 1);
        return Err(End::Failure(1, message));
    }
    let mut columns: Vec<Column> = (0..count)
        .map(|i| Column {
            name: names.get(i).cloned().unwrap_or_default(),
            width: 0,
            right: false,
            hidden: false,
            no_extreme: false,
            truncate: false,
            wrap: false,
        })
        .collect();
    type Mark = fn(&mut Column);
    let marks: [(&Option<String>, Mark); 5] = [
        (&o.right, |c| c.right = true),
        (&o.hide, |c| c.hidden = true),
        (&o.no_extreme, |c| c.no_extreme = true),
        (&o.truncate, |c| c.truncate = true),
        (&o.wrap, |c| c.wrap = true),
    ];
    for (list, mark) in marks {
        if let Some(list) = list {
            chosen(&columns, list, names.len())?.into_iter().for_each(|i| mark(&mut columns[i]));
        }
    }
    let mut order: Vec<usize> = match &o.order {
        Some(list) => chosen(&columns, list, names.len())?,
        None => Vec::new(),
    };
    let rest: Vec<usize> = (0..count).filter(|i| !order.contains(i)).collect();
    order.extend(rest);
    order.retain(|i| !columns[*i].hidden);
    if o.json {
        return json(cx, o, &columns, &order, &rows);
    }
    let heading = !names.is_empty() && !o.no_headings;
    let empty = String::new();
    let cell = |row: &Vec<String>, i: usize| row.get(i).unwrap_or(&empty).clone();
    let mut shown: Vec<Vec<String>> = Vec::new();
    if heading {
        shown.push(columns.iter().map(|c| c.name.clone()).collect());
    }
    shown.extend(rows.iter().map(|r| (0..count).map(|i| cell(r, i)).collect()));
    for (i, column) in columns.iter_mut().enumerate() {
        column.width = shown.iter().map(|r| r[i].width()).max().unwrap_or(0);
    }
    shrink(o, &mut columns, &order, &shown);
    for (n, row) in shown.iter().enumerate() {
        if let (true, Some(page)) = (heading && n > 1, o.page)
            && (n - 1) % page == 0
        {
            row_lines(cx, o, &columns, &order, &shown[0])?;
        }
        row_lines(cx, o, &columns, &order, row)?;
    }
    Ok(())
}

/// Makes the columns that may be narrower so narrow that the width is kept.
fn shrink(o: &Options, columns: &mut [Column], order: &[usize], rows: &[Vec<String>]) {
    let between = o.between.width();
    let total = |columns: &[Column]| {
        order.iter().map(|i| columns[*i].width).sum::<usize>() + between * order.len().saturating_sub(1)
    };
    for i in order {
        if columns[*i].no_extreme && rows.len() > 1 {
            let mut widths: Vec<usize> = rows.iter().map(|r| r[*i].width()).collect();
            widths.sort_unstable();
            let mean = widths.iter().sum::<usize>() / widths.len();
            let usual = widths.iter().rev().find(|w| **w <= mean * 2).copied().unwrap_or(mean);
            if total(columns) > o.width {
                columns[*i].width = usual;
            }
        }
    }
    // The widest of those that may shrink gives way first.
    while total(columns) > o.width {
        let over = total(columns) - o.width;
        let widest = order
            .iter()
            .copied()
            .filter(|i| (columns[*i].truncate || columns[*i].wrap) && columns[*i].width > 1);
        let Some(at) = widest.max_by_key(|i| columns[*i].width) else { break };
        columns[at].width = columns[at].width.saturating_sub(over).max(1);
    }
}

fn cut(text: &str, width: usize) -> (String, String) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > width {
            // A character wider than the column is taken all the same.
            let at = if at == 0 { c.len_utf8() } else { at };
            return (text[..at].to_owned(), text[at..].to_owned());
        }
    }
    (text.to_owned(), String::new())
}

fn row_lines(
    cx: &mut Cx,
    o: &Options,
    columns: &[Column],
    order: &[usize],
    row: &[String],
) -> Result<(), End> {
    let mut rest: Vec<String> = row.to_vec();
    let mut first = true;
    loop {
        let mut line = String::new();
        for (n, i) in order.iter().enumerate() {
            let column = &columns[*i];
            let text = std::mem::take(&mut rest[*i]);
            let text = if column.wrap {
                let (now, later) = cut(&text, column.width);
                rest[*i] = later;
                now
            } else if column.truncate {
                cut(&text, column.width).0
            } else {
                text
            };
            let pad = column.width.saturating_sub(text.width());
            let last = n + 1 == order.len();
            if column.right {
                line.extend(std::iter::repeat_n(' ', pad));
                line.push_str(&text);
            } else {
                line.push_str(&text);
                if !last {
                    line.extend(std::iter::repeat_n(' ', pad));
                }
            }
            if !last {
                line.push_str(&o.between);
            }
        }
        let more = order.iter().any(|i| !rest[*i].is_empty());
        if first || more || !line.trim().is_empty() {
            cx.print(format_args!("{line}\n"))?;
        }
        first = false;
        if !more {
            return Ok(());
        }
    }
}

fn json(
    cx: &mut Cx,
    o: &Options,
    columns: &[Column],
    order: &[usize],
    rows: &[Vec<String>],
) -> Result<(), End> {
    cx.print(format_args!("{{\n   {}: [\n      ", text(&o.name)))?;
    for (n, row) in rows.iter().enumerate() {
        cx.put(b"{\n")?;
        for (k, i) in order.iter().enumerate() {
            let value = row.get(*i).filter(|c| !c.is_empty()).map_or_else(|| "null".to_owned(), |c| text(c));
            let comma = if k + 1 < order.len() { "," } else { "" };
            cx.print(format_args!("         {}: {value}{comma}\n", text(&columns[*i].name)))?;
        }
        cx.put(if n + 1 < rows.len() { b"      }," } else { b"      }\n" })?;
    }
    cx.put(b"   ]\n}\n")
}

fn text(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
