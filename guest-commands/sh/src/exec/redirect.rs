//! Redirections: as a descriptor map for programs, or applied to this process and undone.

use crate::ir::{Redirect, RedirectFd, RedirectKind};
use crate::shell::{Flow, Shell};
use agentos_guest::{Errno, errno_of, fd, strerror};
use std::io;

/// The shell's own descriptors are at this number or above while there is room: scripts use the lower ones by name.
const OWN: u32 = 10;
/// A here-document up to this size fits into a pipe.
const PIPE: usize = 16_384;

/// What one redirection does to one descriptor.
#[derive(Debug)]
enum Step {
    /// It becomes this file, which the shell holds only for that.
    File(fd::Owned),
    Dup(u32),
    Close,
    /// A variable has been given its number, which is open only as long as the command runs.
    Lent,
}

/// The descriptors of a program that is about to start.
#[derive(Debug, Default)]
pub(super) struct FdMap {
    pairs: Vec<(u32, Option<u32>)>,
    files: Vec<fd::Owned>,
}

impl FdMap {
    pub(super) fn new(base: Vec<(u32, u32)>) -> Self {
        FdMap { pairs: base.into_iter().map(|(c, p)| (c, Some(p))).collect(), files: Vec::new() }
    }

    fn set(&mut self, child: u32, source: Option<u32>) {
        self.pairs.retain(|(c, _)| *c != child);
        self.pairs.push((child, source));
    }

    /// Each changed descriptor and its source; `None`: closed.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (u32, Option<u32>)> + '_ {
        self.pairs.iter().copied()
    }
}

/// What undoes redirections. They nest, so the copies are a stack: [`Shell::kept`].
#[derive(Debug, Default)]
pub(super) struct Saved {
    /// Descriptors, and whether a copy of what each was is kept; if not, it was closed.
    fds: Vec<(u32, bool)>,
    routes: Option<Vec<(u32, usize)>>,
}

impl Saved {
    pub(super) fn is_empty(&self) -> bool {
        self.fds.is_empty() && self.routes.is_none()
    }
}

/// A file without a name that holds `bytes`, read from its start. It is in `/tmp` where that can be: `TMPDIR` may be on a
/// file system on which a file that has lost its name cannot be opened again.
pub(super) fn temporary(bytes: &[u8]) -> io::Result<u32> {
    nameless(std::path::Path::new("/tmp"), bytes)
        .or_else(|_| nameless(&agentos_guest::env::temp_dir(), bytes))
}

fn nameless(dir: &std::path::Path, bytes: &[u8]) -> io::Result<u32> {
    for attempt in 0..100u32 {
        let path = dir.join(format!(".sh-{}-{attempt}", agentos_guest::process::id()));
        match fd::open(&path, fd::O_RDWR | fd::O_CREAT | fd::O_EXCL | fd::O_CLOEXEC, 0o600) {
            Ok(file) => {
                let file = fd::Owned::from_raw(file);
                let again = fd::write_all(file.raw(), bytes)
                    .and_then(|()| fd::open(&path, fd::O_RDWR | fd::O_CLOEXEC, 0));
                let _ = std::fs::remove_file(&path);
                return again;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The content of a file that a child wrote through an inherited descriptor.
pub(super) fn read_back(file: u32) -> io::Result<Vec<u8>> {
    let again = fd::open(format!("/dev/fd/{file}"), fd::O_RDONLY | fd::O_CLOEXEC, 0)?;
    fd::read_to_end(fd::Owned::from_raw(again).raw())
}

/// A copy for the shell itself, out of the way of the script's. A low limit leaves no room there: any number will do then.
fn keep(number: u32) -> io::Result<fd::Owned> {
    match fd::dup(number, OWN, true) {
        Err(error) if matches!(errno_of(&error), Some(Errno::EINVAL | Errno::EMFILE)) => {
            fd::dup(number, 3, true)
        }
        other => other,
    }
    .map(fd::Owned::from_raw)
}

/// A copy with the highest free number up to 63, out of the way of the script's.
pub(super) fn high(number: u32, cloexec: bool) -> io::Result<u32> {
    match (OWN..=63).rev().find(|n| !fd::is_open(*n)) {
        Some(free) if fd::dup2(number, free, cloexec).is_ok() => Ok(free),
        _ => fd::dup(number, 3, cloexec),
    }
}

/// A descriptor from which a here-document is read.
fn here(text: &str) -> io::Result<fd::Owned> {
    let bytes = crate::text::to_bytes(text);
    if bytes.len() <= PIPE {
        let (read, write) = fd::pipe(true)?;
        fd::write_all(write.raw(), &bytes)?;
        return Ok(read);
    }
    temporary(&bytes).map(fd::Owned::from_raw)
}

impl Shell {
    /// What a redirection does; `None` when it failed, which is reported.
    #[inline(never)]
    fn resolve(&mut self, redirect: &Redirect, out: &mut Vec<(u32, Step)>) -> Result<bool, Flow> {
        if let RedirectKind::Here { newline } = redirect.kind {
            let tolerant = std::mem::replace(&mut self.tolerant, true);
            let expanded = self.expand_string(redirect.word());
            self.tolerant = tolerant;
            let mut text = match expanded {
                Err(Flow::Discard) if !self.session.active => return Ok(false),
                other => other?,
            };
            if newline {
                text.push('\n');
            }
            return match here(&text) {
                Ok(file) => self.add_file(redirect.fd, file, out),
                Err(error) => {
                    self.error(&format!("cannot create here-document: {}", strerror(&error)));
                    Ok(false)
                }
            };
        }
        if redirect.several && self.opts.braceexpand {
            self.error(&format!("{}: ambiguous redirect", redirect.target.raw));
            return Ok(false);
        }
        let mut fields = Vec::new();
        if self.opts.posix && !self.session.active {
            // POSIX: only at a terminal are such names split, or patterns.
            fields.push(self.expand_string(&redirect.target)?);
        } else {
            self.expand_fields(&redirect.target, &mut fields)?;
        }
        let [target] = fields.as_slice() else {
            self.error(&format!("{}: ambiguous redirect", redirect.target.raw));
            return Ok(false);
        };
        let (flags, both) = match redirect.kind {
            RedirectKind::Read => (fd::O_RDONLY, false),
            RedirectKind::Write => (fd::O_WRONLY | fd::O_CREAT | fd::O_TRUNC, false),
            RedirectKind::Clobber => (fd::O_WRONLY | fd::O_CREAT | fd::O_TRUNC, false),
            RedirectKind::Append => (fd::O_WRONLY | fd::O_CREAT | fd::O_APPEND, false),
            RedirectKind::ReadWrite => (fd::O_RDWR | fd::O_CREAT, false),
            RedirectKind::Both { append: true } => (fd::O_WRONLY | fd::O_CREAT | fd::O_APPEND, true),
            RedirectKind::Both { append: false } => (fd::O_WRONLY | fd::O_CREAT | fd::O_TRUNC, true),
            RedirectKind::Dup { output } => {
                let number =
                    |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok());
                let own = self.redirect_number(redirect.fd, target == "-");
                if target == "-" {
                    out.extend(own.map(|n| (n, Step::Close)));
                    return Ok(true);
                }
                let (text, moves) = match target.strip_suffix('-') {
                    Some(text) => (text, true),
                    None => (target.as_str(), false),
                };
                match number(text) {
                    Some(Some(source)) if !text.is_empty() => {
                        match own {
                            Some(own) => out.push((own, Step::Dup(source))),
                            None => {
                                if !self.is_open(source) {
                                    self.error(&format!("{source}: Bad file descriptor"));
                                    return Ok(false);
                                }
                                if !self.name_copy(redirect.fd, source, out)? {
                                    return Ok(false);
                                }
                            }
                        }
                        if moves && own != Some(source) {
                            out.push((source, Step::Close));
                        }
                        return Ok(true);
                    }
                    Some(None) if !text.is_empty() => {
                        self.error(&format!("{target}: Bad file descriptor"));
                        return Ok(false);
                    }
                    // `>&file`.
                    _ if output && own == Some(1) => (fd::O_WRONLY | fd::O_CREAT | fd::O_TRUNC, true),
                    _ => {
                        self.error(&format!("{target}: ambiguous redirect"));
                        return Ok(false);
                    }
                }
            }
            RedirectKind::Here { .. } => return Ok(false),
        };
        if flags & (fd::O_WRONLY | fd::O_RDWR) != 0 && self.refuses_output(target) {
            return Ok(false);
        }
        if self.opts.noclobber
            && matches!(
                redirect.kind,
                RedirectKind::Write | RedirectKind::Both { append: false } | RedirectKind::Dup { .. }
            )
            && crate::builtins::test::is_file(target)
        {
            self.error(&format!("{target}: cannot overwrite existing file"));
            return Ok(false);
        }
        let opened = loop {
            match fd::open(&*crate::text::os(target), flags | fd::O_CLOEXEC, 0o666) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.poll_end(false),
                other => break other.map(fd::Owned::from_raw),
            }
        };
        match opened {
            Ok(file) if both => {
                out.push((1, Step::File(file)));
                out.push((2, Step::Dup(1)));
                Ok(true)
            }
            Ok(file) => self.add_file(redirect.fd, file, out),
            Err(error) => {
                self.error(&format!("{target}: {}", strerror(&error)));
                Ok(false)
            }
        }
    }

    fn add_file(
        &mut self,
        own: RedirectFd,
        file: fd::Owned,
        out: &mut Vec<(u32, Step)>,
    ) -> Result<bool, Flow> {
        match own {
            RedirectFd::Number(n) => out.push((n, Step::File(file))),
            RedirectFd::Named(_) => return self.name_copy(own, file.raw(), out),
        }
        Ok(true)
    }

    /// Gives the variable of `{name}` the number of a new copy; false when there is no room for one. With `varredir_close`
    /// it is closed after the command.
    fn name_copy(&mut self, own: RedirectFd, source: u32, out: &mut Vec<(u32, Step)>) -> Result<bool, Flow> {
        let RedirectFd::Named(name) = own else { return Ok(true) };
        match fd::dup(source, OWN, false) {
            Ok(copy) => {
                if let Err(flow) = self.assign_text(&name.name(), copy.to_string()) {
                    let _ = fd::close(copy);
                    if flow == Flow::Exit {
                        return Err(flow);
                    }
                    self.error(&format!("{}: cannot assign fd to variable", name.name()));
                    return Ok(false);
                }
                if self.shopts.varredir_close {
                    out.push((copy, Step::Lent));
                }
                Ok(true)
            }
            Err(error) => {
                let why = match errno_of(&error) {
                    // No number from OWN on is below the limit.
                    Some(Errno::EINVAL) => "Too many open files".into(),
                    _ => strerror(&error),
                };
                self.error(&format!("redirection error: cannot duplicate fd: {why}"));
                Ok(false)
            }
        }
    }

    /// Whether a descriptor is open as far as the script is concerned.
    fn is_open(&self, number: u32) -> bool {
        fd::is_open(number) && !self.kept.iter().any(|own| own.raw() == number)
    }

    /// The value of the variable or element that text names.
    fn value_of_text(&mut self, text: &str) -> Option<String> {
        let Some((name, rest)) = text.split_once('[') else {
            return self.get(crate::symbols::sym(text)).map(std::borrow::Cow::into_owned);
        };
        let name = crate::symbols::sym(name);
        let index = crate::compile::index(rest.strip_suffix(']')?, self.line).ok()?;
        let key = self.element_key(name, &index).ok()?;
        self.get_element(name, &key)
    }

    /// The number a redirection is about; `None` for `{name}` that is to be given one.
    fn redirect_number(&mut self, own: RedirectFd, closing: bool) -> Option<u32> {
        match own {
            RedirectFd::Number(n) => Some(n),
            RedirectFd::Named(name) if closing => self.value_of_text(&name.name())?.parse().ok(),
            RedirectFd::Named(_) => None,
        }
    }

    /// As [`Shell::map_redirects`], for a program of its own process: what an expansion assigns is not seen here, and an
    /// error ends the command alone.
    pub(super) fn map_in_child(&mut self, redirects: &[Redirect], map: &mut FdMap) -> bool {
        if redirects.is_empty() {
            return true;
        }
        let mark = self.vars.begin();
        let mapped = self.map_redirects(redirects, map);
        self.vars.undo(mark);
        mapped == Ok(true)
    }

    /// Adds redirections to a program's descriptors; false when one failed.
    pub(super) fn map_redirects(&mut self, redirects: &[Redirect], map: &mut FdMap) -> Result<bool, Flow> {
        for redirect in redirects {
            let mut steps = Vec::new();
            if !self.resolve(redirect, &mut steps)? {
                return Ok(false);
            }
            for (number, step) in steps {
                match step {
                    Step::File(file) => {
                        map.set(number, Some(file.raw()));
                        map.files.push(file);
                    }
                    Step::Dup(source) => {
                        let mapped = map.pairs.iter().find(|(c, _)| *c == source).map(|(_, p)| *p);
                        let source = match mapped {
                            Some(Some(parent)) => Some(parent),
                            None if self.is_open(source)
                                && !map.files.iter().any(|file| file.raw() == source) =>
                            {
                                Some(source)
                            }
                            _ => None,
                        };
                        let Some(parent) = source else {
                            self.error(&format!("{}: Bad file descriptor", redirect.target.raw));
                            return Ok(false);
                        };
                        map.set(number, Some(parent));
                    }
                    Step::Close => map.set(number, None),
                    Step::Lent => map.files.push(fd::Owned::from_raw(number)),
                }
            }
        }
        Ok(true)
    }

    /// Applies redirections to this process; `None` when one failed, after undoing the others.
    #[inline(never)]
    pub(super) fn push_redirects(&mut self, redirects: &[Redirect]) -> Result<Option<Saved>, Flow> {
        let mut saved = Saved::default();
        for redirect in redirects {
            let mut steps = Vec::new();
            let ok = match self.resolve(redirect, &mut steps) {
                Ok(ok) => ok,
                Err(flow) => {
                    self.pop_redirects(saved);
                    return Err(flow);
                }
            };
            let applied = ok
                && steps
                    .into_iter()
                    .all(|(number, step)| self.redirect_one(number, step, redirect, &mut saved));
            if !applied {
                self.pop_redirects(saved);
                return Ok(None);
            }
        }
        Ok(Some(saved))
    }

    /// Puts a file in the place of standard input.
    pub(super) fn push_input(&mut self, file: fd::Owned) -> Saved {
        let kept = matches!(self.keep_former(0), Some(Ok(())));
        let _ = fd::dup2(file.raw(), 0, false);
        Saved { fds: vec![(0, kept)], routes: None }
    }

    fn redirect_one(&mut self, number: u32, step: Step, redirect: &Redirect, saved: &mut Saved) -> bool {
        if matches!(step, Step::Lent) {
            saved.fds.push((number, false));
            return true;
        }
        if !self.capture.buffers.is_empty() && saved.routes.is_none() {
            saved.routes = Some(self.capture.routes.clone());
        }
        if let Step::Dup(source) = step
            && let Some(buffer) = self.capture.route(source)
        {
            self.capture.set(number, Some(buffer));
            return true;
        }
        let opened_there = matches!(&step, Step::File(file) if file.raw() == number);
        if !saved.fds.iter().any(|(n, _)| *n == number) {
            match if opened_there { None } else { self.keep_former(number) } {
                Some(Err(error)) => {
                    self.error(&format!("redirection error: cannot duplicate fd: {}", strerror(&error)));
                    return false;
                }
                kept => saved.fds.push((number, kept.is_some())),
            }
        }
        let result = match step {
            Step::File(file) if opened_there => fd::set_cloexec(file.into_raw(), false),
            Step::File(file) => fd::dup2(file.raw(), number, false),
            Step::Dup(source) if !self.is_open(source) => Err(io::Error::from_raw_os_error(0)),
            Step::Dup(source) if source == number => Ok(()),
            Step::Dup(source) => fd::dup2(source, number, false),
            Step::Close | Step::Lent => {
                let _ = fd::close(number);
                Ok(())
            }
        };
        self.capture.set(number, None);
        if result.is_err() {
            self.error(&format!("{}: Bad file descriptor", redirect.target.raw));
        }
        result.is_ok()
    }

    /// Keeps a copy of a descriptor that is going to change; `None` if it is closed.
    fn keep_former(&mut self, number: u32) -> Option<io::Result<()>> {
        if let Some(at) = self.kept.iter().position(|own| own.raw() == number) {
            // The script takes the number of a copy, which it knows nothing of: the copy moves.
            return match keep(number) {
                Ok(copy) => {
                    self.kept[at] = copy;
                    None
                }
                Err(error) => Some(Err(error)),
            };
        }
        match keep(number) {
            Ok(copy) => {
                self.kept.push(copy);
                Some(Ok(()))
            }
            Err(error) if errno_of(&error) == Some(Errno::EBADF) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// The copy of what standard error was before redirections.
    #[inline(never)]
    pub(super) fn former_error(&self, saved: &Saved) -> Option<u32> {
        let at = saved.fds.iter().position(|fd| *fd == (2, true))?;
        let after = saved.fds[at..].iter().filter(|(_, kept)| *kept).count();
        self.kept.get(self.kept.len().checked_sub(after)?).map(fd::Owned::raw)
    }

    /// Undoes redirections.
    #[inline(never)]
    pub(super) fn pop_redirects(&mut self, saved: Saved) {
        for (number, kept) in saved.fds.into_iter().rev() {
            match if kept { self.kept.pop() } else { None } {
                // Nothing can be done about a failure: the copy is open and the number valid.
                Some(copy) => drop(fd::dup2(copy.raw(), number, false)),
                None => drop(fd::close(number)),
            }
        }
        if let Some(routes) = saved.routes {
            self.capture.routes = routes;
        }
    }

    /// Makes redirections permanent.
    pub(super) fn keep_redirects(&mut self, saved: &mut Saved) {
        let copies = saved.fds.drain(..).filter(|(_, kept)| *kept).count();
        self.kept.truncate(self.kept.len().saturating_sub(copies));
        saved.routes = None;
    }
}
