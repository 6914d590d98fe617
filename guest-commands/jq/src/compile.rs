//! Turns the tree of a program into nodes whose names are resolved: variables and parameters are places in the
//! environment, functions are numbers. It evaluates nothing.

use crate::builtins::{Format, Native, native};
use crate::ops::Op;
use crate::syntax::{Assignment, Def, Expr, Part, Pattern, Program, Wrong};
use crate::value::{Map, Value};
use std::collections::HashMap;

/// The number of a node.
pub(crate) type Id = u32;

/// A node. A variable or parameter is told by how many bindings were made since.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Identity,
    Literal(Value),
    Var(u32),
    Index(Id, Id),
    /// `t[k]` of a constant key.
    Field(Id, Value),
    Slice(Id, Id, Id),
    Each(Id),
    Pipe(Id, Id),
    Comma(Id, Id),
    Neg(Id),
    And(Id, Id),
    Or(Id, Id),
    Alternative(Id, Id),
    Binary(Op, Id, Id),
    Try(Id, Option<Id>),
    If(Id, Id, Id),
    Bind(Id, Id),
    /// The first of these that does not fail.
    Destructure(Box<[Id]>),
    Reduce {
        source: Id,
        init: Id,
        update: Id,
    },
    Foreach {
        source: Id,
        init: Id,
        update: Id,
        extract: Option<Id>,
    },
    Label(Id),
    Break(u32),
    Array(Option<Id>),
    Object(Box<[(Id, Id)]>),
    Text(Format, Box<[Piece]>),
    Format(Format),
    /// Function, arguments, and how many bindings were made since its definition.
    Call(usize, Box<[Id]>, u32),
    Param(u32),
    Native(Native, Box<[Id]>),
    Path(Id),
    GetPath(Id),
    Empty,
    /// From, to, step.
    Range(Id, Id, Id),
}

/// A part of a string.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Text(String),
    Value(Id),
}

/// A compiled program.
#[derive(Debug, Default)]
pub(crate) struct Code {
    pub(crate) nodes: Vec<Node>,
    /// Whether a node has exactly one result and needs no stack of the machine.
    pub(crate) simple: Vec<bool>,
    /// Body and number of parameters.
    pub(crate) functions: Vec<(Id, usize)>,
    pub(crate) main: Id,
}

/// Loads a module: its parsed program, or the values of a data file.
pub(crate) trait Modules {
    /// The module at a path as an import writes it.
    fn module(&mut self, path: &str, search: Option<&str>) -> Result<Program, String>;
    /// The data at a path.
    fn data(&mut self, path: &str, search: Option<&str>) -> Result<Value, String>;
}

enum Entry {
    Var(String),
    Label(String),
    Param(String),
    Function { name: String, arity: usize, number: usize, level: u32 },
}

struct Compiler<'a> {
    code: Code,
    scope: Vec<Entry>,
    /// Bindings that the environment has here.
    level: u32,
    globals: &'a HashMap<String, Value>,
    prelude: &'a [Def],
    /// Functions of the prelude that were compiled already.
    known: HashMap<(String, usize), usize>,
    wrong: Vec<Wrong>,
    modules: &'a mut dyn Modules,
    depth: usize,
}

/// Compiles a program with its global variables.
pub(crate) fn compile(
    program: &Program,
    prelude: &[Def],
    globals: &HashMap<String, Value>,
    modules: &mut dyn Modules,
) -> Result<Code, Vec<Wrong>> {
    let mut compiler = Compiler {
        code: Code::default(),
        scope: Vec::new(),
        level: 0,
        globals,
        prelude,
        known: HashMap::new(),
        wrong: Vec::new(),
        modules,
        depth: 0,
    };
    let mut data = Vec::new();
    compiler.imports(program, &mut data);
    let main = compiler.with_data(data, |c| c.expr(&program.body));
    compiler.code.main = main;
    if compiler.wrong.is_empty() { Ok(compiler.code) } else { Err(compiler.wrong) }
}

impl Compiler<'_> {
    fn node(&mut self, node: Node) -> Id {
        let simple = self.is_simple(&node);
        self.code.nodes.push(node);
        self.code.simple.push(simple);
        Id::try_from(self.code.nodes.len() - 1).unwrap_or(0)
    }

    fn is_simple(&self, node: &Node) -> bool {
        let s = |id: &Id| self.code.simple[*id as usize];
        match node {
            Node::Identity | Node::Literal(_) | Node::Var(_) | Node::Format(_) => true,
            Node::Index(a, b)
            | Node::Binary(_, a, b)
            | Node::And(a, b)
            | Node::Or(a, b)
            | Node::Pipe(a, b) => s(a) && s(b),
            Node::Field(a, _) | Node::Neg(a) | Node::GetPath(a) => s(a),
            Node::Slice(a, b, c) | Node::If(a, b, c) => s(a) && s(b) && s(c),
            Node::Object(members) => members.iter().all(|(k, v)| s(k) && s(v)),
            Node::Text(_, pieces) => pieces.iter().all(|p| match p {
                Piece::Text(_) => true,
                Piece::Value(id) => s(id),
            }),
            Node::Native(_, args) => args.iter().all(s),
            Node::Array(None) => true,
            _ => false,
        }
    }

    fn undefined(&mut self, what: &str, at: usize) -> Id {
        self.wrong.push(Wrong { message: format!("{what} is not defined"), at });
        self.node(Node::Empty)
    }

    fn imports(&mut self, program: &Program, data: &mut Vec<(String, Value)>) {
        for import in &program.imports {
            let search = import.search.as_deref();
            match import.name.as_deref().and_then(|n| n.strip_prefix('$')) {
                Some(name) => match self.modules.data(&import.path, search) {
                    Ok(values) => {
                        data.push((format!("{name}::{name}"), values.clone()));
                        data.push((name.to_owned(), values));
                    }
                    Err(message) => self.wrong.push(Wrong { message, at: 0 }),
                },
                None => match self.modules.module(&import.path, search) {
                    Ok(module) => self.module(&module, import.name.as_deref()),
                    Err(message) => self.wrong.push(Wrong { message, at: 0 }),
                },
            }
        }
    }

    /// The definitions of a module; from outside they go by its name, and only inside by their own.
    fn module(&mut self, module: &Program, name: Option<&str>) {
        self.depth += 1;
        if self.depth > 50 {
            self.wrong.push(Wrong { message: "modules import one another too deeply".into(), at: 0 });
            return;
        }
        let before = self.scope.len();
        let mut data = Vec::new();
        self.imports(module, &mut data);
        let kept = self.scope.len();
        // Data is bound inside of each definition: a definition itself has no place in the environment.
        for def in &module.defs {
            let body = data.iter().rev().fold(def.body.clone(), |body, (name, value)| {
                Expr::As(
                    Box::new(Expr::Literal(value.clone())),
                    vec![Pattern::Var(name.clone())],
                    Box::new(body),
                )
            });
            self.define(&Def { name: def.name.clone(), params: def.params.clone(), body });
        }
        if let Some(prefix) = name {
            self.scope.drain(before..kept);
            for entry in &mut self.scope[before..] {
                if let Entry::Function { name, .. } = entry {
                    *name = format!("{prefix}::{name}");
                }
            }
        }
        self.depth -= 1;
    }

    fn with_data(&mut self, data: Vec<(String, Value)>, body: impl FnOnce(&mut Self) -> Id) -> Id {
        let mut sources = Vec::new();
        for (name, value) in data {
            sources.push(self.node(Node::Literal(value)));
            self.scope.push(Entry::Var(name));
            self.level += 1;
        }
        let mut id = body(self);
        for source in sources.into_iter().rev() {
            id = self.node(Node::Bind(source, id));
        }
        id
    }

    /// Compiles `body` with one more binding.
    fn bound(&mut self, entry: Entry, body: impl FnOnce(&mut Self) -> Id) -> Id {
        self.scope.push(entry);
        self.level += 1;
        let id = body(self);
        self.level -= 1;
        self.scope.pop();
        id
    }

    /// How many bindings were made since the one that is found.
    fn steps(&self, wanted: impl Fn(&Entry) -> bool) -> Option<u32> {
        let mut steps = 0;
        for entry in self.scope.iter().rev() {
            if wanted(entry) {
                return Some(steps);
            }
            if !matches!(entry, Entry::Function { .. }) {
                steps += 1;
            }
        }
        None
    }

    fn define(&mut self, def: &Def) {
        let number = self.code.functions.len();
        self.code.functions.push((0, def.params.len()));
        self.scope.push(Entry::Function {
            name: def.name.clone(),
            arity: def.params.len(),
            number,
            level: self.level,
        });
        let body = self.function_body(def);
        self.code.functions[number].0 = body;
    }

    fn function_body(&mut self, def: &Def) -> Id {
        let (scope, level) = (self.scope.len(), self.level);
        for param in &def.params {
            self.scope.push(Entry::Param(param.trim_start_matches('$').to_owned()));
            self.level += 1;
        }
        let vars: Vec<&str> = def.params.iter().filter_map(|p| p.strip_prefix('$')).collect();
        let body = self.params_as_vars(&vars, &def.body);
        self.scope.truncate(scope);
        self.level = level;
        body
    }

    fn params_as_vars(&mut self, vars: &[&str], body: &Expr) -> Id {
        let Some((first, rest)) = vars.split_first() else { return self.expr(body) };
        let source = self.expr(&Expr::Call((*first).to_owned(), Vec::new(), 0));
        let body = self.bound(Entry::Var((*first).to_owned()), |c| c.params_as_vars(rest, body));
        self.node(Node::Bind(source, body))
    }

    fn var(&mut self, name: &str, at: usize) -> Id {
        if let Some(steps) = self.steps(|e| matches!(e, Entry::Var(n) if n == name)) {
            return self.node(Node::Var(steps));
        }
        if let Some(value) = self.globals.get(name) {
            return self.node(Node::Literal(value.clone()));
        }
        if name == "ENV" {
            let env = crate::builtins::environment();
            return self.node(Node::Literal(env));
        }
        self.undefined(&format!("${name}"), at)
    }

    fn call(&mut self, name: &str, args: &[Expr], at: usize) -> Id {
        let arity = args.len();
        let mut steps = 0;
        let mut found = None;
        for entry in self.scope.iter().rev() {
            match entry {
                Entry::Function { name: n, arity: a, number, level } => {
                    if n == name && *a == arity {
                        found = Some(Ok((*number, self.level - *level)));
                        break;
                    }
                }
                Entry::Param(n) if n == name && arity == 0 => {
                    found = Some(Err(steps));
                    break;
                }
                _ => steps += 1,
            }
        }
        match found {
            Some(Err(steps)) => self.node(Node::Param(steps)),
            Some(Ok((number, skip))) => {
                let args = args.iter().map(|a| self.expr(a)).collect();
                self.node(Node::Call(number, args, skip))
            }
            None => self.builtin(name, args, at),
        }
    }

    fn builtin(&mut self, name: &str, args: &[Expr], at: usize) -> Id {
        let special = match (name, args) {
            ("empty", []) => Some(Node::Empty),
            ("path", [f]) => Some(Node::Path(self.expr(f))),
            ("getpath", [p]) => Some(Node::GetPath(self.expr(p))),
            ("range", [to]) => {
                let (from, to) = (self.node(Node::Literal(Value::Num(0.0))), self.expr(to));
                let step = self.node(Node::Literal(Value::Num(1.0)));
                Some(Node::Range(from, to, step))
            }
            ("range", [from, to]) => {
                let (from, to) = (self.expr(from), self.expr(to));
                let step = self.node(Node::Literal(Value::Num(1.0)));
                Some(Node::Range(from, to, step))
            }
            ("range", [from, to, step]) => Some(Node::Range(self.expr(from), self.expr(to), self.expr(step))),
            _ => None,
        };
        if let Some(node) = special {
            return self.node(node);
        }
        if let Some(function) = native(name, args.len()) {
            let args = args.iter().map(|a| self.expr(a)).collect();
            return self.node(Node::Native(function, args));
        }
        let key = (name.to_owned(), args.len());
        let number = match self.known.get(&key) {
            Some(number) => *number,
            None => {
                let prelude = self.prelude;
                let Some(def) = prelude.iter().find(|d| d.name == name && d.params.len() == args.len())
                else {
                    return self.undefined(&format!("{name}/{}", args.len()), at);
                };
                let number = self.code.functions.len();
                self.code.functions.push((0, args.len()));
                self.known.insert(key, number);
                // Its own scope: nothing of the caller is visible in it.
                let scope = std::mem::take(&mut self.scope);
                let level = std::mem::replace(&mut self.level, 0);
                let body = self.function_body(def);
                self.scope = scope;
                self.level = level;
                self.code.functions[number].0 = body;
                number
            }
        };
        let args = args.iter().map(|a| self.expr(a)).collect();
        self.node(Node::Call(number, args, self.level))
    }

    /// What applies an unknown format: an error when it runs.
    fn unknown_format(&mut self, name: &str, at: usize) -> Id {
        let message = Expr::Literal(format!("{name} is not a valid format").into());
        self.call("error", &[message], at)
    }

    fn expr(&mut self, expr: &Expr) -> Id {
        let node = match expr {
            Expr::Identity => Node::Identity,
            Expr::Literal(value) => Node::Literal(value.clone()),
            Expr::Format(name, at) => match Format::named(name) {
                Some(format) => Node::Format(format),
                None => return self.unknown_format(name, *at),
            },
            Expr::Text(format, parts) => {
                let format = match format {
                    Some((name, at)) => match Format::named(name) {
                        Some(format) => format,
                        None if parts.iter().any(|part| matches!(part, Part::Value(_))) => {
                            return self.unknown_format(name, *at);
                        }
                        None => Format::Text,
                    },
                    None => Format::Text,
                };
                let pieces = parts.iter().map(|part| match part {
                    Part::Text(text) => Piece::Text(text.clone()),
                    Part::Value(e) => Piece::Value(self.expr(e)),
                });
                Node::Text(format, pieces.collect())
            }
            Expr::Var(name, at) => return self.var(name, *at),
            Expr::Call(name, args, at) => return self.call(name, args, *at),
            Expr::Index(t, k) => {
                let term = self.expr(t);
                match &**k {
                    Expr::Literal(key) => Node::Field(term, key.clone()),
                    key => Node::Index(term, self.expr(key)),
                }
            }
            Expr::Slice(t, from, to) => {
                let mut bound = |e: &Option<Box<Expr>>| match e {
                    Some(e) => self.expr(e),
                    None => self.node(Node::Literal(Value::Null)),
                };
                let (from, to) = (bound(from), bound(to));
                Node::Slice(self.expr(t), from, to)
            }
            Expr::Each(t) => Node::Each(self.expr(t)),
            Expr::Try(body, handler) => {
                let body = self.expr(body);
                Node::Try(body, handler.as_ref().map(|h| self.expr(h)))
            }
            Expr::Neg(e) => match &**e {
                Expr::Literal(Value::Num(n)) => Node::Literal(Value::Num(-n)),
                e => Node::Neg(self.expr(e)),
            },
            Expr::Pipe(l, r) => Node::Pipe(self.expr(l), self.expr(r)),
            Expr::Comma(l, r) => Node::Comma(self.expr(l), self.expr(r)),
            Expr::And(l, r) => Node::And(self.expr(l), self.expr(r)),
            Expr::Or(l, r) => Node::Or(self.expr(l), self.expr(r)),
            Expr::Alternative(l, r) => Node::Alternative(self.expr(l), self.expr(r)),
            Expr::Binary(op, l, r) => Node::Binary(*op, self.expr(l), self.expr(r)),
            Expr::Assign(kind, l, r) => return self.assign(*kind, l, r),
            Expr::As(source, patterns, body) => {
                let source = self.expr(source);
                let body =
                    self.bound(Entry::Var("*".into()), |c| c.destructure(patterns, 0, |c| c.expr(body)));
                Node::Bind(source, body)
            }
            Expr::Reduce(source, patterns, init, update) => {
                let (source, init) = (self.expr(source), self.expr(init));
                let update =
                    self.bound(Entry::Var("*".into()), |c| c.destructure(patterns, 0, |c| c.expr(update)));
                Node::Reduce { source, init, update }
            }
            Expr::Foreach(source, patterns, init, update, extract) => {
                let (source, init) = (self.expr(source), self.expr(init));
                // Both see the variables, so both are bound: with a plain variable, which is the rule, at no cost.
                let body =
                    self.bound(Entry::Var("*".into()), |c| c.destructure(patterns, 0, |c| c.expr(update)));
                let extract = extract.as_ref().map(|e| {
                    self.bound(Entry::Var("*".into()), |c| c.destructure(patterns, 0, |c| c.expr(e)))
                });
                Node::Foreach { source, init, update: body, extract }
            }
            Expr::If(test, then, otherwise) => {
                let (test, then) = (self.expr(test), self.expr(then));
                let otherwise = match otherwise {
                    Some(e) => self.expr(e),
                    None => self.node(Node::Identity),
                };
                Node::If(test, then, otherwise)
            }
            Expr::Label(name, body) => Node::Label(self.bound(Entry::Label(name.clone()), |c| c.expr(body))),
            Expr::Break(name, at) => match self.steps(|e| matches!(e, Entry::Label(n) if n == name)) {
                Some(steps) => Node::Break(steps),
                None => return self.undefined(&format!("$*label-{name}"), *at),
            },
            Expr::Def(def, body) => {
                let scope = self.scope.len();
                self.define(def);
                let body = self.expr(body);
                self.scope.truncate(scope);
                return body;
            }
            Expr::Array(inner) => Node::Array(inner.as_ref().map(|e| self.expr(e))),
            Expr::Object(members) => {
                let members: Box<[(Id, Id)]> =
                    members.iter().map(|(k, v)| (self.object_key(k), self.expr(v))).collect();
                if members.is_empty() { Node::Literal(Map::default().into()) } else { Node::Object(members) }
            }
        };
        self.node(node)
    }

    fn object_key(&mut self, key: &Expr) -> Id {
        self.expr(key)
    }

    fn assign(&mut self, kind: Assignment, l: &Expr, r: &Expr) -> Id {
        let call = |name: &str, args: Vec<Expr>| Expr::Call(name.into(), args, 0);
        let (l, r) = (l.clone(), r.clone());
        match kind {
            Assignment::Set => self.builtin("_assign", &[l, r], 0),
            Assignment::Update => self.builtin("_modify", &[l, r], 0),
            Assignment::Alternative => {
                // `r` sees what the whole sees, so it is bound outside of the update.
                let source = self.expr(&r);
                let body = self.bound(Entry::Var("*op".into()), |c| {
                    let var = Expr::Var("*op".into(), 0);
                    let update = Expr::Alternative(Box::new(Expr::Identity), Box::new(var));
                    c.builtin("_modify", &[l, update], 0)
                });
                self.node(Node::Bind(source, body))
            }
            Assignment::Op(op) => {
                let source = self.expr(&r);
                let body = self.bound(Entry::Var("*op".into()), |c| {
                    let var = Expr::Var("*op".into(), 0);
                    let update = Expr::Binary(op, Box::new(Expr::Identity), Box::new(var));
                    c.expr(&call("_modify", vec![l, update]))
                });
                self.node(Node::Bind(source, body))
            }
        }
    }

    /// The body with the variables of the patterns, of which the last one tried takes the value apart that is bound
    /// `since` bindings ago. A single plain variable needs no binding of its own: the value's is renamed.
    fn destructure(&mut self, patterns: &[Pattern], since: u32, body: impl Fn(&mut Self) -> Id + Copy) -> Id {
        if let ([Pattern::Var(name)], Some(Entry::Var(slot))) = (patterns, self.scope.last_mut()) {
            slot.clone_from(name);
            return body(self);
        }
        if let [pattern] = patterns {
            return self.pattern_steps(&[(since, pattern)], &body);
        }
        let mut names = Vec::new();
        for pattern in patterns {
            names_of(pattern, &mut names);
        }
        let mut tried = Vec::new();
        for pattern in patterns {
            tried
                .push(self.nulls(&names, 0, &|c, added| c.pattern_steps(&[(since + added, pattern)], &body)));
        }
        self.node(Node::Destructure(tried.into()))
    }

    fn nulls(&mut self, names: &[String], added: u32, body: &dyn Fn(&mut Self, u32) -> Id) -> Id {
        let Some((first, rest)) = names.split_first() else { return body(self, added) };
        let source = self.node(Node::Literal(Value::Null));
        let inner = self.bound(Entry::Var(first.clone()), |c| c.nulls(rest, added + 1, body));
        self.node(Node::Bind(source, inner))
    }

    /// Takes values apart by patterns: each stands with the number of bindings since its value's.
    fn pattern_steps(&mut self, todo: &[(u32, &Pattern)], body: &dyn Fn(&mut Self) -> Id) -> Id {
        let Some(((since, pattern), rest)) = todo.split_first() else { return body(self) };
        let later = |by: u32| rest.iter().map(move |(s, p)| (s + by, *p)).collect::<Vec<_>>();
        match pattern {
            Pattern::Var(name) => {
                let source = self.node(Node::Var(*since));
                let todo = later(1);
                let inner = self.bound(Entry::Var(name.clone()), |c| c.pattern_steps(&todo, body));
                self.node(Node::Bind(source, inner))
            }
            Pattern::Array(items) => {
                let members: Vec<_> = items
                    .iter()
                    .enumerate()
                    .map(|(i, p)| (None, Expr::Literal(Value::count(i)), Some(p)))
                    .collect();
                self.members(*since, &members, rest, body)
            }
            Pattern::Object(items) => {
                let members: Vec<_> =
                    items.iter().map(|(name, key, p)| (name.clone(), key.clone(), p.as_ref())).collect();
                self.members(*since, &members, rest, body)
            }
        }
    }

    fn members(
        &mut self,
        since: u32,
        members: &[(Option<String>, Expr, Option<&Pattern>)],
        rest: &[(u32, &Pattern)],
        body: &dyn Fn(&mut Self) -> Id,
    ) -> Id {
        let Some(((name, key, pattern), others)) = members.split_first() else {
            return self.pattern_steps(rest, body);
        };
        // `$value | .[key]`
        let value = self.node(Node::Var(since));
        let identity = self.node(Node::Identity);
        let key = self.expr(key);
        let access = self.node(Node::Index(identity, key));
        let source = self.node(Node::Pipe(value, access));
        let entry = Entry::Var(name.clone().unwrap_or_else(|| "*".to_owned()));
        let rest: Vec<_> = rest.iter().map(|(s, p)| (s + 1, *p)).collect();
        let inner = self.bound(entry, |c| match pattern {
            None => c.members(since + 1, others, &rest, body),
            // What it contains comes first; then the other members of the same value.
            Some(pattern) => c.nested(pattern, since + 1, others, &rest, body),
        });
        self.node(Node::Bind(source, inner))
    }

    fn nested(
        &mut self,
        pattern: &Pattern,
        since: u32,
        others: &[(Option<String>, Expr, Option<&Pattern>)],
        rest: &[(u32, &Pattern)],
        body: &dyn Fn(&mut Self) -> Id,
    ) -> Id {
        let before = self.level;
        self.pattern_steps(&[(0, pattern)], &|c: &mut Self| {
            let added = c.level - before;
            let rest: Vec<_> = rest.iter().map(|(s, p)| (s + added, *p)).collect();
            c.members(since + added, others, &rest, body)
        })
    }
}

fn names_of(pattern: &Pattern, names: &mut Vec<String>) {
    let mut add = |name: &String| {
        if !names.contains(name) {
            names.push(name.clone());
        }
    };
    match pattern {
        Pattern::Var(name) => add(name),
        Pattern::Array(items) => items.iter().for_each(|p| names_of(p, names)),
        Pattern::Object(items) => {
            for (name, _, pattern) in items {
                if let Some(name) = name
                    && !names.contains(name)
                {
                    names.push(name.clone());
                }
                if let Some(pattern) = pattern {
                    names_of(pattern, names);
                }
            }
        }
    }
}
