//! `agentos batch`: JSON lines in, JSON lines out, each command in a machine of its own. How lines are read is in
//! `lines`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use agentos::{
    AgentOs, AgentOsConfig, AgentOsSidecar, AgentOsSidecarConfig, BatchWriteEntry, Error, ExecOptions,
    OutputCallback,
};
use miette::{IntoDiagnostic, Result, WrapErr};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::sync::{Mutex, Semaphore};

use crate::args::{BatchArgs, normal, time_limit};
use crate::lines::{Line, Lines};
use crate::{machine, output};

/// Where commands run.
const WORK: &str = "/work";
/// Longest line.
const LINE: usize = 64 << 20;
/// Most that is kept of each output.
const OUTPUT: usize = 64 << 20;
/// Status of a command that could not be run, as of timeout(1).
const NOT_RUN: i32 = 125;
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
    status: i32,
    stdout: String,
    stderr: String,
    /// The command could not be run at all, or not all of its output is here.
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
    let mut lines = Lines::new(BufReader::new(tokio::io::stdin()), LINE);
    loop {
        let line = tokio::select! {
            line = lines.next() => line.into_diagnostic().wrap_err("read the input")?,
            // An answer that nobody takes ends us, although there may be no further line for long.
            Some(done) = tasks.join_next() => {
                let good: bool = done.into_diagnostic()??;
                failed |= !good;
                continue;
            }
        };
        let Some(line) = line else { break };
        if matches!(&line, Line::Whole(line) if line.trim_ascii().is_empty()) {
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
    }
    while let Some(done) = tasks.join_next().await {
        failed |= !done.into_diagnostic()??;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn refused(id: Value, error: String) -> Answer {
    let stderr = format!("agentos: {error}\n");
    Answer { id, status: NOT_RUN, stdout: String::new(), stderr, error: Some(error) }
}

fn parse(line: &Line) -> std::result::Result<Job, (Value, String)> {
    let Line::Whole(line) = line else {
        return Err((Value::Null, format!("the line is too long: {LINE} bytes are allowed")));
    };
    serde_json::from_slice(line).map_err(|error| {
        // The id, if that much can be read, tells which line it was.
        let text = String::from_utf8_lossy(line);
        let id = serde_json::from_str::<Value>(&text).ok().and_then(|v| v.get("id").cloned());
        let error = match std::str::from_utf8(line) {
            Ok(_) => format!("not a job: {error}"),
            Err(wrong) => format!("not a job: not UTF-8 (byte {})", wrong.valid_up_to()),
        };
        (id.unwrap_or_default(), error)
    })
}

/// Where the files of a job go.
fn places(files: BTreeMap<String, String>) -> agentos::Result<Vec<BatchWriteEntry>> {
    let mut places = BTreeMap::new();
    for (name, content) in files {
        let wrong = |why: &str| Error::InvalidRequest { message: format!("files: {name:?} {why}") };
        if matches!(name.rsplit('/').next(), Some("" | "." | "..")) {
            return Err(wrong("names a directory"));
        }
        let path = if name.starts_with('/') { normal(&name) } else { normal(&format!("{WORK}/{name}")) };
        if places.insert(path, content.into_bytes()).is_some() {
            return Err(wrong("is there twice"));
        }
    }
    Ok(places.into_iter().map(|(path, content)| BatchWriteEntry { path, content }).collect())
}

/// An output up to its limit.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    cut: bool,
}

fn keep(kept: &Arc<Lock<Kept>>) -> OutputCallback {
    let kept = Arc::clone(kept);
    Arc::new(move |bytes: &[u8]| {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = OUTPUT.saturating_sub(kept.bytes.len()).min(bytes.len());
        kept.cut |= room < bytes.len();
        kept.bytes.extend_from_slice(&bytes[..room]);
    })
}

/// What was kept as text, and whether something is missing.
fn kept(kept: &Lock<Kept>) -> (String, bool) {
    let Kept { bytes, cut } = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    (text, cut)
}

async fn run(sidecar: &Arc<AgentOsSidecar>, job: Job) -> agentos::Result<Answer> {
    let timeout = match job.timeout {
        None => None,
        Some(seconds) => time_limit(seconds)
            .map_err(|e| Error::InvalidRequest { message: format!("timeout {seconds}: {e}") })?,
    };
    let files = places(job.files)?;
    let config = AgentOsConfig {
        sidecar: Some(AgentOsSidecarConfig::Explicit { handle: Arc::clone(sidecar) }),
        cwd: Some(WORK.to_owned()),
        ..AgentOsConfig::default()
    };
    let os = AgentOs::create(config).await?;
    for written in os.write_files(files).await {
        if let Err(error) = written.result {
            os.dispose().await?;
            return Err(error);
        }
    }
    let (out, err) = (Arc::new(Lock::new(Kept::default())), Arc::new(Lock::new(Kept::default())));
    let options = ExecOptions {
        capture: false,
        on_stdout: Some(keep(&out)),
        on_stderr: Some(keep(&err)),
        env: job.env,
        stdin: job.stdin.map(String::into_bytes),
        timeout,
        ..ExecOptions::default()
    };
    let result = os.exec(job.cmd, options).await;
    os.dispose().await?;
    let result = result?;
    let status = if result.timed_out { TIMED_OUT } else { result.exit_code };
    let ((stdout, out_cut), (stderr, err_cut)) = (kept(&out), kept(&err));
    let error = (out_cut || err_cut).then(|| format!("output is cut: {OUTPUT} bytes of each are kept"));
    Ok(Answer { id: job.id, status, stdout, stderr, error })
}

async fn answer(stdout: &Mutex<tokio::io::Stdout>, answer: &Answer) -> Result<()> {
    let mut line = serde_json::to_vec(answer).into_diagnostic()?;
    line.push(b'\n');
    let mut stdout = stdout.lock().await;
    stdout.write_all(&line).await.map_err(output::failed)?;
    stdout.flush().await.map_err(output::failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_where_their_names_say() {
        for (name, place) in
            [("a", "/work/a"), ("./c", "/work/c"), ("a//b", "/work/a/b"), ("/tmp/./x", "/tmp/x")]
        {
            let placed = places([(name.to_owned(), String::new())].into()).unwrap();
            assert_eq!(placed[0].path, place);
        }
        for name in ["d/", "", ".", "a/..", "/", "a/."] {
            assert!(places([(name.to_owned(), String::new())].into()).is_err(), "{name:?}");
        }
        let twice = [("a".to_owned(), String::new()), ("./a".to_owned(), String::new())];
        assert!(places(twice.into()).is_err());
    }

    #[test]
    fn a_line_that_is_no_job_is_known_by_its_id() {
        let (id, error) = parse(&Line::Whole(b"{\"id\":7,\"cmd\":\"\xff\"}".to_vec())).unwrap_err();
        assert_eq!(id, 7);
        assert!(error.contains("not UTF-8"), "{error}");
        let (id, error) = parse(&Line::TooLong).unwrap_err();
        assert_eq!(id, Value::Null);
        assert!(error.contains(&LINE.to_string()), "{error}");
    }

    #[test]
    fn an_output_is_kept_up_to_its_limit() {
        let out = Arc::new(Lock::new(Kept::default()));
        let callback = keep(&out);
        callback(&vec![b'x'; OUTPUT - 1]);
        assert!(!out.lock().unwrap().cut);
        callback(b"yz");
        let (text, cut) = kept(&out);
        assert_eq!((text.len(), cut, text.ends_with("xy")), (OUTPUT, true, true));
    }
}
