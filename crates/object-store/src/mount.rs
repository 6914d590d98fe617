//! What the files of one mount share, and how they are found by path.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use agentos_vfs::{DriverFs, DriverOptions, Errno, FileType, Result, Timespec, VirtualStat};
use opendal::Operator;
use parking_lot::Mutex;
use tokio::runtime::Handle as Runtime;
use tokio::sync::Semaphore;

use crate::attributes::Attributes;
use crate::blocks::{Blocks, Content};
use crate::driver::Driver;
use crate::node::Node;
use crate::parts::Abandoned;
use crate::remote::{Remote, Traits};
use crate::staging::Budget;
use crate::version::{Found, Version};

/// Calls of guests to one mount that run at a time; the others wait.
const CALLS: usize = 16;
/// Uploads of one mount that run at a time.
pub(crate) const UPLOADS: u32 = 4;
/// Uploads of one mount that begin while their files grow.
const EARLY: usize = 2;
/// A call ends by itself, after as many requests as its size asks for; each of them has its own time. This is for what
/// nobody thought of.
const CALL_TIME: Duration = Duration::from_secs(24 * 3600);
/// Contents whose blocks are found again when the file is opened again, directories known to have a marker, and files that
/// were closed and could not be uploaded.
pub(crate) const REMEMBERED: usize = 16_384;
/// How long the object made last needs no look for the open that follows.
const CREATED: Duration = Duration::from_secs(1);

/// How to mount a store.
#[derive(Clone, Debug)]
pub(crate) struct StoreOptions {
    /// The type `/proc/mounts` shows.
    pub(crate) type_name: String,
    /// Refuse changes with EROFS.
    pub(crate) read_only: bool,
    /// Owner of everything.
    pub(crate) uid: u32,
    /// Group of everything.
    pub(crate) gid: u32,
    /// Permission bits of all files.
    pub(crate) file_mode: u32,
    /// Permission bits of all directories.
    pub(crate) directory_mode: u32,
    /// Most time of one request to the store, all tries included.
    pub(crate) timeout: Duration,
    /// How long attributes and listings are taken for true.
    pub(crate) cache_ttl: Duration,
    /// Bytes of content kept.
    pub(crate) cache_bytes: usize,
    /// Bytes of files that are open for writing or not uploaded yet.
    pub(crate) staging_bytes: u64,
    /// A directory of the host for them.
    pub(crate) staging_dir: PathBuf,
    /// Where requests and timers run.
    pub(crate) runtime: Runtime,
}

#[cfg(test)]
impl StoreOptions {
    /// What a configuration without fields gives.
    pub(crate) fn new(type_name: &str, runtime: Runtime) -> Self {
        StoreOptions {
            type_name: type_name.to_owned(),
            read_only: false,
            uid: 0,
            gid: 0,
            file_mode: 0o644,
            directory_mode: 0o755,
            timeout: Duration::from_secs(30),
            cache_ttl: Duration::from_secs(1),
            cache_bytes: 64 << 20,
            staging_bytes: 1 << 30,
            staging_dir: std::env::temp_dir(),
            runtime,
        }
    }
}

/// By path, and the number given last.
type Contents = (HashMap<Arc<str>, (Version, Content)>, Content);

pub(crate) struct Shared {
    pub(crate) remote: Remote,
    pub(crate) attributes: Attributes,
    pub(crate) blocks: Blocks,
    pub(crate) budget: Arc<Budget>,
    pub(crate) uploads: Semaphore,
    /// Uploads of files that still grow.
    pub(crate) early: Arc<Semaphore>,
    pub(crate) runtime: Runtime,
    pub(crate) options: StoreOptions,
    /// Files that are open, or closed and not uploaded yet.
    nodes: Mutex<HashMap<Arc<str>, Weak<Node>>>,
    /// Those that could not be uploaded after their last close.
    unsaved: Mutex<Option<Vec<Arc<Node>>>>,
    /// The object made last.
    created: Mutex<Option<(Arc<str>, Version, Instant)>>,
    /// Uploads to take back.
    pub(crate) abandoned: Abandoned,
    /// Held while something is renamed.
    pub(crate) moving: tokio::sync::Mutex<()>,
    /// The contents whose blocks may be kept.
    contents: Mutex<Contents>,
    /// Directories that surely have a marker.
    pub(crate) markers: Mutex<HashSet<Arc<str>>>,
    mounted: Timespec,
}

/// Whether the store may take later what failed like this now.
pub(crate) fn may_pass(error: Errno) -> bool {
    matches!(error, Errno::EIO | Errno::ETIMEDOUT | Errno::EBUSY)
}

/// The store as a file system. EINVAL for options that cannot be.
pub(crate) fn mount(operator: Operator, traits: Traits, options: StoreOptions) -> Result<DriverFs> {
    let driver = DriverOptions {
        type_name: options.type_name.clone(),
        read_only: options.read_only,
        timeout: CALL_TIME,
        max_calls: CALLS,
        runtime: Some(options.runtime.clone()),
    };
    DriverFs::new(Arc::new(Driver(Shared::new(operator, traits, options))), driver)
}

impl Shared {
    pub(crate) fn new(operator: Operator, traits: Traits, options: StoreOptions) -> Arc<Self> {
        let capability = operator.info().capability();
        Arc::new(Shared {
            remote: Remote { operator, capability, traits, timeout: options.timeout },
            attributes: Attributes::new(options.cache_ttl, traits.listing_has_attributes),
            blocks: Blocks::new(options.cache_bytes),
            budget: Budget::new(options.staging_bytes, options.staging_dir.clone()),
            uploads: Semaphore::new(UPLOADS as usize),
            early: Arc::new(Semaphore::new(EARLY)),
            runtime: options.runtime.clone(),
            options,
            nodes: Mutex::default(),
            unsaved: Mutex::new(Some(Vec::new())),
            created: Mutex::default(),
            abandoned: Abandoned::default(),
            moving: tokio::sync::Mutex::default(),
            contents: Mutex::default(),
            markers: Mutex::default(),
            mounted: Timespec::now(),
        })
    }

    pub(crate) fn file_stat(&self, version: &Version) -> VirtualStat {
        let perm = self.options.file_mode;
        self.stat(FileType::Regular, perm, version.size, version.modified)
    }

    pub(crate) fn found_stat(&self, found: &Found) -> VirtualStat {
        match found {
            Found::File(version) => self.file_stat(version),
            // Most stores know no time of a directory.
            Found::Directory => self.stat(FileType::Directory, self.options.directory_mode, 0, self.mounted),
        }
    }

    fn stat(&self, kind: FileType, perm: u32, size: u64, time: Timespec) -> VirtualStat {
        let (uid, gid) = (self.options.uid, self.options.gid);
        // One link of a directory says that its subdirectories are not counted.
        VirtualStat {
            kind,
            perm,
            uid,
            gid,
            nlink: 1,
            size,
            atime: time,
            mtime: time,
            ctime: time,
            btime: time,
        }
    }

    /// What is at a path, as it was seen not longer ago than the time of the cache. ENOENT.
    pub(crate) async fn look(&self, path: &str) -> Result<Found> {
        match self.attributes.get(path) {
            Some(found) => found.ok_or(Errno::ENOENT),
            None => self.look_anew(path).await,
        }
    }

    /// What is at a path now. ENOENT.
    pub(crate) async fn look_anew(&self, path: &str) -> Result<Found> {
        let generation = self.attributes.generation();
        let found = match self.remote.stat(path).await {
            Ok(found) => Some(found),
            Err(Errno::ENOENT) => None,
            Err(error) => return Err(error),
        };
        self.attributes.put(generation, path, found.clone());
        found.ok_or(Errno::ENOENT)
    }

    /// The file that is open at a path.
    pub(crate) fn node(&self, path: &str) -> Option<Arc<Node>> {
        self.nodes.lock().get(path)?.upgrade()
    }

    /// All files that are open at a path or below.
    pub(crate) fn nodes_below(&self, path: &str) -> Vec<Arc<Node>> {
        let nodes = self.nodes.lock();
        let below =
            |at: &str| at.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        nodes.iter().filter(|(at, _)| below(at)).filter_map(|(_, node)| node.upgrade()).collect()
    }

    /// All files that are open or wait for a sync, each once. A path may lead to another file than the one that waits.
    fn all_nodes(&self) -> Vec<Arc<Node>> {
        let mut all: Vec<_> = self.nodes.lock().values().filter_map(Weak::upgrade).collect();
        all.extend(self.unsaved.lock().iter().flatten().cloned());
        all.sort_by_key(Arc::as_ptr);
        all.dedup_by(|a, b| Arc::ptr_eq(a, b));
        all
    }

    /// The node of a path that shows `version`, with one handle more.
    pub(crate) fn open_node(self: &Arc<Self>, path: &str, version: &Version) -> Arc<Node> {
        let content = self.content(path, version);
        // Outlives the lock, which it takes when it goes.
        let known;
        let mut nodes = self.nodes.lock();
        known = nodes.get(path).and_then(Weak::upgrade);
        if let Some(node) = &known {
            let mut state = node.state.lock();
            // What was written here is newer than what the store has.
            if state.dirty || state.version.same(version) {
                state.handles += 1;
                return node.clone();
            }
            // Others replaced it: who has it open keeps what it showed, or gets ESTALE.
        }
        let path: Arc<str> = path.into();
        let node = Node::new(self, path.clone(), version.clone(), content);
        node.state.lock().handles = 1;
        nodes.insert(path, Arc::downgrade(&node));
        node
    }

    /// The node of a path if it has something to upload, with one handle more.
    pub(crate) fn open_dirty(&self, path: &str) -> Option<Arc<Node>> {
        let node = self.node(path)?;
        let mut state = node.state.lock();
        if !state.dirty {
            return None;
        }
        state.handles += 1;
        drop(state);
        Some(node)
    }

    /// A node went: its place in the table, unless another has it by now.
    pub(crate) fn forget_node(&self, path: &str) {
        let mut nodes = self.nodes.lock();
        if nodes.get(path).is_some_and(|node| node.strong_count() == 0) {
            nodes.remove(path);
        }
    }

    /// What is open at a path is open at another one now, or at none.
    pub(crate) fn move_node(&self, node: &Arc<Node>, to: Option<&str>) {
        if to.is_none() {
            self.saved(node);
        }
        let to: Option<Arc<str>> = to.map(Into::into);
        let from = std::mem::replace(&mut node.state.lock().path, to.clone());
        let mut nodes = self.nodes.lock();
        if let Some(from) = from
            && nodes.get(&from).is_some_and(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(node)))
        {
            nodes.remove(&from);
        }
        if let Some(to) = to {
            nodes.insert(to, Arc::downgrade(node));
        }
    }

    /// Keeps a file whose upload failed for the next sync; `false` when there is none any more, or too many wait. Their bytes
    /// are bounded already, but empty files have none.
    pub(crate) fn keep_unsaved(&self, node: &Arc<Node>) -> bool {
        let mut unsaved = self.unsaved.lock();
        let Some(unsaved) = &mut *unsaved else { return false };
        if unsaved.iter().any(|known| Arc::ptr_eq(known, node)) {
            return true;
        }
        if unsaved.len() >= REMEMBERED {
            return false;
        }
        unsaved.push(node.clone());
        true
    }

    /// A file needs not be kept for the next sync. The caller has it, so it does not go here.
    pub(crate) fn saved(&self, node: &Node) {
        if let Some(unsaved) = &mut *self.unsaved.lock() {
            unsaved.retain(|known| !std::ptr::eq(&**known, node));
        }
    }

    /// Nobody can ask for a sync any more.
    pub(crate) fn close(&self) {
        // Dropped without the lock.
        let unsaved = self.unsaved.lock().take();
        for node in unsaved.into_iter().flatten() {
            let path = node.state.lock().path.clone();
            tracing::error!(
                ?path,
                "a closed file is lost: its object store did not take it until it was unmounted"
            );
        }
    }

    /// An object was just made here.
    pub(crate) fn created(&self, path: &str, version: Version) {
        *self.created.lock() = Some((path.into(), version, Instant::now()));
    }

    /// What was just made at a path, for the open that follows: once.
    pub(crate) fn take_created(&self, path: &str) -> Option<Version> {
        let mut created = self.created.lock();
        let (_, version, at) = created.take_if(|(of, ..)| &**of == path)?;
        (at.elapsed() < CREATED).then_some(version)
    }

    /// Uploads everything that was written. The first error; the others are tried nevertheless. What nobody has open and the
    /// store refuses for good is told once and forgotten: it would keep the mount for ever.
    pub(crate) async fn sync(&self) -> Result<()> {
        let mut result = Ok(());
        for node in self.all_nodes() {
            let flushed = node.flush().await;
            if flushed.is_err_and(|error| !may_pass(error)) && node.discard().await {
                let path = node.state.lock().path.clone();
                tracing::error!(?path, "a closed file is lost: its object store refuses it");
            }
            result = result.and(flushed);
        }
        // A store that is away would cost the time of each.
        if !result.is_err_and(may_pass) {
            self.abandoned.retry(&self.remote).await;
        }
        result
    }

    /// The number under which blocks of this content are kept.
    pub(crate) fn content(&self, path: &str, version: &Version) -> Content {
        if let Some((of, content)) = self.contents.lock().0.get(path)
            && of == version
        {
            return *content;
        }
        self.new_content(path, version)
    }

    /// The same for what was written or moved there just now: two contents of one second may look like one version.
    pub(crate) fn new_content(&self, path: &str, version: &Version) -> Content {
        let (known, next) = &mut *self.contents.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        *next += 1;
        known.insert(path.into(), (version.clone(), *next));
        *next
    }

    /// Directories are prefixes: without a marker this one would go with its last name.
    pub(crate) async fn keep_directory(&self, path: &str) -> Result<()> {
        if !self.remote.traits.prefixes || path == "/" || self.markers.lock().contains(path) {
            return Ok(());
        }
        self.remote.make_directory(path).await?;
        self.marked(path);
        Ok(())
    }

    pub(crate) fn marked(&self, path: &str) {
        let mut markers = self.markers.lock();
        if markers.len() >= REMEMBERED {
            markers.clear();
        }
        markers.insert(path.into());
    }
}
