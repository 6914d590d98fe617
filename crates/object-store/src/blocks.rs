//! Blocks of objects that were read, by version, so that contents never mix. The least recently used go first.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use parking_lot::Mutex;

/// Bytes of a block; the last one of an object is shorter.
pub(crate) const BLOCK: u64 = 256 << 10;

/// One content of one object in this mount.
pub(crate) type Content = u64;

#[derive(Default)]
struct Inner {
    blocks: HashMap<(Content, u64), (Bytes, u64)>,
    order: BTreeMap<u64, (Content, u64)>,
    bytes: usize,
    clock: u64,
}

pub(crate) struct Blocks {
    limit: usize,
    inner: Mutex<Inner>,
}

impl Blocks {
    pub(crate) fn new(limit: usize) -> Self {
        Blocks { limit, inner: Mutex::default() }
    }

    pub(crate) fn get(&self, content: Content, index: u64) -> Option<Bytes> {
        let inner = &mut *self.inner.lock();
        let (data, used) = inner.blocks.get_mut(&(content, index))?;
        inner.clock += 1;
        inner.order.remove(used);
        *used = inner.clock;
        inner.order.insert(inner.clock, (content, index));
        Some(data.clone())
    }

    pub(crate) fn has(&self, content: Content, index: u64) -> bool {
        self.inner.lock().blocks.contains_key(&(content, index))
    }

    /// Keeps a block of its own: what it was cut from can go.
    pub(crate) fn put(&self, content: Content, index: u64, data: &[u8]) {
        if data.len() > self.limit {
            return;
        }
        let inner = &mut *self.inner.lock();
        inner.clock += 1;
        inner.bytes += data.len();
        inner.order.insert(inner.clock, (content, index));
        let old = inner.blocks.insert((content, index), (Bytes::copy_from_slice(data), inner.clock));
        if let Some((data, used)) = old {
            inner.bytes -= data.len();
            inner.order.remove(&used);
        }
        while inner.bytes > self.limit {
            let Some((_, key)) = inner.order.pop_first() else { break };
            if let Some((data, _)) = inner.blocks.remove(&key) {
                inner.bytes -= data.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let blocks = Blocks::new(1000);
        for index in 0..100 {
            blocks.put(1, index, &[0; 100]);
            assert!(blocks.get(1, 0).is_some(), "the one that is used stays");
        }
        blocks.put(2, 0, &[0; 1001]);
        blocks.put(1, 0, &[1; 50]);
        let inner = blocks.inner.lock();
        assert_eq!(inner.bytes, inner.blocks.values().map(|(data, _)| data.len()).sum::<usize>());
        assert!(inner.bytes <= 1000 && inner.blocks.len() == inner.order.len());
        assert!(!inner.blocks.contains_key(&(2, 0)));
    }
}
