//! Requests about agents and sessions.

use std::sync::Arc;

use agentos_protocol::WireError;
use agentos_protocol::message::{self as m, Empty, Request, SessionEventsReply, code};
use agentos_protocol::mux::{RecordWriter, Responder};

use crate::connection::{Client, answer, answer_later};
use crate::session::{self, Session};
use crate::vm::Vm;

pub(super) fn dispatch(client: &Client, request: Request, responder: Responder) {
    /// Looks the VM up and answers with what `$call(vm, request)` becomes.
    macro_rules! of_vm {
        ($answer:ident, $Type:ty, $request:ident, $call:path) => {
            match client.vm(&$request.vm_id) {
                Ok(vm) => $answer::<$Type>(responder, $call(vm, $request)),
                Err(error) => responder.error(&error),
            }
        };
    }
    /// Looks the session up and answers with what `$call` becomes.
    macro_rules! of_session {
        ($answer:ident, $Type:ty, $request:ident, |$session:ident| $call:expr) => {
            match find(client, &$request.vm_id, &$request.session_id) {
                Ok((_, $session)) => $answer::<$Type>(responder, async move { $call }),
                Err(error) => responder.error(&error),
            }
        };
    }
    match request {
        Request::RegisterAgent(r) => of_vm!(answer, m::RegisterAgent, r, register),
        Request::ListAgents(r) => of_vm!(answer, m::ListAgents, r, list_agents),
        Request::CreateSession(r) => of_vm!(answer_later, m::CreateSession, r, session::create),
        Request::ListSessions(r) => of_vm!(answer, m::ListSessions, r, list),
        Request::DescribeSession(r) => of_session!(answer, m::DescribeSession, r, |s| s.describe()),
        Request::Prompt(r) => of_session!(answer_later, m::Prompt, r, |s| s.prompt(r.content).await),
        Request::CancelSession(r) => of_session!(answer_later, m::CancelSession, r, |s| cancel(s).await),
        Request::CloseSession(r) => of_session!(answer_later, m::CloseSession, r, |s| {
            s.close().await;
            Ok(Empty {})
        }),
        Request::DestroySession(r) => of_vm!(answer_later, m::DestroySession, r, destroy),
        Request::SessionEvents(r) => events(client, &r, responder),
        Request::GetSessionEvents(r) => {
            of_session!(answer, m::GetSessionEvents, r, |s| s.page(r.since, r.method.as_deref(), r.limit))
        }
        Request::RespondPermission(r) => of_session!(answer, m::RespondPermission, r, |s| {
            s.respond(&r.permission_id, r.reply).await.map(|()| Empty {})
        }),
        Request::SetSessionMode(r) => of_session!(answer_later, m::SetSessionMode, r, |s| {
            s.set_mode(&r.mode_id).await.map(|()| Empty {})
        }),
        Request::SetSessionModel(r) => of_session!(answer_later, m::SetSessionModel, r, |s| {
            s.set_model(&r.model_id).await.map(|()| Empty {})
        }),
        Request::SetSessionConfigOption(r) => of_session!(answer_later, m::SetSessionConfigOption, r, |s| {
            s.set_option(&r.config_id, r.category, &r.value).await
        }),
        Request::RawSend(r) => of_session!(answer_later, m::RawSend, r, |s| {
            s.raw(&r.method, &r.params).await.map(|result| m::RawSendReply { result })
        }),
        other => responder.unsupported(other.method()),
    }
}

fn find(client: &Client, vm: &str, session: &str) -> Result<(Arc<Vm>, Arc<Session>), WireError> {
    let vm = client.vm(vm)?;
    let session = vm.sessions.get(session)?;
    Ok((vm, session))
}

async fn register(vm: Arc<Vm>, r: m::RegisterAgent) -> Result<Empty, WireError> {
    vm.sessions.agents.register(r.agent).map(|()| Empty {})
}

async fn list_agents(vm: Arc<Vm>, _r: m::ListAgents) -> Result<m::AgentList, WireError> {
    session::list_agents(&vm).await
}

async fn list(vm: Arc<Vm>, _r: m::ListSessions) -> Result<m::SessionList, WireError> {
    Ok(vm.sessions.list())
}

/// A cancel that was begun is carried through, also when its caller looks away: the agent has been told.
async fn cancel(session: Arc<Session>) -> Result<Empty, WireError> {
    session.cancel_through().await.map(|()| Empty {})
}

async fn destroy(vm: Arc<Vm>, r: m::DestroySession) -> Result<Empty, WireError> {
    session::destroy(vm, &r.session_id).await.map(|()| Empty {})
}

fn events(client: &Client, r: &m::SessionEvents, responder: Responder) {
    let found = find(client, &r.vm_id, &r.session_id);
    let (events, last_seq) = match found.and_then(|(_, session)| session.subscribe(r.from_cursor)) {
        Ok(subscribed) => subscribed,
        Err(error) => return responder.error(&error),
    };
    let stream = match responder.connection().accept_send(r.stream) {
        Ok(stream) => stream,
        Err(error) => return responder.error(&WireError::new(code::INVALID_REQUEST, error.to_string())),
    };
    responder.reply::<m::SessionEvents>(Ok(SessionEventsReply { last_seq }));
    tokio::spawn(session::follow(events, RecordWriter::new(stream)));
}
