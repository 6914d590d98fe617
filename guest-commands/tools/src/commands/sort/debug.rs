//! `--debug`: what is said about the keys, and the lines that underline them in the output. It sorts nothing.

use super::files::{Output, Sink};
use super::key::{Ignore, Key, Manner, Rules};
use super::number::{Decimal, float, is_blank, month};
use crate::context::{Cx, End};
use crate::quote::{is_utf8, quote};
use std::ffi::OsStr;
use unicode_width::UnicodeWidthStr;

/// Says what may be meant otherwise. `global` are the options outside keys; `gkey`: they alone are the key.
pub(super) fn warn(cx: &mut Cx, rules: &Rules, global: &Manner, gkey: bool) {
    let locale = ["LC_ALL", "LC_COLLATE", "LANG"]
        .iter()
        .filter_map(std::env::var_os)
        .find(|value| !value.is_empty())
        .unwrap_or_else(|| "C".into());
    if rules.localized {
        cx.say(format_args!("text ordering performed using {} sorting rules", quote(&locale)));
    } else {
        cx.say("text ordering performed using simple byte comparison");
    }
    let mut unused = *global;
    let (mut basic, mut general, mut basic_spans, mut general_spans) = (false, false, false, false);
    for (number, key) in rules.keys.iter().enumerate() {
        let number = number + 1;
        let how = &key.order;
        basic |= how.numeric || how.human;
        general |= how.general;
        let empty = key.end_field.is_some_and(|end| end < key.start_field);
        if empty {
            cx.say(format_args!("key {number} has zero width and will be ignored"));
        }
        let skips = how.is_number() || how.month;
        let columns = key.end_field == Some(0) && key.end_byte != 0;
        let aligned =
            !rules.localized && how.is_default() && !how.reverse && key.start_byte == 0 && key.end_byte == 0;
        let blanks = (!how.start_blanks && (key.start_byte > 0 || !(skips || aligned)))
            || (!how.end_blanks && key.end_byte > 0);
        if !empty && !gkey && rules.tab.is_none() && !columns && blanks {
            let text = "leading blanks are significant in key";
            cx.say(format_args!("{text} {number}; consider also specifying 'b'"));
        }
        if !gkey && how.is_number() && key.end_field.is_none_or(|end| key.start_field < end) {
            cx.say(format_args!("key {number} is numeric and spans multiple fields"));
            basic_spans |= how.numeric || how.human;
            general_spans |= how.general;
        }
        if unused.ignore == how.ignore {
            unused.ignore = Ignore::Nothing;
        }
        unused.fold &= !how.fold;
        unused.start_blanks &= !how.start_blanks;
        unused.end_blanks &= !how.end_blanks;
        unused.general &= !how.general;
        unused.human &= !how.human;
        unused.month &= !how.month;
        unused.numeric &= !how.numeric;
        unused.random &= !how.random;
        unused.version &= !how.version;
        unused.reverse &= !how.reverse;
    }
    let mut point_said = false;
    let separator = |tab: u8| quote(OsStr::new(&char::from(tab).to_string()));
    if basic_spans || general_spans {
        match rules.tab {
            Some(b'.') => {
                let tab = separator(b'.');
                cx.say(format_args!("field separator {tab} is treated as a decimal point in numbers"));
                point_said = true;
            }
            Some(b'-') => {
                cx.say(format_args!(
                    "field separator {} is treated as a minus sign in numbers",
                    separator(b'-')
                ));
            }
            Some(b'+') if general_spans => {
                cx.say(format_args!(
                    "field separator {} is treated as a plus sign in numbers",
                    separator(b'+')
                ));
            }
            _ => {}
        }
    }
    if (basic || general) && !point_said {
        let note = if rules.tab == Some(b'.') { "" } else { "note " };
        let point = separator(b'.');
        cx.say(format_args!("{note}numbers use {point} as a decimal point in this locale"));
    }
    let resort = !rules.stable && !rules.unique;
    if !unused.is_default() || (unused.reverse && !resort && !rules.keys.is_empty()) {
        let shown = Manner { reverse: unused.reverse && !resort, ..unused }.letters();
        let (word, verb) = if shown.len() == 1 { ("option", "is") } else { ("options", "are") };
        cx.say(format_args!("{word} '-{shown}' {verb} ignored"));
    }
    if unused.reverse && resort && !rules.keys.is_empty() {
        cx.say("option '-r' only applies to last-resort comparison");
    }
}

/// Passes lines on, each with its keys underlined.
pub(super) struct Underlining<'a, 'b> {
    pub(super) output: &'a mut Output<'b>,
    pub(super) rules: &'a Rules,
}

impl Sink for Underlining<'_, '_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), End> {
        let shown: Vec<u8> = bytes.iter().map(|b| if *b == b'\t' { b'>' } else { *b }).collect();
        self.output.put(&shown)?;
        let line = &bytes[..bytes.len().saturating_sub(1)];
        for key in &self.rules.keys {
            let (from, to) = marked(line, key, self.rules.tab);
            self.mark(line, from, to)?;
        }
        if self.rules.keys.is_empty() || !(self.rules.stable || self.rules.unique) {
            self.mark(line, 0, line.len())?;
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.output.begin();
    }
}

impl Underlining<'_, '_> {
    fn mark(&mut self, line: &[u8], from: usize, to: usize) -> Result<(), End> {
        let mut out = vec![b' '; width(&line[..from])];
        match width(&line[from..to]) {
            0 => out.extend_from_slice(b"^ no match for key"),
            n => out.resize(out.len() + n, b'_'),
        }
        out.push(b'\n');
        self.output.put(&out)
    }
}

/// The part of a line that a key looks at.
fn marked(line: &[u8], key: &Key, tab: Option<u8>) -> (usize, usize) {
    let (mut from, mut to) = key.range(line, tab);
    let how = &key.order;
    if how.is_number() || how.month {
        from += line[from..to].iter().take_while(|b| is_blank(**b)).count();
    }
    let text = &line[from..to];
    if how.month {
        to = from + if month(text) > 0 { 3 } else { 0 };
    } else if how.general {
        to = from + float(text).map_or(0, |(_, end)| end);
    } else if how.numeric || how.human {
        let number = Decimal::read(text);
        let unit = how.human && text.get(number.end).is_some_and(|b| b"KkMGTPEZY".contains(b));
        to = from + if number.any { number.end + usize::from(unit) } else { 0 };
    }
    (from, to)
}

fn width(text: &[u8]) -> usize {
    let tabs = text.iter().filter(|b| **b == b'\t').count();
    if is_utf8() {
        let plain: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).collect();
        plain.width() + tabs
    } else {
        text.iter().filter(|b| matches!(b, b' '..=b'~')).count() + tabs
    }
}
