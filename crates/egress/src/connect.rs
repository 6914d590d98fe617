//! From an origin to a connection: the name is looked up once, every address is checked, and one that passed is connected to.
//! Nothing looks the name up again, so that it cannot lead elsewhere in between. Proxies of the host's environment are not used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::{Code, Egress, Failure, Host, Origin, Scheme};

/// Addresses of a name that are tried.
const ADDRESSES: usize = 8;
/// What an address has to answer, while there are others.
const EACH: Duration = Duration::from_secs(3);

/// A connection, with or without TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Look-ups at once, of all machines. Each takes a thread, for as long as the resolver takes: nobody can tell it to stop.
const LOOK_UPS: usize = 128;
/// Those of one machine.
const OWN_LOOK_UPS: usize = 8;

static LOOK_UP: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LOOK_UPS)));

/// Who says what a name is.
pub(crate) enum Names {
    /// The resolver of this host, and how often it may be asked at once.
    Host(Arc<Semaphore>),
    /// The test: each look-up takes the next of these.
    #[cfg(test)]
    Told(std::sync::Mutex<std::collections::VecDeque<Vec<IpAddr>>>),
}

impl Default for Names {
    fn default() -> Self {
        Names::Host(Arc::new(Semaphore::new(OWN_LOOK_UPS)))
    }
}

impl Names {
    async fn look_up(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        match self {
            Names::Host(own) => {
                let own = Arc::clone(own).acquire_owned().await.map_err(std::io::Error::other)?;
                let all = Arc::clone(&LOOK_UP).acquire_owned().await.map_err(std::io::Error::other)?;
                let name = name.to_owned();
                let looked = tokio::task::spawn_blocking(move || {
                    // They stay with the thread, also when nobody waits for it any more.
                    let _places = (own, all);
                    Ok((name.as_str(), 0).to_socket_addrs()?.map(|address| address.ip()).collect())
                });
                looked.await.map_err(std::io::Error::other)?
            }
            #[cfg(test)]
            Names::Told(answers) => Ok(answers.lock().unwrap().pop_front().unwrap_or_default()),
        }
    }
}

pub(crate) async fn connect(
    egress: &Egress,
    origin: &Origin,
    time: Duration,
) -> Result<Box<dyn Stream>, Failure> {
    let Egress { policy, names, tls, .. } = egress;
    let deadline = Instant::now() + time;
    let slow = |what: &str| {
        Failure::new(Code::Timeout, format!("{what} {origin} took more than {} ms", time.as_millis()))
    };
    let looked = timeout_at(deadline, addresses(names, &origin.host));
    let found = looked.await.map_err(|_| slow("looking up"))??;
    let (open, blocked): (Vec<IpAddr>, Vec<IpAddr>) =
        found.into_iter().partition(|ip| policy.may_reach(origin, *ip));
    if open.is_empty() {
        return Err(policy.blocked(origin, &blocked));
    }
    let stream = first_that_answers(&open, origin, deadline).await?.ok_or_else(|| slow("connecting to"))?;
    // Small pieces, such as the end of a request, go at once.
    let _ = stream.set_nodelay(true);
    if origin.scheme == Scheme::Http {
        return Ok(Box::new(stream));
    }
    let name = match &origin.host {
        Host::Ip(ip) => ServerName::IpAddress((*ip).into()),
        Host::Name(name) => ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned())
            .map_err(|_| Failure::new(Code::Tls, format!("{name:?} is no name for a certificate")))?,
    };
    let connector = TlsConnector::from(tls.client().await?);
    let shaken = timeout_at(deadline, connector.connect(name, stream)).await;
    let secured = shaken.map_err(|_| slow("TLS with"))?;
    let secured = secured.map_err(|error| Failure::new(Code::Tls, format!("TLS with {origin}: {error}")))?;
    Ok(Box::new(secured))
}

/// What a host is, by its address or by the resolver of this host.
async fn addresses(names: &Names, host: &Host) -> Result<Vec<IpAddr>, Failure> {
    let name = match host {
        Host::Ip(ip) => return Ok(vec![*ip]),
        Host::Name(_) if host.is_localhost() => {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        Host::Name(name) => name,
    };
    let none = |why: String| Failure::new(Code::Dns, format!("{name}: {why}"));
    let found = names.look_up(name).await.map_err(|error| none(error.to_string()))?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for ip in found {
        if addresses.len() < ADDRESSES && !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    if addresses.is_empty() { Err(none("has no address".to_owned())) } else { Ok(addresses) }
}

/// A connection to the first address that takes one; `None` when the time is over.
async fn first_that_answers(
    addresses: &[IpAddr],
    origin: &Origin,
    deadline: Instant,
) -> Result<Option<TcpStream>, Failure> {
    let mut last = None;
    for (n, ip) in addresses.iter().enumerate() {
        let until = if n + 1 == addresses.len() { deadline } else { deadline.min(Instant::now() + EACH) };
        let address = SocketAddr::new(*ip, origin.port);
        #[expect(clippy::disallowed_methods, reason = "this is egress: the policy has allowed the address")]
        let attempt = TcpStream::connect(address);
        match timeout_at(until, attempt).await {
            Ok(Ok(stream)) => return Ok(Some(stream)),
            Ok(Err(error)) => {
                last = Some(Failure::new(Code::Connect, format!("{origin} ({address}): {error}")))
            }
            Err(_) if Instant::now() >= deadline => return Ok(None),
            Err(_) => {}
        }
    }
    last.map_or(Ok(None), Err)
}
