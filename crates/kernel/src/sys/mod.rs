//! System calls, by what they are about. Each is a method of [`Kernel`](crate::Kernel) that acts for a process.

mod attributes;
mod descriptors;
mod directories;
mod io;
mod locks;
mod mounts;
mod names;
mod open;
mod permit;
mod pipes;
mod placed;
mod process;
mod signal;
mod terminals;
mod tools;
mod walk;
mod watch;

pub use directories::Reading;
pub use io::Whence;
pub use mounts::{MountRefused, MountUser, UnmountRefused};
pub use open::Executable;
pub use placed::{Placed, PlacedFor};
pub use process::WaitTarget;
pub use walk::{At, Who};
