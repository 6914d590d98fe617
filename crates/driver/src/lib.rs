//! The Driver Kernel: the session layer between a host and one coding agent, from boot to stop. One protocol of commands
//! and events stands for three vendors' protocols.
//!
//! | module | for |
//! |---|---|
//! | [`command`], [`event`] | what a host asks and what it hears |
//! | [`kernel`] | commands, order, turns, permissions, the end |
//! | [`backend`] | what a vendor's protocol has to do, and the three there are |
//! | [`ports`] | what a host gives |
//! | [`process`] | the vendor's process, wherever it runs |
//! | [`registry`] | which backends there are and what they can do |
//! | [`boot`] | what a session begins with |
//! | [`skills`] | archives of skills, and where the agent finds them |
//! | [`runner`] | a session in a process of its own, driven over a control connection |
//! | [`paths`] | how paths of a sandbox must look |
//! | [`testing`] | vendors from recordings, and logs that can be compared |
//!
//! Importing it starts nothing. It knows of no machine, no HTTP and no storage: those are the host's.
#![forbid(unsafe_code)]

pub mod backend;
pub mod boot;
pub mod command;
pub mod error;
pub mod event;
pub mod kernel;
pub mod paths;
pub mod ports;
pub mod process;
pub mod registry;
pub mod runner;
pub mod skills;
pub mod testing;

pub use command::{Command, CommandUpdate, Fate, Input, Malformed, Order};
pub use error::ErrorInfo;
pub use event::{Body, Draft, Event};
pub use kernel::{Kernel, StartInput, State};
pub use ports::Ports;
pub use registry::{Capability, Registry, ResumeRef, Runtime};
