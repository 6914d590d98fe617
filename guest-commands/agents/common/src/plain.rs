//! HTTP/1.1 over a plain connection, as the host of a machine would make it: a thread feeds a pipe. For tests only.

use std::{
    cell::RefCell,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::mpsc::{Receiver, sync_channel},
};

use agentos_guest::fd;

use crate::http::{Http, Part, Request, Response};

/// Parts of an answer that wait to be read.
const WAITING: usize = 256;

/// Requests to plain HTTP servers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

struct Answer {
    pipe: fd::Owned,
    parts: RefCell<Receiver<Part>>,
    /// Closed with the answer, so that the server sees the client go.
    stream: TcpStream,
}

impl Drop for Answer {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

impl Http for Plain {
    fn fetch(&self, request: &Request) -> io::Result<Box<dyn Response>> {
        let rest = request.url.strip_prefix("http://").expect("plain");
        let (host, path) = rest.split_once('/').expect("a path");
        #[expect(clippy::disallowed_methods, reason = "a server of the test, and no machine")]
        let mut stream = TcpStream::connect(host)?;
        let headers: String =
            request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        write!(
            stream,
            "{} /{path} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {}\r\n\r\n",
            request.method,
            request.body.len()
        )?;
        stream.write_all(&request.body)?;
        let (pipe, theirs) = fd::pipe(true)?;
        let (send, parts) = sync_channel(WAITING);
        let reading = stream.try_clone()?;
        std::thread::spawn(move || {
            let mut tell = |part| {
                let _ = send.send(part);
                // A byte in the pipe for each part.
                let _ = fd::write(theirs.raw(), b".");
            };
            let last = match read(reading, &mut tell) {
                Ok(()) => Part::End,
                Err(error) => Part::Failed { code: "lost".to_owned(), message: error.to_string() },
            };
            tell(last);
        });
        Ok(Box::new(Answer { pipe, parts: RefCell::new(parts), stream }))
    }
}

fn read(stream: TcpStream, tell: &mut impl FnMut(Part)) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    let mut next = |reader: &mut BufReader<TcpStream>| -> io::Result<String> {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    };
    let status =
        next(&mut reader)?.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let mut headers = Vec::new();
    loop {
        let line = next(&mut reader)?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map(|(_, value)| value.parse().expect("a length"));
    tell(Part::Head { status, headers });
    if let Some(length) = length {
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        tell(Part::Data(body));
        return Ok(());
    }
    loop {
        let size = usize::from_str_radix(&next(&mut reader)?, 16).expect("a size");
        if size == 0 {
            return Ok(());
        }
        let mut body = vec![0; size];
        reader.read_exact(&mut body)?;
        next(&mut reader)?;
        tell(Part::Data(body));
    }
}

impl Response for Answer {
    fn fd(&self) -> u32 {
        self.pipe.raw()
    }

    fn read(&mut self) -> io::Result<Vec<Part>> {
        let mut bytes = [0; 64];
        let n = fd::read(self.pipe.raw(), &mut bytes)?;
        Ok(self.parts.borrow_mut().iter().take(n).collect())
    }
}
