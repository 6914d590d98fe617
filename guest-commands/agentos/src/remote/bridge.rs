//! The bridge: one loop that hears the client and all answers of the server at once.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use agentos_abi::http::GRANT_HEADER;
use agentos_agent_common::http::{Http, Request};
use agentos_agent_common::input::{Input, Line};
use agentos_agent_common::poll::milliseconds;
use agentos_guest::fd;
use serde_json::{Value, json};

use super::exchange::{End, Exchange, Kind};
use super::message::{self, Message};

/// The shortest pause before a stream is asked for again, whatever the server says.
const SHORTEST: Duration = Duration::from_millis(100);

/// Where the server is.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) url: String,
    /// Under which grant of the host it is asked.
    pub(super) grant: Option<String>,
}

/// How much, and how long.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Bytes of a message, either way.
    pub(super) message: usize,
    /// Requests that wait for their answers.
    pub(super) requests: usize,
    /// Messages without an answer that are being sent; more of them wait.
    pub(super) notices: usize,
    /// Until the server has taken a message, opened a stream or begun a session.
    pub(super) begin: Duration,
    /// For a request as a whole.
    pub(super) request: Duration,
    /// Before a stream that broke off is asked for again, unless the server says it, and at most.
    pub(super) pause: (Duration, Duration),
    /// Attempts in a row to go on with the stream of a request.
    pub(super) tries: u32,
    /// For what is under way at the end of the input, and then for telling the server.
    pub(super) end: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message: 8 << 20,
            requests: 32,
            notices: 16,
            begin: Duration::from_secs(30),
            request: Duration::from_secs(3600),
            pause: (Duration::from_secs(1), Duration::from_secs(30)),
            tries: 5,
            end: Duration::from_secs(2),
        }
    }
}

/// A bridge between a client on two descriptors and a server.
pub(super) struct Bridge {
    http: Box<dyn Http>,
    server: Server,
    limits: Limits,
    input: Input,
    output: u32,
    session: Option<String>,
    version: Option<String>,
    open: VecDeque<Exchange>,
}

impl Bridge {
    pub(super) fn new(http: Box<dyn Http>, server: Server, limits: Limits, input: u32, output: u32) -> Self {
        let input = Input::new(input, limits.message);
        Bridge { http, server, limits, input, output, session: None, version: None, open: VecDeque::new() }
    }

    /// Serves until the end of the input, and ends the session of the server.
    pub(super) fn run(mut self) -> io::Result<()> {
        let served = self.serve();
        self.open.clear();
        // Also if the client is gone.
        self.bye();
        served
    }

    fn serve(&mut self) -> io::Result<()> {
        let mut last = None;
        loop {
            while self.may_take()
                && let Some(line) = self.input.pop()
            {
                self.take(line)?;
            }
            if self.input.ended && !self.input.has_lines() {
                let last = *last.get_or_insert_with(|| Instant::now() + self.limits.end);
                self.open.retain(|exchange| exchange.kind != Kind::Listen);
                if self.open.is_empty() || Instant::now() >= last {
                    return Ok(());
                }
            }
            self.wait(last)?;
            self.look_at_times()?;
        }
    }

    /// Whether a message of the client can be looked at: not before a session has begun, and not while too many are on their way.
    fn may_take(&self) -> bool {
        let notices = self.open.iter().filter(|exchange| exchange.kind == Kind::Notice).count();
        notices < self.limits.notices && !self.open.iter().any(|exchange| exchange.gate)
    }

    /// Waits for the client, the server, or the next time at which something is due.
    fn wait(&mut self, last: Option<Instant>) -> io::Result<()> {
        let times =
            self.open.iter().flat_map(|exchange| [exchange.until, exchange.again]).flatten().chain(last);
        let left = times.min().map(|time| time.saturating_duration_since(Instant::now()));
        let client = self.input.wants();
        let mut fds: Vec<u32> = client.into_iter().collect();
        fds.extend(
            self.open.iter().filter_map(|exchange| exchange.response.as_ref()).map(|response| response.fd()),
        );
        let ready = match fd::wait_any_readable(&fds, left.map_or(-1, milliseconds)) {
            Ok(ready) => ready,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut ready = ready.into_iter();
        if client.is_some() && ready.next() == Some(true) {
            self.input.fill()?;
        }
        // Each is taken out while it is looked at, and put back in its order if it goes on.
        for _ in 0..self.open.len() {
            let Some(mut exchange) = self.open.pop_front() else { break };
            let goes_on = match exchange.response.is_some() && ready.next() == Some(true) {
                true => self.advance(&mut exchange)?,
                false => true,
            };
            if goes_on {
                self.open.push_back(exchange);
            }
        }
        Ok(())
    }

    /// A line of the client.
    fn take(&mut self, line: Line) -> io::Result<()> {
        let nobody = Value::Null;
        let line = match line {
            Line::Text(line) => String::from_utf8(line).ok(),
            Line::TooLong => {
                let why = format!("a message of more than {} bytes", self.limits.message);
                return self.say(&message::failed(&nobody, &why, &Value::Null));
            }
        };
        let Some((text, messages)) =
            line.and_then(|text| message::read(&text).map(|messages| (text, messages)))
        else {
            return self.say(&message::failed(&nobody, "a line that is no message", &Value::Null));
        };
        for cancelled in messages.iter().filter_map(|message| message.cancels.as_ref()) {
            self.open.iter_mut().for_each(|exchange| exchange.waiting.retain(|id| id != cancelled));
            self.open.retain(|exchange| exchange.kind != Kind::Requests || !exchange.waiting.is_empty());
        }
        let waiting: Vec<Value> = messages
            .iter()
            .filter(|message| message.is_request())
            .filter_map(|message| message.id.clone())
            .collect();
        let has = |method: &str| messages.iter().any(|message| message.method.as_deref() == Some(method));
        let mut exchange = Exchange::new(if waiting.is_empty() { Kind::Notice } else { Kind::Requests });
        exchange.waiting = waiting;
        exchange.initialize = has("initialize");
        exchange.gate = exchange.initialize || has("notifications/initialized");
        let asked: usize = self.open.iter().map(|exchange| exchange.waiting.len()).sum();
        if exchange.kind == Kind::Requests && asked + exchange.waiting.len() > self.limits.requests {
            let why = format!("{asked} requests to the MCP server are under way; wait for some to end");
            return self.give_up(&exchange, &why, &json!({"code": "busy"}));
        }
        if exchange.initialize {
            // A session anew, with nothing of the last one.
            (self.session, self.version) = (None, None);
            self.open.retain(|exchange| exchange.kind != Kind::Listen);
        }
        self.send(exchange, text.into_bytes())
    }

    /// Sends what an exchange is about.
    fn send(&mut self, mut exchange: Exchange, body: Vec<u8>) -> io::Result<()> {
        let quick = exchange.kind != Kind::Requests || exchange.initialize;
        let (method, most) = match exchange.kind {
            Kind::Requests | Kind::Notice if body.is_empty() => ("GET", self.limits.begin),
            Kind::Requests if !quick => ("POST", self.limits.request),
            Kind::Requests | Kind::Notice => ("POST", self.limits.begin),
            Kind::Listen => ("GET", self.limits.begin),
            Kind::Bye => ("DELETE", self.limits.end),
        };
        let mut headers = Vec::new();
        let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
        match method {
            "POST" => {
                add("content-type", "application/json");
                add("accept", "application/json, text/event-stream");
            }
            "GET" => add("accept", "text/event-stream"),
            _ => {}
        }
        let known = [
            ("mcp-session-id", &self.session),
            ("mcp-protocol-version", &self.version),
            ("last-event-id", &exchange.last_id),
            (GRANT_HEADER, &self.server.grant),
        ];
        for (name, value) in known {
            if let Some(value) = value {
                add(name, value);
            }
        }
        let request = Request {
            method: method.to_owned(),
            url: self.server.url.clone(),
            headers,
            body,
            head_timeout_ms: u32::try_from(most.as_millis()).unwrap_or(u32::MAX),
        };
        // The stream that hears what the server says by itself has no end; the time of a request is that of its first attempt.
        if exchange.kind != Kind::Listen && exchange.until.is_none() {
            exchange.until = Some(Instant::now() + most);
        }
        match self.http.fetch(&request) {
            Ok(response) => {
                exchange.begins(response);
                self.open.push_back(exchange);
                Ok(())
            }
            Err(error) => {
                let why = format!("the MCP server cannot be asked: {}", agentos_guest::strerror(&error));
                self.give_up(&exchange, &why, &Value::Null)
            }
        }
    }

    /// Takes what an exchange has brought; whether it goes on.
    fn advance(&mut self, exchange: &mut Exchange) -> io::Result<bool> {
        let brought = exchange.read(self.limits.message);
        if exchange.initialize && brought.session.is_some() {
            self.session = brought.session;
        }
        for text in &brought.texts {
            // A text without a message only carries an id, or is what a refusal had to say.
            for said in message::read(text).unwrap_or_default() {
                exchange.tries = 0;
                self.hear(exchange, &said)?;
            }
        }
        // A stream may stay open though all is said: nothing more is wanted from it.
        let answered = exchange.kind == Kind::Requests && exchange.waiting.is_empty();
        match brought.end {
            None => Ok(!answered),
            Some(_) if answered => Ok(false),
            Some(End::Broken(why)) => self.broken(exchange, &why),
            Some(End::Failed(why, data)) => self.failed(exchange, &why, &data),
            Some(End::Whole) => {
                self.whole(exchange)?;
                Ok(false)
            }
        }
    }

    /// A message of the server.
    fn hear(&mut self, exchange: &mut Exchange, said: &Message) -> io::Result<()> {
        if said.method.is_none() {
            let Some(at) = exchange.waiting.iter().position(|id| said.answers(id)) else {
                // To something that was cancelled, or to nothing that was asked.
                return Ok(());
            };
            exchange.waiting.remove(at);
            if exchange.initialize {
                self.version.clone_from(&said.version);
            }
        }
        self.say(&said.text)
    }

    /// All of an answer is there.
    fn whole(&mut self, exchange: &Exchange) -> io::Result<()> {
        self.give_up(
            exchange,
            "the MCP server gave no answer to this request",
            &json!({"status": exchange.status}),
        )?;
        if exchange.kind == Kind::Notice && exchange.gate {
            // The session has begun: from now on the server may say something by itself.
            return self.send(Exchange::new(Kind::Listen), Vec::new());
        }
        Ok(())
    }

    /// A stream of events broke off: it is asked for again where that can be.
    fn broken(&mut self, exchange: &mut Exchange, why: &str) -> io::Result<bool> {
        let resumes = exchange.kind == Kind::Listen
            || (exchange.kind == Kind::Requests
                && exchange.last_id.is_some()
                && exchange.tries < self.limits.tries);
        if !resumes {
            self.give_up(exchange, why, &json!({"code": "aborted"}))?;
            return Ok(false);
        }
        self.later(exchange);
        Ok(true)
    }

    /// No answer can come of it.
    fn failed(&mut self, exchange: &mut Exchange, why: &str, data: &Value) -> io::Result<bool> {
        match exchange.kind {
            // A server without such a stream answers 405; one that is not to be reached may be again.
            Kind::Listen if exchange.status == 0 && exchange.tries < self.limits.tries => {
                self.later(exchange);
                Ok(true)
            }
            Kind::Requests
                if exchange.status == 0
                    && exchange.last_id.is_some()
                    && exchange.tries < self.limits.tries =>
            {
                self.later(exchange);
                Ok(true)
            }
            _ => {
                self.give_up(exchange, why, data)?;
                Ok(false)
            }
        }
    }

    /// It is made again after a pause, which grows while nothing comes of it.
    fn later(&self, exchange: &mut Exchange) {
        let (first, most) = self.limits.pause;
        // A server may ask for more patience than we have, or for none at all.
        let asked = exchange.retry_ms.map_or(first, Duration::from_millis);
        let pause = asked.clamp(most.min(SHORTEST), most) * (1 << exchange.tries.min(10));
        exchange.tries += 1;
        exchange.response = None;
        exchange.again = Some(Instant::now() + pause.min(most));
    }

    /// Gives the requests of an exchange an error for an answer; a message that wants none is told on standard error.
    fn give_up(&self, exchange: &Exchange, why: &str, data: &Value) -> io::Result<()> {
        for id in &exchange.waiting {
            self.say(&message::failed(id, why, data))?;
        }
        if exchange.kind == Kind::Notice && exchange.status / 100 != 2 {
            eprintln!("agentos: mcp-remote: {why}");
        }
        Ok(())
    }

    /// Ends what takes too long, and makes again what is due.
    fn look_at_times(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let due = |time: Option<Instant>| time.is_some_and(|time| time <= now);
        for _ in 0..self.open.len() {
            let Some(exchange) = self.open.pop_front() else { break };
            if due(exchange.until) {
                let long = exchange.kind == Kind::Requests && !exchange.initialize;
                let most = if long { self.limits.request } else { self.limits.begin };
                let why = format!("the MCP server did not answer within {} s", most.as_secs());
                self.give_up(&exchange, &why, &json!({"code": "timeout"}))?;
            } else if due(exchange.again) {
                self.send(exchange, Vec::new())?;
            } else {
                self.open.push_back(exchange);
            }
        }
        Ok(())
    }

    /// Tells the server that its session is over, and waits a little for it to hear that.
    fn bye(&mut self) {
        if self.session.is_none() || self.send(Exchange::new(Kind::Bye), Vec::new()).is_err() {
            return;
        }
        let last = Instant::now() + self.limits.end;
        while let Some(exchange) = self.open.front_mut()
            && let Some(response) = &exchange.response
        {
            let left = last.saturating_duration_since(Instant::now());
            let heard = fd::wait_readable(response.fd(), milliseconds(left));
            if left.is_zero()
                || !matches!(heard, Ok(true))
                || exchange.read(self.limits.message).end.is_some()
            {
                return;
            }
        }
    }

    /// Writes a message to the client.
    fn say(&self, text: &str) -> io::Result<()> {
        fd::write_all(self.output, format!("{text}\n").as_bytes())
    }
}
