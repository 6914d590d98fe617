//! A client that holds a machine in a shared sidecar until it is killed, so that tests can kill it.
//! It disposes of nothing. Arguments: the pool, and the program of the sidecar.
#![forbid(unsafe_code)]

use agentos::{AgentOs, AgentOsConfig, AgentOsSidecarConfig, SharedSidecarOptions, SpawnOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), agentos::Error> {
    let mut args = std::env::args().skip(1);
    let options = SharedSidecarOptions { pool: args.next(), binary: args.next().map(Into::into) };
    let handle = AgentOs::get_shared_sidecar(options).await?;
    let sidecar = Some(AgentOsSidecarConfig::Explicit { handle });
    let os = AgentOs::create(AgentOsConfig { sidecar, ..AgentOsConfig::default() }).await?;
    os.spawn("sleep", ["1000"], SpawnOptions::default()).await?;
    println!("ready");
    std::future::pending().await
}
