//! Users and the machine, of `agentos_v1`.

use agentos_abi::MODULE;
use agentos_abi::layout::SysInfo;
use agentos_kernel::{Cred, Errno, RELEASE, Result, VERSION};
use wasmtime::{Caller, Linker};

use super::quick;
use crate::guest::{Guest, parts};
use crate::memory::{pack, put, put_u32};

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    for (name, of) in [
        ("getuid", (|c: &Cred| c.uid) as fn(&Cred) -> u32),
        ("geteuid", |c| c.uid),
        ("getgid", |c| c.gid),
        ("getegid", |c| c.gid),
    ] {
        linker.func_wrap(MODULE, name, move |caller: Caller<'_, Guest>| -> i32 {
            of(&caller.data().process.cred()).cast_signed()
        })?;
    }
    quick!(linker, MODULE, setuid(uid: i32));
    quick!(linker, MODULE, setgid(gid: i32));
    quick!(linker, MODULE, getgroups(buffer: i32, capacity: i32, out_len: i32));
    quick!(linker, MODULE, uname(buffer: i32, len: i32, out_len: i32));
    quick!(linker, MODULE, sysinfo(out: i32));
    Ok(())
}

fn setuid(caller: &mut Caller<'_, Guest>, uid: i32) -> Result<()> {
    let process = &caller.data().process;
    let cred = process.cred();
    let uid = uid.cast_unsigned();
    if cred.uid != 0 && cred.uid != uid {
        return Err(Errno::EPERM);
    }
    *process.cred.write() = std::sync::Arc::new(Cred { uid, ..(*cred).clone() });
    Ok(())
}

fn setgid(caller: &mut Caller<'_, Guest>, gid: i32) -> Result<()> {
    let process = &caller.data().process;
    let cred = process.cred();
    let gid = gid.cast_unsigned();
    if cred.uid != 0 && cred.gid != gid {
        return Err(Errno::EPERM);
    }
    *process.cred.write() = std::sync::Arc::new(Cred { gid, ..(*cred).clone() });
    Ok(())
}

fn getgroups(caller: &mut Caller<'_, Guest>, buffer: i32, capacity: i32, out_len: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let cred = guest.process.cred();
    let groups: Vec<u32> = std::iter::once(cred.gid).chain(cred.groups.iter().copied()).collect();
    for (i, gid) in groups.iter().take(capacity.cast_unsigned() as usize).enumerate() {
        let at = buffer.checked_add((i * 4) as i32).ok_or(Errno::EFAULT)?;
        put_u32(memory, at, *gid)?;
    }
    put_u32(memory, out_len, groups.len() as u32)
}

fn uname(caller: &mut Caller<'_, Guest>, buffer: i32, len: i32, out_len: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let hostname = guest.machine.kernel.hostname();
    let packed =
        pack([&b"Linux"[..], hostname.as_bytes(), RELEASE.as_bytes(), VERSION.as_bytes(), b"wasm32"]);
    put_u32(memory, out_len, packed.len() as u32)?;
    if packed.len() > len.cast_unsigned() as usize {
        return Err(Errno::ERANGE);
    }
    put(memory, buffer, &packed)
}

fn sysinfo(caller: &mut Caller<'_, Guest>, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let kernel = &guest.machine.kernel;
    let info = SysInfo {
        uptime_ns: u64::try_from(kernel.clock.monotonic().as_nanos()).unwrap_or(u64::MAX),
        mem_total: kernel.memory.limit(),
        mem_used: kernel.memory.used(),
        procs: kernel.process_count() as u32,
        cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
    };
    put(memory, out, &info.encode())
}
