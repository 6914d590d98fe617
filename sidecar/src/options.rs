//! The command line of the sidecar.

use std::ffi::OsString;
use std::path::PathBuf;

/// How a sidecar runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Options {
    /// Serve the one client at the other end of standard input, and end with it.
    Private,
    /// Serve all clients of this socket.
    Shared {
        /// Path of the socket.
        socket: PathBuf,
        /// Stay when the last client is gone.
        stay: bool,
    },
    /// Compile a module from standard input into the image cache at this directory, and end.
    CompileImage(PathBuf),
    /// Prepare the images of bundled programs, and end.
    PrepareImages,
}

/// A command line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}\nusage: sidecar (--stdio-socket | --socket PATH [--stay] | --prepare-images)")]
pub struct UsageError {
    /// What is wrong.
    pub message: String,
}

impl Options {
    /// Reads the arguments after the program name (and after `sidecar`).
    ///
    /// ```
    /// use agentos_sidecar::Options;
    /// let args = ["--socket", "/run/a.sock", "--stay"].map(Into::into);
    /// assert!(matches!(Options::parse(args), Ok(Options::Shared { stay: true, .. })));
    /// assert!(Options::parse(["--sokcet".into()]).is_err());
    /// ```
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, UsageError> {
        let mut args = args.into_iter();
        let (mut private, mut socket, mut stay, mut prepare) = (false, None, false, false);
        let wrong = |message: String| UsageError { message };
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some("--stdio-socket") => private = true,
                Some("--stay") => stay = true,
                Some("--prepare-images") => prepare = true,
                Some("--socket") => {
                    let path = args.next().ok_or_else(|| wrong("--socket needs a path".into()))?;
                    socket = Some(PathBuf::from(path));
                }
                Some("--compile-image") => {
                    let path =
                        args.next().ok_or_else(|| wrong("--compile-image needs a directory".into()))?;
                    return Ok(Options::CompileImage(path.into()));
                }
                _ => return Err(wrong(format!("unknown argument {}", arg.display()))),
            }
        }
        match (private, socket, prepare) {
            (true, None, false) if !stay => Ok(Options::Private),
            (false, Some(socket), false) => Ok(Options::Shared { socket, stay }),
            (false, None, true) if !stay => Ok(Options::PrepareImages),
            (false, None, false) => Err(wrong("how to serve is missing".into())),
            _ => Err(wrong("these arguments do not go together".into())),
        }
    }
}
