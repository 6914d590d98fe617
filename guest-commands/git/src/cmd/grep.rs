//! `git grep`: lines of tracked files, of the index, or of trees that fit a pattern or a combination of patterns.

use crate::bytes;
use crate::changes;
use crate::diffout;
use crate::error::{Res, Stop, fatal, out, put};
use crate::oid::Oid;
use crate::regex::Regex;
use crate::repo::{Repo, Setting};
use crate::{revision, walk, worktree};
use agentos_guest::fs::lstat;
use std::fs;

const USAGE: &str = r#"[<options>] [-e] <pattern> [<rev>...] [[--] <path>...]

    --[no-]cached         search in index instead of in the work tree
    --no-index            find in contents not managed by git
    --index               opposite of --no-index
    --[no-]untracked      search in both tracked and untracked files
    --[no-]exclude-standard
                          ignore files specified via '.gitignore'
    --[no-]recurse-submodules
                          recursively search in each submodule

    -v, --[no-]invert-match
                          show non-matching lines
    -i, --[no-]ignore-case
                          case insensitive matching
    -w, --[no-]word-regexp
                          match patterns only at word boundaries
    -a, --[no-]text       process binary files as text
    -I                    don't match patterns in binary files
    --[no-]textconv       process binary files with textconv filters
    -r, --[no-]recursive  search in subdirectories (default)
    --max-depth <n>       descend at most <n> levels

    -E, --[no-]extended-regexp
                          use extended POSIX regular expressions
    -G, --[no-]basic-regexp
                          use basic POSIX regular expressions (default)
    -F, --[no-]fixed-strings
                          interpret patterns as fixed strings
    -P, --[no-]perl-regexp
                          use Perl-compatible regular expressions

    -n, --[no-]line-number
                          show line numbers
    --[no-]column         show column number of first match
    -h                    don't show filenames
    -H                    show filenames
    --[no-]full-name      show filenames relative to top directory
    -l, --[no-]files-with-matches
                          show only filenames instead of matching lines
    --[no-]name-only      synonym for --files-with-matches
    -L, --[no-]files-without-match
                          show only the names of files without match
    -z, --[no-]null       print NUL after filenames
    -o, --[no-]only-matching
                          show only matching parts of a line
    -c, --[no-]count      show the number of matches instead of matching lines
    --[no-]color[=<when>] highlight matches
    --[no-]break          print empty line between matches from different files
    --[no-]heading        show filename only once above matches from same file

    -C, --[no-]context <n>
                          show <n> context lines before and after matches
    -B, --[no-]before-context <n>
                          show <n> context lines before matches
    -A, --[no-]after-context <n>
                          show <n> context lines after matches
    --[no-]threads <n>    use <n> worker threads
    -NUM                  shortcut for -C NUM
    -p, --[no-]show-function
                          show a line with the function name before matches
    -W, --[no-]function-context
                          show the surrounding function

    -f <file>             read patterns from file
    -e <pattern>          match <pattern>
    --and                 combine patterns specified with -e
    --or
    --not
    (
    )
    -q, --[no-]quiet      indicate hit with exit status without output
    --[no-]all-match      show only matches from files that match all patterns

    -O, --[no-]open-files-in-pager[=<pager>]
                          show matching files in the pager
    --[no-]ext-grep       allow calling of grep(1) (ignored by this build)
    -m, --[no-]max-count <n>
                          maximum number of results per file
"#;

/// A combination of patterns.
enum Expression {
    /// The place of a pattern in the list.
    Pattern(usize),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
}

/// What the words say before they are one expression.
#[derive(Clone, PartialEq)]
enum Token {
    Pattern(String),
    And,
    Or,
    Not,
    Open,
    Close,
}

#[derive(Default)]
struct Options {
    fold: bool,
    word: bool,
    invert: bool,
    number: bool,
    column: bool,
    names: Option<bool>,
    list: bool,
    list_without: bool,
    count: bool,
    only: bool,
    quiet: bool,
    text: bool,
    skip_binary: bool,
    nul: bool,
    full_name: bool,
    heading: bool,
    breaks: bool,
    color: bool,
    all_match: bool,
    function: bool,
    before: usize,
    after: usize,
    max: Option<usize>,
    depth: Option<usize>,
    syntax: Option<walk::Syntax>,
}

/// A search and what it has printed.
struct Search<'a> {
    repo: &'a Repo,
    o: Options,
    patterns: Vec<Regex>,
    expression: Expression,
    /// Patterns of which each file must have a line (`--all-match`).
    all: Vec<usize>,
    hit: bool,
    printed: bool,
}

pub(crate) fn grep(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut o = Options::default();
    let mut tokens: Vec<Token> = Vec::new();
    let mut plain: Vec<Vec<u8>> = Vec::new();
    let (mut cached, mut untracked, mut no_index, mut standard) = (false, false, false, true);
    let mut dashdash = None;
    let mut color = None;
    let mut at = 0;
    let mut given = false;
    while at < words.len() {
        let word = bytes::text(&words[at]);
        at += 1;
        if word == "--" {
            dashdash = Some(plain.len());
            plain.extend(words[at..].iter().cloned());
            break;
        }
        match word.as_str() {
            "(" => {
                tokens.push(Token::Open);
                continue;
            }
            ")" => {
                tokens.push(Token::Close);
                continue;
            }
            _ if !word.starts_with('-') || word == "-" => {
                plain.push(words[at - 1].clone());
                continue;
            }
            _ => {}
        }
        let (name, own) = match word.split_once('=') {
            Some((name, value)) if word.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
            _ => (word.clone(), None),
        };
        // Short options may stand together; one with a value takes the rest.
        let letters: Vec<String> = if name.starts_with("--") {
            vec![name]
        } else if name[1..].bytes().all(|b| b.is_ascii_digit()) {
            vec![format!("-C{}", &name[1..])]
        } else {
            let mut list = Vec::new();
            for (i, c) in name[1..].char_indices() {
                if matches!(c, 'e' | 'f' | 'A' | 'B' | 'C' | 'm' | 'O') {
                    list.push(format!("-{c}{}", &name[1 + i + c.len_utf8()..]));
                    break;
                }
                list.push(format!("-{c}"));
            }
            list
        };
        for option in letters {
            let (key, rest) = match option.strip_prefix("--") {
                Some(_) => (option.as_str(), own.clone()),
                None => (&option[..2], (option.len() > 2).then(|| option[2..].to_owned())),
            };
            let mut value = |what: &str| -> Res<String> {
                if let Some(rest) = &rest {
                    return Ok(rest.clone());
                }
                at += 1;
                match words.get(at - 1) {
                    Some(word) => Ok(bytes::text(word)),
                    None => Err(Stop::Error(129, format!("{what} requires a value"))),
                }
            };
            let number = |text: String, what: &str| -> Res<usize> {
                text.parse().map_err(|_| Stop::Error(129, format!("{what} expects a numerical value")))
            };
            match key {
                "-e" => {
                    tokens.push(Token::Pattern(value("switch `e'")?));
                    given = true;
                }
                "-f" => {
                    let file = value("switch `f'")?;
                    let text = if file == "-" {
                        agentos_guest::fd::read_to_end(0)?
                    } else {
                        match fs::read(&file) {
                            Ok(text) => text,
                            Err(e) => fatal!("cannot open '{file}': {}", agentos_guest::strerror(&e)),
                        }
                    };
                    for line in bytes::text(&text).lines() {
                        tokens.push(Token::Pattern(line.to_owned()));
                    }
                    given = true;
                }
                "--and" => tokens.push(Token::And),
                "--or" => tokens.push(Token::Or),
                "--not" => tokens.push(Token::Not),
                "--cached" => cached = true,
                "--no-index" => no_index = true,
                "--untracked" => untracked = true,
                "--exclude-standard" => standard = true,
                "--no-exclude-standard" => standard = false,
                "-v" | "--invert-match" => o.invert = true,
                "-i" | "--ignore-case" => o.fold = true,
                "-w" | "--word-regexp" => o.word = true,
                "-a" | "--text" => o.text = true,
                "-I" => o.skip_binary = true,
                "-E" | "--extended-regexp" | "-P" | "--perl-regexp" => {
                    o.syntax = Some(walk::Syntax::Extended)
                }
                "-G" | "--basic-regexp" => o.syntax = Some(walk::Syntax::Basic),
                "-F" | "--fixed-strings" => o.syntax = Some(walk::Syntax::Fixed),
                "-n" | "--line-number" => o.number = true,
                "--no-line-number" => o.number = false,
                "--column" => o.column = true,
                "-h" => o.names = Some(false),
                "-H" => o.names = Some(true),
                "--full-name" => o.full_name = true,
                "-l" | "--files-with-matches" | "--name-only" => o.list = true,
                "-L" | "--files-without-match" => o.list_without = true,
                "-z" | "--null" => o.nul = true,
                "-o" | "--only-matching" => o.only = true,
                "-c" | "--count" => o.count = true,
                "-q" | "--quiet" => o.quiet = true,
                "--color" => color = Some(rest.unwrap_or_else(|| "always".to_owned())),
                "--no-color" => color = Some("never".to_owned()),
                "--break" => o.breaks = true,
                "--heading" => o.heading = true,
                "-p" | "--show-function" => o.function = true,
                "--all-match" => o.all_match = true,
                "-A" | "--after-context" => o.after = number(value("switch `A'")?, "switch `A'")?,
                "-B" | "--before-context" => o.before = number(value("switch `B'")?, "switch `B'")?,
                "-C" | "--context" => {
                    o.after = number(value("switch `C'")?, "switch `C'")?;
                    o.before = o.after;
                }
                "-m" | "--max-count" => o.max = Some(number(value("switch `m'")?, "switch `m'")?),
                "--max-depth" => o.depth = value("option `max-depth'")?.parse().ok(),
                "--threads" => {
                    value("option `threads'")?;
                }
                "-r" | "--recursive" | "--no-textconv" | "--no-recurse-submodules" => {}
                "-W"
                | "--function-context"
                | "--textconv"
                | "--recurse-submodules"
                | "-O"
                | "--open-files-in-pager"
                | "--no-recursive" => fatal!("option {key} is not supported"),
                _ => {
                    let what = match key.strip_prefix("--") {
                        Some(long) => format!("error: unknown option `{long}'"),
                        None => format!("error: unknown switch `{}'", &key[1..]),
                    };
                    return Err(Stop::Said(129, format!("{what}\nusage: git grep {USAGE}")));
                }
            }
        }
    }
    if !given && !tokens.iter().any(|t| matches!(t, Token::Pattern(_))) {
        if plain.is_empty() {
            fatal!("no pattern given");
        }
        let pattern = bytes::text(&plain.remove(0));
        dashdash = dashdash.map(|d| d.saturating_sub(1));
        tokens.extend(pattern.split('\n').map(|p| Token::Pattern(p.to_owned())));
    }
    let repo = Repo::open(setting)?;
    let get = |key: &str| repo.config.get(key);
    o.number |= repo.config.flag("grep.linenumber", false);
    o.color = match color.as_deref() {
        Some("always") => true,
        Some("never") => false,
        _ => diffout::color_wanted(get("color.grep").or_else(|| get("color.ui")).as_deref()),
    };
    let syntax = o.syntax.unwrap_or(match get("grep.patterntype").as_deref() {
        Some("extended" | "perl") => walk::Syntax::Extended,
        Some("fixed") => walk::Syntax::Fixed,
        _ => walk::Syntax::Basic,
    });
    let mut patterns = Vec::new();
    for token in &tokens {
        if let Token::Pattern(text) = token {
            let made = match syntax {
                walk::Syntax::Fixed => Regex::fixed(text, o.fold),
                walk::Syntax::Basic => Regex::new(text, false, o.fold),
                walk::Syntax::Extended => Regex::new(text, true, o.fold),
            };
            match made {
                Ok(regex) => patterns.push(regex),
                Err(_) => fatal!("command line, '{text}': Invalid regular expression"),
            }
        }
    }
    let mut reader = Reader { tokens: &tokens, at: 0, patterns: 0 };
    let mut all = Vec::new();
    let Some(expression) = reader.or(&mut all) else { fatal!("not a pattern expression") };
    if reader.at < tokens.len() {
        fatal!("incomplete pattern expression group");
    }
    // Revisions come first, then paths.
    let limit = dashdash.unwrap_or(plain.len());
    let mut trees: Vec<(String, Oid)> = Vec::new();
    let mut used = 0;
    while used < limit && !no_index && !untracked {
        let text = bytes::text(&plain[used]);
        match revision::find(&repo, &text) {
            Ok(Some(oid)) => trees.push((text, oid)),
            _ if dashdash.is_some() => fatal!("unable to resolve revision: {text}"),
            _ => break,
        }
        used += 1;
    }
    let paths = plain[if dashdash.is_some() { limit } else { used }..].to_vec();
    if dashdash.is_none() {
        for word in &paths {
            walk::check_path(&repo, word)?;
        }
    }
    let mut spec = repo.pathspec(&paths)?;
    if paths.is_empty() && !repo.prefix.is_empty() {
        spec = repo.pathspec(&[b".".to_vec()])?;
    }
    let mut search = Search { repo: &repo, o, patterns, expression, all, hit: false, printed: false };
    let depth = search.o.depth;
    let too_deep = |path: &[u8]| {
        depth.is_some_and(|d| {
            let base = if repo.prefix.is_empty() { 0 } else { repo.prefix.len() + 1 };
            path[base.min(path.len())..].iter().filter(|b| **b == b'/').count() > d
        })
    };
    if !trees.is_empty() {
        for (name, oid) in &trees {
            let Some(tree) = repo.odb.peel_tree(oid)? else { fatal!("unable to read tree ({oid})") };
            for (path, (mode, blob)) in changes::files(&repo, Some(tree))? {
                if mode & 0o170_000 == 0o100_000 && spec.matches(&path) && !too_deep(&path) {
                    let shown = bytes::text(&search.shown(&path));
                    let separator = if name.contains(':') { "/" } else { ":" };
                    search.file(format!("{name}{separator}{shown}").as_bytes(), &repo.odb.blob(&blob)?)?;
                }
            }
        }
        return Ok(i32::from(!search.hit));
    }
    if !cached {
        repo.need_work_tree()?;
    }
    let index = repo.index()?;
    let mut files: Vec<(Vec<u8>, Option<Oid>)> = Vec::new();
    for entry in &index.entries {
        if entry.mode & 0o170_000 == 0o100_000
            && spec.matches(&entry.path)
            && files.last().is_none_or(|f| f.0 != entry.path)
        {
            files.push((entry.path.clone(), Some(entry.oid)));
        }
    }
    if untracked || no_index {
        let ignore = if standard && !no_index { repo.ignore() } else { crate::ignore::Ignore::none() };
        let found =
            worktree::untracked(&index, &ignore, &spec, worktree::Walk { collapse: false, ignored: false })?;
        files.extend(found.untracked.into_iter().filter(|p| !p.ends_with(b"/")).map(|p| (p, None)));
        files.sort();
    }
    for (path, oid) in files {
        if too_deep(&path) {
            continue;
        }
        let text = match oid {
            Some(oid) if cached => repo.odb.blob(&oid)?.to_vec(),
            _ => match lstat(bytes::path(&path)) {
                Ok(stat) if agentos_guest::fs::file_type(stat.mode) == agentos_guest::fs::FileType::File => {
                    fs::read(bytes::path(&path))?
                }
                _ => continue,
            },
        };
        let shown = search.shown(&path);
        search.file(&shown, &text)?;
        if search.o.quiet && search.hit {
            break;
        }
    }
    Ok(i32::from(!search.hit))
}

/// Makes an expression of tokens; patterns without a word between them are alternatives.
struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    patterns: usize,
}

impl Reader<'_> {
    fn or(&mut self, all: &mut Vec<usize>) -> Option<Expression> {
        let before = self.patterns;
        let mut left = self.and()?;
        all.push(before);
        while let Some(token) = self.tokens.get(self.at) {
            match token {
                Token::Close => break,
                Token::Or => self.at += 1,
                _ => {}
            }
            all.push(self.patterns);
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Some(left)
    }

    fn and(&mut self) -> Option<Expression> {
        let mut left = self.not()?;
        while self.tokens.get(self.at) == Some(&Token::And) {
            self.at += 1;
            left = Expression::And(Box::new(left), Box::new(self.not()?));
        }
        Some(left)
    }

    fn not(&mut self) -> Option<Expression> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        match token {
            Token::Not => Some(Expression::Not(Box::new(self.not()?))),
            Token::Open => {
                let inner = self.or(&mut Vec::new())?;
                if self.tokens.get(self.at) != Some(&Token::Close) {
                    return None;
                }
                self.at += 1;
                Some(inner)
            }
            Token::Pattern(_) => {
                self.patterns += 1;
                Some(Expression::Pattern(self.patterns - 1))
            }
            _ => None,
        }
    }
}

impl Search<'_> {
    fn shown(&self, path: &[u8]) -> Vec<u8> {
        let path = if self.o.full_name { path.to_vec() } else { self.repo.relative(path) };
        if self.o.nul { path } else { bytes::quote(&path, self.repo.quote_path()) }
    }

    /// Where a pattern fits in a line.
    fn find(&self, pattern: usize, line: &[u8], from: usize) -> Option<(usize, usize)> {
        let mut from = from;
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        while let Some((start, end)) = self.patterns[pattern].find(line, from) {
            let apart = (start == 0 || !is_word(line[start - 1]))
                && line.get(end).is_none_or(|b| !is_word(*b))
                && start < end;
            if !self.o.word || apart {
                return Some((start, end));
            }
            from = start + 1;
            if from > line.len() {
                break;
            }
        }
        None
    }

    fn fits(&self, expression: &Expression, line: &[u8]) -> bool {
        match expression {
            Expression::Pattern(at) => self.find(*at, line, 0).is_some(),
            Expression::Not(inner) => !self.fits(inner, line),
            Expression::And(a, b) => self.fits(a, line) && self.fits(b, line),
            Expression::Or(a, b) => self.fits(a, line) || self.fits(b, line),
        }
    }

    /// The first match of any pattern from a place on.
    fn next(&self, line: &[u8], from: usize) -> Option<(usize, usize)> {
        (0..self.patterns.len())
            .filter_map(|p| self.find(p, line, from))
            .min_by_key(|(start, end)| (*start, std::cmp::Reverse(*end)))
    }

    fn paint(&self, text: &[u8], code: &str) -> Vec<u8> {
        if self.o.color && !code.is_empty() {
            [b"\x1b[", code.as_bytes(), b"m", text, b"\x1b[m"].concat()
        } else {
            text.to_vec()
        }
    }

    fn file(&mut self, name: &[u8], text: &[u8]) -> Res<()> {
        let binary = !self.o.text && text[..text.len().min(8000)].contains(&0);
        if binary && self.o.skip_binary {
            return Ok(());
        }
        let lines: Vec<&[u8]> =
            text.split_inclusive(|b| *b == b'\n').map(|l| l.strip_suffix(b"\n").unwrap_or(l)).collect();
        let mut hits: Vec<usize> = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            if self.fits(&self.expression, line) != self.o.invert {
                hits.push(at);
                if self.o.max.is_some_and(|m| hits.len() >= m) {
                    break;
                }
                if (self.o.list || self.o.list_without || self.o.quiet) && !self.o.all_match {
                    break;
                }
            }
        }
        if self.o.max == Some(0) {
            hits.clear();
        }
        if self.o.all_match && !self.all.iter().all(|p| lines.iter().any(|l| self.find(*p, l, 0).is_some())) {
            hits.clear();
        }
        let end: &[u8] = if self.o.nul { b"\0" } else { b"\n" };
        if self.o.list_without {
            if hits.is_empty() {
                self.hit = true;
                put(&[&self.paint(name, "35")[..], end].concat());
            }
            return Ok(());
        }
        if hits.is_empty() {
            return Ok(());
        }
        self.hit = true;
        if self.o.quiet {
            return Ok(());
        }
        if self.o.list {
            put(&[&self.paint(name, "35")[..], end].concat());
            return Ok(());
        }
        let names = self.o.names.unwrap_or(true);
        if self.o.count {
            if names {
                put(&self.paint(name, "35"));
                put(if self.o.nul { b"\0".to_vec() } else { self.paint(b":", "36") }.as_slice());
            }
            out!("{}\n", hits.len());
            return Ok(());
        }
        if binary {
            put(&[b"Binary file ", &self.paint(name, "35")[..], b" matches\n"].concat());
            return Ok(());
        }
        self.lines(name, &lines, &hits, names)
    }

    fn lines(&mut self, name: &[u8], lines: &[&[u8]], hits: &[usize], names: bool) -> Res<()> {
        if self.o.breaks && self.printed {
            put(b"\n");
        } else if self.printed && (self.o.before > 0 || self.o.after > 0) && !self.o.breaks {
            put(&[&self.paint(b"--", "36")[..], b"\n"].concat());
        }
        if self.o.heading && names {
            put(&[&self.paint(name, "35")[..], b"\n"].concat());
        }
        self.printed = true;
        let mut last: Option<usize> = None;
        let mut shown_function = None;
        for (n, at) in hits.iter().enumerate() {
            if self.o.function {
                let is_function =
                    |l: &[u8]| l.first().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'$'));
                let found = (0..*at).rev().find(|i| is_function(lines[*i]));
                if let Some(found) = found
                    && shown_function != Some(found)
                    && last.is_none_or(|l| found > l)
                {
                    self.line(name, lines[found], found, b'=', names);
                    shown_function = Some(found);
                }
            }
            let from = at.saturating_sub(self.o.before).max(last.map_or(0, |l| l + 1));
            if let Some(l) = last
                && from > l + 1
                && (self.o.before > 0 || self.o.after > 0)
            {
                put(&[&self.paint(b"--", "36")[..], b"\n"].concat());
            }
            for (i, line) in lines.iter().enumerate().take(*at).skip(from) {
                self.line(name, line, i, b'-', names);
            }
            self.line(name, lines[*at], *at, b':', names);
            last = Some(*at);
            let until = (at + self.o.after).min(lines.len().saturating_sub(1));
            let until = hits.get(n + 1).map_or(until, |next| until.min(next - 1));
            for (i, line) in lines.iter().enumerate().take(until + 1).skip(at + 1) {
                self.line(name, line, i, b'-', names);
                last = Some(i);
            }
        }
        Ok(())
    }

    /// A line with what stands before it.
    fn line(&self, name: &[u8], line: &[u8], at: usize, sign: u8, names: bool) {
        let separator = self.paint(&[sign], "36");
        let head = |column: usize| {
            let mut out = Vec::new();
            if names && !self.o.heading {
                out.extend(self.paint(name, "35"));
                out.extend(if self.o.nul { b"\0".to_vec() } else { separator.clone() });
            }
            if self.o.number {
                out.extend(self.paint((at + 1).to_string().as_bytes(), "32"));
                out.extend(&separator);
            }
            if self.o.column && sign == b':' {
                out.extend(self.paint((column + 1).to_string().as_bytes(), "32"));
                out.extend(&separator);
            }
            out
        };
        let first = self.next(line, 0);
        if self.o.only && sign == b':' && !self.o.invert {
            let mut from = 0;
            while let Some((start, end)) = self.next(line, from) {
                if end > start {
                    put(&[&head(start)[..], &self.paint(&line[start..end], "1;31"), b"\n"].concat());
                }
                from = end.max(start + 1);
                if from > line.len() {
                    break;
                }
            }
            return;
        }
        if self.o.only && sign != b':' {
            return;
        }
        put(&head(first.map_or(0, |f| f.0)));
        let mut from = 0;
        if self.o.color && sign == b':' && !self.o.invert {
            while let Some((start, end)) = self.next(line, from) {
                if end == start {
                    break;
                }
                put(&line[from..start]);
                put(&self.paint(&line[start..end], "1;31"));
                from = end;
            }
        }
        put(&line[from..]);
        put(b"\n");
    }
}
