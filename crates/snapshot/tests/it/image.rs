//! OCI layouts of others: several layers, compressed ones, and those that lie.

use std::io::Write;

use agentos_snapshot::{Format, ImportError, read};
use agentos_vfs::layer::diff;
use agentos_vfs::{Layer, Tree};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::{file, limits, packed, paths, stack, unpack};

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>())
}

/// A tar archive of these files.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, data) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *data).unwrap();
    }
    tar.into_inner().unwrap()
}

fn layout(layers: &[Vec<u8>], change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
    let described = |bytes: &[u8], kind: &str| {
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{}","size":{}}}"#,
            digest(bytes),
            bytes.len()
        )
    };
    let config = b"{}".to_vec();
    let list: Vec<_> = layers.iter().map(|layer| described(layer, "layer.v1.tar+gzip")).collect();
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
        described(&config, "config.v1+json"),
        list.join(",")
    )
    .into_bytes();
    let inner = format!(r#"{{"manifests":[{}]}}"#, described(&manifest, "manifest.v1+json")).into_bytes();
    let index = format!(r#"{{"manifests":[{}]}}"#, described(&inner, "index.v1+json")).into_bytes();
    let mut files = vec![("oci-layout".to_owned(), b"{}".to_vec()), ("index.json".to_owned(), index)];
    for blob in layers.iter().chain([&config, &manifest, &inner]) {
        files.push((format!("blobs/sha256/{}", &digest(blob)[7..]), blob.clone()));
    }
    // Blobs come first in archives of most tools.
    files.reverse();
    change(&mut files);
    let files: Vec<_> = files.iter().map(|(name, data)| (name.as_str(), &data[..])).collect();
    tar(&files)
}

#[test]
fn layers_of_an_image_lie_over_one_another() {
    let layers = [
        gzip(&tar(&[("etc/a", b"1"), ("etc/b", b"1"), ("opt/x/old", b"1"), ("var/keep", b"1")])),
        // A whiteout concerns the layers below only, wherever it stands.
        tar(&[
            ("etc/b", b"2"),
            ("etc/.wh.a", b""),
            ("opt/x/new", b"2"),
            ("opt/x/.wh..wh..opq", b""),
            ("etc/.wh.b", b""),
        ]),
        gzip(&tar(&[("var/.wh..wh.plnk", b""), ("top", b"3")])),
    ];
    let archive = layout(&layers, |_| ());
    for archive in [gzip(&archive), archive] {
        let read = unpack(&archive).unwrap();
        assert_eq!(read.len(), 3);
        let layer = stack(&Layer::empty(), &read);
        assert_eq!(
            paths(&layer),
            ["/", "/etc", "/etc/b", "/opt", "/opt/x", "/opt/x/new", "/top", "/var", "/var/keep"]
        );
        assert_eq!(file(&layer, "/etc/b"), "2");
    }
}

#[test]
fn layouts_that_lie_are_refused() {
    let layer = gzip(&tar(&[("a", b"1")]));
    type Files = Vec<(String, Vec<u8>)>;
    let error = |change: &dyn Fn(&mut Files)| {
        read(&layout(std::slice::from_ref(&layer), |files| change(files))[..], None, &limits())
            .unwrap_err()
            .to_string()
    };
    let blob = digest(&layer);
    let is_layer = |name: &str| name.ends_with(&blob[7..]);
    let said = error(&|files| files.retain(|(name, _)| !is_layer(name)));
    assert!(said.contains(&blob) && said.contains("not in the layout"), "{said}");
    let said = error(&|files| {
        for (_, data) in files.iter_mut().filter(|(name, _)| is_layer(name)) {
            let last = data.len() - 1;
            data[last] ^= 1;
        }
    });
    assert!(said.contains("another one"), "{said}");
    let said = error(&|files| {
        for (_, data) in files.iter_mut().filter(|(name, _)| is_layer(name)) {
            data.push(0);
        }
    });
    assert!(said.contains("bytes, not"), "{said}");
    let index = |text: &'static str| {
        error(&move |files| {
            for (_, data) in files.iter_mut().filter(|(name, _)| name == "index.json") {
                *data = text.as_bytes().to_vec();
            }
        })
    };
    assert!(index(r#"{"manifests":[]}"#).contains("no image"));
    assert!(index("[").contains("index.json"));
    assert!(index(r#"{"manifests":[{"digest":"sha256:../../etc","size":1}]}"#).contains("not a SHA-256"));
    let two = r#"{"manifests":[{"digest":"a","size":1},{"digest":"b","size":1}]}"#;
    assert!(index(two).contains("2 images"));
}

#[test]
fn an_image_is_not_taken_for_files_and_files_can_be_told_from_one() {
    let tree = Tree::new();
    tree.put_file("/oci-layout", 0o644, 0, 0, "x").unwrap();
    tree.put_file("/index.json", 0o644, 0, 0, "x").unwrap();
    let archive = packed(&diff(&Layer::empty(), &tree.freeze()), Format::Tar);
    assert!(matches!(unpack(&archive), Err(ImportError::Entry { entry, .. }) if entry == "index.json"));
    let layers = read(&archive[..], Some(Format::Tar), &limits()).unwrap();
    assert_eq!(paths(&stack(&Layer::empty(), &layers)), ["/", "/index.json", "/oci-layout"]);
    assert!(read(&tar(&[("a", b"")])[..], Some(Format::Oci), &limits()).is_err());
}
