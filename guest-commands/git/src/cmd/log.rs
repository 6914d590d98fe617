//! `git log`, `git show`, `git rev-list` and `git reflog`.

use crate::args::{Args, Word};
use crate::bytes;
use crate::changes;
use crate::combined;
use crate::diffout::{self, Options};
use crate::error::{Res, Stop, captured, fatal, out, put};
use crate::graph::Graph;
use crate::oid::{Commit, Kind, Oid, Tag, parse_tree};
use crate::pathspec::Pathspec;
use crate::pretty::{self, Form, Show};
use crate::repo::{Repo, Setting};
use crate::revision;
use crate::walk::{self, Syntax, Walk};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// What the arguments of these commands say.
struct Parsed {
    walk: Walk,
    show: Show,
    diff: Options,
    /// Words that are revisions or paths.
    words: Vec<Vec<u8>>,
    /// Where `--` was.
    dashdash: Option<usize>,
    /// Places of `--not`.
    not: Vec<usize>,
    follow: bool,
    decorate: Option<bool>,
    merges: Merges,
    count: bool,
    quiet: bool,
    left_right: bool,
    walk_reflogs: bool,
    objects: bool,
    header: bool,
    graph: bool,
    /// A form was asked for.
    formed: bool,
    /// Refs of notes; `None`: those of the configuration.
    notes: Option<Vec<String>>,
    /// Only the left (true) or right commits of `a...b`.
    side: Option<bool>,
    /// Commits whose change both sides have are left out (false) or marked.
    cherry: Option<bool>,
}

/// How merges show their changes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Merges {
    Unset,
    Off,
    Combined,
    First,
    /// Against each parent.
    Each,
}

fn parse(repo: &Repo, words: &[Vec<u8>], command: &'static str) -> Res<Parsed> {
    let mut p = Parsed {
        walk: Walk::default(),
        show: Show::new(repo),
        diff: Options::new(Some(repo)),
        words: Vec::new(),
        dashdash: None,
        not: Vec::new(),
        follow: repo.config.flag("log.follow", false),
        decorate: None,
        merges: Merges::Unset,
        count: false,
        quiet: false,
        left_right: false,
        walk_reflogs: command == "reflog",
        objects: false,
        header: true,
        graph: false,
        notes: None,
        formed: words.iter().any(|w| w.starts_with(b"--pretty") || w.starts_with(b"--format")),
        side: None,
        cherry: None,
    };
    p.show.color = p.diff.style.color;
    if let Some(date) = repo.config.get("log.date") {
        p.show.dates = crate::date::Style::parse(&date);
    }
    if let Some(form) = repo.config.get("format.pretty")
        && command != "rev-list"
    {
        p.show.form = Form::parse(&form, repo)?;
    }
    let fold = words.iter().any(|w| w == b"-i" || w == b"--regexp-ignore-case");
    let syntax = if words.iter().any(|w| w == b"-F" || w == b"--fixed-strings") {
        Syntax::Fixed
    } else if words.iter().any(|w| matches!(&w[..], b"-E" | b"--extended-regexp" | b"-P" | b"--perl-regexp"))
    {
        Syntax::Extended
    } else {
        Syntax::Basic
    };
    let mut at = 0;
    while at < words.len() {
        let word = bytes::text(&words[at]);
        at += 1;
        if word == "--" {
            p.dashdash = Some(p.words.len());
            p.words.extend(words[at..].iter().cloned());
            break;
        }
        if !word.starts_with('-') || word == "-" {
            p.words.push(words[at - 1].clone());
            continue;
        }
        let mut next = || {
            let value = words.get(at).map(|w| bytes::text(w));
            at += 1;
            value
        };
        match word.as_str() {
            "--oneline" => {
                p.show.form = Form::Oneline;
                p.show.abbrev_commit = true;
                continue;
            }
            "--abbrev-commit" => p.show.abbrev_commit = true,
            "--no-abbrev-commit" => p.show.abbrev_commit = false,
            "--decorate" | "--decorate=short" | "--decorate=full" | "--decorate=yes" => {
                p.decorate = Some(true);
                p.show.full_names = word == "--decorate=full";
            }
            "--decorate=auto" => {}
            "--no-decorate" | "--decorate=no" => p.decorate = Some(false),
            "--parents" => {
                p.show.parents = true;
                p.walk.want_parents = true;
            }
            "--follow" => p.follow = true,
            "--no-follow" => p.follow = false,
            "--graph" => {
                p.graph = true;
                p.walk.topo = true;
                p.walk.want_parents = true;
            }
            "--left-only" | "--right-only" => p.side = Some(word == "--left-only"),
            "--cherry-pick" => p.cherry = Some(false),
            "--cherry-mark" => p.cherry = Some(true),
            "--cherry" => {
                (p.cherry, p.side) = (Some(true), Some(false));
                p.walk.max_parents = Some(1);
            }
            "--no-graph" => p.graph = false,
            "--no-notes" => p.notes = Some(Vec::new()),
            "--notes" | "--show-notes" => {
                p.notes.get_or_insert_default().push(super::notes::default_ref(repo));
            }
            "--not" => p.not.push(p.words.len()),
            "--relative-date" => p.show.dates = crate::date::Style::parse("relative"),
            "-i"
            | "--regexp-ignore-case"
            | "-E"
            | "--extended-regexp"
            | "-F"
            | "--fixed-strings"
            | "-P"
            | "--perl-regexp"
            | "--no-show-signature"
            | "--no-mailmap"
            | "--use-mailmap"
            | "--no-expand-tabs"
            | "--no-color-moved"
            | "--sparse"
            | "--ignore-missing" => {}
            "--cc" => (p.merges, p.diff.patch) = (Merges::Combined, p.diff.patch || !p.diff.asked()),
            "-m" => p.merges = Merges::Each,
            "-c" => {
                (p.merges, p.diff.patch) = (Merges::Combined, p.diff.patch || !p.diff.asked());
                p.diff.dense = false;
            }
            "--no-diff-merges" => p.merges = Merges::Off,
            "--count" => p.count = true,
            "--quiet" | "-q" if command == "rev-list" => p.quiet = true,
            "--left-right" => p.left_right = true,
            "--objects" => p.objects = true,
            "--no-commit-header" => p.header = false,
            "-g" | "--walk-reflogs" => p.walk_reflogs = true,
            _ => {
                if let Some(form) = word.strip_prefix("--format=").or_else(|| word.strip_prefix("--pretty="))
                {
                    p.show.form = if word.starts_with("--format=") && !form.contains('%') && form.is_empty() {
                        Form::User(String::new(), true)
                    } else {
                        Form::parse(form, repo)?
                    };
                    if p.show.form == Form::Oneline {
                        p.show.abbrev_commit |= false;
                    }
                } else if word == "--format" || word == "--pretty" {
                    if word == "--format" {
                        let form = next().unwrap_or_default();
                        p.show.form = Form::parse(&form, repo)?;
                    }
                } else if let Some(name) = word.strip_prefix("--notes=") {
                    p.notes.get_or_insert_default().push(super::notes::full_name(name));
                } else if let Some(date) = word.strip_prefix("--date=") {
                    match crate::date::Style::parse(date) {
                        Some(style) => p.show.dates = Some(style),
                        None => fatal!("unknown date format {date}"),
                    }
                } else if let Some(kind) = word.strip_prefix("--diff-merges=") {
                    p.merges = match kind {
                        "off" | "none" => Merges::Off,
                        "first-parent" | "1" => Merges::First,
                        "cc" | "dense-combined" => Merges::Combined,
                        "c" | "combined" => {
                            p.diff.dense = false;
                            Merges::Combined
                        }
                        "m" | "separate" | "on" => Merges::Each,
                        _ => fatal!("invalid value for '--diff-merges': '{kind}'"),
                    };
                } else if let Some(n) = word.strip_prefix("--abbrev=") {
                    let n = n.parse().unwrap_or(7);
                    (p.show.abbrev, p.diff.abbrev) = (n, Some(n));
                } else if p.walk.option(repo, &word, fold, syntax, &mut next)? {
                    if word == "--first-parent" && p.merges == Merges::Unset {
                        p.merges = Merges::First;
                    }
                } else if !p.diff.take(&word, &mut next)? {
                    fatal!("unrecognized argument: {word}");
                }
                if word.starts_with("--color") || word == "--no-color" {
                    p.show.color = p.diff.style.color;
                }
            }
        }
    }
    Ok(p)
}

/// Takes the notes that are shown.
fn set_notes(repo: &Repo, p: &mut Parsed) -> Res<()> {
    let default = super::notes::default_ref(repo);
    // A form that was asked for shows them only if it says so.
    let wanted = match &p.show.form {
        Form::User(format, _) => format.contains("%N"),
        _ => !p.formed,
    };
    let names = p.notes.clone().unwrap_or_else(|| if wanted { vec![default] } else { Vec::new() });
    for name in names {
        let title = match name.strip_prefix("refs/notes/") {
            Some("commits") | None => String::new(),
            Some(short) => format!(" ({short})"),
        };
        p.show.notes.push((title, super::notes::load(repo, &name)?));
    }
    Ok(())
}

/// Names beside commits are shown at a terminal, or if they are asked for.
fn set_decorations(repo: &Repo, p: &mut Parsed) {
    let setting = repo.config.get("log.decorate");
    let wanted = p.decorate.unwrap_or_else(|| match setting.as_deref() {
        Some("auto") | None => diffout::at_terminal(),
        Some(word) => crate::config::truth(word).unwrap_or(true),
    });
    if wanted {
        p.show.decorations = Some(pretty::decorations(repo));
    }
}

pub(crate) fn log(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let repo = Repo::open(setting)?;
    let mut p = parse(&repo, words, "log")?;
    set_decorations(&repo, &mut p);
    set_notes(&repo, &mut p)?;
    let words = std::mem::take(&mut p.words);
    let paths = walk::divide(&repo, &words, p.dashdash, &mut p.walk, &p.not)?;
    start(&repo, &mut p, &paths)?;
    if p.graph && p.walk_reflogs {
        fatal!("options '--walk-reflogs' and '--graph' cannot be used together");
    }
    if p.walk_reflogs {
        return reflog_entries(&repo, p, &words);
    }
    if p.graph && p.walk.reverse {
        fatal!("options '--graph' and '--reverse' cannot be used together");
    }
    let list = sides(&repo, &mut p)?;
    print_all(&repo, &mut p, &list)?;
    Ok(0)
}

/// The commits, with what is asked of the sides of `a...b`.
fn sides(repo: &Repo, p: &mut Parsed) -> Res<Vec<Oid>> {
    if !p.left_right && p.side.is_none() && p.cherry.is_none() {
        return p.walk.run(repo);
    }
    let left = walk::ancestors(repo, &p.walk.left)?;
    let max = p.walk.max.take();
    let mut list = p.walk.run(repo)?;
    if let Some(mark) = p.cherry {
        let mut ids: [HashSet<[u8; 20]>; 2] = Default::default();
        let mut of = HashMap::new();
        for oid in &list {
            if let Some(id) = diffout::patch_id(repo, oid)? {
                ids[usize::from(left.contains(oid))].insert(id);
                of.insert(*oid, id);
            }
        }
        let same = |oid: &Oid| of.get(oid).is_some_and(|id| ids[0].contains(id) && ids[1].contains(id));
        if mark {
            p.show.same = Some(list.iter().copied().filter(same).collect());
        } else {
            list.retain(|oid| !same(oid));
        }
    }
    if let Some(wants_left) = p.side {
        list.retain(|oid| left.contains(oid) == wants_left);
    }
    list.truncate(max.unwrap_or(usize::MAX));
    if p.left_right {
        p.show.left = Some(left);
        p.show.marks = true;
    }
    Ok(list)
}

/// Completes the selection: HEAD if nothing else is named, and the paths.
fn start(repo: &Repo, p: &mut Parsed, paths: &[Vec<u8>]) -> Res<()> {
    p.walk.paths = repo.pathspec(paths)?;
    let all = words_all(p);
    if p.walk.include.is_empty() && !all && !p.walk.groups {
        match repo.head() {
            Some(head) => p.walk.include.push(head),
            None => fatal!(
                "your current branch '{}' does not have any commits yet",
                repo.head_branch().unwrap_or_default()
            ),
        }
    }
    if p.follow {
        if p.walk.paths.specs.len() != 1 {
            fatal!("--follow requires exactly one pathspec");
        }
        p.walk.follow = Some(p.walk.paths.specs[0].path.clone());
        p.walk.max_parents = Some(1);
    }
    if p.diff.pickaxe.is_some() {
        p.walk.pickaxe = Some(Box::new(p.diff.clone()));
    }
    Ok(())
}

fn words_all(p: &Parsed) -> bool {
    !p.walk.exclude.is_empty() && !p.walk.left.is_empty()
}

fn print_all(repo: &Repo, p: &mut Parsed, list: &[Oid]) -> Res<()> {
    if p.graph {
        return print_graph(repo, p, list);
    }
    let mut again = false;
    for oid in list {
        // With a filter only commits are shown of which something is left.
        if p.diff.filter.is_some() && p.diff.asked() {
            let commit = repo.odb.commit(oid)?;
            if captured(|| print_changes(repo, p, oid, &commit, false)).1.is_empty() {
                continue;
            }
        }
        print_one(repo, p, oid, again, false)?;
        again = true;
    }
    Ok(())
}

/// All commits beside the graph of their history.
fn print_graph(repo: &Repo, p: &mut Parsed, list: &[Oid]) -> Res<()> {
    let mut graph = Graph::new(p.show.color);
    p.show.bare = true;
    let mut missing = false;
    for (at, oid) in list.iter().enumerate() {
        let commit = repo.odb.commit(oid)?;
        let mut parents = p.walk.rewritten.get(oid).unwrap_or(&commit.parents).clone();
        if p.walk.first_parent {
            parents.truncate(1);
        }
        let mut known = HashSet::new();
        parents.retain(|parent| known.insert(*parent) && p.walk.is_shown(repo, parent));
        let mark = match p.show.mark(oid) {
            "<" => '<',
            ">" => '>',
            "=" => '=',
            "+" => '+',
            _ => '*',
        };
        graph.update(*oid, parents, mark);
        let (lines, ends) = p.form();
        if at > 0 && (lines || !ends) {
            if !missing {
                put(graph.padding_line().as_bytes());
            }
            put(b"\n");
        }
        let shown = p.walk.rewritten.get(oid).unwrap_or(&commit.parents);
        let text = p.show.text(repo, oid, &commit, shown)?;
        missing = !text.is_empty() && !text.ends_with(b"\n");
        put(&graph.with_text(&text));
        if !lines && ends && !p.is_blank() {
            if !missing {
                put(graph.padding_line().as_bytes());
            }
            put(b"\n");
        }
        // A histogram has less room beside the graph.
        let room = graph.padding_line().chars().filter(|c| !c.is_control()).count();
        let width = p.diff.stat_width;
        if width.is_none() {
            p.diff.stat_width = Some(80usize.saturating_sub(room));
        }
        let (result, changes) = captured(|| print_changes(repo, p, oid, &commit, false));
        p.diff.stat_width = width;
        result?;
        put(&graph.beside(&changes));
    }
    Ok(())
}

impl Parsed {
    /// Whether a commit is several lines, and whether each ends in a newline of its own.
    fn form(&self) -> (bool, bool) {
        match &self.show.form {
            Form::Oneline | Form::Reference => (false, true),
            Form::User(_, ends) => (false, *ends),
            _ => (true, true),
        }
    }

    fn is_blank(&self) -> bool {
        matches!(&self.show.form, Form::User(t, _) if t.is_empty())
    }
}

/// A commit with its changes. `again`: it is not the first one.
fn print_one(repo: &Repo, p: &Parsed, oid: &Oid, again: bool, show: bool) -> Res<()> {
    let commit = repo.odb.commit(oid)?;
    let parents = p.walk.rewritten.get(oid).unwrap_or(&commit.parents);
    let mut text = p.show.text(repo, oid, &commit, parents)?;
    let (lines, ends) = p.form();
    // Against each parent: which one is said.
    if p.merges == Merges::Each
        && commit.parents.len() > 1
        && p.diff.asked()
        && lines
        && let Some(at) = bytes::find(&text, oid.to_string().as_bytes())
    {
        let from = format!(" (from {})", commit.parents[0]);
        text.splice(at + 40..at + 40, from.bytes());
    }
    if again && (lines || !ends) {
        put(b"\n");
    }
    put(&text);
    if !lines && ends && !p.is_blank() {
        put(b"\n");
    }
    print_changes(repo, p, oid, &commit, show)
}

/// The changes of a commit, with what parts them from its message.
fn print_changes(repo: &Repo, p: &Parsed, oid: &Oid, commit: &Rc<Commit>, show: bool) -> Res<()> {
    let (lines, ends) = p.form();
    if !p.diff.asked() || (p.diff.none && !p.diff.stat) {
        return Ok(());
    }
    let merge = commit.parents.len() > 1;
    let kind = match p.merges {
        Merges::Unset if show => Merges::Combined,
        Merges::Unset => Merges::Off,
        other => other,
    };
    if merge && kind == Merges::Off {
        return Ok(());
    }
    let tree = |oid: &Oid| -> Res<Oid> { Ok(repo.odb.commit(oid)?.tree) };
    let spec = if p.walk.follow.is_some() { Pathspec::default() } else { p.walk.paths.clone() };
    if merge && kind == Merges::Combined {
        let diff = &p.diff;
        if diff.stat
            || diff.numstat
            || diff.shortstat
            || diff.name_only
            || diff.name_status
            || diff.raw
            || diff.summary
        {
            let all = if diff.stat || diff.numstat || diff.shortstat || diff.summary {
                changes::trees(repo, Some(tree(&commit.parents[0])?), Some(commit.tree), &spec)?
            } else {
                shared_changes(repo, commit, &spec)?
            };
            let mut only = diff.clone();
            only.patch = false;
            if !all.is_empty() {
                separator(p, !ends && !lines);
                diffout::show(repo, all, &only)?;
            }
            if diff.patch {
                put(b"\n");
                combined::put_merge(repo, &commit.parents, &commit.tree, &spec, diff)?;
            }
            return Ok(());
        }
        let mut quiet = diff.clone();
        quiet.patch = false;
        if combined::put_merge(repo, &commit.parents, &commit.tree, &spec, &quiet)? {
            separator(p, !ends && !lines);
            combined::put_merge(repo, &commit.parents, &commit.tree, &spec, diff)?;
        } else if show && lines {
            put(b"\n");
        }
        return Ok(());
    }
    if merge && kind == Merges::Each {
        for (at, parent) in commit.parents.iter().enumerate() {
            let all = changes::trees(repo, Some(tree(parent)?), Some(commit.tree), &spec)?;
            if at > 0 && lines {
                let head = p.show.text(repo, oid, commit, &commit.parents)?;
                let shown = String::from_utf8_lossy(&head).replacen(
                    &oid.to_string(),
                    &format!("{oid} (from {parent})"),
                    1,
                );
                put(b"\n");
                put(shown.as_bytes());
            }
            separator(p, !ends && !lines);
            diffout::show(repo, all, &p.diff)?;
        }
        return Ok(());
    }
    let old = commit.parents.first().map(tree).transpose()?;
    let mut all = changes::trees(repo, old, Some(commit.tree), &spec)?;
    if let Some(path) = followed(p, repo, commit)? {
        all = changes::find_renames(repo, all, changes::MAX_SCORE / 2, false)?;
        all.retain(|c| c.new.path == path || c.old.path == path);
    }
    if !diffout::prepare(repo, all.clone(), &p.diff)?.is_empty() {
        separator(p, !ends && !lines);
        diffout::show(repo, all, &p.diff)?;
    }
    Ok(())
}

/// With `--follow`, the name that the file has in this commit: found again from its changes.
fn followed(p: &Parsed, repo: &Repo, commit: &Rc<Commit>) -> Res<Option<Vec<u8>>> {
    let Some(first) = p.walk.follow.clone() else { return Ok(None) };
    let mut names: Vec<Vec<u8>> = p.walk.paths.specs.iter().map(|s| s.path.clone()).collect();
    names.push(first);
    for name in &names {
        if revision::entry_at(repo, &commit.tree, name)?.is_some() {
            return Ok(Some(name.clone()));
        }
    }
    Ok(names.into_iter().next())
}

/// Files that differ from every parent.
fn shared_changes(repo: &Repo, commit: &Commit, spec: &Pathspec) -> Res<Vec<changes::Change>> {
    let mut first: Option<Vec<changes::Change>> = None;
    for parent in &commit.parents {
        let list = changes::trees(repo, Some(repo.odb.commit(parent)?.tree), Some(commit.tree), spec)?;
        first = Some(match first {
            None => list,
            Some(all) => all.into_iter().filter(|c| list.iter().any(|o| o.path() == c.path())).collect(),
        });
    }
    Ok(first.unwrap_or_default())
}

fn separator(p: &Parsed, unended: bool) {
    if unended {
        put(b"\n");
    }
    match &p.show.form {
        Form::Oneline | Form::Reference => {}
        Form::User(text, _) if text.is_empty() => {}
        Form::User(..) if p.diff.patch && p.diff.stat => put(b"---\n"),
        _ if p.diff.patch && p.diff.stat => put(b"---\n"),
        _ => put(b"\n"),
    }
}

pub(crate) fn show(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let repo = Repo::open(setting)?;
    let mut p = parse(&repo, words, "show")?;
    set_decorations(&repo, &mut p);
    set_notes(&repo, &mut p)?;
    if !p.diff.asked() {
        p.diff.patch = true;
    }
    let words = std::mem::take(&mut p.words);
    let limit = p.dashdash.unwrap_or(words.len());
    let mut objects = Vec::new();
    let mut at = 0;
    while at < limit {
        let text = bytes::text(&words[at]);
        if text.contains("..") && !text.contains(':') {
            let mut walk = Walk::default();
            if !walk.take(&repo, &text, false)? {
                return Err(revision::ambiguous(&text));
            }
            objects.extend(walk.run(&repo)?.into_iter().map(|o| (text.clone(), o)));
            at += 1;
            continue;
        }
        match revision::find(&repo, &text)? {
            Some(oid) => objects.push((text, oid)),
            None if p.dashdash.is_some() => fatal!("bad revision '{text}'"),
            None => break,
        }
        at += 1;
    }
    let paths = words[if p.dashdash.is_some() { limit } else { at }..].to_vec();
    if p.dashdash.is_none() {
        for word in &paths {
            walk::check_path(&repo, word)?;
        }
    }
    p.walk.paths = repo.pathspec(&paths)?;
    if objects.is_empty() {
        match repo.head() {
            Some(head) => objects.push(("HEAD".to_owned(), head)),
            None => fatal!(
                "your current branch '{}' does not have any commits yet",
                repo.head_branch().unwrap_or_default()
            ),
        }
    }
    let mut again = false;
    for (name, oid) in objects {
        if !repo.odb.exists(&oid) && oid != crate::oid::EMPTY_TREE {
            fatal!("bad object {name}");
        }
        let mut oid = oid;
        loop {
            let (kind, data) = repo.odb.read(&oid)?;
            match kind {
                Kind::Commit => {
                    print_one(&repo, &p, &oid, again, true)?;
                    again = true;
                }
                Kind::Blob => put(&data),
                Kind::Tree => {
                    if again {
                        put(b"\n");
                    }
                    out!("tree {name}\n\n");
                    for entry in parse_tree(&data)? {
                        let dir = entry.mode == crate::oid::MODE_DIR;
                        out!("{}{}\n", repo.quoted(&entry.name), if dir { "/" } else { "" });
                    }
                    again = true;
                }
                Kind::Tag => {
                    let tag = Tag::parse(&data)?;
                    if again {
                        put(b"\n");
                    }
                    out!("tag {}\n", bytes::text(&tag.name));
                    if let Some(who) = &tag.tagger {
                        put(&[b"Tagger: ", &who.ident()[..], b"\n"].concat());
                        if p.show.form == Form::Medium {
                            let dates = p.show.dates.clone().unwrap_or_default();
                            out!("Date:   {}\n", dates.show(who.time, who.zone));
                        }
                    }
                    put(b"\n");
                    put(&tag.message);
                    again = true;
                    oid = tag.target;
                    continue;
                }
            }
            break;
        }
    }
    Ok(0)
}

pub(crate) fn rev_list(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let repo = Repo::open(setting)?;
    let mut p = parse(&repo, words, "rev-list")?;
    let named =
        words.iter().any(|w| w.starts_with(b"--format") || w.starts_with(b"--pretty") || w == b"--oneline");
    let words_given = std::mem::take(&mut p.words);
    let paths = walk::divide(&repo, &words_given, p.dashdash, &mut p.walk, &p.not)?;
    p.walk.paths = repo.pathspec(&paths)?;
    if p.walk.include.is_empty()
        && p.walk.exclude.is_empty()
        && !words.iter().any(|w| matches!(&w[..], b"--all" | b"--branches" | b"--tags" | b"--remotes"))
    {
        return Err(Stop::Said(
            129,
            "usage: git rev-list [<options>] <commit>... [--] [<path>...]".to_owned(),
        ));
    }
    if p.graph {
        fatal!("option --graph is not supported");
    }
    let left_right = p.left_right;
    p.left_right = false;
    let list = sides(&repo, &mut p)?;
    p.left_right = left_right;
    if p.count {
        if p.left_right {
            let left = walk::ancestors(&repo, &p.walk.left)?;
            let n = list.iter().filter(|o| left.contains(o)).count();
            out!("{n}\t{}\n", list.len() - n);
        } else {
            out!("{}\n", list.len());
        }
        return Ok(0);
    }
    if p.quiet {
        return Ok(0);
    }
    let left = if p.left_right { Some(walk::ancestors(&repo, &p.walk.left)?) } else { None };
    for oid in &list {
        let commit = repo.odb.commit(oid)?;
        let name = if p.show.abbrev_commit { repo.odb.short(oid, p.show.abbrev) } else { oid.to_string() };
        let mark = left.as_ref().map_or("", |l| if l.contains(oid) { "<" } else { ">" });
        if named && !matches!(p.show.form, Form::Oneline) {
            if p.header && matches!(p.show.form, Form::User(..)) {
                out!("commit {mark}{name}\n");
            }
            let text = p.show.text(&repo, oid, &commit, &commit.parents)?;
            put(&text);
            put(b"\n");
            continue;
        }
        out!("{mark}{name}");
        if p.show.parents {
            for parent in p.walk.rewritten.get(oid).unwrap_or(&commit.parents) {
                out!(" {parent}");
            }
        }
        if named {
            put(b" ");
            put(&commit.subject());
        }
        put(b"\n");
    }
    if p.objects {
        let mut seen = std::collections::HashSet::new();
        for oid in walk::ancestors(&repo, &p.walk.exclude)? {
            list_objects(&repo, &repo.odb.commit(&oid)?.tree, b"", &mut seen, false)?;
        }
        for oid in &list {
            list_objects(&repo, &repo.odb.commit(oid)?.tree, b"", &mut seen, true)?;
        }
    }
    Ok(0)
}

fn list_objects(
    repo: &Repo,
    tree: &Oid,
    path: &[u8],
    seen: &mut std::collections::HashSet<Oid>,
    print: bool,
) -> Res<()> {
    if !seen.insert(*tree) {
        return Ok(());
    }
    if print {
        out!("{tree} {}\n", bytes::text(path));
    }
    for entry in repo.odb.tree(tree)? {
        let below = bytes::join(path, &entry.name);
        if entry.mode == crate::oid::MODE_DIR {
            list_objects(repo, &entry.oid, &below, seen, print)?;
        } else if entry.mode != crate::oid::MODE_GITLINK && seen.insert(entry.oid) && print {
            out!("{} {}\n", entry.oid, bytes::text(&below));
        }
    }
    Ok(())
}

/// The commits that a ref has been at.
fn reflog_entries(repo: &Repo, mut p: Parsed, words: &[Vec<u8>]) -> Res<i32> {
    let name = words.first().map_or_else(|| "HEAD".to_owned(), |w| bytes::text(w));
    let Some((full, _)) = revision::dwim(repo, &name)
        .or_else(|| repo.head().filter(|_| name == "HEAD").map(|o| ("HEAD".to_owned(), o)))
    else {
        return Err(revision::ambiguous(&name));
    };
    let dates = p.show.dates.clone();
    let log = repo.reflog(&full);
    let mut shown = 0;
    let mut skip = p.walk.skip;
    for (at, entry) in log.iter().rev().enumerate() {
        if p.walk.max.is_some_and(|m| shown >= m) {
            break;
        }
        if skip > 0 {
            skip -= 1;
            continue;
        }
        if entry.new.is_zero() || !repo.odb.exists(&entry.new) {
            continue;
        }
        let which = match &dates {
            Some(dates) => dates.show(entry.who.time, entry.who.zone),
            None => at.to_string(),
        };
        p.show.reflog = Some((format!("{name}@{{{which}}}"), bytes::text(&entry.message)));
        print_one(repo, &p, &entry.new, shown > 0, false)?;
        shown += 1;
    }
    Ok(0)
}

pub(crate) fn reflog(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let repo = Repo::open(setting)?;
    let rest = match words.first().map(Vec::as_slice) {
        Some(b"show") => &words[1..],
        Some(b"exists") => {
            let name = words.get(1).map(|w| bytes::text(w)).unwrap_or_default();
            return Ok(i32::from(repo.reflog(&name).is_empty()));
        }
        Some(b"expire") => return super::reflogs::expire(&repo, &words[1..]),
        Some(b"delete") => return super::reflogs::delete(&repo, &words[1..]),
        Some(verb @ (b"list" | b"drop")) => {
            fatal!("reflog {} is not supported", bytes::text(verb))
        }
        _ => words,
    };
    let mut p = parse(&repo, rest, "reflog")?;
    if !rest.iter().any(|w| w.starts_with(b"--format") || w.starts_with(b"--pretty")) {
        p.show.form = Form::Oneline;
        p.show.abbrev_commit = true;
    }
    set_decorations(&repo, &mut p);
    set_notes(&repo, &mut p)?;
    let words = std::mem::take(&mut p.words);
    if words.is_empty() && repo.head().is_none() {
        fatal!(
            "your current branch '{}' does not have any commits yet",
            repo.head_branch().unwrap_or_default()
        );
    }
    reflog_entries(&repo, p, &words)
}

/// `git shortlog`, of HEAD or what is named.
pub(crate) fn shortlog(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let repo = Repo::open(setting)?;
    let mut args = Args::new(words, "", "shortlog", "[-s] [-n] [-e] [<revision>...]");
    let (mut summary, mut numbered, mut email) = (false, false, false);
    let mut walk = Walk::default();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-s" | "--summary" => summary = true,
                "-n" | "--numbered" => numbered = true,
                "-e" | "--email" => email = true,
                "--all" => walk.take_refs(&repo, "refs/", false)?,
                "--no-merges" => walk.max_parents = Some(1),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => {
                let text = bytes::text(&word);
                if !walk.take(&repo, &text, false)? {
                    return Err(revision::ambiguous(&text));
                }
            }
        }
    }
    let mut people: std::collections::BTreeMap<Vec<u8>, Vec<Vec<u8>>> = std::collections::BTreeMap::new();
    if walk.include.is_empty() {
        if agentos_guest::tty::tcgetattr(0).is_ok() {
            walk.include.extend(repo.head());
        } else {
            // Without a revision and a terminal it reads a log.
            let text = agentos_guest::fd::read_to_end(0)?;
            let mut who: Option<Vec<u8>> = None;
            for line in text.split(|b| *b == b'\n') {
                if let Some(author) = line.strip_prefix(b"Author:") {
                    let author = crate::oid::Person::parse(author);
                    who = Some(if email { author.ident() } else { author.name });
                } else if line.starts_with(b"    ")
                    && let Some(who) = who.take()
                {
                    people.entry(who).or_default().insert(0, line.trim_ascii().to_vec());
                }
            }
        }
    }
    for oid in walk.run(&repo)?.into_iter().rev() {
        let commit = repo.odb.commit(&oid)?;
        let who = if email { commit.author.ident() } else { commit.author.name.clone() };
        people.entry(who).or_default().push(commit.subject());
    }
    let mut people: Vec<_> = people.into_iter().collect();
    if numbered {
        people.sort_by_key(|(_, list)| std::cmp::Reverse(list.len()));
    }
    for (who, list) in people {
        if summary {
            out!("{:6}\t{}\n", list.len(), bytes::text(&who));
            continue;
        }
        out!("{} ({}):\n", bytes::text(&who), list.len());
        for subject in list {
            out!("      {}\n", bytes::text(&subject));
        }
        put(b"\n");
    }
    Ok(0)
}
