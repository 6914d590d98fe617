//! `namei`: a path part by part, with links followed.

use crate::context::{Cx, End, Outcome};
use crate::mode;
use crate::names::Names;
use crate::options::Order;
use agentos_guest::fs::{FileType, Stat, file_type, lstat, stat};
use agentos_guest::strerror;
use std::ffi::OsString;

/// How many links are followed, as by the kernel.
const MOST_LINKS: usize = 40;

#[derive(Default)]
struct Config {
    modes: bool,
    owners: bool,
    vertical: bool,
    mounts: bool,
    no_links: bool,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &[
        "x,mountpoints",
        "m,modes",
        "o,owners",
        "l,long",
        "n,nosymlinks",
        "v,vertical",
        "h,help",
        "V,version",
    ];
    let help = "{} [options] <pathname>...
Follow a pathname until a terminal point is found.
 -l, --long         use a long listing format (-m -o -v)
 -m, --modes        show the mode bits of each file
 -n, --nosymlinks   don't follow symlinks
 -o, --owners       show owner and group name of each file
 -v, --vertical     vertical align of modes and owners
 -x, --mountpoints  show mount point directories with a 'D'
 -h, --help         display this help
 -V, --version      display version";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let mut c = Config::default();
    for opt in &parsed.opts {
        match opt.id {
            "mountpoints" => c.mounts = true,
            "modes" => c.modes = true,
            "owners" => c.owners = true,
            "long" => (c.modes, c.owners, c.vertical) = (true, true, true),
            "nosymlinks" => c.no_links = true,
            "vertical" => c.vertical = true,
            "help" => {
                cx.print(format_args!("Usage:\n {}\n", help.replace("{}", "namei")))?;
                return Ok(0);
            }
            _ => return Err(cx.version()),
        }
    }
    if parsed.operands.is_empty() {
        return Err(cx.usage("pathname argument is missing"));
    }
    let mut status = 0;
    for path in &parsed.operands {
        let path = path.to_string_lossy().into_owned();
        let mut walk = Walk { links: 0, rows: Vec::new(), failed: false };
        walk.path(&c, &path, "", 0);
        cx.print(format_args!("f: {path}\n"))?;
        show(cx, &c, &walk.rows)?;
        status |= i32::from(walk.failed);
    }
    Ok(status)
}

/// A part of a path: what it is, or why it cannot be seen.
struct Row {
    level: usize,
    found: Result<Stat, String>,
    letter: char,
    text: String,
}

struct Walk {
    links: usize,
    rows: Vec<Row>,
    failed: bool,
}

impl Walk {
    /// Follows `path`, which is below `base` if it is relative.
    fn path(&mut self, c: &Config, path: &str, base: &str, level: usize) -> Option<String> {
        let mut here = base.to_owned();
        if path.starts_with('/') {
            here = "/".to_owned();
            self.part(c, "/", "/", "/", level)?;
        }
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let whole = match here.as_str() {
                "" => part.to_owned(),
                "/" => format!("/{part}"),
                here => format!("{here}/{part}"),
            };
            let parent = if here.is_empty() { "." } else { here.as_str() };
            here = self.part(c, &whole, part, parent, level)?;
        }
        Some(here)
    }

    /// One part; where it leads.
    fn part(&mut self, c: &Config, whole: &str, name: &str, parent: &str, level: usize) -> Option<String> {
        let found = match lstat(whole) {
            Ok(found) => found,
            Err(error) => {
                self.failed = true;
                let text = format!("{name} - {}", strerror(&error));
                self.rows.push(Row { level, found: Err(text.clone()), letter: ' ', text });
                return None;
            }
        };
        let kind = file_type(found.mode);
        let above = || stat(parent).map(|p| p.dev);
        let mount =
            c.mounts && kind == FileType::Dir && (whole == "/" || above().is_ok_and(|dev| dev != found.dev));
        let letter = match kind {
            FileType::Dir if mount => 'D',
            FileType::Dir => 'd',
            FileType::Symlink => 'l',
            FileType::Fifo => 'p',
            FileType::CharDevice => 'c',
            FileType::BlockDevice => 'b',
            FileType::Socket => 's',
            FileType::File => '-',
            FileType::Other => '?',
        };
        let target = (kind == FileType::Symlink)
            .then(|| std::fs::read_link(whole).map(|t| t.to_string_lossy().into_owned()).unwrap_or_default());
        let text = match &target {
            Some(target) => format!("{name} -> {target}"),
            None => name.to_owned(),
        };
        self.rows.push(Row { level, found: Ok(found), letter, text });
        match target {
            Some(target) if !c.no_links => {
                self.links += 1;
                if self.links > MOST_LINKS {
                    self.failed = true;
                    return None;
                }
                let base = if parent == "." { "" } else { parent };
                self.path(c, &target, base, level + 1)
            }
            _ => Some(whole.to_owned()),
        }
    }
}

fn show(cx: &mut Cx, c: &Config, rows: &[Row]) -> Result<(), End> {
    let mut names = Names::default();
    let mut owner = |row: &Row| match &row.found {
        Ok(s) => (names.user_or_id(s.uid), names.group_or_id(s.gid)),
        Err(_) => (String::new(), String::new()),
    };
    let owners: Vec<(String, String)> = rows.iter().map(&mut owner).collect();
    let widths = (
        owners.iter().map(|o| o.0.chars().count()).max().unwrap_or(0),
        owners.iter().map(|o| o.1.chars().count()).max().unwrap_or(0),
    );
    for (row, (user, group)) in rows.iter().zip(&owners) {
        let indent = "  ".repeat(row.level);
        let missing = row.found.is_err();
        let mut fields = String::new();
        match &row.found {
            Ok(s) if c.modes => {
                let letters = mode::letters(s.mode);
                fields += &if row.letter == 'D' { letters.replacen('d', "D", 1) } else { letters };
            }
            Ok(_) => fields.push(row.letter),
            Err(_) => fields += &" ".repeat(if c.modes { 10 } else { 1 }),
        }
        if c.owners {
            fields += &format!(" {user:<u$} {group:<g$}", u = widths.0, g = widths.1);
        }
        let text =
            if missing { row.found.as_ref().err().cloned().unwrap_or_default() } else { row.text.clone() };
        if c.vertical {
            cx.print(format_args!("{fields} {indent}{text}\n"))?;
        } else {
            cx.print(format_args!(" {indent}{fields} {text}\n"))?;
        }
    }
    Ok(())
}
