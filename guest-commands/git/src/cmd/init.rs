//! `git init`.

use crate::args::{Args, Word};
use crate::bytes;
use crate::config::{self, Config, Edit};
use crate::error::{Res, fatal, out, say};
use crate::repo::{Setting, clean};
use std::fs;
use std::path::{Path, PathBuf};

/// Makes a repository in `git_dir`; true if there was one.
pub(crate) fn create(git_dir: &Path, bare: bool, branch: &str) -> Res<bool> {
    let again = git_dir.join("HEAD").exists();
    for dir in ["branches", "hooks", "info", "objects/info", "objects/pack", "refs/heads", "refs/tags"] {
        fs::create_dir_all(git_dir.join(dir)).map_err(|e| {
            crate::error::Stop::Fatal(format!(
                "cannot mkdir {}: {}",
                git_dir.display(),
                agentos_guest::strerror(&e)
            ))
        })?;
    }
    if again {
        return Ok(true);
    }
    fs::write(git_dir.join("HEAD"), format!("ref: refs/heads/{branch}\n"))?;
    fs::write(
        git_dir.join("description"),
        "Unnamed repository; edit this file 'description' to name the repository.\n",
    )?;
    fs::write(
        git_dir.join("info/exclude"),
        "# Patterns of files that are ignored in this repository only, one a line.\n",
    )?;
    let file = git_dir.join("config");
    let set = |key: &str, value: &str| config::edit(&file, key, &Edit::Set(value.as_bytes()), &|_| true);
    set("core.repositoryformatversion", "0")?;
    set("core.filemode", "true")?;
    set("core.bare", if bare { "true" } else { "false" })?;
    if !bare {
        set("core.logallrefupdates", "true")?;
    }
    Ok(false)
}

/// The branch that new repositories begin with.
pub(crate) fn default_branch(config: &Config) -> String {
    config.get("init.defaultbranch").unwrap_or_else(|| "master".to_owned())
}

pub(crate) fn init(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "b", "init", "[-q | --quiet] [--bare] [-b <branch-name>] [<directory>]");
    let (mut quiet, mut bare, mut branch, mut dir) = (false, setting.bare, None, None);
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-q" | "--quiet" => quiet = true,
                "--bare" => bare = true,
                "-b" | "--initial-branch" | "--initial-branch=" => branch = Some(args.value(&o)?),
                "--object-format=" => {
                    let format = args.value(&o)?;
                    if format != "sha1" {
                        fatal!("unknown hash algorithm '{format}'");
                    }
                }
                "--shared" | "--template" | "--template=" | "--separate-git-dir" | "--separate-git-dir=" => {
                    fatal!("option {} is not supported", o.trim_end_matches('='))
                }
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) if dir.is_none() => dir = Some(word),
            Word::Plain(_) => return Err(crate::error::Stop::Said(129, args.usage_text())),
        }
    }
    if let Some(dir) = &dir {
        let path = bytes::path(dir);
        fs::create_dir_all(path).map_err(|e| {
            crate::error::Stop::Fatal(format!(
                "cannot mkdir {}: {}",
                path.display(),
                agentos_guest::strerror(&e)
            ))
        })?;
    }
    let base = clean(bytes::path(dir.as_deref().unwrap_or(b".")));
    let git_dir: PathBuf = match (&setting.git_dir, bare) {
        (Some(dir), _) => clean(dir),
        (None, true) => base,
        (None, false) => base.join(".git"),
    };
    let config = Config::load(None, &setting.config)?;
    let name = branch.clone().unwrap_or_else(|| default_branch(&config));
    if !crate::refs::valid_branch(&name) {
        fatal!("invalid initial branch name: '{name}'");
    }
    if branch.is_none()
        && config.get("init.defaultbranch").is_none()
        && !git_dir.join("HEAD").exists()
        && !quiet
    {
        hint_default();
    }
    let again = create(&git_dir, bare, &name)?;
    if again && branch.is_some() {
        say!("warning: re-init: ignored --initial-branch={name}");
    }
    if !quiet {
        let what = if again { "Reinitialized existing" } else { "Initialized empty" };
        out!("{what} Git repository in {}/\n", git_dir.display());
    }
    Ok(0)
}

/// What git says about the name of the first branch.
fn hint_default() {
    for line in [
        "Using 'master' as the name for the initial branch. This default branch name",
        "is subject to change. To configure the initial branch name to use in all",
        "of your new repositories, which will suppress this warning, call:",
        "",
        "\tgit config --global init.defaultBranch <name>",
        "",
        "Names commonly chosen instead of 'master' are 'main', 'trunk' and",
        "'development'. The just-created branch can be renamed via this command:",
        "",
        "\tgit branch -m <name>",
    ] {
        if line.is_empty() || line.starts_with('\t') { say!("hint:{line}") } else { say!("hint: {line}") }
    }
}
