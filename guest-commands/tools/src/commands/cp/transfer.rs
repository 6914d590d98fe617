//! Moves the bytes of a file: in large pieces, and on request with holes where there are only zeros. It opens nothing.

use agentos_guest::fd;
use std::io::{self, SeekFrom};

/// Bytes per read: a few chunks of the VM's files, so that a call costs little beside its bytes.
const PIECE: usize = 512 << 10;
/// The least piece: a file may be longer than its attributes say (`/proc`).
const LEAST: usize = 4 << 10;
/// Zeros are left out in units of this many bytes, a block of the VM's files.
const BLOCK: usize = 4 << 10;

/// Where bytes could not be moved.
#[derive(Debug)]
pub(crate) enum Failure {
    Read(io::Error),
    Write(io::Error),
}

/// The memory that bytes pass through, kept from file to file.
#[derive(Default)]
pub(crate) struct Transfer {
    buf: Vec<u8>,
}

impl Transfer {
    /// Copies from one descriptor to the end, as `size` bytes are expected; with `holes`, zeros are left out.
    pub(crate) fn copy(&mut self, from: u32, to: u32, size: u64, holes: bool) -> Result<(), Failure> {
        // One byte more, so that the first read of a small file shows its end with no second look at its size.
        let wanted = usize::try_from(size).unwrap_or(PIECE).saturating_add(1).clamp(LEAST, PIECE);
        if self.buf.len() < wanted {
            self.buf = vec![0; wanted];
        }
        let (mut at, mut written) = (0u64, 0u64);
        loop {
            let n = match fd::read(from, &mut self.buf) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::Read(error)),
            };
            let bytes = &self.buf[..n];
            at += n as u64;
            if !holes {
                fd::write_all(to, bytes).map_err(Failure::Write)?;
                written = at;
                continue;
            }
            let mut position = at - n as u64;
            for block in bytes.chunks(BLOCK) {
                if block.iter().any(|b| *b != 0) {
                    if written != position {
                        fd::seek(to, SeekFrom::Start(position)).map_err(Failure::Write)?;
                    }
                    fd::write_all(to, block).map_err(Failure::Write)?;
                    written = position + block.len() as u64;
                }
                position += block.len() as u64;
            }
        }
        // A hole at the end is only there once the length says so.
        if written < at { fd::set_len(to, at).map_err(Failure::Write) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Transfer};
    use agentos_guest::fd;

    #[test]
    fn holes_read_as_the_zeros_they_replace() {
        let dir = std::env::temp_dir().join(format!("agentos-transfer-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut data = vec![0; BLOCK * 3];
        data.extend_from_slice(b"middle");
        data.resize(BLOCK * 300 + 17, 0);
        let (from, to) = (dir.join("from"), dir.join("to"));
        for holes in [false, true] {
            std::fs::write(&from, &data).unwrap();
            let input = fd::Owned::from_raw(fd::open(&from, fd::O_RDONLY, 0).unwrap());
            let flags = fd::O_WRONLY | fd::O_CREAT | fd::O_TRUNC;
            let output = fd::Owned::from_raw(fd::open(&to, flags, 0o600).unwrap());
            Transfer::default().copy(input.raw(), output.raw(), 0, holes).unwrap();
            assert!(std::fs::read(&to).unwrap() == data, "holes: {holes}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
