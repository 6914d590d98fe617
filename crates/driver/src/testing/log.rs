//! The events of a session, as a test looks at them.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::event::{Body, Event};
use crate::kernel::Events;

/// What no test waits for longer.
const HANG: Duration = Duration::from_secs(30);

/// The events of a session so far.
#[derive(Debug)]
pub struct Log {
    from: Events,
    /// In their order.
    pub events: Vec<Event>,
}

/// Members that differ from run to run and say nothing.
const VOLATILE: &[&str] = &["at", "startedAt", "completedAt", "durationMs", "expiresAt", "traceId", "native"];
/// Members that hold ids.
const IDS: &[&str] = &["id", "sessionId", "turnId", "itemId", "parentItemId", "requestId", "runId"];

impl Log {
    /// Of a session from now on.
    #[must_use]
    pub fn new(from: Events) -> Self {
        Log { from, events: Vec::new() }
    }

    /// Takes events until one of which `is` holds, and gives that one.
    ///
    /// # Panics
    /// If none comes for 30 s, or the session ends: this is for tests.
    pub async fn until(&mut self, is: impl Fn(&Body) -> bool) -> Event {
        loop {
            match tokio::time::timeout(HANG, self.from.next()).await {
                Ok(Some(event)) => {
                    self.events.push(event.clone());
                    if is(&event.body) {
                        return event;
                    }
                }
                Ok(None) => panic!("the session ended; {}", self.text()),
                Err(_) => panic!("nothing came for {HANG:?}; {}", self.text()),
            }
        }
    }

    /// Takes events to the end of the session.
    ///
    /// # Panics
    /// If that does not come: nothing for 30 s.
    pub async fn to_end(&mut self) {
        while let Some(event) = tokio::time::timeout(HANG, self.from.next())
            .await
            .unwrap_or_else(|_| panic!("no end; {}", self.text()))
        {
            self.events.push(event);
        }
    }

    /// The kinds of events, but diagnostics and deltas.
    #[must_use]
    pub fn kinds(&self) -> Vec<String> {
        let kinds = self.events.iter().filter_map(|event| {
            let value = serde_json::to_value(&event.body).ok()?;
            Some(value.get("kind")?.as_str()?.to_owned())
        });
        kinds.filter(|kind| kind != "item.delta" && kind != "diagnostic.reported").collect()
    }

    /// All of them as [`normalised`] shows them.
    #[must_use]
    pub fn normalised(&self) -> Vec<Value> {
        normalised(&self.events)
    }

    /// The same as text.
    #[must_use]
    pub fn text(&self) -> String {
        let lines: Vec<String> = self.normalised().iter().map(Value::to_string).collect();
        lines.join("\n")
    }
}

/// Events as JSON, without what differs from run to run: times are left out, and ids are numbered in the order in which
/// they come.
#[must_use]
pub fn normalised(events: &[Event]) -> Vec<Value> {
    let mut names = HashMap::new();
    let lines = events.iter().filter_map(|event| serde_json::to_value(event).ok());
    lines.map(|value| normalise(value, &mut names)).collect()
}

fn normalise(value: Value, names: &mut HashMap<String, String>) -> Value {
    match value {
        Value::Object(members) => {
            let mut kept = Map::new();
            for (name, value) in members {
                if VOLATILE.contains(&name.as_str()) {
                    continue;
                }
                let value = match value {
                    Value::String(id) if IDS.contains(&name.as_str()) => {
                        let next = names.len() + 1;
                        Value::String(names.entry(id).or_insert_with(|| format!("<id{next}>")).clone())
                    }
                    other => normalise(other, names),
                };
                kept.insert(name, value);
            }
            Value::Object(kept)
        }
        Value::Array(all) => Value::Array(all.into_iter().map(|value| normalise(value, names)).collect()),
        other => other,
    }
}
