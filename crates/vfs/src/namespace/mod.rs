//! The mount table of a VM and the walk along paths in it. It checks no permission itself: the caller's
//! [`WalkContext::may_search`] is asked at every directory.

mod mount;
mod path;
mod path_of;
mod resolved;
mod table;
mod walk;

pub use mount::{Location, Mount, MountOptions};
pub use path::{GuestPath, PATH_MAX, PathError};
pub use resolved::{Descriptor, Found, Last, Missing, Resolved};
pub use table::{MAX_MOUNTS, Namespace};
pub use walk::{PathLimits, SYMLINK_MAX, WalkContext, WalkFlags};
