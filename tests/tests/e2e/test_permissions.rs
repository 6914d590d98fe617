//! The permission tree: for every domain what is allowed, denied, explained, tried dry and learned; and no way around it.

use agentos::{
    AgentOs, AgentOsConfig, Error, Event, ExecOptions, MkdirOptions, PermissionDenied, PermissionMode,
    Permissions, PermissionsMode, SpawnOptions,
};
use agentos_tests::{Sidecar, sh};
use serde_json::{Value, json};

static SIDECAR: Sidecar = Sidecar::new();

fn tree(tree: Value) -> Permissions {
    serde_json::from_value(tree).unwrap()
}

fn with(permissions: Value) -> AgentOsConfig {
    AgentOsConfig::builder().permissions(tree(permissions)).build()
}

/// Everything is allowed but these operations on these paths.
fn without(operations: &[&str], paths: &[&str]) -> Value {
    json!({"default": "allow", "rules": [{"mode": "deny", "operations": operations, "paths": paths}]})
}

async fn machine(permissions: Value) -> AgentOs {
    SIDECAR.create(with(permissions)).await.unwrap()
}

/// What was told of denials until now.
async fn denials(os: &AgentOs, events: &mut agentos::EventStream) -> Vec<PermissionDenied> {
    // The directory is the mark that all before it has arrived: events and answers keep their order.
    os.mkdir("/tmp/mark", MkdirOptions { recursive: true }).await.unwrap();
    let mut told = Vec::new();
    while let Ok(Some(event)) =
        tokio::time::timeout(std::time::Duration::from_millis(200), events.next()).await
    {
        if let Event::PermissionDenied(denied) = event {
            told.push(denied);
        }
    }
    told
}

#[test]
fn every_operation_on_files_is_denied_where_its_rule_says_so() {
    SIDECAR.test(async |_| {
        for (operation, script) in [
            ("read", "cat d/f"),
            ("write", "echo x >> d/f"),
            ("write", ": > d/new"),
            ("write", "mkfifo d/fifo"),
            ("mkdir", "mkdir d/n"),
            ("readdir", "ls d/sub"),
            ("stat", "stat d/f"),
            ("stat", "stat d/nothing"),
            ("rm", "rm d/f"),
            ("rm", "rmdir d/sub"),
            ("rename", "mv d/f x"),
            ("rename", "mv x d/f"),
            ("exists", "cd d/sub"),
            ("symlink", "ln -s x d/n"),
            ("readlink", "readlink -v d/l"),
            ("link", "ln d/f y"),
            ("link", "ln x d/n"),
            ("chmod", "chmod 600 d/f"),
            ("chown", "chown agentos d/f"),
            ("utimes", "touch -d 2020-01-01 d/f"),
            ("truncate", "truncate -s 1 d/f"),
        ] {
            let os = machine(json!({"fs": without(&[operation], &["/workspace/d/**"])})).await;
            for path in ["/workspace/d/sub", "/workspace/e/sub"] {
                os.mkdir(path, MkdirOptions { recursive: true }).await.unwrap();
            }
            for path in ["/workspace/d/f", "/workspace/e/f", "/workspace/x"] {
                os.write_file(path, "text").await.unwrap();
            }
            for path in ["/workspace/d/l", "/workspace/e/l"] {
                os.symlink("f", path).await.unwrap();
            }
            for path in ["d", "d/sub", "d/f", "x", "e", "e/sub", "e/f"] {
                let path = format!("/workspace/{path}");
                os.chown(&path, 1000, 1000).await.unwrap();
            }
            let elsewhere = script.replace("d/", "e/").replace(" y", " z");
            if !script.contains("nothing") {
                let result = sh(&os, &elsewhere).await;
                assert_eq!(result.exit_code, 0, "{elsewhere}: {}", result.stderr);
            }
            os.write_file("/workspace/x", "text").await.unwrap();
            let mut events = os.events();
            let result = sh(&os, script).await;
            assert_ne!(result.exit_code, 0, "{script}");
            assert!(result.stderr.contains("ermission denied"), "{script}: {}", result.stderr);
            let told = denials(&os, &mut events).await;
            let denial = &told[0].denial;
            let rule = denial.rule.as_deref();
            assert_eq!(
                (&*denial.domain, &*denial.operation, rule),
                ("fs", operation, Some("fs.rules[0]")),
                "{script}"
            );
            assert!(told[0].enforced);
            let answer = os.explain_permission("fs", operation, &*denial.resource).await.unwrap();
            assert_eq!((answer.mode, answer.rule.as_deref()), (PermissionMode::Deny, rule), "{script}");
            assert_eq!(answer.grant_that_would_allow, denial.grant_that_would_allow);
            // The grant does what it says.
            let grant: Value = serde_json::from_str(denial.grant_that_would_allow.as_ref().unwrap()).unwrap();
            let mut granted = json!({"fs": without(&[operation], &["/workspace/d/**"])});
            granted["fs"]["rules"].as_array_mut().unwrap().push(grant);
            let other = machine(granted).await;
            let answer = other.explain_permission("fs", operation, &*denial.resource).await.unwrap();
            assert_eq!((answer.mode, answer.rule.as_deref()), (PermissionMode::Allow, Some("fs.rules[1]")));
            other.dispose().await.unwrap();
            os.dispose().await.unwrap();
        }
    });
}

#[test]
fn no_other_way_leads_to_what_is_denied() {
    SIDECAR.test(async |_| {
        let os = machine(json!({"fs": without(&["read"], &["/workspace/secret/**"])})).await;
        os.mkdir("/workspace/secret/deep", MkdirOptions { recursive: true }).await.unwrap();
        os.mkdir("/workspace/open", MkdirOptions::default()).await.unwrap();
        os.write_file("/workspace/secret/key", "KEY").await.unwrap();
        os.write_file("/workspace/secret/deep/key", "KEY").await.unwrap();
        os.chown("/workspace/secret", 1000, 1000).await.unwrap();
        for script in [
            "cat secret/key",
            "cat open/../secret/key",
            "cat /workspace/./secret//key",
            "ln -s secret/key a; cat a",
            "ln -s /workspace b; cat b/secret/key",
            "ln -s ../workspace/secret/ /tmp/c; cat /tmp/c/deep/../key",
            "cd secret && cat key",
            "cd secret/deep && cat ../key",
            "cat /proc/self/cwd/secret/key",
            "cat /proc/$$/cwd/secret/key",
            "cd secret; cat /proc/self/cwd/key",
            "exec 3>> secret/key; cat /proc/self/fd/3",
            "exec 3>> secret/key; cat < /dev/fd/3",
            "ln secret/key d; cat d",
            "mv secret/key e; cat e",
            "mv secret f; cat f/key",
            "mv secret open/; cat open/secret/key",
            "mv secret/deep g; cat g/key",
            "cp secret/key h; cat h",
            "tar cf - secret | tar xOf -",
            "cat < secret/key",
            ". secret/key",
            "while read -r line; do echo $line; done < secret/key",
        ] {
            let result = sh(&os, script).await;
            assert!(!result.stdout.contains("KEY"), "{script}");
            assert!(result.stderr.contains("ermission denied"), "{script}: {}", result.stderr);
        }
        // Everything but reading is allowed, and the host is not asked.
        assert_eq!(sh(&os, "stat -c %s secret/key; ls secret; echo more >> secret/key").await.exit_code, 0);
        assert_eq!(os.read_file("/workspace/secret/key").await.unwrap(), b"KEYmore\n");
        assert_eq!(sh(&os, "mv open opened && cp -r opened again && mv again/ opened/in").await.exit_code, 0);
        // A descriptor is good for what it was opened for.
        os.dispose().await.unwrap();
    });
}

#[test]
fn a_move_between_places_with_other_rules_is_refused_at_either_end() {
    SIDECAR.test(async |_| {
        let rules = json!([
            {"mode": "allow", "paths": ["/workspace", "/workspace/**", "/bin/**", "/dev/**", "/tmp"]},
            {"mode": "deny", "operations": ["rename"], "paths": ["/workspace/fixed/**"]},
            {"mode": "deny", "operations": ["write"], "paths": ["/workspace/fixed/**", "/workspace/**/.git/**"]},
        ]);
        let os = machine(json!({"fs": {"rules": rules}})).await;
        let made = sh(&os, "mkdir fixed in out out/.git; echo 1 > out/f; mkdir -p deep/a/b; echo 2 > deep/a/b/f").await;
        assert_eq!(made.exit_code, 0, "{}", made.stderr);
        for (script, fine) in [
            ("mv out/f fixed/f", false),
            ("mv out/f /tmp/f", false),
            ("mv out/f in/f && mv in/f out/g", true),
            ("mv deep/a out/a", true),
            ("mv out/.git in/git", false),
            ("mv fixed in/fixed", false),
        ] {
            let result = sh(&os, script).await;
            assert_eq!(result.exit_code == 0, fine, "{script}: {}", result.stderr);
        }
        os.dispose().await.unwrap();
    });
}

#[test]
fn programs_start_by_their_resolved_path() {
    SIDECAR.test(async |_| {
        let rules = |operations: Value| {
            json!({"childProcess": {"default": "allow", "rules": [
                {"mode": "deny", "operations": operations, "patterns": ["/usr/bin/wc", "/bin/wc", "/bin/rev", "/usr/bin/rev"]}]}})
        };
        let os = machine(rules(json!(["spawn", "exec"]))).await;
        for script in ["wc </dev/null; exit $?", "echo a | rev; exit ${PIPESTATUS[1]}", "exec wc", "ln -s \"$(which wc)\" /tmp/w; /tmp/w"] {
            let result = sh(&os, script).await;
            assert_eq!(result.exit_code, 126, "{script} {} {}", result.stdout, result.stderr);
        }
        os.write_file("/workspace/script", "#!/usr/bin/env wc\n").await.unwrap();
        os.chmod("/workspace/script", 0o755).await.unwrap();
        assert_ne!(sh(&os, "./script").await.exit_code, 0);
        assert_eq!(sh(&os, "echo a b | cat").await.stdout, "a b\n");
        let told = os.exec_argv(["wc", "-l"], ExecOptions::default()).await.unwrap_err();
        let Error::PermissionDenied(denial) = &told else { panic!("{told:?}") };
        assert_eq!((&*denial.domain, &*denial.operation), ("childProcess", "spawn"));
        assert_eq!(denial.rule.as_deref(), Some("childProcess.rules[0]"));
        let grant = format!(r#"{{"mode":"allow","operations":["spawn"],"patterns":["{}"]}}"#, denial.resource);
        assert_eq!(denial.grant_that_would_allow.as_deref(), Some(&*grant));
        let spawned = os.spawn("wc", ["-l"], SpawnOptions::default()).await.map(|_| ()).unwrap_err();
        assert!(matches!(spawned, Error::PermissionDenied(_)), "{spawned:?}");
        let answer = os.explain_permission("childProcess", "exec", "/tmp/w").await.unwrap();
        assert_eq!((answer.mode, &*answer.resource), (PermissionMode::Deny, &*denial.resource));
        os.dispose().await.unwrap();

        let os = machine(rules(json!(["exec"]))).await;
        assert_eq!(sh(&os, "(wc -c </dev/null; :)").await.stdout, "0\n");
        assert_eq!(sh(&os, "exec wc").await.exit_code, 126);
        os.dispose().await.unwrap();
    });
}

#[test]
fn other_processes_are_out_of_reach() {
    SIDECAR.test(async |_| {
        let rules = json!([{"mode": "deny", "patterns": ["/**/sleep"]}]);
        let os = machine(json!({"process": {"default": "allow", "rules": rules}})).await;
        let sleep = os.spawn("sleep", ["1000"], SpawnOptions::default()).await.unwrap();
        let pid = sleep.pid;
        for script in [
            format!("kill {pid}"),
            format!("kill -0 {pid}"),
            format!("cat /proc/{pid}/cmdline"),
            format!("ls /proc/{pid}"),
            format!("readlink -v /proc/{pid}/exe"),
            format!("cat /proc/{pid}/fd/0"),
        ] {
            let result = sh(&os, &script).await;
            assert_ne!(result.exit_code, 0, "{script}");
            assert!(result.stderr.contains("ermission denied"), "{script}: {}", result.stderr);
        }
        // Itself, and programs of another path.
        let result = sh(&os, "cat /proc/self/cmdline > /dev/null; cat /proc/$$/stat >/dev/null && kill -0 $$; sh -c 'while :; do :; done' & kill $!").await;
        assert_eq!(result.exit_code, 0, "{}", result.stderr);
        let answer = os.explain_permission("process", "signal", "/bin/sleep").await.unwrap();
        assert_eq!(answer.mode, PermissionMode::Deny);
        sleep.kill().await.unwrap();
        sleep.wait().await.unwrap();
        os.dispose().await.unwrap();
    });
}

#[test]
fn variables_are_kept_from_programs_and_from_being_handed_on() {
    SIDECAR.test(async |_| {
        let rules = json!([
            {"mode": "deny", "operations": ["read"], "patterns": ["SECRET_*"]},
            {"mode": "deny", "operations": ["write"], "patterns": ["FIXED", "NEW"]},
        ]);
        let config = AgentOsConfig::builder()
            .permissions(tree(json!({"env": {"default": "allow", "rules": rules}})))
            .env("SECRET_KEY", "hidden")
            .env("FIXED", "as it was")
            .env("FREE", "1")
            .build();
        let os = SIDECAR.create(config).await.unwrap();
        let mut events = os.events();
        let script = "echo [$SECRET_KEY]; export FIXED=changed NEW=1 FREE=2; sh -c 'echo [$FIXED] [$NEW] [$FREE]'; \
            (exec sh -c 'echo [$FIXED]'); SECRET_X=1 sh -c 'echo [$SECRET_X]'; cat /proc/$$/environ | tr '\\0' '\\n' | grep SECRET";
        assert_eq!(sh(&os, script).await.stdout, "[]\n[as it was] [] [2]\n[as it was]\n[]\n");
        let told = denials(&os, &mut events).await;
        for (operation, name) in [("read", "SECRET_KEY"), ("write", "FIXED"), ("write", "NEW"), ("read", "SECRET_X")] {
            assert!(told.iter().any(|d| d.denial.domain == "env" && d.denial.operation == operation && d.denial.resource == name), "{name}: {told:?}");
        }
        let options = ExecOptions { env: [("SECRET_HOST".to_owned(), "x".to_owned())].into(), ..ExecOptions::default() };
        assert_eq!(os.exec("echo [$SECRET_HOST]", options).await.unwrap().stdout, "[]\n");
        let answer = os.explain_permission("env", "read", "SECRET_Z").await.unwrap();
        assert_eq!(answer.rule.as_deref(), Some("env.rules[0]"));
        os.dispose().await.unwrap();
    });
}

#[test]
fn a_dry_run_tells_and_denies_nothing() {
    SIDECAR.test(async |_| {
        let permissions = json!({
            "fs": without(&["read"], &["/workspace/f"]),
            "childProcess": {"default": "allow", "rules": [{"mode": "deny", "patterns": ["/**/wc"]}]},
            "process": "deny",
            "env": {"default": "allow", "rules": [{"mode": "deny", "patterns": ["FREE"]}]},
        });
        let config = AgentOsConfig::builder()
            .permissions(tree(permissions))
            .permissions_mode(PermissionsMode::DryRun)
            .env("FREE", "1")
            .build();
        let os = SIDECAR.create(config).await.unwrap();
        os.write_file("/workspace/f", "a\n").await.unwrap();
        let mut events = os.events();
        let result = sh(&os, "cat f; wc -l < f; sleep 100 & kill $!; echo $FREE").await;
        assert_eq!(
            result.stdout.split_whitespace().collect::<Vec<_>>(),
            ["a", "1", "1"],
            "{}",
            result.stderr
        );
        let told = denials(&os, &mut events).await;
        assert!(told.iter().all(|denied| !denied.enforced));
        for domain in ["fs", "childProcess", "process", "env"] {
            assert!(told.iter().any(|denied| denied.denial.domain == domain), "{domain}: {told:?}");
        }
        let error = os.learned_permissions().await.unwrap_err();
        assert!(matches!(error, Error::InvalidRequest { .. }), "{error:?}");
        os.dispose().await.unwrap();
    });
}

#[test]
fn what_a_run_used_is_learned_and_allows_the_same_run() {
    SIDECAR.test(async |_| {
        let script = "mkdir -p a/b; for i in 1 2 3 4 5 6 7 8 9; do echo $i > a/f$i; done; cat a/f* | wc -l; mv a/f1 a/b/g; \
            ln -s b a/l; cat a/l/g; sleep 100 & kill $!; X=1 sh -c 'echo $X'; rm -r a; ps > /dev/null";
        let learning = AgentOsConfig::builder().permissions_mode(PermissionsMode::Learn).build();
        let os = SIDECAR.create(learning).await.unwrap();
        let output = sh(&os, script).await;
        assert_eq!((output.exit_code, &*output.stdout), (0, "9\n1\n1\n"), "{}", output.stderr);
        let trees = [os.learned_permissions().await.unwrap(), os.learned_permissions_generalised().await.unwrap()];
        os.dispose().await.unwrap();
        let [exact, wide] = &trees;
        assert!(exact.fs.is_some() && exact.child_process.is_some() && exact.process.is_some() && exact.env.is_some());
        for (tree, new) in [(exact, PermissionMode::Deny), (wide, PermissionMode::Allow)] {
            let os = SIDECAR.create(AgentOsConfig::builder().permissions(tree.clone()).build()).await.unwrap();
            let mut events = os.events();
            let again = sh(&os, script).await;
            let told = denials(&os, &mut events).await;
            assert_eq!((again.exit_code, &*again.stdout), (0, "9\n1\n1\n"), "{} {told:?}", again.stderr);
            assert!(told.is_empty(), "{told:?}");
            for (domain, operation, resource, mode) in [
                ("fs", "read", "/etc/shadow", PermissionMode::Deny),
                ("fs", "write", "/workspace/a/other", new),
                ("childProcess", "spawn", "/bin/git", PermissionMode::Deny),
                ("env", "write", "Y", PermissionMode::Deny),
                ("network", "connect", "tcp://example.org:443", PermissionMode::Deny),
            ] {
                let answer = os.explain_permission(domain, operation, resource).await.unwrap();
                assert_eq!(answer.mode, mode, "{domain} {operation} {resource}");
            }
            assert_ne!(sh(&os, "cat /etc/passwd").await.exit_code, 0);
            os.dispose().await.unwrap();
        }
    });
}

#[test]
fn a_flood_of_denials_is_told_in_few_words_and_forks_keep_the_tree() {
    SIDECAR.test(async |_| {
        let os = machine(json!({"fs": without(&["read"], &["/workspace/**"])})).await;
        let fork = os.fork().await.unwrap();
        os.dispose().await.unwrap();
        let mut events = fork.events();
        let script = "for i in $(seq 1000); do true < same; true < other$i; done 2>/dev/null; echo done";
        assert_eq!(sh(&fork, script).await.stdout, "done\n");
        let told = denials(&fork, &mut events).await;
        let same: Vec<_> =
            told.iter().filter(|d| d.denial.resource == "/workspace/same").map(|d| d.count).collect();
        assert_eq!(same, [1, 10, 100, 1000]);
        assert!(told.len() <= 100 + 8, "{}", told.len());
        fork.dispose().await.unwrap();
    });
}

#[test]
fn questions_that_make_no_sense_say_what_would() {
    SIDECAR.test(async |os| {
        for (domain, operation, resource, said) in [
            ("files", "read", "/a", "childProcess"),
            ("fs", "spawn", "/a", "readdir"),
            ("fs", "read", "a", "absolute"),
        ] {
            let error = os.explain_permission(domain, operation, resource).await.unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
        let answer = os.explain_permission("fs", "write", "/etc/passwd").await.unwrap();
        assert_eq!((answer.mode, answer.rule.as_deref()), (PermissionMode::Allow, Some("fs")));
        assert_eq!(answer.grant_that_would_allow, None);
    });
}

#[test]
fn a_name_gives_no_program_away_though_only_programs_have_rules() {
    SIDECAR.test(async |_| {
        let rules = json!({"default": "allow", "rules": [{"mode": "deny", "patterns": ["/tmp/d/secret"]}]});
        let os = machine(json!({"childProcess": rules})).await;
        let script = "mkdir /tmp/d; printf '#!/bin/sh\necho ran\n' > /tmp/d/secret; chmod 755 /tmp/d/secret; cd /tmp/d; \
                      ./secret; mv secret free; ln secret other; ls; echo moved > x; mv x y; cat y";
        let result = sh(&os, script).await;
        assert_eq!(result.stdout, "secret\nmoved\n", "{result:?}");
        assert_eq!(result.stderr.matches("Permission denied").count(), 3, "{result:?}");
        os.dispose().await.unwrap();
    });
}

#[test]
fn what_was_removed_can_be_used_on_as_it_was_opened() {
    SIDECAR.test(async |_| {
        let os = machine(json!({"fs": without(&["read"], &["/nothing"])})).await;
        let script = "mkdir d; echo hello > d/f; exec 3<>d/f 4<d/f; rm -r d; truncate -s 2 /dev/fd/3; cat /dev/fd/3; echo; \
                      chmod 600 /dev/fd/3; echo x > /dev/fd/4; mkdir e; cd e; rmdir ../e; ls -a .; echo $?";
        let result = sh(&os, script).await;
        assert_eq!(result.stdout, "he\n.\n..\n0\n", "{result:?}");
        // By name it can be looked at only, and nothing is written by way of what was opened to read.
        for refused in ["chmod: changing permissions of '/dev/fd/3'", "/dev/fd/4"] {
            assert!(result.stderr.contains(&format!("{refused}: Permission denied")), "{result:?}");
        }
        assert_eq!(result.stderr.lines().count(), 2, "{result:?}");
        os.dispose().await.unwrap();
    });
}
