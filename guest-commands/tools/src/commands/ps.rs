//! `ps`: processes out of `/proc`, in the usual formats. It knows no threads; lines are always
//! as wide as they need to be, so `-w` has nothing to add.

use crate::context::{Cx, End, Outcome};
use crate::names::Names;
use crate::time;
use agentos_guest::process;
use std::ffi::OsString;

/// Clock ticks per second of `/proc/<pid>/stat`, as on Linux.
const TICKS: u64 = 100;

/// A process as `/proc` shows it.
pub(super) struct Proc {
    pub(super) pid: u32,
    pub(super) ppid: u32,
    pub(super) pgid: u32,
    pub(super) sid: u32,
    pub(super) tpgid: i64,
    pub(super) tty: u64,
    pub(super) state: char,
    pub(super) comm: String,
    pub(super) args: String,
    pub(super) uid: u32,
    pub(super) euid: u32,
    pub(super) gid: u32,
    /// CPU time, ticks.
    pub(super) cpu: u64,
    /// Seconds since it started.
    pub(super) elapsed: u64,
    pub(super) started: i64,
    /// Kilobytes.
    pub(super) rss: u64,
    pub(super) vsz: u64,
    pub(super) threads: u64,
    pub(super) nice: i64,
}

fn uptime() -> f64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split(' ').next().and_then(|t| t.parse().ok()).unwrap_or(0.0)
}

fn read(pid: u32, uptime: f64) -> Option<Proc> {
    let stat = String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/stat")).ok()?).into_owned();
    // The name may hold blanks and parentheses: it ends at the last one.
    let (open, close) = (stat.find('(')?, stat.rfind(')')?);
    let comm = stat.get(open + 1..close)?.to_owned();
    let fields: Vec<&str> = stat.get(close + 1..)?.split_whitespace().collect();
    let number = |i: usize| fields.get(i).and_then(|f| f.parse::<i64>().ok()).unwrap_or(0);
    let positive = |i: usize| u64::try_from(number(i)).unwrap_or(0);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field =
        |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    let (uids, gids) = (field("Uid:"), field("Gid:"));
    let nth = |text: &str, i: usize| text.split_whitespace().nth(i).and_then(|n| n.parse().ok()).unwrap_or(0);
    let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> = cmdline
        .split(|b| *b == 0)
        .map(|w| String::from_utf8_lossy(w).chars().map(|c| if c.is_control() { '?' } else { c }).collect())
        .collect();
    let args = words.join(" ").trim_end().to_owned();
    let elapsed = (uptime - positive(19) as f64 / TICKS as f64).max(0.0) as u64;
    let rss =
        field("VmRSS:").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_else(|| positive(21) * 4);
    Some(Proc {
        pid,
        ppid: positive(1) as u32,
        pgid: positive(2) as u32,
        sid: positive(3) as u32,
        tty: positive(4),
        tpgid: number(5),
        state: fields.first()?.chars().next()?,
        args: if args.is_empty() { format!("[{comm}]") } else { args },
        comm,
        uid: nth(&uids, 0),
        euid: nth(&uids, 1),
        gid: nth(&gids, 1),
        cpu: positive(11) + positive(12),
        elapsed,
        started: time::now() - elapsed as i64,
        rss,
        vsz: positive(20) / 1024,
        threads: positive(17).max(1),
        nice: number(16),
    })
}

/// All processes, by pid.
pub(super) fn all() -> Vec<Proc> {
    let uptime = uptime();
    let mut pids: Vec<u32> = match std::fs::read_dir("/proc") {
        Ok(entries) => entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect(),
        Err(_) => Vec::new(),
    };
    pids.sort_unstable();
    // A process that ends in between has nothing to show.
    pids.into_iter().filter_map(|pid| read(pid, uptime)).collect()
}

fn clock(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let hms = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 { format!("{days}-{hms}") } else { hms }
}

fn elapsed(seconds: u64) -> String {
    let text = clock(seconds);
    if seconds < 3600 { text[3..].to_owned() } else { text }
}

fn tty(number: u64) -> String {
    let (major, minor) = super::stat::device_numbers(number);
    match major {
        0 => "?".to_owned(),
        136..144 => format!("pts/{minor}"),
        4 => format!("tty{minor}"),
        _ => format!("{major},{minor}"),
    }
}

/// A column: its names, heading, whether it is set right, and its value.
struct Column {
    names: &'static [&'static str],
    heading: &'static str,
    right: bool,
    value: fn(&Proc, &mut Names) -> String,
}

const COLUMNS: &[Column] = &[
    Column { names: &["pid"], heading: "PID", right: true, value: |p, _| p.pid.to_string() },
    Column { names: &["ppid"], heading: "PPID", right: true, value: |p, _| p.ppid.to_string() },
    Column { names: &["pgid", "pgrp"], heading: "PGID", right: true, value: |p, _| p.pgid.to_string() },
    Column {
        names: &["sid", "sess", "session"],
        heading: "SID",
        right: true,
        value: |p, _| p.sid.to_string(),
    },
    Column { names: &["tpgid"], heading: "TPGID", right: true, value: |p, _| p.tpgid.to_string() },
    Column { names: &["tty", "tt"], heading: "TT", right: false, value: |p, _| tty(p.tty) },
    Column { names: &["tname"], heading: "TTY", right: false, value: |p, _| tty(p.tty) },
    Column { names: &["stat"], heading: "STAT", right: false, value: |p, _| stat(p) },
    Column { names: &["s", "state"], heading: "S", right: false, value: |p, _| p.state.to_string() },
    Column {
        names: &["comm", "ucmd", "ucomm"],
        heading: "COMMAND",
        right: false,
        value: |p, _| p.comm.clone(),
    },
    Column { names: &["cmd"], heading: "CMD", right: false, value: |p, _| p.args.clone() },
    Column { names: &["args", "command"], heading: "COMMAND", right: false, value: |p, _| p.args.clone() },
    Column { names: &["etime"], heading: "ELAPSED", right: true, value: |p, _| elapsed(p.elapsed) },
    Column { names: &["etimes"], heading: "ELAPSED", right: true, value: |p, _| p.elapsed.to_string() },
    Column { names: &["time", "cputime"], heading: "TIME", right: true, value: |p, _| clock(p.cpu / TICKS) },
    Column {
        names: &["bsdtime"],
        heading: "TIME",
        right: true,
        value: |p, _| {
            let s = p.cpu / TICKS;
            format!("{}:{:02}", s / 60, s % 60)
        },
    },
    Column { names: &["rss", "rssize", "rsz"], heading: "RSS", right: true, value: |p, _| p.rss.to_string() },
    Column { names: &["vsz", "vsize"], heading: "VSZ", right: true, value: |p, _| p.vsz.to_string() },
    Column {
        names: &["user", "euser", "uname"],
        heading: "USER",
        right: false,
        value: |p, n| n.user_or_id(p.euid),
    },
    Column { names: &["ruser"], heading: "RUSER", right: false, value: |p, n| n.user_or_id(p.uid) },
    Column {
        names: &["group", "egroup"],
        heading: "GROUP",
        right: false,
        value: |p, n| n.group_or_id(p.gid),
    },
    Column { names: &["uid", "euid"], heading: "UID", right: true, value: |p, _| p.euid.to_string() },
    Column { names: &["gid", "egid"], heading: "GID", right: true, value: |p, _| p.gid.to_string() },
    Column { names: &["ni", "nice"], heading: "NI", right: true, value: |p, _| p.nice.to_string() },
    Column { names: &["nlwp", "thcount"], heading: "NLWP", right: true, value: |p, _| p.threads.to_string() },
    Column {
        names: &["pcpu", "%cpu"],
        heading: "%CPU",
        right: true,
        value: |p, _| share(p.cpu * 1000 / TICKS, p.elapsed.max(1)),
    },
    Column {
        names: &["pmem", "%mem"],
        heading: "%MEM",
        right: true,
        value: |p, _| share(p.rss * 1000, memory()),
    },
    Column {
        names: &["c"],
        heading: "C",
        right: true,
        value: |p, _| (p.cpu * 100 / TICKS / p.elapsed.max(1)).min(99).to_string(),
    },
    Column { names: &["stime", "start_time"], heading: "STIME", right: true, value: |p, _| start(p) },
    Column { names: &["bsdstart"], heading: "START", right: false, value: |p, _| start(p) },
    Column {
        names: &["start"],
        heading: "STARTED",
        right: true,
        value: |p, _| time::format(p.started, 0, if p.elapsed < 86_400 { "%H:%M:%S" } else { "%b %d" }),
    },
    Column {
        names: &["lstart"],
        heading: "STARTED",
        right: true,
        value: |p, _| time::format(p.started, 0, "%a %b %e %T %Y"),
    },
];

fn share(thousandths: u64, of: u64) -> String {
    let tenths = thousandths / of.max(1);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn memory() -> u64 {
    agentos_guest::system::sysinfo().map_or(1, |s| s.mem_total / 1024).max(1)
}

fn start(p: &Proc) -> String {
    let format = if p.elapsed < 86_400 { "%H:%M" } else { "%b%d" };
    time::format(p.started, 0, format)
}

fn stat(p: &Proc) -> String {
    let mut text = p.state.to_string();
    if p.sid == p.pid {
        text.push('s');
    }
    if p.threads > 1 {
        text.push('l');
    }
    if p.tpgid > 0 && p.tpgid == i64::from(p.pgid) {
        text.push('+');
    }
    text
}

struct Request {
    columns: Vec<(usize, String)>,
    everybody: bool,
    pids: Option<Vec<u32>>,
    users: Option<Vec<u32>>,
    comms: Option<Vec<String>>,
    parents: Option<Vec<u32>>,
    same_user: bool,
    headings: bool,
    /// Children below their parents.
    forest: bool,
    /// The environment after the command.
    environment: bool,
    /// Columns to sort by, and whether downwards.
    sort: Vec<(usize, bool)>,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let mut r = Request {
        columns: Vec::new(),
        everybody: false,
        pids: None,
        users: None,
        comms: None,
        parents: None,
        same_user: false,
        headings: true,
        forest: false,
        environment: false,
        sort: Vec::new(),
    };
    let mut format = "pid,tname,time,comm=CMD";
    let words: Vec<String> = args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let mut rest = words.iter();
    let (mut bsd_all, mut bsd_x) = (false, false);
    while let Some(word) = rest.next() {
        let missing = |letter: &str| End::Failure(1, format!("error: option requires an argument: {letter}"));
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v.to_owned())));
            if name == "no-headers" || name == "no-heading" {
                r.headings = false;
                continue;
            }
            if name == "forest" {
                r.forest = true;
                continue;
            }
            if name == "help" {
                cx.put(
                    b"Usage: ps [-eAf] [aux f e] [--forest] [--sort KEYS] [-o FORMAT] [-p PIDS] [-u USERS] [-C NAMES] [--ppid PIDS]\n",
                )?;
                return Ok(0);
            }
            let letter = match name {
                "format" => 'o',
                "sort" => 'k',
                "pid" | "quick-pid" => 'p',
                "ppid" => 'P',
                "user" => 'u',
                _ => {
                    return Err(End::Failure(
                        1,
                        format!("error: unknown gnu long option\n\nUsage:\n ps [options]\n --{name}"),
                    ));
                }
            };
            let value = value.or_else(|| rest.next().cloned()).ok_or_else(|| missing(word))?;
            take(&mut r, letter, &value)?;
        } else if let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) {
            let chars = letters.char_indices();
            for (at, letter) in chars {
                match letter {
                    'e' | 'A' => r.everybody = true,
                    'f' => format = "user=UID,pid,ppid,c,stime,tname,time,cmd",
                    'F' => format = "user=UID,pid,ppid,c,vsz,rss,stime,tname,time,cmd",
                    'l' => format = "s,uid,pid,ppid,c,ni,vsz,tname,time,comm=CMD",
                    'j' => format = "pid,pgid,sid,tname,time,comm=CMD",
                    'a' => r.everybody = true,
                    'w' => {}
                    'H' => r.forest = true,
                    'o' | 'p' | 'q' | 'u' | 'U' | 'C' => {
                        let inline = &letters[at + 1..];
                        let value =
                            if inline.is_empty() { rest.next().cloned() } else { Some(inline.to_owned()) };
                        take(&mut r, letter, &value.ok_or_else(|| missing(word))?)?;
                        break;
                    }
                    _ => return Err(End::Failure(1, format!("error: unsupported option -{letter}"))),
                }
            }
        } else if let Ok(pid) = word.parse() {
            r.pids.get_or_insert_default().push(pid);
        } else {
            for letter in word.chars() {
                match letter {
                    'a' => bsd_all = true,
                    'x' => bsd_x = true,
                    'u' => format = "user,pid,pcpu,pmem,vsz,rss,tname,stat,bsdstart,bsdtime,command",
                    'f' => r.forest = true,
                    'w' => {}
                    'h' => r.headings = false,
                    'j' => format = "ppid,pid,pgid,sid,tname,tpgid,stat,uid,bsdtime,command",
                    'e' => r.environment = true,
                    _ => return Err(End::Failure(1, format!("error: unsupported option {letter}"))),
                }
            }
        }
    }
    if bsd_all || bsd_x {
        if format.starts_with("pid,tname,time") {
            format = "pid,tname,stat,bsdtime,command";
        }
        r.everybody = bsd_all;
        r.same_user = bsd_x && !bsd_all;
    }
    if r.columns.is_empty() {
        take(&mut r, 'o', format)?;
    }
    show(cx, &r)
}

fn take(r: &mut Request, letter: char, value: &str) -> Result<(), End> {
    let list = || value.split([',', ' ']).filter(|w| !w.is_empty());
    let number =
        |w: &str| w.parse().map_err(|_| End::Failure(1, format!("error: process ID list syntax error: {w}")));
    match letter {
        'p' | 'q' => {
            for word in list() {
                r.pids.get_or_insert_default().push(number(word)?);
            }
        }
        'P' => {
            for word in list() {
                r.parents.get_or_insert_default().push(number(word)?);
            }
        }
        'u' | 'U' => {
            for word in list() {
                match crate::names::user_operand(word) {
                    Some(uid) => r.users.get_or_insert_default().push(uid),
                    None => return Err(End::Failure(1, format!("error: user name does not exist: {word}"))),
                }
            }
        }
        'k' => {
            for word in list() {
                let name = word.trim_start_matches(['+', '-']);
                match COLUMNS.iter().position(|c| c.names.contains(&name)) {
                    Some(at) => r.sort.push((at, word.starts_with('-'))),
                    None => return Err(End::Failure(1, format!("error: unknown sort specifier: {name}"))),
                }
            }
        }
        'C' => r.comms.get_or_insert_default().extend(list().map(str::to_owned)),
        _ => {
            // `pid=,comm=NAME`: an own heading; the heading of the last column may hold commas.
            let mut rest = value;
            while !rest.is_empty() {
                let end = rest.find([',', ' ', '=']).unwrap_or(rest.len());
                let name = &rest[..end];
                let at = COLUMNS.iter().position(|c| c.names.contains(&name));
                let Some(at) = at else {
                    return Err(End::Failure(
                        1,
                        format!("error: unknown user-defined format specifier \"{name}\""),
                    ));
                };
                let mut heading = COLUMNS[at].heading.to_owned();
                if rest[end..].starts_with('=') {
                    let stop = rest[end..].find(',').map_or(rest.len(), |i| end + i);
                    heading = rest[end + 1..stop].to_owned();
                    rest = rest.get(stop + 1..).unwrap_or("");
                } else {
                    rest = rest.get(end + 1..).unwrap_or("");
                }
                r.columns.push((at, heading));
            }
        }
    }
    Ok(())
}

/// The variables of a process, each after a blank; nothing of a process that is not ours to read.
fn environment(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let words = bytes.split(|b| *b == 0).filter(|w| !w.is_empty());
    words.map(|w| format!(" {}", String::from_utf8_lossy(w))).collect()
}

/// The processes with children below their parents, and the branches that are drawn before each command.
fn forest<'a>(shown: &[&'a Proc]) -> Vec<(&'a Proc, String)> {
    let is_root = |p: &Proc| p.ppid == p.pid || !shown.iter().any(|q| q.pid == p.ppid);
    let mut out = Vec::with_capacity(shown.len());
    // Still to come, the next one last: a process and what is drawn before its children.
    let mut waiting: Vec<(&Proc, String, String)> =
        shown.iter().rev().filter(|p| is_root(p)).map(|p| (*p, String::new(), String::new())).collect();
    while let Some((p, own, below)) = waiting.pop() {
        out.push((p, own));
        let children: Vec<&Proc> =
            shown.iter().copied().filter(|c| c.ppid == p.pid && c.pid != p.pid && !is_root(c)).collect();
        for (i, child) in children.iter().enumerate().rev() {
            let rest = if i + 1 < children.len() { " |  " } else { "    " };
            waiting.push((child, format!("{below} \\_ "), format!("{below}{rest}")));
        }
    }
    out
}

/// Sorts by the values of columns: as numbers where they are some, else as text.
fn sort(shown: &mut [&Proc], by: &[(usize, bool)], names: &mut Names) {
    for (at, down) in by.iter().rev() {
        shown.sort_by_cached_key(|p| {
            let text = (COLUMNS[*at].value)(p, names);
            // One decimal at most is shown, so thousandths keep the order.
            let number = text.parse::<f64>().map_or(i64::MIN, |n| (n * 1000.0) as i64);
            (if *down { -number.max(-i64::MAX) } else { number }, text)
        });
        if *down && shown.iter().any(|p| (COLUMNS[*at].value)(p, names).parse::<f64>().is_err()) {
            shown.reverse();
        }
    }
}

/// How wide a column is at least.
fn least(name: &str) -> usize {
    match name {
        "s" => 1,
        "c" => 2,
        "ni" => 3,
        "stat" | "pcpu" | "pmem" | "nlwp" => 4,
        "rss" | "uid" | "gid" | "tpgid" | "stime" | "bsdstart" => 5,
        "vsz" | "bsdtime" => 6,
        "pid" | "ppid" | "pgid" | "sid" | "etimes" => 7,
        "tty" | "tname" | "user" | "ruser" | "group" | "time" | "start" => 8,
        "etime" => 11,
        "comm" => 15,
        "lstart" => 24,
        "cmd" | "args" => 27,
        _ => 0,
    }
}

fn show(cx: &mut Cx, r: &Request) -> Outcome {
    let all = all();
    let me = all.iter().find(|p| p.pid == process::id());
    let (my_tty, my_user) = me.map_or((0, agentos_guest::user::geteuid()), |p| (p.tty, p.euid));
    let selected = r.pids.is_some() || r.users.is_some() || r.comms.is_some() || r.parents.is_some();
    let wanted = |p: &&Proc| {
        if selected {
            return r.pids.as_ref().is_some_and(|l| l.contains(&p.pid))
                || r.users.as_ref().is_some_and(|l| l.contains(&p.euid))
                || r.parents.as_ref().is_some_and(|l| l.contains(&p.ppid))
                || r.comms.as_ref().is_some_and(|l| l.contains(&p.comm));
        }
        r.everybody || (p.euid == my_user && (r.same_user || p.tty == my_tty))
    };
    let mut names = Names::default();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut shown: Vec<&Proc> = all.iter().filter(wanted).collect();
    sort(&mut shown, &r.sort, &mut names);
    let order =
        if r.forest { forest(&shown) } else { shown.into_iter().map(|p| (p, String::new())).collect() };
    for (p, branch) in order {
        let cell = |(at, _): &(usize, String)| {
            let text = (COLUMNS[*at].value)(p, &mut names);
            match COLUMNS[*at].heading {
                "COMMAND" | "CMD" if r.environment => format!("{branch}{text}{}", environment(p.pid)),
                "COMMAND" | "CMD" => branch.clone() + &text,
                _ => text,
            }
        };
        rows.push(r.columns.iter().map(cell).collect());
    }
    let found = !rows.is_empty();
    if r.headings && r.columns.iter().any(|(_, heading)| !heading.is_empty()) {
        rows.insert(0, r.columns.iter().map(|(_, heading)| heading.clone()).collect());
    }
    let widths: Vec<usize> = (0..r.columns.len())
        .map(|i| {
            let least = least(COLUMNS[r.columns[i].0].names[0]);
            rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0).max(least)
        })
        .collect();
    for row in &rows {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            let (last, width) = (i + 1 == row.len(), widths[i]);
            let right = COLUMNS[r.columns[i].0].right;
            match (right, last) {
                (true, _) => line += &format!("{cell:>width$}"),
                (false, true) => line += cell,
                (false, false) => line += &format!("{cell:<width$}"),
            }
            if !last {
                line.push(' ');
            }
        }
        cx.print(format_args!("{line}\n"))?;
    }
    Ok(i32::from(!found))
}
