//! A block device in memory that remembers what was done to it, and that can fail.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use redb::StorageBackend;

#[derive(Clone, Debug)]
pub enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

impl Op {
    pub fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Op::Write(offset, data) => {
                let (start, end) = (*offset as usize, *offset as usize + data.len());
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[start..end].copy_from_slice(data);
            }
            Op::SetLen(len) => image.resize(*len as usize, 0),
            Op::Sync => {}
        }
    }
}

#[derive(Debug, Default)]
struct State {
    image: Vec<u8>,
    log: Vec<Op>,
    /// From this number of operations on, all fail with this.
    fails: Option<(usize, io::ErrorKind)>,
}

#[derive(Clone, Debug, Default)]
pub struct Device(Arc<Mutex<State>>);

impl Device {
    pub fn holding(image: Vec<u8>) -> Self {
        Device(Arc::new(Mutex::new(State { image, ..State::default() })))
    }

    pub fn fail_after(&self, more: usize, kind: io::ErrorKind) {
        let mut state = self.0.lock();
        state.fails = Some((state.log.len() + more, kind));
    }

    pub fn ops(&self) -> usize {
        self.0.lock().log.len()
    }

    pub fn log(&self) -> Vec<Op> {
        self.0.lock().log.clone()
    }

    pub fn image(&self) -> Vec<u8> {
        self.0.lock().image.clone()
    }

    fn change(&self, op: Op) -> io::Result<()> {
        let mut state = self.0.lock();
        if let Some((after, kind)) = state.fails
            && state.log.len() >= after
        {
            return Err(io::Error::from(kind));
        }
        let state = &mut *state;
        op.apply(&mut state.image);
        state.log.push(op);
        Ok(())
    }
}

impl StorageBackend for Device {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().image.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock();
        let from = state.image.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Op::SetLen(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(Op::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Op::Write(offset, data.to_vec()))
    }
}
