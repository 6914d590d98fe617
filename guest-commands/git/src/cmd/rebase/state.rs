//! The state of a rebase in `.git/rebase-merge`, as git keeps it, and what status says of it.

use super::todo::{self, Item};
use crate::error::{Res, fatal};
use crate::oid::Oid;
use crate::repo::Repo;
use crate::threeway::Favor;
use std::fs;
use std::path::PathBuf;

/// A rebase that is under way.
pub(crate) struct State {
    pub(crate) dir: PathBuf,
    /// `refs/heads/…` or `detached HEAD`.
    pub(crate) head_name: String,
    pub(crate) onto: Oid,
    pub(crate) orig_head: Oid,
    /// The empty commit that stands below a new first one.
    pub(crate) squash_onto: Option<Oid>,
    pub(crate) quiet: bool,
    pub(crate) signoff: bool,
    pub(crate) favor: Favor,
    /// `drop`, `keep` or `stop`.
    pub(crate) empty: String,
    /// Commits are made anew even if nothing changes.
    pub(crate) force: bool,
    pub(crate) done: Vec<Item>,
    pub(crate) todo: Vec<Item>,
}

impl State {
    pub(crate) fn there(repo: &Repo) -> bool {
        repo.git_dir.join("rebase-merge").is_dir()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.file(name).exists()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    pub(crate) fn oid(&self, name: &str) -> Option<Oid> {
        Oid::parse(self.text(name).trim().as_bytes())
    }

    /// Makes the folder.
    pub(crate) fn create(&self, stash: Option<Oid>) -> Res<()> {
        fs::create_dir_all(&self.dir)?;
        let mut files = vec![
            ("head-name", format!("{}\n", self.head_name)),
            ("onto", format!("{}\n", self.onto)),
            ("orig-head", format!("{}\n", self.orig_head)),
            ("interactive", String::new()),
            ("no-reschedule-failed-exec", String::new()),
        ];
        match self.empty.as_str() {
            "drop" => files.push(("drop_redundant_commits", String::new())),
            "keep" => files.push(("keep_redundant_commits", String::new())),
            _ => {}
        }
        if self.quiet {
            files.push(("quiet", String::new()));
        }
        if self.signoff {
            files.push(("signoff", "--signoff\n".to_owned()));
        }
        if let Some(oid) = self.squash_onto {
            files.push(("squash-onto", format!("{oid}\n")));
        }
        if let Some(oid) = stash {
            files.push(("autostash", format!("{oid}\n")));
        }
        match self.favor {
            Favor::Ours => files.push(("strategy_opts", " --ours\n".to_owned())),
            Favor::Theirs => files.push(("strategy_opts", " --theirs\n".to_owned())),
            _ => {}
        }
        for (name, text) in files {
            fs::write(self.file(name), text)?;
        }
        Ok(())
    }

    pub(crate) fn load(repo: &Repo) -> Res<State> {
        let dir = repo.git_dir.join("rebase-merge");
        let mut state = State {
            dir,
            head_name: String::new(),
            onto: Oid::ZERO,
            orig_head: Oid::ZERO,
            squash_onto: None,
            quiet: false,
            signoff: false,
            favor: Favor::None,
            empty: "stop".to_owned(),
            force: false,
            done: Vec::new(),
            todo: Vec::new(),
        };
        state.head_name = state.text("head-name").trim().to_owned();
        let (Some(onto), Some(orig)) = (state.oid("onto"), state.oid("orig-head")) else {
            fatal!("could not read '.git/rebase-merge/onto': No such file or directory");
        };
        (state.onto, state.orig_head) = (onto, orig);
        state.squash_onto = state.oid("squash-onto");
        state.quiet = state.has("quiet");
        state.signoff = state.has("signoff");
        state.force = state.signoff;
        if state.has("drop_redundant_commits") {
            state.empty = "drop".to_owned();
        } else if state.has("keep_redundant_commits") {
            state.empty = "keep".to_owned();
        }
        state.favor = match state.text("strategy_opts").trim() {
            "--ours" => Favor::Ours,
            "--theirs" => Favor::Theirs,
            _ => Favor::None,
        };
        state.done = todo::read(repo, &state.text("done"), false)?.unwrap_or_default();
        Ok(state)
    }

    /// Writes what is left and what is done.
    pub(crate) fn save(&self) -> Res<()> {
        let full = |oid: &Oid| oid.to_string();
        fs::write(self.file("git-rebase-todo"), todo::write(&self.todo, &full))?;
        fs::write(self.file("done"), todo::write(&self.done, &full))?;
        Ok(())
    }
}

fn commands(text: &str, repo: &Repo) -> Vec<String> {
    text.lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(|line| {
            // Names of commits are short here, but not those of commands that take none.
            let words: Vec<&str> = line.split(' ').collect();
            if matches!(words[0], "exec" | "x" | "label" | "l") {
                return line.to_owned();
            }
            let shorten = |w: &str| match Oid::parse(w.as_bytes()) {
                Some(oid) => repo.short(&oid),
                None => w.to_owned(),
            };
            words
                .iter()
                .take(2)
                .map(|w| shorten(w))
                .chain(words.iter().skip(2).map(|w| (*w).to_owned()))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

/// What status says of a rebase, the line about HEAD first.
pub(crate) fn status_text(repo: &Repo, conflicts: bool) -> String {
    let dir = repo.git_dir.join("rebase-merge");
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap_or_default();
    let line = |name: &str| read(name).trim().to_owned();
    let onto = Oid::parse(line("onto").as_bytes()).map(|o| repo.short(&o)).unwrap_or_default();
    let mut out = String::new();
    let done = commands(&read("done"), repo);
    let todo = commands(&read("git-rebase-todo"), repo);
    match done.len() {
        0 => out += "No commands done.\n",
        n => {
            out += &if n == 1 {
                "Last command done (1 command done):\n".to_owned()
            } else {
                format!("Last commands done ({n} commands done):\n")
            };
            done.iter().skip(n.saturating_sub(2)).for_each(|l| out += &format!("   {l}\n"));
            if n > 2 {
                out += "  (see more in file .git/rebase-merge/done)\n";
            }
        }
    }
    match todo.len() {
        0 => out += "No commands remaining.\n",
        n => {
            out += &if n == 1 {
                "Next command to do (1 remaining command):\n".to_owned()
            } else {
                format!("Next commands to do ({n} remaining commands):\n")
            };
            todo.iter().take(2).for_each(|l| out += &format!("   {l}\n"));
            out += "  (use \"git rebase --edit-todo\" to view and edit)\n";
        }
    }
    let name = line("head-name");
    let of = match name.strip_prefix("refs/heads/") {
        Some(branch) => format!(" branch '{branch}' on '{onto}'"),
        None => String::new(),
    };
    let while_of = if of.is_empty() { String::new() } else { format!(" while rebasing{of}") };
    if conflicts {
        out += &format!(
            "You are currently rebasing{of}.\n  (fix conflicts and then run \"git rebase --continue\")\n  (use \"git rebase --skip\" to skip this patch)\n  (use \"git rebase --abort\" to check out the original branch)\n"
        );
    } else if repo.git_dir.join("MERGE_MSG").exists() {
        out += &format!(
            "You are currently rebasing{of}.\n  (all conflicts fixed: run \"git rebase --continue\")\n"
        );
    } else if is_splitting(repo) {
        out += &format!(
            "You are currently splitting a commit{while_of}.\n  (Once your working directory is clean, run \"git rebase --continue\")\n"
        );
    } else {
        out += &format!(
            "You are currently editing a commit{while_of}.\n  (use \"git commit --amend\" to amend the current commit)\n  (use \"git rebase --continue\" once you are satisfied with your changes)\n"
        );
    }
    out + "\n"
}

/// Whether the commit that is edited has been taken back.
fn is_splitting(repo: &Repo) -> bool {
    let read = |name: &str| {
        fs::read_to_string(repo.git_dir.join("rebase-merge").join(name)).unwrap_or_default().trim().to_owned()
    };
    let (amend, orig) = (read("amend"), read("orig-head"));
    let head = repo.head().unwrap_or_default().to_string();
    !amend.is_empty() && amend == orig && head != amend
}

/// The line about HEAD that status begins with.
pub(crate) fn head_line(repo: &Repo) -> Option<String> {
    let text = fs::read_to_string(repo.git_dir.join("rebase-merge/onto")).ok()?;
    let onto = Oid::parse(text.trim().as_bytes()).map(|o| repo.short(&o)).unwrap_or_default();
    Some(format!("interactive rebase in progress; onto {onto}\n"))
}
