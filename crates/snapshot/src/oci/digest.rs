//! SHA-256 of what passes by, as descriptors write it.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

/// Takes bytes, keeps none.
#[derive(Default)]
pub(super) struct Hasher {
    hash: Sha256,
    size: u64,
}

impl Hasher {
    /// `sha256:` and 64 digits, and how many bytes there were.
    pub(super) fn finish(self) -> (String, u64) {
        let digits: String = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        (format!("sha256:{digits}"), self.size)
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Digest and size of bytes.
pub(super) fn of(bytes: &[u8]) -> (String, u64) {
    let mut hasher = Hasher::default();
    hasher.hash.update(bytes);
    hasher.size = bytes.len() as u64;
    hasher.finish()
}

/// The digits of a SHA-256; `None` for other algorithms and for what is none.
pub(super) fn digits(digest: &str) -> Option<&str> {
    let digits = digest.strip_prefix("sha256:")?;
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (digits.len() == 64 && digits.bytes().all(hex)).then_some(digits)
}
