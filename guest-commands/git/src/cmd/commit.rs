//! `git commit`.

use super::status::{self, Untracked};
use crate::args::{Args, Word};
use crate::bytes;
use crate::changes;
use crate::diffout;
use crate::error::{Res, Stop, fatal, out, put, say};
use crate::index::Index;
use crate::message::{self, Cleanup};
use crate::oid::{Commit, Kind, Oid, Person};
use crate::pathspec::Pathspec;
use crate::repo::{Repo, Setting};
use crate::{revision, tree};
use std::fs;

const USAGE: &str = "[-a] [-m <msg> | -F <file> | -C <commit> | -c <commit>] [--amend] [--allow-empty] [--no-edit] [--author=<author>] [--date=<date>] [-q] [-n] [-s] [--dry-run] [--] [<pathspec>...]";

#[derive(Default)]
struct Options {
    all: bool,
    messages: Vec<Vec<u8>>,
    file: Option<String>,
    reuse: Option<String>,
    edit: Option<bool>,
    amend: bool,
    reset_author: bool,
    allow_empty: bool,
    allow_empty_message: bool,
    author: Option<String>,
    date: Option<String>,
    quiet: bool,
    no_verify: bool,
    signoff: bool,
    dry: bool,
    include: bool,
    cleanup: Option<Cleanup>,
    trailers: Vec<String>,
    /// `--fixup`: the commit that is mended.
    fixup: Option<String>,
    squash: Option<String>,
    verbose: bool,
    paths: Vec<Vec<u8>>,
}

fn parse(words: &[Vec<u8>]) -> Res<Options> {
    let mut args = Args::new(words, "mFCct", "commit", USAGE);
    let mut o = Options::default();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(name) => match name.as_str() {
                "-a" | "--all" => o.all = true,
                "-m" | "--message" | "--message=" => o.messages.push(args.value_bytes(&name)?),
                "-F" | "--file" | "--file=" => o.file = Some(args.value(&name)?),
                "-C" | "--reuse-message" | "--reuse-message=" => {
                    o.reuse = Some(args.value(&name)?);
                    o.edit.get_or_insert(false);
                }
                "-c" | "--reedit-message" | "--reedit-message=" => o.reuse = Some(args.value(&name)?),
                "-e" | "--edit" => o.edit = Some(true),
                "--no-edit" => o.edit = Some(false),
                "--amend" => o.amend = true,
                "--reset-author" => o.reset_author = true,
                "--allow-empty" => o.allow_empty = true,
                "--allow-empty-message" => o.allow_empty_message = true,
                "--author" | "--author=" => o.author = Some(args.value(&name)?),
                "--date" | "--date=" => o.date = Some(args.value(&name)?),
                "-q" | "--quiet" => o.quiet = true,
                "-n" | "--no-verify" => o.no_verify = true,
                "-s" | "--signoff" => o.signoff = true,
                "--no-signoff" => o.signoff = false,
                "--dry-run" => o.dry = true,
                "-i" | "--include" => o.include = true,
                "-o" | "--only" | "--no-gpg-sign" | "--no-status" | "--status" | "--verify"
                | "--no-post-rewrite" => {}
                "--trailer" | "--trailer=" => o.trailers.push(args.value(&name)?),
                "--cleanup" | "--cleanup=" => {
                    o.cleanup = Some(match args.value(&name)?.as_str() {
                        "verbatim" => Cleanup::Verbatim,
                        "whitespace" => Cleanup::Whitespace,
                        "strip" | "default" => Cleanup::Strip,
                        "scissors" => Cleanup::Scissors,
                        other => fatal!("Invalid cleanup mode {other}"),
                    });
                }
                "--fixup" | "--fixup=" => o.fixup = Some(args.value(&name)?),
                "--squash" | "--squash=" => o.squash = Some(args.value(&name)?),
                "-v" | "--verbose" => o.verbose = true,
                "--no-verbose" => o.verbose = false,
                "-p" | "--patch" | "--interactive" | "-S" | "--gpg-sign" | "-t" | "--template"
                | "--template=" | "--short" | "--porcelain" => {
                    fatal!("option {} is not supported", name.trim_end_matches('='))
                }
                _ => return Err(args.unknown(&name)),
            },
            Word::Plain(word) => o.paths.push(word),
        }
    }
    Ok(o)
}

/// `Name <mail>` of `--author`.
pub(crate) fn parse_author(repo: &Repo, text: &str) -> Res<(Vec<u8>, Vec<u8>)> {
    if text.contains('<') && text.contains('>') {
        let who = Person::parse(text.as_bytes());
        return Ok((who.name, who.email));
    }
    // A pattern: the author of the newest commit that it fits.
    let mut walk = crate::walk::Walk::default();
    walk.include.extend(repo.head());
    if let Ok(pattern) = crate::regex::Regex::new(text, false, true) {
        walk.authors.push(pattern);
        walk.max = Some(1);
        if let Some(oid) = walk.run(repo)?.first() {
            let author = repo.odb.commit(oid)?.author.clone();
            return Ok((author.name, author.email));
        }
    }
    fatal!("--author '{text}' is not 'Name <email>' and matches no existing author")
}

/// What a sequence says of a commit that it has made.
#[derive(Default)]
pub(crate) struct Extra {
    /// Who wrote it.
    pub(crate) author: Option<Person>,
    /// What the reflog calls it.
    pub(crate) action: Option<String>,
}

pub(crate) fn commit(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    commit_for(setting, words, &Extra::default())
}

/// A commit as a step of a sequence.
pub(crate) fn commit_for(setting: &Setting, words: &[Vec<u8>], extra: &Extra) -> Res<i32> {
    let mut o = parse(words)?;
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    let head = repo.head();
    if o.all && !o.paths.is_empty() {
        fatal!("paths '{} ...' with -a does not make sense", bytes::text(&o.paths[0]));
    }
    if o.amend && head.is_none() {
        fatal!("You have nothing to amend.");
    }
    let merging = repo.git_dir.join("MERGE_HEAD").exists();
    let picking = repo.git_dir.join("CHERRY_PICK_HEAD").exists();
    if o.amend && merging {
        fatal!("You are in the middle of a merge -- cannot amend.");
    }
    let mut index = repo.index()?;
    let spec = repo.pathspec(&o.paths)?;
    let mut used = Vec::new();
    index.entries.iter().for_each(|e| spec.mark(&e.path, &mut used));
    let before = super::head_files(&repo)?;
    before.keys().for_each(|p| spec.mark(p, &mut used));
    if let Some(s) = spec.unused(&used).next() {
        return Err(Stop::Error(
            1,
            format!("pathspec '{}' did not match any file(s) known to git", s.text()),
        ));
    }
    if !o.paths.is_empty() && merging && !o.include {
        fatal!("cannot do a partial commit during a merge.");
    }
    let lock = index.lock()?;
    if o.all || !o.paths.is_empty() {
        super::add::update_tracked(&repo, &mut index, &spec, false, false)?;
    }
    // With paths, only these are committed: on top of HEAD, not of the index.
    let mut partial: Option<Index> = None;
    if !o.paths.is_empty() && !o.include {
        let mut only = Index { file: index.file.clone(), ..Index::default() };
        tree::into_index(&mut only, &before);
        let gone: Vec<Vec<u8>> =
            before.keys().filter(|p| spec.matches(p) && index.get(p).is_none()).cloned().collect();
        gone.iter().for_each(|p| only.remove(p));
        for entry in index.entries.iter().filter(|e| spec.matches(&e.path)) {
            only.put(entry.clone());
        }
        partial = Some(only);
    }
    let unmerged = index.unmerged();
    if !unmerged.is_empty() {
        for path in &unmerged {
            out!("U\t{}\n", repo.quoted(path));
        }
        say!("error: Committing is not possible because you have unmerged files.");
        say!(
            "hint: Fix them up in the work tree, and then use 'git add/rm <file>'\nhint: as appropriate to mark resolution and make a commit."
        );
        fatal!("Exiting because of an unresolved conflict.");
    }
    if !o.no_verify && !o.dry {
        // The hook sees what is going to be committed.
        index.write(lock)?;
        if message::hook(&repo, "pre-commit", &[])? != 0 {
            return Ok(1);
        }
        let written = repo.index()?;
        index = written;
        let lock = index.lock()?;
        return finish(&repo, &mut o, index, partial, head, merging, picking, lock, &spec, extra);
    }
    finish(&repo, &mut o, index, partial, head, merging, picking, lock, &spec, extra)
}

#[expect(clippy::too_many_arguments, reason = "the state of one command in two halves")]
fn finish(
    repo: &Repo,
    o: &mut Options,
    mut index: Index,
    partial: Option<Index>,
    head: Option<Oid>,
    merging: bool,
    picking: bool,
    lock: crate::lock::Lock,
    spec: &Pathspec,
    extra: &Extra,
) -> Res<i32> {
    let tree = tree::from_index(repo, partial.as_ref().unwrap_or(&index))?;
    let old = match head {
        Some(oid) => Some(repo.odb.commit(&oid)?),
        None => None,
    };
    let parents = match (&old, o.amend) {
        (Some(old), true) => old.parents.clone(),
        (Some(_), false) => {
            let mut parents = vec![head.unwrap_or_default()];
            if merging {
                let text = fs::read(repo.file("MERGE_HEAD"))?;
                parents.extend(text.split(|b| *b == b'\n').filter_map(Oid::parse));
            }
            parents
        }
        (None, _) => Vec::new(),
    };
    let base = match parents.first() {
        Some(parent) => Some(repo.odb.commit(parent)?.tree),
        None => None,
    };
    let empty = base.unwrap_or(crate::oid::EMPTY_TREE) == tree && parents.len() < 2;
    // A commit that was empty before may stay so.
    let was_empty =
        o.amend && old.as_ref().is_some_and(|c| base.is_some_and(|b| b == c.tree) || c.parents.is_empty());
    if (empty && !o.allow_empty && !(was_empty && parents.is_empty())) || o.dry {
        index.write(lock)?;
        let shown = status::state(repo, &index, &Pathspec::default(), Untracked::Normal, false, true)?;
        let _ = spec;
        let mut text = status::long_text(repo, &shown, Untracked::Normal, false)?;
        if head.is_none() {
            text = text.replace("No commits yet", "Initial commit");
        }
        if o.amend {
            text = text.replace("nothing to commit, working tree clean\n", "No changes\n");
        }
        put(text.as_bytes());
        if o.amend && empty {
            say!(
                "You asked to amend the most recent commit, but doing so would make\nit empty. You can repeat your command with --allow-empty, or you can\nremove the commit entirely with \"git reset HEAD^\"."
            );
        }
        if picking && empty {
            say!(
                "The previous cherry-pick is now empty, possibly due to conflict resolution.\nIf you wish to commit it anyway, use:\n\n    git commit --allow-empty\n\nOtherwise, please use 'git cherry-pick --skip'"
            );
        }
        return Ok(i32::from(empty && !(o.dry && o.allow_empty)));
    }
    let reused = match &o.reuse {
        Some(name) => Some(repo.odb.commit(&revision::commit(repo, name)?)?),
        None if o.amend => old.clone(),
        None if picking => {
            let text = fs::read(repo.file("CHERRY_PICK_HEAD"))?;
            Oid::parse(text.trim_ascii()).map(|oid| repo.odb.commit(&oid)).transpose()?
        }
        None => None,
    };
    let mut author = match &reused {
        Some(reused) if !o.reset_author => reused.author.clone(),
        _ => repo.author()?,
    };
    if let Some(text) = &o.author {
        (author.name, author.email) = parse_author(repo, text)?;
    }
    if let Some(text) = &o.date {
        match crate::date::parse(text) {
            Some((time, zone)) => (author.time, author.zone) = (time, zone),
            None => {
                author.time = crate::date::approximate(text);
                author.zone = crate::date::local_zone(author.time);
            }
        }
    }
    if let Some(who) = &extra.author {
        author = who.clone();
    }
    if let Some(name) = o.fixup.clone() {
        fixup(repo, o, &name)?;
    }
    if let Some(name) = &o.squash {
        let of = repo.odb.commit(&revision::commit(repo, name)?)?;
        let title = [b"squash! ", &of.subject()[..]].concat();
        o.edit = o.edit.or((!o.messages.is_empty()).then_some(false).or(Some(true)));
        o.messages.insert(0, title);
    }
    let committer = repo.committer()?;
    let dated = o.date.is_some() || (reused.is_some() && !o.reset_author);
    let (text, edited) = text(repo, o, reused.as_deref(), merging)?;
    let mut text = text;
    let default = if edited { Cleanup::Strip } else { Cleanup::Whitespace };
    let how = o.cleanup.unwrap_or(default);
    // Comments go only after the editor has shown them.
    text = message::clean(&text, if edited && how == Cleanup::Strip { Cleanup::Whitespace } else { how });
    if o.signoff {
        let line = [b"Signed-off-by: ", &committer.ident()[..]].concat();
        message::add_trailer(&mut text, &line);
    }
    for trailer in &o.trailers {
        let trailer = trailer.replacen('=', ": ", usize::from(!trailer.contains(": ")));
        message::add_trailer(&mut text, trailer.as_bytes());
    }
    let file = repo.file("COMMIT_EDITMSG");
    fs::write(&file, &text)?;
    // Hooks see it from the top of the work tree.
    let shown_file = repo.shown_file("COMMIT_EDITMSG");
    let source = if !o.messages.is_empty() || o.file.is_some() {
        vec!["message"]
    } else if merging {
        vec!["merge"]
    } else if reused.is_some() {
        vec!["commit", o.reuse.as_deref().unwrap_or("HEAD")]
    } else {
        Vec::new()
    };
    let mut prepare: Vec<&std::path::Path> = vec![&shown_file];
    prepare.extend(source.iter().map(std::path::Path::new));
    if !edited && message::has_hook(repo, "prepare-commit-msg") {
        if message::hook(repo, "prepare-commit-msg", &prepare)? != 0 {
            return Ok(1);
        }
        text = message::clean(&fs::read(&file)?, how);
    }
    if edited {
        let mut body = text.clone();
        body.extend(b"\n# Please enter the commit message for your changes. Lines starting\n# with '#' will be ignored, and an empty message aborts the commit.\n#\n");
        let now = partial.as_ref().unwrap_or(&index);
        let mut shown = status::state(repo, now, &Pathspec::default(), Untracked::Normal, false, true)?;
        if o.amend {
            let files = changes::files(repo, base)?;
            let staged = changes::tree_to_index(&files, now, &Pathspec::default());
            shown.staged = changes::find_renames(repo, staged, changes::MAX_SCORE / 2, false)?;
        }
        if author.ident() != committer.ident() {
            body.extend([b"# Author:    ", &author.ident()[..], b"\n"].concat());
        }
        if dated {
            let date = crate::date::Style::default().show(author.time, author.zone);
            body.extend(format!("# Date:      {date}\n").bytes());
        }
        if dated || author.ident() != committer.ident() {
            body.extend(b"#\n");
        }
        for line in status::long_text(repo, &shown, Untracked::Normal, true)?.trim_end().lines() {
            body.extend(
                if line.is_empty() {
                    "#\n".to_owned()
                } else if line.starts_with('\t') {
                    format!("#{line}\n")
                } else {
                    format!("# {line}\n")
                }
                .bytes(),
            );
        }
        body.extend(b"#\n");
        if o.verbose {
            body.extend(SCISSORS.bytes());
            body.extend(
                b"# Do not modify or remove the line above.\n# Everything below it will be ignored.\n",
            );
            let mut options = diffout::Options::new(Some(repo));
            (options.patch, options.style.color) = (true, false);
            let staged = changes::tree_to_index(&changes::files(repo, base)?, now, &Pathspec::default());
            let (result, patch) = crate::error::captured(|| diffout::show(repo, staged, &options));
            result?;
            body.extend(patch);
        }
        fs::write(&file, body)?;
        if message::hook(repo, "prepare-commit-msg", &prepare)? != 0 {
            return Ok(1);
        }
        message::edit(repo, &file)?;
        text = message::clean(&typed(&file, o.verbose)?, how);
    }
    if !o.no_verify && message::has_hook(repo, "commit-msg") {
        if message::hook(repo, "commit-msg", &[&shown_file])? != 0 {
            return Ok(1);
        }
        let new = typed(&file, edited && o.verbose)?;
        if new != text {
            text = message::clean(&new, if edited { how } else { Cleanup::Whitespace });
        }
    }
    if text.trim_ascii().is_empty() && !o.allow_empty_message {
        return Err(Stop::Said(1, "Aborting commit due to empty commit message.".to_owned()));
    }
    let commit = Commit { tree, parents, author, committer, extra: Vec::new(), message: text };
    let oid = repo.odb.write(Kind::Commit, &commit.write())?;
    let what = if o.amend {
        "commit (amend)"
    } else if head.is_none() {
        "commit (initial)"
    } else if merging {
        "commit (merge)"
    } else if picking {
        "commit (cherry-pick)"
    } else {
        "commit"
    };
    let what = extra.action.as_deref().unwrap_or(what);
    index.write(lock)?;
    repo.set_head(&oid, &format!("{what}: {}", bytes::text(&commit.subject())))?;
    super::merge::clear_state(repo);
    message::hook(repo, "post-commit", &[])?;
    if !o.quiet {
        summary(repo, &oid, &commit, dated)?;
    }
    Ok(0)
}

const SCISSORS: &str = "# ------------------------ >8 ------------------------\n";

/// What the user has typed, without the changes below it.
fn typed(file: &std::path::Path, verbose: bool) -> Res<Vec<u8>> {
    let mut text = fs::read(file)?;
    if verbose && let Some(at) = bytes::find(&text, SCISSORS.as_bytes()) {
        text.truncate(at);
    }
    Ok(text)
}

/// The message of a commit that is to be melded into another.
fn fixup(repo: &Repo, o: &mut Options, name: &str) -> Res<()> {
    let (amend, name) = match name.split_once(':') {
        Some(("amend" | "reword", rest)) => (true, rest),
        _ => (false, name),
    };
    let of = repo.odb.commit(&revision::commit(repo, name)?)?;
    if amend {
        if !o.messages.is_empty() {
            fatal!("options '-m' and '--fixup:amend' cannot be used together");
        }
        let text = [b"amend! ", &of.subject()[..], b"\n\n", &of.message].concat();
        o.messages.push(text);
        o.edit = o.edit.or(Some(true));
        return Ok(());
    }
    o.messages.insert(0, [b"fixup! ", &of.subject()[..]].concat());
    o.edit = o.edit.or(Some(false));
    Ok(())
}

/// The message as it is given, and whether it is to be edited.
fn text(repo: &Repo, o: &Options, reused: Option<&Commit>, merging: bool) -> Res<(Vec<u8>, bool)> {
    let given = if !o.messages.is_empty() {
        let mut all = Vec::new();
        for (at, message) in o.messages.iter().enumerate() {
            if at > 0 {
                all.push(b'\n');
            }
            all.extend_from_slice(message);
            if !message.ends_with(b"\n") {
                all.push(b'\n');
            }
        }
        if let Some(file) = &o.file {
            fatal!("options '-m' and '-F' cannot be used together{}", if file.is_empty() { " " } else { "" });
        }
        Some(all)
    } else if let Some(file) = &o.file {
        Some(if file == "-" {
            agentos_guest::fd::read_to_end(0)?
        } else {
            fs::read(repo.cwd.join(file)).map_err(|e| {
                Stop::Fatal(format!("could not read log file '{file}': {}", agentos_guest::strerror(&e)))
            })?
        })
    } else {
        None
    };
    if let Some(text) = given {
        return Ok((text, o.edit == Some(true)));
    }
    if let Some(reused) = reused
        && (o.amend || o.reuse.is_some())
    {
        return Ok((reused.message.clone(), o.edit != Some(false)));
    }
    for name in ["MERGE_MSG", "SQUASH_MSG"] {
        if let Ok(text) = fs::read(repo.file(name)) {
            return Ok((text, o.edit != Some(false)));
        }
    }
    let _ = merging;
    Ok((Vec::new(), o.edit != Some(false)))
}

/// `[main 1234567] subject` and what changed.
pub(crate) fn summary(repo: &Repo, oid: &Oid, commit: &Commit, show_date: bool) -> Res<()> {
    let branch = repo.head_branch().unwrap_or_else(|| "detached HEAD".to_owned());
    let root = if commit.parents.is_empty() { " (root-commit)" } else { "" };
    out!("[{branch}{root} {}] ", repo.short(oid));
    put(&commit.subject());
    put(b"\n");
    if commit.author.ident() != commit.committer.ident() {
        put(&[b" Author: ", &commit.author.ident()[..], b"\n"].concat());
    }
    if show_date {
        out!(" Date: {}\n", crate::date::Style::default().show(commit.author.time, commit.author.zone));
    }
    if commit.parents.len() > 1 {
        return Ok(());
    }
    let old = match commit.parents.first() {
        Some(parent) => Some(repo.odb.commit(parent)?.tree),
        None => None,
    };
    let changes = changes::trees(repo, old, Some(commit.tree), &Pathspec::default())?;
    let mut options = diffout::Options::new(Some(repo));
    options.shortstat = true;
    options.summary = true;
    diffout::show(repo, changes, &options)?;
    Ok(())
}
