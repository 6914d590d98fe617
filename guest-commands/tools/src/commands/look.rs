//! `look`: the lines of a sorted file that begin with a string. The file is searched in halves, as it is sorted.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use agentos_guest::strerror;
use std::ffi::OsString;

const WORDS: &str = "/usr/share/dict/words";

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [options] <string> [<file>...]\nDisplay lines beginning with a specified string.\n  -a, --alternative        use the alternative dictionary\n  -d, --alphanum           compare only blanks and alphanumeric characters\n  -f, --ignore-case        ignore case differences when comparing\n  -t, --terminate <char>   define the string-termination character";
    let spec = &["a,alternative", "d,alphanum", "f,ignore-case", "t,terminate="];
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let file = match parsed.operands.len() {
        0 => return Err(cx.usage("bad usage")),
        1 => OsString::from(WORDS),
        _ => parsed.operands[1].clone(),
    };
    // The dictionary is in the order of a dictionary.
    let plain = parsed.operands.len() == 1;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    let (alphanum, fold) = (plain || has("alphanum"), plain || has("ignore-case"));
    let ends = parsed.opts.iter().rfind(|o| o.id == "terminate").and_then(|o| o.text().chars().next());
    let mut wanted = parsed.operands[0].to_string_lossy().into_owned();
    if let Some(at) = ends.and_then(|c| wanted.find(c).map(|at| at + c.len_utf8())) {
        wanted.truncate(at);
    }
    let key = |line: &[u8]| -> Vec<u8> {
        let keep =
            |b: &&u8| !alphanum || b.is_ascii_alphanumeric() || b.is_ascii_whitespace() || !b.is_ascii();
        line.iter().filter(keep).map(|b| if fold { b.to_ascii_lowercase() } else { *b }).collect()
    };
    let wanted = key(wanted.as_bytes());
    let text = std::fs::read(&file)
        .map_err(|error| End::Failure(1, format!("{}: {}", file.to_string_lossy(), strerror(&error))))?;
    let begins = |at: usize| text[..at].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let line = |at: usize| {
        let end = text[at..].iter().position(|b| *b == b'\n').map_or(text.len(), |i| at + i);
        &text[at..end]
    };
    let (mut low, mut high) = (0, text.len());
    while low < high {
        let at = begins(low + (high - low) / 2);
        let end = at + line(at).len() + 1;
        if key(line(at)).as_slice() < wanted.as_slice() {
            low = end.min(text.len())
        } else {
            high = at.max(low)
        }
    }
    let mut found = false;
    while low < text.len() && key(line(low)).starts_with(&wanted) {
        found = true;
        cx.put(line(low))?;
        cx.put(b"\n")?;
        low += line(low).len() + 1;
    }
    Ok(i32::from(!found))
}
