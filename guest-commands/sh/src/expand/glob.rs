//! File name patterns: finds the paths that a field matches. It decides nothing about quoting.

use super::sink::Field;
use crate::pattern::{self, Rules};
use crate::shell::{Run, Shell};
use crate::symbols;

/// How many paths one pattern may become, and how deep `**` looks.
const MAX_PATHS: usize = 1_000_000;
const MAX_DEPTH: usize = 128;

#[derive(Clone, Copy)]
struct How {
    dotglob: bool,
    globstar: bool,
    /// `.` and `..` are never matched.
    skip_dots: bool,
    rules: Rules,
}

impl Shell {
    /// Adds the paths that a field matches, or the field itself if none does.
    pub(super) fn glob_field(&mut self, field: &Field, out: &mut Vec<String>) -> Run {
        let pattern = field.pattern();
        let ignore = self.vars.get(symbols::GLOBIGNORE).filter(|v| !v.is_empty()).map(|v| ignored(&v));
        let rules =
            Rules { nocase: self.shopts.nocaseglob, groups: self.shopts.extglob, bytes: self.bytes_count() };
        let how = How {
            dotglob: self.shopts.dotglob || ignore.is_some(),
            globstar: self.shopts.globstar,
            skip_dots: self.shopts.globskipdots || ignore.is_some(),
            rules,
        };
        let mut paths = expand(&pattern, how);
        if let Some(ignore) = ignore {
            paths.retain(|path| !ignore.iter().any(|p| matches_path(p, path, rules)));
        }
        if !paths.is_empty() {
            paths.sort_unstable();
            out.append(&mut paths);
        } else if self.shopts.failglob {
            return Err(self.give_up(&format!("no match: {}", field.to_text())));
        } else if !self.shopts.nullglob {
            out.push(field.to_text());
        }
        Ok(())
    }
}

/// The patterns of `GLOBIGNORE`: colons separate, but not within brackets.
fn ignored(value: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut bracket = false;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' if !bracket => {
                out.push(String::new());
                continue;
            }
            '[' => bracket = value.contains(']'),
            ']' => bracket = false,
            _ => {}
        }
        if let Some(last) = out.last_mut() {
            last.push(c);
            if c == '\\' {
                last.extend(chars.next());
            }
        }
    }
    out
}

/// Whether a path matches a pattern whose `*` stops at slashes.
fn matches_path(pattern: &str, path: &str, rules: Rules) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if pattern::matches(pattern, part, rules) => {}
            _ => return false,
        }
    }
}

fn expand(pattern: &str, how: How) -> Vec<String> {
    let (root, rest) = match pattern.trim_start_matches('/') {
        rest if rest.len() < pattern.len() => ("/".repeat(pattern.len() - rest.len()), rest),
        rest => (String::new(), rest),
    };
    let mut segments = segments(rest, how.rules.groups);
    if how.globstar {
        segments.dedup_by(|a, b| *a == "**" && *b == "**");
    }
    let mut out = Vec::new();
    walk(&root, &segments, how, &mut out, 0);
    out
}

/// The parts between slashes; a slash within an extended group parts nothing.
fn segments(pattern: &str, groups: bool) -> Vec<&str> {
    let b = pattern.as_bytes();
    let mut out = Vec::new();
    let (mut from, mut i, mut depth) = (0, 0, 0u32);
    while i < b.len() {
        match b[i] {
            b'\\' => i += 1,
            b'(' if groups && (depth > 0 || i > 0 && b"@?*+!".contains(&b[i - 1])) => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'/' if depth == 0 => {
                out.push(&pattern[from..i]);
                from = i + 1;
            }
            _ => {}
        }
        i += 1;
    }
    if depth > 0 {
        return pattern.split('/').collect();
    }
    out.push(&pattern[from..]);
    out
}

fn walk(base: &str, segments: &[&str], how: How, out: &mut Vec<String>, depth: usize) {
    let Some((segment, rest)) = segments.split_first() else { return };
    if out.len() >= MAX_PATHS || depth > MAX_DEPTH {
        return;
    }
    let last = rest.is_empty();
    if *segment == "**" && how.globstar {
        star_star(base, rest, how, out, depth);
        return;
    }
    if !special(segment, how.rules.groups) {
        let name = pattern::unquote(segment);
        let path = format!("{base}{name}");
        if last {
            if agentos_guest::fs::lstat(&*crate::text::os(if path.is_empty() { "." } else { &path })).is_ok()
            {
                out.push(path);
            }
        } else {
            walk(&format!("{path}/"), rest, how, out, depth + 1);
        }
        return;
    }
    for (name, _) in entries(base, !how.skip_dots) {
        if !visible(&name, segment, how) || !pattern::matches(segment, &name, how.rules) {
            continue;
        }
        let path = format!("{base}{name}");
        if last {
            out.push(path);
        } else if is_dir(&path) {
            walk(&format!("{path}/"), rest, how, out, depth + 1);
        }
    }
}

/// `**`: everything below, or with more to come what that matches in every directory below.
fn star_star(base: &str, rest: &[&str], how: How, out: &mut Vec<String>, depth: usize) {
    let directories = rest == [""];
    if !base.is_empty() && (rest.is_empty() || directories) {
        out.push(base.to_owned());
    }
    if !rest.is_empty() && !directories {
        walk(base, rest, how, out, depth + 1);
    }
    below(base, rest, how, out, depth);
}

fn below(base: &str, rest: &[&str], how: How, out: &mut Vec<String>, depth: usize) {
    if depth > MAX_DEPTH || out.len() >= MAX_PATHS {
        return;
    }
    let directories = rest == [""];
    for (name, dir) in entries(base, false) {
        if name.starts_with('.') && !how.dotglob {
            continue;
        }
        let path = format!("{base}{name}");
        if rest.is_empty() {
            out.push(path.clone());
        } else if directories && is_dir(&path) {
            out.push(format!("{path}/"));
        }
        // Symbolic links are not followed, so there are no cycles.
        if dir {
            let path = format!("{path}/");
            if !rest.is_empty() && !directories {
                walk(&path, rest, how, out, depth + 1);
            }
            below(&path, rest, how, out, depth + 1);
        }
    }
}

fn special(segment: &str, groups: bool) -> bool {
    let mut bytes = segment.bytes();
    let mut before = 0;
    while let Some(b) = bytes.next() {
        match b {
            b'\\' => drop(bytes.next()),
            b'*' | b'?' | b'[' => return true,
            b'(' if groups && matches!(before, b'@' | b'+' | b'!') => return true,
            _ => {}
        }
        before = b;
    }
    false
}

/// Whether a pattern may match a name by its first character: a dot wants a dot.
fn visible(name: &str, segment: &str, how: How) -> bool {
    if !name.starts_with('.') {
        return true;
    }
    let dot = |p: &str| p.starts_with('.') || p.starts_with("\\.");
    if name == "." || name == ".." {
        return dot(segment);
    }
    let group = || {
        how.rules.groups
            && segment.starts_with(['@', '?', '*', '+'])
            && segment[1..].strip_prefix('(').is_some_and(|inner| inner.split(['|', ')']).any(dot))
    };
    how.dotglob || dot(segment) || group()
}

/// Names in a directory, with whether each is one itself.
fn entries(base: &str, dots: bool) -> Vec<(String, bool)> {
    let dir = if base.is_empty() { "." } else { base };
    let Ok(list) = std::fs::read_dir(&*crate::text::os(dir)) else { return Vec::new() };
    let names = list
        .filter_map(Result::ok)
        .map(|e| (crate::text::from_os(e.file_name()), e.file_type().is_ok_and(|t| t.is_dir())))
        .filter(|(name, _)| name != "." && name != "..");
    let own = [".", ".."].map(|name| (name.to_owned(), true));
    own.into_iter().filter(|_| dots).chain(names).collect()
}

fn is_dir(path: &str) -> bool {
    use agentos_guest::fs::{FileType, file_type, stat};
    stat(&*crate::text::os(path)).is_ok_and(|s| file_type(s.mode) == FileType::Dir)
}
