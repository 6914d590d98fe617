//! `sed` is that of uutils. Here is only what it leaves out: on wasip1 a file that is edited in place (`-i`) is a new file,
//! which must get the mode and owner of the old one; and what it would get wrong without a word is refused.

use crate::os::OsStrExt;
use agentos_guest::fs::{FileType, Stat, chmod, chown, file_type, stat};
use std::ffi::{OsStr, OsString};

/// Runs it with the whole command line.
pub(crate) fn run(argv: Vec<OsString>) -> i32 {
    if let Some(what) = scripts(&argv).iter().find_map(|script| unsupported(script)) {
        eprintln!("sed: {what}");
        return 1;
    }
    // Upstream panics where it would have to run a command (`e`).
    std::panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or("internal error");
        eprintln!("sed: {text}");
        std::process::exit(4);
    }));
    let in_place = |arg: &OsString| {
        let bytes = arg.as_bytes();
        let short = bytes.starts_with(b"-") && !bytes.starts_with(b"--");
        bytes.starts_with(b"--i") || (short && bytes.contains(&b'i'))
    };
    let before: Vec<(OsString, Stat)> = if argv.iter().skip(1).any(in_place) {
        argv.iter().skip(1).filter_map(|arg| Some((arg.clone(), regular(arg)?))).collect()
    } else {
        Vec::new()
    };
    let status = ::sed::sed::uumain(argv.into_iter());
    for (path, old) in before {
        let Some(new) = regular(&path).filter(|new| (new.dev, new.ino) != (old.dev, old.ino)) else {
            continue;
        };
        if (new.uid, new.gid) != (old.uid, old.gid) {
            // As sed itself: only root may give files away.
            let _ = chown(&path, Some(old.uid), Some(old.gid));
        }
        if let Err(error) = chmod(&path, old.mode & 0o7777) {
            eprintln!("sed: cannot keep the mode of {}: {error}", path.to_string_lossy());
            return status.max(4);
        }
    }
    status
}

/// The scripts of a command line, and what may be one: every argument that names no file, and the files of `-f`.
fn scripts(argv: &[OsString]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = argv.iter().skip(1);
    while let Some(arg) = rest.next() {
        let bytes = arg.as_bytes();
        let file = match bytes {
            b"-f" | b"--file" | b"--script-file" => rest.next().map(OsString::as_os_str),
            _ => [b"-f".as_slice(), b"--file=", b"--script-file="]
                .iter()
                .find_map(|option| bytes.strip_prefix(*option))
                .map(OsStr::from_bytes),
        };
        match file {
            // What cannot be read sed itself will complain of; standard input is its to read.
            Some(file) if regular(file).is_some() => found.extend(std::fs::read(file)),
            Some(_) => {}
            None if bytes.contains(&b'\\') && regular(arg).is_none() => found.push(bytes.to_vec()),
            None => {}
        }
    }
    found
}

/// What of a script upstream takes for ordinary letters, in words.
fn unsupported(script: &[u8]) -> Option<&'static str> {
    let mut escaped = false;
    script.iter().find_map(|b| {
        let hit = match b {
            b'U' | b'L' | b'u' | b'l' | b'E' if escaped => {
                Some("case conversion in a replacement (\\U, \\L, \\u, \\l, \\E) is not supported")
            }
            b'<' | b'>' if escaped => Some("the word anchors \\< and \\> are not supported, \\b is"),
            b'`' | b'\'' if escaped => Some("the buffer anchors \\` and \\' are not supported"),
            _ => None,
        };
        escaped = !escaped && *b == b'\\';
        hit
    })
}

fn regular(path: impl AsRef<OsStr>) -> Option<Stat> {
    stat(path).ok().filter(|s| file_type(s.mode) == FileType::File)
}
