//! The configuration of a VM: checked whole before anything is made. What it cannot honour it refuses with the field's path.

use agentos_kernel::tty::Winsize;
use agentos_kernel::{Cred, Limits};
use agentos_protocol::WireError;
use agentos_protocol::message::{RootLower, UserConfig, VmConfig, VmLimits};
use agentos_vfs::{GuestPath, PathLimits};

use crate::lowers;

/// PATH of a VM.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Milliseconds of a year.
const YEAR_MS: u64 = 366 * 24 * 3_600_000;
/// Largest label set, environment and instructions together, bytes.
const TEXT: usize = 1 << 20;

/// A configuration that holds together.
pub(crate) struct Checked {
    pub(crate) limits: Limits,
    pub(crate) output_bytes: usize,
    pub(crate) readdir_page: usize,
    pub(crate) terminal_size: Winsize,
    pub(crate) hostname: String,
    pub(crate) user: UserConfig,
    pub(crate) home: GuestPath,
    pub(crate) cwd: GuestPath,
    pub(crate) env: Vec<Vec<u8>>,
    pub(crate) cred: Cred,
}

fn refuse<T>(path: impl Into<String>, reason: impl Into<String>) -> Result<T, WireError> {
    Err(WireError::invalid_config(path, reason))
}

fn guest_path(field: &str, path: impl AsRef<[u8]>) -> Result<GuestPath, WireError> {
    GuestPath::strict(path).map_err(|e| WireError::invalid_config(field, e.to_string()))
}

pub(crate) fn check(config: &VmConfig) -> Result<Checked, WireError> {
    not_here_yet(config)?;
    crate::persistence::check(config)?;
    let limits = limits(&config.limits)?;
    let hostname = config.hostname.clone().unwrap_or_else(|| "agentos".into());
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if hostname.is_empty()
        || hostname.len() > 64
        || !hostname.chars().all(valid)
        || hostname.starts_with(['-', '.'])
    {
        return refuse("hostname", "1 to 64 letters, digits, '-' and '.', beginning with a letter or digit");
    }
    let user = config.user.clone().unwrap_or_default();
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if user.name.is_empty()
        || user.name.len() > 32
        || !user.name.chars().all(valid)
        || user.name.starts_with('-')
    {
        return refuse("user.name", "1 to 32 letters, digits, '-', '_' and '.'");
    }
    let home = user.home.clone().unwrap_or_else(|| match user.name.as_str() {
        "root" => "/root".to_owned(),
        name => format!("/home/{name}"),
    });
    let home = guest_path("user.home", home)?;
    let cwd = match &config.cwd {
        Some(path) => guest_path("cwd", path)?,
        // A root of the client's own has no such directory, and none is made in it.
        None if config.mounts.iter().any(|mount| mount.path.0[..] == *b"/") => GuestPath::root(),
        None => guest_path("cwd", "/workspace")?,
    };
    let text: usize = config.env.iter().chain(&config.labels).map(|(k, v)| k.len() + v.len()).sum::<usize>()
        + config.additional_instructions.as_ref().map_or(0, String::len);
    if text > TEXT {
        return refuse(
            "env",
            format!("environment, labels and instructions have {text} bytes; {TEXT} are allowed"),
        );
    }
    let env = environment(config, &user, &home)?;
    let cred = Cred { uid: user.uid, gid: user.gid, groups: Vec::new() };
    Ok(Checked {
        limits,
        output_bytes: config.limits.process_output_bytes as usize,
        readdir_page: config.limits.readdir_page as usize,
        terminal_size: Winsize {
            cols: config.limits.pty_cols,
            rows: config.limits.pty_rows,
            ..Winsize::default()
        },
        hostname,
        user,
        home,
        cwd,
        env,
        cred,
    })
}

/// Fields that this version cannot honour.
fn not_here_yet(config: &VmConfig) -> Result<(), WireError> {
    let later = "this version cannot honour it yet; leave it out";
    if !config.software.is_empty() {
        return refuse("software", later);
    }
    if config.turn_checkpoints && config.limits.checkpoints == 0 {
        return refuse("turnCheckpoints", "`limits.checkpoints` allows none");
    }
    root(config)
}

/// What the root is made of holds together.
fn root(config: &VmConfig) -> Result<(), WireError> {
    let root = &config.root;
    if config.mounts.iter().any(|mount| mount.path.0[..] == *b"/") {
        let instead = "a mount takes the place of this root";
        if root.read_only {
            return refuse("rootFilesystem.mode", format!("{instead}; make that mount read-only"));
        }
        if root.disable_default_base_layer {
            return refuse("rootFilesystem.disableDefaultBaseLayer", instead);
        }
        if !root.lowers.is_empty() {
            return refuse("rootFilesystem.lowers", instead);
        }
        if config.additional_instructions.is_some() {
            return refuse("additionalInstructions", format!("{instead}, in which they would be"));
        }
    }
    let mut bundled = root.lowers.iter().enumerate().filter(|(_, lower)| **lower == RootLower::Bundled);
    if let Some((n, _)) = bundled.nth(1) {
        return refuse(format!("rootFilesystem.lowers[{n}]"), "the bundled base is given twice");
    }
    if root.lowers.len() > lowers::MOST {
        return refuse("rootFilesystem.lowers", format!("{} are the most", lowers::MOST));
    }
    Ok(())
}

fn limits(asked: &VmLimits) -> Result<Limits, WireError> {
    let default = VmLimits::default();
    if asked.sockets != default.sockets {
        let reason = format!("there are no sockets yet; leave it at {}", default.sockets);
        return refuse("limits.sockets", reason);
    }
    let within = |name: &str, value: u64, least: u64, most: u64| {
        if (least..=most).contains(&value) {
            Ok(value)
        } else {
            refuse(format!("limits.{name}"), format!("{value} is not between {least} and {most}"))
        }
    };
    within("processOutputBytes", u64::from(asked.process_output_bytes), 4096, 64 << 20)?;
    within("ptyCols", u64::from(asked.pty_cols), 1, u64::from(u16::MAX))?;
    within("ptyRows", u64::from(asked.pty_rows), 1, u64::from(u16::MAX))?;
    within("checkpoints", u64::from(asked.checkpoints), 0, 65_536)?;
    within("checkpointBytes", asked.checkpoint_bytes, 0, 1024 << 30)?;
    within("readdirPage", u64::from(asked.readdir_page), 1, 65_536)?;
    let gib = 1u64 << 30;
    Ok(Limits {
        memory_per_process: within("processMemory", asked.process_memory, 1 << 20, 4 * gib)?,
        agent_memory: within("agentMemory", asked.agent_memory, 1 << 20, 4 * gib)?,
        memory: within("vmMemory", asked.vm_memory, 1 << 20, 1024 * gib)?,
        processes: within("processes", u64::from(asked.processes), 1, 65_536)? as u32,
        fds_per_process: within("fdsPerProcess", u64::from(asked.fds_per_process), 8, 65_536)? as u32,
        pipes: within("pipes", u64::from(asked.pipes), 0, 65_536)? as u32,
        ptys: within("ptys", u64::from(asked.ptys), 0, 65_536)? as u32,
        pipe_bytes: within("pipeBytes", u64::from(asked.pipe_bytes), 4096, 16 << 20)? as usize,
        argv_env_bytes: within("argvEnvBytes", u64::from(asked.argv_env_bytes), 4096, 64 << 20)? as usize,
        fs_bytes: within("filesystemBytes", asked.filesystem_bytes, 1 << 16, 1024 * gib)?,
        fs_inodes: within("inodes", asked.inodes, 16, 1 << 32)?,
        cpu_time_ms: within("cpuTimeMs", asked.cpu_time_ms, 0, YEAR_MS)?,
        vm_cpu_time_ms: within("vmCpuTimeMs", asked.vm_cpu_time_ms, 0, YEAR_MS)?,
        paths: PathLimits {
            // That of POSIX counts the NUL that ends a path in C.
            path: within("pathBytes", u64::from(asked.path_bytes), 256, 4096)? as usize - 1,
            name: within("nameBytes", u64::from(asked.name_bytes), 14, 255)? as usize,
            links: within("symlinkDepth", u64::from(asked.symlink_depth), 0, 255)? as u32,
        },
        watches: within("watches", u64::from(asked.watches), 0, 4096)? as u32,
        watch_queue_bytes: within("watchQueueBytes", u64::from(asked.watch_queue_bytes), 4096, 64 << 20)?
            as u32,
    })
}

fn environment(config: &VmConfig, user: &UserConfig, home: &GuestPath) -> Result<Vec<Vec<u8>>, WireError> {
    let mut env: std::collections::BTreeMap<String, String> = [
        ("PATH", PATH.to_owned()),
        ("HOME", home.to_string()),
        ("USER", user.name.clone()),
        ("LOGNAME", user.name.clone()),
        ("SHELL", "/bin/sh".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v))
    .collect();
    env.extend(config.env.clone());
    env.iter().map(|(name, value)| variable("env", name, value)).collect()
}

/// `NAME=value`, refused when it cannot be one.
pub(crate) fn variable(field: &str, name: &str, value: &str) -> Result<Vec<u8>, WireError> {
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return refuse(
            format!("{field}.{name}"),
            "a name must not be empty or contain '=' or NUL, a value no NUL",
        );
    }
    Ok(format!("{name}={value}").into_bytes())
}

#[cfg(test)]
mod tests {
    use agentos_protocol::message::PersistenceSpec;

    use super::*;

    fn path_of(change: impl FnOnce(&mut VmConfig)) -> String {
        let mut config = VmConfig::default();
        change(&mut config);
        match check(&config) {
            Ok(_) => String::new(),
            Err(error) => error.details.unwrap().config.unwrap().path,
        }
    }

    #[test]
    fn refusals_name_the_field() {
        assert_eq!(path_of(|_| ()), "");
        assert_eq!(path_of(|c| c.hostname = Some("a b".into())), "hostname");
        assert_eq!(path_of(|c| c.cwd = Some("work".into())), "cwd");
        assert_eq!(path_of(|c| c.limits.processes = 0), "limits.processes");
        assert_eq!(path_of(|c| c.limits.ptys = 3), "");
        assert_eq!(path_of(|c| c.limits.ptys = 70_000), "limits.ptys");
        assert_eq!(path_of(|c| c.limits.pty_cols = 0), "limits.ptyCols");
        assert_eq!(path_of(|c| c.limits.sockets = 3), "limits.sockets");
        assert_eq!(path_of(|c| c.limits.agent_memory = 2 << 30), "");
        assert_eq!(path_of(|c| c.limits.path_bytes = 4097), "limits.pathBytes");
        assert_eq!(path_of(|c| c.limits.name_bytes = 256), "limits.nameBytes");
        assert_eq!(path_of(|c| c.limits.symlink_depth = 256), "limits.symlinkDepth");
        assert_eq!(path_of(|c| c.limits.vm_cpu_time_ms = u64::MAX), "limits.vmCpuTimeMs");
        assert_eq!(path_of(|c| c.limits.watches = 5000), "limits.watches");
        assert_eq!(path_of(|c| c.root.read_only = true), "");
        let directory = |path: &str| Some(PersistenceSpec::Directory { path: path.into() });
        assert_eq!(path_of(|c| c.persistence = directory("/var/vm")), "");
        assert_eq!(path_of(|c| c.persistence = directory("vm")), "persistence.directory.path");
        let sqlite = Some(PersistenceSpec::Sqlite { path: "vm.db".into() });
        assert_eq!(path_of(|c| c.persistence = sqlite), "persistence.sqlite.path");
        let nothing_changes = |c: &mut VmConfig| {
            c.persistence = directory("/var/vm");
            c.root.read_only = true;
        };
        assert_eq!(path_of(nothing_changes), "persistence");
        assert_eq!(path_of(|c| drop(c.env.insert("A=B".into(), String::new()))), "env.A=B");
    }
}
