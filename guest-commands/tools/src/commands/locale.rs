//! `locale`: which locale the environment asks for, and what the only ones there are (C and C.UTF-8) say.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::quote;
use std::ffi::OsString;

const CATEGORIES: &[&str] = &[
    "LC_CTYPE",
    "LC_NUMERIC",
    "LC_TIME",
    "LC_COLLATE",
    "LC_MONETARY",
    "LC_MESSAGES",
    "LC_PAPER",
    "LC_NAME",
    "LC_ADDRESS",
    "LC_TELEPHONE",
    "LC_MEASUREMENT",
    "LC_IDENTIFICATION",
];

/// Keywords, their category, whether their values are text, and the values.
const KEYWORDS: &[(&str, &str, bool, &str)] = &[
    ("decimal_point", "LC_NUMERIC", true, "."),
    ("thousands_sep", "LC_NUMERIC", true, ""),
    ("grouping", "LC_NUMERIC", false, "-1"),
    ("abday", "LC_TIME", true, "Sun;Mon;Tue;Wed;Thu;Fri;Sat"),
    ("day", "LC_TIME", true, "Sunday;Monday;Tuesday;Wednesday;Thursday;Friday;Saturday"),
    ("abmon", "LC_TIME", true, "Jan;Feb;Mar;Apr;May;Jun;Jul;Aug;Sep;Oct;Nov;Dec"),
    (
        "mon",
        "LC_TIME",
        true,
        "January;February;March;April;May;June;July;August;September;October;November;December",
    ),
    ("am_pm", "LC_TIME", true, "AM;PM"),
    ("d_t_fmt", "LC_TIME", true, "%a %b %e %H:%M:%S %Y"),
    ("d_fmt", "LC_TIME", true, "%m/%d/%y"),
    ("t_fmt", "LC_TIME", true, "%H:%M:%S"),
    ("t_fmt_ampm", "LC_TIME", true, "%I:%M:%S %p"),
    ("yesexpr", "LC_MESSAGES", true, "^[yY]"),
    ("noexpr", "LC_MESSAGES", true, "^[nN]"),
    ("yesstr", "LC_MESSAGES", true, ""),
    ("nostr", "LC_MESSAGES", true, ""),
];

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &["a,all-locales", "m,charmaps", "c,category-name", "k,keyword-name", "v,verbose"];
    let help = "{} [OPTION...] NAME
 locale [OPTION...] [-a|-m]
Get locale-specific information.
  -a, --all-locales    write names of available locales
  -m, --charmaps       write names of available charmaps
  -c, --category-name  write names of selected categories
  -k, --keyword-name   write names of selected keywords
  -v, --verbose        print more information";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    if has("all-locales") {
        cx.put(b"C\nC.utf8\nPOSIX\n")?;
        return Ok(0);
    }
    if has("charmaps") {
        cx.put(b"ANSI_X3.4-1968\nUTF-8\n")?;
        return Ok(0);
    }
    if parsed.operands.is_empty() {
        settings(cx)?;
        return Ok(0);
    }
    let charmap = if quote::is_utf8() { "UTF-8" } else { "ANSI_X3.4-1968" };
    let mut status = 0;
    let (category, keyword) = (has("category-name"), has("keyword-name"));
    for name in &parsed.operands {
        let name = name.to_string_lossy();
        let found: Option<(&str, bool, &str)> = if name == "charmap" {
            Some(("LC_CTYPE", true, charmap))
        } else {
            KEYWORDS.iter().find(|k| k.0 == name).map(|k| (k.1, k.2, k.3))
        };
        let Some((of, text, value)) = found else {
            cx.say(format_args!("unknown name \"{name}\""));
            status = 1;
            continue;
        };
        if category {
            cx.print(format_args!("{of}\n"))?;
        }
        match (keyword, text) {
            (true, true) => cx.print(format_args!("{name}=\"{}\"\n", value))?,
            (true, false) => cx.print(format_args!("{name}={value}\n"))?,
            _ => cx.print(format_args!("{value}\n"))?,
        }
    }
    Ok(status)
}

/// What the environment says, and what follows from it: the latter in quotes.
fn settings(cx: &mut Cx) -> Result<(), End> {
    let (lang, all) = (variable("LANG"), variable("LC_ALL"));
    let implied = all.clone().or_else(|| lang.clone()).unwrap_or_else(|| "POSIX".to_owned());
    cx.print(format_args!("LANG={}\n", lang.unwrap_or_default()))?;
    cx.print(format_args!("LANGUAGE={}\n", variable("LANGUAGE").unwrap_or_default()))?;
    for name in CATEGORIES {
        match (&all, variable(name)) {
            (None, Some(own)) => cx.print(format_args!("{name}={own}\n"))?,
            _ => cx.print(format_args!("{name}=\"{implied}\"\n"))?,
        }
    }
    cx.print(format_args!("LC_ALL={}\n", all.unwrap_or_default()))
}
