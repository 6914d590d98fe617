//! A program: a compiled module, ready to be instantiated, and what the host has to know of it.

use std::sync::OnceLock;

use wasmtime::{InstancePre, Module};

use crate::copy::Pristine;
use crate::executor::Slot;
use crate::guest::Guest;

/// A program that can be started.
pub struct Program {
    pub(crate) pre: InstancePre<Guest>,
    /// It imports `agentos_v1`: it gets Linux path semantics instead of the strict preview 1 ones.
    pub(crate) native_abi: bool,
    /// Its memory and globals can be copied: `clone_call` works.
    pub(crate) clonable: bool,
    /// Bytes of its initial memory; only growth beyond is charged.
    pub(crate) initial_memory: u64,
    /// Made at the first clone.
    pristine: OnceLock<Pristine>,
    /// Of a module that a guest brought: counted while it is loaded.
    _loaded: Option<Slot>,
}

/// Why a module cannot be a program. The text names what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// Not WebAssembly, or not valid.
    #[error("not a valid WebAssembly module: {reason}")]
    Invalid {
        /// What the validator says.
        reason: String,
    },
    /// An import that no module of the guest ABI offers.
    #[error("unknown import: {import}; programs may import wasi_snapshot_preview1 and agentos_v1 only")]
    UnknownImport {
        /// What is imported.
        import: String,
    },
    /// No `_start` or no `memory` export.
    #[error("not a WASI command module: it lacks the export `{export}`")]
    NotACommand {
        /// The export.
        export: &'static str,
    },
    /// Every loaded module takes up address space, of which the process has so much.
    #[error("{most} modules of guests are loaded already; try again when programs have ended")]
    TooMany {
        /// How many there can be.
        most: u32,
    },
    /// The image could not be made or loaded.
    #[error("image of the program: {reason}")]
    Image {
        /// Why.
        reason: String,
    },
}

impl Program {
    /// A program of the product, or, with the right to load one more, of a guest.
    pub(crate) fn new(
        linker: &wasmtime::Linker<Guest>,
        module: &Module,
        guests: Option<Slot>,
    ) -> Result<Self, ProgramError> {
        let trusted = guests.is_none();
        let mut initial_memory = None;
        let mut start = false;
        let mut stack_pointer = false;
        let mut clone_entry = false;
        for export in module.exports() {
            match (export.name(), export.ty()) {
                ("memory", wasmtime::ExternType::Memory(memory)) => {
                    initial_memory = Some(memory.minimum() * memory.page_size());
                }
                ("_start", wasmtime::ExternType::Func(_)) => start = true,
                ("__stack_pointer", wasmtime::ExternType::Global(_)) => stack_pointer = true,
                (agentos_abi::CLONE_ENTRY, wasmtime::ExternType::Func(_)) => clone_entry = true,
                _ => {}
            }
        }
        if !start {
            return Err(ProgramError::NotACommand { export: "_start" });
        }
        let Some(initial_memory) = initial_memory else {
            return Err(ProgramError::NotACommand { export: "memory" });
        };
        let native_abi = module.imports().any(|i| i.module() == agentos_abi::MODULE);
        let pre = linker
            .instantiate_pre(module)
            .map_err(|error| ProgramError::UnknownImport { import: error.to_string() })?;
        // Only our own toolchain settings guarantee that every mutable global is exported and that tables never change.
        let clonable = trusted && native_abi && stack_pointer && clone_entry;
        // The initial memory of our own programs is shared with the image; one that a guest brings may claim 4 GiB of it, so
        // all of it is charged.
        let initial_memory = if trusted { initial_memory } else { 0 };
        Ok(Self { pre, native_abi, clonable, initial_memory, pristine: OnceLock::new(), _loaded: guests })
    }
    /// What an instance that never ran holds: `fresh` is the memory of one, at least `len` bytes.
    pub(crate) fn pristine<'a>(&self, len: usize, fresh: impl FnOnce() -> &'a [u8]) -> &Pristine {
        self.pristine.get_or_init(|| Pristine::of(&fresh()[..len]))
    }
}
