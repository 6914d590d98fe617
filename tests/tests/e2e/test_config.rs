//! A configuration that has no effect is an error, and says which field.
//! What each field does when it is honoured is in the other modules.

use agentos::config::{ClockConfig, PersistenceConfig, RandomConfig};
use agentos::{
    AgentOsConfig, AgentOsConfigBuilder, Error, MountConfig, MountPlugin, OverlayMountConfig, PermissionMode,
    PermissionScope, Permissions, PermissionsMode, RootFilesystemConfig, RootFilesystemMode, RootLowerInput,
    SoftwareInput, SoftwareKind, ToolKit, UserConfig, VmLimits,
};
use agentos_tests::{Sidecar, sh};
use serde_json::{Value, json};

static SIDECAR: Sidecar = Sidecar::new();

fn refused(config: impl FnOnce(AgentOsConfigBuilder) -> AgentOsConfigBuilder) -> AgentOsConfig {
    config(AgentOsConfig::builder()).build()
}

fn native(id: &str, config: Value) -> MountConfig {
    let plugin = MountPlugin { id: id.to_owned(), config };
    MountConfig::Native { path: "/m".to_owned(), plugin, read_only: false }
}

#[test]
fn what_this_version_cannot_honour_is_refused_with_its_path() {
    // Of its own, since it counts the machines.
    static OWN: Sidecar = Sidecar::new();
    OWN.test(async |_| {
        let root = |root: RootFilesystemConfig| refused(|c| c.root_filesystem(root));
        let default = RootFilesystemConfig::default;
        let limit = |limits: VmLimits| refused(|c| c.limits(limits));
        let limits = VmLimits::default;
        let overlay = OverlayMountConfig {
            kind: Default::default(),
            store: Value::Null,
            mode: None,
            lowers: Vec::new(),
        };
        let kit = ToolKit { name: "kit".into(), description: String::new(), tools: Vec::new() };
        let software =
            SoftwareInput { package: "/x".into(), version: None, kind: SoftwareKind::WasmCommands };
        let ask =
            Permissions { fs: Some(PermissionScope::Mode(PermissionMode::Ask)), ..Permissions::default() };
        let cases = [
            (refused(|c| c.software(vec![software])), "software"),
            (refused(|c| c.loopback_exempt_ports(vec![80, 80])), "loopbackExemptPorts[1]"),
            (refused(|c| c.allowed_node_builtins(vec!["fs".into()])), "allowedNodeBuiltins"),
            (refused(|c| c.module_access_cwd("/x")), "moduleAccessCwd"),
            (refused(|c| c.tool_kits(vec![kit])), "toolKits[0].tools"),
            (refused(|c| c.permissions(Permissions::default())), "permissions"),
            (refused(|c| c.permissions(ask)), "permissions.fs"),
            (refused(|c| c.permissions_mode(PermissionsMode::DryRun)), "permissionsMode"),
            (refused(|c| c.egress(Default::default())), "egress.allow"),
            (refused(|c| c.secrets([("a".into(), "b".into())].into())), "secrets"),
            (refused(|c| c.clock(ClockConfig::Seeded { start_ms: 1 })), "clock"),
            (refused(|c| c.random(RandomConfig::Seeded { seed: 1 })), "random"),
            (
                refused(|c| c.persistence(PersistenceConfig::Directory { path: "x".into() })),
                "persistence.directory.path",
            ),
            (
                refused(|c| {
                    let mode = Some(RootFilesystemMode::ReadOnly);
                    c.root_filesystem(RootFilesystemConfig { mode, ..default() })
                        .mount(MountConfig::memory("/"))
                }),
                "rootFilesystem.mode",
            ),
            (
                AgentOsConfig {
                    mounts: vec![MountConfig::memory("/")],
                    ..root(RootFilesystemConfig { disable_default_base_layer: true, ..default() })
                },
                "rootFilesystem.disableDefaultBaseLayer",
            ),
            (
                root(RootFilesystemConfig {
                    lowers: vec![RootLowerInput::SnapshotExport { source: json!({}) }],
                    ..default()
                }),
                "rootFilesystem.lowers[0].source",
            ),
            (
                root(RootFilesystemConfig {
                    lowers: vec![
                        RootLowerInput::BundledBaseFilesystem,
                        RootLowerInput::BundledBaseFilesystem,
                    ],
                    ..default()
                }),
                "rootFilesystem.lowers[1]",
            ),
            (refused(|c| c.mount(native("webdev", json!({})))), "mounts[0].plugin.id"),
            (refused(|c| c.mount(native("webdav", json!({})))), "mounts[0].plugin.config.endpoint"),
            (refused(|c| c.mount(native("s3", Value::Null))), "mounts[0].plugin.config.bucket"),
            (refused(|c| c.mount(native("google_drive", json!({})))), "mounts[0].plugin.config.accessToken"),
            (refused(|c| c.mount(native("memory", json!({"sise": 1})))), "mounts[0].plugin.config.sise"),
            (refused(|c| c.mount(native("memory", json!({"size": "1"})))), "mounts[0].plugin.config.size"),
            (refused(|c| c.mount(native("memory", json!(3)))), "mounts[0].plugin.config"),
            (refused(|c| c.mount(native("host_dir", Value::Null))), "mounts[0].plugin.config.hostPath"),
            (
                refused(|c| c.mount(native("host_dir", json!({"hostPath": "relative"})))),
                "mounts[0].plugin.config.hostPath",
            ),
            (
                refused(|c| c.mount(native("host_dir", json!({"hostPath": "/tmp", "readonly": true})))),
                "mounts[0].plugin.config.readonly",
            ),
            (
                refused(|c| c.mount(MountConfig::Overlay { path: "/o".into(), filesystem: overlay })),
                "mounts[0].filesystem.lowers",
            ),
            (
                refused(|c| c.mount(MountConfig::memory("/a")).mount(MountConfig::memory("b"))),
                "mounts[1].path",
            ),
            (
                refused(|c| c.mount(MountConfig::memory("/a")).mount(MountConfig::memory("/a"))),
                "mounts[1].path",
            ),
            (refused(|c| c.mount(MountConfig::memory("/a/../b"))), "mounts[0].path"),
            (refused(|c| c.hostname("")), "hostname"),
            (refused(|c| c.hostname("a b")), "hostname"),
            (refused(|c| c.hostname("x".repeat(65))), "hostname"),
            (refused(|c| c.cwd("relative")), "cwd"),
            (refused(|c| c.cwd("/a/../b")), "cwd"),
            (refused(|c| c.env("A=B", "")), "env"),
            (refused(|c| c.env("", "")), "env"),
            (refused(|c| c.env("A", "nul\0")), "env.A"),
            (refused(|c| c.user(UserConfig { name: "a:b".into(), ..UserConfig::default() })), "user.name"),
            (
                refused(|c| c.user(UserConfig { home: Some("home".into()), ..UserConfig::default() })),
                "user.home",
            ),
            (limit(VmLimits { processes: 0, ..limits() }), "limits.processes"),
            (limit(VmLimits { fds_per_process: 1, ..limits() }), "limits.fdsPerProcess"),
            (limit(VmLimits { pipe_bytes: 1, ..limits() }), "limits.pipeBytes"),
            (limit(VmLimits { process_memory: 0, ..limits() }), "limits.processMemory"),
            (limit(VmLimits { vm_memory: u64::MAX, ..limits() }), "limits.vmMemory"),
            (limit(VmLimits { filesystem_bytes: 0, ..limits() }), "limits.filesystemBytes"),
            (limit(VmLimits { ptys: 70_000, ..limits() }), "limits.ptys"),
            (limit(VmLimits { sockets: 3, ..limits() }), "limits.sockets"),
            (limit(VmLimits { path_bytes: 100, ..limits() }), "limits.pathBytes"),
            (limit(VmLimits { agent_memory: 1000, ..limits() }), "limits.agentMemory"),
        ];
        for (config, path) in cases {
            match OWN.create(config).await {
                Err(Error::InvalidConfig { path: named, reason }) => {
                    assert_eq!(named, path, "{reason}");
                    assert!(!reason.is_empty());
                }
                other => panic!("{path}: {other:?}"),
            }
        }
        assert_eq!(OWN.handle().await.describe().await.unwrap().active_vm_count, 1, "only that of this test");
    });
}

#[test]
fn fields_that_are_not_known_are_refused_in_files() {
    for (text, path) in [
        (r#"{"hostnam": "x"}"#, "hostnam"),
        (r#"{"limits": {"procs": 1}}"#, "limits.procs"),
        (r#"{"user": {"shell": "/bin/zsh"}}"#, "user.shell"),
        (r#"{"mounts": [{"path": "/a", "plugin": {"id": "memory"}, "ro": true}]}"#, "mounts[0]"),
        (r#"{"rootFilesystem": {"layers": []}}"#, "rootFilesystem"),
        (r#"{"permissions": {"files": "deny"}}"#, "permissions"),
        (r#"{"sidecar": {"private": {}}}"#, "sidecar"),
        (r#"{"software": [{"package": "x", "sort": "tool"}]}"#, "software[0]"),
        (r#"{"egress": {"deny": []}}"#, "egress"),
        (r#"{"toolKits": []}"#, "toolKits"),
        (r#"{"scheduleDriver": {}}"#, "scheduleDriver"),
        ("[]", ""),
    ] {
        match AgentOsConfig::from_json(text) {
            Err(Error::InvalidConfig { path: named, .. }) => assert_eq!(named, path, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn what_is_honoured_is_seen_in_the_machine() {
    let limits = VmLimits { fds_per_process: 77, ..VmLimits::default() };
    let config = AgentOsConfig::builder()
        .hostname("box.local")
        .user(UserConfig { name: "dev".into(), uid: 501, gid: 20, home: Some("/home/dev".into()) })
        .cwd("/srv/app")
        .env("GREETING", "hi there")
        .additional_instructions("Be brief about boxes.")
        .labels([("team".to_owned(), "a".to_owned())].into())
        .limits(limits)
        .root_filesystem(RootFilesystemConfig {
            mode: Some(RootFilesystemMode::Ephemeral),
            lowers: vec![RootLowerInput::BundledBaseFilesystem],
            ..RootFilesystemConfig::default()
        })
        .build();
    SIDECAR.test_with(config, async |os| {
        let line = "hostname; whoami; id -u; id -g; pwd; echo $HOME $GREETING; ulimit -n; cd; pwd; touch x && echo mine";
        let result = sh(os, line).await;
        let expected = "box.local\ndev\n501\n20\n/srv/app\n/home/dev hi there\n77\n/home/dev\nmine\n";
        assert_eq!(result.stdout, expected, "{result:?}");
        let instructions = String::from_utf8(os.read_file("/etc/agentos/instructions.md").await.unwrap()).unwrap();
        assert!(instructions.contains("Be brief about boxes."));
        let info = os.describe().await.unwrap();
        assert_eq!((&*info.hostname, &*info.cwd), ("box.local", "/srv/app"));
        assert_eq!(info.labels.get("team").map(String::as_str), Some("a"));
    });
}

#[test]
fn a_machine_has_the_defaults_that_are_promised() {
    SIDECAR.test(async |os| {
        let result =
            sh(os, "id -un; id -u; pwd; echo $HOME $PATH $LANG $SHELL; hostname; stat -c %a /tmp; ulimit -n")
                .await;
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let expected =
            format!("agentos\n1000\n/workspace\n/home/agentos {path} C.UTF-8 /bin/sh\nagentos\n1777\n1024\n");
        assert_eq!(result.stdout, expected, "{result:?}");
    });
}

#[test]
fn a_read_only_root_is_changed_by_nobody() {
    let config = AgentOsConfig::builder()
        .root_filesystem(RootFilesystemConfig {
            mode: Some(RootFilesystemMode::ReadOnly),
            ..Default::default()
        })
        .mount(MountConfig::memory("/tmp"))
        .user(UserConfig { name: "root".into(), uid: 0, gid: 0, home: None })
        .cwd("/srv/made/for/it")
        .build();
    SIDECAR.test_with(config, async |os| {
        let fork = os.fork().await.unwrap();
        for os in [os, &fork] {
            let before = sh(os, "find / -path /proc -prune -o -path /tmp -prune -o -ls | cksum").await.stdout;
            let script = "pwd; export LC_ALL=C; cd /etc
                for c in 'touch f' 'mkdir d' 'rm hosts' 'mv hosts x' 'ln hosts x' 'ln -s a x' 'chmod 700 hosts' \
                    'chown agentos hosts' 'touch -d 2001-01-01 hosts' 'truncate -s 0 hosts' 'mkfifo p' 'rmdir /srv/made'; do
                    $c 2>&1 | grep -c 'Read-only file system'
                done
                (echo x > f) 2>&1 | grep -c 'Read-only'; (echo x >> hosts) 2>&1 | grep -c 'Read-only'
                echo fine > /tmp/f && cat /tmp/f hosts > /tmp/g && head -1 /tmp/g";
            let result = sh(os, script).await;
            assert_eq!(result.stdout, format!("/srv/made/for/it\n{}fine\n", "1\n".repeat(14)), "{result:?}");
            for error in [
                os.write_file("/x", "x").await.unwrap_err(),
                os.mkdir("/x", Default::default()).await.unwrap_err(),
                os.chmod("/etc", 0o700).await.unwrap_err(),
                os.move_path("/etc/passwd", "/etc/x").await.unwrap_err(),
                os.symlink("a", "/x").await.unwrap_err(),
                os.truncate("/etc/passwd", 0).await.unwrap_err(),
            ] {
                assert!(matches!(error, Error::ReadOnly { .. }), "{error:?}");
            }
            let after = sh(os, "find / -path /proc -prune -o -path /tmp -prune -o -ls | cksum").await.stdout;
            assert_eq!(after, before);
            assert!(os.list_mounts().await.unwrap()[0].read_only);
        }
        fork.dispose().await.unwrap();
    });
}
