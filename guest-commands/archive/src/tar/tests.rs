//! Archives that were made to hurt: nothing is written outside of the directory, nothing panics, and nothing grows with what a
//! number in a header promises.

use super::header::{self, BLOCK, Dialect, Kind, Member};
use crate::context::Cx;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// A directory of this test alone, removed in the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("agentos-tar-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("in")).unwrap();
        Place(path)
    }

    fn extract(&self, archive: &[u8]) -> i32 {
        self.run(archive, "-xf")
    }

    fn run(&self, archive: &[u8], operation: &str) -> i32 {
        let file = self.0.join("x.tar");
        fs::write(&file, archive).unwrap();
        let args = [
            operation.into(),
            file.into_os_string(),
            OsString::from("-C"),
            self.0.join("in").into_os_string(),
        ];
        let mut cx = Cx::new("tar");
        let end = super::main(&mut cx, &args);
        cx.finish(end)
    }

    fn outside(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn inside(&self) -> PathBuf {
        self.0.join("in")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn member(kind: Kind, name: &str, link: &str, data: &[u8]) -> Vec<u8> {
    let mut member = Member::new(kind, name.as_bytes().to_vec());
    member.link = link.as_bytes().to_vec();
    member.stored = data.len() as u64;
    let mut out = header::build(&member, Dialect::Gnu).0.to_vec();
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
    out
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    let mut out = members.concat();
    out.resize(out.len() + 2 * BLOCK, 0);
    out
}

fn absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err()
}

#[test]
fn names_lead_nowhere_else() {
    let place = Place::new("names");
    let absolute = place.0.join("absolute");
    let status = place.extract(&archive(&[
        member(Kind::File, "../up", "", b"x"),
        member(Kind::File, "a/../../up", "", b"x"),
        member(Kind::File, absolute.to_str().unwrap(), "", b"x"),
        member(Kind::HardLink, "hard", "../x.tar", b""),
        member(Kind::File, "good", "", b"x"),
    ]));
    assert_eq!(status, 2);
    assert_eq!(place.outside(), ["in", "x.tar"]);
    assert!(absent(&absolute) && absent(&place.inside().join("hard")));
    assert_eq!(fs::read(place.inside().join("good")).unwrap(), b"x");
}

#[test]
fn nothing_is_written_through_links_that_the_archive_made() {
    let place = Place::new("links");
    let target = place.0.join("target");
    fs::create_dir(&target).unwrap();
    let text = target.to_str().unwrap();
    let status = place.extract(&archive(&[
        member(Kind::Symlink, "abs", text, b""),
        member(Kind::File, "abs/file", "", b"x"),
        member(Kind::Symlink, "rel", "../target", b""),
        member(Kind::File, "rel/file", "", b"x"),
        member(Kind::Dir, "d/", "", b""),
        member(Kind::Dir, "d/sub/", "", b""),
        member(Kind::Symlink, "file", text, b""),
        member(Kind::HardLink, "hard", "file", b""),
        member(Kind::File, "hard/x", "", b"x"),
    ]));
    assert_eq!(status, 2);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    // The links themselves are there in the end, as they were archived.
    assert_eq!(fs::read_link(place.inside().join("abs")).unwrap(), target);
    assert_eq!(fs::read_link(place.inside().join("rel")).unwrap(), Path::new("../target"));
    assert_eq!(fs::read_link(place.inside().join("hard")).unwrap(), target);
}

#[test]
fn a_file_never_goes_through_a_link_that_was_there() {
    let place = Place::new("there");
    fs::write(place.0.join("victim"), "old").unwrap();
    std::os::unix::fs::symlink("../victim", place.inside().join("f")).unwrap();
    assert_eq!(place.extract(&archive(&[member(Kind::File, "f", "", b"new")])), 0);
    assert_eq!(fs::read(place.0.join("victim")).unwrap(), b"old");
    assert_eq!(fs::read(place.inside().join("f")).unwrap(), b"new");
}

#[test]
fn cut_anywhere_it_ends() {
    let place = Place::new("cut");
    let long = "n".repeat(150);
    let mut whole = member(Kind::Other(b'L'), "././@LongLink", "", long.as_bytes());
    whole.extend(member(Kind::File, "short", "", &[b'x'; 700]));
    whole.extend(member(Kind::Other(b'x'), "pax", "", b"12 path=a\nb\n"));
    whole.extend(member(Kind::File, "other", "", b"y"));
    let whole = archive(&[whole]);
    for end in (0..whole.len()).step_by(37) {
        let status = place.run(&whole[..end], "-tf");
        assert!(status == 0 || status == 2, "{end}");
    }
    assert_eq!(place.run(&whole, "-tf"), 0);
}

#[test]
fn changed_anywhere_it_ends() {
    let place = Place::new("changed");
    let whole = archive(&[
        member(Kind::Other(b'x'), "pax", "", b"19 GNU.sparse.map=\n16 size=99999999\n"),
        member(Kind::File, "a", "", b"y"),
        member(Kind::Other(b'S'), "s", "", b"z"),
    ]);
    for at in (0..whole.len()).step_by(3) {
        for value in [0, 0x80, 0xff, b'7'] {
            let mut bad = whole.clone();
            bad[at] = value;
            // With the right sum, so that more than the sum is looked at.
            let block = at / BLOCK * BLOCK;
            bad[block + 148..block + 156].fill(b' ');
            let sum: u32 = bad[block..block + BLOCK].iter().map(|b| u32::from(*b)).sum();
            bad[block + 148..block + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            let status = place.run(&bad, "-tf");
            assert!(status == 0 || status == 2, "{at} {value}");
        }
    }
}

#[test]
fn what_a_header_promises_is_not_believed() {
    let place = Place::new("promises");
    for kind in [Kind::Other(b'L'), Kind::Other(b'x'), Kind::File] {
        let mut huge = Member::new(kind, b"huge".to_vec());
        huge.stored = 1 << 40;
        let block = header::build(&huge, Dialect::Gnu).0.to_vec();
        assert_eq!(place.run(&archive(&[block]), "-tf"), 2, "{kind:?}");
    }
}

#[test]
fn holes_of_the_old_form_are_put_back() {
    let place = Place::new("holes");
    let mut block = member(Kind::Other(b'S'), "s", "", b"ab");
    block[386..398].copy_from_slice(b"00000000010\0");
    block[398..410].copy_from_slice(b"00000000002\0");
    block[483..495].copy_from_slice(b"00000000020\0");
    block[148..156].fill(b' ');
    let sum: u32 = block[..BLOCK].iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(place.extract(&archive(&[block])), 0);
    assert_eq!(fs::read(place.inside().join("s")).unwrap(), b"\0\0\0\0\0\0\0\0ab\0\0\0\0\0\0");
}
