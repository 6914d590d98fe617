//! Addresses of repositories: what a user writes, what it is short for, and what of it is a path. It opens nothing.

use crate::bytes;
use crate::config::Config;
use crate::error::{Res, fatal};
use std::fs;
use std::path::{Path, PathBuf};

/// Where a repository is.
pub(crate) enum Place {
    /// A directory or a bundle of this machine. `file`: it was given as `file://`.
    Path { path: PathBuf, file: bool },
}

/// What an address means; fails for those that need the network.
pub(crate) fn place(url: &str) -> Res<Place> {
    if let Some(rest) = url.strip_prefix("file://") {
        return Ok(Place::Path { path: PathBuf::from(decode(rest)), file: true });
    }
    if let Some((scheme, _)) = url.split_once("://")
        && !scheme.is_empty()
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    {
        fatal!("unable to access '{url}': transport '{scheme}' is not available: it comes with the network");
    }
    // `host:path`, unless a slash comes before the colon.
    if let Some((host, _)) = url.split_once(':')
        && !host.contains('/')
        && !host.is_empty()
        && !Path::new(url).exists()
    {
        fatal!("unable to access '{url}': transport 'ssh' is not available: it comes with the network");
    }
    Ok(Place::Path { path: PathBuf::from(url), file: false })
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = hex.and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    bytes::text(&out)
}

/// The address with `url.<base>.insteadOf` (and for a push `pushInsteadOf`) applied.
pub(crate) fn rewrite(config: &Config, url: &str, push: bool) -> String {
    let mut best: Option<(usize, String)> = None;
    for base in config.subsections("url") {
        let mut keys = config.all(&format!("url.{base}.insteadof"));
        if push {
            keys.extend(config.all(&format!("url.{base}.pushinsteadof")));
        }
        for key in keys {
            if url.starts_with(&key) && best.as_ref().is_none_or(|b| b.0 < key.len()) {
                best = Some((key.len(), format!("{base}{}", &url[key.len()..])));
            }
        }
    }
    best.map_or_else(|| url.to_owned(), |b| b.1)
}

/// The repository directory, or the bundle, that a path means: `x`, `x/.git`, `x.git`.
pub(crate) fn find(path: &Path) -> Option<PathBuf> {
    for suffix in ["/.git", "", ".git/.git", ".git"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let found = PathBuf::from(name);
        if found.is_dir() {
            if crate::repo::is_git_dir(&found) {
                return Some(found);
            }
        } else if let Ok(text) = fs::read(&found)
            && let Some(target) = text.strip_prefix(b"gitdir: ")
        {
            return Some(found.parent().unwrap_or(Path::new("")).join(bytes::path(target.trim_ascii_end())));
        }
    }
    for suffix in ["", ".bundle"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let found = PathBuf::from(name);
        if found.is_file() && crate::bundle::is_bundle(&found) {
            return Some(found);
        }
    }
    None
}

/// The directory that a clone of an address is put in.
pub(crate) fn directory(url: &str, bare: bool) -> String {
    let url = url.trim_end_matches('/');
    let url = url.strip_suffix("/.git").unwrap_or(url).trim_end_matches('/');
    let base = url.rsplit(['/', ':']).next().unwrap_or(url);
    let base = base.strip_suffix(".git").or_else(|| base.strip_suffix(".bundle")).unwrap_or(base);
    if bare { format!("{base}.git") } else { base.to_owned() }
}

/// An address as it is shown beside what came from it.
pub(crate) fn shown(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    url.strip_suffix(".git").unwrap_or(url)
}
