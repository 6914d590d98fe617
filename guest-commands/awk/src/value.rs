//! Values: numbers, strings, and input that is a number if it looks like one. How text becomes a number is in `number`.

use crate::array::Array;
use crate::number;
use crate::regex::Regex;
use std::borrow::Borrow;
use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::rc::Rc;

/// As much text as a string holds without memory of its own.
const INLINE: usize = 22;

/// Text of any bytes, cheap to copy.
#[derive(Clone, Debug)]
pub(crate) enum Str {
    /// Short text, in place.
    Short(u8, [u8; INLINE]),
    /// Longer text, shared.
    Long(Rc<Vec<u8>>),
}

impl Str {
    /// No text.
    pub(crate) const EMPTY: Str = Str::Short(0, [0; INLINE]);

    /// A copy of `bytes`.
    #[inline]
    pub(crate) fn new(bytes: &[u8]) -> Str {
        if bytes.len() <= INLINE {
            let mut short = [0; INLINE];
            short[..bytes.len()].copy_from_slice(bytes);
            Str::Short(bytes.len() as u8, short)
        } else {
            Str::Long(Rc::new(bytes.to_vec()))
        }
    }

    /// Takes `bytes` over.
    pub(crate) fn from_vec(bytes: Vec<u8>) -> Str {
        if bytes.len() <= INLINE { Str::new(&bytes) } else { Str::Long(Rc::new(bytes)) }
    }

    /// Appends text. Nobody else holding the text, it grows in place.
    pub(crate) fn push(&mut self, more: &[u8]) {
        match self {
            Str::Long(text) => Rc::make_mut(text).extend_from_slice(more),
            Str::Short(len, short) => {
                let old = *len as usize;
                if old + more.len() <= INLINE {
                    short[old..old + more.len()].copy_from_slice(more);
                    *len += more.len() as u8;
                } else {
                    let mut text = Vec::with_capacity((old + more.len()) * 2);
                    text.extend_from_slice(&short[..old]);
                    text.extend_from_slice(more);
                    *self = Str::Long(Rc::new(text));
                }
            }
        }
    }
}

impl Deref for Str {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Str::Short(len, short) => &short[..*len as usize],
            Str::Long(text) => text,
        }
    }
}

impl Borrow<[u8]> for Str {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Str) -> bool {
        **self == **other
    }
}

impl Eq for Str {}

impl Hash for Str {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Str {
        Str::new(text.as_bytes())
    }
}

/// An array, by reference.
pub(crate) type ArrayRef = Rc<RefCell<Array>>;

/// A value of a variable, an element, or the stack.
#[derive(Clone, Debug, Default)]
pub(crate) enum Value {
    /// Nothing was assigned yet: empty and zero.
    #[default]
    Uninit,
    /// A number.
    Num(f64),
    /// A string.
    Str(Str),
    /// Text from outside, a number where it looks like one.
    Input(Str),
    /// A regular expression as a value (`@/re/`).
    Regex(Rc<Regex>),
    /// An array.
    Array(ArrayRef),
}

impl Value {
    /// A string value.
    pub(crate) fn text(bytes: &[u8]) -> Value {
        Value::Str(Str::new(bytes))
    }

    /// The number it is, or begins with.
    #[inline]
    pub(crate) fn num(&self) -> f64 {
        match self {
            Value::Num(n) => *n,
            Value::Uninit | Value::Array(_) => 0.0,
            Value::Str(s) | Value::Input(s) => number::prefix(s),
            Value::Regex(r) => number::prefix(r.source()),
        }
    }

    /// Its number if it counts as one in a comparison.
    #[inline]
    pub(crate) fn strict_num(&self) -> Option<f64> {
        match self {
            Value::Num(n) => Some(*n),
            Value::Uninit => Some(0.0),
            Value::Input(s) => number::whole(s),
            _ => None,
        }
    }

    /// Whether it is true: not zero, or not empty.
    #[inline]
    pub(crate) fn truth(&self) -> bool {
        match self {
            Value::Num(n) => *n != 0.0,
            Value::Uninit => false,
            Value::Str(s) => !s.is_empty(),
            Value::Input(s) => match number::whole(s) {
                Some(n) => n != 0.0,
                None => !s.is_empty(),
            },
            Value::Regex(_) | Value::Array(_) => true,
        }
    }

    /// Its text, numbers that are not whole by the format `conv`.
    #[inline]
    pub(crate) fn str(&self, conv: &[u8]) -> Str {
        match self {
            Value::Str(s) | Value::Input(s) => s.clone(),
            Value::Uninit | Value::Array(_) => Str::EMPTY,
            Value::Num(n) => number::text(*n, conv),
            Value::Regex(r) => Str::new(r.source()),
        }
    }

    /// Calls `f` with its text, without a copy where it is a string.
    #[inline]
    pub(crate) fn with_bytes<T>(&self, conv: &[u8], f: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Value::Str(s) | Value::Input(s) => f(s),
            Value::Uninit | Value::Array(_) => f(b""),
            other => f(&other.str(conv)),
        }
    }
}
