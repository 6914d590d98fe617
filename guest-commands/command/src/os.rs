//! Byte views of OS strings, the same on the host and in the guest. It converts nothing: names stay what they are.

#[cfg(unix)]
pub use std::os::unix::ffi::{OsStrExt, OsStringExt};
#[cfg(target_os = "wasi")]
pub use std::os::wasi::ffi::{OsStrExt, OsStringExt};

use std::ffi::{OsStr, OsString};

/// An OS string of these bytes.
pub fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// An owned OS string of these bytes.
pub fn os_owned(bytes: Vec<u8>) -> OsString {
    OsString::from_vec(bytes)
}

/// `dir/name`, without doubling a slash that `dir` ends with.
pub fn join(dir: &OsStr, name: &OsStr) -> OsString {
    let mut path = dir.as_bytes().to_vec();
    if !path.is_empty() && path.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend_from_slice(name.as_bytes());
    os_owned(path)
}

/// The last component of a path, trailing slashes ignored; `/` for the root.
pub fn base_name(path: &OsStr) -> &OsStr {
    let bytes = path.as_bytes();
    let end = bytes.iter().rposition(|b| *b != b'/').map_or(0, |i| i + 1);
    if end == 0 {
        return os(if bytes.is_empty() { b"" } else { b"/" });
    }
    let start = bytes[..end].iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1);
    os(&bytes[start..end])
}
