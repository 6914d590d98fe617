//! Reading the layers of an image out of a layout that was read as an archive. Digests and sizes are checked.

use std::collections::HashMap;
use std::io::{self, Read};

use agentos_vfs::FileContent;
use agentos_vfs::layer::ChangeKind;
use serde::de::DeserializeOwned;

use super::digest::{self, Hasher};
use super::spec::{Descriptor, INDEX, Index, Manifest};
use crate::collect::Collector;
use crate::input::unpacked;
use crate::{ImportError, Limits, Snapshot, archive};

/// Most bytes of an index or a manifest.
const DOCUMENT: u64 = 4 << 20;
/// Most layers of an image.
const LAYERS: usize = 512;
/// Most indexes that refer to one another.
const NESTED: usize = 4;

/// The files of a layout, by path.
struct Layout<'a>(HashMap<&'a [u8], &'a FileContent>);

impl<'a> Layout<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let files = snapshot.diff.changes.iter().filter_map(|change| match &change.kind {
            ChangeKind::Regular { content, .. } => Some((&change.path[..], content)),
            _ => None,
        });
        Layout(files.collect())
    }

    fn document<T: DeserializeOwned>(&self, content: &FileContent, name: &str) -> Result<T, ImportError> {
        if content.len() > DOCUMENT {
            let reason = format!("{} bytes are too many for this document", content.len());
            return Err(ImportError::entry(name.as_bytes(), reason));
        }
        let mut bytes = vec![0; content.len() as usize];
        content.read_at(&mut bytes, 0);
        serde_json::from_slice(&bytes).map_err(|error| ImportError::entry(name.as_bytes(), error.to_string()))
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<&'a FileContent, ImportError> {
        let digest = &descriptor.digest;
        let wrong = |reason: String| ImportError::entry(digest.as_bytes(), reason);
        let digits = digest::digits(digest).ok_or_else(|| wrong("not a SHA-256 digest".into()))?;
        let path = format!("/blobs/sha256/{digits}");
        let content =
            self.0.get(path.as_bytes()).ok_or_else(|| wrong("the blob is not in the layout".into()))?;
        if content.len() != descriptor.size {
            return Err(wrong(format!("the blob has {} bytes, not {}", content.len(), descriptor.size)));
        }
        let mut hasher = Hasher::default();
        io::copy(&mut Content::new(content), &mut hasher)?;
        let (is, _) = hasher.finish();
        if is != *digest {
            return Err(wrong(format!("the blob is another one: {is}")));
        }
        Ok(content)
    }
}

/// Whether an archive is a layout.
pub(crate) fn is_layout(snapshot: &Snapshot) -> bool {
    let layout = Layout::of(snapshot);
    let file = |path: &str| layout.0.contains_key(path.as_bytes());
    file("/oci-layout") && file("/index.json")
}

/// The layers of the image, lowest first.
pub(crate) fn read(snapshot: &Snapshot, limits: &Limits) -> Result<Vec<Snapshot>, ImportError> {
    let layout = Layout::of(snapshot);
    let index = layout.0.get(&b"/index.json"[..]);
    let index = index.ok_or_else(|| ImportError::archive("not an OCI layout: it has no index.json"))?;
    let mut index: Index = layout.document(index, "index.json")?;
    for _ in 0..NESTED {
        // What builders note of how they built is no image.
        index.manifests.retain(|manifest| {
            manifest
                .annotations
                .get("vnd.docker.reference.type")
                .is_none_or(|kind| kind != "attestation-manifest")
        });
        let one = match &index.manifests[..] {
            [one] => one,
            [] => return Err(ImportError::archive("the OCI layout holds no image")),
            more => {
                let reason =
                    format!("the OCI layout holds {} images; keep one in its index.json", more.len());
                return Err(ImportError::archive(reason));
            }
        };
        let document = layout.blob(one)?;
        if one.media_type == INDEX || one.media_type.ends_with("manifest.list.v2+json") {
            index = layout.document(document, &one.digest)?;
            continue;
        }
        let manifest: Manifest = layout.document(document, &one.digest)?;
        return layers(&layout, &manifest, limits);
    }
    Err(ImportError::archive("the indexes of the OCI layout refer to too many others"))
}

fn layers(layout: &Layout<'_>, manifest: &Manifest, limits: &Limits) -> Result<Vec<Snapshot>, ImportError> {
    if manifest.layers.len() > LAYERS {
        let reason = format!("the image has {} layers, more than {LAYERS}", manifest.layers.len());
        return Err(ImportError::archive(reason));
    }
    let mut used = Default::default();
    let mut all = Vec::new();
    for layer in &manifest.layers {
        let content = layout.blob(layer)?;
        let mut collector = Collector::new(limits, used);
        let mut input = unpacked(Box::new(Content::new(content)))?;
        archive::read(&mut input, &mut collector)?;
        let (snapshot, more) = collector.finish();
        used = more;
        all.push(snapshot);
    }
    Ok(all)
}

/// A file's content as a reader.
struct Content<'a> {
    content: &'a FileContent,
    at: u64,
}

impl<'a> Content<'a> {
    fn new(content: &'a FileContent) -> io::BufReader<Self> {
        io::BufReader::with_capacity(256 << 10, Content { content, at: 0 })
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.content.read_at(buf, self.at);
        self.at += n as u64;
        Ok(n)
    }
}
