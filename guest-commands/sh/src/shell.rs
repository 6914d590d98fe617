//! The state of a shell and how it reports. Execution, expansion and builtins are `impl` blocks of their own.

use crate::arith::Expr;
use crate::completion::Completions;
use crate::history::History;
use crate::interactive::Session;
use crate::interactive::bindings::Bindings;
use crate::ir::Command;
use crate::jobs::Jobs;
use crate::options::{Options, Shopts};
use crate::source::SyntaxError;
use crate::spare::Spare;
use crate::symbols::{self, Sym, sym};
use crate::traps::Traps;
use crate::vars::{self, Key, Target, Value, Vars};
use agentos_guest::fd;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Why execution leaves the usual order. The status is in [`Shell::status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Break(u32),
    Continue(u32),
    Return,
    Exit,
    /// The complete command is given up; a script goes on with the next.
    Discard,
    /// As that, but the text of `eval`, `.` and `-c` is given up as a whole.
    Abandon,
}

/// The result of executing something.
pub(crate) type Run = Result<(), Flow>;

/// A function of the script.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: Rc<str>,
    pub(crate) body: Rc<Command>,
    pub(crate) source: Rc<str>,
    pub(crate) line: u32,
}

/// A call of a function or sourced file that is being executed.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) name: Rc<str>,
    /// The file that its text came from.
    pub(crate) source: Rc<str>,
    /// Where it was called.
    pub(crate) line: u32,
    /// The line of the function's definition; 0 for a file.
    pub(crate) first: u32,
    /// Its arguments, if `extdebug` was on.
    pub(crate) args: Option<Vec<String>>,
    /// The options to bring back after it, if `local -` asked for that.
    pub(crate) opts: Option<Options>,
}

/// What `BASH_COMMAND` shows.
#[derive(Debug, Clone)]
pub(crate) enum Current {
    Nothing,
    Command(Rc<Command>),
    Text(String),
}

/// Output that substitutions in this process collect instead of writing it.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    /// Which descriptor leads to which buffer.
    pub(crate) routes: Vec<(u32, usize)>,
    /// One buffer per substitution, innermost last.
    pub(crate) buffers: Vec<Vec<u8>>,
}

impl Capture {
    /// The buffer that a descriptor leads to.
    pub(crate) fn route(&self, fd: u32) -> Option<usize> {
        self.routes.iter().find(|(f, _)| *f == fd).map(|(_, buffer)| *buffer)
    }

    /// Leads a descriptor to a buffer, or away from all.
    pub(crate) fn set(&mut self, fd: u32, buffer: Option<usize>) {
        self.routes.retain(|(f, _)| *f != fd);
        self.routes.extend(buffer.map(|b| (fd, b)));
    }
}

/// A shell.
pub(crate) struct Shell {
    pub(crate) vars: Vars,
    pub(crate) functions: HashMap<Rc<str>, Rc<Function>>,
    /// Functions that cannot be changed.
    pub(crate) fixed_functions: std::collections::BTreeSet<String>,
    /// Changes with every definition, so that what was concluded from the functions can be kept until then.
    pub(crate) generation: u32,
    /// Functions that inherit the DEBUG and RETURN traps: `declare -ft`.
    pub(crate) traced: HashSet<Rc<str>>,
    pub(crate) aliases: Rc<HashMap<String, String>>,
    pub(crate) args: Vec<String>,
    /// `set` gave the script or function of this depth of calls new arguments.
    pub(crate) args_set_in: Option<u32>,
    /// The script's own arguments, for `BASH_ARGV`.
    pub(crate) script_args: Option<Vec<String>>,
    pub(crate) zero: String,
    /// The file that the running commands came from; empty if they came from none.
    pub(crate) source: Rc<str>,
    /// The script file, if there is one.
    pub(crate) script: Option<Rc<str>>,
    pub(crate) status: i32,
    /// Status of the last command substitution of the current command.
    pub(crate) subst_status: Option<i32>,
    pub(crate) pipestatus: Vec<i32>,
    pub(crate) opts: Options,
    pub(crate) shopts: Shopts,
    pub(crate) traps: Traps,
    pub(crate) jobs: Jobs,
    /// The shell was started for a person, not a script: `$-` has `i`.
    pub(crate) interactive: bool,
    pub(crate) session: Session,
    /// What runs is a builtin that is not special, or arithmetic: for POSIX, too, its errors do not end the shell.
    pub(crate) tolerant: bool,
    /// Children that `BASH_SUBSHELL` does not count.
    pub(crate) uncounted: u32,
    /// One of them is to be counted when the words of the next simple command are expanded.
    pub(crate) counts_later: bool,
    /// `command exec` has asked for the redirections of the command to stay.
    pub(crate) keeps: bool,
    /// Where the trace goes instead of standard error: `BASH_XTRACEFD`.
    pub(crate) traced_to: Option<u32>,
    /// Standard error as it was before the redirections of the command that is being traced.
    pub(crate) trace_fd: Option<u32>,
    pub(crate) history: History,
    pub(crate) completions: Completions,
    pub(crate) bindings: Bindings,
    pub(crate) pid: u32,
    pub(crate) line: u32,
    /// What is added to the lines of the commands that run: those of a substitution count from where it is expanded.
    pub(crate) line_offset: u32,
    pub(crate) calls: Vec<Call>,
    pub(crate) functions_active: u32,
    pub(crate) sources_active: u32,
    pub(crate) loops: u32,
    pub(crate) depth: u32,
    /// How many contexts in which a failure is being tested enclose the command.
    pub(crate) tested: u32,
    pub(crate) subshell: u32,
    pub(crate) in_process: u32,
    pub(crate) out: Vec<u8>,
    pub(crate) capture: Capture,
    pub(crate) arith_cache: HashMap<String, Rc<Expr>>,
    pub(crate) regexes: HashMap<String, Rc<crate::regex::Regex>>,
    pub(crate) started: Instant,
    seconds_base: i64,
    /// The seed of `RANDOM`, and its last number.
    random: std::cell::Cell<(u32, u32)>,
    noise: std::cell::Cell<u32>,
    /// Subscripts of associative arrays in the arguments of the builtin at hand have been expanded and are so no more.
    pub(crate) verbatim: bool,
    /// The version of bash whose ways are kept, times ten: `BASH_COMPAT`.
    pub(crate) compat: u32,
    pub(crate) dirs: Vec<String>,
    pub(crate) getopts_at: usize,
    pub(crate) last_arg: String,
    /// Whether this is a restricted shell.
    pub(crate) restricted: bool,
    /// The builtin that assigns, which errors of its arithmetic name.
    pub(crate) assigns_for: Option<&'static str>,
    pub(crate) command_string: bool,
    pub(crate) proc_fds: Vec<u32>,
    /// The process group that the next process joins; 0: its own.
    pub(crate) group: Option<u32>,
    /// That process is started for the background.
    pub(crate) in_background: bool,
    /// How often the trace repeats the first character of its prefix.
    pub(crate) indirection: u32,
    /// A term of `[[ ]]` stands after `!`.
    pub(crate) negated: bool,
    /// The trace of a command that waits for that of its assignments.
    pub(crate) trace_later: Option<String>,
    /// `$?` before the last `return`.
    pub(crate) before_return: i32,
    /// A program that replaces this shell takes its place in `SHLVL`.
    pub(crate) lowers: bool,
    /// The program that `command` runs is the last of a child, and takes its place in `SHLVL`.
    pub(crate) last_of_child: bool,
    /// This is the child of `( )`.
    pub(crate) parenthesized: bool,
    /// Builtins that `enable -n` switched off.
    pub(crate) disabled: BTreeSet<&'static str>,
    /// Where programs were found, and how often.
    pub(crate) hashed: BTreeMap<String, (String, u32)>,
    /// The working directory as it was reached.
    pub(crate) cwd: String,
    pub(crate) current: Current,
    /// Where messages go: 2, except about a program whose own standard error leads elsewhere.
    pub(crate) stderr: u32,
    /// Copies of what redirections replaced for a while, innermost last.
    pub(crate) kept: Vec<agentos_guest::fd::Owned>,
    pub(crate) spare: Spare,
}

/// How a wrong script is reported.
pub(crate) fn syntax_message(error: &SyntaxError) -> String {
    match error {
        SyntaxError::Incomplete(what) | SyntaxError::Wrong(what, _) => what.clone(),
        SyntaxError::Report(report) => report.messages.join(": "),
        SyntaxError::More => "unexpected end of file".into(),
    }
}

/// How deeply commands, functions and substitutions nest before the shell gives up.
const MAX_DEPTH: u32 = 4000;
/// How much of its stack (1 MiB in a VM) the shell uses before it gives up.
const MAX_STACK: usize = 640 << 10;

impl Shell {
    pub(crate) fn new(zero: String) -> Self {
        let pid = agentos_guest::process::id();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
        let mut shell = Shell {
            vars: Vars::default(),
            functions: HashMap::new(),
            fixed_functions: std::collections::BTreeSet::new(),
            generation: 0,
            traced: HashSet::new(),
            aliases: Rc::default(),
            args: Vec::new(),
            args_set_in: None,
            script_args: None,
            source: Rc::from(""),
            script: None,
            zero,
            status: 0,
            subst_status: None,
            pipestatus: Vec::new(),
            opts: Options::default(),
            shopts: Shopts::default(),
            traps: Traps::default(),
            jobs: Jobs::default(),
            interactive: false,
            session: Session::default(),
            tolerant: false,
            history: History::default(),
            completions: Completions::default(),
            bindings: Bindings::default(),
            pid,
            line: 1,
            line_offset: 0,
            calls: Vec::new(),
            functions_active: 0,
            sources_active: 0,
            loops: 0,
            depth: 0,
            tested: 0,
            subshell: 0,
            in_process: 0,
            out: Vec::new(),
            capture: Capture::default(),
            arith_cache: HashMap::new(),
            regexes: HashMap::new(),
            started: Instant::now(),
            seconds_base: 0,
            random: std::cell::Cell::new((now ^ pid.wrapping_mul(2_654_435_761), u32::MAX)),
            noise: std::cell::Cell::new(now.rotate_left(13) ^ pid.wrapping_mul(2_654_435_761)),
            verbatim: false,
            compat: crate::options::COMPAT_NOW,
            dirs: Vec::new(),
            getopts_at: 0,
            last_arg: String::new(),
            restricted: false,
            assigns_for: None,
            command_string: false,
            proc_fds: Vec::new(),
            group: None,
            in_background: false,
            indirection: 0,
            negated: false,
            trace_later: None,
            before_return: 0,
            lowers: false,
            traced_to: None,
            trace_fd: None,
            keeps: false,
            uncounted: 0,
            counts_later: false,
            last_of_child: false,
            parenthesized: false,
            disabled: BTreeSet::new(),
            hashed: BTreeMap::new(),
            cwd: String::new(),
            current: Current::Nothing,
            stderr: 2,
            kept: Vec::new(),
            spare: Spare::default(),
        };
        shell.import_environment();
        if let Some(value) = shell.vars.get(symbols::BASH_XTRACEFD).map(Cow::into_owned) {
            shell.trace_to(&value);
        }
        shell
    }

    /// Whether there is room to nest more deeply; if not, that is reported and the command given up.
    #[inline]
    pub(crate) fn check_depth(&mut self) -> Run {
        if self.depth >= MAX_DEPTH || crate::stack::used() > MAX_STACK {
            return self.too_deep();
        }
        Ok(())
    }

    /// The line at which a command that was read at a line runs.
    pub(crate) fn line_of(&self, line: u32) -> u32 {
        line.wrapping_add(self.line_offset)
    }

    #[cold]
    fn too_deep(&mut self) -> Run {
        self.error("commands nest too deeply");
        self.status = 1;
        Err(Flow::Discard)
    }

    // --- variables

    /// The value of a variable, computed or stored.
    pub(crate) fn get(&self, name: Sym) -> Option<Cow<'_, str>> {
        if name <= symbols::LAST_DYNAMIC {
            return self.computed(name).or_else(|| self.vars.get(name));
        }
        match self.vars.slot(name) {
            Some(slot) if slot.flags & vars::NAMEREF != 0 => self.get_reference(name),
            Some(_) => self.vars.get(name),
            None => None,
        }
    }

    /// The line that is being executed. For a person, those of a function count from its definition.
    pub(crate) fn shown_line(&self) -> u32 {
        match self.calls.last() {
            Some(call) if self.interactive && self.sources_active == 0 => {
                (self.line + 1).saturating_sub(call.first).max(1)
            }
            _ => self.line,
        }
    }

    fn get_reference(&self, name: Sym) -> Option<Cow<'_, str>> {
        match self.vars.target(name) {
            // A reference that refers to nothing yet.
            Target::Var(target) if self.vars.flags(target) & vars::NAMEREF != 0 => None,
            Target::Var(target) => self.get(target),
            Target::Element(text) => {
                let (array, key) = text.strip_suffix(']')?.split_once('[')?;
                let array = self.vars.resolve(sym(array));
                let key = match key.parse::<i64>() {
                    Ok(n) if n < 0 && !self.vars.is_assoc(array) => {
                        Key::Number(n + self.vars.array_end(array))
                    }
                    Ok(n) => Key::Number(n),
                    Err(_) => Key::Text(key.trim_matches(['"', '\'']).to_owned()),
                };
                self.vars.element(array, &key).map(|v| Cow::Owned(v.into_owned()))
            }
            Target::Global(name) => match &self.vars.global(name)?.value {
                Value::Str(text) => Some(Cow::Borrowed(text)),
                Value::Int(n) => Some(Cow::Owned(n.to_string())),
                Value::Array(items) => items.get(&0).map(|v| Cow::Borrowed(v.as_str())),
                Value::Assoc(_) | Value::Unset => None,
            },
            Target::Nothing => None,
        }
    }

    /// Reports references that were found to lead in a circle; true if there were some.
    pub(crate) fn warn_circle(&mut self) -> bool {
        match self.vars.take_circle() {
            Some(name) => {
                self.error(&format!("warning: {}: circular name reference", name.name()));
                true
            }
            None => false,
        }
    }

    /// The value of a variable that is computed when it is asked for.
    pub(crate) fn computed(&self, name: Sym) -> Option<Cow<'_, str>> {
        let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Cow::Owned(match name {
            _ if self.vars.flags(name) & vars::ORDINARY != 0 => return None,
            symbols::LINENO => self.shown_line().to_string(),
            symbols::RANDOM => self.next_random().to_string(),
            symbols::SRANDOM => self.next_noise().to_string(),
            symbols::SECONDS => (self.seconds_base + self.started.elapsed().as_secs() as i64).to_string(),
            symbols::BASHPID => agentos_guest::process::id().to_string(),
            symbols::EPOCHSECONDS => since().as_secs().to_string(),
            symbols::EPOCHREALTIME => format!("{}.{:06}", since().as_secs(), since().subsec_micros()),
            symbols::BASH_SUBSHELL => (self.subshell + self.in_process - self.uncounted).to_string(),
            symbols::BASH_ARGV0 => self.zero.clone(),
            symbols::SHELLOPTS => self.opts.list(),
            symbols::BASHOPTS => self.shopts.list(),
            symbols::HISTCMD => self.history_number().to_string(),
            symbols::BASH_COMMAND => match &self.current {
                Current::Nothing => return None,
                Current::Command(command) => crate::print::head(command),
                Current::Text(text) => text.clone(),
            },
            symbols::UNDERSCORE if self.vars.flags(name) & vars::READONLY != 0 => return None,
            symbols::UNDERSCORE => self.last_arg.clone(),
            symbols::FUNCNAME
            | symbols::BASH_SOURCE
            | symbols::BASH_LINENO
            | symbols::BASH_ARGC
            | symbols::BASH_ARGV
            | symbols::PIPESTATUS
            | symbols::DIRSTACK
            | symbols::GROUPS => return self.computed_array(name)?.into_iter().next().map(Cow::Owned),
            _ => return None,
        }))
    }

    /// The elements of a computed array.
    pub(crate) fn computed_array(&self, name: Sym) -> Option<Vec<String>> {
        let calls = self.calls.iter().rev();
        if self.vars.is_ordinary(name) {
            return None;
        }
        Some(match name {
            symbols::PIPESTATUS => self.pipestatus.iter().map(i32::to_string).collect(),
            symbols::FUNCNAME if self.functions_active == 0 => return None,
            symbols::BASH_SOURCE | symbols::BASH_LINENO if self.script.is_none() && self.calls.is_empty() => {
                return None;
            }
            symbols::FUNCNAME => {
                let main = self.script.as_ref().map(|_| "main".to_owned());
                calls.map(|c| c.name.to_string()).chain(main).collect()
            }
            symbols::BASH_SOURCE => {
                let main = self.script.as_ref().map(|script| script.to_string());
                calls.map(|c| c.source.to_string()).chain(main).collect()
            }
            symbols::BASH_LINENO => {
                let main = self.script.as_ref().map(|_| "0".to_owned());
                calls.map(|c| c.line.to_string()).chain(main).collect()
            }
            symbols::BASH_ARGC => {
                let main = self.script_args.as_ref().map(|args| args.len().to_string());
                calls.filter_map(|c| c.args.as_ref().map(|args| args.len().to_string())).chain(main).collect()
            }
            symbols::BASH_ARGV => {
                let own = calls.filter_map(|c| c.args.as_ref()).chain(&self.script_args);
                own.flat_map(|args| args.iter().rev().cloned()).collect()
            }
            symbols::DIRSTACK => {
                let here = self.vars.get(symbols::PWD).map(Cow::into_owned).unwrap_or_default();
                std::iter::once(here).chain(self.dirs.iter().rev().cloned()).collect()
            }
            symbols::GROUPS => {
                let mut groups = agentos_guest::user::getgroups().unwrap_or_default();
                let own = agentos_guest::user::getegid();
                if !groups.contains(&own) {
                    groups.insert(0, own);
                }
                groups.iter().map(u32::to_string).collect()
            }
            _ => return None,
        })
    }

    /// The next pseudo-random number of `RANDOM`: the minimal standard generator of Park and Miller, as in bash, so that a
    /// seed gives the same numbers. The same number does not come twice in a row.
    fn next_random(&self) -> u32 {
        let (mut seed, last) = self.random.get();
        loop {
            let from = if seed == 0 { 123_459_876 } else { seed };
            let (high, low) = (from / 127_773, from % 127_773);
            let next = low.wrapping_mul(16_807).wrapping_sub(high.wrapping_mul(2_836)) as i32;
            seed = if next < 0 { next.wrapping_add(i32::MAX) } else { next } as u32;
            let mixed = if self.compat > 50 { (seed >> 16) ^ (seed & 0xffff) } else { seed };
            let number = mixed & 0x7fff;
            if number != last {
                self.random.set((seed, number));
                return number;
            }
        }
    }

    /// The next number of `SRANDOM`.
    fn next_noise(&self) -> u32 {
        // Xorshift: nobody can give it a seed.
        let mut x = self.noise.get().max(1);
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.noise.set(x);
        x
    }

    /// In a new child: numbers of its own.
    pub(crate) fn reseed(&mut self) {
        let id = agentos_guest::process::id().wrapping_mul(2_654_435_761);
        self.random.set((self.noise.get() ^ id, u32::MAX));
        self.noise.set(self.noise.get().rotate_left(7) ^ id);
    }

    /// An element of an array.
    pub(crate) fn get_element(&self, name: Sym, key: &Key) -> Option<String> {
        let name = self.vars.resolve(name);
        if name <= symbols::LAST_DYNAMIC
            && let (Some(items), Key::Number(n)) = (self.computed_array(name), key)
        {
            return items.into_iter().nth(usize::try_from(*n).ok()?);
        }
        self.vars.element(name, key).map(Cow::into_owned)
    }

    /// The elements of an array in order.
    pub(crate) fn get_elements(&self, name: Sym) -> Vec<String> {
        let name = self.vars.resolve(name);
        self.computed_array(name).unwrap_or_else(|| match self.computed(name) {
            Some(value) => vec![value.into_owned()],
            None => self.vars.elements(name),
        })
    }

    /// Reports an assignment to a constant, which ends the command.
    pub(crate) fn check_writable(&mut self, name: Sym) -> Run {
        if self.vars.flags(name) & vars::READONLY != 0 {
            self.error(&format!("{}: readonly variable", name.name()));
            return Err(self.serious());
        }
        Ok(())
    }

    /// Replaces the positional parameters, as `set` does.
    pub(crate) fn set_args(&mut self, args: Vec<String>) {
        self.args = args;
        self.args_set_in = Some(self.functions_active);
    }

    /// How an error leaves that POSIX wants to end a shell which is not interactive; bash by itself only gives up the
    /// command.
    pub(crate) fn fatal(&mut self) -> Flow {
        if self.opts.posix && !self.session.active && !self.tolerant {
            self.status = self.status_at_exit();
            return Flow::Exit;
        }
        self.status = 1;
        Flow::Discard
    }

    /// As [`Shell::fatal`] for the errors that with `set -e` end the shell even where a failure is tested.
    pub(crate) fn serious(&mut self) -> Flow {
        if self.opts.errexit {
            self.status = 1;
            self.session.leaving = true;
            return Flow::Exit;
        }
        self.fatal()
    }

    /// Reports an error of an expansion, which gives the command up; with `set -e` it ends the shell.
    pub(crate) fn give_up(&mut self, message: &str) -> Flow {
        self.error(message);
        if self.opts.errexit {
            return self.serious();
        }
        self.status = 1;
        Flow::Discard
    }

    /// The status of a shell that an error ends. Bash gives 127 for the text of `-c` without `-e`, 1 otherwise.
    pub(crate) fn status_at_exit(&self) -> i32 {
        let whole = self.subshell == 0 && self.in_process == 0;
        if self.command_string && whole && !self.opts.errexit { 127 } else { 1 }
    }

    fn note_special(&mut self, name: Sym, value: &str) {
        match name {
            _ if self.vars.flags(name) & vars::ORDINARY != 0 => {}
            symbols::UNDERSCORE => self.last_arg = value.to_owned(),
            symbols::RANDOM => {
                self.random.set((value.trim().parse::<i64>().unwrap_or(0) as u32, u32::MAX));
            }
            symbols::BASH_XTRACEFD => self.trace_to(value),
            symbols::BASH_COMPAT => self.compat_assigned(value),
            symbols::IGNOREEOF => self.opts.ignoreeof = true,
            symbols::SECONDS => {
                self.seconds_base =
                    value.parse::<i64>().unwrap_or(0) - self.started.elapsed().as_secs() as i64;
            }
            symbols::OPTIND => self.getopts_at = 0,
            symbols::BASH_ARGV0 => value.clone_into(&mut self.zero),
            symbols::POSIXLY_CORRECT if !self.opts.posix => {
                self.set_option("posix", true);
            }
            symbols::PATH if !self.hashed.is_empty() => {
                self.hashed.clear();
                self.show_hashed();
            }
            symbols::HISTSIZE => self.limit_history(value),
            symbols::HISTFILESIZE => self.limit_history_file(value),
            _ => {}
        }
    }

    /// Assigns text to a variable, minding its attributes.
    pub(crate) fn set(&mut self, name: Sym, value: String) -> Run {
        let flags = self.vars.flags(name);
        if flags == 0 && name > symbols::PATH && name != symbols::OPTIND {
            match &mut self.vars.slot_mut(name).value {
                Value::Array(items) => drop(items.insert(0, value)),
                Value::Assoc(items) => items.insert("0".into(), value),
                other => *other = Value::Str(value),
            }
            if self.opts.allexport {
                self.vars.set_flags(name, vars::EXPORT, 0);
            }
            return Ok(());
        }
        self.set_slowly(name, value)
    }

    /// As [`Shell::set`]; a plain variable that holds a short text keeps its memory.
    pub(crate) fn set_owned(&mut self, name: Sym, value: String) -> Run {
        if value.len() <= 256
            && name > symbols::OPTIND
            && self.vars.flags(name) == 0
            && !self.opts.allexport
            && let Value::Str(old) = &mut self.vars.slot_mut(name).value
            && (value.len()..=1024).contains(&old.capacity())
        {
            old.clear();
            old.push_str(&value);
            self.spare.give(value);
            return Ok(());
        }
        self.set(name, value)
    }

    fn set_slowly(&mut self, name: Sym, value: String) -> Run {
        if self.vars.flags(name) & vars::NAMEREF != 0 {
            match self.vars.target(name) {
                Target::Var(target) if self.vars.flags(target) & vars::NAMEREF == 0 => {
                    return self.set(target, value);
                }
                Target::Var(target) => return self.set_reference(target, value),
                Target::Element(text) => return self.assign_text(&text, value),
                Target::Global(name) => {
                    self.warn_circle();
                    self.vars.swap_global(name);
                    let result = self.set(name, value);
                    self.vars.swap_global(name);
                    return result;
                }
                Target::Nothing => {
                    self.warn_circle();
                    self.status = 1;
                    return Err(Flow::Discard);
                }
            }
        }
        if name == symbols::NOWHERE {
            self.warn_circle();
            self.status = 1;
            return Err(Flow::Discard);
        }
        self.check_writable(name)?;
        let flags = self.vars.flags(name);
        let value = self.with_attributes(flags, value)?;
        self.note_special(name, &value);
        let slot = self.vars.slot_mut(name);
        slot.flags &= !vars::NOVALUE;
        match &mut slot.value {
            Value::Array(items) => drop(items.insert(0, value)),
            Value::Assoc(items) => items.insert("0".into(), value),
            other => *other = Value::Str(value),
        }
        if self.opts.allexport {
            self.vars.set_flags(name, vars::EXPORT, 0);
        }
        Ok(())
    }

    /// Makes a reference refer to something.
    pub(crate) fn set_reference(&mut self, name: Sym, target: String) -> Run {
        self.check_writable(name)?;
        if !crate::text::is_reference(&target) {
            self.error(&format!("`{target}': not a valid identifier"));
            self.status = 1;
            return Err(Flow::Discard);
        }
        self.vars.put_str(name, target);
        Ok(())
    }

    pub(crate) fn with_attributes(&mut self, flags: vars::Flags, value: String) -> Result<String, Flow> {
        if flags & vars::INTEGER != 0 {
            return match self.eval_text(&value, 0) {
                Ok(n) => Ok(n.to_string()),
                Err(crate::arith::eval::ArithError::Flow(flow)) => Err(flow),
                Err(crate::arith::eval::ArithError::Message(message)) => {
                    let name = self.assigns_for.map_or(String::new(), |name| format!("{name}: "));
                    self.error(&format!("{name}{message}"));
                    let flow = self.fatal();
                    // Of the text of `-c` bash runs nothing more.
                    Err(if self.command_string { Flow::Exit } else { flow })
                }
            };
        }
        Ok(match () {
            () if flags & vars::LOWER != 0 => crate::text::lower(&value),
            () if flags & vars::UPPER != 0 => crate::text::upper(&value),
            () if flags & vars::CAPITAL != 0 => {
                let mut chars = value.chars();
                chars
                    .next()
                    .map(crate::text::upper_char)
                    .into_iter()
                    .chain(chars.map(crate::text::lower_char))
                    .collect()
            }
            () => value,
        })
    }

    /// Assigns a number.
    pub(crate) fn set_integer(&mut self, name: Sym, value: i64) -> Run {
        let simple = self.vars.flags(name) & !(vars::INTEGER | vars::EXPORT) == 0 && name > symbols::OPTIND;
        if simple && !self.opts.allexport {
            let slot = self.vars.slot_mut(name);
            if matches!(slot.value, Value::Unset | Value::Str(_) | Value::Int(_)) {
                slot.value = Value::Int(value);
                return Ok(());
            }
        }
        self.set(name, value.to_string())
    }

    /// The variable that a name stands for when it is used as an array.
    pub(crate) fn array_target(&mut self, name: Sym) -> Result<Sym, Flow> {
        if self.vars.flags(name) & vars::NAMEREF == 0 {
            return Ok(name);
        }
        match self.vars.target(name) {
            // An array cannot be a reference.
            Target::Var(target) if target == name => {
                self.error(&format!("warning: {}: removing nameref attribute", name.name()));
                self.vars.set_flags(name, 0, vars::NAMEREF);
                Ok(name)
            }
            Target::Var(target) => Ok(target),
            Target::Element(text) => {
                self.error(&format!("`{text}': not a valid identifier"));
                self.status = 1;
                Err(Flow::Discard)
            }
            Target::Nothing | Target::Global(_) => {
                self.warn_circle();
                self.status = 1;
                Err(Flow::Discard)
            }
        }
    }

    /// Assigns an element of an array, which comes into being if need be.
    pub(crate) fn set_element(&mut self, name: Sym, key: Key, value: String, append: bool) -> Run {
        let name = self.array_target(name)?;
        self.check_writable(name)?;
        if let (symbols::DIRSTACK, Key::Number(n), false) = (name, &key, self.vars.is_ordinary(name)) {
            // The first is the working directory, which only `cd` changes.
            let from_top = usize::try_from(*n).ok().filter(|n| *n > 0);
            let at = from_top.and_then(|n| self.dirs.len().checked_sub(n));
            if let Some(dir) = at.and_then(|at| self.dirs.get_mut(at)) {
                *dir = value;
            }
            return Ok(());
        }
        let flags = self.vars.flags(name);
        let value = if append {
            let old = self.vars.element(name, &key).map(Cow::into_owned).unwrap_or_default();
            if flags & vars::INTEGER != 0 { format!("{old}+({value})") } else { old + &value }
        } else {
            value
        };
        let value = self.with_attributes(flags, value)?;
        let slot = self.vars.slot_mut(name);
        slot.flags &= !vars::NOVALUE;
        match (&mut slot.value, key) {
            (Value::Assoc(items), Key::Text(k)) => {
                items.insert(k, value);
                if matches!(name, symbols::BASH_ALIASES | symbols::BASH_CMDS) {
                    self.table_written(name);
                }
            }
            (Value::Assoc(items), Key::Number(n)) => items.insert(n.to_string(), value),
            (Value::Array(items), Key::Number(n)) => drop(items.insert(n, value)),
            (other, Key::Number(n)) => {
                let mut items = BTreeMap::new();
                match std::mem::take(other) {
                    Value::Str(old) => drop(items.insert(0, old)),
                    Value::Int(old) => drop(items.insert(0, old.to_string())),
                    _ => {}
                }
                items.insert(n, value);
                *other = Value::Array(items);
            }
            (_, Key::Text(_)) => {}
        }
        Ok(())
    }

    /// The key of a subscript that a builtin was given in an argument.
    fn given_key(
        &mut self,
        name: Sym,
        index: &crate::ir::Index,
    ) -> Result<Key, crate::arith::eval::ArithError> {
        let former = std::mem::replace(&mut self.verbatim, self.shopts.assoc_expand_once);
        let key = self.element_key(name, index);
        self.verbatim = former;
        key
    }

    /// Assigns to what text names: a variable or an element.
    pub(crate) fn assign_text(&mut self, target: &str, value: String) -> Run {
        if crate::text::is_name(target) {
            return self.set(sym(target), value);
        }
        if let Some((name, rest)) = target.split_once('[')
            && let Some(index) = rest.strip_suffix(']')
            && crate::text::is_name(name)
        {
            let name = sym(name);
            return match crate::compile::index(index, self.line) {
                Ok(index) => match self.given_key(name, &index) {
                    Ok(key) => self.set_element(name, key, value, false),
                    Err(error) => self.arith_failed(error),
                },
                Err(error) => {
                    self.error(&syntax_message(&error));
                    self.status = 1;
                    Ok(())
                }
            };
        }
        self.error(&format!("`{target}': not a valid identifier"));
        self.status = 1;
        Err(Flow::Discard)
    }

    /// Reports wrong arithmetic, which ends the command.
    pub(crate) fn arith_failed(&mut self, error: crate::arith::eval::ArithError) -> Run {
        match error {
            crate::arith::eval::ArithError::Flow(flow) => Err(flow),
            crate::arith::eval::ArithError::Message(message) => {
                self.error(&message);
                self.status = 1;
                Err(Flow::Discard)
            }
        }
    }

    // --- output

    /// Writes what a builtin put into `out`; a failure becomes its status.
    pub(crate) fn flush(&mut self) -> bool {
        self.flush_of("")
    }

    /// As [`Shell::flush`], for a builtin that a message names.
    pub(crate) fn flush_of(&mut self, name: &str) -> bool {
        if self.out.is_empty() {
            return true;
        }
        let out = std::mem::take(&mut self.out);
        let result = self.try_write(1, &out);
        let ok = result.is_ok();
        if let Err(error) = result {
            self.poll_end(false);
            let head = if name.is_empty() { String::new() } else { format!("{name}: ") };
            self.error(&format!("{head}write error: {}", agentos_guest::strerror(&error)));
        }
        self.out = out;
        self.out.clear();
        self.out.shrink_to(65_536);
        ok
    }

    /// Writes to a descriptor, or to where it is captured.
    fn try_write(&mut self, to: u32, bytes: &[u8]) -> std::io::Result<()> {
        if !self.capture.routes.is_empty()
            && let Some(buffer) = self.capture.route(to).and_then(|b| self.capture.buffers.get_mut(b))
        {
            buffer.extend_from_slice(bytes);
            return Ok(());
        }
        fd::write_all(to, bytes)
    }

    /// Reports an error the way bash does: name of the shell, line, message.
    pub(crate) fn error(&mut self, message: &str) {
        self.error_in("", message);
    }

    /// The same about text that has a name of its own, as that of `eval`.
    pub(crate) fn error_in(&mut self, name: &str, message: &str) {
        self.report(name, message, self.shopts.gnu_errfmt);
    }

    /// The same; `gnu`: the line's number stands alone between the colons.
    pub(crate) fn report(&mut self, name: &str, message: &str, gnu: bool) {
        let text = if self.interactive {
            let colon = if name.is_empty() { "" } else { ": " };
            format!("{}: {name}{colon}{message}\n", self.zero)
        } else {
            let source = if self.source.is_empty() { &*self.zero } else { &*self.source };
            let place = match (name, gnu) {
                ("", false) => format!("{source}: line {}", self.line),
                ("", true) => format!("{source}:{}", self.line),
                (name, false) => format!("{source}: {name}: line {}", self.line),
                (name, true) => format!("{source}: {name}:{}", self.line),
            };
            format!("{place}: {message}\n")
        };
        self.write_error(&text);
    }

    pub(crate) fn write_error(&mut self, text: &str) {
        let bytes = crate::text::to_bytes(text).into_owned();
        // Where messages go there is nobody to tell that they do not arrive.
        let _ = self.try_write(self.stderr, &bytes);
    }
}

/// Whether two paths lead to one directory.
pub(crate) fn same_directory(a: &str, b: &str) -> bool {
    match (agentos_guest::fs::stat(&*crate::text::os(a)), agentos_guest::fs::stat(&*crate::text::os(b))) {
        (Ok(a), Ok(b)) => a.dev == b.dev && a.ino == b.ino,
        _ => false,
    }
}
