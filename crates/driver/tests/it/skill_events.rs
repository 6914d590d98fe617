//! Skills and the session: they come before the backend starts, and the session says which do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentos_driver::boot::{Execution, SkillSource};
use agentos_driver::event::{Body, Diagnostic, Event, Severity};
use agentos_driver::ports::{
    CommandSource, EventSink, Materialized, MaterializedSkill, Pending, Skills, SkippedSkill,
};
use agentos_driver::{Command, CommandUpdate, ErrorInfo, Malformed, Order, Ports, StartInput, State};
use parking_lot::Mutex;

use crate::fake::{Called, Session, Setup, exited, no_process};

/// Says this of skills; nothing: it never answers.
struct Says {
    result: Option<Result<Materialized, ErrorInfo>>,
    asked: AtomicUsize,
}

impl Skills for Says {
    fn materialize<'a>(&'a self, _: &'a Execution) -> Pending<'a, Materialized> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let result = self.result.clone();
        Box::pin(async move {
            match result {
                Some(result) => result,
                None => std::future::pending().await,
            }
        })
    }
}

async fn session(result: Option<Result<Materialized, ErrorInfo>>) -> (Session, Arc<Says>) {
    let says = Arc::new(Says { result, asked: AtomicUsize::new(0) });
    let ports = Ports { skills: says.clone(), ..Ports::new(no_process()) };
    (Setup { ports: Some(ports), ..Setup::default() }.start().await, says)
}

/// The diagnostics of the start: those before that of a command that fails after it.
async fn diagnostics(session: &mut Session) -> Vec<Diagnostic> {
    let nothing = Order::ConfigSet { config_id: "none".into(), value: "x".into() };
    session.kernel.dispatch(Command::of(nothing)).await;
    let is_mark = |d: &Diagnostic| d.code == "driver.command_failed";
    session.log().until(|body| matches!(body, Body::DiagnosticReported(d) if is_mark(d))).await;
    let all = session.log().events.iter().filter_map(|event| match &event.body {
        Body::DiagnosticReported(diagnostic) if !is_mark(diagnostic) => Some(diagnostic.clone()),
        _ => None,
    });
    all.collect()
}

fn skipped(id: &str, reason: &str) -> SkippedSkill {
    let (skill_id, skill_name) = (id.to_owned(), format!("name of {id}"));
    SkippedSkill { skill_id, skill_name, reason: reason.to_owned(), message: format!("{reason} it is") }
}

#[tokio::test]
async fn skills_are_there_when_the_backend_starts_and_those_that_are_not_are_reported() {
    let there = MaterializedSkill {
        skill_id: "a".into(),
        skill_name: "alpha".into(),
        mount_path: "/root/.agent-driver/skill/alpha".into(),
        skill_markdown_path: "/root/.agent-driver/skill/alpha/SKILL.md".into(),
        snapshot_id: "s".into(),
    };
    let (mut session, says) = session(Some(Ok(Materialized {
        skills: vec![there.clone()],
        skipped: vec![skipped("b", "integrity"), skipped("c", "tombstone")],
        catalog: Some("/root/README.md".into()),
        catalog_error: None,
    })))
    .await;
    let reported = diagnostics(&mut session).await;
    let seen: Vec<_> = reported.iter().map(|d| (d.code.as_str(), d.reason.as_deref(), d.severity)).collect();
    assert_eq!(
        seen,
        [
            ("skill.skipped", Some("integrity"), Severity::Warn),
            ("skill.skipped", Some("tombstone"), Severity::Info),
        ]
    );
    assert_eq!(reported[0].details["skillId"], "b");
    assert_eq!(reported[0].details["skillName"], "name of b");
    let cx = session.fake.context.lock().clone().unwrap();
    assert_eq!((cx.skills(), cx.skill_catalog()), (&[there][..], Some("/root/README.md")));
    // A vendor that is started anew finds them as they are.
    cx.lost(exited());
    session
        .log()
        .until(|body| matches!(body, Body::DiagnosticReported(d) if d.code == "driver.backend_restarted"))
        .await;
    assert_eq!(says.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_starts_without_skills_when_none_can_be_had() {
    let broken = ErrorInfo::new("skill.unavailable", "no directory");
    let no_catalog = Materialized { catalog_error: Some(broken.clone()), ..Materialized::default() };
    for (result, reason) in [
        (Some(Err(broken)), "skill.unavailable"),
        (Some(Ok(no_catalog)), "skill.unavailable"),
        (None, "skill.timed_out"),
    ] {
        let (mut session, _) = session(result).await;
        let reported = diagnostics(&mut session).await;
        let seen: Vec<_> =
            reported.iter().map(|d| (d.code.as_str(), d.reason.as_deref(), d.severity)).collect();
        assert_eq!(seen, [("skill.failed", Some(reason), Severity::Error)]);
        assert_eq!(session.kernel.state(), State::Ready);
        assert_eq!(session.called(), [Called::Start]);
        assert!(session.fake.context.lock().clone().unwrap().skills().is_empty());
    }
}

/// Says stop once.
#[derive(Default)]
struct Stops(Mutex<bool>);

impl CommandSource for Stops {
    fn next_command(&self) -> Pending<'_, Option<Result<Command, Malformed>>> {
        let said = std::mem::replace(&mut *self.0.lock(), true);
        let stop = Command::of(Order::SessionStop { reason: "enough".into() });
        Box::pin(async move { Ok((!said).then_some(Ok(stop))) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_stopped_while_skills_come_starts_no_backend() {
    let says = Arc::new(Says { result: None, asked: AtomicUsize::new(0) });
    let source: Arc<Stops> = Arc::default();
    let ports = Ports { skills: says, command_source: Some(source), ..Ports::new(no_process()) };
    let mut session = Setup { ports: Some(ports), ..Setup::default() }.start().await;
    assert_eq!(session.kernel.until(|_| false).await, State::Stopped);
    session.log().to_end().await;
    assert_eq!(session.log().kinds(), ["session.ended"]);
    assert!(!session.called().contains(&Called::Start));
}

/// Takes its time for skills, and more of it for events.
struct Late;

impl Skills for Late {
    fn materialize<'a>(&'a self, _: &'a Execution) -> Pending<'a, Materialized> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok(Materialized::default())
        })
    }
}

impl EventSink for Late {
    fn push_events(&self, events: Vec<Arc<Event>>) -> Pending<'_, u64> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(events.last().unwrap().seq)
        })
    }

    fn command_update(&self, _: CommandUpdate) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test(start_paused = true)]
async fn skills_that_come_after_the_end_start_no_backend() {
    let (late, source) = (Arc::new(Late), Arc::new(Stops::default()));
    let ports = Ports {
        skills: late.clone(),
        event_sink: Some(late),
        command_source: Some(source),
        ..Ports::new(no_process())
    };
    let mut session = Setup { ports: Some(ports), ..Setup::default() }.start().await;
    assert_eq!(session.kernel.until(|_| false).await, State::Stopped);
    assert!(!session.called().contains(&Called::Start));
}

#[tokio::test]
async fn a_host_without_skills_says_so_if_a_session_has_some() {
    let execution = Execution { skills: vec![SkillSource::default()], ..Execution::default() };
    let input = StartInput::new(execution);
    let mut session = Setup { input: Some(input), ..Setup::default() }.start().await;
    let reported = diagnostics(&mut session).await;
    assert_eq!(reported.len(), 1);
    assert_eq!(reported[0].reason.as_deref(), Some("driver.port_not_configured"));
    assert_eq!(session.kernel.state(), State::Ready);
}
