//! Evaluates compiled programs: a machine with its own stacks, so that neither recursion nor the number of results is
//! bound by the stack of the process. A result may be followed by others: what is still to be tried lies on a stack of
//! alternatives, and asking for the next result takes the topmost up again.

use crate::builtins::Host;
use crate::compile::{Code, Id, Node, Piece};
use crate::json::print::compact;
use crate::ops::{self, Op, Outcome, Stop, fail};
use crate::value::{Map, Value, drop_deep};
use std::cell::{Cell as Flag, RefCell};
use std::rc::Rc;

/// Bindings, the latest first.
type Env = Option<Rc<Bound>>;
/// What is to be done with a result.
type Next = Option<Rc<Step>>;

#[derive(Debug)]
struct Bound {
    what: Binding,
    next: Env,
}

#[derive(Clone, Debug)]
enum Binding {
    Value(Value),
    Label(u64),
    Closure(Id, Env),
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Some(next) = self.next.take_if(|n| Rc::strong_count(n) == 1) {
            drop_deep(next);
        }
        if let Binding::Closure(_, env) = &mut self.what
            && let Some(env) = env.take_if(|e| Rc::strong_count(e) == 1)
        {
            drop_deep(env);
        }
    }
}

/// Where a value was found, while paths are asked for.
#[derive(Debug)]
struct Track {
    key: Option<Value>,
    parent: Option<Rc<Track>>,
    at: Value,
}

impl Drop for Track {
    fn drop(&mut self) {
        if let Some(parent) = self.parent.take_if(|n| Rc::strong_count(n) == 1) {
            drop_deep(parent);
        }
    }
}

impl Track {
    fn path(&self) -> Value {
        let mut keys = Vec::new();
        let mut at = self;
        loop {
            keys.extend(at.key.clone());
            match &at.parent {
                Some(parent) => at = parent,
                None => break,
            }
        }
        keys.reverse();
        keys.into()
    }
}

/// A value on its way, and where it was found.
#[derive(Clone, Debug)]
struct Cell {
    v: Value,
    t: Option<Rc<Track>>,
}

impl Cell {
    fn plain(v: Value) -> Cell {
        Cell { v, t: None }
    }
}

#[derive(Debug)]
struct Step {
    frame: Frame,
    next: Next,
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(next) = self.next.take_if(|n| Rc::strong_count(n) == 1) {
            drop_deep(next);
        }
    }
}

type Slot = Rc<RefCell<Cell>>;

/// One thing to be done with a result.
#[derive(Clone, Debug)]
enum Frame {
    Pipe(Id, Env),
    Bind(Id, Env, Cell),
    /// The right operand came; the left one is next.
    Right(Op, Id, Env, Cell),
    Left(Op, Value, Option<Rc<Track>>),
    /// `and` (true) and `or`: the right operand, if the left one does not decide.
    Logic(bool, Id, Env, Cell),
    Truth(Option<Rc<Track>>),
    Condition(Id, Id, Env, Cell),
    Key(Id, Env, Cell),
    Access(Value),
    SliceFrom(Id, Id, Env, Cell),
    SliceTo(Id, Value, Env, Cell),
    Each,
    Negate(Option<Rc<Track>>),
    TryEnd(u64),
    AlternativeEnd(Rc<Flag<bool>>),
    Collect(Rc<RefCell<Vec<Value>>>),
    ReduceInit(Id, Id, Env, Cell),
    ReduceItem(Id, Env, Slot),
    ReduceStore(Slot),
    ForeachInit(Id, Env, Cell),
    ForeachItem(Id, Env, Slot),
    ForeachStore(Id, Env, Slot),
    Member(Id, usize, Option<Rc<str>>, Map, Env, Cell),
    Text(Id, usize, Vec<Value>, Env, Cell),
    Argument(Id, Vec<Value>, Env, Cell),
    PathEnd(Option<Rc<Track>>),
    GetPath(Cell),
    RangeFrom(Id, Env, Cell),
    RangeTo(Id, Env, Cell, Value),
    RangeStep(Option<Rc<Track>>, Value, Value),
}

/// What is still to be tried, or to be known when it is given up.
#[derive(Debug)]
enum Fork {
    Eval(Id, Env, Cell, Next),
    Each(Value, usize, Option<Rc<Track>>, Next),
    Range(f64, f64, f64, Option<Rc<Track>>, Next),
    Try(u64, Option<(Id, Env)>, Option<Rc<Track>>, Next),
    /// A result has left the `try` of this number: what fails now is not its own.
    Left(u64),
    Label(u64),
    Alternative(Rc<Flag<bool>>, Id, Env, Cell, Next),
    Destructure(Id, usize, Env, Cell, Next),
    Collect(Rc<RefCell<Vec<Value>>>, Option<Rc<Track>>, Next),
    Reduce(Slot, Next),
}

enum State {
    Eval(Id, Env, Cell, Next),
    Return(Cell, Next),
    Backtrack,
    Raise(Stop),
}

/// An evaluation in progress.
pub(crate) struct Machine<'p> {
    code: &'p Code,
    forks: Vec<Fork>,
    state: Option<State>,
    numbers: u64,
}

fn push(frame: Frame, next: Next) -> Next {
    Some(Rc::new(Step { frame, next }))
}

fn bind(what: Binding, next: &Env) -> Env {
    Some(Rc::new(Bound { what, next: next.clone() }))
}

fn lookup(env: &Env, steps: u32) -> Option<&Rc<Bound>> {
    let mut at = env.as_ref();
    for _ in 0..steps {
        at = at?.next.as_ref();
    }
    at
}

fn skipped(env: &Env, steps: u32) -> Env {
    let mut at = env;
    for _ in 0..steps {
        match at {
            Some(bound) => at = &bound.next,
            None => return None,
        }
    }
    at.clone()
}

impl<'p> Machine<'p> {
    /// Begins to evaluate a program on an input.
    pub(crate) fn new(code: &'p Code, input: Value) -> Self {
        let state = Some(State::Eval(code.main, None, Cell::plain(input), None));
        Machine { code, forks: Vec::new(), state, numbers: 0 }
    }

    /// The next result.
    pub(crate) fn next(&mut self, host: &mut dyn Host) -> Option<Outcome> {
        let mut state = self.state.take()?;
        loop {
            state = match state {
                State::Return(cell, None) => {
                    self.state = Some(State::Backtrack);
                    return Some(Ok(cell.v));
                }
                State::Eval(id, env, cell, next) => {
                    self.eval(id, env, cell, next, host).unwrap_or_else(State::Raise)
                }
                State::Return(cell, Some(step)) => {
                    let (frame, next) = match Rc::try_unwrap(step) {
                        Ok(mut step) => {
                            let next = step.next.take();
                            // Step has a destructor, so the frame is exchanged for one without content.
                            (std::mem::replace(&mut step.frame, Frame::Each), next)
                        }
                        Err(step) => (step.frame.clone(), step.next.clone()),
                    };
                    self.resume(frame, cell, next, host).unwrap_or_else(State::Raise)
                }
                State::Backtrack => self.backtrack()?,
                State::Raise(stop) => match self.raise(stop) {
                    Ok(state) => state,
                    Err(stop) => {
                        self.forks.clear();
                        return Some(Err(stop));
                    }
                },
            };
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The value of a node that has exactly one.
    fn simple(&self, id: Id, env: &Env, v: &Value, host: &mut dyn Host) -> Outcome {
        match &self.code.nodes[id as usize] {
            Node::Identity => Ok(v.clone()),
            Node::Literal(value) => Ok(value.clone()),
            Node::Var(steps) => Ok(variable(env, *steps)),
            Node::Format(format) => format.apply(v),
            Node::Field(t, key) => match &self.code.nodes[*t as usize] {
                Node::Identity => ops::index(v, key),
                _ => ops::index(&self.simple(*t, env, v, host)?, key),
            },
            Node::Index(t, k) => {
                let key = self.simple(*k, env, v, host)?;
                ops::index(&self.simple(*t, env, v, host)?, &key)
            }
            Node::Slice(t, from, to) => {
                let from = self.simple(*from, env, v, host)?;
                let to = self.simple(*to, env, v, host)?;
                ops::slice(&self.simple(*t, env, v, host)?, &from, &to)
            }
            Node::Binary(op, l, r) => {
                let r = self.simple(*r, env, v, host)?;
                ops::binary(*op, self.simple(*l, env, v, host)?, r)
            }
            Node::Pipe(l, r) => {
                let left = self.simple(*l, env, v, host)?;
                self.simple(*r, env, &left, host)
            }
            Node::And(l, r) => Ok((self.simple(*l, env, v, host)?.truthy()
                && self.simple(*r, env, v, host)?.truthy())
            .into()),
            Node::Or(l, r) => Ok((self.simple(*l, env, v, host)?.truthy()
                || self.simple(*r, env, v, host)?.truthy())
            .into()),
            Node::Neg(e) => negate(&self.simple(*e, env, v, host)?),
            Node::GetPath(p) => {
                let path = self.simple(*p, env, v, host)?;
                get_path(v, &path)
            }
            Node::If(test, then, otherwise) => {
                let branch = if self.simple(*test, env, v, host)?.truthy() { then } else { otherwise };
                self.simple(*branch, env, v, host)
            }
            Node::Object(members) => {
                let mut map = Map::with_capacity_and_hasher(members.len(), Default::default());
                for (k, e) in members {
                    let key = object_key(self.simple(*k, env, v, host)?)?;
                    map.insert(key, self.simple(*e, env, v, host)?);
                }
                Ok(map.into())
            }
            Node::Text(format, pieces) => {
                let mut values = Vec::new();
                for piece in pieces.iter().rev() {
                    if let Piece::Value(id) = piece {
                        values.push(self.simple(*id, env, v, host)?);
                    }
                }
                format.join(pieces, values)
            }
            Node::Native(function, args) => {
                let mut values: [Value; 3] = Default::default();
                for i in (0..args.len()).rev() {
                    values[i] = self.simple(args[i], env, v, host)?;
                }
                (function.0)(host, v.clone(), &mut values[..args.len()])
            }
            Node::Array(_) => Ok(Vec::new().into()),
            _ => fail("not a simple expression"),
        }
    }

    fn eval(&mut self, id: Id, env: Env, cell: Cell, next: Next, host: &mut dyn Host) -> Result<State, Stop> {
        let code = self.code;
        if cell.t.is_none() && code.simple[id as usize] {
            let v = self.simple(id, &env, &cell.v, host)?;
            return Ok(State::Return(Cell::plain(v), next));
        }
        let sub = |cell: &Cell| Cell::plain(cell.v.clone());
        Ok(match &code.nodes[id as usize] {
            Node::Identity => State::Return(cell, next),
            Node::Literal(value) => State::Return(Cell { v: value.clone(), t: cell.t }, next),
            Node::Var(steps) => State::Return(Cell { v: variable(&env, *steps), t: cell.t }, next),
            Node::Pipe(l, r) => {
                if cell.t.is_none() && code.simple[*l as usize] {
                    let left = self.simple(*l, &env, &cell.v, host)?;
                    return Ok(State::Eval(*r, env, Cell::plain(left), next));
                }
                let next = push(Frame::Pipe(*r, env.clone()), next);
                State::Eval(*l, env, cell, next)
            }
            Node::Comma(l, r) => {
                self.forks.push(Fork::Eval(*r, env.clone(), cell.clone(), next.clone()));
                State::Eval(*l, env, cell, next)
            }
            Node::Field(t, key) => State::Eval(*t, env, cell, push(Frame::Access(key.clone()), next)),
            Node::Index(t, k) => {
                let input = sub(&cell);
                let next = push(Frame::Key(*t, env.clone(), cell), next);
                State::Eval(*k, env, input, next)
            }
            Node::Slice(t, from, to) => {
                let input = sub(&cell);
                State::Eval(*from, env.clone(), input, push(Frame::SliceFrom(*t, *to, env, cell), next))
            }
            Node::Each(t) => State::Eval(*t, env, cell, push(Frame::Each, next)),
            Node::Neg(e) => State::Eval(*e, env, sub(&cell), push(Frame::Negate(cell.t), next)),
            Node::Binary(op, l, r) => {
                let input = sub(&cell);
                State::Eval(*r, env.clone(), input, push(Frame::Right(*op, *l, env, cell), next))
            }
            Node::And(l, r) => {
                let input = sub(&cell);
                State::Eval(*l, env.clone(), input, push(Frame::Logic(true, *r, env, cell), next))
            }
            Node::Or(l, r) => {
                let input = sub(&cell);
                State::Eval(*l, env.clone(), input, push(Frame::Logic(false, *r, env, cell), next))
            }
            Node::If(test, then, otherwise) => {
                if code.simple[*test as usize] {
                    let holds = self.simple(*test, &env, &cell.v, host)?.truthy();
                    return Ok(State::Eval(if holds { *then } else { *otherwise }, env, cell, next));
                }
                let input = sub(&cell);
                State::Eval(
                    *test,
                    env.clone(),
                    input,
                    push(Frame::Condition(*then, *otherwise, env, cell), next),
                )
            }
            Node::Alternative(l, r) => {
                let found = Rc::new(Flag::new(false));
                self.forks.push(Fork::Alternative(
                    found.clone(),
                    *r,
                    env.clone(),
                    cell.clone(),
                    next.clone(),
                ));
                State::Eval(*l, env, cell, push(Frame::AlternativeEnd(found), next))
            }
            Node::Try(body, handler) => {
                let number = self.number();
                let handler = handler.map(|h| (h, env.clone()));
                self.forks.push(Fork::Try(number, handler, cell.t.clone(), next.clone()));
                State::Eval(*body, env, cell, push(Frame::TryEnd(number), next))
            }
            Node::Bind(source, body) => {
                if code.simple[*source as usize] {
                    let v = self.simple(*source, &env, &cell.v, host)?;
                    return Ok(State::Eval(*body, bind(Binding::Value(v), &env), cell, next));
                }
                let input = sub(&cell);
                State::Eval(*source, env.clone(), input, push(Frame::Bind(*body, env, cell), next))
            }
            Node::Destructure(_) => self.destructure(id, 0, env, cell, next),
            Node::Reduce { source, init, update } => {
                let frame = Frame::ReduceInit(*source, *update, env.clone(), cell.clone());
                State::Eval(*init, env, cell, push(frame, next))
            }
            Node::Foreach { init, .. } => {
                let input = sub(&cell);
                State::Eval(*init, env.clone(), input, push(Frame::ForeachInit(id, env, cell), next))
            }
            Node::Label(body) => {
                let number = self.number();
                self.forks.push(Fork::Label(number));
                State::Eval(*body, bind(Binding::Label(number), &env), cell, next)
            }
            Node::Break(steps) => match lookup(&env, *steps).map(|b| &b.what) {
                Some(Binding::Label(number)) => State::Raise(Stop::Break(*number)),
                _ => State::Backtrack,
            },
            Node::Array(inner) => match inner {
                None => State::Return(Cell { v: Vec::new().into(), t: cell.t }, next),
                Some(inner) => {
                    let all = Rc::new(RefCell::new(Vec::new()));
                    self.forks.push(Fork::Collect(all.clone(), cell.t, next));
                    State::Eval(*inner, env, Cell::plain(cell.v), push(Frame::Collect(all), None))
                }
            },
            Node::Object(_) => self.member(id, 0, Map::default(), env, cell, next, host)?,
            Node::Text(..) => self.text(id, usize::MAX, Vec::new(), env, cell, next)?,
            Node::Format(format) => State::Return(Cell { v: format.apply(&cell.v)?, t: cell.t }, next),
            Node::Call(function, args, skip) => {
                let (body, _) = code.functions[*function];
                let mut inner = skipped(&env, *skip);
                for arg in args {
                    // A parameter that is only passed on is not wrapped once more.
                    let closure = match &code.nodes[*arg as usize] {
                        Node::Param(steps) => lookup(&env, *steps).map(|b| b.what.clone()),
                        _ => None,
                    };
                    inner = bind(closure.unwrap_or_else(|| Binding::Closure(*arg, env.clone())), &inner);
                }
                State::Eval(body, inner, cell, next)
            }
            Node::Param(steps) => match lookup(&env, *steps).map(|b| &b.what) {
                Some(Binding::Closure(body, env)) => State::Eval(*body, env.clone(), cell, next),
                _ => return fail("not a parameter"),
            },
            Node::Native(function, args) => match args.last() {
                None => {
                    let v = (function.0)(host, cell.v, &mut [])?;
                    State::Return(Cell { v, t: cell.t }, next)
                }
                Some(last) => {
                    let input = sub(&cell);
                    State::Eval(
                        *last,
                        env.clone(),
                        input,
                        push(Frame::Argument(id, Vec::new(), env, cell), next),
                    )
                }
            },
            Node::Path(inner) => {
                let track = Rc::new(Track { key: None, parent: None, at: cell.v.clone() });
                let next = push(Frame::PathEnd(cell.t), next);
                State::Eval(*inner, env, Cell { v: cell.v, t: Some(track) }, next)
            }
            Node::GetPath(path) => State::Eval(*path, env, sub(&cell), push(Frame::GetPath(cell), next)),
            Node::Empty => State::Backtrack,
            Node::Range(from, ..) => {
                let input = sub(&cell);
                State::Eval(*from, env.clone(), input, push(Frame::RangeFrom(id, env, cell), next))
            }
        })
    }

    fn destructure(&mut self, id: Id, at: usize, env: Env, cell: Cell, next: Next) -> State {
        let Node::Destructure(tried) = &self.code.nodes[id as usize] else { return State::Backtrack };
        if at + 1 < tried.len() {
            self.forks.push(Fork::Destructure(id, at + 1, env.clone(), cell.clone(), next.clone()));
        }
        State::Eval(tried[at], env, cell, next)
    }

    /// Goes on with the members of an object from the one at `at`.
    #[allow(clippy::too_many_arguments, reason = "they are the state of the machine")]
    fn member(
        &mut self,
        id: Id,
        at: usize,
        map: Map,
        env: Env,
        cell: Cell,
        next: Next,
        _host: &mut dyn Host,
    ) -> Result<State, Stop> {
        let Node::Object(members) = &self.code.nodes[id as usize] else { return fail("not an object") };
        Ok(match members.get(at) {
            None => State::Return(Cell { v: map.into(), t: cell.t }, next),
            Some((key, _)) => {
                let input = Cell::plain(cell.v.clone());
                State::Eval(*key, env.clone(), input, push(Frame::Member(id, at, None, map, env, cell), next))
            }
        })
    }

    /// Goes on with the parts of a string, from the last to the first.
    fn text(
        &mut self,
        id: Id,
        at: usize,
        values: Vec<Value>,
        env: Env,
        cell: Cell,
        next: Next,
    ) -> Result<State, Stop> {
        let Node::Text(format, pieces) = &self.code.nodes[id as usize] else { return fail("not a string") };
        for i in (0..at.min(pieces.len())).rev() {
            if let Piece::Value(part) = &pieces[i] {
                let input = Cell::plain(cell.v.clone());
                let frame = Frame::Text(id, i, values, env.clone(), cell);
                return Ok(State::Eval(*part, env, input, push(frame, next)));
            }
        }
        Ok(State::Return(Cell { v: format.join(pieces, values)?, t: cell.t }, next))
    }

    fn resume(&mut self, frame: Frame, got: Cell, next: Next, host: &mut dyn Host) -> Result<State, Stop> {
        Ok(match frame {
            Frame::Pipe(r, env) => State::Eval(r, env, got, next),
            Frame::Bind(body, env, cell) => State::Eval(body, bind(Binding::Value(got.v), &env), cell, next),
            Frame::Right(op, l, env, cell) => {
                if self.code.simple[l as usize] {
                    let left = self.simple(l, &env, &cell.v, host)?;
                    return Ok(State::Return(Cell { v: ops::binary(op, left, got.v)?, t: cell.t }, next));
                }
                State::Eval(l, env, Cell::plain(cell.v), push(Frame::Left(op, got.v, cell.t), next))
            }
            Frame::Left(op, r, t) => State::Return(Cell { v: ops::binary(op, got.v, r)?, t }, next),
            Frame::Logic(and, r, env, cell) => {
                if got.v.truthy() != and {
                    return Ok(State::Return(Cell { v: (!and).into(), t: cell.t }, next));
                }
                State::Eval(r, env, Cell::plain(cell.v), push(Frame::Truth(cell.t), next))
            }
            Frame::Truth(t) => State::Return(Cell { v: got.v.truthy().into(), t }, next),
            Frame::Condition(then, otherwise, env, cell) => {
                State::Eval(if got.v.truthy() { then } else { otherwise }, env, cell, next)
            }
            Frame::Key(t, env, cell) => State::Eval(t, env, cell, push(Frame::Access(got.v), next)),
            Frame::Access(key) => State::Return(access(got, key)?, next),
            Frame::SliceFrom(t, to, env, cell) => {
                let input = Cell::plain(cell.v.clone());
                State::Eval(to, env.clone(), input, push(Frame::SliceTo(t, got.v, env, cell), next))
            }
            Frame::SliceTo(t, from, env, cell) => {
                let mut key = Map::default();
                key.insert("start".into(), from);
                key.insert("end".into(), got.v);
                State::Eval(t, env, cell, push(Frame::Access(key.into()), next))
            }
            Frame::Each => {
                let length = match &got.v {
                    Value::Arr(list) => list.len(),
                    Value::Obj(map) => map.len(),
                    Value::Null | Value::Bool(_) | Value::Num(_) | Value::Str(_) => {
                        return fail(format!("Cannot iterate over {}", ops::described(&got.v)));
                    }
                };
                intact(&got, || format!("near attempt to iterate through {}", compact(&got.v)))?;
                if length == 0 {
                    return Ok(State::Backtrack);
                }
                self.forks.push(Fork::Each(got.v, 0, got.t, next));
                State::Backtrack
            }
            Frame::Negate(t) => State::Return(Cell { v: negate(&got.v)?, t }, next),
            Frame::TryEnd(number) => {
                self.leave(number);
                State::Return(got, next)
            }
            Frame::AlternativeEnd(found) => {
                if !got.v.truthy() {
                    return Ok(State::Backtrack);
                }
                found.set(true);
                State::Return(got, next)
            }
            Frame::Collect(all) => {
                all.borrow_mut().push(got.v);
                State::Backtrack
            }
            Frame::ReduceInit(source, update, env, cell) => {
                let state = Rc::new(RefCell::new(got));
                self.forks.push(Fork::Reduce(state.clone(), next));
                State::Eval(
                    source,
                    env.clone(),
                    Cell::plain(cell.v),
                    push(Frame::ReduceItem(update, env, state), None),
                )
            }
            Frame::ReduceItem(update, env, state) => {
                // Taken, so that the update may change it in place; an update without a result leaves null.
                let before = state.replace(Cell::plain(Value::Null));
                let env = bind(Binding::Value(got.v), &env);
                State::Eval(update, env, before, push(Frame::ReduceStore(state), None))
            }
            Frame::ReduceStore(state) => {
                state.replace(got);
                State::Backtrack
            }
            Frame::ForeachInit(id, env, cell) => {
                let Node::Foreach { source, .. } = &self.code.nodes[id as usize] else {
                    return fail("not a foreach");
                };
                let state = Rc::new(RefCell::new(Cell::plain(got.v)));
                State::Eval(*source, env.clone(), cell, push(Frame::ForeachItem(id, env, state), next))
            }
            Frame::ForeachItem(id, env, state) => {
                let Node::Foreach { update, .. } = &self.code.nodes[id as usize] else {
                    return fail("not a foreach");
                };
                let before = state.replace(Cell::plain(Value::Null));
                let env = bind(Binding::Value(got.v), &env);
                let input = Cell { v: before.v, t: got.t };
                State::Eval(*update, env.clone(), input, push(Frame::ForeachStore(id, env, state), next))
            }
            Frame::ForeachStore(id, env, state) => {
                let Node::Foreach { extract, .. } = &self.code.nodes[id as usize] else {
                    return fail("not a foreach");
                };
                state.replace(Cell::plain(got.v.clone()));
                match extract {
                    Some(extract) => State::Eval(*extract, env, got, next),
                    None => State::Return(got, next),
                }
            }
            Frame::Member(id, at, None, map, env, cell) => {
                let key = object_key(got.v)?;
                let Node::Object(members) = &self.code.nodes[id as usize] else {
                    return fail("not an object");
                };
                let input = Cell::plain(cell.v.clone());
                let frame = Frame::Member(id, at, Some(key), map, env.clone(), cell);
                State::Eval(members[at].1, env, input, push(frame, next))
            }
            Frame::Member(id, at, Some(key), mut map, env, cell) => {
                map.insert(key, got.v);
                self.member(id, at + 1, map, env, cell, next, host)?
            }
            Frame::Text(id, at, mut values, env, cell) => {
                values.push(got.v);
                self.text(id, at, values, env, cell, next)?
            }
            Frame::Argument(id, mut values, env, cell) => {
                values.push(got.v);
                let Node::Native(function, args) = &self.code.nodes[id as usize] else {
                    return fail("not a function");
                };
                if values.len() < args.len() {
                    let arg = args[args.len() - values.len() - 1];
                    let input = Cell::plain(cell.v.clone());
                    let frame = Frame::Argument(id, values, env.clone(), cell);
                    return Ok(State::Eval(arg, env, input, push(frame, next)));
                }
                values.reverse();
                State::Return(Cell { v: (function.0)(host, cell.v, &mut values)?, t: cell.t }, next)
            }
            Frame::PathEnd(outer) => {
                intact(&got, || format!("with result {}", compact(&got.v)))?;
                let path = got.t.as_ref().map_or(Value::Null, |t| t.path());
                State::Return(Cell { v: path, t: outer }, next)
            }
            Frame::GetPath(cell) => {
                let Value::Arr(path) = &got.v else { return fail("Path must be specified as an array") };
                intact(&cell, || {
                    format!("near attempt to access element {} of {}", compact(&got.v), compact(&cell.v))
                })?;
                let Some(track) = cell.t else {
                    return Ok(State::Return(Cell::plain(ops::get_path(&cell.v, path)?), next));
                };
                let mut at = Cell { v: cell.v, t: Some(track) };
                for key in path.iter() {
                    let v = if matches!(at.v, Value::Null) { Value::Null } else { ops::index(&at.v, key)? };
                    let t = Track { key: Some(key.clone()), parent: at.t, at: v.clone() };
                    at = Cell { v, t: Some(Rc::new(t)) };
                }
                State::Return(at, next)
            }
            Frame::RangeFrom(id, env, cell) => {
                let Node::Range(_, to, _) = &self.code.nodes[id as usize] else { return fail("not a range") };
                let input = Cell::plain(cell.v.clone());
                State::Eval(*to, env.clone(), input, push(Frame::RangeTo(id, env, cell, got.v), next))
            }
            Frame::RangeTo(id, env, cell, from) => {
                let Node::Range(.., step) = &self.code.nodes[id as usize] else { return fail("not a range") };
                let frame = Frame::RangeStep(cell.t, from, got.v);
                State::Eval(*step, env, Cell::plain(cell.v), push(frame, next))
            }
            Frame::RangeStep(t, from, to) => {
                let (Value::Num(from), Value::Num(to), Value::Num(step)) = (from, to, got.v) else {
                    return fail("Range bounds must be numeric");
                };
                self.forks.push(Fork::Range(from, to, step, t, next));
                State::Backtrack
            }
        })
    }

    /// Notes that a result leaves a `try`. If nothing is left to be tried in it, it is done.
    fn leave(&mut self, number: u64) {
        if let Some(Fork::Try(n, ..)) = self.forks.last()
            && *n == number
        {
            self.forks.pop();
        } else {
            self.forks.push(Fork::Left(number));
        }
    }

    fn backtrack(&mut self) -> Option<State> {
        loop {
            // What has more than one turn stays where it is.
            match self.forks.last_mut()? {
                Fork::Each(value, at, t, next) => {
                    let item = match value {
                        Value::Arr(list) => list.get(*at).map(|v| (Value::count(*at), v.clone())),
                        Value::Obj(map) => {
                            map.get_index(*at).map(|(k, v)| (Value::Str(k.clone()), v.clone()))
                        }
                        _ => None,
                    };
                    *at += 1;
                    if let Some((key, v)) = item {
                        let t = t.as_ref().map(|parent| {
                            Rc::new(Track { key: Some(key), parent: Some(parent.clone()), at: v.clone() })
                        });
                        let last = match value {
                            Value::Arr(list) => *at >= list.len(),
                            Value::Obj(map) => *at >= map.len(),
                            _ => true,
                        };
                        let next = next.clone();
                        if last {
                            self.forks.pop();
                        }
                        return Some(State::Return(Cell { v, t }, next));
                    }
                }
                Fork::Range(at, to, step, t, next) => {
                    let goes_on = if *step > 0.0 { *at < *to } else { *step < 0.0 && *at > *to };
                    if goes_on {
                        let v = Value::Num(*at);
                        *at += *step;
                        return Some(State::Return(Cell { v, t: t.clone() }, next.clone()));
                    }
                }
                _ => {}
            }
            match self.forks.pop()? {
                Fork::Eval(id, env, cell, next) => return Some(State::Eval(id, env, cell, next)),
                Fork::Alternative(found, right, env, cell, next) if !found.get() => {
                    return Some(State::Eval(right, env, cell, next));
                }
                Fork::Collect(all, t, next) => {
                    return Some(State::Return(Cell { v: all.take().into(), t }, next));
                }
                Fork::Reduce(state, next) => {
                    let cell = state.replace(Cell::plain(Value::Null));
                    return Some(State::Return(cell, next));
                }
                _ => {}
            }
        }
    }

    /// Gives up alternatives until one takes the error; without any it is that of the whole.
    fn raise(&mut self, stop: Stop) -> Result<State, Stop> {
        let mut left = Vec::new();
        while let Some(fork) = self.forks.pop() {
            match (fork, &stop) {
                (Fork::Left(number), _) => left.push(number),
                (Fork::Label(number), Stop::Break(wanted)) if number == *wanted => {
                    return Ok(State::Backtrack);
                }
                (Fork::Try(number, handler, t, next), Stop::Error(value)) if !left.contains(&number) => {
                    return Ok(match handler {
                        Some((handler, env)) => State::Eval(handler, env, Cell { v: value.clone(), t }, next),
                        None => State::Backtrack,
                    });
                }
                (Fork::Destructure(id, at, env, cell, next), Stop::Error(_)) => {
                    return Ok(self.destructure(id, at, env, cell, next));
                }
                _ => {}
            }
        }
        Err(stop)
    }
}

fn variable(env: &Env, steps: u32) -> Value {
    match lookup(env, steps).map(|b| &b.what) {
        Some(Binding::Value(v)) => v.clone(),
        _ => Value::Null,
    }
}

fn negate(v: &Value) -> Outcome {
    match v {
        Value::Num(n) => Ok(Value::Num(-n)),
        v => fail(format!("{} cannot be negated", ops::described(v))),
    }
}

fn get_path(v: &Value, path: &Value) -> Outcome {
    match path {
        Value::Arr(path) => ops::get_path(v, path),
        _ => fail("Path must be specified as an array"),
    }
}

fn object_key(key: Value) -> Result<Rc<str>, Stop> {
    match key {
        Value::Str(key) => Ok(key),
        key => fail(format!("Cannot use {} as object key", ops::described(&key))),
    }
}

/// While paths are asked for, only what was found at one may be looked into.
fn intact(cell: &Cell, how: impl FnOnce() -> String) -> Result<(), Stop> {
    match &cell.t {
        Some(track) if !cell.v.identical(&track.at) => fail(format!("Invalid path expression {}", how())),
        _ => Ok(()),
    }
}

fn access(cell: Cell, key: Value) -> Result<Cell, Stop> {
    intact(&cell, || format!("near attempt to access element {} of {}", compact(&key), compact(&cell.v)))?;
    let v = ops::index(&cell.v, &key)?;
    let t = cell.t.map(|parent| Rc::new(Track { key: Some(key), parent: Some(parent), at: v.clone() }));
    Ok(Cell { v, t })
}
