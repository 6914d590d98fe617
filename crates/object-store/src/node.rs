//! A file that is open: the version it shows, and what was written since. All handles of a file share one, so that they see
//! each other's writes at once; the store sees them at close or fsync.

use std::sync::Arc;

use agentos_vfs::{Errno, Result, Timespec};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use crate::blocks::{BLOCK, Content};
use crate::mount::{Shared, UPLOADS, may_pass};
use crate::parts::Parts;
use crate::remote::{Condition, PAUSE};
use crate::staging::Staging;
use crate::version::{Found, Version};

/// Bytes of one request that fills a staging.
const PIECE: u64 = 8 << 20;
/// Least bytes of a part of an upload; objects up to here go in one request.
const PART: u64 = 8 << 20;
/// Most parts of an upload: S3 takes 10,000.
const PARTS: u64 = 9_000;
/// How often an upload in parts begins anew when the store fails.
const TRIES: u32 = 3;
/// The most bytes that go in one request to a store that takes no parts.
const WHOLE: u64 = 256 << 20;
/// Most blocks of one request.
const WINDOW: u64 = 16;

pub(crate) struct State {
    /// `None` once it was removed, or others replaced it.
    pub(crate) path: Option<Arc<str>>,
    /// What the store has.
    pub(crate) version: Version,
    pub(crate) content: Content,
    /// What a look at it tells.
    pub(crate) size: u64,
    pub(crate) modified: Timespec,
    /// There is something to upload.
    pub(crate) dirty: bool,
    pub(crate) handles: usize,
}

/// The content while it is written.
pub(crate) struct Written {
    staging: Staging,
    /// It began as the version of the store: what others wrote since must not be lost.
    derived: bool,
    /// An upload of ours failed in a way that may have changed the object: it is not the one that it began as, and nobody else
    /// need have changed it.
    torn: bool,
    /// What is uploaded before the close; nothing of it was changed since.
    early: Option<Early>,
    /// Whether it may be uploaded before the close. Not once that was given up: each write would begin it anew.
    grows: bool,
}

struct Early {
    parts: Parts,
    _turn: OwnedSemaphorePermit,
}

impl Written {
    fn new(staging: Staging, derived: bool) -> Self {
        Written { staging, derived, torn: false, early: None, grows: true }
    }

    /// Bytes from `offset` on are about to change.
    fn changes(&mut self, offset: u64) {
        self.grows &= self.early.take_if(|early| offset < early.parts.sent()).is_none();
    }
}

pub(crate) struct Node {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: Mutex<State>,
    /// Held during an upload, so that what is uploaded is one moment.
    pub(crate) written: tokio::sync::Mutex<Option<Written>>,
}

/// What a handle read last, to read ahead of it.
#[derive(Default)]
pub(crate) struct Window {
    next: u64,
    blocks: u64,
}

impl Node {
    pub(crate) fn new(shared: &Arc<Shared>, path: Arc<str>, version: Version, content: Content) -> Arc<Self> {
        let state = State {
            path: Some(path),
            size: version.size,
            modified: version.modified,
            version,
            content,
            dirty: false,
            handles: 0,
        };
        Arc::new(Node { shared: shared.clone(), state: Mutex::new(state), written: Default::default() })
    }

    fn path(&self) -> Option<Arc<str>> {
        self.state.lock().path.clone()
    }

    /// Up to `len` bytes; empty at the end. ESTALE when others replaced the object.
    pub(crate) async fn read(&self, window: &Mutex<Window>, offset: u64, len: usize) -> Result<Vec<u8>> {
        loop {
            if let Some(written) = self.written.lock().await.as_mut() {
                return written.staging.read(offset, len).map(Vec::from);
            }
            let (version, content) = {
                let state = self.state.lock();
                (state.version.clone(), state.content)
            };
            match self.read_version(&version, content, window, offset, len).await {
                // It was written through this mount meanwhile, which the reader sees.
                Err(Errno::ESTALE | Errno::ENOENT) if self.state.lock().version != version => {}
                Err(Errno::ENOENT) => return Err(Errno::ESTALE),
                result => return result,
            }
        }
    }

    async fn read_version(
        &self,
        version: &Version,
        content: Content,
        window: &Mutex<Window>,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>> {
        let end = version.size.min(offset.saturating_add(len as u64));
        let mut data = Vec::with_capacity(usize::try_from(end.saturating_sub(offset)).unwrap_or(0));
        let mut at = offset;
        while at < end {
            let index = at / BLOCK;
            let block = match self.shared.blocks.get(content, index) {
                Some(block) => block,
                None => self.fetch(version, content, window, index, end).await?,
            };
            let from = usize::try_from(at - index * BLOCK).map_err(|_| Errno::EIO)?;
            let to = usize::try_from(end - index * BLOCK).map_or(block.len(), |to| to.min(block.len()));
            let piece = block.get(from..to).filter(|piece| !piece.is_empty()).ok_or(Errno::EIO)?;
            data.extend_from_slice(piece);
            at += piece.len() as u64;
        }
        Ok(data)
    }

    /// Fetches the block and those behind it that are wanted too, or will be if reading goes on as it did.
    async fn fetch(
        &self,
        version: &Version,
        content: Content,
        window: &Mutex<Window>,
        index: u64,
        end: u64,
    ) -> Result<Bytes> {
        let path = self.path().ok_or(Errno::ESTALE)?;
        let last = version.size.div_ceil(BLOCK);
        let blocks = {
            let mut window = window.lock();
            window.blocks = if window.next == index { (2 * window.blocks).clamp(1, WINDOW) } else { 1 };
            let wanted = (end.div_ceil(BLOCK) - index).min(WINDOW);
            let blocks = window.blocks.max(wanted).min(last - index);
            // Up to the next one that is there.
            (1..blocks).find(|n| self.shared.blocks.has(content, index + n)).unwrap_or(blocks)
        };
        let (from, to) = (index * BLOCK, version.size.min((index + blocks) * BLOCK));
        let data = self.shared.remote.read(&path, version, from, to).await?;
        for (n, block) in data.chunks(BLOCK as usize).enumerate() {
            self.shared.blocks.put(content, index + n as u64, block);
        }
        window.lock().next = index + blocks;
        Ok(data.slice(..data.len().min(BLOCK as usize)))
    }

    /// The staging of this file; what the store has is fetched first.
    async fn stage<'a>(&self, written: &'a mut Option<Written>) -> Result<&'a mut Written> {
        if written.is_none() {
            let (path, version) = {
                let state = self.state.lock();
                (state.path.clone(), state.version.clone())
            };
            let mut staging = Staging::new(&self.shared.budget);
            // All of it at once, so that the bound is met before anything is fetched.
            staging.set_len(version.size)?;
            let mut at = 0;
            while at < version.size {
                let path = path.as_deref().ok_or(Errno::ESTALE)?;
                let to = version.size.min(at + PIECE);
                let piece = self.shared.remote.read(path, &version, at, to).await.map_err(stale)?;
                staging.write(at, &piece)?;
                at = to;
            }
            *written = Some(Written::new(staging, true));
        }
        written.as_mut().ok_or(Errno::EIO)
    }

    fn changed(&self, size: u64) {
        let mut state = self.state.lock();
        (state.size, state.modified, state.dirty) = (size, Timespec::now(), true);
    }

    /// Writes at `offset` or at the end; returns where that ends.
    pub(crate) async fn write(&self, offset: Option<u64>, data: &[u8]) -> Result<u64> {
        let mut written = self.written.lock().await;
        let written = self.stage(&mut written).await?;
        let at = offset.unwrap_or(written.staging.len());
        if !data.is_empty() {
            written.changes(at);
            written.staging.write(at, data)?;
            self.changed(written.staging.len());
            self.send_early(written).await;
        }
        Ok(at + data.len() as u64)
    }

    pub(crate) async fn truncate(&self, size: u64) -> Result<()> {
        let mut written = self.written.lock().await;
        if size == self.state.lock().size {
            return Ok(());
        }
        if size == 0 {
            // Nothing of the old content is kept, so nothing of it needs to be known.
            *written = Some(Written::new(Staging::new(&self.shared.budget), false));
        } else {
            let written = self.stage(&mut written).await?;
            written.changes(size);
            written.staging.set_len(size)?;
        }
        self.changed(size);
        Ok(())
    }

    /// Gives it the time of now, by writing it anew. EFBIG where that would take long.
    pub(crate) async fn touch(&self) -> Result<()> {
        let mut written = self.written.lock().await;
        if self.state.lock().size > PART {
            return Err(Errno::EFBIG);
        }
        let size = self.stage(&mut written).await?.staging.len();
        self.changed(size);
        Ok(())
    }

    /// Uploads what was written. ESTALE when others changed the object since.
    pub(crate) async fn flush(&self) -> Result<()> {
        let mut written = self.written.lock().await;
        self.flush_held(&mut written).await
    }

    pub(crate) async fn flush_held(&self, written: &mut Option<Written>) -> Result<()> {
        let (path, base) = {
            let state = self.state.lock();
            match &state.path {
                Some(path) if state.dirty => (path.clone(), state.version.clone()),
                _ => return Ok(()),
            }
        };
        let Some(written) = written else { return Ok(()) };
        let condition = if written.derived { Condition::Same(base) } else { Condition::Any };
        let early = written.early.take().filter(|early| *early.parts.path() == path);
        let (staging, torn) = (&mut written.staging, &mut written.torn);
        let version = match early {
            Some(early) => match self.finish_early(early, staging, torn).await {
                Err(Errno::EIO) => self.upload(&path, staging, &condition, torn).await?,
                result => result?,
            },
            None => self.upload(&path, staging, &condition, torn).await?,
        };
        (written.derived, written.torn) = (true, false);
        self.shared.attributes.forget(&path);
        let generation = self.shared.attributes.generation();
        self.shared.attributes.put(generation, &path, Some(Found::File(version.clone())));
        let content = self.shared.new_content(&path, &version);
        let mut state = self.state.lock();
        (state.size, state.modified) = (version.size, version.modified);
        (state.version, state.content, state.dirty) = (version, content, false);
        drop(state);
        self.shared.saved(self);
        Ok(())
    }

    async fn finish_early(
        &self,
        mut early: Early,
        staging: &mut Staging,
        torn: &mut bool,
    ) -> Result<Version> {
        // In pieces: what is left may be as much as a staging holds, and each piece has its own time.
        while early.parts.sent() < staging.len() {
            early.parts.send(staging.read(early.parts.sent(), PART as usize)?).await?;
        }
        finish(early.parts, torn).await
    }

    async fn upload(
        &self,
        path: &Arc<str>,
        staging: &mut Staging,
        condition: &Condition,
        torn: &mut bool,
    ) -> Result<Version> {
        let (remote, size) = (&self.shared.remote, staging.len());
        // What goes in one request is in memory meanwhile: a large one goes alone.
        let turns = if size > PART && !remote.capability.write_can_multi { UPLOADS } else { 1 };
        let _turn = self.shared.uploads.acquire_many(turns).await.map_err(|_| Errno::EIO)?;
        if size <= PART || !remote.capability.write_can_multi {
            if size > PART.max(WHOLE) {
                tracing::warn!(size, limit = WHOLE, "this kind of store takes an object in one request only");
                return Err(Errno::EFBIG);
            }
            let data = staging.read(0, usize::try_from(size).map_err(|_| Errno::EFBIG)?)?;
            let condition = if *torn { &Condition::Any } else { condition };
            return remote.put(path, data, condition, torn).await;
        }
        let part = PART.max(size.div_ceil(PARTS).next_multiple_of(1 << 20));
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.upload_parts(path, staging, part, condition, torn).await {
                Err(Errno::EIO) => {}
                result => return result,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.upload_parts(path, staging, part, condition, torn).await
    }

    async fn upload_parts(
        &self,
        path: &Arc<str>,
        staging: &mut Staging,
        part: u64,
        condition: &Condition,
        torn: &mut bool,
    ) -> Result<Version> {
        let condition = if *torn { &Condition::Any } else { condition };
        let len = usize::try_from(part).map_err(|_| Errno::EFBIG)?;
        let mut parts = Parts::begin(&self.shared, path, len, condition.clone()).await?;
        while parts.sent() < staging.len() {
            parts.send(staging.read(parts.sent(), len)?).await?;
        }
        finish(parts, torn).await
    }

    /// Sends the parts that are whole of a new file that only grows, so that its close has little to wait for.
    async fn send_early(&self, written: &mut Written) {
        let Written { staging, derived, early, grows, .. } = written;
        if !*grows || staging.len() < 2 * PART || !self.shared.remote.capability.write_can_multi {
            return;
        }
        let (path, base) = {
            let state = self.state.lock();
            (state.path.clone(), state.version.clone())
        };
        let Some(path) = path else { return };
        // What began as more than nothing is written in place rather than grows.
        let condition = match derived {
            true if base.size > 0 => return,
            true => Condition::Same(base),
            false => Condition::Any,
        };
        if early.is_none() {
            // Few at a time: each holds parts in memory as long as its file is open.
            let Ok(turn) = self.shared.early.clone().try_acquire_owned() else { return };
            let parts = Parts::begin(&self.shared, &path, PART as usize, condition).await;
            *early = parts.ok().map(|parts| Early { parts, _turn: turn });
            *grows = early.is_some();
        }
        while let Some(Early { parts, .. }) = early
            && staging.len() - parts.sent() >= PART
        {
            let data = staging.read(parts.sent(), PART as usize);
            let sent = match data {
                Ok(data) => parts.send(data).await,
                Err(error) => Err(error),
            };
            if sent.is_err() {
                // All of it is still here, for the close.
                (*early, *grows) = (None, false);
            }
        }
    }

    /// Forgets what was written and cannot be uploaded. `false` when it is uploaded by now, or open: whoever has it open keeps
    /// it, and hears of that at the close.
    pub(crate) async fn discard(&self) -> bool {
        let mut written = self.written.lock().await;
        let mut state = self.state.lock();
        if state.handles > 0 || !state.dirty {
            return false;
        }
        (state.size, state.modified, state.dirty) = (state.version.size, state.version.modified, false);
        drop(state);
        *written = None;
        self.shared.saved(self);
        true
    }

    /// Copies it to another path by way of this host, for stores that cannot copy.
    pub(crate) async fn copy_to(&self, written: &mut Option<Written>, to: &str) -> Result<()> {
        let staging = &mut self.stage(written).await?.staging;
        self.upload(&to.into(), staging, &Condition::Any, &mut false).await.map(drop)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(path) = self.state.get_mut().path.take() {
            self.shared.forget_node(&path);
        }
    }
}

/// The last request of an upload in parts; after an error `torn` says whether the object may be there all the same.
async fn finish(parts: Parts, torn: &mut bool) -> Result<Version> {
    let was_torn = std::mem::replace(torn, true);
    parts.finish().await.inspect_err(|error| *torn = was_torn || may_pass(*error))
}

/// What is gone was replaced, for whoever has it open.
fn stale(error: Errno) -> Errno {
    if error == Errno::ENOENT { Errno::ESTALE } else { error }
}
