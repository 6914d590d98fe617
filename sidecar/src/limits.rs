//! Errors of file calls that name the limit behind them. A guest gets the errno alone; the host is told what was used up.

use std::future::Future;
use std::sync::Arc;

use agentos_kernel::LimitHit;
use agentos_kernel::sys::At;
use agentos_protocol::WireError;
use agentos_protocol::message::{LimitInfo, code};
use agentos_vfs::{GuestPath, Location};

use crate::errors::limit_info;
use crate::vm::Vm;

/// What `work` says, with the limit in place of an errno that comes of one.
pub(crate) async fn named<T>(
    vm: Arc<Vm>,
    work: impl Future<Output = Result<T, WireError>>,
) -> Result<T, WireError> {
    match work.await {
        Err(error) if error.code == code::KERNEL => Err(name(&vm, error).await),
        done => done,
    }
}

/// Notes how much was asked for when `error` came, for [`named`].
pub(crate) fn asking(mut error: WireError, requested: u64) -> WireError {
    if let Some(details) = &mut error.details {
        details.limit = Some(LimitInfo { requested, ..LimitInfo::default() });
    }
    error
}

async fn name(vm: &Vm, error: WireError) -> WireError {
    let Some(details) = &error.details else { return error };
    let path = details.path.as_deref().unwrap_or_default();
    let requested = details.limit.as_ref().map_or(0, |limit| limit.requested);
    let hit = match details.errno.as_deref() {
        Some("ENOSPC") => space(vm, path, requested).await,
        Some("ENAMETOOLONG") => length(vm, path),
        _ => None,
    };
    hit.map_or(error, |hit| WireError::limit(limit_info(hit)))
}

/// The limit of space that a call on this path met; `None` where a host or a driver had no room.
async fn space(vm: &Vm, path: &str, requested: u64) -> Option<LimitHit> {
    /// Bytes that the longest name takes in a directory: a call that asks for less finds no room where they do not fit.
    const ENTRY: u64 = 64 + 255;
    let (usage, most) = directory(vm, path).await?.mount.fs.account()?;
    let limits = &vm.kernel().limits;
    let left = most.inodes.saturating_sub(usage.inodes);
    if left == 0 && requested == 0 {
        let configured = limits.fs_inodes;
        return Some(LimitHit { name: "inodes", configured, used: configured, requested: 1 });
    }
    let left = most.bytes.saturating_sub(usage.bytes);
    let hit = |name, configured: u64| LimitHit {
        name,
        configured,
        used: configured.saturating_sub(left),
        requested: requested.max(1),
    };
    match left < requested.max(ENTRY) {
        // A mount that was given less than the machine has.
        true if most.bytes < limits.fs_bytes => Some(hit("mountSize", most.bytes)),
        true => Some(hit("filesystemBytes", limits.fs_bytes)),
        false => None,
    }
}

/// The directory that a path lies in, or the nearest one above it that exists.
async fn directory(vm: &Vm, path: &str) -> Option<Location> {
    let kernel = vm.kernel();
    let host = kernel.host();
    let mut path = GuestPath::new(path).ok()?;
    loop {
        path = path.parent()?;
        if let Ok(found) = kernel.resolve_directory(&host, At::Cwd(path.as_bytes())).await {
            return Some(found);
        }
    }
}

/// The limit of a path that is too long.
fn length(vm: &Vm, path: &str) -> Option<LimitHit> {
    let limits = &vm.kernel().limits.paths;
    if path.len() > limits.path {
        // The limit counts the NUL that ends a path in C.
        let (configured, requested) = (limits.path as u64 + 1, path.len() as u64 + 1);
        return Some(LimitHit { name: "pathBytes", configured, used: 0, requested });
    }
    let longest = path.split('/').map(str::len).max().unwrap_or(0);
    let (configured, requested) = (limits.name as u64, longest as u64);
    (longest > limits.name).then_some(LimitHit { name: "nameBytes", configured, used: 0, requested })
}
