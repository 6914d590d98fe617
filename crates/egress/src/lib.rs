//! What leaves a machine: which origins may be asked, which addresses may be connected to, and HTTP with the credentials that
//! guests never see. It knows no guests and no files: who asks, and where the answer goes, is the business of its caller.

#![forbid(unsafe_code)]

mod address;
mod connect;
mod credentials;
mod egress;
mod exchange;
mod failure;
mod frame;
mod grants;
mod origin;
mod policy;
mod request;
#[cfg(test)]
mod tests;
mod tls;

pub use credentials::{Credentials, Fixed};
pub use egress::{Answer, Egress, Gone, Limits};
pub use failure::{Code, Failure};
pub use grants::{GrantSource, Granted};
pub use origin::{Host, Origin, Scheme};
pub use policy::{CredentialSource, Policy, PolicySource, Refusal};
pub use request::{Outgoing, RawRequest};
