//! The arguments.

use std::path::PathBuf;

use clap::Parser;

use crate::bench;
use crate::row::Row;

/// Measure the promised figures; run it on a quiet machine.
#[derive(Debug, Parser)]
#[command(name = "agentos-bench", version, about, max_term_width = 100)]
pub(crate) struct Args {
    /// Write the rows as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Only these benches or rows.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(crate) only: Vec<String>,
    /// Check the rows against this table of bounds: status 1 if one is missed, 2 if a row of it was not measured.
    #[arg(long, value_name = "FILE")]
    pub(crate) check: Option<PathBuf>,
    /// List benches and their rows.
    #[arg(long)]
    pub(crate) list: bool,
}

/// Whether a row of this name was asked for.
pub(crate) fn selected(only: &[String], row: &str) -> bool {
    only.is_empty() || only.iter().any(|name| name == row || bench::makes(name, row))
}

/// Whether this row was asked for.
pub(crate) fn wanted(only: &[String], row: &Row) -> bool {
    selected(only, &row.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn a_bench_stands_for_its_rows() {
        let only = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert!(selected(&[], "exec_true"));
        assert!(selected(&only(&["exec"]), "exec_true"));
        assert!(selected(&only(&["exec_true"]), "exec_true"));
        assert!(!selected(&only(&["vm"]), "exec_true"));
    }
}
