//! The kernel of a VM: processes, file descriptors, pipes, signals, limits and the system calls over them. It knows
//! nothing of wasm and of the wire.

#![forbid(unsafe_code)]

mod clock;
mod cpu;
mod cred;
pub mod description;
pub mod device;
mod error;
mod fd_table;
mod interrupt;
mod kernel;
mod limits;
mod lock;
mod memory;
mod notice;
pub mod permissions;
mod pipe;
pub mod poll;
pub mod process;
mod procfs;
mod rlimits;
mod signals;
mod stream;
pub mod sys;
mod table;
mod tools;
pub mod tty;
mod waiters;
mod warning;
mod watch;

pub use clock::Clock;
pub use cred::Cred;
pub use description::{Description, DirectoryHandle, FileKind};
pub use error::{KernelError, LimitHit};
pub use fd_table::{Fd, FdEntry, FdTable};
pub use interrupt::Interrupt;
pub use kernel::{ChildSpec, HostSpawn, Kernel, KernelConfig, RELEASE, VERSION};
pub use limits::Limits;
pub use lock::RECORD_LOCKS;
pub use memory::{Held, MemoryAccount};
pub use notice::{Notice, Observer};
pub use pipe::{Pipe, PipeReader, PipeWriter};
pub use process::{ExitInfo, Pid, Process, ProcessInfo, ProcessState};
pub use rlimits::{Rlimit, Rlimits};
pub use signals::{Disposition, SignalState};
pub use stream::{HostStream, Interest};
pub use sys::Executable;
pub use tools::{ToolCall, ToolFailure, ToolFuture, ToolRun, Tools};
pub use tty::Terminal;
pub use waiters::Waiters;
pub use warning::Warning;
pub use watch::{Change, ChangeKind, Watch};

pub use agentos_abi::process::WaitStatus;
pub use agentos_abi::{Errno, Signal};

/// The result of a system call.
pub type Result<T> = std::result::Result<T, Errno>;
