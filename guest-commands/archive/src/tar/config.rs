//! The command line of tar: old style and new, positional `-C`, and what all options together mean.

use super::header::Dialect;
use super::names::{Names, Operand};
use super::transform::{self, Rule};
use crate::codec::Format;
use crate::context::{Cx, End};
use crate::mode::Mode;
use crate::names as accounts;
use crate::options::{Opt, Order, Parsed};
use crate::os::{OsStrExt, join, os, os_owned};
use crate::quote::quote;
use crate::time;
use agentos_guest::{fs, strerror, user};
use std::ffi::{OsStr, OsString};

/// What tar is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Extract,
    List,
    Append,
    Update,
    Concatenate,
    Delete,
    Compare,
}

/// What happens to files that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    Replace,
    Overwrite,
    /// Their attributes and places are kept open: unlink first.
    Unlink,
    KeepWithError,
    Skip,
    KeepNewer,
}

/// How the archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// Looked for when reading.
    Unset,
    By(Format),
}

/// All that the command line says.
pub(super) struct Config {
    pub(super) operation: Operation,
    pub(super) archive: OsString,
    pub(super) compression: Compression,
    pub(super) verbose: u32,
    pub(super) absolute: bool,
    pub(super) numeric: bool,
    pub(super) existing: Existing,
    pub(super) permissions: bool,
    pub(super) same_owner: bool,
    pub(super) touch: bool,
    pub(super) to_stdout: bool,
    pub(super) remove: bool,
    pub(super) dereference: bool,
    pub(super) hard_dereference: bool,
    pub(super) one_system: bool,
    pub(super) recursion: bool,
    pub(super) dialect: Dialect,
    pub(super) owner: Option<(Option<u32>, String)>,
    pub(super) group: Option<(Option<u32>, String)>,
    pub(super) mode: Option<Mode>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) full_time: bool,
    pub(super) utc: bool,
    pub(super) totals: bool,
    pub(super) strip: usize,
    /// The directory that all members are put into, unless their names begin with it.
    pub(super) top: Option<Vec<u8>>,
    pub(super) rules: Vec<Rule>,
    pub(super) shown_transformed: bool,
    pub(super) record: u64,
    pub(super) ignore_zeros: bool,
    pub(super) ignore_failed_read: bool,
    pub(super) block_numbers: bool,
    pub(super) keep_directory_symlink: bool,
    pub(super) no_overwrite_dir: bool,
    pub(super) names: Names,
    /// Directories that members are taken from or put into; names say which of them they belong to.
    pub(super) dirs: Vec<OsString>,
}

const SPEC: &[&str] = &[
    "A,catenate",
    "concatenate",
    "c,create",
    "d,diff",
    "compare",
    "delete",
    "r,append",
    "t,list",
    "u,update",
    "x,extract",
    "get",
    "f,file=",
    "a,auto-compress",
    "no-auto-compress",
    "z,gzip",
    "gunzip",
    "ungzip",
    "j,bzip2",
    "J,xz",
    "lzma",
    "zstd",
    "C,directory=",
    "v,verbose",
    "p,preserve-permissions",
    "same-permissions",
    "no-same-permissions",
    "s,preserve-order",
    "same-owner",
    "o,no-same-owner",
    "numeric-owner",
    "owner=",
    "group=",
    "mode=",
    "mtime=",
    "exclude=",
    "X,exclude-from=",
    "exclude-vcs",
    "exclude-backups",
    "strip-components=",
    "transform=",
    "xform=",
    "show-transformed-names",
    "show-stored-names",
    "T,files-from=",
    "null",
    "no-null",
    "wildcards",
    "no-wildcards",
    "wildcards-match-slash",
    "no-wildcards-match-slash",
    "anchored",
    "no-anchored",
    "ignore-case",
    "no-ignore-case",
    "k,keep-old-files",
    "overwrite",
    "overwrite-dir",
    "no-overwrite-dir",
    "keep-newer-files",
    "skip-old-files",
    "keep-directory-symlink",
    "U,unlink-first",
    "recursive-unlink",
    "O,to-stdout",
    "m,touch",
    "remove-files",
    "sort=",
    "h,dereference",
    "hard-dereference",
    "one-file-system",
    "no-recursion",
    "recursion",
    "H,format=",
    "posix",
    "old-archive",
    "portability",
    "P,absolute-names",
    "no-absolute-names",
    "totals",
    "utc",
    "full-time",
    "b,blocking-factor=",
    "record-size=",
    "B,read-full-records",
    "i,ignore-zeros",
    "ignore-failed-read",
    "R,block-number",
    "w,interactive",
    "confirmation",
    "force-local",
    "S,sparse",
    "warning=",
    "add-file=",
    "one-top-level=?",
    "W,verify",
    "atime-preserve=?",
    "delay-directory-restore",
    "no-delay-directory-restore",
];

pub(super) const HELP: &str = "{} [OPTION...] [FILE]...
Store many files together in one archive, and restore them from it.
  -A, --catenate, --concatenate   append archives to an archive
  -c, --create               create a new archive
  -d, --diff, --compare      find differences between archive and file system
      --delete               delete from the archive
  -r, --append               append files to the end of an archive
  -t, --list                 list the contents of an archive
  -u, --update               only append files newer than their copy in the archive
  -x, --extract, --get       extract files from an archive
  -f, --file=ARCHIVE         use archive file (- is standard input or output)
  -C, --directory=DIR        change to directory DIR, for the names that follow
  -T, --files-from=FILE      get names to extract or create from FILE; --null: ended by NUL
  -X, --exclude-from=FILE    exclude patterns listed in FILE
      --exclude=PATTERN      exclude files; --exclude-vcs, --exclude-backups
      --wildcards, --no-wildcards, --anchored, --no-anchored, --ignore-case   how patterns match
  -z, --gzip  -j, --bzip2  -J, --xz  --lzma  --zstd   filter the archive through this
  -a, --auto-compress        compression by the suffix of the archive
  -v, --verbose              list files processed; twice: with all attributes
  -p, --preserve-permissions  extract modes as they are (default for root)
      --same-owner, -o, --no-same-owner   extract owners as they are, or not
      --numeric-owner, --owner=NAME[:UID], --group=NAME[:GID], --mode=CHANGES, --mtime=DATE-OR-FILE
  -m, --touch                don't extract times
  -k, --keep-old-files       don't replace existing files, that is an error
      --skip-old-files, --keep-newer-files, --overwrite, -U, --unlink-first   what to do with them
  -O, --to-stdout            extract files to standard output
      --remove-files         remove files after adding them
      --one-top-level[=DIR]  extract into DIR, by default the name of the archive without its suffix
      --strip-components=N   strip N leading components from names on extraction
      --transform=EXPRESSION  use sed replace EXPRESSION to transform names
  -h, --dereference          archive what symbolic links point to; --hard-dereference
      --one-file-system, --no-recursion, --sort=name
  -H, --format=FORMAT        gnu (default), ustar, pax, posix
  -P, --absolute-names       don't strip leading '/'s
      --totals, --full-time, --utc, -R, --block-number, -b, --blocking-factor=N, -i, --ignore-zeros
Names are archived and listed in the order of their bytes.";

/// `Try ...` and the end, as tar words it.
pub(super) fn usage(cx: &mut Cx, status: i32, message: &str) -> End {
    let hint = "Try 'tar --help' or 'tar --usage' for more information.";
    cx.say(format_args!("{message}\n{hint}"));
    End::Status(status)
}

/// The end by an error that tar cannot go on from.
pub(super) fn fatal(cx: &mut Cx, message: &str) -> End {
    cx.say(format_args!("{message}\ntar: Error is not recoverable: exiting now"));
    End::Status(2)
}

/// `tar xzf a b`: the first word is letters, whose arguments follow as words.
fn new_style(args: &[OsString]) -> Result<Vec<OsString>, String> {
    let Some(first) = args.first().filter(|a| !a.is_empty() && !a.as_bytes().starts_with(b"-")) else {
        return Ok(args.to_vec());
    };
    let mut words = Vec::new();
    let mut rest = args[1..].iter();
    for letter in first.as_bytes() {
        let takes = SPEC
            .iter()
            .any(|s| s.as_bytes()[0] == *letter && s.as_bytes().get(1) == Some(&b',') && s.ends_with('='));
        let mut word = vec![b'-', *letter];
        if takes {
            match rest.next() {
                Some(value) => word.extend_from_slice(value.as_bytes()),
                None => return Err(format!("Old option '{}' requires an argument.", char::from(*letter))),
            }
        }
        words.push(os_owned(word));
    }
    words.extend(rest.cloned());
    Ok(words)
}

/// Options and operands in the order in which they stand.
enum Item {
    Option(Opt),
    Operand(OsString),
}

fn items(cx: &mut Cx, args: &[OsString]) -> Result<Vec<Item>, End> {
    let mut items = Vec::new();
    let words = match new_style(args) {
        Ok(words) => words,
        Err(message) => return Err(usage(cx, 64, &message)),
    };
    let mut rest = &words[..];
    loop {
        let asked = |m: &str| m.contains("'--he") || m.contains("'--vers");
        let parsed: Parsed = match crate::options::parse(SPEC, rest, Order::StopAtOperand) {
            Err(message) if !asked(&message) => return Err(usage(cx, 64, &message)),
            _ => cx.parse(SPEC, rest, Order::StopAtOperand, HELP)?,
        };
        items.extend(parsed.opts.into_iter().map(Item::Option));
        let used = rest.len() - parsed.operands.len();
        let literal = used > 0 && rest[used - 1] == "--";
        let mut operands = parsed.operands.into_iter();
        if literal {
            items.extend(operands.map(Item::Operand));
            return Ok(items);
        }
        let Some(operand) = operands.next() else { return Ok(items) };
        items.push(Item::Operand(operand));
        rest = &rest[used + 1..];
    }
}

/// `NAME:ID`, `NAME` or `ID`.
fn owner(text: &str, find: fn(&str) -> Option<u32>) -> Option<(Option<u32>, String)> {
    if let Some((name, id)) = text.split_once(':') {
        return Some((Some(id.parse().ok()?), name.to_owned()));
    }
    if let Ok(id) = text.strip_prefix('+').unwrap_or(text).parse::<u32>() {
        return Some((Some(id), String::new()));
    }
    Some((find(text), text.to_owned()))
}

/// The time that `--mtime` names: a date, or that of a file, which begins with `/` or `.`.
fn mtime(cx: &mut Cx, text: &OsStr) -> Result<(i64, u32), End> {
    if text.as_bytes().starts_with(b"/") || text.as_bytes().starts_with(b".") {
        return match fs::stat(text) {
            Ok(stat) => Ok((stat.mtime, stat.mtime_nsec)),
            Err(error) => {
                Err(fatal(cx, &format!("{}: Cannot stat: {}", text.to_string_lossy(), strerror(&error))))
            }
        };
    }
    let words = text.to_string_lossy();
    let seconds = words.strip_prefix('@').and_then(|t| t.parse::<i64>().ok()).map(|s| (s, 0));
    seconds.or_else(|| time::parse(&words)).ok_or_else(|| fatal(cx, &format!("Invalid date: '{words}'")))
}

/// What versions are kept in: `--exclude-vcs`.
const VERSIONS: &[&str] = &[
    "CVS",
    ".cvsignore",
    "RCS",
    "SCCS",
    ".git",
    ".gitignore",
    ".gitattributes",
    ".gitmodules",
    ".svn",
    ".arch-ids",
    "{arch}",
    "=RELEASE-ID",
    "=meta-update",
    "=update",
    ".bzr",
    ".bzrignore",
    ".bzrtags",
    ".hg",
    ".hgignore",
    ".hgtags",
    "_darcs",
];

impl Config {
    pub(super) fn read(cx: &mut Cx, args: &[OsString]) -> Result<Config, End> {
        let root = user::geteuid() == 0;
        let mut config = Config {
            operation: Operation::List,
            archive: std::env::var_os("TAPE").unwrap_or_else(|| "-".into()),
            compression: Compression::Unset,
            verbose: 0,
            absolute: false,
            numeric: false,
            existing: Existing::Replace,
            permissions: root,
            same_owner: root,
            touch: false,
            to_stdout: false,
            remove: false,
            dereference: false,
            hard_dereference: false,
            one_system: false,
            recursion: true,
            dialect: Dialect::Gnu,
            owner: None,
            group: None,
            mode: None,
            mtime: None,
            full_time: false,
            utc: false,
            totals: false,
            strip: 0,
            top: None,
            rules: Vec::new(),
            shown_transformed: false,
            record: 20 * 512,
            ignore_zeros: false,
            ignore_failed_read: false,
            block_numbers: false,
            keep_directory_symlink: false,
            no_overwrite_dir: false,
            names: Names::default(),
            dirs: vec![OsString::new()],
        };
        let mut operation = None;
        let mut auto = false;
        let mut null = false;
        let mut top = None;
        for item in items(cx, args)? {
            match item {
                Item::Operand(name) => config.add(name),
                Item::Option(opt) => {
                    if let Some(new) = operation_of(opt.id) {
                        if operation.is_some_and(|old| old != new) {
                            let message = "You may not specify more than one '-Acdtrux', '--delete' or  '--test-label' option";
                            return Err(usage(cx, 2, message));
                        }
                        operation = Some(new);
                    } else {
                        config.option(cx, &opt, &mut auto, &mut null, &mut top)?;
                    }
                }
            }
        }
        let Some(operation) = operation else {
            let message = "You must specify one of the '-Acdtrux', '--delete' or '--test-label' options";
            return Err(usage(cx, 2, message));
        };
        config.operation = operation;
        if auto
            && operation == Operation::Create
            && let Some(format) = by_suffix(&config.archive)
        {
            config.compression = Compression::By(format);
        }
        config.top = match top {
            Some(Some(dir)) => Some(dir.as_bytes().to_vec()),
            Some(None) => match stem(&config.archive) {
                Some(dir) => Some(dir),
                None => {
                    let message = "Cannot deduce top-level directory name; please set it explicitly with --one-top-level=DIR";
                    return Err(usage(cx, 2, message));
                }
            },
            None => None,
        };
        let adds = matches!(operation, Operation::Create | Operation::Append | Operation::Update);
        if adds && config.names.late_excludes(cx) {
            cx.status = 2;
        }
        for dir in config.dirs.iter().skip(1) {
            let error = match fs::stat(dir) {
                Ok(stat) if fs::file_type(stat.mode) == fs::FileType::Dir => continue,
                Ok(_) => agentos_guest::io_error(agentos_guest::Errno::ENOTDIR),
                Err(error) => error,
            };
            return Err(fatal(cx, &format!("{}: Cannot open: {}", dir.to_string_lossy(), strerror(&error))));
        }
        Ok(config)
    }

    fn add(&mut self, name: OsString) {
        let dir = self.dirs.len() - 1;
        self.names.operands.push(Operand::new(unquoted(name.as_bytes()), dir));
    }

    fn option(
        &mut self,
        cx: &mut Cx,
        opt: &Opt,
        auto: &mut bool,
        null: &mut bool,
        top: &mut Option<Option<OsString>>,
    ) -> Result<(), End> {
        match opt.id {
            "file" => self.archive = opt.arg().to_owned(),
            "auto-compress" => *auto = true,
            "no-auto-compress" => *auto = false,
            "gzip" | "gunzip" | "ungzip" => self.compression = Compression::By(Format::Gzip),
            "bzip2" => self.compression = Compression::By(Format::Bzip2),
            "xz" => self.compression = Compression::By(Format::Xz),
            "lzma" => self.compression = Compression::By(Format::Lzma),
            "zstd" => self.compression = Compression::By(Format::Zstd),
            "directory" => {
                let last = self.dirs.last().cloned().unwrap_or_default();
                let absolute = opt.arg().as_bytes().starts_with(b"/");
                self.dirs.push(if absolute { opt.arg().to_owned() } else { join(&last, opt.arg()) });
            }
            "verbose" => self.verbose += 1,
            "preserve-permissions" | "same-permissions" => self.permissions = true,
            "no-same-permissions" => self.permissions = false,
            "same-owner" => self.same_owner = true,
            "no-same-owner" => self.same_owner = false,
            "numeric-owner" => self.numeric = true,
            "owner" => self.owner = owner(&opt.text(), accounts::user_operand),
            "group" => self.group = owner(&opt.text(), accounts::group_operand),
            "mode" => match Mode::parse(&opt.text()) {
                Some(mode) => self.mode = Some(mode),
                None => return Err(fatal(cx, "Invalid mode given on option")),
            },
            "mtime" => self.mtime = Some(mtime(cx, opt.arg())?),
            "exclude" => self.names.exclude(opt.arg().as_bytes()),
            "exclude-from" => {
                for pattern in lines(cx, opt.arg(), b'\n')? {
                    self.names.exclude(&pattern);
                }
            }
            "exclude-vcs" => VERSIONS.iter().for_each(|name| self.names.exclude_name(name.as_bytes())),
            "exclude-backups" => {
                [".#*", "*~", "#*#"].iter().for_each(|pattern| self.names.exclude_name(pattern.as_bytes()));
            }
            "strip-components" => match opt.text().parse() {
                Ok(n) => self.strip = n,
                Err(_) => return Err(usage(cx, 2, &format!("{}: Invalid number of elements", opt.text()))),
            },
            "transform" | "xform" => match transform::parse(opt.arg().as_bytes()) {
                Ok(rules) => self.rules.extend(rules),
                Err(message) => return Err(usage(cx, 2, &message)),
            },
            "show-transformed-names" | "show-stored-names" => self.shown_transformed = true,
            "files-from" => {
                for name in lines(cx, opt.arg(), if *null { 0 } else { b'\n' })? {
                    if !*null && name.starts_with(b"-C") {
                        let dir = os(name[2..].trim_ascii_start()).to_owned();
                        let last = self.dirs.last().cloned().unwrap_or_default();
                        self.dirs.push(if dir.as_bytes().starts_with(b"/") {
                            dir
                        } else {
                            join(&last, &dir)
                        });
                    } else if !name.is_empty() {
                        self.add(os_owned(name));
                    }
                }
                self.names.from_file = true;
            }
            "add-file" => self.add(opt.arg().to_owned()),
            "null" => *null = true,
            "no-null" => *null = false,
            "wildcards" => self.names.wildcards = Some(true),
            "no-wildcards" => self.names.wildcards = Some(false),
            "wildcards-match-slash" => self.names.match_slash = true,
            "no-wildcards-match-slash" => self.names.match_slash = false,
            "anchored" => self.names.anchored = Some(true),
            "no-anchored" => self.names.anchored = Some(false),
            "ignore-case" => self.names.fold = true,
            "no-ignore-case" => self.names.fold = false,
            "keep-old-files" => self.existing = Existing::KeepWithError,
            "skip-old-files" => self.existing = Existing::Skip,
            "keep-newer-files" => self.existing = Existing::KeepNewer,
            "overwrite" => self.existing = Existing::Overwrite,
            "unlink-first" | "recursive-unlink" => self.existing = Existing::Unlink,
            "keep-directory-symlink" => self.keep_directory_symlink = true,
            "no-overwrite-dir" => self.no_overwrite_dir = true,
            "overwrite-dir" => self.no_overwrite_dir = false,
            "to-stdout" => self.to_stdout = true,
            "touch" => self.touch = true,
            "remove-files" => self.remove = true,
            "sort" if !matches!(opt.text().as_str(), "name" | "none") => {
                let (word, option) = (quote(opt.arg()), quote(OsStr::new("--sort")));
                let list = ["none", "name"].map(|word| format!("\n  - {}", quote(OsStr::new(word)))).concat();
                return Err(End::Failure(
                    2,
                    format!("invalid argument {word} for {option}\nValid arguments are:{list}"),
                ));
            }
            "dereference" => self.dereference = true,
            "hard-dereference" => self.hard_dereference = true,
            "one-file-system" => self.one_system = true,
            "no-recursion" => (self.recursion, self.names.recursion) = (false, false),
            "recursion" => (self.recursion, self.names.recursion) = (true, true),
            "format" => match opt.text().as_str() {
                "gnu" | "oldgnu" => self.dialect = Dialect::Gnu,
                "ustar" | "v7" => self.dialect = Dialect::Ustar,
                "pax" | "posix" => self.dialect = Dialect::Pax,
                other => return Err(usage(cx, 2, &format!("Invalid archive format: {other}"))),
            },
            "posix" => self.dialect = Dialect::Pax,
            "old-archive" | "portability" => self.dialect = Dialect::Ustar,
            "absolute-names" => self.absolute = true,
            "no-absolute-names" => self.absolute = false,
            "totals" => self.totals = true,
            "utc" => self.utc = true,
            "full-time" => self.full_time = true,
            "blocking-factor" => match opt.text().parse::<u64>().ok().filter(|n| (1..=1 << 20).contains(n)) {
                Some(n) => self.record = n * 512,
                None => return Err(usage(cx, 2, &format!("{}: Invalid blocking factor", opt.text()))),
            },
            "record-size" => {
                match opt.text().parse::<u64>().ok().filter(|n| *n > 0 && n % 512 == 0 && *n < 1 << 29) {
                    Some(n) => self.record = n,
                    None => return Err(usage(cx, 2, "Record size must be a multiple of 512.")),
                }
            }
            "ignore-zeros" => self.ignore_zeros = true,
            "ignore-failed-read" => self.ignore_failed_read = true,
            "block-number" => self.block_numbers = true,
            "sparse" | "interactive" | "confirmation" | "verify" | "atime-preserve" => {
                return Err(usage(cx, 2, &format!("option '{}' is not supported", opt.id)));
            }
            "warning" => warning(cx, &opt.text())?,
            "one-top-level" => *top = Some(opt.value.clone()),
            // How a tape is read, and what is always so: times of directories are set last, names are local.
            _ => {}
        }
        Ok(())
    }
}

/// `--warning`: warnings that are never given may be switched off.
fn warning(cx: &mut Cx, word: &str) -> Result<(), End> {
    const NEVER: &[&str] = &[
        "cachedir",
        "contiguous-cast",
        "decompress-program",
        "file-changed",
        "file-unchanged",
        "ignore-archive",
        "new-directory",
        "record-size",
        "rename-directory",
        "symlink-cast",
        "timestamp",
        "unknown-keyword",
        "verbose",
        "xattr-write",
        "xdev",
    ];
    match word.strip_prefix("no-") {
        Some(what) if NEVER.contains(&what) => Ok(()),
        _ => Err(usage(cx, 2, &format!("option '--warning={word}' is not supported"))),
    }
}

/// A name as GNU tar takes it from the command line: what it escapes in listings may be escaped here too.
fn unquoted(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((b, after)) = rest.split_first() {
        rest = after;
        let escape = if *b == b'\\' { rest.first() } else { None };
        let plain = match escape {
            Some(b'a') => 7,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'v') => 11,
            Some(b'\\') => b'\\',
            Some(b'0'..=b'7') => {
                let digits = rest.iter().take(3).take_while(|b| (b'0'..b'8').contains(b)).count();
                let value = rest[..digits].iter().fold(0_u32, |n, b| n * 8 + u32::from(b - b'0'));
                rest = &rest[digits..];
                out.push(value as u8);
                continue;
            }
            _ => {
                out.push(*b);
                continue;
            }
        };
        rest = &rest[1..];
        out.push(plain);
    }
    out
}

fn operation_of(id: &str) -> Option<Operation> {
    Some(match id {
        "catenate" | "concatenate" => Operation::Concatenate,
        "create" => Operation::Create,
        "diff" | "compare" => Operation::Compare,
        "delete" => Operation::Delete,
        "append" => Operation::Append,
        "list" => Operation::List,
        "update" => Operation::Update,
        "extract" | "get" => Operation::Extract,
        _ => return None,
    })
}

/// The compression that the suffix of an archive means.
fn by_suffix(archive: &OsStr) -> Option<Format> {
    let name = archive.to_string_lossy();
    let (_, suffix) = name.rsplit_once('.')?;
    Some(match suffix {
        "gz" | "tgz" | "taz" => Format::Gzip,
        "bz2" | "tbz" | "tbz2" | "tz2" => Format::Bzip2,
        "xz" | "txz" => Format::Xz,
        "lzma" | "tlz" => Format::Lzma,
        "zst" | "tzst" => Format::Zstd,
        _ => return None,
    })
}

/// The name of an archive without directories and suffix, if it has one.
fn stem(archive: &OsStr) -> Option<Vec<u8>> {
    let name = crate::os::base_name(archive).as_bytes();
    let packed = by_suffix(archive).is_some();
    let dot = |name: &[u8]| name.iter().rposition(|b| *b == b'.').filter(|at| *at > 0);
    let bare = if packed { &name[..dot(name)?] } else { name };
    let whole = match bare.strip_suffix(b".tar") {
        Some(stem) => stem,
        None if packed => bare,
        None => return None,
    };
    (!whole.is_empty()).then(|| whole.to_vec())
}

/// The lines of a file of names, `-` being standard input.
fn lines(cx: &mut Cx, path: &OsStr, end: u8) -> Result<Vec<Vec<u8>>, End> {
    use std::io::Read as _;
    let mut text = Vec::new();
    let read = crate::context::open_input(path).and_then(|mut file| file.read_to_end(&mut text));
    if let Err(error) = read {
        return Err(fatal(cx, &format!("{}: Cannot stat: {}", path.to_string_lossy(), strerror(&error))));
    }
    if text.last() == Some(&end) {
        text.pop();
    }
    Ok(if text.is_empty() { Vec::new() } else { text.split(|b| *b == end).map(<[u8]>::to_vec).collect() })
}
