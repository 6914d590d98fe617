//! `git format-patch`: commits as mails. It sends none, and makes no threads and attachments.

use crate::bytes;
use crate::changes;
use crate::date;
use crate::diffout::{self, Options as Diff};
use crate::error::{Res, Stop, captured, fatal, out, put};
use crate::mail;
use crate::message;
use crate::oid::{Commit, Oid};
use crate::pathspec::Pathspec;
use crate::pretty::Show;
use crate::repo::{Repo, Setting};
use crate::walk::{self, Walk};
use std::fs;

struct Options {
    diff: Diff,
    stdout: bool,
    dir: Option<String>,
    numbered: Option<bool>,
    start: usize,
    prefix: String,
    reroll: Option<String>,
    cover: bool,
    signoff: bool,
    signature: Option<String>,
    zero: bool,
    number_files: bool,
    suffix: String,
    keep: bool,
    quiet: bool,
    stat: bool,
    headers: Vec<String>,
}

pub(crate) fn format_patch(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let repo = Repo::open(setting)?;
    let mut o = Options {
        diff: Diff::new(Some(&repo)),
        stdout: false,
        dir: repo.config.get("format.outputdirectory"),
        numbered: None,
        start: 1,
        prefix: repo.config.get("format.subjectprefix").unwrap_or_else(|| "PATCH".to_owned()),
        reroll: None,
        cover: false,
        signoff: repo.config.flag("format.signoff", false),
        signature: Some(repo.config.get("format.signature").unwrap_or_else(|| crate::VERSION.to_owned())),
        zero: false,
        number_files: false,
        suffix: repo.config.get("format.suffix").unwrap_or_else(|| ".patch".to_owned()),
        keep: false,
        quiet: false,
        stat: true,
        headers: Vec::new(),
    };
    let mut walk = Walk { max_parents: Some(1), reverse: true, ..Walk::default() };
    let (mut root, mut dashdash) = (false, None);
    let mut plain: Vec<Vec<u8>> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let word = bytes::text(&words[at]);
        at += 1;
        if word == "--" {
            dashdash = Some(plain.len());
            plain.extend(words[at..].iter().cloned());
            break;
        }
        if !word.starts_with('-') || word == "-" {
            plain.push(words[at - 1].clone());
            continue;
        }
        let mut next = || {
            let value = words.get(at).map(|w| bytes::text(w));
            at += 1;
            value
        };
        let (name, value) = match word.split_once('=') {
            Some((name, value)) if word.starts_with("--") => (name, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let mut need = || value.clone().or_else(&mut next).unwrap_or_default();
        match name {
            "--stdout" => o.stdout = true,
            "-o" | "--output-directory" => o.dir = Some(need()),
            "-n" | "--numbered" => o.numbered = Some(true),
            "-N" | "--no-numbered" => o.numbered = Some(false),
            "--start-number" => o.start = need().parse().unwrap_or(1),
            "--subject-prefix" => o.prefix = need(),
            "--rfc" => o.prefix = format!("RFC {}", o.prefix),
            "-v" | "--reroll-count" => o.reroll = Some(need()),
            "--cover-letter" => o.cover = true,
            "--no-cover-letter" => o.cover = false,
            "-s" | "--signoff" => o.signoff = true,
            "--signature" => o.signature = Some(need()),
            "--no-signature" => o.signature = None,
            "--zero-commit" => o.zero = true,
            "--numbered-files" => o.number_files = true,
            "--suffix" => o.suffix = need(),
            "-k" | "--keep-subject" => o.keep = true,
            "-q" | "--quiet" => o.quiet = true,
            "--no-stat" | "-p" => o.stat = false,
            "--root" => root = true,
            "--to" => {
                let value = need();
                o.headers.push(format!("To: {value}"));
            }
            "--cc" => {
                let value = need();
                o.headers.push(format!("Cc: {value}"));
            }
            "--in-reply-to" => {
                let value = need();
                o.headers.push(format!("In-Reply-To: <{value}>\nReferences: <{value}>"));
            }
            "--no-thread" | "--no-attach" | "--no-binary" | "--binary" => {}
            "--thread"
            | "--attach"
            | "--inline"
            | "--base"
            | "--interdiff"
            | "--range-diff"
            | "--from"
            | "--cover-from-description"
            | "--ignore-if-in-upstream" => {
                fatal!("option {name} is not supported")
            }
            _ if name.starts_with("-v") && name[2..].parse::<usize>().is_ok() => {
                o.reroll = Some(name[2..].to_owned());
            }
            _ if name.starts_with("-o") && !name.starts_with("--") => o.dir = Some(name[2..].to_owned()),
            _ if walk.option(&repo, &word, false, walk::Syntax::Basic, &mut next)? => {}
            _ if o.diff.take(&word, &mut next)? => {}
            _ => return Err(Stop::Fatal(format!("unrecognized argument: {word}"))),
        }
    }
    let mut single = false;
    if let [one] = &plain[..dashdash.unwrap_or(plain.len())]
        && !one.windows(2).any(|w| w == b"..")
        && walk.max.is_none()
        && !root
    {
        single = true;
    }
    let paths = walk::divide(&repo, &plain, dashdash, &mut walk, &[])?;
    if single && walk.include.len() == 1 {
        // One commit alone: everything since then.
        let Some(head) = repo.head() else { fatal!("bad revision 'HEAD'") };
        walk.exclude = std::mem::replace(&mut walk.include, vec![head]);
    }
    walk.paths = repo.pathspec(&paths)?;
    if walk.include.is_empty() {
        walk.include.extend(repo.head());
    }
    let list = walk.run(&repo)?;
    if list.is_empty() {
        return Ok(0);
    }
    let total = list.len() + o.start - 1;
    let numbered = o.numbered.unwrap_or(list.len() > 1 || o.cover) && !o.keep;
    if let Some(dir) = &o.dir
        && !o.stdout
    {
        fs::create_dir_all(repo.cwd.join(dir))?;
    }
    let digits = total.to_string().len().max(1);
    let mark = |n: usize| {
        let version = o.reroll.as_ref().map(|v| format!(" v{v}")).unwrap_or_default();
        let prefix = format!("{}{version}", o.prefix);
        let prefix = prefix.trim_start();
        match (numbered, prefix.is_empty()) {
            _ if o.keep => String::new(),
            (true, true) => format!("[{n:0digits$}/{total}] "),
            (true, false) => format!("[{prefix} {n:0digits$}/{total}] "),
            (false, true) => String::new(),
            (false, false) => format!("[{prefix}] "),
        }
    };
    let file = |n: usize, title: &str| {
        if o.number_files {
            return n.to_string();
        }
        let version = o.reroll.as_ref().map(|v| format!("v{v}-")).unwrap_or_default();
        let mut name = format!("{version}{n:04}-{title}");
        name.truncate(64usize.saturating_sub(o.suffix.len() + 1).max(8));
        name + &o.suffix
    };
    let put_mail = |name: String, text: Vec<u8>| -> Res<()> {
        if o.stdout {
            put(&text);
            return Ok(());
        }
        let path = match &o.dir {
            Some(dir) => format!("{}/{name}", dir.trim_end_matches('/')),
            None => name,
        };
        fs::write(repo.cwd.join(&path), text)?;
        if !o.quiet {
            out!("{path}\n");
        }
        Ok(())
    };
    if o.cover {
        put_mail(file(0, "cover-letter"), cover(&repo, &o, &list, &mark(0))?)?;
    }
    let show = Show::new(&repo);
    for (at, oid) in list.iter().enumerate() {
        let commit = repo.odb.commit(oid)?;
        let title = bytes::text(&show.user(&repo, oid, &commit, "%f")?);
        let n = at + o.start;
        if o.stdout && !o.stat && at > 0 {
            put(b"\n");
        }
        put_mail(file(n, &title), one(&repo, &o, oid, &commit, &mark(n), &walk.paths)?)?;
    }
    Ok(0)
}

fn head(o: &Options, oid: &Oid, who: &crate::oid::Person, subject: &str, rest_is_ascii: bool) -> Vec<u8> {
    let oid = if o.zero { Oid::ZERO } else { *oid };
    let (name, email) = (bytes::text(&who.name), bytes::text(&who.email));
    let dates = date::Style { kind: date::Kind::Rfc, local: false };
    let mut text = format!(
        "From {oid} Mon Sep 17 00:00:00 2001\nFrom: {}\nDate: {}\nSubject: ",
        mail::person(&name, &email),
        dates.show(who.time, who.zone)
    );
    text += subject;
    text.push('\n');
    for header in &o.headers {
        text += header;
        text.push('\n');
    }
    if !rest_is_ascii {
        text +=
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n";
    }
    text.push('\n');
    text.into_bytes()
}

/// Changes as they are printed, in some of the forms.
fn shown(repo: &Repo, all: Vec<changes::Change>, options: &Diff) -> Res<Vec<u8>> {
    let (result, text) = captured(|| diffout::show(repo, all, options));
    result?;
    Ok(text)
}

fn stat(o: &Options) -> Diff {
    let mut options = o.diff.clone();
    (options.patch, options.stat, options.summary, options.style.color) = (false, true, true, false);
    options.stat_width.get_or_insert(72);
    options
}

fn one(repo: &Repo, o: &Options, oid: &Oid, commit: &Commit, mark: &str, spec: &Pathspec) -> Res<Vec<u8>> {
    let mut whole = commit.message.clone();
    if o.signoff {
        message::add_trailer(&mut whole, &[b"Signed-off-by: ", &repo.committer()?.ident()[..]].concat());
    }
    let commit = &Commit { message: whole, ..commit.clone() };
    let title = bytes::text(&commit.subject());
    let column = "Subject: ".len() + mark.len();
    let subject = if title.is_ascii() {
        format!("{mark}{}", mail::fold(&title, column))
    } else {
        format!("{mark}{}", mail::encode(&title, column, false))
    };
    let ascii = commit.message.is_ascii() && commit.author.name.is_ascii();
    let mut text = head(o, oid, &commit.author, subject.trim_end(), ascii);
    let body = commit.body();
    let body = body.trim_ascii_end();
    if !body.is_empty() {
        text.extend_from_slice(body);
        text.push(b'\n');
    }
    let old = match commit.parents.first() {
        Some(parent) => Some(repo.odb.commit(parent)?.tree),
        None => None,
    };
    let all = changes::trees(repo, old, Some(commit.tree), spec)?;
    if all.is_empty() {
        sign(o, &mut text);
        return Ok(text);
    }
    if o.stat {
        text.extend_from_slice(b"---\n");
        text.extend(shown(repo, all.clone(), &stat(o))?);
    }
    text.push(b'\n');
    let mut options = o.diff.clone();
    (options.patch, options.style.color) = (true, false);
    text.extend(shown(repo, all, &options)?);
    sign(o, &mut text);
    Ok(text)
}

fn sign(o: &Options, text: &mut Vec<u8>) {
    if let Some(signature) = o.signature.as_ref().filter(|s| !s.is_empty()) {
        text.extend(format!("-- \n{signature}\n\n").bytes());
    }
}

fn cover(repo: &Repo, o: &Options, list: &[Oid], mark: &str) -> Res<Vec<u8>> {
    let (Some(first), Some(last)) = (list.first(), list.last()) else { return Ok(Vec::new()) };
    let mut text = head(o, last, &repo.committer()?, &format!("{mark}*** SUBJECT HERE ***"), true);
    text.extend_from_slice(b"*** BLURB HERE ***\n\n");
    let mut by: Vec<(Vec<u8>, Vec<Vec<u8>>)> = Vec::new();
    for oid in list {
        let commit = repo.odb.commit(oid)?;
        match by.iter_mut().find(|b| b.0 == commit.author.name) {
            Some(group) => group.1.push(commit.subject()),
            None => by.push((commit.author.name.clone(), vec![commit.subject()])),
        }
    }
    by.sort();
    for (name, subjects) in by {
        text.extend(format!("{} ({}):\n", bytes::text(&name), subjects.len()).bytes());
        for subject in subjects {
            text.extend([b"  ", &subject[..], b"\n"].concat());
        }
        text.push(b'\n');
    }
    let old = match repo.odb.commit(first)?.parents.first() {
        Some(parent) => Some(repo.odb.commit(parent)?.tree),
        None => None,
    };
    let all = changes::trees(repo, old, Some(repo.odb.commit(last)?.tree), &Pathspec::default())?;
    text.extend(shown(repo, all, &stat(o))?);
    text.push(b'\n');
    sign(o, &mut text);
    Ok(text)
}
