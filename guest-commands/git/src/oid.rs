//! Names of objects (SHA-1), their kinds, and what is inside commits, trees and tags. It reads and writes no files.

use crate::error::{Res, Stop, fatal};
use sha1::{Digest as _, Sha1};
use std::fmt;

/// The name of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Oid(pub(crate) [u8; 20]);

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The tree without entries.
pub(crate) const EMPTY_TREE: Oid = Oid([
    0x4b, 0x82, 0x5d, 0xc6, 0x42, 0xcb, 0x6e, 0xb9, 0xa0, 0x60, 0xe5, 0x4b, 0xf8, 0xd6, 0x92, 0x88, 0xfb,
    0xee, 0x49, 0x04,
]);

impl Oid {
    /// The name that stands for nothing.
    pub(crate) const ZERO: Oid = Oid([0; 20]);

    /// 40 hexadecimal digits.
    pub(crate) fn parse(text: &[u8]) -> Option<Oid> {
        if text.len() != 40 {
            return None;
        }
        let mut oid = [0; 20];
        for (byte, pair) in oid.iter_mut().zip(text.chunks(2)) {
            let digit = |b: u8| (b as char).to_digit(16);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Some(Oid(oid))
    }

    /// 20 bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Oid> {
        Some(Oid(bytes.get(..20)?.try_into().ok()?))
    }

    pub(crate) fn is_zero(self) -> bool {
        self == Oid::ZERO
    }
}

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Commit => "commit",
            Kind::Tree => "tree",
            Kind::Blob => "blob",
            Kind::Tag => "tag",
        }
    }

    pub(crate) fn parse(name: &[u8]) -> Option<Kind> {
        [Kind::Commit, Kind::Tree, Kind::Blob, Kind::Tag].into_iter().find(|k| k.name().as_bytes() == name)
    }
}

/// The name of what has this kind and content.
pub(crate) fn hash_object(kind: Kind, data: &[u8]) -> Oid {
    let mut sha = Sha1::new();
    sha.update(format!("{} {}\0", kind.name(), data.len()));
    sha.update(data);
    Oid(sha.finalize().into())
}

/// SHA-1 of bytes.
pub(crate) fn sha1(data: &[u8]) -> [u8; 20] {
    Sha1::digest(data).into()
}

/// An entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeEntry {
    pub(crate) mode: u32,
    pub(crate) name: Vec<u8>,
    pub(crate) oid: Oid,
}

pub(crate) const MODE_DIR: u32 = 0o040_000;
pub(crate) const MODE_FILE: u32 = 0o100_644;
pub(crate) const MODE_EXEC: u32 = 0o100_755;
pub(crate) const MODE_LINK: u32 = 0o120_000;
pub(crate) const MODE_GITLINK: u32 = 0o160_000;

/// What a mode is the mode of, for listings.
pub(crate) fn kind_of_mode(mode: u32) -> Kind {
    match mode {
        MODE_DIR => Kind::Tree,
        MODE_GITLINK => Kind::Commit,
        _ => Kind::Blob,
    }
}

/// The entries of a tree object.
pub(crate) fn parse_tree(mut data: &[u8]) -> Res<Vec<TreeEntry>> {
    let mut entries = Vec::new();
    let broken = || Stop::Fatal("corrupt tree object".to_owned());
    while !data.is_empty() {
        let space = data.iter().position(|b| *b == b' ').ok_or_else(broken)?;
        let mode = std::str::from_utf8(&data[..space]).ok().and_then(|m| u32::from_str_radix(m, 8).ok());
        let mode = mode.ok_or_else(broken)?;
        let nul = data.iter().position(|b| *b == 0).filter(|n| *n > space).ok_or_else(broken)?;
        let oid = Oid::from_bytes(&data[nul + 1..]).ok_or_else(broken)?;
        entries.push(TreeEntry { mode, name: data[space + 1..nul].to_vec(), oid });
        data = &data[nul + 21..];
    }
    Ok(entries)
}

/// The order of entries in a tree: directories as if their names ended in a slash.
pub(crate) fn tree_order(a: (&[u8], bool), b: (&[u8], bool)) -> std::cmp::Ordering {
    let key =
        |(name, dir): (&[u8], bool), at: usize| name.get(at).copied().unwrap_or(if dir { b'/' } else { 0 });
    let same = a.0.len().min(b.0.len());
    a.0[..same].cmp(&b.0[..same]).then_with(|| key(a, same).cmp(&key(b, same)))
}

/// A tree object of these entries, which are sorted here.
pub(crate) fn write_tree(mut entries: Vec<TreeEntry>) -> Vec<u8> {
    entries.sort_by(|a, b| tree_order((&a.name, a.mode == MODE_DIR), (&b.name, b.mode == MODE_DIR)));
    let mut data = Vec::new();
    for entry in entries {
        data.extend(format!("{:o} ", entry.mode).bytes());
        data.extend(&entry.name);
        data.push(0);
        data.extend(entry.oid.0);
    }
    data
}

/// A person and a moment, as in `author` lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: Vec<u8>,
    pub(crate) email: Vec<u8>,
    /// Seconds since 1970.
    pub(crate) time: i64,
    /// Minutes east of Greenwich.
    pub(crate) zone: i32,
}

impl Person {
    /// `Name <mail> seconds +hhmm`; what is missing is empty.
    pub(crate) fn parse(line: &[u8]) -> Person {
        let Some(open) = line.iter().position(|b| *b == b'<') else {
            return Person { name: line.trim_ascii().to_vec(), ..Person::default() };
        };
        let close = line.iter().rposition(|b| *b == b'>').filter(|c| *c > open).unwrap_or(line.len());
        let rest = String::from_utf8_lossy(line.get(close + 1..).unwrap_or_default()).into_owned();
        let mut words = rest.split_ascii_whitespace();
        let time = words.next().and_then(|w| w.parse().ok()).unwrap_or(0);
        let zone = words.next().and_then(|w| w.parse::<i32>().ok()).unwrap_or(0);
        Person {
            name: line[..open].trim_ascii().to_vec(),
            email: line[open + 1..close].to_vec(),
            time,
            zone: zone / 100 * 60 + zone % 100,
        }
    }

    /// The form that objects have.
    pub(crate) fn line(&self) -> Vec<u8> {
        let mut line = self.ident();
        line.extend(format!(" {} {}", self.time, zone_text(self.zone)).bytes());
        line
    }

    /// `Name <mail>`
    pub(crate) fn ident(&self) -> Vec<u8> {
        [&self.name[..], b" <", &self.email, b">"].concat()
    }
}

/// `+hhmm`
pub(crate) fn zone_text(minutes: i32) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.unsigned_abs();
    format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
}

/// A commit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commit {
    pub(crate) tree: Oid,
    pub(crate) parents: Vec<Oid>,
    pub(crate) author: Person,
    pub(crate) committer: Person,
    /// Headers that are not known here (`encoding`, `gpgsig`), as they stand.
    pub(crate) extra: Vec<u8>,
    pub(crate) message: Vec<u8>,
}

impl Commit {
    pub(crate) fn parse(data: &[u8]) -> Res<Commit> {
        let mut commit = Commit::default();
        let mut rest = data;
        loop {
            let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            if line.is_empty() {
                break;
            }
            if let Some(hex) = line.strip_prefix(b"tree ") {
                commit.tree = Oid::parse(hex).ok_or_else(|| Stop::Fatal("bad tree in commit".into()))?;
            } else if let Some(hex) = line.strip_prefix(b"parent ") {
                commit
                    .parents
                    .push(Oid::parse(hex).ok_or_else(|| Stop::Fatal("bad parent in commit".into()))?);
            } else if let Some(who) = line.strip_prefix(b"author ") {
                commit.author = Person::parse(who);
            } else if let Some(who) = line.strip_prefix(b"committer ") {
                commit.committer = Person::parse(who);
            } else {
                commit.extra.extend_from_slice(line);
                commit.extra.push(b'\n');
            }
            if rest.is_empty() {
                break;
            }
        }
        commit.message = rest.to_vec();
        Ok(commit)
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut data = format!("tree {}\n", self.tree).into_bytes();
        for parent in &self.parents {
            data.extend(format!("parent {parent}\n").bytes());
        }
        data.extend([b"author ", &self.author.line()[..], b"\n"].concat());
        data.extend([b"committer ", &self.committer.line()[..], b"\n"].concat());
        data.extend(&self.extra);
        data.push(b'\n');
        data.extend(&self.message);
        data
    }

    /// The first paragraph on one line.
    pub(crate) fn subject(&self) -> Vec<u8> {
        subject(&self.message)
    }

    /// What follows the first paragraph.
    pub(crate) fn body(&self) -> &[u8] {
        let mut rest = skip_blank(&self.message);
        loop {
            let end = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |e| e + 1);
            if rest[..end].trim_ascii().is_empty() {
                return skip_blank(rest);
            }
            rest = &rest[end..];
        }
    }
}

/// Without the empty lines at the start.
pub(crate) fn skip_blank(mut text: &[u8]) -> &[u8] {
    while let Some(end) = text.iter().position(|b| *b == b'\n') {
        if !text[..end].trim_ascii().is_empty() {
            break;
        }
        text = &text[end + 1..];
    }
    text
}

/// The first paragraph of a message on one line.
pub(crate) fn subject(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in skip_blank(message).split(|b| *b == b'\n') {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            break;
        }
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(line);
    }
    out
}

/// An annotated tag.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    pub(crate) target: Oid,
    pub(crate) kind: Kind,
    pub(crate) name: Vec<u8>,
    pub(crate) tagger: Option<Person>,
    pub(crate) message: Vec<u8>,
}

impl Tag {
    pub(crate) fn parse(data: &[u8]) -> Res<Tag> {
        let mut tag = Tag {
            target: Oid::ZERO,
            kind: Kind::Commit,
            name: Vec::new(),
            tagger: None,
            message: Vec::new(),
        };
        let mut rest = data;
        while !rest.is_empty() {
            let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            if line.is_empty() {
                break;
            }
            if let Some(hex) = line.strip_prefix(b"object ") {
                tag.target = Oid::parse(hex).unwrap_or_default();
            } else if let Some(kind) = line.strip_prefix(b"type ") {
                tag.kind = Kind::parse(kind).unwrap_or(Kind::Commit);
            } else if let Some(name) = line.strip_prefix(b"tag ") {
                tag.name = name.to_vec();
            } else if let Some(who) = line.strip_prefix(b"tagger ") {
                tag.tagger = Some(Person::parse(who));
            }
        }
        if tag.target.is_zero() {
            fatal!("corrupt tag object");
        }
        tag.message = rest.to_vec();
        Ok(tag)
    }
}
