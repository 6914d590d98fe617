//! `git rev-parse` and `git var`.

use crate::bytes;
use crate::error::{Res, Stop, fatal, out, put};
use crate::repo::{Repo, Setting, clean};
use crate::{revision, walk};

pub(crate) fn rev_parse(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let words: Vec<String> = words.iter().map(|w| bytes::text(w)).collect();
    let repo = match Repo::open(setting) {
        Ok(repo) => repo,
        Err(stop) => {
            if let [word] = &words[..]
                && matches!(
                    word.as_str(),
                    "--is-inside-work-tree" | "--is-inside-git-dir" | "--local-env-vars"
                )
                && word == "--local-env-vars"
            {
                return Ok(0);
            }
            return Err(stop);
        }
    };
    let (mut verify, mut quiet, mut short, mut abbrev_ref, mut symbolic, mut default) =
        (false, false, None, false, false, None);
    let mut symbolic_full = false;
    let mut names = 0;
    let mut absolute = false;
    let mut rest_are_paths = false;
    let git_dir = || repo.cwd.join(&repo.shown_git_dir);
    let mut at = 0;
    let show = |oid: &crate::oid::Oid, not: bool, short: Option<usize>| {
        let text = match short {
            Some(len) => repo.odb.short(oid, len),
            None => oid.to_string(),
        };
        out!("{}{text}\n", if not { "^" } else { "" });
    };
    while at < words.len() {
        let word = words[at].as_str();
        at += 1;
        if rest_are_paths {
            out!("{word}\n");
            continue;
        }
        match word {
            "--" => {
                rest_are_paths = true;
                if !verify {
                    out!("--\n");
                }
            }
            "--verify" => verify = true,
            "-q" | "--quiet" => quiet = true,
            "--short" => (short, verify) = (Some(repo.abbrev()), true),
            "--abbrev-ref" | "--abbrev-ref=strict" | "--abbrev-ref=loose" => abbrev_ref = true,
            "--symbolic" => symbolic = true,
            "--symbolic-full-name" => symbolic_full = true,
            "--revs-only" | "--no-revs" | "--flags" | "--no-flags" | "--sq" | "--parseopt" | "--sq-quote"
            | "--disambiguate" => {
                fatal!("option {word} is not supported")
            }
            "--default" => {
                default = words.get(at).cloned();
                at += 1;
            }
            "--path-format=absolute" => absolute = true,
            "--path-format=relative" => absolute = false,
            "--show-toplevel" => match &repo.work_tree {
                Some(dir) => out!("{}\n", dir.display()),
                None => fatal!("this operation must be run in a work tree"),
            },
            "--show-prefix" => {
                put(&repo.prefix);
                put(if repo.prefix.is_empty() { b"\n" } else { b"/\n" });
            }
            "--show-cdup" => out!(
                "{}\n",
                "../".repeat(repo.prefix.split(|b| *b == b'/').filter(|p| !p.is_empty()).count())
            ),
            "--git-dir" => {
                out!("{}\n", if absolute { clean(&git_dir()) } else { repo.shown_git_dir.clone() }.display())
            }
            "--absolute-git-dir" => out!("{}\n", clean(&git_dir()).display()),
            "--git-common-dir" => out!(
                "{}\n",
                if repo.common_dir == repo.git_dir && !absolute {
                    repo.shown_git_dir.clone()
                } else {
                    repo.common_dir.clone()
                }
                .display()
            ),
            "--git-path" => {
                let name = words.get(at).cloned().unwrap_or_default();
                at += 1;
                out!("{}\n", repo.shown_git_dir.join(name).display());
            }
            "--is-inside-work-tree" => out!(
                "{}\n",
                repo.work_tree.as_ref().is_some_and(|w| repo.cwd.starts_with(w))
                    && !repo.cwd.starts_with(&repo.git_dir)
            ),
            "--is-inside-git-dir" => out!("{}\n", repo.cwd.starts_with(&repo.git_dir)),
            "--is-bare-repository" => out!("{}\n", repo.work_tree.is_none()),
            "--is-shallow-repository" => out!("{}\n", repo.common_dir.join("shallow").exists()),
            "--show-object-format" => out!("sha1\n"),
            "--show-ref-format" => out!("files\n"),
            "--show-superproject-working-tree" => {}
            "--all" | "--branches" | "--tags" | "--remotes" => {
                let prefix = match word {
                    "--branches" => "refs/heads/",
                    "--tags" => "refs/tags/",
                    "--remotes" => "refs/remotes/",
                    _ => "refs/",
                };
                for (name, oid) in repo.refs(prefix) {
                    if symbolic { out!("{}\n", Repo::shorten(&name)) } else { show(&oid, false, short) }
                }
            }
            _ if word.starts_with("--short=") => {
                (short, verify) = (Some(word[8..].parse::<usize>().unwrap_or(7).max(4)), true);
            }
            _ => {
                if word.starts_with('-')
                    && word != "-"
                    && revision::find(&repo, word).ok().flatten().is_none()
                {
                    if verify {
                        return needed(quiet);
                    }
                    out!("{word}\n");
                    continue;
                }
                names += 1;
                if verify && names > 1 {
                    return needed(quiet);
                }
                if abbrev_ref || symbolic_full {
                    let base = word.strip_prefix('^').unwrap_or(word);
                    let full = if base == "HEAD" || base == "@" {
                        Some(repo.head_ref().unwrap_or_else(|| "HEAD".to_owned()))
                    } else if let Some(branch) =
                        ["@{u}", "@{upstream}", "@{push}"].iter().find_map(|s| base.strip_suffix(s))
                    {
                        let branch = if branch.is_empty() || branch == "HEAD" {
                            repo.head_branch().unwrap_or_default()
                        } else {
                            branch.to_owned()
                        };
                        match revision::upstream(&repo, &branch) {
                            Some(up) => Some(up),
                            None => fatal!("no upstream configured for branch '{branch}'"),
                        }
                    } else if let Some(n) = base.strip_prefix("@{-").and_then(|r| r.strip_suffix('}')) {
                        revision::previous_branch(&repo, n.parse().unwrap_or(0))
                            .map(|b| format!("refs/heads/{b}"))
                    } else {
                        revision::dwim(&repo, base).map(|(n, _)| n)
                    };
                    match full {
                        Some(full) => {
                            if base == "HEAD" && repo.head().is_none() {
                                out!("HEAD\n");
                                return Err(revision::ambiguous("HEAD"));
                            }
                            out!("{}\n", if symbolic_full { &full } else { Repo::shorten(&full) });
                            continue;
                        }
                        None if revision::find(&repo, base)?.is_some() => continue,
                        None => {
                            if !quiet {
                                out!("{word}\n");
                            }
                            return Err(revision::ambiguous(word));
                        }
                    }
                }
                if !verify
                    && (word.contains("..") || word.ends_with("^@") || word.ends_with("^!"))
                    && !word.contains(':')
                {
                    let mut walk = walk::Walk::default();
                    if walk.take(&repo, word, false)? {
                        for oid in walk.include.iter().rev() {
                            show(oid, false, short);
                        }
                        for oid in &walk.exclude {
                            show(oid, true, short);
                        }
                        continue;
                    }
                }
                let (not, base) = match word.strip_prefix('^') {
                    Some(base) => (true, base),
                    None => (false, word),
                };
                match revision::find(&repo, base) {
                    Ok(Some(_)) if symbolic => out!("{word}\n"),
                    Ok(Some(oid)) => show(&oid, not, short),
                    Err(_) | Ok(None) if verify => return needed(quiet),
                    Err(stop) => {
                        out!("{word}\n");
                        return Err(stop);
                    }
                    Ok(None) => {
                        if repo.work_tree.is_some()
                            && repo.user_path(word.as_bytes()).is_ok_and(|p| {
                                std::fs::symlink_metadata(bytes::path(if p.is_empty() { b"." } else { &p }))
                                    .is_ok()
                            })
                        {
                            rest_are_paths = true;
                            out!("{word}\n");
                            continue;
                        }
                        out!("{word}\n");
                        return Err(revision::ambiguous(word));
                    }
                }
            }
        }
    }
    if names == 0
        && let Some(name) = default
    {
        match revision::find(&repo, &name)? {
            Some(oid) => show(&oid, false, short),
            None => return Err(revision::ambiguous(&name)),
        }
    } else if verify && names == 0 {
        return needed(quiet);
    }
    Ok(0)
}

fn needed(quiet: bool) -> Res<i32> {
    if quiet {
        return Err(Stop::Exit(1));
    }
    fatal!("Needed a single revision")
}

pub(crate) fn var(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let repo = Repo::open(setting)?;
    match words.first().map(Vec::as_slice) {
        Some(b"GIT_AUTHOR_IDENT") => put(&[&repo.author()?.line()[..], b"\n"].concat()),
        Some(b"GIT_COMMITTER_IDENT") => put(&[&repo.committer()?.line()[..], b"\n"].concat()),
        Some(b"GIT_DEFAULT_BRANCH") => out!("{}\n", super::init::default_branch(&repo.config)),
        Some(b"GIT_EDITOR") => {
            let editor = std::env::var("GIT_EDITOR")
                .ok()
                .or_else(|| repo.config.get("core.editor"))
                .or_else(|| std::env::var("EDITOR").ok());
            out!("{}\n", editor.unwrap_or_else(|| "vi".to_owned()));
        }
        _ => return Err(Stop::Said(129, "usage: git var <variable>".to_owned())),
    }
    Ok(0)
}
