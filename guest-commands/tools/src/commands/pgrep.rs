//! `pgrep`, `pkill`, `pidof` and `killall`: processes by name and other marks, listed or signalled. Whose they are and what
//! they are called is read as `ps` reads it.

use super::kill::signal_operand;
use super::ps::{self, Proc};
use crate::context::{Cx, End, Outcome};
use crate::names::{group_operand, user_operand};
use crate::options::{Opt, Order};
use agentos_guest::signal::{self, Signal};
use agentos_guest::{process, strerror};
use grep_matcher::Matcher as _;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use std::ffi::OsString;

const COMMON: &str = "
  -v, --inverse             negate the matching
  -f, --full                use the full command line to match
  -g, --pgroup=PGID,...     match listed process group IDs
  -G, --group=GID,...       match group IDs
  -i, --ignore-case         match case insensitively
  -n, --newest              select most recently started
  -o, --oldest              select least recently started
  -O, --older=SECONDS       select where older than seconds
  -P, --parent=PPID,...     match only child processes of the given parent
  -s, --session=SID,...     match session IDs
  -u, --euid=ID,...         match by effective IDs
  -U, --uid=ID,...          match by real IDs
  -x, --exact               match exactly with the command name
  -r, --runstates=STATE     match run states [S,T,Z]
  -c, --count               count of matching processes
  -V, --version             output version information and exit";

/// The options of one command, and then those of both.
macro_rules! options {
    ($($own:literal),*) => {
        &[
            $($own,)*
            "v,inverse",
            "c,count",
            "f,full",
            "g,pgroup=",
            "G,group=",
            "i,ignore-case",
            "n,newest",
            "o,oldest",
            "O,older=",
            "P,parent=",
            "s,session=",
            "u,euid=",
            "U,uid=",
            "x,exact",
            "r,runstates=",
            "V,version",
        ]
    };
}

const PGREP: &[&str] = options!["d,delimiter=", "l,list-name", "a,list-full"];
const PKILL: &[&str] = options!["signal=", "e,echo"];

fn words(opt: &Opt) -> Vec<String> {
    opt.text().split(',').map(str::to_owned).collect()
}

/// What the options ask of a process.
#[derive(Default)]
struct Criteria {
    pattern: Option<RegexMatcher>,
    full: bool,
    inverse: bool,
    any: bool,
    groups: Option<Vec<u32>>,
    gids: Option<Vec<u32>>,
    parents: Option<Vec<u32>>,
    sessions: Option<Vec<u32>>,
    euids: Option<Vec<u32>>,
    uids: Option<Vec<u32>>,
    states: Option<String>,
    older: Option<u64>,
    newest: Option<bool>,
}

impl Criteria {
    /// Reads options and the pattern.
    fn read(cx: &Cx, opts: &[Opt], operands: &[OsString]) -> Result<Criteria, End> {
        let mut c = Criteria::default();
        let (mut fold, mut exact) = (false, false);
        let hint =
            |text: String| End::Failure(2, format!("{text}\nTry `{} --help' for more information.", cx.name));
        let numbers = |opt: &Opt, what: &str, own: u32| -> Result<Vec<u32>, End> {
            let number = |word: &String| match word.parse() {
                // 0 is the group, or session, of the program that asks.
                Ok(0) => Ok(own),
                Ok(n) => Ok(n),
                Err(_) => Err(End::Failure(2, format!("invalid {what}: {word}"))),
            };
            words(opt).iter().map(number).collect()
        };
        let own_group = process::getpgid(0).unwrap_or(0);
        let own_session = process::getsid(0).unwrap_or(0);
        for opt in opts {
            let users =
                |text: &str| user_operand(text).ok_or(End::Failure(2, format!("invalid user name: {text}")));
            match opt.id {
                "full" => c.full = true,
                "inverse" => c.inverse = true,
                "ignore-case" => fold = true,
                "exact" => exact = true,
                "newest" => c.newest = Some(true),
                "oldest" => c.newest = Some(false),
                "pgroup" => c.groups = Some(numbers(opt, "process group", own_group)?),
                "parent" => c.parents = Some(numbers(opt, "process id", 0)?),
                "session" => c.sessions = Some(numbers(opt, "session id", own_session)?),
                "euid" => c.euids = Some(words(opt).iter().map(|w| users(w)).collect::<Result<_, _>>()?),
                "uid" => c.uids = Some(words(opt).iter().map(|w| users(w)).collect::<Result<_, _>>()?),
                "group" => {
                    let group = |w: &String| {
                        group_operand(w).ok_or(End::Failure(2, format!("invalid group name: {w}")))
                    };
                    c.gids = Some(words(opt).iter().map(group).collect::<Result<_, _>>()?);
                }
                "runstates" => c.states = Some(opt.text()),
                "older" => match opt.text().parse() {
                    Ok(seconds) => c.older = Some(seconds),
                    Err(_) => return Err(End::Failure(2, format!("not a number: {}", opt.text()))),
                },
                _ => continue,
            }
            c.any |= !matches!(opt.id, "full" | "inverse" | "ignore-case" | "exact");
        }
        match operands {
            [] if !c.any => return Err(hint("no matching criteria specified".to_owned())),
            [] => {}
            [pattern] => {
                let text = pattern.to_string_lossy();
                let text = if exact { format!("^(?:{text})$") } else { text.into_owned() };
                let built = RegexMatcherBuilder::new().case_insensitive(fold).build(&text);
                c.pattern =
                    Some(built.map_err(|_| End::Failure(2, format!("invalid regular expression: {text}")))?);
            }
            _ => return Err(hint("only one pattern can be provided".to_owned())),
        }
        Ok(c)
    }

    fn fits(&self, p: &Proc) -> bool {
        let among = |list: &Option<Vec<u32>>, value: u32| list.as_ref().is_none_or(|l| l.contains(&value));
        let text = if self.full { &p.args } else { &p.comm };
        let matches = |m: &RegexMatcher| m.is_match(text.as_bytes()).unwrap_or(false);
        (self.pattern.as_ref().is_none_or(matches)
            && among(&self.groups, p.pgid)
            && among(&self.gids, p.gid)
            && among(&self.parents, p.ppid)
            && among(&self.sessions, p.sid)
            && among(&self.euids, p.euid)
            && among(&self.uids, p.uid)
            && self.states.as_ref().is_none_or(|s| s.contains(p.state))
            && self.older.is_none_or(|age| p.elapsed >= age))
            != self.inverse
    }

    /// The processes that fit, without the program that asks.
    fn select(&self) -> Vec<Proc> {
        let me = process::id();
        let mut found: Vec<Proc> = ps::all().into_iter().filter(|p| p.pid != me && self.fits(p)).collect();
        // Pids rise with the time of the start.
        match self.newest {
            Some(true) => found.drain(..found.len().saturating_sub(1)).for_each(drop),
            Some(false) => found.truncate(1),
            None => {}
        }
        found
    }
}

/// Takes a `-SIGNAL` word out of the arguments.
fn signal_word(args: &[OsString]) -> (Option<u8>, Vec<OsString>) {
    let mut signal = None;
    let rest = args.iter().filter(|arg| {
        let text = arg.to_string_lossy();
        let number = text.strip_prefix('-').filter(|w| w.len() > 1 || w.bytes().all(|b| b.is_ascii_digit()));
        let found =
            number.filter(|w| !w.starts_with('-') && w.to_ascii_uppercase() == *w).and_then(signal_operand);
        if signal.is_none() && found.is_some() {
            signal = found;
            return false;
        }
        true
    });
    let rest = rest.cloned().collect();
    (signal, rest)
}

/// `--version` under its letter.
fn version(cx: &mut Cx, opts: &[Opt]) -> Result<(), End> {
    if opts.iter().any(|o| o.id == "version") {
        let name = cx.name;
        cx.print(format_args!("{name} (agentos-tools) {}\n", env!("CARGO_PKG_VERSION")))?;
        return Err(End::Status(0));
    }
    Ok(())
}

/// `pgrep`.
pub(crate) fn pgrep(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let help = format!(
        "{{}} [options] <pattern>
List processes whose name matches an extended regular expression.
  -d, --delimiter=STRING    specify output delimiter
  -l, --list-name           list PID and process name
  -a, --list-full           list PID and full command line{COMMON}"
    );
    let parsed = cx.parse(PGREP, args, Order::Permute, &help)?;
    version(cx, &parsed.opts)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    let criteria = Criteria::read(cx, &parsed.opts, &parsed.operands)?;
    let found = criteria.select();
    if has("count") {
        cx.print(format_args!("{}\n", found.len()))?;
    } else if !found.is_empty() {
        let delimiter =
            parsed.opts.iter().rfind(|o| o.id == "delimiter").map_or_else(|| "\n".to_owned(), Opt::text);
        let shown: Vec<String> = found
            .iter()
            .map(|p| match (has("list-full"), has("list-name")) {
                (true, _) => format!("{} {}", p.pid, p.args),
                (_, true) => format!("{} {}", p.pid, p.comm),
                _ => p.pid.to_string(),
            })
            .collect();
        cx.print(format_args!("{}\n", shown.join(&delimiter)))?;
    }
    Ok(i32::from(found.is_empty()))
}

/// `pkill`.
pub(crate) fn pkill(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let help = format!(
        "{{}} [options] <pattern>
Send a signal to processes whose name matches an extended regular expression.
  -SIGNAL, --signal=SIGNAL  signal to send (either number or name)
  -e, --echo                display what is killed{COMMON}"
    );
    let (word, args) = signal_word(args);
    let parsed = cx.parse(PKILL, &args, Order::Permute, &help)?;
    version(cx, &parsed.opts)?;
    let mut number = word.unwrap_or(Signal::SIGTERM.raw());
    for opt in parsed.opts.iter().filter(|o| o.id == "signal") {
        let Some(found) = signal_operand(&opt.text()) else {
            return Err(End::Failure(2, format!("Unknown signal \"{}\".", opt.text())));
        };
        number = found;
    }
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    let criteria = Criteria::read(cx, &parsed.opts, &parsed.operands)?;
    let mut done = 0;
    for p in criteria.select() {
        match signal::kill(p.pid.cast_signed(), Signal::from_raw(number)) {
            Ok(()) => {
                done += 1;
                if has("echo") {
                    cx.print(format_args!("{} killed (pid {})\n", p.comm, p.pid))?;
                }
            }
            Err(error) => cx.say(format_args!("killing pid {} failed: {}", p.pid, strerror(&error))),
        }
    }
    if has("count") {
        cx.print(format_args!("{done}\n"))?;
    }
    Ok(i32::from(done == 0))
}

/// Whether a process is called by this name, or by this path.
fn called(p: &Proc, name: &str) -> bool {
    let first = p.args.split(' ').next().unwrap_or_default();
    p.comm == name || first == name || first.rsplit('/').next() == Some(name)
}

/// `pidof`.
pub(crate) fn pidof(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &["s,single-shot", "q", "o,omit-pid=", "S,separator=", "x"];
    let help = "{} [options] [program [...]]
Find the process IDs of running programs, the newest first.
  -s, --single-shot         return one PID only
  -q                        quiet mode, only set the exit code
  -o, --omit-pid=PID,...    omit processes with PID
  -S, --separator=SEP       use SEP as separator put between PIDs
  -x                        also find shells running the named scripts: they are found anyway";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    let (mut omitted, mut separator) = (vec![process::id()], " ".to_owned());
    for opt in &parsed.opts {
        match opt.id {
            "omit-pid" => omitted.extend(words(opt).iter().filter_map(|w| match w.as_str() {
                "%PPID" => Some(process::parent_id()),
                w => w.parse().ok(),
            })),
            "separator" => separator = opt.text(),
            _ => {}
        }
    }
    let all = ps::all();
    let mut found: Vec<String> = Vec::new();
    for name in &parsed.operands {
        let name = name.to_string_lossy();
        let fits = all.iter().rev().filter(|p| !omitted.contains(&p.pid) && called(p, &name));
        found.extend(fits.map(|p| p.pid.to_string()));
    }
    if has("single-shot") {
        found.truncate(1);
    }
    if !has("q") && !found.is_empty() {
        cx.print(format_args!("{}\n", found.join(&separator)))?;
    }
    Ok(i32::from(found.is_empty()))
}

/// `killall`.
pub(crate) fn killall(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &[
        "e,exact",
        "I,ignore-case",
        "l,list",
        "q,quiet",
        "r,regexp",
        "s,signal=",
        "u,user=",
        "v,verbose",
        "w,wait",
        "V,version",
    ];
    let help = "{} [OPTION]... [--] NAME...
Send a signal to all processes of these names.
  -e, --exact          require exact match: names are always matched so
  -I, --ignore-case    case insensitive process name match
  -l, --list           list all known signal names
  -q, --quiet          don't print complaints
  -r, --regexp         interpret NAME as an extended regular expression
  -s, --signal SIGNAL, -SIGNAL  send this signal instead of SIGTERM
  -u, --user USER      kill only processes running as USER
  -v, --verbose        report if the signal was successfully sent
  -w, --wait           wait for processes to die
  -V, --version        display version information";
    let (word, args) = signal_word(args);
    let parsed = cx.parse(spec, &args, Order::Permute, help)?;
    version(cx, &parsed.opts)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    let mut number = word.unwrap_or(Signal::SIGTERM.raw());
    let mut user = None;
    for opt in &parsed.opts {
        match opt.id {
            "signal" => match signal_operand(&opt.text()) {
                Some(found) => number = found,
                None => {
                    return Err(End::Failure(
                        1,
                        format!("{}: unknown signal; killall -l lists signals.", opt.text()),
                    ));
                }
            },
            "user" => match user_operand(&opt.text()) {
                Some(uid) => user = Some(uid),
                None => return Err(End::Failure(1, format!("Cannot find user {}", opt.text()))),
            },
            _ => {}
        }
    }
    if has("list") {
        let names: Vec<&str> = Signal::ALL.iter().map(|s| &s.name()[3..]).collect();
        cx.print(format_args!("{}\n", names.join(" ")))?;
        return Ok(0);
    }
    if parsed.operands.is_empty() && user.is_none() {
        return Err(cx.usage("no process name given"));
    }
    let me = process::id();
    let all: Vec<Proc> =
        ps::all().into_iter().filter(|p| p.pid != me && user.is_none_or(|uid| uid == p.euid)).collect();
    let mut killed = Vec::new();
    let mut missing = false;
    let names: Vec<Option<String>> = if parsed.operands.is_empty() {
        vec![None]
    } else {
        parsed.operands.iter().map(|name| Some(name.to_string_lossy().into_owned())).collect()
    };
    for name in names {
        let shown = name.clone().unwrap_or_default();
        let matcher = if has("regexp") || has("ignore-case") {
            let text = if has("regexp") { shown.clone() } else { format!("^(?:{})$", escaped(&shown)) };
            let built = RegexMatcherBuilder::new().case_insensitive(has("ignore-case")).build(&text);
            Some(built.map_err(|_| End::Failure(1, format!("Bad regular expression: {shown}")))?)
        } else {
            None
        };
        let fits = |p: &&Proc| match (&name, &matcher) {
            (None, _) => true,
            (_, Some(m)) => m.is_match(p.comm.as_bytes()).unwrap_or(false),
            (Some(name), None) => called(p, name),
        };
        let mut any = false;
        for p in all.iter().filter(fits) {
            match signal::kill(p.pid.cast_signed(), Signal::from_raw(number)) {
                Ok(()) => {
                    any = true;
                    killed.push(p.pid);
                    if has("verbose") {
                        let _ = cx.flush();
                        eprintln!("Killed {}({}) with signal {number}", p.comm, p.pid);
                    }
                }
                Err(error) => {
                    let _ = cx.flush();
                    eprintln!("{}({}): {}", p.comm, p.pid, strerror(&error));
                }
            }
        }
        if !any {
            missing = true;
            if !has("quiet") {
                let _ = cx.flush();
                eprintln!("{shown}: no process found");
            }
        }
    }
    // A zombie is dead, even if its parent does not know yet.
    while has("wait") && ps::all().iter().any(|p| killed.contains(&p.pid) && p.state != 'Z') {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Ok(i32::from(missing))
}

/// Text that a regular expression takes literally.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_alphanumeric() { vec![c] } else { vec!['\\', c] }).collect()
}
