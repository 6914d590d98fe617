//! Headers that the host puts into requests and that no guest sees. Where the values come from is behind a trait.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::Origin;

/// Gives the headers for an origin. They go to exactly that origin, in place of what the guest sent under the same names.
pub trait Credentials: Send + Sync {
    /// The headers; none for an origin that has no credential.
    fn headers(&self, origin: &Origin) -> Vec<(HeaderName, HeaderValue)>;
}

/// A header that is wiped from memory when it is dropped.
type Wiped = (HeaderName, Zeroizing<Vec<u8>>);

/// Headers that never change. Their values are wiped from memory when it is dropped.
#[derive(Default)]
pub struct Fixed(BTreeMap<Origin, Vec<Wiped>>);

impl Fixed {
    /// Adds one. `false` if the value cannot be one of a header, or the origin has one of that name.
    pub fn add(&mut self, origin: Origin, name: HeaderName, value: Zeroizing<Vec<u8>>) -> bool {
        let headers = self.0.entry(origin).or_default();
        let new = headers.iter().all(|(known, _)| *known != name) && HeaderValue::from_bytes(&value).is_ok();
        if new {
            headers.push((name, value));
        }
        new
    }
}

impl Credentials for Fixed {
    fn headers(&self, origin: &Origin) -> Vec<(HeaderName, HeaderValue)> {
        let made = |(name, value): &Wiped| {
            let mut value = HeaderValue::from_bytes(value).ok()?;
            value.set_sensitive(true);
            Some((name.clone(), value))
        };
        self.0.get(origin).into_iter().flatten().filter_map(made).collect()
    }
}

impl std::fmt::Debug for Fixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |headers: &[Wiped]| headers.iter().map(|(n, _)| n.to_string()).collect::<Vec<_>>();
        f.debug_map().entries(self.0.iter().map(|(o, h)| (o.to_string(), names(h)))).finish()
    }
}
