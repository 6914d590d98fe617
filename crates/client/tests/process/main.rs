//! Real processes: a sidecar is started, shared, killed and disposed. This program is the sidecar of its own tests.
//! VMs are not tested here: this sidecar has none.
#![allow(clippy::unwrap_used)]

mod sidecar;
mod test_private;
mod test_shared;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["sidecar", "--stdio-socket"] => sidecar::on_stdin(),
        ["sidecar", "--socket", path] => sidecar::on_socket(path),
        ["pool", name] => test_shared::print_pid(name),
        ["inside"] => run_all(),
        // Asked by test runners that start each test by itself; here all are one.
        args if args.contains(&"--list") => {
            if !args.contains(&"--ignored") {
                println!("process: test");
            }
        }
        // The shared sockets go to a directory of this run: it is chosen by the environment.
        _ => {
            let dir = tempfile::tempdir().unwrap();
            let status =
                Command::new(own_path()).arg("inside").env("XDG_RUNTIME_DIR", dir.path()).status().unwrap();
            return if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    }
    ExitCode::SUCCESS
}

fn run_all() {
    for (name, test) in test_private::TESTS.iter().chain(test_shared::TESTS) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let begin = Instant::now();
        runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(60), test()).await.expect("ends in time")
        });
        println!("test {name} ... ok ({:?})", begin.elapsed());
    }
}

type Test = (&'static str, fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>>);

fn own_path() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// Waits until the process is gone (or a zombie that nobody waits for).
async fn gone(pid: u32) {
    let begin = Instant::now();
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "process {pid} stays");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
