//! Sessions as an editor has them: new ones, those that are gone on with, the list, and the end. Their ids are ours.

use std::sync::Arc;

use agentos::{
    CreateSessionOptions, Error, McpServerConfig, ResumeSessionOptions, SessionInfo, SessionInitData,
};
use agentos_acp::envelope::{RpcError, code};
use serde_json::{Map, Value, json};

use super::bridge::{Answer, Bridge, Open};
use super::directories::path;
use super::params::{Params, invalid};
use super::refusal::{refusal, shown};

/// Sessions of a page.
const PAGE: usize = 100;

/// Where a session works.
struct Places {
    cwd: String,
    further: Vec<String>,
}

fn servers(servers: Vec<Value>) -> Vec<McpServerConfig> {
    servers.into_iter().map(|server| McpServerConfig::Acp { server }).collect()
}

/// Follows a session on from where it was, unless another follows it by then.
struct Restore {
    bridge: Arc<Bridge>,
    before: Option<Arc<Open>>,
}

impl Restore {
    fn not_needed(mut self) {
        self.before = None;
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        let Some(before) = self.before.take() else { return };
        let (bridge, open) = (Arc::clone(&self.bridge), before.again());
        bridge.sessions.lock().insert(open.id.clone(), Arc::clone(&open));
        tokio::spawn(async move {
            before.over.cancelled().await;
            let from = *open.seen.borrow();
            match bridge.os.on_session_event(&open.id, Some(from)).await {
                Ok(events) => bridge.follow(open, events).await,
                Err(_) => {
                    open.over.cancel();
                    open.asked.close_all();
                }
            }
        });
    }
}

impl Bridge {
    /// `session/new`.
    pub(super) async fn new_session(&self, params: &Params) -> Result<Answer, RpcError> {
        let mcp_servers = params.servers()?.ok_or_else(|| invalid("mcpServers: is missing"))?;
        let places = self.places(params).await?;
        let told = (!self.takes_directories && !places.further.is_empty()).then(|| {
            format!("Besides the working directory, these belong to the work: {}", places.further.join(", "))
        });
        let options = CreateSessionOptions {
            cwd: Some(places.cwd),
            additional_directories: places.further,
            mcp_servers: servers(mcp_servers),
            model: self.model.clone(),
            additional_instructions: told,
            client_files: self.files.clone(),
            meta: params.meta()?,
            ..CreateSessionOptions::default()
        };
        let session = self.os.create_session(&self.agent, options).await.map_err(|error| begun(&error))?;
        let id = &session.session_id;
        let events = session.events(None).await.map_err(|error| refusal(&error))?;
        let open = Open::new(id, 0);
        self.sessions.lock().insert(id.clone(), Arc::clone(&open));
        let mut result = self.settings(&session.init);
        result.insert("sessionId".to_owned(), json!(id));
        Ok(Answer { result: Value::Object(result), follow: Some((open, events)) })
    }

    /// `session/load`: what was said comes before the result.
    pub(super) async fn load(self: &Arc<Self>, params: &Params) -> Result<Answer, RpcError> {
        let _one = self.opening.lock().await;
        let (_, init) = self.go_on(params, true).await?;
        let id = &init.session_id;
        let mut events = self.os.on_session_event(id, None).await.map_err(|error| {
            let why = format!("its history cannot be told from the start ({error}): use session/resume");
            RpcError::new(code::INTERNAL_ERROR, why)
        })?;
        let last = events.last_seq();
        let before = self.sessions.lock().get(id).cloned();
        let open = match &before {
            Some(before) => before.again(),
            None => Open::new(id, last),
        };
        // Whatever comes in between, a session that was open stays open.
        let restore = Restore { bridge: Arc::clone(self), before: before.clone() };
        let mut live_from = last;
        if let Some(before) = &before {
            before.stop.cancel();
            before.over.cancelled().await;
            live_from = *before.seen.borrow();
        }
        self.replay(&open, &mut events, live_from).await?;
        open.seen.send_modify(|seen| *seen = last.max(*seen));
        restore.not_needed();
        self.sessions.lock().insert(id.clone(), Arc::clone(&open));
        Ok(Answer { result: Value::Object(self.settings(&init)), follow: Some((open, events)) })
    }

    /// `session/resume`.
    pub(super) async fn resume(&self, params: &Params) -> Result<Answer, RpcError> {
        let _one = self.opening.lock().await;
        let (from, init) = self.go_on(params, false).await?;
        let id = &init.session_id;
        let result = Value::Object(self.settings(&init));
        if self.sessions.lock().get(id).is_some_and(|open| !open.over.is_cancelled()) {
            return Ok(result.into());
        }
        let events = self.os.on_session_event(id, Some(from)).await.map_err(|error| refusal(&error))?;
        let open = Open::new(id, from);
        self.sessions.lock().insert(id.clone(), Arc::clone(&open));
        Ok(Answer { result, follow: Some((open, events)) })
    }

    /// Has the agent of a session run, with the directories and servers that the editor names. Gives the number of its last
    /// event before that, too.
    async fn go_on(&self, params: &Params, servers_needed: bool) -> Result<(u64, SessionInitData), RpcError> {
        let known = self.known(params.text("sessionId")?).await?;
        let mcp_servers = params.servers()?;
        if servers_needed && mcp_servers.is_none() {
            return Err(invalid("mcpServers: is missing"));
        }
        let cwd = path("cwd", params.text("cwd")?)?;
        if cwd != known.cwd {
            let text = format!("cwd: the session works in {}, and not in {}", known.cwd, shown(&cwd));
            return Err(invalid(text));
        }
        let places = self.places(params).await?;
        let options = ResumeSessionOptions {
            mcp_servers: Some(servers(mcp_servers.unwrap_or_default())),
            additional_directories: Some(places.further),
            client_files: self.files.clone(),
            meta: Some(params.meta()?.unwrap_or_default()),
        };
        let session = self.os.resume_session_with(&known.session_id, options).await;
        session.map(|session| (known.last_seq, session.init)).map_err(|error| begun(&error))
    }

    /// A session of our agent, whether it is open or not.
    async fn known(&self, id: &str) -> Result<SessionInfo, RpcError> {
        let all = self.os.list_all_sessions().await.map_err(|error| refusal(&error))?;
        let missing = || RpcError::new(code::NOT_FOUND, format!("no session {}", shown(id)));
        let known = all.into_iter().find(|session| session.session_id == id).ok_or_else(missing)?;
        if known.agent_type != self.agent {
            let text =
                format!("the session is one of the agent `{}`, not of `{}`", known.agent_type, self.agent);
            return Err(RpcError::new(code::NOT_FOUND, text));
        }
        Ok(known)
    }

    /// Where a session is to work; the machine has it then.
    async fn places(&self, params: &Params) -> Result<Places, RpcError> {
        let cwd = path("cwd", params.text("cwd")?)?;
        let further = params.directories()?;
        let further: Vec<String> =
            further.into_iter().map(|text| path("additionalDirectories", text)).collect::<Result<_, _>>()?;
        self.directories.ensure(&self.os, "cwd", &cwd).await?;
        for directory in &further {
            self.directories.ensure(&self.os, "additionalDirectories", directory).await?;
        }
        Ok(Places { cwd, further })
    }

    /// What the agent offers to be set.
    fn settings(&self, init: &SessionInitData) -> Map<String, Value> {
        let mut settings = Map::new();
        for (name, value) in
            [("modes", &init.modes), ("models", &init.models), ("configOptions", &init.config_options)]
        {
            if let Some(value) = value {
                settings.insert(name.to_owned(), value.clone());
            }
        }
        self.client.fit(&mut settings);
        settings
    }

    /// `session/list`: the newest first.
    pub(super) async fn list(&self, params: &Params) -> Result<Value, RpcError> {
        let cwd = params.optional_text("cwd")?.map(|cwd| path("cwd", cwd)).transpose()?;
        let cursor = params.optional_text("cursor")?;
        let mut all = self.os.list_all_sessions().await.map_err(|error| refusal(&error))?;
        all.retain(|one| one.agent_type == self.agent && cwd.as_ref().is_none_or(|cwd| *cwd == one.cwd));
        // Ids begin with the moment they were made in; so a cursor holds, whatever is made or deleted meanwhile.
        all.sort_by(|a, b| b.session_id.cmp(&a.session_id));
        if let Some(cursor) = cursor {
            all.retain(|one| one.session_id.as_str() < cursor);
        }
        let more = all.len() > PAGE;
        all.truncate(PAGE);
        let next = all.last().filter(|_| more).map(|last| last.session_id.clone());
        let mut result = json!({ "sessions": all.iter().map(listed).collect::<Vec<_>>() });
        if let Some(next) = next {
            result["nextCursor"] = next.into();
        }
        Ok(result)
    }

    /// `session/close`: what runs is cancelled first.
    pub(super) async fn close(&self, params: &Params) -> Result<Value, RpcError> {
        let known = self.known(params.text("sessionId")?).await?;
        let id = &known.session_id;
        // One that does not run has nothing to cancel.
        let _ = self.os.cancel_session(id).await;
        self.os.close_session(id).await.map_err(|error| refusal(&error))?;
        self.left(id).await;
        Ok(json!({}))
    }

    /// `session/delete`: nothing is kept of it.
    pub(super) async fn delete(&self, params: &Params) -> Result<Value, RpcError> {
        let known = self.known(params.text("sessionId")?).await?;
        self.os.destroy_session(&known.session_id).await.map_err(|error| refusal(&error))?;
        self.left(&known.session_id).await;
        Ok(json!({}))
    }

    /// A session has ended for the editor: its prompts are answered before that is said.
    async fn left(&self, id: &str) {
        let open = self.sessions.lock().remove(id);
        if let Some(open) = open {
            self.answered(&open).await;
        }
    }
}

/// Why a session was not begun. What is wrong with a directory is the editor's affair.
fn begun(error: &Error) -> RpcError {
    match error {
        Error::Kernel { .. } => invalid(format!("cwd: {error}")),
        _ => refusal(error),
    }
}

fn listed(session: &SessionInfo) -> Value {
    let mut listed = json!({ "sessionId": session.session_id, "cwd": session.cwd });
    let updated = i64::try_from(session.updated_ms).ok().and_then(chrono::DateTime::from_timestamp_millis);
    if let Some(updated) = updated {
        listed["updatedAt"] = json!(updated.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    }
    if let Some(title) = &session.title {
        listed["title"] = json!(title);
    }
    if !session.additional_directories.is_empty() {
        listed["additionalDirectories"] = json!(session.additional_directories);
    }
    listed
}
