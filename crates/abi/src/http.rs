//! HTTP requests that leave the machine: how one is packed, its limits, and the frames that its answer comes in.
//!
//! A request is a packed list of [`REQUEST_ITEMS`] items: method, URL, headers (itself a packed list of name and value in
//! turn), body, and the most milliseconds until the head of the answer is there (`u32`, little endian; 0 is
//! [`HEAD_TIMEOUT_MS`]). The answer is read from a pipe as frames: length of the payload (`u32`, little endian), kind, payload.
//! After [`Kind::End`] or [`Kind::Failed`] comes the end of file; without one of the two before it, the answer was lost.

/// Items of a packed request.
pub const REQUEST_ITEMS: usize = 5;
/// Most bytes of the body of a request.
pub const BODY_BYTES: usize = 32 << 20;
/// Most bytes of the head of a request (method, URL, headers), and of that of an answer.
pub const HEAD_BYTES: usize = 64 << 10;
/// Most headers of a request or an answer.
pub const HEADERS: usize = 256;
/// Most bytes of a packed request.
pub const REQUEST_BYTES: usize = BODY_BYTES + 2 * HEAD_BYTES;
/// Most milliseconds until the head of an answer is there.
pub const HEAD_TIMEOUT_MS: u32 = 600_000;
/// A header for the host and not for the server: under which grant of the host the request goes. It is not sent on.
pub const GRANT_HEADER: &str = "agentos-grant";
/// Bytes before the payload of a frame.
pub const FRAME_HEAD: usize = 5;
/// Most bytes of a payload.
pub const FRAME_BYTES: usize = 1 << 20;
/// Most bytes of a [`Kind::Data`] payload.
pub const DATA_BYTES: usize = 32 << 10;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// JSON, `{"status": 200, "headers": [["name", "value"]]}`. Bytes of values that are not ASCII are read as Latin-1.
    Head = b'H',
    /// Bytes of the body.
    Data = b'D',
    /// JSON, `{"code": "timeout", "message": "…"}`. Nothing comes after it.
    Failed = b'E',
    /// Nothing: the answer is complete.
    End = b'Z',
}

impl Kind {
    /// The kind of its byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Kind> {
        match byte {
            b'H' => Some(Kind::Head),
            b'D' => Some(Kind::Data),
            b'E' => Some(Kind::Failed),
            b'Z' => Some(Kind::End),
            _ => None,
        }
    }
}

/// Bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFrame;

/// A frame at the begin of what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it holds.
    pub kind: Kind,
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first frame of `bytes`; `None` while it is not there as a whole.
    ///
    /// # Errors
    /// It has no known kind or is longer than [`FRAME_BYTES`].
    pub fn first(bytes: &'a [u8]) -> Result<Option<Frame<'a>>, BadFrame> {
        let Some((head, rest)) = bytes.split_first_chunk::<FRAME_HEAD>() else { return Ok(None) };
        let [a, b, c, d, kind] = *head;
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        let kind = Kind::from_byte(kind).filter(|_| len <= FRAME_BYTES).ok_or(BadFrame)?;
        Ok(rest.get(..len).map(|payload| Frame { kind, payload }))
    }

    /// Bytes of the frame with its head.
    #[must_use]
    pub const fn size(&self) -> usize {
        FRAME_HEAD + self.payload.len()
    }

    /// What stands before a payload of `len` bytes.
    #[must_use]
    pub const fn head(kind: Kind, len: u32) -> [u8; FRAME_HEAD] {
        let [a, b, c, d] = len.to_le_bytes();
        [a, b, c, d, kind as u8]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_and_what_is_none_is_refused() {
        let end = Frame::head(Kind::End, 0);
        assert_eq!(Frame::first(&end), Ok(Some(Frame { kind: Kind::End, payload: &[] })));
        assert_eq!(Frame::first(&end[..4]), Ok(None));
        let bytes = [1, 0, 0, 0, b'D', 7, 9];
        assert_eq!(Frame::first(&bytes[..5]), Ok(None));
        let data = Frame::first(&bytes).unwrap().unwrap();
        assert_eq!((data, data.size()), (Frame { kind: Kind::Data, payload: &[7] }, 6));
        assert_eq!(Frame::first(&[0, 0, 0, 0, b'X']), Err(BadFrame));
        assert_eq!(Frame::first(&Frame::head(Kind::Head, FRAME_BYTES as u32 + 1)), Err(BadFrame));
    }
}
