//! The report: a table for people, JSON for programs, and the verdicts of a check.

use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};

use crate::bench::BENCHES;
use crate::failure::{Failure, Result};
use crate::row::Row;
use crate::spec::{Outcome, Verdict};

/// Prints benches and rows.
pub(crate) fn list() {
    for bench in BENCHES {
        println!("{}: {}", bench.name, bench.rows.join(" "));
    }
}

/// A figure with three significant digits or so.
fn figure(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) if value.abs() >= 1.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.3}"),
    }
}

/// Tells on standard error that a row is done.
pub(crate) fn progress(row: &Row) {
    match (&row.error, row.ratio) {
        (Some(error), _) => eprintln!("{}: failed: {error}", row.name),
        (None, Some(ratio)) => {
            eprintln!("{}: {} {}, {ratio:.2} x native", row.name, figure(row.p50), row.unit)
        }
        (None, None) => eprintln!("{}: {} {}", row.name, figure(row.p50), row.unit),
    }
}

fn blank(headers: &[&str], figures: std::ops::Range<usize>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header(headers.iter().copied());
    for column in figures {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// All rows.
pub(crate) fn table(rows: &[Row]) -> Table {
    let headers = ["row", "unit", "n", "p50", "p90", "p99", "max", "native p50", "ratio", "remark"];
    let mut table = blank(&headers, 2..9);
    for row in rows {
        let remark = match (&row.error, &row.note) {
            (Some(error), _) => format!("FAILED: {error}"),
            (None, note) => note.clone().unwrap_or_default(),
        };
        table.add_row([
            row.name.clone(),
            row.unit.to_owned(),
            row.n.to_string(),
            figure(row.p50),
            figure(row.p90),
            figure(row.p99),
            figure(row.max),
            figure(row.native_p50),
            figure(row.ratio),
            remark,
        ]);
    }
    table
}

/// What became of each bound.
pub(crate) fn verdicts(verdicts: &[Verdict]) -> Table {
    let mut table = blank(&["", "row", "figure", "bound", "remark"], 2..3);
    for Verdict { bound, outcome } in verdicts {
        let (word, figure, remark) = match outcome {
            Outcome::Pass(value) => ("PASS", figure(Some(*value)), String::new()),
            Outcome::Fail(value) => ("FAIL", figure(Some(*value)), String::new()),
            Outcome::Failed(error) => ("FAIL", String::new(), error.clone()),
            Outcome::Missing(why) => ("MISSING", String::new(), why.clone()),
        };
        table.add_row([word.to_owned(), bound.name.clone(), figure, bound.to_string(), remark]);
    }
    table
}

/// Writes the rows as a JSON list.
pub(crate) fn write_json(path: &Path, rows: &[Row]) -> Result<()> {
    let text = serde_json::to_string_pretty(rows).map_err(|e| Failure::wrong(e.to_string()))?;
    std::fs::write(path, text + "\n").map_err(|e| Failure::wrong(format!("{}: {e}", path.display())))
}
