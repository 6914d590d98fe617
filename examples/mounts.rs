//! Three kinds of mounts: memory, a directory of the host, and a file system that this program makes up. Guests and the
//! API see the same: `cargo run --release -p agentos-examples --bin mounts`.

#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;

use agentos::{AgentOs, AgentOsConfig, DriverDirEntry, DriverFuture, DriverStat, Errno, Error, ExecOptions};
use agentos::{FileType, MountConfig, MountFsOptions, VirtualFileSystem};

/// Squares, each in a file of its own: `/7` holds `49`.
struct Squares;

fn square(path: &Path) -> Option<String> {
    let n: u32 = path.to_str()?.strip_prefix('/')?.parse().ok()?;
    (1..=9).contains(&n).then(|| format!("{}\n", n * n))
}

impl VirtualFileSystem for Squares {
    fn stat<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, DriverStat> {
        Box::pin(async move {
            match square(path) {
                Some(text) => Ok(DriverStat::file(text.len() as u64)),
                None if path == Path::new("/") => Ok(DriverStat::directory()),
                None => Err(Errno::ENOENT),
            }
        })
    }

    fn read_dir<'a>(&'a self, _: &'a Path) -> DriverFuture<'a, Vec<DriverDirEntry>> {
        let entry = |n: u8| DriverDirEntry { name: vec![b'0' + n], kind: FileType::File, ino: 0 };
        Box::pin(async move { Ok((1..=9).map(entry).collect()) })
    }

    fn read<'a>(&'a self, path: &'a Path, offset: u64, len: usize) -> DriverFuture<'a, Vec<u8>> {
        Box::pin(async move {
            let text = square(path).ok_or(Errno::ENOENT)?;
            Ok(text.into_bytes().into_iter().skip(offset as usize).take(len).collect())
        })
    }
}

fn main() -> Result<(), Error> {
    agentos::sidecar::init();
    run()
}

#[tokio::main]
async fn run() -> Result<(), Error> {
    // Examples are beside the notes that are mounted here, read-only.
    let notes = concat!(env!("CARGO_MANIFEST_DIR"), "/project");
    let config = AgentOsConfig::builder()
        .mount(MountConfig::memory("/scratch"))
        .mount(MountConfig::host_dir("/project", notes, true))
        .build();
    let os = AgentOs::create(config).await?;
    let read_only = MountFsOptions { read_only: true };
    os.mount_fs("/squares", Arc::new(Squares), read_only).await?;

    let sum =
        "cat /squares/3 /squares/4 > /scratch/two && wc -l < /scratch/two && grep -c milk /project/notes.txt";
    let result = os.exec(sum, ExecOptions::default()).await?;
    println!("{}{}", result.stdout, result.stderr);
    assert!(result.success() && result.stdout.starts_with("2\n"), "{result:?}");
    assert_eq!(os.read_file("/scratch/two").await?, b"9\n16\n");
    assert_eq!(os.read_file("/squares/9").await?, b"81\n");
    assert_eq!(os.read_file("/project/notes.txt").await?, include_bytes!("project/notes.txt"));
    let refused = os.write_file("/project/notes.txt", "no").await;
    assert!(matches!(refused, Err(Error::ReadOnly { .. })), "{refused:?}");
    os.unmount_fs("/squares").await?;
    assert!(!os.exists("/squares/9").await?);
    os.dispose().await
}
