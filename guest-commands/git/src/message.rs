//! Messages of commits and tags: cleaning, editing, hooks.

use crate::bytes;
use crate::error::{Res, Stop, flush, say};
use crate::repo::Repo;
use agentos_guest::process::Command;
use std::path::Path;

/// How a message is cleaned (`--cleanup`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cleanup {
    Verbatim,
    Whitespace,
    Strip,
    Scissors,
}

/// Without white space at ends of lines, empty lines at both ends, more than one empty line, and comments if wanted.
pub(crate) fn clean(text: &[u8], how: Cleanup) -> Vec<u8> {
    if how == Cleanup::Verbatim {
        return text.to_vec();
    }
    let mut text = text;
    if how == Cleanup::Scissors
        && let Some(at) = bytes::find(text, b"# ------------------------ >8 ------------------------")
    {
        text = &text[..at];
    }
    let mut out: Vec<u8> = Vec::new();
    let mut gap = false;
    for line in text.split(|b| *b == b'\n') {
        if how == Cleanup::Strip && line.first() == Some(&b'#') {
            continue;
        }
        let line = line.trim_ascii_end();
        if line.is_empty() {
            gap = true;
            continue;
        }
        if gap && !out.is_empty() {
            out.push(b'\n');
        }
        gap = false;
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out
}

/// Lets the user edit a file.
pub(crate) fn edit(repo: &Repo, file: &Path) -> Res<()> {
    let Some(editor) = editor(repo) else {
        say!("error: Terminal is dumb, but EDITOR unset");
        return Err(Stop::Said(1, "Please supply the message using either -m or -F option.".to_owned()));
    };
    if !run_editor(&editor, file) {
        say!("error: there was a problem with the editor '{editor}'");
        return Err(Stop::Said(1, "Please supply the message using either -m or -F option.".to_owned()));
    }
    Ok(())
}

/// The user's editor.
pub(crate) fn editor(repo: &Repo) -> Option<String> {
    std::env::var("GIT_EDITOR")
        .ok()
        .or_else(|| repo.config.get("core.editor"))
        .or_else(|| std::env::var("VISUAL").ok())
        .or_else(|| std::env::var("EDITOR").ok())
}

/// Runs an editor; whether it went well.
pub(crate) fn run_editor(editor: &str, file: &Path) -> bool {
    if editor == ":" {
        return true;
    }
    flush();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg(editor).arg(file).search_path(true);
    command.status().is_ok_and(|s| s.success())
}

/// Runs a hook if there is one; its exit status.
pub(crate) fn hook(repo: &Repo, name: &str, arguments: &[&Path]) -> Res<i32> {
    run_hook(repo, name, &mut |command| {
        command.fd(1, 2).args(arguments);
    })
}

/// [`hook`] with words, that reads a file as its standard input, and whose output is that of the command.
pub(crate) fn hook_with(repo: &Repo, name: &str, words: &[&str], input: Option<&Path>) -> Res<i32> {
    let file = match input {
        Some(input) => Some(std::fs::File::open(input)?),
        None => None,
    };
    run_hook(repo, name, &mut |command| {
        command.args(words);
        if let Some(file) = &file {
            command.fd(0, std::os::fd::AsRawFd::as_raw_fd(file) as u32);
        }
    })
}

fn hook_file(repo: &Repo, name: &str) -> Option<std::path::PathBuf> {
    let dir = match repo.config.get("core.hookspath") {
        Some(dir) => std::path::PathBuf::from(crate::config::expand_home(&dir)),
        None => repo.common_dir.join("hooks"),
    };
    let file = dir.join(name);
    agentos_guest::fs::access(&file, agentos_guest::fs::X_OK).is_ok().then_some(file)
}

/// Whether there is such a hook.
pub(crate) fn has_hook(repo: &Repo, name: &str) -> bool {
    hook_file(repo, name).is_some()
}

fn run_hook(repo: &Repo, name: &str, prepare: &mut dyn FnMut(&mut Command)) -> Res<i32> {
    let Some(file) = hook_file(repo, name) else { return Ok(0) };
    flush();
    let mut command = Command::new(&file);
    command.env("GIT_DIR", &repo.shown_git_dir).env("GIT_INDEX_FILE", repo.index_file());
    prepare(&mut command);
    match command.status() {
        Ok(status) => Ok(status.shell_status()),
        Err(error) => {
            say!("error: cannot run {}: {}", file.display(), agentos_guest::strerror(&error));
            Ok(1)
        }
    }
}

/// Whether the last paragraph, if it is not the first, is made of trailers.
fn has_footer(message: &[u8]) -> bool {
    let text = bytes::text(message);
    let text = text.trim_end();
    let Some((_, last)) = text.rsplit_once("\n\n") else { return false };
    let is_trailer = |l: &str| {
        l.starts_with("(cherry picked from commit ")
            || l.split_once(':').is_some_and(|(k, _)| {
                !k.is_empty() && k.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            })
    };
    last.lines().enumerate().all(|(at, l)| is_trailer(l) || at > 0 && l.starts_with([' ', '\t']))
}

/// Adds a line to the trailers, or as the first of them.
pub(crate) fn add_footer(message: &mut Vec<u8>, line: &[u8]) {
    if !message.is_empty() && message.last() != Some(&b'\n') {
        message.push(b'\n');
    }
    if !has_footer(message) {
        message.push(b'\n');
    }
    message.extend_from_slice(line);
    message.push(b'\n');
}

/// Adds a trailer line such as `Signed-off-by:` unless it is there.
pub(crate) fn add_trailer(message: &mut Vec<u8>, trailer: &[u8]) {
    if !bytes::lines(message).any(|l| l.trim_ascii_end() == trailer) {
        add_footer(message, trailer);
    }
}
