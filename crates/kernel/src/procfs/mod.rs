//! `/proc`: processes and the machine as files. Everything is made when it is read; nothing can be written.

mod content;
mod locks;
mod machine;
mod node;

use std::sync::{Arc, Weak};

use agentos_vfs::{
    Access, Attr, DirEntry, FileSystem, FileType, FsStat, GuestPath, Ino, Link, MountOptions, Name, NewNode,
    OpenFile, RenameFlags, Reply, SetAttr, Timespec,
};

use crate::{Errno, Fd, Kernel, Pid, Result};
use node::{DESCRIPTORS, Machine, Node, OfProcess, Sys};

/// The file system type `proc` of one VM.
pub(crate) struct ProcFs(Weak<Kernel>);

impl ProcFs {
    pub(crate) fn new(kernel: Weak<Kernel>) -> Self {
        Self(kernel)
    }

    fn kernel(&self) -> Result<Arc<Kernel>> {
        self.0.upgrade().ok_or(Errno::EIO)
    }

    fn attr(&self, node: Node) -> Result<Attr> {
        let kernel = self.kernel()?;
        let (uid, gid, since) = match node.pid() {
            Some(pid) => {
                let process = kernel.process(pid).ok_or(Errno::ENOENT)?;
                if let Node::Descriptor(_, fd) | Node::DescriptorInfo(_, fd) = node {
                    process.fds.lock().get(Fd(fd)).map_err(|_| Errno::ENOENT)?;
                }
                let cred = process.cred();
                (cred.uid, cred.gid, process.started())
            }
            None => (0, 0, kernel.clock.boot_time()),
        };
        let time = Timespec { secs: since.as_secs().cast_signed(), nanos: since.subsec_nanos() };
        let kind = node.file_type();
        Ok(Attr {
            ino: node.ino(),
            kind,
            perm: node.perm(),
            nlink: if kind == FileType::Directory { 2 } else { 1 },
            uid,
            gid,
            rdev: 0,
            size: 0,
            blocks: 0,
            atime: time,
            mtime: time,
            ctime: time,
            btime: time,
        })
    }

    fn child(&self, dir: Node, name: &[u8]) -> Result<Node> {
        match dir {
            Node::Root => {
                if let Some(machine) = Machine::ALL.iter().find(|m| m.name().as_bytes() == name) {
                    return Ok(Node::Machine(*machine));
                }
                if name == b"self" {
                    return Ok(Node::Itself);
                }
                if name == Sys::Root.place().0.as_bytes() {
                    return Ok(Node::Sys(Sys::Root));
                }
                let pid = number(name).ok_or(Errno::ENOENT)?;
                self.kernel()?.process(Pid(pid)).map(|p| Node::Process(p.pid)).ok_or(Errno::ENOENT)
            }
            Node::Process(pid) => {
                let file =
                    OfProcess::ALL.iter().find(|f| f.name().as_bytes() == name).ok_or(Errno::ENOENT)?;
                Ok(Node::OfProcess(pid, *file))
            }
            Node::OfProcess(pid, directory @ (OfProcess::Fd | OfProcess::FdInfo)) => {
                let fd = number(name).filter(|fd| *fd < DESCRIPTORS).ok_or(Errno::ENOENT)?;
                Ok(match directory {
                    OfProcess::Fd => Node::Descriptor(pid, fd),
                    _ => Node::DescriptorInfo(pid, fd),
                })
            }
            Node::OfProcess(pid, OfProcess::Task) if number(name) == Some(pid.0) => Ok(Node::Thread(pid)),
            Node::OfProcess(_, OfProcess::Task) => Err(Errno::ENOENT),
            Node::Thread(pid) => {
                let mut files = OfProcess::OF_THREAD.iter();
                let file = files.find(|f| f.name().as_bytes() == name).ok_or(Errno::ENOENT)?;
                Ok(Node::OfProcess(pid, *file))
            }
            Node::Sys(directory) if directory.is_directory() => {
                let here = |s: &&Sys| s.place().1 == Some(directory) && s.place().0.as_bytes() == name;
                Sys::ALL.iter().find(here).map(|s| Node::Sys(*s)).ok_or(Errno::ENOENT)
            }
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn entries(&self, dir: Node) -> Result<Vec<DirEntry>> {
        let entry = |node: Node, name: String| DirEntry {
            ino: node.ino(),
            kind: node.file_type(),
            name: name.into_bytes().into_boxed_slice(),
        };
        let kernel = self.kernel()?;
        match dir {
            Node::Root => {
                let mut all: Vec<_> = std::iter::once(Pid::INIT)
                    .chain(kernel.processes())
                    .map(|pid| entry(Node::Process(pid), pid.to_string()))
                    .collect();
                all.push(entry(Node::Itself, "self".into()));
                all.push(entry(Node::Sys(Sys::Root), Sys::Root.place().0.into()));
                all.extend(Machine::ALL.iter().map(|m| entry(Node::Machine(*m), m.name().into())));
                Ok(all)
            }
            Node::Process(pid) => {
                kernel.process(pid).ok_or(Errno::ENOENT)?;
                Ok(OfProcess::ALL.iter().map(|f| entry(Node::OfProcess(pid, *f), f.name().into())).collect())
            }
            Node::OfProcess(pid, OfProcess::Fd) => {
                let process = kernel.process(pid).ok_or(Errno::ENOENT)?;
                let fds = process.fds.lock();
                Ok(fds.numbers().map(|fd| entry(Node::Descriptor(pid, fd.0), fd.0.to_string())).collect())
            }
            Node::OfProcess(pid, OfProcess::FdInfo) => {
                let process = kernel.process(pid).ok_or(Errno::ENOENT)?;
                let fds = process.fds.lock();
                Ok(fds.numbers().map(|fd| entry(Node::DescriptorInfo(pid, fd.0), fd.0.to_string())).collect())
            }
            Node::OfProcess(pid, OfProcess::Task) => {
                kernel.process(pid).ok_or(Errno::ENOENT)?;
                Ok(vec![entry(Node::Thread(pid), pid.to_string())])
            }
            Node::Thread(pid) => {
                kernel.process(pid).ok_or(Errno::ENOENT)?;
                let file = |f: &OfProcess| entry(Node::OfProcess(pid, *f), f.name().into());
                Ok(OfProcess::OF_THREAD.iter().map(file).collect())
            }
            Node::Sys(directory) if directory.is_directory() => {
                let here = Sys::ALL.iter().filter(|s| s.place().1 == Some(directory));
                Ok(here.map(|s| entry(Node::Sys(*s), s.place().0.into())).collect())
            }
            _ => Err(Errno::ENOTDIR),
        }
    }
}

fn number(name: &[u8]) -> Option<u32> {
    // "007" is no name of process 7.
    let text = std::str::from_utf8(name).ok().filter(|t| !t.starts_with('0') || *t == "0")?;
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

const READ_ONLY: Errno = Errno::EACCES;

impl FileSystem for ProcFs {
    fn type_name(&self) -> &str {
        "proc"
    }

    fn root(&self) -> Ino {
        Node::Root.ino()
    }

    fn lookup(&self, dir: Ino, name: &Name) -> Reply<'_, Attr> {
        Node::of(dir).and_then(|dir| self.child(dir, name)).and_then(|node| self.attr(node)).into()
    }

    fn parent(&self, dir: Ino) -> Reply<'_, Ino> {
        Node::of(dir).map(|node| node.parent().ino()).into()
    }

    fn getattr(&self, ino: Ino) -> Reply<'_, Attr> {
        Node::of(ino).and_then(|node| self.attr(node)).into()
    }

    fn setattr(&self, _ino: Ino, _change: &SetAttr) -> Reply<'_, Attr> {
        Reply::Now(Err(READ_ONLY))
    }

    fn readlink(&self, ino: Ino, caller: u32) -> Reply<'_, Link> {
        let node = match Node::of(ino) {
            Ok(node) => node,
            Err(errno) => return Reply::Now(Err(errno)),
        };
        match node {
            Node::Itself if caller != 0 => Reply::Now(Ok(Link::Path(caller.to_string().into_bytes()))),
            Node::Itself => Reply::Now(Err(Errno::ENOENT)),
            Node::Descriptor(pid, fd) => Reply::later(async move {
                let kernel = self.kernel()?;
                let file = kernel.descriptor(pid.0, fd)?;
                let shown = file.shown(&kernel.namespace).await;
                Ok(Link::Descriptor { pid: pid.0, fd, shown })
            }),
            Node::OfProcess(_, OfProcess::Root) => Reply::Now(Ok(Link::Path(b"/".to_vec()))),
            Node::OfProcess(pid, OfProcess::Exe) => Reply::from(self.kernel().and_then(|kernel| {
                let process = kernel.process(pid).ok_or(Errno::ENOENT)?;
                let exe = process.image.read().exe.to_vec();
                Ok(Link::Path(exe))
            })),
            Node::OfProcess(pid, OfProcess::Cwd) => Reply::later(async move {
                let kernel = self.kernel()?;
                let cwd = kernel.process(pid).ok_or(Errno::ENOENT)?.cwd();
                let path = kernel.namespace.path_of(&cwd).await;
                // Nobody comes through it where the directories above would not let him.
                if pid.0 != caller {
                    return Ok(Link::Path(path?));
                }
                Ok(Link::Directory { place: cwd, shown: path.unwrap_or_else(|_| b"(deleted)".to_vec()) })
            }),
            _ => Reply::Now(Err(Errno::EINVAL)),
        }
    }

    fn create(&self, _dir: Ino, _name: &Name, _node: &NewNode) -> Reply<'_, Attr> {
        Reply::Now(Err(READ_ONLY))
    }

    fn link(&self, _ino: Ino, _dir: Ino, _name: &Name) -> Reply<'_, Attr> {
        Reply::Now(Err(READ_ONLY))
    }

    fn unlink(&self, _dir: Ino, _name: &Name) -> Reply<'_, ()> {
        Reply::Now(Err(READ_ONLY))
    }

    fn rmdir(&self, _dir: Ino, _name: &Name) -> Reply<'_, ()> {
        Reply::Now(Err(READ_ONLY))
    }

    fn rename(
        &self,
        _from_dir: Ino,
        _from: &Name,
        _to_dir: Ino,
        _to: &Name,
        _flags: RenameFlags,
    ) -> Reply<'_, ()> {
        Reply::Now(Err(READ_ONLY))
    }

    fn readdir(&self, dir: Ino) -> Reply<'_, Vec<DirEntry>> {
        Node::of(dir).and_then(|node| self.entries(node)).into()
    }

    fn open(&self, ino: Ino, access: Access) -> Reply<'_, Arc<dyn OpenFile>> {
        Reply::later(async move {
            if access.write {
                return Err(READ_ONLY);
            }
            let node = Node::of(ino)?;
            let attr = self.attr(node)?;
            let kernel = self.kernel()?;
            let content = content::of(&kernel, node).await?;
            let held = kernel.listings.try_take(content.len() as u64).ok_or(Errno::ENOMEM)?;
            Ok(Arc::new(ProcFile { attr, content, _held: held }) as Arc<dyn OpenFile>)
        })
    }

    fn statfs(&self) -> Reply<'_, FsStat> {
        Reply::Now(Ok(FsStat { block_size: 4096, ..FsStat::default() }))
    }
}

/// A file of `/proc`: what it held when it was opened.
struct ProcFile {
    attr: Attr,
    content: Vec<u8>,
    _held: crate::Held,
}

impl OpenFile for ProcFile {
    fn getattr(&self) -> Reply<'_, Attr> {
        Reply::Now(Ok(self.attr))
    }

    fn setattr(&self, _change: &SetAttr) -> Reply<'_, Attr> {
        Reply::Now(Err(READ_ONLY))
    }

    fn read_at<'a>(&'a self, buf: &'a mut [u8], offset: u64) -> Reply<'a, usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.content.len());
        let n = buf.len().min(self.content.len() - start);
        buf[..n].copy_from_slice(&self.content[start..start + n]);
        Reply::Now(Ok(n))
    }

    fn write_at<'a>(&'a self, _data: &'a [u8], _offset: u64) -> Reply<'a, usize> {
        Reply::Now(Err(READ_ONLY))
    }

    fn append<'a>(&'a self, _data: &'a [u8]) -> Reply<'a, (usize, u64)> {
        Reply::Now(Err(READ_ONLY))
    }

    fn sync(&self, _data_only: bool) -> Reply<'_, ()> {
        Reply::Now(Ok(()))
    }
}

impl Kernel {
    /// Mounts `/proc` and `/dev/pts` where the root has such directories: at first, and again in a root that was mounted
    /// over the first one.
    pub async fn remount_own(&self) -> Result<()> {
        self.mount_own("/proc", Arc::new(ProcFs::new(self.weak()))).await?;
        let devpts: Arc<dyn FileSystem> = Arc::new(crate::tty::DevPts::new(self.weak()));
        if let Some(mount) = self.mount_own("/dev/pts", devpts).await? {
            self.devpts.store(mount, std::sync::atomic::Ordering::Relaxed);
        }
        Ok(())
    }

    /// The number of the mount; `None` when there is no such directory.
    async fn mount_own(&self, path: &str, fs: Arc<dyn FileSystem>) -> Result<Option<u64>> {
        let path = GuestPath::new(path).map_err(Errno::from)?;
        let options = MountOptions { source: fs.type_name().to_owned(), read_only: false };
        match self.namespace.mount(&path, fs, options).await {
            Ok(mount) => Ok(Some(mount.id)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}
