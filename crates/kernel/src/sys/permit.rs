//! The permission tree at the system calls: from what a walk resolved to the path that rules speak of, and the question. What
//! the rules say is decided in `permissions`; the host itself is asked nothing.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use agentos_vfs::{Found, Location, Missing, NameBuf, Reply};

use super::walk::{At, Who};
use crate::permissions::{
    Decision, Denial, Domain, Gate, Guarded, Operation, Operations, Policy, ScopeSource,
};
use crate::process::Image;
use crate::{Description, Errno, Executable, Kernel, LimitHit, Pid, Process, Result};

/// What a system call acts on.
#[derive(Clone, Copy)]
pub(super) enum Object<'a> {
    /// What is there.
    Found(&'a Found),
    /// What is not there yet.
    Missing(&'a Missing),
    /// A name in a directory, whatever it is; and whether the walk to it was straight.
    Name(&'a Location, &'a NameBuf, bool),
    /// What is open.
    Open(&'a Description),
}

impl Kernel {
    /// The gate for this author of a system call on files, if it is to be asked.
    fn gate_of(&self, who: &Who) -> Option<&Gate> {
        let gate = self.gate.as_ref().filter(|_| who.pid != 0)?;
        (gate.minds(Domain::Fs) || gate.minds(Domain::Process)).then_some(gate)
    }

    /// Whether [`Kernel::permit`] has to be asked at all: without a tree this is all there is to do.
    pub(super) fn is_guarded(&self, who: &Who) -> bool {
        self.gate_of(who).is_some()
    }

    /// EACCES if the tree forbids operations on a resolved object, told before. Callers ask [`Kernel::is_guarded`] first. The
    /// answer is there at once where the path is: on a straight walk from the root.
    pub(super) fn permit<'a>(
        &'a self,
        who: &'a Who,
        at: At<'a>,
        object: Object<'a>,
        operations: Operations,
    ) -> Reply<'a, ()> {
        if object.is_straight()
            && let Some(path) = self.rooted_path(who, at)
        {
            return Reply::Now(self.ask(who, &path, operations));
        }
        Reply::later(async move { self.permitted_path(who, at, object, operations).await.map(|_| ()) })
    }

    /// Whether a new name for something has to be asked for: it can also give what a domain other than those of files denies.
    pub(super) fn guards_names(&self, who: &Who) -> bool {
        self.gate.is_some() && who.pid != 0
    }

    /// [`Kernel::permit`], and the path; `None` of what has none.
    pub(super) async fn permitted_path(
        &self,
        who: &Who,
        at: At<'_>,
        object: Object<'_>,
        operations: Operations,
    ) -> Result<Option<Vec<u8>>> {
        match self.canonical(who, at, object).await {
            Ok(Some(path)) => {
                self.ask(who, &path, operations)?;
                Ok(Some(path))
            }
            Ok(None) => Ok(None),
            // It was removed, and no rule speaks of it any more.
            Err(Errno::ENOENT) => self.ask_removed(who, object, operations).map(|()| None),
            Err(error) => Err(error),
        }
    }

    /// What may be done with what has no path any more: in a directory there is nothing left to find; a file is the affair of
    /// who has it open, to read or to write.
    fn ask_removed(&self, who: &Who, object: Object<'_>, operations: Operations) -> Result<()> {
        if matches!(object, Object::Missing(_) | Object::Name(..)) {
            return Err(Errno::ENOENT);
        }
        let looks = |operation| matches!(operation, Operation::Stat | Operation::Exists | Operation::Readdir);
        let granted = |operation| match object {
            Object::Open(file) => match operation {
                Operation::Read => file.access().read,
                _ => looks(operation) || file.access().write,
            },
            Object::Found(found) => found.attr.nlink == 0 && looks(operation),
            Object::Missing(_) | Object::Name(..) => false,
        };
        let enforced = self
            .gate_of(who)
            .is_some_and(|gate| gate.minds(Domain::Fs) && gate.guarded().policy == Policy::Enforce);
        if !enforced || operations.iter().all(granted) { Ok(()) } else { Err(Errno::EACCES) }
    }

    fn ask(&self, who: &Who, path: &[u8], operations: Operations) -> Result<()> {
        let Some(gate) = self.gate_of(who) else { return Ok(()) };
        if gate.minds(Domain::Fs) {
            for operation in operations.iter() {
                refused(gate.pass(operation, path))?;
            }
        }
        match process_of(path) {
            Some(pid) => self.may_inspect(who, pid),
            None => Ok(()),
        }
    }

    /// EACCES if one name may not stand for another one; see `Permissions::passage`.
    pub(super) fn may_pass(&self, from: &[u8], to: &[u8], directory: bool) -> Result<()> {
        match &self.gate {
            Some(gate) => refused(gate.passage(from, to, directory)),
            None => Ok(()),
        }
    }

    /// EACCES if the tree forbids a look at another process.
    pub(crate) fn may_inspect(&self, who: &Who, pid: u32) -> Result<()> {
        if who.pid == 0 { Ok(()) } else { self.may_touch(who.pid, pid, Operation::Inspect) }
    }

    /// EACCES if the tree forbids a process an operation on another one. On itself it may do everything.
    pub(crate) fn may_touch(&self, by: u32, pid: u32, operation: Operation) -> Result<()> {
        let Some(gate) = self.gate.as_ref().filter(|gate| gate.minds(Domain::Process) && by != pid) else {
            return Ok(());
        };
        let Some(process) = self.process(Pid(pid)) else { return Ok(()) };
        let program = Arc::clone(&process.image.read().exe);
        refused(gate.pass(operation, &program))
    }

    /// Asks whether a program may be started. The program's resolved path becomes its name in the process table.
    ///
    /// # Errors
    /// The denial.
    pub fn may_start(&self, operation: Operation, program: &Executable) -> std::result::Result<(), Denial> {
        match (&self.gate, &program.path) {
            (Some(gate), Some(path)) if gate.minds(Domain::ChildProcess) => gate.pass(operation, path),
            _ => Ok(()),
        }
    }

    /// Asks whether a guest may send a request to `tcp://host:port`.
    ///
    /// # Errors
    /// The denial.
    pub fn may_fetch(&self, resource: &[u8]) -> std::result::Result<(), Denial> {
        match &self.gate {
            Some(gate) if gate.minds(Domain::Network) => gate.pass(Operation::Fetch, resource),
            _ => Ok(()),
        }
    }

    /// The resolved path of a program, where somebody needs it.
    pub(super) async fn program_path(
        &self,
        who: &Who,
        path: &[u8],
        found: &Found,
    ) -> Result<Option<Vec<u8>>> {
        match &self.gate {
            Some(gate) if gate.minds(Domain::ChildProcess) || gate.minds(Domain::Process) => {
                Box::pin(self.canonical(who, At::Cwd(path), Object::Found(found))).await
            }
            _ => Ok(None),
        }
    }

    /// The canonical path of an object; `None` for what is open and has none, such as a pipe.
    async fn canonical(&self, who: &Who, at: At<'_>, object: Object<'_>) -> Result<Option<Vec<u8>>> {
        if object.is_straight() {
            if let Some(path) = self.rooted_path(who, at) {
                return Ok(Some(path.into_owned()));
            }
            let start = self.namespace.path_of(start_of(who, at)).await?;
            return Ok(Some(joined(start, at.path())));
        }
        let (parent, location) = match object {
            Object::Found(found) => (found.parent.as_ref(), Some(&found.location)),
            Object::Missing(missing) => {
                return self.namespace.path_of_entry(&missing.parent, &missing.name).await.map(Some);
            }
            Object::Name(parent, name, _) => {
                return self.namespace.path_of_entry(parent, name).await.map(Some);
            }
            Object::Open(file) => (file.entry(), file.location()),
        };
        match (parent, location) {
            (Some((directory, name)), _) => self.namespace.path_of_entry(directory, name).await.map(Some),
            (None, Some(location)) => self.namespace.path_of(location).await.map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The path of a straight walk that began at the root.
    fn rooted_path<'a>(&self, who: &Who, at: At<'a>) -> Option<Cow<'a, [u8]>> {
        let path = at.path();
        if path.starts_with(b"/") {
            let is_plain = path.len() == 1
                || !path.split(|b| *b == b'/').skip(1).any(|name| name.is_empty() || name == b".");
            return Some(if is_plain { Cow::Borrowed(path) } else { Cow::Owned(joined(Vec::new(), path)) });
        }
        let (start, root) = (start_of(who, at), self.namespace.root());
        (start.ino == root.ino && start.mount.id == root.mount.id)
            .then(|| Cow::Owned(joined(Vec::new(), path)))
    }

    /// A program as the tree lets it start: variables that may not be read are left out, and those that a guest (`by`) may
    /// not write are as they were for it.
    pub(crate) fn with_permitted_env(&self, mut image: Image, by: Option<&Process>) -> Image {
        let Some(gate) = self.gate.as_ref().filter(|gate| gate.minds(Domain::Env)) else { return image };
        let own = by.map(|process| Arc::clone(&process.image.read().env));
        let own = own.as_ref().filter(|own| !Arc::ptr_eq(own, &image.env));
        let before: HashMap<&[u8], &Vec<u8>> =
            own.into_iter().flat_map(|own| own.iter()).map(|v| (name(v), v)).collect();
        let unchanged: HashSet<&Vec<u8>> = own.into_iter().flat_map(|own| own.iter()).collect();
        let permitted = image.env.iter().filter_map(|variable| {
            let name = name(variable);
            let written = own.is_some() && !unchanged.contains(variable);
            let variable = match written && gate.pass(Operation::WriteEnv, name).is_err() {
                true => *before.get(name)?,
                false => variable,
            };
            gate.pass(Operation::ReadEnv, name).is_ok().then(|| variable.clone())
        });
        image.env = Arc::new(permitted.collect());
        image
    }

    /// What guests may do here, if there is a tree.
    #[must_use]
    pub fn permissions(&self) -> Option<&Guarded> {
        self.gate.as_ref().map(Gate::guarded)
    }

    /// What the tree says of an operation, without doing it, and the resource that it says it of: a path is resolved as the
    /// operation would resolve it.
    pub async fn explain(&self, operation: Operation, resource: &[u8]) -> (Decision, Vec<u8>) {
        let mut resolved = resource.to_vec();
        if matches!(operation.domain(), Domain::Fs | Domain::ChildProcess | Domain::Process) {
            use Operation::{Link, Mkdir, Readlink, Rename, Rm, Symlink};
            let follow = !matches!(operation, Link | Mkdir | Readlink | Rename | Rm | Symlink);
            if let Ok(walked) = self.walk(&self.host(), At::Cwd(resource), follow).await
                && let Ok(Some(path)) = walked.path(&self.namespace).await
            {
                resolved = path;
            }
        }
        let free = crate::permissions::Permissions::default();
        let tree = self.permissions().map_or(&free, |guarded| &guarded.tree);
        (tree.decide(operation, &resolved), resolved)
    }

    /// The smallest tree that allows what guests did so far; `None` unless that is noted.
    pub fn learned_permissions(
        &self,
        generalise: bool,
    ) -> Option<std::result::Result<Vec<(Domain, ScopeSource)>, LimitHit>> {
        self.gate.as_ref()?.learned(generalise)
    }
}

impl Object<'_> {
    /// See [`Found::straight`].
    fn is_straight(&self) -> bool {
        match self {
            Object::Found(found) => found.straight,
            Object::Missing(missing) => missing.straight,
            Object::Name(_, _, straight) => *straight,
            Object::Open(_) => false,
        }
    }
}

/// Where a relative path begins.
fn start_of<'a>(who: &'a Who, at: At<'a>) -> &'a Location {
    match at {
        At::Cwd(_) => &who.cwd,
        At::Directory(start, _) | At::Beneath(start, _) => start,
    }
}

/// A canonical path and names behind it.
fn joined(mut whole: Vec<u8>, path: &[u8]) -> Vec<u8> {
    whole.reserve(path.len() + 1);
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".") {
        if whole.last() != Some(&b'/') {
            whole.push(b'/');
        }
        whole.extend_from_slice(name);
    }
    if whole.is_empty() {
        whole.push(b'/');
    }
    whole
}

fn refused(answer: std::result::Result<(), Denial>) -> Result<()> {
    answer.map_err(|_| Errno::EACCES)
}

fn name(variable: &[u8]) -> &[u8] {
    variable.split(|byte| *byte == b'=').next().unwrap_or_default()
}

/// The process that a path in `/proc` is about.
fn process_of(path: &[u8]) -> Option<u32> {
    let rest = path.strip_prefix(b"/proc/")?;
    std::str::from_utf8(rest.split(|byte| *byte == b'/').next()?).ok()?.parse().ok()
}
