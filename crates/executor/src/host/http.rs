//! HTTP of `agentos_v1`: from a packed request to the read end of the pipe that its answer comes in.

use std::sync::Arc;

use agentos_abi::MODULE;
use agentos_abi::fd::CLOEXEC;
use agentos_abi::http::{REQUEST_BYTES, REQUEST_ITEMS};
use agentos_kernel::{Errno, Result};
use wasmtime::{Caller, Linker};

use super::quick;
use crate::guest::{Guest, parts};
use crate::memory::{bytes, list, put_u32};
use crate::outbound::HttpRequest;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    quick!(linker, MODULE, http_fetch(request: i32, len: i32, out: i32));
    Ok(())
}

fn http_fetch(caller: &mut Caller<'_, Guest>, request: i32, len: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    bytes(memory, out, 4)?;
    let machine = Arc::clone(&guest.machine);
    // Before anything is copied: a guest that is at its limits copies nothing.
    guest.process.fds.lock().has_room(0)?;
    let (reader, writer) = machine.kernel.new_pipe(CLOEXEC)?;
    let request = unpack(list(memory, request, len, REQUEST_BYTES)?)?;
    let fd = guest.process.fds.lock().insert(reader, 0, true)?;
    put_u32(memory, out, fd.0)?;
    machine.outbound.fetch(&machine.kernel, request, writer);
    Ok(())
}

fn unpack(items: Vec<Vec<u8>>) -> Result<HttpRequest> {
    let items: [Vec<u8>; REQUEST_ITEMS] = items.try_into().map_err(|_| Errno::EINVAL)?;
    let [method, url, headers, body, timeout] = items;
    let timeout = <[u8; 4]>::try_from(timeout).map_err(|_| Errno::EINVAL)?;
    let len = i32::try_from(headers.len()).map_err(|_| Errno::E2BIG)?;
    let mut texts = list(&headers, 0, len, headers.len())?.into_iter();
    let mut headers = Vec::with_capacity(texts.len() / 2);
    while let Some(name) = texts.next() {
        headers.push((name, texts.next().ok_or(Errno::EINVAL)?));
    }
    Ok(HttpRequest { method, url, headers, body, head_timeout_ms: u32::from_le_bytes(timeout) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::pack;

    #[test]
    fn requests_are_unpacked_and_what_is_none_is_einval() {
        let headers = pack([&b"accept"[..], b"x", b"", b"\xff"]);
        let timeout = 7u32.to_le_bytes();
        let items = |headers: &[u8], timeout: &[u8]| {
            [b"GET", &b"http://a"[..], headers, b"body", timeout].map(<[u8]>::to_vec).to_vec()
        };
        let request = unpack(items(&headers, &timeout)).unwrap();
        assert_eq!(
            (&request.method[..], &request.url[..], &request.body[..]),
            (&b"GET"[..], &b"http://a"[..], &b"body"[..])
        );
        assert_eq!(request.headers, [(b"accept".to_vec(), b"x".to_vec()), (vec![], vec![0xff])]);
        assert_eq!(request.head_timeout_ms, 7);
        let odd = pack([&b"accept"[..]]);
        for bad in [
            items(&odd, &timeout),
            items(b"\x01", &timeout),
            items(&[255; 8], &timeout),
            items(&headers, &[1]),
            items(&headers, &timeout)[..4].to_vec(),
            Vec::new(),
        ] {
            assert_eq!(unpack(bad).map(|_| ()), Err(Errno::EINVAL));
        }
    }
}
