//! The handshake: who speaks, which protocol, and what to do when the two sides do not fit.
//! It does not read or write: see [`crate::mux`].

use serde::{Deserialize, Serialize};

/// Both sides must agree on this one.
pub const PROTOCOL_MAJOR: u32 = 1;
/// Grows with every optional field, method or event; any two minors understand each other.
pub const PROTOCOL_MINOR: u32 = 2;
/// Version of this package, shown in messages.
pub const PACKAGE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Which side of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// The client library: sends requests, allocates odd stream ids.
    Client,
    /// The sidecar: sends callbacks, allocates even stream ids.
    Sidecar,
}

impl Role {
    /// The other side.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Role::Client => Role::Sidecar,
            Role::Sidecar => Role::Client,
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Sidecar => "sidecar",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.noun())
    }
}

/// The first frame of either side. Its frame layout and these fields never change, so that two versions can at
/// least tell each other that they do not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// [`PROTOCOL_MAJOR`] of the sender.
    pub protocol_major: u32,
    /// [`PROTOCOL_MINOR`] of the sender.
    #[serde(default)]
    pub protocol_minor: u32,
    /// [`PACKAGE_VERSION`] of the sender.
    #[serde(default)]
    pub package_version: String,
    /// The side that sends this.
    pub role: Role,
    /// Names of optional abilities, such as `sessions`; unknown ones are ignored.
    #[serde(default)]
    pub features: Vec<String>,
}

impl Hello {
    /// The Hello of this build.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Hello {
            protocol_major: PROTOCOL_MAJOR,
            protocol_minor: PROTOCOL_MINOR,
            package_version: PACKAGE_VERSION.to_owned(),
            role,
            features: Vec::new(),
        }
    }

    /// Whether the sender has an ability.
    #[must_use]
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
    }

    /// Whether the two can talk.
    ///
    /// # Errors
    /// [`VersionMismatch`] when the major numbers differ.
    pub fn check(&self, peer: &Hello) -> Result<(), VersionMismatch> {
        if self.protocol_major == peer.protocol_major {
            return Ok(());
        }
        let upgrade = if self.protocol_major < peer.protocol_major { self.role } else { peer.role };
        Err(VersionMismatch { ours: Box::new(self.clone()), theirs: Box::new(peer.clone()), upgrade })
    }
}

/// The two sides speak different protocols.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {} speaks protocol {}.{} (version {}), the {} speaks {}.{} (version {}): upgrade the {upgrade}",
    ours.role, ours.protocol_major, ours.protocol_minor, ours.package_version,
    theirs.role, theirs.protocol_major, theirs.protocol_minor, theirs.package_version
)]
pub struct VersionMismatch {
    /// What this side said.
    pub ours: Box<Hello>,
    /// What the other side said.
    pub theirs: Box<Hello>,
    /// The older side.
    pub upgrade: Role,
}
