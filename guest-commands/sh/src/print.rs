//! Writes commands as script text again, in the shape of bash's `declare -f`. Words are as they were written.

use crate::compile::word;
use crate::ir::{
    Arm, Assign, AssignValue, Command, Cond, CondOp, Element, Item, Kind, List, Pipeline, Redirect,
    RedirectFd, RedirectKind, Simple, Then, Timed, Word,
};
use crate::source::skip::Skipper;
use std::borrow::Cow;
use std::fmt::Write as _;

/// The definition of a function, without a newline at its end.
pub(crate) fn function(name: &str, body: &Command) -> String {
    let mut p = Printer::default();
    p.definition(name, body);
    p.here_documents();
    p.out.truncate(p.out.trim_end_matches('\n').len());
    p.out
}

/// A command as `BASH_COMMAND` shows it: of loops and `case` only the head.
pub(crate) fn head(command: &Command) -> String {
    let mut p = Printer { flat: true, ..Printer::default() };
    let loop_head = |p: &mut Printer, keyword: &str, var: &str, words: Option<&[Word]>| {
        let _ = write!(p.out, "{keyword} {var} in ");
        match words {
            Some(words) => p.words(words),
            None => p.text("\"$@\""),
        }
    };
    match &command.kind {
        Kind::For { var, words, .. } => loop_head(&mut p, "for", &var.name(), words.as_deref()),
        Kind::Select { var, words, .. } => loop_head(&mut p, "select", &var.name(), words.as_deref()),
        Kind::Case { word, .. } => {
            let _ = write!(p.out, "case {} in ", shown(word));
        }
        _ => p.command(command),
    }
    p.finish()
}

/// A command of a job, as `jobs` shows it.
pub(crate) fn job(item: &Item) -> String {
    let mut p = Printer { flat: true, ..Printer::default() };
    p.item(item);
    p.finish()
}

/// An assignment as written.
pub(crate) fn assign(assign: &Assign) -> String {
    let mut p = Printer::default();
    p.assign(assign);
    p.out
}

/// One command as text.
pub(crate) fn command(command: &Command) -> String {
    let mut p = Printer { flat: true, ..Printer::default() };
    p.command(command);
    p.finish()
}

#[derive(Default)]
struct Printer {
    out: String,
    indent: usize,
    /// Groups are on one line: no function is being defined.
    flat: bool,
    /// Here-documents whose bodies follow at the end of the line.
    bodies: Vec<String>,
    /// The text of a here-document came last, which does for one semicolon.
    separated: bool,
}

impl Printer {
    /// The text, with the bodies of here-documents at its end.
    fn finish(mut self) -> String {
        if !self.bodies.is_empty() {
            self.line();
            self.out.truncate(self.out.trim_end_matches('\n').len());
        }
        self.out
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// The texts of the here-documents that began on the line.
    fn here_documents(&mut self) {
        if !self.bodies.is_empty() {
            self.out.push('\n');
        }
        for body in self.bodies.drain(..) {
            self.out.push_str(&body);
        }
    }

    /// Ends the line, and with it the here-documents that began on it.
    fn line(&mut self) {
        self.here_documents();
        self.out.push('\n');
        let blanks = self.indent * 4;
        let _ = write!(self.out, "{:blanks$}", "");
    }

    fn definition(&mut self, name: &str, body: &Command) {
        let flat = std::mem::take(&mut self.flat);
        let _ = write!(self.out, "{name} () ");
        self.line();
        if matches!(body.kind, Kind::Brace(_)) {
            self.command(body);
        } else {
            self.text("{ ");
            self.block(|p| p.command(body));
            self.text("}");
        }
        self.flat = flat;
    }

    /// Indented lines, and the line after them begun.
    fn block(&mut self, f: impl FnOnce(&mut Self)) {
        self.indent += 1;
        self.line();
        f(self);
        self.indent -= 1;
        self.line();
    }

    /// Commands in sequence; `closed`: the last one has its semicolon, too.
    fn list(&mut self, list: &List, closed: bool) {
        let last = list.items.len().saturating_sub(1);
        for (i, item) in list.items.iter().enumerate() {
            self.item(item);
            if item.background {
                let more = i < last && self.bodies.is_empty();
                self.sign(if more { " & " } else { " &" }, if i < last { "  " } else { "" });
            } else if i < last {
                if !self.bodies.is_empty() {
                    self.sign("", "");
                } else if !std::mem::take(&mut self.separated) {
                    self.text(";");
                }
                if self.flat {
                    self.text(" ");
                } else {
                    self.line();
                }
            } else if !self.bodies.is_empty() {
                self.sign("", "");
            } else if closed && !self.out.ends_with(['\n', '&']) {
                self.text(";");
            }
        }
    }

    /// What joins two commands. The texts of here-documents come between the sign and the second command, which has
    /// `margin` before it.
    fn sign(&mut self, sign: &str, margin: &str) {
        if self.bodies.is_empty() {
            return self.text(sign);
        }
        self.text(sign);
        self.here_documents();
        self.text(margin);
        self.separated = true;
    }

    fn item(&mut self, item: &Item) {
        self.pipeline(&item.first);
        for (and, pipeline) in &item.rest {
            self.sign(if *and { " && " } else { " || " }, " ");
            self.pipeline(pipeline);
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline) {
        match pipeline.timed {
            Some(Timed::Bash) => self.text("time "),
            Some(Timed::Posix) => self.text("time -p "),
            None => {}
        }
        if pipeline.negate {
            self.text("! ");
        }
        for (i, stage) in pipeline.stages.iter().enumerate() {
            if i > 0 {
                self.sign(if self.bodies.is_empty() { " | " } else { " |" }, "  ");
            }
            self.command(stage);
        }
    }

    fn command(&mut self, command: &Command) {
        match &command.kind {
            Kind::Simple(simple) => self.simple(simple),
            Kind::Brace(list) if self.flat => {
                self.text("{ ");
                self.list(list, true);
                self.text(" }");
            }
            Kind::Brace(list) => {
                self.text("{ ");
                self.block(|p| p.list(list, false));
                self.text("}");
            }
            Kind::Subshell(list) => {
                self.text("( ");
                self.list(list, false);
                self.text(" )");
            }
            Kind::If { arms, otherwise } => self.condition(arms, otherwise.as_ref()),
            Kind::While { until, condition, body } => {
                self.text(if *until { "until " } else { "while " });
                self.list(condition, true);
                self.text(" do");
                self.block(|p| p.list(body, true));
                self.text("done");
            }
            Kind::For { var, words, body } => self.loop_over("for", &var.name(), words.as_deref(), body),
            Kind::Select { var, words, body } => {
                self.loop_over("select", &var.name(), words.as_deref(), body)
            }
            Kind::ForArith { init, condition, step, body } => {
                let part = |a: &Option<Box<crate::arith::Arith>>| {
                    a.as_ref().map_or_else(|| "1".to_owned(), |a| a.text.trim_start().to_owned())
                };
                let _ = write!(self.out, "for (({}; {}; {}))", part(init), part(condition), part(step));
                self.do_group(body);
            }
            Kind::Case { word, arms } => self.case(word, arms),
            Kind::Arith(arith) => {
                let _ = write!(self.out, "(({}))", arith.text);
            }
            Kind::Cond(cond) => {
                self.text("[[ ");
                self.cond(cond);
                self.text(" ]]");
            }
            Kind::Function { name, body } => {
                if !crate::source::posix() {
                    self.text("function ");
                }
                self.definition(name, body);
            }
            Kind::Coproc { name, body } => {
                let _ = write!(self.out, "coproc {} ", name.as_deref().unwrap_or("COPROC"));
                self.command(body);
            }
        }
        self.separated &= command.redirects.is_empty();
        for (i, redirect) in command.redirects.iter().enumerate() {
            if i > 0 || !self.out.ends_with([' ', '\n']) {
                self.text(" ");
            }
            self.redirect(redirect);
        }
    }

    fn condition(&mut self, arms: &[(List, List)], otherwise: Option<&List>) {
        let Some(((condition, body), rest)) = arms.split_first() else { return };
        self.text("if ");
        self.list(condition, true);
        self.text(" then");
        self.block(|p| p.list(body, true));
        if !rest.is_empty() {
            self.text("else");
            self.block(|p| {
                p.condition(rest, otherwise);
                p.text(";");
            });
        } else if let Some(otherwise) = otherwise {
            self.text("else");
            self.block(|p| p.list(otherwise, true));
        }
        self.text("fi");
    }

    fn loop_over(&mut self, keyword: &str, var: &str, words: Option<&[Word]>, body: &List) {
        let _ = write!(self.out, "{keyword} {var} in ");
        match words {
            Some(words) => self.words(words),
            None => self.text("\"$@\""),
        }
        self.text(";");
        self.do_group(body);
    }

    fn do_group(&mut self, body: &List) {
        self.line();
        self.text("do");
        self.block(|p| p.list(body, true));
        self.text("done");
    }

    fn case(&mut self, word: &Word, arms: &[Arm]) {
        let _ = write!(self.out, "case {} in ", shown(word));
        self.indent += 1;
        for arm in arms {
            self.line();
            let patterns: Vec<_> = arm.patterns.iter().map(shown).collect();
            let _ = write!(self.out, "{})", patterns.join(" | "));
            if arm.body.items.is_empty() {
                self.out.push('\n');
                self.line();
            } else {
                self.block(|p| p.list(&arm.body, false));
            }
            self.text(match arm.then {
                Then::Leave => ";;",
                Then::FallThrough => ";&",
                Then::TestNext => ";;&",
            });
        }
        self.indent -= 1;
        self.line();
        self.text("esac");
    }

    fn words(&mut self, words: &[Word]) {
        for (i, word) in words.iter().filter(|word| !word.raw.is_empty()).enumerate() {
            if i > 0 {
                self.text(" ");
            }
            self.text(&shown(word));
        }
    }

    fn simple(&mut self, simple: &Simple) {
        for (i, assign) in simple.assigns.iter().enumerate() {
            if i > 0 {
                self.text(" ");
            }
            self.assign(assign);
        }
        for (i, arg) in simple.args.iter().filter(|arg| !arg.word.raw.is_empty()).enumerate() {
            if i > 0 || !simple.assigns.is_empty() {
                self.text(" ");
            }
            match &arg.assign {
                Some(assign) if matches!(assign.value, AssignValue::Array(_)) => self.assign(assign),
                _ => self.text(&shown(&arg.word)),
            }
        }
    }

    fn assign(&mut self, assign: &Assign) {
        self.text(&assign.name.name());
        if let Some(index) = &assign.index {
            let _ = write!(self.out, "[{}]", index.word.raw);
        }
        self.text(if assign.append { "+=" } else { "=" });
        match &assign.value {
            AssignValue::Scalar(word) => self.text(&shown(word)),
            AssignValue::Array(elements) => {
                self.text(&array(elements));
            }
        }
    }

    fn redirect(&mut self, redirect: &Redirect) {
        let (sign, default) = match redirect.kind {
            RedirectKind::Read => ("< ", 0),
            RedirectKind::Write => ("> ", 1),
            RedirectKind::Append => (">> ", 1),
            RedirectKind::ReadWrite => ("<> ", u32::MAX),
            RedirectKind::Clobber => (">| ", 1),
            RedirectKind::Dup { output: false } => ("<&", u32::MAX),
            RedirectKind::Dup { output: true } => (">&", u32::MAX),
            RedirectKind::Both { append: false } => ("&> ", 1),
            RedirectKind::Both { append: true } => ("&>> ", 1),
            RedirectKind::Here { newline: true } => ("<<< ", 0),
            RedirectKind::Here { newline: false } => ("<<", 0),
        };
        match redirect.fd {
            RedirectFd::Number(n) if n == default => {}
            RedirectFd::Number(n) => {
                let _ = write!(self.out, "{n}");
            }
            RedirectFd::Named(name) => {
                let _ = write!(self.out, "{{{}}}", name.name());
            }
        }
        self.text(sign);
        if let RedirectKind::Here { newline: false } = redirect.kind {
            return self.here_document(redirect);
        }
        self.text(&shown(&redirect.target));
    }

    fn here_document(&mut self, redirect: &Redirect) {
        let Some(here) = &redirect.here else { return };
        if here.strip {
            self.text("-");
        }
        let delimiter = crate::source::delimiter(&here.delimiter);
        if here.quoted() {
            self.text(&crate::expand_quote(&delimiter));
        } else {
            self.text(&delimiter);
        }
        self.bodies.push(format!("{}{delimiter}\n", redirect.word().raw));
    }

    fn cond(&mut self, cond: &Cond) {
        match cond {
            Cond::Not(inner) => {
                self.text("! ");
                self.cond(inner);
            }
            Cond::Group(inner) => {
                self.text("( ");
                self.cond(inner);
                self.text(" )");
            }
            Cond::And(terms) | Cond::Or(terms) => {
                let sign = if matches!(cond, Cond::And(..)) { " && " } else { " || " };
                for (i, term) in terms.iter().enumerate() {
                    self.text(if i > 0 { sign } else { "" });
                    self.cond(term);
                }
            }
            Cond::Unary(op, word) => {
                let _ = write!(self.out, "-{} {}", *op as char, shown(word));
            }
            Cond::Binary(op, left, right) => {
                let _ = write!(self.out, "{} {} {}", shown(left), operator(*op), shown(right));
            }
            Cond::NonEmpty(word) => {
                let _ = write!(self.out, "-n {}", shown(word));
            }
        }
    }
}

/// A word as bash keeps it: what `$'…'` stands for in single quotes, and `$"…"` in double quotes.
fn shown(word: &Word) -> Cow<'_, str> {
    plain(&word.raw)
}

fn plain(raw: &str) -> Cow<'_, str> {
    if !raw.contains("$'") && !raw.contains("$\"") {
        return Cow::Borrowed(raw);
    }
    let s = Skipper::new(raw);
    let mut out = String::with_capacity(raw.len());
    let mut i = 0;
    while i < s.b.len() {
        let end = match s.b[i] {
            b'\\' => Ok(s.char_end(i + 1).min(s.b.len())),
            b'\'' => s.single(i),
            b'"' => s.double(i),
            b'`' => s.backquote(i),
            b'$' => s.dollar(i, false),
            _ => Ok(s.char_end(i)),
        };
        let Ok(end) = end else { return Cow::Borrowed(raw) };
        match &raw[i..end] {
            text if text.starts_with("$'") => {
                let text = word::ansi(&text[2..text.len() - 1]);
                let _ = write!(out, "'{}'", text.replace('\'', "'\\''"));
            }
            text if text.starts_with("${") => {
                let _ = write!(out, "${{{}}}", plain(&text[2..text.len() - 1]));
            }
            text if text.starts_with("$\"") => out.push_str(&text[1..]),
            text => out.push_str(text),
        }
        i = end;
    }
    Cow::Owned(out)
}

/// The list of an array as text.
pub(crate) fn array(elements: &[Element]) -> String {
    let item = |element: &Element| match &element.key {
        Some(key) => {
            let sign = if element.append { "+=" } else { "=" };
            format!("[{}]{sign}{}", key.word.raw, shown(&element.word))
        }
        None => shown(&element.word).into_owned(),
    };
    let written = elements.iter().filter(|element| element.key.is_some() || !element.word.raw.is_empty());
    format!("({})", written.map(item).collect::<Vec<_>>().join(" "))
}

/// A binary operator of `[[ ]]` as written.
pub(crate) fn operator(op: CondOp) -> &'static str {
    match op {
        CondOp::Match => "==",
        CondOp::NoMatch => "!=",
        CondOp::Regex => "=~",
        CondOp::Before => "<",
        CondOp::After => ">",
        CondOp::Eq => "-eq",
        CondOp::Ne => "-ne",
        CondOp::Lt => "-lt",
        CondOp::Le => "-le",
        CondOp::Gt => "-gt",
        CondOp::Ge => "-ge",
        CondOp::Newer => "-nt",
        CondOp::Older => "-ot",
        CondOp::SameFile => "-ef",
    }
}
