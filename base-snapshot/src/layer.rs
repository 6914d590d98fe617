//! Puts the base layer together.

use agentos_vfs::{Errno, Layer, Tree};
use bytes::Bytes;

use crate::etc::{FILES, INSTRUCTIONS};
use crate::{PROGRAMS, archive_names, tool_names, zones};

const ROOT: u32 = 0;
const USER: u32 = 1000;
const TTY: u32 = 5;

/// Programs that are agents: their name under `/bin`, and the bundled module.
pub const AGENT_PROGRAMS: [(&str, &str); 2] = [("agentos-coder", "coder"), ("agentos-scripted", "scripted")];

/// The program for tools of the host, under `/bin`. A toolkit's own command is this one under the name `agentos-TOOLKIT`.
pub const TOOLS_PROGRAM: &str = "agentos";

/// Names of the shell.
const SHELLS: [&str; 2] = ["sh", "bash"];

/// Names of the editor.
const EDITORS: [&str; 3] = ["ex", "vi", "view"];

/// Names of the programs for the terminal.
const SCREENS: [&str; 8] = ["clear", "less", "more", "pager", "reset", "top", "tput", "watch"];

/// Names of awk.
const AWKS: [&str; 4] = ["awk", "gawk", "mawk", "nawk"];

const fn rdev(major: u64, minor: u64) -> u64 {
    (major << 8) | minor
}

/// The layer that every VM starts from. Made once per process; VMs share it.
///
/// # Errors
/// ENOSPC and the like cannot happen with the fixed content, but are passed on rather than hidden.
pub fn base_layer() -> Result<Layer, Errno> {
    let tree = Tree::new();
    for (path, perm, owner) in [
        ("/bin", 0o755, ROOT),
        ("/etc", 0o755, ROOT),
        ("/etc/agentos", 0o755, ROOT),
        ("/home", 0o755, ROOT),
        ("/home/agentos", 0o755, USER),
        ("/mnt", 0o755, ROOT),
        ("/opt", 0o755, ROOT),
        ("/root", 0o700, ROOT),
        ("/run", 0o755, ROOT),
        ("/srv", 0o755, ROOT),
        ("/tmp", 0o1777, ROOT),
        ("/usr", 0o755, ROOT),
        ("/usr/lib", 0o755, ROOT),
        ("/usr/local", 0o755, ROOT),
        ("/usr/local/bin", 0o755, ROOT),
        ("/usr/local/lib", 0o755, ROOT),
        ("/usr/local/sbin", 0o755, ROOT),
        ("/usr/sbin", 0o755, ROOT),
        ("/usr/share", 0o755, ROOT),
        ("/var", 0o755, ROOT),
        ("/var/lib", 0o755, ROOT),
        ("/var/log", 0o755, ROOT),
        ("/var/tmp", 0o1777, ROOT),
        ("/workspace", 0o755, USER),
    ] {
        tree.put_dir(path, perm, owner, owner)?;
    }
    for (link, target) in [
        ("/lib", "usr/lib"),
        ("/sbin", "usr/sbin"),
        ("/usr/bin", "../bin"),
        ("/var/run", "../run"),
        ("/etc/mtab", "../proc/self/mounts"),
    ] {
        tree.put_symlink(link, target)?;
    }
    system(&tree)?;
    for (name, perm, content) in FILES {
        tree.put_file(format!("/etc/{name}"), *perm, ROOT, ROOT, *content)?;
    }
    tree.put_file("/etc/agentos/instructions.md", 0o444, ROOT, ROOT, INSTRUCTIONS)?;
    zones::put(&tree)?;
    programs(&tree)?;
    Ok(tree.freeze())
}

/// What every root needs, whatever else is in it: `/dev` with its devices, and the places of `/proc` and `/dev/pts`.
///
/// # Errors
/// ENOTDIR when something else is in the place of a directory, EISDIR in that of a device.
pub fn system(tree: &Tree) -> Result<(), Errno> {
    for (path, perm) in [("/dev", 0o755), ("/dev/pts", 0o755), ("/proc", 0o555)] {
        tree.put_dir(path, perm, ROOT, ROOT)?;
    }
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        tree.put_symlink(link, target)?;
    }
    for (name, perm, number) in [
        ("/dev/null", 0o666, rdev(1, 3)),
        ("/dev/zero", 0o666, rdev(1, 5)),
        ("/dev/full", 0o666, rdev(1, 7)),
        ("/dev/random", 0o666, rdev(1, 8)),
        ("/dev/urandom", 0o666, rdev(1, 9)),
        ("/dev/tty", 0o666, rdev(TTY.into(), 0)),
        ("/dev/console", 0o600, rdev(TTY.into(), 1)),
        ("/dev/ptmx", 0o666, rdev(TTY.into(), 2)),
    ] {
        tree.put_char_device(name, perm, number)?;
    }
    Ok(())
}

/// The bundled modules, each one inode with all its names as hard links.
fn programs(tree: &Tree) -> Result<(), Errno> {
    let put = |module: &str, names: &mut dyn Iterator<Item = &str>| -> Result<(), Errno> {
        let program = PROGRAMS.iter().find(|p| p.name == module).ok_or(Errno::ENOENT)?;
        let mut first: Option<String> = None;
        for name in names {
            let path = format!("/bin/{name}");
            match &first {
                None => {
                    tree.put_file(&path, 0o755, ROOT, ROOT, Bytes::from_static(program.wasm))?;
                    first = Some(path);
                }
                Some(first) => {
                    tree.put_link(&path, first)?;
                }
            }
        }
        Ok(())
    };
    put("sh", &mut SHELLS.into_iter())?;
    put("awk", &mut AWKS.into_iter())?;
    put("vi", &mut EDITORS.into_iter())?;
    put("screen", &mut SCREENS.into_iter())?;
    put("tools", &mut tool_names().filter(|name| !SHELLS.contains(name)))?;
    put("archive", &mut archive_names())?;
    for name in ["git", "jq", "rg"] {
        put(name, &mut std::iter::once(name))?;
    }
    put("agentos", &mut std::iter::once(TOOLS_PROGRAM))?;
    for (name, module) in AGENT_PROGRAMS {
        put(module, &mut std::iter::once(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layer_has_what_programs_expect() {
        let tree = Tree::from_layer(&base_layer().unwrap());
        for path in [
            "/etc/passwd",
            "/tmp",
            "/home/agentos",
            "/workspace",
            "/bin/sh",
            "/bin/bash",
            "/dev/null",
            "/bin/true",
        ] {
            assert!(tree.ino_at(path).is_ok(), "{path}");
        }
        assert_eq!(tree.ino_at("/bin/sh"), tree.ino_at("/bin/bash"));
        assert_eq!(tree.ino_at("/bin/true"), tree.ino_at("/bin/cat"));
        tree.fsck().unwrap();
    }
}
