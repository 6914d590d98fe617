//! Commands of the command line: how one is read, and which there are. Addresses are in `range`, what commands do in the other files
//! of this folder.

mod files;
mod global;
mod lines;
mod range;
mod set;
mod shell;
mod sort;
mod substitute;

pub(crate) use substitute::Substituted;

use crate::editor::{Editor, Res, Stop, say};

/// How deep commands may run one another.
const DEEPEST: usize = 30;

/// A command: the lines it is for, counted from 1, and what follows its name.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    /// How many addresses were given.
    pub(crate) given: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) bang: bool,
    pub(crate) argument: String,
}

/// The shortest form of each name, and the name. Those earlier in the list come first where both fit.
const NAMES: &[(&str, &str)] = &[
    ("a", "append"),
    ("ar", "args"),
    ("cd", "cd"),
    ("chd", "cd"),
    ("c", "change"),
    ("co", "copy"),
    ("cq", "cquit"),
    ("d", "delete"),
    ("delm", "delmarks"),
    ("di", "registers"),
    ("e", "edit"),
    ("ene", "enew"),
    ("ex", "edit"),
    ("exi", "xit"),
    ("f", "file"),
    ("fir", "rewind"),
    ("g", "global"),
    ("i", "insert"),
    ("j", "join"),
    ("k", "k"),
    ("l", "list"),
    ("la", "last"),
    ("m", "move"),
    ("ma", "mark"),
    ("marks", "marks"),
    ("n", "next"),
    ("N", "Next"),
    ("noh", "nohlsearch"),
    ("norm", "normal"),
    ("nu", "number"),
    ("p", "print"),
    ("P", "print"),
    ("pre", "preserve"),
    ("prev", "Next"),
    ("pu", "put"),
    ("pw", "pwd"),
    ("q", "quit"),
    ("qa", "qall"),
    ("quita", "qall"),
    ("r", "read"),
    ("red", "redo"),
    ("reg", "registers"),
    ("ret", "retab"),
    ("rew", "rewind"),
    ("s", "substitute"),
    ("se", "set"),
    ("sh", "shell"),
    ("so", "source"),
    ("sor", "sort"),
    ("st", "stop"),
    ("sus", "stop"),
    ("t", "copy"),
    ("u", "undo"),
    ("up", "update"),
    ("v", "vglobal"),
    ("ve", "version"),
    ("vi", "edit"),
    ("vie", "view"),
    ("w", "write"),
    ("wa", "wall"),
    ("wn", "wnext"),
    ("wq", "wq"),
    ("wqa", "wq"),
    ("x", "xit"),
    ("xa", "xit"),
    ("y", "yank"),
];

/// The full forms by which short ones are checked; where they differ from the name of what is done.
const LONG: &[(&str, &str)] = &[
    ("chd", "chdir"),
    ("di", "display"),
    ("exi", "exit"),
    ("fir", "first"),
    ("prev", "previous"),
    ("quita", "quitall"),
    ("sus", "suspend"),
    ("t", "t"),
    ("vi", "visual"),
    ("wqa", "wqall"),
    ("xa", "xall"),
    ("P", "Print"),
    ("ex", "ex"),
];

/// What the name means.
fn full_name(name: &str) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|(short, full)| {
            let long = LONG.iter().find(|(s, _)| s == short).map_or(*full, |(_, l)| l);
            name.starts_with(short) && long.starts_with(name)
        })
        .map(|(_, full)| *full)
}

/// What stands before other commands and says how they run, which makes no difference here.
const MODIFIERS: [&str; 7] =
    ["silent", "keepjumps", "keeppatterns", "keepmarks", "keepalt", "noautocmd", "lockmarks"];

/// The commands whose argument goes up to the end of the line, `|` included.
fn takes_all(name: &str) -> bool {
    matches!(name, "global" | "vglobal" | "normal" | "!" | "append" | "insert" | "change")
}

impl Editor {
    /// Runs a line of commands.
    pub(crate) fn ex(&mut self, text: &str) -> Res<()> {
        if self.nested >= DEEPEST {
            return say("E169: Command too recursive");
        }
        self.nested += 1;
        let result = self.ex_line(text);
        self.nested -= 1;
        result
    }

    /// Keeps a line that somebody typed.
    pub(crate) fn last_typed(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.last_command = Some(text.to_owned());
        }
    }

    fn ex_line(&mut self, text: &str) -> Res<()> {
        let mut rest = text.to_owned();
        let mut first = true;
        loop {
            let next = self.ex_command(&rest, first)?;
            first = false;
            match next {
                Some(next) if self.quit.is_none() => rest = next,
                _ => return Ok(()),
            }
        }
    }

    /// Runs the first command of a line; what is left of the line.
    fn ex_command(&mut self, text: &str, first: bool) -> Res<Option<String>> {
        let mut text = text.trim_start_matches([' ', '\t', ':']);
        // Modifiers, with or without `!`.
        loop {
            let word = text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
            let known = word.len() >= 3 && word != "kee" && MODIFIERS.iter().any(|m| m.starts_with(word));
            if !known {
                break;
            }
            let rest = &text[word.len()..];
            if "silent".starts_with(word) && rest.starts_with('!') {
                // What fails is not told, and no failure.
                return match self.ex_command(&rest[1..], first) {
                    Err(Stop::Say(_) | Stop::Bell) => Ok(None),
                    other => other,
                };
            }
            text = rest.trim_start_matches('!').trim_start();
        }
        if text.starts_with('"') || (text.is_empty() && !first) {
            return Ok(None);
        }
        let (range, rest) = self.range(text)?;
        let rest = rest.trim_start_matches([' ', '\t', ':']);
        let here = self.cursor.line + 1;
        let mut command = Command {
            given: range.len().min(2),
            from: range.iter().rev().nth(1).or(range.last()).copied().unwrap_or(here),
            to: range.last().copied().unwrap_or(here),
            bang: false,
            argument: String::new(),
        };
        if rest.is_empty() || rest.starts_with(['|', '"']) {
            self.line_alone(&command, rest.starts_with('|'), text.is_empty())?;
            return Ok(rest.strip_prefix('|').map(str::to_owned));
        }
        let (name, after) = split_name(rest);
        let Some(full) =
            (if name.chars().all(|c| c.is_ascii_alphabetic()) { full_name(name) } else { symbol(name) })
        else {
            return say(format!("E492: Not an editor command: {}", text.trim_end()));
        };
        let mut after = after;
        if !matches!(full, "!" | "&" | "~" | "@" | "=" | ">" | "<" | "substitute" | "normal" | "k")
            && let Some(bare) = after.strip_prefix('!')
        {
            command.bang = true;
            after = bare;
        } else if full == "normal"
            && let Some(bare) = after.strip_prefix('!')
        {
            after = bare;
        }
        if command.to < command.from {
            if self.line_mode {
                return say("E493: Backwards range given");
            }
            // vim asks; what else could be meant?
            std::mem::swap(&mut command.from, &mut command.to);
        }
        if command.to > self.buf.len() {
            return say("E16: Invalid range");
        }
        let all =
            takes_all(full) || (matches!(full, "read" | "write") && after.trim_start().starts_with('!'));
        let (argument, next) = if all {
            (after.to_owned(), None)
        } else if matches!(full, "substitute" | "&" | "~") {
            // The pattern may hold bars: the command itself says where it ends.
            return self.substitute(full, &command, after);
        } else {
            split_bar(after, !matches!(full, "set" | "edit" | "write" | "read" | "file" | "next"))
        };
        command.argument = argument.trim_start_matches([' ', '\t']).to_owned();
        if !all && !matches!(full, ">" | "<") {
            command.argument = command.argument.trim_end().to_owned();
        }
        self.run_command(full, &command)?;
        Ok(next)
    }

    /// A line number without a command.
    fn line_alone(&mut self, command: &Command, bar: bool, empty: bool) -> Res<()> {
        if command.given == 0 && !(empty && self.line_mode) {
            return Ok(());
        }
        let mut line = command.to;
        if command.given == 0 {
            // An empty line of a script goes to the next one.
            if bar {
                return Ok(());
            }
            line = self.cursor.line + 2;
            if line > self.buf.len() {
                return say("E501: At end-of-file");
            }
        } else if line > self.buf.len() {
            if self.compatible {
                return say("E16: Invalid range");
            }
            line = self.buf.len();
        }
        if self.cursor.line + 1 != line && !self.line_mode {
            self.jumped(self.cursor);
        }
        self.go_line(line.saturating_sub(1));
        if bar || (self.line_mode && !self.silent) {
            let text = self.shown_line(self.cursor.line, false, false);
            self.print(text);
        }
        Ok(())
    }

    fn run_command(&mut self, name: &str, c: &Command) -> Res<()> {
        match name {
            "append" | "insert" | "change" => self.ex_input(name, c),
            "copy" | "move" => self.ex_copy(name == "move", c),
            "delete" | "yank" => self.ex_delete(name == "delete", c),
            "put" => self.ex_put(c),
            "join" => self.ex_join(c),
            ">" | "<" => self.ex_shift(name == ">", c),
            "print" | "list" | "number" | "#" => self.ex_print(name, c),
            "=" => self.ex_equals(c),
            "k" | "mark" => self.ex_mark(c),
            "marks" => self.ex_marks(),
            "delmarks" => self.ex_delete_marks(c),
            "registers" => self.ex_registers(c),
            "normal" => self.ex_normal(c),
            "@" => self.ex_register(c),
            "undo" | "redo" => {
                self.undo(name == "redo", 1);
                Ok(())
            }
            "retab" => self.ex_retab(c),
            "sort" => self.ex_sort(c),
            "global" | "vglobal" => self.ex_global(name == "vglobal", c),
            "set" => self.ex_set(&c.argument),
            "nohlsearch" => {
                self.highlight = false;
                Ok(())
            }
            "!" => self.ex_bang(c),
            "shell" => self.ex_shell(),
            "stop" => {
                if let Some(host) = &mut self.host {
                    host.suspend();
                }
                Ok(())
            }
            "version" => {
                self.print(concat!("vi (AgentOs) ", env!("CARGO_PKG_VERSION")));
                Ok(())
            }
            "pwd" => {
                let here =
                    agentos_guest::env::current_dir().map_err(|e| Stop::Say(agentos_guest::strerror(&e)))?;
                self.print(here.display().to_string());
                Ok(())
            }
            _ => self.ex_file(name, c),
        }
    }

    /// Runs the lines of a file.
    pub(crate) fn source(&mut self, path: &str) -> Res<()> {
        let Ok(bytes) = std::fs::read(path) else { return say(format!("E484: Can't open file {path}")) };
        let text = crate::chars::text(&bytes);
        for line in text.lines() {
            self.ex(line)?;
            if self.quit.is_some() {
                break;
            }
        }
        Ok(())
    }
}

/// Names of one character that is no letter.
fn symbol(name: &str) -> Option<&'static str> {
    ["!", "#", "&", "~", "=", ">", "<", "@"].into_iter().find(|s| *s == name)
}

/// The name of a command, and the rest.
fn split_name(text: &str) -> (&str, &str) {
    let first = text.chars().next().unwrap_or(' ');
    if !first.is_ascii_alphabetic() {
        return text.split_at(first.len_utf8());
    }
    // `k` and `s` may stand right before what they are for.
    if first == 'k' && !text.starts_with("ke") {
        return text.split_at(1);
    }
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let name = &text[..end];
    if first == 's' && full_name(name).is_none_or(|n| n == "substitute") {
        // Flags right behind: `sg`, `s&`.
        let full = "substitute";
        if !full.starts_with(name) {
            return text.split_at(1);
        }
    }
    // `dl`, `dp`: deletes and shows.
    if matches!(name, "dl" | "dp" | "yp" | "jp") {
        return text.split_at(1);
    }
    text.split_at(end)
}

/// A command up to `|`, and what comes behind. `comments`: a `"` ends it as well.
fn split_bar(text: &str, comments: bool) -> (String, Option<String>) {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '|' | '\n' => return (out, Some(text[i + 1..].to_owned())),
            '\\' if text[i + 1..].starts_with('|') => {
                out.push('|');
                chars.next();
            }
            '\x16' => {
                if let Some((_, c)) = chars.next() {
                    out.push(c);
                }
            }
            '"' if comments
                && (out.is_empty() || out.ends_with([' ', '\t']))
                && text[i + 1..].starts_with(' ') =>
            {
                return (out, None);
            }
            c => out.push(c),
        }
    }
    (out, None)
}
