//! The answer as the guest reads it: frames of the guest ABI.

use agentos_abi::http::{FRAME_BYTES, FRAME_HEAD, Frame, Kind};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::Failure;

/// Characters of the message of a failure.
const MESSAGE: usize = 2000;

#[derive(Serialize)]
struct Head<'a> {
    status: u16,
    headers: Vec<(&'a str, String)>,
}

#[derive(Serialize)]
struct Failed<'a> {
    code: &'a str,
    message: String,
}

/// A frame of this kind.
pub(crate) fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    debug_assert!(payload.len() <= FRAME_BYTES);
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(FRAME_HEAD + payload.len());
    bytes.extend_from_slice(&Frame::head(kind, len));
    bytes.extend_from_slice(payload);
    bytes
}

/// The head of an answer.
pub(crate) fn head(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let text = |value: &[u8]| value.iter().copied().map(char::from).collect();
    let headers = headers.iter().map(|(name, value)| (name.as_str(), text(value.as_bytes()))).collect();
    json(Kind::Head, &Head { status: status.as_u16(), headers })
}

/// Why there is no answer, or no more of it.
pub(crate) fn failed(failure: &Failure) -> Vec<u8> {
    let message = failure.message.chars().take(MESSAGE).collect();
    json(Kind::Failed, &Failed { code: failure.code.name(), message })
}

fn json(kind: Kind, value: &impl Serialize) -> Vec<u8> {
    frame(kind, &serde_json::to_vec(value).expect("texts and numbers are JSON"))
}

#[cfg(test)]
mod tests {
    use agentos_abi::http::{DATA_BYTES, HEAD_BYTES};
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;
    use crate::Code;

    fn kind() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Head), Just(Kind::Data), Just(Kind::Failed), Just(Kind::End)]
    }

    proptest! {
        /// Whatever the sizes of the reads, frames come out as they went in.
        #[test]
        fn frames_come_out_as_they_went_in(
            frames in proptest::collection::vec((kind(), proptest::collection::vec(any::<u8>(), 0..300)), 0..12),
            reads in proptest::collection::vec(1..97usize, 1..8),
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(kind, payload)| frame(*kind, payload)).collect();
            let (mut held, mut got, mut at, mut n) = (Vec::new(), Vec::new(), 0, 0);
            while at < bytes.len() {
                let end = bytes.len().min(at + reads[n % reads.len()]);
                held.extend_from_slice(&bytes[at..end]);
                (at, n) = (end, n + 1);
                while let Some(found) = Frame::first(&held).unwrap() {
                    got.push((found.kind, found.payload.to_vec()));
                    let size = found.size();
                    held.drain(..size);
                }
            }
            prop_assert!(held.is_empty());
            prop_assert_eq!(got, frames);
        }

        /// Bytes that nobody made are no reason to fail otherwise than by an error.
        #[test]
        fn any_bytes_are_frames_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(Some(found)) = Frame::first(&bytes) {
                prop_assert!(found.size() <= bytes.len());
            }
        }
    }

    #[test]
    fn the_largest_head_is_a_frame() {
        let mut headers = HeaderMap::new();
        // Each of these bytes becomes two.
        let value = HeaderValue::from_bytes(&vec![0xff; HEAD_BYTES]).unwrap();
        headers.insert(HeaderName::from_static("x"), value);
        let bytes = head(StatusCode::OK, &headers);
        let found = Frame::first(&bytes).unwrap().unwrap();
        assert_eq!(found.kind, Kind::Head);
        let read: serde_json::Value = serde_json::from_slice(found.payload).unwrap();
        assert_eq!(read["headers"][0][1].as_str().unwrap().chars().count(), HEAD_BYTES);
        assert!(Frame::first(&frame(Kind::Data, &vec![0; DATA_BYTES])).unwrap().is_some());
    }

    #[test]
    fn a_failure_is_as_long_as_it_may_be() {
        let bytes = failed(&Failure::new(Code::Dns, "ü".repeat(9000)));
        let found = Frame::first(&bytes).unwrap().unwrap();
        let read: serde_json::Value = serde_json::from_slice(found.payload).unwrap();
        assert_eq!(read["code"], "dns");
        assert_eq!(read["message"].as_str().unwrap().chars().count(), MESSAGE);
    }
}
