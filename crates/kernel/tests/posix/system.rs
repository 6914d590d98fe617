//! The system calls that cases use, as a seam between our kernel and that of Linux. It knows nothing of the language.

use agentos_vfs::{Attr, Errno, NewKind, RenameFlags, SetTime};

pub type Result<T> = std::result::Result<T, Errno>;

/// Whose rights a call has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

impl Actor {
    /// The user of a VM, who owns the root directory of every case.
    pub const fn user() -> Self {
        Actor { uid: 1000, gid: 1000, groups: Vec::new() }
    }
}

/// A position to seek from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Set,
    Current,
    End,
}

/// What flock(2) is asked for; it never waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    Shared,
    Exclusive,
    Unlock,
}

/// How fcntl(2) is asked about a record lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Which lock is in the way.
    Get,
    /// Without waiting.
    Set,
    /// Without waiting, for the open file description.
    OfDescription,
    Wait,
}

/// A record lock as fcntl(2) is asked for it.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Exclusive, shared, or none.
    pub kind: Option<bool>,
    pub start: i64,
    pub len: i64,
    pub from: From,
}

/// What became of a record lock.
#[derive(Clone, Debug)]
pub enum Locked {
    Done,
    /// The call has not returned yet.
    Waits,
    /// This is in the way, and who holds it.
    By {
        exclusive: bool,
        start: i64,
        len: i64,
        holder: String,
    },
}

/// What an operation is about: a path, or an open file by its name in the case.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A path; a link at its end is followed.
    Path(&'a [u8]),
    /// A path; a link at its end is meant itself.
    Link(&'a [u8]),
    /// An open file.
    Open(&'a str),
}

/// Flags of open(2), as `agentos_abi::fd` numbers them.
pub type Flags = u32;

/// Calls of a process that may change its user, and of those that it makes. The process of a case is called `first`.
pub trait System {
    /// Everything after this is done as `actor`.
    fn become_actor(&mut self, actor: &Actor);
    fn umask(&mut self, mask: u32);
    fn chdir(&mut self, path: &[u8]) -> Result<()>;
    /// To the root directory of the case.
    fn go_home(&mut self);

    fn open(&mut self, handle: &str, path: &[u8], flags: Flags, mode: u32) -> Result<()>;
    fn dup(&mut self, from: &str, to: &str) -> Result<()>;
    fn close(&mut self, handle: &str) -> Result<()>;
    fn read(&mut self, handle: &str, len: usize) -> Result<Vec<u8>>;
    fn write(&mut self, handle: &str, data: &[u8]) -> Result<usize>;
    fn pread(&mut self, handle: &str, len: usize, offset: u64) -> Result<Vec<u8>>;
    fn pwrite(&mut self, handle: &str, data: &[u8], offset: u64) -> Result<usize>;
    fn seek(&mut self, handle: &str, delta: i64, from: From) -> Result<u64>;
    fn set_append(&mut self, handle: &str, on: bool) -> Result<()>;
    fn fsync(&mut self, handle: &str) -> Result<()>;
    fn flock(&mut self, handle: &str, lock: Lock) -> Result<()>;
    fn record(&mut self, handle: &str, asked: Asked, lock: Record) -> Result<Locked>;

    /// Makes a process that has open what this one has.
    fn fork(&mut self, name: &str);
    /// Runs a command in a process that this one made; `waits` if the command waits.
    fn within(&mut self, name: &str, command: &[Vec<u8>]) -> Result<String>;
    /// What became of a command that waited.
    fn answer(&mut self, name: &str) -> Result<String>;
    /// A process that this one made ends.
    fn end(&mut self, name: &str);
    /// This process becomes another program.
    fn exec(&mut self);
    fn close_on_exec(&mut self, handle: &str);

    fn allocate(&mut self, handle: &str, offset: u64, len: u64) -> Result<()>;
    /// The entry of an open directory at this cookie, which is 0 at first, and the cookie of the next one; `None` at the
    /// end. With `.` and `..`.
    fn entry(&mut self, handle: &str, cookie: u64) -> Result<Option<(Vec<u8>, u64)>>;
    /// Names in the order the system gives them, without `.` and `..`.
    fn list(&mut self, handle: &str) -> Result<Vec<Vec<u8>>>;

    fn make(&mut self, path: &[u8], kind: NewKind, mode: u32) -> Result<()>;
    fn readlink(&mut self, path: &[u8]) -> Result<Vec<u8>>;
    fn link(&mut self, from: &[u8], follow: bool, to: &[u8]) -> Result<()>;
    fn unlink(&mut self, path: &[u8]) -> Result<()>;
    fn rmdir(&mut self, path: &[u8]) -> Result<()>;
    fn rename(&mut self, from: &[u8], to: &[u8], flags: RenameFlags) -> Result<()>;

    /// The device and the attributes.
    fn stat(&mut self, target: Target<'_>) -> Result<(u64, Attr)>;
    fn chmod(&mut self, target: Target<'_>, mode: u32) -> Result<()>;
    fn chown(&mut self, target: Target<'_>, uid: Option<u32>, gid: Option<u32>) -> Result<()>;
    fn utimens(&mut self, target: Target<'_>, atime: Option<SetTime>, mtime: Option<SetTime>) -> Result<()>;
    fn truncate(&mut self, target: Target<'_>, size: u64) -> Result<()>;
    /// `mode` is a sum of `R_OK`, `W_OK`, `X_OK`.
    fn access(&mut self, path: &[u8], mode: u32) -> Result<()>;
    /// The size of a block.
    fn statfs(&mut self, path: &[u8]) -> Result<u64>;
    /// Mounts an empty file system in memory, read-only if asked. As the host, whoever the actor is.
    fn mount(&mut self, path: &[u8], read_only: bool);
}
