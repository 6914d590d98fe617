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
    /// The options of `shopt`, in the order in which bash lists them.
    Shopts {
        autocd = "autocd";
        assoc_expand_once = "assoc_expand_once";
        cdable_vars = "cdable_vars";
        cdspell = "cdspell";
        checkhash = "checkhash";
        checkjobs = "checkjobs";
        checkwinsize = "checkwinsize";
        cmdhist = "cmdhist";
        compat31 = "compat31";
        compat32 = "compat32";
        compat40 = "compat40";
        compat41 = "compat41";
        compat42 = "compat42";
        compat43 = "compat43";
        compat44 = "compat44";
        complete_fullquote = "complete_fullquote";
        direxpand = "direxpand";
        dirspell = "dirspell";
        dotglob = "dotglob";
        execfail = "execfail";
        expand_aliases = "expand_aliases";
        extdebug = "extdebug";
        extglob = "extglob";
        extquote = "extquote";
        failglob = "failglob";
        force_fignore = "force_fignore";
        globasciiranges = "globasciiranges";
        globskipdots = "globskipdots";
        globstar = "globstar";
        gnu_errfmt = "gnu_errfmt";
        histappend = "histappend";
        histreedit = "histreedit";
        histverify = "histverify";
        hostcomplete = "hostcomplete";
        huponexit = "huponexit";
        inherit_errexit = "inherit_errexit";
        interactive_comments = "interactive_comments";
        lastpipe = "lastpipe";
        lithist = "lithist";
        localvar_inherit = "localvar_inherit";
        localvar_unset = "localvar_unset";
        login_shell = "login_shell";
        mailwarn = "mailwarn";
        no_empty_cmd_completion = "no_empty_cmd_completion";
        nocaseglob = "nocaseglob";
        nocasematch = "nocasematch";
        noexpand_translation = "noexpand_translation";
        nullglob = "nullglob";
        patsub_replacement = "patsub_replacement";
        progcomp = "progcomp";
        progcomp_alias = "progcomp_alias";
        promptvars = "promptvars";
        restricted_shell = "restricted_shell";
        shift_verbose = "shift_verbose";
        sourcepath = "sourcepath";
        varredir_close = "varredir_close";
        xpg_echo = "xpg_echo";
    }
}

/// The version of bash that this shell follows, times ten, and the oldest whose ways it knows.
pub(crate) const COMPAT_NOW: u32 = 52;
pub(crate) const COMPAT_OLDEST: u32 = 31;

impl Shopts {
    /// What is on when a shell starts.
    pub(crate) fn at_start() -> Self {
        Shopts {
            checkwinsize: true,
            cmdhist: true,
            complete_fullquote: true,
            extquote: true,
            force_fignore: true,
            globasciiranges: true,
            globskipdots: true,
            hostcomplete: true,
            interactive_comments: true,
            patsub_replacement: true,
            progcomp: true,
            promptvars: true,
            sourcepath: true,
            ..Shopts::default()
        }
    }

    /// The names of what is on, as `BASHOPTS`.
    pub(crate) fn list(&self) -> String {
        let on: Vec<&str> = Shopts::NAMES.iter().copied().filter(|n| self.by_name(n) == Some(true)).collect();
        on.join(":")
    }
}

/// In the order of `$-`. Of `interactive` only the start of the shell decides; `restricted` is no option by name.
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
    ('r', "restricted"),
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
    pub(crate) fn letters(&self, interactive: bool, restricted: bool) -> String {
        let on = |letter: char, name: &str| match letter {
            'i' => interactive,
            'r' => restricted,
            _ => self.by_name(name) == Some(true),
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
