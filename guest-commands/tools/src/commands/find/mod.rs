//! `find`: walks trees and evaluates an expression on every file. It knows no locale of its own and no `-regex`.

mod eval;
mod parse;

use crate::context::{Cx, End, Outcome};
use crate::os::{OsStrExt, base_name, join, os};
use crate::quote::quoteaf;
use crate::walk;
use agentos_guest::fs::{self, FileType, Stat, file_type};
use agentos_guest::strerror;
use eval::State;
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
}

/// A file under examination.
pub(crate) struct Entry<'a> {
    pub(crate) path: &'a OsStr,
    /// The starting point it was found below.
    pub(crate) root: &'a OsStr,
    pub(crate) depth: usize,
    pub(crate) stat: Stat,
}

impl Entry<'_> {
    /// The last component, as `-name` sees it.
    pub(crate) fn name(&self) -> &OsStr {
        base_name(self.path)
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
            _ => break,
        }
        rest = tail;
    }
    let starts_expression = |a: &OsString| {
        let bytes = a.as_bytes();
        (bytes.len() > 1 && bytes[0] == b'-') || matches!(bytes, b"(" | b")" | b"!" | b",")
    };
    let split = rest.iter().position(starts_expression).unwrap_or(rest.len());
    let (roots, expression) = rest.split_at(split);
    let expression = parse::parse(expression, &mut options).map_err(|message| End::Failure(1, message))?;
    let here = [OsString::from(".")];
    let roots = if roots.is_empty() { &here[..] } else { roots };
    let mut state = State::new(cx);
    for root in roots {
        visit(&mut state, &expression, &options, root, root, 0, &mut Vec::new())?;
        if state.quit {
            break;
        }
    }
    state.finish(&expression)?;
    Ok(state.status)
}

fn visit(
    state: &mut State<'_>,
    expression: &parse::Expr,
    options: &Options,
    path: &OsStr,
    root: &OsStr,
    depth: usize,
    above: &mut Vec<(u64, u64)>,
) -> Result<(), End> {
    let through = options.follow || (depth == 0 && options.follow_operands);
    let found = if through { fs::stat(path).or_else(|_| fs::lstat(path)) } else { fs::lstat(path) };
    let stat = match found {
        Ok(stat) => stat,
        Err(error) => {
            state.warn(&format!("{}: {}", quoteaf(path), strerror(&error)));
            return Ok(());
        }
    };
    if options.one_system && above.first().is_some_and(|(dev, _)| *dev != stat.dev) {
        return Ok(());
    }
    let entry = Entry { path, root, depth, stat };
    state.prune = false;
    if depth >= options.min_depth && !options.depth_first {
        state.evaluate(expression, &entry)?;
    }
    let pruned = std::mem::take(&mut state.prune);
    if file_type(stat.mode) == FileType::Dir && depth < options.max_depth && !pruned && !state.quit {
        let id = (stat.dev, stat.ino);
        if above.contains(&id) {
            let above = quoteaf(os(path.as_bytes()));
            state.warn(&format!("File system loop detected; {above} is part of the same file system loop."));
            return Ok(());
        }
        let names = if depth < walk::MAX_DEPTH { walk::names(path) } else { Err(walk::too_deep()) };
        match names {
            Ok(names) => {
                above.push(id);
                for name in names {
                    visit(state, expression, options, &join(path, &name), root, depth + 1, above)?;
                    if state.quit {
                        break;
                    }
                }
                above.pop();
            }
            Err(error) => state.warn(&format!("{}: {}", quoteaf(path), strerror(&error))),
        }
    }
    if depth >= options.min_depth && options.depth_first && !state.quit {
        state.evaluate(expression, &entry)?;
    }
    Ok(())
}
