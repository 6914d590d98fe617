//! The backend inside a VM: the imports of module `agentos_v1`. It does not know POSIX beyond passing numbers through.

use super::{Entry, SpawnArgs, flush_stdio};
use agentos_abi::Errno;
use agentos_abi::layout::{
    RUSAGE_SIZE, Rusage, SYSINFO_SIZE, SysInfo, TIMES_SIZE, Times, WAIT_RESULT_SIZE, WaitResult,
};
use agentos_abi::process::{ITIMER_REAL, SPAWN_INHERIT_ENV};
use agentos_abi::tools::TOOL_REPLY_MAX;
use std::io;

pub(crate) use super::wasm_files::*;

macro_rules! imports {
    ($($name:ident($($param:ident: $ty:ty),*) -> $ret:ty;)*) => {
        /// The raw imports.
        pub(super) mod raw {
            #[link(wasm_import_module = "agentos_v1")]
            unsafe extern "C" { $(#[allow(dead_code)] pub(crate) fn $name($($param: $ty),*) -> $ret;)* }
        }
    };
}
agentos_abi::agentos_v1!(imports);

/// The address of a value as the imports take it.
pub(super) fn addr<T: ?Sized>(p: *const T) -> i32 {
    p.cast::<u8>() as usize as i32
}

/// Address and length of bytes as the imports take them.
pub(super) fn span(bytes: &[u8]) -> (i32, i32) {
    (addr(bytes.as_ptr()), bytes.len() as i32)
}

pub(super) fn check(code: i32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

/// Runs a call that stores a `u32`.
pub(super) fn out_u32(call: impl FnOnce(i32) -> i32) -> io::Result<u32> {
    let mut out = 0u32;
    check(call(addr(&raw mut out)))?;
    // SAFETY: `out` is a live local; volatile because the host wrote it behind the compiler's back.
    Ok(unsafe { std::ptr::read_volatile(&raw const out) })
}

/// Runs a call that stores `N` bytes.
pub(super) fn out_bytes<const N: usize>(call: impl FnOnce(i32) -> i32) -> io::Result<[u8; N]> {
    let mut out = [0u8; N];
    check(call(addr(out.as_mut_ptr())))?;
    // SAFETY: `out` is a live local; volatile because the host wrote it behind the compiler's back.
    Ok(unsafe { std::ptr::read_volatile(&raw const out) })
}

/// Runs a call that fills a buffer and stores the length, growing the buffer on ERANGE.
pub(super) fn out_buffer(mut call: impl FnMut(i32, i32, i32) -> i32) -> io::Result<Vec<u8>> {
    let mut buf = vec![0u8; 256];
    loop {
        let mut len = 0u32;
        let code = call(addr(buf.as_mut_ptr()), buf.len() as i32, addr(&raw mut len));
        // SAFETY: `len` is a live local; volatile because the host wrote it behind the compiler's back.
        let len = unsafe { std::ptr::read_volatile(&raw const len) } as usize;
        if code == i32::from(Errno::ERANGE.raw()) && len > buf.len() {
            buf.resize(len, 0);
            continue;
        }
        check(code)?;
        buf.truncate(len);
        return Ok(buf);
    }
}

/// Runs a call that stores up to `cap` numbers and their count.
pub(super) fn out_numbers(mut call: impl FnMut(i32, i32, i32) -> i32) -> io::Result<Vec<u32>> {
    let mut buf = vec![0u32; 32];
    loop {
        let mut len = 0u32;
        let code = call(addr(buf.as_mut_ptr()), buf.len() as i32, addr(&raw mut len));
        // SAFETY: `len` is a live local; volatile because the host wrote it behind the compiler's back.
        let len = unsafe { std::ptr::read_volatile(&raw const len) } as usize;
        if len > buf.len() {
            buf.resize(len, 0);
            continue;
        }
        check(code)?;
        buf.truncate(len);
        return Ok(buf);
    }
}

fn pack(items: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.iter().map(|i| i.len() + 4).sum());
    for item in items {
        out.extend_from_slice(&(item.len() as u32).to_le_bytes());
        out.extend_from_slice(item);
    }
    out
}

pub(crate) fn errno(raw: i32) -> Option<Errno> {
    u16::try_from(raw).ok().and_then(Errno::from_raw)
}

pub(crate) fn raw_errno(errno: Errno) -> i32 {
    i32::from(errno.raw())
}

pub(super) fn flush_c() {
    // SAFETY: a null stream means all streams; no pointer is passed.
    let _ = unsafe { libc::fflush(std::ptr::null_mut()) };
}

// --- processes

pub(crate) fn spawn(args: &SpawnArgs<'_>) -> io::Result<u32> {
    let argv = pack(args.argv);
    let env = pack(args.env.unwrap_or_default());
    let mut map = Vec::with_capacity(args.fds.len() * 8);
    for (child, parent) in args.fds {
        map.extend_from_slice(&child.to_le_bytes());
        map.extend_from_slice(&parent.to_le_bytes());
    }
    let flags = args.flags | if args.env.is_none() { SPAWN_INHERIT_ENV } else { 0 };
    let ((path, path_len), (argv, argv_len), (env, env_len)) = (span(args.path), span(&argv), span(&env));
    let ((cwd, cwd_len), (map, map_len)) = (span(args.cwd.unwrap_or_default()), span(&map));
    out_u32(|out| {
        // SAFETY: every range is live for the call and `out` is a live u32.
        unsafe {
            raw::spawn(
                path,
                path_len,
                argv,
                argv_len,
                env,
                env_len,
                cwd,
                cwd_len,
                map,
                map_len,
                args.pgid,
                flags as i32,
                out,
            )
        }
    })
}

pub(crate) fn exec(path: &[u8], argv: &[&[u8]], env: Option<&[&[u8]]>, flags: u32) -> io::Error {
    let flags = flags | if env.is_none() { SPAWN_INHERIT_ENV } else { 0 };
    let (argv, env) = (pack(argv), pack(env.unwrap_or_default()));
    let ((path, path_len), (argv, argv_len), (env, env_len)) = (span(path), span(&argv), span(&env));
    // SAFETY: every range is live for the call.
    io::Error::from_raw_os_error(unsafe {
        raw::exec(path, path_len, argv, argv_len, env, env_len, flags as i32)
    })
}

/// Runs a boxed closure in a child made by `clone_call`; the host finds it by its export name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn __agentos_clone_entry(_func: i32, arg: i32) -> i32 {
    let entry = arg as usize as *mut Entry<'static>;
    // SAFETY: `clone` passed the pointer of a leaked box, and this copy of the memory has never taken it back; what the
    // closure borrows lies in frames of the parent below the copied stack pointer, which this copy holds too.
    let entry = unsafe { Box::from_raw(entry) };
    register_pending_word();
    let status = entry();
    flush_stdio();
    status
}

pub(crate) fn clone(entry: Entry<'_>, pgid: i32, flags: u32) -> io::Result<u32> {
    flush_stdio();
    let cell = Box::into_raw(Box::new(entry));
    // Naming the entry keeps the export from being dropped by the linker.
    let func = __agentos_clone_entry as extern "C" fn(i32, i32) -> i32 as usize as i32;
    // SAFETY: `cell` stays allocated during the call; the child has its own copy of it.
    let result = out_u32(|out| unsafe { raw::clone_call(func, addr(cell), pgid, flags as i32, out) });
    // SAFETY: this copy of the memory leaked the box above and takes it back once.
    drop(unsafe { Box::from_raw(cell) });
    result
}

pub(crate) fn waitpid(pid: i32, flags: u32) -> io::Result<WaitResult> {
    // SAFETY: `out` is a live buffer of the size of a WaitResult.
    let bytes = out_bytes::<WAIT_RESULT_SIZE>(|out| unsafe { raw::waitpid(pid, flags as i32, out) })?;
    Ok(WaitResult::decode(&bytes))
}

macro_rules! numbers {
    ($($name:ident -> $ty:ty;)*) => { $(
        pub(crate) fn $name() -> $ty {
            // SAFETY: takes and returns numbers only.
            unsafe { raw::$name() as $ty }
        }
    )* };
}
numbers! { getpid -> u32; getppid -> u32; getuid -> u32; geteuid -> u32; getgid -> u32; getegid -> u32; }

pub(crate) fn getpgid(pid: u32) -> io::Result<u32> {
    // SAFETY: `out` is a live u32.
    out_u32(|out| unsafe { raw::getpgid(pid as i32, out) })
}

pub(crate) fn getsid(pid: u32) -> io::Result<u32> {
    // SAFETY: `out` is a live u32.
    out_u32(|out| unsafe { raw::getsid(pid as i32, out) })
}

pub(crate) fn setpgid(pid: u32, pgid: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { raw::setpgid(pid as i32, pgid as i32) })
}

pub(crate) fn setsid() -> io::Result<u32> {
    // SAFETY: `out` is a live u32.
    out_u32(|out| unsafe { raw::setsid(out) })
}

pub(crate) fn umask(mask: u32) -> u32 {
    // SAFETY: takes and returns numbers only.
    unsafe { raw::umask(mask as i32) as u32 }
}

pub(crate) fn getcwd() -> io::Result<Vec<u8>> {
    // SAFETY: the buffer is live and as long as stated, the length a live u32.
    out_buffer(|buf, len, out| unsafe { raw::getcwd(buf, len, out) })
}

pub(crate) fn chdir(path: &[u8]) -> io::Result<()> {
    let old = getcwd().ok();
    let (p, len) = span(path);
    // SAFETY: the range is live for the call.
    check(unsafe { raw::chdir(p, len) })?;
    let target = getcwd().unwrap_or_else(|_| WITHOUT_PATH.to_bytes().to_vec());
    libc_chdir(&target).inspect_err(|_| {
        if let Some(old) = old {
            let (p, len) = span(&old);
            // SAFETY: the range is live for the call. A failure leaves the kernel where it is; nothing else can be done.
            let _ = unsafe { raw::chdir(p, len) };
        }
    })
}

/// Moves the C library's view of the working directory, from which std resolves relative paths.
fn libc_chdir(path: &[u8]) -> io::Result<()> {
    let path = std::ffi::CString::new(path)?;
    // SAFETY: `path` is a live NUL-terminated string.
    if unsafe { libc::chdir(path.as_ptr()) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

unsafe extern "C" {
    /// What wasi-libc puts before relative paths.
    static mut __wasilibc_cwd: *const libc::c_char;
}

/// How a working directory is reached that has no path any more.
const WITHOUT_PATH: &std::ffi::CStr = c"/proc/self/cwd";

/// Before `main`: wasi-libc starts every program at `/`, the kernel where the parent said.
extern "C" fn agree_on_cwd() {
    let cwd = getcwd();
    if matches!(&cwd, Ok(cwd) if cwd == b"/" || libc_chdir(cwd).is_ok()) {
        return;
    }
    // It was removed, or may not be searched. The C library cannot go there, and would take `/` for it from now on.
    // SAFETY: nothing else runs before `main`. The library reads the string, and frees only what it has allocated.
    unsafe { __wasilibc_cwd = WITHOUT_PATH.as_ptr() };
}

#[used]
#[unsafe(link_section = ".init_array")]
static AGREE_ON_CWD: extern "C" fn() = agree_on_cwd;

pub(crate) fn getrlimit(resource: u32) -> io::Result<(u64, u64)> {
    // SAFETY: `out` is a live buffer of two u64.
    let bytes = out_bytes::<16>(|out| unsafe { raw::getrlimit(resource as i32, out) })?;
    Ok(two_words(&bytes))
}

fn two_words(bytes: &[u8; 16]) -> (u64, u64) {
    let [first, second] = [0, 8].map(|at| {
        let mut word = [0u8; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(word)
    });
    (first, second)
}

pub(crate) fn setrlimit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { raw::setrlimit(resource as i32, soft as i64, hard as i64) })
}

pub(crate) fn times() -> io::Result<Times> {
    // SAFETY: `out` is a live buffer of the size of a Times.
    Ok(Times::decode(&out_bytes::<TIMES_SIZE>(|out| unsafe { raw::times(out) })?))
}

pub(crate) fn getrusage(who: i32) -> io::Result<Rusage> {
    // SAFETY: `out` is a live buffer of the size of a Rusage.
    Ok(Rusage::decode(&out_bytes::<RUSAGE_SIZE>(|out| unsafe { raw::getrusage(who, out) })?))
}

pub(crate) fn set_title(argv: &[&[u8]]) -> io::Result<()> {
    let argv = pack(argv);
    let (p, len) = span(&argv);
    // SAFETY: the range is live for the call.
    check(unsafe { raw::set_title(p, len) })
}

// --- signals

pub(crate) fn kill(pid: i32, sig: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { raw::kill(pid, sig as i32) })
}

pub(crate) fn sigaction(sig: u32, disposition: u32) -> io::Result<u32> {
    register_pending_word();
    // SAFETY: `out` is a live u32.
    out_u32(|out| unsafe { raw::sigaction(sig as i32, disposition as i32, out) })
}

pub(crate) fn sigmask(how: u32, mask: u64) -> io::Result<u64> {
    // SAFETY: `out` is a live u64.
    Ok(u64::from_le_bytes(out_bytes::<8>(|out| unsafe { raw::sigmask(how as i32, mask as i64, out) })?))
}

pub(crate) fn sigpending() -> io::Result<u64> {
    // SAFETY: `out` is a live u64.
    Ok(u64::from_le_bytes(out_bytes::<8>(|out| unsafe { raw::sigpending(out) })?))
}

/// The word that the host sets to 1 when a caught signal waits.
static mut PENDING: u32 = 0;

fn register_pending_word() {
    // SAFETY: the address of a static is valid for ever. Without the word, signals are still found by `next_signal`.
    let _ = unsafe { raw::pending_word(addr(&raw const PENDING)) };
}

pub(crate) fn signal_waits() -> bool {
    // SAFETY: a guest has one thread; volatile because the host writes the word.
    unsafe { std::ptr::read_volatile(&raw const PENDING) != 0 }
}

pub(crate) fn next_signal() -> u8 {
    // SAFETY: a guest has one thread; the word is cleared before the question, so a later signal sets it again.
    unsafe { std::ptr::write_volatile(&raw mut PENDING, 0) };
    // SAFETY: takes and returns numbers only.
    let sig = unsafe { raw::next_signal() };
    if sig > 0 {
        // SAFETY: as above. More may wait: the next look has to ask.
        unsafe { std::ptr::write_volatile(&raw mut PENDING, 1) };
    }
    sig as u8
}

pub(crate) fn alarm(ms: u64) -> io::Result<u64> {
    // SAFETY: `out` is a live u64.
    Ok(u64::from_le_bytes(out_bytes::<8>(|out| unsafe { raw::alarm(ms as i64, out) })?))
}

pub(crate) fn setitimer(interval_us: u64, value_us: u64) -> io::Result<(u64, u64)> {
    let (which, interval, value) = (ITIMER_REAL as i32, interval_us as i64, value_us as i64);
    // SAFETY: `out` is a live buffer of two u64.
    Ok(two_words(&out_bytes::<16>(|out| unsafe { raw::setitimer(which, interval, value, out) })?))
}

pub(crate) fn getitimer() -> io::Result<(u64, u64)> {
    // SAFETY: `out` is a live buffer of two u64.
    Ok(two_words(&out_bytes::<16>(|out| unsafe { raw::getitimer(ITIMER_REAL as i32, out) })?))
}

pub(crate) fn pause() -> io::Result<()> {
    // SAFETY: takes nothing.
    check(unsafe { raw::pause() })
}

// --- HTTP

pub(crate) fn http_fetch(request: &[&[u8]]) -> io::Result<u32> {
    let request = pack(request);
    let (p, len) = span(&request);
    // SAFETY: the range is live for the call and `out` a live u32.
    out_u32(|out| unsafe { raw::http_fetch(p, len, out) })
}

// --- users and the machine

pub(crate) fn setuid(uid: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { raw::setuid(uid as i32) })
}

pub(crate) fn setgid(gid: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { raw::setgid(gid as i32) })
}

pub(crate) fn getgroups() -> io::Result<Vec<u32>> {
    // SAFETY: the buffer is live and as long as stated, the count a live u32.
    out_numbers(|buf, cap, out| unsafe { raw::getgroups(buf, cap, out) })
}

pub(crate) fn uname() -> io::Result<[Vec<u8>; 5]> {
    // SAFETY: the buffer is live and as long as stated, the length a live u32.
    let packed = out_buffer(|buf, len, out| unsafe { raw::uname(buf, len, out) })?;
    let mut rest = packed.as_slice();
    let mut parts: [Vec<u8>; 5] = Default::default();
    for part in &mut parts {
        let Some((len, tail)) = rest.split_first_chunk::<4>() else { break };
        let len = (u32::from_le_bytes(*len) as usize).min(tail.len());
        *part = tail[..len].to_vec();
        rest = &tail[len..];
    }
    Ok(parts)
}

pub(crate) fn sysinfo() -> io::Result<SysInfo> {
    // SAFETY: `out` is a live buffer of the size of a SysInfo.
    Ok(SysInfo::decode(&out_bytes::<SYSINFO_SIZE>(|out| unsafe { raw::sysinfo(out) })?))
}

// --- tools of the host

pub(crate) fn tool_list() -> io::Result<Vec<u8>> {
    // SAFETY: the buffer is live and as long as stated, the length a live u32.
    out_buffer(|buf, len, out| unsafe { raw::tool_list(buf, len, out) })
}

/// A result, or an error with the host's message.
pub(crate) fn tool_call(kit: &[u8], tool: &[u8], input: &[u8]) -> Result<Vec<u8>, (Errno, Vec<u8>)> {
    let mut reply = vec![0u8; TOOL_REPLY_MAX];
    let mut len = 0u32;
    let ((kit, kit_len), (tool, tool_len), (input, input_len)) = (span(kit), span(tool), span(input));
    let (buf, buf_len, out) = (addr(reply.as_mut_ptr()), reply.len() as i32, addr(&raw mut len));
    // SAFETY: every range is live for the call and as long as stated, the length a live u32.
    let code = unsafe { raw::tool_call(kit, kit_len, tool, tool_len, input, input_len, buf, buf_len, out) };
    // SAFETY: `len` is a live local; volatile because the host wrote it behind the compiler's back.
    let len = unsafe { std::ptr::read_volatile(&raw const len) } as usize;
    reply.truncate(len);
    match code {
        0 => Ok(reply),
        code => Err((errno(code).unwrap_or(Errno::EIO), reply)),
    }
}
