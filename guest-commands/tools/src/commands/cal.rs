//! `cal` and `ncal`: calendars of months and years; Julian until 2 September 1752, as everywhere in English calendars. Holidays and
//! Easter are not here.

use crate::context::{Cx, End, Outcome};
use crate::time;
use std::ffi::OsString;
use std::io::IsTerminal;

const HELP: &str = "\
Usage: cal [options] [[[day] month] year]
  -1            one month
  -3            the month before and the one after, too
  -y            the whole year
  -A NUMBER     so many months after
  -B NUMBER     so many months before
  -d YYYY-MM    another month than this one
  -H YYYY-MM-DD another day than today
  -h            today is not highlighted
  -j            days of the year
  -m MONTH      this month
  -M, -S        weeks begin on Monday, Sunday
  -b            the form of cal
";

struct Options {
    rows: bool,
    monday: bool,
    day_numbers: bool,
    highlight: bool,
    before: i64,
    after: i64,
    year: bool,
}

fn leap(year: i64) -> bool {
    if year <= 1752 { year % 4 == 0 } else { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }
}

/// The days that a month has, in their order.
fn days(year: i64, month: i64) -> Vec<i64> {
    let last = match month {
        2 => 28 + i64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=last).filter(|d| !(year == 1752 && month == 9 && (3..=13).contains(d))).collect()
}

/// The day of the week, 0 for Sunday.
fn weekday(year: i64, month: i64, day: i64) -> i64 {
    let old = (year, month, day) < (1752, 9, 14);
    let a = (14 - month) / 12;
    let (y, m) = (year + 4800 - a, month + 12 * a - 3);
    let julian_day = if old {
        day + (153 * m + 2) / 5 + 365 * y + y / 4 - 32083
    } else {
        day + (153 * m + 2) / 5 + 365 * y + y / 4 - y / 100 + y / 400 - 32045
    };
    (julian_day + 1).rem_euclid(7)
}

fn yearday(year: i64, month: i64, day: i64) -> i64 {
    let before: usize = (1..month).map(|m| days(year, m).len()).sum();
    before as i64 + days(year, month).iter().position(|d| *d == day).unwrap_or(0) as i64 + 1
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let mut o = Options {
        rows: cx.name == "cal",
        monday: false,
        day_numbers: false,
        highlight: std::io::stdout().is_terminal(),
        before: 0,
        after: 0,
        year: false,
    };
    let today: Vec<i64> =
        time::format(time::now(), 0, "%Y %m %d").split(' ').filter_map(|p| p.parse().ok()).collect();
    let mut today = (today[0], today[1], today[2]);
    let (mut month, mut wanted_year) = (None, None);
    let mut operands = Vec::new();
    let mut rest = args.iter();
    let bad = |text: &str| End::Failure(64, text.to_owned());
    while let Some(arg) = rest.next() {
        let text = arg.to_string_lossy().into_owned();
        if text == "--help" {
            cx.put(HELP.as_bytes())?;
            return Ok(0);
        }
        let letters = match text.strip_prefix('-') {
            Some(letters) if !letters.is_empty() => letters,
            _ => {
                operands.push(text);
                continue;
            }
        };
        for (at, letter) in letters.char_indices() {
            let mut value = || -> Result<String, End> {
                let attached = &letters[at + 1..];
                if !attached.is_empty() {
                    return Ok(attached.to_owned());
                }
                rest.next()
                    .map(|v| v.to_string_lossy().into_owned())
                    .ok_or_else(|| bad(&format!("option requires an argument -- '{letter}'")))
            };
            match letter {
                '1' => (o.before, o.after) = (0, 0),
                '3' => (o.before, o.after) = (1, 1),
                'y' => o.year = true,
                'j' => o.day_numbers = true,
                'h' => o.highlight = false,
                'b' => (o.rows, o.monday) = (true, false),
                'M' => o.monday = true,
                'S' => o.monday = false,
                'A' | 'B' => {
                    let text = value()?;
                    let n = text.parse().ok().filter(|n| (0..=1200).contains(n));
                    let n = n.ok_or_else(|| bad("Argument to -A/-B must be positive"))?;
                    if letter == 'A' {
                        o.after = n
                    } else {
                        o.before = n
                    }
                    break;
                }
                'm' => {
                    month = Some(value()?);
                    break;
                }
                'd' | 'H' => {
                    let text = value()?;
                    let parts: Vec<i64> = text.split('-').filter_map(|p| p.parse().ok()).collect();
                    match (letter, &parts[..]) {
                        ('d', [y, m]) if (1..=12).contains(m) => today = (*y, *m, 0),
                        ('H', [y, m, d]) if (1..=12).contains(m) => today = (*y, *m, *d),
                        _ => return Err(bad(&format!("{text} is not a valid date"))),
                    }
                    break;
                }
                _ => {
                    let message = format!("invalid option -- '{letter}'");
                    return Err(End::Usage(1, message));
                }
            }
        }
    }
    match operands.len() {
        0 => {}
        1 => {
            o.year = month.is_none();
            wanted_year = Some(operands[0].clone());
        }
        2 => {
            month = Some(operands[0].clone());
            wanted_year = Some(operands[1].clone());
        }
        _ => return Err(End::Usage(1, "too many operands".into())),
    }
    let year = match &wanted_year {
        None => today.0,
        Some(text) => text
            .parse()
            .ok()
            .filter(|y| (1..=9999).contains(y))
            .ok_or_else(|| bad(&format!("year `{text}' not in range 1..9999")))?,
    };
    let month_number = match &month {
        None => today.1,
        Some(text) => {
            let lower = text.to_ascii_lowercase();
            let by_name = time::MONTHS
                .iter()
                .position(|m| lower.len() >= 3 && m.to_ascii_lowercase().starts_with(&lower));
            let number =
                by_name.map(|i| i as i64 + 1).or_else(|| text.parse().ok().filter(|m| (1..=12).contains(m)));
            number.ok_or_else(|| bad(&format!("{text} is neither a month number (1..12) nor a name")))?
        }
    };
    let base = year * 12 + month_number - 1;
    let list: Vec<(i64, i64)> = if o.year {
        (1..=12).map(|m| (year, m)).collect()
    } else {
        (base - o.before..=base + o.after).map(|n| (n.div_euclid(12), n.rem_euclid(12) + 1)).collect()
    };
    let across = if o.year && o.day_numbers { 2 } else { 3 };
    // Three months of one year have it above all of them.
    o.year |= o.rows && list.len() == 3 && list.iter().all(|(y, _)| *y == year);
    if o.year {
        let width = match (o.rows, o.day_numbers) {
            (true, false) => 60,
            (true, true) => 54,
            (false, false) => 72,
            (false, true) => 56,
        };
        cx.print(format_args!("{}\n", center(&year.to_string(), width).trim_end()))?;
    }
    let across = if o.rows || !o.year {
        across
    } else if o.day_numbers {
        2
    } else {
        4
    };
    for (n, group) in list.chunks(across).enumerate() {
        if n > 0 {
            cx.put(b"\n")?;
        }
        if o.rows {
            let blocks: Vec<Vec<String>> = group.iter().map(|(y, m)| month_rows(&o, *y, *m, today)).collect();
            for i in 0..blocks[0].len() {
                let line: String = blocks.iter().map(|b| format!("{}  ", b[i])).collect();
                cx.print(format_args!("{line}\n"))?;
            }
        } else {
            month_columns(cx, &o, group, today)?;
        }
    }
    Ok(0)
}

fn center(text: &str, width: usize) -> String {
    let free = width.saturating_sub(text.chars().count());
    let left = free / 2;
    format!("{}{text}{}", " ".repeat(left), " ".repeat(free - left))
}

fn cell(o: &Options, year: i64, month: i64, day: i64, today: (i64, i64, i64)) -> String {
    let width = if o.day_numbers { 3 } else { 2 };
    let number = if o.day_numbers { yearday(year, month, day) } else { day };
    let text = format!("{number:>width$}");
    if o.highlight && (year, month, day) == today { format!("\x1b[7m{text}\x1b[0m") } else { text }
}

/// A month whose weeks are rows.
fn month_rows(o: &Options, year: i64, month: i64, today: (i64, i64, i64)) -> Vec<String> {
    let width = if o.day_numbers { 3 } else { 2 };
    let total = 7 * (width + 1) - 1;
    let name = time::MONTHS[(month - 1) as usize];
    let title = if o.year { name.to_owned() } else { format!("{name} {year}") };
    let mut names = ["Su", "Mo", "Tu", "We", "Th", "Fr", "Sa"];
    if o.monday {
        names.rotate_left(1);
    }
    let names: Vec<String> = names.iter().map(|n| format!("{n:>width$}")).collect();
    let mut out = vec![center(&title, total), names.join(" ")];
    let first = (weekday(year, month, 1) - i64::from(o.monday)).rem_euclid(7);
    let mut cells: Vec<String> = vec![" ".repeat(width); first as usize];
    cells.extend(days(year, month).into_iter().map(|d| cell(o, year, month, d, today)));
    cells.resize(42, " ".repeat(width));
    out.extend(cells.chunks(7).map(|week| week.join(" ")));
    out
}

/// Months whose weeks are columns.
fn month_columns(cx: &mut Cx, o: &Options, group: &[(i64, i64)], today: (i64, i64, i64)) -> Result<(), End> {
    let width = if o.day_numbers { 3 } else { 2 };
    let total = 6 * (width + 1);
    let mut names = ["Su", "Mo", "Tu", "We", "Th", "Fr", "Sa"];
    if o.monday {
        names.rotate_left(1);
    }
    let title = |(year, month): &(i64, i64)| {
        let name = time::MONTHS[(month - 1) as usize];
        let title = if o.year { name.to_owned() } else { format!("{name} {year}") };
        format!("{title:<total$}")
    };
    cx.print(format_args!("    {}\n", group.iter().map(title).collect::<String>()))?;
    for (row, name) in names.iter().enumerate() {
        let mut line = (*name).to_owned();
        for (year, month) in group {
            let first = (weekday(*year, *month, 1) - i64::from(o.monday)).rem_euclid(7) as usize;
            let list = days(*year, *month);
            for week in 0..6 {
                let at = (week * 7 + row).checked_sub(first).and_then(|i| list.get(i));
                let text = at.map_or_else(|| " ".repeat(width), |d| cell(o, *year, *month, *d, today));
                line += &format!(" {text}");
            }
        }
        cx.print(format_args!("{line}\n"))?;
    }
    Ok(())
}
