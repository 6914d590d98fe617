//! `watch`: a command again and again, its output on the whole screen. Colours of the output are left out unless asked for.

use crate::terminal::{Event, Terminal};
use crate::text;
use agentos_guest::process::{Command, Stdio};
use agentos_guest::system;
use std::ffi::OsString;
use std::io::Read;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const HELP: &str = "
Usage:
 watch [options] command

Options:
  -b, --beep             beep if command has a non-zero exit
  -c, --color            interpret ANSI color and style sequences
  -d, --differences[=<permanent>]
                         highlight changes between updates
  -e, --errexit          exit if command has a non-zero exit
  -g, --chgexit          exit when output from command changes
  -q, --equexit <cycles>
                         exit when output from command does not change
  -n, --interval <secs>  seconds to wait between updates
  -p, --precise          attempt run command in precise intervals
  -t, --no-title         turn off header
  -w, --no-wrap          turn off line wrapping
  -x, --exec             pass command to exec instead of \"sh -c\"

 -h, --help     display this help and exit
 -v, --version  output version information and exit

";

/// Long options, and the letters that they stand for.
const LONG: [(&str, char); 13] = [
    ("beep", 'b'),
    ("color", 'c'),
    ("differences", 'd'),
    ("errexit", 'e'),
    ("chgexit", 'g'),
    ("equexit", 'q'),
    ("interval", 'n'),
    ("precise", 'p'),
    ("no-title", 't'),
    ("no-wrap", 'w'),
    ("exec", 'x'),
    ("help", 'h'),
    ("version", 'v'),
];

/// How much of the output of a command is kept.
const MOST: u64 = 4 << 20;

struct Options {
    beep: bool,
    colour: bool,
    differences: bool,
    /// What changed once stays marked.
    permanent: bool,
    error_exit: bool,
    change_exit: bool,
    /// After how many rounds without a change it ends.
    equal_exit: Option<u64>,
    precise: bool,
    title: bool,
    wrap: bool,
    exec: bool,
    interval: Duration,
}

fn bad(message: &str) -> i32 {
    crate::say("watch", message);
    eprint!("{HELP}");
    1
}

pub(crate) fn main(args: &[OsString]) -> i32 {
    let mut o = Options {
        beep: false,
        colour: false,
        differences: false,
        permanent: false,
        error_exit: false,
        change_exit: false,
        equal_exit: None,
        precise: false,
        title: true,
        wrap: true,
        exec: false,
        interval: Duration::from_secs(2),
    };
    let mut at = 0;
    while let Some(arg) = args.get(at).map(|a| a.to_string_lossy().into_owned()) {
        if arg == "--" {
            at += 1;
            break;
        }
        if !arg.starts_with('-') || arg == "-" {
            break;
        }
        at += 1;
        let (letters, attached) = match arg.strip_prefix("--") {
            Some(long) => {
                let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
                let mut fitting = LONG.iter().filter(|(l, _)| l.starts_with(name));
                let found = LONG.iter().find(|(l, _)| *l == name).or_else(|| fitting.next());
                let Some((_, letter)) = found else { return bad(&format!("unrecognized option '{arg}'")) };
                (letter.to_string(), value)
            }
            None => (arg[1..].to_owned(), None),
        };
        for (i, letter) in letters.char_indices() {
            let rest = Some(&letters[i + letter.len_utf8()..]).filter(|r| !r.is_empty()).or(attached);
            match letter {
                'b' => o.beep = true,
                'c' => o.colour = true,
                'd' => {
                    o.differences = true;
                    o.permanent |= attached.is_some() || rest.is_some_and(|r| r.starts_with('='));
                    if rest.is_some_and(|r| r.starts_with('=')) {
                        break;
                    }
                }
                'e' => o.error_exit = true,
                'g' => o.change_exit = true,
                'p' => o.precise = true,
                't' => o.title = false,
                'w' => o.wrap = false,
                'x' => o.exec = true,
                'h' => {
                    print!("{HELP}");
                    return 0;
                }
                'v' => {
                    println!("watch (agentos-screen) {}", env!("CARGO_PKG_VERSION"));
                    return 0;
                }
                'n' | 'q' => {
                    let value = match rest {
                        Some(value) => value.to_owned(),
                        None => {
                            at += 1;
                            match args.get(at - 1) {
                                Some(v) => v.to_string_lossy().into_owned(),
                                None => return bad(&format!("option requires an argument -- '{letter}'")),
                            }
                        }
                    };
                    let wrong = || {
                        crate::say(
                            "watch",
                            format_args!("failed to parse argument: '{value}': Invalid argument"),
                        );
                        1
                    };
                    if letter == 'q' {
                        match value.parse() {
                            Ok(n) if n > 0 => o.equal_exit = Some(n),
                            _ => return wrong(),
                        }
                    } else {
                        match value.replace(',', ".").parse::<f64>() {
                            Ok(n) if n.is_finite() => {
                                o.interval = Duration::from_secs_f64(n.clamp(0.1, 2_678_400.0))
                            }
                            _ => return wrong(),
                        }
                    }
                    break;
                }
                other => return bad(&format!("invalid option -- '{other}'")),
            }
        }
    }
    let command = &args[at.min(args.len())..];
    if command.is_empty() {
        eprint!("{HELP}");
        return 1;
    }
    if std::env::var_os("TERM").is_none_or(|t| t.is_empty()) {
        eprintln!("Error opening terminal: unknown.");
        return 1;
    }
    if !agentos_guest::fd::isatty(1) {
        return run(&o, command, &mut None);
    }
    match Terminal::open(true) {
        Ok(t) => {
            let mut t = Some(t);
            let status = run(&o, command, &mut t);
            if let Some(mut t) = t {
                t.leave();
            }
            status
        }
        Err(_) => {
            crate::say("watch", "no terminal");
            1
        }
    }
}

/// Runs the command once: its output and status.
fn output(o: &Options, command: &[OsString]) -> (Vec<u8>, i32) {
    let mut c = if o.exec {
        let mut c = Command::new(&command[0]);
        c.args(&command[1..]);
        c
    } else {
        let words: Vec<String> = command.iter().map(|w| w.to_string_lossy().into_owned()).collect();
        let mut c = Command::new("sh");
        c.arg("-c").arg(words.join(" "));
        c
    };
    let Ok((mut reader, writer)) = agentos_guest::fd::pipe(true) else { return (Vec::new(), 1) };
    c.search_path(true).stdin(Stdio::Null).fd(1, writer.raw()).fd(2, writer.raw());
    let mut child = match c.spawn() {
        Ok(child) => child,
        Err(error) => {
            let text = format!(
                "watch: unable to execute '{}': {}\n",
                command[0].to_string_lossy(),
                agentos_guest::strerror(&error)
            );
            return (text.into_bytes(), 127);
        }
    };
    drop(writer);
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) if (bytes.len() as u64) < MOST => bytes.extend_from_slice(&buffer[..n]),
            // The rest is read so that the command ends, and not kept.
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {
                if agentos_guest::signal::pending()
                    .is_ok_and(|p| p & agentos_guest::Signal::SIGINT.bit() != 0)
                {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    drop(reader);
    let status = loop {
        match child.wait() {
            Ok(status) => break status.code().unwrap_or(128),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break 1,
        }
    };
    (bytes, status)
}

/// The output in rows of the screen, each character with the colour before it.
fn rows(bytes: &[u8], height: usize, cols: usize, o: &Options) -> Vec<Vec<(String, char)>> {
    let text = text::decode(bytes);
    let mut out: Vec<Vec<(String, char)>> = vec![Vec::new()];
    let mut chars = text.chars().peekable();
    let mut sgr = String::new();
    while let Some(c) = chars.next() {
        if c == '\x1b' && chars.peek() == Some(&'[') {
            let mut sequence = String::from("\x1b");
            for c in chars.by_ref() {
                sequence.push(c);
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
            if o.colour && sequence.ends_with('m') && sequence.len() < 64 && sequence.is_ascii() {
                sgr =
                    if matches!(&*sequence, "\x1b[0m" | "\x1b[m") { String::new() } else { sgr + &sequence };
                sgr.truncate(256);
            }
            continue;
        }
        if c == '\n' {
            if out.len() == height {
                break;
            }
            out.push(Vec::new());
            continue;
        }
        let Some(row) = out.last_mut() else { break };
        let used: usize = row.iter().map(|(_, c)| text::width(*c, 0, 1)).sum();
        let spread: Vec<char> = match c {
            '\t' => vec![' '; 8 - used % 8],
            c if c.is_control() => continue,
            c => vec![c],
        };
        for c in spread {
            let used: usize = out.last().map_or(0, |r| r.iter().map(|(_, c)| text::width(*c, 0, 1)).sum());
            if used + text::width(c, 0, 1) > cols {
                if !o.wrap {
                    continue;
                }
                if out.len() == height {
                    return out;
                }
                out.push(Vec::new());
            }
            if let Some(row) = out.last_mut() {
                row.push((sgr.clone(), c));
            }
        }
    }
    out
}

fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let days = seconds / 86_400;
    let (mut year, mut left) = (1970, days);
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month];
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{weekday} {name} {:>2} {h:02}:{m:02}:{s:02} {year}", left + 1)
}

/// A mark for every place that changed.
type Marks = Vec<Vec<bool>>;

fn run(o: &Options, command: &[OsString], terminal: &mut Option<Terminal>) -> i32 {
    let words: Vec<String> = command.iter().map(|w| w.to_string_lossy().into_owned()).collect();
    let words = words.join(" ");
    let mut before: Option<Vec<Vec<(String, char)>>> = None;
    let mut marks: Marks = Vec::new();
    let mut last: Option<Vec<u8>> = None;
    let mut equal = 0;
    loop {
        let begin = Instant::now();
        let (bytes, status) = output(o, command);
        let (height, cols) = terminal.as_ref().map_or((24, 80), |t| (t.rows, t.cols));
        let head = if o.title { 2 } else { 0 };
        let found = rows(&bytes, height.saturating_sub(head).max(1), cols, o);
        mark(&mut marks, before.as_deref(), &found, o);
        let mut lines: Vec<String> = Vec::new();
        if o.title {
            lines.extend([title(o, &words, cols), String::new()]);
        }
        lines.extend(found.iter().enumerate().map(|(i, row)| line(row, marks.get(i))));
        let failed = status != 0 && o.error_exit;
        if let Some(t) = terminal {
            lines.resize(t.rows, String::new());
            if failed && let Some(line) = lines.last_mut() {
                *line = text::cut("command exit with a non-zero status, press a key to exit", cols);
            }
            if t.draw(&lines, (t.rows - 1, t.cols - 1)).is_err() {
                return 1;
            }
            if status != 0 && o.beep {
                t.bell();
            }
            if failed {
                wait_key(t);
            }
        } else {
            lines.push(String::new());
            if agentos_guest::fd::write_all(1, lines.join("\n").as_bytes()).is_err() {
                return 1;
            }
        }
        if failed {
            return 8;
        }
        let same = last.as_ref() == Some(&bytes);
        if o.change_exit && last.is_some() && !same {
            return 0;
        }
        equal = if same { equal + 1 } else { 0 };
        if o.equal_exit.is_some_and(|n| equal >= n) {
            return 0;
        }
        last = Some(bytes);
        before = Some(found);
        let end = if o.precise { begin } else { Instant::now() } + o.interval;
        let Some(t) = terminal else {
            std::thread::sleep(end.saturating_duration_since(Instant::now()));
            continue;
        };
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match t.event(i32::try_from(left.as_millis()).unwrap_or(i32::MAX)) {
                Event::Timeout | Event::Resize => break,
                Event::Interrupt => return 0,
                Event::Hangup => return 1,
                Event::Key(_) => {}
            }
        }
    }
}

fn title(o: &Options, words: &str, cols: usize) -> String {
    let host = system::uname().map(|u| String::from_utf8_lossy(u.nodename.as_bytes()).into_owned());
    let right = format!("{}: {}", host.unwrap_or_default(), now());
    if cols <= right.len() {
        return text::cut(&right, cols);
    }
    let left = format!("Every {:.1}s: {words}", o.interval.as_secs_f64());
    let left = text::cut(&left, cols - right.len() - 1);
    let used: usize = left.chars().map(|c| text::width(c, 0, 1)).sum();
    format!("{left}{}{right}", " ".repeat((cols - right.len()).saturating_sub(used)))
}

/// Marks what is not as it was.
fn mark(
    marks: &mut Marks,
    before: Option<&[Vec<(String, char)>]>,
    found: &[Vec<(String, char)>],
    o: &Options,
) {
    if !o.permanent {
        marks.clear();
    }
    let Some(before) = before.filter(|_| o.differences) else { return };
    marks.resize_with(found.len().max(marks.len()), Vec::new);
    for (i, row) in found.iter().enumerate() {
        let length = row.len().max(marks[i].len());
        marks[i].resize(length, false);
        for (k, (_, c)) in row.iter().enumerate() {
            let old = before.get(i).and_then(|r| r.get(k)).map_or(' ', |(_, c)| *c);
            marks[i][k] |= old != *c;
        }
    }
}

fn line(row: &[(String, char)], marks: Option<&Vec<bool>>) -> String {
    let mut line = String::new();
    let mut sgr = "";
    for (k, (colour, c)) in row.iter().enumerate() {
        let changed = marks.and_then(|m| m.get(k)).is_some_and(|m| *m);
        if colour != sgr {
            line.push_str("\x1b[0m");
            line.push_str(colour);
            sgr = colour;
        }
        if changed {
            line.push_str("\x1b[7m");
        }
        text::push(&mut line, *c, 0, 1);
        if changed {
            line.push_str("\x1b[27m");
        }
    }
    line
}

/// Waits for a key, so that the failing output can be read.
fn wait_key(t: &mut Terminal) {
    while matches!(t.event(-1), Event::Resize | Event::Timeout) {}
}
