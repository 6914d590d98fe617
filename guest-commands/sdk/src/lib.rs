//! The std-like library of guest programs: processes, descriptors, signals, terminals and file attributes that std lacks on wasip1.
//!
//! It does not replace std: files, clocks, environment and stdio go through std as usual. It also builds for a Linux host
//! (over libc), so that guest programs can be built and tested natively; the `sys` module holds the two backends.
//!
//! ```
//! use agentos_guest::process::Command;
//! let mut child = Command::new("true").search_path(true).spawn()?;
//! assert!(child.wait()?.success());
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod env;
pub mod fd;
pub mod fs;
pub mod http;
pub mod process;
pub mod signal;
mod sys;
pub mod system;
pub mod tools;
pub mod tty;
pub mod user;

pub use agentos_abi::{Errno, Signal};

/// The error number of an I/O error, whichever backend made it; `None` for errors that no system call returned.
///
/// ```
/// use agentos_guest::{Errno, errno_of};
/// let error = std::fs::read("/no/such/file").unwrap_err();
/// assert_eq!(errno_of(&error), Some(Errno::ENOENT));
/// ```
#[must_use]
pub fn errno_of(error: &std::io::Error) -> Option<Errno> {
    error.raw_os_error().and_then(sys::errno)
}

/// The I/O error of an error number: what a failing system call would have returned.
///
/// ```
/// use agentos_guest::{Errno, errno_of, io_error};
/// assert_eq!(errno_of(&io_error(Errno::EPIPE)), Some(Errno::EPIPE));
/// ```
#[must_use]
pub fn io_error(errno: Errno) -> std::io::Error {
    std::io::Error::from_raw_os_error(sys::raw_errno(errno))
}

/// The message of an I/O error in the words of strerror(3), capitalised as C programs print it.
///
/// ```
/// use agentos_guest::{Errno, io_error, strerror};
/// assert_eq!(strerror(&io_error(Errno::ENOENT)), "No such file or directory");
/// ```
#[must_use]
pub fn strerror(error: &std::io::Error) -> String {
    let text = match errno_of(error) {
        Some(Errno::ENOTTY) => return "Inappropriate ioctl for device".to_owned(),
        Some(errno) => errno.message().to_owned(),
        None => error.to_string(),
    };
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => text,
    }
}
