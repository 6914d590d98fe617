//! What was said in a session, apart from any API: prompts, answers, results of tools. It is what files of sessions hold.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One entry, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Item {
    /// A prompt.
    User(Vec<Block>),
    /// An answer of the model.
    Assistant(Vec<Piece>),
    /// Results of all its calls.
    Results(Vec<Outcome>),
}

/// A part of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Block {
    Text(String),
    Image {
        mime: String,
        /// Base64.
        data: String,
    },
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Piece {
    Text(String),
    Call(Call),
    /// What the model thought, in the form of its API, which may want it back.
    Thought {
        api: String,
        raw: Value,
    },
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    /// An object.
    pub(crate) input: Value,
    /// Why the input that the model wrote cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) broken: Option<String>,
}

/// The result of a call, for the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Id of the call.
    pub(crate) call: String,
    pub(crate) ok: bool,
    pub(crate) text: String,
}

/// The calls of an answer.
pub(crate) fn calls(pieces: &[Piece]) -> impl Iterator<Item = &Call> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Call(call) => Some(call),
        _ => None,
    })
}

/// The text of an answer.
pub(crate) fn text(pieces: &[Piece]) -> String {
    let texts = pieces.iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Gives every call a result: a model refuses a history where one is missing, as after a crash.
pub(crate) fn mend(items: &mut Vec<Item>) {
    let mut at = 0;
    while at < items.len() {
        if let Item::Assistant(pieces) = &items[at] {
            let mut missing: Vec<_> = calls(pieces)
                .map(|call| Outcome {
                    call: call.id.clone(),
                    ok: false,
                    text: "interrupted; it is not known how far it came".to_owned(),
                })
                .collect();
            match items.get_mut(at + 1) {
                Some(Item::Results(results)) => {
                    missing.retain(|outcome| results.iter().all(|result| result.call != outcome.call));
                    results.append(&mut missing);
                }
                _ if !missing.is_empty() => items.insert(at + 1, Item::Results(missing)),
                _ => {}
            }
        }
        at += 1;
    }
    // Results without an answer before them are refused as well.
    let mut answered = false;
    items.retain(|item| {
        let keep = !matches!(item, Item::Results(_)) || answered;
        answered = matches!(item, Item::Assistant(pieces) if calls(pieces).next().is_some());
        keep
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(id: &str) -> Piece {
        Piece::Call(Call { id: id.into(), name: "bash".into(), input: json!({}), broken: None })
    }

    fn outcome(id: &str) -> Outcome {
        Outcome { call: id.into(), ok: true, text: "x".into() }
    }

    #[test]
    fn histories_are_mended() {
        let mut items = vec![
            Item::Results(vec![outcome("z")]),
            Item::User(vec![Block::Text("hi".into())]),
            Item::Assistant(vec![call("a"), call("b")]),
            Item::Results(vec![outcome("a")]),
            Item::Assistant(vec![call("c")]),
            Item::User(Vec::new()),
            Item::Assistant(vec![call("d")]),
        ];
        mend(&mut items);
        let shape: Vec<String> = items
            .iter()
            .map(|item| match item {
                Item::User(_) => "user".to_owned(),
                Item::Assistant(pieces) => calls(pieces).map(|call| call.id.clone()).collect(),
                Item::Results(all) => all.iter().map(|o| format!("={}{}", o.call, o.ok)).collect(),
            })
            .collect();
        assert_eq!(shape, ["user", "ab", "=atrue=bfalse", "c", "=cfalse", "user", "d", "=dfalse"]);
        let before = items.clone();
        mend(&mut items);
        assert_eq!(items, before);
    }

    #[test]
    fn items_are_what_files_hold() {
        let item = Item::Assistant(vec![Piece::Text("t".into()), call("a")]);
        let line = serde_json::to_string(&item).unwrap();
        assert_eq!(line, r#"{"assistant":[{"text":"t"},{"call":{"id":"a","name":"bash","input":{}}}]}"#);
        assert_eq!(serde_json::from_str::<Item>(&line).unwrap(), item);
    }
}
