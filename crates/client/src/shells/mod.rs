//! Terminals in a VM: opening one, typing, seeing what it shows, and lending it the terminal of this program.
//! What a terminal shows is bytes here; no screen is kept.

mod connect;
mod filter;
mod handle;
mod host;
mod open;
mod signals;

pub use agentos_protocol::message::ShellInfo;
pub use connect::ConnectTerminalOptions;
pub use filter::{TerminalFilter, TerminalPolicy};
pub use handle::ShellHandle;
pub use open::OpenShellOptions;
