//! `echo`.

use crate::compile::word::escape;
use crate::shell::{Flow, Shell};

pub(super) fn echo(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (mut newline, mut escapes) = (true, sh.shopts.xpg_echo);
    let mut words = &args[1..];
    // X/Open knows no options.
    let options = !(sh.shopts.xpg_echo && sh.opts.posix);
    while let Some(first) = words.first().filter(|_| options) {
        let is_option =
            first.len() > 1 && first.starts_with('-') && first[1..].bytes().all(|b| b"neE".contains(&b));
        if !is_option {
            break;
        }
        for b in first[1..].bytes() {
            match b {
                b'n' => newline = false,
                b'e' => escapes = true,
                _ => escapes = false,
            }
        }
        words = &words[1..];
    }
    for (i, word) in words.iter().enumerate() {
        if i > 0 {
            sh.out.push(b' ');
        }
        if escapes {
            let mut out = std::mem::take(&mut sh.out);
            let goes_on = expand_escapes(&crate::text::to_bytes(word), &mut out);
            sh.out = out;
            if !goes_on {
                return Ok(0);
            }
        } else {
            sh.out.extend_from_slice(&crate::text::to_bytes(word));
        }
    }
    if newline {
        sh.out.push(b'\n');
    }
    Ok(0)
}

/// Decodes escapes as `echo -e` and `%b` do; false at `\c`, which ends all output.
fn expand_escapes(b: &[u8], out: &mut Vec<u8>) -> bool {
    let mut i = 0;
    while i < b.len() {
        if b[i] != b'\\' || i + 1 >= b.len() {
            out.push(b[i]);
            i += 1;
        } else if b[i + 1] == b'c' {
            return false;
        } else {
            i += escape(&b[i..], out, true);
        }
    }
    true
}
