//! `exec`: status, streams, environment, limits of time, and the end of everything it started.
//! The shell's own language is tested in `guest-commands`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentos::{Errno, Error, ExecOptions, FileType, Signal, SpawnOptions};
use agentos_tests::{Sidecar, eventually, live_processes, module, sh};

static SIDECAR: Sidecar = Sidecar::new();

fn options() -> ExecOptions {
    ExecOptions::default()
}

#[test]
fn the_status_of_the_command_is_the_exit_code() {
    SIDECAR.test(async |os| {
        for status in [0, 1, 7, 126, 127, 255] {
            let result = sh(os, &format!("exit {status}")).await;
            assert_eq!((result.exit_code, result.signal), (status, None));
        }
        let argv = os.exec_argv(["sh", "-c", "exit 3"], options()).await.unwrap();
        assert_eq!(argv.exit_code, 3);
    });
}

#[test]
fn a_program_that_does_not_exist_is_127() {
    SIDECAR.test(async |os| {
        for argv in [vec!["no-such-program"], vec!["/no/such/program"], vec!["./nothing", "x"]] {
            let name = argv[0];
            let result = os.exec_argv(argv, options()).await.unwrap();
            assert_eq!(result.exit_code, 127, "{result:?}");
            assert!(result.stderr.contains(name), "{result:?}");
        }
        let result = sh(os, "no-such-program").await;
        assert_eq!(result.exit_code, 127);
        assert!(result.stderr.contains("no-such-program"), "{result:?}");
    });
}

#[test]
fn what_may_not_be_executed_is_126() {
    SIDECAR.test(async |os| {
        os.write_file("/workspace/plain", "echo never\n").await.unwrap();
        os.mkdir("/workspace/folder", Default::default()).await.unwrap();
        assert_eq!(os.stat("/workspace/folder").await.unwrap().kind, FileType::Directory);
        for program in ["/workspace/plain", "/workspace/folder"] {
            for result in [os.exec_argv([program], options()).await.unwrap(), sh(os, program).await] {
                assert_eq!((result.exit_code, &*result.stdout), (126, ""), "{program}: {result:?}");
                assert!(result.stderr.contains(program), "{result:?}");
            }
        }
    });
}

#[test]
fn a_module_that_is_no_wasm_is_126_and_says_so() {
    SIDECAR.test(async |os| {
        os.write_file("/workspace/bad.wasm", b"\0asm\x01\0\0\0\xff\xff\xff").await.unwrap();
        os.chmod("/workspace/bad.wasm", 0o755).await.unwrap();
        for result in [
            os.exec_argv(["/workspace/bad.wasm"], options()).await.unwrap(),
            sh(os, "/workspace/bad.wasm").await,
        ] {
            assert_eq!(result.exit_code, 126, "{result:?}");
            assert!(result.stderr.contains("bad.wasm"), "{result:?}");
        }
        let direct = os.exec_argv(["/workspace/bad.wasm"], options()).await.unwrap();
        assert!(direct.stderr.len() > "agentos: /workspace/bad.wasm: \n".len(), "{direct:?}");
    });
}

#[test]
fn a_module_of_the_user_runs_by_its_path() {
    SIDECAR.test(async |os| {
        os.write_file("/workspace/seven.wasm", module("(call $exit (i32.const 7))", "")).await.unwrap();
        os.chmod("/workspace/seven.wasm", 0o755).await.unwrap();
        assert_eq!(os.exec_argv(["/workspace/seven.wasm"], options()).await.unwrap().exit_code, 7);
        assert_eq!(sh(os, "./seven.wasm; echo $?").await.stdout, "7\n");
    });
}

#[test]
fn death_by_a_signal_is_128_and_its_number_and_its_name() {
    SIDECAR.test(async |os| {
        for (name, number) in [("KILL", 9), ("TERM", 15), ("HUP", 1), ("USR1", 10)] {
            let result = sh(os, &format!("kill -{name} $$; sleep 5")).await;
            let signal = format!("SIG{name}");
            assert_eq!((result.exit_code, result.signal), (128 + number, Some(signal)));
        }
        // A child's death is an ordinary status of the shell.
        let result = sh(os, "sh -c 'kill -KILL $$'").await;
        assert_eq!(result.exit_code, 137);
    });
}

#[test]
fn a_trap_ends_only_the_program_that_trapped() {
    SIDECAR.test(async |os| {
        os.write_file("/workspace/trap.wasm", module("unreachable", "")).await.unwrap();
        os.chmod("/workspace/trap.wasm", 0o755).await.unwrap();
        let other = os.spawn("cat", Vec::<String>::new(), Default::default()).await.unwrap();
        let result = os.exec_argv(["/workspace/trap.wasm"], options()).await.unwrap();
        assert!(result.exit_code > 128 && result.signal.is_some(), "{result:?}");
        assert_eq!(sh(os, "./trap.wasm; echo still here").await.stdout, "still here\n");
        other.write_stdin("alive").await.unwrap();
        other.close_stdin().await.unwrap();
        assert_eq!(other.wait().await.unwrap().exit_code, 0);
    });
}

#[test]
fn variables_are_added_or_are_all_there_is() {
    SIDECAR.test(async |os| {
        let env = [("NAME".to_owned(), "a value\nof two lines".to_owned())];
        let added = ExecOptions { env: env.clone().into(), ..options() };
        let result = os.exec("printf '%s|%s' \"$NAME\" \"$HOME\"", added).await.unwrap();
        assert_eq!(result.stdout, "a value\nof two lines|/home/agentos");
        let only = ExecOptions { env: env.into(), clear_env: true, ..options() };
        let result = os.exec_argv(["/bin/env"], only).await.unwrap();
        assert_eq!(result.stdout, "NAME=a value\nof two lines\n");
        let nothing = ExecOptions { clear_env: true, ..options() };
        assert_eq!(os.exec_argv(["/bin/env"], nothing).await.unwrap().stdout, "");
        for name in ["", "A=B", "A\0"] {
            let wrong = ExecOptions { env: [(name.to_owned(), String::new())].into(), ..options() };
            let refused = os.exec("true", wrong).await.unwrap_err();
            assert!(matches!(refused, Error::InvalidRequest { .. }), "{refused:?}");
        }
    });
}

#[test]
fn the_working_directory_is_the_one_asked_for() {
    SIDECAR.test(async |os| {
        assert_eq!(sh(os, "pwd").await.stdout, "/workspace\n");
        let there = ExecOptions { cwd: Some("/etc".into()), ..options() };
        assert_eq!(os.exec("pwd; cat hostname", there).await.unwrap().stdout, "/etc\nagentos\n");
        let nowhere = ExecOptions { cwd: Some("/nowhere".into()), ..options() };
        let refused = os.exec("pwd", nowhere).await.unwrap_err();
        assert_eq!(refused.errno(), Some(agentos::Errno::ENOENT), "{refused:?}");
        let relative = ExecOptions { cwd: Some("etc".into()), ..options() };
        assert!(matches!(os.exec("pwd", relative).await, Err(Error::PathNotAbsolute { .. })));
    });
}

#[test]
fn input_of_any_length_arrives_and_ends() {
    SIDECAR.test(async |os| {
        assert_eq!(sh(os, "cat; echo $?").await.stdout, "0\n", "no input is an end at once");
        // Around the length that goes with the request, and far above it.
        for length in [1, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 3_000_000] {
            let bytes: Vec<u8> = (0..length).map(|i| (i * 7 % 251) as u8).collect();
            let given = ExecOptions { stdin: Some(bytes.clone()), ..options() };
            let result = os.exec_argv(["cat"], given).await.unwrap();
            assert!(result.stdout_bytes() == bytes, "{length} bytes");
        }
        let unread = ExecOptions { stdin: Some(vec![b'x'; 4 << 20]), ..options() };
        assert_eq!(os.exec("head -c 3", unread).await.unwrap().stdout, "xxx");
    });
}

#[test]
fn output_of_any_length_is_complete() {
    SIDECAR.test(async |os| {
        for length in [65_535_usize, 65_536, 65_537, 300_000] {
            let result = sh(os, &format!("yes | head -c {length}")).await;
            assert_eq!(result.stdout.len(), length);
        }
        let bytes: Vec<u8> = (0..20_000_000_u32).map(|i| (i ^ (i >> 9)) as u8).collect();
        os.write_file("/tmp/big", &bytes).await.unwrap();
        let result = sh(os, "cat /tmp/big").await;
        assert_eq!(blake3::hash(result.stdout_bytes()), blake3::hash(&bytes));
    });
}

#[test]
fn the_two_outputs_are_kept_apart() {
    SIDECAR.test(async |os| {
        let result = sh(os, "echo out; echo err >&2; echo out2; printf 'err2' >&2").await;
        assert_eq!((&*result.stdout, &*result.stderr), ("out\nout2\n", "err\nerr2"));
        let none = ExecOptions { capture: false, ..options() };
        let result = os.exec("echo out; echo err >&2", none).await.unwrap();
        assert_eq!((&*result.stdout, &*result.stderr), ("", ""));
    });
}

#[test]
fn output_beyond_the_capture_limit_is_an_error_that_names_it() {
    SIDECAR.test(async |os| {
        let small = ExecOptions { max_output: 100_000, ..options() };
        match os.exec("yes", small).await.unwrap_err() {
            Error::Limit { name, configured, used, requested } => {
                assert_eq!((&*name, configured), ("maxOutput", 100_000));
                assert!(used <= configured && used + requested > configured, "{used} {requested}");
            }
            other => panic!("{other:?}"),
        }
        let tiny = || ExecOptions { max_output: 100, ..options() };
        let error = os.exec("seq 100", tiny()).await.unwrap_err();
        assert!(
            matches!(error, Error::Limit { configured: 100, .. }),
            "also what would fit into the reply: {error:?}"
        );
        assert!(os.exec("seq 10", tiny()).await.unwrap().success());
    });
}

#[test]
fn bytes_that_are_no_text_are_kept() {
    SIDECAR.test(async |os| {
        let result = sh(os, r"printf 'a\377b'").await;
        assert_eq!(result.stdout_bytes(), b"a\xffb");
        assert_eq!(result.stdout, "a\u{fffd}b");
    });
}

#[test]
fn a_timeout_kills_all_of_it_and_says_so() {
    SIDECAR.test(async |os| {
        let short = || ExecOptions { timeout: Some(Duration::from_millis(300)), ..options() };
        for line in
            ["sleep 1000", "while :; do :; done", "trap '' TERM; sleep 1000 & wait", "sleep 900 | sleep 901"]
        {
            let result = os.exec(line, short()).await.unwrap();
            assert!(result.timed_out, "{line}: {result:?}");
            assert_eq!(result.exit_code, 137, "{line}: {result:?}");
        }
        let result = os.exec("echo kept; sleep 1000", short()).await.unwrap();
        assert_eq!((&*result.stdout, result.timed_out), ("kept\n", true));
        let long = ExecOptions { timeout: Some(Duration::from_secs(50)), ..options() };
        assert!(!os.exec("true", long).await.unwrap().timed_out);
    });
}

#[test]
fn a_limit_of_cpu_time_ends_what_computes_but_not_what_waits() {
    SIDECAR.test(async |os| {
        let limit = || ExecOptions { cpu_time_limit: Some(Duration::from_millis(300)), ..options() };
        let result = os.exec("while :; do :; done", limit()).await.unwrap();
        assert_eq!((result.exit_code, result.signal.as_deref()), (152, Some("SIGXCPU")), "{result:?}");
        assert!(!result.timed_out);
        let result = os.exec("trap '' XCPU; while :; do :; done", limit()).await.unwrap();
        assert_eq!((result.exit_code, result.signal.as_deref()), (137, Some("SIGKILL")), "one second later");
        assert!(os.exec("sleep 0.6", limit()).await.unwrap().success());
    });
}

#[test]
fn fifty_at_once_do_not_mix() {
    SIDECAR.test(async |os| {
        let runs: Vec<_> = (0..50)
            .map(|i| {
                let os = os.clone();
                tokio::spawn(async move {
                    let input = ExecOptions { stdin: Some(format!("in {i}\n").into_bytes()), ..options() };
                    let result =
                        os.exec(format!("cat; echo out {i}; echo err {i} >&2; exit {i}"), input).await;
                    (i, result.unwrap())
                })
            })
            .collect();
        for run in runs {
            let (i, result) = run.await.unwrap();
            assert_eq!(result.stdout, format!("in {i}\nout {i}\n"));
            assert_eq!(result.stderr, format!("err {i}\n"));
            assert_eq!(result.exit_code, i);
        }
    });
}

#[test]
fn output_is_seen_before_the_end() {
    SIDECAR.test(async |os| {
        let (tell, told) = tokio::sync::oneshot::channel();
        let tell = Mutex::new(Some(tell));
        let errors = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&errors);
        let live = ExecOptions {
            on_stdout: Some(Arc::new(move |bytes| {
                assert_eq!(bytes, b"begun\n");
                if let Some(tell) = tell.lock().unwrap().take() {
                    tell.send(()).unwrap();
                }
            })),
            on_stderr: Some(Arc::new(move |bytes| {
                seen.fetch_add(bytes.len(), Ordering::SeqCst);
            })),
            ..options()
        };
        // The command ends only when the host, having seen its output, makes the file.
        let run = os.exec("echo begun; echo err >&2; until [ -e /tmp/go ]; do sleep 0.01; done", live);
        let (result, ()) = tokio::join!(run, async {
            told.await.unwrap();
            os.write_file("/tmp/go", "").await.unwrap();
        });
        let result = result.unwrap();
        assert_eq!((result.exit_code, &*result.stdout, &*result.stderr), (0, "begun\n", "err\n"));
        assert_eq!(errors.load(Ordering::SeqCst), 4);
    });
}

#[test]
fn a_dropped_exec_kills_all_that_it_started() {
    SIDECAR.test(async |os| {
        for line in [
            "sleep 1000",
            "sleep 1000 | sleep 1001 | cat",
            "sleep 1000 & sleep 1001 & wait",
            "(sleep 1000; echo) & while :; do :; done",
            "trap '' TERM INT HUP; while :; do sleep 1000; done",
            "sh -c 'sh -c \"sleep 1000; :\"; :' ; :",
            "set -m; sleep 1000 & sleep 1001 | cat & wait",
        ] {
            let run = os.exec(line, options());
            let started = tokio::time::timeout(Duration::from_millis(300), run).await;
            assert!(started.is_err(), "{line}");
            eventually(&format!("nothing is left of: {line}"), async || live_processes(os).await.is_empty())
                .await;
        }
    });
}

#[test]
fn a_dropped_spawn_leaves_no_process_and_an_ended_one_takes_no_signal() {
    SIDECAR.test(async |os| {
        for wait in (0..40).map(|n| Duration::from_micros(n * 100)) {
            let spawn = os.spawn("sleep", ["1000"], SpawnOptions::default());
            if let Ok(process) = tokio::time::timeout(wait, spawn).await {
                process.unwrap().kill().await.unwrap();
            }
        }
        eventually("nothing is left", async || live_processes(os).await.is_empty()).await;
        let process = os.spawn("true", std::iter::empty::<String>(), SpawnOptions::default()).await.unwrap();
        process.wait().await.unwrap();
        let error = process.signal(Signal::SIGTERM).await.unwrap_err();
        assert_eq!(error.errno(), Some(Errno::ESRCH), "{error:?}");
    });
}
