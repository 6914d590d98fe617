//! Messages on a stream: each a `u32` length and MessagePack, so that they have flow control of their own.
//! It does not number them.

use std::marker::PhantomData;

use bytes::{Buf, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StreamError;
use super::recv::RecvStream;
use super::send::SendStream;
use crate::message::{decode, encode_into};

/// Largest record.
pub const MAX_RECORD: usize = 16 << 20;

/// Bytes of the length before a record.
const LENGTH: usize = 4;

/// Writes records to a stream.
#[derive(Debug)]
pub struct RecordWriter<T> {
    stream: SendStream,
    records: PhantomData<fn(T)>,
}

impl<T: Serialize> RecordWriter<T> {
    /// Writes to this stream.
    #[must_use]
    pub const fn new(stream: SendStream) -> Self {
        RecordWriter { stream, records: PhantomData }
    }

    /// Writes a record, waiting for credit.
    ///
    /// # Errors
    /// As [`SendStream::poll_write`]; [`StreamError::Record`] if it is longer than [`MAX_RECORD`] (nothing is written).
    pub async fn send(&self, record: &T) -> Result<(), StreamError> {
        self.send_all(std::slice::from_ref(record)).await
    }

    /// Writes records one behind the other, in as few frames as they fit into, waiting for credit. Their bytes are in
    /// memory all at once: the caller bounds them.
    ///
    /// # Errors
    /// As [`RecordWriter::send`]; if one record is too long, those before it are written and the rest is not.
    pub async fn send_all<'a>(&self, records: impl IntoIterator<Item = &'a T>) -> Result<(), StreamError>
    where
        T: 'a,
    {
        let mut bytes = Vec::new();
        let encoded = records.into_iter().try_for_each(|record| append(&mut bytes, record));
        self.stream.write_all(&bytes).await?;
        encoded
    }

    /// The stream, to finish or reset it.
    #[must_use]
    pub const fn stream(&self) -> &SendStream {
        &self.stream
    }
}

/// Appends a record and its length; nothing if it is too long.
fn append<T: Serialize>(bytes: &mut Vec<u8>, record: &T) -> Result<(), StreamError> {
    let start = bytes.len();
    // The length is filled in when it is known.
    bytes.extend_from_slice(&[0; LENGTH]);
    let encoded = encode_into(bytes, record).map_err(|e| e.to_string()).and_then(|()| {
        let body = bytes.len() - start - LENGTH;
        let length = u32::try_from(body).ok().filter(|_| body <= MAX_RECORD);
        length.ok_or_else(|| format!("{body} bytes"))
    });
    match encoded {
        Ok(length) => bytes[start..start + LENGTH].copy_from_slice(&length.to_le_bytes()),
        Err(message) => {
            bytes.truncate(start);
            return Err(StreamError::Record { message });
        }
    }
    Ok(())
}

/// Reads records from a stream.
#[derive(Debug)]
pub struct RecordReader<T> {
    stream: RecvStream,
    buf: BytesMut,
    records: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> RecordReader<T> {
    /// Reads from this stream.
    #[must_use]
    pub fn new(stream: RecvStream) -> Self {
        RecordReader { stream, buf: BytesMut::new(), records: PhantomData }
    }

    /// The next record; `None` at the end. A dropped future loses nothing.
    ///
    /// # Errors
    /// As [`RecvStream::next_chunk`]; [`StreamError::Record`].
    pub async fn next(&mut self) -> Result<Option<T>, StreamError> {
        loop {
            if let Some(record) = self.buffered()? {
                return Ok(Some(record));
            }
            match self.stream.next_chunk().await? {
                Some(chunk) => self.buf.extend_from_slice(&chunk),
                None if self.buf.is_empty() => return Ok(None),
                None => {
                    return Err(StreamError::Record {
                        message: "the stream ends inside a record".to_owned(),
                    });
                }
            }
        }
    }

    fn buffered(&mut self) -> Result<Option<T>, StreamError> {
        let Some(head) = self.buf.first_chunk::<4>() else { return Ok(None) };
        let len = u32::from_le_bytes(*head) as usize;
        if len > MAX_RECORD {
            return Err(StreamError::Record { message: format!("{len} bytes") });
        }
        let Some(body) = self.buf.get(4..4 + len) else { return Ok(None) };
        let record = decode(body).map_err(|e| StreamError::Record { message: e.to_string() })?;
        self.buf.advance(4 + len);
        Ok(Some(record))
    }
}
