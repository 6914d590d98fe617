//! The prompt that is running, as far as messages of the client change it: cancelled, to be closed, a question answered.

use serde_json::Value;

/// What cancelled a turn decides how its request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// `session/cancel`: a result with stop reason `cancelled`.
    Session,
    /// `$/cancel_request`: the error −32800.
    Request,
}

/// The running prompt.
#[derive(Debug)]
pub struct Turn {
    /// Id of its session.
    pub session: String,
    /// Id of the `session/prompt` request.
    pub request: Value,
    /// By what it was cancelled.
    pub cancelled: Option<Cancel>,
    /// `session/close` requests to be answered afterwards.
    pub closing: Vec<Value>,
    /// Id of the open request to the client, then its answer.
    awaiting: Option<u64>,
    answer: Option<Result<Value, Value>>,
}

impl Turn {
    /// The turn of a `session/prompt` request.
    #[must_use]
    pub fn new(session: String, request: Value) -> Self {
        Self { session, request, cancelled: None, closing: Vec::new(), awaiting: None, answer: None }
    }

    /// Takes an answer of the client; one that is not waited for is ignored.
    pub fn answered(&mut self, id: &Value, result: Result<Value, Value>) {
        if self.awaiting.is_some_and(|awaiting| *id == awaiting) {
            self.awaiting = None;
            self.answer = Some(result);
        }
    }

    /// A request to the client went out under this id.
    pub fn asked(&mut self, id: u64) {
        (self.awaiting, self.answer) = (Some(id), None);
    }

    /// The answer to it does not matter any more.
    pub fn forget(&mut self) {
        self.awaiting = None;
    }

    /// The answer to it, once; `Err` with the error object.
    pub fn take_answer(&mut self) -> Option<Result<Value, Value>> {
        self.answer.take()
    }
}
