//! The sidecar inside the program itself (feature `bundled-sidecar`): the program runs itself again, marked as sidecar.
//! Without the feature it only says why there is none.

use std::sync::atomic::{AtomicBool, Ordering};

/// Set for the process that is to be the sidecar.
pub(super) const MARKER: &str = "AGENTOS_BUNDLED_SIDECAR";

static CALLED: AtomicBool = AtomicBool::new(false);

/// Makes this program able to be its own sidecar. Call it first in `main`: in the process that is to be the sidecar it
/// runs it and does not return. Without the feature `bundled-sidecar` it does nothing.
///
/// ```no_run
/// agentos::sidecar::init(); // the first line of `main`
/// // … the program
/// ```
pub fn init() {
    CALLED.store(true, Ordering::Release);
    #[cfg(feature = "bundled-sidecar")]
    {
        if std::env::var_os(MARKER).is_some() {
            // A process that the sidecar starts of itself inherits the mark, and may leave the subcommand out.
            let mut args = std::env::args_os().skip(1).peekable();
            let _ = args.next_if(|first| first == "sidecar");
            let ended = agentos_sidecar::main(args);
            // An `ExitCode` can only be returned from `main`, which is not ours; stderr says why it failed.
            std::process::exit(i32::from(ended != std::process::ExitCode::SUCCESS));
        }
    }
}

/// This program can be started as the sidecar.
pub(super) fn ready() -> bool {
    cfg!(feature = "bundled-sidecar") && CALLED.load(Ordering::Acquire)
}

/// Why it cannot.
pub(super) const fn why_not() -> &'static str {
    if cfg!(feature = "bundled-sidecar") {
        "agentos::sidecar::init() was not called"
    } else {
        "built without the feature bundled-sidecar"
    }
}
