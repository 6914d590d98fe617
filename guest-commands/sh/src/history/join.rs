//! How the lines of one command become one entry: what stands between them. It understands just enough of the grammar to
//! know where a semicolon may stand; it judges nothing.

/// Where a line begins within a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Within quotes, or a substitution.
    Quoted,
    /// Within a here-document.
    Document,
    /// Between the elements of `name=( )`.
    Elements,
    /// Between words; which text goes before the line, and whether the line before was blank.
    Code { between: &'static str, after_blank: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Newline,
    Word(&'a str),
    Reserved(&'a str),
    Operator(&'a str),
}

impl Place {
    /// The place after the text of a command so far, which ends with a newline.
    pub(super) fn after(before: &str) -> Place {
        Scanner { text: before, at: 0, tokens: Vec::new(), documents: Vec::new(), cases: 0 }.run()
    }

    pub(super) fn quoted(self) -> bool {
        self == Place::Quoted
    }

    pub(super) fn in_document(self) -> bool {
        self == Place::Document
    }

    /// Whether even a comment or a blank line belongs to the text.
    pub(super) fn literal(self) -> bool {
        matches!(self, Place::Quoted | Place::Document)
    }

    /// What goes before a line; `None` if the line is blank and left out.
    pub(super) fn between(self, line: &str) -> Option<&'static str> {
        let blank = line.trim_matches([' ', '\t']).is_empty();
        match self {
            Place::Quoted | Place::Document => Some("\n"),
            Place::Elements if blank => None,
            Place::Elements => Some(" "),
            Place::Code { between, after_blank } if blank && line.is_empty() => {
                (between.starts_with(';') && !after_blank).then_some("; ")
            }
            Place::Code { between: "; " | " ", .. } if line.contains("<<") => Some("\n"),
            Place::Code { between: "for", .. } => {
                Some(if line.trim_start().starts_with("in") { " " } else { ";" })
            }
            Place::Code { between, .. } => Some(between),
        }
    }
}

/// Whether a line is a comment or ends with one.
pub(super) fn has_comment(line: &str) -> bool {
    let (mut quote, mut before) = (None, ' ');
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None | Some('"'), '\\') => drop(chars.next()),
            (None, '\'' | '"' | '`') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (None, '#') if before.is_whitespace() || ";&|(".contains(before) => return true,
            _ => {}
        }
        before = c;
    }
    false
}

/// The quote that text leaves open.
pub(super) fn open_quote(text: &str) -> Option<char> {
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None | Some('"'), '\\') => drop(chars.next()),
            (None, '\'' | '"') => quote = Some(c),
            _ => {}
        }
    }
    quote
}

/// How many here-documents may wait for their text.
const MAX_DOCUMENTS: usize = 64;

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token<'a>>,
    /// Delimiters of here-documents that begin at the next newline, and whether tabs are stripped.
    documents: Vec<(String, bool)>,
    cases: u32,
}

impl<'a> Scanner<'a> {
    fn run(mut self) -> Place {
        while let Some(b) = self.peek() {
            match b {
                b' ' | b'\t' => self.at += 1,
                b'\\' if self.byte(1) == Some(b'\n') => self.at += 2,
                b'\n' => {
                    self.at += 1;
                    self.tokens.push(Token::Newline);
                    if !self.skip_documents() {
                        return Place::Document;
                    }
                }
                b'#' => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                b'(' if self.byte(1) == Some(b'(') && self.command_position() => {
                    let for_loop = self.tokens.last() == Some(&Token::Reserved("for"));
                    self.at += 2;
                    if !self.skip_to_close(2) {
                        let between = if for_loop { " " } else { "; " };
                        return Place::Code { between, after_blank: false };
                    }
                    self.tokens.push(Token::Word("(("));
                }
                b'<' | b'>' if self.byte(1) == Some(b'(') => {
                    self.at += 2;
                    if !self.skip_to_close(1) {
                        return Place::Quoted;
                    }
                    self.tokens.push(Token::Word(""));
                }
                b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => self.operator(),
                _ => {
                    if let Some(place) = self.word() {
                        return place;
                    }
                }
            }
        }
        self.place()
    }

    fn peek(&self) -> Option<u8> {
        self.byte(0)
    }

    fn byte(&self, offset: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + offset).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn operator(&mut self) {
        const ALL: &[&str] = &[
            ";;&", "<<<", "<<-", "&>>", "&&", "||", ";;", ";&", "|&", "<<", ">>", "<&", ">&", "&>", "<>",
            ">|", ";", "&", "|", "(", ")", "<", ">",
        ];
        let found = ALL.iter().find(|op| self.rest().starts_with(**op)).unwrap_or(&";");
        self.at += found.len();
        if matches!(*found, "<<" | "<<-") && self.documents.len() < MAX_DOCUMENTS {
            let skip = self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
            self.at += skip;
            let end = self.rest().find(|c: char| c.is_whitespace() || ";&|<>()".contains(c));
            let word = &self.rest()[..end.unwrap_or(self.rest().len())];
            self.at += word.len();
            self.documents.push((word.replace(['\'', '"', '\\'], ""), *found == "<<-"));
            self.tokens.push(Token::Word(word));
            return;
        }
        self.tokens.push(Token::Operator(found));
    }

    /// Skips the texts of here-documents; false if one does not end.
    fn skip_documents(&mut self) -> bool {
        for (delimiter, tabs) in std::mem::take(&mut self.documents) {
            loop {
                let rest = self.rest();
                let Some(end) = rest.find('\n') else { return false };
                let line = if tabs { rest[..end].trim_start_matches('\t') } else { &rest[..end] };
                let ended = line == delimiter;
                self.at += end + 1;
                if ended {
                    break;
                }
            }
        }
        true
    }

    /// Whether a word here could be a reserved one.
    fn command_position(&self) -> bool {
        match self.tokens.last() {
            None | Some(Token::Newline) => true,
            Some(Token::Reserved(word)) => !matches!(*word, "case" | "function" | "select" | "in"),
            Some(Token::Operator(op)) => !op.starts_with(['<', '>']) && *op != "&>",
            Some(Token::Word(_)) => false,
        }
    }

    /// A word; the place if the text ends within it.
    fn word(&mut self) -> Option<Place> {
        let start = self.at;
        while let Some(b) = self.peek() {
            match b {
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b')' | b'<' | b'>' => break,
                b'\\' => self.at += 1 + self.rest()[1..].chars().next().map_or(0, char::len_utf8),
                b'\'' | b'"' | b'`' => {
                    if !self.skip_quotes(b) {
                        return Some(Place::Quoted);
                    }
                }
                b'$' if self.byte(1) == Some(b'{') => {
                    self.at += 2;
                    if !self.skip_braces() {
                        return Some(Place::Code { between: " ", after_blank: false });
                    }
                }
                b'$' if self.byte(1) == Some(b'(') => {
                    self.at += 2;
                    if !self.skip_to_close(1) {
                        return Some(Place::Quoted);
                    }
                }
                b'(' if self.at > start && self.text.as_bytes()[self.at - 1] == b'=' => {
                    self.at += 1;
                    if !self.skip_to_close(1) {
                        return Some(Place::Elements);
                    }
                }
                b'(' => break,
                _ => self.at += self.rest().chars().next().map_or(1, char::len_utf8),
            }
        }
        self.at = self.at.min(self.text.len());
        let word = &self.text[start..self.at];
        let token = self.token(word);
        match token {
            Token::Reserved("case") => self.cases += 1,
            Token::Reserved("esac") => self.cases = self.cases.saturating_sub(1),
            _ => {}
        }
        self.tokens.push(token);
        None
    }

    fn token(&self, word: &'a str) -> Token<'a> {
        const RESERVED: &[&str] = &[
            "if", "then", "else", "elif", "fi", "case", "esac", "for", "select", "while", "until", "do",
            "done", "function", "{", "}", "!", "time",
        ];
        let two_ago = self.tokens.len().checked_sub(2).and_then(|i| self.tokens.get(i));
        let head = matches!(two_ago, Some(Token::Reserved("for" | "select" | "case")));
        if self.command_position() && RESERVED.contains(&word) || head && matches!(word, "in" | "do") {
            Token::Reserved(word)
        } else {
            Token::Word(word)
        }
    }

    fn skip_quotes(&mut self, quote: u8) -> bool {
        self.at += 1;
        while let Some(b) = self.peek() {
            match b {
                b if b == quote => {
                    self.at += 1;
                    return true;
                }
                b'\\' if quote != b'\'' => self.at += 1,
                _ => {}
            }
            self.at += self.rest().chars().next().map_or(1, char::len_utf8);
        }
        false
    }

    fn skip_braces(&mut self) -> bool {
        while let Some(b) = self.peek() {
            match b {
                b'}' => {
                    self.at += 1;
                    return true;
                }
                b'\'' | b'"' | b'`' => {
                    if !self.skip_quotes(b) {
                        return false;
                    }
                }
                b'\\' => self.at += 1 + self.rest()[1..].chars().next().map_or(0, char::len_utf8),
                _ => self.at += self.rest().chars().next().map_or(1, char::len_utf8),
            }
        }
        false
    }

    /// Skips to behind the parenthesis that closes `open` of them.
    fn skip_to_close(&mut self, mut open: u32) -> bool {
        while let Some(b) = self.peek() {
            match b {
                b'(' => open += 1,
                b')' => open -= 1,
                b'\'' | b'"' | b'`' => {
                    if !self.skip_quotes(b) {
                        return false;
                    }
                    continue;
                }
                b'#' if self.text.as_bytes()[self.at - 1].is_ascii_whitespace() => {
                    self.at += self.rest().find('\n').unwrap_or(self.rest().len());
                    continue;
                }
                b'\\' => self.at += 1,
                _ => {}
            }
            self.at += self.rest().chars().next().map_or(0, char::len_utf8);
            if open == 0 {
                return true;
            }
        }
        false
    }

    /// The place behind the last newline.
    fn place(&self) -> Place {
        let mut back = self.tokens.iter().rev().skip(1);
        let (last, before) = (back.next().copied(), back.next().copied());
        let between = match (before, last) {
            (Some(Token::Operator("(")), Some(Token::Operator(")"))) => " ",
            (_, Some(Token::Operator(")"))) if self.cases > 0 => " ",
            (_, Some(Token::Operator(")"))) => "; ",
            (Some(Token::Reserved("function" | "case")), Some(Token::Word(_))) => " ",
            (Some(Token::Reserved("for")), Some(Token::Word(_))) => "for",
            (_, None | Some(Token::Newline | Token::Operator(_))) => " ",
            (_, Some(Token::Reserved(word))) => {
                let open = ["{", "case", "do", "else", "if", "then", "until", "while", "in"];
                if open.contains(&word) { " " } else { "; " }
            }
            _ => "; ",
        };
        Place::Code { between, after_blank: matches!(last, None | Some(Token::Newline)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_stands_where_it_may() {
        for (before, line, between) in [
            ("for i in a\n", "do", "; "),
            ("for i in a\ndo\n", "echo", " "),
            ("for i\n", "in a", " "),
            ("for i\n", "do", ";"),
            ("f()\n", "{", " "),
            ("case x in\n", "x)", " "),
            ("echo 'a\n", "b'", "\n"),
            ("cat <<E\n", "body", "\n"),
            ("cat <<E\nbody\nE\n", "x", "; "),
            ("a=(1\n", "2)", " "),
            ("true &&\n", "x", " "),
        ] {
            assert_eq!(Place::after(before).between(line), Some(between), "{before:?} {line:?}");
        }
    }
}
