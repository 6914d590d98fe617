//! Expressions, by precedence.

use super::Parser;
use crate::ast::{Arith, Compare, Expr, Source};
use crate::builtins::Builtin;
use crate::error::Result;
use crate::lexer::Token;
use crate::posix::Mode;
use crate::regex::Regex;
use crate::value::Str;
use std::rc::Rc;

/// Values on one line of operators, arguments of one call.
const MAX_LIST: usize = 100_000;

/// Whether something can be assigned to it.
fn is_place(expr: &Expr) -> bool {
    matches!(expr, Expr::Var(_) | Expr::Field(_) | Expr::Index(..))
}

impl Parser<'_> {
    /// Any expression.
    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.deeper(Parser::ternary)
    }

    fn ternary(&mut self) -> Result<Expr> {
        let condition = self.or()?;
        if !self.accept("?")? {
            return Ok(condition);
        }
        self.skip_newlines()?;
        let yes = self.expr()?;
        self.skip_newlines()?;
        self.expect(":")?;
        self.skip_newlines()?;
        let no = self.expr()?;
        Ok(Expr::Cond(Box::new(condition), Box::new(yes), Box::new(no)))
    }

    fn or(&mut self) -> Result<Expr> {
        let first = self.and()?;
        if !self.is("||") {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.accept("||")? {
            self.skip_newlines()?;
            all.push(self.and()?);
        }
        Ok(Expr::Or(all))
    }

    fn and(&mut self) -> Result<Expr> {
        let first = self.membership()?;
        if !self.is("&&") {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.accept("&&")? {
            self.skip_newlines()?;
            all.push(self.membership()?);
        }
        Ok(Expr::And(all))
    }

    fn membership(&mut self) -> Result<Expr> {
        let mut left = self.matching()?;
        while self.is_word("in") && !self.no_in {
            self.advance()?;
            let Token::Name(name) = self.token.clone() else { return Err(self.unexpected()) };
            self.advance()?;
            let array = self.array(&name)?;
            let keys = match left {
                Expr::List(keys) => keys,
                key => vec![key],
            };
            left = Expr::In(keys, Box::new(array));
        }
        Ok(left)
    }

    fn matching(&mut self) -> Result<Expr> {
        let mut left = self.comparison()?;
        loop {
            let negated = match self.token {
                Token::Mark("~") => false,
                Token::Mark("!~") => true,
                _ => return Ok(left),
            };
            self.advance()?;
            let right = self.comparison()?;
            left = Expr::Match(negated, Box::new(left), Box::new(right));
        }
    }

    fn comparison(&mut self) -> Result<Expr> {
        let mut left = self.concatenation(true)?;
        loop {
            let compare = match self.token {
                Token::Mark("<") => Compare::Less,
                Token::Mark("<=") => Compare::LessEqual,
                Token::Mark("==") => Compare::Equal,
                Token::Mark("!=") => Compare::NotEqual,
                Token::Mark(">") if !self.no_gt => Compare::Greater,
                Token::Mark(">=") => Compare::GreaterEqual,
                _ => return Ok(left),
            };
            self.advance()?;
            let right = self.concatenation(true)?;
            left = Expr::Compare(compare, Box::new(left), Box::new(right));
        }
    }

    /// Concatenation, and with `pipes` what is read from commands.
    pub(super) fn concatenation(&mut self, pipes: bool) -> Result<Expr> {
        let mut left = self.concatenated()?;
        while pipes && (self.is("|") || self.is("|&")) {
            let saved = (self.lexer.clone(), self.token.clone());
            let source = if self.is("|") { Source::Command } else { Source::Coprocess };
            self.advance()?;
            if !self.is_word("getline") {
                (self.lexer, self.token) = saved;
                return Ok(left);
            }
            self.advance()?;
            let place = self.getline_place()?;
            left = Expr::Getline(source, Some(Box::new(left)), place);
        }
        Ok(left)
    }

    fn concatenated(&mut self) -> Result<Expr> {
        let first = self.additive()?;
        if !self.starts_operand() {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.starts_operand() {
            all.push(self.additive()?);
            if all.len() > MAX_LIST {
                return Err(self.wrong("expression too long"));
            }
        }
        Ok(Expr::Concat(all))
    }

    /// Whether the token begins one more value to be appended.
    fn starts_operand(&self) -> bool {
        match &self.token {
            Token::Num(_) | Token::Str(_) | Token::Name(_) | Token::Function(_) | Token::Builtin(_) => true,
            Token::Mark(mark) => matches!(*mark, "$" | "(" | "!" | "-" | "+" | "++" | "--" | "@"),
            _ => false,
        }
    }

    fn additive(&mut self) -> Result<Expr> {
        let first = self.multiplicative()?;
        let mut rest = Vec::new();
        loop {
            let op = match self.token {
                Token::Mark("+") => Arith::Add,
                Token::Mark("-") => Arith::Sub,
                _ => break,
            };
            self.advance()?;
            rest.push((op, self.multiplicative()?));
        }
        Ok(if rest.is_empty() { first } else { Expr::Chain(Box::new(first), rest) })
    }

    fn multiplicative(&mut self) -> Result<Expr> {
        let first = self.unary()?;
        let mut rest = Vec::new();
        loop {
            let op = match self.token {
                Token::Mark("*") => Arith::Mul,
                Token::Mark("/") => Arith::Div,
                Token::Mark("%") => Arith::Mod,
                _ => break,
            };
            self.advance()?;
            let right = self.unary()?;
            if let (Expr::Num(_), Expr::Num(0.0), true) = (&first, &right, rest.is_empty()) {
                match op {
                    Arith::Div => return Err(self.plain("error: division by zero attempted")),
                    Arith::Mod => return Err(self.plain("error: division by zero attempted in `%'")),
                    _ => {}
                }
            }
            rest.push((op, right));
        }
        Ok(if rest.is_empty() { first } else { Expr::Chain(Box::new(first), rest) })
    }

    /// Signs and negation, which bind less than powers.
    pub(super) fn unary(&mut self) -> Result<Expr> {
        let wrap: fn(Box<Expr>) -> Expr = match self.token {
            Token::Mark("!") => Expr::Not,
            Token::Mark("-") => Expr::Neg,
            Token::Mark("+") => Expr::Plus,
            _ => return self.power(),
        };
        self.advance()?;
        let operand = self.deeper(Parser::unary)?;
        Ok(wrap(Box::new(operand)))
    }

    fn power(&mut self) -> Result<Expr> {
        let base = self.postfix(true)?;
        if !self.accept("^")? {
            return Ok(base);
        }
        // The exponent may have a sign, and powers group from the right.
        let exponent = self.deeper(Parser::unary)?;
        Ok(Expr::Chain(Box::new(base), vec![(Arith::Pow, exponent)]))
    }

    /// A primary with what follows it; with `assign`, an assignment too.
    fn postfix(&mut self, assign: bool) -> Result<Expr> {
        let primary = self.primary()?;
        if !is_place(&primary) {
            return Ok(primary);
        }
        let by = match self.token {
            Token::Mark("++") => 1.0,
            Token::Mark("--") => -1.0,
            Token::Mark(mark) if assign => {
                let op = match mark {
                    "=" => None,
                    "+=" => Some(Arith::Add),
                    "-=" => Some(Arith::Sub),
                    "*=" => Some(Arith::Mul),
                    "/=" => Some(Arith::Div),
                    "%=" => Some(Arith::Mod),
                    "^=" => Some(Arith::Pow),
                    _ => return Ok(primary),
                };
                self.advance()?;
                self.skip_newlines()?;
                let value = self.expr()?;
                return Ok(Expr::Assign(Box::new(primary), op, Box::new(value)));
            }
            _ => return Ok(primary),
        };
        self.advance()?;
        Ok(Expr::Step(Box::new(primary), false, by))
    }

    fn regex_literal(&mut self, before: usize) -> Result<Rc<Regex>> {
        let source = match self.lexer.regex(before) {
            Ok(source) => source,
            Err(message) => {
                self.lexer.start += 1;
                return Err(self.wrong(&message));
            }
        };
        let regex = match Regex::new(&source, Mode { utf8: self.utf8, fold: false }) {
            Ok(regex) => regex,
            Err(crate::error::Error::Fatal(text)) => return Err(self.plain(&format!("error: {text}"))),
            Err(other) => return Err(other),
        };
        self.advance()?;
        Ok(Rc::new(regex))
    }

    /// An error of the program text that needs no picture.
    pub(super) fn plain(&self, message: &str) -> crate::error::Error {
        crate::error::Error::Syntax(format!("{}:{}: {message}", self.name, self.lexer.token_line))
    }

    fn primary(&mut self) -> Result<Expr> {
        let token = self.token.clone();
        match token {
            Token::Num(n) => {
                self.advance()?;
                Ok(Expr::Num(n))
            }
            Token::Str(text) => {
                self.advance()?;
                Ok(Expr::Str(Str::from_vec(text)))
            }
            Token::Name(name) => {
                self.advance()?;
                if self.is("[") {
                    return self.array(&name);
                }
                Ok(Expr::Var(self.scope.var(&name)))
            }
            Token::Function(name) => {
                let line = self.line();
                self.advance()?;
                let index = self.scope.function(&name, line);
                let args = self.arguments()?;
                for (position, arg) in args.iter().enumerate() {
                    if let Expr::Var(var) = arg {
                        self.scope.pass(*var, index, position);
                    }
                }
                Ok(Expr::Call(index, args))
            }
            Token::Builtin(builtin) => self.builtin(builtin),
            Token::Word("getline") => {
                self.advance()?;
                let place = self.getline_place()?;
                if self.accept("<")? {
                    let file = self.deeper(|parser| parser.postfix(false))?;
                    return Ok(Expr::Getline(Source::File, Some(Box::new(file)), place));
                }
                Ok(Expr::Getline(Source::Main, None, place))
            }
            Token::Mark(mark) => self.marked(mark),
            _ => Err(self.unexpected()),
        }
    }

    fn marked(&mut self, mark: &'static str) -> Result<Expr> {
        match mark {
            "/" | "/=" => Ok(Expr::Regex(self.regex_literal(mark.len())?)),
            "$" => {
                self.advance()?;
                let operand = self.deeper(|parser| match parser.token {
                    Token::Mark("++" | "--") => parser.primary(),
                    Token::Mark("-" | "+" | "!") => parser.unary(),
                    // `$i++` steps the field, `$i = 1` sets it.
                    _ => parser.primary(),
                })?;
                Ok(Expr::Field(Box::new(operand)))
            }
            "++" | "--" => {
                self.advance()?;
                let place = self.deeper(Parser::primary)?;
                if !is_place(&place) {
                    return Err(self.wrong("syntax error"));
                }
                Ok(Expr::Step(Box::new(place), true, if mark == "++" { 1.0 } else { -1.0 }))
            }
            "-" | "+" | "!" => self.unary(),
            "(" => {
                self.advance()?;
                let mut list = self.list_in_parentheses()?;
                if list.len() > 1 {
                    // Only `in` makes something of it, and print.
                    if !self.is_word("in") {
                        return Err(self.unexpected());
                    }
                    return Ok(Expr::List(list));
                }
                match list.pop() {
                    Some(inside) => Ok(Expr::Group(Box::new(inside))),
                    None => Err(self.unexpected()),
                }
            }
            "@" => {
                self.advance()?;
                match self.token.clone() {
                    Token::Mark(slash @ ("/" | "/=")) => {
                        Ok(Expr::TypedRegex(self.regex_literal(slash.len())?))
                    }
                    Token::Function(name) => {
                        self.advance()?;
                        let var = self.scope.var(&name);
                        Ok(Expr::Indirect(var, self.arguments()?))
                    }
                    _ => Err(self.unexpected()),
                }
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Arguments in parentheses.
    fn arguments(&mut self) -> Result<Vec<Expr>> {
        self.expect("(")?;
        self.skip_newlines()?;
        if self.accept(")")? {
            return Ok(Vec::new());
        }
        self.list_in_parentheses()
    }

    fn builtin(&mut self, builtin: Builtin) -> Result<Expr> {
        self.advance()?;
        if builtin == Builtin::Length && !self.is("(") {
            return Ok(Expr::Builtin(builtin, Vec::new()));
        }
        let args = self.arguments()?;
        let (least, most) = builtin.arity();
        if args.len() < least || args.len() > most {
            let (count, name) = (args.len(), builtin.name());
            self.lexer.start = self.last_end.saturating_sub(1);
            return Err(self.wrong(&format!("{count} is invalid as number of arguments for {name}")));
        }
        for at in builtin.arrays() {
            match args.get(*at) {
                None | Some(Expr::Index(..)) => {}
                Some(Expr::Var(var)) => self.scope.mark(*var),
                Some(_) => {
                    let (name, number) = (builtin.name(), at + 1);
                    return Err(self.plain(&format!("fatal: {name}: argument {number} is not an array")));
                }
            }
        }
        if let (Builtin::Index, Some(Expr::Regex(_))) = (builtin, args.get(1)) {
            return Err(self.plain("fatal: index: regexp constant as second argument is not allowed"));
        }
        if matches!(builtin, Builtin::Sub | Builtin::Gsub)
            && let Some(target) = args.get(2)
        {
            let inner = if let Expr::Group(inner) = target { inner } else { target };
            if !is_place(inner) && matches!(inner, Expr::Num(_) | Expr::Str(_) | Expr::Regex(_)) {
                let name = builtin.name();
                return Err(self.plain(&format!("error: {name} third argument is not a changeable object")));
            }
        }
        Ok(Expr::Builtin(builtin, args))
    }

    /// The variable that getline sets, if there is one.
    fn getline_place(&mut self) -> Result<Option<Box<Expr>>> {
        if !matches!(self.token, Token::Name(_) | Token::Mark("$")) {
            return Ok(None);
        }
        let place = self.deeper(Parser::primary)?;
        Ok(Some(Box::new(place)))
    }

    /// An array, or an element: what follows the name of an array.
    pub(super) fn array(&mut self, name: &str) -> Result<Expr> {
        let var = self.scope.var(name);
        self.scope.mark(var);
        let mut expr = Expr::Var(var);
        while self.accept("[")? {
            let outer = (std::mem::take(&mut self.no_gt), std::mem::take(&mut self.no_in));
            let keys = self.list("]")?;
            (self.no_gt, self.no_in) = outer;
            expr = Expr::Index(Box::new(expr), keys);
            self.depth += 1;
            if self.depth > super::MAX_DEPTH {
                return Err(self.wrong("nested too deeply"));
            }
        }
        let mut inner = &expr;
        while let Expr::Index(base, _) = inner {
            self.depth -= 1;
            inner = base;
        }
        Ok(expr)
    }
}
