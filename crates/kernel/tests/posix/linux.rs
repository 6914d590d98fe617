//! The system calls of the Linux that runs the test, in a temporary directory: the oracle. Each call is made on a thread
//! of its own, which has its root, working directory, mask and user for itself; rights are taken from it, never given.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use agentos_abi::fd::{O_APPEND, R_OK, W_OK, X_OK};
use agentos_vfs::{Attr, Errno, FileType, NewKind, RenameFlags, SetTime, Timespec};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{
    self, AtFlags, CWD, Dev, FlockOperation, Mode, OFlags, SeekFrom, Stat, Timestamps, UTIME_NOW, UTIME_OMIT,
};
use rustix::io::Errno as Raw;
use rustix::process::{Gid, Uid};
use rustix::thread::UnshareFlags;
use tempfile::TempDir;

use crate::backends::Place;
use crate::language::Case;
use crate::system::{Actor, Asked, Flags, From, Lock, Locked, Record, Result, System, Target};

/// A call that has not returned by then waits.
const SOON: Duration = Duration::from_millis(40);
/// No call waits so long.
const LONGEST: Duration = Duration::from_secs(30);

pub struct Linux {
    top: Arc<TempDir>,
    root: Arc<OwnedFd>,
    cwd: Arc<OwnedFd>,
    umask: u32,
    actor: Actor,
    superuser: bool,
    /// Whether this thread may mount, in a namespace of its own.
    mounts: bool,
    mounted: Vec<std::path::PathBuf>,
    files: HashMap<String, Arc<OwnedFd>>,
    others: HashMap<String, Other>,
}

/// A process for locks: a thread with a table of descriptors of its own, by which Linux knows owners of record locks apart.
struct Other {
    commands: SyncSender<Vec<Vec<u8>>>,
    answers: Receiver<Result<String>>,
    thread: JoinHandle<()>,
}

fn directory(path: &std::path::Path) -> Arc<OwnedFd> {
    Arc::new(fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap())
}

impl Linux {
    /// With `mounts` the calling thread has a namespace of its own: see [`own_mounts`].
    pub fn new(mounts: bool) -> Self {
        let top = Arc::new(TempDir::new().unwrap());
        std::fs::set_permissions(top.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let superuser = rustix::process::geteuid().is_root();
        if superuser {
            fs::chown(top.path(), Some(Uid::from_raw(1000)), Some(Gid::from_raw(1000))).unwrap();
        }
        let (root, cwd) = (directory(top.path()), directory(top.path()));
        let actor = Actor::user();
        Linux {
            top,
            root,
            cwd,
            umask: 0o022,
            actor,
            superuser,
            mounts,
            mounted: Vec::new(),
            files: HashMap::new(),
            others: HashMap::new(),
        }
    }

    /// What a process that this one makes begins with; see [`Linux::own`].
    fn inherit(&self) -> Self {
        Linux {
            top: Arc::clone(&self.top),
            root: Arc::clone(&self.root),
            cwd: Arc::clone(&self.cwd),
            umask: self.umask,
            actor: self.actor.clone(),
            superuser: self.superuser,
            mounts: false,
            mounted: Vec::new(),
            files: self.files.clone(),
            others: HashMap::new(),
        }
    }

    /// Gives this thread descriptors of its own. Those that were shared stay what the other thread has, which waits meanwhile.
    fn own(&mut self) {
        own_descriptors();
        for fd in [&mut self.root, &mut self.cwd].into_iter().chain(self.files.values_mut()) {
            *fd = Arc::new(rustix::io::fcntl_dupfd_cloexec(&**fd, 0).unwrap());
        }
    }

    /// Makes a call as the actor of the case.
    fn call<T: Send>(&self, call: impl FnOnce() -> rustix::io::Result<T> + Send) -> Result<T> {
        let Linux { root, cwd, umask, actor, superuser, .. } = self;
        let on_thread = || {
            own_thread();
            if *superuser {
                rustix::process::fchdir(root)?;
                rustix::process::chroot(".")?;
            }
            rustix::process::fchdir(cwd)?;
            rustix::process::umask(Mode::from_raw_mode(*umask));
            if *superuser {
                give_up(actor)?;
            }
            Ok(call())
        };
        let answer = std::thread::scope(|scope| scope.spawn(on_thread).join().unwrap());
        answer.unwrap_or_else(|error: Raw| panic!("the thread of a call: {error}")).map_err(errno)
    }

    fn fd(&self, handle: &str) -> BorrowedFd<'_> {
        self.files.get(handle).unwrap_or_else(|| panic!("{handle} is not open")).as_fd()
    }
}

/// What `unshare` divides is only root, working directory and mask of this thread.
#[expect(deprecated, reason = "the other one is unsafe for the sake of flags that are not used here")]
fn own_thread() {
    rustix::thread::unshare(UnshareFlags::FS).unwrap();
}

/// Gives this thread, and all that it starts, a table of mounts of its own; `false` where that is not allowed.
/// From here on this thread has descriptors of its own. What is owned by others is not dropped on it.
#[expect(deprecated, reason = "the other one is unsafe, since descriptors may be mistaken")]
fn own_descriptors() {
    rustix::thread::unshare(UnshareFlags::FILES).unwrap();
}

#[expect(deprecated, reason = "the other one is unsafe for the sake of flags that are not used here")]
pub fn own_mounts() -> bool {
    use rustix::mount::{MountPropagationFlags, mount_change};
    rustix::thread::unshare(UnshareFlags::NEWNS).is_ok()
        && mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).is_ok()
}

impl Drop for Linux {
    fn drop(&mut self) {
        // Before the directory is removed.
        for path in self.mounted.drain(..).rev() {
            rustix::mount::unmount(&path, rustix::mount::UnmountFlags::DETACH).unwrap();
        }
    }
}

fn give_up(actor: &Actor) -> rustix::io::Result<()> {
    let groups: Vec<_> = actor.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    let (uid, gid) = (Uid::from_raw(actor.uid), Gid::from_raw(actor.gid));
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

impl Place for Linux {
    fn system(&mut self) -> &mut dyn System {
        self
    }

    fn again(&mut self) {
        assert!(self.files.is_empty(), "something is open");
        self.cwd = directory(self.top.path());
    }

    /// Without the superuser there is one user, who is that of the test, and no root directory of a case.
    fn refuses(&self, case: &Case) -> bool {
        let absolute = |word: &Vec<u8>| word.starts_with(b"/");
        let other = |line: &crate::language::Line| {
            [&b"as"[..], b"chown", b"lchown", b"mknod"].contains(&&line.words[0][..])
                || line.text.contains("uid")
                || line.text.contains("gid")
                || line.words.iter().any(absolute)
        };
        let mounts = case.lines.iter().any(|line| line.words[0].starts_with(b"mount"));
        (mounts && !self.mounts) || (!self.superuser && case.lines.iter().any(other))
    }
}

impl System for Linux {
    fn become_actor(&mut self, actor: &Actor) {
        self.actor = actor.clone();
    }

    fn umask(&mut self, mask: u32) {
        self.umask = mask;
    }

    fn chdir(&mut self, path: &[u8]) -> Result<()> {
        self.cwd = Arc::new(self.call(|| {
            rustix::process::chdir(path)?;
            fs::open(".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        })?);
        Ok(())
    }

    fn go_home(&mut self) {
        self.cwd = directory(self.top.path());
    }

    fn open(&mut self, handle: &str, path: &[u8], flags: Flags, mode: u32) -> Result<()> {
        let flags = OFlags::from_bits_retain(flags) | OFlags::CLOEXEC;
        let file = self.call(|| fs::open(path, flags, Mode::from_raw_mode(mode)))?;
        self.files.insert(handle.to_owned(), Arc::new(file));
        Ok(())
    }

    fn dup(&mut self, from: &str, to: &str) -> Result<()> {
        let file = rustix::io::fcntl_dupfd_cloexec(self.fd(from), 0).map_err(errno)?;
        self.files.insert(to.to_owned(), Arc::new(file));
        Ok(())
    }

    fn close(&mut self, handle: &str) -> Result<()> {
        self.files.remove(handle).map(drop).ok_or(Errno::EBADF)
    }

    fn read(&mut self, handle: &str, len: usize) -> Result<Vec<u8>> {
        let (fd, mut buf) = (self.fd(handle), vec![0; len]);
        let n = self.call(|| rustix::io::read(fd, &mut buf[..]))?;
        buf.truncate(n);
        Ok(buf)
    }

    fn write(&mut self, handle: &str, data: &[u8]) -> Result<usize> {
        let fd = self.fd(handle);
        self.call(|| rustix::io::write(fd, data))
    }

    fn pread(&mut self, handle: &str, len: usize, offset: u64) -> Result<Vec<u8>> {
        let (fd, mut buf) = (self.fd(handle), vec![0; len]);
        let n = self.call(|| rustix::io::pread(fd, &mut buf[..], offset))?;
        buf.truncate(n);
        Ok(buf)
    }

    fn pwrite(&mut self, handle: &str, data: &[u8], offset: u64) -> Result<usize> {
        let fd = self.fd(handle);
        self.call(|| rustix::io::pwrite(fd, data, offset))
    }

    fn seek(&mut self, handle: &str, delta: i64, from: From) -> Result<u64> {
        let to = match from {
            // SeekFrom::Start takes no negative numbers, which the case may want to try.
            From::Set if delta < 0 => return Err(Errno::EINVAL),
            From::Set => SeekFrom::Start(delta.cast_unsigned()),
            From::Current => SeekFrom::Current(delta),
            From::End => SeekFrom::End(delta),
        };
        fs::seek(self.fd(handle), to).map_err(errno)
    }

    fn set_append(&mut self, handle: &str, on: bool) -> Result<()> {
        let flags = if on { OFlags::from_bits_retain(O_APPEND) } else { OFlags::empty() };
        fs::fcntl_setfl(self.fd(handle), flags).map_err(errno)
    }

    fn fsync(&mut self, handle: &str) -> Result<()> {
        fs::fsync(self.fd(handle)).map_err(errno)
    }

    fn flock(&mut self, handle: &str, lock: Lock) -> Result<()> {
        let operation = match lock {
            Lock::Shared => FlockOperation::NonBlockingLockShared,
            Lock::Exclusive => FlockOperation::NonBlockingLockExclusive,
            Lock::Unlock => FlockOperation::Unlock,
        };
        fs::flock(self.fd(handle), operation).map_err(errno)
    }

    fn record(&mut self, handle: &str, asked: Asked, lock: Record) -> Result<Locked> {
        let kind = match lock.kind {
            Some(false) => libc::F_RDLCK,
            Some(true) => libc::F_WRLCK,
            None => libc::F_UNLCK,
        };
        let whence = match lock.from {
            From::Set => libc::SEEK_SET,
            From::Current => libc::SEEK_CUR,
            From::End => libc::SEEK_END,
        };
        let mut lock = libc::flock {
            l_type: kind as i16,
            l_whence: whence as i16,
            l_start: lock.start,
            l_len: lock.len,
            l_pid: 0,
        };
        let argument = match asked {
            Asked::Get => FcntlArg::F_GETLK(&mut lock),
            Asked::Set => FcntlArg::F_SETLK(&lock),
            Asked::OfDescription => FcntlArg::F_OFD_SETLK(&lock),
            Asked::Wait => FcntlArg::F_SETLKW(&lock),
        };
        fcntl(self.fd(handle), argument).map_err(|error| errno(Raw::from_raw_os_error(error as i32)))?;
        if asked != Asked::Get || i32::from(lock.l_type) == libc::F_UNLCK {
            return Ok(Locked::Done);
        }
        let exclusive = i32::from(lock.l_type) == libc::F_WRLCK;
        let holder = if lock.l_pid == -1 { "ofd" } else { "this process" }.to_owned();
        Ok(Locked::By { exclusive, start: lock.l_start, len: lock.l_len, holder })
    }

    fn fork(&mut self, name: &str) {
        let (commands, received) = sync_channel::<Vec<Vec<u8>>>(1);
        let (answer, answers) = sync_channel(1);
        let (ready, is_ready) = sync_channel(1);
        let mut child = self.inherit();
        let thread = std::thread::spawn(move || {
            child.own();
            ready.send(()).unwrap();
            for command in received {
                answer.send(crate::run::command(&mut child, &command)).unwrap();
            }
        });
        is_ready.recv().unwrap();
        self.others.insert(name.to_owned(), Other { commands, answers, thread });
    }

    fn within(&mut self, name: &str, command: &[Vec<u8>]) -> Result<String> {
        let other = &self.others[name];
        other.commands.send(command.to_vec()).unwrap();
        match other.answers.recv_timeout(SOON) {
            Ok(answer) => answer,
            Err(_) if command[0] == b"lockw" => Ok("waits".to_owned()),
            Err(_) => other.answers.recv_timeout(LONGEST).expect("a call hangs"),
        }
    }

    fn answer(&mut self, name: &str) -> Result<String> {
        self.others[name].answers.recv_timeout(LONGEST).expect("a call hangs")
    }

    fn end(&mut self, name: &str) {
        let other = self.others.remove(name).unwrap();
        drop(other.commands);
        other.thread.join().unwrap();
    }

    fn exec(&mut self) {
        panic!("the test itself would become another program");
    }

    fn close_on_exec(&mut self, _: &str) {}

    fn allocate(&mut self, handle: &str, offset: u64, len: u64) -> Result<()> {
        let fd = self.fd(handle);
        self.call(|| fs::fallocate(fd, fs::FallocateFlags::empty(), offset, len))
    }

    fn entry(&mut self, handle: &str, cookie: u64) -> Result<Option<(Vec<u8>, u64)>> {
        let fd = self.fd(handle);
        fs::seek(fd, SeekFrom::Start(cookie)).map_err(errno)?;
        let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
        match fs::RawDir::new(fd, &mut buffer).next() {
            None => Ok(None),
            Some(Err(error)) => Err(errno(error)),
            Some(Ok(entry)) => Ok(Some((entry.file_name().to_bytes().to_vec(), entry.next_entry_cookie()))),
        }
    }

    fn list(&mut self, handle: &str) -> Result<Vec<Vec<u8>>> {
        // A duplicate: to open it anew as `.` would ask for the right to search.
        let same = rustix::io::fcntl_dupfd_cloexec(self.fd(handle), 0).map_err(errno)?;
        let mut entries = fs::Dir::new(same).map_err(errno)?;
        entries.rewind();
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_bytes().to_vec()));
        let names: rustix::io::Result<Vec<_>> = names.collect();
        let mut names = names.map_err(errno)?;
        names.retain(|name| name != b"." && name != b"..");
        Ok(names)
    }

    fn make(&mut self, path: &[u8], kind: NewKind, mode: u32) -> Result<()> {
        let mode = Mode::from_raw_mode(mode);
        let node = |kind, dev: Dev| self.call(|| fs::mknodat(CWD, path, kind, mode, dev));
        let device = |rdev: u64| fs::makedev((rdev >> 8) as u32, (rdev & 255) as u32);
        match kind {
            NewKind::Regular => node(fs::FileType::RegularFile, 0),
            NewKind::Directory => self.call(|| fs::mkdir(path, mode)),
            NewKind::Symlink(target) => self.call(|| fs::symlink(&target[..], path)),
            NewKind::Fifo => node(fs::FileType::Fifo, 0),
            NewKind::CharDevice(rdev) => node(fs::FileType::CharacterDevice, device(rdev)),
            NewKind::BlockDevice(rdev) => node(fs::FileType::BlockDevice, device(rdev)),
            NewKind::Socket => node(fs::FileType::Socket, 0),
        }
    }

    fn readlink(&mut self, path: &[u8]) -> Result<Vec<u8>> {
        self.call(|| fs::readlink(path, Vec::new())).map(std::ffi::CString::into_bytes)
    }

    fn link(&mut self, from: &[u8], follow: bool, to: &[u8]) -> Result<()> {
        let flags = if follow { AtFlags::SYMLINK_FOLLOW } else { AtFlags::empty() };
        self.call(|| fs::linkat(CWD, from, CWD, to, flags))
    }

    fn unlink(&mut self, path: &[u8]) -> Result<()> {
        self.call(|| fs::unlink(path))
    }

    fn rmdir(&mut self, path: &[u8]) -> Result<()> {
        self.call(|| fs::rmdir(path))
    }

    fn rename(&mut self, from: &[u8], to: &[u8], flags: RenameFlags) -> Result<()> {
        let mut how = fs::RenameFlags::empty();
        how.set(fs::RenameFlags::NOREPLACE, flags.no_replace);
        how.set(fs::RenameFlags::EXCHANGE, flags.exchange);
        self.call(|| fs::renameat_with(CWD, from, CWD, to, how))
    }

    fn stat(&mut self, target: Target<'_>) -> Result<(u64, Attr)> {
        let stat = match target {
            Target::Path(path) => self.call(|| fs::stat(path)),
            Target::Link(path) => self.call(|| fs::lstat(path)),
            Target::Open(handle) => fs::fstat(self.fd(handle)).map_err(errno),
        }?;
        Ok((stat.st_dev, attr(&stat)))
    }

    fn chmod(&mut self, target: Target<'_>, mode: u32) -> Result<()> {
        let mode = Mode::from_raw_mode(mode);
        match target {
            Target::Path(path) => self.call(|| fs::chmod(path, mode)),
            Target::Link(_) => panic!("Linux has no lchmod"),
            Target::Open(handle) => {
                let fd = self.fd(handle);
                self.call(|| fs::fchmod(fd, mode))
            }
        }
    }

    fn chown(&mut self, target: Target<'_>, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        match target {
            Target::Path(path) => self.call(|| fs::chownat(CWD, path, uid, gid, AtFlags::empty())),
            Target::Link(path) => self.call(|| fs::chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)),
            Target::Open(handle) => {
                let fd = self.fd(handle);
                self.call(|| fs::fchown(fd, uid, gid))
            }
        }
    }

    fn utimens(&mut self, target: Target<'_>, atime: Option<SetTime>, mtime: Option<SetTime>) -> Result<()> {
        let times = Timestamps { last_access: time(atime), last_modification: time(mtime) };
        match target {
            Target::Path(path) => self.call(|| fs::utimensat(CWD, path, &times, AtFlags::empty())),
            Target::Link(path) => self.call(|| fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)),
            Target::Open(handle) => {
                let fd = self.fd(handle);
                self.call(|| fs::futimens(fd, &times))
            }
        }
    }

    /// By a path there is no safe call: it is opened for writing, which asks for the same rights.
    fn truncate(&mut self, target: Target<'_>, size: u64) -> Result<()> {
        match target {
            Target::Path(path) => self.call(|| {
                let file =
                    fs::open(path, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
                fs::ftruncate(&file, size)
            }),
            Target::Link(_) => panic!("truncate follows links"),
            Target::Open(handle) => {
                let fd = self.fd(handle);
                self.call(|| fs::ftruncate(fd, size))
            }
        }
    }

    fn access(&mut self, path: &[u8], mode: u32) -> Result<()> {
        let mut wanted = fs::Access::EXISTS;
        wanted.set(fs::Access::READ_OK, mode & R_OK != 0);
        wanted.set(fs::Access::WRITE_OK, mode & W_OK != 0);
        wanted.set(fs::Access::EXEC_OK, mode & X_OK != 0);
        self.call(|| fs::accessat(CWD, path, wanted, AtFlags::empty()))
    }

    fn statfs(&mut self, path: &[u8]) -> Result<u64> {
        self.call(|| fs::statfs(path)).map(|stat| stat.f_bsize.cast_unsigned())
    }

    fn mount(&mut self, path: &[u8], read_only: bool) {
        use rustix::mount::{MountFlags, mount, mount_remount};
        let path = self.top.path().join(std::str::from_utf8(path).unwrap());
        mount("tmpfs", &path, "tmpfs", MountFlags::empty(), c"mode=0777").unwrap();
        if read_only {
            // The mount alone, as ours is: of a file system that cannot be written Linux speaks earlier.
            mount_remount(&path, MountFlags::BIND | MountFlags::RDONLY, "").unwrap();
        }
        self.mounted.push(path);
    }
}

fn time(time: Option<SetTime>) -> fs::Timespec {
    match time {
        None => fs::Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        Some(SetTime::Now) => fs::Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        Some(SetTime::At(at)) => fs::Timespec { tv_sec: at.secs, tv_nsec: i64::from(at.nanos) },
    }
}

fn attr(stat: &Stat) -> Attr {
    let kind = match fs::FileType::from_raw_mode(stat.st_mode) {
        fs::FileType::RegularFile => FileType::Regular,
        fs::FileType::Directory => FileType::Directory,
        fs::FileType::Symlink => FileType::Symlink,
        fs::FileType::CharacterDevice => FileType::CharDevice,
        fs::FileType::BlockDevice => FileType::BlockDevice,
        fs::FileType::Fifo => FileType::Fifo,
        fs::FileType::Socket => FileType::Socket,
        fs::FileType::Unknown => panic!("a file without a type"),
    };
    let time = |secs, nanos| Timespec { secs, nanos: u32::try_from(nanos).unwrap() };
    Attr {
        ino: stat.st_ino,
        kind,
        perm: stat.st_mode & 0o7777,
        nlink: u32::try_from(stat.st_nlink).unwrap(),
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: u64::from(fs::major(stat.st_rdev)) << 8 | u64::from(fs::minor(stat.st_rdev)),
        size: stat.st_size.cast_unsigned(),
        blocks: stat.st_blocks.cast_unsigned(),
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        btime: Timespec::default(),
    }
}

fn errno(raw: Raw) -> Errno {
    let known = [
        (Raw::ACCESS, Errno::EACCES),
        (Raw::AGAIN, Errno::EAGAIN),
        (Raw::BADF, Errno::EBADF),
        (Raw::BUSY, Errno::EBUSY),
        (Raw::DEADLK, Errno::EDEADLK),
        (Raw::EXIST, Errno::EEXIST),
        (Raw::FBIG, Errno::EFBIG),
        (Raw::INVAL, Errno::EINVAL),
        (Raw::ISDIR, Errno::EISDIR),
        (Raw::LOOP, Errno::ELOOP),
        (Raw::MLINK, Errno::EMLINK),
        (Raw::NAMETOOLONG, Errno::ENAMETOOLONG),
        (Raw::NODEV, Errno::ENODEV),
        (Raw::NOENT, Errno::ENOENT),
        (Raw::NOSPC, Errno::ENOSPC),
        (Raw::NOTDIR, Errno::ENOTDIR),
        (Raw::NOTEMPTY, Errno::ENOTEMPTY),
        (Raw::NXIO, Errno::ENXIO),
        (Raw::OPNOTSUPP, Errno::ENOTSUP),
        (Raw::OVERFLOW, Errno::EOVERFLOW),
        (Raw::PERM, Errno::EPERM),
        (Raw::PIPE, Errno::EPIPE),
        (Raw::ROFS, Errno::EROFS),
        (Raw::SPIPE, Errno::ESPIPE),
        (Raw::XDEV, Errno::EXDEV),
    ];
    known.iter().find(|(linux, _)| *linux == raw).unwrap_or_else(|| panic!("errno {raw}")).1
}
