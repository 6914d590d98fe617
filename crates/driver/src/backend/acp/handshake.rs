//! From a process that was started to a session that takes prompts: the version, the login, the session that is resumed,
//! loaded or new. It says what it found; what the agent sends meanwhile goes through the inbox.

use std::sync::atomic::Ordering;
use std::time::Duration;

use agentos_acp::Error;
use serde_json::{Value, json};

use super::agent::Agent;
use super::client::ClientSide;
use super::options::Options;
use super::{Capabilities, Profile, member};
use crate::backend::Context;
use crate::backend::options;
use crate::error::{RESUME_LOST, UNSUPPORTED};
use crate::event::{Body, DiagnosticSource, Draft, SessionInfo, Severity};
use crate::{ErrorInfo, ResumeRef, Runtime};

/// `authenticate`.
const AUTHENTICATE: Duration = Duration::from_secs(30);

/// The agent speaks another version.
const VERSION: &str = "acp.unsupported_protocol_version";
/// The agent answered a request of the start with an error.
const REFUSED: &str = "acp.start_refused";

async fn warn(cx: &Context, code: &str, text: impl Into<String>) {
    cx.session(Body::diagnostic(code, Severity::Warn, DiagnosticSource::Backend, text)).await;
}

/// Opens the session.
///
/// # Errors
/// What the agent refused, `resume.lost`, or how its process ended.
pub(super) async fn open(
    agent: &Agent,
    cx: &Context,
    options: &Options,
    limits: &Profile,
    guide: Option<String>,
) -> Result<(), ErrorInfo> {
    let profile = initialize(agent, limits).await?;
    authenticate(agent, cx, options, &profile).await?;
    let can = agent.capabilities();
    let setup = setup(cx, options, &can, guide.as_deref()).await?;
    let resumed = resume(agent, cx, options, limits.session, &can, &setup).await?;
    if !resumed {
        agent.inbox.expect(None, None);
        let answer = agent.ask("session/new", &setup, limits.session).await;
        if let Err(error) = answer {
            return Err(refused(agent, &error, &profile).await);
        }
        agent.guide_due.store(!can.system_prompt, Ordering::Relaxed);
    }
    if agent.guide_due.load(Ordering::Relaxed) {
        *agent.guide.lock() = guide;
    }
    let session = agent.inbox.state.lock().session.clone();
    let Some(session) = session else {
        return Err(ErrorInfo::new(REFUSED, "the agent gave its session no id"));
    };
    cx.resumable(ResumeRef::new(Runtime::Acp, session), None).await;
    choose_model(agent, cx).await;
    let model = {
        let state = agent.inbox.state.lock();
        state.translator.as_ref().and_then(|translator| translator.settings.model())
    };
    let version = profile.get("agentInfo").and_then(|info| member::text(info, "version"));
    let info = SessionInfo {
        model,
        cwd: Some(cx.execution.session.cwd.clone()),
        vendor_version: version.map(|version| member::printable(version, 256)),
        ..SessionInfo::default()
    };
    cx.emit(Draft::of_session(Body::SessionInfoUpdated(info))).await;
    let closed = {
        let mut state = agent.inbox.state.lock();
        state.ready = true;
        state.closed
    };
    // Whoever is told of the end is told by us or by the inbox, not by both.
    if closed { Err(agent.explain(&Error::Closed, REFUSED).await) } else { Ok(()) }
}

async fn initialize(agent: &Agent, limits: &Profile) -> Result<Value, ErrorInfo> {
    let client = agent.inbox.client.as_deref();
    let texts = client.map(ClientSide::texts).unwrap_or_default();
    let mut params = json!({
        "protocolVersion": 1,
        "clientCapabilities": {
            "fs": {"readTextFile": texts.read, "writeTextFile": texts.write},
            "terminal": client.is_some_and(|client| client.terminals().is_some()),
            "session": {"configOptions": {"boolean": {}}, "notices": {}, "compaction": {}},
        },
        "clientInfo": {"name": "agentos-driver", "title": "Agent OS driver", "version": env!("CARGO_PKG_VERSION")},
    });
    if limits.elicitation {
        params["clientCapabilities"]["elicitation"] = json!({"form": {}});
    }
    let profile = match agent.ask("initialize", &params, limits.initialize).await {
        Ok(profile) => profile,
        Err(error) => return Err(agent.explain(&error, REFUSED).await),
    };
    match profile.get("protocolVersion") {
        Some(version) if version.as_u64() == Some(1) || version.as_str() == Some("1") => {}
        other => {
            let offered = member::printable(&other.cloned().unwrap_or_default().to_string(), 64);
            let text = format!("the agent speaks version {offered} of the protocol, only 1 is supported");
            return Err(ErrorInfo::new(VERSION, text));
        }
    }
    agent.introduced(&profile);
    Ok(profile)
}

/// Logs in, if that is wanted and offered. A login in a terminal is none that an agent can do by itself.
async fn authenticate(
    agent: &Agent,
    cx: &Context,
    options: &Options,
    profile: &Value,
) -> Result<(), ErrorInfo> {
    let Some(wanted) = &options.auth_method else { return Ok(()) };
    let methods = member::list(profile, "authMethods");
    let is_wanted = |method: &&Value| {
        member::text(method, "id") == Some(wanted) && member::text(method, "type") != Some("terminal")
    };
    if !methods.iter().any(|method| is_wanted(&method)) {
        warn(cx, "acp.auth_method_unknown", "the agent does not offer the login that is configured").await;
        return Ok(());
    }
    match agent.ask("authenticate", &json!({"methodId": wanted}), AUTHENTICATE).await {
        Ok(_) => Ok(()),
        Err(error) => Err(agent.explain(&error, "acp.auth_failed").await),
    }
}

/// What each way to open a session is told.
async fn setup(
    cx: &Context,
    own: &Options,
    can: &Capabilities,
    guide: Option<&str>,
) -> Result<Value, ErrorInfo> {
    let session = &cx.execution.session;
    let mut servers = Vec::new();
    for server in options::left_out(&cx.execution) {
        let text = format!("MCP server {} is skipped: {}", server.name, server.authorization_state);
        warn(cx, "mcp.server_skipped", text).await;
    }
    for usable in options::usable(&cx.execution) {
        let name = &usable.server.name;
        if !can.mcp_http {
            let text = format!("the agent cannot use MCP servers over http, and {name} is one");
            return Err(ErrorInfo::new("acp.mcp_unsupported", text));
        }
        let header = |grant| json!({"name": "Authorization", "value": format!("Bearer {grant}")});
        let headers: Vec<Value> = usable.grant.map(header).into_iter().collect();
        servers.push(json!({"type": "http", "name": name, "url": usable.url, "headers": headers}));
    }
    for server in &own.mcp_servers {
        let remote = member::text(server, "type").filter(|kind| *kind != "stdio");
        if remote == Some("http") && !can.mcp_http || remote == Some("sse") && !can.mcp_sse {
            let name = member::printable(member::text(server, "name").unwrap_or_default(), 64);
            let kind = remote.unwrap_or_default();
            let text = format!("the agent cannot use MCP servers over {kind}, and {name} is one");
            return Err(ErrorInfo::new(UNSUPPORTED, text));
        }
        servers.push(server.clone());
    }
    let mut setup = json!({"cwd": session.cwd, "mcpServers": servers});
    if !session.additional_directories.is_empty() {
        if can.additional_directories {
            setup["additionalDirectories"] = json!(session.additional_directories);
        } else {
            warn(cx, "acp.directories_unsupported", "the agent takes no additional directories").await;
        }
    }
    if let Some(text) = guide.filter(|_| can.system_prompt) {
        setup["systemPrompt"] = json!({"mode": "append", "content": [{"type": "text", "text": text}]});
    }
    let mut meta = own.meta.clone();
    if let Some(host) = cx.ports.host_integration.snapshot() {
        let place = json!({"configRevision": host.config_revision, "sessionContext": host.session_context});
        meta.entry("host").or_insert(place);
    }
    if !meta.is_empty() {
        setup["_meta"] = Value::Object(meta);
    }
    Ok(setup)
}

/// Goes on with the session there was. False if there was none, or a new one stands for it.
async fn resume(
    agent: &Agent,
    cx: &Context,
    options: &Options,
    limit: Duration,
    can: &Capabilities,
    setup: &Value,
) -> Result<bool, ErrorInfo> {
    let (reference, cost) = cx.resume_ref();
    let Some(ResumeRef { value: id, .. }) = reference else { return Ok(false) };
    let mut why = "the agent can neither resume nor load a session".to_owned();
    for (method, offered) in [("session/resume", can.resume), ("session/load", can.load)] {
        if !offered {
            continue;
        }
        let mut params = setup.clone();
        params["sessionId"] = id.clone().into();
        agent.inbox.expect(Some(&id), cost);
        match agent.ask(method, &params, limit).await {
            Ok(_) => return Ok(true),
            Err(Error::NotSupported { .. }) => {}
            Err(Error::Rpc { error, .. }) if error.code != -32000 => {
                why = format!(
                    "the agent no longer has the session: {}",
                    member::printable(&error.message, 1024)
                );
                break;
            }
            Err(error) => return Err(agent.explain(&error, REFUSED).await),
        }
    }
    if options.new_if_lost {
        warn(cx, RESUME_LOST, format!("{why}; a new one is begun")).await;
        return Ok(false);
    }
    Err(ErrorInfo::new(RESUME_LOST, why))
}

/// Why there is no session; of an agent that wants a login, with the ways it offers.
async fn refused(agent: &Agent, error: &Error, profile: &Value) -> ErrorInfo {
    let info = agent.explain(error, REFUSED).await;
    if info.code != "acp.auth_required" {
        return info;
    }
    let methods = member::list(profile, "authMethods").iter();
    let ids: Vec<&str> = methods.filter_map(|method| member::text(method, "id")).collect();
    info.with("authMethods", member::printable(&ids.join(" "), 1024))
}

/// Uses the model of the execution, where the agent offers it.
async fn choose_model(agent: &Agent, cx: &Context) {
    let wanted = &cx.execution.model;
    if wanted.is_empty() {
        return;
    }
    let offered = {
        let state = agent.inbox.state.lock();
        state.translator.as_ref().and_then(|translator| translator.settings.offered_model(wanted))
    };
    match offered {
        Some(Err(())) => {}
        Some(Ok(value)) => {
            if let Err(error) = agent.set("model", &value.into()).await {
                warn(cx, "acp.model_refused", error.message).await;
            }
        }
        None => {
            warn(cx, "acp.model_unknown", "the agent does not offer the model: its own choice is used").await
        }
    }
}
