//! A host that swaps files, directories and links of a mounted directory while guests work in it: thousands of system
//! calls, and nothing beside the mount is read, changed or made. What each name may lead to is in the tests of `vfs`.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use agentos_abi::fd::{O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
use agentos_kernel::sys::{At, Who};
use agentos_kernel::{Errno, Kernel, Limits};
use agentos_vfs::{
    GuestPath, HostDir, HostDirOptions, MountOptions, NewKind, RenameFlags, SetAttr, SetTime, Timespec, Tree,
};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags as HostRename, renameat_with};

use crate::config;

const SECRET: &str = "nobody in the machine reads this";
/// System calls of each guest.
const CALLS: u64 = 4000;

/// `mount`, which is mounted, and `outside`, which looks the same and must stay as it is.
struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Host { folder: tempfile::tempdir().unwrap() };
        for (side, text) in [("mount", "inside"), ("outside", SECRET)] {
            let side = host.path(side);
            for directory in ["work/a/deep", "work/b", "other"] {
                std::fs::create_dir_all(side.join(directory)).unwrap();
            }
            for file in ["f", "work/f", "work/a/f", "work/a/deep/f", "work/b/f", "other/f"] {
                std::fs::write(side.join(file), text).unwrap();
                std::fs::set_permissions(side.join(file), std::fs::Permissions::from_mode(0o640)).unwrap();
            }
        }
        let mount = host.path("mount");
        symlink("../outside/work", mount.join("evil")).unwrap();
        symlink(host.path("outside/f"), mount.join("evil-file")).unwrap();
        symlink("../../outside/work/a", mount.join("work/evil")).unwrap();
        symlink("/", mount.join("slash")).unwrap();
        symlink("..", mount.join("up")).unwrap();
        rustix::fs::mknodat(CWD, mount.join("fifo"), rustix::fs::FileType::Fifo, 0o666.into(), 0).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Everything beside the mount: types, modes, owners, times of change, contents.
    fn outside(&self) -> BTreeMap<PathBuf, (u32, u64, i64, i64, Vec<u8>)> {
        let mut all = BTreeMap::new();
        let mut todo = vec![self.path("outside")];
        while let Some(path) = todo.pop() {
            let stat = std::fs::symlink_metadata(&path).unwrap();
            let content = if stat.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
            if stat.is_dir() {
                todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            all.insert(path, (stat.mode(), stat.nlink(), stat.mtime(), stat.ctime(), content));
        }
        all
    }
}

/// A name in a directory of the mount that was opened before anything was swapped: the host itself must follow no link of its own.
type Spot = (Arc<OwnedFd>, &'static str);

/// Swaps names for each other as fast as it can, until told to stop. Returns how often.
fn swapper(pairs: Vec<(Spot, Spot)>, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut swaps = 0;
        while !stop.load(Ordering::Relaxed) {
            for ((one, a), (two, b)) in &pairs {
                // A guest may have removed or moved one of them: then there is nothing to swap.
                swaps += u64::from(renameat_with(&**one, *a, &**two, *b, HostRename::EXCHANGE).is_ok());
            }
        }
        swaps
    })
}

/// Makes the files anew that guests moved away, at the top, where no link of the host can lead it elsewhere.
fn mender(mount: PathBuf, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            // O_EXCL follows no link.
            let made = std::fs::File::create_new(mount.join("f"));
            let _ = made.and_then(|mut file| std::io::Write::write_all(&mut file, b"inside"));
            let _ = std::fs::create_dir(mount.join("work"));
            let _ = symlink("../outside/work", mount.join("evil"));
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    })
}

async fn machine(mount: &Path) -> Arc<Kernel> {
    let tree = Tree::new();
    tree.put_dir("/tmp", 0o1777, 0, 0).unwrap();
    // What links of the mount lead to inside of the machine.
    for path in ["/outside/f", "/outside/work/f", "/outside/work/a/f", "/f"] {
        tree.put_file(path, 0o666, 1000, 1000, "of the machine").unwrap();
    }
    let kernel = Kernel::new(config(&tree, Limits::default())).await.unwrap();
    let fs = HostDir::open(mount, HostDirOptions::default()).unwrap();
    kernel.mount(&GuestPath::new("/m").unwrap(), Arc::new(fs), MountOptions::default()).await.unwrap();
    kernel
}

const PATHS: [&str; 18] = [
    "/m/f",
    "/m/work/f",
    "/m/work/a/f",
    "/m/work/a/deep/f",
    "/m/work/a/../f",
    "/m/work/evil/f",
    "/m/evil/f",
    "/m/evil/a/f",
    "/m/evil/a/deep/../../f",
    "/m/evil-file",
    "/m/up/outside/f",
    "/m/slash/outside/work/f",
    "/m/work/b/f",
    "/m/other/f",
    "/m/work/a",
    "/m/evil",
    "/m/fifo",
    "/m/work/b/../../other/../work/a/f",
];

/// A number that looks random, the same in every run.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

/// One system call on some path; what it read, if it reads.
async fn call(kernel: &Kernel, who: &Who, state: &mut u64) -> Result<Vec<u8>, Errno> {
    let path = PATHS[next(state) % PATHS.len()];
    let other = PATHS[next(state) % PATHS.len()];
    let new = format!("{path}-{}", next(state) % 4);
    let at = At::Cwd(path.as_bytes());
    let done = |()| Vec::new();
    match next(state) % 16 {
        0..=2 => {
            let file = kernel.open(who, None, at, O_RDONLY, 0).await?;
            let mut buf = [0; 64];
            let n = kernel.pread(&file, &mut buf, 0).await?;
            Ok(buf[..n].to_vec())
        }
        3 => {
            let flags =
                [O_WRONLY, O_RDWR | O_TRUNC, O_WRONLY | O_CREAT, O_WRONLY | O_APPEND][next(state) % 4];
            let file = kernel.open(who, None, at, flags, 0o600).await?;
            kernel.pwrite(None, &file, b"written by a guest", 0).await.map(|_| Vec::new())
        }
        4 => kernel
            .open(who, None, At::Cwd(new.as_bytes()), O_RDWR | O_CREAT | O_EXCL, 0o600)
            .await
            .map(|_| Vec::new()),
        5 => kernel.make(who, At::Cwd(new.as_bytes()), NewKind::Directory, 0o755).await.map(done),
        6 => kernel.symlink(who, b"../../outside/f".to_vec(), At::Cwd(new.as_bytes())).await.map(done),
        7 => kernel.link(who, at, next(state).is_multiple_of(2), At::Cwd(new.as_bytes())).await.map(done),
        8 => kernel.unlink(who, At::Cwd(new.as_bytes())).await.map(done),
        9 => kernel.rmdir(who, At::Cwd(new.as_bytes())).await.map(done),
        10 => {
            let flags =
                RenameFlags { no_replace: next(state).is_multiple_of(3), exchange: next(state) % 3 == 1 };
            kernel.rename(who, at, At::Cwd(other.as_bytes()), flags).await.map(done)
        }
        11 => {
            let perm = SetAttr { perm: Some(0o666), ..SetAttr::default() };
            kernel.setattr(who, at, true, &perm).await.map(done)
        }
        12 => {
            let size = SetAttr { size: Some(3), ..SetAttr::default() };
            kernel.setattr(who, at, true, &size).await.map(done)
        }
        13 => {
            let time = Some(SetTime::At(Timespec { secs: 1, nanos: 0 }));
            kernel.utimens(who, at, next(state).is_multiple_of(2), time, time).await.map(done)
        }
        14 => {
            let directory = kernel.open(who, None, at, O_RDONLY, 0).await?;
            let mut names = Vec::new();
            kernel.read_directory(None, &directory, 0).await?.each(|_, _, _, name| {
                names.extend_from_slice(name);
                true
            });
            Ok(names)
        }
        _ => kernel.readlink(who, at).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nothing_beside_a_mount_is_reached_whatever_the_host_swaps() {
    let host = Host::new();
    let before = host.outside();
    let kernel = machine(&host.path("mount")).await;
    let stop = Arc::new(AtomicBool::new(false));
    let open = |path: &str| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        Arc::new(rustix::fs::open(host.path(path), flags, Mode::empty()).unwrap())
    };
    let (top, work, a) = (open("mount"), open("mount/work"), open("mount/work/a"));
    let [top, work, a] = [top, work, a].map(|fd| move |name: &'static str| (Arc::clone(&fd), name));
    let directories = vec![
        (top("work"), top("evil")),
        (work("a"), work("evil")),
        (a("deep"), work("evil")),
        (top("other"), top("evil")),
    ];
    let files = vec![
        (top("f"), top("evil-file")),
        (work("f"), top("evil-file")),
        (a("f"), top("evil-file")),
        (top("f"), top("fifo")),
        (work("b"), top("f")),
        (work("a"), top("f")),
    ];
    let swappers = [swapper(directories, Arc::clone(&stop)), swapper(files, Arc::clone(&stop))];
    let mender = mender(host.path("mount"), Arc::clone(&stop));
    let counts: Arc<[AtomicU64; 2]> = Arc::default();
    let mut guests = tokio::task::JoinSet::new();
    for seed in 0..3_u64 {
        let (kernel, counts) = (Arc::clone(&kernel), Arc::clone(&counts));
        guests.spawn(async move {
            let mut who = kernel.host();
            let mut state = seed;
            for n in 0..CALLS {
                // One who works in a directory that comes and goes.
                if n % 16 == 0
                    && let Ok(cwd) = kernel.resolve_directory(&who, At::Cwd(b"/m/work/a")).await
                {
                    who.cwd = cwd;
                }
                let done = call(&kernel, &who, &mut state).await;
                counts[usize::from(done.is_err())].fetch_add(1, Ordering::Relaxed);
                let read = done.unwrap_or_default();
                assert!(!String::from_utf8_lossy(&read).contains(SECRET), "the secret was read");
                for relative in [&b"f"[..], b"../f", b"../../f", b"../../../outside/f"] {
                    let Ok(file) = kernel.open(&who, None, At::Cwd(relative), O_RDONLY, 0).await else {
                        continue;
                    };
                    let mut buf = [0; 64];
                    let n = kernel.pread(&file, &mut buf, 0).await.unwrap_or(0);
                    assert!(!String::from_utf8_lossy(&buf[..n]).contains(SECRET), "the secret was read");
                }
            }
        });
    }
    while let Some(ended) = guests.join_next().await {
        ended.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let swaps: Vec<u64> = swappers.into_iter().map(|thread| thread.join().unwrap()).collect();
    mender.join().unwrap();
    assert_eq!(host.outside(), before);
    let counts: Vec<u64> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    assert!(
        swaps.iter().all(|swaps| *swaps > 100) && counts.iter().all(|count| *count > 100),
        "{swaps:?} {counts:?}"
    );
}

#[tokio::test]
async fn a_mount_whose_directory_goes_is_empty_and_one_that_is_replaced_stays_itself() {
    let host = Host::new();
    let before = host.outside();
    let kernel = machine(&host.path("mount")).await;
    let who = kernel.host();
    let read = async |path: &str| -> Result<String, Errno> {
        let file = kernel.open(&who, None, At::Cwd(path.as_bytes()), O_RDONLY, 0).await?;
        let mut buf = [0; 64];
        let n = kernel.pread(&file, &mut buf, 0).await?;
        Ok(String::from_utf8_lossy(&buf[..n]).into_owned())
    };
    assert_eq!(read("/m/f").await.unwrap(), "inside");
    // The name of the mounted directory leads elsewhere now: it is the directory that is mounted, not the name.
    std::fs::rename(host.path("mount"), host.path("moved")).unwrap();
    symlink(host.path("outside"), host.path("mount")).unwrap();
    assert_eq!(read("/m/f").await.unwrap(), "inside");
    assert_eq!(read("/m/../outside/f").await.unwrap(), "of the machine");
    kernel.make(&who, At::Cwd(b"/m/new"), NewKind::Directory, 0o755).await.unwrap();
    assert!(host.path("moved/new").is_dir());
    // A directory of the host takes its place.
    std::fs::remove_file(host.path("mount")).unwrap();
    std::fs::create_dir(host.path("mount")).unwrap();
    std::fs::write(host.path("mount/f"), SECRET).unwrap();
    assert_eq!(read("/m/f").await.unwrap(), "inside");
    // It is removed.
    std::fs::remove_dir_all(host.path("moved")).unwrap();
    assert_eq!(read("/m/f").await, Err(Errno::ENOENT));
    let made = kernel.make(&who, At::Cwd(b"/m/new"), NewKind::Directory, 0o755).await;
    assert_eq!(made, Err(Errno::ENOENT));
    let directory = kernel.open(&who, None, At::Cwd(b"/m"), O_RDONLY, 0).await.unwrap();
    let mut names = Vec::new();
    kernel.read_directory(None, &directory, 0).await.unwrap().each(|_, _, _, name| {
        names.push(name.to_vec());
        true
    });
    assert_eq!(names, [&b"."[..], b".."]);
    drop(directory);
    kernel.statfs(&who, At::Cwd(b"/m")).await.unwrap();
    kernel.unmount(&GuestPath::new("/m").unwrap()).await.unwrap();
    assert_eq!(host.outside(), before);
}
