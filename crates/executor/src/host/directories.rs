//! fd_readdir.

use std::sync::Arc;

use agentos_kernel::{Errno, Result};
use wasmtime::{Caller, Linker};

use super::wasi::filetype;
use super::{WASI, waiting};
use crate::guest::{Guest, parts};
use crate::memory::{bytes_mut, put_u32};

/// Bytes of a `dirent` before the name.
const DIRENT: usize = 24;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    waiting!(linker, WASI, fd_readdir(fd: i32, buffer: i32, len: i32, cookie: i64, out: i32));
    Ok(())
}

/// Fills the buffer with entries from `cookie` on; the last one may be cut, which tells the guest that there are more.
async fn fd_readdir(
    caller: &mut Caller<'_, Guest>,
    fd: i32,
    buffer: i32,
    len: i32,
    cookie: i64,
    out: i32,
) -> Result<()> {
    let guest = caller.data();
    let file = guest.file(fd)?;
    let (kernel, process) = (Arc::clone(&guest.machine.kernel), Arc::clone(&guest.process));
    let reading = kernel.read_directory(Some(&process), &file, cookie.cast_unsigned()).await?;
    let (memory, _) = parts(caller)?;
    let target = bytes_mut(memory, buffer, len.cast_unsigned() as usize)?;
    let mut used = 0;
    reading.each(|next, ino, kind, name| {
        let mut head = [0; DIRENT];
        head[..8].copy_from_slice(&next.to_le_bytes());
        head[8..16].copy_from_slice(&ino.to_le_bytes());
        head[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
        head[20] = filetype(kind);
        let fits = used + head.len() + name.len() <= target.len();
        for part in [&head[..], name] {
            let n = part.len().min(target.len() - used);
            target[used..used + n].copy_from_slice(&part[..n]);
            used += n;
        }
        fits
    });
    put_u32(memory, out, u32::try_from(used).map_err(|_| Errno::EOVERFLOW)?)
}
