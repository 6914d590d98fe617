//! The client against a sidecar made up for the test, over a real socket pair.
//! What a sidecar really does is tested end to end elsewhere.

mod fake;
mod test_cron;
mod test_files;
mod test_lifecycle;
mod test_mounts;
mod test_processes;
mod test_schedules;
mod test_sessions;
mod test_timer;

use std::sync::Arc;
use std::time::Duration;

use crate::{AgentOs, AgentOsConfig, AgentOsSidecarConfig};
use fake::Fake;

/// A VM in a made-up sidecar.
async fn vm() -> (AgentOs, Arc<Fake>) {
    vm_with(AgentOsConfig::default()).await
}

async fn vm_with(mut config: AgentOsConfig) -> (AgentOs, Arc<Fake>) {
    let (fake, handle) = Fake::start().await;
    config.sidecar = Some(AgentOsSidecarConfig::Explicit { handle });
    (soon(AgentOs::create(config)).await.unwrap(), fake)
}

/// Every wait of a test ends.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("ends in time")
}
