//! Commands about refs: `show-ref`, `for-each-ref`, `symbolic-ref`, `update-ref`, `describe`.

use crate::args::{Args, Word};
use crate::bytes;
use crate::error::{Res, Stop, fatal, out, say};
use crate::glob;
use crate::oid::{Kind, Oid, Tag};
use crate::refs::Value;
use crate::repo::{Repo, Setting};
use crate::{revision, walk};
use std::collections::HashMap;

/// A line of `--format` of refs: `%(refname:short)` and the like.
pub(crate) fn expand(repo: &Repo, format: &str, name: &str, oid: &Oid) -> Res<String> {
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out += &rest[..at];
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix('%') {
            out.push('%');
            rest = tail;
        } else if let Some(inside) = rest.strip_prefix('(') {
            let Some(end) = inside.find(')') else { fatal!("malformed format string %{rest}") };
            out += &field(repo, &inside[..end], name, oid)?;
            rest = &inside[end + 1..];
        } else if let Some(byte) = rest.get(..2).and_then(|h| u8::from_str_radix(h, 16).ok()) {
            out.push(byte as char);
            rest = &rest[2..];
        } else {
            out.push('%');
        }
    }
    Ok(out + rest)
}

fn field(repo: &Repo, field: &str, name: &str, oid: &Oid) -> Res<String> {
    let (key, modifier) = field.split_once(':').map_or((field, ""), |(k, m)| (k, m));
    let (key, peeled) = key.strip_prefix('*').map_or((key, false), |k| (k, true));
    let mut oid = *oid;
    if peeled {
        match revision::tag(repo, &oid)? {
            Some(tag) => oid = tag.target,
            None => return Ok(String::new()),
        }
    }
    let strip = |name: &str| -> String {
        match modifier {
            "short" => Repo::shorten(name).to_owned(),
            m if m.starts_with("lstrip=") || m.starts_with("strip=") => {
                let n: usize = m.split('=').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
                name.splitn(n + 1, '/').last().unwrap_or("").to_owned()
            }
            _ => name.to_owned(),
        }
    };
    let (kind, data) = repo.odb.read(&oid)?;
    let (mut author, mut committer, mut tagger, mut message) = (None, None, None, Vec::new());
    match kind {
        Kind::Commit => {
            let commit = repo.odb.commit(&oid)?;
            author = Some(commit.author.clone());
            committer = Some(commit.committer.clone());
            message = commit.message.clone();
        }
        Kind::Tag => {
            let tag = Tag::parse(&data)?;
            tagger = tag.tagger;
            message = tag.message;
        }
        _ => {}
    }
    let person = |who: &Option<crate::oid::Person>, part: &str| -> Option<String> {
        let who = who.as_ref()?;
        Some(match part {
            "" => bytes::text(&who.line()),
            "name" => bytes::text(&who.name),
            "email" if modifier == "trim" => bytes::text(&who.email),
            "email" => format!("<{}>", bytes::text(&who.email)),
            "date" => crate::date::Style::parse(if modifier.is_empty() { "default" } else { modifier })?
                .show(who.time, who.zone),
            _ => return None,
        })
    };
    Ok(match key {
        "refname" => strip(name),
        "objectname" if modifier == "short" => repo.short(&oid),
        "objectname" => oid.to_string(),
        "objecttype" => kind.name().to_owned(),
        "objectsize" => data.len().to_string(),
        "tree" if kind == Kind::Commit => repo.odb.commit(&oid)?.tree.to_string(),
        "parent" if kind == Kind::Commit => {
            repo.odb.commit(&oid)?.parents.iter().map(Oid::to_string).collect::<Vec<_>>().join(" ")
        }
        "subject" => bytes::text(&crate::oid::subject(&message)),
        "contents" if modifier == "subject" => bytes::text(&crate::oid::subject(&message)),
        "contents" => bytes::text(&message),
        "body" => bytes::text(crate::oid::Commit { message: message.clone(), ..Default::default() }.body()),
        "HEAD" => (if repo.head_ref().as_deref() == Some(name) { "*" } else { " " }).to_owned(),
        "symref" => match repo.ref_value(name) {
            Some(Value::Symbolic(target)) => strip(&target),
            _ => String::new(),
        },
        "upstream" => {
            let Some(branch) = name.strip_prefix("refs/heads/") else { return Ok(String::new()) };
            match (modifier, super::status::tracking(repo, branch)?) {
                (_, None) => String::new(),
                ("track", Some((_, None))) => "[gone]".to_owned(),
                ("track", Some((_, Some(apart)))) => match apart {
                    (0, 0) => String::new(),
                    (a, 0) => format!("[ahead {a}]"),
                    (0, b) => format!("[behind {b}]"),
                    (a, b) => format!("[ahead {a}, behind {b}]"),
                },
                ("short", Some((up, _))) => up,
                (_, Some(_)) => revision::upstream(repo, branch).unwrap_or_default(),
            }
        }
        "creator" | "creatordate" => {
            let who = if tagger.is_some() { &tagger } else { &committer };
            person(who, &key["creator".len()..]).unwrap_or_default()
        }
        _ => {
            let parts = [("author", &author), ("committer", &committer), ("tagger", &tagger)];
            match parts.iter().find_map(|(n, who)| Some((key.strip_prefix(n)?, who))) {
                Some((part, who)) => person(who, part).unwrap_or_default(),
                None if matches!(key, "tag" | "type" | "object" | "tree" | "parent" | "numparent") => {
                    String::new()
                }
                None => fatal!("unknown field name: {key}"),
            }
        }
    })
}

pub(crate) fn for_each_ref(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(
        words,
        "",
        "for-each-ref",
        "[--format=<format>] [--sort=<key>] [--count=<n>] [<pattern>...]",
    );
    let repo = Repo::open(setting)?;
    let (mut format, mut keys, mut count) =
        ("%(objectname) %(objecttype)\t%(refname)".to_owned(), Vec::new(), usize::MAX);
    let mut patterns: Vec<String> = Vec::new();
    let mut points: Option<Oid> = None;
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "--format" | "--format=" => format = args.value(&o)?,
                "--sort" | "--sort=" => keys.push(args.value(&o)?),
                "--count" | "--count=" => count = args.value(&o)?.parse().unwrap_or(usize::MAX),
                "--points-at" | "--points-at=" => points = Some(revision::resolve(&repo, &args.value(&o)?)?),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => patterns.push(bytes::text(&word)),
        }
    }
    let mut refs = repo.refs("refs/");
    refs.retain(|(name, oid)| {
        (patterns.is_empty()
            || patterns.iter().any(|p| {
                let p = p.trim_end_matches('/');
                name == p
                    || name.starts_with(&format!("{p}/"))
                    || glob::matches(p.as_bytes(), name.as_bytes(), true, false)
            }))
            && points.is_none_or(|p| p == *oid)
    });
    for key in &keys {
        let (reverse, key) = key.strip_prefix('-').map_or((false, key.as_str()), |k| (true, k));
        let mut keyed: Vec<(i64, String, (String, Oid))> = Vec::new();
        for (name, oid) in refs {
            let key = if key.ends_with("date") { format!("{key}:unix") } else { key.to_owned() };
            let text = field(&repo, &key, &name, &oid)?;
            let number = if key.ends_with(":unix") { text.parse().unwrap_or(0) } else { 0 };
            keyed.push((number, if number == 0 { text } else { String::new() }, (name, oid)));
        }
        // Turned round twice, what is equal keeps its order.
        if reverse {
            keyed.reverse();
        }
        keyed.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        if reverse {
            keyed.reverse();
        }
        refs = keyed.into_iter().map(|k| k.2).collect();
    }
    for (name, oid) in refs.iter().take(count) {
        out!("{}\n", expand(&repo, &format, name, oid)?);
    }
    Ok(0)
}

pub(crate) fn show_ref(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(
        words,
        "",
        "show-ref",
        "[--head] [-d] [-s] [--heads] [--tags] [--verify] [-q] [<pattern>...]",
    );
    let repo = Repo::open(setting)?;
    let (mut head, mut deref, mut hash, mut heads, mut tags, mut verify, mut quiet, mut exists) =
        (false, false, false, false, false, false, false, false);
    let mut patterns: Vec<String> = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "--head" => head = true,
                "-d" | "--dereference" => deref = true,
                "-s" | "--hash" => hash = true,
                "--heads" | "--branches" => heads = true,
                "--tags" => tags = true,
                "--verify" => verify = true,
                "--exists" => exists = true,
                "-q" | "--quiet" => quiet = true,
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => patterns.push(bytes::text(&word)),
        }
    }
    let show = |name: &str, oid: &Oid| -> Res<()> {
        if quiet {
            return Ok(());
        }
        if hash {
            out!("{oid}\n")
        } else {
            out!("{oid} {name}\n")
        }
        if deref
            && let Ok((peeled, _)) = repo.odb.peel(oid)
            && peeled != *oid
        {
            if hash { out!("{peeled}\n") } else { out!("{peeled} {name}^{{}}\n") }
        }
        Ok(())
    };
    if exists {
        let name = patterns.first().cloned().unwrap_or_default();
        if repo.ref_value(&name).is_none() {
            say!("error: reference does not exist");
            return Ok(2);
        }
        return Ok(0);
    }
    if verify {
        for name in &patterns {
            match repo.ref_oid(name).filter(|_| name.starts_with("refs/") || name == "HEAD") {
                Some(oid) => show(name, &oid)?,
                None if quiet => return Ok(1),
                None => fatal!("'{name}' - not a valid ref"),
            }
        }
        return Ok(0);
    }
    let mut any = false;
    if head && let Some(oid) = repo.head() {
        any = true;
        show("HEAD", &oid)?;
    }
    for (name, oid) in repo.refs("refs/") {
        if (heads || tags)
            && !(heads && name.starts_with("refs/heads/"))
            && !(tags && name.starts_with("refs/tags/"))
        {
            continue;
        }
        if !patterns.is_empty() && !patterns.iter().any(|p| name == *p || name.ends_with(&format!("/{p}"))) {
            continue;
        }
        any = true;
        show(&name, &oid)?;
    }
    Ok(i32::from(!any))
}

pub(crate) fn symbolic_ref(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "m", "symbolic-ref", "[-q] [--short] [-d] [-m <reason>] <name> [<ref>]");
    let repo = Repo::open(setting)?;
    let (mut quiet, mut short, mut delete, mut reason) = (false, false, false, None);
    let mut names: Vec<String> = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-q" | "--quiet" => quiet = true,
                "--short" => short = true,
                "-d" | "--delete" => delete = true,
                "-m" => reason = Some(args.value(&o)?),
                "--no-recurse" | "--recurse" => {}
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => names.push(bytes::text(&word)),
        }
    }
    match &names[..] {
        [name] => match repo.ref_value(name) {
            Some(Value::Symbolic(_)) if delete => {
                if name == "HEAD" {
                    fatal!("deleting 'HEAD' is not allowed");
                }
                repo.delete_ref(name)?;
                Ok(0)
            }
            Some(Value::Symbolic(_)) => {
                let target = repo.resolve(name).0;
                out!("{}\n", if short { Repo::shorten(&target) } else { &target });
                Ok(0)
            }
            Some(_) if quiet => Ok(1),
            Some(_) => fatal!("ref {name} is not a symbolic ref"),
            None if quiet => Ok(1),
            None => fatal!("No such ref: {name}"),
        },
        [name, target] => {
            if name == "HEAD" && !target.starts_with("refs/") {
                fatal!("Refusing to point HEAD outside of refs/");
            }
            let old = repo.ref_oid(name).unwrap_or_default();
            let new = repo.ref_oid(target).unwrap_or_default();
            let log = reason.as_deref().map(|r| (old, new, r));
            repo.set_symbolic(name, target, log)?;
            Ok(0)
        }
        _ => Err(Stop::Said(129, args.usage_text())),
    }
}

pub(crate) fn update_ref(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(
        words,
        "m",
        "update-ref",
        "[-m <reason>] [--no-deref] (-d <ref> [<old-oid>] | <ref> <new-oid> [<old-oid>])",
    );
    let repo = Repo::open(setting)?;
    let (mut delete, mut reason, mut deref, mut create_log) = (false, String::new(), true, false);
    let mut names: Vec<String> = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-d" => delete = true,
                "-m" => reason = args.value(&o)?,
                "--no-deref" => deref = false,
                "--create-reflog" => create_log = true,
                "--stdin" | "-z" => fatal!("option {o} is not supported"),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => names.push(bytes::text(&word)),
        }
    }
    let Some(name) = names.first() else { return Err(Stop::Said(129, args.usage_text())) };
    let full = if deref { repo.resolve(name).0 } else { name.clone() };
    if !full.starts_with("refs/")
        && full != "HEAD"
        && !full.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
    {
        fatal!("update_ref failed for ref '{name}': refusing to update ref with bad name '{name}'");
    }
    let value = |text: &str| -> Res<Oid> {
        if text.is_empty() || text.bytes().all(|b| b == b'0') {
            return Ok(Oid::ZERO);
        }
        match revision::find(&repo, text)? {
            Some(oid) => Ok(oid),
            None => fatal!("{text}: not a valid SHA1"),
        }
    };
    let old = names.get(if delete { 1 } else { 2 }).map(|t| value(t)).transpose()?;
    if delete {
        if let Some(old) = old
            && repo.ref_oid(&full) != Some(old)
        {
            return Err(Stop::Error(
                1,
                format!(
                    "cannot lock ref '{full}': is at {} but expected {old}",
                    repo.ref_oid(&full).unwrap_or_default()
                ),
            ));
        }
        repo.delete_ref(&full)?;
        return Ok(0);
    }
    let Some(new) = names.get(1) else { return Err(Stop::Said(129, args.usage_text())) };
    let new = value(new)?;
    if new.is_zero() {
        repo.delete_ref(&full)?;
        return Ok(0);
    }
    if !repo.odb.exists(&new) {
        fatal!(
            "update_ref failed for ref '{name}': cannot update ref '{full}': trying to write ref '{full}' with nonexistent object {new}"
        );
    }
    if create_log {
        repo.append_log(&full, &repo.ref_oid(&full).unwrap_or_default(), &new, &reason)?;
    }
    match repo.set_ref(&full, &new, old, &reason) {
        Err(Stop::Fatal(text)) => fatal!("update_ref failed for ref '{name}': {text}"),
        other => other.map(|()| 0),
    }
}

pub(crate) fn describe(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(
        words,
        "",
        "describe",
        "[--all] [--tags] [--always] [--long] [--abbrev=<n>] [--match <pattern>] [--dirty] [<commit>]",
    );
    let repo = Repo::open(setting)?;
    let (mut all, mut tags, mut always, mut long, mut exact, mut dirty) =
        (false, false, false, false, false, None::<String>);
    let (mut abbrev, mut patterns, mut names) = (repo.abbrev(), Vec::new(), Vec::new());
    let mut excludes: Vec<String> = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "--all" => all = true,
                "--tags" => tags = true,
                "--always" => always = true,
                "--long" => long = true,
                "--exact-match" => exact = true,
                "--abbrev=" => abbrev = args.value(&o)?.parse().unwrap_or(7),
                "--match" | "--match=" => patterns.push(args.value(&o)?),
                "--exclude" | "--exclude=" => excludes.push(args.value(&o)?),
                "--dirty" => dirty = Some("-dirty".to_owned()),
                "--dirty=" => dirty = Some(args.value(&o)?),
                "--first-parent" | "--candidates=" => {
                    fatal!("option {} is not supported", o.trim_end_matches('='))
                }
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => names.push(bytes::text(&word)),
        }
    }
    if names.is_empty() {
        names.push("HEAD".to_owned());
    }
    // Commit → the best name: annotated tags before others, newer before older.
    let mut by_commit: HashMap<Oid, (u8, i64, String)> = HashMap::new();
    for (name, oid) in repo.refs(if all { "refs/" } else { "refs/tags/" }) {
        let short = if all { name.strip_prefix("refs/").unwrap_or(&name) } else { Repo::shorten(&name) };
        let plain = Repo::shorten(&name);
        let fits = |p: &String| glob::matches(p.as_bytes(), plain.as_bytes(), false, false);
        if (!patterns.is_empty() && !patterns.iter().any(fits)) || excludes.iter().any(fits) {
            continue;
        }
        let tag = revision::tag(&repo, &oid)?;
        let rank = if tag.is_some() {
            2
        } else if name.starts_with("refs/tags/") {
            1
        } else {
            0
        };
        if rank < 2 && !(tags && rank == 1) && !all {
            continue;
        }
        let Ok(Some(commit)) = repo.odb.peel_commit(&oid) else { continue };
        let time = tag.and_then(|t| t.tagger).map_or(0, |p| p.time);
        let better = by_commit.get(&commit).is_none_or(|(r, t, _)| (rank, time) > (*r, *t));
        if better {
            by_commit.insert(commit, (rank, time, short.to_owned()));
        }
    }
    for name in names {
        let Some(oid) = revision::find(&repo, &name)? else { fatal!("Not a valid object name {name}") };
        let Some(commit) = repo.odb.peel_commit(&oid)? else { fatal!("{name} is not a commit-ish") };
        let suffix = match &dirty {
            Some(mark) => {
                let index = repo.index()?;
                let state = super::status::state(
                    &repo,
                    &index,
                    &Default::default(),
                    super::status::Untracked::No,
                    false,
                    false,
                )?;
                if state.staged.is_empty() && state.unstaged.is_empty() && state.unmerged.is_empty() {
                    String::new()
                } else {
                    mark.clone()
                }
            }
            None => String::new(),
        };
        if let Some((_, _, tag)) = by_commit.get(&commit)
            && !long
        {
            out!("{tag}{suffix}\n");
            continue;
        }
        if exact {
            fatal!("no tag exactly matches '{commit}'");
        }
        // Of the nearest tags, the one with the fewest commits that it has not.
        let mut walk = walk::Walk::default();
        walk.include.push(commit);
        let mut best: Option<(usize, String)> = None;
        let mut found = 0;
        for at in walk.run(&repo)? {
            let Some((_, _, tag)) = by_commit.get(&at) else { continue };
            let mut missing = walk::Walk::default();
            missing.include.push(commit);
            missing.exclude.push(at);
            let depth = missing.run(&repo)?.len();
            if best.as_ref().is_none_or(|(d, _)| depth < *d) {
                best = Some((depth, tag.clone()));
            }
            found += 1;
            if found >= 10 {
                break;
            }
        }
        match best {
            Some((_, tag)) if abbrev == 0 => out!("{tag}{suffix}\n"),
            Some((depth, tag)) => out!("{tag}-{depth}-g{}{suffix}\n", repo.odb.short(&commit, abbrev)),
            None if always => out!("{}{suffix}\n", repo.odb.short(&commit, abbrev.max(4))),
            None if by_commit.is_empty() && !tags && !repo.refs("refs/tags/").is_empty() => {
                fatal!(
                    "No annotated tags can describe '{commit}'.\nHowever, there were unannotated tags: try --tags."
                )
            }
            None if by_commit.is_empty() => fatal!("No names found, cannot describe anything."),
            None => fatal!("No tags can describe '{commit}'.\nTry --always, or create some tags."),
        }
    }
    Ok(0)
}
