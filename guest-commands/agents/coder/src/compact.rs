//! Making a history shorter: when it fills most of the context window, the model writes a summary that takes its place.

use std::io;

use serde_json::json;

use crate::{
    Settings,
    agent::Agent,
    ask::Asked,
    clip::{Clip, clip},
    history::{self, Block, Item, Piece},
    model::{Query, Usage, fault::Fault},
    session::Work,
    store::Line,
};

/// Percent of the context window from which on a history is made shorter.
const FULL: u64 = 80;

/// Bytes of one result, and of the last prompt, that are repeated.
const MAX_RESULT: usize = 4000;
const MAX_PROMPT: usize = 16_000;

const SYSTEM: &str = "\
You write the summary of a conversation between a user and an agent that works on the user's files. The agent goes on with your \
summary in place of the conversation, so everything it needs has to be in it, and nothing else. Write down: what the user wants, \
with all conditions and corrections in the user's words; what was done, with paths, names, commands and results that matter; what \
was decided, and why; what failed; what is under way and what comes next. Write facts in short lines. Do not greet, do not address \
anybody, call no tools.";

/// What became of it.
pub(crate) enum Compacted {
    Done(Usage),
    Cancelled,
    Failed(Fault),
}

/// Whether a history should be made shorter before the model is asked again.
pub(crate) fn is_due(settings: &Settings, work: &Work) -> bool {
    work.items.len() > 2 && work.tokens().saturating_mul(100) > settings.context.saturating_mul(FULL)
}

/// A conversation as a text, the middle left out where it is too long for the model.
fn transcript(items: &[Item], context: u64) -> String {
    let most = usize::try_from(context.saturating_mul(2)).unwrap_or(usize::MAX).clamp(8 << 10, 2 << 20);
    let mut text = Clip::new(most);
    let mut say = |who: &str, what: &str| text.push(format!("## {who}\n{what}\n\n").as_bytes());
    for item in items {
        match item {
            Item::User(blocks) => {
                for block in blocks {
                    match block {
                        Block::Text(text) => say("User", text),
                        Block::Image { mime, .. } => say("User", &format!("(an image, {mime})")),
                    }
                }
            }
            Item::Assistant(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => say("Agent", text),
                        Piece::Call(call) => {
                            say(
                                "Agent calls",
                                &format!("{} {}", call.name, clip(call.input.to_string(), MAX_RESULT)),
                            );
                        }
                        Piece::Thought { .. } => {}
                    }
                }
            }
            Item::Results(results) => {
                for result in results {
                    let what = if result.ok { "Result" } else { "Result (failed)" };
                    say(what, &clip(result.text.clone(), MAX_RESULT));
                }
            }
        }
    }
    text.text()
}

/// The text of the last prompt, which is told to the letter.
fn last_prompt(items: &[Item]) -> String {
    let prompt = items.iter().rev().find_map(|item| match item {
        Item::User(blocks) => Some(blocks),
        _ => None,
    });
    let texts = prompt.into_iter().flatten().filter_map(|block| match block {
        Block::Text(text) => Some(text.as_str()),
        Block::Image { .. } => None,
    });
    clip(texts.collect::<Vec<_>>().join("\n"), MAX_PROMPT)
}

/// What takes the place of a history. `open`: the last prompt is being worked on.
fn replacement(items: &[Item], summary: &str, open: bool) -> Vec<Item> {
    let mut text = format!("What was said so far was left out to save room. Its summary:\n\n{summary}");
    if open {
        let prompt = last_prompt(items);
        text.push_str(&format!(
            "\n\nThe last request of the user was:\n\n{prompt}\n\nGo on with it where the summary ends."
        ));
    }
    vec![Item::User(vec![Block::Text(text)])]
}

impl Agent {
    /// Makes the history of a session shorter. `open`: the last prompt is being worked on.
    pub(crate) fn compact(
        &mut self,
        settings: &Settings,
        work: &mut Work,
        model: &str,
        open: bool,
    ) -> io::Result<Compacted> {
        work.compactions += 1;
        let id = format!("compaction-{}", work.compactions);
        self.tell_compaction(&id, "in_progress", None)?;
        let text = transcript(&work.items, settings.context);
        let request = format!("The conversation:\n\n{text}\n\nWrite the summary now.");
        let items = [Item::User(vec![Block::Text(request)])];
        let query =
            Query { model, system: SYSTEM, items: &items, tools: &[], max_tokens: settings.max_tokens };
        let (status, told, result) = match self.ask_model(settings, &query, None)? {
            Asked::Answer(answer) => {
                let summary = history::text(&answer.pieces);
                if summary.trim().is_empty() {
                    let fault = Fault::fatal(
                        "the model wrote no summary of the conversation, which is too long for it",
                    );
                    ("failed", Some(fault.message.clone()), Compacted::Failed(fault))
                } else {
                    let items = replacement(&work.items, &summary, open);
                    let kept = work.keep(&Line::Compaction { items: items.clone() });
                    work.items = items;
                    work.used = 0;
                    work.since = serde_json::to_vec(&work.items)?.len() as u64;
                    self.check_kept(work, kept)?;
                    ("completed", Some(summary), Compacted::Done(answer.usage))
                }
            }
            Asked::Cancelled(_) => ("cancelled", None, Compacted::Cancelled),
            Asked::Failed(_, fault) => ("failed", Some(fault.message.clone()), Compacted::Failed(fault)),
        };
        self.tell_compaction(&id, status, told.as_deref())?;
        Ok(result)
    }

    /// As an update where the client knows it, else as a thought.
    fn tell_compaction(&mut self, id: &str, status: &str, text: Option<&str>) -> io::Result<()> {
        if !self.compactions {
            return match status {
                "in_progress" => self.think("The conversation is getting long; it is summed up.\n"),
                "completed" => self.think("It goes on from a summary.\n"),
                _ => Ok(()),
            };
        }
        let mut update = json!({"sessionUpdate": "compaction_update", "compactionId": id, "status": status});
        match (status, text) {
            ("completed", Some(text)) => update["summary"] = json!([{"type": "text", "text": text}]),
            ("failed", Some(text)) => update["error"] = json!(text),
            _ => {}
        }
        self.update(update)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Call, Outcome};

    #[test]
    fn a_conversation_is_told_within_its_room() {
        let call =
            Call { id: "a".into(), name: "bash".into(), input: json!({"command": "ls"}), broken: None };
        let items = [
            Item::User(vec![
                Block::Text("first".into()),
                Block::Image { mime: "image/png".into(), data: "x".repeat(90_000) },
            ]),
            Item::Assistant(vec![Piece::Text("I look".into()), Piece::Call(call)]),
            Item::Results(vec![Outcome { call: "a".into(), ok: false, text: "y".repeat(50_000) }]),
            Item::User(vec![Block::Text("second".into())]),
        ];
        let text = transcript(&items, 100_000);
        for part in [
            "## User\nfirst",
            "(an image, image/png)",
            "## Agent\nI look",
            "bash {\"command\":\"ls\"}",
            "(failed)\nyyy",
            "second",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.len() < 6000);
        let long = vec![Item::User(vec![Block::Text("z".repeat(100_000))]); 10];
        assert!(transcript(&long, 5000).len() < 11_000);
        let [Item::User(blocks)] = &replacement(&items, "the sum", true)[..] else { panic!("one prompt") };
        let [Block::Text(text)] = &blocks[..] else { panic!("one text") };
        assert!(text.contains("the sum") && text.contains("second"));
    }
}
