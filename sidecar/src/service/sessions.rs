//! Requests about agents and sessions.

use agentos_protocol::message::Request;
use agentos_protocol::mux::Responder;

use crate::connection::Client;

pub(super) fn dispatch(_client: &Client, request: Request, responder: Responder) {
    responder.unsupported(request.method());
}
