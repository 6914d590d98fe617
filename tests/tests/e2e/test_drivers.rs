//! Drivers of this program that are slow, gone, or lie: guests get an answer or an error, the host keeps its bounds.
//! Drivers that behave are in `test_mounts`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use agentos::{
    AgentOs, AgentOsConfig, AgentOsSidecarConfig, DriverDirEntry, DriverFuture, DriverStat, Errno, FileType,
    MountFsOptions, SpawnOptions, UnmountOptions, VirtualFileSystem,
};
use agentos_tests::{Sidecar, StuckDriver, eventually, sh};

static SIDECAR: Sidecar = Sidecar::new();

const DETACH: UnmountOptions = UnmountOptions { detach: true };

fn ready<T: Send + 'static>(result: Result<T, Errno>) -> DriverFuture<'static, T> {
    Box::pin(std::future::ready(result))
}

fn entry(name: impl Into<Vec<u8>>, kind: FileType) -> DriverDirEntry {
    DriverDirEntry { name: name.into(), kind, ino: 0 }
}

async fn mount(os: &AgentOs, path: &str, driver: impl VirtualFileSystem) {
    os.mount_fs(path, Arc::new(driver), MountFsOptions::default()).await.unwrap();
}

#[test]
fn a_read_that_waits_fails_when_the_driver_goes() {
    SIDECAR.test(async |os| {
        let driver = Arc::new(Counting::default());
        os.mount_fs("/d", Arc::clone(&driver) as _, MountFsOptions::default()).await.unwrap();
        let fork = os.fork().await.unwrap();
        let mut waiting = Vec::new();
        for line in ["cat /d/slow; echo $?", "head -c 1 /d/slow; echo $?", "read x < /d/slow; echo $?"] {
            waiting.push(os.spawn("sh", ["-c", line], SpawnOptions::default()).await.unwrap());
        }
        eventually("all read", async || driver.now.load(Ordering::SeqCst) == waiting.len()).await;
        // As long as the copy has it, the driver goes on.
        os.unmount_fs_with("/d", DETACH).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(driver.now.load(Ordering::SeqCst), waiting.len());
        fork.dispose().await.unwrap();
        for process in waiting {
            let mut text = String::new();
            let mut out = process.stdout().await.unwrap();
            while let Some(chunk) = out.next().await {
                text.push_str(&String::from_utf8_lossy(&chunk.unwrap().data));
            }
            assert_eq!(text, "1\n");
            process.wait().await.unwrap();
        }
        eventually("the driver is let go", async || Arc::strong_count(&driver) == 1).await;
    });
}

#[test]
fn a_guest_that_waits_for_a_driver_can_be_killed() {
    SIDECAR.test(async |os| {
        mount(os, "/stuck", StuckDriver).await;
        let reader = os.spawn("cat", ["/stuck/f"], SpawnOptions::default()).await.unwrap();
        eventually("it has it open", async || {
            !sh(os, &format!("ls /proc/{}/fd | grep -v '^[012]$'", reader.pid)).await.stdout.is_empty()
        })
        .await;
        reader.kill().await.unwrap();
        reader.wait().await.unwrap();
        eventually("it is unmounted", async || os.unmount_fs("/stuck").await.is_ok()).await;
    });
}

#[test]
fn the_end_of_a_client_ends_its_machines_in_the_middle_of_a_read() {
    agentos_tests::watched(async || {
        let sidecar = Sidecar::start().await;
        let config = AgentOsConfig {
            sidecar: Some(AgentOsSidecarConfig::Explicit { handle: sidecar }),
            ..AgentOsConfig::default()
        };
        let driver = Arc::new(Counting::default());
        let os = AgentOs::create(config).await.unwrap();
        os.mount_fs("/d", Arc::clone(&driver) as _, MountFsOptions::default()).await.unwrap();
        let reader = os.spawn("cat", ["/d/slow"], SpawnOptions::default()).await.unwrap();
        eventually("it reads", async || driver.now.load(Ordering::SeqCst) == 1).await;
        drop((reader, os));
        eventually("the driver is let go", async || Arc::strong_count(&driver) == 1).await;
        assert_eq!(driver.now.load(Ordering::SeqCst), 0);
    });
}

/// Counts the reads that are under way.
#[derive(Default)]
struct Counting {
    now: AtomicUsize,
    most: AtomicUsize,
}

struct Counted<'a>(&'a Counting);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl VirtualFileSystem for Counting {
    fn stat<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, DriverStat> {
        ready(Ok(if path == Path::new("/") { DriverStat::directory() } else { DriverStat::file(4) }))
    }
    fn read_dir<'a>(&'a self, _: &'a Path) -> DriverFuture<'a, Vec<DriverDirEntry>> {
        ready(Ok(Vec::new()))
    }
    fn read<'a>(&'a self, path: &'a Path, offset: u64, _: usize) -> DriverFuture<'a, Vec<u8>> {
        Box::pin(async move {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            let _counted = Counted(self);
            self.most.fetch_max(now, Ordering::SeqCst);
            if path == Path::new("/slow") {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(if offset == 0 { b"data".to_vec() } else { Vec::new() })
        })
    }
}

#[test]
fn calls_of_one_mount_are_bounded_and_none_is_lost() {
    SIDECAR.test(async |os| {
        let driver = Arc::new(Counting::default());
        os.mount_fs("/d", Arc::clone(&driver) as _, MountFsOptions::default()).await.unwrap();
        let mut all = tokio::task::JoinSet::new();
        for n in 0..200 {
            let os = os.clone();
            all.spawn(async move { os.read_file(format!("/d/{n}")).await.unwrap() });
        }
        assert!(all.join_all().await.iter().all(|data| data == b"data"));
        let most = driver.most.load(Ordering::SeqCst);
        assert!((2..=16).contains(&most), "{most} at a time");
    });
}

/// Says something else each time it is asked.
#[derive(Default)]
struct Fickle(AtomicU32);

impl Fickle {
    fn turn(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

const KINDS: [FileType; 7] = [
    FileType::File,
    FileType::Directory,
    FileType::Symlink,
    FileType::Fifo,
    FileType::Socket,
    FileType::CharDevice,
    FileType::BlockDevice,
];

impl VirtualFileSystem for Fickle {
    fn stat<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, DriverStat> {
        let turn = self.turn() as usize;
        let sizes = [0, 1, 1 << 40, u64::MAX, i64::MAX as u64];
        let times = [0.0, f64::NAN, f64::INFINITY, -1e300, 1e300];
        let kind = if path == Path::new("/") { FileType::Directory } else { KINDS[turn % KINDS.len()] };
        ready(Ok(DriverStat {
            kind,
            ino: u64::MAX,
            mode: u32::MAX,
            nlink: 0,
            uid: 1000,
            size: sizes[turn % sizes.len()],
            atime_ms: times[turn % times.len()],
            mtime_ms: times[(turn + 1) % times.len()],
            ..DriverStat::file(0)
        }))
    }
    fn read_dir<'a>(&'a self, _: &'a Path) -> DriverFuture<'a, Vec<DriverDirEntry>> {
        let kind = KINDS[self.turn() as usize % KINDS.len()];
        let names: [&[u8]; 12] = [
            b"a",
            b"a",
            b"..",
            b".",
            b"",
            b"x/y",
            b"/etc",
            b"n\0ul",
            b"\xff\xfe",
            b"new\nline",
            b"\x1b[2J",
            &[b'l'; 300],
        ];
        ready(Ok(names.into_iter().map(|name| entry(name, kind)).collect()))
    }
    fn read<'a>(&'a self, _: &'a Path, _: u64, len: usize) -> DriverFuture<'a, Vec<u8>> {
        match self.turn() % 3 {
            0 => ready(Ok(vec![b'x'; len + 1])),
            1 => ready(Ok(Vec::new())),
            _ => ready(Ok(vec![b'y'; len.min(7)])),
        }
    }
    fn write<'a>(&'a self, _: &'a Path, _: Option<u64>, _: Vec<u8>) -> DriverFuture<'a, ()> {
        ready(if self.turn().is_multiple_of(2) { Ok(()) } else { Err(Errno::EINTR) })
    }
    fn create<'a>(&'a self, path: &'a Path, _: u32) -> DriverFuture<'a, DriverStat> {
        self.stat(path)
    }
    fn mkdir<'a>(&'a self, path: &'a Path, _: u32) -> DriverFuture<'a, DriverStat> {
        self.stat(path)
    }
    fn remove_file<'a>(&'a self, _: &'a Path) -> DriverFuture<'a, ()> {
        ready(Ok(()))
    }
    fn remove_dir<'a>(&'a self, _: &'a Path) -> DriverFuture<'a, ()> {
        ready(Ok(()))
    }
    fn rename<'a>(&'a self, _: &'a Path, _: &'a Path, _: bool) -> DriverFuture<'a, ()> {
        ready(Ok(()))
    }
    fn read_link<'a>(&'a self, _: &'a Path) -> DriverFuture<'a, Vec<u8>> {
        let targets: [&[u8]; 5] = [b"", b"a", b"/proc/self/root", b"../../../../etc/passwd", &[b'/'; 5000]];
        ready(Ok(targets[self.turn() as usize % targets.len()].to_vec()))
    }
    fn truncate<'a>(&'a self, _: &'a Path, _: u64) -> DriverFuture<'a, ()> {
        ready(Ok(()))
    }
}

#[test]
fn a_driver_that_lies_harms_nobody_but_who_believes_it() {
    SIDECAR.test(async |os| {
        mount(os, "/liar", Fickle::default()).await;
        let line = "cd /liar; for n in 1 2 3 4 5 6 7 8; do ls -la; ls -R . | head -50; stat a; timeout 2 head -c 100 a; \
                    echo x > a; echo y >> a; mkdir d; mv a b; rm -r d; cp a c; ln -s a l; readlink a; cat a/../a/b; find . -maxdepth 2; \
                    truncate -s 5 a; touch a; tail -c 3 a; cd a; cd ..; done 2>&1 | head -c 100000 > /workspace/out; echo alive";
        let options = agentos::ExecOptions { timeout: Some(Duration::from_secs(40)), ..Default::default() };
        let result = os.exec(line, options).await.unwrap();
        assert_eq!(result.stdout, "alive\n", "{result:?}");
        for _ in 0..30 {
            let _ = os.stat("/liar/a").await;
            let _ = os.write_file("/liar/a", vec![1; 300_000]).await;
            let _ = os.read_link("/liar/a").await;
            let _ = os.readdir_recursive("/liar", agentos::ReaddirRecursiveOptions { max_depth: Some(2), ..Default::default() }).await;
        }
        let names = sh(os, "ls -1b /liar").await.stdout;
        assert!(!names.contains("..") && !names.contains("/") && !names.contains("lll"), "{names}");
        assert_eq!(sh(os, "cat /etc/hostname").await.stdout, "agentos\n");
    });
}

const LONG: [u8; 250] = [b'd'; 250];

/// A directory that holds itself, and one that holds more than a page.
struct Endless;

impl VirtualFileSystem for Endless {
    fn stat<'a>(&'a self, _: &'a Path) -> DriverFuture<'a, DriverStat> {
        ready(Ok(DriverStat { ino: 1, ..DriverStat::directory() }))
    }
    fn read_dir<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, Vec<DriverDirEntry>> {
        if path.ends_with("many") {
            let all = (0..70_000).map(|n| entry(format!("{n}"), FileType::File));
            return ready(Ok(all.collect()));
        }
        ready(Ok(vec![entry(LONG, FileType::Directory)]))
    }
    fn read<'a>(&'a self, _: &'a Path, _: u64, _: usize) -> DriverFuture<'a, Vec<u8>> {
        ready(Err(Errno::EISDIR))
    }
}

#[test]
fn directories_without_end_come_to_one() {
    SIDECAR.test(async |os| {
        mount(os, "/endless", Endless).await;
        let options = agentos::ExecOptions { timeout: Some(Duration::from_secs(50)), ..Default::default() };
        let long = String::from_utf8_lossy(&LONG);
        let line = format!(
            "cd /endless; n=0; while cd -P {long} 2>&- && [ $n -lt 100 ]; do n=$((n+1)); done; echo $n; \
             cd {long}; cd /; ls /endless | wc -c; ls -U /endless/many | wc -l"
        );
        let result = os.exec(&line, options).await.unwrap();
        // The path of a driver ends where paths end.
        assert_eq!(result.stdout, "16\n251\n70000\n", "{result:?}");
        assert!(result.stderr.contains("File name too long"), "{result:?}");
    });
}
