//! What a command line of rg says, after parsing: values only.

use std::ffi::OsString;
use std::path::PathBuf;

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Standard,
    Json,
    Count,
    CountMatches,
    FilesWithMatches,
    FilesWithoutMatch,
    /// Only the names of what would be searched.
    Files,
    TypeList,
}

/// Upper and lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Sensitive,
    Insensitive,
    Smart,
}

/// Files that are binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    /// Not searched beyond the first NUL, explicit ones until a match.
    Auto,
    /// Searched until a match.
    Search,
    /// Text.
    Text,
}

/// All options.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) patterns: Vec<String>,
    pub(crate) paths: Vec<PathBuf>,
    /// No path was given, so the working directory is searched.
    pub(crate) default_path: bool,
    /// What was read of standard input already.
    pub(crate) stdin_head: Vec<u8>,
    pub(crate) case: Case,
    pub(crate) fixed: bool,
    pub(crate) word: bool,
    pub(crate) line: bool,
    pub(crate) invert: bool,
    pub(crate) multiline: bool,
    pub(crate) multiline_dotall: bool,
    pub(crate) unicode: bool,
    pub(crate) crlf: bool,
    pub(crate) null_data: bool,
    pub(crate) size_limit: Option<usize>,
    pub(crate) dfa_size_limit: Option<usize>,
    pub(crate) before: usize,
    pub(crate) after: usize,
    pub(crate) passthru: bool,
    pub(crate) max_count: Option<u64>,
    pub(crate) stop_on_nonmatch: bool,
    pub(crate) binary: Binary,
    pub(crate) encoding: Option<String>,
    pub(crate) line_number: Option<bool>,
    pub(crate) with_filename: Option<bool>,
    pub(crate) heading: Option<bool>,
    pub(crate) column: Option<bool>,
    pub(crate) byte_offset: bool,
    pub(crate) only_matching: bool,
    pub(crate) vimgrep: bool,
    pub(crate) replace: Option<String>,
    pub(crate) quiet: bool,
    pub(crate) stats: bool,
    pub(crate) trim: bool,
    pub(crate) null: bool,
    pub(crate) include_zero: bool,
    pub(crate) max_columns: Option<u64>,
    pub(crate) max_columns_preview: bool,
    pub(crate) context_separator: Option<Vec<u8>>,
    pub(crate) field_match_separator: Vec<u8>,
    pub(crate) field_context_separator: Vec<u8>,
    pub(crate) path_separator: Option<u8>,
    pub(crate) color: Option<bool>,
    /// As at a terminal.
    pub(crate) pretty: bool,
    pub(crate) colors: Vec<String>,
    pub(crate) no_messages: bool,
    pub(crate) no_ignore_messages: bool,
    pub(crate) debug: bool,
    pub(crate) reverse: bool,
    pub(crate) hidden: bool,
    pub(crate) follow: bool,
    pub(crate) one_file_system: bool,
    pub(crate) max_depth: Option<usize>,
    pub(crate) max_filesize: Option<u64>,
    pub(crate) globs: Vec<String>,
    pub(crate) iglobs: Vec<String>,
    pub(crate) glob_case_insensitive: bool,
    /// Changes to file types in their order: `add`, `clear`, `select`, `negate`.
    pub(crate) types: Vec<(&'static str, String)>,
    pub(crate) ignore_files: Vec<OsString>,
    pub(crate) no_ignore_dot: bool,
    pub(crate) no_ignore_exclude: bool,
    pub(crate) no_ignore_files: bool,
    pub(crate) no_ignore_global: bool,
    pub(crate) no_ignore_parent: bool,
    pub(crate) no_ignore_vcs: bool,
    pub(crate) no_require_git: bool,
    pub(crate) ignore_file_case_insensitive: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            mode: Mode::Standard,
            patterns: Vec::new(),
            paths: Vec::new(),
            default_path: false,
            stdin_head: Vec::new(),
            case: Case::Sensitive,
            fixed: false,
            word: false,
            line: false,
            invert: false,
            multiline: false,
            multiline_dotall: false,
            unicode: true,
            crlf: false,
            null_data: false,
            size_limit: None,
            dfa_size_limit: None,
            before: 0,
            after: 0,
            passthru: false,
            max_count: None,
            stop_on_nonmatch: false,
            binary: Binary::Auto,
            encoding: None,
            line_number: None,
            with_filename: None,
            heading: None,
            column: None,
            byte_offset: false,
            only_matching: false,
            vimgrep: false,
            replace: None,
            quiet: false,
            stats: false,
            trim: false,
            null: false,
            include_zero: false,
            max_columns: None,
            max_columns_preview: false,
            context_separator: Some(b"--".to_vec()),
            field_match_separator: b":".to_vec(),
            field_context_separator: b"-".to_vec(),
            path_separator: None,
            color: None,
            pretty: false,
            colors: Vec::new(),
            no_messages: false,
            no_ignore_messages: false,
            debug: false,
            reverse: false,
            hidden: false,
            follow: false,
            one_file_system: false,
            max_depth: None,
            max_filesize: None,
            globs: Vec::new(),
            iglobs: Vec::new(),
            glob_case_insensitive: false,
            types: Vec::new(),
            ignore_files: Vec::new(),
            no_ignore_dot: false,
            no_ignore_exclude: false,
            no_ignore_files: false,
            no_ignore_global: false,
            no_ignore_parent: false,
            no_ignore_vcs: false,
            no_require_git: false,
            ignore_file_case_insensitive: false,
        }
    }
}
