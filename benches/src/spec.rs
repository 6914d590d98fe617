//! The table of bounds, and the check of measured rows against it. It measures nothing.

use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::args::selected;
use crate::failure::{Failure, Result};
use crate::row::Row;

/// Which figure of a row is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Statistic {
    /// The median.
    P50,
    /// The 99th percentile.
    P99,
    /// The figure of a row that has one only.
    Value,
}

/// How figure and bound are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Op {
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
}

/// A promised figure.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bound {
    /// Of the row.
    pub(crate) name: String,
    pub(crate) statistic: Statistic,
    pub(crate) op: Op,
    pub(crate) value: f64,
    /// Unit of the row, or `ratio`: times the median of the native counterpart.
    pub(crate) unit: String,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statistic = match self.statistic {
            Statistic::P50 => "p50 ",
            Statistic::P99 => "p99 ",
            Statistic::Value => "",
        };
        let Op::AtMost = self.op;
        let unit = if self.unit == "ratio" { "x native" } else { &self.unit };
        write!(f, "{statistic}<= {} {unit}", self.value)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    row: Vec<Bound>,
}

/// What became of a bound.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Pass(f64),
    Fail(f64),
    /// The row has an error in place of the figure.
    Failed(String),
    /// There is no such figure.
    Missing(String),
}

/// A bound and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) bound: Bound,
    pub(crate) outcome: Outcome,
}

fn parse(text: &str) -> Result<Vec<Bound>> {
    let file: File = toml::from_str(text).map_err(|e| Failure::wrong(e.to_string()))?;
    for bound in &file.row {
        let Bound { name, statistic, value, unit, .. } = bound;
        if !(value.is_finite() && *value > 0.0) {
            return Err(Failure::wrong(format!("{name}: a bound of {value}")));
        }
        if unit == "ratio" && *statistic != Statistic::P50 {
            return Err(Failure::wrong(format!("{name}: a ratio is one of medians, statistic = \"p50\"")));
        }
    }
    Ok(file.row)
}

/// Reads a table of bounds.
pub(crate) fn read(path: &Path) -> Result<Vec<Bound>> {
    let told = |e: &dyn fmt::Display| Failure::wrong(format!("{}: {e}", path.display()));
    parse(&std::fs::read_to_string(path).map_err(|e| told(&e))?).map_err(|e| told(&e))
}

/// Checks the bounds of the rows that were asked for.
pub(crate) fn check(bounds: &[Bound], rows: &[Row], only: &[String]) -> Vec<Verdict> {
    let wanted = bounds.iter().filter(|bound| selected(only, &bound.name));
    wanted.map(|bound| Verdict { bound: bound.clone(), outcome: outcome(bound, rows) }).collect()
}

fn outcome(bound: &Bound, rows: &[Row]) -> Outcome {
    let Some(row) = rows.iter().find(|row| row.name == bound.name) else {
        return Outcome::Missing("not measured".to_owned());
    };
    if let Some(error) = &row.error {
        return Outcome::Failed(error.clone());
    }
    let figure = match bound.statistic {
        _ if bound.unit == "ratio" => row.ratio,
        _ if bound.unit != row.unit => {
            return Outcome::Missing(format!("measured in {}, not in {}", row.unit, bound.unit));
        }
        Statistic::P50 => row.p50,
        Statistic::P99 => row.p99,
        Statistic::Value if row.n == 1 => row.p50,
        Statistic::Value => None,
    };
    match (figure, bound.op) {
        (None, _) => Outcome::Missing(row.note.clone().unwrap_or_else(|| "no such figure".to_owned())),
        (Some(figure), Op::AtMost) if figure <= bound.value => Outcome::Pass(figure),
        (Some(figure), Op::AtMost) => Outcome::Fail(figure),
    }
}

/// Exit status: 1 if a bound is missed, else 2 if a figure is missing, else 0.
pub(crate) fn status(verdicts: &[Verdict]) -> i32 {
    let any = |of: fn(&Outcome) -> bool| verdicts.iter().any(|v| of(&v.outcome));
    if any(|o| matches!(o, Outcome::Fail(_) | Outcome::Failed(_))) {
        1
    } else if any(|o| matches!(o, Outcome::Missing(_))) {
        2
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::BENCHES;

    fn bound(name: &str, statistic: &str, value: f64, unit: &str) -> String {
        format!(
            "[[row]]\nname = {name:?}\nstatistic = {statistic:?}\nop = \"<=\"\nvalue = {value:?}\nunit = {unit:?}\n"
        )
    }

    #[test]
    fn the_table_of_the_project_holds_together() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../SPEC.toml");
        let bounds = read(&path).unwrap();
        let without: Vec<&str> = BENCHES
            .iter()
            .flat_map(|b| b.rows.iter().copied())
            .filter(|row| !bounds.iter().any(|bound| bound.name == *row))
            .collect();
        assert_eq!(without, [""; 0], "rows without a bound");
        for Bound { name, .. } in &bounds {
            assert!(
                BENCHES.iter().any(|b| b.rows.contains(&name.as_str())),
                "{name}: no bench makes this row"
            );
        }
    }

    #[test]
    fn figures_are_held_against_their_bounds() {
        let ratio = Row::measured("exec_true", "ms", &[1.0, 2.0, 9.0], &[4.0]);
        let rows =
            [ratio, Row::value("vm_idle_rss", "KB", 60.0), Row::failed("sort", "", &Failure::wrong("gone"))];
        for (name, statistic, value, unit, status_of) in [
            ("exec_true", "p50", 0.5, "ratio", 0),
            ("exec_true", "p50", 0.4, "ratio", 1),
            ("exec_true", "p99", 9.0, "ms", 0),
            ("exec_true", "p99", 8.9, "ms", 1),
            ("exec_true", "value", 9.0, "ms", 2),
            ("exec_true", "p50", 9.0, "us", 2),
            ("vm_idle_rss", "value", 60.0, "KB", 0),
            ("vm_idle_rss", "value", 50.0, "KB", 1),
            ("vm_idle_rss", "p50", 2.0, "ratio", 2),
            ("sort", "p50", 3.0, "ratio", 1),
            ("wc_l", "p50", 2.0, "ratio", 2),
            ("nothing", "p50", 2.0, "ratio", 2),
        ] {
            let bounds = parse(&bound(name, statistic, value, unit)).unwrap();
            assert_eq!(status(&check(&bounds, &rows, &[])), status_of, "{name} {statistic} {value} {unit}");
        }
    }

    #[test]
    fn mistakes_in_the_table_are_refused() {
        for (name, statistic, value, unit) in [
            ("exec_true", "p99", 1.0, "ratio"),
            ("exec_true", "mean", 1.0, "ms"),
            ("exec_true", "p50", 0.0, "ms"),
        ] {
            assert!(
                parse(&bound(name, statistic, value, unit)).is_err(),
                "{name} {statistic} {value} {unit}"
            );
        }
        assert!(parse(&(bound("exec_true", "p50", 1.0, "ms") + "more = 1\n")).is_err());
    }
}
