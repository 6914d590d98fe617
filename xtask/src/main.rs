//! Project chores: `cargo xtask <tidy|test-external|prepare|record|compatibility>`. It builds and tests nothing by itself that cargo can.

#![forbid(unsafe_code)]

mod compatibility;
mod external;
mod options;
mod prepare;
mod record;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <command>

  tidy           check the house rules that no compiler checks
  test-external  run the tests that need a counterpart outside of this repository
  prepare        build the command line and compile the images of bundled programs
  record [--check] [FILE]...
                 run the cases of shell and commands with the programs of this host, show what drifted,
                 write it down; FILE is a name such as grep or tools/grep
  record --options
                 write down the options that the commands of this host say they have
  compatibility [--check] [--programs DIR]
                 ask our commands, natively built in DIR, for these options, and write guest-commands/COMPATIBILITY.md";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => tidy::tidy(&root()),
        ["test-external"] => external::run(&root()),
        ["prepare"] => prepare::prepare(&root()),
        ["record", "--options"] => options::record(&root()),
        ["compatibility", ref rest @ ..] => compatibility::compatibility(&root(), rest),
        ["record", ref rest @ ..] => record::record(&root(), rest),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// The folder of the workspace.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
