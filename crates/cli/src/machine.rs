//! From arguments to a machine in a sidecar of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentos::{
    AgentOs, AgentOsConfig, AgentOsSidecar, AgentOsSidecarConfig, CreateSidecarOptions, MountConfig,
    RootFilesystemConfig, RootLowerInput,
};
use miette::{IntoDiagnostic, Result, WrapErr};

use crate::args::MachineArgs;
use crate::progress::Progress;

/// A sidecar for this command alone: it ends with us, however we end.
pub(crate) async fn sidecar() -> Result<Arc<AgentOsSidecar>> {
    AgentOs::create_sidecar(CreateSidecarOptions::default()).await.into_diagnostic()
}

/// The configuration that arguments ask for.
pub(crate) fn config(args: &MachineArgs) -> Result<AgentOsConfig> {
    let mut config = AgentOsConfig::default();
    for mount in &args.mount {
        let host = mount
            .host
            .to_str()
            .ok_or_else(|| miette::miette!("mount {}: the path is not UTF-8", mount.host.display()))?;
        config.mounts.push(MountConfig::host_dir(&mount.guest, host, mount.read_only));
        if mount.guest == "/" {
            // The machine makes its working directory if need be; nothing is made in a directory of the user. Programs
            // and sessions are given their own.
            config.cwd = Some("/".to_owned());
        }
    }
    config.env = args.env.iter().cloned().collect::<BTreeMap<_, _>>();
    if let Some(file) = &args.permissions {
        let text =
            std::fs::read_to_string(file).into_diagnostic().wrap_err_with(|| file.display().to_string())?;
        let tree =
            serde_json::from_str(&text).into_diagnostic().wrap_err_with(|| file.display().to_string())?;
        config.permissions = Some(tree);
    }
    if let Some(file) = &args.snapshot {
        let path = std::path::absolute(file).into_diagnostic()?;
        let lower = match path.to_str() {
            Some(path) => RootLowerInput::snapshot_file(path),
            // The configuration is text, and cannot name it.
            None => RootLowerInput::snapshot_bytes(
                std::fs::read(file).into_diagnostic().wrap_err_with(|| file.display().to_string())?,
            ),
        };
        config.root_filesystem = RootFilesystemConfig { lowers: vec![lower], ..Default::default() };
    }
    Ok(config)
}

/// Makes the machine, with a progress bar if images have to be prepared first.
pub(crate) async fn create(sidecar: &Arc<AgentOsSidecar>, mut config: AgentOsConfig) -> Result<AgentOs> {
    config.sidecar = Some(AgentOsSidecarConfig::Explicit { handle: Arc::clone(sidecar) });
    let mut progress = Progress::new(sidecar.events());
    let create = AgentOs::create(config);
    tokio::pin!(create);
    let made = loop {
        tokio::select! {
            made = &mut create => break made,
            () = progress.step() => {}
        }
    };
    progress.finish();
    made.into_diagnostic()
}
