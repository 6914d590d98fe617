//! The steps of a rebase: replaying commits, stopping, going on, and the end.

use super::state::State;
use super::todo::{self, Item, Verb};
use crate::bytes;
use crate::changes::{self, Files};
use crate::cmd::{self, commit, merge, stash};
use crate::error::{Res, Stop, captured, fatal, flush, out, say};
use crate::message::{self, Cleanup};
use crate::oid::{Commit, Kind, Oid, Person};
use crate::repo::{Repo, Setting};
use crate::sequence::{self, Change};
use crate::{diffout, switch, tree, worktree};
use agentos_guest::process::Command;
use std::fs;
use std::io::Write as _;
use std::rc::Rc;

/// A rebase and the repository in which it is done.
pub(super) struct Replay<'a> {
    setting: &'a Setting,
    repo: &'a Repo,
    state: State,
}

/// Where a step leaves the rebase.
enum Step {
    Next,
    Stop(i32),
}

const UNUSABLE: &str = "You can fix this with 'git rebase --edit-todo' and then run 'git rebase --continue'.\nOr you can abort the rebase with 'git rebase --abort'.";

impl<'a> Replay<'a> {
    pub(super) fn new(setting: &'a Setting, repo: &'a Repo, state: State) -> Replay<'a> {
        Replay { setting, repo, state }
    }

    pub(super) fn act(&mut self, action: &str) -> Res<i32> {
        match action {
            "abort" => self.abort(),
            "quit" => {
                if let Some(oid) = self.state.oid("autostash") {
                    stash::keep(self.repo, &oid, "autostash")?;
                    say!(
                        "Autostash exists; creating a new stash entry.\nYour changes are safe in the stash.\nYou can run \"git stash pop\" or \"git stash drop\" at any time."
                    );
                }
                self.remove();
                Ok(0)
            }
            "edit-todo" => {
                let text = self.state.text("git-rebase-todo");
                let Some(items) = todo::read(self.repo, &text, false)? else {
                    say!("{UNUSABLE}");
                    return Ok(1);
                };
                match self.edit(items, &todo::help("", "", 0, true))? {
                    Some(items) => {
                        self.state.todo = items;
                        self.state.save()?;
                        Ok(0)
                    }
                    None => Ok(1),
                }
            }
            "show-current-patch" => {
                cmd::run(self.setting, "show", &[b"REBASE_HEAD".to_vec(), b"--".to_vec()])
            }
            "skip" => {
                let head = self.repo.head().unwrap_or_default();
                let mut index = self.repo.index()?;
                let lock = index.lock()?;
                switch::force(self.repo, &mut index, &cmd::commit_files(self.repo, &head)?)?;
                index.write(lock)?;
                merge::clear_state(self.repo);
                self.go_on()
            }
            _ => {
                if let Some(status) = self.commit_staged()? {
                    return Ok(status);
                }
                self.go_on()
            }
        }
    }

    /// Starts: lets the list be edited, goes to the base, and replays.
    pub(super) fn begin(&mut self, interactive: bool, range: &str, onto_name: &str) -> Res<i32> {
        let mut items = std::mem::take(&mut self.state.todo);
        if items.is_empty() {
            items.push(Item::new(Verb::Noop, Oid::ZERO, String::new()));
        }
        let count = items.iter().filter(|i| i.verb != Verb::Noop).count().max(1);
        let help = todo::help(range, &self.repo.short(&self.state.onto), count, false);
        let full = |oid: &Oid| oid.to_string();
        fs::write(self.state.file("git-rebase-todo.backup"), todo::write(&items, &full) + &help)?;
        let mut good = true;
        if interactive {
            match self.edit(items, &help)? {
                Some(edited) => items = edited,
                None => {
                    items = Vec::new();
                    good = false;
                }
            }
            if good && items.is_empty() {
                say!("error: nothing to do");
                self.give_back()?;
                self.remove();
                return Ok(1);
            }
            if !good && !self.state.has("git-rebase-todo") {
                self.give_back()?;
                self.remove();
                return Ok(1);
            }
        }
        let mut base = self.state.onto;
        if good && !self.state.force {
            while let Some(item) = items.first()
                && item.verb == Verb::Pick
                && self.repo.odb.commit(&item.oid)?.parents.first() == Some(&base)
            {
                base = item.oid;
                self.state.done.push(items.remove(0));
            }
        }
        let mut index = self.repo.index()?;
        let lock = index.lock()?;
        let (old, new) = (cmd::head_files(self.repo)?, cmd::commit_files(self.repo, &base)?);
        if let Err(stop) = switch::two_way(self.repo, &mut index, &old, &new, &switch::CHECKOUT) {
            drop(lock);
            say!("{}", stop.message());
            say!("error: could not detach HEAD");
            self.give_back()?;
            self.remove();
            return Ok(1);
        }
        index.write(lock)?;
        self.repo.detach(&base, &format!("rebase (start): checkout {onto_name}"))?;
        if !good {
            return Ok(1);
        }
        items.retain(|i| i.verb != Verb::Noop);
        self.state.todo = items;
        self.state.save()?;
        self.run()
    }

    /// Lets the user edit the list. `None`: it cannot be used, and is left as it is for another try; it is gone if the
    /// editor failed.
    fn edit(&self, items: Vec<Item>, help: &str) -> Res<Option<Vec<Item>>> {
        let file = self.state.file("git-rebase-todo");
        let short = |oid: &Oid| self.repo.short(oid);
        fs::write(&file, todo::write(&items, &short) + help)?;
        let editor = std::env::var("GIT_SEQUENCE_EDITOR")
            .ok()
            .or_else(|| self.repo.config.get("sequence.editor"))
            .or_else(|| message::editor(self.repo));
        let ran = match &editor {
            Some(editor) => {
                let ran = message::run_editor(editor, &file);
                if !ran {
                    say!("error: there was a problem with the editor '{editor}'");
                }
                ran
            }
            None => {
                say!("error: Terminal is dumb, but EDITOR unset");
                false
            }
        };
        if !ran {
            fs::remove_file(&file)?;
            return Ok(None);
        }
        let text = bytes::text(&fs::read(&file)?);
        let first = self.state.done.is_empty();
        let read = todo::read(self.repo, &text, first)?;
        if read.is_none() {
            say!("{UNUSABLE}");
        }
        Ok(read)
    }

    /// Goes on with what the list says now.
    fn go_on(&mut self) -> Res<i32> {
        for name in ["stopped-sha", "amend", "author-script", "message", "patch"] {
            let _ = fs::remove_file(self.state.file(name));
        }
        self.end_stop();
        let text = self.state.text("git-rebase-todo");
        match todo::read(self.repo, &text, self.state.done.is_empty())? {
            Some(items) => self.state.todo = items,
            None => {
                say!("{UNUSABLE}");
                return Ok(1);
            }
        }
        self.run()
    }

    fn end_stop(&self) {
        for name in ["REBASE_HEAD", "CHERRY_PICK_HEAD", "MERGE_MSG", "AUTO_MERGE"] {
            let _ = fs::remove_file(self.repo.file(name));
        }
    }

    fn run(&mut self) -> Res<i32> {
        while !self.state.todo.is_empty() {
            let item = self.state.todo.remove(0);
            self.state.done.push(item.clone());
            self.state.save()?;
            let (n, all) = (self.state.done.len(), self.state.done.len() + self.state.todo.len());
            fs::write(self.state.file("msgnum"), format!("{n}\n"))?;
            fs::write(self.state.file("end"), format!("{all}\n"))?;
            if !self.state.quiet && item.verb != Verb::Noop {
                progress(&format!("Rebasing ({n}/{all})\r"));
            }
            let step = match item.verb {
                Verb::Noop | Verb::Drop => Step::Next,
                Verb::Break => {
                    let head = self.repo.head().unwrap_or_default();
                    let subject = bytes::text(&self.repo.odb.commit(&head)?.subject());
                    say!("Stopped at {} ({subject})", self.repo.short(&head));
                    Step::Stop(0)
                }
                Verb::Exec => self.exec(&item.text)?,
                _ => self.pick(&item)?,
            };
            if let Step::Stop(status) = step {
                return Ok(status);
            }
        }
        self.finish()
    }

    fn exec(&self, command: &str) -> Res<Step> {
        say!("Executing: {command}");
        flush();
        let mut process = Command::new("sh");
        process.arg("-c").arg(command).search_path(true);
        let good = process.status().is_ok_and(|s| s.success());
        let mut index = self.repo.index()?;
        worktree::refresh_and_write(self.repo, &mut index);
        let dirty = !changes::index_to_worktree(self.repo, &index, &Default::default()).is_empty()
            || !changes::tree_to_index(&cmd::head_files(self.repo)?, &index, &Default::default()).is_empty();
        if !good {
            say!(
                "warning: execution failed: {command}\n{}You can fix the problem, and then run\n\n  git rebase --continue\n\n",
                if dirty { "and made changes to the index and/or the working tree.\n" } else { "" }
            );
            return Ok(Step::Stop(1));
        }
        if dirty {
            say!(
                "warning: execution succeeded: {command}\nbut left changes to the index and/or the working tree.\nCommit or stash your changes, and then run\n\n  git rebase --continue\n\n"
            );
            return Ok(Step::Stop(1));
        }
        Ok(Step::Next)
    }

    /// Replays a commit.
    fn pick(&mut self, item: &Item) -> Res<Step> {
        let repo = self.repo;
        let head = repo.head().unwrap_or_default();
        let change = match Change::new(repo, item.oid, None, false)? {
            Ok(change) => change,
            Err(text) => return Err(Stop::Error(1, text)),
        };
        let melds = matches!(item.verb, Verb::Squash | Verb::Fixup);
        let on_nothing = self.state.squash_onto == Some(head);
        let stays = change.parent == Some(head) || change.parent.is_none() && on_nothing;
        let mut index = repo.index()?;
        let ours: Files = cmd::commit_files(repo, &head)?;
        if stays && !melds && !self.state.force {
            let lock = index.lock()?;
            let new = cmd::commit_files(repo, &item.oid)?;
            if let Err(stop) = switch::two_way(repo, &mut index, &ours, &new, &switch::MERGE) {
                drop(lock);
                return self.reschedule(item, stop);
            }
            index.write(lock)?;
            repo.set_head(&item.oid, "rebase: fast-forward")?;
            return match item.verb {
                Verb::Reword => self.reword(item, &[b"--amend"], None),
                Verb::Edit => self.stop_to_edit(item),
                _ => Ok(Step::Next),
            };
        }
        let mut text = change.commit.message.clone();
        if melds {
            self.meld(item, &head, &change)?;
        }
        let merged = match change.apply(repo, &mut index, &ours, self.state.favor, true) {
            Ok(merged) => merged,
            Err(stop @ Stop::Said(..)) => return self.reschedule(item, stop),
            Err(stop) => return Err(stop),
        };
        if self.state.signoff {
            message::add_trailer(&mut text, &[b"Signed-off-by: ", &repo.committer()?.ident()[..]].concat());
        }
        if !merged.conflicts.is_empty() {
            if melds {
                text = self.state.text("message-squash").into_bytes();
                fs::write(self.state.file("amend"), format!("{head}\n"))?;
            }
            text.extend(merge::conflict_comment(&merged).bytes());
            fs::write(repo.file("MERGE_MSG"), &text)?;
            fs::write(self.state.file("message"), &text)?;
            let (short, subject) = (repo.short(&item.oid), change.subject());
            say!("error: could not apply {short}... {subject}");
            sequence::hint(
                "Resolve all conflicts manually, mark them as resolved with\n\"git add/rm <conflicted_files>\", then run \"git rebase --continue\".\nYou can instead skip this commit: run \"git rebase --skip\".\nTo abort and get back to the state before \"git rebase\", run \"git rebase --abort\".\nDisable this message with \"git config advice.mergeConflict false\"",
            );
            self.note_stop(&change.commit, &item.oid)?;
            say!("Could not apply {short}... {subject}");
            return Ok(Step::Stop(1));
        }
        let new_tree = tree::from_files(repo, &merged.files)?;
        // While it is there, status says that a commit is being made.
        fs::write(repo.file("MERGE_MSG"), &text)?;
        if melds {
            return self.amend(item, &head, new_tree);
        }
        if !on_nothing && new_tree == repo.odb.commit(&head)?.tree && !change.is_empty(repo)? {
            match self.state.empty.as_str() {
                "drop" => {
                    say!("dropping {} {} -- patch contents already upstream", item.oid, change.subject());
                    self.end_stop();
                    return Ok(Step::Next);
                }
                "keep" => {}
                _ => {
                    fs::write(repo.file("MERGE_MSG"), &text)?;
                    fs::write(self.state.file("message"), &text)?;
                    fs::write(repo.file("CHERRY_PICK_HEAD"), format!("{}\n", item.oid))?;
                    commit::commit(self.setting, &[b"--no-edit".to_vec()])?;
                    self.note_stop(&change.commit, &item.oid)?;
                    say!("Could not apply {}... {}", repo.short(&item.oid), change.subject());
                    return Ok(Step::Stop(1));
                }
            }
        }
        let parents = if on_nothing { Vec::new() } else { vec![head] };
        if item.verb == Verb::Reword && !on_nothing {
            let file = self.state.file("message");
            fs::write(&file, &text)?;
            let words: [&[u8]; 2] = [b"-F", bytes::of(file.as_os_str())];
            return self.reword(item, &words, Some(change.commit.author.clone()));
        }
        let log = format!("rebase ({})", item.verb.name());
        sequence::record(repo, new_tree, parents, change.commit.author.clone(), text, &log)?;
        self.end_stop();
        match item.verb {
            Verb::Reword => self.reword(item, &[b"--amend"], None),
            Verb::Edit => self.stop_to_edit(item),
            _ => Ok(Step::Next),
        }
    }

    /// Untracked files are in the way: the step is tried again when the user goes on.
    fn reschedule(&mut self, item: &Item, stop: Stop) -> Res<Step> {
        say!("{}", stop.message());
        let line = item.line(&|oid| self.repo.short(oid));
        sequence::hint(&format!(
            "Could not execute the todo command\n\n    {line}\n\nIt has been rescheduled; To edit the command before continuing, please\nedit the todo list first:\n\n    git rebase --edit-todo\n    git rebase --continue"
        ));
        self.state.done.pop();
        self.state.todo.insert(0, item.clone());
        self.state.save()?;
        let commit = self.repo.odb.commit(&item.oid)?;
        self.note_stop(&commit, &item.oid)?;
        let _ = fs::remove_file(self.state.file("stopped-sha"));
        Ok(Step::Stop(1))
    }

    fn reword(&self, item: &Item, words: &[&[u8]], author: Option<Person>) -> Res<Step> {
        let mut all: Vec<Vec<u8>> = words.iter().map(|w| w.to_vec()).collect();
        all.extend([b"-e".to_vec(), b"--allow-empty".to_vec()]);
        let extra = commit::Extra { author, action: Some(format!("rebase ({})", item.verb.name())) };
        let status = match commit::commit_for(self.setting, &all, &extra) {
            Ok(status) => status,
            Err(stop) => crate::end(&stop),
        };
        if status == 0 {
            return Ok(Step::Next);
        }
        let commit = self.repo.odb.commit(&item.oid)?;
        self.note_stop(&commit, &item.oid)?;
        fs::write(self.state.file("amend"), format!("{}\n", self.repo.head().unwrap_or_default()))?;
        say!(
            "Could not amend commit after successfully picking {}... {}\nThis is most likely due to an empty commit message, or the pre-commit hook\nfailed. If the pre-commit hook failed, you may need to resolve the issue before\nyou are able to reword the commit.",
            self.repo.short(&item.oid),
            bytes::text(&commit.subject())
        );
        Ok(Step::Stop(status))
    }

    fn stop_to_edit(&self, item: &Item) -> Res<Step> {
        let commit = self.repo.odb.commit(&item.oid)?;
        let head = self.repo.head().unwrap_or_default();
        self.note_stop(&commit, &item.oid)?;
        fs::write(self.state.file("amend"), format!("{head}\n"))?;
        say!(
            "Stopped at {}...  {}\nYou can amend the commit now, with\n\n  git commit --amend \n\nOnce you are satisfied with your changes, run\n\n  git rebase --continue",
            self.repo.short(&item.oid),
            bytes::text(&commit.subject())
        );
        Ok(Step::Stop(0))
    }

    /// Writes down which commit it stopped at.
    fn note_stop(&self, commit: &Rc<Commit>, oid: &Oid) -> Res<()> {
        let repo = self.repo;
        fs::write(self.state.file("stopped-sha"), format!("{oid}\n"))?;
        fs::write(repo.file("REBASE_HEAD"), format!("{oid}\n"))?;
        let old = match commit.parents.first() {
            Some(parent) => Some(repo.odb.commit(parent)?.tree),
            None => None,
        };
        let mut options = diffout::Options::new(Some(repo));
        options.patch = true;
        options.style.color = false;
        let all = changes::trees(repo, old, Some(commit.tree), &Default::default())?;
        let (result, patch) = captured(|| diffout::show(repo, all, &options));
        result?;
        fs::write(self.state.file("patch"), patch)?;
        if !self.state.has("message") {
            fs::write(self.state.file("message"), [&commit.message[..], b"\n"].concat())?;
        }
        let quote = |text: &[u8]| bytes::text(text).replace('\'', "'\\''");
        let who = &commit.author;
        fs::write(
            self.state.file("author-script"),
            format!(
                "GIT_AUTHOR_NAME='{}'\nGIT_AUTHOR_EMAIL='{}'\nGIT_AUTHOR_DATE='@{} {}'\n",
                quote(&who.name),
                quote(&who.email),
                who.time,
                crate::oid::zone_text(who.zone)
            ),
        )?;
        Ok(())
    }

    /// Adds the message of a commit to those that are to be one.
    fn meld(&self, item: &Item, head: &Oid, change: &Change) -> Res<()> {
        let file = self.state.file("message-squash");
        let body = change.commit.message.clone();
        let body = if body.ends_with(b"\n") || body.is_empty() { body } else { [&body[..], b"\n"].concat() };
        let mut text = self.state.text("message-squash");
        let count;
        if text.is_empty() {
            count = 2;
            let first = bytes::text(&self.repo.odb.commit(head)?.message);
            if item.verb == Verb::Fixup && item.message.is_none() {
                fs::write(self.state.file("message-fixup"), &first)?;
            }
            text = format!(
                "# This is a combination of 2 commits.\n# This is the 1st commit message:\n\n{first}"
            );
        } else {
            let n = text.split(' ').nth(6).and_then(|n| n.parse::<usize>().ok()).unwrap_or(1);
            count = n + 1;
            let rest = text.split_once('\n').map_or("", |r| r.1).to_owned();
            text = format!("# This is a combination of {count} commits.\n{rest}");
        }
        let body = bytes::text(&body);
        if item.verb == Verb::Fixup && item.message.is_none() {
            text += &format!("\n# The commit message #{count} will be skipped:\n\n");
            for line in body.lines() {
                text += &if line.is_empty() { "#\n".to_owned() } else { format!("# {line}\n") };
            }
        } else {
            let marked = ["squash! ", "fixup! ", "amend! "].iter().any(|p| body.starts_with(p));
            let own = match body.split_once('\n') {
                Some((_, rest)) if body.starts_with("amend! ") => rest.trim_start_matches('\n').to_owned(),
                _ => body.clone(),
            };
            if item.message == Some(false) {
                fs::write(self.state.file("message-fixup"), &own)?;
            } else {
                let _ = fs::remove_file(self.state.file("message-fixup"));
            }
            text += &format!("\n# This is the commit message #{count}:\n\n");
            text += &if marked && item.message.is_none() { format!("# {body}") } else { own };
        }
        fs::write(file, text)?;
        Ok(())
    }

    /// Puts the tree into the commit before it.
    fn amend(&self, item: &Item, head: &Oid, tree: Oid) -> Res<Step> {
        let repo = self.repo;
        let old = repo.odb.commit(head)?;
        let last = !self.state.todo.first().is_some_and(|i| matches!(i.verb, Verb::Squash | Verb::Fixup));
        let log = format!("rebase ({})", item.verb.name());
        let fixup = fs::read(self.state.file("message-fixup")).ok();
        if last && fixup.is_none() {
            let file = repo.file("SQUASH_MSG");
            fs::write(&file, self.state.text("message-squash"))?;
            let words: [&[u8]; 3] = [b"--amend", b"-F", bytes::of(file.as_os_str())];
            let step = self.reword(item, &words, Some(old.author.clone()))?;
            self.forget_meld();
            return Ok(step);
        }
        let text = match fixup {
            Some(text) if last => message::clean(&text, Cleanup::Strip),
            _ => self.state.text("message-squash").into_bytes(),
        };
        let made = Commit {
            tree,
            parents: old.parents.clone(),
            author: old.author.clone(),
            committer: repo.committer()?,
            extra: Vec::new(),
            message: text,
        };
        let oid = repo.odb.write(Kind::Commit, &made.write())?;
        repo.set_head(&oid, &format!("{log}: {}", bytes::text(&made.subject())))?;
        self.end_stop();
        if last {
            self.forget_meld();
        }
        Ok(Step::Next)
    }

    fn forget_meld(&self) {
        for name in ["message-squash", "message-fixup"] {
            let _ = fs::remove_file(self.state.file(name));
        }
    }

    /// Commits what the user has resolved. `Some`: it cannot go on.
    fn commit_staged(&mut self) -> Res<Option<i32>> {
        let repo = self.repo;
        let mut index = repo.index()?;
        if !index.unmerged().is_empty() {
            for path in index.unmerged() {
                out!("{}: needs merge\n", bytes::text(&path));
            }
            out!("You must edit all merge conflicts and then\nmark them as resolved using git add\n");
            return Ok(Some(1));
        }
        worktree::refresh_and_write(repo, &mut index);
        if !changes::index_to_worktree(repo, &index, &Default::default()).is_empty() {
            say!("error: cannot rebase: You have unstaged changes.");
            return Ok(Some(1));
        }
        let head = repo.head().unwrap_or_default();
        let files = cmd::commit_files(repo, &head)?;
        if changes::tree_to_index(&files, &index, &Default::default()).is_empty() {
            return Ok(None);
        }
        let amend = self.state.oid("amend");
        if amend.is_some_and(|a| a != head) {
            say!(
                "error: \nYou have uncommitted changes in your working tree. Please, commit them\nfirst and then run 'git rebase --continue' again."
            );
            return Ok(Some(1));
        }
        let file = if amend.is_some() && self.state.has("message-squash") {
            let fixup = self.state.file("message-fixup");
            if fixup.exists() { fixup } else { self.state.file("message-squash") }
        } else {
            self.state.file("message")
        };
        let mut words: Vec<Vec<u8>> =
            vec![b"--cleanup=strip".to_vec(), b"--allow-empty".to_vec(), b"-n".to_vec()];
        if amend.is_some() {
            words.push(b"--amend".to_vec());
        }
        if file.exists() {
            words.extend([b"-F".to_vec(), bytes::of(file.as_os_str()).to_vec()]);
        }
        if !file.ends_with("message-fixup") {
            words.push(b"-e".to_vec());
        }
        let author = if amend.is_some() { None } else { self.stopped_author() };
        let extra = commit::Extra { author, action: Some("rebase (continue)".to_owned()) };
        let status = match commit::commit_for(self.setting, &words, &extra) {
            Ok(status) => status,
            Err(stop) => crate::end(&stop),
        };
        if status != 0 {
            say!("error: could not commit staged changes.");
            return Ok(Some(1));
        }
        if amend.is_some() {
            self.forget_meld();
        }
        Ok(None)
    }

    /// The author of the commit that it stopped at.
    fn stopped_author(&self) -> Option<Person> {
        let oid = self.state.oid("stopped-sha")?;
        Some(self.repo.odb.commit(&oid).ok()?.author.clone())
    }

    fn finish(&mut self) -> Res<i32> {
        let repo = self.repo;
        let head = repo.head().unwrap_or_default();
        let name = self.state.head_name.clone();
        if name.starts_with("refs/") {
            repo.set_ref(&name, &head, None, &format!("rebase (finish): {name} onto {}", self.state.onto))?;
            let log = format!("rebase (finish): returning to {name}");
            repo.set_symbolic("HEAD", &name, Some((head, head, &log)))?;
        }
        self.give_back()?;
        if !self.state.quiet {
            say!(
                "Successfully rebased and updated {}.",
                if name.starts_with("refs/") { &name } else { "detached HEAD" }
            );
        }
        self.remove();
        Ok(0)
    }

    fn abort(&mut self) -> Res<i32> {
        let repo = self.repo;
        let (orig, name) = (self.state.orig_head, self.state.head_name.clone());
        let mut index = repo.index()?;
        let lock = index.lock()?;
        switch::force(repo, &mut index, &cmd::commit_files(repo, &orig)?)?;
        index.write(lock)?;
        let old = repo.head().unwrap_or_default();
        if name.starts_with("refs/") {
            let log = format!("rebase (abort): returning to {name}");
            repo.set_symbolic("HEAD", &name, Some((old, orig, &log)))?;
        } else {
            repo.detach(&orig, &format!("rebase (abort): returning to {orig}"))?;
        }
        if name.starts_with("refs/") && repo.ref_oid(&name).is_none() {
            fatal!("could not move back to {name}");
        }
        self.give_back()?;
        self.remove();
        Ok(0)
    }

    /// Applies what was put away at the start.
    fn give_back(&self) -> Res<()> {
        match self.state.oid("autostash") {
            Some(oid) => stash::take_back(self.setting, self.repo, &oid),
            None => Ok(()),
        }
    }

    fn remove(&self) {
        merge::clear_state(self.repo);
        let _ = fs::remove_file(self.repo.file("REBASE_HEAD"));
        let _ = fs::remove_dir_all(&self.state.dir);
    }
}

/// Text on standard error that the next line may overwrite.
fn progress(text: &str) {
    flush();
    let _ = std::io::stderr().write_all(text.as_bytes());
}
