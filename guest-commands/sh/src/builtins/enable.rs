//! `enable`: which builtins are looked up. Builtins of object files cannot be loaded.

use super::table;
use crate::shell::{Flow, Shell};

pub(super) fn enable(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (mut all, mut disable, mut print, mut special, mut delete, mut file) =
        (false, false, false, false, false, None);
    let mut at = 1;
    while let Some(word) = args.get(at).filter(|w| w.len() > 1 && w.starts_with('-')) {
        at += 1;
        if word == "--" {
            break;
        }
        let letters = &word[1..];
        for (i, letter) in letters.char_indices() {
            match letter {
                'a' => all = true,
                'd' => delete = true,
                'n' => disable = true,
                'p' => print = true,
                's' => special = true,
                'f' => {
                    let rest = &letters[i + 1..];
                    let attached = (!rest.is_empty()).then(|| rest.to_owned());
                    file = attached.or_else(|| args.get(at).cloned().inspect(|_| at += 1));
                    if file.is_none() {
                        return Ok(sh.option_needs_argument("enable", "-f"));
                    }
                    break;
                }
                letter => return Ok(sh.invalid_option("enable", &format!("-{letter}"))),
            }
        }
    }
    let names = &args[at..];
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
