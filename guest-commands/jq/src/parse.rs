//! Parses a jq program, by the precedences of jq's grammar and with jq's words for what is wrong. It resolves no names.

use crate::lex::{Kind, Token, tokens};
use crate::ops::Op;
use crate::syntax::{Assignment, Def, Expr, Import, Part, Pattern, Program, Wrong};
use crate::value::{Map, Value};

/// Nesting beyond which a program is refused: parsing and compiling recurse.
const MAX_NESTING: usize = 200;
/// Operators in a row, for the same reason.
const MAX_CHAIN: usize = 1000;

type Parsed<T> = Result<T, Vec<Wrong>>;

/// Parses a program, or a module, which has definitions only.
pub(crate) fn parse(text: &str, module: bool) -> Parsed<Program> {
    let mut parser = Parser { text, tokens: tokens(text), at: 0, depth: 0 };
    let mut program = Program { imports: Vec::new(), defs: Vec::new(), body: Expr::Identity };
    if parser.keyword("module") {
        parser.postfix()?;
        parser.need(";")?;
    }
    while let Some(import) = parser.import()? {
        program.imports.push(import);
    }
    if module {
        while parser.peek() == &Kind::Keyword("def") {
            program.defs.push(parser.definition()?);
        }
    } else if parser.peek() != &Kind::End {
        // A program of definitions only is the identity.
        let mut defs = Vec::new();
        while parser.peek() == &Kind::Keyword("def") {
            defs.push(parser.definition()?);
        }
        let body = if parser.peek() == &Kind::End { Expr::Identity } else { parser.pipe()? };
        program.body =
            defs.into_iter().rev().fold(body, |body, def| Expr::Def(Box::new(def), Box::new(body)));
    }
    if parser.peek() == &Kind::End {
        Ok(program)
    } else {
        let expecting = if parser.at == 0 { ", expecting $end" } else { "" };
        Err(parser.unexpected(expecting))
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

fn boxed(e: Expr) -> Box<Expr> {
    Box::new(e)
}

fn literal(text: &str) -> Expr {
    Expr::Literal(text.into())
}

impl Parser<'_> {
    fn peek(&self) -> &Kind {
        &self.tokens[self.at].kind
    }

    fn peek_next(&self) -> &Kind {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].kind
    }

    fn place(&self) -> usize {
        self.tokens[self.at].start
    }

    fn next(&mut self) -> Kind {
        let kind = self.tokens[self.at].kind.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        kind
    }

    fn op(&mut self, op: &str) -> bool {
        let found = matches!(self.peek(), Kind::Op(o) if *o == op);
        if found {
            self.next();
        }
        found
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Kind::Keyword(k) if *k == word);
        if found {
            self.next();
        }
        found
    }

    fn need(&mut self, op: &str) -> Parsed<()> {
        if self.op(op) {
            return Ok(());
        }
        let expecting = if op == "}" { ", expecting '}'" } else { "" };
        Err(self.unexpected(expecting))
    }

    fn unexpected(&self, expecting: &str) -> Vec<Wrong> {
        let token = &self.tokens[self.at];
        let name = match &token.kind {
            Kind::Op(op) if op.len() == 1 => format!("'{op}'"),
            Kind::Op(word) | Kind::Keyword(word) => (*word).to_owned(),
            Kind::Ident(_) => "IDENT".to_owned(),
            Kind::Field(_) => "FIELD".to_owned(),
            Kind::Number(_) => "LITERAL".to_owned(),
            Kind::Format(_) => "FORMAT".to_owned(),
            Kind::StringStart => "QQSTRING_START".to_owned(),
            Kind::Text(_) => "QQSTRING_TEXT".to_owned(),
            Kind::InterpolationStart => "QQSTRING_INTERP_START".to_owned(),
            Kind::InterpolationEnd => "QQSTRING_INTERP_END".to_owned(),
            Kind::StringEnd => "QQSTRING_END".to_owned(),
            Kind::Invalid => "INVALID_CHARACTER".to_owned(),
            Kind::End => "$end".to_owned(),
        };
        // The end is told where the last token stands.
        let at = match token.kind {
            Kind::End if self.at > 0 => self.tokens[self.at - 1].start,
            _ => token.start,
        };
        let message = format!("syntax error, unexpected {name}{expecting} (Unix shell quoting issues?)");
        vec![Wrong { message, at }]
    }

    fn import(&mut self) -> Parsed<Option<Import>> {
        let included = self.keyword("include");
        if !included && !self.keyword("import") {
            return Ok(None);
        }
        let path = match self.string()? {
            Expr::Literal(Value::Str(path)) => path.to_string(),
            _ => {
                return Err(vec![Wrong { message: "Import path must be constant".into(), at: self.place() }]);
            }
        };
        let mut name = None;
        if !included {
            if !self.keyword("as") {
                return Err(self.unexpected(", expecting as"));
            }
            let dollar = if self.op("$") { "$" } else { "" };
            match self.next() {
                Kind::Ident(word) => name = Some(format!("{dollar}{word}")),
                _ => {
                    self.at -= 1;
                    return Err(self.unexpected(""));
                }
            }
        }
        let mut search = None;
        if !self.op(";") {
            let at = self.place();
            if let Expr::Object(members) = self.postfix()? {
                for (key, value) in members {
                    if let (Expr::Literal(Value::Str(key)), Expr::Literal(Value::Str(value))) = (key, value)
                        && &*key == "search"
                    {
                        search = Some(value.to_string());
                    }
                }
            } else {
                return Err(vec![Wrong { message: "Module metadata must be an object".into(), at }]);
            }
            self.need(";")?;
        }
        Ok(Some(Import { path, name, search }))
    }

    fn definition(&mut self) -> Parsed<Def> {
        self.next();
        let name = match self.next() {
            Kind::Ident(name) => name,
            Kind::Keyword(word) => word.to_owned(),
            _ => {
                self.at -= 1;
                return Err(self.unexpected(""));
            }
        };
        let mut params = Vec::new();
        if self.op("(") {
            loop {
                let dollar = if self.op("$") { "$" } else { "" };
                match self.next() {
                    Kind::Ident(word) => params.push(format!("{dollar}{word}")),
                    Kind::Keyword(word) => params.push(format!("{dollar}{word}")),
                    _ => {
                        self.at -= 1;
                        return Err(self.unexpected(""));
                    }
                }
                if !self.op(";") {
                    break;
                }
            }
            self.need(")")?;
        }
        self.need(":")?;
        let body = self.pipe()?;
        self.need(";")?;
        Ok(Def { name, params, body })
    }

    fn pipe(&mut self) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(vec![Wrong { message: "syntax error, memory exhausted".into(), at: self.place() }]);
        }
        let mut parts = vec![self.binary(1)?];
        while self.op("|") {
            parts.push(self.binary(1)?);
            if parts.len() > MAX_CHAIN {
                return Err(vec![Wrong {
                    message: "syntax error, memory exhausted".into(),
                    at: self.place(),
                }]);
            }
        }
        self.depth -= 1;
        let mut whole = parts.pop().unwrap_or(Expr::Identity);
        while let Some(part) = parts.pop() {
            whole = Expr::Pipe(boxed(part), boxed(whole));
        }
        Ok(whole)
    }

    /// How strongly an operator binds, and whether it groups to the left, to the right, or not at all.
    fn strength(&self) -> Option<(u8, char)> {
        let Kind::Op(op) = self.peek() else {
            return match self.peek() {
                Kind::Keyword("or") => Some((4, 'l')),
                Kind::Keyword("and") => Some((5, 'l')),
                _ => None,
            };
        };
        Some(match *op {
            "," => (1, 'l'),
            "//" => (2, 'r'),
            "=" | "|=" | "+=" | "-=" | "*=" | "/=" | "%=" | "//=" => (3, 'n'),
            "==" | "!=" | "<" | "<=" | ">" | ">=" => (6, 'n'),
            "+" | "-" => (7, 'l'),
            "*" | "/" | "%" => (8, 'l'),
            _ => return None,
        })
    }

    fn binary(&mut self, least: u8) -> Parsed<Expr> {
        let start = self.place();
        let mut left = self.operand()?;
        let mut chain = 0;
        let mut last = None;
        while let Some((strength, grouping)) = self.strength() {
            if strength < least {
                break;
            }
            if grouping == 'n' && last == Some(strength) {
                return Err(self.unexpected(""));
            }
            last = Some(strength);
            chain += 1;
            if chain > MAX_CHAIN {
                return Err(vec![Wrong {
                    message: "syntax error, memory exhausted".into(),
                    at: self.place(),
                }]);
            }
            let op = self.next();
            self.depth += 1;
            if self.depth > MAX_NESTING {
                return Err(vec![Wrong {
                    message: "syntax error, memory exhausted".into(),
                    at: self.place(),
                }]);
            }
            let right = self.binary(if grouping == 'r' { strength } else { strength + 1 })?;
            self.depth -= 1;
            if op == Kind::Op("/") && constant(&left).is_some() && constant(&right) == Some(0.0) {
                return Err(vec![Wrong { message: "Division by zero?".into(), at: start }]);
            }
            left = combine(&op, boxed(left), boxed(right));
        }
        Ok(left)
    }

    fn operand(&mut self) -> Parsed<Expr> {
        if self.peek() == &Kind::Keyword("def") {
            let def = self.definition()?;
            let body = self.pipe()?;
            return Ok(Expr::Def(Box::new(def), boxed(body)));
        }
        if self.keyword("label") {
            let name = self.variable()?;
            self.need("|")?;
            return Ok(Expr::Label(name, boxed(self.pipe()?)));
        }
        if self.op("-") {
            self.depth += 1;
            if self.depth > MAX_NESTING {
                return Err(vec![Wrong {
                    message: "syntax error, memory exhausted".into(),
                    at: self.place(),
                }]);
            }
            let inner = self.binary(8)?;
            self.depth -= 1;
            return Ok(Expr::Neg(boxed(inner)));
        }
        let term = self.postfix()?;
        if self.keyword("as") {
            let patterns = self.patterns()?;
            self.need("|")?;
            let body = self.pipe()?;
            return Ok(Expr::As(boxed(term), patterns, boxed(body)));
        }
        Ok(term)
    }

    fn variable(&mut self) -> Parsed<String> {
        self.need("$")?;
        match self.next() {
            Kind::Ident(name) => Ok(name),
            Kind::Keyword(word) => Ok(word.to_owned()),
            _ => {
                self.at -= 1;
                Err(self.unexpected(""))
            }
        }
    }

    fn patterns(&mut self) -> Parsed<Vec<Pattern>> {
        let mut patterns = vec![self.pattern()?];
        while self.op("?//") {
            patterns.push(self.pattern()?);
        }
        Ok(patterns)
    }

    fn pattern(&mut self) -> Parsed<Pattern> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(vec![Wrong { message: "syntax error, memory exhausted".into(), at: self.place() }]);
        }
        let pattern = if self.op("[") {
            let mut items = vec![self.pattern()?];
            while self.op(",") {
                items.push(self.pattern()?);
            }
            self.need("]")?;
            Pattern::Array(items)
        } else if self.op("{") {
            let mut members = Vec::new();
            loop {
                members.push(self.pattern_member()?);
                if !self.op(",") {
                    break;
                }
            }
            self.need("}")?;
            Pattern::Object(members)
        } else {
            Pattern::Var(self.variable()?)
        };
        self.depth -= 1;
        Ok(pattern)
    }

    fn pattern_member(&mut self) -> Parsed<(Option<String>, Expr, Option<Pattern>)> {
        if self.peek() == &Kind::Op("$") {
            let name = self.variable()?;
            let inner = if self.op(":") { Some(self.pattern()?) } else { None };
            let key = literal(&name);
            return Ok((Some(name), key, inner));
        }
        let key = self.key()?;
        self.need(":")?;
        Ok((None, key, Some(self.pattern()?)))
    }

    /// A key of an object or a pattern: a word, a string, or an expression in parentheses.
    fn key(&mut self) -> Parsed<Expr> {
        match self.peek().clone() {
            Kind::Ident(word) => {
                self.next();
                Ok(literal(&word))
            }
            Kind::Keyword(word) => {
                self.next();
                Ok(literal(word))
            }
            Kind::StringStart => self.string(),
            Kind::Format(_) if self.peek_next() == &Kind::StringStart => self.term(),
            Kind::Op("(") => {
                self.next();
                let key = self.pipe()?;
                self.need(")")?;
                Ok(key)
            }
            _ => Err(self.unexpected("")),
        }
    }

    fn string(&mut self) -> Parsed<Expr> {
        if self.peek() != &Kind::StringStart {
            return Err(self.unexpected(""));
        }
        self.next();
        let mut parts = Vec::new();
        loop {
            match self.next() {
                Kind::Text(text) => parts.push(Part::Text(text)),
                Kind::InterpolationStart => {
                    parts.push(Part::Value(self.pipe()?));
                    if self.next() != Kind::InterpolationEnd {
                        self.at -= 1;
                        return Err(self.unexpected(""));
                    }
                }
                Kind::StringEnd => break,
                end => {
                    if end != Kind::End {
                        self.at -= 1;
                    }
                    return Err(
                        self.unexpected(", expecting QQSTRING_TEXT or QQSTRING_INTERP_START or QQSTRING_END")
                    );
                }
            }
        }
        Ok(match parts.as_slice() {
            [] => literal(""),
            [Part::Text(text)] => literal(text),
            _ => Expr::Text(None, parts),
        })
    }

    /// A term with what may follow it: `.a`, `[…]`, `?`.
    fn postfix(&mut self) -> Parsed<Expr> {
        let mut term = self.term()?;
        let mut chain = 0;
        loop {
            chain += 1;
            if chain > MAX_CHAIN {
                return Err(vec![Wrong {
                    message: "syntax error, memory exhausted".into(),
                    at: self.place(),
                }]);
            }
            match self.peek().clone() {
                Kind::Field(name) => {
                    self.next();
                    term = Expr::Index(boxed(term), boxed(literal(&name)));
                }
                Kind::Op(".") if matches!(self.peek_next(), Kind::StringStart | Kind::Op("[")) => {
                    self.next();
                    if self.peek() == &Kind::StringStart {
                        let key = self.string()?;
                        term = Expr::Index(boxed(term), boxed(key));
                    }
                }
                Kind::Op("[") => {
                    self.next();
                    term = self.bracket(term)?;
                }
                Kind::Op("?") => {
                    self.next();
                    term = Expr::Try(boxed(term), None);
                }
                _ => return Ok(term),
            }
        }
    }

    fn bracket(&mut self, term: Expr) -> Parsed<Expr> {
        if self.op("]") {
            return Ok(Expr::Each(boxed(term)));
        }
        if self.op(":") {
            let to = self.pipe()?;
            self.need("]")?;
            return Ok(Expr::Slice(boxed(term), None, Some(boxed(to))));
        }
        let key = self.pipe()?;
        if self.op(":") {
            let to = if self.peek() == &Kind::Op("]") { None } else { Some(boxed(self.pipe()?)) };
            self.need("]")?;
            return Ok(Expr::Slice(boxed(term), Some(boxed(key)), to));
        }
        self.need("]")?;
        Ok(Expr::Index(boxed(term), boxed(key)))
    }

    fn term(&mut self) -> Parsed<Expr> {
        let at = self.place();
        match self.peek().clone() {
            Kind::Number(n) => {
                self.next();
                Ok(Expr::Literal(Value::Num(n)))
            }
            Kind::StringStart => self.string(),
            Kind::Format(name) => {
                self.next();
                if self.peek() != &Kind::StringStart {
                    return Ok(Expr::Format(name, at));
                }
                Ok(match self.string()? {
                    Expr::Text(_, parts) => Expr::Text(Some((name, at)), parts),
                    plain => plain,
                })
            }
            Kind::Field(name) => {
                self.next();
                Ok(Expr::Index(boxed(Expr::Identity), boxed(literal(&name))))
            }
            Kind::Op(".") => {
                self.next();
                if self.peek() == &Kind::StringStart {
                    let key = self.string()?;
                    return Ok(Expr::Index(boxed(Expr::Identity), boxed(key)));
                }
                Ok(Expr::Identity)
            }
            Kind::Op("..") => {
                self.next();
                Ok(Expr::Call("recurse".into(), Vec::new(), at))
            }
            Kind::Op("$") => {
                if self.peek_next() == &Kind::Keyword("__loc__") {
                    self.at += 2;
                    let line = self.text[..at].bytes().filter(|b| *b == b'\n').count() + 1;
                    let mut map = Map::default();
                    map.insert("file".into(), "<top-level>".into());
                    map.insert("line".into(), Value::count(line));
                    return Ok(Expr::Literal(map.into()));
                }
                Ok(Expr::Var(self.variable()?, at))
            }
            Kind::Op("(") => {
                self.next();
                let inner = self.pipe()?;
                self.need(")")?;
                Ok(inner)
            }
            Kind::Op("[") => {
                self.next();
                if self.op("]") {
                    return Ok(Expr::Array(None));
                }
                let inner = self.pipe()?;
                self.need("]")?;
                Ok(Expr::Array(Some(boxed(inner))))
            }
            Kind::Op("{") => self.object(),
            Kind::Keyword(word @ ("reduce" | "foreach")) => self.fold(word),
            Kind::Keyword("if") => {
                self.next();
                self.condition().map_err(|mut wrong| {
                    if wrong.len() == 1 && wrong[0].message.contains("$end") {
                        wrong.push(Wrong { message: "Possibly unterminated 'if' statement".into(), at });
                    }
                    wrong
                })
            }
            Kind::Keyword("try") => {
                self.next();
                let body = self.tried()?;
                let handler = if self.keyword("catch") { Some(boxed(self.tried()?)) } else { None };
                Ok(Expr::Try(boxed(body), handler))
            }
            Kind::Ident(name) => {
                self.next();
                if name == "break" && self.peek() == &Kind::Op("$") {
                    return Ok(Expr::Break(self.variable()?, at));
                }
                let constant = match name.as_str() {
                    "null" => Some(Value::Null),
                    "true" => Some(Value::Bool(true)),
                    "false" => Some(Value::Bool(false)),
                    _ => None,
                };
                if let Some(value) = constant {
                    return Ok(Expr::Literal(value));
                }
                let mut args = Vec::new();
                if self.op("(") {
                    args.push(self.pipe()?);
                    while self.op(";") {
                        args.push(self.pipe()?);
                    }
                    self.need(")")?;
                }
                Ok(Expr::Call(name, args, at))
            }
            _ => Err(self.unexpected(if self.at == 0 { ", expecting $end" } else { "" })),
        }
    }

    /// The operand of `try` or `catch`.
    fn tried(&mut self) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(vec![Wrong { message: "syntax error, memory exhausted".into(), at: self.place() }]);
        }
        let inner = if self.op("-") { Expr::Neg(boxed(self.postfix()?)) } else { self.postfix()? };
        self.depth -= 1;
        Ok(inner)
    }

    fn fold(&mut self, word: &str) -> Parsed<Expr> {
        self.next();
        let source = boxed(self.postfix()?);
        if !self.keyword("as") {
            return Err(self.unexpected(""));
        }
        let patterns = self.patterns()?;
        self.need("(")?;
        let init = boxed(self.pipe()?);
        self.need(";")?;
        let update = boxed(self.pipe()?);
        if word == "reduce" {
            self.need(")")?;
            return Ok(Expr::Reduce(source, patterns, init, update));
        }
        let extract = if self.op(";") { Some(boxed(self.pipe()?)) } else { None };
        self.need(")")?;
        Ok(Expr::Foreach(source, patterns, init, update, extract))
    }

    fn condition(&mut self) -> Parsed<Expr> {
        let test = self.pipe()?;
        if !self.keyword("then") {
            return Err(self.unexpected(""));
        }
        let then = self.pipe()?;
        let otherwise = if self.keyword("elif") {
            self.depth += 1;
            if self.depth > MAX_NESTING {
                return Err(vec![Wrong {
                    message: "syntax error, memory exhausted".into(),
                    at: self.place(),
                }]);
            }
            let inner = self.condition()?;
            self.depth -= 1;
            return Ok(Expr::If(boxed(test), boxed(then), Some(boxed(inner))));
        } else if self.keyword("else") {
            Some(boxed(self.pipe()?))
        } else {
            None
        };
        if !self.keyword("end") {
            return Err(self.unexpected(""));
        }
        Ok(Expr::If(boxed(test), boxed(then), otherwise))
    }

    fn object(&mut self) -> Parsed<Expr> {
        self.next();
        let mut members = Vec::new();
        while !self.op("}") {
            members.push(self.member()?);
            if self.op("}") {
                break;
            }
            if !self.op(",") {
                return Err(self.unexpected(", expecting '}'"));
            }
        }
        Ok(Expr::Object(members))
    }

    fn member(&mut self) -> Parsed<(Expr, Expr)> {
        let at = self.place();
        let own = |key: &Expr| Expr::Index(boxed(Expr::Identity), boxed(key.clone()));
        match self.peek().clone() {
            Kind::Op("$") => {
                let value = self.term()?;
                let name = match &value {
                    Expr::Var(name, _) => name.clone(),
                    _ => "__loc__".to_owned(),
                };
                if self.op(":") {
                    let key = value;
                    return Ok((key, self.member_value()?));
                }
                Ok((literal(&name), value))
            }
            Kind::Number(_) => {
                self.next();
                if self.peek() == &Kind::Op(":") {
                    return Err(vec![Wrong {
                        message: "May need parentheses around object key expression".into(),
                        at,
                    }]);
                }
                Err(self.unexpected(""))
            }
            Kind::Op("(") => {
                let key = self.key()?;
                self.need(":")?;
                Ok((key, self.member_value()?))
            }
            _ => {
                let key = self.key()?;
                if self.op(":") {
                    return Ok((key, self.member_value()?));
                }
                let value = own(&key);
                Ok((key, value))
            }
        }
    }

    fn member_value(&mut self) -> Parsed<Expr> {
        let mut value = self.binary(2)?;
        let mut rest = Vec::new();
        while self.op("|") {
            rest.push(self.binary(2)?);
        }
        let mut tail: Option<Expr> = None;
        while let Some(part) = rest.pop() {
            tail = Some(match tail {
                None => part,
                Some(tail) => Expr::Pipe(boxed(part), boxed(tail)),
            });
        }
        if let Some(tail) = tail {
            value = Expr::Pipe(boxed(value), boxed(tail));
        }
        Ok(value)
    }
}

/// The value of arithmetic on numbers that stand in the program.
fn constant(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Literal(Value::Num(number)) => Some(*number),
        Expr::Binary(op, l, r) => {
            let (l, r) = (constant(l)?, constant(r)?);
            match op {
                Op::Add => Some(l + r),
                Op::Sub => Some(l - r),
                Op::Mul => Some(l * r),
                Op::Div => Some(l / r),
                _ => None,
            }
        }
        _ => None,
    }
}

fn combine(op: &Kind, l: Box<Expr>, r: Box<Expr>) -> Expr {
    match op {
        Kind::Keyword("or") => return Expr::Or(l, r),
        Kind::Keyword("and") => return Expr::And(l, r),
        _ => {}
    }
    let Kind::Op(op) = op else { return Expr::Identity };
    let math = |op: &str| match op {
        "+" => Op::Add,
        "-" => Op::Sub,
        "*" => Op::Mul,
        "/" => Op::Div,
        "%" => Op::Rem,
        "==" => Op::Eq,
        "!=" => Op::Ne,
        "<" => Op::Lt,
        "<=" => Op::Le,
        ">" => Op::Gt,
        _ => Op::Ge,
    };
    match *op {
        "," => Expr::Comma(l, r),
        "//" => Expr::Alternative(l, r),
        "=" => Expr::Assign(Assignment::Set, l, r),
        "|=" => Expr::Assign(Assignment::Update, l, r),
        "//=" => Expr::Assign(Assignment::Alternative, l, r),
        "+=" | "-=" | "*=" | "/=" | "%=" => Expr::Assign(Assignment::Op(math(&op[..1])), l, r),
        _ => Expr::Binary(math(op), l, r),
    }
}
