//! Several files at once; each has a result of its own.
//! It is no transaction.

use std::path::Path;

use futures_util::{StreamExt, stream};

use super::OpenWriteOptions;
use crate::error::Result;
use crate::vm::AgentOs;

/// Files under way at a time.
const AT_ONCE: usize = 8;

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchWriteEntry {
    /// Guest path; missing parents are made.
    pub path: String,
    /// Content.
    pub content: Vec<u8>,
}

/// How a write ended.
#[derive(Clone, Debug)]
pub struct BatchWriteResult {
    /// The path.
    pub path: String,
    /// How.
    pub result: Result<()>,
}

/// How a read ended.
#[derive(Clone, Debug)]
pub struct BatchReadResult {
    /// The path.
    pub path: String,
    /// The content.
    pub result: Result<Vec<u8>>,
}

impl AgentOs {
    /// Reads files; results in the order of the paths.
    pub async fn read_files<P: Into<String>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> Vec<BatchReadResult> {
        let paths: Vec<String> = paths.into_iter().map(Into::into).collect();
        let read =
            |path: String| async move { BatchReadResult { result: self.read_file(&path).await, path } };
        stream::iter(paths).map(read).buffered(AT_ONCE).collect().await
    }

    /// Writes files and the directories above them; results in the order of the entries.
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) {
    /// use agentos::BatchWriteEntry;
    /// let entry = BatchWriteEntry { path: "/workspace/src/main.rs".into(), content: b"fn main() {}".to_vec() };
    /// for written in os.write_files([entry]).await {
    ///     written.result.unwrap();
    /// }
    /// # }
    /// ```
    pub async fn write_files(
        &self,
        entries: impl IntoIterator<Item = BatchWriteEntry>,
    ) -> Vec<BatchWriteResult> {
        let options = OpenWriteOptions { create_parents: true, ..OpenWriteOptions::default() };
        let entries: Vec<BatchWriteEntry> = entries.into_iter().collect();
        let write = |entry: BatchWriteEntry| async move {
            let result = self.write_with(Path::new(&entry.path), &entry.content, options).await;
            BatchWriteResult { path: entry.path, result }
        };
        stream::iter(entries).map(write).buffered(AT_ONCE).collect().await
    }
}
