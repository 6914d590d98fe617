//! Any bytes on the wire: frames and the messages in them are decoded without a panic, and what decodes as a frame
//! encodes to the same bytes. It opens no connection.
#![no_main]

use agentos_protocol::frame::{self, Kind};
use agentos_protocol::message::{Callback, Event, Request, WireError, decode};
use agentos_protocol::version::Hello;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut buf = BytesMut::from(data);
    while let Ok(Some(frame)) = frame::decode(&mut buf) {
        let header = frame.header;
        let mut again = BytesMut::new();
        frame::encode(&mut again, header.kind, header.flags, header.id, &frame.payload);
        assert_eq!(frame::decode(&mut again), Ok(Some(frame.clone())));
        match header.kind {
            Kind::Hello => drop(decode::<Hello>(&frame.payload)),
            Kind::Request => drop(Request::decode(&frame.payload)),
            Kind::Callback => drop(Callback::decode(&frame.payload)),
            Kind::Event => drop(Event::decode(&frame.payload)),
            _ => drop(decode::<WireError>(&frame.payload)),
        }
    }
});
