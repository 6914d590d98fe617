//! Calls whose answer comes on a stream and ends with a reply. What is on the stream is the caller's business.

use agentos_protocol::message::{Call, StreamId};
use agentos_protocol::mux::{RecvStream, StreamError};

use super::Link;
use crate::error::{Error, Result};

/// Why the stream was not read to its end.
pub(crate) enum ReadError {
    /// It broke: the reply of the call knows better why, if there is one.
    Stream(StreamError),
    /// The reader has had enough.
    Own(Error),
}

impl From<StreamError> for ReadError {
    fn from(error: StreamError) -> Self {
        ReadError::Stream(error)
    }
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        ReadError::Own(error)
    }
}

impl Link {
    /// Calls with a new stream, and reads that while the call runs.
    pub(crate) async fn streamed<C: Call, T>(
        &self,
        call: impl FnOnce(StreamId) -> C,
        read: impl AsyncFnOnce(RecvStream) -> Result<T, ReadError>,
    ) -> Result<(C::Reply, T)> {
        let stream = self.open_recv().await?;
        let pending = self.start(&call(stream.id())).await?;
        // The stream ends without content if the call fails, but not necessarily before it does.
        let reply = async {
            match pending.await {
                Ok(reply) => Ok(reply),
                Err(error) => Err(self.error(error).await),
            }
        };
        let read = read(stream);
        tokio::pin!(read, reply);
        let whole = |read: Result<T, ReadError>| async {
            match read {
                Ok(read) => Ok(read),
                Err(ReadError::Own(error)) => Err(error),
                Err(ReadError::Stream(error)) => Err(self.stream_error(error).await),
            }
        };
        tokio::select! {
            reply = &mut reply => Ok((reply?, whole(read.await).await?)),
            read = &mut read => match read {
                // The sidecar would wait for ever for this side to read on.
                Err(ReadError::Own(error)) => Err(error),
                read => Ok((reply.await?, whole(read).await?)),
            },
        }
    }
}
