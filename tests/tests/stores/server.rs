//! Servers for one test each, on a free port of the loopback, killed at its end. What a kind of server needs is elsewhere.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agentos::{MountConfig, MountPlugin};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) fn native(path: &str, id: &str, config: Value) -> MountConfig {
    MountConfig::Native { path: path.into(), plugin: MountPlugin { id: id.into(), config }, read_only: false }
}

/// A program of the counterparts.
pub(crate) fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("AGENTOS_COUNTERPARTS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/counterparts")),
        PathBuf::from,
    );
    let program = folder.join("bin").join(name);
    assert!(program.exists(), "{} is missing: .ci/run says how it is installed", program.display());
    program
}

/// A server, and a folder of its own with what it wrote to its terminal in `log`.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server said:\n{}", self.log());
        }
    }
}

impl Server {
    /// Starts what `command` gives for a port and the folder, and waits until it listens.
    pub(crate) fn start(command: impl Fn(u16, &TempDir) -> Command) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Server::start_at(port, command)
    }

    /// The same at a port that was its own before.
    #[expect(clippy::disallowed_methods, reason = "the test itself looks whether it listens, no guest")]
    pub(crate) fn start_at(port: u16, command: impl Fn(u16, &TempDir) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = command(port, &folder);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut server = Server { child: command.spawn().unwrap(), port, folder };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(server.child.try_wait().unwrap().is_none(), "the server ended");
            assert!(begin.elapsed() < Duration::from_secs(60), "the server does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// The end of what it wrote.
    fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(12_000)..]).into_owned()
    }
}
