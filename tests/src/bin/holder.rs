//! A client that holds a machine in a shared sidecar until it is killed, so that tests can kill it.
//! It disposes of nothing.
#![forbid(unsafe_code)]

use agentos::{AgentOs, AgentOsConfig, AgentOsSidecarConfig, SharedSidecarOptions, SpawnOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), agentos::Error> {
    let binary = Some(agentos_tests::program().to_owned());
    let options = SharedSidecarOptions { pool: std::env::args().nth(1), binary };
    let handle = AgentOs::get_shared_sidecar(options).await?;
    let sidecar = Some(AgentOsSidecarConfig::Explicit { handle });
    let os = AgentOs::create(AgentOsConfig { sidecar, ..AgentOsConfig::default() }).await?;
    os.spawn("sleep", ["1000"], SpawnOptions::default()).await?;
    println!("ready");
    std::future::pending().await
}
