//! The calls that guests import: WASI preview 1 and `agentos_v1`, each a thin adapter over a system call of the kernel.

mod clocks;
mod directories;
mod environment;
mod fds;
mod http;
mod machine;
mod native_fds;
mod native_files;
mod paths;
mod poll;
mod processes;
mod rights;
mod signals;
mod terminals;
mod tools;
mod wasi;

use agentos_kernel::{Errno, Result};
use wasmtime::{Engine, Linker, Store};

use crate::guest::{Guest, Preopen};

/// The import module of preview 1.
const WASI: &str = "wasi_snapshot_preview1";

/// Registers a call that never waits.
macro_rules! quick {
    ($linker:expr, $module:expr, $function:ident($($arg:ident: $ty:ty),*)) => {
        $linker.func_wrap($module, stringify!($function), |mut caller: wasmtime::Caller<'_, crate::guest::Guest> $(, $arg: $ty)*| -> wasmtime::Result<i32> {
            let result = $function(&mut caller $(, $arg)*);
            crate::guest::finish(&mut caller, result)
        })?
    };
}

/// Registers a call that may wait: its guest is suspended meanwhile.
macro_rules! waiting {
    ($linker:expr, $module:expr, $function:ident($($arg:ident: $ty:ty),*)) => {
        $linker.func_wrap_async($module, stringify!($function), |mut caller: wasmtime::Caller<'_, crate::guest::Guest>, ($($arg,)*): ($($ty,)*)| {
            Box::new(async move {
                let result = $function(&mut caller $(, $arg)*).await;
                crate::guest::finish_waiting(&mut caller, result).await
            })
        })?
    };
}

pub(crate) use rights::Rights;
pub(crate) use {quick, waiting};

/// A linker with every call of the guest ABI.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    environment::link(&mut linker)?;
    clocks::link(&mut linker)?;
    fds::link(&mut linker)?;
    directories::link(&mut linker)?;
    paths::link(&mut linker)?;
    poll::link(&mut linker)?;
    processes::link(&mut linker)?;
    rights::link(&mut linker)?;
    signals::link(&mut linker)?;
    native_fds::link(&mut linker)?;
    terminals::link(&mut linker)?;
    native_files::link(&mut linker)?;
    http::link(&mut linker)?;
    machine::link(&mut linker)?;
    tools::link(&mut linker)?;
    Ok(linker)
}

/// Gives a new guest its preopens.
///
/// A program of our ABI gets `/`. Any other gets the strict view of preview 1: with working directory `/` the preopen `/`,
/// else `.` for the working directory and one preopen for each directory in `/`.
pub(crate) async fn set_preopens(store: &mut Store<Guest>) -> Result<()> {
    let guest = store.data();
    let kernel = std::sync::Arc::clone(&guest.machine.kernel);
    let process = std::sync::Arc::clone(&guest.process);
    let native = guest.program.native_abi;
    let root = kernel.namespace.root();
    let cwd = process.cwd();
    let at_root = cwd.ino == root.ino && cwd.mount.id == root.mount.id;
    let mut preopens = Vec::new();
    let mut pwd = None;
    let mut add = |name: &[u8], location: agentos_vfs::Location| {
        preopens
            .push(Some(Preopen { name: name.to_vec(), directory: kernel.directory_description(location) }));
    };
    if native || at_root {
        add(b"/", root);
    } else {
        pwd = kernel.namespace.path_of(&cwd).await.ok();
        add(b".", cwd);
        for (name, location) in kernel.directories_in_root().await? {
            let mut path = b"/".to_vec();
            path.extend_from_slice(&name);
            add(&path, location);
        }
    }
    let guest = store.data_mut();
    guest.preopens = preopens;
    guest.pwd = pwd;
    Ok(())
}

/// A file offset that a guest gave.
fn offset(value: i64) -> Result<u64> {
    u64::try_from(value).map_err(|_| Errno::EINVAL)
}

/// A descriptor number that a guest gave.
fn fd_number(fd: i32) -> Result<agentos_kernel::Fd> {
    u32::try_from(fd).map(agentos_kernel::Fd).map_err(|_| Errno::EBADF)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The linker offers exactly the table of the ABI.
    #[test]
    fn every_call_of_the_abi_is_there() {
        let engine = crate::engine::compiler().unwrap();
        let linker = linker(&engine).unwrap();
        let guest = || -> Guest { unreachable!("no guest runs in this test") };
        let _ = guest;
        for (name, parameters) in agentos_abi::imports::NAMES {
            assert!(*parameters < 20);
            let module = wasmtime::Module::new(&engine, call_module(name)).unwrap();
            linker.instantiate_pre(&module).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        }
    }

    /// A module that imports `name` with the type that the table gives it.
    fn call_module(name: &str) -> Vec<u8> {
        macro_rules! types {
            ($($name:ident($($param:ident: $ty:ty),*) -> $ret:ty;)*) => {
                [$((stringify!($name), &[$(stringify!($ty)),*] as &[&str]),)*]
            };
        }
        let table = agentos_abi::agentos_v1!(types);
        let (_, params) = table.iter().find(|(n, _)| *n == name).unwrap();
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        let mut types = vec![1, 0x60, params.len() as u8];
        types.extend(params.iter().map(|t| if *t == "i64" { 0x7e } else { 0x7f }));
        types.extend([1, 0x7f]);
        let mut imports = vec![1];
        for text in [agentos_abi::MODULE, name] {
            imports.push(text.len() as u8);
            imports.extend(text.as_bytes());
        }
        imports.extend([0, 0]);
        for (id, body) in [(1u8, types), (2, imports)] {
            module.push(id);
            module.push(body.len() as u8);
            module.extend(body);
        }
        module
    }
}
