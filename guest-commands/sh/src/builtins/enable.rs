//! `enable`: which builtins are looked up. Builtins of object files cannot be loaded.

use super::getopt::Options;
use super::table;
use crate::shell::{Flow, Shell};

pub(super) fn enable(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (mut all, mut disable, mut print, mut special, mut delete, mut file) =
        (false, false, false, false, false, None);
    let mut options = Options::new(args);
    loop {
        match options.next(sh, "adnpsf:") {
            Ok(Some(('a', _))) => all = true,
            Ok(Some(('d', _))) => delete = true,
            Ok(Some(('n', _))) => disable = true,
            Ok(Some(('p', _))) => print = true,
            Ok(Some(('s', _))) => special = true,
            Ok(Some((_, value))) => file = value,
            Ok(None) => break,
            Err(status) => return Ok(status),
        }
    }
    let names = options.rest();
    if names.is_empty() || print {
        for name in table::names() {
            let off = sh.disabled.contains(name);
            let shown = all || off == disable;
            if shown && (!special || super::is_special(name)) {
                sh.print(&format!("enable {}{name}\n", if off { "-n " } else { "" }));
            }
        }
        return Ok(0);
    }
    if let Some(file) = file {
        let message = format!(
            "cannot open shared object {file}: {file}: cannot open shared object file: No such file or directory"
        );
        return Ok(sh.complain("enable", &message));
    }
    let mut status = 0;
    for name in names {
        match table::names().find(|known| known == name) {
            None => status = sh.complain("enable", &format!("{name}: not a shell builtin")),
            Some(_) if delete => {
                status = sh.complain("enable", &format!("{name}: not dynamically loaded"));
            }
            Some(known) if disable => drop(sh.disabled.insert(known)),
            Some(known) => drop(sh.disabled.remove(known)),
        }
    }
    sh.generation = sh.generation.wrapping_add(1);
    Ok(status)
}

impl Shell {
    /// The builtin of a name, if it is enabled.
    pub(crate) fn builtin(&self, name: &str) -> Option<super::Builtin> {
        super::find(name).filter(|_| self.disabled.is_empty() || !self.disabled.contains(name))
    }
}
