//! Writing trees: lines, JSON, XML, and the counts at the end.

use super::read::{Node, Walk};
use super::{Form, Lines, Names, Options};
use crate::mode;
use crate::names::Names as Accounts;
use crate::os::OsStrExt;
use crate::time;
use agentos_guest::fs::{FileType, Stat, file_type};
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::IsTerminal;

/// What is counted.
#[derive(Default)]
struct Counts {
    dirs: u64,
    files: u64,
    bytes: u64,
}

struct Printer<'a> {
    o: &'a Options,
    accounts: Accounts,
    colours: Option<Vec<(String, String)>>,
    counts: Counts,
    out: &'a mut Vec<u8>,
    now: i64,
}

/// Writes all the roots; `true`: one could not be opened.
pub(super) fn forest(o: &Options, out: &mut Vec<u8>) -> bool {
    let term = std::env::var_os("TERM");
    let colour = match o.colour {
        Some(on) => on && term.is_some(),
        None => o.output.is_none() && std::io::stdout().is_terminal() && term.is_some_and(|t| t != "dumb"),
    };
    let colours = (colour && o.form == Form::Tree).then(colours);
    let mut p = Printer {
        o,
        accounts: Accounts::default(),
        colours,
        counts: Counts::default(),
        out,
        now: time::now(),
    };
    let mut failed = false;
    match o.form {
        Form::Json => p.text("["),
        Form::Xml => p.text("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<tree>\n"),
        Form::Tree => {}
    }
    for (i, root) in o.roots.iter().enumerate() {
        let bytes = root.as_bytes();
        let end = bytes.iter().rposition(|b| *b != b'/').map_or(1.min(bytes.len()), |i| i + 1);
        // A link that ends in a slash is looked behind, as by any program.
        let mut node = Node::new(root.clone(), OsString::from(crate::os::os(&bytes[..end])));
        let mut walk = Walk::new(o);
        if node.is_dir() {
            failed |= !walk.fill(&mut node);
        } else {
            node.note = Some("error opening dir".into());
            p.counts.files += u64::from(node.stat.is_some());
            failed |= node.stat.is_none();
        }
        let opened = node.note.is_none() && !node.children.is_empty();
        p.counts.dirs += u64::from(opened || node.note.as_ref().is_some_and(|n| n.contains("filelimit")));
        p.counts.bytes += node.size(o.du);
        match o.form {
            Form::Tree => p.root(&node),
            Form::Json => {
                if i > 0 {
                    p.text(",");
                }
                p.text("\n");
                p.json(&node, 1);
            }
            Form::Xml => p.xml(&node, 1),
        }
    }
    p.report();
    failed
}

fn colours() -> Vec<(String, String)> {
    let set = std::env::var("LS_COLORS").ok().filter(|s| !s.is_empty());
    let usual =
        ":no=00:fi=00:di=01;34:ln=01;36:pi=40;33:so=01;35:bd=40;33;01:cd=40;33;01:or=40;31;01:ex=01;32";
    let text = set.as_deref().unwrap_or(usual);
    text.split(':').filter_map(|p| p.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

impl Printer<'_> {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn name(&self, name: &OsStr) -> Vec<u8> {
        let mut out = Vec::new();
        if self.o.quote {
            out.push(b'"');
        }
        for chunk in name.as_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                let raw = self.o.names == Names::Raw || !c.is_control();
                if self.o.quote && (c == '"' || c == '\\') {
                    out.push(b'\\');
                }
                let mut buffer = [0; 4];
                for b in c.encode_utf8(&mut buffer).bytes() {
                    self.byte(b, raw, &mut out);
                }
            }
            for b in chunk.invalid() {
                self.byte(*b, self.o.names == Names::Raw, &mut out);
            }
        }
        if self.o.quote {
            out.push(b'"');
        }
        out
    }

    fn byte(&self, b: u8, raw: bool, out: &mut Vec<u8>) {
        match self.o.names {
            _ if raw => out.push(b),
            Names::Question => out.push(b'?'),
            _ => out.extend_from_slice(format!("\\{b:03o}").as_bytes()),
        }
    }

    fn colour(&self, name: &OsStr, kind: FileType, stat: Option<&Stat>, broken: bool) -> Option<&str> {
        let colours = self.colours.as_ref()?;
        let find = |key: &str| colours.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        let mode = stat.map_or(0, |s| s.mode);
        match kind {
            FileType::Dir => find("di"),
            FileType::Symlink if broken => find("or").or_else(|| find("ln")),
            FileType::Symlink => find("ln").filter(|c| *c != "target"),
            FileType::Fifo => find("pi"),
            FileType::Socket => find("so"),
            FileType::BlockDevice => find("bd"),
            FileType::CharDevice => find("cd"),
            _ if mode & 0o111 != 0 && kind == FileType::File => find("ex"),
            _ => {
                let text = name.to_string_lossy();
                let ending =
                    |(k, _): &&(String, String)| k.strip_prefix('*').is_some_and(|e| text.ends_with(e));
                colours.iter().find(ending).map(|(_, v)| v.as_str()).or_else(|| find("fi"))
            }
        }
    }

    fn coloured(&mut self, text: &[u8], colour: Option<String>) {
        match colour {
            Some(code) => {
                self.text(&format!("\x1b[{code}m"));
                self.out.extend_from_slice(text);
                self.text("\x1b[0m");
            }
            None => self.out.extend_from_slice(text),
        }
    }

    fn meta(&mut self, node: &Node) -> String {
        let o = self.o;
        let Some(s) = &node.stat else { return String::new() };
        let mut parts: Vec<String> = Vec::new();
        if o.inodes {
            parts.push(format!("{:>7}", s.ino));
        }
        if o.device {
            parts.push(format!("{:>3}", s.dev));
        }
        if o.mode {
            parts.push(mode::letters(s.mode));
        }
        if o.user {
            parts.push(format!("{:<8}", self.accounts.user_or_id(s.uid)));
        }
        if o.group {
            parts.push(format!("{:<8}", self.accounts.group_or_id(s.gid)));
        }
        if o.size {
            let text = size(node.size(o.du), o.human);
            // The blank before the size is that between the parts.
            parts.push(text.strip_prefix(' ').unwrap_or(&text).to_owned());
        }
        if o.date {
            let half_year = 31_556_952 / 2;
            let recent = s.mtime <= self.now && s.mtime > self.now - half_year;
            let format = o.time_format.as_deref().unwrap_or(if recent { "%b %e %H:%M" } else { "%b %e  %Y" });
            parts.push(time::format(s.mtime, s.mtime_nsec, format));
        }
        if parts.is_empty() { String::new() } else { format!("[{}]  ", parts.join(" ")) }
    }

    fn classify(&self, kind: FileType, mode: u32) -> &'static str {
        match kind {
            _ if !self.o.classify => "",
            FileType::Dir => "/",
            FileType::Socket => "=",
            FileType::Fifo => "|",
            FileType::File if mode & 0o111 != 0 => "*",
            _ => "",
        }
    }

    /// The name of a file with all that belongs to its line.
    fn label(&mut self, node: &Node, name: &OsStr) {
        let broken = node.target.as_ref().is_some_and(|t| t.1.is_none());
        let colour = self.colour(name, node.kind, node.stat.as_ref(), broken).map(str::to_owned);
        let text = self.name(name);
        self.coloured(&text, colour);
        match &node.target {
            Some((target, behind)) => {
                self.text(" -> ");
                let kind = behind.as_ref().map_or(FileType::Other, |s| file_type(s.mode));
                let colour = self.colour(target, kind, behind.as_ref(), false).map(str::to_owned);
                let text = self.name(target);
                self.coloured(&text, colour);
                let letter = self.classify(kind, behind.as_ref().map_or(0, |s| s.mode));
                self.text(letter);
            }
            None => {
                let ended = name.as_bytes().ends_with(b"/");
                let letter = self.classify(node.kind, node.stat.as_ref().map_or(0, |s| s.mode));
                self.text(if ended { "" } else { letter });
            }
        }
        if let Some(note) = &node.note {
            let note = format!("  [{note}]");
            self.text(&note);
        }
        self.text("\n");
    }

    fn root(&mut self, node: &Node) {
        let meta = self.meta(node);
        self.text(&meta);
        self.label(node, &node.name);
        let mut before = String::new();
        self.children(node, &mut before);
    }

    fn children(&mut self, node: &Node, before: &mut String) {
        let (branch, corner, bar, gap) = match self.o.lines {
            Lines::None => ("", "", "", ""),
            Lines::Utf8 => ("├── ", "└── ", "│\u{a0}\u{a0} ", "    "),
            Lines::Ascii => ("|-- ", "`-- ", "|   ", "    "),
        };
        for (i, child) in node.children.iter().enumerate() {
            let last = i + 1 == node.children.len();
            self.count(child);
            let meta = self.meta(child);
            let line = format!("{before}{}", if last { corner } else { branch });
            if self.o.meta_first {
                self.text(&meta);
                self.text(&line);
            } else {
                self.text(&line);
                self.text(&meta);
            }
            let name = if self.o.full_path { &child.path } else { &child.name };
            self.label(child, name);
            let length = before.len();
            before.push_str(if last { gap } else { bar });
            self.children(child, before);
            before.truncate(length);
        }
    }

    fn count(&mut self, node: &Node) {
        if node.is_dir() {
            self.counts.dirs += 1;
        } else {
            self.counts.files += 1;
        }
    }

    fn fields(&mut self, node: &Node, json: bool) -> String {
        let o = self.o;
        let mut out = String::new();
        let Some(s) = &node.stat else { return out };
        let mut add = |key: &str, value: String, quoted: bool| {
            // Writing to a String cannot fail.
            let _ = match (json, quoted) {
                (true, true) => write!(out, ",\"{key}\":\"{value}\""),
                (true, false) => write!(out, ",\"{key}\":{value}"),
                (false, _) => write!(out, " {key}=\"{value}\""),
            };
        };
        if o.inodes {
            add("inode", s.ino.to_string(), false);
        }
        if o.device {
            add("dev", s.dev.to_string(), false);
        }
        if o.mode {
            add("mode", format!("{:04o}", s.mode & 0o7777), true);
            add("prot", mode::letters(s.mode), true);
        }
        if o.user {
            add("user", self.accounts.user_or_id(s.uid), true);
        }
        if o.group {
            add("group", self.accounts.group_or_id(s.gid), true);
        }
        if o.size {
            match o.human {
                Some(_) => add("size", size(node.size(o.du), o.human).trim().to_owned(), true),
                None => add("size", node.size(o.du).to_string(), false),
            }
        }
        if o.date {
            let format = o.time_format.as_deref().unwrap_or("%b %e %H:%M");
            add("time", time::format(s.mtime, s.mtime_nsec, format), true);
        }
        out
    }

    fn json(&mut self, node: &Node, depth: usize) {
        let indent = "  ".repeat(depth);
        let name = json_text(if self.o.full_path && depth > 1 { &node.path } else { &node.name });
        let kind = kind_word(node.kind);
        let mut line = format!("{indent}{{\"type\":\"{kind}\",\"name\":\"{name}\"");
        if let Some((target, _)) = &node.target {
            let _ = write!(line, ",\"target\":\"{}\"", json_text(target));
        }
        line += &self.fields(node, true);
        if let Some(note) = &node.note {
            let _ = write!(line, ",\"error\": \"{note}\"");
        }
        self.text(&line);
        if !node.children.is_empty() {
            self.text(",\"contents\":[\n");
            for (i, child) in node.children.iter().enumerate() {
                self.count(child);
                self.json(child, depth + 1);
                self.text(if i + 1 < node.children.len() { ",\n" } else { "\n" });
            }
            self.text(&format!("{indent}]"));
        }
        self.text("}");
    }

    fn xml(&mut self, node: &Node, depth: usize) {
        let indent = "  ".repeat(depth);
        let name = xml_text(if self.o.full_path && depth > 1 { &node.path } else { &node.name });
        let kind = kind_word(node.kind);
        let mut line = format!("{indent}<{kind} name=\"{name}\"");
        if let Some((target, _)) = &node.target {
            let _ = write!(line, " target=\"{}\"", xml_text(target));
        }
        line += &self.fields(node, false);
        self.text(&line);
        self.text(">");
        if let Some(note) = &node.note {
            self.text(&format!("<error>{note}</error>"));
        }
        if !node.children.is_empty() {
            self.text("\n");
            for child in &node.children {
                self.count(child);
                self.xml(child, depth + 1);
            }
            self.text(&indent);
        }
        self.text(&format!("</{kind}>\n"));
    }

    fn report(&mut self) {
        let Counts { dirs, files, bytes } = self.counts;
        let du = self.o.du.then_some(bytes);
        let plural = |n: u64, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        match self.o.form {
            Form::Tree if self.o.report => {
                let mut line = String::from("\n");
                if let Some(bytes) = du {
                    let unit = if self.o.human.is_some() { "" } else { " bytes" };
                    let _ = write!(line, "{}{unit} used in ", size(bytes, self.o.human));
                }
                line += &plural(dirs, "directory", "directories");
                if !self.o.dirs_only {
                    let _ = write!(line, ", {}", plural(files, "file", "files"));
                }
                self.text(&line);
                self.text("\n");
            }
            Form::Tree => {}
            Form::Json => {
                if self.o.report {
                    let size = du.map_or(String::new(), |b| format!(",\"size\":{b}"));
                    let files = if self.o.dirs_only { String::new() } else { format!(",\"files\":{files}") };
                    self.text(&format!("\n,\n  {{\"type\":\"report\"{size},\"directories\":{dirs}{files}}}"));
                }
                self.text("\n]\n");
            }
            Form::Xml => {
                if self.o.report {
                    self.text("  <report>\n");
                    if let Some(b) = du {
                        self.text(&format!("    <size>{b}</size>\n"));
                    }
                    self.text(&format!("    <directories>{dirs}</directories>\n"));
                    if !self.o.dirs_only {
                        self.text(&format!("    <files>{files}</files>\n"));
                    }
                    self.text("  </report>\n");
                }
                self.text("</tree>\n");
            }
        }
    }
}

fn kind_word(kind: FileType) -> &'static str {
    match kind {
        FileType::Dir => "directory",
        FileType::Symlink => "link",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::BlockDevice => "block",
        FileType::CharDevice => "char",
        FileType::File | FileType::Other => "file",
    }
}

/// A size with the blank that comes before it.
fn size(bytes: u64, human: Option<u64>) -> String {
    let Some(unit) = human else { return format!(" {bytes:>11}") };
    let letters = if unit == 1000 { "BkMGTPE" } else { "BKMGTPE" };
    if bytes < unit {
        return format!(" {bytes:>4}");
    }
    let (mut size, mut at) = (bytes, 1);
    while size >= unit * unit {
        size /= unit;
        at += 1;
    }
    let letter = letters.chars().nth(at).unwrap_or('E');
    let value = size as f64 / unit as f64;
    if size / unit >= 10 { format!(" {value:3.0}{letter}") } else { format!(" {value:3.1}{letter}") }
}

fn json_text(name: &OsStr) -> String {
    let mut out = String::new();
    for c in name.to_string_lossy().chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

fn xml_text(name: &OsStr) -> String {
    let text = name.to_string_lossy();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
