//! Builds the guest programs and tells the crate where they are.
//!
//! Guests are another target and another profile, so a cargo of their own builds them, into one fixed `target/guests`
//! and in a clean environment: a nested cargo that inherits CARGO_TARGET_DIR waits for the lock of its parent for
//! ever. It is skipped while a stamp of all sources matches. check, clippy and doc never build guests: they get empty
//! programs, and the script is run again by the next build.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const TARGET: &str = "wasm32-wasip1";
/// Name in the bundle, and the file that the guest workspace builds.
const PROGRAMS: [(&str, &str); 12] = [
    ("sh", "sh.wasm"),
    ("tools", "agentos-tools.wasm"),
    ("scripted", "agentos-scripted.wasm"),
    ("coder", "agentos-coder.wasm"),
    ("archive", "agentos-archive.wasm"),
    ("awk", "awk.wasm"),
    ("git", "git.wasm"),
    ("jq", "jq.wasm"),
    ("rg", "rg.wasm"),
    ("screen", "agentos-screen.wasm"),
    ("vi", "vi.wasm"),
    ("agentos", "agentos.wasm"),
];

fn main() {
    let root = PathBuf::from(env("CARGO_MANIFEST_DIR")).join("..");
    let guests = root.join("guest-commands");
    let target = root.join("target/guests");
    for watched in ["guest-commands", "crates/abi", "rust-toolchain.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    println!("cargo::rerun-if-env-changed=AGENTOS_SKIP_GUESTS");
    let built = if only_checks() {
        // A file that never exists: cargo runs this script again next time, when it may be a real build.
        println!("cargo::rerun-if-changed={}", root.join("target/guests/not-built").display());
        false
    } else {
        build(&root, &guests, &target);
        true
    };
    let out = PathBuf::from(env("OUT_DIR"));
    let mut source = String::from("[\n");
    for (name, file) in PROGRAMS {
        let wasm = target.join(TARGET).join("release").join(file);
        let entry = if built {
            let bytes =
                std::fs::read(&wasm).unwrap_or_else(|e| fail(&format!("read {}: {e}", wasm.display())));
            // A copy of our own: the guest build may replace its file while the compiler reads it.
            let copy = out.join(file);
            std::fs::write(&copy, &bytes).unwrap_or_else(|e| fail(&format!("write {}: {e}", copy.display())));
            let hash = blake3::hash(&bytes);
            format!("include_bytes!({:?}), hash: {:?} }}", copy, hash.as_bytes())
        } else {
            "&[], hash: [0; 32] }".to_owned()
        };
        let _ = writeln!(source, "    BundledProgram {{ name: {name:?}, wasm: {entry},");
    }
    source.push(']');
    let file = out.join("programs.rs");
    std::fs::write(&file, source).unwrap_or_else(|e| fail(&format!("write {}: {e}", file.display())));
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|e| fail(&format!("{name}: {e}")))
}

fn fail(message: &str) -> ! {
    eprintln!("guest programs: {message}");
    exit(1);
}

/// Whether the cargo that runs this script only checks, lints or documents: then nobody needs the programs.
fn only_checks() -> bool {
    if std::env::var_os("AGENTOS_SKIP_GUESTS").is_some_and(|v| v == "1") {
        return true;
    }
    let wrapper = std::env::var("RUSTC_WORKSPACE_WRAPPER").unwrap_or_default();
    if wrapper.contains("clippy-driver") {
        return true;
    }
    let parent = std::os::unix::process::parent_id();
    let command = std::fs::read(format!("/proc/{parent}/cmdline")).unwrap_or_default();
    let words: Vec<String> =
        command.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
    words
        .iter()
        .skip(1)
        .find(|w| !w.starts_with('-') && !w.starts_with('+'))
        .is_some_and(|w| matches!(w.as_str(), "check" | "c" | "clippy" | "doc" | "d" | "rustdoc" | "fix"))
}

fn build(root: &Path, guests: &Path, target: &Path) {
    let stamp_file = target.join("stamp");
    let stamp = stamp(root);
    let complete = PROGRAMS.iter().all(|(_, file)| target.join(TARGET).join("release").join(file).exists());
    if complete && std::fs::read_to_string(&stamp_file).is_ok_and(|old| old == stamp) {
        return;
    }
    require_target();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(guests)
        .args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"])
        .arg(target)
        .args([
            "-p",
            "agentos-sh",
            "-p",
            "agentos-tools",
            "-p",
            "agentos-awk",
            "-p",
            "agentos-archive",
            "-p",
            "agentos-git",
            "-p",
            "agentos-jq",
            "-p",
            "agentos-rg",
            "-p",
            "agentos-screen",
            "-p",
            "agentos-vi",
            "-p",
            "agentos-scripted",
            "-p",
            "agentos-coder",
            "-p",
            "agentos-toolkits",
        ])
        .env_clear();
    let keep = |name: &str| {
        matches!(
            name,
            "PATH" | "HOME" | "CARGO_HOME" | "RUSTUP_HOME" | "RUSTUP_TOOLCHAIN" | "USER" | "LANG" | "TMPDIR"
        ) || name.starts_with("CARGO_REGISTR")
            || name.starts_with("CARGO_HTTP")
            || name.starts_with("CARGO_NET")
            || name.starts_with("CARGO_SOURCE")
            || name.starts_with("SSL_CERT")
            || name.to_ascii_lowercase().ends_with("_proxy")
    };
    command.envs(std::env::vars().filter(|(name, _)| keep(name)));
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!("their build ended with {status}")),
        Err(error) => fail(&format!("start cargo: {error}")),
    }
    if let Err(error) = std::fs::write(&stamp_file, stamp) {
        fail(&format!("write {}: {error}", stamp_file.display()));
    }
}

/// Makes sure that the compiler has the guests' target, or says the one command that adds it.
fn require_target() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let there = || {
        let output = Command::new(&rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
        output.is_ok_and(|o| {
            let directory = String::from_utf8_lossy(&o.stdout).trim().to_owned();
            o.status.success() && Path::new(&directory).is_dir()
        })
    };
    if there() {
        return;
    }
    let _ = Command::new("rustup").args(["target", "add", TARGET]).status();
    if !there() {
        fail(&format!("the target {TARGET} is not installed. Run: rustup target add {TARGET}"));
    }
}

/// A hash of everything that the guests are built from.
fn stamp(root: &Path) -> String {
    let mut files = Vec::new();
    for folder in ["guest-commands", "crates/abi"] {
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in &files {
        hasher.update(file.strip_prefix(root).unwrap_or(file).to_string_lossy().as_bytes());
        hasher.update(&[0]);
        hasher.update(&std::fs::read(file).unwrap_or_default());
    }
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    if let Ok(version) = Command::new(rustc).arg("-vV").output() {
        hasher.update(&version.stdout);
    }
    hasher.finalize().to_hex().to_string()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            // Tests are no part of a program.
            if name != "target" && name != "tests" {
                collect(&path, files);
            }
        } else {
            files.push(path);
        }
    }
}
