//! Texts that an agent asks its client for, as `fs/…` of ACP has them: those that the client of the session has in hand, else
//! those of the machine. The path is the machine's, and what its programs may not, the agent may not by this way either.
//! As long as the client is asked nothing in the machine can lead the path that it gets elsewhere ([`Steady`]).

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
use agentos_vfs::host_dir::{Held, Steady};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::entry::Record;
use super::errors::invalid;
use super::launch::Guest;
use super::protocol::Protocol;
use crate::vm::Vm;

/// How long names may have to be waited for that are held for others.
const HOLD: Duration = Duration::from_secs(20);
/// How long an agent waits for a client; within 30 s it has to be answered.
const CLIENT: Duration = Duration::from_secs(25);
/// How long names are held for a client that does not answer: what it was asked for it may still open.
const PATIENCE: Duration = Duration::from_secs(120);
/// Texts of one session that are on their way at once; the others wait.
const TEXTS: usize = 4;
/// The type of file systems whose files others open by their paths.
const HOST_DIRECTORY: &str = "hostdir";
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
    steady: Steady,
    session_id: String,
    record: Arc<Record>,
    guest: Arc<dyn Guest>,
    /// What the agent is told that there is.
    served: ServedTexts,
    places: Arc<Semaphore>,
}

/// What is to be done with a text; it is done to its end, whoever waits for it.
struct Job {
    texts: Arc<Texts>,
    _place: OwnedSemaphorePermit,
    path: String,
    /// Nobody waits for it any more.
    given_up: CancellationToken,
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
            steady: vm.steady.clone(),
            session_id: session_id.to_owned(),
            record: Arc::clone(record),
            guest,
            served,
            places: Arc::new(Semaphore::new(TEXTS)),
        }))
    }

    /// The client, if it has what is wanted.
    fn client(&self, has: impl Fn(&ClientFilesSpec) -> bool) -> Option<ClientFiles> {
        self.record.client_files.lock().clone().filter(|client| has(&client.spec))
    }

    async fn job(self: &Arc<Self>, path: &str) -> Result<Job, ErrorInfo> {
        if !path.starts_with('/') || path.contains('\0') {
            return Err(ErrorInfo::new(FAILED, format!("{path:?}: must be an absolute path")));
        }
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| ErrorInfo::new(FAILED, "the session has ended"))?;
        let given_up = CancellationToken::new();
        Ok(Job { texts: Arc::clone(self), _place: place, path: path.to_owned(), given_up })
    }
}

impl Job {
    /// The machine, and the agent as the author of system calls. Not to be kept while a client is waited for.
    fn agent(&self) -> Result<(Arc<Vm>, Who), ErrorInfo> {
        let vm = self.texts.vm.upgrade();
        let vm = vm.ok_or_else(|| ErrorInfo::new(FAILED, "the machine is gone"))?;
        let agent = vm.kernel().process(Pid(self.texts.guest.pid()));
        let agent = agent.ok_or_else(|| ErrorInfo::new(FAILED, "the agent has ended"))?;
        let who = vm.kernel().who(&agent);
        Ok((vm, who))
    }

    /// Where the file is, and that names stay so: in directories of the host, where others open files by their paths.
    async fn place(&self, wanted: PlacedFor) -> Result<(Placed, Option<Held>), ErrorInfo> {
        let operation = match wanted {
            PlacedFor::Reading => "read",
            PlacedFor::Writing => "write",
        };
        let fail = |errno| failed(errno, operation, &self.path);
        let placed = {
            let (vm, who) = self.agent()?;
            vm.kernel().placed(&who, self.path.as_bytes(), wanted).await.map_err(fail)?
        };
        if placed.mount.fs.type_name() != HOST_DIRECTORY {
            return Ok((placed, None));
        }
        let held = tokio::time::timeout(HOLD, self.texts.steady.hold()).await.map_err(|_| {
            let text =
                "the client has not answered for another file yet, and names are held for it; try again";
            ErrorInfo::new(FAILED, format!("{}: {text}", self.path))
        })?;
        let (vm, who) = self.agent()?;
        let placed = vm.kernel().placed(&who, self.path.as_bytes(), wanted).await.map_err(fail)?;
        Ok((placed, Some(held)))
    }

    async fn read(self, line: Option<u64>, limit: Option<u64>) -> Result<String, ErrorInfo> {
        let (placed, held) = self.place(PlacedFor::Reading).await?;
        if let Some(client) = self.texts.client(|spec| spec.read) {
            let call = ReadTextFile {
                files_id: client.spec.files_id,
                session_id: self.texts.session_id.clone(),
                mount: mount(&placed),
                beneath: WirePath(placed.beneath),
                line,
                limit,
            };
            let answer = asked(client.connection.call(&call)).await?;
            if let Some(text) = answer.and_then(|reply| reply.text) {
                return if text.len() > TEXT_FILE_LIMIT { Err(too_long(&self.path)) } else { Ok(text) };
            }
        }
        drop(held);
        let (vm, who) = self.agent()?;
        let text = read(&vm, &who, self.path.as_bytes()).await?;
        if line.is_none() && limit.is_none() {
            return Ok(text);
        }
        let skip = usize::try_from(line.unwrap_or(1).saturating_sub(1)).unwrap_or(usize::MAX);
        let take = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(text.split_inclusive('\n').skip(skip).take(take).collect())
    }

    async fn write(self, text: String) -> Result<(), ErrorInfo> {
        let path = self.path.as_bytes();
        if text.len() > TEXT_FILE_LIMIT {
            return Err(too_long(&self.path));
        }
        {
            let (vm, who) = self.agent()?;
            let made = directories(&vm, &who, path).await;
            made.map_err(|errno| failed(errno, "mkdir", &self.path))?;
        }
        let (placed, held) = self.place(PlacedFor::Writing).await?;
        let mut call = WriteTextFile {
            files_id: 0,
            session_id: self.texts.session_id.clone(),
            mount: mount(&placed),
            beneath: WirePath(placed.beneath),
            text,
        };
        if let Some(client) = self.texts.client(|spec| spec.write) {
            call.files_id = client.spec.files_id;
            let answer = asked(client.connection.call(&call)).await?;
            if answer.is_some_and(|reply| reply.written) {
                return Ok(());
            }
        }
        drop(held);
        // The agent has been told, and the file may be a newer one by now.
        if self.given_up.is_cancelled() {
            return Err(ErrorInfo::new(FAILED, "given up before it was written"));
        }
        let (vm, who) = self.agent()?;
        let written = write(&vm, &who, path, call.text.as_bytes()).await;
        written.map_err(|errno| failed(errno, "write", &self.path))
    }
}

/// What comes of a job, if that does not take too long. It goes on if it does, and if nobody waits any more: names are held until the
/// client has answered, and no file is left half written.
async fn outcome<T: Send + 'static>(
    given_up: CancellationToken,
    job: impl Future<Output = Result<T, ErrorInfo>> + Send + 'static,
    late: &str,
) -> Result<T, ErrorInfo> {
    // Also if the caller looks away.
    let _given_up = given_up.drop_guard();
    match tokio::time::timeout(CLIENT, tokio::spawn(job)).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => Err(ErrorInfo::new(FAILED, error.to_string())),
        Err(_) => Err(ErrorInfo::new(FAILED, format!("no answer within {} s{late}", CLIENT.as_secs()))),
    }
}

/// The same, as the driver has it.
pub(super) struct Port(pub(super) Arc<Texts>);

impl Files for Port {
    fn report_changed<'a>(&'a self, _: &'a ChangedFile) -> Pending<'a, bool> {
        Box::pin(async { Ok(true) })
    }

    fn texts(&self) -> ServedTexts {
        self.0.served
    }

    fn read_text<'a>(&'a self, read: &'a TextRead) -> Pending<'a, String> {
        Box::pin(async move {
            let job = self.0.job(&read.path).await?;
            outcome(job.given_up.clone(), job.read(read.line, read.limit), "").await
        })
    }

    fn write_text<'a>(&'a self, path: &'a str, text: &'a str) -> Pending<'a, ()> {
        Box::pin(async move {
            let job = self.0.job(path).await?;
            outcome(
                job.given_up.clone(),
                job.write(text.to_owned()),
                ": it is not known whether it was written",
            )
            .await
        })
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

/// What a client answers; nothing if it does not know the file or is gone: then the machine's is meant.
async fn asked<T>(call: impl Future<Output = Result<T, CallError>>) -> Result<Option<T>, ErrorInfo> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(reply)) => Ok(Some(reply)),
        Ok(Err(CallError::Lost(_))) => Ok(None),
        Ok(Err(error)) => Err(ErrorInfo::new(FAILED, error.to_string())),
        Err(_) => Err(ErrorInfo::new(FAILED, "the client does not answer")),
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
