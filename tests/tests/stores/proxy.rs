//! A line to a server that can be cut, also in the midst of a request, that can stall, and that counts bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// What comes goes on.
    Up,
    /// All connections are closed, new ones at once.
    Down,
    /// Connections are taken and nothing goes on.
    Stalled,
}

#[derive(Clone, Copy, Debug)]
struct State {
    line: Line,
    /// Connections of an earlier one are cut.
    epoch: u64,
}

#[derive(Debug)]
struct Shared {
    state: watch::Sender<State>,
    /// What becomes of the line after so many bytes to the server.
    fuse: std::sync::Mutex<Option<(u64, Line)>>,
    down: AtomicU64,
}

impl Shared {
    fn set(&self, line: Line) {
        self.state.send_modify(|state| {
            state.epoch += u64::from(line != Line::Stalled);
            state.line = line;
        });
    }

    /// Whether these bytes go on to the server.
    fn burn(&self, bytes: u64) -> bool {
        let burnt = {
            let mut fuse = self.fuse.lock().unwrap();
            match &mut *fuse {
                Some((left, _)) if *left > bytes => {
                    *left -= bytes;
                    None
                }
                fuse => fuse.take(),
            }
        };
        if let Some((_, line)) = burnt {
            self.set(line);
        }
        burnt.is_none()
    }
}

/// It lives outside of the runtime of a test.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    pub(crate) port: u16,
    _runtime: Runtime,
}

impl Proxy {
    pub(crate) fn start(server: u16) -> Self {
        let state = watch::Sender::new(State { line: Line::Up, epoch: 0 });
        let shared = Arc::new(Shared { state, fuse: Default::default(), down: AtomicU64::new(0) });
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let all = shared.clone();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (shared, mut state) = (all.clone(), all.state.subscribe());
                let epoch = state.borrow_and_update().epoch;
                tokio::spawn(async move {
                    tokio::select! {
                        // First, so that nothing of what waited in a stalled line goes on.
                        biased;
                        _ = state.wait_for(|now| now.line == Line::Down || now.epoch != epoch) => {}
                        _ = carry(&shared, client, server) => {}
                    }
                });
            }
        });
        Proxy { shared, port, _runtime: runtime }
    }

    /// From now on.
    pub(crate) fn set(&self, line: Line) {
        *self.shared.fuse.lock().unwrap() = None;
        self.shared.set(line);
    }

    /// After so many bytes to the server; those in the midst of it are cut, also if the line is up again at once.
    pub(crate) fn after(&self, bytes: u64, line: Line) {
        *self.shared.fuse.lock().unwrap() = Some((bytes, line));
    }

    /// What the line is by now.
    pub(crate) fn line(&self) -> Line {
        self.shared.state.borrow().line
    }

    /// Whether it was cut or stalled as [`Self::after`] said.
    pub(crate) fn burnt(&self) -> bool {
        self.shared.fuse.lock().unwrap().is_none()
    }

    /// Bytes that came from the server since the last call.
    pub(crate) fn downloaded(&self) -> u64 {
        self.shared.down.swap(0, Ordering::Relaxed)
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests are no guests")]
async fn carry(shared: &Shared, mut client: TcpStream, server: u16) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", server)).await?;
    let (mut from_client, mut from_server) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut state = shared.state.subscribe();
    loop {
        let _ = state.wait_for(|now| now.line != Line::Stalled).await;
        tokio::select! {
            biased;
            _ = state.changed() => {}
            read = client.read(&mut from_client) => {
                let data = &from_client[..read?];
                if data.is_empty() {
                    return Ok(());
                }
                if shared.burn(data.len() as u64) {
                    server.write_all(data).await?;
                }
            }
            read = server.read(&mut from_server) => {
                let data = &from_server[..read?];
                if data.is_empty() {
                    return Ok(());
                }
                shared.down.fetch_add(data.len() as u64, Ordering::Relaxed);
                client.write_all(data).await?;
            }
        }
    }
}
