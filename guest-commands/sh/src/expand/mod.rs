//! Expansion of words into fields, strings and patterns. It takes no words apart; that happened when they were compiled.

mod glob;
pub(crate) mod ifs;
mod ops;
mod param;
mod sink;

use crate::ir::{Part, Word};
use crate::shell::{Flow, Run, Shell};
use crate::symbols;
use sink::{Mode, Sink};

pub(crate) use ifs::Ifs;
pub(crate) use ops::{ansi_quote, double_quote, is_unprintable, printable, quote, quoted_key};
pub(crate) use sink::has_glob;

impl Shell {
    /// The text of a word, neither split nor globbed.
    pub(crate) fn expand_string(&mut self, word: &Word) -> Result<String, Flow> {
        if let Some(text) = word.literal() {
            return Ok(self.spare.text(text));
        }
        self.expand_as(word, Mode::Text)
    }

    /// The word as a pattern: what was quoted matches itself.
    pub(crate) fn expand_pattern(&mut self, word: &Word) -> Result<String, Flow> {
        if let [Part::Lit(text)] = word.parts.as_slice() {
            return Ok(text.to_string());
        }
        self.expand_as(word, Mode::Pattern)
    }

    /// The word as an extended regular expression: what was quoted matches itself.
    pub(crate) fn expand_regex(&mut self, word: &Word) -> Result<String, Flow> {
        self.expand_as(word, Mode::Regex)
    }

    /// The word as the replacement of a substitution: what was quoted stands for itself.
    pub(crate) fn expand_replacement(&mut self, word: &Word) -> Result<String, Flow> {
        self.expand_as(word, Mode::Replacement)
    }

    fn expand_as(&mut self, word: &Word, mode: Mode) -> Result<String, Flow> {
        let mut sink = Sink::new(mode);
        sink.reuse(self.spare.take());
        for part in &word.parts {
            self.part(part, &mut sink, false)?;
        }
        Ok(sink.into_text())
    }

    /// The fields that a word becomes as an argument.
    #[inline(never)]
    pub(crate) fn expand_fields(&mut self, word: &Word, out: &mut Vec<String>) -> Run {
        match word.parts.as_slice() {
            [Part::Quoted(text)] => {
                out.push(self.spare.text(text));
                return Ok(());
            }
            [Part::Lit(text)] if !sink::has_glob(text) => {
                out.push(self.spare.text(text));
                return Ok(());
            }
            [Part::Param(param, quoted)] if self.whole_param(param, *quoted, out) => return Ok(()),
            _ => {}
        }
        let mut sink = Sink::new(Mode::Fields);
        sink.reuse(self.spare.take());
        for part in &word.parts {
            self.part(part, &mut sink, false)?;
        }
        if let Some(field) = sink.single() {
            out.push(field);
            return Ok(());
        }
        sink.finish();
        for field in sink.fields {
            if field.glob && !self.opts.noglob {
                self.glob_field(&field, out)?;
            } else {
                out.push(field.into_text());
            }
        }
        Ok(())
    }

    /// Adds a part; within the word of an expansion even literal text is split.
    #[inline(never)]
    fn part(&mut self, part: &Part, sink: &mut Sink, inner: bool) -> Run {
        match part {
            Part::Lit(text) if inner => sink.value(text, false, &self.ifs()),
            Part::Lit(text) => sink.literal(text),
            Part::Quoted(text) => sink.quoted(text),
            Part::Tilde(user) => {
                let home = self.tilde(user);
                sink.quoted(&home);
            }
            Part::Param(param, quoted) => self.param(param, *quoted, sink)?,
            Part::Arith(arith, quoted) => {
                let n = self.arith(arith)?;
                let mut digits = [0u8; 20];
                let text = decimal(n, &mut digits);
                if *quoted {
                    sink.quoted(text);
                } else {
                    sink.value(text, false, &self.ifs());
                }
            }
            Part::Subst(subst, quoted) => {
                let text = self.command_subst(subst)?;
                sink.value(&text, *quoted, &self.ifs());
            }
            Part::Process(subst, read) => {
                let path = self.process_subst(subst, *read)?;
                sink.quoted(&path);
            }
        }
        Ok(())
    }

    /// The separators of fields.
    #[inline]
    pub(crate) fn ifs(&self) -> Ifs {
        match self.vars.text(symbols::IFS) {
            Some(text) => Ifs::new(text),
            None => self.vars.get(symbols::IFS).map_or(Ifs::DEFAULT, |text| Ifs::new(&text)),
        }
    }

    /// How patterns match by the options; `case` tells whether `nocasematch` counts.
    pub(crate) fn pattern_rules(&self, case: bool) -> crate::pattern::Rules {
        crate::pattern::Rules {
            nocase: case && self.shopts.nocasematch,
            groups: self.shopts.extglob,
            bytes: self.bytes_count(),
        }
    }

    /// What joins the elements of `$*`.
    pub(crate) fn joiner(&self) -> String {
        match self.vars.get(symbols::IFS) {
            Some(text) => text.chars().next().map(String::from).unwrap_or_default(),
            None => " ".into(),
        }
    }

    /// The directory of the stack that `~N`, `~+N` or `~-N` means.
    fn stacked(&self, name: &str) -> Option<String> {
        let digits = name.trim_start_matches(['+', '-']);
        if digits.is_empty() || name.len() - digits.len() > 1 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let stack = self.computed_array(symbols::DIRSTACK)?;
        let n: usize = digits.parse().ok()?;
        if name.starts_with('-') { stack.into_iter().rev().nth(n) } else { stack.into_iter().nth(n) }
    }

    pub(crate) fn tilde(&self, user: &str) -> String {
        let var = |name| self.vars.get(name).map(std::borrow::Cow::into_owned);
        match user {
            "" => var(symbols::HOME).or_else(|| home_of(None)).unwrap_or_else(|| "~".into()),
            "+" => var(symbols::PWD).unwrap_or_else(|| "~+".into()),
            "-" => var(symbols::OLDPWD).unwrap_or_else(|| "~-".into()),
            name => self.stacked(name).or_else(|| home_of(Some(name))).unwrap_or_else(|| format!("~{name}")),
        }
    }
}

/// The home directory of a user (`None`: the own) in `/etc/passwd`.
fn home_of(user: Option<&str>) -> Option<String> {
    let uid = agentos_guest::user::getuid().to_string();
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    text.lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| match user {
            Some(user) => fields.first() == Some(&user),
            None => fields.get(2) == Some(&uid.as_str()),
        })
        .and_then(|fields| fields.get(5).map(|home| (*home).to_owned()))
}

/// Decimal digits without an allocation.
pub(crate) fn decimal(n: i64, buffer: &mut [u8; 20]) -> &str {
    let mut left = n.unsigned_abs();
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if n < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    std::str::from_utf8(&buffer[at..]).unwrap_or("0")
}
