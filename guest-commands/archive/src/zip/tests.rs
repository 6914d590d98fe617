//! Archives that were made to hurt: nothing is written outside, and nothing panics.

use super::format::{Entry, ending};
use super::unzip;
use crate::context::Cx;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("agentos-zip-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("in")).unwrap();
        Place(path)
    }

    fn run(&self, archive: &[u8], options: &str) -> i32 {
        let file = self.0.join("x.zip");
        fs::write(&file, archive).unwrap();
        let args =
            [options.into(), file.into_os_string(), OsString::from("-d"), self.0.join("in").into_os_string()];
        let mut cx = Cx::new("unzip");
        let end = unzip::main(&mut cx, &args);
        cx.finish(end)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn archive(members: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut entries = Vec::new();
    for (name, mode, data) in members {
        let mut crc = crc32fast::Hasher::new();
        crc.update(data);
        let entry = Entry {
            name: name.as_bytes().to_vec(),
            made_by: 3 << 8 | 30,
            needed: 10,
            external: mode << 16,
            crc: crc.finalize(),
            size: data.len() as u64,
            packed: data.len() as u64,
            offset: out.len() as u64,
            ..Entry::default()
        };
        out.extend(entry.local(&[]));
        out.extend_from_slice(data);
        entries.push(entry);
    }
    let start = out.len() as u64;
    out.extend(ending(&entries, start, b""));
    out
}

#[test]
fn nothing_leads_out() {
    let place = Place::new("out");
    let target = place.0.join("target");
    fs::create_dir(&target).unwrap();
    let absolute = place.0.join("absolute");
    let status = place.run(
        &archive(&[
            ("../up", 0o100_644, b"x"),
            (absolute.to_str().unwrap(), 0o100_644, b"x"),
            ("l", 0o120_777, b"../target"),
            ("l/file", 0o100_644, b"x"),
            ("good", 0o100_644, b"x"),
        ]),
        "-qo",
    );
    assert_ne!(status, 0);
    assert!(!place.0.join("up").exists() && !absolute.exists());
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    assert_eq!(fs::read(place.0.join("in/good")).unwrap(), b"x");
    assert_eq!(fs::read_link(place.0.join("in/l")).unwrap(), Path::new("../target"));
}

#[test]
fn cut_or_changed_it_ends() {
    let place = Place::new("bad");
    let whole = archive(&[("a", 0o100_644, b"text"), ("d/", 0o040_755, b"")]);
    assert_eq!(place.run(&whole, "-tqq"), 0);
    for end in 0..whole.len() {
        assert_ne!(place.run(&whole[..end], "-tqq"), 0, "{end}");
    }
    for at in 0..whole.len() {
        for value in [0, 0xff, 0x80] {
            let mut bad = whole.clone();
            bad[at] = value;
            place.run(&bad, "-tqq");
            place.run(&bad, "-v");
        }
    }
}
