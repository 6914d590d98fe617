//! Finding the program of the sidecar.
//! It starts nothing.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::bundled;
use crate::error::{Error, Result};

/// Environment variable with the path of the program.
const VARIABLE: &str = "AGENTOS_SIDECAR";

/// Names, and what goes before the arguments: the command line tool is a sidecar by subcommand.
const NAMES: [&str; 2] = ["agentos-sidecar", "agentos"];

/// A program that can be a sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// Arguments before ours.
    pub(super) args: Vec<OsString>,
    /// It is this very program.
    pub(super) bundled: bool,
}

impl Program {
    fn at(path: PathBuf) -> Self {
        let thin = path.file_name().is_some_and(|name| name == NAMES[0]);
        let args = if thin { Vec::new() } else { vec!["sidecar".into()] };
        Program { path, args, bundled: false }
    }

    pub(super) fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.path);
        command.args(&self.args);
        if self.bundled {
            command.env(bundled::MARKER, "1");
        }
        command
    }
}

/// Where to look.
#[derive(Debug, Default)]
struct Places {
    explicit: Option<PathBuf>,
    variable: Option<PathBuf>,
    /// This program, if it is a sidecar too.
    bundled: Option<PathBuf>,
    beside: Option<PathBuf>,
    path: Vec<PathBuf>,
}

pub(super) fn locate(explicit: Option<PathBuf>) -> Result<Program> {
    let current = std::env::current_exe().ok();
    search(Places {
        explicit,
        variable: std::env::var_os(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from),
        bundled: current.clone().filter(|_| bundled::ready()),
        beside: current,
        path: std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default(),
    })
}

fn search(places: Places) -> Result<Program> {
    // What was asked for by name is not silently replaced by something else.
    for (how, named) in [("explicit path", places.explicit), (VARIABLE, places.variable)] {
        if let Some(path) = named {
            return match is_program(&path) {
                true => Ok(Program::at(path)),
                false => Err(not_found(vec![format!("{how} {} (not an executable file)", path.display())])),
            };
        }
    }
    let mut tried = vec!["explicit path (none given)".to_owned(), format!("{VARIABLE} (not set)")];
    match places.bundled {
        Some(path) => return Ok(Program { path, args: vec!["sidecar".into()], bundled: true }),
        None => tried.push(format!("bundled ({})", bundled::why_not())),
    }
    let mut folders = Vec::new();
    if let Some(folder) = places.beside.as_deref().and_then(Path::parent) {
        folders.push(folder.to_owned());
        // Tests and examples of cargo lie one folder below the binaries.
        if folder.ends_with("deps") || folder.ends_with("examples") {
            folders.extend(folder.parent().map(Path::to_owned));
        }
    }
    // An empty or relative component of PATH means the working directory, which is not ours to trust.
    folders.extend(places.path.into_iter().filter(|folder| folder.is_absolute()));
    for folder in folders {
        for name in NAMES {
            let path = folder.join(name);
            if is_program(&path) {
                return Ok(Program::at(path));
            }
            tried.push(path.display().to_string());
        }
    }
    Err(not_found(tried))
}

fn not_found(tried: Vec<String>) -> Error {
    Error::SidecarNotFound { tried }
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(folder: &Path, name: &str) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn tried(places: Places) -> Vec<String> {
        match search(places).unwrap_err() {
            Error::SidecarNotFound { tried } => tried,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_order_is_kept_and_every_place_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let (debug, bin) = (root.join("debug"), root.join("bin"));
        let places = || Places {
            beside: Some(debug.join("deps/test-1234")),
            path: vec![bin.clone(), PathBuf::from("relative"), PathBuf::new()],
            ..Places::default()
        };
        let all = tried(places()).join("\n");
        for part in [
            "explicit",
            VARIABLE,
            "bundled",
            "debug/deps/agentos-sidecar",
            "debug/agentos",
            "bin/agentos-sidecar",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
        assert!(!all.contains("relative"));

        let on_path = program(&bin, "agentos-sidecar");
        assert_eq!(
            search(places()).unwrap(),
            Program { path: on_path.clone(), args: vec![], bundled: false }
        );
        let cli = program(&debug, "agentos");
        assert_eq!(
            search(places()).unwrap(),
            Program { path: cli, args: vec!["sidecar".into()], bundled: false }
        );
        let thin = program(&debug, "agentos-sidecar");
        assert_eq!(search(places()).unwrap().path, thin);
        let own = root.join("own");
        assert!(search(Places { bundled: Some(own.clone()), ..places() }).unwrap().bundled);
        let variable = Places { variable: Some(on_path.clone()), bundled: Some(own), ..places() };
        assert_eq!(search(variable).unwrap().path, on_path);
        let explicit = Places { explicit: Some(root.join("nowhere")), variable: Some(on_path), ..places() };
        assert!(tried(explicit)[0].contains("nowhere"), "what was asked for is not replaced");
    }
}
