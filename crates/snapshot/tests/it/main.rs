//! What archives promise: they come back as they were, and nothing hostile leaves the tree or takes more than allowed.
#![allow(clippy::unwrap_used, reason = "a test program")]

mod hostile;
mod image;
mod round_trip;
mod text;

use agentos_snapshot::{Format, ImportError, Limits, Snapshot, read, write};
use agentos_vfs::layer::{Change, LayerDiff, diff};
use agentos_vfs::{Layer, Tree};

fn limits() -> Limits {
    Limits { bytes: 8 << 20, inodes: 10_000, known: Vec::new() }
}

fn packed(diff: &LayerDiff, format: Format) -> Vec<u8> {
    let mut archive = Vec::new();
    write(diff, format, &mut archive).unwrap();
    archive
}

fn unpack(archive: &[u8]) -> Result<Vec<Snapshot>, ImportError> {
    read(archive, None, &limits())
}

/// The layers over another.
fn stack(base: &Layer, layers: &[Snapshot]) -> Layer {
    let top = layers.iter().fold(base.clone(), |base, layer| layer.lay_over(&base).unwrap());
    Tree::from_layer(&top).fsck().unwrap();
    top
}

/// All that is in a layer, but for numbers of inodes.
fn all(layer: &Layer) -> Vec<Change> {
    diff(&Layer::empty(), layer).changes
}

fn paths(layer: &Layer) -> Vec<String> {
    all(layer).iter().map(|change| String::from_utf8_lossy(&change.path).into_owned()).collect()
}

fn file(layer: &Layer, path: &str) -> String {
    String::from_utf8(Tree::from_layer(layer).read_file(path).unwrap()).unwrap()
}
