//! Text tools over 100 MB in a million lines, against GNU's.

use super::{Rows, put};
use crate::commands::{Work, compare};
use crate::failure::{Failure, Result, within};
use crate::native;
use crate::rig::{Rig, STEP, exec_in};
use crate::sample::{MS, Measure};

const LINES: usize = 1_000_000;
/// With the line feed.
const LINE: usize = 100;

/// Lines of words in no order, the same in every run; one in ten thousand has the word `needle`.
fn text() -> Vec<u8> {
    const WORDS: [&str; 8] = ["alpha", "bravo", "kilo", "lima", "oscar", "sierra", "tango", "zulu"];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        // xorshift64: any fixed sequence will do.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = Vec::with_capacity(LINES * LINE);
    for n in 0..LINES {
        let end = (n + 1) * LINE - 1;
        out.extend_from_slice(format!("{:016x}", next()).as_bytes());
        if n % 10_000 == 5_000 {
            out.extend_from_slice(b" needle");
        }
        while out.len() < end {
            out.push(b' ');
            out.extend_from_slice(WORDS[(next() % 8) as usize].as_bytes());
        }
        out.truncate(end);
        out.push(b'\n');
    }
    out
}

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let os = rig.vm().await?;
    let (host, text) = (rig.scratch().join("text"), text());
    std::fs::create_dir(&host)?;
    std::fs::write(host.join("big.txt"), &text)?;
    within("mkdir", STEP, os.mkdir("/tmp/text", Default::default())).await?;
    within("write 100 MB", STEP, os.write_file("/tmp/text/big.txt", &text)).await?;
    drop(text);
    // Its output is thrown away below: it counts only if it is right.
    let line = "sort big.txt | sha256sum";
    let sorted = exec_in(&os, line, Some("/tmp/text")).await?.stdout;
    if sorted.as_bytes() != native::run(&["dash", "-c", line], &host)?.stdout {
        return Err(Failure::wrong("sort does not sort as GNU's"));
    }
    for (name, work) in [
        ("sha256sum", Work::Argv(&["sha256sum", "big.txt"])),
        ("grep_r", Work::Argv(&["grep", "-r", "needle", "."])),
        ("wc_l", Work::Argv(&["wc", "-l", "big.txt"])),
        ("sort", Work::Shell("sort big.txt > /dev/null", "dash")),
        ("sed_s", Work::Shell("sed s/alpha/omega/ big.txt > /dev/null", "dash")),
        ("sed_p", Work::Argv(&["sed", "-n", "/needle/p", "big.txt"])),
        ("gzip", Work::Shell("gzip -c big.txt > /dev/null", "dash")),
        ("awk", Work::Argv(&["awk", "{ n += NF } END { print n }", "big.txt"])),
    ] {
        let m = Measure::new(name, MS).heavy();
        put(rows, name, compare(&os, m, work, "/tmp/text", &host).await);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_its_lines() {
        let text = text();
        assert_eq!(text.len(), LINES * LINE);
        assert_eq!(text.iter().filter(|b| **b == b'\n').count(), LINES);
        assert_eq!(text.windows(6).filter(|w| w == b"needle").count(), LINES / 10_000);
    }
}
