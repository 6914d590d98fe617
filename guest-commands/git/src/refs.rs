//! Refs as files and packed, symbolic refs, and reflogs. A change is written under the ref's lock.

use crate::bytes;
use crate::error::{Res, Stop, failed, fatal};
use crate::lock::Lock;
use crate::oid::{Oid, Person};
use crate::repo::Repo;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What a ref holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Oid(Oid),
    Symbolic(String),
}

/// A line of a reflog.
#[derive(Clone, Debug)]
pub(crate) struct LogEntry {
    pub(crate) old: Oid,
    pub(crate) new: Oid,
    pub(crate) who: Person,
    pub(crate) message: Vec<u8>,
}

/// Whether a ref belongs to one work tree only.
fn own(name: &str) -> bool {
    !name.starts_with("refs/") || name.starts_with("refs/bisect/")
}

/// Whether a name may be a ref below `refs/` (git-check-ref-format).
pub(crate) fn valid(name: &str) -> bool {
    !name.is_empty()
        && name != "@"
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains("//")
        && !name.starts_with('/')
        && !name.ends_with(['/', '.'])
        && !name
            .bytes()
            .any(|b| b <= b' ' || b == 0x7f || matches!(b, b'~' | b'^' | b':' | b'?' | b'*' | b'[' | b'\\'))
        && name.split('/').all(|part| !part.starts_with('.') && !part.ends_with(".lock"))
}

/// Whether a name may be that of a branch.
pub(crate) fn valid_branch(name: &str) -> bool {
    valid(&format!("refs/heads/{name}")) && !name.starts_with('-') && name != "HEAD"
}

impl Repo {
    fn ref_file(&self, name: &str) -> PathBuf {
        if own(name) { self.git_dir.join(name) } else { self.common_dir.join(name) }
    }

    fn log_file(&self, name: &str) -> PathBuf {
        let dir = if own(name) { &self.git_dir } else { &self.common_dir };
        dir.join("logs").join(name)
    }

    /// The packed refs, with what annotated tags lead to.
    fn packed(&self) -> Vec<(String, Oid)> {
        let text = fs::read(self.common_dir.join("packed-refs")).unwrap_or_default();
        text.split(|b| *b == b'\n')
            .filter(|line| line.len() > 41 && line[0] != b'#' && line[0] != b'^')
            .filter_map(|line| Some((bytes::text(&line[41..]), Oid::parse(&line[..40])?)))
            .collect()
    }

    /// What a ref itself holds.
    pub(crate) fn ref_value(&self, name: &str) -> Option<Value> {
        if let Ok(text) = fs::read(self.ref_file(name)) {
            let text = text.trim_ascii();
            if let Some(target) = text.strip_prefix(b"ref:") {
                return Some(Value::Symbolic(bytes::text(target.trim_ascii())));
            }
            if let Some(oid) = Oid::parse(text.get(..40).unwrap_or_default()) {
                return Some(Value::Oid(oid));
            }
            return None;
        }
        if !name.starts_with("refs/") {
            return None;
        }
        self.packed().into_iter().find(|(n, _)| n == name).map(|(_, oid)| Value::Oid(oid))
    }

    /// The ref that symbolic refs lead to, and its object if there is one.
    pub(crate) fn resolve(&self, name: &str) -> (String, Option<Oid>) {
        let mut name = name.to_owned();
        for _ in 0..10 {
            match self.ref_value(&name) {
                Some(Value::Symbolic(target)) => name = target,
                Some(Value::Oid(oid)) => return (name, Some(oid)),
                None => return (name, None),
            }
        }
        (name, None)
    }

    /// The object of a ref.
    pub(crate) fn ref_oid(&self, name: &str) -> Option<Oid> {
        self.resolve(name).1
    }

    /// The commit of HEAD, unless there is none yet.
    pub(crate) fn head(&self) -> Option<Oid> {
        self.ref_oid("HEAD")
    }

    /// The branch that is checked out, as `refs/heads/…`.
    pub(crate) fn head_ref(&self) -> Option<String> {
        match self.ref_value("HEAD") {
            Some(Value::Symbolic(name)) => Some(name),
            _ => None,
        }
    }

    /// The short name of the branch that is checked out.
    pub(crate) fn head_branch(&self) -> Option<String> {
        self.head_ref().map(|name| name.strip_prefix("refs/heads/").map_or(name.clone(), str::to_owned))
    }

    /// All refs below a prefix with their objects, sorted. Symbolic refs are followed.
    pub(crate) fn refs(&self, prefix: &str) -> Vec<(String, Oid)> {
        let mut all: BTreeMap<String, Oid> =
            self.packed().into_iter().filter(|(name, _)| name.starts_with(prefix)).collect();
        let mut loose = Vec::new();
        collect(&self.common_dir.join("refs"), "refs", &mut loose, 0);
        for name in loose {
            if name.starts_with(prefix)
                && let Some(oid) = self.ref_oid(&name)
            {
                all.insert(name, oid);
            }
        }
        all.into_iter().collect()
    }

    /// The name of a ref as it is usually written.
    pub(crate) fn shorten(name: &str) -> &str {
        for prefix in ["refs/heads/", "refs/tags/", "refs/remotes/", "refs/"] {
            if let Some(short) = name.strip_prefix(prefix) {
                return short;
            }
        }
        name
    }

    /// Sets a ref (not following symbolic ones), and its reflog. `old`: what it must hold, `ZERO`: it must not be there.
    pub(crate) fn set_ref(&self, name: &str, new: &Oid, old: Option<Oid>, message: &str) -> Res<()> {
        let file = self.ref_file(name);
        let before = match self.ref_value(name) {
            Some(Value::Oid(oid)) => oid,
            Some(Value::Symbolic(_)) => self.ref_oid(name).unwrap_or_default(),
            None => Oid::ZERO,
        };
        if let Some(above) = self.conflicting(name) {
            fatal!("cannot lock ref '{name}': '{above}' exists; cannot create '{name}'");
        }
        remove_empty_dirs(&file);
        let lock = Lock::new(&file).map_err(|error| {
            Stop::Fatal(format!(
                "cannot lock ref '{name}': Unable to create '{}.lock': {}",
                file.display(),
                agentos_guest::strerror(&error)
            ))
        })?;
        if let Some(old) = old
            && old != before
        {
            if old.is_zero() {
                fatal!("cannot lock ref '{name}': reference already exists");
            }
            fatal!("cannot lock ref '{name}': is at {before} but expected {old}");
        }
        self.log_ref(name, &before, new, message)?;
        if let Some(branch) = self.head_ref()
            && branch == name
            && name != "HEAD"
        {
            self.log_ref("HEAD", &before, new, message)?;
        }
        lock.commit(format!("{new}\n").as_bytes())?;
        Ok(())
    }

    /// A ref that cannot be beside `name` as a file, since one would be a directory.
    fn conflicting(&self, name: &str) -> Option<String> {
        if !name.starts_with("refs/") {
            return None;
        }
        for (at, _) in name.match_indices('/').skip(1) {
            if self.ref_value(&name[..at]).is_some() {
                return Some(name[..at].to_owned());
            }
        }
        let below = format!("{name}/");
        self.refs(&below).into_iter().next().map(|(name, _)| name)
    }

    /// Moves HEAD: the branch it names, or itself if it is detached.
    pub(crate) fn set_head(&self, new: &Oid, message: &str) -> Res<()> {
        match self.head_ref() {
            Some(branch) => self.set_ref(&branch, new, None, message),
            None => self.set_ref("HEAD", new, None, message),
        }
    }

    /// Makes a symbolic ref. With a message, a line is added to the reflog of HEAD.
    pub(crate) fn set_symbolic(&self, name: &str, target: &str, log: Option<(Oid, Oid, &str)>) -> Res<()> {
        let lock = Lock::new(&self.ref_file(name))?;
        lock.commit(format!("ref: {target}\n").as_bytes())?;
        if let Some((old, new, message)) = log {
            self.log_ref(name, &old, &new, message)?;
        }
        Ok(())
    }

    /// Detaches HEAD at a commit.
    pub(crate) fn detach(&self, new: &Oid, message: &str) -> Res<()> {
        let before = self.head().unwrap_or_default();
        let lock = Lock::new(&self.ref_file("HEAD"))?;
        self.log_ref("HEAD", &before, new, message)?;
        lock.commit(format!("{new}\n").as_bytes())?;
        Ok(())
    }

    /// Takes a ref and its reflog away.
    pub(crate) fn delete_ref(&self, name: &str) -> Res<()> {
        let packed_file = self.common_dir.join("packed-refs");
        if self.packed().iter().any(|(n, _)| n == name) {
            let text = fs::read(&packed_file)?;
            let mut new = Vec::new();
            let mut skipping = false;
            for line in bytes::lines(&text) {
                let peeled = line.first() == Some(&b'^');
                skipping = if peeled {
                    skipping
                } else {
                    line.len() > 41 && line[41..].trim_ascii_end() == name.as_bytes()
                };
                if !skipping {
                    new.extend_from_slice(line);
                }
            }
            Lock::new(&packed_file)?.commit(&new)?;
        }
        let file = self.ref_file(name);
        match fs::remove_file(&file) {
            Err(error)
                if error.kind() != io::ErrorKind::NotFound
                    && error.kind() != io::ErrorKind::NotADirectory =>
            {
                failed!("unable to delete {}: {}", file.display(), agentos_guest::strerror(&error));
            }
            _ => {}
        }
        let log = self.log_file(name);
        let _ = fs::remove_file(&log);
        let stop_at = if own(name) { &self.git_dir } else { &self.common_dir };
        prune_dirs(&file, &stop_at.join("refs"));
        prune_dirs(&log, &stop_at.join("logs/refs"));
        Ok(())
    }

    /// Renames a ref with its reflog.
    pub(crate) fn rename_ref(&self, from: &str, to: &str, message: &str) -> Res<()> {
        let Some(oid) = self.ref_oid(from) else { fatal!("no ref named {from}") };
        let log = fs::read(self.log_file(from)).ok();
        let on_head = self.head_ref().is_some_and(|name| name == from);
        self.delete_ref(from)?;
        if let Some(log) = log {
            let file = self.log_file(to);
            remove_empty_dirs(&file);
            if let Some(dir) = file.parent() {
                fs::create_dir_all(dir)?;
            }
            fs::write(&file, log)?;
        }
        let file = self.ref_file(to);
        remove_empty_dirs(&file);
        Lock::new(&file)?.commit(format!("{oid}\n").as_bytes())?;
        self.log_ref(to, &oid, &oid, message)?;
        if on_head {
            self.log_ref("HEAD", &oid, &Oid::ZERO, message)?;
            self.set_symbolic("HEAD", to, Some((Oid::ZERO, oid, message)))?;
        }
        Ok(())
    }

    /// Adds a line to a reflog, if this ref has one or is of those that get one.
    pub(crate) fn log_ref(&self, name: &str, old: &Oid, new: &Oid, message: &str) -> Res<()> {
        let file = self.log_file(name);
        let wanted = self.logs()
            && (name == "HEAD"
                || ["refs/heads/", "refs/remotes/", "refs/notes/"].iter().any(|p| name.starts_with(p)));
        if !wanted && !file.exists() {
            return Ok(());
        }
        self.append_log(name, old, new, message)
    }

    /// Adds a line to a reflog, making it if it is not there.
    pub(crate) fn append_log(&self, name: &str, old: &Oid, new: &Oid, message: &str) -> Res<()> {
        let file = self.log_file(name);
        remove_empty_dirs(&file);
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir)?;
        }
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut line = format!("{old} {new} ").into_bytes();
        line.extend(self.logger().line());
        if !message.is_empty() {
            line.extend(format!("\t{message}").bytes());
        }
        line.push(b'\n');
        let mut log = fs::OpenOptions::new().append(true).create(true).open(&file)?;
        log.write_all(&line)?;
        Ok(())
    }

    /// The lines of a reflog, the oldest first.
    pub(crate) fn reflog(&self, name: &str) -> Vec<LogEntry> {
        let text = fs::read(self.log_file(name)).unwrap_or_default();
        text.split(|b| *b == b'\n')
            .filter_map(|line| {
                let tab = line.iter().position(|b| *b == b'\t').unwrap_or(line.len());
                Some(LogEntry {
                    old: Oid::parse(line.get(..40)?)?,
                    new: Oid::parse(line.get(41..81)?)?,
                    who: Person::parse(line.get(82..tab)?),
                    message: line.get(tab + 1..).unwrap_or_default().to_vec(),
                })
            })
            .collect()
    }

    /// Writes a whole reflog; an empty one goes away with its file.
    pub(crate) fn write_reflog(&self, name: &str, entries: &[LogEntry]) -> Res<()> {
        let mut text = Vec::new();
        for entry in entries {
            text.extend(format!("{} {} ", entry.old, entry.new).bytes());
            text.extend(entry.who.line());
            text.push(b'\t');
            text.extend(&entry.message);
            text.push(b'\n');
        }
        Lock::new(&self.log_file(name))?.commit(&text)?;
        Ok(())
    }

    /// Writes `packed-refs` anew; the refs are sorted by name.
    pub(crate) fn write_packed(&self, refs: &[(String, Oid)]) -> Res<()> {
        let mut text = b"# pack-refs with: peeled fully-peeled sorted \n".to_vec();
        for (name, oid) in refs {
            text.extend(format!("{oid} {name}\n").bytes());
            if let Ok((peeled, _)) = self.odb.peel(oid)
                && peeled != *oid
            {
                text.extend(format!("^{peeled}\n").bytes());
            }
        }
        Lock::new(&self.common_dir.join("packed-refs"))?.commit(&text)?;
        Ok(())
    }

    /// Moves all loose refs into `packed-refs`.
    pub(crate) fn pack_refs(&self) -> Res<()> {
        let all = self.refs("refs/");
        let packed: Vec<(String, Oid)> = all
            .into_iter()
            .filter(|(name, _)| !matches!(self.ref_value(name), Some(Value::Symbolic(_))))
            .collect();
        self.write_packed(&packed)?;
        for (name, oid) in packed {
            let file = self.ref_file(&name);
            if fs::read(&file).is_ok_and(|t| Oid::parse(t.trim_ascii()) == Some(oid)) {
                let _ = fs::remove_file(&file);
                prune_dirs(&file, &self.common_dir.join("refs/heads"));
            }
        }
        Ok(())
    }
}

fn collect(dir: &Path, name: &str, found: &mut Vec<String>, depth: usize) {
    if depth > 64 {
        return;
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let name = format!("{name}/{file}");
        if entry.path().is_dir() {
            collect(&entry.path(), &name, found, depth + 1);
        } else if !file.ends_with(".lock") {
            found.push(name);
        }
    }
}

/// Directories without files in the place where a file is to be.
fn remove_empty_dirs(file: &Path) {
    fn empty(dir: &Path, depth: usize) {
        if depth < 64 && fs::symlink_metadata(dir).is_ok_and(|m| m.is_dir()) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                empty(&entry.path(), depth + 1);
            }
            let _ = fs::remove_dir(dir);
        }
    }
    empty(file, 0);
}

/// Directories above a removed file that are empty now, below `top`.
fn prune_dirs(file: &Path, top: &Path) {
    let mut dir = file.parent();
    while let Some(at) = dir {
        // `refs/heads` and its like stay.
        if !at.starts_with(top) || at == top || at.parent() == Some(top) || fs::remove_dir(at).is_err() {
            break;
        }
        dir = at.parent();
    }
}
