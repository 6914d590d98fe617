//! The guest ABI: what host and guest programs agree on. Names, numbers, layouts and signatures only.
//!
//! It holds no behaviour, so that the host's executor and the guest SDK can both depend on it and neither on the
//! other. A change here is a change of the contract.

#![no_std]
#![forbid(unsafe_code)]

mod errno;
pub mod fd;
pub mod http;
pub mod imports;
pub mod layout;
pub mod process;
pub mod signal;
pub mod tools;
pub mod tty;

pub use errno::Errno;
pub use signal::Signal;

/// The import module of every call in [`imports`].
pub const MODULE: &str = "agentos_v1";

/// The export a module must offer to be a target of `clone_call`: `(func: i32, arg: i32) -> i32`.
pub const CLONE_ENTRY: &str = "__agentos_clone_entry";
