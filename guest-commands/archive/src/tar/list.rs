//! Lines of `-t` and `-v`: the name alone, or mode, owner, size and time as `ls -l` shows them.

use super::config::Config;
use super::header::{Kind, Member};
use super::names::escaped;
use super::transform::{self, Target};
use crate::context::{Cx, End};
use crate::mode;
use crate::time;

/// The columns so far: they only grow.
pub(super) struct List {
    width: usize,
    date: usize,
}

impl Default for List {
    fn default() -> List {
        List { width: 19, date: 16 }
    }
}

fn shown(config: &Config, name: &[u8], target: Target) -> String {
    if config.shown_transformed {
        escaped(&transform::apply(&config.rules, name, target))
    } else {
        escaped(name)
    }
}

/// The name alone.
pub(super) fn short(cx: &mut Cx, config: &Config, member: &Member) -> Result<(), End> {
    let name = line(config, member);
    put(cx, config, &format!("{name}\n"))
}

fn line(config: &Config, member: &Member) -> String {
    let bare = member.name.strip_suffix(b"/").filter(|name| !name.is_empty()).unwrap_or(&member.name);
    let mut name = shown(config, bare, Target::Name);
    if (member.kind == Kind::Dir || bare.len() < member.name.len()) && !name.ends_with('/') {
        name.push('/');
    }
    name
}

/// Writes where listings go: to standard error if the archive or the files go to standard output.
fn put(cx: &mut Cx, config: &Config, text: &str) -> Result<(), End> {
    use super::config::Operation::{Append, Create, Extract, Update};
    use std::io::Write as _;
    let archive = config.archive == "-" && matches!(config.operation, Create | Append | Update);
    if archive || (config.to_stdout && config.operation == Extract) {
        let _ = std::io::stderr().write_all(text.as_bytes());
        return Ok(());
    }
    cx.put(text.as_bytes())
}

impl List {
    /// All that is known of a member.
    pub(super) fn long(&mut self, cx: &mut Cx, config: &Config, member: &Member) -> Result<(), End> {
        let letter = match member.kind {
            Kind::File | Kind::Other(_) => '-',
            Kind::HardLink => 'h',
            Kind::Symlink => 'l',
            Kind::CharDevice => 'c',
            Kind::BlockDevice => 'b',
            Kind::Dir => 'd',
            Kind::Fifo => 'p',
        };
        let who = |name: &str, id: u64| {
            if config.numeric || name.is_empty() { id.to_string() } else { name.to_owned() }
        };
        let (user, group) = (who(&member.user, member.uid), who(&member.group, member.gid));
        let size = match member.kind {
            Kind::CharDevice | Kind::BlockDevice => format!("{},{}", member.major, member.minor),
            _ => member.size.to_string(),
        };
        let pad = user.len() + 1 + group.len() + 1 + size.len();
        self.width = self.width.max(pad);
        let blank = self.width - pad + size.len();
        let format = if config.full_time { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M" };
        let mut when = time::format(member.mtime, 0, format);
        if config.full_time && member.mtime_nsec != 0 {
            when += format!(".{:09}", member.mtime_nsec).trim_end_matches('0');
        }
        self.date = self.date.max(when.len());
        let date = self.date;
        let name = line(config, member);
        let tail = match member.kind {
            Kind::Symlink => format!(" -> {}", shown(config, &member.link, Target::Symlink)),
            Kind::HardLink => format!(" link to {}", shown(config, &member.link, Target::HardLink)),
            Kind::Other(letter) => format!(" unknown file type '{}'", char::from(letter)),
            _ => String::new(),
        };
        let permissions = mode::permission_letters(member.mode);
        put(
            cx,
            config,
            &format!("{letter}{permissions} {user}/{group} {size:>blank$} {when:<date$} {name}{tail}\n"),
        )
    }
}
