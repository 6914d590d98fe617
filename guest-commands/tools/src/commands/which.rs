//! `which`: where in PATH a command is. It knows no aliases, functions or builtins.

use crate::context::{Cx, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, join, os};
use agentos_guest::fs::{FileType, X_OK, access, file_type, stat};
use std::ffi::{OsStr, OsString};

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [-as] COMMAND...\nPrint where in PATH each COMMAND is.\n  -a, --all  print all matches\n  -s         print nothing, only return an exit status";
    let parsed = cx.parse(&["a,all", "s"], args, Order::Permute, help)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    let (all, silent) = (has("all"), has("s"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let runs = |file: &OsStr| {
        stat(file).is_ok_and(|s| file_type(s.mode) == FileType::File) && access(file, X_OK).is_ok()
    };
    let mut status = i32::from(parsed.operands.is_empty());
    for name in &parsed.operands {
        let mut candidates: Vec<OsString> = Vec::new();
        if name.as_bytes().contains(&b'/') {
            candidates.push(name.clone());
        } else {
            let dirs = path.as_bytes().split(|b| *b == b':');
            candidates.extend(dirs.map(|dir| join(os(if dir.is_empty() { b"." } else { dir }), name)));
        }
        let mut found = false;
        for file in candidates.iter().filter(|file| runs(file)) {
            found = true;
            if !silent {
                cx.put(file.as_bytes())?;
                cx.put(b"\n")?;
            }
            if !all {
                break;
            }
        }
        if !found {
            status = 1;
        }
    }
    Ok(status)
}
