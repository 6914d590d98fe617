//! What the tree speaks of: its domains, their operations, and sets of operations. It decides nothing.

use std::fmt;

/// A part of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Domain {
    /// Files; the resource is a path.
    Fs,
    /// The network; the resource is `tcp://host:port`, `udp://host:port` or `dns://name`.
    Network,
    /// Starting programs; the resource is the path of the program.
    ChildProcess,
    /// Other processes; the resource is the path of the program they run.
    Process,
    /// The environment of programs; the resource is the name of a variable.
    Env,
    /// Tools of the host; the resource is `toolkit:tool`.
    Tool,
}

impl Domain {
    /// All of them.
    pub const ALL: [Domain; 6] =
        [Domain::Fs, Domain::Network, Domain::ChildProcess, Domain::Process, Domain::Env, Domain::Tool];

    /// As the configuration writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Domain::Fs => "fs",
            Domain::Network => "network",
            Domain::ChildProcess => "childProcess",
            Domain::Process => "process",
            Domain::Env => "env",
            Domain::Tool => "tool",
        }
    }

    /// The domain of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Domain> {
        Domain::ALL.into_iter().find(|domain| domain.name() == name)
    }

    /// Its operations.
    #[must_use]
    pub fn operations(self) -> Operations {
        Operation::ALL
            .iter()
            .filter(|operation| operation.domain() == self)
            .fold(Operations::NONE, |all, o| all.with(*o))
    }

    /// The operation of a name.
    #[must_use]
    pub fn operation(self, name: &str) -> Option<Operation> {
        Operation::ALL.into_iter().find(|operation| operation.domain() == self && operation.name() == name)
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $domain:ident $text:literal,)*) => {
        /// Something that may be allowed or denied.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// All of them.
            pub const ALL: [Operation; [$($text),*].len()] = [$(Operation::$name),*];

            /// Its domain.
            #[must_use]
            pub const fn domain(self) -> Domain {
                match self {
                    $(Operation::$name => Domain::$domain,)*
                }
            }

            /// As the configuration writes it, within its domain.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Operation::$name => $text,)*
                }
            }
        }
    };
}

operations! {
    /// Opening a file for reading.
    Read = Fs "read",
    /// Opening a file for writing, and making a file or FIFO.
    Write = Fs "write",
    /// Making a directory.
    Mkdir = Fs "mkdir",
    /// Opening and listing a directory.
    Readdir = Fs "readdir",
    /// Reading attributes.
    Stat = Fs "stat",
    /// Removing a name, of a directory too.
    Rm = Fs "rm",
    /// Moving, at either end.
    Rename = Fs "rename",
    /// Asking whether something is there.
    Exists = Fs "exists",
    /// Making a symbolic link.
    Symlink = Fs "symlink",
    /// Reading where a symbolic link leads.
    Readlink = Fs "readlink",
    /// Making a hard link, at either end.
    Link = Fs "link",
    /// Changing permission bits.
    Chmod = Fs "chmod",
    /// Changing owner or group.
    Chown = Fs "chown",
    /// Changing times.
    Utimes = Fs "utimes",
    /// Changing the size.
    Truncate = Fs "truncate",
    /// Mounting.
    Mount = Fs "mount",
    /// An HTTP request by a library of the guest.
    Fetch = Network "fetch",
    /// An HTTP connection.
    Http = Network "http",
    /// Looking up a name.
    Dns = Network "dns",
    /// Waiting for connections.
    Listen = Network "listen",
    /// Connecting.
    Connect = Network "connect",
    /// Starting a program as a new process.
    Spawn = ChildProcess "spawn",
    /// Becoming another program.
    Exec = ChildProcess "exec",
    /// Signals to another process.
    Signal = Process "signal",
    /// Looking at another process.
    Inspect = Process "inspect",
    /// Getting a variable.
    ReadEnv = Env "read",
    /// Handing a new or changed variable on.
    WriteEnv = Env "write",
    /// Calling a tool.
    Invoke = Tool "invoke",
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operations(u32);

impl Operations {
    /// This one.
    #[must_use]
    pub const fn of(operation: Operation) -> Operations {
        Operations::NONE.with(operation)
    }

    /// These, and one more under a condition.
    #[must_use]
    pub const fn with_if(self, condition: bool, operation: Operation) -> Operations {
        if condition { self.with(operation) } else { self }
    }

    /// None.
    pub const NONE: Operations = Operations(0);

    /// These and one more.
    #[must_use]
    pub const fn with(self, operation: Operation) -> Operations {
        Operations(self.0 | 1 << operation as u32)
    }

    /// Those that are in either.
    #[must_use]
    pub const fn or(self, other: Operations) -> Operations {
        Operations(self.0 | other.0)
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Operations) -> Operations {
        Operations(self.0 & other.0)
    }

    /// Those that are in here and not in the other.
    #[must_use]
    pub const fn minus(self, other: Operations) -> Operations {
        Operations(self.0 & !other.0)
    }

    /// Whether it is in here.
    #[must_use]
    pub const fn has(self, operation: Operation) -> bool {
        self.0 & 1 << operation as u32 != 0
    }

    /// Whether all of the others are in here.
    #[must_use]
    pub const fn contains(self, other: Operations) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Operation> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let next = Operation::ALL.get(left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(*next)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for operation in Operation::ALL {
            assert_eq!(operation.domain().operation(operation.name()), Some(operation));
            assert!(operation.domain().operations().has(operation));
        }
        for domain in Domain::ALL {
            assert_eq!(Domain::parse(domain.name()), Some(domain));
        }
        assert_eq!(Domain::Fs.operations().iter().count(), 16);
        assert!(Domain::ALL.iter().flat_map(|domain| domain.operations().iter()).eq(Operation::ALL));
        assert_eq!(Domain::Env.operation("stat"), None);
    }
}
