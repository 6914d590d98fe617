//! The working directory, the directory of temporary files, and the one thing about variables that std calls unsafe.

use crate::sys;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

fn path_from(bytes: Vec<u8>) -> PathBuf {
    #[cfg(unix)]
    use std::os::unix::ffi::OsStringExt as _;
    #[cfg(target_os = "wasi")]
    use std::os::wasi::ffi::OsStringExt as _;
    PathBuf::from(OsString::from_vec(bytes))
}

/// The working directory as the kernel knows it.
///
/// # Errors
/// `ENOENT`: it was removed.
pub fn current_dir() -> io::Result<PathBuf> {
    sys::getcwd().map(path_from)
}

/// Moves the working directory: the kernel's, which children inherit, and std's, from which it resolves relative paths.
///
/// # Errors
/// Those of chdir(2).
pub fn set_current_dir(path: impl AsRef<OsStr>) -> io::Result<()> {
    sys::chdir(path.as_ref().as_encoded_bytes())
}

/// The directory of temporary files: `TMPDIR`, or `/tmp`. (std's own panics on wasip1.)
#[must_use]
pub fn temp_dir() -> PathBuf {
    std::env::var_os("TMPDIR")
        .filter(|dir| !dir.is_empty())
        .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from)
}

/// Sets a variable of this process, for libraries that look into the environment themselves. Only while the program has
/// one thread, as a guest always has.
pub fn set_var(name: &str, value: impl AsRef<OsStr>) {
    // SAFETY: what std asks for is that no other thread reads the environment but through std. On wasip1 there is no other
    // thread; natively, std's own lock covers Rust code, and none of our programs has a C library read it in a thread.
    unsafe { std::env::set_var(name, value) };
}
