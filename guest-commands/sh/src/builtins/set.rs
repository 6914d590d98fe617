//! `set`, `shopt`, `umask` and `ulimit`.

use crate::options::{Options, Shopts};
use crate::shell::{Flow, Shell};

pub(super) fn set(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    if args.len() == 1 {
        for (_, var) in sh.vars.all() {
            if let Some(line) = sh.set_line(var) {
                sh.print(&(line + "\n"));
            }
        }
        return Ok(0);
    }
    let mut i = 1;
    while let Some(word) = args.get(i) {
        match word.as_str() {
            "--" => {
                sh.set_args(args[i + 1..].to_vec());
                return Ok(0);
            }
            "-" => {
                sh.opts.xtrace = false;
                sh.opts.verbose = false;
                if i + 1 < args.len() {
                    sh.set_args(args[i + 1..].to_vec());
                }
                return Ok(0);
            }
            word if word.len() > 1 && word.starts_with(['-', '+']) => {
                match sh.apply_option(word, args.get(i + 1).map(String::as_str)) {
                    Ok(used) => i += used,
                    Err(status) => return Ok(status),
                }
            }
            _ => {
                sh.set_args(args[i..].to_vec());
                return Ok(0);
            }
        }
        i += 1;
    }
    Ok(0)
}

impl Shell {
    /// Applies one option word of `set` or of the command line; returns how many further words it used.
    pub(crate) fn apply_option(&mut self, word: &str, next: Option<&str>) -> Result<usize, i32> {
        let on = word.starts_with('-');
        let mut used = 0;
        for letter in word[1..].chars() {
            if letter != 'o' {
                if !self.opts.set_letter(letter, on) {
                    self.complain("set", &format!("{}{letter}: invalid option", &word[..1]));
                    return Err(2);
                }
                continue;
            }
            let Some(name) = next else {
                self.print_options(on);
                continue;
            };
            used = 1;
            if !self.opts.set_by_name(name, on) {
                self.complain("set", &format!("{name}: invalid option name"));
                return Err(2);
            }
            if name == "history" {
                self.history_switched();
            }
        }
        Ok(used)
    }

    fn print_options(&mut self, table: bool) {
        for name in Options::NAMES {
            let on = self.opts.by_name(name).unwrap_or(false);
            let line = if table {
                format!("{name:<15}\t{}\n", if on { "on" } else { "off" })
            } else {
                format!("set {}o {name}\n", if on { '-' } else { '+' })
            };
            self.print(&line);
        }
    }
}

pub(super) fn shopt(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (mut switch, mut quiet, mut print, mut options) = (None, false, false, false);
    let mut names = Vec::new();
    for word in &args[1..] {
        match word.strip_prefix('-') {
            Some(letters) if names.is_empty() => {
                for letter in letters.chars() {
                    match letter {
                        's' => switch = Some(true),
                        'u' => switch = Some(false),
                        'q' => quiet = true,
                        'p' => print = true,
                        'o' => options = true,
                        _ => {
                            sh.complain("shopt", &format!("-{letter}: invalid option"));
                            return Ok(2);
                        }
                    }
                }
            }
            _ => names.push(word.as_str()),
        }
    }
    let all = names.is_empty();
    if all {
        names = if options { Options::NAMES.to_vec() } else { Shopts::NAMES.to_vec() };
    }
    let mut status = 0;
    for name in names {
        let now = if options { sh.opts.by_name(name) } else { sh.shopts.by_name(name) };
        let Some(now) = now else {
            sh.complain("shopt", &format!("{name}: invalid shell option name"));
            status = 1;
            continue;
        };
        match switch {
            Some(on) if !all => {
                if options {
                    sh.opts.set_by_name(name, on);
                } else {
                    sh.shopts.set_by_name(name, on);
                }
            }
            _ => {
                if !now && !all {
                    status = 1;
                }
                if quiet || switch.is_some_and(|on| on != now) {
                    continue;
                }
                let line = if print {
                    format!("shopt -{} {name}\n", if now { 's' } else { 'u' })
                } else {
                    format!("{name:<15}\t{}\n", if now { "on" } else { "off" })
                };
                sh.print(&line);
            }
        }
    }
    Ok(status)
}

pub(super) fn umask(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let now = agentos_guest::fs::umask(0o022);
    agentos_guest::fs::umask(now);
    let symbolic = args.iter().any(|a| a == "-S");
    match args[1..].iter().find(|a| !a.starts_with('-') || a.contains('=')) {
        None if symbolic => {
            let part = |shift: u32| {
                let bits = !now >> shift & 7;
                [(4, 'r'), (2, 'w'), (1, 'x')]
                    .iter()
                    .filter(|(b, _)| bits & b != 0)
                    .map(|(_, c)| *c)
                    .collect::<String>()
            };
            let text = format!("u={},g={},o={}\n", part(6), part(3), part(0));
            sh.print(&text);
        }
        None => sh.print(&format!("{now:04o}\n")),
        Some(text) if text.starts_with(|c: char| c.is_ascii_digit()) => match u32::from_str_radix(text, 8) {
            Ok(mask) if mask <= 0o777 => drop(agentos_guest::fs::umask(mask)),
            _ => return Ok(sh.complain("umask", &format!("{text}: octal number out of range"))),
        },
        Some(text) => match symbolic_mask(now, text) {
            Some(mask) => drop(agentos_guest::fs::umask(mask)),
            None => return Ok(sh.complain("umask", &format!("`{text}': invalid symbolic mode operator"))),
        },
    }
    Ok(0)
}

fn symbolic_mask(now: u32, text: &str) -> Option<u32> {
    let mut allowed = !now & 0o777;
    for clause in text.split(',') {
        let at = clause.find(['=', '+', '-'])?;
        let who = clause[..at].chars().fold(0u32, |m, c| {
            m | match c {
                'u' => 0o700,
                'g' => 0o070,
                'o' => 0o007,
                _ => 0o777,
            }
        });
        let who = if who == 0 { 0o777 } else { who };
        let bits = clause[at + 1..].chars().fold(0u32, |m, c| {
            m | match c {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                _ => 0,
            }
        }) & who;
        allowed = match clause.as_bytes()[at] {
            b'=' => allowed & !who | bits,
            b'+' => allowed | bits,
            _ => allowed & !bits,
        };
    }
    Some(!allowed & 0o777)
}

/// Option letter, resource number, unit in bytes, description.
const LIMITS: &[(char, u32, u64, &str)] = &[
    ('c', 4, 512, "core file size              (blocks, -c)"),
    ('d', 2, 1024, "data seg size               (kbytes, -d)"),
    ('f', 1, 512, "file size                   (blocks, -f)"),
    ('n', 7, 1, "open files                          (-n)"),
    ('s', 3, 1024, "stack size                  (kbytes, -s)"),
    ('t', 0, 1, "cpu time                   (seconds, -t)"),
    ('u', 6, 1, "max user processes                  (-u)"),
    ('v', 9, 1024, "virtual memory              (kbytes, -v)"),
];

pub(super) fn ulimit(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (mut hard, mut soft, mut all, mut which) = (false, false, false, 'f');
    let mut value = None;
    for word in &args[1..] {
        match word.strip_prefix('-') {
            Some(letters) => {
                for letter in letters.chars() {
                    match letter {
                        'H' => hard = true,
                        'S' => soft = true,
                        'a' => all = true,
                        letter => which = letter,
                    }
                }
            }
            None => value = Some(word.as_str()),
        }
    }
    let show = |limit: u64, unit: u64| {
        if limit == u64::MAX { "unlimited".to_owned() } else { (limit / unit).to_string() }
    };
    if all {
        for (_, resource, unit, text) in LIMITS {
            let (s, h) = agentos_guest::system::getrlimit(*resource).unwrap_or((u64::MAX, u64::MAX));
            let line = format!("{text} {}\n", show(if hard { h } else { s }, *unit));
            sh.print(&line);
        }
        return Ok(0);
    }
    let Some((_, resource, unit, _)) = LIMITS.iter().find(|l| l.0 == which) else {
        sh.complain("ulimit", &format!("-{which}: invalid option"));
        return Ok(2);
    };
    let (s, h) = agentos_guest::system::getrlimit(*resource).unwrap_or((u64::MAX, u64::MAX));
    let Some(value) = value else {
        sh.print(&(show(if hard { h } else { s }, *unit) + "\n"));
        return Ok(0);
    };
    let limit = match value {
        "unlimited" => u64::MAX,
        "hard" => h,
        "soft" => s,
        text => match text.parse::<u64>() {
            Ok(n) => n.saturating_mul(*unit),
            Err(_) => return Ok(sh.complain("ulimit", &format!("{text}: invalid number"))),
        },
    };
    let both = !hard && !soft;
    let (s, h) = (if soft || both { limit } else { s.min(limit) }, if hard || both { limit } else { h });
    match agentos_guest::system::setrlimit(*resource, s, h) {
        Ok(()) => Ok(0),
        Err(error) => {
            let message = format!("cannot modify limit: {}", agentos_guest::strerror(&error));
            Ok(sh.complain("ulimit", &message))
        }
    }
}
