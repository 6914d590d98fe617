//! When a root is committed: at every sync, now and then without one, and at the end. Syncs that wait together share a commit.
//!
//! One thread per root does it, since stores block. It is the only one that has the store, so commits cannot overtake each
//! other. After a failure nothing is tried again: what the host has cached and what is on its disk may differ from then on, and
//! a later sync that seems to go well would lie. The tree in memory is whole, and everything but syncing goes on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentos_vfs::{Errno, Reply, Tree};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::{Root, StoreError};

/// The result of a commit, shared by all who waited for it.
type Outcome = Result<(), Arc<StoreError>>;

/// How a root is kept.
pub struct Options {
    /// How long a change may wait for its commit when nobody syncs; 2 seconds.
    pub interval: Duration,
    /// Told once when the store fails, on the thread of the store; nothing. It is dropped when the store is closed and before
    /// anybody hears of that, so what it holds lasts as long as the store is open.
    pub failed: Box<dyn Fn(&StoreError) + Send>,
}

impl Default for Options {
    fn default() -> Self {
        Options { interval: Duration::from_secs(2), failed: Box::new(|_| ()) }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("interval", &self.interval).finish_non_exhaustive()
    }
}

/// A tree that is kept in a store. Dropping it ends that, after a last commit for which nobody waits.
#[derive(Debug)]
pub struct Durable {
    line: Arc<Line>,
    path: PathBuf,
}

/// Who waits for a commit.
#[derive(Debug, Default)]
struct Line {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<oneshot::Sender<Outcome>>,
    closing: bool,
    /// Nobody answers any more; this was the last outcome.
    ended: Option<Outcome>,
}

impl Line {
    /// Waits for a commit of everything up to now. There is none any more: the last outcome.
    fn join(&self, close: bool) -> Result<oneshot::Receiver<Outcome>, Outcome> {
        let mut queue = self.queue.lock();
        queue.closing |= close;
        if let Some(outcome) = &queue.ended {
            return Err(outcome.clone());
        }
        let (sender, receiver) = oneshot::channel();
        queue.waiting.push(sender);
        self.wake.notify_one();
        Ok(receiver)
    }

    fn sync(&self) -> Reply<'static, ()> {
        // What is written after the end is written nowhere.
        let Ok(receiver) = self.join(false) else { return Reply::Now(Err(Errno::EIO)) };
        Reply::later(async move {
            match receiver.await {
                Ok(outcome) => outcome.map_err(|error| error.errno()),
                Err(_) => Err(Errno::EIO),
            }
        })
    }
}

impl Durable {
    /// Keeps `tree`, which began as [`Root::layer`], in `root` from now on: syncing it waits for a commit.
    pub fn start(root: Root, tree: Tree, options: Options) -> Result<Self, StoreError> {
        let line = Arc::new(Line::default());
        let syncs = Arc::clone(&line);
        tree.backed_by(move || syncs.sync());
        let path = root.path().to_owned();
        let keeper = Keeper { root, tree, options, failure: None };
        let ended = Ended { line: Arc::clone(&line), path: path.clone() };
        std::thread::Builder::new()
            .name("agentos-store".into())
            .spawn(move || keeper.run(&ended.line))
            .map_err(|source| StoreError::Io { path: path.clone(), source })?;
        Ok(Durable { line, path })
    }

    /// Everything up to now is on stable storage.
    pub async fn sync(&self) -> Outcome {
        match self.line.join(false) {
            Ok(receiver) => receiver.await.unwrap_or_else(|_| Err(Arc::new(gone(&self.path)))),
            Err(outcome) => outcome,
        }
    }

    /// A last commit; then the store is closed and may be opened anew. The second call says what the first one said.
    pub async fn close(&self) -> Outcome {
        match self.line.join(true) {
            Ok(receiver) => receiver.await.unwrap_or_else(|_| Err(Arc::new(gone(&self.path)))),
            Err(outcome) => outcome,
        }
    }

    /// As [`Durable::close`], for threads that may wait.
    pub fn close_blocking(&self) -> Outcome {
        match self.line.join(true) {
            Ok(receiver) => receiver.blocking_recv().unwrap_or_else(|_| Err(Arc::new(gone(&self.path)))),
            Err(outcome) => outcome,
        }
    }
}

fn gone(path: &Path) -> StoreError {
    StoreError::Io { path: path.to_owned(), source: io::Error::other("its thread ended") }
}

impl Drop for Durable {
    fn drop(&mut self) {
        self.line.queue.lock().closing = true;
        self.line.wake.notify_one();
    }
}

/// Whoever waits when the thread ends, however it does, is told.
struct Ended {
    line: Arc<Line>,
    path: PathBuf,
}

impl Drop for Ended {
    fn drop(&mut self) {
        let mut queue = self.line.queue.lock();
        queue.ended.get_or_insert_with(|| Err(Arc::new(gone(&self.path))));
        queue.waiting.clear();
    }
}

/// What the thread has. The root goes before the options, whose `failed` may hold what guards it.
struct Keeper {
    root: Root,
    tree: Tree,
    options: Options,
    failure: Option<Arc<StoreError>>,
}

impl Keeper {
    fn run(mut self, line: &Line) {
        loop {
            let (waiting, closing) = self.wait(line);
            let outcome = self.commit();
            if closing {
                // The store is closed before anybody hears of it.
                drop(self);
                let mut queue = line.queue.lock();
                queue.ended = Some(outcome.clone());
                let late = std::mem::take(&mut queue.waiting);
                drop(queue);
                answer(waiting, &outcome);
                return answer(late, &outcome);
            }
            answer(waiting, &outcome);
        }
    }

    fn wait(&self, line: &Line) -> (Vec<oneshot::Sender<Outcome>>, bool) {
        let until = Instant::now() + self.options.interval;
        let mut queue = line.queue.lock();
        while queue.waiting.is_empty() && !queue.closing {
            if line.wake.wait_until(&mut queue, until).timed_out() {
                break;
            }
        }
        (std::mem::take(&mut queue.waiting), queue.closing)
    }

    fn commit(&mut self) -> Outcome {
        if let Some(failure) = &self.failure {
            return Err(Arc::clone(failure));
        }
        self.root.commit(&self.tree.freeze()).map_err(|error| {
            (self.options.failed)(&error);
            let error = Arc::new(error);
            self.failure = Some(Arc::clone(&error));
            error
        })
    }
}

fn answer(waiting: Vec<oneshot::Sender<Outcome>>, outcome: &Outcome) {
    for one in waiting {
        // Who was killed does not wait any more.
        let _ = one.send(outcome.clone());
    }
}
