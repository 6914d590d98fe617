//! Showing changed files: as a patch, a histogram, numbers, names. Which files changed is found elsewhere.

use crate::bytes;
use crate::changes::{Change, MAX_SCORE, Side, content, find_renames, side_oid};
use crate::error::{Res, fatal, out, put};
use crate::oid::{MODE_GITLINK, Oid};
use crate::repo::Repo;
use crate::textdiff::{self, BOLD, GREEN, RED, RESET, Space, Style, Way};
use crate::worddiff::{self, Words};

/// What is shown, and how.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) patch: bool,
    pub(crate) stat: bool,
    pub(crate) shortstat: bool,
    pub(crate) numstat: bool,
    pub(crate) summary: bool,
    pub(crate) name_only: bool,
    pub(crate) name_status: bool,
    pub(crate) raw: bool,
    /// `-s`
    pub(crate) none: bool,
    /// `-z`
    pub(crate) nul: bool,
    pub(crate) check: bool,
    pub(crate) style: Style,
    pub(crate) renames: Option<u32>,
    pub(crate) copies: bool,
    pub(crate) full_index: bool,
    pub(crate) abbrev: Option<usize>,
    pub(crate) prefixes: (String, String),
    pub(crate) filter: Option<String>,
    pub(crate) reverse: bool,
    pub(crate) text: bool,
    pub(crate) binary: bool,
    pub(crate) stat_width: Option<usize>,
    pub(crate) stat_name_width: Option<usize>,
    pub(crate) stat_count: Option<usize>,
    pub(crate) exit_code: bool,
    pub(crate) quiet: bool,
    pub(crate) relative: bool,
    /// New and deleted files are marked in the histogram.
    pub(crate) compact: bool,
    /// `--line-prefix`
    pub(crate) line_prefix: String,
    /// `--cc` and not `-c`: of merges only what is of none of the parents.
    pub(crate) dense: bool,
    /// `-S`, `-G`: only files where this string comes or goes, or changed lines have it.
    pub(crate) pickaxe: Option<(bool, Vec<u8>)>,
}

impl Options {
    pub(crate) fn new(repo: Option<&Repo>) -> Options {
        let get = |key: &str| repo.and_then(|r| r.config.get(key));
        let renames = match get("diff.renames").as_deref() {
            Some("false" | "no" | "0") => None,
            _ => Some(MAX_SCORE / 2),
        };
        let copies = matches!(get("diff.renames").as_deref(), Some("copies" | "copy"));
        let mut style = Style::default();
        if let Some(context) = get("diff.context").and_then(|c| c.parse().ok()) {
            style.context = context;
        }
        if let Some(inter) = get("diff.interhunkcontext").and_then(|c| c.parse().ok()) {
            style.inter = inter;
        }
        style.way = get("diff.algorithm").and_then(|name| way(&name)).unwrap_or_default();
        style.color = color_wanted(get("color.diff").or_else(|| get("color.ui")).as_deref());
        let prefixes = if get("diff.noprefix").as_deref() == Some("true") {
            (String::new(), String::new())
        } else {
            ("a/".to_owned(), "b/".to_owned())
        };
        Options {
            patch: false,
            stat: false,
            shortstat: false,
            numstat: false,
            summary: false,
            name_only: false,
            name_status: false,
            raw: false,
            none: false,
            nul: false,
            check: false,
            style,
            renames,
            copies,
            full_index: false,
            abbrev: None,
            prefixes,
            filter: None,
            reverse: false,
            text: false,
            binary: false,
            stat_width: None,
            stat_name_width: None,
            stat_count: None,
            exit_code: false,
            quiet: false,
            relative: false,
            compact: false,
            line_prefix: String::new(),
            dense: true,
            pickaxe: None,
        }
    }

    /// Whether any form was asked for.
    pub(crate) fn asked(&self) -> bool {
        self.patch
            || self.stat
            || self.shortstat
            || self.numstat
            || self.summary
            || self.name_only
            || self.name_status
            || self.raw
            || self.none
            || self.check
    }

    /// Takes an option that is one of diff's; `next` gives its value if that is the next word. False if it is none.
    pub(crate) fn take(&mut self, option: &str, next: &mut dyn FnMut() -> Option<String>) -> Res<bool> {
        let number = |text: &str, what: &str| -> Res<usize> {
            text.parse()
                .map_err(|_| crate::error::Stop::Error(129, format!("{what} expects a numerical value")))
        };
        let (name, value) = match option.split_once('=') {
            Some((name, value)) if option.starts_with("--") => (name, Some(value)),
            _ => (option, None),
        };
        match (name, value) {
            ("-p" | "-u" | "--patch", None) => self.patch = true,
            ("-s" | "--no-patch", None) => {
                self.none = true;
                self.patch = false;
            }
            ("--stat", value) => {
                self.stat = true;
                let mut parts = value.unwrap_or("").split(',');
                let mut part = || parts.next().filter(|p| !p.is_empty()).and_then(|p| p.parse().ok());
                self.stat_width = part().or(self.stat_width);
                self.stat_name_width = part().or(self.stat_name_width);
                self.stat_count = part().or(self.stat_count);
            }
            ("--stat-width", Some(n)) => {
                self.stat_width = Some(number(n, "--stat-width")?);
                self.stat = true;
            }
            ("--stat-name-width", Some(n)) => self.stat_name_width = Some(number(n, "--stat-name-width")?),
            ("--stat-count", Some(n)) => {
                self.stat_count = Some(number(n, "--stat-count")?);
                self.stat = true;
            }
            ("--compact-summary", None) => (self.compact, self.stat) = (true, true),
            ("--shortstat", None) => self.shortstat = true,
            ("--numstat", None) => self.numstat = true,
            ("--summary", None) => self.summary = true,
            ("--patch-with-stat", None) => (self.patch, self.stat) = (true, true),
            ("--name-only", None) => self.name_only = true,
            ("--name-status", None) => self.name_status = true,
            ("--raw", None) => self.raw = true,
            ("--check", None) => self.check = true,
            ("-z", None) => self.nul = true,
            ("-w" | "--ignore-all-space", None) => self.style.space.all = true,
            ("-b" | "--ignore-space-change", None) => self.style.space.change = true,
            ("--ignore-space-at-eol", None) => self.style.space.eol = true,
            ("--ignore-cr-at-eol", None) => self.style.space.cr = true,
            ("--ignore-blank-lines", None) => self.style.ignore_blank = true,
            ("-U" | "--unified", value) => {
                let value = value.map(str::to_owned).or_else(next).unwrap_or_default();
                self.style.context = number(&value, "--unified")?;
                self.patch = true;
            }
            ("--inter-hunk-context", Some(n)) => self.style.inter = number(n, "--inter-hunk-context")?,
            ("-W" | "--function-context", None) => self.style.function = true,
            ("--color", value) => {
                self.style.color = value.is_none_or(|v| v == "always" || (v == "auto" && at_terminal()))
            }
            ("--no-color", None) => self.style.color = false,
            ("--no-ext-diff" | "--no-textconv" | "--textconv" | "--ext-diff", None) => {}
            ("--no-indent-heuristic", _) => fatal!("{name} is not supported"),
            ("--word-diff", value) => {
                let Some(kind) = worddiff::kind(value.unwrap_or("plain")) else {
                    fatal!("bad --word-diff argument: {}", value.unwrap_or(""));
                };
                let regex = self.style.words.take().and_then(|w| w.regex);
                self.style.words = kind.map(|kind| Words { kind, regex });
                self.style.color |= kind == Some(worddiff::Kind::Color);
                self.patch = true;
            }
            ("--color-words" | "--word-diff-regex", value) => {
                if name == "--word-diff-regex" && value.is_none() {
                    fatal!("option `word-diff-regex' requires a value");
                }
                if let Some(text) = value.filter(|v| !worddiff::is_regex(v)) {
                    fatal!("invalid regular expression: {text}");
                }
                let kind = if name == "--color-words" {
                    self.style.color = true;
                    worddiff::Kind::Color
                } else {
                    self.style.words.as_ref().map_or(worddiff::Kind::Plain, |w| w.kind)
                };
                self.style.words = Some(Words { kind, regex: value.map(str::to_owned) });
                self.patch = true;
            }
            ("--indent-heuristic", None) => {}
            ("--minimal", None) => self.style.way = Way::Minimal,
            ("--histogram" | "--patience", None) => self.style.way = Way::Histogram,
            ("--diff-algorithm", value) => {
                let value = value.map(str::to_owned).or_else(next).unwrap_or_default();
                match way(&value) {
                    Some(way) => self.style.way = way,
                    None => fatal!(
                        "option diff-algorithm accepts \"myers\", \"minimal\", \"patience\" and \"histogram\""
                    ),
                }
            }
            ("-M" | "--find-renames", value) => self.renames = Some(score(value)?),
            ("--no-renames", None) => (self.renames, self.copies) = (None, false),
            ("-C" | "--find-copies", value) => {
                self.renames = Some(score(value)?);
                self.copies = true;
            }
            ("--full-index", None) => self.full_index = true,
            ("--abbrev", value) => {
                self.abbrev = Some(value.map_or(Ok(7), |v| number(v, "--abbrev"))?.clamp(4, 40))
            }
            ("--no-abbrev", None) => self.abbrev = Some(40),
            ("--no-prefix", None) => self.prefixes = (String::new(), String::new()),
            ("--default-prefix", None) => self.prefixes = ("a/".to_owned(), "b/".to_owned()),
            ("--src-prefix", Some(p)) => self.prefixes.0 = p.to_owned(),
            ("--dst-prefix", Some(p)) => self.prefixes.1 = p.to_owned(),
            ("--diff-filter", Some(f)) => self.filter = Some(f.to_owned()),
            ("-R", None) => {
                self.reverse = true;
                self.prefixes = (self.prefixes.1.clone(), self.prefixes.0.clone());
            }
            ("-a" | "--text", None) => self.text = true,
            ("--binary", None) => (self.binary, self.patch) = (true, true),
            ("--exit-code", None) => self.exit_code = true,
            ("--quiet", None) => (self.quiet, self.exit_code) = (true, true),
            ("--line-prefix", Some(text)) => self.line_prefix = text.to_owned(),
            ("--relative", None) => self.relative = true,
            ("--no-relative", None) => self.relative = false,
            ("-S" | "-G", None) => {
                let text = next().unwrap_or_default();
                self.pickaxe = Some((name == "-G", text.into_bytes()));
            }
            (short, None) if short.starts_with("-U") => {
                self.style.context = number(&short[2..], "--unified")?;
                self.patch = true;
            }
            (short, None) if short.starts_with("-M") => self.renames = Some(score(Some(&short[2..]))?),
            (short, None) if short.starts_with("-C") => {
                self.renames = Some(score(Some(&short[2..]))?);
                self.copies = true;
            }
            (short, None) if short.starts_with("-S") || short.starts_with("-G") => {
                self.pickaxe = Some((short.starts_with("-G"), short.as_bytes()[2..].to_vec()));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn way(name: &str) -> Option<Way> {
    match name {
        "myers" | "default" => Some(Way::Myers),
        "minimal" => Some(Way::Minimal),
        "histogram" | "patience" => Some(Way::Histogram),
        _ => None,
    }
}

fn score(value: Option<&str>) -> Res<u32> {
    let Some(text) = value.filter(|v| !v.is_empty()) else { return Ok(MAX_SCORE / 2) };
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok().map(|p| p / 100.0),
        None => format!("0.{text}").parse::<f64>().ok(),
    };
    match share {
        Some(share) if (0.0..=1.0).contains(&share) => Ok((share * f64::from(MAX_SCORE)) as u32),
        _ => fatal!("invalid argument to find-renames"),
    }
}

/// Whether standard output is a terminal.
pub(crate) fn at_terminal() -> bool {
    agentos_guest::tty::tcgetattr(1).is_ok()
}

/// Whether a setting asks for colours here.
pub(crate) fn color_wanted(setting: Option<&str>) -> bool {
    match setting {
        Some("always") => true,
        Some("never" | "false" | "no" | "off") => false,
        _ => at_terminal() && std::env::var("TERM").is_ok_and(|t| t != "dumb"),
    }
}

/// What makes two commits the same change: its lines without places and white space. `None` for merges and for commits
/// that change nothing.
pub(crate) fn patch_id(repo: &Repo, oid: &Oid) -> Res<Option<[u8; 20]>> {
    let commit = repo.odb.commit(oid)?;
    let old = match commit.parents[..] {
        [] => None,
        [parent] => Some(repo.odb.commit(&parent)?.tree),
        _ => return Ok(None),
    };
    let all = crate::changes::trees(repo, old, Some(commit.tree), &Default::default())?;
    if all.is_empty() {
        return Ok(None);
    }
    let mut options = Options::new(None);
    (options.patch, options.renames, options.style.color) = (true, None, false);
    let (result, patch) = crate::error::captured(|| show(repo, all, &options));
    result?;
    let mut text = Vec::new();
    for line in bytes::lines(&patch).filter(|l| !l.starts_with(b"@@ ")) {
        // The names of texts say no more than their lines, those of other contents are all there is.
        if !line.starts_with(b"index ") || bytes::find(&patch, b"\nBinary files ").is_some() {
            text.extend(line.iter().filter(|b| !b.is_ascii_whitespace()));
        }
    }
    Ok(Some(crate::oid::sha1(&text)))
}

/// Shows changes in all forms that were asked for. True if there was any.
pub(crate) fn show(repo: &Repo, changes: Vec<Change>, options: &Options) -> Res<bool> {
    if !options.line_prefix.is_empty() {
        let plain = Options { line_prefix: String::new(), ..options.clone() };
        let (result, text) = crate::error::captured(|| show(repo, changes, &plain));
        for line in bytes::lines(&text) {
            put(options.line_prefix.as_bytes());
            put(line);
        }
        return result;
    }
    let changes = prepare(repo, changes, options)?;
    if options.quiet || options.none && !(options.stat || options.name_only) {
        return Ok(!changes.is_empty());
    }
    let end = if options.nul { '\0' } else { '\n' };
    let name = |path: &[u8]| if options.nul { path.to_vec() } else { bytes::quote(path, repo.quote_path()) };
    let show_path = |path: &[u8]| if options.relative { repo.relative(path) } else { path.to_vec() };
    if options.raw {
        for c in &changes {
            let len = options.abbrev.unwrap_or_else(|| repo.abbrev());
            let oid = |s: &Side| {
                if s.oid.is_zero() { "0".repeat(len) } else { repo.odb.short(&s.oid, len) }
            };
            out!(":{:06o} {:06o} {} {} {}", c.old.mode, c.new.mode, oid(&c.old), oid(&c.new), status(c));
            put_names(c, options.nul, &name);
        }
    }
    if options.name_status {
        for c in &changes {
            out!("{}", status(c));
            let mut shown = c.clone();
            shown.old.path = show_path(&c.old.path);
            shown.new.path = show_path(&c.new.path);
            put_names(&shown, options.nul, &name);
        }
    }
    if options.name_only {
        for c in &changes {
            put(&name(&show_path(c.path())));
            out!("{end}");
        }
    }
    let counted = options.stat || options.numstat || options.shortstat;
    if counted {
        let stats = stats(repo, &changes, options)?;
        if options.numstat {
            for s in &stats {
                match s.binary {
                    Some(_) => out!("-\t-\t"),
                    None => out!("{}\t{}\t", s.added, s.deleted),
                }
                match &s.from {
                    Some(from) if options.nul => {
                        put(b"\0");
                        put(from);
                        put(b"\0");
                        put(&s.path);
                    }
                    Some(from) => put(&pretty_rename(from, &s.path, repo.quote_path())),
                    None => put(&name(&s.path)),
                }
                out!("{end}");
            }
        }
        if options.stat {
            put_stat(repo, &stats, options);
        }
        if (options.stat || options.shortstat) && !stats.is_empty() {
            put(totals(&stats).as_bytes());
        }
    }
    if options.summary {
        put_summary(repo, &changes);
    }
    if options.patch {
        if (counted || options.raw || options.summary || options.name_only || options.name_status)
            && !changes.is_empty()
        {
            put(b"\n");
        }
        // Conflicts that can be shown against both sides come first.
        let both = |c: &Change| c.status == b'U' && crate::combined::has_both(repo, c);
        for c in changes.iter().filter(|c| both(c)) {
            put_patch(repo, c, options)?;
        }
        for c in changes.iter().filter(|c| !both(c)) {
            put_patch(repo, c, options)?;
        }
    }
    if options.check {
        return check(repo, &changes);
    }
    Ok(!changes.is_empty())
}

/// Finds renames, turns round, filters.
pub(crate) fn prepare(repo: &Repo, mut changes: Vec<Change>, options: &Options) -> Res<Vec<Change>> {
    if options.relative && !repo.prefix.is_empty() {
        changes.retain(|c| bytes::within(c.path(), &repo.prefix));
    }
    if options.reverse {
        changes = changes.into_iter().map(Change::reverse).collect();
    }
    if let Some(minimum) = options.renames {
        changes = find_renames(repo, changes, minimum, options.copies)?;
    }
    if let Some((lines, needle)) = &options.pickaxe {
        let mut kept = Vec::new();
        for c in changes {
            let (old, new) = (content(repo, &c.old)?, content(repo, &c.new)?);
            let hit = if *lines {
                let (o, n): (Vec<&[u8]>, Vec<&[u8]>) =
                    (bytes::lines(&old).collect(), bytes::lines(&new).collect());
                let pattern = crate::regex::Regex::new(&bytes::text(needle), false, false)
                    .map_err(|e| crate::error::Stop::Fatal(format!("invalid regex: {e}")))?;
                textdiff::hunks(&o, &n, Space::default(), Way::Myers).iter().any(|h| {
                    o[h.old.clone()]
                        .iter()
                        .chain(&n[h.new.clone()])
                        .any(|l| pattern.is_match(l.strip_suffix(b"\n").unwrap_or(l)))
                })
            } else {
                occurrences(&old, needle) != occurrences(&new, needle)
            };
            if hit {
                kept.push(c);
            }
        }
        changes = kept;
    }
    if let Some(filter) = &options.filter {
        let wanted: Vec<u8> = filter.bytes().filter(u8::is_ascii_uppercase).collect();
        let not: Vec<u8> =
            filter.bytes().filter(u8::is_ascii_lowercase).map(|b| b.to_ascii_uppercase()).collect();
        changes.retain(|c| (wanted.is_empty() || wanted.contains(&c.status)) && !not.contains(&c.status));
    }
    Ok(changes)
}

fn occurrences(text: &[u8], needle: &[u8]) -> usize {
    let mut count = 0;
    let mut rest = text;
    while !needle.is_empty()
        && let Some(at) = bytes::find(rest, needle)
    {
        count += 1;
        rest = &rest[at + needle.len()..];
    }
    count
}

fn status(c: &Change) -> String {
    match c.status {
        b'R' | b'C' => format!("{}{:03}", c.status as char, c.score * 100 / MAX_SCORE),
        other => (other as char).to_string(),
    }
}

fn put_names(c: &Change, nul: bool, name: &dyn Fn(&[u8]) -> Vec<u8>) {
    let (sep, end): (&[u8], &[u8]) = if nul { (b"\0", b"\0") } else { (b"\t", b"\n") };
    put(sep);
    if matches!(c.status, b'R' | b'C') {
        put(&name(&c.old.path));
        put(sep);
        put(&name(&c.new.path));
    } else {
        put(&name(c.path()));
    }
    put(end);
}

/// Numbers of a changed file.
pub(crate) struct Stat {
    path: Vec<u8>,
    from: Option<Vec<u8>>,
    added: usize,
    deleted: usize,
    /// Sizes of what is no text.
    binary: Option<(usize, usize)>,
    unmerged: bool,
    same: bool,
    /// `new`, `gone` or a change of mode.
    note: Option<&'static str>,
}

/// Numbers of all changes.
pub(crate) fn stats(repo: &Repo, changes: &[Change], options: &Options) -> Res<Vec<Stat>> {
    let mut all = Vec::new();
    for c in changes {
        let from = matches!(c.status, b'R' | b'C').then(|| c.old.path.clone());
        let path = if options.relative { repo.relative(c.path()) } else { c.path().to_vec() };
        let mut stat = Stat {
            path,
            from,
            added: 0,
            deleted: 0,
            binary: None,
            unmerged: c.status == b'U',
            same: false,
            note: note(c),
        };
        if c.status != b'U' {
            let (old, new) = (content(repo, &c.old)?, content(repo, &c.new)?);
            if !options.text && (textdiff::is_binary(&old) || textdiff::is_binary(&new)) {
                stat.binary = Some(if old == new { (0, 0) } else { (old.len(), new.len()) });
                stat.same = old == new;
            } else {
                (stat.added, stat.deleted) = textdiff::count(&old, &new, &options.style);
                // What only differs in white space that does not count is no change.
                if stat.added + stat.deleted == 0
                    && c.status == b'M'
                    && c.old.mode == c.new.mode
                    && old != new
                {
                    continue;
                }
            }
        }
        all.push(stat);
    }
    Ok(all)
}

/// ` 2 files changed, 3 insertions(+)`
fn totals(stats: &[Stat]) -> String {
    let files = stats.iter().filter(|s| !s.unmerged).count();
    let counted = stats.iter().filter(|s| s.binary.is_none());
    let (added, deleted) = counted.fold((0, 0), |(a, d), s| (a + s.added, d + s.deleted));
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    let mut line = format!(" {files} file{} changed", plural(files));
    if files == 0 {
        return line + "\n";
    }
    if added > 0 || deleted == 0 {
        line += &format!(", {added} insertion{}(+)", plural(added));
    }
    if deleted > 0 || added == 0 {
        line += &format!(", {deleted} deletion{}(-)", plural(deleted));
    }
    line + "\n"
}

/// `dir/{old => new}/file`
fn pretty_rename(from: &[u8], to: &[u8], quote: bool) -> Vec<u8> {
    let (a, b) = (bytes::quote(from, quote), bytes::quote(to, quote));
    if a != from || b != to {
        return [&a[..], b" => ", &b].concat();
    }
    let mut prefix = 0;
    for (at, (x, y)) in from.iter().zip(to).enumerate() {
        if x != y {
            break;
        }
        if *x == b'/' {
            prefix = at + 1;
        }
    }
    let mut suffix = 0;
    let limit = from.len().min(to.len()) - prefix.saturating_sub(1).min(from.len().min(to.len()));
    for at in 1..=limit {
        if from[from.len() - at] != to[to.len() - at] {
            break;
        }
        if from[from.len() - at] == b'/' {
            suffix = at;
        }
    }
    let middle = |path: &[u8]| {
        let end = path.len() - suffix;
        if end > prefix { path[prefix..end].to_vec() } else { Vec::new() }
    };
    if prefix + suffix == 0 {
        return [from, b" => ", to].concat();
    }
    [&from[..prefix], b"{", &middle(from), b" => ", &middle(to), b"}", &from[from.len() - suffix..]].concat()
}

/// Columns that a text takes.
fn width(text: &[u8]) -> usize {
    String::from_utf8_lossy(text).chars().map(crate::pretty::char_width).sum()
}

/// What `--compact-summary` says of a file.
fn note(c: &Change) -> Option<&'static str> {
    match (c.status, c.old.mode, c.new.mode) {
        (b'A', _, crate::oid::MODE_EXEC) => Some("new +x"),
        (b'A', _, crate::oid::MODE_LINK) => Some("new +l"),
        (b'A', ..) => Some("new"),
        (b'D', ..) => Some("gone"),
        (b'M' | b'R', crate::oid::MODE_FILE, crate::oid::MODE_EXEC) => Some("mode +x"),
        (b'M' | b'R', crate::oid::MODE_EXEC, crate::oid::MODE_FILE) => Some("mode -x"),
        _ => None,
    }
}

fn put_stat(repo: &Repo, stats: &[Stat], options: &Options) {
    let shown = &stats[..stats.len().min(options.stat_count.unwrap_or(usize::MAX))];
    let names: Vec<Vec<u8>> = shown
        .iter()
        .map(|s| match &s.from {
            Some(from) => pretty_rename(from, &s.path, repo.quote_path()),
            None => bytes::quote(&s.path, repo.quote_path()),
        })
        .zip(shown)
        .map(|(name, s)| match s.note.filter(|_| options.compact) {
            Some(note) => [&name[..], b" (", note.as_bytes(), b")"].concat(),
            None => name,
        })
        .collect();
    let max_change =
        shown.iter().filter(|s| s.binary.is_none()).map(|s| s.added + s.deleted).max().unwrap_or(0);
    let max_name = names.iter().map(|n| width(n)).max().unwrap_or(0);
    let digits = |n: usize| n.to_string().len();
    let mut number = digits(max_change);
    let mut bin_width = 0;
    for s in shown {
        if s.unmerged {
            bin_width = bin_width.max(8);
        }
        if let Some((old, new)) = s.binary {
            bin_width = bin_width.max(14 + digits(old) + digits(new));
            number = number.max(3);
        }
    }
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse::<usize>().ok());
    let mut total = options.stat_width.or(columns).unwrap_or_else(|| {
        agentos_guest::tty::tcgetwinsize(1).map_or(80, |w| if w.cols == 0 { 80 } else { usize::from(w.cols) })
    });
    total = total.max(16 + 6 + number);
    let mut graph = if max_change + 4 > bin_width { max_change } else { bin_width - 4 };
    let mut name_width = match options.stat_name_width {
        Some(limit) if limit > 0 && limit < max_name => limit,
        _ => max_name,
    };
    if name_width + number + 6 + graph > total {
        if graph > (total * 3 / 8).saturating_sub(number + 6) {
            graph = (total * 3 / 8).saturating_sub(number + 6).max(6);
        }
        if name_width > total - number - 6 - graph {
            name_width = total - number - 6 - graph;
        } else {
            graph = total - number - 6 - name_width;
        }
    }
    let (plus, minus, reset) = if options.style.color { (GREEN, RED, RESET) } else { ("", "", "") };
    for (s, name) in shown.iter().zip(&names) {
        let mut name = &name[..];
        let mut lead = "";
        if width(name) > name_width {
            lead = "...";
            let room = name_width.saturating_sub(3);
            while width(name) > room && !name.is_empty() {
                name = &name[1..];
            }
            if let Some(slash) = name.iter().position(|b| *b == b'/') {
                name = &name[slash..];
            }
        }
        put(b" ");
        put(lead.as_bytes());
        put(name);
        put(" ".repeat(name_width.saturating_sub(width(name) + lead.len())).as_bytes());
        if s.unmerged {
            put(b" | Unmerged\n");
            continue;
        }
        if let Some((old, new)) = s.binary {
            out!(" | {:>number$}", "Bin");
            if s.same {
                put(b"\n");
            } else {
                out!(" {minus}{old}{reset} -> {plus}{new}{reset} bytes\n");
            }
            continue;
        }
        let (mut add, mut del) = (s.added, s.deleted);
        if graph <= max_change {
            let scale =
                |n: usize| if n == 0 { 0 } else { 1 + n * graph.saturating_sub(1) / max_change.max(1) };
            let mut sum = scale(add + del);
            if sum < 2 && add > 0 && del > 0 {
                sum = 2;
            }
            if add < del {
                add = scale(add);
                del = sum.saturating_sub(add);
            } else {
                del = scale(del);
                add = sum.saturating_sub(del);
            }
        }
        out!(" | {:>number$}{}", s.added + s.deleted, if s.added + s.deleted > 0 { " " } else { "" });
        let painted = |n: usize, sign: &str, color: &str| {
            if n > 0 {
                format!("{color}{}{}", sign.repeat(n), if color.is_empty() { "" } else { reset })
            } else {
                String::new()
            }
        };
        out!("{}{}\n", painted(add, "+", plus), painted(del, "-", minus));
    }
    if shown.len() < stats.len() {
        put(b" ...\n");
    }
}

/// ` create mode 100644 file` and the like.
pub(crate) fn put_summary(repo: &Repo, changes: &[Change]) {
    for c in changes {
        let name = bytes::text(&bytes::quote(c.path(), repo.quote_path()));
        match c.status {
            b'A' => out!(" create mode {:06o} {name}\n", c.new.mode),
            b'D' => out!(" delete mode {:06o} {name}\n", c.old.mode),
            b'R' | b'C' => {
                let what = if c.status == b'R' { "rename" } else { "copy" };
                let names = pretty_rename(&c.old.path, &c.new.path, repo.quote_path());
                out!(" {what} {} ({}%)\n", bytes::text(&names), c.score * 100 / MAX_SCORE);
                if c.old.mode != c.new.mode {
                    out!(" mode change {:06o} => {:06o}\n", c.old.mode, c.new.mode);
                }
            }
            b'M' | b'T' if c.old.mode != c.new.mode => {
                out!(" mode change {:06o} => {:06o} {name}\n", c.old.mode, c.new.mode);
            }
            _ => {}
        }
    }
}

/// One file as a patch.
fn put_patch(repo: &Repo, c: &Change, options: &Options) -> Res<()> {
    let quote = repo.quote_path();
    if c.status == b'U' {
        return crate::combined::put_unmerged(repo, c, options);
    }
    if c.status == b'T' && c.old.mode & 0o170_000 != c.new.mode & 0o170_000 {
        let mut gone = c.clone();
        gone.status = b'D';
        gone.new = Side { path: c.old.path.clone(), ..Side::default() };
        let mut come = c.clone();
        come.status = b'A';
        come.old = Side { path: c.new.path.clone(), ..Side::default() };
        put_patch(repo, &gone, options)?;
        return put_patch(repo, &come, options);
    }
    let shown = |path: &[u8]| if options.relative { repo.relative(path) } else { path.to_vec() };
    let (old_path, new_path) = (shown(&c.old.path), shown(&c.new.path));
    let a = bytes::quote_with(options.prefixes.0.as_bytes(), &old_path, quote);
    let b = bytes::quote_with(options.prefixes.1.as_bytes(), &new_path, quote);
    let (bold, reset) = if options.style.color { (BOLD, RESET) } else { ("", "") };
    let mut head: Vec<Vec<u8>> = vec![[b"diff --git ", &a[..], b" ", &b].concat()];
    let mut line = |text: String| head.push(text.into_bytes());
    if c.old.mode == 0 {
        line(format!("new file mode {:06o}", c.new.mode));
    } else if c.new.mode == 0 {
        line(format!("deleted file mode {:06o}", c.old.mode));
    } else if c.old.mode != c.new.mode {
        line(format!("old mode {:06o}", c.old.mode));
        line(format!("new mode {:06o}", c.new.mode));
    }
    if matches!(c.status, b'R' | b'C') {
        let what = if c.status == b'R' { "rename" } else { "copy" };
        line(format!("similarity index {}%", c.score * 100 / MAX_SCORE));
        head.push([what.as_bytes(), b" from ", &bytes::quote(&old_path, quote)].concat());
        head.push([what.as_bytes(), b" to ", &bytes::quote(&new_path, quote)].concat());
    }
    let (old_oid, new_oid) = (side_oid(repo, &c.old)?, side_oid(repo, &c.new)?);
    let (old, new) = (content(repo, &c.old)?, content(repo, &c.new)?);
    let differ = old_oid != new_oid;
    let binary = !options.text && (textdiff::is_binary(&old) || textdiff::is_binary(&new));
    if differ {
        let len = if options.full_index || (binary && options.binary) {
            40
        } else {
            options.abbrev.unwrap_or_else(|| repo.abbrev())
        };
        let short = |oid: Oid| if oid.is_zero() { "0".repeat(len) } else { repo.odb.short(&oid, len) };
        let mode = if c.old.mode == c.new.mode { format!(" {:06o}", c.new.mode) } else { String::new() };
        head.push(format!("index {}..{}{mode}", short(old_oid), short(new_oid)).into_bytes());
    }
    let name = |side: &Side, full: &[u8], path: &[u8]| -> Vec<u8> {
        if side.mode == 0 {
            return b"/dev/null".to_vec();
        }
        // A name with a space ends in a tab, so that patch(1) finds its end.
        let tab: &[u8] = if path.contains(&b' ') && !full.starts_with(b"\"") { b"\t" } else { b"" };
        [full, tab].concat()
    };
    let put_head = |head: &[Vec<u8>]| {
        for line in head {
            put(bold.as_bytes());
            put(line);
            put(reset.as_bytes());
            put(b"\n");
        }
    };
    let (a_name, b_name) = (name(&c.old, &a, &old_path), name(&c.new, &b, &new_path));
    if !differ {
        put_head(&head);
        return Ok(());
    }
    if binary {
        put_head(&head);
        if options.binary {
            fatal!("--binary is not supported");
        }
        put(&[b"Binary files ", &a_name[..], b" and ", &b_name, b" differ\n"].concat());
        return Ok(());
    }
    if old.is_empty() && new.is_empty() || (c.old.mode == MODE_GITLINK && old == new) {
        put_head(&head);
        return Ok(());
    }
    let always = c.old.mode != c.new.mode || matches!(c.status, b'R' | b'C' | b'A' | b'D');
    // With white space options there may be nothing to show.
    let (added, deleted) = textdiff::count(&old, &new, &options.style);
    if added + deleted == 0 {
        if always {
            put_head(&head);
        }
        return Ok(());
    }
    head.push([b"--- ", &a_name[..]].concat());
    head.push([b"+++ ", &b_name[..]].concat());
    put_head(&head);
    textdiff::print(&old, &new, &options.style);
    Ok(())
}

/// Complains about white space errors in added lines.
fn check(repo: &Repo, changes: &[Change]) -> Res<bool> {
    let mut bad = false;
    for c in changes {
        if c.status == b'U' || c.new.mode == 0 {
            continue;
        }
        let (old, new) = (content(repo, &c.old)?, content(repo, &c.new)?);
        if textdiff::is_binary(&new) {
            continue;
        }
        let (o, n): (Vec<&[u8]>, Vec<&[u8]>) = (bytes::lines(&old).collect(), bytes::lines(&new).collect());
        let name = repo.quoted(&c.new.path);
        for h in textdiff::hunks(&o, &n, Space::default(), Way::Myers) {
            for at in h.new.clone() {
                let line = n[at].strip_suffix(b"\n").unwrap_or(n[at]);
                let mut what = Vec::new();
                if line.last().is_some_and(u8::is_ascii_whitespace) {
                    what.push("trailing whitespace");
                }
                let indent = &line[..line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count()];
                if bytes::find(indent, b" \t").is_some() {
                    what.push("space before tab in indent");
                }
                if ["<<<<<<< ", ">>>>>>> ", "||||||| "].iter().any(|m| line.starts_with(m.as_bytes()))
                    || line == b"======="
                {
                    out!("{name}:{}: leftover conflict marker\n", at + 1);
                    bad = true;
                }
                if !what.is_empty() {
                    out!("{name}:{}: {}.\n", at + 1, what.join(", "));
                    put(&[b"+", line, b"\n"].concat());
                    bad = true;
                }
            }
            if h.new.end == n.len() && !h.new.is_empty() {
                let blank = n.iter().rev().take_while(|l| l.trim_ascii().is_empty()).count();
                let old_blank = o.iter().rev().take_while(|l| l.trim_ascii().is_empty()).count();
                if blank > old_blank {
                    out!("{name}:{}: new blank line at EOF.\n", n.len() - blank + 1);
                    bad = true;
                }
            }
        }
    }
    Ok(bad)
}
