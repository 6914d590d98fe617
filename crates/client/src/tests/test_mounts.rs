//! Drivers: called back by number, with their errors, on threads of their own.

use std::path::Path;
use std::sync::Arc;

use agentos_protocol::message::*;
use agentos_protocol::mux::CallError;

use super::{Fake, soon, vm, vm_with};
use crate::{
    AgentOsConfig, DriverDirEntry, DriverFuture, DriverStat, Errno, FileType, MountConfig, VirtualFileSystem,
};

struct Numbers;

impl VirtualFileSystem for Numbers {
    fn stat<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, DriverStat> {
        assert!(path != Path::new("/panic"), "a driver with a bug");
        Box::pin(
            async move { if path == Path::new("/f") { Ok(DriverStat::file(9)) } else { Err(Errno::ENOENT) } },
        )
    }

    fn read_dir<'a>(&'a self, _: &'a Path) -> DriverFuture<'a, Vec<DriverDirEntry>> {
        let entry = |i: u32| DriverDirEntry { name: format!("{i}").into(), kind: FileType::File, ino: 0 };
        Box::pin(async move { Ok((0..2500).map(entry).collect()) })
    }

    fn read<'a>(&'a self, _: &'a Path, _: u64, len: usize) -> DriverFuture<'a, Vec<u8>> {
        // More than asked: not to be believed.
        Box::pin(async move { Ok(vec![0; len + 1]) })
    }
}

fn peer(fake: &Fake) -> agentos_protocol::Connection {
    fake.connection.lock().clone().unwrap()
}

fn errno<T>(result: Result<T, CallError>) -> String {
    match result {
        Err(CallError::Remote(error)) => error.errno().map_or(error.code.clone(), str::to_owned),
        Err(other) => panic!("{other:?}"),
        Ok(_) => "none".to_owned(),
    }
}

fn driver_of(request: &Request) -> u64 {
    let source = match request {
        Request::CreateVm(call) => &call.config.mounts[0].source,
        Request::Mount(call) => &call.mount.source,
        other => panic!("{other:?}"),
    };
    match source {
        MountSource::Driver { driver_id } => *driver_id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_driver_answers_while_it_is_mounted() {
    let (os, fake) = vm().await;
    soon(os.mount_fs("/m", Arc::new(Numbers), Default::default())).await.unwrap();
    let driver_id = driver_of(fake.calls.lock().last().unwrap());
    let conn = peer(&fake);
    let stat = |path: &str| DriverStat_ { driver_id, path: path.into() };
    assert_eq!(soon(conn.call(&stat("/f"))).await.unwrap().size, 9);
    assert_eq!(errno(soon(conn.call(&stat("/g"))).await), "ENOENT");
    assert_eq!(errno(soon(conn.call(&stat("/panic"))).await), code::INTERNAL, "a panic answers too");
    let read = DriverRead { driver_id, path: "/f".into(), offset: 0, len: 10 };
    assert_eq!(errno(soon(conn.call(&read)).await), "EIO");
    assert_eq!(errno(soon(conn.call(&DriverUnlink { driver_id, path: "/f".into() })).await), "EROFS");

    let (mut cursor, mut names) = (0, Vec::new());
    loop {
        let page =
            soon(conn.call(&DriverReadDir { driver_id, path: "/".into(), cursor, page: 0 })).await.unwrap();
        names.extend(page.entries.into_iter().map(|e| e.name.to_text()));
        match page.next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!((names.len(), names[2499].as_str()), (2500, "2499"));

    soon(os.unmount_fs("/m")).await.unwrap();
    assert_eq!(errno(soon(conn.call(&stat("/f"))).await), "EIO");
}

use agentos_protocol::message::DriverStat as DriverStat_;

#[tokio::test]
async fn drivers_of_the_configuration_answer_until_the_vm_ends() {
    let mount = MountConfig::Plain { path: "/m".into(), driver: Arc::new(Numbers), read_only: true };
    let (os, fake) = vm_with(AgentOsConfig::builder().mount(mount).build()).await;
    let driver_id = driver_of(&fake.calls.lock()[0]);
    let call = DriverStat_ { driver_id, path: "/f".into() };
    assert_eq!(soon(peer(&fake).call(&call)).await.unwrap().size, 9);
    soon(os.dispose()).await.unwrap();
    assert_eq!(errno(soon(peer(&fake).call(&call)).await), "EIO");
}
