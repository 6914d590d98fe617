//! `git bisect`: finding the commit that brought a change, by halving. Merge bases that must be tested first are; there is
//! no `--no-checkout`.

use crate::bytes;
use crate::error::{Res, Stop, captured, fatal, flush, out, put, say};
use crate::oid::Oid;
use crate::repo::{Repo, Setting};
use crate::{revision, walk};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Write as _;

const USAGE: &str = "git bisect start [--term-(new|bad)=<term> --term-(old|good)=<term>]    [--no-checkout] [--first-parent] [<bad> [<good>...]] [--]    [<pathspec>...]
   or: git bisect (good|bad) [<rev>...]
   or: git bisect terms [--term-good | --term-bad]
   or: git bisect skip [(<rev>|<range>)...]
   or: git bisect next
   or: git bisect reset [<commit>]
   or: git bisect visualize
   or: git bisect replay <logfile>
   or: git bisect log
   or: git bisect run <cmd> [<arg>...]
";

const FILES: [&str; 8] = [
    "BISECT_START",
    "BISECT_LOG",
    "BISECT_NAMES",
    "BISECT_TERMS",
    "BISECT_EXPECTED_REV",
    "BISECT_ANCESTORS_OK",
    "BISECT_RUN",
    "BISECT_FIRST_PARENT",
];

/// What status says of it.
pub(crate) fn status_text(repo: &Repo) -> Option<String> {
    let start = fs::read_to_string(repo.file("BISECT_START")).ok()?;
    let start = start.trim();
    Some(format!(
        "You are currently bisecting, started from branch '{}'.\n  (use \"git bisect reset\" to get back to the original branch)\n\n",
        start.strip_prefix("refs/heads/").unwrap_or(start)
    ))
}

struct Bisect<'a> {
    setting: &'a Setting,
    repo: &'a Repo,
    bad: String,
    good: String,
}

pub(crate) fn bisect(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let Some((command, rest)) = words.split_first() else {
        return Err(Stop::Said(129, format!("fatal: need a command\n\nusage: {USAGE}")));
    };
    let command = bytes::text(command);
    if command == "-h" || command == "--help" || command == "help" {
        return Err(Stop::Said(if command == "-h" { 129 } else { 0 }, format!("usage: {USAGE}")));
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    let mut b = Bisect { setting, repo: &repo, bad: "bad".to_owned(), good: "good".to_owned() };
    if let Ok(text) = fs::read_to_string(repo.file("BISECT_TERMS")) {
        let mut lines = text.lines();
        b.bad = lines.next().unwrap_or("bad").to_owned();
        b.good = lines.next().unwrap_or("good").to_owned();
    }
    let started = repo.file("BISECT_START").exists();
    match command.as_str() {
        "start" => b.start(rest),
        "reset" => b.reset(rest),
        "log" => match fs::read(repo.file("BISECT_LOG")) {
            Ok(text) => {
                put(&text);
                Ok(0)
            }
            Err(_) => Err(Stop::Error(1, "We are not bisecting.".to_owned())),
        },
        "terms" => b.terms(rest),
        "replay" => b.replay(rest),
        "visualize" | "view" => {
            let mut all: Vec<Vec<u8>> = if rest.is_empty() { Vec::new() } else { rest.to_vec() };
            all.push(format!("refs/bisect/{}", b.bad).into_bytes());
            all.push(b"--not".to_vec());
            all.extend(b.goods().into_iter().map(|o| o.to_string().into_bytes()));
            super::run(setting, "log", &all)
        }
        "next" | "skip" | "run" if !started => Err(not_started()),
        "next" => b.next(),
        "skip" => b.skip(rest),
        "run" => b.run(rest),
        _ => {
            let fresh = !repo.file("BISECT_TERMS").exists();
            if fresh && matches!(command.as_str(), "new" | "old") {
                (b.bad, b.good) = ("new".to_owned(), "old".to_owned());
            }
            if command != b.bad && command != b.good {
                return Err(Stop::Said(
                    129,
                    format!(
                        "error: Invalid command: you're currently in a {}/{} bisect\nfatal: unknown command: '{command}'\n\nusage: {USAGE}",
                        b.bad, b.good
                    ),
                ));
            }
            if !started {
                return Err(not_started());
            }
            if fresh {
                b.write_terms()?;
            }
            b.mark(&command, rest)
        }
    }
}

fn not_started() -> Stop {
    Stop::Said(1, "You need to start by \"git bisect start\"\n".to_owned())
}

fn quoted(word: &[u8]) -> String {
    format!("'{}'", bytes::text(word).replace('\'', "'\\''"))
}

impl Bisect<'_> {
    fn write_terms(&self) -> Res<()> {
        Ok(fs::write(self.repo.file("BISECT_TERMS"), format!("{}\n{}\n", self.bad, self.good))?)
    }

    fn log(&self, line: &str) -> Res<()> {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.repo.file("BISECT_LOG"))?;
        Ok(file.write_all(format!("{line}\n").as_bytes())?)
    }

    fn bad_oid(&self) -> Option<Oid> {
        self.repo.ref_oid(&format!("refs/bisect/{}", self.bad))
    }

    fn of(&self, what: &str) -> Vec<Oid> {
        self.repo.refs(&format!("refs/bisect/{what}-")).into_iter().map(|(_, oid)| oid).collect()
    }

    fn goods(&self) -> Vec<Oid> {
        self.of(&self.good)
    }

    fn subject(&self, oid: &Oid) -> Res<String> {
        Ok(bytes::text(&self.repo.odb.commit(oid)?.subject()))
    }

    fn clear(&self) -> Res<()> {
        for (name, _) in self.repo.refs("refs/bisect/") {
            self.repo.delete_ref(&name)?;
        }
        for name in FILES {
            let _ = fs::remove_file(self.repo.file(name));
        }
        Ok(())
    }

    fn start(&mut self, words: &[Vec<u8>]) -> Res<i32> {
        let mut revisions = Vec::new();
        let mut paths: Vec<Vec<u8>> = Vec::new();
        let mut first_parent = false;
        let mut named = false;
        (self.bad, self.good) = ("bad".to_owned(), "good".to_owned());
        let mut at = 0;
        while at < words.len() {
            let word = bytes::text(&words[at]);
            at += 1;
            let (name, value) = match word.split_once('=') {
                Some((n, v)) if word.starts_with("--") => (n, Some(v.to_owned())),
                _ => (word.as_str(), None),
            };
            match name {
                "--" => {
                    paths.extend(words[at..].iter().cloned());
                    break;
                }
                "--first-parent" => first_parent = true,
                "--term-bad" | "--term-new" | "--term-good" | "--term-old" => {
                    let value = match value {
                        Some(value) => value,
                        None => {
                            at += 1;
                            words.get(at - 1).map(|w| bytes::text(w)).unwrap_or_default()
                        }
                    };
                    named = true;
                    if matches!(name, "--term-bad" | "--term-new") {
                        self.bad = value
                    } else {
                        self.good = value
                    }
                }
                "--no-checkout" => fatal!("option --no-checkout is not supported"),
                _ if word.starts_with("--") => fatal!("unrecognized option: '{word}'"),
                _ => match revision::find(self.repo, &word) {
                    Ok(Some(oid)) if paths.is_empty() => match self.repo.odb.peel_commit(&oid)? {
                        Some(oid) => revisions.push(oid),
                        None => fatal!("'{word}' does not appear to be a valid revision"),
                    },
                    _ if words[at..].iter().any(|w| w == b"--") => {
                        fatal!("'{word}' does not appear to be a valid revision")
                    }
                    _ => paths.push(words[at - 1].clone()),
                },
            }
        }
        let old = fs::read_to_string(self.repo.file("BISECT_START")).ok();
        let start = match &old {
            Some(start) => {
                self.run_quietly("checkout", &[start.trim(), "--"])?;
                start.trim().to_owned()
            }
            None => match (self.repo.head_branch(), self.repo.head()) {
                (Some(branch), Some(_)) => branch,
                (None, Some(oid)) => oid.to_string(),
                _ => fatal!("bad HEAD - I need a HEAD"),
            },
        };
        self.clear()?;
        fs::write(self.repo.file("BISECT_START"), format!("{start}\n"))?;
        let mut names: String = paths.iter().map(|p| format!(" {}", quoted(p))).collect();
        if !names.is_empty() {
            names = names.trim_start().to_owned();
        }
        fs::write(self.repo.file("BISECT_NAMES"), format!("{names}\n"))?;
        if first_parent {
            fs::write(self.repo.file("BISECT_FIRST_PARENT"), "")?;
        }
        if named || !revisions.is_empty() {
            self.write_terms()?;
        }
        for (at, oid) in revisions.iter().enumerate() {
            let term = if at == 0 { self.bad.clone() } else { self.good.clone() };
            self.write_state(&term, oid, true)?;
        }
        let line: String = words.iter().map(|w| format!(" {}", quoted(w))).collect();
        self.log(&format!("git bisect start{line}"))?;
        self.auto_next()
    }

    fn run_quietly(&self, command: &str, words: &[&str]) -> Res<i32> {
        let mut all = vec![b"-q".to_vec()];
        all.extend(words.iter().map(|w| w.as_bytes().to_vec()));
        super::run(self.setting, command, &all)
    }

    fn write_state(&self, term: &str, oid: &Oid, quiet: bool) -> Res<()> {
        let name = if *term == self.bad {
            format!("refs/bisect/{term}")
        } else {
            format!("refs/bisect/{term}-{oid}")
        };
        self.repo.set_ref(&name, oid, None, "")?;
        self.log(&format!("# {term}: [{oid}] {}", self.subject(oid)?))?;
        if !quiet {
            self.log(&format!("git bisect {term} {oid}"))?;
        }
        Ok(())
    }

    fn mark(&self, term: &str, words: &[Vec<u8>]) -> Res<i32> {
        let mut oids = Vec::new();
        for word in words {
            let text = bytes::text(word);
            match revision::find(self.repo, &text)?.map(|o| self.repo.odb.peel_commit(&o)) {
                Some(Ok(Some(oid))) => oids.push(oid),
                _ => return Err(Stop::Error(1, format!("Bad rev input: {text}"))),
            }
        }
        if words.is_empty() {
            oids.extend(self.repo.head());
        }
        if term == self.bad && oids.len() > 1 {
            return Err(Stop::Error(1, format!("'git bisect {term}' can take only one argument.")));
        }
        for oid in &oids {
            self.write_state(term, oid, false)?;
        }
        let expected = fs::read_to_string(self.repo.file("BISECT_EXPECTED_REV")).unwrap_or_default();
        if oids.iter().any(|o| expected.trim() != o.to_string()) {
            let _ = fs::remove_file(self.repo.file("BISECT_ANCESTORS_OK"));
            let _ = fs::remove_file(self.repo.file("BISECT_EXPECTED_REV"));
        }
        self.auto_next()
    }

    fn skip(&self, words: &[Vec<u8>]) -> Res<i32> {
        let mut oids = Vec::new();
        for word in words {
            let text = bytes::text(word);
            let mut walk = walk::Walk::default();
            if !walk.take(self.repo, &text, false)? {
                return Err(Stop::Error(1, format!("Bad rev input: {text}")));
            }
            if text.contains("..") {
                oids.extend(walk.run(self.repo)?);
            } else {
                oids.extend(walk.include);
            }
        }
        if words.is_empty() {
            oids.extend(self.repo.head());
        }
        for oid in &oids {
            self.write_state("skip", oid, false)?;
        }
        self.auto_next()
    }

    /// Goes on if both ends are known; else says what is missing.
    fn auto_next(&self) -> Res<i32> {
        let (bad, good) = (self.bad_oid(), self.goods().len());
        let text = match (bad, good) {
            (Some(_), n) if n > 0 => return self.next(),
            (None, 0) => "waiting for both good and bad commits".to_owned(),
            (Some(_), _) => "waiting for good commit(s), bad commit known".to_owned(),
            (None, 1) => "waiting for bad commit, 1 good commit known".to_owned(),
            (None, n) => format!("waiting for bad commit, {n} good commits known"),
        };
        out!("status: {text}\n");
        self.log(&format!("# status: {text}"))?;
        Ok(0)
    }

    fn go(&self, oid: &Oid) -> Res<()> {
        fs::write(self.repo.file("BISECT_EXPECTED_REV"), format!("{oid}\n"))?;
        let status = self.run_quietly("checkout", &[&oid.to_string(), "--"])?;
        if status != 0 {
            return Err(Stop::Exit(status));
        }
        out!("[{oid}] {}\n", self.subject(oid)?);
        Ok(())
    }

    fn next(&self) -> Res<i32> {
        let repo = self.repo;
        let (Some(bad), goods) = (self.bad_oid(), self.goods()) else { return self.auto_next() };
        if goods.is_empty() {
            return self.auto_next();
        }
        if !repo.file("BISECT_ANCESTORS_OK").exists() {
            let skipped = self.of("skip");
            for good in &goods {
                for base in walk::merge_bases(repo, &bad, good)? {
                    if base == bad {
                        say!(
                            "error: Some {} revs are not ancestors of the {} rev.\ngit bisect cannot work properly in this case.\nMaybe you mistook {} and {} revs?",
                            self.good,
                            self.bad,
                            self.good,
                            self.bad
                        );
                        return Ok(1);
                    }
                    if !goods.contains(&base) && !skipped.contains(&base) {
                        out!("Bisecting: a merge base must be tested\n");
                        self.go(&base)?;
                        return Ok(0);
                    }
                }
            }
            fs::write(repo.file("BISECT_ANCESTORS_OK"), "")?;
        }
        let first_parent = repo.file("BISECT_FIRST_PARENT").exists();
        let names = fs::read(repo.file("BISECT_NAMES")).unwrap_or_default();
        let paths: Vec<Vec<u8>> = bytes::text(&names)
            .trim()
            .split("' '")
            .map(|p| p.trim_matches('\'').replace("'\\''", "'").into_bytes())
            .filter(|p| !p.is_empty())
            .collect();
        let mut walk = walk::Walk {
            include: vec![bad],
            exclude: goods,
            first_parent,
            paths: repo.pathspec(&paths)?,
            want_parents: true,
            ..walk::Walk::default()
        };
        let list = walk.run(repo)?;
        let skipped: HashSet<Oid> = self.of("skip").into_iter().collect();
        let (ranked, weights) = rank(repo, &walk, &list, !skipped.is_empty())?;
        let tried: Vec<Oid> = ranked.iter().copied().filter(|o| skipped.contains(o)).collect();
        let left: Vec<Oid> = ranked.iter().copied().filter(|o| !skipped.contains(o)).collect();
        let choice = match ranked.first() {
            Some(first) if skipped.contains(first) => {
                if left.is_empty() {
                    None
                } else {
                    Some(away(&left, &bad))
                }
            }
            Some(first) => Some(*first),
            None => Some(bad),
        };
        let choice = match choice {
            Some(choice) if choice == bad && !tried.is_empty() => None,
            other => other,
        };
        let Some(choice) = choice else {
            out!(
                "There are only 'skip'ped commits left to test.\nThe first {} commit could be any of:\n",
                self.bad
            );
            for oid in &tried {
                out!("{oid}\n");
            }
            out!("{bad}\nWe cannot bisect more!\n");
            self.log("# only skipped commits left to test")?;
            for oid in list.iter() {
                self.log(&format!("# possible first {} commit: [{oid}] {}", self.bad, self.subject(oid)?))?;
            }
            return Ok(2);
        };
        if choice == bad {
            self.log(&format!("# first {} commit: [{bad}] {}", self.bad, self.subject(&bad)?))?;
            out!("{bad} is the first {} commit\n", self.bad);
            let words = ["--pretty=medium", "--stat", "--summary", "--no-abbrev-commit", "--no-color"];
            let mut words: Vec<Vec<u8>> = words.iter().map(|w| w.as_bytes().to_vec()).collect();
            words.extend([b"--diff-merges=first-parent".to_vec(), bad.to_string().into_bytes()]);
            super::run(self.setting, "show", &words)?;
            return Ok(0);
        }
        let all = list.len();
        let rest = all.saturating_sub(weights.get(&choice).copied().unwrap_or(0) + 1);
        let steps = steps(all);
        out!(
            "Bisecting: {rest} revision{} left to test after this (roughly {steps} step{})\n",
            if rest == 1 { "" } else { "s" },
            if steps == 1 { "" } else { "s" }
        );
        self.go(&choice)?;
        Ok(0)
    }

    fn reset(&self, words: &[Vec<u8>]) -> Res<i32> {
        let Ok(start) = fs::read_to_string(self.repo.file("BISECT_START")) else {
            return Ok(0);
        };
        let target = match words.first() {
            Some(word) => {
                let text = bytes::text(word);
                if revision::find(self.repo, &text)?.is_none() {
                    return Err(Stop::Error(1, format!("'{text}' is not a valid commit")));
                }
                text
            }
            None => start.trim().to_owned(),
        };
        let status = super::run(self.setting, "checkout", &[target.into_bytes(), b"--".to_vec()])?;
        if status != 0 {
            return Ok(status);
        }
        self.clear()?;
        Ok(0)
    }

    fn terms(&self, words: &[Vec<u8>]) -> Res<i32> {
        if !self.repo.file("BISECT_TERMS").exists() {
            return Err(Stop::Error(1, "no terms defined".to_owned()));
        }
        match words.first().map(|w| bytes::text(w)).as_deref() {
            None => out!(
                "Your current terms are {} for the old state\nand {} for the new state.\n",
                self.good,
                self.bad
            ),
            Some("--term-good" | "--term-old") => out!("{}\n", self.good),
            Some("--term-bad" | "--term-new") => out!("{}\n", self.bad),
            Some(other) => {
                return Err(Stop::Error(1, format!("invalid argument {other} for 'git bisect terms'.")));
            }
        }
        Ok(0)
    }

    fn replay(&mut self, words: &[Vec<u8>]) -> Res<i32> {
        let Some(file) = words.first() else { return Err(Stop::Error(1, "no logfile given".to_owned())) };
        let Ok(text) = fs::read_to_string(self.repo.cwd.join(bytes::path(file))) else {
            return Err(Stop::Error(1, format!("cannot read file '{}' for replaying", bytes::text(file))));
        };
        if self.repo.file("BISECT_START").exists() {
            self.reset(&[])?;
        }
        for line in text.lines() {
            let line = line.trim();
            let Some(rest) = line.strip_prefix("git bisect ").or_else(|| line.strip_prefix("git-bisect "))
            else {
                continue;
            };
            let words = super::split_words(rest);
            let Some((command, rest)) = words.split_first() else { continue };
            let command = bytes::text(command);
            if command == "start" {
                self.start(rest)?;
                continue;
            }
            for word in rest {
                let oid = revision::commit(self.repo, &bytes::text(word))?;
                self.write_state(&command, &oid, false)?;
            }
        }
        self.auto_next()
    }

    fn run(&self, words: &[Vec<u8>]) -> Res<i32> {
        if words.is_empty() {
            return Err(Stop::Error(1, "bisect run failed: no command provided.".to_owned()));
        }
        if self.bad_oid().is_none() || self.goods().is_empty() {
            return self.auto_next().map(|_| 1);
        }
        let shown: Vec<String> = words.iter().map(|w| quoted(w)).collect();
        let shown = shown.join(" ");
        loop {
            out!("running {shown}\n");
            flush();
            let mut process = agentos_guest::process::Command::new(bytes::path(&words[0]));
            process.search_path(true);
            for word in &words[1..] {
                process.arg(bytes::path(word));
            }
            let status = match process.status() {
                Ok(status) => status.shell_status(),
                Err(_) => {
                    say!("error: cannot run {}: No such file or directory", bytes::text(&words[0]));
                    127
                }
            };
            if !(0..128).contains(&status) {
                return Err(Stop::Error(
                    1,
                    format!("bisect run failed: exit code {status} from {shown} is < 0 or >= 128"),
                ));
            }
            let (result, text) = captured(|| match status {
                125 => self.skip(&[]),
                0 => self.mark(&self.good, &[]),
                _ => self.mark(&self.bad, &[]),
            });
            put(&text);
            fs::write(self.repo.file("BISECT_RUN"), &text)?;
            match result? {
                2 => {
                    say!("error: bisect run cannot continue any more");
                    return Ok(2);
                }
                0 => {}
                other => return Ok(other),
            }
            if bytes::find(&text, format!(" is the first {} commit\n", self.bad).as_bytes()).is_some() {
                out!("bisect found first bad commit\n");
                return Ok(0);
            }
        }
    }
}

/// About how many steps a number of commits takes.
fn steps(all: usize) -> usize {
    if all < 3 {
        return 0;
    }
    let n = all.ilog2() as usize;
    let e = 1 << n;
    if e < 3 * (all - e) { n } else { n - 1 }
}

type Weights = HashMap<Oid, usize>;

/// The commits that halve a history best come first, with how many commits each has below it, itself counted. Without
/// `every` the first good one is enough.
fn rank(repo: &Repo, walk: &walk::Walk, list: &[Oid], every: bool) -> Res<(Vec<Oid>, Weights)> {
    let inside: HashSet<Oid> = list.iter().copied().collect();
    let mut parents: HashMap<Oid, Vec<Oid>> = HashMap::new();
    for oid in list {
        let all = match walk.rewritten.get(oid) {
            Some(parents) => parents.clone(),
            None => repo.odb.commit(oid)?.parents.clone(),
        };
        let take = if walk.first_parent { 1 } else { usize::MAX };
        parents.insert(*oid, all.into_iter().take(take).filter(|p| inside.contains(p)).collect());
    }
    let nr = list.len();
    let halves = |w: usize| {
        let apart = 2 * w as isize - nr as isize;
        !every && (apart.abs() <= 1 || (apart.unsigned_abs()) < nr / 1024)
    };
    let mut weights: Weights = HashMap::new();
    let order: Vec<Oid> = list.iter().rev().copied().collect();
    for oid in &order {
        if parents[oid].is_empty() {
            weights.insert(*oid, 1);
        }
    }
    for oid in order.iter().filter(|o| parents[*o].len() > 1) {
        let mut seen = HashSet::new();
        let mut todo = vec![*oid];
        while let Some(at) = todo.pop() {
            if seen.insert(at) {
                todo.extend(&parents[&at]);
            }
        }
        weights.insert(*oid, seen.len());
        if halves(seen.len()) {
            return Ok((vec![*oid], weights));
        }
    }
    loop {
        let mut moved = false;
        for oid in &order {
            if weights.contains_key(oid) {
                continue;
            }
            let Some(below) = parents[oid].iter().find_map(|p| weights.get(p)).copied() else { continue };
            weights.insert(*oid, below + 1);
            moved = true;
            if halves(below + 1) {
                return Ok((vec![*oid], weights));
            }
        }
        if !moved {
            break;
        }
    }
    let distance = |oid: &Oid| {
        let w = weights.get(oid).copied().unwrap_or(0);
        w.min(nr - w.min(nr))
    };
    let mut ranked = order;
    if every {
        ranked.sort_by(|a, b| distance(b).cmp(&distance(a)).then(a.0.cmp(&b.0)));
    } else {
        let best = ranked.iter().map(&distance).max().unwrap_or(0);
        ranked.retain(|o| distance(o) == best);
        ranked.truncate(1);
    }
    Ok((ranked, weights))
}

/// Another commit than those that could not be tested: not too near to them.
fn away(list: &[Oid], bad: &Oid) -> Oid {
    let root = |n: u64| (n as f64).sqrt() as u64;
    const MODULO: u64 = 32_768;
    let count = list.len() as u32;
    let number = u64::from((count.wrapping_mul(1_103_515_245).wrapping_add(12_345) / 65_536) % MODULO as u32);
    let place = (u64::from(count) * number / MODULO) * root(number) / root(MODULO);
    match list.get(place as usize) {
        Some(oid) if oid != bad => *oid,
        Some(_) if place > 0 => list[place as usize - 1],
        _ => list[0],
    }
}
