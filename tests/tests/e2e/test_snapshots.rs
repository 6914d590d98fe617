//! Snapshots of roots: out of one machine in every format, into another, over and without the bundled base.

use agentos::{
    AgentOs, AgentOsConfig, Error, MountConfig, RootFilesystemConfig, RootLowerInput, RootSnapshotExport,
    SnapshotFormat, SnapshotOptions, VmLimits,
};
use agentos_tests::{Sidecar, cli, module, sh, watched};
use serde_json::json;
use tokio::io::AsyncReadExt;

static SIDECAR: Sidecar = Sidecar::new();

fn lowers(lowers: Vec<RootLowerInput>) -> RootFilesystemConfig {
    RootFilesystemConfig { lowers, ..RootFilesystemConfig::default() }
}

async fn machine(root: RootFilesystemConfig) -> Result<AgentOs, Error> {
    SIDECAR.create(AgentOsConfig::builder().root_filesystem(root).build()).await
}

async fn export(os: &AgentOs, format: SnapshotFormat, flatten: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = SnapshotOptions { format, flatten };
    os.export_root_filesystem(options).await.unwrap().read_to_end(&mut bytes).await.unwrap();
    bytes
}

fn entries(entries: serde_json::Value) -> RootLowerInput {
    RootLowerInput::SnapshotExport { source: json!({ "entries": entries }) }
}

fn file(path: &str, content: &str) -> serde_json::Value {
    json!({"path": path, "type": "file", "content": content})
}

/// Makes one of everything.
const MAKE: &str = "mkdir -p src/deep 'name with
newline' && echo one > src/a && ln src/a src/same && ln -s ../src/a src/deep/link && mkfifo src/pipe && \
    seq 100000 > src/big && printf '\\377\\0' > src/binary && truncate -s 300M src/holes && \
    chmod 4750 src/a && touch -d '2001-02-03 04:05:06.789' src/big && touch .wh.src src/.wh..wh..opq";
/// Tells it.
const TELL: &str = "cd /workspace; find . | sort; ls -ilR --full-time src | sed 's/^ *[0-9]* //' | grep -v total; \
    stat -c '%n %h %i' src/a src/same | sed 's/[0-9]*$//'; cat src/a src/big src/binary | cksum; du src/holes; \
    test src/a -ef src/same && echo same";

#[test]
fn a_snapshot_comes_back_in_every_format() {
    SIDECAR.test(async |os| {
        assert_eq!(sh(os, MAKE).await.exit_code, 0);
        // Something of the base goes, something changes.
        os.delete("/etc/issue", Default::default()).await.unwrap();
        os.write_file(
            "/etc/passwd",
            "root:x:0:0::/root:/bin/sh\nagentos:x:1000:1000::/home/agentos:/bin/sh\n",
        )
        .await
        .unwrap();
        os.delete("/usr/share", agentos::DeleteOptions { recursive: true }).await.unwrap();
        os.write_file("/usr/share", "a file now").await.unwrap();
        let told = sh(os, TELL).await.stdout;
        assert!(told.contains("same\n") && told.contains("2001-02-03 04:05:06.789"), "{told}");
        let snapshot = os.snapshot_root_filesystem().await.unwrap();
        let mut sources: Vec<(String, RootLowerInput)> = vec![("value".into(), snapshot.clone().into())];
        for format in [SnapshotFormat::Tar, SnapshotFormat::Json, SnapshotFormat::Oci] {
            let bytes = export(os, format, false).await;
            assert!(bytes.len() < 4 << 20, "{format:?}: {} bytes", bytes.len());
            assert_eq!(bytes, export(os, format, false).await, "{format:?}: the same bytes");
            sources.push((format!("{format:?}"), RootLowerInput::snapshot_bytes(bytes)));
        }
        for (name, source) in sources {
            let copy = machine(lowers(vec![source])).await.unwrap();
            assert_eq!(sh(&copy, TELL).await.stdout, told, "{name}");
            assert!(!copy.exists("/etc/issue").await.unwrap(), "{name}");
            assert_eq!(copy.read_file("/usr/share").await.unwrap(), b"a file now", "{name}");
            let passwd = copy.read_file("/etc/passwd").await.unwrap();
            assert_eq!(String::from_utf8(passwd).unwrap().lines().count(), 2, "{name}");
            // A snapshot of the copy tells the same.
            let again = copy.snapshot_root_filesystem().await.unwrap();
            let paths = |snapshot: &RootSnapshotExport| -> Vec<String> {
                let entries = snapshot.source["entries"].as_array().unwrap();
                entries.iter().map(|entry| format!("{} {}", entry["path"], entry["type"])).collect()
            };
            assert_eq!(paths(&again), paths(&snapshot), "{name}");
            copy.dispose().await.unwrap();
        }
    });
}

#[test]
fn a_flat_snapshot_needs_no_base() {
    SIDECAR.test(async |os| {
        sh(os, "echo mine > mine").await;
        let tar = export(os, SnapshotFormat::Tar, true).await;
        assert!(tar.len() > 10 << 20, "all programs are in it");
        let root = RootFilesystemConfig {
            disable_default_base_layer: true,
            ..lowers(vec![RootLowerInput::snapshot_bytes(&tar)])
        };
        let copy = machine(root).await.unwrap();
        assert_eq!(
            sh(&copy, "cat mine; ls /proc/self/fd > /dev/null && id -un").await.stdout,
            "mine\nagentos\n"
        );
        copy.dispose().await.unwrap();
    });
}

#[test]
fn a_root_without_the_base_has_only_what_it_was_given() {
    let code = "(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 3))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))) (call $exit (i32.const 7))";
    let program = module(code, "hi\\n");
    let host = tempfile::tempdir().unwrap();
    std::fs::write(host.path().join("run.wasm"), &program).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(host.path().join("run.wasm"), executable).unwrap();
    watched(async || {
        let config = |lowers| {
            let root =
                RootFilesystemConfig { disable_default_base_layer: true, lowers, ..Default::default() };
            AgentOsConfig::builder().root_filesystem(root).cwd("/")
        };
        let tar = {
            let os = machine(lowers(vec![])).await.unwrap();
            os.write_file("/srv/run", &program).await.unwrap();
            os.chmod("/srv/run", 0o755).await.unwrap();
            let tar = export(&os, SnapshotFormat::Tar, false).await;
            os.dispose().await.unwrap();
            tar
        };
        let mount = MountConfig::host_dir("/mnt", host.path().to_str().unwrap(), true);
        let os = SIDECAR
            .create(config(vec![RootLowerInput::snapshot_bytes(tar)]).mount(mount).build())
            .await
            .unwrap();
        for path in ["/srv/run", "/mnt/run.wasm"] {
            let result = os.exec_argv([path], Default::default()).await.unwrap();
            assert_eq!((result.exit_code, &*result.stdout), (7, "hi\n"), "{path}");
        }
        assert!(!os.exists("/bin").await.unwrap());
        assert!(os.read_file("/proc/1/stat").await.is_ok());
        os.write_file("/dev/null", "x").await.unwrap();
        let error = os.exec("true", Default::default()).await.map(|result| result.exit_code);
        assert!(!matches!(error, Ok(0)), "{error:?}");
        os.dispose().await.unwrap();
        // Nothing at all is a root, too.
        let empty = SIDECAR.create(config(vec![]).build()).await.unwrap();
        let names: Vec<_> = empty.readdir("/").await.unwrap();
        assert_eq!(names, ["dev", "proc"]);
        empty.dispose().await.unwrap();
    });
}

#[test]
fn the_uppermost_lower_wins_and_the_base_stands_where_it_is_named() {
    watched(async || {
        let upper =
            || entries(json!([file("/etc/issue", "upper"), {"path": "/opt/gone", "type": "whiteout"}]));
        let below =
            || entries(json!([file("/etc/issue", "below"), file("/opt/gone", "x"), file("/opt/kept", "y")]));
        let text = async |os: &AgentOs| String::from_utf8(os.read_file("/etc/issue").await.unwrap()).unwrap();
        let os = machine(lowers(vec![upper(), below()])).await.unwrap();
        assert_eq!(text(&os).await, "upper");
        assert!(!os.exists("/opt/gone").await.unwrap());
        assert_eq!(sh(&os, "cat /opt/kept").await.stdout, "y");
        os.dispose().await.unwrap();
        let os = machine(lowers(vec![below(), upper()])).await.unwrap();
        assert_eq!(text(&os).await, "below");
        assert!(os.exists("/opt/gone").await.unwrap());
        os.dispose().await.unwrap();
        let bundled = RootLowerInput::BundledBaseFilesystem;
        let os = machine(lowers(vec![bundled.clone(), below()])).await.unwrap();
        let release = text(&os).await;
        assert!(release.contains("AgentOs"), "the base is above: {release}");
        assert_eq!(sh(&os, "cat /opt/kept").await.stdout, "y");
        // A fork has what its original was made of.
        let fork = os.fork().await.unwrap();
        assert_eq!(sh(&fork, "cat /opt/kept").await.stdout, "y");
        fork.dispose().await.unwrap();
        os.dispose().await.unwrap();
        let path = async |root| match machine(root).await.map(|_| ()) {
            Err(Error::InvalidConfig { path, .. }) => path,
            other => panic!("{other:?}"),
        };
        assert_eq!(path(lowers(vec![bundled.clone(), bundled.clone()])).await, "rootFilesystem.lowers[1]");
        let instead = AgentOsConfig::builder()
            .mount(MountConfig::memory("/"))
            .root_filesystem(lowers(vec![upper()]))
            .build();
        match SIDECAR.create(instead).await.map(|_| ()) {
            Err(Error::InvalidConfig { path, .. }) => assert_eq!(path, "rootFilesystem.lowers"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn what_lowers_bring_counts_and_is_shared_between_nobody() {
    watched(async || {
        let big = || entries(json!([file("/opt/big", &"x".repeat(3 << 20))]));
        let config = |bytes| {
            let limits = VmLimits { filesystem_bytes: bytes, ..VmLimits::default() };
            AgentOsConfig::builder().limits(limits).root_filesystem(lowers(vec![big()])).build()
        };
        match SIDECAR.create(config(2 << 20)).await.map(|_| ()) {
            Err(Error::Limit { name, configured, .. }) => {
                assert_eq!((&*name, configured), ("filesystemBytes", 2 << 20));
            }
            other => panic!("{other:?}"),
        }
        let os = SIDECAR.create(config(4 << 20)).await.unwrap();
        match os.write_file("/workspace/more", vec![1; 2 << 20]).await {
            Err(Error::Limit { name, configured, .. }) => {
                assert_eq!((&*name, configured), ("filesystemBytes", 4 << 20));
            }
            other => panic!("{other:?}"),
        }
        os.delete("/opt/big", Default::default()).await.unwrap();
        os.write_file("/workspace/more", vec![1; 2 << 20]).await.unwrap();
        os.dispose().await.unwrap();
        // Layers are let go after use: far more machines than one client may hold layers.
        for _ in 0..100 {
            let os = machine(lowers(vec![entries(json!([file("/a", "x")]))])).await.unwrap();
            os.dispose().await.unwrap();
        }
    });
}

#[test]
fn hostile_archives_are_refused_and_name_the_entry() {
    let host = tempfile::tempdir().unwrap();
    let missing = host.path().join("missing.tar");
    watched(async || {
        let refused = async |lower: RootLowerInput| match machine(lowers(vec![lower])).await.map(|_| ()) {
            Err(Error::InvalidConfig { path, reason }) => {
                assert!(path.starts_with("rootFilesystem.lowers"), "{path}");
                reason
            }
            other => panic!("{other:?}"),
        };
        let link = json!({"path": "/out", "type": "symlink", "target": "/etc"});
        for (lower, named) in [
            (RootLowerInput::snapshot_bytes("PK\u{3}\u{4}"), "neither tar"),
            (RootLowerInput::snapshot_bytes(""), "empty"),
            (RootLowerInput::snapshot_file(missing.to_str().unwrap()), "missing.tar"),
            (RootLowerInput::snapshot_file(host.path().to_str().unwrap()), "directory"),
            (entries(json!([file("/../x", "")])), "/../x"),
            (entries(json!([link, file("/out/x", "")])), "/out/x"),
            (entries(json!([file("/sbin/x", "")])), "/sbin/x"),
            (entries(json!([{"path": "/h", "type": "hard-link", "target": "/nothing"}])), "/h"),
        ] {
            let said = refused(lower).await;
            assert!(said.contains(named), "{named}: {said}");
        }
        // Files that the machine itself adapts may be anything, too.
        let giant = json!({"path": "/etc/hosts", "type": "file", "size": 1_u64 << 40, "pieces": []});
        match machine(lowers(vec![entries(json!([giant]))])).await.map(|_| ()) {
            Err(Error::Kernel { path: Some(path), .. }) => assert_eq!(path, "/etc/hosts"),
            other => panic!("{other:?}"),
        }
        // The sidecar is as it was.
        let os = machine(lowers(vec![])).await.unwrap();
        assert_eq!(sh(&os, "echo ok").await.stdout, "ok\n");
        os.dispose().await.unwrap();
    });
}

#[test]
fn the_guests_tar_reads_a_snapshot_and_we_read_the_guests_tar() {
    SIDECAR.test(async |os| {
        sh(os, "mkdir -p t/d && echo hello > t/d/f && ln -s d/f t/l && ln t/d/f t/h && chmod 700 t/d").await;
        let tar = export(os, SnapshotFormat::Tar, false).await;
        os.write_file("/tmp/s.tar", &tar).await.unwrap();
        let listed = sh(os, "tar tf /tmp/s.tar").await;
        assert_eq!(listed.exit_code, 0, "{}", listed.stderr);
        for name in ["workspace/t/d/", "workspace/t/d/f", "workspace/t/l", "workspace/t/h"] {
            assert!(listed.stdout.lines().any(|line| line == name), "{name}: {}", listed.stdout);
        }
        let out =
            sh(os, "mkdir /tmp/out && cd /tmp/out && tar xf /tmp/s.tar workspace && cat workspace/t/h").await;
        assert_eq!((out.exit_code, &*out.stdout), (0, "hello\n"), "{}", out.stderr);
        for pack in ["tar cf - t", "tar czf - t"] {
            assert_eq!(sh(os, &format!("cd /workspace && {pack} > /tmp/t.tar")).await.exit_code, 0);
            let lower = RootLowerInput::snapshot_bytes(os.read_file("/tmp/t.tar").await.unwrap());
            let copy = machine(lowers(vec![lower])).await.unwrap();
            assert_eq!(
                sh(&copy, "cd /t; cat l h; stat -c %a d; test h -ef d/f").await.stdout,
                "hello\nhello\n700\n"
            );
            copy.dispose().await.unwrap();
        }
    });
}

#[test]
fn a_reader_that_goes_away_ends_the_writing() {
    SIDECAR.test(async |os| {
        os.write_file("/workspace/big", vec![7; 8 << 20]).await.unwrap();
        for _ in 0..100 {
            let mut reader = os.export_root_filesystem(SnapshotOptions::default()).await.unwrap();
            reader.read_exact(&mut [0; 512]).await.unwrap();
        }
        // None of them holds a place.
        assert!(export(os, SnapshotFormat::Tar, false).await.len() > 8 << 20);
        let covered = AgentOsConfig::builder().mount(MountConfig::memory("/")).build();
        let covered = SIDECAR.create(covered).await.unwrap();
        match covered.snapshot_root_filesystem().await.map(|_| ()) {
            Err(Error::InvalidRequest { message }) => assert!(message.contains("mount"), "{message}"),
            other => panic!("{other:?}"),
        }
        covered.dispose().await.unwrap();
        let gone = SIDECAR.create(AgentOsConfig::default()).await.unwrap();
        let reader = gone.export_root_filesystem(SnapshotOptions::default()).await.unwrap();
        gone.dispose().await.unwrap();
        drop(reader);
        assert!(matches!(gone.snapshot_root_filesystem().await, Err(Error::Disposed)));
    });
}

#[test]
fn the_command_line_starts_from_snapshots_and_saves_them() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    watched(async || {
        for name in ["s.tar", "s.json", "s.oci.tar"] {
            let saved = at(name);
            let make = ["exec", "--save-snapshot", &saved, "--", "sh", "-c", "echo kept > kept; exit 3"];
            let output = cli().args(make).output().await.unwrap();
            assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
            let output =
                cli().args(["exec", "--snapshot", &saved, "--", "cat", "kept"]).output().await.unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), "kept\n", "{name}");
        }
        for wrong in [at("s.zip"), at("no/such/s.tar")] {
            let output =
                cli().args(["exec", "--save-snapshot", &wrong, "--", "true"]).output().await.unwrap();
            assert_eq!(output.status.code(), Some(125));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains(&wrong), "{said}");
        }
    });
}
