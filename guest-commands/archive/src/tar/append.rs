//! Changes an archive in place: `-r` and `-u` add files at its end, `-A` other archives, `--delete` closes up what is taken out. Only
//! uncompressed archives in files.

use super::config::{Compression, Config, Operation, fatal};
use super::create::{Adder, adds_files, write_failed};
use super::header::BLOCK;
use super::reader::{Next, Reader};
use super::writer::Writer;
use crate::codec::input::Input;
use crate::codec::{Format, Plain};
use crate::context::{Cx, End};
use crate::files;
use agentos_guest::fd::{self, Owned};
use agentos_guest::fs;
use agentos_guest::strerror;
use std::collections::HashMap;
use std::io::{self, BufWriter, Read, SeekFrom};

/// Opens the archive for both, and again for reading from its beginning.
fn open(cx: &mut Cx, config: &Config, create: bool) -> Result<(Owned, Reader), End> {
    let name = config.archive.to_string_lossy().into_owned();
    if config.compression != Compression::Unset {
        return Err(fatal(cx, "Cannot update compressed archives"));
    }
    if config.archive == "-" {
        return Err(fatal(cx, "archives on standard input or output cannot be updated"));
    }
    let flags = fd::O_RDWR | fd::O_CLOEXEC | if create { fd::O_CREAT } else { 0 };
    let opened = fd::open(&config.archive, flags, 0o666)
        .and_then(|raw| Ok((Owned::from_raw(raw), files::open(&config.archive, 0)?)));
    match opened {
        Ok((file, again)) => {
            let mut input = Input::new(Box::new(again));
            let start = input.peek(6).unwrap_or_default();
            if Format::of(start).is_some_and(|f| f != Format::Lzma) {
                return Err(fatal(cx, "Cannot update compressed archives"));
            }
            Ok((file, Reader::new(input)))
        }
        Err(error) => Err(fatal(cx, &format!("{name}: Cannot open: {}", strerror(&error)))),
    }
}

pub(super) fn run(cx: &mut Cx, config: &mut Config) -> Result<(), End> {
    let (file, mut reader) = open(cx, config, true)?;
    let empty = fs::fstat(file.raw()).is_ok_and(|s| s.size == 0);
    let mut newest = HashMap::new();
    let end = if empty { 0 } else { find_end(cx, config, &mut reader, &mut newest)? };
    let own = fs::fstat(file.raw()).ok();
    let placed = fd::seek(file.raw(), SeekFrom::Start(end)).and_then(|_| fd::set_len(file.raw(), end));
    placed.map_err(|error| write_failed(cx, config, &error))?;
    let out = Box::new(Plain(BufWriter::with_capacity(64 << 10, file)));
    let mut adder = Adder::new(Writer::new(out, config.dialect, config.record, end), own);
    if adds_files(config.operation) {
        if config.operation == Operation::Update {
            adder.newest = Some(newest);
        }
        adder.operands(cx, config)?;
    } else {
        for operand in &config.names.operands {
            concatenate(cx, config, &mut adder.writer, &operand.name)?;
        }
    }
    adder.finish(cx, config)
}

/// Where the end of the archive begins.
fn find_end(
    cx: &mut Cx,
    config: &Config,
    reader: &mut Reader,
    newest: &mut HashMap<Vec<u8>, (i64, u32)>,
) -> Result<u64, End> {
    loop {
        match reader.next() {
            Ok(Next::Member(member)) => {
                if config.operation == Operation::Update {
                    newest.insert(member.name, (member.mtime, member.mtime_nsec));
                }
            }
            Ok(Next::End | Next::LoneZero(_)) => return Ok(reader.start()),
            Ok(Next::NotTar) => return Err(fatal(cx, "This does not look like a tar archive")),
            Ok(Next::Garbage) => return Err(fatal(cx, "Skipping to next header")),
            Ok(Next::Truncated) => return Err(fatal(cx, "Unexpected EOF in archive")),
            Err(error) => return Err(super::read_failed(cx, config, &error)),
        }
    }
}

/// Copies the members of another archive as they are.
fn concatenate(cx: &mut Cx, config: &Config, writer: &mut Writer, name: &[u8]) -> Result<(), End> {
    let path = crate::os::os(name);
    let opened = files::open(path, 0).and_then(|file| Ok((file, files::open(path, 0)?)));
    let (file, mut copy) = match opened {
        Ok(both) => both,
        Err(error) => {
            return Err(fatal(cx, &format!("{}: Cannot open: {}", path.to_string_lossy(), strerror(&error))));
        }
    };
    let mut reader = Reader::new(Input::new(Box::new(file)));
    let mut none = HashMap::new();
    let mut left = find_end(cx, config, &mut reader, &mut none)?;
    let mut buf = vec![0; files::PIECE];
    while left > 0 {
        let most = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = copy.read(&mut buf[..most]).map_err(|error| super::read_failed(cx, config, &error))?;
        if n == 0 {
            break;
        }
        writer.raw(&buf[..n]).map_err(|error| write_failed(cx, config, &error))?;
        left -= n as u64;
    }
    Ok(())
}

/// `--delete`: moves what stays to where the deleted was, front to back.
pub(super) fn delete(cx: &mut Cx, config: &mut Config) -> Result<(), End> {
    let (file, mut reader) = open(cx, config, false)?;
    // Runs of the archive that stay, and where a member begun that stays.
    let mut kept: Vec<(u64, u64)> = Vec::new();
    let mut begun: Option<u64> = None;
    let end = loop {
        let next = reader.next();
        let start = reader.start();
        if let Some(from) = begun.take() {
            match kept.last_mut() {
                Some(last) if last.1 == from => last.1 = start,
                _ => kept.push((from, start)),
            }
        }
        match next {
            Ok(Next::Member(member)) => {
                if config.names.select(&member.name, 0).is_none() {
                    begun = Some(start);
                }
            }
            Ok(Next::End | Next::LoneZero(_)) => break start,
            Ok(Next::NotTar) => return Err(fatal(cx, "This does not look like a tar archive")),
            Ok(Next::Garbage) => return Err(fatal(cx, "Skipping to next header")),
            Ok(Next::Truncated) => return Err(fatal(cx, "Unexpected EOF in archive")),
            Err(error) => return Err(super::read_failed(cx, config, &error)),
        }
    };
    debug_assert!(end.is_multiple_of(BLOCK as u64));
    let done = close_up(&file, &kept, config.record);
    done.map_err(|error| write_failed(cx, config, &error))?;
    config.names.not_found(cx);
    Ok(())
}

fn close_up(file: &Owned, kept: &[(u64, u64)], record: u64) -> io::Result<()> {
    let mut to = 0;
    let mut buf = vec![0; files::PIECE];
    for (from, end) in kept {
        if *from == to {
            to = *end;
            continue;
        }
        let mut at = *from;
        while at < *end {
            let most = buf.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            fd::seek(file.raw(), SeekFrom::Start(at))?;
            let n = fd::read(file.raw(), &mut buf[..most])?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            fd::seek(file.raw(), SeekFrom::Start(to))?;
            fd::write_all(file.raw(), &buf[..n])?;
            at += n as u64;
            to += n as u64;
        }
    }
    fd::seek(file.raw(), SeekFrom::Start(to))?;
    let whole = (to + 2 * BLOCK as u64).div_ceil(record) * record;
    let zeros = vec![0; usize::try_from(whole - to).unwrap_or(0)];
    fd::write_all(file.raw(), &zeros)?;
    fd::set_len(file.raw(), whole)
}
