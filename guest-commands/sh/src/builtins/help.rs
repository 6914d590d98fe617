//! `help`: what the builtins are for and how they are called.

use super::table::TOPICS;
use super::topics::details;
use crate::pattern;
use crate::shell::{Flow, Shell};

/// How wide the list of all topics is.
const WIDTH: usize = 80;

pub(super) fn help(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (mut about, mut usage, mut manual) = (false, false, false);
    let mut at = 1;
    while let Some(word) = args.get(at).filter(|w| w.len() > 1 && w.starts_with('-')) {
        at += 1;
        if word == "--" {
            break;
        }
        for letter in word[1..].chars() {
            match letter {
                'd' => about = true,
                's' => usage = true,
                'm' => manual = true,
                letter => return Ok(sh.invalid_option("help", &format!("-{letter}"))),
            }
        }
    }
    let words = &args[at..];
    if words.is_empty() {
        let text = overview(sh);
        sh.print(&text);
        return Ok(0);
    }
    if words.iter().any(|word| is_pattern(word)) {
        let plural = if words.len() > 1 { "s" } else { "" };
        sh.print(&format!("Shell commands matching keyword{plural} `{}'\n\n", words.join(", ")));
    }
    let mut found = false;
    for word in words {
        let exact = TOPICS.iter().any(|(name, ..)| name == word);
        for (name, synopsis, line) in TOPICS {
            let wanted = if exact {
                name == word
            } else {
                pattern::matches(word, name, pattern::Rules::default()) || name.starts_with(word.as_str())
            };
            if !wanted {
                continue;
            }
            found = true;
            let text = match () {
                () if about => format!("{name} - {line}\n"),
                () if manual => format!(
                    "NAME\n    {name} - {line}\n\nSYNOPSIS\n    {synopsis}\n\nDESCRIPTION\n{}\nSEE ALSO\n    bash(1)\n\n",
                    described(name, line)
                ),
                () if usage => format!("{name}: {synopsis}\n"),
                () => whole(name, synopsis, line),
            };
            sh.print(&text);
        }
    }
    if found {
        return Ok(0);
    }
    let last = words.last().map_or("", String::as_str);
    let message =
        format!("no help topics match `{last}'.  Try `help help' or `man -k {last}' or `info {last}'.");
    sh.complain("help", &message);
    Ok(1)
}

/// The whole text about a topic.
fn whole(name: &str, synopsis: &str, line: &str) -> String {
    format!("{name}: {synopsis}\n{}", described(name, line))
}

/// What a topic is for, line by line.
fn described(name: &str, line: &str) -> String {
    let details = details(name);
    let mut lines = vec![line];
    if !details.is_empty() {
        lines.push("");
        lines.extend(details.lines());
    }
    lines.iter().map(|line| format!("    {line}\n")).collect()
}

/// Whether a word can match more than itself.
fn is_pattern(word: &str) -> bool {
    word.contains(['*', '?']) || word.find('[').is_some_and(|open| word[open..].contains(']'))
}

impl Shell {
    /// What `--help` of a builtin prints; returns the status.
    pub(crate) fn print_help(&mut self, name: &str) -> i32 {
        if let Some((name, synopsis, line)) = TOPICS.iter().find(|(topic, ..)| *topic == name) {
            self.print(&whole(name, synopsis, line));
        }
        2
    }
}

/// All topics in two columns.
fn overview(sh: &Shell) -> String {
    let version = sh.vars.get(crate::symbols::BASH_VERSION).unwrap_or_default();
    let machine = sh.vars.get(crate::symbols::MACHTYPE).unwrap_or_default();
    let mut out = format!(
        "GNU bash, version {version} ({machine})\nThese commands are part of the shell.  Type `help' to see this list.\n\
         Type `help name' to find out more about `name'.\n\nA star (*) next to a name means that the command is disabled.\n\n"
    );
    let half = TOPICS.len().div_ceil(2);
    let cell = |i: usize, width: usize| {
        let (name, synopsis, _) = TOPICS[i];
        let mark = if sh.disabled.contains(name) { '*' } else { ' ' };
        let mut text: String = format!("{mark}{synopsis}");
        if text.len() >= width {
            text.truncate(width - 2);
            text.push('>');
        }
        text
    };
    for i in 0..half {
        let left = cell(i, WIDTH / 2);
        match i + half < TOPICS.len() {
            true => out.push_str(&format!("{left:<40}{}\n", cell(i + half, WIDTH / 2 - 1))),
            false => out.push_str(&format!("{left}\n")),
        }
    }
    out
}
