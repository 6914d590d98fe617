//! `git am`: patches from mails as commits. Its state is in `.git/rebase-apply`, as git keeps it.

use super::apply;
use crate::args::{Args, Word};
use crate::bytes;
use crate::changes::{self, Files};
use crate::error::{Res, Stop, fatal, out, say};
use crate::mail::{self, Mail};
use crate::message::{self, Cleanup};
use crate::oid::{Commit, Kind, Oid, Person};
use crate::patch::{self, Reading};
use crate::pathspec::Pathspec;
use crate::repo::{Repo, Setting};
use crate::sequence;
use crate::threeway::{self, Labels};
use crate::{switch, tree, worktree};
use std::fs;
use std::path::PathBuf;

const USAGE: &str = "[-3] [-s] [-q] [-k] [-p <n>] [--directory=<dir>] [--reject] [<mbox>...]
   or: git am (--continue | --skip | --abort | --quit | --show-current-patch)
";

#[derive(Clone, Default)]
struct Options {
    three_way: bool,
    signoff: bool,
    quiet: bool,
    keep: bool,
    committer_date: bool,
    ignore_date: bool,
    apply: Vec<String>,
}

struct Am<'a> {
    repo: &'a Repo,
    o: Options,
    dir: PathBuf,
    next: usize,
    last: usize,
}

pub(crate) fn am(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "pCS", "am", USAGE);
    let mut o = Options::default();
    let mut action = String::new();
    let mut files = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(option) => match option.as_str() {
                "-3" | "--3way" => o.three_way = true,
                "--no-3way" => o.three_way = false,
                "-s" | "--signoff" => o.signoff = true,
                "-q" | "--quiet" => o.quiet = true,
                "-k" | "--keep" => o.keep = true,
                "-p" | "-C" => o.apply.push(format!("{option}{}", args.value(&option)?)),
                "--directory" | "--directory=" => {
                    o.apply.push(format!("--directory={}", args.value(&option)?))
                }
                "--reject" | "--ignore-whitespace" | "--ignore-space-change" => o.apply.push(option.clone()),
                "--whitespace=" => {
                    let action = args.value(&option)?;
                    if action != "nowarn" {
                        fatal!("am --whitespace={action} is not supported");
                    }
                }
                "--committer-date-is-author-date" => o.committer_date = true,
                "--ignore-date" => o.ignore_date = true,
                "--no-keep-cr"
                | "--no-scissors"
                | "-u"
                | "--utf8"
                | "-n"
                | "--no-verify"
                | "--no-gpg-sign"
                | "--no-message-id"
                | "--patch-format=mbox" => {}
                "--continue" | "-r" | "--resolved" => action = "continue".to_owned(),
                "--skip" | "--abort" | "--quit" => action = option[2..].to_owned(),
                "--show-current-patch" => action = "raw".to_owned(),
                "--show-current-patch=" => action = args.value(&option)?,
                "-i" | "--interactive" | "-c" | "--scissors" | "--keep-cr" | "-b" | "--keep-non-patch"
                | "--allow-empty" | "--empty=" | "-S" | "--gpg-sign" | "-m" | "--message-id"
                | "--patch-format=" | "--exclude=" | "--include=" | "--quoted-cr=" => {
                    fatal!("option {} is not supported", option.trim_end_matches('='))
                }
                _ => return Err(args.unknown(&option)),
            },
            Word::Plain(word) => files.push(word),
        }
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    o.three_way |= repo.config.flag("am.threeway", false);
    let dir = repo.git_dir.join("rebase-apply");
    let mut am = Am { repo: &repo, o, dir, next: 1, last: 0 };
    if am.dir.is_dir() {
        if action.is_empty() {
            if !files.is_empty() {
                fatal!("previous rebase directory .git/rebase-apply still exists but mbox given.");
            }
            if am.file("last").exists() {
                return Err(Stop::Fatal(
                    "Stray .git/rebase-apply directory found.\nUse \"git am --abort\" to remove it."
                        .to_owned(),
                ));
            }
        }
        am.load();
    } else if !action.is_empty() {
        fatal!("Resolve operation not in progress, we are not resuming.");
    }
    match action.as_str() {
        "" => am.start(&files),
        "continue" => am.resolved(),
        "skip" => am.skip(),
        "abort" => am.abort(),
        "quit" => {
            am.remove();
            Ok(0)
        }
        "raw" => am.show(&format!("{:04}", am.next)),
        "diff" => am.show("patch"),
        other => Err(Stop::Error(129, format!("invalid value for '--show-current-patch': '{other}'"))),
    }
}

impl Am<'_> {
    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read(self.file(name)).map(|t| bytes::text(&t)).unwrap_or_default()
    }

    fn load(&mut self) {
        self.next = self.text("next").trim().parse().unwrap_or(1);
        self.last = self.text("last").trim().parse().unwrap_or(0);
        self.o.three_way |= self.text("threeway").trim() == "t";
        self.o.signoff |= self.text("sign").trim() == "t";
        self.o.quiet |= self.text("quiet").trim() == "t";
        self.o.keep |= self.text("keep").trim() == "t";
        let options = self.text("apply-opt");
        self.o.apply.extend(options.split_whitespace().map(|w| w.trim_matches('\'').to_owned()));
    }

    fn remove(&self) {
        let _ = fs::remove_dir_all(&self.dir);
        let _ = fs::remove_file(self.repo.file("REBASE_HEAD"));
    }

    fn show(&self, name: &str) -> Res<i32> {
        crate::error::put(&fs::read(self.file(name))?);
        Ok(0)
    }

    fn start(&mut self, files: &[Vec<u8>]) -> Res<i32> {
        let mut mails = Vec::new();
        let mut first = true;
        let names: Vec<Vec<u8>> = if files.is_empty() { vec![b"-".to_vec()] } else { files.to_vec() };
        for name in names {
            let text = if name == b"-" {
                agentos_guest::fd::read_to_end(0)?
            } else {
                let path = self.repo.cwd.join(bytes::path(&name));
                match fs::read(&path) {
                    Ok(text) => text,
                    Err(error) => fatal!(
                        "could not open '{}' for reading: {}",
                        bytes::text(&name),
                        agentos_guest::strerror(&error)
                    ),
                }
            };
            if first && name != b"-" && !mail::is_mail(&text) {
                return Err(Stop::Said(128, "Patch format detection failed.".to_owned()));
            }
            first = false;
            mails.extend(mail::split(&text));
        }
        let mut index = self.repo.index()?;
        worktree::refresh_and_write(self.repo, &mut index);
        let staged = changes::tree_to_index(&super::head_files(self.repo)?, &index, &Pathspec::default());
        if !staged.is_empty() {
            let list: Vec<String> = staged.iter().map(|c| bytes::text(c.path())).collect();
            fatal!("Dirty index: cannot apply patches (dirty: {})", list.join(" "));
        }
        fs::create_dir_all(&self.dir)?;
        self.last = mails.len();
        for (at, mail) in mails.iter().enumerate() {
            fs::write(self.file(&format!("{:04}", at + 1)), mail)?;
        }
        let head = self.repo.head();
        let flag = |on: bool| if on { "t\n" } else { "f\n" };
        for (name, text) in [
            ("applying", String::new()),
            ("threeway", flag(self.o.three_way).to_owned()),
            ("quiet", flag(self.o.quiet).to_owned()),
            ("sign", flag(self.o.signoff).to_owned()),
            ("utf8", "t\n".to_owned()),
            ("keep", flag(self.o.keep).to_owned()),
            ("messageid", "f\n".to_owned()),
            ("scissors", "\n".to_owned()),
            ("quoted-cr", "\n".to_owned()),
            ("apply-opt", self.o.apply.iter().map(|w| format!(" '{w}'")).collect::<String>() + "\n"),
            ("abort-safety", head.map(|h| h.to_string()).unwrap_or_default() + "\n"),
            ("last", format!("{}\n", self.last)),
        ] {
            fs::write(self.file(name), text)?;
        }
        if let Some(head) = head {
            fs::write(self.repo.file("ORIG_HEAD"), format!("{head}\n"))?;
        }
        self.run()
    }

    fn mail(&self) -> Res<Mail> {
        Ok(mail::parse(&fs::read(self.file(&format!("{:04}", self.next)))?, self.o.keep))
    }

    /// Takes what is left.
    fn run(&mut self) -> Res<i32> {
        while self.next <= self.last {
            fs::write(self.file("next"), format!("{}\n", self.next))?;
            let mail = self.mail()?;
            self.note(&mail)?;
            if mail.patch.is_empty() {
                out!("Patch is empty.\n");
                return self.stop(true);
            }
            if !self.o.quiet {
                out!("Applying: {}\n", mail.subject);
            }
            match self.apply(&mail)? {
                Some(0) => {}
                Some(status) => return Ok(status),
                None => self.commit(&mail)?,
            }
            self.forward()?;
        }
        self.remove();
        Ok(0)
    }

    fn forward(&mut self) -> Res<()> {
        self.next += 1;
        let head = self.repo.head().map(|h| h.to_string()).unwrap_or_default();
        fs::write(self.file("abort-safety"), format!("{head}\n"))?;
        fs::write(self.file("next"), format!("{}\n", self.next))?;
        for name in ["author-script", "final-commit", "msg", "patch", "info"] {
            let _ = fs::remove_file(self.file(name));
        }
        Ok(())
    }

    /// Writes down what the mail says.
    fn note(&self, mail: &Mail) -> Res<()> {
        let quote = |text: &str| text.replace('\'', "'\\''");
        fs::write(
            self.file("author-script"),
            format!(
                "GIT_AUTHOR_NAME='{}'\nGIT_AUTHOR_EMAIL='{}'\nGIT_AUTHOR_DATE='{}'\n",
                quote(&mail.name),
                quote(&mail.email),
                quote(&mail.date)
            ),
        )?;
        let text = self.message(mail)?;
        fs::write(self.file("final-commit"), &text)?;
        fs::write(self.file("msg"), &mail.body)?;
        fs::write(self.file("patch"), &mail.patch)?;
        fs::write(
            self.file("info"),
            format!(
                "Author: {}\nEmail: {}\nSubject: {}\nDate: {}\n\n",
                mail.name, mail.email, mail.subject, mail.date
            ),
        )?;
        Ok(())
    }

    fn message(&self, mail: &Mail) -> Res<Vec<u8>> {
        let mut text =
            message::clean(format!("{}\n\n{}", mail.subject, mail.body).as_bytes(), Cleanup::Whitespace);
        if self.o.signoff {
            message::add_trailer(
                &mut text,
                &[b"Signed-off-by: ", &self.repo.committer()?.ident()[..]].concat(),
            );
        }
        Ok(text)
    }

    fn options(&self) -> (apply::Options, Reading) {
        let mut reading = Reading { strip: 1, root: Vec::new(), recount: false };
        let mut options = apply::Options { index: true, ..Default::default() };
        for word in &self.o.apply {
            if let Some(n) = word.strip_prefix("-p") {
                reading.strip = n.parse().unwrap_or(1);
            } else if let Some(n) = word.strip_prefix("-C") {
                options.placing.context = n.parse().ok();
            } else if let Some(dir) = word.strip_prefix("--directory=") {
                reading.root = format!("{}/", dir.trim_end_matches('/')).into_bytes();
            } else if word == "--reject" {
                (options.reject, options.verbose) = (true, true);
            } else {
                options.placing.loose = true;
            }
        }
        options.reading = Some(reading.clone());
        (options, reading)
    }

    /// Applies the patch. `None`: index and work tree have it; `Some(0)`: there is nothing to do.
    fn apply(&self, mail: &Mail) -> Res<Option<i32>> {
        let (mut options, reading) = self.options();
        let mut patches = match patch::parse(&mail.patch, &reading) {
            Ok(patches) if !patches.is_empty() => patches,
            Ok(_) => {
                say!("error: No valid patches in input (allow with \"--allow-empty\")");
                return self.failed();
            }
            Err(stop) => {
                crate::end(&stop);
                return self.failed();
            }
        };
        // What it would complain of, another way may put right.
        options.check = self.o.three_way;
        let fits = if self.o.three_way {
            self.fits(&patches, &options)?
        } else {
            patch::white_space(&mut patches, ".git/rebase-apply/patch", false, false);
            apply::run(Some(self.repo), &mut patches, &options)?
        };
        if fits {
            if self.o.three_way {
                options.check = false;
                apply::run(Some(self.repo), &mut patches, &options)?;
            }
            return Ok(None);
        }
        if !self.o.three_way {
            return self.failed();
        }
        self.fall_back(mail, &patches)
    }

    /// Whether the patch can be applied, without a word.
    fn fits(&self, patches: &[patch::FilePatch], options: &apply::Options) -> Res<bool> {
        let index = self.repo.index()?;
        for p in patches {
            let old = match &p.old {
                Some(name) => match index.get(name) {
                    Some(entry) => self.repo.odb.blob(&entry.oid)?.to_vec(),
                    None => return Ok(false),
                },
                None => match &p.new {
                    Some(name) if index.get(name).is_some() => return Ok(false),
                    _ => Vec::new(),
                },
            };
            if patch::apply(&old, p, options.placing).places.iter().any(Option::is_none) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Builds the files that the patch was made for and merges.
    fn fall_back(&self, mail: &Mail, patches: &[patch::FilePatch]) -> Res<Option<i32>> {
        let repo = self.repo;
        let (mut base, mut theirs) = (Files::new(), Files::new());
        for p in patches {
            let mut text = Vec::new();
            let mut mode = p.new_mode.unwrap_or(0o100_644);
            if let Some(old) = &p.old {
                let blob = repo
                    .odb
                    .abbreviated(&p.old_oid)
                    .into_iter()
                    .find(|o| repo.odb.kind(o).is_ok_and(|k| k == Kind::Blob));
                let Some(oid) = blob else {
                    say!("error: sha1 information is lacking or useless ({}).", bytes::text(old));
                    say!("error: could not build fake ancestor");
                    return self.failed();
                };
                mode = p.old_mode.unwrap_or(0o100_644);
                base.insert(old.clone(), (mode, oid));
                text = repo.odb.blob(&oid)?.to_vec();
                mode = p.new_mode.unwrap_or(mode);
            }
            let applied = patch::apply(&text, p, Default::default());
            if applied.places.iter().any(Option::is_none) {
                say!(
                    "error: patch failed: {}:{}",
                    bytes::text(p.name()),
                    p.hunks.first().map_or(0, |h| h.old_start)
                );
                say!("error: {}: patch does not apply", bytes::text(p.name()));
                out!("Did you hand edit your patch?\nIt does not apply to blobs recorded in its index.\n");
                return self.failed();
            }
            if let Some(new) = &p.new {
                theirs.insert(new.clone(), (mode, repo.odb.write(Kind::Blob, &applied.text)?));
            }
        }
        let ours = super::head_files(repo)?;
        if !self.o.quiet {
            out!("Using index info to reconstruct a base tree...\n");
            for (path, (mode, oid)) in &base {
                match ours.get(path) {
                    Some(now) if *now == (*mode, *oid) => {}
                    Some(_) => out!("M\t{}\n", repo.quoted(path)),
                    None => out!("A\t{}\n", repo.quoted(path)),
                }
            }
            out!("Falling back to patching base and 3-way merge...\n");
        }
        let labels = Labels {
            ours: "HEAD",
            theirs: &mail.subject,
            base: "constructed fake ancestor",
            ..Labels::default()
        };
        let merged = threeway::trees(repo, &base, &ours, &theirs, &labels)?;
        let mut index = repo.index()?;
        let lock = index.lock()?;
        super::merge::apply(repo, &mut index, &ours, &merged)?;
        index.write(lock)?;
        let mut messages = merged.messages.clone();
        // Of files that both sides added, the conflict is told first.
        for at in 1..messages.len() {
            if messages[at].starts_with("CONFLICT (add/add)") && messages[at - 1].starts_with("Auto-merging")
            {
                messages.swap(at - 1, at);
            }
        }
        messages.iter().for_each(|m| out!("{m}\n"));
        if !merged.conflicts.is_empty() {
            say!("error: Failed to merge in the changes.");
            return self.failed();
        }
        if merged.files == ours {
            out!("No changes -- Patch already applied.\n");
            return Ok(Some(0));
        }
        Ok(None)
    }

    fn failed(&self) -> Res<Option<i32>> {
        let subject = self.mail()?.subject;
        out!("Patch failed at {:04} {subject}\n", self.next);
        sequence::hint("Use 'git am --show-current-patch=diff' to see the failed patch");
        self.stop(false).map(Some)
    }

    fn stop(&self, empty: bool) -> Res<i32> {
        sequence::hint(
            "When you have resolved this problem, run \"git am --continue\".\nIf you prefer to skip this patch, run \"git am --skip\" instead.",
        );
        if empty {
            sequence::hint("To record the empty patch as an empty commit, run \"git am --allow-empty\".");
        }
        sequence::hint(
            "To restore the original branch and stop patching, run \"git am --abort\".\nDisable this message with \"git config advice.mergeConflict false\"",
        );
        Ok(128)
    }

    fn commit(&self, mail: &Mail) -> Res<()> {
        let repo = self.repo;
        let index = repo.index()?;
        let committer = repo.committer()?;
        let (time, zone) = match crate::date::parse(&mail.date) {
            Some(found) if !self.o.ignore_date => found,
            _ => (committer.time, committer.zone),
        };
        let author = Person {
            name: mail.name.clone().into_bytes(),
            email: mail.email.clone().into_bytes(),
            time,
            zone,
        };
        let mut committer = committer;
        if self.o.committer_date {
            (committer.time, committer.zone) = (time, zone);
        }
        let text = match fs::read(self.file("final-commit")) {
            Ok(text) => text,
            Err(_) => self.message(mail)?,
        };
        let made = Commit {
            tree: tree::from_index(repo, &index)?,
            parents: repo.head().into_iter().collect(),
            author,
            committer,
            extra: Vec::new(),
            message: text,
        };
        let oid = repo.odb.write(Kind::Commit, &made.write())?;
        repo.set_head(&oid, &format!("am: {}", bytes::text(&made.subject())))
    }

    fn resolved(&mut self) -> Res<i32> {
        let mail = self.mail()?;
        if !self.o.quiet {
            out!("Applying: {}\n", mail.subject);
        }
        let index = self.repo.index()?;
        if !index.unmerged().is_empty() {
            out!(
                "You still have unmerged paths in your index.\nYou should 'git add' each file with resolved conflicts to mark them as such.\nYou might run `git rm` on a file to accept \"deleted by them\" for it.\n"
            );
            return self.stop(false);
        }
        if changes::tree_to_index(&super::head_files(self.repo)?, &index, &Pathspec::default()).is_empty() {
            out!(
                "No changes - did you forget to use 'git add'?\nIf there is nothing left to stage, chances are that something else\nalready introduced the same changes; you might want to skip this patch.\n"
            );
            return self.stop(false);
        }
        self.commit(&mail)?;
        self.forward()?;
        self.run()
    }

    fn clean(&self, to: &Oid) -> Res<()> {
        let mut index = self.repo.index()?;
        let lock = index.lock()?;
        let files = super::commit_files(self.repo, to)?;
        let touched: Vec<Vec<u8>> = index.unmerged();
        for path in touched {
            index.remove(&path);
            match files.get(&path) {
                Some((mode, oid)) => {
                    let mut entry = crate::index::Entry::new(path, *mode, *oid, 0);
                    worktree::checkout(self.repo, &mut entry)?;
                    index.put(entry);
                }
                None => worktree::remove(&path)?,
            }
        }
        let now: Files = index.entries.iter().map(|e| (e.path.clone(), (e.mode, e.oid))).collect();
        switch::two_way(self.repo, &mut index, &now, &files, &switch::MERGE)?;
        index.write(lock)
    }

    fn skip(&mut self) -> Res<i32> {
        self.clean(&self.repo.head().unwrap_or_default())?;
        self.forward()?;
        self.run()
    }

    fn abort(&self) -> Res<i32> {
        let head = self.repo.head().unwrap_or_default();
        let safe = Oid::parse(self.text("abort-safety").trim().as_bytes());
        if safe != Some(head) {
            say!(
                "warning: You seem to have moved HEAD since the last 'am' failure.\nNot rewinding to ORIG_HEAD"
            );
            self.remove();
            return Ok(0);
        }
        let text = fs::read(self.repo.file("ORIG_HEAD")).unwrap_or_default();
        let orig = Oid::parse(text.trim_ascii()).unwrap_or(head);
        self.clean(&orig)?;
        self.repo.set_head(&orig, "am --abort")?;
        self.remove();
        Ok(0)
    }
}
