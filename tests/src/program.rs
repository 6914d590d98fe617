//! The program under test: found, and built when it has to be.
//! It is never installed anywhere.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// Folders whose sources end up in the program.
const SOURCES: [&str; 4] = ["crates", "sidecar", "base-snapshot", "guest-commands"];

/// Path of the `agentos` program that belongs to these tests.
///
/// # Panics
/// If it cannot be built.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("AGENTOS_SIDECAR").filter(|v| !v.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => built(),
    })
}

/// The command line of the program, ready for arguments. It is killed when the handle is dropped.
pub fn cli() -> tokio::process::Command {
    let mut command = tokio::process::Command::new(program());
    command.kill_on_drop(true);
    // Whoever runs the tests may have a model of their own; none is asked.
    for variable in ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL"] {
        command.env_remove(variable);
    }
    for name in ["", "_API", "_BASE_URL", "_KEY", "_CONTEXT", "_MAX_TOKENS"] {
        command.env_remove(format!("AGENTOS_MODEL{name}"));
    }
    command
}

fn built() -> PathBuf {
    let tests = std::env::current_exe().expect("the running test has a path");
    // target/<profile>/deps/<test>, or target/<triple>/<profile>/deps/<test>.
    let profile = tests.ancestors().nth(2).expect("tests lie in a folder of a profile");
    let program = profile.join("agentos");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in the workspace");
    let newest = SOURCES.iter().filter_map(|folder| newest(&root.join(folder))).max();
    let age = std::fs::metadata(&program).and_then(|meta| meta.modified()).ok();
    if age.is_some() && age >= newest {
        return program;
    }
    // Cargo has let go of its lock: it runs tests only when everything is compiled.
    let folder = profile.parent().expect("a profile lies in the target folder");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "agentos-cli", "--bin", "agentos"]).current_dir(root);
    build.arg("--target-dir").arg(folder);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().expect("cargo can be run");
    assert!(status.success(), "agentos could not be built: {status}");
    program
}

fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    entries
        .filter_map(|entry| {
            let (path, kind) = (entry.path(), entry.file_type().ok()?);
            match path.extension().and_then(|e| e.to_str()) {
                _ if kind.is_dir() => match path.file_name()?.to_str()? {
                    "target" | "tests" => None,
                    _ => newest(&path),
                },
                Some("rs" | "toml") => entry.metadata().ok()?.modified().ok(),
                _ => None,
            }
        })
        .max()
}

/// The directory of images, as the documentation of `AGENTOS_CACHE_DIR` says.
///
/// # Panics
/// If it is not there.
#[must_use]
pub fn image_cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = set("AGENTOS_CACHE_DIR")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("agentos")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache/agentos")))
        .expect("there is a home")
        .join("images");
    assert!(cache.is_dir(), "{}", cache.display());
    cache
}

/// The socket of a shared sidecar that runs, by the name of its pool.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn socket_of(pool: &str) -> PathBuf {
    let own = std::fs::metadata("/proc/self").map(|meta| std::os::unix::fs::MetadataExt::uid(&meta));
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir());
    let folder = match runtime {
        Some(dir) => dir.join("agentos"),
        None => PathBuf::from(format!("/tmp/agentos-{}", own.expect("this process has an owner"))),
    };
    let begins = format!("{pool}-");
    let sockets =
        std::fs::read_dir(folder).expect("sockets have a folder").flatten().map(|entry| entry.path());
    let is_it = |path: &PathBuf| {
        path.extension().is_some_and(|e| e == "sock")
            && path.file_name().and_then(|n| n.to_str()).is_some_and(|name| name.starts_with(&begins))
    };
    sockets.into_iter().find(is_it).expect("the sidecar has a socket")
}
