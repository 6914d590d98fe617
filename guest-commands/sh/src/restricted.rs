//! The restricted shell: what `-r` and the name `rbash` forbid. It is a guard against accidents and no boundary of safety.

use crate::shell::Shell;
use crate::symbols::{HISTFILE, PATH, sym};
use crate::vars::READONLY;

impl Shell {
    /// Forbids from here on; a shell that is restricted stays so.
    pub(crate) fn restrict(&mut self) {
        self.restricted = true;
        for name in [PATH, sym("SHELL"), sym("ENV"), sym("BASH_ENV"), HISTFILE] {
            self.vars.set_flags(name, READONLY, 0);
        }
    }

    /// Whether a restricted shell refuses what is named, which is reported.
    pub(crate) fn refuses(&mut self, what: &str) -> bool {
        self.refuses_as(what, "restricted")
    }

    /// Whether a restricted shell refuses to run the program of a path.
    pub(crate) fn refuses_program(&mut self, name: &str) -> bool {
        name.contains('/') && self.refuses_as(name, "restricted: cannot specify `/' in command names")
    }

    /// Whether a restricted shell refuses to write to a file by a redirection.
    pub(crate) fn refuses_output(&mut self, file: &str) -> bool {
        self.refuses_as(file, "restricted: cannot redirect output")
    }

    fn refuses_as(&mut self, what: &str, why: &str) -> bool {
        if self.restricted {
            self.flush();
            self.error(&format!("{what}: {why}"));
        }
        self.restricted
    }

    /// Whether a restricted shell refuses a builtin with these arguments.
    pub(crate) fn refuses_builtin(&mut self, args: &[String]) -> bool {
        if !self.restricted {
            return false;
        }
        let name = args[0].as_str();
        let path = |word: &String| word.contains('/');
        match name {
            "cd" | "pushd" | "popd" => self.refuses(name),
            "." | "source" => {
                let file = args[1..].iter().find(|word| *word != "--").filter(|word| path(word));
                file.is_some_and(|file| self.refuses(&format!("{name}: {file}")))
            }
            "command" | "hash" | "enable" | "history" => {
                let options = args[1..].iter().take_while(|word| word.starts_with('-') && *word != "--");
                let letters: String = options.flat_map(|word| word.chars()).collect();
                let last = args.last().filter(|_| letters.contains(['a', 'n', 'r', 'w']));
                match name {
                    "command" if letters.contains('p') => self.refuses("command: -p"),
                    "enable" if letters.contains(['d', 'f']) => self.refuses("enable"),
                    "hash" if letters.contains('p') => {
                        let file = args.iter().find(|word| path(word));
                        file.is_some_and(|file| self.refuses(&format!("hash: {file}")))
                    }
                    "history" => match last.filter(|word| !word.starts_with('-')) {
                        Some(file) => self.refuses(&format!("history: {file}")),
                        None => false,
                    },
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

/// Whether a name of the shell asks for the restricted one.
pub(crate) fn is_restricted_name(name: &str) -> bool {
    name == "rbash"
}
