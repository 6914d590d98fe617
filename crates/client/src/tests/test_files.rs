//! Files: inline when small, by stream when large, and with the sidecar's error in either case.

use agentos_protocol::message::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{soon, vm};
use crate::{BatchWriteEntry, Errno, Error, ReaddirRecursiveOptions};

fn big() -> Vec<u8> {
    (0..3_000_000_u32).map(|i| (i % 241) as u8).collect()
}

#[tokio::test]
async fn contents_of_any_size_go_there_and_back() {
    let (os, fake) = vm().await;
    for (path, content) in [("/empty", vec![]), ("/small", b"hello".to_vec()), ("/big", big())] {
        soon(os.write_file(path, &content)).await.unwrap();
        assert!(soon(os.read_file(path)).await.unwrap() == content, "{path}");
        let mut file = soon(os.open_read(path, Default::default())).await.unwrap();
        assert_eq!(file.size(), content.len() as u64);
        let mut read = Vec::new();
        soon(file.read_to_end(&mut read)).await.unwrap();
        assert!(read == content, "{path}");
    }
    let mut file = soon(os.open_write("/streamed", Default::default())).await.unwrap();
    soon(file.write_all(&big())).await.unwrap();
    soon(file.shutdown()).await.unwrap();
    assert!(fake.files.lock()[&"/streamed".into()] == big());
}

#[tokio::test]
async fn errors_are_those_of_the_sidecar() {
    let (os, fake) = vm().await;
    let error = soon(os.read_file("/none")).await.unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOENT));
    assert_eq!(error.to_string(), "open /none: no such file or directory");
    for content in [b"x".to_vec(), big()] {
        let error = soon(os.write_file("/ro/x", &content)).await.unwrap_err();
        assert!(matches!(&error, Error::ReadOnly { path } if path == "/ro/x"), "{error:?}");
    }
    let before = fake.calls.lock().len();
    assert!(matches!(os.read_file("relative").await, Err(Error::PathNotAbsolute { .. })));
    assert!(matches!(os.write_file("/a/../b", "").await, Err(Error::PathNotNormalized { .. })));
    assert_eq!(fake.calls.lock().len(), before, "wrong paths are not sent");
}

#[tokio::test]
async fn batches_have_a_result_for_each() {
    let (os, _fake) = vm().await;
    let entry = |path: &str| BatchWriteEntry { path: path.into(), content: path.into() };
    let written = soon(os.write_files([entry("/a"), entry("/ro/b"), entry("c"), entry("/d")])).await;
    let ok: Vec<bool> = written.iter().map(|w| w.result.is_ok()).collect();
    assert_eq!(ok, [true, false, false, true]);
    let read = soon(os.read_files(["/d", "/ro/b", "/a"])).await;
    assert_eq!(read[0].result.as_ref().unwrap(), b"/d");
    assert!(read[1].result.is_err());
    assert_eq!((read[2].path.as_str(), read[2].result.is_ok()), ("/a", true));
}

#[tokio::test]
async fn listings_are_complete() {
    let (os, _fake) = vm().await;
    assert_eq!(soon(os.readdir("/")).await.unwrap(), ["f0", "f1", "f2", "f3", "f4"], "over three pages");
    let all = soon(os.readdir_recursive("/big", Default::default())).await.unwrap();
    assert_eq!(all.len(), 20_000);
    assert_eq!((all[8].path.as_str(), &all[8].raw_path), ("/big/d/8", &None));
    assert_eq!(
        (all[9].path.as_str(), all[9].raw_path.as_deref()),
        ("/big/n\u{fffd}", Some(&b"/big/n\xff"[..]))
    );
    let error = soon(os.readdir_recursive("/file", Default::default())).await.unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOTDIR));
}

#[tokio::test]
async fn a_file_without_an_end_is_an_error_or_a_stream() {
    let (os, _fake) = vm().await;
    let error = soon(os.read_file("/endless")).await.unwrap_err();
    assert!(matches!(&error, Error::Limit { name, .. } if name == "readFile"), "{error:?}");
    let mut file = soon(os.open_read("/endless", Default::default())).await.unwrap();
    let mut some = [1; 100_000];
    soon(file.read_exact(&mut some)).await.unwrap();
    assert!(some == [0; 100_000]);
}

#[tokio::test]
async fn depth_0_is_the_directory_itself() {
    let (os, fake) = vm().await;
    for (asked, levels) in
        [(None, None), (Some(0), Some(1)), (Some(3), Some(4)), (Some(u32::MAX), Some(u32::MAX))]
    {
        let options = ReaddirRecursiveOptions { max_depth: asked, ..Default::default() };
        soon(os.readdir_recursive("/big", options)).await.unwrap();
        match fake.calls.lock().last() {
            Some(Request::ReaddirRecursive(call)) => assert_eq!(call.max_depth, levels),
            other => panic!("{other:?}"),
        }
    }
}
