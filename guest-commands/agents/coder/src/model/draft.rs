//! An answer as it comes in, in pieces that the APIs number, within limits. How pieces are told is for each API.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fault::Fault;
use crate::history::{Call, Piece};

/// Bytes of one answer.
const MAX_BYTES: usize = 8 << 20;

/// Pieces of one answer.
const MAX_PIECES: usize = 128;

/// A piece that grows.
#[derive(Debug)]
pub(crate) enum Open {
    Text(String),
    Call {
        id: String,
        name: String,
        /// JSON text, maybe not complete.
        input: String,
    },
    Thought {
        api: &'static str,
        raw: Value,
    },
}

/// The pieces by their number.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pieces: BTreeMap<u64, Open>,
    bytes: usize,
}

impl Draft {
    /// The piece of a number, made if there is none yet.
    pub(crate) fn piece(&mut self, number: u64, make: impl FnOnce() -> Open) -> Result<&mut Open, Fault> {
        if !self.pieces.contains_key(&number) && self.pieces.len() >= MAX_PIECES {
            return Err(Fault::fatal(format!("the answer has more than {MAX_PIECES} pieces")));
        }
        Ok(self.pieces.entry(number).or_insert_with(make))
    }

    /// Counts bytes of the answer.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_BYTES {
            return Err(Fault::fatal(format!("the answer is longer than {} MiB", MAX_BYTES >> 20)));
        }
        Ok(())
    }

    /// Adds to a text.
    pub(crate) fn text(&mut self, number: u64, more: &str) -> Result<(), Fault> {
        self.grow(more.len())?;
        if let Open::Text(text) = self.piece(number, || Open::Text(String::new()))? {
            text.push_str(more);
        }
        Ok(())
    }

    /// Adds to the input of a call; what belongs to no call is dropped.
    pub(crate) fn input(&mut self, number: u64, more: &str) -> Result<(), Fault> {
        self.grow(more.len())?;
        if let Some(Open::Call { input, .. }) = self.pieces.get_mut(&number) {
            input.push_str(more);
        }
        Ok(())
    }

    pub(crate) fn get(&mut self, number: u64) -> Option<&mut Open> {
        self.pieces.get_mut(&number)
    }

    /// The pieces of a complete answer.
    pub(crate) fn complete(&mut self) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for piece in std::mem::take(&mut self.pieces).into_values() {
            match piece {
                Open::Text(text) if text.is_empty() => {}
                Open::Text(text) => pieces.push(Piece::Text(text)),
                Open::Thought { api, raw } => pieces.push(Piece::Thought { api: api.to_owned(), raw }),
                Open::Call { mut id, name, input } => {
                    // Some endpoints number all calls alike, or not at all.
                    let taken = |id: &str| crate::history::calls(&pieces).any(|call| call.id == id);
                    if id.is_empty() || taken(&id) {
                        id = format!("{id}call_{}", pieces.len());
                    }
                    let (input, broken) = read_input(&input);
                    pieces.push(Piece::Call(Call { id, name, input, broken }));
                }
            }
        }
        pieces
    }

    /// The text of an answer that will not become complete. Its calls are not run.
    pub(crate) fn incomplete(&mut self) -> Vec<Piece> {
        self.pieces.retain(|_, piece| matches!(piece, Open::Text(_)));
        self.complete()
    }
}

/// The input of a call, and why it cannot be read.
fn read_input(text: &str) -> (Value, Option<String>) {
    if text.trim().is_empty() {
        return (json!({}), None);
    }
    match serde_json::from_str(text) {
        Ok(input @ Value::Object(_)) => (input, None),
        Ok(_) => (json!({}), Some("the input is no JSON object".to_owned())),
        Err(error) => (json!({}), Some(format!("the input is no JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str, input: &str) -> Open {
        Open::Call { id: id.into(), name: "t".into(), input: input.into() }
    }

    #[test]
    fn pieces_come_in_order_and_calls_are_told_apart() {
        let mut draft = Draft::default();
        for (number, id, input) in [(7, "x", "{\"a\":1}"), (3, "", ""), (9, "x", "{\"a\":"), (11, "y", "[]")]
        {
            draft.piece(number, || call(id, input)).unwrap();
        }
        draft.text(1, "").unwrap();
        draft.text(2, "a").unwrap();
        draft.text(2, "b").unwrap();
        draft.input(50, "of nothing").unwrap();
        let pieces = draft.complete();
        assert_eq!(pieces[0], Piece::Text("ab".into()));
        let all: Vec<_> = crate::history::calls(&pieces).collect();
        let ids: Vec<&str> = all.iter().map(|call| call.id.as_str()).collect();
        assert_eq!(ids, ["call_1", "x", "xcall_3", "y"]);
        assert_eq!((&all[1].input, &all[1].broken), (&json!({"a": 1}), &None));
        assert!(all[2].broken.as_ref().unwrap().contains("no JSON:"));
        assert!(all[3].broken.as_ref().unwrap().contains("no JSON object"));
    }

    #[test]
    fn answers_have_limits() {
        let mut draft = Draft::default();
        for number in 0..MAX_PIECES as u64 {
            draft.text(number, "x").unwrap();
        }
        assert!(draft.text(1 << 40, "x").is_err());
        let mut draft = Draft::default();
        let more = "x".repeat(1 << 20);
        assert!((0..9).any(|_| draft.text(0, &more).is_err()));
        let mut draft = Draft::default();
        draft.piece(1, || call("a", "{")).unwrap();
        draft.text(0, "shown").unwrap();
        assert_eq!(draft.incomplete(), [Piece::Text("shown".into())]);
    }
}
