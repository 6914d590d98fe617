//! Writing a difference as JSON, one entry after the other. Large files go out in pieces, as base64.

use std::io::Write;

use agentos_vfs::FileContent;
use agentos_vfs::layer::{Change, ChangeKind, LayerDiff};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::VERSION;
use super::entry::{Attributes, Device, Encoding, Head, Type};
use crate::{ExportError, names};

/// Files up to here are looked at whether they are text.
const TEXT: u64 = 1 << 20;
/// Bytes that are encoded at a time: whole groups of base64.
const PIECE: usize = 3 * (64 << 10);

pub(crate) fn write(diff: &LayerDiff, out: &mut dyn Write) -> Result<(), ExportError> {
    write!(out, "{{\"kind\":\"snapshot-export\",\"source\":{{\"version\":{VERSION},\"entries\":[")?;
    for (n, change) in diff.changes.iter().enumerate() {
        names::fits(&change.path)?;
        out.write_all(if n == 0 { b"\n" } else { b",\n" })?;
        entry(change, out)?;
    }
    out.write_all(b"\n]}}\n")?;
    Ok(())
}

fn entry(change: &Change, out: &mut dyn Write) -> Result<(), ExportError> {
    let (path, path_encoding) = Encoding::of(&change.path);
    let mut head = Head {
        path,
        path_encoding,
        kind: Type::File,
        attributes: None,
        target: None,
        target_encoding: Encoding::Utf8,
        device: None,
        opaque: false,
        hides_lower: false,
    };
    let device = |rdev: u64| Some(Device { major: rdev >> 8, minor: rdev & 0xff });
    let (kind, meta) = match &change.kind {
        ChangeKind::Removed => (Type::Whiteout, None),
        ChangeKind::Directory { meta, opaque, hides_lower } => {
            (head.opaque, head.hides_lower) = (*opaque, *hides_lower);
            (Type::Directory, Some(meta))
        }
        ChangeKind::Regular { meta, .. } => (Type::File, Some(meta)),
        ChangeKind::Symlink { meta, target } => {
            let (target, encoding) = Encoding::of(target);
            (head.target, head.target_encoding) = (Some(target), encoding);
            (Type::Symlink, Some(meta))
        }
        ChangeKind::HardLink { target } => {
            let (target, encoding) = Encoding::of(target);
            (head.target, head.target_encoding) = (Some(target), encoding);
            (Type::HardLink, None)
        }
        ChangeKind::CharDevice { meta, rdev } => {
            head.device = device(*rdev);
            (Type::CharDevice, Some(meta))
        }
        ChangeKind::BlockDevice { meta, rdev } => {
            head.device = device(*rdev);
            (Type::BlockDevice, Some(meta))
        }
        ChangeKind::Fifo { meta } => (Type::Fifo, Some(meta)),
        ChangeKind::Socket { meta } => (Type::Socket, Some(meta)),
    };
    head.kind = kind;
    head.attributes = meta.map(Attributes::from);
    let text = serde_json::to_string(&head).map_err(std::io::Error::from)?;
    let ChangeKind::Regular { content, .. } = &change.kind else {
        out.write_all(text.as_bytes())?;
        return Ok(());
    };
    // The content is the last field, so that it need not be in memory.
    out.write_all(text.strip_suffix('}').unwrap_or(&text).as_bytes())?;
    out.write_all(b",")?;
    let whole = content.is_empty() || content.next_data(0) == Some(0..content.len());
    if whole && content.len() <= TEXT {
        let mut bytes = vec![0; content.len() as usize];
        content.read_at(&mut bytes, 0);
        text_or_base64(&bytes, out)?;
    } else if whole {
        base64(content, 0..content.len(), out)?;
    } else {
        write!(out, "\"size\":{},\"pieces\":[", content.len())?;
        let runs = std::iter::successors(content.next_data(0), |run| content.next_data(run.end));
        for (n, run) in runs.enumerate() {
            write!(out, "{}{{\"offset\":{},", if n == 0 { "" } else { "," }, run.start)?;
            base64(content, run, out)?;
            out.write_all(b"}")?;
        }
        out.write_all(b"]")?;
    }
    out.write_all(b"}")?;
    Ok(())
}

fn text_or_base64(bytes: &[u8], out: &mut dyn Write) -> Result<(), ExportError> {
    let (text, encoding) = Encoding::of(bytes);
    out.write_all(b"\"content\":")?;
    serde_json::to_writer(&mut *out, &text).map_err(std::io::Error::from)?;
    if encoding == Encoding::Base64 {
        out.write_all(b",\"encoding\":\"base64\"")?;
    }
    Ok(())
}

fn base64(content: &FileContent, run: std::ops::Range<u64>, out: &mut dyn Write) -> Result<(), ExportError> {
    out.write_all(b"\"content\":\"")?;
    let mut bytes = vec![0; PIECE];
    let mut text = String::new();
    let mut at = run.start;
    while at < run.end {
        let wanted = usize::try_from(run.end - at).unwrap_or(PIECE).min(PIECE);
        let n = content.read_at(&mut bytes[..wanted], at);
        text.clear();
        STANDARD.encode_string(&bytes[..n], &mut text);
        out.write_all(text.as_bytes())?;
        at += n as u64;
    }
    out.write_all(b"\",\"encoding\":\"base64\"")?;
    Ok(())
}
