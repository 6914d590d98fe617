//! Text files that this program has in hand, for agents that ask their client for them: what an editor has open, saved or not.
//! Which file is meant, and whether the agent may have it, was decided in the sidecar.

mod serve;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;

pub(crate) use serve::TextHost;

/// A text, or a message for the agent.
pub type TextFuture<'a, T> = BoxFuture<'a, Result<T, String>>;

/// A file that an agent asks for. There are no links in its path: it is the file itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TextFile {
    /// The session.
    pub session_id: String,
    /// Where the file system is mounted that the file is in, as it was asked for; `/` for the machine's own.
    pub mount: PathBuf,
    /// Where the file is, from there.
    pub beneath: PathBuf,
}

impl TextFile {
    /// Its path in the machine.
    ///
    /// ```no_run
    /// # fn f(file: agentos::TextFile) {
    /// assert_eq!(file.path(), file.mount.join(&file.beneath));
    /// # }
    /// ```
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.mount.join(&self.beneath)
    }
}

/// Which lines of a text are wanted; all, unless told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextLines {
    /// The first, from 1.
    pub line: Option<u64>,
    /// How many.
    pub limit: Option<u64>,
}

impl TextLines {
    /// Those lines of a text.
    ///
    /// ```
    /// let lines = agentos::TextLines { line: Some(2), limit: Some(1) };
    /// assert_eq!(lines.of("a\nb\nc\n"), "b\n");
    /// ```
    #[must_use]
    pub fn of(&self, text: &str) -> String {
        let skip = usize::try_from(self.line.unwrap_or(1).saturating_sub(1)).unwrap_or(usize::MAX);
        let take = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        text.split_inclusive('\n').skip(skip).take(take).collect()
    }
}

/// Files of this program for agents that ask their client for them (`fs/read_text_file` and `fs/write_text_file` of ACP). Other
/// programs of the machine see the machine's files, as always.
///
/// The methods are called on threads of this library. After 25 s the agent is told that there is no answer. Until they are done, at most
/// 120 s, nothing in the machine can rename, or make links, in directories of the host that it has mounted: whoever opens the file
/// by its path on the host finds this very file, if the mounted directory is still where it was. So they must not wait for such
/// a thing themselves.
///
/// ```no_run
/// use agentos::{ClientFiles, CreateSessionOptions, SessionFiles, TextFile, TextFuture, TextLines};
///
/// struct Unsaved;
///
/// impl ClientFiles for Unsaved {
///     fn read_text_file<'a>(&'a self, file: &'a TextFile, lines: TextLines) -> TextFuture<'a, Option<String>> {
///         Box::pin(async move { Ok(file.beneath.ends_with("main.rs").then(|| lines.of("fn main() {}\n"))) })
///     }
///     fn write_text_file<'a>(&'a self, _: &'a TextFile, _: String) -> TextFuture<'a, bool> {
///         Box::pin(async { Ok(false) })
///     }
/// }
///
/// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
/// let options = CreateSessionOptions { client_files: Some(SessionFiles::new(Unsaved)), ..Default::default() };
/// let session = os.create_session("coder", options).await?;
/// # Ok(()) }
/// ```
pub trait ClientFiles: Send + Sync + 'static {
    /// Whether agents are told that texts can be read. Asked once, when the session is made or gone on with.
    fn reads(&self) -> bool {
        true
    }

    /// Whether agents are told that texts can be written. Asked once, too.
    fn writes(&self) -> bool {
        true
    }

    /// Reads a text, or lines of it; at most 8 MiB. `None`: it is none of this program's files, and is as it is in the machine. It
    /// may be one that is not there yet.
    fn read_text_file<'a>(&'a self, file: &'a TextFile, lines: TextLines) -> TextFuture<'a, Option<String>>;

    /// Writes a text; the directories that lead there are there. `false`: it is none of this program's files, and is to be
    /// written in the machine.
    fn write_text_file<'a>(&'a self, file: &'a TextFile, text: String) -> TextFuture<'a, bool>;
}

/// Files of this program for the agent of a session.
#[derive(Clone)]
pub struct SessionFiles(pub Arc<dyn ClientFiles>);

impl SessionFiles {
    /// These.
    pub fn new(files: impl ClientFiles) -> Self {
        SessionFiles(Arc::new(files))
    }
}

impl fmt::Debug for SessionFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reads, writes) = (self.0.reads(), self.0.writes());
        f.debug_struct("SessionFiles").field("reads", &reads).field("writes", &writes).finish_non_exhaustive()
    }
}

/// A path as the sidecar says it.
fn file(session_id: String, mount: &Path, beneath: &Path) -> TextFile {
    let beneath = beneath.strip_prefix("/").unwrap_or(beneath).to_owned();
    TextFile { session_id, mount: mount.to_owned(), beneath }
}
