//! The file systems that the cases run on. One more is one entry of [`BACKENDS`] and one test in `main.rs`.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use agentos_store::Durable;
use agentos_vfs::{FileSystem, HostDir, HostDirOptions, Layer, Overlay, Tree};
use tempfile::TempDir;

use crate::ours::Ours;
use crate::system::System;

/// The name of the oracle in the cases.
pub const LINUX: &str = "linux";

/// Where a case runs.
pub trait Place {
    /// The system calls.
    fn system(&mut self) -> &mut dyn System;
    /// Puts the file system away and takes it up again.
    fn again(&mut self);
    /// Why this case cannot be run here.
    fn refuses(&self, case: &crate::language::Case) -> bool {
        let _ = case;
        false
    }
    /// What is wrong inside when a case is over.
    fn wrong(&self) -> Option<String> {
        None
    }
}

/// A root file system of ours.
pub struct Backend {
    /// Its name in the cases.
    pub name: &'static str,
    /// An empty one whose root directory belongs to 1000:1000 with mode 755.
    pub make: fn() -> Box<dyn Place>,
}

/// All of them.
pub const BACKENDS: &[Backend] = &[
    Backend { name: "memory", make: || Box::new(Rooted::new(Memory(empty()))) },
    Backend { name: "overlay", make: || Box::new(Rooted::new(Layered { upper: empty(), lower: None })) },
    Backend { name: "overlay_of_host", make: || Box::new(Rooted::new(OverHost::new())) },
    Backend { name: "durable", make: || Box::new(Rooted::new(Kept::new())) },
    Backend { name: "host_dir", make: || Box::new(Rooted::new(Host::new())) },
];

/// What makes a root file system, and makes it again of what was put away.
trait Root {
    /// The file system as it is now.
    fn open(&mut self) -> Arc<dyn FileSystem>;
    /// The next [`Root::open`] is one of what is there now.
    fn put_away(&mut self) {}
    /// What is wrong inside.
    fn wrong(&self) -> Option<String> {
        None
    }
}

/// A kernel over a root.
struct Rooted<R: Root> {
    root: R,
    ours: Ours,
}

impl<R: Root> Rooted<R> {
    fn new(mut root: R) -> Self {
        let ours = Ours::new(root.open());
        Rooted { root, ours }
    }
}

impl<R: Root> Place for Rooted<R> {
    fn system(&mut self) -> &mut dyn System {
        &mut self.ours
    }

    fn again(&mut self) {
        self.root.put_away();
        self.ours = Ours::new(self.root.open());
    }

    fn wrong(&self) -> Option<String> {
        self.root.wrong()
    }
}

fn empty() -> Tree {
    let tree = Tree::new();
    tree.put_dir("/", 0o755, 1000, 1000).unwrap();
    tree
}

struct Memory(Tree);

impl Root for Memory {
    fn open(&mut self) -> Arc<dyn FileSystem> {
        Arc::new(self.0.clone())
    }

    fn put_away(&mut self) {
        self.0 = Tree::from_layer(&self.0.freeze());
    }

    fn wrong(&self) -> Option<String> {
        self.0.fsck().err()
    }
}

/// A tree that is kept in a store, closed and opened anew.
struct Kept {
    scratch: TempDir,
    base: Layer,
    tree: Tree,
    durable: Option<Durable>,
}

impl Kept {
    fn new() -> Self {
        let base = empty().freeze();
        Kept { scratch: TempDir::new().unwrap(), tree: Tree::from_layer(&base), base, durable: None }
    }
}

impl Root for Kept {
    fn open(&mut self) -> Arc<dyn FileSystem> {
        let place = agentos_store::Place::Directory(self.scratch.path().join("state"));
        let root = agentos_store::Root::open(&place, &self.base).unwrap();
        self.tree = Tree::from_layer(root.layer());
        self.durable = Some(Durable::start(root, self.tree.clone(), Default::default()).unwrap());
        Arc::new(self.tree.clone())
    }

    fn put_away(&mut self) {
        self.durable.take().unwrap().close_blocking().unwrap();
    }

    fn wrong(&self) -> Option<String> {
        self.tree.fsck().err()
    }
}

/// An overlay whose lower is all that was there before.
struct Layered {
    upper: Tree,
    lower: Option<Arc<dyn FileSystem>>,
}

impl Root for Layered {
    fn open(&mut self) -> Arc<dyn FileSystem> {
        Arc::new(Overlay::new(self.upper.clone(), self.lower.iter().cloned().collect()).unwrap())
    }

    fn put_away(&mut self) {
        self.lower = Some(self.open());
        self.upper = empty();
    }

    fn wrong(&self) -> Option<String> {
        self.upper.fsck().err()
    }
}

/// First the host's directory itself; then an overlay over it.
struct OverHost {
    host: Host,
    upper: Option<Tree>,
}

impl OverHost {
    fn new() -> Self {
        OverHost { host: Host::new(), upper: None }
    }
}

impl Root for OverHost {
    fn open(&mut self) -> Arc<dyn FileSystem> {
        let host = self.host.open();
        match &self.upper {
            None => host,
            Some(upper) => Arc::new(Overlay::new(upper.clone(), vec![host]).unwrap()),
        }
    }

    fn put_away(&mut self) {
        self.upper.get_or_insert_with(empty);
    }

    fn wrong(&self) -> Option<String> {
        self.upper.as_ref().and_then(|upper| upper.fsck().err())
    }
}

/// A directory of the host.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Host(dir)
    }
}

impl Root for Host {
    fn open(&mut self) -> Arc<dyn FileSystem> {
        Arc::new(HostDir::open(self.0.path(), HostDirOptions::default()).unwrap())
    }
}
