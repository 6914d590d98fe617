//! Names that are held as they are, while somebody outside of the machine opens what they lead to.

use std::future::IntoFuture;
use std::sync::Arc;

use agentos_vfs::host_dir::{Calls, Steady};
use agentos_vfs::{
    Errno, FileSystem, HostDir, HostDirOptions, Ino, NewKind, NewNode, RenameFlags, Reply, Result,
};

use crate::script::wait;

/// Whether a call is made although it is asked only once.
async fn is_done<T>(reply: &mut std::pin::Pin<&mut impl Future<Output = Result<T>>>) -> Option<Result<T>> {
    // Calls on threads of their own get the time they need; what waits for a name has none that would be enough.
    for _ in 0..50 {
        if let std::task::Poll::Ready(done) = futures_util::poll!(reply.as_mut()) {
            return Some(done);
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    None
}

fn node(kind: NewKind) -> NewNode {
    NewNode { kind, perm: 0o755, uid: 1000, gid: 1000 }
}

async fn held_names(calls: Calls) {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir(temp.path().join("dir")).unwrap();
    std::fs::write(temp.path().join("file"), "text").unwrap();
    std::fs::write(temp.path().join("gone"), "text").unwrap();
    let steady = Steady::default();
    let options = HostDirOptions { calls, steady: steady.clone(), ..HostDirOptions::default() };
    let fs: Arc<dyn FileSystem> = Arc::new(HostDir::open(temp.path(), options).unwrap());
    let root = fs.root();
    let file: Ino = fs.lookup(root, b"file").await.unwrap().ino;
    let flags = RenameFlags::default();

    let held = steady.hold().await;
    let also = steady.hold().await;
    let link = node(NewKind::Symlink(b"/etc".to_vec()));
    let replies: [Reply<'_, ()>; 4] = [
        Reply::later(async { fs.create(root, b"link", &link).await.map(drop) }),
        Reply::later(async { fs.link(file, root, b"hard").await.map(drop) }),
        fs.rename(root, b"dir", root, b"moved", flags),
        fs.rename(root, b"file", root, b"other", flags),
    ];
    let mut replies: Vec<_> = replies.into_iter().map(|reply| Box::pin(reply.into_future())).collect();
    for reply in &mut replies {
        assert!(is_done(&mut reply.as_mut()).await.is_none());
    }
    // What leads nowhere else does not wait.
    fs.create(root, b"new", &node(NewKind::Regular)).await.unwrap();
    fs.create(root, b"directory", &node(NewKind::Directory)).await.unwrap();
    fs.unlink(root, b"gone").await.unwrap();
    assert_eq!(fs.lookup(root, b"moved").await.map(drop), Err(Errno::ENOENT));
    drop(held);
    assert!(is_done(&mut replies[2].as_mut()).await.is_none());
    // Those that wait come before the next hold.
    let mut next = Box::pin(async { Ok(steady.hold().await) });
    assert!(is_done(&mut next.as_mut()).await.is_none());
    drop(also);
    // Whoever gives up does nothing any more; the others go on.
    drop(replies.remove(3));
    for reply in replies {
        reply.await.unwrap();
    }
    for name in ["link", "hard", "moved", "file"] {
        fs.lookup(root, name.as_bytes()).await.unwrap();
    }
    assert_eq!(fs.lookup(root, b"other").await.map(drop), Err(Errno::ENOENT));
    // And then a hold waits for nobody.
    drop(next.await.unwrap());
    drop(steady.hold().await);
}

#[test]
fn no_name_leads_elsewhere_while_names_are_held() {
    wait(held_names(Calls::Auto));
    wait(held_names(Calls::Threads));
}
