//! One request over HTTP and its answer, as far as the transport defines it: JSON, a stream of events, nothing, or a refusal.
//! It sends nothing, and decides nothing about what comes next.

use std::time::Instant;

use agentos_agent_common::http::{Part, Response};
use agentos_agent_common::sse::{Events, Wrong};
use serde_json::{Value, json};

use super::message;

/// Bytes that are read of an answer that is a refusal.
const REFUSAL: usize = 4096;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Requests of the client: they are answered.
    Requests,
    /// What is not answered.
    Notice,
    /// The stream for what the server says by itself.
    Listen,
    /// The end of the session.
    Bye,
}

/// What comes.
#[derive(Debug)]
enum Body {
    /// The head is not there yet.
    Nothing,
    Accepted,
    Json(Vec<u8>),
    Events(Events),
    Refused {
        status: u16,
        location: String,
        text: Vec<u8>,
    },
}

/// How an exchange ended, as far as the server has a part in it.
#[derive(Debug, PartialEq)]
pub(super) enum End {
    /// All came that was to come.
    Whole,
    /// A stream of events broke off, and why.
    Broken(String),
    /// It can give no answer: why, and more for programs.
    Failed(String, Value),
}

/// A request that is under way, or waits to be made again.
pub(super) struct Exchange {
    pub(super) kind: Kind,
    /// Ids that want an answer.
    pub(super) waiting: Vec<Value>,
    /// Nothing else is sent before it is over.
    pub(super) gate: bool,
    /// It begins a session of the server.
    pub(super) initialize: bool,
    /// While it is under way.
    pub(super) response: Option<Box<dyn Response>>,
    /// When it fails if it is still there; or, without a response, when it is made again.
    pub(super) until: Option<Instant>,
    /// When it is made again.
    pub(super) again: Option<Instant>,
    /// How often in a row nothing came of it.
    pub(super) tries: u32,
    /// The status of its answer; 0 before.
    pub(super) status: u16,
    pub(super) last_id: Option<String>,
    pub(super) retry_ms: Option<u64>,
    body: Body,
}

/// What a read brings.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// Texts with messages.
    pub(super) texts: Vec<String>,
    /// The session that the server names.
    pub(super) session: Option<String>,
    pub(super) end: Option<End>,
}

impl Exchange {
    pub(super) fn new(kind: Kind) -> Self {
        Exchange {
            kind,
            waiting: Vec::new(),
            gate: false,
            initialize: false,
            response: None,
            until: None,
            again: None,
            tries: 0,
            status: 0,
            last_id: None,
            retry_ms: None,
            body: Body::Nothing,
        }
    }

    /// It is under way, for the first time or anew.
    pub(super) fn begins(&mut self, response: Box<dyn Response>) {
        (self.response, self.body, self.status, self.again) = (Some(response), Body::Nothing, 0, None);
    }

    /// Reads once; called when its descriptor can be read.
    pub(super) fn read(&mut self, max_message: usize) -> Brought {
        let mut brought = Brought::default();
        let Some(response) = &mut self.response else { return brought };
        let parts = match response.read() {
            Ok(parts) => parts,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return brought,
            Err(error) => {
                brought.end =
                    Some(self.lost(agentos_guest::strerror(&error).to_string(), json!({"code": "aborted"})));
                return brought;
            }
        };
        for part in parts {
            match part {
                Part::Head { status, headers } => brought.session = self.head(status, &headers, max_message),
                Part::Data(bytes) => match self.data(&bytes, max_message) {
                    Ok(texts) => brought.texts.extend(texts),
                    Err(end) => brought.end = Some(end),
                },
                Part::Failed { code, message } => {
                    let data = json!({"code": code});
                    brought.end = Some(self.lost(message, data));
                }
                Part::End => brought.end = Some(self.whole(&mut brought.texts)),
            }
            if brought.end.is_some() {
                break;
            }
        }
        brought
    }

    fn head(&mut self, status: u16, headers: &[(String, String)], max_message: usize) -> Option<String> {
        let header =
            |name: &str| headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str());
        let media = header("content-type").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        self.status = status;
        self.body = match (status, media.as_str()) {
            (202 | 204, _) => Body::Accepted,
            (200..=299, "application/json") => Body::Json(Vec::new()),
            (200..=299, "text/event-stream") => {
                // What is gone on with may break off once more before it has an id of its own.
                let mut events = Events::new(max_message);
                events.last_id.clone_from(&self.last_id);
                Body::Events(events)
            }
            (200..=299, _) if matches!(self.kind, Kind::Notice | Kind::Bye) => Body::Accepted,
            _ => Body::Refused {
                status,
                location: message::piece(header("location").as_bytes()),
                text: Vec::new(),
            },
        };
        let session = Some(header("mcp-session-id")).filter(|id| !id.is_empty() && id.len() <= 1024);
        session.filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic())).map(str::to_owned)
    }

    fn data(&mut self, bytes: &[u8], max_message: usize) -> Result<Vec<String>, End> {
        let long = || {
            let why = format!("the MCP server sent a message of more than {max_message} bytes");
            End::Failed(why, Value::Null)
        };
        match &mut self.body {
            Body::Nothing | Body::Accepted => {}
            Body::Json(text) if text.len() + bytes.len() > max_message => return Err(long()),
            Body::Json(text) => text.extend_from_slice(bytes),
            Body::Events(events) => {
                let pushed = events.push(bytes);
                self.last_id.clone_from(&events.last_id);
                self.retry_ms = events.retry_ms.or(self.retry_ms);
                return pushed.map_err(|wrong| match wrong {
                    Wrong::TooLong => long(),
                    Wrong::NotText => {
                        End::Failed("the MCP server sent an event that is no text".to_owned(), Value::Null)
                    }
                });
            }
            Body::Refused { text, .. } => {
                let room = REFUSAL.saturating_sub(text.len());
                text.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            }
        }
        Ok(Vec::new())
    }

    /// The answer is complete.
    fn whole(&mut self, texts: &mut Vec<String>) -> End {
        match std::mem::replace(&mut self.body, Body::Nothing) {
            Body::Nothing | Body::Accepted => End::Whole,
            Body::Json(text) => match String::from_utf8(text) {
                Ok(text) => {
                    texts.push(text);
                    End::Whole
                }
                Err(_) => {
                    End::Failed("the MCP server answered with JSON that is no text".to_owned(), Value::Null)
                }
            },
            Body::Events(_) => End::Broken("the MCP server ended its stream without an answer".to_owned()),
            Body::Refused { status, location, text } => {
                // An error of the protocol may come with it.
                if let Ok(said) = std::str::from_utf8(&text) {
                    texts.push(said.to_owned());
                }
                refusal(status, &location, &text)
            }
        }
    }

    /// The answer is lost.
    fn lost(&mut self, why: String, data: Value) -> End {
        match &self.body {
            Body::Events(_) => End::Broken(why),
            _ => End::Failed(why, data),
        }
    }
}

fn refusal(status: u16, location: &str, text: &[u8]) -> End {
    let help = match status {
        200..=299 => ", which is neither JSON nor a stream of events",
        300..=399 => ": it is elsewhere, and redirects are not followed",
        401 | 403 => ": who may ask it is said by the headers that its configuration has",
        404 => ": there is no such server, or its session is over and it has to be initialized anew",
        405 => ": it takes no messages here; is it a server of the older transport (HTTP with SSE)?",
        _ => "",
    };
    let said = match (location, message::piece(text)) {
        ("", said) if said.is_empty() => String::new(),
        ("", said) => format!("; it said: {said}"),
        (location, _) => format!("; it names {location}"),
    };
    End::Failed(format!("the MCP server answered HTTP {status}{help}{said}"), json!({"status": status}))
}
