//! Pathspecs: which paths the arguments of a command mean. Paths are relative to the top of the work tree.

use crate::bytes;
use crate::error::{Res, fatal};
use crate::glob;

/// One argument.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// As it was given.
    pub(crate) original: Vec<u8>,
    /// From the top; without a slash at the end.
    pub(crate) path: Vec<u8>,
    exclude: bool,
    literal: bool,
    icase: bool,
    path_glob: bool,
    dir_only: bool,
}

/// All pathspecs of a command; none means everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pathspec {
    pub(crate) specs: Vec<Spec>,
}

impl Pathspec {
    /// Reads arguments that were given in the directory `prefix`. `root`: the absolute path of the work tree.
    pub(crate) fn new(arguments: &[Vec<u8>], prefix: &[u8], root: &[u8]) -> Res<Pathspec> {
        let mut specs = Vec::new();
        for argument in arguments {
            let mut spec = Spec {
                original: argument.clone(),
                path: Vec::new(),
                exclude: false,
                literal: std::env::var("GIT_LITERAL_PATHSPECS").is_ok_and(|v| v == "1"),
                icase: false,
                path_glob: false,
                dir_only: false,
            };
            let mut rest: &[u8] = argument;
            let mut top = false;
            if spec.literal {
            } else if let Some(long) = rest.strip_prefix(b":(") {
                let Some(end) = long.iter().position(|b| *b == b')') else {
                    fatal!("Missing ')' at the end of pathspec magic in '{}'", bytes::text(argument));
                };
                for word in long[..end].split(|b| *b == b',') {
                    match word {
                        b"" => {}
                        b"top" => top = true,
                        b"exclude" => spec.exclude = true,
                        b"literal" => spec.literal = true,
                        b"icase" => spec.icase = true,
                        b"glob" => spec.path_glob = true,
                        other => fatal!(
                            "Invalid pathspec magic '{}' in '{}'",
                            bytes::text(other),
                            bytes::text(argument)
                        ),
                    }
                }
                rest = &long[end + 1..];
            } else if rest.starts_with(b":") {
                rest = &rest[1..];
                while let Some(b) = rest.first() {
                    match b {
                        b'/' => top = true,
                        b'!' | b'^' => spec.exclude = true,
                        b':' => {
                            rest = &rest[1..];
                            break;
                        }
                        _ => break,
                    }
                    rest = &rest[1..];
                }
            } else if rest.is_empty() {
                fatal!(
                    "empty string is not a valid pathspec. please use . instead if you meant to match all paths"
                );
            }
            let base = if top { &b""[..] } else { prefix };
            let outside = || {
                crate::error::Stop::Fatal(format!(
                    "{0}: '{0}' is outside repository at '{1}'",
                    bytes::text(argument),
                    bytes::text(root)
                ))
            };
            if rest.starts_with(b"/") {
                let absolute = bytes::normalize(b"", rest).unwrap_or_default();
                let root = bytes::normalize(b"", root).unwrap_or_default();
                if !bytes::within(&absolute, &root) {
                    return Err(outside());
                }
                spec.path = absolute[root.len()..].strip_prefix(b"/").unwrap_or_default().to_vec();
            } else {
                spec.path = bytes::normalize(base, rest).ok_or_else(outside)?;
            }
            spec.dir_only = rest.ends_with(b"/");
            specs.push(spec);
        }
        Ok(Pathspec { specs })
    }

    /// Everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// Whether a path is meant; `hit` is told the place of the spec that means it.
    pub(crate) fn which(&self, path: &[u8]) -> Option<usize> {
        if self.specs.iter().any(|s| s.exclude && s.matches(path)) {
            return None;
        }
        if self.specs.iter().all(|s| s.exclude) {
            return Some(usize::MAX);
        }
        self.specs.iter().position(|s| !s.exclude && s.matches(path))
    }

    /// Whether a path is meant.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        self.specs.is_empty() || self.which(path).is_some()
    }

    /// Whether anything in a directory may be meant.
    pub(crate) fn may_be_below(&self, dir: &[u8]) -> bool {
        self.specs.is_empty()
            || self.specs.iter().all(|s| s.exclude)
            || self.specs.iter().filter(|s| !s.exclude).any(|s| {
                s.matches(dir)
                    || bytes::within(&s.path, dir)
                    || (s.pattern() && {
                        let fixed =
                            s.path.iter().position(|b| glob::is_pattern(&[*b])).unwrap_or(s.path.len());
                        let fixed = bytes::parent(&s.path[..fixed]);
                        bytes::within(dir, fixed) || bytes::within(fixed, dir)
                    })
            })
    }

    /// Specs (not exclusions) that have not been used; `used` is by place.
    pub(crate) fn unused<'a>(&'a self, used: &'a [bool]) -> impl Iterator<Item = &'a Spec> {
        self.specs
            .iter()
            .enumerate()
            .filter(|(at, s)| !s.exclude && !used.get(*at).copied().unwrap_or(false))
            .map(|(_, s)| s)
    }

    /// Marks all specs that mean a path.
    pub(crate) fn mark(&self, path: &[u8], used: &mut Vec<bool>) {
        used.resize(self.specs.len(), false);
        for (at, spec) in self.specs.iter().enumerate() {
            used[at] |= spec.matches(path);
        }
    }
}

impl Spec {
    fn pattern(&self) -> bool {
        !self.literal && glob::is_pattern(&self.path)
    }

    fn matches(&self, path: &[u8]) -> bool {
        if self.icase {
            let (p, s) = (path.to_ascii_lowercase(), self.path.to_ascii_lowercase());
            if bytes::within(&p, &s) {
                return true;
            }
        }
        if bytes::within(path, &self.path) {
            return !(self.dir_only && path == self.path) || is_dir(path);
        }
        self.pattern() && glob::matches(&self.path, path, self.path_glob, self.icase)
    }

    pub(crate) fn text(&self) -> String {
        bytes::text(&self.original)
    }
}

fn is_dir(path: &[u8]) -> bool {
    path.is_empty() || bytes::path(path).is_dir()
}
