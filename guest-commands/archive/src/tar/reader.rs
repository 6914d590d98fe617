//! Reads an archive member by member: header blocks, GNU's long names, pax records and maps of holes. It writes no files, and it
//! believes no number before it has seen that many bytes.

use super::header::{self, BLOCK, Kind, Member};
use super::pax::{self, Records};
use crate::codec::input::Input;
use std::io::{self, BufRead, Read};

/// Names and records are held in memory; longer ones are damage.
const MAX_EXTRA: u64 = 1 << 20;
/// Runs of data that a file with holes may have.
const MAX_RUNS: usize = 1 << 16;

/// What comes next in an archive.
#[derive(Debug)]
pub(super) enum Next {
    Member(Member),
    /// The end, with both zero blocks or by the end of the file.
    End,
    /// One zero block alone, at this block: what follows is taken for the end.
    LoneZero(u64),
    /// Something that is no header, at the very beginning.
    NotTar,
    /// The same further on; the next header has been looked for.
    Garbage,
    /// The archive ends inside a member.
    Truncated,
}

/// An archive that is read once, from its beginning to its end.
pub(super) struct Reader {
    input: Input,
    /// Bytes of data of the last member that were not read, and padding after them.
    left: u64,
    padding: u64,
    globals: Records,
    first: bool,
    /// Where the last header begun, with everything that belongs to it.
    start: u64,
    /// Between garbage and the next header.
    lost: bool,
}

enum Block {
    Whole(Box<[u8; BLOCK]>),
    Partial,
    Nothing,
}

impl Reader {
    pub(super) fn new(input: Input) -> Reader {
        let globals = Records::default();
        Reader { input, left: 0, padding: 0, globals, first: true, start: 0, lost: false }
    }

    /// Where the last member begins in the archive, in bytes.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Where reading is.
    pub(super) fn position(&self) -> u64 {
        self.input.position()
    }

    /// The compressed data behind a decoder may have been cut: what its reader says.
    fn block(&mut self) -> io::Result<Block> {
        let mut block = Box::new([0; BLOCK]);
        let mut n = 0;
        while n < BLOCK {
            match self.input.read(&mut block[n..])? {
                0 if n == 0 => return Ok(Block::Nothing),
                0 => return Ok(Block::Partial),
                more => n += more,
            }
        }
        Ok(Block::Whole(block))
    }

    /// Goes past what is left of the last member; false: the archive ended before.
    fn skip(&mut self) -> io::Result<bool> {
        let mut left = self.left.saturating_add(self.padding);
        (self.left, self.padding) = (0, 0);
        while left > 0 {
            let there = self.input.fill_buf()?.len() as u64;
            if there == 0 {
                return Ok(false);
            }
            let n = there.min(left);
            self.input.consume(n as usize);
            left -= n;
        }
        Ok(true)
    }

    fn begin_data(&mut self, stored: u64) {
        self.left = stored;
        self.padding = stored.wrapping_neg() % BLOCK as u64;
    }

    /// The data of a block that belongs to the next member; `None`: too long, or cut.
    fn extra(&mut self, size: u64) -> io::Result<Option<Vec<u8>>> {
        if size > MAX_EXTRA {
            return Ok(None);
        }
        self.begin_data(size);
        let mut data = Vec::new();
        Read::take(&mut self.input, size).read_to_end(&mut data)?;
        self.left -= data.len() as u64;
        let whole = data.len() as u64 == size && self.skip()?;
        Ok(whole.then_some(data))
    }

    /// The next member; its data are read with [`Reader::data`], or not at all.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        if !self.skip()? {
            return Ok(Next::Truncated);
        }
        let (mut long_name, mut long_link) = (None, None);
        let mut records = Records::default();
        self.start = self.position();
        loop {
            let block = match self.block()? {
                Block::Whole(block) => block,
                Block::Nothing if self.first => return Ok(Next::NotTar),
                Block::Partial if self.first => return Ok(Next::NotTar),
                // What is shorter than a block holds no member.
                Block::Nothing | Block::Partial => return Ok(Next::End),
            };
            if block.iter().all(|b| *b == 0) {
                self.first = false;
                let at = self.position() / BLOCK as u64;
                return Ok(match self.block()? {
                    Block::Whole(second) if second.iter().any(|b| *b != 0) => Next::LoneZero(at),
                    Block::Nothing | Block::Partial => Next::LoneZero(at),
                    Block::Whole(_) => Next::End,
                });
            }
            let parsed = if header::checked(&block) { header::parse(&block) } else { None };
            let Some(mut member) = parsed else {
                if self.first {
                    self.first = false;
                    self.lost = true;
                    return Ok(Next::NotTar);
                }
                if !self.lost {
                    self.lost = true;
                    return Ok(Next::Garbage);
                }
                continue;
            };
            (self.first, self.lost) = (false, false);
            match member.kind {
                Kind::Other(b'L') => match self.extra(member.stored)? {
                    Some(data) => long_name = Some(header::text(&data).to_vec()),
                    None => return Ok(Next::Truncated),
                },
                Kind::Other(b'K') => match self.extra(member.stored)? {
                    Some(data) => long_link = Some(header::text(&data).to_vec()),
                    None => return Ok(Next::Truncated),
                },
                Kind::Other(letter @ (b'x' | b'X' | b'g')) => match self.extra(member.stored)? {
                    Some(data) => match pax::parse(&data) {
                        Some(found) if letter == b'g' => self.globals.merge(found),
                        Some(found) => records.merge(found),
                        None => return Ok(Next::Garbage),
                    },
                    None => return Ok(Next::Truncated),
                },
                _ => {
                    if block[156] == b'S' && !self.old_map(&block, &mut member)? {
                        return Ok(Next::Truncated);
                    }
                    if let Some(name) = long_name {
                        member.name = name;
                    }
                    if let Some(link) = long_link {
                        member.link = link;
                    }
                    let mut all = self.globals.clone();
                    all.merge(records);
                    if !pax::apply(&all, &mut member) {
                        return Ok(Next::Garbage);
                    }
                    self.begin_data(member.stored);
                    if all.holes_in_data() && !self.pax_map(&mut member)? {
                        return Ok(Next::Truncated);
                    }
                    return Ok(Next::Member(member));
                }
            }
        }
    }

    /// GNU's old map of holes: four runs in the header, 21 in each block that follows.
    fn old_map(&mut self, block: &[u8; BLOCK], member: &mut Member) -> io::Result<bool> {
        let mut map = Vec::new();
        let mut take = |fields: &[u8]| {
            for run in fields.chunks_exact(24) {
                if run[0] == 0 {
                    break;
                }
                let at = |field| header::number(field).and_then(|n| u64::try_from(n).ok());
                match (at(&run[..12]), at(&run[12..])) {
                    (Some(offset), Some(length)) if map.len() < MAX_RUNS => map.push((offset, length)),
                    _ => return false,
                }
            }
            true
        };
        let mut good = take(&block[386..482]);
        let mut more = block[482] != 0;
        while good && more {
            let Block::Whole(next) = self.block()? else { return Ok(false) };
            good = take(&next[..504]);
            more = next[504] != 0;
        }
        let real = header::number(&block[483..495]).and_then(|n| u64::try_from(n).ok());
        Ok(match (real, good) {
            (Some(real), true) => set_map(member, map, real),
            _ => false,
        })
    }

    /// The map of pax 1.0: decimal lines before the data, padded to a block.
    fn pax_map(&mut self, member: &mut Member) -> io::Result<bool> {
        let mut lines = Vec::new();
        let mut line = Vec::new();
        let mut want = None;
        let mut used = 0;
        while want.is_none_or(|n: usize| lines.len() < 1 + 2 * n) {
            let mut byte = [0];
            if self.left == 0 || self.input.read(&mut byte)? == 0 || line.len() > 20 {
                return Ok(false);
            }
            self.left -= 1;
            used += 1;
            if byte[0] != b'\n' {
                line.push(byte[0]);
                continue;
            }
            let Some(n) = std::str::from_utf8(&line).ok().and_then(|t| t.parse::<u64>().ok()) else {
                return Ok(false);
            };
            lines.push(n);
            line.clear();
            if want.is_none() {
                match usize::try_from(n) {
                    Ok(n) if n <= MAX_RUNS => want = Some(n),
                    _ => return Ok(false),
                }
            }
        }
        let padding = (BLOCK - used % BLOCK) % BLOCK;
        let mut rest = vec![0; padding];
        if self.left < padding as u64 || self.input.read_exact(&mut rest).is_err() {
            return Ok(false);
        }
        self.left -= padding as u64;
        member.stored = self.left;
        let map = lines[1..].chunks_exact(2).map(|run| (run[0], run[1])).collect();
        let real = member.size;
        Ok(set_map(member, map, real))
    }

    /// Goes past the data of the last member and what fills their last block; false: the archive ends before.
    pub(super) fn end_data(&mut self) -> io::Result<bool> {
        self.skip()
    }

    /// Reads data of the last member; 0 at its end. An archive that ends before is `UnexpectedEof`.
    pub(super) fn data(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        if most == 0 {
            return Ok(0);
        }
        let n = self.input.read(&mut buf[..most])?;
        if n == 0 {
            self.left = 0;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= n as u64;
        Ok(n)
    }
}

/// Gives a member its map if that makes sense: ascending, inside the file, and as many bytes as there are.
pub(super) fn set_map(member: &mut Member, map: Vec<(u64, u64)>, real: u64) -> bool {
    let (mut end, mut sum) = (0_u64, 0_u64);
    for (offset, length) in &map {
        let Some(next) = offset.checked_add(*length).filter(|n| *offset >= end && *n <= real) else {
            return false;
        };
        end = next;
        sum += length;
    }
    if sum > member.stored {
        return false;
    }
    member.size = real;
    member.map = Some(map);
    true
}
