//! Callbacks of the sidecar: the operations of a file system driver that runs in the client.
//! Paths are relative to the driver's root and begin with `/`; the sidecar has resolved symbolic links and `..` in them.
//! An error is a [`super::WireError`] with code `kernel` and `errno`; any other one is EIO for the guest.

use serde::{Deserialize, Serialize};

use super::WirePath;
use super::file::FileKind;

/// Attributes of a driver's file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DriverAttr {
    /// Type.
    pub kind: FileKind,
    /// A number that stays the same while the file exists; 0: the sidecar makes one from the path.
    pub ino: u64,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Hard links.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Last access, milliseconds since 1970 UTC.
    pub atime_ms: f64,
    /// Last change of the content.
    pub mtime_ms: f64,
    /// Last change of the inode.
    pub ctime_ms: f64,
    /// Creation.
    pub birthtime_ms: f64,
}

/// An entry of a driver's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriverEntry {
    /// Name, without `/`.
    pub name: WirePath,
    /// Type.
    #[serde(default)]
    pub kind: FileKind,
    /// As [`DriverAttr::ino`].
    #[serde(default)]
    pub ino: u64,
}

/// Entries of a directory, without `.` and `..`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverEntries {
    /// The entries.
    #[serde(default)]
    pub entries: Vec<DriverEntry>,
    /// Where the next page begins; `None`: this was the last.
    #[serde(default)]
    pub next: Option<u64>,
}

/// Bytes of a file; fewer than asked only at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverData {
    /// The bytes.
    #[serde(default, with = "serde_bytes")]
    pub data: Vec<u8>,
}

/// Bytes written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DriverWritten {
    /// How many.
    pub written: u64,
}

/// Target of a symbolic link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverTarget {
    /// As readlink(2) shows it.
    #[serde(default)]
    pub target: WirePath,
}

macro_rules! driver_calls {
    ($($(#[$meta:meta])* $Name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty),* $(,)? })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[serde(rename_all = "camelCase")]
            pub struct $Name {
                /// The driver, as named when it was mounted.
                pub driver_id: u64,
                $($(#[$field_meta])* pub $field: $ty,)*
            }
        )*

        impl super::Callback {
            /// The driver that is meant; `None` for what no driver is asked.
            #[must_use]
            pub const fn driver_id(&self) -> Option<u64> {
                match self {
                    $(super::Callback::$Name(call) => Some(call.driver_id),)*
                    super::Callback::CallTool(_)
                    | super::Callback::AskTool(_)
                    | super::Callback::ReadTextFile(_)
                    | super::Callback::WriteTextFile(_) => None,
                }
            }
        }
    };
}

driver_calls! {
    /// Attributes of a path; a symbolic link is not followed.
    DriverStat {
        /// Path.
        path: WirePath,
    }
    /// Entries of a directory.
    DriverReadDir {
        /// Path.
        path: WirePath,
        /// [`DriverEntries::next`] of the page before; 0 at first.
        #[serde(default)]
        cursor: u64,
        /// Most entries of a page.
        #[serde(default)]
        page: u32,
    }
    /// Reads from a regular file.
    DriverRead {
        /// Path.
        path: WirePath,
        /// First byte.
        offset: u64,
        /// Most bytes, at most [`super::INLINE_LIMIT`].
        len: u32,
    }
    /// Writes to a regular file; extends it.
    DriverWrite {
        /// Path.
        path: WirePath,
        /// First byte; `None`: append.
        #[serde(default)]
        offset: Option<u64>,
        /// At most [`super::INLINE_LIMIT`] bytes.
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
    }
    /// Makes an empty regular file; EEXIST.
    DriverCreate {
        /// Path.
        path: WirePath,
        /// Permission bits.
        mode: u32,
    }
    /// Makes a directory; EEXIST.
    DriverMkdir {
        /// Path.
        path: WirePath,
        /// Permission bits.
        mode: u32,
    }
    /// Removes what is no directory; EISDIR.
    DriverUnlink {
        /// Path.
        path: WirePath,
    }
    /// Removes an empty directory; ENOTDIR, ENOTEMPTY.
    DriverRmdir {
        /// Path.
        path: WirePath,
    }
    /// rename(2).
    DriverRename {
        /// From.
        from: WirePath,
        /// To; replaced if it exists.
        to: WirePath,
        /// EEXIST instead of replacing.
        #[serde(default)]
        no_replace: bool,
    }
    /// A further name; EPERM if the driver has none.
    DriverLink {
        /// The file.
        from: WirePath,
        /// The new name.
        to: WirePath,
    }
    /// Makes a symbolic link; EEXIST.
    DriverSymlink {
        /// Path of the link.
        path: WirePath,
        /// What it holds.
        target: WirePath,
    }
    /// Target of a symbolic link; EINVAL if it is none.
    DriverReadLink {
        /// Path.
        path: WirePath,
    }
    /// Sets the length of a regular file.
    DriverTruncate {
        /// Path.
        path: WirePath,
        /// Bytes.
        size: u64,
    }
    /// Sets the permission bits.
    DriverChmod {
        /// Path.
        path: WirePath,
        /// Permission bits.
        mode: u32,
    }
    /// Sets owner and group.
    DriverChown {
        /// Path.
        path: WirePath,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    }
    /// Sets times.
    DriverUtimes {
        /// Path.
        path: WirePath,
        /// Last access, milliseconds since 1970 UTC; `None`: as it is.
        #[serde(default)]
        atime_ms: Option<f64>,
        /// Last change; `None`: as it is.
        #[serde(default)]
        mtime_ms: Option<f64>,
    }
}
