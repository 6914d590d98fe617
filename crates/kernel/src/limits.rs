//! What a VM may use. Defaults are those of the client API.

use agentos_vfs::PathLimits;

/// The limits of a VM; every table and buffer that a guest can grow is bounded by one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of one process beyond its initial image, bytes.
    pub memory_per_process: u64,
    /// The same for the runtime of an agent.
    pub agent_memory: u64,
    /// Memory of all processes, bytes.
    pub memory: u64,
    /// Live and zombie processes.
    pub processes: u32,
    /// Open descriptors of one process.
    pub fds_per_process: u32,
    /// Pipes.
    pub pipes: u32,
    /// Terminals.
    pub ptys: u32,
    /// Bytes that a pipe holds.
    pub pipe_bytes: usize,
    /// Bytes of arguments and environment of a program.
    pub argv_env_bytes: usize,
    /// Bytes in the root file system.
    pub fs_bytes: u64,
    /// Inodes in the root file system.
    pub fs_inodes: u64,
    /// CPU time of one process, milliseconds; 0 is none.
    pub cpu_time_ms: u64,
    /// CPU time of all processes together, milliseconds; 0 is none.
    pub vm_cpu_time_ms: u64,
    /// Lengths of paths and names, and links in one path.
    pub paths: PathLimits,
    /// Watches of paths.
    pub watches: u32,
    /// Bytes of changes that wait for one watcher.
    pub watch_queue_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_per_process: 256 << 20,
            agent_memory: 1 << 30,
            memory: 2 << 30,
            processes: 1024,
            fds_per_process: 1024,
            pipes: 1024,
            ptys: 1024,
            pipe_bytes: 64 << 10,
            argv_env_bytes: 2 << 20,
            fs_bytes: 1 << 30,
            fs_inodes: 262_144,
            cpu_time_ms: 0,
            vm_cpu_time_ms: 0,
            paths: PathLimits::default(),
            watches: 64,
            watch_queue_bytes: 1 << 20,
        }
    }
}

/// POSIX: writes of up to this many bytes to a pipe are atomic.
pub(crate) const PIPE_BUF: usize = 4096;
