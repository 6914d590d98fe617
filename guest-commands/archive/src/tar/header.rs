//! The 512-byte header block of tar: ustar (POSIX) and GNU's, read and written. What needs more than one block (long names, pax
//! records, maps of holes) is put together by `reader` and `writer`.

/// The unit of everything in an archive.
pub(super) const BLOCK: usize = 512;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Dir,
    Fifo,
    /// Something of this letter that nobody here knows; its data are skipped.
    Other(u8),
}

/// A member, put together from all its blocks.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) user: String,
    pub(super) group: String,
    pub(super) mtime: i64,
    pub(super) mtime_nsec: u32,
    /// Bytes of the file.
    pub(super) size: u64,
    /// Bytes of data in the archive, without padding.
    pub(super) stored: u64,
    pub(super) major: u32,
    pub(super) minor: u32,
    /// Where data are, for a file with holes: offset and length, ascending.
    pub(super) map: Option<Vec<(u64, u64)>>,
}

impl Member {
    pub(super) fn new(kind: Kind, name: Vec<u8>) -> Member {
        Member {
            name,
            link: Vec::new(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            user: String::new(),
            group: String::new(),
            mtime: 0,
            mtime_nsec: 0,
            size: 0,
            stored: 0,
            major: 0,
            minor: 0,
            map: None,
        }
    }
}

/// Formats of archives that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Gnu,
    Ustar,
    Pax,
}

/// A field up to its first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|b| *b == 0).unwrap_or(field.len())]
}

/// A number in octal digits, or of GNU's base 256 when the first bit is set; `None`: neither.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 != 0 {
        let negative = first & 0x40 != 0;
        let mut value: i128 = if negative { -1 } else { 0 };
        for (i, b) in field.iter().enumerate() {
            let b = if i == 0 && !negative { b & 0x7f } else { *b };
            value = (value << 8) | i128::from(b);
            if !(-(1 << 100)..(1 << 100)).contains(&value) {
                return None;
            }
        }
        return i64::try_from(value).ok();
    }
    let digits = text(field);
    let digits = digits.trim_ascii();
    if digits.is_empty() {
        return Some(0);
    }
    let mut value: i64 = 0;
    for b in digits {
        let digit = b.checked_sub(b'0').filter(|d| *d < 8)?;
        value = value.checked_mul(8)?.checked_add(i64::from(digit))?;
    }
    Some(value)
}

/// Whether the checksum of a block is right; old archivers summed signed bytes.
pub(super) fn checked(block: &[u8; BLOCK]) -> bool {
    let Some(stored) = number(&block[148..156]) else { return false };
    let (mut unsigned, mut signed) = (0_i64, 0_i64);
    for (i, b) in block.iter().enumerate() {
        let b = if (148..156).contains(&i) { b' ' } else { *b };
        unsigned += i64::from(b);
        signed += i64::from(b.cast_signed());
    }
    stored == unsigned || stored == signed
}

/// Reads a header block; `None`: a number in it is none.
pub(super) fn parse(block: &[u8; BLOCK]) -> Option<Member> {
    let posix = &block[257..263] == b"ustar\0";
    let gnu = &block[257..265] == b"ustar  \0";
    let letter = block[156];
    let mut name = text(&block[..100]).to_vec();
    if posix && block[345] != 0 {
        let mut whole = text(&block[345..500]).to_vec();
        whole.push(b'/');
        whole.append(&mut name);
        name = whole;
    }
    let kind = match letter {
        // Before ustar, a slash at the end made a directory.
        0 | b'0' if name.ends_with(b"/") => Kind::Dir,
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Dir,
        b'6' => Kind::Fifo,
        other => Kind::Other(other),
    };
    let positive = |field: &[u8]| number(field).and_then(|n| u64::try_from(n).ok());
    let mut member = Member::new(kind, name);
    member.link = text(&block[157..257]).to_vec();
    member.mode = positive(&block[100..108])? as u32 & 0o7777;
    member.uid = positive(&block[108..116])?;
    member.gid = positive(&block[116..124])?;
    member.stored = positive(&block[124..136])?;
    member.mtime = number(&block[136..148])?;
    if posix || gnu {
        member.user = String::from_utf8_lossy(text(&block[265..297])).into_owned();
        member.group = String::from_utf8_lossy(text(&block[297..329])).into_owned();
        if matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
            member.major = positive(&block[329..337])? as u32;
            member.minor = positive(&block[337..345])? as u32;
        }
    }
    // Only these have data; some archivers give sizes to others.
    if !matches!(kind, Kind::File | Kind::Other(_)) {
        member.stored = 0;
    }
    member.size = member.stored;
    Some(member)
}

/// The letter of a kind.
pub(super) fn letter(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::CharDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Dir => b'5',
        Kind::Fifo => b'6',
        Kind::Other(letter) => letter,
    }
}

/// Writes a number into a field: octal, or base 256 where GNU's dialect may; `false`: it does not fit.
fn put_number(field: &mut [u8], value: i64, gnu: bool) -> bool {
    let digits = field.len() - 1;
    if value >= 0 && value < 1 << (3 * digits) {
        let text = format!("{value:0digits$o}");
        field[..digits].copy_from_slice(text.as_bytes());
        field[digits] = 0;
        return true;
    }
    if gnu {
        let mut rest = i128::from(value);
        for b in field.iter_mut().rev() {
            *b = (rest & 0xff) as u8;
            rest >>= 8;
        }
        field[0] = if value < 0 { 0xff } else { 0x80 };
    } else {
        // pax says it in a record; what is here is for readers without them.
        let _ = put_number(field, 0, false);
    }
    gnu
}

fn put_text(field: &mut [u8], text: &[u8]) {
    let n = text.len().min(field.len());
    field[..n].copy_from_slice(&text[..n]);
}

/// What of a member its header block could not hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) name: bool,
    pub(super) link: bool,
    pub(super) uid: bool,
    pub(super) gid: bool,
    pub(super) size: bool,
    pub(super) mtime: bool,
}

/// Where a name can be cut into the two fields of ustar: the length of the prefix.
fn split(name: &[u8]) -> Option<usize> {
    let trimmed = if name.ends_with(b"/") { &name[..name.len() - 1] } else { name };
    (0..trimmed.len().min(156)).rev().find(|i| trimmed[*i] == b'/' && *i > 0 && name.len() - i - 1 <= 100)
}

/// Makes the header block of a member, and says what did not fit.
pub(super) fn build(member: &Member, dialect: Dialect) -> ([u8; BLOCK], Missing) {
    let mut block = [0; BLOCK];
    let gnu = dialect == Dialect::Gnu;
    let mut missing = Missing::default();
    let mut name = &member.name[..];
    if name.len() > 100 {
        match split(name).filter(|_| !gnu) {
            Some(at) => {
                put_text(&mut block[345..500], &name[..at]);
                name = &name[at + 1..];
            }
            None => missing.name = true,
        }
    }
    put_text(&mut block[..100], name);
    missing.link = member.link.len() > 100;
    put_text(&mut block[157..257], &member.link);
    put_number(&mut block[100..108], i64::from(member.mode & 0o7777), gnu);
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    missing.uid = !put_number(&mut block[108..116], signed(member.uid), gnu);
    missing.gid = !put_number(&mut block[116..124], signed(member.gid), gnu);
    missing.size = !put_number(&mut block[124..136], signed(member.stored), gnu);
    missing.mtime = !put_number(&mut block[136..148], member.mtime, gnu);
    block[156] = letter(member.kind);
    block[257..265].copy_from_slice(if gnu { b"ustar  \0" } else { b"ustar\x0000" });
    put_text(&mut block[265..296], member.user.as_bytes());
    put_text(&mut block[297..328], member.group.as_bytes());
    if matches!(member.kind, Kind::CharDevice | Kind::BlockDevice) || !gnu {
        put_number(&mut block[329..337], i64::from(member.major), gnu);
        put_number(&mut block[337..345], i64::from(member.minor), gnu);
    }
    seal(&mut block);
    (block, missing)
}

/// Puts the checksum in.
fn seal(block: &mut [u8; BLOCK]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    let text = format!("{sum:06o}\0 ");
    block[148..156].copy_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (field, want) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   17 \0\0", Some(0o17)),
            (b"\0\0\0\0", Some(0)),
            (b"9\0", None),
            (b"\x80\0\0\x01\0\0\0\0", Some(1 << 32)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            assert_eq!(number(field), want, "{field:?}");
        }
    }

    #[test]
    fn what_is_built_is_read() {
        for dialect in [Dialect::Gnu, Dialect::Ustar, Dialect::Pax] {
            let mut member = Member::new(Kind::File, b"a/b".to_vec());
            (member.uid, member.stored, member.mtime, member.user) =
                (1000, 1 << 20, 1_600_000_000, "me".to_owned());
            let (block, missing) = build(&member, dialect);
            assert_eq!(missing, Missing::default());
            assert!(checked(&block));
            let read = parse(&block).unwrap();
            assert_eq!(
                (read.name, read.uid, read.stored, read.mtime, read.user),
                (b"a/b".to_vec(), 1000, 1 << 20, 1_600_000_000, "me".to_owned())
            );
        }
        let long = [b"d".repeat(90), b"/".to_vec(), b"n".repeat(50)].concat();
        let (block, missing) = build(&Member::new(Kind::File, long.clone()), Dialect::Ustar);
        assert!(!missing.name);
        assert_eq!(parse(&block).unwrap().name, long);
        assert!(build(&Member::new(Kind::File, long), Dialect::Gnu).1.name);
    }
}
