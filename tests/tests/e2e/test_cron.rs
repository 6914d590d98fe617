//! Cron: programs and agents that run by a schedule, in real time and in virtual time.
//! What a schedule means, and what overlaps how, is tested in `crates/client`.

use std::sync::Arc;
use std::time::Duration;

use agentos::cron::VirtualScheduleDriver;
use agentos::{
    AgentOs, AgentOsConfig, CreateSessionOptions, CronAction, CronEvent, CronEventStream, CronJobOptions,
    CronOverlap, Error,
};
use agentos_tests::{Sidecar, eventually, live_processes};

static SIDECAR: Sidecar = Sidecar::new();

const HOUR: Duration = Duration::from_secs(3600);

fn script(line: &str) -> CronAction {
    CronAction::Exec { command: "sh".into(), args: vec!["-c".into(), line.into()] }
}

fn job(id: &str, schedule: &str, action: CronAction) -> CronJobOptions {
    CronJobOptions { id: Some(id.into()), ..CronJobOptions::new(schedule, action) }
}

fn in_virtual_time(test: impl AsyncFnOnce(&AgentOs, Arc<VirtualScheduleDriver>)) {
    let time = Arc::new(VirtualScheduleDriver::new("2027-03-01T00:00:00Z".parse().unwrap()));
    let config = AgentOsConfig::builder().schedule_driver(time.clone()).build();
    SIDECAR.test_with(config, async |os| test(os, time).await);
}

/// What becomes of the next run of a job: its error, if it has one.
async fn outcome(events: &mut CronEventStream, id: &str) -> Result<(), String> {
    loop {
        match events.next().await.unwrap() {
            CronEvent::Complete { job_id, .. } if job_id == id => return Ok(()),
            CronEvent::Error { job_id, error, .. } if job_id == id => return Err(error),
            _ => {}
        }
    }
}

#[test]
fn a_program_runs_every_second_of_real_time() {
    SIDECAR.test(async |os| {
        let mut events = os.cron_events();
        let good = job("good", "* * * * * *", script("echo $$ >> /tmp/pids"));
        let good = os.schedule_cron(CronJobOptions { overlap: CronOverlap::Skip, ..good }).await.unwrap();
        assert_eq!(outcome(&mut events, "good").await, Ok(()));
        assert_eq!(outcome(&mut events, "good").await, Ok(()));
        good.cancel().await.unwrap();
        let pids = String::from_utf8(os.read_file("/tmp/pids").await.unwrap()).unwrap();
        assert!(pids.lines().count() >= 2, "{pids:?}");

        let bad =
            os.schedule_cron(job("bad", "* * * * * *", script("echo no room >&2; exit 3"))).await.unwrap();
        assert_eq!(outcome(&mut events, "bad").await, Err("status 3: no room".into()));
        let killed = os.schedule_cron(job("killed", "* * * * * *", script("kill -9 $$"))).await.unwrap();
        assert_eq!(outcome(&mut events, "killed").await, Err("ended by SIGKILL".into()));
        for job in [bad, killed] {
            job.cancel().await.unwrap();
        }
        assert!(os.list_cron_jobs().await.unwrap().is_empty());
    });
}

#[test]
fn an_agent_is_prompted_by_schedule_in_sessions_that_are_closed() {
    in_virtual_time(async |os, time| {
        let mut events = os.cron_events();
        let session = |agent_type: &str| CronAction::Session {
            agent_type: agent_type.into(),
            prompt: "What is on today?".into(),
            options: CreateSessionOptions::default(),
        };
        let daily = job("daily", "0 9 * * *", session("scripted"));
        os.schedule_cron(CronJobOptions { overlap: CronOverlap::Queue, ..daily }).await.unwrap();
        assert_eq!(time.advance(3 * 24 * HOUR).await, 3);
        for _ in 0..3 {
            assert_eq!(outcome(&mut events, "daily").await, Ok(()));
        }
        let listed = os.list_cron_jobs().await.unwrap().pop().unwrap();
        assert_eq!((listed.run_count, listed.running), (3, false));
        assert!(os.list_sessions().await.unwrap().is_empty());
        eventually("no agent is left", async || live_processes(os).await.is_empty()).await;

        os.schedule_cron(job("nobody", "@hourly", session("nobody"))).await.unwrap();
        assert_eq!(time.advance(HOUR).await, 1);
        assert_eq!(outcome(&mut events, "nobody").await, Err("no agent nobody".into()));
    });
}

#[test]
fn a_cancelled_job_ends_its_run_and_a_disposed_machine_cuts_it_off() {
    in_virtual_time(async |os, time| {
        let mut events = os.cron_events();
        let wait = "until [ -e /tmp/go ]; do sleep 0.01; done; echo over > /tmp/over";
        let job = os.schedule_cron(job("wait", "@hourly", script(wait))).await.unwrap();
        let running = tokio::spawn(async move {
            time.advance(HOUR).await;
            time
        });
        eventually("it runs", async || !live_processes(os).await.is_empty()).await;
        job.cancel().await.unwrap();
        assert!(matches!(job.cancel().await, Err(Error::CronJobNotFound { .. })));
        os.write_file("/tmp/go", "").await.unwrap();
        assert_eq!(outcome(&mut events, "wait").await, Ok(()));
        assert_eq!(os.read_file("/tmp/over").await.unwrap(), b"over\n");
        let time = running.await.unwrap();
        assert_eq!(time.advance(HOUR).await, 0);

        // One in another machine with the same driver, which is cut off.
        let fork = os.fork().await.unwrap();
        let mut events = fork.cron_events();
        fork.schedule_cron(CronJobOptions::new("@hourly", script("sleep 1000"))).await.unwrap();
        let running = tokio::spawn(async move { time.advance(HOUR).await });
        eventually("it runs", async || !live_processes(&fork).await.is_empty()).await;
        fork.dispose().await.unwrap();
        assert_eq!(running.await.unwrap(), 1);
        assert!(matches!(events.next().await, Some(CronEvent::Fire { .. })));
        assert!(matches!(events.next().await, Some(CronEvent::Error { .. })));
        assert_eq!(events.next().await, None);
    });
}
