//! The command line: streams byte for byte, statuses, options, batches and listings.
//! `agentos sidecar` is in `test_sidecar`.

use std::process::{Output, Stdio};
use std::time::Duration;

use agentos_tests::{cli, module, watched};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

async fn run(args: &[&str]) -> Output {
    cli().args(args).stdin(Stdio::null()).output().await.unwrap()
}

async fn run_with(args: &[&str], input: Vec<u8>) -> Output {
    let mut child =
        cli().args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feed = tokio::spawn(async move {
        // A program need not read all.
        let _ = stdin.write_all(&input).await;
    });
    let output = child.wait_with_output().await.unwrap();
    feed.await.unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn ten_megabytes_of_any_bytes_pass_unchanged() {
    watched(async || {
        let bytes: Vec<u8> =
            (0..10_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        let output = run_with(&["exec", "--", "cat"], bytes.clone()).await;
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(output.stdout == bytes, "{} bytes", output.stdout.len());
        assert_eq!(text(&output.stderr), "");
        let output = run_with(&["exec", "--", "sh", "-c", "cat >&2; echo out"], vec![0xff; 100_000]).await;
        assert_eq!((output.stderr.len(), text(&output.stdout)), (100_000, "out\n".to_owned()));
    });
}

#[test]
fn the_status_is_that_of_the_program() {
    watched(async || {
        for (program, status) in [
            (&["true"][..], 0),
            (&["false"], 1),
            (&["sh", "-c", "exit 77"], 77),
            (&["sh", "-c", "kill -TERM $$"], 143),
            (&["no-such-program"], 127),
            (&["/etc/passwd"], 126),
            (&["/etc"], 126),
        ] {
            let output = run(&[&["exec", "--"], program].concat()).await;
            assert_eq!(output.status.code(), Some(status), "{program:?}: {output:?}");
            assert_eq!(text(&output.stdout), "");
            assert_eq!(output.stderr.is_empty(), !(126..=127).contains(&status), "{program:?}: {output:?}");
        }
        assert_eq!(run(&["exec", "--timeout", "0.3", "--", "sleep", "1000"]).await.status.code(), Some(124));
        assert_eq!(run(&["exec"]).await.status.code(), Some(2), "usage");
        assert_eq!(run(&["exec", "--no-such-option", "--", "true"]).await.status.code(), Some(2));
    });
}

#[test]
fn environment_and_directory_are_as_asked_for() {
    watched(async || {
        let script = "echo $A:$HOME; pwd";
        let args = ["exec", "--env", "A=1=2", "--cwd", "/tmp", "--", "sh", "-c", script];
        assert_eq!(text(&run(&args).await.stdout), "1=2:/home/agentos\n/tmp\n");
        let args = ["exec", "--clear-env", "--env", "A=x", "--env", "B=", "--", "/bin/env"];
        assert_eq!(text(&run(&args).await.stdout), "A=x\nB=\n");
        let output = cli()
            .env("SECRET_OF_THE_HOST", "x")
            .args(["exec", "--", "env"])
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        assert!(!text(&output.stdout).contains("SECRET"), "nothing of the host's environment");
    });
}

#[test]
fn mounts_of_the_host_and_wasm_files_in_them() {
    watched(async || {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("f"), "inside\n").unwrap();
        std::fs::write(folder.path().join("seven.wasm"), module("(call $exit (i32.const 7))", "")).unwrap();
        // {address 64, length 6} at 128: writes the text, then the status of the write.
        let hello = "(i32.store (i32.const 128) (i32.const 64)) (i32.store (i32.const 132) (i32.const 6)) \
            (call $exit (call $write (i32.const 1) (i32.const 128) (i32.const 1) (i32.const 140)))";
        std::fs::write(folder.path().join("hello.wasm"), module(hello, "hello\\n")).unwrap();
        for name in ["seven.wasm", "hello.wasm"] {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(folder.path().join(name), mode).unwrap();
        }
        let (rw, ro) = (format!("{at}:/m"), format!("{at}:/m:ro"));
        assert_eq!(run(&["exec", "--mount", &ro, "--", "/m/seven.wasm"]).await.status.code(), Some(7));
        let hello = run(&["exec", "--mount", &ro, "--", "/m/hello.wasm"]).await;
        assert_eq!((hello.status.code(), text(&hello.stdout)), (Some(0), "hello\n".to_owned()));
        let refused = run(&["exec", "--mount", &ro, "--", "sh", "-c", "cat /m/f; echo x > /m/f"]).await;
        assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(1), "inside\n".to_owned()));
        assert!(text(&refused.stderr).contains("Read-only file system"));
        assert!(run(&["exec", "--mount", &rw, "--", "sh", "-c", "echo x > /m/f"]).await.status.success());
        assert_eq!(std::fs::read_to_string(folder.path().join("f")).unwrap(), "x\n");
        let missing = run(&["exec", "--mount", "/no/such/dir:/m", "--", "true"]).await;
        assert!(!missing.status.success() && text(&missing.stderr).contains("/no/such/dir"), "{missing:?}");
        assert_eq!(run(&["exec", "--mount", "nonsense", "--", "true"]).await.status.code(), Some(2));
    });
}

#[test]
fn output_is_passed_on_while_the_program_runs() {
    watched(async || {
        use tokio::io::{AsyncBufReadExt, BufReader};
        let mut child = cli()
            .args(["exec", "--", "sh", "-c", "echo begun; read line; echo got $line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("begun"));
        // Its input stays open: the program must not wait for its end, nor we for ours.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"word\n").await.unwrap();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("got word"));
        let status = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
        assert!(status.expect("it ends although its input is open").unwrap().success());
    });
}

#[test]
fn a_batch_answers_every_line() {
    watched(async || {
        let jobs = [
            json!({"id": 1, "cmd": "cat; pwd; cat a/b; echo $V; echo err >&2; exit 5", "stdin": "in\n",
                   "files": {"a/b": "file\n", "/tmp/abs": ""}, "env": {"V": "v"}}),
            json!({"id": "two", "cmd": "sleep 1000", "timeout": 0.3}),
            json!({"id": [3], "cmd": "ls /work; printf '\\377'"}),
            json!({"id": 4, "cmd": "exit 0", "unknown": true}),
            json!({"id": 5}),
        ];
        let mut input: Vec<u8> = jobs.iter().map(|job| format!("{job}\n")).collect::<String>().into_bytes();
        input.extend_from_slice(b"\nthis is not JSON\n");
        input.extend_from_slice(json!({"id": "last", "cmd": "kill -KILL $$"}).to_string().as_bytes());
        let output = run_with(&["batch", "--jobs", "2"], input).await;
        assert!(!output.status.success(), "some lines were no jobs");
        let answers: Vec<Value> =
            text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers.len(), 7, "{answers:?}");
        let of =
            |id: Value| answers.iter().find(|a| a["id"] == id).unwrap_or_else(|| panic!("{id}: {answers:?}"));
        let first = of(json!(1));
        assert_eq!(
            (&first["status"], &first["stdout"]),
            (&json!(5), &json!("in\n/work\nfile\nv\n")),
            "{first}"
        );
        assert_eq!(first["stderr"], "err\n");
        assert_eq!(of(json!("two"))["status"], 124);
        let third = of(json!([3]));
        assert_eq!((&third["status"], &third["stdout"]), (&json!(0), &json!("\u{fffd}")));
        for bad in [json!(4), json!(5), Value::Null] {
            assert!(of(bad.clone())["error"].as_str().is_some_and(|e| !e.is_empty()), "{bad}");
        }
        assert_eq!(of(json!("last"))["status"], 137, "a line without an end is a line");
    });
}

#[test]
fn a_batch_answers_before_its_input_ends() {
    watched(async || {
        use tokio::io::{AsyncBufReadExt, BufReader};
        let mut child = cli().args(["batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut lines = BufReader::new(stdout).lines();
        for i in 0..3 {
            let job = json!({"id": i, "cmd": format!("echo {i}")});
            stdin.write_all(format!("{job}\n").as_bytes()).await.unwrap();
            let answer: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
            assert_eq!(answer, json!({"id": i, "status": 0, "stdout": format!("{i}\n"), "stderr": ""}));
        }
        drop(stdin);
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn agents_and_doctor_tell_what_there_is() {
    watched(async || {
        let output = run(&["agents", "--json"]).await;
        let agents: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let scripted = agents.iter().find(|a| a["id"] == "scripted").unwrap();
        assert_eq!(scripted["installed"], true);
        assert!(scripted.get("acpAdapter").is_some(), "{scripted}");
        assert!(text(&run(&["agents"]).await.stdout).contains("scripted"));

        let output = run(&["doctor", "--json"]).await;
        let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        for name in ["sidecar", "machine", "program"] {
            let check = checks.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("{checks:?}"));
            assert_eq!(check["ok"], true, "{check}");
        }
        assert!(text(&run(&["doctor"]).await.stdout).contains("program"));
    });
}

#[test]
fn a_recording_is_played_through_its_backend() {
    watched(async || {
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/driver/tests/data");
        for (name, runtime) in [
            ("cancel", "acp-fallback"),
            ("claude-text-and-tool-allow", "claude-agent-sdk"),
            ("codex-text-and-approval-accept", "openai-runtime"),
        ] {
            let file = format!("{data}/{name}.jsonl");
            let output = run(&["driver", "replay", &file]).await;
            assert!(output.status.success(), "{output:?}");
            let events: Vec<Value> =
                text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!((&events[0]["kind"], &events[0]["seq"]), (&json!("session.started"), &json!(1)));
            assert_eq!(events[0]["payload"]["runtime"], runtime);
            assert_eq!(events.last().unwrap()["kind"], "session.ended");
            // Two runs can be compared.
            let normalised = async || text(&run(&["driver", "replay", "--normalise", &file]).await.stdout);
            let line = normalised().await.lines().next().unwrap_or_default().to_owned();
            assert!(line.contains("<id1>") && !line.contains("\"at\""), "{line}");
        }
        let output =
            run(&["driver", "replay", "--backend", "openai-app-server", &format!("{data}/cancel.jsonl")])
                .await;
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("openai-runtime"), "{output:?}");
        let output = run(&["driver", "replay", "/no/such/recording"]).await;
        assert!(!output.status.success() && text(&output.stderr).contains("/no/such/recording"));
    });
}

#[test]
fn run_prompts_an_agent_and_answers_for_the_user() {
    watched(async || {
        let folder = tempfile::tempdir().unwrap();
        let mount = format!("{}:/p", folder.path().display());
        let prompt = "Hello.\n```sh\necho made > /p/f; echo shown\n```\n";
        for (answer, made) in [("reject", false), ("once", true)] {
            let args = ["run", "--mount", &mount, "--permission", answer, prompt];
            let output = run(&args).await;
            assert!(output.status.success(), "{output:?}");
            let seen = text(&output.stdout);
            assert!(seen.contains("Hello.") && seen.contains("▶ echo made"), "{seen}");
            assert_eq!(seen.contains("\nshown\n"), made, "{seen}");
            assert_eq!(folder.path().join("f").exists(), made);
        }
        let args = ["run", "--json", "--permission", "once", "-"];
        let output = run_with(&args, b"from input".to_vec()).await;
        let lines: Vec<Value> =
            text(&output.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.last().unwrap()["result"]["stopReason"], "end_turn");
        assert!(lines.last().unwrap()["result"]["text"].as_str().unwrap().contains("from input"));
        let unknown = run(&["run", "--agent", "nobody", "x"]).await;
        assert!(!unknown.status.success() && text(&unknown.stderr).contains("nobody"), "{unknown:?}");
    });
}

#[test]
fn a_directory_that_is_missing_is_named() {
    watched(async || {
        for _ in 0..10 {
            let missing = run(&["exec", "--cwd", "/nowhere", "--", "true"]).await;
            assert!(!missing.status.success());
            assert!(text(&missing.stderr).contains("/nowhere"), "{missing:?}");
        }
    });
}

async fn run_into(args: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let child = cli().args(args).stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().unwrap();
    child.wait_with_output().await.unwrap()
}

/// Nobody reads at the other end.
fn nobody() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn a_reader_that_leaves_breaks_the_pipe_of_the_program() {
    watched(async || {
        use tokio::io::AsyncReadExt;
        for (script, status) in [("yes", 141), ("trap '' PIPE; yes 2> /tmp/e; exit 6", 6)] {
            let mut child = cli()
                .args(["exec", "--", "sh", "-c", script])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdout = child.stdout.take().unwrap();
            assert_eq!(stdout.read_u8().await.unwrap(), b'y');
            drop(stdout);
            let output = child.wait_with_output().await.unwrap();
            assert_eq!(
                (output.status.code(), text(&output.stderr)),
                (Some(status), String::new()),
                "{script}"
            );
        }
        // Only that output is broken.
        let args = ["exec", "--", "sh", "-c", "echo lost >&2; echo kept; exit 4"];
        let output = run_into(&args, Stdio::piped(), nobody()).await;
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(4), "kept\n".to_owned()));
    });
}

#[test]
fn output_that_cannot_be_written_is_quiet_or_an_error() {
    watched(async || {
        for args in [
            &["agents"][..],
            &["agents", "--json"],
            &["doctor"],
            &["run", "--agent", "scripted", "x"],
            &["run", "--agent", "scripted", "--json", "x"],
        ] {
            let output = run_into(args, nobody(), Stdio::piped()).await;
            assert_eq!((output.status.code(), text(&output.stderr)), (Some(141), String::new()), "{args:?}");
            let output = run_into(args, full(), Stdio::piped()).await;
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
            assert!(said.starts_with("agentos: write the output: ") && said.lines().count() == 1, "{said}");
        }
        let output = run_into(&["exec", "--", "echo", "x"], full(), Stdio::piped()).await;
        assert_eq!(output.status.code(), Some(125), "{output:?}");
    });
}

#[test]
fn a_batch_that_nobody_reads_ends() {
    watched(async || {
        use tokio::io::{AsyncBufReadExt, BufReader};
        let mut child = cli()
            .args(["batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let job = format!("{}\n", json!({"id": 1, "cmd": "true"}));
        stdin.write_all(job.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stdout).lines();
        assert!(lines.next_line().await.unwrap().is_some());
        drop(lines);
        // The input stays open: the answer that nobody takes is the end.
        stdin.write_all(job.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(141), String::new()));
        drop(stdin);
    });
}

#[test]
fn every_answer_of_a_batch_has_every_field() {
    watched(async || {
        const LIMIT: usize = 64 << 20;
        let job = |job: Value| format!("{job}\n").into_bytes();
        let mut input = [
            job(json!({"id": "cut", "cmd": "yes 123456789abcdef | head -c 70000000; echo err >&2; exit 3"})),
            job(json!({"id": "no time", "cmd": "sleep 0.2; exit 6", "timeout": 0})),
            job(json!({"id": "wrong time", "cmd": "true", "timeout": -1})),
            job(json!({"id": "directory", "cmd": "true", "files": {"d/": ""}})),
            job(json!({"id": "places", "cmd": "cat c a/b", "files": {"./c": "1", "a//b": "2"}})),
            b"{\"id\": \"bytes\", \"cmd\": \"echo \xff\"}\n".to_vec(),
        ]
        .concat();
        input.resize(input.len() + LIMIT + 2, b'x');
        input.extend_from_slice(b"\n");
        input.extend_from_slice(&job(json!({"id": "after", "cmd": "echo on"})));
        let output = run_with(&["batch"], input).await;
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        let answers: Vec<Value> =
            text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers.len(), 8);
        let of = |id: Value| answers.iter().find(|a| a["id"] == id).unwrap_or_else(|| panic!("{id}"));
        for (id, status, named) in [
            (json!("cut"), 3, "67108864"),
            (json!("wrong time"), 125, "timeout -1"),
            (json!("directory"), 125, "d/"),
            (json!("bytes"), 125, "UTF-8"),
            (Value::Null, 125, "67108864"),
        ] {
            let answer = of(id.clone());
            assert_eq!(answer["status"], status, "{id}");
            let error = answer["error"].as_str().unwrap();
            assert!(error.contains(named), "{id}: {error}");
            let stderr = answer["stderr"].as_str().unwrap();
            assert!(stderr.contains(if status == 125 { error } else { "err" }), "{id}: {stderr}");
        }
        assert_eq!(of(json!("cut"))["stdout"].as_str().unwrap().len(), LIMIT);
        for (id, status, stdout) in [("no time", 6, ""), ("places", 0, "12"), ("after", 0, "on\n")] {
            let answer = json!({"id": id, "status": status, "stdout": stdout, "stderr": ""});
            assert_eq!(of(json!(id)), &answer);
        }
    });
}

#[test]
fn a_permission_tree_comes_from_a_file() {
    watched(async || {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, tree: serde_json::Value| {
            let path = folder.path().join(name);
            std::fs::write(&path, tree.to_string()).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let deny = |domain: &str, list: &str, pattern: &str| json!({domain: {"default": "allow", "rules": [{"mode": "deny", list: [pattern]}]}});
        let passwd = file("fs", deny("fs", "paths", "/etc/passwd"));
        let output = run(&["exec", "--permissions", &passwd, "--", "cat", "/etc/passwd"]).await;
        assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(1), ""));
        assert!(text(&output.stderr).contains("Permission denied"), "{output:?}");
        let programs = file("programs", deny("childProcess", "patterns", "/**/cat"));
        let output = run(&["exec", "--permissions", &programs, "--", "cat"]).await;
        assert_eq!(output.status.code(), Some(126));
        assert!(text(&output.stderr).contains("childProcess.rules[0]"), "{output:?}");
        for (name, tree, field) in [
            ("relative", deny("fs", "paths", "etc"), "permissions.fs.rules[0].paths[0]"),
            ("list", deny("fs", "patterns", "/etc"), "permissions.fs.rules[0].patterns"),
            ("network", deny("network", "patterns", "nonsense"), "permissions.network"),
        ] {
            let output = run(&["exec", "--permissions", &file(name, tree), "--", "true"]).await;
            assert_eq!(output.status.code(), Some(125));
            assert!(text(&output.stderr).contains(field), "{output:?}");
        }
    });
}

#[test]
fn failures_of_ours_are_one_line_and_a_status_of_their_own() {
    watched(async || {
        use std::os::unix::ffi::OsStrExt;
        let long = format!("/no/such/{}", "long/".repeat(60));
        let mount = format!("{long}:/m");
        for (args, named) in [
            (&["--cwd", "/nowhere"][..], "/nowhere"),
            (&["--mount", &mount], long.trim_end_matches('/')),
            (&["--permissions", &long], &long),
            (&["--snapshot", "/dev/null"], "/dev/null"),
        ] {
            let output = run(&[&["exec"], args, &["--", "false"]].concat()).await;
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(125), "{args:?}: {said}");
            assert!(said.starts_with("agentos: ") && said.contains(named), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
        let output = run(&["exec", "--timeout", "0", "--", "sh", "-c", "sleep 0.2; exit 3"]).await;
        assert_eq!(output.status.code(), Some(3), "no time is no limit");

        let bytes = std::ffi::OsStr::from_bytes;
        for (args, named) in [
            (&[&b"exec"[..], b"--env", b"A=\xff", b"--", b"true"][..], "--env"),
            (&[b"exec", b"--mount", b"/\xff:/m", b"--", b"true"], "--mount"),
            (&[b"exec", b"--", b"echo", b"a", b"\xff"], "argument 2 of the program"),
        ] {
            let output = cli().args(args.iter().map(|a| bytes(a))).output().await.unwrap();
            let said = text(&output.stderr);
            assert!(output.status.code() == Some(2) && said.contains(named), "{output:?}");
        }
        let output = run_with(&["run", "-"], b"ab\xff".to_vec()).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("the prompt"), "{output:?}");
    });
}

#[test]
fn a_mount_may_be_written_in_any_way_and_be_the_root() {
    watched(async || {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("seven.wasm"), module("(call $exit (i32.const 7))", "")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path().join("seven.wasm"), mode).unwrap();
        for guest in ["/a//m", "/a/m/", "/./a/m"] {
            let output = run(&["exec", "--mount", &format!("{at}:{guest}"), "--", "/a/m/seven.wasm"]).await;
            assert_eq!(output.status.code(), Some(7), "{guest}: {output:?}");
        }
        let output = run(&["exec", "--mount", &format!("{at}:/"), "--", "/seven.wasm"]).await;
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        assert!(!folder.path().join("workspace").exists(), "nothing is made that nobody asked for");
    });
}

#[test]
fn messages_of_an_agent_are_lines_of_their_own() {
    watched(async || {
        let output = run(&["run", "Just text."]).await;
        let seen = text(&output.stdout);
        assert!(seen.lines().any(|line| line == "You said: Just text."), "{seen}");
        assert!(seen.ends_with('\n') && !seen.contains("\n\n"), "{seen}");
    });
}
