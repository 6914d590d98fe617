//! Resource limits of a process (POSIX setrlimit()): what it may use, below what the VM allows.
//!
//! Enforced are CPU time, file size, processes, descriptors and memory (address space and data are the same: what is beyond
//! the initial image). The others are kept and inherited: a guest has one stack of a fixed size and leaves no core.

use agentos_abi::process::{
    RLIM_INFINITY, RLIM_NLIMITS, RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE,
    RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_STACK,
};

use crate::memory::MemoryLimit;
use crate::{Errno, Kernel, Limits, Process, Result, Signal};

/// Bytes of a guest's stack.
const STACK_BYTES: u64 = 1 << 20;

/// A soft limit, which counts, and the hard one that it can be raised to. `u64::MAX` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// What counts.
    pub soft: u64,
    /// How far the soft limit can be raised.
    pub hard: u64,
}

/// All resource limits of a process, by the numbers of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimits([Rlimit; RLIM_NLIMITS as usize]);

impl Rlimits {
    /// What the VM allows, with this memory in bytes and this CPU limit in nanoseconds (0 is none).
    pub(crate) fn of(limits: &Limits, memory: u64, cpu_limit_ns: u64) -> Self {
        let both = |value: u64| Rlimit { soft: value, hard: value };
        let mut all = Self([both(RLIM_INFINITY); RLIM_NLIMITS as usize]);
        let cpu = if cpu_limit_ns == 0 { RLIM_INFINITY } else { cpu_limit_ns.div_ceil(1_000_000_000) };
        for (resource, limit) in [
            (RLIMIT_CPU, both(cpu)),
            (RLIMIT_STACK, both(STACK_BYTES)),
            (RLIMIT_CORE, Rlimit { soft: 0, hard: RLIM_INFINITY }),
            (RLIMIT_NPROC, both(u64::from(limits.processes))),
            (RLIMIT_NOFILE, both(u64::from(limits.fds_per_process))),
            (RLIMIT_AS, both(memory)),
        ] {
            all.0[resource as usize] = limit;
        }
        all
    }

    /// The limit of `resource`. EINVAL.
    pub fn get(&self, resource: u32) -> Result<Rlimit> {
        self.0.get(resource as usize).copied().ok_or(Errno::EINVAL)
    }

    /// The same where no more memory is allowed than this.
    pub(crate) fn within(mut self, memory: &MemoryLimit) -> Self {
        let Rlimit { soft, hard } = &mut self.0[RLIMIT_AS as usize];
        (*soft, *hard) = ((*soft).min(memory.bytes), (*hard).min(memory.bytes));
        self
    }

    /// What they leave of the memory beyond the initial image, bytes.
    pub(crate) fn memory(&self) -> u64 {
        [RLIMIT_AS, RLIMIT_DATA].iter().map(|resource| self.0[*resource as usize].soft).min().unwrap_or(0)
    }
}

impl Kernel {
    /// getrlimit(2). EINVAL.
    pub fn getrlimit(&self, process: &Process, resource: u32) -> Result<Rlimit> {
        process.rlimits().get(resource)
    }

    /// setrlimit(2). EINVAL; EPERM where the hard limit would be raised, by the superuser beyond what the VM allows.
    pub fn setrlimit(&self, process: &Process, resource: u32, to: Rlimit) -> Result<()> {
        let old = self.getrlimit(process, resource)?;
        if to.soft > to.hard {
            return Err(Errno::EINVAL);
        }
        let most = match process.cred().uid {
            0 => {
                let memory = process.vm_memory_limit().bytes;
                Rlimits::of(&self.limits, memory, process.host_cpu_limit()).get(resource)?.hard
            }
            _ => old.hard,
        };
        if to.hard > most {
            return Err(Errno::EPERM);
        }
        process.change_rlimits(|all| all.0[resource as usize] = to);
        match resource {
            RLIMIT_NOFILE => process.fds.lock().set_limit(u32::try_from(to.soft).unwrap_or(u32::MAX)),
            RLIMIT_CPU => process.set_cpu_limits(to),
            _ => {}
        }
        Ok(())
    }
}

impl Process {
    /// How much of `len` bytes at `offset` of a file the process may write. EFBIG and SIGXFSZ when none.
    pub(crate) fn writable_at(&self, offset: u64, len: usize) -> Result<usize> {
        let limit = self.rlimit_now(RLIMIT_FSIZE);
        if limit == RLIM_INFINITY || len == 0 {
            return Ok(len);
        }
        match limit.checked_sub(offset) {
            Some(room) if room > 0 => Ok(usize::try_from(room).unwrap_or(usize::MAX).min(len)),
            _ => {
                self.raise(Signal::SIGXFSZ);
                Err(Errno::EFBIG)
            }
        }
    }
}
