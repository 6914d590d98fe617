//! Hosts that are pushed events and asked for commands: nothing is lost by one that fails, and nothing waits behind what
//! takes long.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use agentos_driver::event::{Body, Draft, Event, Item};
use agentos_driver::ports::{CommandSource, EventSink, Pending};
use agentos_driver::{Command, CommandUpdate, ErrorInfo, Fate, Malformed, Order, Ports, State};
use parking_lot::Mutex;
use tokio::sync::watch;
use ulid::Ulid;

use crate::fake::{Setup, done, input, no_process};

/// A host: it takes events, or does not.
#[derive(Default)]
struct Host {
    events: Mutex<Vec<Event>>,
    updates: Mutex<Vec<CommandUpdate>>,
    commands: Mutex<VecDeque<Result<Command, Malformed>>>,
    /// How many pushes fail, and how many of a batch are kept of each.
    fails: Mutex<u32>,
    keeps: Mutex<Option<usize>>,
    changed: watch::Sender<u64>,
}

impl EventSink for Host {
    fn push_events(&self, events: Vec<Arc<Event>>) -> Pending<'_, u64> {
        Box::pin(async move {
            let mut fails = self.fails.lock();
            if *fails > 0 {
                *fails -= 1;
                return Err(ErrorInfo::retryable("host.busy", "later"));
            }
            let keep = self.keeps.lock().take().unwrap_or(events.len());
            let last = events[keep.min(events.len()) - 1].seq;
            self.events.lock().extend(events.into_iter().take(keep).map(Arc::unwrap_or_clone));
            self.changed.send_modify(|n| *n += 1);
            Ok(last)
        })
    }

    fn command_update(&self, update: CommandUpdate) -> Pending<'_, ()> {
        self.updates.lock().push(update);
        self.changed.send_modify(|n| *n += 1);
        Box::pin(async { Ok(()) })
    }
}

impl CommandSource for Host {
    fn next_command(&self) -> Pending<'_, Option<Result<Command, Malformed>>> {
        let next = self.commands.lock().pop_front();
        Box::pin(async move { Ok(next) })
    }
}

impl Host {
    async fn until(&self, is: impl Fn(&Self) -> bool) {
        let mut changed = self.changed.subscribe();
        while !is(self) {
            changed.changed().await.unwrap();
        }
    }

    fn ports(self: &Arc<Self>) -> Ports {
        Ports {
            event_sink: Some(self.clone()),
            command_source: Some(self.clone()),
            ..Ports::new(no_process())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_fails_or_keeps_a_part_gets_every_event_once_in_order() {
    let host = Arc::new(Host::default());
    *host.fails.lock() = 3;
    *host.keeps.lock() = Some(1);
    let session = Setup { ports: Some(host.ports()), ..Setup::default() }.start().await;
    assert!(session.kernel.events().is_none());
    session.next(|cx, turn| async move {
        for n in 0..500 {
            cx.emit(Draft::of_turn(turn, Body::ItemCompleted { item: Item::message(n.to_string(), vec![]) }))
                .await;
        }
        done()
    });
    session.kernel.dispatch(input(Ulid::generate())).await;
    session.kernel.stop("done").await.unwrap();
    let events = host.events.lock().clone();
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    let hole = numbers.iter().zip(1..).find(|(is, should)| *is != should);
    assert_eq!(hole, None, "{} events", numbers.len());
    assert_eq!(numbers.len(), 1 + 1 + 2 * 500 + 1 + 1);
    assert!(matches!(events.last().unwrap().body, Body::SessionEnded(_)));
}

#[tokio::test(start_paused = true)]
async fn commands_of_a_source_are_accepted_and_settled_and_none_waits_for_another() {
    let host = Arc::new(Host::default());
    let session = Setup { ports: Some(host.ports()), ..Setup::default() }.start().await;
    session.next_waits();
    let (turn, cancel) =
        (input(Ulid::generate()), Command::of(Order::TurnCancel { run_id: None, reason: None }));
    let malformed = Command::parse(r#"{"kind":"turn.fly","commandId":"bad"}"#).unwrap_err();
    host.commands.lock().extend([Ok(turn.clone()), Err(malformed)]);
    host.until(|host| host.events.lock().iter().any(|event| matches!(event.body, Body::TurnStarted { .. })))
        .await;
    host.commands.lock().push_back(Ok(cancel.clone()));
    let settled = |host: &Host, id: &str| {
        host.updates.lock().iter().any(|update| update.command_id == id && update.status != Fate::Accepted)
    };
    host.until(|host| settled(host, &turn.command_id) && settled(host, &cancel.command_id)).await;
    let updates = host.updates.lock().clone();
    for id in [&turn.command_id, &cancel.command_id] {
        let fates: Vec<Fate> = updates.iter().filter(|u| u.command_id == *id).map(|u| u.status).collect();
        assert_eq!(fates, [Fate::Accepted, Fate::Completed]);
    }
    let bad: Vec<&CommandUpdate> = updates.iter().filter(|update| update.command_id == "bad").collect();
    assert!(matches!(bad[..], [update] if update.error.as_ref().unwrap().code.ends_with("malformed")));
    assert_eq!(session.kernel.state(), State::Ready);
    session.kernel.stop("done").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
}
