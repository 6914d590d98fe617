//! `--save-snapshot FILE`: the machine's root as a file, once the program has ended. The name says what it is written as.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use agentos::{AgentOs, SnapshotFormat, SnapshotOptions};
use miette::{IntoDiagnostic, Result, WrapErr};

use crate::args::MachineArgs;

/// Where to, checked before the program runs.
pub(crate) struct Save {
    path: PathBuf,
    format: SnapshotFormat,
}

impl Save {
    /// What the option asks for.
    pub(crate) fn of(args: &MachineArgs) -> Result<Option<Self>> {
        let Some(path) = args.save_snapshot.as_deref() else { return Ok(None) };
        if args.mount.iter().any(|mount| mount.guest == "/") {
            return Err(miette::miette!(
                "--save-snapshot: the mount at / takes the place of the root, which it would save"
            ));
        }
        let Some(format) = format(path) else {
            return Err(miette::miette!(
                "{}: the name of a snapshot ends in .tar, .oci.tar or .json",
                path.display()
            ));
        };
        let path = std::path::absolute(path).into_diagnostic()?;
        if !path.parent().is_some_and(Path::is_dir) {
            return Err(miette::miette!("{}: there is no such directory", path.display()));
        }
        Ok(Some(Save { path, format }))
    }

    /// Writes it. What is there is replaced only by a whole one.
    pub(crate) async fn save(&self, os: &AgentOs) -> Result<()> {
        let mut name = self.path.file_name().map(OsString::from).unwrap_or_default();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = self.path.with_file_name(name);
        let written = self.write(os, &partial).await;
        if written.is_err() {
            // It may not have been made at all.
            let _ = tokio::fs::remove_file(&partial).await;
        }
        written.wrap_err_with(|| self.path.display().to_string())
    }

    async fn write(&self, os: &AgentOs, partial: &Path) -> Result<()> {
        let options = SnapshotOptions { format: self.format, flatten: false };
        let mut snapshot = os.export_root_filesystem(options).await.into_diagnostic()?;
        let mut file = tokio::fs::File::create(partial).await.into_diagnostic()?;
        tokio::io::copy(&mut snapshot, &mut file).await.into_diagnostic()?;
        file.sync_all().await.into_diagnostic()?;
        tokio::fs::rename(partial, &self.path).await.into_diagnostic()
    }
}

fn format(path: &Path) -> Option<SnapshotFormat> {
    let name = path.file_name()?.as_encoded_bytes();
    [
        (&b".oci.tar"[..], SnapshotFormat::Oci),
        (b".tar", SnapshotFormat::Tar),
        (b".json", SnapshotFormat::Json),
    ]
    .into_iter()
    .find_map(|(end, format)| name.ends_with(end).then_some(format))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_the_format() {
        for (name, expected) in [
            ("a.tar", Some(SnapshotFormat::Tar)),
            ("/b/a.oci.tar", Some(SnapshotFormat::Oci)),
            ("a.json", Some(SnapshotFormat::Json)),
            ("a.tar.gz", None),
            ("tar", None),
            ("/", None),
        ] {
            assert_eq!(format(Path::new(name)), expected, "{name}");
        }
    }
}
