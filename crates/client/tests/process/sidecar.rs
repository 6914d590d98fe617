//! The sidecar of these tests: answers who it is, makes VMs that can do nothing but wait, and ends.
//! It goes when its clients have gone.

use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentos_protocol::message::*;
use agentos_protocol::mux::{Limits, connect};
use agentos_protocol::version::{Hello, Role};
use agentos_protocol::{ConnectionLost, Handler, Responder};
use parking_lot::Mutex;

#[derive(Default)]
struct Service {
    clients: Arc<AtomicUsize>,
    waiting: Mutex<Vec<Responder>>,
}

impl Handler for Service {
    fn request(&self, request: Request, responder: Responder) {
        match request {
            Request::DescribeSidecar(_) => {
                let info = SidecarInfo { pid: std::process::id(), ..SidecarInfo::default() };
                responder.reply::<DescribeSidecar>(Ok(info));
            }
            Request::CreateVm(_) => {
                responder.reply::<CreateVm>(Ok(VmInfo { vm_id: "v".into(), ..VmInfo::default() }))
            }
            Request::Exec(_) => {
                eprintln!("an exec waits");
                self.waiting.lock().push(responder);
            }
            Request::ShutdownSidecar(_) => responder.reply::<ShutdownSidecar>(Ok(Empty {})),
            other => responder.unsupported(other.method()),
        }
    }

    fn closed(&self, _: &ConnectionLost) {
        self.clients.fetch_sub(1, Ordering::SeqCst);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

async fn serve(socket: UnixStream, service: Arc<Service>) -> Option<agentos_protocol::Connection> {
    service.clients.fetch_add(1, Ordering::SeqCst);
    let clients = Arc::clone(&service.clients);
    let connected = connect(socket, Hello::new(Role::Sidecar), service, Limits::default()).await;
    if connected.is_err() {
        clients.fetch_sub(1, Ordering::SeqCst);
    }
    connected.ok()
}

pub(crate) fn on_stdin() {
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    runtime().block_on(async {
        if let Some(connection) = serve(socket, Arc::default()).await {
            connection.closed().await;
        }
    });
}

pub(crate) fn on_socket(path: &str) {
    // Late, so that the others have to wait for it.
    std::thread::sleep(Duration::from_millis(200));
    let listener = UnixListener::bind(path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let runtime = runtime();
    let service = Arc::new(Service::default());
    let mut idle = 0;
    while idle < 40 {
        match listener.accept() {
            Ok((socket, _)) => drop(runtime.spawn(serve(socket, Arc::clone(&service)))),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
        // The socket stays behind, as after a crash.
        idle = if service.clients.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
    }
}
