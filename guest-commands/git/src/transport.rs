//! Reaching another repository: the interface of a way to one, and the way to a directory of this machine. What is
//! fetched and pushed, and what is said of it, is in `cmd`; objects travel as packs whatever the way.

use crate::address::{self, Place};
use crate::bytes;
use crate::error::{Res, fatal, say};
use crate::oid::Oid;
use crate::reach::{self, Reached, Request};
use crate::refs::Value;
use crate::repo::Repo;
use crate::{packwrite, walk};
use agentos_guest::process::Command;
use std::fs;
use std::path::Path;

/// A ref that the other side has.
#[derive(Clone, Debug)]
pub(crate) struct Advertised {
    pub(crate) name: String,
    pub(crate) oid: Oid,
    /// What an annotated tag leads to.
    pub(crate) peeled: Option<Oid>,
}

/// A ref that the other side is to change.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub(crate) name: String,
    pub(crate) old: Oid,
    /// `ZERO`: the ref goes.
    pub(crate) new: Oid,
}

/// A way to another repository.
pub(crate) trait Transport {
    /// Its refs: HEAD first, if there is one, then sorted by name.
    fn refs(&self) -> &[Advertised];

    /// The branch that its HEAD names, even if it has no commit yet.
    fn head(&self) -> Option<&str>;

    /// A pack of what is asked for, and what becomes of shallow commits.
    fn fetch(&mut self, request: &Request) -> Res<(Vec<u8>, Reached)>;

    /// Sends a pack (empty for none) and changes refs. For each, why it was refused.
    fn push(&mut self, updates: &[Update], pack: Vec<u8>) -> Res<Vec<Option<String>>>;
}

/// Opens the way to an address.
pub(crate) fn open(url: &str) -> Res<Box<dyn Transport>> {
    let Place::Path { path, .. } = address::place(url)?;
    match address::find(&path) {
        Some(found) if found.is_file() => Ok(Box::new(crate::bundle::Bundle::read(&found)?)),
        Some(found) => Ok(Box::new(Local::open(&found)?)),
        None => {
            say!("fatal: '{}' does not appear to be a git repository", path.display());
            fatal!(
                "Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists."
            );
        }
    }
}

/// A repository in a directory.
pub(crate) struct Local {
    repo: Repo,
    refs: Vec<Advertised>,
    head: Option<String>,
}

impl Local {
    pub(crate) fn open(git_dir: &Path) -> Res<Local> {
        let repo = Repo::at(git_dir)?;
        let peeled = |oid: &Oid| repo.odb.peel(oid).ok().map(|p| p.0).filter(|p| p != oid);
        let mut refs: Vec<Advertised> = Vec::new();
        if let Some(oid) = repo.head() {
            refs.push(Advertised { name: "HEAD".to_owned(), oid, peeled: None });
        }
        refs.extend(repo.refs("refs/").into_iter().map(|(name, oid)| Advertised {
            peeled: peeled(&oid),
            name,
            oid,
        }));
        let head = repo.head_ref();
        Ok(Local { repo, refs, head })
    }

    /// Why the owner of the other repository does not want a change.
    fn refusal(&self, update: &Update) -> Res<Option<String>> {
        let repo = &self.repo;
        let no = |text: &str| Ok(Some(text.to_owned()));
        let current = repo.work_tree.is_some() && repo.head_ref().as_deref() == Some(&update.name);
        let policy = |key: &str| repo.config.get(key).unwrap_or_else(|| "refuse".to_owned());
        if current {
            match policy("receive.denycurrentbranch").as_str() {
                "ignore" | "false" => {}
                "warn" => remote("warning: updating the current branch"),
                "updateInstead" | "updateinstead" if !update.new.is_zero() => {
                    if let Err(stop) = self.update_work_tree(&update.new) {
                        return no(&stop.message());
                    }
                }
                "updateInstead" | "updateinstead" => {}
                _ => {
                    remote(&format!(
                        "error: refusing to update checked out branch: {}\n{REFUSE}",
                        update.name
                    ));
                    return no("branch is currently checked out");
                }
            }
        }
        if update.new.is_zero() {
            if repo.config.flag("receive.denydeletes", false) && update.name.starts_with("refs/heads/") {
                remote(&format!("error: denying ref deletion for {}", update.name));
                return no("deletion prohibited");
            }
            if repo.head_ref().as_deref() == Some(&update.name) {
                match policy("receive.denydeletecurrent").as_str() {
                    "ignore" | "false" => {}
                    "warn" => remote("warning: deleting the current branch"),
                    _ => {
                        remote(DELETE_CURRENT);
                        remote(&format!("error: refusing to delete the current branch: {}", update.name));
                        return no("deletion of the current branch prohibited");
                    }
                }
            }
        }
        if !update.new.is_zero()
            && !update.old.is_zero()
            && update.name.starts_with("refs/heads/")
            && repo.config.flag("receive.denynonfastforwards", false)
            && !walk::is_ancestor(repo, &update.old, &update.new)?
        {
            remote(&format!("error: denying non-fast-forward {} (you should pull first)", update.name));
            return no("non-fast-forward");
        }
        let (name, old, new) = (update.name.clone(), update.old.to_string(), update.new.to_string());
        if self.hook("update", &[&name, &old, &new], "")? != 0 {
            remote(&format!("error: hook declined to update {name}"));
            return no("hook declined");
        }
        Ok(None)
    }

    /// Brings the work tree of the other repository to a commit, if nothing would be lost.
    fn update_work_tree(&self, new: &Oid) -> Res<()> {
        let repo = &self.repo;
        let here = agentos_guest::env::current_dir()?;
        let Some(root) = &repo.work_tree else { return Ok(()) };
        agentos_guest::env::set_current_dir(root)?;
        let done = (|| {
            let mut index = repo.index()?;
            let old = crate::cmd::head_files(repo)?;
            let all = crate::pathspec::Pathspec::default();
            if !crate::changes::index_to_worktree(repo, &index, &all).is_empty() {
                fatal!("Working directory has unstaged changes");
            }
            if !crate::changes::tree_to_index(&old, &index, &all).is_empty() {
                fatal!("Working directory has staged changes");
            }
            let files = crate::cmd::commit_files(repo, new)?;
            let lock = index.lock()?;
            crate::switch::two_way(repo, &mut index, &old, &files, &crate::switch::CHECKOUT)?;
            index.write(lock)
        })();
        agentos_guest::env::set_current_dir(here)?;
        done
    }

    /// Runs a hook of the other repository, whose output is shown as that of the remote side.
    fn hook(&self, name: &str, words: &[&str], input: &str) -> Res<i32> {
        let file = match self.repo.config.get("core.hookspath") {
            Some(dir) => self.repo.git_dir.join(crate::config::expand_home(&dir)).join(name),
            None => self.repo.common_dir.join("hooks").join(name),
        };
        if agentos_guest::fs::access(&file, agentos_guest::fs::X_OK).is_err() {
            return Ok(0);
        }
        crate::error::flush();
        let feed = self.repo.git_dir.join("HOOK_INPUT");
        fs::write(&feed, input)?;
        let mut command = Command::new("sh");
        command.search_path(true).arg("-c").arg("exec \"$@\" 2>&1 < \"$0\"").arg(&feed).arg(&file);
        command.args(words).current_dir(&self.repo.git_dir).env("GIT_DIR", ".");
        command.env_remove("GIT_INDEX_FILE").env_remove("GIT_WORK_TREE");
        let done = command.output();
        let _ = fs::remove_file(&feed);
        let (status, output) = done?;
        if !output.is_empty() {
            remote(bytes::text(&output).trim_end_matches('\n'));
        }
        Ok(status.shell_status())
    }
}

/// Shows lines as those of the remote side.
fn remote(text: &str) {
    for line in text.split('\n') {
        if line.is_empty() {
            say!("remote: ");
        } else {
            // git leaves room to overwrite a line of progress.
            say!("remote: {line}        ");
        }
    }
}

const REFUSE: &str = "error: By default, updating the current branch in a non-bare repository
is denied, because it will make the index and work tree inconsistent
with what you pushed, and will require 'git reset --hard' to match
the work tree to HEAD.

You can set the 'receive.denyCurrentBranch' configuration variable
to 'ignore' or 'warn' in the remote repository to allow pushing into
its current branch; however, this is not recommended unless you
arranged to update its work tree to match what you pushed in some
other way.

To squelch this message and still keep the default behaviour, set
'receive.denyCurrentBranch' configuration variable to 'refuse'.";

const DELETE_CURRENT: &str = "error: By default, deleting the current branch is denied, because the next
'git clone' won't result in any file checked out, causing confusion.

You can set 'receive.denyDeleteCurrent' configuration variable to
'warn' or 'ignore' in the remote repository to allow deleting the
current branch, with or without a warning message.

To squelch this message, you can set it to 'refuse'.";

impl Transport for Local {
    fn refs(&self) -> &[Advertised] {
        &self.refs
    }

    fn head(&self) -> Option<&str> {
        self.head.as_deref()
    }

    fn fetch(&mut self, request: &Request) -> Res<(Vec<u8>, Reached)> {
        let reached = reach::collect(&self.repo.odb, request)?;
        let mut pack = Vec::new();
        packwrite::write(&self.repo.odb, &reached.items, &mut pack)?;
        Ok((pack, reached))
    }

    fn push(&mut self, updates: &[Update], pack: Vec<u8>) -> Res<Vec<Option<String>>> {
        if !pack.is_empty() {
            self.repo.odb.receive(pack, 100)?;
            self.repo = Repo::at(&self.repo.git_dir)?;
        }
        let lines = |all: &[&Update]| -> String {
            all.iter().map(|u| format!("{} {} {}\n", u.old, u.new, u.name)).collect()
        };
        let every: Vec<&Update> = updates.iter().collect();
        if self.hook("pre-receive", &[], &lines(&every))? != 0 {
            return Ok(updates.iter().map(|_| Some("pre-receive hook declined".to_owned())).collect());
        }
        let mut results = Vec::new();
        for update in updates {
            if let Some(why) = self.refusal(update)? {
                results.push(Some(why));
                continue;
            }
            let done = if update.new.is_zero() {
                self.repo.delete_ref(&update.name)
            } else {
                self.repo.set_ref(&update.name, &update.new, Some(update.old), "push")
            };
            results.push(match done {
                Ok(()) => None,
                Err(stop) => {
                    remote(&format!("error: {}", stop.message()));
                    Some("failed to update ref".to_owned())
                }
            });
        }
        let done: Vec<&Update> =
            updates.iter().zip(&results).filter(|(_, r)| r.is_none()).map(|(u, _)| u).collect();
        if !done.is_empty() {
            self.hook("post-receive", &[], &lines(&done))?;
            let names: Vec<&str> = done.iter().map(|u| u.name.as_str()).collect();
            self.hook("post-update", &names, "")?;
        }
        Ok(results)
    }
}

/// Brings objects that are wanted into our store, unless they are there. `depth`: only so many commits.
pub(crate) fn bring(
    repo: &mut Repo,
    from: &mut dyn Transport,
    wants: &[Oid],
    depth: Option<usize>,
) -> Res<()> {
    let mut wants: Vec<Oid> = wants.to_vec();
    wants.sort();
    wants.dedup();
    if depth.is_none() && wants.iter().all(|w| repo.odb.exists(w)) {
        return Ok(());
    }
    let mut haves: Vec<Oid> = repo.refs("refs/").into_iter().map(|r| r.1).chain(repo.head()).collect();
    haves.sort();
    haves.dedup();
    let shallow: Vec<Oid> = repo.odb.shallow().iter().copied().collect();
    // A clone keeps the pack that it gets.
    let first = haves.is_empty();
    let request = Request { wants, haves, shallow, depth };
    let (pack, reached) = from.fetch(&request)?;
    let limit = ["fetch.unpacklimit", "transfer.unpacklimit"].iter().find_map(|k| repo.config.get(k));
    repo.odb.receive(pack, if first { 0 } else { limit.and_then(|l| l.parse().ok()).unwrap_or(100) })?;
    if !reached.shallow.is_empty() || !reached.unshallow.is_empty() {
        let mut all = repo.odb.shallow().clone();
        all.retain(|o| !reached.unshallow.contains(o));
        all.extend(reached.shallow);
        repo.odb.set_shallow(&all)?;
    }
    repo.reload();
    Ok(())
}

/// A symbolic ref of a repository, with the ref that it names.
pub(crate) fn symbolic(repo: &Repo, name: &str) -> Option<String> {
    match repo.ref_value(name) {
        Some(Value::Symbolic(target)) => Some(target),
        _ => None,
    }
}
