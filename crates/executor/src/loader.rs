//! From a path to a program: PATH search, `#!` scripts, WebAssembly, and the errors of exec(2).

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use agentos_kernel::permissions::{Denial, Operation};
use agentos_kernel::process::Image;
use agentos_kernel::sys::Executable;
use agentos_kernel::{Description, Errno, ExitInfo, Kernel, KernelError, Process};
use agentos_vfs::{Location, PATH_MAX, Timespec};
use parking_lot::Mutex;

use crate::executor::{Executor, Slot};
use crate::outbound::Outbound;
use crate::program::{Program, ProgramError};
use crate::run;
use crate::runtime::VmShare;

/// Largest module that a guest may bring.
const MODULE_BYTES: u64 = 128 << 20;
/// Interpreters of interpreters.
const SCRIPT_DEPTH: u32 = 4;
/// Modules by file that a VM remembers.
const KNOWN_FILES: usize = 1024;
/// Bytes of a `#!` line, as Linux has it.
const SHEBANG: usize = 256;
/// Directories of PATH that are looked into; beyond them E2BIG.
const PATH_ENTRIES: usize = 1024;
/// PATH of an environment that has none, as execvp(3).
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Why a program cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no such program: a shell's 127.
    #[error("{program}: command not found")]
    NotFound {
        /// As it was asked for.
        program: String,
    },
    /// It exists but cannot be executed: a shell's 126.
    #[error("{program}: {errno}")]
    NotExecutable {
        /// As it was asked for.
        program: String,
        /// EACCES, ENOEXEC, EISDIR, ELOOP.
        errno: Errno,
    },
    /// Its module is refused: a shell's 126.
    #[error("{program}: cannot execute: {source}")]
    BadModule {
        /// As it was asked for.
        program: String,
        /// Why.
        source: ProgramError,
    },
    /// A limit was hit, or the VM is being disposed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

impl LoadError {
    /// The errno that a guest sees.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self {
            Self::NotFound { .. } => Errno::ENOENT,
            Self::NotExecutable { errno, .. } => *errno,
            Self::BadModule { source: ProgramError::TooMany { .. }, .. } => Errno::EAGAIN,
            Self::BadModule { .. } => Errno::ENOEXEC,
            Self::Kernel(error) => error.errno(),
        }
    }

    /// The status that a shell reports: 127 not found, 126 not executable, 1 for a limit.
    #[must_use]
    pub fn shell_status(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } | Self::BadModule { .. } => 126,
            Self::Kernel(_) => 1,
        }
    }
}

/// What identifies the content of a file without reading it.
type FileKey = (u64, u64, u64, Timespec, Timespec);

/// A VM as the executor sees it.
pub struct Machine {
    /// Its kernel.
    pub kernel: Arc<Kernel>,
    /// The executor of this process.
    pub executor: Arc<Executor>,
    /// Its share of the processors.
    pub share: Arc<VmShare>,
    /// What sends the requests of guests out.
    pub(crate) outbound: Arc<dyn Outbound>,
    compiling: tokio::sync::Semaphore,
    /// Programs by file, as long as somebody keeps them loaded.
    known: Mutex<HashMap<FileKey, Weak<Program>>>,
}

/// A resolved program with what it runs.
pub(crate) struct Loaded {
    pub(crate) program: Arc<Program>,
    pub(crate) image: Image,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Path, or name when `search`.
    pub path: Vec<u8>,
    /// Look a name without slash up in PATH.
    pub search: bool,
    /// Arguments, the name first.
    pub argv: Vec<Vec<u8>>,
    /// Environment, `NAME=value`.
    pub env: Arc<Vec<Vec<u8>>>,
}

/// A program that the host starts.
pub struct Launch {
    /// What.
    pub invocation: Invocation,
    /// Where.
    pub cwd: Location,
    /// Standard input, output and error.
    pub stdio: [Arc<Description>; 3],
    /// CPU limit, nanoseconds; 0 is the VM's.
    pub cpu_limit_ns: u64,
    /// It is the runtime of an agent, which has a limit of memory of its own.
    pub agent: bool,
    /// Standard input is a terminal (see [`agentos_kernel::Terminal`]) and becomes the controlling one.
    pub controlling: bool,
}

/// On whose behalf something is looked up.
pub(crate) struct Asker<'a> {
    pub(crate) process: Option<&'a Process>,
    pub(crate) cwd: &'a Location,
    /// What the permission tree calls it.
    pub(crate) operation: Operation,
}

/// Why a program is not there for somebody.
enum NoProgram {
    Errno(Errno),
    Denied(Denial),
}

impl From<Errno> for NoProgram {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl NoProgram {
    fn error(self, otherwise: impl FnOnce(Errno) -> LoadError) -> LoadError {
        match self {
            Self::Errno(errno) => otherwise(errno),
            Self::Denied(denial) => KernelError::Denied(Box::new(denial)).into(),
        }
    }
}

impl Machine {
    /// A machine over this kernel, whose guests send requests by this.
    #[must_use]
    pub fn new(kernel: Arc<Kernel>, executor: Arc<Executor>, outbound: Arc<dyn Outbound>) -> Arc<Self> {
        let share = executor.runtime().share();
        Arc::new(Self {
            kernel,
            executor,
            share,
            outbound,
            compiling: tokio::sync::Semaphore::new(1),
            known: Mutex::default(),
        })
    }

    /// Starts a program for the host, in a session of its own. All of it, the look-up too, happens on the guest runtime,
    /// so that a short program costs one hand-over in all.
    ///
    /// `started` is told the process or why there is none; `ended`, only after a start, how it ended. Both run on a
    /// guest thread and must not block.
    pub fn launch(
        self: &Arc<Self>,
        launch: Launch,
        started: impl FnOnce(Result<&Arc<Process>, LoadError>) + Send + 'static,
        ended: impl FnOnce(&Arc<Process>, ExitInfo) + Send + 'static,
    ) {
        let machine = Arc::clone(self);
        let task = async move {
            match machine.begin(launch).await {
                Err(error) => started(Err(error)),
                Ok((process, program, slot)) => {
                    started(Ok(&process));
                    run::run_to_end(&machine, &process, program, slot).await;
                    if let Some(info) = process.exit_info() {
                        ended(&process, info);
                    }
                }
            }
        };
        self.executor.runtime().spawn(&self.share, task);
    }

    async fn begin(&self, launch: Launch) -> Result<(Arc<Process>, Arc<Program>, Slot), LoadError> {
        let Launch { invocation, cwd, stdio, cpu_limit_ns, agent, controlling } = launch;
        let asker = Asker { process: None, cwd: &cwd, operation: Operation::Spawn };
        let loaded = self.resolve(&asker, invocation).await?;
        let slot = self.executor.take_slot().ok_or_else(|| self.slots_used_up())?;
        let process = self.kernel.host_spawn(agentos_kernel::HostSpawn {
            image: loaded.image,
            cwd,
            stdio,
            cpu_limit_ns,
            agent,
            controlling,
        })?;
        Ok((process, loaded.program, slot))
    }

    fn slots_used_up(&self) -> KernelError {
        let (used, limit) = self.executor.slot_usage();
        KernelError::Limit(agentos_kernel::LimitHit {
            name: "sidecarProcesses",
            configured: u64::from(limit),
            used: u64::from(used),
            requested: 1,
        })
    }

    /// Finds the program of an invocation and what its arguments become.
    pub(crate) async fn resolve(&self, asker: &Asker<'_>, mut what: Invocation) -> Result<Loaded, LoadError> {
        let size = |list: &[Vec<u8>]| list.iter().map(|s| s.len() + 1).sum::<usize>();
        let used = size(&what.argv) + size(&what.env);
        let limit = self.kernel.limits.argv_env_bytes;
        let name = String::from_utf8_lossy(&what.path).into_owned();
        if used > limit {
            return Err(LoadError::Kernel(KernelError::Limit(agentos_kernel::LimitHit {
                name: "argvEnvBytes",
                configured: limit as u64,
                used: 0,
                requested: used as u64,
            })));
        }
        self.kernel.argv_warning.uses(used as u64);
        let refused = |errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => LoadError::NotFound { program: name.clone() },
            errno => LoadError::NotExecutable { program: name.clone(), errno },
        };
        let (mut path, mut file) = self.find(asker, &what).await.map_err(|e| e.error(refused))?;
        for _ in 0..SCRIPT_DEPTH {
            if let Some(program) = self.program_of(&file).await.map_err(|error| match error {
                ModuleError::Errno(errno) => refused(errno),
                ModuleError::Program(source) => LoadError::BadModule { program: name.clone(), source },
            })? {
                let image = Image {
                    exe: file.path.take().unwrap_or(path).into(),
                    argv: Arc::new(what.argv),
                    env: what.env,
                };
                return Ok(Loaded { program, image });
            }
            let mut head = [0; SHEBANG];
            let n = file.file.read_at(&mut head, 0).await.map_err(refused)?;
            let (interpreter, argument) = shebang(&head[..n]).ok_or_else(|| refused(Errno::ENOEXEC))?;
            let mut argv = vec![interpreter.to_vec()];
            argv.extend(argument.map(<[u8]>::to_vec));
            argv.push(path);
            argv.extend(what.argv.into_iter().skip(1));
            what = Invocation { path: interpreter.to_vec(), search: false, argv, env: what.env };
            // A script whose interpreter is missing is a bad interpreter, not a missing command.
            let bad = |errno| LoadError::NotExecutable {
                program: format!("{name}: {}: bad interpreter", String::from_utf8_lossy(&what.path)),
                errno,
            };
            (path, file) = self.find(asker, &what).await.map_err(|e| e.error(bad))?;
        }
        Err(refused(Errno::ELOOP))
    }

    /// The file of a program: by path, or through PATH.
    async fn find(&self, asker: &Asker<'_>, what: &Invocation) -> Result<(Vec<u8>, Executable), NoProgram> {
        if !what.search || what.path.contains(&b'/') {
            let file = self.kernel.executable(asker.process, asker.cwd, &what.path).await?;
            self.kernel.may_start(asker.operation, &file).map_err(NoProgram::Denied)?;
            return Ok((what.path.clone(), file));
        }
        if what.path.is_empty() {
            return Err(Errno::ENOENT.into());
        }
        if what.path.len() > PATH_MAX {
            return Err(Errno::ENAMETOOLONG.into());
        }
        let search = what.env.iter().find_map(|v| v.strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH);
        let mut denied = None;
        for (n, directory) in search.split(|b| *b == b':').enumerate() {
            if n >= PATH_ENTRIES {
                return Err(Errno::E2BIG.into());
            }
            if n % 32 == 31 {
                // Local file systems answer at once: without this nothing could end or preempt a long search.
                tokio::task::yield_now().await;
            }
            if directory.len() + what.path.len() >= PATH_MAX {
                continue;
            }
            let mut path = if directory.is_empty() { b".".to_vec() } else { directory.to_vec() };
            path.push(b'/');
            path.extend_from_slice(&what.path);
            match self.kernel.executable(asker.process, asker.cwd, &path).await {
                Ok(file) => match self.kernel.may_start(asker.operation, &file) {
                    Ok(()) => return Ok((path, file)),
                    Err(denial) => denied = denied.or(Some(NoProgram::Denied(denial))),
                },
                Err(errno @ (Errno::EACCES | Errno::EISDIR)) => denied = denied.or(Some(errno.into())),
                Err(_) => {}
            }
        }
        Err(denied.unwrap_or(NoProgram::Errno(Errno::ENOENT)))
    }

    /// The program of a file; `None` if it is not WebAssembly.
    async fn program_of(&self, file: &Executable) -> Result<Option<Arc<Program>>, ModuleError> {
        let content = file.location.mount.fs.content(file.location.ino);
        if let Some(shared) = content.as_ref().and_then(agentos_vfs::FileContent::as_shared)
            && let Some(program) = self.executor.bundled(shared)
        {
            return Ok(Some(program));
        }
        let mut magic = [0; 4];
        let n = file.file.read_at(&mut magic, 0).await?;
        if magic[..n] != *b"\0asm" {
            return Ok(None);
        }
        let attr = file.attr;
        let key = (file.location.mount.id, attr.ino, attr.size, attr.mtime, attr.ctime);
        if let Some(program) = self.known.lock().get(&key).and_then(Weak::upgrade) {
            return Ok(Some(program));
        }
        if attr.size > MODULE_BYTES {
            return Err(ModuleError::Errno(Errno::EFBIG));
        }
        // The copy lies in our memory: it counts as the VM's while it is compiled.
        let _held = self.kernel.memory.try_take(attr.size).ok_or(Errno::ENOMEM)?;
        let mut wasm = vec![0; usize::try_from(attr.size).map_err(|_| Errno::EFBIG)?];
        let mut filled = 0;
        while filled < wasm.len() {
            let n = file.file.read_at(&mut wasm[filled..], filled as u64).await?;
            if n == 0 {
                break;
            }
            filled += n;
        }
        wasm.truncate(filled);
        // One at a time, so that a VM with many slow modules leaves compilers to the others.
        let turn = self.compiling.acquire().await;
        let program = self.executor.load(wasm).await?;
        drop(turn);
        let mut known = self.known.lock();
        if known.len() >= KNOWN_FILES {
            known.clear();
        }
        known.insert(key, Arc::downgrade(&program));
        Ok(Some(program))
    }
}

enum ModuleError {
    Errno(Errno),
    Program(ProgramError),
}

impl From<Errno> for ModuleError {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<ProgramError> for ModuleError {
    fn from(error: ProgramError) -> Self {
        Self::Program(error)
    }
}

/// The interpreter and its one optional argument of a `#!` line.
fn shebang(head: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let rest = head.strip_prefix(b"#!")?;
    let line = rest.split(|b| *b == b'\n').next()?.trim_ascii();
    let end = line.iter().position(|b| *b == b' ' || *b == b'\t').unwrap_or(line.len());
    let (interpreter, argument) = (&line[..end], line[end..].trim_ascii());
    if interpreter.is_empty() {
        return None;
    }
    Some((interpreter, Some(argument).filter(|a| !a.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::shebang;

    #[test]
    fn shebang_lines() {
        for (line, expected) in [
            (&b"#!/bin/sh\necho"[..], Some((&b"/bin/sh"[..], None))),
            (b"#! /usr/bin/env  bash -x \n", Some((b"/usr/bin/env", Some(&b"bash -x"[..])))),
            (b"#!/bin/sh", Some((b"/bin/sh", None))),
            (b"#!\n", None),
            (b"echo", None),
            (b"", None),
        ] {
            assert_eq!(shebang(line), expected);
        }
    }
}
