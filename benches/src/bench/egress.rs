//! What the way out of a machine adds to an HTTP request to a server on this host: a guest that asks one after the other, and
//! this program doing the same with sockets of its own, in turn.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use agentos::{AgentOsConfig, EgressPolicy};

use super::Rows;
use crate::failure::{Failure, Result};
use crate::guest;
use crate::rig::{Rig, exec_argv, install, timed};
use crate::row::Row;

/// Rounds of both.
const ROUNDS: usize = 15;
/// Requests of a round.
const TIMES: u32 = 200;
const PROGRAM: &str = "/tmp/fetch";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
/// What either side of a connection waits for the other.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a request to the end of its head, and answers it.
fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut head, mut buf) = (Vec::new(), [0; 4096]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buf)? {
            0 => return Ok(()),
            n => head.extend_from_slice(&buf[..n]),
        }
    }
    stream.write_all(ANSWER)
}

/// A server that ends with this program.
fn server() -> Result<SocketAddr> {
    let failed = |error: std::io::Error| Failure::wrong(format!("a server on loopback: {error}"));
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever breaks off has its own failure.
            let _ = answer(stream);
        }
    });
    Ok(address)
}

#[expect(
    clippy::disallowed_methods,
    reason = "no guest has a part in it: it is what a guest is compared with"
)]
fn ask(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes())?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all)?;
    if all == ANSWER { Ok(()) } else { Err(std::io::Error::other("another answer")) }
}

fn natively(address: SocketAddr) -> Result<Duration> {
    let begin = Instant::now();
    for _ in 0..TIMES {
        ask(address).map_err(|error| Failure::wrong(format!("a request without a machine: {error}")))?;
    }
    Ok(begin.elapsed())
}

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let address = server()?;
    let origin = format!("http://{address}");
    let egress = EgressPolicy::new([origin.as_str()]);
    let config = AgentOsConfig {
        egress: Some(egress),
        loopback_exempt_ports: vec![address.port()],
        ..AgentOsConfig::default()
    };
    let os = rig.vm_with(config).await?;
    install(&os, PROGRAM, &guest::fetcher(&format!("{origin}/"), TIMES)?).await?;
    let (mut added, mut native) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
    let each = |all: Duration| all.as_secs_f64() * 1e3 / f64::from(TIMES);
    // The first round is a warm-up.
    for round in 0..=ROUNDS {
        let without = tokio::task::spawn_blocking(move || natively(address));
        let without = without.await.unwrap_or_else(|error| Err(Failure::wrong(error.to_string())))?;
        let with = timed(exec_argv(&os, &[PROGRAM])).await?;
        if round > 0 {
            added.push(each(with) - each(without));
            native.push(each(without));
        }
    }
    let row = Row::measured("egress_added", "ms", &added, &native);
    rows.push(row.note("added to what the same request takes without a machine"));
    Ok(())
}
