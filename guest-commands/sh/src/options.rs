//! The options of `set` and `shopt`. They only hold what is on; the rooms concerned ask.

macro_rules! options {
    ($(#[$doc:meta])* $type:ident { $($field:ident = $name:literal $(, $letter:literal)?;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default)]
        pub(crate) struct $type { $(pub(crate) $field: bool,)* }

        impl $type {
            /// Every option by name.
            pub(crate) const NAMES: &'static [&'static str] = &[$($name),*];

            /// Whether the option of this name is on.
            pub(crate) fn by_name(&self, name: &str) -> Option<bool> {
                match name { $($name => Some(self.$field),)* _ => None }
            }

            /// Switches the option of this name; false if there is none.
            pub(crate) fn set_by_name(&mut self, name: &str, on: bool) -> bool {
                match name { $($name => self.$field = on,)* _ => return false }
                true
            }
        }
    };
}

options! {
    /// The options of `set -o`.
    Options {
        allexport = "allexport";
        braceexpand = "braceexpand";
        emacs = "emacs";
        errexit = "errexit";
        errtrace = "errtrace";
        functrace = "functrace";
        hashall = "hashall";
        histexpand = "histexpand";
        history = "history";
        ignoreeof = "ignoreeof";
        interactive_comments = "interactive-comments";
        keyword = "keyword";
        monitor = "monitor";
        noclobber = "noclobber";
        noexec = "noexec";
        noglob = "noglob";
        nolog = "nolog";
        notify = "notify";
        nounset = "nounset";
        onecmd = "onecmd";
        physical = "physical";
        pipefail = "pipefail";
        posix = "posix";
        privileged = "privileged";
        verbose = "verbose";
        vi = "vi";
        xtrace = "xtrace";
    }
}

options! {
    /// The options of `shopt`.
    Shopts {
        dotglob = "dotglob";
        expand_aliases = "expand_aliases";
        extglob = "extglob";
        failglob = "failglob";
        globstar = "globstar";
        inherit_errexit = "inherit_errexit";
        lastpipe = "lastpipe";
        nocaseglob = "nocaseglob";
        nocasematch = "nocasematch";
        nullglob = "nullglob";
        sourcepath = "sourcepath";
        xpg_echo = "xpg_echo";
        checkwinsize = "checkwinsize";
        cmdhist = "cmdhist";
        globskipdots = "globskipdots";
        patsub_replacement = "patsub_replacement";
        promptvars = "promptvars";
        interactive_comments = "interactive_comments";
        login_shell = "login_shell";
        progcomp = "progcomp";
        histappend = "histappend";
        histreedit = "histreedit";
        histverify = "histverify";
        lithist = "lithist";
        autocd = "autocd";
        cdspell = "cdspell";
        huponexit = "huponexit";
        localvar_inherit = "localvar_inherit";
        globasciiranges = "globasciiranges";
    }
}

/// In the order of `$-`. Of `interactive` only the start of the shell decides.
const LETTERS: &[(char, &str)] = &[
    ('a', "allexport"),
    ('b', "notify"),
    ('e', "errexit"),
    ('f', "noglob"),
    ('h', "hashall"),
    ('i', "interactive"),
    ('k', "keyword"),
    ('m', "monitor"),
    ('n', "noexec"),
    ('p', "privileged"),
    ('t', "onecmd"),
    ('u', "nounset"),
    ('v', "verbose"),
    ('x', "xtrace"),
    ('B', "braceexpand"),
    ('C', "noclobber"),
    ('E', "errtrace"),
    ('H', "histexpand"),
    ('P', "physical"),
    ('T', "functrace"),
];

impl Options {
    /// Switches the option of a letter; false if there is none.
    pub(crate) fn set_letter(&mut self, letter: char, on: bool) -> bool {
        match LETTERS.iter().find(|(l, _)| *l == letter) {
            Some((_, name)) => self.set_by_name(name, on),
            None => false,
        }
    }

    /// The letters of what is on, as `$-`.
    pub(crate) fn letters(&self, interactive: bool) -> String {
        let on = |letter: char, name: &str| {
            if letter == 'i' { interactive } else { self.by_name(name) == Some(true) }
        };
        LETTERS.iter().filter(|(letter, name)| on(*letter, name)).map(|(letter, _)| *letter).collect()
    }

    /// The names of what is on, as `SHELLOPTS`.
    pub(crate) fn list(&self) -> String {
        let on: Vec<&str> =
            Options::NAMES.iter().copied().filter(|n| self.by_name(n) == Some(true)).collect();
        on.join(":")
    }
}
