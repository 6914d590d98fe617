//! Reading and writing guest memory: every pointer a guest gives is checked; a bad one is EFAULT.

use agentos_kernel::{Errno, Result};

/// Most items of a packed list or iovec array.
pub(crate) const LIST_ITEMS: usize = 65_536;
/// POSIX IOV_MAX on Linux.
pub(crate) const IOV_MAX: u32 = 1024;

fn range(memory: &[u8], ptr: u32, len: usize) -> Result<std::ops::Range<usize>> {
    let start = ptr as usize;
    let end = start.checked_add(len).filter(|end| *end <= memory.len()).ok_or(Errno::EFAULT)?;
    Ok(start..end)
}

/// Bytes at `ptr`.
pub(crate) fn bytes(memory: &[u8], ptr: i32, len: i32) -> Result<&[u8]> {
    let range = range(memory, ptr.cast_unsigned(), len.cast_unsigned() as usize)?;
    Ok(&memory[range])
}

/// A path at `ptr`. ENAMETOOLONG before anything of that length is copied.
pub(crate) fn path(memory: &[u8], ptr: i32, len: i32) -> Result<&[u8]> {
    if len.cast_unsigned() as usize > agentos_vfs::PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    bytes(memory, ptr, len)
}

/// Writable bytes at `ptr`.
pub(crate) fn bytes_mut(memory: &mut [u8], ptr: i32, len: usize) -> Result<&mut [u8]> {
    let range = range(memory, ptr.cast_unsigned(), len)?;
    Ok(&mut memory[range])
}

/// Stores bytes.
pub(crate) fn put(memory: &mut [u8], ptr: i32, data: &[u8]) -> Result<()> {
    bytes_mut(memory, ptr, data.len())?.copy_from_slice(data);
    Ok(())
}

/// Stores a little-endian u32.
pub(crate) fn put_u32(memory: &mut [u8], ptr: i32, value: u32) -> Result<()> {
    put(memory, ptr, &value.to_le_bytes())
}

/// Stores a little-endian u64.
pub(crate) fn put_u64(memory: &mut [u8], ptr: i32, value: u64) -> Result<()> {
    put(memory, ptr, &value.to_le_bytes())
}

/// Stores a u32 unless the pointer is 0.
pub(crate) fn put_u32_if(memory: &mut [u8], ptr: i32, value: u32) -> Result<()> {
    if ptr == 0 { Ok(()) } else { put_u32(memory, ptr, value) }
}

/// Stores a u64 unless the pointer is 0.
pub(crate) fn put_u64_if(memory: &mut [u8], ptr: i32, value: u64) -> Result<()> {
    if ptr == 0 { Ok(()) } else { put_u64(memory, ptr, value) }
}

/// Loads a little-endian u32.
pub(crate) fn get_u32(memory: &[u8], ptr: u32) -> Result<u32> {
    let range = range(memory, ptr, 4)?;
    let mut raw = [0; 4];
    raw.copy_from_slice(&memory[range]);
    Ok(u32::from_le_bytes(raw))
}

/// An iovec of preview 1: pointer and length.
#[derive(Clone, Copy)]
pub(crate) struct Iovec {
    pub(crate) ptr: i32,
    pub(crate) len: usize,
}

/// The iovecs at `ptr`, each checked to lie in memory.
pub(crate) fn iovecs(memory: &[u8], ptr: i32, count: i32) -> Result<Vec<Iovec>> {
    let count = count.cast_unsigned();
    if count > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    let mut total = 0usize;
    (0..count)
        .map(|i| {
            let at = ptr.cast_unsigned().checked_add(i * 8).ok_or(Errno::EFAULT)?;
            let base = get_u32(memory, at)?;
            let len = get_u32(memory, at.checked_add(4).ok_or(Errno::EFAULT)?)? as usize;
            range(memory, base, len)?;
            total = total.checked_add(len).filter(|t| i32::try_from(*t).is_ok()).ok_or(Errno::EINVAL)?;
            Ok(Iovec { ptr: base.cast_signed(), len })
        })
        .collect()
}

/// A packed list: for each item a u32 length, then its bytes; at most `limit` bytes in all (E2BIG).
pub(crate) fn list(memory: &[u8], ptr: i32, len: i32, limit: usize) -> Result<Vec<Vec<u8>>> {
    let mut rest = bytes(memory, ptr, len)?;
    if rest.len() > limit {
        return Err(Errno::E2BIG);
    }
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or(Errno::EINVAL)?;
        let len = u32::from_le_bytes(*head) as usize;
        if len > tail.len() || items.len() >= LIST_ITEMS {
            return Err(Errno::EINVAL);
        }
        items.push(tail[..len].to_vec());
        rest = &tail[len..];
    }
    Ok(items)
}

/// Packs a list.
pub(crate) fn pack<'a>(items: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for item in items {
        out.extend_from_slice(&u32::try_from(item.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(item);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_outside_are_efault() {
        let mut memory = vec![0; 100];
        assert_eq!(bytes(&memory, 99, 1), Ok(&[0][..]));
        for (ptr, len) in [(99, 2), (100, 1), (-1, 1), (0, -1), (i32::MAX, i32::MAX)] {
            assert_eq!(bytes(&memory, ptr, len), Err(Errno::EFAULT), "{ptr} {len}");
        }
        assert_eq!(put_u32(&mut memory, 97, 1), Err(Errno::EFAULT));
        assert_eq!(get_u32(&memory, u32::MAX), Err(Errno::EFAULT));
    }

    #[test]
    fn lists_round_trip_and_malformed_ones_are_refused() {
        let packed = pack([&b"a"[..], b"", b"xyz"]);
        let len = i32::try_from(packed.len()).unwrap();
        assert_eq!(list(&packed, 0, len, 100), Ok(vec![b"a".to_vec(), vec![], b"xyz".to_vec()]));
        assert_eq!(list(&packed, 0, len, 3), Err(Errno::E2BIG));
        assert_eq!(list(&packed, 0, len - 1, 100), Err(Errno::EINVAL));
        assert_eq!(list(&[255, 255, 255, 255], 0, 4, 100), Err(Errno::EINVAL));
    }
}
