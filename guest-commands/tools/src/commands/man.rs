//! `man` and `whereis`: what a command says of itself, and where it lies. There are no pages; the manual of a command is its
//! `--help`.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, join};
use agentos_guest::fs::{FileType, X_OK, access, file_type, stat};
use agentos_guest::process::{Command, Stdio};
use agentos_guest::{fd, strerror};
use std::ffi::{OsStr, OsString};

const DIRECTORIES: &[&str] = &["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/local/sbin"];

fn program(name: &OsStr, dirs: &[&str]) -> Vec<OsString> {
    let runs = |file: &OsString| {
        stat(file).is_ok_and(|s| file_type(s.mode) == FileType::File) && access(file, X_OK).is_ok()
    };
    if name.as_bytes().contains(&b'/') || name.is_empty() {
        return Vec::new();
    }
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for dir in dirs {
        let file = join(OsStr::new(dir), name);
        // /bin and /usr/bin may be one directory.
        let place = stat(dir).map(|s| (s.dev, s.ino)).ok();
        if !seen.contains(&place) && runs(&file) {
            found.push(file);
        }
        seen.push(place);
    }
    found
}

/// `man`.
pub(crate) fn man(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &[
        "k,apropos",
        "f,whatis",
        "w,where",
        "path",
        "location",
        "P,pager=",
        "a,all",
        "s,sections=",
        "S",
        "V,version",
    ];
    let help = "{} [OPTION...] [SECTION] PAGE...
Show what a command says of itself; there are no other pages.
  -a, --all             find all matching manual pages
  -f, --whatis          equivalent to whatis
  -k, --apropos         equivalent to apropos
  -P, --pager=PAGER     use program PAGER to display output
  -s, --sections=LIST   use colon separated section list
  -w, --where           print physical location of man page(s): of the command
  -V, --version         print program version";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    if has("version") {
        return Err(cx.version());
    }
    let mut section = parsed.opts.iter().rev().find(|o| o.id == "sections").map(|o| o.text());
    let mut pages = &parsed.operands[..];
    if let [first, _, ..] = pages
        && first.as_bytes().first().is_some_and(u8::is_ascii_digit)
        && first.len() <= 3
    {
        section = Some(first.to_string_lossy().into_owned());
        pages = &pages[1..];
    }
    if pages.is_empty() {
        eprintln!("What manual page do you want?\nFor example, try 'man man'.");
        return Ok(1);
    }
    let mut status = 0;
    for page in pages {
        let shown = page.to_string_lossy();
        if has("apropos") || has("whatis") {
            eprintln!("{shown}: nothing appropriate.");
            status = 16;
            continue;
        }
        let fits = section.as_ref().is_none_or(|s| s.split([':', ',']).any(|s| s.starts_with(['1', '8'])));
        match program(page, DIRECTORIES).first().filter(|_| fits) {
            Some(file) if has("where") || has("path") || has("location") => {
                cx.put(file.as_bytes())?;
                cx.put(b"\n")?;
            }
            Some(file) => {
                let pager = parsed.opts.iter().rev().find(|o| o.id == "pager").map(|o| o.text());
                shown_help(cx, file, pager)?;
            }
            None => {
                cx.flush()?;
                match &section {
                    Some(section) => eprintln!("No manual entry for {shown} in section {section}"),
                    None => eprintln!("No manual entry for {shown}"),
                }
                status = 16;
            }
        }
    }
    Ok(status)
}

/// Shows the `--help` of a program, at a terminal through a pager if there is one.
fn shown_help(cx: &mut Cx, file: &OsStr, pager: Option<String>) -> Result<(), End> {
    let failed =
        |error: std::io::Error| End::Failure(1, format!("{}: {}", file.to_string_lossy(), strerror(&error)));
    cx.flush()?;
    let mut command = Command::new(file);
    command.arg("--help").stdin(Stdio::Null);
    if !fd::isatty(1) {
        command.status().map_err(failed)?;
        return Ok(());
    }
    let (_, text) = command.output().map_err(failed)?;
    let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let pager =
        pager.or_else(|| set("MANPAGER")).or_else(|| set("PAGER")).unwrap_or_else(|| "less".to_owned());
    let (read, write) = fd::pipe(true).map_err(failed)?;
    match Command::new("sh").args(["-c", &pager]).search_path(true).stdin(Stdio::Fd(read.raw())).spawn() {
        Ok(mut child) => {
            drop(read);
            // A pager that is left early takes no more.
            let _ = agentos_guest::signal::ignore(agentos_guest::Signal::SIGPIPE);
            let _ = fd::write_all(write.raw(), &text);
            drop(write);
            child.wait().map_err(failed)?;
            Ok(())
        }
        Err(_) => cx.put(&text),
    }
}

/// `whereis`.
pub(crate) fn whereis(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &["b", "m", "s", "u", "h,help", "V,version", "l"];
    let help = "{} [options] <name>...
Locate the binary, source, and manual-page files for a command; a VM has only the first.
 -b             search only for binaries
 -m             search only for manuals and infos
 -s             search only for sources
 -u             search for unusual entries
 -l             output effective lookup paths
 -h, --help     display this help
 -V, --version  display version";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    if has("help") {
        cx.print(format_args!("Usage:\n {}\n", help.replace("{}", "whereis")))?;
        return Ok(0);
    }
    if has("version") {
        return Err(cx.version());
    }
    if has("l") {
        for dir in DIRECTORIES.iter().filter(|dir| stat(dir).is_ok()) {
            cx.print(format_args!("bin: {dir}\n"))?;
        }
        return Ok(0);
    }
    if parsed.operands.is_empty() {
        return Err(cx.usage("not enough arguments"));
    }
    let binaries = has("b") || !(has("m") || has("s"));
    let kinds =
        if has("b") || has("m") || has("s") { ["b", "m", "s"].iter().filter(|k| has(k)).count() } else { 3 };
    for name in &parsed.operands {
        let base = crate::os::base_name(name);
        let found = if binaries { program(base, DIRECTORIES) } else { Vec::new() };
        // Unusual is what has not just one entry of each kind.
        if has("u") && found.len() == 1 && kinds == 1 {
            continue;
        }
        let list: Vec<_> = found.iter().map(|f| format!(" {}", f.to_string_lossy())).collect();
        cx.print(format_args!("{}:{}\n", base.to_string_lossy(), list.concat()))?;
    }
    Ok(0)
}
