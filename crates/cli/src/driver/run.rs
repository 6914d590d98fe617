//! The process: it reads what to run, lets the host in, hears signals, and ends with a status.

use std::process::ExitCode;

use agentos_driver::ErrorInfo;
use agentos_driver::runner::{Wire, carry_lines};
use miette::{Result, miette};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{boot, report, server};
use crate::output;

/// Signals that wait.
const SIGNALS: usize = 4;

pub(super) async fn run(stdio: bool, handover: Option<u32>) -> Result<ExitCode> {
    let setup = boot::read(stdio, handover).await.map_err(|error| report(&error))?;
    let stops = signals().map_err(|error| miette!("signals: {error}"))?;
    let (port, token) = (setup.payload.driver_control_port, setup.payload.boot_token.clone());
    let (wires, connections) = mpsc::channel(1);
    let carried = if stdio {
        let (wire, carrier) = Wire::new();
        // There is room for the one.
        let _ = wires.try_send(wire);
        drop(wires);
        tokio::spawn(carry_lines(tokio::io::stdin(), tokio::io::stdout(), carrier))
    } else {
        let listener = server::listen(port).await;
        let listener = listener.map_err(|error| {
            let text = format!("127.0.0.1:{port} (driverControlPort): {error}");
            report(&ErrorInfo::new("control.listen_failed", text))
        })?;
        output::note(&format!("agentos driver: listening on 127.0.0.1:{port}"));
        tokio::spawn(server::serve(listener, token, wires))
    };
    let _carried = AbortOnDropHandle::new(carried);
    let ended =
        agentos_driver::runner::run(setup, connections, stops).await.map_err(|error| report(&error))?;
    match ended.error {
        None => Ok(ExitCode::SUCCESS),
        Some(error) => Err(miette!("the session ended: {}: {error}", ended.reason)),
    }
}

/// The signals that stop a session, as its reasons to stop.
fn signals() -> std::io::Result<mpsc::Receiver<String>> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (tell, stops) = mpsc::channel(SIGNALS);
    tokio::spawn(async move {
        loop {
            let reason = tokio::select! {
                Some(()) = term.recv() => "signal.term",
                Some(()) = interrupt.recv() => "signal.int",
                else => return,
            };
            if tell.send(reason.to_owned()).await.is_err() {
                return;
            }
        }
    });
    Ok(stops)
}
