//! The options of `top`, and words that are also asked for at the screen. It looks at no process.

use agentos_guest::Signal;
use std::ffi::OsString;
use std::time::Duration;

const USAGE: &str = "
Usage:
 top [options]

Options:
 -b, --batch-mode                run in non-interactive batch mode
 -c, --cmdline-toggle            show whole command lines
 -d, --delay =SECS [.TENTHS]     iterative delay as SECS [.TENTHS]
 -E, --scale-summary-mem =SCALE  set mem as: k,m,g,t for SCALE
 -e, --scale-task-mem =SCALE     set mem with: k,m,g,t for SCALE
 -H, --threads-show              show tasks plus all their threads
 -i, --idle-toggle               leave out what is idle
 -n, --iterations =NUMBER        exit on maximum iterations NUMBER
 -O, --list-fields               output all field names, then exit
 -o, --sort-override =FIELD      force sorting on this named FIELD
 -p, --pid =PIDLIST              monitor only the tasks in PIDLIST
 -S, --accum-time-toggle         count the time of ended children, too
 -s, --secure-mode               send no signals
 -U, --filter-any-user =USER     show only processes owned by USER
 -u, --filter-only-euser =USER   show only processes owned by USER
 -w, --width [=COLUMNS]          change print width [,use COLUMNS]

 -h, --help                      display this help text, then exit
 -V, --version                   output version information & exit
";

/// Fields by which can be sorted.
pub(super) const FIELDS: [&str; 17] = [
    "PID", "PPID", "UID", "USER", "PGRP", "SID", "PR", "NI", "nTH", "%CPU", "TIME", "TIME+", "%MEM", "VIRT",
    "RES", "S", "COMMAND",
];

/// Long options, the letters that they stand for, and whether these take values (`?`: if one is attached).
const LONG: [(&str, char); 18] = [
    ("batch-mode", 'b'),
    ("cmdline-toggle", 'c'),
    ("delay", 'd'),
    ("scale-summary-mem", 'E'),
    ("scale-task-mem", 'e'),
    ("threads-show", 'H'),
    ("idle-toggle", 'i'),
    ("iterations", 'n'),
    ("list-fields", 'O'),
    ("sort-override", 'o'),
    ("pid", 'p'),
    ("accum-time-toggle", 'S'),
    ("secure-mode", 's'),
    ("filter-any-user", 'U'),
    ("filter-only-euser", 'u'),
    ("width", 'w'),
    ("help", 'h'),
    ("version", 'V'),
];

/// What is shown, and how.
pub(super) struct Options {
    pub(super) batch: bool,
    pub(super) command_line: bool,
    pub(super) busy_only: bool,
    pub(super) threads: bool,
    pub(super) with_children: bool,
    pub(super) secure: bool,
    pub(super) delay: Duration,
    pub(super) rounds: Option<u64>,
    pub(super) pids: Vec<u32>,
    pub(super) user: Option<u32>,
    /// Whether any of the ids of a process may be that of the user.
    pub(super) any_id: bool,
    pub(super) sort: &'static str,
    pub(super) backward: bool,
    pub(super) width: Option<usize>,
    /// Powers of 1024 above a kibibyte, of the summary and of the processes.
    pub(super) scale: u32,
    pub(super) task_scale: u32,
    /// How many processes are shown.
    pub(super) most: usize,
}

/// Seconds as they are written.
pub(super) fn delay(text: &str) -> Option<Duration> {
    let seconds: f64 = text.replace(',', ".").parse().ok()?;
    (seconds.is_finite() && (0.0..1e7).contains(&seconds)).then(|| Duration::from_secs_f64(seconds))
}

/// A user by name or number.
pub(super) fn user(text: &str) -> Option<u32> {
    text.parse().ok().or_else(|| users().into_iter().find(|(_, name)| name == text).map(|(uid, _)| uid))
}

/// Users and their names.
pub(super) fn users() -> Vec<(u32, String)> {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    text.lines().filter_map(entry).collect()
}

/// A signal by number or name.
pub(super) fn signal(text: &str) -> Option<Signal> {
    match text.parse::<u8>() {
        Ok(number) => Signal::from_raw(number),
        Err(_) => {
            let name = text.to_ascii_uppercase();
            Signal::from_name(name.strip_prefix("SIG").unwrap_or(&name))
        }
    }
}

fn scale(text: &str, letter: char) -> Result<u32, String> {
    let found =
        text.chars().next().filter(|_| text.len() == 1).and_then(|c| "kmgt".find(c.to_ascii_lowercase()));
    found.map(|i| i as u32).ok_or_else(|| format!("bad memory scaling arg '{text}' of -{letter}"))
}

impl Options {
    /// Reads the words of the command line; `None`: all was said.
    pub(super) fn parse(args: &[OsString]) -> Result<Option<Options>, String> {
        let mut o = Options {
            batch: false,
            command_line: false,
            busy_only: false,
            threads: false,
            with_children: false,
            secure: false,
            delay: Duration::from_secs(3),
            rounds: None,
            pids: Vec::new(),
            user: None,
            any_id: false,
            sort: "%CPU",
            backward: false,
            width: None,
            scale: 1,
            task_scale: 0,
            most: usize::MAX,
        };
        let words: Vec<String> = args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
        let mut at = 0;
        while let Some(word) = words.get(at) {
            at += 1;
            let (letters, attached) = if let Some(long) = word.strip_prefix("--") {
                let (name, value) =
                    long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v.to_owned())));
                let mut fitting = LONG.iter().filter(|(l, _)| l.starts_with(name));
                let found = LONG.iter().find(|(l, _)| *l == name).or_else(|| fitting.next());
                let (_, letter) =
                    found.filter(|_| !name.is_empty()).ok_or(format!("unrecognized option '{word}'"))?;
                (letter.to_string(), value)
            } else if let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) {
                (letters.to_owned(), None)
            } else {
                // The dash may be missing before the first options, as in `top bn1`.
                return Err(format!("unknown option '{word}'"));
            };
            for (i, letter) in letters.char_indices() {
                let rest = &letters[i + letter.len_utf8()..];
                if "dEenopUuw".contains(letter) {
                    let mut value =
                        attached.clone().or_else(|| Some(rest.to_owned()).filter(|r| !r.is_empty()));
                    let next = words.get(at).filter(|w| letter != 'w' || !w.starts_with('-'));
                    if value.is_none()
                        && let Some(next) = next
                    {
                        value = Some(next.clone());
                        at += 1;
                    }
                    let value = value.as_deref().map(|v| v.strip_prefix('=').unwrap_or(v));
                    o.set_value(letter, value)?;
                    break;
                }
                if !o.set(letter)? {
                    return Ok(None);
                }
            }
        }
        Ok(Some(o))
    }

    fn set(&mut self, letter: char) -> Result<bool, String> {
        match letter {
            'b' => self.batch = true,
            'c' => self.command_line = !self.command_line,
            'H' => self.threads = true,
            'i' => self.busy_only = !self.busy_only,
            'S' => self.with_children = !self.with_children,
            's' => self.secure = true,
            'O' => {
                FIELDS.iter().for_each(|f| println!("{f}"));
                return Ok(false);
            }
            'h' => {
                print!("{USAGE}");
                return Ok(false);
            }
            'V' => {
                println!("top (agentos-screen) {}", env!("CARGO_PKG_VERSION"));
                return Ok(false);
            }
            other => return Err(format!("invalid option -- '{other}'")),
        }
        Ok(true)
    }

    fn set_value(&mut self, letter: char, value: Option<&str>) -> Result<(), String> {
        let Some(value) = value else {
            if letter == 'w' {
                let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
                self.width = Some(columns.unwrap_or(super::WIDEST));
                return Ok(());
            }
            return Err(format!("option requires an argument -- '{letter}'"));
        };
        match letter {
            'd' if value.starts_with('-') => return Err("-d requires positive argument".into()),
            'd' => self.delay = delay(value).ok_or_else(|| format!("bad delay interval '{value}'"))?,
            'n' => {
                let number = value.parse().ok().filter(|n| *n > 0);
                self.rounds = Some(number.ok_or_else(|| format!("bad iterations argument '{value}'"))?);
            }
            'o' => {
                let name = value.trim_start_matches(['-', '+']);
                let found = FIELDS.iter().find(|f| **f == name);
                self.sort = found.ok_or_else(|| format!("unrecognized field name '{name}'"))?;
                self.backward = value.starts_with('-');
            }
            'p' => {
                for pid in value.split(',') {
                    let number = pid.trim().parse::<u32>().map_err(|_| format!("bad pid '{pid}'"))?;
                    // 0 is this program itself.
                    self.pids.push(if number == 0 { agentos_guest::process::id() } else { number });
                }
            }
            'u' | 'U' => {
                self.user = Some(user(value).ok_or("Invalid user")?);
                self.any_id = letter == 'U';
            }
            'E' => self.scale = scale(value, letter)?,
            'e' => self.task_scale = scale(value, letter)?,
            _ => {
                let width: usize = value.parse().map_err(|_| format!("bad width arg '{value}'"))?;
                self.width = Some(width.clamp(3, super::WIDEST));
            }
        }
        Ok(())
    }
}
