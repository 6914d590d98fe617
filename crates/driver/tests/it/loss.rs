//! A vendor that goes away at the worst moment: after it has said how its turn ended, and before the turn has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agentos_driver::backend::{Backend, Context, TurnOutcome};
use agentos_driver::boot::Execution;
use agentos_driver::error::BACKEND_EXITED;
use agentos_driver::event::{Body, StopReason};
use agentos_driver::process::Exit;
use agentos_driver::registry::Descriptor;
use agentos_driver::testing::{Log, ScriptedLauncher};
use agentos_driver::{Command, ErrorInfo, Fate, Input, Kernel, Order, Ports, Runtime, StartInput};
use futures_util::future::BoxFuture;
use ulid::Ulid;

/// It says that it is gone, and ends its first turn only then.
struct Leaving(Arc<AtomicUsize>);

impl Backend for Leaving {
    fn runtime(&self) -> Runtime {
        Runtime::Acp
    }

    fn start<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<(), ErrorInfo>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    }

    fn handle_input<'a>(&'a self, cx: &'a Context, _: &'a Input, _: Ulid) -> BoxFuture<'a, TurnOutcome> {
        Box::pin(async move {
            if self.0.load(Ordering::SeqCst) == 1 {
                cx.lost(ErrorInfo::retryable(BACKEND_EXITED, "gone"));
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            TurnOutcome::Completed { stop_reason: StopReason::EndTurn }
        })
    }

    fn cancel<'a>(&'a self, _: &'a Context, _: Ulid, _: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn kill<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn stop<'a>(&'a self, _: &'a Context, _: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_goes_away_at_the_end_of_a_turn_is_started_again() {
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&starts);
    let descriptor = Descriptor {
        id: "leaving",
        runtime: Runtime::Acp,
        aliases: Vec::new(),
        capabilities: Vec::new(),
        required_ports: Vec::new(),
        unsupported_gaps: Vec::new(),
        create: Arc::new(move |_: &Execution, _: &Ports| {
            Ok(Arc::new(Leaving(Arc::clone(&counted))) as Arc<dyn Backend>)
        }),
    };
    let launcher = ScriptedLauncher::new(|_| async { Exit::default() });
    let ports = Ports::new(Arc::new(launcher));
    let kernel =
        Kernel::start(Arc::new(descriptor), ports, StartInput::new(Execution::default())).await.unwrap();
    let mut log = Log::new(kernel.events().unwrap());
    let input = || Order::InputStart {
        request_id: "r".to_owned(),
        run_id: Ulid::generate(),
        input: Input::text("hello"),
        access_snapshot: None,
    };
    assert_eq!(kernel.dispatch(Command::of(input())).await.status, Fate::Completed);
    let restarted =
        |body: &Body| matches!(body, Body::DiagnosticReported(of) if of.code == "driver.backend_restarted");
    log.until(restarted).await;
    assert_eq!(starts.load(Ordering::SeqCst), 2);
    assert_eq!(kernel.dispatch(Command::of(input())).await.status, Fate::Completed);
    kernel.stop("enough").await.unwrap();
    assert_eq!(starts.load(Ordering::SeqCst), 2, "once is enough");
}
