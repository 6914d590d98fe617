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
