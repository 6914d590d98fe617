//! What the driver is told, and out of whose sight that is then. A process cannot wipe the environment that it was started
//! with: others of the same user can read it for as long as it runs. So the driver takes its variables, and becomes itself once
//! more without them; they go through a file in memory that has no name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;

use agentos_driver::ErrorInfo;
use agentos_driver::boot::{BootPayload, PREFIX, PayloadSource};
use agentos_driver::process::Launcher;
use agentos_driver::runner::{Setup, prepare};
use agentos_driver::{Ports, process};
use rustix::fs::{MemfdFlags, SealFlags};

/// The name of the file in memory.
const NAME: &str = "agentos-driver";
/// The most that it may hold: a payload, and some more.
const MOST: u64 = 24 << 20;

type Variables = BTreeMap<String, String>;

fn unreadable(what: impl std::fmt::Display) -> ErrorInfo {
    ErrorInfo::new("boot.unreadable", format!("boot payload: {what}"))
}

/// All that the driver is told.
///
/// # Errors
/// `boot.unreadable`, `boot.malformed`, and what the backend cannot use.
pub(super) async fn read(stdio: bool, handover: Option<u32>) -> Result<Setup, ErrorInfo> {
    let variables = match handover {
        Some(descriptor) => taken_over(descriptor)?,
        None => {
            let variables = own_variables()?;
            if !variables.is_empty() {
                return Err(become_without(&variables, stdio));
            }
            variables
        }
    };
    // From here on no process of the same user can look into this one.
    let hidden = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    hidden
        .map_err(|error| unreadable(format_args!("this process cannot be shut off from others: {error}")))?;
    let source = PayloadSource::find(|name| variables.get(name).cloned());
    if stdio && source == PayloadSource::Stdin {
        return Err(unreadable(
            "with --stdio it cannot come through standard input: set AGENT_DRIVER_BOOT_PAYLOAD or \
             AGENT_DRIVER_BOOT_PAYLOAD_FILE",
        ));
    }
    let payload: BootPayload = source.read().await?;
    let launcher: std::sync::Arc<dyn Launcher> = std::sync::Arc::new(process::host::HostLauncher);
    prepare(payload, variables, Ports::new(launcher))
}

/// The variables of the driver that this process was started with.
fn own_variables() -> Result<Variables, ErrorInfo> {
    let own = std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    own.map(|(name, value)| {
        let shown = name.display().to_string();
        let text = |text: std::ffi::OsString| text.into_string();
        match (text(name), text(value)) {
            (Ok(name), Ok(value)) => Ok((name, value)),
            _ => Err(unreadable(format_args!("{shown}: it is not UTF-8"))),
        }
    })
    .collect()
}

/// Becomes this program once more, without the variables. It returns only if that fails.
fn become_without(variables: &Variables, stdio: bool) -> ErrorInfo {
    let handed = (|| {
        // It outlives this image; the next one empties it before it starts anything.
        let file = File::from(rustix::fs::memfd_create(NAME, MemfdFlags::ALLOW_SEALING)?);
        serde_json::to_writer(&file, variables)?;
        (&file).flush()?;
        std::io::Result::Ok(file)
    })();
    let file = match handed {
        Ok(file) => file,
        Err(error) => return unreadable(format_args!("the environment cannot be handed over: {error}")),
    };
    let mut again = std::process::Command::new("/proc/self/exe");
    again.arg0("agentos").arg("driver").arg("--handover").arg(file.as_raw_fd().to_string());
    if stdio {
        again.arg("--stdio");
    }
    for name in variables.keys() {
        again.env_remove(name);
    }
    unreadable(format_args!("the driver cannot start itself without its variables: {}", again.exec()))
}

/// What the image before this one handed over. The file is empty afterwards, and stays so: its descriptor is one that children
/// inherit.
fn taken_over(descriptor: u32) -> Result<Variables, ErrorInfo> {
    let path = format!("/proc/self/fd/{descriptor}");
    let taken = (|| {
        let is_ours = std::fs::read_link(&path)?.to_string_lossy().starts_with(&format!("/memfd:{NAME} "));
        if !is_ours {
            return Err(std::io::Error::other("no file of a driver"));
        }
        let mut file = std::fs::OpenOptions::new().read(true).write(true).open(&path)?;
        file.rewind()?;
        let mut text = String::new();
        (&file).take(MOST).read_to_string(&mut text)?;
        rustix::fs::ftruncate(file.as_fd(), 0)?;
        rustix::fs::fcntl_add_seals(
            file.as_fd(),
            SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
        )?;
        Ok(serde_json::from_str(&text)?)
    })();
    taken.map_err(|error: std::io::Error| unreadable(format_args!("descriptor {descriptor}: {error}")))
}
