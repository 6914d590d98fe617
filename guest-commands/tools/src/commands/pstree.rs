//! `pstree`: processes as a tree. What they are called is read as `ps` reads it.

use super::ps::{self, Proc};
use crate::context::{Cx, End, Outcome};
use crate::names::{Names, account};
use crate::options::Order;
use std::collections::BTreeMap;
use std::ffi::OsString;

#[derive(Default)]
struct Config {
    args: bool,
    no_compact: bool,
    pids: bool,
    groups: bool,
    numeric: bool,
    users: bool,
    unicode: bool,
}

struct Forest {
    by_pid: BTreeMap<u32, Proc>,
    children: BTreeMap<u32, Vec<u32>>,
    names: Names,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &[
        "a,arguments",
        "A,ascii",
        "c,compact-not",
        "g,show-pgids",
        "l,long",
        "n,numeric-sort",
        "p,show-pids",
        "T,hide-threads",
        "u,uid-changes",
        "U,unicode",
        "V,version",
    ];
    let help = "{} [-acglnpTuAU] [PID | USER]
Display a tree of processes.
  -a, --arguments     show command line arguments
  -A, --ascii         use ASCII line drawing characters
  -c, --compact-not   don't compact identical subtrees
  -g, --show-pgids    show process group ids
  -l, --long          don't truncate long lines (they never are)
  -n, --numeric-sort  sort output by PID
  -p, --show-pids     show PIDs; implies -c
  -T, --hide-threads  hide threads, show only processes
  -u, --uid-changes   show uid transitions
  -U, --unicode       use UTF-8 (Unicode) line drawing characters
  -V, --version       display version information";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let mut c = Config::default();
    for opt in &parsed.opts {
        match opt.id {
            "arguments" => c.args = true,
            "ascii" => c.unicode = false,
            "compact-not" => c.no_compact = true,
            "show-pgids" => (c.groups, c.no_compact) = (true, true),
            "numeric-sort" => c.numeric = true,
            "show-pids" => (c.pids, c.no_compact) = (true, true),
            "uid-changes" => c.users = true,
            "unicode" => c.unicode = true,
            "version" => return Err(cx.version()),
            _ => {}
        }
    }
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let by_pid: BTreeMap<u32, Proc> = ps::all().into_iter().map(|p| (p.pid, p)).collect();
    for p in by_pid.values() {
        children.entry(p.ppid).or_default().push(p.pid);
    }
    if !c.numeric {
        for list in children.values_mut() {
            list.sort_by(|a, b| by_pid[a].comm.cmp(&by_pid[b].comm));
        }
    }
    let roots: Vec<u32> = match parsed.operands.first().map(|o| o.to_string_lossy().into_owned()) {
        None if by_pid.contains_key(&1) => vec![1],
        None => by_pid.values().filter(|p| !by_pid.contains_key(&p.ppid)).map(|p| p.pid).collect(),
        Some(word) => match word.parse::<u32>() {
            Ok(pid) => by_pid.contains_key(&pid).then_some(pid).into_iter().collect(),
            Err(_) => {
                let Some(user) = account(&word) else {
                    eprintln!("No such user name: {word}");
                    return Ok(1);
                };
                let own = |pid: u32| by_pid.get(&pid).is_some_and(|p| p.uid == user.uid);
                by_pid.values().filter(|p| own(p.pid) && !own(p.ppid)).map(|p| p.pid).collect()
            }
        },
    };
    let mut forest = Forest { by_pid, children, names: Names::default() };
    for (i, root) in roots.iter().enumerate() {
        if i > 0 {
            cx.put(b"\n")?;
        }
        if c.args {
            forest.listed(cx, &c, *root, "", "", 0)?;
        } else {
            let mut text = String::new();
            forest.drawn(&c, *root, "", &mut text, 0);
            cx.print(format_args!("{text}\n"))?;
        }
    }
    Ok(0)
}

/// How deep a tree is followed.
const MOST_DEPTH: usize = 256;

impl Forest {
    /// A process as it stands in the tree, behind `above` who started it.
    fn name(&mut self, c: &Config, pid: u32) -> String {
        let Some(p) = self.by_pid.get(&pid) else { return String::new() };
        let mut name = if c.args { p.args.clone() } else { p.comm.clone() };
        if c.args && name.is_empty() {
            name.clone_from(&p.comm);
        }
        let mut notes = Vec::new();
        if c.pids {
            notes.push(pid.to_string());
        }
        if c.groups {
            notes.push(p.pgid.to_string());
        }
        if c.users && self.by_pid.get(&p.ppid).is_some_and(|above| above.uid != p.uid) {
            notes.push(self.names.user_or_id(p.uid));
        }
        if notes.is_empty() {
            return name;
        }
        let notes = format!("({})", notes.join(","));
        // With arguments the numbers stand behind the first word.
        match name.split_once(' ') {
            Some((first, rest)) if c.args => format!("{first}{notes} {rest}"),
            _ => name + &notes,
        }
    }

    /// The children with how many of them are alike, each with the text that stands for its subtree.
    fn kin(&mut self, c: &Config, pid: u32, depth: usize) -> Vec<(u32, usize)> {
        let list = self.children.get(&pid).cloned().unwrap_or_default();
        if c.no_compact || c.args {
            return list.into_iter().map(|p| (p, 1)).collect();
        }
        let mut kin: Vec<(u32, usize, String)> = Vec::new();
        for child in list {
            let mut shape = String::new();
            self.drawn(c, child, "", &mut shape, depth + 1);
            match kin.iter_mut().find(|k| k.2 == shape) {
                Some(same) => same.1 += 1,
                None => kin.push((child, 1, shape)),
            }
        }
        kin.into_iter().map(|(p, n, _)| (p, n)).collect()
    }

    /// Draws a process and what is below it behind `lead`, which stands before the lines that follow the first.
    fn drawn(&mut self, c: &Config, pid: u32, lead: &str, out: &mut String, depth: usize) {
        let name = self.name(c, pid);
        *out += &name;
        if depth >= MOST_DEPTH {
            return;
        }
        let kin = self.kin(c, pid, depth);
        let lead = format!("{lead}{}", " ".repeat(name.chars().count()));
        let (only, first, middle, last, bar) = if c.unicode {
            ("───", "─┬─", " ├─", " └─", " │ ")
        } else {
            ("---", "-+-", " |-", " `-", " | ")
        };
        for (i, (child, count)) in kin.iter().enumerate() {
            let end = i + 1 == kin.len();
            let mark = match (i, end) {
                (0, true) => only,
                (0, false) => first,
                (_, true) => last,
                _ => middle,
            };
            if i > 0 {
                out.push('\n');
                *out += &lead;
            }
            *out += mark;
            let below = format!("{lead}{}", if end { "   " } else { bar });
            if *count > 1 {
                let times = format!("{count}*[");
                *out += &times;
                self.drawn(c, *child, &format!("{below}{}", " ".repeat(times.len())), out, depth + 1);
                out.push(']');
            } else {
                self.drawn(c, *child, &below, out, depth + 1);
            }
        }
    }

    /// With arguments: each process on a line of its own.
    fn listed(
        &mut self,
        cx: &mut Cx,
        c: &Config,
        pid: u32,
        lead: &str,
        mark: &str,
        depth: usize,
    ) -> Result<(), End> {
        let name = self.name(c, pid);
        cx.print(format_args!("{lead}{mark}{name}\n"))?;
        if depth >= MOST_DEPTH {
            return Ok(());
        }
        let kin = self.kin(c, pid, depth);
        let (middle, last, bar) = if c.unicode { ("├─", "└─", "│ ") } else { ("|-", "`-", "| ") };
        let own = match mark {
            "" => String::new(),
            mark if mark == last => format!("{lead}  "),
            _ => format!("{lead}{bar}"),
        };
        for (i, (child, _)) in kin.iter().enumerate() {
            let mark = if i + 1 == kin.len() { last } else { middle };
            self.listed(cx, c, *child, &format!("{own}  "), mark, depth + 1)?;
        }
        Ok(())
    }
}
