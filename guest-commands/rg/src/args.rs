//! Parses the command line of rg. An option that is not there is an error that names it.

use crate::io_text;
use crate::options::{Binary, Case, Mode, Options};
use std::ffi::OsString;
use std::io::{BufRead, Read};
use std::path::PathBuf;

/// What the command line asks for.
pub(crate) enum Wish {
    /// To print this.
    Say(String),
    Run(Box<Options>),
}

/// Long name, short name (or a blank), the name of its argument (or none), and what it is for.
type Spec = (&'static str, char, &'static str, &'static str);

const OPTIONS: &[Spec] = &[
    ("after-context", 'A', "NUM", "show NUM lines after each match"),
    ("auto-hybrid-regex", ' ', "", "the same as --engine=auto"),
    ("before-context", 'B', "NUM", "show NUM lines before each match"),
    ("binary", ' ', "", "search binary files until a match"),
    ("block-buffered", ' ', "", "no effect: output is always buffered in blocks"),
    ("byte-offset", 'b', "", "show the offset of each line in bytes"),
    ("case-sensitive", 's', "", "search case sensitively (default)"),
    ("color", ' ', "WHEN", "color the output: never, auto, always, ansi"),
    ("colors", ' ', "SPEC", "set a color or style"),
    ("column", ' ', "", "show column numbers"),
    ("context", 'C', "NUM", "show NUM lines before and after each match"),
    ("context-separator", ' ', "SEPARATOR", "set what is between contexts"),
    ("count", 'c', "", "show only the number of matching lines of each file"),
    ("count-matches", ' ', "", "show only the number of matches of each file"),
    ("crlf", ' ', "", "treat CRLF as the end of a line"),
    ("debug", ' ', "", "say which files are searched"),
    ("dfa-size-limit", ' ', "NUM", "set the limit of the cache of the DFA"),
    ("encoding", 'E', "ENCODING", "set the encoding of the files"),
    ("engine", ' ', "ENGINE", "set the engine: default or auto"),
    ("field-context-separator", ' ', "SEPARATOR", "set what is between fields of context lines"),
    ("field-match-separator", ' ', "SEPARATOR", "set what is between fields of matching lines"),
    ("file", 'f', "PATTERNFILE", "read patterns from a file, one a line"),
    ("files", ' ', "", "show each file that would be searched"),
    ("files-with-matches", 'l', "", "show only the names of files with a match"),
    ("files-without-match", ' ', "", "show only the names of files without one"),
    ("fixed-strings", 'F', "", "patterns are plain strings"),
    ("follow", 'L', "", "follow symbolic links"),
    ("glob", 'g', "GLOB", "search only (with !: not) files of this glob"),
    ("glob-case-insensitive", ' ', "", "globs match case insensitively"),
    ("heading", ' ', "", "show the name of a file above its matches"),
    ("help", 'h', "", "show this help"),
    ("hidden", '.', "", "search hidden files and directories"),
    ("iglob", ' ', "GLOB", "like --glob, case insensitively"),
    ("ignore-case", 'i', "", "search case insensitively"),
    ("ignore-file", ' ', "PATH", "read further ignore rules from a file"),
    ("ignore-file-case-insensitive", ' ', "", "ignore rules match case insensitively"),
    ("include-zero", ' ', "", "show counts of zero too"),
    ("invert-match", 'v', "", "show lines that do not match"),
    ("json", ' ', "", "show results as JSON Lines"),
    ("line-buffered", ' ', "", "no effect: a terminal gets each line at once"),
    ("line-number", 'n', "", "show line numbers"),
    ("line-regexp", 'x', "", "only matches of whole lines"),
    ("max-columns", 'M', "NUM", "leave out lines longer than NUM bytes"),
    ("max-columns-preview", ' ', "", "show the beginning of such lines"),
    ("max-count", 'm', "NUM", "at most NUM matching lines of each file"),
    ("max-depth", ' ', "NUM", "descend at most NUM directories"),
    ("max-filesize", ' ', "NUM+SUFFIX?", "leave out larger files"),
    ("mmap", ' ', "", "no effect: files are never mapped"),
    ("multiline", 'U', "", "let matches span lines"),
    ("multiline-dotall", ' ', "", "let . match newlines with -U"),
    ("no-auto-hybrid-regex", ' ', "", "undo --auto-hybrid-regex"),
    ("no-binary", ' ', "", "undo --binary"),
    ("no-block-buffered", ' ', "", "undo --block-buffered"),
    ("no-column", ' ', "", "undo --column"),
    ("no-config", ' ', "", "do not read RIPGREP_CONFIG_PATH"),
    ("no-context-separator", ' ', "", "show nothing between contexts"),
    ("no-crlf", ' ', "", "undo --crlf"),
    ("no-encoding", ' ', "", "undo --encoding"),
    ("no-filename", 'I', "", "never show names of files"),
    ("no-fixed-strings", ' ', "", "undo --fixed-strings"),
    ("no-follow", ' ', "", "undo --follow"),
    ("no-glob-case-insensitive", ' ', "", "undo --glob-case-insensitive"),
    ("no-heading", ' ', "", "show the name of a file on each line"),
    ("no-hidden", ' ', "", "undo --hidden"),
    ("no-ignore", ' ', "", "apply no ignore files"),
    ("no-ignore-dot", ' ', "", "do not apply .ignore and .rgignore"),
    ("no-ignore-exclude", ' ', "", "do not apply .git/info/exclude"),
    ("no-ignore-file-case-insensitive", ' ', "", "undo --ignore-file-case-insensitive"),
    ("no-ignore-files", ' ', "", "do not apply --ignore-file"),
    ("no-ignore-global", ' ', "", "do not apply the ignore file of the user"),
    ("no-ignore-messages", ' ', "", "say nothing of broken ignore files"),
    ("no-ignore-parent", ' ', "", "do not apply ignore files of directories above"),
    ("no-ignore-vcs", ' ', "", "do not apply .gitignore"),
    ("no-json", ' ', "", "undo --json"),
    ("no-line-buffered", ' ', "", "undo --line-buffered"),
    ("no-line-number", 'N', "", "show no line numbers"),
    ("no-max-columns-preview", ' ', "", "undo --max-columns-preview"),
    ("no-messages", ' ', "", "say nothing of files that cannot be read"),
    ("no-mmap", ' ', "", "no effect: files are never mapped"),
    ("no-multiline", ' ', "", "undo --multiline"),
    ("no-multiline-dotall", ' ', "", "undo --multiline-dotall"),
    ("no-one-file-system", ' ', "", "undo --one-file-system"),
    ("no-pcre2", ' ', "", "use the default engine"),
    ("no-pcre2-unicode", ' ', "", "the same as --no-unicode"),
    ("no-require-git", ' ', "", "apply .gitignore outside of repositories too"),
    ("no-sort-files", ' ', "", "no effect: files are always sorted"),
    ("no-stats", ' ', "", "undo --stats"),
    ("no-text", ' ', "", "undo --text"),
    ("no-trim", ' ', "", "undo --trim"),
    ("no-unicode", ' ', "", "switch Unicode off in patterns"),
    ("null", '0', "", "end names of files by NUL"),
    ("null-data", ' ', "", "lines end by NUL"),
    ("one-file-system", ' ', "", "stay in one file system"),
    ("only-matching", 'o', "", "show only what matches"),
    ("passthru", ' ', "", "show lines without a match too"),
    ("passthrough", ' ', "", "the same as --passthru"),
    ("path-separator", ' ', "SEPARATOR", "set what is between parts of paths"),
    ("pcre2", 'P', "", "refused: there is no PCRE2"),
    ("pcre2-version", ' ', "", "say that there is no PCRE2"),
    ("pretty", 'p', "", "colors, --heading and --line-number"),
    ("quiet", 'q', "", "print nothing, stop at the first match"),
    ("regex-size-limit", ' ', "NUM+SUFFIX?", "set the limit of a compiled pattern"),
    ("regexp", 'e', "PATTERN", "search this pattern"),
    ("replace", 'r', "REPLACEMENT_TEXT", "show this in place of each match"),
    ("require-git", ' ', "", "undo --no-require-git"),
    ("smart-case", 'S', "", "search case insensitively if the pattern has no capitals"),
    ("sort", ' ', "SORTBY", "path or none: files are always sorted by path"),
    ("sort-files", ' ', "", "no effect: files are always sorted"),
    ("sortr", ' ', "SORTBY", "path: sort in descending order"),
    ("stats", ' ', "", "show figures of the search"),
    ("stop-on-nonmatch", ' ', "", "stop at the first line without a match after one"),
    ("text", 'a', "", "search binary files as text"),
    ("threads", 'j', "NUM", "no effect: there is one thread"),
    ("trim", ' ', "", "leave out blanks at the beginning of lines"),
    ("type", 't', "TYPE", "search only files of this type"),
    ("type-add", ' ', "TYPE_SPEC", "add a glob to a type"),
    ("type-clear", ' ', "TYPE", "forget the globs of a type"),
    ("type-list", ' ', "", "show all types and their globs"),
    ("type-not", 'T', "TYPE", "do not search files of this type"),
    ("unicode", ' ', "", "undo --no-unicode"),
    ("unrestricted", 'u', "", "-u: --no-ignore, -uu: also --hidden, -uuu: also --binary"),
    ("version", 'V', "", "show the version"),
    ("vimgrep", ' ', "", "show each match on a line of its own, with column"),
    ("with-filename", 'H', "", "show names of files"),
    ("word-regexp", 'w', "", "only matches of whole words"),
];

/// What ends a message about the command line.
const USAGE: &str = "USAGE:\n    \n    rg [OPTIONS] PATTERN [PATH ...]\n    rg [OPTIONS] -e PATTERN ... [PATH ...]\n    rg [OPTIONS] -f PATTERNFILE ... [PATH ...]\n    rg [OPTIONS] --files [PATH ...]\n    rg [OPTIONS] --type-list\n    command | rg [OPTIONS] PATTERN\n    rg [OPTIONS] --help\n    rg [OPTIONS] --version\n\nFor more information try --help\n";

fn help() -> String {
    let mut text = String::from(
        "Usage: rg [OPTIONS] PATTERN [PATH ...]\n       rg [OPTIONS] -e PATTERN ... [PATH ...]\n       rg [OPTIONS] --files [PATH ...]\n       rg [OPTIONS] --type-list\n\nSearches files of a directory for a pattern, sorted by path, and leaves out what ignore files name.\n\nOptions:\n",
    );
    for (long, short, value, what) in OPTIONS {
        let short = if *short == ' ' { "    ".to_owned() } else { format!("-{short}, ") };
        let value = if value.is_empty() { String::new() } else { format!(" <{value}>") };
        text += &format!("  {short}--{long}{value}\n          {what}\n");
    }
    text
}

fn version() -> String {
    format!("ripgrep 14 (agentos-rg {})\n", env!("CARGO_PKG_VERSION"))
}

/// Reads the command line.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Wish, String> {
    let mut all = configured(&arguments);
    all.extend(arguments);
    let mut parser = Parser::default();
    let mut rest = all.into_iter();
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy().into_owned();
        if text == "--" {
            parser.operands.extend(rest);
            break;
        } else if let Some(long) = text.strip_prefix("--") {
            let (name, attached) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let Some(spec) = OPTIONS.iter().find(|s| s.0 == name) else {
                return Err(format!(
                    "error: Found argument '--{name}' which wasn't expected, or isn't valid in this context\n\n{USAGE}"
                ));
            };
            if let Some(wish) = parser.take(spec, attached, &mut rest)? {
                return Ok(wish);
            }
        } else if text.len() > 1 && text.starts_with('-') {
            for (i, c) in text.char_indices().skip(1) {
                let Some(spec) = OPTIONS.iter().find(|s| s.1 == c && c != ' ') else {
                    return match c {
                        'z' => Err("-z/--search-zip is not supported: there are no decompression programs"
                            .to_owned()),
                        _ => Err(format!(
                            "error: Found argument '-{c}' which wasn't expected, or isn't valid in this context\n\n{USAGE}"
                        )),
                    };
                };
                if spec.2.is_empty() {
                    if let Some(wish) = parser.take(spec, None, &mut rest)? {
                        return Ok(wish);
                    }
                    continue;
                }
                let attached = &text[i + c.len_utf8()..];
                let attached = attached.strip_prefix('=').unwrap_or(attached);
                let value = (!attached.is_empty()).then(|| attached.to_owned());
                if let Some(wish) = parser.take(spec, value, &mut rest)? {
                    return Ok(wish);
                }
                break;
            }
        } else {
            parser.operands.push(word);
        }
    }
    parser.finish()
}

/// The arguments of the file that `RIPGREP_CONFIG_PATH` names, one a line.
fn configured(arguments: &[OsString]) -> Vec<OsString> {
    let unwanted = arguments.iter().any(|a| a == "--no-config");
    let path = std::env::var_os("RIPGREP_CONFIG_PATH").filter(|p| !p.is_empty() && !unwanted);
    let Some(path) = path else { return Vec::new() };
    match std::fs::read_to_string(&path) {
        Ok(text) => text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(OsString::from)
            .collect(),
        Err(e) => {
            eprintln!("{}: {}", path.display(), io_text(&e));
            Vec::new()
        }
    }
}

#[derive(Default)]
struct Parser {
    options: Options,
    operands: Vec<OsString>,
    patterns: Vec<String>,
    pattern_given: bool,
    stdin_read: bool,
    unrestricted: u8,
    context: [Option<usize>; 3],
}

impl Parser {
    fn take(
        &mut self,
        spec: &Spec,
        attached: Option<String>,
        rest: &mut dyn Iterator<Item = OsString>,
    ) -> Result<Option<Wish>, String> {
        let name = spec.0;
        if spec.2.is_empty() {
            if attached.is_some() {
                return Err(format!(
                    "error: The argument '--{name}' takes no value\n\nFor more information try --help"
                ));
            }
            return self.flag(name);
        }
        let value = match attached {
            Some(value) => value,
            None => match rest.next() {
                Some(value) => value.to_string_lossy().into_owned(),
                None => {
                    return Err(format!(
                        "error: The argument '--{name} <{}>' requires a value but none was supplied\n\nFor more information try --help",
                        spec.2
                    ));
                }
            },
        };
        self.valued(name, value)?;
        Ok(None)
    }

    fn flag(&mut self, name: &str) -> Result<Option<Wish>, String> {
        let o = &mut self.options;
        match name {
            "help" => return Ok(Some(Wish::Say(help()))),
            "version" => return Ok(Some(Wish::Say(version()))),
            "pcre2" | "pcre2-version" => {
                return Err("PCRE2 is not available in this build of ripgrep".to_owned());
            }
            "binary" => o.binary = Binary::Search,
            "no-binary" | "no-text" => o.binary = Binary::Auto,
            "text" => o.binary = Binary::Text,
            "byte-offset" => o.byte_offset = true,
            "case-sensitive" => o.case = Case::Sensitive,
            "ignore-case" => o.case = Case::Insensitive,
            "smart-case" => o.case = Case::Smart,
            "column" => o.column = Some(true),
            "no-column" => o.column = Some(false),
            "count" => o.mode = Mode::Count,
            "count-matches" => o.mode = Mode::CountMatches,
            "crlf" => o.crlf = true,
            "no-crlf" => o.crlf = false,
            "debug" => o.debug = true,
            "files" => o.mode = Mode::Files,
            "files-with-matches" => o.mode = Mode::FilesWithMatches,
            "files-without-match" => o.mode = Mode::FilesWithoutMatch,
            "fixed-strings" => o.fixed = true,
            "no-fixed-strings" => o.fixed = false,
            "follow" => o.follow = true,
            "no-follow" => o.follow = false,
            "glob-case-insensitive" => o.glob_case_insensitive = true,
            "no-glob-case-insensitive" => o.glob_case_insensitive = false,
            "heading" => o.heading = Some(true),
            "no-heading" => o.heading = Some(false),
            "hidden" => o.hidden = true,
            "no-hidden" => o.hidden = false,
            "ignore-file-case-insensitive" => o.ignore_file_case_insensitive = true,
            "no-ignore-file-case-insensitive" => o.ignore_file_case_insensitive = false,
            "include-zero" => o.include_zero = true,
            "invert-match" => o.invert = true,
            "json" => o.mode = Mode::Json,
            "no-json" => o.mode = Mode::Standard,
            "line-number" => o.line_number = Some(true),
            "no-line-number" => o.line_number = Some(false),
            "line-regexp" => o.line = true,
            "word-regexp" => o.word = true,
            "max-columns-preview" => o.max_columns_preview = true,
            "no-max-columns-preview" => o.max_columns_preview = false,
            "multiline" => o.multiline = true,
            "no-multiline" => o.multiline = false,
            "multiline-dotall" => o.multiline_dotall = true,
            "no-multiline-dotall" => o.multiline_dotall = false,
            "no-context-separator" => o.context_separator = None,
            "no-encoding" => o.encoding = None,
            "no-filename" => o.with_filename = Some(false),
            "with-filename" => o.with_filename = Some(true),
            "no-ignore" => self.no_ignore(),
            "no-ignore-dot" => o.no_ignore_dot = true,
            "no-ignore-exclude" => o.no_ignore_exclude = true,
            "no-ignore-files" => o.no_ignore_files = true,
            "no-ignore-global" => o.no_ignore_global = true,
            "no-ignore-messages" => o.no_ignore_messages = true,
            "no-ignore-parent" => o.no_ignore_parent = true,
            "no-ignore-vcs" => o.no_ignore_vcs = true,
            "no-messages" => o.no_messages = true,
            "no-require-git" => o.no_require_git = true,
            "require-git" => o.no_require_git = false,
            "stats" => o.stats = true,
            "no-stats" => o.stats = false,
            "trim" => o.trim = true,
            "no-trim" => o.trim = false,
            "unicode" => o.unicode = true,
            "no-unicode" | "no-pcre2-unicode" => o.unicode = false,
            "null" => o.null = true,
            "null-data" => o.null_data = true,
            "one-file-system" => o.one_file_system = true,
            "no-one-file-system" => o.one_file_system = false,
            "only-matching" => o.only_matching = true,
            "passthru" | "passthrough" => o.passthru = true,
            "pretty" => {
                o.pretty = true;
                o.heading = Some(true);
                o.line_number = Some(true);
            }
            "quiet" => o.quiet = true,
            "stop-on-nonmatch" => o.stop_on_nonmatch = true,
            "type-list" => o.mode = Mode::TypeList,
            "unrestricted" => {
                self.unrestricted += 1;
                match self.unrestricted {
                    1 => self.no_ignore(),
                    2 => o.hidden = true,
                    _ => o.binary = Binary::Search,
                }
            }
            "vimgrep" => o.vimgrep = true,
            // What has no effect here says so in the help.
            _ => {}
        }
        Ok(None)
    }

    fn no_ignore(&mut self) {
        let o = &mut self.options;
        o.no_ignore_dot = true;
        o.no_ignore_exclude = true;
        o.no_ignore_global = true;
        o.no_ignore_parent = true;
        o.no_ignore_vcs = true;
    }

    fn valued(&mut self, name: &str, value: String) -> Result<(), String> {
        let o = &mut self.options;
        let number = || value.parse::<u64>().map_err(|_| "invalid digit found in string".to_owned());
        let count = || value.parse::<usize>().map_err(|_| "invalid digit found in string".to_owned());
        match name {
            "after-context" => self.context[0] = Some(count()?),
            "before-context" => self.context[1] = Some(count()?),
            "context" => self.context[2] = Some(count()?),
            "color" => match value.as_str() {
                "never" => o.color = Some(false),
                "auto" => o.color = None,
                "always" | "ansi" => o.color = Some(true),
                _ => {
                    return Err(format!(
                        "error: '{value}' isn't a valid value for '--color <WHEN>'\n\t[possible values: never, auto, always, ansi]\n\nFor more information try --help"
                    ));
                }
            },
            "colors" => o.colors.push(value),
            "context-separator" => o.context_separator = Some(unescaped(&value)),
            "field-context-separator" => o.field_context_separator = unescaped(&value),
            "field-match-separator" => o.field_match_separator = unescaped(&value),
            "dfa-size-limit" => o.dfa_size_limit = usize::try_from(size(&value)?).ok(),
            "regex-size-limit" => o.size_limit = usize::try_from(size(&value)?).ok(),
            "encoding" => o.encoding = (value != "auto").then_some(value),
            "engine" => match value.as_str() {
                "default" | "auto" => {}
                "pcre2" => return Err("PCRE2 is not available in this build of ripgrep".to_owned()),
                _ => {
                    return Err(format!(
                        "error: '{value}' isn't a valid value for '--engine <ENGINE>'\n\t[possible values: default, pcre2, auto]\n\nFor more information try --help"
                    ));
                }
            },
            "file" => {
                self.pattern_given = true;
                self.patterns.extend(patterns_of(&value, &mut self.stdin_read)?);
            }
            "regexp" => {
                self.pattern_given = true;
                self.patterns.push(value);
            }
            "glob" => o.globs.push(value),
            "iglob" => o.iglobs.push(value),
            "ignore-file" => o.ignore_files.push(value.into()),
            "max-columns" => o.max_columns = Some(number()?).filter(|n| *n > 0),
            "max-count" => o.max_count = Some(number()?),
            "max-depth" => o.max_depth = Some(count()?),
            "max-filesize" => o.max_filesize = Some(size(&value)?),
            "path-separator" => match unescaped(&value)[..] {
                [] => o.path_separator = None,
                [b] => o.path_separator = Some(b),
                _ => {
                    return Err(format!(
                        "A path separator must be exactly one byte, but the given separator is {} bytes: {value}",
                        value.len()
                    ));
                }
            },
            "replace" => o.replace = Some(value),
            "sort" | "sortr" => match value.as_str() {
                "path" => o.reverse = name == "sortr",
                "none" => o.reverse = false,
                "modified" | "accessed" | "created" => {
                    return Err(format!("sorting by '{value}' is not supported: files are sorted by path"));
                }
                _ => {
                    return Err(format!(
                        "error: '{value}' isn't a valid value for '--{name} <SORTBY>'\n\t[possible values: path, modified, accessed, created, none]\n\nFor more information try --help"
                    ));
                }
            },
            "type" => o.types.push(("select", value)),
            "type-not" => o.types.push(("negate", value)),
            "type-add" => o.types.push(("add", value)),
            "type-clear" => o.types.push(("clear", value)),
            "threads" => {
                count()?;
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Wish, String> {
        let o = &mut self.options;
        let both = self.context[2].unwrap_or(0);
        o.after = self.context[0].unwrap_or(both);
        o.before = self.context[1].unwrap_or(both);
        let mut operands = self.operands.into_iter();
        if !matches!(o.mode, Mode::Files | Mode::TypeList) && !self.pattern_given {
            match operands.next() {
                Some(pattern) => self.patterns.push(pattern.to_string_lossy().into_owned()),
                None => {
                    return Err(format!(
                        "error: The following required arguments were not provided:\n    <PATTERN>\n\n{USAGE}"
                    ));
                }
            }
        }
        o.patterns = self.patterns;
        o.paths = operands.map(PathBuf::from).collect();
        if o.paths.is_empty() {
            let search_cwd = o.mode == Mode::Files || self.stdin_read || !stdin_has_data(&mut o.stdin_head)?;
            o.default_path = search_cwd;
            o.paths.push(PathBuf::from(if search_cwd { "./" } else { "-" }));
        }
        Ok(Wish::Run(Box::new(self.options)))
    }
}

/// Whether standard input is what is searched: a file, or a pipe that something comes out of. What was read to find out is
/// put into `head`.
///
/// ripgrep itself searches any pipe. A program that is started without an input has an ended one here, which it would
/// search in vain.
fn stdin_has_data(head: &mut Vec<u8>) -> Result<bool, String> {
    use agentos_guest::fs::{FileType, file_type, fstat};
    match fstat(0).map(|stat| file_type(stat.mode)) {
        Ok(FileType::File) => Ok(true),
        Ok(FileType::Fifo | FileType::Socket) => {
            let read = std::io::stdin().lock().fill_buf().map(|bytes| head.extend_from_slice(bytes));
            read.map_err(|e| format!("<stdin>: {}", io_text(&e)))?;
            Ok(!head.is_empty())
        }
        _ => Ok(false),
    }
}

fn patterns_of(name: &str, stdin_read: &mut bool) -> Result<Vec<String>, String> {
    let mut bytes = Vec::new();
    let read = if name == "-" {
        *stdin_read = true;
        std::io::stdin().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(name).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|e| format!("{name}: {}", io_text(&e)))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::to_owned).collect())
}

fn size(text: &str) -> Result<u64, String> {
    let invalid = || {
        format!(
            "invalid format for size '{text}', which should be a sequence of digits followed by an optional 'K', 'M' or 'G' suffix"
        )
    };
    let (digits, unit) = match text.chars().last() {
        Some('K') => (&text[..text.len() - 1], 1 << 10),
        Some('M') => (&text[..text.len() - 1], 1 << 20),
        Some('G') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(invalid)
}

/// `\n`, `\t`, `\\` and `\x7F` as the bytes they stand for.
fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (byte, length) = match (bytes[at], bytes.get(at + 1)) {
            (b'\\', Some(b'n')) => (b'\n', 2),
            (b'\\', Some(b'r')) => (b'\r', 2),
            (b'\\', Some(b't')) => (b'\t', 2),
            (b'\\', Some(b'0')) => (0, 2),
            (b'\\', Some(b'\\')) => (b'\\', 2),
            (b'\\', Some(b'x')) => {
                match text.get(at + 2..at + 4).and_then(|h| u8::from_str_radix(h, 16).ok()) {
                    Some(byte) => (byte, 4),
                    None => (b'\\', 1),
                }
            }
            (byte, _) => (byte, 1),
        };
        out.push(byte);
        at += length;
    }
    out
}
