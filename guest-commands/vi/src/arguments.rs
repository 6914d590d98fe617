//! The command line of vi, view and ex. It opens nothing.

use crate::chars;
use std::ffi::OsString;

/// What is to be edited, and how.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) files: Vec<String>,
    /// Commands to run once the first file is there.
    pub(crate) commands: Vec<String>,
    pub(crate) line_mode: bool,
    pub(crate) silent: bool,
    pub(crate) view: bool,
    /// No file of settings is read.
    pub(crate) bare: bool,
    pub(crate) recover: bool,
    /// `-N`: scripts are for vim, not for old vi.
    pub(crate) modern: bool,
    /// The text comes from standard input.
    pub(crate) stdin: bool,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Say(String),
    Edit(Box<Edit>),
}

const USAGE: &str = "\
Usage: vi [arguments] [file ..]       edit specified file(s)
   or: vi [arguments] -               read text from stdin

Arguments:
   --\t\t\tOnly file names after this
   -v\t\t\tVi mode (like \"vi\")
   -e\t\t\tEx mode (like \"ex\")
   -s\t\t\tSilent (batch) mode (only for \"ex\")
   -R\t\t\tReadonly mode (like \"view\")
   -n\t\t\tNo swap file; there is none
   -r <file>\t\tRecover a text that was kept when the editor was ended
   -u <vimrc>\t\tNONE: no settings from EXINIT
   -N\t\t\tNot fully Vi compatible
   -c <command>\t\tExecute <command> after loading the first file
   +\t\t\tStart at end of file
   +<lnum>\t\tStart at line <lnum>
   +/<pattern>\t\tStart at the first match of <pattern>
   -S <file>\t\tSource <file> after loading the first file
   -h  or  --help\tPrint Help (this message) and exit
   --version\t\tPrint version information and exit
";

/// Reads the arguments, the name of the program first.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Wish, String> {
    let text = |a: &OsString| chars::text(a.as_encoded_bytes());
    let name = arguments.first().map(text).unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    let mut edit = Edit { line_mode: name == "ex", view: name == "view", ..Edit::default() };
    let mut list = arguments.iter().skip(1).map(text);
    let mut only_files = false;
    while let Some(argument) = list.next() {
        if only_files || !argument.starts_with(['-', '+']) {
            edit.files.push(argument);
            continue;
        }
        if let Some(plus) = argument.strip_prefix('+') {
            edit.commands.push(if plus.is_empty() { "$".into() } else { plus.into() });
            continue;
        }
        match argument.as_str() {
            "-" => {
                // ex takes it for silence.
                if edit.line_mode {
                    edit.silent = true;
                } else {
                    edit.stdin = true;
                }
                continue;
            }
            "--" => {
                only_files = true;
                continue;
            }
            "--help" => return Ok(Wish::Say(USAGE.into())),
            "--version" => {
                return Ok(Wish::Say(concat!("vi (AgentOs) ", env!("CARGO_PKG_VERSION"), "\n").into()));
            }
            "--noplugin" | "--not-a-term" | "--clean" => continue,
            long if long.starts_with("--") => return Err(format!("Unknown option argument: \"{argument}\"")),
            _ => {}
        }
        let mut letters = argument[1..].chars();
        while let Some(letter) = letters.next() {
            let mut value = |list: &mut dyn Iterator<Item = String>| -> Result<String, String> {
                let rest: String = letters.by_ref().collect();
                if !rest.is_empty() {
                    return Ok(rest);
                }
                list.next().ok_or_else(|| format!("Argument missing after: \"-{letter}\""))
            };
            match letter {
                'c' => edit.commands.push(value(&mut list)?),
                'S' => {
                    let file = value(&mut list)?;
                    edit.commands.push(format!("source {file}"));
                }
                'u' => {
                    let file = value(&mut list)?;
                    if file != "NONE" && file != "NORC" {
                        return Err(format!("Unknown option argument: \"-u {file}\""));
                    }
                    edit.bare = true;
                }
                'i' | 'T' | 'w' if letter != 'w' => {
                    value(&mut list)?;
                }
                'e' | 'E' => edit.line_mode = true,
                'v' => edit.line_mode = false,
                's' => edit.silent = true,
                'R' | 'M' => edit.view = true,
                'r' | 'L' => edit.recover = true,
                'h' => return Ok(Wish::Say(USAGE.into())),
                'N' => edit.modern = true,
                'n' | 'X' => {}
                _ => return Err(format!("Unknown option argument: \"{argument}\"")),
            }
        }
    }
    if edit.silent && !edit.line_mode {
        return Err("Too many edit arguments: \"-s\"".into());
    }
    Ok(Wish::Edit(Box::new(edit)))
}
