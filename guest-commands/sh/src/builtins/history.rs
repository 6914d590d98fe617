//! `history`: prints and changes the list of earlier commands, and moves it between memory and its file.

use super::getopt::Options;
use crate::history::Expanded;
use crate::shell::{Flow, Shell};
use crate::symbols;

pub(super) fn history(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut flags = String::new();
    let mut delete = None;
    let mut options = Options::new(args);
    loop {
        match options.next(sh, "acnrwpsd:") {
            Ok(Some(('d', value))) => delete = value,
            Ok(Some((letter, _))) => flags.push(letter),
            Ok(None) => break,
            Err(status) => return Ok(status),
        }
    }
    let words = options.rest();
    if flags.chars().filter(|flag| "anrw".contains(*flag)).count() > 1 {
        return Ok(sh.complain("history", "cannot use more than one of -anrw"));
    }
    if flags.contains('c') {
        sh.history.clear();
        if words.is_empty() {
            return Ok(0);
        }
    }
    if flags.contains('s') {
        store(sh, words);
        return Ok(0);
    }
    if flags.contains('p') {
        return Ok(expand(sh, words));
    }
    if let Some(spec) = delete {
        return Ok(remove(sh, spec));
    }
    match flags.chars().find(|flag| "anrw".contains(*flag)) {
        Some(flag) => Ok(transfer(sh, flag, words.first())),
        None if flags.contains('c') => Ok(0),
        None => Ok(list(sh, words)),
    }
}

/// Prints the list, or the last `n` of it.
fn list(sh: &mut Shell, words: &[String]) -> i32 {
    sh.stifle();
    let mut count = usize::MAX;
    if let Some(word) = words.first() {
        if words.len() > 1 {
            return sh.complain("history", "too many arguments");
        }
        match word.trim().parse::<i64>() {
            Ok(n) => count = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX),
            Err(_) => return sh.complain("history", &format!("{word}: numeric argument required")),
        }
    }
    let format = sh.vars.get(symbols::HISTTIMEFORMAT).map(|f| f.into_owned()).filter(|f| !f.is_empty());
    let skip = sh.history.len().saturating_sub(count);
    let base = sh.history.base();
    let mut out = String::new();
    for (i, entry) in sh.history.iter().enumerate().skip(skip) {
        let time = match (&format, entry.time) {
            (None, _) => String::new(),
            (Some(_), None) => "??".to_owned(),
            (Some(format), Some(seconds)) => sh.date(format, seconds as i64),
        };
        let mark = if entry.edited { '*' } else { ' ' };
        out.push_str(&format!("{:5}{mark} {time}{}\n", base + i, entry.line));
    }
    sh.print(&out);
    0
}

/// `-s`: the words become an entry, in the place of the command itself.
fn store(sh: &mut Shell, words: &[String]) {
    if words.is_empty() {
        return;
    }
    forget_own(sh);
    sh.note_command(&words.join(" "));
    sh.history.last_added = false;
}

/// `-p`: prints what the words expand to.
fn expand(sh: &mut Shell, words: &[String]) -> i32 {
    if words.is_empty() {
        return 0;
    }
    forget_own(sh);
    let mut status = 0;
    for word in words {
        match sh.expand_history(word, None) {
            Expanded::Same => sh.print(&format!("{word}\n")),
            Expanded::Changed(text) | Expanded::Print(text) => sh.print(&format!("{text}\n")),
            Expanded::Wrong(_) => {
                status = sh.complain("history", &format!("{word}: history expansion failed"));
            }
        }
    }
    status
}

/// The command that asks does not stay in the list.
fn forget_own(sh: &mut Shell) {
    if sh.remembers() && sh.history.last_added {
        sh.forget_last();
    }
}

/// The index of an entry by its number, or from the end.
fn index(sh: &Shell, text: &str) -> Option<usize> {
    let n: i64 = text.trim().parse().ok()?;
    let index = if n < 0 { n + sh.history.len() as i64 } else { n - sh.history.base() as i64 };
    usize::try_from(index).ok().filter(|index| *index < sh.history.len())
}

fn remove(sh: &mut Shell, spec: &str) -> i32 {
    let out_of_range = |sh: &mut Shell, text: &str| {
        sh.complain("history", &format!("{text}: history position out of range"))
    };
    let number = |text: &str| text.trim().parse::<i64>().is_ok();
    let split = spec.get(1..).and_then(|rest| rest.find('-')).map(|i| (&spec[..=i], &spec[i + 2..]));
    let (first, last) = match split {
        Some((first, last)) if number(first) && number(last) => {
            let Some(from) = index(sh, first) else { return out_of_range(sh, first) };
            let Some(to) = index(sh, last) else { return out_of_range(sh, last) };
            if from > to {
                return 1;
            }
            (from, to)
        }
        Some(_) => return out_of_range(sh, spec),
        None => match index(sh, spec) {
            Some(index) => (index, index),
            None => return out_of_range(sh, spec),
        },
    };
    for _ in first..=last {
        sh.history.remove(first);
        sh.history.session = sh.history.session.saturating_sub(1);
    }
    0
}

/// `-a`, `-n`, `-r`, `-w`.
fn transfer(sh: &mut Shell, flag: char, file: Option<&String>) -> i32 {
    let name = match (file, sh.vars.get(symbols::HISTFILE)) {
        (Some(file), _) => file.clone(),
        (None, Some(name)) => name.into_owned(),
        (None, None) => {
            let home = sh.vars.get(symbols::HOME).map(|home| home.into_owned()).unwrap_or_default();
            format!("{home}/.bash_history")
        }
    };
    let new = sh.history.session;
    let result = match flag {
        'a' if new == 0 => return 0,
        'a' => sh.write_history(&name, new, true).map(|lines| {
            sh.history.in_file += lines;
            sh.history.session = 0;
        }),
        'w' => sh.write_history(&name, usize::MAX, false).map(|lines| sh.history.in_file = lines),
        'n' => {
            let before = sh.history.len();
            sh.read_history(&name, sh.history.in_file).map(|lines| {
                sh.history.in_file = lines;
                if !sh.shopts.histappend {
                    sh.history.session += sh.history.len().saturating_sub(before);
                }
            })
        }
        _ => sh.read_history(&name, 0).map(|lines| sh.history.in_file = lines),
    };
    match result {
        Ok(()) => 0,
        Err(error) if flag == 'a' => {
            let message = format!("{name}: cannot create: {}", agentos_guest::strerror(&error));
            sh.complain("history", &message)
        }
        Err(_) => 1,
    }
}
