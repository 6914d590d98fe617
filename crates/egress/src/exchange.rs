//! One request and its answer over HTTP/1.1, on a connection of its own. Redirects are answers like others.

use agentos_abi::http::{DATA_BYTES, HEAD_BYTES, HEADERS, Kind};
use http::header::{CONNECTION, HOST};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::SemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connect::connect;
use crate::egress::write;
use crate::grants::Grant;
use crate::{Answer, Code, Egress, Failure, Gone, Origin, Outgoing, frame};

/// What hyper may hold of a connection: a head, and what comes with it.
const BUFFER: usize = 2 * HEAD_BYTES;

/// A task that ends when whoever needs it does.
struct Driven(JoinHandle<()>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) async fn exchange(
    egress: &Egress,
    outgoing: Outgoing,
    grant: Option<&Grant>,
    units: SemaphorePermit<'_>,
    answer: &dyn Answer,
) -> Result<Result<(), Failure>, Gone> {
    let origin = outgoing.origin.clone();
    let (_connection, response) = match ask(egress, outgoing, grant).await {
        Ok(asked) => asked,
        Err(failure) => return Ok(Err(failure)),
    };
    drop(units);
    tracing::debug!(%origin, status = response.status().as_u16(), "egress");
    let (head, mut body) = response.into_parts();
    write(answer, &frame::head(head.status, &head.headers)).await?;
    loop {
        let frame = match timeout(egress.limits.idle, body.frame()).await {
            Err(_) => {
                let idle = egress.limits.idle.as_millis();
                let message = format!("nothing of the body came from {origin} for {idle} ms");
                return Ok(Err(Failure::new(Code::Timeout, message)));
            }
            Ok(None) => return write(answer, &frame::frame(Kind::End, &[])).await.map(Ok),
            Ok(Some(Err(error))) => return Ok(Err(told(&origin, &error))),
            Ok(Some(Ok(frame))) => frame,
        };
        // Trailers are of no use to anybody here.
        let Ok(data) = frame.into_data() else { continue };
        for piece in data.chunks(DATA_BYTES) {
            write(answer, &frame::frame(Kind::Data, piece)).await?;
        }
    }
}

/// Sends the request, and waits for the head of the answer.
async fn ask(
    egress: &Egress,
    outgoing: Outgoing,
    grant: Option<&Grant>,
) -> Result<(Driven, Response<Incoming>), Failure> {
    let origin = outgoing.origin.clone();
    let head_time = outgoing.head_time;
    let deadline = Instant::now() + head_time;
    let stream = connect(egress, &origin, egress.limits.connect.min(head_time)).await?;
    let request = request(egress, outgoing, grant)?;
    let asked = async {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(BUFFER).max_header_size(HEAD_BYTES).max_headers(HEADERS);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        // Its errors are told by the answer that they cut short.
        let driven = Driven(tokio::spawn(async move { drop(connection.await) }));
        Ok((driven, sender.send_request(request).await?))
    };
    match timeout_at(deadline, asked).await {
        Ok(Ok(asked)) => Ok(asked),
        Ok(Err(error)) => Err(told(&origin, &error)),
        Err(_) => {
            let message = format!("{origin} did not answer within {} ms", head_time.as_millis());
            Err(Failure::new(Code::Timeout, message))
        }
    }
}

/// The request as it is sent: with what the guest does not say, and what it must not see.
fn request(
    egress: &Egress,
    outgoing: Outgoing,
    grant: Option<&Grant>,
) -> Result<Request<Full<bytes::Bytes>>, Failure> {
    let Outgoing { origin, method, target, mut headers, body, .. } = outgoing;
    let bad = |what: &str| Failure::new(Code::BadRequest, format!("{what} cannot be sent"));
    let host = HeaderValue::from_str(&origin.authority()).map_err(|_| bad("the name of the host"))?;
    let mut all = HeaderMap::with_capacity(headers.len() + 4);
    all.insert(HOST, host);
    all.insert(CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in egress.policy.credentials().headers(&origin) {
        headers.remove(&name);
        all.insert(name, value);
    }
    if let Some(grant) = grant {
        grant.add(&mut all, &mut headers);
    }
    all.extend(headers);
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .body(Full::new(body))
        .map_err(|_| bad("path and query"))?;
    *request.headers_mut() = all;
    Ok(request)
}

/// An error of HTTP in words for a guest.
fn told(origin: &Origin, error: &hyper::Error) -> Failure {
    // The question for exactly this is one that hyper only answers to servers.
    if error.is_parse() && error.to_string().contains("too large") {
        let message = format!(
            "the head of the answer of {origin} has more than {HEAD_BYTES} bytes or {HEADERS} headers"
        );
        return Failure::new(Code::TooLarge, message);
    }
    if error.is_parse() {
        return Failure::new(Code::Protocol, format!("{origin} does not speak HTTP/1.1: {error}"));
    }
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Failure::new(Code::Aborted, format!("the connection to {origin} was lost: {error}{cause}"))
}
