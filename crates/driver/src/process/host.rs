//! A vendor's process beside the driver, as a child in a process group of its own.

use std::collections::BTreeMap;
use std::process::Stdio;

use futures_util::future::BoxFuture;
use tokio::process::Command;
use tokio::sync::{mpsc, watch};

use super::{Exit, LaunchSpec, Launched, Launcher, ProcessHandle, Signal};
use crate::ErrorInfo;

/// Variables of this process that a child gets; beside them, all that begin with `LC_`.
const PASSED: &[&str] = &[
    "PATH",
    "LANG",
    "TERM",
    "TZ",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
];

/// Starts children of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostLauncher;

/// What of this process's environment a child gets.
fn passed() -> BTreeMap<String, String> {
    let passes = |name: &str| PASSED.contains(&name) || name.starts_with("LC_");
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| passes(name))
        .collect()
}

struct Child {
    signals: mpsc::Sender<Signal>,
    exit: watch::Receiver<Option<Exit>>,
}

impl ProcessHandle for Child {
    fn signal(&self, signal: Signal) {
        // A full queue holds signals of the same kinds already.
        let _ = self.signals.try_send(signal);
    }

    fn wait(&self) -> BoxFuture<'_, Exit> {
        let mut exit = self.exit.clone();
        Box::pin(async move {
            let ended = exit.wait_for(Option::is_some).await;
            ended.ok().and_then(|exit| *exit).unwrap_or_default()
        })
    }
}

impl Launcher for HostLauncher {
    fn launch(&self, spec: LaunchSpec) -> BoxFuture<'_, Result<Launched, ErrorInfo>> {
        Box::pin(async move {
            let mut command = Command::new(&spec.program);
            command.args(&spec.args).env_clear().envs(passed()).envs(&spec.env).current_dir(&spec.cwd);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.process_group(0).kill_on_drop(true);
            let failed = |error: std::io::Error| {
                let message = format!("{}: cannot be started in {}: {error}", spec.program, spec.cwd);
                ErrorInfo::new("driver.launch_failed", message)
            };
            let mut child = command.spawn().map_err(failed)?;
            let (Some(stdin), Some(stdout), Some(stderr)) =
                (child.stdin.take(), child.stdout.take(), child.stderr.take())
            else {
                return Err(ErrorInfo::new("driver.launch_failed", "the child has no standard streams"));
            };
            let pid = child.id();
            let (signals, mut told) = mpsc::channel(8);
            let (ended, exit) = watch::channel(None);
            tokio::spawn(async move {
                let status = loop {
                    tokio::select! {
                        status = child.wait() => break status,
                        signal = told.recv() => match (signal, pid) {
                            (Some(Signal::Terminate), Some(pid)) => signal_group(pid, rustix::process::Signal::TERM),
                            // Nobody holds it any more.
                            (Some(Signal::Kill) | None, Some(pid)) => {
                                signal_group(pid, rustix::process::Signal::KILL);
                                let _ = child.start_kill();
                                break child.wait().await;
                            }
                            (_, None) => break child.wait().await,
                        },
                    }
                };
                // What it has started goes with it.
                if let Some(pid) = pid {
                    signal_group(pid, rustix::process::Signal::KILL);
                }
                let exit = status.map(|status| {
                    use std::os::unix::process::ExitStatusExt as _;
                    Exit { code: status.code(), signal: status.signal() }
                });
                let _ = ended.send(Some(exit.unwrap_or_default()));
            });
            Ok(Launched {
                stdin: Box::new(stdin),
                stdout: Box::new(stdout),
                stderr: Box::new(stderr),
                handle: Box::new(Child { signals, exit }),
            })
        })
    }
}

/// To a child and all in its group. It is a child that was not waited for yet, or whose group still has members: its
/// number is not that of another.
fn signal_group(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}
