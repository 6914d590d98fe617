//! `clone_call`: a child with a copy of the caller's memory that runs one function (guest ABI). How the memory is copied
//! is in `copy`.

use std::sync::Arc;

use agentos_kernel::process::Image;
use agentos_kernel::{Errno, Process, Result};
use wasmtime::{Caller, Val};

use crate::guest::{Guest, parts};
use crate::{copy, run};

/// Makes the child and starts it; returns its pid. ENOSYS for programs that cannot be copied, EAGAIN at a limit.
pub(crate) async fn clone_call(
    caller: &mut Caller<'_, Guest>,
    func: i32,
    arg: i32,
    pgid: i32,
    foreground: bool,
) -> Result<u32> {
    let guest = caller.data();
    let (machine, parent, program) =
        (Arc::clone(&guest.machine), Arc::clone(&guest.process), Arc::clone(&guest.program));
    let pending_word = guest.pending_word;
    if !program.clonable {
        return Err(Errno::ENOSYS);
    }
    let slot = machine.executor.take_slot().ok_or(Errno::EAGAIN)?;
    let stack_pointer = caller
        .get_export("__stack_pointer")
        .and_then(wasmtime::Extern::into_global)
        .ok_or(Errno::ENOSYS)?
        .get(&mut *caller);
    let fds = parent.fds.lock().clone();
    let image: Option<Image> = None;
    let child = machine.kernel.spawn_child(
        &parent,
        agentos_kernel::ChildSpec {
            fds,
            image,
            cwd: None,
            pgid,
            setsid: false,
            reset_signals: false,
            foreground,
        },
    )?;
    let pid = child.pid.0;
    let mut unborn = Unborn { machine: &machine, child: Some(Arc::clone(&child)) };
    let (mut store, instance) = copied(caller, &machine, &child, &program, &stack_pointer).await?;
    unborn.child = None;
    store.data_mut().pending_word = pending_word;
    run::start_clone(&machine, child, store, instance, (func, arg), slot);
    Ok(pid)
}

/// A child that does not run yet. If it never will, since its memory finds no room or its parent is killed before, it is
/// gone at once, as if fork had failed.
struct Unborn<'a> {
    machine: &'a crate::Machine,
    child: Option<Arc<Process>>,
}

impl Drop for Unborn<'_> {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            self.machine.kernel.abandon(&child);
        }
    }
}

async fn copied(
    caller: &mut Caller<'_, Guest>,
    machine: &Arc<crate::Machine>,
    child: &Arc<Process>,
    program: &Arc<crate::Program>,
    stack_pointer: &Val,
) -> Result<(wasmtime::Store<Guest>, wasmtime::Instance)> {
    let mut store = run::new_store(machine, child, program);
    let failed = |error: wasmtime::Error| {
        tracing::warn!(%error, "clone_call");
        Errno::EAGAIN
    };
    let instance = run::instantiate(&mut store, program).await.map_err(failed)?;
    {
        let (_, guest) = parts(caller)?;
        store.data_mut().preopens = guest
            .preopens
            .iter()
            .map(|p| {
                p.as_ref().map(|p| crate::guest::Preopen {
                    name: p.name.clone(),
                    directory: Arc::clone(&p.directory),
                })
            })
            .collect();
    }
    let memory = store.data().memory.ok_or(Errno::ENOSYS)?;
    let (source, _) = parts(caller)?;
    let have = memory.data_size(&store);
    let missing = source.len().saturating_sub(have) as u64;
    if missing > 0 {
        memory.grow_async(&mut store, missing.div_ceil(65_536)).await.map_err(|_| Errno::ENOMEM)?;
    }
    let pristine = program.pristine(have, || memory.data(&store));
    // SAFETY: the memory of an instance that has not run yet, of which wasmtime maps what lies behind the module's own part
    // anonymously; what is returned stays in the store, whose data goes before its memory is used again.
    #[allow(unsafe_code, reason = "replaces mappings of the new memory")]
    match unsafe { copy::pages(source, memory.data_mut(&mut store), have, pristine) } {
        Ok(moved) => store.data_mut().moved = moved,
        Err(errno) => {
            // A slot with a hole in it is worth less than the address space it takes.
            std::mem::forget(store);
            return Err(errno);
        }
    }
    instance
        .get_global(&mut store, "__stack_pointer")
        .ok_or(Errno::ENOSYS)?
        .set(&mut store, *stack_pointer)
        .map_err(failed)?;
    Ok((store, instance))
}
