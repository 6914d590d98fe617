//! One header block of tar. What does not fit into it is left to extended headers.

use tar::{EntryType, Header};

/// The largest number of a field of seven octal digits.
pub(super) const SEVEN: u64 = 0o7_777_777;
/// The largest number of a field of eleven octal digits.
pub(super) const ELEVEN: u64 = 0o77_777_777_777;

/// The fields of a header.
pub(super) struct Fields<'a> {
    pub(super) name: &'a [u8],
    pub(super) link: &'a [u8],
    pub(super) kind: EntryType,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) size: u64,
    pub(super) mtime: u64,
    pub(super) device: Option<(u32, u32)>,
}

/// The block. Names are cut to their fields, numbers that do not fit become 0: an extended header has the right ones.
pub(super) fn block(fields: &Fields<'_>) -> Header {
    let mut header = Header::new_ustar();
    let fit = |number: u64, most: u64| if number <= most { number } else { 0 };
    header.set_entry_type(fields.kind);
    header.set_mode(fields.mode & 0o7777);
    header.set_uid(fit(fields.uid, SEVEN));
    header.set_gid(fit(fields.gid, SEVEN));
    header.set_size(fit(fields.size, ELEVEN));
    header.set_mtime(fit(fields.mtime, ELEVEN));
    if let (Some((major, minor)), Some(ustar)) = (fields.device, header.as_ustar_mut()) {
        ustar.set_device_major(fit(major.into(), SEVEN) as u32);
        ustar.set_device_minor(fit(minor.into(), SEVEN) as u32);
    }
    let old = header.as_old_mut();
    copy(&mut old.name, fields.name);
    copy(&mut old.linkname, fields.link);
    header.set_cksum();
    header
}

/// The header of a plain file that belongs to nobody in particular.
pub(crate) fn plain(name: &str, size: u64) -> Header {
    let mut header = block(&Fields {
        name: name.as_bytes(),
        link: b"",
        kind: EntryType::Regular,
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: 0,
        mtime: 0,
        device: None,
    });
    // The crate writes what is too big for digits as a number in base 256, which every reader of today knows.
    header.set_size(size);
    header.set_cksum();
    header
}

/// Whether a name fits the field, as the ASCII that old readers expect.
pub(super) fn fits(name: &[u8]) -> bool {
    name.len() <= 100 && name.is_ascii()
}

fn copy(field: &mut [u8], bytes: &[u8]) {
    let n = bytes.len().min(field.len());
    field[..n].copy_from_slice(&bytes[..n]);
}
