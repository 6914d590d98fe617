//! `git remote`: the names and addresses of other repositories. It reaches none of them.

use crate::args::{Args, Word};
use crate::bytes;
use crate::config::{self, Edit};
use crate::error::{Res, Stop, fatal, out, say};
use crate::repo::{Repo, Setting};

const USAGE: &str = "[-v | --verbose]\n   or: git remote add <name> <url>\n   or: git remote remove <name>\n   or: git remote get-url <name>\n   or: git remote set-url <name> <newurl>";

pub(crate) fn remote(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "", "remote", USAGE);
    let (mut verbose, mut push, mut plain) = (false, false, Vec::new());
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-v" | "--verbose" => verbose = true,
                "--push" if !plain.is_empty() => push = true,
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => plain.push(bytes::text(&word)),
        }
    }
    let repo = Repo::open(setting)?;
    let file = repo.common_dir.join("config");
    let mut names: Vec<String> = repo.config.subsections("remote");
    names.sort();
    let known = |name: &str| names.iter().any(|n| n == name);
    let url = |name: &str| repo.config.get(&format!("remote.{name}.url")).unwrap_or_else(|| name.to_owned());
    let push_url =
        |name: &str| repo.config.get(&format!("remote.{name}.pushurl")).unwrap_or_else(|| url(name));
    let missing = |name: &str| {
        say!("error: No such remote '{name}'");
        Ok(2)
    };
    let words: Vec<&str> = plain.iter().map(String::as_str).collect();
    match words[..] {
        [] => {
            for name in &names {
                if verbose {
                    out!("{name}\t{} (fetch)\n{name}\t{} (push)\n", url(name), push_url(name));
                } else {
                    out!("{name}\n");
                }
            }
            Ok(0)
        }
        ["add", name, address] => {
            if known(name) {
                say!("error: remote {name} already exists.");
                return Ok(3);
            }
            if !crate::refs::valid(&format!("refs/remotes/{name}/x")) {
                fatal!("'{name}' is not a valid remote name");
            }
            let spec = format!("+refs/heads/*:refs/remotes/{name}/*");
            config::edit(&file, &format!("remote.{name}.url"), &Edit::Set(address.as_bytes()), &|_| true)?;
            config::edit(&file, &format!("remote.{name}.fetch"), &Edit::Set(spec.as_bytes()), &|_| true)
        }
        ["remove" | "rm", name] => {
            if !known(name) {
                say!("error: No such remote: '{name}'");
                return Ok(2);
            }
            for branch in repo.config.subsections("branch") {
                if repo.config.get(&format!("branch.{branch}.remote")).as_deref() == Some(name) {
                    for key in ["remote", "merge"] {
                        config::edit(&file, &format!("branch.{branch}.{key}"), &Edit::UnsetAll, &|_| true)?;
                    }
                }
            }
            for (branch, _) in repo.refs(&format!("refs/remotes/{name}/")) {
                repo.delete_ref(&branch)?;
            }
            config::rename_section(&file, &format!("remote.{name}"), None)?;
            Ok(0)
        }
        ["get-url", name] => {
            if !known(name) {
                return missing(name);
            }
            out!("{}\n", if push { push_url(name) } else { url(name) });
            Ok(0)
        }
        ["set-url", name, address] => {
            if !known(name) {
                return missing(name);
            }
            let key = format!("remote.{name}.{}", if push { "pushurl" } else { "url" });
            config::edit(&file, &key, &Edit::Set(address.as_bytes()), &|_| true)
        }
        [verb @ ("rename" | "show" | "prune" | "update" | "set-head" | "set-branches"), ..] => {
            fatal!("remote {verb} is not supported")
        }
        [_, ..] => Err(Stop::Said(129, args.usage_text())),
    }
}
