//! From a session that is made to one that takes prompts: a Driver Kernel for it, with a backend that starts the agent.
//! Where the process runs, it does not know.

use std::sync::Arc;
use std::time::Duration;

use agentos_acp::schema::McpServer;
use agentos_driver::backend::acp;
use agentos_driver::boot::Execution;
use agentos_driver::ports::Files;
use agentos_driver::process::Launcher;
use agentos_driver::{ErrorInfo, Kernel, Ports, StartInput, State};
use agentos_protocol::WireError;
use agentos_protocol::message::{JsonText, WirePath};
use agentos_vfs::{GuestPath, PathError};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::agents;
use super::entry::{Live, Session};
use super::errors::invalid;
use super::head::Setup;
use super::launch::Guest;
use super::protocol::Protocol;
use super::sink::Sink;

/// MCP servers of one session.
const MCP_SERVERS: usize = 64;
/// Further directories of one session.
const DIRECTORIES: usize = 64;
/// Events that are pushed at once.
const BATCH: usize = 256;
/// How long the end of a start that failed may take.
const ENDED: Duration = Duration::from_secs(10);

/// Agents that read instructions in `_meta`; the others hear them with their first prompt.
const READS_META: &[&str] = &["claude", "coder", "scripted"];

/// How agents of machines are treated.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// Bounds of the wire and the start.
    pub(super) profile: acp::Profile,
    /// How long a permission request stays open.
    pub(super) permission: Duration,
    /// How long an agent may take to end a cancelled turn.
    pub(super) cancel: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        let (permission, cancel) = (Duration::from_secs(120), Duration::from_secs(5));
        Bounds { profile: acp::Profile::guest(), permission, cancel }
    }
}

/// What is to be run.
fn execution(
    protocol: Protocol,
    setup: &Setup,
    mut servers: Vec<Value>,
    own: Option<McpServer>,
) -> Execution {
    let mut execution = Execution::default();
    execution.session.cwd.clone_from(&setup.cwd);
    execution.session.additional_directories.clone_from(&setup.additional_directories);
    if protocol != Protocol::Acp || !READS_META.contains(&setup.agent.id.as_str()) {
        execution.profile_prompt.clone_from(&setup.instructions);
    }
    // The client's server of a name goes before ours.
    let named = |server: &Value| server.get("name").and_then(Value::as_str).map(str::to_owned);
    let own = own.and_then(|server| serde_json::to_value(server).ok());
    let own = own.filter(|own| !servers.iter().any(|server| named(server) == named(own)));
    servers.extend(own);
    if protocol != Protocol::Acp {
        protocol.fill(&mut execution, setup, &servers);
        return execution;
    }
    let mut options = json!({
        "command": agents::program(&setup.agent),
        "args": setup.agent.args,
        "env": setup.env,
        "mcpServers": servers,
        "resumeFallback": "new",
    });
    let meta = meta(setup);
    if !meta.is_empty() {
        options["meta"] = Value::Object(meta);
    }
    execution.provider_options = options.as_object().cloned().unwrap_or_default();
    execution
}

/// Starts an agent for a session: a new one, or one that goes on where the last one was; `servers` are the MCP servers that its
/// client named, as the agent is to have them, `own` is one of the machine besides; `files` are texts that the agent may ask for. On an error nothing of it is left.
pub(super) async fn boot(
    session: &Arc<Session>,
    launcher: Arc<dyn Launcher>,
    guest: Arc<dyn Guest>,
    files: Option<Arc<dyn Files>>,
    bounds: Bounds,
    servers: Vec<Value>,
    own: Option<McpServer>,
) -> Result<(), WireError> {
    let record = &session.record;
    let (setup, resume, cost_total) = {
        let head = record.head.lock();
        (head.setup.clone(), head.resume.clone(), head.cost_total)
    };
    let protocol = Protocol::of(&setup.agent).map_err(invalid)?;
    if record.broken.is_cancelled() {
        return Err(session.gone());
    }
    *record.failure.lock() = None;
    record.log.resume();
    // Numbers of its last life may have run ahead of those in the log.
    record.noted.send_replace(0);
    let mut ports = Ports::new(launcher);
    ports.event_sink = Some(Arc::new(Sink::new(Arc::clone(record))));
    if let Some(files) = files {
        ports.files = files;
    }
    let input = StartInput {
        session_id: session.id.parse().unwrap_or_default(),
        resume,
        cost_total,
        next_seq: record.log.range().end,
        permission_timeout: Some(bounds.permission),
        cancel_grace: bounds.cancel,
        native_messages: true,
        batch: BATCH,
        ..StartInput::new(execution(protocol, &setup, servers, own))
    };
    let kernel = Kernel::start(Arc::new(protocol.descriptor(bounds.profile)), ports, input).await;
    let kernel = kernel.map_err(|error| session.failed(&error))?;
    if kernel.state() != State::Ready {
        return Err(why(session, &kernel).await);
    }
    for (name, value) in [("model", &setup.model), ("mode", &setup.mode)] {
        let Some(value) = value else { continue };
        let order = agentos_driver::Order::ConfigSet {
            config_id: protocol.setting(name).into(),
            value: value.clone().into(),
        };
        let update = kernel.dispatch(agentos_driver::Command::of(order)).await;
        if let Some(error) = update.error {
            let _ = tokio::time::timeout(ENDED, kernel.stop("session.start_failed")).await;
            guest.kill();
            return Err(session.failed(&error));
        }
    }
    let (broken, of, killed) = (record.broken.clone(), Arc::downgrade(session), Arc::clone(&guest));
    let gone = CancellationToken::new();
    *session.live.lock() = Some(Live { kernel, guest, _watch: Arc::new(gone.clone().drop_guard()) });
    tokio::spawn(async move {
        tokio::select! {
            () = broken.cancelled() => {
                killed.kill();
                if let Some(session) = of.upgrade() {
                    session.live.lock().take();
                    session.record.log.end();
                }
            }
            () = gone.cancelled() => {}
        }
    });
    Ok(())
}

/// Why a kernel did not become ready. It has ended by then, or it ends now.
async fn why(session: &Session, kernel: &Kernel) -> WireError {
    let _ = tokio::time::timeout(ENDED, kernel.until(State::is_terminal)).await;
    let failure = session.record.failure.lock().clone();
    let unknown = || ErrorInfo::new("driver.backend_exited", "the agent could not be started");
    session.failed(&failure.unwrap_or_else(unknown))
}

/// What the client says in `_meta`, which ACP leaves to the two sides, and the instructions: in the form that Claude's adapters
/// read, and in ours.
fn meta(setup: &Setup) -> Map<String, Value> {
    let (mut meta, instructions) = (setup.meta.clone(), &setup.instructions);
    if !instructions.is_empty() {
        meta.insert("systemPrompt".to_owned(), json!({ "append": instructions }));
        meta.insert("agentos".to_owned(), json!({ "instructions": instructions }));
    }
    meta
}

/// Reads the MCP servers of a request; they come in ACP's form.
pub(crate) fn mcp_servers(json: Option<&JsonText>) -> Result<Vec<Value>, WireError> {
    let Some(json) = json else { return Ok(Vec::new()) };
    let wrong = |error: serde_json::Error| invalid(format!("mcpServers: {error}"));
    let _understood: Vec<McpServer> = json.parse().map_err(wrong)?;
    let servers: Vec<Value> = json.parse().map_err(wrong)?;
    if servers.len() > MCP_SERVERS {
        return Err(invalid(format!("more than {MCP_SERVERS} MCP servers")));
    }
    Ok(servers)
}

/// Reads the further directories of a request.
pub(crate) fn directories(asked: &[WirePath]) -> Result<Vec<String>, WireError> {
    if asked.len() > DIRECTORIES {
        return Err(invalid(format!("more than {DIRECTORIES} additional directories")));
    }
    let text = |path: &WirePath| {
        let wrong = |why: &str| invalid(format!("additionalDirectories: {path}: {why}"));
        if !path.as_ref().starts_with(b"/") {
            return Err(wrong("must be an absolute path"));
        }
        let path_of = GuestPath::new(path.as_ref()).map_err(|error| wrong(&error.to_string()))?;
        String::from_utf8(path_of.as_bytes().to_vec()).map_err(|_| wrong("must be UTF-8"))
    };
    asked.iter().map(text).collect()
}

/// Puts the parts of the instructions together; empty ones are left out.
pub(crate) fn instructions<'a>(parts: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let parts: Vec<_> = parts.into_iter().flatten().map(str::trim).filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

/// The working directory asked for; a relative one counts from the VM's.
pub(crate) fn directory(of_vm: &GuestPath, asked: &[u8]) -> Result<GuestPath, PathError> {
    if asked.starts_with(b"/") { GuestPath::new(asked) } else { of_vm.join(asked) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_joined_and_go_into_meta() {
        let all = instructions([Some("first\n"), None, Some("  "), Some("last")]);
        assert_eq!(all, "first\n\nlast");
        let of_client = json!({"systemPrompt": {"replace": "all"}, "agentos": 1, "mine": {"a": 1}});
        let mut setup = Setup { meta: of_client.as_object().cloned().unwrap(), ..Setup::default() };
        assert_eq!(Value::Object(meta(&setup)), of_client);
        setup.instructions = all;
        let both = json!({"systemPrompt": {"append": "first\n\nlast"}, "mine": {"a": 1},
            "agentos": {"instructions": "first\n\nlast"}});
        assert_eq!(Value::Object(meta(&setup)), both);
        assert!(meta(&Setup::default()).is_empty());
    }

    #[test]
    fn directories_are_absolute_or_count_from_that_of_the_vm() {
        let of_vm = GuestPath::new("/workspace").unwrap();
        for (asked, path) in [("/tmp/", "/tmp"), ("a/../b", "/workspace/b"), ("", "/workspace"), ("/", "/")] {
            assert_eq!(directory(&of_vm, asked.as_bytes()).unwrap().to_string(), path);
        }
        assert!(directory(&of_vm, b"a\0").is_err());
    }

    #[test]
    fn mcp_servers_are_read_in_the_form_of_acp() {
        let json = r#"[{"name":"l","command":"/bin/s","args":["-x"],"env":[{"name":"A","value":"1"}]},
            {"type":"http","name":"r","url":"http://h/","headers":[]}]"#;
        let servers = mcp_servers(Some(&JsonText(json.into()))).unwrap();
        assert_eq!((servers.len(), &servers[1]["type"]), (2, &json!("http")));
        assert!(mcp_servers(None).unwrap().is_empty());
        for wrong in ["{}", "[{}]", "nonsense"] {
            let error = mcp_servers(Some(&JsonText(wrong.into()))).unwrap_err();
            assert!(error.message.starts_with("mcpServers: "), "{error}");
        }
    }
}
