//! The progress bar of a first start, on standard error and only on a terminal.

use std::io::IsTerminal;

use agentos::{Event, EventStream};
use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// Shows what the sidecar tells.
pub(crate) struct Progress {
    events: Option<EventStream>,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(events: EventStream) -> Self {
        Self { events: Some(events), bar: None }
    }

    /// Takes the next event; never ready once there are none.
    pub(crate) async fn step(&mut self) {
        let Some(events) = &mut self.events else { return std::future::pending().await };
        match events.next().await {
            Some(Event::Progress(progress)) => self.show(&progress.what, progress.done, progress.total),
            Some(_) => {}
            None => self.events = None,
        }
    }

    fn show(&mut self, what: &str, done: u64, total: u64) {
        if !std::io::stderr().is_terminal() {
            output::note(&format!("agentos: {what} ({done}/{total}), once per installation"));
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(std::time::Duration::from_millis(100));
            bar
        });
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(format!("{what}, once per installation"));
    }

    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
