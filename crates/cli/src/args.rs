//! The arguments.

use std::path::PathBuf;

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
    Exec(ExecArgs),
    /// Run many commands, each in a fresh machine: JSON lines in, JSON lines out.
    Batch(BatchArgs),
    /// The agents that can be run.
    Agents(ListArgs),
    /// What is missing on this machine, and how to get it.
    Doctor(ListArgs),
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
    let host = std::path::absolute(host).map_err(|e| e.to_string())?;
    Ok(MountArg { host, guest: guest.to_owned(), read_only })
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() {
        return Err("the name is empty".into());
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    std::time::Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())
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
    /// A snapshot to start from.
    #[arg(long, value_name = "FILE")]
    pub(crate) snapshot: Option<PathBuf>,
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

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The agent; see `agentos agents`.
    #[arg(long, default_value = "scripted")]
    pub(crate) agent: String,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
    /// Working directory of the session.
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<String>,
    /// The agent's model.
    #[arg(long)]
    pub(crate) model: Option<String>,
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
    /// Kill it after so many seconds; the status then is 124.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) timeout: Option<std::time::Duration>,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "PROGRAM")]
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
        for wrong in ["/a", "/a:c", ":/c", ""] {
            assert!(mount(wrong).is_err(), "{wrong}");
        }
    }
}
