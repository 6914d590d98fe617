//! The compressed formats as readers and writers of streams, and what tells them apart. It knows no files and no command lines.

pub(crate) mod gzip;
pub(crate) mod input;

use crate::codec::gzip::GzipReader;
use crate::codec::input::Input;
use lzma_rust2::{LzmaOptions, LzmaReader, LzmaWriter, XzOptions, XzReader, XzWriter};
use std::fmt;
use std::io::{self, Read, Write};
use structured_zstd::decoding::StreamingDecoder;
use structured_zstd::encoding::{CompressionLevel, StreamingEncoder};

/// A compressed format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Gzip,
    Bzip2,
    Xz,
    Lzma,
    Zstd,
}

/// What is wrong with compressed data. It travels inside [`io::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// It does not begin as the format does.
    Format,
    /// It ends too early.
    Truncated,
    /// The checksum is another.
    Checksum,
    /// The length is another.
    Length,
    /// What is inside makes no sense.
    Data,
    /// It is whole, but something follows that is of no format.
    Trailing,
    /// It needs more memory than it may have.
    Memory,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Damage::Format => "not in the expected format",
            Damage::Truncated => "unexpected end of file",
            Damage::Checksum => "checksum error",
            Damage::Length => "length error",
            Damage::Data => "invalid compressed data",
            Damage::Trailing => "trailing garbage",
            Damage::Memory => "memory limit reached",
        })
    }
}

impl std::error::Error for Damage {}

impl From<Damage> for io::Error {
    fn from(damage: Damage) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, damage)
    }
}

/// The damage that an error tells of; `None`: the system failed.
pub(crate) fn damage(error: &io::Error) -> Option<Damage> {
    error.get_ref().and_then(|e| e.downcast_ref::<Damage>()).copied()
}

/// The most memory that a stream may ask for in its header: as much as the reference tools grant by themselves for zstd, and
/// enough for everything that `xz -9` writes.
const MEMORY_KIB: u32 = 136 << 10;

impl Format {
    /// The format that the bytes at the beginning tell of.
    pub(crate) fn of(start: &[u8]) -> Option<Format> {
        Some(match start {
            [0x1f, 0x8b, ..] => Format::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Format::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Format::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Format::Zstd,
            // No magic number: the usual properties, and a dictionary of a usual size.
            [0x5d, 0, 0, _, _, ..] => Format::Lzma,
            _ => return None,
        })
    }

    /// A reader of what was compressed. All formats may follow themselves; gzip says so if something else follows.
    pub(crate) fn decoder(self, input: Input) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Format::Gzip => Box::new(GzipReader::new(input)),
            Format::Bzip2 => Box::new(Checked::new(self, bzip2::bufread::MultiBzDecoder::new(input))),
            Format::Xz => Box::new(Checked::new(self, XzReader::new_mem_limit(input, true, MEMORY_KIB))),
            Format::Lzma => {
                let reader = LzmaReader::new_mem_limit(input, MEMORY_KIB, None);
                Box::new(Checked::new(self, reader.map_err(|e| classify(self, e))?))
            }
            Format::Zstd => Box::new(Checked::new(self, StreamingDecoder::new(input))),
        })
    }

    /// A writer that compresses at this level, as the format's own command counts them.
    pub(crate) fn encoder(self, level: i32, out: Box<dyn Write>) -> io::Result<Box<dyn Finish>> {
        let unsigned = u32::try_from(level).unwrap_or(0);
        Ok(match self {
            Format::Gzip => Box::new(gzip::writer(unsigned, None, 0, out)),
            Format::Bzip2 => {
                Box::new(bzip2::write::BzEncoder::new(out, bzip2::Compression::new(unsigned.clamp(1, 9))))
            }
            Format::Xz => Box::new(XzWriter::new(out, XzOptions::with_preset(unsigned.min(9)))?),
            Format::Lzma => {
                Box::new(LzmaWriter::new_use_header(out, &LzmaOptions::with_preset(unsigned.min(9)), None)?)
            }
            Format::Zstd => {
                let mut encoder = StreamingEncoder::new(out, CompressionLevel::from_level(level));
                encoder.set_content_checksum(true)?;
                Box::new(encoder)
            }
        })
    }
}

/// A writer with an end that can fail.
pub(crate) trait Finish: Write {
    /// Writes what the end of the stream needs.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// A writer that needs no end but being handed over.
pub(crate) struct Plain<W: Write>(pub(crate) W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

macro_rules! finishes {
    ($($of:ty),*) => {$(
        impl<W: Write> Finish for $of {
            fn finish(self: Box<Self>) -> io::Result<()> {
                let inner = <$of>::finish(*self)?;
                Box::new(Plain(inner)).finish()
            }
        }
    )*};
}

finishes!(
    flate2::write::GzEncoder<W>,
    bzip2::write::BzEncoder<W>,
    XzWriter<W>,
    LzmaWriter<W>,
    StreamingEncoder<W>
);

impl<W: Write> Finish for Plain<W> {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.0.flush()
    }
}

/// Turns the errors of a library into [`Damage`].
struct Checked<R> {
    format: Format,
    inner: R,
}

impl<R> Checked<R> {
    fn new(format: Format, inner: R) -> Self {
        Checked { format, inner }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf).map_err(|error| classify(self.format, error))
    }
}

fn classify(format: Format, error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() || damage(&error).is_some() {
        return error;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Damage::Truncated,
        io::ErrorKind::OutOfMemory => Damage::Memory,
        io::ErrorKind::Interrupted => return error,
        _ => {
            let text = error.to_string().to_ascii_lowercase();
            let has = |word: &str| text.contains(word);
            if has("checksum") || has("crc") || has("sha256") {
                Damage::Checksum
            } else if has("finished decompression")
                || has("end of file")
                || has("unexpected eof")
                || has("fill whole buffer")
            {
                Damage::Truncated
            } else if has("magic") && format != Format::Bzip2 {
                Damage::Format
            } else if has("memory") || has("window") {
                Damage::Memory
            } else {
                Damage::Data
            }
        }
    }
    .into()
}

#[cfg(test)]
mod tests;
