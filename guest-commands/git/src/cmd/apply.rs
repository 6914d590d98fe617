//! `git apply`: patches to files and index. All files of a patch are looked at before any is written.

use crate::args::{Args, Word};
use crate::bytes;
use crate::error::{Res, Stop, fatal, out, put, say};
use crate::glob;
use crate::index::{Entry, Index};
use crate::oid::Kind;
use crate::patch::{self, FilePatch, Placing, Reading};
use crate::repo::{Repo, Setting};
use crate::threeway::{self, Favor, Labels};
use crate::worktree;
use agentos_guest::fs::lstat;
use std::collections::BTreeMap;
use std::fs;

const USAGE: &str = "[<options>] [<patch>...]

    --exclude <path>      don't apply changes matching the given path
    --include <path>      apply changes matching the given path
    -p <num>              remove <num> leading slashes from traditional diff paths
    --no-add              ignore additions made by the patch
    --add                 opposite of --no-add
    --[no-]stat           instead of applying the patch, output diffstat for the input
    --[no-]numstat        show number of added and deleted lines in decimal notation
    --[no-]summary        instead of applying the patch, output a summary for the input
    --[no-]check          instead of applying the patch, see if the patch is applicable
    --[no-]index          make sure the patch is applicable to the current index
    -N, --[no-]intent-to-add
                          mark new files with `git add --intent-to-add`
    --[no-]cached         apply a patch without touching the working tree
    --[no-]unsafe-paths   accept a patch that touches outside the working area
    --[no-]apply          also apply the patch (use with --stat/--summary/--check)
    -3, --[no-]3way       attempt three-way merge, fall back on normal patch if that fails
    --ours                for conflicts, use our version
    --theirs              for conflicts, use their version
    --union               for conflicts, use a union version
    --[no-]build-fake-ancestor <file>
                          build a temporary index based on embedded index information
    -z                    paths are separated with NUL character
    -C <n>                ensure at least <n> lines of context match
    --[no-]whitespace <action>
                          detect new or modified lines that have whitespace errors
    --[no-]ignore-space-change
                          ignore changes in whitespace when finding context
    --[no-]ignore-whitespace
                          ignore changes in whitespace when finding context
    -R, --[no-]reverse    apply the patch in reverse
    --[no-]unidiff-zero   don't expect at least one line of context
    --[no-]reject         leave the rejected hunks in corresponding *.rej files
    --[no-]allow-overlap  allow overlapping hunks
    -v, --[no-]verbose    be more verbose
    -q, --[no-]quiet      be more quiet
    --[no-]inaccurate-eof tolerate incorrectly detected missing new-line at the end of file
    --[no-]recount        do not trust the line counts in the hunk headers
    --[no-]directory <root>
                          prepend <root> to all filenames
    --[no-]allow-empty    don't return error for empty patches
";

/// How patches are applied.
#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) reading: Option<Reading>,
    pub(crate) index: bool,
    pub(crate) cached: bool,
    pub(crate) check: bool,
    pub(crate) reject: bool,
    pub(crate) reverse: bool,
    pub(crate) three_way: bool,
    pub(crate) favor: Favor,
    pub(crate) verbose: bool,
    pub(crate) quiet: bool,
    pub(crate) placing: Placing,
    pub(crate) no_add: bool,
    /// Each pattern, and whether it is one of files that are taken.
    pub(crate) limits: Vec<(bool, Vec<u8>)>,
}

pub(crate) fn apply(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "pC", "apply", USAGE);
    let mut o = Options::default();
    let mut reading = Reading { strip: 1, root: Vec::new(), recount: false };
    let (mut stat, mut numstat, mut summary, mut force, mut allow_empty) =
        (false, false, false, false, false);
    let mut white = None;
    let mut nul = false;
    let mut files = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(option) => match option.as_str() {
                "-p" => match args.value(&option)?.parse() {
                    Ok(n) => reading.strip = n,
                    Err(_) => {
                        return Err(Stop::Error(129, "option `p' expects a numerical value".to_owned()));
                    }
                },
                "-C" => o.placing.context = args.value(&option)?.parse().ok(),
                "--stat" => stat = true,
                "--numstat" => numstat = true,
                "--summary" => summary = true,
                "--check" => o.check = true,
                "--index" => o.index = true,
                "--cached" => (o.index, o.cached) = (true, true),
                "--apply" => force = true,
                "-3" | "--3way" => (o.index, o.three_way) = (true, true),
                "--ours" => o.favor = Favor::Ours,
                "--theirs" => o.favor = Favor::Theirs,
                "--union" => o.favor = Favor::Union,
                "-R" | "--reverse" => o.reverse = true,
                "--reject" => (o.reject, o.verbose) = (true, true),
                "-v" | "--verbose" => o.verbose = true,
                "-q" | "--quiet" => o.quiet = true,
                "--unidiff-zero" => o.placing.zero = true,
                "--ignore-space-change" | "--ignore-whitespace" => o.placing.loose = true,
                "--recount" => reading.recount = true,
                "--no-add" => o.no_add = true,
                "-z" => nul = true,
                "--allow-empty" => allow_empty = true,
                "--whitespace" | "--whitespace=" => white = Some(args.value(&option)?),
                "--directory" | "--directory=" => {
                    let mut root = args.value_bytes(&option)?;
                    while root.ends_with(b"/") {
                        root.pop();
                    }
                    root.push(b'/');
                    reading.root = root;
                }
                "--include" | "--include=" => o.limits.push((true, args.value_bytes(&option)?)),
                "--exclude" | "--exclude=" => o.limits.push((false, args.value_bytes(&option)?)),
                "--binary" | "--no-3way" => {}
                "-N"
                | "--intent-to-add"
                | "--unsafe-paths"
                | "--inaccurate-eof"
                | "--build-fake-ancestor"
                | "--build-fake-ancestor=" => {
                    fatal!("option {} is not supported", option.trim_end_matches('='))
                }
                _ => return Err(args.unknown(&option)),
            },
            Word::Plain(word) => files.push(word),
        }
    }
    let cwd = agentos_guest::env::current_dir()?;
    let mut texts = Vec::new();
    if files.is_empty() {
        files.push(b"-".to_vec());
    }
    for file in &files {
        let shown = bytes::text(file);
        if file == b"-" {
            texts.push(("<stdin>".to_owned(), agentos_guest::fd::read_to_end(0)?));
            continue;
        }
        let path = cwd.join(bytes::path(file));
        match fs::File::open(&path) {
            Err(error) => {
                return Err(Stop::Error(
                    128,
                    format!("can't open patch '{shown}': {}", agentos_guest::strerror(&error)),
                ));
            }
            Ok(_) => match fs::read(&path) {
                Ok(text) => texts.push((shown, text)),
                Err(error) => {
                    return Err(Stop::Error(
                        128,
                        format!("failed to read patch: {}", agentos_guest::strerror(&error)),
                    ));
                }
            },
        }
    }
    let repo = match Repo::open(setting) {
        Ok(repo) => Some(repo),
        Err(stop) if o.index => return Err(stop),
        Err(_) => None,
    };
    if let Some(repo) = &repo
        && !o.cached
    {
        repo.need_work_tree()?;
    }
    let action = white
        .or_else(|| repo.as_ref().and_then(|r| r.config.get("apply.whitespace")))
        .unwrap_or_else(|| "warn".to_owned());
    if !matches!(action.as_str(), "warn" | "nowarn" | "fix" | "strip" | "error" | "error-all") {
        fatal!("unrecognized whitespace option '{action}'");
    }
    o.reading = Some(reading.clone());
    let only_shown = (stat || numstat || summary) && !force && !o.check;
    for (name, text) in texts {
        let mut patches = patch::parse(&text, &reading)?;
        if patches.is_empty() {
            if allow_empty {
                continue;
            }
            return Err(Stop::Error(
                128,
                "No valid patches in input (allow with \"--allow-empty\")".to_owned(),
            ));
        }
        let fix = matches!(action.as_str(), "fix" | "strip");
        let mut spaces = 0;
        if action != "nowarn" && !only_shown {
            spaces = patch::white_space(&mut patches, &name, fix, o.quiet);
        }
        if spaces > 5 && !o.quiet {
            let n = spaces - 5;
            say!("warning: squelched {n} whitespace error{}", if n == 1 { "" } else { "s" });
        }
        if spaces > 0 && action.starts_with("error") {
            let (lines, add) = if spaces == 1 { ("line", "adds") } else { ("lines", "add") };
            return Err(Stop::Error(1, format!("{spaces} {lines} {add} whitespace errors.")));
        }
        limit(&mut patches, &o, repo.as_ref());
        if o.reverse {
            patches.iter_mut().for_each(FilePatch::reverse);
        }
        if !only_shown && !run(repo.as_ref(), &mut patches, &o)? {
            return Ok(1);
        }
        if stat {
            put_stat(&patches);
        }
        if numstat {
            for p in &patches {
                let (added, deleted) = p.counts();
                out!("{added}\t{deleted}\t");
                if nul {
                    put(p.name())
                } else {
                    put(&bytes::quote(p.name(), true))
                }
                put(if nul { b"\0" } else { b"\n" });
            }
        }
        if summary {
            put_summary(&patches);
        }
        if spaces > 0 && !o.quiet {
            let lines = if spaces == 1 { "line" } else { "lines" };
            if fix {
                say!("warning: {spaces} {lines} applied after fixing whitespace errors.");
            } else {
                say!(
                    "warning: {spaces} {lines} {} whitespace errors.",
                    if spaces == 1 { "adds" } else { "add" }
                );
            }
        }
    }
    Ok(0)
}

/// Leaves out files by the patterns, and those outside of the directory.
fn limit(patches: &mut Vec<FilePatch>, o: &Options, repo: Option<&Repo>) {
    let prefix = repo.map(|r| r.prefix.clone()).unwrap_or_default();
    patches.retain(|p| {
        if !bytes::within(p.name(), &prefix) {
            return false;
        }
        match o.limits.iter().find(|(_, pattern)| glob::matches(pattern, p.name(), false, false)) {
            Some((include, _)) => *include,
            None => !o.limits.iter().any(|(include, _)| *include),
        }
    });
}

type Content = (u32, Vec<u8>);

/// Applies patches. False: they do not fit, which has been said.
pub(crate) fn run(repo: Option<&Repo>, patches: &mut [FilePatch], o: &Options) -> Res<bool> {
    let mut index = match repo {
        Some(repo) if o.index => Some(repo.index()?),
        _ => None,
    };
    if let (Some(index), Some(repo)) = (&mut index, repo) {
        worktree::refresh(index, repo.filemode());
    }
    // What each file is after the patches so far; `None`: it is gone.
    let mut results: BTreeMap<Vec<u8>, Option<Content>> = BTreeMap::new();
    let mut rejects: Vec<(Vec<u8>, String)> = Vec::new();
    let mut conflicts: Vec<(Vec<u8>, [Option<Content>; 3])> = Vec::new();
    let mut good = true;
    for p in patches.iter_mut() {
        for name in p.old.iter().chain(&p.new) {
            patch::check_name(name)?;
        }
        if o.no_add {
            for hunk in &mut p.hunks {
                hunk.lines.retain(|l| l.0 != b'+');
            }
        }
        let shown = bytes::text(p.name());
        if o.verbose && !o.quiet {
            match (&p.old, &p.new) {
                (Some(old), Some(new)) if old != new => {
                    say!("Checking patch {} => {}...", bytes::text(old), bytes::text(new));
                }
                _ => say!("Checking patch {shown}..."),
            }
        }
        let mut old: Option<Content> = None;
        if let Some(name) = &p.old {
            match before(repo, index.as_ref(), &results, name, o)? {
                Ok(content) => old = Some(content),
                Err(text) => {
                    say!("error: {text}");
                    good = false;
                    continue;
                }
            }
        }
        if let Some(new) = &p.new
            && (p.old.is_none() || p.renamed || p.copy)
            && let Some(place) = in_the_way(index.as_ref(), &results, new, o)
            && !(o.three_way && p.old.is_none())
        {
            say!("error: {shown}: already exists in {place}");
            good = false;
            continue;
        }
        if p.binary {
            say!(
                "error: cannot apply binary patch to '{shown}' without full index line\nerror: {shown}: patch does not apply"
            );
            good = false;
            continue;
        }
        let mode = p.new_mode.or(p.old_mode).or(old.as_ref().map(|c| c.0)).unwrap_or(0o100_644);
        // A mode of the index line is only that of the old file.
        let mode = match (&old, p.old_mode, p.new_mode) {
            (Some(now), Some(a), Some(b)) if a == b => now.0,
            _ => mode,
        };
        if o.three_way
            && let Some(repo) = repo
        {
            match three_way(repo, p, old.clone(), o, index.as_ref())? {
                Some((text, stages)) => {
                    let name = p.new.clone().unwrap_or_default();
                    match stages {
                        Some(stages) => {
                            if !o.quiet {
                                say!("Applied patch to '{shown}' with conflicts.");
                            }
                            conflicts.push((name.clone(), stages));
                        }
                        None if !o.quiet => say!("Applied patch to '{shown}' cleanly."),
                        None => {}
                    }
                    if let Some(from) = &p.old
                        && !p.copy
                        && *from != name
                    {
                        results.insert(from.clone(), None);
                    }
                    results.insert(name, Some((mode, text)));
                    continue;
                }
                None => {
                    if p.old.is_some() && !o.quiet {
                        say!(
                            "error: repository lacks the necessary blob to perform 3-way merge.\nFalling back to direct application..."
                        );
                    }
                }
            }
        }
        let content = old.as_ref().map(|c| c.1.clone()).unwrap_or_default();
        let applied = patch::apply(&content, p, o.placing);
        let mut bad = Vec::new();
        for (hunk, place) in p.hunks.iter().zip(&applied.places) {
            match place {
                Some((at, off)) if *off != 0 && o.verbose && !o.quiet => {
                    let n = off.unsigned_abs();
                    let number = p.hunks.iter().position(|h| std::ptr::eq(h, hunk)).unwrap_or(0) + 1;
                    say!(
                        "Hunk #{number} succeeded at {at} (offset {off} line{}).",
                        if n == 1 { "" } else { "s" }
                    );
                }
                Some(_) => {}
                None => {
                    if o.verbose && !o.quiet {
                        let wanted: Vec<u8> =
                            hunk.lines.iter().filter(|l| l.0 != b'+').flat_map(|l| l.1.clone()).collect();
                        say!("error: while searching for:\n{}", bytes::text(&wanted));
                    }
                    if !o.quiet {
                        let name = p.old.as_deref().unwrap_or(p.name());
                        say!("error: patch failed: {}:{}", bytes::text(name), hunk.old_start);
                    }
                    bad.push(hunk.clone());
                    if !o.reject {
                        break;
                    }
                }
            }
        }
        if !bad.is_empty() {
            if !o.reject {
                if !o.quiet {
                    say!(
                        "error: {}: patch does not apply",
                        bytes::text(p.old.as_deref().unwrap_or(p.name()))
                    );
                }
                good = false;
                continue;
            }
            rejects.push((p.name().to_vec(), rejected(p, &applied.places)));
        }
        if p.new.is_none() && !applied.text.is_empty() {
            say!("error: removal patch leaves file contents\nerror: {shown}: patch does not apply");
            good = false;
            continue;
        }
        if let Some(from) = &p.old
            && !p.copy
            && p.new.as_ref() != Some(from)
        {
            results.insert(from.clone(), None);
        }
        if let Some(name) = &p.new {
            results.insert(name.clone(), Some((mode, applied.text)));
        }
    }
    if !good && !o.reject {
        return Ok(false);
    }
    if o.check {
        return Ok(good);
    }
    write(repo, index, results, &conflicts, o)?;
    report(patches, &rejects, o)?;
    for (path, _) in &conflicts {
        say!("U {}", bytes::text(path));
    }
    Ok(good && rejects.is_empty() && conflicts.is_empty())
}

/// The content that a patch begins with, or why there is none.
fn before(
    repo: Option<&Repo>,
    index: Option<&Index>,
    results: &BTreeMap<Vec<u8>, Option<Content>>,
    name: &[u8],
    o: &Options,
) -> Res<Result<Content, String>> {
    let shown = bytes::text(name);
    if let Some(result) = results.get(name) {
        return Ok(result.clone().ok_or(format!("{shown}: has been deleted/renamed")));
    }
    if let (Some(index), Some(repo)) = (index, repo) {
        let Some(entry) = index.get(name) else {
            return Ok(Err(format!("{shown}: does not exist in index")));
        };
        if !o.cached
            && !matches!(
                worktree::compare(index, entry, repo.filemode()).0,
                worktree::State::Same | worktree::State::Stale
            )
        {
            return Ok(Err(format!("{shown}: does not match index")));
        }
        return Ok(Ok((entry.mode, repo.odb.blob(&entry.oid)?.to_vec())));
    }
    match lstat(bytes::path(name)) {
        Err(error) => Ok(Err(format!("{shown}: {}", agentos_guest::strerror(&error)))),
        Ok(stat) => {
            let mode = crate::index::index_mode(&stat).unwrap_or(0o100_644);
            match worktree::read(name, &stat) {
                Ok(text) => Ok(Ok((mode, text))),
                Err(error) => Ok(Err(format!("{shown}: {}", agentos_guest::strerror(&error)))),
            }
        }
    }
}

/// Where a file is that a patch would make.
fn in_the_way(
    index: Option<&Index>,
    results: &BTreeMap<Vec<u8>, Option<Content>>,
    name: &[u8],
    o: &Options,
) -> Option<&'static str> {
    match results.get(name) {
        Some(Some(_)) => return Some("working directory"),
        Some(None) => return None,
        None => {}
    }
    if index.is_some_and(|i| i.get(name).is_some()) {
        return Some("index");
    }
    (!o.cached && lstat(bytes::path(name)).is_ok()).then_some("working directory")
}

type Stages = [Option<Content>; 3];

/// Merges the patched original with the file as it is. `None`: the original is not known.
fn three_way(
    repo: &Repo,
    p: &FilePatch,
    now: Option<Content>,
    o: &Options,
    index: Option<&Index>,
) -> Res<Option<(Vec<u8>, Option<Stages>)>> {
    let Some(new) = &p.new else { return Ok(None) };
    let base = if p.old.is_none() {
        None
    } else {
        let Some(oid) = repo.odb.abbreviated(&p.old_oid).first().copied() else { return Ok(None) };
        match repo.odb.try_read(&oid)? {
            Some((Kind::Blob, data)) => Some((p.old_mode.unwrap_or(0o100_644), data.to_vec())),
            _ => return Ok(None),
        }
    };
    let text = base.as_ref().map(|b| b.1.clone()).unwrap_or_default();
    let applied = patch::apply(&text, p, Placing::default());
    if applied.places.iter().any(Option::is_none) {
        return Ok(None);
    }
    let now = match now {
        Some(now) => Some(now),
        None => match index.and_then(|i| i.get(new)) {
            Some(entry) => Some((entry.mode, repo.odb.blob(&entry.oid)?.to_vec())),
            None => return Ok(Some((applied.text, None))),
        },
    };
    let ours = now.as_ref().map(|c| c.1.clone()).unwrap_or_default();
    if ours == text || ours == applied.text {
        return Ok(Some((applied.text, None)));
    }
    let labels = Labels {
        ours: "ours",
        theirs: "theirs",
        base: "base",
        favor: o.favor,
        style: threeway::Style::of(repo)?,
    };
    let (merged, count) = threeway::texts(&text, &ours, &applied.text, &labels);
    let theirs = Some((p.new_mode.unwrap_or(0o100_644), applied.text));
    Ok(Some((merged, (count > 0).then_some([base, now, theirs]))))
}

/// Writes the results to work tree and index.
fn write(
    repo: Option<&Repo>,
    index: Option<Index>,
    results: BTreeMap<Vec<u8>, Option<Content>>,
    conflicts: &[(Vec<u8>, Stages)],
    o: &Options,
) -> Res<()> {
    let mut index = index;
    let lock = match &index {
        Some(index) => Some(index.lock()?),
        None => None,
    };
    for (path, _) in results.iter().filter(|(_, result)| result.is_none()) {
        if !o.cached {
            worktree::remove(path)?;
        }
        if let Some(index) = &mut index {
            index.remove(path);
        }
    }
    for (path, result) in results {
        let Some((mode, text)) = result else { continue };
        let stat = if o.cached { None } else { Some(worktree::write(&path, mode, &text)?) };
        if let (Some(index), Some(repo)) = (&mut index, repo) {
            if let Some((_, stages)) = conflicts.iter().find(|(p, _)| *p == path) {
                index.remove(&path);
                for (at, side) in stages.iter().enumerate() {
                    if let Some((mode, text)) = side {
                        let oid = repo.odb.write(Kind::Blob, text)?;
                        index.put_stage(Entry::new(path.clone(), *mode, oid, at as u8 + 1));
                    }
                }
                continue;
            }
            let mut entry = Entry::new(path, mode, repo.odb.write(Kind::Blob, &text)?, 0);
            if let Some(stat) = &stat {
                entry.set_stat(stat);
            }
            index.put(entry);
        }
    }
    if let (Some(mut index), Some(lock)) = (index, lock) {
        index.write(lock)?;
    }
    Ok(())
}

/// The hunks that found no place, as a patch of their own.
fn rejected(p: &FilePatch, places: &[Option<(usize, isize)>]) -> String {
    let name = bytes::text(p.name());
    let mut text = format!("diff a/{name} b/{name}\t(rejected hunks)\n");
    for (hunk, _) in p.hunks.iter().zip(places).filter(|(_, place)| place.is_none()) {
        let range =
            |start: usize, len: usize| if len == 1 { format!("{start}") } else { format!("{start},{len}") };
        text += &format!(
            "@@ -{} +{} @@{}\n",
            range(hunk.old_start, hunk.old_len),
            range(hunk.new_start, hunk.new_len),
            bytes::text(&hunk.tail)
        );
        for (sign, line) in &hunk.lines {
            text.push(*sign as char);
            text += &bytes::text(line);
            if !line.ends_with(b"\n") {
                text += "\n\\ No newline at end of file\n";
            }
        }
    }
    text
}

/// Says what was applied, and writes the rejected hunks.
fn report(patches: &[FilePatch], rejects: &[(Vec<u8>, String)], o: &Options) -> Res<()> {
    for p in patches {
        let name = bytes::text(p.name());
        match rejects.iter().find(|(path, _)| path == p.name()) {
            None if o.verbose && !o.quiet => say!("Applied patch {name} cleanly."),
            None => {}
            Some((path, text)) => {
                let bad: Vec<usize> = p
                    .hunks
                    .iter()
                    .enumerate()
                    .filter(|(_, h)| {
                        let head = format!("@@ -{}", h.old_start);
                        text.contains(&format!("{head},")) || text.contains(&format!("{head} "))
                    })
                    .map(|(n, _)| n)
                    .collect();
                let n = bad.len();
                say!("Applying patch {name} with {n} reject{}...", if n == 1 { "" } else { "s" });
                for at in 0..p.hunks.len() {
                    if bad.contains(&at) {
                        say!("Rejected hunk #{}.", at + 1);
                    } else {
                        say!("Hunk #{} applied cleanly.", at + 1);
                    }
                }
                fs::write(bytes::path(&[&path[..], b".rej"].concat()), text)?;
            }
        }
    }
    Ok(())
}

fn put_stat(patches: &[FilePatch]) {
    let name = |p: &FilePatch| match (&p.old, &p.new) {
        (Some(a), Some(b)) if a != b => bytes::text(b),
        _ => bytes::text(p.name()),
    };
    let longest = patches.iter().map(|p| name(p).len()).max().unwrap_or(0).min(50);
    let most = patches.iter().map(|p| p.counts().0 + p.counts().1).max().unwrap_or(0);
    let room = if longest + most > 70 { 70 - longest } else { most };
    let (mut all, mut none) = (0, 0);
    for p in patches {
        let (added, deleted) = p.counts();
        (all, none) = (all + added, none + deleted);
        let mut shown = name(p);
        if shown.len() > 50 {
            shown = format!("...{}", &shown[shown.len() - 47..]);
        }
        let scale = |n: usize| (n * room + most / 2).checked_div(most).unwrap_or(0);
        let total = scale(added + deleted);
        let plus = scale(added).min(total);
        out!(" {shown:<longest$} |{:>5} {}{}\n", added + deleted, "+".repeat(plus), "-".repeat(total - plus));
    }
    let n = patches.len();
    let mut line = format!(" {n} file{} changed", if n == 1 { "" } else { "s" });
    if all > 0 || none == 0 {
        line += &format!(", {all} insertion{}(+)", if all == 1 { "" } else { "s" });
    }
    if none > 0 || all == 0 {
        line += &format!(", {none} deletion{}(-)", if none == 1 { "" } else { "s" });
    }
    out!("{line}\n");
}

fn put_summary(patches: &[FilePatch]) {
    for p in patches {
        let modes = match (p.old_mode, p.new_mode) {
            (Some(a), Some(b)) if a != b => format!(" mode change {a:06o} => {b:06o}"),
            _ => String::new(),
        };
        match (&p.old, &p.new) {
            (None, Some(name)) => {
                out!(" create mode {:06o} {}\n", p.new_mode.unwrap_or(0o100_644), bytes::text(name));
            }
            (Some(name), None) => {
                out!(" delete mode {:06o} {}\n", p.old_mode.unwrap_or(0o100_644), bytes::text(name));
            }
            (Some(a), Some(b)) if a != b => {
                let what = if p.copy { "copy" } else { "rename" };
                // Folders that both have stand before the braces.
                let same = a.iter().zip(b.iter()).take_while(|(x, y)| x == y).count();
                let cut = a[..same].iter().rposition(|c| *c == b'/').map_or(0, |i| i + 1);
                let (a_end, b_end) = (bytes::text(&a[cut..]), bytes::text(&b[cut..]));
                if cut > 0 {
                    out!(" {what} {}{{{a_end} => {b_end}}} ({}%)\n", bytes::text(&a[..cut]), p.score);
                } else {
                    out!(" {what} {a_end} => {b_end} ({}%)\n", p.score);
                }
                if !modes.is_empty() {
                    out!("{modes}\n");
                }
            }
            (Some(name), _) if !modes.is_empty() => out!("{modes} {}\n", bytes::text(name)),
            _ => {}
        }
    }
}
