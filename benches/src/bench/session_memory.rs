//! Memory of a session that waits, a thousand of them in twenty VMs.

use std::time::Duration;

use agentos::AgentOs;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Rows;
use crate::failure::{Result, within};
use crate::rig::{Rig, STEP};
use crate::row::Row;

const VMS: usize = 20;
const SESSIONS: usize = 50;

async fn fill(os: &AgentOs) -> Result<()> {
    for _ in 0..SESSIONS {
        within("create_session", STEP, os.create_session("scripted", Default::default())).await?;
    }
    Ok(())
}

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let warm = rig.vm().await?;
    fill(&warm).await?;
    within("dispose", STEP, warm.dispose()).await?;
    let mut vms = Vec::new();
    for _ in 0..VMS {
        vms.push(rig.vm().await?);
    }
    let settle = Duration::from_secs(5);
    let before = rig.process.settled_rss(settle).await?;
    stream::iter(&vms).map(fill).buffer_unordered(4).try_collect::<()>().await?;
    let grown = rig.process.settled_rss(settle).await?.saturating_sub(before);
    let each = grown as f64 / f64::from(1 << 20) / (VMS * SESSIONS) as f64;
    rows.push(Row::value("session_idle_rss", "MB", each).note("of 1,000 sessions"));
    for os in &vms {
        within("dispose", STEP, os.dispose()).await?;
    }
    Ok(())
}
