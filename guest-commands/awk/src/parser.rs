//! Programs to trees: rules, functions, statements. Expressions are in `parser/expr`.

mod expr;

use crate::ast::{Expr, Line, Pattern, Program, Redirect, Rule, Stmt, StmtKind};
use crate::error::{Error, Result};
use crate::lexer::{Lexer, Token};
use crate::scope::Scope;

/// Expressions and statements inside one another.
const MAX_DEPTH: usize = 200;

/// Reads the sources, each with its name, as one program. Warnings go to `warn`.
pub(crate) fn parse(
    sources: &[(String, Vec<u8>)],
    utf8: bool,
    warn: &mut dyn FnMut(String),
) -> Result<(Program, std::collections::HashMap<String, u32>)> {
    let mut scope = Scope::new();
    let mut rules = Vec::new();
    for (index, (name, text)) in sources.iter().enumerate() {
        let mut parser = Parser {
            lexer: Lexer::new(text),
            token: Token::Newline,
            scope: &mut scope,
            source: index as u16,
            name,
            utf8,
            depth: 0,
            no_gt: false,
            no_in: false,
            loops: 0,
            switches: 0,
            in_begin: None,
            last_end: 0,
        };
        parser.advance()?;
        parser.program(&mut rules)?;
        for (line, odd) in std::mem::take(&mut parser.lexer.odd_escapes) {
            let odd = char::from(odd);
            warn(format!("{name}:{line}: warning: escape sequence `\\{odd}' treated as plain `{odd}'"));
        }
    }
    scope.settle();
    for function in &scope.functions {
        if function.body.is_none() {
            let Line { source, line } = function.line;
            let (place, name) = (&sources[source as usize].0, &function.name);
            return Err(Error::Syntax(format!("{place}:{line}: fatal: function `{name}' not defined")));
        }
    }
    let by_name = scope.functions.iter().enumerate().map(|(i, f)| (f.name.clone(), i as u32)).collect();
    let program = Program {
        rules,
        functions: scope.functions,
        globals: scope.globals,
        sources: sources.iter().map(|(name, _)| name.clone()).collect(),
    };
    Ok((program, by_name))
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    scope: &'a mut Scope,
    source: u16,
    name: &'a str,
    utf8: bool,
    depth: usize,
    /// `>` is a redirection here.
    no_gt: bool,
    /// `in` belongs to a loop here.
    no_in: bool,
    loops: usize,
    switches: usize,
    /// BEGIN or END, in their rules.
    in_begin: Option<&'static str>,
    /// Behind the token before the present one.
    last_end: usize,
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<()> {
        self.last_end = self.lexer.at;
        match self.lexer.next() {
            Ok(token) => {
                self.token = token;
                Ok(())
            }
            Err(message) => Err(self.wrong(&message)),
        }
    }

    /// A syntax error at the present token.
    fn wrong(&self, message: &str) -> Error {
        let (text, column) = self.lexer.context();
        let (name, line) = (self.name, self.lexer.token_line);
        Error::Syntax(format!("{name}:{line}: {text}\n{name}:{line}: {:column$}^ {message}", ""))
    }

    fn unexpected(&self) -> Error {
        match self.token {
            Token::End | Token::Newline => self.wrong("unexpected newline or end of string"),
            _ => self.wrong("syntax error"),
        }
    }

    fn line(&self) -> Line {
        Line { source: self.source, line: self.lexer.token_line }
    }

    fn is(&self, mark: &str) -> bool {
        matches!(self.token, Token::Mark(found) if found == mark)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.token, Token::Word(found) if found == word)
    }

    /// Takes the mark if it is there.
    fn accept(&mut self, mark: &str) -> Result<bool> {
        let found = self.is(mark);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, mark: &str) -> Result<()> {
        if self.accept(mark)? { Ok(()) } else { Err(self.unexpected()) }
    }

    fn skip_newlines(&mut self) -> Result<()> {
        while self.token == Token::Newline {
            self.advance()?;
        }
        Ok(())
    }

    fn skip_terminators(&mut self) -> Result<()> {
        while self.token == Token::Newline || self.is(";") {
            self.advance()?;
        }
        Ok(())
    }

    /// Runs `f` one level deeper.
    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong("nested too deeply"));
        }
        let result = f(self);
        self.depth -= 1;
        result
    }

    fn program(&mut self, rules: &mut Vec<Rule>) -> Result<()> {
        loop {
            self.skip_terminators()?;
            if self.token == Token::End {
                return Ok(());
            }
            if self.is_word("function") {
                self.function()?;
            } else {
                rules.push(self.rule()?);
            }
        }
    }

    fn rule(&mut self) -> Result<Rule> {
        let line = self.line();
        let pattern = match self.token {
            Token::Word(word @ ("BEGIN" | "END" | "BEGINFILE" | "ENDFILE")) => {
                self.advance()?;
                // Their body begins in the same line.
                if !self.is("{") {
                    return Err(self.plain(&format!("{word} blocks must have an action part")));
                }
                match word {
                    "BEGIN" => Pattern::Begin,
                    "END" => Pattern::End,
                    "BEGINFILE" => Pattern::BeginFile,
                    _ => Pattern::EndFile,
                }
            }
            Token::Mark("{") => Pattern::Always,
            _ => {
                let first = self.expr()?;
                if self.accept(",")? {
                    self.skip_newlines()?;
                    Pattern::Range(first, self.expr()?)
                } else {
                    Pattern::When(first)
                }
            }
        };
        self.in_begin = match pattern {
            Pattern::Begin => Some("BEGIN"),
            Pattern::End => Some("END"),
            Pattern::BeginFile => Some("BEGINFILE"),
            Pattern::EndFile => Some("ENDFILE"),
            _ => None,
        };
        let body = if self.is("{") {
            Some(self.block()?)
        } else if matches!(self.token, Token::Newline | Token::End | Token::Mark(";")) {
            None
        } else {
            return Err(self.unexpected());
        };
        self.in_begin = None;
        Ok(Rule { line, pattern, body })
    }

    fn function(&mut self) -> Result<()> {
        let line = self.line();
        self.advance()?;
        let name = match &self.token {
            Token::Name(name) | Token::Function(name) => name.clone(),
            _ => return Err(self.unexpected()),
        };
        let index = self.scope.function(&name, line);
        if self.scope.functions[index as usize].body.is_some() {
            return Err(self.plain(&format!("error: function name `{name}' previously defined")));
        }
        self.advance()?;
        self.expect("(")?;
        let mut params = Vec::new();
        while !self.is(")") {
            let Token::Name(param) = &self.token else { return Err(self.unexpected()) };
            if let Some(first) = params.iter().position(|known| known == param) {
                let (number, first) = (params.len() + 1, first + 1);
                return Err(self.plain(&format!(
                    "error: function `{name}': parameter #{number}, `{param}', duplicates parameter #{first}"
                )));
            }
            if *param == name {
                return Err(self.plain(&format!(
                    "error: function `{name}': cannot use function name as parameter name"
                )));
            }
            params.push(param.clone());
            self.advance()?;
            if !self.accept(",")? {
                break;
            }
            self.skip_newlines()?;
        }
        self.expect(")")?;
        self.skip_newlines()?;
        self.scope.functions[index as usize].params = params.len();
        self.scope.current = Some((index, params));
        if !self.is("{") {
            return Err(self.unexpected());
        }
        let body = self.block()?;
        self.scope.current = None;
        self.scope.functions[index as usize].body = Some(body);
        Ok(())
    }

    /// A block with its braces.
    fn block(&mut self) -> Result<Vec<Stmt>> {
        self.expect("{")?;
        let mut body = Vec::new();
        loop {
            self.skip_terminators()?;
            if self.accept("}")? {
                return Ok(body);
            }
            if self.token == Token::End {
                return Err(self.unexpected());
            }
            body.push(self.statement()?);
        }
    }

    fn statement(&mut self) -> Result<Stmt> {
        let line = self.line();
        let kind = self.deeper(Parser::statement_kind)?;
        Ok(Stmt { line, kind })
    }

    /// The body of a compound statement, possibly in the next line.
    fn body(&mut self) -> Result<Vec<Stmt>> {
        self.skip_newlines()?;
        if self.is("{") {
            return self.deeper(Parser::block);
        }
        if self.accept(";")? {
            return Ok(Vec::new());
        }
        Ok(vec![self.statement()?])
    }

    fn loop_body(&mut self) -> Result<Vec<Stmt>> {
        self.loops += 1;
        let body = self.body();
        self.loops -= 1;
        body
    }

    /// What ends a simple statement.
    fn end_simple(&mut self) -> Result<()> {
        match self.token {
            Token::Newline | Token::Mark(";") => self.advance(),
            Token::Mark("}") | Token::End => Ok(()),
            _ => Err(self.unexpected()),
        }
    }

    fn condition(&mut self) -> Result<Expr> {
        self.expect("(")?;
        let condition = self.expr()?;
        self.expect(")")?;
        Ok(condition)
    }

    fn statement_kind(&mut self) -> Result<StmtKind> {
        let word = match self.token {
            Token::Mark("{") => return Ok(StmtKind::Block(self.block()?)),
            Token::Mark(";") => {
                self.advance()?;
                return Ok(StmtKind::Block(Vec::new()));
            }
            Token::Word(word) => word,
            _ => "",
        };
        match word {
            "if" => return self.if_statement(),
            "for" => return self.for_statement(),
            "while" => {
                self.advance()?;
                let condition = self.condition()?;
                return Ok(StmtKind::While(condition, self.loop_body()?));
            }
            "do" => {
                self.advance()?;
                let body = self.loop_body()?;
                self.skip_terminators()?;
                if !self.is_word("while") {
                    return Err(self.unexpected());
                }
                self.advance()?;
                let condition = self.condition()?;
                self.end_simple()?;
                return Ok(StmtKind::Do(body, condition));
            }
            "switch" => return self.switch(),
            _ => {}
        }
        let kind = self.simple()?;
        self.end_simple()?;
        Ok(kind)
    }

    fn if_statement(&mut self) -> Result<StmtKind> {
        let mut arms = Vec::new();
        loop {
            self.advance()?;
            let condition = self.condition()?;
            arms.push((condition, self.body()?));
            // `else` may follow a semicolon and newlines; if it does not, they end the statement.
            let saved = (self.lexer.clone(), self.token.clone());
            self.skip_terminators()?;
            if !self.is_word("else") {
                (self.lexer, self.token) = saved;
                return Ok(StmtKind::If(arms, Vec::new()));
            }
            self.advance()?;
            self.skip_newlines()?;
            if !self.is_word("if") {
                return Ok(StmtKind::If(arms, self.body()?));
            }
        }
    }

    fn for_statement(&mut self) -> Result<StmtKind> {
        self.advance()?;
        self.expect("(")?;
        if let Token::Name(name) = self.token.clone() {
            let saved = (self.lexer.clone(), self.token.clone());
            self.advance()?;
            if self.is_word("in") {
                self.advance()?;
                if let Token::Name(array) = self.token.clone() {
                    self.advance()?;
                    let array = self.array(&array)?;
                    if self.accept(")")? {
                        let var = Expr::Var(self.scope.var(&name));
                        return Ok(StmtKind::ForIn(var, array, self.loop_body()?));
                    }
                }
            }
            (self.lexer, self.token) = saved;
        }
        let first = if self.is(";") { None } else { Some(Box::new(self.simple_statement()?)) };
        self.expect(";")?;
        self.skip_newlines()?;
        let condition = if self.is(";") { None } else { Some(self.expr()?) };
        self.expect(";")?;
        self.skip_newlines()?;
        let step = if self.is(")") { None } else { Some(Box::new(self.simple_statement()?)) };
        self.expect(")")?;
        Ok(StmtKind::For(first, condition, step, self.loop_body()?))
    }

    fn simple_statement(&mut self) -> Result<Stmt> {
        let line = self.line();
        Ok(Stmt { line, kind: self.simple()? })
    }

    fn switch(&mut self) -> Result<StmtKind> {
        self.advance()?;
        let value = self.condition()?;
        self.skip_newlines()?;
        self.expect("{")?;
        let mut cases: Vec<(Option<Expr>, Vec<Stmt>)> = Vec::new();
        self.switches += 1;
        loop {
            self.skip_terminators()?;
            if self.accept("}")? {
                break;
            }
            match self.token {
                Token::Word("case") => {
                    self.advance()?;
                    let value = self.unary()?;
                    cases.push((Some(value), Vec::new()));
                    self.expect(":")?;
                }
                Token::Word("default") => {
                    self.advance()?;
                    cases.push((None, Vec::new()));
                    self.expect(":")?;
                }
                Token::End => return Err(self.unexpected()),
                _ => {
                    let statement = self.statement()?;
                    match cases.last_mut() {
                        Some((_, body)) => body.push(statement),
                        None => return Err(self.wrong("syntax error")),
                    }
                }
            }
        }
        self.switches -= 1;
        Ok(StmtKind::Switch(value, cases))
    }

    /// Whether a simple statement ends here.
    fn at_end(&self) -> bool {
        matches!(self.token, Token::Newline | Token::End | Token::Mark(";" | "}" | ")"))
    }

    fn optional_expr(&mut self) -> Result<Option<Expr>> {
        if self.at_end() { Ok(None) } else { self.expr().map(Some) }
    }

    fn simple(&mut self) -> Result<StmtKind> {
        let Token::Word(word) = self.token else { return Ok(StmtKind::Expr(self.expr()?)) };
        let only_in = |yes: bool, what: &str, parser: &Self| {
            if yes { Ok(()) } else { Err(parser.plain(&format!("error: {what}"))) }
        };
        let kind = match word {
            "print" | "printf" => return self.print(word == "printf"),
            "break" => {
                only_in(
                    self.loops + self.switches > 0,
                    "`break' is not allowed outside a loop or switch",
                    self,
                )?;
                StmtKind::Break
            }
            "continue" => {
                only_in(self.loops > 0, "`continue' is not allowed outside a loop", self)?;
                StmtKind::Continue
            }
            "next" | "nextfile" => {
                let within = self.in_begin.filter(|rule| word == "next" || !rule.ends_with("FILE"));
                let what = format!("`{word}' used in {} action", within.unwrap_or_default());
                only_in(within.is_none(), &what, self)?;
                if word == "next" { StmtKind::Next } else { StmtKind::NextFile }
            }
            "exit" => {
                self.advance()?;
                return Ok(StmtKind::Exit(self.optional_expr()?));
            }
            "return" => {
                if self.scope.current.is_none() {
                    return Err(self.wrong("`return' used outside function context"));
                }
                self.advance()?;
                return Ok(StmtKind::Return(self.optional_expr()?));
            }
            "delete" => return self.delete(),
            _ => return Ok(StmtKind::Expr(self.expr()?)),
        };
        self.advance()?;
        Ok(kind)
    }

    fn delete(&mut self) -> Result<StmtKind> {
        self.advance()?;
        let grouped = self.accept("(")?;
        let Token::Name(name) = self.token.clone() else { return Err(self.unexpected()) };
        self.advance()?;
        let target = self.array(&name)?;
        if grouped {
            self.expect(")")?;
        }
        Ok(StmtKind::Delete(target))
    }

    fn print(&mut self, formatted: bool) -> Result<StmtKind> {
        self.advance()?;
        let mut values = Vec::new();
        let ends =
            |parser: &Self| parser.at_end() || matches!(parser.token, Token::Mark(">" | ">>" | "|" | "|&"));
        if !ends(self) {
            let saved = (self.lexer.clone(), self.token.clone());
            let mut listed = false;
            if self.accept("(")? {
                // The list in parentheses is all of it only if nothing follows that goes on with it.
                if let Ok(list) = self.list_in_parentheses()
                    && ends(self)
                {
                    values = list;
                    listed = true;
                }
            }
            if !listed {
                (self.lexer, self.token) = saved;
                let outer = std::mem::replace(&mut self.no_gt, true);
                loop {
                    values.push(self.expr()?);
                    if !self.accept(",")? {
                        break;
                    }
                    self.skip_newlines()?;
                }
                self.no_gt = outer;
            }
        }
        // `print (a, b) > file`, but also what looks like a list and is followed by more.
        if let [Expr::List(_)] = &values[..]
            && let Some(Expr::List(list)) = values.pop()
        {
            values = list;
        }
        if formatted && values.is_empty() {
            return Err(self.plain("fatal: printf: no arguments"));
        }
        let redirect = match self.token {
            Token::Mark(">") => Redirect::File,
            Token::Mark(">>") => Redirect::Append,
            Token::Mark("|") => Redirect::Pipe,
            Token::Mark("|&") => Redirect::Coprocess,
            _ => return Ok(StmtKind::Print(formatted, values, Redirect::None, None)),
        };
        self.advance()?;
        let outer = std::mem::replace(&mut self.no_gt, true);
        let to = self.concatenation(false)?;
        self.no_gt = outer;
        Ok(StmtKind::Print(formatted, values, redirect, Some(to)))
    }

    /// What follows an opening parenthesis, up to the closing one: expressions with commas.
    fn list_in_parentheses(&mut self) -> Result<Vec<Expr>> {
        let outer = (std::mem::take(&mut self.no_gt), std::mem::take(&mut self.no_in));
        let depth = self.depth;
        let list = self.list(")");
        (self.no_gt, self.no_in) = outer;
        self.depth = depth;
        list
    }

    /// Expressions with commas, and the mark that ends them.
    fn list(&mut self, end: &str) -> Result<Vec<Expr>> {
        let mut list = Vec::new();
        self.skip_newlines()?;
        loop {
            list.push(self.expr()?);
            self.skip_newlines()?;
            if self.accept(end)? {
                return Ok(list);
            }
            self.expect(",")?;
            self.skip_newlines()?;
        }
    }
}
