//! The connection to the client: messages as they come, and messages gathered until the agent waits. What they mean is
//! for the agent.

use std::{io, time::Duration};

use agentos_guest::fd;
use serde::Serialize;
use serde_json::Value;

use crate::{
    input::{Input, Line},
    poll,
    rpc::{self, Failure, Message, PARSE_ERROR},
};

/// Longest line of the client, in bytes, and longest that it takes.
pub const MAX_LINE: usize = 8 << 20;

/// Bytes of messages gathered before they are written.
const GATHERED: usize = 32 << 10;

/// A pair of descriptors with the client at the other end; neither is closed.
#[derive(Debug)]
pub struct Wire {
    input: Input,
    output: u32,
    /// Messages not written yet; never any while the agent waits.
    unsent: Vec<u8>,
    next_request: u64,
    /// A line was too long since that was last asked.
    skipped: bool,
}

impl Wire {
    /// A connection that reads `input` and writes `output`.
    #[must_use]
    pub fn new(input: u32, output: u32) -> Self {
        Self {
            input: Input::new(input, MAX_LINE),
            output,
            unsent: Vec::new(),
            next_request: 0,
            skipped: false,
        }
    }

    /// Whether the client is gone.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.input.ended
    }

    /// Whether messages are there that were not taken.
    #[must_use]
    pub fn has_messages(&self) -> bool {
        self.input.has_lines()
    }

    /// Whether a line was too long since this was last asked: it may have been an answer that is waited for.
    pub fn has_skipped(&mut self) -> bool {
        std::mem::take(&mut self.skipped)
    }

    /// The oldest message that was not taken. Lines that are no messages are answered here.
    ///
    /// # Errors
    /// The output fails.
    pub fn receive(&mut self) -> io::Result<Option<Message>> {
        while let Some(line) = self.input.pop() {
            let message = match line {
                Line::Text(line) => rpc::parse(&line),
                Line::TooLong => {
                    self.skipped = true;
                    let failure = Failure::new(PARSE_ERROR, "line too long");
                    Message::Malformed(Some((Value::Null, failure)))
                }
            };
            match message {
                Message::Malformed(Some((id, failure))) => self.send(&rpc::answer(id, Err(failure)))?,
                Message::Malformed(None) => {}
                message => return Ok(Some(message)),
            }
        }
        Ok(None)
    }

    /// Waits for the client, for `other`, or for the time given, and reads what the client said. True if `other` can be
    /// read.
    ///
    /// # Errors
    /// A descriptor that fails.
    pub fn wait(&mut self, other: Option<u32>, timeout: Option<Duration>) -> io::Result<bool> {
        self.flush()?;
        let timeout = timeout.map_or(-1, poll::milliseconds);
        let (client, ready) = match (self.input.wants(), other) {
            (Some(client), Some(other)) => poll::readable([client, other], timeout)?.into(),
            (Some(client), None) => (poll::readable([client], timeout)?[0], false),
            (None, Some(other)) => (false, poll::readable([other], timeout)?[0]),
            (None, None) => {
                std::thread::sleep(Duration::from_millis(u64::try_from(timeout).unwrap_or(0)));
                (false, false)
            }
        };
        if client {
            self.input.fill()?;
        }
        Ok(ready)
    }

    /// Queues a message; it is written at the latest when the agent waits for something.
    ///
    /// # Errors
    /// The output fails.
    pub fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.unsent, message)?;
        self.unsent.push(b'\n');
        if self.unsent.len() >= GATHERED { self.flush() } else { Ok(()) }
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// The output fails.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let written = fd::write_all(self.output, &self.unsent);
        self.unsent.clear();
        // The memory of a long message goes with it.
        self.unsent.shrink_to(2 * GATHERED);
        written
    }

    /// Sends a request and returns its id.
    ///
    /// # Errors
    /// The output fails.
    pub fn ask(&mut self, method: &str, params: Value) -> io::Result<u64> {
        let id = self.next_request;
        self.next_request += 1;
        self.send(&rpc::request(id, method, params))?;
        Ok(id)
    }
}
