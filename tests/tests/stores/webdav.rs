//! WsgiDAV over a folder of its own, which is what somebody else sees of it. One login, checked at each request.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Server, program};

/// What the server is asked for: not the root of its host.
const SHARE: &str = "/shared files";

pub(crate) struct WebDav {
    server: Option<Server>,
    port: u16,
    files: TempDir,
}

impl WebDav {
    /// With the directory `sub` in its share.
    pub(crate) fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        std::fs::create_dir(files.path().join("sub")).unwrap();
        let server = Server::start(|port, folder| command(port, folder, &files));
        WebDav { port: server.port, server: Some(server), files }
    }

    pub(crate) fn stop(&mut self) {
        self.server = None;
    }

    /// As it was, at the same port.
    pub(crate) fn start_again(&mut self) {
        self.server = Some(Server::start_at(self.port, |port, folder| command(port, folder, &self.files)));
    }

    /// Where a file of `sub` is on this host.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.path().join("sub").join(name)
    }

    pub(crate) fn config(&self, password: &str) -> Value {
        let share = SHARE.replace(' ', "%20");
        json!({ "endpoint": format!("http://127.0.0.1:{}{share}/", self.port), "root": "sub", "username": "user",
                "password": password, "timeoutMs": 20_000 })
    }
}

fn command(port: u16, folder: &TempDir, files: &TempDir) -> Command {
    let config = folder.path().join("wsgidav.json");
    let text = json!({
        "host": "127.0.0.1", "port": port, "provider_mapping": { SHARE: files.path() },
        "simple_dc": { "user_mapping": { "*": { "user": { "password": "right" } } } },
        "http_authenticator": { "accept_basic": true, "accept_digest": false, "default_to_digest": false },
    });
    std::fs::write(&config, text.to_string()).unwrap();
    let mut command = Command::new(program("wsgidav"));
    command.arg("--config").arg(config);
    command
}
