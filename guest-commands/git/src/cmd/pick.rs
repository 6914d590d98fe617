//! `git cherry-pick` and `git revert`: one commit after the other. A sequence that stops is kept in `.git/sequencer`.

use super::merge;
use crate::args::{Args, Word};
use crate::bytes;
use crate::changes::{self, Files};
use crate::error::{Res, Stop, fatal, say};
use crate::message::{self, Cleanup};
use crate::oid::Oid;
use crate::repo::{Repo, Setting};
use crate::sequence::{self, Change};
use crate::threeway::Favor;
use crate::{revision, tree, walk};
use std::fs;

/// What is done with commits that become empty.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Empty {
    #[default]
    Stop,
    Drop,
    Keep,
}

#[derive(Clone, Default)]
struct Options {
    revert: bool,
    no_commit: bool,
    note: bool,
    signoff: bool,
    edit: bool,
    ff: bool,
    allow_empty: bool,
    empty: Empty,
    mainline: Option<usize>,
    favor: Favor,
}

const PICK_USAGE: &str = "[--edit] [-n] [-m <parent-number>] [-s] [-x] [--ff]
                       [-S[<keyid>]] <commit>...
   or: git cherry-pick (--continue | --skip | --abort | --quit)

    --quit                end revert or cherry-pick sequence
    --continue            resume revert or cherry-pick sequence
    --abort               cancel revert or cherry-pick sequence
    --skip                skip current commit and continue
    --[no-]cleanup <mode> how to strip spaces and #comments from message
    -n, --no-commit       don't automatically commit
    --commit              opposite of --no-commit
    -e, --[no-]edit       edit the commit message
    -s, --[no-]signoff    add a Signed-off-by trailer
    -m, --[no-]mainline <parent-number>
                          select mainline parent
    --[no-]rerere-autoupdate
                          update the index with reused conflict resolution if possible
    --[no-]strategy <strategy>
                          merge strategy
    -X, --[no-]strategy-option <option>
                          option for merge strategy
    -S, --[no-]gpg-sign[=<key-id>]
                          GPG sign commit
    -x                    append commit name
    --[no-]ff             allow fast-forward
    --[no-]allow-empty    preserve initially empty commits
    --[no-]allow-empty-message
                          allow commits with empty messages
    --[no-]keep-redundant-commits
                          deprecated: use --empty=keep instead
    --empty (stop|drop|keep)
                          how to handle commits that become empty
";

const REVERT_USAGE: &str = "[--[no-]edit] [-n] [-m <parent-number>] [-s] [-S[<keyid>]] <commit>...
   or: git revert (--continue | --skip | --abort | --quit)

    --quit                end revert or cherry-pick sequence
    --continue            resume revert or cherry-pick sequence
    --abort               cancel revert or cherry-pick sequence
    --skip                skip current commit and continue
    --[no-]cleanup <mode> how to strip spaces and #comments from message
    -n, --no-commit       don't automatically commit
    --commit              opposite of --no-commit
    -e, --[no-]edit       edit the commit message
    -s, --[no-]signoff    add a Signed-off-by trailer
    -m, --[no-]mainline <parent-number>
                          select mainline parent
    --[no-]rerere-autoupdate
                          update the index with reused conflict resolution if possible
    --[no-]strategy <strategy>
                          merge strategy
    -X, --[no-]strategy-option <option>
                          option for merge strategy
    -S, --[no-]gpg-sign[=<key-id>]
                          GPG sign commit
    --[no-]reference      use the 'reference' format to refer to commits
";

pub(crate) fn cherry_pick(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    pick(setting, words, false)
}

pub(crate) fn revert(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    pick(setting, words, true)
}

fn pick(setting: &Setting, words: &[Vec<u8>], revert: bool) -> Res<i32> {
    let command = if revert { "revert" } else { "cherry-pick" };
    let usage = if revert { REVERT_USAGE } else { PICK_USAGE };
    let mut args = Args::new(words, "mX", command, usage);
    let terminal = agentos_guest::tty::tcgetattr(0).is_ok();
    let mut o = Options { revert, edit: revert && terminal, ..Options::default() };
    let mut action = "";
    let mut names = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(option) => match option.as_str() {
                "-n" | "--no-commit" => o.no_commit = true,
                "--commit" => o.no_commit = false,
                "-x" if !revert => o.note = true,
                "-s" | "--signoff" => o.signoff = true,
                "--no-signoff" => o.signoff = false,
                "-e" | "--edit" => o.edit = true,
                "--no-edit" => o.edit = false,
                "--no-gpg-sign" | "--no-rerere-autoupdate" => {}
                "--ff" if !revert => o.ff = true,
                "--no-ff" if !revert => o.ff = false,
                "--allow-empty" if !revert => o.allow_empty = true,
                "--keep-redundant-commits" if !revert => (o.empty, o.allow_empty) = (Empty::Keep, true),
                "--empty" | "--empty=" if !revert => {
                    let value = args.value(&option)?;
                    o.empty = match value.as_str() {
                        "stop" => Empty::Stop,
                        "drop" => Empty::Drop,
                        "keep" => Empty::Keep,
                        _ => return Err(Stop::Error(129, format!("invalid value for 'empty': '{value}'"))),
                    };
                }
                "-m" | "--mainline" | "--mainline=" => {
                    o.mainline = args.value(&option)?.parse::<usize>().ok().filter(|n| *n > 0);
                    if o.mainline.is_none() {
                        return Err(Stop::Error(
                            129,
                            "option `mainline' expects a number greater than zero".to_owned(),
                        ));
                    }
                }
                "-X" | "--strategy-option" | "--strategy-option=" => {
                    o.favor = merge::favor(&args.value(&option)?)?;
                }
                "--strategy" | "--strategy=" => {
                    let name = args.value(&option)?;
                    if !matches!(name.as_str(), "ort" | "recursive") {
                        fatal!("merge strategy '{name}' is not supported");
                    }
                }
                "--abort" => action = "abort",
                "--continue" => action = "continue",
                "--skip" => action = "skip",
                "--quit" => action = "quit",
                "-S" | "--gpg-sign" | "--rerere-autoupdate" | "--reference" | "--cleanup" | "--cleanup=" => {
                    fatal!("option {} is not supported", option.trim_end_matches('='))
                }
                _ => return Err(Stop::Said(129, args.usage_text())),
            },
            Word::Plain(word) => names.push(bytes::text(&word)),
        }
    }
    if o.empty != Empty::Stop {
        o.allow_empty = true;
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    let sequence = Sequence { setting, repo: &repo, command };
    match action {
        "" => {}
        "quit" => {
            sequence.remove();
            merge::clear_state(&repo);
            return Ok(0);
        }
        "abort" => return sequence.abort(),
        "skip" => return sequence.skip(o),
        _ => return sequence.proceed(o),
    }
    if names.is_empty() {
        return Err(Stop::Said(129, args.usage_text()));
    }
    let todo = commits(&repo, &names, revert)?;
    if todo.is_empty() {
        say!("error: empty commit set passed");
        fatal!("{command} failed");
    }
    let index = repo.index()?;
    if !index.unmerged().is_empty() {
        say!(
            "error: {} is not possible because you have unmerged files.",
            if revert { "Reverting" } else { "Cherry-picking" }
        );
        say!(
            "hint: Fix them up in the work tree, and then use 'git add/rm <file>'\nhint: as appropriate to mark resolution and make a commit."
        );
        fatal!("{command} failed");
    }
    if repo.head().is_none() {
        fatal!("your current branch does not have any commits yet");
    }
    if todo.len() > 1 {
        if let Ok(text) = fs::read(sequence.file("todo")) {
            let what = if text.starts_with(b"revert") { "revert" } else { "cherry-pick" };
            say!("error: {what} is already in progress");
            say!("hint: try \"git {what} (--continue | --skip | --abort | --quit)\"");
            fatal!("{command} failed");
        }
        fs::create_dir_all(sequence.file(""))?;
        let head = repo.head().unwrap_or_default();
        fs::write(sequence.file("head"), format!("{head}\n"))?;
        sequence.safety()?;
        sequence.save_options(&o)?;
    }
    sequence.run(todo, &o)
}

/// The commits that are named, in the order in which they are taken.
fn commits(repo: &Repo, names: &[String], revert: bool) -> Res<Vec<Oid>> {
    let mut picks = Vec::new();
    if names.iter().any(|n| n.contains("..") || n.starts_with('^')) {
        let mut walk = walk::Walk { reverse: !revert, ..walk::Walk::default() };
        for name in names {
            if !walk.take(repo, name, false)? {
                fatal!("bad revision '{name}'");
            }
        }
        return walk.run(repo);
    }
    for name in names {
        match revision::find(repo, name)? {
            Some(oid) => picks.extend(repo.odb.peel_commit(&oid)?),
            None => fatal!("bad revision '{name}'"),
        }
    }
    Ok(picks)
}

/// A sequence of picks and where its state is.
struct Sequence<'a> {
    setting: &'a Setting,
    repo: &'a Repo,
    command: &'static str,
}

impl Sequence<'_> {
    fn file(&self, name: &str) -> std::path::PathBuf {
        self.repo.git_dir.join("sequencer").join(name)
    }

    fn remove(&self) {
        // It need not be there.
        let _ = fs::remove_dir_all(self.repo.git_dir.join("sequencer"));
    }

    fn under_way(&self) -> bool {
        self.file("todo").exists()
    }

    /// Remembers where HEAD is, so that an abort does not lose what came later.
    fn safety(&self) -> Res<()> {
        let head = self.repo.head().unwrap_or_default();
        Ok(fs::write(self.file("abort-safety"), format!("{head}\n"))?)
    }

    fn save_options(&self, o: &Options) -> Res<()> {
        let mut text = String::new();
        for (name, set) in [
            ("no-commit", o.no_commit),
            ("edit", o.edit && !o.revert),
            ("allow-empty", o.allow_empty),
            ("keep-redundant-commits", o.empty == Empty::Keep),
            ("drop-redundant-commits", o.empty == Empty::Drop),
            ("signoff", o.signoff),
            ("record-origin", o.note),
            ("allow-ff", o.ff),
        ] {
            if set {
                text += &format!("\t{name} = true\n");
            }
        }
        if let Some(n) = o.mainline {
            text += &format!("\tmainline = {n}\n");
        }
        for (favor, name) in [(Favor::Ours, "ours"), (Favor::Theirs, "theirs")] {
            if o.favor == favor {
                text += &format!("\tstrategy-option = {name}\n");
            }
        }
        if !text.is_empty() {
            fs::write(self.file("opts"), format!("[options]\n{text}"))?;
        }
        Ok(())
    }

    fn load_options(&self, o: &mut Options) {
        let text = fs::read_to_string(self.file("opts")).unwrap_or_default();
        for line in text.lines() {
            let Some((name, value)) = line.trim().split_once(" = ") else { continue };
            match name {
                "no-commit" => o.no_commit = true,
                "edit" => o.edit = true,
                "allow-empty" => o.allow_empty = true,
                "keep-redundant-commits" => o.empty = Empty::Keep,
                "drop-redundant-commits" => o.empty = Empty::Drop,
                "signoff" => o.signoff = true,
                "record-origin" => o.note = true,
                "allow-ff" => o.ff = true,
                "mainline" => o.mainline = value.parse().ok(),
                "strategy-option" => o.favor = merge::favor(value).unwrap_or_default(),
                _ => {}
            }
        }
    }

    fn fail<T>(&self, text: &str) -> Res<T> {
        say!("error: {text}");
        fatal!("{} failed", self.command)
    }

    /// The commits that are left, the one that stopped first.
    fn todo(&self) -> Res<(Vec<Oid>, bool)> {
        let text = fs::read_to_string(self.file("todo"))?;
        let mut list = Vec::new();
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            match line.split(' ').nth(1).map(|name| revision::commit(self.repo, name)) {
                Some(Ok(oid)) => list.push(oid),
                _ => return self.fail("unusable instruction sheet: '.git/sequencer/todo'"),
            }
        }
        Ok((list, text.starts_with("revert")))
    }

    fn half_done(&self) -> bool {
        let there = |name: &str| self.repo.git_dir.join(name).exists();
        there("CHERRY_PICK_HEAD") || there("REVERT_HEAD")
    }

    fn reset_to(&self, head: &Oid) -> Res<()> {
        let old = self.repo.head().unwrap_or_default();
        merge::restore(self.repo, head)?;
        fs::write(self.repo.file("ORIG_HEAD"), format!("{old}\n"))?;
        self.repo.set_head(head, &format!("reset: moving to {head}"))?;
        merge::clear_state(self.repo);
        Ok(())
    }

    fn abort(&self) -> Res<i32> {
        let head = self.repo.head().unwrap_or_default();
        let Ok(text) = fs::read(self.file("head")) else {
            if !self.half_done() {
                return self.fail("no cherry-pick or revert in progress");
            }
            self.reset_to(&head)?;
            return Ok(0);
        };
        let safe = fs::read(self.file("abort-safety")).unwrap_or_default();
        if Oid::parse(safe.trim_ascii()).is_some_and(|s| s == head) {
            self.reset_to(&Oid::parse(text.trim_ascii()).unwrap_or(head))?;
        } else {
            say!("warning: You seem to have moved HEAD. Not rewinding, check your HEAD!");
        }
        self.remove();
        Ok(0)
    }

    fn skip(&self, mut o: Options) -> Res<i32> {
        let state = if o.revert { "REVERT_HEAD" } else { "CHERRY_PICK_HEAD" };
        if !self.repo.git_dir.join(state).exists() {
            return self.fail(&format!("no {} in progress", self.command));
        }
        self.reset_to(&self.repo.head().unwrap_or_default())?;
        if !self.under_way() {
            return Ok(0);
        }
        self.load_options(&mut o);
        let (mut todo, revert) = self.todo()?;
        o.revert = revert;
        if !todo.is_empty() {
            todo.remove(0);
        }
        self.run(todo, &o)
    }

    fn proceed(&self, mut o: Options) -> Res<i32> {
        if !self.half_done() && !self.under_way() {
            return self.fail("no cherry-pick or revert in progress");
        }
        if self.half_done() {
            let words: &[&[u8]] = if o.edit { &[] } else { &[b"--no-edit", b"--cleanup=strip"] };
            let words: Vec<Vec<u8>> = words.iter().map(|w| w.to_vec()).collect();
            let status = super::commit::commit(self.setting, &words)?;
            if status != 0 || !self.under_way() {
                return Ok(status);
            }
        }
        self.load_options(&mut o);
        let (mut todo, revert) = self.todo()?;
        o.revert = revert;
        if !todo.is_empty() {
            todo.remove(0);
        }
        self.safety()?;
        self.run(todo, &o)
    }

    fn run(&self, mut todo: Vec<Oid>, o: &Options) -> Res<i32> {
        let several = self.file("").exists();
        while let Some(oid) = todo.first().copied() {
            if several {
                let verb = if o.revert { "revert" } else { "pick" };
                let mut text = String::new();
                for oid in &todo {
                    let subject = bytes::text(&self.repo.odb.commit(oid)?.subject());
                    text += &format!("{verb} {} {subject}\n", self.repo.short(oid));
                }
                fs::write(self.file("todo"), text)?;
            }
            let status = self.one(oid, o)?;
            if status != 0 {
                return Ok(status);
            }
            todo.remove(0);
            if several {
                self.safety()?;
            }
        }
        if several {
            self.remove();
        }
        Ok(0)
    }

    /// Takes one commit; the exit status.
    fn one(&self, oid: Oid, o: &Options) -> Res<i32> {
        let repo = self.repo;
        let head = repo.head().unwrap_or_default();
        let mut index = repo.index()?;
        let ours: Files = if o.no_commit {
            index.entries.iter().map(|e| (e.path.clone(), (e.mode, e.oid))).collect()
        } else {
            super::commit_files(repo, &head)?
        };
        if !o.no_commit && !changes::tree_to_index(&ours, &index, &Default::default()).is_empty() {
            say!("error: your local changes would be overwritten by {}.", self.command);
            say!("hint: commit your changes or stash them to proceed.");
            fatal!("{} failed", self.command);
        }
        let change = match Change::new(repo, oid, o.mainline, o.revert)? {
            Ok(change) => change,
            Err(text) => return self.fail(&text),
        };
        if o.ff && change.parent == Some(head) && !(o.note || o.signoff || o.edit || o.no_commit) {
            let lock = index.lock()?;
            let new = super::commit_files(repo, &oid)?;
            crate::switch::two_way(repo, &mut index, &ours, &new, &crate::switch::MERGE)?;
            index.write(lock)?;
            repo.set_head(&oid, "cherry-pick: fast-forward")?;
            return Ok(0);
        }
        let merged = match change.apply(repo, &mut index, &ours, o.favor, false) {
            Ok(merged) => merged,
            Err(Stop::Said(_, text)) => {
                say!("{text}");
                fatal!("{} failed", self.command)
            }
            Err(stop) => return Err(stop),
        };
        let subject = change.subject();
        let mut text =
            if o.revert { revert_message(&change, o.mainline) } else { change.commit.message.clone() };
        if o.note {
            message::add_footer(&mut text, format!("(cherry picked from commit {oid})").as_bytes());
        }
        if o.signoff {
            message::add_trailer(&mut text, &[b"Signed-off-by: ", &repo.committer()?.ident()[..]].concat());
        }
        let state = if o.revert { "REVERT_HEAD" } else { "CHERRY_PICK_HEAD" };
        if !merged.conflicts.is_empty() {
            text.extend(merge::conflict_comment(&merged).bytes());
            fs::write(repo.file("MERGE_MSG"), &text)?;
            if !o.no_commit || o.revert {
                fs::write(repo.file(state), format!("{oid}\n"))?;
            }
            let verb = if o.revert { "revert" } else { "apply" };
            say!("error: could not {verb} {}... {subject}", repo.short(&oid));
            if o.no_commit {
                sequence::hint(
                    "after resolving the conflicts, mark the corrected paths\nwith 'git add <paths>' or 'git rm <paths>'\nDisable this message with \"git config advice.mergeConflict false\"",
                );
            } else {
                let command = self.command;
                sequence::hint(&format!(
                    "After resolving the conflicts, mark them with\n\"git add/rm <pathspec>\", then run\n\"git {command} --continue\".\nYou can instead skip this commit with \"git {command} --skip\".\nTo abort and get back to the state before \"git {command}\",\nrun \"git {command} --abort\".\nDisable this message with \"git config advice.mergeConflict false\""
                ));
            }
            return Ok(1);
        }
        if o.no_commit {
            fs::write(repo.file("MERGE_MSG"), &text)?;
            if o.revert {
                fs::write(repo.file(state), format!("{oid}\n"))?;
            }
            return Ok(0);
        }
        let new_tree = tree::from_files(repo, &merged.files)?;
        if new_tree == repo.odb.commit(&head)?.tree {
            let from_the_start = change.is_empty(repo)?;
            let keep = o.allow_empty && from_the_start || !from_the_start && o.empty == Empty::Keep;
            if !keep && !from_the_start && o.empty == Empty::Drop {
                say!("dropping {oid} {subject} -- patch contents already upstream");
                merge::clear_state(repo);
                return Ok(0);
            }
            if !keep {
                fs::write(repo.file("MERGE_MSG"), &text)?;
                if !o.revert {
                    fs::write(repo.file(state), format!("{oid}\n"))?;
                }
                return super::commit::commit(self.setting, &[b"--no-edit".to_vec()]);
            }
        }
        if o.edit {
            fs::write(repo.file("MERGE_MSG"), &text)?;
            if !o.revert {
                fs::write(repo.file(state), format!("{oid}\n"))?;
            }
            let extra = super::commit::Extra { action: Some(self.command.to_owned()), ..Default::default() };
            return super::commit::commit_for(self.setting, &[b"--allow-empty".to_vec()], &extra);
        }
        if o.note || o.signoff {
            text = message::clean(&text, Cleanup::Whitespace);
        }
        let author = if o.revert { repo.author()? } else { change.commit.author.clone() };
        let (made, commit) = sequence::record(repo, new_tree, vec![head], author, text, self.command)?;
        merge::clear_state(repo);
        super::commit::summary(repo, &made, &commit, true)?;
        Ok(0)
    }
}

fn revert_message(change: &Change, mainline: Option<usize>) -> Vec<u8> {
    let subject = change.subject();
    let title = match subject.strip_prefix("Revert \"") {
        Some(rest) if !rest.starts_with("Revert \"") => format!("Reapply \"{rest}"),
        _ => format!("Revert \"{subject}\""),
    };
    let of = match mainline {
        Some(_) if change.commit.parents.len() > 1 => {
            format!(", reversing\nchanges made to {}", change.parent.unwrap_or_default())
        }
        _ => String::new(),
    };
    format!("{title}\n\nThis reverts commit {}{of}.\n", change.oid).into_bytes()
}
