//! Requests about agents and sessions.

use std::sync::Arc;

use agentos_protocol::message::{self as m, Empty, Request, SessionEventsReply, code};
use agentos_protocol::mux::{RecordWriter, Responder};
use agentos_protocol::{Connection, WireError};

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
    match request {
        Request::RegisterAgent(r) => of_vm!(answer, m::RegisterAgent, r, register),
        Request::ListAgents(r) => of_vm!(answer, m::ListAgents, r, list_agents),
        Request::CreateSession(r) => match client.vm(&r.vm_id) {
            Ok(vm) => {
                let connection = responder.connection();
                answer_later::<m::CreateSession>(responder, session::create(vm, connection, r));
            }
            Err(error) => responder.error(&error),
        },
        Request::ListSessions(r) => of_vm!(answer, m::ListSessions, r, list),
        Request::DestroySession(r) => of_vm!(answer, m::DestroySession, r, destroy),
        Request::ResumeSession(r) => match client.vm(&r.vm_id) {
            Ok(vm) => {
                let connection = responder.connection();
                answer_later::<m::ResumeSession>(responder, resume(vm, connection, r));
            }
            Err(error) => responder.error(&error),
        },
        Request::DescribeSession(m::DescribeSession { ref vm_id, ref session_id })
        | Request::Prompt(m::Prompt { ref vm_id, ref session_id, .. })
        | Request::CancelSession(m::CancelSession { ref vm_id, ref session_id })
        | Request::CloseSession(m::CloseSession { ref vm_id, ref session_id })
        | Request::SessionEvents(m::SessionEvents { ref vm_id, ref session_id, .. })
        | Request::GetSessionEvents(m::GetSessionEvents { ref vm_id, ref session_id, .. })
        | Request::RespondPermission(m::RespondPermission { ref vm_id, ref session_id, .. })
        | Request::SetSessionMode(m::SetSessionMode { ref vm_id, ref session_id, .. })
        | Request::SetSessionModel(m::SetSessionModel { ref vm_id, ref session_id, .. })
        | Request::SetSessionConfigOption(m::SetSessionConfigOption { ref vm_id, ref session_id, .. })
        | Request::RawSend(m::RawSend { ref vm_id, ref session_id, .. })
        | Request::RawNotify(m::RawNotify { ref vm_id, ref session_id, .. }) => {
            match client.vm(vm_id).and_then(|vm| vm.sessions.get(session_id)) {
                Ok(session) => of_session(session, request, responder),
                Err(error) => responder.error(&error),
            }
        }
        other => responder.unsupported(other.method()),
    }
}

/// Answers a request about a session. What is for its agent is begun here, in the order of the requests: a prompt takes its
/// place in the queue, a cancel counts and is sent.
pub(crate) fn of_session(s: Arc<Session>, request: Request, responder: Responder) {
    macro_rules! by {
        ($answer:ident, $Type:ty, $call:expr) => {
            $answer::<$Type>(responder, async move { $call })
        };
    }
    match request {
        Request::DescribeSession(_) => by!(answer, m::DescribeSession, s.describe()),
        Request::Prompt(r) => answer::<m::Prompt>(responder, s.prompt(r.content, r.params)),
        Request::CancelSession(_) => by!(answer, m::CancelSession, cancel(s).await),
        Request::CloseSession(_) => by!(answer_later, m::CloseSession, {
            s.close().await;
            Ok(Empty {})
        }),
        Request::SessionEvents(r) => {
            tokio::spawn(events(s, r, responder));
        }
        Request::GetSessionEvents(r) => {
            by!(answer, m::GetSessionEvents, s.page(r.since, r.method.as_deref(), r.limit).await)
        }
        Request::RespondPermission(r) => {
            by!(
                answer,
                m::RespondPermission,
                s.respond(&r.permission_id, r.reply, r.option_id).await.map(|()| Empty {})
            )
        }
        Request::SetSessionMode(r) => {
            by!(answer, m::SetSessionMode, s.set("mode", r.mode_id.into()).await.map(|()| Empty {}))
        }
        Request::SetSessionModel(r) => {
            by!(answer, m::SetSessionModel, s.set("model", r.model_id.into()).await.map(|()| Empty {}))
        }
        Request::SetSessionConfigOption(r) => {
            by!(answer, m::SetSessionConfigOption, s.set_option(&r.config_id, r.category, &r.value).await)
        }
        Request::RawSend(r) => by!(answer, m::RawSend, {
            s.raw(&r.method, &r.params).await.map(|result| m::RawSendReply { result })
        }),
        Request::RawNotify(r) => {
            by!(answer, m::RawNotify, s.raw_notify(&r.method, &r.params).await.map(|()| Empty {}))
        }
        other => responder.unsupported(other.method()),
    }
}

async fn register(vm: Arc<Vm>, r: m::RegisterAgent) -> Result<Empty, WireError> {
    vm.sessions.agents.register(r.agent).map(|()| Empty {})
}

async fn list_agents(vm: Arc<Vm>, _r: m::ListAgents) -> Result<m::AgentList, WireError> {
    session::list_agents(&vm).await
}

async fn list(vm: Arc<Vm>, r: m::ListSessions) -> Result<m::SessionList, WireError> {
    Ok(vm.sessions.list(r.closed))
}

/// A cancel that was begun is carried through, also when its caller looks away: the agent has been told.
async fn cancel(session: Arc<Session>) -> Result<Empty, WireError> {
    session.cancel_through().await.map(|()| Empty {})
}

async fn destroy(vm: Arc<Vm>, r: m::DestroySession) -> Result<Empty, WireError> {
    session::destroy(vm, &r.session_id).await.map(|()| Empty {})
}

/// Goes on with a session, also when its caller looks away: then it runs.
async fn resume(
    vm: Arc<Vm>,
    connection: Connection,
    r: m::ResumeSession,
) -> Result<m::SessionInitData, WireError> {
    let resuming = tokio::spawn(async move { session::resume(vm, connection, r).await });
    let failed = |error: tokio::task::JoinError| WireError::new(code::INTERNAL, format!("resume: {error}"));
    resuming.await.unwrap_or_else(|error| Err(failed(error)))
}

async fn events(session: Arc<Session>, r: m::SessionEvents, responder: Responder) {
    let (events, last_seq) = match session.subscribe(r.from_cursor).await {
        Ok(subscribed) => subscribed,
        Err(error) => return responder.error(&error),
    };
    let stream = match responder.connection().accept_send(r.stream) {
        Ok(stream) => stream,
        Err(error) => return responder.error(&WireError::new(code::INVALID_REQUEST, error.to_string())),
    };
    responder.reply::<m::SessionEvents>(Ok(SessionEventsReply { last_seq }));
    session::follow(events, RecordWriter::new(stream)).await;
}
