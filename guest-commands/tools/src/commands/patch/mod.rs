//! `patch`: applies diffs to files. Of diffs it knows unified, context and normal ones and those of git, but no scripts of
//! ed; it merges nothing and sets no times.

mod hunk;
mod names;
mod place;
mod source;
mod target;

use crate::context::{Cx, End, Outcome, open_input};
use crate::options::Order;
use crate::os::{OsStrExt, os};
use crate::quote::quotef;
use agentos_guest::strerror;
use hunk::Hunk;
use place::Work;
use source::{Header, Kind, Reader, bare};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use target::Backup;

const SPEC: &[&str] = &[
    "p,strip=",
    "F,fuzz=",
    "l,ignore-whitespace",
    "c,context",
    "n,normal",
    "u,unified",
    "N,forward",
    "R,reverse",
    "i,input=",
    "o,output=",
    "r,reject-file=",
    "E,remove-empty-files",
    "b,backup",
    "backup-if-mismatch",
    "no-backup-if-mismatch",
    "V,version-control=",
    "B,prefix=",
    "Y,basename-prefix=",
    "z,suffix=",
    "t,batch",
    "f,force",
    "s,quiet",
    "silent",
    "verbose",
    "dry-run",
    "posix",
    "d,directory=",
    "reject-format=",
    "binary",
    "read-only=",
    "follow-symlinks",
    "v,version",
];
const HELP: &str = "{} [OPTION]... [ORIGFILE [PATCHFILE]]
Apply a diff file to an original.
  -p, --strip=NUM             strip NUM leading components from file names
  -F, --fuzz=LINES            set the fuzz factor to LINES for inexact matching (default 2)
  -l, --ignore-whitespace     ignore white space changes between patch and input
  -c, --context               interpret the patch as a context difference
  -n, --normal                interpret the patch as a normal difference
  -u, --unified               interpret the patch as a unified difference
  -N, --forward               ignore patches that appear to be reversed or already applied
  -R, --reverse               assume patches were created with old and new files swapped
  -i, --input=PATCHFILE       read patch from PATCHFILE instead of stdin
  -o, --output=FILE           output patched files to FILE
  -r, --reject-file=FILE      output rejects to FILE; - discards them
  -E, --remove-empty-files    remove output files that are empty after patching
  -b, --backup                back up the original contents of each file
      --backup-if-mismatch    back up if the patch does not match exactly (the default)
      --no-backup-if-mismatch back up mismatches only if otherwise requested
  -V, --version-control=STYLE make backups that are simple, numbered, or existing
  -B, --prefix=PREFIX         prepend PREFIX to backup file names
  -Y, --basename-prefix=PREFIX  prepend PREFIX to backup file basenames
  -z, --suffix=SUFFIX         append SUFFIX to backup file names
  -t, --batch                 ask no questions; assume reversed
  -f, --force                 like -t, but assume unreversed
  -s, --quiet, --silent       work silently unless an error occurs
      --verbose               output extra information about the work being done
      --dry-run               do not change any files; print what would happen
      --posix                 make no backups of what does not match exactly
  -d, --directory=DIR         change the working directory to DIR first
      --reject-format=FORMAT  create 'context' or 'unified' rejects
      --binary                keep carriage returns in patches
      --read-only=BEHAVIOR    'ignore' that files are read-only, 'warn' (default), or 'fail'
      --follow-symlinks       patch files behind symbolic links
  -v, --version               output version info";

/// What to do with files that may not be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReadOnly {
    Ignore,
    Warn,
    Fail,
}

/// What the options say.
struct Config {
    file: Option<OsString>,
    strip: Option<usize>,
    fuzz: usize,
    loose: bool,
    kind: Option<Kind>,
    forward: bool,
    reverse: bool,
    output: Option<OsString>,
    reject: Option<OsString>,
    remove_empty: bool,
    backup: Backup,
    batch: bool,
    force: bool,
    silent: bool,
    verbose: bool,
    dry_run: bool,
    rejects_in_context: Option<bool>,
    binary: bool,
    read_only: ReadOnly,
    follow: bool,
}

/// The work on one patch.
struct Run<'a> {
    cx: &'a mut Cx,
    c: Config,
    /// Files that this run wrote: they are backed up once, and rejects are collected.
    written: HashSet<OsString>,
    failed: bool,
}

/// The end with one of patch's own messages.
fn fatal(message: impl std::fmt::Display) -> End {
    End::Failure(2, format!("**** {message}"))
}

fn number(text: &OsStr, what: &str) -> Result<usize, End> {
    let shown = text.to_string_lossy();
    shown.parse().map_err(|_| fatal(format_args!("{what} {shown} is not a number")))
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let mut c = Config {
        file: None,
        strip: None,
        fuzz: 2,
        loose: false,
        kind: None,
        forward: false,
        reverse: false,
        output: None,
        reject: None,
        remove_empty: false,
        backup: Backup::from_environment(),
        batch: false,
        force: false,
        silent: false,
        verbose: false,
        dry_run: false,
        rejects_in_context: None,
        binary: false,
        read_only: ReadOnly::Warn,
        follow: false,
    };
    let mut input: OsString = "-".into();
    for opt in &parsed.opts {
        match opt.id {
            "strip" => c.strip = Some(number(opt.arg(), "strip count")?),
            "fuzz" => c.fuzz = number(opt.arg(), "fuzz factor")?,
            "ignore-whitespace" => c.loose = true,
            "context" => c.kind = Some(Kind::Context),
            "normal" => c.kind = Some(Kind::Normal),
            "unified" => c.kind = Some(Kind::Unified),
            "forward" => c.forward = true,
            "reverse" => c.reverse = true,
            "input" => input = opt.arg().to_owned(),
            "output" => c.output = Some(opt.arg().to_owned()),
            "reject-file" => c.reject = Some(opt.arg().to_owned()),
            "remove-empty-files" => c.remove_empty = true,
            "backup" => c.backup.always = true,
            "backup-if-mismatch" => c.backup.if_mismatch = true,
            "no-backup-if-mismatch" | "posix" => c.backup.if_mismatch = false,
            "version-control" => c.backup.set_style(cx, opt.arg())?,
            "prefix" => c.backup.prefix = Some(opt.arg().to_owned()),
            "basename-prefix" => c.backup.base_prefix = Some(opt.arg().to_owned()),
            "suffix" => c.backup.suffix = Some(opt.arg().to_owned()),
            "batch" => c.batch = true,
            "force" => c.force = true,
            "quiet" | "silent" => c.silent = true,
            "verbose" => c.verbose = true,
            "dry-run" => c.dry_run = true,
            "directory" => {
                let dir = opt.arg();
                agentos_guest::env::set_current_dir(dir).map_err(|e| {
                    fatal(format_args!(
                        "Can't change to directory {} : {}",
                        dir.to_string_lossy(),
                        strerror(&e)
                    ))
                })?;
            }
            "reject-format" => {
                c.rejects_in_context =
                    Some(cx.keyword("--reject-format", opt.arg(), &[&["context"], &["unified"]])? == 0);
            }
            "binary" => c.binary = true,
            "read-only" => {
                let words: &[&[&str]] = &[&["ignore"], &["warn"], &["fail"]];
                c.read_only = [ReadOnly::Ignore, ReadOnly::Warn, ReadOnly::Fail]
                    [cx.keyword("--read-only", opt.arg(), words)?];
            }
            "follow-symlinks" => c.follow = true,
            _ => {
                cx.print(format_args!("patch (agentos-tools) {}\n", env!("CARGO_PKG_VERSION")))?;
                return Ok(0);
            }
        }
    }
    match &parsed.operands[..] {
        [] => {}
        [file] => c.file = Some(file.clone()),
        [file, patch] => (c.file, input) = (Some(file.clone()), patch.clone()),
        [_, _, extra, ..] => return Err(cx.usage(format!("{}: extra operand", quotef(extra)))),
    }
    let mut text = Vec::new();
    open_input(&input).and_then(|mut file| file.read_to_end(&mut text)).map_err(|e| {
        fatal(format_args!("Can't open patch file {} : {}", input.to_string_lossy(), strerror(&e)))
    })?;
    let mut reader = Reader::new(&text);
    let mut run = Run { cx, c, written: HashSet::new(), failed: false };
    let mut first = true;
    while !reader.is_done() {
        let Some(header) = reader.header(run.c.kind, run.c.file.is_some()) else {
            if first {
                return Err(fatal("Only garbage was found in the patch input."));
            }
            run.verbosely("Hmm...  Ignoring the trailing garbage.\n")?;
            break;
        };
        run.one(&mut reader, &header, first)?;
        first = false;
    }
    run.verbosely("done\n")?;
    Ok(i32::from(run.failed))
}

/// How a patch meets its file.
struct Meeting {
    /// The sides are swapped.
    reverse: bool,
    /// The rest of the patch is left out.
    skip: bool,
    /// It is applied although it seems to be applied already.
    anyway: bool,
}

impl Run<'_> {
    /// To standard output, unless that is where the patched file goes.
    fn say(&mut self, text: &str) -> Result<(), End> {
        if self.c.output.as_deref() == Some(OsStr::new("-")) {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
            return Ok(());
        }
        self.cx.put(text.as_bytes())
    }

    fn verbosely(&mut self, text: &str) -> Result<(), End> {
        if self.c.verbose { self.say(text) } else { Ok(()) }
    }

    fn unless_silent(&mut self, text: &str) -> Result<(), End> {
        if self.c.silent { Ok(()) } else { self.say(text) }
    }

    /// Asks at the terminal; without one nothing is answered.
    fn ask(&mut self, question: &str) -> Result<String, End> {
        self.say(question)?;
        self.cx.flush()?;
        let mut answer = Vec::new();
        if let Ok(terminal) = agentos_guest::tty::controlling() {
            let mut byte = [0];
            while matches!(agentos_guest::fd::read(terminal.raw(), &mut byte), Ok(1)) && byte[0] != b'\n' {
                answer.push(byte[0]);
                if answer.len() > 4096 {
                    break;
                }
            }
        } else {
            self.say("\n")?;
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// A patch that seems reversed: whether to reverse it.
    fn reversal(&mut self, m: &mut Meeting, message: &str) -> Result<bool, End> {
        if self.c.forward || !self.c.force || !self.c.silent {
            self.say(message)?;
        }
        if self.c.forward {
            self.say("  Skipping patch.\n")?;
            m.skip = true;
            return Ok(false);
        }
        if self.c.force {
            self.unless_silent("  Applying it anyway.\n")?;
            return Ok(false);
        }
        if self.c.batch {
            self.say(if m.reverse { "  Ignoring -R.\n" } else { "  Assuming -R.\n" })?;
            return Ok(true);
        }
        let question = if m.reverse { "  Ignore -R? [n] " } else { "  Assume -R? [n] " };
        if self.ask(question)?.starts_with('y') {
            return Ok(true);
        }
        if !self.ask("Apply anyway? [n] ")?.starts_with('y') {
            self.unless_silent("Skipping patch.\n")?;
            m.skip = true;
        }
        Ok(false)
    }

    fn leading_text(&mut self, reader: &Reader<'_>, header: &Header) -> Result<(), End> {
        let mut text = String::from("The text leading up to this was:\n--------------------------\n");
        for i in header.lines.0..header.lines.1 {
            text += &format!("|{}\n", String::from_utf8_lossy(bare(reader.line(i).unwrap_or_default())));
        }
        self.say(&(text + "--------------------------\n"))
    }

    /// The file that no heading names, if somebody tells it.
    fn ask_for_file(&mut self, reader: &Reader<'_>, header: &Header) -> Result<Option<OsString>, End> {
        self.say(&format!("can't find file to patch at input line {}\n", header.lines.1 + 1))?;
        if header.lines.0 < header.lines.1 {
            let should = if self.c.strip.is_none() { "should have used the" } else { "used the wrong" };
            self.say(&format!("Perhaps you {should} -p or --strip option?\n"))?;
            self.leading_text(reader, header)?;
        }
        if self.c.force || self.c.batch {
            self.say("No file to patch.  Skipping patch.\n")?;
            return Ok(None);
        }
        loop {
            let answer = self.ask("File to patch: ")?;
            if !answer.is_empty() {
                if agentos_guest::fs::stat(&answer).is_ok() {
                    return Ok(Some(answer.into()));
                }
                self.say(&format!("{answer}: No such file or directory\n"))?;
            }
            if !self.ask("Skip this patch? [y] ")?.starts_with('n') {
                self.unless_silent("Skipping patch.\n")?;
                return Ok(None);
            }
        }
    }

    /// One diff of the patch.
    fn one(&mut self, reader: &mut Reader<'_>, header: &Header, first: bool) -> Result<(), End> {
        if self.c.verbose {
            let which = if first { "Looks like" } else { "The next patch looks like" };
            self.say(&format!("Hmm...  {which} {} to me...\n", header.kind.name()))?;
            if header.lines.0 < header.lines.1 {
                self.leading_text(reader, header)?;
            }
        }
        if header.crlf && !self.c.binary {
            self.unless_silent("(Stripping trailing CRs from patch; use --binary to disable.)\n")?;
        }
        let mut m = Meeting { reverse: self.c.reverse, skip: false, anyway: false };
        let mut names = match self.c.file.clone() {
            Some(file) => Some(target::Names::one(file)),
            None => self.choose(header, m.reverse)?,
        };
        if names.is_none() {
            names = self.ask_for_file(reader, header)?.map(target::Names::one);
        }
        let Some(names) = names else {
            let hunks = self.skip_hunks(reader, header)?;
            self.failed = true;
            return self.summary(hunks, hunks, true, None);
        };
        if header.kind == Kind::Binary {
            self.say(&format!("File {}: git binary diffs are not supported.\n", quotef(&names.output)))?;
            self.failed = true;
            return Ok(());
        }
        let link = header.git.as_ref().is_some_and(|g| g.link);
        let old = self.load(&names.input, link)?;
        let counts = header.kind != Kind::Headings;
        let void = old.as_ref().is_none_or(|old| counts && old.data.is_empty() && old.regular);
        let side = usize::from(m.reverse != void);
        let mut with_rejects = true;
        if old.as_ref().is_none_or(|old| old.regular)
            && (void || header.absent[side] == 2)
            && header.absent[side] > 0
        {
            let absent = header.absent[side];
            let reversed = if m.reverse { ", when reversed," } else { "" };
            let (action, state) = match (void, old.is_some()) {
                (false, _) => ("create", "already exists"),
                (true, true) => (if absent == 1 { "empty out" } else { "delete" }, "is already empty"),
                (true, false) => (if absent == 1 { "empty out" } else { "delete" }, "does not exist"),
            };
            let message = format!(
                "The next patch{reversed} would {action} the file {},\nwhich {state}!",
                quotef(&names.input)
            );
            m.reverse ^= self.reversal(&mut m, &message)?;
            with_rejects = !m.skip;
        }
        if !m.skip && old.as_ref().is_some_and(|old| !old.patchable) {
            let kind = if link { "symbolic link" } else { "regular file" };
            self.say(&format!("File {} is not a {kind} -- refusing to patch\n", quotef(&names.input)))?;
            m.skip = true;
        } else if !m.skip {
            self.announce(header, &names, old.as_ref())?;
            if old.as_ref().is_some_and(|old| old.read_only) && self.c.read_only != ReadOnly::Ignore {
                let fail = self.c.read_only == ReadOnly::Fail;
                let what = if fail { "refusing to patch" } else { "trying to patch anyway" };
                self.say(&format!("File {} is read-only; {what}\n", quotef(&names.input)))?;
                m.skip = fail;
            }
        }
        let data = old.as_ref().map_or(&b""[..], |old| &old.data);
        let result = self.hunks(reader, header, &mut m, data)?;
        if result.bad > 0 {
            self.failed = true;
            let name = (with_rejects).then(|| self.reject_name(&names.output));
            self.summary(result.bad, result.count, m.skip, name.as_ref())?;
            if let Some(name) = name.filter(|name| name != "-" && !self.c.dry_run) {
                self.write_rejects(&name, header, &m, &names, &result)?;
            }
        }
        if !m.skip && !self.c.dry_run {
            self.store(header, &names, old.as_ref(), m.reverse, &result)?;
        }
        Ok(())
    }

    fn announce(
        &mut self,
        header: &Header,
        names: &target::Names,
        old: Option<&target::Old>,
    ) -> Result<(), End> {
        let verb = if self.c.dry_run { "checking" } else { "patching" };
        let link = header.git.as_ref().is_some_and(|g| g.link);
        let kind = if link { "symbolic link" } else { "file" };
        let output = self.c.output.clone().unwrap_or_else(|| names.output.clone());
        let mut text = format!("{verb} {kind} {}", quotef(&output));
        if output != names.input {
            let how = match header.git.as_ref() {
                _ if self.c.output.is_some() => "read",
                Some(git) if git.copied => "copied",
                _ => "renamed",
            };
            text += &format!(" ({how} from {})", quotef(&names.input));
        } else if names.moved_already {
            text += &format!(" (already renamed from {})", quotef(&names.before));
        }
        self.unless_silent(&(text + "\n"))?;
        if old.is_some() || header.kind != Kind::Headings {
            self.verbosely("Using Plan A...\n")?;
        }
        Ok(())
    }

    fn summary(
        &mut self,
        bad: usize,
        count: usize,
        skipped: bool,
        rejects: Option<&OsString>,
    ) -> Result<(), End> {
        if count == 0 {
            return Ok(());
        }
        let plural = if count == 1 { "" } else { "s" };
        let what = if skipped { "ignored" } else { "FAILED" };
        let mut text = format!("{bad} out of {count} hunk{plural} {what}");
        if let Some(name) = rejects.filter(|name| *name != "-" && !self.c.dry_run) {
            text += &format!(" -- saving rejects to file {}", quotef(name));
        }
        self.say(&(text + "\n"))
    }

    fn next_hunk(&mut self, reader: &mut Reader<'_>, header: &Header) -> Result<Option<Hunk>, End> {
        hunk::next(reader, header.kind, header.crlf && !self.c.binary).map_err(|bad| {
            match reader.line(bad.line) {
                Some(line) => fatal(format_args!(
                    "malformed patch at line {}: {}",
                    bad.line + 1,
                    String::from_utf8_lossy(line)
                )),
                None => fatal("unexpected end of file in patch"),
            }
        })
    }

    fn skip_hunks(&mut self, reader: &mut Reader<'_>, header: &Header) -> Result<usize, End> {
        let mut count = 0;
        while self.next_hunk(reader, header)?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// Applies what hunks there are.
    fn hunks(
        &mut self,
        reader: &mut Reader<'_>,
        header: &Header,
        m: &mut Meeting,
        data: &[u8],
    ) -> Result<Applied, End> {
        let mut work = Work::new(data, self.c.loose);
        let mut a = Applied::default();
        let in_context =
            self.c.rejects_in_context.unwrap_or(matches!(header.kind, Kind::Context | Kind::Normal));
        while let Some(mut hunk) = self.next_hunk(reader, header)? {
            a.count += 1;
            if m.reverse {
                hunk.swap();
            }
            let (before, after) = hunk.context();
            let most = self.c.fuzz.min(before.max(after));
            let (mut place, mut fuzz) = (None, 0);
            while !m.skip {
                let before = work.off;
                place = work.locate(&hunk, fuzz);
                if place.is_none()
                    && a.count == 1
                    && !self.c.force
                    && !m.anyway
                    && m.reverse == self.c.reverse
                {
                    hunk.swap();
                    let found = work.locate(&hunk, fuzz);
                    let question = if m.reverse { "Unreversed" } else { "Reversed (or previously applied)" };
                    if found.is_some() && self.reversal(m, &format!("{question} patch detected!"))? {
                        m.reverse = !m.reverse;
                        place = found;
                    } else {
                        hunk.swap();
                        work.off = before;
                        if found.is_some() {
                            m.anyway = true;
                            continue;
                        }
                    }
                }
                if place.is_some() || fuzz >= most {
                    break;
                }
                fuzz += 1;
            }
            let at = place.unwrap_or(hunk.start[0]).saturating_add_signed(work.grown);
            let exists = header.absent[usize::from(m.reverse)] == 2 && !data.is_empty();
            match place.filter(|at| !(*at == 1 && exists)) {
                Some(place) if !m.skip => {
                    a.mismatch |= fuzz > 0 || work.off != 0;
                    if self.c.verbose || fuzz > 0 || work.off != 0 {
                        let mut text = format!("Hunk #{} succeeded at {at}", a.count);
                        if fuzz > 0 {
                            text += &format!(" with fuzz {fuzz}");
                        }
                        if work.off != 0 {
                            let plural = if work.off == 1 { "" } else { "s" };
                            text += &format!(" (offset {} line{plural})", work.off);
                        }
                        self.unless_silent(&(text + ".\n"))?;
                    }
                    work.apply(&hunk, place);
                }
                _ => {
                    a.bad += 1;
                    if m.skip {
                        self.verbosely(&format!("Hunk #{} ignored at {at}.\n", a.count))?;
                    } else {
                        let ends = if work.other_ends(&hunk) { " (different line endings)" } else { "" };
                        self.unless_silent(&format!("Hunk #{} FAILED at {at}{ends}.\n", a.count))?;
                    }
                    if in_context {
                        hunk.context_diff(header.kind, work.grown, &mut a.rejects);
                    } else {
                        hunk.unified(work.grown, &mut a.rejects);
                    }
                }
            }
        }
        a.in_context = in_context;
        a.data = work.finish();
        Ok(a)
    }
}

/// What became of a file's hunks.
#[derive(Default)]
struct Applied {
    data: Vec<u8>,
    count: usize,
    bad: usize,
    /// A hunk did not match exactly.
    mismatch: bool,
    rejects: Vec<u8>,
    in_context: bool,
}

/// A name out of a patch.
fn path(name: &[u8]) -> OsString {
    os(name).to_owned()
}

/// The bytes of a name.
fn bytes(name: &OsStr) -> &[u8] {
    name.as_bytes()
}
