//! `agentos run`: a session, one prompt, and what the agent says and does as it happens.

use std::collections::HashMap;
use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;

use agentos::{AgentOs, CreateSessionOptions, PermissionReply, PermissionRequest, SessionEvent};
use miette::{IntoDiagnostic, Result, WrapErr};
use serde_json::{Value, json};

use crate::args::{PermissionArg, RunArgs};
use crate::choice::{self, Choice};
use crate::save::Save;
use crate::{machine, output};

/// Longest piece of a tool's output that is shown at a time.
const SHOWN: usize = 4096;
/// How long the events of a turn that has ended may take.
const LAST_EVENTS: std::time::Duration = std::time::Duration::from_secs(5);

pub(crate) async fn run(args: RunArgs) -> Result<ExitCode> {
    let prompt = prompt(&args.prompt)?;
    let save = Save::of(&args.machine)?;
    let sidecar = machine::sidecar().await?;
    let mut config = machine::config(&args.machine)?;
    let choice = choice::choose(&args.agent, &mut config, |name| std::env::var(name).ok())?;
    if let Some(why) = &choice.why {
        output::note(&format!("agentos: {why}"));
    }
    let os = machine::create(&sidecar, config).await?;
    let turn = turn(&os, &args, &choice, prompt).await;
    // What an agent did before its turn failed is worth keeping most of all.
    let saved = match &save {
        Some(save) => save.save(&os).await,
        None => Ok(()),
    };
    let code = turn?;
    saved?;
    Ok(code)
}

/// One turn, shown as it goes.
async fn turn(os: &AgentOs, args: &RunArgs, choice: &Choice, prompt: String) -> Result<ExitCode> {
    let options = CreateSessionOptions {
        cwd: args.cwd.clone(),
        model: choice.model.clone(),
        ..CreateSessionOptions::default()
    };
    let session = os.create_session(&choice.agent, options).await.into_diagnostic()?;
    let mut events = session.events(None).await.into_diagnostic()?;
    let mut requests = session.permission_requests().await.into_diagnostic()?;
    let mut screen = Screen::new(args.json);
    let turn = session.prompt(prompt);
    tokio::pin!(turn);
    let (mut more_events, mut more_requests) = (true, true);
    let result = loop {
        tokio::select! {
            biased;
            event = events.next(), if more_events => match event {
                Some(event) => {
                    let event = event.into_diagnostic()?;
                    screen.event(&event)?;
                    // The last of the turn; what follows is nobody's answer.
                    more_events = event.kind != "turn.completed";
                }
                None => more_events = false,
            },
            request = requests.next(), if more_requests => match request {
                Some(request) => {
                    let request = request.into_diagnostic()?;
                    let reply = decide(args.permission, &request, args.json).await?;
                    // It may have been answered by its timeout meanwhile.
                    let _ = session.respond_permission(request.permission_id, reply).await;
                }
                None => more_requests = false,
            },
            result = &mut turn => break result.into_diagnostic()?,
        }
    };
    // What the agent said before the result is on its way.
    while more_events {
        match tokio::time::timeout(LAST_EVENTS, events.next()).await {
            Ok(Some(event)) => {
                let event = event.into_diagnostic()?;
                screen.event(&event)?;
                more_events = event.kind != "turn.completed";
            }
            Ok(None) | Err(_) => more_events = false,
        }
    }
    screen.result(&result)?;
    session.close().await.into_diagnostic()?;
    Ok(if result.stop_reason == "end_turn" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn prompt(argument: &str) -> Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = Vec::new();
    std::io::stdin().lock().read_to_end(&mut text).into_diagnostic().wrap_err("read the prompt")?;
    String::from_utf8(text).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        miette::miette!("the prompt on standard input is not UTF-8 (byte {at})")
    })
}

async fn decide(how: PermissionArg, request: &PermissionRequest, json: bool) -> Result<PermissionReply> {
    match how {
        PermissionArg::Once => Ok(PermissionReply::Once),
        PermissionArg::Always => Ok(PermissionReply::Always),
        PermissionArg::Reject => Ok(PermissionReply::Reject),
        PermissionArg::Ask if json || !std::io::stdin().is_terminal() => {
            output::note("agentos: rejected, because there is no terminal to ask on (use --permission once)");
            Ok(PermissionReply::Reject)
        }
        PermissionArg::Ask => {
            let title = request.tool_call.get("title").and_then(Value::as_str).unwrap_or("a tool");
            // In one line: what looks like another question is none.
            let title = plain(title).split_whitespace().collect::<Vec<_>>().join(" ");
            // A title may be less than what is run.
            let command = request.tool_call.pointer("/rawInput/command").and_then(Value::as_str);
            let command = command.map(plain).filter(|command| *command != title);
            tokio::task::spawn_blocking(move || ask(&title, command.as_deref())).await.into_diagnostic()?
        }
    }
}

fn ask(title: &str, command: Option<&str>) -> Result<PermissionReply> {
    let mut terminal = std::io::stderr();
    for line in command.iter().flat_map(|command| command.lines()) {
        writeln!(terminal, "    {line}").into_diagnostic()?;
    }
    loop {
        write!(terminal, "? allow {title} [o]nce, [a]lways, [r]eject: ").into_diagnostic()?;
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line).into_diagnostic()? == 0 {
            return Ok(PermissionReply::Reject);
        }
        match line.trim() {
            "o" | "once" | "y" => return Ok(PermissionReply::Once),
            "a" | "always" => return Ok(PermissionReply::Always),
            "r" | "reject" | "n" => return Ok(PermissionReply::Reject),
            _ => {}
        }
    }
}

/// Text of an agent without what would act on the terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// What a person sees.
struct Screen {
    json: bool,
    /// Output of each tool call that was shown already, to show only what is new.
    shown: HashMap<String, String>,
    /// The message that text last came from, if the agent numbers them.
    message: Option<String>,
    at_line_start: bool,
}

impl Screen {
    fn new(json: bool) -> Self {
        Self { json, shown: HashMap::new(), message: None, at_line_start: true }
    }

    fn event(&mut self, event: &SessionEvent) -> Result<()> {
        if self.json {
            return self.line(&serde_json::to_string(event).unwrap_or_default());
        }
        let Some(update) = event.params.get("update") else { return Ok(()) };
        match update.get("sessionUpdate").and_then(Value::as_str) {
            Some("agent_message_chunk") => {
                if let Some(text) = update.pointer("/content/text").and_then(Value::as_str) {
                    // Chunks of one message belong together; another message is another line.
                    let message = update.get("messageId").and_then(Value::as_str).map(str::to_owned);
                    if message != self.message {
                        self.end_line()?;
                        self.message = message;
                    }
                    self.text(&plain(text))?;
                }
            }
            Some("tool_call" | "tool_call_update") => self.tool(update)?,
            _ => {}
        }
        Ok(())
    }

    fn tool(&mut self, update: &Value) -> Result<()> {
        let id = update.get("toolCallId").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !self.shown.contains_key(&id) {
            if let Some(title) = update.get("title").and_then(Value::as_str) {
                self.line(&format!("▶ {}", plain(title)))?;
            }
            self.shown.insert(id.clone(), String::new());
        }
        let blocks = update.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let output: String =
            blocks.iter().filter_map(|b| b.pointer("/content/text").and_then(Value::as_str)).collect();
        if !output.is_empty() {
            let before = self.shown.insert(id, output.clone()).unwrap_or_default();
            let new = output.strip_prefix(&before).unwrap_or(&output);
            let cut = new.char_indices().rev().nth(SHOWN).map_or(0, |(at, _)| at);
            self.text(&plain(&new[cut..]))?;
        }
        match update.get("status").and_then(Value::as_str) {
            Some("completed") => self.line("✔ done"),
            Some("failed") => self.line("✘ failed"),
            _ => Ok(()),
        }
    }

    fn text(&mut self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.at_line_start = text.ends_with('\n');
        output::text(text)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        self.end_line()?;
        output::line(line)
    }

    fn end_line(&mut self) -> Result<()> {
        if !std::mem::replace(&mut self.at_line_start, true) {
            output::line("")?;
        }
        Ok(())
    }

    fn result(&mut self, result: &agentos::PromptResult) -> Result<()> {
        if self.json {
            return self.line(&json!({ "result": result }).to_string());
        }
        self.end_line()?;
        output::note(&format!("[{}]", result.stop_reason));
        Ok(())
    }
}
