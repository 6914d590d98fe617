//! Every format goes both ways; what is cut or changed is an error of some kind and nothing worse.

use super::input::Input;
use super::{Format, damage};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::rc::Rc;

const ALL: [Format; 5] = [Format::Gzip, Format::Bzip2, Format::Xz, Format::Lzma, Format::Zstd];

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn packed(format: Format, level: i32, data: &[u8]) -> Vec<u8> {
    let out = Shared::default();
    let mut encoder = format.encoder(level, Box::new(out.clone())).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap();
    out.0.borrow().clone()
}

fn unpacked(format: Format, data: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    format.decoder(Input::new(Box::new(io::Cursor::new(data))))?.read_to_end(&mut out)?;
    Ok(out)
}

fn sample(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 24
    };
    (0..length).map(|i| if i % 7 < 4 { b"text"[i % 7] } else { next() as u8 & 0x3f }).collect()
}

#[test]
fn every_format_goes_both_ways() {
    for format in ALL {
        for level in [1, 6, 9] {
            for length in [0, 1, 1000, 300_000] {
                let data = sample(length);
                let small = packed(format, level, &data);
                assert_eq!(Format::of(&small), Some(format), "{format:?}");
                assert_eq!(unpacked(format, small).unwrap(), data, "{format:?} {level} {length}");
            }
        }
    }
    for level in [-5, 3, 12, 19, 22] {
        let data = sample(400_000);
        assert_eq!(unpacked(Format::Zstd, packed(Format::Zstd, level, &data)).unwrap(), data, "{level}");
    }
}

#[test]
fn streams_may_follow_each_other() {
    for format in [Format::Gzip, Format::Bzip2, Format::Xz, Format::Zstd] {
        let both = [packed(format, 6, b"one"), packed(format, 6, b"two")].concat();
        assert_eq!(unpacked(format, both).unwrap(), b"onetwo", "{format:?}");
    }
}

#[test]
fn what_is_cut_anywhere_is_an_error() {
    for format in ALL {
        let whole = packed(format, 6, &sample(2000));
        for end in 1..whole.len() {
            let result = unpacked(format, whole[..end].to_vec());
            // lzma has no checksum; with a marker at its end it may be whole before its last bytes.
            if format != Format::Lzma {
                let error = result.expect_err(&format!("{format:?} cut at {end}"));
                assert!(damage(&error).is_some(), "{format:?} cut at {end}: {error}");
            }
        }
    }
}

#[test]
fn what_is_changed_never_panics() {
    for format in ALL {
        let whole = packed(format, 6, &sample(1500));
        for at in 0..whole.len() {
            for bit in [0, 3, 7] {
                let mut bad = whole.clone();
                bad[at] ^= 1 << bit;
                // Bounded: a changed header may promise any length.
                let decoder = format.decoder(Input::new(Box::new(io::Cursor::new(bad))));
                if let Ok(decoder) = decoder {
                    let _ = io::copy(&mut decoder.take(1 << 20), &mut io::sink());
                }
            }
        }
    }
}
