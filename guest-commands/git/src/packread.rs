//! Taking a whole pack apart, to make its index or single objects. Reading single objects of an indexed pack is `pack.rs`.

use crate::error::{Res, Stop, fatal};
use crate::odb::Odb;
use crate::oid::{Kind, Oid, hash_object, sha1};
use crate::pack::{MAX_OBJECT, apply_delta};
use crate::packwrite::{Place, crc, entry, kind_number};
use flate2::bufread::ZlibDecoder;
use std::collections::HashMap;
use std::io::Read as _;
use std::rc::Rc;

/// Where an entry leads.
enum Link {
    Whole(Kind),
    Offset(u64),
    Name(Oid),
}

struct Raw {
    offset: u64,
    end: usize,
    head: usize,
    size: u64,
    link: Link,
}

/// An object of a pack.
pub(crate) struct Unpacked<'a> {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    pub(crate) data: &'a [u8],
}

fn broken() -> Stop {
    Stop::Fatal("pack is corrupted".to_owned())
}

fn inflate(bytes: &[u8], size: u64) -> Res<(Vec<u8>, usize)> {
    let mut data = Vec::new();
    let mut zlib = ZlibDecoder::new(bytes);
    (&mut zlib).take(size + 1).read_to_end(&mut data).map_err(|_| broken())?;
    if data.len() as u64 != size {
        return Err(broken());
    }
    Ok((data, zlib.total_in() as usize))
}

fn raw(pack: &[u8], start: usize, limit: usize) -> Res<Raw> {
    let mut at = start;
    let mut byte = || -> Res<u8> {
        at += 1;
        pack[..limit].get(at - 1).copied().ok_or_else(broken)
    };
    let first = byte()?;
    let mut size = u64::from(first & 15);
    let mut shift = 4;
    let mut more = first & 0x80 != 0;
    while more {
        let next = byte()?;
        if shift > 57 {
            return Err(broken());
        }
        size |= u64::from(next & 0x7f) << shift;
        shift += 7;
        more = next & 0x80 != 0;
    }
    if size > MAX_OBJECT {
        fatal!("an object of {size} bytes is too large");
    }
    let link = match (first >> 4) & 7 {
        1 => Link::Whole(Kind::Commit),
        2 => Link::Whole(Kind::Tree),
        3 => Link::Whole(Kind::Blob),
        4 => Link::Whole(Kind::Tag),
        6 => {
            let mut next = byte()?;
            let mut back = u64::from(next & 0x7f);
            while next & 0x80 != 0 {
                next = byte()?;
                back = (back + 1).checked_mul(128).ok_or_else(broken)? | u64::from(next & 0x7f);
            }
            Link::Offset((start as u64).checked_sub(back).ok_or_else(broken)?)
        }
        7 => {
            let oid = pack[..limit].get(at..).and_then(Oid::from_bytes).ok_or_else(broken)?;
            at += 20;
            Link::Name(oid)
        }
        _ => return Err(broken()),
    };
    let (_, used) = inflate(&pack[at..limit], size)?;
    Ok(Raw { offset: start as u64, end: at + used, head: at, size, link })
}

/// Goes through a pack, each object once. What the pack has only a delta of and `odb` has the base of gets its base
/// appended to `pack` (a thin pack becomes a whole one). Returns the checksum of the pack.
pub(crate) fn unpack(
    pack: &mut Vec<u8>,
    odb: Option<&Odb>,
    each: &mut dyn FnMut(Unpacked<'_>) -> Res<()>,
) -> Res<Oid> {
    if pack.len() < 32 || pack[..4] != *b"PACK" {
        fatal!("pack signature mismatch");
    }
    let end = pack.len() - 20;
    if sha1(&pack[..end]) != pack[end..] {
        fatal!("pack is corrupted (SHA1 mismatch)");
    }
    let count = u32::from_be_bytes([pack[8], pack[9], pack[10], pack[11]]);
    let mut all = Vec::new();
    let mut at = 12;
    for _ in 0..count {
        let found = raw(pack, at, end)?;
        at = found.end;
        all.push(found);
    }
    if at != end {
        fatal!("pack has junk at the end");
    }
    let mut by_offset: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut by_name: HashMap<Oid, Vec<usize>> = HashMap::new();
    let mut todo: Vec<(usize, Kind, Rc<Vec<u8>>)> = Vec::new();
    let mut done = 0;
    for (at, raw) in all.iter().enumerate() {
        match &raw.link {
            Link::Whole(_) => {}
            Link::Offset(base) => by_offset.entry(*base).or_default().push(at),
            Link::Name(base) => by_name.entry(*base).or_default().push(at),
        }
    }
    let mut finish = |pack: &[u8],
                      todo: &mut Vec<(usize, Kind, Rc<Vec<u8>>)>,
                      by_name: &mut HashMap<Oid, Vec<usize>>,
                      done: &mut u32|
     -> Res<()> {
        while let Some((at, kind, data)) = todo.pop() {
            let raw = &all[at];
            let oid = hash_object(kind, &data);
            let place = Place { oid, offset: raw.offset, crc: crc(&pack[raw.offset as usize..raw.end]) };
            each(Unpacked { place, kind, data: &data })?;
            *done += 1;
            let below = by_offset.remove(&raw.offset).into_iter().chain(by_name.remove(&oid)).flatten();
            for child in below {
                let (delta, _) = inflate(&pack[all[child].head..end], all[child].size)?;
                let data = apply_delta(&data, &delta).ok_or_else(broken)?;
                todo.push((child, kind, Rc::new(data)));
            }
        }
        Ok(())
    };
    for (at, raw) in all.iter().enumerate() {
        if let Link::Whole(kind) = raw.link {
            todo.push((at, kind, Rc::new(inflate(&pack[raw.head..end], raw.size)?.0)));
            finish(pack, &mut todo, &mut by_name, &mut done)?;
        }
    }
    let mut added = Vec::new();
    let mut bases: Vec<Oid> = by_name.keys().copied().collect();
    bases.sort();
    for base in bases {
        let Some((kind, data)) = odb.map(|odb| odb.try_read(&base)).transpose()?.flatten() else { continue };
        for child in by_name.remove(&base).unwrap_or_default() {
            let (delta, _) = inflate(&pack[all[child].head..end], all[child].size)?;
            todo.push((child, kind, Rc::new(apply_delta(&data, &delta).ok_or_else(broken)?)));
        }
        finish(pack, &mut todo, &mut by_name, &mut done)?;
        added.push((base, kind, data));
    }
    if done != count {
        fatal!("pack has {} unresolved delta{}", count - done, if count - done == 1 { "" } else { "s" });
    }
    if !added.is_empty() {
        pack.truncate(end);
        pack[8..12].copy_from_slice(&(count + added.len() as u32).to_be_bytes());
        for (oid, kind, data) in added {
            let bytes = entry(kind_number(kind), None, &data)?;
            let place = Place { oid, offset: pack.len() as u64, crc: crc(&bytes) };
            each(Unpacked { place, kind, data: &data })?;
            pack.extend(bytes);
        }
        let sum = sha1(pack);
        pack.extend(sum);
    }
    Ok(Oid::from_bytes(&pack[pack.len() - 20..]).unwrap_or_default())
}
