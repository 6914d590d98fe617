//! Moments of a VM's files: what is noted at a checkpoint, how long, and the way back. It answers no requests and makes no
//! copies of anything: a moment is the frozen trees of the root and of the mounts in memory.

mod changes;
mod patch;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agentos_kernel::{Observer, Warning};
use agentos_protocol::WireError;
use agentos_protocol::message::{CheckpointInfo, LimitInfo, Moment, VmLimits, code};
use agentos_vfs::{Layer, Namespace, Tree};
use parking_lot::Mutex;

pub(crate) use changes::{Changed, changes};
pub(crate) use patch::write_patch;

/// Bytes of a name.
const NAME_MAX: usize = 255;

/// The trees of a VM at one moment, by their lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trees(Arc<[(u64, Layer)]>);

impl Trees {
    /// As they are now. No wait comes between one and the next.
    pub(crate) fn now(namespace: &Namespace) -> Self {
        Trees(trees(namespace).map(|(_, tree)| (tree.line(), tree.freeze())).collect())
    }

    pub(crate) fn get(&self, line: u64) -> Option<&Layer> {
        self.0.iter().find(|(of, _)| *of == line).map(|(_, layer)| layer)
    }

    /// Bytes that are kept because of these although `newer` are kept.
    fn only_here(&self, newer: &Trees) -> u64 {
        let of = |(line, layer): &(u64, Layer)| match newer.get(*line) {
            Some(newer) => layer.only_here(newer),
            None => layer.usage().bytes,
        };
        self.0.iter().map(of).sum()
    }
}

/// The trees that are mounted, and where.
pub(crate) fn trees(namespace: &Namespace) -> impl Iterator<Item = (Arc<agentos_vfs::Mount>, Tree)> {
    let tree = |mount: Arc<agentos_vfs::Mount>| mount.fs.tree().cloned().map(|tree| (mount, tree));
    namespace.list().into_iter().filter_map(tree)
}

struct Entry {
    name: String,
    created: Duration,
    automatic: bool,
    trees: Trees,
}

/// An entry, and what is kept because of it: what the next one no longer has.
type Kept = (Arc<Entry>, u64);

/// Checkpoints that a VM begins with.
#[derive(Default)]
pub(crate) struct Past(Vec<Kept>);

/// The checkpoints of a VM, oldest first.
pub(crate) struct Checkpoints {
    most: usize,
    most_bytes: u64,
    bytes: Warning,
    count: Warning,
    start: Mutex<Trees>,
    entries: Mutex<Vec<Kept>>,
}

impl Checkpoints {
    pub(crate) fn new(limits: &VmLimits, observer: &Arc<dyn Observer>) -> Self {
        Self {
            most: limits.checkpoints as usize,
            most_bytes: limits.checkpoint_bytes,
            bytes: Warning::new(Some(observer), "checkpointBytes", limits.checkpoint_bytes),
            count: Warning::new(Some(observer), "checkpoints", u64::from(limits.checkpoints)),
            start: Mutex::default(),
            entries: Mutex::default(),
        }
    }

    /// Those there are. Taken before the trees are copied, they are the past of a copy as well. `None`: one is being made, which may
    /// take a while.
    pub(crate) fn past_now(&self) -> Option<Past> {
        self.entries.try_lock().map(|entries| Past(entries.clone()))
    }

    /// The same, waited for; not where others wait.
    pub(crate) fn past(&self) -> Past {
        Past(self.entries.lock().clone())
    }

    /// The VM is ready, and its files come from here.
    pub(crate) fn started(&self, namespace: &Namespace, past: Past) {
        *self.start.lock() = Trees::now(namespace);
        let mut entries = self.entries.lock();
        *entries = past.0;
        self.tell(&entries);
    }

    /// Notes the files as they are now.
    pub(crate) fn make(
        &self,
        namespace: &Namespace,
        name: String,
        automatic: bool,
    ) -> Result<CheckpointInfo, WireError> {
        if name.is_empty() || name.len() > NAME_MAX {
            let reason = format!("the name of a checkpoint has 1 to {NAME_MAX} bytes");
            return Err(WireError::new(code::INVALID_REQUEST, reason));
        }
        let mut entries = self.entries.lock();
        if entries.iter().any(|(entry, _)| entry.name == name) {
            let reason = format!("there is a checkpoint {name:?}; delete it first or take another name");
            return Err(WireError::new(code::INVALID_REQUEST, reason));
        }
        let trees = Trees::now(namespace);
        // What the last one keeps counts from now on: another one comes after it.
        let mut left = entries.clone();
        if let Some((last, bytes)) = left.last_mut() {
            *bytes = last.trees.only_here(&trees);
        }
        let over = |entries: &[Kept]| {
            let bytes = entries.iter().map(|(_, bytes)| bytes).sum::<u64>();
            if bytes > self.most_bytes {
                return Some(("checkpointBytes", self.most_bytes, bytes));
            }
            let full = entries.len() >= self.most;
            full.then_some(("checkpoints", self.most as u64, entries.len() as u64))
        };
        while let Some((name, configured, used)) = over(&left) {
            let Some(oldest) = left.iter().position(|(entry, _)| entry.automatic) else {
                let limit = LimitInfo { name: name.into(), configured, used, requested: 1 };
                return Err(WireError::limit(limit));
            };
            forget(&mut left, oldest, Some(&trees));
        }
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        left.push((Arc::new(Entry { name, created, automatic, trees }), 0));
        let info = info(&left[left.len() - 1]);
        *entries = left;
        self.tell(&entries);
        Ok(info)
    }

    pub(crate) fn list(&self) -> Vec<CheckpointInfo> {
        self.entries.lock().iter().map(info).collect()
    }

    pub(crate) fn delete(&self, name: &str) -> Result<(), WireError> {
        let mut entries = self.entries.lock();
        let at = entries.iter().position(|(entry, _)| entry.name == name).ok_or_else(|| missing(name))?;
        // What the last one keeps is counted when another one comes.
        forget(&mut entries, at, None);
        self.tell(&entries);
        Ok(())
    }

    /// The trees at a moment.
    pub(crate) fn at(&self, moment: &Moment, namespace: &Namespace) -> Result<Trees, WireError> {
        match moment {
            Moment::Start => Ok(self.start.lock().clone()),
            Moment::Now => Ok(Trees::now(namespace)),
            Moment::Checkpoint(name) => {
                let entries = self.entries.lock();
                let found = entries.iter().find(|(entry, _)| entry.name == *name);
                found.map(|(entry, _)| entry.trees.clone()).ok_or_else(|| missing(name))
            }
        }
    }

    /// Makes the files what they were. Mounts stay as they are: what was mounted since is not touched.
    pub(crate) fn rollback(&self, namespace: &Namespace, name: &str) -> Result<(), WireError> {
        let trees = self.at(&Moment::Checkpoint(name.to_owned()), namespace)?;
        // A mount whose directory goes could not be reached any more.
        for mount in namespace.list() {
            let Some(place) = mount.place() else { continue };
            let layer = place.mount.fs.tree().and_then(|tree| trees.get(tree.line()));
            if layer.is_some_and(|layer| !layer.contains(place.ino)) {
                let reason = format!(
                    "{} was mounted after this checkpoint, on a directory that it does not have; unmount it first",
                    mount.path
                );
                return Err(WireError::new(code::BUSY, reason));
            }
        }
        let found: Vec<_> = self::trees(namespace).collect();
        for (_, tree) in found {
            if let Some(layer) = trees.get(tree.line()) {
                tree.restore(layer);
            }
        }
        Ok(())
    }

    fn tell(&self, entries: &[Kept]) {
        self.count.uses(entries.len() as u64);
        self.bytes.uses(entries.iter().map(|(_, bytes)| bytes).sum());
    }
}

/// Takes one out. What the one before it keeps is from now on what the one behind it does not have; `next` stands behind the
/// last one, if anything does.
fn forget(entries: &mut Vec<Kept>, at: usize, next: Option<&Trees>) {
    entries.remove(at);
    let behind = entries.get(at).map(|(entry, _)| entry.trees.clone());
    if let Some((entry, bytes)) = at.checked_sub(1).and_then(|before| entries.get_mut(before)) {
        *bytes = behind.as_ref().or(next).map_or(0, |next| entry.trees.only_here(next));
    }
}

fn info((entry, bytes): &Kept) -> CheckpointInfo {
    CheckpointInfo {
        name: entry.name.clone(),
        created_ms: u64::try_from(entry.created.as_millis()).unwrap_or(u64::MAX),
        automatic: entry.automatic,
        bytes: *bytes,
    }
}

fn missing(name: &str) -> WireError {
    WireError::not_found(code::CHECKPOINT_NOT_FOUND, name)
}
