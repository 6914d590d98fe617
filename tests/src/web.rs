//! A web server on loopback for tests of what leaves a machine, and a guest that asks one thing.
//! The server is no example of one: it knows the paths of the tests.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// What a request has seen, and what it waits for.
#[derive(Debug, Default)]
struct State {
    heads: Vec<String>,
    closed: u32,
    go: bool,
}

/// A server on a port of its own, as long as the test process lives.
#[derive(Clone, Debug)]
pub struct Web {
    port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Web {
    /// A server that has begun to listen.
    ///
    /// # Panics
    /// If there is no port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let port = listener.local_addr().expect("it is bound").port();
        let web = Web { port, state: Arc::default() };
        let served = web.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let web = served.clone();
                std::thread::spawn(move || web.serve(stream));
            }
        });
        web
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its origin.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The heads of the requests that came.
    ///
    /// # Panics
    /// If a thread of it has panicked.
    #[must_use]
    pub fn heads(&self) -> Vec<String> {
        self.state.0.lock().expect("no thread panicked").heads.clone()
    }

    /// Connections that the other side gave up, of those whose answer has no end.
    ///
    /// # Panics
    /// If a thread of it has panicked.
    #[must_use]
    pub fn closed(&self) -> u32 {
        self.state.0.lock().expect("no thread panicked").closed
    }

    /// Lets `/stream` go on.
    ///
    /// # Panics
    /// If a thread of it has panicked.
    pub fn go(&self) {
        self.state.0.lock().expect("no thread panicked").go = true;
        self.state.1.notify_all();
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.state.0.lock().expect("no thread panicked").heads.push(head);
        // A client that gives up early is what some tests are about.
        let _ = self.answer(&path, &mut stream);
        let _ = stream.shutdown(Shutdown::Both);
    }

    fn answer(&self, path: &str, stream: &mut TcpStream) -> std::io::Result<()> {
        match path {
            "/hello" => stream.write_all(b"HTTP/1.1 200 OK\r\nx-mine: yes\r\ncontent-length: 2\r\n\r\nhi"),
            "/redirect" => {
                stream.write_all(b"HTTP/1.1 302 Found\r\nlocation: /hello\r\ncontent-length: 0\r\n\r\n")
            }
            "/huge" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nx-huge: ")?;
                stream.write_all(&vec![b'x'; 100 << 10])?;
                stream.write_all(b"\r\n\r\n")
            }
            "/half" => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
            "/large" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8388608\r\n\r\n")?;
                stream.write_all(&(0..8u32 << 20).map(|n| (n % 251) as u8).collect::<Vec<_>>())
            }
            "/stream" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")?;
                let state = self.state.0.lock().expect("no thread panicked");
                drop(self.state.1.wait_while(state, |state| !state.go));
                stream.write_all(b"3\r\ntwo\r\n0\r\n\r\n")
            }
            // "/never" answers nothing, "/endless" only begins.
            _ => {
                if path == "/endless" {
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nbegin")?;
                }
                let _ = stream.read(&mut [0; 64]);
                self.state.0.lock().expect("no thread panicked").closed += 1;
                Ok(())
            }
        }
    }
}

/// A guest that reads the length of a packed request (`u32`) and the request from its input, sends it, and writes the
/// frames of the answer to its output. The status is the errno of the call. Wherever a piece was written, `then` runs,
/// with `$fd` the descriptor, and `$fill` that reads so many bytes of input to an address.
#[must_use]
pub fn fetcher(then: &str) -> Vec<u8> {
    crate::assemble(&format!(
        r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "agentos_v1" "http_fetch" (func $fetch (param i32 i32 i32) (result i32)))
        (memory (export "memory") 4)
        (func $or_exit (param $errno i32) (param $status i32)
          (if (local.get $errno) (then (call $exit (local.get $status)))))
        (func $range (param $at i32) (param $len i32)
          (i32.store (i32.const 0) (local.get $at))
          (i32.store (i32.const 4) (local.get $len)))
        (func $fill (param $at i32) (param $len i32)
          (loop $more
            (if (i32.eqz (local.get $len)) (then (return)))
            (call $range (local.get $at) (local.get $len))
            (call $or_exit (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (i32.const 200))
            (if (i32.eqz (i32.load (i32.const 8))) (then (return)))
            (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
            (local.set $len (i32.sub (local.get $len) (i32.load (i32.const 8))))
            (br $more)))
        (func $print (param $at i32) (param $len i32)
          (loop $more
            (if (i32.eqz (local.get $len)) (then (return)))
            (call $range (local.get $at) (local.get $len))
            (call $or_exit (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (i32.const 201))
            (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
            (local.set $len (i32.sub (local.get $len) (i32.load (i32.const 8))))
            (br $more)))
        (func (export "_start") (local $fd i32) (local $n i32)
          (call $fill (i32.const 32) (i32.const 4))
          (call $fill (i32.const 32768) (i32.load (i32.const 32)))
          (local.set $n (call $fetch (i32.const 32768) (i32.load (i32.const 32)) (i32.const 16)))
          (call $or_exit (local.get $n) (local.get $n))
          (local.set $fd (i32.load (i32.const 16)))
          (i32.store8 (i32.const 72) (i32.const 1))
          (i32.store (i32.const 80) (local.get $fd))
          (loop $more
            (call $or_exit (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 8)) (i32.const 202))
            (call $range (i32.const 131072) (i32.const 65536))
            (call $or_exit (call $read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (i32.const 203))
            (local.set $n (i32.load (i32.const 8)))
            (if (i32.eqz (local.get $n)) (then (return)))
            (call $print (i32.const 131072) (local.get $n))
            {then}
            (br $more))))"#
    ))
}

/// Input of [`fetcher`].
#[must_use]
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8], timeout_ms: u32) -> Vec<u8> {
    let pack = |items: &[&[u8]]| -> Vec<u8> {
        items.iter().flat_map(|item| [&(item.len() as u32).to_le_bytes()[..], item].concat()).collect()
    };
    let texts: Vec<&[u8]> = headers.iter().flat_map(|(n, v)| [n.as_bytes(), v.as_bytes()]).collect();
    pack(&[&pack(&[method.as_bytes(), url.as_bytes(), &pack(&texts), body, &timeout_ms.to_le_bytes()])])
}
