//! Why a command ends, and output. It decides no exit status by itself: who makes the error does.

use std::cell::{Cell, RefCell};
use std::io::{self, Write as _};

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// With this status; what there is to say has been said.
    Exit(i32),
    /// `fatal: …`, status 128.
    Fatal(String),
    /// `error: …`, with a status.
    Error(i32, String),
    /// Text as it stands, with a status (a usage message).
    Said(i32, String),
}

/// What nearly everything here returns.
pub(crate) type Res<T> = Result<T, Stop>;

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Fatal(agentos_guest::strerror(&error))
    }
}

impl Stop {
    /// The message alone.
    pub(crate) fn message(&self) -> String {
        match self {
            Stop::Exit(_) => String::new(),
            Stop::Fatal(text) | Stop::Error(_, text) | Stop::Said(_, text) => text.clone(),
        }
    }
}

/// Ends with `fatal:` and a formatted message.
macro_rules! fatal {
    ($($arg:tt)*) => { return Err($crate::error::Stop::Fatal(format!($($arg)*))) };
}
pub(crate) use fatal;

/// Ends with `error:`, a formatted message and status 1.
macro_rules! failed {
    ($($arg:tt)*) => { return Err($crate::error::Stop::Error(1, format!($($arg)*))) };
}
pub(crate) use failed;

/// Prints formatted text to the buffered standard output.
macro_rules! out {
    ($($arg:tt)*) => { $crate::error::put(format!($($arg)*).as_bytes()) };
}
pub(crate) use out;

/// Prints a formatted line to standard error; output written before comes first.
macro_rules! say {
    ($($arg:tt)*) => { $crate::error::complain(&format!($($arg)*)) };
}
pub(crate) use say;

thread_local! {
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// Output is kept instead of written.
    static KEEP: Cell<bool> = const { Cell::new(false) };
}

/// Runs something and returns what it would have written to standard output.
pub(crate) fn captured<T>(run: impl FnOnce() -> T) -> (T, Vec<u8>) {
    let (before, kept) = (OUT.with_borrow_mut(std::mem::take), KEEP.replace(true));
    let result = run();
    KEEP.set(kept);
    (result, OUT.with_borrow_mut(|out| std::mem::replace(out, before)))
}

/// Writes to the buffered standard output.
pub(crate) fn put(bytes: &[u8]) {
    let full = OUT.with_borrow_mut(|out| {
        out.extend_from_slice(bytes);
        out.len() > 64 * 1024
    });
    if full {
        flush();
    }
}

/// Hands everything written so far to the system. A reader that is gone ends the program as SIGPIPE would.
pub(crate) fn flush() {
    if KEEP.get() {
        return;
    }
    let bytes = OUT.with_borrow_mut(std::mem::take);
    if bytes.is_empty() {
        return;
    }
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_all(&bytes).and_then(|()| stdout.flush()) {
        if error.kind() == io::ErrorKind::BrokenPipe {
            std::process::exit(141);
        }
        complain(&format!("fatal: unable to write to standard output: {}", agentos_guest::strerror(&error)));
        std::process::exit(128);
    }
}

/// Writes a line to standard error.
pub(crate) fn complain(text: &str) {
    flush();
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}
