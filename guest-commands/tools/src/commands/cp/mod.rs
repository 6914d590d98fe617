//! `cp`: copies files and trees with their modes, and on request owners, times and links. It clones no blocks and keeps
//! no extended attributes.

pub(crate) mod backup;
pub(crate) mod copy;
pub(crate) mod operands;
pub(crate) mod policy;
pub(crate) mod transfer;

use crate::context::{Cx, End, Outcome};
use crate::options::{Opt, Order};
use crate::os::{OsStrExt, base_name, join, os};
use crate::quote::quoteaf;
use agentos_guest::fs::{self, FileType, file_type};
use agentos_guest::strerror;
use backup::Backup;
use copy::Copy;
use operands::{Target, divide, trimmed};
use policy::{Follow, Sparse, Update};
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &[
    "a,archive",
    "b",
    "backup=?",
    "d",
    "f,force",
    "i,interactive",
    "H",
    "l,link",
    "L,dereference",
    "n,no-clobber",
    "P,no-dereference",
    "p",
    "preserve=?",
    "no-preserve=",
    "parents",
    "R,recursive",
    "r",
    "reflink=?",
    "remove-destination",
    "s,symbolic-link",
    "sparse=",
    "strip-trailing-slashes",
    "S,suffix=",
    "t,target-directory=",
    "T,no-target-directory",
    "u",
    "update=?",
    "v,verbose",
    "x,one-file-system",
    "attributes-only",
];
const HELP: &str = "{} [OPTION]... SOURCE... DEST
Copy SOURCE to DEST, or multiple SOURCE(s) to DIRECTORY.
  -a, --archive                same as -dR --preserve=all
      --attributes-only        don't copy the file data, just the attributes
  -d                           same as --no-dereference --preserve=links
  -f, --force                  if a destination cannot be opened, remove it and try again
  -i, --interactive            prompt before overwrite
  -H                           follow command-line symbolic links in SOURCE
  -l, --link                   hard link files instead of copying
  -L, --dereference            always follow symbolic links in SOURCE
  -n, --no-clobber             do not overwrite an existing file
  -P, --no-dereference         never follow symbolic links in SOURCE
  -p                           same as --preserve=mode,ownership,timestamps
      --preserve[=ATTR_LIST]   mode, ownership, timestamps, links, all
      --no-preserve=ATTR_LIST  don't preserve the specified attributes
      --parents                use full source file name under DIRECTORY
  -R, -r, --recursive          copy directories recursively
      --reflink=auto, never    copy the bytes; this system shares no blocks between files on demand
      --remove-destination     remove each existing destination file before opening it
  -s, --symbolic-link          make symbolic links instead of copying
      --sparse=WHEN            make holes of zeros: auto (where SOURCE has some), always, never
      --strip-trailing-slashes remove any trailing slashes from each SOURCE
  -t, --target-directory=DIR   copy all SOURCE arguments into DIR
  -T, --no-target-directory    treat DEST as a normal file
  -u, --update[=UPDATE]        which existing files are replaced: all, none, none-fail, older (without UPDATE)
  -v, --verbose                explain what is being done
  -x, --one-file-system        stay on this file system";

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = format!("{HELP}{}", backup::HELP);
    let parsed = cx.parse(SPEC, args, Order::Permute, &help)?;
    let mut c = Copy::new();
    let (mut parents, mut strip, mut no_target, mut target, mut no_clobber) =
        (false, false, false, None, false);
    for opt in &parsed.opts {
        match opt.id {
            "archive" => {
                (c.follow, c.recursive, c.mode, c.owner, c.times, c.links) =
                    (Follow::Never, true, true, true, true, true);
            }
            "d" => (c.follow, c.links) = (Follow::Never, true),
            "force" => c.force = true,
            "interactive" => (c.interactive, no_clobber) = (true, false),
            "no-clobber" => (no_clobber, c.interactive) = (true, false),
            "H" => c.follow = Follow::Operands,
            "dereference" => c.follow = Follow::Always,
            "no-dereference" => c.follow = Follow::Never,
            "link" => c.link = true,
            "symbolic-link" => c.symlink = true,
            "p" => (c.mode, c.owner, c.times) = (true, true, true),
            "preserve" | "no-preserve" => preserve(cx, &mut c, opt)?,
            "parents" => parents = true,
            "recursive" | "r" => c.recursive = true,
            "remove-destination" => c.remove = true,
            "reflink" => {
                let word = opt.value.as_deref().unwrap_or(OsStr::new("always"));
                if cx.keyword("--reflink", word, &[&["auto"], &["always"], &["never"]])? == 1 {
                    return Err(End::Failure(1, "--reflink=always is not supported".to_owned()));
                }
            }
            "sparse" => {
                c.sparse = match cx.keyword("--sparse", opt.arg(), &[&["never"], &["auto"], &["always"]])? {
                    0 => Sparse::Never,
                    1 => Sparse::Auto,
                    _ => Sparse::Always,
                }
            }
            "strip-trailing-slashes" => strip = true,
            "target-directory" => target = Some(one_target(target, opt)?),
            "no-target-directory" => no_target = true,
            "u" | "update" => c.update = Update::from_option(cx, opt)?,
            "verbose" => c.verbose = true,
            "one-file-system" => c.one_system = true,
            "attributes-only" => c.attributes_only = true,
            _ => {}
        }
    }
    c.backup = Backup::from_options(cx, &parsed.opts)?;
    if no_clobber {
        c.update = Update::None;
        if c.backup.is_some() {
            return Err(cx.usage("options --backup and --no-clobber are mutually exclusive"));
        }
    }
    if c.link && c.symlink {
        return Err(cx.usage("cannot make both hard and symbolic links"));
    }
    let (sources, target) = divide(cx, parsed.operands, target, no_target)?;
    c.many = sources.len() > 1;
    match target {
        Target::Into(dir) => {
            for source in &sources {
                let source = if strip { trimmed(source) } else { source.clone() };
                let name = if parents {
                    let inside = source
                        .as_bytes()
                        .iter()
                        .position(|b| *b != b'/')
                        .map_or(&[][..], |i| &source.as_bytes()[i..]);
                    make_parents(&dir, os(inside))?;
                    os(inside).to_owned()
                } else if base_name(&source) == ".." || base_name(&source) == "." {
                    ".".into()
                } else {
                    base_name(&source).to_owned()
                };
                let dest = if name == "." { dir.clone() } else { join(&dir, &name) };
                c.copy(cx, &source, &dest, 0)?;
            }
        }
        Target::As(mut dest) => {
            if parents {
                return Err(cx.usage("with --parents, the destination must be a directory"));
            }
            let source = if strip { trimmed(&sources[0]) } else { sources[0].clone() };
            // The one way to back a file up in its own place.
            if let Some(backup) = c.backup.take_if(|_| c.force && source == dest)
                && fs::stat(&dest).is_ok_and(|s| file_type(s.mode) == FileType::File)
            {
                dest = backup.name(&dest);
            }
            c.copy(cx, &source, &dest, 0)?;
        }
    }
    Ok(0)
}

/// The directory of `-t`, which may be given once.
pub(crate) fn one_target(earlier: Option<OsString>, opt: &Opt) -> Result<OsString, End> {
    if earlier.is_some() {
        return Err(End::Failure(1, "multiple target directories specified".to_owned()));
    }
    Ok(opt.arg().to_owned())
}

fn preserve(cx: &Cx, c: &mut Copy, opt: &Opt) -> Result<(), End> {
    const WORDS: &[&[&str]] =
        &[&["mode"], &["timestamps"], &["ownership"], &["links"], &["context"], &["xattr"], &["all"]];
    let yes = opt.id == "preserve";
    let list = if opt.value.is_none() { "mode,ownership,timestamps".to_owned() } else { opt.text() };
    for word in list.split(',') {
        match cx.keyword(&format!("--{}", opt.id), OsStr::new(word), WORDS)? {
            0 => c.mode = yes,
            1 => c.times = yes,
            2 => c.owner = yes,
            3 => c.links = yes,
            4 if yes => {
                let message = "cannot preserve security context without an SELinux-enabled kernel";
                return Err(End::Failure(1, message.to_owned()));
            }
            5 if yes => {
                let message = "cannot preserve extended attributes, cp is built without xattr support";
                return Err(End::Failure(1, message.to_owned()));
            }
            6 => (c.mode, c.owner, c.times, c.links) = (yes, yes, yes, yes),
            _ => {}
        }
    }
    Ok(())
}

fn make_parents(dir: &OsStr, inside: &OsStr) -> Result<(), End> {
    let Some(at) = inside.as_bytes().iter().rposition(|b| *b == b'/') else { return Ok(()) };
    let path = join(dir, os(&inside.as_bytes()[..at]));
    super::mkdir::make_all(&path, &mut Vec::new()).map_err(|(at, error)| {
        End::Failure(1, format!("cannot make directory {}: {}", quoteaf(&at), strerror(&error)))
    })
}
