//! Parses arithmetic. It evaluates nothing.
//!
//! Tokens are read one ahead, and what an error names as its token is where the last one started, as in bash.

use super::{BinOp, Expr, Target};
use crate::ir::Name;
use crate::source::skip::Skipper;
use crate::symbols::sym;

type Result<T> = std::result::Result<T, String>;

/// How deeply expressions nest.
const MAX_DEPTH: u32 = 200;

/// A token. Those that can be assigned to keep what they name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    None,
    /// A variable or an element.
    Name,
    /// A number, or a `$` parameter.
    Number,
    /// What a conditional expression leaves behind: nothing to assign to.
    Cond,
    PreStep(i64),
    PostStep(i64),
    /// `+=` and its kin.
    Update(BinOp),
    /// An operator of one character.
    One(u8),
    Two(BinOp),
    And,
    Or,
}

/// Where the parser is.
#[derive(Clone, Copy)]
struct State {
    i: usize,
    last: usize,
    token: Token,
    before: Token,
}

struct Parser<'a, 'd> {
    s: Skipper<'a>,
    at: State,
    depth: u32,
    value: Option<Expr>,
    dollars: Option<&'d mut Vec<Name>>,
}

/// The expression that expanded text writes; the error names the token that stopped it.
pub(crate) fn parse(text: &str) -> Result<Expr> {
    run(text, None)
}

/// The same before expansion: `$name` parameters are collected.
pub(super) fn parse_with(text: &str, dollars: &mut Vec<Name>) -> Result<Expr> {
    run(text, Some(dollars))
}

fn run(text: &str, dollars: Option<&mut Vec<Name>>) -> Result<Expr> {
    let at = State { i: 0, last: 0, token: Token::None, before: Token::None };
    let mut p = Parser { s: Skipper::new(text), at, depth: 0, value: None, dollars };
    p.blanks();
    if p.at.i >= p.s.b.len() {
        return Ok(Expr::Num(0));
    }
    p.read()?;
    let expr = p.comma()?;
    if p.at.token == Token::None { Ok(expr) } else { Err(p.error("syntax error in expression")) }
}

fn is_operator(c: u8) -> bool {
    b"=><+-*/%!()&|^~?:,".contains(&c)
}

impl Parser<'_, '_> {
    fn error(&self, what: &str) -> String {
        format!("{what} (error token is \"{}\")", self.rest_from(self.at.last))
    }

    fn rest_from(&self, at: usize) -> &str {
        self.s.src.get(at..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        while matches!(self.s.at(self.at.i), b' ' | b'\t' | b'\n') {
            self.at.i += 1;
        }
    }

    fn becomes(&mut self, token: Token) {
        self.at.before = self.at.token;
        self.at.token = token;
    }

    /// Reads the next token.
    fn read(&mut self) -> Result<()> {
        self.blanks();
        let start = self.at.i;
        let Some(c) = self.s.b.get(start).copied() else {
            self.becomes(Token::None);
            return Ok(());
        };
        self.at.last = start;
        let next = self.s.at(start + 1);
        if c == b'_' || c.is_ascii_alphabetic() {
            return self.name();
        }
        if c.is_ascii_digit() {
            return self.number();
        }
        if c == b'$' && self.dollars.is_some() {
            return self.dollar();
        }
        let after = self.s.at(start + 2);
        let shift = if c == b'<' { BinOp::Shl } else { BinOp::Shr };
        let (token, len) = match (c, next) {
            (b'=', b'=') => (Token::Two(BinOp::Eq), 2),
            (b'!', b'=') => (Token::Two(BinOp::Ne), 2),
            (b'>', b'=') => (Token::Two(BinOp::Ge), 2),
            (b'<', b'=') => (Token::Two(BinOp::Le), 2),
            (b'<', b'<') | (b'>', b'>') if after == b'=' => (Token::Update(shift), 3),
            (b'<', b'<') | (b'>', b'>') => (Token::Two(shift), 2),
            (b'&', b'&') => (Token::And, 2),
            (b'|', b'|') => (Token::Or, 2),
            (b'*', b'*') => (Token::Two(BinOp::Pow), 2),
            (b'+' | b'-', _) if c == next => {
                let delta = if c == b'+' { 1 } else { -1 };
                let stepped = matches!(self.at.before, Token::PreStep(_));
                if self.at.token == Token::Name {
                    (Token::PostStep(delta), 2)
                } else if self.at.token == Token::Number && stepped {
                    let sign = if c == b'-' { "--" } else { "++" };
                    return Err(self.error(&format!("{sign}: assignment requires lvalue")));
                } else {
                    let mut j = start + 2;
                    while matches!(self.s.at(j), b' ' | b'\t' | b'\n') {
                        j += 1;
                    }
                    if self.s.at(j) == b'_' || self.s.at(j).is_ascii_alphabetic() {
                        (Token::PreStep(delta), 2)
                    } else {
                        (Token::One(c), 1)
                    }
                }
            }
            (_, b'=') if b"*/%+-&^|".contains(&c) => match operator(c) {
                Some(op) => (Token::Update(op), 2),
                None => (Token::One(c), 1),
            },
            _ if is_operator(c) => (Token::One(c), 1),
            _ => {
                let wants_operand = !matches!(self.at.token, Token::Name | Token::Number | Token::Cond);
                return Err(self.error(if wants_operand {
                    "syntax error: operand expected"
                } else {
                    "syntax error: invalid arithmetic operator"
                }));
            }
        };
        self.at.i += len;
        self.becomes(token);
        Ok(())
    }

    fn name(&mut self) -> Result<()> {
        let start = self.at.i;
        self.at.i += crate::text::name_len(&self.s.b[start..]);
        let name = sym(&self.s.src[start..self.at.i]);
        let target = if self.s.at(self.at.i) == b'[' {
            let end =
                self.s.balanced(self.at.i + 1, b'[', b']').map_err(|_| self.error("bad array subscript"))?;
            let index = crate::compile::index(&self.s.src[self.at.i + 1..end - 1], 0)
                .map_err(|_| self.error("bad array subscript"))?;
            self.at.i = end;
            Target::Element(name, Box::new(index))
        } else {
            Target::Var(name)
        };
        self.value = Some(Expr::Read(target));
        self.becomes(Token::Name);
        Ok(())
    }

    fn number(&mut self) -> Result<()> {
        let start = self.at.i;
        while self.s.at(self.at.i).is_ascii_alphanumeric()
            || matches!(self.s.at(self.at.i), b'#' | b'@' | b'_')
        {
            self.at.i += 1;
        }
        let text = &self.s.src[start..self.at.i];
        let n = constant(text).map_err(|what| format!("{text}: {what} (error token is \"{text}\")"))?;
        self.value = Some(Expr::Num(n));
        self.becomes(Token::Number);
        Ok(())
    }

    fn dollar(&mut self) -> Result<()> {
        let start = self.at.i;
        let rest = self.rest_from(start + 1);
        let (text, len) = match rest.strip_prefix('{') {
            Some(inner) => match inner.find('}') {
                Some(n) => (&inner[..n], n + 3),
                None => return Err(self.error("syntax error")),
            },
            None => {
                let first = rest.as_bytes().first().copied().unwrap_or(0);
                let n = if b"#?$!0123456789".contains(&first) {
                    1
                } else {
                    crate::text::name_len(rest.as_bytes())
                };
                (&rest[..n], n + 1)
            }
        };
        let name = match text {
            "#" => Name::Count,
            "?" => Name::Status,
            "$" => Name::Pid,
            "!" => Name::LastBackground,
            _ => match text.parse::<usize>() {
                Ok(n) if n > 0 => Name::Positional(n),
                _ if crate::text::is_name(text) => Name::Var(sym(text)),
                _ => return Err(self.error("syntax error")),
            },
        };
        // Text that goes on (`$x5`, `${x}y`) joins with the value: only expansion can tell what it is.
        let next = self.s.at(start + len);
        let before = if start > 0 { self.s.at(start - 1) } else { 0 };
        let joins = |c: u8| {
            c.is_ascii_alphanumeric() || c == b'_' || c == b'$' || c == b'#' || c == b'[' || c >= 0x80
        };
        let steps = matches!(self.s.b.get(start + len..), Some([b'+', b'+', ..] | [b'-', b'-', ..]));
        if joins(next) || joins(before) || steps {
            return Err(self.error("syntax error"));
        }
        if let Some(dollars) = &mut self.dollars {
            dollars.push(name);
        }
        self.at.i += len;
        self.value = Some(Expr::Dollar(name));
        self.becomes(Token::Number);
        Ok(())
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH || crate::stack::used() > super::MAX_STACK {
            return Err(self.error("expression recursion level exceeded"));
        }
        Ok(())
    }

    fn comma(&mut self) -> Result<Expr> {
        self.deeper()?;
        let mut left = self.assign()?;
        while self.at.token == Token::One(b',') {
            self.read()?;
            left = Expr::Comma(Box::new(left), Box::new(self.assign()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn assign(&mut self) -> Result<Expr> {
        let left = self.conditional()?;
        let op = match self.at.token {
            Token::One(b'=') => None,
            Token::Update(op) => Some(op),
            _ => return Ok(left),
        };
        let (Token::Name, Expr::Read(target)) = (self.at.before, left) else {
            return Err(self.error("attempted assignment to non-variable"));
        };
        self.deeper()?;
        self.read()?;
        let value = Box::new(self.assign()?);
        self.depth -= 1;
        Ok(match op {
            Some(op) => Expr::Update(op, target, value, self.token_at(self.at.last, op)),
            None => Expr::Assign(target, value),
        })
    }

    /// What an error of an operator names as its token.
    fn token_at(&self, at: usize, op: BinOp) -> Box<str> {
        match op {
            BinOp::Div | BinOp::Rem | BinOp::Pow => Box::from(self.rest_from(at)),
            _ => Box::default(),
        }
    }

    fn conditional(&mut self) -> Result<Expr> {
        let condition = self.or()?;
        if self.at.token != Token::One(b'?') {
            return Ok(condition);
        }
        self.deeper()?;
        self.read()?;
        if matches!(self.at.token, Token::None | Token::One(b':')) {
            return Err(self.error("expression expected"));
        }
        let yes = self.comma()?;
        if self.at.token != Token::One(b':') {
            return Err(self.error("`:' expected for conditional expression"));
        }
        self.read()?;
        if self.at.token == Token::None {
            return Err(self.error("expression expected"));
        }
        let no = self.conditional()?;
        self.at.before = Token::Cond;
        self.depth -= 1;
        Ok(Expr::Ternary(Box::new(condition), Box::new(yes), Box::new(no)))
    }

    fn or(&mut self) -> Result<Expr> {
        let mut left = self.and()?;
        while self.at.token == Token::Or {
            self.read()?;
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
            self.at.before = Token::Number;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr> {
        let mut left = self.level(0)?;
        while self.at.token == Token::And {
            self.read()?;
            left = Expr::And(Box::new(left), Box::new(self.level(0)?));
            self.at.before = Token::Number;
        }
        Ok(left)
    }

    /// Operators of one precedence, lowest first.
    fn level(&mut self, level: usize) -> Result<Expr> {
        if level > 7 {
            return self.power();
        }
        let mut left = self.level(level + 1)?;
        loop {
            let op = match self.at.token {
                Token::One(c) => operator(c),
                Token::Two(op) => Some(op),
                _ => None,
            };
            let Some(op) = op.filter(|op| precedence(*op) == level) else { return Ok(left) };
            let mut after = self.at.i;
            while matches!(self.s.at(after), b' ' | b'\t' | b'\n') {
                after += 1;
            }
            self.read()?;
            let right = self.level(level + 1)?;
            left = Expr::Binary(op, Box::new(left), Box::new(right), self.token_at(after, op));
            self.at.before = Token::Number;
        }
    }

    fn power(&mut self) -> Result<Expr> {
        let base = self.unary()?;
        if self.at.token != Token::Two(BinOp::Pow) {
            return Ok(base);
        }
        self.deeper()?;
        self.read()?;
        let exponent = self.power()?;
        self.depth -= 1;
        self.at.before = Token::Number;
        let token = self.token_at(self.at.last, BinOp::Pow);
        Ok(Expr::Binary(BinOp::Pow, Box::new(base), Box::new(exponent), token))
    }

    fn unary(&mut self) -> Result<Expr> {
        let Token::One(sign @ (b'!' | b'~' | b'-' | b'+')) = self.at.token else { return self.operand() };
        self.deeper()?;
        self.read()?;
        let inner = Box::new(self.unary()?);
        self.at.before = Token::Number;
        self.depth -= 1;
        Ok(match sign {
            b'!' => Expr::Not(inner),
            b'~' => Expr::BitNot(inner),
            b'-' => Expr::Neg(inner),
            _ => *inner,
        })
    }

    fn operand(&mut self) -> Result<Expr> {
        match self.at.token {
            Token::PreStep(delta) => {
                self.at.before = self.at.token;
                self.read()?;
                let Some(Expr::Read(target)) = self.value.take() else {
                    return Err(self.error("identifier expected after pre-increment or pre-decrement"));
                };
                self.at.token = Token::Number;
                self.read()?;
                Ok(Expr::Step { target, delta, after: false })
            }
            Token::One(b'(') => {
                self.read()?;
                let inner = self.comma()?;
                if self.at.token != Token::One(b')') {
                    return Err(self.error("missing `)'"));
                }
                self.read()?;
                Ok(inner)
            }
            Token::Number => {
                let value = self.value.take().unwrap_or(Expr::Num(0));
                self.read()?;
                Ok(value)
            }
            Token::Name => {
                let value = self.value.take().unwrap_or(Expr::Num(0));
                self.read()?;
                match (self.at.token, value) {
                    (Token::PostStep(delta), Expr::Read(target)) => {
                        self.at.token = Token::Number;
                        self.read()?;
                        Ok(Expr::Step { target, delta, after: true })
                    }
                    (_, value) => Ok(value),
                }
            }
            _ => Err(self.error("syntax error: operand expected")),
        }
    }
}

fn operator(c: u8) -> Option<BinOp> {
    Some(match c {
        b'|' => BinOp::BitOr,
        b'^' => BinOp::BitXor,
        b'&' => BinOp::BitAnd,
        b'<' => BinOp::Lt,
        b'>' => BinOp::Gt,
        b'+' => BinOp::Add,
        b'-' => BinOp::Sub,
        b'*' => BinOp::Mul,
        b'/' => BinOp::Div,
        b'%' => BinOp::Rem,
        _ => return None,
    })
}

fn precedence(op: BinOp) -> usize {
    match op {
        BinOp::BitOr => 0,
        BinOp::BitXor => 1,
        BinOp::BitAnd => 2,
        BinOp::Eq | BinOp::Ne => 3,
        BinOp::Lt | BinOp::Le | BinOp::Gt | BinOp::Ge => 4,
        BinOp::Shl | BinOp::Shr => 5,
        BinOp::Add | BinOp::Sub => 6,
        BinOp::Mul | BinOp::Div | BinOp::Rem => 7,
        BinOp::Pow => 8,
    }
}

/// The value of an integer constant: decimal, 0octal, 0xhex, base#digits.
pub(crate) fn integer(text: &str) -> Option<i64> {
    constant(text).ok()
}

/// The same; the error tells what is wrong.
fn constant(text: &str) -> std::result::Result<i64, &'static str> {
    let (mut base, mut based, mut digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', rest @ ..] => (16, true, rest),
        [b'0', rest @ ..] if !rest.is_empty() => (8, true, rest),
        all => (10, false, all),
    };
    let mut n = 0i64;
    while let [c, rest @ ..] = digits {
        digits = rest;
        let digit = match c {
            b'#' if based => return Err("invalid number"),
            b'#' if !(2..=64).contains(&n) => return Err("invalid arithmetic base"),
            b'#' => {
                base = n;
                based = true;
                n = 0;
                match rest.first() {
                    Some(c) if c.is_ascii_alphanumeric() || matches!(c, b'@' | b'_') => continue,
                    _ => return Err("invalid integer constant"),
                }
            }
            b'0'..=b'9' => i64::from(c - b'0'),
            b'a'..=b'z' => i64::from(c - b'a') + 10,
            b'A'..=b'Z' if base <= 36 => i64::from(c - b'A') + 10,
            b'A'..=b'Z' => i64::from(c - b'A') + 36,
            b'@' => 62,
            b'_' => 63,
            _ => return Err("value too great for base"),
        };
        if digit >= base {
            return Err("value too great for base");
        }
        n = n.wrapping_mul(base).wrapping_add(digit);
    }
    Ok(n)
}
