//! The way out of a machine, as the embedder gives it. What may leave, and how, is its business.

use std::sync::Arc;

use agentos_kernel::{Description, Kernel};

/// A request of a guest, unpacked and otherwise unchecked.
#[derive(Default)]
pub struct HttpRequest {
    /// Method.
    pub method: Vec<u8>,
    /// URL.
    pub url: Vec<u8>,
    /// Names and values.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Body.
    pub body: Vec<u8>,
    /// Most milliseconds until the head of the answer is there; 0 is the most there can be.
    pub head_timeout_ms: u32,
}

/// Sends requests of guests.
pub trait Outbound: Send + Sync {
    /// Sends a request of a guest of `kernel`, and answers in frames of the ABI (`agentos_abi::http`) into `answer`, the write
    /// end of a pipe, which it then drops. It runs on a guest thread and must not block.
    fn fetch(&self, kernel: &Arc<Kernel>, request: HttpRequest, answer: Arc<Description>);
}
