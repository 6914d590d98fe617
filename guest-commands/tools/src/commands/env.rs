//! `env` and `printenv`: show the environment, or run a command in a changed one. `env` is replaced by the command.

use crate::context::{Cx, End, Outcome};
use crate::options::{self, Order};
use crate::os::{OsStrExt, os, os_owned};
use crate::quote::{quote, quoteaf};
use agentos_guest::{Errno, errno_of, process, strerror};
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] =
    &["i,ignore-environment", "0,null", "u,unset=", "C,chdir=", "S,split-string=", "v,debug"];
const HELP: &str = "{} [OPTION]... [-] [NAME=VALUE]... [COMMAND [ARG]...]
Set each NAME to VALUE in the environment and run COMMAND.
  -i, --ignore-environment  start with an empty environment
  -0, --null                end each output line with NUL, not newline
  -u, --unset=NAME          remove variable from the environment
  -C, --chdir=DIR           change working directory to DIR
  -S, --split-string=S      process and split S into separate arguments
  -v, --debug               print verbose information for each processing step";

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 125;
    let args = expand_split(args).map_err(|message| End::Failure(125, message))?;
    let parsed = cx.parse(SPEC, &args, Order::StopAtOperand, HELP)?;
    let mut vars: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let mut end = b'\n';
    let mut dir = None;
    let mut verbose = false;
    for opt in &parsed.opts {
        match opt.id {
            "ignore-environment" => vars.clear(),
            "null" => end = 0,
            "chdir" => dir = Some(opt.arg().to_owned()),
            "debug" => verbose = true,
            _ => {}
        }
    }
    let mut operands = &parsed.operands[..];
    if operands.first().is_some_and(|o| o == "-") {
        vars.clear();
        operands = &operands[1..];
    }
    for opt in parsed.opts.iter().filter(|o| o.id == "unset") {
        if opt.arg().is_empty() || opt.arg().as_bytes().contains(&b'=') {
            return Err(End::Failure(125, format!("cannot unset {}: Invalid argument", quote(opt.arg()))));
        }
        vars.retain(|(name, _)| name != opt.arg());
    }
    while let Some((name, value)) = operands.first().and_then(|o| assignment(o)) {
        match vars.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => vars.push((name, value)),
        }
        operands = &operands[1..];
    }
    if operands.is_empty() {
        if dir.is_some() {
            return Err(cx.usage("must specify command with --chdir (-C)"));
        }
        for (name, value) in &vars {
            put_variable(cx, name, value, end)?;
        }
        return Ok(0);
    }
    if end == 0 {
        return Err(cx.usage("cannot specify --null (-0) with command"));
    }
    if let Some(dir) = dir
        && let Err(error) = agentos_guest::env::set_current_dir(&dir)
    {
        let why = strerror(&error);
        return Err(End::Failure(125, format!("cannot change directory to {}: {why}", quoteaf(&dir))));
    }
    if verbose {
        eprintln!("executing: {}", operands[0].to_string_lossy());
        for (i, arg) in operands.iter().enumerate() {
            eprintln!("   arg[{i}]= {}", quoteaf(arg));
        }
    }
    let list: Vec<OsString> = vars
        .into_iter()
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        })
        .collect();
    exec(cx, "", operands, Some(&list))
}

/// Replaces the program by `argv`; says `what` and why when that fails and gives the status 126 or 127.
pub(crate) fn exec(cx: &mut Cx, what: &str, argv: &[OsString], env: Option<&[OsString]>) -> Outcome {
    cx.flush()?;
    let error = process::exec(&argv[0], argv, env, true);
    // GNU's nohup quotes it as a shell would, the others as a word of a message.
    let shown = if cx.name == "nohup" { quoteaf(&argv[0]) } else { quote(&argv[0]) };
    Err(cannot_run(what, &shown, &error))
}

/// The end when `program` cannot be run: status 127 when there is none, else 126.
pub(crate) fn cannot_run(what: &str, program: &str, error: &std::io::Error) -> End {
    let status = if errno_of(error) == Some(Errno::ENOENT) { 127 } else { 126 };
    End::Failure(status, format!("{what}{program}: {}", strerror(error)))
}

fn assignment(word: &OsStr) -> Option<(OsString, OsString)> {
    let bytes = word.as_bytes();
    let at = bytes.iter().position(|b| *b == b'=')?;
    Some((os(&bytes[..at]).to_owned(), os(&bytes[at + 1..]).to_owned()))
}

fn put_variable(cx: &mut Cx, name: &OsStr, value: &OsStr, end: u8) -> Result<(), End> {
    cx.put(name.as_bytes())?;
    cx.put(b"=")?;
    cx.put(value.as_bytes())?;
    cx.put(&[end])
}

/// Replaces a leading `-S STRING` (as a `#!` line gives it) by the words of STRING.
fn expand_split(args: &[OsString]) -> Result<Vec<OsString>, String> {
    let mut out: Vec<OsString> = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let bytes = arg.as_bytes();
        let text: Vec<u8> = if let Some(text) = bytes.strip_prefix(b"--split-string=") {
            text.to_vec()
        } else if bytes == b"--split-string" || bytes == b"-S" || bytes == b"-vS" {
            if bytes == b"-vS" {
                out.push("-v".into());
            }
            match rest.next() {
                Some(text) => text.as_bytes().to_vec(),
                None => return Err("option requires an argument -- 'S'".to_owned()),
            }
        } else if let Some(text) = bytes.strip_prefix(b"-S") {
            text.to_vec()
        } else if let Some(text) = bytes.strip_prefix(b"-vS") {
            out.push("-v".into());
            text.to_vec()
        } else {
            let takes_next = matches!(bytes, b"-u" | b"-C" | b"--unset" | b"--chdir");
            if !bytes.starts_with(b"-") || bytes == b"-" || bytes == b"--" {
                out.push(arg.clone());
                break;
            }
            out.push(arg.clone());
            if takes_next {
                out.extend(rest.next().cloned());
            }
            continue;
        };
        out.extend(split(&text)?);
    }
    out.extend(rest.cloned());
    Ok(out)
}

/// The words of `env -S`: blanks divide, both quotes hold together, backslash escapes and `${NAME}` are replaced.
fn split(text: &[u8]) -> Result<Vec<OsString>, String> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut i = 0;
    while i < text.len() {
        let b = text[i];
        i += 1;
        match (b, quote) {
            (b'\'' | b'"', None) => {
                quote = Some(b);
                word.get_or_insert_default();
            }
            (b, Some(open)) if b == open => quote = None,
            (b' ' | b'\t' | b'\n' | 11 | 12 | b'\r', None) => words.extend(word.take().map(os_owned)),
            (b'#', None) if word.is_none() => break,
            (b'\\', _) if quote != Some(b'\'') || matches!(text.get(i), Some(b'\\' | b'\'')) => {
                let Some(letter) = text.get(i) else {
                    return Err("invalid backslash at end of string in -S".to_owned());
                };
                i += 1;
                let plain = match letter {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'f' => 12,
                    b'v' => 11,
                    b'#' | b'$' | b'\\' | b'"' | b'\'' => *letter,
                    b'_' if quote.is_some() => b' ',
                    b'_' => {
                        words.extend(word.take().map(os_owned));
                        continue;
                    }
                    b'c' if quote.is_some() => {
                        return Err("'\\c' must not appear in double-quoted -S string".to_owned());
                    }
                    b'c' => break,
                    other => return Err(format!("invalid sequence '\\{}' in -S", char::from(*other))),
                };
                word.get_or_insert_default().push(plain);
            }
            (b'$', quoted) if quoted != Some(b'\'') => {
                let name = text[i..].strip_prefix(b"{").and_then(|rest| {
                    let end = rest.iter().position(|b| *b == b'}')?;
                    Some(&rest[..end])
                });
                let Some(name) = name else {
                    let rest = String::from_utf8_lossy(&text[i - 1..]);
                    return Err(format!("only ${{VARNAME}} expansion is supported, error at: {rest}"));
                };
                i += name.len() + 2;
                let value = std::env::var_os(os(name)).unwrap_or_default();
                if quoted.is_some() || !value.is_empty() {
                    word.get_or_insert_default().extend_from_slice(value.as_bytes());
                }
            }
            (b, _) => word.get_or_insert_default().push(b),
        }
    }
    if quote.is_some() {
        return Err("no terminating quote in -S string".to_owned());
    }
    words.extend(word.take().map(os_owned));
    Ok(words)
}

pub(crate) fn printenv(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let help = "{} [OPTION]... [VARIABLE]...\nPrint the values of the specified environment VARIABLE(s), or all.\n  -0, --null  end each output line with NUL, not newline";
    let parsed = cx.parse(&["0,null"], args, options::Order::Permute, help)?;
    let end = if parsed.opts.is_empty() { b'\n' } else { 0 };
    if parsed.operands.is_empty() {
        for (name, value) in std::env::vars_os() {
            put_variable(cx, &name, &value, end)?;
        }
        return Ok(0);
    }
    let mut status = 0;
    for name in &parsed.operands {
        let value =
            Some(name).filter(|n| !n.is_empty() && !n.as_bytes().contains(&b'=')).and_then(std::env::var_os);
        match value {
            Some(value) => {
                cx.put(value.as_bytes())?;
                cx.put(&[end])?;
            }
            None => status = 1,
        }
    }
    Ok(status)
}
