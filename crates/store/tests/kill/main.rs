//! A process that works and syncs is killed at random moments: what it synced is there, and what is there is a moment of its work.
//!
//! The process is this program itself, started with a place. `AGENTOS_KILLS=N` makes it N times the usual number.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test program")]

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use agentos_store::{Durable, Options, Place, Root};
use agentos_vfs::{FileSystem, Tree};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

#[path = "../it/work.rs"]
mod work;

/// Holds the number of the last step that is whole.
const PROGRESS: &str = "/progress";
/// Milliseconds that a process may work.
const LIFE: std::ops::Range<u64> = 1..40;

fn progress(tree: &Tree) -> u64 {
    tree.read_file(PROGRESS).map_or(0, |text| String::from_utf8(text).unwrap().parse().unwrap())
}

fn step(tree: &Tree, number: u64) {
    work::step(tree, number);
    tree.put_file(PROGRESS, 0o644, 0, 0, number.to_string()).unwrap();
}

/// Works until it is killed, and tells each step that is synced.
fn child(place: &Place) -> ! {
    let root = Root::open(place, &work::base()).unwrap();
    let tree = Tree::from_layer(root.layer());
    let options = Options { interval: Duration::from_millis(2), ..Options::default() };
    let _durable = Durable::start(root, tree.clone(), options).unwrap();
    let mut out = std::io::stdout().lock();
    writeln!(out, "0").unwrap();
    for number in progress(&tree) + 1.. {
        step(&tree, number);
        if number % 7 == 0 {
            futures_executor::block_on(async { tree.sync().await }).unwrap();
            writeln!(out, "{number}").unwrap();
        }
    }
    unreachable!("there are more numbers than time");
}

/// Kills one after the other; each goes on where the one before was.
fn kill_all(name: &str, place: &Place, kills: usize) {
    let base = work::base();
    let rng = &mut StdRng::seed_from_u64(5);
    let mut model = Tree::from_layer(&base);
    let mut synced_in_all = 0;
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([OsString::from(name), place.path().as_os_str().to_owned()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Now and then in the middle of opening, otherwise at work.
        if kill % 10 != 0 {
            lines.next().expect("it works").unwrap();
        }
        std::thread::sleep(Duration::from_micros(rng.random_range(LIFE.start * 1000..LIFE.end * 1000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let before = progress(&model);
        // A line that is cut off was not told.
        let told = lines.map_while(Result::ok).filter_map(|line| line.parse::<u64>().ok()).max();
        let synced = told.unwrap_or(0).max(before);
        synced_in_all += synced - before;

        let root = Root::open(place, &base).unwrap();
        let tree = Tree::from_layer(root.layer());
        tree.fsck().unwrap();
        let reached = progress(&tree);
        assert!(reached >= synced, "{name}, kill {kill}: {reached} is there, {synced} was synced");
        (before + 1..=reached).for_each(|number| step(&model, number));
        let found = work::listing(&tree);
        if found != work::listing(&model) {
            // The commit was between a step and its note.
            work::step(&model, reached + 1);
            assert_eq!(found, work::listing(&model), "{name}, kill {kill}: no moment after {reached}");
        }
        model = Tree::from_layer(&model.freeze());
    }
    println!("{name}: {kills} kills, {} steps, {synced_in_all} of them known to be synced", progress(&model));
    assert!(synced_in_all > kills as u64, "hardly anything was synced");
}

fn main() {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [name, path] = &args[..] {
        match name.to_str() {
            Some("directory") => child(&Place::Directory(PathBuf::from(path))),
            Some("sqlite") => child(&Place::Sqlite(PathBuf::from(path))),
            // What cargo passes on to every test program.
            _ => {}
        }
    }
    let times = std::env::var("AGENTOS_KILLS").map_or(1, |n| n.parse().expect("AGENTOS_KILLS is a number"));
    let scratch = tempfile::tempdir().unwrap();
    kill_all("directory", &Place::Directory(scratch.path().join("state")), 200 * times);
    kill_all("sqlite", &Place::Sqlite(scratch.path().join("state.db")), 60 * times);
}
