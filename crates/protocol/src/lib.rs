//! The wire between the client library and the sidecar: frames, messages, versions and the multiplexed connection that
//! both sides use. It knows nothing of what either side does with a message.
//!
//! # Frames
//! One Unix stream socket carries frames: a header of 12 bytes, little endian, then the payload.
//!
//! | offset | field | meaning |
//! |---|---|---|
//! | 0 | `len: u32` | bytes of payload |
//! | 4 | `kind: u8` | see below |
//! | 5 | `flags: u8` | depends on the kind; unknown bits are ignored |
//! | 6 | `reserved: u16` | zero when sent, ignored when received |
//! | 8 | `id: u32` | a call (each direction counts its own) or a stream (client odd, sidecar even) |
//!
//! | kind | number | direction | payload | flags |
//! |---|---|---|---|---|
//! | Hello | 1 | both, first | MessagePack [`version::Hello`] | |
//! | Request | 2 | client → sidecar | MessagePack string (method), then MessagePack map (parameters) | |
//! | Response | 3 | sidecar → client | MessagePack map: the reply, or a [`WireError`] | 1 = error |
//! | Event | 4 | both | as Request: name, then map | |
//! | Data | 5 | both | raw bytes of a stream; with RESET a `u32` code | 1 = FIN, 2 = RESET |
//! | Credit | 6 | both | `u32`: bytes that may be sent further on a stream | 1 = STOP: send no more |
//! | Callback | 7 | sidecar → client | as Request | |
//! | CallbackReply | 8 | client → sidecar | as Response | 1 = error |
//! | Cancel | 9 | both | empty: the caller of this id no longer waits | |
//! | Goodbye | 10 | both | MessagePack [`WireError`]: why the connection ends | |
//!
//! A Data payload is at most 1 MiB, any other at most 16 MiB; larger things are streamed. Maps carry named fields; unknown
//! fields are ignored and optional ones may be missing, so either side may be the newer one.
#![forbid(unsafe_code)]

pub mod frame;
pub mod message;
pub mod mux;
pub mod version;

pub use message::{Call, WireError};
pub use mux::{Connection, ConnectionLost, Handler, RecvStream, Responder, SendStream};
