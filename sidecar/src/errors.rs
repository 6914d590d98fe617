//! Errors of the inner rooms as the wire carries them.

use agentos_executor::LoadError;
use agentos_kernel::{Errno, KernelError, LimitHit};
use agentos_protocol::WireError;
use agentos_protocol::message::{LimitInfo, code};
use agentos_vfs::PathError;

/// A failed system call on a path.
pub(crate) fn failed(errno: Errno, operation: &str, path: impl AsRef<[u8]>) -> WireError {
    let path = String::from_utf8_lossy(path.as_ref()).into_owned();
    if errno == Errno::EROFS {
        return WireError::path(code::READ_ONLY, path);
    }
    WireError::kernel(errno.name(), operation, Some(path))
}

/// A path that cannot be one.
pub(crate) fn bad_path(error: &PathError, path: impl AsRef<[u8]>) -> WireError {
    let path = String::from_utf8_lossy(path.as_ref()).into_owned();
    match error {
        PathError::NotAbsolute { .. } => WireError::path(code::PATH_NOT_ABSOLUTE, path),
        PathError::NotNormalised { .. } => WireError::path(code::PATH_NOT_NORMALIZED, path),
        other => WireError::kernel(Errno::from(other.clone()).name(), "resolve", Some(path)),
    }
}

/// A limit as the wire has it.
pub(crate) fn limit_info(hit: LimitHit) -> LimitInfo {
    let LimitHit { name, configured, used, requested } = hit;
    LimitInfo { name: name.to_owned(), configured, used, requested }
}

/// An error of the kernel.
pub(crate) fn kernel(error: &KernelError) -> WireError {
    match error {
        KernelError::Failed { errno, operation, path } => failed(*errno, operation, path),
        KernelError::Limit(hit) => WireError::limit(limit_info(*hit)),
        KernelError::Denied(denial) => WireError::denied(crate::permissions::denial(denial)),
        KernelError::NoProcess { pid } => WireError::not_found(code::PROCESS_NOT_FOUND, pid),
        KernelError::Disposed => WireError::new(code::VM_NOT_FOUND, "the VM is disposed"),
        other => WireError::new(code::INTERNAL, other.to_string()),
    }
}

/// Why a program cannot be started, when that is not simply its exit status.
pub(crate) fn load(error: &LoadError) -> WireError {
    match error {
        LoadError::Kernel(error) => kernel(error),
        LoadError::NotFound { program } => WireError::kernel("ENOENT", "exec", Some(program.clone())),
        LoadError::NotExecutable { program, errno } => {
            WireError::kernel(errno.name(), "exec", Some(program.clone()))
        }
        other => {
            let mut wire = WireError::kernel(other.errno().name(), "exec", None);
            wire.message = other.to_string();
            wire
        }
    }
}

/// A VM that is gone or never was.
pub(crate) fn no_vm(id: &str) -> WireError {
    WireError::not_found(code::VM_NOT_FOUND, id)
}
