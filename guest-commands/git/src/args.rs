//! Reading the words of a command: clusters of short options, values, abbreviations are not needed. It knows no command.

use crate::bytes;
use crate::error::{Res, Stop};

/// A command's arguments in order.
pub(crate) struct Args {
    words: Vec<Vec<u8>>,
    at: usize,
    /// Short options that take a value in the same word or the next.
    valued: &'static str,
    /// What is left of a cluster of short options.
    cluster: String,
    /// After `--`.
    pub(crate) dashdash: bool,
    command: &'static str,
    usage: &'static str,
}

/// The next thing on a command line.
pub(crate) enum Word {
    /// `-x` or `--name`, without its value.
    Option(String),
    Plain(Vec<u8>),
}

impl Args {
    /// `valued`: the letters of short options with a value.
    pub(crate) fn new(
        words: &[Vec<u8>],
        valued: &'static str,
        command: &'static str,
        usage: &'static str,
    ) -> Args {
        Args { words: words.to_vec(), at: 0, valued, cluster: String::new(), dashdash: false, command, usage }
    }

    /// The next option or word.
    pub(crate) fn next(&mut self) -> Res<Option<Word>> {
        if !self.cluster.is_empty() {
            let letter = self.cluster.remove(0);
            return Ok(Some(Word::Option(format!("-{letter}"))));
        }
        let Some(word) = self.words.get(self.at).cloned() else { return Ok(None) };
        self.at += 1;
        if self.dashdash || word.len() < 2 || word[0] != b'-' {
            return Ok(Some(Word::Plain(word)));
        }
        if word == b"--" {
            self.dashdash = true;
            return self.next();
        }
        let text = bytes::text(&word);
        if text == "-h" || text == "--help" {
            return Err(Stop::Said(if text == "-h" { 129 } else { 0 }, self.usage_text()));
        }
        if text.starts_with("--") {
            // Options with a value keep it in the word: `value` takes it from there.
            if let Some((name, value)) = text.split_once('=') {
                self.at -= 1;
                self.words[self.at] = value.as_bytes().to_vec();
                return Ok(Some(Word::Option(format!("{name}="))));
            }
            return Ok(Some(Word::Option(text)));
        }
        let mut letters = text[1..].chars();
        let first = letters.next().unwrap_or('-');
        self.cluster = letters.as_str().to_owned();
        Ok(Some(Word::Option(format!("-{first}"))))
    }

    /// The value of the option `name` that was just read.
    pub(crate) fn value(&mut self, name: &str) -> Res<String> {
        self.value_bytes(name).map(|v| bytes::text(&v))
    }

    /// The value of the option `name` that was just read, as bytes.
    pub(crate) fn value_bytes(&mut self, name: &str) -> Res<Vec<u8>> {
        if !self.cluster.is_empty() {
            return Ok(std::mem::take(&mut self.cluster).into_bytes());
        }
        match self.words.get(self.at).cloned() {
            Some(value) => {
                self.at += 1;
                Ok(value)
            }
            None => {
                let name = name.trim_end_matches('=');
                let what = match name.strip_prefix("--") {
                    Some(long) => format!("option `{long}' requires a value"),
                    None => format!("switch `{}' requires a value", name.trim_start_matches('-')),
                };
                Err(Stop::Error(129, what))
            }
        }
    }

    /// A value that may only be in the same word: `--name=value` or `-n5`.
    pub(crate) fn own_value(&mut self, option: &str) -> Option<String> {
        if option.ends_with('=') {
            let value = self.words.get(self.at).map(|w| bytes::text(w));
            self.at += 1;
            return value;
        }
        if option.len() == 2 && !self.cluster.is_empty() {
            return Some(std::mem::take(&mut self.cluster));
        }
        None
    }

    /// The error of an option that is not known.
    pub(crate) fn unknown(&self, option: &str) -> Stop {
        let name = option.trim_end_matches('=');
        let what = match name.strip_prefix("--") {
            Some(long) => format!("error: unknown option `{long}'"),
            None => format!("error: unknown switch `{}'", name.trim_start_matches('-')),
        };
        Stop::Said(129, format!("{what}\n{}", self.usage_text()))
    }

    /// The usage message.
    pub(crate) fn usage_text(&self) -> String {
        let _ = self.valued;
        format!("usage: git {} {}", self.command, self.usage)
    }
}
