//! Trees to instructions: rules and statements. Expressions are in `compile/expr`.

mod expr;

use crate::ast::{Expr, Line, Pattern, Program, Redirect, Rule, Stmt, StmtKind};
use crate::op::{Code, Entry, Op, Place};
use std::collections::HashMap;

/// Compiles a program.
pub(crate) fn compile(program: Program, by_name: HashMap<String, u32>) -> Code {
    let params = program.functions.iter().map(|f| f.arrays.clone()).collect();
    let mut compiler = Compiler {
        code: Code { by_name, globals: program.globals, sources: program.sources, ..Code::default() },
        line: Line::default(),
        loops: Vec::new(),
        params,
    };
    for function in program.functions {
        let at = compiler.here();
        compiler.code.functions.push(Entry { name: function.name, at, params: function.params });
        compiler.line = function.line;
        compiler.block(function.body.as_deref().unwrap_or_default());
        compiler.constant_uninit();
        compiler.emit(Op::Return);
    }
    let rules = |wanted: fn(&Pattern) -> bool| program.rules.iter().filter(move |rule| wanted(&rule.pattern));
    compiler.code.begin = compiler.section(rules(|p| matches!(p, Pattern::Begin)));
    compiler.code.end = compiler.section(rules(|p| matches!(p, Pattern::End)));
    compiler.code.begin_file = compiler.section(rules(|p| matches!(p, Pattern::BeginFile)));
    compiler.code.end_file = compiler.section(rules(|p| matches!(p, Pattern::EndFile)));
    compiler.code.main =
        compiler.section(rules(|p| matches!(p, Pattern::Always | Pattern::When(_) | Pattern::Range(..))));
    compiler.code
}

/// Where `break` and `continue` of a loop jump: instructions to be completed at its end.
#[derive(Default)]
struct Loop {
    breaks: Vec<u32>,
    continues: Vec<u32>,
    /// A switch: `continue` belongs to the loop around it.
    switch: bool,
}

struct Compiler {
    code: Code,
    line: Line,
    loops: Vec<Loop>,
    /// Which parameters of each function are arrays.
    params: Vec<Vec<bool>>,
}

impl Compiler {
    fn here(&self) -> u32 {
        self.code.ops.len() as u32
    }

    fn emit(&mut self, op: Op) -> u32 {
        self.code.ops.push(op);
        self.code.lines.push(self.line);
        self.here() - 1
    }

    /// Makes jumps lead to `to`.
    fn lead(&mut self, jumps: &[u32], to: u32) {
        for at in jumps {
            match &mut self.code.ops[*at as usize] {
                Op::Jump(target)
                | Op::JumpTrue(target)
                | Op::JumpFalse(target)
                | Op::NextKey(target)
                | Op::JumpCompare(_, _, target) => *target = to,
                _ => {}
            }
        }
    }

    fn lead_here(&mut self, jumps: &[u32]) {
        self.lead(jumps, self.here());
    }

    fn section<'a>(&mut self, rules: impl Iterator<Item = &'a Rule>) -> Option<u32> {
        let start = self.here();
        let mut any = false;
        for rule in rules {
            any = true;
            self.rule(rule);
        }
        if !any {
            return None;
        }
        self.emit(Op::Halt);
        Some(start)
    }

    fn rule(&mut self, rule: &Rule) {
        self.line = rule.line;
        let skip = match &rule.pattern {
            Pattern::When(condition) => self.jump_if(condition, false),
            Pattern::Range(first, last) => {
                let range = self.code.ranges as u32;
                self.code.ranges += 1;
                self.emit(Op::InRange(range));
                let inside = self.emit(Op::JumpTrue(0));
                let skip = self.jump_if(first, false);
                self.emit(Op::SetRange(range, true));
                self.lead_here(&[inside]);
                let goes_on = self.jump_if(last, false);
                self.emit(Op::SetRange(range, false));
                self.lead_here(&goes_on);
                skip
            }
            _ => Vec::new(),
        };
        match &rule.body {
            Some(body) => self.block(body),
            None => {
                self.emit(Op::PrintRecord);
            }
        }
        self.lead_here(&skip);
    }

    fn block(&mut self, body: &[Stmt]) {
        for statement in body {
            self.statement(statement);
        }
    }

    /// Compiles a loop's body; returns what is to be completed.
    fn looped(&mut self, body: &[Stmt]) -> Loop {
        self.loops.push(Loop::default());
        self.block(body);
        self.loops.pop().unwrap_or_default()
    }

    fn statement(&mut self, statement: &Stmt) {
        self.line = statement.line;
        match &statement.kind {
            StmtKind::Expr(expr) => self.discard(expr),
            StmtKind::Block(body) => self.block(body),
            StmtKind::Print(formatted, values, redirect, to) => {
                self.print(*formatted, values, *redirect, to.as_ref());
            }
            StmtKind::If(arms, otherwise) => {
                let mut ends = Vec::new();
                for (condition, body) in arms {
                    let skip = self.jump_if(condition, false);
                    self.block(body);
                    ends.push(self.emit(Op::Jump(0)));
                    self.lead_here(&skip);
                }
                self.block(otherwise);
                self.lead_here(&ends);
            }
            StmtKind::While(condition, body) => {
                let top = self.here();
                let out = self.jump_if(condition, false);
                let done = self.looped(body);
                self.emit(Op::Jump(top));
                self.lead(&done.continues, top);
                self.lead_here(&out);
                self.lead_here(&done.breaks);
            }
            StmtKind::Do(body, condition) => {
                let top = self.here();
                let done = self.looped(body);
                self.lead_here(&done.continues);
                let again = self.jump_if(condition, true);
                self.lead(&again, top);
                self.lead_here(&done.breaks);
            }
            StmtKind::For(first, condition, step, body) => {
                if let Some(first) = first {
                    self.statement(first);
                }
                let out = condition.as_ref().map(|c| self.jump_if(c, false)).unwrap_or_default();
                let top = self.here();
                let done = self.looped(body);
                self.lead_here(&done.continues);
                if let Some(step) = step {
                    self.statement(step);
                }
                // The condition stands again at the end: one jump less for each turn.
                let again = match condition {
                    Some(condition) => self.jump_if(condition, true),
                    None => vec![self.emit(Op::Jump(0))],
                };
                self.lead(&again, top);
                self.lead_here(&out);
                self.lead_here(&done.breaks);
            }
            StmtKind::ForIn(var, array, body) => {
                self.array(array);
                self.emit(Op::Iterate);
                let top = self.emit(Op::NextKey(0));
                self.assign_top(var);
                let done = self.looped(body);
                self.emit(Op::Jump(top));
                self.lead(&done.continues, top);
                self.lead_here(&[top]);
                self.lead_here(&done.breaks);
                self.emit(Op::EndIterate);
            }
            StmtKind::Switch(value, cases) => self.switch(value, cases),
            StmtKind::Break => {
                let jump = self.emit(Op::Jump(0));
                if let Some(inner) = self.loops.last_mut() {
                    inner.breaks.push(jump);
                }
            }
            StmtKind::Continue => {
                let jump = self.emit(Op::Jump(0));
                if let Some(inner) = self.loops.iter_mut().rev().find(|l| !l.switch) {
                    inner.continues.push(jump);
                }
            }
            StmtKind::Next => {
                self.emit(Op::Next);
            }
            StmtKind::NextFile => {
                self.emit(Op::NextFile);
            }
            StmtKind::Exit(status) => {
                if let Some(status) = status {
                    self.value(status);
                }
                self.emit(Op::Exit(status.is_some()));
            }
            StmtKind::Return(value) => {
                match value {
                    Some(value) => self.value(value),
                    None => self.constant_uninit(),
                }
                self.emit(Op::Return);
            }
            StmtKind::Delete(target) => {
                if let Expr::Index(base, keys) = target {
                    self.array(base);
                    self.key(keys);
                    self.emit(Op::Delete);
                } else {
                    self.array(target);
                    self.emit(Op::DeleteAll);
                }
            }
        }
    }

    fn switch(&mut self, value: &Expr, cases: &[(Option<Expr>, Vec<Stmt>)]) {
        self.value(value);
        let mut entries = Vec::new();
        for (case, _) in cases {
            entries.push(case.as_ref().map(|case| {
                self.operand(case);
                self.emit(Op::Case);
                self.emit(Op::JumpTrue(0))
            }));
        }
        let otherwise = self.emit(Op::Jump(0));
        self.loops.push(Loop { switch: true, ..Loop::default() });
        // The value lies on the stack while its case is looked for: each way in takes it away.
        let mut default = None;
        for ((_, body), entry) in cases.iter().zip(&entries) {
            let over = self.emit(Op::Jump(0));
            let here = self.here();
            match entry {
                Some(entry) => self.lead(&[*entry], here),
                None => default = Some(here),
            }
            self.emit(Op::Pop);
            self.lead_here(&[over]);
            self.block(body);
        }
        let done = self.loops.pop().unwrap_or_default();
        let end = self.emit(Op::Jump(0));
        match default {
            Some(default) => self.lead(&[otherwise], default),
            None => {
                self.lead_here(&[otherwise]);
                self.emit(Op::Pop);
            }
        }
        self.lead_here(&[end]);
        self.lead_here(&done.breaks);
    }

    fn print(&mut self, formatted: bool, values: &[Expr], redirect: Redirect, to: Option<&Expr>) {
        if let (false, Redirect::None) = (formatted, redirect) {
            match values {
                [] => {
                    self.emit(Op::PrintRecord);
                    return;
                }
                [Expr::Field(n)] => {
                    if let Expr::Num(n) = **n
                        && (0.0..1e6).contains(&n)
                    {
                        self.emit(if n < 1.0 { Op::PrintRecord } else { Op::PrintField(n as u32) });
                        return;
                    }
                }
                _ => {}
            }
        }
        for value in values {
            self.value(value);
        }
        if values.is_empty() {
            self.emit(Op::FieldAt(0));
        }
        if let Some(to) = to {
            self.value(to);
        }
        let count = values.len().max(1) as u32;
        self.emit(if formatted { Op::Printf(count, redirect) } else { Op::Print(count, redirect) });
    }

    /// Assigns the top of the stack to a variable of a loop.
    fn assign_top(&mut self, var: &Expr) {
        if let Expr::Var(var) = var {
            self.emit(Op::Assign(Place::Var(*var), false));
        }
    }
}
