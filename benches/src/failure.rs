//! Why a measurement has no figure.
//! A bench that fails costs only its own rows.

use std::time::Duration;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The system under test refused.
    #[error("{0}")]
    AgentOs(#[from] agentos::Error),
    /// A program ended with another status than 0.
    #[error("{program}: status {status}: {stderr}")]
    Status {
        /// What ran.
        program: String,
        /// Its status.
        status: i32,
        /// The end of what it said.
        stderr: String,
    },
    /// It took longer than a hang may.
    #[error("{what}: nothing within {limit:?}")]
    Hang {
        /// What.
        what: String,
        /// The time it had.
        limit: Duration,
    },
    /// The host's side of a measurement failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The result is not what was to be measured.
    #[error("{0}")]
    Wrong(String),
}

impl Failure {
    /// Something is not as it has to be.
    pub(crate) fn wrong(what: impl Into<String>) -> Self {
        Failure::Wrong(what.into())
    }

    /// A program that ended with this status; the last line of its error output is kept.
    pub(crate) fn status(program: &str, status: i32, stderr: &str) -> Self {
        let last = stderr.trim_end().lines().last().unwrap_or_default();
        let last: String = last.chars().take(200).collect();
        let program = program.chars().take(80).collect();
        Failure::Status { program, status, stderr: last }
    }
}

/// With [`Failure`].
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// A future that may hang, with a time to end in.
pub(crate) async fn within<T, E: Into<Failure>>(
    what: &str,
    limit: Duration,
    work: impl Future<Output = std::result::Result<T, E>>,
) -> Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(Failure::Hang { what: what.to_owned(), limit }),
    }
}
