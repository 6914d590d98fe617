//! Tools of the host, of `agentos_v1`.

use std::sync::Arc;

use agentos_abi::MODULE;
use agentos_abi::tools::{TOOL_INPUT_MAX, TOOL_NAME_MAX, TOOL_REPLY_MAX};
use agentos_kernel::{Errno, Result};
use wasmtime::{Caller, Linker};

use super::{quick, waiting};
use crate::guest::{Guest, parts};
use crate::memory::{bytes, put, put_u32};

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    quick!(linker, MODULE, tool_list(buffer: i32, len: i32, out_len: i32));
    waiting!(linker, MODULE, tool_call(kit: i32, kit_len: i32, tool: i32, tool_len: i32, input: i32, input_len: i32, buffer: i32, len: i32, out_len: i32));
    Ok(())
}

fn tool_list(caller: &mut Caller<'_, Guest>, buffer: i32, len: i32, out_len: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let list = guest.machine.kernel.tool_list();
    put_u32(memory, out_len, list.len() as u32)?;
    if list.len() > len.cast_unsigned() as usize {
        return Err(Errno::ERANGE);
    }
    put(memory, buffer, &list)
}

/// Bytes of the guest, copied: one more than there may be at most, so that the kernel sees that they are too many.
fn argument(memory: &[u8], ptr: i32, len: i32, most: usize) -> Result<Vec<u8>> {
    let all = bytes(memory, ptr, len)?;
    Ok(all.get(..=most).unwrap_or(all).to_vec())
}

#[expect(clippy::too_many_arguments, reason = "the signature is the ABI's")]
async fn tool_call(
    caller: &mut Caller<'_, Guest>,
    kit: i32,
    kit_len: i32,
    tool: i32,
    tool_len: i32,
    input: i32,
    input_len: i32,
    buffer: i32,
    len: i32,
    out_len: i32,
) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    put_u32(memory, out_len, 0)?;
    bytes(memory, buffer, len)?;
    // Before anything is done: a result that finds no room would be lost, and doing it again is not the same.
    if (len.cast_unsigned() as usize) < TOOL_REPLY_MAX {
        return Err(Errno::EINVAL);
    }
    let kit = argument(memory, kit, kit_len, TOOL_NAME_MAX)?;
    let tool = argument(memory, tool, tool_len, TOOL_NAME_MAX)?;
    let input = argument(memory, input, input_len, TOOL_INPUT_MAX)?;
    let (kernel, process) = (Arc::clone(&guest.machine.kernel), Arc::clone(&guest.process));
    let answer = kernel.call_tool(&process, &kit, &tool, &input).await;
    let (memory, _) = parts(caller)?;
    let (text, result) = match answer {
        Ok(reply) => (reply, Ok(())),
        Err(failure) => (failure.message.into_bytes(), Err(failure.errno)),
    };
    put(memory, buffer, &text)?;
    put_u32(memory, out_len, text.len() as u32)?;
    result
}
