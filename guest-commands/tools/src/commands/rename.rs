//! `rename`, that of util-linux: puts one text in place of another in the names of files.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, base_name, os_owned};
use agentos_guest::fs::{FileType, file_type, lstat};
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};

const HELP: &str = "{} [options] <expression> <replacement> <file>...
Rename files.
 -v, --verbose       explain what is being done
 -s, --symlink       act on the target of symlinks
 -n, --no-act        do not make any changes
 -a, --all           replace all occurrences
 -l, --last          replace only the last occurrence
 -o, --no-overwrite  don't overwrite existing files
 -i, --interactive   prompt before overwrite
 -h, --help          display this help
 -V, --version       display version";

#[derive(Default)]
struct Config {
    verbose: bool,
    links: bool,
    dry: bool,
    all: bool,
    last: bool,
    keep: bool,
    ask: bool,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &[
        "v,verbose",
        "s,symlink",
        "n,no-act",
        "a,all",
        "l,last",
        "o,no-overwrite",
        "i,interactive",
        "h,help",
        "V,version",
    ];
    let parsed = cx.parse(spec, args, Order::StopAtOperand, HELP)?;
    let mut c = Config::default();
    for opt in &parsed.opts {
        match opt.id {
            "verbose" => c.verbose = true,
            "symlink" => c.links = true,
            "no-act" => c.dry = true,
            "all" => (c.all, c.last) = (true, false),
            "last" => (c.last, c.all) = (true, false),
            "no-overwrite" => (c.keep, c.ask) = (true, false),
            "interactive" => (c.ask, c.keep) = (true, false),
            "help" => {
                cx.print(format_args!("Usage:\n {}\n", HELP.replace("{}", "rename")))?;
                return Ok(0);
            }
            _ => return Err(cx.version()),
        }
    }
    let [from, to, files @ ..] = &parsed.operands[..] else {
        return Err(cx.usage("not enough arguments"));
    };
    if files.is_empty() {
        return Err(cx.usage("not enough arguments"));
    }
    let (mut renamed, mut failed) = (false, false);
    for file in files {
        match one(cx, &c, from.as_bytes(), to.as_bytes(), file)? {
            Some(true) => renamed = true,
            Some(false) => {}
            None => failed = true,
        }
    }
    // As util-linux counts: 1 all failed, 2 some, 4 nothing was renamed.
    Ok(match (renamed, failed) {
        (true, false) => 0,
        (true, true) => 2,
        (false, true) => 1,
        (false, false) => 4,
    })
}

/// The text with `to` for `from`; none if `from` is not in it. An empty `from` stands at the beginning.
fn replaced(c: &Config, text: &[u8], from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let places: Vec<usize> = if from.is_empty() {
        vec![if c.last { text.len() } else { 0 }]
    } else {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(next) = memchr::memmem::find(&text[at..], from) {
            found.push(at + next);
            at += next + from.len();
        }
        match (c.all, c.last) {
            (true, _) => found,
            (_, true) => memchr::memmem::rfind(text, from).into_iter().collect(),
            _ => found.into_iter().take(1).collect(),
        }
    };
    if places.is_empty() {
        return None;
    }
    let (mut out, mut at) = (Vec::new(), 0);
    for place in places {
        out.extend(&text[at..place]);
        out.extend(to);
        at = place + from.len();
    }
    out.extend(&text[at..]);
    Some(out)
}

/// Whether the file was renamed; none if that failed, which has been said.
fn one(cx: &mut Cx, c: &Config, from: &[u8], to: &[u8], file: &OsStr) -> Result<Option<bool>, End> {
    let shown = file.to_string_lossy().into_owned();
    let fail = |cx: &mut Cx, what: &str, error: &io::Error| {
        cx.say(format_args!("{shown}: {what}: {}", strerror(error)));
        Ok(None)
    };
    let stat = match lstat(file) {
        Ok(stat) => stat,
        Err(error) => return fail(cx, "not accessible", &error),
    };
    if c.links {
        if file_type(stat.mode) != FileType::Symlink {
            cx.say(format_args!("{shown}: not a symbolic link"));
            return Ok(None);
        }
        return link(cx, c, from, to, file);
    }
    // Only the last part of the name, unless what is looked for has a slash itself.
    let bytes = file.as_bytes();
    let whole = from.contains(&b'/') || to.contains(&b'/');
    let dir = if whole { 0 } else { bytes.len() - base_name(file).len() };
    let Some(name) = replaced(c, &bytes[dir..], from, to) else { return Ok(Some(false)) };
    let target = os_owned([&bytes[..dir], &name].concat());
    if target == file {
        return Ok(Some(false));
    }
    let new = target.to_string_lossy().into_owned();
    if (c.keep || c.ask) && lstat(&target).is_ok() {
        if c.keep {
            if c.verbose {
                cx.print(format_args!("Skipping existing file: `{new}'\n"))?;
            }
            return Ok(Some(false));
        }
        if !agreed(cx, &new)? {
            return Ok(Some(false));
        }
    }
    if !c.dry
        && let Err(error) = std::fs::rename(file, &target)
    {
        cx.say(format_args!("{shown}: rename to {new} failed: {}", strerror(&error)));
        return Ok(None);
    }
    if c.verbose {
        cx.print(format_args!("`{shown}' -> `{new}'\n"))?;
    }
    Ok(Some(true))
}

fn link(cx: &mut Cx, c: &Config, from: &[u8], to: &[u8], file: &OsStr) -> Result<Option<bool>, End> {
    let shown = file.to_string_lossy().into_owned();
    let target = match std::fs::read_link(file) {
        Ok(target) => target.into_os_string(),
        Err(error) => {
            cx.say(format_args!("{shown}: readlink failed: {}", strerror(&error)));
            return Ok(None);
        }
    };
    let Some(new) = replaced(c, target.as_bytes(), from, to) else { return Ok(Some(false)) };
    let new = os_owned(new);
    if c.verbose {
        cx.print(format_args!("{shown}: `{}' -> `{}'\n", target.to_string_lossy(), new.to_string_lossy()))?;
    }
    if !c.dry {
        let made = std::fs::remove_file(file).and_then(|()| {
            rustix::fs::symlink(&new, file).map_err(|e| io::Error::from_raw_os_error(e.raw_os_error()))
        });
        if let Err(error) = made {
            cx.say(format_args!(
                "{shown}: symlinking to {} failed: {}",
                new.to_string_lossy(),
                strerror(&error)
            ));
            return Ok(None);
        }
    }
    Ok(Some(true))
}

/// Asks on standard output and reads a line.
fn agreed(cx: &mut Cx, name: &str) -> Result<bool, End> {
    cx.print(format_args!("rename: overwrite `{name}'? "))?;
    cx.flush()?;
    let (mut first, mut byte) = (None, [0]);
    while crate::context::Descriptor(0).read(&mut byte).is_ok_and(|n| n == 1) && byte[0] != b'\n' {
        first.get_or_insert(byte[0]);
    }
    Ok(matches!(first, Some(b'y' | b'Y')))
}
