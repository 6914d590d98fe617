//! Checkpoints, the way back to them, and what changed between two moments.

use agentos::{
    AgentOs, AgentOsConfig, ChangeKind, CreateSessionOptions, DiffOptions, Error, FileChange, FileType,
    Moment, MountConfig, MountPlugin, SpawnOptions, VmLimits,
};
use agentos_tests::{Sidecar, eventually, sh};
use serde_json::json;

static SIDECAR: Sidecar = Sidecar::new();

async fn text(os: &AgentOs, path: &str) -> String {
    String::from_utf8(os.read_file(path).await.unwrap()).unwrap()
}

fn told(changes: &[FileChange]) -> Vec<String> {
    let mark = |change: &FileChange| match (change.change, &change.old_path) {
        (ChangeKind::Added, _) => format!("+{}", change.path),
        (ChangeKind::Modified, _) => format!("~{}", change.path),
        (ChangeKind::Deleted, _) => format!("-{}", change.path),
        (ChangeKind::Renamed, from) => format!("{}>{}", from.as_deref().unwrap_or("?"), change.path),
    };
    changes.iter().map(mark).collect()
}

fn within(path: &str) -> DiffOptions {
    DiffOptions { within: Some(path.to_owned()) }
}

#[test]
fn a_hundred_forks_each_with_its_own_change_are_told_apart() {
    SIDECAR.test(async |os| {
        sh(os, "mkdir src && for i in $(seq 20); do echo line $i > src/f$i; done").await;
        let mut forks = Vec::new();
        for n in 0..100 {
            let fork = os.fork().await.unwrap();
            sh(&fork, &format!("echo change {n} >> src/f1; echo new > src/only{n}; rm src/f2")).await;
            forks.push(fork);
        }
        for (n, fork) in forks.iter().enumerate() {
            let changes = fork.diff(Moment::Start, Moment::Now).await.unwrap();
            let expected =
                ["~/workspace/src/f1", "-/workspace/src/f2", &format!("+/workspace/src/only{n}")[..]];
            assert_eq!(told(&changes), expected);
            let patch = fork.patch(Moment::Start, Moment::Now, within("/workspace/src")).await.unwrap();
            let patch = String::from_utf8(patch).unwrap();
            assert!(patch.contains(&format!("@@ -1 +1,2 @@\n line 1\n+change {n}\n")), "{patch}");
        }
        let kept = forks.swap_remove(17);
        for fork in forks {
            fork.dispose().await.unwrap();
        }
        assert!(os.diff(Moment::Start, Moment::Now).await.unwrap().iter().all(|c| !c.path.contains("only")));
        assert_eq!(text(&kept, "/workspace/src/only17").await, "new\n");
        kept.dispose().await.unwrap();
    });
}

#[test]
fn a_rollback_brings_back_files_and_later_checkpoints_stay() {
    SIDECAR.test(async |os| {
        sh(os, "echo one > a; mkdir -p d/e; echo deep > d/e/f; ln a same; ln -s a link; chmod 700 d").await;
        let first = os.checkpoint("first").await.unwrap();
        assert_eq!((&*first.name, first.automatic, first.bytes), ("first", false, 0));
        sh(os, "echo two > a; rm -r d; echo x > new; rm link").await;
        os.checkpoint("second").await.unwrap();
        sh(os, "rm -rf /workspace/*").await;
        os.rollback("first").await.unwrap();
        let shown = sh(os, "cat a same link d/e/f; ls; stat -c '%a %h' d a").await.stdout;
        assert_eq!(shown, "one\none\none\ndeep\na\nd\nlink\nsame\n700 3\n644 2\n");
        os.rollback("second").await.unwrap();
        assert_eq!(sh(os, "cat a same new; ls").await.stdout, "two\ntwo\nx\na\nnew\nsame\n");
        let names: Vec<_> = os.list_checkpoints().await.unwrap().into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["first", "second"]);
        os.delete_checkpoint("first").await.unwrap();
        for error in [os.rollback("first").await, os.delete_checkpoint("first").await] {
            match error {
                Err(Error::CheckpointNotFound { name }) => assert_eq!(name, "first"),
                other => panic!("{other:?}"),
            }
        }
        for name in ["second", "", &"n".repeat(256)] {
            assert!(matches!(os.checkpoint(name).await, Err(Error::InvalidRequest { .. })), "{name}");
        }
    });
}

#[test]
fn a_rollback_under_running_programs_leaves_their_open_files_readable() {
    SIDECAR.test(async |os| {
        sh(os, "echo before > kept; echo bye > gone; : > /tmp/out").await;
        os.checkpoint("point").await.unwrap();
        let script = "exec >/tmp/out 3<late 4>>kept; cd later; touch /tmp/ready; until [ -e /tmp/go ]; do sleep 0.01; done; \
                      cat <&3; echo from the program >&4; ls | wc -l; touch here 2>/dev/null || echo none";
        sh(os, "echo late > late; mkdir later; echo after > kept; rm gone").await;
        let running = os.spawn("sh", ["-c", script], SpawnOptions::default()).await.unwrap();
        eventually("the program runs", async || os.exists("/tmp/ready").await.unwrap()).await;
        os.rollback("point").await.unwrap();
        assert_eq!(sh(os, "cat kept gone; ls").await.stdout, "before\nbye\ngone\nkept\n");
        os.write_file("/tmp/go", "").await.unwrap();
        assert_eq!(running.wait().await.unwrap().exit_code, 0);
        assert_eq!(text(os, "/tmp/out").await, "late\n0\nnone\n");
        assert_eq!(text(os, "/workspace/kept").await, "before\nfrom the program\n");
    });
}

#[test]
fn changes_are_told_by_kind_and_patches_can_be_applied() {
    SIDECAR.test(async |os| {
        let make = "git init -q r 2>/dev/null; cd r; seq 40 > numbers; printf 'no newline' > bare; echo gone > gone; \
                    mkdir dir; echo in > dir/file; echo moved > old; ln -s numbers link; printf 'a\\0b' > binary; \
                    echo 'with space' > 'a b'; echo quoted > 'q\"t'; echo x > run; touch empty; echo t > touched";
        sh(os, make).await;
        os.checkpoint("base").await.unwrap();
        let change = "cd r; sed -i 's/^7$/seven/; s/^33$/thirty-three/' numbers; printf 'no newline still' > bare; rm gone; \
                      mv dir moved; mv old new; ln -sf bare link; echo more >> 'a b'; echo q >> 'q\"t'; chmod +x run; \
                      echo new > fresh; rm empty; touch touched; mkdir emptydir; chmod 600 touched";
        sh(os, change).await;
        let changes = os.diff_with("base", Moment::Now, within("/workspace/r")).await.unwrap();
        let expected = [
            "~/a b", "~/bare", "-/empty", "+/emptydir", "+/fresh", "-/gone", "~/link", "/dir>/moved",
            "/dir/file>/moved/file", "/old>/new", "~/numbers", "~/q\"t", "~/run", "~/touched",
        ];
        assert_eq!(told(&changes), expected);
        let run = changes.iter().find(|change| change.path == "/run").unwrap();
        assert_eq!((run.old_mode, run.mode, run.kind), (Some(0o644), Some(0o755), FileType::File));
        let patch = os.patch("base", Moment::Now, within("/workspace/r")).await.unwrap();
        let shown = String::from_utf8(patch.clone()).unwrap();
        for part in [
            "@@ -4,7 +4,7 @@\n 4\n 5\n 6\n-7\n+seven\n",
            "similarity index 100%\nrename from old\nrename to new\n",
            "old mode 100644\nnew mode 100755\n",
            "deleted file mode 100644\n--- a/gone\n+++ /dev/null\n",
            "\\ No newline at end of file\n",
            "new file mode 100644\n--- /dev/null\n+++ b/fresh\n",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        os.checkpoint("changed").await.unwrap();
        os.rollback("base").await.unwrap();
        os.write_file("/tmp/patch", patch).await.unwrap();
        sh(os, "cd r && git apply /tmp/patch").await;
        let left = os.diff_with("changed", Moment::Now, within("/workspace/r")).await.unwrap();
        // A patch tells neither empty directories nor permissions that git does not know.
        let left: Vec<_> = told(&left).into_iter().filter(|line| line != "-/emptydir" && line != "~/touched").collect();
        assert_eq!(left, [] as [&str; 0], "{shown}");
        // And what is binary is said to be.
        sh(os, "cd r; printf 'a\\0c' > binary; rm numbers; mkdir numbers; echo in > numbers/in").await;
        let patch = os.patch("changed", Moment::Now, within("/workspace/r")).await.unwrap();
        let shown = String::from_utf8(patch).unwrap();
        assert!(shown.contains("Binary files a/binary and b/binary differ\n"), "{shown}");
        let changes = os.diff_with("changed", Moment::Now, within("/workspace/r/numbers")).await.unwrap();
        assert_eq!(told(&changes), ["+/in"]);
    });
}

#[test]
fn memory_mounts_are_part_of_it_and_host_directories_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let memory = MountPlugin { id: "memory".to_owned(), config: serde_json::Value::Null };
    let config = AgentOsConfig::builder()
        .mount(MountConfig::Native { path: "/mnt/m".into(), plugin: memory.clone(), read_only: false })
        .mount(MountConfig::host_dir("/mnt/h", folder.path().to_str().unwrap(), false));
    SIDECAR.test_with(config.build(), async |os| {
        sh(os, "echo 1 > /mnt/m/f; echo 1 > /mnt/h/f; echo 1 > f").await;
        os.checkpoint("point").await.unwrap();
        os.mount_native("/mnt/late", memory, Default::default()).await.unwrap();
        sh(os, "echo 2 > /mnt/m/f; echo 2 > /mnt/h/f; echo 2 > f; echo 2 > /mnt/late/f; echo 2 > /mnt/m/g")
            .await;
        let changes = os.diff("point", Moment::Now).await.unwrap();
        assert_eq!(told(&changes), ["+/mnt/late", "~/mnt/m/f", "+/mnt/m/g", "~/workspace/f"]);
        // The directory under the late mount was not there.
        match os.rollback("point").await {
            Err(Error::Busy { message }) => assert!(message.contains("/mnt/late"), "{message}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(sh(os, "cat f").await.stdout, "2\n");
        os.unmount_fs("/mnt/late").await.unwrap();
        os.rollback("point").await.unwrap();
        assert_eq!(sh(os, "cat /mnt/m/f /mnt/h/f f; ls /mnt").await.stdout, "1\n2\n1\nh\nm\n");
    });
}

#[test]
fn forks_keep_the_checkpoints_of_their_past() {
    SIDECAR.test(async |os| {
        sh(os, "echo 1 > f").await;
        os.checkpoint("one").await.unwrap();
        sh(os, "echo 2 > f").await;
        let fork = os.fork().await.unwrap();
        sh(os, "echo of the original > g").await;
        os.checkpoint("later").await.unwrap();
        sh(&fork, "echo of the fork > h").await;
        assert_eq!(fork.list_checkpoints().await.unwrap().len(), 1);
        assert_eq!(told(&fork.diff(Moment::Start, Moment::Now).await.unwrap()), ["+/workspace/h"]);
        fork.rollback("one").await.unwrap();
        assert_eq!(sh(&fork, "cat f; ls").await.stdout, "1\nf\n");
        assert_eq!(sh(os, "cat f g").await.stdout, "2\nof the original\n");
        fork.dispose().await.unwrap();
    });
}

#[test]
fn checkpoints_are_bounded_in_number_and_in_what_they_keep() {
    let limits = VmLimits { checkpoints: 3, checkpoint_bytes: 1 << 20, ..VmLimits::default() };
    SIDECAR.test_with(AgentOsConfig::builder().limits(limits).build(), async |os| {
        let refused = async |name: &str, limit: &str| match os.checkpoint(name).await {
            Err(Error::Limit { name, .. }) => assert_eq!(name, limit),
            other => panic!("{other:?}"),
        };
        os.write_file("/workspace/big", vec![1; 900 << 10]).await.unwrap();
        os.checkpoint("a").await.unwrap();
        os.write_file("/workspace/big", vec![2; 900 << 10]).await.unwrap();
        let kept = os.checkpoint("b").await.map(|_| ()).map_err(|e| e.to_string());
        assert_eq!(kept, Ok(()));
        let first = &os.list_checkpoints().await.unwrap()[0];
        assert!((900 << 10..1 << 20).contains(&first.bytes), "{first:?}");
        os.write_file("/workspace/big", vec![3; 900 << 10]).await.unwrap();
        refused("c", "checkpointBytes").await;
        os.delete_checkpoint("a").await.unwrap();
        os.checkpoint("c").await.unwrap();
        os.checkpoint("d").await.unwrap();
        refused("e", "checkpoints").await;
        os.rollback("b").await.unwrap();
        assert_eq!(os.read_file("/workspace/big").await.unwrap()[0], 2);
    });
}

#[test]
fn a_thousand_and_more_checkpoints_are_kept() {
    SIDECAR.test(async |os| {
        for n in 0..1100 {
            os.write_file("/workspace/n", n.to_string()).await.unwrap();
            os.checkpoint(format!("c{n}")).await.unwrap();
        }
        for n in [0, 1, 700, 1099, 3] {
            os.rollback(format!("c{n}")).await.unwrap();
            assert_eq!(text(os, "/workspace/n").await, n.to_string());
        }
        assert_eq!(told(&os.diff("c5", "c900").await.unwrap()), ["~/workspace/n"]);
    });
}

#[test]
fn each_turn_of_an_agent_has_a_checkpoint_before_it() {
    let limits = VmLimits { checkpoints: 3, ..VmLimits::default() };
    let config = AgentOsConfig::builder().turn_checkpoints(true).limits(limits).build();
    SIDECAR.test_with(config, async |os| {
        os.checkpoint("mine").await.unwrap();
        let session = os.create_session("scripted", CreateSessionOptions::default()).await.unwrap();
        let params = json!({ "configId": "permission", "value": "never" });
        os.raw_send(&session.session_id, "session/set_config_option", params).await.unwrap();
        for n in 1..=3 {
            session.prompt(format!("```sh\necho {n} >> log\n```")).await.unwrap();
        }
        let id = &session.session_id;
        let names: Vec<_> = os.list_checkpoints().await.unwrap().into_iter().map(|c| c.name).collect();
        // Of those that were made by themselves the oldest went.
        assert_eq!(names, ["mine".to_owned(), format!("{id}/turn-2"), format!("{id}/turn-3")]);
        assert_eq!(text(os, "/workspace/log").await, "1\n2\n3\n");
        os.rollback(format!("{id}/turn-3")).await.unwrap();
        assert_eq!(text(os, "/workspace/log").await, "1\n2\n");
        session.close().await.unwrap();
    });
}

#[test]
fn a_tree_too_deep_to_tell_is_an_error_that_names_the_limit() {
    SIDECAR.test(async |os| {
        os.checkpoint("before").await.unwrap();
        // 15,200 directories in one another: their paths have 231 MB.
        let deep = "p=new/$(printf 'd/%.0s' $(seq 1900)); mkdir top; \
                    for i in $(seq 8); do mkdir -p $p && mv top $p && mv new top || exit 1; done";
        assert_eq!(sh(os, deep).await.exit_code, 0);
        for error in [
            os.diff("before", Moment::Now).await.err(),
            os.patch("before", Moment::Now, DiffOptions::default()).await.err(),
        ] {
            match error {
                Some(Error::Limit { name, .. }) => assert_eq!(name, "diffPathBytes"),
                other => panic!("{other:?}"),
            }
        }
        os.rollback("before").await.unwrap();
        assert_eq!(told(&os.diff("before", Moment::Now).await.unwrap()), [] as [&str; 0]);
    });
}
