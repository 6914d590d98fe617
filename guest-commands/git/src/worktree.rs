//! Files of the work tree: whether they are what the index says, reading them as objects, writing them out, and walking.

use crate::bytes;
use crate::error::{Res, Stop, fatal};
use crate::ignore::Ignore;
use crate::index::{Entry, Index, index_mode};
use crate::oid::{Kind, MODE_EXEC, MODE_GITLINK, MODE_LINK, Oid, hash_object};
use crate::repo::Repo;
use agentos_guest::fs::{FileType, Stat, chmod, file_type, lstat};
use std::collections::BTreeSet;
use std::fs;
use std::io;

/// The content of a file as it would be stored: of a link, where it leads.
pub(crate) fn read(path: &[u8], stat: &Stat) -> io::Result<Vec<u8>> {
    if file_type(stat.mode) == FileType::Symlink {
        return Ok(bytes::of(fs::read_link(bytes::path(path))?.as_os_str()).to_vec());
    }
    fs::read(bytes::path(path))
}

/// Whether a file has the content that its entry names.
pub(crate) fn same_content(entry: &Entry, stat: &Stat) -> bool {
    if entry.mode == MODE_GITLINK {
        return true;
    }
    read(&entry.path, stat).is_ok_and(|data| hash_object(Kind::Blob, &data) == entry.oid)
}

/// How a file compares with its entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Same,
    /// Same, but the stat data have to be taken over.
    Stale,
    Modified,
    /// A file became a link or the reverse.
    Type,
    Deleted,
}

/// The mode that a file has, if modes count; else that of the entry as far as the type allows.
pub(crate) fn mode_of(repo_filemode: bool, stat: &Stat, entry_mode: u32) -> u32 {
    match index_mode(stat) {
        Some(mode) if repo_filemode || mode == MODE_LINK || mode == MODE_GITLINK => mode,
        Some(_) if matches!(entry_mode, 0o100_644 | 0o100_755) => entry_mode,
        Some(_) => 0o100_644,
        None => 0,
    }
}

/// Compares a file with its entry.
pub(crate) fn compare(index: &Index, entry: &Entry, filemode: bool) -> (State, Option<Stat>) {
    if entry.assume_valid || entry.skip_worktree {
        return (State::Same, None);
    }
    let stat = match lstat(bytes::path(&entry.path)) {
        Ok(stat) => stat,
        Err(_) => return (State::Deleted, None),
    };
    if behind_link(&entry.path) {
        return (State::Deleted, None);
    }
    let mode = mode_of(filemode, &stat, entry.mode);
    if entry.mode == MODE_GITLINK {
        let state = if mode == MODE_GITLINK { State::Same } else { State::Type };
        return (state, Some(stat));
    }
    if mode == MODE_GITLINK || mode == 0 {
        return (State::Deleted, None);
    }
    if (mode == MODE_LINK) != (entry.mode == MODE_LINK) {
        return (State::Type, Some(stat));
    }
    if mode != entry.mode || entry.intent_to_add {
        return (State::Modified, Some(stat));
    }
    if entry.same_stat(&stat) && !index.racy(entry) {
        return (State::Same, Some(stat));
    }
    // A size of 0 in the entry may mean that it is not known (see Index::write).
    if entry.size != 0 && entry.size != stat.size as u32 {
        return (State::Modified, Some(stat));
    }
    let state = if same_content(entry, &stat) { State::Stale } else { State::Modified };
    (state, Some(stat))
}

/// Whether a directory above a path is a symbolic link, so that the path is not in the work tree.
pub(crate) fn behind_link(path: &[u8]) -> bool {
    thread_local!(static LAST: std::cell::RefCell<(Vec<u8>, bool)> = const { std::cell::RefCell::new((Vec::new(), false)) });
    let dir = bytes::parent(path);
    if dir.is_empty() {
        return false;
    }
    LAST.with_borrow_mut(|last| {
        if last.0 != dir {
            let mut at = dir;
            let mut link = false;
            while !at.is_empty() {
                if lstat(bytes::path(at)).is_ok_and(|s| file_type(s.mode) == FileType::Symlink) {
                    link = true;
                    break;
                }
                at = bytes::parent(at);
            }
            *last = (dir.to_vec(), link);
        }
        last.1
    })
}

/// How each entry of an index compared with its file, in the order of the entries.
pub(crate) type Looks = Vec<(State, Option<Stat>)>;

/// Looks at all files anew; entries whose files are the same get their stat data. True if anything was taken over.
pub(crate) fn refresh(index: &mut Index, filemode: bool) -> bool {
    look(index, filemode).0
}

fn look(index: &mut Index, filemode: bool) -> (bool, Looks) {
    let mut changed = false;
    let mut looks = Vec::with_capacity(index.entries.len());
    for at in 0..index.entries.len() {
        if index.entries[at].stage != 0 {
            looks.push((State::Same, None));
            continue;
        }
        let (state, stat) = compare(index, &index.entries[at], filemode);
        if state == State::Stale
            && let Some(stat) = &stat
            && !index.entries[at].same_stat(stat)
        {
            index.entries[at].set_stat(stat);
            changed = true;
        }
        looks.push((state, stat));
    }
    (changed, looks)
}

/// Refreshes the index and writes it if that helps and nobody else holds the lock. What was seen is good for
/// [`crate::changes::seen_in_worktree`] as long as the entries stay.
pub(crate) fn refresh_and_write(repo: &Repo, index: &mut Index) -> Looks {
    let (changed, looks) = look(index, repo.filemode());
    if changed && let Ok(lock) = index.lock() {
        let _ = index.write(lock);
    }
    looks
}

/// Makes the directories above a file, removing files and links that are in the way.
fn make_parents(path: &[u8]) -> Res<()> {
    let dir = bytes::parent(path);
    if dir.is_empty() {
        return Ok(());
    }
    match lstat(bytes::path(dir)) {
        Ok(stat) if file_type(stat.mode) == FileType::Dir && !behind_link(path) => return Ok(()),
        _ => {}
    }
    for end in dir.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at).chain([dir.len()]) {
        let part = bytes::path(&dir[..end]);
        match lstat(part) {
            Ok(stat) if file_type(stat.mode) == FileType::Dir => {}
            Ok(_) => {
                fs::remove_file(part)?;
                fs::create_dir(part)?;
            }
            Err(_) => fs::create_dir(part)?,
        }
    }
    Ok(())
}

/// Writes a file of the work tree, replacing what is there. Returns its stat.
pub(crate) fn write(path: &[u8], mode: u32, data: &[u8]) -> Res<Stat> {
    let name = bytes::path(path);
    let failed = |error: io::Error| {
        Stop::Fatal(format!(
            "unable to create file {}: {}",
            bytes::text(path),
            agentos_guest::strerror(&error)
        ))
    };
    if unsafe_path(path) {
        fatal!("invalid path '{}'", bytes::text(path));
    }
    if mode == MODE_GITLINK {
        make_parents(path)?;
        let _ = fs::create_dir(name);
        return lstat(name).map_err(failed);
    }
    make_parents(path)?;
    if let Ok(stat) = lstat(name) {
        if file_type(stat.mode) == FileType::Dir {
            fs::remove_dir_all(name).map_err(failed)?;
        } else {
            fs::remove_file(name).map_err(failed)?;
        }
    }
    if mode == MODE_LINK {
        rustix::fs::symlink(bytes::path(data), name).map_err(|e| failed(e.into()))?;
    } else {
        fs::write(name, data).map_err(failed)?;
        if mode == MODE_EXEC {
            let stat = lstat(name).map_err(failed)?;
            chmod(name, (stat.mode & 0o777) | ((stat.mode & 0o444) >> 2)).map_err(failed)?;
        }
    }
    lstat(name).map_err(failed)
}

/// Paths that no checkout may write: `.git` in any spelling, and what leads out.
pub(crate) fn unsafe_path(path: &[u8]) -> bool {
    path.split(|b| *b == b'/')
        .any(|part| part.is_empty() || part == b"." || part == b".." || part.eq_ignore_ascii_case(b".git"))
}

/// Removes a file and the directories above that are empty then.
pub(crate) fn remove(path: &[u8]) -> io::Result<()> {
    if behind_link(path) {
        return Ok(());
    }
    match lstat(bytes::path(path)) {
        Ok(stat) if file_type(stat.mode) == FileType::Dir => {
            let _ = fs::remove_dir(bytes::path(path));
        }
        Ok(_) => fs::remove_file(bytes::path(path))?,
        Err(_) => {}
    }
    let mut dir = bytes::parent(path);
    while !dir.is_empty() && fs::remove_dir(bytes::path(dir)).is_ok() {
        dir = bytes::parent(dir);
    }
    Ok(())
}

/// Writes the file of an entry and takes over its stat.
pub(crate) fn checkout(repo: &Repo, entry: &mut Entry) -> Res<()> {
    let data = if entry.mode == MODE_GITLINK { std::rc::Rc::default() } else { repo.odb.blob(&entry.oid)? };
    let stat = write(&entry.path, entry.mode, &data)?;
    entry.set_stat(&stat);
    Ok(())
}

/// Stores a file of the work tree as an object.
pub(crate) fn store(repo: &Repo, path: &[u8], stat: &Stat) -> Res<Oid> {
    let data = read(path, stat).map_err(|e| {
        Stop::Error(128, format!("open(\"{}\"): {}", bytes::text(path), agentos_guest::strerror(&e)))
    })?;
    let data = clean(repo, path, data)?;
    repo.odb.write(Kind::Blob, &data)
}

/// The content as it is stored when lines may end in CR LF (`core.autocrlf`).
pub(crate) fn clean(repo: &Repo, path: &[u8], data: Vec<u8>) -> Res<Vec<u8>> {
    match repo.config.get("core.autocrlf").as_deref() {
        None | Some("false") => Ok(data),
        Some(_) if data.contains(&0) || !data.contains(&b'\r') => Ok(data),
        Some("input") => {
            crate::error::say!(
                "warning: in the working copy of '{}', CRLF will be replaced by LF the next time Git touches it",
                bytes::text(path)
            );
            let mut out = Vec::with_capacity(data.len());
            for (at, b) in data.iter().enumerate() {
                if !(*b == b'\r' && data.get(at + 1) == Some(&b'\n')) {
                    out.push(*b);
                }
            }
            Ok(out)
        }
        Some(other) => fatal!("core.autocrlf={other} is not supported"),
    }
}

/// What a walk finds: files, and directories (with a slash at the end) that it does not look into.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) untracked: BTreeSet<Vec<u8>>,
    pub(crate) ignored: BTreeSet<Vec<u8>>,
}

/// How a walk goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walk {
    /// A directory without any tracked file is one item.
    pub(crate) collapse: bool,
    /// Ignored files are wanted too.
    pub(crate) ignored: bool,
}

const MAX_DEPTH: usize = 500;

/// Finds files that are not in the index.
pub(crate) fn untracked(
    index: &Index,
    ignore: &Ignore,
    spec: &crate::pathspec::Pathspec,
    walk: Walk,
) -> Res<Found> {
    let mut found = Found::default();
    dir(index, ignore, spec, walk, b"", false, &mut found, 0)?;
    Ok(found)
}

#[expect(clippy::too_many_arguments, reason = "the state of a recursive walk")]
fn dir(
    index: &Index,
    ignore: &Ignore,
    spec: &crate::pathspec::Pathspec,
    walk: Walk,
    at: &[u8],
    in_ignored: bool,
    found: &mut Found,
    depth: usize,
) -> Res<()> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    let name = if at.is_empty() { b"." } else { at };
    let entries = match fs::read_dir(bytes::path(name)) {
        Ok(entries) => entries,
        Err(error) => {
            crate::error::say!(
                "warning: could not open directory '{}/': {}",
                bytes::text(at),
                agentos_guest::strerror(&error)
            );
            return Ok(());
        }
    };
    for entry in entries.flatten() {
        let file = entry.file_name();
        if bytes::of(&file) == b".git" {
            continue;
        }
        let path = bytes::join(at, bytes::of(&file));
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(_) => continue,
        };
        if !kind.is_dir() {
            if !kind.is_file() && !kind.is_symlink() {
                continue;
            }
            if index.has(&path) || !spec.matches(&path) {
                continue;
            }
            if in_ignored || ignore.ignored(&path, false) {
                if walk.ignored {
                    found.ignored.insert(path);
                }
            } else {
                found.untracked.insert(path);
            }
            continue;
        }
        if (index.has(&path) && (walk.collapse || index.get(&path).is_some_and(|e| e.mode == MODE_GITLINK)))
            || !spec.may_be_below(&path)
        {
            continue;
        }
        let tracked = index.has_below(&path);
        let ignored = in_ignored || ignore.ignored(&path, true);
        let whole = [&path[..], b"/"].concat();
        // A repository of its own is one item.
        if !tracked && fs::symlink_metadata(bytes::path(&bytes::join(&path, b".git"))).is_ok() {
            if spec.matches(&path) {
                if ignored {
                    walk.ignored && found.ignored.insert(whole)
                } else {
                    found.untracked.insert(whole)
                };
            }
            continue;
        }
        if ignored && !tracked {
            if walk.ignored {
                if walk.collapse && spec.matches(&path) {
                    if has_file(&path, 0) {
                        found.ignored.insert(whole);
                    }
                } else {
                    dir(index, ignore, spec, walk, &path, true, found, depth + 1)?;
                }
            }
            continue;
        }
        if walk.collapse && !tracked && spec.matches(&path) {
            let mut below = Found::default();
            dir(
                index,
                ignore,
                spec,
                Walk { collapse: true, ignored: true },
                &path,
                false,
                &mut below,
                depth + 1,
            )?;
            if !below.untracked.is_empty() {
                found.untracked.insert(whole);
                if walk.ignored {
                    found.ignored.extend(below.ignored);
                }
            } else if walk.ignored && !below.ignored.is_empty() {
                if spec.is_empty() || spec.matches(&path) {
                    found.ignored.insert(whole);
                } else {
                    found.ignored.extend(below.ignored)
                }
            }
            continue;
        }
        dir(index, ignore, spec, walk, &path, ignored, found, depth + 1)?;
    }
    Ok(())
}

/// Whether there is any file in a directory.
fn has_file(dir: &[u8], depth: usize) -> bool {
    depth < MAX_DEPTH
        && fs::read_dir(bytes::path(dir)).into_iter().flatten().flatten().any(|entry| {
            let path = bytes::join(dir, bytes::of(&entry.file_name()));
            entry.file_type().is_ok_and(|k| !k.is_dir()) || has_file(&path, depth + 1)
        })
}
