//! Showing commits: the named forms and `--format` with its placeholders. It prints no changes.

use crate::bytes;
use crate::date::Style as Dates;
use crate::error::{Res, fatal};
use crate::oid::{Commit, Oid, Person};
use crate::repo::Repo;
use std::collections::HashMap;

/// A form of commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Oneline,
    Short,
    Medium,
    Full,
    Fuller,
    Raw,
    Reference,
    Email,
    /// The text, and whether each ends in a newline (`tformat`) or they are separated by one.
    User(String, bool),
}

impl Form {
    pub(crate) fn parse(name: &str, repo: &Repo) -> Res<Form> {
        Ok(match name {
            "oneline" => Form::Oneline,
            "short" => Form::Short,
            "medium" | "" => Form::Medium,
            "full" => Form::Full,
            "fuller" => Form::Fuller,
            "raw" => Form::Raw,
            "reference" => Form::Reference,
            "email" => Form::Email,
            _ => {
                if let Some(text) = name.strip_prefix("format:") {
                    Form::User(text.to_owned(), false)
                } else if let Some(text) = name.strip_prefix("tformat:") {
                    Form::User(text.to_owned(), true)
                } else if name.contains('%') {
                    Form::User(name.to_owned(), true)
                } else if let Some(alias) = repo.config.get(&format!("pretty.{name}")) {
                    return Form::parse(&alias, repo);
                } else {
                    fatal!("invalid --pretty format: {name}");
                }
            }
        })
    }
}

/// How commits are shown.
#[derive(Clone, Debug)]
pub(crate) struct Show {
    pub(crate) form: Form,
    pub(crate) dates: Option<Dates>,
    pub(crate) abbrev_commit: bool,
    pub(crate) abbrev: usize,
    /// Names of refs by commit.
    pub(crate) decorations: Option<Decorations>,
    pub(crate) color: bool,
    /// Parents behind the name.
    pub(crate) parents: bool,
    pub(crate) left: Option<std::collections::HashSet<Oid>>,
    pub(crate) marks: bool,
    /// Commits whose change the other side has too; they are marked.
    pub(crate) same: Option<std::collections::HashSet<Oid>>,
    /// Notes of commits, each ref with its title.
    pub(crate) notes: Vec<(String, std::collections::BTreeMap<Oid, Oid>)>,
    /// Marks are drawn elsewhere.
    pub(crate) bare: bool,
    /// `--decorate=full`
    pub(crate) full_names: bool,
    pub(crate) reflog: Option<(String, String)>,
}

/// A name that is shown beside a commit.
#[derive(Clone, Debug)]
pub(crate) struct Decoration {
    full: String,
    head: bool,
}

pub(crate) type Decorations = HashMap<Oid, Vec<Decoration>>;

/// Which commit has which names.
pub(crate) fn decorations(repo: &Repo) -> Decorations {
    let mut all: Decorations = HashMap::new();
    let branch = repo.head_ref();
    let mut refs = repo.refs("refs/");
    // The last ones come first.
    refs.reverse();
    for (name, oid) in refs {
        if !["refs/heads/", "refs/remotes/", "refs/tags/"].iter().any(|p| name.starts_with(p))
            && name != "refs/stash"
        {
            continue;
        }
        let Ok((oid, _)) = repo.odb.peel(&oid) else { continue };
        let head = branch.as_deref() == Some(&name);
        let list = all.entry(oid).or_default();
        let decoration = Decoration { full: name, head };
        if head { list.insert(0, decoration) } else { list.push(decoration) }
    }
    if let Some(head) = repo.head()
        && branch.is_none_or(|b| {
            repo.ref_oid(&b).is_none()
                || repo.ref_value("HEAD").is_some_and(|v| matches!(v, crate::refs::Value::Oid(_)))
        })
    {
        all.entry(head).or_default().insert(0, Decoration { full: "HEAD".to_owned(), head: false });
    }
    for oid in repo.odb.shallow() {
        all.entry(*oid).or_default().insert(0, Decoration { full: "grafted".to_owned(), head: false });
    }
    all
}

/// ` (HEAD -> main, tag: v1)`
pub(crate) fn decorate(list: Option<&Vec<Decoration>>, color: bool, full: bool) -> String {
    let Some(list) = list.filter(|l| !l.is_empty()) else { return String::new() };
    let paint = |text: &str, code: &str| {
        if color { format!("\x1b[{code}m{text}\x1b[m") } else { text.to_owned() }
    };
    let names: Vec<String> = list
        .iter()
        .map(|d| {
            let short = if full { &d.full } else { Repo::shorten(&d.full) };
            let name = if d.full.starts_with("refs/tags/") {
                if color {
                    format!("\x1b[1;33mtag: \x1b[m{}", paint(short, "1;33"))
                } else {
                    format!("tag: {short}")
                }
            } else if d.full.starts_with("refs/remotes/") {
                paint(short, "1;31")
            } else if d.full == "HEAD" {
                paint(short, "1;36")
            } else if d.full == "grafted" {
                paint(short, "1;34")
            } else if d.full == "refs/stash" {
                paint("refs/stash", "1;35")
            } else {
                paint(short, "1;32")
            };
            if d.head { format!("{}{}{name}", paint("HEAD", "1;36"), paint(" -> ", "33")) } else { name }
        })
        .collect();
    if color {
        let comma = paint(", ", "33");
        return format!("{}{}{}", paint(" (", "33"), names.join(&comma), paint(")", "33"));
    }
    format!(" ({})", names.join(", "))
}

impl Show {
    pub(crate) fn new(repo: &Repo) -> Show {
        Show {
            form: Form::Medium,
            dates: None,
            abbrev_commit: repo.config.flag("log.abbrevcommit", false),
            abbrev: repo.abbrev(),
            decorations: None,
            color: false,
            parents: false,
            left: None,
            marks: false,
            same: None,
            notes: Vec::new(),
            bare: false,
            full_names: false,
            reflog: None,
        }
    }

    fn date(&self, who: &Person) -> String {
        self.dates.clone().unwrap_or_default().show(who.time, who.zone)
    }

    fn name(&self, repo: &Repo, oid: &Oid) -> String {
        if self.abbrev_commit { repo.odb.short(oid, self.abbrev) } else { oid.to_string() }
    }

    /// Which side a commit is on, or whether both have its change.
    pub(crate) fn mark(&self, oid: &Oid) -> &'static str {
        match (&self.same, &self.left) {
            (Some(same), _) if same.contains(oid) => "=",
            (_, Some(left)) if self.marks => {
                if left.contains(oid) {
                    "<"
                } else {
                    ">"
                }
            }
            (Some(_), _) => "+",
            _ => "",
        }
    }

    /// The text of a commit with its ends, without what separates it from the next.
    pub(crate) fn text(&self, repo: &Repo, oid: &Oid, commit: &Commit, parents: &[Oid]) -> Res<Vec<u8>> {
        let mut out = Vec::new();
        let decoration =
            || decorate(self.decorations.as_ref().and_then(|d| d.get(oid)), self.color, self.full_names);
        let (yellow, reset) = if self.color { ("\x1b[33m", "\x1b[m") } else { ("", "") };
        let mark = if self.bare { "" } else { self.mark(oid) };
        let parent_names = || -> String {
            if self.parents {
                parents.iter().map(|p| format!(" {}", self.name(repo, p))).collect()
            } else {
                String::new()
            }
        };
        match &self.form {
            Form::User(format, _) => return self.user(repo, oid, commit, format),
            Form::Reference => {
                let dates =
                    self.dates.clone().unwrap_or(Dates { kind: crate::date::Kind::Short, local: false });
                out.extend(repo.odb.short(oid, self.abbrev).bytes());
                out.extend(b" (");
                out.extend(commit.subject());
                out.extend(format!(", {})", dates.show(commit.author.time, commit.author.zone)).bytes());
                return Ok(out);
            }
            Form::Oneline => {
                let space = if mark.is_empty() { "" } else { " " };
                out.extend(
                    format!(
                        "{yellow}{mark}{space}{}{}{reset}{}",
                        self.name(repo, oid),
                        parent_names(),
                        decoration()
                    )
                    .bytes(),
                );
                if let Some((selector, message)) = &self.reflog {
                    out.extend(format!(" {selector}: {message}").bytes());
                } else {
                    out.push(b' ');
                    out.extend(commit.subject());
                }
                return Ok(out);
            }
            Form::Email => {
                out.extend(format!("From {oid} Mon Sep 17 00:00:00 2001\nFrom: ").bytes());
                out.extend(commit.author.ident());
                let dates = Dates { kind: crate::date::Kind::Rfc, local: false };
                out.extend(
                    format!(
                        "\nDate: {}\nSubject: [PATCH] ",
                        dates.show(commit.author.time, commit.author.zone)
                    )
                    .bytes(),
                );
                out.extend(commit.subject());
                out.extend(b"\n\n");
                out.extend(commit.body());
                return Ok(out);
            }
            _ => {}
        }
        let space = if mark.is_empty() { "" } else { " " };
        out.extend(
            format!(
                "{yellow}commit {mark}{space}{}{}{reset}{}\n",
                self.name(repo, oid),
                parent_names(),
                decoration()
            )
            .bytes(),
        );
        if let Some((selector, message)) = &self.reflog {
            out.extend(format!("Reflog: {selector} (").bytes());
            out.extend(repo.logger().ident());
            out.extend(format!(")\nReflog message: {message}\n").bytes());
        }
        if self.form == Form::Raw {
            out.extend(format!("tree {}\n", commit.tree).bytes());
            for parent in &commit.parents {
                out.extend(format!("parent {parent}\n").bytes());
            }
            out.extend(
                [b"author ", &commit.author.line()[..], b"\ncommitter ", &commit.committer.line(), b"\n"]
                    .concat(),
            );
            out.extend(&commit.extra);
        } else {
            if commit.parents.len() > 1 {
                let names: Vec<String> =
                    commit.parents.iter().map(|p| repo.odb.short(p, self.abbrev)).collect();
                out.extend(format!("Merge: {}\n", names.join(" ")).bytes());
            }
            let (author, committer) = (commit.author.ident(), commit.committer.ident());
            match self.form {
                Form::Full => {
                    out.extend([b"Author: ", &author[..], b"\nCommit: ", &committer, b"\n"].concat())
                }
                Form::Fuller => {
                    out.extend([b"Author:     ", &author[..], b"\n"].concat());
                    out.extend(format!("AuthorDate: {}\n", self.date(&commit.author)).bytes());
                    out.extend([b"Commit:     ", &committer[..], b"\n"].concat());
                    out.extend(format!("CommitDate: {}\n", self.date(&commit.committer)).bytes());
                }
                _ => {
                    out.extend([b"Author: ", &author[..], b"\n"].concat());
                    if self.form == Form::Medium {
                        out.extend(format!("Date:   {}\n", self.date(&commit.author)).bytes());
                    }
                }
            }
        }
        out.push(b'\n');
        if self.form == Form::Short {
            out.extend([b"    ", &commit.subject()[..], b"\n"].concat());
            self.put_notes(repo, oid, &mut out)?;
            return Ok(out);
        }
        let message = if self.form == Form::Raw {
            &commit.message[..]
        } else {
            crate::oid::skip_blank(&commit.message)
        };
        let message = message.trim_ascii_end();
        if message.is_empty() {
            // Without a message there is no empty line either.
            out.pop();
        }
        for line in message.split(|b| *b == b'\n') {
            if message.is_empty() {
                break;
            }
            let line = if self.form == Form::Raw { line } else { line.trim_ascii_end() };
            out.extend(b"    ");
            expand_tabs(line, &mut out);
            out.push(b'\n');
        }
        self.put_notes(repo, oid, &mut out)?;
        Ok(out)
    }

    fn put_notes(&self, repo: &Repo, oid: &Oid, out: &mut Vec<u8>) -> Res<()> {
        for (title, notes) in &self.notes {
            let Some(note) = notes.get(oid) else { continue };
            let text = repo.odb.blob(note)?;
            out.extend(format!("\nNotes{title}:\n").bytes());
            for line in text.trim_ascii_end().split(|b| *b == b'\n') {
                out.extend([b"    ", line, b"\n"].concat());
            }
        }
        Ok(())
    }

    /// A format of the user, without a newline at the end.
    pub(crate) fn user(&self, repo: &Repo, oid: &Oid, commit: &Commit, format: &str) -> Res<Vec<u8>> {
        let mut out: Vec<u8> = Vec::new();
        let mut rest = format;
        let mut pad: Option<Pad> = None;
        let mut auto = false;
        while let Some(at) = rest.find('%') {
            out.extend(rest[..at].bytes());
            rest = &rest[at + 1..];
            let mut piece = Vec::new();
            let magic = match rest.as_bytes().first() {
                Some(m @ (b'+' | b'-' | b' ')) => {
                    rest = &rest[1..];
                    Some(*m)
                }
                _ => None,
            };
            if let Some((next, len)) = Pad::parse(rest) {
                pad = Some(next);
                rest = &rest[len..];
                continue;
            }
            auto |= rest.starts_with("C(auto)");
            match self.placeholder(repo, oid, commit, rest, &mut piece)? {
                Some(len) => {
                    if auto && self.color && rest.starts_with(['h', 'H']) {
                        piece = [b"\x1b[33m", &piece[..], b"\x1b[m"].concat();
                    }
                    rest = &rest[len..];
                }
                None => {
                    out.push(b'%');
                    continue;
                }
            }
            if let Some(pad) = pad.take() {
                piece = pad.apply(&piece, &out);
                if pad.steals {
                    while out.last() == Some(&b' ') && width(&piece) > 0 && pad.overflow(&piece) > 0 {
                        out.pop();
                    }
                }
            }
            match magic {
                Some(b'+') if !piece.is_empty() => out.push(b'\n'),
                Some(b' ') if !piece.is_empty() => out.push(b' '),
                Some(b'-') if piece.is_empty() => {
                    while out.last() == Some(&b'\n') {
                        out.pop();
                    }
                }
                _ => {}
            }
            out.extend(piece);
        }
        out.extend(rest.bytes());
        Ok(out)
    }

    /// Writes what a placeholder stands for; returns its length, `None` if it is none.
    fn placeholder(
        &self,
        repo: &Repo,
        oid: &Oid,
        commit: &Commit,
        spec: &str,
        out: &mut Vec<u8>,
    ) -> Res<Option<usize>> {
        let b = spec.as_bytes();
        let short = |oid: &Oid| repo.odb.short(oid, self.abbrev);
        let Some(first) = b.first() else { return Ok(None) };
        match first {
            b'n' => out.push(b'\n'),
            b'%' => out.push(b'%'),
            b'H' => out.extend(oid.to_string().bytes()),
            b'h' => out.extend(short(oid).bytes()),
            b'T' => out.extend(commit.tree.to_string().bytes()),
            b't' => out.extend(short(&commit.tree).bytes()),
            b'P' => {
                out.extend(commit.parents.iter().map(Oid::to_string).collect::<Vec<_>>().join(" ").bytes())
            }
            b'p' => out.extend(commit.parents.iter().map(short).collect::<Vec<_>>().join(" ").bytes()),
            b's' => out.extend(commit.subject()),
            b'b' => out.extend(commit.body()),
            b'B' => out.extend(crate::oid::skip_blank(&commit.message)),
            b'f' => out.extend(file_name(&commit.subject())),
            b'e' => {}
            b'N' => {
                for (_, notes) in &self.notes {
                    if let Some(note) = notes.get(oid) {
                        out.extend_from_slice(&repo.odb.blob(note)?);
                    }
                }
            }
            b'm' => out.push(match &self.left {
                Some(left) if left.contains(oid) => b'<',
                _ => b'>',
            }),
            b'S' => {}
            b'd' | b'D' => {
                let own;
                let all = match &self.decorations {
                    Some(all) => all,
                    None => {
                        own = decorations(repo);
                        &own
                    }
                };
                let text = decorate(all.get(oid), self.color, false);
                if *first == b'd' {
                    out.extend(text.bytes());
                } else {
                    out.extend(
                        text.strip_prefix(" (").and_then(|t| t.strip_suffix(')')).unwrap_or("").bytes(),
                    );
                }
            }
            b'a' | b'c' => {
                let who = if *first == b'a' { &commit.author } else { &commit.committer };
                let show =
                    |name: &str| Dates::parse(name).map(|d| d.show(who.time, who.zone)).unwrap_or_default();
                match b.get(1) {
                    Some(b'n' | b'N') => out.extend(&who.name),
                    Some(b'e' | b'E') => out.extend(&who.email),
                    Some(b'l' | b'L') => {
                        out.extend(who.email.split(|b| *b == b'@').next().unwrap_or_default())
                    }
                    Some(b'd') => out.extend(self.date(who).bytes()),
                    Some(b'D') => out.extend(show("rfc").bytes()),
                    Some(b'r') => out.extend(show("relative").bytes()),
                    Some(b't') => out.extend(show("unix").bytes()),
                    Some(b'i') => out.extend(show("iso").bytes()),
                    Some(b'I') => out.extend(show("iso-strict").bytes()),
                    Some(b's') => out.extend(show("short").bytes()),
                    Some(b'h') => out.extend(show("human").bytes()),
                    _ => return Ok(None),
                }
                return Ok(Some(2));
            }
            b'g' => {
                let (selector, message) = self.reflog.clone().unwrap_or_default();
                match b.get(1) {
                    Some(b'D') => {
                        let full = selector
                            .split("@{")
                            .next()
                            .and_then(|n| crate::revision::dwim(repo, n))
                            .map(|(n, _)| n);
                        let tail = selector.find("@{").map_or("", |at| &selector[at..]);
                        out.extend(format!("{}{tail}", full.unwrap_or_default()).bytes());
                    }
                    Some(b'd') => out.extend(selector.bytes()),
                    Some(b's') => out.extend(message.bytes()),
                    Some(b'n') => out.extend(&commit.committer.name),
                    Some(b'e') => out.extend(&commit.committer.email),
                    _ => return Ok(None),
                }
                return Ok(Some(2));
            }
            b'G' => {
                match b.get(1) {
                    Some(b'?') => out.push(b'N'),
                    Some(b'G' | b'S' | b'K' | b'F' | b'P' | b'T') => {}
                    _ => return Ok(None),
                }
                return Ok(Some(2));
            }
            b'x' => {
                let Some(byte) = spec.get(1..3).and_then(|h| u8::from_str_radix(h, 16).ok()) else {
                    return Ok(None);
                };
                out.push(byte);
                return Ok(Some(3));
            }
            b'C' => {
                for (name, code) in [("red", "31"), ("green", "32"), ("blue", "34"), ("reset", "")] {
                    if spec[1..].starts_with(name) {
                        if self.color {
                            out.extend(format!("\x1b[{code}m").bytes());
                        }
                        return Ok(Some(1 + name.len()));
                    }
                }
                if let Some(inside) = spec[1..].strip_prefix('(')
                    && let Some(end) = inside.find(')')
                {
                    let mut color = &inside[..end];
                    let mut on = self.color;
                    if let Some(rest) = color.strip_prefix("always,") {
                        (color, on) = (rest, true);
                    } else if let Some(rest) = color.strip_prefix("auto,") {
                        color = rest;
                    }
                    if on && color != "auto" {
                        match color_code(color) {
                            Some(code) => out.extend(format!("\x1b[{code}m").bytes()),
                            None => fatal!("unable to parse --pretty format"),
                        }
                    }
                    return Ok(Some(end + 3));
                }
                return Ok(None);
            }
            b'w' if b.get(1) == Some(&b'(') => match spec.find(')') {
                // Wrapping: only the form that wraps nothing.
                Some(end) => return Ok(Some(end + 1)),
                None => return Ok(None),
            },
            b'(' if spec.starts_with("(trailers") => match spec.find(')') {
                Some(end) => {
                    self.trailers(commit, &spec[9..end], out);
                    return Ok(Some(end + 1));
                }
                None => return Ok(None),
            },
            b'(' if spec.starts_with("(decorate") => match spec.find(')') {
                Some(end) => {
                    let own = decorations(repo);
                    let text =
                        decorate(self.decorations.as_ref().unwrap_or(&own).get(oid), self.color, false);
                    let option = |name: &str, otherwise: &str| {
                        let inside = spec[9..end].trim_start_matches(':');
                        inside
                            .split(',')
                            .find_map(|o| o.strip_prefix(name))
                            .map_or(otherwise.to_owned(), |v| v.replace("%x2C", ",").replace("%x29", ")"))
                    };
                    let names = text.strip_prefix(" (").and_then(|t| t.strip_suffix(')')).unwrap_or(&text);
                    if !names.is_empty() {
                        let names = names.replace(", ", &option("separator=", ", "));
                        out.extend(
                            format!("{}{names}{}", option("prefix=", " ("), option("suffix=", ")")).bytes(),
                        );
                    }
                    return Ok(Some(end + 1));
                }
                None => return Ok(None),
            },
            _ => return Ok(None),
        }
        Ok(Some(1))
    }

    /// `Key: value` lines at the end of the message.
    fn trailers(&self, commit: &Commit, options: &str, out: &mut Vec<u8>) {
        let option =
            |name: &str| options.split([':', ',']).find_map(|o| o.strip_prefix(name)).map(str::to_owned);
        let key = option("key=").map(|k| k.trim_end_matches(':').to_ascii_lowercase());
        let value_only = options.split([':', ',']).any(|o| o == "valueonly" || o == "valueonly=true");
        let separator =
            option("separator=").map(|s| s.replace("%x2C", ",").replace("%x2c", ",").replace("%n", "\n"));
        let text = bytes::text(&commit.message);
        let last = text.trim_end().rsplit("\n\n").next().unwrap_or("");
        if !text.trim_end().contains("\n\n") {
            return;
        }
        let mut lines = Vec::new();
        for line in last.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.contains(' ') || key.as_ref().is_some_and(|k| *k != name.to_ascii_lowercase()) {
                continue;
            }
            lines.push(if value_only { value.trim().to_owned() } else { line.to_owned() });
        }
        match separator {
            Some(separator) => out.extend(lines.join(&separator).bytes()),
            None => lines.iter().for_each(|l| out.extend(format!("{l}\n").bytes())),
        }
    }
}

/// Columns of a character.
pub(crate) fn char_width(c: char) -> usize {
    match c as u32 {
        0..0x20 | 0x7f..0xa0 | 0x300..0x370 | 0x200b..0x2010 | 0xfe00..0xfe10 => 0,
        0x1100..0x1160
        | 0x2e80..0x303f
        | 0x3041..0xa4d0
        | 0xac00..0xd7a4
        | 0xf900..0xfb00
        | 0xfe30..0xfe70
        | 0xff00..0xff61
        | 0xffe0..0xffe7
        | 0x1f300..0x1f650
        | 0x1f680..0x1f700
        | 0x1f900..0x1fa00
        | 0x20000..0x40000 => 2,
        _ => 1,
    }
}

fn width(text: &[u8]) -> usize {
    let text = bytes::text(text);
    let mut count = 0;
    let mut escape = false;
    for c in text.chars() {
        match c {
            '\x1b' => escape = true,
            'm' if escape => escape = false,
            _ if escape => {}
            c => count += char_width(c),
        }
    }
    count
}

/// `%<(20)` and the like.
struct Pad {
    columns: usize,
    left: bool,
    both: bool,
    truncate: Option<u8>,
    to_column: bool,
    steals: bool,
}

impl Pad {
    fn parse(spec: &str) -> Option<(Pad, usize)> {
        let mut rest = spec;
        let mut pad =
            Pad { columns: 0, left: false, both: false, truncate: None, to_column: false, steals: false };
        if let Some(r) = rest.strip_prefix("><") {
            pad.both = true;
            rest = r;
        } else if let Some(r) = rest.strip_prefix(">>") {
            (pad.left, pad.steals) = (true, true);
            rest = r;
        } else if let Some(r) = rest.strip_prefix('>') {
            pad.left = true;
            rest = r;
        } else {
            rest = rest.strip_prefix('<')?;
        }
        if let Some(r) = rest.strip_prefix('|') {
            pad.to_column = true;
            rest = r;
        }
        let inside = rest.strip_prefix('(')?;
        let end = inside.find(')')?;
        let mut parts = inside[..end].split(',');
        pad.columns = parts.next()?.trim().parse::<usize>().ok()?.min(4096);
        pad.truncate = match parts.next().map(str::trim) {
            None => None,
            Some("trunc") => Some(b'e'),
            Some("ltrunc") => Some(b'l'),
            Some("mtrunc") => Some(b'm'),
            Some(_) => return None,
        };
        Some((pad, spec.len() - rest.len() + end + 2))
    }

    fn overflow(&self, text: &[u8]) -> usize {
        width(text).saturating_sub(self.columns)
    }

    fn apply(&self, text: &[u8], before: &[u8]) -> Vec<u8> {
        let line = before.iter().rposition(|b| *b == b'\n').map_or(before, |at| &before[at + 1..]);
        let columns = if self.to_column { self.columns.saturating_sub(width(line)) } else { self.columns };
        let have = width(text);
        if have > columns {
            let Some(how) = self.truncate else { return text.to_vec() };
            let chars: Vec<char> = bytes::text(text).chars().collect();
            let room = columns.saturating_sub(2);
            let cut: String = match how {
                b'e' => chars[..room.min(chars.len())].iter().collect::<String>() + "..",
                b'l' => {
                    "..".to_owned() + &chars[chars.len().saturating_sub(room)..].iter().collect::<String>()
                }
                _ => {
                    let front = room / 2;
                    let back = room - front;
                    chars[..front].iter().collect::<String>()
                        + ".."
                        + &chars[chars.len() - back..].iter().collect::<String>()
                }
            };
            return cut.into_bytes();
        }
        let space = columns - have;
        let (before, after) = if self.both {
            (space / 2, space - space / 2)
        } else if self.left {
            (space, 0)
        } else {
            (0, space)
        };
        [" ".repeat(before).as_bytes(), text, " ".repeat(after).as_bytes()].concat()
    }
}

/// The numbers of an escape sequence for words such as `bold red`.
pub(crate) fn color_code(words: &str) -> Option<String> {
    let mut codes: Vec<String> = Vec::new();
    let mut background = false;
    for word in words.split([' ', ',']).filter(|w| !w.is_empty()) {
        let (bright, name) = word.strip_prefix("bright").map_or((false, word), |n| (true, n));
        let colors = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
        if let Some(at) = colors.iter().position(|c| *c == name) {
            let base = if bright { 90 } else { 30 } + if background { 10 } else { 0 };
            codes.push((base + at).to_string());
            background = true;
            continue;
        }
        codes.push(match word {
            "reset" | "normal" => String::new(),
            "bold" => "1".to_owned(),
            "dim" => "2".to_owned(),
            "italic" => "3".to_owned(),
            "ul" => "4".to_owned(),
            "blink" => "5".to_owned(),
            "reverse" => "7".to_owned(),
            number => {
                let n: u8 = number.parse().ok()?;
                let base = if background { 48 } else { 38 };
                background = true;
                format!("{base};5;{n}")
            }
        });
    }
    // The attributes come first.
    codes.sort_by_key(|c| c.len() > 1);
    Some(codes.into_iter().filter(|c| !c.is_empty()).collect::<Vec<_>>().join(";"))
}

/// A subject as part of a file name (`%f`).
fn file_name(subject: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut gap = false;
    for &b in subject {
        if b.is_ascii_alphanumeric() || b == b'.' || b == b'_' {
            if gap && !out.is_empty() {
                out.push(b'-');
            }
            gap = false;
            if !(b == b'.' && out.last() == Some(&b'.')) {
                out.push(b);
            }
        } else {
            gap = true;
        }
    }
    while out.last() == Some(&b'.') {
        out.pop();
    }
    out
}

fn expand_tabs(line: &[u8], out: &mut Vec<u8>) {
    if !line.contains(&b'\t') {
        out.extend_from_slice(line);
        return;
    }
    let mut column = 0;
    for c in bytes::text(line).chars() {
        if c == '\t' {
            let n = 8 - column % 8;
            out.extend(" ".repeat(n).bytes());
            column += n;
        } else {
            let mut buffer = [0; 4];
            out.extend(c.encode_utf8(&mut buffer).bytes());
            column += char_width(c);
        }
    }
}
