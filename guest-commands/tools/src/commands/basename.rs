//! `basename` and `dirname`: the two halves of a path, as text. No file is looked at.

use crate::context::{Cx, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, base_name, os};
use crate::quote::quote;
use std::ffi::OsString;

pub(crate) fn basename(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} NAME [SUFFIX]\n  or:  {} OPTION... NAME...
Print NAME with any leading directory components removed. If specified, also remove a trailing SUFFIX.
  -a, --multiple       support multiple arguments and treat each as a NAME
  -s, --suffix=SUFFIX  remove a trailing SUFFIX; implies -a
  -z, --zero           end each output line with NUL, not newline";
    let parsed = cx.parse(&["a,multiple", "s,suffix=", "z,zero"], args, Order::StopAtOperand, help)?;
    let (mut many, mut suffix, mut end) = (false, OsString::new(), b'\n');
    for opt in parsed.opts {
        match opt.id {
            "suffix" => (many, suffix) = (true, opt.value.unwrap_or_default()),
            "multiple" => many = true,
            _ => end = 0,
        }
    }
    let mut names = &parsed.operands[..];
    match names {
        [] => return Err(cx.missing_operand()),
        _ if many => {}
        [_, _, extra, ..] => return Err(cx.usage(format!("extra operand {}", quote(extra)))),
        [_, last] => {
            suffix = last.clone();
            names = &names[..1];
        }
        [_] => {}
    }
    for name in names {
        let base = base_name(name).as_bytes();
        // What is nothing but the suffix is kept, and the root has none.
        let short = base.strip_suffix(suffix.as_bytes()).filter(|s| !s.is_empty() && base != b"/");
        cx.put(short.unwrap_or(base))?;
        cx.put(&[end])?;
    }
    Ok(0)
}

pub(crate) fn dirname(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION] NAME...
Output each NAME with its last non-slash component and trailing slashes removed; '.' if NAME has no slashes.
  -z, --zero  end each output line with NUL, not newline";
    let parsed = cx.parse(&["z,zero"], args, Order::Permute, help)?;
    if parsed.operands.is_empty() {
        return Err(cx.missing_operand());
    }
    let end = if parsed.opts.is_empty() { b'\n' } else { 0 };
    for name in &parsed.operands {
        cx.put(directory(name).as_bytes())?;
        cx.put(&[end])?;
    }
    Ok(0)
}

/// The path without its last component: `.` where there is no other.
pub(crate) fn directory(path: &std::ffi::OsStr) -> &std::ffi::OsStr {
    let bytes = path.as_bytes();
    let whole = bytes.iter().rposition(|b| *b != b'/').map_or(0, |i| i + 1);
    let parent = bytes[..whole].iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1);
    match bytes[..parent].iter().rposition(|b| *b != b'/') {
        Some(last) => os(&bytes[..=last]),
        None if bytes.first() == Some(&b'/') => os(b"/"),
        None => os(b"."),
    }
}
