//! The inodes of `/proc` and their numbers.

use agentos_vfs::{FileType, Ino};

use crate::{Errno, Pid, Result};

/// A file about the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    CpuInfo,
    FileSystems,
    LoadAvg,
    MemInfo,
    Mounts,
    Stat,
    Uptime,
    Version,
}

impl Machine {
    pub(super) const ALL: [Machine; 8] = [
        Machine::CpuInfo,
        Machine::FileSystems,
        Machine::LoadAvg,
        Machine::MemInfo,
        Machine::Mounts,
        Machine::Stat,
        Machine::Uptime,
        Machine::Version,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Machine::CpuInfo => "cpuinfo",
            Machine::FileSystems => "filesystems",
            Machine::LoadAvg => "loadavg",
            Machine::MemInfo => "meminfo",
            Machine::Mounts => "mounts",
            Machine::Stat => "stat",
            Machine::Uptime => "uptime",
            Machine::Version => "version",
        }
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
    Mounts,
    Root,
    Stat,
    Statm,
    Status,
}

impl OfProcess {
    pub(super) const ALL: [OfProcess; 11] = [
        OfProcess::Cmdline,
        OfProcess::Comm,
        OfProcess::Cwd,
        OfProcess::Environ,
        OfProcess::Exe,
        OfProcess::Fd,
        OfProcess::Mounts,
        OfProcess::Root,
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
            OfProcess::Mounts => "mounts",
            OfProcess::Root => "root",
            OfProcess::Stat => "stat",
            OfProcess::Statm => "statm",
            OfProcess::Status => "status",
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
    Process(Pid),
    OfProcess(Pid, OfProcess),
    Descriptor(Pid, u32),
}

const ROOT: u64 = 1;
const ITSELF: u64 = 2;
const MACHINE: u64 = 16;
/// A pid is at most 22 bits; above it in the number, below it what of the process.
const SHIFT: u32 = 32;
const FILE: u64 = 1 << 30;
const DESCRIPTOR: u64 = 1 << 31;

impl Node {
    pub(super) fn ino(self) -> Ino {
        let of = |pid: Pid| u64::from(pid.0) << SHIFT;
        match self {
            Node::Root => ROOT,
            Node::Itself => ITSELF,
            Node::Machine(machine) => MACHINE + machine as u64,
            Node::Process(pid) => of(pid),
            Node::OfProcess(pid, file) => of(pid) | FILE | file as u64,
            Node::Descriptor(pid, fd) => of(pid) | DESCRIPTOR | u64::from(fd),
        }
    }

    pub(super) fn of(ino: Ino) -> Result<Node> {
        let pid = Pid((ino >> SHIFT) as u32);
        let low = ino & (u64::from(u32::MAX));
        if pid.0 == 0 {
            return match low {
                ROOT => Ok(Node::Root),
                ITSELF => Ok(Node::Itself),
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
            Ok(Node::Descriptor(pid, (low & !DESCRIPTOR) as u32))
        } else {
            let index = usize::try_from(low & !FILE).map_err(|_| Errno::ESTALE)?;
            OfProcess::ALL.get(index).map(|f| Node::OfProcess(pid, *f)).ok_or(Errno::ESTALE)
        }
    }

    pub(super) fn pid(self) -> Option<Pid> {
        match self {
            Node::Process(pid) | Node::OfProcess(pid, _) | Node::Descriptor(pid, _) => Some(pid),
            _ => None,
        }
    }

    pub(super) fn parent(self) -> Node {
        match self {
            Node::OfProcess(pid, _) => Node::Process(pid),
            Node::Descriptor(pid, _) => Node::OfProcess(pid, OfProcess::Fd),
            _ => Node::Root,
        }
    }

    pub(super) fn file_type(self) -> FileType {
        match self {
            Node::Root | Node::Process(_) | Node::OfProcess(_, OfProcess::Fd) => FileType::Directory,
            Node::Itself
            | Node::Descriptor(..)
            | Node::OfProcess(_, OfProcess::Cwd | OfProcess::Exe | OfProcess::Root) => FileType::Symlink,
            _ => FileType::Regular,
        }
    }

    pub(super) fn perm(self) -> u32 {
        match self {
            Node::OfProcess(_, OfProcess::Fd) => 0o500,
            Node::OfProcess(_, OfProcess::Environ) => 0o400,
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
