//! Skills: archives of a host become directories where the agent finds them, with a catalog beside them. What an archive may
//! hold is decided in [`archive`]; how it comes here is a matter of [`Fetch`], for there is no HTTP in this crate.
//!
//! | below `<shared root>/.agent-driver/` | |
//! |---|---|
//! | `skill/<name>/` | a skill: `SKILL.md`, `assets`, `references`, `scripts`, and the marker of its version |
//! | `skills/manifest.json`, `skills/README.md` | the catalog, for programs and for the agent |
//!
//! Nothing on disk below the shared root is reached through a link: the agent can write there too.

pub mod archive;
mod catalog;
mod dir;
mod materialize;
mod names;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::ports::Pending;

/// The directory of the driver in the shared root.
pub const DIRECTORY: &str = ".agent-driver";
/// The directory of skills in that.
pub const SKILLS: &str = "skill";
/// The directory of the catalog beside it.
pub const CATALOG: &str = "skills";
/// The file that says which version of a skill is there.
pub const MARKER: &str = ".agent-driver-skill.json";
/// How long a download may take.
pub const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long all of them may take together: skills that are not there by then are skipped.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(90);

/// Who downloads archives.
pub trait Fetch: Send + Sync {
    /// All that is at an address, which is `https:` or one that the host alone understands; any other is refused. It stops
    /// reading at `limit` bytes and ends in `timeout`, both with an error. Of an error only the code is shown: addresses may
    /// hold secrets.
    fn fetch<'a>(&'a self, url: &'a str, limit: usize, timeout: Duration) -> Pending<'a, Bytes>;
}

/// The skills of one session on disk. One that has a shared root with another waits for it.
#[derive(Clone)]
pub struct SkillStore {
    /// The directory that is shared with the agent, as [`paths::check`](crate::paths::check) wants it, by the path that the
    /// agent knows it by. It must be there.
    pub shared_root: String,
    /// Who downloads.
    pub fetch: Arc<dyn Fetch>,
}

impl std::fmt::Debug for SkillStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SkillStore").field("shared_root", &self.shared_root).finish_non_exhaustive()
    }
}
