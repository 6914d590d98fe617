//! Finding out what a snapshot is by looking at its first bytes, and unpacking what is compressed.

use std::io::{self, BufReader, Chain, Cursor, Read};

use flate2::read::MultiGzDecoder;
use tar::Header;

use crate::archive::{self, BLOCK};
use crate::collect::Collector;
use crate::{Format, ImportError, Limits, Snapshot, json, oci};

/// Bytes that are read at a time.
const BUFFER: usize = 256 << 10;

/// The input again, with what was looked at.
type Looked<R> = Chain<Cursor<Vec<u8>>, R>;

/// The first bytes, at most a block, and the whole input.
fn look<R: Read>(mut input: R) -> io::Result<(Vec<u8>, Looked<R>)> {
    let mut first = Vec::with_capacity(BLOCK);
    input.by_ref().take(BLOCK as u64).read_to_end(&mut first)?;
    Ok((first.clone(), Cursor::new(first).chain(input)))
}

/// Unpacks what is compressed once.
pub(crate) fn unpacked<'a>(input: Box<dyn Read + 'a>) -> Result<Box<dyn Read + 'a>, ImportError> {
    let (first, input) = look(input)?;
    Ok(match &first[..] {
        [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(input))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            return Err(ImportError::archive(
                "compressed with zstd, which this program does not read; use gzip",
            ));
        }
        _ => Box::new(input),
    })
}

pub(crate) fn read<'a>(
    input: Box<dyn Read + 'a>,
    format: Option<Format>,
    limits: &Limits,
) -> Result<Vec<Snapshot>, ImportError> {
    let input = unpacked(Box::new(BufReader::with_capacity(BUFFER, input)))?;
    let (first, mut input) = look(input)?;
    let is_json = first.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let mut collector = Collector::new(limits, Default::default());
    match format {
        Some(Format::Json) => json::read(&mut input, &mut collector)?,
        None if is_json => json::read(&mut input, &mut collector)?,
        Some(Format::Tar | Format::Oci) => archive::read(&mut input, &mut collector)?,
        None if is_tar(&first) => archive::read(&mut input, &mut collector)?,
        None if first.is_empty() => return Err(ImportError::archive("it is empty")),
        None => return Err(ImportError::archive("it is neither tar, tar.gz, an OCI layout nor JSON")),
    }
    let (snapshot, _) = collector.finish();
    match format {
        Some(Format::Oci) => oci::read(&snapshot, limits),
        None if oci::is_layout(&snapshot) => oci::read(&snapshot, limits),
        _ => Ok(vec![snapshot]),
    }
}

fn is_tar(first: &[u8]) -> bool {
    let Ok(block) = <&[u8; BLOCK]>::try_from(first) else { return false };
    block.iter().all(|byte| *byte == 0) || archive::sound(Header::from_byte_slice(block))
}
