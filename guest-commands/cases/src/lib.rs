//! Recorded cases: scripts with the output that bash, GNU's tools, git and the like gave for them. Tests replay them with
//! our programs and need nothing of that; `cargo xtask record` runs them on the host and writes the results down. It
//! decides nothing about what is right, and is part of no program.
//!
//! ```no_run
//! agentos_cases::replay("tests/cases", &[("target/debug/awk", &["awk"])], agentos_cases::Others::Host);
//! ```

#![forbid(unsafe_code)]

mod format;
mod programs;
mod replay;
mod run;

pub use format::{Case, Cases, Interpreter, Oracle, Outcome};
pub use programs::{Program, programs};
pub use replay::{Others, check, replay};
pub use run::{Commands, Shells};
