//! What the peer promises, tested against a fake agent on in-memory pipes.

mod agent;
mod connection;
mod flow;
mod golden;
mod hostile;
mod permissions;
mod sessions;
