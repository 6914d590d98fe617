//! The directory stack: `pushd`, `popd` and `dirs`. Its top is the working directory, which is not stored.

use super::getopt;
use crate::shell::{Flow, Shell};
use crate::symbols;

/// How many directories the stack holds.
const MAX_STACK: usize = 4096;

impl Shell {
    fn stack(&self) -> Vec<String> {
        std::iter::once(self.working_directory()).chain(self.dirs.iter().rev().cloned()).collect()
    }

    /// The directory with `~` for the home directory.
    fn with_tilde(&self, dir: &str) -> String {
        let home = self.vars.get(symbols::HOME).unwrap_or_default();
        match dir.strip_prefix(&*home) {
            Some(rest) if !home.is_empty() && home != "/" && (rest.is_empty() || rest.starts_with('/')) => {
                format!("~{rest}")
            }
            _ => dir.to_owned(),
        }
    }

    fn print_stack(&mut self) {
        let shown: Vec<String> = self.stack().iter().map(|dir| self.with_tilde(dir)).collect();
        self.print(&(shown.join(" ") + "\n"));
    }

    /// The place on the stack that `+N` or `-N` names: counted from the top. `shown` is what a message names.
    fn stack_index(&mut self, name: &str, word: &str, shown: &str) -> Result<usize, i32> {
        let Some(n) = getopt::number(&word[1..]) else {
            self.complain(name, &format!("{word}: invalid number"));
            return Err(self.usage(name));
        };
        let count = self.dirs.len() as i64;
        let n = if word.starts_with('-') { count - n } else { n };
        match usize::try_from(n) {
            Ok(at) if n <= count => Ok(at),
            _ if count == 0 => Err(self.complain(name, "directory stack empty")),
            _ => Err(self.complain(name, &format!("{shown}: directory stack index out of range"))),
        }
    }
}

pub(super) fn pushd(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut words = &args[1..];
    if words.first().is_some_and(|w| w == "--") {
        words = &words[1..];
    }
    if words.is_empty() {
        let Some(top) = sh.dirs.pop() else { return Ok(sh.complain("pushd", "no other directory")) };
        let here = sh.working_directory();
        sh.dirs.push(here);
        let status = sh.go_to("pushd", &top, sh.opts.physical);
        if status == 0 {
            sh.print_stack();
        }
        return Ok(status);
    }
    let (mut keep, mut turn) = (false, None);
    while let Some(word) = words.first() {
        match word.as_str() {
            "-n" => keep = true,
            "--" => {
                words = &words[1..];
                break;
            }
            "-" => break,
            spec if spec.starts_with(['+', '-']) => match sh.stack_index("pushd", spec, spec) {
                Ok(at) => turn = Some(at),
                Err(status) => return Ok(status),
            },
            _ => break,
        }
        words = &words[1..];
    }
    if words.len() > 1 && !keep {
        return Ok(sh.complain("pushd", "too many arguments"));
    }
    if let Some(turn) = turn {
        let mut stack = sh.stack();
        stack.rotate_left(turn);
        let top = stack.remove(0);
        sh.dirs = stack.into_iter().rev().collect();
        if keep {
            return Ok(0);
        }
        let status = sh.go_to("pushd", &top, sh.opts.physical);
        if status == 0 {
            sh.print_stack();
        }
        return Ok(status);
    }
    let Some(dir) = words.first() else { return Ok(0) };
    if sh.dirs.len() >= MAX_STACK {
        return Ok(sh.complain("pushd", "directory stack full"));
    }
    if keep {
        sh.dirs.push(dir.clone());
    } else {
        let here = sh.working_directory();
        let status = sh.go_to("pushd", dir, sh.opts.physical);
        if status != 0 {
            return Ok(status);
        }
        sh.dirs.push(here);
    }
    sh.print_stack();
    Ok(0)
}

pub(super) fn popd(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (mut keep, mut which) = (false, None);
    for word in &args[1..] {
        match word.as_str() {
            "-n" => keep = true,
            "--" => break,
            spec if spec.starts_with(['+', '-']) => match sh.stack_index("popd", spec, spec) {
                Ok(at) => which = Some(at),
                Err(status) => return Ok(status),
            },
            "" => {}
            other => {
                sh.complain("popd", &format!("{other}: invalid argument"));
                return Ok(sh.usage("popd"));
            }
        }
    }
    if sh.dirs.is_empty() {
        return Ok(sh.complain("popd", "directory stack empty"));
    }
    match which.unwrap_or(0) {
        0 => {
            let top = sh.dirs.last().cloned().unwrap_or_default();
            if !keep {
                let status = sh.go_to("popd", &top, sh.opts.physical);
                if status != 0 {
                    return Ok(status);
                }
            }
            sh.dirs.pop();
        }
        at => drop(sh.dirs.remove(sh.dirs.len() - at)),
    }
    sh.print_stack();
    Ok(0)
}

pub(super) fn dirs(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (mut long, mut lines, mut numbers, mut clear, mut which) = (false, false, false, false, None);
    for word in &args[1..] {
        match word.as_str() {
            "-l" => long = true,
            "-c" => clear = true,
            "-v" => numbers = true,
            "-p" => lines = true,
            "--" => break,
            spec if spec.starts_with(['+', '-']) => match sh.stack_index("dirs", spec, &spec[1..]) {
                Ok(at) => which = Some(at),
                Err(status) => return Ok(status),
            },
            other => return Ok(sh.invalid_option("dirs", other)),
        }
    }
    if clear {
        sh.dirs.clear();
        return Ok(0);
    }
    let stack = sh.stack();
    let shown = stack.iter().map(|dir| if long { dir.clone() } else { sh.with_tilde(dir) });
    let shown: Vec<(usize, String)> =
        shown.enumerate().filter(|(i, _)| which.is_none_or(|which| which == *i)).collect();
    let text = if numbers {
        shown.iter().map(|(i, d)| format!("{i:2}  {d}\n")).collect()
    } else if lines {
        shown.iter().map(|(_, d)| format!("{d}\n")).collect()
    } else {
        shown.iter().map(|(_, d)| d.as_str()).collect::<Vec<_>>().join(" ") + "\n"
    };
    sh.print(&text);
    Ok(0)
}
