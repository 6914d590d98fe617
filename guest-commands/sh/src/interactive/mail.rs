//! News of mail before a prompt: `MAIL`, `MAILPATH`, `MAILCHECK` and the option `mailwarn`. It reads no mail.

use crate::compile::word::{self, Mode};
use crate::shell::Shell;
use crate::symbols::sym;
use agentos_guest::fs;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How many files are watched.
const MAX_FILES: usize = 64;

/// What is known of a file.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    accessed: i64,
    modified: i64,
    size: u64,
}

/// What is known of mail.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// What was watched, as it is written.
    of: String,
    files: HashMap<String, Known>,
    checked: Option<Instant>,
}

fn look(path: &str) -> Known {
    fs::stat(&*crate::text::os(path)).map_or(Known::default(), |stat| Known {
        accessed: stat.atime,
        modified: stat.mtime,
        size: stat.size,
    })
}

impl Shell {
    /// Tells of mail that came, and with `mailwarn` of mail that was read.
    pub(super) fn check_mail(&mut self) {
        let variable = |name: &str| self.vars.get(sym(name)).filter(|text| !text.is_empty());
        let every = variable("MAILCHECK").and_then(|text| text.trim().parse::<u64>().ok());
        let Some(every) = every.map(Duration::from_secs) else { return };
        let of = match (variable("MAILPATH"), variable("MAIL")) {
            (Some(path), _) => path.into_owned(),
            (None, Some(file)) => file.into_owned(),
            (None, None) => return,
        };
        // One file has no message of its own, and may have a colon in its name.
        let several = variable("MAILPATH").is_some();
        let files: Vec<(String, Option<String>)> = if several {
            let part = |part: &str| match part.split_once(['?', '%']) {
                Some((file, message)) => (file.to_owned(), Some(message.to_owned())),
                None => (part.to_owned(), None),
            };
            of.split(':').filter(|text| !text.is_empty()).take(MAX_FILES).map(part).collect()
        } else {
            vec![(of.clone(), None)]
        };
        if self.session.mail.of != of {
            self.session.mail.files =
                files.into_iter().map(|(file, _)| (file.clone(), look(&file))).collect();
            (self.session.mail.of, self.session.mail.checked) = (of, Some(Instant::now()));
            return;
        }
        if self.session.mail.checked.is_some_and(|last| last.elapsed() < every) {
            return;
        }
        self.session.mail.checked = Some(Instant::now());
        for (file, message) in files {
            self.check_mail_file(&file, message);
        }
    }

    fn check_mail_file(&mut self, file: &str, message: Option<String>) {
        let now = look(file);
        let Some(known) = self.session.mail.files.get_mut(file) else { return };
        if now.size == 0 {
            *known = now;
            return;
        }
        let before = *known;
        // What was not told of is kept until it is.
        if before.modified < now.modified || self.shopts.mailwarn {
            *known = now;
        }
        let mut read = before.accessed < now.accessed;
        if before.modified < now.modified {
            let grown = now.size > before.size;
            if before.accessed < before.modified || grown {
                let new = before.accessed < before.modified && grown;
                let own = if new { "You have new mail in $_" } else { "You have mail in $_" };
                self.vars.put_str(sym("_"), file.to_owned());
                self.last_arg = file.to_owned();
                let text = message.unwrap_or_else(|| own.to_owned());
                let word = word::parse(&text, 1, Mode::Double);
                if let Some(text) = word.ok().and_then(|word| self.expand_string(&word).ok()) {
                    self.write_error(&format!("{text}\n"));
                }
            } else {
                return;
            }
            // What was just told of is not told again as read.
            read = false;
        }
        if self.shopts.mailwarn && read {
            self.write_error(&format!("The mail in {file} has been read\n"));
        }
    }
}
