//! Writes members and their data: the header blocks, what does not fit into one, padding, and the end of the archive.

use super::header::{self, BLOCK, Dialect, Kind, Member};
use super::pax;
use crate::codec::Finish;
use std::io::{self, Write};

/// An archive that is being written.
pub(super) struct Writer {
    out: Box<dyn Finish>,
    dialect: Dialect,
    /// Bytes so far, with those of an archive that this one goes on with.
    written: u64,
    /// The archive is filled up to a multiple of this.
    record: u64,
}

impl Writer {
    pub(super) fn new(out: Box<dyn Finish>, dialect: Dialect, record: u64, before: u64) -> Writer {
        Writer { out, dialect, written: before, record }
    }

    /// Bytes so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Writes data as they are.
    pub(super) fn raw(&mut self, data: &[u8]) -> io::Result<()> {
        self.out.write_all(data)?;
        self.written += data.len() as u64;
        Ok(())
    }

    /// Fills up to the next block.
    pub(super) fn pad(&mut self) -> io::Result<()> {
        let missing = (self.written.wrapping_neg() % BLOCK as u64) as usize;
        self.raw(&[0; BLOCK][..missing])
    }

    /// Writes the headers of a member; data of `stored` bytes and [`Writer::pad`] must follow. `false`: the format cannot hold it.
    pub(super) fn member(&mut self, member: &Member) -> io::Result<bool> {
        let (block, missing) = header::build(member, self.dialect);
        match self.dialect {
            Dialect::Ustar => {
                if missing != header::Missing::default() {
                    return Ok(false);
                }
            }
            Dialect::Gnu => {
                if missing.link {
                    self.long(b'K', &member.link)?;
                }
                if missing.name {
                    self.long(b'L', &member.name)?;
                }
            }
            Dialect::Pax => {
                let records = pax::records(member, &missing);
                if !records.is_empty() {
                    let base =
                        member.name.rsplit(|b| *b == b'/').find(|part| !part.is_empty()).unwrap_or(b"");
                    let name = [b"./PaxHeaders/", &base[..base.len().min(80)]].concat();
                    let mut extra = Member::new(Kind::Other(b'x'), name);
                    (extra.stored, extra.mtime) = (records.len() as u64, member.mtime.max(0));
                    self.raw(&header::build(&extra, Dialect::Ustar).0)?;
                    self.raw(&records)?;
                    self.pad()?;
                }
            }
        }
        self.raw(&block)?;
        Ok(true)
    }

    /// GNU's member that holds a long name.
    fn long(&mut self, letter: u8, text: &[u8]) -> io::Result<()> {
        let mut extra = Member::new(Kind::Other(letter), b"././@LongLink".to_vec());
        (extra.stored, extra.user, extra.group) =
            (text.len() as u64 + 1, "root".to_owned(), "root".to_owned());
        self.raw(&header::build(&extra, Dialect::Gnu).0)?;
        self.raw(text)?;
        self.raw(&[0])?;
        self.pad()
    }

    /// Writes the end and hands everything over.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.raw(&[0; 2 * BLOCK])?;
        while !self.written.is_multiple_of(self.record) {
            self.raw(&[0; BLOCK])?;
        }
        self.out.finish()
    }
}
