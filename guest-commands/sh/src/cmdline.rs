//! The words of the command line before the script: which options there are and what they ask for. It runs nothing.

use crate::interactive::startup::Startup;
use crate::options::Shopts;
use crate::shell::Shell;

/// What the command line asks for.
#[derive(Default)]
pub(crate) struct CommandLine {
    pub(crate) startup: Startup,
    /// `-i`, or `+i`.
    pub(crate) interactive: Option<bool>,
    /// `--noediting`.
    pub(crate) plain_lines: bool,
    /// `-r`.
    pub(crate) restricted: bool,
    /// `-c`.
    pub(crate) command: bool,
    /// `-s`.
    pub(crate) stdin: bool,
    /// How many words the options are, with the name of the shell.
    pub(crate) len: usize,
    /// Options of `shopt`, which are set when the shell is ready.
    shopts: Vec<(String, bool)>,
}

/// The long options, which one dash introduces as well as two.
const LONG: &[&str] = &[
    "help",
    "init-file",
    "login",
    "noediting",
    "noprofile",
    "norc",
    "posix",
    "rcfile",
    "restricted",
    "verbose",
    "version",
];
/// The letters that `set` has, too.
const LETTERS: &str = "abefhkmnptuvxBCEHPT";

/// Takes the options; the error is the status to exit with at once.
pub(crate) fn parse(sh: &mut Shell, args: &[String], startup: Startup) -> Result<CommandLine, i32> {
    let mut line = CommandLine { startup, len: 1, ..CommandLine::default() };
    while let Some(word) = args.get(line.len).filter(|w| w.starts_with('-')) {
        let name = word[1..].strip_prefix('-').unwrap_or(&word[1..]);
        if !LONG.contains(&name) {
            if word.starts_with("--") && word.len() > 2 {
                return Err(wrong(sh, &format!("{word}: invalid option")));
            }
            break;
        }
        line.len += 1;
        line.long(sh, name, args)?;
    }
    while let Some(word) = args.get(line.len).filter(|w| w.starts_with(['-', '+'])) {
        line.len += 1;
        if word == "-" || word == "--" {
            break;
        }
        let on = word.starts_with('-');
        for letter in word[1..].chars() {
            line.letter(sh, letter, on, args)?;
        }
    }
    Ok(line)
}

/// Reports a word that is no option; the status to exit with.
fn wrong(sh: &mut Shell, message: &str) -> i32 {
    let zero = sh.zero.clone();
    sh.write_error(&format!("{zero}: {message}\n{}", usage(&zero)));
    2
}

fn usage(zero: &str) -> String {
    let mut text = format!(
        "Usage:\t{zero} [long option] [option] ...\n\t{zero} [long option] [option] script-file ...\n"
    );
    text += "Long options:\n";
    for name in LONG {
        text += &format!("\t--{name}\n");
    }
    text += "Shell options:\n\t-ils or -c command or -O shopt_option\t\t(invocation only)\n";
    text + &format!("\t-{LETTERS} or -o option\n")
}

/// What `--version` prints. Scripts look for the number after the word.
fn version() -> String {
    let machine = agentos_guest::system::uname().unwrap_or_default().machine;
    format!("AgentOs shell, compatible with GNU bash, version 5.2.15(1)-release ({machine}-pc-linux-gnu)\n")
}

impl CommandLine {
    fn long(&mut self, sh: &mut Shell, name: &str, args: &[String]) -> Result<(), i32> {
        match name {
            "help" | "version" => {
                sh.print(&version());
                if name == "help" {
                    sh.print(&usage(&sh.zero.clone()));
                }
                return Err(i32::from(!sh.flush()));
            }
            "posix" => drop(sh.set_option("posix", true)),
            "login" => self.startup.login = true,
            "norc" => self.startup.no_rc = true,
            "noprofile" => self.startup.no_profile = true,
            "noediting" => self.plain_lines = true,
            "verbose" => sh.opts.verbose = true,
            "restricted" => self.restricted = true,
            "rcfile" | "init-file" => {
                self.startup.rc = args.get(self.len).cloned();
                self.len += 1;
                if self.startup.rc.is_none() {
                    let zero = sh.zero.clone();
                    sh.write_error(&format!("{zero}: {name}: option requires an argument\n"));
                    return Err(2);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn letter(&mut self, sh: &mut Shell, letter: char, on: bool, args: &[String]) -> Result<(), i32> {
        match letter {
            'c' => self.command = true,
            's' => self.stdin = true,
            'l' => self.startup.login = true,
            'i' => self.interactive = Some(on),
            'r' => self.restricted |= on,
            'o' => match args.get(self.len) {
                None => sh.print_options(on),
                Some(name) => {
                    self.len += 1;
                    if !sh.set_option(name, on) {
                        let zero = sh.zero.clone();
                        sh.write_error(&format!("{zero}: line 0: {zero}: {name}: invalid option name\n"));
                        return Err(2);
                    }
                }
            },
            'O' => match args.get(self.len) {
                None => {
                    for name in Shopts::NAMES {
                        sh.print_shopt(name, !on);
                    }
                }
                Some(name) => {
                    self.len += 1;
                    self.shopts.push((name.clone(), on));
                }
            },
            letter if LETTERS.contains(letter) => drop(sh.opts.set_letter(letter, on)),
            letter => {
                let sign = if on { '-' } else { '+' };
                return Err(wrong(sh, &format!("{sign}{letter}: invalid option")));
            }
        }
        Ok(())
    }

    /// Sets the options of `shopt`.
    pub(crate) fn apply_shopts(&mut self, sh: &mut Shell) -> Result<(), i32> {
        for (name, on) in std::mem::take(&mut self.shopts) {
            if !sh.set_shopt(&name, on) {
                let zero = sh.zero.clone();
                sh.write_error(&format!("{zero}: line 0: {name}: invalid shell option name\n"));
                return Err(2);
            }
        }
        Ok(())
    }
}

impl Shell {
    /// Switches on what the environment says in `SHELLOPTS`, `BASHOPTS` and `POSIXLY_CORRECT`.
    pub(crate) fn inherit_options(&mut self) {
        let list = |sh: &mut Shell, name| {
            let text = sh.vars.get(name).map(std::borrow::Cow::into_owned).unwrap_or_default();
            sh.vars.put(name, crate::vars::Value::Unset);
            sh.vars.set_flags(name, crate::vars::READONLY, 0);
            text
        };
        for name in list(self, crate::symbols::SHELLOPTS).split(':') {
            self.set_option(name, true);
        }
        for name in list(self, crate::symbols::BASHOPTS).split(':') {
            self.set_shopt(name, true);
        }
        if self.vars.is_set(crate::symbols::POSIXLY_CORRECT) {
            self.set_option("posix", true);
        }
    }
}
