//! Names of variables as small numbers, so that a variable is found by index. It holds no values.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// A variable's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct Sym(pub(crate) u32);

#[derive(Default)]
struct Table {
    names: Vec<Rc<str>>,
    index: HashMap<Rc<str>, Sym>,
}

macro_rules! known {
    ($($ident:ident = $name:literal;)*) => {
        known!(@count 0u32; $($ident)*);
        const KNOWN: &[&str] = &[$($name),*];
    };
    (@count $n:expr; $head:ident $($tail:ident)*) => {
        pub(crate) const $head: Sym = Sym($n);
        known!(@count $n + 1; $($tail)*);
    };
    (@count $n:expr;) => {};
}

// Those whose value is computed come first: up to LAST_DYNAMIC.
known! {
    RANDOM = "RANDOM";
    SECONDS = "SECONDS";
    LINENO = "LINENO";
    BASHPID = "BASHPID";
    EPOCHSECONDS = "EPOCHSECONDS";
    EPOCHREALTIME = "EPOCHREALTIME";
    FUNCNAME = "FUNCNAME";
    BASH_SOURCE = "BASH_SOURCE";
    BASH_LINENO = "BASH_LINENO";
    BASH_ARGC = "BASH_ARGC";
    BASH_ARGV = "BASH_ARGV";
    PIPESTATUS = "PIPESTATUS";
    BASH_SUBSHELL = "BASH_SUBSHELL";
    DIRSTACK = "DIRSTACK";
    BASH_ARGV0 = "BASH_ARGV0";
    SHELLOPTS = "SHELLOPTS";
    BASHOPTS = "BASHOPTS";
    BASH_COMMAND = "BASH_COMMAND";
    GROUPS = "GROUPS";
    UNDERSCORE = "_";
    HISTCMD = "HISTCMD";
    SRANDOM = "SRANDOM";
    NOWHERE = "";
    IFS = "IFS";
    POSIXLY_CORRECT = "POSIXLY_CORRECT";
    HISTSIZE = "HISTSIZE";
    HISTFILESIZE = "HISTFILESIZE";
    BASH_COMPAT = "BASH_COMPAT";
    BASH_XTRACEFD = "BASH_XTRACEFD";
    IGNOREEOF = "IGNOREEOF";
    PATH = "PATH";
    HOME = "HOME";
    PWD = "PWD";
    OLDPWD = "OLDPWD";
    OPTIND = "OPTIND";
    OPTARG = "OPTARG";
    OPTERR = "OPTERR";
    REPLY = "REPLY";
    PS4 = "PS4";
    PS3 = "PS3";
    TIMEFORMAT = "TIMEFORMAT";
    CDPATH = "CDPATH";
    BASH_REMATCH = "BASH_REMATCH";
    PPID = "PPID";
    UID = "UID";
    EUID = "EUID";
    HOSTNAME = "HOSTNAME";
    BASH_VERSION = "BASH_VERSION";
    BASH_VERSINFO = "BASH_VERSINFO";
    BASH = "BASH";
    SHLVL = "SHLVL";
    OSTYPE = "OSTYPE";
    MACHTYPE = "MACHTYPE";
    HOSTTYPE = "HOSTTYPE";
    HISTFILE = "HISTFILE";
    HISTCONTROL = "HISTCONTROL";
    HISTIGNORE = "HISTIGNORE";
    HISTTIMEFORMAT = "HISTTIMEFORMAT";
    FCEDIT = "FCEDIT";
    EDITOR = "EDITOR";
    TMPDIR = "TMPDIR";
    LC_ALL = "LC_ALL";
    LC_CTYPE = "LC_CTYPE";
    LANG = "LANG";
    GLOBIGNORE = "GLOBIGNORE";
    BASH_ALIASES = "BASH_ALIASES";
    BASH_CMDS = "BASH_CMDS";
    COMP_WORDBREAKS = "COMP_WORDBREAKS";
}

/// The last name whose value is computed when asked for.
pub(crate) const LAST_DYNAMIC: Sym = SRANDOM;

/// Whether a name's value is computed only until the variable is unset, or where no local one hides it.
pub(crate) fn may_be_ordinary(name: Sym) -> bool {
    name <= LAST_DYNAMIC
        && !matches!(
            name,
            BASH_SOURCE
                | BASH_LINENO
                | BASH_ARGC
                | BASH_ARGV
                | PIPESTATUS
                | SHELLOPTS
                | BASHOPTS
                | UNDERSCORE
        )
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::new({
        let mut table = Table::default();
        for name in KNOWN {
            add(&mut table, name);
        }
        table
    });
}

fn add(table: &mut Table, name: &str) -> Sym {
    let sym = Sym(table.names.len() as u32);
    let name: Rc<str> = Rc::from(name);
    table.names.push(name.clone());
    table.index.insert(name, sym);
    sym
}

/// The symbol of a name.
pub(crate) fn sym(name: &str) -> Sym {
    TABLE.with_borrow_mut(|table| match table.index.get(name) {
        Some(sym) => *sym,
        None => add(table, name),
    })
}

impl Sym {
    /// The name.
    pub(crate) fn name(self) -> Rc<str> {
        TABLE.with_borrow(|table| table.names[self.0 as usize].clone())
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}
