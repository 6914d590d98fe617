//! A recording played once more: the vendor's side of it is the vendor of a real session, and what the host said in it
//! becomes commands. What comes out are the events that the session would have had.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Mutex, mpsc, watch};
use ulid::Ulid;

use super::recording::{Act, Asked, Entry, Key, Recording, id_text};
use super::turns::{InTurns, in_turns};
use super::{ScriptedLauncher, VendorSide};
use crate::boot::Execution;
use crate::command::Input;
use crate::event::{Body, Event};
use crate::ports::Ports;
use crate::process::Exit;
use crate::registry::Descriptor;
use crate::{Command, ErrorInfo, Kernel, Order, Runtime, StartInput, State};

/// How long the other side may take for anything that has to come: longer than a backend waits for a vendor that has
/// said that its turn fails.
const WAIT: Duration = Duration::from_secs(8);
/// How long a question may take from the vendor to the host.
const ASKED: Duration = Duration::from_secs(1);
/// Acts of the host that wait.
const ACTS: usize = 64;

/// What the player tells the one who plays the host.
enum Told {
    Act(Act),
    /// The recording is at its end.
    Ended,
}

/// What is left of a recording, for the process that runs now and those after it.
struct Left {
    recording: Recording,
    at: usize,
    /// Ids of the host's requests: as recorded, and as they are now. Nothing: the backend does not make that request.
    ids: HashMap<String, Option<Value>>,
    /// The vendor's requests, by their ids as recorded.
    asked: HashMap<String, Value>,
    differences: Vec<String>,
    /// The host wants the turn to end.
    cancelled: bool,
}

/// One process of a recording.
struct Player<'a> {
    left: &'a mut Left,
    side: VendorSide,
    /// What came before its time.
    early: VecDeque<Value>,
    /// How many questions the host has before it.
    open: watch::Receiver<usize>,
    told: mpsc::Sender<Told>,
}

impl Player<'_> {
    async fn play(&mut self) -> Exit {
        let (mut begun, mut greeted) = (false, false);
        while let Some(entry) = self.left.recording.entries.get(self.left.at).cloned() {
            match entry {
                // The next process: this one has ended.
                Entry::Begins(_) if begun => return Exit { code: Some(0), signal: None },
                Entry::Begins(_) => {}
                Entry::Vendor(message) => self.say(message).await,
                Entry::Host(message) => {
                    let greets = self.left.recording.begins_process(&message);
                    // A process is greeted once: this is the next one, whose beginning is not noted.
                    if greets && greeted {
                        return Exit { code: Some(0), signal: None };
                    }
                    greeted |= greets;
                    if !self.hear(&message).await {
                        return Exit { code: Some(0), signal: None };
                    }
                }
            }
            begun = true;
            self.left.at += 1;
        }
        let _ = self.told.send(Told::Ended).await;
        // Until it is stopped, which is at once unless a turn runs: of that one there is no end, and it is as if the
        // vendor had gone away.
        loop {
            match tokio::time::timeout(WAIT, self.side.recv()).await {
                Ok(Some(message)) if begun => self.unexpected(&message).await,
                // One that was started when all was over has nothing to say.
                Ok(Some(_)) => {}
                Ok(None) => return Exit { code: Some(0), signal: None },
                Err(_) => return Exit { code: Some(1), signal: None },
            }
        }
    }

    /// Says what the vendor said, to the ids of today.
    async fn say(&mut self, message: Value) {
        if let Some(id) = self.left.recording.request_id(&message) {
            self.left.asked.insert(id_text(id), message.clone());
        }
        let message = match self.left.recording.key(&message) {
            Key::Named(_) => message,
            Key::Answer(id) => match self.left.ids.get(&id) {
                Some(Some(now)) => self.left.recording.readdressed(message, now.clone()),
                // An answer to what was not asked.
                _ => return,
            },
        };
        self.side.send(message).await;
    }

    /// Has the host say what it said, and waits for it. False at the end of the input.
    async fn hear(&mut self, recorded: &Value) -> bool {
        let key = self.left.recording.key(recorded);
        let request = match &key {
            Key::Answer(id) => self.left.asked.get(id).cloned(),
            Key::Named(_) => None,
        };
        let mut act = self.left.recording.act(recorded, request.as_ref());
        match &act {
            Some(Act::Input(_)) => self.left.cancelled = false,
            Some(Act::Cancel) => self.left.cancelled = true,
            // After a cancel questions are answered by the cancel.
            Some(Act::Permission { .. } | Act::Question { .. }) if self.left.cancelled => act = None,
            _ => {}
        }
        let ends_turn = matches!(act, Some(Act::Permission { ends_turn: true, .. }));
        let own_id = self.left.recording.request_id(recorded).map(id_text);
        let comes = act.is_some() || matches!(key, Key::Answer(_)) || Recording::is_handshake(&key);
        if !comes {
            // What the recorded host did and this one does not.
            if let Some(id) = own_id {
                self.left.ids.insert(id, None);
            }
            return true;
        }
        if let Some(act) = act {
            // What the vendor said before this was heard before it.
            self.side.heard(WAIT).await;
            if act == Act::Cancel {
                self.asked().await;
            }
            let _ = self.told.send(Told::Act(act)).await;
        }
        let Some(message) = self.wait_for(&key).await else {
            return self.left.differences.last().is_some_and(|last| last.starts_with("waited"));
        };
        if let (Some(recorded), Some(now)) = (own_id, self.left.recording.request_id(&message)) {
            self.left.ids.insert(recorded, Some(now.clone()));
        }
        if ends_turn {
            // The recorded host said both at once.
            self.left.cancelled = true;
            let _ = self.told.send(Told::Act(Act::Cancel)).await;
            if let Some(interrupt) = self.wait_for(&Key::Named("control interrupt".to_owned())).await
                && let Some(done) = self.left.recording.done(&interrupt)
            {
                self.side.send(done).await;
            }
        }
        true
    }

    /// Waits a little for the question that the vendor asked last to be before the host, if it is one that nobody has
    /// answered: it is closed by the cancel, and not never asked.
    async fn asked(&mut self) {
        let left = &*self.left;
        let last = left.recording.entries.get(..left.at).unwrap_or_default().iter().rev().find_map(|entry| {
            match entry {
                Entry::Host(_) | Entry::Begins(_) => Some(false),
                Entry::Vendor(message) => left.recording.asks(message).then_some(true),
            }
        });
        if last == Some(true) {
            let _ = tokio::time::timeout(ASKED, self.open.wait_for(|open| *open > 0)).await;
        }
    }

    /// The next message of this kind. Others that are still to come are kept, and what never comes is answered.
    async fn wait_for(&mut self, key: &Key) -> Option<Value> {
        let recording = self.left.recording.clone();
        if let Some(at) = self.early.iter().position(|message| recording.key(message) == *key) {
            return self.early.remove(at);
        }
        loop {
            let received = tokio::time::timeout(WAIT, self.side.recv()).await;
            let message = match received {
                Ok(message) => message?,
                Err(_) => {
                    self.left.differences.push(format!("waited in vain for {key:?}"));
                    return None;
                }
            };
            let is = recording.key(&message);
            if is == *key {
                return Some(message);
            }
            let later = recording.entries.iter().skip(self.left.at + 1).any(|entry| match entry {
                Entry::Host(message) => recording.key(message) == is,
                _ => false,
            });
            if later {
                let skipped = Recording::is_handshake(key) && Recording::is_handshake(&is);
                self.early.push_back(message);
                // A start has one order: what comes before this will not come any more.
                if skipped {
                    self.left.differences.push(format!("waited in vain for {key:?}"));
                    return None;
                }
            } else {
                self.unexpected(&message).await;
            }
        }
    }

    /// What the recorded host did not say.
    async fn unexpected(&mut self, message: &Value) {
        if let Some(welcome) = self.left.recording.welcome(message) {
            self.side.send(welcome).await;
            return;
        }
        let key = self.left.recording.key(message);
        self.left.differences.push(format!("not in the recording: {key:?}"));
        if let Some(id) = self.left.recording.request_id(message) {
            let refusal = self.left.recording.refusal(id);
            self.side.send(refusal).await;
        }
    }
}

/// What came of a replay.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// The events, in their order.
    pub events: Vec<Event>,
    /// What the backend said otherwise than the host of the recording, by kind.
    pub differences: Vec<String>,
}

/// Plays a recording through a backend; `see` is given each event as it comes. The session is stopped at the end of the
/// recording, once its last turn has ended.
///
/// # Errors
/// `recording.incomplete`: the recording does not begin where its first process does. The session could not begin.
pub async fn replay(
    recording: &Recording,
    descriptor: Arc<Descriptor>,
    mut see: impl FnMut(&Event),
) -> Result<Replayed, ErrorInfo> {
    let InTurns { recording, left_out } = in_turns(recording)?;
    let (told, mut acts) = mpsc::channel(ACTS);
    let left = Arc::new(Mutex::new(Left {
        recording: recording.clone(),
        at: 0,
        ids: HashMap::new(),
        asked: HashMap::new(),
        differences: vec!["left out: input of which the vendor made no turn".to_owned(); left_out],
        cancelled: false,
    }));
    let rest = Arc::clone(&left);
    let (opened, open) = watch::channel(0);
    let launcher = ScriptedLauncher::new(move |side| {
        let (rest, told, open) = (Arc::clone(&rest), told.clone(), open.clone());
        async move {
            // The process before it has ended, or is about to.
            let mut left = rest.lock().await;
            Player { left: &mut left, side, early: VecDeque::new(), open, told }.play().await
        }
    });
    let mut execution = Execution::default();
    recording.cwd().clone_into(&mut execution.session.cwd);
    let variables = &mut execution.environment.variables;
    variables.insert("AGENT_DRIVER_ACP_COMMAND".to_owned(), "recorded".to_owned());
    if let Some(login) = recording.login() {
        variables.insert("AGENT_DRIVER_ACP_AUTH_METHOD".to_owned(), login.to_owned());
    }
    let input = StartInput { resume: recording.resumes(), ..StartInput::new(execution) };
    let kernel = Kernel::start(descriptor, Ports::new(Arc::new(launcher)), input).await?;
    let Some(mut events) = kernel.events() else {
        return Err(ErrorInfo::new("recording.failed", "the events were taken by another"));
    };
    let mut host = Host {
        kernel: kernel.clone(),
        open: Vec::new(),
        opened,
        waiting: Vec::new(),
        keeps_ids: recording.runtime == Runtime::Claude,
    };
    let mut replayed = Replayed::default();
    let (mut ended, mut stopping) = (false, false);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => {
                    see(&event);
                    host.see(&event.body);
                    replayed.events.push(event);
                }
                None => break,
            },
            told = acts.recv(), if !ended => match told {
                Some(Told::Act(act)) => host.act(act),
                Some(Told::Ended) | None => ended = true,
            },
            () = idle(&kernel), if ended && !stopping => {
                stopping = true;
                let kernel = kernel.clone();
                tokio::spawn(async move { kernel.stop("the recording has ended").await });
            }
        }
    }
    drop((host, kernel));
    if let Ok(left) = tokio::time::timeout(WAIT, left.lock()).await {
        replayed.differences.clone_from(&left.differences);
    }
    Ok(replayed)
}

/// Waits until no turn runs. A vendor that went away with its turn need not be there again.
async fn idle(kernel: &Kernel) {
    kernel.until(|state| !matches!(state, State::Running | State::NeedsApproval)).await;
}

/// Who plays the host.
struct Host {
    kernel: Kernel,
    /// Ids of the questions that are open, and of their items.
    open: Vec<(String, Option<String>)>,
    opened: watch::Sender<usize>,
    /// Answers whose questions have not come yet.
    waiting: Vec<Act>,
    /// Questions have the ids that the vendor gave them.
    keeps_ids: bool,
}

impl Host {
    fn see(&mut self, body: &Body) {
        let (id, item) = match body {
            Body::PermissionRequested(permission) => (&permission.request_id, permission.item_id.clone()),
            Body::InputRequested(request) => (&request.request_id, request.item_id.clone()),
            Body::CustomToolRequested(call) => (&call.request_id, None),
            Body::PermissionResolved(end) => return self.closed(&end.request_id),
            Body::InputResolved(end) => return self.closed(&end.request_id),
            Body::CustomToolResolved(end) => return self.closed(&end.request_id),
            _ => return,
        };
        self.open.push((id.clone(), item));
        self.opened.send_modify(|count| *count = self.open.len());
        self.answer();
    }

    fn closed(&mut self, id: &str) {
        self.open.retain(|(open, _)| open != id);
        self.opened.send_modify(|count| *count = self.open.len());
    }

    fn act(&mut self, act: Act) {
        let order = match act {
            Act::Input(input) => return self.begin(input),
            Act::Cancel => Order::TurnCancel { run_id: None, reason: Some("as recorded".to_owned()) },
            answer => {
                self.waiting.push(answer);
                return self.answer();
            }
        };
        self.give(order);
    }

    /// Begins a turn once the one before it has ended: its end may be on its way yet.
    fn begin(&self, input: Input) {
        let kernel = self.kernel.clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(WAIT, kernel.until(|state| state == State::Ready)).await;
            let (request_id, run_id) = (Ulid::generate().to_string(), Ulid::generate());
            let order = Order::InputStart { request_id, run_id, input, access_snapshot: None };
            kernel.dispatch(Command::of(order)).await
        });
    }

    fn give(&self, order: Order) {
        let kernel = self.kernel.clone();
        tokio::spawn(async move { kernel.dispatch(Command::of(order)).await });
    }

    /// Gives the answers whose questions are open.
    fn answer(&mut self) {
        for act in std::mem::take(&mut self.waiting) {
            let (Act::Permission { request, .. } | Act::Question { request, .. } | Act::Tool { request, .. }) =
                &act
            else {
                continue;
            };
            let Some(at) = self.asked(request) else {
                self.waiting.push(act);
                continue;
            };
            let (request_id, _) = self.open.remove(at);
            let order = match act {
                Act::Permission { decision, option_id, message, .. } => {
                    Order::PermissionResolve { request_id, decision, option_id, message }
                }
                Act::Question { outcome, .. } => Order::InputResolve { request_id, outcome },
                Act::Tool { content, is_error, .. } => {
                    Order::CustomToolResolve { request_id, content, is_error }
                }
                Act::Input(_) | Act::Cancel => continue,
            };
            self.give(order);
        }
    }

    /// Which of the open questions is meant: by its id, by its item, or else the first that could be it.
    fn asked(&self, asked: &Asked) -> Option<usize> {
        if let Some(at) = self.open.iter().position(|(id, _)| *id == asked.id) {
            return Some(at);
        }
        // An id of Claude Code is that of the question: it has not come yet.
        if self.keeps_ids {
            return None;
        }
        let is_item = |item: &str, of: &str| {
            item == of || item.strip_suffix(of).is_some_and(|rest| rest.ends_with(':'))
        };
        self.open.iter().position(|(_, item)| match (item, &asked.item) {
            (Some(item), Some(of)) => is_item(item, of),
            _ => true,
        })
    }
}
