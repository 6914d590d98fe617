//! The files that a shell reads when it starts, and when a login shell ends.

use crate::builtins::test::is_file;
use crate::shell::{Flow, Run, Shell};
use crate::symbols::{self, sym};

/// What the command line says about them.
#[derive(Debug, Default)]
pub(crate) struct Startup {
    pub(crate) login: bool,
    pub(crate) no_rc: bool,
    pub(crate) no_profile: bool,
    /// Instead of `~/.bashrc`.
    pub(crate) rc: Option<String>,
    /// Called as `sh`, whose only file is what `ENV` names.
    pub(crate) sh: bool,
}

impl Shell {
    /// Reads the files of this kind of shell.
    pub(crate) fn read_startup(&mut self, startup: &Startup) -> Run {
        if startup.login && !startup.no_profile {
            self.read_if_there("/etc/profile")?;
            let names: &[&str] =
                if startup.sh { &[".profile"] } else { &[".bash_profile", ".bash_login", ".profile"] };
            let found = names.iter().filter_map(|name| self.in_home(name)).find(|path| is_file(path));
            if let Some(path) = found {
                self.read_if_there(&path)?;
            }
        }
        if startup.sh || self.opts.posix {
            return if self.interactive { self.read_named("ENV") } else { Ok(()) };
        }
        if !self.interactive {
            return self.read_named("BASH_ENV");
        }
        if startup.login || startup.no_rc {
            return Ok(());
        }
        self.read_if_there("/etc/bash.bashrc")?;
        match &startup.rc {
            Some(path) => self.read_if_there(path),
            None => match self.in_home(".bashrc") {
                Some(path) => self.read_if_there(&path),
                None => Ok(()),
            },
        }
    }

    /// Reads what a login shell reads when it ends.
    pub(crate) fn read_logout(&mut self) -> Run {
        match self.in_home(".bash_logout") {
            Some(path) => self.read_if_there(&path),
            None => Ok(()),
        }
    }

    fn in_home(&self, name: &str) -> Option<String> {
        self.vars.get(symbols::HOME).filter(|home| !home.is_empty()).map(|home| format!("{home}/{name}"))
    }

    /// Reads the file that a variable names; its value is expanded.
    fn read_named(&mut self, variable: &str) -> Run {
        let Some(value) = self.vars.get(sym(variable)).map(std::borrow::Cow::into_owned) else {
            return Ok(());
        };
        let word = crate::compile::word::parse(&value, 1, crate::compile::word::Mode::Double);
        match word.ok().and_then(|word| self.expand_string(&word).ok()) {
            Some(path) if !path.is_empty() => self.read_if_there(&path),
            _ => Ok(()),
        }
    }

    fn read_if_there(&mut self, path: &str) -> Run {
        if !is_file(path) {
            return Ok(());
        }
        let path = if path.contains('/') { path.to_owned() } else { format!("./{path}") };
        let Some(source) = crate::builtins::find(".") else { return Ok(()) };
        let result = source(self, &[".".to_owned(), path]);
        self.flush();
        match result {
            Err(Flow::Exit) if !self.session.active || self.session.leaving => Err(Flow::Exit),
            _ => Ok(()),
        }
    }
}
