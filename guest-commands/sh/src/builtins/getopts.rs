//! `getopts`.

use crate::shell::{Flow, Shell};
use crate::symbols;

pub(super) fn getopts(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let words = match super::getopt::flags(sh, args, "") {
        Ok((_, words)) => words,
        Err(status) => return Ok(status),
    };
    let [spec, name, rest @ ..] = words else { return Ok(sh.usage("getopts")) };
    let list = if rest.is_empty() { sh.args.clone() } else { rest.to_vec() };
    let silent = spec.starts_with(':');
    let quiet = silent || sh.vars.get(symbols::OPTERR).is_some_and(|v| v == "0");
    let mut index =
        sh.vars.integer(symbols::OPTIND).and_then(|n| usize::try_from(n).ok()).unwrap_or(1).max(1);
    let mut at = sh.getopts_at;
    if at == 0 {
        match list.get(index - 1) {
            Some(word) if word == "--" => return done(sh, name, index + 1),
            Some(word) if word.len() > 1 && word.starts_with('-') => at = 1,
            Some(_) => return done(sh, name, index),
            None => return done(sh, name, list.len() + 1),
        }
    }
    let Some(word) = list.get(index - 1) else { return done(sh, name, index) };
    let Some(letter) = word.get(at..).and_then(|w| w.chars().next()) else { return done(sh, name, index) };
    at += letter.len_utf8();
    let takes = (letter != ':')
        .then(|| spec.find(letter))
        .flatten()
        .map(|i| spec[i + letter.len_utf8()..].starts_with(':'));
    let ended = at >= word.len();
    let mut found = letter.to_string();
    let mut argument = None;
    match takes {
        None => {
            if silent {
                argument = Some(found);
            } else if !quiet {
                let zero = sh.zero.clone();
                sh.flush();
                sh.write_error(&format!("{zero}: illegal option -- {letter}\n"));
            }
            found = "?".into();
            if ended {
                index += 1;
                at = 0;
            }
        }
        Some(false) => {
            if ended {
                index += 1;
                at = 0;
            }
        }
        Some(true) => {
            if !ended {
                argument = word.get(at..).map(str::to_owned);
                index += 1;
            } else if let Some(next) = list.get(index) {
                argument = Some(next.clone());
                index += 2;
            } else {
                index += 1;
                if silent {
                    argument = Some(found);
                    found = ":".into();
                } else {
                    if !quiet {
                        let zero = sh.zero.clone();
                        sh.flush();
                        sh.write_error(&format!("{zero}: option requires an argument -- {letter}\n"));
                    }
                    found = "?".into();
                }
            }
            at = 0;
        }
    }
    match argument {
        Some(_) if sh.vars.flags(symbols::OPTARG) & crate::vars::READONLY != 0 => {
            sh.error("OPTARG: readonly variable");
        }
        Some(text) => sh.vars.put_str(symbols::OPTARG, text),
        None => sh.vars.remove(symbols::OPTARG),
    }
    sh.vars.put(symbols::OPTIND, crate::vars::Value::Int(index as i64));
    sh.getopts_at = at;
    if !crate::text::is_name(name) {
        return Ok(sh.complain("getopts", &format!("`{name}': not a valid identifier")));
    }
    super::assigned(sh.assign_text(name, found))
}

fn done(sh: &mut Shell, name: &str, index: usize) -> Result<i32, Flow> {
    sh.vars.put(symbols::OPTIND, crate::vars::Value::Int(index as i64));
    sh.getopts_at = 0;
    sh.vars.remove(symbols::OPTARG);
    sh.assign_text(name, "?".into())?;
    Ok(1)
}
