//! The backend of a Linux host, for building and testing guest programs natively. It is not part of a VM.

use super::unix_tty::take_foreground;
use super::{Entry, SpawnArgs, flush_stdio};
use agentos_abi::layout::{Rusage, SysInfo, Times, WaitResult};
use agentos_abi::process::{
    FD_CLOSE, PGID_INHERIT, SPAWN_FOREGROUND, SPAWN_MAP_ONLY, SPAWN_RESET_SIGNALS, SPAWN_SEARCH_PATH,
    SPAWN_SETSID,
};
use agentos_abi::{Errno, Signal};
use std::ffi::{CStr, CString};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use super::unix_files::*;

pub(super) fn check(code: libc::c_int) -> io::Result<()> {
    if code < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(super) fn check_u32(code: libc::c_int) -> io::Result<u32> {
    u32::try_from(code).map_err(|_| io::Error::last_os_error())
}

pub(super) fn cstring(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

const ERRNOS: &[(i32, Errno)] = &[
    (libc::E2BIG, Errno::E2BIG),
    (libc::EACCES, Errno::EACCES),
    (libc::EAGAIN, Errno::EAGAIN),
    (libc::EBADF, Errno::EBADF),
    (libc::EBUSY, Errno::EBUSY),
    (libc::ECHILD, Errno::ECHILD),
    (libc::ECONNREFUSED, Errno::ECONNREFUSED),
    (libc::ECONNRESET, Errno::ECONNRESET),
    (libc::EDEADLK, Errno::EDEADLK),
    (libc::EDQUOT, Errno::EDQUOT),
    (libc::EEXIST, Errno::EEXIST),
    (libc::EFAULT, Errno::EFAULT),
    (libc::EFBIG, Errno::EFBIG),
    (libc::EINTR, Errno::EINTR),
    (libc::EINVAL, Errno::EINVAL),
    (libc::EIO, Errno::EIO),
    (libc::EISDIR, Errno::EISDIR),
    (libc::ELOOP, Errno::ELOOP),
    (libc::EMFILE, Errno::EMFILE),
    (libc::EMLINK, Errno::EMLINK),
    (libc::ENAMETOOLONG, Errno::ENAMETOOLONG),
    (libc::ENFILE, Errno::ENFILE),
    (libc::ENODEV, Errno::ENODEV),
    (libc::ENOENT, Errno::ENOENT),
    (libc::ENOEXEC, Errno::ENOEXEC),
    (libc::ENOMEM, Errno::ENOMEM),
    (libc::ENOSPC, Errno::ENOSPC),
    (libc::ENOSYS, Errno::ENOSYS),
    (libc::ENOTCONN, Errno::ENOTCONN),
    (libc::ENOTDIR, Errno::ENOTDIR),
    (libc::ENOTEMPTY, Errno::ENOTEMPTY),
    (libc::ENOTSUP, Errno::ENOTSUP),
    (libc::ENOTTY, Errno::ENOTTY),
    (libc::ENXIO, Errno::ENXIO),
    (libc::EOVERFLOW, Errno::EOVERFLOW),
    (libc::EPERM, Errno::EPERM),
    (libc::EPIPE, Errno::EPIPE),
    (libc::ERANGE, Errno::ERANGE),
    (libc::EROFS, Errno::EROFS),
    (libc::ESPIPE, Errno::ESPIPE),
    (libc::ESRCH, Errno::ESRCH),
    (libc::ETIMEDOUT, Errno::ETIMEDOUT),
    (libc::ETXTBSY, Errno::ETXTBSY),
    (libc::EXDEV, Errno::EXDEV),
];

pub(crate) fn errno(raw: i32) -> Option<Errno> {
    ERRNOS.iter().find(|(linux, _)| *linux == raw).map(|(_, errno)| *errno)
}

pub(crate) fn raw_errno(errno: Errno) -> i32 {
    ERRNOS.iter().find(|(_, ours)| *ours == errno).map_or(libc::EIO, |(linux, _)| *linux)
}

pub(super) fn flush_c() {
    // SAFETY: a null stream means all streams; no pointer is passed.
    let _ = unsafe { libc::fflush(std::ptr::null_mut()) };
}

// --- processes

/// A NULL-terminated list of C strings.
struct CList {
    _strings: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl CList {
    fn new<'a>(items: impl Iterator<Item = &'a [u8]>) -> io::Result<Self> {
        let strings = items.map(cstring).collect::<io::Result<Vec<_>>>()?;
        let pointers = strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
        Ok(CList { _strings: strings, pointers })
    }
}

fn environment(env: Option<&[&[u8]]>) -> io::Result<CList> {
    use std::os::unix::ffi::OsStrExt as _;
    match env {
        Some(env) => CList::new(env.iter().copied()),
        None => {
            let pairs: Vec<Vec<u8>> =
                std::env::vars_os().map(|(k, v)| [k.as_bytes(), b"=", v.as_bytes()].concat()).collect();
            CList::new(pairs.iter().map(Vec::as_slice))
        }
    }
}

/// The files that a name may mean: itself, or one per directory of PATH.
fn candidates(path: &[u8], env: Option<&[&[u8]]>, flags: u32) -> io::Result<Vec<CString>> {
    if flags & SPAWN_SEARCH_PATH == 0 || path.contains(&b'/') {
        return Ok(vec![cstring(path)?]);
    }
    let search = match env {
        Some(env) => env.iter().find_map(|e| e.strip_prefix(b"PATH=")).map(<[u8]>::to_vec),
        None => std::env::var_os("PATH").map(std::os::unix::ffi::OsStringExt::into_vec),
    };
    let search = search.unwrap_or_else(|| b"/usr/bin:/bin".to_vec());
    search
        .split(|b| *b == b':')
        .map(|dir| {
            let dir = if dir.is_empty() { b"." } else { dir };
            cstring(&[dir, b"/", path].concat())
        })
        .collect()
}

/// Tries each file; returns the error that matters most, as execvp(3).
fn exec_first(files: &[CString], argv: &CList, env: &CList) -> i32 {
    let mut result = libc::ENOENT;
    for file in files {
        // SAFETY: the file is a live C string, the lists are NULL-terminated and live.
        unsafe { libc::execve(file.as_ptr(), argv.pointers.as_ptr(), env.pointers.as_ptr()) };
        match io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => result = libc::EACCES,
            other => return other,
        }
    }
    result
}

/// What the child of `spawn` does before it becomes the program; returns the error that stopped it.
fn become_program(
    args: &SpawnArgs<'_>,
    files: &[CString],
    argv: &CList,
    env: &CList,
    cwd: Option<&CStr>,
    tell: u32,
) -> i32 {
    let prepare = || -> io::Result<()> {
        let parents_group = getpgid(0)?;
        if args.flags & SPAWN_SETSID != 0 {
            setsid()?;
        } else if args.pgid != PGID_INHERIT {
            setpgid(0, args.pgid as u32)?;
        }
        if args.flags & SPAWN_FOREGROUND != 0 {
            take_foreground(parents_group);
        }
        for signal in Signal::ALL {
            let ignored = disposition(u32::from(signal.raw())) == libc::SIG_IGN;
            let reset = !ignored || args.flags & SPAWN_RESET_SIGNALS != 0;
            if reset && !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
                // SAFETY: sets the default action; no handler is involved.
                unsafe { libc::signal(i32::from(signal.raw()), libc::SIG_DFL) };
            }
        }
        // Sources are moved out of the way first: one pair's target may be another's source.
        let high = 1 + args.fds.iter().map(|(c, _)| *c).max().unwrap_or(0).max(tell).min(1000);
        let mut moved = Vec::with_capacity(args.fds.len());
        for (child, parent) in args.fds {
            moved.push((*child, if *parent == FD_CLOSE { FD_CLOSE } else { dup(*parent, high, 1)? }));
        }
        if args.flags & SPAWN_MAP_ONLY != 0 {
            for fd in list_fds()? {
                if fd != tell && !moved.iter().any(|(_, m)| *m == fd) {
                    let _ = fcntl(fd, agentos_abi::fd::F_SETFD, 1);
                }
            }
        }
        for (child, source) in moved {
            if source == FD_CLOSE {
                let _ = close(child);
            } else {
                dup2(source, child, 0)?;
            }
        }
        if let Some(cwd) = cwd {
            // SAFETY: `cwd` is a live C string.
            check(unsafe { libc::chdir(cwd.as_ptr()) })?;
        }
        Ok(())
    };
    match prepare() {
        Ok(()) => exec_first(files, argv, env),
        Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
    }
}

pub(crate) fn spawn(args: &SpawnArgs<'_>) -> io::Result<u32> {
    let files = candidates(args.path, args.env, args.flags)?;
    let argv = CList::new(args.argv.iter().copied())?;
    let env = environment(args.env)?;
    let cwd = args.cwd.map(cstring).transpose()?;
    let top = args.fds.iter().map(|(c, _)| *c).max().unwrap_or(0).min(1000) + 1;
    let (read_end, low_end) = pipe(1)?;
    // Above every target of the map, so that the map cannot overwrite it.
    let write_end = dup(low_end, top, 1);
    let _ = close(low_end);
    let write_end = match write_end {
        Ok(fd) => fd,
        Err(error) => {
            let _ = close(read_end);
            return Err(error);
        }
    };
    flush_stdio();
    // SAFETY: the child runs only code that a single-threaded program may run after fork, then execs or exits.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let code = become_program(args, &files, &argv, &env, cwd.as_deref(), write_end);
        let _ = write(write_end, &code.to_ne_bytes());
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(127) };
    }
    let _ = close(write_end);
    let result = check_u32(pid).and_then(|pid| {
        let mut code = [0u8; 4];
        let n = loop {
            match read(read_end, &mut code) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        if matches!(n, Ok(4)) {
            while let Err(e) = waitpid(pid as i32, 0) {
                if e.kind() != io::ErrorKind::Interrupted {
                    break;
                }
            }
            return Err(io::Error::from_raw_os_error(i32::from_ne_bytes(code)));
        }
        Ok(pid)
    });
    let _ = close(read_end);
    result
}

pub(crate) fn exec(path: &[u8], argv: &[&[u8]], env: Option<&[&[u8]]>, flags: u32) -> io::Error {
    let lists = || {
        Ok::<_, io::Error>((
            candidates(path, env, flags)?,
            CList::new(argv.iter().copied())?,
            environment(env)?,
        ))
    };
    match lists() {
        Ok((files, argv, env)) => {
            flush_stdio();
            io::Error::from_raw_os_error(exec_first(&files, &argv, &env))
        }
        Err(error) => error,
    }
}

pub(crate) fn clone(entry: Entry<'_>, pgid: i32, flags: u32) -> io::Result<u32> {
    flush_stdio();
    let parents_group = getpgid(0)?;
    // SAFETY: guest programs have one thread, so the child's copy of the memory is whole.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        if pgid != PGID_INHERIT {
            let _ = setpgid(0, pgid as u32);
        }
        if flags & SPAWN_FOREGROUND != 0 {
            take_foreground(parents_group);
        }
        let status = entry();
        flush_stdio();
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(status) };
    }
    if pid > 0 && pgid != PGID_INHERIT {
        // The parent does it, too: whichever comes first, the group exists when this returns.
        let _ = setpgid(pid as u32, pgid as u32);
    }
    check_u32(pid)
}

pub(crate) fn waitpid(pid: i32, flags: u32) -> io::Result<WaitResult> {
    let mut status = 0;
    // SAFETY: an all-zero rusage is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both out-pointers are live locals.
    let pid = unsafe { libc::wait4(pid, &raw mut status, flags as i32, &raw mut usage) };
    check(pid)?;
    let us = |t: libc::timeval| t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64;
    // Bit 7 tells of a core file, which the guest ABI does not know.
    let status = if status & 0x7f != 0x7f { status & !0x80 } else { status };
    Ok(WaitResult {
        pid,
        status,
        utime_us: us(usage.ru_utime),
        stime_us: us(usage.ru_stime),
        maxrss_kb: usage.ru_maxrss as u64,
    })
}

macro_rules! numbers {
    ($($name:ident -> $ty:ty;)*) => { $(
        pub(crate) fn $name() -> $ty {
            // SAFETY: takes and returns numbers only.
            unsafe { libc::$name() as $ty }
        }
    )* };
}
numbers! { getpid -> u32; getppid -> u32; getuid -> u32; geteuid -> u32; getgid -> u32; getegid -> u32; }

pub(crate) fn getpgid(pid: u32) -> io::Result<u32> {
    // SAFETY: takes and returns numbers only.
    check_u32(unsafe { libc::getpgid(pid as i32) })
}

pub(crate) fn getsid(pid: u32) -> io::Result<u32> {
    // SAFETY: takes and returns numbers only.
    check_u32(unsafe { libc::getsid(pid as i32) })
}

pub(crate) fn setpgid(pid: u32, pgid: u32) -> io::Result<()> {
    // SAFETY: takes and returns numbers only.
    check(unsafe { libc::setpgid(pid as i32, pgid as i32) })
}

pub(crate) fn setsid() -> io::Result<u32> {
    // SAFETY: takes and returns numbers only.
    check_u32(unsafe { libc::setsid() })
}

pub(crate) fn umask(mask: u32) -> u32 {
    // SAFETY: takes and returns numbers only.
    unsafe { libc::umask(mask) }
}

pub(crate) fn getcwd() -> io::Result<Vec<u8>> {
    std::env::current_dir().map(|dir| std::os::unix::ffi::OsStringExt::into_vec(dir.into_os_string()))
}

pub(crate) fn chdir(path: &[u8]) -> io::Result<()> {
    let path = cstring(path)?;
    // SAFETY: `path` is a live C string.
    check(unsafe { libc::chdir(path.as_ptr()) })
}

pub(crate) fn getrlimit(resource: u32) -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the out-pointer is a live local.
    check(unsafe { libc::getrlimit(resource, &raw mut limit) })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

pub(crate) fn setrlimit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the pointer is to a live local.
    check(unsafe { libc::setrlimit(resource, &raw const limit) })
}

pub(crate) fn times() -> io::Result<Times> {
    let usage = |who| {
        // SAFETY: an all-zero rusage is valid.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the out-pointer is a live local.
        check(unsafe { libc::getrusage(who, &raw mut usage) })?;
        let us = |t: libc::timeval| t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64;
        Ok::<_, io::Error>((us(usage.ru_utime), us(usage.ru_stime)))
    };
    let (own, children) = (usage(libc::RUSAGE_SELF)?, usage(libc::RUSAGE_CHILDREN)?);
    Ok(Times { utime_us: own.0, stime_us: own.1, cutime_us: children.0, cstime_us: children.1 })
}

pub(crate) fn getrusage(who: i32) -> io::Result<Rusage> {
    // SAFETY: an all-zero rusage is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the out-pointer is a live local.
    check(unsafe { libc::getrusage(who, &raw mut usage) })?;
    let us = |t: libc::timeval| t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64;
    Ok(Rusage {
        utime_us: us(usage.ru_utime),
        stime_us: us(usage.ru_stime),
        maxrss_kb: usage.ru_maxrss as u64,
    })
}

/// Linux shows the arguments that execve passed; changing them is the VM's ability.
pub(crate) fn set_title(_argv: &[&[u8]]) -> io::Result<()> {
    Ok(())
}

// --- signals

/// Caught signals that nobody has asked for yet: bit `number - 1`.
static CAUGHT: AtomicU64 = AtomicU64::new(0);

extern "C" fn note_signal(sig: libc::c_int) {
    CAUGHT.fetch_or(1 << (sig - 1), Ordering::SeqCst);
}

pub(crate) fn kill(pid: i32, sig: u32) -> io::Result<()> {
    // SAFETY: takes and returns numbers only.
    check(unsafe { libc::kill(pid, sig as i32) })
}

fn disposition(sig: u32) -> libc::sighandler_t {
    // SAFETY: an all-zero sigaction is valid.
    let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: only asks; the out-pointer is a live local.
    unsafe { libc::sigaction(sig as i32, std::ptr::null(), &raw mut old) };
    old.sa_sigaction
}

pub(crate) fn sigaction(sig: u32, new: u32) -> io::Result<u32> {
    use agentos_abi::signal::{SIG_CATCH, SIG_DFL, SIG_IGN};
    let old = match disposition(sig) {
        libc::SIG_DFL => SIG_DFL,
        libc::SIG_IGN => SIG_IGN,
        _ => SIG_CATCH,
    };
    // SAFETY: an all-zero sigaction is valid; no SA_RESTART, so calls end with EINTR as in a VM.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = match new {
        SIG_DFL => libc::SIG_DFL,
        SIG_IGN => libc::SIG_IGN,
        _ => note_signal as extern "C" fn(libc::c_int) as libc::sighandler_t,
    };
    // SAFETY: the handler only changes an atomic; the pointers are to live locals.
    check(unsafe { libc::sigaction(sig as i32, &raw const action, std::ptr::null_mut()) })?;
    Ok(old)
}

fn set_of(mask: u64) -> libc::sigset_t {
    // SAFETY: an all-zero set is valid, and sigemptyset makes it the empty one.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a live local.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in Signal::ALL.iter().filter(|s| mask & s.bit() != 0) {
        // SAFETY: `set` is a live local and the number a valid signal.
        unsafe { libc::sigaddset(&raw mut set, i32::from(signal.raw())) };
    }
    set
}

fn mask_of(set: &libc::sigset_t) -> u64 {
    // SAFETY: `set` is live and the numbers are valid signals.
    let member = |s: &&Signal| unsafe { libc::sigismember(set, i32::from(s.raw())) == 1 };
    Signal::ALL.iter().filter(member).map(|s| s.bit()).sum()
}

pub(crate) fn sigmask(how: u32, mask: u64) -> io::Result<u64> {
    let how = match how {
        agentos_abi::signal::SIG_BLOCK => libc::SIG_BLOCK,
        agentos_abi::signal::SIG_UNBLOCK => libc::SIG_UNBLOCK,
        _ => libc::SIG_SETMASK,
    };
    let (new, mut old) = (set_of(mask), set_of(0));
    // SAFETY: both pointers are to live locals.
    check(unsafe { libc::sigprocmask(how, &raw const new, &raw mut old) })?;
    Ok(mask_of(&old))
}

pub(crate) fn sigpending() -> io::Result<u64> {
    let mut set = set_of(0);
    // SAFETY: the out-pointer is a live local.
    check(unsafe { libc::sigpending(&raw mut set) })?;
    Ok(mask_of(&set) | CAUGHT.load(Ordering::SeqCst))
}

pub(crate) fn signal_waits() -> bool {
    CAUGHT.load(Ordering::Relaxed) != 0
}

pub(crate) fn next_signal() -> u8 {
    let caught = CAUGHT.load(Ordering::SeqCst);
    if caught == 0 {
        return 0;
    }
    let bit = caught & caught.wrapping_neg();
    CAUGHT.fetch_and(!bit, Ordering::SeqCst);
    bit.trailing_zeros() as u8 + 1
}

pub(crate) fn alarm(ms: u64) -> io::Result<u64> {
    setitimer(0, ms.saturating_mul(1000)).map(|(_, left)| left.div_ceil(1000))
}

fn timeval(us: u64) -> libc::timeval {
    libc::timeval { tv_sec: (us / 1_000_000) as i64, tv_usec: (us % 1_000_000) as i64 }
}

fn micros(timer: &libc::itimerval) -> (u64, u64) {
    let us = |t: libc::timeval| t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64;
    (us(timer.it_interval), us(timer.it_value))
}

pub(crate) fn setitimer(interval_us: u64, value_us: u64) -> io::Result<(u64, u64)> {
    let new = libc::itimerval { it_interval: timeval(interval_us), it_value: timeval(value_us) };
    let mut old = libc::itimerval { it_interval: timeval(0), it_value: timeval(0) };
    // SAFETY: both pointers are to live locals.
    check(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const new, &raw mut old) })?;
    Ok(micros(&old))
}

pub(crate) fn getitimer() -> io::Result<(u64, u64)> {
    let mut now = libc::itimerval { it_interval: timeval(0), it_value: timeval(0) };
    // SAFETY: the out-pointer is a live local.
    check(unsafe { libc::getitimer(libc::ITIMER_REAL, &raw mut now) })?;
    Ok(micros(&now))
}

pub(crate) fn pause() -> io::Result<()> {
    // SAFETY: takes nothing.
    check(unsafe { libc::pause() })
}

// --- HTTP

/// The host of a VM sends requests; there is none here.
pub(crate) fn http_fetch(_request: &[&[u8]]) -> io::Result<u32> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

// --- users and the machine

pub(crate) fn setuid(uid: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::setuid(uid) })
}

pub(crate) fn setgid(gid: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::setgid(gid) })
}

pub(crate) fn getgroups() -> io::Result<Vec<u32>> {
    let mut groups = vec![0u32; 256];
    // SAFETY: the array is live and as long as stated.
    let n = check_u32(unsafe { libc::getgroups(groups.len() as i32, groups.as_mut_ptr()) })?;
    groups.truncate(n as usize);
    Ok(groups)
}

pub(crate) fn uname() -> io::Result<[Vec<u8>; 5]> {
    // SAFETY: an all-zero utsname is valid.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: the out-pointer is a live local.
    check(unsafe { libc::uname(&raw mut name) })?;
    let text = |field: &[libc::c_char]| field.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    Ok([
        text(&name.sysname),
        text(&name.nodename),
        text(&name.release),
        text(&name.version),
        text(&name.machine),
    ])
}

pub(crate) fn sysinfo() -> io::Result<SysInfo> {
    // SAFETY: an all-zero sysinfo is valid.
    let mut info: libc::sysinfo = unsafe { std::mem::zeroed() };
    // SAFETY: the out-pointer is a live local.
    check(unsafe { libc::sysinfo(&raw mut info) })?;
    let unit = u64::from(info.mem_unit);
    Ok(SysInfo {
        uptime_ns: info.uptime as u64 * 1_000_000_000,
        mem_total: info.totalram * unit,
        mem_used: (info.totalram - info.freeram) * unit,
        procs: u32::from(info.procs),
        cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
    })
}

// --- tools of the host: there is none to ask

pub(crate) fn tool_list() -> io::Result<Vec<u8>> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

pub(crate) fn tool_call(_kit: &[u8], _tool: &[u8], _input: &[u8]) -> Result<Vec<u8>, (Errno, Vec<u8>)> {
    Err((Errno::ENOSYS, Vec::new()))
}
