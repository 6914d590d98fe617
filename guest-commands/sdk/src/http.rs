//! HTTP requests out of the machine. The host makes the connection, speaks TLS and puts in what it keeps from guests, such as
//! keys; it follows no redirects. What may be asked is the configuration's business.
//!
//! ```no_run
//! use agentos_guest::http::{Part, Request, fetch};
//! let request = Request {
//!     method: "GET".into(),
//!     url: "https://api.example.com/".into(),
//!     headers: vec![("accept".into(), "text/plain".into())],
//!     body: Vec::new(),
//!     head_timeout_ms: 30_000,
//! };
//! let mut response = fetch(&request)?;
//! loop {
//!     for part in response.read()? {
//!         match part {
//!             Part::Head { status, .. } => println!("{status}"),
//!             Part::Data(bytes) => println!("{} bytes", bytes.len()),
//!             Part::Failed { code, message } => return Err(std::io::Error::other(format!("{code}: {message}"))),
//!             Part::End => return Ok(()),
//!         }
//!     }
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io;
use std::os::fd::RawFd;

use agentos_abi::http::{Frame, Kind};
use serde::Deserialize;

use crate::fd::Owned;
use crate::sys;

/// Bytes that are read at once: what a pipe holds.
const READ: usize = 64 << 10;

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Such as `POST`.
    pub method: String,
    /// `http` or `https`, absolute.
    pub url: String,
    /// Names and values. Those of the connection, such as `host` and `content-length`, are the host's.
    pub headers: Vec<(String, String)>,
    /// Sent with its length, at most 32 MiB; nothing if empty.
    pub body: Vec<u8>,
    /// Most milliseconds until the head of the answer is there; 0 is 10 minutes, which is the most.
    pub head_timeout_ms: u32,
}

/// A piece of an answer. The head comes first, the end or a failure last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Status and headers, names in lower case.
    Head {
        /// Such as 200; 3xx too, since nobody follows redirects.
        status: u16,
        /// In the order of the answer.
        headers: Vec<(String, String)>,
    },
    /// Bytes of the body.
    Data(Vec<u8>),
    /// There is no answer, or no more of it.
    Failed {
        /// Such as `dns`, `connect`, `tls`, `timeout`, `denied`, `blocked_address`, `too_large`, `aborted`.
        code: String,
        /// What went wrong, and what would help.
        message: String,
    },
    /// The answer is complete.
    End,
}

/// An answer that comes in. Dropping it gives the request up.
#[derive(Debug)]
pub struct Response {
    fd: Owned,
    parts: Parts,
}

/// Sends a request. It returns at once; whatever becomes of the request comes with the response.
///
/// # Errors
/// `E2BIG`: too large. `EMFILE`, `ENFILE`: no descriptor or pipe for the answer. `ENOSYS`: not in a machine.
pub fn fetch(request: &Request) -> io::Result<Response> {
    let mut headers = Vec::new();
    for text in request.headers.iter().flat_map(|(name, value)| [name, value]) {
        let len = u32::try_from(text.len()).map_err(|_| crate::io_error(crate::Errno::E2BIG))?;
        headers.extend_from_slice(&len.to_le_bytes());
        headers.extend_from_slice(text.as_bytes());
    }
    let timeout = request.head_timeout_ms.to_le_bytes();
    let items: [&[u8]; agentos_abi::http::REQUEST_ITEMS] =
        [request.method.as_bytes(), request.url.as_bytes(), &headers, &request.body, &timeout];
    let fd = Owned::from_raw(sys::http_fetch(&items)?);
    Ok(Response { fd, parts: Parts::default() })
}

impl Response {
    /// The descriptor, to poll it together with others. It can be read while there is something to [`read`](Self::read).
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.fd.raw() as RawFd
    }

    /// Reads once, and gives what came: nothing if that ended within a part. It waits only if nothing is there. After the
    /// end or a failure there is nothing more.
    ///
    /// # Errors
    /// `UnexpectedEof`: the host lost the answer. `EINTR`: a caught signal arrived first. `EAGAIN`: nothing is there, of a
    /// descriptor that was made not to wait.
    pub fn read(&mut self) -> io::Result<Vec<Part>> {
        if self.parts.ended {
            return Ok(Vec::new());
        }
        let n = self.parts.fill(|buf| sys::read(self.fd.raw(), buf))?;
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was lost"));
        }
        self.parts.take()
    }
}

#[derive(Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Failure {
    code: String,
    message: String,
}

/// What was read, and not given yet.
#[derive(Debug, Default)]
struct Parts {
    bytes: Vec<u8>,
    ended: bool,
}

impl Parts {
    /// Adds what one read brings.
    fn fill(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        let before = self.bytes.len();
        self.bytes.resize(before + READ, 0);
        let result = read(&mut self.bytes[before..]);
        self.bytes.truncate(before + result.as_ref().map_or(0, |n| *n));
        result
    }

    /// The parts that are there as a whole.
    fn take(&mut self) -> io::Result<Vec<Part>> {
        let mut parts = Vec::new();
        let mut at = 0;
        while !self.ended
            && let Some(frame) = Frame::first(&self.bytes[at..]).map_err(|_| bad("a frame"))?
        {
            at += frame.size();
            parts.push(match frame.kind {
                Kind::Head => {
                    let head: Head = serde_json::from_slice(frame.payload).map_err(|_| bad("a head"))?;
                    Part::Head { status: head.status, headers: head.headers }
                }
                Kind::Data => Part::Data(frame.payload.to_vec()),
                Kind::Failed => {
                    let failure: Failure =
                        serde_json::from_slice(frame.payload).map_err(|_| bad("a failure"))?;
                    Part::Failed { code: failure.code, message: failure.message }
                }
                Kind::End => Part::End,
            });
            self.ended = matches!(parts.last(), Some(Part::Failed { .. } | Part::End));
        }
        self.bytes.drain(..at);
        Ok(parts)
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the host sent something that is not {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
        [&Frame::head(kind, payload.len() as u32)[..], payload].concat()
    }

    #[test]
    fn parts_come_out_however_the_reads_fall() {
        let bytes = [
            frame(Kind::Head, br#"{"status":200,"headers":[["a","b"],["a","c"]]}"#),
            frame(Kind::Data, b"one"),
            frame(Kind::Data, b""),
            frame(Kind::Data, &[7; 900]),
            frame(Kind::End, b""),
        ]
        .concat();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let expected = [
            Part::Head { status: 200, headers: vec![pair("a", "b"), pair("a", "c")] },
            Part::Data(b"one".to_vec()),
            Part::Data(Vec::new()),
            Part::Data(vec![7; 900]),
            Part::End,
        ];
        for step in [1, 2, 3, 5, 7, 64, 899, bytes.len()] {
            let (mut parts, mut got) = (Parts::default(), Vec::new());
            for chunk in bytes.chunks(step) {
                let n = parts.fill(|buf| {
                    buf[..chunk.len()].copy_from_slice(chunk);
                    Ok(chunk.len())
                });
                assert_eq!(n.unwrap(), chunk.len());
                got.extend(parts.take().unwrap());
            }
            assert_eq!(got, expected, "step {step}");
            assert!(parts.ended);
        }
    }

    #[test]
    fn failures_end_and_nonsense_is_an_error() {
        let bytes = frame(Kind::Failed, br#"{"code":"dns","message":"no such host"}"#);
        let mut parts = Parts { bytes, ..Parts::default() };
        let failed = Part::Failed { code: "dns".into(), message: "no such host".into() };
        assert_eq!(parts.take().unwrap(), [failed]);
        assert!(parts.ended && parts.bytes.is_empty());
        for bytes in [b"\0\0\0\0X".to_vec(), frame(Kind::Head, b"{}"), frame(Kind::Failed, b"\xff")] {
            let mut parts = Parts { bytes, ended: false };
            assert_eq!(parts.take().unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        let mut parts = Parts::default();
        assert!(parts.fill(|_| Err(crate::io_error(crate::Errno::EINTR))).is_err());
        assert!(parts.bytes.is_empty());
    }

    #[test]
    fn outside_of_a_machine_nothing_can_leave() {
        #[cfg(unix)]
        assert_eq!(crate::errno_of(&fetch(&Request::default()).unwrap_err()), Some(crate::Errno::ENOSYS));
    }
}
