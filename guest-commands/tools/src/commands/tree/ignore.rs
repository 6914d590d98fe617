//! Patterns of `.gitignore` files: which paths below a directory they name. It does not know git's own exclude files.

use crate::glob;

struct Pattern {
    parts: Vec<Vec<u8>>,
    negated: bool,
    dirs_only: bool,
    anchored: bool,
}

/// The patterns of one directory's file.
pub(super) struct Rules(Vec<Pattern>);

impl Rules {
    /// Reads the file of a directory, if there is one.
    pub(super) fn read(dir: &std::ffi::OsStr) -> Option<Rules> {
        let path = crate::os::join(dir, std::ffi::OsStr::new(".gitignore"));
        let text = std::fs::read(path).ok()?;
        Some(Rules(text.split(|b| *b == b'\n').filter_map(parse).collect()))
    }

    /// Whether the path, in parts below the directory of the file, is ignored; `None`: no pattern is about it.
    pub(super) fn ignores(&self, path: &[&[u8]], is_dir: bool) -> Option<bool> {
        self.0.iter().rev().find(|p| p.matches(path, is_dir)).map(|p| !p.negated)
    }
}

fn parse(line: &[u8]) -> Option<Pattern> {
    let line = line.trim_ascii_end();
    if line.is_empty() || line[0] == b'#' {
        return None;
    }
    let (negated, line) = line.strip_prefix(b"!").map_or((false, line), |rest| (true, rest));
    let (dirs_only, line) = line.strip_suffix(b"/").map_or((false, line), |rest| (true, rest));
    let anchored = line.contains(&b'/');
    let line = line.strip_prefix(b"/").unwrap_or(line);
    let parts = line.split(|b| *b == b'/').map(<[u8]>::to_vec).collect();
    Some(Pattern { parts, negated, dirs_only, anchored })
}

impl Pattern {
    fn matches(&self, path: &[&[u8]], is_dir: bool) -> bool {
        if self.dirs_only && !is_dir {
            return false;
        }
        if self.anchored {
            return parts_match(&self.parts, path);
        }
        path.last().is_some_and(|name| glob::matches(&self.parts[0], name, false))
    }
}

/// `**` stands for any number of parts. Linear in memory, no recursion: only the last `**` is tried again.
fn parts_match(pattern: &[Vec<u8>], path: &[&[u8]]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == b"**" {
            retry = Some((p + 1, n));
            p += 1;
        } else if p < pattern.len() && n < path.len() && glob::matches(&pattern[p], path[n], false) {
            p += 1;
            n += 1;
        } else if p == pattern.len() && n == path.len() {
            return true;
        } else {
            match &mut retry {
                Some((after, from)) if *from < path.len() => {
                    *from += 1;
                    (p, n) = (*after, *from);
                }
                _ => return false,
            }
        }
    }
}
