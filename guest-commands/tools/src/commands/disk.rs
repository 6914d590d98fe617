//! `du` and `df`: space that files take and that file systems have. `df` knows the mounts of `/proc/mounts`.

use crate::context::{Cx, End, Outcome};
use crate::glob;
use crate::options::{Opt, Order};
use crate::os::{OsStrExt, base_name, join, os_owned};
use crate::quote::{quote, quoteaf};
use crate::size::{human, multiplier, parse_size};
use crate::walk;
use agentos_guest::fs::{self, FileType, file_type};
use agentos_guest::strerror;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};

const DU: &[&str] = &[
    "0,null",
    "a,all",
    "apparent-size",
    "b,bytes",
    "B,block-size=",
    "c,total",
    "d,max-depth=",
    "D,dereference-args",
    "h,human-readable",
    "H",
    "k",
    "L,dereference",
    "l,count-links",
    "m",
    "s,summarize",
    "S,separate-dirs",
    "si",
    "t,threshold=",
    "x,one-file-system",
    "exclude=",
];
const DU_HELP: &str = "{} [OPTION]... [FILE]...
Summarize device usage of the set of FILEs, recursively for directories.
  -0, --null             end each output line with NUL, not newline
  -a, --all              write counts for all files, not just directories
      --apparent-size    print apparent sizes rather than device usage
  -b, --bytes            equivalent to --apparent-size --block-size=1
  -B, --block-size=SIZE  scale sizes by SIZE before printing them
  -c, --total            produce a grand total
  -d, --max-depth=N      print the total for a directory only if it is N or fewer levels below the argument
  -h, --human-readable   print sizes in human readable format; --si in powers of 1000
  -k, -m                 like --block-size=1K, --block-size=1M
  -L, --dereference      dereference all symbolic links
  -l, --count-links      count sizes many times if hard linked
  -s, --summarize        display only a total for each argument
  -S, --separate-dirs    for directories do not include size of subdirectories
  -t, --threshold=SIZE   exclude entries smaller than SIZE if positive, or greater if negative
  -x, --one-file-system  skip directories on different file systems
      --exclude=PATTERN  exclude files that match PATTERN";

/// How sizes are written.
#[derive(Clone, Copy)]
enum Unit {
    Blocks(u64),
    Human(u64),
}

impl Unit {
    fn show(self, bytes: u64) -> String {
        match self {
            Unit::Blocks(unit) => bytes.div_ceil(unit).to_string(),
            Unit::Human(base) => human(bytes, base),
        }
    }
}

fn unit(cx: &Cx, opts: &[Opt], default: u64) -> Result<Unit, End> {
    let mut unit = Unit::Blocks(default);
    for opt in opts {
        match opt.id {
            "human-readable" => unit = Unit::Human(1024),
            "si" => unit = Unit::Human(1000),
            "H" if cx.name == "df" => unit = Unit::Human(1000),
            "k" => unit = Unit::Blocks(1024),
            "m" => unit = Unit::Blocks(1 << 20),
            "bytes" => unit = Unit::Blocks(1),
            "block-size" => {
                let text = opt.text();
                match multiplier(&text)
                    .filter(|_| !text.is_empty())
                    .or_else(|| parse_size(&text))
                    .filter(|n| *n > 0)
                {
                    Some(n) => unit = Unit::Blocks(n),
                    None => {
                        return Err(End::Failure(
                            1,
                            format!("invalid --block-size argument {}", quote(opt.arg())),
                        ));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(unit)
}

struct Du {
    unit: Unit,
    apparent: bool,
    all: bool,
    depth: usize,
    follow: bool,
    follow_operands: bool,
    count_links: bool,
    separate: bool,
    one_system: bool,
    exclude: Vec<Vec<u8>>,
    threshold: Option<(bool, u64)>,
    end: u8,
    seen: HashSet<(u64, u64)>,
}

/// `du`.
pub(crate) fn du(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(DU, args, Order::Permute, DU_HELP)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    let value = |id: &str| parsed.opts.iter().rfind(|o| o.id == id).map(Opt::text);
    let mut depth = usize::MAX;
    if let Some(text) = value("max-depth") {
        depth = text
            .parse()
            .map_err(|_| cx.usage(format!("invalid maximum depth {}", quote(OsStr::new(&text)))))?;
    }
    if has("summarize") {
        if has("all") {
            return Err(cx.usage("cannot both summarize and show all entries"));
        }
        depth = 0;
    }
    let threshold = match value("threshold") {
        None => None,
        Some(text) => {
            let (below, number) = match text.strip_prefix('-') {
                Some(number) => (true, number),
                None => (false, text.as_str()),
            };
            let bad =
                || End::Failure(1, format!("invalid --threshold argument {}", quote(OsStr::new(&text))));
            Some((below, parse_size(number).ok_or_else(bad)?))
        }
    };
    let mut du = Du {
        unit: unit(cx, &parsed.opts, 1024)?,
        apparent: has("apparent-size") || has("bytes"),
        all: has("all"),
        depth,
        follow: has("dereference"),
        follow_operands: has("dereference-args") || has("H"),
        count_links: has("count-links"),
        separate: has("separate-dirs"),
        one_system: has("one-file-system"),
        exclude: parsed
            .opts
            .iter()
            .filter(|o| o.id == "exclude")
            .map(|o| o.arg().as_bytes().to_vec())
            .collect(),
        threshold,
        end: if has("null") { 0 } else { b'\n' },
        seen: HashSet::new(),
    };
    let here = [OsString::from(".")];
    let operands = if parsed.operands.is_empty() { &here[..] } else { &parsed.operands[..] };
    let mut total = 0u64;
    for operand in operands {
        total = total.saturating_add(du.count(cx, operand, 0, None)?.unwrap_or(0));
    }
    if has("total") {
        du.put(cx, total, OsStr::new("total"))?;
    }
    Ok(0)
}

impl Du {
    /// The bytes of a file or tree, printing what is to be printed; `None` when it is not counted.
    fn count(
        &mut self,
        cx: &mut Cx,
        path: &OsStr,
        depth: usize,
        system: Option<u64>,
    ) -> Result<Option<u64>, End> {
        let hit = |g: &Vec<u8>| {
            glob::matches(g, base_name(path).as_bytes(), false) || glob::matches(g, path.as_bytes(), false)
        };
        if self.exclude.iter().any(hit) {
            return Ok(None);
        }
        let through = self.follow || (depth == 0 && self.follow_operands);
        let stat = match if through { fs::stat(path) } else { fs::lstat(path) } {
            Ok(stat) => stat,
            Err(error) => {
                cx.warn(format_args!("cannot access {}: {}", quoteaf(path), strerror(&error)));
                return Ok(None);
            }
        };
        let is_dir = file_type(stat.mode) == FileType::Dir;
        if self.one_system && system.is_some_and(|dev| dev != stat.dev) {
            return Ok(None);
        }
        if (is_dir || stat.nlink > 1) && !self.count_links && !self.seen.insert((stat.dev, stat.ino)) {
            return Ok(None);
        }
        // Apparent sizes of directories mean nothing, GNU 9 counts them still.
        let own = if self.apparent { stat.size } else { stat.blocks.saturating_mul(512) };
        let (mut total, mut shown) = (own, own);
        if is_dir {
            let names = if depth < walk::MAX_DEPTH { walk::names(path) } else { Err(walk::too_deep()) };
            match names {
                Ok(names) => {
                    for name in names {
                        let child = join(path, &name);
                        let is_child_dir = self.separate
                            && fs::lstat(&child).is_ok_and(|s| file_type(s.mode) == FileType::Dir);
                        let bytes = self.count(cx, &child, depth + 1, Some(stat.dev))?.unwrap_or(0);
                        total = total.saturating_add(bytes);
                        if !is_child_dir {
                            shown = shown.saturating_add(bytes);
                        }
                    }
                }
                Err(error) => {
                    cx.warn(format_args!("cannot read directory {}: {}", quoteaf(path), strerror(&error)))
                }
            }
        }
        let out = match self.threshold {
            Some((false, least)) => shown < least,
            Some((true, most)) => shown > most,
            None => false,
        };
        if depth <= self.depth && (is_dir || self.all || depth == 0) && !out {
            self.put(cx, shown, path)?;
        }
        Ok(Some(total))
    }

    fn put(&self, cx: &mut Cx, bytes: u64, path: &OsStr) -> Result<(), End> {
        cx.print(format_args!("{}\t", self.unit.show(bytes)))?;
        cx.put(path.as_bytes())?;
        cx.put(&[self.end])
    }
}

struct Mount {
    source: String,
    dir: OsString,
    kind: String,
}

impl Mount {
    /// GNU's `ME_REMOTE`: by its source or its type.
    fn is_remote(&self) -> bool {
        let kind = self.kind.as_str();
        self.source.contains(':')
            || (self.source.starts_with("//") && matches!(kind, "smbfs" | "smb3" | "cifs"))
            || matches!(
                kind,
                "acfs" | "afs" | "coda" | "auristorfs" | "fhgfs" | "gpfs" | "ibrix" | "ocfs2" | "vxfs"
            )
            || self.source == "-hosts"
    }
}

/// The mounts, with the escapes of `/proc/mounts` (`\040`) undone; the last mount on a directory hides the others.
fn mounts() -> Vec<Mount> {
    let text = std::fs::read("/proc/mounts").unwrap_or_default();
    let mut found: Vec<Mount> = Vec::new();
    for line in text.split(|b| *b == b'\n') {
        let mut words = line.split(|b| *b == b' ').map(unescape);
        let (Some(source), Some(dir), Some(kind)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let dir = os_owned(dir);
        found.retain(|m| m.dir != dir);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        found.push(Mount { source: text(source), dir, kind: text(kind) });
    }
    found
}

fn unescape(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut i = 0;
    while i < word.len() {
        let digits =
            word.get(i + 1..i + 4).filter(|d| word[i] == b'\\' && d.iter().all(|b| (b'0'..b'8').contains(b)));
        match digits {
            Some(d) => {
                out.push((d[0] - b'0').wrapping_mul(64).wrapping_add((d[1] - b'0') * 8 + (d[2] - b'0')));
                i += 4;
            }
            None => {
                out.push(word[i]);
                i += 1;
            }
        }
    }
    out
}

/// `df`.
pub(crate) fn df(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &[
        "a,all",
        "B,block-size=",
        "h,human-readable",
        "H,si",
        "i,inodes",
        "k",
        "l,local",
        "m",
        "P,portability",
        "T,print-type",
        "t,type=",
        "x,exclude-type=",
        "total",
        "sync",
        "no-sync",
    ];
    let help = "{} [OPTION]... [FILE]...
Show information about the file system on which each FILE resides, or all file systems.
  -a, --all              include pseudo file systems
  -B, --block-size=SIZE  scale sizes by SIZE before printing them
  -h, --human-readable   print sizes in powers of 1024; -H, --si in powers of 1000
  -i, --inodes           list inode information instead of block usage
  -k, -m                 like --block-size=1K, --block-size=1M
  -l, --local            limit listing to local file systems
      --sync, --no-sync  sync the file systems before looking, or not (the default)
  -P, --portability      use the POSIX output format
  -T, --print-type       print file system type
  -t, --type=TYPE        limit listing to file systems of type TYPE; -x excludes";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    if has("total") {
        return Err(cx.usage("option '--total' is not supported"));
    }
    let unit = unit(cx, &parsed.opts, 1024)?;
    let mut mounts = mounts();
    if mounts.is_empty() {
        mounts.push(Mount { source: "-".into(), dir: "/".into(), kind: "-".into() });
    }
    let types =
        |id: &str| -> Vec<String> { parsed.opts.iter().filter(|o| o.id == id).map(Opt::text).collect() };
    let (only, without) = (types("type"), types("exclude-type"));
    if has("local") {
        mounts.retain(|m| !m.is_remote());
    }
    if parsed.opts.iter().rfind(|o| matches!(o.id, "sync" | "no-sync")).is_some_and(|o| o.id == "sync") {
        // What is open elsewhere is not ours to sync: the mounts themselves are.
        for mount in &mounts {
            let _ = std::fs::File::open(&mount.dir).and_then(|f| f.sync_all());
        }
    }
    mounts.retain(|m| (only.is_empty() || only.contains(&m.kind)) && !without.contains(&m.kind));
    let mut chosen: Vec<&Mount> = Vec::new();
    for operand in &parsed.operands {
        match std::fs::canonicalize(operand)
            .or_else(|e| fs::stat(operand).map(|_| operand.into()).map_err(|_| e))
        {
            Ok(path) => {
                chosen.extend(mounts.iter().filter(|m| path.starts_with(&m.dir)).max_by_key(|m| m.dir.len()))
            }
            Err(error) => cx.warn(format_args!("{}: {}", crate::quote::quotef(operand), strerror(&error))),
        }
    }
    if parsed.operands.is_empty() {
        chosen = mounts.iter().collect();
    } else if chosen.is_empty() {
        return Err(End::Failure(1, "no file systems processed".to_owned()));
    }
    let size = match unit {
        Unit::Human(_) => "Size".to_owned(),
        Unit::Blocks(1024) if has("portability") => "1024-blocks".to_owned(),
        Unit::Blocks(1024) => "1K-blocks".to_owned(),
        Unit::Blocks(n) if n == 1 << 20 => "1M-blocks".to_owned(),
        Unit::Blocks(n) => format!("{n}-blocks"),
    };
    let available = if matches!(unit, Unit::Human(_)) { "Avail" } else { "Available" };
    let percent = if has("portability") { "Capacity" } else { "Use%" };
    let mut rows = vec![if has("inodes") {
        ["Filesystem", "Type", "Inodes", "IUsed", "IFree", "IUse%", "Mounted on"].map(str::to_owned).to_vec()
    } else {
        ["Filesystem", "Type", &size, "Used", available, percent, "Mounted on"].map(str::to_owned).to_vec()
    }];
    for mount in chosen {
        let s = match fs::statfs(&mount.dir) {
            Ok(s) => s,
            Err(error) => {
                cx.warn(format_args!("{}: {}", mount.dir.to_string_lossy(), strerror(&error)));
                continue;
            }
        };
        if s.blocks == 0 && parsed.operands.is_empty() && !has("all") {
            continue;
        }
        let (all, free) = if has("inodes") { (s.files, s.ffree) } else { (s.blocks, s.bfree) };
        let used = all.saturating_sub(free);
        let share = if all == 0 {
            "-".to_owned()
        } else {
            format!("{}%", (u128::from(used) * 100).div_ceil(u128::from(all)))
        };
        let show = |n: u64| if has("inodes") { n.to_string() } else { unit.show(n.saturating_mul(s.bsize)) };
        let dir = mount.dir.to_string_lossy().into_owned();
        rows.push(vec![
            mount.source.clone(),
            mount.kind.clone(),
            show(all),
            show(used),
            show(free),
            share,
            dir,
        ]);
    }
    let widths: Vec<usize> = (0..7).map(|i| rows.iter().map(|r| r[i].len()).max().unwrap_or(0)).collect();
    for row in rows {
        let mut line = format!("{:<1$}", row[0], widths[0].max(14));
        if has("print-type") {
            line += &format!(" {:<1$}", row[1], widths[1]);
        }
        for i in 2..6 {
            line += &format!(" {:>1$}", row[i], widths[i].max(if i < 5 { 5 } else { 4 }));
        }
        cx.print(format_args!("{line} {}\n", row[6]))?;
    }
    Ok(0)
}
