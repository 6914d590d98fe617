//! Texts that an agent asks its client for, as `fs/…` of ACP has them: those that the client of the session has in hand, else
//! those of the machine. The path is the machine's, and what its programs may not, the agent may not by this way either.
//! As long as the client is asked nothing in the machine can lead the path that it gets elsewhere ([`Steady`]).
//!
//! [`Steady`]: agentos_vfs::host_dir::Steady

use std::sync::{Arc, Weak};
use std::time::Duration;

use agentos_abi::fd::{O_CREAT, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY};
use agentos_driver::ErrorInfo;
use agentos_driver::event::ChangedFile;
use agentos_driver::ports::{Files, Pending, ServedTexts, TEXT_NOT_FOUND, TextRead};
use agentos_kernel::sys::{At, Placed, PlacedFor, Who};
use agentos_kernel::{Errno, Pid};
use agentos_protocol::message::{ClientFilesSpec, ReadTextFile, TEXT_FILE_LIMIT, WirePath, WriteTextFile};
use agentos_protocol::mux::CallError;
use agentos_protocol::{Connection, WireError};
use agentos_vfs::NewKind;
use tokio::sync::Semaphore;

use super::entry::Record;
use super::errors::invalid;
use super::launch::Guest;
use super::protocol::Protocol;
use crate::vm::Vm;

/// How long a client may take. Names are held for as long, and an agent is answered within 30 s.
const CLIENT: Duration = Duration::from_secs(25);
/// Texts of one session that are on their way at once; the others wait.
const TEXTS: usize = 4;
/// Bytes that are read and written at once.
const PIECE: usize = 256 << 10;

/// A text could not be read or written; the message says why.
const FAILED: &str = "file.failed";

/// A client that has texts.
#[derive(Clone, Debug)]
pub(crate) struct ClientFiles {
    connection: Connection,
    spec: ClientFilesSpec,
}

impl ClientFiles {
    /// Those of a request for an agent that speaks `protocol`.
    pub(super) fn of(
        connection: Connection,
        spec: Option<ClientFilesSpec>,
        protocol: Protocol,
    ) -> Result<Option<Self>, WireError> {
        let Some(spec) = spec else { return Ok(None) };
        if !spec.read && !spec.write {
            return Err(invalid("clientFiles: the client neither reads nor writes texts"));
        }
        if protocol != Protocol::Acp {
            return Err(invalid(
                "clientFiles: agents ask their client for files in ACP only; this one speaks another protocol",
            ));
        }
        Ok(Some(ClientFiles { connection, spec }))
    }

    /// What it has.
    pub(super) fn served(&self) -> ServedTexts {
        ServedTexts { read: self.spec.read, write: self.spec.write }
    }
}

/// The port of one agent.
pub(super) struct Texts {
    vm: Weak<Vm>,
    session_id: String,
    record: Arc<Record>,
    guest: Arc<dyn Guest>,
    /// What the agent is told that there is.
    served: ServedTexts,
    places: Semaphore,
}

impl Texts {
    /// For the agent that `guest` is; nothing without a client that has texts.
    pub(super) fn new(
        vm: &Arc<Vm>,
        session_id: &str,
        record: &Arc<Record>,
        guest: Arc<dyn Guest>,
    ) -> Option<Arc<Self>> {
        let served = record.client_files.lock().as_ref().map(ClientFiles::served)?;
        Some(Arc::new(Texts {
            vm: Arc::downgrade(vm),
            session_id: session_id.to_owned(),
            record: Arc::clone(record),
            guest,
            served,
            places: Semaphore::new(TEXTS),
        }))
    }

    fn vm(&self) -> Result<Arc<Vm>, ErrorInfo> {
        self.vm.upgrade().ok_or_else(|| ErrorInfo::new(FAILED, "the machine is gone"))
    }

    /// The agent, as the author of system calls.
    fn who(&self, vm: &Vm) -> Result<Who, ErrorInfo> {
        let agent = vm.kernel().process(Pid(self.guest.pid()));
        let agent = agent.ok_or_else(|| ErrorInfo::new(FAILED, "the agent has ended"))?;
        Ok(vm.kernel().who(&agent))
    }

    /// The client, if it has what is wanted.
    fn client(&self, has: impl Fn(&ClientFilesSpec) -> bool) -> Option<ClientFiles> {
        self.record.client_files.lock().clone().filter(|client| has(&client.spec))
    }

    async fn read(&self, asked: &TextRead) -> Result<String, ErrorInfo> {
        let _place = self.places.acquire().await;
        let vm = self.vm()?;
        let (who, path) = (self.who(&vm)?, absolute(&asked.path)?);
        let held = vm.steady.hold().await;
        let placed = vm.kernel().placed(&who, path, PlacedFor::Reading).await;
        let placed = placed.map_err(|errno| failed(errno, "read", &asked.path))?;
        if let Some(client) = self.client(|spec| spec.read) {
            let call = ReadTextFile {
                files_id: client.spec.files_id,
                session_id: self.session_id.clone(),
                mount: mount(&placed),
                beneath: WirePath(placed.beneath),
                line: asked.line,
                limit: asked.limit,
            };
            if let Some(text) =
                asked_client(client.connection.call(&call)).await?.and_then(|reply| reply.text)
            {
                return bounded(text, &asked.path);
            }
        }
        drop(held);
        let text = read(&vm, &who, path).await?;
        if asked.line.is_none() && asked.limit.is_none() {
            return Ok(text);
        }
        let skip = usize::try_from(asked.line.unwrap_or(1).saturating_sub(1)).unwrap_or(usize::MAX);
        let take = asked.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(text.split_inclusive('\n').skip(skip).take(take).collect())
    }

    async fn write(&self, asked: &str, text: &str) -> Result<(), ErrorInfo> {
        let _place = self.places.acquire().await;
        let vm = self.vm()?;
        let (who, path) = (self.who(&vm)?, absolute(asked)?);
        if text.len() > TEXT_FILE_LIMIT {
            return Err(too_long(asked));
        }
        directories(&vm, &who, path).await.map_err(|errno| failed(errno, "mkdir", asked))?;
        let held = vm.steady.hold().await;
        let placed = vm.kernel().placed(&who, path, PlacedFor::Writing).await;
        let placed = placed.map_err(|errno| failed(errno, "write", asked))?;
        if let Some(client) = self.client(|spec| spec.write) {
            let call = WriteTextFile {
                files_id: client.spec.files_id,
                session_id: self.session_id.clone(),
                mount: mount(&placed),
                beneath: WirePath(placed.beneath),
                text: text.to_owned(),
            };
            if asked_client(client.connection.call(&call)).await?.is_some_and(|reply| reply.written) {
                return Ok(());
            }
        }
        drop(held);
        write(&vm, &who, path, text.as_bytes()).await.map_err(|errno| failed(errno, "write", asked))
    }
}

impl Files for Texts {
    fn report_changed<'a>(&'a self, _: &'a ChangedFile) -> Pending<'a, bool> {
        Box::pin(async { Ok(true) })
    }

    fn texts(&self) -> ServedTexts {
        self.served
    }

    fn read_text<'a>(&'a self, read: &'a TextRead) -> Pending<'a, String> {
        Box::pin(self.read(read))
    }

    fn write_text<'a>(&'a self, path: &'a str, text: &'a str) -> Pending<'a, ()> {
        Box::pin(self.write(path, text))
    }
}

fn absolute(path: &str) -> Result<&[u8], ErrorInfo> {
    match path.starts_with('/') && !path.contains('\0') {
        true => Ok(path.as_bytes()),
        false => Err(ErrorInfo::new(FAILED, format!("{path:?}: must be an absolute path"))),
    }
}

fn mount(placed: &Placed) -> WirePath {
    WirePath(placed.mount.path.as_bytes().to_vec())
}

fn failed(errno: Errno, operation: &str, path: &str) -> ErrorInfo {
    let code = if errno == Errno::ENOENT { TEXT_NOT_FOUND } else { FAILED };
    ErrorInfo::new(code, crate::errors::failed(errno, operation, path).message)
}

fn too_long(path: &str) -> ErrorInfo {
    let most = TEXT_FILE_LIMIT >> 20;
    ErrorInfo::new(FAILED, format!("{path}: longer than {most} MiB, the most that goes this way"))
}

fn bounded(text: String, path: &str) -> Result<String, ErrorInfo> {
    if text.len() > TEXT_FILE_LIMIT { Err(too_long(path)) } else { Ok(text) }
}

/// What the client answers; nothing if it does not know the file or is gone: then the machine's is meant.
async fn asked_client<T>(call: impl Future<Output = Result<T, CallError>>) -> Result<Option<T>, ErrorInfo> {
    match tokio::time::timeout(CLIENT, call).await {
        Ok(Ok(reply)) => Ok(Some(reply)),
        Ok(Err(CallError::Lost(_))) => Ok(None),
        Ok(Err(CallError::Remote(error))) if error.errno() == Some("ENOENT") => Ok(None),
        Ok(Err(error)) => Err(ErrorInfo::new(FAILED, error.to_string())),
        Err(_) => {
            let text = format!("the client has not answered within {} s", CLIENT.as_secs());
            Err(ErrorInfo::new(FAILED, text))
        }
    }
}

/// Makes the directories that lead to a file, as the agent.
async fn directories(vm: &Vm, who: &Who, path: &[u8]) -> Result<(), Errno> {
    let kernel = vm.kernel();
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    if end == 0 || kernel.resolve_directory(who, At::Cwd(&path[..end])).await.is_ok() {
        return Ok(());
    }
    let ends = (1..=end).filter(|at| path[*at] == b'/' && path[at - 1] != b'/');
    for end in ends {
        match kernel.resolve_directory(who, At::Cwd(&path[..end])).await {
            Err(Errno::ENOENT) => {}
            other => {
                other?;
                continue;
            }
        }
        match kernel.make(who, At::Cwd(&path[..end]), NewKind::Directory, 0o777).await {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Reads a text of the machine, as the agent.
async fn read(vm: &Vm, who: &Who, path: &[u8]) -> Result<String, ErrorInfo> {
    let shown = String::from_utf8_lossy(path);
    let kernel = vm.kernel();
    let fail = |errno| failed(errno, "read", &shown);
    let file = kernel.open(who, None, At::Cwd(path), O_RDONLY | O_NONBLOCK, 0).await.map_err(fail)?;
    let mut bytes = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        match kernel.pread(&file, &mut piece, bytes.len() as u64).await.map_err(fail)? {
            0 => break,
            n => bytes.extend_from_slice(&piece[..n]),
        }
        if bytes.len() > TEXT_FILE_LIMIT {
            return Err(too_long(&shown));
        }
    }
    String::from_utf8(bytes).map_err(|_| ErrorInfo::new(FAILED, format!("{shown}: is no UTF-8 text")))
}

/// Writes a text of the machine, as the agent.
async fn write(vm: &Vm, who: &Who, path: &[u8], text: &[u8]) -> Result<(), Errno> {
    let kernel = vm.kernel();
    let flags = O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK;
    let file = kernel.open(who, None, At::Cwd(path), flags, 0o666).await?;
    let mut written = 0;
    while written < text.len() {
        let piece = &text[written..text.len().min(written + PIECE)];
        match kernel.pwrite(None, &file, piece, written as u64).await? {
            0 => return Err(Errno::EIO),
            n => written += n,
        }
    }
    Ok(())
}
