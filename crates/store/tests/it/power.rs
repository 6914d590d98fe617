//! The power goes at any moment: of what was written since the last sync anything may be on the disk, in any order, torn at
//! sectors. What was synced is there, and what is there is one moment.

use std::path::Path;

use agentos_store::{FileStore, Root};
use agentos_vfs::layer::Row;
use agentos_vfs::{Layer, Tree};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use redb::StorageBackend;

use crate::device::{Device, Op};
use crate::work;

const SECTOR: usize = 512;
const COMMITS: u64 = 80;
const CUTS: usize = 1200;

/// A moment that was committed, and after how many operations of the device its commit answered.
struct Moment {
    answered: usize,
    rows: Vec<Row<'static>>,
}

fn open(device: Device, base: &Layer) -> Result<Root, agentos_store::StoreError> {
    let path = Path::new("device");
    Root::on(FileStore::on(device, path)?, path, base)
}

/// Does random work and commits it; the moments by sequence.
fn record(device: &Device, base: &Layer, seed: u64) -> Vec<Moment> {
    let rng = &mut StdRng::seed_from_u64(seed);
    let mut root = open(device.clone(), base).unwrap();
    let tree = Tree::from_layer(root.layer());
    let moment = |root: &Root| Moment { answered: device.ops(), rows: work::rows(base, root.layer()) };
    let mut moments = vec![moment(&root)];
    let mut number = seed << 32;
    for _ in 0..COMMITS {
        for _ in 0..rng.random_range(1..40) {
            number += 1;
            work::step(&tree, number);
        }
        root.commit(&tree.freeze()).unwrap();
        if root.sequence() as usize == moments.len() {
            moments.push(moment(&root));
        }
        // Now and then somebody opens it anew.
        if rng.random_range(0..16) == 0 {
            drop(root);
            root = open(device.clone(), base).unwrap();
            assert_eq!(work::rows(base, root.layer()), moments.last().unwrap().rows);
            let again = Tree::from_layer(root.layer());
            again.fsck().unwrap();
            // The committed layer is another one in memory now: all is compared anew.
            root.commit(&tree.freeze()).unwrap();
            moments.push(moment(&root));
        }
    }
    moments
}

/// What may be on the disk of a synced image and operations since.
fn survive(rng: &mut StdRng, image: &mut Vec<u8>, since: &[Op]) {
    match rng.random_range(0..6) {
        // All of it: the process was killed, not the machine.
        0 => since.iter().for_each(|op| op.apply(image)),
        // None of it.
        1 => {}
        // Some, in order.
        2 => since.iter().filter(|_| rng.random()).for_each(|op| op.apply(image)),
        // All but one.
        3 => {
            let lost = rng.random_range(0..since.len().max(1));
            since.iter().enumerate().filter(|(n, _)| *n != lost).for_each(|(_, op)| op.apply(image));
        }
        // Some, in any order.
        4 => {
            let mut some: Vec<_> = since.iter().filter(|_| rng.random_range(0..4) > 0).collect();
            some.shuffle(rng);
            some.iter().for_each(|op| op.apply(image));
        }
        // Some sectors, in any order.
        _ => {
            let mut pieces = Vec::new();
            for op in since {
                match op {
                    Op::Write(offset, data) => {
                        let sectors = data.chunks(SECTOR).enumerate();
                        pieces.extend(
                            sectors.map(|(n, piece)| Op::Write(offset + (n * SECTOR) as u64, piece.to_vec())),
                        );
                    }
                    other => pieces.push(other.clone()),
                }
            }
            pieces.retain(|_| rng.random_range(0..4) > 0);
            pieces.shuffle(rng);
            pieces.iter().for_each(|op| op.apply(image));
        }
    }
}

#[test]
fn any_cut_leaves_one_moment_with_all_that_was_synced() {
    let base = work::base();
    let device = Device::default();
    // A file that is not finished does not have its name yet.
    drop(FileStore::on(device.clone(), Path::new("device")).unwrap());
    device.sync_data().unwrap();
    let made = device.ops();
    let moments = record(&device, &base, 1);
    let log = device.log();
    let rng = &mut StdRng::seed_from_u64(2);
    let mut cuts: Vec<usize> = (0..CUTS).map(|_| rng.random_range(made..=log.len())).collect();
    cuts.sort_unstable();

    let mut image = Vec::new();
    let mut synced = 0;
    let mut in_flight = 0;
    for cut in cuts {
        // Up to the last sync before the cut, all is on the disk.
        if let Some(last) = log[synced..cut].iter().rposition(|op| matches!(op, Op::Sync)) {
            log[synced..=synced + last].iter().for_each(|op| op.apply(&mut image));
            synced += last + 1;
        }
        let mut after = image.clone();
        survive(rng, &mut after, &log[synced..cut]);
        in_flight += usize::from(synced < cut);

        let root = open(Device::holding(after), &base).unwrap_or_else(|error| panic!("cut {cut}: {error}"));
        Tree::from_layer(root.layer()).fsck().unwrap();
        let sequence = root.sequence() as usize;
        assert!(
            work::rows(&base, root.layer()) == moments[sequence].rows,
            "cut {cut}: no moment of {sequence}"
        );
        let promised = moments.iter().rposition(|moment| moment.answered <= cut).unwrap_or(0);
        assert!(sequence >= promised, "cut {cut}: {sequence} is there, {promised} was synced");
    }
    assert!(in_flight > CUTS / 2, "only {in_flight} cuts had something in flight");
}
