//! Sessions with the agent that has no model: making one, and a turn without a command.

use std::time::{Duration, Instant};

use super::{Rows, put};
use crate::failure::{Failure, Result, within};
use crate::rig::{Rig, STEP, timed};
use crate::row::Row;
use crate::sample::{MS, Measure, measure};

const BUDGET: Duration = Duration::from_secs(3);

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let os = rig.vm().await?;
    let mut created = Vec::new();
    let mut begin = Instant::now();
    for n in 0..2_000 {
        let started = Instant::now();
        let session =
            within("create_session", STEP, os.create_session("scripted", Default::default())).await?;
        let took = started.elapsed().as_secs_f64() * 1e3;
        within("destroy_session", STEP, session.destroy()).await?;
        if n < 5 {
            // Warm-up.
            begin = Instant::now();
            continue;
        }
        created.push(took);
        if begin.elapsed() > BUDGET {
            break;
        }
    }
    rows.push(Row::measured("session_create", "ms", &created, &[]));

    let session = within("create_session", STEP, os.create_session("scripted", Default::default())).await?;
    let ours = async || {
        let mut reason = String::new();
        let took = timed(async {
            reason = session.prompt("hello").await?.stop_reason;
            Result::Ok(())
        })
        .await?;
        if reason == "end_turn" {
            Ok(took)
        } else {
            Err(Failure::wrong(format!("the turn ended with {reason}")))
        }
    };
    put(rows, "prompt_round_trip", measure(Measure::new("prompt_round_trip", MS), ours, None).await);
    Ok(())
}
