//! Parses arithmetic by precedence climbing. It evaluates nothing.

use super::{BinOp, Expr, Target};
use crate::ir::Name;
use crate::source::skip::Skipper;
use crate::symbols::sym;

type Result<T> = std::result::Result<T, String>;

struct Parser<'a, 'd> {
    s: Skipper<'a>,
    i: usize,
    depth: u32,
    dollars: Option<&'d mut Vec<Name>>,
}

/// The expression that expanded text writes; the error names the token that stopped it.
pub(crate) fn parse(text: &str) -> Result<Expr> {
    finish(Parser { s: Skipper::new(text), i: 0, depth: 0, dollars: None })
}

/// The same before expansion: `$name` parameters are collected.
pub(super) fn parse_with(text: &str, dollars: &mut Vec<Name>) -> Result<Expr> {
    finish(Parser { s: Skipper::new(text), i: 0, depth: 0, dollars: Some(dollars) })
}

fn finish(mut p: Parser<'_, '_>) -> Result<Expr> {
    p.blanks();
    if p.i >= p.s.b.len() {
        return Ok(Expr::Num(0));
    }
    let expr = p.comma()?;
    p.blanks();
    if p.i < p.s.b.len() { Err(p.error("syntax error in expression")) } else { Ok(expr) }
}

/// Operators by precedence, lowest first; longer ones before their prefixes.
const LEVELS: &[&[(&str, BinOp)]] = &[
    &[("|", BinOp::BitOr)],
    &[("^", BinOp::BitXor)],
    &[("&", BinOp::BitAnd)],
    &[("==", BinOp::Eq), ("!=", BinOp::Ne)],
    &[("<=", BinOp::Le), (">=", BinOp::Ge), ("<", BinOp::Lt), (">", BinOp::Gt)],
    &[("<<", BinOp::Shl), (">>", BinOp::Shr)],
    &[("+", BinOp::Add), ("-", BinOp::Sub)],
    &[("*", BinOp::Mul), ("/", BinOp::Div), ("%", BinOp::Rem)],
];

const ASSIGN: &[(&str, Option<BinOp>)] = &[
    ("<<=", Some(BinOp::Shl)),
    (">>=", Some(BinOp::Shr)),
    ("*=", Some(BinOp::Mul)),
    ("/=", Some(BinOp::Div)),
    ("%=", Some(BinOp::Rem)),
    ("+=", Some(BinOp::Add)),
    ("-=", Some(BinOp::Sub)),
    ("&=", Some(BinOp::BitAnd)),
    ("^=", Some(BinOp::BitXor)),
    ("|=", Some(BinOp::BitOr)),
    ("=", None),
];

impl Parser<'_, '_> {
    fn error(&self, what: &str) -> String {
        format!("{what} (error token is \"{}\")", self.s.src.get(self.i..).unwrap_or_default())
    }

    fn blanks(&mut self) {
        while matches!(self.s.at(self.i), b' ' | b'\t' | b'\n' | b'\r') {
            self.i += 1;
        }
    }

    fn rest(&self) -> &[u8] {
        self.s.b.get(self.i..).unwrap_or_default()
    }

    fn comma(&mut self) -> Result<Expr> {
        let mut left = self.ternary()?;
        loop {
            self.blanks();
            if self.s.at(self.i) != b',' {
                return Ok(left);
            }
            self.i += 1;
            left = Expr::Comma(Box::new(left), Box::new(self.ternary()?));
        }
    }

    /// Conditional and assignment expressions, which nest to the right.
    fn ternary(&mut self) -> Result<Expr> {
        self.depth += 1;
        if self.depth > 200 {
            return Err(self.error("expression recursion level exceeded"));
        }
        let condition = self.or()?;
        self.blanks();
        let result = if self.s.at(self.i) == b'?' {
            self.i += 1;
            let yes = self.comma()?;
            self.blanks();
            if self.s.at(self.i) != b':' {
                return Err(self.error("`:' expected for conditional expression"));
            }
            self.i += 1;
            let no = self.ternary()?;
            Ok(Expr::Ternary(Box::new(condition), Box::new(yes), Box::new(no)))
        } else if let Some((text, op)) = ASSIGN.iter().find(|(t, _)| self.rest().starts_with(t.as_bytes()))
            && !(*text == "=" && self.s.at(self.i + 1) == b'=')
        {
            let Expr::Read(target) = condition else {
                return Err(self.error("attempted assignment to non-variable"));
            };
            self.i += text.len();
            let value = Box::new(self.ternary()?);
            Ok(match op {
                Some(op) => Expr::Update(*op, target, value),
                None => Expr::Assign(target, value),
            })
        } else {
            Ok(condition)
        };
        self.depth -= 1;
        result
    }

    fn or(&mut self) -> Result<Expr> {
        let mut left = self.and()?;
        loop {
            self.blanks();
            if !self.rest().starts_with(b"||") {
                return Ok(left);
            }
            self.i += 2;
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
    }

    fn and(&mut self) -> Result<Expr> {
        let mut left = self.level(0)?;
        loop {
            self.blanks();
            if !self.rest().starts_with(b"&&") {
                return Ok(left);
            }
            self.i += 2;
            left = Expr::And(Box::new(left), Box::new(self.level(0)?));
        }
    }

    fn level(&mut self, level: usize) -> Result<Expr> {
        let Some(operators) = LEVELS.get(level) else { return self.power() };
        let mut left = self.level(level + 1)?;
        'more: loop {
            self.blanks();
            for (text, op) in *operators {
                let rest = self.rest();
                if !rest.starts_with(text.as_bytes()) {
                    continue;
                }
                let next = rest.get(text.len()).copied().unwrap_or(0);
                let first = text.as_bytes()[0];
                // `a &= b`, `a && b`, `a << b` and the like belong to other levels.
                let other = match *op {
                    BinOp::Eq | BinOp::Ne | BinOp::Le | BinOp::Ge => false,
                    BinOp::Shl | BinOp::Shr => next == b'=',
                    BinOp::Lt | BinOp::Gt => next == first,
                    BinOp::Mul => next == b'=' || next == b'*',
                    BinOp::BitAnd | BinOp::BitOr => next == b'=' || next == first,
                    _ => next == b'=',
                };
                if other {
                    continue;
                }
                self.i += text.len();
                left = Expr::Binary(*op, Box::new(left), Box::new(self.level(level + 1)?));
                continue 'more;
            }
            return Ok(left);
        }
    }

    fn power(&mut self) -> Result<Expr> {
        let base = self.unary()?;
        self.blanks();
        if self.rest().starts_with(b"**") && !self.rest().starts_with(b"**=") {
            self.i += 2;
            self.depth += 1;
            if self.depth > 100 {
                return Err(self.error("expression recursion level exceeded"));
            }
            let exponent = self.power()?;
            self.depth -= 1;
            return Ok(Expr::Binary(BinOp::Pow, Box::new(base), Box::new(exponent)));
        }
        Ok(base)
    }

    fn unary(&mut self) -> Result<Expr> {
        self.blanks();
        self.depth += 1;
        if self.depth > 200 {
            return Err(self.error("expression recursion level exceeded"));
        }
        let c = self.s.at(self.i);
        let expr = match c {
            b'+' | b'-' if self.s.at(self.i + 1) == c => {
                let before = self.i;
                self.i += 2;
                match self.unary()? {
                    Expr::Read(target) => {
                        Expr::Step { target, delta: if c == b'+' { 1 } else { -1 }, after: false }
                    }
                    _ => {
                        // `- -1`: two signs, not a decrement.
                        self.i = before + 1;
                        let inner = Box::new(self.unary()?);
                        if c == b'-' { Expr::Neg(inner) } else { *inner }
                    }
                }
            }
            b'+' => {
                self.i += 1;
                match self.unary()? {
                    Expr::Read(target) => {
                        Expr::Binary(BinOp::Add, Box::new(Expr::Read(target)), Box::new(Expr::Num(0)))
                    }
                    other => other,
                }
            }
            b'-' => {
                self.i += 1;
                Expr::Neg(Box::new(self.unary()?))
            }
            b'!' => {
                self.i += 1;
                Expr::Not(Box::new(self.unary()?))
            }
            b'~' => {
                self.i += 1;
                Expr::BitNot(Box::new(self.unary()?))
            }
            _ => self.postfix()?,
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn postfix(&mut self) -> Result<Expr> {
        let operand = self.operand()?;
        let Expr::Read(target) = operand else { return Ok(operand) };
        self.blanks();
        let delta = match self.rest() {
            [b'+', b'+', ..] => 1,
            [b'-', b'-', ..] => -1,
            _ => return Ok(Expr::Read(target)),
        };
        self.i += 2;
        Ok(Expr::Step { target, delta, after: true })
    }

    fn operand(&mut self) -> Result<Expr> {
        let start = self.i;
        match self.s.at(start) {
            b'(' => {
                self.i += 1;
                let inner = self.comma()?;
                self.blanks();
                if self.s.at(self.i) != b')' {
                    return Err(self.error("missing `)'"));
                }
                self.i += 1;
                // A parenthesised variable cannot be assigned to.
                Ok(match inner {
                    Expr::Read(target) => {
                        Expr::Binary(BinOp::Add, Box::new(Expr::Read(target)), Box::new(Expr::Num(0)))
                    }
                    other => other,
                })
            }
            b'0'..=b'9' => self.number(),
            b'$' => self.dollar(),
            _ => {
                let len = crate::text::name_len(self.rest());
                if len == 0 {
                    return Err(self.error("syntax error: operand expected"));
                }
                self.i += len;
                let name = sym(&self.s.src[start..self.i]);
                if self.s.at(self.i) != b'[' {
                    return Ok(Expr::Read(Target::Var(name)));
                }
                let end =
                    self.s.balanced(self.i + 1, b'[', b']').map_err(|_| self.error("bad array subscript"))?;
                let index = crate::compile::index(&self.s.src[self.i + 1..end - 1], 0)
                    .map_err(|_| self.error("bad array subscript"))?;
                self.i = end;
                Ok(Expr::Read(Target::Element(name, Box::new(index))))
            }
        }
    }

    fn dollar(&mut self) -> Result<Expr> {
        let rest = self.s.src.get(self.i + 1..).unwrap_or_default();
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
        let next = self.s.at(self.i + len);
        let before = if self.i > 0 { self.s.at(self.i - 1) } else { 0 };
        let joins = |c: u8| {
            c.is_ascii_alphanumeric() || c == b'_' || c == b'$' || c == b'#' || c == b'[' || c >= 0x80
        };
        if joins(next)
            || joins(before)
            || matches!(self.rest().get(len..), Some([b'+', b'+', ..] | [b'-', b'-', ..]))
        {
            return Err(self.error("syntax error"));
        }
        let Some(dollars) = &mut self.dollars else {
            return Err(self.error("syntax error: operand expected"));
        };
        dollars.push(name);
        self.i += len;
        Ok(Expr::Dollar(name))
    }

    fn number(&mut self) -> Result<Expr> {
        let start = self.i;
        while self.s.at(self.i).is_ascii_alphanumeric() || matches!(self.s.at(self.i), b'#' | b'@' | b'_') {
            self.i += 1;
        }
        let text = &self.s.src[start..self.i];
        match integer(text) {
            Some(n) => Ok(Expr::Num(n)),
            None => {
                self.i = start;
                Err(self.error("value too great for base"))
            }
        }
    }
}

/// The value of an integer constant: decimal, 0octal, 0xhex, base#digits.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let (radix, digits) = match text.split_once('#') {
        Some((base, digits)) => (base.parse::<u32>().ok().filter(|b| (2..=64).contains(b))?, digits),
        None => match text.as_bytes() {
            [b'0', b'x' | b'X', ..] => (16, &text[2..]),
            [b'0', _, ..] => (8, &text[1..]),
            _ => (10, text),
        },
    };
    if digits.is_empty() {
        return None;
    }
    let mut n = 0i64;
    for c in digits.bytes() {
        let digit = match c {
            b'0'..=b'9' => u32::from(c - b'0'),
            b'a'..=b'z' => u32::from(c - b'a') + 10,
            b'A'..=b'Z' if radix <= 36 => u32::from(c - b'A') + 10,
            b'A'..=b'Z' => u32::from(c - b'A') + 36,
            b'@' => 62,
            b'_' => 63,
            _ => return None,
        };
        if digit >= radix {
            return None;
        }
        n = n.wrapping_mul(i64::from(radix)).wrapping_add(i64::from(digit));
    }
    Some(n)
}
