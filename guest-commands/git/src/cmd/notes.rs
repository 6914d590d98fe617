//! `git notes`: texts beside commits that do not change them. It merges no notes.

use crate::args::{Args, Word};
use crate::bytes;
use crate::changes::Files;
use crate::error::{Res, Stop, fatal, out, put, say};
use crate::message::{self, Cleanup};
use crate::oid::{Commit, Kind, Oid};
use crate::repo::{Repo, Setting};
use crate::{revision, tree};
use std::collections::BTreeMap;
use std::fs;

const USAGE: &str = "[list [<object>]] | add [-f] [-m <msg> | -F <file> | -C <object>] [<object>] | append … | edit | copy [-f] <from> <to> | show [<object>] | remove [<object>...] | prune | get-ref
";

/// The notes of a ref: object to note.
pub(crate) fn load(repo: &Repo, name: &str) -> Res<BTreeMap<Oid, Oid>> {
    let mut all = BTreeMap::new();
    let Some(commit) = repo.ref_oid(name) else { return Ok(all) };
    for (path, (_, oid)) in super::commit_files(repo, &commit)? {
        let hex: Vec<u8> = path.into_iter().filter(|b| *b != b'/').collect();
        if let Some(of) = Oid::parse(&hex) {
            all.insert(of, oid);
        }
    }
    Ok(all)
}

/// The full name of a ref of notes.
pub(crate) fn full_name(name: &str) -> String {
    if name.starts_with("refs/notes/") {
        name.to_owned()
    } else if name.starts_with("notes/") {
        format!("refs/{name}")
    } else {
        format!("refs/notes/{name}")
    }
}

/// The ref whose notes are shown and changed.
pub(crate) fn default_ref(repo: &Repo) -> String {
    std::env::var("GIT_NOTES_REF")
        .ok()
        .or_else(|| repo.config.get("core.notesref"))
        .unwrap_or_else(|| "refs/notes/commits".to_owned())
}

fn save(repo: &Repo, name: &str, all: &BTreeMap<Oid, Oid>, log: &str) -> Res<()> {
    let files: Files = all.iter().map(|(of, oid)| (of.to_string().into_bytes(), (0o100_644, *oid))).collect();
    let old = repo.ref_oid(name);
    let made = Commit {
        tree: tree::from_files(repo, &files)?,
        parents: old.into_iter().collect(),
        author: repo.author()?,
        committer: repo.committer()?,
        extra: Vec::new(),
        message: format!("{log}\n").into_bytes(),
    };
    let oid = repo.odb.write(Kind::Commit, &made.write())?;
    repo.set_ref(name, &oid, None, &format!("notes: {log}"))
}

pub(crate) fn notes(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "mFCc", "notes", USAGE);
    let (mut name, mut force, mut texts, mut ignore, mut allow_empty) =
        (None, false, Vec::new(), false, false);
    let mut command = None;
    let mut objects: Vec<String> = Vec::new();
    let repo = Repo::open(setting)?;
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "--ref" | "--ref=" => name = Some(full_name(&args.value(&o)?)),
                "-f" | "--force" => force = true,
                "-m" | "--message" | "--message=" => texts.push(args.value_bytes(&o)?),
                "-F" | "--file" | "--file=" => {
                    let file = args.value(&o)?;
                    texts.push(if file == "-" {
                        agentos_guest::fd::read_to_end(0)?
                    } else {
                        match fs::read(repo.cwd.join(&file)) {
                            Ok(text) => text,
                            Err(e) => {
                                fatal!("could not open or read '{file}': {}", agentos_guest::strerror(&e))
                            }
                        }
                    });
                }
                "-C" | "--reuse-message" | "--reuse-message=" => {
                    let oid = revision::resolve(&repo, &args.value(&o)?)?;
                    texts.push(repo.odb.blob(&oid)?.to_vec());
                }
                "--ignore-missing" => ignore = true,
                "--allow-empty" => allow_empty = true,
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) if command.is_none() => command = Some(bytes::text(&word)),
            Word::Plain(word) => objects.push(bytes::text(&word)),
        }
    }
    let name = name.unwrap_or_else(|| default_ref(&repo));
    let mut all = load(&repo, &name)?;
    let find = |text: &str| -> Res<Oid> {
        match revision::find(&repo, text)? {
            Some(oid) => Ok(oid),
            None => fatal!("failed to resolve '{text}' as a valid ref."),
        }
    };
    let target = objects.first().cloned().unwrap_or_else(|| "HEAD".to_owned());
    let missing = |oid: &Oid| Stop::Error(1, format!("no note found for object {oid}."));
    match command.as_deref().unwrap_or("list") {
        "list" => {
            if let Some(object) = objects.first() {
                let oid = find(object)?;
                out!("{}\n", all.get(&oid).ok_or_else(|| missing(&oid))?);
                return Ok(0);
            }
            for (of, oid) in &all {
                out!("{oid} {of}\n");
            }
        }
        "show" => {
            let oid = find(&target)?;
            put(&repo.odb.blob(all.get(&oid).ok_or_else(|| missing(&oid))?)?);
        }
        "get-ref" => out!("{name}\n"),
        verb @ ("add" | "append" | "edit") => {
            let oid = find(&target)?;
            let old = all.get(&oid).copied();
            let mut text: Vec<u8> = Vec::new();
            if let Some(old) = old
                && (verb != "add" || texts.is_empty())
            {
                text = repo.odb.blob(&old)?.to_vec();
            }
            if let Some(_) = old
                && verb == "add"
            {
                if !force {
                    return Err(Stop::Error(
                        1,
                        format!(
                            "Cannot add notes. Found existing notes for object {oid}. Use '-f' to overwrite existing notes"
                        ),
                    ));
                }
                say!("Overwriting existing notes for object {oid}");
            }
            if texts.is_empty() {
                let file = repo.file("NOTES_EDITMSG");
                let shown = bytes::text(&text);
                fs::write(
                    &file,
                    format!("{shown}\n#\n# Write/edit the notes for the following object:\n#\n"),
                )?;
                message::edit(&repo, &file)?;
                text = message::clean(&fs::read(&file)?, Cleanup::Strip);
                let _ = fs::remove_file(&file);
            } else {
                if verb == "edit" {
                    text.clear();
                }
                for piece in texts {
                    if !text.is_empty() {
                        text.push(b'\n');
                    }
                    text.extend(message::clean(&piece, Cleanup::Whitespace));
                }
            }
            if text.is_empty() && !allow_empty {
                say!("Removing note for object {oid}");
                if all.remove(&oid).is_none() {
                    return Ok(0);
                }
            } else {
                all.insert(oid, repo.odb.write(Kind::Blob, &text)?);
            }
            save(&repo, &name, &all, &format!("Notes added by 'git notes {verb}'"))?;
        }
        "copy" => {
            let (Some(from), Some(to)) = (objects.first(), objects.get(1)) else {
                return Err(Stop::Said(129, args.usage_text()));
            };
            let (from, to) = (find(from)?, find(to)?);
            let Some(note) = all.get(&from).copied() else {
                return Err(Stop::Error(1, format!("missing notes on source object {from}. Cannot copy.")));
            };
            if all.contains_key(&to) {
                if !force {
                    return Err(Stop::Error(
                        1,
                        format!(
                            "Cannot copy notes. Found existing notes for object {to}. Use '-f' to overwrite existing notes"
                        ),
                    ));
                }
                say!("Overwriting existing notes for object {to}");
            }
            all.insert(to, note);
            save(&repo, &name, &all, "Notes added by 'git notes copy'")?;
        }
        "remove" => {
            if objects.is_empty() {
                objects.push("HEAD".to_owned());
            }
            let mut status = 0;
            let before = all.len();
            for object in &objects {
                let oid = find(object)?;
                if all.remove(&oid).is_some() {
                    say!("Removing note for object {object}");
                } else {
                    say!("Object {object} has no note");
                    status = i32::from(!ignore);
                }
            }
            if all.len() != before && status == 0 {
                save(&repo, &name, &all, "Notes removed by 'git notes remove'")?;
            }
            return Ok(status);
        }
        "prune" => {
            let before = all.len();
            all.retain(|of, _| repo.odb.exists(of));
            if all.len() != before {
                save(&repo, &name, &all, "Notes removed by 'git notes prune'")?;
            }
        }
        "merge" => fatal!("git notes merge is not supported"),
        other => {
            return Err(Stop::Said(
                129,
                format!("error: unknown subcommand: `{other}'\n{}", args.usage_text()),
            ));
        }
    }
    Ok(0)
}
