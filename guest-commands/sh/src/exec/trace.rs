//! What `set -x` and `time` print.

use crate::ir::Timed;
use crate::shell::Shell;
use crate::symbols;
use agentos_guest::system::Times;
use std::time::Instant;

impl Shell {
    /// Prints an executed command if `set -x` is on.
    #[inline]
    pub(super) fn trace_text(&mut self, text: impl FnOnce() -> String) {
        if self.opts.xtrace {
            self.trace_slowly(text);
        }
    }

    /// Apart from its callers, so that their frames stay small: functions of the script nest as deeply as those allow.
    #[inline(never)]
    fn trace_slowly(&mut self, text: impl FnOnce() -> String) {
        let prefix = self.vars.get(symbols::PS4).map_or_else(|| "+ ".to_owned(), |p| p.into_owned());
        // The prompt is expanded with tracing off, or it would trace itself.
        self.opts.xtrace = false;
        let prefix = self.prompt(&prefix);
        self.opts.xtrace = true;
        let first =
            prefix.chars().next().map_or(String::new(), |c| c.to_string().repeat(self.in_process as usize));
        let line = format!("{first}{prefix}{}\n", text());
        self.write_error(&line);
    }

    /// Prints the arguments of a simple command.
    #[inline(never)]
    pub(super) fn trace_args(&mut self, args: &[String]) {
        if self.opts.xtrace {
            let words: Vec<String> = args.iter().map(|a| shown(a)).collect();
            self.trace_text(|| words.join(" "));
        }
    }

    /// Prints what `time` measured.
    #[inline(never)]
    pub(super) fn report_times(&mut self, clock: Instant, before: Times, timed: Timed) {
        let real = clock.elapsed().as_secs_f64();
        let now = agentos_guest::system::times().unwrap_or_default();
        let user =
            (now.utime_us + now.cutime_us).saturating_sub(before.utime_us + before.cutime_us) as f64 / 1e6;
        let system =
            (now.stime_us + now.cstime_us).saturating_sub(before.stime_us + before.cstime_us) as f64 / 1e6;
        let text = match timed {
            Timed::Posix => format!("real {real:.2}\nuser {user:.2}\nsys {system:.2}\n"),
            Timed::Bash => {
                let show = |s: f64| format!("{}m{:.3}s", (s / 60.0) as u64, s % 60.0);
                format!("\nreal\t{}\nuser\t{}\nsys\t{}\n", show(real), show(user), show(system))
            }
        };
        self.write_error(&text);
    }
}

/// A word as the trace shows it: quoted if need be.
pub(super) fn shown(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-+=:,./%@^".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { crate::expand_quote(text) }
}
