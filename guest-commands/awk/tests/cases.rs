//! Replays the recorded cases: programs with what gawk gave for them. The commands beside awk are those of the host.

use std::process::{Command, Stdio};

#[test]
fn programs_do_what_gawk_does() {
    agentos_cases::replay(
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"),
        &[(env!("CARGO_BIN_EXE_awk"), &["awk"])],
        agentos_cases::Others::Host,
    );
}

/// Programs that would take all memory or stack: each ends with an error of awk's own.
#[test]
fn hostile_programs_end_with_an_error() {
    let many = |text: &str, count: usize| text.repeat(count);
    let programs = [
        format!("BEGIN {{ print {}1{} }}", many("(", 100_000), many(")", 100_000)),
        format!("BEGIN {{ x = {}1 }}", many("!", 100_000)),
        format!("BEGIN {{ x = {}1 }}", many("- ", 100_000)),
        format!("BEGIN {{ x = {}1 }}", many("$", 100_000)),
        format!("BEGIN {{ {}1 }}", many("x = ", 100_000)),
        format!("BEGIN {{ x = {}1 }}", many("1 ? 2 : ", 100_000)),
        format!("BEGIN {}", many("{", 100_000)),
        format!("BEGIN {{ {} x }}", many("if (1) ", 100_000)),
        format!("BEGIN {{ {} x }}", many("while (1) ", 100_000)),
        format!("BEGIN {{ x = 2 {} }}", many("^ 2", 100_000)),
        format!("BEGIN {{ a{} }}", many("[1", 100_000)),
        format!("BEGIN {{ x ~ \"{}\" }}", many("(", 100_000)),
        format!("BEGIN {{ x ~ \"a{}\" }}", many("*", 100_000)),
        "BEGIN { x ~ \"((((a{1000}){1000}){1000}){1000})\" }".to_owned(),
        "BEGIN { x ~ /a{40000}/ }".to_owned(),
        "function f(n) { return f(n + 1) } BEGIN { f(1) }".to_owned(),
        "function f(a) { f(a) } BEGIN { b[1]; f(b) }".to_owned(),
        "function c(a, b, d, e) { x[1]; x[2]; asort(x, y, \"c\") } BEGIN { c() }".to_owned(),
        "BEGIN { printf \"%999999999999d\", 1 }".to_owned(),
        "BEGIN { printf \"%*d\", 1e18, 1 }".to_owned(),
        "BEGIN { printf \"%.999999999f\", 1 }".to_owned(),
        "BEGIN { $1e12 = 1 }".to_owned(),
        "BEGIN { NF = 1e12 }".to_owned(),
    ];
    for program in programs {
        let output = Command::new(env!("CARGO_BIN_EXE_awk"))
            .args(["-f", "/dev/stdin"])
            .stdin(stdin_of(&program))
            .output()
            .unwrap();
        let shown = &program[..program.len().min(60)];
        assert!(matches!(output.status.code(), Some(1 | 2)), "{shown}: {:?}", output.status);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{shown}");
    }
}

/// Large, but allowed.
#[test]
fn large_programs_and_records_run() {
    let sum = format!("BEGIN {{ print 0{} }}", " + 1".repeat(50_000));
    let otherwise = format!("BEGIN {{ if (0) x {}; else print \"end\" }}", "; else if (0) x ".repeat(5_000));
    let fields = "BEGIN { for (i = 1; i <= 1000000; i++) s = s \" a\"; $0 = s; print NF, $NF; n = gsub(/x*/, \"-\"); \
         print n, length($0) }";
    for (program, expected) in
        [(sum.as_str(), "50000\n"), (otherwise.as_str(), "end\n"), (fields, "1000000 a\n2000001 4000001\n")]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_awk"))
            .args(["-f", "/dev/stdin"])
            .stdin(stdin_of(program))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}

/// A file with this content as standard input.
fn stdin_of(text: &str) -> Stdio {
    use std::io::{Seek as _, Write as _};
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("program-{number}"));
    let mut file =
        std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file.into()
}
