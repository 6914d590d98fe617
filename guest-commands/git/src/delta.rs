//! Deltas: what to copy from a base and what to add to get another text. It finds no bases.

/// Bytes of a block of the base that is looked for.
const BLOCK: usize = 16;
/// How many blocks of the same hash are compared.
const TRIES: usize = 32;
const FACTOR: u32 = 0x0100_0193;
/// What the first byte of a block has been multiplied with, to take it out again.
const OUT: u32 = {
    let (mut power, mut n) = (1u32, 1);
    while n < BLOCK {
        power = power.wrapping_mul(FACTOR);
        n += 1;
    }
    power
};

/// The blocks of a base, by hash.
pub(crate) struct Base {
    heads: Vec<u32>,
    next: Vec<u32>,
    mask: u32,
}

fn hash(block: &[u8]) -> u32 {
    block.iter().fold(0, |h: u32, b| h.wrapping_mul(FACTOR).wrapping_add(u32::from(*b) + 1))
}

impl Base {
    /// Looks at the base once, for any number of deltas.
    pub(crate) fn new(base: &[u8]) -> Base {
        let count = base.len() / BLOCK;
        let size = count.next_power_of_two().max(16);
        let mut blocks = Base { heads: vec![0; size], next: vec![0; count + 1], mask: size as u32 - 1 };
        for at in (0..count).rev() {
            let slot = blocks.slot(hash(&base[at * BLOCK..(at + 1) * BLOCK]));
            blocks.next[at + 1] = blocks.heads[slot];
            blocks.heads[slot] = at as u32 + 1;
        }
        blocks
    }

    fn slot(&self, hash: u32) -> usize {
        ((hash ^ (hash >> 15)) & self.mask) as usize
    }

    /// The longest piece of the base that is at `at` of the text, if it is worth a copy.
    fn longest(&self, base: &[u8], text: &[u8], at: usize, hash: u32) -> Option<(usize, usize)> {
        let mut best = (0, 0);
        let mut block = self.heads[self.slot(hash)];
        for _ in 0..TRIES {
            if block == 0 {
                break;
            }
            let from = (block as usize - 1) * BLOCK;
            let len = base[from..].iter().zip(&text[at..]).take_while(|(a, b)| a == b).count();
            if len > best.1 {
                best = (from, len);
            }
            block = self.next[block as usize];
        }
        (best.1 >= BLOCK).then_some(best)
    }

    /// The delta that makes `text` of `base`, unless it would be longer than `limit`.
    pub(crate) fn delta(&self, base: &[u8], text: &[u8], limit: usize) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        size(&mut out, base.len());
        size(&mut out, text.len());
        let (mut at, mut pending) = (0, 0);
        let mut rolling = text.get(..BLOCK).map(hash);
        while let Some(now) = rolling {
            if let Some((mut from, mut len)) = self.longest(base, text, at, now) {
                while at > pending && from > 0 && base[from - 1] == text[at - 1] {
                    at -= 1;
                    from -= 1;
                    len += 1;
                }
                add(&mut out, &text[pending..at]);
                copy(&mut out, from, len);
                at += len;
                pending = at;
                rolling = text.get(at..at + BLOCK).map(hash);
            } else {
                rolling = text.get(at + BLOCK).map(|new| {
                    now.wrapping_sub(OUT.wrapping_mul(u32::from(text[at]) + 1))
                        .wrapping_mul(FACTOR)
                        .wrapping_add(u32::from(*new) + 1)
                });
                at += 1;
            }
            if out.len() + (at - pending) > limit {
                return None;
            }
        }
        add(&mut out, &text[pending..]);
        (out.len() <= limit).then_some(out)
    }
}

fn size(out: &mut Vec<u8>, mut size: usize) {
    while size >= 0x80 {
        out.push(size as u8 | 0x80);
        size >>= 7;
    }
    out.push(size as u8);
}

fn add(out: &mut Vec<u8>, text: &[u8]) {
    for part in text.chunks(127) {
        out.push(part.len() as u8);
        out.extend_from_slice(part);
    }
}

fn copy(out: &mut Vec<u8>, mut from: usize, mut len: usize) {
    while len > 0 {
        let part = len.min(0x10000);
        let head = out.len();
        out.push(0x80);
        for (bit, byte) in (from as u32).to_le_bytes().into_iter().enumerate() {
            if byte != 0 {
                out[head] |= 1 << bit;
                out.push(byte);
            }
        }
        // A length of 0 stands for 0x10000.
        for (bit, byte) in (part as u32).to_le_bytes().into_iter().take(2).enumerate() {
            if byte != 0 {
                out[head] |= 0x10 << bit;
                out.push(byte);
            }
        }
        from += part;
        len -= part;
    }
}

#[cfg(test)]
mod tests {
    use super::Base;
    use crate::pack::apply_delta;

    #[test]
    fn a_delta_makes_the_text_again() {
        let base: Vec<u8> =
            (0..200_000u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
        let mut moved = base[300_000..].to_vec();
        moved.extend_from_slice(&base[..300_000]);
        moved.splice(1000..1010, *b"something else");
        for text in [&base[..], &moved, &base[5..100], b"", b"short"] {
            let delta = Base::new(&base).delta(&base, text, usize::MAX >> 1).expect("no limit");
            assert_eq!(apply_delta(&base, &delta).as_deref(), Some(text));
        }
        assert!(Base::new(&base).delta(&base, &moved, 10).is_none());
        assert_eq!(
            apply_delta(b"", &Base::new(b"").delta(b"", b"abc", 100).expect("short")),
            Some(b"abc".to_vec())
        );
    }
}
