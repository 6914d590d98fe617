//! A model for tests: a server on the loopback that answers as Anthropic's Messages, OpenAI's Chat Completions and OpenAI's
//! Responses do, by a script in the prompt. It thinks nothing.
//!
//! The script is a marker in the last text of the user that has one: `MOCK{"calls": [{"tool": "bash", "input":
//! {"command": "ls"}}], "text": "done"}`. Each request is answered with the next call, until as many results as calls came
//! back, then with the text. Replies of the test's own come before that, in order.
//!
//! Only std and `serde_json` are used, so that tests of guest programs can share the file.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

/// Bytes of text in one event.
const CHUNK: usize = 12;

/// How often a new client is looked for.
const LOOK: Duration = Duration::from_millis(2);

/// A request as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Path of the request.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Value,
}

impl Asked {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// What the server answers instead of a script.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// A status with headers (`name: value`) and a body.
    Status(u16, Vec<String>, String),
    /// These events of a stream, which ends well.
    Events(Vec<String>),
    /// These events; then the connection is lost.
    Cut(Vec<String>),
    /// These events; then nothing, until the client goes.
    Hang(Vec<String>),
    /// Bytes that are no events.
    Raw(String),
}

/// One answer of a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Turn {
    /// What it thinks; Anthropic only.
    pub thought: String,
    /// What it says.
    pub text: String,
    /// Its calls: tool and input.
    pub calls: Vec<(String, Value)>,
    /// Tokens of the request; 100 if it is 0.
    pub tokens: u64,
}

#[derive(Debug, Default)]
struct State {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
    over: AtomicBool,
    answers: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server. It ends when it is dropped.
#[derive(Debug)]
pub struct Model {
    port: u16,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl Model {
    /// A server on a free port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        listener.set_nonblocking(true).expect("a listener need not wait");
        let thread = std::thread::spawn(move || {
            while !shared.over.load(Ordering::SeqCst) {
                let Ok((stream, _)) = listener.accept() else {
                    std::thread::sleep(LOOK);
                    continue;
                };
                let state = Arc::clone(&shared);
                // A client that goes away is an error of its connection only.
                std::thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        Self { port, state, thread: Some(thread) }
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers the next request that has no reply yet with this one.
    pub fn reply(&self, reply: Reply) {
        lock(&self.state.replies).push_back(reply);
    }

    /// The requests so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state.asked).clone()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    let Some(asked) = read(&stream)? else { return Ok(()) };
    let reply = lock(&state.replies).pop_front();
    lock(&state.asked).push(asked.clone());
    let number = state.answers.fetch_add(1, Ordering::SeqCst);
    let reply = reply.unwrap_or_else(|| match events(&asked.path, number, &scripted(&asked)) {
        Some(events) => Reply::Events(events),
        None => Reply::Status(404, Vec::new(), json!({"error": {"message": "no such path"}}).to_string()),
    });
    let (events, end) = match &reply {
        Reply::Status(status, headers, body) => {
            let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
            let length = body.len();
            return write!(
                stream,
                "HTTP/1.1 {status} Status\r\n{headers}content-type: application/json\r\ncontent-length: \
                 {length}\r\nconnection: close\r\n\r\n{body}"
            );
        }
        Reply::Raw(text) => {
            head(&mut stream)?;
            chunk(&mut stream, text)?;
            return stream.write_all(b"0\r\n\r\n");
        }
        Reply::Events(events) => (events, 0),
        Reply::Cut(events) => (events, 1),
        Reply::Hang(events) => (events, 2),
    };
    head(&mut stream)?;
    for event in events {
        chunk(&mut stream, &format!("data: {event}\n\n"))?;
    }
    match end {
        0 => stream.write_all(b"0\r\n\r\n"),
        1 => Ok(()),
        _ => {
            stream.set_read_timeout(Some(Duration::from_millis(100)))?;
            let mut byte = [0];
            // Until the client goes, or the test is over.
            while !state.over.load(Ordering::SeqCst) {
                match stream.read(&mut byte) {
                    Ok(0) => break,
                    Err(e)
                        if !matches!(
                            e.kind(),
                            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                        ) =>
                    {
                        break;
                    }
                    _ => {}
                }
            }
            Ok(())
        }
    }
}

fn head(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
    )
}

fn chunk(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    write!(stream, "{:x}\r\n{text}\r\n", text.len())
}

/// Reads a request; `None` if there is none.
fn read(stream: &TcpStream) -> std::io::Result<Option<Asked>> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let Some(path) = line.split_whitespace().nth(1).map(str::to_owned) else { return Ok(None) };
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, v)| v.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok(Some(Asked { path, headers, body: serde_json::from_slice(&body).unwrap_or_default() }))
}

/// What a request says, apart from its API.
enum Said {
    User(String),
    Result,
}

fn said(body: &Value) -> Vec<Said> {
    let items = body["messages"].as_array().or(body["input"].as_array());
    let mut all = Vec::new();
    for item in items.into_iter().flatten() {
        let parts = item["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        let results = parts.iter().filter(|part| part["type"] == "tool_result").count();
        let alone = item["role"] == "tool" || item["type"] == "function_call_output";
        all.extend((0..results + usize::from(alone)).map(|_| Said::Result));
        if item["role"] == "user" {
            let texts: Vec<&str> = match item["content"].as_str() {
                Some(text) => vec![text],
                None => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            };
            if !texts.is_empty() {
                all.push(Said::User(texts.join("\n")));
            }
        }
    }
    all
}

/// The answer that the script of a request has for it.
fn scripted(asked: &Asked) -> Turn {
    let mut script = Value::Null;
    let mut results = 0;
    for said in said(&asked.body) {
        match said {
            Said::Result => results += 1,
            Said::User(text) => {
                if let Some(marker) = marker(&text) {
                    (script, results) = (marker, 0);
                }
            }
        }
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tokens = script["tokens"].as_u64().unwrap_or(0);
    if asked.body["tools"].as_array().is_none_or(Vec::is_empty) {
        return Turn { text: "A summary.".to_owned(), ..Turn::default() };
    }
    match script["calls"].get(results) {
        Some(call) => Turn {
            thought: text(&script["thought"]),
            calls: vec![(text(&call["tool"]), call["input"].clone())],
            tokens,
            ..Turn::default()
        },
        None => Turn {
            text: script["text"].as_str().unwrap_or("All done.").to_owned(),
            tokens,
            ..Turn::default()
        },
    }
}

/// The JSON of the last marker in a text.
fn marker(text: &str) -> Option<Value> {
    let start = text.rfind("MOCK{")? + 4;
    serde_json::Deserializer::from_str(&text[start..]).into_iter().next()?.ok()
}

/// The events of an answer, in the form of the API of a path; `None` for any other path.
#[must_use]
pub fn events(path: &str, number: usize, turn: &Turn) -> Option<Vec<String>> {
    let events = match path.split('?').next().unwrap_or_default() {
        path if path.ends_with("/messages") => anthropic(number, turn),
        path if path.ends_with("/chat/completions") => chat(number, turn),
        path if path.ends_with("/responses") => responses(number, turn),
        _ => return None,
    };
    let text = |event: &Value| event.as_str().map_or_else(|| event.to_string(), str::to_owned);
    Some(events.iter().map(text).collect())
}

fn tokens(turn: &Turn) -> u64 {
    if turn.tokens == 0 { 100 } else { turn.tokens }
}

/// A text in pieces, so that nobody believes that it comes at once.
fn pieces(text: &str) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    all.chunks(CHUNK).map(|piece| piece.iter().collect()).collect()
}

fn anthropic(number: usize, turn: &Turn) -> Vec<Value> {
    let usage = json!({"input_tokens": tokens(turn), "output_tokens": 1});
    let mut events =
        vec![json!({"type": "message_start", "message": {"id": format!("msg_{number}"), "usage": usage}})];
    let mut blocks = Vec::new();
    if !turn.thought.is_empty() {
        let deltas =
            pieces(&turn.thought).into_iter().map(|t| json!({"type": "thinking_delta", "thinking": t}));
        let signed = json!({"type": "signature_delta", "signature": "sig"});
        blocks
            .push((json!({"type": "thinking", "thinking": ""}), deltas.chain([signed]).collect::<Vec<_>>()));
    }
    if !turn.text.is_empty() {
        let deltas = pieces(&turn.text).into_iter().map(|t| json!({"type": "text_delta", "text": t}));
        blocks.push((json!({"type": "text", "text": ""}), deltas.collect()));
    }
    for (n, (tool, input)) in turn.calls.iter().enumerate() {
        let block =
            json!({"type": "tool_use", "id": format!("toolu_{number}_{n}"), "name": tool, "input": {}});
        let deltas = pieces(&input.to_string());
        blocks.push((
            block,
            deltas.into_iter().map(|t| json!({"type": "input_json_delta", "partial_json": t})).collect(),
        ));
    }
    for (index, (block, deltas)) in blocks.into_iter().enumerate() {
        events.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        let delta = |delta| json!({"type": "content_block_delta", "index": index, "delta": delta});
        events.extend(deltas.into_iter().map(delta));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    let reason = if turn.calls.is_empty() { "end_turn" } else { "tool_use" };
    events.push(
        json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 20}}),
    );
    events.push(json!({"type": "message_stop"}));
    events
}

fn chat(number: usize, turn: &Turn) -> Vec<Value> {
    let change = |delta: Value, reason: Value| {
        json!({"id": format!("chatcmpl-{number}"), "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
    };
    let mut events = vec![change(json!({"role": "assistant", "content": ""}), Value::Null)];
    events.extend(pieces(&turn.text).into_iter().map(|t| change(json!({"content": t}), Value::Null)));
    for (n, (tool, input)) in turn.calls.iter().enumerate() {
        let function = json!({"name": tool, "arguments": ""});
        let call =
            json!({"index": n, "id": format!("call_{number}_{n}"), "type": "function", "function": function});
        events.push(change(json!({"tool_calls": [call]}), Value::Null));
        let more = |t| json!({"tool_calls": [{"index": n, "function": {"arguments": t}}]});
        events.extend(pieces(&input.to_string()).into_iter().map(|t| change(more(t), Value::Null)));
    }
    events.push(change(json!({}), json!(if turn.calls.is_empty() { "stop" } else { "tool_calls" })));
    events.push(json!({"choices": [], "usage": {"prompt_tokens": tokens(turn), "completion_tokens": 20}}));
    events.push(json!("[DONE]"));
    events
}

fn responses(number: usize, turn: &Turn) -> Vec<Value> {
    let mut events = vec![json!({"type": "response.created", "response": {"id": format!("resp_{number}")}})];
    let mut index = 0;
    if !turn.text.is_empty() {
        let item = |content: Value| json!({"type": "message", "role": "assistant", "content": content});
        events
            .push(json!({"type": "response.output_item.added", "output_index": 0, "item": item(json!([]))}));
        let delta = |t| json!({"type": "response.output_text.delta", "output_index": 0, "delta": t});
        events.extend(pieces(&turn.text).into_iter().map(delta));
        let whole = item(json!([{"type": "output_text", "text": turn.text}]));
        events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": whole}));
        index = 1;
    }
    for (n, (tool, input)) in turn.calls.iter().enumerate() {
        let arguments = input.to_string();
        let item = |arguments: &str| {
            json!({"type": "function_call", "id": format!("fc_{number}_{n}"),
                "call_id": format!("call_{number}_{n}"), "name": tool, "arguments": arguments})
        };
        let at = index + n;
        events.push(json!({"type": "response.output_item.added", "output_index": at, "item": item("")}));
        let delta =
            |t| json!({"type": "response.function_call_arguments.delta", "output_index": at, "delta": t});
        events.extend(pieces(&arguments).into_iter().map(delta));
        events
            .push(json!({"type": "response.output_item.done", "output_index": at, "item": item(&arguments)}));
    }
    let usage = json!({"input_tokens": tokens(turn), "output_tokens": 20});
    events.push(json!({"type": "response.completed", "response": {"status": "completed", "usage": usage}}));
    events
}
