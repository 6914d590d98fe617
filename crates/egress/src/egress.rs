//! The way out of one machine: its policy, and how much may be under way on it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::connect::Names;
use crate::grants::Grants;
use crate::tls::Tls;
use crate::{Code, Failure, Outgoing, Policy, exchange, frame};

/// The unit in which bytes of requests are counted.
const UNIT: usize = 1024;

/// Whoever asked is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Where an answer goes: the writing end of what a guest reads.
pub trait Answer: Send + Sync {
    /// Takes some of the bytes, once there is room.
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Gone>>;

    /// Ready when nobody will read any more.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()>;
}

/// How much, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests at once, without those under grants.
    pub requests: usize,
    /// Requests at once under grants, some of which listen for long.
    pub granted: usize,
    /// Bytes of requests that are not answered yet.
    pub request_bytes: usize,
    /// For the look-up of a name, the connection and TLS together.
    pub connect: Duration,
    /// Between two pieces of a body, while the guest takes them.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            requests: 32,
            granted: 256,
            request_bytes: 64 << 20,
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(300),
        }
    }
}

/// The way out of one machine.
pub struct Egress {
    pub(crate) policy: Arc<Policy>,
    pub(crate) limits: Limits,
    pub(crate) names: Names,
    pub(crate) tls: Tls,
    pub(crate) grants: Grants,
    requests: Semaphore,
    granted: Semaphore,
    units: Semaphore,
}

impl Egress {
    /// A way out with this policy.
    #[must_use]
    pub fn new(policy: Arc<Policy>, limits: Limits) -> Self {
        Self::over(policy, limits, Names::default(), Tls::default())
    }

    pub(crate) fn over(policy: Arc<Policy>, limits: Limits, names: Names, tls: Tls) -> Self {
        let units = (limits.request_bytes / UNIT).min(Semaphore::MAX_PERMITS);
        let requests = Semaphore::new(limits.requests.min(Semaphore::MAX_PERMITS));
        let granted = Semaphore::new(limits.granted.min(Semaphore::MAX_PERMITS));
        let grants = Grants::default();
        Egress { policy, limits, names, tls, grants, requests, granted, units: Semaphore::new(units) }
    }

    /// One of the same policy for another machine, without grants.
    #[must_use]
    pub fn for_another(&self) -> Self {
        Self::new(Arc::clone(&self.policy), self.limits)
    }

    /// Sends a request and hands the answer on until it ends, or until whoever asked is gone.
    pub async fn run(&self, outgoing: Outgoing, answer: &dyn Answer) {
        until_gone(answer, async {
            if let Err(failure) = self.try_run(outgoing, answer).await? {
                write(answer, &frame::failed(&failure)).await?;
            }
            Ok(())
        })
        .await;
    }

    /// Tells a failure as the answer.
    pub async fn fail(failure: &Failure, answer: &dyn Answer) {
        until_gone(answer, write(answer, &frame::failed(failure))).await;
    }

    async fn try_run(&self, outgoing: Outgoing, answer: &dyn Answer) -> Result<Result<(), Failure>, Gone> {
        let grant = match self.grants.of(&outgoing) {
            Ok(grant) => grant,
            Err(failure) => return Ok(Err(failure)),
        };
        let Some(grant) = grant else {
            if let Err(failure) = self.policy.check(&outgoing.origin) {
                return Ok(Err(failure));
            }
            let (_place, units) = match self.admit(&outgoing, &self.requests, self.limits.requests) {
                Ok(places) => places,
                Err(failure) => return Ok(Err(failure)),
            };
            return exchange::exchange(self, outgoing, None, units, answer).await;
        };
        let places = grant
            .place()
            .and_then(|own| Ok((own, self.admit(&outgoing, &self.granted, self.limits.granted)?)));
        let (_own, (_place, units)) = match places {
            Ok(places) => places,
            Err(failure) => return Ok(Err(failure)),
        };
        tokio::select! {
            biased;
            () = grant.ended() => Err(Gone),
            done = exchange::exchange(self, outgoing, Some(&grant), units, answer) => done,
        }
    }

    /// A place among the requests, and in the memory for them.
    fn admit<'a>(
        &'a self,
        outgoing: &Outgoing,
        places: &'a Semaphore,
        most: usize,
    ) -> Result<(SemaphorePermit<'a>, SemaphorePermit<'a>), Failure> {
        let full =
            |what: String| Failure::new(Code::Busy, format!("{what} are under way; wait for some to end"));
        let place = places.try_acquire().map_err(|_| full(format!("{most} requests")))?;
        let units = u32::try_from(outgoing.body.len().div_ceil(UNIT)).unwrap_or(u32::MAX);
        let units = self
            .units
            .try_acquire_many(units)
            .map_err(|_| full(format!("{} bytes of requests", self.limits.request_bytes)))?;
        Ok((place, units))
    }
}

/// Drives the work, and drops it when nobody will read what it gives.
async fn until_gone(answer: &dyn Answer, work: impl Future<Output = Result<(), Gone>>) {
    let gone = std::future::poll_fn(|cx| answer.poll_gone(cx));
    tokio::select! {
        biased;
        () = gone => {}
        _ = work => {}
    }
}

/// Writes all of it.
pub(crate) async fn write(answer: &dyn Answer, mut bytes: &[u8]) -> Result<(), Gone> {
    while !bytes.is_empty() {
        let n = std::future::poll_fn(|cx| answer.poll_write(cx, bytes)).await?;
        bytes = &bytes[n..];
    }
    Ok(())
}
