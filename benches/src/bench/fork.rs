//! Subshells of a shell with a heap: by a copy of the process, and in the process where the body is builtin.
//!
//! The shell tells when the loop begins and ends, so that growing the heap, which takes far longer, does not count.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agentos::{AgentOs, ExecOptions};

use super::{Rows, put};
use crate::failure::{Failure, Result, within};
use crate::rig::{Rig, STEP, exec};
use crate::row::Row;
use crate::sample::{MS, Measure, measure};

/// A shell with a heap, and what it does over and over.
struct Case {
    name: &'static str,
    /// Characters of a variable, and how often they are doubled.
    start: usize,
    doubled: usize,
    body: &'static str,
    times: u32,
    /// The heap this gives, KB; the kernel of the VM is asked whether it does.
    heap: std::ops::Range<u64>,
}

const CASES: [Case; 2] = [
    Case { name: "fork_call", start: 20, doubled: 16, body: "( : )", times: 100, heap: 2_300..2_900 },
    Case {
        name: "builtin_substitution",
        start: 25,
        doubled: 21,
        body: "y=$(echo a)",
        times: 1_000,
        heap: 90_000..130_000,
    },
];

impl Case {
    fn grow(&self) -> String {
        format!("x={}; {}", "a".repeat(self.start), "x=$x$x; ".repeat(self.doubled))
    }

    fn script(&self) -> String {
        let Case { body, times, .. } = self;
        format!("{} echo; i=0; while [ $i -lt {times} ]; do {body}; i=$((i+1)); done; echo", self.grow())
    }

    /// The heap of such a shell, KB.
    async fn heap(&self, os: &AgentOs) -> Result<u64> {
        let look = "while read -r name size unit; do case $name in VmSize:) echo $size;; esac; done";
        let done = exec(os, &format!("{} {look} < /proc/self/status", self.grow())).await?;
        let heap =
            done.stdout.trim().parse().map_err(|_| Failure::wrong("no VmSize in /proc/self/status"))?;
        match self.heap.contains(&heap) {
            true => Ok(heap),
            false => Err(Failure::wrong(format!("the shell holds {heap} KB, not {:?}", self.heap))),
        }
    }
}

/// The time between the two lines that a script writes.
fn between(marks: &[Instant]) -> Result<Duration> {
    match marks {
        [begin, end] => Ok(*end - *begin),
        _ => Err(Failure::wrong(format!("{} marks, not 2", marks.len()))),
    }
}

async fn ours(os: &AgentOs, script: &str) -> Result<Duration> {
    let marks = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&marks);
    let on_stdout: agentos::OutputCallback = Arc::new(move |bytes: &[u8]| {
        let now = Instant::now();
        if let Ok(mut seen) = seen.lock() {
            seen.extend(bytes.iter().map(|_| now));
        }
    });
    let options = ExecOptions { on_stdout: Some(on_stdout), ..ExecOptions::default() };
    let done = within("shell", STEP, os.exec(script, options)).await?;
    if !done.success() {
        return Err(Failure::status("sh", done.exit_code, &done.stderr));
    }
    marks.lock().map_err(|_| Failure::wrong("the callback failed")).and_then(|marks| between(&marks))
}

fn native(script: &str) -> Result<Duration> {
    let mut child =
        Command::new("dash").args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let (mut marks, mut byte) = (Vec::new(), [0]);
    if let Some(mut stdout) = child.stdout.take() {
        while stdout.read(&mut byte)? == 1 {
            marks.push(Instant::now());
        }
    }
    child.wait()?;
    between(&marks)
}

async fn case(os: &AgentOs, case: &Case) -> Result<Row> {
    let heap = case.heap(os).await?;
    let script = case.script();
    let m = Measure::new(case.name, MS).per(f64::from(case.times)).heavy();
    let row = measure(m, async || ours(os, &script).await, Some(&mut || native(&script))).await?;
    Ok(if row.note.is_none() {
        row.note(format!("the shell holds {:.1} MB", heap as f64 / 1024.0))
    } else {
        row
    })
}

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let os = rig.vm().await?;
    for one in &CASES {
        put(rows, one.name, case(&os, one).await);
    }
    Ok(())
}
