//! What differs from VM to VM in the root: host name, user, instructions, commands of toolkits. In a root without the bundled base only what is
//! there is changed, and the devices of the machine are made.

use agentos_kernel::Errno;
use agentos_protocol::WireError;
use agentos_protocol::message::VmConfig;
use agentos_vfs::{FileSystem, Layer, Tree};

use crate::config::Checked;
use crate::errors::failed;
use crate::tools::{self, Toolkits};

/// Most bytes of a file that is changed here. A layer may bring any.
const TEXT: u64 = 1 << 20;
/// The end of the inputs of a root over layers of a user.
const LAYERED: &str = " over layers";
/// The address that a machine has for its own name.
const OWN: &str = "127.0.1.1\t";

/// Whether a root with these [`inputs`] was made over layers of a user.
pub(super) fn was_layered(inputs: &[u8]) -> bool {
    inputs.ends_with(LAYERED.as_bytes())
}

/// All that [`furnish`] looks at, as bytes that can be kept and compared.
pub(super) fn inputs(
    checked: &Checked,
    config: &VmConfig,
    toolkits: Option<&Toolkits>,
    bundled: bool,
    layered: bool,
) -> Vec<u8> {
    let user = &checked.user;
    let instructions = &config.additional_instructions;
    let base = if bundled { "" } else { " without the base" };
    let layers = if layered { LAYERED } else { "" };
    let tools = toolkits.map(|kits| format!("{:?}", (tools::links(kits), kits.reference())));
    let tools = tools.unwrap_or_default();
    format!(
        "{:?}{base}{tools}{layers}",
        (&checked.hostname, &user.name, user.uid, user.gid, &checked.home, instructions)
    )
    .into_bytes()
}

/// Furnishes a root that began as `original`; `bundled` tells whether the bundled base is in it. Doing it again changes nothing
/// more.
pub(super) fn furnish(
    tree: &Tree,
    original: &Layer,
    checked: &Checked,
    config: &VmConfig,
    toolkits: Option<&Toolkits>,
    bundled: bool,
) -> Result<(), WireError> {
    if !bundled {
        agentos_base_snapshot::system(tree).map_err(|errno| failed(errno, "make", "/dev"))?;
    }
    let hostname = &checked.hostname;
    if bundled || tree.ino_at("/etc").is_ok() {
        put(tree, "/etc/hostname", 0o644, format!("{hostname}\n").into_bytes())?;
    }
    let own = if hostname == "agentos" { String::new() } else { format!("{OWN}{hostname}\n") };
    replace_lines(tree, "/etc/hosts", OWN, &own)?;
    let user = &checked.user;
    let known = matches!((user.name.as_str(), user.uid, user.gid), ("agentos", 1000, 1000) | ("root", 0, 0));
    if !known || checked.home.as_bytes() != b"/home/agentos" {
        directory(tree, checked.home.as_bytes(), user.uid, user.gid)?;
    }
    if !known {
        let (name, uid, gid, home) = (&user.name, user.uid, user.gid, &checked.home);
        let prefix = format!("{name}:");
        replace_lines(tree, "/etc/passwd", &prefix, &format!("{name}:x:{uid}:{gid}::{home}:/bin/sh\n"))?;
        replace_lines(tree, "/etc/group", &prefix, &format!("{name}:x:{gid}:\n"))?;
        if bundled {
            directory(tree, b"/workspace", uid, gid)?;
        }
    }
    if bundled {
        tools::link(tree, toolkits);
    }
    let more = config.additional_instructions.as_deref().into_iter();
    let more: Vec<&str> = more.chain(toolkits.filter(|_| bundled).map(Toolkits::reference)).collect();
    let file = "/etc/agentos/instructions.md";
    let now = text(tree, file)?;
    let before = text(&Tree::from_layer(original), file)?;
    // Without more to say a root of others is left as it is; with less than an earlier time, what was said then goes.
    if more.is_empty() && (now.is_none() || before.is_none()) {
        return Ok(());
    }
    let mut all = before.unwrap_or_default();
    for more in more {
        all.extend_from_slice(format!("\n{}\n", more.trim_end()).as_bytes());
    }
    if now.as_ref() == Some(&all) { Ok(()) } else { put(tree, file, 0o444, all) }
}

fn put(tree: &Tree, path: &str, perm: u32, text: Vec<u8>) -> Result<(), WireError> {
    tree.put_file(path, perm, 0, 0, text).map(|_| ()).map_err(|errno| failed(errno, "write", path))
}

fn directory(tree: &Tree, path: &[u8], uid: u32, gid: u32) -> Result<(), WireError> {
    tree.put_dir(path, 0o755, uid, gid).map(|_| ()).map_err(|errno| failed(errno, "mkdir", path))
}

/// The content of a file; `None` if there is none.
fn text(tree: &Tree, path: &str) -> Result<Option<Vec<u8>>, WireError> {
    let fail = |errno| failed(errno, "read", path);
    let ino = match tree.ino_at(path) {
        Ok(ino) => ino,
        Err(Errno::ENOENT) => return Ok(None),
        Err(errno) => return Err(fail(errno)),
    };
    let content = tree.content(ino).ok_or_else(|| fail(Errno::EINVAL))?;
    if content.len() > TEXT {
        return Err(fail(Errno::EFBIG));
    }
    let mut text = vec![0; content.len() as usize];
    content.read_at(&mut text, 0);
    Ok(Some(text))
}

/// Replaces the lines with this beginning by `line`, in a file that is there.
fn replace_lines(tree: &Tree, path: &str, prefix: &str, line: &str) -> Result<(), WireError> {
    let Some(old) = text(tree, path)? else { return Ok(()) };
    let prefix = prefix.as_bytes();
    let mut new: Vec<u8> =
        old.split_inclusive(|b| *b == b'\n').filter(|l| !l.starts_with(prefix)).flatten().copied().collect();
    if !line.is_empty() && new.last().is_some_and(|byte| *byte != b'\n') {
        new.push(b'\n');
    }
    new.extend_from_slice(line.as_bytes());
    if new == old { Ok(()) } else { put(tree, path, 0o644, new) }
}
