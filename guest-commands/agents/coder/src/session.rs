//! One session: what the client sets, and what turns work on. It runs nothing.

use std::{io, path::Path};

use agentos_agent_common::server::Server;
use serde_json::{Value, json};

use crate::{
    config::{MAX_MODEL, Settings},
    history::Item,
    mcp::Remote,
    permission::{Grants, Mode},
    store::{Header, Line, Loaded, Store},
};

/// Ids of the config options.
const MODE: &str = "mode";
const MODEL: &str = "model";

/// A session. While a turn runs, the turn has its [`Work`].
pub(crate) struct Session {
    pub(crate) cwd: String,
    pub(crate) mode: Mode,
    pub(crate) model: String,
    pub(crate) grants: Grants,
    pub(crate) title: String,
    pub(crate) work: Option<Work>,
}

/// What a turn works on.
pub(crate) struct Work {
    pub(crate) header: Header,
    /// Of the host.
    pub(crate) instructions: String,
    /// What the model knows.
    pub(crate) items: Vec<Item>,
    /// The file; `None` before the first prompt, and where there is no place for one.
    pub(crate) store: Option<Store>,
    pub(crate) servers: Vec<Server>,
    /// Tools of the servers that run.
    pub(crate) remote: Vec<Remote>,
    /// Process groups that commands left behind.
    pub(crate) left: Vec<u32>,
    pub(crate) calls: u64,
    pub(crate) messages: u64,
    pub(crate) compactions: u64,
    /// Tokens of the context after the last answer.
    pub(crate) used: u64,
    /// Bytes that came to the context since.
    pub(crate) since: u64,
}

impl Session {
    pub(crate) fn new(header: Header, instructions: String, servers: Vec<Server>, model: String) -> Self {
        Self {
            cwd: header.cwd.clone(),
            mode: Mode::default(),
            model,
            grants: Grants::default(),
            title: String::new(),
            work: Some(Work {
                header,
                instructions,
                items: Vec::new(),
                store: None,
                servers,
                remote: Vec::new(),
                left: Vec::new(),
                calls: 0,
                messages: 0,
                compactions: 0,
                used: 0,
                since: 0,
            }),
        }
    }

    /// A session of a file, in a directory that may be another one now.
    pub(crate) fn of_file(
        loaded: Loaded,
        store: Store,
        cwd: String,
        instructions: String,
        servers: Vec<Server>,
        model: String,
    ) -> Self {
        let header = Header { cwd, ..loaded.header };
        let title = header.title.clone();
        let instructions = if instructions.is_empty() { loaded.instructions } else { instructions };
        let mut session = Self::new(header, instructions, servers, model);
        if let Some(work) = &mut session.work {
            (work.items, work.used, work.store) = (loaded.items, loaded.used, Some(store));
        }
        Self { title, ..session }
    }

    /// Sets a config option.
    pub(crate) fn set(&mut self, option: &str, value: &Value) -> Result<(), &'static str> {
        match (option, value.as_str()) {
            (MODE, Some(id)) => self.set_mode(id),
            (MODEL, Some(model)) if !model.is_empty() && model.len() <= MAX_MODEL => {
                model.clone_into(&mut self.model);
                Ok(())
            }
            (MODE | MODEL, _) => Err("mode and model are texts; a model has a name of at most 256 bytes"),
            _ => Err("no such config option; there are mode and model"),
        }
    }

    pub(crate) fn set_mode(&mut self, id: &str) -> Result<(), &'static str> {
        self.mode = Mode::named(id).ok_or("mode is ask, accept-edits, bypass or plan")?;
        Ok(())
    }

    pub(crate) fn modes(&self) -> Value {
        let modes: Vec<_> = Mode::ALL
            .iter()
            .map(|(_, id, name, about)| json!({"id": id, "name": name, "description": about}))
            .collect();
        json!({"currentModeId": self.mode.id(), "availableModes": modes})
    }

    /// The complete list of config options.
    pub(crate) fn options(&self, settings: &Settings) -> Value {
        let modes: Vec<_> = Mode::ALL
            .iter()
            .map(|(_, id, name, about)| json!({"value": id, "name": name, "description": about}))
            .collect();
        let mut models: Vec<&str> = settings.models.iter().map(String::as_str).collect();
        if !models.contains(&self.model.as_str()) {
            models.push(&self.model);
        }
        let models: Vec<_> = models.iter().map(|model| json!({"value": model, "name": model})).collect();
        json!([
            {
                "id": MODE,
                "name": "Mode",
                "description": "What runs without a question",
                "category": "mode",
                "type": "select",
                "currentValue": self.mode.id(),
                "options": modes,
            },
            {
                "id": MODEL,
                "name": "Model",
                "description": "Which model is asked; any name that the endpoint knows",
                "category": "model",
                "type": "select",
                "currentValue": self.model,
                "options": models,
            },
        ])
    }
}

impl Work {
    /// Says something: to the model from now on, and in the file.
    pub(crate) fn push(&mut self, item: Item) -> io::Result<()> {
        self.since += serde_json::to_vec(&item)?.len() as u64;
        let line = Line::Item { item: item.clone() };
        self.items.push(item);
        self.keep(&line)
    }

    /// Adds a line to the file, if there is one.
    pub(crate) fn keep(&mut self, line: &Line) -> io::Result<()> {
        self.store.as_mut().map_or(Ok(()), |store| store.add(line))
    }

    /// Begins the file at the first prompt, and makes it shorter when it is full.
    pub(crate) fn prepare(&mut self, folder: &Path) -> io::Result<()> {
        match &mut self.store {
            None if self.items.is_empty() => {
                self.store = Some(Store::create(folder, &self.header, &self.instructions)?);
            }
            Some(store) if store.is_full() => {
                store.rewrite(&self.header, &self.instructions, &self.items)?;
                if store.is_full() {
                    return Err(io::Error::other("the session is full; begin a new one"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// About how many tokens the context has: what the model counted, and four bytes a token for the rest.
    pub(crate) fn tokens(&self) -> u64 {
        self.used.saturating_add(self.since / 4)
    }
}
