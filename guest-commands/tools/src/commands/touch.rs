//! `touch`: sets the times of files, and makes those that are missing. What a date means is `time`'s business.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::quote::{quote, quoteaf};
use crate::time;
use agentos_guest::fs::{self, UTIME_NOW, UTIME_OMIT};
use agentos_guest::{Errno, errno_of, fd, strerror};
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] =
    &["a", "c,no-create", "d,date=", "f", "h,no-dereference", "m", "r,reference=", "t=", "time="];
const HELP: &str = "{} [OPTION]... FILE...
Update the access and modification times of each FILE to the current time. A FILE that does not exist is created empty.
  -a                     change only the access time
  -c, --no-create        do not create any files
  -d, --date=STRING      parse STRING and use it instead of current time
  -f                     (ignored)
  -h, --no-dereference   affect each symbolic link instead of any referenced file
  -m                     change only the modification time
  -r, --reference=FILE   use this file's times instead of current time
  -t STAMP               use [[CC]YY]MMDDhhmm[.ss] instead of current time
      --time=WORD        change the specified time: access, atime, use (as -a); modify, mtime (as -m)";

/// Seconds and nanoseconds, which may be one of the `UTIME_*` words.
type Moment = (i64, i64);

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let (mut access, mut modify, mut create, mut follow) = (false, false, true, true);
    let (mut date, mut reference, mut stamp) = (None, None, None);
    for opt in &parsed.opts {
        match opt.id {
            "a" => access = true,
            "m" => modify = true,
            "no-create" => create = false,
            "no-dereference" => follow = false,
            "date" => date = Some(opt.text()),
            "reference" => reference = Some(opt.arg()),
            "t" => stamp = Some(stamp_of(&opt.text()).ok_or_else(|| invalid(&opt.text()))?),
            "time" => {
                let groups: &[&[&str]] = &[&["atime", "access", "use"], &["mtime", "modify"]];
                match cx.keyword("--time", opt.arg(), groups)? {
                    0 => access = true,
                    _ => modify = true,
                }
            }
            _ => {}
        }
    }
    if stamp.is_some() && (date.is_some() || reference.is_some()) {
        return Err(cx.usage("cannot specify times from more than one source"));
    }
    let mut times: (Moment, Moment) = ((0, UTIME_NOW), (0, UTIME_NOW));
    if let Some(path) = reference {
        let found = if follow { fs::stat(path) } else { fs::lstat(path) };
        let s = found.map_err(|error| {
            End::Failure(1, format!("failed to get attributes of {}: {}", quoteaf(path), strerror(&error)))
        })?;
        times = ((s.atime, i64::from(s.atime_nsec)), (s.mtime, i64::from(s.mtime_nsec)));
    }
    if let Some(text) = date {
        let resolve = |base: Moment| {
            // Relative to the times of the reference, else to now.
            let base = reference.and_then(|_| Some((base.0, u32::try_from(base.1).ok()?)));
            let (sec, nsec) = time::parse_from(&text, base).ok_or_else(|| invalid(&text))?;
            Ok((sec, i64::from(nsec)))
        };
        times = (resolve(times.0)?, resolve(times.1)?);
    }
    if let Some(moment) = stamp {
        times = (moment, moment);
    }
    if parsed.operands.is_empty() {
        return Err(cx.usage("missing file operand"));
    }
    if access && !modify {
        times.1 = (0, UTIME_OMIT);
    } else if modify && !access {
        times.0 = (0, UTIME_OMIT);
    }
    for path in &parsed.operands {
        touch(cx, path, times, create, follow);
    }
    Ok(0)
}

fn invalid(text: &str) -> End {
    End::Failure(1, format!("invalid date format {}", quote(OsStr::new(text))))
}

fn touch(cx: &mut Cx, path: &OsStr, times: (Moment, Moment), create: bool, follow: bool) {
    let output = path == "-";
    let mut unopened = None;
    if create && follow && !output {
        let flags = fd::O_WRONLY | fd::O_CREAT | fd::O_NONBLOCK | fd::O_NOCTTY;
        match fd::open(path, flags, 0o666) {
            Ok(raw) => drop(fd::Owned::from_raw(raw)),
            Err(error) => unopened = Some(error),
        }
    }
    let file = if output { OsStr::new("/dev/fd/1") } else { path };
    let Err(error) = fs::utimens(file, times.0, times.1, follow) else { return };
    let missing = matches!(errno_of(&error), Some(Errno::ENOENT | Errno::EBADF));
    match unopened {
        // A directory cannot be opened, but that is not why.
        Some(why) if errno_of(&why) != Some(Errno::EISDIR) => {
            cx.warn(format_args!("cannot touch {}: {}", quoteaf(path), strerror(&why)));
        }
        _ if missing && !create => {}
        _ => cx.warn(format_args!("setting times of {}: {}", quoteaf(path), strerror(&error))),
    }
}

/// The moment that `[[CC]YY]MMDDhhmm[.ss]` names in local time.
fn stamp_of(text: &str) -> Option<Moment> {
    let (digits, seconds) = text.split_once('.').unwrap_or((text, "00"));
    if !digits.bytes().chain(seconds.bytes()).all(|b| b.is_ascii_digit()) || seconds.len() != 2 {
        return None;
    }
    let (year, rest) = digits.split_at(digits.len().checked_sub(8)?);
    let year = match year.len() {
        0 => time::format(time::now(), 0, "%Y"),
        2 if year < "69" => format!("20{year}"),
        2 => format!("19{year}"),
        4 => year.to_owned(),
        _ => return None,
    };
    let (month, day, hour, minute) = (&rest[..2], &rest[2..4], &rest[4..6], &rest[6..]);
    let leap = seconds == "60";
    let second = if leap { "59" } else { seconds };
    let (sec, _) = time::parse(&format!("{year}-{month}-{day} {hour}:{minute}:{second}"))?;
    Some((sec + i64::from(leap), 0))
}
