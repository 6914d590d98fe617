//! What a command says, on standard output and, if it fails, on standard error. A reader that goes away is no failure of
//! ours, and never a panic. Output of programs does not come through here.

use std::fmt;
use std::io::{ErrorKind, IsTerminal, Write};

use miette::{Diagnostic, Report, Result};

/// Nobody reads our output any more: the command ends, quietly.
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the output")
    }
}

impl std::error::Error for ReaderGone {}
impl Diagnostic for ReaderGone {}

/// The report of a write to standard output that failed.
pub(crate) fn failed(error: std::io::Error) -> Report {
    if error.kind() == ErrorKind::BrokenPipe {
        return ReaderGone.into();
    }
    miette::miette!("write the output: {error}")
}

/// Writes text to standard output, at once.
pub(crate) fn text(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(failed)
}

/// As [`text`], with an end of line.
pub(crate) fn line(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(failed)
}

/// Tells something on standard error; nothing can be done if nobody reads that either.
pub(crate) fn note(note: &str) {
    let _ = writeln!(std::io::stderr(), "{note}");
}

/// Tells why a command failed: a box for a person, one line and perhaps one of help for a program.
pub(crate) fn report(report: &Report) {
    if std::io::stderr().is_terminal() {
        note(&format!("agentos: {report:?}"));
    } else {
        note(&plain(report));
    }
}

fn plain(report: &Report) -> String {
    let mut causes: Vec<String> = report.chain().map(|cause| one_line(&cause.to_string())).collect();
    causes.dedup();
    let mut plain = format!("agentos: {}", causes.join(": "));
    if let Some(help) = report.help() {
        plain.push_str(&format!("\nhelp: {}", one_line(&help.to_string())));
    }
    plain
}

fn one_line(text: &str) -> String {
    text.trim().lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use miette::WrapErr;

    use super::*;

    #[test]
    fn a_report_is_one_line_and_its_help_another() {
        let long = "x".repeat(300);
        let inner = miette::miette!(help = "do\nthis", "{long}\nand more");
        let report = Err::<(), _>(inner).wrap_err("a file").unwrap_err();
        let plain = plain(&report);
        assert!(plain.starts_with(&format!("agentos: a file: {long} and more")), "{plain}");
        assert!(plain.lines().count() <= 2, "{plain}");
    }

    #[test]
    fn a_reader_that_is_gone_is_told_from_a_full_disk() {
        assert!(failed(ErrorKind::BrokenPipe.into()).downcast_ref::<ReaderGone>().is_some());
        let full = failed(ErrorKind::StorageFull.into());
        assert!(full.downcast_ref::<ReaderGone>().is_none());
        assert!(plain(&full).starts_with("agentos: write the output: "), "{full}");
    }
}
