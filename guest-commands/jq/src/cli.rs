//! The command line.

use crate::json::parse;
use crate::json::print::{Colors, Style};
use crate::value::{Map, Value};
use std::collections::HashMap;
use std::ffi::OsString;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Wish {
    /// To print this.
    Say(String),
    Run(Box<Options>),
}

/// How the program is run.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) program: String,
    pub(crate) from_file: bool,
    pub(crate) files: Vec<String>,
    pub(crate) globals: HashMap<String, Value>,
    pub(crate) search: Vec<String>,
    pub(crate) style: Style,
    /// Strings as they stand.
    pub(crate) raw: bool,
    /// What follows each output.
    pub(crate) end: Vec<u8>,
    pub(crate) raw_zero: bool,
    pub(crate) null_input: bool,
    pub(crate) raw_input: bool,
    pub(crate) slurp: bool,
    pub(crate) stream: bool,
    pub(crate) seq: bool,
    pub(crate) exit_status: bool,
    pub(crate) unbuffered: bool,
}

const HELP: &str = "\
jq - commandline JSON processor [version 1.6]

Usage:\tjq [options] <jq filter> [file...]
\tjq [options] --args <jq filter> [strings...]
\tjq [options] --jsonargs <jq filter> [JSON_TEXTS...]

jq applies a filter to its JSON inputs and prints the results as JSON. This is agentos-jq, which follows jq 1.6.

Options:
  -n, --null-input          use `null` as the single input value
  -R, --raw-input           read each line as a string instead of JSON
  -s, --slurp               read all inputs into an array
  -c, --compact-output      print each value on one line
  -r, --raw-output          print strings as they stand
      --raw-output0         the same, with a NUL after each output
  -j, --join-output         the same, with nothing after an output
  -a, --ascii-output        print only ASCII characters
  -S, --sort-keys           sort the keys of objects
  -C, --color-output        print in colors
  -M, --monochrome-output   print without colors
      --tab                 indent with tabs
      --indent n            indent by n spaces (at most 7; -1 for a tab)
      --unbuffered          hand over each output at once
      --stream              read inputs as events of their leaves
      --seq                 separate values by RS (application/json-seq)
  -f, --from-file file      read the filter from a file
  -L directory              search modules in this directory
  -e, --exit-status         exit with 1 if the last output was false or null
      --arg a v             set $a to the string v
      --argjson a v         set $a to the JSON value v
      --slurpfile a f       set $a to an array of the values in the file f
      --rawfile a f         set $a to the content of the file f
      --args                the remaining arguments are strings, not files
      --jsonargs            the remaining arguments are JSON values, not files
  -b, --binary              no effect: lines are never translated
  -h, --help                show this help
  -V, --version             show the version
";

const HINT: &str = "Use jq --help for help with command-line options,\nor see the jq manpage, or online docs  at https://stedolan.github.io/jq";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Files,
    Strings,
    Json,
}

struct Parser {
    options: Options,
    program: Option<String>,
    named: Map,
    positional: Vec<Value>,
    rest: Rest,
    indent: usize,
    tab: bool,
    compact: bool,
    color: Option<bool>,
    join: bool,
}

/// Reads the command line. An error is a message as it is printed.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Wish, String> {
    let words: Vec<String> = arguments.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let mut parser = Parser {
        options: Options::default(),
        program: None,
        named: Map::default(),
        positional: Vec::new(),
        rest: Rest::Files,
        indent: 2,
        tab: false,
        compact: false,
        color: None,
        join: false,
    };
    let mut only_operands = false;
    let mut at = 0;
    while at < words.len() {
        let word = &words[at];
        at += 1;
        if only_operands || !word.starts_with('-') || word == "-" {
            parser.operand(word)?;
        } else if word == "--" {
            only_operands = true;
        } else if let Some(long) = word.strip_prefix("--") {
            if let Some(text) = parser.long(long, &words, &mut at)? {
                return Ok(Wish::Say(text));
            }
        } else if let Some(text) = parser.short(word, &words, &mut at)? {
            return Ok(Wish::Say(text));
        }
    }
    parser.finish().map(|options| Wish::Run(Box::new(options)))
}

fn version() -> String {
    // Scripts compare it; the help says whose it is.
    "jq-1.6\n".to_owned()
}

impl Parser {
    fn operand(&mut self, word: &str) -> Result<(), String> {
        if self.program.is_none() {
            self.program = Some(word.to_owned());
            return Ok(());
        }
        match self.rest {
            Rest::Files => self.options.files.push(word.to_owned()),
            Rest::Strings => self.positional.push(word.into()),
            Rest::Json => match parse::one(word) {
                Ok(value) => self.positional.push(value),
                Err(_) => return Err(format!("jq: Invalid JSON text passed to --jsonargs\n{HINT}")),
            },
        }
        Ok(())
    }

    fn short(&mut self, word: &str, words: &[String], at: &mut usize) -> Result<Option<String>, String> {
        for (i, letter) in word.char_indices().skip(1) {
            match letter {
                's' => self.options.slurp = true,
                'r' => self.options.raw = true,
                'j' => self.join = true,
                'c' => self.compact = true,
                'C' => self.color = Some(true),
                'M' => self.color = Some(false),
                'a' => self.options.style.ascii = true,
                'S' => self.options.style.sort = true,
                'n' => self.options.null_input = true,
                'f' => self.options.from_file = true,
                'R' => self.options.raw_input = true,
                'e' => self.options.exit_status = true,
                'b' => {}
                'h' => return Ok(Some(HELP.to_owned())),
                'V' => return Ok(Some(version())),
                'L' => {
                    let attached = &word[i + 1..];
                    if attached.is_empty() {
                        let Some(next) = words.get(*at) else {
                            return Err(
                                "-L takes a parameter: (e.g. -L /search/path or -L/search/path)".into()
                            );
                        };
                        self.options.search.push(next.clone());
                        *at += 1;
                    } else {
                        self.options.search.push(attached.to_owned());
                    }
                    return Ok(None);
                }
                _ => return Err(format!("jq: Unknown option {word}\n{HINT}")),
            }
        }
        Ok(None)
    }

    fn long(&mut self, long: &str, words: &[String], at: &mut usize) -> Result<Option<String>, String> {
        match long {
            "slurp" => self.options.slurp = true,
            "raw-output" => self.options.raw = true,
            "raw-output0" => self.options.raw_zero = true,
            "join-output" => self.join = true,
            "compact-output" => self.compact = true,
            "color-output" => self.color = Some(true),
            "monochrome-output" => self.color = Some(false),
            "ascii-output" => self.options.style.ascii = true,
            "sort-keys" => self.options.style.sort = true,
            "null-input" => self.options.null_input = true,
            "from-file" => self.options.from_file = true,
            "raw-input" => self.options.raw_input = true,
            "exit-status" => self.options.exit_status = true,
            "unbuffered" => self.options.unbuffered = true,
            "stream" => self.options.stream = true,
            "seq" => self.options.seq = true,
            "binary" => {}
            "tab" => self.tab = true,
            "args" => self.rest = Rest::Strings,
            "jsonargs" => self.rest = Rest::Json,
            "help" => return Ok(Some(HELP.to_owned())),
            "version" => return Ok(Some(version())),
            "indent" => {
                let Some(n) = words.get(*at) else {
                    return Err(format!("jq: --indent takes one parameter\n{HINT}"));
                };
                *at += 1;
                // -1 is a tab.
                self.tab = n.parse() == Ok(-1);
                self.indent = match n.parse::<i64>().unwrap_or(0) {
                    -1 => 1,
                    n @ 0..=7 => usize::try_from(n).unwrap_or(0),
                    _ => return Err(format!("jq: --indent takes a number between -1 and 7\n{HINT}")),
                };
                self.compact = self.indent == 0;
            }
            "arg" | "argjson" | "slurpfile" | "rawfile" => {
                let (Some(name), Some(text)) = (words.get(*at), words.get(*at + 1)) else {
                    let second = match long {
                        "arg" => "value",
                        "argjson" => "text",
                        _ => "filename",
                    };
                    return Err(format!(
                        "jq: --{long} takes two parameters (e.g. --{long} varname {second})\n{HINT}"
                    ));
                };
                *at += 2;
                let value = named(long, name, text)?;
                self.named.entry(name.as_str().into()).or_insert(value);
            }
            _ => return Err(format!("jq: Unknown option --{long}\n{HINT}")),
        }
        Ok(None)
    }

    fn finish(self) -> Result<Options, String> {
        let mut options = self.options;
        let terminal = agentos_guest::fd::isatty(1);
        options.program = match self.program {
            Some(program) => program,
            None if terminal && agentos_guest::fd::isatty(0) => return Err(HELP.trim_end().to_owned()),
            None => ".".to_owned(),
        };
        options.style.indent = if self.compact {
            None
        } else if self.tab {
            Some(b"\t".to_vec())
        } else {
            Some(vec![b' '; self.indent])
        };
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        if self.color.unwrap_or(terminal && !no_color) {
            let mut colors = Colors::default();
            if let Ok(text) = std::env::var("JQ_COLORS")
                && !colors.set(&text)
            {
                eprintln!("Failed to set $JQ_COLORS");
            }
            options.style.colors = Some(Box::new(colors));
        }
        options.raw |= self.join || options.raw_zero;
        options.unbuffered |= terminal;
        options.end = match (options.raw_zero, self.join) {
            (true, _) => vec![0],
            (_, true) => Vec::new(),
            _ => b"\n".to_vec(),
        };
        for (name, value) in &self.named {
            options.globals.insert(name.to_string(), value.clone());
        }
        let mut all = Map::default();
        all.insert("positional".into(), self.positional.into());
        all.insert("named".into(), self.named.into());
        options.globals.insert("ARGS".to_owned(), all.into());
        Ok(options)
    }
}

/// The value of a variable of the command line.
fn named(kind: &str, name: &str, text: &str) -> Result<Value, String> {
    let bad = |what: &str| {
        let kind_of = if kind == "slurpfile" { "Bad JSON in --slurpfile" } else { "Bad JSON in --rawfile" };
        format!("jq: {kind_of} {name} {text}: {what}")
    };
    match kind {
        "arg" => Ok(text.into()),
        "argjson" => {
            parse::one(text).map_err(|_| format!("jq: invalid JSON text passed to --argjson\n{HINT}"))
        }
        _ => {
            let bytes = std::fs::read(text)
                .map_err(|e| bad(&format!("Could not open {text}: {}", agentos_guest::strerror(&e))))?;
            if kind == "rawfile" {
                return Ok((&*String::from_utf8_lossy(&bytes)).into());
            }
            parse::all(&bytes).map(Value::from).map_err(|e| bad(&e))
        }
    }
}
