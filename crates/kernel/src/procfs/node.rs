//! The inodes of `/proc` and their numbers.

use agentos_vfs::{FileType, Ino};

use crate::{Errno, Pid, Result};

/// A file about the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    CpuInfo,
    FileSystems,
    LoadAvg,
    Locks,
    MemInfo,
    Mounts,
    Stat,
    Swaps,
    Uptime,
    Version,
}

impl Machine {
    pub(super) const ALL: [Machine; 10] = [
        Machine::CpuInfo,
        Machine::FileSystems,
        Machine::LoadAvg,
        Machine::Locks,
        Machine::MemInfo,
        Machine::Mounts,
        Machine::Stat,
        Machine::Swaps,
        Machine::Uptime,
        Machine::Version,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Machine::CpuInfo => "cpuinfo",
            Machine::FileSystems => "filesystems",
            Machine::LoadAvg => "loadavg",
            Machine::Locks => "locks",
            Machine::MemInfo => "meminfo",
            Machine::Mounts => "mounts",
            Machine::Stat => "stat",
            Machine::Swaps => "swaps",
            Machine::Uptime => "uptime",
            Machine::Version => "version",
        }
    }
}

/// A file of `/proc/sys`, or a directory there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sys {
    Root,
    Kernel,
    Hostname,
    OsRelease,
    OsType,
    PidMax,
    Version,
}

impl Sys {
    pub(super) const ALL: [Sys; 7] =
        [Sys::Root, Sys::Kernel, Sys::Hostname, Sys::OsRelease, Sys::OsType, Sys::PidMax, Sys::Version];

    /// Its name, and the directory that it is in; that of the root is `/proc`.
    pub(super) fn place(self) -> (&'static str, Option<Sys>) {
        match self {
            Sys::Root => ("sys", None),
            Sys::Kernel => ("kernel", Some(Sys::Root)),
            Sys::Hostname => ("hostname", Some(Sys::Kernel)),
            Sys::OsRelease => ("osrelease", Some(Sys::Kernel)),
            Sys::OsType => ("ostype", Some(Sys::Kernel)),
            Sys::PidMax => ("pid_max", Some(Sys::Kernel)),
            Sys::Version => ("version", Some(Sys::Kernel)),
        }
    }

    pub(super) fn is_directory(self) -> bool {
        matches!(self, Sys::Root | Sys::Kernel)
    }
}

/// A file about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfProcess {
    Cmdline,
    Comm,
    Cwd,
    Environ,
    Exe,
    Fd,
    FdInfo,
    Io,
    Limits,
    Maps,
    MountInfo,
    Mounts,
    Root,
    Stat,
    Statm,
    Status,
    Task,
}

impl OfProcess {
    pub(super) const ALL: [OfProcess; 17] = [
        OfProcess::Cmdline,
        OfProcess::Comm,
        OfProcess::Cwd,
        OfProcess::Environ,
        OfProcess::Exe,
        OfProcess::Fd,
        OfProcess::FdInfo,
        OfProcess::Io,
        OfProcess::Limits,
        OfProcess::Maps,
        OfProcess::MountInfo,
        OfProcess::Mounts,
        OfProcess::Root,
        OfProcess::Stat,
        OfProcess::Statm,
        OfProcess::Status,
        OfProcess::Task,
    ];

    /// Those that a thread has too.
    pub(super) const OF_THREAD: [OfProcess; 6] = [
        OfProcess::Cmdline,
        OfProcess::Comm,
        OfProcess::Limits,
        OfProcess::Stat,
        OfProcess::Statm,
        OfProcess::Status,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            OfProcess::Cmdline => "cmdline",
            OfProcess::Comm => "comm",
            OfProcess::Cwd => "cwd",
            OfProcess::Environ => "environ",
            OfProcess::Exe => "exe",
            OfProcess::Fd => "fd",
            OfProcess::FdInfo => "fdinfo",
            OfProcess::Io => "io",
            OfProcess::Limits => "limits",
            OfProcess::Maps => "maps",
            OfProcess::MountInfo => "mountinfo",
            OfProcess::Mounts => "mounts",
            OfProcess::Root => "root",
            OfProcess::Stat => "stat",
            OfProcess::Statm => "statm",
            OfProcess::Status => "status",
            OfProcess::Task => "task",
        }
    }
}

/// An inode of `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Root,
    /// `self`, a link to the caller.
    Itself,
    Machine(Machine),
    Sys(Sys),
    Process(Pid),
    OfProcess(Pid, OfProcess),
    /// The one thread of a process, in `task`.
    Thread(Pid),
    Descriptor(Pid, u32),
    DescriptorInfo(Pid, u32),
}

const ROOT: u64 = 1;
const ITSELF: u64 = 2;
const MACHINE: u64 = 16;
const SYS: u64 = 64;
/// A pid is at most 22 bits; above it in the number, below it what of the process.
const SHIFT: u32 = 32;
const THREAD: u64 = 1 << 29;
const FILE: u64 = 1 << 30;
const DESCRIPTOR: u64 = 1 << 31;
/// With [`DESCRIPTOR`].
const INFO: u64 = 1 << 30;
/// Descriptors have smaller numbers.
pub(super) const DESCRIPTORS: u32 = 1 << 30;

impl Node {
    pub(super) fn ino(self) -> Ino {
        let of = |pid: Pid| u64::from(pid.0) << SHIFT;
        match self {
            Node::Root => ROOT,
            Node::Itself => ITSELF,
            Node::Machine(machine) => MACHINE + machine as u64,
            Node::Sys(sys) => SYS + sys as u64,
            Node::Process(pid) => of(pid),
            Node::Thread(pid) => of(pid) | THREAD,
            Node::OfProcess(pid, file) => of(pid) | FILE | file as u64,
            Node::Descriptor(pid, fd) => of(pid) | DESCRIPTOR | u64::from(fd),
            Node::DescriptorInfo(pid, fd) => of(pid) | DESCRIPTOR | INFO | u64::from(fd),
        }
    }

    pub(super) fn of(ino: Ino) -> Result<Node> {
        let pid = Pid((ino >> SHIFT) as u32);
        let low = ino & (u64::from(u32::MAX));
        if pid.0 == 0 {
            return match low {
                ROOT => Ok(Node::Root),
                ITSELF => Ok(Node::Itself),
                n if n >= SYS => {
                    let index = usize::try_from(n - SYS).map_err(|_| Errno::ESTALE)?;
                    Sys::ALL.get(index).map(|s| Node::Sys(*s)).ok_or(Errno::ESTALE)
                }
                n => {
                    let index =
                        n.checked_sub(MACHINE).and_then(|i| usize::try_from(i).ok()).ok_or(Errno::ESTALE)?;
                    Machine::ALL.get(index).map(|m| Node::Machine(*m)).ok_or(Errno::ESTALE)
                }
            };
        }
        if low == 0 {
            Ok(Node::Process(pid))
        } else if low & DESCRIPTOR != 0 {
            let fd = (low & !(DESCRIPTOR | INFO)) as u32;
            Ok(if low & INFO != 0 { Node::DescriptorInfo(pid, fd) } else { Node::Descriptor(pid, fd) })
        } else if low == THREAD {
            Ok(Node::Thread(pid))
        } else {
            let index = usize::try_from(low & !FILE).map_err(|_| Errno::ESTALE)?;
            OfProcess::ALL.get(index).map(|f| Node::OfProcess(pid, *f)).ok_or(Errno::ESTALE)
        }
    }

    pub(super) fn pid(self) -> Option<Pid> {
        match self {
            Node::Process(pid)
            | Node::OfProcess(pid, _)
            | Node::Thread(pid)
            | Node::Descriptor(pid, _)
            | Node::DescriptorInfo(pid, _) => Some(pid),
            _ => None,
        }
    }

    pub(super) fn parent(self) -> Node {
        match self {
            Node::OfProcess(pid, _) => Node::Process(pid),
            Node::Thread(pid) => Node::OfProcess(pid, OfProcess::Task),
            Node::Descriptor(pid, _) => Node::OfProcess(pid, OfProcess::Fd),
            Node::DescriptorInfo(pid, _) => Node::OfProcess(pid, OfProcess::FdInfo),
            Node::Sys(sys) => sys.place().1.map_or(Node::Root, Node::Sys),
            _ => Node::Root,
        }
    }

    pub(super) fn file_type(self) -> FileType {
        match self {
            Node::Root
            | Node::Process(_)
            | Node::Thread(_)
            | Node::OfProcess(_, OfProcess::Fd | OfProcess::FdInfo | OfProcess::Task) => FileType::Directory,
            Node::Sys(sys) if sys.is_directory() => FileType::Directory,
            Node::Itself
            | Node::Descriptor(..)
            | Node::OfProcess(_, OfProcess::Cwd | OfProcess::Exe | OfProcess::Root) => FileType::Symlink,
            _ => FileType::Regular,
        }
    }

    pub(super) fn perm(self) -> u32 {
        match self {
            Node::OfProcess(_, OfProcess::Fd | OfProcess::FdInfo) => 0o500,
            Node::OfProcess(_, OfProcess::Environ | OfProcess::Io) | Node::DescriptorInfo(..) => 0o400,
            node if node.file_type() == FileType::Symlink => 0o777,
            node if node.file_type() == FileType::Directory => 0o555,
            _ => 0o444,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_nodes_agree() {
        let pid = Pid(4_194_303);
        let mut nodes = vec![Node::Root, Node::Itself, Node::Process(pid), Node::Descriptor(pid, 0)];
        nodes.extend([Node::Thread(pid), Node::DescriptorInfo(pid, 0), Node::DescriptorInfo(pid, 7)]);
        nodes.extend(Sys::ALL.map(Node::Sys));
        nodes.push(Node::Descriptor(Pid(1), 1_000_000));
        nodes.extend(Machine::ALL.map(Node::Machine));
        nodes.extend(OfProcess::ALL.map(|f| Node::OfProcess(pid, f)));
        let mut seen = std::collections::HashSet::new();
        for node in nodes {
            assert_eq!(Node::of(node.ino()), Ok(node));
            assert!(seen.insert(node.ino()), "{node:?}");
        }
        assert_eq!(Node::of(9999), Err(Errno::ESTALE));
    }
}
