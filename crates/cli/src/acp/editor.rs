//! The requests of an editor. Each is begun in the order in which they come, and answered by a task of its own, so that a
//! cancel and an answer are heard while a prompt runs.

use std::sync::{Arc, OnceLock};

use agentos_acp::Closure;
use agentos_acp::connection::{Connection, Incoming, IncomingRequest, Outcome, Responder};
use agentos_acp::envelope::{RpcError, code};
use futures_util::FutureExt;
use miette::{Report, Result};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::boot::{Booted, Setup};
use super::bridge::{Bridge, introduction};
use super::client::Client;
use super::params::Params;
use crate::output;

enum Phase {
    New(Box<Setup>),
    Starting,
    Ready(Arc<Bridge>),
}

/// The editor at the other end.
pub(super) struct Editor {
    shared: Arc<Shared>,
}

struct Shared {
    phase: Mutex<Phase>,
    connection: OnceLock<Connection>,
    failure: Mutex<Option<Report>>,
    failed: CancellationToken,
    lost: CancellationToken,
}

/// Begins something at once, and lets it go on by itself.
pub(super) fn begin(work: impl Future<Output = ()> + Send + 'static) {
    let mut work = Box::pin(work);
    if (&mut work).now_or_never().is_none() {
        tokio::spawn(work);
    }
}

impl Editor {
    pub(super) fn new(setup: Setup) -> Self {
        let shared = Shared {
            phase: Mutex::new(Phase::New(Box::new(setup))),
            connection: OnceLock::new(),
            failure: Mutex::default(),
            failed: CancellationToken::new(),
            lost: CancellationToken::new(),
        };
        Editor { shared: Arc::new(shared) }
    }

    /// What the editor is spoken to by. Given before it is heard: nothing is read until this task waits for something.
    pub(super) fn connected(&self, connection: Connection) {
        let _ = self.shared.connection.set(connection);
    }

    /// Waits until there is no machine to be had.
    pub(super) async fn failed(&self) {
        self.shared.failed.cancelled().await;
    }

    /// Waits until the machine is lost.
    pub(super) async fn lost(&self) {
        self.shared.lost.cancelled().await;
    }

    /// Ends the sessions and the machine; why there was none, if so.
    pub(super) async fn end(&self) -> Result<()> {
        let phase = std::mem::replace(&mut *self.shared.phase.lock(), Phase::Starting);
        if let Phase::Ready(bridge) = phase {
            bridge.end().await?;
        }
        self.shared.failure.lock().take().map_or(Ok(()), Err)
    }

    fn ready(&self) -> Option<Arc<Bridge>> {
        match &*self.shared.phase.lock() {
            Phase::Ready(bridge) => Some(Arc::clone(bridge)),
            _ => None,
        }
    }

    async fn initialize(&self, params: Option<Box<RawValue>>, responder: Responder) -> bool {
        let params = match Params::read(params.as_deref()) {
            Ok(params) => params,
            Err(error) => {
                responder.refuse(&error).await;
                return false;
            }
        };
        let setup = {
            let mut phase = self.shared.phase.lock();
            match std::mem::replace(&mut *phase, Phase::Starting) {
                Phase::New(setup) => Some(setup),
                other => {
                    *phase = other;
                    None
                }
            }
        };
        let (Some(setup), Some(connection)) = (setup, self.shared.connection.get().cloned()) else {
            responder.error(code::INVALID_REQUEST, "the connection is initialized already").await;
            return false;
        };
        // Whatever version is offered: this is the one we have, and the editor decides.
        let client = Client::of(&params.0);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move { shared.start(*setup, connection, client, responder).await });
        true
    }
}

impl Shared {
    async fn start(&self, setup: Setup, connection: Connection, client: Client, responder: Responder) {
        let booted: Result<Booted> = setup.boot().await;
        match booted {
            Ok(booted) => {
                let said = introduction(&booted);
                *self.phase.lock() = Phase::Ready(Bridge::new(booted, connection, client, self.lost.clone()));
                responder.ok(&said).await;
            }
            Err(report) => {
                let why: Vec<String> = report.chain().map(ToString::to_string).collect();
                responder.error(code::INTERNAL_ERROR, &why.join(": ")).await;
                *self.failure.lock() = Some(report);
                self.failed.cancel();
            }
        }
    }
}

impl Incoming for Editor {
    async fn notification(&self, method: &str, params: Option<Box<RawValue>>) -> bool {
        let Some(bridge) = self.ready() else { return false };
        let extension = method.starts_with('_');
        if !extension && method != "session/cancel" {
            return false;
        }
        let Ok(params) = Params::read(params.as_deref()) else { return false };
        let Ok(open) = bridge.open(&params) else { return false };
        if extension {
            let method = method.to_owned();
            begin(async move { bridge.hand_on(&open, &method, params).await });
        } else {
            begin(async move { bridge.cancel(&open).await });
        }
        true
    }

    async fn request(&self, request: IncomingRequest) -> bool {
        let IncomingRequest { method, params, responder } = request;
        if method == "initialize" {
            return self.initialize(params, responder).await;
        }
        let Some(bridge) = self.ready() else {
            responder.error(code::INVALID_REQUEST, "initialize first, and wait for its answer").await;
            return false;
        };
        if !Bridge::knows(&method) {
            responder.error(code::METHOD_NOT_FOUND, "method not found").await;
            return false;
        }
        begin(async move {
            let cancelled = responder.cancel_token();
            let outcome = tokio::select! {
                biased;
                outcome = bridge.answer(&method, params.as_deref()) => outcome,
                () = cancelled.cancelled() => {
                    Err(RpcError::new(code::REQUEST_CANCELLED, "the request was cancelled"))
                }
            };
            match outcome {
                Ok(answer) => {
                    responder.ok(&answer.result).await;
                    // The editor knows the session only now.
                    if let Some((open, events)) = answer.follow {
                        tokio::spawn(bridge.follow(open, events));
                    }
                }
                Err(error) => responder.refuse(&error).await,
            }
        });
        true
    }

    async fn responded(&self, _: &str, _: Option<&str>, _: &mut Outcome) {}

    async fn ignored(&self, what: &'static str) {
        output::note(&format!("agentos: the editor sent {what}; it is skipped"));
    }

    fn closed(&self, _: &Closure) {}
}
