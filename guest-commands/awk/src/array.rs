//! Associative arrays. The order of their loops is `order`'s business.

use crate::number;
use crate::order::{self, Kind};
use crate::value::{Str, Value};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A quick hash. A program only slows itself down by keys that collide.
#[derive(Default)]
pub(crate) struct Fold(u64);

const K: u64 = 0x9e37_79b9_7f4a_7c15;

impl Fold {
    #[inline]
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(K);
    }
}

impl Hasher for Fold {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.mix(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.mix(n as u64 + 1);
    }

    #[inline]
    fn write_u8(&mut self, n: u8) {
        self.mix(u64::from(n));
    }

    #[inline]
    fn finish(&self) -> u64 {
        // The table takes its bits from both ends, and a product is mixed best at its upper one.
        self.0.rotate_left(26)
    }
}

/// An array.
#[derive(Debug, Default)]
pub(crate) struct Array {
    map: HashMap<Str, (u64, Value), BuildHasherDefault<Fold>>,
    /// The number of the next element.
    next: u64,
    /// The kind of the first key of an array that was empty.
    first: Kind,
}

impl Array {
    /// How many elements it has.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is such an element.
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.map.contains_key(key)
    }

    /// An element.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Value> {
        self.map.get(key).map(|(_, v)| v)
    }

    /// An element, made if there is none.
    #[inline]
    pub(crate) fn at(&mut self, key: &Str) -> &mut Value {
        if self.map.is_empty() {
            self.first = Kind::of(key);
        }
        let next = &mut self.next;
        &mut self
            .map
            .entry(key.clone())
            .or_insert_with(|| {
                *next += 1;
                (*next, Value::Uninit)
            })
            .1
    }

    /// Sets an element.
    pub(crate) fn set(&mut self, key: &Str, value: Value) {
        *self.at(key) = value;
    }

    /// Sets the element of a number.
    pub(crate) fn set_number(&mut self, key: usize, value: Value) {
        self.set(&number::integer(key as f64), value);
    }

    /// Takes an element out.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.map.remove(key);
    }

    /// Takes all elements out.
    pub(crate) fn clear(&mut self) {
        self.map = HashMap::default();
        self.next = 0;
    }

    /// The keys in the order of a loop.
    pub(crate) fn keys(&self) -> Vec<Str> {
        let mut added: Vec<(u64, &Str)> = self.map.iter().map(|(key, (at, _))| (*at, key)).collect();
        added.sort_unstable_by_key(|(at, _)| *at);
        let keys: Vec<&[u8]> = added.iter().map(|(_, key)| &key[..]).collect();
        order::of(&keys, self.first).into_iter().map(|number| added[number].1.clone()).collect()
    }

    /// Keys and values in the order of a loop.
    pub(crate) fn pairs(&self) -> Vec<(Str, Value)> {
        let get = |key: Str| {
            let value = self.get(&key).cloned().unwrap_or_default();
            (key, value)
        };
        self.keys().into_iter().map(get).collect()
    }
}
