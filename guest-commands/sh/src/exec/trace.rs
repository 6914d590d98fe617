//! What `set -x` and `time` print.

use crate::ir::Timed;
use crate::shell::Shell;
use crate::symbols;
use agentos_guest::system::Times;
use std::time::Instant;

impl Shell {
    /// Prints an executed command if `set -x` is on.
    #[inline]
    pub(crate) fn trace_text(&mut self, text: impl FnOnce() -> String) {
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
            prefix.chars().next().map_or(String::new(), |c| c.to_string().repeat(self.indirection as usize));
        let line = format!("{first}{prefix}{}\n", text());
        match self.traced_to.filter(|to| agentos_guest::fd::is_open(*to)) {
            Some(to) => {
                // As with messages, nobody is told of one that does not arrive.
                let _ = agentos_guest::fd::write_all(to, &crate::text::to_bytes(&line));
            }
            None => match self.trace_fd {
                Some(former) => drop(agentos_guest::fd::write_all(former, &crate::text::to_bytes(&line))),
                None => self.write_error(&line),
            },
        }
    }

    /// What an assignment to `BASH_XTRACEFD` does: the descriptor of before is closed, as bash has it. Nothing at all is
    /// standard error.
    pub(crate) fn trace_to(&mut self, value: &str) {
        if value.is_empty() {
            return self.trace_to_error();
        }
        match value.trim().parse::<u32>().ok().filter(|to| agentos_guest::fd::is_open(*to)) {
            Some(to) if self.traced_to == Some(to) => {}
            Some(to) => {
                self.trace_to_error();
                self.traced_to = Some(to);
            }
            None => {
                self.error(&format!("BASH_XTRACEFD: {value}: invalid value for trace file descriptor"));
            }
        }
    }

    /// Lets the trace go to standard error again.
    pub(crate) fn trace_to_error(&mut self) {
        if let Some(former) = self.traced_to.take().filter(|former| *former > 2) {
            // It may have been closed.
            let _ = agentos_guest::fd::close(former);
        }
    }

    /// Prints the arguments of a simple command; `later`: after the assignments before it.
    #[inline(never)]
    pub(super) fn trace_args(&mut self, args: &[String], later: bool) {
        if self.opts.xtrace {
            let words: Vec<String> = args.iter().map(|a| shown_or_empty(a)).collect();
            let text = words.join(" ");
            if later {
                self.trace_later = Some(text);
            } else {
                self.trace_text(|| text);
            }
        }
    }

    /// Prints a term of `[[ ]]`.
    pub(super) fn trace_cond(&mut self, term: impl FnOnce() -> String) {
        let not = if std::mem::take(&mut self.negated) { "! " } else { "" };
        self.trace_text(|| format!("[[ {not}{} ]]", term()));
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
        let times = [real, user, system];
        let text = match timed {
            Timed::Posix => format!("real {real:.2}\nuser {user:.2}\nsys {system:.2}\n"),
            Timed::Bash => match self.vars.get(symbols::TIMEFORMAT) {
                None => formatted("\nreal\t%3lR\nuser\t%3lU\nsys\t%3lS", times).unwrap_or_default(),
                Some(format) if format.is_empty() => return,
                Some(format) => match formatted(&format, times) {
                    Ok(text) => text,
                    Err(c) => {
                        self.error(&format!("TIMEFORMAT: `{c}': invalid format character"));
                        return;
                    }
                },
            },
        };
        self.write_error(&text);
    }
}

/// `TIMEFORMAT` filled in; the error is a character that it does not know.
fn formatted(format: &str, [real, user, system]: [f64; 3]) -> Result<String, char> {
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let digit = chars.next_if(char::is_ascii_digit);
        let precision = digit.and_then(|d| d.to_digit(10)).map_or(3, |d| d.min(3)) as usize;
        let long = chars.next_if_eq(&'l').is_some();
        let seconds = match chars.next() {
            Some('%') if digit.is_none() && !long => {
                out.push('%');
                continue;
            }
            Some('P') if !long => {
                let share = if real > 0.0 { (user + system) * 100.0 / real } else { 0.0 };
                out += &format!("{share:.2}");
                continue;
            }
            Some('R') => real,
            Some('U') => user,
            Some('S') => system,
            Some(other) => return Err(other),
            None => {
                out.push('%');
                break;
            }
        };
        let scale = 10f64.powi(precision as i32);
        let cut = (seconds * scale).floor() / scale;
        if long {
            out += &format!("{}m{:.precision$}s", (cut / 60.0) as u64, cut % 60.0);
        } else {
            out += &format!("{cut:.precision$}");
        }
    }
    out.push('\n');
    Ok(out)
}

/// A value as the trace shows it: quoted if need be.
pub(crate) fn shown(text: &str) -> String {
    if text == "'" {
        return "\\'".to_owned();
    }
    let mut before = None;
    let special = text.chars().any(|c| {
        let former = before.replace(c);
        match c {
            '~' => matches!(former, None | Some('=' | ':')),
            '#' => matches!(former, None | Some(' ' | '\t')),
            c => " \t\n'\"\\|&;()<>!{}*[]?^$`".contains(c),
        }
    });
    if special {
        format!("'{}'", text.replace('\'', "'\\''"))
    } else if text.chars().any(crate::expand::is_unprintable) {
        crate::expand_ansi_quote(text)
    } else {
        text.to_owned()
    }
}

/// As [`shown`]; nothing becomes a pair of quotes.
pub(crate) fn shown_or_empty(text: &str) -> String {
    if text.is_empty() { "''".to_owned() } else { shown(text) }
}

/// A term of `[[ ]]`, or a pair of quotes.
pub(super) fn or_empty(text: &str) -> &str {
    if text.is_empty() { "''" } else { text }
}
