//! `pathchk`: says which file names are not valid, here or elsewhere. It makes no file.

use crate::context::{Cx, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, os};
use crate::quote::{quote, quoteaf};
use agentos_guest::{Errno, errno_of, fs};
use std::ffi::{OsStr, OsString};

/// Lengths that hold here, of a path with its end and of a component.
const HERE: (usize, usize) = (4096, 255);
/// Those of the smallest system that POSIX allows.
const ANYWHERE: (usize, usize) = (256, 14);

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]... NAME...
Diagnose invalid or unportable file names.
  -p             check for most POSIX systems
  -P             check for empty names and leading \"-\"
  --portability  check for all POSIX systems (equivalent to -p -P)";
    let parsed = cx.parse(&["p", "P", "portability"], args, Order::Permute, help)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id || o.id == "portability");
    let (basic, extra) = (has("p"), has("P"));
    if parsed.operands.is_empty() {
        return Err(cx.missing_operand());
    }
    for name in &parsed.operands {
        check(cx, name, basic, extra);
    }
    Ok(0)
}

fn check(cx: &mut Cx, name: &OsStr, basic: bool, extra: bool) {
    let bytes = name.as_bytes();
    let parts = || bytes.split(|b| *b == b'/');
    if extra && parts().any(|part| part.first() == Some(&b'-')) {
        cx.warn(format_args!("leading '-' in a component of file name {}", quoteaf(name)));
        return;
    }
    if (basic || extra) && bytes.is_empty() {
        cx.warn("empty file name");
        return;
    }
    let mut exists = false;
    if basic {
        let portable = |b: &u8| b.is_ascii_alphanumeric() || b"._-/".contains(b);
        if let Some(at) = bytes.iter().position(|b| !portable(b)) {
            let length = bytes[at..].utf8_chunks().next().and_then(|c| c.valid().chars().next());
            let character = os(&bytes[at..at + length.map_or(1, char::len_utf8)]);
            let (character, name) = (quote(character), quoteaf(name));
            cx.warn(format_args!("nonportable character {character} in file name {name}"));
            return;
        }
    } else {
        match fs::lstat(name) {
            Ok(_) => exists = true,
            Err(error) if errno_of(&error) != Some(Errno::ENOENT) || bytes.is_empty() => {
                cx.warn_path(name, &error);
                return;
            }
            Err(_) => {}
        }
    }
    if exists {
        return;
    }
    let (path_max, name_max) = if basic { ANYWHERE } else { HERE };
    if bytes.len() >= path_max {
        let (limit, length, name) = (path_max - 1, bytes.len(), quoteaf(name));
        cx.warn(format_args!("limit {limit} exceeded by length {length} of file name {name}"));
    } else if let Some(part) = parts().find(|part| part.len() > name_max) {
        let (length, part) = (part.len(), quote(os(part)));
        cx.warn(format_args!("limit {name_max} exceeded by length {length} of file name component {part}"));
    }
}
