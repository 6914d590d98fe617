//! `ts` and `sponge`: the time before each line of input, and input that is written only once it has ended.

use crate::context::{Cx, Descriptor, End, Outcome, open_input};
use crate::os::OsStrExt;
use crate::time;
use agentos_guest::strerror;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// `ts`.
pub(crate) fn ts(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let usage = "usage: ts [-r] [-i | -s] [-m] [format]";
    let (mut since_last, mut since_start, mut format) = (false, false, None);
    let mut files = Vec::new();
    for word in args {
        let text = word.to_string_lossy().into_owned();
        match text.as_str() {
            "--help" => {
                cx.print(format_args!(
                    "{usage}\nPut the time before each line of input.\n  -i  time since the last line\n  -s  time since the start\n  -m  use a clock that is never set (as -i and -s always do)\nThe format is that of strftime(3), with %.S, %.s and %.T for parts of a second.\n"
                ))?;
                return Ok(0);
            }
            "--version" => return Err(cx.version()),
            _ if text.starts_with('-') && text.len() > 1 && format.is_none() => {
                for letter in text[1..].chars() {
                    match letter {
                        'i' => since_last = true,
                        's' => since_start = true,
                        'm' => {}
                        'r' => return Err(End::Failure(1, "option '-r' is not supported".to_owned())),
                        other => {
                            eprintln!("Unknown option: {other}\n{usage}");
                            return Ok(255);
                        }
                    }
                }
            }
            _ if format.is_none() => format = Some(text),
            _ => files.push(word.clone()),
        }
    }
    let relative = since_last || since_start;
    let format = format.unwrap_or_else(|| if relative { "%H:%M:%S" } else { "%b %d %H:%M:%S" }.to_owned());
    if files.is_empty() {
        files.push("-".into());
    }
    let mut inputs: Vec<Box<dyn Read>> = Vec::new();
    for file in &files {
        match open_input(file) {
            Ok(input) => inputs.push(input),
            Err(error) => eprintln!("Can't open {}: {}", file.to_string_lossy(), strerror(&error)),
        }
    }
    let all =
        inputs.into_iter().fold(Box::new(std::io::empty()) as Box<dyn Read>, |a, b| Box::new(a.chain(b)));
    let mut input = BufReader::new(all);
    let mut from = Instant::now();
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.read_until(b'\n', &mut line) {
            Ok(0) => return Ok(0),
            Ok(_) => {}
            Err(error) => return Err(End::Failure(1, strerror(&error))),
        }
        let stamp = if relative {
            let now = Instant::now();
            let passed = now - from;
            if since_last {
                from = now;
            }
            stamp(passed, &format, &|format| elapsed(passed, format))
        } else {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            stamp(now, &format, &|format| {
                time::format(now.as_secs().cast_signed(), now.subsec_nanos(), format)
            })
        };
        cx.put(stamp.as_bytes())?;
        cx.put(b" ")?;
        cx.put(&line)?;
        // A line is shown when it comes.
        cx.flush()?;
    }
}

/// Fills in `%.S`, `%.s` and `%.T`, the rest by `rest`.
fn stamp(time: Duration, format: &str, rest: &dyn Fn(&str) -> String) -> String {
    let fraction = format!(".{:06}", time.subsec_micros());
    let mut whole = format.to_owned();
    for (mark, plain) in [("%.S", "%S"), ("%.s", "%s"), ("%.T", "%T")] {
        whole = whole.replace(mark, &format!("{plain}{fraction}"));
    }
    rest(&whole)
}

/// A time that passed, as a time of the first day.
fn elapsed(passed: Duration, format: &str) -> String {
    let all = passed.as_secs();
    let (h, m, s) = (all / 3600, all / 60 % 60, all % 60);
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('H') => out += &format!("{:02}", h % 24),
            Some('M') => out += &format!("{m:02}"),
            Some('S') => out += &format!("{s:02}"),
            Some('T') => out += &format!("{:02}:{m:02}:{s:02}", h % 24),
            Some('s') => out += &all.to_string(),
            Some(other) => out += &time::format(all.cast_signed(), 0, &format!("%{other}")),
            None => out.push('%'),
        }
    }
    out
}

/// `sponge`.
pub(crate) fn sponge(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let mut append = false;
    let mut file = None;
    for word in args {
        match word.as_bytes() {
            b"-h" | b"--help" => {
                cx.put(b"sponge [-a] <file>: soak up all input from stdin and write it to <file>\n")?;
                return Ok(0);
            }
            b"--version" => return Err(cx.version()),
            b"-a" => append = true,
            [b'-', letter, ..] if *letter != b'-' => {
                eprintln!("sponge: invalid option -- '{}'", char::from(*letter));
            }
            _ => file = Some(word),
        }
    }
    let mut text = Vec::new();
    Descriptor(0)
        .read_to_end(&mut text)
        .map_err(|error| End::Failure(1, format!("failed to read from stdin: {}", strerror(&error))))?;
    let Some(file) = file else {
        cx.put(&text)?;
        return Ok(0);
    };
    let opened = if append {
        std::fs::OpenOptions::new().create(true).append(true).open(file)
    } else {
        std::fs::File::create(file)
    };
    match opened.and_then(|mut out| out.write_all(&text)) {
        Ok(()) => Ok(0),
        Err(error) => {
            eprintln!("error opening output file: {}", strerror(&error));
            Ok(1)
        }
    }
}
