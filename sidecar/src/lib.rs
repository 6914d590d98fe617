//! The native process that hosts VMs: their life, and the service behind the wire. It holds no HTTP.

#![forbid(unsafe_code)]

mod config;
mod connection;
mod egress;
mod errors;
mod host;
mod images;
mod layers;
mod limits;
mod lowers;
mod notices;
mod options;
mod permissions;
mod persistence;
mod root;
mod server;
mod service;
mod session;
mod stdio;
mod tools;
mod vm;

pub use options::{Options, UsageError};
pub use server::{ServeError, main, run};

pub use images::prepare_images;
