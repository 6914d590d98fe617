//! The arguments.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Run coding agents, and anything else, in small isolated machines.
#[derive(Debug, Parser)]
#[command(name = "agentos", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// A machine, a session with an agent in it, one prompt: streams text and tool calls.
    Run(RunArgs),
    /// Run one program in a fresh machine; standard streams and exit status pass through.
    ///
    /// The status is the program's own: 128+n after signal n, 124 out of time, 127 not found, 126 not executable. It is 125
    /// if the program could not be run for a reason outside of it, such as a directory to mount that is missing.
    Exec(ExecArgs),
    /// An interactive terminal in a fresh machine: a login shell, or the program given.
    ///
    /// Standard input must be a terminal; to pipe bytes through a shell, use `agentos exec -- sh`. The status is that of the
    /// program: 128+n after signal n, and likewise when a signal to this command ends it; 125 if there is no terminal or
    /// the program could not be run. Of what the machine sends, the terminal gets what draws; the options allow more.
    Shell(ShellArgs),
    /// Run many commands, each in a fresh machine: JSON lines in, JSON lines out.
    ///
    /// In: {"id", "cmd", "stdin"?, "files"?: {path: content}, "env"?, "timeout"?: seconds, 0 is no limit}, at most 64 MiB a
    /// line. Out: {"id", "status", "stdout", "stderr"}, at most 64 MiB of each output. Where a command could not be run
    /// (status 125), or its output is cut, "error" says so.
    Batch(BatchArgs),
    /// An agent for an editor: speaks the Agent Client Protocol on standard streams, over any agent in a machine.
    ///
    /// The directories that the editor works in are mounted in the machine at their own paths, as far as no --mount covers them.
    /// The status is 0 when the editor ends its output or a signal ends this.
    Acp(AcpArgs),
    /// The agents that can be run.
    Agents(ListArgs),
    /// What is missing on this machine, and how to get it.
    Doctor(ListArgs),
    /// The session layer by itself, without a machine: drive one agent beside it, for a host that connects.
    ///
    /// What to run comes from AGENT_DRIVER_BOOT_PAYLOAD, or from the file that AGENT_DRIVER_BOOT_PAYLOAD_FILE names (removed once
    /// it was read), or from standard input. The host connects by WebSocket to the port that it says, on loopback:
    /// /driver?token=TOKEN. The status is 0 if the session was stopped, by the host or a signal, and 1 if it failed.
    Driver(DriverArgs),
    /// The process that hosts machines; started by clients as needed.
    Sidecar {
        /// Serve the one client at the other end of standard input.
        #[arg(long)]
        stdio_socket: bool,
        /// Serve all clients of this socket.
        #[arg(long, value_name = "PATH")]
        socket: Option<PathBuf>,
        /// Stay when the last client is gone.
        #[arg(long)]
        stay: bool,
        /// Compile the images of bundled programs that are missing, and end.
        #[arg(long)]
        prepare_images: bool,
    },
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DriverArgs {
    #[command(subcommand)]
    pub(crate) command: Option<DriverCommand>,
    /// Serve the host at the other end of standard input and output, a JSON message a line; nothing listens then.
    #[arg(long)]
    pub(crate) stdio: bool,
    /// Of the driver to itself: the descriptor with what was in its environment.
    #[arg(long, hide = true, value_name = "FD")]
    pub(crate) handover: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DriverCommand {
    /// Play a recording of a vendor's protocol through a backend: the events of the session, as JSON lines.
    ///
    /// What the host of the recording said becomes commands, what the vendor said comes again as it came. Where the backend
    /// says something else than the host of the recording, standard error tells, by kind.
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// JSON lines: {"dir": "host->agent" or "agent->host", "msg"}, or {"dir": "c2a" or "a2c", "msg"}.
    pub(crate) recording: PathBuf,
    /// The backend: claude-agent-sdk, openai-app-server or acp-fallback; that of the recording's protocol if left out.
    #[arg(long, value_name = "ID")]
    pub(crate) backend: Option<String>,
    /// Leave out times, and number ids in the order in which they come: two runs give the same lines.
    #[arg(long)]
    pub(crate) normalise: bool,
}

/// A directory of the host for the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountArg {
    pub(crate) host: PathBuf,
    pub(crate) guest: String,
    pub(crate) read_only: bool,
}

fn mount(text: &str) -> Result<MountArg, String> {
    let (rest, read_only) = match text.strip_suffix(":ro") {
        Some(rest) => (rest, true),
        None => (text.strip_suffix(":rw").unwrap_or(text), false),
    };
    let (host, guest) = rest.rsplit_once(':').ok_or("expected HOST:GUEST or HOST:GUEST:ro")?;
    if host.is_empty() || !guest.starts_with('/') {
        return Err("expected HOST:GUEST[:ro] with an absolute GUEST".into());
    }
    if guest.split('/').any(|part| part == "..") {
        return Err("GUEST must not contain `..`".into());
    }
    let host = std::path::absolute(host).map_err(|e| e.to_string())?;
    Ok(MountArg { host, guest: normal(guest), read_only })
}

/// An absolute guest path without empty and `.` components.
pub(crate) fn normal(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    format!("/{}", parts.join("/"))
}

/// Says which of the arguments is not UTF-8. Options that name files of the host may be anything.
pub(crate) fn not_utf8(arguments: &[OsString]) -> String {
    const FILES: [&str; 5] = ["--permissions", "--snapshot", "--save-snapshot", "--socket", "--persist"];
    const ALONE: [&str; 6] =
        ["--json", "--clear-env", "--allow-title", "--allow-clipboard", "--allow-answers", "--no-mount"];
    let end = arguments.iter().position(|a| a == "--").unwrap_or(arguments.len());
    for (at, argument) in arguments.iter().enumerate().filter(|(_, a)| a.to_str().is_none()) {
        if at > end {
            return format!("argument {} of the program is not UTF-8: {argument:?}", at - end - 1);
        }
        let before = at.checked_sub(1).and_then(|before| arguments.get(before)).and_then(|a| a.to_str());
        let joined = argument.as_encoded_bytes().split(|b| *b == b'=').next();
        let joined = joined.and_then(|name| std::str::from_utf8(name).ok());
        match [joined, before]
            .into_iter()
            .flatten()
            .find(|name| name.starts_with("--") && !ALONE.contains(name))
        {
            Some(option) if FILES.contains(&option) => {}
            Some(option) => return format!("the value of {option} is not UTF-8: {argument:?}"),
            None => return format!("argument {at} is not UTF-8: {argument:?}"),
        }
    }
    "an argument is not UTF-8".to_owned()
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() {
        return Err("the name is empty".into());
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    Ok(time_limit(seconds)?.unwrap_or_default())
}

/// A limit in seconds; 0 is none, as for timeout(1).
pub(crate) fn time_limit(seconds: f64) -> Result<Option<Duration>, String> {
    if seconds == 0.0 {
        return Ok(None);
    }
    let time = Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())?;
    // Less than can be told is not no limit.
    Ok(Some(time.max(Duration::from_nanos(1))))
}

/// What makes a machine.
#[derive(Debug, Args)]
pub(crate) struct MachineArgs {
    /// Mount a host directory (repeat for more).
    #[arg(long, value_name = "HOST:GUEST[:ro]", value_parser = mount)]
    pub(crate) mount: Vec<MountArg>,
    /// Add to the environment (repeat for more).
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// A permission tree, JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) permissions: Option<PathBuf>,
    /// A snapshot to start from: tar, tar.gz, a tar of an OCI image layout, JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) snapshot: Option<PathBuf>,
    /// Write a snapshot of the root when the program has ended; FILE ends in .tar, .oci.tar or .json.
    #[arg(long, value_name = "FILE")]
    pub(crate) save_snapshot: Option<PathBuf>,
}

/// APIs of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ApiArg {
    /// Anthropic's Messages.
    Anthropic,
    /// OpenAI's Chat Completions, and what is compatible with them.
    OpenaiChat,
    /// OpenAI's Responses.
    OpenaiResponses,
}

/// How permission requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PermissionArg {
    /// Allow each once.
    Once,
    /// Allow, and let the agent remember.
    Always,
    /// Reject each.
    Reject,
    /// Ask on the terminal; without one, reject.
    Ask,
}

/// Which agent, and its model.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// The agent; see `agentos agents`. If it is missing: `coder` where a model is configured, `scripted` otherwise.
    #[arg(long)]
    pub(crate) agent: Option<String>,
    /// The agent's model.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Endpoint of the model that `coder` asks; it may have no key, as on this host.
    ///
    /// What is not given is taken from ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL, OPENAI_API_KEY, OPENAI_BASE_URL, AGENTOS_MODEL,
    /// AGENTOS_MODEL_API, AGENTOS_MODEL_BASE_URL, AGENTOS_MODEL_KEY, AGENTOS_MODEL_CONTEXT and AGENTOS_MODEL_MAX_TOKENS.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// How that endpoint is spoken to.
    #[arg(long, value_enum)]
    pub(crate) api: Option<ApiArg>,
}

/// Whether agents get the files of an editor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EditorFilesArg {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Args)]
pub(crate) struct AcpArgs {
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
    /// Mount no directory of the editor: sessions work in what --mount gives, or in the machine's own files.
    #[arg(long)]
    pub(crate) no_mount: bool,
    /// Whether the agent may read and write the files that the editor has open, saved or not, through the editor. `auto`: if it is
    /// `coder`; other agents change their tools when they may.
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) editor_files: EditorFilesArg,
    /// Keep the files of the machine and its sessions in this directory, which holds nothing else: the editor can load and
    /// resume them the next time. Only one at a time can use it.
    #[arg(long, value_name = "DIR")]
    pub(crate) persist: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
    /// Working directory of the session.
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<String>,
    /// How permission requests are answered.
    #[arg(long, value_enum, default_value = "ask")]
    pub(crate) permission: PermissionArg,
    /// Events and the result as JSON lines.
    #[arg(long)]
    pub(crate) json: bool,
    /// What the agent is to do; `-` reads it from standard input.
    pub(crate) prompt: String,
}

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
    /// Working directory of the program.
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<String>,
    /// Pass exactly the variables of --env.
    #[arg(long)]
    pub(crate) clear_env: bool,
    /// Kill it after so many seconds, the status then is 124; 0 is no limit.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ShellArgs {
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
    /// Working directory of the program.
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<String>,
    /// Pass exactly the variables of --env, and TERM.
    #[arg(long)]
    pub(crate) clear_env: bool,
    /// Let the machine set the title of the window.
    #[arg(long)]
    pub(crate) allow_title: bool,
    /// Let the machine write to the clipboard.
    #[arg(long)]
    pub(crate) allow_clipboard: bool,
    /// Let the machine ask the terminal for its settings, colours, version and answer-back message.
    #[arg(long)]
    pub(crate) allow_answers: bool,
    /// The program and its arguments; without them, the machine's login shell.
    #[arg(last = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BatchArgs {
    /// Machines at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn mounts() {
        let parsed = mount("/a:b:/c:ro").unwrap();
        assert_eq!((parsed.host.to_str(), &*parsed.guest, parsed.read_only), (Some("/a:b"), "/c", true));
        assert!(!mount("/a:/c").unwrap().read_only);
        for (given, guest) in [("x:/a//m", "/a/m"), ("x:/./m/", "/m"), ("x:/", "/"), ("x://", "/")] {
            assert_eq!(mount(given).unwrap().guest, guest);
        }
        for wrong in ["/a", "/a:c", ":/c", "", "/a:/b/../c"] {
            assert!(mount(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_named() {
        use std::os::unix::ffi::OsStringExt;
        let said = |arguments: &[&[u8]]| {
            let arguments: Vec<_> = arguments.iter().map(|a| OsString::from_vec(a.to_vec())).collect();
            not_utf8(&arguments)
        };
        for (arguments, named) in [
            (&[&b"agentos"[..], b"exec", b"--env", b"A=\xff", b"--", b"true"][..], "value of --env"),
            (&[b"agentos", b"exec", b"--mount=\xff:/m", b"--", b"true"], "value of --mount"),
            (
                &[b"agentos", b"exec", b"--permissions", b"\xff", b"--", b"echo", b"a", b"\xff"],
                "argument 2 of",
            ),
            (&[b"agentos", b"run", b"\xff"], "argument 2 is"),
        ] {
            let said = said(arguments);
            assert!(said.contains(named) && said.contains("\\xFF"), "{said}");
        }
    }

    #[test]
    fn no_time_is_no_limit() {
        for (given, limit) in [
            (0.0, None),
            (-0.0, None),
            (1.5, Some(Duration::from_millis(1500))),
            (1e-12, Some(Duration::from_nanos(1))),
        ] {
            assert_eq!(time_limit(given).unwrap(), limit);
        }
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert!(time_limit(wrong).is_err(), "{wrong}");
        }
    }
}
