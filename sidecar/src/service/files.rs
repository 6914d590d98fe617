//! Contents of files: inline when small, streamed when not.

use std::sync::Arc;

use agentos_abi::fd::{O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_TRUNC, O_WRONLY};
use agentos_kernel::sys::{At, Who};
use agentos_kernel::{Description, Errno};
use agentos_protocol::message::{
    INLINE_LIMIT, LimitInfo, ReadFile, ReadFileReply, WirePath, WriteFile, WriteFileReply, WriteSource,
};
use agentos_protocol::mux::{RecvStream, Responder, SendStream};
use agentos_protocol::{Connection, WireError};
use agentos_vfs::GuestPath;

use crate::connection::{Client, answer, answer_later};
use crate::errors::{bad_path, failed};
use crate::limits;
use crate::vm::Vm;

/// Bytes moved at a time between a file and a stream.
const CHUNK: usize = 256 << 10;

/// A path of a request: absolute and normalised.
pub(super) fn guest_path(path: &WirePath) -> Result<GuestPath, WireError> {
    GuestPath::strict(path).map_err(|e| bad_path(&e, path))
}

pub(super) fn read(client: &Client, request: ReadFile, responder: Responder) {
    let vm = match client.vm(&request.vm_id) {
        Ok(vm) => vm,
        Err(error) => return responder.error(&error),
    };
    let connection = responder.connection();
    answer::<ReadFile>(responder, read_file(vm, request, connection));
}

fn invalid_stream(reason: &str) -> WireError {
    WireError::new(agentos_protocol::message::code::INVALID_REQUEST, reason)
}

async fn read_file(
    vm: Arc<Vm>,
    request: ReadFile,
    connection: Connection,
) -> Result<ReadFileReply, WireError> {
    let path = guest_path(&request.path)?;
    let kernel = Arc::clone(vm.kernel());
    let host = kernel.host();
    let fail = |errno| failed(errno, "read", &path);
    let file = kernel
        .open(&host, None, At::Cwd(path.as_bytes()), O_RDONLY, 0)
        .await
        .map_err(|e| failed(e, "open", &path))?;
    if matches!(file.kind(), agentos_kernel::FileKind::Directory(_)) {
        return Err(failed(Errno::EISDIR, "read", &path));
    }
    let (_, attr) = kernel.fstat(&file).await.map_err(fail)?;
    let wanted = request.length.unwrap_or(u64::MAX);
    let limit = (request.inline_limit as usize).min(INLINE_LIMIT);
    // One byte more than may go inline tells whether there is more, whatever size the file claims (those of /proc claim
    // none).
    let first = limit.saturating_add(1).min(usize::try_from(wanted).unwrap_or(usize::MAX));
    let expected = usize::try_from(attr.size.saturating_sub(request.offset)).unwrap_or(usize::MAX);
    let mut data = vec![0; first.min(expected.saturating_add(1).max(4096))];
    let mut filled = 0;
    loop {
        let n = kernel
            .pread(&file, &mut data[filled..], request.offset.saturating_add(filled as u64))
            .await
            .map_err(fail)?;
        filled += n;
        if n == 0 || filled >= first {
            break;
        }
        if filled == data.len() {
            data.resize(first.min(data.len() * 2), 0);
        }
    }
    data.truncate(filled);
    if filled <= limit {
        return Ok(ReadFileReply { data, streamed: false, size: attr.size });
    }
    let Some(stream) = request.stream else {
        return Err(WireError::limit(LimitInfo {
            name: "inlineLimit".into(),
            configured: limit as u64,
            used: 0,
            requested: attr.size,
        }));
    };
    let stream = connection.accept_send(stream).map_err(|e| invalid_stream(&e.to_string()))?;
    tokio::spawn(send(kernel, file, stream, data, request.offset, wanted));
    Ok(ReadFileReply { data: Vec::new(), streamed: true, size: attr.size })
}

async fn send(
    kernel: Arc<agentos_kernel::Kernel>,
    file: Arc<Description>,
    stream: SendStream,
    first: Vec<u8>,
    offset: u64,
    wanted: u64,
) {
    let mut sent = first.len() as u64;
    if stream.write_all(&first).await.is_err() {
        return;
    }
    drop(first);
    let mut buffer = vec![0; CHUNK];
    while sent < wanted {
        let most = usize::try_from(wanted - sent).unwrap_or(usize::MAX).min(CHUNK);
        match kernel.pread(&file, &mut buffer[..most], offset.saturating_add(sent)).await {
            Ok(0) => break,
            Ok(n) => {
                // The reader closed the stream, or the connection is gone.
                if stream.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
                sent += n as u64;
            }
            Err(errno) => return stream.reset(u32::from(errno.raw())),
        }
    }
    stream.finish();
}

pub(super) fn write(client: &Client, mut request: WriteFile, responder: Responder) {
    let vm = match client.vm(&request.vm_id) {
        Ok(vm) => vm,
        Err(error) => return responder.error(&error),
    };
    match std::mem::replace(&mut request.source, WriteSource::Inline(Vec::new())) {
        WriteSource::Inline(data) => {
            let work = {
                let vm = Arc::clone(&vm);
                async move {
                    let (kernel, file, mut at) = open_for_write(&vm, &request).await?;
                    let written = put(&kernel, &file, &data, &mut at, request.append, &request.path).await?;
                    close(&file, &request.path).await?;
                    Ok(WriteFileReply { written })
                }
            };
            answer::<WriteFile>(responder, limits::named(vm, work));
        }
        WriteSource::Stream(id) => match responder.connection().accept_recv(id) {
            Ok(stream) => {
                let work = write_stream(Arc::clone(&vm), request, stream);
                answer_later::<WriteFile>(responder, limits::named(vm, work));
            }
            Err(error) => responder.error(&invalid_stream(&error.to_string())),
        },
    }
}

async fn write_stream(
    vm: Arc<Vm>,
    request: WriteFile,
    stream: RecvStream,
) -> Result<WriteFileReply, WireError> {
    let (kernel, file, mut at) = open_for_write(&vm, &request).await?;
    let mut written = 0;
    loop {
        match stream.next_chunk().await {
            Ok(Some(chunk)) => {
                written += put(&kernel, &file, &chunk, &mut at, request.append, &request.path).await?;
            }
            Ok(None) => {
                close(&file, &request.path).await?;
                return Ok(WriteFileReply { written });
            }
            Err(error) => {
                let cancelled = agentos_protocol::message::code::CANCELLED;
                return Err(WireError::new(cancelled, format!("write {}: {error}", request.path)));
            }
        }
    }
}

async fn open_for_write(
    vm: &Arc<Vm>,
    request: &WriteFile,
) -> Result<(Arc<agentos_kernel::Kernel>, Arc<Description>, u64), WireError> {
    let path = guest_path(&request.path)?;
    if request.append && request.offset.is_some() {
        return Err(invalid_stream("append and offset do not go together"));
    }
    if request.create_parents
        && let Some(parent) = path.parent()
    {
        vm.make_directories(&parent).await?;
    }
    let mut flags = O_WRONLY | O_CREAT;
    if request.append {
        flags |= O_APPEND;
    } else if request.offset.is_none() {
        flags |= O_TRUNC;
    }
    if request.exclusive {
        flags |= O_EXCL;
    }
    let kernel = Arc::clone(vm.kernel());
    // The mode is what the caller said, not subject to a mask.
    let who = Who { umask: 0, ..kernel.host() };
    let mode = request.mode.unwrap_or(0o644) & 0o7777;
    let file = kernel
        .open(&who, None, At::Cwd(path.as_bytes()), flags, mode)
        .await
        .map_err(|e| failed(e, "open", &path))?;
    Ok((kernel, file, request.offset.unwrap_or(0)))
}

/// What close(2) waits for.
async fn close(file: &Description, path: &WirePath) -> Result<(), WireError> {
    file.flush().await.map_err(|e| failed(e, "close", path))
}

/// Writes all of `data`; EIO if a file system takes nothing.
async fn put(
    kernel: &agentos_kernel::Kernel,
    file: &Description,
    data: &[u8],
    at: &mut u64,
    append: bool,
    path: &WirePath,
) -> Result<u64, WireError> {
    let mut done = 0;
    while done < data.len() {
        let n = match kernel.pwrite(None, file, &data[done..], *at).await {
            Ok(0) => return Err(failed(Errno::EIO, "write", path)),
            Ok(n) => n,
            Err(errno) => {
                let error = failed(errno, "write", path);
                return Err(limits::asking(error, (data.len() - done) as u64));
            }
        };
        done += n;
        if !append {
            *at += n as u64;
        }
    }
    Ok(done as u64)
}
