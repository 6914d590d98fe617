//! Watching files: whoever changes them, the watcher is told, in a bounded queue, and every watch ends.

use std::time::{Duration, UNIX_EPOCH};

use agentos::{
    AgentOs, AgentOsConfig, DeleteOptions, Error, Event, MkdirOptions, MountFsOptions, MountPlugin, VmLimits,
    WatchEvent, WatchEventKind, WatchOptions, WatchStream,
};
use agentos_tests::{Sidecar, sh};

static SIDECAR: Sidecar = Sidecar::new();

const DEEP: WatchOptions = WatchOptions { recursive: true };
const FLAT: WatchOptions = WatchOptions { recursive: false };

async fn next(watch: &mut WatchStream) -> WatchEvent {
    tokio::time::timeout(Duration::from_secs(30), watch.next()).await.expect("an event").unwrap().unwrap()
}

/// Events up to that of a file made as a mark, as short text: `+` created, `~` modified, `-` removed, `a` attributes,
/// `!` overflow, `old>new` renamed; directories end in a slash.
async fn told(os: &AgentOs, watch: &mut WatchStream) -> Vec<String> {
    let mark = format!("{}/.mark", watch.path());
    os.write_file(&mark, "").await.unwrap();
    os.delete(&mark, DeleteOptions::default()).await.unwrap();
    let mut told = Vec::new();
    loop {
        let event = next(watch).await;
        let slash = if event.is_directory { "/" } else { "" };
        let path = format!("{}{slash}", event.path);
        let text = match event.kind {
            _ if event.path == mark && event.kind == WatchEventKind::Removed => return told,
            _ if event.path == mark => continue,
            WatchEventKind::Created => format!("+{path}"),
            WatchEventKind::Modified => format!("~{path}"),
            WatchEventKind::Removed => format!("-{path}"),
            WatchEventKind::Renamed { from } => format!("{from}>{path}"),
            WatchEventKind::Attributes => format!("a{path}"),
            WatchEventKind::Overflow => format!("!{path}"),
            other => panic!("{other:?}"),
        };
        // Two writes are one event or two, as the reading goes.
        if told.iter().rev().find(|before: &&String| before.ends_with(&path)) != Some(&text) {
            told.push(text);
        }
    }
}

#[test]
fn what_programs_and_the_host_change_is_told() {
    SIDECAR.test(async |os| {
        let mut watch = os.watch("/workspace", DEEP).await.unwrap();
        let script = "mkdir d; echo a > d/f; echo b >> d/f; chmod 600 d/f; ln d/f g; ln -s f d/l; mv d/f d/h; \
            touch -d 2001-01-01 d/h; mv d e; truncate -s 9 e/h; mkfifo p; rm g p; rm -r e";
        assert_eq!(sh(os, script).await.exit_code, 0);
        let expected = [
            "+/workspace/d/", "+/workspace/d/f", "~/workspace/d/f", "a/workspace/d/f", "+/workspace/g",
            "+/workspace/d/l", "/workspace/d/f>/workspace/d/h", "a/workspace/d/h",
            "/workspace/d>/workspace/e/", "~/workspace/e/h", "+/workspace/p", "-/workspace/g", "-/workspace/p",
        ];
        let all = told(os, &mut watch).await;
        assert_eq!(all[..expected.len()], expected, "{all:#?}");
        let mut rest = all[expected.len()..].to_vec();
        rest.sort();
        assert_eq!(rest, ["-/workspace/e/", "-/workspace/e/h", "-/workspace/e/l"]);

        os.write_file("/workspace/a", "1").await.unwrap();
        os.write_file("/workspace/a", "22").await.unwrap();
        os.chmod("/workspace/a", 0o600).await.unwrap();
        os.utimes("/workspace/a", UNIX_EPOCH, UNIX_EPOCH).await.unwrap();
        os.truncate("/workspace/a", 0).await.unwrap();
        os.mkdir("/workspace/x/y", MkdirOptions { recursive: true }).await.unwrap();
        os.move_path("/workspace/a", "/workspace/x/y/b").await.unwrap();
        os.delete("/workspace/x", DeleteOptions { recursive: true }).await.unwrap();
        let all = told(os, &mut watch).await;
        let count = |text: &str| all.iter().filter(|event| *event == text).count();
        assert_eq!((count("+/workspace/a"), count("+/workspace/x/"), count("+/workspace/x/y/")), (1, 1, 1));
        assert!((1..=3).contains(&count("~/workspace/a")) && (1..=2).contains(&count("a/workspace/a")), "{all:?}");
        let end = ["/workspace/a>/workspace/x/y/b", "-/workspace/x/y/b", "-/workspace/x/y/", "-/workspace/x/"];
        assert_eq!(all[all.len() - end.len()..], end);

        // Looking changes nothing, and neither does what fails.
        sh(os, "echo x > k; cat k; ls -la; stat k; test -w k; rmdir k; mv nothing k; : < k").await;
        assert_eq!(told(os, &mut watch).await, ["+/workspace/k", "~/workspace/k"]);
    });
}

#[test]
fn a_watch_reaches_as_far_as_it_was_asked_to() {
    SIDECAR.test(async |os| {
        sh(os, "mkdir -p a/b c; echo > a/f; ln -s a link").await;
        let mut flat = os.watch("/workspace/a", FLAT).await.unwrap();
        let mut linked = os.watch("/workspace/link", DEEP).await.unwrap();
        let mut file = os.watch("/workspace/a/f", FLAT).await.unwrap();
        assert_eq!((linked.path(), file.path()), ("/workspace/a", "/workspace/a/f"));
        sh(os, "echo > a/b/deep; echo > c/x; mv c/x a/x; mv a/x c/y; cd a && echo 1 > ../a/b/../f; rm f; echo > f").await;
        assert_eq!(
            told(os, &mut flat).await,
            ["+/workspace/a/x", "-/workspace/a/x", "~/workspace/a/f", "-/workspace/a/f", "+/workspace/a/f", "~/workspace/a/f"]
        );
        let all = told(os, &mut linked).await;
        assert_eq!(all[..3], ["+/workspace/a/b/deep", "~/workspace/a/b/deep", "+/workspace/a/x"]);
        // The path is watched, not the file that was there first.
        while next(&mut file).await.kind != WatchEventKind::Removed {}
        let again = next(&mut file).await;
        assert_eq!((&*again.path, again.kind), ("/workspace/a/f", WatchEventKind::Created));

        // Moved away with a directory above it.
        let mut inner = os.watch("/workspace/a/b", FLAT).await.unwrap();
        sh(os, "mv a z").await;
        let event = next(&mut inner).await;
        assert_eq!((&*event.path, event.kind), ("/workspace/a/b", WatchEventKind::Overflow));

        let missing = os.watch("/workspace/none", FLAT).await.unwrap_err();
        assert_eq!(missing.errno(), Some(agentos::Errno::ENOENT), "{missing:?}");
        assert!(matches!(os.watch("workspace", FLAT).await, Err(Error::PathNotAbsolute { .. })));
    });
}

#[test]
fn a_file_that_is_open_is_told_by_the_name_it_has_now() {
    SIDECAR.test(async |os| {
        let mut watch = os.watch("/workspace", DEEP).await.unwrap();
        sh(os, "exec 3> log; echo 1 >&3; mkdir d; mv log d/log.1; echo 2 >&3; mv d e; echo 3 >&3; rm e/log.1; echo 4 >&3").await;
        assert_eq!(
            told(os, &mut watch).await,
            [
                "+/workspace/log", "~/workspace/log", "+/workspace/d/", "/workspace/log>/workspace/d/log.1",
                "~/workspace/d/log.1", "/workspace/d>/workspace/e/", "~/workspace/e/log.1", "-/workspace/e/log.1",
            ]
        );
    });
}

#[test]
fn mounts_unmounts_and_rollbacks_say_to_look_anew() {
    SIDECAR.test(async |os| {
        os.mkdir("/workspace/m", MkdirOptions::default()).await.unwrap();
        let mut watch = os.watch("/workspace", DEEP).await.unwrap();
        let memory = MountPlugin { id: "memory".to_owned(), config: serde_json::json!({}) };
        os.mount_native("/workspace/m", memory, MountFsOptions { read_only: false }).await.unwrap();
        sh(os, "echo 1 > m/f").await;
        assert_eq!(told(os, &mut watch).await, ["!/workspace/", "+/workspace/m/f", "~/workspace/m/f"]);
        os.unmount_fs("/workspace/m").await.unwrap();
        assert_eq!(told(os, &mut watch).await, ["!/workspace/"]);
        os.checkpoint("before").await.unwrap();
        sh(os, "echo > after").await;
        assert_eq!(told(os, &mut watch).await, ["+/workspace/after", "~/workspace/after"]);
        os.rollback("before").await.unwrap();
        assert_eq!(told(os, &mut watch).await, ["!/workspace/"]);
    });
}

#[test]
fn a_watcher_that_does_not_read_is_told_to_look_anew_and_costs_nothing_more() {
    let limits = VmLimits { watches: 2, watch_queue_bytes: 16 << 10, ..VmLimits::default() };
    SIDECAR.test_with(AgentOsConfig::builder().limits(limits).build(), async |os| {
        let mut events = os.events();
        let mut slow = os.watch("/workspace", DEEP).await.unwrap();
        let other = os.watch("/tmp", FLAT).await.unwrap();
        match os.watch("/tmp", FLAT).await.unwrap_err() {
            Error::Limit { name, configured, used, requested } => {
                assert_eq!((&*name, configured, used, requested), ("watches", 2, 2, 1));
            }
            other => panic!("{other:?}"),
        }
        // More than the queue, the stream and the sockets hold.
        let many = "d=$(printf %0200d 0); mkdir $d; i=0; \
            while [ $i -lt 8000 ]; do : > $d/$i; i=$((i+1)); done; echo end > last";
        assert_eq!(sh(os, many).await.exit_code, 0);
        let mut overflowed = false;
        loop {
            let event = next(&mut slow).await;
            overflowed |= event.kind == WatchEventKind::Overflow;
            if event.path == "/workspace/last" {
                break;
            }
        }
        assert!(overflowed);
        // It goes on.
        sh(os, "rm last").await;
        while next(&mut slow).await.kind != WatchEventKind::Removed {}

        drop(other);
        agentos_tests::eventually("the place is free", async || os.watch("/tmp", FLAT).await.is_ok()).await;
        let mut warned = Vec::new();
        while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(200), events.next()).await {
            if let Event::LimitWarning(warning) = event {
                warned.push(warning.limit.name);
            }
        }
        assert!(warned.iter().any(|name| name == "watches"), "{warned:?}");
        assert!(warned.iter().any(|name| name == "watchQueueBytes"), "{warned:?}");
    });
}

#[test]
fn a_watch_ends_with_its_machine() {
    SIDECAR.test(async |_| {
        let os = SIDECAR.create(AgentOsConfig::default()).await.unwrap();
        let mut watch = os.watch("/", DEEP).await.unwrap();
        let reading = tokio::spawn(async move {
            loop {
                match watch.next().await {
                    Some(Ok(_)) => {}
                    end => return (end, watch.next().await),
                }
            }
        });
        os.write_file("/tmp/x", "").await.unwrap();
        os.dispose().await.unwrap();
        let (end, after) = tokio::time::timeout(Duration::from_secs(30), reading).await.unwrap().unwrap();
        assert!(matches!(end, Some(Err(Error::Disposed))) && after.is_none(), "{end:?}");
        assert!(matches!(os.watch("/", DEEP).await, Err(Error::Disposed)));
    });
}

#[test]
fn machines_do_not_hear_of_each_other_and_a_fork_has_no_watches() {
    SIDECAR.test(async |os| {
        let mut watch = os.watch("/workspace", DEEP).await.unwrap();
        let fork = os.fork().await.unwrap();
        sh(&fork, "echo > theirs").await;
        sh(os, "echo > ours").await;
        assert_eq!(told(os, &mut watch).await, ["+/workspace/ours", "~/workspace/ours"]);
        fork.dispose().await.unwrap();
    });
}
