//! Sources and destination of `cp`, `mv` and `install`: SOURCE DEST, SOURCE... DIRECTORY, or `-t DIRECTORY SOURCE...`. It
//! does not look at the sources.

use crate::context::{Cx, End};
use crate::os::{OsStrExt, os};
use crate::quote::quoteaf;
use agentos_guest::fs::{self, FileType, file_type};
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};

/// Where the sources go.
#[derive(Debug)]
pub(crate) enum Target {
    /// Each under its own name into this directory.
    Into(OsString),
    /// The only source to this name.
    As(OsString),
}

/// Divides the operands into the sources and their target.
///
/// `dir` is the argument of `-t`, `no_dir` whether `-T` was given.
pub(crate) fn divide(
    cx: &Cx,
    mut sources: Vec<OsString>,
    dir: Option<OsString>,
    no_dir: bool,
) -> Result<(Vec<OsString>, Target), End> {
    if sources.is_empty() {
        return Err(cx.usage("missing file operand"));
    }
    if let Some(dir) = dir {
        if no_dir {
            let message = "cannot combine --target-directory (-t) and --no-target-directory (-T)";
            return Err(End::Failure(1, message.to_owned()));
        }
        let why = match fs::stat(&dir) {
            Ok(s) if file_type(s.mode) == FileType::Dir => return Ok((sources, Target::Into(dir))),
            Ok(_) => "Not a directory".to_owned(),
            Err(error) => strerror(&error),
        };
        return Err(End::Failure(1, format!("target directory {}: {why}", quoteaf(&dir))));
    }
    let last = match sources.pop() {
        Some(last) if !sources.is_empty() => last,
        only => {
            let only = only.unwrap_or_default();
            return Err(cx.usage(format!("missing destination file operand after {}", quoteaf(&only))));
        }
    };
    if no_dir {
        if sources.len() > 1 {
            // The third operand is one too many.
            let extra = sources.get(2).unwrap_or(&last);
            return Err(cx.usage(format!("extra operand {}", quoteaf(extra))));
        }
        return Ok((sources, Target::As(last)));
    }
    match fs::stat(&last) {
        Ok(s) if file_type(s.mode) == FileType::Dir => Ok((sources, Target::Into(last))),
        _ if sources.len() == 1 => Ok((sources, Target::As(last))),
        Ok(_) => Err(End::Failure(1, format!("target {}: Not a directory", quoteaf(&last)))),
        Err(error) => Err(End::Failure(1, format!("target {}: {}", quoteaf(&last), strerror(&error)))),
    }
}

/// The path without slashes at its end.
pub(crate) fn trimmed(path: &OsStr) -> OsString {
    let bytes = path.as_bytes();
    let end = bytes.iter().rposition(|b| *b != b'/').map_or(1, |i| i + 1);
    os(&bytes[..end.min(bytes.len())]).to_owned()
}
