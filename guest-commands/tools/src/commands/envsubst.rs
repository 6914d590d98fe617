//! `envsubst`: replaces `$NAME` and `${NAME}` in standard input by what the environment has. It knows no other expansions.

use crate::context::{Cx, Descriptor, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, os};
use std::collections::HashSet;
use std::ffi::OsString;
use std::io::Read;

const HELP: &str = "{} [OPTION] [SHELL-FORMAT]
Substitute the values of environment variables.
  -v, --variables  output the variables occurring in SHELL-FORMAT
  -h, --help       display this help and exit
  -V, --version    output version information and exit
With SHELL-FORMAT only the variables that it names are substituted.";

/// The name after a `$` at the beginning of `text`, and how long all of it is.
fn reference(text: &[u8]) -> Option<(&[u8], usize)> {
    let rest = text.strip_prefix(b"$")?;
    let (inner, braced) = match rest.strip_prefix(b"{") {
        Some(inner) => (inner, true),
        None => (rest, false),
    };
    let len = inner.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    if len == 0 || inner[0].is_ascii_digit() || (braced && inner.get(len) != Some(&b'}')) {
        return None;
    }
    Some((&inner[..len], 1 + len + 2 * usize::from(braced)))
}

/// All names in a text, in their order.
fn references(text: &[u8]) -> Vec<&[u8]> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match reference(&text[at..]) {
            Some((name, len)) => {
                names.push(name);
                at += len;
            }
            None => at += 1,
        }
    }
    names
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(&["v,variables", "h,help", "V,version"], args, Order::Permute, HELP)?;
    let mut variables = false;
    for opt in &parsed.opts {
        match opt.id {
            "variables" => variables = true,
            "help" => {
                cx.print(format_args!("Usage: {}\n", HELP.replace("{}", "envsubst")))?;
                return Ok(0);
            }
            _ => {
                cx.print(format_args!("envsubst (agentos-tools) {}\n", env!("CARGO_PKG_VERSION")))?;
                return Ok(0);
            }
        }
    }
    let format = match &parsed.operands[..] {
        [] if variables => return Err(End::Failure(1, "missing arguments".to_owned())),
        [] => None,
        [format] => Some(format.as_bytes()),
        _ => return Err(End::Failure(1, "too many arguments".to_owned())),
    };
    let wanted: Option<HashSet<&[u8]>> = format.map(|f| references(f).into_iter().collect());
    if variables {
        for name in references(format.unwrap_or_default()) {
            cx.put(name)?;
            cx.put(b"\n")?;
        }
        return Ok(0);
    }
    let mut text = Vec::new();
    if let Err(error) = Descriptor(0).read_to_end(&mut text) {
        return Err(End::Failure(
            1,
            format!("error while reading \"standard input\": {}", agentos_guest::strerror(&error)),
        ));
    }
    let (mut at, mut start) = (0, 0);
    while at < text.len() {
        let found =
            reference(&text[at..]).filter(|(name, _)| wanted.as_ref().is_none_or(|w| w.contains(name)));
        let Some((name, len)) = found else {
            at += 1;
            continue;
        };
        cx.put(&text[start..at])?;
        if let Some(value) = std::env::var_os(os(name)) {
            cx.put(value.as_bytes())?;
        }
        at += len;
        start = at;
    }
    cx.put(&text[start..])?;
    Ok(0)
}
