//! The text of a patch: finds where the next diff begins, of what kind it is and which names it has. It opens no file but
//! the patch, and leaves the hunks to `hunk`.

use super::names;

/// How a diff is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unified,
    Context,
    Normal,
    /// Only the headings of git: a new mode, a rename, an empty file.
    Headings,
    /// A binary diff of git.
    Binary,
}

impl Kind {
    /// What `--verbose` calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Unified => "a unified diff",
            Kind::Context => "a new-style context diff",
            Kind::Normal => "a normal diff",
            Kind::Headings | Kind::Binary => "a git binary diff",
        }
    }
}

/// A file name in a heading.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    pub(super) name: Option<Vec<u8>>,
    /// What follows the name, from the tab on.
    pub(super) stamp: Vec<u8>,
    /// The file does not exist: its name is `/dev/null`, or its time is the beginning of time.
    pub(super) never: bool,
}

/// What git says of a file before its hunks.
#[derive(Clone, Debug, Default)]
pub(super) struct Git {
    pub(super) old_mode: Option<u32>,
    pub(super) new_mode: Option<u32>,
    pub(super) renamed: bool,
    pub(super) copied: bool,
    pub(super) created: bool,
    pub(super) deleted: bool,
    /// The file is a symbolic link, its content what it points to.
    pub(super) link: bool,
    binary: bool,
    /// There was any such line.
    extended: bool,
}

/// The head of a diff.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) old: Side,
    pub(super) new: Side,
    pub(super) index: Option<Vec<u8>>,
    pub(super) git: Option<Git>,
    /// How far each side is absent: 0 not, 1 it is empty, 2 it does not exist.
    pub(super) absent: [u8; 2],
    /// The line where the text before it begins, and that of the first hunk.
    pub(super) lines: (usize, usize),
    /// Lines end in CR LF, as something made of the patch on its way.
    pub(super) crlf: bool,
}

/// The lines of a patch and how far they are read.
pub(super) struct Reader<'a> {
    lines: Vec<&'a [u8]>,
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Reader<'a> {
        Reader { lines: text.split_inclusive(|b| *b == b'\n').collect(), at: 0 }
    }

    /// The line at `i` with its end.
    pub(super) fn line(&self, i: usize) -> Option<&'a [u8]> {
        self.lines.get(i).copied()
    }

    /// Whether nothing is left.
    pub(super) fn is_done(&self) -> bool {
        self.at >= self.lines.len()
    }

    /// The head of the next diff; the reader then stands at its first hunk. `forced` is the kind asked for; a
    /// normal diff needs a file that is named elsewhere.
    pub(super) fn header(&mut self, forced: Option<Kind>, has_file: bool) -> Option<Header> {
        let start = self.at;
        let (mut stars, mut dashes, mut plusses) = (None, None, None);
        let (mut index, mut git): (Option<Vec<u8>>, Option<Git>) = (None, None);
        let mut git_names = (Side::default(), Side::default());
        let allowed = |kind: Kind| forced.is_none_or(|f| f == kind);
        for i in start..=self.lines.len() {
            let raw = self.lines.get(i).copied();
            let line = raw.map_or(&b""[..], bare);
            let ends = raw.is_none() || line.starts_with(b"diff --git ");
            if ends && let Some(found) = git.take_if(|g| g.extended) {
                self.at = i;
                let kind = if found.binary { Kind::Binary } else { Kind::Headings };
                let absent = [2 * u8::from(found.created), 2 * u8::from(found.deleted)];
                let (old, new) = git_names;
                let lines = (start, i);
                return Some(Header { kind, old, new, index, git: Some(found), absent, lines, crlf: false });
            }
            let raw = raw?;
            let kind = if line.starts_with(b"@@ -") && allowed(Kind::Unified) {
                Some(Kind::Unified)
            } else if line.starts_with(b"********")
                && self.line(i + 1).is_some_and(|l| l.starts_with(b"*** "))
                && allowed(Kind::Context)
            {
                Some(Kind::Context)
            } else if (has_file || index.is_some())
                && allowed(Kind::Normal)
                && super::hunk::normal_range(line).is_some()
                && self.line(i + 1).is_some_and(|l| l.starts_with(b"< ") || l.starts_with(b"> "))
            {
                Some(Kind::Normal)
            } else {
                None
            };
            if let Some(kind) = kind {
                self.at = i;
                let (old, new) = match kind {
                    Kind::Context => (stars, dashes),
                    _ => (dashes, plusses),
                };
                let (mut old, mut new): (Side, Side) = (old.unwrap_or_default(), new.unwrap_or_default());
                if git.is_some() {
                    for (side, other) in [(&mut old, git_names.0), (&mut new, git_names.1)] {
                        if side.name.is_none() && !side.never {
                            *side = other;
                        }
                    }
                }
                let absent = self.absent(kind, i, &old, &new);
                let crlf = raw.ends_with(b"\r\n");
                return Some(Header { kind, old, new, index, git, absent, lines: (start, i), crlf });
            }
            if let Some(rest) = line.strip_prefix(b"*** ") {
                stars = Some(side(rest));
            } else if let Some(rest) = line.strip_prefix(b"--- ") {
                dashes = Some(side(rest));
            } else if let Some(rest) = line.strip_prefix(b"+++ ") {
                plusses = Some(side(rest));
            } else if let Some(rest) = line.strip_prefix(b"Index: ") {
                index = side(rest).name;
            } else if let Some(rest) = line.strip_prefix(b"diff --git ") {
                git_names = names::pair(rest).map_or_else(Default::default, |(a, b)| (named(a), named(b)));
                (stars, dashes, plusses, git) = (None, None, None, Some(Git::default()));
            } else if let Some(git) = &mut git {
                git.heading(line, &mut git_names);
            }
        }
        None
    }

    /// How far the sides of a diff are absent, as its first hunk tells.
    fn absent(&self, kind: Kind, at: usize, old: &Side, new: &Side) -> [u8; 2] {
        let starts = match kind {
            Kind::Unified => {
                self.line(at).and_then(|l| super::hunk::unified_range(bare(l))).map(|r| (r[0], r[2]))
            }
            Kind::Context => {
                let first = self.line(at + 1).and_then(|l| super::hunk::context_range(bare(l), b"*** "));
                let mut rest = (at + 2..self.lines.len()).map(|i| bare(self.lines[i]));
                let second = rest.find_map(|l| super::hunk::context_range(l, b"--- "));
                first.zip(second).map(|(a, b)| (a.0, b.0))
            }
            _ => None,
        };
        let Some((a, b)) = starts else { return [0, 0] };
        let level = |start: usize, never: bool| if start == 0 { 1 + u8::from(never) } else { 0 };
        [level(a, old.never), level(b, new.never)]
    }
}

impl Git {
    fn heading(&mut self, line: &[u8], sides: &mut (Side, Side)) {
        let text = |key: &str| line.strip_prefix(key.as_bytes());
        let mode = |rest: &[u8]| u32::from_str_radix(std::str::from_utf8(rest).ok()?.trim(), 8).ok();
        let is_link = |mode: Option<u32>| mode.is_some_and(|m| m & 0o170_000 == 0o120_000);
        if let Some(rest) = text("index ") {
            self.link |= rest.ends_with(b" 120000");
            return;
        }
        let prefixed = |rest: &[u8]| named([b"a/", &names::unquoted(rest)[..]].concat());
        if let Some(rest) = text("old mode ") {
            self.old_mode = mode(rest);
        } else if let Some(rest) = text("new mode ") {
            self.new_mode = mode(rest);
        } else if let Some(rest) = text("new file mode ") {
            (self.new_mode, self.created) = (mode(rest), true);
        } else if let Some(rest) = text("deleted file mode ") {
            (self.old_mode, self.deleted) = (mode(rest), true);
        } else if let Some(rest) = text("rename from ") {
            (sides.0, self.renamed) = (prefixed(rest), true);
        } else if let Some(rest) = text("rename to ") {
            sides.1 = prefixed(rest);
        } else if let Some(rest) = text("copy from ") {
            (sides.0, self.copied) = (prefixed(rest), true);
        } else if let Some(rest) = text("copy to ") {
            sides.1 = prefixed(rest);
        } else if line == b"GIT binary patch" {
            self.binary = true;
        } else {
            return;
        }
        self.link |= is_link(self.old_mode) || is_link(self.new_mode);
        self.extended = true;
    }
}

fn named(name: Vec<u8>) -> Side {
    Side { name: Some(name), ..Side::default() }
}

/// A line without its end.
pub(super) fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The name in a heading, and its time. A name with blanks is only taken whole before a tab, or in quotes.
fn side(rest: &[u8]) -> Side {
    let end = if rest.starts_with(b"\"") {
        names::end_of_quoted(rest)
    } else {
        let tab = rest.iter().position(|b| *b == b'\t');
        tab.or_else(|| rest.iter().position(u8::is_ascii_whitespace)).unwrap_or(rest.len())
    };
    let (name, stamp) = rest.split_at(end);
    let name = names::unquoted(name);
    let never = name == b"/dev/null" || is_epoch(stamp);
    Side { name: (name != b"/dev/null" && !name.is_empty()).then_some(name), stamp: stamp.to_vec(), never }
}

/// Whether a time, as diff writes it, is the first second of 1970: diff's mark of a file that does not exist.
fn is_epoch(stamp: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stamp);
    let words: Vec<&str> = text.split_whitespace().collect();
    let [day, time, rest @ ..] = &words[..] else { return false };
    let (hms, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let parts: Vec<i64> = hms.split(':').filter_map(|p| p.parse().ok()).collect();
    let [h, m, s] = parts[..] else { return false };
    let Some(zone) = rest.first().map_or(Some(0), |z| z.parse::<i64>().ok()) else { return false };
    let offset = zone / 100 * 60 + zone % 100;
    let day = match *day {
        "1970-01-01" => 0,
        "1969-12-31" => -1440,
        _ => return false,
    };
    day + h.saturating_mul(60).saturating_add(m) == offset && s == 0 && fraction.bytes().all(|b| b == b'0')
}
