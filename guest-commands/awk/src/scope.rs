//! The names of a program: globals, functions, and which of them are arrays, as far as that shows in the text.

use crate::ast::{Function, Line, Var};
use crate::special;
use std::collections::HashMap;

/// A variable that was handed to a function: to be an array if the parameter is one.
#[derive(Debug)]
struct Passed {
    /// The function whose local it is, for locals.
    within: Option<u32>,
    var: Var,
    to: u32,
    position: usize,
}

/// Names while a program is read.
#[derive(Debug)]
pub(crate) struct Scope {
    /// Names of globals, by slot.
    pub(crate) globals: Vec<String>,
    slots: HashMap<String, u32>,
    /// Globals used as arrays.
    pub(crate) arrays: Vec<bool>,
    /// Functions, defined or only called.
    pub(crate) functions: Vec<Function>,
    by_name: HashMap<String, u32>,
    /// The function that is being read, and its parameters.
    pub(crate) current: Option<(u32, Vec<String>)>,
    passed: Vec<Passed>,
}

impl Scope {
    /// With the predefined variables.
    pub(crate) fn new() -> Scope {
        let mut scope = Scope {
            globals: Vec::new(),
            slots: HashMap::new(),
            arrays: Vec::new(),
            functions: Vec::new(),
            by_name: HashMap::new(),
            current: None,
            passed: Vec::new(),
        };
        for name in special::NAMES {
            scope.global(name);
        }
        for slot in [special::ENVIRON, special::ARGV, special::PROCINFO] {
            scope.arrays[slot as usize] = true;
        }
        scope
    }

    fn global(&mut self, name: &str) -> u32 {
        if let Some(slot) = self.slots.get(name) {
            return *slot;
        }
        let slot = self.globals.len() as u32;
        self.globals.push(name.to_owned());
        self.arrays.push(false);
        self.slots.insert(name.to_owned(), slot);
        slot
    }

    /// The variable of a name.
    pub(crate) fn var(&mut self, name: &str) -> Var {
        if let Some((_, params)) = &self.current
            && let Some(at) = params.iter().position(|param| param == name)
        {
            return Var::Local(at as u32);
        }
        let slot = self.global(name);
        if slot < special::ACTING { Var::Special(slot) } else { Var::Global(slot) }
    }

    /// The function of a name, whether or not it is defined yet.
    pub(crate) fn function(&mut self, name: &str, line: Line) -> u32 {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let index = self.functions.len() as u32;
        let function = Function { name: name.to_owned(), params: 0, arrays: Vec::new(), body: None, line };
        self.functions.push(function);
        self.by_name.insert(name.to_owned(), index);
        index
    }

    /// Notes that a variable is used as an array.
    pub(crate) fn mark(&mut self, var: Var) {
        match var {
            Var::Global(slot) | Var::Special(slot) => self.arrays[slot as usize] = true,
            Var::Local(at) => {
                let within = self.current.as_ref().map(|(index, _)| *index);
                self.mark_param(within, at);
            }
        }
    }

    fn mark_param(&mut self, within: Option<u32>, at: u32) {
        let Some(function) = within.and_then(|index| self.functions.get_mut(index as usize)) else { return };
        if function.arrays.len() <= at as usize {
            function.arrays.resize(at as usize + 1, false);
        }
        function.arrays[at as usize] = true;
    }

    /// Notes that a variable is handed to a function.
    pub(crate) fn pass(&mut self, var: Var, to: u32, position: usize) {
        let within = self.current.as_ref().map(|(index, _)| *index);
        self.passed.push(Passed { within, var, to, position });
    }

    /// Follows arrays through calls until nothing new is found.
    pub(crate) fn settle(&mut self) {
        let passed = std::mem::take(&mut self.passed);
        loop {
            let mut changed = false;
            for pass in &passed {
                let taken = &self.functions[pass.to as usize].arrays;
                if !taken.get(pass.position).copied().unwrap_or(false) {
                    continue;
                }
                let known = match pass.var {
                    Var::Global(slot) | Var::Special(slot) => self.arrays[slot as usize],
                    Var::Local(at) => pass.within.is_some_and(|index| {
                        self.functions[index as usize].arrays.get(at as usize).copied().unwrap_or(false)
                    }),
                };
                if known {
                    continue;
                }
                changed = true;
                match pass.var {
                    Var::Global(slot) | Var::Special(slot) => self.arrays[slot as usize] = true,
                    Var::Local(at) => self.mark_param(pass.within, at),
                }
            }
            if !changed {
                return;
            }
        }
    }
}
