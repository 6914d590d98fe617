//! In which order a loop gets the keys of an array: that of gawk, whose order scripts show wherever they do not sort. It keeps
//! no arrays; from keys in the order in which they were added it tells where gawk's tables would have them.
//!
//! gawk has three kinds of table, and the first key says which: text is hashed; so are integers, apart from texts; and
//! integers from 0 on lie in blocks by their value as long as these would not be too empty. What a table does not take is in
//! a further one, whose keys come first. Hashed keys are in chains, the last one added at the front.

use std::collections::HashSet;

/// How large hashed tables are, one after the other as they grow.
const SIZES: [usize; 20] = [
    13,
    127,
    1021,
    8191,
    16381,
    32749,
    65497,
    131_101,
    262_147,
    524_309,
    1_048_583,
    2_097_169,
    4_194_319,
    8_388_617,
    16_777_259,
    33_554_467,
    67_108_879,
    134_217_757,
    268_435_459,
    536_870_923,
];
/// How long chains are on average before a table grows.
const CHAIN: usize = 2;
/// Blocks begin with 2 to this power.
const BITS: u32 = 10;
/// How many places of blocks may be empty.
const EMPTY: i64 = 1 << (BITS + 1);

/// What the first key of an array is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Text,
    Integer,
    /// An integer that is not negative.
    Index,
}

impl Kind {
    /// The kind of a key.
    pub(crate) fn of(key: &[u8]) -> Kind {
        match integer(key) {
            None => Kind::Text,
            Some(n) if n < 0 => Kind::Integer,
            Some(_) => Kind::Index,
        }
    }
}

/// The order of the keys of an array that begins with a key of this kind, as their numbers in `keys`.
pub(crate) fn of(keys: &[&[u8]], first: Kind) -> Vec<usize> {
    let mut table = Table::new(first);
    for (number, key) in keys.iter().enumerate() {
        table.add(number, key);
    }
    let mut out = Vec::with_capacity(keys.len());
    table.list(&mut out);
    out
}

/// The integer that a key is, written as awk writes it.
fn integer(key: &[u8]) -> Option<i32> {
    let digits = key.strip_prefix(b"-").unwrap_or(key);
    let plain = matches!(digits, [b'1'..=b'9', ..]) || key == b"0";
    if !plain || digits.len() > 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n = digits.iter().fold(0i64, |n, d| n * 10 + i64::from(d - b'0'));
    i32::try_from(if digits.len() < key.len() { -n } else { n }).ok()
}

enum Table {
    Text(Hashed),
    Integer(Hashed, Option<Box<Table>>),
    Index(Blocks, Option<Box<Table>>),
}

impl Table {
    fn new(kind: Kind) -> Table {
        match kind {
            Kind::Text => Table::Text(Hashed::new(false)),
            Kind::Integer => Table::Integer(Hashed::new(true), None),
            Kind::Index => Table::Index(Blocks::default(), None),
        }
    }

    fn add(&mut self, number: usize, key: &[u8]) {
        let value = integer(key);
        let other = match self {
            Table::Text(table) => return table.add(number, text_hash(key)),
            Table::Integer(table, other) => {
                if let Some(n) = value {
                    return table.add(number, integer_hash(n));
                }
                other
            }
            Table::Index(blocks, other) => {
                if let Some(n) = value.and_then(|n| u32::try_from(n).ok())
                    && blocks.add(number, n)
                {
                    return;
                }
                other
            }
        };
        let kind = if value.is_some() { Kind::Integer } else { Kind::Text };
        other.get_or_insert_with(|| Box::new(Table::new(kind))).add(number, key);
    }

    fn list(self, out: &mut Vec<usize>) {
        match self {
            Table::Text(table) => table.list(out),
            Table::Integer(table, other) => {
                if let Some(other) = other {
                    other.list(out);
                }
                table.list(out);
            }
            Table::Index(mut blocks, other) => {
                if let Some(other) = other {
                    other.list(out);
                }
                blocks.added.sort_unstable();
                out.extend(blocks.added.iter().map(|(_, number)| number));
            }
        }
    }
}

/// A table with chains. Each holds its keys in the order in which they were added, with their hashes.
struct Hashed {
    chains: Vec<Vec<(usize, u32)>>,
    keys: usize,
    /// How many lie together: a link of a chain of integers has two, in the order in which they were added.
    together: usize,
    size: usize,
}

impl Hashed {
    fn new(integers: bool) -> Hashed {
        Hashed {
            chains: vec![Vec::new(); SIZES[0]],
            keys: 0,
            together: if integers { 2 } else { 1 },
            size: 0,
        }
    }

    fn add(&mut self, number: usize, hash: u32) {
        self.keys += 1;
        if self.keys / self.chains.len() > CHAIN && self.size + 1 < SIZES.len() {
            self.size += 1;
            let old = std::mem::replace(&mut self.chains, vec![Vec::new(); SIZES[self.size]]);
            let together = self.together;
            for (number, hash) in old.iter().flat_map(|chain| in_order(chain, together)) {
                self.put(number, hash);
            }
        }
        self.put(number, hash);
    }

    fn put(&mut self, number: usize, hash: u32) {
        let at = hash as usize % self.chains.len();
        self.chains[at].push((number, hash));
    }

    fn list(&self, out: &mut Vec<usize>) {
        out.extend(
            self.chains.iter().flat_map(|chain| in_order(chain, self.together)).map(|(number, _)| number),
        );
    }
}

/// A chain from its front.
fn in_order(chain: &[(usize, u32)], together: usize) -> impl Iterator<Item = (usize, u32)> {
    chain.chunks(together).rev().flatten().copied()
}

/// The hash of sdbm, of signed characters.
fn text_hash(key: &[u8]) -> u32 {
    key.iter().fold(0, |hash: u32, byte| {
        let shifted = hash << 6;
        (*byte as i8 as u32).wrapping_add(shifted).wrapping_add(shifted << 10).wrapping_sub(hash)
    })
}

/// The final mixing of Paul Hsieh's hash.
fn integer_hash(n: i32) -> u32 {
    let mut k = n as u32;
    k ^= k << 3;
    k = k.wrapping_add(k >> 5);
    k ^= k << 4;
    k = k.wrapping_add(k >> 17);
    k ^= k << 25;
    k.wrapping_add(k >> 6)
}

/// Integers by their value, in blocks that are made when one of theirs comes.
#[derive(Default)]
struct Blocks {
    added: Vec<(u32, usize)>,
    starts: HashSet<u32>,
    /// The places of all blocks.
    places: i64,
}

impl Blocks {
    /// Whether it takes the integer: what blocks there are, and one more, may not be too empty.
    fn add(&mut self, number: usize, n: u32) -> bool {
        let top = (u32::BITS - n.leading_zeros()).max(BITS) - 1;
        let mut bits = top.max(BITS);
        while bits >= BITS {
            bits = bits.div_ceil(2);
        }
        if self.places + (1 << bits) - self.added.len() as i64 > EMPTY {
            return false;
        }
        self.added.push((n, number));
        // Larger blocks are divided into smaller ones, until they are small enough.
        let (mut bits, mut start) = if top < BITS { (BITS, 0) } else { (top, 1 << top) };
        loop {
            bits = bits.div_ceil(2);
            start += (n - start) >> bits << bits;
            if bits <= BITS {
                break;
            }
        }
        if self.starts.insert(start) {
            self.places += 1 << bits;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, of};

    fn order(keys: &str) -> String {
        let keys: Vec<&[u8]> = keys.split(' ').map(str::as_bytes).collect();
        let order = of(&keys, Kind::of(keys[0]));
        let words: Vec<_> =
            order.into_iter().map(|i| String::from_utf8_lossy(keys[i]).into_owned()).collect();
        words.join(" ")
    }

    #[test]
    fn keys_come_as_gawk_gives_them() {
        for (keys, want) in [
            ("x y z apple banana cherry", "x apple y z banana cherry"),
            ("eng ops", "ops eng"),
            ("3 1 2", "1 2 3"),
            ("1 x 2 y", "x y 1 2"),
            ("-1 0 1 1.5", "1.5 0 -1 1"),
            ("\u{e9} \u{65e5}\u{672c} a:b", "a:b \u{e9} \u{65e5}\u{672c}"),
        ] {
            assert_eq!(order(keys), want, "{keys}");
        }
    }
}
