//! `set` and `shopt`. What the options do is decided in the rooms concerned.

use super::getopt;
use crate::options::{COMPAT_NOW, COMPAT_OLDEST, Options, Shopts};
use crate::shell::{Flow, Shell};
use crate::symbols;

/// The letters that `set` takes.
const LETTERS: &str = "abefhkmnprtuvxBCEHPT";

pub(super) fn set(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    if args.len() == 1 {
        sh.print_variables_and_functions();
        return Ok(0);
    }
    // A wrong letter changes nothing.
    if let Err(status) = sh.check_letters(&args[1..]) {
        return Ok(status);
    }
    let mut i = 1;
    while let Some(word) = args.get(i) {
        match word.as_str() {
            "--" => {
                sh.set_args(args[i + 1..].to_vec());
                return Ok(0);
            }
            "-" => {
                sh.opts.xtrace = false;
                sh.opts.verbose = false;
                if i + 1 < args.len() {
                    sh.set_args(args[i + 1..].to_vec());
                }
                return Ok(0);
            }
            word if word.starts_with(['-', '+']) => match sh.apply_option(word, &args[i + 1..]) {
                Ok(used) => i += used,
                Err(status) => return Ok(status),
            },
            _ => {
                sh.set_args(args[i..].to_vec());
                return Ok(0);
            }
        }
        i += 1;
    }
    Ok(0)
}

impl Shell {
    fn print_variables_and_functions(&mut self) {
        for (_, var) in self.vars.all() {
            if let Some(line) = self.set_line(var) {
                self.print(&(line + "\n"));
            }
        }
        if !self.opts.posix {
            let mut names: Vec<_> = self.functions.keys().cloned().collect();
            names.sort();
            for name in names {
                if let Some(text) = self.function_text(&name) {
                    self.print(&(text + "\n"));
                }
            }
        }
    }

    /// Reports the first letter that is no option.
    fn check_letters(&mut self, words: &[String]) -> Result<(), i32> {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word.len() < 2 || !word.starts_with(['-', '+']) || word == "--" {
                break;
            }
            for (i, letter) in word.char_indices().skip(1) {
                if letter == 'o' {
                    // The rest of the word, or else the next one, counts as its name here.
                    if i + 1 == word.len() && words.as_slice().first().is_some_and(|w| !w.starts_with('-')) {
                        words.next();
                    }
                    break;
                }
                if !LETTERS.contains(letter) {
                    return Err(self.invalid_option("set", &format!("{}{letter}", &word[..1])));
                }
            }
        }
        Ok(())
    }

    /// Applies one option word of `set` or of the command line; returns how many of the words after it were used.
    pub(crate) fn apply_option(&mut self, word: &str, next: &[String]) -> Result<usize, i32> {
        let on = word.starts_with('-');
        let mut used = 0;
        for letter in word[1..].chars() {
            if letter == 'r' {
                if on {
                    self.restrict();
                } else if self.restricted {
                    self.invalid_option("set", "+r");
                    return Err(1);
                }
                continue;
            }
            if letter != 'o' {
                if !LETTERS.contains(letter) || !self.opts.set_letter(letter, on) {
                    return Err(self.invalid_option("set", &format!("{}{letter}", &word[..1])));
                }
                continue;
            }
            let name = next.get(used).filter(|name| !name.is_empty() && !name.starts_with(['-', '+']));
            let Some(name) = name else {
                self.print_options(on);
                continue;
            };
            used += 1;
            if !self.set_option(name, on) {
                self.complain("set", &format!("{name}: invalid option name"));
                return Err(2);
            }
        }
        Ok(used)
    }

    /// Switches an option of `set -o`, and what depends on it; false if there is none of that name.
    pub(crate) fn set_option(&mut self, name: &str, on: bool) -> bool {
        if !self.opts.set_by_name(name, on) {
            return false;
        }
        if name == "posix" {
            // What a name means changes: special builtins come before functions.
            self.generation = self.generation.wrapping_add(1);
        }
        match name {
            "emacs" if on => self.opts.vi = false,
            "vi" if on => self.opts.emacs = false,
            "posix" if on => {
                self.shopts.inherit_errexit = true;
                self.shopts.expand_aliases = true;
                self.shopts.interactive_comments = true;
                self.shopts.sourcepath = true;
                self.shopts.shift_verbose = true;
                self.vars.put_str(crate::symbols::POSIXLY_CORRECT, "y");
            }
            "posix" => {
                self.shopts.expand_aliases = self.interactive;
                self.shopts.shift_verbose = false;
                self.vars.remove(crate::symbols::POSIXLY_CORRECT);
            }
            "ignoreeof" if on => self.vars.put_str(symbols::IGNOREEOF, "10"),
            "ignoreeof" => self.vars.remove(symbols::IGNOREEOF),
            "history" => self.history_switched(),
            "interactive-comments" => self.shopts.interactive_comments = on,
            _ => {}
        }
        true
    }

    /// Keeps to the ways of a version of bash; `None`: of the one that this shell follows.
    pub(crate) fn set_compat(&mut self, level: Option<u32>) {
        self.compat = level.unwrap_or(COMPAT_NOW);
        let name = format!("compat{}", self.compat);
        for other in Shopts::NAMES.iter().filter(|n| n.starts_with("compat")) {
            self.shopts.set_by_name(other, **other == name);
        }
    }

    /// What an assignment to `BASH_COMPAT` does: `4.2` and `42` are one version, nothing is the present one.
    pub(crate) fn compat_assigned(&mut self, value: &str) {
        let digits = match value.as_bytes() {
            [] => return self.set_compat(None),
            [major, b'.', minor] => [*major, *minor],
            [major, minor] => [*major, *minor],
            _ => [0, 0],
        };
        let level = std::str::from_utf8(&digits).ok().and_then(|text| text.parse().ok());
        let level = level.filter(|level| (COMPAT_OLDEST..=COMPAT_NOW).contains(level));
        if level.is_none() {
            self.error(&format!("BASH_COMPAT: {value}: compatibility value out of range"));
        }
        self.set_compat(level);
    }

    /// Lists the options of `set`.
    pub(crate) fn print_options(&mut self, table: bool) {
        for name in Options::NAMES {
            let on = self.opts.by_name(name).unwrap_or(false);
            let line = option_line(name, on, !table, true);
            self.print(&line);
        }
    }

    /// Prints an option of `shopt`, for `reusable` as a command.
    pub(crate) fn print_shopt(&mut self, name: &str, reusable: bool) {
        let on = self.shopts.by_name(name).unwrap_or(false);
        self.print(&option_line(name, on, reusable, false));
    }

    /// Switches an option of `shopt`; false if there is none of that name.
    pub(crate) fn set_shopt(&mut self, name: &str, on: bool) -> bool {
        if matches!(name, "login_shell" | "restricted_shell") {
            // They tell how the shell was started.
            return true;
        }
        if !self.shopts.set_by_name(name, on) {
            return false;
        }
        if let Some(level) = name.strip_prefix("compat") {
            self.set_compat(if on { level.parse().ok() } else { None });
            self.vars.put_str(symbols::BASH_COMPAT, if on { level } else { "" });
        }
        if name == "interactive_comments" {
            self.opts.interactive_comments = on;
        }
        if name == "extdebug" {
            self.opts.functrace = on;
            self.opts.errtrace = on;
            self.script_args = on.then(|| self.args.clone());
        }
        true
    }
}

/// An option as it is listed, or as a command that restores it.
fn option_line(name: &str, on: bool, reusable: bool, of_set: bool) -> String {
    match (reusable, of_set) {
        (true, true) => format!("set {}o {name}\n", if on { '-' } else { '+' }),
        (true, false) => format!("shopt -{} {name}\n", if on { 's' } else { 'u' }),
        _ => format!("{name:<15}\t{}\n", if on { "on" } else { "off" }),
    }
}

pub(super) fn shopt(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (flags, names) = match getopt::flags(sh, args, "psuoq") {
        Ok(found) => found,
        Err(status) => return Ok(status),
    };
    let has = |letter| flags.contains(letter);
    let (quiet, print, of_set) = (has('q'), has('p'), has('o'));
    let switch = match (has('s'), has('u')) {
        (true, true) => {
            return Ok(sh.complain("shopt", "cannot set and unset shell options simultaneously"));
        }
        (true, false) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    let is_on = |sh: &Shell, name: &str| {
        if of_set { sh.opts.by_name(name) } else { sh.shopts.by_name(name) }
    };
    if names.is_empty() {
        let all = if of_set { Options::NAMES } else { Shopts::NAMES };
        for name in all {
            let on = is_on(sh, name).unwrap_or(false);
            if !quiet && switch.is_none_or(|wanted| wanted == on) {
                sh.print(&option_line(name, on, print, of_set));
            }
        }
        return Ok(0);
    }
    let mut status = 0;
    for name in names {
        let Some(on) = is_on(sh, name) else {
            let what = if of_set { "option name" } else { "shell option name" };
            sh.complain("shopt", &format!("{name}: invalid {what}"));
            status = i32::from(!(of_set && switch.is_some())).max(status);
            continue;
        };
        match switch {
            Some(wanted) if of_set => drop(sh.set_option(name, wanted)),
            Some(wanted) => drop(sh.set_shopt(name, wanted)),
            None => {
                if !on {
                    status = 1;
                }
                if !quiet {
                    sh.print(&option_line(name, on, print, of_set));
                }
            }
        }
    }
    Ok(status)
}
