//! Requests to models and their answers, one file for each API. Nothing here waits or touches the network.

mod anthropic;
mod chat;
mod draft;
pub(crate) mod fault;
mod responses;

use agentos_agent_common::http::Request;
use serde_json::{Value, json};

pub(crate) use draft::Draft;
use fault::Fault;

use crate::{
    config::{Api, Settings},
    history::{Item, Piece},
};

/// How long the head of an answer may take, in milliseconds: models think before they begin.
const HEAD_TIMEOUT_MS: u32 = 300_000;

/// A tool as the model is told of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: String,
    /// JSON Schema of its input.
    pub(crate) schema: Value,
}

/// What a model is asked.
pub(crate) struct Query<'a> {
    pub(crate) model: &'a str,
    pub(crate) system: &'a str,
    pub(crate) items: &'a [Item],
    pub(crate) tools: &'a [Tool],
    pub(crate) max_tokens: Option<u64>,
}

/// Something new of an answer, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delta {
    Text(String),
    Thought(String),
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is finished, or waits for results of tools.
    End,
    /// It was cut at a limit of tokens.
    Length,
    /// The model, or a filter, refused.
    Refusal,
}

/// Tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Not from a cache.
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_write: u64,
    /// Part of the output.
    pub(crate) thought: u64,
}

impl Usage {
    pub(crate) fn total(&self) -> u64 {
        [self.input, self.output, self.cache_read, self.cache_write]
            .iter()
            .fold(0, |a, b| a.saturating_add(*b))
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let Self { input, output, cache_read, cache_write, thought } = other;
        self.input = self.input.saturating_add(*input);
        self.output = self.output.saturating_add(*output);
        self.cache_read = self.cache_read.saturating_add(*cache_read);
        self.cache_write = self.cache_write.saturating_add(*cache_write);
        self.thought = self.thought.saturating_add(*thought);
    }

    /// As the result of a prompt has it.
    pub(crate) fn for_client(&self) -> Value {
        json!({
            "totalTokens": self.total(),
            "inputTokens": self.input,
            "outputTokens": self.output,
            "thoughtTokens": self.thought,
            "cachedReadTokens": self.cache_read,
            "cachedWriteTokens": self.cache_write,
        })
    }
}

/// An answer that is complete.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) stop: Stop,
    pub(crate) usage: Usage,
}

/// Reads the events of one answer.
pub(crate) trait Decoder {
    /// Takes the data of an event.
    fn event(&mut self, data: &str) -> Result<Vec<Delta>, Fault>;

    /// Whether nothing of interest follows.
    fn is_over(&self) -> bool;

    /// What came so far.
    fn draft(&mut self) -> &mut Draft;

    /// The answer, if it is complete.
    fn finish(&mut self) -> Option<(Stop, Usage)>;
}

/// The request for an answer.
pub(crate) fn request(settings: &Settings, query: &Query<'_>) -> Request {
    let body = match settings.api {
        Api::Anthropic => anthropic::body(query),
        Api::OpenAiChat => chat::body(query, settings.url.starts_with("https://api.openai.com/")),
        Api::OpenAiResponses => responses::body(query),
    };
    let mut headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("accept".to_owned(), "text/event-stream".to_owned()),
        ("user-agent".to_owned(), concat!("agentos-coder/", env!("CARGO_PKG_VERSION")).to_owned()),
    ];
    if settings.api == Api::Anthropic {
        headers.push(("anthropic-version".to_owned(), anthropic::VERSION.to_owned()));
    }
    Request {
        method: "POST".to_owned(),
        url: settings.url.clone(),
        headers,
        body: body.to_string().into_bytes(),
        head_timeout_ms: HEAD_TIMEOUT_MS,
    }
}

/// What reads the answer to it.
pub(crate) fn decoder(api: Api) -> Box<dyn Decoder> {
    match api {
        Api::Anthropic => Box::<anthropic::Reader>::default(),
        Api::OpenAiChat => Box::<chat::Reader>::default(),
        Api::OpenAiResponses => Box::<responses::Reader>::default(),
    }
}

/// An event as JSON.
fn parse(data: &str) -> Result<Value, Fault> {
    serde_json::from_str(data).map_err(|_| {
        let shown = &data[..data.floor_char_boundary(200)];
        Fault::broken(format!("sent an event that is no JSON: {shown}"))
    })
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

#[cfg(test)]
mod tests;
