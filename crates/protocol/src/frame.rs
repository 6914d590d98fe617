//! Frames: parsing and encoding of the header, without any input or output.
//! It does not look into payloads.

use bytes::{Buf, BytesMut};

/// Bytes of a header.
pub const HEADER_LEN: usize = 12;
/// Largest payload of a Data frame.
pub const MAX_DATA: usize = 1 << 20;
/// Largest payload of any other frame.
pub const MAX_CONTROL: usize = 16 << 20;
/// Largest payload of a Hello.
pub const MAX_HELLO: usize = 64 << 10;

/// Flag of Response and CallbackReply: the payload is a [`crate::WireError`].
pub const FLAG_ERROR: u8 = 1;
/// Flag of Data: the last bytes of the stream.
pub const FLAG_FIN: u8 = 1;
/// Flag of Data: the producer gave up; the payload is a `u32` code.
pub const FLAG_RESET: u8 = 2;
/// Flag of Credit: the consumer wants no more.
pub const FLAG_STOP: u8 = 1;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The first frame of either side.
    Hello = 1,
    /// A call of the client.
    Request = 2,
    /// The answer to a Request.
    Response = 3,
    /// Something happened; no answer.
    Event = 4,
    /// Bytes of a stream.
    Data = 5,
    /// More bytes may be sent on a stream.
    Credit = 6,
    /// A call of the sidecar.
    Callback = 7,
    /// The answer to a Callback.
    CallbackReply = 8,
    /// The caller no longer waits.
    Cancel = 9,
    /// The connection ends.
    Goodbye = 10,
}

impl Kind {
    /// The kind of this number.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            1 => Kind::Hello,
            2 => Kind::Request,
            3 => Kind::Response,
            4 => Kind::Event,
            5 => Kind::Data,
            6 => Kind::Credit,
            7 => Kind::Callback,
            8 => Kind::CallbackReply,
            9 => Kind::Cancel,
            10 => Kind::Goodbye,
            _ => return None,
        })
    }

    /// Largest payload of this kind.
    #[must_use]
    pub const fn max_payload(self) -> usize {
        match self {
            Kind::Hello => MAX_HELLO,
            Kind::Data => MAX_DATA,
            Kind::Credit => 4,
            Kind::Cancel => 0,
            _ => MAX_CONTROL,
        }
    }
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of payload.
    pub len: u32,
    /// What it is.
    pub kind: Kind,
    /// Flags, by kind.
    pub flags: u8,
    /// Call or stream.
    pub id: u32,
}

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub header: Header,
    /// Its payload, `header.len` bytes.
    pub payload: BytesMut,
}

/// Bytes that are not a frame. The connection cannot go on: the next frame cannot be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// No such kind.
    #[error("unknown frame kind {kind}")]
    UnknownKind {
        /// The number.
        kind: u8,
    },
    /// A payload above the limit of its kind.
    #[error("a {kind:?} frame of {len} bytes is above the limit of {max}")]
    TooLong {
        /// The kind.
        kind: Kind,
        /// Bytes announced.
        len: u32,
        /// Bytes allowed.
        max: usize,
    },
}

impl Header {
    /// A header of a payload. Payloads are bounded far below `u32::MAX` by [`Kind::max_payload`].
    #[must_use]
    pub fn new(kind: Kind, flags: u8, id: u32, len: usize) -> Self {
        Header { len: u32::try_from(len).unwrap_or(u32::MAX), kind, flags, id }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let len = self.len.to_le_bytes();
        let id = self.id.to_le_bytes();
        [len[0], len[1], len[2], len[3], self.kind as u8, self.flags, 0, 0, id[0], id[1], id[2], id[3]]
    }

    /// Reads a header, and checks kind and length.
    ///
    /// # Errors
    /// [`FrameError`] if the kind is unknown or the payload too long.
    pub fn decode(raw: &[u8; HEADER_LEN]) -> Result<Self, FrameError> {
        let len = u32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]);
        let kind = Kind::from_raw(raw[4]).ok_or(FrameError::UnknownKind { kind: raw[4] })?;
        let max = kind.max_payload();
        if len as usize > max {
            return Err(FrameError::TooLong { kind, len, max });
        }
        Ok(Header { len, kind, flags: raw[5], id: u32::from_le_bytes([raw[8], raw[9], raw[10], raw[11]]) })
    }
}

/// Takes the first frame off `buf`; `None` while it is incomplete. The payload is split off without a copy.
///
/// # Errors
/// [`FrameError`] as soon as the header is wrong, before its payload is waited for.
///
/// ```
/// use agentos_protocol::frame::{decode, encode, Kind};
/// let mut buf = bytes::BytesMut::new();
/// encode(&mut buf, Kind::Data, 0, 7, b"hello");
/// let frame = decode(&mut buf).unwrap().unwrap();
/// assert_eq!((frame.header.id, &frame.payload[..]), (7, &b"hello"[..]));
/// assert_eq!(decode(&mut buf), Ok(None));
/// ```
pub fn decode(buf: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let Some(raw) = buf.first_chunk::<HEADER_LEN>() else { return Ok(None) };
    let header = Header::decode(raw)?;
    let len = header.len as usize;
    if buf.len() - HEADER_LEN < len {
        return Ok(None);
    }
    buf.advance(HEADER_LEN);
    Ok(Some(Frame { header, payload: buf.split_to(len) }))
}

/// Bytes that are still missing from the first frame of `buf`, at least 1; a hint for how much to read.
#[must_use]
pub fn missing(buf: &[u8]) -> usize {
    let Some(raw) = buf.first_chunk::<HEADER_LEN>() else { return HEADER_LEN - buf.len() };
    Header::decode(raw).map_or(1, |h| (HEADER_LEN + h.len as usize).saturating_sub(buf.len()).max(1))
}

/// Appends a frame.
pub fn encode(buf: &mut BytesMut, kind: Kind, flags: u8, id: u32, payload: &[u8]) {
    buf.reserve(HEADER_LEN + payload.len());
    buf.extend_from_slice(&Header::new(kind, flags, id, payload.len()).encode());
    buf.extend_from_slice(payload);
}
