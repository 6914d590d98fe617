//! The sidecar that programs of one user share, reached by a socket in a directory only this user can enter.
//! Users never share a sidecar, and neither do different builds of it.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use agentos_protocol::message::{DescribeSidecar, SidecarInfo};
use agentos_protocol::version::PROTOCOL_MAJOR;
use tokio::sync::Mutex;

use super::child::Child;
use super::locate::{Program, locate};
use super::{AgentOsSidecar, Link, SharedSidecarOptions, SidecarPlacement};
use crate::error::{Error, Result};

/// Longest path of a Unix socket, without its NUL.
const SUN_PATH: usize = 107;

/// How long another program may hold the start-up lock, and a sidecar may take to listen.
const START: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// How often a sidecar that goes while we come is tried again.
const TRIES: u32 = 5;

/// The ones this program uses. Held while connecting, so that a program has one connection per pool.
static POOLS: Mutex<Option<HashMap<PathBuf, Weak<AgentOsSidecar>>>> = Mutex::const_new(None);

pub(super) async fn get(options: SharedSidecarOptions) -> Result<Arc<AgentOsSidecar>> {
    let pool = options.pool.unwrap_or_else(|| "default".to_owned());
    let pool_ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if pool.is_empty() || pool.len() > 32 || !pool.bytes().all(pool_ok) {
        return Err(Error::config("sidecar.pool", "must be 1 to 32 of a-z, 0-9, `_` and `-`"));
    }
    let program = locate(options.binary)?;
    let folder = private_folder(&folder_path())?;
    let socket = folder.join(socket_name(&pool, &program)?);
    if socket.as_os_str().len() > SUN_PATH {
        return Err(Error::Transport { message: format!("{}: too long for a socket", socket.display()) });
    }
    let mut pools = POOLS.lock().await;
    let pools = pools.get_or_insert_default();
    pools.retain(|_, sidecar| sidecar.strong_count() > 0);
    if let Some(sidecar) = pools.get(&socket).and_then(Weak::upgrade).filter(|s| s.usable()) {
        return Ok(sidecar);
    }
    let mut tries = TRIES;
    let (link, info, child) = loop {
        tries -= 1;
        match meet(&socket, &program).await {
            // It was about to go when we came; the next one is ours.
            Err(Error::SidecarExited { status: None, .. }) if tries > 0 => tokio::time::sleep(POLL).await,
            met => break met?,
        }
    };
    let sidecar = AgentOsSidecar::new(link, SidecarPlacement::Shared { pool }, info, child);
    pools.insert(socket, Arc::downgrade(&sidecar));
    Ok(sidecar)
}

async fn meet(socket: &Path, program: &Program) -> Result<(Arc<Link>, SidecarInfo, Option<Child>)> {
    let (stream, child) = reach(socket, program).await?;
    let link = Link::connect(stream, child.clone()).await?;
    let info = link.call(&DescribeSidecar {}).await?;
    Ok((link, info, child))
}

/// Connects, or starts the sidecar under the lock and connects then.
async fn reach(socket: &Path, program: &Program) -> Result<(UnixStream, Option<Child>)> {
    if let Some(stream) = try_connect(socket).await? {
        return Ok((stream, None));
    }
    let _lock = lock(&socket.with_extension("lock")).await?;
    // Someone else may have started it while we waited for the lock.
    if let Some(stream) = try_connect(socket).await? {
        return Ok((stream, None));
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io("remove the old socket", &error)),
        _ => {}
    }
    let mut command = program.command();
    command.arg("--socket").arg(socket).stdin(Stdio::null()).current_dir("/");
    let log = socket.with_extension("log");
    let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&log);
    let file = file.map_err(|error| io("open the log of the shared sidecar", &error))?;
    let child = Child::spawn(command, &program.path, Some((file, log)))?;
    let begin = Instant::now();
    loop {
        if let Some(stream) = try_connect(socket).await? {
            return Ok((stream, Some(child)));
        }
        if child.status().is_some() {
            return Err(Error::SidecarExited { status: child.status(), last_stderr: child.last_stderr() });
        }
        if begin.elapsed() > START {
            child.end();
            return Err(Error::Timeout {
                operation: "start of the shared sidecar".to_owned(),
                after: Some(START),
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// `None`: nobody listens.
async fn try_connect(socket: &Path) -> Result<Option<UnixStream>> {
    // Not the blocking connect: it would wait for ever for a sidecar that has stopped and whose queue is full.
    let stream =
        match tokio::net::UnixStream::connect(socket).await.and_then(tokio::net::UnixStream::into_std) {
            Ok(stream) => stream,
            Err(error) => {
                return match error.kind() {
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused => Ok(None),
                    _ => Err(io("connect to the shared sidecar", &error)),
                };
            }
        };
    let peer = rustix::net::sockopt::socket_peercred(&stream)
        .map_err(|error| io("ask who listens at the shared sidecar's socket", &error.into()))?;
    if peer.uid != rustix::process::geteuid() {
        return Err(Error::Transport { message: format!("{}: belongs to another user", socket.display()) });
    }
    Ok(Some(stream))
}

async fn lock(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(|error| io("open the start-up lock", &error))?;
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begin.elapsed() < START => tokio::time::sleep(POLL).await,
            Err(TryLockError::WouldBlock) => {
                let operation = "wait for another program to start the shared sidecar".to_owned();
                return Err(Error::Timeout { operation, after: Some(START) });
            }
            Err(TryLockError::Error(error)) => return Err(io("take the start-up lock", &error)),
        }
    }
}

fn folder_path() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute() && dir.is_dir())
    {
        Some(dir) => dir.join("agentos"),
        None => PathBuf::from(format!("/tmp/agentos-{}", rustix::process::geteuid().as_raw())),
    }
}

/// Makes the directory if it is missing, and makes sure that nobody else can have put anything there.
fn private_folder(path: &Path) -> Result<PathBuf> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(io("make the directory of the shared sidecar", &error));
        }
        _ => {}
    }
    let meta = std::fs::symlink_metadata(path).map_err(|error| io("look at the directory", &error))?;
    let wrong = if !meta.is_dir() {
        "is not a directory"
    } else if meta.uid() != rustix::process::geteuid().as_raw() {
        "belongs to another user"
    } else if meta.mode() & 0o077 != 0 {
        "can be entered by other users; its mode must be 0700"
    } else {
        return Ok(path.to_owned());
    };
    Err(Error::Transport { message: format!("{} {wrong}", path.display()) })
}

/// Contains the protocol and the identity of the program, so that different builds do not meet.
fn socket_name(pool: &str, program: &Program) -> Result<String> {
    let path =
        std::fs::canonicalize(&program.path).map_err(|error| io("look at the sidecar program", &error))?;
    let meta = std::fs::metadata(&path).map_err(|error| io("look at the sidecar program", &error))?;
    let identity = format!(
        "{}\0{}\0{}\0{}\0{}.{}",
        path.display(),
        meta.dev(),
        meta.ino(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec()
    );
    let hash = blake3::hash(identity.as_bytes()).to_hex();
    Ok(format!("{pool}-{PROTOCOL_MAJOR}-{}.sock", hash.chars().take(16).collect::<String>()))
}

fn io(what: &str, error: &std::io::Error) -> Error {
    Error::Transport { message: format!("cannot {what}: {error}") }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_that_others_can_touch_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("good");
        assert_eq!(private_folder(&good).unwrap(), good);
        assert_eq!(private_folder(&good).unwrap(), good, "again");
        assert_eq!(std::fs::metadata(&good).unwrap().mode() & 0o777, 0o700);

        let open = dir.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(private_folder(&open).unwrap_err().to_string().contains("0700"));

        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&good, &link).unwrap();
        assert!(private_folder(&link).unwrap_err().to_string().contains("not a directory"));
    }

    #[test]
    fn another_build_has_another_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agentos-sidecar");
        std::fs::write(&path, "one").unwrap();
        let program = Program { path: path.clone(), args: vec![], bundled: false };
        let first = socket_name("p", &program).unwrap();
        assert_eq!(socket_name("p", &program).unwrap(), first);
        assert!(first.starts_with("p-1-"), "{first}");
        std::fs::write(&path, "three").unwrap();
        assert_ne!(socket_name("p", &program).unwrap(), first);
    }

    #[tokio::test]
    async fn the_lock_is_exclusive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let held = lock(&path).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(50), lock(&path)).await;
        assert!(waiting.is_err());
        drop(held);
        lock(&path).await.unwrap();
    }
}
