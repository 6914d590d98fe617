//! `Command`: a builder for a new process, like std's, with an arbitrary descriptor map. It starts no shell.

use super::{Pid, WaitFor, WaitStatus, try_wait, wait};
use crate::{fd, signal, sys};
use agentos_abi::Signal;
use agentos_abi::process::{
    FD_CLOSE, PGID_INHERIT, SPAWN_FOREGROUND, SPAWN_MAP_ONLY, SPAWN_RESET_SIGNALS, SPAWN_SEARCH_PATH,
    SPAWN_SETSID,
};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// Where a standard descriptor of a child leads.
#[derive(Debug, Default)]
pub enum Stdio {
    /// The parent's own descriptor of that number.
    #[default]
    Inherit,
    /// `/dev/null`.
    Null,
    /// A new pipe whose other end is in [`Child`].
    Piped,
    /// This descriptor of the parent, which stays open in the parent.
    Fd(u32),
}

/// A builder for a new process.
///
/// ```
/// use agentos_guest::{fd, process::{Command, Stdio}};
/// let mut child = Command::new("echo").arg("hi").search_path(true).stdout(Stdio::Piped).spawn()?;
/// let out = fd::read_to_end(child.stdout.as_ref().unwrap().raw())?;
/// assert_eq!(out, b"hi\n");
/// assert!(child.wait()?.success());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Command {
    program: OsString,
    argv: Vec<OsString>,
    env_clear: bool,
    env: BTreeMap<OsString, Option<OsString>>,
    env_list: Option<Vec<OsString>>,
    cwd: Option<PathBuf>,
    fds: Vec<(u32, u32)>,
    stdio: [Stdio; 3],
    pgid: i32,
    flags: u32,
}

impl Command {
    /// A command that runs `program`, with `program` as its `argv[0]`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref().to_owned();
        Command {
            argv: vec![program.clone()],
            program,
            env_clear: false,
            env: BTreeMap::new(),
            env_list: None,
            cwd: None,
            fds: Vec::new(),
            stdio: [Stdio::Inherit, Stdio::Inherit, Stdio::Inherit],
            pgid: PGID_INHERIT,
            flags: 0,
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.argv.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) -> &mut Self {
        self.argv.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets `argv[0]`.
    pub fn arg0(&mut self, arg0: impl AsRef<OsStr>) -> &mut Self {
        self.argv[0] = arg0.as_ref().to_owned();
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.env.insert(key.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self
    }

    /// Removes an environment variable.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.env.insert(key.as_ref().to_owned(), None);
        self
    }

    /// Starts from an empty environment.
    pub fn env_clear(&mut self) -> &mut Self {
        self.env_clear = true;
        self.env.clear();
        self
    }

    /// Passes exactly these `KEY=value` strings, in this order, and ignores the other environment settings.
    pub fn env_list(&mut self, list: Vec<OsString>) -> &mut Self {
        self.env_list = Some(list);
        self
    }

    /// Sets the working directory of the child.
    pub fn current_dir(&mut self, dir: impl AsRef<Path>) -> &mut Self {
        self.cwd = Some(dir.as_ref().to_owned());
        self
    }

    /// Gives the child `parent` as its descriptor `child`. All pairs are applied at once, so they may swap numbers.
    pub fn fd(&mut self, child: u32, parent: u32) -> &mut Self {
        self.fds.push((child, parent));
        self
    }

    /// Closes a descriptor in the child.
    pub fn close_fd(&mut self, child: u32) -> &mut Self {
        self.fds.push((child, FD_CLOSE));
        self
    }

    /// Gives the child only the mapped and standard descriptors.
    pub fn only_mapped_fds(&mut self, yes: bool) -> &mut Self {
        self.set_flag(SPAWN_MAP_ONLY, yes)
    }

    /// Sets standard input.
    pub fn stdin(&mut self, stdio: Stdio) -> &mut Self {
        self.stdio[0] = stdio;
        self
    }

    /// Sets standard output.
    pub fn stdout(&mut self, stdio: Stdio) -> &mut Self {
        self.stdio[1] = stdio;
        self
    }

    /// Sets standard error.
    pub fn stderr(&mut self, stdio: Stdio) -> &mut Self {
        self.stdio[2] = stdio;
        self
    }

    /// Puts the child into a process group; 0: a new one of its own pid.
    pub fn process_group(&mut self, pgid: Pid) -> &mut Self {
        self.pgid = pgid as i32;
        self
    }

    /// Makes the child's group the foreground one of the controlling terminal before the child runs, so that it cannot be
    /// stopped for reading too early. Nothing happens without a terminal, or when this process is in the background
    /// itself.
    pub fn foreground(&mut self, yes: bool) -> &mut Self {
        self.set_flag(SPAWN_FOREGROUND, yes)
    }

    /// Makes the child the leader of a new session.
    pub fn new_session(&mut self, yes: bool) -> &mut Self {
        self.set_flag(SPAWN_SETSID, yes)
    }

    /// Looks a program without a slash up in the PATH of the child's environment.
    pub fn search_path(&mut self, yes: bool) -> &mut Self {
        self.set_flag(SPAWN_SEARCH_PATH, yes)
    }

    /// Resets signals that the parent ignores to their default in the child.
    pub fn reset_signals(&mut self, yes: bool) -> &mut Self {
        self.set_flag(SPAWN_RESET_SIGNALS, yes)
    }

    fn set_flag(&mut self, flag: u32, yes: bool) -> &mut Self {
        self.flags = if yes { self.flags | flag } else { self.flags & !flag };
        self
    }

    /// The `KEY=value` list of the child; `None`: what this program was started with.
    fn environment(&self) -> Option<Vec<OsString>> {
        if let Some(list) = &self.env_list {
            return Some(list.clone());
        }
        let mut map: BTreeMap<OsString, OsString> =
            if self.env_clear { BTreeMap::new() } else { std::env::vars_os().collect() };
        for (key, value) in &self.env {
            match value {
                Some(value) => map.insert(key.clone(), value.clone()),
                None => map.remove(key),
            };
        }
        let join = |(mut pair, value): (OsString, OsString)| {
            pair.push("=");
            pair.push(value);
            pair
        };
        Some(map.into_iter().map(join).collect())
    }

    /// Starts the process.
    ///
    /// # Errors
    /// Those of execve(2), `EBADF` for an unknown descriptor of the map, `EAGAIN` when there are too many processes.
    pub fn spawn(&mut self) -> io::Result<Child> {
        let mut fds = self.fds.clone();
        let mut ours: [Option<fd::Owned>; 3] = [None, None, None];
        let mut theirs = Vec::new();
        for (number, stdio) in self.stdio.iter().enumerate() {
            let source = match stdio {
                Stdio::Inherit => {
                    if self.flags & SPAWN_MAP_ONLY != 0 && !fds.iter().any(|(c, _)| *c == number as u32) {
                        fds.push((number as u32, number as u32));
                    }
                    continue;
                }
                Stdio::Fd(raw) => *raw,
                Stdio::Null => {
                    let flags = agentos_abi::fd::O_RDWR | agentos_abi::fd::O_CLOEXEC;
                    let null = fd::Owned::from_raw(fd::open("/dev/null", flags, 0)?);
                    let raw = null.raw();
                    theirs.push(null);
                    raw
                }
                Stdio::Piped => {
                    let (read, write) = fd::pipe(true)?;
                    let (child, parent) = if number == 0 { (read, write) } else { (write, read) };
                    let raw = child.raw();
                    theirs.push(child);
                    ours[number] = Some(parent);
                    raw
                }
            };
            fds.push((number as u32, source));
        }
        let argv: Vec<&[u8]> = self.argv.iter().map(|a| a.as_encoded_bytes()).collect();
        let env = self.environment();
        let env: Option<Vec<&[u8]>> =
            env.as_ref().map(|env| env.iter().map(|e| e.as_encoded_bytes()).collect());
        sys::flush_stdio();
        let pid = sys::spawn(&sys::SpawnArgs {
            path: self.program.as_encoded_bytes(),
            argv: &argv,
            env: env.as_deref(),
            cwd: self.cwd.as_ref().map(|c| c.as_os_str().as_encoded_bytes()),
            fds: &fds,
            pgid: self.pgid,
            flags: self.flags,
        })?;
        let [stdin, stdout, stderr] = ours;
        Ok(Child { pid, status: None, stdin, stdout, stderr })
    }

    /// Starts the process and waits for it.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub fn status(&mut self) -> io::Result<WaitStatusExt> {
        self.spawn()?.wait()
    }

    /// Runs the process with standard output (and error) captured, unless set otherwise.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub fn output(&mut self) -> io::Result<(WaitStatusExt, Vec<u8>)> {
        self.stdout(Stdio::Piped);
        let mut child = self.spawn()?;
        let out = match child.stdout.take() {
            Some(end) => fd::read_to_end(end.raw())?,
            None => Vec::new(),
        };
        Ok((child.wait()?, out))
    }
}

/// How a child ended, with the questions that programs ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitStatusExt(pub WaitStatus);

impl WaitStatusExt {
    /// It exited with status 0.
    #[must_use]
    pub fn success(self) -> bool {
        self.0 == WaitStatus::Exited(0)
    }

    /// The exit status; `None` if a signal ended it.
    #[must_use]
    pub fn code(self) -> Option<i32> {
        match self.0 {
            WaitStatus::Exited(code) => Some(i32::from(code)),
            _ => None,
        }
    }

    /// The number that a shell shows as `$?`.
    #[must_use]
    pub fn shell_status(self) -> i32 {
        self.0.shell_status()
    }
}

/// A started process. Dropping it neither ends nor reaps it.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    status: Option<WaitStatus>,
    /// The writing end of its standard input, if [`Stdio::Piped`].
    pub stdin: Option<fd::Owned>,
    /// The reading end of its standard output, if [`Stdio::Piped`].
    pub stdout: Option<fd::Owned>,
    /// The reading end of its standard error, if [`Stdio::Piped`].
    pub stderr: Option<fd::Owned>,
}

impl Child {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> Pid {
        self.pid
    }

    /// Closes its standard input and waits until it ends.
    ///
    /// # Errors
    /// `EINTR`: a caught signal arrived first; `ECHILD`: somebody else reaped it.
    pub fn wait(&mut self) -> io::Result<WaitStatusExt> {
        drop(self.stdin.take());
        let status = match self.status {
            Some(status) => status,
            None => wait(WaitFor::Pid(self.pid))?.status,
        };
        self.status = Some(status);
        Ok(WaitStatusExt(status))
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// `ECHILD`: somebody else reaped it.
    pub fn try_wait(&mut self) -> io::Result<Option<WaitStatusExt>> {
        if self.status.is_none() {
            self.status = try_wait(WaitFor::Pid(self.pid))?.map(|w| w.status);
        }
        Ok(self.status.map(WaitStatusExt))
    }

    /// Sends SIGKILL.
    ///
    /// # Errors
    /// `ESRCH`: it is gone.
    pub fn kill(&mut self) -> io::Result<()> {
        signal::kill(self.pid as i32, Some(Signal::SIGKILL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fd_map_pairs_apply_at_once() {
        let (r, w) = fd::pipe(true).unwrap();
        let mut child = Command::new("/bin/sh")
            .args(["-c", "echo out; echo err >&2"])
            .fd(2, 1)
            .fd(1, w.raw())
            .spawn()
            .unwrap();
        drop(w);
        assert_eq!(fd::read_to_end(r.raw()).unwrap(), b"out\n");
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn missing_program_is_enoent_and_no_child_is_left() {
        let error = Command::new("/no/such/program").spawn().unwrap_err();
        assert_eq!(crate::errno_of(&error), Some(crate::Errno::ENOENT));
        let error = Command::new("no-such-program").search_path(true).spawn().unwrap_err();
        assert_eq!(crate::errno_of(&error), Some(crate::Errno::ENOENT));
    }

    #[test]
    fn env_and_cwd_reach_the_child() {
        let (status, out) = Command::new("/bin/sh")
            .args(["-c", "echo $A-$B; pwd; exit 4"])
            .env_clear()
            .env("A", "1")
            .current_dir("/")
            .output()
            .unwrap();
        assert_eq!(status.code(), Some(4));
        assert_eq!(out, b"1-\n/\n");
    }
}
