//! git for the machine: the options before the command, and the table of commands. What commands do is in `cmd`.

#![forbid(unsafe_code)]

mod address;
mod args;
mod bundle;
mod bytes;
mod changes;
mod cmd;
mod combined;
mod config;
mod date;
mod delta;
mod diffout;
mod error;
mod glob;
mod graph;
mod ignore;
mod index;
mod lock;
mod mail;
mod message;
mod odb;
mod oid;
mod pack;
mod packread;
mod packwrite;
mod patch;
mod pathspec;
mod pretty;
mod reach;
mod refs;
mod refspec;
mod regex;
mod remotes;
mod repo;
mod revision;
mod sequence;
mod switch;
mod textdiff;
mod threeway;
mod transport;
mod tree;
mod walk;
mod worddiff;
mod worktree;

use error::{Res, Stop};
use repo::Setting;
use std::path::PathBuf;

/// The version of git whose behaviour this follows.
const VERSION: &str = "2.47.3";

const USAGE: &str = "usage: git [-v | --version] [-h | --help] [-C <path>] [-c <name>=<value>]
           [--no-pager] [--bare] [--git-dir=<path>] [--work-tree=<path>]
           <command> [<args>]
";

fn main() {
    let words: Vec<Vec<u8>> = std::env::args_os().skip(1).map(|w| bytes::of(&w).to_vec()).collect();
    let status = match start(&words) {
        Ok(status) => status,
        Err(stop) => end(&stop),
    };
    error::flush();
    std::process::exit(status);
}

/// Says why a command ended, and with which status.
pub(crate) fn end(stop: &Stop) -> i32 {
    match stop {
        Stop::Exit(status) => *status,
        Stop::Fatal(text) => {
            error::complain(&format!("fatal: {text}"));
            128
        }
        Stop::Error(status, text) => {
            error::complain(&format!("error: {text}"));
            *status
        }
        Stop::Said(0, text) => {
            error::put(format!("{text}\n").as_bytes());
            0
        }
        Stop::Said(status, text) => {
            error::complain(text);
            *status
        }
    }
}

fn start(words: &[Vec<u8>]) -> Res<i32> {
    let mut setting = Setting {
        git_dir: std::env::var_os("GIT_DIR").map(PathBuf::from),
        work_tree: std::env::var_os("GIT_WORK_TREE").map(PathBuf::from),
        ..Setting::default()
    };
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let text = bytes::text(word);
        if !text.starts_with('-') {
            break;
        }
        at += 1;
        let mut value = |name: &str| -> Res<Vec<u8>> {
            at += 1;
            match words.get(at - 1) {
                Some(value) => Ok(value.clone()),
                None => Err(Stop::Said(129, format!("no {name} given for '{text}' option\n{USAGE}"))),
            }
        };
        match text.as_str() {
            "-v" | "--version" => return cmd::run(&setting, "version", &[]),
            "-h" | "--help" => return cmd::run(&setting, "help", &[]),
            "-C" => {
                let dir = value("directory")?;
                if !dir.is_empty()
                    && let Err(error) = agentos_guest::env::set_current_dir(bytes::path(&dir))
                {
                    return Err(Stop::Fatal(format!(
                        "cannot change to '{}': {}",
                        bytes::text(&dir),
                        agentos_guest::strerror(&error)
                    )));
                }
            }
            "-c" => setting.config.push(bytes::text(&value("config")?)),
            "--git-dir" => setting.git_dir = Some(bytes::path_buf(value("directory")?)),
            "--work-tree" => setting.work_tree = Some(bytes::path_buf(value("directory")?)),
            "--bare" => setting.bare = true,
            "-p"
            | "--paginate"
            | "-P"
            | "--no-pager"
            | "--no-replace-objects"
            | "--no-optional-locks"
            | "--no-advice" => {}
            "--literal-pathspecs" => agentos_guest::env::set_var("GIT_LITERAL_PATHSPECS", "1"),
            "--exec-path" | "--html-path" | "--man-path" | "--info-path" => {
                error::put(b"/bin\n");
                return Ok(0);
            }
            _ => match text.split_once('=') {
                Some(("--git-dir", dir)) => setting.git_dir = Some(PathBuf::from(dir)),
                Some(("--work-tree", dir)) => setting.work_tree = Some(PathBuf::from(dir)),
                _ => return Err(Stop::Said(129, format!("unknown option: {text}\n{USAGE}"))),
            },
        }
    }
    let Some(command) = words.get(at) else {
        error::put(USAGE.as_bytes());
        return Ok(1);
    };
    cmd::run(&setting, &bytes::text(command), &words[at + 1..])
}
