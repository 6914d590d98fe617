//! `complete`, `compgen` and `compopt`: their arguments. What is generated is decided in `completion`.

use crate::completion::{ACTIONS, OPTIONS, Request, SPECIAL, Spec};
use crate::shell::{Flow, Shell};

/// What the options say.
#[derive(Default)]
struct Parsed {
    spec: Spec,
    print: bool,
    remove: bool,
    /// The names of `-D`, `-E` and `-I`.
    special: Vec<&'static str>,
    /// Any option was given.
    any: bool,
    /// Where the names begin.
    at: usize,
}

/// The known form of an option or action.
fn known(list: impl IntoIterator<Item = &'static str>, name: &str) -> Option<&'static str> {
    list.into_iter().find(|known| *known == name)
}

fn parse(sh: &mut Shell, args: &[String], full: bool) -> Result<Parsed, i32> {
    let name = args[0].as_str();
    let mut parsed = Parsed { at: 1, ..Parsed::default() };
    while let Some(word) = args.get(parsed.at).filter(|w| w.len() > 1 && w.starts_with('-')) {
        parsed.at += 1;
        if word == "--" {
            break;
        }
        parsed.any = true;
        let letters = &word[1..];
        for (i, letter) in letters.char_indices() {
            if let Some((action, _)) = ACTIONS.iter().find(|(_, short)| *short == Some(letter)) {
                parsed.spec.actions.push(action);
                continue;
            }
            match letter {
                'p' if full => parsed.print = true,
                'r' if full => parsed.remove = true,
                'D' | 'E' | 'I' if full => {
                    parsed.special.extend(SPECIAL.iter().filter(|(l, _)| *l == letter).map(|(_, n)| *n));
                }
                'o' | 'A' | 'G' | 'W' | 'F' | 'C' | 'X' | 'P' | 'S' => {
                    let rest = &letters[i + letter.len_utf8()..];
                    let value = if rest.is_empty() {
                        parsed.at += 1;
                        args.get(parsed.at - 1).cloned()
                    } else {
                        Some(rest.to_owned())
                    };
                    let Some(value) = value else {
                        return Err(sh.option_needs_argument(name, &format!("-{letter}")));
                    };
                    set(sh, name, &mut parsed.spec, letter, value)?;
                    break;
                }
                letter => return Err(sh.invalid_option(name, &format!("-{letter}"))),
            }
        }
    }
    Ok(parsed)
}

fn set(sh: &mut Shell, name: &str, spec: &mut Spec, letter: char, value: String) -> Result<(), i32> {
    match letter {
        'o' => match known(OPTIONS.iter().copied(), &value) {
            Some(option) => spec.options.push(option),
            None => {
                sh.complain(name, &format!("{value}: invalid option name"));
                return Err(2);
            }
        },
        'A' => match known(ACTIONS.iter().map(|(action, _)| *action), &value) {
            Some(action) => spec.actions.push(action),
            None => {
                sh.complain(name, &format!("{value}: invalid action name"));
                return Err(2);
            }
        },
        'F' if value.contains(|c: char| c.is_whitespace() || "'\"\\`$&;|<>()".contains(c)) => {
            sh.complain(name, &format!("`{value}': not a valid identifier"));
            return Err(2);
        }
        'F' => spec.function = Some(value),
        'G' => spec.glob = Some(value),
        'W' => spec.words = Some(value),
        'C' => spec.command = Some(value),
        'X' => spec.filter = Some(value),
        'P' => spec.prefix = Some(value),
        _ => spec.suffix = Some(value),
    }
    Ok(())
}

pub(super) fn complete(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let parsed = match parse(sh, args, true) {
        Ok(parsed) => parsed,
        Err(status) => return Ok(status),
    };
    let given = args.get(parsed.at..).unwrap_or_default().iter().map(String::as_str);
    // As in bash, one of the special ones counts, and no names beside it.
    let names: Vec<&str> = match parsed.special.first() {
        Some(special) => vec![special],
        None => given.collect(),
    };
    if parsed.remove {
        if names.is_empty() {
            sh.completions.clear();
            return Ok(0);
        }
        let mut status = 0;
        for name in names {
            if !sh.completions.is_empty() && !sh.completions.remove(name) {
                status = sh.complain("complete", &format!("{name}: no completion specification"));
            }
        }
        return Ok(status);
    }
    if names.is_empty() && (parsed.print || !parsed.any) {
        let lines: String =
            sh.completions.iter().map(|(name, spec)| format!("{}\n", spec.text(name))).collect();
        sh.print(&lines);
        return Ok(0);
    }
    if parsed.print {
        let mut status = 0;
        for name in names {
            match sh.completions.get(name).map(|spec| spec.text(name)) {
                Some(text) => sh.print(&format!("{text}\n")),
                None => {
                    status = sh.complain("complete", &format!("{name}: no completion specification"));
                }
            }
        }
        return Ok(status);
    }
    if names.is_empty() {
        return Ok(sh.usage("complete"));
    }
    for name in names {
        if !sh.completions.insert(name, parsed.spec.clone()) {
            return Ok(sh.complain("complete", &format!("{name}: too many completion specifications")));
        }
    }
    Ok(0)
}

pub(super) fn compgen(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    if args.len() == 1 {
        return Ok(0);
    }
    let parsed = match parse(sh, args, false) {
        Ok(parsed) => parsed,
        Err(status) => return Ok(status),
    };
    let word = args.get(parsed.at).cloned().unwrap_or_default();
    if !parsed.any {
        return Ok(0);
    }
    for (letter, used) in [('F', parsed.spec.function.is_some()), ('C', parsed.spec.command.is_some())] {
        if used {
            sh.complain("compgen", &format!("warning: -{letter} option may not work as you expect"));
        }
    }
    let request = Request { command: "compgen".into(), word, index: -1, ..Request::default() };
    let found = sh.candidates_or_files(&parsed.spec, &request)?;
    let text: String = found.iter().map(|candidate| format!("{candidate}\n")).collect();
    sh.print(&text);
    Ok(i32::from(found.is_empty()))
}

pub(super) fn compopt(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (mut on, mut off, mut special) = (Vec::new(), Vec::new(), None);
    let mut at = 1;
    while let Some(word) = args.get(at).filter(|w| w.len() > 1 && w.starts_with(['-', '+'])) {
        at += 1;
        if word == "--" {
            break;
        }
        let sign = &word[..1];
        let letters = &word[1..];
        for (i, letter) in letters.char_indices() {
            match letter {
                'o' => {
                    let rest = &letters[i + 1..];
                    let value = if rest.is_empty() {
                        at += 1;
                        args.get(at - 1).cloned()
                    } else {
                        Some(rest.to_owned())
                    };
                    let Some(value) = value else {
                        return Ok(sh.option_needs_argument("compopt", &format!("{sign}o")));
                    };
                    let Some(option) = known(OPTIONS.iter().copied(), &value) else {
                        sh.complain("compopt", &format!("{value}: invalid option name"));
                        return Ok(2);
                    };
                    if sign == "-" { &mut on } else { &mut off }.push(option);
                    break;
                }
                'D' | 'E' | 'I' if sign == "-" => {
                    special = SPECIAL.iter().find(|(l, _)| *l == letter).map(|(_, name)| *name);
                }
                letter => return Ok(sh.invalid_option("compopt", &format!("{sign}{letter}"))),
            }
        }
    }
    let mut names: Vec<&str> = args.get(at..).unwrap_or_default().iter().map(String::as_str).collect();
    if let Some(special) = special {
        names = vec![special];
    }
    let change = |spec: &mut Spec| {
        spec.options.retain(|option| !off.contains(option) && !on.contains(option));
        spec.options.extend(on.iter().copied());
    };
    if names.is_empty() {
        let Some(spec) = sh.completions.running.as_mut() else {
            return Ok(sh.complain("compopt", "not currently executing completion function"));
        };
        if on.is_empty() && off.is_empty() {
            let text = settings(spec, "");
            sh.print(&text);
        } else {
            change(spec);
        }
        return Ok(0);
    }
    let mut status = 0;
    for name in names {
        let Some(spec) = sh.completions.get_mut(name) else {
            status = sh.complain("compopt", &format!("{name}: no completion specification"));
            continue;
        };
        if on.is_empty() && off.is_empty() {
            let text = settings(spec, name);
            sh.print(&text);
        } else {
            change(spec);
        }
    }
    Ok(status)
}

/// The options of a specification as a `compopt` command.
fn settings(spec: &Spec, name: &str) -> String {
    let mut out = String::from("compopt ");
    for option in OPTIONS {
        out.push_str(&format!("{}o {option} ", if spec.has(option) { '-' } else { '+' }));
    }
    match SPECIAL.iter().find(|(_, special)| *special == name) {
        Some((letter, _)) => out.push_str(&format!("-{letter}")),
        None => out.push_str(name),
    }
    out.push('\n');
    out
}
