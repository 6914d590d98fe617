//! `chmod`: changes permission bits, octal or symbolic, recursively on request. Symbolic links met in a walk are left
//! alone.

use crate::context::{Cx, End, Outcome};
use crate::mode::{Mode, permission_letters};
use crate::options::{self, Order};
use crate::os::{OsStrExt, os_owned};
use crate::quote::{quote, quoteaf};
use crate::walk;
use agentos_guest::fs::{self, FileType, file_type};
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &[
    "c,changes",
    "f,silent",
    "quiet",
    "v,verbose",
    "R,recursive",
    "reference=",
    "preserve-root",
    "no-preserve-root",
];
const HELP: &str = "{} [OPTION]... MODE[,MODE]... FILE...
Change the mode of each FILE to MODE.
  -c, --changes          like verbose but report only when a change is made
  -f, --silent, --quiet  suppress most error messages
  -v, --verbose          output a diagnostic for every file processed
      --reference=RFILE  use RFILE's mode instead of MODE values
      --preserve-root    fail to operate recursively on '/'; --no-preserve-root (the default)
  -R, --recursive        change files and directories recursively";

struct Job {
    mode: Mode,
    umask: u32,
    changes: bool,
    verbose: bool,
    silent: bool,
    recursive: bool,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let args = protect_minus_modes(args);
    let parsed = cx.parse(SPEC, &args, Order::Permute, HELP)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    let reference = parsed.opts.iter().rfind(|o| o.id == "reference");
    let mut operands = parsed.operands.iter();
    let text = match reference {
        Some(opt) => match fs::stat(opt.arg()) {
            Ok(s) => format!("{:05o}", s.mode & 0o7777),
            Err(error) => {
                let message =
                    format!("failed to get attributes of {}: {}", quoteaf(opt.arg()), strerror(&error));
                return Err(End::Failure(1, message));
            }
        },
        None => {
            let Some(mode) = operands.next() else { return Err(cx.missing_operand()) };
            let mode = mode.as_bytes().strip_prefix(b"\0").unwrap_or(mode.as_bytes());
            String::from_utf8_lossy(mode).into_owned()
        }
    };
    let Some(mode) = Mode::parse(&text) else {
        return Err(cx.usage(format!("invalid mode: {}", quote(OsStr::new(&text)))));
    };
    let files: Vec<&OsString> = operands.collect();
    if files.is_empty() {
        return Err(cx.usage(format!("missing operand after {}", quote(OsStr::new(&text)))));
    }
    let umask = fs::umask(0o77);
    fs::umask(umask);
    let job = Job {
        mode,
        umask,
        changes: has("changes"),
        verbose: has("verbose"),
        silent: has("silent") || has("quiet"),
        recursive: has("recursive"),
    };
    let guarded = walk::guards_root(&parsed.opts);
    for file in files {
        if guarded && walk::refuse_root(cx, file) {
            continue;
        }
        visit(cx, &job, file, true, 0)?;
    }
    Ok(0)
}

/// `-w`, `-rwx` and the like are modes, not options: hide their dash from the option parser behind a NUL.
fn protect_minus_modes(args: &[OsString]) -> Vec<OsString> {
    let mut out = Vec::with_capacity(args.len());
    let mut literal = false;
    for arg in args {
        let bytes = arg.as_bytes();
        literal |= bytes == b"--";
        let is_mode = !literal
            && bytes.len() > 1
            && bytes[0] == b'-'
            && bytes[1..].iter().all(|b| b"rwxXstugo,+-=".contains(b))
            && bytes[1] != b'-';
        out.push(if is_mode { os_owned([b"\0", bytes].concat()) } else { arg.clone() });
    }
    out
}

fn visit(cx: &mut Cx, job: &Job, path: &OsStr, named: bool, depth: usize) -> Result<(), End> {
    let attributes = if named { fs::stat(path) } else { fs::lstat(path) };
    let old = match attributes {
        Ok(attributes) => attributes.mode,
        Err(error) => {
            cx.status = 1;
            if !job.silent {
                let dangling = fs::lstat(path).is_ok();
                if dangling {
                    cx.say(format_args!("cannot operate on dangling symlink {}", quoteaf(path)));
                } else {
                    cx.say(format_args!("cannot access {}: {}", quoteaf(path), strerror(&error)));
                }
            }
            return Ok(());
        }
    };
    if file_type(old) == FileType::Symlink {
        return Ok(());
    }
    let is_dir = file_type(old) == FileType::Dir;
    let new = job.mode.apply(old, is_dir, job.umask);
    if let Err(error) = fs::chmod(path, new) {
        cx.status = 1;
        if !job.silent {
            cx.say(format_args!("changing permissions of {}: {}", quoteaf(path), strerror(&error)));
        }
    } else {
        report(cx, job, path, old & 0o7777, new)?;
    }
    if job.recursive && is_dir {
        let children = if depth < walk::MAX_DEPTH { walk::children(path) } else { Err(walk::too_deep()) };
        match children {
            Ok(children) => {
                for child in children {
                    visit(cx, job, &child, false, depth + 1)?;
                }
            }
            Err(error) => {
                cx.status = 1;
                if !job.silent {
                    cx.say(format_args!("cannot read directory {}: {}", quoteaf(path), strerror(&error)));
                }
            }
        }
    }
    Ok(())
}

fn report(cx: &mut Cx, job: &Job, path: &OsStr, old: u32, new: u32) -> Result<(), End> {
    let name = quoteaf(path);
    if old != new && (job.changes || job.verbose) {
        let (was, is) = (permission_letters(old), permission_letters(new));
        cx.print(format_args!("mode of {name} changed from {old:04o} ({was}) to {new:04o} ({is})\n"))
    } else if job.verbose {
        cx.print(format_args!("mode of {name} retained as {new:04o} ({})\n", permission_letters(new)))
    } else {
        Ok(())
    }
}

/// `mkfifo`: named pipes.
pub(crate) fn mkfifo(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]... NAME...\nCreate named pipes (FIFOs) with the given NAMEs.\n  -m, --mode=MODE  set file permission bits to MODE, not a=rw - umask";
    let parsed = cx.parse(&["m,mode="], args, Order::Permute, help)?;
    let mode = mode_option(cx, &parsed.opts)?;
    if parsed.operands.is_empty() {
        return Err(cx.missing_operand());
    }
    for path in &parsed.operands {
        let made = fs::mkfifo(path, 0o666).and_then(|()| match &mode {
            Some(mode) => fs::chmod(path, mode.apply(0o666, false, 0)),
            None => Ok(()),
        });
        if let Err(error) = made {
            cx.warn(format_args!("cannot create fifo {}: {}", quoteaf(path), strerror(&error)));
        }
    }
    Ok(0)
}

/// The last `--mode` among the options.
pub(crate) fn mode_option(cx: &Cx, opts: &[options::Opt]) -> Result<Option<Mode>, End> {
    let Some(opt) = opts.iter().rfind(|o| o.id == "mode") else { return Ok(None) };
    match Mode::parse(&opt.text()) {
        Some(mode) => Ok(Some(mode)),
        None if cx.name == "mkfifo" => Err(End::Failure(1, "invalid mode".to_owned())),
        None => Err(End::Failure(1, format!("invalid mode {}", quote(opt.arg())))),
    }
}
