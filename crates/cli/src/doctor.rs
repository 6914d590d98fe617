//! `agentos doctor`: what is missing on this machine, and how to get it.

use std::process::ExitCode;
use std::time::Instant;

use agentos::{AgentOsConfig, ExecOptions};
use comfy_table::{Table, presets};
use miette::{IntoDiagnostic, Result};
use serde::Serialize;

use crate::args::ListArgs;
use crate::{machine, output};

/// Guests at once below which a machine is called small.
const FEW_SLOTS: u32 = 1000;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

pub(crate) async fn doctor(args: &ListArgs) -> Result<ExitCode> {
    let mut checks = vec![slots(), images()];
    checks.extend(machine_works().await);
    let ok = checks.iter().all(|c| c.ok);
    if args.json {
        output::line(&serde_json::to_string_pretty(&checks).into_diagnostic()?)?;
    } else {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header(["check", "", "found", "what to do"]);
        for check in &checks {
            let mark = if check.ok { "ok" } else { "missing" };
            let advice = check.advice.clone().unwrap_or_default();
            table.add_row([check.name, mark, &check.found, &advice]);
        }
        output::line(&table.to_string())?;
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn slots() -> Check {
    let slots = agentos_executor::slots();
    let advice = (slots < FEW_SLOTS).then(|| "sysctl -w vm.max_map_count=65530 (or more)".to_owned());
    Check { name: "guests at once", ok: slots >= FEW_SLOTS, found: slots.to_string(), advice }
}

fn images() -> Check {
    match agentos_executor::ImageCache::default_directory() {
        Ok(directory) => {
            Check { name: "image cache", ok: true, found: directory.display().to_string(), advice: None }
        }
        Err(error) => Check {
            name: "image cache",
            ok: false,
            found: error.to_string(),
            advice: Some("set AGENTOS_CACHE_DIR to a directory of your own".into()),
        },
    }
}

/// The whole way: sidecar, machine, program.
async fn machine_works() -> Vec<Check> {
    let failed = |name, error: String, advice: &str| Check {
        name,
        ok: false,
        found: error,
        advice: Some(advice.to_owned()),
    };
    let begin = Instant::now();
    let sidecar = match machine::sidecar().await {
        Ok(sidecar) => sidecar,
        Err(error) => return vec![failed("sidecar", error.to_string(), "see AGENTOS_SIDECAR in the README")],
    };
    let mut checks = vec![Check {
        name: "sidecar",
        ok: true,
        found: format!("started in {} ms", begin.elapsed().as_millis()),
        advice: None,
    }];
    let begin = Instant::now();
    let os = match machine::create(&sidecar, AgentOsConfig::default()).await {
        Ok(os) => os,
        Err(error) => {
            checks.push(failed("machine", error.to_string(), "run again with AGENTOS_LOG=debug"));
            return checks;
        }
    };
    checks.push(Check {
        name: "machine",
        ok: true,
        found: format!("created in {:.1} ms", begin.elapsed().as_secs_f64() * 1000.0),
        advice: None,
    });
    let begin = Instant::now();
    match os.exec("echo works", ExecOptions::default()).await {
        Ok(result) if result.stdout == "works\n" => checks.push(Check {
            name: "program",
            ok: true,
            found: format!("ran in {:.1} ms", begin.elapsed().as_secs_f64() * 1000.0),
            advice: None,
        }),
        Ok(result) => {
            let found = format!("status {}, {}", result.exit_code, result.stderr.trim());
            checks.push(failed("program", found, "run again with AGENTOS_LOG=debug"));
        }
        Err(error) => checks.push(failed("program", error.to_string(), "run again with AGENTOS_LOG=debug")),
    }
    checks
}
