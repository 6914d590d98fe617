//! One request to the model: its answer is shown as it comes, and asked for again where that may help. What is asked is
//! decided in [`turn`](crate::turn) and [`compact`](crate::compact).

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
    time::{Duration, Instant},
};

use agentos_agent_common::{
    http::{Part, Request, Response},
    sse::{Events, Wrong},
};
use serde_json::json;

use crate::{
    Settings,
    agent::Agent,
    history::Piece,
    model::{self, Answer, Decoder, Delta, Query, fault::Fault},
};

/// Longest event, in bytes: the last one of a response may repeat all of it.
const MAX_EVENT: usize = 8 << 20;

/// How often a request is made again.
const RETRIES: u32 = 5;

/// Longest wait before that; an endpoint that asks for a longer one is not asked again.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// Silence in the middle of an answer after which it counts as lost.
const IDLE: Duration = Duration::from_secs(300);

/// Bytes of a stream, and of the text of an error.
const MAX_STREAM: usize = 64 << 20;
const MAX_ERROR: usize = 64 << 10;
/// How long the body of a refusal may take.
const ERROR: Duration = Duration::from_secs(30);

/// What became of a request.
pub(crate) enum Asked {
    Answer(Answer),
    /// The turn was cancelled; what was shown until then.
    Cancelled(Vec<Piece>),
    /// What was shown until then, and why.
    Failed(Vec<Piece>, Fault),
}

/// An answer that comes in.
struct Incoming {
    response: Box<dyn Response>,
    events: Events,
    decoder: Box<dyn Decoder>,
    /// Status and headers, and the body if the status is not 200.
    head: Option<(u16, Vec<(String, String)>)>,
    error: Vec<u8>,
    /// When the first of that body came.
    refused: Option<Instant>,
    bytes: usize,
}

impl Incoming {
    /// Reads once, and adds what is to be shown. True at the end of the answer.
    fn step(&mut self, deltas: &mut Vec<Delta>) -> Result<bool, Fault> {
        let parts = match self.response.read() {
            Ok(parts) => parts,
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                return Ok(false);
            }
            Err(error) => return Err(lost(&agentos_guest::strerror(&error))),
        };
        for part in parts {
            match (part, &self.head) {
                (Part::Head { status, headers }, _) => self.head = Some((status, headers)),
                (Part::Data(data), Some((200, _))) => {
                    self.data(&data, deltas)?;
                    if self.decoder.is_over() {
                        return Ok(true);
                    }
                }
                (Part::Data(data), head) => {
                    let room = MAX_ERROR - self.error.len();
                    self.error.extend_from_slice(&data[..data.len().min(room)]);
                    // Enough is known, and the rest may have no end.
                    if let Some((status, headers)) = head
                        && (data.len() > room
                            || self.refused.get_or_insert_with(Instant::now).elapsed() > ERROR)
                    {
                        return Err(Fault::of_status(*status, headers, &self.error));
                    }
                }
                // What went wrong first tells more.
                (Part::End | Part::Failed { .. }, Some((status, headers))) if *status != 200 => {
                    return Err(Fault::of_status(*status, headers, &self.error));
                }
                (Part::Failed { code, message }, _) => return Err(Fault::of_transport(&code, &message)),
                (Part::End, Some(_)) => return Ok(true),
                (Part::End, None) => return Err(lost("it ended before its head")),
            }
        }
        Ok(false)
    }

    fn data(&mut self, data: &[u8], deltas: &mut Vec<Delta>) -> Result<(), Fault> {
        self.bytes += data.len();
        if self.bytes > MAX_STREAM {
            return Err(Fault::fatal(format!("sent more than {} MiB", MAX_STREAM >> 20)));
        }
        let events = self.events.push(data).map_err(|wrong| match wrong {
            Wrong::TooLong => Fault::fatal("sent an event that is too long"),
            Wrong::NotText => Fault::broken("sent an event that is no UTF-8"),
        })?;
        for event in events {
            if self.decoder.is_over() {
                break;
            }
            deltas.extend(self.decoder.event(&event)?);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Answer, Fault> {
        let content = self.head.iter().flat_map(|(_, headers)| headers);
        let kind = content.clone().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        match self.decoder.finish() {
            Some((stop, usage)) => Ok(Answer { pieces: self.decoder.draft().complete(), stop, usage }),
            None => match kind {
                Some((_, kind)) if !kind.starts_with("text/event-stream") => {
                    Err(Fault::fatal(format!("answered with {kind} instead of a stream of events")))
                }
                _ => Err(lost("the answer broke off")),
            },
        }
    }
}

fn lost(why: &str) -> Fault {
    Fault::of_transport("lost", why)
}

impl Agent {
    /// Asks the model; with `show` the client sees the answer as it comes.
    pub(crate) fn ask_model(
        &mut self,
        settings: &Settings,
        query: &Query<'_>,
        message: Option<&str>,
    ) -> io::Result<Asked> {
        let request = model::request(settings, query);
        let mut tried = 0;
        loop {
            let mut shown = false;
            let (pieces, fault) = match self.attempt(settings, &request, message, &mut shown)? {
                Asked::Failed(pieces, fault) => (pieces, fault),
                asked => return Ok(asked),
            };
            let wait = self.wait_before(tried, fault.after);
            // What was shown cannot be taken back.
            if shown || !fault.again || tried >= RETRIES || wait > MAX_WAIT {
                let after = if tried > 0 { format!(" (tried {} times)", tried + 1) } else { String::new() };
                let message = format!("{} {}{after}", origin(&settings.url), fault.message);
                return Ok(Asked::Failed(pieces, Fault { message, ..fault }));
            }
            tried += 1;
            let text = format!(
                "{} {}; trying again in {:.1} s ({tried} of {RETRIES})\n",
                origin(&settings.url),
                fault.message,
                wait.as_secs_f64(),
            );
            self.think(&text)?;
            let until = Instant::now() + wait;
            while !self.is_cancelled() {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                self.wait(None, Some(left))?;
            }
        }
    }

    fn attempt(
        &mut self,
        settings: &Settings,
        request: &Request,
        message: Option<&str>,
        shown: &mut bool,
    ) -> io::Result<Asked> {
        if self.is_cancelled() {
            return Ok(Asked::Cancelled(Vec::new()));
        }
        let response = match self.http.fetch(request) {
            Ok(response) => response,
            Err(error) => {
                let why = format!("may not be reached: {}", agentos_guest::strerror(&error));
                return Ok(Asked::Failed(Vec::new(), Fault::fatal(why)));
            }
        };
        let mut incoming = Incoming {
            response,
            events: Events::new(MAX_EVENT),
            decoder: model::decoder(settings.api),
            head: None,
            error: Vec::new(),
            refused: None,
            bytes: 0,
        };
        let head = Duration::from_millis(request.head_timeout_ms.into());
        let mut heard = Instant::now();
        loop {
            if self.is_cancelled() {
                return Ok(Asked::Cancelled(incoming.decoder.draft().incomplete()));
            }
            // The host watches over the head; this is for one that does not.
            let limit = if incoming.head.is_some() { IDLE } else { head + IDLE };
            let left = limit.saturating_sub(heard.elapsed());
            let mut deltas = Vec::new();
            let step = if left.is_zero() {
                Err(lost("nothing came for a long time"))
            } else if !self.wait(Some(incoming.response.fd()), Some(left))? {
                continue;
            } else {
                heard = Instant::now();
                incoming.step(&mut deltas)
            };
            if let Some(message) = message {
                *shown |= !deltas.is_empty();
                for delta in deltas {
                    self.show_delta(message, delta)?;
                }
            }
            let fault = match step {
                Ok(false) => continue,
                Ok(true) => match incoming.finish() {
                    Ok(answer) => return Ok(Asked::Answer(answer)),
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            return Ok(Asked::Failed(incoming.decoder.draft().incomplete(), fault));
        }
    }

    fn show_delta(&mut self, message: &str, delta: Delta) -> io::Result<()> {
        let (kind, text) = match delta {
            Delta::Text(text) => ("agent_message_chunk", text),
            Delta::Thought(text) => ("agent_thought_chunk", text),
        };
        let content = json!({"type": "text", "text": text});
        self.update(json!({"sessionUpdate": kind, "messageId": message, "content": content}))
    }

    /// How long to wait before the next try: twice as long each time, up to half of it by chance, but as long as the
    /// endpoint said.
    fn wait_before(&self, tried: u32, after: Option<Duration>) -> Duration {
        let full = self.backoff.saturating_mul(1 << tried.min(10));
        let chance = RandomState::new().build_hasher().finish() % 1000;
        let wait = full / 2 + full / 2 * u32::try_from(chance).unwrap_or(0) / 1000;
        after.unwrap_or(wait)
    }
}

/// Scheme and host of an address, to name an endpoint by.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    &url[..end]
}
