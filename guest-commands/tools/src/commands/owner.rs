//! `chown`, `chgrp`, `id`, `whoami` and `groups`: owners of files and the ids of this process.

use crate::context::{Cx, End, Outcome};
use crate::names::{self, Names};
use crate::options::Order;
use crate::quote::{quote, quoteaf};
use crate::walk;
use agentos_guest::fs::{self, FileType, file_type};
use agentos_guest::{strerror, user};
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &[
    "c,changes",
    "f,silent",
    "quiet",
    "v,verbose",
    "h,no-dereference",
    "dereference",
    "R,recursive",
    "reference=",
    "from=",
    "H",
    "L",
    "P",
    "preserve-root",
    "no-preserve-root",
];
const HELP: &str = "{} [OPTION]... OWNER[:GROUP] FILE...  (chgrp: GROUP FILE...)
Change the owner and/or group of each FILE.
  -c, --changes          like verbose but report only when a change is made
  -f, --silent, --quiet  suppress most error messages
  -v, --verbose          output a diagnostic for every file processed
  -h, --no-dereference   affect symbolic links instead of any referenced file
      --reference=RFILE  use RFILE's owner and group
      --preserve-root    fail to operate recursively on '/'; --no-preserve-root (the default)
  -R, --recursive        operate on files and directories recursively";

struct Job {
    uid: Option<u32>,
    gid: Option<u32>,
    changes: bool,
    verbose: bool,
    silent: bool,
    links: bool,
    recursive: bool,
    shown: String,
}

/// `chown` and `chgrp`.
pub(crate) fn chown(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    for refused in ["from", "H", "L"] {
        if has(refused) {
            return Err(cx.usage(format!("option '{refused}' is not supported")));
        }
    }
    let group_only = cx.name == "chgrp";
    let mut operands = &parsed.operands[..];
    let (uid, gid, shown) = match parsed.opts.iter().rfind(|o| o.id == "reference") {
        Some(opt) => match fs::stat(opt.arg()) {
            Ok(s) if group_only => (None, Some(s.gid), s.gid.to_string()),
            Ok(s) => (Some(s.uid), Some(s.gid), format!("{}:{}", s.uid, s.gid)),
            Err(error) => {
                let message =
                    format!("failed to get attributes of {}: {}", quoteaf(opt.arg()), strerror(&error));
                return Err(End::Failure(1, message));
            }
        },
        None => {
            let Some((spec, rest)) = operands.split_first() else { return Err(cx.missing_operand()) };
            operands = rest;
            let (uid, gid) = if group_only { (None, group(spec)?) } else { owner(spec)? };
            (uid, gid, spec.to_string_lossy().into_owned())
        }
    };
    if operands.is_empty() {
        let last = parsed.operands.last().map_or(OsStr::new(""), |o| o);
        return Err(cx.usage(format!("missing operand after {}", quote(last))));
    }
    let job = Job {
        uid,
        gid,
        changes: has("changes"),
        verbose: has("verbose"),
        silent: has("silent") || has("quiet"),
        links: parsed
            .opts
            .iter()
            .rfind(|o| matches!(o.id, "dereference" | "no-dereference"))
            .is_some_and(|o| o.id == "no-dereference"),
        recursive: has("recursive"),
        shown,
    };
    let guarded = walk::guards_root(&parsed.opts);
    for file in operands {
        if guarded && walk::refuse_root(cx, file) {
            continue;
        }
        visit(cx, &job, file, 0)?;
    }
    Ok(0)
}

fn owner(spec: &OsStr) -> Result<(Option<u32>, Option<u32>), End> {
    let text = spec.to_string_lossy();
    let (name, group_name) = match text.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (text.as_ref(), None),
    };
    let uid = match name {
        "" => None,
        name => match names::user_operand(name) {
            Some(uid) => Some(uid),
            None => return Err(End::Failure(1, format!("invalid user: {}", quote(spec)))),
        },
    };
    let gid = match group_name {
        None => None,
        // `user:` means the user's login group.
        Some("") if !name.is_empty() => names::account(name).map(|a| a.gid),
        Some("") => None,
        Some(name) => match names::group_operand(name) {
            Some(gid) => Some(gid),
            None => return Err(End::Failure(1, format!("invalid group: {}", quote(spec)))),
        },
    };
    Ok((uid, gid))
}

fn group(spec: &OsStr) -> Result<Option<u32>, End> {
    match names::group_operand(&spec.to_string_lossy()) {
        Some(gid) => Ok(Some(gid)),
        None if spec.is_empty() => Ok(None),
        None => Err(End::Failure(1, format!("invalid group: {}", quote(spec)))),
    }
}

fn visit(cx: &mut Cx, job: &Job, path: &OsStr, depth: usize) -> Result<(), End> {
    let through = !job.links && depth == 0;
    let found = if through { fs::stat(path) } else { fs::lstat(path) };
    let old = match found {
        Ok(old) => old,
        Err(error) => {
            cx.status = 1;
            if !job.silent {
                cx.say(format_args!("cannot access {}: {}", quoteaf(path), strerror(&error)));
            }
            return Ok(());
        }
    };
    let is_dir = file_type(old.mode) == FileType::Dir;
    let changed = job.uid.is_some_and(|uid| uid != old.uid) || job.gid.is_some_and(|gid| gid != old.gid);
    let done = if through { fs::chown(path, job.uid, job.gid) } else { fs::lchown(path, job.uid, job.gid) };
    let what = if cx.name == "chgrp" { "group" } else { "ownership" };
    if let Err(error) = done {
        cx.status = 1;
        if !job.silent {
            cx.say(format_args!("changing {what} of {}: {}", quoteaf(path), strerror(&error)));
        }
    } else if changed && (job.changes || job.verbose) {
        let mut names = Names::default();
        let was = if cx.name == "chgrp" {
            names.group_or_id(old.gid)
        } else if job.gid.is_some() {
            format!("{}:{}", names.user_or_id(old.uid), names.group_or_id(old.gid))
        } else {
            names.user_or_id(old.uid)
        };
        cx.print(format_args!("changed {what} of {} from {was} to {}\n", quoteaf(path), job.shown))?;
    } else if job.verbose {
        cx.print(format_args!("{what} of {} retained as {}\n", quoteaf(path), job.shown))?;
    }
    if job.recursive && is_dir {
        let children = if depth < walk::MAX_DEPTH { walk::children(path) } else { Err(walk::too_deep()) };
        match children {
            Ok(children) => {
                for child in children {
                    visit(cx, job, &child, depth + 1)?;
                }
            }
            Err(error) => {
                cx.warn(format_args!("cannot read directory {}: {}", quoteaf(path), strerror(&error)))
            }
        }
    }
    Ok(())
}

/// The ids that `id` tells of.
struct Ids {
    uid: u32,
    euid: u32,
    gid: u32,
    egid: u32,
    groups: Vec<u32>,
}

fn ids(operand: Option<&OsString>) -> Result<Ids, End> {
    let Some(operand) = operand else {
        let (gid, egid) = (user::getgid(), user::getegid());
        let mut groups = user::getgroups().unwrap_or_default();
        groups.retain(|g| *g != egid);
        groups.insert(0, egid);
        return Ok(Ids { uid: user::getuid(), euid: user::geteuid(), gid, egid, groups });
    };
    let text = operand.to_string_lossy();
    let account = names::account(&text).or_else(|| {
        let uid = text.parse().ok()?;
        names::account(&Names::default().user(uid)?)
    });
    let Some(account) = account else {
        return Err(End::Failure(1, format!("{}: no such user", quote(operand))));
    };
    let mut groups = names::groups_of(&account.name);
    groups.retain(|g| *g != account.gid);
    groups.insert(0, account.gid);
    Ok(Ids { uid: account.uid, euid: account.uid, gid: account.gid, egid: account.gid, groups })
}

/// `id`.
pub(crate) fn id(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]... [USER]\nPrint user and group information for USER, or the current process.
  -g, --group   print only the effective group ID
  -G, --groups  print all group IDs
  -n, --name    print a name instead of a number, for -ugG
  -r, --real    print the real ID instead of the effective ID, with -ugG
  -u, --user    print only the effective user ID
  -z, --zero    delimit entries with NUL characters";
    let spec = &["a", "g,group", "G,groups", "n,name", "r,real", "u,user", "z,zero"];
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    if parsed.operands.len() > 1 {
        return Err(cx.usage(format!("extra operand {}", quote(&parsed.operands[1]))));
    }
    let which = [has("user"), has("group"), has("groups")].iter().filter(|b| **b).count();
    if which > 1 {
        return Err(End::Failure(1, "cannot print \"only\" of more than one choice".to_owned()));
    }
    if which == 0 && (has("name") || has("real")) {
        return Err(End::Failure(1, "cannot print only names or real IDs in default format".to_owned()));
    }
    let ids = ids(parsed.operands.first())?;
    let mut names = Names::default();
    let (name, end) = (has("name"), if has("zero") { "\0" } else { "\n" });
    let text = if has("user") {
        let uid = if has("real") { ids.uid } else { ids.euid };
        if name { names.user_or_id(uid) } else { uid.to_string() }
    } else if has("group") {
        let gid = if has("real") { ids.gid } else { ids.egid };
        if name { names.group_or_id(gid) } else { gid.to_string() }
    } else if has("groups") {
        let all: Vec<String> =
            ids.groups.iter().map(|g| if name { names.group_or_id(*g) } else { g.to_string() }).collect();
        all.join(if has("zero") { "\0" } else { " " })
    } else {
        let named =
            |id: u32, name: Option<String>| name.map_or(id.to_string(), |name| format!("{id}({name})"));
        let mut text = format!(
            "uid={} gid={}",
            named(ids.uid, names.user(ids.uid)),
            named(ids.gid, names.group(ids.gid))
        );
        if ids.euid != ids.uid {
            text += &format!(" euid={}", named(ids.euid, names.user(ids.euid)));
        }
        if ids.egid != ids.gid {
            text += &format!(" egid={}", named(ids.egid, names.group(ids.egid)));
        }
        let all: Vec<String> = ids.groups.iter().map(|g| named(*g, names.group(*g))).collect();
        format!("{text} groups={}", all.join(","))
    };
    cx.print(format_args!("{text}{end}"))?;
    Ok(0)
}

/// `whoami`.
pub(crate) fn whoami(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(
        &[],
        args,
        Order::Permute,
        "{}\nPrint the user name associated with the current effective user ID.",
    )?;
    if let Some(extra) = parsed.operands.first() {
        return Err(cx.usage(format!("extra operand {}", quote(extra))));
    }
    let uid = user::geteuid();
    match Names::default().user(uid) {
        Some(name) => cx.print(format_args!("{name}\n"))?,
        None => return Err(End::Failure(1, format!("cannot find name for user ID {uid}"))),
    }
    Ok(0)
}

/// `groups`.
pub(crate) fn groups(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(&[], args, Order::Permute, "{} [USER]...\nPrint group memberships.")?;
    let mut names = Names::default();
    let mut show = |cx: &mut Cx, user: Option<&OsString>| {
        let all: Vec<String> = ids(user)?.groups.iter().map(|g| names.group_or_id(*g)).collect();
        let before = user.map_or(String::new(), |u| format!("{} : ", u.to_string_lossy()));
        cx.print(format_args!("{before}{}\n", all.join(" ")))
    };
    if parsed.operands.is_empty() {
        show(cx, None)?;
    }
    for user in &parsed.operands {
        show(cx, Some(user))?;
    }
    Ok(0)
}
