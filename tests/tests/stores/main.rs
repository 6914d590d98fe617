//! Object stores as mounts, against servers that others wrote: moto speaks S3 and checks signatures, WsgiDAV speaks WebDAV.
//! They are found in `target/counterparts`, which `.ci/run` makes, or where `AGENTOS_COUNTERPARTS` says; `cargo xtask
//! test-external` runs this. Google Drive has no server to be had: only the crate's own tests know it.
#![allow(clippy::unwrap_used)]

mod git;
mod proxy;
mod s3;
mod server;
mod test_s3;
mod test_s3_faults;
mod test_webdav;
mod webdav;
