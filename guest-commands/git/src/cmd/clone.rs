//! `git clone`.

use crate::address::{self, Place};
use crate::args::{Args, Word};
use crate::bytes;
use crate::config::{self, Config, Edit};
use crate::error::{Res, Stop, fatal, say};
use crate::oid::Oid;
use crate::refspec::Spec;
use crate::repo::{Repo, Setting, clean};
use crate::transport::{self, Advertised, Transport};
use crate::{message, switch};
use std::fs;
use std::path::{Path, PathBuf};

const USAGE: &str = "[-q] [-n | --no-checkout] [--bare | --mirror] [-o <name>] [-b <name>] [-s] [--depth <depth>] [--[no-]single-branch] [--no-tags] [--template=<dir>] [--separate-git-dir=<dir>] [-c <key>=<value>] [--] <repository> [<directory>]";

#[derive(Default)]
struct Options {
    quiet: bool,
    bare: bool,
    mirror: bool,
    no_checkout: bool,
    no_tags: bool,
    no_local: bool,
    no_links: bool,
    shared: bool,
    single: Option<bool>,
    depth: Option<usize>,
    origin: Option<String>,
    branch: Option<String>,
    template: Option<String>,
    separate: Option<PathBuf>,
    config: Vec<String>,
}

fn parse(words: &[Vec<u8>]) -> Res<(Options, Vec<Vec<u8>>)> {
    let mut args = Args::new(words, "objcu", "clone", USAGE);
    let mut options = Options::default();
    let mut plain = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-q" | "--quiet" => options.quiet = true,
                "-v" | "--verbose" | "--progress" | "--no-progress" => {}
                "-n" | "--no-checkout" => options.no_checkout = true,
                "--bare" => options.bare = true,
                "--mirror" => (options.mirror, options.bare) = (true, true),
                "-l" | "--local" => options.no_local = false,
                "--no-local" => options.no_local = true,
                "--no-hardlinks" => options.no_links = true,
                "--hardlinks" => options.no_links = false,
                "-s" | "--shared" => options.shared = true,
                "--single-branch" => options.single = Some(true),
                "--no-single-branch" => options.single = Some(false),
                "--no-tags" => options.no_tags = true,
                "--tags" => options.no_tags = false,
                "-o" | "--origin" | "--origin=" => options.origin = Some(args.value(&o)?),
                "-b" | "--branch" | "--branch=" => options.branch = Some(args.value(&o)?),
                "--depth" | "--depth=" => {
                    let text = args.value(&o)?;
                    match text.parse() {
                        Ok(depth) if depth > 0 => options.depth = Some(depth),
                        _ => fatal!("depth {text} is not a positive number"),
                    }
                }
                "--template" | "--template=" => options.template = Some(args.value(&o)?),
                "--separate-git-dir" | "--separate-git-dir=" => {
                    options.separate = Some(clean(Path::new(&args.value(&o)?)))
                }
                "-c" | "--config" | "--config=" => options.config.push(args.value(&o)?),
                "-j" | "--jobs" | "--jobs=" | "-u" | "--upload-pack" | "--upload-pack=" => {
                    args.value(&o)?;
                }
                "--no-recurse-submodules" | "--no-shallow-submodules" | "--no-reject-shallow" => {}
                "--recurse-submodules" | "--recursive" | "--recurse-submodules=" => {
                    fatal!("option {} is not supported: submodules are not", o.trim_end_matches('='))
                }
                "--reference"
                | "--reference-if-able"
                | "--dissociate"
                | "--filter"
                | "--filter="
                | "--sparse"
                | "--shallow-since"
                | "--shallow-since="
                | "--shallow-exclude"
                | "--shallow-exclude="
                | "--bundle-uri"
                | "--bundle-uri="
                | "--reject-shallow"
                | "--reference=" => fatal!("option {} is not supported", o.trim_end_matches('=')),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => plain.push(word),
        }
    }
    if plain.is_empty() {
        say!("fatal: You must specify a repository to clone.\n");
        return Err(Stop::Said(129, args.usage_text()));
    }
    if plain.len() > 2 {
        say!("fatal: Too many arguments.\n");
        return Err(Stop::Said(129, args.usage_text()));
    }
    if options.bare && options.separate.is_some() {
        fatal!("options '--bare' and '--separate-git-dir' cannot be used together");
    }
    Ok((options, plain))
}

/// Copies a file tree, as hard links where that works.
fn copy_tree(from: &Path, to: &Path, links: bool, depth: usize) -> Res<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        let (name, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            if depth < 32 {
                copy_tree(&name, &target, links, depth + 1)?;
            }
        } else if !target.exists() && (!links || fs::hard_link(&name, &target).is_err()) {
            fs::copy(&name, &target)?;
        }
    }
    Ok(())
}

/// Takes over the objects of a directory of this machine without making packs of them.
fn copy_objects(from: &Path, to: &Path, options: &Options) -> Res<()> {
    let info = to.join("info");
    fs::create_dir_all(&info)?;
    let mut alternates: Vec<PathBuf> = Vec::new();
    if options.shared {
        alternates.push(from.to_owned());
    } else {
        for entry in fs::read_dir(from)?.flatten() {
            let name = entry.file_name();
            if name != "info" {
                copy_tree(&entry.path(), &to.join(&name), !options.no_links, 0)?;
            }
        }
        let text = fs::read_to_string(from.join("info/alternates")).unwrap_or_default();
        alternates.extend(text.lines().filter(|l| !l.is_empty()).map(|l| clean(&from.join(l))));
    }
    if !alternates.is_empty() {
        let text: String = alternates.iter().map(|a| format!("{}\n", a.display())).collect();
        fs::write(info.join("alternates"), text)?;
    }
    Ok(())
}

/// Which refs a clone takes, and under which names.
fn refs_to_take(
    refs: &[Advertised],
    spec: Option<&Spec>,
    head: Option<&str>,
    options: &Options,
) -> Vec<(String, String, Oid)> {
    let mut taken = Vec::new();
    for r in refs.iter().filter(|r| r.name.starts_with("refs/")) {
        let target = if options.mirror {
            Some(r.name.clone())
        } else if let Some(tag) = r.name.strip_prefix("refs/tags/") {
            (!options.no_tags).then(|| format!("refs/tags/{tag}"))
        } else if head.is_some_and(|h| h != r.name) {
            None
        } else {
            spec.and_then(|s| s.map(&r.name))
        };
        taken.extend(target.map(|t| (r.name.clone(), t, r.oid)));
    }
    if let Some(head) = head
        && head.starts_with("refs/tags/")
    {
        taken.retain(|t| t.0.starts_with("refs/tags/"));
    }
    taken
}

pub(crate) fn clone(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let (options, plain) = parse(words)?;
    let given = bytes::text(&plain[0]);
    let user = Config::load(None, &setting.config)?;
    let address = address::rewrite(&user, &given, false);
    let bare = options.bare;
    let dir = match plain.get(1) {
        Some(dir) => bytes::text(dir),
        None => address::directory(&given, bare),
    };
    // A place of this machine is known before anything is made; the network is asked afterwards.
    let (url, source, as_file) = match address::place(&address) {
        Ok(Place::Path { path, file }) => match address::find(&path) {
            Some(found) if file => (address.clone(), found, true),
            Some(found) => {
                // The address stays as it was given, but is not relative.
                let url = agentos_guest::env::current_dir()?.join(&path);
                (bytes::text(bytes::of(url.as_os_str())), clean(&found), false)
            }
            None if file => (address.clone(), path, true),
            None => fatal!("repository '{address}' does not exist"),
        },
        Err(stop) => {
            if !options.quiet {
                say!("Cloning into '{dir}'...");
            }
            return Err(stop);
        }
    };
    let top = clean(Path::new(&dir));
    let existed = top.exists();
    if fs::read_dir(&top).is_ok_and(|mut d| d.next().is_some()) || top.is_file() {
        fatal!("destination path '{dir}' already exists and is not an empty directory.");
    }
    if !options.quiet {
        let into = if bare { "Cloning into bare repository" } else { "Cloning into" };
        say!("{into} '{dir}'...");
    }
    let git_dir = match &options.separate {
        Some(dir) => dir.clone(),
        None if bare => top.clone(),
        None => top.join(".git"),
    };
    let here = agentos_guest::env::current_dir()?;
    let done = fill(setting, &options, &user, &url, &source, as_file, &top, &git_dir);
    if done.is_err() {
        // Nothing half-made stays.
        let _ = agentos_guest::env::set_current_dir(&here);
        let _ = fs::remove_dir_all(&git_dir);
        if existed {
            for entry in fs::read_dir(&top).into_iter().flatten().flatten() {
                let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
            }
        } else {
            let _ = fs::remove_dir_all(&top);
        }
    }
    done
}

#[expect(clippy::too_many_arguments, reason = "what was made out of the command line")]
fn fill(
    setting: &Setting,
    options: &Options,
    user: &Config,
    url: &str,
    source: &Path,
    as_file: bool,
    top: &Path,
    git_dir: &Path,
) -> Res<i32> {
    let bare = options.bare;
    let mut from: Box<dyn Transport> = if source.exists() && (address::find(source).is_some()) {
        if source.is_file() {
            Box::new(crate::bundle::Bundle::read(source)?)
        } else {
            Box::new(transport::Local::open(source)?)
        }
    } else {
        transport::open(url)?
    };
    fs::create_dir_all(top).map_err(|e| {
        Stop::Fatal(format!(
            "could not create work tree dir '{}': {}",
            top.display(),
            agentos_guest::strerror(&e)
        ))
    })?;
    let first = from.head().map_or_else(
        || super::init::default_branch(user),
        |h| h.trim_start_matches("refs/heads/").to_owned(),
    );
    super::init::create(git_dir, bare, &first)?;
    if options.separate.is_some() {
        fs::write(top.join(".git"), format!("gitdir: {}\n", git_dir.display()))?;
    }
    let template = options.template.clone().or_else(|| user.get("init.templatedir"));
    if let Some(dir) = template.filter(|d| !d.is_empty()) {
        let dir = PathBuf::from(config::expand_home(&dir));
        match dir.is_dir() {
            true => copy_tree(&dir, git_dir, false, 0)?,
            false => say!("warning: templates not found in {}", dir.display()),
        }
    }
    let origin = options
        .origin
        .clone()
        .or_else(|| user.get("clone.defaultremotename"))
        .unwrap_or_else(|| "origin".to_owned());
    if !crate::refs::valid(&format!("refs/remotes/{origin}/x")) {
        fatal!("'{origin}' is not a valid remote name");
    }
    let file = git_dir.join("config");
    let set = |key: &str, value: &str| config::edit(&file, key, &Edit::Set(value.as_bytes()), &|_| true);
    for pair in &options.config {
        let (key, value) = pair.split_once('=').unwrap_or((pair, "true"));
        config::edit(&file, key, &Edit::Add(value.as_bytes()), &|_| true)?;
    }
    let mut refs = from.refs().to_vec();
    let head = from.head().map(str::to_owned);
    // What is checked out: a branch, or a commit that is on none.
    let (branch, at) = match &options.branch {
        Some(name) => {
            let find = |full: String| refs.iter().find(|r| r.name == full);
            match (find(format!("refs/heads/{name}")), find(format!("refs/tags/{name}"))) {
                (Some(r), _) => (Some(r.name.clone()), Some(r.oid)),
                (None, Some(r)) => (Some(r.name.clone()), Some(r.peeled.unwrap_or(r.oid))),
                (None, None) => fatal!("Remote branch {name} not found in upstream {origin}"),
            }
        }
        None => (head.clone(), refs.iter().find(|r| r.name == "HEAD").map(|r| r.oid)),
    };
    let depth = match options.depth {
        Some(_) if !as_file && !options.no_local && source.is_dir() => {
            say!("warning: --depth is ignored in local clones; use file:// instead.");
            None
        }
        other => other,
    };
    let single = options.single.unwrap_or(options.depth.is_some());
    set(&format!("remote.{origin}.url"), url)?;
    if options.no_tags {
        set(&format!("remote.{origin}.tagOpt"), "--no-tags")?;
    }
    let spec = match (bare, single) {
        (true, _) => Spec::parse("+refs/heads/*:refs/heads/*")?,
        (false, true) => match &branch {
            Some(full) if full.starts_with("refs/tags/") => Spec::parse(&format!("+{full}:{full}"))?,
            Some(full) => {
                let short = full.trim_start_matches("refs/heads/");
                Spec::parse(&format!("+{full}:refs/remotes/{origin}/{short}"))?
            }
            None => Spec::default(),
        },
        (false, false) => Spec::parse(&format!("+refs/heads/*:refs/remotes/{origin}/*"))?,
    };
    if options.mirror {
        set(&format!("remote.{origin}.fetch"), "+refs/*:refs/*")?;
        set(&format!("remote.{origin}.mirror"), "true")?;
    } else if !bare && !spec.from.is_empty() {
        set(
            &format!("remote.{origin}.fetch"),
            &format!("+{}:{}", spec.from, spec.to.as_deref().unwrap_or("")),
        )?;
    }
    let mut taken = refs_to_take(&refs, Some(&spec), if single { branch.as_deref() } else { None }, options);
    let copied = !as_file && !options.no_local && source.is_dir() && !source.join("shallow").exists();
    if copied {
        let common = fs::read(source.join("commondir"))
            .map_or_else(|_| source.to_owned(), |t| clean(&source.join(bytes::path(t.trim_ascii_end()))));
        copy_objects(&common.join("objects"), &git_dir.join("objects"), options)?;
    }
    let mut repo = Repo::at(git_dir)?;
    if !copied {
        // Tags come along with what they are of.
        let wants: Vec<Oid> = taken
            .iter()
            .filter(|t| !(single && t.0.starts_with("refs/tags/")))
            .map(|t| t.2)
            .chain(at)
            .collect();
        transport::bring(&mut repo, &mut *from, &wants, depth)?;
    }
    if single {
        let odb = &repo.odb;
        let there = |t: &(String, String, Oid)| {
            let peeled = refs.iter().find(|r| r.name == t.0).and_then(|r| r.peeled).unwrap_or(t.2);
            !t.0.starts_with("refs/tags/") || branch.as_ref() == Some(&t.0) || odb.exists(&peeled)
        };
        taken.retain(there);
        let heads: Vec<(String, Oid)> =
            taken.iter().filter(|t| odb.exists(&t.2)).map(|t| (t.1.clone(), t.2)).collect();
        repo.write_packed(&heads)?;
        let wants: Vec<Oid> = taken.iter().map(|t| t.2).collect();
        transport::bring(&mut repo, &mut *from, &wants, None)?;
    }
    let mut packed: Vec<(String, Oid)> = taken.iter().map(|t| (t.1.clone(), t.2)).collect();
    packed.sort();
    if !packed.is_empty() {
        repo.write_packed(&packed)?;
    }
    if refs.is_empty() {
        say!("warning: You appear to have cloned an empty repository.");
    }
    refs.retain(|r| r.name.starts_with("refs/heads/"));
    let log = format!("clone: from {url}");
    if let (false, Some(full), Some(_)) = (bare, &head, at) {
        let short = full.trim_start_matches("refs/heads/");
        let tracking = format!("refs/remotes/{origin}/{short}");
        if let Some(oid) = repo.ref_oid(&tracking) {
            let name = format!("refs/remotes/{origin}/HEAD");
            repo.set_symbolic(&name, &tracking, Some((Oid::ZERO, oid, &log)))?;
        }
    }
    let mut detached = false;
    match (&branch, at) {
        (Some(full), Some(oid)) if full.starts_with("refs/heads/") => {
            let short = &full["refs/heads/".len()..];
            repo.set_symbolic("HEAD", full, None)?;
            if !bare {
                repo.set_ref(full, &oid, None, &log)?;
                set(&format!("branch.{short}.remote"), &origin)?;
                set(&format!("branch.{short}.merge"), full)?;
            }
        }
        (_, Some(oid)) => {
            detached = true;
            repo.detach(&oid, &log)?;
        }
        (Some(full), None) if full.starts_with("refs/heads/") && !bare && refs.is_empty() => {
            let short = &full["refs/heads/".len()..];
            set(&format!("branch.{short}.remote"), &origin)?;
            set(&format!("branch.{short}.merge"), full)?;
        }
        _ => {}
    }
    if !options.quiet && source.is_dir() && !as_file && !options.no_local {
        say!("done.");
    }
    if at.is_none() && !refs.is_empty() {
        say!("warning: remote HEAD refers to nonexistent ref, unable to checkout");
    }
    if bare || options.no_checkout || at.is_none() {
        return Ok(0);
    }
    if detached && user.flag("advice.detachedhead", true) {
        super::checkout::detached_advice(&at.map(|o| o.to_string()).unwrap_or_default());
    }
    agentos_guest::env::set_current_dir(top)?;
    let repo = Repo::open(&Setting { config: setting.config.clone(), ..Setting::default() })?;
    let mut index = repo.index()?;
    let lock = index.lock()?;
    switch::force(&repo, &mut index, &super::head_files(&repo)?)?;
    index.write(lock)?;
    let (zero, new) = (Oid::ZERO.to_string(), repo.head().unwrap_or_default().to_string());
    message::hook(&repo, "post-checkout", &[Path::new(&zero), Path::new(&new), Path::new("1")])
}
