//! How programs are run: from images made beforehand, and without a thread for those that wait.
//! What they do is tested elsewhere.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use agentos::ExecOptions;
use agentos_tests::{Sidecar, cli, image_cache, program, watched};
use tokio::io::AsyncReadExt;

static SIDECAR: Sidecar = Sidecar::new();

fn names(folder: &Path) -> BTreeSet<OsString> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn nothing_that_is_bundled_is_compiled_when_it_runs() {
    watched(async || {
        // Whoever runs first makes the images.
        assert!(cli().args(["exec", "--", "true"]).status().await.unwrap().success());
        let own = tempfile::tempdir().unwrap();
        let images = own.path().join("images");
        std::fs::create_dir(&images).unwrap();
        std::fs::set_permissions(&images, std::fs::Permissions::from_mode(0o700)).unwrap();
        for name in names(&image_cache()) {
            // Those of this build and of older ones; not what guests of other tests bring.
            if !name.to_string_lossy().contains("guest") {
                std::fs::copy(image_cache().join(&name), images.join(&name)).unwrap();
            }
        }
        let before = names(&images);
        let every =
            "for program in /bin/*; do $program --version; done < /dev/null > /dev/null 2>&1; echo ran";
        let mut command = cli();
        command.env("AGENTOS_CACHE_DIR", own.path()).args([
            "exec",
            "--timeout",
            "50",
            "--",
            "sh",
            "-c",
            every,
        ]);
        let ran = command.output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "ran\n", "{ran:?}");
        assert_eq!(names(&images), before);
    });
}

/// The children of a process.
fn children(parent: u32) -> Vec<u32> {
    let of = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // pid (name) state ppid: the name may hold anything.
        let ppid = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        ppid == Some(parent)
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(of).collect()
}

#[test]
fn programs_that_wait_cost_no_thread() {
    watched(async || {
        let line = "echo started; read go; i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done; \
                    cat /nofile | cat; echo waiting; read end; kill $(jobs -p)";
        let mut command = cli();
        command.args(["exec", "--", "sh", "-c", line]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut run = command.stderr(Stdio::null()).spawn().unwrap();
        let (mut input, mut output) = (run.stdin.take().unwrap(), run.stdout.take().unwrap());
        let mut line = [0; 8];
        output.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"started\n");
        let sidecar = children(run.id().unwrap());
        assert_eq!(sidecar.len(), 1, "{} has one child, the sidecar", program().display());
        let threads = || names(Path::new(&format!("/proc/{}/task", sidecar[0]))).len();
        let before = threads();
        tokio::io::AsyncWriteExt::write_all(&mut input, b"go\n").await.unwrap();
        output.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"waiting\n");
        // A thread for host files or timers may have come; not one for each of 200.
        assert!(threads() <= before + 16, "{} threads, {before} before", threads());
        tokio::io::AsyncWriteExt::write_all(&mut input, b"end\n").await.unwrap();
        assert!(run.wait().await.unwrap().success());
    });
}

#[test]
fn subshells_of_a_large_shell_are_copies_that_leave_nothing() {
    SIDECAR.test(async |os| {
        // Each level has its own 5 MB; sizes differ, so that slots of clones are used again with others.
        let script = r#"
            x=$(printf "%5000000s" end)
            for i in 1 2 3 4 5 6 7 8; do
                (
                    [ ${#x} = $((5000000 + i - 1)) ] || echo "a copy has ${#x}"
                    y=$x$x; x=changed
                    ( [ ${#y} = $((10000000 + 2 * i - 2)) ] && [ "$x" = changed ] || echo "a copy of a copy has ${#y}, $x" )
                    exec cat /dev/null
                ) | cat
                x=$x.
            done
            echo ${#x} ${x: -11}
        "#;
        for _ in 0..3 {
            let done = os.exec(script, ExecOptions::default()).await.unwrap();
            assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("5000008 end........\n", ""));
            // What runs in the slots of the clones next finds them as new.
            let sum = os.exec("echo $(seq 1000 | sort -rn | sha256sum)", ExecOptions::default()).await.unwrap();
            assert!(sum.success(), "{sum:?}");
        }
    });
}
