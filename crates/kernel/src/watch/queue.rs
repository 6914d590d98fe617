//! The changes that wait for one watcher: a bounded queue. When it is full, what waits is replaced by the word to look anew.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Change, ChangeKind};
use crate::Warning;

/// What a change costs beside its paths, bytes.
const EACH: u64 = 96;

/// Kinds that say nothing new while the same is still waiting.
const MODIFIED: u8 = 1;
const ATTRIBUTES: u8 = 2;

pub(super) struct Queue {
    root: Arc<[u8]>,
    recursive: bool,
    most: u64,
    state: Mutex<State>,
    changed: Notify,
    warning: Warning,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Change>,
    /// By path, what of [`MODIFIED`] and [`ATTRIBUTES`] waits since the path last meant another file.
    told: HashMap<Arc<[u8]>, u8>,
    bytes: u64,
    closed: bool,
}

fn cost(change: &Change) -> u64 {
    let from = match &change.kind {
        ChangeKind::Renamed { from } => from.len(),
        _ => 0,
    };
    EACH + (change.path.len() + from) as u64
}

fn once(kind: &ChangeKind) -> u8 {
    match kind {
        ChangeKind::Modified => MODIFIED,
        ChangeKind::Attributes => ATTRIBUTES,
        _ => 0,
    }
}

/// What of `path` follows the directory `dir`, without the slash between.
fn below<'a>(path: &'a [u8], dir: &[u8]) -> Option<&'a [u8]> {
    let dir = if dir == b"/" { b"" } else { dir };
    path.strip_prefix(dir)?.strip_prefix(b"/").filter(|rest| !rest.is_empty())
}

impl Queue {
    pub(super) fn new(root: Vec<u8>, recursive: bool, most: u64, warning: Warning) -> Self {
        let (state, changed) = (Mutex::default(), Notify::new());
        Queue { root: root.into(), recursive, most, state, changed, warning }
    }

    pub(super) fn root(&self) -> &[u8] {
        &self.root
    }

    /// Whether a change at `path` is told.
    pub(super) fn covers(&self, path: &[u8]) -> bool {
        *path == *self.root
            || below(path, &self.root).is_some_and(|rest| self.recursive || !rest.contains(&b'/'))
    }

    /// Whether the watched path lies below `path`.
    pub(super) fn is_below(&self, path: &[u8]) -> bool {
        below(&self.root, path).is_some()
    }

    /// Whether `path` lies below the watched path and is of interest.
    pub(super) fn reaches(&self, path: &[u8]) -> bool {
        self.recursive && below(path, &self.root).is_some()
    }

    pub(super) fn push(&self, change: Change) {
        let mut state = self.state.lock();
        let cost = cost(&change);
        let once = once(&change.kind);
        if once != 0 {
            let told = state.told.entry(Arc::clone(&change.path)).or_default();
            if *told & once != 0 {
                return;
            }
            *told |= once;
        } else if change.is_dir {
            // What lies below has another meaning as well.
            state.told.clear();
        } else {
            state.told.remove(&change.path);
        }
        if state.bytes + cost > self.most {
            self.give_up(&mut state);
        } else {
            state.bytes += cost;
            state.waiting.push_back(change);
        }
        self.warning.uses(state.bytes);
        drop(state);
        self.changed.notify_one();
    }

    /// Replaces all that waits by the word to look anew.
    pub(super) fn overflow(&self) {
        let mut state = self.state.lock();
        self.give_up(&mut state);
        self.warning.uses(state.bytes);
        drop(state);
        self.changed.notify_one();
    }

    fn give_up(&self, state: &mut State) {
        state.told.clear();
        state.waiting.clear();
        let change = Change { path: Arc::clone(&self.root), kind: ChangeKind::Overflow, is_dir: true };
        state.bytes = cost(&change);
        state.waiting.push_back(change);
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_one();
    }

    /// See [`super::Watch::next`].
    pub(super) async fn next(&self, most: usize, into: &mut Vec<Change>) -> bool {
        loop {
            if let Some(more) = self.take(most, into) {
                return more;
            }
            // A change since then has left a permit.
            self.changed.notified().await;
        }
    }

    /// `None`: there is nothing yet.
    fn take(&self, most: usize, into: &mut Vec<Change>) -> Option<bool> {
        let mut state = self.state.lock();
        if state.waiting.is_empty() {
            return state.closed.then_some(false);
        }
        let n = most.min(state.waiting.len());
        let State { waiting, told, bytes, .. } = &mut *state;
        for change in waiting.drain(..n) {
            *bytes -= cost(&change);
            let once = once(&change.kind);
            if once != 0
                && let Some(left) = told.get_mut(&change.path)
            {
                *left &= !once;
                if *left == 0 {
                    told.remove(&change.path);
                }
            }
            into.push(change);
        }
        if waiting.is_empty() {
            // What a flood made large.
            (*waiting, *told) = Default::default();
        }
        self.warning.uses(state.bytes);
        Some(true)
    }
}
