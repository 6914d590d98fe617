//! What a specification generates for a word: actions, globs, word lists, functions and commands, then filters and affixes.

use super::Spec;
use crate::compile::word;
use crate::pattern;
use crate::shell::{Flow, Shell};
use crate::symbols::sym;
use crate::vars::Value;

/// How many candidates there are at most.
const MAX_CANDIDATES: usize = 100_000;

/// The variables that a completion function finds.
const VARIABLES: &[&str] = &["COMP_LINE", "COMP_POINT", "COMP_TYPE", "COMP_KEY", "COMP_WORDS", "COMP_CWORD"];

/// What is being completed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// The command whose argument it is.
    pub(crate) command: String,
    /// The word as far as it has been typed.
    pub(crate) word: String,
    /// The word before.
    pub(crate) previous: String,
    pub(crate) line: String,
    pub(crate) point: usize,
    pub(crate) words: Vec<String>,
    /// Which of the words; -1 outside of a line.
    pub(crate) index: i64,
    /// The numbers of `COMP_TYPE` and `COMP_KEY`.
    pub(crate) kind: u32,
    pub(crate) key: u32,
}

impl Shell {
    /// The candidates of a specification.
    pub(crate) fn candidates_of(&mut self, spec: &Spec, request: &Request) -> Result<Vec<String>, Flow> {
        let word = &request.word;
        let mut out = Vec::new();
        let file_actions = ["file", "directory"];
        let plain: Vec<&'static str> =
            spec.actions.iter().copied().filter(|action| !file_actions.contains(action)).collect();
        out.extend(self.complete_actions(&plain, word));
        if spec.actions.contains(&"file") {
            out.extend(self.complete_files(word, false));
        }
        if spec.actions.contains(&"directory") {
            out.extend(self.complete_files(word, true));
        }
        if let Some(glob) = &spec.glob {
            out.extend(self.paths_of(glob)?);
        }
        if let Some(words) = &spec.words {
            out.extend(self.words_of(words)?.into_iter().filter(|w| w.starts_with(word.as_str())));
        }
        if let Some(function) = &spec.function {
            out.extend(self.reply_of(function, spec, request)?);
        }
        if let Some(command) = &spec.command {
            out.extend(self.lines_of(command, request)?);
        }
        if let Some(filter) = &spec.filter {
            // With `extglob`, `!(` begins a pattern.
            let negated =
                filter.strip_prefix('!').filter(|rest| !self.shopts.extglob || !rest.starts_with('('));
            let (keep, filter) = match negated {
                Some(rest) => (true, rest),
                None => (false, filter.as_str()),
            };
            let filter = with_word(filter, word);
            let rules = self.pattern_rules(true);
            out.retain(|candidate| pattern::matches(&filter, candidate, rules) == keep);
        }
        out.truncate(MAX_CANDIDATES);
        let prefix = spec.prefix.as_deref().unwrap_or_default();
        let suffix = spec.suffix.as_deref().unwrap_or_default();
        if !prefix.is_empty() || !suffix.is_empty() {
            out = out.iter().map(|candidate| format!("{prefix}{candidate}{suffix}")).collect();
        }
        if spec.has("dirnames") && out.is_empty() || spec.has("plusdirs") {
            out.extend(self.complete_files(word, true));
        }
        Ok(out)
    }

    /// As [`Shell::candidates_of`], and files if there are none and the specification wants them then.
    pub(crate) fn candidates_or_files(
        &mut self,
        spec: &Spec,
        request: &Request,
    ) -> Result<Vec<String>, Flow> {
        let out = self.candidates_of(spec, request)?;
        if out.is_empty() && spec.has("default") {
            return Ok(self.complete_files(&request.word, false));
        }
        Ok(out)
    }

    fn paths_of(&mut self, glob: &str) -> Result<Vec<String>, Flow> {
        let Ok(word) = word::parse(glob, self.line, word::Mode::Word) else { return Ok(Vec::new()) };
        let nullglob = std::mem::replace(&mut self.shopts.nullglob, true);
        let mut out = Vec::new();
        let result = self.expand_fields(&word, &mut out);
        self.shopts.nullglob = nullglob;
        result?;
        Ok(out)
    }

    /// The words of `-W`: split at separators that are not quoted, and expanded except for file names.
    fn words_of(&mut self, text: &str) -> Result<Vec<String>, Flow> {
        let separators =
            self.vars.get(crate::symbols::IFS).map_or(" \t\n".to_owned(), |ifs| ifs.into_owned());
        let noglob = std::mem::replace(&mut self.opts.noglob, true);
        let mut out = Vec::new();
        let mut result = Ok(());
        for part in split(text, &separators) {
            let parsed = word::parse(part, self.line, word::Mode::Word);
            result = match parsed {
                Ok(word) => self.expand_fields(&word, &mut out),
                Err(error) => {
                    self.error(&crate::shell::syntax_message(&error));
                    self.status = 1;
                    Err(Flow::Discard)
                }
            };
            if result.is_err() {
                break;
            }
        }
        self.opts.noglob = noglob;
        result.map(|()| out)
    }

    /// Calls the function of `-F` and takes `COMPREPLY`.
    fn reply_of(&mut self, function: &str, spec: &Spec, request: &Request) -> Result<Vec<String>, Flow> {
        if !self.functions.contains_key(function) {
            self.write_error(&format!(
                "{}: line {}: completion: function `{function}' not found\n",
                self.zero, self.line
            ));
            return Ok(Vec::new());
        }
        self.flush();
        self.put_request(request);
        self.vars.remove(sym("COMPREPLY"));
        let before = self.completions.running.replace(spec.clone());
        let call = [function, &request.command, &request.word, &request.previous].map(str::to_owned);
        let (status, pipestatus) = (self.status, self.pipestatus.clone());
        let result = self.call_words(&call);
        self.pipestatus = pipestatus;
        self.completions.running = before;
        let reply = self.get_elements(sym("COMPREPLY"));
        for name in VARIABLES.iter().chain(&["COMPREPLY"]) {
            self.vars.remove(sym(name));
        }
        result?;
        self.status = status;
        Ok(reply)
    }

    fn put_request(&mut self, request: &Request) {
        self.vars.put_str(sym("COMP_LINE"), request.line.as_str());
        self.vars.put_str(sym("COMP_POINT"), request.point.to_string());
        self.vars.put_str(sym("COMP_TYPE"), request.kind.to_string());
        self.vars.put_str(sym("COMP_KEY"), request.key.to_string());
        self.vars.put_str(sym("COMP_CWORD"), request.index.to_string());
        let words = request.words.iter().enumerate().map(|(i, word)| (i as i64, word.clone())).collect();
        self.vars.put(sym("COMP_WORDS"), Value::Array(words));
    }

    /// Runs the command of `-C` and takes its lines.
    fn lines_of(&mut self, command: &str, request: &Request) -> Result<Vec<String>, Flow> {
        self.flush();
        let quote = crate::expand_quote;
        let text = format!(
            "$({command} {} {} {})",
            quote(&request.command),
            quote(&request.word),
            quote(&request.previous)
        );
        let exported = [
            ("COMP_LINE", request.line.clone()),
            ("COMP_POINT", request.point.to_string()),
            ("COMP_TYPE", request.kind.to_string()),
            ("COMP_KEY", request.key.to_string()),
        ];
        for (name, value) in exported {
            self.vars.put_str(sym(name), value);
            self.vars.set_flags(sym(name), crate::vars::EXPORT, 0);
        }
        let status = self.status;
        let output = match word::parse(&text, self.line, word::Mode::Double) {
            Ok(word) => self.expand_string(&word),
            Err(_) => Ok(String::new()),
        };
        for name in VARIABLES {
            self.vars.remove(sym(name));
        }
        self.status = status;
        Ok(output?.lines().map(str::to_owned).collect())
    }
}

/// A filter with the word for each `&` that is not quoted.
fn with_word(filter: &str, word: &str) -> String {
    let mut out = String::new();
    let mut chars = filter.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('&') => out.push('&'),
                other => {
                    out.push(c);
                    out.extend(other);
                }
            },
            '&' => out.push_str(word),
            c => out.push(c),
        }
    }
    out
}

/// Splits text at separators that are not quoted.
fn split<'a>(text: &'a str, separators: &str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let (mut quote, mut depth) = (None, 0u32);
    let mut chars = text.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        match (quote, c) {
            (Some('\''), c) if c != '\'' => {}
            (_, '\\') => drop(chars.next()),
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '$') if matches!(chars.peek(), Some((_, '(' | '{'))) => {
                depth += 1;
                chars.next();
            }
            (None, '(' | '{') if depth > 0 => depth += 1,
            (None, ')' | '}') if depth > 0 => depth -= 1,
            (None, c) if depth == 0 && separators.contains(c) => {
                if i > start {
                    parts.push(&text[start..i]);
                }
                start = i + c.len_utf8();
            }
            _ => {}
        }
    }
    if start < text.len() {
        parts.push(&text[start..]);
    }
    parts
}
