//! What `cp` and `mv` do about symbolic links, existing files and holes, and the question to the user. It changes no file.

use crate::context::{Cx, End};
use crate::mode::permission_letters;
use crate::options::Opt;
use crate::quote::quoteaf;
use agentos_guest::fs;
use std::ffi::OsStr;
use std::io;

/// Which symbolic links are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    /// As -r does: not, except without -r.
    Unset,
    Never,
    Operands,
    Always,
}

/// Which existing files are replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Update {
    All,
    Older,
    None,
    /// None, and that there is one is an error.
    NoneFail,
}

impl Update {
    /// What `-u` or `--update[=UPDATE]` says.
    pub(crate) fn from_option(cx: &Cx, opt: &Opt) -> Result<Update, End> {
        let Some(word) = &opt.value else { return Ok(Update::Older) };
        Ok(match cx.keyword("--update", word, &[&["all"], &["none"], &["none-fail"], &["older"]])? {
            0 => Update::All,
            1 => Update::None,
            2 => Update::NoneFail,
            _ => Update::Older,
        })
    }
}

/// Where holes are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sparse {
    Never,
    /// Where the original takes less room than it is long.
    Auto,
    Always,
}

/// Whether the user says yes to replacing `dest`.
pub(crate) fn ask(cx: &mut Cx, verb: &str, dest: &OsStr) -> Result<bool, End> {
    let question = match fs::stat(dest) {
        Ok(s) if fs::access(dest, fs::W_OK).is_err() => {
            let verb = if verb == "overwrite" { "replace" } else { verb };
            let (dest, mode) = (quoteaf(dest), s.mode & 0o7777);
            format!("{verb} {dest}, overriding mode {mode:04o} ({})?", permission_letters(mode))
        }
        _ => format!("{verb} {}?", quoteaf(dest)),
    };
    yes(cx, &question)
}

/// Whether the user answers a question with yes.
pub(crate) fn yes(cx: &mut Cx, question: &str) -> Result<bool, End> {
    cx.flush()?;
    eprint!("{}: {question} ", cx.name);
    let mut answer = String::new();
    let _ = io::stdin().read_line(&mut answer);
    Ok(answer.starts_with(['y', 'Y']))
}
