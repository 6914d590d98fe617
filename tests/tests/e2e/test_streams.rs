//! No stream blocks another: what is not read stops only its own producer.
//! Lengths and offsets are in `test_files` and `test_spawn`.

use std::time::Duration;

use agentos::{OpenReadOptions, OpenWriteOptions, SpawnOptions};
use agentos_tests::{Sidecar, live_processes, sh};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

static SIDECAR: Sidecar = Sidecar::new();

#[test]
fn a_hundred_megabytes_pass_beside_streams_that_stall() {
    SIDECAR.test(async |os| {
        let bytes: Vec<u8> =
            (0..100_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let digest = blake3::hash(&bytes);
        os.write_file("/tmp/stalled", &bytes[..20_000_000]).await.unwrap();
        // Neither of these is read; the last is written only in part.
        let unread = os.open_read("/tmp/stalled", OpenReadOptions::default()).await.unwrap();
        let yes = os.spawn("yes", Vec::<String>::new(), SpawnOptions::default()).await.unwrap();
        let out = yes.stdout().await.unwrap();
        let mut open = os.open_write("/tmp/open", OpenWriteOptions::default()).await.unwrap();
        open.write_all(b"part").await.unwrap();
        let unfed = os.spawn("sleep", ["1000"], SpawnOptions::default()).await.unwrap();
        let feeding = unfed.write_stdin(&bytes[..10_000_000]);
        assert!(tokio::time::timeout(Duration::from_millis(300), feeding).await.is_err(), "nobody reads it");

        os.write_file("/tmp/big", &bytes).await.unwrap();
        assert_eq!(blake3::hash(&os.read_file("/tmp/big").await.unwrap()), digest);
        assert_eq!(sh(os, "wc -c < /tmp/big").await.stdout.trim(), "100000000");
        let result = sh(os, "head -c 5000000 /tmp/big").await;
        assert_eq!(blake3::hash(result.stdout_bytes()), blake3::hash(&bytes[..5_000_000]));

        // The stalled ones go on where they stopped.
        let mut unread = unread;
        let mut all = Vec::new();
        unread.read_to_end(&mut all).await.unwrap();
        assert!(all == bytes[..20_000_000]);
        open.write_all(b" and rest").await.unwrap();
        open.shutdown().await.unwrap();
        assert_eq!(os.read_file("/tmp/open").await.unwrap(), b"part and rest");
        drop(out);
        yes.kill().await.unwrap();
        unfed.kill().await.unwrap();
        yes.wait().await.unwrap();
        unfed.wait().await.unwrap();
        assert!(live_processes(os).await.is_empty());
    });
}

#[test]
fn readers_that_are_dropped_free_their_streams() {
    SIDECAR.test(async |os| {
        os.write_file("/tmp/f", vec![1; 3 << 20]).await.unwrap();
        // More than a connection can have open at once.
        for _ in 0..3000 {
            let mut reader = os.open_read("/tmp/f", OpenReadOptions::default()).await.unwrap();
            let mut one = [0];
            reader.read_exact(&mut one).await.unwrap();
        }
        assert_eq!(os.read_file("/tmp/f").await.unwrap().len(), 3 << 20);
    });
}

#[test]
fn a_writer_that_is_dropped_blocks_nothing() {
    SIDECAR.test(async |os| {
        for i in 0..50 {
            let mut writer = os.open_write(format!("/tmp/{i}"), OpenWriteOptions::default()).await.unwrap();
            writer.write_all(&vec![b'x'; 100_000]).await.unwrap();
        }
        // What was under way may be in the files or not; nobody waits for it, and it is in nobody's way.
        os.write_file("/tmp/new", "new").await.unwrap();
        assert_eq!(os.read_file("/tmp/new").await.unwrap(), b"new");
        for i in 0..50 {
            let size = os.stat(format!("/tmp/{i}")).await.map_or(0, |stat| stat.size);
            assert!(size <= 100_000, "{size}");
        }
    });
}

#[test]
fn a_file_that_changes_while_it_is_read_ends_sensibly() {
    SIDECAR.test(async |os| {
        os.write_file("/tmp/f", vec![b'a'; 8 << 20]).await.unwrap();
        let mut reader = os.open_read("/tmp/f", OpenReadOptions::default()).await.unwrap();
        let mut begin = vec![0; 1000];
        reader.read_exact(&mut begin).await.unwrap();
        os.truncate("/tmp/f", 0).await.unwrap();
        os.delete("/tmp/f", Default::default()).await.unwrap();
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).await.unwrap();
        assert!(rest.len() < 8 << 20 && rest.iter().all(|b| *b == b'a'));
    });
}
