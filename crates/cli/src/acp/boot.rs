//! From arguments to a machine for the sessions of an editor, and what the agent in it says that it can.

use std::path::PathBuf;
use std::sync::Arc;

use agentos::{AgentOs, AgentOsConfig, CreateSessionOptions, PersistenceConfig};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde_json::Value;

use super::directories::{Directories, Given};
use super::host_path::HostPath;
use crate::args::{AcpArgs, EditorFilesArg, MountArg};
use crate::choice::{self, Choice};
use crate::save::Save;
use crate::{machine, output};

/// What is known before the machine is made.
pub(super) struct Setup {
    config: AgentOsConfig,
    choice: Choice,
    no_mount: bool,
    mounts: Vec<MountArg>,
    editor_files: EditorFilesArg,
    save: Option<Save>,
}

/// A machine, and its agent as it introduced itself.
pub(super) struct Booted {
    pub(super) os: AgentOs,
    pub(super) agent: String,
    pub(super) model: Option<String>,
    pub(super) capabilities: Option<Value>,
    pub(super) agent_info: Option<Value>,
    pub(super) directories: Arc<Directories>,
    pub(super) editor_files: EditorFilesArg,
    pub(super) save: Option<Save>,
}

impl Setup {
    pub(super) fn new(args: AcpArgs) -> Result<Self> {
        let save = Save::of(&args.machine)?;
        let mut config = machine::config(&args.machine)?;
        if let Some(place) = &args.persist {
            let path = std::path::absolute(place).into_diagnostic()?;
            let text = path.to_str().ok_or_else(|| miette!("--persist {}: not UTF-8", path.display()))?;
            config.persistence = Some(PersistenceConfig::Directory { path: text.to_owned() });
        }
        let choice = choice::choose(&args.agent, &mut config, |name| std::env::var(name).ok())?;
        if let Some(why) = &choice.why {
            output::note(&format!("agentos: {why}"));
        }
        let editor_files = args.editor_files;
        Ok(Setup { config, choice, no_mount: args.no_mount, mounts: args.machine.mount, editor_files, save })
    }

    /// Makes the machine, and asks its agent what it can.
    pub(super) async fn boot(self) -> Result<Booted> {
        let Setup { config, choice, no_mount, mounts, editor_files, save } = self;
        // Before any agent runs that could lead their paths elsewhere.
        let mut given = Vec::new();
        for mount in mounts {
            let at = || format!("--mount {}", mount.host.display());
            let host = HostPath::new(&mount.host).into_diagnostic().wrap_err_with(at)?;
            given.push(Given { guest: mount.guest, host });
        }
        let sidecar = machine::sidecar().await?;
        let os = machine::create(&sidecar, config).await?;
        let Choice { agent, model, .. } = choice;
        // In a copy of the machine: nothing is kept of it.
        let copy = os.fork().await.into_diagnostic()?;
        let options = CreateSessionOptions { model: model.clone(), ..CreateSessionOptions::default() };
        let probe = copy.create_session(&agent, options).await;
        let init = probe.map(|session| session.init);
        copy.dispose().await.into_diagnostic()?;
        let init = init.into_diagnostic().wrap_err_with(|| format!("the agent `{agent}`"))?;
        let home = std::env::var_os("HOME").map(PathBuf::from);
        Ok(Booted {
            os,
            agent,
            model,
            capabilities: init.capabilities,
            agent_info: init.agent_info,
            directories: Arc::new(Directories::new(given, no_mount, home)),
            editor_files,
            save,
        })
    }
}
