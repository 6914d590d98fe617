//! What is open on a connection: calls of both directions and streams; all of it ends at once when the connection does.
//! It does not send anything.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::error::ConnectionLost;
use super::recv::RecvState;
use super::send::SendState;

/// The payload of a reply, not yet decoded, and whether it is an error.
#[derive(Debug)]
pub(super) struct RawReply {
    pub(super) payload: BytesMut,
    pub(super) is_error: bool,
}

pub(super) type ReplySlot = oneshot::Sender<Result<RawReply, ConnectionLost>>;

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) lost: Option<ConnectionLost>,
    last_call: u32,
    last_stream: u32,
    pub(super) calls: HashMap<u32, ReplySlot>,
    pub(super) incoming: HashMap<u32, CancellationToken>,
    pub(super) sends: HashMap<u32, Arc<SendState>>,
    pub(super) recvs: HashMap<u32, Arc<RecvState>>,
}

impl Table {
    pub(super) fn new(first_stream: u32) -> Self {
        // Two are added before each use.
        Table { last_stream: first_stream.wrapping_sub(2), ..Table::default() }
    }

    /// A call number that is not in use; there are far fewer open calls than numbers.
    pub(super) fn next_call(&mut self) -> u32 {
        loop {
            self.last_call = self.last_call.wrapping_add(1);
            if self.last_call != 0 && !self.calls.contains_key(&self.last_call) {
                return self.last_call;
            }
        }
    }

    /// A stream number of this side that is not in use.
    pub(super) fn next_stream(&mut self) -> u32 {
        loop {
            self.last_stream = self.last_stream.wrapping_add(2);
            let id = self.last_stream;
            if id != 0 && !self.sends.contains_key(&id) && !self.recvs.contains_key(&id) {
                return id;
            }
        }
    }

    pub(super) fn streams(&self) -> usize {
        self.sends.len() + self.recvs.len()
    }
}
