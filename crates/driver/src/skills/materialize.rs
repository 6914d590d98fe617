//! From the skills of a session to directories on disk. The order keeps what is there: a new version is downloaded, checked
//! and written beside the old one before that goes. A skill that cannot be had is skipped; the others come.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use ulid::Ulid;

use super::archive::{self, Content, Entry, MAX_ARCHIVE};
use super::dir::{Dir, EXECUTABLE, PLAIN};
use super::names::{SKILL, folded};
use super::{CATALOG, DIRECTORY, DOWNLOAD_TIMEOUT, MARKER, SKILLS, SkillStore, TOTAL_TIMEOUT, catalog};
use crate::boot::{Execution, SkillSource};
use crate::ports::{Materialized, MaterializedSkill, Pending, Skills, SkippedSkill};
use crate::{ErrorInfo, paths};

/// Directories that are being written begin with this; no skill may be called so.
pub(super) const NEW: &str = ".new-";
/// The last version of a skill while it is replaced.
const OLD: &str = ".old-";
/// Leftovers that are looked for.
const MAX_LEFTOVERS: usize = 4096;
/// Most bytes of the name of a skill's directory: room for [`OLD`].
const MAX_NAME: usize = 200;
/// Most bytes of a marker.
const MAX_MARKER: u64 = 4096;
/// How long another who has the shared root is waited for, and how often one looks.
const LOCK: (Duration, Duration) = (Duration::from_secs(10), Duration::from_millis(50));

/// Why a skill is skipped: in one word, and more for people.
#[derive(Debug)]
struct Skip {
    reason: &'static str,
    message: String,
}

fn skip<T>(reason: &'static str, message: impl Into<String>) -> Result<T, Skip> {
    Err(Skip { reason, message: message.into() })
}

/// The version of a skill that is there.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    blob_sha256: String,
    snapshot_id: String,
}

/// The directories that are written to. As long as they are open, nobody else writes there.
#[derive(Debug)]
struct Rooms {
    skills: Dir,
    catalog: Dir,
}

impl Rooms {
    /// Opens them, and makes them if there is a use for them.
    fn open(shared_root: &str, make: bool) -> io::Result<Option<Rooms>> {
        let root = match Dir::open(Path::new(shared_root)) {
            Err(error) if !make && error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if !make && root.kind(DIRECTORY)?.is_none() {
            return Ok(None);
        }
        let ours = root.make(DIRECTORY)?;
        Ok(Some(Rooms { skills: ours.make(SKILLS)?, catalog: ours.make(CATALOG)? }))
    }

    /// Puts in order what one who was ended left.
    fn tidy(&self) -> io::Result<()> {
        for name in self.skills.names(MAX_LEFTOVERS)? {
            let done = if name.to_bytes().starts_with(NEW.as_bytes()) {
                self.skills.remove(&name)
            } else if let Some(of) = name.to_str().ok().and_then(|name| name.strip_prefix(OLD)) {
                match self.skills.kind(of)? {
                    // The new version was not in its place yet.
                    None => self.skills.rename(name.to_str().unwrap_or_default(), of),
                    Some(_) => self.skills.remove(&name),
                }
            } else {
                Ok(())
            };
            if let Err(error) = done {
                tracing::debug!(%error, ?name, "a leftover of a skill stays");
            }
        }
        for name in self.catalog.names(MAX_LEFTOVERS)? {
            if name.to_bytes().starts_with(NEW.as_bytes()) {
                self.catalog.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Whether this version of a skill is there.
    fn has(&self, name: &str, marker: &Marker) -> bool {
        let there = || {
            let skill = self.skills.at(name)?;
            let bytes = skill.read(MARKER, MAX_MARKER)?;
            let is: Marker = serde_json::from_slice(&bytes)?;
            Ok::<_, io::Error>(is == *marker && skill.kind(SKILL)?.is_some_and(|kind| kind.is_file()))
        };
        there().unwrap_or(false)
    }

    /// Puts a version of a skill in its place. Nothing changes unless all of it is right.
    fn put(&self, name: &str, marker: &Marker, bytes: &[u8]) -> Result<(), Skip> {
        if hex(&Sha256::digest(bytes)) != marker.blob_sha256 {
            return skip("integrity", "the archive has another sha256 than it should");
        }
        let entries = match archive::read(bytes) {
            Ok(entries) => entries,
            Err(refused) => return skip("archive_refused", refused.to_string()),
        };
        let new = format!("{NEW}{}", Ulid::generate());
        let put = self.write(&new, marker, &entries).and_then(|()| self.replace(&new, name));
        put.or_else(|error| {
            self.remove(&new);
            skip("write_failed", format!("it cannot be written: {}", error.kind()))
        })
    }

    fn write(&self, new: &str, marker: &Marker, entries: &[Entry]) -> io::Result<()> {
        let top = self.skills.create(new)?;
        for entry in entries {
            let mut segments = entry.path.split('/');
            let last = segments.next_back().unwrap_or_default();
            let mut below = None;
            for segment in segments {
                below = Some(below.as_ref().unwrap_or(&top).make(segment)?);
            }
            let directory = below.as_ref().unwrap_or(&top);
            match &entry.content {
                Content::Directory => drop(directory.make(last)?),
                Content::File { bytes, executable } => {
                    directory.write(last, bytes, if *executable { EXECUTABLE } else { PLAIN })?;
                }
            }
        }
        top.write(MARKER, &serde_json::to_vec(marker)?, PLAIN)
    }

    fn replace(&self, new: &str, name: &str) -> io::Result<()> {
        let old = match self.skills.kind(name)? {
            Some(_) => Some(self.put_aside(name)?),
            None => None,
        };
        if let Err(error) = self.skills.rename(new, name) {
            if let Some(old) = old {
                self.skills.rename(old.as_str(), name)?;
            }
            return Err(error);
        }
        if let Some(old) = old {
            self.remove(&old);
        }
        Ok(())
    }

    /// Gives the last version of a skill another name, by which it is found again if this ends here.
    fn put_aside(&self, name: &str) -> io::Result<String> {
        let old = format!("{OLD}{name}");
        if self.skills.rename(name, old.as_str()).is_ok() {
            return Ok(old);
        }
        // Something that could not be removed is called so.
        let old = format!("{NEW}{}", Ulid::generate());
        self.skills.rename(name, old.as_str())?;
        Ok(old)
    }

    /// Removes what is of no use. If that fails the next one does it.
    fn remove(&self, name: &str) {
        let removed = std::ffi::CString::new(name).map_err(io::Error::from);
        if let Err(error) = removed.and_then(|name| self.skills.remove(&name)) {
            tracing::debug!(%error, name, "a leftover of a skill stays");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is to be done for a skill.
struct Wanted {
    skill: MaterializedSkill,
    /// Its directory.
    name: String,
    marker: Marker,
}

impl Wanted {
    fn of(source: &SkillSource, shared_root: &str) -> Result<Self, Skip> {
        if source.resolution_mode == "tombstone" {
            return skip("tombstone", "it is not there any more");
        }
        let Some(snapshot_id) = source.snapshot_id.clone().filter(|id| !id.is_empty()) else {
            return skip("no_snapshot", "it has no version");
        };
        if source.archive_format != "zip" || source.compression != "deflate" {
            return skip("unsupported_format", "it is no zip with deflate");
        }
        let blob_sha256 = source.blob_sha256.to_ascii_lowercase();
        if blob_sha256.len() != 64 || !blob_sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return skip("integrity", "blobSha256 is no sha256 in hexadecimal digits");
        }
        let Some(name) = mount_name(&source.mount_path, shared_root) else {
            return skip("mount_path", format!("it must be one segment below {DIRECTORY}/{SKILLS}"));
        };
        let skill = MaterializedSkill {
            skill_id: source.skill_id.clone(),
            skill_name: source.skill_name.clone(),
            mount_path: source.mount_path.clone(),
            skill_markdown_path: format!("{}/{SKILL}", source.mount_path),
            snapshot_id: snapshot_id.clone(),
        };
        Ok(Wanted { skill, name: name.to_owned(), marker: Marker { blob_sha256, snapshot_id } })
    }
}

/// The name of a skill's directory, if that is where it may be.
fn mount_name<'a>(mount_path: &'a str, shared_root: &str) -> Option<&'a str> {
    let path = paths::check(mount_path).ok()?;
    let inside = path.strip_prefix(shared_root.trim_end_matches('/'))?;
    let name = inside.strip_prefix('/')?.strip_prefix(DIRECTORY)?.strip_prefix('/')?;
    let name = name.strip_prefix(SKILLS)?.strip_prefix('/')?;
    let one = !name.is_empty() && !name.contains('/') && !name.starts_with('.') && name.len() <= MAX_NAME;
    one.then_some(name)
}

/// Work with files, where it may wait for them.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ErrorInfo> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| ErrorInfo::retryable("skill.unavailable", "the work on skills was ended"))
}

fn unavailable(error: &io::Error) -> ErrorInfo {
    ErrorInfo::new("skill.unavailable", format!("the directory of skills cannot be used: {error}"))
}

impl SkillStore {
    /// The directories, for this one alone.
    async fn rooms(&self, make: bool) -> Result<Option<Arc<Rooms>>, ErrorInfo> {
        paths::check(&self.shared_root)?;
        let root = self.shared_root.clone();
        let opened = blocking(move || Rooms::open(&root, make)).await?;
        let Some(rooms) = opened.map_err(|error| unavailable(&error))? else { return Ok(None) };
        let until = Instant::now() + LOCK.0;
        while !rooms.skills.lock() {
            if Instant::now() >= until {
                return Err(ErrorInfo::retryable("skill.busy", "another session writes skills there"));
            }
            tokio::time::sleep(LOCK.1).await;
        }
        let rooms = Arc::new(rooms);
        let all = Arc::clone(&rooms);
        blocking(move || all.tidy()).await?.map_err(|error| unavailable(&error))?;
        Ok(Some(rooms))
    }

    /// Puts one skill in its place, unless it is there.
    async fn one(&self, rooms: &Arc<Rooms>, wanted: Wanted, url: &str, until: Instant) -> Result<(), Skip> {
        let wanted = Arc::new(wanted);
        let (all, of) = (Arc::clone(rooms), Arc::clone(&wanted));
        if work(move || all.has(&of.name, &of.marker)).await? {
            return Ok(());
        }
        let timeout = DOWNLOAD_TIMEOUT.min(until.saturating_duration_since(Instant::now()));
        let bytes = self.download(url, timeout).await?;
        let all = Arc::clone(rooms);
        work(move || all.put(&wanted.name, &wanted.marker, &bytes)).await?
    }

    async fn download(&self, url: &str, timeout: Duration) -> Result<Bytes, Skip> {
        if timeout.is_zero() {
            return skip("timed_out", "there was no time left for it");
        }
        let fetched = tokio::time::timeout(timeout, self.fetch.fetch(url, MAX_ARCHIVE, timeout)).await;
        match fetched {
            Ok(Ok(bytes)) if bytes.len() <= MAX_ARCHIVE => Ok(bytes),
            Ok(Ok(_)) => skip("too_large", "the archive is larger than 32 MiB"),
            Ok(Err(error)) => skip("download_failed", format!("the archive was not had: {}", error.code)),
            Err(_) => skip("timed_out", "the archive did not come in time"),
        }
    }

    async fn all(&self, execution: &Execution) -> Result<Materialized, ErrorInfo> {
        let until = Instant::now() + TOTAL_TIMEOUT;
        let mut came = Materialized::default();
        // What an earlier configuration left in the catalog must go, but an empty one need not be made.
        let make = !execution.skills.is_empty() || !execution.skill_catalog.is_empty();
        let Some(rooms) = self.rooms(make).await? else { return Ok(came) };
        let mut taken = HashSet::new();
        for source in &execution.skills {
            let done = match Wanted::of(source, &self.shared_root) {
                Ok(wanted) if !taken.insert(folded(&wanted.name)) => {
                    skip("mount_path", "another skill is there already")
                }
                Ok(wanted) => {
                    let skill = wanted.skill.clone();
                    self.one(&rooms, wanted, &source.download_url, until).await.map(|()| skill)
                }
                Err(skipped) => Err(skipped),
            };
            match done {
                Ok(skill) => came.skills.push(skill),
                Err(Skip { reason, message }) => came.skipped.push(SkippedSkill {
                    skill_id: source.skill_id.clone(),
                    skill_name: source.skill_name.clone(),
                    reason: reason.to_owned(),
                    message,
                }),
            }
        }
        let listed = catalog::Catalog::of(execution, &came);
        match blocking(move || listed.write(&rooms.catalog)).await? {
            Ok(()) => {
                let root = self.shared_root.trim_end_matches('/');
                came.catalog = Some(format!("{root}/{DIRECTORY}/{CATALOG}/{}", catalog::README));
            }
            Err(error) => came.catalog_error = Some(unavailable(&error)),
        }
        Ok(came)
    }
}

async fn work<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Skip> {
    blocking(work).await.or_else(|error| skip("write_failed", error.message))
}

impl Skills for SkillStore {
    fn materialize<'a>(&'a self, execution: &'a Execution) -> Pending<'a, Materialized> {
        Box::pin(self.all(execution))
    }
}
