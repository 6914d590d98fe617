//! Writing a difference as an image of one layer. The layer is made twice, once to know its digest, so nothing is kept.

use std::io::{BufWriter, Write};

use agentos_vfs::layer::LayerDiff;
use serde_json::json;

use super::digest::{self, Hasher};
use super::spec::{CONFIG, Descriptor, INDEX, Index, LAYER, MANIFEST, Manifest};
use crate::{ExportError, archive};

pub(crate) fn write(diff: &LayerDiff, out: &mut dyn Write) -> Result<(), ExportError> {
    let mut hasher = BufWriter::with_capacity(256 << 10, Hasher::default());
    archive::write(diff, &mut hasher)?;
    let hasher = hasher.into_inner().map_err(|error| error.into_error())?;
    let (layer, size) = hasher.finish();
    // What runs in a machine is WebAssembly with WASI. No time is noted: equal layers are equal images.
    let config = json!({
        "architecture": "wasm",
        "os": "wasip1",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [layer] },
    });
    let config = config.to_string().into_bytes();
    let described = |media_type: &str, (digest, size): (String, u64)| Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        annotations: Default::default(),
    };
    let layer = described(LAYER, (layer, size));
    let config_at = described(CONFIG, digest::of(&config));
    let manifest = document(&Manifest {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        config: config_at.clone(),
        layers: vec![layer.clone()],
    })?;
    let manifest_at = described(MANIFEST, digest::of(&manifest));
    let index = document(&Index {
        schema_version: 2,
        media_type: INDEX.to_owned(),
        manifests: vec![manifest_at.clone()],
    })?;
    file(out, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    file(out, "index.json", &index)?;
    file(out, &blob(&manifest_at.digest), &manifest)?;
    file(out, &blob(&config_at.digest), &config)?;
    out.write_all(archive::plain(&blob(&layer.digest), size).as_bytes())?;
    archive::write(diff, out)?;
    // A tar archive is whole blocks.
    out.write_all(&archive::END)?;
    Ok(())
}

fn document(value: &impl serde::Serialize) -> Result<Vec<u8>, ExportError> {
    Ok(serde_json::to_vec(value).map_err(std::io::Error::from)?)
}

/// Where a blob is.
fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

fn file(out: &mut dyn Write, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
    out.write_all(archive::plain(name, bytes.len() as u64).as_bytes())?;
    out.write_all(bytes)?;
    out.write_all(&archive::END[..archive::padding(bytes.len() as u64)])?;
    Ok(())
}
