//! Files of a VM. Paths are absolute and normalised; symbolic links resolve inside the VM.
//! Small contents travel inside the messages, larger ones on a stream named in the request.

use serde::{Deserialize, Serialize};

use super::{StreamId, WirePath};

/// Type of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FileKind {
    /// A regular file.
    #[default]
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// Reads a file. At most `inline_limit` bytes come inside the reply; if there are more, all of them come on `stream`, and
/// without a stream the call fails with `limit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadFile {
    /// The VM.
    pub vm_id: String,
    /// The file; symbolic links are followed.
    pub path: WirePath,
    /// First byte.
    #[serde(default)]
    pub offset: u64,
    /// Most bytes; `None`: up to the end.
    #[serde(default)]
    pub length: Option<u64>,
    /// Most bytes inside the reply, at most [`super::INLINE_LIMIT`].
    #[serde(default)]
    pub inline_limit: u32,
    /// Sidecar → client; opened by the client, used only if it must be.
    #[serde(default)]
    pub stream: Option<StreamId>,
}

/// The content, or where it comes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReadFileReply {
    /// The bytes, if they are not on the stream.
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
    /// The bytes come on the stream, which ends with FIN; a later error resets it with the WASI errno as code.
    pub streamed: bool,
    /// Size of the file when it was opened.
    pub size: u64,
}

/// Where the bytes of a write are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WriteSource {
    /// Here, at most [`super::INLINE_LIMIT`] bytes.
    Inline(#[serde(with = "serde_bytes")] Vec<u8>),
    /// On a stream client → sidecar that begins right after the request; the reply comes after its FIN. If the stream is
    /// reset the file keeps what was written so far.
    Stream(StreamId),
}

/// Writes a file; it is made if missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteFile {
    /// The VM.
    pub vm_id: String,
    /// The file; symbolic links are followed.
    pub path: WirePath,
    /// The bytes.
    pub source: WriteSource,
    /// Permission bits of a new file; `None`: 0644.
    #[serde(default)]
    pub mode: Option<u32>,
    /// Make missing parent directories, 0755.
    #[serde(default)]
    pub create_parents: bool,
    /// Write at the end instead of replacing the content.
    #[serde(default)]
    pub append: bool,
    /// EEXIST if there is something.
    #[serde(default)]
    pub exclusive: bool,
    /// Write from here and keep the rest of the file, instead of replacing the content.
    #[serde(default)]
    pub offset: Option<u64>,
}

/// A write is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WriteFileReply {
    /// Bytes written.
    pub written: u64,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireDirEntry {
    /// Name; in a recursive listing the path relative to the start.
    pub name: WirePath,
    /// Type; symbolic links are not followed.
    #[serde(default)]
    pub kind: FileKind,
    /// Bytes; only in a recursive listing.
    #[serde(default)]
    pub size: u64,
}

/// A page of a directory, without `.` and `..`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReaddirReply {
    /// The entries.
    pub entries: Vec<WireDirEntry>,
    /// `cursor` of the next page; `None`: this was the last.
    pub next: Option<u64>,
}

/// End of a recursive listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReaddirRecursiveReply {
    /// Entries sent.
    pub entries: u64,
}

/// Attributes of a file. Times are milliseconds since 1970 UTC, with fractions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VirtualStat {
    /// Type and permission bits, as `st_mode`.
    pub mode: u32,
    /// Type.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Blocks of 512 bytes in use.
    pub blocks: u64,
    /// File system.
    pub dev: u64,
    /// Device number of a device.
    pub rdev: u64,
    /// It is a directory.
    pub is_directory: bool,
    /// It is a symbolic link.
    pub is_symbolic_link: bool,
    /// Last access.
    pub atime_ms: f64,
    /// Last change of the content.
    pub mtime_ms: f64,
    /// Last change of the inode.
    pub ctime_ms: f64,
    /// Creation.
    pub birthtime_ms: f64,
    /// Inode number.
    pub ino: u64,
    /// Hard links.
    pub nlink: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Whether there is something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExistsReply {
    /// There is.
    #[serde(default)]
    pub exists: bool,
}

/// Target of a symbolic link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadLinkReply {
    /// As readlink(2) shows it.
    #[serde(default)]
    pub target: WirePath,
}

macro_rules! file_calls {
    ($($(#[$meta:meta])* $Name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty),* $(,)? })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[serde(rename_all = "camelCase")]
            pub struct $Name {
                /// The VM.
                pub vm_id: String,
                $($(#[$field_meta])* pub $field: $ty,)*
            }
        )*
    };
}

file_calls! {
    /// Makes a directory.
    Mkdir {
        /// Path.
        path: WirePath,
        /// Make parents too, and succeed if it is there already.
        #[serde(default)]
        recursive: bool,
        /// Permission bits; `None`: 0755.
        #[serde(default)]
        mode: Option<u32>,
    }
    /// Lists a directory by pages.
    Readdir {
        /// Path.
        path: WirePath,
        /// [`ReaddirReply::next`] of the page before; 0 at first.
        #[serde(default)]
        cursor: u64,
        /// Most entries; 0: the VM's limit `readdirPage`.
        #[serde(default)]
        page: u32,
    }
    /// Lists a tree, parents before children, as records of [`WireDirEntry`] on `stream`; the reply comes at the end.
    /// Symbolic links are listed, not entered.
    ReaddirRecursive {
        /// Where to begin.
        path: WirePath,
        /// Levels to enter: 1 lists the directory itself; `None`: all.
        #[serde(default)]
        max_depth: Option<u32>,
        /// Names that are neither listed nor entered (`node_modules`, `.git`).
        #[serde(default)]
        exclude: Vec<String>,
        /// Sidecar → client.
        stream: StreamId,
    }
    /// Attributes.
    Stat {
        /// Path.
        path: WirePath,
        /// Follow a symbolic link (stat), or not (lstat).
        #[serde(default)]
        follow: bool,
    }
    /// Whether there is something; links are followed, so a dangling one does not exist.
    Exists {
        /// Path.
        path: WirePath,
    }
    /// rename(2); across mounts a copy and a delete.
    MovePath {
        /// From.
        from: WirePath,
        /// To.
        to: WirePath,
    }
    /// Removes a file, a link or a directory (ENOTEMPTY unless `recursive`).
    Delete {
        /// Path; a symbolic link itself is removed.
        path: WirePath,
        /// With everything in it.
        #[serde(default)]
        recursive: bool,
    }
    /// Makes a symbolic link.
    Symlink {
        /// What it holds.
        target: WirePath,
        /// Path of the link.
        path: WirePath,
    }
    /// Target of a symbolic link; EINVAL if it is none.
    ReadLink {
        /// Path.
        path: WirePath,
    }
    /// Makes a further name of a file.
    Link {
        /// The file.
        from: WirePath,
        /// The new name.
        to: WirePath,
    }
    /// Sets the permission bits.
    Chmod {
        /// Path; followed.
        path: WirePath,
        /// Permission bits, `0o7777`.
        mode: u32,
    }
    /// Sets owner and group.
    Chown {
        /// Path.
        path: WirePath,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Follow a symbolic link.
        #[serde(default)]
        follow: bool,
    }
    /// Sets the length.
    Truncate {
        /// Path; followed.
        path: WirePath,
        /// Bytes.
        size: u64,
    }
    /// Sets times, milliseconds since 1970 UTC.
    Utimes {
        /// Path.
        path: WirePath,
        /// Last access; `None`: as it is.
        #[serde(default)]
        atime_ms: Option<f64>,
        /// Last change; `None`: as it is.
        #[serde(default)]
        mtime_ms: Option<f64>,
        /// Follow a symbolic link.
        #[serde(default)]
        follow: bool,
    }
}
