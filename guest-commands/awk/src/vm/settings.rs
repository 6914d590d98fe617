//! What the predefined variables do when they are set.

use super::Vm;
use crate::error::{Result, fatal};
use crate::input::Ending;
use crate::number;
use crate::posix::Mode;
use crate::record::MAX_FIELD;
use crate::regex::Regex;
use crate::special;
use crate::splitting::{Kind, Splitter};
use crate::value::{Str, Value};
use std::rc::Rc;

impl Vm {
    /// Sets a variable that acts.
    pub(super) fn set_special(&mut self, slot: u32, value: Value) -> Result<()> {
        match slot {
            special::NF => {
                let n = value.num();
                if n < 0.0 {
                    return fatal("NF set to negative value");
                }
                if n > MAX_FIELD as f64 {
                    return fatal(format!("NF set to {n}, beyond the limit of {MAX_FIELD}"));
                }
                self.record.set_count(n as usize, &self.splitter);
                return Ok(());
            }
            special::NR => self.nr = value.num(),
            special::FNR => self.fnr = value.num(),
            _ => {}
        }
        let text = self.str(&value);
        self.globals[slot as usize] = value;
        match slot {
            special::FS | special::FIELDWIDTHS | special::FPAT => {
                // The present record is split by what held when it was read.
                self.record.need(usize::MAX, &self.splitter);
                self.splitter = match slot {
                    special::FS => self.field_separator()?,
                    special::FIELDWIDTHS => Splitter::by_widths(&text, self.utf8)?,
                    _ => Splitter::new(Kind::Pattern(self.fpat()?), self.utf8),
                };
            }
            special::OFS => {
                self.record.settle(&self.ofs, &self.conv);
                self.ofs = text;
            }
            special::ORS => self.ors = text,
            special::SUBSEP => self.subsep = text,
            special::CONVFMT => self.conv = text,
            special::OFMT => self.ofmt = text,
            special::RS => {
                self.ending = self.record_ending(&text)?;
                self.resplit()?;
            }
            special::IGNORECASE => {
                let value = &self.globals[slot as usize];
                self.fold = value.truth();
                let rs = self.str(&self.globals[special::RS as usize]);
                self.ending = self.record_ending(&rs)?;
                self.resplit()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Makes the way of splitting anew, after what it depends on was set.
    fn resplit(&mut self) -> Result<()> {
        self.record.need(usize::MAX, &self.splitter);
        if !matches!(self.splitter.kind, Kind::Widths(_) | Kind::Pattern(_)) {
            self.splitter = self.field_separator()?;
        }
        Ok(())
    }

    /// The way of splitting by `FS`.
    pub(crate) fn field_separator(&mut self) -> Result<Splitter> {
        let fs = self.str(&self.globals[special::FS as usize]);
        let mode = self.mode();
        let newline = matches!(self.ending, Ending::Paragraph);
        Splitter::by_fs(&fs, newline, mode, &mut self.store)
    }

    /// The expression of `FPAT`.
    pub(crate) fn fpat(&mut self) -> Result<Rc<Regex>> {
        let fpat = self.str(&self.globals[special::FPAT as usize]);
        let mode = self.mode();
        self.store.get(&fpat, mode)
    }

    fn record_ending(&mut self, rs: &[u8]) -> Result<Ending> {
        Ok(match rs {
            b"" => Ending::Paragraph,
            [b] if !(self.fold && b.is_ascii_alphabetic()) => Ending::Byte(*b),
            _ => {
                let mode = Mode { utf8: self.utf8, fold: self.fold };
                Ending::Regex(self.store.get(rs, mode)?)
            }
        })
    }

    /// `name=value` of the command line: the value is read as a string of a program, and a number if it looks like one.
    pub(crate) fn assign_text(&mut self, name: &str, value: &[u8]) -> Result<()> {
        let mut text = Vec::with_capacity(value.len());
        let mut at = 0;
        while at < value.len() {
            if value[at] == b'\\' && at + 1 < value.len() {
                at += 1 + crate::lexer::unescape(&value[at + 1..], &mut text).0;
            } else {
                text.push(value[at]);
                at += 1;
            }
        }
        let Some(slot) = self.code.globals.iter().position(|known| known == name) else {
            // No part of the program can see it.
            return Ok(());
        };
        if let Value::Array(_) = self.globals[slot] {
            return fatal(format!("cannot use array `{name}' as a variable"));
        }
        let value = Value::Input(Str::from_vec(text));
        if (slot as u32) < special::ACTING {
            return self.set_special(slot as u32, value);
        }
        self.globals[slot] = value;
        Ok(())
    }

    /// Puts text into an array under a number or a name.
    pub(crate) fn fill(&mut self, slot: u32, key: &[u8], value: &[u8]) {
        if let Value::Array(array) = &self.globals[slot as usize] {
            let value = if number::whole(value).is_some() {
                Value::Input(Str::new(value))
            } else {
                Value::text(value)
            };
            array.borrow_mut().set(&Str::new(key), value);
        }
    }
}
