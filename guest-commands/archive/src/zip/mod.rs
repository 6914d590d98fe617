//! ZIP archives: `zip`, `unzip` and `zipinfo`, in Info-ZIP's words.

mod add;
mod format;
mod list;
#[cfg(test)]
mod tests;
pub(crate) mod unzip;

use crate::context::{Cx, End, Outcome};
use crate::files;
use crate::glob;
use crate::os::{OsStrExt, base_name, join, os, os_owned};
use crate::walk;
use add::{Source, Writer};
use agentos_guest::fs::{self, FileType, file_type};
use agentos_guest::strerror;
use format::{Bad, Directory, Entry};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::BufRead;

const HELP: &str = "zip [OPTION]... [ARCHIVE [FILE]...]
Package and compress files into a ZIP archive; - is standard input or output.
  -r  recurse into directories     -j  junk (don't record) directory names
  -0 store only ... -9 compress better (default 6)
  -u  update: only changed or new  -f  freshen: only changed files
  -d  delete entries in archive    -m  move into archive (delete files)
  -x  exclude the names that follow, -i include only them
  -y  store symbolic links as the link instead of the referenced file
  -D  do not add directory entries -X  exclude extra file attributes
  -@  read names from standard input
  -T  test archive                 -q  quiet operation";

#[derive(Default)]
struct Config {
    recursive: bool,
    junk: bool,
    level: u32,
    update: bool,
    fresh: bool,
    delete: bool,
    move_files: bool,
    links: bool,
    no_directories: bool,
    no_extra: bool,
    test: bool,
    quiet: bool,
    /// The archive goes to standard output.
    standard: bool,
    names_from_stdin: bool,
    exclude: Vec<Vec<u8>>,
    include: Vec<Vec<u8>>,
    operands: Vec<OsString>,
}

/// The end by an error, in zip's words.
fn error(cx: &mut Cx, c: &Config, status: i32, message: &str) -> End {
    say(
        cx,
        c,
        &format!(
            "
zip error: {message}
"
        ),
    );
    End::Status(status)
}

fn warn(cx: &mut Cx, c: &Config, message: &str) {
    say(
        cx,
        c,
        &format!(
            "	zip warning: {message}
"
        ),
    );
}

/// Everything goes to standard output but when the archive does.
fn say(cx: &mut Cx, c: &Config, text: &str) {
    if c.standard || cx.put(text.as_bytes()).is_err() {
        eprint!("{text}");
    }
}

fn read_options(cx: &mut Cx, args: &[OsString]) -> Result<Config, End> {
    enum List {
        None,
        Exclude,
        Include,
    }
    let mut c = Config { level: 6, ..Config::default() };
    let mut list = List::None;
    let mut literal = false;
    for word in args {
        let bytes = word.as_bytes();
        if literal || bytes.len() < 2 || bytes[0] != b'-' {
            match list {
                List::Exclude | List::Include if word == "@" => list = List::None,
                List::Exclude => c.exclude.push(bytes.to_vec()),
                List::Include => c.include.push(bytes.to_vec()),
                List::None => c.operands.push(word.clone()),
            }
            continue;
        }
        list = List::None;
        let long = match &*word.to_string_lossy() {
            "--" => {
                literal = true;
                continue;
            }
            "--help" => {
                cx.print(format_args!("Usage: {HELP}\n"))?;
                return Err(End::Status(0));
            }
            "--recurse-paths" => &b"r"[..],
            "--quiet" => b"q",
            "--junk-paths" => b"j",
            "--update" => b"u",
            "--freshen" => b"f",
            "--delete" => b"d",
            "--move" => b"m",
            "--symlinks" => b"y",
            "--no-dir-entries" => b"D",
            "--names-stdin" => b"@",
            "--test" => b"T",
            "--no-extra" => b"X",
            "--exclude" => b"x",
            "--include" => b"i",
            text if text.starts_with("--") => {
                let name = text.trim_start_matches('-').to_owned();
                return Err(error(
                    cx,
                    &c,
                    16,
                    &format!("Invalid command arguments (long option '{name}' not supported)"),
                ));
            }
            _ => &bytes[1..],
        };
        let mut letters = long.iter();
        while let Some(letter) = letters.next() {
            match letter {
                b'r' => c.recursive = true,
                b'j' => c.junk = true,
                b'0'..=b'9' => c.level = u32::from(letter - b'0'),
                b'u' => c.update = true,
                b'f' => (c.update, c.fresh) = (true, true),
                b'd' => c.delete = true,
                b'm' => c.move_files = true,
                b'y' => c.links = true,
                b'D' => c.no_directories = true,
                b'X' => c.no_extra = true,
                b'T' => c.test = true,
                b'q' => c.quiet = true,
                // Growing the archive in place is how nothing here works; the result is the same.
                b'g' => {}
                b'@' => c.names_from_stdin = true,
                b'x' | b'i' => {
                    let rest: Vec<u8> = letters.by_ref().copied().collect();
                    let exclude = *letter == b'x';
                    if rest.is_empty() {
                        list = if exclude { List::Exclude } else { List::Include };
                    } else if exclude {
                        c.exclude.push(rest);
                    } else {
                        c.include.push(rest);
                    }
                }
                other => {
                    let other = char::from(*other);
                    return Err(error(
                        cx,
                        &c,
                        16,
                        &format!("Invalid command arguments (short option '{other}' not supported)"),
                    ));
                }
            }
        }
    }
    Ok(c)
}

/// `-@`: more operands, one a line.
fn read_names(cx: &mut Cx, mut c: Config) -> Result<Config, End> {
    if c.names_from_stdin {
        for line in std::io::stdin().lock().split(b'\n') {
            let Ok(line) = line else { return Err(error(cx, &c, 2, "standard input cannot be read")) };
            let line = line.trim_ascii().to_vec();
            if !line.is_empty() {
                c.operands.push(os_owned(line));
            }
        }
    }
    Ok(c)
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let mut c = read_options(cx, args)?;
    if c.operands.is_empty() {
        cx.print(format_args!("Usage: {HELP}\n"))?;
        return Ok(if args.is_empty() { 0 } else { 16 });
    }
    let mut archive = c.operands.remove(0);
    let standard = archive == "-";
    c.standard = standard;
    let c = read_names(cx, c)?;
    if !standard && !base_name(&archive).as_bytes().contains(&b'.') {
        archive.push(".zip");
    }
    let shown = archive.to_string_lossy().into_owned();
    let mut old = None;
    if !standard && let Ok(file) = files::open(&archive, 0) {
        match Directory::read(&file) {
            Ok(directory) => old = Some((file, directory)),
            Err(Bad::NoEnd | Bad::Directory) => {
                warn(cx, &c, "missing end signature--probably not a zip file (did you");
                warn(cx, &c, "remember to use binary mode when you transferred it?)");
                warn(cx, &c, "(if you are trying to read a damaged archive try -F)");
                return Err(error(cx, &c, 3, &format!("Zip file structure invalid ({shown})")));
            }
            Err(Bad::System(e)) => return Err(error(cx, &c, 18, &format!("{shown}: {}", strerror(&e)))),
        }
    }
    let mut plan = Plan { c: &c, sources: Vec::new(), at: HashMap::new() };
    let mut deleted = Vec::new();
    if c.delete {
        let Some((_, directory)) = &old else {
            return Err(error(cx, &c, 13, &format!("Could not find or open zip file ({shown})")));
        };
        for pattern in &c.operands {
            let hits: Vec<&Entry> = directory
                .entries
                .iter()
                .filter(|e| glob::matches(pattern.as_bytes(), &e.name, false))
                .collect();
            if hits.is_empty() {
                warn(cx, &c, &format!("name not matched: {}", pattern.to_string_lossy()));
            }
            deleted.extend(hits.into_iter().map(|e| e.name.clone()));
        }
        if deleted.is_empty() {
            return Err(error(cx, &c, 12, &format!("Nothing to do! ({shown})")));
        }
    } else {
        for operand in &c.operands {
            plan.operand(cx, operand);
        }
        if c.operands.is_empty() && !c.test {
            return Err(error(cx, &c, 12, &format!("Nothing to do! ({shown})")));
        }
        if plan.sources.is_empty() && !(c.test && c.operands.is_empty()) {
            return Err(error(cx, &c, 12, &format!("Nothing to do! ({shown})")));
        }
    }
    let mut sources = plan.sources;
    if c.update {
        let known: HashMap<&[u8], i64> =
            old.iter().flat_map(|(_, d)| &d.entries).map(|e| (&e.name[..], list::seconds(e))).collect();
        sources.retain(|s| match known.get(&s.name[..]) {
            Some(time) => s.stat.mtime > *time,
            None => !c.fresh,
        });
        if sources.is_empty() {
            return Ok(12);
        }
    }
    let mut writer = Writer::open(&archive, standard).map_err(|e| {
        error(cx, &c, 15, &format!("Could not create output file ({shown}): {}", strerror(&e)))
    })?;
    let result = fill(cx, &c, &mut writer, old.as_ref(), &mut sources, &deleted, standard);
    let empty = writer.entries.is_empty();
    let comment = old.as_ref().map(|(_, d)| d.comment.clone()).unwrap_or_default();
    let done = match result {
        Ok(status) => writer
            .finish(&archive, &comment)
            .map(|()| status)
            .map_err(|e| error(cx, &c, 14, &format!("Error writing to output: {}", strerror(&e)))),
        Err(end) => {
            writer.discard();
            Err(end)
        }
    };
    let mut status = done?;
    if empty && !standard {
        warn(cx, &c, "zip file empty");
    }
    if c.test && !standard && !empty {
        status = status.max(test(cx, &c, &archive, &shown)?);
        if status != 0 {
            return Ok(status);
        }
    }
    if c.move_files {
        for source in sources.iter().rev() {
            let _ = if source.is_dir() {
                std::fs::remove_dir(&source.path)
            } else {
                std::fs::remove_file(&source.path)
            };
        }
    }
    Ok(status)
}

/// Reads the new archive once more.
fn test(cx: &mut Cx, c: &Config, archive: &OsString, shown: &str) -> Result<i32, End> {
    let good = files::open(archive, 0).is_ok_and(|file| {
        Directory::read(&file)
            .is_ok_and(|directory| directory.entries.iter().all(|entry| unzip::is_whole(&file, entry)))
    });
    if good {
        if !c.quiet {
            cx.print(format_args!("test of {shown} OK\n"))?;
        }
        return Ok(0);
    }
    Err(error(cx, c, 8, &format!("Zip file invalid, could not spawn unzip, or wrong unzip ({shown})")))
}

/// Writes old members that stay, those that are replaced in their place, and then the new ones.
fn fill(
    cx: &mut Cx,
    c: &Config,
    writer: &mut Writer,
    old: Option<&(agentos_guest::fd::Owned, Directory)>,
    sources: &mut Vec<Source>,
    deleted: &[Vec<u8>],
    standard: bool,
) -> Result<i32, End> {
    let mut status = 0;
    let mut left: HashMap<Vec<u8>, usize> =
        sources.iter().enumerate().map(|(i, s)| (s.name.clone(), i)).collect();
    let mut taken = vec![false; sources.len()];
    let mut failed = Vec::new();
    for entry in old.iter().flat_map(|(_, d)| &d.entries) {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        if deleted.contains(&entry.name) {
            if !c.quiet {
                cx.print(format_args!("deleting: {name}\n"))?;
            }
            continue;
        }
        if let Some(i) = left.remove(&entry.name) {
            taken[i] = true;
            if add::one(cx, c, writer, &sources[i], "updating", standard)? {
                continue;
            }
            failed.push(i);
            status = 18;
        }
        let Some((file, _)) = old else { continue };
        writer.copy(file, entry).map_err(|e| error(cx, c, 14, &strerror(&e)))?;
    }
    for i in 0..sources.len() {
        if !taken[i] && !add::one(cx, c, writer, &sources[i], "  adding", standard)? {
            failed.push(i);
            status = 18;
        }
    }
    let mut i = 0;
    sources.retain(|_| {
        i += 1;
        !failed.contains(&(i - 1))
    });
    Ok(status)
}

/// Which files are to be added, under which names.
struct Plan<'a> {
    c: &'a Config,
    sources: Vec<Source>,
    at: HashMap<Vec<u8>, usize>,
}

impl Plan<'_> {
    fn operand(&mut self, cx: &mut Cx, path: &OsString) {
        if path == "-" {
            if let Ok(stat) = fs::fstat(0) {
                self.push(Source { name: b"-".to_vec(), path: path.clone(), stat, link: false });
            }
            return;
        }
        self.file(cx, path, 0);
    }

    fn file(&mut self, cx: &mut Cx, path: &OsString, depth: usize) {
        let found = if self.c.links { fs::lstat(path) } else { fs::stat(path) };
        let Ok(stat) = found else {
            if !self.c.quiet {
                warn(cx, self.c, &format!("name not matched: {}", path.to_string_lossy()));
            }
            return;
        };
        let mut name = path.as_bytes();
        loop {
            let rest = name.strip_prefix(b"./").or_else(|| name.strip_prefix(b"/"));
            match rest {
                Some(rest) => name = rest,
                None => break,
            }
        }
        let kind = file_type(stat.mode);
        let mut name = if self.c.junk { base_name(os(name)).as_bytes().to_vec() } else { name.to_vec() };
        if kind == FileType::Dir {
            if !name.ends_with(b"/") {
                name.push(b'/');
            }
            if !self.c.junk && !self.c.no_directories && name != b"./" && name != b"/" {
                self.push(Source { name, path: path.clone(), stat, link: false });
            }
            if self.c.recursive {
                if depth >= walk::MAX_DEPTH {
                    return warn(
                        cx,
                        self.c,
                        &format!("could not open for reading: {}", path.to_string_lossy()),
                    );
                }
                match walk::names(path) {
                    Ok(names) => names.iter().for_each(|child| self.file(cx, &join(path, child), depth + 1)),
                    Err(_) => {
                        warn(cx, self.c, &format!("could not open for reading: {}", path.to_string_lossy()))
                    }
                }
            }
            return;
        }
        let link = kind == FileType::Symlink;
        if kind != FileType::File && !link {
            return warn(cx, self.c, &format!("ignoring special file: {}", path.to_string_lossy()));
        }
        self.push(Source { name, path: path.clone(), stat, link });
    }

    fn push(&mut self, source: Source) {
        let hit = |list: &[Vec<u8>]| list.iter().any(|p| glob::matches(p, &source.name, false));
        if hit(&self.c.exclude) || (!self.c.include.is_empty() && !hit(&self.c.include)) {
            return;
        }
        if !self.at.contains_key(&source.name) {
            self.at.insert(source.name.clone(), self.sources.len());
            self.sources.push(source);
        }
    }
}
