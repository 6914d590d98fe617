//! The names of all builtins and help topics with their synopsis and a line about each. It runs none of them.

use crate::shell::Shell;

/// Name, synopsis as bash gives it, and what it is for; in the order of bash's lists.
#[rustfmt::skip]
pub(crate) const TOPICS: &[(&str, &str, &str)] = &[
    ("%", "job_spec [&]", "Bring a job to the foreground."),
    ("(( ... ))", "(( expression ))", "Compute an arithmetic expression; true unless it is 0."),
    (".", ". filename [arguments]", "Run a file in this shell."),
    (":", ":", "Do nothing, successfully."),
    ("[", "[ arg... ]", "Test a condition; the last argument is `]'."),
    ("[[ ... ]]", "[[ expression ]]", "Test a condition, without splitting or globbing its words."),
    ("alias", "alias [-p] [name[=value] ... ]", "Define aliases, or print them."),
    ("bg", "bg [job_spec ...]", "Let stopped jobs go on in the background."),
    ("bind", "bind [-lpsvPSVX] [-m keymap] [-f filename] [-q name] [-u name] [-r keyseq] [-x keyseq:shell-command] [keyseq:readline-function or readline-command]", "Bind keys of the line editor, or print its bindings and variables."),
    ("break", "break [n]", "Leave loops."),
    ("builtin", "builtin [shell-builtin [arg ...]]", "Run a builtin even if a function has its name."),
    ("caller", "caller [expr]", "Print where the current function was called."),
    ("case", "case WORD in [PATTERN [| PATTERN]...) COMMANDS ;;]... esac", "Run the commands of the pattern that matches a word."),
    ("cd", "cd [-L|[-P [-e]] [-@]] [dir]", "Change the working directory."),
    ("command", "command [-pVv] command [arg ...]", "Run a command even if a function has its name, or say what a name means."),
    ("compgen", "compgen [-abcdefgjksuv] [-o option] [-A action] [-G globpat] [-W wordlist] [-F function] [-C command] [-X filterpat] [-P prefix] [-S suffix] [word]", "Print what a completion would offer."),
    ("complete", "complete [-abcdefgjksuv] [-pr] [-DEI] [-o option] [-A action] [-G globpat] [-W wordlist] [-F function] [-C command] [-X filterpat] [-P prefix] [-S suffix] [name ...]", "Say how the arguments of a command are completed."),
    ("compopt", "compopt [-o|+o option] [-DEI] [name ...]", "Change options of a completion."),
    ("continue", "continue [n]", "Go on with the next turn of a loop."),
    ("coproc", "coproc [NAME] command [redirections]", "Run a command in the background with pipes to and from it."),
    ("declare", "declare [-aAfFgiIlnrtux] [name[=value] ...] or declare -p [-aAfFilnrtux] [name ...]", "Declare variables and set their attributes."),
    ("dirs", "dirs [-clpv] [+N] [-N]", "Print the directory stack."),
    ("disown", "disown [-h] [-ar] [jobspec ... | pid ...]", "Forget jobs."),
    ("echo", "echo [-neE] [arg ...]", "Write the arguments and a newline."),
    ("enable", "enable [-a] [-dnps] [-f filename] [name ...]", "Enable and disable builtins."),
    ("eval", "eval [arg ...]", "Run the arguments as a command."),
    ("exec", "exec [-cl] [-a name] [command [argument ...]] [redirection ...]", "Become another program, or make redirections permanent."),
    ("exit", "exit [n]", "Leave the shell."),
    ("export", "export [-fn] [name[=value] ...] or export -p", "Pass variables on to programs."),
    ("false", "false", "Do nothing, unsuccessfully."),
    ("fc", "fc [-e ename] [-lnr] [first] [last] or fc -s [pat=rep] [command]", "List earlier commands, or edit them and run them again."),
    ("fg", "fg [job_spec]", "Bring a job to the foreground."),
    ("for", "for NAME [in WORDS ... ] ; do COMMANDS; done", "Run commands for each of some words."),
    ("for ((", "for (( exp1; exp2; exp3 )); do COMMANDS; done", "Run commands while an arithmetic expression is not 0."),
    ("function", "function name { COMMANDS ; } or name () { COMMANDS ; }", "Define a function."),
    ("getopts", "getopts optstring name [arg ...]", "Take options out of arguments."),
    ("hash", "hash [-lr] [-p pathname] [-dt] [name ...]", "Remember where programs are."),
    ("help", "help [-dms] [pattern ...]", "Print a text about builtins."),
    ("history", "history [-c] [-d offset] [n] or history -anrw [filename] or history -ps arg [arg...]", "Print or change the list of earlier commands."),
    ("if", "if COMMANDS; then COMMANDS; [ elif COMMANDS; then COMMANDS; ]... [ else COMMANDS; ] fi", "Run commands if others succeed."),
    ("jobs", "jobs [-lnprs] [jobspec ...] or jobs -x command [args]", "Print the jobs."),
    ("kill", "kill [-s sigspec | -n signum | -sigspec] pid | jobspec ... or kill -l [sigspec]", "Send a signal to processes or jobs."),
    ("let", "let arg [arg ...]", "Compute arithmetic expressions; true unless the last is 0."),
    ("local", "local [option] name[=value] ...", "Declare variables of a function."),
    ("logout", "logout [n]", "Leave a login shell."),
    ("mapfile", "mapfile [-d delim] [-n count] [-O origin] [-s count] [-t] [-u fd] [-C callback] [-c quantum] [array]", "Read lines into an array."),
    ("popd", "popd [-n] [+N | -N]", "Take directories off the stack."),
    ("printf", "printf [-v var] format [arguments]", "Write the arguments as a format says."),
    ("pushd", "pushd [-n] [+N | -N | dir]", "Put a directory on the stack."),
    ("pwd", "pwd [-LP]", "Print the working directory."),
    ("read", "read [-ers] [-a array] [-d delim] [-i text] [-n nchars] [-N nchars] [-p prompt] [-t timeout] [-u fd] [name ...]", "Read a line and split it into variables."),
    ("readarray", "readarray [-d delim] [-n count] [-O origin] [-s count] [-t] [-u fd] [-C callback] [-c quantum] [array]", "Read lines into an array."),
    ("readonly", "readonly [-aAf] [name[=value] ...] or readonly -p", "Make variables constant."),
    ("return", "return [n]", "Leave a function or a sourced file."),
    ("select", "select NAME [in WORDS ... ;] do COMMANDS; done", "Let the user choose among words."),
    ("set", "set [-abefhkmnptuvxBCEHPT] [-o option-name] [--] [-] [arg ...]", "Set options and positional parameters."),
    ("shift", "shift [n]", "Drop positional parameters from the front."),
    ("shopt", "shopt [-pqsu] [-o] [optname ...]", "Set further options."),
    ("source", "source filename [arguments]", "Run a file in this shell."),
    ("suspend", "suspend [-f]", "Stop this shell until it is continued."),
    ("test", "test [expr]", "Test a condition."),
    ("time", "time [-p] pipeline", "Print how long a pipeline took."),
    ("times", "times", "Print the processor time used so far."),
    ("trap", "trap [-lp] [[arg] signal_spec ...]", "Say what to do on signals and other events."),
    ("true", "true", "Do nothing, successfully."),
    ("type", "type [-afptP] name [name ...]", "Say what a name means as a command."),
    ("typeset", "typeset [-aAfFgiIlnrtux] name[=value] ... or typeset -p [-aAfFilnrtux] [name ...]", "Declare variables and set their attributes."),
    ("ulimit", "ulimit [-SHabcdefiklmnpqrstuvxPRT] [limit]", "Print or set resource limits."),
    ("umask", "umask [-p] [-S] [mode]", "Print or set the file mode mask."),
    ("unalias", "unalias [-a] name [name ...]", "Remove aliases."),
    ("unset", "unset [-f] [-v] [-n] [name ...]", "Remove variables or functions."),
    ("until", "until COMMANDS; do COMMANDS-2; done", "Run commands until others succeed."),
    ("variables", "variables - Names and meanings of some shell variables", "Variables that mean something to the shell."),
    ("wait", "wait [-fn] [-p var] [id ...]", "Wait for processes to end."),
    ("while", "while COMMANDS; do COMMANDS-2; done", "Run commands while others succeed."),
    ("{ ... }", "{ COMMANDS ; }", "Run commands as one."),
];

/// Topics that are words of the grammar and no builtins.
const GRAMMAR: &[&str] = &[
    "%",
    "(( ... ))",
    "[[ ... ]]",
    "case",
    "coproc",
    "for",
    "for ((",
    "function",
    "if",
    "select",
    "time",
    "until",
    "variables",
    "while",
    "{ ... }",
];

/// The names of all builtins, in order.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TOPICS.iter().map(|(name, ..)| *name).filter(|name| !GRAMMAR.contains(name))
}

/// The name of a builtin as the table has it.
pub(crate) fn own_name(name: &str) -> Option<&'static str> {
    names().find(|known| *known == name)
}

/// How a builtin is called.
pub(crate) fn synopsis(name: &str) -> &'static str {
    TOPICS.iter().find(|(topic, ..)| *topic == name).map_or("", |(_, synopsis, _)| synopsis)
}

impl Shell {
    /// Prints how a builtin is called, as an error; returns the status of wrong use.
    pub(crate) fn usage(&mut self, name: &str) -> i32 {
        self.flush();
        self.write_error(&format!("{name}: usage: {}\n", synopsis(name)));
        2
    }

    /// Reports an option that a builtin does not have (`-x`); returns the status.
    pub(crate) fn invalid_option(&mut self, name: &str, option: &str) -> i32 {
        self.complain(name, &format!("{option}: invalid option"));
        self.usage(name)
    }

    /// Reports an option whose argument is missing (`-x`); returns the status.
    pub(crate) fn option_needs_argument(&mut self, name: &str, option: &str) -> i32 {
        self.complain(name, &format!("{option}: option requires an argument"));
        self.usage(name)
    }
}
