//! Structures that cross the boundary, as little-endian bytes at fixed offsets.

macro_rules! layout {
    ($(#[$meta:meta])* $name:ident, $size:ident = $bytes:literal { $($(#[$fmeta:meta])* $field:ident: $ty:ty = $offset:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty,)* }

        #[doc = concat!("Bytes of an encoded [`", stringify!($name), "`].")]
        pub const $size: usize = $bytes;

        impl $name {
            /// The bytes as they lie in guest memory.
            #[must_use]
            pub fn encode(&self) -> [u8; $bytes] {
                let mut out = [0u8; $bytes];
                $(out[$offset..$offset + size_of::<$ty>()].copy_from_slice(&self.$field.to_le_bytes());)*
                out
            }

            /// The structure that these bytes hold.
            #[must_use]
            pub fn decode(bytes: &[u8; $bytes]) -> Self {
                Self { $($field: {
                    let mut raw = [0u8; size_of::<$ty>()];
                    raw.copy_from_slice(&bytes[$offset..$offset + size_of::<$ty>()]);
                    <$ty>::from_le_bytes(raw)
                },)* }
            }
        }
    };
}

layout! {
    /// What `stat` stores. Times are seconds and nanoseconds since 1970 UTC.
    Stat, STAT_SIZE = 128 {
        /// Device: one number per mounted file system.
        dev: u64 = 0,
        /// Inode number.
        ino: u64 = 8,
        /// File type and permission bits, as `st_mode`.
        mode: u32 = 16,
        /// Hard links.
        nlink: u32 = 20,
        /// Owner.
        uid: u32 = 24,
        /// Group.
        gid: u32 = 28,
        /// Device number of a device node.
        rdev: u64 = 32,
        /// Bytes.
        size: u64 = 40,
        /// Blocks of 512 bytes in use.
        blocks: u64 = 48,
        /// Preferred size of a read or write.
        blksize: u32 = 56,
        /// Last access, nanoseconds part.
        atime_nsec: u32 = 60,
        /// Last access.
        atime: i64 = 64,
        /// Last change of the content.
        mtime: i64 = 72,
        /// Last change of the inode.
        ctime: i64 = 80,
        /// Creation.
        btime: i64 = 88,
        /// Nanoseconds part of `mtime`.
        mtime_nsec: u32 = 96,
        /// Nanoseconds part of `ctime`.
        ctime_nsec: u32 = 100,
        /// Nanoseconds part of `btime`.
        btime_nsec: u32 = 104,
    }
}

layout! {
    /// What `waitpid` stores.
    WaitResult, WAIT_RESULT_SIZE = 40 {
        /// The child; 0 when WNOHANG found none.
        pid: i32 = 0,
        /// Encoded [`WaitStatus`](crate::process::WaitStatus).
        status: i32 = 4,
        /// CPU time of the child and its waited-for children in user mode, microseconds.
        utime_us: u64 = 8,
        /// The same in system mode.
        stime_us: u64 = 16,
        /// Largest memory of the child, kilobytes.
        maxrss_kb: u64 = 24,
    }
}

layout! {
    /// What `record_lock` reads, and stores for the commands that ask: `struct flock` of fcntl(2).
    RecordLock, RECORD_LOCK_SIZE = 32 {
        /// `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
        kind: u32 = 0,
        /// `SEEK_SET`, `SEEK_CUR` or `SEEK_END`: what `start` counts from.
        whence: u32 = 4,
        /// First byte.
        start: i64 = 8,
        /// Bytes; 0: to the end, however far that goes; negative: those before `start`.
        len: i64 = 16,
        /// Who holds it, when asked; -1 is an open file description.
        pid: i32 = 24,
    }
}

layout! {
    /// What `statfs` stores.
    StatFs, STATFS_SIZE = 64 {
        /// Bytes of a block.
        bsize: u64 = 0,
        /// Blocks in all.
        blocks: u64 = 8,
        /// Free blocks.
        bfree: u64 = 16,
        /// Inodes in all.
        files: u64 = 24,
        /// Free inodes.
        ffree: u64 = 32,
        /// Longest name.
        namelen: u64 = 40,
        /// 1 when read-only.
        readonly: u64 = 48,
    }
}

layout! {
    /// What `times` stores, microseconds.
    Times, TIMES_SIZE = 32 {
        /// User time of the caller.
        utime_us: u64 = 0,
        /// System time of the caller.
        stime_us: u64 = 8,
        /// User time of its waited-for children.
        cutime_us: u64 = 16,
        /// System time of its waited-for children.
        cstime_us: u64 = 24,
    }
}

layout! {
    /// What `getrusage` stores.
    Rusage, RUSAGE_SIZE = 24 {
        /// User time, microseconds.
        utime_us: u64 = 0,
        /// System time, microseconds.
        stime_us: u64 = 8,
        /// Largest memory, kilobytes; of the largest one among children.
        maxrss_kb: u64 = 16,
    }
}

layout! {
    /// What `sysinfo` stores.
    SysInfo, SYSINFO_SIZE = 64 {
        /// Nanoseconds since the VM was created.
        uptime_ns: u64 = 0,
        /// Memory limit of the VM, bytes.
        mem_total: u64 = 8,
        /// Memory in use, bytes.
        mem_used: u64 = 16,
        /// Live processes.
        procs: u32 = 24,
        /// Processors.
        cpus: u32 = 28,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_round_trip() {
        let stat =
            Stat { ino: 7, mode: 0o100_644, size: u64::MAX, atime: -5, btime_nsec: 9, ..Stat::default() };
        assert_eq!(Stat::decode(&stat.encode()), stat);
        let wait = WaitResult { pid: -1, status: 0x300, utime_us: 1, stime_us: 2, maxrss_kb: 3 };
        assert_eq!(WaitResult::decode(&wait.encode()), wait);
    }
}
