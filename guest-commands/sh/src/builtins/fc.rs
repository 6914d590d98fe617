//! `fc`: lists earlier commands, or edits them and runs them again.

use crate::shell::{Flow, Shell};
use crate::symbols;
use agentos_guest::fd;

#[derive(Default)]
struct Options {
    list: bool,
    numberless: bool,
    reverse: bool,
    again: bool,
    editor: Option<String>,
}

/// An entry that a word asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    At(usize),
    Nothing,
    OutOfRange,
}

/// How many entries `fc -l` shows.
const SHOWN: usize = 16;

pub(super) fn fc(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut options = Options::default();
    let mut at = 1;
    while let Some(word) = args.get(at).filter(|w| w.len() > 1 && w.starts_with('-')) {
        if word[1..].starts_with(|c: char| c.is_ascii_digit()) {
            break;
        }
        at += 1;
        if word == "--" {
            break;
        }
        let letters = &word[1..];
        for (i, letter) in letters.char_indices() {
            match letter {
                'l' => options.list = true,
                'n' => options.numberless = true,
                'r' => options.reverse = true,
                's' => options.again = true,
                'e' => {
                    let rest = &letters[i + 1..];
                    let attached = (!rest.is_empty()).then(|| rest.to_owned());
                    options.editor = attached.or_else(|| args.get(at).cloned().inspect(|_| at += 1));
                    if options.editor.is_none() {
                        return Ok(sh.option_needs_argument("fc", "-e"));
                    }
                    break;
                }
                letter => return Ok(sh.invalid_option("fc", &format!("-{letter}"))),
            }
        }
    }
    let words = &args[at..];
    if options.again || options.editor.as_deref() == Some("-") {
        return again(sh, words);
    }
    range(sh, &options, words)
}

/// The index of the entry before the command itself.
fn last_index(sh: &Shell) -> Option<usize> {
    let own = usize::from(sh.opts.history) + usize::from(sh.opts.history && sh.history.last_added);
    let len = sh.history.len();
    // Without a line of its own the command is not in the list, and its end is the last entry.
    len.checked_sub(own.max(1))
}

fn find(sh: &Shell, word: &str, listing: bool, first: bool) -> Found {
    let Some(last) = last_index(sh) else { return Found::OutOfRange };
    let negative = word.starts_with('-');
    let digits = word.strip_prefix('-').unwrap_or(word);
    if digits.starts_with(|c: char| c.is_ascii_digit()) {
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let n: usize = digits[..end].parse().unwrap_or(usize::MAX);
        return match (negative, n) {
            (true, 0) if listing => Found::At(sh.history.len() - 1),
            (true, 0) => Found::OutOfRange,
            (true, n) => Found::At((last + 1).saturating_sub(n)),
            (false, 0) => Found::At(last),
            (false, n) => {
                let base = sh.history.base();
                if n < base || n >= base.saturating_add(last) {
                    Found::At(if first { 0 } else { last })
                } else {
                    Found::At(n - base)
                }
            }
        };
    }
    (0..=last)
        .rev()
        .find(|i| sh.history.get(*i).is_some_and(|entry| entry.line.starts_with(word)))
        .map_or(Found::Nothing, Found::At)
}

/// `fc -s [old=new ...] [command]`.
fn again(sh: &mut Shell, words: &[String]) -> Result<i32, Flow> {
    let pairs: Vec<(&str, &str)> = words.iter().map_while(|word| word.split_once('=')).collect();
    let found = match words.get(pairs.len()) {
        Some(word) => find(sh, word, false, false),
        None => last_index(sh).map_or(Found::Nothing, Found::At),
    };
    let entry = match found {
        Found::At(index) => sh.history.get(index).map(|entry| entry.line.clone()),
        _ => None,
    };
    let Some(mut command) = entry else { return Ok(sh.complain("fc", "no command found")) };
    for (old, new) in pairs.iter().filter(|(old, _)| !old.is_empty()) {
        command = command.replace(old, new);
        if command.len() > 1 << 20 {
            return Ok(sh.complain("fc", "the command becomes too long"));
        }
    }
    sh.write_error(&format!("{command}\n"));
    if sh.remembers() {
        if sh.history.last_added {
            sh.forget_last();
        }
        sh.note_command(&command);
    }
    sh.flush();
    sh.eval(&command)?;
    Ok(sh.status)
}

fn range(sh: &mut Shell, options: &Options, words: &[String]) -> Result<i32, Flow> {
    if sh.history.len() == 0 {
        return Ok(0);
    }
    let Some(mut last) = last_index(sh) else {
        return Ok(sh.complain("fc", "history specification out of range"));
    };
    let listing = options.list;
    let (first, end) = match words {
        [] if listing => (Found::At((last + 1).saturating_sub(SHOWN)), Found::At(last)),
        [] => (Found::At(last), Found::At(last)),
        [one] => {
            let first = find(sh, one, listing, true);
            let newest = Found::At(sh.history.len() - 1);
            (first, if !listing || first == newest { first } else { Found::At(last) })
        }
        [one, two, ..] => (find(sh, one, listing, true), find(sh, two, listing, false)),
    };
    let (mut first, mut end) = match (first, end) {
        (Found::OutOfRange, _) | (_, Found::OutOfRange) => {
            return Ok(sh.complain("fc", "history specification out of range"));
        }
        (Found::Nothing, _) | (_, Found::Nothing) => return Ok(sh.complain("fc", "no command found")),
        (Found::At(first), Found::At(end)) => (first, end),
    };
    if !listing && sh.remembers() && sh.history.last_added {
        // Editing takes the place of the command in the list.
        sh.forget_last();
        last = last.min(sh.history.len().saturating_sub(1));
        first = first.min(last);
        end = end.min(last);
    }
    let reverse = options.reverse || end < first;
    let (low, high) = (first.min(end), first.max(end));
    let mut order: Vec<usize> = (low..=high).collect();
    if reverse {
        order.reverse();
    }
    let base = sh.history.base();
    let mut text = String::new();
    for index in order {
        let Some(entry) = sh.history.get(index) else { continue };
        if listing {
            if !options.numberless {
                text.push_str(&(base + index).to_string());
            }
            text.push('\t');
            text.push(if entry.edited { '*' } else { ' ' });
        }
        text.push_str(&entry.line);
        text.push('\n');
    }
    if listing {
        sh.print(&text);
        return Ok(0);
    }
    edit(sh, options, &text)
}

/// Lets an editor change the text, and runs what it left.
fn edit(sh: &mut Shell, options: &Options, text: &str) -> Result<i32, Flow> {
    let directory = sh.vars.get(symbols::TMPDIR).map_or("/tmp".to_owned(), |dir| dir.into_owned());
    let path = format!("{directory}/bash-fc.{}.{}", sh.pid, sh.history.base() + sh.history.len());
    let flags = fd::O_WRONLY | fd::O_CREAT | fd::O_EXCL | fd::O_CLOEXEC;
    let written = fd::open(&*crate::text::os(&path), flags, 0o600)
        .map(fd::Owned::from_raw)
        .and_then(|file| fd::write_all(file.raw(), &crate::text::to_bytes(text)));
    if let Err(error) = written {
        let message = format!("{path}: cannot open temp file: {}", agentos_guest::strerror(&error));
        return Ok(sh.complain("fc", &message));
    }
    let variable = |name| sh.vars.get(name).map(|text| text.into_owned()).filter(|text| !text.is_empty());
    let editor = options
        .editor
        .clone()
        .or_else(|| variable(symbols::FCEDIT))
        .or_else(|| if sh.opts.posix { Some("ed".to_owned()) } else { variable(symbols::EDITOR) });
    let command = format!("{} {path}", editor.unwrap_or_else(|| "vi".to_owned()));
    sh.flush();
    let result = sh.eval(&command);
    let edited = std::fs::read(&*crate::text::os(&path)).map(crate::text::from_bytes);
    let _ = std::fs::remove_file(&*crate::text::os(&path));
    result?;
    if sh.status != 0 {
        return Ok(1);
    }
    let Ok(edited) = edited else { return Ok(1) };
    let mut rest = edited.as_str();
    let verbose = std::mem::replace(&mut sh.opts.verbose, true);
    let result = crate::invocation::run_lines(sh, &mut || {
        let end = rest.find('\n').map_or(rest.len(), |i| i + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        (!line.is_empty()).then(|| line.to_owned())
    });
    sh.opts.verbose = verbose;
    result?;
    Ok(sh.status)
}
