//! Single operations of the store: each in time, tried again where that is safe, errors as POSIX numbers. It keeps nothing.

use std::future::Future;
use std::time::Duration;

use agentos_vfs::{Errno, FileType, NAME_MAX, Result};
use bytes::Bytes;
use futures_util::StreamExt;
use opendal::options::{CopyOptions, ListOptions, ReadOptions, WriteOptions};
use opendal::{Buffer, Capability, Operator, Writer};
use tokio::time::Instant;

use crate::errors::errno;
use crate::mount::may_pass;
use crate::version::{Found, Version};

/// The most entries of one directory; then EOVERFLOW.
const MAX_ENTRIES: usize = 1 << 20;
/// How often an operation is tried.
const TRIES: u32 = 4;
/// The pause before the second try; it doubles.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// What a write asks of what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing: it is replaced.
    Any,
    /// There is nothing yet; else EEXIST.
    New,
    /// It is still this one; else ESTALE.
    Same(Version),
}

/// A name in a directory.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) found: Found,
}

impl Listed {
    pub(crate) fn kind(&self) -> FileType {
        match self.found {
            Found::File(_) => FileType::Regular,
            Found::Directory => FileType::Directory,
        }
    }
}

/// How the store differs from others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traits {
    /// Directories are prefixes of names: there may be none, and a marker stands for an empty one.
    pub(crate) prefixes: bool,
    /// Whether writes may carry conditions.
    pub(crate) conditional_writes: bool,
    /// Whether some servers take no notice of those conditions, so that it is looked before too.
    pub(crate) conditions_overlooked: bool,
    /// Whether a listing tells size and time of each object.
    pub(crate) listing_has_attributes: bool,
    /// Whether making a directory that is there is an error, so that of two that make it one hears of the other.
    pub(crate) exclusive_directories: bool,
    /// What the new name of something that is moved must not have: some servers would take it for another name.
    pub(crate) unmovable: &'static [char],
}

pub(crate) struct Remote {
    pub(crate) operator: Operator,
    pub(crate) capability: Capability,
    pub(crate) traits: Traits,
    pub(crate) timeout: Duration,
}

/// The key of a path. EINVAL for names that the store's client would change.
fn key(path: &str) -> Result<&str> {
    let key = path.trim_start_matches('/');
    if key.trim() == key { Ok(key) } else { Err(Errno::EINVAL) }
}

fn directory_key(path: &str) -> Result<String> {
    let key = key(path)?;
    Ok(if key.is_empty() { "/".to_owned() } else { format!("{key}/") })
}

impl Remote {
    /// Runs `call` within `limit`, all tries included. Only what may happen twice is `again`.
    async fn run<T, F>(&self, limit: Duration, again: bool, mut call: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = opendal::Result<T>>,
    {
        let deadline = Instant::now() + limit;
        let mut pause = PAUSE;
        for attempt in 1.. {
            let error = match tokio::time::timeout_at(deadline, call()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                Err(_) => return Err(Errno::ETIMEDOUT),
            };
            if !again || !error.is_temporary() || attempt == TRIES || Instant::now() + pause >= deadline {
                tracing::debug!(kind = %error.kind(), attempt, "an operation of an object store failed");
                return Err(errno(&error));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(Errno::EIO)
    }

    /// What is at `path`. ENOENT.
    pub(crate) async fn stat(&self, path: &str) -> Result<Found> {
        let key = key(path)?;
        if key.is_empty() {
            return Ok(Found::Directory);
        }
        match self.run(self.timeout, true, || self.operator.stat(key)).await {
            Ok(metadata) if metadata.is_dir() => Ok(Found::Directory),
            Ok(metadata) => Ok(Found::File(Version::of(&metadata))),
            Err(Errno::ENOENT) if self.traits.prefixes => {
                let directory = directory_key(path)?;
                self.run(self.timeout, true, || self.operator.stat(&directory)).await?;
                Ok(Found::Directory)
            }
            Err(Errno::EISDIR) => Ok(Found::Directory),
            Err(error) => Err(error),
        }
    }

    /// All names in a directory, sorted; of an object and a directory of one name, the object. Keys that cannot be names
    /// of files are left out. EOVERFLOW.
    pub(crate) async fn list(&self, path: &str) -> Result<Vec<Listed>> {
        let directory = directory_key(path)?;
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.list_once(&directory).await {
                Err((Errno::EIO, true)) => {}
                result => return result.map_err(|(error, _)| error),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.list_once(&directory).await.map_err(|(error, _)| error)
    }

    /// The error says whether it may pass.
    async fn list_once(&self, directory: &str) -> std::result::Result<Vec<Listed>, (Errno, bool)> {
        let failed = |error: opendal::Error| (errno(&error), error.is_temporary());
        let late = |_| (Errno::ETIMEDOUT, false);
        let mut lister = tokio::time::timeout(self.timeout, self.operator.lister(directory))
            .await
            .map_err(late)?
            .map_err(failed)?;
        let mut listed = Vec::new();
        while let Some(entry) = tokio::time::timeout(self.timeout, lister.next()).await.map_err(late)? {
            let entry = entry.map_err(failed)?;
            let name = entry.name().trim_end_matches('/');
            let own = entry.path() == directory || entry.path().is_empty() || entry.path() == "/";
            if own || name.is_empty() || name == "." || name == ".." || name.len() > NAME_MAX {
                continue;
            }
            if listed.len() == MAX_ENTRIES {
                return Err((Errno::EOVERFLOW, false));
            }
            let found = if entry.metadata().is_dir() {
                Found::Directory
            } else {
                Found::File(Version::of(entry.metadata()))
            };
            listed.push(Listed { name: name.to_owned(), found });
        }
        // Files come first among equals.
        listed.sort_by(|a, b| {
            (&a.name, a.kind() != FileType::Regular).cmp(&(&b.name, b.kind() != FileType::Regular))
        });
        listed.dedup_by(|later, first| later.name == first.name);
        Ok(listed)
    }

    /// Whether a directory has no names in it.
    pub(crate) async fn is_empty(&self, path: &str) -> Result<bool> {
        let directory = directory_key(path)?;
        let entries = self
            .run(self.timeout, true, || async {
                // The directory itself may be among them.
                let options = ListOptions { limit: Some(2), ..ListOptions::default() };
                let mut lister = self.operator.lister_options(&directory, options).await?;
                while let Some(entry) = lister.next().await {
                    if entry?.path() != directory {
                        return Ok(false);
                    }
                }
                Ok(true)
            })
            .await?;
        Ok(entries)
    }

    /// The bytes `from..to` of a version, whose end lies behind `to`. ESTALE when it is another one by now.
    pub(crate) async fn read(&self, path: &str, version: &Version, from: u64, to: u64) -> Result<Bytes> {
        let key = key(path)?;
        let if_match = if self.capability.read_with_if_match { version.strong_etag() } else { None };
        let data = self
            .run(self.timeout, true, || {
                let options = ReadOptions {
                    range: (from..to).into(),
                    if_match: if_match.map(str::to_owned),
                    ..ReadOptions::default()
                };
                self.operator.read_options(key, options)
            })
            .await?;
        if if_match.is_none() {
            // The store cannot check it: looked at afterwards, an older content would have been noticed.
            match self.stat(path).await? {
                Found::File(now) if now.same(version) => {}
                _ => return Err(Errno::ESTALE),
            }
        }
        if data.len() as u64 != to - from {
            return Err(Errno::EIO);
        }
        Ok(data.to_bytes())
    }

    fn write_options(&self, condition: &Condition) -> WriteOptions {
        let mut options = WriteOptions::default();
        if self.traits.conditional_writes {
            match condition {
                Condition::Any => {}
                Condition::New => options.if_not_exists = self.capability.write_with_if_not_exists,
                Condition::Same(version) if self.capability.write_with_if_match => {
                    options.if_match = version.strong_etag().map(str::to_owned);
                }
                Condition::Same(_) => {}
            }
        }
        options
    }

    /// Checks a condition that the store cannot, or may not: there is a moment between this and the write.
    async fn check(&self, path: &str, condition: &Condition, options: &WriteOptions) -> Result<()> {
        let decided = |sent: bool| sent && !self.traits.conditions_overlooked;
        match condition {
            Condition::New if !decided(options.if_not_exists) => match self.stat(path).await {
                Ok(_) => Err(Errno::EEXIST),
                Err(Errno::ENOENT) => Ok(()),
                Err(error) => Err(error),
            },
            Condition::Same(version) if !decided(options.if_match.is_some()) => match self.stat(path).await {
                Ok(Found::File(now)) if now.same(version) => Ok(()),
                Ok(_) | Err(Errno::ENOENT) => Err(Errno::ESTALE),
                Err(error) => Err(error),
            },
            _ => Ok(()),
        }
    }

    /// Writes an object in one request, whose time grows with its size. After an error `torn` says whether it may be there all the
    /// same, or a part of it.
    pub(crate) async fn put(
        &self,
        path: &str,
        data: Bytes,
        condition: &Condition,
        torn: &mut bool,
    ) -> Result<Version> {
        let key = key(path)?;
        let options = self.write_options(condition);
        self.check(path, condition, &options).await?;
        let size = data.len() as u64;
        // A second try would find what the first one may have written.
        let again = !options.if_not_exists && options.if_match.is_none();
        let limit = self.timeout * (1 + u32::try_from(size >> 25).unwrap_or(u32::MAX - 1));
        let was_torn = std::mem::replace(torn, true);
        let written = self
            .run(limit, again, || {
                self.operator.write_options(key, Buffer::from(data.clone()), options.clone())
            })
            .await;
        let metadata = written.map_err(|error| refused(error, condition)).inspect_err(|error| {
            *torn = was_torn || may_pass(*error);
        })?;
        self.written(path, &metadata, size).await
    }

    /// Begins to write an object in parts.
    pub(crate) async fn writer(
        &self,
        path: &str,
        part: usize,
        concurrent: usize,
        condition: &Condition,
    ) -> Result<Writer> {
        let key = key(path)?;
        let mut options = self.write_options(condition);
        self.check(path, condition, &options).await?;
        (options.chunk, options.concurrent) = (Some(part), concurrent);
        self.run(self.timeout, false, || self.operator.writer_options(key, options.clone())).await
    }

    /// The version that a write made: its time is known to the store only.
    pub(crate) async fn written(
        &self,
        path: &str,
        metadata: &opendal::Metadata,
        size: u64,
    ) -> Result<Version> {
        let own = Version::of(metadata);
        match self.stat(path).await {
            Ok(Found::File(now)) if own.same_tag(&now).unwrap_or(true) => Ok(now),
            // It is written nevertheless, and without a tag it could not be told from what others write.
            Err(error) if error != Errno::ENOENT && own.etag.is_none() => Err(error),
            // Somebody wrote in between, which the next open sees, or the store does not tell.
            _ => Ok(Version { size, modified: agentos_vfs::Timespec::now(), etag: own.etag }),
        }
    }

    /// Makes a directory, or its marker. EEXIST for one that is there already, from stores that tell.
    pub(crate) async fn new_directory(&self, path: &str) -> Result<()> {
        let directory = directory_key(path)?;
        // A second try would find what the first one may have made.
        let again = !self.traits.exclusive_directories;
        self.run(self.timeout, again, || self.operator.create_dir(&directory)).await
    }

    /// Makes a directory, or its marker. There may be one already.
    pub(crate) async fn make_directory(&self, path: &str) -> Result<()> {
        match self.new_directory(path).await {
            Err(Errno::EEXIST) => Ok(()),
            result => result,
        }
    }

    /// Removes an object. It may be gone already.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        let key = key(path)?;
        self.run(self.timeout, true, || self.operator.delete(key)).await
    }

    /// Removes an empty directory, or its marker.
    pub(crate) async fn delete_directory(&self, path: &str) -> Result<()> {
        let directory = directory_key(path)?;
        self.run(self.timeout, true, || self.operator.delete(&directory)).await
    }

    /// Copies an object within the store, replacing the target. The time grows with its size.
    pub(crate) async fn copy(&self, from: &str, to: &str, version: &Version) -> Result<()> {
        let (from, to) = (key(from)?, key(to)?);
        let limit = self.timeout * (1 + u32::try_from(version.size >> 28).unwrap_or(u32::MAX - 1));
        self.run(limit, true, || {
            let options =
                CopyOptions { source_content_length_hint: Some(version.size), ..CopyOptions::default() };
            self.operator.copy_options(from, to, options)
        })
        .await?;
        Ok(())
    }

    /// Whether the store moves to a path in one step.
    pub(crate) fn moves(&self, to: &str) -> bool {
        self.capability.rename && !to.contains(self.traits.unmovable)
    }

    /// Moves an object or a directory within the store.
    pub(crate) async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (key(from)?, key(to)?);
        self.run(self.timeout, false, || self.operator.rename(from, to)).await
    }
}

/// A condition that does not hold.
pub(crate) fn refused(error: Errno, condition: &Condition) -> Errno {
    match (error, condition) {
        (Errno::ESTALE | Errno::EEXIST, Condition::New) => Errno::EEXIST,
        (error, _) => error,
    }
}
