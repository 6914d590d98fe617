//! `rmdir`: removes empty directories. It removes nothing that is in them.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, os};
use crate::quote::quoteaf;
use agentos_guest::fs::{self, FileType, file_type};
use agentos_guest::{Errno, errno_of, strerror};
use std::ffi::{OsStr, OsString};
use std::io;

struct Rmdir {
    parents: bool,
    lenient: bool,
    verbose: bool,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]... DIRECTORY...
Remove the DIRECTORY(ies), if they are empty.
      --ignore-fail-on-non-empty  ignore each failure to remove a non-empty directory
  -p, --parents                   remove DIRECTORY and its ancestors; 'rmdir -p a/b' is like 'rmdir a/b a'
  -v, --verbose                   output a diagnostic for every directory processed";
    let spec = &["ignore-fail-on-non-empty", "p,parents", "v,verbose"];
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    if parsed.operands.is_empty() {
        return Err(cx.missing_operand());
    }
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    let c =
        Rmdir { parents: has("parents"), lenient: has("ignore-fail-on-non-empty"), verbose: has("verbose") };
    for dir in &parsed.operands {
        if let Err(error) = c.remove(cx, dir)? {
            if c.ignores(&error) {
                continue;
            }
            let through = errno_of(&error) == Some(Errno::ENOTDIR) && leads_to_directory(dir);
            let why = if through { "Symbolic link not followed".to_owned() } else { strerror(&error) };
            cx.warn(format_args!("failed to remove {}: {why}", quoteaf(dir)));
        } else if c.parents {
            c.ancestors(cx, dir)?;
        }
    }
    Ok(0)
}

impl Rmdir {
    fn remove(&self, cx: &mut Cx, dir: &OsStr) -> Result<io::Result<()>, End> {
        if self.verbose {
            let name = cx.name;
            cx.print(format_args!("{name}: removing directory, {}\n", quoteaf(dir)))?;
        }
        Ok(std::fs::remove_dir(dir))
    }

    fn ignores(&self, error: &io::Error) -> bool {
        self.lenient && matches!(errno_of(error), Some(Errno::ENOTEMPTY | Errno::EEXIST))
    }

    fn ancestors(&self, cx: &mut Cx, dir: &OsStr) -> Result<(), End> {
        let whole = |bytes: &[u8]| bytes.iter().rposition(|b| *b != b'/').map_or(0, |i| i + 1);
        let bytes = dir.as_bytes();
        let mut path = &bytes[..whole(bytes)];
        while let Some(slash) = path.iter().rposition(|b| *b == b'/') {
            path = &path[..whole(&path[..slash]).max(1)];
            if let Err(error) = self.remove(cx, os(path))? {
                if !self.ignores(&error) {
                    let (path, why) = (quoteaf(os(path)), strerror(&error));
                    cx.warn(format_args!("failed to remove directory {path}: {why}"));
                }
                break;
            }
            if path == b"/" {
                break;
            }
        }
        Ok(())
    }
}

/// Whether the path is a symbolic link to a directory, with a slash at its end.
fn leads_to_directory(path: &OsStr) -> bool {
    let bytes = path.as_bytes();
    let bare = &bytes[..bytes.iter().rposition(|b| *b != b'/').map_or(0, |i| i + 1)];
    bare.len() < bytes.len()
        && fs::lstat(os(bare)).is_ok_and(|s| file_type(s.mode) == FileType::Symlink)
        && fs::stat(path).is_ok_and(|s| file_type(s.mode) == FileType::Dir)
}
