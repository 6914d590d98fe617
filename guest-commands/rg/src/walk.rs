//! Which files are searched: the walk of directories with ignore files, globs and types, sorted by path.

use crate::io_text;
use crate::options::Options;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::overrides::OverrideBuilder;
use ignore::types::{Types, TypesBuilder};
use ignore::{DirEntry, Walk, WalkBuilder};
use std::path::{Path, PathBuf};

/// Files to be searched, one after another.
pub(crate) struct Files<'o> {
    options: &'o Options,
    walk: std::vec::IntoIter<Root>,
    current: Option<Walk>,
    /// Whether something could not be read.
    pub(crate) failed: bool,
}

enum Root {
    Stdin,
    Walk(Box<Walk>),
}

/// A file to be searched.
pub(crate) struct Found {
    /// As it is shown.
    pub(crate) path: PathBuf,
    /// Named on the command line.
    pub(crate) explicit: bool,
    pub(crate) stdin: bool,
}

/// The file types, with the changes of the command line.
pub(crate) fn types(options: &Options, select: bool) -> Result<Types, String> {
    let mut builder = TypesBuilder::new();
    builder.add_defaults();
    for (what, value) in &options.types {
        match *what {
            "add" => builder.add_def(value).map_err(|e| e.to_string())?,
            "clear" => {
                builder.clear(value);
            }
            "select" if select => {
                builder.select(value);
            }
            "negate" if select => {
                builder.negate(value);
            }
            _ => {}
        }
    }
    builder.build().map_err(|e| e.to_string())
}

impl<'o> Files<'o> {
    /// Prepares the walks.
    pub(crate) fn new(options: &'o Options) -> Result<Self, String> {
        let types = types(options, true)?;
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let mut overrides = OverrideBuilder::new(&cwd);
        let wrong = |e: ignore::Error| e.to_string();
        overrides.case_insensitive(options.glob_case_insensitive).map_err(wrong)?;
        for glob in &options.globs {
            overrides.add(glob).map_err(wrong)?;
        }
        overrides.case_insensitive(true).map_err(wrong)?;
        for glob in &options.iglobs {
            overrides.add(glob).map_err(wrong)?;
        }
        let overrides = overrides.build().map_err(wrong)?;
        let mut roots = Vec::new();
        for path in &options.paths {
            if path.as_os_str() == "-" {
                roots.push(Root::Stdin);
                continue;
            }
            let mut builder = WalkBuilder::new(path);
            if !options.no_ignore_files {
                for file in &options.ignore_files {
                    if let Some(e) = builder.add_ignore(file)
                        && !options.no_messages
                        && !options.no_ignore_messages
                    {
                        eprintln!("{}", describe(&e));
                    }
                }
            }
            builder
                .hidden(!options.hidden)
                // Those above are looked for here: the crate needs the real path of a file, which WASI does not tell.
                .parents(false)
                .ignore(!options.no_ignore_dot)
                .git_ignore(!options.no_ignore_vcs)
                .git_exclude(!options.no_ignore_vcs && !options.no_ignore_exclude)
                .git_global(!options.no_ignore_vcs && !options.no_ignore_global)
                .require_git(!options.no_require_git)
                .ignore_case_insensitive(options.ignore_file_case_insensitive)
                .follow_links(options.follow)
                .max_depth(options.max_depth)
                .max_filesize(options.max_filesize)
                .overrides(overrides.clone())
                .types(types.clone());
            if !options.no_ignore_dot {
                builder.add_custom_ignore_filename(".rgignore");
            }
            if options.reverse {
                builder.sort_by_file_name(|a, b| b.cmp(a));
            } else {
                builder.sort_by_file_name(Ord::cmp);
            }
            let above = if options.no_ignore_parent { Vec::new() } else { above(&cwd.join(path), options) };
            // walkdir knows no devices on wasip1.
            let device = if options.one_file_system { device(path) } else { None };
            if !above.is_empty() || device.is_some() {
                // What is asked for by a glob is searched whatever ignore files say.
                let by_glob = overrides.num_whitelists() > 0;
                let root = cwd.clone();
                builder.filter_entry(move |entry| {
                    let elsewhere = || {
                        device.is_some()
                            && entry.file_type().is_some_and(|kind| kind.is_dir())
                            && self::device(entry.path()) != device
                    };
                    entry.depth() == 0 || !((!by_glob && ignored(entry, &root, &above)) || elsewhere())
                });
            }
            roots.push(Root::Walk(Box::new(builder.build())));
        }
        Ok(Files { options, walk: roots.into_iter(), current: None, failed: false })
    }

    fn complain(&mut self, text: &str) {
        self.failed = true;
        if !self.options.no_messages {
            eprintln!("{text}");
        }
    }

    fn wanted(&mut self, entry: &DirEntry) -> Option<Found> {
        if let Some(e) = entry.error()
            && !self.options.no_messages
            && !self.options.no_ignore_messages
        {
            eprintln!("{}", describe(e));
        }
        let explicit = entry.depth() == 0;
        let is_file = if explicit {
            // A link on the command line is followed, and devices and pipes are read too.
            std::fs::metadata(entry.path()).is_ok_and(|m| !m.is_dir())
        } else {
            entry.file_type().is_some_and(|t| t.is_file())
        };
        if !is_file {
            return None;
        }
        let path = entry.path();
        let path = if self.options.default_path { path.strip_prefix("./").unwrap_or(path) } else { path };
        Some(Found { path: path.to_path_buf(), explicit, stdin: false })
    }
}

impl Iterator for Files<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let Some(walk) = &mut self.current else {
                match self.walk.next()? {
                    Root::Stdin => {
                        return Some(Found { path: PathBuf::from("<stdin>"), explicit: true, stdin: true });
                    }
                    Root::Walk(walk) => self.current = Some(*walk),
                }
                continue;
            };
            match walk.next() {
                None => self.current = None,
                Some(Ok(entry)) => {
                    if let Some(found) = self.wanted(&entry) {
                        return Some(found);
                    }
                    if self.options.debug
                        && entry.depth() > 0
                        && entry.file_type().is_some_and(|t| t.is_symlink())
                    {
                        eprintln!("DEBUG|rg|ignoring {}: symbolic link", entry.path().display());
                    }
                }
                Some(Err(e)) => {
                    let text = describe(&e);
                    self.complain(&text);
                }
            }
        }
    }
}

/// The device that a path leads to.
fn device(path: &Path) -> Option<u64> {
    agentos_guest::fs::stat(path).ok().map(|stat| stat.dev)
}

/// The ignore files of the directories above a path, the nearest first.
fn above(start: &Path, options: &Options) -> Vec<Gitignore> {
    let start = normal(start);
    let repository = start.ancestors().find(|dir| dir.join(".git").exists()).map(Path::to_path_buf);
    let mut found = Vec::new();
    for dir in start.ancestors().skip(1) {
        let mut builder = GitignoreBuilder::new(dir);
        let _ = builder.case_insensitive(options.ignore_file_case_insensitive);
        let mut any = false;
        let mut add = |name: &str| {
            let file = dir.join(name);
            if file.is_file() {
                // What is wrong in it is said where it is walked.
                let _ = builder.add(file);
                any = true;
            }
        };
        // Rules of git hold up to the root of the repository.
        let in_repository = repository.as_ref().is_some_and(|root| dir.starts_with(root));
        if !options.no_ignore_vcs && (in_repository || options.no_require_git) {
            add(".gitignore");
            if dir.join(".git").exists() && !options.no_ignore_exclude {
                add(".git/info/exclude");
            }
        }
        if !options.no_ignore_dot {
            add(".ignore");
            add(".rgignore");
        }
        if any && let Ok(rules) = builder.build() {
            found.push(rules);
        }
    }
    found
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

fn ignored(entry: &DirEntry, cwd: &Path, above: &[Gitignore]) -> bool {
    let path = normal(&cwd.join(entry.path()));
    let is_dir = entry.file_type().is_some_and(|t| t.is_dir());
    for rules in above {
        let found = rules.matched(&path, is_dir);
        if !found.is_none() {
            return found.is_ignore();
        }
    }
    false
}

/// An error of the walk in ripgrep's words.
fn describe(error: &ignore::Error) -> String {
    match error {
        ignore::Error::WithPath { path, err } => format!("{}: {}", path.display(), describe(err)),
        ignore::Error::WithDepth { err, .. } => describe(err),
        ignore::Error::Io(e) => match e.get_ref() {
            // walkdir wraps the error of the system in a text of its own.
            Some(inner) => {
                let mut source: Option<&(dyn std::error::Error + 'static)> = Some(inner);
                while let Some(at) = source {
                    if let Some(io) = at.downcast_ref::<std::io::Error>() {
                        return io_text(io);
                    }
                    source = at.source();
                }
                io_text(e)
            }
            None => io_text(e),
        },
        other => other.to_string(),
    }
}
