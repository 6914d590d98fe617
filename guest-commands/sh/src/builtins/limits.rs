//! `umask` and `ulimit`: what the shell and its programs may do.

use super::getopt::{self, Options};
use crate::shell::{Flow, Shell};
use agentos_guest::{fs, system};

pub(super) fn umask(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (flags, words) = match getopt::flags(sh, args, "Sp") {
        Ok(found) => found,
        Err(status) => return Ok(status),
    };
    let (symbolic, reusable) = (flags.contains('S'), flags.contains('p'));
    let now = fs::umask(0o022);
    fs::umask(now);
    let Some(text) = words.first() else {
        let head = match (reusable, symbolic) {
            (true, true) => "umask -S ",
            (true, false) => "umask ",
            _ => "",
        };
        let mask = if symbolic { symbols_of(now) } else { format!("{now:04o}") };
        sh.print(&format!("{head}{mask}\n"));
        return Ok(0);
    };
    let mask = if text.starts_with(|c: char| c.is_ascii_digit()) {
        match u32::from_str_radix(text, 8) {
            Ok(mask) if mask <= 0o7777 => mask & 0o777,
            _ => return Ok(sh.complain("umask", &format!("{text}: octal number out of range"))),
        }
    } else {
        match symbolic_mask(now, text) {
            Ok(mask) => mask,
            Err(message) => return Ok(sh.complain("umask", &message)),
        }
    };
    fs::umask(mask);
    if symbolic {
        sh.print(&(symbols_of(mask) + "\n"));
    }
    Ok(0)
}

/// What a mask lets through, as `u=rwx,g=rx,o=rx`.
fn symbols_of(mask: u32) -> String {
    let part = |shift: u32| {
        let bits = !mask >> shift & 7;
        [(4, 'r'), (2, 'w'), (1, 'x')]
            .iter()
            .filter(|(b, _)| bits & b != 0)
            .map(|(_, c)| *c)
            .collect::<String>()
    };
    format!("u={},g={},o={}", part(6), part(3), part(0))
}

fn symbolic_mask(now: u32, text: &str) -> Result<u32, String> {
    let mut allowed = !now & 0o777;
    let mut rest = text.chars().peekable();
    loop {
        let mut who = 0;
        while let Some(c) = rest.peek() {
            who |= match c {
                'u' => 0o700,
                'g' => 0o070,
                'o' => 0o007,
                'a' => 0o777,
                _ => break,
            };
            rest.next();
        }
        let operator = rest.next().unwrap_or('\0');
        if !matches!(operator, '=' | '+' | '-') {
            return Err(format!("`{operator}': invalid symbolic mode operator"));
        }
        let mut bits = 0;
        while let Some(c) = rest.peek() {
            bits |= match c {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                _ => break,
            };
            rest.next();
        }
        let who = if who == 0 { 0o777 } else { who };
        let next = rest.next();
        if let Some(wrong) = next.filter(|c| *c != ',') {
            return Err(format!("`{wrong}': invalid symbolic mode character"));
        }
        allowed = match operator {
            '=' => allowed & !who | bits & who,
            '+' => allowed | bits & who,
            _ => allowed & !(bits & who),
        };
        if next.is_none() {
            return Ok(!allowed & 0o777);
        }
    }
}

/// A resource: its letter, its number, its unit in bytes (0: blocks, whose size the mode decides), what it is called, the
/// name of the unit, and what holds where the system has no such limit.
struct Limit {
    letter: char,
    resource: u32,
    unit: u64,
    name: &'static str,
    units: &'static str,
    otherwise: u64,
}

/// The size of a pipe's atomic write in blocks is no resource: it cannot be changed.
const PIPE: u32 = u32::MAX;

const fn limit(
    letter: char,
    resource: u32,
    unit: u64,
    name: &'static str,
    units: &'static str,
    otherwise: u64,
) -> Limit {
    Limit { letter, resource, unit, name, units, otherwise }
}

const LIMITS: &[Limit] = &[
    limit('R', 15, 1, "real-time non-blocking time", "microseconds", u64::MAX),
    limit('c', 4, 0, "core file size", "blocks", 0),
    limit('d', 2, 1024, "data seg size", "kbytes", u64::MAX),
    limit('e', 13, 1, "scheduling priority", "", 0),
    limit('f', 1, 0, "file size", "blocks", u64::MAX),
    limit('i', 11, 1, "pending signals", "", u64::MAX),
    limit('l', 8, 1024, "max locked memory", "kbytes", u64::MAX),
    limit('m', 5, 1024, "max memory size", "kbytes", u64::MAX),
    limit('n', 7, 1, "open files", "", u64::MAX),
    limit('p', PIPE, 512, "pipe size", "512 bytes", 4096),
    limit('q', 12, 1, "POSIX message queues", "bytes", u64::MAX),
    limit('r', 14, 1, "real-time priority", "", 0),
    limit('s', 3, 1024, "stack size", "kbytes", u64::MAX),
    limit('t', 0, 1, "cpu time", "seconds", u64::MAX),
    limit('u', 6, 1, "max user processes", "", u64::MAX),
    limit('v', 9, 1024, "virtual memory", "kbytes", u64::MAX),
    limit('x', 10, 1, "file locks", "", u64::MAX),
];

/// Every letter may be followed by a value, except those that choose.
const LETTERS: &str = "SHac;d;e;f;i;l;m;n;p;q;r;s;t;u;v;x;R;";

#[derive(Clone, Copy)]
struct Which {
    soft: bool,
    hard: bool,
}

impl Limit {
    fn get(&self) -> (u64, u64) {
        let known = if self.resource == PIPE { None } else { system::getrlimit(self.resource).ok() };
        known.unwrap_or((self.otherwise, self.otherwise))
    }

    fn unit(&self, posix: bool) -> u64 {
        match self.unit {
            0 if posix => 512,
            0 => 1024,
            unit => unit,
        }
    }

    fn show(&self, sh: &mut Shell, which: Which, named: bool) {
        let (soft, hard) = self.get();
        let value = match if which.hard && !which.soft { hard } else { soft } {
            u64::MAX => "unlimited".to_owned(),
            value => (value / self.unit(sh.opts.posix)).to_string(),
        };
        let head = match (named, self.units) {
            (false, _) => String::new(),
            (true, "") => format!("{:<20} {:>20}", self.name, format!("(-{}) ", self.letter)),
            (true, units) => format!("{:<20} {:>20}", self.name, format!("({units}, -{}) ", self.letter)),
        };
        sh.print(&format!("{head}{value}\n"));
    }

    fn set(&self, sh: &mut Shell, which: Which, text: &str) -> i32 {
        let (soft, hard) = self.get();
        let value = match text {
            "unlimited" => u64::MAX,
            "hard" => hard,
            "soft" => soft,
            text if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) => {
                return sh.complain("ulimit", &format!("{text}: invalid number"));
            }
            text => match text.parse::<u64>().ok().and_then(|n| n.checked_mul(self.unit(sh.opts.posix))) {
                Some(value) => value,
                None => return sh.complain("ulimit", &format!("{text}: limit out of range")),
            },
        };
        let both = !which.hard && !which.soft;
        let new_soft = if which.soft || both { value } else { soft };
        let new_hard = if which.hard || both { value } else { hard };
        let result = if self.resource == PIPE {
            Err(agentos_guest::io_error(agentos_guest::Errno::EINVAL))
        } else {
            system::setrlimit(self.resource, new_soft, new_hard)
        };
        match result {
            Ok(()) => 0,
            Err(error) => {
                let error = agentos_guest::strerror(&error);
                sh.complain("ulimit", &format!("{}: cannot modify limit: {error}", self.name))
            }
        }
    }
}

pub(super) fn ulimit(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut which = Which { soft: false, hard: false };
    let mut all = false;
    let mut wanted: Vec<(&Limit, Option<&str>)> = Vec::new();
    let mut options = Options::new(args);
    loop {
        match options.next(sh, LETTERS) {
            Ok(Some(('S', _))) => which.soft = true,
            Ok(Some(('H', _))) => which.hard = true,
            Ok(Some(('a', _))) => all = true,
            Ok(Some((letter, value))) => {
                wanted.extend(LIMITS.iter().find(|l| l.letter == letter).map(|l| (l, value)));
            }
            Ok(None) => break,
            Err(status) => return Ok(status),
        }
    }
    if all {
        for limit in LIMITS {
            limit.show(sh, which, true);
        }
        return Ok(0);
    }
    if wanted.is_empty() {
        wanted.extend(LIMITS.iter().find(|l| l.letter == 'f').map(|l| (l, None)));
    }
    if let Some((_, value @ None)) = wanted.last_mut() {
        *value = options.rest().first().map(String::as_str);
    }
    let named = wanted.len() > 1;
    for (limit, value) in wanted {
        match value {
            None => limit.show(sh, which, named),
            Some(value) => {
                let status = limit.set(sh, which, value);
                if status != 0 {
                    return Ok(status);
                }
            }
        }
    }
    Ok(0)
}
