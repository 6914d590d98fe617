//! Error numbers of the host as those of the guest. Numbers a guest cannot know become EIO.

use rustix::io::Errno as Host;

use crate::Errno;

macro_rules! table {
    ($error:expr, $($name:ident => $ours:ident),* $(,)?) => {
        match $error {
            $(Host::$name => Errno::$ours,)*
            _ => Errno::EIO,
        }
    };
}

/// The number of the guest.
pub(crate) fn errno(error: Host) -> Errno {
    table!(error,
        ACCESS => EACCES, AGAIN => EAGAIN, BADF => EBADF, BUSY => EBUSY, CANCELED => ECANCELED, DQUOT => EDQUOT,
        EXIST => EEXIST, FBIG => EFBIG, ILSEQ => EILSEQ, INTR => EINTR, INVAL => EINVAL, IO => EIO,
        ISDIR => EISDIR, LOOP => ELOOP, MFILE => EMFILE, MLINK => EMLINK, NAMETOOLONG => ENAMETOOLONG,
        NFILE => ENFILE, NODEV => ENODEV, NOENT => ENOENT, NOLCK => ENOLCK, NOMEM => ENOMEM, NOSPC => ENOSPC,
        NOSYS => ENOSYS, NOTDIR => ENOTDIR, NOTEMPTY => ENOTEMPTY, NOTSUP => ENOTSUP, NXIO => ENXIO,
        OVERFLOW => EOVERFLOW, PERM => EPERM, PIPE => EPIPE, ROFS => EROFS, SPIPE => ESPIPE, STALE => ESTALE,
        TIMEDOUT => ETIMEDOUT, TXTBSY => ETXTBSY, XDEV => EXDEV, DEADLK => EDEADLK, BADMSG => EBADMSG,
        HOSTUNREACH => EHOSTUNREACH, NETUNREACH => ENETUNREACH, NOTCONN => ENOTCONN, CONNRESET => ECONNRESET,
    )
}

/// The number of the guest for an error of std.
pub(crate) fn from_io(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, |raw| errno(Host::from_raw_os_error(raw)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_names() {
        assert_eq!(errno(Host::XDEV), Errno::EXDEV);
        assert_eq!(errno(Host::NOTSUP), Errno::ENOTSUP);
        assert_eq!(errno(Host::XFULL), Errno::EIO);
        assert_eq!(from_io(&std::io::Error::from_raw_os_error(2)), Errno::ENOENT);
        assert_eq!(from_io(&std::io::Error::other("no number")), Errno::EIO);
    }
}
