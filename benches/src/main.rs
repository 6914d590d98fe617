//! Measures the promised figures, with the native counterpart beside each, and checks them against a table of bounds.
//! It does not judge correctness: what fails is a row with an error, and the others go on.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod commands;
mod failure;
mod guest;
mod host;
mod native;
mod report;
mod rig;
mod row;
mod sample;
mod spec;
mod stats;

use std::time::{Duration, Instant};

use args::Args;
use clap::Parser;
use failure::Failure;
use row::Row;

/// Time for all benches; one that hangs must not cost a morning.
const TOTAL: Duration = Duration::from_secs(330);

fn main() {
    let status = run(&Args::parse()).unwrap_or_else(|failure| {
        eprintln!("agentos-bench: {failure}");
        3
    });
    // Not by return: a measurement that hangs must not keep the process.
    std::process::exit(status);
}

/// Measures, reports, checks; the exit status.
fn run(args: &Args) -> Result<i32, Failure> {
    // Read first: a mistake in the table is told before minutes of measuring.
    let bounds = args.check.as_deref().map(spec::read).transpose()?;
    if args.list {
        report::list();
        return Ok(0);
    }
    let chosen = bench::chosen(&args.only)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begin = Instant::now();
    let mut rows: Vec<Row> = Vec::new();
    for bench in chosen {
        let started = Instant::now();
        let measured = runtime.block_on(bench::run(bench, TOTAL.saturating_sub(begin.elapsed())));
        measured.iter().for_each(report::progress);
        eprintln!("  {} took {:.1} s", bench.name, started.elapsed().as_secs_f64());
        rows.extend(measured);
    }
    rows.retain(|row| args::wanted(&args.only, row));
    println!("{}", report::table(&rows));
    println!("{} rows in {:.0} s", rows.len(), begin.elapsed().as_secs_f64());
    if let Some(path) = &args.json {
        report::write_json(path, &rows)?;
    }
    let Some(bounds) = bounds else { return Ok(0) };
    let verdicts = spec::check(&bounds, &rows, &args.only);
    println!("{}", report::verdicts(&verdicts));
    Ok(spec::status(&verdicts))
}
