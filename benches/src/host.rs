//! What the host knows of a process: memory and processor time. It reads /proc and changes nothing but the high-water
//! mark of memory.

use std::collections::HashMap;
use std::time::Duration;

use crate::failure::{Failure, Result};

/// A process of the host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    fn read(self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.0);
        std::fs::read_to_string(&path).map_err(|e| Failure::wrong(format!("{path}: {e}")))
    }

    /// Resident memory in bytes, exact: the counter in `status` may lag behind by some hundred KB.
    pub(crate) fn rss(self) -> Result<u64> {
        match self.read("smaps_rollup").ok().and_then(|text| kilobytes(&text, "Rss:")) {
            Some(bytes) => Ok(bytes),
            None => self.status("VmRSS:"),
        }
    }

    /// Forgets the highest resident memory seen so far.
    pub(crate) fn reset_peak(self) -> Result<()> {
        // proc(5): 5 resets the peak resident set size.
        std::fs::write(format!("/proc/{}/clear_refs", self.0), "5").map_err(Into::into)
    }

    /// The highest resident memory since [`Process::reset_peak`], bytes.
    pub(crate) fn peak(self) -> Result<u64> {
        self.status("VmHWM:")
    }

    fn status(self, field: &str) -> Result<u64> {
        kilobytes(&self.read("status")?, field).ok_or_else(|| Failure::wrong(format!("no {field} in status")))
    }

    /// Resident memory once it has stopped falling, or after `limit`.
    pub(crate) async fn settled_rss(self, limit: Duration) -> Result<u64> {
        let begin = std::time::Instant::now();
        let mut last = self.rss()?;
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let now = self.rss()?;
            if now + (64 << 10) >= last || begin.elapsed() > limit {
                return Ok(now.min(last));
            }
            last = now;
        }
    }

    /// Processor time of each thread in nanoseconds: `stat` counts in steps of 10 ms, too coarse for an idle process.
    pub(crate) fn cpu(self) -> Result<HashMap<String, u64>> {
        let mut threads = HashMap::new();
        for entry in std::fs::read_dir(format!("/proc/{}/task", self.0))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            // A thread may end meanwhile.
            let Ok(text) = self.read(&format!("task/{name}/schedstat")) else { continue };
            let spent = text.split_whitespace().next().and_then(|n| n.parse().ok());
            threads.insert(name, spent.ok_or_else(|| Failure::wrong("schedstat cannot be read"))?);
        }
        Ok(threads)
    }
}

/// Processor time between two readings.
pub(crate) fn cpu_between(before: &HashMap<String, u64>, after: &HashMap<String, u64>) -> Duration {
    let spent =
        |(thread, time): (&String, &u64)| time.saturating_sub(before.get(thread).copied().unwrap_or(0));
    Duration::from_nanos(after.iter().map(spent).sum())
}

fn kilobytes(text: &str, field: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(rest.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        assert_eq!(kilobytes("VmPeak:  9 kB\nVmHWM:\t     12 kB\n", "VmHWM:"), Some(12 << 10));
        assert_eq!(kilobytes("VmPeak:  9 kB\n", "VmHWM:"), None);
        assert!(Process(std::process::id()).rss().unwrap() > 100 << 10);
    }

    #[test]
    fn processor_time_is_that_of_the_threads_between() {
        let of = |list: &[(&str, u64)]| list.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
        let (before, after) = (of(&[("1", 5), ("2", 7)]), of(&[("1", 6), ("3", 10)]));
        assert_eq!(cpu_between(&before, &after), Duration::from_nanos(11));
    }
}
