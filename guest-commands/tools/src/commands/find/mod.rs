//! `find`: walks trees and evaluates an expression on every file. It knows no locale of its own.

mod eval;
mod format;
mod parse;

use crate::context::{Cx, End, Outcome};
use crate::os::{OsStrExt, base_name, os};
use crate::quote::quote;
use crate::walk::{self, Listed};
use agentos_guest::fs::{self, FileType, Stat, file_type};
use agentos_guest::{Errno, errno_of, strerror};
use eval::State;
use std::cell::{Cell, OnceCell};
use std::ffi::{OsStr, OsString};

/// Options of the walk, wherever they stand in the expression.
pub(crate) struct Options {
    pub(crate) min_depth: usize,
    pub(crate) max_depth: usize,
    /// Contents before the directory itself.
    pub(crate) depth_first: bool,
    pub(crate) one_system: bool,
    pub(crate) follow: bool,
    pub(crate) follow_operands: bool,
    /// The file with the starting points (`-files0-from`).
    pub(crate) roots_from: Option<OsString>,
    /// What `-fprint` and the like write to.
    pub(crate) targets: Vec<parse::Target>,
    /// What the expression gives reason to warn of.
    pub(crate) warnings: Vec<String>,
}

/// A file under examination. Its attributes are looked at when an expression first asks for more than its kind.
pub(crate) struct Entry<'a> {
    pub(crate) path: &'a OsStr,
    /// The starting point it was found below.
    pub(crate) root: &'a OsStr,
    pub(crate) depth: usize,
    /// Symbolic links stand for what they lead to.
    through: bool,
    kind: Cell<Option<FileType>>,
    stat: OnceCell<Option<Stat>>,
}

impl Entry<'_> {
    /// The last component, as `-name` sees it.
    pub(crate) fn name(&self) -> &OsStr {
        base_name(self.path)
    }

    /// The attributes; `None` when there are none any more, which is said once.
    pub(crate) fn stat(&self, state: &mut State<'_>) -> Option<&Stat> {
        let look = || {
            let found = if self.through {
                fs::stat(self.path).or_else(|error| match errno_of(&error) {
                    Some(Errno::ELOOP) => Err(error),
                    _ => fs::lstat(self.path),
                })
            } else {
                fs::lstat(self.path)
            };
            match found {
                Ok(stat) => {
                    self.kind.set(Some(file_type(stat.mode)));
                    Some(stat)
                }
                Err(error) => {
                    state.warn(&format!("{}: {}", quote(self.path), strerror(&error)));
                    None
                }
            }
        };
        self.stat.get_or_init(look).as_ref()
    }

    /// The kind of file; `None` as for [`Entry::stat`].
    pub(crate) fn kind(&self, state: &mut State<'_>) -> Option<FileType> {
        self.kind.get().or_else(|| self.stat(state).map(|s| file_type(s.mode)))
    }
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    if args.iter().any(|a| a == "--help" || a == "-help") {
        cx.print(format_args!("{}", parse::HELP))?;
        return Ok(0);
    }
    if args.iter().any(|a| a == "--version" || a == "-version") {
        cx.print(format_args!("find (agentos-tools) {}\n", env!("CARGO_PKG_VERSION")))?;
        return Ok(0);
    }
    let mut options = Options {
        min_depth: 0,
        max_depth: usize::MAX,
        depth_first: false,
        one_system: false,
        follow: false,
        follow_operands: false,
        roots_from: None,
        targets: Vec::new(),
        warnings: Vec::new(),
    };
    let mut rest = args;
    while let Some((first, tail)) = rest.split_first() {
        match first.as_bytes() {
            b"-P" => (options.follow, options.follow_operands) = (false, false),
            b"-L" => (options.follow, options.follow_operands) = (true, true),
            b"-H" => (options.follow, options.follow_operands) = (false, true),
            b"--" => {
                rest = tail;
                break;
            }
            // How the expression is ordered for speed is not for the caller to say here.
            [b'-', b'O', b'0'..=b'3'] => {}
            _ => break,
        }
        rest = tail;
    }
    let starts_expression = |a: &OsString| {
        let bytes = a.as_bytes();
        (bytes.len() > 1 && bytes[0] == b'-') || matches!(bytes, b"(" | b"!")
    };
    let split = rest.iter().position(starts_expression).unwrap_or(rest.len());
    let (roots, expression) = rest.split_at(split);
    let parsed = parse::parse(expression, &mut options);
    for warning in std::mem::take(&mut options.warnings) {
        cx.say(warning);
    }
    let expression = parsed.map_err(|message| End::Failure(1, message))?;
    let listed = match &options.roots_from {
        Some(_) if !roots.is_empty() => {
            let message = format!(
                "extra operand {}\nfind: file operands cannot be combined with -files0-from",
                crate::quote::quote(&roots[0])
            );
            return Err(End::Failure(1, message));
        }
        Some(file) => Some(listed_roots(file)?),
        None => None,
    };
    let here = [OsString::from(".")];
    let roots = match &listed {
        Some(listed) => listed.as_slice(),
        None if roots.is_empty() => &here[..],
        None => roots,
    };
    let mut state = State::new(cx, std::mem::take(&mut options.targets));
    for root in roots {
        let walk = Walk { expression: &expression, options: &options, root };
        visit(&mut state, &walk, root.as_bytes(), None, 0, &mut Vec::new())?;
        if state.quit {
            break;
        }
    }
    state.finish(&expression)?;
    state.close()?;
    Ok(state.status)
}

/// The starting points of a file, each ended by a NUL byte.
fn listed_roots(file: &OsStr) -> Result<Vec<OsString>, End> {
    let mut text = Vec::new();
    let read = crate::context::open_input(file).and_then(|mut input| input.read_to_end(&mut text));
    if let Err(error) = read {
        let message = format!("cannot open {} for reading: {}", crate::quote::quote(file), strerror(&error));
        return Err(End::Failure(1, message));
    }
    let names = text.split(|b| *b == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| os(name).to_owned()).collect())
}

/// What does not change during a walk.
struct Walk<'a> {
    expression: &'a parse::Expr,
    options: &'a Options,
    root: &'a OsStr,
}

/// Examines the file `path` and what is below it. `kind` is what the listing of its directory told.
fn visit(
    state: &mut State<'_>,
    walk: &Walk<'_>,
    path: &[u8],
    kind: Option<FileType>,
    depth: usize,
    above: &mut Vec<(u64, u64)>,
) -> Result<(), End> {
    let options = walk.options;
    let through = options.follow || (depth == 0 && options.follow_operands);
    let entry = Entry {
        path: os(path),
        root: walk.root,
        depth,
        through,
        kind: Cell::new(kind.filter(|kind| !(through && *kind == FileType::Symlink))),
        stat: OnceCell::new(),
    };
    let Some(kind) = entry.kind(state) else { return Ok(()) };
    if options.one_system && depth > 0 {
        let Some(stat) = entry.stat(state) else { return Ok(()) };
        if above.first().is_some_and(|(dev, _)| *dev != stat.dev) {
            return Ok(());
        }
    }
    state.prune = false;
    if depth >= options.min_depth && !options.depth_first {
        state.evaluate(walk.expression, &entry)?;
    }
    let pruned = std::mem::take(&mut state.prune);
    if kind == FileType::Dir && depth < options.max_depth && !pruned && !state.quit {
        // Only a followed link leads back up; without one there is no need to know which directory this is.
        let id = if options.follow || options.one_system {
            let Some(stat) = entry.stat(state) else { return Ok(()) };
            (stat.dev, stat.ino)
        } else {
            (0, 0)
        };
        if options.follow
            && let Some(at) = above.iter().position(|a| *a == id)
        {
            // The directories above are the beginnings of this path.
            let mut first = path;
            for _ in at..depth {
                let end = first.iter().rposition(|b| *b == b'/').unwrap_or(first.len());
                first = &first[..end];
            }
            let (path, first) = (quote(entry.path), quote(os(first)));
            state.warn(&format!(
                "File system loop detected; {path} is part of the same file system loop as {first}."
            ));
            return Ok(());
        }
        let listed = if depth < walk::MAX_DEPTH { walk::listed(entry.path) } else { Err(walk::too_deep()) };
        match listed {
            Ok(listed) => {
                // One buffer for the paths of all entries.
                let mut below = path.to_vec();
                if below.last() != Some(&b'/') {
                    below.push(b'/');
                }
                let length = below.len();
                above.push(id);
                for Listed { name, kind } in listed {
                    below.truncate(length);
                    below.extend_from_slice(name.as_bytes());
                    visit(state, walk, &below, kind, depth + 1, above)?;
                    if state.quit {
                        break;
                    }
                }
                above.pop();
            }
            Err(error) => state.warn(&format!("{}: {}", quote(entry.path), strerror(&error))),
        }
    }
    if depth >= options.min_depth && options.depth_first && !state.quit {
        state.evaluate(walk.expression, &entry)?;
    }
    Ok(())
}
