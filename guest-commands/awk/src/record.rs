//! The present record and its fields, split no further than somebody asks. How a separator splits is in `splitting`.

use crate::splitting::Splitter;
use crate::value::{Str, Value};

/// The highest field that can be made.
pub(crate) const MAX_FIELD: usize = 20_000_000;

/// A record.
#[derive(Debug, Default)]
pub(crate) struct Record {
    text: Vec<u8>,
    /// Fields were changed since the text was made.
    stale: bool,
    /// Fields found so far, as parts of the text.
    parts: Vec<(usize, usize)>,
    /// Where to look for the next one; none when all are found.
    at: Option<usize>,
    /// The fields, once one of them was changed.
    own: Option<Vec<Value>>,
}

impl Record {
    /// Becomes this text.
    #[inline]
    pub(crate) fn set(&mut self, text: &[u8]) {
        self.text.clear();
        self.text.extend_from_slice(text);
        self.stale = false;
        self.parts.clear();
        self.at = Some(0);
        self.own = None;
    }

    /// The whole text.
    #[inline]
    pub(crate) fn text(&mut self, separator: &[u8], conv: &[u8]) -> &[u8] {
        if self.stale {
            self.join(separator, conv);
        }
        &self.text
    }

    fn join(&mut self, separator: &[u8], conv: &[u8]) {
        self.stale = false;
        let Some(own) = &self.own else { return };
        self.text.clear();
        for (i, value) in own.iter().enumerate() {
            if i > 0 {
                self.text.extend_from_slice(separator);
            }
            value.with_bytes(conv, |bytes| self.text.extend_from_slice(bytes));
        }
    }

    /// Makes the text while the separator of output is still the old one.
    pub(crate) fn settle(&mut self, separator: &[u8], conv: &[u8]) {
        if self.stale {
            self.join(separator, conv);
        }
    }

    /// Finds fields up to number `n`.
    #[inline]
    pub(crate) fn need(&mut self, n: usize, splitter: &Splitter) {
        if self.own.is_none()
            && self.parts.len() < n
            && let Some(at) = self.at
        {
            self.at = splitter.split(&self.text, at, n, &mut self.parts);
        }
    }

    /// How many fields there are.
    pub(crate) fn count(&mut self, splitter: &Splitter) -> usize {
        self.need(usize::MAX, splitter);
        self.own.as_ref().map_or(self.parts.len(), Vec::len)
    }

    /// The bytes of a field from 1, none if there is no such field or it is no text any more.
    #[inline]
    pub(crate) fn bytes(&mut self, n: usize, splitter: &Splitter) -> Option<&[u8]> {
        self.need(n, splitter);
        if self.own.is_some() {
            return None;
        }
        Some(self.parts.get(n - 1).map_or(&b""[..], |(from, to)| &self.text[*from..*to]))
    }

    /// A field from 1.
    #[inline]
    pub(crate) fn field(&mut self, n: usize, splitter: &Splitter) -> Value {
        self.need(n, splitter);
        if let Some(own) = &self.own {
            return own.get(n - 1).cloned().unwrap_or(Value::Input(Str::EMPTY));
        }
        match self.parts.get(n - 1) {
            Some((from, to)) => Value::Input(Str::new(&self.text[*from..*to])),
            None => Value::Input(Str::EMPTY),
        }
    }

    fn take_over(&mut self, splitter: &Splitter) -> &mut Vec<Value> {
        self.need(usize::MAX, splitter);
        let (text, parts) = (&self.text, &self.parts);
        self.own.get_or_insert_with(|| {
            parts.iter().map(|(from, to)| Value::Input(Str::new(&text[*from..*to]))).collect()
        })
    }

    /// Sets a field from 1, at most [`MAX_FIELD`].
    pub(crate) fn set_field(&mut self, n: usize, value: Value, splitter: &Splitter) {
        let own = self.take_over(splitter);
        if own.len() < n {
            own.resize(n, Value::Input(Str::EMPTY));
        }
        own[n - 1] = value;
        self.stale = true;
    }

    /// Sets the number of fields, at most [`MAX_FIELD`].
    pub(crate) fn set_count(&mut self, n: usize, splitter: &Splitter) {
        self.take_over(splitter).resize(n, Value::Input(Str::EMPTY));
        self.stale = true;
    }
}
