//! `agentos agents`: the registry.

use std::process::ExitCode;

use comfy_table::{Table, presets};
use miette::{IntoDiagnostic, Result};

use crate::args::ListArgs;
use crate::{machine, output};

pub(crate) async fn agents(args: ListArgs) -> Result<ExitCode> {
    let sidecar = machine::sidecar().await?;
    let os = machine::create(&sidecar, agentos::AgentOsConfig::default()).await?;
    let agents = os.list_agents().await.into_diagnostic()?;
    if args.json {
        output::line(&serde_json::to_string_pretty(&agents).into_diagnostic()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header(["agent", "installed", "from", "adapter"]);
    let mut missing = Vec::new();
    for agent in agents {
        let installed = if agent.installed { "yes" } else { "no" };
        missing.extend(agent.install.map(|how| format!("{}: {how}", agent.id)));
        table.add_row([agent.id, installed.to_owned(), agent.source, agent.acp_adapter]);
    }
    output::line(&table.to_string())?;
    for how in missing {
        output::line(&how)?;
    }
    Ok(ExitCode::SUCCESS)
}
