//! Writing packs: choosing deltas, the entries, and the index of a pack. Which objects go in is decided elsewhere.

use crate::delta::Base;
use crate::error::Res;
use crate::odb::Odb;
use crate::oid::{Kind, Oid, sha1};
use crate::reach::Item;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha1::{Digest as _, Sha1};
use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::rc::Rc;

/// How many objects are tried as a base, as `pack.window`.
const WINDOW: usize = 10;
/// The longest chain of new deltas, as `pack.depth`.
const DEPTH: usize = 50;
/// Larger objects are no bases and get none.
const LARGE: usize = 32 << 20;

/// The place of an object in a pack.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) oid: Oid,
    pub(crate) offset: u64,
    pub(crate) crc: u32,
}

type Deltas = HashMap<Oid, (Oid, Rc<Vec<u8>>)>;

/// Whether the chain of `from` comes to `oid`.
fn leads_to(deltas: &Deltas, from: Oid, oid: Oid) -> bool {
    let mut at = from;
    for _ in 0..=deltas.len() {
        if at == oid {
            return true;
        }
        match deltas.get(&at) {
            Some((base, _)) => at = *base,
            None => return false,
        }
    }
    true
}

/// An object that the next ones may be made of.
struct Candidate {
    kind: &'static str,
    oid: Oid,
    data: Rc<Vec<u8>>,
    blocks: Base,
    depth: usize,
}

/// Deltas that are stored already, then those that a search finds.
fn choose(odb: &Odb, items: &[Item]) -> Res<Deltas> {
    let wanted: HashMap<Oid, usize> = items.iter().enumerate().map(|(at, i)| (i.oid, at)).collect();
    let mut deltas = Deltas::new();
    for item in items {
        if let Some((base, delta)) = odb.stored_delta(&item.oid)?
            && wanted.contains_key(&base)
            && !leads_to(&deltas, base, item.oid)
        {
            deltas.insert(item.oid, (base, Rc::new(delta)));
        }
    }
    // Objects that came out of a pack whole were found to have no good base; new ones are looked at.
    let mut list = Vec::new();
    for item in items.iter().filter(|i| !deltas.contains_key(&i.oid)) {
        if item.kind == Kind::Tag || odb.is_packed(&item.oid) {
            continue;
        }
        list.push((item.kind.name(), item.hint, std::cmp::Reverse(odb.read(&item.oid)?.1.len()), item.oid));
    }
    list.sort();
    let mut window: VecDeque<Candidate> = VecDeque::new();
    for (kind, _, size, oid) in list {
        if size.0 < 50 || size.0 > LARGE {
            continue;
        }
        let data = odb.read(&oid)?.1;
        let mut best: Option<(Oid, Vec<u8>, usize)> = None;
        for Candidate { kind: base_kind, oid: base_oid, data: base, blocks, depth } in window.iter().rev() {
            if *base_kind != kind || *depth >= DEPTH || data.len() < base.len() / 32 {
                continue;
            }
            let limit = best.as_ref().map_or(data.len() / 2, |(_, b, _)| b.len()).saturating_sub(20);
            if let Some(delta) = blocks.delta(base, &data, limit) {
                best = Some((*base_oid, delta, depth + 1));
            }
        }
        let depth = best.as_ref().map_or(0, |b| b.2);
        if let Some((base, delta, _)) = best {
            deltas.insert(oid, (base, Rc::new(delta)));
        }
        let blocks = Base::new(&data);
        window.push_back(Candidate { kind, oid, data, blocks, depth });
        if window.len() > WINDOW {
            window.pop_front();
        }
    }
    Ok(deltas)
}

/// What counts and sums up everything that is written.
struct Sink<'a> {
    out: &'a mut dyn Write,
    sha: Sha1,
    offset: u64,
}

impl Sink<'_> {
    fn put(&mut self, bytes: &[u8]) -> Res<()> {
        self.sha.update(bytes);
        self.offset += bytes.len() as u64;
        self.out.write_all(bytes)?;
        Ok(())
    }
}

/// The bytes of an entry: `kind` is 1 to 4, or 6 with the distance to its base.
pub(crate) fn entry(kind: u8, back: Option<u64>, data: &[u8]) -> Res<Vec<u8>> {
    let mut out = Vec::new();
    let mut size = data.len() as u64;
    let mut byte = (kind << 4) | (size & 15) as u8;
    size >>= 4;
    while size > 0 {
        out.push(byte | 0x80);
        byte = (size & 0x7f) as u8;
        size >>= 7;
    }
    out.push(byte);
    if let Some(mut back) = back {
        let mut digits = vec![(back & 0x7f) as u8];
        back >>= 7;
        while back > 0 {
            back -= 1;
            digits.push((back & 0x7f) as u8 | 0x80);
            back >>= 7;
        }
        digits.reverse();
        out.extend(digits);
    }
    let mut zlib = ZlibEncoder::new(out, Compression::default());
    zlib.write_all(data)?;
    Ok(zlib.finish()?)
}

/// The number that a kind has in packs.
pub(crate) fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
        Kind::Tag => 4,
    }
}

/// CRC-32 of an entry as it stands in the pack.
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Writes a pack of these objects. Returns its checksum and where everything is.
pub(crate) fn write(odb: &Odb, items: &[Item], out: &mut dyn Write) -> Res<(Oid, Vec<Place>)> {
    let deltas = choose(odb, items)?;
    let kinds: HashMap<Oid, Kind> = items.iter().map(|i| (i.oid, i.kind)).collect();
    let mut sink = Sink { out, sha: Sha1::new(), offset: 0 };
    sink.put(&[b"PACK\0\0\0\x02", &(items.len() as u32).to_be_bytes()[..]].concat())?;
    let mut places: HashMap<Oid, Place> = HashMap::new();
    for item in items {
        // A base comes before what is made of it.
        let mut chain = vec![item.oid];
        while let Some((base, _)) = deltas.get(&chain[chain.len() - 1]) {
            if places.contains_key(base) {
                break;
            }
            chain.push(*base);
        }
        for oid in chain.into_iter().rev().filter(|o| kinds.contains_key(o)) {
            if places.contains_key(&oid) {
                continue;
            }
            let bytes = match deltas.get(&oid) {
                Some((base, delta)) => entry(6, places.get(base).map(|p| sink.offset - p.offset), delta)?,
                None => entry(kind_number(kinds[&oid]), None, &odb.read(&oid)?.1)?,
            };
            places.insert(oid, Place { oid, offset: sink.offset, crc: crc(&bytes) });
            sink.put(&bytes)?;
        }
    }
    let sum = Oid(sink.sha.finalize().into());
    sink.out.write_all(&sum.0)?;
    let mut places: Vec<Place> = places.into_values().collect();
    places.sort_by_key(|p| p.oid);
    Ok((sum, places))
}

/// The index (version 2) of a pack with this checksum; `places` are sorted by name.
pub(crate) fn index(places: &[Place], pack: &Oid) -> Vec<u8> {
    let mut out = b"\xfftOc\0\0\0\x02".to_vec();
    let mut at = 0;
    for first in 0..=255u8 {
        while places.get(at).is_some_and(|p| p.oid.0[0] <= first) {
            at += 1;
        }
        out.extend((at as u32).to_be_bytes());
    }
    for place in places {
        out.extend(place.oid.0);
    }
    for place in places {
        out.extend(place.crc.to_be_bytes());
    }
    let mut large = Vec::new();
    for place in places {
        match u32::try_from(place.offset) {
            Ok(small) if small < 0x8000_0000 => out.extend(small.to_be_bytes()),
            _ => {
                out.extend((0x8000_0000 | large.len() as u32).to_be_bytes());
                large.push(place.offset);
            }
        }
    }
    for offset in large {
        out.extend(offset.to_be_bytes());
    }
    out.extend(pack.0);
    let sum = sha1(&out);
    out.extend(sum);
    out
}
