//! The system calls of our kernel, for one process whose user changes.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use agentos_abi::fd::{
    F_GETLK, F_OFD_SETLK, F_RDLCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN,
    O_APPEND, SEEK_CUR, SEEK_END, SEEK_SET,
};
use agentos_abi::layout::RecordLock;
use agentos_kernel::process::Image;
use agentos_kernel::sys::{At, Whence, Who};
use agentos_kernel::{
    ChildSpec, Cred, Description, Errno, Fd, HostSpawn, HostStream, Kernel, KernelConfig, Limits, Process,
    WaitStatus,
};
use agentos_vfs::{Attr, FileSystem, GuestPath, MountOptions, NewKind, RenameFlags, SetAttr, SetTime, Tree};
use tokio::runtime::Runtime;

use crate::system::{Actor, Asked, Flags, From, Lock, Locked, Record, Result, System, Target};

/// No call of a case waits; one that does is a failure, not a hang.
const LONGEST: Duration = Duration::from_secs(30);

/// A call that has not returned yet.
type Waiting = Pin<Box<dyn Future<Output = Result<RecordLock>>>>;

pub struct Ours {
    runtime: Runtime,
    kernel: Arc<Kernel>,
    /// The process that makes the calls, its name and what it has open.
    process: Arc<Process>,
    name: String,
    handles: HashMap<String, Fd>,
    others: HashMap<String, (Arc<Process>, HashMap<String, Fd>)>,
    waiting: HashMap<String, Waiting>,
}

/// A stream that is always at its end.
struct Nothing;

impl HostStream for Nothing {
    fn poll_read(&self, _: &mut std::task::Context<'_>, _: &mut [u8]) -> std::task::Poll<Result<usize>> {
        std::task::Poll::Ready(Ok(0))
    }

    fn poll_write(&self, _: &mut std::task::Context<'_>, data: &[u8]) -> std::task::Poll<Result<usize>> {
        std::task::Poll::Ready(Ok(data.len()))
    }

    fn poll_ready(
        &self,
        _: &mut std::task::Context<'_>,
        _: agentos_kernel::Interest,
    ) -> std::task::Poll<usize> {
        std::task::Poll::Ready(0)
    }

    fn leave(&self, _: &std::task::Waker) {}

    fn closed(&self) {}
}

impl Ours {
    pub fn new(root: Arc<dyn FileSystem>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = KernelConfig {
            root,
            limits: Limits::default(),
            hostname: "posix".into(),
            cred: Cred { uid: 1000, gid: 1000, groups: Vec::new() },
            env: Vec::new(),
            permissions: None,
            tools: None,
            observer: None,
        };
        let kernel = runtime.block_on(Kernel::new(config)).unwrap();
        let nothing = || Description::host_reader(Arc::new(Nothing));
        let spawn = HostSpawn {
            image: Image { exe: Arc::from(&b"/case"[..]), argv: Arc::default(), env: Arc::default() },
            cwd: kernel.namespace.root(),
            stdio: [nothing(), nothing(), nothing()],
            cpu_limit_ns: 0,
            agent: false,
            controlling: false,
        };
        let process = kernel.host_spawn(spawn).unwrap();
        Ours {
            runtime,
            kernel,
            process,
            name: "first".to_owned(),
            handles: HashMap::new(),
            others: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    fn wait<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.block_on(async { tokio::time::timeout(LONGEST, call).await }).expect("a call hangs")
    }

    fn who(&self) -> Who {
        self.kernel.who(&self.process)
    }

    fn fd(&self, handle: &str) -> Fd {
        *self.handles.get(handle).unwrap_or_else(|| panic!("{handle} is not open"))
    }

    fn file(&self, handle: &str) -> Arc<Description> {
        self.kernel.description(&self.process, self.fd(handle)).unwrap()
    }

    fn insert(&mut self, handle: &str, description: Arc<Description>) -> Result<()> {
        let fd = self.process.fds.lock().insert(description, 0, false)?;
        self.handles.insert(handle.to_owned(), fd);
        Ok(())
    }

    fn setattr(&self, target: Target<'_>, change: &SetAttr) -> Result<()> {
        let who = self.who();
        match target {
            Target::Path(path) => self.wait(self.kernel.setattr(&who, At::Cwd(path), true, change)),
            Target::Link(path) => self.wait(self.kernel.setattr(&who, At::Cwd(path), false, change)),
            Target::Open(handle) => self.wait(self.kernel.fsetattr(&who, &self.file(handle), change)),
        }
    }
}

impl System for Ours {
    fn become_actor(&mut self, actor: &Actor) {
        let Actor { uid, gid, groups } = actor.clone();
        *self.process.cred.write() = Arc::new(Cred { uid, gid, groups });
    }

    fn umask(&mut self, mask: u32) {
        self.process.set_umask(mask);
    }

    fn chdir(&mut self, path: &[u8]) -> Result<()> {
        let location = self.wait(self.kernel.resolve_directory(&self.who(), At::Cwd(path)))?;
        self.process.set_cwd(location);
        Ok(())
    }

    fn go_home(&mut self) {
        self.process.set_cwd(self.kernel.namespace.root());
    }

    fn open(&mut self, handle: &str, path: &[u8], flags: Flags, mode: u32) -> Result<()> {
        let who = self.who();
        let opened = self.wait(self.kernel.open(&who, Some(&self.process), At::Cwd(path), flags, mode))?;
        self.insert(handle, opened)
    }

    fn dup(&mut self, from: &str, to: &str) -> Result<()> {
        let fd = self.kernel.dup(&self.process, self.fd(from), 0, false)?;
        self.handles.insert(to.to_owned(), fd);
        Ok(())
    }

    fn close(&mut self, handle: &str) -> Result<()> {
        let fd = self.handles.remove(handle).ok_or(Errno::EBADF)?;
        self.kernel.close(&self.process, fd)
    }

    fn read(&mut self, handle: &str, len: usize) -> Result<Vec<u8>> {
        let mut buf = vec![0; len];
        let n = self.wait(self.kernel.read(&self.process, &self.file(handle), &mut buf))?;
        buf.truncate(n);
        Ok(buf)
    }

    fn write(&mut self, handle: &str, data: &[u8]) -> Result<usize> {
        self.wait(self.kernel.write(&self.process, &self.file(handle), data))
    }

    fn pread(&mut self, handle: &str, len: usize, offset: u64) -> Result<Vec<u8>> {
        let mut buf = vec![0; len];
        let n = self.wait(self.kernel.pread(&self.file(handle), &mut buf, offset))?;
        buf.truncate(n);
        Ok(buf)
    }

    fn pwrite(&mut self, handle: &str, data: &[u8], offset: u64) -> Result<usize> {
        self.wait(self.kernel.pwrite(Some(&self.process), &self.file(handle), data, offset))
    }

    fn seek(&mut self, handle: &str, delta: i64, from: From) -> Result<u64> {
        let whence = match from {
            From::Set => Whence::Set,
            From::Current => Whence::Current,
            From::End => Whence::End,
        };
        self.wait(self.kernel.seek(&self.file(handle), delta, whence))
    }

    fn set_append(&mut self, handle: &str, on: bool) -> Result<()> {
        self.file(handle).set_flags(if on { O_APPEND } else { 0 });
        Ok(())
    }

    fn fsync(&mut self, handle: &str) -> Result<()> {
        self.wait(self.kernel.fsync(&self.file(handle), false))
    }

    fn flock(&mut self, handle: &str, lock: Lock) -> Result<()> {
        let op = match lock {
            Lock::Shared => LOCK_SH | LOCK_NB,
            Lock::Exclusive => LOCK_EX | LOCK_NB,
            Lock::Unlock => LOCK_UN,
        };
        self.wait(self.kernel.flock(&self.process, self.fd(handle), op))
    }

    fn record(&mut self, handle: &str, asked: Asked, lock: Record) -> Result<Locked> {
        let command = match asked {
            Asked::Get => F_GETLK,
            Asked::Set => F_SETLK,
            Asked::OfDescription => F_OFD_SETLK,
            Asked::Wait => F_SETLKW,
        };
        let kind = match lock.kind {
            Some(false) => F_RDLCK,
            Some(true) => F_WRLCK,
            None => F_UNLCK,
        };
        let whence = match lock.from {
            From::Set => SEEK_SET,
            From::Current => SEEK_CUR,
            From::End => SEEK_END,
        };
        let lock = RecordLock { kind, whence, start: lock.start, len: lock.len, pid: 0 };
        let (kernel, process, fd) = (Arc::clone(&self.kernel), Arc::clone(&self.process), self.fd(handle));
        let mut call: Waiting =
            Box::pin(async move { kernel.record_lock(&process, fd, command, lock).await });
        let polled = self.runtime.block_on(std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))));
        let told = match polled {
            Poll::Ready(done) => done?,
            Poll::Pending if asked == Asked::Wait => {
                self.waiting.insert(self.name.clone(), call);
                return Ok(Locked::Waits);
            }
            Poll::Pending => self.wait(call)?,
        };
        if asked != Asked::Get || told.kind == F_UNLCK {
            return Ok(Locked::Done);
        }
        let held = |pid: u32| match self.others.iter().find(|(_, (process, _))| process.pid.0 == pid) {
            Some((name, _)) => name.clone(),
            None => "nobody".to_owned(),
        };
        let holder = u32::try_from(told.pid).map_or("ofd".to_owned(), held);
        Ok(Locked::By { exclusive: told.kind == F_WRLCK, start: told.start, len: told.len, holder })
    }

    fn fork(&mut self, name: &str) {
        let spec = ChildSpec {
            fds: self.process.fds.lock().clone(),
            image: None,
            cwd: None,
            pgid: agentos_abi::process::PGID_INHERIT,
            setsid: false,
            reset_signals: false,
            foreground: false,
        };
        let child = self.kernel.spawn_child(&self.process, spec).unwrap();
        self.others.insert(name.to_owned(), (child, self.handles.clone()));
    }

    fn within(&mut self, name: &str, command: &[Vec<u8>]) -> Result<String> {
        let (process, handles) = self.others.remove(name).unwrap_or_else(|| panic!("no process {name}"));
        let process = std::mem::replace(&mut self.process, process);
        let handles = std::mem::replace(&mut self.handles, handles);
        let before = std::mem::replace(&mut self.name, name.to_owned());
        self.others.insert(before.clone(), (process, handles));
        let answer = crate::run::command(self, command);
        let (process, handles) = self.others.remove(&before).unwrap();
        let process = std::mem::replace(&mut self.process, process);
        let handles = std::mem::replace(&mut self.handles, handles);
        self.others.insert(std::mem::replace(&mut self.name, before), (process, handles));
        answer
    }

    fn answer(&mut self, name: &str) -> Result<String> {
        let call = self.waiting.remove(name).unwrap_or_else(|| panic!("{name} does not wait"));
        self.wait(call).map(|_| String::new())
    }

    fn end(&mut self, name: &str) {
        self.waiting.remove(name);
        let (process, _) = self.others.remove(name).unwrap();
        self.kernel.exit(&process, WaitStatus::Exited(0));
    }

    fn exec(&mut self) {
        self.kernel.exec(&self.process, Image::default()).unwrap();
    }

    fn close_on_exec(&mut self, handle: &str) {
        self.process.fds.lock().set_cloexec(self.fd(handle), true).unwrap();
    }

    fn allocate(&mut self, handle: &str, offset: u64, len: u64) -> Result<()> {
        self.wait(self.kernel.allocate(&self.process, &self.file(handle), offset, len))
    }

    fn entry(&mut self, handle: &str, cookie: u64) -> Result<Option<(Vec<u8>, u64)>> {
        let file = self.file(handle);
        let mut found = None;
        self.wait(self.kernel.read_directory(Some(&self.process), &file, cookie))?.each(
            |next, _, _, name| {
                let room = found.is_none();
                if room {
                    found = Some((name.to_vec(), next));
                }
                room
            },
        );
        Ok(found)
    }

    fn list(&mut self, handle: &str) -> Result<Vec<Vec<u8>>> {
        let file = self.file(handle);
        let mut names = Vec::new();
        self.wait(self.kernel.read_directory(Some(&self.process), &file, 2))?.each(|_, _, _, name| {
            names.push(name.to_vec());
            true
        });
        Ok(names)
    }

    fn make(&mut self, path: &[u8], kind: NewKind, mode: u32) -> Result<()> {
        let who = self.who();
        match kind {
            NewKind::Symlink(target) => self.wait(self.kernel.symlink(&who, target, At::Cwd(path))),
            kind => self.wait(self.kernel.make(&who, At::Cwd(path), kind, mode)),
        }
    }

    fn readlink(&mut self, path: &[u8]) -> Result<Vec<u8>> {
        self.wait(self.kernel.readlink(&self.who(), At::Cwd(path)))
    }

    fn link(&mut self, from: &[u8], follow: bool, to: &[u8]) -> Result<()> {
        self.wait(self.kernel.link(&self.who(), At::Cwd(from), follow, At::Cwd(to)))
    }

    fn unlink(&mut self, path: &[u8]) -> Result<()> {
        self.wait(self.kernel.unlink(&self.who(), At::Cwd(path)))
    }

    fn rmdir(&mut self, path: &[u8]) -> Result<()> {
        self.wait(self.kernel.rmdir(&self.who(), At::Cwd(path)))
    }

    fn rename(&mut self, from: &[u8], to: &[u8], flags: RenameFlags) -> Result<()> {
        self.wait(self.kernel.rename(&self.who(), At::Cwd(from), At::Cwd(to), flags))
    }

    fn stat(&mut self, target: Target<'_>) -> Result<(u64, Attr)> {
        let who = self.who();
        match target {
            Target::Path(path) => self.wait(self.kernel.stat(&who, At::Cwd(path), true)),
            Target::Link(path) => self.wait(self.kernel.stat(&who, At::Cwd(path), false)),
            Target::Open(handle) => self.wait(self.kernel.fstat(&self.file(handle))),
        }
    }

    fn chmod(&mut self, target: Target<'_>, mode: u32) -> Result<()> {
        self.setattr(target, &SetAttr { perm: Some(mode), ..SetAttr::default() })
    }

    fn chown(&mut self, target: Target<'_>, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        self.setattr(target, &SetAttr { uid, gid, ..SetAttr::default() })
    }

    fn utimens(&mut self, target: Target<'_>, atime: Option<SetTime>, mtime: Option<SetTime>) -> Result<()> {
        self.setattr(target, &SetAttr { atime, mtime, ..SetAttr::default() })
    }

    fn truncate(&mut self, target: Target<'_>, size: u64) -> Result<()> {
        match target {
            Target::Open(handle) => self.wait(self.kernel.ftruncate(&self.process, &self.file(handle), size)),
            target => self.setattr(target, &SetAttr { size: Some(size), ..SetAttr::default() }),
        }
    }

    fn access(&mut self, path: &[u8], mode: u32) -> Result<()> {
        self.wait(self.kernel.access(&self.who(), At::Cwd(path), mode))
    }

    fn statfs(&mut self, path: &[u8]) -> Result<u64> {
        self.wait(self.kernel.statfs(&self.who(), At::Cwd(path))).map(|(stat, _)| stat.block_size)
    }

    fn mount(&mut self, path: &[u8], read_only: bool) {
        let tree = Tree::new();
        tree.put_dir("/", 0o777, 0, 0).unwrap();
        let path = GuestPath::new([b"/", path].concat()).unwrap();
        let options = MountOptions { read_only, ..MountOptions::default() };
        self.runtime.block_on(self.kernel.namespace.mount(&path, Arc::new(tree), options)).unwrap();
    }
}
