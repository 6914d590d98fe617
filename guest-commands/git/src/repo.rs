//! Finding a repository and what belongs to it. The program moves to the top of the work tree; `prefix` is where it was.

use crate::bytes;
use crate::config::Config;
use crate::error::{Res, Stop, fatal};
use crate::ignore::Ignore;
use crate::index::Index;
use crate::odb::Odb;
use crate::oid::Person;
use crate::pathspec::Pathspec;
use agentos_guest::env::{current_dir, set_current_dir};
use std::fs;
use std::path::{Path, PathBuf};

/// What the options before the command and the environment say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setting {
    pub(crate) git_dir: Option<PathBuf>,
    pub(crate) work_tree: Option<PathBuf>,
    pub(crate) config: Vec<String>,
    pub(crate) bare: bool,
}

/// An open repository.
pub(crate) struct Repo {
    /// Where HEAD and the index are; relative to the working directory if it lies in it.
    pub(crate) git_dir: PathBuf,
    /// As it is shown by `rev-parse --git-dir`.
    pub(crate) shown_git_dir: PathBuf,
    /// Where objects and branches are; the same but in a linked work tree.
    pub(crate) common_dir: PathBuf,
    /// Absolute; `None` in a bare repository.
    pub(crate) work_tree: Option<PathBuf>,
    /// The directory the program was called in, from the top of the work tree, without a slash at the end.
    pub(crate) prefix: Vec<u8>,
    /// The absolute directory the program was called in.
    pub(crate) cwd: PathBuf,
    pub(crate) config: Config,
    pub(crate) odb: Odb,
}

/// Whether a directory is a repository by itself.
pub(crate) fn is_git_dir(dir: &Path) -> bool {
    fs::symlink_metadata(dir.join("HEAD")).is_ok()
        && (dir.join("commondir").exists() || (dir.join("objects").is_dir() && dir.join("refs").is_dir()))
}

/// The directory that a `.git` file names.
fn git_file(file: &Path) -> Res<PathBuf> {
    let text = fs::read(file)?;
    let Some(target) = text.strip_prefix(b"gitdir: ") else {
        fatal!("invalid gitfile format: {}", file.display());
    };
    let dir = file.parent().unwrap_or(Path::new("")).join(bytes::path(target.trim_ascii_end()));
    if !is_git_dir(&dir) {
        fatal!("not a git repository: {}", dir.display());
    }
    Ok(dir)
}

/// Without `.`, `..` and doubled slashes, by names only.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let absolute =
        if path.is_absolute() { path.to_owned() } else { current_dir().unwrap_or_default().join(path) };
    let parts = bytes::normalize(b"", bytes::of(absolute.as_os_str())).unwrap_or_default();
    bytes::path_buf([b"/", &parts[..]].concat())
}

impl Repo {
    /// Finds the repository of the working directory and moves to the top of its work tree.
    pub(crate) fn open(setting: &Setting) -> Res<Repo> {
        let cwd = current_dir().map_err(|e| {
            Stop::Fatal(format!("Unable to read current working directory: {}", agentos_guest::strerror(&e)))
        })?;
        let (git_dir, mut work_tree, shown);
        if let Some(dir) = &setting.git_dir {
            let dir = if dir.is_file() { git_file(dir)? } else { dir.clone() };
            if !is_git_dir(&dir) {
                fatal!("not a git repository: '{}'", dir.display());
            }
            git_dir = clean(&dir);
            shown = Some(dir);
            work_tree = Some(cwd.clone());
        } else {
            let mut at = cwd.clone();
            loop {
                let dot = at.join(".git");
                if dot.is_file() {
                    git_dir = clean(&git_file(&dot)?);
                    work_tree = Some(at.clone());
                    shown = None;
                    break;
                }
                if is_git_dir(&dot) {
                    git_dir = dot;
                    work_tree = Some(at.clone());
                    shown = None;
                    break;
                }
                if is_git_dir(&at) {
                    git_dir = at.clone();
                    work_tree = None;
                    shown = Some(if at == cwd { PathBuf::from(".") } else { at });
                    break;
                }
                if !at.pop() {
                    fatal!("not a git repository (or any of the parent directories): .git");
                }
            }
        }
        let common_dir = match fs::read(git_dir.join("commondir")) {
            Ok(text) => clean(&git_dir.join(bytes::path(text.trim_ascii_end()))),
            Err(_) => git_dir.clone(),
        };
        let config = Config::load(Some(&common_dir), &setting.config)?;
        let explicit =
            setting.work_tree.clone().or_else(|| config.get("core.worktree").map(|dir| git_dir.join(dir)));
        if setting.bare || (explicit.is_none() && config.flag("core.bare", false)) {
            work_tree = None;
        } else if let Some(dir) = explicit {
            let dir = clean(&dir);
            work_tree = Some(dir);
        }
        if let Some(version) = config.get("core.repositoryformatversion")
            && version.parse::<u32>().is_ok_and(|v| v > 1)
        {
            fatal!("Expected git repo version <= 1, found {version}");
        }
        if let Some(format) = config.get("extensions.objectformat")
            && format != "sha1"
        {
            fatal!("repositories with objects named by {format} are not supported");
        }
        if config.get("extensions.refstorage").is_some_and(|s| s != "files") {
            fatal!("repositories with refs in another form than files are not supported");
        }
        let odb_dir = std::env::var_os("GIT_OBJECT_DIRECTORY")
            .map_or_else(|| common_dir.join("objects"), PathBuf::from);
        let mut repo = Repo {
            shown_git_dir: shown.unwrap_or_else(|| {
                if work_tree.as_ref().is_some_and(|w| *w == cwd && git_dir == w.join(".git")) {
                    PathBuf::from(".git")
                } else {
                    git_dir.clone()
                }
            }),
            git_dir,
            common_dir,
            work_tree,
            prefix: Vec::new(),
            cwd: cwd.clone(),
            config,
            odb: Odb::new(odb_dir),
        };
        if let Some(root) = &repo.work_tree
            && let Ok(below) = cwd.strip_prefix(root)
        {
            repo.prefix = bytes::of(below.as_os_str()).to_vec();
            set_current_dir(root)?;
        }
        Ok(repo)
    }

    /// Another repository than that of the working directory. It moves nowhere.
    pub(crate) fn at(git_dir: &Path) -> Res<Repo> {
        let git_dir = clean(git_dir);
        let common_dir = match fs::read(git_dir.join("commondir")) {
            Ok(text) => clean(&git_dir.join(bytes::path(text.trim_ascii_end()))),
            Err(_) => git_dir.clone(),
        };
        let config = Config::load(Some(&common_dir), &[])?;
        let bare = config.flag("core.bare", git_dir.file_name().is_none_or(|n| n != ".git"));
        let work_tree = if bare { None } else { git_dir.parent().map(Path::to_owned) };
        Ok(Repo {
            shown_git_dir: git_dir.clone(),
            odb: Odb::new(common_dir.join("objects")),
            git_dir,
            common_dir,
            work_tree,
            prefix: Vec::new(),
            cwd: current_dir()?,
            config,
        })
    }

    /// Looks at the object store anew, after packs were added.
    pub(crate) fn reload(&mut self) {
        self.odb = Odb::new(self.odb.dir().to_owned());
    }

    /// Moves to the top of the work tree; fails in a bare repository.
    pub(crate) fn need_work_tree(&self) -> Res<()> {
        match &self.work_tree {
            None => fatal!("this operation must be run in a work tree"),
            Some(root) => {
                if self.cwd.strip_prefix(root).is_err() {
                    set_current_dir(root)?;
                }
                Ok(())
            }
        }
    }

    /// The work tree as bytes, for messages.
    pub(crate) fn root(&self) -> Vec<u8> {
        self.work_tree.as_ref().map(|w| bytes::of(w.as_os_str()).to_vec()).unwrap_or_default()
    }

    /// A file of the repository that belongs to this work tree.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.git_dir.join(name)
    }

    /// The same as hooks and messages name it: from the top of the work tree if it lies below.
    pub(crate) fn shown_file(&self, name: &str) -> PathBuf {
        let file = self.file(name);
        match self.work_tree.as_ref().and_then(|w| file.strip_prefix(w).ok()) {
            Some(below) => below.to_owned(),
            None => file,
        }
    }

    pub(crate) fn index_file(&self) -> PathBuf {
        match std::env::var_os("GIT_INDEX_FILE") {
            Some(file) => self.cwd.join(file),
            None => self.git_dir.join("index"),
        }
    }

    pub(crate) fn index(&self) -> Res<Index> {
        Index::read(&self.index_file())
    }

    pub(crate) fn pathspec(&self, arguments: &[Vec<u8>]) -> Res<Pathspec> {
        Pathspec::new(arguments, &self.prefix, &self.root())
    }

    /// A path from the top as it is seen from where the program was called.
    pub(crate) fn relative(&self, path: &[u8]) -> Vec<u8> {
        bytes::relative(path, &self.prefix)
    }

    /// A path that was given by the user, from the top of the work tree.
    pub(crate) fn user_path(&self, path: &[u8]) -> Res<Vec<u8>> {
        let spec = Pathspec::new(&[[b":(literal)", path].concat()], &self.prefix, &self.root())?;
        Ok(spec.specs[0].path.clone())
    }

    pub(crate) fn quote_path(&self) -> bool {
        self.config.flag("core.quotepath", true)
    }

    /// A name as it is shown.
    pub(crate) fn quoted(&self, path: &[u8]) -> String {
        bytes::text(&bytes::quote(path, self.quote_path()))
    }

    /// What is ignored.
    pub(crate) fn ignore(&self) -> Ignore {
        let mut files = Vec::new();
        match self.config.get("core.excludesfile") {
            Some(file) => files.push(PathBuf::from(crate::config::expand_home(&file))),
            None => {
                let base = match std::env::var_os("XDG_CONFIG_HOME").filter(|d| !d.is_empty()) {
                    Some(dir) => Some(PathBuf::from(dir)),
                    None => std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")),
                };
                files.extend(base.map(|dir| dir.join("git/ignore")));
            }
        }
        let info = self.common_dir.join("info/exclude");
        files.push(
            info.strip_prefix(self.work_tree.as_deref().unwrap_or(Path::new("")))
                .map(Path::to_owned)
                .unwrap_or(info),
        );
        Ignore::new(&files, self.config.flag("core.ignorecase", false))
    }

    /// How many digits a short name has at least.
    pub(crate) fn abbrev(&self) -> usize {
        match self.config.get("core.abbrev").as_deref() {
            Some("no" | "off" | "false") => 40,
            Some(number) => number.parse().unwrap_or(7).clamp(4, 40),
            None => 7,
        }
    }

    /// The short name of an object.
    pub(crate) fn short(&self, oid: &crate::oid::Oid) -> String {
        self.odb.short(oid, self.abbrev())
    }

    /// The name and the address that the environment or the configuration has for a role.
    fn known(&self, role: &str) -> (Option<String>, Option<String>) {
        let env = |what: &str| std::env::var(format!("GIT_{role}_{what}")).ok();
        let lower = role.to_ascii_lowercase();
        let config = |key: &str| {
            self.config.get(&format!("{lower}.{key}")).or_else(|| self.config.get(&format!("user.{key}")))
        };
        let email = env("EMAIL").or_else(|| config("email")).or_else(|| std::env::var("EMAIL").ok());
        (env("NAME").or_else(|| config("name")), email)
    }

    /// Who moved a reference, for its log: who is not known is named after the user and the machine.
    pub(crate) fn logger(&self) -> Person {
        let (name, email) = self.known("COMMITTER");
        let date = std::env::var("GIT_COMMITTER_DATE").ok().and_then(|date| crate::date::parse(&date));
        let (time, zone) = date.unwrap_or_else(crate::date::now);
        let name = name.map(|name| crud(&name)).filter(|name| !name.is_empty()).unwrap_or_else(|| login().1);
        let email = email.map_or_else(auto_email, |email| crud(&email));
        Person { name: name.into_bytes(), email: email.into_bytes(), time, zone }
    }

    /// Author and committer of a stash, which is made for who is not known as well.
    pub(crate) fn stashers(&self) -> Res<(Person, Person)> {
        let other = Some(("git stash", "git@stash"));
        Ok((self.identity("AUTHOR", other)?, self.identity("COMMITTER", other)?))
    }

    fn identity(&self, role: &str, otherwise: Option<(&str, &str)>) -> Res<Person> {
        let env = |what: &str| std::env::var(format!("GIT_{role}_{what}")).ok();
        let (name, email) = self.known(role);
        let name = name.or_else(|| otherwise.map(|(name, _)| name.to_owned()));
        let email = email.or_else(|| otherwise.map(|(_, email)| email.to_owned()));
        let (Some(name), Some(email)) = (name, email) else {
            crate::error::say!(
                "{} identity unknown\n\n*** Please tell me who you are.\n\nRun\n\n  git config --global user.email \"you@example.com\"\n  git config --global user.name \"Your Name\"\n\nto set your account's default identity.\nOmit --global to set the identity only in this repository.\n",
                if role == "AUTHOR" { "Author" } else { "Committer" }
            );
            fatal!("unable to auto-detect email address (got '{}')", auto_email());
        };
        if crud(&name).is_empty() {
            fatal!("empty ident name (for <{email}>) not allowed");
        }
        let (time, zone) = match env("DATE") {
            Some(date) => match crate::date::parse(&date) {
                Some(found) => found,
                None => fatal!("invalid date format: {date}"),
            },
            None => crate::date::now(),
        };
        Ok(Person { name: crud(&name).into_bytes(), email: crud(&email).into_bytes(), time, zone })
    }

    /// Who writes.
    pub(crate) fn author(&self) -> Res<Person> {
        self.identity("AUTHOR", None)
    }

    /// Who commits.
    pub(crate) fn committer(&self) -> Res<Person> {
        self.identity("COMMITTER", None)
    }

    /// Whether reflogs are written.
    pub(crate) fn logs(&self) -> bool {
        self.config.flag("core.logallrefupdates", self.work_tree.is_some())
    }

    pub(crate) fn filemode(&self) -> bool {
        self.config.flag("core.filemode", true)
    }
}

/// A name or an address without what would break a line of a commit.
fn crud(text: &str) -> String {
    let cut = |c: char| c <= ' ' || matches!(c, '.' | ',' | ':' | ';' | '<' | '>' | '"' | '\\' | '\'');
    text.trim_matches(cut).chars().filter(|c| !matches!(c, '\n' | '<' | '>')).collect()
}

/// The user's name in the machine, and the name of the person, which is the same where there is no other.
fn login() -> (String, String) {
    let uid = agentos_guest::user::getuid().to_string();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let fields: Vec<&str> = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&uid.as_str()))
        .unwrap_or_default();
    let user = fields.first().copied().unwrap_or("unknown").to_owned();
    let person = crud(fields.get(4).and_then(|text| text.split(',').next()).unwrap_or_default());
    let person = if person.is_empty() { user.clone() } else { person };
    (user, person)
}

fn auto_email() -> String {
    let host = fs::read_to_string("/etc/hostname").unwrap_or_default();
    format!("{}@{}.(none)", login().0, host.trim())
}
