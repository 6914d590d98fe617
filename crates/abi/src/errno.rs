//! Error numbers as the guest sees them: WASI preview 1 codes, POSIX names.

/// A POSIX error with its WASI preview 1 number.
///
/// One type serves every room, so an error keeps its exact number from the file system to the guest.
///
/// ```
/// use agentos_abi::Errno;
/// assert_eq!(Errno::ENOENT.name(), "ENOENT");
/// assert_eq!(Errno::ENOENT.raw(), 44);
/// assert_eq!(Errno::from_raw(44), Some(Errno::ENOENT));
/// assert_eq!(Errno::ENOENT.to_string(), "no such file or directory");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum Errno {
    /// Argument list too long.
    E2BIG = 1,
    /// Permission denied.
    EACCES = 2,
    /// Address already in use.
    EADDRINUSE = 3,
    /// Cannot assign requested address.
    EADDRNOTAVAIL = 4,
    /// Address family not supported.
    EAFNOSUPPORT = 5,
    /// Resource temporarily unavailable.
    EAGAIN = 6,
    /// Operation already in progress.
    EALREADY = 7,
    /// Bad file descriptor.
    EBADF = 8,
    /// Bad message.
    EBADMSG = 9,
    /// Device or resource busy.
    EBUSY = 10,
    /// Operation canceled.
    ECANCELED = 11,
    /// No child processes.
    ECHILD = 12,
    /// Software caused connection abort.
    ECONNABORTED = 13,
    /// Connection refused.
    ECONNREFUSED = 14,
    /// Connection reset by peer.
    ECONNRESET = 15,
    /// Resource deadlock avoided.
    EDEADLK = 16,
    /// Destination address required.
    EDESTADDRREQ = 17,
    /// Numerical argument out of domain.
    EDOM = 18,
    /// Disk quota exceeded.
    EDQUOT = 19,
    /// File exists.
    EEXIST = 20,
    /// Bad address.
    EFAULT = 21,
    /// File too large.
    EFBIG = 22,
    /// No route to host.
    EHOSTUNREACH = 23,
    /// Identifier removed.
    EIDRM = 24,
    /// Invalid byte sequence.
    EILSEQ = 25,
    /// Operation now in progress.
    EINPROGRESS = 26,
    /// Interrupted system call.
    EINTR = 27,
    /// Invalid argument.
    EINVAL = 28,
    /// Input/output error.
    EIO = 29,
    /// Transport endpoint is already connected.
    EISCONN = 30,
    /// Is a directory.
    EISDIR = 31,
    /// Too many levels of symbolic links.
    ELOOP = 32,
    /// Too many open files.
    EMFILE = 33,
    /// Too many links.
    EMLINK = 34,
    /// Message too long.
    EMSGSIZE = 35,
    /// Multihop attempted.
    EMULTIHOP = 36,
    /// File name too long.
    ENAMETOOLONG = 37,
    /// Network is down.
    ENETDOWN = 38,
    /// Network dropped connection on reset.
    ENETRESET = 39,
    /// Network is unreachable.
    ENETUNREACH = 40,
    /// Too many open files in system.
    ENFILE = 41,
    /// No buffer space available.
    ENOBUFS = 42,
    /// No such device.
    ENODEV = 43,
    /// No such file or directory.
    ENOENT = 44,
    /// Exec format error.
    ENOEXEC = 45,
    /// No locks available.
    ENOLCK = 46,
    /// Link has been severed.
    ENOLINK = 47,
    /// Cannot allocate memory.
    ENOMEM = 48,
    /// No message of desired type.
    ENOMSG = 49,
    /// Protocol not available.
    ENOPROTOOPT = 50,
    /// No space left on device.
    ENOSPC = 51,
    /// Function not implemented.
    ENOSYS = 52,
    /// Transport endpoint is not connected.
    ENOTCONN = 53,
    /// Not a directory.
    ENOTDIR = 54,
    /// Directory not empty.
    ENOTEMPTY = 55,
    /// State not recoverable.
    ENOTRECOVERABLE = 56,
    /// Socket operation on non-socket.
    ENOTSOCK = 57,
    /// Operation not supported.
    ENOTSUP = 58,
    /// Inappropriate ioctl for device.
    ENOTTY = 59,
    /// No such device or address.
    ENXIO = 60,
    /// Value too large for defined data type.
    EOVERFLOW = 61,
    /// Owner died.
    EOWNERDEAD = 62,
    /// Operation not permitted.
    EPERM = 63,
    /// Broken pipe.
    EPIPE = 64,
    /// Protocol error.
    EPROTO = 65,
    /// Protocol not supported.
    EPROTONOSUPPORT = 66,
    /// Protocol wrong type for socket.
    EPROTOTYPE = 67,
    /// Numerical result out of range.
    ERANGE = 68,
    /// Read-only file system.
    EROFS = 69,
    /// Illegal seek.
    ESPIPE = 70,
    /// No such process.
    ESRCH = 71,
    /// Stale file handle.
    ESTALE = 72,
    /// Connection timed out.
    ETIMEDOUT = 73,
    /// Text file busy.
    ETXTBSY = 74,
    /// Invalid cross-device link.
    EXDEV = 75,
    /// Capabilities insufficient.
    ENOTCAPABLE = 76,
}

impl Errno {
    /// Every error, in numeric order.
    pub const ALL: &'static [Errno] = &[
        Errno::E2BIG,
        Errno::EACCES,
        Errno::EADDRINUSE,
        Errno::EADDRNOTAVAIL,
        Errno::EAFNOSUPPORT,
        Errno::EAGAIN,
        Errno::EALREADY,
        Errno::EBADF,
        Errno::EBADMSG,
        Errno::EBUSY,
        Errno::ECANCELED,
        Errno::ECHILD,
        Errno::ECONNABORTED,
        Errno::ECONNREFUSED,
        Errno::ECONNRESET,
        Errno::EDEADLK,
        Errno::EDESTADDRREQ,
        Errno::EDOM,
        Errno::EDQUOT,
        Errno::EEXIST,
        Errno::EFAULT,
        Errno::EFBIG,
        Errno::EHOSTUNREACH,
        Errno::EIDRM,
        Errno::EILSEQ,
        Errno::EINPROGRESS,
        Errno::EINTR,
        Errno::EINVAL,
        Errno::EIO,
        Errno::EISCONN,
        Errno::EISDIR,
        Errno::ELOOP,
        Errno::EMFILE,
        Errno::EMLINK,
        Errno::EMSGSIZE,
        Errno::EMULTIHOP,
        Errno::ENAMETOOLONG,
        Errno::ENETDOWN,
        Errno::ENETRESET,
        Errno::ENETUNREACH,
        Errno::ENFILE,
        Errno::ENOBUFS,
        Errno::ENODEV,
        Errno::ENOENT,
        Errno::ENOEXEC,
        Errno::ENOLCK,
        Errno::ENOLINK,
        Errno::ENOMEM,
        Errno::ENOMSG,
        Errno::ENOPROTOOPT,
        Errno::ENOSPC,
        Errno::ENOSYS,
        Errno::ENOTCONN,
        Errno::ENOTDIR,
        Errno::ENOTEMPTY,
        Errno::ENOTRECOVERABLE,
        Errno::ENOTSOCK,
        Errno::ENOTSUP,
        Errno::ENOTTY,
        Errno::ENXIO,
        Errno::EOVERFLOW,
        Errno::EOWNERDEAD,
        Errno::EPERM,
        Errno::EPIPE,
        Errno::EPROTO,
        Errno::EPROTONOSUPPORT,
        Errno::EPROTOTYPE,
        Errno::ERANGE,
        Errno::EROFS,
        Errno::ESPIPE,
        Errno::ESRCH,
        Errno::ESTALE,
        Errno::ETIMEDOUT,
        Errno::ETXTBSY,
        Errno::EXDEV,
        Errno::ENOTCAPABLE,
    ];

    /// The WASI preview 1 number.
    #[must_use]
    pub const fn raw(self) -> u16 {
        self as u16
    }

    /// The error with this WASI number; `None` for 0 and unknown numbers.
    #[must_use]
    pub fn from_raw(raw: u16) -> Option<Errno> {
        raw.checked_sub(1).and_then(|i| Errno::ALL.get(usize::from(i)).copied())
    }

    /// The symbolic name, such as `ENOENT`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Errno::E2BIG => "E2BIG",
            Errno::EACCES => "EACCES",
            Errno::EADDRINUSE => "EADDRINUSE",
            Errno::EADDRNOTAVAIL => "EADDRNOTAVAIL",
            Errno::EAFNOSUPPORT => "EAFNOSUPPORT",
            Errno::EAGAIN => "EAGAIN",
            Errno::EALREADY => "EALREADY",
            Errno::EBADF => "EBADF",
            Errno::EBADMSG => "EBADMSG",
            Errno::EBUSY => "EBUSY",
            Errno::ECANCELED => "ECANCELED",
            Errno::ECHILD => "ECHILD",
            Errno::ECONNABORTED => "ECONNABORTED",
            Errno::ECONNREFUSED => "ECONNREFUSED",
            Errno::ECONNRESET => "ECONNRESET",
            Errno::EDEADLK => "EDEADLK",
            Errno::EDESTADDRREQ => "EDESTADDRREQ",
            Errno::EDOM => "EDOM",
            Errno::EDQUOT => "EDQUOT",
            Errno::EEXIST => "EEXIST",
            Errno::EFAULT => "EFAULT",
            Errno::EFBIG => "EFBIG",
            Errno::EHOSTUNREACH => "EHOSTUNREACH",
            Errno::EIDRM => "EIDRM",
            Errno::EILSEQ => "EILSEQ",
            Errno::EINPROGRESS => "EINPROGRESS",
            Errno::EINTR => "EINTR",
            Errno::EINVAL => "EINVAL",
            Errno::EIO => "EIO",
            Errno::EISCONN => "EISCONN",
            Errno::EISDIR => "EISDIR",
            Errno::ELOOP => "ELOOP",
            Errno::EMFILE => "EMFILE",
            Errno::EMLINK => "EMLINK",
            Errno::EMSGSIZE => "EMSGSIZE",
            Errno::EMULTIHOP => "EMULTIHOP",
            Errno::ENAMETOOLONG => "ENAMETOOLONG",
            Errno::ENETDOWN => "ENETDOWN",
            Errno::ENETRESET => "ENETRESET",
            Errno::ENETUNREACH => "ENETUNREACH",
            Errno::ENFILE => "ENFILE",
            Errno::ENOBUFS => "ENOBUFS",
            Errno::ENODEV => "ENODEV",
            Errno::ENOENT => "ENOENT",
            Errno::ENOEXEC => "ENOEXEC",
            Errno::ENOLCK => "ENOLCK",
            Errno::ENOLINK => "ENOLINK",
            Errno::ENOMEM => "ENOMEM",
            Errno::ENOMSG => "ENOMSG",
            Errno::ENOPROTOOPT => "ENOPROTOOPT",
            Errno::ENOSPC => "ENOSPC",
            Errno::ENOSYS => "ENOSYS",
            Errno::ENOTCONN => "ENOTCONN",
            Errno::ENOTDIR => "ENOTDIR",
            Errno::ENOTEMPTY => "ENOTEMPTY",
            Errno::ENOTRECOVERABLE => "ENOTRECOVERABLE",
            Errno::ENOTSOCK => "ENOTSOCK",
            Errno::ENOTSUP => "ENOTSUP",
            Errno::ENOTTY => "ENOTTY",
            Errno::ENXIO => "ENXIO",
            Errno::EOVERFLOW => "EOVERFLOW",
            Errno::EOWNERDEAD => "EOWNERDEAD",
            Errno::EPERM => "EPERM",
            Errno::EPIPE => "EPIPE",
            Errno::EPROTO => "EPROTO",
            Errno::EPROTONOSUPPORT => "EPROTONOSUPPORT",
            Errno::EPROTOTYPE => "EPROTOTYPE",
            Errno::ERANGE => "ERANGE",
            Errno::EROFS => "EROFS",
            Errno::ESPIPE => "ESPIPE",
            Errno::ESRCH => "ESRCH",
            Errno::ESTALE => "ESTALE",
            Errno::ETIMEDOUT => "ETIMEDOUT",
            Errno::ETXTBSY => "ETXTBSY",
            Errno::EXDEV => "EXDEV",
            Errno::ENOTCAPABLE => "ENOTCAPABLE",
        }
    }

    /// The message in the words of strerror(3), lower case.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Errno::E2BIG => "argument list too long",
            Errno::EACCES => "permission denied",
            Errno::EADDRINUSE => "address already in use",
            Errno::EADDRNOTAVAIL => "cannot assign requested address",
            Errno::EAFNOSUPPORT => "address family not supported",
            Errno::EAGAIN => "resource temporarily unavailable",
            Errno::EALREADY => "operation already in progress",
            Errno::EBADF => "bad file descriptor",
            Errno::EBADMSG => "bad message",
            Errno::EBUSY => "device or resource busy",
            Errno::ECANCELED => "operation canceled",
            Errno::ECHILD => "no child processes",
            Errno::ECONNABORTED => "software caused connection abort",
            Errno::ECONNREFUSED => "connection refused",
            Errno::ECONNRESET => "connection reset by peer",
            Errno::EDEADLK => "resource deadlock avoided",
            Errno::EDESTADDRREQ => "destination address required",
            Errno::EDOM => "numerical argument out of domain",
            Errno::EDQUOT => "disk quota exceeded",
            Errno::EEXIST => "file exists",
            Errno::EFAULT => "bad address",
            Errno::EFBIG => "file too large",
            Errno::EHOSTUNREACH => "no route to host",
            Errno::EIDRM => "identifier removed",
            Errno::EILSEQ => "invalid byte sequence",
            Errno::EINPROGRESS => "operation now in progress",
            Errno::EINTR => "interrupted system call",
            Errno::EINVAL => "invalid argument",
            Errno::EIO => "input/output error",
            Errno::EISCONN => "transport endpoint is already connected",
            Errno::EISDIR => "is a directory",
            Errno::ELOOP => "too many levels of symbolic links",
            Errno::EMFILE => "too many open files",
            Errno::EMLINK => "too many links",
            Errno::EMSGSIZE => "message too long",
            Errno::EMULTIHOP => "multihop attempted",
            Errno::ENAMETOOLONG => "file name too long",
            Errno::ENETDOWN => "network is down",
            Errno::ENETRESET => "network dropped connection on reset",
            Errno::ENETUNREACH => "network is unreachable",
            Errno::ENFILE => "too many open files in system",
            Errno::ENOBUFS => "no buffer space available",
            Errno::ENODEV => "no such device",
            Errno::ENOENT => "no such file or directory",
            Errno::ENOEXEC => "exec format error",
            Errno::ENOLCK => "no locks available",
            Errno::ENOLINK => "link has been severed",
            Errno::ENOMEM => "cannot allocate memory",
            Errno::ENOMSG => "no message of desired type",
            Errno::ENOPROTOOPT => "protocol not available",
            Errno::ENOSPC => "no space left on device",
            Errno::ENOSYS => "function not implemented",
            Errno::ENOTCONN => "transport endpoint is not connected",
            Errno::ENOTDIR => "not a directory",
            Errno::ENOTEMPTY => "directory not empty",
            Errno::ENOTRECOVERABLE => "state not recoverable",
            Errno::ENOTSOCK => "socket operation on non-socket",
            Errno::ENOTSUP => "operation not supported",
            Errno::ENOTTY => "inappropriate ioctl for device",
            Errno::ENXIO => "no such device or address",
            Errno::EOVERFLOW => "value too large for defined data type",
            Errno::EOWNERDEAD => "owner died",
            Errno::EPERM => "operation not permitted",
            Errno::EPIPE => "broken pipe",
            Errno::EPROTO => "protocol error",
            Errno::EPROTONOSUPPORT => "protocol not supported",
            Errno::EPROTOTYPE => "protocol wrong type for socket",
            Errno::ERANGE => "numerical result out of range",
            Errno::EROFS => "read-only file system",
            Errno::ESPIPE => "illegal seek",
            Errno::ESRCH => "no such process",
            Errno::ESTALE => "stale file handle",
            Errno::ETIMEDOUT => "connection timed out",
            Errno::ETXTBSY => "text file busy",
            Errno::EXDEV => "invalid cross-device link",
            Errno::ENOTCAPABLE => "capabilities insufficient",
        }
    }
}

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::Errno;

    #[test]
    fn numbers_are_dense_and_round_trip() {
        for (i, e) in Errno::ALL.iter().enumerate() {
            assert_eq!(usize::from(e.raw()), i + 1);
            assert_eq!(Errno::from_raw(e.raw()), Some(*e));
        }
        assert_eq!(Errno::from_raw(0), None);
        assert_eq!(Errno::from_raw(77), None);
    }
}
