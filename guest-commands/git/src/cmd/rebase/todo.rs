//! The list of what a rebase does: reading, writing, and putting `fixup!` commits where they belong. It does none of it.

use crate::bytes;
use crate::error::{Res, say};
use crate::oid::Oid;
use crate::repo::Repo;
use crate::revision;

/// What is done with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Pick,
    Reword,
    Edit,
    Squash,
    Fixup,
    Exec,
    Break,
    Drop,
    Noop,
}

const VERBS: [(Verb, &str, &str); 9] = [
    (Verb::Pick, "pick", "p"),
    (Verb::Reword, "reword", "r"),
    (Verb::Edit, "edit", "e"),
    (Verb::Squash, "squash", "s"),
    (Verb::Fixup, "fixup", "f"),
    (Verb::Exec, "exec", "x"),
    (Verb::Break, "break", "b"),
    (Verb::Drop, "drop", "d"),
    (Verb::Noop, "noop", "noop"),
];

impl Verb {
    pub(crate) fn name(self) -> &'static str {
        VERBS.iter().find(|v| v.0 == self).map_or("", |v| v.1)
    }
}

/// A line of the list.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) verb: Verb,
    /// The commit; zero if the verb takes none.
    pub(crate) oid: Oid,
    /// `-C` (false) or `-c` (true) of a fixup: its own message is taken.
    pub(crate) message: Option<bool>,
    /// The subject, or the command.
    pub(crate) text: String,
}

impl Item {
    pub(crate) fn new(verb: Verb, oid: Oid, text: String) -> Item {
        Item { verb, oid, message: None, text }
    }

    /// The line, with names as long as `name` makes them.
    pub(crate) fn line(&self, name: &dyn Fn(&Oid) -> String) -> String {
        let mut out = self.verb.name().to_owned();
        match self.message {
            Some(false) => out += " -C",
            Some(true) => out += " -c",
            None => {}
        }
        if !self.oid.is_zero() {
            out += &format!(" {}", name(&self.oid));
        }
        if !self.text.is_empty() {
            out += &format!(" {}", self.text);
        }
        out
    }
}

/// All lines.
pub(crate) fn write(items: &[Item], name: &dyn Fn(&Oid) -> String) -> String {
    items.iter().map(|i| i.line(name) + "\n").collect()
}

/// Reads a list. What is wrong with it is said; `None` then. `first`: nothing was done before it.
pub(crate) fn read(repo: &Repo, text: &str, first: bool) -> Res<Option<Vec<Item>>> {
    let mut items: Vec<Item> = Vec::new();
    let mut good = true;
    let mut fixup_first = first;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start().trim_end_matches('\r');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut bad = |text: Option<String>| {
            if let Some(text) = text {
                say!("error: {text}");
            }
            say!("error: invalid line {}: {line}", at + 1);
            good = false;
        };
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let mut rest = rest.trim_start();
        let Some((verb, ..)) = VERBS.iter().find(|v| v.1 == word || v.2 == word).copied() else {
            bad(Some(format!("invalid command '{word}'")));
            continue;
        };
        if matches!(verb, Verb::Break | Verb::Noop) {
            if !rest.is_empty() {
                bad(Some(format!("{} does not accept arguments: '{rest}'", verb.name())));
                continue;
            }
            items.push(Item::new(verb, Oid::ZERO, String::new()));
            continue;
        }
        if rest.is_empty() {
            bad(Some(format!("missing arguments for {}", verb.name())));
            continue;
        }
        if verb == Verb::Exec {
            items.push(Item::new(verb, Oid::ZERO, rest.trim_end().to_owned()));
            continue;
        }
        let mut message = None;
        if verb == Verb::Fixup {
            for (flag, value) in [("-C", false), ("-c", true)] {
                if let Some(after) = rest.strip_prefix(flag).filter(|r| r.starts_with([' ', '\t'])) {
                    (message, rest) = (Some(value), after.trim_start());
                }
            }
        }
        let (name, subject) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        let oid = match revision::find(repo, name) {
            Ok(Some(oid)) => repo.odb.peel_commit(&oid)?,
            _ => None,
        };
        let Some(oid) = oid else {
            bad(Some(format!("could not parse '{name}'")));
            continue;
        };
        if verb != Verb::Drop && matches!(verb, Verb::Squash | Verb::Fixup) && fixup_first {
            say!("error: cannot '{}' without a previous commit", verb.name());
            good = false;
        } else if repo.odb.commit(&oid)?.parents.len() > 1 && verb != Verb::Drop {
            say!("error: '{}' does not accept merge commits", verb.name());
            bad(None);
            continue;
        }
        if verb != Verb::Drop {
            fixup_first = false;
        }
        items.push(Item { verb, oid, message, text: subject.trim_end().to_owned() });
    }
    Ok(good.then_some(items))
}

/// Puts commits whose subject is `fixup! …` behind the one that they mend.
pub(crate) fn autosquash(repo: &Repo, items: Vec<Item>) -> Res<Vec<Item>> {
    // Each group begins with a commit; the rest mend it.
    let mut groups: Vec<Vec<Item>> = Vec::new();
    for mut item in items {
        let subject = match item.verb {
            Verb::Pick => bytes::text(&repo.odb.commit(&item.oid)?.subject()),
            _ => String::new(),
        };
        let mut rest = subject.as_str();
        let mut kind = None;
        loop {
            let next = [
                ("fixup! ", Verb::Fixup, None),
                ("squash! ", Verb::Squash, None),
                ("amend! ", Verb::Fixup, Some(false)),
            ]
            .into_iter()
            .find_map(|(p, verb, message)| rest.strip_prefix(p).map(|r| (r, verb, message)));
            let Some((after, verb, message)) = next else { break };
            kind.get_or_insert((verb, message));
            rest = after.trim_start();
        }
        let target = kind.and_then(|_| {
            let subjects = |g: &Vec<Item>| g.first().map(|i| i.text.clone()).unwrap_or_default();
            groups
                .iter()
                .position(|g| subjects(g) == rest)
                .or_else(|| {
                    let oid = (rest.len() >= 4 && !rest.contains(' '))
                        .then(|| revision::commit(repo, rest).ok())
                        .flatten()?;
                    groups.iter().position(|g| g.iter().any(|i| i.oid == oid))
                })
                .or_else(|| groups.iter().position(|g| subjects(g).starts_with(rest)))
        });
        match (target, kind) {
            (Some(at), Some((verb, message))) => {
                (item.verb, item.message) = (verb, message);
                groups[at].push(item);
            }
            _ => groups.push(vec![item]),
        }
    }
    Ok(groups.into_iter().flatten().collect())
}

/// What the editor shows below the list.
pub(crate) fn help(range: &str, onto: &str, count: usize, begun: bool) -> String {
    let mut text = String::new();
    if !begun {
        text +=
            &format!("Rebase {range} onto {onto} ({count} command{})\n\n", if count == 1 { "" } else { "s" });
    }
    text += "Commands:
p, pick <commit> = use commit
r, reword <commit> = use commit, but edit the commit message
e, edit <commit> = use commit, but stop for amending
s, squash <commit> = use commit, but meld into previous commit
f, fixup [-C | -c] <commit> = like \"squash\" but keep only the previous
                   commit's log message, unless -C is used, in which case
                   keep only this commit's message; -c is same as -C but
                   opens the editor
x, exec <command> = run command (the rest of the line) using shell
b, break = stop here (continue rebase later with 'git rebase --continue')
d, drop <commit> = remove commit
l, label <label> = label current HEAD with a name
t, reset <label> = reset HEAD to a label
m, merge [-C <commit> | -c <commit>] <label> [# <oneline>]
        create a merge commit using the original merge commit's
        message (or the oneline, if no original merge commit was
        specified); use -c <commit> to reword the commit message
u, update-ref <ref> = track a placeholder for the <ref> to be updated
                      to this position in the new commits. The <ref> is
                      updated at the end of the rebase

These lines can be re-ordered; they are executed from top to bottom.

If you remove a line here THAT COMMIT WILL BE LOST.
";
    text += if begun {
        "\nYou are editing the todo file of an ongoing interactive rebase.\nTo continue rebase after editing, run:\n    git rebase --continue\n\n"
    } else {
        "\nHowever, if you remove everything, the rebase will be aborted.\n\n"
    };
    let mut out = "\n".to_owned();
    for line in text.lines() {
        out += &if line.is_empty() { "#\n".to_owned() } else { format!("# {line}\n") };
    }
    out
}
