//! Which files grep searches: operands, and the trees below them with `-r`. It opens nothing.

use super::search::Run;
use crate::context::End;
use crate::glob;
use crate::os::{OsStrExt, base_name, join};
use crate::walk::{self, Listed};
use agentos_guest::fs::{FileType, file_type, lstat, stat};
use agentos_guest::{Errno, io_error};
use std::ffi::{OsStr, OsString};

/// How directories are treated.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) recurse: bool,
    /// Follow every symbolic link, not only those of the command line.
    pub(crate) follow: bool,
    pub(crate) skip_dirs: bool,
    pub(crate) skip_devices: Option<bool>,
    /// In their order: exclude (or include) these file names.
    pub(crate) rules: Vec<(bool, Vec<u8>)>,
    pub(crate) exclude_dirs: Vec<Vec<u8>>,
}

/// A glob without the slashes at its end.
pub(crate) fn trim_slashes(glob: &[u8]) -> Vec<u8> {
    let end = glob.iter().rposition(|b| *b != b'/').map_or(0, |i| i + 1);
    glob[..end.max(1).min(glob.len())].to_vec()
}

/// Searches every file; true when a line was selected.
pub(crate) fn each(run: &mut Run<'_>, tree: &Tree, operands: &[OsString]) -> Result<bool, End> {
    let mut found = false;
    if operands.is_empty() {
        if tree.recurse {
            let dir = OsStr::new(".");
            return walk_dir(run, tree, dir, "".into(), &mut Vec::new());
        }
        return run.stdin();
    }
    for operand in operands {
        if operand == "-" {
            found |= run.stdin()?;
        } else {
            found |= operand_file(run, tree, operand)?;
        }
        if run.done() {
            break;
        }
    }
    Ok(found)
}

fn operand_file(run: &mut Run<'_>, tree: &Tree, path: &OsStr) -> Result<bool, End> {
    let attributes = match stat(path) {
        Ok(attributes) => attributes,
        Err(error) => {
            run.fail(path, &error);
            return Ok(false);
        }
    };
    match file_type(attributes.mode) {
        FileType::Dir if tree.recurse => {
            let excluded = tree.exclude_dirs.iter().any(|g| {
                let shown = trim_slashes(path.as_bytes());
                glob::matches(g, &shown, false) || glob::matches(g, base_name(path).as_bytes(), false)
            });
            if excluded {
                return Ok(false);
            }
            walk_dir(run, tree, path, path.to_owned(), &mut Vec::new())
        }
        FileType::Dir if tree.skip_dirs => Ok(false),
        FileType::Dir => {
            run.fail(path, &io_error(Errno::EISDIR));
            run.nothing_in(path)?;
            Ok(false)
        }
        FileType::File => {
            if skipped(tree, path) {
                Ok(false)
            } else {
                run.file(path, true)
            }
        }
        _ if tree.skip_devices == Some(true) => Ok(false),
        _ => {
            if skipped(tree, path) {
                Ok(false)
            } else {
                run.file(path, false)
            }
        }
    }
}

/// Whether the rules leave a file out: the last rule that matches its name decides; without one, it is left out if the
/// first rule includes.
fn skipped(tree: &Tree, path: &OsStr) -> bool {
    let Some((first_excludes, _)) = tree.rules.first() else { return false };
    let hit = |g: &[u8]| {
        glob::matches(g, base_name(path).as_bytes(), false) || glob::matches(g, path.as_bytes(), false)
    };
    match tree.rules.iter().rfind(|(_, g)| hit(g)) {
        Some((excludes, _)) => *excludes,
        None => !first_excludes,
    }
}

fn walk_dir(
    run: &mut Run<'_>,
    tree: &Tree,
    dir: &OsStr,
    shown: OsString,
    above: &mut Vec<(u64, u64)>,
) -> Result<bool, End> {
    if above.len() >= walk::MAX_DEPTH {
        run.fail(&shown, &walk::too_deep());
        return Ok(false);
    }
    let listed = match walk::listed(dir) {
        Ok(listed) => listed,
        Err(error) => {
            run.fail(if shown.is_empty() { dir } else { &shown }, &error);
            return Ok(false);
        }
    };
    let mut found = false;
    for Listed { name, kind } in listed {
        let path = join(dir, &name);
        let shown = if shown.is_empty() { name.clone() } else { join(&shown, &name) };
        // The listing says enough, except of links that are followed and of directories they may lead back to.
        let known = kind.filter(|kind| !tree.follow || *kind == FileType::File);
        let (kind, id) = match known {
            Some(kind) => (kind, (0, 0)),
            None => match if tree.follow { stat(&path) } else { lstat(&path) } {
                Ok(s) => (file_type(s.mode), (s.dev, s.ino)),
                Err(error) => {
                    run.fail(&shown, &error);
                    continue;
                }
            },
        };
        match kind {
            FileType::Dir => {
                if tree.exclude_dirs.iter().any(|g| glob::matches(g, name.as_bytes(), false)) {
                    continue;
                }
                if tree.follow && above.contains(&id) {
                    if !run.silent() {
                        run.say(format!("{}: warning: recursive directory loop", shown.to_string_lossy()));
                    }
                    continue;
                }
                above.push(id);
                found |= walk_dir(run, tree, &path, shown, above)?;
                above.pop();
            }
            FileType::File if !skipped(tree, &shown) => found |= run.named_file(&path, &shown, true)?,
            FileType::Symlink | FileType::File => {}
            _ if tree.skip_devices == Some(false) && !skipped(tree, &shown) => {
                found |= run.named_file(&path, &shown, false)?
            }
            _ => {}
        }
        if run.done() {
            break;
        }
    }
    Ok(found)
}
