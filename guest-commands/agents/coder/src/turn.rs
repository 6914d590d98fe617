//! One prompt: the model is asked, its calls are made, and so on until it is done; then the prompt is answered, once.

use std::io;

use agentos_agent_common::{
    rpc::{self, CANCELLED as REQUEST_CANCELLED, Failure, INTERNAL_ERROR, INVALID_REQUEST},
    turn::{Cancel, Turn},
};
use serde_json::{Value, json};

use crate::{
    Settings,
    agent::Agent,
    ask::Asked,
    compact::{self, Compacted},
    content,
    history::{Block, Item, Outcome, Piece, calls},
    instructions,
    model::{Answer, Query, Stop, Tool, Usage, fault::Fault},
    session::Work,
    store::Line,
    tools::offer,
};

/// Requests to the model in one turn.
const MAX_REQUESTS: usize = 250;

/// Length of a title, in bytes.
const TITLE: usize = 80;

/// How a turn ended.
enum Ending {
    Stop(&'static str),
    Cancelled,
    Failed(Fault),
}

impl Agent {
    /// Runs a prompt and answers it.
    pub(crate) fn prompt(&mut self, request: Value, params: &Value) -> io::Result<()> {
        let (blocks, settings, mut work) = match self.prepare(params) {
            Ok(prepared) => prepared,
            Err(failure) => return self.send(&rpc::answer(request, Err(failure))),
        };
        self.turn = Some(Turn::new(work.header.id.clone(), request));
        let mut usage = Usage::default();
        let ending = self.begin(&mut work, blocks)?;
        let ending = match ending {
            Some(ending) => ending,
            None => self.rounds(&settings, &mut work, &mut usage)?,
        };
        let stop = match &ending {
            Ending::Stop(reason) => *reason,
            Ending::Cancelled => "cancelled",
            Ending::Failed(_) => "failed",
        };
        let line = Line::Turn { stop: stop.to_owned(), used: work.tokens() };
        let kept = work.keep(&line).and_then(|()| work.store.as_ref().map_or(Ok(()), |store| store.sync()));
        self.check_kept(&mut work, kept)?;
        if let Some(session) = self.current() {
            session.work = Some(work);
        }
        let Some(turn) = self.turn.take() else { return Ok(()) };
        let usage = (usage.total() > 0).then(|| usage.for_client());
        let result = |stop: &str| {
            let mut result = json!({"stopReason": stop});
            if let Some(usage) = &usage {
                result["usage"] = usage.clone();
            }
            Ok(result)
        };
        let outcome = match (turn.cancelled, ending) {
            (Some(Cancel::Session), _) => result("cancelled"),
            (Some(Cancel::Request), _) => Err(Failure::new(REQUEST_CANCELLED, "request cancelled")),
            (None, Ending::Stop(reason)) => result(reason),
            (None, Ending::Cancelled) => result("cancelled"),
            (None, Ending::Failed(fault)) => Err(Failure::new(INTERNAL_ERROR, fault.message)),
        };
        self.send(&rpc::answer(turn.request, outcome))?;
        if !turn.closing.is_empty() {
            self.end_session(&turn.session);
        }
        for id in turn.closing {
            self.send(&rpc::answer(id, Ok(json!({}))))?;
        }
        Ok(())
    }

    fn prepare(&mut self, params: &Value) -> Result<(Vec<Block>, Settings, Work), Failure> {
        let settings = self.settings.clone().map_err(|missing| Failure::new(INTERNAL_ERROR, missing))?;
        let running = self.turn.is_some();
        let (_, session) = self.session(params)?;
        if running {
            return Err(Failure::new(INVALID_REQUEST, "a prompt is running"));
        }
        let blocks = content::read(&params["prompt"])?;
        let work = session.work.take().ok_or(Failure::new(INVALID_REQUEST, "a prompt is running"))?;
        Ok((blocks, settings, work))
    }

    /// Takes in the prompt: title, file, servers.
    fn begin(&mut self, work: &mut Work, blocks: Vec<Block>) -> io::Result<Option<Ending>> {
        if work.header.title.is_empty() {
            let title = title(&blocks);
            work.header.title.clone_from(&title);
            if let Some(session) = self.current() {
                session.title.clone_from(&title);
            }
            self.update(json!({"sessionUpdate": "session_info_update", "title": title}))?;
        }
        // A session that cannot be kept is still one.
        let folder = self.folder.clone();
        if let Err(error) = work.prepare(&folder) {
            self.unkept(&error)?;
        }
        self.find_tools(work)?;
        self.push(work, Item::User(blocks))?;
        Ok(self.is_cancelled().then_some(Ending::Cancelled))
    }

    /// Says something in the session.
    fn push(&mut self, work: &mut Work, item: Item) -> io::Result<()> {
        let kept = work.push(item);
        self.check_kept(work, kept)
    }

    /// If something cannot be kept, the user is told, once: without its file the session goes on in memory.
    pub(crate) fn check_kept(&mut self, work: &mut Work, kept: io::Result<()>) -> io::Result<()> {
        match kept {
            Ok(()) => Ok(()),
            Err(error) => {
                work.store = None;
                self.unkept(&error)
            }
        }
    }

    fn unkept(&mut self, error: &io::Error) -> io::Result<()> {
        let folder = self.folder.display().to_string();
        let why = agentos_guest::strerror(error);
        self.think(&format!("This session is not kept in {folder}: {why}\n"))
    }

    /// Requests and calls in turns.
    fn rounds(&mut self, settings: &Settings, work: &mut Work, usage: &mut Usage) -> io::Result<Ending> {
        // A history that is still too long after it was made shorter cannot be helped.
        let mut shortened = false;
        for _ in 0..MAX_REQUESTS {
            let Some((model, mode)) = self.current().map(|session| (session.model.clone(), session.mode))
            else {
                return Ok(Ending::Cancelled);
            };
            if !shortened && compact::is_due(settings, work) {
                match self.compact(settings, work, &model, true)? {
                    Compacted::Done(tokens) => usage.add(&tokens),
                    Compacted::Cancelled => return Ok(Ending::Cancelled),
                    Compacted::Failed(fault) => return Ok(Ending::Failed(fault)),
                }
            }
            let system = instructions::all(&work.header.cwd, mode, &work.instructions);
            let tools: Vec<Tool> = offer::built_in()
                .into_iter()
                .chain(work.remote.iter().map(|remote| remote.tool.clone()))
                .collect();
            let query = Query {
                model: &model,
                system: &system,
                items: &work.items,
                tools: &tools,
                max_tokens: settings.max_tokens,
            };
            work.messages += 1;
            let message = format!("message-{}", work.messages);
            let asked = self.ask_model(settings, &query, Some(&message))?;
            match asked {
                Asked::Answer(answer) => {
                    shortened = false;
                    usage.add(&answer.usage);
                    if let Some(ending) = self.take(settings, work, answer)? {
                        return Ok(ending);
                    }
                }
                Asked::Cancelled(pieces) => {
                    self.keep_pieces(work, pieces)?;
                    return Ok(Ending::Cancelled);
                }
                Asked::Failed(pieces, fault)
                    if fault.too_long && !shortened && pieces.is_empty() && work.items.len() > 2 =>
                {
                    // The window is smaller than it was said to be.
                    shortened = true;
                    match self.compact(settings, work, &model, true)? {
                        Compacted::Done(tokens) => usage.add(&tokens),
                        Compacted::Cancelled => return Ok(Ending::Cancelled),
                        Compacted::Failed(_) => return Ok(Ending::Failed(fault)),
                    }
                }
                Asked::Failed(pieces, fault) => {
                    self.keep_pieces(work, pieces)?;
                    return self.give_up(work, fault).map(Ending::Failed);
                }
            }
        }
        Ok(Ending::Stop("max_turn_requests"))
    }

    /// A prompt that the endpoint does not take, such as one with an image for a model that sees none, would spoil all that
    /// follow: it is left out of what the model knows.
    fn give_up(&mut self, work: &mut Work, fault: Fault) -> io::Result<Fault> {
        if !fault.refused || !matches!(work.items.last(), Some(Item::User(_))) {
            return Ok(fault);
        }
        work.items.pop();
        let kept = work.keep(&Line::Dropped);
        self.check_kept(work, kept)?;
        Ok(Fault { message: format!("{}. The prompt is left out of the history", fault.message), ..fault })
    }

    /// Takes an answer in and makes its calls; `None`: the model is asked again.
    fn take(&mut self, settings: &Settings, work: &mut Work, answer: Answer) -> io::Result<Option<Ending>> {
        let Answer { mut pieces, stop, usage } = answer;
        if stop != Stop::End {
            // A call that may have been cut is not made.
            pieces.retain(|piece| !matches!(piece, Piece::Call(_)));
        }
        let all: Vec<_> = calls(&pieces).cloned().collect();
        self.keep_pieces(work, pieces)?;
        if usage.total() > 0 {
            (work.used, work.since) = (usage.total(), 0);
            let used = work.used;
            self.update(json!({"sessionUpdate": "usage_update", "used": used, "size": settings.context}))?;
        }
        match stop {
            Stop::Length => return Ok(Some(Ending::Stop("max_tokens"))),
            Stop::Refusal => return Ok(Some(Ending::Stop("refusal"))),
            Stop::End if all.is_empty() => return Ok(Some(Ending::Stop("end_turn"))),
            Stop::End => {}
        }
        let mut results: Vec<Outcome> = Vec::new();
        for one in &all {
            results.push(self.call(work, one)?);
        }
        self.push(work, Item::Results(results))?;
        Ok(self.is_cancelled().then_some(Ending::Cancelled))
    }

    fn keep_pieces(&mut self, work: &mut Work, pieces: Vec<Piece>) -> io::Result<()> {
        // Thoughts alone are no answer.
        if pieces.iter().all(|piece| matches!(piece, Piece::Thought { .. })) {
            return Ok(());
        }
        self.push(work, Item::Assistant(pieces))
    }
}

/// What a session is called after its first prompt.
fn title(blocks: &[Block]) -> String {
    let text = blocks.iter().find_map(|block| match block {
        Block::Text(text) => text.lines().map(str::trim).find(|line| !line.is_empty()),
        Block::Image { .. } => None,
    });
    let text = text.unwrap_or("An image");
    text[..text.floor_char_boundary(TITLE)].to_owned()
}
