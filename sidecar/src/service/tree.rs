//! Names and attributes of files.

use std::sync::Arc;

use agentos_abi::fd::{O_DIRECTORY, O_NOFOLLOW, O_RDONLY};
use agentos_kernel::sys::At;
use agentos_kernel::{Description, Errno, Kernel};
use agentos_protocol::WireError;
use agentos_protocol::message::{
    Chmod, Chown, Delete, Empty, Exists, ExistsReply, FileKind, Link, Mkdir, MovePath, ReadLink,
    ReadLinkReply, Readdir, ReaddirRecursive, ReaddirRecursiveReply, ReaddirReply, Stat, Symlink, Truncate,
    Utimes, VirtualStat, WireDirEntry, WirePath,
};
use agentos_protocol::mux::{RecordWriter, Responder};
use agentos_vfs::{
    Attr, DirEntry, FileType, GuestPath, Location, NewKind, RenameFlags, SetAttr, SetTime, Timespec,
};

use super::files::guest_path;
use crate::connection::{Client, answer_later};
use crate::errors::failed;
use crate::vm::Vm;

type Reply<T> = Result<T, WireError>;

pub(crate) fn kind(kind: FileType) -> FileKind {
    match kind {
        FileType::Regular => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::CharDevice => FileKind::CharDevice,
        FileType::BlockDevice => FileKind::BlockDevice,
        FileType::Fifo => FileKind::Fifo,
        FileType::Socket => FileKind::Socket,
    }
}

fn milliseconds(time: Timespec) -> f64 {
    time.secs as f64 * 1000.0 + f64::from(time.nanos) / 1_000_000.0
}

pub(super) fn timespec(ms: f64) -> Option<Timespec> {
    if !ms.is_finite() || ms.abs() > 8.64e15 {
        return None;
    }
    let secs = (ms / 1000.0).floor();
    let nanos = ((ms - secs * 1000.0) * 1_000_000.0).round().clamp(0.0, 999_999_999.0);
    Some(Timespec { secs: secs as i64, nanos: nanos as u32 })
}

fn wire_stat(dev: u64, attr: &Attr) -> VirtualStat {
    VirtualStat {
        mode: attr.mode(),
        kind: kind(attr.kind),
        size: attr.size,
        blocks: attr.blocks,
        dev,
        rdev: attr.rdev,
        is_directory: attr.kind == FileType::Directory,
        is_symbolic_link: attr.kind == FileType::Symlink,
        atime_ms: milliseconds(attr.atime),
        mtime_ms: milliseconds(attr.mtime),
        ctime_ms: milliseconds(attr.ctime),
        birthtime_ms: milliseconds(attr.btime),
        ino: attr.ino,
        nlink: u64::from(attr.nlink),
        uid: attr.uid,
        gid: attr.gid,
    }
}

pub(super) async fn mkdir(vm: Arc<Vm>, r: Mkdir) -> Reply<Empty> {
    let path = guest_path(&r.path)?;
    let kernel = vm.kernel();
    let host = kernel.host();
    let mode = r.mode.unwrap_or(0o755) & 0o7777;
    if r.recursive {
        if let Some(parent) = path.parent() {
            vm.make_directories(&parent).await?;
        }
        match kernel.stat(&host, At::Cwd(path.as_bytes()), true).await {
            Ok((_, attr)) if attr.kind == FileType::Directory => return Ok(Empty {}),
            Ok(_) => return Err(failed(Errno::EEXIST, "mkdir", &path)),
            Err(_) => {}
        }
    }
    kernel
        .make(&host, At::Cwd(path.as_bytes()), NewKind::Directory, mode)
        .await
        .map_err(|e| failed(e, "mkdir", &path))?;
    Ok(Empty {})
}

pub(super) async fn readdir(vm: Arc<Vm>, r: Readdir) -> Reply<ReaddirReply> {
    let path = guest_path(&r.path)?;
    let listing = {
        let at = directory(vm.kernel(), path.as_bytes()).await?;
        at.mount.fs.listing(at.ino).await.map_err(|e| failed(e, "readdir", path.as_bytes()))?
    };
    let page = if r.page == 0 { vm.readdir_page } else { (r.page as usize).min(vm.readdir_page) };
    let start = usize::try_from(r.cursor).unwrap_or(usize::MAX).min(listing.len());
    let end = start.saturating_add(page).min(listing.len());
    let mut entries = Vec::with_capacity(end - start);
    if start < end {
        listing.visit(start, None, |_, of, name| {
            entries.push(WireDirEntry { name: name.to_vec().into(), kind: kind(of), size: 0 });
            entries.len() < end - start
        });
    }
    Ok(ReaddirReply { entries, next: (end < listing.len()).then_some(end as u64) })
}

async fn directory(kernel: &Kernel, path: &[u8]) -> Reply<agentos_vfs::Location> {
    let host = kernel.host();
    kernel.resolve_directory(&host, At::Cwd(path)).await.map_err(|e| failed(e, "readdir", path))
}

async fn list(kernel: &Kernel, path: &[u8]) -> Reply<Vec<agentos_vfs::DirEntry>> {
    let at = directory(kernel, path).await?;
    at.mount.fs.readdir(at.ino).await.map_err(|e| failed(e, "readdir", path))
}

pub(super) fn readdir_recursive(client: &Client, r: ReaddirRecursive, responder: Responder) {
    let vm = match client.vm(&r.vm_id) {
        Ok(vm) => vm,
        Err(error) => return responder.error(&error),
    };
    match responder.connection().accept_send(r.stream) {
        Ok(stream) => {
            answer_later::<ReaddirRecursive>(responder, async move {
                walk(&vm, r, RecordWriter::new(stream)).await
            });
        }
        Err(error) => {
            responder
                .error(&WireError::new(agentos_protocol::message::code::INVALID_REQUEST, error.to_string()));
        }
    }
}

/// A directory on the way down: what of it is still to come, and how long its path is.
struct Level<T = ()> {
    entries: std::vec::IntoIter<DirEntry>,
    end: usize,
    with: T,
}

/// Puts `name` behind the directory that ends at `end` of `path`.
fn enter(path: &mut Vec<u8>, end: usize, name: &[u8]) {
    path.truncate(end);
    path.push(b'/');
    path.extend_from_slice(name);
}

/// Parents before children. There is one path, whatever the tree: what waits is the rest of each directory above it.
async fn walk(
    vm: &Vm,
    r: ReaddirRecursive,
    records: RecordWriter<WireDirEntry>,
) -> Reply<ReaddirRecursiveReply> {
    let start = guest_path(&r.path)?;
    let kernel = vm.kernel();
    let host = kernel.host();
    let mut entries = 0;
    let mut path = if start.as_bytes() == b"/" { Vec::new() } else { start.as_bytes().to_vec() };
    let first = path.len();
    let listed = list(kernel, start.as_bytes()).await?;
    let mut levels = vec![Level { entries: listed.into_iter(), end: first, with: () }];
    while let Some(level) = levels.last_mut() {
        tokio::task::consume_budget().await;
        let Some(entry) = level.entries.next() else {
            levels.pop();
            continue;
        };
        if r.exclude.iter().any(|name| name.as_bytes() == &*entry.name) {
            continue;
        }
        enter(&mut path, level.end, &entry.name);
        let size = match kernel.stat(&host, At::Cwd(&path), false).await {
            Ok((_, attr)) => attr.size,
            // A list that leaves out what a guest hid so deep would claim to be whole.
            Err(Errno::ENAMETOOLONG) => return Err(failed(Errno::ENAMETOOLONG, "stat", &path)),
            Err(_) => continue,
        };
        let name = WirePath(path[first + 1..].to_vec());
        let record = WireDirEntry { name, kind: kind(entry.kind), size };
        if records.send(&record).await.is_err() {
            return Ok(ReaddirRecursiveReply { entries });
        }
        entries += 1;
        let deep = r.max_depth.is_some_and(|most| levels.len() as u64 >= u64::from(most));
        if entry.kind == FileType::Directory && !deep {
            // Removed meanwhile: as if it had been empty.
            if let Ok(listed) = list(kernel, &path).await {
                levels.push(Level { entries: listed.into_iter(), end: path.len(), with: () });
            }
        }
    }
    records.stream().finish();
    Ok(ReaddirRecursiveReply { entries })
}

pub(super) async fn stat(vm: Arc<Vm>, r: Stat) -> Reply<VirtualStat> {
    let path = guest_path(&r.path)?;
    let kernel = vm.kernel();
    let (dev, attr) = kernel
        .stat(&kernel.host(), At::Cwd(path.as_bytes()), r.follow)
        .await
        .map_err(|e| failed(e, if r.follow { "stat" } else { "lstat" }, &path))?;
    Ok(wire_stat(dev, &attr))
}

pub(super) async fn exists(vm: Arc<Vm>, r: Exists) -> Reply<ExistsReply> {
    let path = guest_path(&r.path)?;
    let kernel = vm.kernel();
    match kernel.stat(&kernel.host(), At::Cwd(path.as_bytes()), true).await {
        Ok(_) => Ok(ExistsReply { exists: true }),
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(ExistsReply { exists: false }),
        Err(errno) => Err(failed(errno, "stat", &path)),
    }
}

pub(super) async fn move_path(vm: Arc<Vm>, r: MovePath) -> Reply<Empty> {
    let (from, to) = (guest_path(&r.from)?, guest_path(&r.to)?);
    let kernel = vm.kernel();
    let host = kernel.host();
    let moved =
        kernel.rename(&host, At::Cwd(from.as_bytes()), At::Cwd(to.as_bytes()), RenameFlags::default()).await;
    match moved {
        Ok(()) => Ok(Empty {}),
        Err(Errno::EXDEV) => {
            copy_tree(kernel, from.as_bytes(), to.as_bytes()).await?;
            remove_tree(kernel, &from).await?;
            Ok(Empty {})
        }
        Err(errno) => Err(failed(errno, "rename", &from)),
    }
}

/// Copies a tree across mounts, as `mv` does: modes, times and links stay; owners where the target can hold them.
async fn copy_tree(kernel: &Kernel, from: &[u8], to: &[u8]) -> Reply<()> {
    let host = agentos_kernel::sys::Who { umask: 0, ..kernel.host() };
    let (mut source, mut target) = (from.to_vec(), to.to_vec());
    let (source_end, target_end) = (source.len(), target.len());
    let mut levels: Vec<Level<Attr>> = Vec::new();
    loop {
        tokio::task::consume_budget().await;
        let fail = |e| failed(e, "copy", &source);
        let (_, attr) = kernel.stat(&host, At::Cwd(&source), false).await.map_err(fail)?;
        if attr.kind == FileType::Directory {
            match kernel.make(&host, At::Cwd(&target), NewKind::Directory, 0o700).await {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(fail(errno)),
            }
            let entries = list(kernel, &source).await?.into_iter();
            levels.push(Level { entries, end: source.len(), with: attr });
        } else {
            copy_file(kernel, &host, &source, &target, &attr).await?;
        }
        // To the next entry; a directory gets its mode and times when all is in it.
        loop {
            let Some(level) = levels.last_mut() else { return Ok(()) };
            let target_of = |end: usize| end - source_end + target_end;
            if let Some(entry) = level.entries.next() {
                enter(&mut target, target_of(level.end), &entry.name);
                enter(&mut source, level.end, &entry.name);
                break;
            }
            target.truncate(target_of(level.end));
            settle(kernel, &host, &target, &level.with).await?;
            levels.pop();
        }
    }
}

/// Copies what is no directory.
async fn copy_file(
    kernel: &Kernel,
    host: &agentos_kernel::sys::Who,
    from: &[u8],
    to: &[u8],
    attr: &Attr,
) -> Reply<()> {
    use agentos_abi::fd::{O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY};
    let fail = |e| failed(e, "copy", from);
    match attr.kind {
        FileType::Symlink => {
            let target = kernel.readlink(host, At::Cwd(from)).await.map_err(fail)?;
            return kernel.symlink(host, target, At::Cwd(to)).await.map_err(fail);
        }
        FileType::Regular => {}
        _ => return Err(fail(Errno::EXDEV)),
    }
    let source = kernel.open(host, None, At::Cwd(from), O_RDONLY, 0).await.map_err(fail)?;
    let flags = O_WRONLY | O_CREAT | O_TRUNC;
    let target = kernel.open(host, None, At::Cwd(to), flags, attr.perm).await.map_err(fail)?;
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    loop {
        tokio::task::consume_budget().await;
        let n = kernel.pread(&source, &mut buffer, at).await.map_err(fail)?;
        if n == 0 {
            break;
        }
        let mut done = 0;
        while done < n {
            let piece = &buffer[done..n];
            let m = kernel.pwrite(None, &target, piece, at + done as u64).await.map_err(fail)?;
            if m == 0 {
                return Err(fail(Errno::EIO));
            }
            done += m;
        }
        at += n as u64;
    }
    target.flush().await.map_err(fail)?;
    settle(kernel, host, to, attr).await
}

async fn settle(kernel: &Kernel, host: &agentos_kernel::sys::Who, path: &[u8], attr: &Attr) -> Reply<()> {
    let owner = SetAttr { uid: Some(attr.uid), gid: Some(attr.gid), ..SetAttr::default() };
    // A host directory shows one owner for all.
    let _ = kernel.setattr(host, At::Cwd(path), false, &owner).await;
    let rest = SetAttr {
        perm: Some(attr.perm),
        atime: Some(SetTime::At(attr.atime)),
        mtime: Some(SetTime::At(attr.mtime)),
        ..SetAttr::default()
    };
    match kernel.setattr(host, At::Cwd(path), false, &rest).await {
        // An object store keeps neither bits nor times; nobody else refuses the host.
        Ok(_) | Err(Errno::EPERM) => Ok(()),
        Err(errno) => Err(failed(errno, "copy", path)),
    }
}

pub(super) async fn delete(vm: Arc<Vm>, r: Delete) -> Reply<Empty> {
    let path = guest_path(&r.path)?;
    let kernel = vm.kernel();
    let host = kernel.host();
    let at = At::Cwd(path.as_bytes());
    let (_, attr) = kernel.stat(&host, at, false).await.map_err(|e| failed(e, "delete", &path))?;
    if attr.kind == FileType::Directory && r.recursive {
        remove_tree(kernel, &path).await?;
    } else if attr.kind == FileType::Directory {
        kernel.rmdir(&host, at).await.map_err(|e| failed(e, "delete", &path))?;
    } else {
        kernel.unlink(&host, at).await.map_err(|e| failed(e, "delete", &path))?;
    }
    Ok(Empty {})
}

/// A directory whose entries are being removed: open, so that neither a longest path nor a program that swaps names for
/// links matters below it.
struct Emptying {
    above: Location,
    name: Vec<u8>,
    open: Arc<Description>,
    entries: std::vec::IntoIter<DirEntry>,
}

/// Removes a tree from the leaves up. A mount inside stops it with EBUSY: what is mounted is not the tree's.
async fn remove_tree(kernel: &Kernel, path: &GuestPath) -> Reply<()> {
    let host = kernel.host();
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(failed(Errno::EBUSY, "delete", path));
    };
    let above = kernel.resolve_directory(&host, At::Cwd(above.as_bytes())).await;
    let above = above.map_err(|e| failed(e, "delete", path))?;
    let mut stack: Vec<Emptying> = Vec::new();
    let mut next = Some((above, name.to_vec()));
    loop {
        // A guest makes trees of any size, and its memory answers at once.
        tokio::task::consume_budget().await;
        let Some((above, name)) = next.take() else {
            let Some(top) = stack.last_mut() else { return Ok(()) };
            if let (Some(entry), Some(within)) = (top.entries.next(), top.open.location()) {
                next = Some((within.clone(), entry.name.into()));
                continue;
            }
            let done = kernel.rmdir(&host, At::Directory(&top.above, &top.name)).await;
            done.map_err(|e| failed(e, "delete", below(path, &stack, b"")))?;
            stack.pop();
            continue;
        };
        let at = At::Directory(&above, &name);
        let entered = match kernel.unlink(&host, at).await {
            Ok(()) | Err(Errno::ENOENT) => continue,
            Err(Errno::EISDIR) => open_to_empty(kernel, at).await,
            Err(errno) => Err(errno),
        };
        match entered {
            Ok((open, entries)) => stack.push(Emptying { above, name, open, entries }),
            Err(errno) => return Err(failed(errno, "delete", below(path, &stack, &name))),
        }
    }
}

/// Opens a directory that is no link, and lists it. EBUSY for one that is mounted.
async fn open_to_empty(
    kernel: &Kernel,
    at: At<'_>,
) -> Result<(Arc<Description>, std::vec::IntoIter<DirEntry>), Errno> {
    let open = kernel.open(&kernel.host(), None, at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0).await?;
    let location = open.location().ok_or(Errno::ENOTDIR)?;
    if location.is_mount_root() {
        return Err(Errno::EBUSY);
    }
    let entries = location.mount.fs.readdir(location.ino).await?;
    Ok((open, entries.into_iter()))
}

/// The path of `name` in the directory that is being emptied, for an error.
fn below(path: &GuestPath, stack: &[Emptying], name: &[u8]) -> Vec<u8> {
    let mut whole = path.as_bytes().to_vec();
    // The first is the path itself.
    let deeper = stack.iter().skip(1).map(|emptying| &emptying.name[..]);
    for part in deeper.chain((!stack.is_empty() && !name.is_empty()).then_some(name)) {
        whole.push(b'/');
        whole.extend_from_slice(part);
    }
    whole
}

pub(super) async fn symlink(vm: Arc<Vm>, r: Symlink) -> Reply<Empty> {
    let path = guest_path(&r.path)?;
    let kernel = vm.kernel();
    kernel
        .symlink(&kernel.host(), r.target.0, At::Cwd(path.as_bytes()))
        .await
        .map_err(|e| failed(e, "symlink", &path))?;
    Ok(Empty {})
}

pub(super) async fn read_link(vm: Arc<Vm>, r: ReadLink) -> Reply<ReadLinkReply> {
    let path = guest_path(&r.path)?;
    let kernel = vm.kernel();
    let target = kernel
        .readlink(&kernel.host(), At::Cwd(path.as_bytes()))
        .await
        .map_err(|e| failed(e, "readlink", &path))?;
    Ok(ReadLinkReply { target: target.into() })
}

pub(super) async fn link(vm: Arc<Vm>, r: Link) -> Reply<Empty> {
    let (from, to) = (guest_path(&r.from)?, guest_path(&r.to)?);
    let kernel = vm.kernel();
    kernel
        .link(&kernel.host(), At::Cwd(from.as_bytes()), false, At::Cwd(to.as_bytes()))
        .await
        .map_err(|e| failed(e, "link", &to))?;
    Ok(Empty {})
}

async fn change(vm: &Vm, path: &WirePath, operation: &str, follow: bool, change: SetAttr) -> Reply<Empty> {
    let path = guest_path(path)?;
    let kernel = vm.kernel();
    kernel
        .setattr(&kernel.host(), At::Cwd(path.as_bytes()), follow, &change)
        .await
        .map_err(|e| failed(e, operation, &path))?;
    Ok(Empty {})
}

pub(super) async fn chmod(vm: Arc<Vm>, r: Chmod) -> Reply<Empty> {
    change(&vm, &r.path, "chmod", true, SetAttr { perm: Some(r.mode & 0o7777), ..SetAttr::default() }).await
}

pub(super) async fn chown(vm: Arc<Vm>, r: Chown) -> Reply<Empty> {
    let owner = SetAttr { uid: Some(r.uid), gid: Some(r.gid), ..SetAttr::default() };
    change(&vm, &r.path, "chown", r.follow, owner).await
}

pub(super) async fn truncate(vm: Arc<Vm>, r: Truncate) -> Reply<Empty> {
    change(&vm, &r.path, "truncate", true, SetAttr { size: Some(r.size), ..SetAttr::default() }).await
}

pub(super) async fn utimes(vm: Arc<Vm>, r: Utimes) -> Reply<Empty> {
    let time = |ms: Option<f64>| match ms {
        None => Ok(None),
        Some(ms) => match timespec(ms) {
            Some(time) => Ok(Some(SetTime::At(time))),
            None => Err(failed(Errno::EINVAL, "utimes", &r.path)),
        },
    };
    let times = SetAttr { atime: time(r.atime_ms)?, mtime: time(r.mtime_ms)?, ..SetAttr::default() };
    change(&vm, &r.path, "utimes", r.follow, times).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip() {
        for (ms, secs, nanos) in [(0.0, 0, 0), (1500.25, 1, 500_250_000), (-1.0, -1, 999_000_000)] {
            assert_eq!(timespec(ms), Some(Timespec { secs, nanos }));
            assert!((milliseconds(Timespec { secs, nanos }) - ms).abs() < 1e-6);
        }
        assert_eq!(timespec(f64::NAN), None);
        assert_eq!(timespec(1e300), None);
    }
}
