//! Messages round trip, tolerate a newer or older other side, and wrong bytes never panic.

use agentos_protocol::message::*;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

fn round_trip<T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug + 'static>(value: &T) {
    let bytes = encode(value).unwrap();
    let back: T = rmp_decode(&bytes);
    assert_eq!(&back, value);
}

fn rmp_decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> T {
    decode(bytes).unwrap()
}

fn exec() -> Exec {
    Exec {
        vm_id: "vm-1".into(),
        program: Program::Shell("true".into()),
        options: ProcessOptions { timeout_ms: Some(5), ..ProcessOptions::default() },
        stdin: Stdin::Inline(vec![0, 255]),
        stdout: Output::Capture { inline_limit: 9, stream: 3 },
        stderr: Output::Live(5),
    }
}

#[test]
fn requests_round_trip_by_name() {
    let bytes = encode_named(Exec::METHOD, &exec()).unwrap();
    match Request::decode(&bytes).unwrap() {
        Request::Exec(back) => assert_eq!(back, exec()),
        other => panic!("{other:?}"),
    }
    let memory = MountSource::Memory { size: None, inodes: Some(9), mode: Some(0o700), uid: None, gid: None };
    let host = MountSource::HostDir { host_path: "/srv".into(), uid: Some(0), gid: None };
    let lowers = vec![OverlayLower::HostDir { host_path: "/srv".into() }, OverlayLower::Bundled];
    let config = VmConfig {
        mounts: vec![
            MountSpec { path: "/o".into(), source: MountSource::Overlay { lowers }, read_only: false },
            MountSpec { path: "/a".into(), source: memory, read_only: false },
            MountSpec { path: WirePath(vec![b'/', 0xff]), source: host, read_only: true },
            MountSpec { path: "/c".into(), source: MountSource::Driver { driver_id: 7 }, read_only: false },
        ],
        permissions: Some(
            serde_json::from_str(
                r#"{"fs":"allow","network":{"rules":[{"mode":"deny","patterns":["tcp://*:*"]}]}}"#,
            )
            .unwrap(),
        ),
        egress: Some(EgressSpec {
            allow: vec!["https://a.example".into()],
            credentials: vec![CredentialSpec {
                origin: "https://a.example".into(),
                header: "x-key".into(),
                value: "{key}".into(),
            }],
        }),
        secrets: [("key".to_owned(), Secret::from("hunter2".to_owned()))].into(),
        ..VmConfig::default()
    };
    assert!(!format!("{config:?}").contains("hunter2"));
    let bytes = encode_named(CreateVm::METHOD, &CreateVm { config: config.clone() }).unwrap();
    match Request::decode(&bytes).unwrap() {
        Request::CreateVm(back) => assert_eq!(back.config, config),
        other => panic!("{other:?}"),
    }
}

#[test]
fn terminals_round_trip_and_their_fields_are_optional() {
    let open = OpenShell {
        vm_id: "vm-1".into(),
        command: Some("vi".into()),
        args: vec!["file".into()],
        options: ProcessOptions::default(),
        cols: Some(120),
        rows: None,
        input: 7,
    };
    match Request::decode(&encode_named(OpenShell::METHOD, &open).unwrap()).unwrap() {
        Request::OpenShell(back) => assert_eq!(back, open),
        other => panic!("{other:?}"),
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Least {
        vm_id: &'static str,
        input: u32,
    }
    let least = encode_named(OpenShell::METHOD, &Least { vm_id: "vm-1", input: 3 }).unwrap();
    match Request::decode(&least).unwrap() {
        Request::OpenShell(OpenShell { command: None, cols: None, rows: None, input: 3, .. }) => {}
        other => panic!("{other:?}"),
    }
    round_trip(&ShellList {
        shells: vec![ShellInfo { shell_id: "shell-1".into(), cols: 80, rows: 24, ..ShellInfo::default() }],
    });
}

#[test]
fn replies_round_trip() {
    round_trip(&ExecReply {
        pid: 4,
        status: ExitStatus { exit_code: 137, signal: Some("SIGKILL".into()), timed_out: true, limit: None },
        stdout: Captured { data: vec![1, 2, 200], streamed: false },
        stderr: Captured { data: vec![], streamed: true },
    });
    round_trip(&WireError::limit(LimitInfo {
        name: "processes".into(),
        configured: 4,
        used: 4,
        requested: 1,
    }));
    round_trip(&VirtualStat { size: 7, mtime_ms: 1.5, ..VirtualStat::default() });
    round_trip(&Empty {});
}

/// The messages of another version: fields more, and optional fields less.
mod other_version {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Exec {
        pub(super) vm_id: String,
        pub(super) program: Program,
        #[serde(default)]
        pub(super) nice_value: Option<Vec<std::collections::BTreeMap<String, i32>>>,
    }

    #[derive(Serialize, Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    pub(super) struct ExecReply {
        pub(super) pid: u32,
        pub(super) resident_bytes: u64,
    }
}

#[test]
fn a_newer_client_works_with_an_older_sidecar_and_the_reverse() {
    let newer = other_version::Exec {
        vm_id: "v".into(),
        program: Program::Argv(vec!["ls".into()]),
        nice_value: Some(vec![[("a".to_owned(), 1)].into()]),
    };
    let bytes = encode_named(Exec::METHOD, &newer).unwrap();
    let Request::Exec(older) = Request::decode(&bytes).unwrap() else { panic!() };
    assert_eq!(
        (older.stdin, older.stdout),
        (Stdin::None, Output::Discard),
        "missing fields have their defaults"
    );

    let bytes = encode(&exec()).unwrap();
    let back: other_version::Exec = rmp_decode(&bytes);
    assert!(back.nice_value.is_none());

    let reply: ExecReply =
        rmp_decode(&encode(&other_version::ExecReply { pid: 3, resident_bytes: 9 }).unwrap());
    assert_eq!(reply.pid, 3);
    let reply: other_version::ExecReply =
        rmp_decode(&encode(&ExecReply { pid: 8, ..ExecReply::default() }).unwrap());
    assert_eq!((reply.pid, reply.resident_bytes), (8, 0));
}

#[test]
fn unknown_names_are_told_apart_from_malformed_ones() {
    let bytes = encode_named("vm.teleport", &Empty {}).unwrap();
    assert_eq!(Request::decode(&bytes).unwrap_err(), DecodeError::Unknown("vm.teleport".into()));
    assert_eq!(Event::decode(&bytes).unwrap_err(), DecodeError::Unknown("vm.teleport".into()));
    let bytes = encode_named(Exec::METHOD, &Empty {}).unwrap();
    assert!(matches!(Request::decode(&bytes), Err(DecodeError::Malformed(_))));
}

#[test]
fn method_names_are_unique() {
    let mut names: Vec<_> = Request::METHODS.iter().chain(Callback::METHODS).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let mut bytes = encode(Exec::METHOD).unwrap();
    bytes.extend(std::iter::repeat_n(0x91_u8, 1_000_000));
    assert!(Request::decode(&bytes).is_err());
    let mut bytes = encode(Exec::METHOD).unwrap();
    bytes.extend([0x81, 0xa1, b'x']);
    bytes.extend(std::iter::repeat_n(0x91_u8, 1_000_000));
    assert!(Request::decode(&bytes).is_err());
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), method in 0_usize..40) {
        let _ = Request::decode(&bytes);
        let _ = Callback::decode(&bytes);
        let _ = Event::decode(&bytes);
        let mut named = encode(Request::METHODS[method % Request::METHODS.len()]).unwrap();
        named.extend_from_slice(&bytes);
        let _ = Request::decode(&named);
        let _: Result<WireError, _> = decode(&bytes);
    }

    #[test]
    fn a_cut_request_is_malformed_not_fatal(cut in 0_usize..200) {
        let bytes = encode_named(Exec::METHOD, &exec()).unwrap();
        if cut < bytes.len() {
            prop_assert!(Request::decode(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn paths_round_trip(path in prop::collection::vec(any::<u8>(), 0..50)) {
        let path = WirePath(path);
        prop_assert_eq!(rmp_decode::<WirePath>(&encode(&path).unwrap()), path);
    }
}
