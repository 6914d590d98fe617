//! Making a session, and going on with one: from the request of a client to an agent that is ready for prompts.
//! Every step that fails leaves no process behind.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agentos_abi::fd::O_RDONLY;
use agentos_driver::ports::Files;
use agentos_kernel::Errno;
use agentos_kernel::sys::At;
use agentos_protocol::message::{CreateSession, ResumeSession, SessionInitData, SessionOptions};
use agentos_protocol::{Connection, WireError};
use ulid::Ulid;

use super::head::{Head, Setup};
use super::launch::GuestLauncher;
use super::protocol::Protocol;
use super::texts::{ClientFiles, Port, Texts};
use super::{Session, errors, native, protocol, remote, start};
use crate::config::variable;
use crate::errors::{bad_path, failed, no_vm};
use crate::vm::Vm;

/// How long the last events of an agent that has ended may take to the log.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// Most bytes read of the OS instructions.
const INSTRUCTIONS: usize = 2 << 20;

/// Starts an agent and a session with it. Dropping the future, like an error, kills the agent.
pub(crate) async fn create(
    vm: Arc<Vm>,
    connection: Connection,
    request: CreateSession,
) -> Result<SessionInitData, WireError> {
    let CreateSession { agent_type, options, .. } = request;
    let agent = vm.sessions.agents.get(&agent_type)?;
    let mut mcp_servers = start::mcp_servers(options.mcp_servers.as_ref())?;
    let headers = remote::split(&mut mcp_servers)?;
    let additional_directories = start::directories(&options.additional_directories)?;
    let meta = native::meta(&agent, options.meta.as_ref())?.unwrap_or_default();
    let path = match &options.cwd {
        Some(path) => start::directory(&vm.cwd, path.as_ref()).map_err(|e| bad_path(&e, path))?,
        None => vm.cwd.clone(),
    };
    let cwd = String::from_utf8(path.as_bytes().to_vec())
        .map_err(|_| errors::invalid("the working directory of an agent must be UTF-8"))?;
    let mut env = agent.env.clone();
    env.extend(options.env.clone());
    let protocol = Protocol::of(&agent).map_err(errors::invalid)?;
    protocol.complete(vm.kernel().env(), &mut env);
    let client_files = ClientFiles::of(connection, options.client_files, protocol)?;
    for (field, variables) in [("agent.env", &agent.env), ("env", &options.env)] {
        for (name, value) in variables {
            variable(field, name, value)?;
        }
    }
    let _place = vm.sessions.place(&vm.id)?;
    vm.directory(Some(path.as_bytes())).await?;
    let instructions = os_instructions(&vm, &agent.prepare_instructions, &options).await?;
    let SessionOptions { model, mode, .. } = options;
    let setup =
        Setup { agent, cwd, additional_directories, env, mcp_servers, instructions, model, mode, meta };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let head = Head::new(setup, u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    let id = Ulid::generate().to_string();
    let log = vm.sessions.new_log(&id, &head)?;
    let unused = Unused { vm: &vm, id: &id, used: false };
    let session = Session::new(id.clone(), log, head, headers);
    *session.record.client_files.lock() = client_files;
    begin(&vm, &session).await?;
    vm.checkpoint_turns(&session);
    let described = session.describe()?;
    vm.sessions.add(&vm.id, &session)?;
    unused.keep();
    Ok(described)
}

/// Goes on with a session whose agent does not run: with the agent's own session where it can, else with a new one that is
/// told what was said before. Nothing happens if it runs. Its MCP servers, directories and `_meta` are those that it had, or these.
pub(crate) async fn resume(
    vm: Arc<Vm>,
    connection: Connection,
    request: ResumeSession,
) -> Result<SessionInitData, WireError> {
    let session = vm.sessions.get(&request.session_id)?;
    let servers = match &request.mcp_servers {
        Some(servers) => {
            let mut servers = start::mcp_servers(Some(servers))?;
            let headers = remote::split(&mut servers)?;
            Some((servers, headers))
        }
        None => None,
    };
    let client_files = {
        let protocol = Protocol::of(&session.record.head.lock().setup.agent).map_err(errors::invalid)?;
        ClientFiles::of(connection, request.client_files, protocol)?
    };
    let directories = request.additional_directories.as_deref().map(start::directories).transpose()?;
    let meta = native::meta(&session.record.head.lock().setup.agent, request.meta.as_ref())?;
    let one = session.changing.lock().await;
    // It may have been forgotten meanwhile.
    if !vm.sessions.has(&session) {
        return Err(errors::no_session(&session.id));
    }
    let is_new = {
        let setup = &session.record.head.lock().setup;
        let others = |(servers, headers): &(Vec<_>, _)| {
            *servers != setup.mcp_servers || *headers != *session.record.headers.lock()
        };
        servers.as_ref().is_some_and(others)
            || directories.as_ref().is_some_and(|asked| *asked != setup.additional_directories)
    };
    if session.is_live() && is_new {
        return Err(errors::invalid(
            "the session runs with other MCP servers or directories: close it, then resume it",
        ));
    }
    if session.is_live()
        && let Some(files) = &client_files
    {
        let mut now = session.record.client_files.lock();
        if now.as_ref().map(ClientFiles::served) != Some(files.served()) {
            return Err(errors::invalid(
                "the session runs without these files of its client: close it, then resume it",
            ));
        }
        *now = Some(files.clone());
    }
    if !session.is_live() {
        // The last words of the agent before are in the log before those of the next one.
        let before = session.live.lock().as_ref().map(|live| live.kernel.clone());
        if let Some(kernel) = before {
            let _ = tokio::time::timeout(LAST_WORDS, kernel.ended()).await;
        }
        session.settle().await;
        let _place = vm.sessions.place(&vm.id)?;
        if let Some(meta) = meta.filter(|meta| *meta != session.record.head.lock().setup.meta) {
            session.record.change(|head| head.setup.meta = meta);
        }
        if is_new {
            let servers = servers.map(|(servers, headers)| {
                *session.record.headers.lock() = headers;
                servers
            });
            session.record.change(|head| {
                let setup = &mut head.setup;
                setup.mcp_servers = servers.unwrap_or(std::mem::take(&mut setup.mcp_servers));
                let before = std::mem::take(&mut setup.additional_directories);
                setup.additional_directories = directories.unwrap_or(before);
            });
        }
        let had_files = session.record.client_files.lock().clone();
        if client_files.is_some() {
            *session.record.client_files.lock() = client_files;
        }
        if let Err(error) = begin(&vm, &session).await {
            *session.record.client_files.lock() = had_files;
            session.record.log.end();
            return Err(error);
        }
        vm.checkpoint_turns(&session);
        session.reopen();
    }
    drop(one);
    if !vm.sessions.has(&session) {
        session.suspend().await;
        return Err(no_vm(&vm.id));
    }
    session.describe()
}

/// Starts the agent of a session; anew, if it does not know its own session any more.
async fn begin(vm: &Arc<Vm>, session: &Arc<Session>) -> Result<(), WireError> {
    let begun = attempt(vm, session).await;
    if begun.is_err() && session.record.begins_anew() { attempt(vm, session).await } else { begun }
}

async fn attempt(vm: &Arc<Vm>, session: &Arc<Session>) -> Result<(), WireError> {
    let agent = session.record.head.lock().setup.agent.clone();
    let state = session.record.head.lock().setup.env.get(protocol::CODEX_HOME).cloned();
    if let Some(state) = state.filter(|_| Protocol::of(&agent) == Ok(Protocol::Codex)) {
        let path = start::directory(&vm.cwd, state.as_bytes()).map_err(|error| bad_path(&error, &state))?;
        vm.make_directories(&path).await?;
    }
    let launcher = GuestLauncher::new(vm, agent);
    let own = crate::tools::mcp_server(vm);
    let guest = Arc::<GuestLauncher>::clone(&launcher);
    // The end of an attempt before took back what it had.
    session.record.grants.lock().clear();
    let (servers, grants) = remote::bridged(vm, &session.record)?;
    *session.record.grants.lock() = grants;
    let files = Texts::new(vm, &session.id, &session.record, Arc::<GuestLauncher>::clone(&launcher));
    let files = files.map(|files| -> Arc<dyn Files> { Arc::new(Port(files)) });
    let bounds = start::Bounds::default();
    let begun = start::boot(session, launcher, guest, files, bounds, servers, own).await;
    if begun.is_err() {
        session.record.grants.lock().clear();
    }
    begun
}

/// The log of a session that does not come to be.
struct Unused<'a> {
    vm: &'a Vm,
    id: &'a str,
    used: bool,
}

impl Unused<'_> {
    fn keep(mut self) {
        self.used = true;
    }
}

impl Drop for Unused<'_> {
    fn drop(&mut self) {
        if !self.used {
            self.vm.sessions.forget_log(self.id);
        }
    }
}

impl Vm {
    /// Makes a checkpoint before each turn, if the configuration says so.
    fn checkpoint_turns(self: &Arc<Self>, session: &Arc<Session>) {
        if !self.config.turn_checkpoints {
            return;
        }
        let (vm, id) = (Arc::downgrade(self), session.id.clone());
        session.before_each_turn(Box::new(move |number| {
            let (vm, name) = (vm.clone(), format!("{id}/turn-{number}"));
            Box::pin(async move {
                // Looking for what the one before it keeps may take a while.
                let made = tokio::task::spawn_blocking(move || {
                    let Some(vm) = vm.upgrade() else { return Ok(()) };
                    vm.checkpoints.make(&vm.kernel().namespace, name, true).map(drop)
                });
                // Without room for one the turn goes on all the same.
                match made.await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "no checkpoint before this turn"),
                    Err(error) => tracing::error!(%error, "no checkpoint before this turn"),
                }
            })
        }));
    }
}

async fn os_instructions(
    vm: &Vm,
    prepare: &Option<String>,
    options: &SessionOptions,
) -> Result<String, WireError> {
    let os = if options.skip_os_instructions { None } else { read_instructions(vm).await? };
    Ok(start::instructions([prepare.as_deref(), os.as_deref(), options.additional_instructions.as_deref()]))
}

/// The OS instructions of the VM; `None` if it has none.
async fn read_instructions(vm: &Vm) -> Result<Option<String>, WireError> {
    const PATH: &str = "/etc/agentos/instructions.md";
    let kernel = vm.kernel();
    let fail = |errno| failed(errno, "read", PATH);
    let file = match kernel.open(&kernel.host(), None, At::Cwd(PATH.as_bytes()), O_RDONLY, 0).await {
        Ok(file) => file,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
        Err(errno) => return Err(fail(errno)),
    };
    let mut text = Vec::new();
    let mut buf = vec![0; 16 << 10];
    while text.len() < INSTRUCTIONS {
        match kernel.pread(&file, &mut buf, text.len() as u64).await.map_err(fail)? {
            0 => break,
            n => text.extend_from_slice(&buf[..n]),
        }
    }
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}
