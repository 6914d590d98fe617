//! The table of `top`: what `/proc` says of the machine and its processes, and lines of it. It draws nothing.

use super::options::{Options, users};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Lines above the processes, the names of the columns among them.
pub(super) const HEAD: usize = 7;

/// Clock ticks per second, as on Linux.
const TICKS: f64 = 100.0;
/// How long the first look takes, so that there is a share of the CPU to be told.
const FIRST: Duration = Duration::from_millis(100);

/// A process, or a thread.
struct Task {
    pid: u32,
    ppid: i64,
    pgrp: i64,
    sid: i64,
    uids: Vec<u32>,
    user: String,
    priority: i64,
    nice: i64,
    threads: i64,
    /// KiB.
    virt: u64,
    res: u64,
    shr: u64,
    state: char,
    /// Ticks.
    time: u64,
    /// Percent of one CPU since the look before.
    cpu: f64,
    name: String,
    line: String,
}

/// The machine as it was at the last look.
pub(super) struct Table {
    tasks: Vec<Task>,
    /// Times of the tasks at the look before, by pid.
    times: HashMap<u32, u64>,
    looked: Option<Instant>,
    cpu: Vec<u64>,
    spent: Vec<u64>,
    memory: HashMap<String, u64>,
    users: HashMap<u32, String>,
    digits: usize,
}

fn read(path: &str) -> String {
    // Names of processes need not be text.
    std::fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
}

fn numbers(path: &str) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let mut pids: Vec<u32> = entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

impl Table {
    pub(super) fn new() -> Table {
        let most = read("/proc/sys/kernel/pid_max");
        let most = most.trim().parse::<u64>().unwrap_or(99_999).saturating_sub(1);
        Table {
            tasks: Vec::new(),
            times: HashMap::new(),
            looked: None,
            cpu: Vec::new(),
            spent: Vec::new(),
            memory: HashMap::new(),
            users: users().into_iter().collect(),
            digits: most.to_string().len().clamp(5, 10),
        }
    }

    /// How many processes there are.
    pub(super) fn count(&self) -> usize {
        self.tasks.len()
    }

    /// Looks at everything again.
    pub(super) fn look(&mut self, o: &Options) {
        if self.looked.is_none() {
            self.scan(o);
            std::thread::sleep(FIRST);
        }
        self.scan(o);
    }

    fn scan(&mut self, o: &Options) {
        let stat = read("/proc/stat");
        let line = stat.lines().next().unwrap_or_default();
        let cpu: Vec<u64> = line.split_whitespace().skip(1).map(|n| n.parse().unwrap_or(0)).collect();
        self.spent = cpu
            .iter()
            .enumerate()
            .map(|(i, n)| n.saturating_sub(self.cpu.get(i).copied().unwrap_or(0)))
            .collect();
        self.cpu = cpu;
        let entry = |line: &str| {
            let (name, rest) = line.split_once(':')?;
            Some((name.to_owned(), rest.split_whitespace().next()?.parse().ok()?))
        };
        self.memory = read("/proc/meminfo").lines().filter_map(entry).collect();
        let now = Instant::now();
        let passed = self.looked.map_or(0.0, |before| now.duration_since(before).as_secs_f64());
        self.looked = Some(now);
        let mut tasks = Vec::new();
        for pid in numbers("/proc") {
            if o.threads {
                for tid in numbers(&format!("/proc/{pid}/task")) {
                    tasks.extend(self.task(&format!("/proc/{pid}/task/{tid}"), pid, tid, o));
                }
            } else {
                tasks.extend(self.task(&format!("/proc/{pid}"), pid, pid, o));
            }
        }
        tasks.retain(|t| o.pids.is_empty() || o.pids.contains(&t.pid));
        for task in &mut tasks {
            if let Some(before) = self.times.get(&task.pid).filter(|_| passed > 0.0) {
                task.cpu = task.time.saturating_sub(*before) as f64 / TICKS / passed * 100.0;
            }
        }
        self.times = tasks.iter().map(|t| (t.pid, t.time)).collect();
        self.tasks = tasks;
    }

    /// One process; one that ended meanwhile has nothing to show.
    fn task(&self, folder: &str, process: u32, pid: u32, o: &Options) -> Option<Task> {
        let stat = read(&format!("{folder}/stat"));
        // The name may hold blanks and parentheses: it ends at the last one.
        let (open, close) = (stat.find('(')?, stat.rfind(')')?);
        let fields: Vec<&str> = stat.get(close + 1..)?.split_whitespace().collect();
        let number = |i: usize| fields.get(i).and_then(|f| f.parse::<i64>().ok()).unwrap_or(0);
        let positive = |i: usize| u64::try_from(number(i)).unwrap_or(0);
        let status = read(&format!("{folder}/status"));
        let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
        let kib = |name: &str| field(name).split_whitespace().next().and_then(|n| n.parse::<u64>().ok());
        let uids: Vec<u32> = field("Uid:").split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let euid = uids.get(1).copied().unwrap_or(0);
        let clean =
            |text: &str| text.chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>();
        let name = clean(stat.get(open + 1..close)?);
        let words = read(&format!("/proc/{process}/cmdline"));
        let line = clean(words.trim_end_matches('\0').replace('\0', " ").trim_end());
        let children = if o.with_children { positive(13) + positive(14) } else { 0 };
        Some(Task {
            pid,
            ppid: number(1),
            pgrp: number(2),
            sid: number(3),
            user: self.users.get(&euid).cloned().unwrap_or_else(|| euid.to_string()),
            uids,
            priority: number(15),
            nice: number(16),
            threads: number(17),
            virt: positive(20) / 1024,
            res: kib("VmRSS:").unwrap_or_else(|| positive(21) * 4),
            shr: kib("RssFile:").unwrap_or(0) + kib("RssShmem:").unwrap_or(0),
            state: fields.first()?.chars().next()?,
            time: positive(11) + positive(12) + children,
            cpu: 0.0,
            line: if line.is_empty() { format!("[{name}]") } else { line },
            name,
        })
    }

    /// The tasks that are shown, in their order.
    fn shown(&self, o: &Options) -> Vec<&Task> {
        let wanted = |t: &&Task| match o.user {
            Some(uid) if o.any_id => t.uids.contains(&uid),
            Some(uid) => t.uids.get(1) == Some(&uid),
            None => true,
        };
        let busy = |t: &&Task| !o.busy_only || t.cpu >= 0.05 || t.state == 'R';
        let mut tasks: Vec<&Task> = self.tasks.iter().filter(wanted).filter(busy).collect();
        tasks.sort_by(|a, b| {
            let order = compare(a, b, o.sort);
            if o.backward { order } else { order.reverse() }
        });
        tasks.truncate(o.most);
        tasks
    }

    /// The process at the top.
    pub(super) fn first(&self, o: &Options) -> u32 {
        self.shown(o).first().map_or(0, |t| t.pid)
    }

    /// The summary, and as many processes as wanted from one on.
    pub(super) fn lines(&self, o: &Options, width: usize, most: usize, from: usize) -> Vec<String> {
        let mut out = self.summary(o);
        out.push(String::new());
        let digits = self.digits;
        out.push(cut(
            &format!(
                "{:>digits$} {:<8}  PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND",
                "PID", "USER"
            ),
            width,
            false,
        ));
        let total = self.memory.get("MemTotal").copied().unwrap_or(0).max(1) as f64;
        for t in self.shown(o).into_iter().skip(from).take(most) {
            let priority = if t.priority <= -100 { "rt".to_owned() } else { t.priority.to_string() };
            let line = format!(
                "{:>digits$} {:<8} {priority:>3} {:>3} {:>7} {:>6} {:>6} {} {:>5} {:>5.1} {:>9} {}",
                t.pid,
                cut(&t.user, 8, true),
                t.nice,
                size(t.virt, 7, o.task_scale),
                size(t.res, 6, o.task_scale),
                size(t.shr, 6, o.task_scale),
                t.state,
                percent(t.cpu),
                (t.res as f64 / total * 100.0).min(100.0),
                time(t.time),
                if o.command_line { &t.line } else { &t.name },
            );
            out.push(cut(&line, width, true).trim_end().to_owned());
        }
        out
    }

    fn summary(&self, o: &Options) -> Vec<String> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let up = read("/proc/uptime").split('.').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        let (days, hours, minutes) = (up / 86_400, up / 3600 % 24, up / 60 % 60);
        let days = if days == 0 {
            String::new()
        } else {
            format!("{days} day{}, ", if days == 1 { "" } else { "s" })
        };
        let since = if hours == 0 {
            format!("{days}{minutes} min")
        } else {
            format!("{days}{hours:>2}:{minutes:02}")
        };
        let load = read("/proc/loadavg");
        let load: Vec<&str> = load.split(' ').take(3).collect();
        let of = |states: &str| self.tasks.iter().filter(|t| states.contains(t.state)).count();
        let (running, stopped, zombie) = (of("R"), of("Tt"), of("Z"));
        let total = self.tasks.len();
        let sum = self.spent.iter().take(8).sum::<u64>();
        let share = |i: usize| {
            let idle = i == 3 && sum == 0;
            let spent = self.spent.get(i).copied().unwrap_or(0) as f64;
            if idle { 100.0 } else { spent * 100.0 / sum.max(1) as f64 }
        };
        let kib = |name: &str| self.memory.get(name).copied().unwrap_or(0);
        let shown = |n: u64| match o.scale {
            0 => format!("{n:8}"),
            scale => format!("{:8.1}", n as f64 / 1024f64.powi(scale.cast_signed())),
        };
        let (all, free, available) = (kib("MemTotal"), kib("MemFree"), kib("MemAvailable"));
        let cached = kib("Buffers") + kib("Cached") + kib("SReclaimable");
        let swap = kib("SwapTotal");
        let unit = ["KiB", "MiB", "GiB", "TiB"][o.scale.min(3) as usize];
        vec![
            format!(
                "top - {:02}:{:02}:{:02} up {since},  0 user,  load average: {}",
                seconds / 3600 % 24,
                seconds / 60 % 60,
                seconds % 60,
                load.join(", ")
            ),
            format!(
                "{} {total:3} total, {running:3} running, {:3} sleeping, {stopped:3} stopped, {zombie:3} zombie",
                if o.threads { "Threads:" } else { "Tasks:" },
                total - running - stopped - zombie
            ),
            format!(
                "%Cpu(s):{:5.1} us,{:5.1} sy,{:5.1} ni,{:5.1} id,{:5.1} wa,{:5.1} hi,{:5.1} si,{:5.1} st ",
                share(0),
                share(2),
                share(1),
                share(3),
                share(4),
                share(5),
                share(6),
                share(7)
            ),
            format!(
                "{unit} Mem : {} total, {} free, {} used, {} buff/cache     ",
                shown(all),
                shown(free),
                shown(all.saturating_sub(available)),
                shown(cached)
            ),
            format!(
                "{unit} Swap: {} total, {} free, {} used. {} avail Mem ",
                shown(swap),
                shown(kib("SwapFree")),
                shown(swap.saturating_sub(kib("SwapFree"))),
                shown(available)
            ),
        ]
    }
}

fn compare(a: &Task, b: &Task, field: &str) -> Ordering {
    match field {
        "PID" => a.pid.cmp(&b.pid),
        "PPID" => a.ppid.cmp(&b.ppid),
        "UID" => a.uids.get(1).cmp(&b.uids.get(1)),
        "USER" => a.user.cmp(&b.user),
        "PGRP" => a.pgrp.cmp(&b.pgrp),
        "SID" => a.sid.cmp(&b.sid),
        "PR" => a.priority.cmp(&b.priority),
        "NI" => a.nice.cmp(&b.nice),
        "nTH" => a.threads.cmp(&b.threads),
        "TIME" | "TIME+" => a.time.cmp(&b.time),
        "%MEM" | "RES" => a.res.cmp(&b.res),
        "VIRT" => a.virt.cmp(&b.virt),
        "S" => a.state.cmp(&b.state),
        "COMMAND" => a.name.cmp(&b.name),
        _ => a.cpu.total_cmp(&b.cpu),
    }
}

/// So many columns of a text; a plus says that there is more.
fn cut(text: &str, width: usize, plus: bool) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let keep = width.saturating_sub(usize::from(plus));
    let mut out: String = text.chars().take(keep).collect();
    if plus {
        out.push('+');
    }
    out
}

fn percent(cpu: f64) -> String {
    if cpu < 999.95 { format!("{cpu:.1}") } else { format!("{cpu:.0}") }
}

/// Hundredths of a second as minutes, or hours where they are many.
fn time(ticks: u64) -> String {
    let (minutes, rest) = (ticks / 6000, ticks % 6000);
    if minutes < 10_000 {
        format!("{minutes}:{:02}.{:02}", rest / 100, rest % 100)
    } else {
        format!("{},{:02}", minutes / 60, minutes % 60)
    }
}

/// KiB in the first unit in which they fit.
fn size(kib: u64, width: usize, scale: u32) -> String {
    for unit in scale..=4 {
        let text = match unit {
            0 => kib.to_string(),
            n => format!(
                "{:.1}{}",
                kib as f64 / 1024f64.powi(n.cast_signed()),
                [' ', 'm', 'g', 't', 'p'][n as usize]
            ),
        };
        if text.len() <= width {
            return text;
        }
    }
    "?".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_their_columns() {
        assert_eq!(size(1_048_576, 6, 0), "1.0g");
        assert_eq!(size(22_852, 6, 1), "22.3m");
        assert_eq!(time(21_421), "3:34.21");
        assert_eq!(cut("systemd-network", 8, true), "systemd+");
    }
}
