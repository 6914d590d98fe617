//! `cd`, `pwd` and the directory stack.

use crate::shell::{Flow, Shell};
use crate::symbols;

/// Resolves `.` and `..` in an absolute path by text.
fn normalize(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn physical() -> String {
    agentos_guest::env::current_dir().map(|d| crate::text::from_os(d.into_os_string())).unwrap_or_default()
}

impl Shell {
    fn pwd(&self) -> String {
        self.vars.get(symbols::PWD).map_or_else(physical, std::borrow::Cow::into_owned)
    }

    /// Changes the directory and the variables that tell of it; reports a failure.
    fn change_directory(&mut self, name: &str, target: &str, follow: bool) -> bool {
        let old = self.pwd();
        let path = if target.starts_with('/') {
            target.to_owned()
        } else {
            format!("{}/{target}", old.trim_end_matches('/'))
        };
        let logical = normalize(&path);
        let go = if follow { target } else { logical.as_str() };
        let mut result = agentos_guest::env::set_current_dir(&*crate::text::os(go));
        if result.is_err() && !follow {
            // `x/..` where x is gone: the system decides.
            result = agentos_guest::env::set_current_dir(&*crate::text::os(target));
        }
        if let Err(error) = result {
            let message = format!("{target}: {}", agentos_guest::strerror(&error));
            self.complain(name, &message);
            return false;
        }
        let new = if follow { physical() } else { logical };
        self.vars.put_str(symbols::OLDPWD, old);
        self.vars.set_flags(symbols::OLDPWD, crate::vars::EXPORT, 0);
        self.vars.put_str(symbols::PWD, new);
        true
    }

    fn stack(&self) -> Vec<String> {
        std::iter::once(self.pwd()).chain(self.dirs.iter().rev().cloned()).collect()
    }

    fn print_stack(&mut self, args: &str) {
        let home = self.vars.get(symbols::HOME).map(std::borrow::Cow::into_owned).unwrap_or_default();
        let long = args.contains('l');
        let shown: Vec<String> = self
            .stack()
            .into_iter()
            .map(|dir| match dir.strip_prefix(&home) {
                Some(rest) if !long && !home.is_empty() && (rest.is_empty() || rest.starts_with('/')) => {
                    format!("~{rest}")
                }
                _ => dir,
            })
            .collect();
        let text = if args.contains('v') {
            shown.iter().enumerate().map(|(i, d)| format!("{i:2}  {d}\n")).collect()
        } else if args.contains('p') {
            shown.iter().map(|d| format!("{d}\n")).collect()
        } else {
            shown.join(" ") + "\n"
        };
        self.print(&text);
    }
}

pub(super) fn cd(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut follow = sh.opts.physical;
    let mut words = &args[1..];
    while let Some(option) = words.first().filter(|w| w.starts_with('-') && w.len() > 1) {
        match option.as_str() {
            "-P" => follow = true,
            "-L" => follow = false,
            "-e" | "-@" => {}
            "--" => {
                words = &words[1..];
                break;
            }
            _ => {
                sh.complain("cd", &format!("{option}: invalid option"));
                return Ok(2);
            }
        }
        words = &words[1..];
    }
    if words.len() > 1 {
        return Ok(sh.complain("cd", "too many arguments"));
    }
    let var = |sh: &Shell, name| sh.vars.get(name).map(std::borrow::Cow::into_owned);
    let (target, show) = match words.first().map(String::as_str) {
        None => match var(sh, symbols::HOME) {
            Some(home) => (home, false),
            None => return Ok(sh.complain("cd", "HOME not set")),
        },
        Some("-") => match var(sh, symbols::OLDPWD) {
            Some(old) => (old, true),
            None => return Ok(sh.complain("cd", "OLDPWD not set")),
        },
        Some(dir) => {
            let cdpath = var(sh, symbols::CDPATH).unwrap_or_default();
            let relative = !dir.starts_with('/')
                && !dir.starts_with("./")
                && !dir.starts_with("../")
                && dir != "."
                && dir != "..";
            let found = if relative && !cdpath.is_empty() {
                cdpath
                    .split(':')
                    .filter(|base| !base.is_empty())
                    .map(|base| format!("{}/{dir}", base.trim_end_matches('/')))
                    .find(|p| super::test::is_dir(p))
            } else {
                None
            };
            match found {
                Some(path) => (path, true),
                None => (dir.to_owned(), false),
            }
        }
    };
    if target.is_empty() {
        return Ok(0);
    }
    if !sh.change_directory("cd", &target, follow) {
        return Ok(1);
    }
    if show {
        let here = sh.pwd();
        sh.print(&(here + "\n"));
    }
    Ok(0)
}

pub(super) fn pwd(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let here = if args.iter().any(|a| a == "-P") { physical() } else { sh.pwd() };
    sh.print(&(here + "\n"));
    Ok(0)
}

pub(super) fn pushd(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let quiet = args.iter().any(|a| a == "-n");
    let target = args[1..].iter().find(|a| *a != "-n" && *a != "--");
    let here = sh.pwd();
    match target.map(String::as_str) {
        None => {
            let Some(top) = sh.dirs.pop() else { return Ok(sh.complain("pushd", "no other directory")) };
            if !sh.change_directory("pushd", &top, false) {
                sh.dirs.push(top);
                return Ok(1);
            }
            sh.dirs.push(here);
        }
        Some(spec)
            if spec.len() > 1
                && (spec.starts_with('+') || spec.starts_with('-'))
                && spec[1..].parse::<usize>().is_ok() =>
        {
            let mut stack = sh.stack();
            let n: usize = spec[1..].parse().unwrap_or(0);
            if n >= stack.len() {
                return Ok(sh.complain("pushd", &format!("{spec}: directory stack index out of range")));
            }
            let n = if spec.starts_with('-') { stack.len() - 1 - n } else { n };
            stack.rotate_left(n);
            if !sh.change_directory("pushd", &stack[0].clone(), false) {
                return Ok(1);
            }
            sh.dirs = stack[1..].iter().rev().cloned().collect();
        }
        Some(dir) => {
            if quiet {
                sh.dirs.push(dir.to_owned());
            } else {
                if !sh.change_directory("pushd", dir, false) {
                    return Ok(1);
                }
                sh.dirs.push(here);
            }
        }
    }
    sh.print_stack("");
    Ok(0)
}

pub(super) fn popd(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    if let Some(spec) = args.get(1).filter(|a| a.starts_with(['+', '-']))
        && let Ok(n) = spec[1..].parse::<usize>()
    {
        let mut stack = sh.stack();
        if n >= stack.len() || stack.len() < 2 {
            return Ok(sh.complain("popd", &format!("{spec}: directory stack index out of range")));
        }
        let n = if spec.starts_with('-') { stack.len() - 1 - n } else { n };
        stack.remove(n);
        if n == 0 && !sh.change_directory("popd", &stack[0].clone(), false) {
            return Ok(1);
        }
        sh.dirs = stack[1..].iter().rev().cloned().collect();
        sh.print_stack("");
        return Ok(0);
    }
    let Some(top) = sh.dirs.pop() else { return Ok(sh.complain("popd", "directory stack empty")) };
    if !sh.change_directory("popd", &top, false) {
        sh.dirs.push(top);
        return Ok(1);
    }
    sh.print_stack("");
    Ok(0)
}

pub(super) fn dirs(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let letters: String = args[1..].iter().filter_map(|a| a.strip_prefix('-')).collect();
    if letters.contains('c') {
        sh.dirs.clear();
        return Ok(0);
    }
    sh.print_stack(&letters);
    Ok(0)
}
