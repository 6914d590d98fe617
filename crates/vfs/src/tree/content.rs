//! The bytes of a regular file, cut into chunks that copies share. It does not know who pays for them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes of a chunk.
pub(crate) const CHUNK: usize = 64 << 10;
/// Chunks are charged in units of this many bytes, like the blocks of `st_blocks`.
const UNIT: u64 = 512;
/// What a hole in the chunk table is charged: the size of its slot, so that sparse files are not free.
const HOLE: u64 = 8;
/// The longest file, in bytes.
pub(crate) const MAX_FILE: u64 = 1 << 40;

/// A chunk; its missing tail, like a missing chunk, reads as zeros.
type Chunk = Option<Arc<Vec<u8>>>;

#[derive(Clone)]
enum Data {
    /// Bytes of somebody else, such as a base image; never written.
    Shared(Bytes),
    Chunks(Vec<Chunk>),
}

/// The content of a file. A clone shares all chunks.
#[derive(Clone)]
pub(crate) struct Content {
    size: u64,
    charge: u64,
    data: Data,
}

fn charge_of(chunk: &Chunk) -> u64 {
    match chunk {
        None => HOLE,
        Some(bytes) => (bytes.len() as u64).next_multiple_of(UNIT),
    }
}

impl Default for Content {
    fn default() -> Self {
        Content { size: 0, charge: 0, data: Data::Chunks(Vec::new()) }
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        let size = bytes.len() as u64;
        Content { size, charge: size.next_multiple_of(UNIT), data: Data::Shared(bytes) }
    }
}

impl Content {
    /// The bytes of a file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes this content counts against the limit of its tree.
    pub(crate) fn charge(&self) -> u64 {
        self.charge
    }

    /// The charge, counted anew.
    pub(crate) fn recount(&self) -> u64 {
        match &self.data {
            Data::Shared(bytes) => (bytes.len() as u64).next_multiple_of(UNIT),
            Data::Chunks(chunks) => chunks.iter().map(charge_of).sum(),
        }
    }

    /// The whole, when it is one piece of shared bytes.
    pub(crate) fn as_shared(&self) -> Option<&Bytes> {
        match &self.data {
            Data::Shared(bytes) => Some(bytes),
            Data::Chunks(_) => None,
        }
    }

    /// `size` zeros that cost nothing; `None` beyond the longest file.
    pub(crate) fn hole(size: u64) -> Option<Self> {
        (size <= MAX_FILE).then(|| Content { size, ..Content::default() })
    }

    /// How many chunks there are, holes between them included.
    pub(crate) fn slots(&self) -> usize {
        match &self.data {
            Data::Shared(bytes) => bytes.len().div_ceil(CHUNK),
            Data::Chunks(chunks) => chunks.len(),
        }
    }

    /// A chunk; `None`: a hole. Its missing tail reads as zeros.
    pub(crate) fn slot(&self, index: usize) -> Option<&[u8]> {
        match &self.data {
            Data::Shared(bytes) => {
                let end = bytes.len().min(index.saturating_add(1).saturating_mul(CHUNK));
                bytes.get(index.checked_mul(CHUNK)?..end).filter(|bytes| !bytes.is_empty())
            }
            Data::Chunks(chunks) => chunks.get(index)?.as_deref().map(Vec::as_slice),
        }
    }

    /// Puts a chunk into a hole; false if it does not fit there.
    pub(crate) fn put_slot(&mut self, index: u64, bytes: Vec<u8>) -> bool {
        let (Data::Chunks(chunks), Ok(at)) = (&mut self.data, usize::try_from(index)) else { return false };
        let end = index.checked_mul(CHUNK as u64).and_then(|start| start.checked_add(bytes.len() as u64));
        if bytes.len() > CHUNK || bytes.is_empty() || end.is_none_or(|end| end > self.size) {
            return false;
        }
        let holes = (at + 1).saturating_sub(chunks.len()) as u64 * HOLE;
        if chunks.len() <= at {
            chunks.resize(at + 1, None);
        }
        if chunks[at].is_some() {
            return false;
        }
        chunks[at] = Some(Arc::new(bytes));
        self.charge = self.charge + holes - HOLE + charge_of(&chunks[at]);
        true
    }

    /// Whether both are the same bytes of somebody else, at one place in memory.
    pub(crate) fn is_same_piece(&self, other: &Content) -> bool {
        match (&self.data, &other.data) {
            (Data::Shared(a), Data::Shared(b)) => {
                a.as_ptr() == b.as_ptr() && a.len() == b.len() && self.size == other.size
            }
            _ => false,
        }
    }

    /// Fills `buf` from `offset`; returns how much there was.
    pub(crate) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let Some(left) = self.size.checked_sub(offset) else { return 0 };
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let buf = &mut buf[..len];
        match &self.data {
            Data::Shared(bytes) => copy_or_zero(buf, bytes, usize::try_from(offset).unwrap_or(usize::MAX)),
            Data::Chunks(chunks) => {
                let mut done = 0;
                while done < len {
                    let (index, within) = position(offset + done as u64);
                    let n = (CHUNK - within).min(len - done);
                    let chunk = chunks.get(index).and_then(Option::as_deref).map_or(&[][..], Vec::as_slice);
                    copy_or_zero(&mut buf[done..done + n], chunk, within);
                    done += n;
                }
            }
        }
        len
    }

    /// What a write may be charged at most.
    pub(crate) fn most_charged(offset: u64, len: usize) -> u64 {
        let holes = (offset + len as u64) / CHUNK as u64 * HOLE;
        // The chunks at its ends count whole.
        len as u64 + 2 * CHUNK as u64 + holes
    }

    /// Writes at `offset` while the charge grows by at most `budget`; returns how much was written.
    pub(crate) fn write(&mut self, data: &[u8], offset: u64, budget: u64) -> usize {
        let ceiling = self.charge.saturating_add(budget);
        self.own();
        let mut done = 0;
        while done < data.len() {
            let (index, within) = position(offset + done as u64);
            let n = self.write_chunk(index, within, &data[done..], ceiling);
            if n == 0 {
                break;
            }
            done += n;
        }
        if done > 0 {
            self.size = self.size.max(offset + done as u64);
        }
        done
    }

    fn write_chunk(&mut self, index: usize, within: usize, data: &[u8], ceiling: u64) -> usize {
        let Data::Chunks(chunks) = &mut self.data else { return 0 };
        let new_holes = index.saturating_sub(chunks.len()) as u64 * HOLE;
        let charged = chunks.get(index).map_or(0, charge_of);
        let Some(room) = ceiling.saturating_add(charged).checked_sub(self.charge + new_holes) else {
            return 0;
        };
        let old_len = chunks.get(index).and_then(Option::as_deref).map_or(0, Vec::len);
        let longest = usize::try_from(room / UNIT * UNIT).unwrap_or(CHUNK).min(CHUNK).max(old_len);
        let end = (within + data.len()).min(longest);
        if end <= within {
            return 0;
        }
        let data = &data[..end - within];

        let follows_full = within == 0
            && index > 0
            && chunks.get(index - 1).and_then(Option::as_deref).is_some_and(|c| c.len() == CHUNK);
        if chunks.len() <= index {
            chunks.resize(index + 1, None);
        }
        let slot = &mut chunks[index];
        let covers = within == 0 && end >= old_len;
        match slot {
            Some(chunk) if !covers || Arc::strong_count(chunk) == 1 => {
                put(Arc::make_mut(chunk), within, data)
            }
            _ => {
                // A file that is written in order gets whole chunks at once; a sparse one only what it uses.
                let mut chunk = Vec::with_capacity(if follows_full { CHUNK } else { end });
                put(&mut chunk, within, data);
                *slot = Some(Arc::new(chunk));
            }
        }
        self.charge = self.charge - charged + charge_of(slot) + new_holes;
        data.len()
    }

    /// Cuts, or extends with a hole.
    pub(crate) fn set_size(&mut self, size: u64) {
        if size < self.size {
            self.own();
            let Data::Chunks(chunks) = &mut self.data else { return };
            let (index, within) = position(size);
            let keep = if within == 0 { index } else { index + 1 };
            if chunks.len() > keep {
                self.charge -= chunks[keep..].iter().map(charge_of).sum::<u64>();
                chunks.truncate(keep);
                chunks.shrink_to_fit();
            }
            if within > 0
                && let Some(slot) = chunks.get_mut(index)
            {
                self.charge -= charge_of(slot);
                if let Some(chunk) = slot
                    && chunk.len() > within
                {
                    match Arc::get_mut(chunk) {
                        Some(bytes) => {
                            bytes.truncate(within);
                            bytes.shrink_to_fit();
                        }
                        None => *chunk = Arc::new(chunk[..within].to_vec()),
                    }
                }
                self.charge += charge_of(slot);
            }
        } else if size > self.size {
            self.own();
        }
        self.size = size;
    }

    /// Makes shared bytes our own chunks before the first change.
    fn own(&mut self) {
        if let Data::Shared(bytes) = &self.data {
            self.data = Data::Chunks(bytes.chunks(CHUNK).map(|c| Some(Arc::new(c.to_vec()))).collect());
        }
    }

    /// What of its charge is in chunks that `other` does not share.
    pub(crate) fn unshared(&self, other: &Content) -> u64 {
        match (&self.data, &other.data) {
            (Data::Shared(a), Data::Shared(b)) if a.as_ptr() == b.as_ptr() && a.len() == b.len() => 0,
            (Data::Chunks(a), Data::Chunks(b)) => {
                let own = a.iter().enumerate().filter(|(n, chunk)| match (chunk, b.get(*n)) {
                    (Some(chunk), Some(Some(other))) => !Arc::ptr_eq(chunk, other),
                    _ => true,
                });
                own.map(|(_, chunk)| charge_of(chunk)).sum()
            }
            _ => self.charge,
        }
    }

    /// Whether both hold the same bytes; shared chunks are not compared.
    pub(crate) fn same(&self, other: &Content) -> bool {
        if self.size != other.size {
            return false;
        }
        match (&self.data, &other.data) {
            (Data::Chunks(a), Data::Chunks(b)) => (0..a.len().max(b.len()))
                .all(|i| same_chunk(a.get(i).unwrap_or(&None), b.get(i).unwrap_or(&None))),
            (Data::Shared(a), Data::Shared(b)) => (a.as_ptr() == b.as_ptr() && a.len() == b.len()) || a == b,
            _ => {
                let (mut a, mut b) = (vec![0; CHUNK], vec![0; CHUNK]);
                (0..self.size).step_by(CHUNK).all(|at| {
                    let n = self.read(&mut a, at);
                    n == other.read(&mut b, at) && a[..n] == b[..n]
                })
            }
        }
    }
}

fn same_chunk(a: &Chunk, b: &Chunk) -> bool {
    match (a, b) {
        (Some(a), Some(b)) if Arc::ptr_eq(a, b) => true,
        _ => {
            let a = a.as_deref().map_or(&[][..], Vec::as_slice);
            let b = b.as_deref().map_or(&[][..], Vec::as_slice);
            let common = a.len().min(b.len());
            a[..common] == b[..common] && a[common..].iter().chain(&b[common..]).all(|&byte| byte == 0)
        }
    }
}

fn position(offset: u64) -> (usize, usize) {
    // Offsets stay below MAX_FILE, so the index fits.
    (usize::try_from(offset / CHUNK as u64).unwrap_or(usize::MAX), (offset % CHUNK as u64) as usize)
}

fn copy_or_zero(buf: &mut [u8], from: &[u8], at: usize) {
    let there = from.get(at..).unwrap_or(&[]);
    let n = there.len().min(buf.len());
    buf[..n].copy_from_slice(&there[..n]);
    buf[n..].fill(0);
}

/// Writes into a chunk, with zeros up to `at`; capacity doubles, but not beyond a chunk.
fn put(chunk: &mut Vec<u8>, at: usize, data: &[u8]) {
    let end = at + data.len();
    if end > chunk.capacity() {
        let capacity = end.max((chunk.capacity() * 2).min(CHUNK));
        chunk.reserve_exact(capacity - chunk.len());
    }
    if chunk.len() < at {
        chunk.resize(at, 0);
    }
    let inside = (chunk.len() - at).min(data.len());
    chunk[at..at + inside].copy_from_slice(&data[..inside]);
    chunk.extend_from_slice(&data[inside..]);
}

/// The content of a file by reference: cheap to clone, never changes.
///
/// ```
/// use agentos_vfs::FileContent;
/// let content = FileContent::from(bytes::Bytes::from_static(b"hello"));
/// let mut buf = [0; 8];
/// assert_eq!(content.read_at(&mut buf, 1), 4);
/// assert_eq!(&buf[..4], b"ello");
/// ```
#[derive(Clone, Default)]
pub struct FileContent(pub(crate) Content);

impl FileContent {
    /// Bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.size()
    }

    /// Whether it holds no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` from `offset`; returns how much there was.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> usize {
        self.0.read(buf, offset)
    }

    /// The whole without a copy, when it still is the piece of bytes the file was made of.
    #[must_use]
    pub fn as_shared(&self) -> Option<&Bytes> {
        self.0.as_shared()
    }
}

impl From<Bytes> for FileContent {
    fn from(bytes: Bytes) -> Self {
        FileContent(Content::from(bytes))
    }
}

impl PartialEq for FileContent {
    fn eq(&self, other: &Self) -> bool {
        self.0.same(&other.0)
    }
}

impl Eq for FileContent {}

impl fmt::Debug for FileContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileContent({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: &Content) -> Vec<u8> {
        let mut buf = vec![1; content.size() as usize + 9];
        let n = content.read(&mut buf, 0);
        buf.truncate(n);
        buf
    }

    #[test]
    fn small_files_are_small() {
        let mut content = Content::default();
        assert_eq!(content.write(b"hello", 0, u64::MAX), 5);
        let Data::Chunks(chunks) = &content.data else { panic!("chunks") };
        assert!(chunks[0].as_ref().unwrap().capacity() < 64);
        assert_eq!(content.charge(), 512);
    }

    #[test]
    fn writes_behind_the_end_leave_zeros() {
        let mut content = Content::default();
        content.write(b"ab", 0, u64::MAX);
        content.write(b"cd", 5, u64::MAX);
        assert_eq!(text(&content), b"ab\0\0\0cd");
        content.write(b"x", 3 * CHUNK as u64, u64::MAX);
        assert_eq!(content.size(), 3 * CHUNK as u64 + 1);
        assert_eq!(content.charge(), content.recount());
        assert_eq!(content.charge(), 512 + 2 * HOLE + 512);
    }

    #[test]
    fn a_cut_tail_does_not_come_back() {
        let mut content = Content::default();
        content.write(b"secret", 0, u64::MAX);
        content.set_size(2);
        content.set_size(6);
        assert_eq!(text(&content), b"se\0\0\0\0");
        assert_eq!(content.charge(), content.recount());
    }

    #[test]
    fn copies_do_not_see_changes() {
        let mut content = Content::default();
        content.write(&vec![7; 3 * CHUNK], 0, u64::MAX);
        let copy = content.clone();
        content.write(b"x", CHUNK as u64, u64::MAX);
        content.write(&vec![8; CHUNK], 0, u64::MAX);
        content.set_size(2 * CHUNK as u64 + 1);
        assert!(text(&copy).iter().all(|&b| b == 7));
        let (Data::Chunks(a), Data::Chunks(b)) = (&content.data, &copy.data) else { panic!("chunks") };
        assert!(!Arc::ptr_eq(a[1].as_ref().unwrap(), b[1].as_ref().unwrap()));
        assert_eq!(content.charge(), content.recount());
    }

    #[test]
    fn shared_bytes_are_copied_on_the_first_change_only() {
        static BASE: &[u8] = b"base layer";
        let mut content = Content::from(Bytes::from_static(BASE));
        assert_eq!(content.as_shared().unwrap().as_ptr(), BASE.as_ptr());
        content.write(b"B", 0, u64::MAX);
        assert_eq!(text(&content), b"Base layer");
        assert_eq!(BASE, b"base layer");
        assert_eq!(content.charge(), content.recount());
    }

    #[test]
    fn the_budget_ends_a_write_at_a_unit() {
        let mut content = Content::default();
        assert_eq!(content.write(&[1; 2000], 0, 1100), 1024);
        assert_eq!(content.write(&[1; 10], 1024, 0), 0);
        assert_eq!(content.write(&[2; 10], 100, 0), 10);
        assert_eq!(content.write(b"x", MAX_FILE - 1, 4096), 0, "a table of holes is not free");
        assert_eq!(content.size(), 1024);
        assert_eq!(content.charge(), content.recount());
    }
}
