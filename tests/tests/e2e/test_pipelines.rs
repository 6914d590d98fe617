//! Pipelines: the acceptance script, much data through many processes, and nothing left over.
//! The shell's language has tests of its own.

use agentos::{AgentOsConfig, ExecOptions, VmLimits};
use agentos_tests::{Sidecar, cli, live_processes, sh, watched};

static SIDECAR: Sidecar = Sidecar::new();

/// Pipes, limits of time, statuses, jobs, redirections and traps in one.
pub(crate) const SCRIPT: &str = r#"yes | head -3
timeout 1 sleep 5
echo $?
(exit 3) | cat
echo ${PIPESTATUS[0]}
sleep 0.2 & wait
exec 3>/tmp/o
cat /etc/passwd >&3
trap "exit 9" TERM
(sleep 0.2; kill -TERM $$) & while :; do :; done
"#;

#[test]
fn the_script_of_pipes_jobs_redirections_and_traps_works() {
    for script in [SCRIPT.to_owned(), SCRIPT.trim().replace('\n', "; ")] {
        SIDECAR.test(async |os| {
            let result = sh(os, &script).await;
            assert_eq!(result.stdout, "y\ny\ny\n124\n3\n", "{result:?}");
            assert_eq!((result.exit_code, result.signal), (9, None));
            let (copy, passwd) =
                (os.read_file("/tmp/o").await.unwrap(), os.read_file("/etc/passwd").await.unwrap());
            assert_eq!(copy, passwd);
            assert!(copy.starts_with(b"root:"));
        });
    }
}

#[test]
fn the_script_works_through_the_command_line() {
    watched(async || {
        let folder = tempfile::tempdir().unwrap();
        let mount = format!("{}:/tmp", folder.path().display());
        let output =
            cli().args(["exec", "--mount", &mount, "--", "sh", "-c", SCRIPT]).output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "y\ny\ny\n124\n3\n", "{output:?}");
        assert_eq!(output.status.code(), Some(9));
        let copy = std::fs::read_to_string(folder.path().join("o")).unwrap();
        assert!(copy.starts_with("root:") && copy.contains("agentos"), "{copy}");
    });
}

#[test]
fn much_data_through_a_hundred_processes_is_unchanged_and_nothing_is_left() {
    // A pipeline of a hundred needs 99 pipes: one that is not given back would be missed by the next.
    let limits = VmLimits { pipes: 104, processes: 110, ..VmLimits::default() };
    SIDECAR.test_with(AgentOsConfig::builder().limits(limits).build(), async |os| {
        let cats = vec!["cat"; 98].join(" | ");
        let digest =
            format!("head -c 67108864 /dev/urandom | tee /tmp/in | {cats} | sha256sum; sha256sum < /tmp/in");
        let result = sh(os, &digest).await;
        let lines: Vec<&str> = result.stdout.lines().collect();
        assert_eq!(lines.len(), 2, "{result:?}");
        assert_eq!(lines[0], lines[1]);
        assert_eq!(os.stat("/tmp/in").await.unwrap().size, 64 << 20);
        let fds = sh(os, "ls /proc/self/fd | wc -l").await.stdout;
        for _ in 0..5 {
            let result = sh(os, &format!("echo same | {cats} | cat")).await;
            assert_eq!((&*result.stdout, &*result.stderr), ("same\n", ""));
            assert!(live_processes(os).await.is_empty());
        }
        assert_eq!(sh(os, "ls /proc/self/fd | wc -l").await.stdout, fds);
        assert_eq!(os.describe().await.unwrap().processes, 0);
    });
}

#[test]
fn a_writer_without_readers_ends_by_sigpipe() {
    SIDECAR.test(async |os| {
        let result = sh(os, "yes | true; echo ${PIPESTATUS[0]}").await;
        assert_eq!(result.stdout, "141\n", "{result:?}");
        let result = sh(os, "yes | head -100000 | head -1; echo ${PIPESTATUS[@]}").await;
        assert_eq!(result.stdout, "y\n141 141 0\n", "{result:?}");
    });
}

#[test]
fn a_hundred_runs_in_a_row_leave_nothing() {
    let limits = VmLimits { pipes: 8, processes: 8, ..VmLimits::default() };
    SIDECAR.test_with(AgentOsConfig::builder().limits(limits).build(), async |os| {
        for i in 0..100 {
            let input = ExecOptions { stdin: Some(format!("{i}\n").into_bytes()), ..ExecOptions::default() };
            let result = os.exec("cat | (cat; echo $(echo in)) | cat", input).await.unwrap();
            assert_eq!((result.stdout, &*result.stderr), (format!("{i}\nin\n"), ""));
        }
    });
}

#[test]
fn both_ends_of_a_fifo_meet_however_fast_they_are() {
    SIDECAR.test(async |os| {
        let script = "mkfifo f; i=0; while [ $i -lt 500 ]; do { echo met > f & }; cat f; i=$((i+1)); done | sort | uniq -c";
        let done = os.exec(script, ExecOptions::default()).await.unwrap();
        assert_eq!((done.stdout.trim(), done.stderr.as_str()), ("500 met", ""));
    });
}

#[test]
fn a_fifo_is_opened_at_both_ends_at_once() {
    SIDECAR.test(async |os| {
        // As scripts make a queue of turns of a FIFO: it waits for nobody, and what is in it waits for a reader.
        let script = "mkfifo f; exec 3<>f; printf 'a\nb\n' >&3; \
            for i in 1 2 3 4; do (read -r turn <&3; echo $i >> done; echo $turn >&3) & done; wait; \
            sort done | tr -d '\n'; read -r x <&3; read -r y <&3; echo \" $x$y\" | tr b a; readlink /dev/fd/3; \
            { read -r z < f; echo got $z; } & echo c > f; wait; \
            echo kept > f; exec 3>&-; timeout 0.2 cat f; echo $?; echo | exec 4<>/dev/stdin 3>&4; echo $?";
        let done = os.exec(script, ExecOptions::default()).await.unwrap();
        let expected = "1234 aa\n/workspace/f\ngot c\n124\n0\n";
        assert_eq!((done.stdout.as_str(), done.stderr.as_str()), (expected, ""));
    });
}

#[test]
fn a_text_larger_than_a_process_may_hold_is_sorted() {
    // 196 MB of text; what does not fit is put aside in files, which are gone afterwards.
    let limits = VmLimits { process_memory: 176 << 20, ..VmLimits::default() };
    SIDECAR.test_with(AgentOsConfig::builder().limits(limits).build(), async |os| {
        let script = "seq 23000000 > /tmp/n; ls /tmp > /workspace/before; \
            sort -rn /tmp/n | sed -n '1p;$p'; seq 23000000 -1 1 | cksum > /workspace/expected; \
            sort -rn /tmp/n | cksum | cmp - /workspace/expected && ls /tmp | cmp - /workspace/before && echo same";
        let result = sh(os, script).await;
        assert_eq!(result.stdout.lines().collect::<Vec<_>>(), ["23000000", "1", "same"], "{result:?}");
    });
}
