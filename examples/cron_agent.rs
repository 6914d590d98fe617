//! An agent that works by a schedule: each morning the scripted one is prompted to write a line into a log. Time is virtual, so
//! three days take no longer than the three turns: `cargo run --release -p agentos-examples --bin cron_agent`.
//! Without `schedule_driver` the same jobs run by the clock.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use agentos::cron::VirtualScheduleDriver;
use agentos::{
    AgentOs, AgentOsConfig, CreateSessionOptions, CronAction, CronEvent, CronJobOptions, CronOverlap, Error,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn main() -> Result<(), Error> {
    agentos::sidecar::init();
    run()
}

#[tokio::main]
async fn run() -> Result<(), Error> {
    let start = "2027-03-01T00:00:00Z".parse().expect("a moment");
    let time = Arc::new(VirtualScheduleDriver::new(start));
    let os = AgentOs::create(AgentOsConfig::builder().schedule_driver(time.clone()).build()).await?;
    let mut events = os.cron_events();

    let job = os
        .schedule_cron(CronJobOptions {
            id: Some("standup".to_owned()),
            schedule: "30 9 * * mon-fri".to_owned(),
            action: CronAction::Session {
                agent_type: "scripted".to_owned(),
                prompt: "Good morning. What is on today?".into(),
                options: CreateSessionOptions::default(),
            },
            // If a turn takes longer than a day, one more follows it, however many days that was.
            overlap: CronOverlap::Queue,
        })
        .await?;
    let log = CronAction::Exec {
        command: "sh".to_owned(),
        args: vec!["-c".to_owned(), "echo one more evening >> evenings.txt".to_owned()],
    };
    os.schedule_cron(CronJobOptions::new("@daily", log)).await?;

    // From Monday to Wednesday: three mornings, three midnights.
    let runs = time.advance(3 * DAY).await;
    for listed in os.list_cron_jobs().await? {
        println!(
            "{:8} {:17} {} runs, next at {:?}",
            listed.id, listed.schedule, listed.run_count, listed.next_run
        );
        assert_eq!(listed.run_count, 3);
    }
    assert_eq!(runs, 6);
    assert_eq!(os.read_file("/workspace/evenings.txt").await?, b"one more evening\n".repeat(3));
    // The session of each run was closed with it.
    assert!(os.list_sessions().await?.is_empty());

    job.cancel().await?;
    time.advance(DAY).await;
    os.dispose().await?;

    let mut mornings = 0;
    while let Some(event) = events.next().await {
        match event {
            CronEvent::Fire { job_id, time } => println!("{time} {job_id} begins"),
            CronEvent::Complete { job_id, duration, .. } => {
                println!("{:23} {job_id} ends after {duration:?}", "");
                mornings += u32::from(job_id == "standup");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(mornings, 3);
    Ok(())
}
