//! The house rules that neither compiler nor clippy check: size and header of files, words that do not belong, who may
//! depend on whom. It changes nothing.

mod files;
mod layers;
mod source;

use std::path::Path;
use std::process::ExitCode;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// `file` or `file:line`.
    pub(crate) place: String,
    /// The rule and what to do.
    pub(crate) rule: String,
}

pub(crate) fn tidy(root: &Path) -> ExitCode {
    let files = match files::all(root) {
        Ok(files) if files.is_empty() => {
            eprintln!("tidy: {}: no files", root.display());
            return ExitCode::FAILURE;
        }
        Ok(files) => files,
        Err(error) => {
            eprintln!("tidy: {error}");
            return ExitCode::FAILURE;
        }
    };
    let machine = source::machine_paths(root);
    let mut findings = Vec::new();
    for (name, text) in &files {
        findings.extend(source::words(name, text, &machine));
        if name.ends_with(".rs") {
            findings.extend(source::shape(name, text));
        }
        if name.ends_with("Cargo.toml") {
            findings.extend(layers::manifest(name, text));
        }
    }
    findings.extend(source::unsafe_is_forbidden(&files));
    for Finding { place, rule } in &findings {
        eprintln!("{place}: {rule}");
    }
    if findings.is_empty() {
        println!("tidy: {} files, no findings", files.len());
        ExitCode::SUCCESS
    } else {
        eprintln!("tidy: {} findings", findings.len());
        ExitCode::FAILURE
    }
}
