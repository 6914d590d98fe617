//! One entry of a snapshot in JSON: its fields, and what they mean. It reads and writes no files.

use std::borrow::Cow;

use agentos_vfs::Timespec;
use agentos_vfs::layer::Meta;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::time;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Type {
    File,
    Directory,
    Symlink,
    HardLink,
    CharDevice,
    BlockDevice,
    Fifo,
    Socket,
    Whiteout,
}

/// How a text stands for bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    #[default]
    Utf8,
    Base64,
}

impl Encoding {
    fn is_utf8(&self) -> bool {
        *self == Encoding::Utf8
    }

    pub(super) fn bytes(self, text: String) -> Result<Vec<u8>, &'static str> {
        match self {
            Encoding::Utf8 => Ok(text.into_bytes()),
            Encoding::Base64 => STANDARD.decode(text).map_err(|_| "damaged base64"),
        }
    }

    /// Bytes as text where they are, else as base64.
    pub(super) fn of(bytes: &[u8]) -> (Cow<'_, str>, Encoding) {
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) => {
                (Cow::Borrowed(text), Encoding::Utf8)
            }
            _ => (Cow::Owned(STANDARD.encode(bytes)), Encoding::Base64),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Device {
    pub(super) major: u64,
    pub(super) minor: u64,
}

/// A run of data of a file with holes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) content: String,
    #[serde(default)]
    pub(super) encoding: Encoding,
}

/// The fields of an entry but for its content, in the order in which they are written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head<'a> {
    pub(super) path: Cow<'a, str>,
    #[serde(skip_serializing_if = "Encoding::is_utf8")]
    pub(super) path_encoding: Encoding,
    #[serde(rename = "type")]
    pub(super) kind: Type,
    #[serde(flatten)]
    pub(super) attributes: Option<Attributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Encoding::is_utf8")]
    pub(super) target_encoding: Encoding,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<Device>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) opaque: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) hides_lower: bool,
}

/// Mode in octal, owner, times in seconds.
#[derive(Debug, Serialize)]
pub(super) struct Attributes {
    mode: String,
    uid: u32,
    gid: u32,
    mtime: String,
    atime: String,
    ctime: String,
    btime: String,
}

impl From<&Meta> for Attributes {
    fn from(meta: &Meta) -> Self {
        Attributes {
            mode: format!("{:04o}", meta.perm),
            uid: meta.uid,
            gid: meta.gid,
            mtime: time::text(meta.mtime),
            atime: time::text(meta.atime),
            ctime: time::text(meta.ctime),
            btime: time::text(meta.btime),
        }
    }
}

/// An entry as it is read. Whoever writes one by hand may leave out what has a default.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) path: String,
    #[serde(default)]
    pub(super) path_encoding: Encoding,
    #[serde(rename = "type")]
    pub(super) kind: Type,
    mode: Option<String>,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
    mtime: Option<String>,
    atime: Option<String>,
    ctime: Option<String>,
    btime: Option<String>,
    pub(super) target: Option<String>,
    #[serde(default)]
    pub(super) target_encoding: Encoding,
    pub(super) device: Option<Device>,
    #[serde(default)]
    pub(super) opaque: bool,
    #[serde(default)]
    pub(super) hides_lower: bool,
    pub(super) content: Option<String>,
    #[serde(default)]
    pub(super) encoding: Encoding,
    pub(super) size: Option<u64>,
    pub(super) pieces: Option<Vec<Piece>>,
}

impl Entry {
    pub(super) fn meta(&self) -> Result<Meta, &'static str> {
        let perm = match &self.mode {
            Some(mode) => u32::from_str_radix(mode, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777 && !self.mode.as_ref().is_some_and(|m| m.starts_with('+')))
                .ok_or("mode must be octal digits, up to 7777")?,
            None if self.kind == Type::Directory => 0o755,
            None if self.kind == Type::Symlink => 0o777,
            None => 0o644,
        };
        let moment = |text: &Option<String>, default| match text {
            Some(text) => time::parse(text).ok_or("a time must be decimal seconds since 1970"),
            None => Ok(default),
        };
        let mtime = moment(&self.mtime, Timespec { secs: 0, nanos: 0 })?;
        Ok(Meta {
            perm,
            uid: self.uid,
            gid: self.gid,
            mtime,
            atime: moment(&self.atime, mtime)?,
            ctime: moment(&self.ctime, mtime)?,
            btime: moment(&self.btime, mtime)?,
        })
    }

    /// A field that says nothing for an entry of this type.
    pub(super) fn misplaced(&self) -> Option<&'static str> {
        let is = |kinds: &[Type]| kinds.contains(&self.kind);
        let file = is(&[Type::File]);
        let attributes = self.mode.is_some()
            || self.uid != 0
            || self.gid != 0
            || [&self.mtime, &self.atime, &self.ctime, &self.btime].iter().any(|time| time.is_some());
        [
            ("mode, uid, gid or a time", attributes && is(&[Type::Whiteout, Type::HardLink])),
            ("target", self.target.is_some() && !is(&[Type::Symlink, Type::HardLink])),
            ("device", self.device.is_some() && !is(&[Type::CharDevice, Type::BlockDevice])),
            ("opaque", self.opaque && !is(&[Type::Directory])),
            ("hidesLower", self.hides_lower && !is(&[Type::Directory])),
            ("content", self.content.is_some() && (!file || self.pieces.is_some())),
            ("pieces", self.pieces.is_some() && !file),
            ("size", self.size.is_some() && (!file || self.pieces.is_none())),
        ]
        .into_iter()
        .find_map(|(field, wrong)| wrong.then_some(field))
    }
}
