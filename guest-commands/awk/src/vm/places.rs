//! Reading and setting variables, fields and elements.

use super::{Vm, arith};
use crate::ast::{Arith, Var};
use crate::error::{Result, fatal};
use crate::op::Place;
use crate::special;
use crate::value::{ArrayRef, Str, Value};
use std::rc::Rc;

/// A place whose number or key is known.
#[derive(Debug)]
pub(super) enum Spot {
    Var(Var),
    Field(usize),
    Elem(ArrayRef, Str),
}

/// Computes for an assignment such as `+=`.
fn updated(op: Arith, a: f64, b: f64) -> Result<f64> {
    match op {
        Arith::Div if b == 0.0 => fatal("division by zero attempted in `/='"),
        Arith::Mod if b == 0.0 => fatal("division by zero attempted in `%='"),
        _ => arith(op, a, b),
    }
}

impl Vm {
    /// The name of a variable, for messages.
    pub(super) fn name_of(&self, var: Var) -> String {
        match var {
            Var::Global(slot) | Var::Special(slot) => self.code.globals[slot as usize].clone(),
            Var::Local(at) => format!("parameter {}", at + 1),
        }
    }

    #[inline]
    pub(super) fn load(&mut self, var: Var) -> Value {
        match var {
            Var::Global(slot) => self.globals[slot as usize].clone(),
            Var::Local(at) => self.locals[self.base + at as usize].clone(),
            Var::Special(special::NF) => Value::Num(self.record.count(&self.splitter) as f64),
            Var::Special(special::NR) => Value::Num(self.nr),
            Var::Special(special::FNR) => Value::Num(self.fnr),
            Var::Special(slot) => self.globals[slot as usize].clone(),
        }
    }

    /// The variable's value, for all but those that act.
    #[inline]
    fn slot(&mut self, var: Var) -> Option<&mut Value> {
        match var {
            Var::Global(slot) => self.globals.get_mut(slot as usize),
            Var::Local(at) => self.locals.get_mut(self.base + at as usize),
            Var::Special(_) => None,
        }
    }

    /// The array that a variable holds, made if it has no value.
    pub(super) fn array_in(&mut self, var: Var) -> Result<ArrayRef> {
        if let Some(value) = self.slot(var) {
            if let Value::Uninit = value {
                *value = Value::Array(Rc::default());
            }
            if let Value::Array(array) = value {
                return Ok(array.clone());
            }
        }
        fatal(format!("attempt to use scalar `{}' as an array", self.name_of(var)))
    }

    pub(super) fn take_spot(&mut self, place: Place) -> Result<Spot> {
        Ok(match place {
            Place::Var(var) => Spot::Var(var),
            Place::Field => {
                let index = self.pop().num();
                let index = self.field_index(index)?;
                Spot::Field(self.writable_field(index)?)
            }
            Place::Elem => {
                let key = self.pop_key()?;
                Spot::Elem(self.pop_array()?, key)
            }
        })
    }

    pub(super) fn get(&mut self, spot: &Spot) -> Result<Value> {
        let value = match spot {
            Spot::Var(var) => self.load(*var),
            Spot::Field(n) => self.field(*n as f64)?,
            Spot::Elem(array, key) => array.borrow_mut().at(key).clone(),
        };
        if let Value::Array(_) = value {
            return fatal("attempt to use an array in a scalar context");
        }
        Ok(value)
    }

    pub(super) fn set(&mut self, spot: &Spot, value: Value) -> Result<()> {
        match spot {
            Spot::Var(Var::Special(slot)) => self.set_special(*slot, value),
            Spot::Var(var) => {
                let name = *var;
                if let Some(slot) = self.slot(*var)
                    && !matches!(slot, Value::Array(_))
                {
                    *slot = value;
                    return Ok(());
                }
                fatal(format!("attempt to use array `{}' in a scalar context", self.name_of(name)))
            }
            Spot::Field(0) => {
                let text = self.str(&value);
                self.record.set(&text);
                Ok(())
            }
            Spot::Field(n) => {
                self.record.set_field(*n, value, &self.splitter);
                Ok(())
            }
            Spot::Elem(array, key) => {
                let mut array = array.borrow_mut();
                let element = array.at(key);
                if let Value::Array(_) = element {
                    return fatal("attempt to use an array element that is an array in a scalar context");
                }
                *element = value;
                Ok(())
            }
        }
    }

    pub(super) fn assign(&mut self, place: Place, want: bool) -> Result<()> {
        let spot = self.take_spot(place)?;
        let value = self.pop();
        if want {
            self.set(&spot, value.clone())?;
            self.stack.push(value);
            return Ok(());
        }
        self.set(&spot, value)
    }

    pub(super) fn update(&mut self, place: Place, op: Arith, want: bool) -> Result<()> {
        if let Place::Var(var) = place {
            let right = self.pop().num();
            if let Some(value @ (Value::Num(_) | Value::Uninit)) = self.slot(var) {
                let n = updated(op, value.num(), right)?;
                *value = Value::Num(n);
                if want {
                    self.push_num(n);
                }
                return Ok(());
            }
            self.push_num(right);
        }
        let spot = self.take_spot(place)?;
        let right = self.pop().num();
        let n = updated(op, self.get(&spot)?.num(), right)?;
        self.set(&spot, Value::Num(n))?;
        if want {
            self.push_num(n);
        }
        Ok(())
    }

    pub(super) fn step(&mut self, place: Place, pre: bool, by: f64, want: bool) -> Result<()> {
        let stepped = match place {
            Place::Var(var) => match self.slot(var) {
                Some(value @ (Value::Num(_) | Value::Uninit)) => {
                    let old = value.num();
                    *value = Value::Num(old + by);
                    Some(old)
                }
                _ => None,
            },
            Place::Elem => {
                let key = self.pop_key()?;
                let array = self.pop_array()?;
                let mut array = array.borrow_mut();
                let value = array.at(&key);
                if let Value::Array(_) = value {
                    return fatal("attempt to use an array element that is an array in a scalar context");
                }
                let old = value.num();
                *value = Value::Num(old + by);
                Some(old)
            }
            Place::Field => None,
        };
        let old = match stepped {
            Some(old) => old,
            None => {
                let spot = self.take_spot(place)?;
                let old = self.get(&spot)?.num();
                self.set(&spot, Value::Num(old + by))?;
                old
            }
        };
        if want {
            self.push_num(if pre { old + by } else { old });
        }
        Ok(())
    }

    /// Appends the top of the stack to a variable.
    pub(super) fn append(&mut self, var: Var, want: bool) -> Result<()> {
        let more = self.pop();
        let more = self.str(&more);
        let conv = self.conv.clone();
        let name = var;
        let grown = match self.slot(var) {
            Some(Value::Array(_)) | None => None,
            Some(value) => {
                let mut text = match std::mem::take(value) {
                    Value::Str(s) | Value::Input(s) => s,
                    other => other.str(&conv),
                };
                text.push(&more);
                *value = Value::Str(text);
                want.then(|| value.clone()).or(Some(Value::Uninit))
            }
        };
        match grown {
            None => fatal(format!("attempt to use array `{}' in a scalar context", self.name_of(name))),
            Some(value) => {
                if want {
                    self.stack.push(value);
                }
                Ok(())
            }
        }
    }

    /// sub or gsub on a place: expression and text lie below it.
    pub(super) fn substitute_place(&mut self, place: Place, all: bool) -> Result<()> {
        let spot = self.take_spot(place)?;
        let (by, regex) = (self.pop(), self.pop());
        let target = self.get(&spot)?;
        let target = self.str(&target);
        let count = match self.substitute(&regex, &by, &target, all)? {
            Some((text, count)) => {
                self.set(&spot, Value::Str(Str::from_vec(text)))?;
                count
            }
            None => 0,
        };
        self.push_num(count as f64);
        Ok(())
    }
}
