//! For tests of backends and hosts, without a vendor: processes that a test plays, vendors that replay a recording, and
//! logs that can be compared. Nothing of it is used by a real session.

mod log;
mod recording;
mod replay;
mod script;
mod turns;

pub use log::{Log, normalised};
pub use recording::{Entry, Recording};
pub use replay::{Replayed, replay};
pub use script::{ScriptedLauncher, VendorSide};
