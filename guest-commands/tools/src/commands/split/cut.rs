//! The ways to cut: by lines, bytes, records that fit, or into so many chunks. It names no files.

use super::fail;
use super::output::{Output, Piece};
use crate::context::{Cx, End, Outcome};
use crate::quote::quotef;
use agentos_guest::fs::{FileType, file_type, fstat};
use agentos_guest::{fd, strerror};
use std::ffi::{OsStr, OsString};
use std::io;

/// How the input is cut.
pub(super) enum Way {
    Lines(u64),
    Bytes(u64),
    /// As many whole lines as have so many bytes.
    Records(u64),
    Chunks(Chunks),
}

/// So many pieces.
pub(super) struct Chunks {
    pub(super) count: u64,
    /// The one that is wanted, counted from 1.
    pub(super) only: Option<u64>,
    /// By bytes, whole lines (`l`) or lines in turn (`r`).
    pub(super) kind: u8,
}

/// The input.
pub(super) struct Source {
    file: Option<fd::Owned>,
    name: OsString,
}

impl Source {
    pub(super) fn open(name: &OsStr) -> io::Result<Source> {
        let file =
            if name == "-" { None } else { Some(fd::Owned::from_raw(fd::open(name, fd::O_RDONLY, 0)?)) };
        Ok(Source { file, name: name.to_owned() })
    }

    pub(super) fn descriptor(&self) -> u32 {
        self.file.as_ref().map_or(0, fd::Owned::raw)
    }

    fn read(&self, buf: &mut [u8]) -> Result<usize, End> {
        loop {
            match fd::read(self.descriptor(), buf) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => {
                    return other
                        .map_err(|error| fail(format!("{}: {}", quotef(&self.name), strerror(&error))));
                }
            }
        }
    }

    /// How much there is to read.
    fn size(&self) -> Result<u64, End> {
        let unknown = || fail(format!("{}: cannot determine file size", quotef(&self.name)));
        let found = fstat(self.descriptor()).map_err(|_| unknown())?;
        if file_type(found.mode) != FileType::File {
            return Err(unknown());
        }
        let at = fd::seek(self.descriptor(), io::SeekFrom::Current(0)).unwrap_or(0);
        Ok(found.size.saturating_sub(at))
    }
}

/// One run of the command.
pub(super) struct Job<'a> {
    pub(super) cx: &'a mut Cx,
    pub(super) output: Output,
    pub(super) source: Source,
    pub(super) end: u8,
    pub(super) elide: bool,
    pub(super) unbuffered: bool,
}

const BUFFER: usize = 64 * 1024;
/// Chunks that are written at once when lines go to each in turn.
const MOST_AT_ONCE: u64 = 1000;

impl Job<'_> {
    pub(super) fn run(mut self, way: &Way) -> Outcome {
        match way {
            Way::Lines(count) => self.lines(*count)?,
            Way::Bytes(size) => {
                self.bytes(*size, None)?;
            }
            Way::Records(size) => self.records(*size)?,
            Way::Chunks(chunks) => match chunks.kind {
                b'b' => {
                    let size = self.source.size()?;
                    self.byte_chunks(chunks, size)?;
                }
                b'l' => {
                    let size = self.source.size()?;
                    self.line_chunks(chunks, size)?;
                }
                _ => self.in_turn(chunks)?,
            },
        }
        Ok(0)
    }

    fn close(&self, piece: Option<Piece>) -> Result<(), End> {
        piece.map_or(Ok(()), |piece| piece.close(self.output.filter.as_deref()))
    }

    /// Writes to the piece at hand, which is opened if there is none.
    fn put(&mut self, piece: &mut Option<Piece>, bytes: &[u8]) -> Result<(), End> {
        let open = match piece {
            Some(open) => open,
            None => piece.insert(self.output.open(self.cx)?),
        };
        open.write(self.cx, bytes).map(|_| ())
    }

    fn lines(&mut self, count: u64) -> Result<(), End> {
        let mut buf = vec![0; BUFFER];
        let (mut piece, mut left) = (None, count);
        loop {
            let n = self.source.read(&mut buf)?;
            if n == 0 {
                return self.close(piece);
            }
            let mut start = 0;
            for at in memchr::memchr_iter(self.end, &buf[..n]) {
                left -= 1;
                if left == 0 {
                    self.put(&mut piece, &buf[start..=at])?;
                    self.close(piece.take())?;
                    start = at + 1;
                    left = count;
                }
            }
            if start < n {
                self.put(&mut piece, &buf[start..n])?;
            }
        }
    }

    /// Pieces of one size; the last of `most` takes what is left. Gives the number of the next.
    fn bytes(&mut self, size: u64, most: Option<u64>) -> Result<u64, End> {
        let mut buf = vec![0; BUFFER];
        let (mut piece, mut left, mut number) = (None, size, 1);
        loop {
            let n = self.source.read(&mut buf)?;
            if n == 0 {
                break;
            }
            let mut rest = &buf[..n];
            while !rest.is_empty() {
                let last = Some(number) == most;
                let part = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let part = if last { rest.len() } else { part };
                self.put(&mut piece, &rest[..part])?;
                rest = &rest[part..];
                left -= if last { 0 } else { part as u64 };
                if left == 0 && !last {
                    self.close(piece.take())?;
                    left = size;
                    number += 1;
                }
            }
        }
        number += u64::from(piece.is_some());
        self.close(piece)?;
        Ok(number)
    }

    fn byte_chunks(&mut self, chunks: &Chunks, size: u64) -> Result<(), End> {
        let each = (size / chunks.count).max(1);
        let Some(only) = chunks.only else {
            let next = self.bytes(each, Some(chunks.count))?;
            for _ in next..=chunks.count {
                self.empty(chunks)?;
            }
            return Ok(());
        };
        let to = if only == chunks.count { size } else { only.saturating_mul(each) };
        self.part((only - 1).saturating_mul(each), to)
    }

    /// Shows a part of the input on standard output.
    fn part(&mut self, from: u64, to: u64) -> Result<(), End> {
        let mut buf = vec![0; BUFFER];
        let mut at = 0;
        while at < to {
            let n = self.source.read(&mut buf)?;
            if n == 0 {
                break;
            }
            let end = at + n as u64;
            let within = |place: u64| usize::try_from(place.clamp(at, end) - at).unwrap_or(0);
            Piece::Standard.write(self.cx, &buf[within(from)..within(to)])?;
            at = end;
        }
        Ok(())
    }

    /// A line belongs to the chunk in which it begins.
    fn line_chunks(&mut self, chunks: &Chunks, size: u64) -> Result<(), End> {
        let each = (size / chunks.count).max(1);
        let mut buf = vec![0; BUFFER];
        let mut chunk = 1;
        let end_of = |chunk: u64| if chunk == chunks.count { size } else { chunk * each };
        let wanted = |chunk: u64| chunks.only.is_none_or(|only| only == chunk);
        let mut piece: Option<Piece> = None;
        let mut at = 0;
        loop {
            let n = self.source.read(&mut buf)?;
            if n == 0 {
                break;
            }
            let mut rest = &buf[..n];
            while !rest.is_empty() && chunk <= chunks.count {
                // The chunk ends with the first line that ends at its last byte or later.
                let skip =
                    usize::try_from(end_of(chunk).saturating_sub(1).saturating_sub(at)).unwrap_or(usize::MAX);
                let found = if skip < rest.len() {
                    memchr::memchr(self.end, &rest[skip..]).map(|found| skip + found + 1)
                } else {
                    None
                };
                let part = found.unwrap_or(rest.len());
                if wanted(chunk) {
                    if chunks.only.is_some() {
                        Piece::Standard.write(self.cx, &rest[..part])?;
                    } else {
                        self.put(&mut piece, &rest[..part])?;
                    }
                }
                at += part as u64;
                rest = &rest[part..];
                if found.is_some() {
                    self.close(piece.take())?;
                    chunk += 1;
                    // Chunks that one line has covered are empty.
                    while chunk < chunks.count && end_of(chunk) <= at {
                        self.empty(chunks)?;
                        chunk += 1;
                    }
                }
            }
        }
        if piece.is_some() {
            chunk += 1;
        }
        self.close(piece)?;
        for _ in chunk..=chunks.count {
            self.empty(chunks)?;
        }
        Ok(())
    }

    fn empty(&mut self, chunks: &Chunks) -> Result<(), End> {
        if chunks.only.is_none() && !self.elide {
            let piece = self.output.open(self.cx)?;
            self.close(Some(piece))?;
        }
        Ok(())
    }

    /// Lines go to each chunk in turn.
    fn in_turn(&mut self, chunks: &Chunks) -> Result<(), End> {
        if chunks.only.is_none() && chunks.count > MOST_AT_ONCE {
            return Err(fail("too many open files"));
        }
        let many = usize::try_from(chunks.count.min(MOST_AT_ONCE)).unwrap_or(1);
        let mut pieces: Vec<Option<Piece>> = (0..many).map(|_| None).collect();
        if !self.elide && chunks.only.is_none() {
            for piece in &mut pieces {
                *piece = Some(self.output.open(self.cx)?);
            }
        }
        let mut buf = vec![0; BUFFER];
        let mut turn = 0;
        loop {
            let n = self.source.read(&mut buf)?;
            if n == 0 {
                break;
            }
            let end = self.end;
            for line in buf[..n].split_inclusive(|b| *b == end) {
                match chunks.only {
                    Some(only) if only - 1 == turn => {
                        Piece::Standard.write(self.cx, line)?;
                        if self.unbuffered {
                            self.cx.flush()?;
                        }
                    }
                    Some(_) => {}
                    None => {
                        let mut piece = pieces[turn as usize].take();
                        self.put(&mut piece, line)?;
                        if let (Some(Piece::File(writer, _)), true) = (&mut piece, self.unbuffered) {
                            io::Write::flush(writer).map_err(End::Output)?;
                        }
                        pieces[turn as usize] = piece;
                    }
                }
                if line.ends_with(&[end]) {
                    turn = (turn + 1) % chunks.count;
                }
            }
        }
        for piece in pieces {
            self.close(piece)?;
        }
        Ok(())
    }

    /// As many whole records as fit; one that is too long is cut.
    fn records(&mut self, size: u64) -> Result<(), End> {
        // More than this at once is more than a machine need hold.
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(256 << 20);
        let mut held: Vec<u8> = Vec::new();
        let mut buf = vec![0; BUFFER];
        let mut over = false;
        while !over || !held.is_empty() {
            if !over && held.len() <= size {
                let n = self.source.read(&mut buf)?;
                over = n == 0;
                held.extend_from_slice(&buf[..n]);
                continue;
            }
            let part = if held.len() <= size {
                held.len()
            } else {
                memchr::memrchr(self.end, &held[..size]).map_or(size, |at| at + 1)
            };
            let mut piece = None;
            self.put(&mut piece, &held[..part])?;
            self.close(piece)?;
            held.drain(..part);
        }
        Ok(())
    }
}
