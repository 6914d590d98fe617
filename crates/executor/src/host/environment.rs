//! Arguments, environment, exit, random numbers.

use agentos_kernel::{Errno, Result};
use rand::RngCore;
use wasmtime::{Caller, Linker};

use super::{WASI, quick, waiting};
use crate::guest::{Ended, Guest, parts};
use crate::memory::{bytes_mut, put, put_u32};

/// Random bytes that are made before others get their turn.
const RANDOM_PIECE: usize = 1 << 20;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    quick!(linker, WASI, args_sizes_get(count: i32, size: i32));
    quick!(linker, WASI, args_get(pointers: i32, buffer: i32));
    quick!(linker, WASI, environ_sizes_get(count: i32, size: i32));
    quick!(linker, WASI, environ_get(pointers: i32, buffer: i32));
    waiting!(linker, WASI, random_get(buffer: i32, len: i32));
    quick!(linker, WASI, proc_raise(signal: i32));
    linker.func_wrap(WASI, "proc_exit", |_: Caller<'_, Guest>, status: i32| -> wasmtime::Result<()> {
        Err(Ended::Exit((status & 0xff) as u8).into())
    })?;
    Ok(())
}

enum Which {
    Arguments,
    Environment,
}

fn strings(caller: &Caller<'_, Guest>, which: &Which) -> std::sync::Arc<Vec<Vec<u8>>> {
    let guest = caller.data();
    let image = guest.process.image.read();
    match which {
        Which::Arguments => std::sync::Arc::clone(&image.argv),
        Which::Environment => {
            let env = std::sync::Arc::clone(&image.env);
            // A program that only knows preopens finds its working directory by PWD.
            let Some(pwd) = &guest.pwd else { return env };
            let mut env: Vec<_> = env.iter().filter(|v| !v.starts_with(b"PWD=")).cloned().collect();
            env.push([b"PWD=".as_slice(), pwd].concat());
            std::sync::Arc::new(env)
        }
    }
}

fn sizes(caller: &mut Caller<'_, Guest>, which: &Which, count: i32, size: i32) -> Result<()> {
    let strings = strings(caller, which);
    let total: usize = strings.iter().map(|s| s.len() + 1).sum();
    let (memory, _) = parts(caller)?;
    put_u32(memory, count, u32::try_from(strings.len()).map_err(|_| Errno::E2BIG)?)?;
    put_u32(memory, size, u32::try_from(total).map_err(|_| Errno::E2BIG)?)
}

fn get(caller: &mut Caller<'_, Guest>, which: &Which, pointers: i32, buffer: i32) -> Result<()> {
    let strings = strings(caller, which);
    let (memory, _) = parts(caller)?;
    let (mut pointer, mut at) = (pointers, buffer);
    for string in strings.iter() {
        put_u32(memory, pointer, at.cast_unsigned())?;
        put(memory, at, string)?;
        let end =
            at.checked_add(i32::try_from(string.len()).map_err(|_| Errno::EFAULT)?).ok_or(Errno::EFAULT)?;
        put(memory, end, &[0])?;
        at = end.checked_add(1).ok_or(Errno::EFAULT)?;
        pointer = pointer.checked_add(4).ok_or(Errno::EFAULT)?;
    }
    Ok(())
}

fn args_sizes_get(caller: &mut Caller<'_, Guest>, count: i32, size: i32) -> Result<()> {
    sizes(caller, &Which::Arguments, count, size)
}

fn args_get(caller: &mut Caller<'_, Guest>, pointers: i32, buffer: i32) -> Result<()> {
    get(caller, &Which::Arguments, pointers, buffer)
}

fn environ_sizes_get(caller: &mut Caller<'_, Guest>, count: i32, size: i32) -> Result<()> {
    sizes(caller, &Which::Environment, count, size)
}

fn environ_get(caller: &mut Caller<'_, Guest>, pointers: i32, buffer: i32) -> Result<()> {
    get(caller, &Which::Environment, pointers, buffer)
}

async fn random_get(caller: &mut Caller<'_, Guest>, buffer: i32, len: i32) -> Result<()> {
    let (memory, _) = parts(caller)?;
    let buffer = bytes_mut(memory, buffer, len.cast_unsigned() as usize)?;
    for (n, piece) in buffer.chunks_mut(RANDOM_PIECE).enumerate() {
        if n > 0 {
            tokio::task::yield_now().await;
        }
        rand::rng().fill_bytes(piece);
    }
    Ok(())
}

fn proc_raise(caller: &mut Caller<'_, Guest>, signal: i32) -> Result<()> {
    let signal = u8::try_from(signal).ok().and_then(agentos_abi::Signal::from_raw).ok_or(Errno::EINVAL)?;
    let guest = caller.data();
    guest.machine.kernel.deliver(&guest.process, signal);
    Ok(())
}
