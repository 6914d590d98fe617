//! `cd` and `pwd`. The directory stack is in `dirs`.

use super::getopt;
use crate::shell::{Flow, Shell};
use crate::symbols::{self, Sym};
use crate::vars::{EXPORT, READONLY};
use std::io;

/// Resolves `.` and `..` in an absolute path by text; what `..` leaves has to be a directory.
fn normalize(path: &str) -> io::Result<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                let left = format!("/{}", parts.join("/"));
                let stat = agentos_guest::fs::stat(&*crate::text::os(&left))?;
                if agentos_guest::fs::file_type(stat.mode) != agentos_guest::fs::FileType::Dir {
                    return Err(agentos_guest::io_error(agentos_guest::Errno::ENOTDIR));
                }
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    // Two slashes at the start may mean something else than one.
    let root = if path.starts_with("//") && !path.starts_with("///") { "//" } else { "/" };
    Ok(format!("{root}{}", parts.join("/")))
}

fn physical() -> String {
    agentos_guest::env::current_dir().map(|d| crate::text::from_os(d.into_os_string())).unwrap_or_default()
}

impl Shell {
    /// The working directory as it was reached.
    pub(super) fn working_directory(&self) -> String {
        if self.cwd.is_empty() { physical() } else { self.cwd.clone() }
    }

    /// Changes the directory and the variables that tell of it; reports a failure and returns whether it was changed, and the status.
    fn change_directory(&mut self, name: &str, target: &str, shown: &str, follow: bool) -> (bool, i32) {
        let go = |path: &str| agentos_guest::env::set_current_dir(&*crate::text::os(path));
        let mut new = None;
        let result = if follow {
            go(target)
        } else {
            let path = if target.starts_with('/') {
                target.to_owned()
            } else {
                format!("{}/{target}", self.working_directory().trim_end_matches('/'))
            };
            match normalize(&path) {
                Ok(logical) => match go(&logical) {
                    Ok(()) => {
                        new = Some(logical);
                        Ok(())
                    }
                    // `x/..` where x is gone: the system decides.
                    Err(error) => go(target).map_err(|_| error),
                },
                Err(error) if self.opts.posix => Err(error),
                Err(_) => go(target),
            }
        };
        if let Err(error) = result {
            let shown = crate::expand::printable(shown);
            let message = format!("{shown}: {}", agentos_guest::strerror(&error));
            return (false, self.complain(name, &message));
        }
        self.cwd = new.unwrap_or_else(physical);
        let old = self.vars.get(symbols::PWD).map(std::borrow::Cow::into_owned).unwrap_or_default();
        let here = self.cwd.clone();
        let old = self.put_directory(symbols::OLDPWD, old);
        (true, old.max(self.put_directory(symbols::PWD, here)))
    }

    fn put_directory(&mut self, name: Sym, value: String) -> i32 {
        if self.vars.flags(name) & READONLY != 0 {
            self.flush();
            self.error(&format!("{}: readonly variable", name.name()));
            return 1;
        }
        self.vars.put_str(name, value);
        if self.opts.allexport {
            self.vars.set_flags(name, EXPORT, 0);
        }
        0
    }

    /// `cd` to one operand, for itself and the directory stack.
    pub(super) fn go_to(&mut self, name: &str, dir: &str, follow: bool) -> i32 {
        let mut show = false;
        let mut target = dir.to_owned();
        if dir == "-" {
            let Some(old) = self.vars.get(symbols::OLDPWD).map(std::borrow::Cow::into_owned) else {
                return self.complain(name, "OLDPWD not set");
            };
            show = true;
            target = old;
        } else if let Some((path, named)) = self.in_cdpath(dir) {
            show = named;
            target = path;
        } else if self.shopts.cdable_vars
            && !super::test::is_dir(dir)
            && crate::text::is_name(dir)
            && let Some(value) = self.get(crate::symbols::sym(dir)).map(std::borrow::Cow::into_owned)
            && super::test::is_dir(&value)
        {
            let (changed, status) = self.change_directory(name, &value, dir, follow);
            if changed {
                self.print(&(value + "\n"));
            }
            return status;
        }
        if target.is_empty() && !follow {
            target = ".".into();
        }
        if self.shopts.cdspell
            && self.session.active
            && !super::test::is_dir(&target)
            && let Some(path) =
                crate::interactive::spell::correct(&target).filter(|path| super::test::is_dir(path))
        {
            let (changed, status) = self.change_directory(name, &path, dir, follow);
            if changed {
                self.print(&format!("{path}\n"));
            }
            return status;
        }
        let shown = if dir == "-" { target.clone() } else { dir.to_owned() };
        let (changed, status) = self.change_directory(name, &target, &shown, follow);
        if show && changed {
            let here = if follow && dir != "-" { target } else { self.cwd.clone() };
            self.print(&(here + "\n"));
        }
        status
    }

    /// The directory of CDPATH that has `dir`, and whether an entry of it was named.
    fn in_cdpath(&self, dir: &str) -> Option<(String, bool)> {
        let first = dir.split('/').next().unwrap_or_default();
        if dir.starts_with('/') || matches!(first, "." | "..") {
            return None;
        }
        let cdpath = self.vars.get(symbols::CDPATH).filter(|path| !path.is_empty())?;
        cdpath
            .split(':')
            .map(|base| match base {
                "" => (format!("./{dir}"), false),
                base if base.starts_with('~') => {
                    let home = self.vars.get(symbols::HOME).unwrap_or_default();
                    (format!("{home}{}/{dir}", base[1..].trim_end_matches('/')), true)
                }
                base if base.ends_with('/') => (format!("{base}{dir}"), true),
                base => (format!("{base}/{dir}"), true),
            })
            .find(|(path, _)| super::test::is_dir(path))
    }
}

pub(super) fn cd(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (flags, words) = match getopt::flags(sh, args, "eLP") {
        Ok(found) => found,
        Err(status) => return Ok(status),
    };
    let last = flags.chars().rfind(|c| *c != 'e');
    let follow = last.map_or(sh.opts.physical, |last| last == 'P');
    match words {
        [] => match sh.vars.get(symbols::HOME).map(std::borrow::Cow::into_owned) {
            Some(home) if home.is_empty() => Ok(0),
            Some(home) => Ok(sh.change_directory("cd", &home, &home, follow).1),
            None => Ok(sh.complain("cd", "HOME not set")),
        },
        [dir] => Ok(sh.go_to("cd", dir, follow)),
        _ => Ok(sh.complain("cd", "too many arguments")),
    }
}

pub(super) fn pwd(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let flags = match getopt::flags(sh, args, "LP") {
        Ok((flags, _)) => flags,
        Err(status) => return Ok(status),
    };
    let follow = flags.chars().next_back().map_or(sh.opts.physical, |last| last == 'P');
    let mut here = if follow { physical() } else { sh.working_directory() };
    if here.is_empty() {
        let text = "pwd: error retrieving current directory: getcwd: cannot access parent directories: No such file or directory\n";
        sh.flush();
        sh.write_error(text);
        return Ok(1);
    }
    here.push('\n');
    sh.print(&here);
    Ok(0)
}
