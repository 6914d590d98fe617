//! The service behind the wire: from a request to the VM that it is about.

pub(crate) mod driver;
pub(crate) mod files;
mod layers;
pub(crate) mod mounts;
pub(crate) mod outputs;
mod permissions;
mod plugins;
pub(crate) mod processes;
pub(crate) mod sessions;
pub(crate) mod shells;
mod snapshots;
mod sources;
pub(crate) mod tree;
mod vms;
mod watch;

use std::sync::Arc;

use agentos_protocol::message::{Ping, Request};
use agentos_protocol::mux::Responder;

use crate::connection::{Client, answer, answer_later};
use crate::limits::named;

/// Answers a request. Runs in the task that reads the socket and never blocks.
pub(crate) fn dispatch(client: &Client, request: Request, responder: Responder) {
    /// Looks the VM up and answers with what `$call(vm, request)` becomes.
    macro_rules! of_vm {
        ($answer:ident, $Type:ty, $request:ident, $call:path) => {
            match client.vm(&$request.vm_id) {
                Ok(vm) => $answer::<$Type>(responder, named(Arc::clone(&vm), $call(vm, $request))),
                Err(error) => responder.error(&error),
            }
        };
    }
    use agentos_protocol::message as m;
    match request {
        Request::Ping(_) => responder.reply::<Ping>(Ok(m::Empty {})),
        Request::DescribeSidecar(_) => vms::describe_sidecar(client, responder),
        Request::ShutdownSidecar(r) => vms::shutdown(client, r, responder),
        Request::CreateVm(r) => vms::create(client, r, responder),
        Request::ForkVm(r) => vms::fork(client, &r, responder),
        Request::DescribeVm(r) => vms::describe(client, &r, responder),
        Request::DisposeVm(r) => vms::dispose(client, &r, responder),
        Request::ListVms(_) => vms::list(client, responder),

        Request::ExportSnapshot(r) => snapshots::export(client, &r, responder),
        Request::ImportLayer(r) => snapshots::import(client, r, responder),
        Request::DropLayer(r) => snapshots::drop_layer(client, &r, responder),

        Request::ReadFile(r) => files::read(client, r, responder),
        Request::WriteFile(r) => files::write(client, r, responder),
        Request::Mkdir(r) => of_vm!(answer, m::Mkdir, r, tree::mkdir),
        Request::Readdir(r) => of_vm!(answer, m::Readdir, r, tree::readdir),
        Request::ReaddirRecursive(r) => tree::readdir_recursive(client, r, responder),
        Request::Stat(r) => of_vm!(answer, m::Stat, r, tree::stat),
        Request::Exists(r) => of_vm!(answer, m::Exists, r, tree::exists),
        Request::MovePath(r) => of_vm!(answer_later, m::MovePath, r, tree::move_path),
        Request::Delete(r) => of_vm!(answer_later, m::Delete, r, tree::delete),
        Request::Symlink(r) => of_vm!(answer, m::Symlink, r, tree::symlink),
        Request::ReadLink(r) => of_vm!(answer, m::ReadLink, r, tree::read_link),
        Request::Link(r) => of_vm!(answer, m::Link, r, tree::link),
        Request::Chmod(r) => of_vm!(answer, m::Chmod, r, tree::chmod),
        Request::Chown(r) => of_vm!(answer, m::Chown, r, tree::chown),
        Request::Truncate(r) => of_vm!(answer, m::Truncate, r, tree::truncate),
        Request::Utimes(r) => of_vm!(answer, m::Utimes, r, tree::utimes),
        Request::Watch(r) => watch::watch(client, r, responder),

        Request::Mount(r) => mounts::add(client, r, responder),
        Request::Unmount(r) => of_vm!(answer_later, m::Unmount, r, mounts::remove),
        Request::ListMounts(r) => of_vm!(answer, m::ListMounts, r, mounts::list),

        Request::MakeCheckpoint(r) => of_vm!(answer_later, m::MakeCheckpoint, r, layers::make),
        Request::ListCheckpoints(r) => of_vm!(answer, m::ListCheckpoints, r, layers::list),
        Request::DeleteCheckpoint(r) => of_vm!(answer_later, m::DeleteCheckpoint, r, layers::delete),
        Request::Rollback(r) => of_vm!(answer_later, m::Rollback, r, layers::rollback),
        Request::DiffMoments(r) => layers::diff(client, r, responder),

        Request::ExplainPermission(r) => of_vm!(answer, m::ExplainPermission, r, permissions::explain),
        Request::LearnedPermissions(r) => {
            of_vm!(answer_later, m::LearnedPermissions, r, permissions::learned)
        }

        Request::Exec(r) => processes::exec(client, r, responder),
        Request::Spawn(r) => processes::spawn(client, r, responder),
        Request::ReadOutput(r) => outputs::read(client, &r, responder),
        Request::WaitProcess(r) => of_vm!(answer, m::WaitProcess, r, outputs::wait),
        Request::ListProcesses(r) => of_vm!(answer, m::ListProcesses, r, outputs::list),
        Request::AllProcesses(r) => of_vm!(answer, m::AllProcesses, r, outputs::all),
        Request::SignalProcess(r) => of_vm!(answer, m::SignalProcess, r, outputs::signal),

        Request::OpenShell(r) => shells::open(client, r, responder),
        Request::ReadShell(r) => shells::read(client, &r, responder),
        Request::ResizeShell(r) => of_vm!(answer, m::ResizeShell, r, shells::resize),
        Request::CloseShell(r) => of_vm!(answer, m::CloseShell, r, shells::close),
        Request::WaitShell(r) => of_vm!(answer, m::WaitShell, r, shells::wait),
        Request::ListShells(r) => of_vm!(answer, m::ListShells, r, shells::list),

        other => sessions::dispatch(client, other, responder),
    }
}
