//! Reading packs: the index (version 2), entries and deltas. Writing them is `packwrite.rs`.

use crate::error::{Res, Stop};
use crate::oid::{Kind, Oid};
use flate2::bufread::ZlibDecoder;
use std::cell::OnceCell;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// A pack and its index. The index is in memory, of the pack only what is asked for is read.
pub(crate) struct Pack {
    pub(crate) path: PathBuf,
    index: Vec<u8>,
    count: usize,
    /// Offsets and names, sorted; made when a delta is asked for.
    offsets: OnceCell<Vec<(u64, Oid)>>,
}

/// How a packed object is stored.
pub(crate) enum Packed {
    Whole(Kind, Vec<u8>),
    OfsDelta(u64, Vec<u8>),
    RefDelta(Oid, Vec<u8>),
}

const HEAD: usize = 8 + 256 * 4;
/// No object that a guest could hold is larger.
pub(crate) const MAX_OBJECT: u64 = 1 << 30;

fn broken(path: &Path) -> Stop {
    Stop::Fatal(format!("packfile {} is damaged", path.display()))
}

impl Pack {
    /// Opens the pack whose index is `idx`.
    pub(crate) fn open(idx: &Path) -> Res<Pack> {
        let index = std::fs::read(idx)?;
        if index.len() < HEAD || index[..8] != *b"\xfftOc\0\0\0\x02" {
            return Err(Stop::Fatal(format!(
                "index file {} is of a version that is not supported",
                idx.display()
            )));
        }
        let mut pack = Pack { path: idx.with_extension("pack"), index, count: 0, offsets: OnceCell::new() };
        pack.count = pack.word(HEAD - 4) as usize;
        if pack.index.len() < HEAD + pack.count * 28 + 40 {
            return Err(broken(idx));
        }
        Ok(pack)
    }

    fn word(&self, at: usize) -> u32 {
        self.index.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn oid(&self, at: usize) -> Oid {
        Oid::from_bytes(&self.index[HEAD + at * 20..]).unwrap_or_default()
    }

    /// The names of all objects.
    pub(crate) fn names(&self) -> impl Iterator<Item = Oid> + '_ {
        (0..self.count).map(|at| self.oid(at))
    }

    /// The place of the first name that is not less.
    fn lower(&self, oid: &Oid) -> usize {
        let first = usize::from(oid.0[0]);
        let mut low = if first == 0 { 0 } else { self.word(8 + (first - 1) * 4) as usize };
        let mut high = (self.word(8 + first * 4) as usize).min(self.count);
        while low < high {
            let mid = low.midpoint(high);
            if self.oid(mid) < *oid { low = mid + 1 } else { high = mid }
        }
        low
    }

    /// Where an object is in the pack.
    pub(crate) fn find(&self, oid: &Oid) -> Option<u64> {
        let at = self.lower(oid);
        (at < self.count && self.oid(at) == *oid).then(|| self.offset(at))
    }

    fn offset(&self, at: usize) -> u64 {
        let small = self.word(HEAD + self.count * 24 + at * 4);
        if small & 0x8000_0000 == 0 {
            return u64::from(small);
        }
        let big = HEAD + self.count * 28 + (small & 0x7fff_ffff) as usize * 8;
        u64::from(self.word(big)) << 32 | u64::from(self.word(big + 4))
    }

    /// The name of what is at an offset.
    pub(crate) fn name_at(&self, offset: u64) -> Option<Oid> {
        let offsets = self.offsets.get_or_init(|| {
            let mut all: Vec<(u64, Oid)> =
                (0..self.count).map(|at| (self.offset(at), self.oid(at))).collect();
            all.sort();
            all
        });
        offsets.binary_search_by_key(&offset, |o| o.0).ok().map(|at| offsets[at].1)
    }

    /// Names between two.
    pub(crate) fn range(&self, low: &Oid, high: &Oid, found: &mut Vec<Oid>) {
        let mut at = self.lower(low);
        while at < self.count && self.oid(at) <= *high {
            found.push(self.oid(at));
            at += 1;
        }
    }

    /// The entry at an offset.
    pub(crate) fn entry(&self, offset: u64) -> Res<Packed> {
        let mut file = BufReader::with_capacity(8 * 1024, File::open(&self.path)?);
        file.seek(SeekFrom::Start(offset))?;
        let mut byte = || -> Res<u8> {
            let mut one = [0];
            file.read_exact(&mut one)?;
            Ok(one[0])
        };
        let first = byte()?;
        let kind = (first >> 4) & 7;
        let mut size = u64::from(first & 15);
        let mut shift = 4;
        let mut more = first & 0x80 != 0;
        while more {
            let next = byte()?;
            if shift > 57 {
                return Err(broken(&self.path));
            }
            size |= u64::from(next & 0x7f) << shift;
            shift += 7;
            more = next & 0x80 != 0;
        }
        if size > MAX_OBJECT {
            return Err(broken(&self.path));
        }
        let mut base = Oid::ZERO;
        let mut back = 0u64;
        if kind == 6 {
            let mut next = byte()?;
            back = u64::from(next & 0x7f);
            while next & 0x80 != 0 {
                next = byte()?;
                back =
                    (back + 1).checked_mul(128).ok_or_else(|| broken(&self.path))? | u64::from(next & 0x7f);
            }
        } else if kind == 7 {
            file.read_exact(&mut base.0)?;
        }
        let mut data = Vec::new();
        ZlibDecoder::new(file).take(size + 1).read_to_end(&mut data).map_err(|_| broken(&self.path))?;
        if data.len() as u64 != size {
            return Err(broken(&self.path));
        }
        Ok(match kind {
            1 => Packed::Whole(Kind::Commit, data),
            2 => Packed::Whole(Kind::Tree, data),
            3 => Packed::Whole(Kind::Blob, data),
            4 => Packed::Whole(Kind::Tag, data),
            6 => Packed::OfsDelta(offset.checked_sub(back).ok_or_else(|| broken(&self.path))?, data),
            7 => Packed::RefDelta(base, data),
            _ => return Err(broken(&self.path)),
        })
    }
}

/// What a delta makes of its base.
pub(crate) fn apply_delta(base: &[u8], delta: &[u8]) -> Option<Vec<u8>> {
    let mut rest = delta.iter().copied();
    let size = |rest: &mut dyn Iterator<Item = u8>| -> Option<u64> {
        let (mut size, mut shift) = (0, 0);
        loop {
            let byte = rest.next()?;
            size |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(size);
            }
        }
    };
    if size(&mut rest)? != base.len() as u64 {
        return None;
    }
    let want = size(&mut rest)?;
    if want > MAX_OBJECT {
        return None;
    }
    let mut at = delta.len() - rest.len();
    let mut out = Vec::with_capacity(want as usize);
    while at < delta.len() {
        let op = delta[at];
        at += 1;
        if op & 0x80 == 0 {
            if op == 0 {
                return None;
            }
            out.extend_from_slice(delta.get(at..at + usize::from(op))?);
            at += usize::from(op);
            continue;
        }
        let mut field = |bits: u8, count: u32| -> Option<usize> {
            let mut value = 0;
            for i in 0..count {
                if bits & (1 << i) != 0 {
                    value |= usize::from(*delta.get(at)?) << (8 * i);
                    at += 1;
                }
            }
            Some(value)
        };
        let from = field(op & 15, 4)?;
        let len = match field((op >> 4) & 7, 3)? {
            0 => 0x10000,
            len => len,
        };
        out.extend_from_slice(base.get(from..from.checked_add(len)?)?);
        if out.len() as u64 > want {
            return None;
        }
    }
    (out.len() as u64 == want).then_some(out)
}
