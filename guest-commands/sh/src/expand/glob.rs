//! File name patterns: finds the paths that a field matches. It decides nothing about quoting.

use super::sink::Field;
use crate::pattern;
use crate::shell::{Flow, Run, Shell};

/// How many paths one pattern may become, and how deep `**` looks.
const MAX_PATHS: usize = 1_000_000;
const MAX_DEPTH: usize = 128;

#[derive(Clone, Copy)]
struct How {
    dotglob: bool,
    nocase: bool,
    globstar: bool,
}

impl Shell {
    /// Adds the paths that a field matches, or the field itself if none does.
    pub(super) fn glob_field(&mut self, field: &Field, out: &mut Vec<String>) -> Run {
        let pattern = field.pattern();
        let how = How {
            dotglob: self.shopts.dotglob,
            nocase: self.shopts.nocaseglob,
            globstar: self.shopts.globstar,
        };
        let mut paths = expand(&pattern, how);
        if !paths.is_empty() {
            paths.sort_unstable();
            out.append(&mut paths);
        } else if self.shopts.failglob {
            self.error(&format!("no match: {}", field.to_text()));
            self.status = 1;
            return Err(Flow::Discard);
        } else if !self.shopts.nullglob {
            out.push(field.to_text());
        }
        Ok(())
    }
}

fn expand(pattern: &str, how: How) -> Vec<String> {
    let (root, rest) = match pattern.trim_start_matches('/') {
        rest if rest.len() < pattern.len() => ("/".repeat(pattern.len() - rest.len()), rest),
        rest => (String::new(), rest),
    };
    let segments: Vec<&str> = rest.split('/').collect();
    let mut out = Vec::new();
    walk(&root, &segments, how, &mut out, 0);
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
    if !special(segment) {
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
    for (name, _) in entries(base) {
        if !visible(&name, segment, how) || !pattern::matches(segment, &name, how.nocase) {
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

fn star_star(base: &str, rest: &[&str], how: How, out: &mut Vec<String>, depth: usize) {
    if rest.is_empty() && !base.is_empty() && depth == 0 {
        out.push(base.to_owned());
    }
    if !rest.is_empty() {
        walk(base, rest, how, out, depth + 1);
    }
    if depth > MAX_DEPTH {
        return;
    }
    for (name, dir) in entries(base) {
        if name.starts_with('.') && !how.dotglob {
            continue;
        }
        let path = format!("{base}{name}");
        if rest.is_empty() && out.len() < MAX_PATHS {
            out.push(path.clone());
        }
        // Symbolic links are not followed, so there are no cycles.
        if dir {
            star_star(&format!("{path}/"), rest, how, out, depth + 1);
        }
    }
}

fn special(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'\\' => drop(bytes.next()),
            b'*' | b'?' | b'[' | b'(' => return true,
            _ => {}
        }
    }
    false
}

fn visible(name: &str, segment: &str, how: How) -> bool {
    !name.starts_with('.') || segment.starts_with('.') || segment.starts_with("\\.") || how.dotglob
}

/// Names in a directory, with whether each is one itself.
fn entries(base: &str) -> Vec<(String, bool)> {
    let dir = if base.is_empty() { "." } else { base };
    let Ok(list) = std::fs::read_dir(&*crate::text::os(dir)) else { return Vec::new() };
    list.filter_map(Result::ok)
        .map(|e| (crate::text::from_os(e.file_name()), e.file_type().is_ok_and(|t| t.is_dir())))
        .filter(|(name, _)| name != "." && name != "..")
        .collect()
}

fn is_dir(path: &str) -> bool {
    use agentos_guest::fs::{FileType, file_type, stat};
    stat(&*crate::text::os(path)).is_ok_and(|s| file_type(s.mode) == FileType::Dir)
}
