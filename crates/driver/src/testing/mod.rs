//! For tests of backends and hosts, without a vendor: processes that a test plays, vendors that replay a recording, and
//! logs that can be compared. Nothing of it is used by a real session.

mod log;
mod script;

pub use log::Log;
pub use script::{ScriptedLauncher, VendorSide};
