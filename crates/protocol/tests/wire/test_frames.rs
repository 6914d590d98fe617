//! Frames survive any split of the bytes, and wrong bytes never panic.

use agentos_protocol::frame::{FrameError, HEADER_LEN, Header, Kind, MAX_DATA, decode, encode, missing};
use bytes::BytesMut;
use proptest::prelude::*;

fn kind() -> impl Strategy<Value = Kind> {
    (1_u8..=10).prop_map(|raw| Kind::from_raw(raw).unwrap())
}

proptest! {
    #[test]
    fn frames_survive_any_split(
        frames in prop::collection::vec((kind(), any::<u8>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..300)), 1..8),
        cuts in prop::collection::vec(1_usize..64, 1..200),
    ) {
        let mut bytes = BytesMut::new();
        let mut expected = Vec::new();
        for (kind, flags, id, mut payload) in frames {
            payload.truncate(kind.max_payload());
            encode(&mut bytes, kind, flags, id, &payload);
            expected.push((kind, flags, id, payload));
        }
        let mut seen = Vec::new();
        let mut buf = BytesMut::new();
        let mut cuts = cuts.into_iter().cycle();
        while !bytes.is_empty() {
            let n = cuts.next().unwrap().min(bytes.len());
            buf.extend_from_slice(&bytes.split_to(n));
            while let Some(frame) = decode(&mut buf).unwrap() {
                seen.push((frame.header.kind, frame.header.flags, frame.header.id, frame.payload.to_vec()));
            }
            prop_assert!(buf.is_empty() || missing(&buf) > 0);
        }
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut buf = BytesMut::from(&bytes[..]);
        let _ = missing(&buf);
        while let Ok(Some(_)) = decode(&mut buf) {}
    }

    #[test]
    fn headers_round_trip(kind in kind(), flags: u8, id: u32, len in 0_usize..1000) {
        let header = Header::new(kind, flags, id, len.min(kind.max_payload()));
        prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
    }
}

#[test]
fn too_long_is_refused_before_it_arrives() {
    let header = Header::new(Kind::Data, 0, 1, MAX_DATA + 1);
    let mut buf = BytesMut::from(&header.encode()[..]);
    assert!(matches!(decode(&mut buf), Err(FrameError::TooLong { kind: Kind::Data, .. })));
    let mut unknown = BytesMut::from(&[0_u8, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0][..]);
    assert_eq!(unknown.len(), HEADER_LEN);
    assert_eq!(decode(&mut unknown), Err(FrameError::UnknownKind { kind: 99 }));
}
