//! The table of commands, and what several of them share.

mod add;
mod am;
mod apply;
mod bisect;
mod blame;
mod branch;
mod checkout;
mod cherry;
mod clone;
mod commit;
mod config;
mod diff;
mod fetch;
mod formatpatch;
mod grep;
mod init;
mod log;
pub(crate) mod merge;
mod notes;
mod pack;
mod pick;
mod plumbing;
mod pull;
mod push;
pub(crate) mod rebase;
mod reflogs;
mod refs;
mod remote;
mod reset;
mod revparse;
mod stash;
mod status;
mod tidy;

use crate::changes::{self, Files};
use crate::error::{Res, Stop, fatal, out};
use crate::oid::Oid;
use crate::repo::{Repo, Setting};

type Command = fn(&Setting, &[Vec<u8>]) -> Res<i32>;

/// What there is, sorted, with a line for `git help`.
const COMMANDS: &[(&str, Command, &str)] = &[
    ("add", add::add, "Add file contents to the index"),
    ("am", am::am, "Apply patches from mails"),
    ("apply", apply::apply, "Apply a patch to files and index"),
    ("bisect", bisect::bisect, "Find the commit that brought a change"),
    ("blame", blame::blame, "Show what commit each line is from"),
    ("branch", branch::branch, "List, create, or delete branches"),
    ("cat-file", plumbing::cat_file, "Provide contents or details of objects"),
    ("check-ignore", plumbing::check_ignore, "Show which paths are ignored"),
    ("checkout", checkout::checkout, "Switch branches or restore files"),
    ("cherry", cherry::cherry, "Find commits that another branch has too"),
    ("cherry-pick", pick::cherry_pick, "Apply the changes of existing commits"),
    ("clean", tidy::clean, "Remove untracked files"),
    ("clone", clone::clone, "Copy a repository into a new directory"),
    ("commit", commit::commit, "Record changes to the repository"),
    ("commit-tree", plumbing::commit_tree, "Create a commit object of a tree"),
    ("config", config::config, "Get and set options"),
    ("count-objects", tidy::count_objects, "Count loose objects"),
    ("describe", refs::describe, "Name a commit after the nearest tag"),
    ("diff", diff::diff, "Show changes between commits, index and work tree"),
    ("fetch", fetch::fetch, "Get objects and refs of another repository"),
    ("for-each-ref", refs::for_each_ref, "Show refs"),
    ("format-patch", formatpatch::format_patch, "Make mails of commits"),
    ("fsck", tidy::fsck, "Check the objects"),
    ("gc", pack::gc, "Pack objects and refs, and take away what is not needed"),
    ("grep", grep::grep, "Print lines that fit a pattern"),
    ("hash-object", plumbing::hash_object, "Compute the name of an object"),
    ("help", help, "Show this list"),
    ("index-pack", pack::index_pack, "Make the index of a pack"),
    ("init", init::init, "Create a repository"),
    ("log", log::log, "Show commit logs"),
    ("ls-files", plumbing::ls_files, "Show files of the index and the work tree"),
    ("ls-remote", fetch::ls_remote, "List refs of another repository"),
    ("ls-tree", plumbing::ls_tree, "List a tree"),
    ("merge", merge::merge, "Join two histories"),
    ("merge-base", plumbing::merge_base, "Find common ancestors"),
    ("mktree", plumbing::mktree, "Build a tree object"),
    ("mv", add::mv, "Move or rename a file"),
    ("notes", notes::notes, "Add notes to commits"),
    ("pack-objects", pack::pack_objects, "Make a pack of objects"),
    ("pack-refs", tidy::pack_refs, "Pack refs"),
    ("prune", pack::prune, "Remove objects that nothing leads to"),
    ("pull", pull::pull, "Fetch, and merge or rebase"),
    ("push", push::push, "Update refs of another repository"),
    ("read-tree", plumbing::read_tree, "Read a tree into the index"),
    ("rebase", rebase::rebase, "Put commits on top of another base"),
    ("reflog", log::reflog, "Show where refs have been"),
    ("remote", remote::remote, "Manage names of other repositories"),
    ("repack", pack::repack, "Pack the objects of a repository"),
    ("reset", reset::reset, "Set HEAD to another state"),
    ("restore", checkout::restore, "Restore files"),
    ("rev-list", log::rev_list, "List commits"),
    ("rev-parse", revparse::rev_parse, "Tell what names mean"),
    ("revert", pick::revert, "Undo existing commits"),
    ("rm", add::rm, "Remove files from work tree and index"),
    ("shortlog", log::shortlog, "Summarize the log"),
    ("show", log::show, "Show objects"),
    ("show-ref", refs::show_ref, "List refs"),
    ("stash", stash::stash, "Put changes away"),
    ("status", status::status, "Show the state of the work tree"),
    ("switch", checkout::switch, "Switch branches"),
    ("symbolic-ref", refs::symbolic_ref, "Read or change symbolic refs"),
    ("tag", branch::tag, "List, create, or delete tags"),
    ("unpack-objects", pack::unpack_objects, "Store the objects of a pack one by one"),
    ("update-index", plumbing::update_index, "Change the index"),
    ("update-ref", refs::update_ref, "Change a ref"),
    ("var", revparse::var, "Show a variable"),
    ("verify-pack", pack::verify_pack, "Check packs"),
    ("version", version, "Show the version"),
    ("write-tree", plumbing::write_tree, "Store the index as a tree"),
];

/// Commands of git that this one has not, with the reason.
const ABSENT: &[(&str, &str)] = &[
    ("archive", "it is not supported"),
    ("submodule", "submodules are not supported"),
    ("worktree", "linked work trees are not supported"),
];

pub(crate) fn run(setting: &Setting, name: &str, words: &[Vec<u8>]) -> Res<i32> {
    run_nested(setting, name, words, 0)
}

fn run_nested(setting: &Setting, name: &str, words: &[Vec<u8>], depth: usize) -> Res<i32> {
    let name = if name == "stage" { "add" } else { name };
    if let Ok(at) = COMMANDS.binary_search_by(|c| c.0.cmp(name)) {
        return COMMANDS[at].1(setting, words);
    }
    if let Some((name, why)) = ABSENT.iter().find(|a| a.0 == name) {
        fatal!("git {name} is not available: {why}");
    }
    let config = match Repo::open(setting) {
        Ok(repo) => repo.config,
        Err(_) => crate::config::Config::load(None, &setting.config)?,
    };
    if let Some(alias) = config.get(&format!("alias.{name}"))
        && depth < 10
    {
        if let Some(command) = alias.strip_prefix('!') {
            return shell(setting, command, words);
        }
        let mut all: Vec<Vec<u8>> = split_words(&alias);
        if !all.is_empty() {
            let first = crate::bytes::text(&all.remove(0));
            all.extend(words.iter().cloned());
            return run_nested(setting, &first, &all, depth + 1);
        }
    }
    let mut text = format!("git: '{name}' is not a git command. See 'git --help'.");
    let close: Vec<&str> = COMMANDS.iter().map(|c| c.0).filter(|c| distance(c, name) <= 2).collect();
    if let [one] = close[..] {
        text += &format!("\n\nThe most similar command is\n\t{one}");
    } else if !close.is_empty() {
        text += &format!("\n\nThe most similar commands are\n\t{}", close.join("\n\t"));
    }
    Err(Stop::Said(1, text))
}

/// Words of an alias, with quotes.
fn split_words(text: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() => words.extend(word.take().map(String::into_bytes)),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word.map(String::into_bytes));
    words
}

/// Runs an alias that begins with `!`, at the top of the work tree.
fn shell(setting: &Setting, command: &str, words: &[Vec<u8>]) -> Res<i32> {
    let prefix = match Repo::open(setting) {
        Ok(repo) => crate::bytes::text(&repo.prefix),
        Err(_) => String::new(),
    };
    crate::error::flush();
    let mut process = agentos_guest::process::Command::new("sh");
    process.arg("-c").arg(format!("{command} \"$@\"")).arg(command).search_path(true);
    process.env("GIT_PREFIX", if prefix.is_empty() { prefix } else { prefix + "/" });
    for word in words {
        process.arg(crate::bytes::path(word));
    }
    Ok(process.status()?.shell_status())
}

/// How many letters differ.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut last = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (last + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            last = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}

fn help(_: &Setting, _: &[Vec<u8>]) -> Res<i32> {
    out!("{}\ncommands:\n", crate::USAGE);
    for (name, _, line) in COMMANDS {
        out!("   {name:<14} {line}\n");
    }
    Ok(0)
}

fn version(_: &Setting, _: &[Vec<u8>]) -> Res<i32> {
    out!("git version {}\n", crate::VERSION);
    Ok(0)
}

/// The files of HEAD; none before the first commit.
pub(crate) fn head_files(repo: &Repo) -> Res<Files> {
    match repo.head() {
        Some(head) => commit_files(repo, &head),
        None => Ok(Files::new()),
    }
}

/// The files of a commit.
pub(crate) fn commit_files(repo: &Repo, commit: &Oid) -> Res<Files> {
    changes::files(repo, Some(repo.odb.commit(commit)?.tree))
}

/// `at v1` or `from 1234567`, of a HEAD that is on no branch; `None` if nothing says how it came there.
pub(crate) fn detached_name(repo: &Repo, oid: &Oid) -> Option<String> {
    let log = repo.reflog("HEAD");
    for entry in log.iter().rev() {
        let text = crate::bytes::text(&entry.message);
        let Some(to) = text.strip_prefix("checkout: moving from ").and_then(|r| r.rsplit(" to ").next())
        else {
            continue;
        };
        let hex = to.len() >= 4 && to.bytes().all(|b| b.is_ascii_hexdigit());
        let named = crate::revision::dwim(repo, to);
        let name = match named {
            Some((full, at)) if repo.odb.peel(&at).is_ok_and(|(p, _)| p == entry.new) => {
                Repo::shorten(&full).to_owned()
            }
            _ if hex && entry.new.to_string().starts_with(to) => repo.short(&entry.new),
            _ => repo.short(&entry.new),
        };
        return Some(format!("{} {name}", if entry.new == *oid { "at" } else { "from" }));
    }
    None
}
