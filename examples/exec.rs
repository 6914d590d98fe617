//! Running programs: to their end by a shell line or by arguments, and as a process to talk with:
//! `cargo run --release -p agentos-examples --bin exec`.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use agentos::{AgentOs, AgentOsConfig, Error, ExecOptions, SpawnOptions};

fn main() -> Result<(), Error> {
    agentos::sidecar::init();
    run()
}

#[tokio::main]
async fn run() -> Result<(), Error> {
    let os = AgentOs::create(AgentOsConfig::default()).await?;

    // A shell line: pipes, redirections, status.
    let stdin = Some(b"pear\napple\npear\n".to_vec());
    let counted = os.exec("sort | uniq -c; exit 3", ExecOptions { stdin, ..Default::default() }).await?;
    print!("{}", counted.stdout);
    assert_eq!(counted.exit_code, 3);
    assert_eq!(counted.stdout.split_whitespace().collect::<Vec<_>>(), ["1", "apple", "2", "pear"]);

    // Arguments as they are: nothing is expanded.
    let plain = os.exec_argv(["echo", "$HOME", "*"], ExecOptions::default()).await?;
    assert_eq!(plain.stdout, "$HOME *\n");

    // What there is not is a status, as in a shell.
    assert_eq!(os.exec_argv(["no-such-program"], ExecOptions::default()).await?.exit_code, 127);

    // A limit of time ends the whole process group.
    let begin = Instant::now();
    let timeout = Some(Duration::from_millis(200));
    let late = os.exec("sleep 60 | cat", ExecOptions { timeout, ..Default::default() }).await?;
    assert!(late.timed_out && begin.elapsed() < Duration::from_secs(10), "{late:?}");

    // A process that stays: written to, read from as output comes, waited for.
    let script = "while read word; do echo \"<$word>\"; done; echo bye >&2; exit 7";
    let process = os.spawn("sh", ["-c", script], SpawnOptions::default()).await?;
    let mut output = process.stdout().await?;
    for word in ["one", "two"] {
        process.write_stdin(format!("{word}\n")).await?;
        let chunk = output.next().await.expect("the process still runs")?;
        println!("{} at {}", String::from_utf8_lossy(&chunk.data).trim_end(), chunk.offset);
        assert_eq!(chunk.data, format!("<{word}>\n").as_bytes());
    }
    process.close_stdin().await?;
    assert!(output.next().await.is_none());
    let mut errors = process.stderr().await?;
    let last = errors.next().await.expect("it said something")?;
    assert_eq!((&last.data[..], process.wait().await?.exit_code), (&b"bye\n"[..], 7));
    os.dispose().await
}
