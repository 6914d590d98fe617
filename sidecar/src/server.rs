//! Serving: the private client on standard input, or all clients of a socket; and the end of it.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use agentos_executor::ExecutorError;
use agentos_protocol::mux;
use agentos_protocol::version::{Hello, Role};

use crate::connection::Client;
use crate::host::Host;
use crate::options::Options;
use crate::vm::{DISPOSE_TIME, WRITE_BACK_TIME};

/// A shared sidecar without clients ends after this long, unless told to stay.
const LINGER: Duration = Duration::from_secs(5);

/// Why a sidecar could not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The executor could not start.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// A system call failed.
    #[error("{operation}: {source}")]
    Io {
        /// What was tried.
        operation: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The directory of the socket is not safe.
    #[error("{path}: {reason}")]
    UnsafeDirectory {
        /// The directory.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The private client did not speak the protocol.
    #[error("handshake: {0}")]
    Handshake(#[from] mux::HandshakeError),
}

fn io(operation: impl Into<String>) -> impl FnOnce(std::io::Error) -> ServeError {
    let operation = operation.into();
    move |source| ServeError::Io { operation, source }
}

/// The body of the program: reads the arguments after the program name (and after `sidecar`), serves, returns the
/// status. Logs go to standard error; `AGENTOS_LOG` filters them, `AGENTOS_LOG_FORMAT=json` makes them JSON.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("agentos sidecar: {error}");
            return ExitCode::from(2);
        }
    };
    if let Options::CompileImage(directory) = &options {
        return ExitCode::from(agentos_executor::compile_child(directory));
    }
    start_logging();
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("wire")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("agentos sidecar: start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(options));
    // Blocking calls into a hung host directory must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agentos sidecar: {error}");
            ExitCode::FAILURE
        }
    }
}

/// As many descriptors as the system allows: the usual soft limit is for programs that call select(2), and what machines
/// may open on the host is a share of it.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!("the limit of open files stays at {current:?}: {error}");
    }
}

fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("AGENTOS_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A second subscriber (tests, embedders) is no reason to fail.
    let _ = if std::env::var("AGENTOS_LOG_FORMAT").is_ok_and(|f| f == "json") {
        logs.json().try_init()
    } else {
        logs.try_init()
    };
}

/// Serves until the end: see [`Options`].
///
/// # Errors
/// [`ServeError`] when serving could not begin.
pub async fn run(options: Options) -> Result<(), ServeError> {
    let compiler = match std::env::current_exe() {
        // `agentos sidecar …` and the sidecar's own program both know the argument; the marker makes a program that
        // bundles the sidecar run it.
        Ok(exe) => compile_command(exe),
        Err(_) => Vec::new(),
    };
    match options {
        Options::CompileImage(_) => Ok(()),
        Options::PrepareImages => {
            tokio::task::spawn_blocking(|| {
                crate::prepare_images(|what, done, total| eprintln!("preparing {what} ({done}/{total})"))
            })
            .await
            .map_err(|e| io("prepare")(std::io::Error::other(e)))??;
            Ok(())
        }
        Options::Private => {
            let host = Host::new(crate::images::executor(compiler)?);
            let socket = standard_input_socket().map_err(io("standard input as a socket"))?;
            let client = serve(&host, socket).await?;
            tokio::select! {
                () = client.gone() => {}
                () = host.shutdown.cancelled() => {}
                () = terminated() => {}
            }
            end(&host).await;
            Ok(())
        }
        Options::Shared { socket, stay } => {
            let host = Host::new(crate::images::executor(compiler)?);
            serve_socket(&host, &socket, stay).await
        }
    }
}

fn compile_command(exe: PathBuf) -> Vec<OsString> {
    let mut command = vec![exe.clone().into_os_string()];
    if exe.file_name().is_some_and(|name| name != "agentos-sidecar") {
        command.push("sidecar".into());
    }
    command.push("--compile-image".into());
    command
}

fn standard_input_socket() -> std::io::Result<UnixStream> {
    let fd: OwnedFd = std::io::stdin().as_fd().try_clone_to_owned()?;
    let socket = UnixStream::from(fd);
    // Fails with ENOTSOCK on anything else, before a byte is read.
    socket.local_addr()?;
    Ok(socket)
}

async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut term), Ok(mut int)) => {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        }
        _ => std::future::pending().await,
    }
}

async fn serve(host: &Arc<Host>, socket: UnixStream) -> Result<Arc<Client>, mux::HandshakeError> {
    let client = Client::new(host);
    let handler = Arc::clone(&client);
    let connection = mux::connect(socket, Hello::new(Role::Sidecar), handler, mux::Limits::default()).await?;
    client.connected(connection);
    Ok(client)
}

async fn serve_socket(host: &Arc<Host>, path: &Path, stay: bool) -> Result<(), ServeError> {
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    check_directory(directory)?;
    *host.socket_directory.lock() = Some(directory.to_owned());
    // Whoever starts us holds the start-up lock: a socket that is there is a dead one.
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(format!("remove {}", path.display()))(error)),
    }
    let listener =
        tokio::net::UnixListener::bind(path).map_err(io(format!("listen on {}", path.display())))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(io(format!("chmod {}", path.display())))?;
    let inode = std::fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    let own = rustix::process::geteuid().as_raw();
    let end_of_signals = terminated();
    tokio::pin!(end_of_signals);
    loop {
        let idle = async {
            loop {
                let changed = host.changed.notified();
                if host.client_count() > 0 || stay {
                    changed.await;
                } else {
                    tokio::select! {
                        () = changed => {}
                        // One may have come without anything else having changed.
                        () = tokio::time::sleep(LINGER) => if host.client_count() == 0 { return },
                    }
                }
            }
        };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let peer = stream.peer_cred().map(|c| c.uid());
                    if !peer.as_ref().is_ok_and(|uid| *uid == own) {
                        tracing::warn!(?peer, "a client of another user was refused");
                        continue;
                    }
                    let Ok(stream) = stream.into_std() else { continue };
                    let host = Arc::clone(host);
                    tokio::spawn(async move {
                        if let Err(error) = serve(&host, stream).await {
                            tracing::warn!(%error, "a client did not get through the handshake");
                        }
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely: others may close some.
                    tracing::warn!(%error, "accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            () = idle => break,
            () = host.shutdown.cancelled() => break,
            () = &mut end_of_signals => break,
        }
    }
    drop(listener);
    // Another sidecar may have taken the name meanwhile.
    if std::fs::metadata(path).map(|m| (m.dev(), m.ino())).ok() == inode {
        let _ = std::fs::remove_file(path);
    }
    end(host).await;
    Ok(())
}

/// The directory of the socket must be ours and closed to others: whoever can write there can be us to our clients.
fn check_directory(directory: &Path) -> Result<(), ServeError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(io(format!("create {}", directory.display())))?;
    let meta = std::fs::symlink_metadata(directory).map_err(io(format!("stat {}", directory.display())))?;
    let wrong = |reason: String| ServeError::UnsafeDirectory { path: directory.to_owned(), reason };
    let own = rustix::process::geteuid().as_raw();
    if !meta.is_dir() {
        return Err(wrong("it is not a directory".into()));
    }
    if meta.uid() != own {
        return Err(wrong(format!("it belongs to user {}, not to {own}; choose another one", meta.uid())));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(wrong(format!(
            "its mode {:o} lets others in; run chmod 700 {}",
            meta.mode() & 0o777,
            directory.display()
        )));
    }
    Ok(())
}

/// Ends all VMs, within bounded time.
async fn end(host: &Arc<Host>) {
    let ended = async {
        let all = host.all_vms();
        futures_util::future::join_all(all.iter().map(|vm| vm.dispose())).await;
        // One that somebody else disposes of, as of a client that went, counts until all of it is kept.
        loop {
            let mut changed = std::pin::pin!(host.changed.notified());
            changed.as_mut().enable();
            if host.vm_count() == 0 {
                break;
            }
            changed.await;
        }
    };
    if tokio::time::timeout(DISPOSE_TIME + WRITE_BACK_TIME, ended).await.is_err() {
        tracing::error!("machines did not end in time; what their stores had not taken is lost");
    }
}
