//! Processes of `agentos_v1`.

use std::sync::Arc;

use agentos_abi::MODULE;
use agentos_abi::layout::{Rusage, Times, WaitResult};
use agentos_abi::process::{
    FD_CLOSE, RUSAGE_CHILDREN, RUSAGE_SELF, SPAWN_FOREGROUND, SPAWN_INHERIT_ENV, SPAWN_MAP_ONLY,
    SPAWN_RESET_SIGNALS, SPAWN_SEARCH_PATH, SPAWN_SETSID,
};
use agentos_kernel::permissions::Operation;
use agentos_kernel::sys::{At, WaitTarget};
use agentos_kernel::{ChildSpec, Errno, Fd, FdTable, FileKind, Result, Rlimit};
use wasmtime::{Caller, Linker};

use super::{quick, waiting};
use crate::guest::{Ended, Guest, finish_waiting, parts};
use crate::loader::{Asker, Invocation};
use crate::memory::{bytes, list, put, put_u32, put_u64};
use crate::run;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    waiting!(linker, MODULE, spawn(path: i32, path_len: i32, argv: i32, argv_len: i32, env: i32, env_len: i32, cwd: i32, cwd_len: i32, fd_map: i32, fd_map_len: i32, pgid: i32, flags: i32, out_pid: i32));
    waiting!(linker, MODULE, clone_call(func: i32, arg: i32, pgid: i32, flags: i32, out_pid: i32));
    waiting!(linker, MODULE, waitpid(pid: i32, flags: i32, out: i32));
    waiting!(linker, MODULE, chdir(path: i32, len: i32));
    waiting!(linker, MODULE, getcwd(buffer: i32, len: i32, out_len: i32));
    quick!(linker, MODULE, fchdir(fd: i32));
    quick!(linker, MODULE, getpgid(pid: i32, out: i32));
    quick!(linker, MODULE, getsid(pid: i32, out: i32));
    quick!(linker, MODULE, setpgid(pid: i32, pgid: i32));
    quick!(linker, MODULE, setsid(out: i32));
    quick!(linker, MODULE, getrlimit(resource: i32, out: i32));
    quick!(linker, MODULE, setrlimit(resource: i32, soft: i64, hard: i64));
    quick!(linker, MODULE, times(out: i32));
    quick!(linker, MODULE, getrusage(who: i32, out: i32));
    quick!(linker, MODULE, set_title(argv: i32, len: i32));
    linker.func_wrap(MODULE, "getpid", |c: Caller<'_, Guest>| -> i32 {
        c.data().process.pid.0.cast_signed()
    })?;
    linker.func_wrap(MODULE, "getppid", |c: Caller<'_, Guest>| -> i32 {
        let guest = c.data();
        guest.machine.kernel.getppid(&guest.process).0.cast_signed()
    })?;
    linker.func_wrap(MODULE, "umask", |c: Caller<'_, Guest>, mask: i32| -> i32 {
        c.data().process.set_umask(mask.cast_unsigned()).cast_signed()
    })?;
    linker.func_wrap_async(
        MODULE,
        "exec",
        |mut caller: Caller<'_, Guest>,
         (path, path_len, argv, argv_len, env, env_len, flags): (i32, i32, i32, i32, i32, i32, i32)| {
            Box::new(async move {
                let call = SpawnCall { path, path_len, argv, argv_len, env, env_len, flags };
                match exec(&mut caller, &call).await {
                    Ok(()) => Err(Ended::Exec.into()),
                    Err(errno) => finish_waiting(&mut caller, Err(errno)).await,
                }
            })
        },
    )?;
    Ok(())
}

/// What `spawn` and `exec` have in common.
struct SpawnCall {
    path: i32,
    path_len: i32,
    argv: i32,
    argv_len: i32,
    env: i32,
    env_len: i32,
    flags: i32,
}

impl SpawnCall {
    fn invocation(&self, memory: &[u8], guest: &Guest) -> Result<Invocation> {
        let limit = guest.machine.kernel.limits.argv_env_bytes;
        let flags = self.flags.cast_unsigned();
        let env = if flags & SPAWN_INHERIT_ENV != 0 {
            Arc::clone(&guest.process.image.read().env)
        } else {
            Arc::new(list(memory, self.env, self.env_len, limit.saturating_mul(4))?)
        };
        Ok(Invocation {
            path: crate::memory::path(memory, self.path, self.path_len)?.to_vec(),
            search: flags & SPAWN_SEARCH_PATH != 0,
            argv: list(memory, self.argv, self.argv_len, limit.saturating_mul(4))?,
            env,
        })
    }
}

#[expect(clippy::too_many_arguments, reason = "the signature is the ABI's")]
async fn spawn(
    caller: &mut Caller<'_, Guest>,
    path: i32,
    path_len: i32,
    argv: i32,
    argv_len: i32,
    env: i32,
    env_len: i32,
    cwd: i32,
    cwd_len: i32,
    fd_map: i32,
    fd_map_len: i32,
    pgid: i32,
    flags: i32,
    out_pid: i32,
) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    bytes(memory, out_pid, 4)?;
    let invocation =
        SpawnCall { path, path_len, argv, argv_len, env, env_len, flags }.invocation(memory, guest)?;
    let new_cwd = crate::memory::path(memory, cwd, cwd_len)?.to_vec();
    let map = bytes(memory, fd_map, fd_map_len)?;
    // Each number once to open and once to close is all that makes sense.
    if map.len() / 8 > 2 * guest.machine.kernel.limits.fds_per_process as usize {
        return Err(Errno::EINVAL);
    }
    let pairs: Vec<(u32, u32)> = map
        .chunks_exact(8)
        .map(|p| (u32::from_le_bytes([p[0], p[1], p[2], p[3]]), u32::from_le_bytes([p[4], p[5], p[6], p[7]])))
        .collect();
    let (machine, process) = (Arc::clone(&guest.machine), Arc::clone(&guest.process));
    let kernel = &machine.kernel;
    let flags = flags.cast_unsigned();
    let cwd = if new_cwd.is_empty() {
        None
    } else {
        let who = kernel.who(&process);
        Some(kernel.resolve_directory(&who, At::Cwd(&new_cwd)).await?)
    };
    let parent = process.fds.lock().clone();
    let fds = child_fds(&parent, &pairs, flags)?;
    let loaded = {
        let start = match &cwd {
            Some(location) => location.clone(),
            None => process.cwd(),
        };
        let asker = Asker { process: Some(&process), cwd: &start, operation: Operation::Spawn };
        machine.resolve(&asker, invocation).await.map_err(|error| {
            if let crate::LoadError::BadModule { .. } = &error {
                tracing::info!(%error, "spawn");
            }
            error.errno()
        })?
    };
    let slot = machine.executor.take_slot().ok_or(Errno::EAGAIN)?;
    let child = kernel.spawn_child(
        &process,
        ChildSpec {
            fds,
            image: Some(loaded.image),
            cwd,
            pgid,
            setsid: flags & SPAWN_SETSID != 0,
            reset_signals: flags & SPAWN_RESET_SIGNALS != 0,
            foreground: flags & SPAWN_FOREGROUND != 0,
        },
    )?;
    let pid = child.pid.0;
    run::start(&machine, child, loaded.program, slot);
    let (memory, _) = parts(caller)?;
    put_u32(memory, out_pid, pid)
}

/// The descriptors of a spawned child: inherited ones, then the map, whose right sides all mean the parent's table.
fn child_fds(parent: &FdTable, pairs: &[(u32, u32)], flags: u32) -> Result<FdTable> {
    let mut fds = if flags & SPAWN_MAP_ONLY != 0 { parent.empty() } else { parent.for_exec() };
    for (child, from) in pairs {
        if *from == FD_CLOSE {
            match fds.remove(Fd(*child)) {
                Ok(_) | Err(Errno::EBADF) => {}
                Err(errno) => return Err(errno),
            }
        } else {
            fds.insert_at(Fd(*child), Arc::clone(parent.get(Fd(*from))?), false)?;
        }
    }
    Ok(fds)
}

async fn exec(caller: &mut Caller<'_, Guest>, call: &SpawnCall) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let invocation = call.invocation(memory, guest)?;
    let (machine, process) = (Arc::clone(&guest.machine), Arc::clone(&guest.process));
    let cwd = process.cwd();
    let asker = Asker { process: Some(&process), cwd: &cwd, operation: Operation::Exec };
    let loaded = machine.resolve(&asker, invocation).await.map_err(|e| e.errno())?;
    machine.kernel.exec(&process, loaded.image)?;
    caller.data_mut().exec = Some(loaded.program);
    Ok(())
}

async fn clone_call(
    caller: &mut Caller<'_, Guest>,
    func: i32,
    arg: i32,
    pgid: i32,
    flags: i32,
    out_pid: i32,
) -> Result<()> {
    let flags = flags.cast_unsigned();
    if flags & !SPAWN_FOREGROUND != 0 {
        return Err(Errno::EINVAL);
    }
    {
        let (memory, _) = parts(caller)?;
        bytes(memory, out_pid, 4)?;
    }
    let pid = crate::clone::clone_call(caller, func, arg, pgid, flags & SPAWN_FOREGROUND != 0).await?;
    let (memory, _) = parts(caller)?;
    put_u32(memory, out_pid, pid)
}

async fn waitpid(caller: &mut Caller<'_, Guest>, pid: i32, flags: i32, out: i32) -> Result<()> {
    let guest = caller.data();
    let (kernel, process) = (Arc::clone(&guest.machine.kernel), Arc::clone(&guest.process));
    let target = WaitTarget::from_raw(pid, kernel.getpgid(&process, 0)?);
    let result = match kernel.waitpid(&process, target, flags.cast_unsigned()).await? {
        Some((pid, info)) => WaitResult {
            pid: pid.0.cast_signed(),
            status: info.status.encode(),
            utime_us: u64::try_from(info.cpu.as_micros()).unwrap_or(u64::MAX),
            stime_us: 0,
            maxrss_kb: info.max_rss / 1024,
        },
        None => WaitResult::default(),
    };
    let (memory, _) = parts(caller)?;
    put(memory, out, &result.encode())
}

async fn chdir(caller: &mut Caller<'_, Guest>, path: i32, len: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let path = crate::memory::path(memory, path, len)?.to_vec();
    let (kernel, process) = (Arc::clone(&guest.machine.kernel), Arc::clone(&guest.process));
    let who = kernel.who(&process);
    let location = kernel.resolve_directory(&who, At::Cwd(&path)).await?;
    process.set_cwd(location);
    Ok(())
}

fn fchdir(caller: &mut Caller<'_, Guest>, fd: i32) -> Result<()> {
    let guest = caller.data();
    let file = guest.file(fd)?;
    let FileKind::Directory(directory) = file.kind() else { return Err(Errno::ENOTDIR) };
    guest.process.set_cwd(directory.location.clone());
    Ok(())
}

async fn getcwd(caller: &mut Caller<'_, Guest>, buffer: i32, len: i32, out_len: i32) -> Result<()> {
    let guest = caller.data();
    let (kernel, process) = (Arc::clone(&guest.machine.kernel), Arc::clone(&guest.process));
    let cwd = process.cwd();
    let path = kernel.namespace.path_of(&cwd).await?;
    let (memory, _) = parts(caller)?;
    put_u32(memory, out_len, path.len() as u32)?;
    if path.len() > len.cast_unsigned() as usize {
        return Err(Errno::ERANGE);
    }
    put(memory, buffer, &path)
}

fn getpgid(caller: &mut Caller<'_, Guest>, pid: i32, out: i32) -> Result<()> {
    let pid = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
    let (memory, guest) = parts(caller)?;
    let pgid = guest.machine.kernel.getpgid(&guest.process, pid)?;
    put_u32(memory, out, pgid.0)
}

fn getsid(caller: &mut Caller<'_, Guest>, pid: i32, out: i32) -> Result<()> {
    let pid = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
    let (memory, guest) = parts(caller)?;
    let sid = guest.machine.kernel.getsid(&guest.process, pid)?;
    put_u32(memory, out, sid.0)
}

fn setpgid(caller: &mut Caller<'_, Guest>, pid: i32, pgid: i32) -> Result<()> {
    let number = |n: i32| u32::try_from(n).map_err(|_| Errno::EINVAL);
    let guest = caller.data();
    guest.machine.kernel.setpgid(&guest.process, number(pid)?, number(pgid)?)
}

fn setsid(caller: &mut Caller<'_, Guest>, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    bytes(memory, out, 4)?;
    let sid = guest.machine.kernel.setsid(&guest.process)?;
    put_u32(memory, out, sid.0)
}

fn getrlimit(caller: &mut Caller<'_, Guest>, resource: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let limit = guest.machine.kernel.getrlimit(&guest.process, resource.cast_unsigned())?;
    put_u64(memory, out, limit.soft)?;
    put_u64(memory, out.wrapping_add(8), limit.hard)
}

fn setrlimit(caller: &mut Caller<'_, Guest>, resource: i32, soft: i64, hard: i64) -> Result<()> {
    let guest = caller.data();
    let to = Rlimit { soft: soft.cast_unsigned(), hard: hard.cast_unsigned() };
    guest.machine.kernel.setrlimit(&guest.process, resource.cast_unsigned(), to)
}

fn times(caller: &mut Caller<'_, Guest>, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let micros = |d: std::time::Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    let times = Times {
        utime_us: micros(guest.process.cpu()),
        cutime_us: micros(guest.process.children_cpu()),
        ..Times::default()
    };
    put(memory, out, &times.encode())
}

fn getrusage(caller: &mut Caller<'_, Guest>, who: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let process = &guest.process;
    let (cpu, max_rss) = match who {
        RUSAGE_SELF => (process.cpu(), process.memory().1),
        RUSAGE_CHILDREN => (process.children_cpu(), process.children_max_rss()),
        _ => return Err(Errno::EINVAL),
    };
    let utime_us = u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX);
    put(memory, out, &Rusage { utime_us, stime_us: 0, maxrss_kb: max_rss / 1024 }.encode())
}

/// Bytes of a title. It is charged to nobody, so it is short.
const TITLE_BYTES: usize = 4096;

fn set_title(caller: &mut Caller<'_, Guest>, argv: i32, len: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let argv = list(memory, argv, len, TITLE_BYTES)?;
    guest.process.image.write().argv = Arc::new(argv);
    Ok(())
}
