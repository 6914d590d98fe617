//! Archives and compression: tar, zip, and the compressors that people and they call. One multicall program with an
//! exact-name dispatcher. Checksums and encodings of text are commands of `tools`.

#![forbid(unsafe_code)]

mod codec;
mod files;
mod press;
mod tar;
mod zip;

// Under the names that commands know them by.
use agentos_command::{context, glob, mode, names, options, os, quote, time, walk};

use context::{Cx, Outcome, start_like_c};
use std::ffi::OsString;

type Main = fn(&mut Cx, &[OsString]) -> Outcome;

/// Every command, sorted by name; `commands.txt` repeats the names for the builder of the base layer.
const TABLE: &[(&str, Main)] = &[
    ("bunzip2", press::bzip2::main),
    ("bzcat", press::bzip2::main),
    ("bzgrep", press::zgrep::main),
    ("bzip2", press::bzip2::main),
    ("gunzip", press::gzip::main),
    ("gzip", press::gzip::main),
    ("lzcat", press::xz::main),
    ("lzma", press::xz::main),
    ("tar", tar::main),
    ("unlzma", press::xz::main),
    ("unxz", press::xz::main),
    ("unzip", zip::unzip::main),
    ("unzstd", press::zstd::main),
    ("xz", press::xz::main),
    ("xzcat", press::xz::main),
    ("xzgrep", press::zgrep::main),
    ("zcat", press::gzip::main),
    ("zegrep", press::zgrep::main),
    ("zfgrep", press::zgrep::main),
    ("zgrep", press::zgrep::main),
    ("zip", zip::main),
    ("zipinfo", zip::unzip::main),
    ("zstd", press::zstd::main),
    ("zstdcat", press::zstd::main),
];

/// The names of all commands, sorted.
///
/// ```
/// assert!(agentos_archive::command_names().any(|name| name == "tar"));
/// ```
pub fn command_names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// Runs the command that the arguments name and returns its exit status.
///
/// `argv[0]`'s last component names the command; when that is no command, the first argument does. An unknown command is
/// status 127.
pub fn main() -> i32 {
    let mut args = std::env::args_os();
    let mut found = None;
    for _ in 0..2 {
        let Some(word) = args.next() else {
            eprintln!("usage: agentos-archive COMMAND [ARGUMENT]...");
            return 2;
        };
        found = find(&word);
        if found.is_some() {
            break;
        }
    }
    let Some((name, main)) = found else {
        eprintln!("agentos-archive: no such command");
        return 127;
    };
    start_like_c();
    let args: Vec<OsString> = args.collect();
    let mut cx = Cx::new(name);
    let end = main(&mut cx, &args);
    cx.finish(end)
}

fn find(argv0: &OsString) -> Option<(&'static str, Main)> {
    let name = os::base_name(argv0).to_str()?;
    let at = TABLE.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    Some(TABLE[at])
}

#[cfg(test)]
mod tests {
    use super::command_names;

    #[test]
    fn the_table_is_sorted_and_agrees_with_the_list() {
        let names: Vec<&str> = command_names().collect();
        assert!(names.is_sorted());
        let listed: Vec<&str> = include_str!("../commands.txt").lines().collect();
        assert_eq!(names, listed, "commands.txt and the table in lib.rs differ");
    }
}
