//! A session at a terminal, driven by a program: a loop ended by ^C, a job stopped and continued, a line that is edited, a
//! window that grows.
//!
//! `cargo run --release -p agentos-examples --bin terminal -- --record FILE` writes it down as an asciicast, which
//! `asciinema play` shows; `docs/terminal.cast` was made so.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use agentos::{AgentOs, AgentOsConfig, Error, OpenShellOptions, ProcessOutput, ShellHandle};

fn main() -> Result<(), Error> {
    agentos::sidecar::init();
    run()
}

/// How long a person would take to see what came, so that the recording can be watched.
const PAUSE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1 } else { 250 });

/// A terminal, and what was seen and typed.
struct Session {
    shell: ShellHandle,
    output: ProcessOutput,
    begin: Instant,
    seen: String,
    events: Vec<serde_json::Value>,
}

impl Session {
    /// Types like a person.
    async fn keys(&mut self, keys: &str) -> Result<(), Error> {
        tokio::time::sleep(PAUSE).await;
        self.seen.clear();
        self.shell.write(keys).await
    }

    /// Waits until the terminal has shown a text since something was typed.
    async fn see(&mut self, text: &str) -> Result<(), Error> {
        while !self.seen.contains(text) {
            let chunk = self
                .output
                .next()
                .await
                .unwrap_or_else(|| panic!("ended without {text:?}: {}", self.seen))?;
            self.show(&chunk.data);
        }
        Ok(())
    }

    fn show(&mut self, data: &[u8]) {
        let text = String::from_utf8_lossy(data);
        self.seen.push_str(&text);
        self.event("o", &text);
    }

    fn event(&mut self, kind: &str, data: &str) {
        let at = (self.begin.elapsed().as_secs_f64() * 1e3).round() / 1e3;
        self.events.push(serde_json::json!([at, kind, data]));
    }
}

#[tokio::main]
async fn run() -> Result<(), Error> {
    let os = AgentOs::create(AgentOsConfig::default()).await?;
    let (cols, rows) = (72, 20);
    let options = OpenShellOptions { cols: Some(cols), rows: Some(rows), ..OpenShellOptions::default() };
    let shell = os.open_shell(options).await?;
    let output = shell.data().await?;
    let mut session =
        Session { shell, output, begin: Instant::now(), seen: String::new(), events: Vec::new() };
    session.see("$ ").await?;

    // A loop that would not end.
    session.keys("while :; do :; done\r").await?;
    session.see("\n").await?;
    session.keys("\x03").await?;
    session.see("$ ").await?;
    session.keys("echo $?\r").await?;
    session.see("130").await?;
    session.see("$ ").await?;

    // A job is stopped, looked at, and brought back.
    session.keys("sleep 60\r").await?;
    session.see("\n").await?;
    session.keys("\x1a").await?;
    session.see("Stopped").await?;
    session.see("$ ").await?;
    session.keys("jobs\r").await?;
    session.see("sleep 60").await?;
    session.see("$ ").await?;
    session.keys("fg\r").await?;
    session.see("sleep 60\r\n").await?;
    session.keys("\x03").await?;
    session.see("$ ").await?;

    // A line is edited: two letters are inserted, and a word is completed.
    session.keys("ech hello").await?;
    session.see("hello").await?;
    session.keys("\x01\x1bf").await?;
    session.keys("o").await?;
    session.keys("\r").await?;
    session.see("\nhello").await?;
    session.see("$ ").await?;
    session.keys("cat /etc/hostn\t").await?;
    session.see("ame").await?;
    session.keys("\r").await?;
    session.see("agentos").await?;
    session.see("$ ").await?;

    // The window grows.
    let (cols, rows) = (100, 30);
    session.shell.resize(cols, rows).await?;
    session.event("r", &format!("{cols}x{rows}"));
    session.keys("stty size\r").await?;
    session.see("30 100").await?;
    session.see("$ ").await?;

    session.keys("exit 3\r").await?;
    while let Some(chunk) = session.output.next().await {
        session.show(&chunk?.data);
    }
    assert_eq!(session.shell.wait().await?.exit_code, 3);

    let header = serde_json::json!({ "version": 2, "width": 72, "height": 20, "title": "A shell in a VM" });
    let mut cast = format!("{header}\n");
    for event in &session.events {
        cast.push_str(&format!("{event}\n"));
    }
    let arguments: Vec<_> = std::env::args_os().collect();
    match &arguments[..] {
        [_, flag, file] if flag == "--record" => {
            std::fs::write(file, cast).expect("the recording can be written");
        }
        _ => print!("{cast}"),
    }
    os.dispose().await
}
