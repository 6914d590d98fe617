//! A tree of attempts: one machine with a failing check, forked three times, each fork with an idea of its own. The one whose
//! check passes is kept, and what it changed is shown as a patch: `cargo run --release -p agentos-examples --bin fork_tree`.

#![forbid(unsafe_code)]

use agentos::{AgentOs, AgentOsConfig, DiffOptions, Error, ExecOptions, Moment};

const CHECK: &str = r#"test "$(sh add.sh 2 3)" = 5"#;

/// Ideas, as an agent might have them.
const IDEAS: [&str; 3] = ["s/-/*/", "s/-/+/", "s/1/0/"];

fn main() -> Result<(), Error> {
    agentos::sidecar::init();
    run()
}

async fn passes(os: &AgentOs) -> Result<bool, Error> {
    Ok(os.exec(CHECK, ExecOptions::default()).await?.success())
}

#[tokio::main]
async fn run() -> Result<(), Error> {
    let os = AgentOs::create(AgentOsConfig::default()).await?;
    os.write_file("/workspace/add.sh", "echo $(($1 - $2))\n").await?;
    os.checkpoint("broken").await?;
    assert!(!passes(&os).await?);

    let mut kept = None;
    for idea in IDEAS {
        // A copy of everything, in a fraction of a millisecond; nothing it does is seen elsewhere.
        let attempt = os.fork().await?;
        attempt.exec(format!("sed -i '{idea}' add.sh"), ExecOptions::default()).await?;
        let good = passes(&attempt).await?;
        println!("{idea:8} {}", if good { "passes" } else { "fails" });
        match good {
            true => kept = Some(attempt),
            false => attempt.dispose().await?,
        }
    }
    let kept = kept.expect("one idea is right");
    let within = DiffOptions { within: Some("/workspace".into()) };
    let patch = kept.patch(Moment::Start, Moment::Now, within).await?;
    let patch = String::from_utf8_lossy(&patch);
    print!("{patch}");
    assert!(patch.contains("-echo $(($1 - $2))\n+echo $(($1 + $2))\n"), "{patch}");
    assert!(!passes(&os).await?);

    // The way back, here to where the fork came from.
    kept.rollback("broken").await?;
    assert!(!passes(&kept).await?);
    kept.dispose().await?;
    os.dispose().await
}
