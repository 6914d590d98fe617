//! `agentos batch`: JSON lines in, JSON lines out, each command in a machine of its own.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use agentos::{AgentOs, AgentOsConfig, AgentOsSidecar, AgentOsSidecarConfig, BatchWriteEntry, ExecOptions};
use miette::{IntoDiagnostic, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{Mutex, Semaphore};

use crate::args::BatchArgs;
use crate::machine;

/// Where commands run.
const WORK: &str = "/work";
/// Longest line.
const LINE: usize = 64 << 20;
/// Status of a command that was killed for its time.
const TIMED_OUT: i32 = 124;

/// One line of input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    id: Value,
    cmd: String,
    #[serde(default)]
    stdin: Option<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Seconds.
    #[serde(default)]
    timeout: Option<f64>,
}

/// One line of output.
#[derive(Debug, Serialize)]
struct Answer {
    id: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<i32>,
    stdout: String,
    stderr: String,
    /// The command could not be run at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(crate) async fn batch(args: BatchArgs) -> Result<ExitCode> {
    let sidecar = machine::sidecar().await?;
    // The first machine prepares the images, with a progress bar; then lines are taken.
    machine::create(&sidecar, AgentOsConfig::default()).await?.dispose().await.into_diagnostic()?;
    let turns = Arc::new(Semaphore::new(usize::from(args.jobs)));
    let output = Arc::new(Mutex::new(tokio::io::stdout()));
    let mut tasks = tokio::task::JoinSet::new();
    let mut failed = false;
    let mut lines = BufReader::new(tokio::io::stdin());
    let mut line = Vec::new();
    loop {
        line.clear();
        let n = lines.read_until(b'\n', &mut line).await.into_diagnostic()?;
        if n == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let job: Job = match parse(&line) {
            Ok(job) => job,
            Err((id, error)) => {
                failed = true;
                answer(&output, &refused(id, error)).await?;
                continue;
            }
        };
        let turn = Arc::clone(&turns).acquire_owned().await.into_diagnostic()?;
        let (sidecar, output) = (Arc::clone(&sidecar), Arc::clone(&output));
        tasks.spawn(async move {
            let id = job.id.clone();
            let done = match run(&sidecar, job).await {
                Ok(done) => done,
                Err(error) => refused(id, error.to_string()),
            };
            drop(turn);
            let good = done.error.is_none();
            answer(&output, &done).await.map(|()| good)
        });
        while let Some(done) = tasks.try_join_next() {
            failed |= !done.into_diagnostic()??;
        }
    }
    while let Some(done) = tasks.join_next().await {
        failed |= !done.into_diagnostic()??;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn refused(id: Value, error: String) -> Answer {
    Answer { id, status: None, stdout: String::new(), stderr: String::new(), error: Some(error) }
}

fn parse(line: &[u8]) -> std::result::Result<Job, (Value, String)> {
    if line.len() > LINE {
        return Err((Value::Null, format!("the line has {} bytes; {LINE} are allowed", line.len())));
    }
    serde_json::from_slice(line).map_err(|error| {
        // The id, if that much can be read, tells which line it was.
        let id =
            serde_json::from_slice::<Value>(line).ok().and_then(|v| v.get("id").cloned()).unwrap_or_default();
        (id, format!("not a job: {error}"))
    })
}

async fn run(sidecar: &Arc<AgentOsSidecar>, job: Job) -> agentos::Result<Answer> {
    let timeout = match job.timeout {
        None => None,
        Some(seconds) => Some(
            Duration::try_from_secs_f64(seconds)
                .map_err(|e| agentos::Error::InvalidRequest { message: format!("timeout {seconds}: {e}") })?,
        ),
    };
    let config = AgentOsConfig {
        sidecar: Some(AgentOsSidecarConfig::Explicit { handle: Arc::clone(sidecar) }),
        cwd: Some(WORK.to_owned()),
        ..AgentOsConfig::default()
    };
    let os = AgentOs::create(config).await?;
    let files: Vec<_> = job
        .files
        .into_iter()
        .map(|(path, content)| {
            let path = if path.starts_with('/') { path } else { format!("{WORK}/{path}") };
            BatchWriteEntry { path, content: content.into_bytes() }
        })
        .collect();
    for written in os.write_files(files).await {
        if let Err(error) = written.result {
            os.dispose().await?;
            return Err(error);
        }
    }
    let options = ExecOptions {
        env: job.env,
        stdin: job.stdin.map(String::into_bytes),
        timeout,
        ..ExecOptions::default()
    };
    let result = os.exec(job.cmd, options).await;
    os.dispose().await?;
    let result = result?;
    let status = if result.timed_out { TIMED_OUT } else { result.exit_code };
    Ok(Answer { id: job.id, status: Some(status), stdout: result.stdout, stderr: result.stderr, error: None })
}

async fn answer(output: &Mutex<tokio::io::Stdout>, answer: &Answer) -> Result<()> {
    let mut line = serde_json::to_vec(answer).into_diagnostic()?;
    line.push(b'\n');
    let mut output = output.lock().await;
    output.write_all(&line).await.into_diagnostic()?;
    output.flush().await.into_diagnostic()
}
