//! Lifecycle: disposing twice, dropping, a sidecar that dies, and programs that are no sidecar.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agentos_protocol::message::{SidecarState, WireError, code};

use super::{Fake, soon, vm, vm_with};
use crate::sidecar::{CreateSidecarOptions, SidecarPlacement};
use crate::{AgentOs, AgentOsConfig, Error, Event, ExecOptions};

#[tokio::test]
async fn disposing_is_idempotent_and_ends_everything() {
    let (os, fake) = vm_with(AgentOsConfig::builder().hostname("box").build()).await;
    let clone = os.clone();
    soon(os.dispose()).await.unwrap();
    soon(clone.dispose()).await.unwrap();
    assert_eq!(fake.methods(), ["vm.create", "vm.dispose"]);
    assert!(matches!(clone.exec("true", ExecOptions::default()).await, Err(Error::Disposed)));
    assert!(matches!(clone.read_file("/x").await, Err(Error::Disposed)));
    assert!(matches!(clone.on_process_exit(1).await, Err(Error::Disposed)));
}

#[tokio::test]
async fn dropping_the_last_clone_disposes_the_vm() {
    let (os, fake) = vm().await;
    let clone = os.clone();
    drop(os);
    assert_eq!(fake.methods(), ["vm.create"]);
    drop(clone);
    soon(async {
        while fake.methods() != ["vm.create", "vm.dispose"] {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_sidecar_that_goes_ends_every_call() {
    let (os, fake) = vm().await;
    let waiting = {
        let os = os.clone();
        tokio::spawn(async move { os.exec("sleep", ExecOptions::default()).await })
    };
    soon(async {
        while fake.kept.lock().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    fake.connection.lock().take().unwrap().goodbye(&WireError::new(code::SHUTTING_DOWN, "bye"));
    assert!(matches!(soon(waiting).await.unwrap(), Err(Error::SidecarExited { .. })));
    assert!(matches!(soon(os.read_file("/x")).await, Err(Error::SidecarExited { .. })));
    soon(os.dispose()).await.unwrap();
}

#[tokio::test]
async fn sidecars_are_described_and_disposed() {
    let (fake, sidecar) = Fake::start().await;
    let ready = soon(sidecar.describe()).await.unwrap();
    assert_eq!(
        (ready.sidecar_id.as_str(), ready.state, ready.active_vm_count),
        ("fake", SidecarState::Ready, 1)
    );
    assert_eq!(ready.placement, SidecarPlacement::Explicit);
    soon(sidecar.dispose()).await.unwrap();
    soon(sidecar.dispose()).await.unwrap();
    let gone = soon(sidecar.describe()).await.unwrap();
    assert_eq!(
        (gone.sidecar_id.as_str(), gone.state, gone.active_vm_count),
        ("fake", SidecarState::Disposed, 0)
    );
    assert_eq!(fake.methods(), ["sidecar.describe", "sidecar.shutdown"]);
}

#[tokio::test]
async fn events_of_other_vms_are_not_shown() {
    use agentos_protocol::message::{Progress, VmClosed};
    let (os, fake) = vm().await;
    let mut events = os.events();
    let conn = fake.connection.lock().clone().unwrap();
    let closed = |id: &str| Event::VmClosed(VmClosed { vm_id: id.into(), reason: "r".into() });
    let progress = Event::Progress(Progress { what: "images".into(), done: 1, total: 2 });
    for event in [closed("vm-2"), progress.clone(), closed("vm-1")] {
        assert!(conn.event(&event).unwrap());
    }
    assert_eq!(soon(events.next()).await.unwrap(), progress);
    assert_eq!(soon(events.next()).await.unwrap(), closed("vm-1"));
}

fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("not-a-sidecar");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn a_program_that_dies_at_the_start_is_reported_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let binary = Some(script(dir.path(), "echo \"args: $*\" >&2; echo no room >&2; exit 7"));
    match soon(AgentOs::create_sidecar(CreateSidecarOptions { binary })).await.unwrap_err() {
        Error::SidecarExited { status, last_stderr } => {
            assert_eq!(status.as_deref(), Some("exit status: 7"));
            assert_eq!(last_stderr, ["args: sidecar --stdio-socket", "no room"]);
        }
        other => panic!("{other:?}"),
    }
    let binary = Some(dir.path().join("nowhere"));
    let error = soon(AgentOs::create_sidecar(CreateSidecarOptions { binary })).await.unwrap_err();
    assert!(matches!(error, Error::SidecarNotFound { .. }));
}
