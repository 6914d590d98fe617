//! The gzip format (RFC 1952): members one after the other, each with a header, a checksum and a length. The DEFLATE data inside
//! is flate2's business; the header is read here, since gzip shows what is in it and tells kinds of damage apart.

use super::Damage;
use super::input::Input;
use flate2::bufread::DeflateDecoder;
use flate2::{Compression, Crc, GzBuilder};
use std::io::{self, Read, Write};

/// What the header of a member says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// The name of the file that was compressed.
    pub(crate) name: Option<Vec<u8>>,
    /// Its time of change, 0 for unknown.
    pub(crate) mtime: u32,
}

/// The longest name or comment that is kept in memory.
const MAX_NAME: usize = 64 << 10;

/// A writer of one member.
pub(crate) fn writer<W: Write>(
    level: u32,
    name: Option<&[u8]>,
    mtime: u32,
    out: W,
) -> flate2::write::GzEncoder<W> {
    const UNIX: u8 = 3;
    let mut builder = GzBuilder::new().mtime(mtime).operating_system(UNIX);
    if let Some(name) = name.filter(|name| !name.contains(&0)) {
        builder = builder.filename(name);
    }
    builder.write(out, Compression::new(level.min(9)))
}

enum State {
    /// Before the first or a further member.
    Between(Input),
    Inside(Box<DeflateDecoder<Input>>),
    Ended,
}

/// Reads all members as one stream.
pub(crate) struct GzipReader {
    state: State,
    crc: Crc,
    first: bool,
    header: Header,
    /// CRC of the last member that ended.
    last_crc: u32,
}

impl GzipReader {
    pub(crate) fn new(input: Input) -> GzipReader {
        let header = Header::default();
        GzipReader { state: State::Between(input), crc: Crc::new(), first: true, header, last_crc: 0 }
    }

    /// What the header of the first member says; reads it if need be.
    pub(crate) fn header(&mut self) -> io::Result<&Header> {
        if self.first {
            let n = self.read(&mut [])?;
            debug_assert_eq!(n, 0);
        }
        Ok(&self.header)
    }

    /// The checksum of the last member, once all has been read.
    pub(crate) fn last_crc(&self) -> u32 {
        self.last_crc
    }

    /// Begins the next member; false at the end.
    fn begin(&mut self, mut input: Input) -> io::Result<bool> {
        let start = input.peek(2)?;
        if start.is_empty() && !self.first {
            self.state = State::Ended;
            return Ok(false);
        }
        if start != [0x1f, 0x8b] {
            let damage = match (self.first, start.len()) {
                (true, 0) => Damage::Truncated,
                (true, _) => Damage::Format,
                (false, _) => return self.trailing(input),
            };
            return Err(damage.into());
        }
        let header = read_header(&mut input)?;
        if self.first {
            self.header = header;
            self.first = false;
        }
        self.crc.reset();
        self.state = State::Inside(Box::new(DeflateDecoder::new(input)));
        Ok(true)
    }

    /// Zeros after the last member are padding of tapes, anything else is not.
    fn trailing(&mut self, mut input: Input) -> io::Result<bool> {
        self.state = State::Ended;
        let mut buf = [0; 4096];
        loop {
            match input.read(&mut buf)? {
                0 => return Ok(false),
                n if buf[..n].iter().any(|b| *b != 0) => return Err(Damage::Trailing.into()),
                _ => {}
            }
        }
    }
}

impl Read for GzipReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(0),
                State::Between(input) => {
                    if !self.begin(input)? {
                        return Ok(0);
                    }
                }
                State::Inside(mut decoder) => {
                    if buf.is_empty() {
                        self.state = State::Inside(decoder);
                        return Ok(0);
                    }
                    let n = decoder.read(buf).map_err(|error| match error.kind() {
                        io::ErrorKind::UnexpectedEof => Damage::Truncated.into(),
                        _ if error.raw_os_error().is_some() => error,
                        _ => Damage::Data.into(),
                    })?;
                    if n > 0 {
                        self.crc.update(&buf[..n]);
                        self.state = State::Inside(decoder);
                        return Ok(n);
                    }
                    let mut input = decoder.into_inner();
                    let [crc, length] = [word(&mut input)?, word(&mut input)?];
                    if crc != self.crc.sum() {
                        return Err(Damage::Checksum.into());
                    }
                    if length != self.crc.amount() {
                        return Err(Damage::Length.into());
                    }
                    self.last_crc = crc;
                    self.state = State::Between(input);
                }
            }
        }
    }
}

fn bytes<const N: usize>(input: &mut Input) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Damage::Truncated.into(),
        _ => error,
    })?;
    Ok(bytes)
}

fn word(input: &mut Input) -> io::Result<u32> {
    Ok(u32::from_le_bytes(bytes(input)?))
}

fn text(input: &mut Input) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    loop {
        match bytes::<1>(input)?[0] {
            0 => return Ok(text),
            b if text.len() < MAX_NAME => text.push(b),
            _ => {}
        }
    }
}

fn read_header(input: &mut Input) -> io::Result<Header> {
    let [_, _, method, flags, m0, m1, m2, m3, _, _] = bytes(input)?;
    if method != 8 || flags & 0xe0 != 0 {
        return Err(Damage::Data.into());
    }
    let mut header = Header { name: None, mtime: u32::from_le_bytes([m0, m1, m2, m3]) };
    if flags & 4 != 0 {
        let length = u16::from_le_bytes(bytes(input)?);
        for _ in 0..length {
            bytes::<1>(input)?;
        }
    }
    if flags & 8 != 0 {
        header.name = Some(text(input)?);
    }
    if flags & 16 != 0 {
        text(input)?;
    }
    if flags & 2 != 0 {
        bytes::<2>(input)?;
    }
    Ok(header)
}
