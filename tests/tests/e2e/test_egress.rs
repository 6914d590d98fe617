//! What leaves a machine: a guest asks a server of the test through the host, or is told why it cannot.

use agentos::{
    AgentOs, AgentOsConfig, EgressPolicy, Error, Event, PermissionMode, PersistenceConfig, ProcessHandle,
    SpawnOptions,
};
use agentos_abi::http::{Frame, Kind};
use agentos_tests::web::{Web, fetcher, request};
use agentos_tests::{Sidecar, bytes_below, eventually, sh, watched};
use serde_json::Value;

static SIDECAR: Sidecar = Sidecar::new();

const KEY: &str = "hunter2-of-the-host";

/// What a guest got.
#[derive(Debug, Default)]
struct Got {
    head: Value,
    body: Vec<u8>,
    failed: Value,
    ended: bool,
}

impl Got {
    fn of(bytes: &[u8]) -> Got {
        let (mut got, mut rest) = (Got::default(), bytes);
        while let Some(frame) = Frame::first(rest).unwrap() {
            match frame.kind {
                Kind::Head => got.head = serde_json::from_slice(frame.payload).unwrap(),
                Kind::Data => got.body.extend_from_slice(frame.payload),
                Kind::Failed => got.failed = serde_json::from_slice(frame.payload).unwrap(),
                Kind::End => got.ended = true,
            }
            rest = &rest[frame.size()..];
        }
        got
    }

    fn code(&self) -> &str {
        self.failed["code"].as_str().unwrap_or("nothing")
    }

    fn message(&self) -> &str {
        self.failed["message"].as_str().unwrap_or_default()
    }
}

async fn install(os: &AgentOs, then: &str) {
    os.write_file("/workspace/fetch", fetcher(then)).await.unwrap();
    os.chmod("/workspace/fetch", 0o755).await.unwrap();
}

async fn fetch_of(os: &AgentOs, input: Vec<u8>) -> Got {
    let options = agentos::ExecOptions { stdin: Some(input), ..Default::default() };
    let result = os.exec_argv(["/workspace/fetch"], options).await.unwrap();
    assert!(result.success(), "{result:?}");
    Got::of(result.stdout_bytes())
}

async fn fetch(os: &AgentOs, url: &str) -> Got {
    fetch_of(os, request("GET", url, &[("x-guest", "1")], b"", 30_000)).await
}

async fn start(os: &AgentOs, url: &str) -> ProcessHandle {
    let process = os.spawn("/workspace/fetch", Vec::<String>::new(), SpawnOptions::default()).await.unwrap();
    process.write_stdin(request("GET", url, &[], b"", 30_000)).await.unwrap();
    process
}

/// Reads until so much of the body is there.
async fn see(process: &ProcessHandle, body: &str) {
    let (mut output, mut bytes) = (process.stdout().await.unwrap(), Vec::new());
    while Got::of(&bytes).body != body.as_bytes() {
        bytes.extend_from_slice(&output.next().await.expect("it goes on").unwrap().data);
    }
}

/// A machine that may ask this server, with a credential for it.
fn config(web: &Web) -> AgentOsConfig {
    let egress = EgressPolicy::new([web.origin(), format!("http://localhost:{}", web.port())]).credential(
        web.origin(),
        "Authorization",
        "Bearer {key}",
    );
    let builder = AgentOsConfig::builder().egress(egress).secret("key", KEY);
    builder.loopback_exempt_ports(vec![web.port()]).build()
}

#[test]
fn a_guest_gets_an_answer_and_the_host_adds_what_no_guest_sees() {
    let web = Web::start();
    SIDECAR.test_with(config(&web), async |os| {
        install(os, "").await;
        let url = format!("{}/hello", web.origin());
        let input = request("POST", &url, &[("authorization", "mine"), ("x-guest", "1")], b"body", 0);
        let got = fetch_of(os, input).await;
        assert!(got.ended && got.body == b"hi" && got.head["status"] == 200, "{got:?}");
        assert!(got.head["headers"].as_array().unwrap().contains(&serde_json::json!(["x-mine", "yes"])));
        let head = &web.heads()[0];
        assert!(head.starts_with("POST /hello HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("\r\nauthorization: Bearer {KEY}\r\n")), "{head}");
        assert!(!head.contains("mine") && head.contains("\r\nx-guest: 1\r\n"), "{head}");
        // Another origin is another one, though it is the same server.
        let other = fetch(os, &format!("http://localhost:{}/hello", web.port())).await;
        assert!(other.ended, "{other:?}");
        assert!(!web.heads()[1].contains(KEY));
        let seen = sh(
            os,
            "env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline; grep -rl hunter''2 /etc /workspace /tmp /home",
        )
        .await;
        assert!(!seen.stdout.contains("hunter2"), "{}", seen.stdout);
        let snapshot = serde_json::to_string(&os.snapshot_root_filesystem().await.unwrap()).unwrap();
        assert!(!snapshot.contains(KEY) && !format!("{:?}", os.describe().await).contains(KEY));
        // A fork goes the same way.
        let fork = os.fork().await.unwrap();
        let got = fetch(&fork, &url).await;
        assert!(got.ended && web.heads()[2].contains(KEY), "{got:?}");
        fork.dispose().await.unwrap();
    });
}

#[test]
fn a_store_keeps_no_secret() {
    let (web, kept) = (Web::start(), tempfile::tempdir().unwrap());
    let path = kept.path().to_str().unwrap().to_owned();
    let persistence = Some(PersistenceConfig::Directory { path });
    SIDECAR.test_with(AgentOsConfig { persistence, ..config(&web) }, async |os| {
        install(os, "").await;
        assert!(fetch(os, &format!("{}/hello", web.origin())).await.ended);
        assert_eq!(sh(os, "echo in the store > note; sync").await.exit_code, 0);
    });
    let bytes = bytes_below(kept.path());
    let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has("in the store") && !has(KEY));
}

#[test]
fn an_answer_comes_piece_by_piece() {
    let web = Web::start();
    SIDECAR.test_with(config(&web), async |os| {
        install(os, "").await;
        let process = start(os, &format!("{}/stream", web.origin())).await;
        see(&process, "one").await;
        web.go();
        see(&process, "onetwo").await;
        assert_eq!(process.wait().await.unwrap().exit_code, 0);
        let large = fetch(os, &format!("{}/large", web.origin())).await;
        assert!(large.ended && large.body.len() == 8 << 20, "{}", large.body.len());
        assert!(large.body.iter().enumerate().all(|(n, byte)| *byte == (n % 251) as u8));
    });
}

#[test]
fn who_closes_or_dies_gives_the_request_up() {
    let web = Web::start();
    SIDECAR.test_with(config(&web), async |os| {
        let url = format!("{}/endless", web.origin());
        install(
            os,
            "(drop (call $close (local.get $fd))) (call $fill (i32.const 32) (i32.const 1)) (return)",
        )
        .await;
        let process = start(os, &url).await;
        eventually("closing ends the connection", async || web.closed() == 1).await;
        process.close_stdin().await.unwrap();
        assert_eq!(process.wait().await.unwrap().exit_code, 0);
        install(os, "").await;
        for path in ["/endless", "/never"] {
            let before = (web.heads().len(), web.closed());
            let process = start(os, &format!("{}{path}", web.origin())).await;
            eventually("it is asked", async || web.heads().len() > before.0).await;
            process.kill().await.unwrap();
            eventually("death ends the connection", async || web.closed() > before.1).await;
        }
        // What is abandoned leaves no pipe and no place behind.
        for _ in 0..40 {
            let process = start(os, &format!("{}/never", web.origin())).await;
            process.kill().await.unwrap();
            process.wait().await.unwrap();
        }
        assert!(fetch(os, &format!("{}/hello", web.origin())).await.ended);
    });
}

#[test]
fn answers_that_are_none_are_told_as_what_they_are() {
    let web = Web::start();
    SIDECAR.test_with(config(&web), async |os| {
        install(os, "").await;
        let url = |path: &str| format!("{}{path}", web.origin());
        let redirect = fetch(os, &url("/redirect")).await;
        assert!(redirect.ended && redirect.head["status"] == 302, "{redirect:?}");
        assert_eq!(web.heads().len(), 1, "nobody followed it");
        let huge = fetch(os, &url("/huge")).await;
        assert_eq!((huge.code(), huge.ended), ("too_large", false), "{huge:?}");
        let half = fetch(os, &url("/half")).await;
        assert_eq!((half.code(), &half.body[..], half.ended), ("aborted", &b"half"[..], false));
        let never = fetch_of(os, request("GET", &url("/never"), &[], b"", 200)).await;
        assert_eq!((never.code(), never.head.is_null()), ("timeout", true), "{never:?}");
        for got in [&huge, &half, &never] {
            assert!(!got.message().is_empty() && !got.message().contains("hunter2"), "{got:?}");
        }
    });
}

#[test]
fn what_the_policy_does_not_allow_does_not_leave() {
    let (web, other) = (Web::start(), Web::start());
    SIDECAR.test_with(config(&web), async |os| {
        install(os, "").await;
        let denied = fetch(os, &format!("{}/hello", other.origin())).await;
        assert_eq!(denied.code(), "denied");
        assert!(denied.message().contains(&format!("\"{}\"", other.origin())), "{}", denied.message());
        for (url, code) in [
            (format!("http://[::1]:{}/", web.port()), "denied"),
            (format!("https://127.0.0.1:{}/", web.port()), "denied"),
            ("http://169.254.169.254/latest/meta-data".to_owned(), "denied"),
            ("file:///etc/passwd".to_owned(), "bad_request"),
            ("nonsense".to_owned(), "bad_request"),
        ] {
            let got = fetch(os, &url).await;
            assert_eq!(got.code(), code, "{url} {got:?}");
        }
        assert!(web.heads().is_empty() && other.heads().is_empty());
        // Nonsense in place of a request.
        for input in [vec![1, 0, 0, 0, 7], vec![4, 0, 0, 0, 255, 255, 255, 255]] {
            let options = agentos::ExecOptions { stdin: Some(input), ..Default::default() };
            let result = os.exec_argv(["/workspace/fetch"], options).await.unwrap();
            assert_eq!(result.exit_code, i32::from(agentos::Errno::EINVAL.raw()), "{result:?}");
        }
    });
    SIDECAR.test(async |os| {
        install(os, "").await;
        let denied = fetch(os, &format!("{}/hello", web.origin())).await;
        assert_eq!(denied.code(), "denied", "{denied:?}");
        assert!(denied.message().contains("no `egress`"), "{}", denied.message());
        assert!(web.heads().is_empty());
    });
}

#[test]
fn the_permission_tree_is_asked_as_well() {
    let web = Web::start();
    let tree = |text: &str| Some(serde_json::from_str(text).unwrap());
    let denies = AgentOsConfig { permissions: tree(r#"{"network": "deny"}"#), ..config(&web) };
    SIDECAR.test_with(denies, async |os| {
        install(os, "").await;
        let mut events = os.events();
        let got = fetch(os, &format!("{}/hello", web.origin())).await;
        assert_eq!(got.code(), "denied");
        let resource = format!("tcp://127.0.0.1:{}", web.port());
        assert!(
            got.message().contains("`network`") && got.message().contains(&resource),
            "{}",
            got.message()
        );
        let told = loop {
            if let Event::PermissionDenied(denied) = events.next().await.unwrap() {
                break denied.denial;
            }
        };
        assert_eq!((&told.domain[..], &told.operation[..], &told.resource), ("network", "fetch", &resource));
        assert!(web.heads().is_empty());
        let said = os.explain_permission("network", "fetch", &resource).await.unwrap();
        assert_eq!(said.mode, PermissionMode::Deny);
    });
    let rule = format!(
        r#"{{"network": {{"rules": [{{"mode": "allow", "operations": ["fetch"], "patterns": ["tcp://127.0.0.1:{}"]}}]}}}}"#,
        web.port()
    );
    SIDECAR.test_with(AgentOsConfig { permissions: tree(&rule), ..config(&web) }, async |os| {
        install(os, "").await;
        assert!(fetch(os, &format!("{}/hello", web.origin())).await.ended);
        let got = fetch(os, &format!("http://localhost:{}/hello", web.port())).await;
        assert_eq!(got.code(), "denied");
        assert!(got.message().contains("the default of `network`"), "{}", got.message());
    });
}

#[test]
fn what_cannot_be_is_refused_with_its_path() {
    watched(async || {
        let b = AgentOsConfig::builder;
        let api = "https://api.example.com";
        for (config, path) in [
            (b().egress(EgressPolicy::new([api, "https://api.example.com/v1"])).build(), "egress.allow[1]"),
            (b().egress(EgressPolicy::new(["http://127.0.0.1:8080"])).build(), "egress.allow[0]"),
            (b().loopback_exempt_ports(vec![80, 80]).build(), "loopbackExemptPorts[1]"),
            (
                b().egress(EgressPolicy::new([api])).loopback_exempt_ports(vec![80, 81, 80]).build(),
                "loopbackExemptPorts[2]",
            ),
            (b().secret("key", KEY).build(), "secrets"),
            (b().egress(EgressPolicy::new([api])).secret("key", KEY).build(), "secrets.key"),
            (
                b().egress(EgressPolicy::new([api]).credential(api, "x-key", "{other}"))
                    .secret("key", KEY)
                    .build(),
                "egress.credentials[0].value",
            ),
            (
                b().egress(EgressPolicy::new(["http://a.example"]).credential(
                    "http://a.example",
                    "x-key",
                    "{key}",
                ))
                .secret("key", KEY)
                .build(),
                "egress.credentials[0].origin",
            ),
        ] {
            assert!(!format!("{config:?}").contains(KEY));
            match SIDECAR.create(config).await {
                Err(Error::InvalidConfig { path: named, reason }) => {
                    assert_eq!(named, path, "{reason}");
                    assert!(!reason.contains(KEY));
                }
                other => panic!("{path}: {:?}", other.map(|_| ())),
            }
        }
    });
}
