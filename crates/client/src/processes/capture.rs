//! One output of an exec: taken as it comes, given to a callback, kept up to a limit.
//! A short output never gets here as a stream: it travels inside the reply.

use std::task::{Context, Poll};

use agentos_protocol::RecvStream;
use agentos_protocol::message::{Captured, OUTPUT_INLINE_LIMIT, Output};
use agentos_protocol::mux::StreamError;

use super::exec::OutputCallback;
use crate::error::{Error, MAX_OUTPUT, Result};
use crate::sidecar::Link;

pub(super) struct Capture {
    stream: Option<RecvStream>,
    callback: Option<OutputCallback>,
    keep: bool,
    kept: Vec<u8>,
    limit: usize,
    ended: bool,
}

pub(super) enum CaptureError {
    Stream(StreamError),
    /// With a piece of this many bytes it would be more than may be kept.
    Full(usize),
}

impl Capture {
    pub(super) async fn open(
        link: &Link,
        callback: Option<OutputCallback>,
        keep: bool,
        limit: usize,
    ) -> Result<(Self, Output)> {
        let stream = if keep || callback.is_some() { Some(link.open_recv().await?) } else { None };
        let output = match (&stream, &callback) {
            (None, _) => Output::Discard,
            (Some(stream), Some(_)) => Output::Live(stream.id()),
            (Some(stream), None) => {
                // What is over the limit is to come as a stream, where it is noticed.
                let inline_limit = OUTPUT_INLINE_LIMIT.min(u32::try_from(limit).unwrap_or(u32::MAX));
                Output::Capture { inline_limit, stream: stream.id() }
            }
        };
        Ok((Capture { stream, callback, keep, kept: Vec::new(), limit, ended: false }, output))
    }

    /// Takes what has come. Ready when the stream has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CaptureError>> {
        while let (Some(stream), false) = (&self.stream, self.ended) {
            match stream.poll_chunk(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(CaptureError::Stream(error))),
                Poll::Ready(Ok(None)) => self.ended = true,
                Poll::Ready(Ok(Some(chunk))) => {
                    if let Some(callback) = &self.callback {
                        callback(&chunk);
                    }
                    if self.keep {
                        if self.kept.len() + chunk.len() > self.limit {
                            return Poll::Ready(Err(CaptureError::Full(chunk.len())));
                        }
                        self.kept.extend_from_slice(&chunk);
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The rest of the stream is still to come, by what the reply says.
    pub(super) fn expects_more(&self, reply: &Captured) -> bool {
        self.stream.is_some() && !self.ended && (reply.streamed || self.callback.is_some())
    }

    /// The output, once complete.
    pub(super) fn finish(self, reply: Captured) -> Vec<u8> {
        if let (Some(stream), false) = (self.stream, self.ended) {
            stream.discard_unused();
            return reply.data;
        }
        self.kept
    }

    /// Forgets the stream of a call that failed.
    pub(super) fn discard(self) {
        if let Some(stream) = self.stream {
            stream.discard_unused();
        }
    }

    pub(super) async fn error(&self, link: &Link, error: CaptureError) -> Error {
        match error {
            CaptureError::Stream(error) => link.stream_error(error).await,
            CaptureError::Full(more) => Error::Limit {
                name: MAX_OUTPUT.to_owned(),
                configured: self.limit as u64,
                used: self.kept.len() as u64,
                requested: more as u64,
            },
        }
    }
}
