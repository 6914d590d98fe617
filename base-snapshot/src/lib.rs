//! The base layer of every VM: `/etc`, users, devices, time zones, and the bundled programs under `/bin`. It runs nothing itself.

#![forbid(unsafe_code)]

mod etc;
mod layer;
mod zones;

pub use layer::{AGENT_PROGRAMS, TOOLS_PROGRAM, base_layer, system};

/// A guest program that ships with the product.
#[derive(Clone, Copy, Debug)]
pub struct BundledProgram {
    /// Its name: `sh`, `tools`, `git`, `scripted` and so on.
    pub name: &'static str,
    /// Its WebAssembly module; empty in a build that only checked.
    pub wasm: &'static [u8],
    /// BLAKE3 of the module.
    pub hash: [u8; 32],
}

/// Every bundled program. A static, so that the modules have one address in the whole process: the executor knows a
/// bundled program by it.
pub static PROGRAMS: [BundledProgram; 12] = include!(concat!(env!("OUT_DIR"), "/programs.rs"));

/// The names under which the multicall module of archives and compression is called, sorted.
pub fn archive_names() -> impl Iterator<Item = &'static str> {
    include_str!("../../guest-commands/archive/commands.txt").lines().filter(|line| !line.is_empty())
}

/// The names under which the multicall module of tools is called, sorted.
pub fn tool_names() -> impl Iterator<Item = &'static str> {
    include_str!("../../guest-commands/tools/commands.txt").lines().filter(|line| !line.is_empty())
}
