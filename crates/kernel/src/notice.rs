//! What a kernel tells its embedder without being asked. It does not decide what becomes of it.

use crate::permissions::ToldDenial;
use crate::{LimitHit, Pid};

/// Something that happened in a VM and that its owner should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// Four fifths of a limit are in use; told once, and again after less than half of it was. Limits of a single process are
    /// told once per process.
    LimitWarning(LimitHit),
    /// The permission tree denied something, or would have in a dry run.
    Denied(ToldDenial),
    /// A process was ended because it reached a limit.
    Killed {
        /// The process.
        pid: Pid,
        /// The limit, and what was in use and asked for.
        limit: LimitHit,
    },
}

/// Who is told. It is called on the thread of the guest, maybe with a lock of the kernel or a file system held: it must not
/// wait, and not call back.
pub trait Observer: Send + Sync + 'static {
    /// Takes a notice.
    fn notice(&self, notice: Notice);
}
