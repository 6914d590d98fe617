//! `agentos driver replay`: a recording of a vendor's protocol becomes the events that a session would have had.

use std::process::ExitCode;

use agentos_driver::Registry;
use agentos_driver::testing::{Recording, normalised};
use miette::{IntoDiagnostic, Result, WrapErr, miette};

use crate::args::ReplayArgs;
use crate::output;

pub(super) async fn replay(args: ReplayArgs) -> Result<ExitCode> {
    let shown = args.recording.display().to_string();
    let text = tokio::fs::read_to_string(&args.recording).await.into_diagnostic().wrap_err(shown)?;
    let recording = Recording::parse(&text).into_diagnostic()?;
    let registry: Registry = agentos_driver::backend::registry();
    let own = || registry.descriptors().find(|descriptor| descriptor.runtime == recording.runtime);
    let descriptor = match &args.backend {
        Some(id) => Some(registry.find(id, recording.runtime).into_diagnostic()?),
        None => own(),
    };
    let descriptor = descriptor.ok_or_else(|| miette!("no backend speaks the protocol of the recording"))?;
    let mut lost = None;
    let replayed = agentos_driver::testing::replay(&recording, descriptor.clone(), |event| {
        if args.normalise || lost.is_some() {
            return;
        }
        let line = serde_json::to_string(event).into_diagnostic();
        lost = line.and_then(|line| output::line(&line)).err();
    })
    .await
    .into_diagnostic()?;
    if let Some(error) = lost {
        return Err(error);
    }
    if args.normalise {
        for line in normalised(&replayed.events) {
            output::line(&line.to_string())?;
        }
    }
    for difference in &replayed.differences {
        output::note(&format!("agentos: {difference}"));
    }
    Ok(ExitCode::SUCCESS)
}
