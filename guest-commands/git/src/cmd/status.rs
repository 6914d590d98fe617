//! `git status` in all its forms; the long one is also what `git commit` shows when there is nothing to commit.

use crate::args::{Args, Word};
use crate::bytes;
use crate::changes::{self, Change};
use crate::error::{Res, fatal, out, put};
use crate::index::Index;
use crate::pathspec::Pathspec;
use crate::repo::{Repo, Setting};
use crate::revision;
use crate::walk;
use crate::worktree::{self, Walk};
use std::collections::BTreeMap;

/// Everything that status shows.
pub(crate) struct State {
    pub(crate) staged: Vec<Change>,
    pub(crate) unstaged: Vec<Change>,
    /// Paths in conflict with their stages as bits.
    pub(crate) unmerged: Vec<(Vec<u8>, u8)>,
    pub(crate) untracked: Vec<Vec<u8>>,
    pub(crate) ignored: Vec<Vec<u8>>,
}

/// Whether untracked files are looked for: `no`, `normal`, `all`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Untracked {
    No,
    Normal,
    All,
}

impl Untracked {
    pub(crate) fn parse(text: &str) -> Res<Untracked> {
        Ok(match text {
            "no" | "false" => Untracked::No,
            "normal" | "true" => Untracked::Normal,
            "all" | "" => Untracked::All,
            other => fatal!("Invalid untracked files mode '{other}'"),
        })
    }
}

/// Looks at everything.
pub(crate) fn state(
    repo: &Repo,
    index: &Index,
    spec: &Pathspec,
    untracked: Untracked,
    ignored: bool,
    renames: bool,
) -> Res<State> {
    let unstaged = changes::index_to_worktree(repo, index, spec);
    state_of(repo, index, spec, unstaged, untracked, ignored, renames)
}

fn state_of(
    repo: &Repo,
    index: &Index,
    spec: &Pathspec,
    mut unstaged: Vec<Change>,
    untracked: Untracked,
    ignored: bool,
    renames: bool,
) -> Res<State> {
    let head = super::head_files(repo)?;
    let mut staged = changes::tree_to_index(&head, index, spec);
    staged.retain(|c| c.status != b'U');
    if renames {
        staged = changes::find_renames(repo, staged, changes::MAX_SCORE / 2, false)?;
    }
    unstaged.retain(|c| c.status != b'U');
    let mut unmerged: BTreeMap<Vec<u8>, u8> = BTreeMap::new();
    for entry in index.entries.iter().filter(|e| e.stage > 0 && spec.matches(&e.path)) {
        *unmerged.entry(entry.path.clone()).or_default() |= 1 << (entry.stage - 1);
    }
    let mut found = worktree::Found::default();
    if untracked != Untracked::No || ignored {
        let walk = Walk { collapse: untracked != Untracked::All, ignored };
        found = worktree::untracked(index, &repo.ignore(), spec, walk)?;
        if untracked == Untracked::No {
            found.untracked.clear();
        }
    }
    Ok(State {
        staged,
        unstaged,
        unmerged: unmerged.into_iter().collect(),
        untracked: found.untracked.into_iter().collect(),
        ignored: found.ignored.into_iter().collect(),
    })
}

/// A name, and how many commits each side has alone.
type Tracking = (String, Option<(usize, usize)>);

/// The branch, its upstream as it is shown, and how far they are apart; `None` of the counts: the upstream is gone.
pub(crate) fn tracking(repo: &Repo, branch: &str) -> Res<Option<Tracking>> {
    let Some(full) = revision::upstream(repo, branch) else { return Ok(None) };
    let name = Repo::shorten(&full).to_owned();
    let (Some(theirs), Some(ours)) = (repo.ref_oid(&full), repo.ref_oid(&format!("refs/heads/{branch}")))
    else {
        return Ok(Some((name, None)));
    };
    if ours == theirs {
        return Ok(Some((name, Some((0, 0)))));
    }
    let (a, b) = (walk::ancestors(repo, &[ours])?, walk::ancestors(repo, &[theirs])?);
    Ok(Some((name, Some((a.difference(&b).count(), b.difference(&a).count())))))
}

/// What `git status` and `git checkout` say of the upstream.
pub(crate) fn tracking_text(repo: &Repo, branch: &str) -> Res<String> {
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    Ok(match tracking(repo, branch)? {
        None => String::new(),
        Some((name, None)) => format!(
            "Your branch is based on '{name}', but the upstream is gone.\n  (use \"git branch --unset-upstream\" to fixup)\n"
        ),
        Some((name, Some((0, 0)))) => format!("Your branch is up to date with '{name}'.\n"),
        Some((name, Some((ahead, 0)))) => format!(
            "Your branch is ahead of '{name}' by {ahead} commit{}.\n  (use \"git push\" to publish your local commits)\n",
            plural(ahead)
        ),
        Some((name, Some((0, behind)))) => format!(
            "Your branch is behind '{name}' by {behind} commit{}, and can be fast-forwarded.\n  (use \"git pull\" to update your local branch)\n",
            plural(behind)
        ),
        Some((name, Some((ahead, behind)))) => format!(
            "Your branch and '{name}' have diverged,\nand have {ahead} and {behind} different commits each, respectively.\n  (use \"git pull\" if you want to integrate the remote branch with yours)\n"
        ),
    })
}

const USAGE: &str = "[-s | --short | --long | --porcelain[=<version>]] [-b] [-z] [-u[<mode>]] [--ignored[=<mode>]] [--] [<pathspec>...]";

pub(crate) fn status(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "", "status", USAGE);
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    let mut form = if repo.config.flag("status.short", false) { "short" } else { "long" };
    let mut branch = repo.config.flag("status.branch", false);
    let mut untracked =
        Untracked::parse(&repo.config.get("status.showuntrackedfiles").unwrap_or_else(|| "normal".into()))?;
    let (mut ignored, mut nul, mut renames, mut stash) = (false, false, true, false);
    let mut paths = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-s" | "--short" => form = "short",
                "--long" => form = "long",
                "--porcelain" => form = "porcelain",
                "--porcelain=" => match args.value(&o)?.as_str() {
                    "v1" | "1" => form = "porcelain",
                    "v2" | "2" => form = "v2",
                    other => fatal!("unsupported porcelain version '{other}'"),
                },
                "-b" | "--branch" => branch = true,
                "--no-branch" => branch = false,
                "-z" | "--null" => nul = true,
                "-u" | "--untracked-files=" => {
                    untracked = Untracked::parse(&args.own_value(&o).unwrap_or_default())?
                }
                "--untracked-files" => untracked = Untracked::All,
                "--ignored" => ignored = true,
                "--ignored=" => ignored = args.value(&o)? != "no",
                "--no-renames" => renames = false,
                "--renames" | "-M" | "--find-renames" | "--ahead-behind" | "--no-ahead-behind"
                | "--no-column" => {}
                "--find-renames=" | "--ignore-submodules=" => {
                    args.value(&o)?;
                }
                "--show-stash" => stash = true,
                "-v" | "--verbose" => fatal!("option {o} is not supported"),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => paths.push(word),
        }
    }
    if nul && form == "long" {
        form = "porcelain";
    }
    let spec = repo.pathspec(&paths)?;
    let mut index = repo.index()?;
    let looks = worktree::refresh_and_write(&repo, &mut index);
    let unstaged = changes::seen_in_worktree(&repo, &index, &spec, looks);
    let state = state_of(&repo, &index, &spec, unstaged, untracked, ignored, renames)?;
    match form {
        "long" => {
            long(&repo, &state, untracked, false)?;
            let count = repo.reflog("refs/stash").len();
            if stash && count > 0 {
                out!("Your stash currently has {count} entr{}\n", if count == 1 { "y" } else { "ies" });
            }
        }
        "v2" => v2(&repo, &index, &state, branch, nul)?,
        _ => short(&repo, &state, branch, nul, form == "short")?,
    }
    Ok(0)
}

fn unmerged_letters(stages: u8) -> (&'static str, &'static str) {
    match stages {
        1 => ("DD", "both deleted:"),
        2 => ("AU", "added by us:"),
        3 => ("UD", "deleted by them:"),
        4 => ("UA", "added by them:"),
        5 => ("DU", "deleted by us:"),
        6 => ("AA", "both added:"),
        _ => ("UU", "both modified:"),
    }
}

/// The long form. `commit`: as the comment or the refusal of `git commit`.
pub(crate) fn long(repo: &Repo, state: &State, untracked: Untracked, commit: bool) -> Res<()> {
    put(long_text(repo, state, untracked, commit)?.as_bytes());
    Ok(())
}

pub(crate) fn long_text(repo: &Repo, state: &State, untracked: Untracked, commit: bool) -> Res<String> {
    use std::fmt::Write as _;
    let mut o = String::new();
    let head = repo.head();
    match repo.head_branch() {
        Some(branch) => {
            let _ = writeln!(o, "On branch {branch}");
            let tracking = tracking_text(repo, &branch)?;
            if !tracking.is_empty() && head.is_some() {
                let _ = writeln!(o, "{tracking}");
            }
        }
        None if super::rebase::head_line(repo).is_some() => {
            o.push_str(&super::rebase::head_line(repo).unwrap_or_default());
        }
        None => {
            let oid = head.unwrap_or_default();
            let _ = match super::detached_name(repo, &oid) {
                Some(name) => writeln!(o, "HEAD detached {name}"),
                None => writeln!(o, "Not currently on any branch."),
            };
        }
    }
    if head.is_none() {
        let _ = write!(o, "\n{}\n\n", if commit { "Initial commit" } else { "No commits yet" });
    }
    let conflicts = !state.unmerged.is_empty();
    let whence = repo.git_dir.join("MERGE_HEAD").exists() || repo.git_dir.join("CHERRY_PICK_HEAD").exists();
    let from = o.len();
    progress(repo, &mut o, conflicts);
    if commit {
        // Without what one could do.
        let kept: String =
            o[from..].lines().filter(|l| !l.starts_with("  (")).map(|l| format!("{l}\n")).collect();
        o.truncate(from);
        o.push_str(&kept);
    }
    let name = |path: &[u8]| bytes::text(&bytes::quote(&repo.relative(path), repo.quote_path()));
    if !state.staged.is_empty() {
        o.push_str("Changes to be committed:\n");
        if whence || commit {
        } else if head.is_some() {
            o.push_str("  (use \"git restore --staged <file>...\" to unstage)\n");
        } else {
            o.push_str("  (use \"git rm --cached <file>...\" to unstage)\n");
        }
        for c in &state.staged {
            let _ = writeln!(o, "\t{}", change_line(c, &name));
        }
        o.push('\n');
    }
    if conflicts {
        o.push_str("Unmerged paths:\n");
        if head.is_some() && !whence {
            o.push_str("  (use \"git restore --staged <file>...\" to unstage)\n");
        }
        let deleted = state.unmerged.iter().any(|(_, s)| !matches!(s, 6 | 7));
        let kept = state.unmerged.iter().any(|(_, s)| matches!(s, 2 | 4 | 6 | 7));
        o.push_str(match (deleted, kept) {
            (false, _) => "  (use \"git add <file>...\" to mark resolution)\n",
            (true, false) if state.unmerged.iter().all(|(_, s)| *s == 1) => {
                "  (use \"git rm <file>...\" to mark resolution)\n"
            }
            _ => "  (use \"git add/rm <file>...\" as appropriate to mark resolution)\n",
        });
        for (path, stages) in &state.unmerged {
            let _ = writeln!(o, "\t{:<17}{}", unmerged_letters(*stages).1, name(path));
        }
        o.push('\n');
    }
    if !state.unstaged.is_empty() {
        o.push_str("Changes not staged for commit:\n");
        o.push_str(if state.unstaged.iter().any(|c| c.status == b'D') {
            "  (use \"git add/rm <file>...\" to update what will be committed)\n"
        } else {
            "  (use \"git add <file>...\" to update what will be committed)\n"
        });
        o.push_str("  (use \"git restore <file>...\" to discard changes in working directory)\n");
        for c in &state.unstaged {
            let _ = writeln!(o, "\t{}", change_line(c, &name));
        }
        o.push('\n');
    }
    for (title, hint, files) in [
        (
            "Untracked files",
            "  (use \"git add <file>...\" to include in what will be committed)\n",
            &state.untracked,
        ),
        (
            "Ignored files",
            "  (use \"git add -f <file>...\" to include in what will be committed)\n",
            &state.ignored,
        ),
    ] {
        if files.is_empty() {
            continue;
        }
        let _ = writeln!(o, "{title}:");
        o.push_str(hint);
        for path in files {
            let _ = writeln!(o, "\t{}", name(path));
        }
        o.push('\n');
    }
    let none = state.staged.is_empty()
        && !(repo.git_dir.join("MERGE_HEAD").exists()
            && !conflicts
            && state.unstaged.is_empty()
            && state.untracked.is_empty());
    if untracked == Untracked::No && (!state.staged.is_empty() || !state.unstaged.is_empty()) && !commit {
        o.push_str("Untracked files not listed (use -u option to show untracked files)\n");
    }
    if none {
        o.push_str(if !state.unstaged.is_empty() || conflicts {
            "no changes added to commit (use \"git add\" and/or \"git commit -a\")\n"
        } else if !state.untracked.is_empty() {
            "nothing added to commit but untracked files present (use \"git add\" to track)\n"
        } else if head.is_none() {
            "nothing to commit (create/copy files and use \"git add\" to track)\n"
        } else if untracked == Untracked::No {
            "nothing to commit (use -u to show untracked files)\n"
        } else {
            "nothing to commit, working tree clean\n"
        });
    }
    Ok(o)
}

fn change_line(c: &Change, name: &dyn Fn(&[u8]) -> String) -> String {
    let label = match c.status {
        b'A' => "new file:",
        b'D' => "deleted:",
        b'R' => "renamed:",
        b'C' => "copied:",
        b'T' => "typechange:",
        _ => "modified:",
    };
    if matches!(c.status, b'R' | b'C') {
        return format!("{label:<12}{} -> {}", name(&c.old.path), name(&c.new.path));
    }
    format!("{label:<12}{}", name(c.path()))
}

/// A merge, rebase, cherry-pick or revert that is not finished.
fn progress(repo: &Repo, o: &mut String, conflicts: bool) {
    let there = |name: &str| repo.git_dir.join(name).exists();
    let short = |name: &str| {
        let text = std::fs::read(repo.git_dir.join(name)).unwrap_or_default();
        crate::oid::Oid::parse(text.trim_ascii()).map(|oid| repo.short(&oid)).unwrap_or_default()
    };
    if there("MERGE_HEAD") {
        o.push_str(if conflicts {
            "You have unmerged paths.\n  (fix conflicts and run \"git commit\")\n  (use \"git merge --abort\" to abort the merge)\n\n"
        } else {
            "All conflicts fixed but you are still merging.\n  (use \"git commit\" to conclude merge)\n\n"
        });
    } else if there("rebase-apply/applying") {
        o.push_str("You are in the middle of an am session.\n");
        if conflicts || std::fs::metadata(repo.git_dir.join("rebase-apply/patch")).is_ok_and(|m| m.len() > 0)
        {
            o.push_str("  (fix conflicts and then run \"git am --continue\")\n");
        } else {
            o.push_str("The current patch is empty.\n");
        }
        o.push_str("  (use \"git am --skip\" to skip this patch)\n  (use \"git am --abort\" to restore the original branch)\n\n");
    } else if there("rebase-merge") {
        o.push_str(&super::rebase::status_text(repo, conflicts));
        // A cherry-pick in the middle of a rebase is one of its steps.
    } else if there("CHERRY_PICK_HEAD") {
        o.push_str(&format!(
            "You are currently cherry-picking commit {}.\n  ({} \"git cherry-pick --continue\")\n  (use \"git cherry-pick --skip\" to skip this patch)\n  (use \"git cherry-pick --abort\" to cancel the cherry-pick operation)\n\n",
            short("CHERRY_PICK_HEAD"),
            if conflicts { "fix conflicts and run" } else { "all conflicts fixed: run" }
        ));
    } else if there("REVERT_HEAD") {
        o.push_str(&format!(
            "You are currently reverting commit {}.\n  ({} \"git revert --continue\")\n  (use \"git revert --skip\" to skip this patch)\n  (use \"git revert --abort\" to cancel the revert operation)\n\n",
            short("REVERT_HEAD"),
            if conflicts { "fix conflicts and run" } else { "all conflicts fixed: run" }
        ));
    }
    if let Some(text) = super::bisect::status_text(repo) {
        o.push_str(&text);
    }
}

/// The short form and `--porcelain`.
fn short(repo: &Repo, state: &State, branch: bool, nul: bool, relative: bool) -> Res<()> {
    let end: &[u8] = if nul { b"\0" } else { b"\n" };
    if branch {
        let name = repo.head_branch();
        let none = repo.head().is_none();
        let mut line = String::from("## ");
        match &name {
            Some(branch) if none => line += &format!("No commits yet on {branch}"),
            Some(branch) => line += branch,
            None => line += "HEAD (no branch)",
        }
        if let Some(branch) = &name
            && let Some((up, apart)) = tracking(repo, branch)?
        {
            line += &format!("...{up}");
            line += &match apart {
                None if none => String::new(),
                None => " [gone]".to_owned(),
                Some((0, 0)) => String::new(),
                Some((a, 0)) => format!(" [ahead {a}]"),
                Some((0, b)) => format!(" [behind {b}]"),
                Some((a, b)) => format!(" [ahead {a}, behind {b}]"),
            };
        }
        put(line.as_bytes());
        put(end);
    }
    let name = |path: &[u8]| -> Vec<u8> {
        let path = if relative { repo.relative(path) } else { path.to_vec() };
        if nul {
            return path;
        }
        let quoted = bytes::quote(&path, repo.quote_path());
        if path.contains(&b' ') && quoted == path { [b"\"", &path[..], b"\""].concat() } else { quoted }
    };
    type Row = ([u8; 2], Option<Vec<u8>>);
    let mut rows: BTreeMap<Vec<u8>, Row> = BTreeMap::new();
    for c in &state.staged {
        let from = matches!(c.status, b'R' | b'C').then(|| c.old.path.clone());
        rows.insert(c.path().to_vec(), ([c.status, b' '], from));
    }
    for c in &state.unstaged {
        let status = if c.old.mode == 0 { b'A' } else { c.status };
        rows.entry(c.path().to_vec()).or_insert(([b' ', b' '], None)).0[1] = status;
    }
    for (path, stages) in &state.unmerged {
        let letters = unmerged_letters(*stages).0.as_bytes();
        rows.insert(path.clone(), ([letters[0], letters[1]], None));
    }
    for (path, (letters, from)) in rows {
        put(&letters);
        put(b" ");
        match from {
            Some(from) if nul => {
                put(&name(&path));
                put(b"\0");
                put(&name(&from));
            }
            Some(from) => {
                put(&name(&from));
                put(b" -> ");
                put(&name(&path));
            }
            None => put(&name(&path)),
        }
        put(end);
    }
    for (mark, files) in [("??", &state.untracked), ("!!", &state.ignored)] {
        for path in files {
            out!("{mark} ");
            put(&name(path));
            put(end);
        }
    }
    Ok(())
}

/// `--porcelain=v2`
fn v2(repo: &Repo, index: &Index, state: &State, branch: bool, nul: bool) -> Res<()> {
    let end: &[u8] = if nul { b"\0" } else { b"\n" };
    let line = |text: &str| {
        put(text.as_bytes());
        put(end);
    };
    if branch {
        line(&format!(
            "# branch.oid {}",
            repo.head().map_or_else(|| "(initial)".to_owned(), |o| o.to_string())
        ));
        let name = repo.head_branch();
        line(&format!("# branch.head {}", name.as_deref().unwrap_or("(detached)")));
        if let Some(branch) = name
            && let Some((up, apart)) = tracking(repo, &branch)?
        {
            line(&format!("# branch.upstream {up}"));
            if let Some((a, b)) = apart {
                line(&format!("# branch.ab +{a} -{b}"));
            }
        }
    }
    let name = |path: &[u8]| if nul { path.to_vec() } else { bytes::quote(path, repo.quote_path()) };
    let mut rows: BTreeMap<Vec<u8>, (Option<&Change>, Option<&Change>)> = BTreeMap::new();
    for c in &state.staged {
        rows.entry(c.path().to_vec()).or_default().0 = Some(c);
    }
    for c in &state.unstaged {
        rows.entry(c.path().to_vec()).or_default().1 = Some(c);
    }
    for (path, (staged, unstaged)) in rows {
        let entry = index.get(&path).map_or((0, crate::oid::Oid::ZERO), |e| (e.mode, e.oid));
        let (x, head) = staged.map_or((b'.', entry), |c| (c.status, (c.old.mode, c.old.oid)));
        let (y, work) =
            unstaged.map_or((b'.', entry.0), |c| (if c.old.mode == 0 { b'A' } else { c.status }, c.new.mode));
        let renamed = matches!(x, b'R' | b'C');
        out!(
            "{} {}{} N... {:06o} {:06o} {:06o} {} {} ",
            if renamed { 2 } else { 1 },
            x as char,
            y as char,
            head.0,
            entry.0,
            work,
            head.1,
            entry.1
        );
        if let Some(c) = staged.filter(|_| renamed) {
            out!("{}{} ", x as char, c.score * 100 / changes::MAX_SCORE);
            put(&name(&path));
            put(if nul { b"\0" } else { b"\t" });
            put(&name(&c.old.path));
        } else {
            put(&name(&path));
        }
        put(end);
    }
    for (path, stages) in &state.unmerged {
        let stage = |n| index.stage(path, n).map_or((0, crate::oid::Oid::ZERO), |e| (e.mode, e.oid));
        let work = agentos_guest::fs::lstat(bytes::path(path))
            .ok()
            .and_then(|s| crate::index::index_mode(&s))
            .unwrap_or(0);
        let (a, b, c) = (stage(1), stage(2), stage(3));
        out!(
            "u {} N... {:06o} {:06o} {:06o} {:06o} {} {} {} ",
            unmerged_letters(*stages).0,
            a.0,
            b.0,
            c.0,
            work,
            a.1,
            b.1,
            c.1
        );
        put(&name(path));
        put(end);
    }
    for (mark, files) in [("?", &state.untracked), ("!", &state.ignored)] {
        for path in files {
            out!("{mark} ");
            put(&name(path));
            put(end);
        }
    }
    Ok(())
}
