//! The builtins: one table, one room per family. They write to `Shell::out` and return a status.

mod alias;
mod bind;
mod cd;
mod complete;
pub(crate) mod declare;
mod dirs;
mod echo;
mod enable;
mod extended;
mod fc;
mod flow;
pub(crate) mod getopt;
mod getopts;
mod hash;
mod help;
mod history;
mod jobs;
pub(crate) mod keys;
mod kill;
mod limits;
pub(crate) mod lookup;
mod mapfile;
mod printf;
mod read;
mod session;
mod set;
mod show;
pub(crate) mod signals;
pub(crate) mod table;
pub(crate) mod test;
mod topics;
mod unset;

use crate::shell::{Flow, Run, Shell};

/// A builtin: gets its name and arguments.
pub(crate) type Builtin = fn(&mut Shell, &[String]) -> Result<i32, Flow>;

/// The builtin of a name.
pub(crate) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        ":" | "true" => flow::truth,
        "false" => flow::falsehood,
        "echo" => echo::echo,
        "printf" => printf::printf,
        "test" | "[" => test::test,
        "read" => read::read,
        "mapfile" | "readarray" => mapfile::mapfile,
        "cd" => cd::cd,
        "pwd" => cd::pwd,
        "pushd" => dirs::pushd,
        "popd" => dirs::popd,
        "dirs" => dirs::dirs,
        "break" => flow::break_loop,
        "continue" => flow::continue_loop,
        "return" => flow::return_from,
        "exit" => flow::exit,
        "exec" => flow::truth,
        "eval" => flow::eval,
        "." | "source" => flow::source,
        "let" => flow::let_arith,
        "shift" => flow::shift,
        "times" => flow::times,
        "caller" => flow::caller,
        "export" | "declare" | "typeset" | "local" | "readonly" => declare::declaration,
        "unset" => unset::unset,
        "set" => set::set,
        "shopt" => set::shopt,
        "umask" => limits::umask,
        "ulimit" => limits::ulimit,
        "enable" => enable::enable,
        "complete" => complete::complete,
        "compgen" => complete::compgen,
        "compopt" => complete::compopt,
        "bind" => bind::bind,
        "help" => help::help,
        "history" => history::history,
        "fc" => fc::fc,
        "getopts" => getopts::getopts,
        "trap" => signals::trap,
        "kill" => kill::kill,
        "wait" => jobs::wait,
        "jobs" => jobs::jobs,
        "fg" => jobs::fg,
        "bg" => jobs::bg,
        "disown" => jobs::disown,
        "command" => lookup::command,
        "builtin" => lookup::builtin,
        "type" => lookup::type_of,
        "hash" => hash::hash,
        "alias" => alias::alias,
        "logout" => session::logout,
        "suspend" => session::suspend,
        "unalias" => alias::unalias,
        _ => return None,
    })
}

/// Whether POSIX counts a builtin among the special ones, whose errors end a shell that is not interactive.
pub(crate) fn is_special(name: &str) -> bool {
    matches!(
        name,
        "." | ":"
            | "break"
            | "continue"
            | "eval"
            | "exec"
            | "exit"
            | "export"
            | "readonly"
            | "return"
            | "set"
            | "shift"
            | "source"
            | "times"
            | "trap"
            | "unset"
    )
}

/// Whether `--help` is more than an argument to a builtin.
fn takes_options(name: &str) -> bool {
    !matches!(name, ":" | "true" | "false" | "echo" | "test" | "[")
}

/// The status of a builtin that assigns: a constant is not assigned to, which is a failure and no more.
fn assigned(result: Run) -> Result<i32, Flow> {
    match result {
        Ok(()) => Ok(0),
        Err(Flow::Discard) => Ok(1),
        Err(flow) => Err(flow),
    }
}

impl Shell {
    /// Reports a builtin's wrong use; returns the status.
    pub(crate) fn complain(&mut self, name: &str, message: &str) -> i32 {
        self.flush();
        self.report("", &format!("{name}: {message}"), false);
        1
    }

    /// Runs a builtin; `--help` as its first argument asks for its text instead, of those that take options.
    pub(crate) fn call_builtin(&mut self, builtin: Builtin, args: &[String]) -> Result<i32, Flow> {
        if args.get(1).is_some_and(|word| word == "--help") && takes_options(&args[0]) {
            return Ok(self.print_help(&args[0]));
        }
        if self.refuses_builtin(args) {
            return Ok(1);
        }
        self.note_locale();
        let texts = matches!(args[0].as_str(), "test" | "[" | "let" | "unset");
        let former = std::mem::replace(&mut self.verbatim, texts && self.shopts.assoc_expand_once);
        let result = builtin(self, args);
        self.verbatim = former;
        result
    }

    /// Adds text to a builtin's output.
    pub(crate) fn print(&mut self, text: &str) {
        self.out.extend_from_slice(&crate::text::to_bytes(text));
    }
}
