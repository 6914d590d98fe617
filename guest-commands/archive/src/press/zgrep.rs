//! `zgrep`, `zegrep`, `zfgrep`, `bzgrep`, `xzgrep`: `grep` of files that may be compressed, in whatever way. It starts the `grep` of the PATH with what it decompressed as input.

use crate::codec::Format;
use crate::codec::input::Input;
use crate::context::{Cx, End, Outcome};
use crate::files;
use crate::quote::quotef;
use agentos_guest::process::{Command, Stdio};
use agentos_guest::{fs, strerror};
use std::ffi::{OsStr, OsString};
use std::io::Read;

/// Options of grep that take an argument in a word of its own.
const WITH_ARGUMENT: &[&str] = &["-e", "-f", "-m", "-A", "-B", "-C", "-D", "-d"];

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    if args.first().is_some_and(|a| a == "--help") {
        let name = cx.name;
        cx.print(format_args!(
            "Usage: {name} [OPTION]... [-e] PATTERN [FILE]...\nLook for instances of PATTERN in the input FILEs, using their\nuncompressed contents if they are compressed.\nOPTIONs are the same as for 'grep', but for those of directories.\n"
        ))?;
        return Ok(0);
    }
    let mut options: Vec<OsString> = match cx.name {
        "zegrep" => vec!["-E".into()],
        "zfgrep" => vec!["-F".into()],
        _ => Vec::new(),
    };
    let mut operands = Vec::new();
    let mut pattern = false;
    let mut words = args.iter();
    let mut named = None;
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        match &*text {
            "--" => operands.extend(words.by_ref().cloned()),
            "-r" | "-R" | "--recursive" | "--dereference-recursive" => {
                return Err(cx.usage(format!("{text}: option not supported")));
            }
            "-h" | "--no-filename" => named = Some(false),
            "-H" | "--with-filename" => named = Some(true),
            _ if WITH_ARGUMENT.contains(&&*text) => {
                pattern |= text == "-e" || text == "-f";
                options.push(word.clone());
                options.extend(words.next().cloned());
            }
            _ if text.starts_with('-') && text.len() > 1 => {
                pattern |= text.starts_with("-e") || text.starts_with("-f") || text.starts_with("--regexp");
                options.push(word.clone());
            }
            _ => operands.push(word.clone()),
        }
    }
    if !pattern {
        if operands.is_empty() {
            return Err(End::Failure(2, "missing pattern".to_owned()));
        }
        options.push("-e".into());
        options.push(operands.remove(0));
    }
    if operands.is_empty() {
        operands.push("-".into());
    }
    let named = named.unwrap_or(operands.len() > 1);
    cx.flush()?;
    let mut status = 1;
    for operand in &operands {
        match one(&options, operand, named) {
            Ok(0) => status = if status == 1 { 0 } else { status },
            Ok(1) => {}
            Ok(other) => status = other,
            Err(error) => {
                // The program that unpacks says it.
                let _ = cx.flush();
                let tool = if cx.name.starts_with("xz") { "xz" } else { "gzip" };
                eprintln!("{tool}: {}: {}", quotef(operand), strerror(&error));
                status = 2;
            }
        }
    }
    Ok(status)
}

fn one(options: &[OsString], name: &OsStr, named: bool) -> std::io::Result<i32> {
    let file = if name == "-" { files::stdin()? } else { files::open(name, 0)? };
    if fs::fstat(file.raw()).is_ok_and(|s| fs::file_type(s.mode) == fs::FileType::Dir) {
        return Err(agentos_guest::io_error(agentos_guest::Errno::EISDIR));
    }
    let mut input = Input::new(Box::new(file));
    let format = Format::of(input.peek(6)?);
    let mut reader: Box<dyn Read> = match format {
        Some(format) => format.decoder(input)?,
        None => Box::new(input),
    };
    let mut grep = Command::new("grep");
    grep.search_path(true).args(options);
    // -l and -L name the file in any case.
    let mut label = OsString::from("--label=");
    label.push(if name == "-" { OsStr::new("(standard input)") } else { name });
    grep.arg(label).arg(if named { "-H" } else { "-h" });
    // Of a pipe that grep closes early (-q, -m) only this program may know.
    let _ = agentos_guest::signal::ignore(agentos_guest::Signal::SIGPIPE);
    let mut child = grep.arg("-").stdin(Stdio::Piped).spawn()?;
    let copied = match child.stdin.take() {
        Some(mut to) => files::copy(&mut reader, &mut to).map(drop),
        None => Ok(()),
    };
    let status = child.wait()?.code().unwrap_or(2);
    match copied {
        Err(files::CopyError::Read(error)) => Err(error),
        _ => Ok(status),
    }
}
