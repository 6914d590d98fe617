//! Simple commands: assignments, words, redirections.

use super::SyntaxError;
use super::known;
use super::lexer::{Assignments, Lexeme, Reader, Token};
use crate::compile;
use crate::compile::word::{self, Mode};
use crate::ir::{Arg, Assign, AssignValue, Command, Kind, Redirect, RedirectFd, RedirectKind, Simple, Word};
use crate::symbols::sym;

type Result<T> = std::result::Result<T, SyntaxError>;

/// Builtins whose arguments may be assignments of arrays.
const DECLARATIONS: &[&str] = &["alias", "declare", "eval", "export", "let", "local", "readonly", "typeset"];

impl Reader<'_> {
    /// A simple command; its first word may have been read already.
    #[inline(never)]
    pub(super) fn simple(&mut self, first: Option<Lexeme>) -> Result<Command> {
        let mut out = Simple::default();
        let mut redirects = Vec::new();
        let mut line = None;
        let mut named = false;
        let mut declares = false;
        let mut next = first;
        loop {
            let lexeme = match next.take() {
                Some(lexeme) => lexeme,
                None => {
                    self.assignments = match (named, declares) {
                        (false, _) => Assignments::Yes,
                        (true, true) => Assignments::Arrays,
                        (true, false) => Assignments::No,
                    };
                    let lexeme = self.peek_alias(!named)?;
                    if line == Some(None) {
                        line = Some(Some(self.line_at(lexeme.end.saturating_sub(1))));
                    }
                    if lexeme.token == Token::Word {
                        self.take()?;
                    } else if matches!(lexeme.token, Token::Number | Token::Named)
                        || self.begins_redirect(lexeme)
                    {
                        redirects.push(self.redirect()?);
                        line = line.or(Some(None));
                        continue;
                    } else {
                        break;
                    }
                    lexeme
                }
            };
            let at = self.line_at(lexeme.start);
            let raw = self.str(lexeme);
            if !named && let Some(assign) = assignment(raw, at)? {
                out.assigns.push(assign);
            } else if named && let Some(assign) = assignment(raw, at)? {
                let raw = raw.to_owned();
                let declares = !self.dialect.posix || declares_at_last(&out.args);
                let mode = if declares { Mode::NameAndValue } else { Mode::Word };
                argument(&raw, assign, at, mode, &mut out.args)?;
            } else {
                if !named {
                    declares = DECLARATIONS.contains(&raw);
                    named = true;
                }
                words(raw, at, |word| out.args.push(Arg { word, assign: None }))?;
            }
            known::forget(self.known);
            line = line.or(Some(None));
        }
        self.assignments = Assignments::Yes;
        let line = line.flatten().unwrap_or_else(|| self.line());
        Ok(Command { kind: Kind::Simple(out), redirects, line })
    }

    /// The redirections after a compound command.
    #[inline(never)]
    pub(super) fn redirects(&mut self) -> Result<Vec<Redirect>> {
        let mut out = Vec::new();
        loop {
            let next = self.peek()?;
            if !matches!(next.token, Token::Number | Token::Named) && !self.begins_redirect(next) {
                return Ok(out);
            }
            out.push(self.redirect()?);
        }
    }

    #[inline(never)]
    fn redirect(&mut self) -> Result<Redirect> {
        let mut operator = self.take()?;
        let fd = match operator.token {
            Token::Number => {
                // No table of descriptors is as long as the largest number.
                Some(RedirectFd::Number(self.str(operator).parse().unwrap_or(u32::MAX >> 1)))
            }
            Token::Named => Some(RedirectFd::Named(sym(self.str(operator).trim_matches(['{', '}'])))),
            _ => None,
        };
        if fd.is_some() {
            operator = self.take()?;
        }
        let before = std::mem::replace(&mut self.assignments, Assignments::No);
        let target = self.peek_alias(false)?;
        self.assignments = before;
        if target.token != Token::Word && !(target.token == Token::Number || target.token == Token::Named) {
            return Err(self.unexpected(target));
        }
        self.take()?;
        let line = self.line_at(target.start);
        let mut here = None;
        let (kind, default) = match self.str(operator) {
            "<" => (RedirectKind::Read, 0),
            ">" => (RedirectKind::Write, 1),
            ">>" => (RedirectKind::Append, 1),
            "<>" => (RedirectKind::ReadWrite, 0),
            ">|" => (RedirectKind::Clobber, 1),
            "<&" => (RedirectKind::Dup { output: false }, 0),
            ">&" => (RedirectKind::Dup { output: true }, 1),
            "&>" => (RedirectKind::Both { append: false }, 1),
            "&>>" => (RedirectKind::Both { append: true }, 1),
            "<<<" => (RedirectKind::Here { newline: true }, 0),
            operator => {
                let strip = operator == "<<-";
                here = Some(self.announce(target, strip));
                (RedirectKind::Here { newline: false }, 0)
            }
        };
        let raw = self.str(target);
        let several = raw.contains('{')
            && !matches!(kind, RedirectKind::Here { .. })
            && compile::braced(raw, line)?.len() > 1;
        let target = match kind {
            RedirectKind::Here { newline: false } => Word::default(),
            RedirectKind::Here { newline: true } => word::parse(raw, line, Mode::Assign)?,
            _ => word::parse(raw, line, Mode::Word)?,
        };
        known::forget(self.known);
        Ok(Redirect { fd: fd.unwrap_or(RedirectFd::Number(default)), kind, target, several, here })
    }

    /// The words that one written word stands for, after brace expansion.
    pub(super) fn words_of(&self, lexeme: Lexeme, out: &mut Vec<Word>) -> Result<()> {
        words(self.str(lexeme), self.line_at(lexeme.start), |word| out.push(word))?;
        known::forget(self.known);
        Ok(())
    }

    /// A written word, without brace expansion.
    pub(super) fn word_of(&self, lexeme: Lexeme) -> Result<Word> {
        let word = word::parse(self.str(lexeme), self.line_at(lexeme.start), Mode::Word)?;
        known::forget(self.known);
        Ok(word)
    }
}

fn words(raw: &str, line: u32, mut push: impl FnMut(Word)) -> Result<()> {
    if !raw.contains('{') || !crate::source::braces() {
        push(word::parse(raw, line, Mode::Word)?);
        return Ok(());
    }
    for one in crate::compile::braced(raw, line)? {
        push(one);
    }
    Ok(())
}

/// Whether the words name a declaration builtin, perhaps after `command`.
fn declares_at_last(args: &[Arg]) -> bool {
    let name = args.iter().map(|arg| &*arg.word.raw).find(|name| *name != "command");
    name.is_some_and(crate::builtins::declare::is_declaration)
}

/// The argument that has the form of an assignment.
fn argument(raw: &str, assign: Assign, line: u32, mode: Mode, out: &mut Vec<Arg>) -> Result<()> {
    let array = matches!(assign.value, AssignValue::Array(_));
    let assign = Some(Box::new(assign));
    let raw = if array { raw.split_inclusive('=').next().unwrap_or(raw) } else { raw };
    if array || !raw.contains('{') {
        out.push(Arg { word: word::parse(raw, line, mode)?, assign });
        return Ok(());
    }
    let mut all = Vec::new();
    words(raw, line, |word| all.push(word))?;
    let mut all = all.into_iter();
    out.extend(all.next().map(|word| Arg { word, assign }));
    out.extend(all.map(|word| Arg { word, assign: None }));
    Ok(())
}

/// Whether a word has the form of an assignment.
pub(super) fn is_assignment(raw: &str) -> bool {
    let rest = &raw[crate::text::name_len(raw.as_bytes())..];
    rest.len() < raw.len() && (rest.starts_with('=') || rest.starts_with("+="))
}

/// The assignment that a word is, if it is one.
fn assignment(raw: &str, line: u32) -> Result<Option<Assign>> {
    let name_len = crate::text::name_len(raw.as_bytes());
    if name_len == 0 || !matches!(raw.as_bytes().get(name_len), Some(b'=' | b'+' | b'[')) {
        return Ok(None);
    }
    if let Some(equals) = raw.find("=(")
        && let Some(inner) = raw[equals + 2..].strip_suffix(')')
        && !raw[..equals].contains('=')
    {
        // The name alone, with nothing as its value.
        if let Some(assign) = compile::assignment(&raw[..=equals], line)? {
            return Ok(Some(Assign { value: AssignValue::Array(compile::elements(inner, line)?), ..assign }));
        }
    }
    compile::assignment(raw, line)
}
