//! Listing directories.
//! Entries are never left out silently: large directories come in pages, trees as a stream of records.

use std::path::Path;

use agentos_protocol::message::{FileKind, Readdir, ReaddirRecursive, WireDirEntry};
use agentos_protocol::mux::RecordReader;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::path::guest_path;
use crate::vm::AgentOs;

/// An entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirEntry {
    /// Absolute guest path; U+FFFD stands for what is not UTF-8.
    pub path: String,
    /// Type; symbolic links are not followed.
    #[serde(rename = "type")]
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// The path's bytes, if it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_path: Option<Vec<u8>>,
}

/// Options of [`AgentOs::readdir_recursive`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReaddirRecursiveOptions {
    /// Levels to go down: 0 lists the entries of the directory itself, 1 those of its directories too; all.
    pub max_depth: Option<u32>,
    /// Names that are neither listed nor entered, such as `node_modules`.
    pub exclude: Vec<String>,
}

/// Most entries of a listing that is returned as one list.
const MOST: usize = 1 << 20;

impl AgentOs {
    /// The names in a directory, without `.` and `..`.
    ///
    /// # Errors
    /// [`Error::Kernel`] (ENOENT, ENOTDIR, EACCES), path errors; [`Error::Limit`] above 1,048,576 entries.
    pub async fn readdir(&self, path: impl AsRef<Path>) -> Result<Vec<String>> {
        let path = guest_path(path)?;
        let mut names = Vec::new();
        let mut cursor = 0;
        loop {
            let call = Readdir { vm_id: self.vm.id(), path: path.clone(), cursor, page: 0 };
            let page = self.vm.call(&call).await?;
            check_size(names.len() + page.entries.len())?;
            names.extend(page.entries.iter().map(|entry| entry.name.to_text()));
            match page.next {
                Some(next) if next != cursor => cursor = next,
                _ => return Ok(names),
            }
        }
    }

    /// Everything below a directory, parents before children. Symbolic links are listed, not entered.
    ///
    /// # Errors
    /// As [`AgentOs::readdir`].
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// use agentos::ReaddirRecursiveOptions;
    /// let options = ReaddirRecursiveOptions { exclude: vec![".git".into()], ..Default::default() };
    /// for entry in os.readdir_recursive("/workspace", options).await? {
    ///     println!("{} {}", entry.size, entry.path);
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn readdir_recursive(
        &self,
        path: impl AsRef<Path>,
        options: ReaddirRecursiveOptions,
    ) -> Result<Vec<DirEntry>> {
        let path = guest_path(path)?;
        let call = |stream| ReaddirRecursive {
            vm_id: self.vm.id(),
            path: path.clone(),
            // The wire counts the levels that are listed.
            max_depth: options.max_depth.map(|depth| depth.saturating_add(1)),
            exclude: options.exclude,
            stream,
        };
        let list = async |stream| {
            let mut records = RecordReader::<WireDirEntry>::new(stream);
            let mut entries = Vec::new();
            while let Some(record) = records.next().await? {
                check_size(entries.len() + 1)?;
                entries.push(entry(&path.0, record));
            }
            Ok(entries)
        };
        let (reply, entries) = self.vm.open()?.streamed(call, list).await?;
        match reply.entries == entries.len() as u64 {
            true => Ok(entries),
            false => Err(Error::Transport { message: "the listing is incomplete".to_owned() }),
        }
    }
}

fn check_size(entries: usize) -> Result<()> {
    if entries <= MOST {
        return Ok(());
    }
    let (configured, used) = (MOST as u64, MOST as u64);
    Err(Error::Limit { name: "listingEntries".to_owned(), configured, used, requested: 1 })
}

fn entry(start: &[u8], record: WireDirEntry) -> DirEntry {
    let mut path = start.to_vec();
    if !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(&record.name.0);
    let (path, raw_path) = match String::from_utf8(path) {
        Ok(text) => (text, None),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(error.into_bytes())),
    };
    DirEntry { path, kind: record.kind, size: record.size, raw_path }
}
