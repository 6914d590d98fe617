//! Bundles: a file of refs and a pack. It reads the head of one and answers fetches from it; `cmd/bundle.rs` makes them.

use crate::bytes;
use crate::error::{Res, fatal};
use crate::oid::Oid;
use crate::reach::{Reached, Request};
use crate::transport::{Advertised, Transport, Update};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

const SIGNATURES: [&[u8]; 2] = [b"# v2 git bundle\n", b"# v3 git bundle\n"];

/// A bundle that was read.
pub(crate) struct Bundle {
    pub(crate) refs: Vec<Advertised>,
    /// What must be there before, with the subjects of the commits.
    pub(crate) needs: Vec<(Oid, String)>,
    pub(crate) pack: Vec<u8>,
}

/// Whether a file begins as a bundle.
pub(crate) fn is_bundle(file: &Path) -> bool {
    let mut head = [0; 16];
    File::open(file).and_then(|mut f| f.read_exact(&mut head)).is_ok() && SIGNATURES.contains(&&head[..])
}

impl Bundle {
    pub(crate) fn read(file: &Path) -> Res<Bundle> {
        let text = match fs::read(file) {
            Ok(text) => text,
            Err(error) => {
                fatal!("could not open '{}': {}", file.display(), agentos_guest::strerror(&error))
            }
        };
        if !SIGNATURES.iter().any(|s| text.starts_with(s)) {
            crate::error::failed!("'{}' does not look like a v2 or v3 bundle file", file.display());
        }
        let mut bundle = Bundle { refs: Vec::new(), needs: Vec::new(), pack: Vec::new() };
        let mut at = SIGNATURES[0].len();
        loop {
            let Some(end) = text[at..].iter().position(|b| *b == b'\n') else {
                fatal!("bundle '{}' has no end of its head", file.display());
            };
            let line = &text[at..at + end];
            at += end + 1;
            match line {
                [] => break,
                [b'@', capability @ ..] => {
                    if capability != b"object-format=sha1" {
                        fatal!("unknown capability '{}'", bytes::text(capability));
                    }
                }
                [b'-', rest @ ..] => {
                    let Some(oid) = rest.get(..40).and_then(Oid::parse) else {
                        fatal!("unrecognized header: {}", bytes::text(line));
                    };
                    bundle.needs.push((oid, bytes::text(rest.get(41..).unwrap_or_default())));
                }
                line => {
                    let Some(oid) = line.get(..40).and_then(Oid::parse).filter(|_| line.len() > 41) else {
                        fatal!("unrecognized header: {}", bytes::text(line));
                    };
                    bundle.refs.push(Advertised { name: bytes::text(&line[41..]), oid, peeled: None });
                }
            }
        }
        bundle.pack = text[at..].to_vec();
        Ok(bundle)
    }
}

impl Transport for Bundle {
    fn refs(&self) -> &[Advertised] {
        &self.refs
    }

    fn head(&self) -> Option<&str> {
        let head = self.refs.iter().find(|r| r.name == "HEAD")?;
        let same = |r: &&Advertised| r.name.starts_with("refs/heads/") && r.oid == head.oid;
        self.refs.iter().find(same).map(|r| r.name.as_str())
    }

    fn fetch(&mut self, request: &Request) -> Res<(Vec<u8>, Reached)> {
        for (oid, _) in &self.needs {
            if !request.haves.contains(oid) && request.haves.is_empty() {
                fatal!("Repository lacks these prerequisite commits:\n{oid}");
            }
        }
        Ok((self.pack.clone(), Reached::default()))
    }

    fn push(&mut self, _: &[Update], _: Vec<u8>) -> Res<Vec<Option<String>>> {
        fatal!("pushing to a bundle is not possible");
    }
}
