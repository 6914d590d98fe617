//! Why a request has no answer, in words for the guest that asked. Nothing of a credential is in them.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $text:literal,)*) => {
        /// What kind of failure it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// As the guest is told.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Code::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// The request is none that can be sent.
    BadRequest "bad_request",
    /// The policy or the permission tree says no.
    Denied "denied",
    /// Every address of the host is one that guests may not reach.
    BlockedAddress "blocked_address",
    /// Too many requests, or bytes of them, are under way.
    Busy "busy",
    /// The request or the head of the answer is too large.
    TooLarge "too_large",
    /// The name of the host leads nowhere.
    Dns "dns",
    /// Nobody answers there.
    Connect "connect",
    /// No trusted connection could be made.
    Tls "tls",
    /// It took longer than allowed.
    Timeout "timeout",
    /// What came is not HTTP.
    Protocol "protocol",
    /// The connection was lost before the answer was complete.
    Aborted "aborted",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// What kind it is.
    pub code: Code,
    /// What went wrong, and what would help.
    pub message: String,
}

impl Failure {
    /// A failure.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Failure { code, message: message.into() }
    }
}
