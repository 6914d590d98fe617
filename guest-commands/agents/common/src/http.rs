//! Requests over HTTP whose answers come in parts, as far as guest programs need them: in a machine the host makes them, tests
//! have a way of their own.

use std::io;

pub use agentos_guest::http::{Part, Request};

/// An answer that comes in; dropped, it is not wanted any more.
pub trait Response {
    /// The descriptor to wait for.
    fn fd(&self) -> u32;

    /// Reads once; called when the descriptor can be read. There may be no part yet.
    ///
    /// # Errors
    /// The answer is lost.
    fn read(&mut self) -> io::Result<Vec<Part>>;
}

/// A way to make requests.
pub trait Http {
    /// Starts a request; its outcome comes with the answer.
    ///
    /// # Errors
    /// No request can be made.
    fn fetch(&self, request: &Request) -> io::Result<Box<dyn Response>>;
}

/// Requests that the host of the machine makes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl Http for Machine {
    fn fetch(&self, request: &Request) -> io::Result<Box<dyn Response>> {
        Ok(Box::new(agentos_guest::http::fetch(request)?))
    }
}

impl Response for agentos_guest::http::Response {
    fn fd(&self) -> u32 {
        agentos_guest::http::Response::fd(self).cast_unsigned()
    }

    fn read(&mut self) -> io::Result<Vec<Part>> {
        agentos_guest::http::Response::read(self)
    }
}
