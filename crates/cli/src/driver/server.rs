//! Who may connect: one host at a time, by the token, on loopback. Anybody on this machine can try, so what has not shown the
//! token gets little room and little time.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentos_driver::runner::{MAX_MESSAGE, Wire, same_secret};
use percent_encoding::percent_decode_str;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, Uri, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::task::AbortOnDropHandle;

use super::socket;

/// The path of the control connection.
const PATH: &str = "/driver";
/// Who may try at once. One more takes the place of the one that has tried longest.
const TRYING: usize = 64;
/// How long a try may take.
const TRY: Duration = Duration::from_secs(5);
/// How long until the next one is taken, when taking one failed: there may be too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The place of the one host.
struct Place(Arc<AtomicBool>);

impl Place {
    fn take(taken: &Arc<AtomicBool>) -> Option<Self> {
        let free = taken.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire).is_ok();
        free.then(|| Place(Arc::clone(taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Listens, where only this machine can connect.
pub(super) async fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

/// Lets hosts in, one at a time; it never ends.
pub(super) async fn serve(listener: TcpListener, token: String, wires: mpsc::Sender<Wire>) {
    let (token, taken) = (Arc::new(token), Arc::new(AtomicBool::new(false)));
    let mut trying: VecDeque<AbortOnDropHandle<()>> = VecDeque::new();
    // The host that is there is not one of those who try.
    let (let_in, mut hosts) = mpsc::channel::<Host>(1);
    let mut host: Option<AbortOnDropHandle<()>> = None;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    trying.retain(|one| !one.is_finished());
                    if trying.len() >= TRYING {
                        trying.pop_front();
                    }
                    let one = handshake(stream, Arc::clone(&token), Arc::clone(&taken), let_in.clone());
                    trying.push_back(AbortOnDropHandle::new(tokio::spawn(one)));
                }
                Err(_) => sleep(PAUSE).await,
            },
            Some(came) = hosts.recv() => {
                let Host { socket, place } = came;
                let (wire, carrier) = Wire::new();
                // The one before is gone: its place was free.
                host.replace(AbortOnDropHandle::new(tokio::spawn(async move {
                    socket::carry(socket, carrier).await;
                    drop(place);
                })));
                if wires.send(wire).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A host that has shown the token.
struct Host {
    socket: tokio_tungstenite::WebSocketStream<TcpStream>,
    place: Place,
}

async fn handshake(
    stream: TcpStream,
    token: Arc<String>,
    taken: Arc<AtomicBool>,
    let_in: mpsc::Sender<Host>,
) {
    let mut config = WebSocketConfig::default();
    config.max_message_size = Some(MAX_MESSAGE);
    config.max_frame_size = Some(MAX_MESSAGE);
    let _ = stream.set_nodelay(true);
    let mut place = None;
    #[expect(clippy::result_large_err, reason = "it is the library's own answer")]
    let admit = |request: &Request, response: Response| match refusal(request.uri(), &token) {
        Some(status) => Err(refuse(status)),
        None => {
            place = Place::take(&taken);
            if place.is_some() { Ok(response) } else { Err(refuse(StatusCode::CONFLICT)) }
        }
    };
    let shaken = timeout(TRY, accept_hdr_async_with_config(stream, admit, Some(config))).await;
    if let (Ok(Ok(socket)), Some(place)) = (shaken, place) {
        let _ = let_in.send(Host { socket, place }).await;
    }
}

/// Why a request is refused, before it is asked whether there is a place.
fn refusal(uri: &Uri, token: &str) -> Option<StatusCode> {
    if uri.path() != PATH {
        return Some(StatusCode::NOT_FOUND);
    }
    let mut tokens =
        uri.query().unwrap_or_default().split('&').filter_map(|part| part.strip_prefix("token="));
    let given = match (tokens.next(), tokens.next()) {
        (Some(given), None) => percent_decode_str(given).decode_utf8_lossy().into_owned(),
        _ => String::new(),
    };
    (!same_secret(&given, token)).then_some(StatusCode::UNAUTHORIZED)
}

fn refuse(status: StatusCode) -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_path_and_the_token_once() {
        let refused = |uri: &str| refusal(&uri.parse().unwrap(), "a b&c").map(|status| status.as_u16());
        for (uri, status) in [
            ("/driver?token=a%20b%26c", None),
            ("/driver?x=1&token=a%20b%26c", None),
            ("/driver", Some(401)),
            ("/driver?token=", Some(401)),
            ("/driver?token=a", Some(401)),
            ("/driver?token=a%20b%26c&token=a%20b%26c", Some(401)),
            ("/driver?Token=a%20b%26c", Some(401)),
            ("/driver/?token=a%20b%26c", Some(404)),
            ("/?token=a%20b%26c", Some(404)),
        ] {
            assert_eq!(refused(uri), status, "{uri}");
        }
    }
}
