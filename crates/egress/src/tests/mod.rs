//! Egress against servers of the tests on loopback.
//! `certificate/` holds an authority that nobody trusts but these tests, a certificate of `localhost` by it, and its key.

mod answers;
mod kit;
mod policies;
mod refusals;
mod tls;
