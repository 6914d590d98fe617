//! The colours of `ls`: GNU's defaults, what `LS_COLORS` changes of them, and which of them a file gets. It writes nothing.

use crate::context::Cx;
use crate::glob;
use crate::os::os;
use crate::quote::quote;
use agentos_guest::fs::{FileType, file_type};

/// The terminals that have colours, as patterns of `TERM`.
const TERMINALS: &[&str] = &[
    "Eterm",
    "ansi",
    "*color*",
    "con[0-9]*x[0-9]*",
    "cons25",
    "console",
    "cygwin",
    "*direct*",
    "dtterm",
    "gnome",
    "hurd",
    "jfbterm",
    "konsole",
    "kterm",
    "linux",
    "linux-c",
    "mlterm",
    "putty",
    "rxvt*",
    "screen*",
    "st",
    "terminator",
    "tmux*",
    "vt100",
    "xterm*",
];
/// What is coloured, by the letters that `LS_COLORS` has for it, and GNU's colours.
const DEFAULTS: &[(&[u8; 2], &[u8])] = &[
    (b"lc", b"\x1b["),
    (b"rc", b"m"),
    (b"ec", b""),
    (b"rs", b"0"),
    (b"no", b""),
    (b"fi", b""),
    (b"di", b"01;34"),
    (b"ln", b"01;36"),
    (b"pi", b"33"),
    (b"so", b"01;35"),
    (b"bd", b"01;33"),
    (b"cd", b"01;33"),
    (b"mi", b""),
    (b"or", b""),
    (b"ex", b"01;32"),
    (b"do", b"01;35"),
    (b"su", b"37;41"),
    (b"sg", b"30;43"),
    (b"st", b"37;44"),
    (b"ow", b"34;42"),
    (b"tw", b"30;42"),
    (b"ca", b"30;41"),
    (b"mh", b""),
    (b"cl", b"\x1b[K"),
];

pub(super) struct Colors {
    kinds: Vec<(&'static [u8; 2], Vec<u8>)>,
    /// By the end of a name; a later one counts before an earlier one.
    ends: Vec<(Vec<u8>, Vec<u8>)>,
    /// Links are coloured as what they lead to.
    pub(super) as_target: bool,
}

impl Colors {
    /// The colours of the environment; none if the terminal has none, or `LS_COLORS` cannot be read, which is said.
    pub(super) fn new(cx: &mut Cx) -> Option<Colors> {
        let text = std::env::var_os("LS_COLORS").map(|v| v.into_encoded_bytes()).unwrap_or_default();
        let kinds = DEFAULTS.iter().map(|(key, value)| (*key, value.to_vec())).collect();
        let mut colors = Colors { kinds, ends: Vec::new(), as_target: false };
        if text.is_empty() {
            let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
            let known = |term: &[u8]| TERMINALS.iter().any(|t| glob::matches(t.as_bytes(), term, false));
            let has = set("COLORTERM").is_some() || set("TERM").is_some_and(|t| known(t.as_encoded_bytes()));
            return has.then_some(colors);
        }
        if let Err(prefix) = colors.read(&text) {
            if let Some(prefix) = prefix {
                cx.say(format_args!("unrecognized prefix: {}", quote(os(&prefix))));
            }
            cx.say("unparsable value for LS_COLORS environment variable");
            return None;
        }
        colors.as_target = colors.kind(b"ln") == b"target";
        Some(colors)
    }

    /// The error is a key of two letters that is none.
    fn read(&mut self, text: &[u8]) -> Result<(), Option<Vec<u8>>> {
        let mut rest = text;
        while let Some(first) = rest.first() {
            match first {
                b':' => rest = &rest[1..],
                b'*' => {
                    let (end, after) = unescape(&rest[1..], true).ok_or(None)?;
                    let after = after.strip_prefix(b"=").ok_or(None)?;
                    let (value, after) = unescape(after, false).ok_or(None)?;
                    self.ends.push((end, value));
                    rest = after;
                }
                _ => {
                    let [a, b, b'=', after @ ..] = rest else { return Err(None) };
                    let (value, after) = unescape(after, false).ok_or(None)?;
                    let known = self.kinds.iter_mut().find(|(key, _)| *key == &[*a, *b]);
                    known.ok_or_else(|| Some(vec![*a, *b]))?.1 = value;
                    rest = after;
                }
            }
        }
        Ok(())
    }

    pub(super) fn kind(&self, key: &[u8; 2]) -> &[u8] {
        self.kinds.iter().find(|(k, _)| *k == key).map_or(&[], |(_, value)| value)
    }

    /// Whether it has a colour of its own.
    pub(super) fn is_set(&self, key: &[u8; 2]) -> bool {
        !matches!(self.kind(key), b"" | b"0" | b"00")
    }

    /// Whether modes and link counts are asked for.
    pub(super) fn looks(&self) -> bool {
        [b"ex", b"su", b"sg", b"st", b"ow", b"tw", b"mh", b"or"].iter().any(|key| self.is_set(key))
    }

    /// Whether links are followed for the colour.
    pub(super) fn follows(&self, long: bool) -> bool {
        self.is_set(b"or") || self.as_target || (long && self.is_set(b"mi"))
    }

    /// The colour of a file, if it has one. `leads` is whether a link leads somewhere, `None` if nothing is there at all.
    pub(super) fn of(
        &self,
        name: &[u8],
        kind: Option<FileType>,
        mode: Option<u32>,
        links: u64,
        leads: Option<bool>,
    ) -> Option<&[u8]> {
        let has = |bits: u32| mode.is_some_and(|mode| mode & bits != 0);
        let set = |key: &[u8; 2]| self.is_set(key);
        let kind = mode.map_or(kind, |mode| Some(file_type(mode)));
        let mut key = if leads.is_none() && set(b"mi") {
            b"mi"
        } else {
            match kind {
                Some(FileType::File) if has(0o4000) && set(b"su") => b"su",
                Some(FileType::File) if has(0o2000) && set(b"sg") => b"sg",
                Some(FileType::File) if has(0o111) && set(b"ex") => b"ex",
                Some(FileType::File) if links > 1 && set(b"mh") => b"mh",
                Some(FileType::File) => b"fi",
                Some(FileType::Dir) if has(0o1000) && has(0o002) && set(b"tw") => b"tw",
                Some(FileType::Dir) if has(0o002) && set(b"ow") => b"ow",
                Some(FileType::Dir) if has(0o1000) && set(b"st") => b"st",
                Some(FileType::Dir) => b"di",
                Some(FileType::Symlink) => b"ln",
                Some(FileType::Fifo) => b"pi",
                Some(FileType::Socket) => b"so",
                Some(FileType::BlockDevice) => b"bd",
                Some(FileType::CharDevice) => b"cd",
                _ => b"or",
            }
        };
        if key == b"fi" {
            let folds = |end: &[u8]| {
                name.len() >= end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end)
            };
            if let Some((_, value)) = self.ends.iter().rev().find(|(end, _)| folds(end)) {
                return Some(value);
            }
        }
        if key == b"ln" && leads == Some(false) && (self.as_target || set(b"or")) {
            key = b"or";
        }
        Some(self.kind(key)).filter(|value| !value.is_empty())
    }
}

/// A value up to a colon, or with `key` up to `=`, with its escapes replaced; and what comes then.
fn unescape(text: &[u8], key: bool) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::new();
    let mut i = 0;
    while let Some(b) = text.get(i) {
        i += 1;
        match b {
            b':' => return Some((out, &text[i - 1..])),
            b'=' if key => return Some((out, &text[i - 1..])),
            b'^' => {
                let c = *text.get(i)?;
                i += 1;
                out.push(if c == b'?' { 0x7f } else { c & 0x1f });
            }
            b'\\' => {
                let c = *text.get(i)?;
                i += 1;
                out.push(match c {
                    b'a' => 7,
                    b'b' => 8,
                    b'e' => 0x1b,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'v' => 11,
                    b'?' => 0x7f,
                    b'_' => b' ',
                    b'0'..=b'7' => {
                        let mut value = u32::from(c - b'0');
                        while let Some(d @ b'0'..=b'7') = text.get(i) {
                            value = (value << 3 | u32::from(d - b'0')) & 0xff;
                            i += 1;
                        }
                        value as u8
                    }
                    c => c,
                });
            }
            b => out.push(*b),
        }
    }
    Some((out, &[]))
}
